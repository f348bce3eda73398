using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Classes have no order and no distance; measurements are no classes.</summary>
internal sealed class LossForData() : LintRule(Row("DNN1013", "loss that does not suit the targets",
    "A regression loss (mse, mae, huber) on the number of a class takes class 2 for nearer to class 1 than class 9 is, and through sigmoid or softmax its gradient vanishes where the prediction is most wrong (Bishop 2006, section 4.3; "
    + "Golik et al. 2013). A classification loss on measurements has no meaning: cross-entropy of a number outside of 0…1 is no likelihood. Use cross_entropy or bce_with_logits for classes, mse or huber for measurements. "
    + "The number is that of the classes, where it is known.",
    "model M {\n  input x: [B, 8]\n  target y: int[B]\n  loss mse(squeeze(x |> dense(1), -1), y)\n}",
    "model M {\n  input x: [B, 8]\n  target y: int[B]\n  loss cross_entropy(x |> dense(3), y)\n}"))
{
    public override IEnumerable<Finding> Find(LintContext context)
    {
        foreach (var loss in context.Model.Scopes)
        {
            if (loss is not { Inputs: [var prediction, var given], Outputs: [var value] } || !context.IsReachable(value))
                continue;
            var (target, hot) = Source(given);
            var name = context.Model.Targets.Concat(context.Model.Inputs).FirstOrDefault(t => t.Value == target)?.Name;
            if (name is null)
                continue;
            var column = context.Options.Schema?.Find(name);
            var classes = column?.Classes;
            switch (loss.Kind)
            {
                case "mse" or "mae" or "huber" when target.DType is DType.I64 or DType.Bool || classes is not null:
                    var count = classes ?? (hot ? LintContext.Size(given.Shape[^1]) : 0);
                    var fused = classes == 2 || target.DType == DType.Bool || (classes is null && given.Rank > 0 && given.Shape[^1].Equals(Dim.One)) ? "bce_with_logits" : "cross_entropy";
                    yield return At(loss, $"{loss.Kind} is a regression loss, and `{name}` holds {(count > 0 ? $"{count} classes" : "classes")}: the number of a class is no measurement", count) with
                    {
                        Related = [new(context.Location(target), "the target")],
                        Notes = [$"{fused} of the logits is the likelihood of classes"],
                    };
                    break;
                case "cross_entropy" when !hot && given.DType.IsFloat() && given.Rank > 0 && given.Shape[^1].Equals(Dim.One):
                    yield return At(loss, "cross_entropy over 1 class is 0 whatever is predicted", 1) with
                    {
                        Related = [new(context.Location(target), "the target")],
                        Notes = ["mse for a measurement, bce_with_logits for one of two classes"],
                    };
                    break;
                case "cross_entropy" or "bce" or "bce_with_logits" or "hinge" when !hot && target == given && target.DType.IsFloat() && column is { Classes: null } && column.DType.IsFloat():
                    yield return At(loss, $"{loss.Kind} is a classification loss, and `{name}` holds measurements", 0) with
                    {
                        Related = [new(context.Location(target), "the target")],
                        Notes = ["mse or huber is for measurements"],
                    };
                    break;
            }
        }
    }

    /// <summary>What a target was made of by casts, layout and one-hot encoding.</summary>
    private static (Expr Target, bool IsOneHot) Source(Expr given)
    {
        var hot = false;
        while (true)
        {
            if (given.Op is Compare { Kind: Comparison.Eq })
            {
                // one_hot compares with the numbers of the classes.
                var classes = given.Args.FirstOrDefault(a => Unmoved(a).Op is Iota);
                if (classes is null)
                    return (given, hot);
                given = given.Args[given.Args[0] == classes ? 1 : 0];
                hot = true;
            }
            else if (given.Op is Cast or Reshape or Transpose or Broadcast or Identity)
            {
                given = given.Args[0];
            }
            else
            {
                return (given, hot);
            }
        }

        static Expr Unmoved(Expr node)
        {
            while (node.Op is Cast or Reshape or Transpose or Broadcast)
                node = node.Args[0];
            return node;
        }
    }
}
