using System.Runtime.InteropServices;
using Dnn.Graph;
using Dnn.Testing;
using FsCheck.Fluent;
using Xunit;

namespace Dnn.Backend.Tests;

public class DataTests
{
    public static TheoryData<MadeSource> Sources() =>
        [new TwoMoonsSource(), new CirclesSource(), new SpiralsSource(), new SpiralsSource(Classes: 4), new BlobsSource(), new BlobsSource(Classes: 2), new XorSource()];

    [Theory]
    [MemberData(nameof(Sources))]
    public void Made_data_keeps_its_schema_and_comes_from_its_seed(MadeSource source)
    {
        DataSet data = Read(new DataDescription("d", source));
        DataSplit train = data["train"];
        Assert.Equal(source.Schema(), data.Schema);
        Assert.Equal(source.ClassCount == 2 ? "x: [B, 2], y: [B, 1]" : "x: [B, 2], y: int[B]", data.Schema.ToString());
        Assert.Equal("f64[1000, 2]", train["x"].TypeText);
        Assert.All(train["y"].Cast(DType.I64).ToArray<long>().GroupBy(static k => k), g => Assert.InRange(g.Count(), 1000 / source.ClassCount, 1000 / source.ClassCount + 1));
        Assert.True(Read(new DataDescription("d", source))["train"]["x"].BitEquals(train["x"]));
        Assert.False(Read(new DataDescription("d", source with { Seed = 1 }))["train"]["x"].BitEquals(train["x"]));
    }

    [Theory]
    [MemberData(nameof(Sources))]
    public void Made_data_exists_from_one_sample_on(MadeSource source)
    {
        for (int n = 1; n < 9; n++)
        {
            Assert.Equal(n, Read(new DataDescription("d", source with { Samples = n }))["train"].Rows);
        }
    }

    [Fact]
    public void Without_noise_the_points_lie_where_they_should()
    {
        foreach ((double x, double y, int label) in Points(new TwoMoonsSource(Noise: 0)))
        {
            Assert.Equal(1, label == 0 ? Math.Sqrt(x * x + y * y) : Math.Sqrt((x - 1) * (x - 1) + (y - 0.5) * (y - 0.5)), 12);
            Assert.True(label == 0 ? y >= -1e-12 : y <= 0.5 + 1e-12);
        }

        Assert.All(Points(new CirclesSource(Noise: 0, Factor: 0.25)), static p => Assert.Equal(p.Label == 0 ? 1 : 0.25, Math.Sqrt(p.X * p.X + p.Y * p.Y), 12));
        Assert.All(Points(new XorSource(Noise: 0)), static p => Assert.Equal(p.X != p.Y, p.Label == 1));
        Assert.Equal(4, Points(new XorSource(4, 0)).Distinct().Count());
        Assert.All(Points(new BlobsSource(Noise: 0, Classes: 5)), static p => Assert.Equal(p.Label, Math.Round((Math.Atan2(p.Y, p.X) / (2 * Math.PI) + 1) * 5) % 5));
        Assert.All(Points(new SpiralsSource(Noise: 0, Classes: 3, Turns: 0)).Where(static p => p.X != 0), static p => Assert.Equal(p.Label, Math.Round((Math.Atan2(p.Y, p.X) / (2 * Math.PI) + 1) * 3) % 3));
    }

    [Fact]
    public void Noise_is_standard_normal()
    {
        double[] noise = Read(new DataDescription("d", new XorSource(20_000, 1, 3)))["train"]["x"].ToArray<double>();
        double[] corners = Read(new DataDescription("d", new XorSource(20_000, 0, 3)))["train"]["x"].ToArray<double>();
        double[] z = [.. noise.Zip(corners, static (a, b) => a - b)];
        // Five standard errors of mean, variance and fourth moment of 40,000 normal numbers.
        Assert.InRange(z.Average(), -0.025, 0.025);
        Assert.InRange(z.Average(static v => v * v), 1 - 0.036, 1 + 0.036);
        Assert.InRange(z.Average(static v => v * v * v * v), 3 - 0.25, 3 + 0.25);
        Assert.InRange(Enumerable.Range(0, 20_000).Average(i => z[2 * i] * z[2 * i + 1]), -0.036, 0.036);
    }

    [Fact]
    public void Made_numbers_never_change()
    {
        // Computed apart, by a program in another language, from the definitions of Philox, Fisher-Yates and Box-Muller.
        Tensor x = Read(new DataDescription("d", new XorSource(4, 0.5, 7)) { Shuffle = false })["train"]["x"];
        Assert.Equal("-0.044546 1.454167 -0.875932 0.318440 1.064954 0.927534 0.142189 0.711527", string.Join(" ", x.ToArray<double>().Select(static v => v.ToString("F6", System.Globalization.CultureInfo.InvariantCulture))));
    }

    [Fact]
    public void Arguments_out_of_range_are_refused()
    {
        foreach (MadeSource source in (MadeSource[])
            [
                new TwoMoonsSource(0), new TwoMoonsSource(int.MaxValue), new TwoMoonsSource(Noise: -1), new TwoMoonsSource(Noise: double.NaN), new CirclesSource(Factor: 1),
                new SpiralsSource(Classes: 1), new SpiralsSource(Turns: double.PositiveInfinity), new BlobsSource(Classes: 0),
            ])
        {
            Assert.Contains("is out of range. Give ", Refusal(new DataDescription("d", source)), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_split_is_a_partition_of_the_rows() => Samples.Check(
        from rows in Gen.Choose(3, 200)
        from a in Gen.Choose(1, 98)
        from b in Gen.Choose(1, 99 - a)
        from seed in Gen.Choose(0, 1000)
        from shuffle in Gen.Elements(true, false)
        select (rows, a, b, seed, shuffle),
        static c =>
        {
            var data = new DataDescription("d", new XorSource(c.rows, 0.1)) { Shuffle = false };
            DataDescription split = data with
            {
                Split = [SplitPart.OfFraction("train", c.a / 100.0), SplitPart.OfFraction("validation", c.b / 100.0), SplitPart.OfFraction("test", (100 - c.a - c.b) / 100.0)],
                Shuffle = c.shuffle,
                SplitSeed = c.seed,
            };
            if (new[] { c.a, c.b, 100 - c.a - c.b }.Any(f => c.rows * f < 100))
            {
                return;
            }

            DataSplit[] parts = [.. Read(split).Splits];
            Assert.Equal(c.rows, parts.Sum(static p => p.Rows));
            Assert.All(parts.Zip((double[])[c.a, c.b, 100 - c.a - c.b]), p => Assert.InRange(p.First.Rows - c.rows * p.Second / 100, -1, 1));
            double[][] Rows(IEnumerable<DataSplit> splits) => [.. splits.SelectMany(static s => s["x"].ToArray<double>().Chunk(2))];
            double[][] before = Rows(Read(data).Splits), after = Rows(parts);
            Assert.Equal(before.OrderBy(static r => r[0]).ThenBy(static r => r[1]), after.OrderBy(static r => r[0]).ThenBy(static r => r[1]));
            Assert.True(c.shuffle || before.SelectMany(static r => r).SequenceEqual(after.SelectMany(static r => r)));
        });

    [Fact]
    public void Parts_are_rounded_by_largest_remainder()
    {
        DataDescription Split(params SplitPart[] parts) => new("d", new XorSource()) { Split = parts.ToValueList() };
        SplitPart Part(string name, double f) => SplitPart.OfFraction(name, f);
        Assert.Equal([4, 3, 3], Split(Part("train", 1 / 3.0), Part("b", 1 / 3.0), Part("c", 1 / 3.0)).PartSizes(10).Select(static p => p.Rows));
        Assert.Equal([7, 2, 1], Split(Part("train", 0.7), Part("b", 0.2), Part("c", 0.1)).PartSizes(10).Select(static p => p.Rows));
        Assert.Equal([1438, 359], Split(Part("train", 0.8), Part("b", 0.2)).PartSizes(1797).Select(static p => p.Rows));
        Assert.Equal([5], Split(Part("train", 0.5)).PartSizes(10).Select(static p => p.Rows));
        Assert.Equal([8, 2], Split(Part("train", 0.8), SplitPart.OfCount("b", 2)).PartSizes(10).Select(static p => p.Rows));
        Assert.Equal([10], Split(SplitPart.OfSource("test", new XorSource())).PartSizes(10).Select(static p => p.Rows));
    }

    [Fact]
    public void Parts_that_cannot_be_are_refused()
    {
        (ValueList<SplitPart> Split, string Message)[] cases =
        [
            ([SplitPart.OfFraction("train", 0.8), SplitPart.OfFraction("validation", 0.3)], "add up to 110%"),
            ([SplitPart.OfFraction("train", 0)], "no part of the rows"),
            ([SplitPart.OfFraction("train", double.NaN)], "no part of the rows"),
            ([SplitPart.OfFraction("train", 80)], "no part of the rows"),
            ([SplitPart.OfCount("train", 0)], "has no rows"),
            ([SplitPart.OfCount("train", 1001)], "asks for 1001 rows, and there are 1000"),
            ([SplitPart.OfCount("train", int.MaxValue), SplitPart.OfCount("b", int.MaxValue)], "asks for 4294967294 rows"),
            ([SplitPart.OfFraction("train", 0.9), SplitPart.OfFraction("b", 0.0001)], "'b' would have none"),
            ([SplitPart.OfFraction("validation", 0.9)], "no part 'train'"),
            ([SplitPart.OfFraction("train", 0.5), SplitPart.OfFraction("train", 0.5)], "two parts 'train'"),
            ([SplitPart.OfSource("test", new BlobsSource())], "has the columns x: [B, 2], y: int[B], and xor has x: [B, 2], y: [B, 1]"),
        ];
        Assert.All(cases, static c => Assert.Contains(c.Message, Refusal(new DataDescription("d", new XorSource()) { Split = c.Split }), StringComparison.Ordinal));
    }

    [Fact]
    public void A_part_from_another_file_shares_the_classes()
    {
        using var folder = new Folder();
        folder.Write("a.csv", "x,y\n1,u\n2,v\n3,w\n");
        folder.Write("b.csv", "x,y\n4,w\n5,u\n");
        folder.Write("c.csv", "x,y\n4,z\n");
        CsvSource File(string name) => new(name) { Label = "y" };
        var data = new DataDescription("d", File("a.csv")) { Split = [SplitPart.OfSource("test", File("b.csv"))], OneHot = [] };
        DataSet read = new DataReader(folder.Path).Read(data);
        Assert.Equal(3, read["train"].Rows);
        Assert.Equal([0, 0, 1, 1, 0, 0], read["test"]["label"].ToArray<double>());
        var e = Assert.Throws<DataFormatException>(() => new DataReader(folder.Path).ReadSchema(data with { Split = [SplitPart.OfSource("test", File("c.csv"))] }));
        Assert.Contains("the class 'z' is not one of the other part's", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Normalization_uses_the_training_part_alone_and_is_repeatable()
    {
        var data = new DataDescription("d", new CsvSource("digits.csv") { Label = "digit" })
        {
            Split = [SplitPart.OfFraction("train", 0.8), SplitPart.OfFraction("validation", 0.2)],
            Normalize = [],
        };
        var reader = new DataReader(RepoRoot.Combine("examples", "data"));
        DataSet read = reader.Read(data);
        Tensor x = read["train"]["features"];
        (Tensor mean, Tensor std) = Normalization.Fit(x);
        Assert.All(mean.ToArray<double>(), static m => Assert.InRange(m, -1e-12, 1e-12));
        // p0 is 0 in every row: it stays 0, and keeps its scale.
        Assert.Equal(0, x[0, 0]);
        Assert.Equal(1, read.Statistics["data.features.std"][0]);
        Assert.All(std.ToArray<double>(), static s => Assert.Equal(1, s, 12));
        Assert.Equal(["data.features.mean", "data.features.std"], read.Statistics.Paths);
        Assert.NotEqual(0, Normalization.Fit(read["validation"]["features"]).Mean[2], 6);

        using var folder = new Folder();
        read.Statistics.Save(folder["s"]);
        DataSet again = reader.Read(data with { SplitSeed = 5 }, Weights.Load(folder["s"]));
        Assert.True(again.Statistics.BitEquals(read.Statistics));
        Assert.NotInRange(Normalization.Fit(again["train"]["features"]).Mean[2], -1e-12, 1e-12);
        Weights wrong = Weights.Empty.With("data.features.mean", Tensor.Scalar(0.0)).With("data.features.std", Tensor.Scalar(1.0));
        Assert.Contains("do not fit the column", Assert.Throws<DataFormatException>(() => reader.Read(data, wrong)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Constant_features_survive_rounding()
    {
        (Tensor mean, Tensor std) = Normalization.Fit(Tensor.Create([.. Enumerable.Repeat(0.1, 1000)], 1000, 1));
        Assert.Equal((0.1, 1), (mean[0], std[0]));
    }

    [Fact]
    public void Columns_are_renamed_normalized_and_made_one_hot_by_either_name()
    {
        var source = new BlobsSource(30);
        DataSet data = Read(new DataDescription("d", source) { Rename = [new("point", "x"), new("x", "y")], Normalize = ["point"], OneHot = ["x"] });
        Assert.Equal("point: [B, 2], x: [B, 3]", data.Schema.ToString());
        Assert.Equal(["data.point.mean", "data.point.std"], data.Statistics.Paths);
        Assert.All(data["train"]["x"].ToArray<double>().Chunk(3), static row => Assert.Equal([0, 0, 1], row.Order()));
        Assert.Equal(data.Schema, new DataReader(".").ReadSchema(new DataDescription("d", source) { Rename = [new("point", "x"), new("x", "y")], OneHot = [] }));
    }

    [Fact]
    public void Lines_that_do_not_fit_the_columns_are_refused()
    {
        var data = new DataDescription("d", new BlobsSource());
        (DataDescription Data, string Message)[] cases =
        [
            (data with { Rename = [new("a", "z")] }, "data d: rename: blobs has no column 'z'. It has 'x', 'y'."),
            (data with { Rename = [new("y", "x")] }, "two columns are called 'y'"),
            (data with { Rename = [new("a", "x"), new("b", "x")] }, "gives 'x' two names"),
            (data with { Normalize = ["z"] }, "normalize: blobs has no column 'z'"),
            (data with { Normalize = ["y"] }, "'y' holds classes"),
            (data with { OneHot = ["x"] }, "'x' does not hold classes"),
        ];
        Assert.All(cases, static c => Assert.Contains(c.Message, Refusal(c.Data), StringComparison.Ordinal));
    }

    [Fact]
    public void Columns_say_what_they_feed()
    {
        DataColumn x = new("x", DType.Float, [2]), y = new DataColumn("y", DType.Float, [1]) { Classes = 2 }, label = new("l", DType.I64, []), real = new("r", DType.Float, [1]);
        Assert.True(x.Feeds(DType.F64, [2]) && !x.Feeds(DType.Float, [3]) && !x.Feeds(DType.I64, [2]) && !x.Feeds(DType.Float, []));
        Assert.True(y.Feeds(DType.Float, [1]) && y.Feeds(DType.I64, []) && y.Feeds(DType.Float, []) && !y.Feeds(DType.Bool, []));
        Assert.True(label.Feeds(DType.I64, []) && label.Feeds(DType.Float, [1]) && !label.Feeds(DType.I64, [2]));
        Assert.True(real.Feeds(DType.Float, []) && !real.Feeds(DType.I64, []));
    }

    [Fact]
    public void Every_epoch_has_each_row_once_in_an_order_of_its_own() => Samples.Check(
        from rows in Gen.Choose(1, 100)
        from size in Gen.Choose(1, 120)
        from seed in Gen.Choose(0, 1000)
        select (rows, size, seed),
        static c =>
        {
            var batches = new Batches(c.rows, c.size, c.seed);
            int[] Epoch(int epoch)
            {
                batches.Start(epoch);
                Assert.Equal((c.rows + batches.Size - 1) / batches.Size, batches.Count);
                return [.. Enumerable.Range(0, batches.Count).SelectMany(b => batches[b].ToArray())];
            }

            int[] first = Epoch(0), fifth = Epoch(5);
            Assert.Equal(Enumerable.Range(0, c.rows), first.Order());
            Assert.Equal(Enumerable.Range(0, c.rows), fifth.Order());
            // Forty or more rows come in the same order with a chance below 1e-47.
            Assert.True(c.rows < 40 || !first.SequenceEqual(fifth));
            Assert.Equal(first, Epoch(0));
            Assert.Equal(fifth, new Batches(c.rows, c.size, c.seed) is var resumed && Start(resumed) ? [.. Enumerable.Range(0, resumed.Count).SelectMany(b => resumed[b].ToArray())] : []);

            static bool Start(Batches batches)
            {
                batches.Start(5);
                return true;
            }
        });

    [Fact]
    public void Orders_are_uniform()
    {
        // 6 orders of 3 rows over 6,000 seeds: chi-square with 5 degrees of freedom exceeds 25.7 once in 10,000.
        var counts = new Dictionary<string, int>();
        for (int seed = 0; seed < 6000; seed++)
        {
            string order = string.Join(",", new Batches(3, 3, seed)[0].ToArray());
            counts[order] = counts.GetValueOrDefault(order) + 1;
        }

        Assert.Equal(6, counts.Count);
        Assert.True(counts.Values.Sum(static n => (n - 1000.0) * (n - 1000) / 1000) < 25.7);
    }

    [Fact]
    public void Without_shuffling_the_rows_come_in_order_and_the_last_batch_is_smaller()
    {
        var batches = new Batches(10, 4, 0, shuffle: false);
        batches.Start(3);
        Assert.Equal((3, 4), (batches.Count, batches.Size));
        Assert.Equal([4, 5, 6, 7], batches[1]);
        Assert.Equal([8, 9], batches[2]);
        Assert.Throws<ArgumentOutOfRangeException>(() => batches[3].Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => new Batches(0, 1, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new Batches(1, 0, 0));
    }

    [Fact]
    public void Filling_equals_taking_rows_and_casting() => Samples.Check(
        from type in Gen.Elements(DType.F32, DType.F64, DType.I64, DType.Bool)
        from wanted in Gen.Elements(DType.F32, DType.F64, DType.I64, DType.Bool)
        from width in Gen.Choose(0, 3)
        from rows in Gen.Choose(0, 4).ArrayOf()
        select (type, wanted, width, rows),
        static c =>
        {
            Tensor values = Tensor.Create([.. Enumerable.Range(0, 5 * c.width).Select(static i => i - 2.0)], 5, c.width).Cast(c.type);
            var split = new DataSplit("s", ("x", values));
            Tensor taken = split.Take("t", c.rows)["x"].Cast(c.wanted);
            var bytes = new byte[taken.Length * (c.wanted is DType.Bool ? 1 : c.wanted is DType.F32 ? 4 : 8)];
            split.Fill(split.IndexOf("x"), c.rows, bytes, c.wanted);
            int[] shape = [c.rows.Length, c.width];
            Assert.True(taken.BitEquals(c.wanted switch
            {
                DType.F32 => Tensor.Create(MemoryMarshal.Cast<byte, float>(bytes).ToArray(), shape),
                DType.F64 => Tensor.Create(MemoryMarshal.Cast<byte, double>(bytes).ToArray(), shape),
                DType.I64 => Tensor.Create(MemoryMarshal.Cast<byte, long>(bytes).ToArray(), shape),
                _ => Tensor.Create(MemoryMarshal.Cast<byte, bool>(bytes).ToArray(), shape),
            }));
        });

    [Fact]
    public void Feeding_an_epoch_allocates_nothing()
    {
        DataSplit train = Read(new DataDescription("d", new TwoMoonsSource()))["train"];
        var batches = new Batches(train.Rows, 64, 1);
        var x = new float[128];
        var y = new long[64];
        int Epoch(int epoch)
        {
            int rows = 0;
            batches.Start(epoch);
            for (int b = 0; b < batches.Count; b++)
            {
                ReadOnlySpan<int> batch = batches[b];
                train.Fill(0, batch, x.AsSpan(0, 2 * batch.Length));
                train.Fill(1, batch, y.AsSpan(0, batch.Length));
                rows += batch.Length;
            }

            return rows;
        }

        Epoch(0);
        long before = GC.GetAllocatedBytesForCurrentThread();
        int rows = Epoch(1);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(1000, rows);
    }

    [Fact]
    public void Data_sets_of_tensors_check_their_parts()
    {
        Tensor x = Tensor.Zeros(DType.F32, 3, 2);
        DataSet data = DataSet.Of(new DataSplit("train", ("x", x), ("y", Tensor.Zeros(DType.I64, 3))), new DataSplit("test", ("x", x), ("y", Tensor.Zeros(DType.I64, 3))));
        Assert.Equal("x: [B, 2], y: int[B]", data.Schema.ToString());
        Assert.Equal(DType.F64, data.Cast(DType.F64)["train"]["x"].DType);
        Assert.Contains("Did you mean 'train'?", Assert.Throws<KeyNotFoundException>(() => data["trian"]).Message, StringComparison.Ordinal);
        Assert.Contains("There are x, y", Assert.Throws<KeyNotFoundException>(() => data["test"]["label"]).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => DataSet.Of(new DataSplit("train", ("x", x)), new DataSplit("test", ("x", x.Cast(DType.I64)))));
        Assert.Throws<ArgumentException>(() => DataSet.Of(new DataSplit("train", ("x", x)), new DataSplit("train", ("x", x))));
        Assert.Throws<ArgumentException>(() => DataSet.Of());
        Assert.Throws<ArgumentException>(() => new DataSplit("train", ("x", x), ("y", Tensor.Zeros(DType.I64, 4))));
        Assert.Throws<ArgumentException>(() => new DataSplit("train", ("x", Tensor.Scalar(1f))));
        Assert.Throws<ArgumentException>(() => data["train"].Fill(0, [0, 1], new float[3].AsSpan()));
    }

    private static DataSet Read(DataDescription data) => new DataReader(".").Read(data);

    private static string Refusal(DataDescription data) => Assert.Throws<DataFormatException>(() => new DataReader(".").ReadSchema(data)).Message;

    private static IEnumerable<(double X, double Y, int Label)> Points(MadeSource source)
    {
        DataSplit train = Read(new DataDescription("d", source))["train"];
        double[] labels = train["y"].Cast(DType.F64).ToArray<double>();
        return train["x"].ToArray<double>().Chunk(2).Select((p, i) => (p[0], p[1], (int)labels[i]));
    }
}
