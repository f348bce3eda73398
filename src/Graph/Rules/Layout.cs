using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>
/// Rules that move elements less. They keep every bit unless their text says otherwise, and apply only where no check of sizes at run time is lost.
/// </summary>
public static class LayoutRules
{
    public static RewriteRule ReshapeOfReshape { get; } = new("reshape_of_reshape", "reshape(reshape x) → reshape x", x =>
        x.Op is Reshape && x.Args[0].Op is Reshape && SameCount(x.Args[0].Args[0], x.Args[0]) ? x.Args[0].Args[0].Reshape(x.Shape) : null);

    public static RewriteRule ElementwiseOfMovement { get; } = new("elementwise_of_movement", "f(broadcast x, broadcast y) → broadcast f(x, y), where both are stretched alike, and with reshape, transpose, reverse", HoistMovement);

    public static ImmutableArray<RewriteRule> All { get; } =
    [
        new("identity", "a movement that moves nothing → its argument", Identity),
        new("movement_of_number", "reshape, transpose, slice, reverse of one number → that number", MovementOfNumber),
        new("transpose_of_transpose", "transposeₚ(transpose_q x) → transpose_{q∘p} x", x =>
            x.Op is Transpose p && x.Args[0].Op is Transpose q ? x.Args[0].Args[0].Transpose([.. p.Permutation.Select(a => q.Permutation[a])]) : null),
        new("transpose_of_units", "a transpose that only moves axes of size 1 → reshape", TransposeOfUnits),
        new("transpose_of_broadcast", "transpose(broadcast x) → broadcast(transpose x)", TransposeOfBroadcast),
        ReshapeOfReshape,
        new("reshape_of_broadcast", "reshape(broadcast x) → broadcast(reshape x), where axes of size 1 come or go", ReshapeOfBroadcast),
        new("broadcast_of_broadcast", "broadcast(broadcast x) → broadcast x", BroadcastOfBroadcast),
        new("broadcast_of_reshape", "broadcast(reshape x) → broadcast x, where the reshape adds axes of size 1", BroadcastOfReshape),
        new("broadcast_of_units", "a broadcast that adds axes of size 1 alone → reshape", BroadcastOfUnits),
        ElementwiseOfMovement,
        new("reverse_of_reverse", "reverse(reverse x) → reverse x over the axes that only one of them has", x =>
            x.Op is Reverse a && x.Args[0].Op is Reverse b ? Pattern.Make(new Reverse(a.Axes.Except(b.Axes).Concat(b.Axes.Except(a.Axes)).Order().ToValueList()), x.Args[0].Args[0]) : null),
        new("slice_of_slice", "slice(slice x) → slice x, where the inner one takes every element of a range", SliceOfSlice),
        new("slice_of_pad", "slice(pad x) → x, where the slice takes back what was padded", SliceOfPad),
        new("pad_of_pad", "pad(pad x) → pad x, where the outer one puts nothing between elements or where the inner one cut", PadOfPad),
        new("reduction_of_reduction", "Σ Σ x → Σ x, and max, min; the order of summation changes", ReductionOfReduction),
        new("reduction_of_units", "a reduction over axes of size 1 → reshape; Σ −0 is then −0", ReductionOfUnits),
        new("sum_of_broadcast", "Σ broadcast x → broadcast(n · Σ x): rounds once; 0 · ∞ is NaN where nothing is summed", SumOfBroadcast),
        new("reduction_of_reshape", "Σ(reshape x) → reshape(Σ x), and max, min, where the reshape adds or removes axes of size 1", ReductionOfReshape),
        new("full_reduction_of_movement", "a reduction over all axes does not see reshape, transpose, reverse; the order of summation changes", FullReductionOfMovement),
        new("reduction_of_transpose", "Σ(transpose x) → transpose(Σ x), and max, min", ReductionOfTranspose),
        new("dot_of_transpose", "dot_general reads a transposed argument through its axes, where those that are left stay in order", DotOfTranspose),
        new("transpose_of_dot", "a transpose that exchanges the two arguments' axes, or orders batch axes → dot_general", TransposeOfDot),
        new("sum_of_pads", "pad x + pad y → pad(concat(x, y)), where what one holds follows what the other holds; −0 + 0 stays −0", SumOfPads),
        new("concat_of_one", "concat(x) → x", x => x.Op is Concat && x.Args.Length == 1 ? x.Args[0] : null),
    ];

    private static bool IsUnit(Dim dim) => dim.Equals(Dim.One);

    private static bool SameCount(Expr x, Expr y) => Dim.AreEqual(x.Shape.ElementCount, y.Shape.ElementCount) == Answer.Proved;

    /// <summary>Whether the sizes of a broadcast's argument are those of its result, without a check.</summary>
    private static bool Fits(Expr x, Broadcast broadcast)
    {
        for (var i = 0; i < x.Rank; i++)
        {
            if (!x.Shape[i].Equals(broadcast.Shape[broadcast.Axes[i]]))
                return false;
        }

        return true;
    }

    /// <summary>
    /// Where each axis goes when a reshape does no more than adding and removing axes of size 1; −1 for those removed. Null for any other reshape.
    /// </summary>
    private static int[]? UnitMap(Shape from, Shape to)
    {
        var map = new int[from.Rank];
        var j = 0;
        for (var i = 0; i < from.Rank; i++)
        {
            while (!IsUnit(from[i]) && j < to.Rank && IsUnit(to[j]))
                j++;
            if (j < to.Rank && from[i].Equals(to[j]))
                map[i] = j++;
            else if (IsUnit(from[i]))
                map[i] = -1;
            else
                return null;
        }

        return to.Dims[j..].All(IsUnit) ? map : null;
    }

    /// <summary>The broadcast of x without the axes that <paramref name="map"/> drops, the others going where it says.</summary>
    private static Expr BroadcastThrough(Expr x, int[] map, Shape shape)
    {
        var kept = Enumerable.Range(0, x.Rank).Where(i => map[i] >= 0).ToArray();
        return x.Reshape(new Shape([.. kept.Select(i => x.Shape[i])])).BroadcastTo(shape, [.. kept.Select(i => map[i])]);
    }

    private static Expr? Identity(Expr node) => node.Op switch
    {
        Reshape or Broadcast when node.Shape.Equals(node.Args[0].Shape) => node.Args[0],
        Transpose t when t.Permutation.SequenceEqual(Enumerable.Range(0, node.Rank)) => node.Args[0],
        Reverse r when r.Axes.Any(a => IsUnit(node.Shape[a])) => Pattern.Make(new Reverse(r.Axes.Where(a => !IsUnit(node.Shape[a])).ToValueList()), node.Args[0]),
        Reverse { Axes.Count: 0 } => node.Args[0],
        Slice s when s.Limits.Equals(node.Args[0].Shape) && s.Starts.Dims.All(d => d.Equals(Dim.Zero)) && s.Steps.All(step => step == 1) => node.Args[0],
        Pad p when p.Low.Dims.All(d => d.Equals(Dim.Zero)) && p.High.Dims.All(d => d.Equals(Dim.Zero)) && p.Interior.All(n => n == 0) => node.Args[0],
        Reduction { Axes.Count: 0 } => node.Args[0],
        _ => null,
    };

    private static Expr? MovementOfNumber(Expr node)
    {
        if (node.Op is not (Reshape or Transpose or Reverse or Slice) || !node.Args[0].IsSplat(out var value))
            return null;
        var safe = node.Op is Reshape ? SameCount(node, node.Args[0]) : node.Op is not Slice || node.Args[0].Shape.IsKnown;
        return safe ? value.Like(node) : null;
    }

    private static Expr? TransposeOfUnits(Expr node)
    {
        if (node.Op is not Transpose t)
            return null;
        var moved = t.Permutation.Where(a => !IsUnit(node.Args[0].Shape[a])).ToArray();
        return moved.SequenceEqual(moved.Order()) ? node.Args[0].Reshape(node.Shape) : null;
    }

    private static Expr? TransposeOfBroadcast(Expr node)
    {
        if (node.Op is not Transpose t || node.Args[0].Op is not Broadcast b)
            return null;
        var inverse = t.Inverse;
        var targets = b.Axes.Select(a => inverse[a]).ToArray();
        var order = Enumerable.Range(0, targets.Length).OrderBy(i => targets[i]).ToArray();
        var x = node.Args[0].Args[0];
        return x.Transpose(order).BroadcastTo(node.Shape, [.. targets.Order()]);
    }

    private static Expr? ReshapeOfBroadcast(Expr node)
    {
        if (node.Op is not Reshape || node.Args[0].Op is not Broadcast b || !Fits(node.Args[0].Args[0], b) || UnitMap(b.Shape, node.Shape) is not { } map)
            return null;
        return BroadcastThrough(node.Args[0].Args[0], [.. b.Axes.Select(a => map[a])], node.Shape);
    }

    private static Expr? BroadcastOfBroadcast(Expr node)
    {
        if (node.Op is not Broadcast outer || node.Args[0].Op is not Broadcast inner || !Fits(node.Args[0], outer))
            return null;
        return node.Args[0].Args[0].BroadcastTo(node.Shape, [.. inner.Axes.Select(a => outer.Axes[a])]);
    }

    private static Expr? BroadcastOfReshape(Expr node)
    {
        if (node.Op is not Broadcast outer || node.Args[0].Op is not Reshape)
            return null;
        var x = node.Args[0].Args[0];
        if (UnitMap(x.Shape, node.Args[0].Shape) is not { } map || map.Count(to => to >= 0) == node.Args[0].Rank)
            return null;
        return BroadcastThrough(x, [.. map.Select(to => to < 0 ? to : outer.Axes[to])], node.Shape);
    }

    private static Expr? BroadcastOfUnits(Expr node)
    {
        if (node.Op is not Broadcast b || node.Args[0].Op is Literal || !Fits(node.Args[0], b))
            return null;
        return Enumerable.Range(0, b.Shape.Rank).Except(b.Axes).All(a => IsUnit(b.Shape[a])) ? node.Args[0].Reshape(node.Shape) : null;
    }

    private static Expr? HoistMovement(Expr node)
    {
        if (node.Op is not (Unary or Binary or Compare or Logic or Select or Cast or StopGradient))
            return null;
        var k = 0;
        while (k < node.Args.Length && node.Args[k].IsSplat(out _))
            k++;
        if (k == node.Args.Length || node.Args[k] is not { Op: Broadcast or Reshape or Transpose or Reverse } lead)
            return null;
        var inside = lead.Args[0].Shape;
        var inner = new Expr[node.Args.Length];
        for (var i = 0; i < inner.Length; i++)
        {
            var arg = node.Args[i];
            if (arg.IsSplat(out var value))
                inner[i] = Expr.Full(inside, value, arg.DType);
            else if (arg.Op == lead.Op && arg.Args[0].Shape.Equals(inside))
                inner[i] = arg.Args[0];
            else
                return null;
        }

        return Pattern.Make(lead.Op, Pattern.Make(node.Op, inner));
    }

    private static Expr? SliceOfSlice(Expr node)
    {
        if (node.Op is not Slice outer || node.Args[0].Op is not Slice inner || inner.Steps.Any(s => s != 1))
            return null;
        var x = node.Args[0].Args[0];
        var axes = Enumerable.Range(0, x.Rank);
        if (axes.Any(i => !inner.Limits[i].Equals(x.Shape[i]) && !(inner.Limits[i].IsKnown && x.Shape[i].IsKnown)))
            return null;
        var start = axes.Select(i => inner.Starts[i] + outer.Starts[i]);
        var limit = axes.Select(i => inner.Starts[i] + outer.Limits[i]);
        return Pattern.Make(new Slice(new Shape([.. start]), new Shape([.. limit]), outer.Steps), x);
    }

    private static Expr? SliceOfPad(Expr node)
    {
        if (node.Op is not Slice slice || node.Args[0].Op is not Pad pad || !slice.Starts.Equals(pad.Low))
            return null;
        var x = node.Args[0].Args[0];
        return x.Shape.Equals(node.Shape) && slice.Steps.SequenceEqual(pad.Interior.Select(n => n + 1)) ? x : null;
    }

    private static Expr? PadOfPad(Expr node)
    {
        if (node.Op is not Pad outer || node.Args[0].Op is not Pad inner || outer.Interior.Any(n => n != 0))
            return null;
        return Combine(inner.Low, outer.Low) is { } low && Combine(inner.High, outer.High) is { } high
            ? Pattern.Make(new Pad(low, high, inner.Interior), node.Args[0].Args[0])
            : null;

        // What the inner one cut is gone: zeros that the outer one adds there would show it again.
        static Shape? Combine(Shape inner, Shape outer) =>
            inner.Dims.Zip(outer.Dims).All(d => (d.First.IsKnown && d.First.Value >= 0) || (d.Second.IsKnown && d.Second.Value <= 0))
                ? new Shape([.. inner.Dims.Zip(outer.Dims).Select(d => d.First + d.Second)])
                : null;
    }

    private static Expr? SumOfPads(Expr node)
    {
        if (node.Op is not Add || node.Args[0] is not { Op: Pad a } x || node.Args[1] is not { Op: Pad b } y || a.Interior.Concat(b.Interior).Any(n => n != 0))
            return null;
        var axis = Enumerable.Range(0, node.Rank).Where(i => !a.Low[i].Equals(b.Low[i]) || !a.High[i].Equals(b.High[i])).ToArray() is [var only] ? only : -1;
        if (axis < 0 || !IsClear(a.Low) || !IsClear(a.High) || !IsClear(b.Low) || !IsClear(b.High))
            return null;
        if ((b.Low[axis] + y.Args[0].Shape[axis]).Equals(a.Low[axis]))
            ((x, a), (y, b)) = ((y, b), (x, a));
        else if (!(a.Low[axis] + x.Args[0].Shape[axis]).Equals(b.Low[axis]))
            return null;
        var high = a.High.Dims.ToArray();
        high[axis] = b.High[axis];
        return Pattern.Make(new Pad(a.Low, new Shape(high), a.Interior), Expr.Concat(axis, [.. Parts(x.Args[0]), .. Parts(y.Args[0])]));

        bool IsClear(Shape border) => border.Dims.All(d => d.IsKnown && d.Value >= 0);

        IEnumerable<Expr> Parts(Expr part) => part.Op is Concat concat && concat.Axis == axis ? part.Args : [part];
    }

    private static Reduction Over(Reduction reduction, IEnumerable<int> axes) => reduction with { Axes = axes.Order().ToValueList() };

    private static Expr? ReductionOfReduction(Expr node)
    {
        if (node.Op is not Reduction outer || node.Args[0].Op is not Reduction inner || outer.GetType() != inner.GetType())
            return null;
        var x = node.Args[0].Args[0];
        var kept = inner.Kept(x.Shape).ToArray();
        return Pattern.Make(Over(outer, inner.Axes.Concat(outer.Axes.Select(a => kept[a]))), x);
    }

    private static Expr? ReductionOfUnits(Expr node)
    {
        if (node.Op is not Reduction reduction || !reduction.Axes.Any(a => IsUnit(node.Args[0].Shape[a])))
            return null;
        var x = node.Args[0];
        var left = reduction.Axes.Where(a => !IsUnit(x.Shape[a])).ToArray();
        return (left.Length == 0 ? x : Pattern.Make(Over(reduction, left), x)).Reshape(node.Shape);
    }

    private static Expr? SumOfBroadcast(Expr node)
    {
        if (node.Op is not Sum sum || node.Args[0].Op is not Broadcast b || !Fits(node.Args[0].Args[0], b))
            return null;
        var x = node.Args[0].Args[0];
        var added = sum.Axes.Except(b.Axes).ToValueList();
        var keptAxes = Enumerable.Range(0, x.Rank).Where(i => !sum.Axes.Contains(b.Axes[i])).ToArray();
        var reduced = x.ReduceSum(Enumerable.Range(0, x.Rank).Except(keptAxes).ToValueList());
        var count = added.Aggregate(Dim.One, (product, axis) => product * b.Shape[axis]);
        var result = added.Count == 0 ? reduced : reduced * Expr.Size(count).Cast(node.DType);
        return result.BroadcastTo(node.Shape, [.. keptAxes.Select(i => b.Axes[i] - sum.Axes.Count(a => a < b.Axes[i]))]);
    }

    private static Expr? ReductionOfReshape(Expr node)
    {
        if (node.Op is not Reduction reduction || node.Args[0].Op is not Reshape)
            return null;
        var x = node.Args[0].Args[0];
        if (UnitMap(x.Shape, node.Args[0].Shape) is not { } map || reduction.Axes.Any(a => !map.Contains(a)))
            return null;
        return Pattern.Make(Over(reduction, reduction.Axes.Select(a => Array.IndexOf(map, a))), x).Reshape(node.Shape);
    }

    private static Expr? FullReductionOfMovement(Expr node)
    {
        if (node.Op is not Reduction reduction || node.Rank > 0 || node.Args[0].Op is not (Reshape or Transpose or Reverse))
            return null;
        var x = node.Args[0].Args[0];
        if (x.Rank == 0 || !SameCount(x, node.Args[0]))
            return null;
        return Pattern.Make(Over(reduction, Enumerable.Range(0, x.Rank)), x);
    }

    private static Expr? ReductionOfTranspose(Expr node)
    {
        if (node.Op is not Reduction reduction || node.Args[0].Op is not Transpose t)
            return null;
        var reduced = Pattern.Make(Over(reduction, reduction.Axes.Select(a => t.Permutation[a])), node.Args[0].Args[0]);

        // The axes of x that are left, in the order that the result has them, and where x had them.
        var left = reduction.Kept(node.Args[0].Shape).Select(a => t.Permutation[a]).ToArray();
        return reduced.Transpose([.. left.Select(a => left.Count(other => other < a))]);
    }

    private static Expr? DotOfTranspose(Expr node)
    {
        if (node.Op is not DotGeneral dot)
            return null;
        var (x, y) = (node.Args[0], node.Args[1]);
        if (x.Op is Transpose p && Through(p, dot.LeftBatch, dot.LeftContract) is var (leftBatch, leftContract))
            return Pattern.Make(dot with { LeftBatch = leftBatch, LeftContract = leftContract }, x.Args[0], y);
        if (y.Op is Transpose q && Through(q, dot.RightBatch, dot.RightContract) is var (rightBatch, rightContract))
            return Pattern.Make(dot with { RightBatch = rightBatch, RightContract = rightContract }, x, y.Args[0]);
        return null;

        static (ValueList<int> Batch, ValueList<int> Contract)? Through(Transpose t, ValueList<int> batch, ValueList<int> contract)
        {
            var free = DotGeneral.Free(t.Permutation.Count, batch, contract).Select(a => t.Permutation[a]).ToArray();
            return free.SequenceEqual(free.Order()) ? (batch.Select(a => t.Permutation[a]).ToValueList(), contract.Select(a => t.Permutation[a]).ToValueList()) : null;
        }
    }

    private static Expr? TransposeOfDot(Expr node)
    {
        if (node.Op is not Transpose t || node.Args[0].Op is not DotGeneral dot)
            return null;
        var (x, y) = (node.Args[0].Args[0], node.Args[0].Args[1]);
        var batch = dot.LeftBatch.Count;
        var order = t.Permutation.Take(batch).ToArray();
        if (order.Any(a => a >= batch))
            return null;
        var split = x.Rank - dot.LeftContract.Count;
        var leftFree = Enumerable.Range(batch, split - batch);
        var rightFree = Enumerable.Range(split, node.Rank - split);
        var rest = t.Permutation.Skip(batch).ToArray();
        var (left, right) = (order.Select(a => dot.LeftBatch[a]).ToValueList(), order.Select(a => dot.RightBatch[a]).ToValueList());
        if (rest.SequenceEqual(leftFree.Concat(rightFree)))
            return Pattern.Make(dot with { LeftBatch = left, RightBatch = right }, x, y);
        return rest.SequenceEqual(rightFree.Concat(leftFree)) ? Pattern.Make(new DotGeneral(right, left, dot.RightContract, dot.LeftContract), y, x) : null;
    }
}
