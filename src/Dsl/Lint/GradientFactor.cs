using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Gradients are products over the layers: of slopes below 1 they vanish, of large weights they explode.</summary>
internal sealed class GradientFactor() : LintRule(Row("DNN1009", "gradient that vanishes or explodes over the depth",
    "A gradient passes every layer backwards and is multiplied by its weights and by the slope of its activation. The slope of sigmoid is at most ¼, that of tanh below 1 away from 0: stacked deep, without a residual path or a norm between, "
    + "the first layers learn nothing (Hochreiter 1991; Bengio et al. 1994; Glorot and Bengio 2010). Large weights make it explode instead. Use ReLU or its kin, residual blocks, norms, or fewer layers. "
    + "The number is the predicted ratio of the root mean square of the gradient at the first layer to that at the last.",
    "model M {\n  input x: [B, 32]\n  output y = x |> for i in 0..6 { dense(32) |> sigmoid } |> dense(1)\n}",
    "model M {\n  input x: [B, 32]\n  output y = x |> for i in 0..6 { dense(32) |> relu } |> dense(1)\n}"))
{
    private const int Deep = 3;

    private const double Least = 0.1, Most = 10;

    public override IEnumerable<Finding> Find(LintContext context)
    {
        // Chains of activations with nothing between but linear maps.
        var chains = new Dictionary<Activation, (Activation First, int Count, int Saturating)>();
        var continued = new HashSet<Activation>();
        foreach (var activation in context.Activations.OrderBy(a => context.IndexOf(a.Output)))
        {
            var own = activation.IsSaturating ? 1 : 0;
            chains[activation] = Before(context, activation) is { } before && chains.TryGetValue(before, out var chain) && continued.Add(before)
                ? (chain.First, chain.Count + 1, chain.Saturating + own)
                : (activation, 1, own);
        }

        foreach (var (last, (first, count, saturating)) in chains)
        {
            if (continued.Contains(last) || count < Deep)
                continue;
            if (context.Propagation.Gradient(first.Input) is not { } at || context.Propagation.Gradient(last.Input) is not { } end || end <= 0)
                continue;
            var factor = Math.Sqrt(at / end);
            if (factor > Most || (factor < Least && saturating >= Deep))
            {
                var what = factor > Most ? $"{count} activations in series make the gradient explode" : $"{saturating} saturating activations in series make the gradient vanish";
                yield return new Finding(Descriptor, $"{what}: at this {first.Kind} it is predicted to be {factor:G2} times that at the last one")
                {
                    Number = factor,
                    Location = first.Location,
                    Path = first.Path,
                    Related = last.Location == first.Location ? [] : [new(last.Location, "the last one")],
                    Notes = [factor > Most ? "smaller initial weights, a norm or residual blocks keep it in size" : "relu or its kin, residual blocks or norms keep it in size"],
                };
            }
        }
    }

    /// <summary>The activation right before one: through linear maps, no norm, no sum with another path.</summary>
    private static Activation? Before(LintContext context, Activation activation)
    {
        var node = activation.Input;
        while (true)
        {
            if (context.ActivationAt(node) is { } before)
                return before;
            if (context.MapAt(node) is { } map)
                node = map.Data;
            else if (context.Plain(node) is { } plain)
                node = plain;
            else
                return null;
        }
    }
}
