using System.Globalization;
using System.Text.RegularExpressions;
using Dnn.Backend;
using Dnn.Graph;
using Dnn.Testing;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>The blocks that ship with the program.</summary>
public class StandardLibraryTests
{
    /// <summary>Every layer of the library with a model that uses it: input, expression, shape of the result.</summary>
    public static TheoryData<string, string, string, string> Samples() => new()
    {
        { "std.resnet.conv_norm", "[B, 8, 8, 3]", "conv_norm(4, 3, stride = 2)", "[B, 4, 4, 4]" },
        { "std.resnet.shortcut", "[B, 8, 8, 3]", "shortcut(4)", "[B, 8, 8, 4]" },
        { "std.resnet.basic_block", "[B, H, 8, 3]", "basic_block(4, stride = 2)", "[B, floor_div(H + 1, 2), 4, 4]" },
        { "std.resnet.bottleneck", "[B, 8, 8, 16]", "bottleneck(4)", "[B, 8, 8, 16]" },
        { "std.resnet.stage", "[B, 8, 8, 4]", "stage(4, 3, stride = 2)", "[B, 4, 4, 4]" },
        { "std.resnet.stem", "[B, 32, 32, 3]", "stem(4)", "[B, 8, 8, 4]" },
        { "std.resnet.resnet", "[B, 8, 8, 3]", "resnet([1, 1], width = 4)", "[B, 8]" },
        { "std.transformer.feed_forward", "[B, T, 8]", "feed_forward(mlp = 2)", "[B, T, 8]" },
        { "std.transformer.encoder", "[B, T, 8]", "sinusoidal_positions() |> encoder(2, 2)", "[B, T, 8]" },
        { "std.transformer.decoder", "[B, T, 8]", "sinusoidal_positions() |> decoder(1, 2, drop = 0.1)", "[B, T, 8]" },
        { "std.transformer.cross_block", "[B, T, 8]\n  input memory: [B, S, 8]", "(h => (sinusoidal_positions()(h), sinusoidal_positions()(memory))) |> cross_block(2)", "[B, T, 8]" },
        { "std.transformer.language_model", "int[B, T]", "language_model(11, 8, 1, 2, 16)", "[B, T, 11]" },
        { "std.transformer.patches", "[B, 8, 8, 3]", "patches(4, 6)", "[B, 4, 6]" },
        { "std.graph.gcn", "[N, 5]\n  input edges: int[E, 2]", "(h => (h, edges)) |> gcn(4, 3)", "[N, 3]" },
        { "std.graph.gat", "[N, 5]\n  input edges: int[E, 2]", "(h => (h, edges)) |> gat(4, 3, heads = 2)", "[N, 3]" },
        { "std.graph.message_block", "[N, 5]\n  input edges: int[E, 2]", "(h => (h, edges)) |> message_block(7)", "[N, 5]" },
        { "std.recurrent.lengths_of", "[B, 7, 4]", "(h => lstm(3, return_sequences = false)(h, lengths = lengths_of(h, where(h[:, :, 0] > 0, true, false))))", "[B, 3]" },
        { "std.recurrent.stack", "[B, T, 5]", "stack(2, gru(4, bidirectional = true), drop = 0.1)", "[B, T, 8]" },
        { "std.recurrent.residual_block", "[B, T, 5]\n  input mask: bool[B, T]", "(h => (h, mask)) |> residual_block(lstm(4))", "[B, T, 5]" },
        { "std.recurrent.residual_stack", "[B, T, 5]", "residual_stack(3, rnn(6), drop = 0.1)", "[B, T, 5]" },
        { "std.recurrent.attention_pool", "[B, T, 5]\n  input mask: bool[B, T]", "(h => (h, mask)) |> attention_pool(units = 3)", "[B, 5]" },
        { "std.recurrent.classifier", "[B, T, 5]\n  input mask: bool[B, T]", "(h => (h, mask)) |> classifier(3, depth = 2, cell = gru(4))", "[B, 3]" },
        { "std.recurrent.tagger", "[B, T, 5]", "tagger(4, cell = lstm(3, bidirectional = true))", "[B, T, 4]" },
        { "std.recurrent.forecaster", "[B, T, 2]", "forecaster(6, units = 4, depth = 2)", "[B, 6, 2]" },
        { "std.recurrent.language_model", "int[B, T]", "language_model(11, dim = 6, cell = gru(8))", "[B, T, 11]" },
        { "std.recurrent.seq2seq", "int[B, S]\n  input previous: int[B, T]", "(s => (s, previous)) |> seq2seq(7, 9, dim = 4, units = 5)", "[B, T, 9]" },
        { "std.recurrent.attentive_seq2seq", "int[B, S]\n  input previous: int[B, T]\n  input mask: bool[B, S]", "(s => (s, previous, mask)) |> attentive_seq2seq(7, 9, dim = 4, units = 5)", "[B, T, 9]" },
        { "std.vision.lenet5", "[B, 32, 32, 1]", "lenet5()", "[B, 10]" },
        { "std.vision.alexnet", "[B, 64, 64, 3]", "alexnet(classes = 5)", "[B, 5]" },
        { "std.vision.vgg16", "[B, 32, 32, 3]", "vgg16(classes = 5)", "[B, 5]" },
        { "std.vision.dense_layer", "[B, 8, 8, 4]", "dense_layer(2)", "[B, 8, 8, 6]" },
        { "std.vision.transition", "[B, 8, 8, 4]", "transition", "[B, 4, 4, 2]" },
        { "std.vision.densenet121", "[B, 32, 32, 3]", "densenet121(classes = 5, growth = 4)", "[B, 5]" },
        { "std.vision.inverted_residual", "[B, 8, 8, 4]", "inverted_residual(6, expand = 2, stride = 2)", "[B, 4, 4, 6]" },
        { "std.vision.mobilenet_v2", "[B, 32, 32, 3]", "mobilenet_v2(classes = 5)", "[B, 5]" },
        { "std.vision.squeeze_excite", "[B, 8, 8, 4]", "conv2d(4, 1) |> squeeze_excite(2)", "[B, 8, 8, 4]" },
        { "std.vision.mbconv", "[B, 8, 8, 4]", "mbconv(4, expand = 2, kernel = 5, stride = 1)", "[B, 8, 8, 4]" },
        { "std.vision.efficientnet_b0", "[B, 32, 32, 3]", "efficientnet_b0(classes = 5)", "[B, 5]" },
        { "std.vision.resnet18", "[B, 32, 32, 3]", "resnet18(classes = 5)", "[B, 5]" },
        { "std.vision.vit", "[B, 8, 8, 3]", "vit(4, width = 8, depth = 2, heads = 2, classes = 5)", "[B, 5]" },
        { "std.vision.vit_b_16", "[B, 32, 32, 3]", "vit_b_16(classes = 5)", "[B, 5]" },
        { "std.gpt.gpt", "int[B, T]", "gpt(11, context = 9, width = 8, depth = 2, heads = 2)", "[B, T, 11]" },
        { "std.gpt.gpt2", "int[B, 7]", "gpt2()", "[B, 7, 50257]" },
        { "std.bert.encoder_block", "[B, 7, 8]", "sinusoidal_positions() |> (x => encoder_block(2)(x, full([B, 7], true)))", "[B, 7, 8]" },
        { "std.bert.bert", "int[B, 7]", "bert(11, context = 9, width = 8, depth = 2, heads = 2) |> ((words, whole) => concat([words, whole[:, None]], axis = 1))", "[B, 8, 8]" },
        { "std.bert.bert_base", "int[B, 7]", "bert_base() |> ((words, whole) => concat([words, whole[:, None]], axis = 1))", "[B, 8, 768]" },
        { "std.vision.resnet50", "[B, 32, 32, 3]", "resnet50(classes = 5)", "[B, 5]" },
    };

    internal static Model Model(string name, string input, string expression) => Compile.Model(Text(name, input, expression));

    private static string Text(string name, string input, string expression) => (
        $"import {name[..name.LastIndexOf('.')]} ({name[(name.LastIndexOf('.') + 1)..]})\nmodel M() {{\n  input x: {input}\n  let y = x |> {expression}\n  output out = y\n  loss mean(y ** 2)\n}}\n");

    [Theory]
    [MemberData(nameof(Samples))]
    public void Each_layer_gives_what_it_says_and_every_parameter_gets_a_gradient(string name, string input, string expression, string shape)
    {
        var model = Model(name, input, expression);
        Assert.Equal(shape, model.Outputs[0].Value.Shape.ToString());
        Assert.NotEmpty(model.Parameters);
        var gradients = Gradient.Of(Phases.Resolve([model.TotalLoss], training: true)[0], [.. model.Parameters.Select(p => p.Variable)]);
        Assert.All(model.Parameters.Zip(gradients), p => Assert.True(p.Second is not null, p.First.Path));
    }

    [Theory]
    [MemberData(nameof(Samples))]
    public void Each_layer_plans_in_training_and_in_use_and_the_linter_has_nothing_to_say(string name, string input, string expression, string shape)
    {
        var text = Text(name, input, expression);
        var model = Compile.Model(text);
        var sizes = new Dictionary<string, long> { ["B"] = 3, ["T"] = 5, ["S"] = 4, ["H"] = 8, ["N"] = 6, ["E"] = 9 };
        var options = new PlanOptions { Threads = 1 };
        Assert.NotEqual(0, Plan.Compile(TrainingStep.Build(model, new TrainingRecipe { Optimizer = new Adam(0.001) }, 10).Simplify(model.Provenance), sizes, options).KernelCount);
        var plan = Plan.Compile(TrainingStep.Prediction(model).Simplify(model.Provenance), sizes, options);
        Assert.Equal(Regex.Replace(shape, @"floor_div\(.*\)|\b[A-Z]\b", d => d.Value[0] == 'f' ? "4" : sizes[d.Value].ToString(CultureInfo.InvariantCulture)), $"[{string.Join(", ", plan.Outputs.Single().Dims)}]");

        var found = Linter.Check(Compiler.Compile(new SourceText(text)));
        Assert.True(found.IsEmpty, new DiagnosticFormatter().Format(found));
    }

    /// <summary>The published numbers of parameters, with 1000 classes (LeNet-5: 10).</summary>
    [Theory]
    [InlineData("vision.lenet5()", "[B, 32, 32, 1]", 61_706)]
    [InlineData("vision.alexnet()", "[B, 224, 224, 3]", 61_100_840)]
    [InlineData("vision.vgg16()", "[B, 224, 224, 3]", 138_357_544)]
    [InlineData("vision.densenet121()", "[B, 224, 224, 3]", 7_978_856)]
    [InlineData("vision.mobilenet_v2()", "[B, 224, 224, 3]", 3_504_872)]
    [InlineData("vision.efficientnet_b0()", "[B, 224, 224, 3]", 5_288_548)]
    [InlineData("vision.resnet18()", "[B, 224, 224, 3]", 11_689_512)]
    [InlineData("vision.resnet50()", "[B, 224, 224, 3]", 25_557_032)]
    [InlineData("vision.vit_b_16()", "[B, 224, 224, 3]", 86_567_656)]
    [InlineData("gpt.gpt2()", "int[B, T]", 124_439_808)]
    [InlineData("bert.bert_base()", "int[B, T]", 109_482_240)]
    public void A_published_architecture_has_the_published_number_of_parameters(string layer, string input, long count)
    {
        var call = layer.IndexOf('.');
        Assert.Equal(count, Model($"std.{layer[..layer.IndexOf('(')]}", input, layer[(call + 1)..] + (layer.StartsWith("bert", StringComparison.Ordinal) ? " |> ((words, whole) => whole)" : "")).ParameterCount);
    }

    [Fact]
    public void Every_layer_has_documentation_and_a_sample()
    {
        var samples = Samples().Select(s => (string)s[0]).ToHashSet();
        Assert.NotEmpty(StandardLibrary.Names);
        foreach (var name in StandardLibrary.Names)
        {
            var tree = StandardLibrary.Find(name)!;
            Assert.Empty(Linter.Check(Compiler.Compile(tree.Source)));
            Assert.Equal(tree.Source.Text, Formatter.Format(tree));
            foreach (var layer in tree.Root.Declarations.OfType<LayerSyntax>())
            {
                Assert.True(layer.Documentation is { Length: > 20 }, $"{name}.{layer.Name.Text} has no documentation");
                Assert.Contains($"{name}.{layer.Name.Text}", samples);
            }
        }
    }

    [Fact]
    public void The_reference_names_every_layer_and_explain_knows_it()
    {
        var reference = File.ReadAllText(RepoRoot.Combine("docs", "language.md"));
        foreach (var name in StandardLibrary.Names)
        {
            Assert.Contains($"`{name}`", reference);
            var text = StandardLibrary.Explain(name)!;
            foreach (var layer in StandardLibrary.Find(name)!.Root.Declarations.OfType<LayerSyntax>())
            {
                Assert.Matches($@"\b{layer.Name.Text}\b", reference);
                Assert.Contains($"{layer.Name.Text}(", text);
                Assert.Contains($"import {name} ({layer.Name.Text})", StandardLibrary.Explain(layer.Name.Text));
                Assert.Contains(layer.Documentation!.Replace('\n', ' '), StandardLibrary.Explain($"{name}.{layer.Name.Text}"));
            }
        }

        Assert.Null(StandardLibrary.Explain("std.nothing"));
    }

    /// <summary>Whatever rows are filled up with, nothing that is there depends on it, in both directions and through the pool.</summary>
    [Theory]
    [InlineData("stack(2, gru(4, bidirectional = true))", 3)]
    [InlineData("tagger(2, cell = rnn(4, bidirectional = true))", 3)]
    [InlineData("classifier(3, cell = lstm(4, bidirectional = true))", 5)]
    [InlineData("attention_pool(units = 4)", 5)]
    public void What_is_masked_has_no_influence(string layer, int shown)
    {
        var model = Compile.Model(
            $"import std.recurrent ({layer[..layer.IndexOf('(')]})\nmodel M {{\n  input x: [B, 5, 3]\n  input mask: bool[B, 5]\n  let f = {layer}\n  output masked = f(x, mask)\n  output whole = f(x)\n}}");
        var predictor = new Predictor(model, Initialization.Sample(model, 3, DType.F64), new PlanOptions { Float = DType.F64, Threads = 1 });
        var x = Enumerable.Range(0, 15).Select(i => Math.Sin(i)).ToArray();
        var mask = Tensor.Create([true, true, true, false, false], 1, 5);
        var (one, other) = (Of(0), Of(10));
        Assert.Equal(one.Masked, other.Masked);
        Assert.NotEqual(one.Whole, other.Whole);

        (double[] Masked, double[] Whole) Of(double filling)
        {
            var given = Tensor.Create([.. x.Select((v, i) => i < 9 ? v : v + filling)], 1, 5, 3);
            var outputs = predictor.Predict(("x", given), ("mask", mask));
            return (Kept(outputs["masked"]), Kept(outputs["whole"]));
        }

        double[] Kept(Tensor t) => t.ToArray<double>()[..(t.Shape.Length == 3 ? t.Shape[2] * shown : t.Shape[1])];
    }

    [Fact]
    public void A_residual_block_begins_as_its_shortcut()
    {
        var model = Model("std.resnet.basic_block", "[B, 8, 8, 4]", "basic_block(4)");
        Assert.Equal(["basic_block_0.conv_norm_0.conv2d_0.weight", "basic_block_0.conv_norm_0.batch_norm_0.weight", "basic_block_0.conv_norm_0.batch_norm_0.bias",
            "basic_block_0.conv_norm_1.conv2d_0.weight", "basic_block_0.conv_norm_1.batch_norm_0.weight", "basic_block_0.conv_norm_1.batch_norm_0.bias"], Compile.Paths(model));
        Assert.Equal(Initializers.Zeros, model.Parameters[4].Initializer);
    }
}
