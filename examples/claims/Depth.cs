using System.Collections.Immutable;
using Dnn.Backend;
using Dnn.Graph;

namespace Dnn.Claims;

/// <summary>What many layers do to training.</summary>
internal static class Depth
{
    private const int Tokens = 8, Length = 8, Channels = 16;

    public static ImmutableArray<Claim> Claims { get; } =
    [
        new("sigmoid-depth", "A sigmoid takes at least three quarters of the gradient away at every layer; a ReLU with He initialization passes it on.", "Glorot & Bengio 2010; He et al. 2015", Sigmoids),
        new("degradation", "Plain nets get worse in training error as they get deeper; residual nets do not.", "He et al. 2016", Degradation),
        new("deep-transformer", "A Transformer of 48 layers trains by its residual paths; where norms stand, and warm-up with small initialization, are partial cures where it does not.", "Xiong et al. 2020; Dong et al. 2021; Zhang et al. 2019", Transformers),
    ];

    private static IEnumerable<Line> Sigmoids(Effort effort)
    {
        var width = effort == Effort.Full ? 256 : 128;
        foreach (var (name, f, init, predicted) in new (string, Func<Expr, Expr>, Initializer, double)[]
        {
            ("sigmoid, Xavier", x => x.Sigmoid(), Initializers.XavierNormal, SigmoidFactor()),
            ("ReLU, He", x => x.Relu(), Initializers.HeNormal, 1),
        })
        {
            foreach (var depth in effort == Effort.Full ? new[] { 5, 10, 20, 40 } : [5, 20])
            {
                // How much of a random gradient behind the last layer arrives before the first one.
                var factors = Lab.Seeds(effort).Select(seed =>
                {
                    var model = Model.Build("Chain", m =>
                    {
                        var h = m.Input("x", "B", width);
                        var (first, cotangent) = (h, m.Input("c", "B", width));
                        for (var i = 0; i < depth; i++)
                        {
                            h = f(h.Dense(width, init: init));
                            first = i == 0 ? h : first;
                        }

                        m.Output("g", (h * cotangent).Sum().Grad(first));
                    });
                    var c = Lab.Normal("c", seed, 64, width);
                    return Math.Pow(Lab.Norm(Lab.Predict(model, Lab.Start(model, seed), ("x", Lab.Normal("x", seed, 64, width)), ("c", c))["g"]) / Lab.Norm(c), 1.0 / (depth - 1));
                });
                yield return new Line($"{name}: factor on the gradient a layer, over {depth} layers (within 5 %)", Line.Text(predicted), Line.Text(Lab.Median(factors)), Math.Abs((Lab.Median(factors) / predicted) - 1) < 0.05);
            }
        }

        var chance = Math.Log(10);
        foreach (var depth in effort == Effort.Full ? new[] { 1, 2, 5, 10 } : [1, 10])
        {
            double Loss(Func<Expr, Expr> f) => Lab.Median(Lab.Seeds(effort).Select(seed =>
            {
                var data = Lab.Digits(512, 64, seed);
                var model = Lab.Classifier(x =>
                {
                    for (var i = 0; i < depth; i++)
                        x = f(x.Dense(32));
                    return x.Dense(10);
                });
                return Lab.Fit(model, data, new Sgd(0.05, 0.9), effort == Effort.Full ? 600 : 200, 64, seed, clip: 1).On(data, "train");
            }));
            yield return Line.Between($"{depth} ReLU layers: training loss (chance is log 10 = 2.303): learns", 0, chance / 2, Loss(x => x.Relu()));
            var sigmoid = Loss(x => x.Sigmoid());
            yield return depth >= 10 ? Line.Between($"{depth} sigmoid layers: learns nothing", 0.95 * chance, 1.1 * chance, sigmoid) : Line.Show($"{depth} sigmoid layers", sigmoid);
        }
    }

    /// <summary>√E σ′(z)² at the size of z that settles, for weights of variance 1/width: q = E σ(√q ξ)².</summary>
    private static double SigmoidFactor()
    {
        static double Mean(Func<double, double> f)
        {
            var (sum, weight) = (0.0, 0.0);
            for (var x = -8.0; x <= 8; x += 0.01)
                (sum, weight) = (sum + (f(x) * Math.Exp(-x * x / 2)), weight + Math.Exp(-x * x / 2));
            return sum / weight;
        }

        static double S(double x) => 1 / (1 + Math.Exp(-x));
        var q = 0.25;
        for (var i = 0; i < 50; i++)
            q = Mean(x => Math.Pow(S(Math.Sqrt(q) * x), 2));
        return Math.Sqrt(Mean(x => Math.Pow(S(Math.Sqrt(q) * x) * S(-Math.Sqrt(q) * x), 2)));
    }

    private static IEnumerable<Line> Degradation(Effort effort)
    {
        var (steps, depths) = effort == Effort.Full ? (600, new[] { 4, 16, 48 }) : (150, [4, 32]);
        var shallow = (Plain: 0.0, Residual: 0.0);
        foreach (var depth in depths)
        {
            double Loss(bool residual) => Lab.Median(Lab.Seeds(effort).Select(seed =>
            {
                var data = Lab.Digits(512, 64, seed);
                var model = Lab.Classifier(x =>
                {
                    x = x.Dense(32).Relu();
                    for (var i = 0; i < depth / 2; i++)
                        x = residual ? x + x.Dense(32).Relu().Dense(32, init: Initializers.Zeros) : x.Dense(32).Relu().Dense(32).Relu();
                    return x.Dense(10);
                });
                return Lab.Fit(model, data, new Adam(0.001), steps, 64, seed).On(data, "train");
            }));
            var (plain, sum) = (Loss(false), Loss(true));
            if (depth == depths[0])
            {
                shallow = (plain, sum);
                yield return Line.Show($"plain, {depth} layers: training loss after {steps} steps", plain);
                yield return Line.Show($"residual, {depth} layers", sum);
                continue;
            }

            if (depth >= 32)
                yield return Line.Between($"plain, {depth} layers: at least twice that of {depths[0]}", 2 * shallow.Plain, double.PositiveInfinity, plain);
            else
                yield return Line.Show($"plain, {depth} layers", plain);
            yield return Line.Between($"residual, {depth} layers: not above that of {depths[0]}", double.NegativeInfinity, shallow.Residual, sum);
        }
    }

    private enum Paths
    {
        None,
        Post,
        Pre,
    }

    /// <summary>Reads tokens and tells each again: what any network can that keeps its input.</summary>
    private static Model Transformer(int depth, Paths paths) => Model.Build("Transformer", m =>
    {
        var (x, y) = (m.Input("x", DType.I64, "B", Length), m.Target("y", DType.I64, "B", Length));
        var h = x.Embedding(Tokens, Channels).PositionalEmbedding(Length);
        for (var i = 0; i < depth; i++)
        {
            h = Step(h, v => v.Attention(2));
            h = Step(h, v => Dnn.Graph.Layers.Dense(Channels).Named($"down{i}").Apply(v.Dense(2 * Channels).Gelu()));
        }

        m.Output("h", h);
        m.Loss(Losses.CrossEntropy(h.LayerNorm().Dense(Tokens), y));

        Expr Step(Expr v, Func<Expr, Expr> f) => paths switch
        {
            Paths.Pre => v + f(v.LayerNorm()),
            Paths.Post => (v + f(v)).LayerNorm(),
            _ => f(v.LayerNorm()),
        };
    });

    private static IEnumerable<Line> Transformers(Effort effort)
    {
        var (depth, steps) = effort == Effort.Full ? (48, 100) : (6, 30);
        var x = Lab.Classes("x", 1, Tokens, 256, Length);
        var data = Lab.Data(("x", x), ("y", x));
        var chance = Math.Log(Tokens);
        foreach (var (name, paths, gentle) in new[]
        {
            ("residual paths, norms in the branches", Paths.Pre, false),
            ("residual paths, norms on the sums", Paths.Post, false),
            ("… with warm-up and small initialization", Paths.Post, true),
            ("no residual paths, norms before each layer", Paths.None, false),
            ("… with warm-up and small initialization", Paths.None, true),
        }.Where(c => effort == Effort.Full || !c.Item3))
        {
            var model = Transformer(depth, paths);
            // Small: what the branches end with starts at 1/√(2 · depth) of its usual size.
            var start = Weights.From(Lab.Start(model, 1).Select(w => gentle && (w.Key.Contains("wo.weight") || w.Key.Contains("down"))
                ? KeyValuePair.Create(w.Key, Tensor.Create([.. Lab.Numbers(w.Value).Select(v => v / Math.Sqrt(2 * depth))], [.. w.Value.Shape]))
                : w));
            var spread = Spread(Lab.Numbers(Lab.Predict(model, start, ("x", Lab.Classes("x", 1, Tokens, 1, Length)))["h"]));
            Schedule rate = gentle ? new WarmupLinearSchedule(0.003, steps / 4.0, steps * 10.0) : 0.003;
            var fit = Lab.Fit(model, data, new Adam(rate), steps, 16, initial: start);
            var loss = fit.Finite ? fit.Losses[^1] : double.PositiveInfinity;
            yield return Line.Show($"{depth} layers, {name}: part of the activations behind the last layer that tells positions apart, at the start", spread);
            var what = $"… loss after {steps} steps (chance is log 8 = {Line.Text(chance)})";
            // On a few layers all but the last kind train.
            yield return paths == Paths.Pre || (gentle && paths == Paths.Post) ? Line.Between($"{what}: trains", 0, 0.5 * chance, loss)
                : paths == Paths.None || effort == Effort.Full ? Line.Between($"{what}: {(gentle ? "not so, for nothing is left to learn from" : "does not train")}", 0.9 * chance, double.PositiveInfinity, loss)
                : Line.Show(what, loss);
        }
    }

    /// <summary>The part of the mean square that is about the mean over positions.</summary>
    private static double Spread(double[] h)
    {
        var mean = Enumerable.Range(0, Channels).Select(c => Enumerable.Range(0, Length).Average(t => h[(t * Channels) + c])).ToArray();
        return h.Select((v, i) => Math.Pow(v - mean[i % Channels], 2)).Sum() / h.Sum(v => v * v);
    }
}
