using Dnn.Backend;
using Dnn.Checking;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>Holds the derivatives of a model's loss against independent oracles, at points made of data and drawn parameters.</summary>
internal static class ModelGradients
{
    private const int Rows = 3;
    private const double Nearby = 0.1;

    /// <summary>One point.</summary>
    /// <param name="model">The model; it has a loss.</param>
    /// <param name="order">1 for gradients, 2 for their derivatives as well.</param>
    /// <param name="sample">Tells points apart.</param>
    /// <param name="seed">What parameters are drawn from.</param>
    /// <param name="data">Rows to take; null for made values.</param>
    public static GradientReport Check(Model model, int order, int sample = 0, long seed = 0, DataSplit? data = null)
    {
        var loss = Rewriter.Stabilize.Rewrite(Phases.Resolve([model.TotalLoss], training: true, model.Provenance), model.Provenance)[0];
        var sizes = MadeValues.Sizes(model, Rows, Rows);
        return GradientChecker.Check(loss, [.. model.Trainable.Select(p => p.Variable)], Point(model, sizes, sample, seed, data), new GradientCheckOptions(order, (ulong)sample + 1, sizes));
    }

    /// <summary>Which layer and line a finding is about.</summary>
    public static string Place(Model model, GradientFinding finding)
    {
        var origin = model.Provenance.Find(finding.Node);
        return (origin?.Scope is { Path.Length: > 0 } scope ? $" in {scope.Path}" : "") + (origin?.Location is { } at ? $" at {at}" : "");
    }

    private static Dictionary<Expr, RefValue<double>> Point(Model model, IReadOnlyDictionary<string, long> sizes, int sample, long seed, DataSplit? data)
    {
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

        foreach (var (path, value) in Initialization.Sample(model, seed + sample, DType.F64))
        {
            var parameter = model.Parameters.FirstOrDefault(p => p.Path == path);
            point[parameter?.Variable ?? model.Buffers.First(b => b.Path == path).Variable] = Reference(parameter is null ? value : Moved(parameter, value, seed + sample));
        }

        return point;
    }

    /// <summary>
    /// Near where a parameter starts: biases of exactly 0 put units of an empty input on their kinks, and a branch that starts at 0 hides the derivatives of all that is in it.
    /// </summary>
    private static Tensor Moved(Parameter parameter, Tensor value, long seed)
    {
        var by = Initialization.Sample(new UniformInitializer(-Nearby, Nearby), parameter.Variable.Type, parameter.Path + " nearby", seed, DType.F64).ToArray<double>();
        return Tensor.Create([.. value.ToArray<double>().Zip(by, (v, d) => v + d)], [.. value.Shape]);
    }

    private static RefValue<double> Reference(Tensor tensor) => tensor.DType == DType.F64
        ? RefValue<double>.Of([.. tensor.Shape], tensor.ToArray<double>())
        : RefValue<double>.Of([.. tensor.Shape], tensor.Cast(DType.I64).ToArray<long>());
}
