using System.Collections.Immutable;
using Dnn.Backend;
using Dnn.Graph;

namespace Dnn.Claims;

/// <summary>What layers keep when their input is moved, and what they cost for it.</summary>
internal static class Equivariance
{
    public static ImmutableArray<Claim> Claims { get; } =
    [
        new("equivariance", "Convolution commutes with shifts, attention with permutations of positions, graph layers with those of nodes.", "LeCun et al. 1989; Vaswani et al. 2017; Kipf & Welling 2017", Layers),
        new("attention-cost", "Attention costs 4T²D beside the 8TD² of its projections: quadratic in the length of the sequence.", "Vaswani et al. 2017", AttentionCost),
    ];

    private static IEnumerable<Line> Layers(Effort effort)
    {
        const double exact = 1e-12;
        foreach (var seed in Lab.Seeds(effort))
        {
            // An image with a margin of zeros, so that nothing leaves it.
            var image = Image(seed, 0);
            var shifted = Image(seed, 2);
            Tensor Convolve(int stride, Tensor x) => Run(m => m.Input("x", "B", 16, 16, 2).Conv2d(3, 3, stride: stride).Relu(), seed, ("x", x));
            yield return Line.Between($"conv2d(shift x by 2) − shift(conv2d x) by 2 (seed {seed})", 0, exact, Lab.Largest(Convolve(1, shifted), Roll(Convolve(1, image), 2)));
            yield return Line.Between("… with stride 2, shift(conv2d x) by 1", 0, exact, Lab.Largest(Convolve(2, shifted), Roll(Convolve(2, image), 1)));
            yield return Line.Between("… with stride 2, x shifted by 1 and nothing to shift it by: not so", 0.01, double.PositiveInfinity, Lab.Largest(Convolve(2, Image(seed, 1)), Convolve(2, image)));
            Tensor Flat(Tensor x) => Run(m => m.Input("x", "B", 16, 16, 2).Reshape(new Shape("B", 512)).Dense(512).Relu().Reshape(new Shape("B", 16, 16, 2)), seed, ("x", x));
            yield return Line.Between("a dense layer in its place: not so", 0.01, double.PositiveInfinity, Lab.Largest(Flat(shifted), Roll(Flat(image), 2)));

            var order = Enumerable.Range(0, 7).Select(i => (i * 3 + seed) % 7).ToArray();
            var sequence = Lab.Normal("sequence", seed, 7, 8);
            Tensor Attend(bool causal, bool positions, Tensor x) => Run(
                m => { var h = m.Input("x", 1, 7, 8); return (positions ? h.SinusoidalPositions() : h).Attention(2, causal); }, seed, ("x", x.Reshape(1, 7, 8))).Reshape(7, 8);
            yield return Line.Between("attention(permuted x) − permuted(attention x)", 0, exact, Lab.Largest(Attend(false, false, Rows(sequence, order)), Rows(Attend(false, false, sequence), order)));
            yield return Line.Between("… with positions: not so", 0.01, double.PositiveInfinity, Lab.Largest(Attend(false, true, Rows(sequence, order)), Rows(Attend(false, true, sequence), order)));
            yield return Line.Between("… with a causal mask: not so", 0.01, double.PositiveInfinity, Lab.Largest(Attend(true, false, Rows(sequence, order)), Rows(Attend(true, false, sequence), order)));

            // Node order[i] becomes node i, in the edges as well.
            long[] edges = [0, 1, 1, 0, 1, 2, 2, 1, 2, 3, 3, 2, 3, 4, 4, 3, 4, 5, 5, 4, 5, 6, 6, 5, 0, 6, 6, 0, 2, 5, 5, 2];
            var renamed = edges.Select(e => (long)Array.IndexOf(order, (int)e)).ToArray();
            foreach (var (name, layer) in new (string, Func<Expr, Expr, Expr>)[]
            {
                ("graph_conv", (x, e) => x.GraphConv(e, 5)),
                ("graph_attention", (x, e) => x.GraphAttention(e, 5, 2)),
                ("message_passing", (x, e) => x.MessagePassing(e, Dnn.Graph.Layers.Dense(5))),
            })
            {
                Tensor Pass(Tensor x, long[] e) => Run(m => layer(m.Input("x", "N", 8), m.Input("edges", DType.I64, "E", 2)), seed, ("x", x), ("edges", Tensor.Create(e, e.Length / 2, 2)));
                yield return Line.Between($"{name}(renamed nodes) − renamed({name})", 0, exact, Lab.Largest(Pass(Rows(sequence, order), renamed), Rows(Pass(sequence, edges), order)));
            }
        }
    }

    private static Tensor Run(Func<ModelBuilder, Expr> layer, int seed, params (string, Tensor)[] inputs)
    {
        var model = Model.Build("One", m => m.Output("y", layer(m)));
        return new Predictor(model, Lab.Start(model, seed), Lab.Double).Predict(inputs)["y"];
    }

    /// <summary>Six by six random pixels in the middle of an image, moved to the right.</summary>
    private static Tensor Image(int seed, int shift)
    {
        var (patch, image) = (Lab.Normal("patch", seed, 6, 6, 2), new double[16 * 16 * 2]);
        for (var i = 0; i < 6 * 6 * 2; i++)
            image[((((i / 12) + 5) * 16) + (i / 2 % 6) + 5 + shift) * 2 + (i % 2)] = patch[i / 12, i / 2 % 6, i % 2];
        return Tensor.Create(image, 1, 16, 16, 2);
    }

    /// <summary>An image moved to the right, round the edge.</summary>
    private static Tensor Roll(Tensor x, int shift)
    {
        var v = Expr.Variable("x", new Shape([.. x.Shape.Select(n => Dim.Of(n))]));
        return Evaluator.Evaluate([v.Roll(shift, 2)], new Dictionary<Expr, Tensor> { [v] = x }, Lab.Double)[0];
    }

    private static Tensor Rows(Tensor x, int[] order) => Tensor.Create([.. order.SelectMany(i => Enumerable.Range(0, x.Shape[1]).Select(j => x[i, j]))], x.Shape[0], x.Shape[1]);

    private static IEnumerable<Line> AttentionCost(Effort effort)
    {
        const int d = 64;
        var model = Model.Build("Attention", m => m.Output("y", m.Input("x", 1, "T", d).Attention(4)));
        var program = TrainingStep.Prediction(model).Simplify();
        var last = 0L;
        foreach (var t in effort == Effort.Full ? new[] { 64, 256, 1024, 4096 } : [64, 256, 1024])
        {
            var plan = Plan.Compile(program, new Dictionary<string, long> { ["T"] = t }, Lab.Single);
            var products = (8.0 * t * d * d) + (4.0 * t * t * d);
            // Softmax and biases are elementwise work on top: a few operations for each of the 4 T² scores and the TD numbers.
            yield return Line.Between($"T = {t}: flop of the plan, from the products alone to 10 % more and 12 a score", products, (products * 1.1) + (12.0 * 4 * t * t), plan.Flops);
            if (last > 0)
                yield return Line.Between($"… against T = {t / 4}: between 4 (linear) and 16 (quadratic)", 4, 16.5, (double)plan.Flops / last);
            yield return Line.Show("… planned bytes of temporaries", plan.TemporaryBytes);
            last = plan.Flops;
        }
    }
}
