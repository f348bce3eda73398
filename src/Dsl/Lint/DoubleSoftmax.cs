using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Losses that work from logits contain the softmax or sigmoid already.</summary>
internal sealed class DoubleSoftmax() : LintRule(Row("DNN1005", "softmax or sigmoid before a loss that has it built in",
    "`cross_entropy` takes logits and applies softmax itself, `bce_with_logits` sigmoid. Applied twice, probabilities between 0 and 1 are taken for logits: the loss cannot fall below log(1 + (n − 1)/e) for n classes, and gradients "
    + "are a fraction of what they should be. `bce` after sigmoid and `nll` after the logarithm of softmax compute the right function in a form that loses its digits; the fused loss keeps them "
    + "(Goodfellow et al. 2016, section 6.2.2). Give the loss the logits. The number is the smallest loss that can be reached, or the logit beyond which f32 rounds the probability to 1.",
    "model M {\n  input x: [B, 8]\n  target y: int[B]\n  let p = x |> dense(3) |> softmax\n  loss cross_entropy(p, y)\n}",
    "model M {\n  input x: [B, 8]\n  target y: int[B]\n  let logits = x |> dense(3)\n  output p = softmax(logits)\n  loss cross_entropy(logits, y)\n}"))
{
    /// <summary>1 − σ(x) is 0 in f32 from here.</summary>
    private const double Saturated = 17;

    public override IEnumerable<Finding> Find(LintContext context)
    {
        foreach (var loss in context.Model.Scopes)
        {
            if (loss is not { Inputs: [var prediction, ..], Outputs: [var value] } || !context.IsReachable(value))
                continue;
            var (node, last) = Unmoved(context, prediction);
            switch (loss.Kind)
            {
                case "cross_entropy" when last is "softmax" or "sigmoid":
                    var classes = LintContext.Size(prediction.Shape[^1]);
                    var floor = Math.Log(1 + ((classes - 1) / (last == "softmax" || classes > 1 ? Math.E : 1)));
                    yield return Twice(loss, node, last, "softmax", $"with {classes} classes it cannot fall below {floor:G3}", floor, context);
                    break;
                case "cross_entropy" when last == "log_softmax":
                    yield return At(loss, "log_softmax is applied before cross_entropy, which applies it itself: the second changes nothing and costs a pass", 0) with
                    {
                        Related = [new(context.Location(node), "the first")],
                        Edit = new Unwrap("leave log_softmax to cross_entropy", "cross_entropy", ["log_softmax"], "cross_entropy", IsSafe: true),
                    };
                    break;
                case "bce_with_logits" when last is "sigmoid" or "softmax" && !IsFusedBce(context, loss):
                    var reached = Math.Log(1 + Math.Exp(-1));
                    yield return Twice(loss, node, last, "sigmoid", $"for a label of 1 it cannot fall below {reached:G3}", reached, context);
                    break;
                case "bce" when last == "sigmoid":
                    yield return At(loss, $"bce after sigmoid is bce_with_logits, which keeps its digits where sigmoid rounds to 1: from a logit of {Saturated} in f32", Saturated) with
                    {
                        Related = [new(context.Location(node), "the sigmoid")],
                        Edit = new Unwrap("give bce_with_logits the logit", "bce", ["sigmoid"], "bce_with_logits", IsSafe: true),
                    };
                    break;
                case "nll" when last == "softmax":
                    yield return At(loss, "nll takes logarithms, and these are probabilities: cross_entropy of the logits is meant", 0) with
                    {
                        Related = [new(context.Location(node), "the softmax")],
                        Edit = new Unwrap("give cross_entropy the logits", "nll", ["softmax"], "cross_entropy", IsSafe: false),
                    };
                    break;
                case "nll" when node.Op is Log && Unmoved(context, node.Args[0]) is { Kind: "softmax" } inner:
                    yield return At(loss, $"nll of the logarithm of softmax is cross_entropy of the logits, which keeps its digits where a probability rounds to 0: {Saturated * 6} below the largest logit in f32", Saturated * 6) with
                    {
                        Related = [new(context.Location(inner.Node), "the softmax")],
                        Edit = new Unwrap("give cross_entropy the logits", "nll", ["log", "softmax"], "cross_entropy", IsSafe: true),
                    };
                    break;
            }
        }
    }

    private Finding Twice(Scope loss, Expr node, string applied, string builtIn, string number, double value, LintContext context) =>
        At(loss, $"{applied} is applied before {loss.Kind}, which applies {builtIn} itself: {number}", value) with
        {
            Related = [new(context.Location(node), $"{applied} is applied here")],
            Notes = ["give the loss the logits; keep the probabilities for an output"],
            Edit = new Unwrap($"give {loss.Kind} the logits", loss.Kind, [applied], loss.Kind, IsSafe: false),
        };

    /// <summary>The scope that `bce` of a sigmoid makes inside: it has got the logit.</summary>
    private static bool IsFusedBce(LintContext context, Scope loss) =>
        context.Model.Scopes.Any(s => s.Kind == "bce" && s.Outputs.SequenceEqual(loss.Outputs));

    /// <summary>The function that a prediction comes from, behind layout.</summary>
    private static (Expr Node, string? Kind) Unmoved(LintContext context, Expr node)
    {
        while (true)
        {
            if (context.ResultOf(node) is { Kind: "softmax" or "log_softmax" } scope)
                return (node, scope.Kind);
            if (node.Op is Logistic)
                return (node, "sigmoid");
            if (node.Op is not (Reshape or Transpose or Identity or Cast or Phase or Slice))
                return (node, null);
            node = node.Args[0];
        }
    }
}
