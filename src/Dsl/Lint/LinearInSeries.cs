using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>W₂(W₁x) is (W₂W₁)x: what only ever reaches other linear maps adds parameters and no functions.</summary>
internal sealed class LinearInSeries() : LintRule(Row("DNN1001", "linear maps in series with nothing nonlinear between",
    "Two linear maps in series are one: W₂(W₁x + b₁) + b₂ = (W₂W₁)x + (W₂b₁ + b₂), whatever layout, pooling, dropout or batch norm (affine once it is trained) "
    + "stands between. The first adds parameters and no functions (Goodfellow et al., Deep Learning, 2016, section 6.1). Put an activation between, or keep one of them. "
    + "A middle narrower than both ends, a depthwise convolution beside a pointwise one, and a row beside a column are deliberate factorizations, "
    + "and get a note. The number is that of the parameters of the first map.",
    "model M {\n  input x: [B, 8]\n  output y = x |> dense(32) |> dense(4)\n}",
    "model M {\n  input x: [B, 8]\n  output y = x |> dense(32) |> relu |> dense(4)\n}"))
{
    public override IEnumerable<Finding> Find(LintContext context)
    {
        foreach (var first in context.LinearMaps)
        {
            // Only what reaches nothing else is redundant: a value that is used in another way, too, is needed for that.
            var next = new List<LinearMap>();
            var alone = true;
            context.Forward(first.Node, context.Affine, (node, use) =>
            {
                if (use is not null && context.MapAt(use) is { } map && map.Data == node)
                    next.Add(map);
                else
                    alone = false;
                return alone;
            });
            if (!alone || next.Count == 0)
                continue;
            var (inner, middle) = first.Sizes(LintContext.Size);
            var parameters = first.Weights.Sum(w => w.Shape.ElementCount.Value);
            foreach (var second in next.DistinctBy(m => m.Node))
            {
                var (_, outer) = second.Sizes(LintContext.Size);
                var factorized = middle < Math.Min(inner, outer) || IsSeparable(first.Node, second.Node);
                var message = factorized
                    ? $"this and the linear map before it are one map in factors: {middle} numbers between {inner} and {outer}, with nothing nonlinear between"
                    : $"nothing nonlinear stands between this and the linear map before it: the two compute what one map from {inner} to {outer} does, and {parameters:N0} parameters add nothing";
                yield return At(context, second.Node, message, parameters) with
                {
                    Severity = factorized ? Severity.Note : Severity.Warning,
                    Related = [new(context.Location(first.Node), "the linear map before it")],
                    Notes = factorized ? [] : ["put an activation such as relu between them, or leave one out"],
                };
            }
        }
    }

    /// <summary>A depthwise with a pointwise convolution, or windows along different axes.</summary>
    private static bool IsSeparable(Expr a, Expr b)
    {
        if (a.Op is not ConvGeneral first || b.Op is not ConvGeneral second)
            return false;
        var axes = Math.Min(first.Spatial, second.Spatial);
        bool Wide(Expr conv, int axis) => !conv.Args[1].Shape[axis].Equals(Dim.One);
        return first.Groups > 1 != second.Groups > 1
            || (Enumerable.Range(0, axes).All(i => !(Wide(a, i) && Wide(b, i))) && Enumerable.Range(0, axes).Any(i => Wide(a, i)) && Enumerable.Range(0, axes).Any(i => Wide(b, i)));
    }
}
