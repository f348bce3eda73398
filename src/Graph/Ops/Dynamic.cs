namespace Dnn.Graph;

/// <summary>What reading and writing a stretch at a place that is computed have in common.</summary>
public abstract record DynamicStretch(int Axis) : Op
{
    /// <summary>A start must be a scalar i64 and the stretch must exist and fit.</summary>
    protected void RequireStretch(TensorType x, TensorType start, Dim length)
    {
        if (start.DType != DType.I64 || !start.Shape.IsScalar)
            throw Misfit($"the start must be an i64 scalar, not {start}");
        if (Axis < 0 || Axis >= x.Rank)
            throw Misfit($"axis {Axis} does not exist in {x.Shape}");
        if (length is { IsKnown: true, Value: < 0 } || (x.Shape[Axis] - length is { IsKnown: true } room && room.Value < 0))
            throw Misfit($"{length} elements are not within axis {Axis} of {x.Shape}");
    }

    /// <exception cref="IndexException">The stretch from <paramref name="start"/> on does not lie within the axis.</exception>
    protected void Verify(long start, long length, long size)
    {
        if (start < 0 || start > size - length)
            throw new IndexException(OutOfRange(Name, start, length, size));
    }

    /// <summary>The message about a stretch that does not lie within its axis.</summary>
    public static string OutOfRange(string name, long start, long length, long size) =>
        $"{name}: {length} elements from {start} on do not lie within an axis of size {size}";
}

/// <summary><paramref name="Length"/> elements along an axis from a place that is computed.</summary>
public sealed record DynamicSlice(int Axis, Dim Length) : DynamicStretch(Axis)
{
    public override string Name => "dynamic_slice";

    public override OpDoc Doc => new("y[…, i, …] = x[…, start + i, …], i < length", "x̄ = zeros, updated with ȳ at the same place",
        "Arguments: x, start. A stretch that does not lie within the axis is an error, as an index out of range is.");

    public override IReadOnlyList<OpAttribute> Attributes => [new("axis", Axis), new("length", new Shape(Length))];

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 2);
        RequireStretch(args[0], args[1], Length);
        return new TensorType(args[0].DType, args[0].Shape.With(Axis, Length));
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent) =>
        [Expr.Make(new DynamicUpdateSlice(Axis), Expr.Full(node.Args[0].Shape, 0, cotangent.DType), cotangent, node.Args[1]), null];

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var (from, to, start) = (args[0].Dims, context.Evaluate(node.Shape), args[1].Integers![0]);
        Verify(start, to[Axis], from[Axis]);
        var strides = Strides.Of(from);
        return args[0].Pick(to, i =>
        {
            var at = Strides.Coordinates(i, to);
            var source = start * strides[Axis];
            for (var a = 0; a < at.Length; a++)
                source += at[a] * strides[a];
            return source;
        });
    }

    public override Expr Batched(BatchedArgs args)
    {
        if (!args.Has[1])
            return Expr.Make(this with { Axis = Axis + 1 }, args.Values[0], args.Values[1]);
        var indices = args.Values[1].ExpandDims(1) + Expr.Iota(new Shape(args.Size, Length), 1);
        return Expr.Make(new Gather(Axis + 1, 1), args.Full(0), indices);
    }
}

/// <summary>The first argument with a stretch along an axis replaced, at a place that is computed.</summary>
public sealed record DynamicUpdateSlice(int Axis) : DynamicStretch(Axis)
{
    public override string Name => "dynamic_update_slice";

    public override OpDoc Doc => new("y = x, but y[…, start + i, …] = u[…, i, …]", "x̄ = ȳ, updated with zeros; ū = the slice of ȳ",
        "Arguments: x, u, start. A stretch that does not lie within the axis is an error. A state that is updated this way is written in place.");

    public override IReadOnlyList<OpAttribute> Attributes => [new("axis", Axis)];

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 3);
        var (x, update) = (args[0], args[1]);
        if (x.DType != update.DType || x.Rank != update.Rank)
            throw new ShapeException($"{Name}: {update} does not fit into {x}: element type and number of axes must be the same", x.Shape, update.Shape);
        RequireStretch(x, args[2], Axis >= 0 && Axis < x.Rank ? update.Shape[Axis] : Dim.Zero);
        RequireSame(x.Shape.With(Axis, Dim.One), update.Shape.With(Axis, Dim.One));
        return x;
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent)
    {
        var (update, start) = (node.Args[1], node.Args[2]);
        return
        [
            Expr.Make(this, cotangent, Expr.Full(update.Shape, 0, cotangent.DType), start),
            Expr.Make(new DynamicSlice(Axis, update.Shape[Axis]), cotangent, start),
            null,
        ];
    }

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var (x, update, start) = (args[0], args[1], args[2].Integers![0]);
        Verify(start, update.Dims[Axis], x.Dims[Axis]);
        var strides = Strides.Of(update.Dims);
        var result = x.Pick(x.Dims, i => i);
        for (var i = 0; i < result.Length; i++)
        {
            var at = Strides.Coordinates(i, x.Dims);
            at[Axis] -= (int)start;
            if (at[Axis] < 0 || at[Axis] >= update.Dims[Axis])
                continue;
            var source = 0L;
            for (var a = 0; a < at.Length; a++)
                source += at[a] * strides[a];
            if (result.Reals is not null)
                result.Reals[i] = update.Reals![source];
            else
                result.Integers![i] = update.Integers![source];
        }

        return result;
    }

    public override Expr Batched(BatchedArgs args)
    {
        if (!args.Has[2])
            return Expr.Make(new DynamicUpdateSlice(Axis + 1), args.Full(0), args.Full(1), args.Values[2]);
        var (x, update) = (args.Full(0), args.Full(1));
        var (size, length) = (x.Shape[Axis + 1], update.Shape[Axis + 1]);
        if (length.Equals(Dim.Zero))
            return x;

        // Every place takes from the update or from x. The starts pass through a table of legal ones, which refuses others.
        var starts = Expr.Iota(new Shape(size - length + 1), 0).Take(args.Values[2]);
        var offset = Expr.Iota(new Shape(args.Size, size), 1) - starts.ExpandDims(1);
        var inside = offset.GreaterOrEqual(0).And(offset.LessThan(Expr.Size(length)));
        var taken = Expr.Make(new Gather(Axis + 1, 1), update, offset.Max(0).Min(Expr.Size(length - 1)));
        return Expr.Where(inside.BroadcastTo(x.Shape, [0, Axis + 1]), taken, x);
    }
}
