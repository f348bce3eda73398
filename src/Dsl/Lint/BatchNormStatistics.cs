using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Statistics of one row are that row; statistics over time steps or repetitions are of different things.</summary>
internal sealed class BatchNormStatistics() : LintRule(Row("DNN1012", "batch norm with batch 1, or inside a recurrence",
    "Batch norm needs many values a channel. With one, the variance is 0 and the result is the shift, whatever comes in; with one image, it is an instance norm in training and something else in evaluation (Ioffe 2017; Wu and He 2018). "
    + "In a recurrence one set of running statistics stands for all steps, which differ (Cooijmans et al. 2017); in a `scan` that is an error, DNN0322. Use layer_norm or group_norm. The number is that of the values that a mean is taken over, or of the steps that share statistics.",
    "model M {\n  input x: [1, 8]\n  output y = x |> dense(4, bias = false) |> batch_norm() |> relu |> dense(1)\n}",
    "model M {\n  input x: [1, 8]\n  output y = x |> dense(4) |> layer_norm() |> relu |> dense(1)\n}"))
{
    public override IEnumerable<Finding> Find(LintContext context)
    {
        var batch = context.Model.Inputs is [var first, ..] && first.Value.Rank > 0 ? first.Value.Shape[0] : null;
        var norms = context.Model.Scopes.Where(s => s is { Kind: "batch_norm", Inputs: [_], Outputs: [_] } && context.IsReachable(s.Outputs[0])).ToArray();
        foreach (var norm in norms)
        {
            var shape = norm.Inputs[0].Shape;
            var isOne = batch is not null && shape[0].Equals(batch) && (batch.Equals(Dim.One) || (!batch.IsKnown && context.Options.Recipe?.Batch == 1));
            if (!isOne && !shape[0].Equals(Dim.One))
                continue;
            var values = shape.Dims[1..^1].Aggregate(1.0, (n, d) => n * LintContext.Size(d));
            yield return At(norm, values == 1
                ? "batch norm with batch 1 takes mean and variance of 1 value: its result is the shift, whatever comes in"
                : $"batch norm with batch 1 takes statistics of the {values} positions of one row: in training it is an instance norm, in evaluation it is not", values) with
            {
                Notes = ["layer_norm() and group_norm(groups) do not depend on the batch"],
            };
        }

        // One instance whose result comes back to it.
        foreach (var instance in norms.GroupBy(n => n.Path).Where(g => g.Count() > 1))
        {
            var applications = instance.ToArray();
            var later = applications[^1];
            if (!Expr.PostOrder([later.Inputs[0]]).Contains(applications[0].Outputs[0]))
                continue;
            yield return At(applications[0], $"one batch norm is applied {applications.Length} times in a recurrence: the steps differ, and share one set of running statistics", applications.Length) with
            {
                Notes = ["layer_norm() has no running statistics; repeat(n, batch_norm()) makes one instance a step"],
            };
        }
    }
}
