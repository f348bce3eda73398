namespace Dnn.Dsl;

/// <summary>x + f(x) adds variances: without a norm in f, each block adds as much as it has got.</summary>
internal sealed class BareResidual() : LintRule(Row("DNN1003", "residual branch without a normalization",
    "A residual block adds the variance of its branch to that of its input. With a norm in the branch, or behind the sum, that is a constant; without one it is a multiple of what came in, and "
    + "the stream grows exponentially with the depth (Zhang et al. 2019; De and Smith 2020). Put a norm first in the branch, as in pre-norm Transformers, or start the branch at zero: residual(f, zero = true). "
    + "Branches that start at zero are left alone. The number is the predicted factor of the variance over this block.",
    "model M {\n  input x: [B, 16]\n  output y = x |> residual(dense(16) |> relu |> dense(16)) |> dense(1)\n}",
    "model M {\n  input x: [B, 16]\n  output y = x |> residual(layer_norm() |> dense(16) |> relu |> dense(16)) |> dense(1)\n}"))
{
    public override IEnumerable<Finding> Find(LintContext context)
    {
        var bare = context.Residuals.Where(b => !b.HasNorm && !b.StartsAtZero).ToArray();
        foreach (var block in bare)
        {
            var growth = context.Propagation.Find(block.Sum)?.Square / context.Propagation.Find(block.Skip)?.Square ?? double.NaN;
            var number = double.IsFinite(growth) ? $"the variance is predicted to grow by a factor of {growth:G3} over this block{(bare.Length > 1 ? $", {Math.Pow(growth, bare.Length):G3} over {bare.Length} like it" : "")}" : "the variance grows with every block";
            yield return At(context, block.Sum, $"this residual branch has no normalization: {number}", growth) with
            {
                Notes = ["put layer_norm() or batch_norm() into the branch, or start it at zero: residual(f, zero = true)"],
                Edit = new SetArgument("start the branch at zero", "residual", "zero", "true", IsSafe: false),
            };
        }
    }
}
