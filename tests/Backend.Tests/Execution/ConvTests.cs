using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>Convolutions and both their gradients against the reference, at every float type and number of threads.</summary>
public class ConvTests
{
    private readonly Random random = new(11);
    private readonly Dictionary<Expr, double[]> values = [];

    public static TheoryData<string, int[], int[], int[], int[], int[], int[], int[], int> Cases => new()
    {
        // x, kernel, stride, low, high, input dilation, kernel dilation, groups
        { "3 x 3", [2, 6, 7, 3], [3, 3, 3, 5], [1, 1], [1, 1], [1, 1], [1, 1], [1, 1], 1 },
        { "wide enough for rows of the image", [2, 3, 30, 4], [3, 3, 4, 33], [1, 1], [1, 1], [1, 1], [1, 1], [1, 1], 1 },
        { "a long line, in blocks", [1, 260, 2], [5, 2, 3], [1], [2], [2], [1], [1], 1 },
        { "many small images", [20, 3, 3, 2], [2, 2, 2, 4], [1, 1], [0, 0], [0, 0], [1, 1], [1, 1], 1 },
        { "points", [3, 5, 4, 6], [1, 1, 6, 8], [1, 1], [0, 0], [0, 0], [1, 1], [1, 1], 1 },
        { "the whole image", [3, 5, 4, 2], [5, 4, 2, 7], [1, 1], [0, 0], [0, 0], [1, 1], [1, 1], 1 },
        { "strides", [2, 7, 8, 3], [3, 3, 3, 4], [2, 3], [1, 0], [1, 2], [1, 1], [1, 1], 1 },
        { "a stride beyond the kernel", [2, 9, 9, 2], [2, 1, 2, 3], [3, 4], [0, 1], [0, 0], [1, 1], [1, 1], 1 },
        { "a dilated kernel", [2, 9, 8, 2], [3, 2, 2, 3], [1, 2], [2, 1], [1, 0], [1, 1], [2, 3], 1 },
        { "a dilated input", [2, 4, 3, 2], [3, 3, 2, 3], [1, 1], [1, 2], [2, 1], [2, 3], [1, 1], 1 },
        { "everything at once", [2, 5, 6, 4], [3, 2, 2, 6], [2, 3], [1, 2], [3, 0], [2, 2], [2, 1], 2 },
        { "cut borders", [2, 8, 7, 2], [2, 2, 2, 3], [1, 1], [-2, 1], [-1, -3], [1, 1], [1, 1], 1 },
        { "groups", [2, 5, 5, 6], [3, 3, 2, 9], [1, 1], [1, 1], [1, 1], [1, 1], [1, 1], 3 },
        { "depthwise", [2, 6, 5, 19], [3, 3, 1, 19], [1, 1], [1, 1], [1, 1], [1, 1], [1, 1], 19 },
        { "depthwise with strides", [2, 6, 5, 8], [3, 2, 1, 8], [2, 1], [1, 0], [1, 1], [1, 1], [1, 2], 8 },
        { "depthwise, wide", [1, 4, 35, 67], [3, 5, 1, 67], [1, 1], [1, 2], [1, 2], [1, 1], [1, 1], 67 },
        { "depthwise, dilated", [2, 9, 8, 33], [3, 3, 1, 33], [1, 2], [2, 2], [2, 1], [1, 1], [2, 2], 33 },
        { "depthwise, a long sum", [9, 21, 13, 3], [2, 2, 1, 3], [1, 1], [0, 0], [0, 0], [1, 1], [1, 1], 3 },
        { "depthwise, transposed", [2, 3, 4, 17], [3, 3, 1, 17], [1, 1], [1, 1], [2, 1], [2, 3], [1, 1], 17 },
        { "one filter a group", [2, 5, 4, 6], [2, 2, 2, 3], [1, 1], [1, 0], [0, 1], [1, 1], [1, 1], 3 },
        { "depthwise with a multiplier", [2, 4, 5, 3], [2, 2, 1, 6], [1, 1], [0, 0], [1, 1], [1, 1], [1, 1], 3 },
        { "one channel to one", [1, 4, 4, 1], [2, 2, 1, 1], [1, 1], [0, 0], [0, 0], [1, 1], [1, 1], 1 },
        { "sizes of one", [1, 1, 1, 1], [1, 1, 1, 1], [2, 2], [0, 0], [0, 0], [1, 1], [3, 3], 1 },
        { "one axis", [3, 11, 4], [3, 4, 5], [2], [1], [1], [1], [2], 1 },
        { "three axes", [2, 4, 5, 3, 2], [2, 3, 2, 2, 3], [1, 2, 1], [1, 1, 0], [0, 1, 1], [1, 1, 2], [2, 1, 1], 1 },
        { "no images", [0, 4, 4, 2], [3, 3, 2, 3], [1, 1], [1, 1], [1, 1], [1, 1], [1, 1], 1 },
        { "no channels", [2, 4, 4, 0], [3, 3, 0, 3], [1, 1], [1, 1], [1, 1], [1, 1], [1, 1], 1 },
        { "no filters", [2, 4, 4, 2], [3, 3, 2, 0], [1, 1], [1, 1], [1, 1], [1, 1], [1, 1], 1 },
        { "nothing but padding", [2, 0, 3, 2], [2, 2, 2, 3], [1, 1], [1, 1], [2, 0], [1, 1], [1, 1], 1 },
    };

    [Theory]
    [InlineData(1, 6, 5, 3, 4)]
    [InlineData(3, 14, 14, 8, 33)]
    [InlineData(2, 1, 40, 5, 16)]
    [InlineData(5, 30, 3, 2, 64)]
    public void What_follows_a_convolution_equals_the_reference(int images, int height, int width, int channels, int filters)
    {
        // A residual block at evaluation: norms by running statistics, activations, an addition; 1 x 1 convolutions, whose inputs are free once they have run; sums of rows.
        var x = Var("x", images, height, width, channels);
        var h = Block(Conv(x, 3, channels), filters).Relu();
        var inner = Block(Conv(h, 3, filters), filters).Relu();
        var sum = (Block(Conv(inner, 1, filters), filters) + h).Relu();
        var last = Block(Conv(Block(Conv(sum, 1, filters), filters).Relu(), 1, filters), filters);
        Compare.WithReference([last, last.Exp().Sum(-1), sum.Mean(axes: [1, 2])], values, tolerance: 4096);

        Expr Conv(Expr input, int size, int from)
        {
            var conv = new ConvGeneral([1, 1], Dims([size / 2, size / 2]), Dims([size / 2, size / 2]), [1, 1], [1, 1], 1);
            return Expr.Make(conv, input, Var("w", size, size, from, filters)) / (size * Math.Sqrt(from));
        }

        Expr Block(Expr y, int count)
        {
            var (mean, variance, scale, shift) = (Var("m", count), Var("v", count), Var("g", count), Var("b", count));
            return ((y - mean) * (variance.Abs() + 0.5).Rsqrt() * scale) + shift;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_convolution_and_its_gradients_equal_the_reference(string name, int[] x, int[] kernel, int[] stride, int[] low, int[] high, int[] lhs, int[] rhs, int groups)
    {
        Assert.NotEmpty(name);
        var conv = new ConvGeneral(stride.ToValueList(), Dims(low), Dims(high), lhs.ToValueList(), rhs.ToValueList(), groups);
        var (image, weight) = (Var("x", x), Var("w", kernel));
        Compare.WithReference(With(image, weight), values, null, With(image.Abs(), weight.Abs()), 256);

        // Layouts that are no plain rows: channels first, a reversed and transposed kernel, a part of a larger input.
        int[] first = [0, .. Enumerable.Range(2, x.Length - 2), 1];
        var turned = Var("t", [x[0], x[^1], .. x[1..^1]]).Transpose(first);
        var part = Var("p", [x[0], x[1] + 3, .. x[2..]]).SliceAxis(1, 2, x[1] + 2);
        var mirrored = Var("m", [.. kernel[..^2], kernel[^1], kernel[^2]]).SwapAxes(-1, -2).Reverse(0);
        Expr[] Layouts(Func<Expr, Expr> f) => [Expr.Make(conv, f(turned), f(mirrored)), Expr.Make(conv, f(part), f(weight.Reverse(-1))).Transpose()];
        Compare.WithReference(Layouts(e => e), values, null, Layouts(e => e.Abs()), 256);

        Expr[] With(Expr a, Expr b)
        {
            var y = Expr.Make(conv, a, b);
            var cotangent = Var("c", y.Shape.Evaluate(new Dictionary<string, long>()));
            return [y, .. conv.Vjp(y, ReferenceEquals(a, image) ? cotangent : cotangent.Abs()).OfType<Expr>()];
        }
    }

    [Fact]
    public void Convolutions_of_any_sizes_equal_the_reference()
    {
        for (var round = 0; round < 24; round++)
        {
            var spatial = random.Next(1, 3);
            int[] Sizes(int low, int high) => [.. Enumerable.Range(0, spatial).Select(_ => random.Next(low, high + 1))];
            var groups = random.Next(2) == 0 ? 1 : random.Next(1, 40);
            var (channels, filters) = random.Next(2) == 0 ? (1, 1) : (random.Next(1, 4), random.Next(1, 4));
            var (kernel, stride, lhs, rhs, low, high) = (Sizes(1, 4), Sizes(1, 3), Sizes(1, 2), Sizes(1, 2), Sizes(-1, 3), Sizes(-1, 3));
            int[] size = [.. Enumerable.Range(0, spatial).Select(i => ((kernel[i] - 1) * rhs[i]) + 3 + random.Next(0, 12))];
            A_convolution_and_its_gradients_equal_the_reference(
                $"round {round}", [random.Next(1, 4), .. size, groups * channels], [.. kernel, channels, groups * filters], stride, low, high, lhs, rhs, groups);
            values.Clear();
        }
    }

    [Fact]
    public void Named_sizes_are_checked_when_a_plan_is_made()
    {
        var x = Expr.Variable("x", new Shape("B", "N", 2));
        var w = Expr.Variable("w", new Shape(3, 2, 4));
        var y = Expr.Make(new ConvGeneral([2], new Shape(0), new Shape(0), [1], [1], 1), x, w);
        Assert.Equal("[B, floor_div(N + 1, 2) - 1, 4]", y.Shape.ToString());
        (values[x], values[w]) = (Draw(2 * 9 * 2), Draw(24));
        Compare.WithReference([y, .. Gradient.Of(y.Square().Sum(), [x, w])!], values, new Dictionary<string, long> { ["B"] = 2, ["N"] = 9 }, null, 4096);
        var error = Assert.Throws<ShapeException>(() => Evaluator.Evaluate([y], new Dictionary<Expr, Tensor> { [x] = Tensor.Create(new double[4], 1, 2, 2), [w] = Tensor.Create(new double[24], 3, 2, 4) }));
        Assert.Contains("larger than the input", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Running_allocates_nothing()
    {
        var (x, w) = (Expr.Variable("x", new Shape(4, 12, 12, 3)), Expr.Variable("w", new Shape(3, 3, 3, 8)));
        var y = Expr.Make(new ConvGeneral([1, 1], new Shape(1, 1), new Shape(1, 1), [1, 1], [1, 1], 1), x, w);
        var session = new Session(new Program([new Named("x", x), new Named("w", w)], [], [new Named("y", y), .. Gradient.Of(y.Square().Sum(), [x, w]).Select((g, i) => new Named($"g{i}", g!))], []), new PlanOptions { Threads = 1 });
        session.Prepare(new Dictionary<string, long>());
        session.SetInput("x", Tensor.Create(Array.ConvertAll(Draw(4 * 12 * 12 * 3), v => (float)v), 4, 12, 12, 3));
        session.SetInput("w", Tensor.Create(Array.ConvertAll(Draw(216), v => (float)v), 3, 3, 3, 8));
        session.Run();
        var before = GC.GetAllocatedBytesForCurrentThread();
        session.Run();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private static Shape Dims(int[] sizes) => new([.. sizes.Select(s => Dim.Of(s))]);

    private Expr Var(string name, params int[] dims)
    {
        var x = Expr.Variable(name, Dims(dims));
        values[x] = Draw(dims.Aggregate(1, (a, b) => a * b));
        return x;
    }

    private double[] Draw(int count) => [.. Enumerable.Range(0, count).Select(_ => (double)(float)((random.NextDouble() * 4) - 2))];
}
