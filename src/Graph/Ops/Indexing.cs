namespace Dnn.Graph;

/// <summary>An index that a table does not have, found while running.</summary>
public sealed class IndexException(string message, long? index = null, long size = 0) : GraphException(message)
{
    /// <summary>The index, where one number is at fault.</summary>
    public long? Index { get; } = index;

    /// <summary>What it should be below.</summary>
    public long Size { get; } = size;
}

/// <summary>
/// Takes along an axis by whole numbers. The first <paramref name="Batch"/> axes run together in both arguments; the result has the axes of x
/// before <paramref name="Axis"/>, those of the indices after the batch, and those of x after the axis.
/// </summary>
public sealed record Gather(int Axis, int Batch) : Op
{
    public override string Name => "gather";

    public override OpDoc Doc => new("y[b, i, j, k] = x[b, i, index[b, j], k]", "x̄ = scatter_add of ȳ", "An index below 0 or not below the size is an error.");

    public override IReadOnlyList<OpAttribute> Attributes => [new("axis", Axis), new("batch", Batch)];

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 2);
        var (x, index) = (args[0], args[1]);
        if (index.DType != DType.I64)
            throw Misfit($"the indices must be i64, not {index}");
        if (Axis < Batch || Axis >= x.Rank || Batch < 0 || Batch > index.Rank)
            throw Misfit($"axis {Axis} with {Batch} batch axes does not fit {x.Shape} and {index.Shape}");
        RequireSame(new Shape([.. x.Shape.Dims[..Batch]]), new Shape([.. index.Shape.Dims[..Batch]]));
        return new TensorType(x.DType, new Shape([.. x.Shape.Dims[..Axis], .. index.Shape.Dims[Batch..], .. x.Shape.Dims[(Axis + 1)..]]));
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent) =>
        [Expr.Make(new ScatterAdd(Axis, Batch, node.Args[0].Shape[Axis]), node.Args[1], cotangent), null];

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var walk = new IndexWalk(Axis, Batch, args[0].Dims, args[1].Dims);
        var index = args[1].Integers!;
        return args[0].Pick(walk.Taken, i => walk.Position(i, index));
    }

    public override Expr Batched(BatchedArgs args)
    {
        // One table or one set of indices for all needs no copies, unless they run together already.
        if (Batch == 0 && !args.Has[1])
            return Expr.Make(new Gather(Axis + 1, 0), args.Values[0], args.Values[1]);
        if (Batch == 0 && !args.Has[0])
            return Expr.Make(this, args.Values[0], args.Values[1]).MoveAxis(Axis, 0);
        return Expr.Make(new Gather(Axis + 1, Batch + 1), args.All);
    }
}

/// <summary>The adjoint of <see cref="Gather"/>: adds slices where indices say, to zeros of <paramref name="Size"/> along the axis.</summary>
public sealed record ScatterAdd(int Axis, int Batch, Dim Size) : Op
{
    public override string Name => "scatter_add";

    public override OpDoc Doc => new("y[b, i, index[b, j], k] += x[b, i, j, k]", "x̄ = gather of ȳ", "Arguments: indices, x. An index that meets several slices gets their sum; one that is out of range is an error.");

    public override IReadOnlyList<OpAttribute> Attributes => [new("axis", Axis), new("batch", Batch), new("size", new Shape(Size))];

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 2);
        var (index, x) = (args[0], RequireFloat(args[1]));
        var indexRank = index.Rank - Batch;
        if (index.DType != DType.I64)
            throw Misfit($"the indices must be i64, not {index}");
        if (Batch < 0 || Axis < Batch || indexRank < 0 || Axis + indexRank > x.Rank)
            throw Misfit($"axis {Axis} with {Batch} batch axes does not fit {x.Shape} and {index.Shape}");
        RequireSame(new Shape([.. x.Shape.Dims[..Batch]]), new Shape([.. index.Shape.Dims[..Batch]]));
        RequireSame(new Shape([.. x.Shape.Dims[Axis..(Axis + indexRank)]]), new Shape([.. index.Shape.Dims[Batch..]]));
        return new TensorType(x.DType, new Shape([.. x.Shape.Dims[..Axis], Size, .. x.Shape.Dims[(Axis + indexRank)..]]));
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent) => [null, Expr.Make(new Gather(Axis, Batch), cotangent, node.Args[0])];

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var dims = context.Evaluate(node.Shape);
        var walk = new IndexWalk(Axis, Batch, dims, args[0].Dims);
        var result = RefValue<T>.Zeros(dims, true);
        for (var i = 0L; i < args[1].Length; i++)
            result.Reals![walk.Position(i, args[0].Integers!)] += args[1].Reals![i];
        return result;
    }

    public override Expr Batched(BatchedArgs args) => Batch == 0 && !args.Has[0]
        ? Expr.Make(this with { Axis = Axis + 1 }, args.Values[0], args.Values[1])
        : Expr.Make(this with { Axis = Axis + 1, Batch = Batch + 1 }, args.All);
}

/// <summary>Maps positions in what was taken to positions in what it was taken from.</summary>
public readonly struct IndexWalk
{
    private readonly int[] from;
    private readonly int[] index;
    private readonly int axis;
    private readonly int batch;
    private readonly long[] fromStrides;
    private readonly long[] indexStrides;

    public IndexWalk(int axis, int batch, int[] from, int[] index)
    {
        (this.axis, this.batch, this.from, this.index) = (axis, batch, from, index);
        (fromStrides, indexStrides) = (Strides.Of(from), Strides.Of(index));
        Taken = [.. from[..axis], .. index[batch..], .. from[(axis + 1)..]];
    }

    /// <summary>The sizes of what is taken.</summary>
    public int[] Taken { get; }

    public long Position(long taken, long[] indices)
    {
        var at = Strides.Coordinates(taken, Taken);
        var (source, pick) = (0L, 0L);
        for (var i = 0; i < axis; i++)
            source += at[i] * fromStrides[i];
        for (var i = 0; i < index.Length; i++)
            pick += at[i < batch ? i : i - batch + axis] * indexStrides[i];
        for (var i = axis + 1; i < from.Length; i++)
            source += at[i - 1 + index.Length - batch] * fromStrides[i];
        var chosen = indices[pick];
        if (chosen < 0 || chosen >= from[axis])
            throw new IndexException($"index {chosen} at position {pick} is out of range: the axis has size {from[axis]}", chosen, from[axis]);
        return source + (chosen * fromStrides[axis]);
    }
}
