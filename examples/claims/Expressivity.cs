using System.Collections.Immutable;
using Dnn.Backend;
using Dnn.Graph;

namespace Dnn.Claims;

/// <summary>Which functions a network can be at all.</summary>
internal static class Expressivity
{
    public static ImmutableArray<Claim> Claims { get; } =
    [
        new("regions", "A ReLU net of L layers of n units on d inputs has up to O((n/d)^((L−1)d) n^d) linear regions: exponential in depth.", "Montúfar et al. 2014; Hanin & Rolnick 2019", Regions),
        new("parity", "Parity needs depth: flat formulas grow exponentially, a tree of XORs linearly.", "Håstad 1986; Telgarsky 2016", _ => Parity()),
        new("one-wide", "A deep net that is one unit wide learns nothing; a wide shallow one fits any curve piecewise.", "Hornik et al. 1989; Lu et al. 2017", OneWide),
    ];

    private static IEnumerable<Line> Regions(Effort effort)
    {
        // One layer on the plane: n lines in general position.
        foreach (var n in new[] { 4, 8 })
        {
            foreach (var seed in Lab.Seeds(effort))
                yield return Line.Equal($"1 layer of {n} units, 2 inputs, drawn (seed {seed}): 1 + n + n(n − 1)/2", 1 + n + (n * (n - 1) / 2), PlaneRegions(n, seed));
        }

        // Many layers on the line: n zigzags, composed, are nᴸ pieces.
        foreach (var (n, layers) in effort == Effort.Full ? new[] { (2, 1), (2, 4), (2, 10), (4, 3), (4, 5), (8, 3) } : [(2, 4), (4, 3)])
        {
            var (model, weights) = Zigzag(n, layers);
            yield return Line.Equal($"{layers} layers of {n} units, 1 input, made for it: n^L", Math.Pow(n, layers), Pieces(model, weights, 0, 1, Points(effort)));
        }

        // What initialization gives is far from that, and proportional to the number of units.
        foreach (var (n, layers) in new[] { (16, 1), (16, 2), (16, 4), (16, 8) })
        {
            var counts = Lab.Seeds(effort, 5).Select(seed =>
            {
                var model = Model.Build("Random", m =>
                {
                    var h = m.Input("x", "B", 1);
                    for (var i = 0; i < layers; i++)
                    {
                        var z = h.Dense(n, init: Initializers.HeNormal, biasInit: Initializers.Normal(0.3));
                        m.Output($"z{i}", z);
                        h = z.Relu();
                    }
                });
                return Pieces(model, Lab.Start(model, seed), -3, 3, Points(effort));
            });
            yield return Line.Between($"{layers} layers of 16 units, as drawn: at most 2 · units + 1 (not {Line.Text(Math.Pow(16, layers))})", 1, (2 * n * layers) + 1, counts.Average());
        }
    }

    private static int Points(Effort effort) => effort == Effort.Full ? 1 << 15 : 1 << 13;

    /// <summary>The regions of one layer on the plane. Each touches a crossing of two lines, so that four places around every crossing see them all.</summary>
    private static int PlaneRegions(int n, int seed)
    {
        var model = Model.Build("Plane", m => m.Output("z", m.Input("x", "B", 2).Dense(n, init: Initializers.Normal(1), biasInit: Initializers.Normal(1))));
        var weights = Lab.Start(model, seed);
        var (w, b) = (weights["dense_0.weight"], weights["dense_0.bias"]);
        var places = new List<double>();
        for (var i = 0; i < n; i++)
        {
            for (var j = 0; j < i; j++)
            {
                var det = (w[0, i] * w[1, j]) - (w[1, i] * w[0, j]);
                foreach (var (si, sj) in new[] { (1, 1), (1, -1), (-1, 1), (-1, -1) })
                {
                    // Where z_i and z_j are ± a little.
                    var (ri, rj) = ((si * 1e-7) - b[i], (sj * 1e-7) - b[j]);
                    places.Add(((ri * w[1, j]) - (rj * w[1, i])) / det);
                    places.Add(((rj * w[0, i]) - (ri * w[0, j])) / det);
                }
            }
        }

        var z = new Predictor(model, weights, Lab.Double).Predict(("x", Tensor.Create(places.ToArray(), places.Count / 2, 2)))["z"].ToArray<double>();
        return z.Chunk(n).Select(row => string.Concat(row.Select(v => v > 0 ? '1' : '0'))).Distinct().Count();
    }

    /// <summary>Layers that each fold 0 … 1 n times onto itself: the k-th unit starts at k/n, and slopes ±n alternate (Telgarsky 2016).</summary>
    private static (Model Model, Weights Weights) Zigzag(int n, int layers)
    {
        var model = Model.Build("Zigzag", m =>
        {
            var h = m.Input("x", "B", 1);
            for (var i = 0; i < layers; i++)
            {
                var z = h.Dense(n);
                m.Output($"z{i}", z);
                h = z.Relu();
            }
        });
        var slopes = Enumerable.Range(0, n).Select(k => k == 0 ? n : 2.0 * n * (k % 2 == 0 ? 1 : -1)).ToArray();
        var bias = Tensor.Create([.. Enumerable.Range(0, n).Select(k => -(double)k / n)]);
        // The sum of a layer with its slopes is the next layer's input.
        var inner = Tensor.Create([.. slopes.SelectMany(s => Enumerable.Repeat(s, n))], n, n);
        var weights = Weights.Empty;
        for (var i = 0; i < layers; i++)
            weights = weights.With($"dense_{i}.weight", i == 0 ? Tensor.Create([.. Enumerable.Repeat(1.0, n)], 1, n) : inner).With($"dense_{i}.bias", bias);
        return (model, weights);
    }

    /// <summary>The pieces of a line on which all units stay on or off. The odd offset keeps the points off round numbers.</summary>
    private static int Pieces(Model model, Weights weights, double low, double high, int points)
    {
        var x = Enumerable.Range(0, points).Select(i => low + ((high - low) * (i + 0.3819) / points)).ToArray();
        var z = new Predictor(model, weights, Lab.Double).Predict(("x", Tensor.Create(x, points, 1))).Values.Select(t => t.ToArray<double>()).ToArray();
        return 1 + Enumerable.Range(1, points - 1).Count(i => z.Any(layer =>
        {
            var n = layer.Length / points;
            return Enumerable.Range(0, n).Any(k => layer[((i - 1) * n) + k] > 0 != layer[(i * n) + k] > 0);
        }));
    }

    private static IEnumerable<Line> Parity()
    {
        const int n = 8;
        var inputs = Enumerable.Range(0, 1 << n).Select(i => Enumerable.Range(0, n).Select(k => (double)(i >> k & 1)).ToArray()).ToArray();
        var parity = inputs.Select(x => x.Sum() % 2).ToArray();

        // The best linear answer is the mean: no input is correlated with the parity.
        var correlation = Enumerable.Range(0, n).Max(k => Math.Abs(inputs.Select((x, i) => (x[k] - 0.5) * (parity[i] - 0.5)).Sum()));
        yield return Line.Equal($"{n} bits, no hidden layer: largest covariance of an input with the parity", 0, correlation);

        // A term that leaves a bit out covers two inputs of different parity.
        var lone = Enumerable.Range(0, 1 << n).Count(i => parity[i] == 1 && Enumerable.Range(0, n).All(k => parity[i ^ (1 << k)] == 0));
        yield return Line.Equal("an OR of ANDs: inputs that each need a term of their own, 2^(n−1)", 1 << (n - 1), lone);

        // |a − b| by two ReLUs is XOR.
        var bits = Expr.Variable("x", new Shape("B", n));
        var (h, units, layers) = (bits, 0, 0);
        for (var left = n; left > 1; left /= 2)
        {
            var (a, b) = (h.SliceAxis(1, 0, left, 2), h.SliceAxis(1, 1, left, 2));
            h = (a - b).Relu() + (b - a).Relu();
            (units, layers) = (units + left, layers + 1);
        }

        // The sum of the bits, then a zigzag over it: relu(s) − 2 relu(s − 1) + 2 relu(s − 2) − …
        var sum = bits.Sum(1, keep: true);
        var flat = sum.Relu();
        for (var k = 1; k < n; k++)
            flat += 2.0 * (k % 2 == 0 ? 1 : -1) * (sum - k).Relu();
        var values = Evaluator.Evaluate([h, flat], new Dictionary<Expr, Tensor> { [bits] = Tensor.Create(inputs.SelectMany(x => x).ToArray(), 1 << n, n) }, Lab.Double);
        yield return Line.Equal($"{layers} hidden layers, 2(n − 1) = {units} ReLUs: largest error over all {1 << n} inputs", 0, values[0].ToArray<double>().Zip(parity, (y, p) => Math.Abs(y - p)).Max());
        var error = values[1].ToArray<double>().Zip(parity, (y, p) => Math.Abs(y - p)).Max();
        yield return Line.Equal($"1 hidden layer of n = {n} ReLUs, where depth is said to be needed: not so, for {n} units count; error", 0, error);
        foreach (var (width, depth) in new[] { (2, 10), (20, 1) })
        {
            var (model, weights) = Zigzag(width, depth);
            var pieces = depth == 1 ? width : 1 << depth;
            yield return Line.Equal($"where depth does win: pieces of a zigzag by 20 ReLUs in {depth} layer{(depth == 1 ? "" : "s")}", pieces, Pieces(model, weights, 0, 1, Points(Effort.Quick)));
        }
    }

    private static IEnumerable<Line> OneWide(Effort effort)
    {
        const int rows = 64;
        var x = Enumerable.Range(0, rows).Select(i => (2.0 * i / (rows - 1)) - 1).ToArray();
        var y = x.Select(v => Math.Sin(Math.PI * 1.5 * v)).ToArray();
        var data = Lab.Data(("x", Tensor.Create(x, rows, 1)), ("y", Tensor.Create(y, rows, 1)));
        Model Net(int width, int depth) => Model.Build("Net", m =>
        {
            var h = m.Input("x", "B", 1);
            for (var i = 0; i < depth; i++)
                h = h.Dense(width, biasInit: Initializers.Uniform(-1, 1)).Relu();
            m.Loss(Losses.Mse(h.Dense(1), m.Target("y", "B", 1)));
        });
        var variance = y.Average(v => v * v) - (y.Average() * y.Average());
        // A chain of single units is a chain of monotone functions, and so monotone: no training beats the best monotone fit.
        var bound = Math.Min(Monotone(y), Monotone([.. y.Select(v => -v)]));
        yield return Line.Show("variance of the target: the error of a constant", variance);
        yield return Line.Show("error of the best monotone function", bound);
        foreach (var seed in Lab.Seeds(effort))
        {
            var steps = effort == Effort.Full ? 2000 : 400;
            yield return Line.Between($"10 layers of 1 unit, trained (seed {seed})", bound, double.PositiveInfinity, Lab.Fit(Net(1, 10), data, new Adam(0.01), steps, rows, seed).Losses[^1]);
            yield return Line.Between($"1 layer of 64 units, trained (seed {seed}): below a fifth of that", double.NegativeInfinity, bound / 5, Lab.Fit(Net(64, 1), data, new Adam(0.01), steps, rows, seed).Losses[^1]);
        }
    }

    /// <summary>The mean square error of the best rising fit: pools of neighbours that would fall take their mean.</summary>
    private static double Monotone(double[] y)
    {
        var pools = new Stack<(double Sum, int Count)>();
        foreach (var value in y)
        {
            var pool = (Sum: value, Count: 1);
            while (pools.TryPeek(out var top) && top.Sum / top.Count >= pool.Sum / pool.Count)
            {
                pools.Pop();
                pool = (top.Sum + pool.Sum, top.Count + pool.Count);
            }

            pools.Push(pool);
        }

        var fit = pools.Reverse().SelectMany(p => Enumerable.Repeat(p.Sum / p.Count, p.Count));
        return y.Zip(fit, (a, b) => (a - b) * (a - b)).Average();
    }
}
