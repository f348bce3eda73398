using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>Rules of sums: they bring the derivatives of norms to as few sums as their closed forms have.</summary>
public static class SumRules
{
    /// <summary>Factors that are looked through for something that sums to zero.</summary>
    private const int LongestProduct = 8;

    public static ImmutableArray<RewriteRule> All { get; } =
    [
        new("sum_of_scaled", "Σ (x · broadcast v) → (Σ x) · v, and with /, where v is the same for all that is summed; it rounds once, and 0 · ∞ may come or go", SumOfScaled),
        new("sum_of_centred", "Σ (x − mean x) · v → 0 and Σ (y + (x − mean x) · v) → Σ y: exact but for rounding; NaN and infinities of x are in y or in the mean's other uses", SumOfCentred),
    ];

    private static Expr? SumOfScaled(Expr node)
    {
        if (node.Op is not Sum sum || node.Args[0].Op is not (Mul or Div) || !node.DType.IsFloat())
            return null;
        var product = node.Args[0];
        var (x, y) = (product.Args[0], product.Args[1]);
        if (Kept(y, sum.Axes, node.Shape) is { } scale)
            return Pattern.Make(product.Op, Pattern.Make(sum, x), scale);
        return product.Op is Mul && Kept(x, sum.Axes, node.Shape) is { } first ? Pattern.Make(product.Op, Pattern.Make(sum, y), first) : null;
    }

    /// <summary>A broadcast value without the axes, if it is stretched along all of them.</summary>
    private static Expr? Kept(Expr x, ValueList<int> axes, Shape shape) => x.Op is Broadcast broadcast && !broadcast.Axes.Any(axes.Contains)
        ? x.Args[0].BroadcastTo(shape, [.. broadcast.Axes.Select(a => a - axes.Count(reduced => reduced < a))])
        : null;

    private static Expr? SumOfCentred(Expr node)
    {
        if (node.Op is not Sum sum || !node.DType.IsFloat())
            return null;
        var x = node.Args[0];
        if (IsZeroSum(x, sum.Axes))
            return 0.0.Like(node);
        return !x.Is<Add>(out var a, out var b) ? null
            : IsZeroSum(b, sum.Axes) ? Pattern.Make(sum, a)
            : IsZeroSum(a, sum.Axes) ? Pattern.Make(sum, b)
            : null;
    }

    private static bool IsZeroSum(Expr x, ValueList<int> axes)
    {
        for (var i = 0; i < LongestProduct; i++)
        {
            if (x.Op is Neg)
                x = x.Args[0];
            else if (x.Op is Mul or Div && IsConstant(x.Args[1], axes))
                x = x.Args[0];
            else if (x.Op is Mul && IsConstant(x.Args[0], axes))
                x = x.Args[1];
            else
                break;
        }

        return x.Is<Add>(out var a, out var b) && (IsMinusMean(b, a, axes) || IsMinusMean(a, b, axes));
    }

    private static bool IsConstant(Expr x, ValueList<int> axes) => x.Op is Broadcast broadcast && !broadcast.Axes.Any(axes.Contains);

    /// <summary>Whether m is −(Σ x)/n, stretched along the axes of which n is the size.</summary>
    private static bool IsMinusMean(Expr m, Expr x, ValueList<int> axes)
    {
        if (m.Op is not Broadcast broadcast || !broadcast.Axes.SequenceEqual(Enumerable.Range(0, x.Rank).Where(a => !axes.Contains(a))))
            return false;
        var mean = m.Args[0];
        var isNegative = mean.Op is Neg;
        if (isNegative)
            mean = mean.Args[0];
        if (mean.Op is not (Mul or Div) || mean.Args[0].Op is not Sum sum || !sum.Axes.Equals(axes) || mean.Args[0].Args[0] != x)
            return false;
        var size = axes.Aggregate(Dim.One, (product, axis) => product * x.Shape[axis]);
        if (mean.Args[1].IsSplat(out var c))
            return size.IsKnown && (isNegative ? c : -c) == (mean.Op is Mul ? 1.0 / size.Value : size.Value);
        var n = mean.Args[1];
        if (n.Op is Broadcast)
            n = n.Args[0];
        return isNegative && mean.Op is Div && n.Op is Cast && n.Args[0].Op is DimensionSize of && of.Size.Equals(size);
    }
}
