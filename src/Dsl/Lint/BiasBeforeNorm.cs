using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Batch norm takes the mean away, and a bias with it; and a network without any shift is stuck at the origin.</summary>
internal sealed class BiasBeforeNorm() : LintRule(Row("DNN1006", "bias that is subtracted again, or no bias at all",
    "Batch norm subtracts the mean of each channel, and with it a bias that was added right before: its gradient is 0, and the shift of the norm does its work (Ioffe and Szegedy 2015, section 3.2). Leave it out: bias = false. "
    + "The other way round, a network in which no bias and no shift of a norm is added anywhere answers the same for an all-zero input whatever it learns, such as 0.5 behind a sigmoid: every hyperplane goes "
    + "through the origin. The number is that of the parameters that do nothing, or the answer that cannot change.",
    "model M {\n  input x: [B, 8]\n  output y = x |> dense(16) |> batch_norm() |> relu |> dense(1)\n}",
    "model M {\n  input x: [B, 8]\n  output y = x |> dense(16, bias = false) |> batch_norm() |> relu |> dense(1)\n}"))
{
    public override IEnumerable<Finding> Find(LintContext context) => Subtracted(context).Concat(Stuck(context));

    private IEnumerable<Finding> Subtracted(LintContext context)
    {
        foreach (var map in context.LinearMaps)
        {
            if (map.Output == map.Node || Bias(context, map) is not { } bias)
                continue;
            var norms = new List<Scope>();
            var only = true;
            context.Forward(map.Output, Layout, (node, use) =>
            {
                if (use is not null && context.ResultOf(use) is { Kind: "batch_norm" } scope && scope.Inputs is [var x] && x == node)
                    norms.Add(scope);
                else
                    only = false;
                return only;
            });
            if (!only || norms.Count == 0)
                continue;
            var count = bias.Shape.ElementCount.Value;
            var kind = context.ResultOf(map.Output)?.Kind;
            yield return At(context, map.Output, $"the bias added here is subtracted again by the batch norm behind it: {count:N0} parameters that do nothing", count) with
            {
                Related = [.. norms.Select(n => new RelatedPlace(n.Location, "this batch norm subtracts the mean"))],
                Edit = kind is null ? null : new SetArgument("leave the bias out", kind, "bias", "false", IsSafe: true),
            };
        }

        // Channels stay where they are.
        Expr? Layout(Expr node) => node.Op is Identity or Phase || (node.Op is Reshape && node.Rank > 0 && node.Args[0].Rank > 0 && node.Shape[^1].Equals(node.Args[0].Shape[^1]))
            ? node.Args[0]
            : null;
    }

    private static Parameter? Bias(LintContext context, LinearMap map)
    {
        var added = map.Output.Args[map.Output.Args[0] == map.Node ? 1 : 0];
        while (added.Op is Broadcast or Reshape or Cast)
            added = added.Args[0];
        return context.Parameter(added) is { Shape.Rank: 1 } bias ? bias : null;
    }

    private enum AtZero
    {
        /// <summary>0, whatever the parameters are.</summary>
        Zero,

        /// <summary>A number that no parameter changes.</summary>
        Constant,

        /// <summary>Parameters change it.</summary>
        Free,
    }

    /// <summary>What every node is when all inputs are 0.</summary>
    private IEnumerable<Finding> Stuck(LintContext context)
    {
        if (context.LinearMaps.IsEmpty || context.Model.Inputs.Any(i => !i.Value.DType.IsFloat()))
            yield break;
        var values = new Dictionary<Expr, AtZero>();
        foreach (var node in context.Order)
            values[node] = Value(context, node, values);
        var ends = context.Model.Outputs.Where(o => !context.IsDerived(o.Value)).ToArray();
        foreach (var (name, end) in ends)
        {
            if (values[end] == AtZero.Free || Last(context, end) is not { } last)
                continue;
            var answer = Answer(context, end);
            var what = answer is { } a ? $"{a:G3}" : "the same";
            yield return At(context, last.Node, $"no bias and no shift of a norm is added anywhere on the way to `{name}`: for an all-zero input it answers {what}, whatever is learned", answer ?? 0) with
            {
                Notes = ["give a layer its bias back"],
            };
        }
    }

    private static AtZero Value(LintContext context, Expr node, Dictionary<Expr, AtZero> values)
    {
        if (context.Parameter(node) is not null)
            return AtZero.Free;
        AtZero At(int i) => values[node.Args[i]];
        switch (node.Op)
        {
            case Variable:
                return context.Model.Inputs.Any(i => i.Value == node) ? AtZero.Zero : AtZero.Free;
            case Literal { Number: 0 }:
                return AtZero.Zero;
            case Leaf:
                return AtZero.Constant;
            case Phase:
                return At(0);
            case Mul or DotGeneral or ConvGeneral when At(0) == AtZero.Zero || At(1) == AtZero.Zero:
                return AtZero.Zero;
            case Div when At(0) == AtZero.Zero:
                return AtZero.Zero;
            case Neg or Tanh or Relu or Abs or Sin or Erf or Expm1 or Log1p or Sqrt or Sign or Floor or Round or Movement or Cast or Identity or Reduction when At(0) == AtZero.Zero:
                return AtZero.Zero;
            case Select:
                // A condition that parameters decide on chooses between what both branches are.
                var both = At(1) > At(2) ? At(1) : At(2);
                return both == AtZero.Zero || At(0) != AtZero.Free ? both : AtZero.Free;
            case Pow when At(0) == AtZero.Zero && At(1) != AtZero.Free:
                return AtZero.Zero;
        }

        var worst = AtZero.Zero;
        foreach (var arg in node.Args)
            worst = values[arg] > worst ? values[arg] : worst;
        return worst == AtZero.Zero && node.Op is not (Add or Concat or Max or Min or ScatterAdd) ? AtZero.Constant : worst;
    }

    private static LinearMap? Last(LintContext context, Expr end)
    {
        var behind = Expr.PostOrder([end]);
        for (var i = behind.Count - 1; i >= 0; i--)
        {
            if (context.MapAt(behind[i]) is { } map)
                return map;
        }

        return null;
    }

    private static double? Answer(LintContext context, Expr end)
    {
        var kind = end.Op is Logistic ? "sigmoid" : context.ResultOf(end)?.Kind;
        return kind switch { "sigmoid" => 0.5, "softmax" => 1 / LintContext.Size(end.Shape[^1]), _ => context.MapAt(end) is not null || end.Op is Tanh ? 0 : null };
    }
}
