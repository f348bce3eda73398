using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>An axis of memory that has zeros around what is stored.</summary>
/// <param name="Stride">Its stride, in elements.</param>
/// <param name="Size">The number of elements without the zeros.</param>
/// <param name="Low">Zeros before.</param>
/// <param name="High">Zeros behind.</param>
internal readonly record struct PaddedAxis(long Stride, int Size, int Low, int High);

/// <summary>Convolutions, the zeros around their inputs, and windows of few elements.</summary>
internal sealed partial class Planner
{
    /// <summary>Instructions that a kernel over windows may have.</summary>
    private const int MaxWindowInstructions = 128;

    /// <summary>Convolutions in groups of so few filters run as products by columns, where there are columns for a vector.</summary>
    private const int MaxColumnFilters = 4, MinColumns = 8;

    /// <summary>For values with zeros around: where the elements begin, and the axes.</summary>
    private readonly Dictionary<int, (long Offset, PaddedAxis[] Axes)> bordered = [];

    private void EmitConv(int id)
    {
        var op = (ConvGeneral)graph.Node(id).Op;
        var (x, w) = (Padded(op, InGroups(graph.Args(id)[0], op.Groups)), Resolve(graph.Args(id)[1]));
        if (w.Strides[^1] != 1 || w.Strides.Any(s => s < 0))
            w = Copied(w);
        var target = Target(id);
        if (target.Strides[^1] != 1)
            target = Whole(target.Value, target.Dims);
        if (target.IsContiguous)
            valueOf[id] = target.Value;
        else
            views[id] = target;
        if (target.Count == 0)
            return;
        var (channels, filters, groups) = (w.Dims[^2], w.Dims[^1] / op.Groups, op.Groups);
        if (groups > 1 && filters <= MaxColumnFilters && groups * filters >= MinColumns)
        {
            x = ByColumn(x, filters);
            (groups, filters) = (groups * filters, 1);
        }

        var rows = new List<ProductAxis> { new(x.Dims[0], x.Strides[0], 0, target.Strides[0]) };
        var sums = new List<ProductAxis>();
        for (var i = 0; i < op.Spatial; i++)
        {
            rows.Add(new ProductAxis(target.Dims[i + 1], op.Stride[i] * x.Strides[i + 1], 0, target.Strides[i + 1]));
            sums.Add(new ProductAxis(w.Dims[i], op.RhsDilation[i] * x.Strides[i + 1], w.Strides[i], 0));
        }

        sums.Add(new ProductAxis(channels, x.Strides[^1], w.Strides[^2], 0));
        var plan = groups > 1 && filters == 1 && x.Strides[^2] == 1
            ? new ConvPlan(OverlappedPlan.Make(rows, sums, groups) with { IsByColumn = true }, new ProductAxis(1, 0, 0, 0))
            : new ConvPlan(OverlappedPlan.Make(rows, sums, filters), new ProductAxis(groups, x.Strides[^2], filters, filters));
        var (type, kernel) = (graph.Type(id), At(w));
        var packed = plan.PackedCount(type);
        if (packed > 0)
        {
            var panels = new Operand(NewValue(type, packed));
            Add(new PackInstruction(type, plan, kernel, panels));
            kernel = panels;
        }

        Add(new ConvInstruction(id, type, plan, packed > 0, At(x), kernel, new Operand(target.Value)));
    }

    /// <summary>A value with its channels as [groups, channels]. Where a reshape merged these from axes that lie apart, as in the gradient of a kernel, it need not be made.</summary>
    private View InGroups(int id, int groups)
    {
        var dims = graph.Dims(id);
        var split = graph.Intern([.. dims[..^1], groups, dims[^1] / groups]);
        var unmerged = graph.Kind(id) == OpKind.View && graph.Node(id).Op is Reshape ? Resolve(graph.Args(id)[0]).Reshape(split) : null;
        return unmerged ?? Resolve(id).Reshape(split)!;
    }

    /// <summary>A value of [groups, channels] with each group as often as it has filters, one beside the other: then every filter is a column of its own.</summary>
    private View ByColumn(View x, int filters)
    {
        if (filters == 1 && x.Strides[^2] == 1)
            return x;
        var rank = x.Dims.Length;
        var repeated = new View(x.Value, x.Offset, [.. x.Dims[..^1], filters, x.Dims[^1]], [.. x.Strides[..^1], 0, x.Strides[^1]]);
        return Rearranged(repeated, [.. Enumerable.Range(0, rank - 2), rank, rank - 2, rank - 1]).Reshape([.. x.Dims[..^2], x.Dims[^2] * filters, x.Dims[^1]])!;
    }

    /// <summary>The input of a convolution with the zeros that it needs, in the order of axes that it has.</summary>
    private View Padded(ConvGeneral op, View x)
    {
        var dims = (int[])x.Dims.Clone();
        var (lows, between) = (new long[dims.Length], new int[dims.Length]);
        for (var i = 0; i < op.Spatial; i++)
        {
            var size = x.Dims[i + 1];
            (lows[i + 1], between[i + 1]) = (graph.Evaluate(op.Low[i]), op.LhsDilation[i] - 1);
            var room = (size == 0 ? 0 : ((size - 1L) * op.LhsDilation[i]) + 1) + lows[i + 1] + graph.Evaluate(op.High[i]);
            dims[i + 1] = room <= int.MaxValue ? (int)room : throw new ShapeException($"{op.Name}: spatial axis {i} has {room} elements with its padding, which is out of range");
        }

        if (dims.AsSpan().SequenceEqual(x.Dims) && lows.All(low => low == 0))
            return x;
        dims = graph.Intern(dims);
        if (WithBorder(x, dims, lows, between) is { } there)
            return there;
        var order = Enumerable.Range(0, dims.Length).OrderByDescending(a => Math.Abs(x.Strides[a])).ToArray();
        var padded = Whole(NewValue(result.Values[x.Value].Type, Strides.Count(dims)), graph.Intern([.. order.Select(a => dims[a])])).Permute(Inverse(order), dims);
        Pad(-1, x, lows, between, padded);
        return padded;
    }

    /// <summary>The view with zeros around, where they are in memory already.</summary>
    private View? WithBorder(View x, int[] dims, long[] lows, int[] between)
    {
        if (!bordered.TryGetValue(x.Value, out var border) || x.Offset != border.Offset || between.Any(b => b != 0))
            return null;
        var offset = x.Offset;
        for (var a = 0; a < dims.Length; a++)
        {
            var (low, high) = (lows[a], dims[a] - x.Dims[a] - lows[a]);
            if (low == 0 && high == 0)
                continue;
            var stride = x.Strides[a];
            if (low < 0 || high < 0 || !border.Axes.Any(axis => axis.Stride == stride && axis.Size == x.Dims[a] && axis.Low >= low && axis.High >= high))
                return null;
            offset -= low * stride;
        }

        return new View(x.Value, offset, dims, x.Strides);
    }

    /// <summary>Memory for an elementwise value: with zeros around it, if the convolution that reads it wants them.</summary>
    private View Stored(int id)
    {
        var dims = graph.Dims(id);
        if (!isFused || fusion.IsRoot(id) || BorderOf(id) is not { } border)
            return Whole(NewValue(id), dims);
        var whole = graph.Intern([.. dims.Select((size, a) => size + border.Low[a] + border.High[a])]);
        var strides = View.RowMajor(whole);
        var value = NewValue(graph.Type(id), Strides.Count(whole));
        var offset = 0L;
        for (var a = 0; a < dims.Length; a++)
            offset += border.Low[a] * strides[a];
        bordered[value] = (offset, [.. dims.Select((size, a) => new PaddedAxis(strides[a], size, border.Low[a], border.High[a]))]);
        Add(new BorderInstruction(FusedKernelSpec.SizeOf(graph.Type(id)), dims, border.Low, border.High, new Operand(value)));
        return views[id] = new View(value, offset, dims, strides);
    }

    /// <summary>The zeros that the first convolution over a value wants around it; null where there is none, or where they would be most of it.</summary>
    private (int[] Low, int[] High)? BorderOf(int id)
    {
        var dims = graph.Dims(id);
        foreach (var consumer in graph.ConsumersOf(id))
        {
            if (graph.Kind(consumer) != OpKind.Conv || graph.Args(consumer)[0] != id || graph.Node(consumer).Op is not ConvGeneral op || op.LhsDilation.Any(d => d != 1))
                continue;
            var (low, high, count) = (new int[dims.Length], new int[dims.Length], 1.0);
            for (var a = 0; a < dims.Length; a++)
            {
                var (before, behind) = a > 0 && a <= op.Spatial ? (graph.Evaluate(op.Low[a - 1]), graph.Evaluate(op.High[a - 1])) : (0, 0);
                if (before < 0 || behind < 0 || dims[a] == 0)
                    return null;
                count *= (double)(dims[a] + before + behind) / dims[a];
                if (count > 2)
                    return null;
                (low[a], high[a]) = ((int)before, (int)behind);
            }

            return count > 1 ? (low, high) : null;
        }

        return null;
    }

    /// <summary>
    /// A reduction over windows of few elements, the channels innermost, as a kernel over the result: the elements of a window are loads of their own.
    /// </summary>
    private bool TryEmitWindows(FusionGroup group)
    {
        if (group.Reduced is not { } reduced || !isFused || !Fusion.IsWindow(group.Dims, reduced))
            return false;
        var window = reduced.Aggregate(1L, (count, a) => count * group.Dims[a]);
        if (group.Nodes.Count * window > MaxWindowInstructions)
            return false;
        foreach (var id in group.Nodes)
        {
            if (graph.Kind(id) is not (OpKind.Elementwise or OpKind.Reduction) || (graph.Kind(id) == OpKind.Elementwise && fusion.IsStored(id)))
                return false;
            foreach (var arg in graph.Args(id))
            {
                if (graph.Kind(arg) == OpKind.Iota)
                    return false;
            }
        }

        var kept = Enumerable.Range(0, group.Dims.Length).Where(a => !reduced.Contains(a)).ToArray();
        kernel.Start(graph.Intern([.. kept.Select(a => group.Dims[a])]), []);
        var sums = new Dictionary<int, int>();
        for (var place = 0L; place < window; place++)
        {
            kernel.Forget();
            var at = Strides.Coordinates(place, [.. reduced.Select(a => group.Dims[a])]);
            foreach (var open in group.Open)
            {
                if (graph.IsNumber(open, out _))
                    continue;
                var whole = Resolve(open);
                var offset = whole.Offset;
                for (var i = 0; i < reduced.Count; i++)
                    offset += at[i] * whole.Strides[reduced[i]];
                var part = new View(whole.Value, offset, [.. kept.Select(a => whole.Dims[a])], [.. kept.Select(a => whole.Strides[a])]);
                kernel.Define(open, kernel.Load(part, graph.Type(open)));
            }

            for (var i = group.Nodes.Count - 1; i >= 0; i--)
            {
                var id = group.Nodes[i];
                if (graph.Kind(id) != OpKind.Reduction)
                    kernel.Define(id, Compute(id));
                else if (!sums.TryGetValue(id, out var sum))
                    sums[id] = Use(graph.Args(id)[0]);
                else
                    sums[id] = kernel.Add(new FusedInstruction(Lowering.CombineCodeOf(graph.Node(id).Op), graph.Type(id), sum, Use(graph.Args(id)[0])));
            }
        }

        var outputs = new List<Operand>();
        for (var i = group.Nodes.Count - 1; i >= 0; i--)
        {
            if (!sums.TryGetValue(group.Nodes[i], out var sum))
                continue;
            var target = Stored(group.Nodes[i]);
            kernel.Output(sum, target);
            outputs.Add(At(target));
        }

        EmitKernel(group.Root, outputs, FusedReduction.None, 0);
        return true;
    }
}
