using Dnn.Checking;
using FsCheck.Xunit;
using Xunit;

namespace Dnn.Graph.Tests;

public class GradientProperties
{
    [Property(Arbitrary = [typeof(GraphArbitrary.Differentiable)], MaxTest = 300)]
    public void Gradients_agree_with_all_oracles(GraphRecipe recipe) => Check(recipe, 1);

    [Property(Arbitrary = [typeof(GraphArbitrary.Smooth)], MaxTest = 150, EndSize = 60)]
    public void Second_derivatives_agree_with_all_oracles(GraphRecipe recipe) => Check(recipe, 2);

    [Property(Arbitrary = [typeof(GraphArbitrary.Differentiable)], MaxTest = 150)]
    public void Rewriting_first_or_afterwards_gives_the_same_gradient(GraphRecipe recipe)
    {
        var sample = recipe.Sample;
        var inputs = sample.Inputs;
        var direct = Gradient.Of(sample.Loss, inputs);
        var stable = Rewriter.Default.Rewrite(sample.Loss);
        var late = Rewriter.Default.Rewrite([.. direct.OfType<Expr>()]);
        var early = Gradient.Of(stable, inputs);
        Verifier.Verify([stable, .. late, .. early.OfType<Expr>()]);
        var lateNext = 0;
        for (var k = 0; k < inputs.Length; k++)
        {
            if (direct[k] is not { } gradient)
                continue;
            var expected = GraphSamples.Evaluate(sample, gradient);
            GraphSamples.Close(expected, GraphSamples.Evaluate(sample, late[lateNext++]), GraphSamples.Scale(sample, gradient), 1e-9);
            if (early[k] is { } other)
                GraphSamples.Close(expected, GraphSamples.Evaluate(sample, other), GraphSamples.Scale(sample, gradient), 1e-8);
        }
    }

    [Property(Arbitrary = [typeof(GraphArbitrary.Differentiable)])]
    public void Phases_resolve_before_or_after_differentiation(GraphRecipe recipe)
    {
        var sample = recipe.Sample;
        var before = Gradient.Of(sample.Loss, sample.Inputs);
        var after = Gradient.Of(sample.PhasedLoss, sample.Inputs);
        for (var k = 0; k < before.Length; k++)
        {
            if (before[k] is { } expected)
                GraphSamples.Close(GraphSamples.Evaluate(sample, expected), GraphSamples.Evaluate(sample, Phases.Resolve([after[k]!], sample.Training)[0]), GraphSamples.Scale(sample, expected), 1e-12);
        }
    }

    private static void Check(GraphRecipe recipe, int order)
    {
        var sample = recipe.Sample;
        var report = GradientChecker.Check(sample.Loss, sample.Inputs, sample.Point, new GradientCheckOptions(order, Sizes: sample.Sizes));
        Assert.True(report.Passed, report.ToString());
    }
}
