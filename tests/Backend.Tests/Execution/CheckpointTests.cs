using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>Values that are computed again for gradients.</summary>
public class CheckpointTests
{
    private const int Depth = 12, Width = 64;

    private static Model Deep(bool again) => Model.Build("Deep", m =>
    {
        var x = m.Input("x", 256, Width);
        for (var i = 0; i < Depth; i++)
        {
            var (up, down) = (Layers.Dense(4 * Width), Layers.Dense(Width));
            var block = new Layer("block", (_, h) => h + down.Apply(up.Apply(h).Gelu().Tanh()));
            x = (again ? block.Checkpoint() : block).Apply(x);
        }

        m.Loss(x.Square().Mean());
    });

    [Fact]
    public void Planned_memory_falls_and_the_numbers_stay()
    {
        var (kept, again) = (Deep(again: false), Deep(again: true));
        Assert.Equal(kept.Parameters.Select(p => p.Path), again.Parameters.Select(p => p.Path));
        var plans = new[] { kept, again }.Select(m => Plan.Compile(TrainingStep.Gradients(m, training: true), new Dictionary<string, long>(), new PlanOptions { Threads = 1 })).ToArray();

        foreach (var plan in plans)
        {
            var before = Memory.Taken;
            new Session(plan.Program, plan.Options).Prepare(plan);
            Assert.InRange(Memory.Taken - before, plan.TensorBytes, 1.05 * plan.TensorBytes);
        }

        Assert.True(plans[1].TemporaryBytes < plans[0].TemporaryBytes / 2, $"{plans[0].TemporaryBytes} → {plans[1].TemporaryBytes}");
    }

    [Fact]
    public void Every_block_is_computed_twice()
    {
        static int Products(Model model) => Expr.PostOrder(TrainingStep.Gradients(model, training: true).Roots).Count(n => n.Op is DotGeneral);
        Assert.Equal(Products(Deep(again: false)) + Depth, Products(Deep(again: true)));
    }
}
