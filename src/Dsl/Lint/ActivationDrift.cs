using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Without normalization, a factor a layer becomes a power of the depth.</summary>
internal sealed class ActivationDrift() : LintRule(Row("DNN1002", "activations that drift over the depth without normalization",
    "Each layer multiplies the size of its activations by a factor that its initializer and nonlinearity give. Without a normalization beside the nonlinearity the factors "
    + "multiply over the depth, until activations overflow or vanish (He et al. 2015; Ioffe and Szegedy 2015). Put a norm before or behind the nonlinearity, or choose the "
    + "initializer that keeps the variance. The number is the predicted ratio of the largest to the smallest root mean square of what nonlinearities get, at initialization and for N(0, 1) inputs.",
    "model M {\n  input x: [B, 64]\n  output y = x |> for i in 0..20 { dense(512) |> gelu } |> dense(1)\n}",
    "model M {\n  input x: [B, 64]\n  output y = x |> for i in 0..20 { dense(512) |> layer_norm() |> gelu } |> dense(1)\n}"))
{
    private const double Most = 10;

    public override IEnumerable<Finding> Find(LintContext context)
    {
        // A gate or a mask is no place where signals pass through.
        var gates = Gates(context);
        var sized = context.Activations.Where(a => !gates.Contains(a.Output)).Select(a => (Activation: a, Size: context.Propagation.Find(a.Input)?.Rms)).Where(a => a.Size is > 0 and < double.PositiveInfinity).ToArray();
        if (sized.Length < 2)
            yield break;
        var (least, most) = (sized.MinBy(a => a.Size), sized.MaxBy(a => a.Size));
        var drift = most.Size!.Value / least.Size!.Value;
        if (drift <= Most)
            yield break;
        var bare = sized.Where(a => !IsNormalized(context, a.Activation)).ToArray();
        if (bare.Length == 0)
            yield break;
        var (first, last) = (sized[0], sized[^1]);
        var direction = last.Size > first.Size ? "grow" : "shrink";
        yield return new Finding(Descriptor, $"no normalization stands beside this {bare[0].Activation.Kind}, and activations are predicted to {direction} over the depth: from {first.Size:G3} to {last.Size:G3}, a drift of {drift:G3} between the smallest and the largest")
        {
            Number = drift,
            Location = bare[0].Activation.Location,
            Path = bare[0].Activation.Path,
            Related = [.. bare.Skip(1).DistinctBy(a => a.Activation.Location).Take(4).Select(a => new RelatedPlace(a.Activation.Location, $"predicted root mean square {a.Size:G3}"))],
            Notes = ["put layer_norm() or batch_norm() beside it, or an initializer that keeps the variance: he_normal() before relu, lecun_normal() before selu"],
        };
    }

    /// <summary>What nothing depends on but factors between 0 and 1 that other data are multiplied by.</summary>
    private static HashSet<Expr> Gates(LintContext context)
    {
        var gates = new HashSet<Expr>();
        for (var i = context.Order.Count - 1; i >= 0; i--)
        {
            var node = context.Order[i];
            if (context.IsData(node) && !context.IsRoot(node) && context.Uses(node) is { Count: > 0 } uses && uses.All(u => gates.Contains(u) || IsGate(u, node)))
                gates.Add(node);
        }

        return gates;

        bool IsGate(Expr use, Expr node) => use.Op is Mul && use.Args.All(context.IsData) && use.Args[0] != use.Args[1] && IsBetween0And1(node);

        bool IsBetween0And1(Expr node)
        {
            while (node.Op is Movement)
                node = node.Args[0];
            return context.ActivationAt(node)?.Kind is "sigmoid" or "hard_sigmoid" || context.ResultOf(node)?.Kind is "softmax";
        }
    }

    /// <summary>Whether a norm stands between this and the activation before it or behind it.</summary>
    private static bool IsNormalized(LintContext context, Activation activation)
    {
        if (context.Behind(activation.Input) is not { } behind || behind.Any(context.IsNormResult))
            return true;
        var pending = new Stack<Expr>([activation.Output]);
        var seen = new HashSet<Expr>();
        while (pending.TryPop(out var node) && seen.Count < 400)
        {
            if (context.IsNormResult(node))
                return true;
            if (!seen.Add(node) || (node != activation.Output && context.ActivationOf(node) is not null))
                continue;
            foreach (var use in context.Uses(node))
                pending.Push(use);
        }

        return seen.Count >= 400;
    }
}
