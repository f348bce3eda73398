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
    [Fact]
    public void Plans_of_the_bench_models_cost_what_they_did()
    {
        var text = new StringBuilder();
        foreach (var path in Directory.EnumerateFiles(RepoRoot.Combine("examples", "bench"), "*.dnn").Order(StringComparer.Ordinal))
        {
            var file = Compiler.Compile(path);
            var model = file.Model!;
            var recipe = file.Recipe ?? new TrainingRecipe { Optimizer = new Adam(0.001) };
            Describe("train", TrainingStep.Build(model, recipe, 100), 32);
            Describe("infer", TrainingStep.Prediction(model), 1);

            void Describe(string mode, Program program, int rows)
            {
                var plan = Plan.Compile(program.Simplify(model.Provenance), new Dictionary<string, long> { ["B"] = rows }, new PlanOptions { Threads = 1 });
                text.Append(CultureInfo.InvariantCulture, $"{model.Name} {mode}, batch {rows}: {plan.KernelCount} kernels, {plan.BufferCount} buffers, ");
                text.Append(CultureInfo.InvariantCulture, $"{plan.BytesMoved} bytes moved, {plan.TemporaryBytes} bytes of temporaries, {plan.Flops} flop\n");
            }
        }

        Golden.Verify(text.ToString());
    }
}
