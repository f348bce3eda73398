using System.Collections.Immutable;
using Dnn.Graph;
using MathNet.Numerics.LinearAlgebra;

namespace Dnn.Backend;

/// <summary>Statistics of the elements of one node, and of the gradient there.</summary>
/// <param name="Mean">The mean.</param>
/// <param name="Square">The mean square.</param>
/// <param name="Zeros">The fraction that is exactly 0.</param>
/// <param name="Saturated">The fraction where a tanh or sigmoid has a slope below a tenth of its largest; null for other functions.</param>
/// <param name="Gradient">The mean square of the gradient; null where none comes.</param>
/// <param name="Count">The number of elements.</param>
public sealed record NodeStatistics(double Mean, double Square, double Zeros, double? Saturated, double? Gradient, double Count)
{
    public double Std => Math.Sqrt(Math.Max(0, Square - (Mean * Mean)));

    public double Rms => Math.Sqrt(Square);

    /// <summary>The Euclidean norm of the gradient.</summary>
    public double? GradientNorm => Gradient is { } square ? Math.Sqrt(square * Count) : null;
}

/// <summary>The singular values of a Jacobian.</summary>
/// <param name="Values">In descending order.</param>
public sealed record Spectrum(ImmutableArray<double> Values)
{
    public double Largest => Values[0];

    public double Smallest => Values[^1];

    public double Median => Values[Values.Length / 2];
}

/// <summary>Looks at a model while it computes: sizes of activations and gradients, and Jacobians.</summary>
public static class Measurement
{
    /// <summary>Where the slope 1 − y² of tanh is a tenth of that at 0.</summary>
    private static readonly double SteepEnd = Math.Sqrt(0.9);

    /// <summary>Runs the training phase once, without a step, and describes the values of some nodes.</summary>
    /// <param name="model">The model.</param>
    /// <param name="nodes">Nodes of its graph, float or not.</param>
    /// <param name="objective">The scalar whose gradient is described.</param>
    /// <param name="weights">Parameters and buffers.</param>
    /// <param name="inputs">Inputs and targets.</param>
    /// <param name="options">Float type and threads.</param>
    /// <param name="seed">Dropout and other draws.</param>
    public static ImmutableArray<NodeStatistics> Of(
        Model model, IReadOnlyList<Expr> nodes, Expr objective, Weights weights, (string Name, Tensor Value)[] inputs, PlanOptions? options = null, long seed = 0)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(nodes);
        ArgumentNullException.ThrowIfNull(inputs);
        var resolved = Phases.Resolve([objective, .. nodes], training: true);
        var gradients = Probes.Gradients(resolved[0], [.. resolved[1..]]);
        var outputs = ImmutableArray.CreateBuilder<Named>();
        for (var i = 0; i < nodes.Count; i++)
        {
            var x = resolved[i + 1].Cast(DType.Float);
            var bend = resolved[i + 1].Op switch { Tanh => x, Logistic => (2 * x) - 1, _ => null };
            outputs.Add(new($"mean{i}", x.Mean()));
            outputs.Add(new($"square{i}", x.Square().Mean()));
            outputs.Add(new($"zeros{i}", x.EqualTo(0).Mean()));
            if (bend is not null)
                outputs.Add(new($"saturated{i}", bend.Abs().GreaterThan(SteepEnd).Mean()));
            outputs.Add(new($"count{i}", x.OnesLike().Sum()));
            if (gradients[i] is { } gradient)
                outputs.Add(new($"gradient{i}", gradient.Square().Mean()));
        }

        var used = Expr.PostOrder(outputs.Select(o => o.Value)).ToHashSet();
        var program = TrainingStep.Stateless(model, [.. model.Inputs.Concat(model.Targets).Where(n => used.Contains(n.Value))], outputs.ToImmutable());
        var values = new Predictor(model, weights, program, options) { Seed = seed }.Predict([.. inputs.Where(v => program.Inputs.Any(p => p.Name == v.Name))]);
        double? Value(string name, int i) => values.TryGetValue($"{name}{i}", out var value) ? value.ToScalar() : null;
        return [.. Enumerable.Range(0, nodes.Count).Select(i => new NodeStatistics(
            Value("mean", i)!.Value, Value("square", i)!.Value, Value("zeros", i)!.Value, Value("saturated", i), Value("gradient", i), Value("count", i)!.Value))];
    }

    /// <summary>
    /// The singular values of ∂y/∂x of one row in the evaluation phase, by the singular value decomposition of MathNet; null where a node has no batch axis
    /// or more than <paramref name="most"/> elements a row.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="x">What is varied; its first axis is the batch's.</param>
    /// <param name="y">What changes; its first axis is the batch's.</param>
    /// <param name="weights">Parameters and buffers.</param>
    /// <param name="inputs">Inputs; the first row of each counts.</param>
    /// <param name="most">The most elements a row.</param>
    public static Spectrum? Jacobian(Model model, Expr x, Expr y, Weights weights, (string Name, Tensor Value)[] inputs, int most = 512)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(y);
        ArgumentNullException.ThrowIfNull(inputs);
        if (Batch(model) is not { } batch || Row(x, batch) is not { } columns || Row(y, batch) is not { } rows || columns > most || rows > most || x == y)
            return null;
        var sizes = new Dictionary<string, long>();
        foreach (var (name, value) in inputs)
        {
            if (model.Inputs.FirstOrDefault(i => i.Name == name)?.Value is { } declared)
                Unifier.Bind(sizes, declared.Shape, value.Shape.AsSpan(), $"the input '{name}'");
        }

        // Every row of a batch is the first; row i of the cotangent is the i-th unit vector: one pass backwards gives the whole matrix.
        sizes[batch.Name!] = rows;
        (string, Tensor)[] repeated = [.. inputs.Where(v => model.Inputs.Any(i => i.Name == v.Name)).Select(v => (v.Name, Repeat(model, v, batch, rows)))];
        var resolved = Phases.Resolve([x, y], training: false);
        var flat = resolved[1].Reshape(new Shape(batch, rows));
        var unit = Expr.Iota(new Shape(batch, rows), 0).EqualTo(Expr.Iota(new Shape(batch, rows), 1)).Cast(DType.Float);
        var at = resolved[0];
        if (Gradient.Of((flat * unit).Sum(), [at])[0] is not { } gradient)
            return null;
        var used = Expr.PostOrder([gradient]).ToHashSet();
        var program = TrainingStep.Stateless(model, [.. model.Inputs.Where(n => used.Contains(n.Value))], [new("jacobian", gradient.Reshape(new Shape(batch, columns)))]);
        if (!program.Inputs.Any(i => i.Value.Shape.Dims.Any(d => d.Equals(batch))))
            program = program with { Inputs = [.. model.Inputs.Take(1)] };
        var options = new PlanOptions { Float = DType.F64 };
        var result = new Predictor(model, weights, program, options).Predict([.. repeated.Where(v => program.Inputs.Any(p => p.Name == v.Item1))])["jacobian"].ToArray<double>();
        return result.All(double.IsFinite) ? new Spectrum([.. Matrix<double>.Build.Dense(columns, rows, result).Svd(computeVectors: false).S.Select(Math.Abs)]) : null;
    }

    private static Dim? Batch(Model model) => model.Inputs is [var first, ..] && first.Value.Rank > 0 && first.Value.Shape[0].Name is not null ? first.Value.Shape[0] : null;

    private static int? Row(Expr node, Dim batch) =>
        node.DType.IsFloat() && node.Rank > 0 && node.Shape[0].Equals(batch) && node.Shape.RemoveAt(0) is { IsKnown: true } row && row.ElementCount.Value is > 0 and <= int.MaxValue and var count ? (int)count : null;

    private static Tensor Repeat(Model model, (string Name, Tensor Value) input, Dim batch, int rows)
    {
        var declared = model.Inputs.First(i => i.Name == input.Name).Value;
        if (declared.Rank == 0 || !declared.Shape[0].Equals(batch))
            return input.Value;
        return new DataSplit("row", input).Take("rows", new int[rows])[input.Name];
    }
}
