namespace Dnn.Graph;

/// <summary>
/// A linear recurrence along an axis: hₜ = aₜ · hₜ₋₁ + bₜ with h₋₁ = 0. Sums and products so far are two of its cases (a = 1; b = x₀, 0, 0, …), and its
/// derivative is itself, backwards: no product is ever divided by a factor, so that zeros are as good as other numbers.
/// </summary>
public sealed record LinearRecurrence(int Axis, bool Reverse) : Op
{
    public override string Name => "linear_recurrence";

    public override OpDoc Doc => new("h[t] = a[t] · h[t − 1] + b[t] along the axis, h[−1] = 0", "b̄[t] = h̄[t] + a[t + 1] · b̄[t + 1], ā[t] = b̄[t] · h[t − 1]",
        "Arguments: a, b. reverse runs from the end: h[t] = a[t] · h[t + 1] + b[t]. cumsum is a = 1, cumprod b = x₀, 0, 0, … (Blelloch, Prefix Sums and Their Applications, 1990).");

    public override IReadOnlyList<OpAttribute> Attributes => [new("axis", Axis), new("reverse", Reverse)];

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 2);
        var (a, b) = (args[0], args[1]);
        if (a.DType != b.DType || a.DType == DType.Bool)
            throw Misfit($"takes two tensors of numbers of one element type, not {a} and {b}");
        RequireSame(a.Shape, b.Shape);
        if (Axis < 0 || Axis >= b.Rank)
            throw Misfit($"axis {Axis} does not exist in {b.Shape}");
        return b;
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent)
    {
        var sent = Expr.Make(this with { Reverse = !Reverse }, Shifted(node.Args[0], !Reverse), cotangent);
        return [sent * Shifted(node, Reverse), sent];
    }

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var (a, b) = (args[0], args[1]);
        var (inner, size) = (Strides.Of(b.Dims)[Axis], b.Dims[Axis]);
        var result = b.Pick(b.Dims, i => i);
        for (var i = 0L; i < result.Length; i++)
        {
            // In the order of memory for a run forwards, against it backwards: what is needed is there.
            var at = Reverse ? result.Length - 1 - i : i;
            var t = at / inner % size;
            if (t == (Reverse ? size - 1 : 0))
                continue;
            var before = at + (Reverse ? inner : -inner);
            if (result.Reals is not null)
                result.Reals[at] += a.Reals![at] * result.Reals[before];
            else
                result.Integers![at] += a.Integers![at] * result.Integers[before];
        }

        return result;
    }

    /// <summary>x one place later along the axis (earlier if <paramref name="back"/>), with a 0 where nothing is; a repeated scalar stays what it is, as the end is not used.</summary>
    private Expr Shifted(Expr x, bool back)
    {
        if (x.Op is Broadcast && x.Args[0].Shape.IsScalar)
            return x;
        var (low, high) = (Enumerable.Repeat(Dim.Zero, x.Rank).ToArray(), Enumerable.Repeat(Dim.Zero, x.Rank).ToArray());
        (low[Axis], high[Axis]) = back ? (-1, 1) : (1, -1);
        return Expr.Make(new Pad(new Shape(low), new Shape(high), [.. low.Select(_ => 0)]), x);
    }

    public override Expr Batched(BatchedArgs args) => Expr.Make(this with { Axis = Axis + 1 }, args.All);
}
