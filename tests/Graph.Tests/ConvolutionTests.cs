using System.Collections.Immutable;
using Dnn.Checking;
using Xunit;

namespace Dnn.Graph.Tests;

/// <summary>Convolutions and pooling by hand-worked examples, and what they say of wrong input.</summary>
public class ConvolutionTests
{
    /// <summary>0, 1, 2, … in a shape.</summary>
    private static Expr Counting(params int[] dims) =>
        Expr.Iota(new Shape(dims.Aggregate(1, (a, b) => a * b)), 0).Cast(DType.Float).Reshape(new Shape([.. dims.Select(d => Dim.Of(d))]));

    private static double[] Values(Expr x) => Reference.Evaluate([x], new Dictionary<Expr, RefValue<double>>())[0].Reals!;

    /// <summary>A layer with parameters of ones.</summary>
    private static (Expr Value, ImmutableArray<Parameter> Parameters) Ones(Layer layer, Expr x)
    {
        Expr? y = null;
        var model = Model.Build("M", b => b.Output("y", y = x.Apply(layer)));
        var ones = model.Parameters.ToDictionary(p => p.Variable, p => Expr.Full(p.Variable.Shape, 1));
        return (Expr.Substitute([y!], ones)[0], model.Parameters);
    }

    [Fact]
    public void A_convolution_sums_its_windows()
    {
        // 0 1 2 / 3 4 5 / 6 7 8, windows of 2 × 2, bias 1.
        var x = Counting(1, 3, 3, 1);
        Assert.Equal([9.0, 13, 21, 25], Values(Ones(Layers.Conv2d(1, 2, padding: Padding.Valid), x).Value));
        // "same": 1 zero in all on each axis, none of it first.
        Assert.Equal([9.0, 13, 8, 21, 25, 14, 14, 16, 9], Values(Ones(Layers.Conv2d(1, 2), x).Value));
        Assert.Equal([9.0, 8, 14, 9], Values(Ones(Layers.Conv2d(1, 2, stride: 2), x).Value));
        Assert.Equal([16.0], Values(Ones(Layers.Conv2d(1, 2, padding: Padding.Valid, dilation: 2, bias: false), x).Value));
        // 0 … 7 with a zero before: 0, 1 + 2, 3 + 4, 5 + 6.
        Assert.Equal([0.0, 3, 7, 11], Values(Ones(Layers.Conv1d(1, 2, padding: Padding.Of((1, 0)), stride: 2, bias: false), Counting(1, 8, 1)).Value));
    }

    [Fact]
    public void It_correlates_and_does_not_flip()
    {
        var kernel = Expr.Vector(1, 10).Reshape(new Shape(2, 1, 1));
        var y = Expr.Make(new ConvGeneral([1], new Shape(1), new Shape(0), [1], [1], 1), Expr.Vector(1, 2, 3).Reshape(new Shape(1, 3, 1)), kernel);
        Assert.Equal([10.0, 21, 32], Values(y));
    }

    [Fact]
    public void An_input_dilated_is_a_transposed_convolution()
    {
        var kernel = Expr.Vector(1, 10, 100).Reshape(new Shape(3, 1, 1));
        var y = Expr.Make(new ConvGeneral([1], new Shape(2), new Shape(2), [2], [1], 1), Expr.Vector(1, 2).Reshape(new Shape(1, 2, 1)), kernel.Reverse(0));
        Assert.Equal([1.0, 10, 102, 20, 200], Values(y));
    }

    [Fact]
    public void Parameters_are_counted()
    {
        static long Count(Layer layer, params Dim[] shape) => Ones(layer, Expr.Variable("x", new Shape(shape))).Parameters.Sum(p => p.Variable.Shape.ElementCount.Value);
        Assert.Equal(1728, Count(Layers.Conv2d(64, 3, bias: false), "B", 32, 32, 3));
        Assert.Equal(1728 + 64, Count(Layers.Conv2d(64, 3), "B", "H", "W", 3));
        Assert.Equal(3 * 5 * 2 * 8, Count(Layers.Conv2d(8, (3, 5), groups: 2, bias: false), "B", 9, 9, 4));
        Assert.Equal(9 * 12 + 12, Count(Layers.DepthwiseConv2d(3, multiplier: 3), "B", 9, 9, 4));
        Assert.Equal(5 * 4 * 6, Count(Layers.Conv1d(6, 5, bias: false), "B", "T", 4));
        Assert.Equal(27 * 2 * 4, Count(Layers.Conv3d(4, 3, bias: false), "B", 5, 5, 5, 2));
    }

    [Theory]
    [InlineData(7, 3, 1, 1)]
    [InlineData(8, 3, 2, 1)]
    [InlineData(7, 2, 3, 2)]
    [InlineData(5, 1, 4, 1)]
    [InlineData(1, 5, 2, 3)]
    public void Same_gives_one_window_for_each_step(int size, int kernel, int stride, int dilation)
    {
        var conv = Layers.Conv1d(2, kernel, stride, dilation: dilation);
        Assert.Equal((size + stride - 1) / stride, Ones(conv, Expr.Variable("x", new Shape(1, size, 3))).Value.Shape[1].Value);
        if (((kernel - 1) * dilation) + 1 >= stride)
            Assert.Equal(Dim.CeilDiv("T", stride), Ones(conv, Expr.Variable("x", new Shape(1, "T", 3))).Value.Shape[1]);
    }

    [Fact]
    public void Pooling_by_hand()
    {
        // 0 … 15 in four rows.
        var x = Counting(1, 4, 4, 1);
        Assert.Equal([5.0, 7, 13, 15], Values(x.MaxPool2d(2)));
        Assert.Equal([2.5, 4.5, 10.5, 12.5], Values(x.AvgPool2d(2)));
        Assert.Equal([10.0, 11, 14, 15], Values(x.MaxPool2d(3, 1)));
        Assert.Equal([5.0, 6, 9, 10], Values(x.AvgPool2d(3, 1)));
        Assert.Equal([10.0], Values(x.MaxPool2d(3)));
        // "same" at window 3, stride 2 pads one element behind: it is no maximum of negative numbers, and no part of a mean.
        Assert.Equal([0.0, -2, -8, -10], Values((-x).MaxPool2d(3, 2, Padding.Same)));
        Assert.Equal([5.0, 6.5, 11, 12.5], Values(x.AvgPool2d(3, 2, Padding.Same)));
        Assert.Equal([7.5], Values(x.GlobalAvgPool()));
        Assert.Equal([15.0], Values(x.GlobalMaxPool()));
        Assert.Equal([1.0, 3], Values(Counting(1, 5, 1).MaxPool1d(2)));
        Assert.Equal([0.0, 1.5, 3.5], Values(Counting(1, 5, 1).AvgPool1d(2, padding: Padding.Of((1, 0)))));
    }

    [Fact]
    public void Ties_in_a_window_share_the_gradient()
    {
        var x = Expr.Variable("x", new Shape(1, 3, 1));
        var point = new Dictionary<Expr, RefValue<double>> { [x] = RefValue<double>.Of([1, 3, 1], [1.0, 1, 0]) };
        Assert.Equal([0.5, 0.5, 0], Reference.Evaluate([x.MaxPool1d(3).Sum().Grad(x)], point)[0].Reals!);
        Assert.Equal([0.5, 1.5, 0], Reference.Evaluate([x.MaxPool1d(2, 1).Sum().Grad(x)], point)[0].Reals!);
    }

    [Fact]
    public void Gradients_of_layers_agree_with_differences()
    {
        var x = Expr.Variable("x", new Shape(2, 5, 4, 2));
        Expr? loss = null;
        var model = Model.Build("M", b =>
        {
            var y = x.Conv2d(4, (3, 2), stride: (2, 1)).Tanh().DepthwiseConv2d(2, dilation: (1, 2)).Tanh().Conv2d(2, 1, groups: 2);
            loss = (y.AvgPool2d(2, 1, Padding.Same) + y.MaxPool2d(3, 1, 1)).Square().Sum() + y.GlobalMaxPool().Sum();
            b.Output("loss", loss);
        });
        ImmutableArray<Expr> inputs = [x, .. model.Parameters.Select(p => p.Variable)];
        var point = inputs.ToDictionary(v => v, v =>
        {
            var dims = v.Shape.Evaluate(new Dictionary<string, long>());
            return RefValue<double>.Of(dims, [.. Enumerable.Range(0, (int)Strides.Count(dims)).Select(i => Math.Sin((i * 1.7) + dims.Length + dims[0]))]);
        });
        var report = GradientChecker.Check(loss!, inputs, point, new GradientCheckOptions());
        Assert.True(report.Passed, report.ToString());
    }

    public static TheoryData<string, Func<Expr, Expr>> Wrong => new()
    {
        { "conv2d takes [B, H, W, C], 4 axes with the channels last, not [2, 5, 5]; reshape adds the axis", x => x.Reshape(new Shape(2, 5, 5)).Conv2d(3, 3) },
        { "conv1d takes [B, T, C]", x => x.Conv1d(3, 3) },
        { "the window is larger than the input: 7 on 5 elements of axis 1 of [2, 5, 5, 1]; padding = \"same\" makes room", x => x.Conv2d(3, 7, padding: Padding.Valid) },
        { "the 1 channels of [2, 5, 5, 1] do not divide into 2 groups", x => x.Conv2d(4, 3, groups: 2) },
        { "3 filters do not divide into 2 groups", x => x.Conv2d(3, 3, groups: 2) },
        { "filters must be at least 1, not 0", x => x.Conv2d(0, 3) },
        { "kernel must be at least 1, not 0", x => x.Conv2d(2, 0) },
        { "kernel = (3, 3, 3) has 3 numbers, and there are 2 spatial axes", x => x.Conv2d(2, new[] { 3, 3, 3 }) },
        { "padding must be at least 0", x => x.Conv2d(2, 3, padding: -1) },
        { "max_pool2d takes [B, H, W, C]", x => x.Sum(0).MaxPool2d(2) },
        { "the window is larger than the input", x => x.AvgPool2d(6) },
        { "would see nothing but padding", x => x.MaxPool2d(2, 1, 2) },
        { "would see nothing but padding", x => x.AvgPool2d(2, 1, Padding.Of((0, 0), (0, 2))) },
        { "global_avg_pool takes [B, …, C]", x => x.Reshape(new Shape(2, 25)).GlobalAvgPool() },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void Wrong_input_is_explained(string message, Func<Expr, Expr> layer)
    {
        var error = Assert.ThrowsAny<GraphException>(() => Model.Build("M", b => b.Output("y", layer(b.Input("x", 2, 5, 5, 1)))));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_primitive_checks_its_arguments()
    {
        static void Fails(string message, int[] x, int[] w, int groups = 1, int stride = 1)
        {
            static Expr Of(int[] dims) => Expr.Variable("v", new Shape([.. dims.Select(d => Dim.Of(d))]));
            var conv = new ConvGeneral([stride], new Shape(0), new Shape(0), [1], [1], groups);
            Assert.Contains(message, Assert.ThrowsAny<GraphException>(() => Expr.Make(conv, Of(x), Of(w))).Message, StringComparison.Ordinal);
        }

        Fails("larger than the input: 4 on 3", [1, 3, 2], [4, 2, 2]);
        Fails("takes 3 channels", [1, 3, 2], [2, 3, 2]);
        Fails("do not divide into 2 groups", [1, 3, 2], [2, 1, 3], 2);
        Fails("at least 1", [1, 3, 2], [2, 2, 2], 1, 0);
        Fails("is empty", [1, 3, 2], [0, 2, 2]);
        Fails("each with 3 axes", [1, 3, 3, 2], [2, 2, 2]);
    }
}
