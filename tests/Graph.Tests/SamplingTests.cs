using Dnn.Checking;
using Xunit;
using static Dnn.Graph.Tests.Numerics;

namespace Dnn.Graph.Tests;

/// <summary>Transposed convolution, resizing, adaptive pooling, scatter_add: against plain loops, with both derivatives.</summary>
public class SamplingTests
{
    [Theory]
    [InlineData(3, 1, 0, "same", 5)]
    [InlineData(3, 2, 0, "same", 10)]
    [InlineData(4, 2, 0, "same", 10)]
    [InlineData(2, 3, 0, "same", 15)]
    [InlineData(5, 2, 1, "same", 11)]
    [InlineData(3, 2, 0, "valid", 11)]
    [InlineData(2, 3, 1, "valid", 15)]
    [InlineData(4, 2, 1, "1", 11)]
    public void A_transposed_convolution_adds_windows(int kernel, int stride, int more, string padding, int size)
    {
        var pad = padding switch { "same" => Padding.Same, "valid" => Padding.Valid, _ => (Padding)1 };
        var low = padding switch { "same" => Math.Max(0, kernel - stride) / 2, "valid" => 0, _ => 1 };
        var (y, model) = Applied(Layers.ConvTranspose1d(2, kernel, stride, pad, more), new Shape(1, 5, 3));
        Assert.Equal(new Shape(1, size, 2), y.Shape);
        var (x, weight, bias) = (model.Inputs[0].Value, model.Parameters[0].Variable, model.Parameters[1].Variable);
        Assert.Equal(new Shape(kernel, 2, 3), weight.Shape);
        (Expr, double[])[] at = [(x, Numbers(x, 1)), (weight, Numbers(weight, 2)), (bias, [0.5, -1])];
        var expected = Enumerable.Range(0, size * 2).Select(i => i % 2 == 0 ? 0.5 : -1).ToArray();
        for (var (i, n) = (0, 5); i < n; i++)
        {
            for (var k = 0; k < kernel; k++)
            {
                var to = (i * stride) + k - low;
                for (var f = 0; f < 2 && to >= 0 && to < size; f++)
                    expected[(to * 2) + f] += Enumerable.Range(0, 3).Sum(c => at[0].Item2[(i * 3) + c] * at[1].Item2[(((k * 2) + f) * 3) + c]);
            }
        }

        Near(expected, Value(y, at));
        Differentiable(y, at);
    }

    /// <summary>It is the transpose of the convolution with the same arguments, on an input that the stride divides.</summary>
    [Fact]
    public void A_transposed_convolution_is_the_gradient_of_the_convolution()
    {
        foreach (var (kernel, stride, pad) in new (Extent, Extent, Padding)[] { ((3, 4), (2, 1), Padding.Same), ((2, 3), (2, 3), Padding.Valid), (5, 2, Padding.Same), ((3, 4), 1, (1, 1)) })
        {
            var (y, model) = Applied(Layers.ConvTranspose2d(2, kernel, stride, pad, bias: false), new Shape(1, 3, 2, 3));
            var w = model.Parameters[0].Variable;
            var big = Expr.Variable("big", y.Shape);
            var (forward, other) = Applied(Layers.Conv2d(3, kernel, stride, pad, bias: false), y.Shape);
            forward = forward.Substitute(other.Inputs[0].Value, big).Substitute(other.Parameters[0].Variable, w);
            Assert.Equal(new Shape(1, 3, 2, 3), forward.Shape);
            var small = model.Inputs[0].Value;
            (Expr, double[])[] at = [(small, Numbers(small, 1)), (w, Numbers(w, 2)), (big, Numbers(big, 3))];
            Near(Value((forward * small).Sum().Grad(big), at), Value(y, at));
        }
    }

    [Theory]
    [InlineData(5, 10)]
    [InlineData(5, 7)]
    [InlineData(5, 3)]
    [InlineData(4, 1)]
    [InlineData(1, 4)]
    [InlineData(7, 7)]
    public void Resizing_takes_half_pixel_centres(int from, int to)
    {
        foreach (var length in (Dim[])[from, "N"])
        {
            var x = Expr.Variable("x", new Shape(1, length, 1));
            double[] at = [.. Enumerable.Range(0, from).Select(i => Math.Sin(2.3 * i))];
            var nearest = Enumerable.Range(0, to).Select(i => at[(int)Math.Floor((i + 0.5) * from / to)]).ToArray();
            var linear = Enumerable.Range(0, to).Select(i =>
            {
                var p = Math.Max(0, ((i + 0.5) * from / to) - 0.5);
                var first = (int)p;
                return (at[first] * (1 - (p - first))) + (at[Math.Min(first + 1, from - 1)] * (p - first));
            }).ToArray();
            Near(nearest, ValueAt(x.Resize(new Shape(to)), (x, at), (1, from, 1)));
            Near(linear, ValueAt(x.Resize(new Shape(to), Interpolation.Bilinear), (x, at), (1, from, 1)));
        }

        var image = Expr.Variable("x", new Shape(2, from, 2, 2));
        foreach (var method in Enum.GetValues<Interpolation>())
            Differentiable(image.Resize(new Shape(to, 3), method).Square(), (image, Numbers(image, 1)));
    }

    [Theory]
    [InlineData(6, 3)]
    [InlineData(7, 3)]
    [InlineData(5, 4)]
    [InlineData(2, 5)]
    [InlineData(9, 1)]
    public void Adaptive_pooling_takes_means_of_cells_that_cover(int from, int to)
    {
        double[] at = [.. Enumerable.Range(0, from).Select(i => Math.Sin(2.3 * i))];
        var expected = Enumerable.Range(0, to).Select(i => at[(i * from / to)..((((i + 1) * from) + to - 1) / to)].Average()).ToArray();
        foreach (var length in (Dim[])[from, "N"])
        {
            var x = Expr.Variable("x", new Shape(1, length, 1, 1));
            Near(expected, ValueAt(x.AdaptiveAvgPool2d((to, 1)), (x, at), (1, from, 1, 1)));
            var wide = x.Reshape(new Shape(1, 1, length, 1));
            Near(expected, ValueAt(wide.AdaptiveAvgPool2d((1, to)), (x, at), (1, from, 1, 1)));
        }

        var image = Expr.Variable("x", new Shape(1, from, 3, 2));
        Differentiable(image.AdaptiveAvgPool2d((to, 2)).Square(), (image, Numbers(image, 1)));
    }

    [Fact]
    public void Scattering_adds_slices_and_takes_gradients_from_there()
    {
        var (x, u) = (Expr.Variable("x", new Shape(3, 2)), Expr.Variable("u", new Shape(4, 2)));
        var indices = Expr.Vector(2, 0, 2, 2).Cast(DType.I64);
        (Expr, double[])[] at = [(x, [1, 2, 3, 4, 5, 6]), (u, [10, 20, 30, 40, 50, 60, 70, 80])];
        Assert.Equal([31, 42, 3, 4, 135, 166], Value(x.ScatterAdd(indices, u), at));
        Assert.Equal([1, 1, 0, 0, 3, 3], Value(Expr.Full(x.Shape, 0).ScatterAdd(indices, 1), at));
        Assert.Equal(new Shape("B", 3, 2), Expr.Variable("z", new Shape("B", 3, 2)).ScatterAdd(indices, u, 1).Shape);
        Differentiable(x.ScatterAdd(indices, u).Square(), at);
        Assert.Throws<IndexException>(() => Value(x.ScatterAdd(Expr.Scalar(3, DType.I64), 1), at));
    }

    [Fact]
    public void Steps_share_one_layer_and_branches_stand_side_by_side()
    {
        var model = Model.Build("M", m =>
        {
            var x = m.Input("x", "B", "T", 4, 3);
            m.Output("y", x.TimeDistributed(Layers.Sequential(Layers.Conv1d(2, 3), Layers.Function("flatten", h => h.Reshape(new Shape(h.Shape[0], 8))))));
            var parts = Layers.Parallel(Layers.Dense(2), Layers.Dense(5)).ApplyAll([x]);
            m.Output("a", parts[0]);
            m.Output("b", parts[1]);
        });
        Assert.Equal(["[B, T, 8]", "[B, T, 4, 2]", "[B, T, 4, 5]"], model.Outputs.Select(o => o.Value.Shape.ToString()));
        Assert.Equal(6, model.Parameters.Length);
    }

    [Fact]
    public void Dropping_paths_keeps_whole_rows()
    {
        var (y, model) = Applied(Layers.DropPath(0.5), new Shape(64, 3));
        var x = model.Inputs[0].Value;
        var point = new Dictionary<Expr, RefValue<double>> { [x] = RefValue<double>.Of([64, 3], [.. Enumerable.Repeat(1.0, 192)]), [RandomState.Seed] = RefValue<double>.Of([], [7L]), [RandomState.Step] = RefValue<double>.Of([], [0L]) };
        var value = Reference.Evaluate([Phases.Resolve([y], true)[0]], point)[0].Reals!;
        var kept = Enumerable.Range(0, 64).Count(r => value[3 * r] == 2);
        Assert.InRange(kept, 16, 48);
        Assert.All(Enumerable.Range(0, 64), r => Assert.True(value[3 * r] is 0 or 2 && value[(3 * r) + 1] == value[3 * r] && value[(3 * r) + 2] == value[3 * r]));
        Assert.Same(x, Phases.Resolve([y], false)[0]);
    }

    public static TheoryData<string, Func<Expr>> Mistakes { get; } = new()
    {
        { "output_padding must be below the stride, and 2 is not below 2", () => Applied(Layers.ConvTranspose1d(2, 3, 2, null, 2), new Shape(1, 5, 3)).Value },
        { "output_padding must be at least 0", () => Applied(Layers.ConvTranspose1d(2, 3, 2, null, -1), new Shape(1, 5, 3)).Value },
        { "padding (4, 4) cuts off all of axis 1", () => Applied(Layers.ConvTranspose1d(2, 3, 1, 4), new Shape(1, 5, 3)).Value },
        { "conv_transpose2d takes [B, H, W, C]", () => Applied(Layers.ConvTranspose2d(2, 3), new Shape(1, 5, 3)).Value },
        { "filters must be at least 1", () => Applied(Layers.ConvTranspose2d(0, 3), new Shape(1, 5, 5, 3)).Value },
        { "[4, 4] gives 2 sizes", () => Expr.Variable("x", new Shape(1, 5, 3)).Resize(new Shape(4, 4)) },
        { "must be at least 1, not 0", () => Expr.Variable("x", new Shape(1, 5, 3)).Resize(new Shape(0)) },
        { "size must be at least 1", () => Expr.Variable("x", new Shape(1, 5, 5, 3)).AdaptiveAvgPool2d(0) },
        { "takes sequences", () => Applied(Layers.TimeDistributed(Layers.Dense(2)), new Shape(3)).Value },
        { "one result a step", () => Applied(Layers.TimeDistributed(x => x.Sum()), new Shape(2, 3)).Value },
        { "at least 0 and below 1, not 1", () => Applied(Layers.DropPath(1), new Shape(3)).Value },
        { "the updates are [4, 2], not [3, 2]", () => Expr.Variable("x", new Shape(3, 2)).ScatterAdd(Expr.Iota(new Shape(4), 0), Expr.Variable("u", new Shape(3, 2))) },
        { "must be whole numbers", () => Expr.Variable("x", new Shape(3, 2)).ScatterAdd(Expr.Vector(1), 1) },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void A_mistake_is_explained(string message, Func<Expr> make) =>
        Assert.Contains(message, Assert.ThrowsAny<GraphException>(make).Message, StringComparison.Ordinal);

    private static (Expr Value, Model Model) Applied(Layer layer, Shape shape)
    {
        var model = Model.Build("M", m => m.Output("y", layer.Apply(m.Input("x", [.. shape.Dims]))));
        return (model.Outputs[0].Value, model);
    }

    private static double[] Numbers(Expr x, int seed) => [.. Enumerable.Range(0, (int)x.Shape.ElementCount.Value).Select(i => Math.Sin((1.7 * i) + seed) + 0.1)];

    private static double[] ValueAt(Expr y, (Expr Variable, double[] Numbers) at, System.Runtime.CompilerServices.ITuple dims) =>
        Reference.Evaluate([y], new Dictionary<Expr, RefValue<double>> { [at.Variable] = RefValue<double>.Of([.. Enumerable.Range(0, dims.Length).Select(i => (int)dims[i]!)], at.Numbers) })[0].Reals!;
}
