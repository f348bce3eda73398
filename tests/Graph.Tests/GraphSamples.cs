using Dnn.Checking;
using Xunit;

namespace Dnn.Graph.Tests;

/// <summary>Values of random graphs at their point.</summary>
internal static class GraphSamples
{
    public static RefValue<double> Evaluate(GraphSample sample, Expr root) => Reference.Evaluate([root], sample.Point, sample.Sizes)[0];

    /// <summary>The largest value on the way: rounding errors are relative to it.</summary>
    public static double Scale(GraphSample sample, Expr root) =>
        Reference.Evaluate(Expr.PostOrder([root]), sample.Point, sample.Sizes).SelectMany(v => v.Reals ?? []).Where(double.IsFinite).Aggregate(1.0, (max, x) => Math.Max(max, Math.Abs(x)));

    public static void Close(RefValue<double> expected, RefValue<double> actual, double scale, double tolerance)
    {
        Assert.Equal(expected.Dims, actual.Dims);
        if (expected.Reals is null)
        {
            Assert.Equal(expected.Integers, actual.Integers);
            return;
        }

        for (var i = 0; i < expected.Reals.Length; i++)
        {
            var (x, y) = (expected.Reals[i], actual.Reals![i]);
            Assert.True(x.Equals(y) || Math.Abs(x - y) <= tolerance * scale, $"element {i} is {y} and not {x}, which differ by {Math.Abs(x - y)} at a scale of {scale}");
        }
    }
}
