namespace Dnn.Graph;

/// <summary>A new key from a key and a number: keys of different places, steps and draws differ.</summary>
public sealed record RngFold : Op
{
    public override string Name => "rng_fold";

    public override OpDoc Doc => new("a key made of a key and a number", "none", "One block of Philox4x32-10 (Salmon et al. 2011).");

    public override bool IsGradientFree => true;

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 2);
        foreach (var arg in args)
        {
            if (arg.DType != DType.I64 || !arg.Shape.IsScalar)
                throw Misfit($"takes two i64 scalars, not {arg}");
        }

        return args[0];
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent) => [null, null];

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context) =>
        RefValue<T>.Of([], [(long)Philox.Fold((ulong)args[0].Integers![0], (ulong)args[1].Integers![0])]);

    public override Expr Batched(BatchedArgs args) => args.OneByOne(this);
}

/// <summary>Independent uniform 24-bit whole numbers: the same key and shape give the same numbers, on any machine and number of threads.</summary>
public sealed record RngBits(Shape Shape) : Op
{
    public override string Name => "rng_bits";

    public override OpDoc Doc => new("whole numbers, uniform in 0 … 2²⁴ − 1", "none", "Element i is the upper 24 bits of word i mod 4 of Philox4x32-10 block ⌊i / 4⌋; 24 bits are exact in f32 and f64 alike.");

    public override IReadOnlyList<OpAttribute> Attributes => [new("shape", Shape)];

    public override bool IsGradientFree => true;

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 1);
        return args[0].DType == DType.I64 && args[0].Shape.IsScalar ? new TensorType(DType.I64, Shape) : throw Misfit($"the key must be an i64 scalar, not {args[0]}");
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent) => [null];

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var dims = context.Evaluate(Shape);
        var result = new long[Strides.Count(dims)];
        for (var i = 0; i < result.Length; i++)
            result[i] = Philox.Bits24((ulong)args[0].Integers![0], i);
        return RefValue<T>.Of(dims, result);
    }

    public override Expr Batched(BatchedArgs args) => args.OneByOne(this);
}
