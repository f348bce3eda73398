namespace Dnn.Graph;

/// <summary>A value over some axes, which the result lacks.</summary>
public abstract record Reduction(ValueList<int> Axes) : Op
{
    public override IReadOnlyList<OpAttribute> Attributes => [new("axes", Axes)];

    protected virtual bool TakesIntegers => true;

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 1);
        if (!(TakesIntegers && args[0].DType == DType.I64))
            RequireFloat(args[0]);
        var shape = args[0].Shape;
        return new TensorType(args[0].DType, new Shape([.. Kept(shape).Select(a => shape[a])]));
    }

    /// <summary>The axes of the argument that the result has.</summary>
    public IEnumerable<int> Kept(Shape shape)
    {
        for (var i = 0; i < Axes.Count; i++)
        {
            if (Axes[i] < 0 || Axes[i] >= shape.Rank || (i > 0 && Axes[i] <= Axes[i - 1]))
                throw Misfit($"axes {Axes} must be increasing and exist in {shape}");
        }

        return Enumerable.Range(0, shape.Rank).Where(a => !Axes.Contains(a));
    }

    /// <summary>The result stretched back over the axes that were reduced.</summary>
    protected Expr Spread(Expr reduced, Expr argument) => reduced.BroadcastTo(argument.Shape, [.. Kept(argument.Shape)]);

    /// <summary>Calls with the position in the result and in the argument for every element of the argument, in order.</summary>
    protected void ForEach(int[] dims, Action<long, long> visit, out int[] resultDims)
    {
        var kept = Enumerable.Range(0, dims.Length).Where(a => !Axes.Contains(a)).ToArray();
        resultDims = [.. kept.Select(a => dims[a])];
        var strides = Strides.Of(resultDims);
        var count = Strides.Count(dims);
        for (var i = 0L; i < count; i++)
        {
            var at = Strides.Coordinates(i, dims);
            var to = 0L;
            for (var k = 0; k < kept.Length; k++)
                to += at[kept[k]] * strides[k];
            visit(to, i);
        }
    }

    public override Expr Batched(BatchedArgs args) => Expr.Make(this with { Axes = [.. Axes.Select(a => a + 1)] }, args.All);
}

public sealed record Sum(ValueList<int> Axes) : Reduction(Axes)
{
    public override string Name => "sum";

    public override OpDoc Doc => new("y = Σ x over the axes", "x̄ = ȳ, broadcast over the axes");

    public override Expr?[] Vjp(Expr node, Expr cotangent) => [Spread(cotangent, node.Args[0])];

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var x = args[0];
        ForEach(x.Dims, (_, _) => { }, out var dims);
        var result = RefValue<T>.Zeros(dims, x.Reals is not null);
        ForEach(x.Dims, (to, from) =>
        {
            if (x.Reals is not null)
                result.Reals![to] += x.Reals[from];
            else
                result.Integers![to] += x.Integers![from];
        }, out _);
        return result;
    }
}

/// <summary>The largest or smallest element.</summary>
public abstract record ExtremumReduction(ValueList<int> Axes) : Reduction(Axes)
{
    protected override bool TakesIntegers => false;

    protected abstract bool Prefers(double x, double y);

    protected abstract double Neutral { get; }

    public override Expr?[] Vjp(Expr node, Expr cotangent)
    {
        var x = node.Args[0];
        var ties = x.EqualTo(Spread(node, x)).Cast(x.DType);
        return [ties * Spread(cotangent / ties.ReduceSum(Axes), x)];
    }

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var x = args[0].Reals!;
        ForEach(args[0].Dims, (_, _) => { }, out var dims);
        var best = new T[Strides.Count(dims)];
        var ties = new int[best.Length];
        Array.Fill(best, TField.Of(Neutral));
        ForEach(args[0].Dims, (to, from) =>
        {
            var (old, candidate) = (TField.Real(best[to]), TField.Real(x[from]));
            if (double.IsNaN(old))
                return;
            if (double.IsNaN(candidate) || Prefers(candidate, old) || ties[to] == 0)
                (best[to], ties[to]) = (x[from], 1);
            else if (candidate == old && double.IsFinite(old))
                best[to] += (x[from] - best[to]) / TField.Of(++ties[to]);
        }, out _);
        return RefValue<T>.Of(dims, best);
    }
}

public sealed record ReduceMax(ValueList<int> Axes) : ExtremumReduction(Axes)
{
    public override string Name => "reduce_max";

    public override OpDoc Doc => new("y = max x over the axes", "ȳ, shared evenly by the elements that are largest", "NaN propagates; the maximum of nothing is −∞.");

    protected override double Neutral => double.NegativeInfinity;

    protected override bool Prefers(double x, double y) => x > y;
}

public sealed record ReduceMin(ValueList<int> Axes) : ExtremumReduction(Axes)
{
    public override string Name => "reduce_min";

    public override OpDoc Doc => new("y = min x over the axes", "ȳ, shared evenly by the elements that are smallest", "NaN propagates; the minimum of nothing is +∞.");

    protected override double Neutral => double.PositiveInfinity;

    protected override bool Prefers(double x, double y) => x < y;
}

public sealed record ArgMax(int Axis) : Op
{
    public override string Name => "argmax";

    public override OpDoc Doc => new("y = the first position of the largest element on the axis, as i64", "none", "A NaN counts as largest.");

    public override IReadOnlyList<OpAttribute> Attributes => [new("axis", Axis)];

    public override bool IsGradientFree => true;

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 1);
        RequireFloat(args[0]);
        if (Axis < 0 || Axis >= args[0].Rank)
            throw Misfit($"axis {Axis} does not exist in {args[0].Shape}");
        return new TensorType(DType.I64, args[0].Shape.RemoveAt(Axis));
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent) => [null];

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var dims = args[0].Dims;
        var (inner, size) = (Strides.Of(dims)[Axis], dims[Axis]);
        var resultDims = dims.Where((_, a) => a != Axis).ToArray();
        var result = new long[Strides.Count(resultDims)];
        if (size == 0 && result.Length > 0)
            throw Misfit("the axis is empty");
        for (var i = 0; i < result.Length; i++)
        {
            var start = (i / inner * inner * size) + (i % inner);
            for (var k = 1; k < size; k++)
            {
                var (best, candidate) = (TField.Real(args[0].Reals![start + (result[i] * inner)]), TField.Real(args[0].Reals![start + (k * inner)]));
                if (candidate > best || (double.IsNaN(candidate) && !double.IsNaN(best)))
                    result[i] = k;
            }
        }

        return RefValue<T>.Of(resultDims, result);
    }

    public override Expr Batched(BatchedArgs args) => Expr.Make(new ArgMax(Axis + 1), args.All);
}
