using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>What <see cref="Propagation"/> predicts of nets at initialization is what they do.</summary>
public class PropagationTests
{
    private const double Margin = 1.5;

    private const int Rows = 24, Seeds = 4;

    private static readonly Dictionary<string, Func<Expr, Expr>> Activations = new()
    {
        ["relu"] = x => x.Relu(),
        ["leaky_relu"] = x => x.LeakyRelu(0.2),
        ["elu"] = x => x.Elu(),
        ["selu"] = x => x.Selu(),
        ["gelu"] = x => x.Gelu(),
        ["swish"] = x => x.Swish(),
        ["mish"] = x => x.Mish(),
        ["softplus"] = x => x.Softplus(),
        ["tanh"] = x => x.Tanh(),
        ["sigmoid"] = x => x.Sigmoid(),
        ["softsign"] = x => x.Softsign(),
        ["hard_swish"] = x => x.HardSwish(),
    };

    private static readonly Dictionary<string, Func<Expr>> Nets = new()
    {
        ["bias"] = () => Repeat(Input(96), 4, x => x.Dense(96, biasInit: 0.3).Relu()),
        ["orthogonal"] = () => Repeat(Input(96), 6, x => x.Dense(96, init: Initializers.Orthogonal(1.4)).Relu()),
        ["wide and narrow"] = () => Input(32).Dense(256).Relu().Dense(64).Tanh().Dense(128, init: Initializers.Normal(0.2)).Relu(),
        ["steep tanh"] = () => Repeat(Input(96), 5, x => x.Dense(96, init: Initializers.Normal(0.5)).Tanh()),
        ["dropout"] = () => Repeat(Input(96), 4, x => x.Dense(96).Relu().Dropout(0.4)),
        ["layer norm"] = () => Repeat(Input(96), 5, x => x.Dense(96, init: Initializers.Normal(0.3)).LayerNorm().Relu()),
        ["norms of few inputs"] = () => Input(6).Dense(96).LayerNorm().Relu().Dense(96).Tanh(),
        ["norms of two inputs"] = () => Input(2).Dense(96).Relu().LayerNorm().Dense(96).LayerNorm().Relu(),
        ["few inputs"] = () => Repeat(Input(3), 4, x => x.Dense(128).Swish()),
        ["rms norm"] = () => Repeat(Input(96), 5, x => x.RmsNorm().Dense(96).Gelu()),
        ["batch norm"] = () => Repeat(Input(96), 5, x => x.Dense(96).Relu().BatchNorm()),
        ["residual"] = () => Repeat(Input(96), 6, x => x + x.Dense(96).Relu().Dense(96)),
        ["pre-norm residual"] = () => Repeat(Input(96), 8, x => x + x.LayerNorm().Dense(192).Gelu().Dense(96)),
        ["post-norm residual"] = () => Repeat(Input(96), 5, x => (x + x.Dense(96).Relu().Dense(96)).LayerNorm()),
        ["highway"] = () => Repeat(Input(96), 3, x => x.Dense(96).Sigmoid() * x.Dense(96).Tanh()),
        ["convolutions"] = () => Repeat(Image(8, 16), 4, x => x.Conv2d(24, 3).Relu()),
        ["convolutions with pools"] = () => Image(16, 3).Conv2d(24, 3).Relu().MaxPool2d(2).Conv2d(32, 3).Relu().AvgPool2d(2).Conv2d(48, 3).Relu().GlobalAvgPool().Dense(192).Relu(),
        ["strides and padding"] = () => Image(15, 8).Conv2d(32, 5, stride: 2).Relu().Conv2d(32, 3, padding: Padding.Valid).Relu().Conv2d(32, 3, dilation: 2).Relu(),
        ["depthwise"] = () => Image(8, 32).DepthwiseConv2d(3).Relu().Conv2d(32, 1).Relu().DepthwiseConv2d(3).Conv2d(32, 1).Relu(),
        ["ResNet"] = () => Repeat(Image(8, 16).Conv2d(24, 3, bias: false).BatchNorm().Relu(), 4, x =>
            (x + x.Conv2d(24, 3, bias: false).BatchNorm().Relu().Conv2d(24, 3, bias: false).BatchNorm()).Relu()).GlobalAvgPool().Dense(192).Relu(),
        ["group norm"] = () => Repeat(Image(8, 16), 4, x => x.Conv2d(24, 3).GroupNorm(4).Relu()),
        ["concatenated"] = () => Repeat(Image(6, 16), 3, x => Expr.Concat(3, x, x.Conv2d(16, 3).Relu())),
        ["attention"] = () => Repeat(Input(12, 64), 3, x => x + Attend(x.LayerNorm())),
    };

    public static TheoryData<string, int, int> Plain()
    {
        var data = new TheoryData<string, int, int>();
        foreach (var name in Activations.Keys)
        {
            data.Add(name, 96, 3);
            data.Add(name, 256, 5);

            // The theory is one of wide nets: what one draw of weights differs from another grows as depth over width, and most where small signals fade, as in swish.
            data.Add(name, 512, 8);
        }

        return data;
    }

    public static TheoryData<string> Names() => [.. Nets.Keys];

    [Theory]
    [MemberData(nameof(Plain))]
    public void Plain_nets_are_predicted(string activation, int width, int depth) =>
        Check($"{activation}, {width} wide, {depth} deep", () => Repeat(Input(width), depth, x => Activations[activation](x.Dense(width))));

    [Theory]
    [MemberData(nameof(Names))]
    public void Other_nets_are_predicted(string name) => Check(name, Nets[name]);

    [Fact]
    public void Weights_whose_mean_matters_get_no_prediction()
    {
        var model = Model.Build("net", m => m.Output("y", m.Input("x", "B", 64).Dense(8, init: Initializers.Uniform(0, 1))));
        Assert.Null(Propagation.Of(model).Find(model.Outputs[0].Value));
    }

    /// <summary>Variances, and gradients in relation to the last linear map, at every linear map.</summary>
    private static void Check(string name, Func<Expr> compose)
    {
        var model = Model.Build("net", m =>
        {
            input = null;
            var y = compose();
            m.Output("y", y.Dense((int)y.Shape[^1].Value, init: Initializers.LecunNormal));
        });
        model = model with { Inputs = [new Named("x", input!)] };
        var predicted = Propagation.Of(model, size => Rows);
        var data = new HashSet<Expr>();
        var maps = new List<Expr>();
        foreach (var node in Expr.PostOrder([model.Outputs[0].Value]))
        {
            if (node == input || node.Args.Any(data.Contains))
                data.Add(node);
            if (Propagation.IsLinearMap(node, data.Contains, out _))
                maps.Add(node);
        }

        var last = maps[^1];
        var objective = (last * Rng.Normal(RandomState.Key("cotangent"), last.Shape)).Sum();
        var (squares, gradients) = (new double[maps.Count], new double[maps.Count]);
        for (var seed = 1; seed <= Seeds; seed++)
        {
            int[] dims = [.. input!.Shape.Dims.Select(d => d.IsKnown ? (int)d.Value : Rows)];
            var x = Initialization.Sample(Initializers.Normal(1), new TensorType(DType.Float, new Shape([.. dims.Select(d => (Dim)d)])), "x", seed);
            var measured = Measurement.Of(model, maps, objective, Initialization.Sample(model, seed), [("x", x)], seed: seed);
            for (var i = 0; i < maps.Count; i++)
            {
                squares[i] += measured[i].Square / Seeds;
                gradients[i] += measured[i].Gradient!.Value / measured[^1].Gradient!.Value / Seeds;
            }
        }

        var text = new System.Text.StringBuilder(name).AppendLine();
        var worst = 1.0;
        for (var i = 0; i < maps.Count; i++)
        {
            var (square, factor) = (predicted.Find(maps[i])!.Value.Square, Math.Sqrt(predicted.Gradient(maps[i])!.Value / predicted.Gradient(last)!.Value));
            var measuredFactor = Math.Sqrt(gradients[i]);
            text.AppendLine($"  {i}: variance {square:G4} predicted, {squares[i]:G4} measured; gradient factor {factor:G4} predicted, {measuredFactor:G4} measured");
            foreach (var ratio in new[] { square / squares[i], factor / measuredFactor })
                worst = Math.Max(worst, Math.Max(ratio, 1 / ratio));
        }

        Assert.True(worst <= Margin, $"off by {worst:G3}: {text}");
    }

    [ThreadStatic]
    private static Expr? input;

    private static Expr Input(params Dim[] row) => input = Expr.Variable("x", new Shape(["B", .. row]));

    private static Expr Image(int size, int channels) => Input(size, size, channels);

    private static Expr Repeat(Expr x, int times, Func<Expr, Expr> layer) => Enumerable.Range(0, times).Aggregate(x, (h, _) => layer(h));

    private static Expr Attend(Expr x)
    {
        var (q, k, v) = (x.Dense(64), x.Dense(64), x.Dense(64));
        return (q.MatMul(k.SwapAxes(-1, -2)) / 8).Softmax().MatMul(v).Dense(64);
    }
}
