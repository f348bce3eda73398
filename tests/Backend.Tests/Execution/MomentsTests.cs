using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>Sums of squared deviations that are computed beside their sums, in one walk.</summary>
public class MomentsTests
{
    private readonly Random random = new(5);

    public static TheoryData<int[], int[]> Shapes => new()
    {
        { [32, 1], [0] },
        { [33, 3], [0] },
        { [7, 9, 11, 5], [0, 1, 2] },
        { [5, 31, 17], [0, 1] },
        { [2, 3000, 2], [1] },
        { [3, 4099], [1] },
        { [40000], [0] },
        { [20011, 3], [0] },
        { [260, 2100], [0] },
        { [2, 67, 65, 3], [1, 2, 3] },
        { [4, 9, 8, 19], [1, 2] },
        { [1, 64, 1, 6], [0, 1, 2] },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Variances_are_accurate_far_from_zero(int[] dims, int[] axes)
    {
        var x = Expr.Variable("x", new Shape([.. dims.Select(d => Dim.Of(d))]));
        var values = new Dictionary<Expr, double[]> { [x] = [.. Enumerable.Range(0, dims.Aggregate(1, (n, d) => n * d)).Select(_ => (double)(float)(10000 + Normal()))] };

        // Also of a value that is computed, kept and used with both.
        var y = (x - 9990.0).Relu();
        var normal = (y - y.Mean(axes, keep: true)) * (y.Var(axes, keep: true) + 1e-5).Rsqrt();
        Compare.WithReference([x.Var(axes), x.Mean(axes), x.Var(axes, keep: true).Sqrt(), y, normal], values, tolerance: 64);
    }

    [Fact]
    public void Values_that_are_no_numbers_and_constants_are_as_in_the_reference()
    {
        var x = Expr.Variable("x", new Shape(700, 6));
        var data = new double[700 * 6];
        for (var i = 0; i < data.Length; i++)
            data[i] = (i % 6) == 5 ? 0.1f : (float)Normal();
        (data[600 * 6], data[(3 * 6) + 1], data[(699 * 6) + 2], data[(300 * 6) + 3]) = (double.NaN, double.PositiveInfinity, double.NegativeInfinity, 1e15);
        Compare.WithReference([x.Mean([0]), x.Var([0]), x.Var([0]).Sqrt(), x.Sum([0])], new Dictionary<Expr, double[]> { [x] = data }, tolerance: 1024);
    }

    [Fact]
    public void Mean_and_deviations_share_a_kernel_and_the_gradient_of_a_batch_norm_holds()
    {
        var (x, g) = (Expr.Variable("x", new Shape("B", 6, 7, 5)), Expr.Variable("g", new Shape("B", 6, 7, 5)));
        var centred = x - x.Mean([0, 1, 2]);
        var y = centred * (centred.Square().Mean([0, 1, 2]) + 1e-3).Rsqrt();
        Expr[] roots = [y, Gradient.Of((y * g).Sum(), [x])[0]!];
        var sizes = new Dictionary<string, long> { ["B"] = 9 };
        var values = new Dictionary<Expr, double[]> { [x] = [.. Enumerable.Range(0, 9 * 210).Select(_ => Normal())], [g] = [.. Enumerable.Range(0, 9 * 210).Select(_ => Normal())] };
        Compare.WithReference(roots, values, sizes, tolerance: 512);
        var program = new Program([new Named("x", x), new Named("g", g)], [], [new Named("y", y), new Named("bar", roots[1])], []).Simplify();
        var plan = Plan.Compile(program, sizes, new PlanOptions { Threads = 1 });
        Assert.Single(plan.Code, i => i.Name.Contains("sum,deviations over columns", StringComparison.Ordinal));
    }

    private double Normal() => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
