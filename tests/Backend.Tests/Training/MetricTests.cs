using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>Metrics against counting, and of a split that is evaluated in batches.</summary>
public class MetricTests
{
    private const int Rows = 37, Classes = 4;
    private static readonly System.Random Random = new(3);
    private static readonly double[] Logits = [.. Enumerable.Range(0, Rows * Classes).Select(_ => Math.Round((Random.NextDouble() * 6) - 3))];
    private static readonly double[] Scores = [.. Enumerable.Range(0, Rows).Select(_ => Math.Round((Random.NextDouble() * 6) - 3))];
    private static readonly long[] Labels = [.. Enumerable.Range(0, Rows).Select(_ => (long)Random.Next(3))];
    private static readonly double[] Binary = [.. Enumerable.Range(0, Rows).Select(i => Scores[i] + (Random.NextDouble() * 4) > 1.5 ? 1.0 : 0)];

    private static int[] Called => [.. Enumerable.Range(0, Rows).Select(r => Enumerable.Range(0, Classes).MaxBy(c => (Logits[(r * Classes) + c], -c)))];

    private static Dictionary<string, (Func<Expr, Expr, Expr, Expr, Expr> Metric, double Value)> Figures => new()
    {
        ["accuracy"] = ((x, y, _, _) => Metrics.Accuracy(x, y), Called.Where((c, r) => c == Labels[r]).Count() / (double)Rows),
        ["accuracy_but_1"] = ((x, y, _, _) => Metrics.Accuracy(x, y, ignore: 1), Called.Where((c, r) => Labels[r] != 1 && c == Labels[r]).Count() / (double)Labels.Count(l => l != 1)),
        ["binary_accuracy"] = ((_, _, s, b) => Metrics.Accuracy(s, b), Enumerable.Range(0, Rows).Count(r => Scores[r] > 0 == Binary[r] > 0.5) / (double)Rows),
        ["top_2"] = ((x, y, _, _) => Metrics.TopKAccuracy(x, y, 2), Enumerable.Range(0, Rows).Count(r => Enumerable.Range(0, Classes).OrderByDescending(c => Logits[(r * Classes) + c]).Take(2).Contains((int)Labels[r])) / (double)Rows),
        ["precision"] = ((x, y, _, _) => Metrics.Precision(x, y), Macro((tp, called, _) => tp / called)),
        ["recall"] = ((x, y, _, _) => Metrics.Recall(x, y), Macro((tp, _, actual) => tp / actual)),
        ["f1"] = ((x, y, _, _) => Metrics.F1(x, y), Macro((tp, called, actual) => 2 * tp / (called + actual))),
        ["micro"] = ((x, y, _, _) => Metrics.F1(x, y, ClassAverage.Micro), Called.Where((c, r) => c == Labels[r]).Count() / (double)Rows),
        ["binary_f1"] = ((_, _, s, b) => Metrics.F1(s, b), 2.0 * Enumerable.Range(0, Rows).Count(r => Scores[r] > 0 && Binary[r] > 0) / (Scores.Count(s => s > 0) + Binary.Count(b => b > 0))),
        ["auc"] = ((_, _, s, b) => Metrics.Auc(s, b), Pairs()),
        ["perplexity"] = ((x, y, _, _) => Metrics.Perplexity(x, y), Math.Exp(Enumerable.Range(0, Rows).Average(CrossEntropy))),
        ["perplexity_but_0"] = ((x, y, _, _) => Metrics.Perplexity(x, y, ignore: 0), Math.Exp(Enumerable.Range(0, Rows).Where(r => Labels[r] != 0).Average(CrossEntropy))),
        ["r2"] = ((_, _, s, b) => Metrics.R2(s, b), 1 - (Enumerable.Range(0, Rows).Sum(r => Math.Pow(Binary[r] - Scores[r], 2)) / Binary.Sum(b => Math.Pow(b - Binary.Average(), 2)))),
    };

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(64)]
    public void A_split_has_the_figures_of_all_its_rows_in_batches_of_any_size(int batch)
    {
        var model = Model.Build("M", m =>
        {
            var (x, s) = (m.Input("x", "B", Classes), m.Input("s", "B"));
            var (y, b) = (m.Target("y", DType.I64, "B"), m.Target("b", "B"));
            m.Loss((x * m.Parameter("w", new Shape(Classes), 1)).Sum());
            foreach (var (name, (metric, _)) in Figures)
                m.Metric(name, metric(x, y, s, b));
        });
        var split = new DataSplit("test", ("x", Tensor.Create(Logits, Rows, Classes)), ("s", Tensor.Create(Scores, Rows)), ("y", Tensor.Create(Labels, Rows)), ("b", Tensor.Create(Binary, Rows)));
        var values = Trainer.Evaluate(model, Initialization.Sample(model, 0, DType.F64), DataSet.Of(split), "test", new PlanOptions { Float = DType.F64 }, batch).ToDictionary();
        Assert.Equal(["loss", .. Figures.Keys], values.Keys);
        Assert.All(Figures, f => Assert.Equal(f.Value.Value, values[f.Key], 1e-12));
    }

    [Fact]
    public void Confusions_are_counted_and_what_does_not_fit_is_explained()
    {
        var (x, y) = (Expr.Variable("x", new Shape(Rows, Classes)), Expr.Variable("y", new Shape(Rows), DType.I64));
        var matrix = Evaluator.Evaluate([Metrics.ConfusionMatrix(x, y)], new Dictionary<Expr, Tensor> { [x] = Tensor.Create(Logits, Rows, Classes), [y] = Tensor.Create(Labels, Rows) })[0];
        for (var label = 0; label < Classes; label++)
        {
            for (var c = 0; c < Classes; c++)
                Assert.Equal(Enumerable.Range(0, Rows).Count(r => Labels[r] == label && Called[r] == c), matrix[label, c]);
        }

        var scores = Expr.Variable("s", new Shape("B"));
        foreach (var (make, message) in new (Func<Expr> Make, string Message)[]
        {
            (() => Metrics.Accuracy(x, scores), "to logits [37, 4] belong whole-number labels [37], or labels of 0 and 1 [37, 4], not [B]"),
            (() => Metrics.TopKAccuracy(x, y, 5), "not 5"),
            (() => Metrics.Auc(x, y), "one score for each label"),
            (() => Metrics.R2(x, scores), "must have the shape [37, 4], not [B]"),
            (() => Metrics.Pooled(Expr.Scalar(1)), "no axis of rows"),
        })
        {
            Assert.Contains(message, Assert.Throws<ShapeException>(() => make()).Message, StringComparison.Ordinal);
        }
    }

    private static double Macro(Func<double, double, double, double> figure)
    {
        var occurring = Enumerable.Range(0, Classes).Where(c => Called.Contains(c) || Labels.Contains(c));
        return occurring.Average(c =>
        {
            var (tp, called, actual) = (Called.Where((k, r) => k == c && Labels[r] == c).Count(), Called.Count(k => k == c), Labels.Count(l => l == c));
            return figure(tp, called, actual) is var value && double.IsNaN(value) ? 0 : value;
        });
    }

    private static double Pairs()
    {
        var pairs = Enumerable.Range(0, Rows).Where(i => Binary[i] > 0).SelectMany(i => Enumerable.Range(0, Rows).Where(j => Binary[j] == 0).Select(j => Scores[i] > Scores[j] ? 1 : Scores[i] == Scores[j] ? 0.5 : 0));
        return pairs.Average();
    }

    private static double CrossEntropy(int row)
    {
        var logits = Logits[(row * Classes)..((row + 1) * Classes)];
        return Math.Log(logits.Sum(Math.Exp)) - logits[Labels[row]];
    }
}
