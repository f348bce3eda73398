namespace Dnn.Graph;

public static partial class Losses
{
    /// <summary>A log probability of nothing: finite, so that differences of such numbers are no NaN.</summary>
    private const double Never = -1e30;

    /// <summary>
    /// −log Σ P(path) over all paths of classes and blanks that become the labels when repetitions are merged and blanks are taken out (Graves et al. 2006), by the
    /// forward recursion over time in logarithms. Infinite where there is no such path: more labels than frames.
    /// </summary>
    /// <param name="logits">[B, T, classes]; log probabilities serve as well.</param>
    /// <param name="labels">i64[B, S], none of them the blank; what lies beyond a row's length does not matter.</param>
    /// <param name="lengths">The frames of each row: i64[B]; all T, if null.</param>
    /// <param name="labelLengths">The labels of each row: i64[B]; all S, if null.</param>
    /// <param name="blank">The class that means no label.</param>
    /// <param name="weight">Factors for the rows.</param>
    /// <param name="reduction">Mean over rows, sum, or none.</param>
    public static Expr Ctc(Expr logits, Expr labels, Expr? lengths = null, Expr? labelLengths = null, int blank = 0, Expr? weight = null, LossReduction reduction = LossReduction.Mean)
    {
        if (logits.Rank != 3 || labels.Rank != 2 || labels.DType != DType.I64)
            throw new ShapeException($"ctc takes logits [B, T, classes] and whole-number labels [B, S], not {logits.Type} and {labels.Type}", logits.Shape, labels.Shape);
        RequireSame("ctc", "labels", new Shape(logits.Shape[0], labels.Shape[1]), labels.Shape, "");
        if (blank < 0 || (logits.Shape[2].IsKnown && blank >= logits.Shape[2].Value))
            throw new ShapeException($"ctc: the blank is one of the {logits.Shape[2]} classes, not {blank}", logits.Shape);
        var rows = new Shape(logits.Shape[0]);
        foreach (var (what, given) in new[] { ("lengths", lengths), ("label_lengths", labelLengths) })
        {
            if (given is not null && given.DType != DType.I64)
                throw new ShapeException($"ctc: {what} are whole numbers, not {given.Type}", logits.Shape, given.Shape);
            if (given is not null)
                RequireSame("ctc", what, rows, given.Shape, ", a number for each row");
        }

        var (frames, symbols) = (logits.Shape[1], labels.Shape[1]);
        var places = new Shape(logits.Shape[0], (2 * symbols) + 1);
        var place = Expr.Iota(places, 1);
        var ends = labelLengths ?? Expr.Size(symbols).BroadcastTo(rows);

        // Blanks around all labels: even places are blank, and so is what lies beyond the row's labels.
        var known = Expr.Where(Expr.Iota(labels.Shape, 1).LessThan(ends.ExpandDims(1)), labels, Expr.Scalar(blank, DType.I64));
        var spread = Expr.Make(new Pad(new Shape(0, 1), new Shape(0, 1), [0, 1]), known);
        var odd = Expr.Make(new Pad(new Shape(0, 1), new Shape(0, 1), [0, 1]), Expr.Full(labels.Shape, 1, DType.Bool));
        var path = Expr.Where(odd, spread, Expr.Scalar(blank, DType.I64));
        var emissions = Expr.Make(new Gather(2, 1), logits.LogSoftmax(), path);

        // From a label one may skip the blank before the next one, if that is another label.
        var skips = odd.And(path.NotEqualTo(Later(path, 2, Expr.Scalar(blank, DType.I64))));
        var first = Expr.Where(place.EqualTo(0), Expr.Full(places, 0, logits.DType), Never);
        var runs = Expr.Iota(new Shape(logits.Shape[0], frames, 1), 1).LessThan((lengths ?? Expr.Size(frames).BroadcastTo(rows)).ExpandDims(1).ExpandDims(2)).Cast(logits.DType);
        var last = Scans.Run([first], [emissions, runs], (state, frame) => new Scans.Step([Advance(state[0], frame[0], frame[1])], [])).Next[0];
        var end = 2 * ends.ExpandDims(1);
        var final = place.EqualTo(end).Or(place.EqualTo(end - 1));
        var losses = -Expr.Where(final, last, Never).LogSumExp(1);
        return Reduce("ctc", [logits, labels], Expr.Where(losses.GreaterThan(-Never / 2), double.PositiveInfinity, losses), null, weight, reduction, isPlain: lengths is null && labelLengths is null && blank == 0);

        Expr Advance(Expr state, Expr emission, Expr runs)
        {
            var skipping = Expr.Where(skips, Later(state, 2, Never), Never);
            var arrived = Expr.Stack(0, state, Later(state, 1, Never), skipping).LogSumExp(0) + emission;
            return Expr.Where(runs.GreaterThan(0.5), arrived, state);
        }

        // x some places later along the last axis, and a value before.
        Expr Later(Expr x, int by, Expr value)
        {
            var size = x.Shape[1];
            if (size.IsKnown && size.Value < by)
                return value.Cast(x.DType).BroadcastTo(x.Shape);
            return Expr.Concat(1, value.Cast(x.DType).BroadcastTo(x.Shape.With(1, by)), x.SliceAxis(1, 0, size - by));
        }
    }
}
