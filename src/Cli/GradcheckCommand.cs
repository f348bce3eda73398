using System.CommandLine;
using System.Globalization;
using Dnn.Backend;
using Dnn.Checking;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>Holds every derivative of a model against independent oracles.</summary>
internal sealed class GradcheckCommand : CliCommand
{
    private const int Rows = 3;

    private readonly Argument<string> file = Common.File();
    private readonly Option<int?> order = new("--order") { Description = "1 for gradients (default), 2 for their derivatives as well.", HelpName = "1|2" };
    private readonly Option<int?> samples = Common.Count("--samples", "N", "How many points are checked; 1 unless given.");

    public GradcheckCommand()
        : base("gradcheck", "Checks every derivative of a model against independent oracles.", "dnn gradcheck examples/two_moons.dnn --order 2")
    {
        order.AcceptOnlyFromAmong("1", "2");
        Arguments.Add(file);
        Options.Add(order);
        Options.Add(samples);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var source = ModelFile.Load(invocation.Get(file)!, invocation, withData: true);
        var model = source.Model;
        var loss = Rewriter.Stabilize.Rewrite(Phases.Resolve([model.TotalLoss], training: true, model.Provenance), model.Provenance)[0];
        var sizes = MadeValues.Sizes(model, Rows, Rows);
        var (checks, skipped) = (0, 0);
        var findings = new List<GradientFinding>();
        for (var sample = 0; sample < (invocation.Get(samples) ?? 1); sample++)
        {
            var options = new GradientCheckOptions(invocation.Get(order) ?? 1, (ulong)sample + 1, sizes);
            var report = GradientChecker.Check(loss, [.. model.Trainable.Select(p => p.Variable)], Point(source, sizes, sample), options);
            (checks, skipped) = (checks + report.Checks, skipped + report.Skipped);
            findings.AddRange(report.Findings);
        }

        if (invocation.Json)
            invocation.Output.WriteLine(Json(model, checks, skipped, findings));
        else
            Show(model, checks, skipped, findings, invocation);
        return findings.Count == 0 ? 0 : 1;
    }

    /// <summary>Rows of the data where there is any, made values else; parameters as they are drawn for a seed.</summary>
    private static Dictionary<Expr, RefValue<double>> Point(ModelFile source, IReadOnlyDictionary<string, long> sizes, int sample)
    {
        var model = source.Model;
        var data = source.HasTraining ? source.Reader.Read(source.Training().Data)[DataDescription.Train] : null;
        var point = new Dictionary<Expr, RefValue<double>>
        {
            [RandomState.Seed] = RefValue<double>.Of([], new long[] { sample }),
            [RandomState.Step] = RefValue<double>.Of([], new long[] { 0 }),
        };
        foreach (var (name, value) in model.Inputs.Concat(model.Targets))
        {
            var dims = value.Shape.Evaluate(sizes);
            var made = MadeValues.Of(value, sizes, $"{name} {sample}", DType.F64);
            if (data is not null && data.Columns.Contains(name) && dims is [Rows, ..] && data.Rows >= Rows)
            {
                var rows = Enumerable.Range(0, Rows).Select(i => ((sample * Rows) + i) % data.Rows).ToArray();
                var column = data.Take(name, rows)[name].Cast(made.DType);
                if (column.Length == made.Length)
                    made = column.Reshape(dims);
            }

            point[value] = Reference(made);
        }

        foreach (var (path, value) in Initialization.Sample(model, source.Seed + sample, DType.F64))
        {
            var variable = model.Parameters.FirstOrDefault(p => p.Path == path)?.Variable ?? model.Buffers.First(b => b.Path == path).Variable;
            point[variable] = Reference(value);
        }

        return point;
    }

    private static RefValue<double> Reference(Tensor tensor) => tensor.DType == DType.F64
        ? RefValue<double>.Of([.. tensor.Shape], tensor.ToArray<double>())
        : RefValue<double>.Of([.. tensor.Shape], tensor.Cast(DType.I64).ToArray<long>());

    private static string Place(Model model, GradientFinding finding)
    {
        var origin = model.Provenance.Find(finding.Node);
        return (origin?.Scope is { Path.Length: > 0 } scope ? $" in {scope.Path}" : "") + (origin?.Location is { } at ? $" at {at}" : "");
    }

    private static void Show(Model model, int checks, int skipped, List<GradientFinding> findings, Invocation invocation)
    {
        foreach (var finding in findings)
            invocation.Output.WriteLine($"{finding}{Place(model, finding)}");
        if (!invocation.Quiet || findings.Count > 0)
            invocation.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{checks} comparisons, {findings.Count} wrong, {skipped} without an answer (at a kink, or beyond the oracle's precision)"));
    }

    private static string Json(Model model, int checks, int skipped, List<GradientFinding> findings) => JsonText.Object(json =>
    {
        json.WriteNumber("checks", checks);
        json.WriteNumber("skipped", skipped);
        json.WriteStartArray("wrong");
        foreach (var finding in findings)
        {
            json.WriteStartObject();
            json.WriteString("op", finding.Node.Op.Name);
            json.WriteString("oracle", finding.Oracle.ToString());
            json.WriteReal("expected", finding.Expected);
            json.WriteReal("actual", finding.Actual);
            json.WriteString("message", finding.Reason + Place(model, finding));
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });
}
