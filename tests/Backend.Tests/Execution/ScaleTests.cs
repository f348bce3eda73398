using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>Size does not change what can be planned: no recursion over depth, nothing quadratic, memory reused.</summary>
public class ScaleTests
{
    [Fact]
    public void A_chain_of_a_million_nodes_is_differentiated_planned_and_run()
    {
        const int steps = 500_000;
        var x = Expr.Variable("x", new Shape(4));
        var h = x;
        for (var i = 0; i < steps; i++)
            h = h.Tanh() + x;
        var loss = h.Sum();
        double[] values = [0.5, -1, 2, 0];
        var results = Evaluator.Evaluate([loss, loss.Grad(x)], new Dictionary<Expr, Tensor> { [x] = Tensor.Create(values) }, new PlanOptions { Float = DType.F64, Threads = 1 });
        var (expected, gradient) = (0.0, new double[4]);
        for (var k = 0; k < 4; k++)
        {
            var (value, slope) = (values[k], 1.0);
            for (var i = 0; i < steps; i++)
            {
                var t = Math.Tanh(value);
                (value, slope) = (t + values[k], ((1 - (t * t)) * slope) + 1);
            }

            expected += value;
            gradient[k] = slope;
        }

        Assert.Equal(expected, results[0].ToScalar(), 1e-9);
        for (var k = 0; k < 4; k++)
            Assert.Equal(1, results[1][k] / gradient[k], 1e-6);
    }

    [Fact]
    public void A_chain_of_views_costs_no_kernels()
    {
        var x = Expr.Variable("x", new Shape(2, 3));
        var h = x;
        for (var i = 0; i < 50_000; i++)
            h = h.Reverse(0).Transpose();
        var plan = Plan.Compile(new Program([new Named("x", x)], [], [new Named("y", h)], []), new Dictionary<string, long>());
        Assert.Equal(1, plan.KernelCount);
    }

    [Fact]
    public void A_long_chain_needs_the_memory_of_a_short_one()
    {
        static long Bytes(int layers)
        {
            var h = Expr.Variable("x", new Shape(32, 64));
            var w = Expr.Variable("w", new Shape(64, 64));
            var program = new Program([new Named("x", h), new Named("w", w)], [], [], []);
            for (var i = 0; i < layers; i++)
                h = h.MatMul(w).Tanh() + i;
            return Plan.Compile(program with { Outputs = [new Named("y", h)] }, new Dictionary<string, long>()).TemporaryBytes;
        }

        Assert.Equal(Bytes(5), Bytes(500));
        Assert.True(Bytes(5) <= 2 * 32 * 64 * 4);
    }
}
