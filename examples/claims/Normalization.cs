using System.Collections.Immutable;
using Dnn.Backend;
using Dnn.Graph;

namespace Dnn.Claims;

/// <summary>What keeps activations in size, and what that costs.</summary>
internal static class Normalization
{
    public static ImmutableArray<Claim> Claims { get; } =
    [
        new("normal-outputs", "At initialization, every module turns N(0, 1) into N(0, 1).", "LeCun et al. 1998; He et al. 2015", NormalOutputs),
        new("batch-two", "Batch norm at batch size 2 leaves signs only; layer norm does not see the batch.", "Ioffe & Szegedy 2015; Ba et al. 2016; Wu & He 2018", BatchOfTwo),
        new("covariate-shift", "Batch norm trains faster because it reduces internal covariate shift.", "Ioffe & Szegedy 2015; against it Santurkar et al. 2018", CovariateShift),
    ];

    private static IEnumerable<Line> NormalOutputs(Effort effort)
    {
        const int d = 64, t = 16;
        var rows = effort == Effort.Full ? 128 : 32;
        foreach (var (name, module, mean, variance) in new (string, Func<Expr, Expr>, double, double)[]
        {
            ("dense (Xavier)", x => x.Dense(d), 0, 1),
            ("dense before a ReLU (He): variance 2, on purpose", x => x.Dense(d, init: Initializers.HeNormal), 0, 2),
            ("… behind the ReLU: mean 1/√π, mean square 1", x => x.Dense(d, init: Initializers.HeNormal).Relu(), 1 / Math.Sqrt(Math.PI), 1 - (1 / Math.PI)),
            ("conv1d of 3, inside (Xavier)", x => x.Conv1d(d, 3, padding: Padding.Valid), 0, 1),
            ("conv2d of 3, inside (Xavier)", x => Image(x).Conv2d(d, 3, padding: Padding.Valid), 0, 1),
            ("conv3d of 2, inside (Xavier)", x => x.Reshape(new Shape(x.Shape[0], 2, 2, 4, d)).Conv3d(d, 2, padding: Padding.Valid), 0, 1),
            ("depthwise_conv2d (Xavier): not so, 2/(1 + d), for the fan-out counts all d channels", x => Image(x).DepthwiseConv2d(3, padding: Padding.Valid), 0, 2.0 / (1 + d)),
            ("conv_transpose2d of 2, stride 2 (Xavier): not so, 1/4, for a quarter of the window meets in a place", x => Image(x).ConvTranspose2d(d, 2, 2), 0, 0.25),
            ("embedding", x => (20 * x.Abs()).Min(63).Cast(DType.I64).Embedding(64, d), 0, 1),
            ("positional_embedding: 0.02² more", x => x.PositionalEmbedding(t), 0, 1.0004),
            ("rope", x => x.Rope(), 0, 1),
            ("prelu: not so, mean 0.75/√(2π)", x => x.Apply(Dnn.Graph.Layers.Prelu()), 0.75 / Math.Sqrt(2 * Math.PI), 0.53125 - (0.5625 / (2 * Math.PI))),
            ("instance_norm", x => x.InstanceNorm(), 0, 1),
            ("drop_path(0.5): not so, variance 2", x => x.Reshape(new Shape(x.Shape[0] * t, d)).DropPath(0.5), 0, 2),
            ("graph_conv on a ring (Xavier): not so, 1/3, for it averages three", x => x.Reshape(new Shape(x.Shape[0] * t, d)).GraphConv(Ring(rows * t), d), 0, 1 / 3.0),
            ("message_passing(dense) on a ring (Xavier): not so, 4, for two messages that share their receiver add up", x => x.Reshape(new Shape(x.Shape[0] * t, d)).MessagePassing(Ring(rows * t), Dnn.Graph.Layers.Dense(d)), 0, 4),
            ("layer_norm", x => x.LayerNorm(), 0, 1),
            ("rms_norm", x => x.RmsNorm(), 0, 1),
            ("group_norm", x => x.GroupNorm(4), 0, 1),
            ("batch_norm", x => x.BatchNorm(), 0, 1),
            ("dropout(0.5): not so, variance 2", x => x.Dropout(0.5), 0, 2),
            ("residual(dense): not so, variances add to 2", x => x + x.Dense(d), 0, 2),
            ("residual(…, zero = true)", x => x.Residual(Dnn.Graph.Layers.Dense(d), zero: true), 0, 1),
        })
        {
            var outputs = Lab.Seeds(effort, 5).SelectMany(seed =>
            {
                var model = Model.Build("Module", m => m.Output("y", module(m.Input("x", "B", t, d))));
                return Lab.Numbers(Lab.Train(model, Lab.Start(model, seed), ("x", Lab.Normal("x", seed, rows, t, d)))["y"]);
            }).ToArray();
            var (m1, m2) = (outputs.Average(), outputs.Average(v => v * v));
            yield return new Line($"{name}: mean (within 0.05)", Line.Text(mean), Line.Text(m1), Math.Abs(m1 - mean) < 0.05);
            yield return new Line("… variance (within 10 %)", Line.Text(variance), Line.Text(m2 - (m1 * m1)), Math.Abs(((m2 - (m1 * m1)) / variance) - 1) < 0.1);
        }

        // Weights that hardly differ average over positions; what saturates stays below 1; two branches each add at most what a map with He's size would.
        foreach (var (name, module, low, high) in new (string, Func<Expr, Expr>, double, double)[]
        {
            ($"attention over {t} positions: not so, between 1/{t} and 1/2, for it averages: mean square", x => x.Attention(4), 1.0 / t, 0.5),
            ("rnn: not so, below 1, for tanh is: mean square", x => x.Rnn(d), 0.1, 1),
            ("lstm: not so, below 1, for it is a gate times a tanh: mean square", x => x.Lstm(d), 0.01, 1),
            ("gru: not so, below 1, for it averages tanhs: mean square", x => x.Gru(d), 0.01, 1),
            ("graph_attention on a ring: not so, between 1/3 and 1, for it averages three: mean square", x => x.Reshape(new Shape(x.Shape[0] * t, d)).GraphAttention(Ring(rows * t), d / 4, 4), 1 / 3.0, 1),
            ("transformer_block: not so, its two branches add to the stream: mean square", x => x.TransformerBlock(4), 1.1, 5),
        })
        {
            var square = Lab.Seeds(effort, 5).SelectMany(seed =>
            {
                var model = Model.Build("Module", m => m.Output("y", module(m.Input("x", "B", t, d))));
                return Lab.Numbers(Lab.Predict(model, Lab.Start(model, seed), ("x", Lab.Normal("x", seed, rows, t, d)))["y"]);
            }).Average(v => v * v);
            yield return Line.Between(name, low, high, square);
        }
    }

    private static Expr Image(Expr x) => x.Reshape(new Shape(x.Shape[0], 4, 4, x.Shape[2]));

    /// <summary>Edges both ways between neighbours on a ring.</summary>
    private static Expr Ring(int nodes) =>
        Expr.Vector([.. Enumerable.Range(0, nodes).SelectMany(i => (double[])[i, (i + 1) % nodes, (i + 1) % nodes, i])]).Cast(DType.I64).Reshape(new Shape(2 * nodes, 2));

    private static IEnumerable<Line> BatchOfTwo(Effort effort)
    {
        foreach (var (name, norm) in new (string, Func<Expr, Expr>)[] { ("batch norm", x => x.BatchNorm()), ("layer norm", x => x.LayerNorm()) })
        {
            var model = Model.Build("Norm", m => m.Output("y", norm(m.Input("x", "B", 32))));
            var start = Lab.Start(model, 1);
            var (x, other) = (Lab.Normal("x", 1, 2, 32), Lab.Normal("other", 1, 2, 32));
            var y = Lab.Train(model, start, ("x", x))["y"];
            if (name == "batch norm")
            {
                // With one other row, the mean lies half way and the deviation is half the distance d.
                var error = Enumerable.Range(0, 32).Max(c =>
                {
                    var half = (x[0, c] - x[1, c]) / 2;
                    return Math.Abs(y[0, c] - (half / Math.Sqrt((half * half) + 1e-5)));
                });
                yield return Line.Between("batch norm, rows a and b: largest |y − h / √(h² + ε)|, h = (a − b) / 2, which is the sign of h", 0, 1e-9, error);
                yield return Line.Between("… numbers with |y| > 0.99", 0.9, 1, Lab.Numbers(y).Average(v => Math.Abs(v) > 0.99 ? 1.0 : 0));
            }

            var mixed = Tensor.Create([.. Enumerable.Range(0, 32).Select(c => x[0, c]), .. Enumerable.Range(0, 32).Select(c => other[1, c])], 2, 32);
            var change = Enumerable.Range(0, 32).Average(c => Math.Abs(Lab.Train(model, start, ("x", mixed))["y"][0, c] - y[0, c]));
            yield return name == "batch norm"
                ? Line.Between("batch norm: mean change of a row's numbers where the other row is exchanged", 0.1, 2, change)
                : Line.Equal("layer norm: the same", 0, change);
        }

        var (small, large) = effort == Effort.Full ? (1200, 300) : (250, 60);
        foreach (var (batch, steps) in new[] { (2, small), (32, large) })
        {
            double Accuracy(Func<Expr, Expr> norm) => Lab.Median(Lab.Seeds(effort, 5).Select(seed =>
            {
                var data = Lab.Digits(1000, 500, seed);
                return Lab.Fit(Lab.Classifier(x => norm(norm(x.Dense(32)).Relu().Dense(32)).Relu().Dense(10)), data, new Adam(0.003), steps, batch, seed).On(data, "test", "accuracy");
            }));
            var (b, l) = (Accuracy(x => x.BatchNorm()), Accuracy(x => x.LayerNorm()));
            yield return Line.Show($"batch {batch}, {steps} steps: accuracy on test with layer norm", l);
            yield return batch == 2 ? Line.Between("… with batch norm: lower", 0, l - 0.02, b) : Line.Between("… with batch norm: about the same", l - 0.05, 1, b);
        }
    }

    private static IEnumerable<Line> CovariateShift(Effort effort)
    {
        var drifts = new List<double>[] { [], [] };
        var turns = new List<double>[] { [], [] };
        var losses = new List<double>[] { [], [] };
        foreach (var seed in Lab.Seeds(effort))
        {
            var data = Lab.Digits(256, 1, seed);
            var (x, y) = (data["train"]["x"], data["train"]["y"]);
            foreach (var normed in new[] { false, true })
            {
                var model = Model.Build("Net", m =>
                {
                    var h = m.Input("x", "B", 64);
                    for (var i = 0; i < 5; i++)
                    {
                        h = h.Dense(32, bias: !normed);
                        h = normed ? h.BatchNorm() : h;
                        if (i == 3)
                            m.Output("z", h);
                        h = h.Tanh();
                    }

                    m.Loss(Losses.CrossEntropy(h.Dense(10), m.Target("y", DType.I64, "B")));
                });
                var weights = Lab.Start(model, seed);
                var before = Units(Lab.Train(model, weights, ("x", x))["z"]);
                for (var round = 0; round < (effort == Effort.Full ? 5 : 2); round++)
                {
                    // The gradient of the fourth layer before and after those below it have taken the same step.
                    var after = Lab.Fit(model, data, new Sgd(0.1), 1, 256, seed, initial: weights).Weights;
                    var mixed = Weights.From(weights.Select(w => KeyValuePair.Create(w.Key, w.Key.Contains("_0.") || w.Key.Contains("_1.") || w.Key.Contains("_2.") ? after[w.Key] : w.Value)));
                    var (g, moved) = (Gradient(weights), Gradient(mixed));
                    turns[normed ? 1 : 0].Add(Math.Sqrt(g.Zip(moved, (a, b) => (a - b) * (a - b)).Sum() / g.Sum(v => v * v)));
                    var fit = Lab.Fit(model, data, new Sgd(0.1), 40, 256, seed, initial: weights);
                    weights = fit.Weights;
                    if (round == 0)
                        losses[normed ? 1 : 0].Add(fit.Losses[^1]);
                }

                var now = Units(Lab.Train(model, weights, ("x", x))["z"]);
                drifts[normed ? 1 : 0].Add(before.Zip(now, (a, b) => (Math.Abs(b.Mean - a.Mean) + Math.Abs(b.Std - a.Std)) / a.Std).Average());

                double[] Gradient(Weights at) => Lab.Numbers(Lab.Gradients(model, at, ("x", x), ("y", y))["dense_3.weight"]);
            }
        }

        var (drift, turn, loss) = (drifts.Select(Lab.Median).ToArray(), turns.Select(Lab.Median).ToArray(), losses.Select(Lab.Median).ToArray());
        yield return Line.Show("loss after 40 steps, plain", loss[0]);
        yield return Line.Between("… with batch norm: trains faster", 0, loss[0], loss[1]);
        yield return Line.Show("shift of mean and deviation of what the fourth nonlinearity gets, in deviations, plain", drift[0]);
        yield return Line.Between("… with batch norm: reduced", 0, drift[0], drift[1]);
        yield return Line.Show("change of the fourth layer's gradient, relative, when the layers below have taken their step, plain", turn[0]);
        yield return Line.Between("… with batch norm: not so, it is not reduced by even a fifth", 0.8 * turn[0], double.PositiveInfinity, turn[1]);
    }

    private static (double Mean, double Std)[] Units(Tensor z)
    {
        var (numbers, n) = (Lab.Numbers(z), z.Shape[1]);
        return [.. Enumerable.Range(0, n).Select(c =>
        {
            var column = Enumerable.Range(0, z.Shape[0]).Select(r => numbers[(r * n) + c]).ToArray();
            var mean = column.Average();
            return (mean, Math.Sqrt(column.Average(v => (v - mean) * (v - mean))));
        })];
    }
}
