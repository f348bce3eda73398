namespace Dnn.Graph;

/// <summary>One number for every spatial axis, or one for each: <c>3</c> or <c>[3, 5]</c>.</summary>
public readonly record struct Extent(ValueList<int> Sizes)
{
    public static implicit operator Extent(int size) => new([size]);

    public static implicit operator Extent((int First, int Second) sizes) => new([sizes.First, sizes.Second]);

    public static implicit operator Extent(int[] sizes) => new(sizes.ToValueList());

    public override string ToString() => Sizes.Count == 1 ? Printer.Number(Sizes[0]) : $"({string.Join(", ", Sizes)})";

    /// <summary>The numbers for <paramref name="axes"/> axes, each at least <paramref name="least"/>.</summary>
    internal int[] Over(int axes, string layer, string what, int least = 1)
    {
        if (Sizes.Count != 1 && Sizes.Count != axes)
            throw new RangeException(what, $"{layer}: {what} = {this} has {Sizes.Count} numbers, and there {(axes == 1 ? "is 1 spatial axis" : $"are {axes} spatial axes")}");
        if (Sizes.Any(s => s < least))
            throw new RangeException(what, $"{layer}: {what} must be at least {least}, not {this}");
        var sizes = Sizes;
        return [.. Enumerable.Range(0, axes).Select(i => sizes[sizes.Count == 1 ? 0 : i])];
    }
}

/// <summary>
/// What is put around the spatial axes. <see cref="Same"/>: as much as makes ⌈n / stride⌉ windows, max(0, (⌈n / s⌉ − 1) · s + (k − 1) · d + 1 − n) elements, the
/// smaller half first.
/// </summary>
public sealed record Padding
{
    private readonly ValueList<(int Low, int High)> pairs;

    private Padding(ValueList<(int Low, int High)> pairs) => this.pairs = pairs;

    public static Padding Same { get; } = new([]);

    /// <summary>None.</summary>
    public static Padding Valid { get; } = new([(0, 0)]);

    public static implicit operator Padding(int size) => new([(size, size)]);

    public static implicit operator Padding((int First, int Second) sizes) => new([(sizes.First, sizes.First), (sizes.Second, sizes.Second)]);

    /// <summary>Low and high padding for each spatial axis; one pair stands for all.</summary>
    public static Padding Of(params ReadOnlySpan<(int Low, int High)> pairs) =>
        pairs.Length > 0 ? new(ValueList.Create(pairs)) : throw new GraphException("padding needs at least one pair");

    public override string ToString() => this == Same ? "same" : this == Valid ? "valid" : $"({string.Join(", ", pairs.Select(p => $"({p.Low}, {p.High})"))}{(pairs.Count == 1 ? "," : "")})";

    /// <summary>What a transposed convolution cuts off its result; "same" leaves n · stride elements, by adding zeros at the end where the window is smaller than the stride.</summary>
    internal (int Low, int High)[] Cut(int[] window, int[] stride, string layer)
    {
        Check(window.Length, layer);
        var own = pairs;
        return [.. window.Select((size, i) =>
        {
            if (own.Count > 0)
                return own[own.Count == 1 ? 0 : i];
            var low = Math.Max(0, size - stride[i]) / 2;
            return (low, size - stride[i] - low);
        })];
    }

    private void Check(int axes, string layer)
    {
        if (pairs.Count > 1 && pairs.Count != axes)
            throw new GraphException($"{layer}: padding = {this} is for {pairs.Count} spatial axes, and there {(axes == 1 ? "is 1" : $"are {axes}")}");
        if (pairs.Any(p => p.Low < 0 || p.High < 0))
            throw new GraphException($"{layer}: padding must be at least 0, not {this}");
    }

    internal (Dim[] Low, Dim[] High) Over(Shape x, int[] window, int[] stride, int[] dilation, string layer)
    {
        var axes = window.Length;
        var (low, high) = (new Dim[axes], new Dim[axes]);
        Check(axes, layer);
        for (var i = 0; i < axes; i++)
        {
            var (size, extent) = (x[i + 1], ((window[i] - 1) * (long)dilation[i]) + 1);
            if (pairs.Count > 0)
            {
                (low[i], high[i]) = (pairs[pairs.Count == 1 ? 0 : i].Low, pairs[pairs.Count == 1 ? 0 : i].High);
            }
            else
            {
                var total = ((Dim.CeilDiv(size, stride[i]) - 1) * stride[i]) + extent - size;
                if (total.IsKnown)
                    total = Math.Max(0, total.Value);
                else if (extent == 1)
                    total = Dim.Zero;
                else if (extent < stride[i])
                    throw new ShapeException($"{layer}: how much padding = \"same\" is depends on the size {size} where the stride is larger than the window; give the padding in numbers", x);
                low[i] = Dim.FloorDiv(total, 2);
                high[i] = total - low[i];
            }

            var room = size + low[i] + high[i];
            if (room.IsKnown && room.Value < extent)
                throw new ShapeException($"{layer}: the window is larger than the input: {extent} on {room} elements of axis {i + 1} of {x}{(pairs.Count > 0 && pairs.All(p => p is (0, 0)) ? "; padding = \"same\" makes room" : "")}", x, axis: i + 1);
        }

        return (low, high);
    }
}

/// <summary>Convolutions and pooling over the spatial axes between the batch and the channels: [B, T, C], [B, H, W, C], [B, D, H, W, C].</summary>
public static partial class Layers
{
    /// <summary>y = x ⋆ weight + bias over one axis: [B, T, C] → [B, T′, filters]; weight is [kernel, C / groups, filters] (LeCun et al. 1998).</summary>
    /// <param name="filters">The channels of the result.</param>
    /// <param name="kernel">The size of the window.</param>
    /// <param name="stride">How far the window moves.</param>
    /// <param name="padding">Zeros around the input; <see cref="Padding.Same"/> if null.</param>
    /// <param name="dilation">The distance of the elements of the window.</param>
    /// <param name="groups">Into how many parts the channels are split; each is convolved by itself.</param>
    /// <param name="bias">Whether a bias is added to each channel.</param>
    public static Layer Conv1d(int filters, Extent kernel, Extent? stride = null, Padding? padding = null, Extent? dilation = null, int groups = 1, bool bias = true) =>
        Conv("conv1d", 1, filters, kernel, stride, padding, dilation, groups, bias);

    /// <summary>y = x ⋆ weight + bias over two axes: [B, H, W, C] → [B, H′, W′, filters]; weight is [kernel…, C / groups, filters].</summary>
    /// <inheritdoc cref="Conv1d(int, Extent, Extent?, Padding?, Extent?, int, bool)"/>
    public static Layer Conv2d(int filters, Extent kernel, Extent? stride = null, Padding? padding = null, Extent? dilation = null, int groups = 1, bool bias = true) =>
        Conv("conv2d", 2, filters, kernel, stride, padding, dilation, groups, bias);

    /// <summary>y = x ⋆ weight + bias over three axes: [B, D, H, W, C] → [B, D′, H′, W′, filters]; weight is [kernel…, C / groups, filters].</summary>
    /// <inheritdoc cref="Conv1d(int, Extent, Extent?, Padding?, Extent?, int, bool)"/>
    public static Layer Conv3d(int filters, Extent kernel, Extent? stride = null, Padding? padding = null, Extent? dilation = null, int groups = 1, bool bias = true) =>
        Conv("conv3d", 3, filters, kernel, stride, padding, dilation, groups, bias);

    /// <summary>A convolution of each channel by itself: [B, H, W, C] → [B, H′, W′, C · multiplier]; weight is [kernel…, 1, C · multiplier] (Chollet 2017).</summary>
    public static Layer DepthwiseConv2d(Extent kernel, Extent? stride = null, Padding? padding = null, Extent? dilation = null, int multiplier = 1, bool bias = true)
    {
        RequirePositive("depthwise_conv2d", "multiplier", multiplier);
        var window = Window.Of("depthwise_conv2d", 2, kernel, stride, dilation);
        return new("depthwise_conv2d", (context, x) =>
        {
            var channels = Channels("depthwise_conv2d", 2, x);
            if ((long)channels * multiplier > int.MaxValue)
                throw new ShapeException($"depthwise_conv2d: {channels} · {multiplier} channels are more than 2³¹ − 1", x.Shape);
            return Convolve("depthwise_conv2d", context, x, channels * multiplier, window, padding, channels, bias);
        });
    }

    /// <summary>The largest element of each window over one axis. Padding never is it; a tie splits the gradient evenly.</summary>
    /// <param name="x">[B, T, C]</param>
    /// <param name="window">The size of the window.</param>
    /// <param name="stride">How far it moves; its size, if null.</param>
    /// <param name="padding"><see cref="Padding.Valid"/> if null.</param>
    public static Expr MaxPool1d(this Expr x, Extent window, Extent? stride = null, Padding? padding = null) => Pool("max_pool1d", 1, x, window, stride, padding, max: true);

    /// <summary>The largest element of each window over two axes: [B, H, W, C] → [B, H′, W′, C].</summary>
    /// <inheritdoc cref="MaxPool1d"/>
    public static Expr MaxPool2d(this Expr x, Extent window, Extent? stride = null, Padding? padding = null) => Pool("max_pool2d", 2, x, window, stride, padding, max: true);

    /// <summary>The mean of each window over one axis; padding does not count.</summary>
    /// <inheritdoc cref="MaxPool1d"/>
    public static Expr AvgPool1d(this Expr x, Extent window, Extent? stride = null, Padding? padding = null) => Pool("avg_pool1d", 1, x, window, stride, padding, max: false);

    /// <summary>The mean of each window over two axes; padding does not count: [B, H, W, C] → [B, H′, W′, C].</summary>
    /// <inheritdoc cref="MaxPool1d"/>
    public static Expr AvgPool2d(this Expr x, Extent window, Extent? stride = null, Padding? padding = null) => Pool("avg_pool2d", 2, x, window, stride, padding, max: false);

    /// <summary>The mean over all axes between the first and the last: [B, …, C] → [B, C] (Lin et al. 2014).</summary>
    public static Expr GlobalAvgPool(this Expr x) => ModelBuilder.Call("global_avg_pool", x, x => x.Mean(Between("global_avg_pool", x)));

    /// <summary>The largest element over all axes between the first and the last: [B, …, C] → [B, C].</summary>
    public static Expr GlobalMaxPool(this Expr x) => ModelBuilder.Call("global_max_pool", x, x => x.ReduceMax(Between("global_max_pool", x)));

    private static Layer Conv(string kind, int axes, int filters, Extent kernel, Extent? stride, Padding? padding, Extent? dilation, int groups, bool bias)
    {
        RequirePositive(kind, "filters", filters);
        RequirePositive(kind, "groups", groups);
        if (filters % groups != 0)
            throw new RangeException("groups", $"{kind}: {filters} filters do not divide into {groups} groups");
        var window = Window.Of(kind, axes, kernel, stride, dilation);
        return new(kind, (context, x) => Convolve(kind, context, x, filters, window, padding, groups, bias));
    }

    /// <summary>The numbers of a window for each axis.</summary>
    private sealed record Window(int[] Size, int[] Steps, int[] Spread)
    {
        public static Window Of(string kind, int axes, Extent kernel, Extent? stride, Extent? dilation) =>
            new(kernel.Over(axes, kind, "kernel"), (stride ?? 1).Over(axes, kind, "stride"), (dilation ?? 1).Over(axes, kind, "dilation"));
    }

    private static Expr Convolve(string kind, LayerContext context, Expr x, int filters, Window window, Padding? padding, int groups, bool bias)
    {
        var (size, steps, spread) = window;
        var axes = size.Length;
        var channels = Channels(kind, axes, x);
        if (channels % groups != 0)
            throw new ShapeException($"{kind}: the {channels} channels of {x.Shape} do not divide into {groups} groups", x.Shape);
        var (low, high) = (padding ?? Padding.Same).Over(x.Shape, size, steps, spread, kind);
        var weight = context.Parameter("weight", new Shape([.. size.Select(s => (Dim)s), channels / groups, filters]), Initializers.Auto);
        var conv = new ConvGeneral(steps.ToValueList(), new Shape(low), new Shape(high), Enumerable.Repeat(1, axes).ToValueList(), spread.ToValueList(), groups);
        var y = Expr.Make(conv, x.DType.IsFloat() ? x : x.Cast(DType.Float), weight);
        return bias ? y + context.Parameter("bias", new Shape(filters), Initializers.Zeros) : y;
    }

    private static int Channels(string kind, int axes, Expr x)
    {
        RequireImages(kind, axes, x);
        return x.Shape[^1].IsKnown ? checked((int)x.Shape[^1].Value) : throw new ShapeException($"{kind}: the number of channels, the last axis of {x.Shape}, must be known", x.Shape);
    }

    private static void RequireImages(string kind, int axes, Expr x)
    {
        if (x.Rank == axes + 2)
            return;
        var expected = axes switch { 1 => "[B, T, C]", 2 => "[B, H, W, C]", _ => "[B, D, H, W, C]" };
        var hint = x.Rank == axes + 1 ? "; reshape adds the axis that is missing, such as one channel" : "";
        throw new ShapeException($"{kind} takes {expected}, {axes + 2} axes with the channels last, not {x.Shape}{hint}", x.Shape);
    }

    private static int[] Between(string kind, Expr x) => x.Rank >= 3
        ? [.. Enumerable.Range(1, x.Rank - 2)]
        : throw new ShapeException($"{kind} takes [B, …, C] with axes between the batch and the channels, not {x.Shape}", x.Shape);

    private static Expr Pool(string kind, int axes, Expr x, Extent window, Extent? stride, Padding? padding, bool max) =>
        ModelBuilder.Call(kind, x, x => Pooled(kind, axes, x, window, stride, padding, max), ("window", window, LayerNotation.Required), ("stride", stride, null), ("padding", padding, null));

    private static Expr Pooled(string kind, int axes, Expr x, Extent window, Extent? stride, Padding? padding, bool max)
    {
        RequireImages(kind, axes, x);
        x = x.DType.IsFloat() ? x : x.Cast(DType.Float);
        var (size, steps) = (window.Over(axes, kind, "window"), (stride ?? window).Over(axes, kind, "stride"));
        var ones = Enumerable.Repeat(1, axes).ToArray();
        var (low, high) = (padding ?? Padding.Valid).Over(x.Shape, size, steps, ones, kind);
        var padded = low.Concat(high).Any(p => !p.Equals(Dim.Zero));
        var spatial = new Shape([.. x.Shape.Dims[1..^1]]);
        Dim[] room = [.. Enumerable.Range(0, axes).Select(i => spatial[i] + low[i] + high[i])];
        Dim[] counts = [.. Enumerable.Range(0, axes).Select(i => Dim.FloorDiv(room[i] - size[i], steps[i]) + 1)];
        if (!padded && size.AsSpan().SequenceEqual(steps))
            return Tiles(x, size, counts, max);
        for (var i = 0; i < axes; i++)
        {
            // A window that sees nothing but padding has no largest element and no mean.
            var behind = room[i] - ((counts[i] - 1) * steps[i]) - size[i];
            var first = low[i].IsKnown && low[i].Value >= size[i];
            var last = high[i] - behind is { IsKnown: true } rest && rest.Value >= size[i];
            if (first || last)
                throw new ShapeException($"{kind}: with padding {low[i]} before and {high[i]} after axis {i + 1} of {x.Shape}, a window of {size[i]} would see nothing but padding", x.Shape, axis: i + 1);
        }

        var shape = x.Shape;
        var inside = padded ? Padded(Expr.Full(spatial, 1, x.DType), low, high) : null;
        if (padded)
        {
            var around = Padded(x, [0, .. low, 0], [0, .. high, 0]);
            x = max ? Expr.Where(Across(inside!.GreaterThan(0.5), around.Shape), around, double.NegativeInfinity) : around;
        }

        var windows = Windows(x, 1, size, steps, counts);
        if (max)
            return Expr.Stack(0, windows).ReduceMax(0);
        var sum = Sum(windows);
        return sum / (padded ? Across(Sum(Windows(inside!, 0, size, steps, counts)), sum.Shape) : Expr.Scalar(size.Aggregate(1L, (a, b) => a * b), x.DType));

        static Expr Sum(Expr[] parts) => parts.Aggregate((a, b) => a + b);

        static Expr Across(Expr perPosition, Shape shape) => perPosition.BroadcastTo(shape, [.. Enumerable.Range(1, perPosition.Rank)]);
    }

    /// <summary>Windows side by side are axes of their own.</summary>
    private static Expr Tiles(Expr x, int[] size, Dim[] counts, bool max)
    {
        var parts = new List<Dim> { x.Shape[0] };
        for (var i = 0; i < size.Length; i++)
        {
            x = x.SliceAxis(i + 1, 0, counts[i] * size[i]);
            parts.AddRange([counts[i], size[i]]);
        }

        var tiles = x.Reshape(new Shape([.. parts, x.Shape[^1]]));
        Axes inside = Enumerable.Range(1, size.Length).Select(i => 2 * i).ToArray();
        return max ? tiles.ReduceMax(inside) : tiles.Mean(inside);
    }

    private static Expr Padded(Expr x, Dim[] low, Dim[] high) => Expr.Make(new Pad(new Shape(low), new Shape(high), Enumerable.Repeat(0, low.Length).ToValueList()), x);

    /// <summary>For each place in the window the elements that stand there, over all windows.</summary>
    private static Expr[] Windows(Expr x, int axis, int[] size, int[] steps, Dim[] counts)
    {
        Expr[] parts = [x];
        for (var i = 0; i < size.Length; i++)
        {
            var at = axis + i;
            var (n, step, count) = (size[i], steps[i], counts[i]);
            parts = [.. parts.SelectMany(p => Enumerable.Range(0, n).Select(k => p.SliceAxis(at, k, k + ((count - 1) * step) + 1, step)))];
        }

        return parts;
    }
}

/// <summary>The convolutions as methods of <see cref="Expr"/>.</summary>
public static class Convolutions
{
    /// <inheritdoc cref="Layers.Conv1d(int, Extent, Extent?, Padding?, Extent?, int, bool)"/>
    public static Expr Conv1d(this Expr x, int filters, Extent kernel, Extent? stride = null, Padding? padding = null, Extent? dilation = null, int groups = 1, bool bias = true) =>
        Layers.Conv1d(filters, kernel, stride, padding, dilation, groups, bias).Apply(x);

    /// <inheritdoc cref="Layers.Conv2d(int, Extent, Extent?, Padding?, Extent?, int, bool)"/>
    public static Expr Conv2d(this Expr x, int filters, Extent kernel, Extent? stride = null, Padding? padding = null, Extent? dilation = null, int groups = 1, bool bias = true) =>
        Layers.Conv2d(filters, kernel, stride, padding, dilation, groups, bias).Apply(x);

    /// <inheritdoc cref="Layers.Conv3d(int, Extent, Extent?, Padding?, Extent?, int, bool)"/>
    public static Expr Conv3d(this Expr x, int filters, Extent kernel, Extent? stride = null, Padding? padding = null, Extent? dilation = null, int groups = 1, bool bias = true) =>
        Layers.Conv3d(filters, kernel, stride, padding, dilation, groups, bias).Apply(x);

    /// <inheritdoc cref="Layers.DepthwiseConv2d(Extent, Extent?, Padding?, Extent?, int, bool)"/>
    public static Expr DepthwiseConv2d(this Expr x, Extent kernel, Extent? stride = null, Padding? padding = null, Extent? dilation = null, int multiplier = 1, bool bias = true) =>
        Layers.DepthwiseConv2d(kernel, stride, padding, dilation, multiplier, bias).Apply(x);

    /// <inheritdoc cref="Layers.ConvTranspose1d(int, Extent, Extent?, Padding?, Extent?, bool)"/>
    public static Expr ConvTranspose1d(this Expr x, int filters, Extent kernel, Extent? stride = null, Padding? padding = null, Extent? outputPadding = null, bool bias = true) =>
        Layers.ConvTranspose1d(filters, kernel, stride, padding, outputPadding, bias).Apply(x);

    /// <inheritdoc cref="Layers.ConvTranspose2d(int, Extent, Extent?, Padding?, Extent?, bool)"/>
    public static Expr ConvTranspose2d(this Expr x, int filters, Extent kernel, Extent? stride = null, Padding? padding = null, Extent? outputPadding = null, bool bias = true) =>
        Layers.ConvTranspose2d(filters, kernel, stride, padding, outputPadding, bias).Apply(x);
}
