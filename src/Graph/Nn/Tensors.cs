namespace Dnn.Graph;

/// <summary>Functions of tensors that are several primitives: elementwise tests, masks, and ways to cut, move and pick. Each is also a method of <see cref="Expr"/>.</summary>
public static class Tensors
{
    /// <summary>sin x / cos x</summary>
    public static Expr Tan(this Expr x) => x.Sin() / x.Cos();

    /// <summary>⌈x⌉ = −⌊−x⌋; no gradient passes.</summary>
    public static Expr Ceil(this Expr x) => -(-x).Floor();

    /// <summary>Where x is not a number; false for whole numbers and bools.</summary>
    public static Expr IsNan(this Expr x)
    {
        var real = Real(x);
        return real.NotEqualTo(real);
    }

    /// <summary>Where x is neither infinite nor NaN.</summary>
    public static Expr IsFinite(this Expr x) => Real(x).Abs().LessThan(double.PositiveInfinity);

    /// <summary>The first index of the smallest element along an axis, which the result lacks; a NaN counts as smallest, as in NumPy.</summary>
    public static Expr ArgMin(this Expr x, int axis = -1) => (-x).ArgMax(axis);

    /// <summary>Whether any element over the axes is true, or not 0; of none, false.</summary>
    public static Expr Any(this Expr x, Axes axes = default, bool keep = false) => True(x).Sum(axes, keep).GreaterThan(0);

    /// <summary>Whether all elements over the axes are true, or not 0; of none, true.</summary>
    public static Expr All(this Expr x, Axes axes = default, bool keep = false) => True(x).Not().Sum(axes, keep).EqualTo(0);

    /// <summary>The lower triangle of the last two axes: x where column − row ≤ k, 0 elsewhere.</summary>
    /// <exception cref="ShapeException">There are not two axes.</exception>
    public static Expr Tril(this Expr x, int k = 0) => Masked(x, ColumnsPastRows("tril", x.Shape).LessOrEqual(k));

    /// <summary>The upper triangle of the last two axes: x where column − row ≥ k, 0 elsewhere.</summary>
    /// <exception cref="ShapeException">There are not two axes.</exception>
    public static Expr Triu(this Expr x, int k = 0) => Masked(x, ColumnsPastRows("triu", x.Shape).GreaterOrEqual(k));

    /// <summary>[rows, columns] of 1 where column − row = k, 0 elsewhere; square unless columns are given.</summary>
    public static Expr Eye(Dim rows, Dim? columns = null, int k = 0) => ColumnsPastRows("eye", new Shape(rows, columns ?? rows)).EqualTo(k).Cast(DType.Float);

    /// <summary>value where the mask holds, x elsewhere.</summary>
    /// <exception cref="ShapeException">The mask is no bool tensor, or does not broadcast to x.</exception>
    public static Expr MaskedFill(this Expr x, Expr mask, Expr value)
    {
        if (mask.DType != DType.Bool)
            throw new ShapeException($"masked_fill: the mask must be bool, not {mask.Type}; compare it, as in mask > 0", x.Shape, mask.Shape);
        if (value.Shape.Rank > 0)
            throw new ShapeException($"masked_fill: the value must be a scalar, not {value.Type}; where(mask, value, x) takes tensors", x.Shape, value.Shape);
        return Expr.Where(mask.BroadcastTo(x.Shape), value, x);
    }

    /// <summary>Equal parts along an axis, as numpy.split.</summary>
    /// <exception cref="ShapeException">The parts do not divide the axis.</exception>
    public static Expr[] Split(this Expr x, int parts, int axis = 0)
    {
        var size = x.Shape[x.Shape.Axis(axis)];
        if (parts < 1)
            throw new ShapeException($"split: there must be at least 1 part, not {parts}", x.Shape);
        return Dim.TryDivide(size, parts, out var part)
            ? x.Split([.. Enumerable.Repeat(part, parts)], axis)
            : throw new ShapeException($"split: axis {axis} of {x.Shape} has size {size}, which {parts} does not divide{(size.IsKnown ? "; give the sizes as a list" : $" for sure; name it {parts}*{size}")}", x.Shape, axis: x.Shape.Axis(axis));
    }

    /// <summary>Parts of given sizes along an axis, as torch.split.</summary>
    /// <exception cref="ShapeException">The sizes do not add up to the axis.</exception>
    public static Expr[] Split(this Expr x, ReadOnlySpan<Dim> sizes, int axis = 0)
    {
        var size = x.Shape[x.Shape.Axis(axis)];
        var parts = new Expr[sizes.Length];
        var ends = new Dim[sizes.Length + 1];
        ends[0] = Dim.Zero;
        for (var i = 0; i < sizes.Length; i++)
        {
            if (sizes[i] is { IsKnown: true, Value: < 0 })
                throw new ShapeException($"split: a part cannot have the size {sizes[i]}", x.Shape);
            ends[i + 1] = ends[i] + sizes[i];
        }

        if (!ends[^1].Equals(size))
            throw new ShapeException($"split: the sizes {new Shape(sizes)} add up to {ends[^1]}, and axis {axis} of {x.Shape} has size {size}", x.Shape, axis: x.Shape.Axis(axis));
        for (var i = 0; i < parts.Length; i++)
            parts[i] = x.SliceAxis(axis, ends[i], ends[i + 1]);
        return parts;
    }

    /// <summary>x with the order along the axes reversed.</summary>
    public static Expr Flip(this Expr x, Axes axes = default) => x.Rank == 0 ? x : x.Reverse(axes);

    /// <summary>y[i] = x[(i − shift) mod n] along an axis.</summary>
    /// <exception cref="ShapeException">The axis is empty or its size is not known.</exception>
    public static Expr Roll(this Expr x, int shift, int axis)
    {
        var size = x.Shape[x.Shape.Axis(axis)];
        if (!size.IsKnown)
            throw new ShapeException($"roll: axis {axis} of {x.Shape} has the size {size}, and {shift} mod {size} is not known; join slices with concat", x.Shape, axis: x.Shape.Axis(axis));
        if (size.Value == 0)
            return x;
        var cut = size.Value - ((((long)shift % size.Value) + size.Value) % size.Value);
        return cut == size.Value ? x : Expr.Concat(axis, x.SliceAxis(axis, cut, size), x.SliceAxis(axis, 0, cut));
    }

    /// <summary>y[…, i, …] = x[…, indices[…, i, …], …] along an axis, as numpy.take_along_axis.</summary>
    /// <exception cref="ShapeException">The shapes differ in another axis, or the indices are no whole numbers.</exception>
    public static Expr Gather(this Expr x, Expr indices, int axis = -1)
    {
        var along = x.Shape.Axis(axis);
        if (indices.DType != DType.I64)
            throw new ShapeException($"gather: the indices must be whole numbers, not {indices.Type}", x.Shape, indices.Shape);
        if (indices.Rank != x.Rank || Enumerable.Range(0, x.Rank).Any(i => i != along && Dim.AreEqual(x.Shape[i], indices.Shape[i]) == Answer.Refuted))
            throw new ShapeException($"gather: the indices {indices.Shape} must have the shape {x.Shape}, but for axis {along}; take(x, indices, axis) takes whole slices", x.Shape, indices.Shape);
        var last = x.Rank - 1;
        return Expr.Make(new Gather(last, last), x.SwapAxes(along, last), indices.SwapAxes(along, last)).SwapAxes(along, last);
    }

    /// <summary>x with slices added where indices say along an axis: y[indices[i]] += updates[i], as numpy.add.at; an index that stands several times adds each.</summary>
    /// <param name="x">What is added to.</param>
    /// <param name="indices">Whole numbers; one that is out of range is an error while running.</param>
    /// <param name="updates">The shape of x with that of the indices in place of the axis, or what broadcasts to it.</param>
    /// <param name="axis">The axis that the indices count.</param>
    /// <exception cref="ShapeException">The shapes do not fit, or the indices are no whole numbers.</exception>
    public static Expr ScatterAdd(this Expr x, Expr indices, Expr updates, int axis = 0)
    {
        var along = x.Shape.Axis(axis);
        if (indices.DType != DType.I64)
            throw new ShapeException($"scatter_add: the indices must be whole numbers, not {indices.Type}", x.Shape, indices.Shape);
        x = Real(x);
        var slices = new Shape([.. x.Shape.Dims[..along], .. indices.Shape.Dims, .. x.Shape.Dims[(along + 1)..]]);
        if (updates.Rank > slices.Rank || Enumerable.Range(1, updates.Rank).Any(i => !updates.Shape[^i].Equals(Dim.One) && Dim.AreEqual(updates.Shape[^i], slices[^i]) == Answer.Refuted))
            throw new ShapeException($"scatter_add: with {indices.Type} as indices of axis {along} of {x.Shape}, the updates are {slices}, not {updates.Shape}", updates.Shape, slices);
        return x + Expr.Make(new ScatterAdd(along, 0, x.Shape[along]), indices, updates.Cast(x.DType).BroadcastTo(slices));
    }

    /// <summary>x with a border of a value: <c>widths[i]</c> are the elements before and after along axis i.</summary>
    /// <exception cref="ShapeException">The widths are negative, or not one pair an axis.</exception>
    public static Expr Pad(this Expr x, ReadOnlySpan<(Dim Before, Dim After)> widths, double value = 0)
    {
        if (widths.Length != x.Rank)
            throw new ShapeException($"pad: {x.Shape} has {x.Rank} axes, and {widths.Length} pairs of widths are given", x.Shape);
        var (low, high) = (new Dim[x.Rank], new Dim[x.Rank]);
        for (var i = 0; i < low.Length; i++)
        {
            (low[i], high[i]) = widths[i];
            if (low[i] is { IsKnown: true, Value: < 0 } || high[i] is { IsKnown: true, Value: < 0 })
                throw new ShapeException($"pad: the widths ({low[i]}, {high[i]}) of axis {i} must not be negative; slice to cut", x.Shape, axis: i);
        }

        var border = new Pad(new Shape(low), new Shape(high), [.. low.Select(_ => 0)]);
        var padded = Expr.Make(border, x);
        if (value == 0)
            return padded;
        if (x.DType == DType.Bool)
            throw new ShapeException("pad: the border of a bool tensor is false; cast it for another value", x.Shape);
        return Expr.Where(Expr.Make(border, Expr.Full(x.Shape, 1, DType.Bool)), padded, value);
    }

    /// <summary>min(max(x, low), high); a bound that is null does not bind.</summary>
    public static Expr Clamp(this Expr x, Expr? low = null, Expr? high = null)
    {
        var above = low is null ? x : x.Max(low);
        return high is null ? above : above.Min(high);
    }

    /// <summary>The axes from <paramref name="start"/> on as one: [B, …] → [B, product].</summary>
    /// <exception cref="ShapeException">There is no such axis.</exception>
    public static Expr Flatten(this Expr x, int start = 1)
    {
        if (x.Rank == 0)
            throw new ShapeException("flatten takes a tensor with axes, not a scalar", x.Shape);
        var at = start == x.Rank ? start : x.Shape.Axis(start);
        return x.Reshape(new Shape([.. x.Shape.Dims[..at], x.Shape.Dims[at..].Aggregate(Dim.One, (a, b) => a * b)]));
    }

    /// <summary>xᵢ · yⱼ of two vectors.</summary>
    /// <exception cref="ShapeException">One of them is no vector.</exception>
    public static Expr Outer(this Expr x, Expr y) => x.Rank == 1 && y.Rank == 1
        ? x.ExpandDims(1) * y.ExpandDims(0)
        : throw new ShapeException($"outer takes two vectors, not {x.Shape} and {y.Shape}; for batches multiply x[..., :, None] * y[..., None, :]", x.Shape, y.Shape);

    private static Expr Real(Expr x) => x.DType.IsFloat() ? x : x.Cast(DType.Float);

    private static Expr True(Expr x) => x.DType == DType.Bool ? x : x.NotEqualTo(0);

    private static Expr Masked(Expr x, Expr mask)
    {
        var wide = mask.BroadcastTo(x.Shape);
        return x.DType == DType.Bool ? wide.And(x) : Expr.Where(wide, x, 0);
    }

    /// <summary>column − row of the last two axes, as whole numbers.</summary>
    private static Expr ColumnsPastRows(string name, Shape shape)
    {
        if (shape.Rank < 2)
            throw new ShapeException($"{name} takes matrices, and {shape} has {shape.Rank} {(shape.Rank == 1 ? "axis" : "axes")}", shape);
        var matrix = new Shape(shape[^2], shape[^1]);
        return Expr.Iota(matrix, 1) - Expr.Iota(matrix, 0);
    }
}
