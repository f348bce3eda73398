using Dnn.Graph;

namespace Dnn.Dsl;

public static partial class Catalog
{
    private const string WholeSplit = " Of a whole split it is exact, however that is batched; while training, the mean of the batches' figures.";

    /// <summary>Figures for <c>metric</c>.</summary>
    private static IEnumerable<CatalogEntry> Figures()
    {
        const string Labels = "[..., classes] with int[...], or [...] with 0 and 1 [...]";
        static CatalogEntry Figure(string name, string signature, string equation, string shapes, string use, Func<Args, Expr> make) =>
            Row(CatalogKind.Metric, name, signature, equation, shapes, use, make);
        static ClassAverage Average(Args a) => a.Text("average") == "micro" ? ClassAverage.Micro : ClassAverage.Macro;
        return
        [
            Figure("accuracy", "logits, labels, ignore: int = none", "the part of the labels that the largest logit names; of labels 0 and 1, on whose side of 0 the logit is", Labels + " → []",
                "Takes logits. Labels equal to `ignore` do not count.", a => Metrics.Accuracy(a.Tensor("logits"), a.Tensor("labels"), a.OptionalInt("ignore"))),
            Figure("top_k_accuracy", "logits, labels: integers, k: int = 5, ignore: int = none", "the part of the labels among the k largest logits", "[..., classes] with int[...] → []",
                "Of equal logits, the first ones come first.", a => Metrics.TopKAccuracy(a.Tensor("logits"), a.Tensor("labels"), a.Int("k"), a.OptionalInt("ignore"))),
            Figure("precision", "logits, labels, average: macro|micro = macro", "tp / (tp + fp), 0 where nothing is called positive", Labels + " → []",
                "Of several classes: the mean over those that occur, or of all counts together." + WholeSplit, a => Metrics.Precision(a.Tensor("logits"), a.Tensor("labels"), Average(a))),
            Figure("recall", "logits, labels, average: macro|micro = macro", "tp / (tp + fn), 0 where nothing is positive", Labels + " → []",
                "Of several classes: the mean over those that occur, or of all counts together." + WholeSplit, a => Metrics.Recall(a.Tensor("logits"), a.Tensor("labels"), Average(a))),
            Figure("f1", "logits, labels, average: macro|micro = macro", "2tp / (2tp + fp + fn)", Labels + " → []",
                "The harmonic mean of precision and recall (van Rijsbergen 1979). Of several classes: the mean over those that occur, or of all counts together." + WholeSplit,
                a => Metrics.F1(a.Tensor("logits"), a.Tensor("labels"), Average(a))),
            Figure("auc", "scores, labels", "P(score of a positive > score of a negative) + ½ P(equal)", "two equal shapes → []",
                "The area under the ROC curve, exactly, from ranks (Hanley and McNeil 1982); logits or probabilities. NaN where one of the classes is missing." + WholeSplit,
                a => Metrics.Auc(a.Tensor("scores"), a.Tensor("labels"))),
            Figure("confusion_matrix", "logits, labels: integers", "how often label i was taken for class j", "[..., classes] with int[...] → [classes, classes]", "No metric, as it is no scalar: for outputs and tests.",
                a => Metrics.ConfusionMatrix(a.Tensor("logits"), a.Tensor("labels"))),
            Figure("perplexity", "logits, labels: integers, ignore: int = none", "e^(mean cross entropy)", "[..., classes] with int[...] → []", "Between how many equally likely classes one would be as uncertain." + WholeSplit,
                a => Metrics.Perplexity(a.Tensor("logits"), a.Tensor("labels"), a.OptionalInt("ignore"))),
            Figure("r2", "prediction, target", "1 − Σ(y − ŷ)² / Σ(y − ȳ)², ȳ the mean of a column", "two equal shapes [B, ...] → []", "The part of the variance that is predicted: 1 is perfect, 0 as good as the mean." + WholeSplit,
                a => Metrics.R2(a.Tensor("prediction"), a.Tensor("target"))),
            Figure("pooled", "x", "x; in the evaluation of a split, x of all its rows", "[B, ...] → [B, ...]", "For metrics of one's own that are no mean over rows: `metric rmse = sqrt(mean(pooled((p - y) ** 2)))`.",
                a => Metrics.Pooled(a.Tensor("x"))),
        ];
    }
}
