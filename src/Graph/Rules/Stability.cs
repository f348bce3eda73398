using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace Dnn.Graph;

/// <summary>
/// Rules that replace forms that overflow or cancel by forms that are equal in exact arithmetic and do not (Goldberg 1991; Blanchard, Higham,
/// Higham, Accurately computing the log-sum-exp and softmax functions, 2021). What they produce is differentiable to every order where the original is.
/// </summary>
public static class StabilityRules
{
    /// <summary>
    /// Costs an exponential where the derivative of the sigmoid has 1 − y from its output, so it is for what users write, before
    /// differentiating, and not among the default rules.
    /// </summary>
    public static RewriteRule LogisticComplement { get; } = new("logistic_complement", "1 − σ(x) → σ(−x): keeps its digits where σ(x) rounds to 1", x =>
        Minus(x, 1) is { } y && y.Is<Logistic>(out var a) ? (-a).Sigmoid() : null);

    public static ImmutableArray<RewriteRule> All { get; } =
    [
        new("log_of_exp", "log eˣ → x", x => x.Is<Log>(out var a) && a.Is<Exp>(out var b) ? b : null),
        new("log_of_exp_quotient", "log(eˣ / y) → x − log y: log softmax without a quotient that underflows", LogOfExpQuotient),
        new("log_of_exp_product", "log(eˣ · y) → x + log y", LogOfExpProduct),
        new("log_of_sum_exp", "log Σ eˣ → m + log Σ e^(x − m) with m = max x", LogOfSumExp),
        new("log_of_mean_exp", "log(Σ eˣ / n) → log Σ eˣ − log n, and ·", LogOfMeanExp),
        new("softmax", "eˣ / Σ eˣ → e^(x − m) / Σ e^(x − m) with m = max x", Softmax),
        new("log_of_logistic", "log σ(x) → −softplus(−x)", x => x.Is<Log>(out var a) && a.Is<Logistic>(out var b) ? -Activations.Log1pExp(-b) : null),
        new("log_of_logistic_complement", "log(1 − σ(x)) → −softplus(x)", x =>
            x.Is<Log>(out var a) && Minus(a, 1) is { } b && b.Is<Logistic>(out var c) ? -Activations.Log1pExp(c) : null),
        new("softplus", "log(1 + eˣ) → x beyond 37", x => x.Is<Log1p>(out var a) && a.Is<Exp>(out var b) && !IsBounded(b) ? Activations.Log1pExp(b) : null),
        new("log1p", "log(1 + x) → log1p x: keeps the digits of a small x", x => x.Is<Log>(out var a) && Plus(a, 1) is { } b ? b.Log1p() : null),
        new("expm1", "eˣ − 1 → expm1 x: keeps the digits where eˣ is near 1", x => Plus(x, -1) is { } a && a.Is<Exp>(out var b) ? b.Expm1() : null),
        new("minus_expm1", "1 − eˣ → −expm1 x", x => Minus(x, 1) is { } a && a.Is<Exp>(out var b) ? -b.Expm1() : null),
        new("logistic", "1 / (1 + e⁻ˣ) → σ(x)", Logistic),
        LogisticComplement,
    ];

    /// <summary>y where the node is y + c.</summary>
    private static Expr? Plus(Expr node, double c) => !node.Is<Add>(out var x, out var y) ? null : y.IsSplatOf(c) ? x : x.IsSplatOf(c) ? y : null;

    /// <summary>y where the node is c − y.</summary>
    private static Expr? Minus(Expr node, double c) => Plus(node, c) is { } rest && rest.Is<Neg>(out var y) ? y : null;

    /// <summary>Whether x is bounded above by its form, so that eˣ does not overflow.</summary>
    private static bool IsBounded(Expr x) => x.Op switch
    {
        Select => x.Args[0].Op is Compare && x.Args[0].Args[0] == x.Args[1] && x.Args[2].IsSplat(out _),
        Min => x.Args[0].IsSplat(out _) || x.Args[1].IsSplat(out _),
        Neg => x.Args[0].Op is Abs or Relu or Exp || (x.Args[0].Is<Mul>(out var a, out var b) && a == b),
        _ => false,
    };

    /// <summary>eˣ, perhaps reshaped or stretched, as x so moved.</summary>
    private static bool IsExp(Expr node, [NotNullWhen(true)] out Expr? x)
    {
        x = node.Op is Exp ? node.Args[0]
            : node.Op is Reshape or Broadcast or Transpose or Reverse && node.Args[0].Op is Exp ? Pattern.Make(node.Op, node.Args[0].Args[0])
            : null;
        return x is not null;
    }

    /// <summary>Σ eˣ over some axes, perhaps with axes of size 1 kept, as x and the axes.</summary>
    private static bool IsSumExp(Expr node, [NotNullWhen(true)] out Expr? x, out ValueList<int> axes)
    {
        var sum = node.Op is Reshape ? node.Args[0] : node;
        (x, axes) = (null, sum.Op is Sum { Axes: var over } ? over : []);
        return axes.Count > 0 && IsExp(sum.Args[0], out x);
    }

    /// <summary>Whether x is a − max a: behind stretching, guards and stop_gradient stands a maximum of the other summand.</summary>
    private static bool IsShifted(Expr x) => Unmoved(x).Is<Add>(out var a, out var b) && (IsMaximumOf(a, b) || IsMaximumOf(b, a));

    private static bool IsMaximumOf(Expr x, Expr shift)
    {
        while (true)
        {
            switch (shift.Op)
            {
                case Neg or Broadcast or Reshape or Transpose or StopGradient:
                    shift = shift.Args[0];
                    break;
                case Select:
                    shift = shift.Args[1].IsSplat(out _) ? shift.Args[2] : shift.Args[1];
                    break;
                default:
                    return shift.Op is ReduceMax && Unmoved(shift.Args[0]) == Unmoved(x);
            }
        }
    }

    /// <summary>What is left when movements and maxima are taken away, as layout rules take them from under a maximum.</summary>
    private static Expr Unmoved(Expr node)
    {
        while (node.Op is Reshape or Broadcast or Transpose or Reverse or ReduceMax)
            node = node.Args[0];
        return node;
    }

    private static Expr? LogOfExpQuotient(Expr node) =>
        node.Is<Log>(out var quotient) && quotient.Is<Div>(out var a, out var b) && IsExp(a, out var x) ? x - b.Log() : null;

    private static Expr? LogOfExpProduct(Expr node)
    {
        if (!node.Is<Log>(out var product) || !product.Is<Mul>(out var a, out var b))
            return null;
        return IsExp(a, out var x) ? x + b.Log() : IsExp(b, out var y) ? a.Log() + y : null;
    }

    private static Expr? LogOfSumExp(Expr node) =>
        node.Is<Log>(out var sum) && IsSumExp(sum, out var x, out var axes) && !IsShifted(x)
            ? x.LogSumExp(axes.ToArray()).Reshape(node.Shape)
            : null;

    private static Expr? LogOfMeanExp(Expr node)
    {
        if (!node.Is<Log>(out var mean) || mean.Op is not (Mul or Div) || !IsSumExp(mean.Args[0], out _, out _))
            return null;
        var (sum, n) = (mean.Args[0], mean.Args[1]);
        var positive = n.IsSplat(out var value) ? value > 0 : IsCount(n);
        return !positive ? null : mean.Op is Div ? sum.Log() - n.Log() : sum.Log() + n.Log();
    }

    /// <summary>Whether the node is a size as a float, which is not negative.</summary>
    private static bool IsCount(Expr node)
    {
        while (node.Op is Broadcast or Reshape or Cast)
            node = node.Args[0];
        return node.Op is DimensionSize;
    }

    private static Expr? Softmax(Expr node)
    {
        if (!node.Is<Div>(out var top, out var stretched) || !IsExp(top, out var x))
            return null;
        var bottom = stretched.Op is Broadcast ? stretched.Args[0] : stretched;
        if (!IsSumExp(bottom, out var y, out var axes) || y != x || IsShifted(x))
            return null;

        // The same sum must stand under every element that it was taken over.
        var kept = Enumerable.Range(0, x.Rank).Except(axes).ToArray();
        var aligned = stretched.Op is Broadcast b && bottom.Op is Sum && b.Axes.SequenceEqual(kept);
        if (!aligned)
            return null;
        var e = (x - x.FiniteMax(axes.ToArray())).Exp();
        return e / e.Sum(axes.ToArray(), keep: true);
    }

    private static Expr? Logistic(Expr node)
    {
        if (!node.Is<Div>(out var one, out var sum) || !one.IsSplatOf(1) || Plus(sum, 1) is not { } e || !e.Is<Exp>(out var minus))
            return null;
        return (-minus).Sigmoid();
    }
}
