using Dnn.Checking;
using Xunit;

namespace Dnn.Graph.Tests;

/// <summary>Values and derivatives of graphs at given numbers.</summary>
internal static class Numerics
{
    public static Dictionary<Expr, RefValue<double>> Point(params (Expr Variable, double[] Numbers)[] at) =>
        at.ToDictionary(v => v.Variable, v => RefValue<double>.Of([.. v.Variable.Shape.Dims.Select(d => (int)d.Value)], v.Numbers));

    public static double[] Value(Expr y, params (Expr Variable, double[] Numbers)[] at) => Reference.Evaluate([y], Point(at))[0].Reals!;

    public static long[] Integers(Expr y, params (Expr Variable, double[] Numbers)[] at) => Reference.Evaluate([y], Point(at))[0].Integers!;

    public static void Near(double[] expected, double[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        Assert.All(expected.Zip(actual), p => Assert.Equal(p.First, p.Second, 1e-12));
    }

    /// <summary>First and second derivatives agree with the oracles.</summary>
    public static void Differentiable(Expr y, params (Expr Variable, double[] Numbers)[] at)
    {
        var report = GradientChecker.Check(y, [.. at.Select(v => v.Variable)], Point(at), new GradientCheckOptions(Order: 2));
        Assert.True(report.Passed, report.ToString());
    }
}
