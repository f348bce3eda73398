using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Where arguments can be 0 or negative, logarithms, roots, quotients and powers are not finite, or their slopes are not.</summary>
internal sealed class NotFinite() : LintRule(Row("DNN1010", "log, sqrt, division or power that may not be finite",
    "log 0 is −∞, a quotient by 0 is infinite, √x has an infinite slope at 0, and a fractional power of a negative number is none: one such element makes the loss and every parameter NaN. `where` around it does not help: the branch that is not "
    + "taken is computed, and in the derivative 0 · ∞ is NaN. Guard the argument inside instead: log(where(x > 0, x, 1)), log(x + 1e-6), sqrt(maximum(x, 1e-12)), or use norm, std, log_softmax, which are guarded. "
    + "The number is the end of the range of the argument, by interval arithmetic over the graph (Moore 1966), that is at fault.",
    "model M {\n  input x: [B, 8]\n  output y = x |> dense(4) |> log\n}",
    "model M {\n  input x: [B, 8]\n  output y = log((x |> dense(4)) ** 2 + 1e-6)\n}"))
{
    public override IEnumerable<Finding> Find(LintContext context)
    {
        var model = context.Model;
        var losses = Stable(context, model.Losses);
        var others = Stable(context, [.. model.Outputs, .. model.Metrics]);
        var steps = Stable(context, [.. context.Steps.SelectMany(s => s.Results).Select(r => new Named("step", r))]);
        var trained = Expr.PostOrder([.. losses, .. steps]).ToHashSet();
        var learned = new HashSet<Expr>();
        var order = Expr.PostOrder([.. losses, .. others, .. steps]);
        var parameters = model.Parameters.Select(p => p.Variable).Concat(context.Steps.SelectMany(s => s.Given)).ToHashSet();
        foreach (var node in order)
        {
            if (parameters.Contains(node) || (node.Args.Any(learned.Contains) && node.Op is not StopGradient))
                learned.Add(node);
        }

        var known = new Dictionary<Expr, Interval>();
        foreach (var buffer in model.Buffers)
        {
            // A running variance.
            if (buffer.Path.EndsWith(".var", StringComparison.Ordinal))
                known[buffer.Variable] = new(0, double.PositiveInfinity);
        }

        var ranges = new Intervals(order, known);
        foreach (var node in order)
        {
            var isTrained = trained.Contains(node);
            if (context.IsOfCatalog(node) || Problem(node, ranges, isTrained && learned.Contains(Argument(node))) is not { } problem || !Matters(context, node))
                continue;
            var range = ranges[Argument(node)];
            yield return At(context, node, $"{problem}; its argument ranges over {range}", range.Low <= 0 ? range.Low : 0) with
            {
                Notes = [Advice(node)],
            };
        }
    }

    private static IReadOnlyList<Expr> Stable(LintContext context, IEnumerable<Named> named) =>
        Rewriter.Stabilize.Rewrite(Phases.Resolve([.. named.Select(n => n.Value)], training: true, context.Model.Provenance), context.Model.Provenance);

    /// <summary>The derivative of what was written is nobody's to change.</summary>
    private static bool Matters(LintContext context, Expr node) => context.Location(node) is not null || context.IsReachable(node);

    private static Expr Argument(Expr node) => node.Op is Div ? node.Args[1] : node.Args.Length > 0 ? node.Args[0] : node;

    private static string? Problem(Expr node, Intervals ranges, bool isLearned)
    {
        switch (node.Op)
        {
            case Log when ranges[node.Args[0]] is var x && (x.Low < 0 || x.HasZero):
                return x.Low < 0 ? "log of what may be negative is NaN" : "log of what may be 0 is −∞";
            case Log1p when ranges[node.Args[0]].Low <= -1:
                return "log1p of what may be −1 is −∞";
            case Sqrt when ranges[node.Args[0]] is var x && (x.Low < 0 || (x.HasZero && isLearned)):
                return x.Low < 0 ? "sqrt of what may be negative is NaN" : "the slope of sqrt is infinite at 0, which its argument may be";
            case Rsqrt when ranges[node.Args[0]] is var x && (x.Low < 0 || x.HasZero):
                return "rsqrt of what may be 0 is infinite";
            case Div when ranges[node.Args[1]].HasZero:
                return "division by what may be 0 is infinite";
            case Pow:
                var b = ranges[node.Args[0]];
                if (!node.Args[1].IsSplat(out var p))
                    return b.Low < 0 || b.HasZero ? "a power of what may be 0 or negative is not finite for every exponent" : null;
                if (p < 0 && b.HasZero)
                    return "a negative power of what may be 0 is infinite";
                if (p != Math.Floor(p) && b.Low < 0)
                    return $"the power {Printer.Number(p)} of what may be negative is NaN";
                return p is > 0 and < 1 && b.HasZero && isLearned ? $"the slope of the power {Printer.Number(p)} is infinite at 0, which its base may be" : null;
            default:
                return null;
        }
    }

    private static string Advice(Expr node) => node.Op switch
    {
        Log => "guard the argument: log(x + 1e-6), or log(where(x > 0, x, 1)); `where` around the logarithm does not help, as its slope is computed all the same",
        Log1p => "keep the argument above −1: log1p(maximum(x, -0.999))",
        Sqrt or Rsqrt => "guard the argument: sqrt(x + 1e-12); norm and std are guarded already",
        Div => "guard the divisor: x / (y + 1e-6), or x / where(y == 0, 1, y)",
        _ => "guard the base: (x + 1e-6) ** p, or abs(x) ** p",
    };
}
