using Dnn.Backend;
using Dnn.Dsl;
using Dnn.Graph;
using Dnn.Zoo;
using Xunit;

namespace Dnn.Cli.Tests;

/// <summary>Every network of the zoo is without a flaw, learns, and has the right gradients. That it reaches its bar is for the zoo's own command, which takes minutes.</summary>
public sealed class ZooTests : IClassFixture<ZooTests.Clothes>
{
    private static readonly IReadOnlyList<Exhibit> All = Exhibit.All(Exhibit.Folder());

    private readonly Dictionary<string, string> overrides;

    public ZooTests(Clothes clothes) => overrides = new() { ["folder"] = clothes.Folder };

    public static TheoryData<string> Names => [.. All.Select(e => e.Name)];

    [Fact]
    public void Every_train_block_has_its_bar()
    {
        foreach (var file in Directory.GetFiles(Exhibit.Folder(), "*.dnn"))
        {
            var trained = Compiler.Compile(file).Models.Where(m => m.IsTraining).Select(m => m.Name).ToArray();
            Assert.Equal(trained, All.Where(e => e.Path == file).Select(e => e.Bar.Train));
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_network_has_a_value_for_its_bar_and_no_warnings(string name)
    {
        var exhibit = Find(name);
        var result = exhibit.Compile(Own(exhibit));
        Assert.Empty(Linter.Check(result).Where(d => d.Severity != Severity.Note));
        Assert.Contains(exhibit.Bar.Value, result.Model!.Losses.Concat(result.Model.Metrics).Select(v => v.Name).Append("loss"));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_network_learns_within_a_few_steps(string name)
    {
        var exhibit = Find(name);
        var compiled = exhibit.Compile(Small(exhibit)).Chosen!;
        var data = exhibit.Read(compiled);
        var train = data["train"];
        var few = train.IsWhole ? data : new DataSet(data.Schema, [train.Take("train", [.. Enumerable.Range(0, Math.Min(32, train.Rows))])], data.Statistics);
        // One batch at one rate: what the schedule and the noise do is not the question.
        var recipe = compiled.Recipe! with { Batch = 32, Epochs = 12, Steps = null, EarlyStop = null, StartFrom = null };
        var log = Trainer.Fit(compiled.Model!, recipe, few).Log.Where(r => r.Split == "train").ToArray();
        Assert.True(log[^3..].Average(r => r.Loss) < log[..3].Average(r => r.Loss), string.Join(", ", log.Select(r => r.Loss)));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_gradients_of_a_network_are_its_derivatives(string name)
    {
        var exhibit = Find(name);
        var compiled = exhibit.Compile(Small(exhibit)).Chosen!;
        var report = ModelGradients.Check(compiled.Model!, order: 1, seed: compiled.Recipe!.Seed, data: exhibit.Read(compiled)["train"]);
        Assert.Empty(report.Findings);
        Assert.True(report.Checks > report.Skipped);
    }

    [Fact]
    public void Textbook_is_the_same_network_in_both_languages()
    {
        var text = Find("textbook").Compile().Model!;
        var code = Textbook.Build();
        Assert.Equal(text.ParameterCount, code.ParameterCount);
        Assert.Equal(text.Parameters.Select(p => (p.Path, p.Shape, p.Initializer.ToString())), code.Parameters.Select(p => (p.Path, p.Shape, p.Initializer.ToString())));
        Assert.Equal(Graph(text), Graph(code));

        static string Graph(Model model) =>
            Printer.Definitions([.. model.Outputs.Concat(model.Losses).Concat(model.Metrics).Select(n => (n.Name, n.Value))], model.VariableNames);
    }

    [Fact]
    public void A_training_renews_its_own_row()
    {
        var folder = Directory.CreateTempSubdirectory("dnn-zoo-").FullName;
        try
        {
            var results = Results.Read(folder);
            results.Put(new Result("mlp", new Bar(null, "validation", "accuracy", true, 0.97), 0.98, 345, 26_506, 7, 1.5));
            results.Put(new Result("vae", new Bar(null, "validation", "loss", false, 26.5), 27, 920, 1_000, 1, 2.25));
            results.Write(All);
            results = Results.Read(folder);
            results.Put(new Result("vae", new Bar(null, "validation", "loss", false, 26.5), 26, 920, 1_000, 1, 2));
            results.Write(All);
            var rows = File.ReadAllLines(Path.Combine(folder, "RESULTS.md")).Where(l => l.StartsWith("| mlp", StringComparison.Ordinal) || l.StartsWith("| vae", StringComparison.Ordinal));
            Assert.Equal(["| mlp | validation.accuracy | 0.98 | ≥ 0.97 | yes | 345 | 26,506 | 7 | 1.5 |", "| vae | validation.loss | 26 | ≤ 26.5 | yes | 920 | 1,000 | 1 | 2.0 |"], rows);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static Exhibit Find(string name) => All.Single(e => e.Name == name);

    /// <summary>Less of everything: the question is whether it is right, and the oracles are slow.</summary>
    private Dictionary<string, string> Small(Exhibit exhibit) => new(Own(exhibit).Concat(exhibit.File switch
    {
        "autoencoder" => [new("code", "3")],
        "copy" => [new("length", "1"), new("near", "2"), new("far", "2")],
        "densenet" => [new("growth", "2"), new("layers", "2")],
        "gpt" => [new("context", "8"), new("width", "8"), new("heads", "2"), new("layers", "1")],
        "maml" => [new("hidden", "6"), new("points", "4")],
        "mlp" => [new("width", "8")],
        "resnet" => [new("filters", "3"), new("blocks", "1")],
        "reverse" => [new("width", "8"), new("heads", "2"), new("length", "4")],
        "siamese" => [new("hidden", "8")],
        "textbook" => [new("hidden", "8")],
        "tones" => [new("rate", "128")],
        "transfer" => [new("filters", "2")],
        "trunk" => [new("width", "6"), new("depth", "2")],
        "unet" => [new("size", "8"), new("filters", "2")],
        "vae" => [new("code", "3")],
        "vit" => [new("width", "8"), new("heads", "2"), new("depth", "1"), new("patch", "4")],
        "wgan" => [new("hidden", "6")],
        "fashion_mnist" => [new("filters", "1")],
        _ => Array.Empty<KeyValuePair<string, string>>(),
    }));

    private Dictionary<string, string> Own(Exhibit exhibit) => exhibit.File == "fashion_mnist" ? overrides : [];

    /// <summary>Files of the size and kind of Fashion-MNIST's, for machines that do not have them: of class k, k rows are bright.</summary>
    public sealed class Clothes : IDisposable
    {
        public Clothes()
        {
            foreach (var (part, rows) in new[] { ("train", 60_000), ("t10k", 10_000) })
            {
                var size = new byte[4];
                System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(size, rows);
                var images = new byte[rows * 784];
                for (var i = 0; i < rows; i++)
                    images.AsSpan(i * 784, (1 + (i % 10)) * 56).Fill(200);
                Write($"{part}-images-idx3-ubyte.gz", [0, 0, 8, 3, .. size, 0, 0, 0, 28, 0, 0, 0, 28], images);
                Write($"{part}-labels-idx1-ubyte.gz", [0, 0, 8, 1, .. size], [.. Enumerable.Range(0, rows).Select(i => (byte)(i % 10))]);
            }
        }

        public string Folder { get; } = Directory.CreateTempSubdirectory("dnn-clothes-").FullName + "/";

        public void Dispose() => Directory.Delete(Folder, recursive: true);

        private void Write(string name, byte[] head, byte[] values)
        {
            using var file = new System.IO.Compression.GZipStream(File.Create(Folder + name), System.IO.Compression.CompressionLevel.Fastest);
            file.Write(head);
            file.Write(values);
        }
    }
}
