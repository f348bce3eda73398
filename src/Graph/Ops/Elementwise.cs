using System.Numerics;

namespace Dnn.Graph;

/// <summary>A function of one element: a scalar function and its derivative; needs no kernel of its own.</summary>
public abstract record Unary : Op
{
    /// <summary>Whether i64 is taken beside float.</summary>
    public virtual bool TakesIntegers => false;

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 1);
        return TakesIntegers && args[0].DType == DType.I64 ? args[0] : RequireFloat(args[0]);
    }

    /// <summary>The cotangent of x, given y = f(x) and the cotangent of y; null where the derivative is zero everywhere.</summary>
    public abstract Expr? Pull(Expr x, Expr y, Expr cotangent);

    public abstract T Value<T, TField>(T x)
        where T : INumberBase<T>
        where TField : IField<T>;

    public virtual long Value(long x) => throw new InvalidOperationException($"{Name} takes no integers");

    public sealed override Expr?[] Vjp(Expr node, Expr cotangent) => [Pull(node.Args[0], node, cotangent)];

    public sealed override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var x = args[0];
        return x.Reals is { } reals
            ? RefValue<T>.Of(x.Dims, Array.ConvertAll(reals, Value<T, TField>))
            : RefValue<T>.Of(x.Dims, Array.ConvertAll(x.Integers!, Value));
    }

    public override Expr Batched(BatchedArgs args) => Expr.Make(this, args.All);
}

public sealed record Neg : Unary
{
    public override string Name => "neg";

    public override OpDoc Doc => new("y = −x", "x̄ = −ȳ");

    public override bool TakesIntegers => true;

    public override Expr Pull(Expr x, Expr y, Expr cotangent) => -cotangent;

    public override T Value<T, TField>(T x) => -x;

    public override long Value(long x) => unchecked(-x);
}

public sealed record Exp : Unary
{
    public override string Name => "exp";

    public override OpDoc Doc => new("y = eˣ", "x̄ = ȳ · y");

    public override Expr Pull(Expr x, Expr y, Expr cotangent) => cotangent * y;

    public override T Value<T, TField>(T x) => TField.Exp(x);
}

public sealed record Log : Unary
{
    public override string Name => "log";

    public override OpDoc Doc => new("y = ln x", "x̄ = ȳ / x", "−∞ at 0, NaN below.");

    public override Expr Pull(Expr x, Expr y, Expr cotangent) => cotangent / x;

    public override T Value<T, TField>(T x) => TField.Log(x);
}

public sealed record Log1p : Unary
{
    public override string Name => "log1p";

    public override OpDoc Doc => new("y = ln(1 + x)", "x̄ = ȳ / (1 + x)", "Exact for small x, where 1 + x rounds to 1.");

    public override Expr Pull(Expr x, Expr y, Expr cotangent) => cotangent / (1 + x);

    public override T Value<T, TField>(T x) => TField.Log1p(x);
}

public sealed record Expm1 : Unary
{
    public override string Name => "expm1";

    public override OpDoc Doc => new("y = eˣ − 1", "x̄ = ȳ · (y + 1)", "Exact for small x.");

    public override Expr Pull(Expr x, Expr y, Expr cotangent) => cotangent * (y + 1);

    public override T Value<T, TField>(T x) => TField.Expm1(x);
}

public sealed record Tanh : Unary
{
    public override string Name => "tanh";

    public override OpDoc Doc => new("y = tanh x", "x̄ = ȳ · (1 − y²)");

    public override Expr Pull(Expr x, Expr y, Expr cotangent) => cotangent * (1 - (y * y));

    public override T Value<T, TField>(T x) => TField.Tanh(x);
}

public sealed record Logistic : Unary
{
    public override string Name => "logistic";

    public override OpDoc Doc => new("y = 1 / (1 + e⁻ˣ)", "x̄ = ȳ · y · (1 − y)", "The sigmoid.");

    public override Expr Pull(Expr x, Expr y, Expr cotangent) => cotangent * (y * (1 - y));

    public override T Value<T, TField>(T x)
    {
        // e^(−|x|) never overflows.
        var negative = TField.Real(x) < 0;
        var e = TField.Exp(negative ? x : -x);
        return (negative ? e : T.One) / (T.One + e);
    }
}

public sealed record Erf : Unary
{
    public override string Name => "erf";

    public override OpDoc Doc => new("y = 2/√π ∫₀ˣ e^(−t²) dt", "x̄ = ȳ · 2/√π · e^(−x²)");

    public override Expr Pull(Expr x, Expr y, Expr cotangent) => cotangent * (2 / Math.Sqrt(Math.PI) * (-(x * x)).Exp());

    public override T Value<T, TField>(T x) => TField.Erf(x);
}

public sealed record Sin : Unary
{
    public override string Name => "sin";

    public override OpDoc Doc => new("y = sin x", "x̄ = ȳ · cos x", "Radians.");

    public override Expr Pull(Expr x, Expr y, Expr cotangent) => cotangent * x.Cos();

    public override T Value<T, TField>(T x) => TField.Sin(x);
}

public sealed record Cos : Unary
{
    public override string Name => "cos";

    public override OpDoc Doc => new("y = cos x", "x̄ = −ȳ · sin x", "Radians.");

    public override Expr Pull(Expr x, Expr y, Expr cotangent) => -(cotangent * x.Sin());

    public override T Value<T, TField>(T x) => TField.Cos(x);
}

public sealed record Sqrt : Unary
{
    public override string Name => "sqrt";

    public override OpDoc Doc => new("y = √x", "x̄ = ȳ / (2y)", "NaN below 0; the derivative at 0 is infinite. `norm` guards it.");

    public override Expr Pull(Expr x, Expr y, Expr cotangent) => cotangent * 0.5 / y;

    public override T Value<T, TField>(T x) => TField.Sqrt(x);
}

public sealed record Rsqrt : Unary
{
    public override string Name => "rsqrt";

    public override OpDoc Doc => new("y = 1/√x", "x̄ = −ȳ · y / (2x)");

    public override Expr Pull(Expr x, Expr y, Expr cotangent) => cotangent * -0.5 * (y / x);

    public override T Value<T, TField>(T x) => T.One / TField.Sqrt(x);
}

public sealed record Abs : Unary
{
    public override string Name => "abs";

    public override OpDoc Doc => new("y = |x|", "x̄ = ȳ · sign x", "abs′(0) = 0.");

    public override bool TakesIntegers => true;

    public override Expr Pull(Expr x, Expr y, Expr cotangent) => cotangent * x.Sign();

    public override T Value<T, TField>(T x) => TField.Real(x) < 0 ? -x : TField.Real(x) == 0 ? x * x : x;

    public override long Value(long x) => x < 0 ? unchecked(-x) : x;
}

public sealed record Relu : Unary
{
    public override string Name => "relu";

    public override OpDoc Doc => new("y = max(x, 0)", "x̄ = x > 0 ? ȳ : 0", "relu′(0) = 0.");

    public override Expr Pull(Expr x, Expr y, Expr cotangent) => Expr.Where(y.GreaterThan(0), cotangent, 0);

    public override T Value<T, TField>(T x) => TField.Real(x) <= 0 ? T.Zero : x;
}

public sealed record Sign : Unary
{
    public override string Name => "sign";

    public override OpDoc Doc => new("y = −1, 0 or 1", "none");

    public override bool TakesIntegers => true;

    public override bool IsGradientFree => true;

    public override Expr? Pull(Expr x, Expr y, Expr cotangent) => null;

    public override T Value<T, TField>(T x) => TField.Real(x) is var r && double.IsNaN(r) ? x : TField.Of(Math.Sign(r));

    public override long Value(long x) => Math.Sign(x);
}

public sealed record Floor : Unary
{
    public override string Name => "floor";

    public override OpDoc Doc => new("y = ⌊x⌋", "none");

    public override bool IsGradientFree => true;

    public override Expr? Pull(Expr x, Expr y, Expr cotangent) => null;

    public override T Value<T, TField>(T x) => TField.Of(Math.Floor(TField.Real(x)));
}

public sealed record Round : Unary
{
    public override string Name => "round";

    public override OpDoc Doc => new("y = x to the nearest whole number, halves to even", "none");

    public override bool IsGradientFree => true;

    public override Expr? Pull(Expr x, Expr y, Expr cotangent) => null;

    public override T Value<T, TField>(T x) => TField.Of(Math.Round(TField.Real(x), MidpointRounding.ToEven));
}

/// <summary>A function of two elements of tensors of the same shape and type.</summary>
public abstract record Binary : Op
{
    public virtual bool TakesIntegers => false;

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 2);
        if (args[0].DType != args[1].DType)
            throw Misfit($"takes two tensors of one element type, not {args[0]} and {args[1]}; cast one of them");
        if (!(TakesIntegers && args[0].DType == DType.I64))
            RequireFloat(args[0]);
        RequireSame(args[0].Shape, args[1].Shape);
        return args[0];
    }

    public abstract T Value<T, TField>(T x, T y)
        where T : INumberBase<T>
        where TField : IField<T>;

    public virtual long Value(long x, long y) => throw new InvalidOperationException($"{Name} takes no integers");

    public sealed override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var (x, y) = (args[0], args[1]);
        if (!x.Dims.AsSpan().SequenceEqual(y.Dims))
            throw Misfit($"sizes taken to be equal are not: [{string.Join(", ", x.Dims)}] and [{string.Join(", ", y.Dims)}]");
        var result = RefValue<T>.Zeros(x.Dims, x.Reals is not null);
        for (var i = 0; i < result.Length; i++)
        {
            if (x.Reals is not null)
                result.Reals![i] = Value<T, TField>(x.Reals[i], y.Reals![i]);
            else
                result.Integers![i] = Value(x.Integers![i], y.Integers![i]);
        }

        return result;
    }

    public override Expr Batched(BatchedArgs args) => Expr.Make(this, args.All);
}

public sealed record Add : Binary
{
    public override string Name => "add";

    public override OpDoc Doc => new("z = x + y", "x̄ = z̄, ȳ = z̄");

    public override bool TakesIntegers => true;

    public override Expr?[] Vjp(Expr node, Expr cotangent) => [cotangent, cotangent];

    public override T Value<T, TField>(T x, T y) => x + y;

    public override long Value(long x, long y) => unchecked(x + y);
}

public sealed record Mul : Binary
{
    public override string Name => "mul";

    public override OpDoc Doc => new("z = x · y", "x̄ = z̄ · y, ȳ = z̄ · x");

    public override bool TakesIntegers => true;

    public override Expr?[] Vjp(Expr node, Expr cotangent) => [cotangent * node.Args[1], cotangent * node.Args[0]];

    public override T Value<T, TField>(T x, T y) => x * y;

    public override long Value(long x, long y) => unchecked(x * y);
}

public sealed record Div : Binary
{
    public override string Name => "div";

    public override OpDoc Doc => new("z = x / y", "x̄ = z̄ / y, ȳ = −z̄ · z / y", "IEEE 754: x / 0 is ±∞, 0 / 0 is NaN.");

    public override Expr?[] Vjp(Expr node, Expr cotangent)
    {
        var x = cotangent / node.Args[1];
        return [x, -(x * node)];
    }

    public override T Value<T, TField>(T x, T y) => x / y;
}

public sealed record Pow : Binary
{
    public override string Name => "pow";

    public override OpDoc Doc => new("z = x^y", "x̄ = z̄ · y · x^(y−1), ȳ = z̄ · z · ln x", "Where y = 0 the first, where x ≤ 0 the second is 0.");

    public override Expr?[] Vjp(Expr node, Expr cotangent)
    {
        var (x, y) = (node.Args[0], node.Args[1]);
        var slope = Expr.Where(y.EqualTo(0), 0, y * x.Pow(Expr.Where(y.EqualTo(0), 1, y - 1)));
        return [cotangent * slope, Expr.Where(x.GreaterThan(0), cotangent * node * Expr.Where(x.GreaterThan(0), x, 1).Log(), 0)];
    }

    public override T Value<T, TField>(T x, T y) => TField.Pow(x, y);
}

/// <summary>The larger or the smaller of two.</summary>
public abstract record Extremum : Binary
{
    public override bool TakesIntegers => true;

    protected abstract bool Prefers(double x, double y);

    protected abstract Expr Wins(Expr x, Expr y);

    public override Expr?[] Vjp(Expr node, Expr cotangent)
    {
        var (x, y) = (node.Args[0], node.Args[1]);
        var share = Expr.Where(x.EqualTo(y), 0.5 * cotangent, 0);
        return [Expr.Where(Wins(x, y), cotangent, share), Expr.Where(Wins(y, x), cotangent, share)];
    }

    public override T Value<T, TField>(T x, T y)
    {
        var (a, b) = (TField.Real(x), TField.Real(y));
        return double.IsNaN(a) ? x : double.IsNaN(b) ? y : a == b && double.IsFinite(a) ? x + ((y - x) / TField.Of(2)) : Prefers(a, b) ? x : y;
    }

    public override long Value(long x, long y) => Prefers(Math.Sign(x.CompareTo(y)), 0) ? x : y;
}

public sealed record Max : Extremum
{
    public override string Name => "max";

    public override OpDoc Doc => new("z = max(x, y)", "z̄ goes to the larger one", "A tie is split evenly; NaN propagates.");

    protected override bool Prefers(double x, double y) => x > y;

    protected override Expr Wins(Expr x, Expr y) => x.GreaterThan(y);
}

public sealed record Min : Extremum
{
    public override string Name => "min";

    public override OpDoc Doc => new("z = min(x, y)", "z̄ goes to the smaller one", "A tie is split evenly; NaN propagates.");

    protected override bool Prefers(double x, double y) => x < y;

    protected override Expr Wins(Expr x, Expr y) => x.LessThan(y);
}

public enum Comparison
{
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

public sealed record Compare(Comparison Kind) : Op
{
    public override string Name => Kind.ToString().ToLowerInvariant();

    public override OpDoc Doc => new("z = x ⋚ y, as bool", "none", "Comparisons with NaN are false, `ne` is true.");

    public override bool IsGradientFree => true;

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 2);
        if (args[0].DType != args[1].DType)
            throw Misfit($"takes two tensors of one element type, not {args[0]} and {args[1]}; cast one of them");
        if (args[0].DType == DType.Bool)
            throw Misfit("compares numbers; cast bool first");
        RequireSame(args[0].Shape, args[1].Shape);
        return new TensorType(DType.Bool, args[0].Shape);
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent) => [null, null];

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var result = new long[args[0].Length];
        for (var i = 0; i < result.Length; i++)
        {
            var holds = args[0].Reals is { } x ? Holds(TField.Real(x[i]), TField.Real(args[1].Reals![i])) : Holds(args[0].Integers![i], args[1].Integers![i]);
            result[i] = holds ? 1 : 0;
        }

        return RefValue<T>.Of(args[0].Dims, result);
    }

    public bool Holds<TValue>(TValue x, TValue y)
        where TValue : IComparisonOperators<TValue, TValue, bool> => Kind switch
        {
            Comparison.Eq => x == y,
            Comparison.Ne => x != y,
            Comparison.Lt => x < y,
            Comparison.Le => x <= y,
            Comparison.Gt => x > y,
            _ => x >= y,
        };

    public override Expr Batched(BatchedArgs args) => Expr.Make(this, args.All);
}

/// <summary>A function of truth values.</summary>
public abstract record Logic : Op
{
    public override bool IsGradientFree => true;

    protected abstract int Arity { get; }

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, Arity);
        foreach (var arg in args)
        {
            if (arg.DType != DType.Bool)
                throw Misfit($"takes bool tensors, not {arg}");
            RequireSame(args[0].Shape, arg.Shape);
        }

        return args[0];
    }

    protected abstract bool Value(bool x, bool y);

    public override Expr?[] Vjp(Expr node, Expr cotangent) => new Expr?[Arity];

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var result = new long[args[0].Length];
        for (var i = 0; i < result.Length; i++)
            result[i] = Value(args[0].Integers![i] != 0, args[^1].Integers![i] != 0) ? 1 : 0;
        return RefValue<T>.Of(args[0].Dims, result);
    }

    public override Expr Batched(BatchedArgs args) => Expr.Make(this, args.All);
}

public sealed record And : Logic
{
    public override string Name => "and";

    public override OpDoc Doc => new("z = x ∧ y", "none");

    protected override int Arity => 2;

    protected override bool Value(bool x, bool y) => x && y;
}

public sealed record Or : Logic
{
    public override string Name => "or";

    public override OpDoc Doc => new("z = x ∨ y", "none");

    protected override int Arity => 2;

    protected override bool Value(bool x, bool y) => x || y;
}

public sealed record Not : Logic
{
    public override string Name => "not";

    public override OpDoc Doc => new("y = ¬x", "none");

    protected override int Arity => 1;

    protected override bool Value(bool x, bool y) => !x;
}

public sealed record Select : Op
{
    public override string Name => "select";

    public override OpDoc Doc => new("z = c ? x : y", "x̄ = c ? z̄ : 0, ȳ = c ? 0 : z̄", "`where` in the language.");

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 3);
        if (args[0].DType != DType.Bool)
            throw Misfit($"the condition must be bool, not {args[0]}");
        if (args[1].DType != args[2].DType)
            throw Misfit($"chooses between tensors of one element type, not {args[1]} and {args[2]}; cast one of them");
        RequireSame(args[0].Shape, args[1].Shape);
        RequireSame(args[1].Shape, args[2].Shape);
        return args[1];
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent)
    {
        var condition = node.Args[0];
        return [null, Expr.Where(condition, cotangent, 0), Expr.Where(condition, 0, cotangent)];
    }

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var result = RefValue<T>.Zeros(args[1].Dims, args[1].Reals is not null);
        for (var i = 0; i < result.Length; i++)
        {
            var chosen = args[0].Integers![i] != 0 ? args[1] : args[2];
            if (chosen.Reals is not null)
                result.Reals![i] = chosen.Reals[i];
            else
                result.Integers![i] = chosen.Integers![i];
        }

        return result;
    }

    public override Expr Batched(BatchedArgs args) => Expr.Make(this, args.All);
}

public sealed record Cast(DType To) : Op
{
    public override string Name => "cast";

    public override OpDoc Doc => new("y = x as another element type", "x̄ = ȳ as the type of x, between float types", "Float to i64 truncates toward zero; bool counts as 0 and 1; x ≠ 0 is true.");

    public override IReadOnlyList<OpAttribute> Attributes => [new("to", To)];

    public override bool IsGradientFree => !To.IsFloat();

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 1);
        return args[0].DType == To ? args[0] : new TensorType(To, args[0].Shape);
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent) =>
        [To.IsFloat() && node.Args[0].DType.IsFloat() ? cotangent.Cast(node.Args[0].DType) : null];

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var x = args[0];
        return To switch
        {
            DType.F32 when x.Reals is { } r => RefValue<T>.Of(x.Dims, Array.ConvertAll(r, v => TField.Of((float)TField.Real(v)) is var near && v == TField.Of(TField.Real(v)) ? near : v - TField.Of(TField.Real(v)) + near)),
            DType.Bool => RefValue<T>.Of(x.Dims, x.Reals is { } r ? Array.ConvertAll(r, v => TField.Real(v) != 0 ? 1L : 0) : Array.ConvertAll(x.Integers!, v => v != 0 ? 1L : 0)),
            DType.I64 => RefValue<T>.Of(x.Dims, x.Reals is { } r ? Array.ConvertAll(r, v => (long)TField.Real(v)) : x.Integers!),
            _ => x.Reals is not null ? x : RefValue<T>.Of(x.Dims, Array.ConvertAll(x.Integers!, v => TField.Of(v))),
        };
    }

    public override Expr Batched(BatchedArgs args) => Expr.Make(this, args.All);
}
