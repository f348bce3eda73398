namespace Dnn.Graph;

/// <summary>How <see cref="Layers.Resize"/> fills a larger grid.</summary>
public enum Interpolation
{
    /// <summary>The element whose cell holds the point.</summary>
    Nearest,

    /// <summary>The mean of the elements around the point, weighted by nearness.</summary>
    Bilinear,
}

/// <summary>Layers and functions that change the resolution: transposed convolutions, resizing, adaptive pooling.</summary>
public static partial class Layers
{
    /// <summary>
    /// The transpose of <see cref="Conv1d(int, Extent, Extent?, Padding?, Extent?, int, bool)"/>: each element of x adds weight · x to a window of the result (Zeiler et al. 2010;
    /// Dumoulin and Visin 2016). [B, T, C] → [B, T′, filters], T′ = T · stride for "same", (T − 1) · stride + kernel for "valid"; weight is [kernel, filters, C].
    /// </summary>
    /// <param name="filters">The channels of the result.</param>
    /// <param name="kernel">The size of the window.</param>
    /// <param name="stride">The distance of the windows in the result.</param>
    /// <param name="padding">What is cut off the result; "same" if null: down to T · stride, the smaller half first.</param>
    /// <param name="outputPadding">Elements added at the end of each axis, fewer than the stride.</param>
    /// <param name="bias">Whether a bias is added to each channel.</param>
    public static Layer ConvTranspose1d(int filters, Extent kernel, Extent? stride = null, Padding? padding = null, Extent? outputPadding = null, bool bias = true) =>
        ConvTranspose("conv_transpose1d", 1, filters, kernel, stride, padding, outputPadding, bias);

    /// <summary>The transpose of <see cref="Conv2d(int, Extent, Extent?, Padding?, Extent?, int, bool)"/>: [B, H, W, C] → [B, H′, W′, filters]; weight is [kh, kw, filters, C].</summary>
    /// <inheritdoc cref="ConvTranspose1d(int, Extent, Extent?, Padding?, Extent?, bool)"/>
    public static Layer ConvTranspose2d(int filters, Extent kernel, Extent? stride = null, Padding? padding = null, Extent? outputPadding = null, bool bias = true) =>
        ConvTranspose("conv_transpose2d", 2, filters, kernel, stride, padding, outputPadding, bias);

    /// <summary>
    /// x on a grid of another size: [B, …, C] with the axes between resized. The point of position i is (i + ½) · old / new − ½, so that the ends of both grids meet
    /// (half-pixel centres; in PyTorch <c>align_corners=False</c>, and <c>nearest-exact</c>); beyond the outer centres the outer element counts.
    /// </summary>
    /// <param name="x">[B, T, C] or [B, H, W, C]</param>
    /// <param name="size">The new size of each axis between the first and the last; one for all.</param>
    /// <param name="method">Nearest or bilinear.</param>
    public static Expr Resize(this Expr x, Shape size, Interpolation method = Interpolation.Nearest) => ModelBuilder.Function("resize", x, x =>
    {
        var axes = Between("resize", x);
        if (size.Rank != 1 && size.Rank != axes.Length)
            throw new ShapeException($"resize: {x.Shape} has {axes.Length} axes between the first and the last, and {size} gives {size.Rank} sizes", x.Shape, size);
        if (size.Dims.FirstOrDefault(d => d is { IsKnown: true, Value: < 1 }) is { } empty)
            throw new ShapeException($"resize: a size must be at least 1, not {empty}", x.Shape, size);
        x = x.DType.IsFloat() ? x : x.Cast(DType.Float);
        for (var i = 0; i < axes.Length; i++)
        {
            var to = size[size.Rank == 1 ? 0 : i];
            if (!to.Equals(x.Shape[axes[i]]))
                x = method == Interpolation.Nearest ? Nearest(x, axes[i], to) : Linear(x, axes[i], to);
        }

        return x;
    });

    /// <summary>
    /// The means of size × size cells that cover x, cell i being ⌊i · n / size⌋ … ⌈(i + 1) · n / size⌉ − 1 of an axis of size n, as in PyTorch: [B, H, W, C] → [B, size, size, C].
    /// </summary>
    /// <param name="x">[B, H, W, C]</param>
    /// <param name="size">The sizes of the result.</param>
    public static Expr AdaptiveAvgPool2d(this Expr x, Extent size) => ModelBuilder.Function("adaptive_avg_pool2d", x, x =>
    {
        RequireImages("adaptive_avg_pool2d", 2, x);
        var sizes = size.Over(2, "adaptive_avg_pool2d", "size");
        x = x.DType.IsFloat() ? x : x.Cast(DType.Float);
        for (var axis = 1; axis <= 2; axis++)
        {
            var (n, to) = (x.Shape[axis], sizes[axis - 1]);
            if (Dim.TryDivide(n, to, out var cell))
            {
                x = x.Reshape(x.Shape.With(axis, to).Insert(axis + 1, cell)).Mean(axis + 1);
                continue;
            }

            var i = Expr.Iota(new Shape(to, n), 0).Cast(DType.F64);
            var first = (i * Real(n) / to).Floor();
            var end = ((i + 1) * Real(n) / to).Ceil();
            var position = Expr.Iota(new Shape(to, n), 1).Cast(DType.F64);
            var inside = position.GreaterOrEqual(first).And(position.LessThan(end));
            x = Patterns.Einsum(axis == 1 ? "bhwc,oh->bowc" : "bhwc,ow->bhoc", x, Expr.Where(inside, 1 / (end - first), Expr.Scalar(0, DType.F64)).Cast(x.DType));
        }

        return x;
    });

    private static Layer ConvTranspose(string kind, int axes, int filters, Extent kernel, Extent? stride, Padding? padding, Extent? outputPadding, bool bias)
    {
        RequirePositive(kind, "filters", filters);
        var (size, steps, more) = (kernel.Over(axes, kind, "kernel"), (stride ?? 1).Over(axes, kind, "stride"), (outputPadding ?? 0).Over(axes, kind, "output_padding", 0));
        return new(kind, (context, x) =>
        {
            var channels = Channels(kind, axes, x);
            var cut = (padding ?? Padding.Same).Cut(size, steps, kind);
            var (low, high) = (new Dim[axes], new Dim[axes]);
            for (var i = 0; i < axes; i++)
            {
                if (more[i] >= steps[i] && more[i] > 0)
                    throw new GraphException($"{kind}: output_padding must be below the stride, and {more[i]} is not below {steps[i]}");
                low[i] = size[i] - 1 - cut[i].Low;
                high[i] = size[i] - 1 - cut[i].High + more[i];
                var room = ((x.Shape[i + 1] - 1) * steps[i]) + size[i] - cut[i].Low - cut[i].High + more[i];
                if (room is { IsKnown: true, Value: < 1 })
                    throw new ShapeException($"{kind}: padding ({cut[i].Low}, {cut[i].High}) cuts off all of axis {i + 1} of the result", x.Shape, axis: i + 1);
            }

            var weight = context.Parameter("weight", new Shape([.. size.Select(s => (Dim)s), filters, channels]), Initializers.Auto);
            var turned = weight.Reverse([.. Enumerable.Range(0, axes)]).SwapAxes(axes, axes + 1);
            var ones = Enumerable.Repeat(1, axes).ToValueList();
            var conv = new ConvGeneral(ones, new Shape(low), new Shape(high), steps.ToValueList(), ones, 1);
            var y = Expr.Make(conv, x.DType.IsFloat() ? x : x.Cast(DType.Float), turned);
            return bias ? y + context.Parameter("bias", new Shape(filters), Initializers.Zeros) : y;
        });
    }

    private static Expr Nearest(Expr x, int axis, Dim to)
    {
        var n = x.Shape[axis];
        if (!Dim.TryDivide(to, n, out var times))
            return x.Take(((((2 * Positions(to)) + 1) * Real(n)) / (2 * Real(to))).Floor().Cast(DType.I64), axis);
        var wide = x.Shape.Insert(axis + 1, times);
        return x.BroadcastTo(wide, [.. Enumerable.Range(0, wide.Rank).Where(i => i != axis + 1)]).Reshape(x.Shape.With(axis, to));
    }

    private static Expr Linear(Expr x, int axis, Dim to)
    {
        var n = Real(x.Shape[axis]);
        var point = (((((2 * Positions(to)) + 1) * n) / (2 * Real(to))) - 0.5).Max(0);
        var first = point.Floor();
        var share = (point - first).Cast(x.DType).Reshape(new Shape([to, .. Enumerable.Repeat(Dim.One, x.Rank - 1 - axis)]));
        var below = x.Take(first.Cast(DType.I64), axis);
        var above = x.Take((first + 1).Min(n - 1).Cast(DType.I64), axis);
        return (below * (1 - share)) + (above * share);
    }

    // Indices need more digits than f32 has.
    private static Expr Positions(Dim count) => Expr.Iota(new Shape(count), 0).Cast(DType.F64);

    private static Expr Real(Dim size) => Expr.Size(size).Cast(DType.F64);
}
