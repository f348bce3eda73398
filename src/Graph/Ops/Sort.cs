namespace Dnn.Graph;

/// <summary>The order of elements along the last axis. What is sorted is gathered by it, so that gradients pass by the permutation.</summary>
public sealed record ArgSort(bool Descending) : Op
{
    public override string Name => "argsort";

    public override OpDoc Doc => new("the indices that bring the last axis into order, as i64", "none", "Stable: equal elements keep their order. A NaN counts as largest, as in argmax; −0 equals 0.");

    public override IReadOnlyList<OpAttribute> Attributes => [new("descending", Descending)];

    public override bool IsGradientFree => true;

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 1);
        if (args[0].DType == DType.Bool)
            throw Misfit($"takes numbers, not {args[0]}");
        if (args[0].Rank == 0)
            throw Misfit("takes a tensor with an axis, not a scalar");
        return new TensorType(DType.I64, args[0].Shape);
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent) => [null];

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var x = args[0];
        var (dims, size) = (x.Dims, x.Dims[^1]);
        var result = new long[x.Length];
        for (var row = 0; row < result.Length; row += size)
        {
            var places = Enumerable.Range(0, size);
            var ordered = x.Reals is { } reals
                ? Ordered(places, i => TField.Real(reals[row + i]) is var real && double.IsNaN(real) ? (1, 0) : (0, real))
                : Ordered(places, i => x.Integers![row + i]);
            foreach (var (place, i) in ordered.Select((place, i) => (place, i)))
                result[row + i] = place;
        }

        return RefValue<T>.Of(dims, result);
    }

    private IEnumerable<int> Ordered<TKey>(IEnumerable<int> places, Func<int, TKey> key) => Descending ? places.OrderByDescending(key) : places.OrderBy(key);

    public override Expr Batched(BatchedArgs args) => Expr.Make(this, args.All);
}
