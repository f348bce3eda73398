namespace Dnn.Graph;

/// <summary>
/// The general tensor product: axes in <paramref name="LeftBatch"/> and <paramref name="RightBatch"/> run together, those in <paramref name="LeftContract"/>
/// and <paramref name="RightContract"/> are summed over. The result has the batch axes, then the free axes of the left, then those of the right.
/// </summary>
public sealed record DotGeneral(ValueList<int> LeftBatch, ValueList<int> RightBatch, ValueList<int> LeftContract, ValueList<int> RightContract) : Op
{
    public override string Name => "dot_general";

    public override OpDoc Doc => new("z[b, m, n] = Σ_k x[b, m, k] · y[b, k, n]", "x̄ = z̄ · yᵀ, ȳ = xᵀ · z̄, in the layout of each", "Matrix product, batched product, inner and outer product.");

    public override IReadOnlyList<OpAttribute> Attributes =>
        [new("left_batch", LeftBatch), new("right_batch", RightBatch), new("left_contract", LeftContract), new("right_contract", RightContract)];

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 2);
        var (x, y) = (RequireFloat(args[0]), RequireFloat(args[1]));
        if (x.DType != y.DType)
            throw Misfit($"takes two tensors of one element type, not {x} and {y}; cast one of them");
        if (LeftBatch.Count != RightBatch.Count || LeftContract.Count != RightContract.Count)
            throw Misfit("batch and contracted axes must come in pairs");
        CheckAxes(x.Shape, LeftBatch, LeftContract);
        CheckAxes(y.Shape, RightBatch, RightContract);
        foreach (var (left, right) in LeftBatch.Concat(LeftContract).Zip(RightBatch.Concat(RightContract)))
        {
            if (Dim.AreEqual(x.Shape[left], y.Shape[right]) == Answer.Refuted)
                throw new ShapeException($"{Name}: {x.Shape} and {y.Shape} do not multiply: axis {left} of the first has size {x.Shape[left]}, axis {right} of the second {y.Shape[right]}", x.Shape, y.Shape, left);
        }

        return new TensorType(x.DType, new Shape([
            .. LeftBatch.Select(a => x.Shape[a]),
            .. Free(x.Rank, LeftBatch, LeftContract).Select(a => x.Shape[a]),
            .. Free(y.Rank, RightBatch, RightContract).Select(a => y.Shape[a])]));
    }

    /// <summary>The axes that are neither batch nor contracted, in order.</summary>
    public static int[] Free(int rank, ValueList<int> batch, ValueList<int> contract) =>
        [.. Enumerable.Range(0, rank).Where(a => !batch.Contains(a) && !contract.Contains(a))];

    public override Expr?[] Vjp(Expr node, Expr cotangent)
    {
        var (x, y) = (node.Args[0], node.Args[1]);
        var batch = LeftBatch.Count;
        var leftFree = Free(x.Rank, LeftBatch, LeftContract);
        var rightFree = Free(y.Rank, RightBatch, RightContract);
        var batchAxes = Enumerable.Range(0, batch).ToValueList();
        var leftAxes = Enumerable.Range(batch, leftFree.Length).ToValueList();
        var rightAxes = Enumerable.Range(batch + leftFree.Length, rightFree.Length).ToValueList();

        // x̄: the cotangent contracted with y over y's free axes leaves [batch, x free, y contract]; y's contracted axes come in y's order.
        var fromY = Expr.Make(new DotGeneral(batchAxes, RightBatch, rightAxes, rightFree.ToValueList()), cotangent, y);
        var orderY = RightContract.Order().Select(a => LeftContract[IndexOf(RightContract, a)]);
        var fromX = Expr.Make(new DotGeneral(LeftBatch, batchAxes, leftFree.ToValueList(), leftAxes), x, cotangent);
        var orderX = LeftContract.Order().Select(a => RightContract[IndexOf(LeftContract, a)]);
        return [Arrange(fromY, [.. LeftBatch, .. leftFree, .. orderY]), Arrange(fromX, [.. RightBatch, .. orderX, .. rightFree])];
    }

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var (x, y) = (args[0], args[1]);
        var leftFree = Free(x.Dims.Length, LeftBatch, LeftContract);
        var rightFree = Free(y.Dims.Length, RightBatch, RightContract);
        int[] dims = [.. LeftBatch.Select(a => x.Dims[a]), .. leftFree.Select(a => x.Dims[a]), .. rightFree.Select(a => y.Dims[a])];
        foreach (var (left, right) in LeftBatch.Concat(LeftContract).Zip(RightBatch.Concat(RightContract)))
        {
            if (x.Dims[left] != y.Dims[right])
                throw Misfit($"sizes taken to be equal are not: {x.Dims[left]} and {y.Dims[right]}");
        }

        int[] inner = [.. LeftContract.Select(a => x.Dims[a])];
        var (xs, ys) = (Strides.Of(x.Dims), Strides.Of(y.Dims));
        var result = new T[Strides.Count(dims)];
        for (var i = 0; i < result.Length; i++)
        {
            var at = Strides.Coordinates(i, dims);
            var (xo, yo) = (0L, 0L);
            for (var k = 0; k < LeftBatch.Count; k++)
                (xo, yo) = (xo + (at[k] * xs[LeftBatch[k]]), yo + (at[k] * ys[RightBatch[k]]));
            for (var k = 0; k < leftFree.Length; k++)
                xo += at[LeftBatch.Count + k] * xs[leftFree[k]];
            for (var k = 0; k < rightFree.Length; k++)
                yo += at[LeftBatch.Count + leftFree.Length + k] * ys[rightFree[k]];
            var sum = T.Zero;
            for (var j = 0L; j < Strides.Count(inner); j++)
            {
                var along = Strides.Coordinates(j, inner);
                var (xi, yi) = (xo, yo);
                for (var k = 0; k < inner.Length; k++)
                    (xi, yi) = (xi + (along[k] * xs[LeftContract[k]]), yi + (along[k] * ys[RightContract[k]]));
                sum += x.Reals![xi] * y.Reals![yi];
            }

            result[i] = sum;
        }

        return RefValue<T>.Of(dims, result);
    }

    /// <summary>Transposes so that axis i of the argument becomes axis <paramref name="targets"/>[i].</summary>
    private static Expr Arrange(Expr x, int[] targets)
    {
        var permutation = new int[targets.Length];
        for (var i = 0; i < targets.Length; i++)
            permutation[targets[i]] = i;
        return x.Transpose(permutation);
    }

    private static int IndexOf(ValueList<int> list, int value) => list.AsSpan().IndexOf(value);

    private void CheckAxes(Shape shape, ValueList<int> batch, ValueList<int> contract)
    {
        var all = batch.Concat(contract).ToList();
        if (all.Any(a => a < 0 || a >= shape.Rank) || all.Distinct().Count() != all.Count)
            throw Misfit($"axes {batch} and {contract} must be distinct and exist in {shape}");
    }

    public override Expr Batched(BatchedArgs args)
    {
        var (x, y) = (args.Values[0], args.Values[1]);
        ValueList<int> left = [.. LeftBatch.Select(Left)], right = [.. RightBatch.Select(Right)], leftSum = [.. LeftContract.Select(Left)], rightSum = [.. RightContract.Select(Right)];
        if (args.Has[0] && args.Has[1])
            return Expr.Make(new DotGeneral([0, .. left], [0, .. right], leftSum, rightSum), x, y);

        // The axis is a free one of its side: the first.
        var product = Expr.Make(new DotGeneral(left, right, leftSum, rightSum), x, y);
        return product.MoveAxis(args.Has[0] ? LeftBatch.Count : LeftBatch.Count + Free(x.Rank, LeftBatch, LeftContract).Length, 0);

        int Left(int axis) => args.Has[0] ? axis + 1 : axis;

        int Right(int axis) => args.Has[1] ? axis + 1 : axis;
    }
}
