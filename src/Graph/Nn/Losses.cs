using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>How the losses of the elements become one number.</summary>
public enum LossReduction
{
    Mean,
    Sum,
    None,
}

/// <summary>The losses, from logits where there are logits. Predictions never broadcast against targets.</summary>
public static partial class Losses
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
            var picked = Picked(logP, labels, ignore);
            perRow = smoothing == 0 ? -picked : -((1 - smoothing) * picked) - (smoothing * logP.Mean(-1));
        }
        else
        {
            if (ignore is not null)
                throw new GraphException("cross_entropy: `ignore` goes with whole-number labels");
            RequireSame("cross_entropy", "labels", logits.Shape, labels.Shape, "; float labels are probabilities of the classes");
            perRow = -((smoothing == 0 ? labels : ((1 - smoothing) * labels) + (smoothing / classes.Value)) * logP).Sum(-1);
        }

        return Reduce("cross_entropy", [logits, labels], perRow, Counts(labels, ignore, logits.DType), weight, reduction, isPlain: smoothing == 0 && ignore is null);
    }

    /// <summary>−y log σ(x) − (1 − y) log(1 − σ(x)) = log(1 + eˣ) − xy, from the logit x.</summary>
    public static Expr BceWithLogits(Expr logits, Expr labels, Expr? weight = null, LossReduction reduction = LossReduction.Mean)
    {
        RequireSame("bce_with_logits", "labels", logits.Shape, labels.Shape, "");
        var y = labels.Cast(logits.DType);
        return Reduce("bce_with_logits", [logits, labels], Activations.Log1pExp(logits) - (logits * y), null, weight, reduction);
    }

    /// <summary>(prediction − target)²</summary>
    public static Expr Mse(Expr prediction, Expr target, Expr? weight = null, LossReduction reduction = LossReduction.Mean)
    {
        RequireSame("mse", "target", prediction.Shape, target.Shape, "");
        return Reduce("mse", [prediction, target], (prediction - target).Square(), null, weight, reduction);
    }

    /// <summary>|prediction − target|</summary>
    public static Expr Mae(Expr prediction, Expr target, Expr? weight = null, LossReduction reduction = LossReduction.Mean)
    {
        RequireSame("mae", "target", prediction.Shape, target.Shape, "");
        return Reduce("mae", [prediction, target], (prediction - target).Abs(), null, weight, reduction);
    }

    /// <summary>
    /// −y log p − (1 − y) log(1 − p), from a probability; log 0 counts as −87.3. Of a sigmoid it is <see cref="BceWithLogits"/>.
    /// </summary>
    public static Expr Bce(Expr prediction, Expr labels, Expr? weight = null, LossReduction reduction = LossReduction.Mean)
    {
        RequireSame("bce", "labels", prediction.Shape, labels.Shape, "");
        if (prediction.Op is Logistic)
            return ModelBuilder.Mark("bce", [prediction, labels], BceWithLogits(prediction.Args[0], labels, weight, reduction));
        var y = labels.Cast(prediction.DType);
        return Reduce("bce", [prediction, labels], -(y * FiniteLog(prediction)) - ((1 - y) * FiniteLog(1 - prediction)), null, weight, reduction);
    }

    /// <summary>½r² for |r| ≤ δ, δ(|r| − ½δ) beyond, r = prediction − target (Huber 1964).</summary>
    /// <exception cref="GraphException">δ is not positive.</exception>
    public static Expr Huber(Expr prediction, Expr target, double delta = 1, Expr? weight = null, LossReduction reduction = LossReduction.Mean)
    {
        RequireSame("huber", "target", prediction.Shape, target.Shape, "");
        if (!(delta > 0))
            throw new GraphException($"huber: delta is where the parabola becomes a line, and must be positive, not {Printer.Number(delta)}");
        var r = prediction - target;
        return Reduce("huber", [prediction, target], Expr.Where(r.Abs().LessOrEqual(delta), 0.5 * r.Square(), delta * (r.Abs() - (0.5 * delta))), null, weight, reduction, isPlain: delta == 1);
    }

    /// <summary>p (log p − log q) by element, 0 where p is 0 (Kullback and Leibler 1951); the sum over the classes is the divergence.</summary>
    /// <param name="logQ">The logarithm of the prediction, such as log_softmax gives.</param>
    /// <param name="p">The target: probabilities of the same shape.</param>
    /// <param name="weight">Factors for the elements.</param>
    /// <param name="reduction">Mean over all elements, sum, or none.</param>
    public static Expr KlDiv(Expr logQ, Expr p, Expr? weight = null, LossReduction reduction = LossReduction.Mean)
    {
        RequireSame("kl_div", "target", logQ.Shape, p.Shape, "");
        var nothing = p.EqualTo(0);
        return Reduce("kl_div", [logQ, p], p * (Expr.Where(nothing, 1, p).Log() - Expr.Where(nothing, 0, logQ)), null, weight, reduction);
    }

    /// <summary>−logP[label]: <see cref="CrossEntropy"/> of what log_softmax has gone over already.</summary>
    /// <param name="logP">[..., classes]</param>
    /// <param name="labels">i64[...]</param>
    /// <param name="ignore">A label whose rows do not count.</param>
    /// <param name="weight">Factors for the rows, i.e. of the labels' shape.</param>
    /// <param name="reduction">Mean over the rows that count, sum, or none.</param>
    public static Expr Nll(Expr logP, Expr labels, int? ignore = null, Expr? weight = null, LossReduction reduction = LossReduction.Mean)
    {
        if (logP.Rank < 1)
            throw new ShapeException("nll: the log probabilities need an axis of classes", logP.Shape);
        if (labels.DType != DType.I64)
            throw new ShapeException($"nll: the labels must be whole numbers, not {labels.Type}; cross_entropy and kl_div take probabilities", logP.Shape, labels.Shape);
        RequireSame("nll", "labels", logP.Shape.RemoveAt(logP.Rank - 1), labels.Shape, $"; labels lack the axis of the {logP.Shape[^1]} classes");
        return Reduce("nll", [logP, labels], -Picked(logP, labels, ignore), Counts(labels, ignore, logP.DType), weight, reduction, isPlain: ignore is null);
    }

    /// <summary>max(0, 1 − target · prediction), the target −1 or 1 (Cortes and Vapnik 1995).</summary>
    public static Expr Hinge(Expr prediction, Expr target, Expr? weight = null, LossReduction reduction = LossReduction.Mean)
    {
        RequireSame("hinge", "target", prediction.Shape, target.Shape, "");
        if (target.DType == DType.Bool)
            throw new ShapeException("hinge: the target is −1 or 1, not a bool; write 2 * target - 1", prediction.Shape, target.Shape);
        return Reduce("hinge", [prediction, target], Positive(1 - (target * prediction)), null, weight, reduction);
    }

    /// <summary>1 − x·y / (|x| |y|) over the last axis; a length counts as at least 10⁻⁸.</summary>
    public static Expr CosineSimilarity(Expr prediction, Expr target, Expr? weight = null, LossReduction reduction = LossReduction.Mean)
    {
        RequireSame("cosine_similarity_loss", "target", prediction.Shape, target.Shape, "");
        RequireVectors("cosine_similarity_loss", prediction.Shape);
        return Reduce("cosine_similarity_loss", [prediction, target], 1 - (Unit(prediction) * Unit(target)).Sum(-1), null, weight, reduction);

        static Expr Unit(Expr x) => x / x.Norm(-1, keep: true).Max(1e-8);
    }

    /// <summary>max(0, |a − p| − |a − n| + margin) over the last axis (Schroff et al. 2015; Balntas et al. 2016).</summary>
    /// <param name="anchor">[..., D]</param>
    /// <param name="positive">What belongs to the anchor: [..., D]</param>
    /// <param name="negative">What does not: [..., D]</param>
    /// <param name="margin">How much farther the negative shall be.</param>
    /// <param name="weight">Factors for the rows.</param>
    /// <param name="reduction">Mean over rows, sum, or none.</param>
    public static Expr Triplet(Expr anchor, Expr positive, Expr negative, double margin = 1, Expr? weight = null, LossReduction reduction = LossReduction.Mean)
    {
        RequireSame("triplet", "positive", anchor.Shape, positive.Shape, "");
        RequireSame("triplet", "negative", anchor.Shape, negative.Shape, "");
        RequireVectors("triplet", anchor.Shape);
        return Reduce("triplet", [anchor, positive, negative], Positive((anchor - positive).Norm(-1) - (anchor - negative).Norm(-1) + margin), null, weight, reduction, isPlain: margin == 1);
    }

    /// <summary>Σ |w| over all tensors (Tibshirani 1996); its derivative at 0 is 0.</summary>
    /// <exception cref="GraphException">There are no tensors.</exception>
    public static Expr L1(params ReadOnlySpan<Expr> tensors) => Penalty("l1", tensors, w => w.Abs());

    /// <summary>Σ w² over all tensors (Hoerl and Kennard 1970).</summary>
    /// <exception cref="GraphException">There are no tensors.</exception>
    public static Expr L2(params ReadOnlySpan<Expr> tensors) => Penalty("l2", tensors, w => w.Square());

    private static Expr Penalty(string name, ReadOnlySpan<Expr> tensors, Func<Expr, Expr> function)
    {
        if (tensors.IsEmpty)
            throw new GraphException($"{name} takes at least one tensor, and gets none; apply the layers before params() asks for their parameters");
        var total = function(tensors[0]).Sum();
        foreach (var tensor in tensors[1..])
            total += function(tensor).Sum();
        return ModelBuilder.Mark(name, [.. tensors], total);
    }

    /// <summary>log x, with the smallest normal f32 in place of 0.</summary>
    private static Expr FiniteLog(Expr x) => Expr.Where(x.EqualTo(0), Math.ScaleB(1, -126), x).Log();

    /// <summary>max(0, x), whose derivative at 0 is 0.</summary>
    private static Expr Positive(Expr x) => Expr.Make(new Relu(), x);

    private static Expr Picked(Expr logP, Expr labels, int? ignore)
    {
        var safe = ignore is { } skip ? Expr.Where(labels.EqualTo(skip), Expr.Scalar(0, DType.I64), labels) : labels;
        return Expr.Make(new Gather(labels.Rank, labels.Rank), logP, safe);
    }

    private static Expr? Counts(Expr labels, int? ignore, DType type) => ignore is { } label ? labels.NotEqualTo(label).Cast(type) : null;

    private static void RequireVectors(string loss, Shape shape)
    {
        if (shape.Rank < 1)
            throw new ShapeException($"{loss} compares vectors along the last axis, and a scalar has none", shape);
    }

    private static Expr Reduce(string name, ImmutableArray<Expr> inputs, Expr losses, Expr? counts, Expr? weight, LossReduction reduction, bool isPlain = true)
    {
        var factor = counts is null ? weight : weight is null ? counts : counts * weight;
        var weighted = factor is null ? losses : losses * factor;
        var result = reduction switch
        {
            LossReduction.None => weighted,
            LossReduction.Sum => weighted.Sum(),
            _ => factor is null ? weighted.Mean() : weighted.Sum() / factor.BroadcastTo(losses.Shape).Sum(),
        };
        var call = isPlain && weight is null && reduction == LossReduction.Mean ? FunctionCall.Of(name, inputs.AsSpan()) : null;
        return ModelBuilder.Mark(name, inputs, result, call);
    }

    private static void RequireSame(string loss, string what, Shape expected, Shape actual, string why)
    {
        var differs = expected.Rank != actual.Rank || Enumerable.Range(0, expected.Rank).Any(i => Dim.AreEqual(expected[i], actual[i]) == Answer.Refuted);
        if (differs)
            throw new ShapeException($"{loss}: the {what} must have the shape {expected}, not {actual}{why}", expected, actual);
    }
}
