using Dnn.Graph;
using Dnn.Testing;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Train blocks.</summary>
public class RecipeTests
{
    private const string Game = """
        data d = two_moons(samples = 100) { split train = 80%, validation = 20% }
        model M(hidden: int = 4) {
          input x: [B, 2]
          target y: [B, 1]
          let encoder = dense(hidden) |> relu |> dense(3)
          let head = dense(1)
          let logit = x |> encoder |> head
          loss bce_with_logits(logit, y) as task
          loss 1e-3 * l2(params(head)) as penalty
        }

        """;

    /// <summary>Each option, the arguments of its three forms, and what it does to a recipe.</summary>
    private static readonly (string Option, string Bare, string Named, Func<TrainingRecipe, object?> Read, object Expected)[] Options =
    [
        ("batch", "8", "size = 8", r => r.Batch, 8),
        ("accumulate", "4", "batches = 4", r => r.Accumulate, 4),
        ("epochs", "3 epochs", "count = 3", r => r.Epochs, 3),
        ("steps", "9 steps", "count = 9", r => r.Steps, 9L),
        ("clip_norm", "2", "norm = 2", r => r.ClipNorm, 2.0),
        ("clip_value", "0.5", "value = 0.5", r => r.ClipValue, 0.5),
        ("early_stop", "train.loss", "on = train.loss, patience = 5", r => r.EarlyStop, new EarlyStop("train.loss")),
        ("checkpoint", "5 epochs", "every = 5", r => r.Checkpoint, new CheckpointPlan(5)),
        ("checkpoint", "20 steps", "every = 20 steps", r => r.Checkpoint, new CheckpointPlan(20, InSteps: true)),
        ("ema", "0.99", "decay = 0.99", r => r.Ema, 0.99),
        ("seed", "7", "seed = 7", r => r.Seed, 7L),
        ("shuffle", "false", "shuffle = false", r => r.Shuffle, false),
        ("precision", "f64", "type = \"f64\"", r => r.Precision, DType.F64),
        ("log", "10 steps", "every = 10", r => r.LogEvery, 10L),
        ("weight_decay_on", "all", "which = all", r => r.DecayAll, true),
        ("weight_decay_on", "[head, \"*.bias\"]", "which = [head, \"*.bias\"]", r => r.DecayOn, (ValueList<string>)["head", "*.bias"]),
        ("start_from", "\"w.safetensors\"", "path = \"w.safetensors\"", r => r.StartFrom, new StartFrom("w.safetensors")),
        ("freeze", "encoder.dense_0", "parts = encoder.dense_0", r => r.Freeze, (ValueList<string>)["encoder.dense_0"]),
        ("optimizer", "sgd(0.5)", "optimizer = sgd(0.5)", r => r.Optimizer, new Sgd(0.5)),
    ];

    [Fact]
    public void Every_option_has_three_forms()
    {
        foreach (var (option, bare, named, read, expected) in Options)
        {
            foreach (var line in new[] { $"{option} {bare}", $"{option} {named}", $"{option}({named})" })
                Assert.Equal((line, expected), (line, read(Recipe(option == "optimizer" ? line : $"optimizer adam()\n  {line}"))));
        }

        Assert.Empty(TrainOptions.All.Select(o => o.Name).Except(Options.Select(o => o.Option)));
    }

    [Fact]
    public void Every_option_may_be_set()
    {
        foreach (var (option, bare, _, read, expected) in Options)
        {
            var text = Game + "train M() on d {\n  optimizer adam()\n}\n";
            var name = option == "early_stop" ? "train.early_stop.on" : $"train.{option}";
            var recipe = Compile.Fine(text, new() { Overrides = new Dictionary<string, string> { [name] = bare } }).Recipe!;
            Assert.Equal((option, expected), (option, read(recipe)));
        }
    }

    [Fact]
    public void Several_optimizers_say_what_they_move_what_they_minimize_and_how_often()
    {
        var recipe = Recipe("""
            optimizer adam(lr = 0.1) on (encoder.dense_0, encoder.dense_1) minimize task
              optimizer sgd(0.2) on head minimize penalty every 5 steps
              optimizer sgd(0.3) every 2
            """);
        Assert.Equal(
            [
                new OptimizerLine(new Adam(0.1)) { On = ["encoder.dense_0", "encoder.dense_1"], Minimize = "task" },
                new OptimizerLine(new Sgd(0.2)) { On = ["head"], Minimize = "penalty", Every = 5 },
                new OptimizerLine(new Sgd(0.3)) { Every = 2 },
            ],
            recipe.Optimizers);
    }

    [Fact]
    public void Settings_of_optimizers_reach_each_that_has_them()
    {
        var text = Game + "train M() on d {\n  optimizer adam(lr = 0.1) on encoder\n  optimizer sgd(0.2) on head\n}\n";
        var recipe = Compile.Fine(text, new() { Overrides = new Dictionary<string, string> { ["train.optimizer.lr"] = "0.5", ["train.optimizer.momentum"] = "0.9" } }).Recipe!;
        Assert.Equal([new Adam(0.5), new Sgd(0.5, 0.9)], recipe.Optimizers.Select(l => l.Optimizer));
    }

    [Fact]
    public void Weights_to_start_from_may_be_chosen_and_renamed()
    {
        var recipe = Recipe("optimizer adam()\n  start_from \"w.safetensors\" only \"encoder.*\", \"head.bias\", rename \"backbone.\" = \"encoder.\"\n  freeze(encoder, head.bias)");
        Assert.Equal(new StartFrom("w.safetensors") { Only = ["encoder.*", "head.bias"], Renames = [new("backbone.", "encoder.")] }, recipe.StartFrom);
        Assert.Equal(["encoder", "head.bias"], recipe.Freeze);
        Assert.Equal(["head.weight"], Compile.Fine(Game + Block("optimizer adam()\n  freeze(encoder, head.bias)")).Model!.Parameters.Where(recipe.Trains).Select(p => p.Path));
    }

    [Theory]
    [InlineData("ema 1", "DNN0306", "between 0 and 1")]
    [InlineData("ema -0.5", "DNN0306", "above 0")]
    [InlineData("accumulate 0", "DNN0306", "out of range")]
    [InlineData("batch 0", "DNN0306", "out of range")]
    [InlineData("clip_norm 0", "DNN0306", "above 0")]
    [InlineData("log 0", "DNN0306", "out of range")]
    [InlineData("log 3 epochs", "DNN0314", "not counted in epochs")]
    [InlineData("checkpoint 1.5", "DNN0305", "whole number")]
    [InlineData("precision bf16", "DNN0117", "no arithmetic of 16 bits")]
    [InlineData("precision f8", "DNN0117", "takes f32, f64")]
    [InlineData("freeze 3", null, "a path is needed here")]
    [InlineData("freeze", "DNN0104", "needs `parts`")]
    [InlineData("start_from 3", null, "path of a safetensors file")]
    [InlineData("optimizer sgd(0.1) minimize tsk", null, "no loss `tsk`")]
    [InlineData("optimizer adam(lr = -1)", "DNN0306", "`lr` of an optimizer is at least 0 and finite, not -1")]
    [InlineData("optimizer adam(betas = (0.9, 1.5))", "DNN0306", "`betas` of adam is at least 0 and below 1, not 1.5")]
    [InlineData("optimizer sgd(0.1, -0.5)", "DNN0306", "`momentum` of sgd")]
    [InlineData("optimizer adamw(weight_decay = -1)", "DNN0306", "`weight_decay` of adamw is at least 0")]
    [InlineData("optimizer adam(lr = cosine(0.1, floor = -0.2))", "DNN0306", "`floor` of cosine is at least 0 and finite, not -0.2")]
    [InlineData("optimizer sgd(piecewise([1 steps], [0.1, -1]))", "DNN0306", "`rates` of piecewise")]
    [InlineData("optimizer lbfgs(history = 0)", "DNN0306", "`history` of lbfgs is at least 1, not 0")]
    public void Options_out_of_range_are_refused(string option, string? code, string message)
    {
        var found = Compile.Diagnostics(new(Game + Block(option.StartsWith("optimizer", StringComparison.Ordinal) ? option : $"optimizer adam()\n  {option}")));
        var diagnostic = Assert.Single(found);
        Assert.Contains(message, diagnostic.Message + string.Concat(diagnostic.Notes), StringComparison.Ordinal);
        if (code is not null)
            Assert.Equal(code, diagnostic.Code);
    }

    [Theory]
    [InlineData("adam(betas = [|(0.9, 1.5)|])")]
    [InlineData("sgd(lr = [|-1|])")]
    [InlineData("sgd(cosine(0.1, floor = [|-0.2|]))")]
    [InlineData("adamw(1e-3, (0.9, 0.99), [|-1e-8|])")]
    public void The_number_out_of_range_is_marked(string optimizer)
    {
        var marked = MarkedSource.Parse(Game + Block($"optimizer {optimizer}"));
        Assert.Equal(marked.Span, Assert.Single(Compile.Diagnostics(marked.Source)).Span);
    }

    [Fact]
    public void Hyperparameters_have_the_values_that_they_came_to()
    {
        const string Text = "hyper rate: float = 0.1 * 5 in 0.0..1.0\nhyper name: string = \"a\"\nhyper act: layer = relu   |>  tanh\nhyper sizes: [int] = [1 + 1, 3]\n" + Game + "train M(hidden = 16 * 2) on d {\n  optimizer adam(lr = rate)\n}\n";
        Assert.Equal(
            ["act = relu |> tanh", "hidden = 32", "name = a", "rate = 0.5", "sizes = [2, 3]"],
            Compile.Fine(Text).Chosen!.Hypers.Select(h => $"{h.Key} = {h.Value}"));
        var set = Compile.Fine(Text, new() { Overrides = new Dictionary<string, string> { ["hidden"] = "5 + 1", ["name"] = "b" } }).Chosen!.Hypers;
        Assert.Equal(("6", "b"), (set["hidden"], set["name"]));
    }

    private static string Block(string options) => $"train M() on d {{\n  {options}\n}}\n";

    private static TrainingRecipe Recipe(string options) => Compile.Fine(Game + Block(options)).Recipe!;
}
