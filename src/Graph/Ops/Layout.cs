namespace Dnn.Graph;

/// <summary>An operation that only moves elements: the value is a choice of elements of the one argument, or zeros.</summary>
public abstract record Movement : Op
{
    /// <summary>The position in the argument that each position of the result shows, or −1 for zero.</summary>
    protected abstract Func<long, long> Source(int[] from, int[] to, RefContext context);

    public sealed override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var to = context.Evaluate(node.Shape);
        return args[0].Pick(to, Source(args[0].Dims, to, context));
    }
}

/// <summary>Adds axes: axis i of the argument becomes axis <paramref name="Axes"/>[i] of <paramref name="Shape"/>; the others repeat.</summary>
public sealed record Broadcast(Shape Shape, ValueList<int> Axes) : Movement
{
    public override string Name => "broadcast";

    public override OpDoc Doc => new("y[i₀, …] = x[i_axes]", "x̄ = Σ ȳ over the other axes");

    public override IReadOnlyList<OpAttribute> Attributes => [new("shape", Shape), new("axes", Axes)];

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 1);
        if (Axes.Count != args[0].Rank)
            throw Misfit($"{args[0].Shape} needs {args[0].Rank} axes in {Shape}, not {Axes.Count}");
        for (var i = 0; i < Axes.Count; i++)
        {
            if (Axes[i] < 0 || Axes[i] >= Shape.Rank || (i > 0 && Axes[i] <= Axes[i - 1]))
                throw Misfit($"axes {Axes} must be increasing and exist in {Shape}");
            if (Dim.AreEqual(args[0].Shape[i], Shape[Axes[i]]) == Answer.Refuted)
                throw new ShapeException($"{Name}: axis {i} of {args[0].Shape} does not fit axis {Axes[i]} of {Shape}", args[0].Shape, Shape, Axes[i]);
        }

        return new TensorType(args[0].DType, Shape);
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent) =>
        [cotangent.ReduceSum(Enumerable.Range(0, Shape.Rank).Where(a => !Axes.Contains(a)).ToValueList())];

    protected override Func<long, long> Source(int[] from, int[] to, RefContext context)
    {
        var strides = Strides.Of(from);
        for (var i = 0; i < from.Length; i++)
        {
            if (from[i] != to[Axes[i]])
                throw Misfit($"sizes taken to be equal are not: {from[i]} and {to[Axes[i]]}");
        }

        return index =>
        {
            var at = Strides.Coordinates(index, to);
            var source = 0L;
            for (var i = 0; i < strides.Length; i++)
                source += at[Axes[i]] * strides[i];
            return source;
        };
    }

    public override Expr Batched(BatchedArgs args) => Expr.Make(new Broadcast(Shape.Insert(0, args.Size), [0, .. Axes.Select(a => a + 1)]), args.All);
}

/// <summary>The same elements in row-major order under another shape.</summary>
public sealed record Reshape(Shape Shape) : Movement
{
    public override string Name => "reshape";

    public override OpDoc Doc => new("the same elements in row-major order", "x̄ = ȳ in the shape of x");

    public override IReadOnlyList<OpAttribute> Attributes => [new("shape", Shape)];

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 1);
        if (Dim.AreEqual(args[0].Shape.ElementCount, Shape.ElementCount) == Answer.Refuted)
            throw new ShapeException($"{Name}: {args[0].Shape} has {args[0].Shape.ElementCount} elements, {Shape} has {Shape.ElementCount}", args[0].Shape, Shape);
        return new TensorType(args[0].DType, Shape);
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent) => [cotangent.Reshape(node.Args[0].Shape)];

    protected override Func<long, long> Source(int[] from, int[] to, RefContext context) =>
        Strides.Count(from) == Strides.Count(to) ? index => index : throw Misfit($"[{string.Join(", ", from)}] does not have as many elements as [{string.Join(", ", to)}]");

    public override Expr Batched(BatchedArgs args) => args.Full(0).Reshape(Shape.Insert(0, args.Size));
}

/// <summary>Axis i of the result is axis <paramref name="Permutation"/>[i] of the argument.</summary>
public sealed record Transpose(ValueList<int> Permutation) : Movement
{
    public override string Name => "transpose";

    public override OpDoc Doc => new("axis i of y is axis permutation[i] of x", "x̄ = ȳ with the inverse permutation");

    public override IReadOnlyList<OpAttribute> Attributes => [new("permutation", Permutation)];

    public ValueList<int> Inverse => Enumerable.Range(0, Permutation.Count).OrderBy(i => Permutation[i]).ToValueList();

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 1);
        if (!Permutation.Order().SequenceEqual(Enumerable.Range(0, args[0].Rank)))
            throw Misfit($"{Permutation} is no permutation of the axes of {args[0].Shape}");
        var shape = args[0].Shape;
        return new TensorType(args[0].DType, new Shape([.. Permutation.Select(a => shape[a])]));
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent) => [cotangent.Transpose([.. Inverse])];

    protected override Func<long, long> Source(int[] from, int[] to, RefContext context)
    {
        var strides = Strides.Of(from);
        return index =>
        {
            var at = Strides.Coordinates(index, to);
            var source = 0L;
            for (var i = 0; i < at.Length; i++)
                source += at[i] * strides[Permutation[i]];
            return source;
        };
    }

    public override Expr Batched(BatchedArgs args) => Expr.Make(new Transpose([0, .. Permutation.Select(a => a + 1)]), args.All);
}

/// <summary>The elements of some axes in the opposite order.</summary>
public sealed record Reverse(ValueList<int> Axes) : Movement
{
    public override string Name => "reverse";

    public override OpDoc Doc => new("y[…, i, …] = x[…, n − 1 − i, …]", "x̄ = ȳ reversed");

    public override IReadOnlyList<OpAttribute> Attributes => [new("axes", Axes)];

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 1);
        var rank = args[0].Rank;
        return Axes.All(a => a >= 0 && a < rank) && Axes.Distinct().Count() == Axes.Count ? args[0] : throw Misfit($"axes {Axes} must be distinct and exist in {args[0].Shape}");
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent) => [Expr.Make(this, cotangent)];

    protected override Func<long, long> Source(int[] from, int[] to, RefContext context)
    {
        var strides = Strides.Of(from);
        return index =>
        {
            var at = Strides.Coordinates(index, to);
            foreach (var axis in Axes)
                at[axis] = to[axis] - 1 - at[axis];
            var source = 0L;
            for (var i = 0; i < at.Length; i++)
                source += at[i] * strides[i];
            return source;
        };
    }

    public override Expr Batched(BatchedArgs args) => Expr.Make(new Reverse([.. Axes.Select(a => a + 1)]), args.All);
}

/// <summary>Every <paramref name="Steps"/>-th element from <paramref name="Starts"/> up to but without <paramref name="Limits"/>.</summary>
public sealed record Slice(Shape Starts, Shape Limits, ValueList<int> Steps) : Movement
{
    public override string Name => "slice";

    public override OpDoc Doc => new("y[i] = x[start + i · step], i < ⌈(limit − start) / step⌉", "x̄ = ȳ padded with zeros");

    public override IReadOnlyList<OpAttribute> Attributes => [new("starts", Starts), new("limits", Limits), new("steps", Steps)];

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 1);
        var shape = args[0].Shape;
        if (Starts.Rank != shape.Rank || Limits.Rank != shape.Rank || Steps.Count != shape.Rank || Steps.Any(s => s < 1))
            throw Misfit($"needs a start, a limit and a step of at least 1 for each axis of {shape}");
        var dims = new Dim[shape.Rank];
        for (var i = 0; i < dims.Length; i++)
        {
            var (start, limit, size) = (Starts[i], Limits[i], shape[i]);
            if ((start.IsKnown && start.Value < 0) || (limit - start is { IsKnown: true } length && length.Value < 0) || (size - limit is { IsKnown: true } left && left.Value < 0))
                throw Misfit($"{start} to {limit} is not within axis {i} of {shape}");
            dims[i] = Dim.CeilDiv(limit - start, Steps[i]);
        }

        return new TensorType(args[0].DType, new Shape(dims));
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent)
    {
        var x = node.Args[0].Shape;
        var high = Enumerable.Range(0, x.Rank).Select(i => x[i] - Starts[i] - (Steps[i] * (node.Shape[i] - 1)) - 1);

        // An empty slice has no last element: everything is padding, and the formula above would count one element too many.
        return [node.Shape.Dims.Any(d => d.Equals(Dim.Zero))
            ? null
            : Expr.Make(new Pad(Starts, new Shape([.. high]), [.. Steps.Select(s => s - 1)]), cotangent)];
    }

    protected override Func<long, long> Source(int[] from, int[] to, RefContext context)
    {
        var strides = Strides.Of(from);
        var starts = context.Evaluate(Starts);
        return index =>
        {
            var at = Strides.Coordinates(index, to);
            var source = 0L;
            for (var i = 0; i < at.Length; i++)
                source += (starts[i] + (at[i] * Steps[i])) * strides[i];
            return source;
        };
    }

    public override Expr Batched(BatchedArgs args) => Expr.Make(new Slice(Starts.Insert(0, Dim.Zero), Limits.Insert(0, args.Size), [1, .. Steps]), args.All);
}

/// <summary>Zeros before, after and between elements. Negative <paramref name="Low"/> and <paramref name="High"/> cut elements off.</summary>
public sealed record Pad(Shape Low, Shape High, ValueList<int> Interior) : Movement
{
    public override string Name => "pad";

    public override OpDoc Doc => new("y[low + i · (interior + 1)] = x[i], zero elsewhere", "x̄ = ȳ sliced");

    public override IReadOnlyList<OpAttribute> Attributes => [new("low", Low), new("high", High), new("interior", Interior)];

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 1);
        var shape = args[0].Shape;
        if (Low.Rank != shape.Rank || High.Rank != shape.Rank || Interior.Count != shape.Rank || Interior.Any(p => p < 0))
            throw Misfit($"needs low, high and interior padding for each axis of {shape}");
        var dims = new Dim[shape.Rank];
        for (var i = 0; i < dims.Length; i++)
        {
            dims[i] = Spread(shape[i], i) + Low[i] + High[i];
            if (dims[i].IsKnown && dims[i].Value < 0)
                throw Misfit($"axis {i} of {shape} would get the size {dims[i]}");
        }

        return new TensorType(args[0].DType, new Shape(dims));
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent)
    {
        // The transpose: cut the low and high parts off, then take every (interior + 1)-th element.
        var x = node.Args[0].Shape;
        if (x.Dims.Any(d => d.Equals(Dim.Zero)))
            return [null];
        var uncut = Expr.Make(new Pad(Negate(Low), Negate(High), [.. Interior.Select(_ => 0)]), cotangent);
        return [uncut.Slice([.. x.Dims.Select(_ => Dim.Zero)], [.. uncut.Shape.Dims], [.. Interior.Select(p => p + 1)])];
    }

    protected override Func<long, long> Source(int[] from, int[] to, RefContext context)
    {
        var strides = Strides.Of(from);
        var low = Low.Dims.Select(d => d.Evaluate(context.Sizes)).ToArray();
        return index =>
        {
            var at = Strides.Coordinates(index, to);
            var source = 0L;
            for (var i = 0; i < at.Length; i++)
            {
                var offset = at[i] - low[i];
                if (offset < 0 || offset % (Interior[i] + 1) != 0 || offset / (Interior[i] + 1) >= from[i])
                    return -1;
                source += offset / (Interior[i] + 1) * strides[i];
            }

            return source;
        };
    }

    private static Shape Negate(Shape shape) => new([.. shape.Dims.Select(d => -d)]);

    /// <summary>The size with interior padding; an empty axis stays empty.</summary>
    private Dim Spread(Dim size, int axis) => Interior[axis] == 0 || size.Equals(Dim.Zero) ? size : size + ((size - 1) * Interior[axis]);

    public override Expr Batched(BatchedArgs args) => Expr.Make(new Pad(Low.Insert(0, Dim.Zero), High.Insert(0, Dim.Zero), [0, .. Interior]), args.All);
}

/// <summary>Tensors one after the other along an axis.</summary>
public sealed record Concat(int Axis) : Op
{
    public override string Name => "concat";

    public override OpDoc Doc => new("y = x₀, x₁, … along the axis", "each x̄ is its slice of ȳ");

    public override IReadOnlyList<OpAttribute> Attributes => [new("axis", Axis)];

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        if (args.Length == 0)
            throw Misfit("needs at least one tensor");
        var first = args[0];
        if (Axis < 0 || Axis >= first.Rank)
            throw Misfit($"axis {Axis} does not exist in {first.Shape}");
        var size = Dim.Zero;
        foreach (var arg in args)
        {
            if (arg.DType != first.DType)
                throw Misfit($"takes tensors of one element type, not {first} and {arg}; cast one of them");
            if (arg.Rank != first.Rank)
                throw new ShapeException($"{Name}: {first.Shape} and {arg.Shape} have different numbers of axes", first.Shape, arg.Shape);
            for (var i = 0; i < first.Rank; i++)
            {
                if (i != Axis && Dim.AreEqual(first.Shape[i], arg.Shape[i]) == Answer.Refuted)
                    throw new ShapeException($"{Name} along axis {Axis}: {first.Shape} and {arg.Shape} differ in axis {i}: {first.Shape[i]} is not {arg.Shape[i]}", first.Shape, arg.Shape, i);
            }

            size += arg.Shape[Axis];
        }

        return new TensorType(first.DType, first.Shape.With(Axis, size));
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent)
    {
        var result = new Expr?[node.Args.Length];
        var start = Dim.Zero;
        for (var i = 0; i < result.Length; i++)
        {
            var end = start + node.Args[i].Shape[Axis];
            result[i] = cotangent.SliceAxis(Axis, start, end);
            start = end;
        }

        return result;
    }

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var dims = context.Evaluate(node.Shape);
        var result = RefValue<T>.Zeros(dims, args[0].Reals is not null);
        var (inner, offset) = (Strides.Of(dims)[Axis], 0L);
        foreach (var arg in args)
        {
            var run = arg.Dims[Axis] * inner;
            for (var i = 0L; i < arg.Length; i++)
            {
                var to = (i / run * dims[Axis] * inner) + (offset * inner) + (i % run);
                if (arg.Reals is not null)
                    result.Reals![to] = arg.Reals[i];
                else
                    result.Integers![to] = arg.Integers![i];
            }

            offset += arg.Dims[Axis];
        }

        return result;
    }

    public override Expr Batched(BatchedArgs args) => Expr.Make(new Concat(Axis + 1), args.All);
}
