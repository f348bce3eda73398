using Dnn.Graph;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Data, training and settings.</summary>
public class TrainTests
{
    private const string Moons = """
        data d = two_moons(samples = 100) {
          split train = 80%, validation = 15, test = blobs(samples = 10, classes = 2)
          normalize x
        }
        model M(hidden: int = 4, drop: float = 0.0) {
          input x: [B, 2]
          target y: [B, 1]
          let logit = x |> dense(hidden) |> relu |> dropout(drop) |> dense(1)
          loss bce_with_logits(logit, y)
          metric accuracy = mean((logit > 0) == (y > 0.5))
        }

        """;

    [Fact]
    public void The_first_example_of_the_language()
    {
        var result = Compile.Fine(Samples.TwoMoons);
        var chosen = result.Chosen!;
        Assert.Equal("TwoMoons", chosen.ModelName);
        Assert.Equal([("dense_0.weight", "[2, 32]"), ("dense_0.bias", "[32]")], chosen.Model!.Parameters.Take(2).Select(p => (p.Path, p.Shape.ToString())));
        Assert.Equal(new TwoMoonsSource(2000, 0.1, 7), chosen.Data!.Source);
        Assert.Equal(["train", "validation"], chosen.Data.Split.Select(s => s.Name));
        var recipe = chosen.Recipe!;
        Assert.Equal(new AdamW(new WarmupCosineSchedule(0.01, 50), Decay: 1e-4), recipe.Optimizer);
        Assert.Equal((64, 30, 1.0, 42), (recipe.Batch, recipe.Epochs, recipe.ClipNorm, recipe.Seed));
        Assert.Equal(new EarlyStop("validation.loss", 5), recipe.EarlyStop);
        Assert.True(Assert.Single(TestRunner.Run(result)).Passed);
    }

    [Fact]
    public void Every_option_reaches_the_recipe()
    {
        var recipe = Compile.Fine(Moons + """
            train M() on d {
              optimizer sgd(0.1, 0.9, true)
              batch 8
              steps 500 steps
              clip_norm 2
              clip_value 0.5
              early_stop(on = validation.accuracy, patience = 3, maximize = true)
              seed 9
              shuffle false
              weight_decay_on all
            }
            """).Recipe!;
        Assert.Equal(new Sgd(0.1, 0.9, true), recipe.Optimizer);
        Assert.Equal((8, int.MaxValue, 500L, 2.0, 0.5, 9L, false, true), (recipe.Batch, recipe.Epochs, recipe.Steps, recipe.ClipNorm, recipe.ClipValue, recipe.Seed, recipe.Shuffle, recipe.DecayAll));
        Assert.Equal(new EarlyStop("validation.accuracy", 3, 0, true), recipe.EarlyStop);
    }

    [Fact]
    public void Trains_are_told_apart_by_name_and_a_model_without_one_is_compiled_too()
    {
        const string Text = Moons + "train small = M(hidden = 2) on d {\n  optimizer adam()\n}\ntrain big = M(hidden = 64) on d {\n  optimizer adam(lr = cosine(0.1))\n}\nmodel N {\n  input x: [B, 3]\n  output y = x |> dense(1)\n}\n";
        Assert.Equal(2, Hidden(Compile.Fine(Text).Model!));
        Assert.Equal(64, Hidden(Compile.Fine(Text, new() { TrainName = "big" }).Model!));
        Assert.Equal("N", Compile.Fine(Text, new() { ModelName = "N" }).Model!.Name);
        Assert.Equal(["small", "big", null], Compile.Fine(Text).Models.Select(m => m.Name));
        Assert.True(Compiler.Compile(new SourceText(Text), new() { TrainName = "bigg" }).HasErrors);

        static long Hidden(Model model) => model.Parameters[0].Shape[1].Value;
    }

    [Fact]
    public void Settings_override_hyperparameters_and_options()
    {
        const string Text = "hyper rate: float = 0.1 in 0.0..1.0\n" + Moons + "train M(hidden = 16) on d {\n  optimizer adam(lr = rate)\n  batch 8\n}\n";
        var result = Compile.Fine(Text, Set(("hidden", "5"), ("rate", "0.5"), ("train.batch", "32"), ("train.epochs", "3 epochs"), ("train.optimizer.eps", "1e-6")));
        Assert.Equal(5, result.Model!.Parameters[0].Shape[1].Value);
        Assert.Equal((32, 3), (result.Recipe!.Batch, result.Recipe.Epochs));
        Assert.Equal(new Adam(0.5, Epsilon: 1e-6), result.Recipe.Optimizer);
        Assert.Contains(Compile.Diagnostics(new(Text), Set(("rate", "1.5"))), d => d.Code == DiagnosticCodes.OutOfRange.Code);
        Assert.Contains(Compile.Diagnostics(new(Text), Set(("hidden", "many"))), d => d.Code == DiagnosticCodes.UnknownName.Code);
        Assert.Contains(Compile.Diagnostics(new(Text), Set(("hidden", "0.5"))), d => d.Code == DiagnosticCodes.NotWhole.Code);
        Assert.Contains(Compile.Diagnostics(new(Text), Set(("train.bacth", "1"))), d => d.Notes.Contains("did you mean 'batch'?"));

        static CompileOptions Set(params (string, string)[] values) => new() { Overrides = values.ToDictionary(v => v.Item1, v => v.Item2) };
    }

    [Fact]
    public void A_layer_may_be_set()
    {
        const string Text = "hyper act: layer = relu\nmodel M {\n  input x: [B, 2]\n  output y = x |> act\n}";
        var model = Compile.Model(Text, new() { Overrides = new Dictionary<string, string> { ["act"] = "dense(3) |> tanh" } });
        Assert.Equal(["act_0.dense_0.weight", "act_0.dense_0.bias"], Compile.Paths(model));
    }

    [Fact]
    public void Columns_of_files_are_checked_through_the_reader()
    {
        const string Text = """
            data d = csv("iris.csv", label = "species") {
              rename kind = label
            }
            model M {
              input features: [B, N]
              target kind: [B]
              param a: [] = 1
              loss mse(a * mean(features, axis = 1), kind)
            }
            train M() on d {
              optimizer sgd(0.1)
            }
            """;
        Assert.Empty(Compile.Fine(Text).Diagnostics);
        var schema = new DataSchema([new("features", DType.Float, [4]), new DataColumn("kind", DType.I64, []) { Classes = 3, IsTarget = true }], 150);
        Assert.Equal(schema, Compile.Fine(Text, new() { DataReader = new Reader(_ => schema) }).Chosen!.Schema);
        var hot = new DataSchema([new("features", DType.Float, [4]), new("kind", DType.Float, [3])], 150);
        Assert.Equal(DiagnosticCodes.ColumnType.Code, Assert.Single(Compile.Diagnostics(new(Text), new() { DataReader = new Reader(_ => hot) })).Code);
        var missing = new Reader(_ => throw new DataFormatException("iris.csv", "there is no such file"));
        var found = Assert.Single(Compile.Diagnostics(new(Text), new() { DataReader = missing }));
        Assert.Equal((DiagnosticCodes.InvalidData.Code, "csv(\"iris.csv\", label = \"species\")"), (found.Code, found.Span.Text));
    }

    [Fact]
    public void Loading_throws_what_is_wrong()
    {
        var path = Path.Combine(Path.GetTempPath(), $"dnn-{Guid.NewGuid():N}.dnn");
        try
        {
            File.WriteAllText(path, "model M {\n  input x: [B, 2]\n  output y = rleu(x)\n}");
            Assert.Contains("rleu", Assert.Throws<CompileException>(() => Compiler.Load(path)).Message, StringComparison.Ordinal);
            File.WriteAllText(path, "model M {\n  input x: [B, 2]\n  output y = relu(x)\n}");
            Assert.Equal("M", Compiler.Load(path).Name);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void The_bound_stage_names_what_everything_means()
    {
        var text = Compile.Fine("layer f(k: float = 2.0)(x: [B, D]) {\n  return k * x\n}\nmodel M {\n  input x: [B, 2]\n  output y = x |> f() |> relu\n}").BoundText;
        Assert.Equal("""
            1:7 f := layer f
            1:9 k := hyper k
            1:25 x := tensor x
            1:29 B → dimension B, declared 1:29
            1:32 D → dimension D, declared 1:32
            2:10 k → hyper k, declared 1:9
            2:14 x → tensor x, declared 1:25
            4:7 M := model M
            5:9 x := input x
            5:13 B → dimension B, declared 5:13
            6:10 y := output y
            6:14 x → input x, declared 5:9
            6:19 f → layer f, declared 1:7
            6:19 f() → instance f_0
            6:26 relu → function relu(x)

            """, text, ignoreLineEndingDifferences: true);
    }

    [Fact]
    public void Every_row_of_the_catalog_is_documented_and_every_default_is_one()
    {
        Assert.Equal(Catalog.All.Length, Catalog.All.Select(e => e.Name).Distinct().Count());
        Assert.All(Catalog.All, e => Assert.True(e.Equation.Length > 0 && e.Explain().Contains(e.Name, StringComparison.Ordinal), e.Name));
    }

    private sealed class Reader(Func<DataDescription, DataSchema> read) : IDataReader
    {
        public DataSchema ReadSchema(DataDescription data) => read(data);
    }
}
