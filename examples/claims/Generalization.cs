using System.Collections.Immutable;
using Dnn.Backend;
using Dnn.Graph;
using MathNet.Numerics;

namespace Dnn.Claims;

/// <summary>What is learned beyond the rows that were trained on.</summary>
internal static class Generalization
{
    public static ImmutableArray<Claim> Claims { get; } =
    [
        new("fitting", "Too small a model underfits, too large a one overfits: test error falls, then rises, with capacity and with time.", "Geman et al. 1992; Belkin et al. 2019", Fitting),
        new("dropout", "Dropout narrows the gap between training and test; too much of it underfits.", "Srivastava et al. 2014", Dropout),
        new("random-labels", "A network fits random labels to 100 %, with and without regularization: fitting says nothing about generalizing.", "Zhang et al. 2017", RandomLabels),
    ];

    private static IEnumerable<Line> Fitting(Effort effort)
    {
        // Capacity exactly: polynomials by least squares, averaged over draws of the noise.
        const int rows = 16;
        var draws = effort == Effort.Full ? 100 : 30;
        int[] degrees = [1, 3, 5, 8, 12, 15];
        var (train, test) = (new double[degrees.Length], new double[degrees.Length]);
        double Truth(double x) => Math.Sin(Math.PI * x);
        for (var draw = 1; draw <= draws; draw++)
        {
            var x = Lab.Uniform("x", draw, -1, 1, rows).ToArray<double>();
            var y = Lab.Numbers(Lab.Normal("noise", draw, rows)).Zip(x, (n, v) => Truth(v) + (0.2 * n)).ToArray();
            var fresh = Lab.Uniform("fresh", draw, x.Min(), x.Max(), 200).ToArray<double>();
            for (var d = 0; d < degrees.Length; d++)
            {
                var fit = Fit.PolynomialFunc(x, y, degrees[d], MathNet.Numerics.LinearRegression.DirectRegressionMethod.QR);
                train[d] += x.Zip(y, (v, t) => Math.Pow(fit(v) - t, 2)).Average() / draws;
                // The median of draws would hide, and their mean exaggerate, how wild the large ones get.
                test[d] += Math.Log(fresh.Average(v => Math.Pow(fit(v) - Truth(v), 2))) / draws;
            }
        }

        for (var d = 0; d < degrees.Length; d++)
        {
            yield return d == 0 ? Line.Show($"polynomial of degree {degrees[d]}, {rows} noisy points: training error", train[d]) : Line.Between($"degree {degrees[d]}: training error, never above that before", 0, train[d - 1] + 1e-12, train[d]);
            yield return Line.Show("… test error (geometric mean)", Math.Exp(test[d]));
        }

        var least = test.Index().MinBy(t => t.Item).Index;
        yield return Line.Between("degree with the least test error: in the middle", 3, 8, degrees[least]);

        // Time: a wide net on labels of which a third is wrong.
        foreach (var seed in Lab.Seeds(effort))
        {
            var data = Lab.Digits(200, 500, seed);
            var wrong = Lab.Classes("wrong", seed, 10, 200);
            var labels = data["train"]["y"].ToArray<long>().Select((v, i) => i % 3 == 0 ? (long)wrong[i] : v).ToArray();
            var noisy = DataSet.Of(new DataSplit("train", ("x", data["train"]["x"]), ("y", Tensor.Create(labels))), data["test"]);
            var model = Lab.Classifier(x => x.Dense(256).Relu().Dense(10));
            var curve = new List<double>();
            Weights? weights = null;
            foreach (var steps in effort == Effort.Full ? new[] { 1, 20, 30, 50, 100, 300, 500 } : [1, 40, 400])
            {
                // Each stretch starts from the weights of the one before.
                var fit = Lab.Fit(model, noisy, new Adam(0.003), steps, 50, seed, initial: weights);
                weights = fit.Weights;
                curve.Add(fit.On(noisy, "test"));
            }

            yield return Line.Show($"a third of the labels wrong (seed {seed}): test loss at first", curve[0]);
            yield return Line.Between("… at its best: below that", 0, curve[0] * 0.9, curve.Min());
            yield return Line.Between("… in the end: above the best again", curve.Min() * 1.2, double.PositiveInfinity, curve[^1]);
        }

        double Narrow(int width, string part) => Lab.Median(Lab.Seeds(effort).Select(seed =>
        {
            var data = Lab.Digits(500, 500, seed);
            return Lab.Fit(Lab.Classifier(x => x.Dense(width).Relu().Dense(10)), data, new Adam(0.01), 400, 50, seed).On(data, part);
        }));
        yield return Line.Between("1 hidden unit: training loss, underfitted", 1, double.PositiveInfinity, Narrow(1, "train"));
        yield return Line.Between("64 hidden units: training loss", 0, 0.1, Narrow(64, "train"));
    }

    private static IEnumerable<Line> Dropout(Effort effort)
    {
        double[] rates = effort == Effort.Full ? [0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98] : [0, 0.5, 0.98];
        var results = rates.Select(rate =>
        {
            var fits = Lab.Seeds(effort).Select(seed =>
            {
                var data = Lab.Digits(150, 500, seed);
                var fit = Lab.Fit(Lab.Classifier(x => x.Dense(128).Relu().Dropout(rate).Dense(128).Relu().Dropout(rate).Dense(10)), data, new Adam(0.003), effort == Effort.Full ? 1000 : 250, 50, seed);
                return (Train: fit.On(data, "train"), Test: fit.On(data, "test"), Accuracy: fit.On(data, "test", "accuracy"));
            }).ToArray();
            return (Train: Lab.Median(fits.Select(f => f.Train)), Test: Lab.Median(fits.Select(f => f.Test)), Accuracy: Lab.Median(fits.Select(f => f.Accuracy)));
        }).ToArray();
        for (var i = 0; i < rates.Length; i++)
        {
            yield return Line.Show($"rate {rates[i]}: training loss", results[i].Train);
            yield return Line.Show("… test loss", results[i].Test);
            yield return Line.Show("… test accuracy", results[i].Accuracy);
        }

        var half = Array.IndexOf(rates, 0.5);
        // On clean digits it depends on the seeds: a wide net that fits all rows has little to be kept from. No verdict hangs on it.
        var (without, with) = (results[0].Test - results[0].Train, results[half].Test - results[half].Train);
        yield return new Line("test loss less training loss, from rate 0 to 0.5", "narrower", $"{Line.Text(without)} to {Line.Text(with)}: {(with < 0.9 * without ? "so" : "not so, on this task")}");
        yield return Line.Between("rate 0.5 still fits: training loss", 0, 0.1, results[half].Train);
        yield return Line.Between("rate 0.98: training loss at least ten times that of rate 0: underfitted", 10 * results[0].Train, double.PositiveInfinity, results[^1].Train);
    }

    private static IEnumerable<Line> RandomLabels(Effort effort)
    {
        foreach (var seed in Lab.Seeds(effort))
        {
            var rows = effort == Effort.Full ? 500 : 100;
            var data = Lab.Digits(rows, 500, seed);
            var random = DataSet.Of(new DataSplit("train", ("x", data["train"]["x"]), ("y", Lab.Classes("labels", seed, 10, rows))), data["test"]);
            foreach (var (name, optimizer, rate) in new (string, Optimizer, double)[]
            {
                ("no regularization", new Adam(0.003), 0),
                ("weight decay 0.01", new AdamW(0.003, Decay: 0.01), 0),
                ("dropout 0.2 and weight decay 0.01", new AdamW(0.003, Decay: 0.01), 0.2),
            })
            {
                var fit = Lab.Fit(Lab.Classifier(x => x.Dense(256).Relu().Dropout(rate).Dense(256).Relu().Dropout(rate).Dense(10)), random, optimizer, effort == Effort.Full ? 2000 : 250, 50, seed);
                yield return Line.Equal($"{rows} random labels, {name} (seed {seed}): accuracy in training", 1, fit.On(random, "train", "accuracy"));
                yield return Line.Between("… on true labels: chance", 0.02, 0.2, fit.On(random, "test", "accuracy"));
            }
        }
    }
}
