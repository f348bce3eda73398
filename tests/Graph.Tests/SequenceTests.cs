using Dnn.Checking;
using Xunit;
using static Dnn.Graph.Tests.Numerics;

namespace Dnn.Graph.Tests;

/// <summary>Sums and products so far, order, computed stretches, and gradient rules of one's own.</summary>
public class SequenceTests
{
    private static readonly Expr Eight = Expr.Variable("x", new Shape(2, 4));

    /// <summary>Dividing the product by a factor would give NaN here: no zero, one, two and three of them.</summary>
    [Theory]
    [InlineData(3, 2, -1, 4)]
    [InlineData(3, 0, -1, 4)]
    [InlineData(0, 2, 0, 4)]
    [InlineData(0, 0, 5, 0)]
    public void Products_have_all_derivatives_where_factors_are_zero(double a, double b, double c, double d)
    {
        var x = Expr.Variable("x", new Shape(4));
        double[] at = [a, b, c, d];
        var gradient = Value(x.Prod().Grad(x), (x, at));
        for (var i = 0; i < 4; i++)
            Assert.Equal(at.Where((_, k) => k != i).Aggregate(1.0, (p, v) => p * v), gradient[i]);
        Assert.Equal([a, a * b, a * b * c, a * b * c * d], Value(x.CumProd(), (x, at)));
        Differentiable(x.Prod(), (x, at));
        Differentiable((x.CumProd() * Expr.Vector(1, -2, 3, 5)).Sum(), (x, at));
    }

    [Fact]
    public void Products_over_axes_and_of_nothing()
    {
        double[] at = [1, 2, 3, 4, 5, 6, 7, 8];
        Assert.Equal([5, 12, 21, 32], Value(Eight.Prod(0), (Eight, at)));
        Assert.Equal([24, 1680], Value(Eight.Prod(-1), (Eight, at)));
        Assert.Equal(new Shape(2, 1), Eight.Prod(-1, keep: true).Shape);
        Assert.Equal([40320], Value(Eight.Prod(), (Eight, at)));
        Assert.Equal([1, 1], Value(Expr.Full(new Shape(2, 0), 3).Prod(-1)));
        Assert.Equal([1, 2, 3, 4, 5, 12, 21, 32], Value(Eight.CumProd(0), (Eight, at)));
        Assert.Equal([1, 3, 6, 10, 5, 11, 18, 26], Value(Eight.CumSum(), (Eight, at)));
        Assert.Equal([0, 1, 3], Reference.Evaluate([Expr.Iota(new Shape(3), 0).CumSum()], new Dictionary<Expr, RefValue<double>>())[0].Integers!);
    }

    [Fact]
    public void Sorting_is_stable_and_puts_nan_above_all()
    {
        var x = Expr.Variable("x", new Shape(7));
        double[] at = [2, double.NaN, -1, 2, 0, -0.0, double.PositiveInfinity];
        Assert.Equal([2, 4, 5, 0, 3, 6, 1], Integers(x.ArgSort(), (x, at)));
        Assert.Equal([1, 6, 0, 3, 4, 5, 2], Integers(x.ArgSort(descending: true), (x, at)));
        var (values, indices) = x.TopK(3);
        Assert.Equal([double.NaN, double.PositiveInfinity, 2], Value(values, (x, at)));
        Assert.Equal([1, 6, 0], Integers(indices, (x, at)));
        Assert.Equal([2, 0, 1], Integers((Expr.Vector(5, 6, 1) * 1).ArgSort()));
        Assert.Contains("has 7 elements, and 8 are asked for", Assert.Throws<ShapeException>(() => x.TopK(8)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Gradients_follow_the_permutation()
    {
        double[] at = [3, -1, 0.5, 2, 7, -2, 4, 1];
        var weights = Expr.Vector(1, 10, 100, 1000);
        Assert.Equal([1000, 1, 10, 100, 1000, 1, 100, 10], Value((Eight.Sort() * weights).Sum().Grad(Eight), (Eight, at)));
        Assert.Equal([1, 0, 0, 0, 1, 0, 0, 0], Value(Eight.TopK(1).Values.Sum().Grad(Eight), (Eight, at)));
        Differentiable((Eight.Sort(0).Square() * weights).Sum(), (Eight, at));
    }

    [Fact]
    public void Stretches_at_computed_places()
    {
        var (u, start) = (Expr.Variable("u", new Shape(2, 2)), Expr.Variable("start", Shape.Scalar, DType.I64));
        double[] at = [1, 2, 3, 4, 5, 6, 7, 8], update = [10, 20, 30, 40];
        Assert.Equal([2, 3, 6, 7], Value(Eight.DynamicSlice(1, 2, 1), (Eight, at)));
        Assert.Equal([1, 10, 20, 4, 5, 30, 40, 8], Value(Eight.DynamicUpdateSlice(u, 1, 1), (Eight, at), (u, update)));
        Differentiable((Eight.DynamicUpdateSlice(u, 2, 1).Square() * Eight.DynamicSlice(1, 1, 0)).Sum(), (Eight, at), (u, update));
        foreach (var place in (long[])[-1, 3])
        {
            var point = new Dictionary<Expr, RefValue<double>> { [Eight] = RefValue<double>.Of([2, 4], at), [u] = RefValue<double>.Of([2, 2], update), [start] = RefValue<double>.Of([], [place]) };
            foreach (var root in (Expr[])[Eight.DynamicSlice(start, 2, 1), Eight.DynamicUpdateSlice(u, start, 1)])
                Assert.Contains($"2 elements from {place} on do not lie within an axis of size 4", Assert.Throws<IndexException>(() => Reference.Evaluate([root], point)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_rule_of_ones_own_takes_the_place_of_the_derivative_at_every_order()
    {
        // A straight-through estimator, and a rule whose own derivative counts.
        var x = Expr.Variable("x", new Shape(3));
        double[] at = [0.4, 1.6, -2.2];
        var rounded = Expr.CustomGradient([x], x.Round(), (_, _, dy) => [dy]);
        Assert.Equal([0, 2, -2], Value(rounded, (x, at)));
        Assert.Equal([0, 4, -4], Value(rounded.Square().Sum().Grad(x), (x, at)));
        var square = Expr.CustomGradient([x], x.Square(), (xs, _, dy) => [dy * xs[0] * 10]);
        Assert.Equal([4, 16, -22], Value(square.Sum().Grad(x), (x, at)).Select(v => Math.Round(v, 12)));
        Assert.Equal([10, 10, 10], Value(square.Sum().Grad(x).Sum().Grad(x), (x, at)));
        var phased = Expr.CustomGradient([x], x.Square(), (_, _, dy) => [Expr.Phase(dy, 2 * dy)]);
        foreach (var training in new[] { true, false })
            Assert.Equal(training ? [1, 1, 1] : [2, 2, 2], Value(Phases.Resolve([phased], training)[0].Sum().Grad(x), (x, at)));
        Assert.Contains("one value an input: 1, not 2", Assert.Throws<GraphException>(() => Expr.CustomGradient([x], x, (_, _, dy) => [dy, dy])).Message, StringComparison.Ordinal);
        Assert.Contains("the gradient of input 0 has the shape []", Assert.Throws<ShapeException>(() => Expr.CustomGradient([x], x, (_, _, dy) => [dy.Sum()])).Message, StringComparison.Ordinal);
    }
}
