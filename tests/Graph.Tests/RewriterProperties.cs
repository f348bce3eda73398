using System.Collections.Immutable;
using Dnn.Checking;
using FsCheck.Xunit;
using Xunit;

namespace Dnn.Graph.Tests;

[Properties(Arbitrary = [typeof(GraphArbitrary.Any)])]
public class RewriterProperties
{
    [Property(MaxTest = 300)]
    public void Rewriting_keeps_values_and_types(GraphRecipe recipe)
    {
        var sample = recipe.Sample;
        foreach (var rewriter in (Rewriter[])[Rewriter.Default, Rewriter.Stabilize])
        {
            var rewritten = rewriter.Rewrite(sample.Roots);
            Verifier.Verify(rewritten);
            for (var i = 0; i < rewritten.Length; i++)
            {
                var before = sample.Roots[i];
                Assert.Equal(before.Type, rewritten[i].Type);
                var rounds = Expr.PostOrder([before]).Any(n => n.DType == DType.F32);
                GraphSamples.Close(GraphSamples.Evaluate(sample, before), GraphSamples.Evaluate(sample, rewritten[i]), GraphSamples.Scale(sample, before), rounds ? 1e-5 : 1e-10);
            }
        }
    }

    [Property(MaxTest = 300)]
    public void Rewriting_twice_is_rewriting_once(GraphRecipe recipe)
    {
        var graph = WithGradients(recipe.Sample);
        foreach (var rewriter in (Rewriter[])[Rewriter.Default, Rewriter.Stabilize])
        {
            var once = rewriter.Rewrite(graph);
            Assert.Equal<Expr>(once, rewriter.Rewrite(once));
        }
    }

    [Property(MaxTest = 200)]
    public void Every_pass_gives_graphs_that_verify(GraphRecipe recipe)
    {
        var graph = WithGradients(recipe.Sample);
        Verifier.Verify(graph);
        Verifier.Verify(Rewriter.Default.Rewrite(graph));
        Verifier.Verify(Rewriter.Stabilize.Rewrite(graph));
        Verifier.Verify(Phases.Resolve(graph, training: true));
    }

    [Property(MaxTest = 100)]
    public void Structurally_equal_is_the_same_object(GraphRecipe recipe)
    {
        // The same recipe with the same variables, built by several threads at once.
        var sample = recipe.Sample;
        var copies = new ImmutableArray<Expr>[3];
        Parallel.For(0, copies.Length, i => copies[i] = Rebuild(sample.Roots));
        Assert.All(copies, copy => Assert.Equal<Expr>(sample.Roots, copy));
    }

    private static Expr[] WithGradients(GraphSample sample) => [.. sample.Roots, .. Gradient.Of(sample.Loss, sample.Inputs).OfType<Expr>()];

    private static ImmutableArray<Expr> Rebuild(ImmutableArray<Expr> roots)
    {
        var made = new Dictionary<Expr, Expr>();
        foreach (var node in Expr.PostOrder(roots))
            made[node] = Expr.Make(node.Op with { }, [.. node.Args.Select(a => made[a])]);
        return [.. roots.Select(r => made[r])];
    }
}
