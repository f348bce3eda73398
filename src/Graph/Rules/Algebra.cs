using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>Rules of arithmetic. They hold for NaN, infinities and signed zeros unless their text says otherwise.</summary>
public static class AlgebraRules
{
    /// <summary>Whole numbers up to here are exact as doubles.</summary>
    private const double ExactInteger = 1L << 53;

    /// <summary>Products of scales stay within this factor, so that no run's float type overflows or loses digits.</summary>
    private const double ScaleRange = 1e30;

    public static RewriteRule FoldConstants { get; } = new("fold_constants", "an elementwise operation on numbers is a number, computed in double", Fold);

    public static ImmutableArray<RewriteRule> All { get; } =
    [
        FoldConstants,
        new("literal_last", "c + x → x + c, c · x → x · c", x => x.Op is Add or Mul && x.Args[0].IsSplat(out _) && !x.Args[1].IsSplat(out _)
            ? Pattern.Make(x.Op, x.Args[1], x.Args[0])
            : null),
        new("add_zero", "x + 0 → x; −0 stays −0", x => x.Is<Add>(out var a, out var b) && b.IsSplatOf(0) ? a : null),
        new("mul_one", "x · 1 → x", x => x.Is<Mul>(out var a, out var b) && b.IsSplatOf(1) ? a : null),
        new("mul_minus_one", "x · (−1) → −x", x => x.Is<Mul>(out var a, out var b) && b.IsSplatOf(-1) ? -a : null),
        new("div_power_of_two", "x / c → x · (1/c), where 1/c is exact", x =>
            x.Is<Div>(out var a, out var b) && b.IsSplat(out var c) && IsPowerOfTwo(c) ? Pattern.Make(new Mul(), a, (1 / c).Like(b)) : null),
        new("scale_of_scale", "(x · a) · b → x · (a·b), and with /: rounds once instead of twice, and does not overflow in between", ScaleOfScale),
        new("neg_of_neg", "−(−x) → x", x => x.Is<Neg>(out var a) && a.Is<Neg>(out var b) ? b : null),
        new("neg_of_scale", "−(x · c) → x · (−c), −(x / c) → x / (−c), −(c / x) → (−c) / x", NegOfScale),
        new("neg_of_difference", "−(x − y) → y − x; a zero may change its sign", NegOfDifference),
        new("neg_in_product", "(−x) · y → −(x · y), and with /", NegInProduct),
        new("neg_in_sum", "Σ −x → −Σ x", x => x.Op is Sum && x.Args[0].Is<Neg>(out var a) ? -Pattern.Make(x.Op, a) : null),
        new("even_function", "|−x| → |x|, cos(−x) → cos x", x => x.Op is Abs or Cos && x.Args[0].Is<Neg>(out var a) ? Pattern.Make(x.Op, a) : null),
        new("pow_constant", "x^c for c = 0, ±½, ±1, ±2, 3, 4 by products and roots; at −∞ and −0 a root differs from the power", PowConstant),
        new("cast_of_cast", "cast(cast x) → cast x, where the first cast loses nothing", CastOfCast),
        new("select_known", "select(c, x, x) → x; one branch for a known c", x => x.Op is Select && x.Args[1] == x.Args[2] ? x.Args[1]
            : x.Op is Select && x.Args[0].IsSplat(out var c) ? x.Args[c != 0 ? 1 : 2]
            : null),
        new("select_not", "select(¬c, x, y) → select(c, y, x)", x => x.Op is Select && x.Args[0].Is<Not>(out var c) ? Pattern.Make(x.Op, c, x.Args[2], x.Args[1]) : null),
        new("select_of_select", "select(c, select(c, x, _), y) → select(c, x, y), and in the other branch", SelectOfSelect),
        new("idempotent", "f(f(x)) → f(x) for relu, abs, sign, floor, round; x ∧ x, x ∨ x → x", x =>
            x.Op is Relu or Abs or Sign or Floor or Round && x.Args[0].Op == x.Op ? x.Args[0]
            : x.Op is And or Or && x.Args[0] == x.Args[1] ? x.Args[0]
            : null),
        new("not_of_not", "¬¬x → x", x => x.Is<Not>(out var a) && a.Is<Not>(out var b) ? b : null),
    ];

    private static Expr? Fold(Expr node)
    {
        if (node.Op is not (Unary or Binary or Select or Compare or Logic or Cast))
            return null;
        foreach (var arg in node.Args)
        {
            if (!arg.IsSplat(out _))
                return null;
        }

        var args = node.Args.Select(Number).ToArray();
        var result = node.Op.Evaluate<double, RealField>(node, args, new RefContext(ImmutableDictionary<string, long>.Empty));
        if (result.Reals is not null)
            return result.Reals[0].Like(node);
        return Math.Abs((double)result.Integers![0]) <= ExactInteger ? ((double)result.Integers[0]).Like(node) : null;

        static RefValue<double> Number(Expr arg)
        {
            arg.IsSplat(out var value);
            return arg.DType.IsFloat() ? RefValue<double>.Of([], [arg.DType == DType.F32 ? (float)value : value]) : RefValue<double>.Of([], [(long)value]);
        }
    }

    private static bool IsPowerOfTwo(double c) => double.IsFinite(c) && Math.Abs(c) is >= 1e-30 and <= 1e30 && Math.ScaleB(1, Math.ILogB(c)) == Math.Abs(c);

    /// <summary>x · c or x / c for a number c other than 0 and of moderate size, as its x, c and the operation.</summary>
    private static bool IsScale(Expr node, out Expr x, out double c, out bool divides)
    {
        divides = node.Op is Div;
        x = node;
        c = double.NaN;
        if (node.Op is not (Mul or Div) || !node.DType.IsFloat() || !node.Args[1].IsSplat(out c))
            return false;
        x = node.Args[0];
        return IsModerate(c);
    }

    private static bool IsModerate(double c) => Math.Abs(c) is >= 1 / ScaleRange and <= ScaleRange;

    private static Expr? ScaleOfScale(Expr node)
    {
        if (!IsScale(node, out var inner, out var b, out var divides) || !IsScale(inner, out var x, out var a, out var innerDivides))
            return null;

        // (x·a)·b = x·(a·b), (x·a)/b = x·(a/b), (x/a)·b = x·(b/a), (x/a)/b = x/(a·b)
        var scale = innerDivides == divides ? a * b : divides ? a / b : b / a;
        return IsModerate(scale) ? Pattern.Make(innerDivides && divides ? new Div() : new Mul(), x, scale.Like(node)) : null;
    }

    private static Expr? NegOfScale(Expr node)
    {
        if (!node.Is<Neg>(out var x) || x.Op is not (Mul or Div))
            return null;
        if (x.Args[1].IsSplat(out var c))
            return Pattern.Make(x.Op, x.Args[0], (-c).Like(node));
        return x.Op is Div && x.Args[0].IsSplat(out var d) ? Pattern.Make(x.Op, (-d).Like(node), x.Args[1]) : null;
    }

    private static Expr? NegOfDifference(Expr node)
    {
        if (!node.Is<Neg>(out var difference) || !difference.Is<Add>(out var x, out var y))
            return null;
        if (y.Is<Neg>(out var b))
            return Pattern.Make(new Add(), b, -x);
        if (x.Is<Neg>(out var a))
            return y.IsSplat(out var c) ? Pattern.Make(new Add(), a, (-c).Like(node)) : Pattern.Make(new Add(), a, -y);
        return null;
    }

    private static Expr? NegInProduct(Expr node) => node.Op is not (Mul or Div) ? null
        : node.Args[0].Is<Neg>(out var x) ? (node.Args[1].IsSplat(out var c) ? Pattern.Make(node.Op, x, (-c).Like(node)) : -Pattern.Make(node.Op, x, node.Args[1]))
        : node.Args[1].Is<Neg>(out var y) ? (node.Args[0].IsSplat(out var d) ? Pattern.Make(node.Op, (-d).Like(node), y) : -Pattern.Make(node.Op, node.Args[0], y))
        : null;

    private static Expr? PowConstant(Expr node)
    {
        if (!node.Is<Pow>(out var x, out var y) || !y.IsSplat(out var c))
            return null;
        return c switch
        {
            0 => 1.0.Like(node),
            0.5 => x.Sqrt(),
            -0.5 => x.Rsqrt(),
            1 => x,
            -1 => Pattern.Make(new Div(), 1.0.Like(node), x),
            2 => x * x,
            -2 => Pattern.Make(new Div(), 1.0.Like(node), x * x),
            3 => x * x * x,
            4 => (x * x).Square(),
            _ => null,
        };
    }

    private static Expr? CastOfCast(Expr node)
    {
        if (node.Op is not Cast)
            return null;
        var x = node.Args[0];
        if (x.DType == node.DType)
            return x;
        if (x.Op is not Cast)
            return null;
        var (from, through) = (x.Args[0].DType, x.DType);
        var exact = from == DType.Bool || from == through || through == DType.F64 && from.IsFloat() || from == DType.F32 && through == DType.Float;
        return exact && through != DType.Bool ? (from == node.DType ? x.Args[0] : Pattern.Make(node.Op, x.Args[0])) : null;
    }

    private static Expr? SelectOfSelect(Expr node)
    {
        if (node.Op is not Select)
            return null;
        var (c, x, y) = (node.Args[0], node.Args[1], node.Args[2]);
        if (x.Op is Select && x.Args[0] == c)
            return Pattern.Make(node.Op, c, x.Args[1], y);
        return y.Op is Select && y.Args[0] == c ? Pattern.Make(node.Op, c, x, y.Args[2]) : null;
    }
}
