using Xunit;

namespace Dnn.Graph.Tests;

public class GraphTests
{
    [Fact]
    public void Every_operation_is_documented()
    {
        Assert.All(RecipeTests.AllOps, type =>
        {
            var op = (Op)System.Runtime.CompilerServices.RuntimeHelpers.GetUninitializedObject(type);
            Assert.True(op.Doc.Equation.Length > 0 && op.Doc.Gradient.Length > 0, type.Name);
            Assert.True(op.Doc.Gradient != "none" || op.IsGradientFree || op is Cast, type.Name);
        });
    }

    [Fact]
    public void A_chain_of_a_million_nodes_needs_no_stack()
    {
        var x = Expr.Variable("x", Shape.Scalar);
        var y = x;
        for (var i = 0; i < 1_000_000; i++)
            y = y.Sin();
        var gradient = y.Grad(x);
        Expr[] both = [y, gradient];
        Verifier.Verify(both);
        var rewritten = Rewriter.Default.Rewrite(both);
        Verifier.Verify(rewritten);
    }

    [Fact]
    public void A_chain_that_collapses_does_so_in_one_run()
    {
        var x = Expr.Variable("x", new Shape(2, 3));
        var y = x;
        for (var i = 0; i < 50_000; i++)
            y = -(y.Transpose() * 1 + 0);
        Assert.Same(x, Rewriter.Default.Rewrite(y));
    }
}
