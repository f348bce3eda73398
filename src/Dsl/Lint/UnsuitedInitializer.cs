using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>An initializer is chosen so that variances stay over the depth; which one does, the activation decides.</summary>
internal sealed class UnsuitedInitializer() : LintRule(Row("DNN1008", "initializer that does not suit the activation",
    "The variance of weights decides by which factor a layer with its activation multiplies the variance of what passes: fan_in · E[w²] · E[φ(z)²], z ~ N(0, 1). It should be near 1: He for ReLU and its kin (He et al. 2015), "
    + "Xavier for tanh and sigmoid (Glorot and Bengio 2010), LeCun for SELU (Klambauer et al. 2017); `init = auto` chooses so. Equal weights everywhere make all units one. A norm beside the activation makes "
    + "the scale indifferent, and there the rule keeps silent. The number is the predicted factor of the variance over this layer.",
    "model M {\n  input x: [B, 64]\n  output y = x |> dense(64, init = normal(1)) |> relu |> dense(1)\n}",
    "model M {\n  input x: [B, 64]\n  output y = x |> dense(64, init = he_normal()) |> relu |> dense(1)\n}"))
{
    /// <summary>How far from 1 the factor may be.</summary>
    private const double Margin = 1.5;

    public override IEnumerable<Finding> Find(LintContext context)
    {
        var found = new List<(LinearMap Map, Activation Activation, double Factor)>();
        foreach (var map in context.LinearMaps)
        {
            if (map.Weights is not [{ Initializer: var initializer } weight] || weight.Options.Frozen || Follows(context, map) is not { } activation || IsNormed(context, activation))
                continue;
            var (mean, square) = Propagation.OfInitializer(initializer, weight.Shape);
            if (square <= mean * mean && map.Sizes(LintContext.Size).Out > 1 && initializer is not (IdentityInitializer or ListInitializer))
            {
                var units = map.Sizes(LintContext.Size).Out;
                yield return At(context, map.Node, $"all weights start as {Printer.Number(mean)}: the {units} units compute the same and stay the same, as one", 1) with
                {
                    Notes = ["only random weights tell units apart; leave `init` out"],
                };
                continue;
            }

            if (IsRight(initializer, activation))
                continue;
            var gain = map.FanIn(LintContext.Size) * square;
            if (Propagation.Through(context.Model, activation.Output, activation.Input, Moments.Standard) is not { } through)
                continue;
            var slope = Propagation.Through(context.Model, activation.Output, activation.Input, new Moments(0, 1e-6, 0))?.Slope ?? 1;
            var unsuited = activation.IsSaturating
                ? gain < 0.4 || gain * slope > 4
                : activation.IsRelu && gain * through.Moments.Square is < 1 / Margin or > Margin;
            if (unsuited)
                found.Add((map, activation, gain * (activation.IsSaturating ? slope : through.Moments.Square)));
        }

        var total = found.Aggregate(1.0, (product, f) => product * f.Factor);
        foreach (var (map, activation, factor) in found)
        {
            var over = found.Count > 1 ? $", and by {total:G3} over the {found.Count} layers where it is so" : "";
            yield return At(context, map.Node, $"{Name(map.Weights[0].Initializer)} does not suit {activation.Kind}: the variance is predicted to change by a factor of {factor:G3} in this layer{over}", factor) with
            {
                Related = [new(activation.Location, "the activation")],
                Edit = context.ResultOf(map.Output)?.Kind is { } kind ? new SetArgument("let the activation decide", kind, "init", "auto", IsSafe: false) : null,
                Notes = [$"{(activation.Kind == "selu" ? "lecun_normal()" : activation.IsRelu ? "he_normal()" : "xavier_uniform()")} keeps it; `init = auto` chooses by the activation"],
            };
        }
    }

    /// <summary>The activation that a map goes to, with nothing between but layout.</summary>
    private static Activation? Follows(LintContext context, LinearMap map)
    {
        var found = default(Activation);
        context.Forward(map.Output, node => node.Op is Reshape or Transpose or Identity ? node.Args[0] : null, (node, _) =>
        {
            found ??= context.ActivationOf(node);
            return found is null;
        });
        return found;
    }

    /// <summary>Whether a norm takes what the activation gives, so that its scale is indifferent.</summary>
    private static bool IsNormed(LintContext context, Activation activation)
    {
        var normed = false;
        context.Forward(activation.Output, context.Plain, (_, use) => !(normed |= use is not null && context.IsNormResult(use)));
        return normed;
    }

    /// <summary>What the papers, and `auto`, take for the activation is not the user's mistake.</summary>
    private static bool IsRight(Initializer initializer, Activation activation) => initializer is VarianceInitializer variance
        && (activation.IsRelu ? variance is { Gain: 2, Mode: Fan.In } || (activation.Kind == "selu" && variance is { Gain: 1, Mode: Fan.In }) : variance.Gain == 1);

    private static string Name(Initializer initializer) => initializer switch
    {
        NormalInitializer normal => $"normal({Printer.Number(normal.Deviation)})",
        TruncatedNormalInitializer normal => $"truncated_normal({Printer.Number(normal.Deviation)})",
        UniformInitializer uniform => $"uniform({Printer.Number(uniform.Low)}, {Printer.Number(uniform.High)})",
        VarianceInitializer { Gain: 2, Mode: Fan.In, IsUniform: var u } => u ? "he_uniform" : "he_normal",
        VarianceInitializer { Gain: 1, Mode: Fan.Average, IsUniform: var u } => u ? "xavier_uniform" : "xavier_normal",
        VarianceInitializer { Gain: 1, Mode: Fan.In, IsUniform: false } => "lecun_normal",
        OrthogonalInitializer orthogonal => $"orthogonal({Printer.Number(orthogonal.Gain)})",
        ScaledInitializer scaled => $"{Printer.Number(scaled.Factor)} * {Name(scaled.Inner)}",
        _ => "this initializer",
    };
}
