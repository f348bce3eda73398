using Dnn.Graph;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Hyperparameters and <c>--set</c>: types, ranges, names, options of the train block.</summary>
public class SettingTests
{
    private const string Source = """
        hyper depth: int = 2 in 1..4
        hyper rate: float = 0.1 in 0.0..0.5
        hyper act: layer = relu
        hyper start: init = normal(0.1)
        hyper plan: schedule = cosine(0.01)
        hyper name: string = "abc"
        hyper deep: bool = false
        hyper sizes: [int] = [4, 8]
        hyper pair: (int, float) = (1, 0.5)
        data moons = two_moons(samples = 100) { split train = 80%, validation = 20% }
        model M(width: int = 8, last: layer = tanh) {
          input x: [B, 2]
          target y: [B, 1]
          let body = for i in 0..depth { dense(width) |> act |> last |> dropout(rate) }
          let head = dense(1, init = start)
          let out = x |> body |> head
          output p = sigmoid(out)
          loss bce_with_logits(out, y)
        }
        train M(width = 16) on moons {
          optimizer adam(lr = plan)
          batch 10
          epochs 2
          early_stop on = validation.loss, patience = 3
        }
        """;

    private static CompileResult Set(params string[] settings) =>
        Compiler.Compile(new SourceText(Source, "m.dnn"), new CompileOptions { Overrides = settings.Select(s => s.Split('=', 2)).ToDictionary(s => s[0], s => s[1]) });

    [Theory]
    [InlineData("depth=4", "depth", "4")]
    [InlineData("depth=8 / 2", "depth", "4")]
    [InlineData("depth=1 + 2", "depth", "3")]
    [InlineData("rate=50%", "rate", "0.5")]
    [InlineData("rate=0", "rate", "0")]
    [InlineData("act=gelu", "act", "gelu")]
    [InlineData("act=relu |> dense(4)", "act", "relu |> dense(4)")]
    [InlineData("last=relu", "last", "relu")]
    [InlineData("start=zeros()", "start", "zeros()")]
    [InlineData("start=0.5", "start", "0.5")]
    [InlineData("plan=0.1", "plan", "0.1")]
    [InlineData("plan=linear(0.1)", "plan", "linear(0.1)")]
    [InlineData("name=hello world", "name", "hello world")]
    [InlineData("name=\"quoted\"", "name", "quoted")]
    [InlineData("deep=true", "deep", "true")]
    [InlineData("sizes=[1, 2, 3]", "sizes", "[1, 2, 3]")]
    [InlineData("pair=(2, 0.25)", "pair", "(2, 0.25)")]
    [InlineData("width=4", "width", "4")]
    [InlineData("width=depth * 4", "width", "8")]
    public void A_hyperparameter_takes_a_value_of_its_type(string setting, string name, string value)
    {
        var result = Set(setting);
        Assert.True(result.Diagnostics.IsEmpty, new DiagnosticFormatter().Format(result.Diagnostics));
        Assert.Equal(value, result.Chosen!.Hypers[name]);
    }

    [Theory]
    [InlineData("depth=0", "--set depth:1:1: error DNN0306: `depth` = 0 is out of its range 1..4")]
    [InlineData("depth=5", "--set depth:1:1: error DNN0306: `depth` = 5 is out of its range 1..4")]
    [InlineData("depth=2.5", "--set depth:1:1: error DNN0305: `depth` is a whole number, and 2.5 is none")]
    [InlineData("depth=true", "--set depth:1:1: error DNN0300: `depth` is of type int, and this is `true`")]
    [InlineData("depth=four", "--set depth:1:1: error DNN0100: there is no `four` here")]
    [InlineData("depth=1 +", "--set depth:1:4: error DNN0020: expected an expression after '+', found the end of the file")]
    [InlineData("depth=depth", "m.dnn:1:7: error DNN0122: the hyperparameter `depth` is defined by itself")]
    [InlineData("rate=0.51", "--set rate:1:1: error DNN0306: `rate` = 0.51 is out of its range 0..0.5")]
    [InlineData("rate=x", "--set rate:1:1: error DNN0100: there is no `x` here")]
    [InlineData("act=3", "--set act:1:1: error DNN0300: `act` is a layer, and this is the number 3")]
    [InlineData("act=reluu", "--set act:1:1: error DNN0100: there is no `reluu` here")]
    [InlineData("start=\"zeros\"", "--set start:1:1: error DNN0300: `start` is of type init, and this is the string \"zeros\"")]
    [InlineData("deep=1", "--set deep:1:1: error DNN0300: `deep` is of type bool, and this is the number 1")]
    [InlineData("sizes=[1.5]", "--set sizes:1:1: error DNN0305: `sizes` is a whole number, and 1.5 is none")]
    [InlineData("sizes=3", "--set sizes:1:1: error DNN0300: `sizes` is of type [int], and this is the number 3")]
    [InlineData("pair=(1, 2, 3)", "--set pair:1:1: error DNN0300: `pair` is of type (int, float), and this is a tuple of 3")]
    [InlineData("width=[1]", "--set width:1:1: error DNN0300: `width` is of type int, and this is a list of 1")]
    public void A_value_of_another_type_or_out_of_range_is_one_error(string setting, string message) => Assert.Equal([message], Set(setting).Diagnostics.Select(d => d.ToString()));

    [Theory]
    [InlineData("dept=3", "there is no hyperparameter `dept`", "did you mean 'depth'?")]
    [InlineData("Width=3", "there is no hyperparameter `Width`", "did you mean 'width'?")]
    [InlineData("unheard=3", "there is no hyperparameter `unheard`", "known: act, deep, depth, last, name, pair, plan, rate, sizes, start, width")]
    [InlineData("train.batc=3", "train blocks have no option `batc`", "did you mean 'batch'?")]
    [InlineData("train.early_stop.patienc=3", "train blocks have no option `early_stop.patienc`", "did you mean 'early_stop.patience'?")]
    [InlineData("train.optimizer.lrr=3", "train blocks have no option `optimizer.lrr`", "did you mean 'optimizer.lr'?")]
    public void A_name_that_nothing_has_is_an_error_with_a_suggestion(string setting, string message, string note)
    {
        var found = Assert.Single(Set(setting).Diagnostics);
        Assert.Equal((DiagnosticCodes.UnknownOverride, message, note), (found.Descriptor, found.Message, Assert.Single(found.Notes)));
    }

    [Fact]
    public void A_file_without_a_train_block_says_so() => Assert.Equal(
        "this file has no train block",
        Compiler.Compile(new SourceText("let a = 1"), new CompileOptions { Overrides = new Dictionary<string, string> { ["train.batch"] = "3" } }).Diagnostics.Single().Notes.Single());

    public static TheoryData<string> Options() => new(TrainOptions.All.Select(o => o.Name));

    /// <summary>What each option is set to, and whether the recipe has it.</summary>
    private static readonly Dictionary<string, (string[] Settings, Func<TrainingRecipe, bool> Holds)> Effects = new()
    {
        ["optimizer"] = (["train.optimizer=sgd(0.5)", "train.optimizer.lr=0.25", "train.optimizer.momentum=0.9"], r => r.Optimizer is Sgd { Momentum: 0.9, LearningRate: ConstantSchedule { Rate: 0.25 } } || r.Optimizer is Sgd { LearningRate: ConstantSchedule { Rate: 0.25 } }),
        ["batch"] = (["train.batch=7"], r => r.Batch == 7),
        ["accumulate"] = (["train.accumulate=3"], r => r.Accumulate == 3),
        ["epochs"] = (["train.epochs=9"], r => r.Epochs == 9),
        ["steps"] = (["train.steps=50 steps"], r => r.Steps == 50),
        ["clip_norm"] = (["train.clip_norm=0.5"], r => r.ClipNorm == 0.5),
        ["clip_value"] = (["train.clip_value=0.5"], r => r.ClipValue == 0.5),
        ["early_stop"] = (["train.early_stop.patience=9", "train.early_stop.min_delta=0.5", "train.early_stop.maximize=true"], r => r.EarlyStop is { Patience: 9, MinDelta: 0.5, Maximize: true, On: "validation.loss" }),
        ["checkpoint"] = (["train.checkpoint.every=2 epochs", "train.checkpoint.keep=3"], r => r.Checkpoint is not null),
        ["ema"] = (["train.ema=0.99"], r => r.Ema == 0.99),
        ["seed"] = (["train.seed=12"], r => r.Seed == 12),
        ["shuffle"] = (["train.shuffle=false"], r => !r.Shuffle),
        ["precision"] = (["train.precision=f64"], r => r.Precision == DType.F64),
        ["log"] = (["train.log.every=10 steps"], r => r.LogEvery == 10),
        ["weight_decay_on"] = (["train.weight_decay_on=all"], r => r.DecayAll),
        ["start_from"] = (["train.start_from=old.safetensors"], r => r.StartFrom?.Path == "old.safetensors"),
        ["freeze"] = (["train.freeze=body"], r => r.Freeze.Contains("body")),
    };

    [Theory]
    [MemberData(nameof(Options))]
    public void Every_option_of_the_train_block_can_be_set(string name)
    {
        var (settings, holds) = Effects[name];
        if (name == "optimizer")
            settings = settings[..2];
        var result = Set(settings);
        Assert.True(result.Diagnostics.IsEmpty, new DiagnosticFormatter().Format(result.Diagnostics));
        Assert.True(holds(result.Recipe!), result.Recipe!.ToString());
        Assert.False(holds(Set().Recipe!));
    }

    [Theory]
    [InlineData("train.batch=0", "DNN0306")]
    [InlineData("train.batch=2.5", "DNN0305")]
    [InlineData("train.epochs=3 steps", "DNN0314")]
    [InlineData("train.clip_norm=-1", "DNN0306")]
    [InlineData("train.ema=1.5", "DNN0306")]
    [InlineData("train.optimizer=sgdd(0.1)", "DNN0100")]
    [InlineData("train.optimizer=relu", "DNN0300")]
    [InlineData("train.optimizer.lr=-1", "DNN0306")]
    [InlineData("train.freeze=bodi", "DNN0520")]
    [InlineData("train.precision=f16", "DNN0117")]
    public void A_wrong_value_of_an_option_is_one_error(string setting, string code)
    {
        var found = Assert.Single(Set(setting).Diagnostics);
        Assert.True(found.Code == code && found.Span.Source.Path.StartsWith("--set", StringComparison.Ordinal), found.ToString());
    }
}
