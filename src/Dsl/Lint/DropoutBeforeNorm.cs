using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Dropout changes the variance in training only, and batch norm remembers that variance.</summary>
internal sealed class DropoutBeforeNorm() : LintRule(Row("DNN1007", "dropout between a linear map and its batch norm",
    "In training dropout raises the variance by 1/(1 − rate), in evaluation it does nothing. A batch norm behind it learns the variance of training and applies it in evaluation, where it does not hold: "
    + "activations come out too small (Li et al. 2019, Understanding the disharmony between dropout and batch normalization by variance shift). Put dropout behind the batch norm and its activation. The number is the predicted ratio of the variance in training to that in evaluation.",
    "model M {\n  input x: [B, 8]\n  output y = x |> dense(16) |> relu |> dropout(0.5) |> batch_norm() |> dense(1)\n}",
    "model M {\n  input x: [B, 8]\n  output y = x |> dense(16, bias = false) |> batch_norm() |> relu |> dropout(0.5) |> dense(1)\n}"))
{
    public override IEnumerable<Finding> Find(LintContext context)
    {
        foreach (var norm in context.Model.Scopes)
        {
            if (norm is not { Kind: "batch_norm", Inputs: [var node], Outputs: [var output] } || !context.IsReachable(output))
                continue;
            var dropouts = new List<Scope>();
            while (context.MapAt(node) is null)
            {
                if (context.ResultOf(node) is { Kind: "dropout", Inputs: [var x] } scope && x != node)
                    dropouts.Add(scope);
                if ((context.Plain(node) ?? context.ActivationAt(node)?.Input) is not { } before)
                    break;
                node = before;
            }

            if (context.MapAt(node) is null)
                continue;
            foreach (var dropout in dropouts)
            {
                var ratio = 1.0;
                if (context.Propagation.Find(dropout.Inputs[0]) is { } off && context.Propagation.Find(dropout.Outputs[0]) is { } on)
                    ratio = (on.Square - off.Shared) / Math.Max(1e-12, off.Square - off.Shared);
                yield return At(dropout, $"dropout stands between a linear map and its batch norm: the norm learns a variance that is predicted to be {ratio:G3} times that of evaluation", ratio) with
                {
                    Related = [new(norm.Location, "this batch norm keeps the variance of training"), new(context.Location(node), "the linear map")],
                    Notes = ["put dropout behind the batch norm and its activation"],
                };
            }
        }
    }
}
