using System.Globalization;
using System.Text;
using Dnn.Dsl;
using Dnn.Graph;
using Dnn.Testing;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>What the plans of the bench models cost, in numbers that no machine changes: more than before is a regression.</summary>
public class BenchPlanTests
{
    /// <summary>The bench models, for a training step and for inference.</summary>
    private static IEnumerable<(string Name, Model Model, Program Program, int Rows)> Programs()
    {
        foreach (var path in Directory.EnumerateFiles(RepoRoot.Combine("examples", "bench"), "*.dnn").Order(StringComparer.Ordinal))
        {
            var file = Compiler.Compile(path);
            var model = file.Model!;
            yield return ("train", model, TrainingStep.Build(model, file.Recipe ?? new TrainingRecipe { Optimizer = new Adam(0.001) }, 100).Simplify(model.Provenance), 32);
            yield return ("infer", model, TrainingStep.Prediction(model).Simplify(model.Provenance), 1);
        }
    }

    [Fact]
    public void Plans_of_the_bench_models_cost_what_they_did()
    {
        var text = new StringBuilder();
        foreach (var (mode, model, program, rows) in Programs())
        {
            var plan = Plan.Compile(program, new Dictionary<string, long> { ["B"] = rows }, new PlanOptions { Threads = 1 });
            text.Append(CultureInfo.InvariantCulture, $"{model.Name} {mode}, batch {rows}: {plan.KernelCount} kernels, {plan.BufferCount} buffers, ");
            text.Append(CultureInfo.InvariantCulture, $"{plan.BytesMoved} bytes moved, {plan.TemporaryBytes} bytes of temporaries, {plan.Flops} flop\n");
        }

        Golden.Verify(text.ToString());
    }

    [Fact]
    public void The_tensors_of_a_plan_are_what_a_session_allocates_and_a_step_allocates_nothing()
    {
        foreach (var (mode, model, program, rows) in Programs())
        {
            foreach (var threads in new[] { 1, 2 })
            {
                var before = Memory.Taken;
                var session = new Session(program, new PlanOptions { Threads = threads });
                session.Prepare(new Dictionary<string, long> { ["B"] = mode == "train" ? 2 : rows });
                var taken = Memory.Taken - before;

                // A tensor takes whole lines of 64 bytes, which counts where tensors are tiny.
                var lines = 64L * (session.Plan.Inputs.Length + session.Plan.States.Length + session.Plan.Outputs.Length + 2);
                Assert.True(Math.Abs(taken - session.Plan.TensorBytes) <= (0.05 * taken) + lines, $"{model.Name} {mode}: {session.Plan.TensorBytes} planned, {taken} taken");

                // The caller does the part of a worker that is late, and what it runs there for the first time is compiled then: one run in which nothing is new will do.
                Assert.Contains(0, Enumerable.Range(0, 8).Select(_ => AllocatedByARun(session)));
            }
        }
    }

    private static long AllocatedByARun(Session session)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        session.Run();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    [Fact]
    public void A_step_of_a_bench_model_has_the_same_bits_at_any_number_of_threads()
    {
        foreach (var (mode, model, program, _) in Programs())
        {
            var sessions = new[] { 1, 2, 3 }.Select(threads => new Session(program, new PlanOptions { Threads = threads })).ToArray();
            foreach (var session in sessions)
            {
                session.Prepare(new Dictionary<string, long> { ["B"] = 3 });
                foreach (var (path, value) in Initialization.Sample(model, 1).Where(w => program.States.Any(s => s.Name == w.Key)))
                    session.SetState(path, value);
                foreach (var input in session.Plan.Inputs)
                    session.SetInput(input.Name, Tensor.Create([.. Enumerable.Range(0, (int)input.Count).Select(i => input.Type.IsFloat() ? Math.Sin(i) : i % 7)], [.. input.Dims]));
                session.Run();
                session.Run();
            }

            foreach (var other in sessions[1..])
            {
                foreach (var state in program.States)
                    Assert.True(sessions[0].GetState(state.Name).BitEquals(other.GetState(state.Name)), $"{model.Name} {mode}: {state.Name} on {other.Options.Threads} threads");
                for (var i = 0; i < program.Outputs.Length; i++)
                    Assert.True(sessions[0].GetOutput(i).BitEquals(other.GetOutput(i)), $"{model.Name} {mode}: {program.Outputs[i].Name} on {other.Options.Threads} threads");
            }
        }
    }
}
