namespace Dnn.Graph;

/// <summary>Functions along one axis: sums and products so far, order, stretches at computed places.</summary>
public static class Sequences
{
    /// <summary>y[t] = Σ_{i ≤ t} x[i] along an axis.</summary>
    public static Expr CumSum(this Expr x, int axis = -1) => Recurrence(Number(x).OnesLike(), Number(x), axis);

    /// <summary>y[t] = Π_{i ≤ t} x[i] along an axis. The derivative is right where factors are 0, too.</summary>
    public static Expr CumProd(this Expr x, int axis = -1)
    {
        var factors = Number(x);
        var first = Expr.Iota(x.Shape, axis).EqualTo(0);
        return Recurrence(factors, Expr.Where(first, factors, factors.ZerosLike()), axis);
    }

    /// <summary>h[t] = a[t] · h[t − 1] + b[t] along an axis, h[−1] = 0: moving averages, discounted sums, linear recurrent layers.</summary>
    /// <exception cref="ShapeException">a does not broadcast to b.</exception>
    public static Expr Recurrence(Expr a, Expr b, int axis = -1, bool reverse = false) =>
        Expr.Make(new LinearRecurrence(b.Shape.Axis(axis), reverse), Fits(a.Shape, b.Shape) ? a.Cast(b.DType) : a.Cast(b.DType).BroadcastTo(b.Shape), b);

    /// <summary>Π x over the axes; of none, 1. The derivative is right where factors are 0, too.</summary>
    public static Expr Prod(this Expr x, Axes axes = default, bool keep = false)
    {
        var over = axes.Of(x.Shape);
        var kept = Enumerable.Range(0, x.Rank).Where(a => !over.Contains(a)).ToArray();
        var count = over.Aggregate(Dim.One, (product, axis) => product * x.Shape[axis]);
        var rows = new Shape([.. kept.Select(a => x.Shape[a])]);
        // A 1 goes first, so that there is a last product even of nothing.
        var factors = Number(x).Transpose([.. kept, .. over]).Reshape(new Shape([.. rows.Dims, count]));
        var ones = Expr.Full(new Shape([.. rows.Dims, 1]), 1, factors.DType);
        var result = Expr.Concat(-1, ones, factors).CumProd().SliceAxis(-1, count, count + 1).Reshape(rows);
        return keep ? result.Reshape(new Shape([.. x.Shape.Dims.Select((d, i) => over.Contains(i) ? Dim.One : d)])) : result;
    }

    /// <summary>The indices that sort along an axis, stably; a NaN counts as largest.</summary>
    public static Expr ArgSort(this Expr x, int axis = -1, bool descending = false) =>
        Expr.Make(new ArgSort(descending), Number(x).SwapAxes(axis, -1)).SwapAxes(axis, -1);

    /// <summary>x in order along an axis; gradients go where the elements came from.</summary>
    public static Expr Sort(this Expr x, int axis = -1, bool descending = false) => x.Gather(x.ArgSort(axis, descending), axis);

    /// <summary>The k largest elements along an axis, largest first, and their indices.</summary>
    /// <exception cref="ShapeException">k is below 1 or above the size of the axis.</exception>
    public static (Expr Values, Expr Indices) TopK(this Expr x, Dim k, int axis = -1)
    {
        var size = x.Shape[x.Shape.Axis(axis)];
        if (k is { IsKnown: true, Value: < 1 } || (size - k is { IsKnown: true } room && room.Value < 0))
            throw new ShapeException($"top_k: axis {axis} of {x.Shape} has {size} elements, and {k} are asked for", x.Shape, axis: x.Shape.Axis(axis));
        var indices = x.ArgSort(axis, descending: true).SliceAxis(axis, 0, k);
        return (x.Gather(indices, axis), indices);
    }

    /// <summary>length elements along an axis from a computed place on.</summary>
    /// <exception cref="ShapeException">The start is no whole number, or the axis is too short.</exception>
    public static Expr DynamicSlice(this Expr x, Expr start, Dim length, int axis = 0) =>
        Expr.Make(new DynamicSlice(x.Shape.Axis(axis), length), x, start.Cast(DType.I64));

    /// <summary>x with the stretch from a computed place on replaced by u.</summary>
    /// <exception cref="ShapeException">The start is no whole number, or u does not fit into x.</exception>
    public static Expr DynamicUpdateSlice(this Expr x, Expr update, Expr start, int axis = 0) =>
        Expr.Make(new DynamicUpdateSlice(x.Shape.Axis(axis)), x, update.Cast(x.DType), start.Cast(DType.I64));

    /// <summary>Whether two shapes are one, for all that is known.</summary>
    private static bool Fits(Shape a, Shape b) => a.Rank == b.Rank && Enumerable.Range(0, a.Rank).All(i => Dim.AreEqual(a[i], b[i]) != Answer.Refuted);

    /// <summary>Bool counts as float.</summary>
    private static Expr Number(Expr x) => x.DType == DType.Bool ? x.Cast(DType.Float) : x;
}
