namespace Dnn.Graph;

/// <summary>How the losses of the elements become one number.</summary>
public enum LossReduction
{
    Mean,
    Sum,
    None,
}

/// <summary>The losses, from logits where there are logits. Predictions never broadcast against targets.</summary>
public static class Losses
{
    /// <summary>
    /// −log softmax(logits)[label], by log-sum-exp. Labels are whole numbers [...] or probabilities [..., classes].
    /// </summary>
    /// <param name="logits">[..., classes]</param>
    /// <param name="labels">i64[...] or [..., classes]</param>
    /// <param name="smoothing">ε: the target becomes (1 − ε) · label + ε / classes (Szegedy et al. 2016).</param>
    /// <param name="ignore">A label whose rows do not count.</param>
    /// <param name="weight">Factors for the rows, i.e. of the labels' shape.</param>
    /// <param name="reduction">Mean over the rows that count, sum, or none.</param>
    public static Expr CrossEntropy(Expr logits, Expr labels, double smoothing = 0, int? ignore = null, Expr? weight = null, LossReduction reduction = LossReduction.Mean)
    {
        if (logits.Rank < 1)
            throw new ShapeException("cross_entropy: the logits need an axis of classes", logits.Shape);
        var rows = logits.Shape.RemoveAt(logits.Rank - 1);
        var classes = logits.Shape[^1];
        var logP = logits.LogSoftmax();
        Expr perRow;
        if (labels.DType == DType.I64)
        {
            RequireSame("cross_entropy", "labels", rows, labels.Shape, $"; whole-number labels lack the axis of the {classes} classes");
            var safe = ignore is { } skip ? Expr.Where(labels.EqualTo(skip), Expr.Scalar(0, DType.I64), labels) : labels;
            var picked = Expr.Make(new Gather(rows.Rank, rows.Rank), logP, safe);
            perRow = smoothing == 0 ? -picked : -((1 - smoothing) * picked) - (smoothing * logP.Mean(-1));
        }
        else
        {
            if (ignore is not null)
                throw new GraphException("cross_entropy: `ignore` goes with whole-number labels");
            RequireSame("cross_entropy", "labels", logits.Shape, labels.Shape, "; float labels are probabilities of the classes");
            perRow = -((smoothing == 0 ? labels : ((1 - smoothing) * labels) + (smoothing / classes.Value)) * logP).Sum(-1);
        }

        var counts = ignore is { } label ? labels.NotEqualTo(label).Cast(logits.DType) : null;
        return Reduce(perRow, counts, weight, reduction);
    }

    /// <summary>−y log σ(x) − (1 − y) log(1 − σ(x)) = log(1 + eˣ) − xy, from the logit x.</summary>
    public static Expr BceWithLogits(Expr logits, Expr labels, Expr? weight = null, LossReduction reduction = LossReduction.Mean)
    {
        RequireSame("bce_with_logits", "labels", logits.Shape, labels.Shape, "");
        var y = labels.Cast(logits.DType);
        return Reduce(Activations.Log1pExp(logits) - (logits * y), null, weight, reduction);
    }

    /// <summary>(prediction − target)²</summary>
    public static Expr Mse(Expr prediction, Expr target, Expr? weight = null, LossReduction reduction = LossReduction.Mean)
    {
        RequireSame("mse", "target", prediction.Shape, target.Shape, "");
        return Reduce((prediction - target).Square(), null, weight, reduction);
    }

    /// <summary>|prediction − target|</summary>
    public static Expr Mae(Expr prediction, Expr target, Expr? weight = null, LossReduction reduction = LossReduction.Mean)
    {
        RequireSame("mae", "target", prediction.Shape, target.Shape, "");
        return Reduce((prediction - target).Abs(), null, weight, reduction);
    }

    private static Expr Reduce(Expr losses, Expr? counts, Expr? weight, LossReduction reduction)
    {
        var factor = counts is null ? weight : weight is null ? counts : counts * weight;
        var weighted = factor is null ? losses : losses * factor;
        return reduction switch
        {
            LossReduction.None => weighted,
            LossReduction.Sum => weighted.Sum(),
            _ => factor is null ? weighted.Mean() : weighted.Sum() / factor.BroadcastTo(losses.Shape).Sum(),
        };
    }

    private static void RequireSame(string loss, string what, Shape expected, Shape actual, string why)
    {
        var differs = expected.Rank != actual.Rank || Enumerable.Range(0, expected.Rank).Any(i => Dim.AreEqual(expected[i], actual[i]) == Answer.Refuted);
        if (differs)
            throw new ShapeException($"{loss}: the {what} must have the shape {expected}, not {actual}{why}", expected, actual);
    }
}
