using System.Collections.Immutable;
using Dnn.Backend;
using Dnn.Graph;
using MathNet.Numerics.LinearAlgebra;

namespace Dnn.Claims;

/// <summary>What is inside a network.</summary>
internal static class Representation
{
    public static ImmutableArray<Claim> Claims { get; } =
    [
        new("oversmoothing", "Graph convolutions one after another make all nodes alike, by the second eigenvalue of the graph a layer; residual paths keep them apart.", "Li et al. 2018; Oono & Suzuki 2020", Oversmoothing),
        new("separability", "The classes become linearly separable layer by layer.", "Alain & Bengio 2016", Separability),
        new("filters", "The filters of the first layer become smooth: directions in which the data varies, no longer noise.", "Zeiler & Fergus 2014", Filters),
    ];

    private static IEnumerable<Line> Oversmoothing(Effort effort)
    {
        // Two rings of ten nodes with two edges between.
        const int n = 20, d = 32;
        var pairs = Enumerable.Range(0, n).Select(i => (i, (i / 10 * 10) + ((i + 1) % 10))).Append((0, 10)).Append((5, 15)).ToArray();
        var edges = Tensor.Create(pairs.SelectMany(p => new long[] { p.Item1, p.Item2, p.Item2, p.Item1 }).ToArray(), 2 * pairs.Length, 2);

        // The matrix of graph_conv: adjacency with loops, divided by √(dᵢ dⱼ).
        var a = Matrix<double>.Build.DenseIdentity(n);
        foreach (var (i, j) in pairs)
            (a[i, j], a[j, i]) = (1, 1);
        var degree = a.RowSums();
        var evd = a.MapIndexed((i, j, v) => v / Math.Sqrt(degree[i] * degree[j])).Evd(Symmetricity.Symmetric);
        var second = evd.EigenValues.Select(v => Math.Abs(v.Real)).Order().ToArray()[^2];
        var limit = degree.PointwiseSqrt().Normalize(2);

        // The part of the features that is not along the limit √d.
        double Rest(Tensor h)
        {
            var matrix = Matrix<double>.Build.Dense(n, h.Shape[1], (i, j) => h[i, j]);
            // Where all units have died, nothing tells nodes apart either.
            var size = matrix.FrobeniusNorm();
            return size == 0 ? 0 : (matrix - (limit.ToColumnMatrix() * (limit.ToRowMatrix() * matrix))).FrobeniusNorm() / size;
        }

        foreach (var seed in Lab.Seeds(effort))
        {
            Tensor Pass(int depth, string kind)
            {
                var model = Model.Build("Graph", m =>
                {
                    var (h, e) = (m.Input("x", "N", d), m.Input("edges", DType.I64, "E", 2));
                    for (var i = 0; i < depth; i++)
                    {
                        var y = h.GraphConv(e, d, bias: false);
                        h = kind switch { "identity" => y, "residual" => h + (0.1 * y.Relu()), _ => y.Relu() };
                    }

                    m.Output("h", h);
                });
                var weights = Lab.Start(model, seed);
                if (kind == "identity")
                    weights = Weights.From(weights.Select(w => KeyValuePair.Create(w.Key, Tensor.Create(Matrix<double>.Build.DenseIdentity(d).ToRowMajorArray(), d, d))));
                return Lab.Predict(model, weights, ("x", Lab.Normal("x", seed, n, d)), ("edges", edges))["h"];
            }

            // Between two depths, so that the other eigenvalues have died out.
            var factor = Math.Pow(Rest(Pass(200, "identity")) / Rest(Pass(100, "identity")), 0.01);
            yield return new Line($"no weights (seed {seed}): factor a layer on what tells nodes apart, the second eigenvalue", Line.Text(second), Line.Text(factor), Math.Abs((factor / second) - 1) < 1e-3);
            yield return Line.Between("drawn weights and ReLU: what is left after 64 layers, of all", 0, 0.05, Rest(Pass(64, "relu")));
            yield return Line.Show("… after 1 layer", Rest(Pass(1, "relu")));
            yield return Line.Between("residual, branches of a tenth: after 64 layers", 0.05, 1, Rest(Pass(64, "residual")));
        }
    }

    private static IEnumerable<Line> Separability(Effort effort)
    {
        const int layers = 4, width = 32;
        foreach (var seed in Lab.Seeds(effort))
        {
            // Two arms of a spiral; half of the rows to train nets and probes, half to test them.
            var rows = effort == Effort.Full ? 1000 : 400;
            var spirals = new DataReader(".").Read(new DataDescription("spirals", new SpiralsSource(2 * rows, 0.02, seed)) { Split = [SplitPart.OfFraction("train", 0.5), SplitPart.OfFraction("test", 0.5)] });
            var model = Model.Build("Net", m =>
            {
                var h = m.Input("x", "B", 2);
                m.Output("h0", h);
                for (var i = 1; i <= layers; i++)
                {
                    h = h.Dense(width).Relu();
                    m.Output($"h{i}", h);
                }

                m.Loss(Losses.BceWithLogits(h.Dense(1), m.Target("y", "B", 1)));
            });
            var fit = Lab.Fit(model, spirals, new Adam(0.005), effort == Effort.Full ? 2000 : 500, 100, seed);
            var probes = new List<double>();
            foreach (var (name, weights) in new[] { ("as drawn", Lab.Start(model, seed)), ("trained", fit.Weights) })
            {
                var (train, test) = (Lab.Predict(model, weights, ("x", spirals["train"]["x"])), Lab.Predict(model, weights, ("x", spirals["test"]["x"])));
                for (var i = name == "trained" ? 0 : layers; i <= layers; i++)
                {
                    var (h, other) = (Rows(train[$"h{i}"]), Rows(test[$"h{i}"]));
                    var accuracy = Probe(h, Lab.Numbers(spirals["train"]["y"]), other, Lab.Numbers(spirals["test"]["y"]));
                    if (name == "trained")
                        probes.Add(accuracy);
                    yield return Line.Show($"{name} (seed {seed}), {(i == 0 ? "input" : $"layer {i}")}: accuracy of a linear probe", accuracy);
                    yield return Line.Show("… part of the variance in its first two principal components", TwoComponents(h));
                }
            }

            yield return Line.Between("from the input to the last layer: gained accuracy", 0.25, 1, probes[^1] - probes[0]);
            yield return Line.Between("largest loss of accuracy from a layer to the next", double.NegativeInfinity, 0.03, probes.Zip(probes.Skip(1), (a, b) => a - b).Max());
        }
    }

    private static Matrix<double> Rows(Tensor h) => Matrix<double>.Build.Dense(h.Shape[0], h.Shape[1], (i, j) => h[i, j]);

    /// <summary>The accuracy of the linear classifier by ridge regression on ±1.</summary>
    private static double Probe(Matrix<double> h, double[] y, Matrix<double> other, double[] answers)
    {
        Matrix<double> One(Matrix<double> m) => m.Append(Matrix<double>.Build.Dense(m.RowCount, 1, 1));
        var x = One(h);
        var w = (x.TransposeThisAndMultiply(x) + (1e-3 * Matrix<double>.Build.DenseIdentity(x.ColumnCount))).Cholesky().Solve(x.TransposeThisAndMultiply(Vector<double>.Build.Dense(y).Map(v => (2 * v) - 1)));
        return (One(other) * w).Zip(answers, (s, t) => s > 0 == t > 0.5 ? 1.0 : 0).Average();
    }

    private static double TwoComponents(Matrix<double> h)
    {
        var means = h.ColumnSums() / h.RowCount;
        var s = h.MapIndexed((_, j, v) => v - means[j]).Svd(computeVectors: false).S.PointwisePower(2);
        return s.Take(2).Sum() / s.Sum();
    }

    private static IEnumerable<Line> Filters(Effort effort)
    {
        foreach (var seed in Lab.Seeds(effort))
        {
            var data = Lab.Digits(1000, 200, seed);
            var x = Rows(data["train"]["x"].Cast(DType.F64));
            var means = x.ColumnSums() / x.RowCount;
            var principal = x.MapIndexed((_, j, v) => v - means[j]).Svd().VT.SubMatrix(0, 10, 0, 64);
            var model = Lab.Classifier(v => v.Dense(16).Relu().Dense(10));
            var start = Lab.Start(model, seed);
            var fit = Lab.Fit(model, data, new AdamW(0.01, Decay: 0.1), effort == Effort.Full ? 2000 : 400, 100, seed, initial: start);
            yield return Line.Between($"accuracy on test (seed {seed})", 0.8, 1, fit.On(data, "test", "accuracy"));
            foreach (var (name, weights) in new[] { ("as drawn", start), ("trained", fit.Weights) })
            {
                var w = Rows(weights["dense_0.weight"].Cast(DType.F64));
                var drawn = name == "as drawn";
                var part = Math.Pow((principal * w).FrobeniusNorm() / w.FrobeniusNorm(), 2);
                yield return drawn ? Line.Between("as drawn: part in the first 10 of the 64 principal components of the data (10/64 ± a third)", 0.104, 0.208, part) : Line.Between("trained: above what is drawn", 0.208, 1, part);
                yield return drawn ? Line.Between("… roughness: mean square difference of neighbours over twice the mean square (noise: 1 ± 0.15)", 0.85, 1.15, Roughness(w)) : Line.Between("… roughness: smoother than noise", 0, 0.85, Roughness(w));
            }
        }
    }

    private static double Roughness(Matrix<double> w)
    {
        var differences = new List<double>();
        for (var pixel = 0; pixel < 64; pixel++)
        {
            for (var f = 0; f < w.ColumnCount; f++)
            {
                if (pixel % 8 < 7)
                    differences.Add(w[pixel, f] - w[pixel + 1, f]);
                if (pixel < 56)
                    differences.Add(w[pixel, f] - w[pixel + 8, f]);
            }
        }

        return differences.Average(v => v * v) / (2 * w.Enumerate().Average(v => v * v));
    }
}
