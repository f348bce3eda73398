using Dnn.Checking;
using Dnn.Graph;
using FsCheck.Xunit;
using MathNet.Numerics.Providers.LinearAlgebra;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>The executor on random graphs, and on their gradients, against the reference evaluator.</summary>
public class ExecutorProperties
{
    private static readonly PlanOptions[] Configurations =
    [
        new() { Threads = 1 },
        new() { Threads = 2 },
        new() { Threads = 1, MatrixProduct = new MathNetMatrixProduct(LinearAlgebraControl.Provider) },
    ];

    [Property(Arbitrary = [typeof(GraphArbitrary.Any)], MaxTest = 100)]
    public void In_double_any_graph_has_the_values_of_the_reference(GraphRecipe recipe)
    {
        // Parts may be of single precision whatever the run is; what a rounded number decides may then rightly differ.
        var nodes = Expr.PostOrder(Roots(recipe.Sample));
        var single = nodes.Any(n => n.DType == DType.F32);
        if (!single || !nodes.Any(n => n.Op is Floor or Round or Sign or Graph.Compare or ArgMax or Cast { To: DType.I64 or DType.Bool }))
            Check(recipe.Sample, DType.F64, single ? 1e-4 : 1e-10);
    }

    [Property(Arbitrary = [typeof(GraphArbitrary.Smooth)], MaxTest = 100)]
    public void In_single_a_smooth_graph_has_the_values_of_the_reference(GraphRecipe recipe) => Check(recipe.Sample, DType.F32, 1e-4);

    [Property(Arbitrary = [typeof(GraphArbitrary.Any)], MaxTest = 50)]
    public void The_bits_do_not_depend_on_the_number_of_threads(GraphRecipe recipe)
    {
        var sample = recipe.Sample;
        var one = Run(sample, new PlanOptions { Threads = 1 });
        var three = Run(sample, new PlanOptions { Threads = 3 });
        Assert.All(one.Zip(three), pair => Assert.True(pair.First.BitEquals(pair.Second)));
    }

    private static Expr[] Roots(GraphSample sample) => [.. sample.Roots, .. Gradient.Of(sample.Loss, sample.Inputs).OfType<Expr>()];

    private static Tensor[] Run(GraphSample sample, PlanOptions options) =>
        Evaluator.Evaluate(Roots(sample), sample.Point.ToDictionary(p => p.Key, p => ToTensor(p.Key, p.Value)), options, sample.Sizes);

    private static Tensor ToTensor(Expr node, RefValue<double> value) => value.Reals is { } reals
        ? Tensor.Create(reals, value.Dims)
        : Tensor.Create(value.Integers!, value.Dims).Cast(node.DType);

    private static void Check(GraphSample sample, DType type, double tolerance)
    {
        var roots = Roots(sample);
        var expected = Reference.Evaluate(roots, sample.Point, sample.Sizes);

        // Rounding errors are relative to the largest value on the way.
        var scale = Reference.Evaluate(Expr.PostOrder(roots), sample.Point, sample.Sizes)
            .SelectMany(v => v.Reals ?? []).Where(double.IsFinite).Aggregate(1.0, (max, x) => Math.Max(max, Math.Abs(x)));
        foreach (var options in Configurations)
        {
            var actual = Run(sample, options with { Float = type });
            for (var i = 0; i < roots.Length; i++)
            {
                Assert.Equal(expected[i].Dims, actual[i].Shape);
                var given = actual[i].Cast(DType.F64);
                for (var k = 0; k < expected[i].Length; k++)
                {
                    var (e, a) = (expected[i].Reals?[k] ?? expected[i].Integers![k], given.AsSpan<double>()[k]);
                    Assert.True(e.Equals(a) || Math.Abs(e - a) <= tolerance * scale, $"{roots[i]}: element {k} is {a:R} and not {e:R}, at a scale of {scale:R}");
                }
            }
        }
    }
}
