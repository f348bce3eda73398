namespace Dnn.Dsl;

/// <summary>A deep residual net trains best when it begins as the identity.</summary>
internal sealed class NonzeroResidual() : LintRule(Row("DNN1004", "deep residual net whose branches do not start at zero",
    "Beyond some eight blocks, residual nets train faster and more safely if every block begins as the identity: the last map of the branch, or the scale of the norm after it, starts at zero "
    + "(Goyal et al. 2017; Zhang et al. 2019; Bachlechner et al. 2020). An attention branch and the feed-forward branch behind it count as one block. Branches that are scaled down so that the whole "
    + "stack at most doubles the variance, as in GPT-2, and blocks with a norm behind the sum, as in the first Transformer, are left alone. The number is the predicted growth of the variance over all blocks.",
    "model M {\n  input x: [B, 16]\n  output y = x |> for i in 0..12 { residual(layer_norm() |> dense(16) |> relu |> dense(16)) } |> dense(1)\n}",
    "model M {\n  input x: [B, 16]\n  output y = x |> for i in 0..12 { residual(layer_norm() |> dense(16) |> relu |> dense(16, init = zeros())) } |> dense(1)\n}",
    Severity.Note))
{
    private const int Most = 8;

    private const double Harmless = 2;

    public override IEnumerable<Finding> Find(LintContext context)
    {
        var blocks = 0;
        var attention = false;

        // A norm behind each sum takes back what the branch has added.
        var all = context.Residuals.Where(b => !b.IsNormedAfter).ToArray();
        foreach (var block in all)
        {
            blocks += attention && !block.HasAttention ? 0 : 1;
            attention = block.HasAttention;
        }

        var open = all.Where(b => !b.StartsAtZero).ToArray();
        if (blocks <= Most || open.Length == 0)
            yield break;
        var growth = 1.0;
        foreach (var block in all)
        {
            var factor = context.Propagation.Find(block.Sum)?.Square / context.Propagation.Find(block.Skip)?.Square;
            growth *= factor is { } f && double.IsFinite(f) ? Math.Max(1, f) : 1;
        }

        if (growth <= Harmless)
            yield break;
        foreach (var block in open)
        {
            yield return At(context, block.Last.Node, $"this is the last map of a residual branch in a net of {blocks} blocks and does not start at zero: the variance is predicted to grow by a factor of {growth:G3} over all of them", growth) with
            {
                Notes = ["init = zeros() here, or a scale that starts at zero, residual(f, zero = true), makes every block begin as the identity"],
                Edit = context.ResultOf(block.Last.Output)?.Kind is { } kind ? new SetArgument("start the branch at zero", kind, "init", "zeros()", IsSafe: false) : null,
                Related = [new(context.Location(block.Sum), "the residual sum")],
            };
        }
    }
}
