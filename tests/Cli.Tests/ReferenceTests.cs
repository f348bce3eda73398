using System.Text.Json;
using System.Text.RegularExpressions;
using Dnn.Backend;
using Dnn.Dsl;
using Dnn.Graph;
using Dnn.Testing;
using Xunit;

namespace Dnn.Cli.Tests;

/// <summary>
/// Layers, functions, losses, metrics and schedules against values and gradients that PyTorch, or the equation of the paper, gave: the scripts in tests/reference wrote them. To 1e-10 in
/// float64 and 1e-4 in float32, of the largest element where it is above 1.
/// </summary>
public class ReferenceTests
{
    private static readonly Lazy<IReadOnlyDictionary<string, Tensor>> Arrays = new(() => Npz.Read(Data("layers.npz")));
    private static readonly Lazy<Dictionary<string, JsonElement>> Cases = new(() =>
        JsonDocument.Parse(File.ReadAllText(Data("layers.json"))).RootElement.EnumerateArray().ToDictionary(c => c.GetProperty("name").GetString()!));

    private static readonly Lazy<Dictionary<string, double[]>> Rates = new(() => JsonDocument.Parse(File.ReadAllText(Data("schedules.json"))).RootElement.EnumerateArray()
        .ToDictionary(c => c.GetProperty("text").GetString()!, c => c.GetProperty("rates").EnumerateArray().Select(r => r.GetDouble()).ToArray()));

    public static TheoryData<string> Names() => new(Cases.Value.Keys);

    [Theory]
    [MemberData(nameof(Names))]
    public void Value_and_gradients_are_those_of_the_reference(string name)
    {
        var model = Compiled(name);
        var training = Cases.Value[name].GetProperty("training").GetBoolean();
        var given = new Dictionary<Expr, Tensor> { [RandomState.Seed] = Tensor.Create([7L]).Reshape(), [RandomState.Step] = Tensor.Create([3L]).Reshape() };
        foreach (var (path, variable) in model.Inputs.Select(i => (i.Name, i.Value)).Concat(model.Parameters.Select(p => (p.Path, p.Variable))).Concat(model.Buffers.Select(b => (b.Path, b.Variable))))
            given[variable] = Of(name, path);
        var nexts = model.Buffers.Where(b => training && b.Next is not null).ToArray();
        var values = Rewriter.Stabilize.Rewrite(Phases.Resolve([model.Outputs[0].Value, .. nexts.Select(b => b.Next!)], training));
        var c = Expr.Variable("c", values[0].Shape);
        given[c] = Arrays.Value[$"{name}/c"];
        var wanted = model.Inputs.Select(i => (i.Name, i.Value)).Concat(model.Parameters.Select(p => (p.Path, p.Variable))).Where(w => Arrays.Value.ContainsKey($"{name}/grad/{w.Item1}")).ToArray();
        var gradients = Gradient.Of((values[0] * c).Sum(), [.. wanted.Select(w => w.Item2)]);
        string[] keys = ["y", .. nexts.Select(b => $"next/{b.Path}"), .. wanted.Select(w => $"grad/{w.Item1}")];
        Expr[] roots = [.. values, .. gradients.Select((g, i) => g ?? wanted[i].Item2.ZerosLike())];
        foreach (var (type, tolerance) in new[] { (DType.F64, 1e-10), (DType.F32, 1e-4) })
        {
            var found = Evaluator.Evaluate(roots, given.ToDictionary(g => g.Key, g => g.Key.DType.IsFloat() ? g.Value.Cast(type) : g.Value), new PlanOptions { Float = type });
            for (var i = 0; i < keys.Length; i++)
                Near(Arrays.Value[$"{name}/{keys[i]}"], found[i], tolerance, $"{name}: {keys[i]} in {type.Text()}");
        }
    }

    public static TheoryData<string> Schedules() => new(Rates.Value.Keys);

    [Theory]
    [MemberData(nameof(Schedules))]
    public void A_schedule_has_the_rates_of_the_reference(string text)
    {
        var source = $"model M {{\n  input x: [B, 2]\n  loss mean(x |> dense(1))\n}}\n\ndata d = xor(samples = 8)\n\ntrain M() on d {{\n  optimizer sgd({text})\n}}\n";
        var result = Compiler.Compile(new SourceText(source));
        Assert.True(!result.HasErrors, $"{source}\n{new DiagnosticFormatter().Format(result.Diagnostics)}");
        var schedule = result.Chosen!.Recipe!.Optimizer.LearningRate;
        var expected = Rates.Value[text];
        for (var step = 0; step < expected.Length; step++)
        {
            foreach (var (type, tolerance) in new[] { (DType.F64, 1e-10), (DType.F32, 1e-4) })
                Near(Tensor.Create([expected[step]]).Reshape(), Evaluator.Evaluate([schedule.At(Expr.Scalar(step), 100)], new Dictionary<Expr, Tensor>(), new PlanOptions { Float = type })[0], tolerance * 0.1, $"{text} at step {step}");
        }
    }

    /// <summary>A name that is new in the catalog needs a case in tests/reference, or a reason here.</summary>
    [Fact]
    public void Every_name_has_a_reference()
    {
        var said = string.Join('\n', Cases.Value.Values.Select(c => c.GetProperty("text").GetString()).Concat(Rates.Value.Keys));
        var paths = Npz.Read(Data("optimizers.npz")).Keys.Select(k => k[..k.IndexOf('.', StringComparison.Ordinal)]).ToHashSet();
        var without = Catalog.All.Where(e => e.Kind switch
        {
            CatalogKind.Optimizer => !paths.Contains(e.Name),
            CatalogKind.Layer or CatalogKind.Combinator or CatalogKind.Function or CatalogKind.Loss or CatalogKind.Metric or CatalogKind.Schedule => !Regex.IsMatch(said, $@"(?<![\w.]){Regex.Escape(e.Name)}\b"),

            // Derivatives are held to finite differences and complex steps, initializers to their moments, sources to files.
            _ => false,
        });
        Assert.Empty(without.Select(e => $"{e.Kind} {e.Name}"));
    }

    private static Model Compiled(string name)
    {
        var text = Cases.Value[name].GetProperty("text").GetString()!;
        var inputs = Arrays.Value.Keys.Where(k => k.StartsWith($"{name}/in/", StringComparison.Ordinal)).Select(k => (Name: k[$"{name}/in/".Length..], Value: Arrays.Value[k]));
        var source = $"model M {{\n{string.Concat(inputs.Select(i => $"  input {i.Name}: {(i.Value.DType == DType.I64 ? "int" : "")}[{string.Join(", ", i.Value.Shape)}]\n"))}  {(text.Contains("output ", StringComparison.Ordinal) ? "" : "output y = ")}{text}\n}}\n";
        var result = Compiler.Compile(new SourceText(source));
        Assert.True(!result.HasErrors, $"{source}\n{new DiagnosticFormatter().Format(result.Diagnostics)}");
        return result.Model!;
    }

    private static Tensor Of(string name, string path) => new[] { "in", "param", "state" }.Select(k => Arrays.Value.GetValueOrDefault($"{name}/{k}/{path}")).First(t => t is not null)!;

    private static void Near(Tensor expected, Tensor found, double tolerance, string what)
    {
        Assert.True(expected.Shape.AsSpan().SequenceEqual(found.Shape.AsSpan()), $"{what}: {found.TypeText}, not {expected.TypeText}");
        var (e, f) = (expected.ToArray<double>(), found.Cast(DType.F64).ToArray<double>());
        var scale = Math.Max(1, e.Length == 0 ? 0 : e.Max(Math.Abs));
        for (var i = 0; i < e.Length; i++)
            Assert.True(Math.Abs(e[i] - f[i]) <= tolerance * scale, $"{what}, element {i}: {f[i]:R}, not {e[i]:R}");
    }

    private static string Data(string file) => RepoRoot.Combine("tests", "reference", "data", file);
}
