namespace Dnn.Graph;

/// <summary>How figures of several classes become one.</summary>
public enum ClassAverage
{
    /// <summary>The mean over the classes that occur, in the labels or in the predictions.</summary>
    Macro,

    /// <summary>Of all classes' counts together.</summary>
    Micro,
}

/// <summary>
/// Figures of merit, from logits where there are logits. Those that are means over rows are averaged over batches; what is no such mean keeps what it needs of each
/// row (<see cref="Graph.Pooled"/>), so that it is the figure of a whole split, however that is batched. No gradient passes through counts.
/// </summary>
public static class Metrics
{
    /// <summary>x, of which a figure needs all rows: [rows, …].</summary>
    /// <exception cref="ShapeException">x has no axis of rows.</exception>
    public static Expr Pooled(Expr x) => x.Rank > 0 ? Expr.Make(new Pooled(), x) : throw new ShapeException("pooled keeps rows, and a scalar has no axis of rows", x.Shape);

    /// <summary>The part of the labels that the largest logit names; of labels in the shape of the logits (0, 1), the part on whose side of 0 the logit is.</summary>
    /// <param name="logits">[..., classes], or one logit a label.</param>
    /// <param name="labels">i64[...], or 0 and 1 in the shape of the logits.</param>
    /// <param name="ignore">A label that does not count.</param>
    public static Expr Accuracy(Expr logits, Expr labels, int? ignore = null)
    {
        var correct = IsMulticlass("accuracy", logits, labels) ? logits.ArgMax(-1).EqualTo(labels) : logits.GreaterThan(0).EqualTo(IsTrue(labels));
        return MeanOf(correct, labels, ignore);
    }

    /// <summary>The part of the labels among the k largest logits; of equal logits, the first ones come first.</summary>
    /// <exception cref="ShapeException">The labels are no classes, or k is no number of classes.</exception>
    public static Expr TopKAccuracy(Expr logits, Expr labels, int k = 5, int? ignore = null)
    {
        if (!IsMulticlass("top_k_accuracy", logits, labels))
            throw new ShapeException($"top_k_accuracy takes logits [..., classes] and whole-number labels [...], not {logits.Type} and {labels.Type}", logits.Shape, labels.Shape);
        if (k < 1 || (logits.Shape[^1] is { IsKnown: true } classes && classes.Value < k))
            throw new ShapeException($"top_k_accuracy: k is a number of classes of {logits.Shape}, not {k}", logits.Shape);
        var known = ignore is { } skip ? Expr.Where(labels.EqualTo(skip), Expr.Scalar(0, DType.I64), labels) : labels;
        var own = Expr.Make(new Gather(labels.Rank, labels.Rank), logits, known).ExpandDims(-1);
        var before = Expr.Iota(logits.Shape, -1).LessThan(known.ExpandDims(-1));
        var ahead = logits.GreaterThan(own).Or(logits.EqualTo(own).And(before.BroadcastTo(logits.Shape)));
        return MeanOf(ahead.Sum(-1).LessThan(k), labels, ignore);
    }

    /// <summary>Of what is called positive, the part that is: tp / (tp + fp), 0 where nothing is called so.</summary>
    public static Expr Precision(Expr logits, Expr labels, ClassAverage average = ClassAverage.Macro) =>
        FromCounts("precision", logits, labels, average, (hits, called, _) => (hits, called));

    /// <summary>Of what is positive, the part that is called so: tp / (tp + fn), 0 where nothing is.</summary>
    public static Expr Recall(Expr logits, Expr labels, ClassAverage average = ClassAverage.Macro) =>
        FromCounts("recall", logits, labels, average, (hits, _, actual) => (hits, actual));

    /// <summary>The harmonic mean of precision and recall: 2tp / (2tp + fp + fn) (van Rijsbergen 1979).</summary>
    public static Expr F1(Expr logits, Expr labels, ClassAverage average = ClassAverage.Macro) =>
        FromCounts("f1", logits, labels, average, (hits, called, actual) => (2 * hits, called + actual));

    /// <summary>
    /// The area under the receiver operating characteristic: the probability that a positive has the larger score than a negative, ties counting half (Hanley and
    /// McNeil 1982), exactly, from ranks. NaN where one of the classes is missing.
    /// </summary>
    /// <param name="scores">Logits or probabilities: any increasing function of them gives the same.</param>
    /// <param name="labels">0 and 1, in the shape of the scores.</param>
    public static Expr Auc(Expr scores, Expr labels)
    {
        if (IsMulticlass("auc", scores, labels))
            throw new ShapeException($"auc takes one score for each label of 0 or 1, not {scores.Type} and {labels.Type}", scores.Shape, labels.Shape);
        var (s, y) = (Flat(Pooled(scores)), Flat(Pooled(IsTrue(labels))).Cast(DType.Float));
        // Place from either end: what is smaller and, of the equal ones, those before and those after.
        var rank = 0.5 * (Place(s) + Place(s.Reverse(0)).Reverse(0)).Cast(DType.Float);
        var (positives, negatives) = (y.Sum(), (1 - y).Sum());
        return (((rank * y).Sum() - (0.5 * positives * (positives - 1))) / (positives * negatives)).StopGradient();

        static Expr Place(Expr x) => x.ArgSort().ArgSort();
    }

    /// <summary>How often each label (row) was taken for each class (column): [classes, classes].</summary>
    /// <exception cref="ShapeException">The labels are no classes.</exception>
    public static Expr ConfusionMatrix(Expr logits, Expr labels)
    {
        if (!IsMulticlass("confusion_matrix", logits, labels))
            throw new ShapeException($"confusion_matrix takes logits [..., classes] and whole-number labels [...], not {logits.Type} and {labels.Type}", logits.Shape, labels.Shape);
        var classes = logits.Shape[^1];
        return Flat(labels).OneHot(classes).Transpose().MatMul(Flat(logits.ArgMax(-1)).OneHot(classes));
    }

    /// <summary>e to the mean cross entropy of all labels: between how many equally likely classes one would be as uncertain.</summary>
    public static Expr Perplexity(Expr logits, Expr labels, int? ignore = null)
    {
        var losses = Losses.CrossEntropy(logits, labels, ignore: ignore, reduction: LossReduction.None);
        var counts = ignore is { } label ? labels.NotEqualTo(label).Cast(losses.DType) : losses.OnesLike();
        return Share(losses, counts).Exp();
    }

    /// <summary>The part of the target's variance over rows that is predicted: 1 − Σ(y − ŷ)² / Σ(y − ȳ)², the mean ȳ of each column by itself; 0 where the target does not vary.</summary>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    public static Expr R2(Expr prediction, Expr target)
    {
        if (prediction.Rank != target.Rank || Enumerable.Range(0, prediction.Rank).Any(i => Dim.AreEqual(prediction.Shape[i], target.Shape[i]) == Answer.Refuted))
            throw new ShapeException($"r2: the target must have the shape {prediction.Shape}, not {target.Shape}", prediction.Shape, target.Shape);
        var (p, y) = (Pooled(prediction), Pooled(target.Cast(prediction.DType)));
        var whole = (y - y.Mean(0, keep: true)).Square().Sum();
        var none = whole.EqualTo(0);
        return Expr.Where(none, 0, 1 - ((y - p).Square().Sum() / Expr.Where(none, 1, whole)));
    }

    private static Expr FromCounts(string name, Expr logits, Expr labels, ClassAverage average, Func<Expr, Expr, Expr, (Expr, Expr)> figure)
    {
        Expr called, actual;
        var multiclass = IsMulticlass(name, logits, labels);
        if (multiclass)
            (called, actual) = (logits.ArgMax(-1).OneHot(logits.Shape[^1]), labels.OneHot(logits.Shape[^1]));
        else
            (called, actual) = (logits.GreaterThan(0).Cast(DType.Float).ExpandDims(-1), IsTrue(labels).Cast(DType.Float).ExpandDims(-1));

        // [rows, …, classes] → counts a row, then of all rows.
        Expr Total(Expr x) => Pooled(x.Rank > 2 ? x.Sum([.. Enumerable.Range(1, x.Rank - 2)]) : x).Sum(0);
        var (hits, calls, actuals) = (Total(called * actual), Total(called), Total(actual));
        if (average == ClassAverage.Micro)
            (hits, calls, actuals) = (hits.Sum(0, keep: true), calls.Sum(0, keep: true), actuals.Sum(0, keep: true));
        var (part, whole) = figure(hits, calls, actuals);
        var none = whole.EqualTo(0);
        var each = Expr.Where(none, 0, part / Expr.Where(none, 1, whole));
        if (!multiclass || average == ClassAverage.Micro)
            return each.Sum();
        var occurs = (calls + actuals).GreaterThan(0).Cast(each.DType);
        return (each * occurs).Sum() / occurs.Sum().Max(1);
    }

    /// <summary>Whether labels name classes along the logits' last axis; otherwise they are 0 and 1 in the logits' own shape.</summary>
    private static bool IsMulticlass(string name, Expr logits, Expr labels)
    {
        if (labels.Rank == 0)
            throw new ShapeException($"{name} takes rows, and these labels are a scalar", logits.Shape, labels.Shape);
        if (labels.DType == DType.I64 && logits.Rank == labels.Rank + 1 && Same(logits.Shape.RemoveAt(logits.Rank - 1), labels.Shape))
            return true;
        return Same(logits.Shape, labels.Shape)
            ? false
            : throw new ShapeException($"{name}: to logits {logits.Shape} belong whole-number labels {(logits.Rank > 0 ? logits.Shape.RemoveAt(logits.Rank - 1) : logits.Shape)}, or labels of 0 and 1 {logits.Shape}, not {labels.Type}", logits.Shape, labels.Shape);

        static bool Same(Shape a, Shape b) => a.Rank == b.Rank && Enumerable.Range(0, a.Rank).All(i => Dim.AreEqual(a[i], b[i]) != Answer.Refuted);
    }

    private static Expr MeanOf(Expr correct, Expr labels, int? ignore)
    {
        if (ignore is not { } label)
            return correct.Mean();
        var counted = labels.NotEqualTo(label).Cast(DType.Float);
        return Share(correct * counted, counted);
    }

    /// <summary>The mean over what counts; 0 where nothing does.</summary>
    private static Expr Share(Expr values, Expr counted) => Pooled(PerRow(values)).Sum() / Pooled(PerRow(counted)).Sum().Max(1);

    private static Expr IsTrue(Expr labels) => labels.DType == DType.Bool ? labels : labels.GreaterThan(0.5);

    /// <summary>The sum over all axes but the first.</summary>
    private static Expr PerRow(Expr x) => x.Rank > 1 ? x.Sum([.. Enumerable.Range(1, x.Rank - 1)]) : x;

    private static Expr Flat(Expr x) => x.Reshape(new Shape(x.Shape.ElementCount));
}
