using System.Text.RegularExpressions;
using Dnn.Backend;
using Dnn.Dsl;
using Dnn.Graph;
using Dnn.Testing;
using Xunit;

namespace Dnn.Cli.Tests;

/// <summary>Every example file reaches the bar that its kind of task sets.</summary>
public class ExampleTests
{
    public static TheoryData<string> Files => [.. Directory.GetFiles(RepoRoot.Combine("examples"), "*.dnn").Select(Path.GetFileName).Select(f => f!).Where(f => f != Fashion).Order(StringComparer.Ordinal)];

    // Its data come from a package that is not on every machine.
    internal const string Fashion = "fashion_mnist.dnn";

    internal static bool HasFashion => Directory.Exists("/usr/share/datasets/fashion-mnist");

    [Theory]
    [MemberData(nameof(Files))]
    public void An_example_checks_without_a_word_and_has_a_bar_below(string file)
    {
        Assert.Empty(Compile(file).Diagnostics);
        Assert.Contains(file, new[] { "diabetes.dnn", "digits.dnn", "digits_conv.dnn", "iris.dnn", "two_moons.dnn", "worked.dnn" });
    }

    [Theory]
    [InlineData("mlp.dnn", 535_818)]
    [InlineData("tiny.dnn", 337)]
    [InlineData("lstm.dnn", 83_722)]
    public void A_benchmark_is_the_network_of_its_peers(string file, long parameters)
    {
        var result = Compile(Path.Combine("bench", file));
        Assert.Empty(result.Diagnostics);
        Assert.Equal(parameters, result.Model!.ParameterCount);
    }

    [Fact]
    public void The_worked_examples_hold()
    {
        using StringWriter output = new(), error = new();
        Assert.True(Cli.Run(["test", RepoRoot.Combine("examples", "worked.dnn")], output, error) == 0, $"{output}{error}");
        Assert.EndsWith("10 passed, 0 failed\n", output.ToString());

        // Every number of the table in the reference is asserted there.
        var asserted = File.ReadAllText(RepoRoot.Combine("examples", "worked.dnn"));
        var table = Regex.Match(File.ReadAllText(RepoRoot.Combine("docs", "language.md")), @"## Worked examples.*?\n\n((\|.*\n)+)").Groups[1].Value;
        var numbers = Regex.Matches(Regex.Replace(table, @"(?<=\d),(?=\d{3})", ""), @"\d+(\.\d+)?").Select(m => m.Value).Distinct().ToArray();
        Assert.InRange(numbers.Length, 15, 50);
        Assert.All(numbers.Where(n => n.Length > 1), number => Assert.Contains(number, asserted));
    }

    [Fact]
    public void Fashion_mnist_learns_where_its_package_is_installed_and_names_it_elsewhere()
    {
        var result = Compile(Fashion);
        if (!HasFashion)
        {
            Assert.Contains("apt install dataset-fashion-mnist", Assert.Single(result.Diagnostics).Message);
            return;
        }

        Assert.Empty(result.Diagnostics);
        var data = Read(Fashion);
        Assert.Equal([("train", 55000), ("validation", 5000), ("test", 10000)], data.Splits.Select(s => (s.Name, s.Rows)));
        var few = new DataSet(data.Schema, [data["train"].Take("train", [.. Enumerable.Range(0, 640)])]);
        var log = Trainer.Fit(result.Model!, result.Recipe! with { Epochs = 6, Batch = 64 }, few).Log;
        Assert.True(log[^1].Loss < 0.5 * log[0].Loss);
    }

    [Fact]
    public void Digits_reach_97_percent() => Assert.True(Last(Train("digits.dnn").Log, "accuracy") >= 0.97);

    [Fact]
    public void Digits_reach_97_percent_by_convolutions() => Assert.True(Last(Train("digits_conv.dnn").Log, "accuracy") >= 0.97);

    [Fact]
    public void Two_moons_reach_99_percent() => Assert.True(Last(Train("two_moons.dnn").Log, "accuracy") >= 0.99);

    [Fact]
    public void Iris_reaches_95_percent_on_average_over_five_seeds() =>
        Assert.True(Enumerable.Range(1, 5).Average(seed => Last(Train("iris.dnn", seed).Log, "accuracy")) >= 0.95);

    [Fact]
    public void Diabetes_is_predicted_40_percent_better_than_by_the_mean()
    {
        var data = Read("diabetes.dnn");
        var validation = data["validation"]["progression"];
        // The target is normalized by the training part: the mean predictor says 0.
        var ofMean = Enumerable.Range(0, validation.Shape[0]).Average(i => validation[i, 0] * validation[i, 0]);
        Assert.InRange(Last(Train("diabetes.dnn").Log, "loss"), 0, 0.6 * ofMean);
    }

    [Fact]
    public void The_printed_gradient_of_an_example_compiles_and_computes_the_same_numbers()
    {
        foreach (var (file, rows) in new[] { ("two_moons.dnn", "x"), ("digits.dnn", "features"), ("digits_conv.dnn", "features") })
        {
            var model = Compile(file).Model!;
            var printed = ModelPrinter.Differentiate(model with { }, Phases.Resolve([model.TotalLoss], training: false)[0], [.. model.Parameters.Select(p => new Named(p.Path, p.Variable))]);
            var again = Compiler.Compile(new SourceText(printed.ToSource()));
            Assert.Empty(again.Diagnostics);

            var options = new PlanOptions { Float = DType.F64 };
            var weights = Initialization.Sample(model, 3, DType.F64);
            var split = Read(file)["train"].Take("some", [0, 1, 2, 3, 4]);
            (string, Tensor)[] inputs = [.. model.Inputs.Concat(model.Targets).Select(i => (i.Name, split[i.Name]))];
            var expected = new Predictor(model, weights, TrainingStep.Gradients(model), options).Predict(inputs);
            var actual = new Predictor(again.Model!, weights, options).Predict(inputs);
            Assert.Equal(model.Parameters.Length, actual.Count);
            foreach (var parameter in model.Parameters)
            {
                var (e, a) = (expected[parameter.Path].ToArray<double>(), actual["grad_" + ModelPrinter.Identifier(parameter.Path)].ToArray<double>());
                for (var i = 0; i < e.Length; i++)
                    Assert.Equal(e[i], a[i], 1e-12 * Math.Max(1, Math.Abs(e[i])));
            }

            Assert.Equal(5, split[rows].Shape[0]);
        }
    }

    private static CompileResult Compile(string file) =>
        Compiler.Compile(RepoRoot.Combine("examples", file), new CompileOptions { DataReader = Reader });

    private static DataReader Reader => new(RepoRoot.Combine("examples"));

    private static DataSet Read(string file) => Reader.Read(Compile(file).Chosen!.Data!);

    private static TrainingResult Train(string file, long? seed = null)
    {
        var chosen = Compile(file).Chosen!;
        var recipe = chosen.Recipe!;
        return Trainer.Fit(chosen.Model!, seed is { } s ? recipe with { Seed = s } : recipe, Reader.Read(chosen.Data!));
    }

    private static double Last(IReadOnlyList<LogRecord> log, string value) =>
        log.Last(r => r.Split == "validation").Values.First(v => v.Key == value).Value;
}
