using Dnn.Graph;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Data declarations.</summary>
public class DataTests
{
    /// <summary>A call of each source, and what it means.</summary>
    private static readonly (string Call, DataSource Source)[] Calls =
    [
        ("csv(\"a.csv\", features = [\"x\"], label = \"y\", categorical = [\"x\"])", new CsvSource("a.csv") { Features = ["x"], Label = "y", Categorical = ["x"] }),
        ("two_moons(5, 0.5, 3)", new TwoMoonsSource(5, 0.5, 3)),
        ("circles(factor = 0.25)", new CirclesSource(Factor: 0.25)),
        ("spirals(classes = 3)", new SpiralsSource(Classes: 3)),
        ("blobs(noise = 2)", new BlobsSource(Noise: 2)),
        ("xor()", new XorSource()),
        ("sine_wave(5, length = 7, period = (4, 5.5))", new SineWaveSource(5, 7, Shortest: 4, Longest: 5.5)),
        ("copy_task(symbols = 3, delay = 1)", new CopyTaskSource(Alphabet: 3, Delay: 1)),
        ("reverse_task(length = 4)", new ReverseTaskSource(Length: 4)),
        ("idx(\"i\", \"l\")", new IdxSource("i", "l")),
        ("npz(\"a.npz\", x = \"a\", path_of = \"b\")", new NpzSource("a.npz", [new("x", "a"), new("path_of", "b")])),
        ("safetensors(\"a\", columns = \"a\")", new SafetensorsSource("a", [new("columns", "a")])),
        ("jsonl(\"a\")", new JsonlSource("a")),
        ("images(\"dir\")", new ImagesSource("dir")),
        ("text(\"a.txt\", context = 8, tokens = \"chars\")", new TextSource("a.txt", 8, TextTokens.Chars)),
        ("text(\"a.txt\", tokens = bytes)", new TextSource("a.txt")),
        ("graph(\"n\", \"e\", label = \"c\", directed = true)", new GraphSource("n", "e") { Label = "c", Directed = true }),
    ];

    [Fact]
    public void Every_source_is_what_its_call_says()
    {
        foreach (var (call, source) in Calls)
            Assert.Equal(source, Assert.Single(Compile.Fine($"data d = {call}\n").Data).Source);
        Assert.Empty(Catalog.All.Where(e => e.Kind == CatalogKind.Source).Select(e => e.Name).Except(Calls.Select(c => c.Source.Name)));
    }

    [Fact]
    public void Every_line_reaches_the_description()
    {
        var data = Assert.Single(Compile.Fine("""
            let half = 50%
            data d = jsonl("a", image = "pixels") {
              split train = half, validation = 7, test = jsonl("b", image = "pixels")
              shuffle false
              normalize image
              one_hot
              rename x = image, y = label
              augment {
                flip
                crop(4)
                flip(vertical = true)
                noise(0.1)
              }
            }

            """).Data);
        Assert.Equal([SplitPart.OfFraction("train", 0.5), SplitPart.OfCount("validation", 7), SplitPart.OfSource("test", new JsonlSource("b", [new("image", "pixels")]))], data.Split);
        Assert.False(data.Shuffle);
        Assert.Equal((["image"], []), (data.Normalize!.Value, data.OneHot!.Value));
        Assert.Equal([new ColumnRename("x", "image"), new ColumnRename("y", "label")], data.Rename);
        Assert.Equal([new FlipAugmentation(), new CropAugmentation(4), new FlipAugmentation(true), new NoiseAugmentation(0.1)], data.Augment);
    }

    [Fact]
    public void Generated_data_is_checked_against_the_model_without_a_reader()
    {
        const string Model = "model M {\n  input x: int[B, T]\n  target y: int[B, T]\n  loss cross_entropy(x |> embedding(10, 4) |> dense(9), y)\n}\ntrain M() on d {\n  optimizer adam()\n}\n";
        Assert.Equal("x: int[B, 40], y: int[B, 40]", Compile.Fine("data d = copy_task()\n" + Model).Chosen!.Schema!.ToString());
        Assert.Equal(DiagnosticCodes.ColumnType.Code, Compile.Diagnostics(new("data d = sine_wave()\n" + Model))[0].Code);
    }

    [Fact]
    public void Columns_that_are_fed_whole_meet_the_whole_shape()
    {
        const string Text = "data d = graph(\"n\", \"e\")\nmodel M {\n  input x: [N, 3]\n  input edges: int[E, 2]\n  target mask: [N]\n  loss sum(mask * mean(x |> dense(1), axis = 1)) + 0 * sum(edges)\n}\ntrain M() on d {\n  optimizer adam()\n}\n";
        Assert.Empty(Check(new("x", DType.Float, [5, 3]) { IsWhole = true }));
        Assert.Equal(DiagnosticCodes.ColumnType.Code, Assert.Single(Check(new("x", DType.Float, [6, 3]) { IsWhole = true })).Code);

        IReadOnlyList<Diagnostic> Check(DataColumn x) => Compile.Diagnostics(new(Text), new()
        {
            DataReader = new Reader(new DataSchema([new("mask", DType.Float, [5]) { IsWhole = true }, new("edges", DType.I64, [7, 2]) { IsWhole = true }, x], 5) { IsWhole = true }),
        });
    }

    private sealed class Reader(DataSchema schema) : IDataReader
    {
        public DataSchema ReadSchema(DataDescription data) => schema;
    }
}
