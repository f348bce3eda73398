using System.IO.Compression;
using System.Text;
using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>Sources that are sequences, files and folders.</summary>
public class SourceTests
{
    private const string Gray = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACBAAAAACSLb/5AAAABGdBTUEAALGPC/xhBQAAAAJiS0dEAA86Mj6jAAAAB3RJTUUH6gsaFyMwsmbmlgAAAAxJREFUCNdjYGbIBwAAfABzbPOqxAAAACV0RVh0ZGF0ZTpjcmVhdGUAMjAyNi0xMS0yNlQyMzozNTo0OCswMDowMN+PO/QAAAAldEVYdGRhdGU6bW9kaWZ5ADIwMjYtMTEtMjZUMjM6MzU6NDgrMDA6MDCu0oNIAAAAAElFTkSuQmCC";
    private const string Rgb = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAABGdBTUEAALGPC/xhBQAAACBjSFJNAAB6JgAAgIQAAPoAAACA6AAAdTAAAOpgAAA6mAAAF3CculE8AAAABmJLR0QA/wD/AP+gvaeTAAAAB3RJTUUH6gsaFyMwsmbmlgAAABZJREFUCNdj+M/AwPCfgbmR4b/xcykAH5AEtj4qLQsAAAAldEVYdGRhdGU6Y3JlYXRlADIwMjYtMTEtMjZUMjM6MzU6NDgrMDA6MDDfjzv0AAAAJXRFWHRkYXRlOm1vZGlmeQAyMDI2LTExLTI2VDIzOjM1OjQ4KzAwOjAwrtKDSAAAAABJRU5ErkJggg==";
    private const string InterlacedPalette = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAMAAAEyb82AAAAABGdBTUEAALGPC/xhBQAAACBjSFJNAAB6JgAAgIQAAPoAAACA6AAAdTAAAOpgAAA6mAAAF3CculE8AAAADFBMVEX/AAAA/wAAAP8zZpln5/rsAAAAB3RJTUUH6gsaFyMwsmbmlgAAAA9JREFUCNdjYGBgZGBiBgAAEgAHsFgTPwAAACV0RVh0ZGF0ZTpjcmVhdGUAMjAyNi0xMS0yNlQyMzozNTo0OCswMDowMN+PO/QAAAAldEVYdGRhdGU6bW9kaWZ5ADIwMjYtMTEtMjZUMjM6MzU6NDgrMDA6MDCu0oNIAAAAAElFTkSuQmCC";
    private const string Rgba = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAYAAABytg0kAAAABGdBTUEAALGPC/xhBQAAACBjSFJNAAB6JgAAgIQAAPoAAACA6AAAdTAAAOpgAAA6mAAAF3CculE8AAAABmJLR0QA/wD/AP+gvaeTAAAAB3RJTUUH6gsaFyMwsmbmlgAAABpJREFUCNdj/M/A0MD4n4GBhZHhP4Nx+iwGAC1vBLlH1vYoAAAAJXRFWHRkYXRlOmNyZWF0ZQAyMDI2LTExLTI2VDIzOjM1OjQ4KzAwOjAw34879AAAACV0RVh0ZGF0ZTptb2RpZnkAMjAyNi0xMS0yNlQyMzozNTo0OCswMDowMK7Sg0gAAAAASUVORK5CYII=";

    [Fact]
    public void A_wave_goes_on_where_it_is_heading()
    {
        DataSplit train = Read(".", new SineWaveSource(20, 30, Seed: 3))["train"];
        for (int i = 0; i < 20; i++)
        {
            for (int t = 0; t + 1 < 30; t++)
            {
                Assert.Equal(train["x"][i, t + 1, 0], train["y"][i, t, 0], 12);
            }

            // sin(a + 2b) + sin a = 2 cos b · sin(a + b), with b from the longest to the shortest period.
            double cosine = (train["x"][i, 2, 0] + train["x"][i, 0, 0]) / (2 * train["x"][i, 1, 0]);
            Assert.InRange(cosine, Math.Cos(2 * Math.PI / 10) - 1e-9, Math.Cos(2 * Math.PI / 40) + 1e-9);
        }
    }

    [Fact]
    public void The_copy_task_asks_for_its_symbols_after_the_marker()
    {
        var source = new CopyTaskSource(50, Length: 4, Delay: 3, Alphabet: 5);
        DataSet data = Read(".", source);
        Assert.Equal("x: int[B, 11], y: int[B, 11]", data.Schema.ToString());
        for (int i = 0; i < 50; i++)
        {
            long[] x = Row(data["train"]["x"], i), y = Row(data["train"]["y"], i);
            Assert.All(x[..4], s => Assert.InRange(s, 1, 5));
            Assert.Equal([0, 0, 6, 0, 0, 0, 0], x[4..]);
            Assert.Equal([0, 0, 0, 0, 0, 0, 0, .. x[..4]], y);
        }

        Assert.Equal([1, 2, 3, 4, 5], data["train"]["x"].ToArray<long>().Where(s => s is > 0 and < 6).Distinct().Order());
    }

    [Fact]
    public void The_reverse_task_reverses_and_gives_the_decoder_what_came_before()
    {
        DataSplit train = Read(".", new ReverseTaskSource(10, 5))["train"];
        for (int i = 0; i < 10; i++)
        {
            long[] y = Row(train["y"], i);
            Assert.Equal(Row(train["x"], i).Reverse(), y);
            Assert.Equal([0, .. y[..^1]], Row(train["previous"], i));
        }
    }

    [Fact]
    public void Sequences_out_of_range_are_refused()
    {
        foreach (SequenceSource source in (SequenceSource[])
            [
                new SineWaveSource(0), new SineWaveSource(Length: 0), new SineWaveSource(Noise: -1), new SineWaveSource(Shortest: 0), new SineWaveSource(Longest: 5),
                new CopyTaskSource(Delay: 0), new CopyTaskSource(Alphabet: 0), new ReverseTaskSource(Alphabet: 0), new CopyTaskSource(int.MaxValue),
            ])
        {
            Assert.Contains("is out of range. Give ", Refusal(".", source), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Idx_files_are_read_gzipped_or_not()
    {
        using var folder = new Folder();
        byte[] images = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 51, 102, 255];
        folder.Write("images", images);
        using (var packed = new MemoryStream())
        {
            using (var gzip = new GZipStream(packed, CompressionLevel.Fastest))
            {
                gzip.Write([0, 0, 8, 1, 0, 0, 0, 2, 7, 3]);
            }

            folder.Write("labels.gz", packed.ToArray());
        }

        DataSet data = Read(folder.Path, new IdxSource("images", "labels.gz"));
        Assert.Equal("images: [B, 1, 2, 1], labels: int[B]", data.Schema.ToString());
        Assert.Equal([0f, 51 / 255f, 102 / 255f, 1f], data["train"]["images"].ToArray<float>());
        Assert.Equal([7L, 3], data["train"]["labels"].ToArray<long>());
        Assert.Equal([0, 0.2, 0.4, 1], data.Cast(DType.F64)["train"]["images"].ToArray<double>());

        folder.Write("short", images[..^1]);
        folder.Write("other", [1, 2, 3, 4]);
        folder.Write("words", [0, 0, 0x0d, 1, 0, 0, 0, 0]);
        folder.Write("huge", [0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255]);
        Assert.Contains("ends early", Refusal(folder.Path, new IdxSource("short", "labels.gz")));
        Assert.Contains("no IDX file", Refusal(folder.Path, new IdxSource("other", "labels.gz")));
        Assert.Contains("type 0x0d", Refusal(folder.Path, new IdxSource("words", "labels.gz")));
        Assert.Contains("too large", Refusal(folder.Path, new IdxSource("huge", "labels.gz")));
        Assert.Contains("images have 3", Refusal(folder.Path, new IdxSource("labels.gz", "images")));
        Assert.Contains("apt install dataset-no-such", Refusal(folder.Path, new IdxSource("/usr/share/datasets/no-such/x.gz", "labels.gz")));
    }

    [Fact]
    public void Arrays_are_columns_by_their_names_or_by_others()
    {
        using var folder = new Folder();
        KeyValuePair<string, Tensor>[] arrays =
        [
            new("a", Tensor.Create([1.0, 2, 3, 4], 2, 2)), new("b", Tensor.Create([3L, 0])), new("c", Tensor.Create([1f, 2, 3])),
        ];
        Npz.Write(folder["d.npz"], arrays);
        Weights.From(arrays).Save(folder["d.safetensors"]);
        ValueList<ColumnName> columns = [new("x", "a"), new("y", "b")];
        foreach (DataSource source in (DataSource[])[new NpzSource("d.npz", columns), new SafetensorsSource("d.safetensors", columns)])
        {
            DataSet data = Read(folder.Path, source);
            Assert.Equal("x: [B, 2], y: int[B]", data.Schema.ToString());
            Assert.Equal(4, data.Schema.Find("y")!.Classes);
            Assert.Equal([3L, 0], data["train"]["y"].ToArray<long>());
        }

        Assert.Contains("'c' has 3 rows, and 'a' has 2", Refusal(folder.Path, new NpzSource("d.npz")));
        Assert.Contains("there is no array 'z'. There are a, b, c", Refusal(folder.Path, new NpzSource("d.npz", [new("x", "z")])));
        Assert.Contains("no such file", Refusal(folder.Path, new SafetensorsSource("e.safetensors")));
    }

    [Fact]
    public void Json_lines_are_records()
    {
        using var folder = new Folder();
        folder.Write("d.jsonl", "{\"x\": [[1, 2.5]], \"n\": 3, \"y\": \"cat\", \"b\": true}\n\n{\"b\": false, \"y\": \"ant\", \"x\": [[0, -1]], \"n\": 0, \"more\": 1}\n");
        DataSet data = Read(folder.Path, new JsonlSource("d.jsonl"));
        Assert.Equal("x: [B, 1, 2], n: int[B], y: int[B], b: bool[B]", data.Schema.ToString());
        Assert.Equal([1, 2.5, 0, -1], data["train"]["x"].ToArray<double>());
        Assert.Equal([1L, 0], data["train"]["y"].ToArray<long>());
        Assert.Equal("""["ant","cat"]""", data.Statistics.Metadata["data.y.classes"]);
        Assert.Equal("label: int[B]", Read(folder.Path, new JsonlSource("d.jsonl", [new("label", "y")])).Schema.ToString());

        // Classes keep the numbers that the weights were trained with.
        folder.Write("e.jsonl", "{\"label\": \"cat\"}\n");
        DataSet again = new DataReader(folder.Path).Read(new DataDescription("e", new JsonlSource("e.jsonl")) { Rename = [new("y", "label")] }, data.Statistics);
        Assert.Equal([1L], again["train"]["y"].ToArray<long>());

        (string Text, string Message)[] bad =
        [
            ("", "no records"), ("[1]\n", "no JSON object"), ("{\"x\": 1}\n{\"x\": 1", "d.jsonl:2: this line is no JSON"), ("{\"x\": 1}\n{\"z\": 1}\n", ":2: there is no field 'x'"),
            ("{\"x\": [1]}\n{\"x\": [1, 2]}\n", ":2: field 'x': an array of 2 where there were 1"), ("{\"x\": []}\n", "the array is empty"), ("{\"x\": null}\n", "null is no number"),
            ("{\"x\": 1}\n{\"x\": \"a\"}\n", "not what the rows before"), ("{\"x\": 1e999}\n", "not a finite number"), ("{\"x\": 1}\n{\"x\": [1]}\n", "where there was none"), ("{}\n", "no fields"),
        ];
        foreach ((string text, string message) in bad)
        {
            folder.Write("d.jsonl", text);
            Assert.Contains(message, Refusal(folder.Path, new JsonlSource("d.jsonl")));
        }
    }

    [Fact]
    public void Images_lie_in_a_folder_for_each_class()
    {
        using var folder = new Folder();
        void Save(string name, string image)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(folder[name])!);
            File.WriteAllBytes(folder[name], System.Convert.FromBase64String(image));
        }

        Save("gray/b/1.png", Gray);
        Save("gray/a/1.png", Gray);
        DataSet gray = Read(folder["gray"], new ImagesSource("."));
        Assert.Equal("images: [B, 2, 2, 1], labels: int[B]", gray.Schema.ToString());
        Assert.Equal([0f, 0.2f, 0.4f, 1f], gray["train"]["images"].ToArray<float>()[..4]);
        Assert.Equal(["a", "b"], gray.Schema.Find("labels")!.ClassNames);

        foreach ((string name, string image) in new[] { ("rgb", Rgb), ("palette", InterlacedPalette), ("rgba", Rgba) })
        {
            Save($"{name}/a/1.png", image);
            Save($"{name}/a/2.png", Gray);
            float[] pixels = Read(folder[name], new ImagesSource("."))["train"]["images"].ToArray<float>();
            Assert.Equal([255f, 0, 0, 0, 255, 0, 0, 0, 255, 51, 102, 153], pixels[..12].Select(p => p * 255));
            Assert.Equal(pixels[15], pixels[16]);
        }

        // A white pixel over a black one is one gray pixel; the mean of a picture stays.
        Save("mixed/a/1.png", Gray);
        Save("mixed/a/2.png", Rgb);
        float[] one = Read(folder["gray"], new ImagesSource(".", 1))["train"]["images"].ToArray<float>();
        Assert.Equal(gray["train"]["images"].ToArray<float>()[..4].Average(), one[0], 1 / 255f);
        float[] large = Read(folder["gray"], new ImagesSource(".", (4, 2)))["train"]["images"].ToArray<float>()[..8];
        Assert.Equal([0f, 0.2f, 0.1f, 0.4f, 0.3f, 0.8f, 0.4f, 1f], large.Select(p => MathF.Round(p, 2)));
        Assert.Equal("images: [B, 3, 3, 3], labels: int[B]", Read(folder["mixed"], new ImagesSource(".", 3)).Schema.ToString());

        Assert.Contains("no folder in it", Refusal(folder["rgb/a"], new ImagesSource(".")));
        Assert.Contains("no such folder", Refusal(folder.Path, new ImagesSource("nowhere")));
        File.WriteAllText(folder["rgb/a/3.png"], "no image");
        Assert.Contains("3.png: this image cannot be decoded", Refusal(folder["rgb"], new ImagesSource(".")));
        File.WriteAllBytes(folder["rgb/a/3.png"], System.Convert.FromBase64String(Rgb)[..150]);
        Assert.Contains("3.png: this image cannot be decoded", Refusal(folder["rgb"], new ImagesSource(".")));
        Directory.CreateDirectory(folder["rgb/b"]);
        Assert.Contains("there is no image in it", Refusal(folder["rgb"], new ImagesSource(".")));
    }

    private static void WriteAll(Folder folder)
    {
        var random = new Random(5);
        byte[] pixels = new byte[60 * 4 * 3], digits = new byte[60];
        random.NextBytes(pixels);
        for (int i = 0; i < digits.Length; i++)
        {
            digits[i] = (byte)random.Next(4);
        }

        byte[] images = [0, 0, 8, 3, 0, 0, 0, 60, 0, 0, 0, 4, 0, 0, 0, 3, .. pixels], labels = [0, 0, 8, 1, 0, 0, 0, 60, .. digits];
        folder.Write("images", images);
        folder.Write("labels", labels);
        foreach ((string name, byte[] bytes) in new[] { ("images.gz", images), ("labels.gz", labels) })
        {
            using var packed = new MemoryStream();
            using (var gzip = new GZipStream(packed, CompressionLevel.Fastest))
            {
                gzip.Write(bytes);
            }

            folder.Write(name, packed.ToArray());
        }

        KeyValuePair<string, Tensor>[] arrays =
        [
            new("x", Tensor.Create([.. Enumerable.Range(0, 180).Select(_ => random.NextDouble())], 60, 3)), new("h", Tensor.Create([.. Enumerable.Range(0, 60).Select(_ => random.NextSingle())])),
            new("y", Tensor.Create([.. Enumerable.Range(0, 60).Select(_ => random.NextInt64(5))])), new("b", Tensor.Create([.. Enumerable.Range(0, 120).Select(_ => random.Next(2) == 1)], 60, 2)),
        ];
        Npz.Write(folder["d.npz"], arrays);
        Weights.From(arrays).Save(folder["d.safetensors"]);
        string[] kinds = ["ä", "ö", "ü"];
        folder.Write("d.jsonl", string.Concat(Enumerable.Range(0, 60).Select(i => FormattableString.Invariant($"{{\"x\": [[{random.NextDouble():R}, {i}]], \"n\": {i % 7}, \"y\": \"{kinds[i % 3]}\", \"b\": {(i % 2 == 0 ? "true" : "false")}}}\n"))));
        folder.Write("d.csv", "a,kind,y\n" + string.Concat(Enumerable.Range(0, 60).Select(i => FormattableString.Invariant($"{random.NextDouble():R},{kinds[i % 3]},{i % 4}\n"))));
        folder.Write("t.txt", string.Concat(Enumerable.Range(0, 400).Select(i => kinds[random.Next(3)] + (char)('a' + random.Next(20)))));
        foreach (string name in new[] { "a/1.png", "a/2.png", "b/1.png", "b/2.png", "b/3.png" })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(folder["p/" + name])!);
            File.WriteAllBytes(folder["p/" + name], System.Convert.FromBase64String(name == "b/3.png" ? Rgb : Gray));
        }
    }

    public static TheoryData<DataSource> FileSources =>
    [
        new IdxSource("images", "labels"), new IdxSource("images.gz", "labels.gz"), new NpzSource("d.npz"), new SafetensorsSource("d.safetensors"), new JsonlSource("d.jsonl"),
        new CsvSource("d.csv") { Label = "y", Categorical = ["kind"] }, new TextSource("t.txt", 9), new TextSource("t.txt", 9, TextTokens.Chars), new ImagesSource("p"),
    ];

    /// <summary>What stays on the disk is the same to the bit, in every split, and so is the training on it.</summary>
    [Theory]
    [MemberData(nameof(FileSources))]
    public void A_source_larger_than_memory_is_the_same(DataSource source)
    {
        using var folder = new Folder();
        WriteAll(folder);
        var description = new DataDescription("d", source) { Split = [SplitPart.OfFraction("train", 0.75), SplitPart.OfFraction("validation", 0.25)] };
        DataSet memory = new DataReader(folder.Path).Read(description), disk = new DataReader(folder.Path) { MemoryLimit = 16 }.Read(description).Cast(DType.F64);
        Assert.Equal(memory.Schema, disk.Schema);
        Assert.True(memory.Statistics.BitEquals(disk.Statistics));
        Assert.Equal((false, true), (memory["train"].IsSlow, disk["train"].IsSlow));
        foreach (DataSplit split in memory.Splits)
        {
            Assert.All(split.Columns, column => Assert.True(split[column].BitEquals(disk[split.Name][column]), $"{split.Name}.{column}"));
        }
    }

    /// <summary>A new kind of file is to be larger than memory as well.</summary>
    [Fact]
    public void Every_source_of_files_streams()
    {
        var all = typeof(DataSource).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(DataSource)) && !t.IsAbstract && !t.IsSubclassOf(typeof(GeneratedSource)));
        // A graph is fed whole.
        Assert.Empty(all.Except(FileSources.Cast<object[]>().Select(row => row[0].GetType()).Append(typeof(GraphSource))));
    }

    [Fact]
    public void A_large_file_costs_no_memory_and_resumes_in_the_middle_of_an_epoch()
    {
        using var folder = new Folder();
        const int Rows = 4000, Side = 64;
        using (FileStream file = File.Create(folder["images"]))
        {
            file.Write([0, 0, 8, 3, 0, 0, Rows >> 8, Rows & 255, 0, 0, 0, Side, 0, 0, 0, Side]);
            var row = new byte[Side * Side];
            var random = new Random(1);
            for (int i = 0; i < Rows; i++)
            {
                random.NextBytes(row.AsSpan(0, 50));
                file.Write(row);
            }
        }

        folder.Write("labels", [0, 0, 8, 1, 0, 0, Rows >> 8, Rows & 255, .. Enumerable.Range(0, Rows).Select(i => (byte)(i % 3))]);
        var description = new DataDescription("d", new IdxSource("images", "labels"));
        long before = GC.GetAllocatedBytesForCurrentThread();
        DataSet data = new DataReader(folder.Path) { MemoryLimit = 1 << 16 }.Read(description);
        Model model = Model.Build("M", m => m.Loss(Losses.CrossEntropy(m.Input("images", "B", Side, Side, 1).Flatten().Dense(3), m.Target("labels", DType.I64, "B"))));
        var recipe = new TrainingRecipe { Optimizer = new Sgd(0.1), Epochs = 2, Batch = 100, Seed = 7 };
        var whole = Trainer.Fit(model, recipe, data, new PlanOptions { Threads = 1 });
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, new FileInfo(folder["images"]).Length);

        // 40 batches an epoch: stopped after 57, the run goes on in the middle of the second, in the same order.
        var first = new Trainer(model, recipe, data, new PlanOptions { Threads = 1 });
        using var stop = new CancellationTokenSource();
        foreach (LogRecord _ in first.Run(t => { if (t.Step == 57) { stop.Cancel(); } }, stop.Token))
        {
        }

        var second = new Trainer(model, recipe, data, new PlanOptions { Threads = 1 });
        second.Restore(first.Capture(), first.Best, "last");
        foreach (LogRecord _ in second.Run())
        {
        }

        Assert.Equal((57L, 80L), (first.Step, second.Step));
        Assert.True(whole.Weights.BitEquals(second.Weights));
    }

    [Fact]
    public void A_text_is_cut_into_windows_in_order()
    {
        using var folder = new Folder();
        folder.Write("t.txt", "abcabcabcd€");
        DataSet data = new DataReader(folder.Path).Read(new DataDescription("d", new TextSource("t.txt", 3, TextTokens.Chars))
        {
            Split = [SplitPart.OfFraction("train", 2 / 3.0), SplitPart.OfFraction("validation", 1 / 3.0)],
        });
        Assert.Equal("tokens: int[B, 3], next: int[B, 3]", data.Schema.ToString());
        Assert.Equal([0L, 1, 2, 0, 1, 2], data["train"]["tokens"].ToArray<long>());
        Assert.Equal([1L, 2, 0, 1, 2, 0], data["train"]["next"].ToArray<long>());
        Assert.Equal([0L, 1, 2], data["validation"]["tokens"].ToArray<long>());
        Assert.Equal([1L, 2, 3], data["validation"]["next"].ToArray<long>());

        // The weights know the vocabulary.
        data.Statistics.Save(folder["w"]);
        Weights weights = Weights.Load(folder["w"]);
        Vocabulary vocabulary = Vocabulary.From(weights)!;
        Assert.Equal(5, vocabulary.Size);
        Assert.Equal([3L, 4, 0], vocabulary.Encode("d€a"));
        Assert.Equal("d€a", vocabulary.Decode([3, 4, 0]));
        Assert.Contains("the character 'z' at place 2", Assert.Throws<DataFormatException>(() => vocabulary.Encode("az")).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => vocabulary.Decode([5]));
        folder.Write("u.txt", "dcba");
        var other = new DataDescription("d", new TextSource("u.txt", 3, TextTokens.Chars));
        Assert.Equal([3L, 2, 1], new DataReader(folder.Path).Read(other, weights)["train"]["tokens"].ToArray<long>());
        folder.Write("u.txt", "dc\nba");
        Assert.Contains("u.txt:1: the character '\n'", Assert.Throws<DataFormatException>(() => new DataReader(folder.Path).Read(other, weights)).Message);
        Assert.Null(Vocabulary.From(Weights.Empty));

        DataSet bytes = Read(folder.Path, new TextSource("t.txt", 4));
        Assert.Equal(Encoding.UTF8.GetBytes("abcabcabcd€")[..12].Select(b => (long)b), bytes["train"]["tokens"].ToArray<long>());
        Vocabulary plain = Vocabulary.From(bytes.Statistics)!;
        Assert.Equal("€", plain.Decode(plain.Encode("€")));
        Assert.Contains("has 13 tokens, and a row takes context + 1 = 14", Refusal(folder.Path, new TextSource("t.txt", 13)));
        Assert.Contains("context = 0", Refusal(folder.Path, new TextSource("t.txt", 0)));
        folder.Write("bad.txt", [65, 255, 66]);
        Assert.Contains("byte 2 is no UTF-8", Refusal(folder.Path, new TextSource("bad.txt", 1, TextTokens.Chars)));
    }

    [Fact]
    public void A_graph_is_whole_and_its_parts_are_masks()
    {
        using var folder = new Folder();
        folder.Write("nodes.csv", "id,w,club\n10,1.5,b\n7,2,a\nn,3,b\n");
        folder.Write("edges.csv", "source,target\n10,7\nn,n\n");
        var data = new DataDescription("g", new GraphSource("nodes.csv", "edges.csv") { Label = "club" }) { Split = [SplitPart.OfCount("train", 1), SplitPart.OfCount("validation", 2)], Shuffle = false };
        DataSet read = new DataReader(folder.Path).Read(data);
        Assert.Equal("features: [3, 1], label: int[3], edges: int[3, 2], mask: [3]", read.Schema.ToString());
        Assert.Equal([1.5, 2, 3], read["train"]["features"].ToArray<double>());
        Assert.Equal([0L, 1, 1, 0, 2, 2], read["train"]["edges"].ToArray<long>());
        Assert.Equal([1.0, 0, 0], read["train"]["mask"].ToArray<double>());
        Assert.Equal([0.0, 1, 1], read["validation"]["mask"].ToArray<double>());
        Assert.Equal((1, true), (read["train"].Rows, read["train"].IsWhole));

        // Whole data trains: sizes come from all of it.
        Model model = Model.Build("G", m =>
        {
            Expr x = m.Input("features", "N", 1), mask = m.Target("mask", "N");
            m.Input("edges", DType.I64, "E", 2);
            m.Loss(Losses.CrossEntropy(x.Dense(2), m.Target("label", DType.I64, "N"), weight: mask));
        });
        TrainingResult result = Trainer.Fit(model, new TrainingRecipe { Optimizer = new Sgd(0.1), Epochs = 5 }, read);
        Assert.True(result.Log[^2].Loss < result.Log[0].Loss);

        Assert.Equal("features: [3, 3], edges: int[2, 2], mask: [3]", Read(folder.Path, new GraphSource("nodes.csv", "edges.csv") { Features = [], Directed = true }).Schema.ToString());
        folder.Write("edges.csv", "source,target\n10,8\n");
        Assert.Contains("edges.csv:2: there is no node '8'", Refusal(folder.Path, data.Source));
        folder.Write("nodes.csv", "id\n1\n1\n");
        Assert.Contains("two nodes are called '1'", Refusal(folder.Path, new GraphSource("nodes.csv", "edges.csv")));
    }

    [Fact]
    public void Augmentation_is_a_function_of_seed_epoch_and_row()
    {
        float[] pixels = [.. Enumerable.Range(0, 2 * 12).Select(i => i + 1f)];
        DataSplit train = new("train", ("x", Tensor.Create(pixels, 2, 3, 4, 1)), ("y", Tensor.Create([1.0, 2], 2, 1)));
        DataSchema schema = DataSet.Of(train).Schema;
        float[] Apply(Augmentation step, long epoch, long seed = 1)
        {
            float[] batch = [.. pixels];
            new Augmenter([step], schema, seed).Apply("x", [0, 1], epoch, System.Runtime.InteropServices.MemoryMarshal.AsBytes(batch.AsSpan()), DType.F32);
            return batch;
        }

        var flip = new FlipAugmentation();
        Assert.Equal(Apply(flip, 3), Apply(flip, 3));
        float[][] epochs = [.. Enumerable.Range(0, 40).Select(e => Apply(flip, e)[..12])];
        Assert.Equal(2, epochs.Select(e => e[0]).Distinct().Count());
        Assert.All(epochs, e => Assert.True(e.SequenceEqual(pixels[..12]) || e.SequenceEqual([4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9])));
        Assert.All(Enumerable.Range(0, 9), e => Assert.True(Apply(new FlipAugmentation(true), e)[0] is 1f or 9f));

        // Every place within the padding comes up, and what comes in is 0.
        var crops = Enumerable.Range(0, 200).Select(e => string.Join(",", Apply(new CropAugmentation(1), e)[..12])).Distinct().ToArray();
        Assert.Equal(9, crops.Length);
        Assert.Contains("0,0,0,0,0,1,2,3,0,5,6,7", crops);
        Assert.Contains("6,7,8,0,10,11,12,0,0,0,0,0", crops);
        Assert.All(Apply(new CropAugmentation(1000), 0), v => Assert.True(v == 0 || pixels.Contains(v)));

        double[] noise = [.. Enumerable.Range(0, 500).SelectMany(e => Apply(new NoiseAugmentation(0.5), e).Zip(pixels, (a, b) => (double)(a - b)))];
        Assert.InRange(noise.Average(), -0.025, 0.025);
        Assert.InRange(noise.Average(v => v * v), 0.25 - 0.02, 0.25 + 0.02);
        Assert.NotEqual(Apply(new NoiseAugmentation(1), 0), Apply(new NoiseAugmentation(1), 0, seed: 2));

        var bad = new DataDescription("d", new TwoMoonsSource()) { Augment = [flip] };
        Assert.Contains("augment: `flip` is for images [H, W, C]", Assert.Throws<DataFormatException>(() => new DataReader(".").ReadSchema(bad)).Message);
    }

    private static long[] Row(Tensor values, int row) => values.ToArray<long>().Chunk(values.Shape[1]).ElementAt(row);

    private static DataSet Read(string folder, DataSource source) => new DataReader(folder).Read(new DataDescription("d", source) { Shuffle = false });

    private static string Refusal(string folder, DataSource source) => Assert.Throws<DataFormatException>(() => new DataReader(folder).ReadSchema(new DataDescription("d", source))).Message;
}
