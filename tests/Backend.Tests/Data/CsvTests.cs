using Dnn.Graph;
using Dnn.Testing;
using Xunit;

namespace Dnn.Backend.Tests;

public class CsvTests
{
    [Fact]
    public void Digits_load()
    {
        DataSet digits = Read(new CsvSource("digits.csv") { Label = "digit" });
        Assert.Equal("features: [B, 64], label: int[B]", digits.Schema.ToString());
        Assert.Equal(1797, digits.Schema.Rows);
        Assert.Equal(10, digits.Schema.Find("label")!.Classes);
        Assert.Equal(16, digits["train"]["features"].AsSpan<double>().ToArray().Max());
    }

    [Fact]
    public void Iris_loads_with_its_species_in_order()
    {
        DataSet iris = Read(new CsvSource("iris.csv") { Label = "species" });
        Assert.Equal("features: [B, 4], label: int[B]", iris.Schema.ToString());
        Assert.Equal(["setosa", "versicolor", "virginica"], iris.Schema.Find("label")!.ClassNames);
        Assert.Equal([5.1, 3.5, 1.4, 0.2], iris["train"]["features"].ToArray<double>()[..4]);
        Assert.All(iris["train"]["label"].ToArray<long>().GroupBy(k => k), static g => Assert.Equal(50, g.Count()));
    }

    [Fact]
    public void Diabetes_loads_with_a_real_label()
    {
        DataSet diabetes = Read(new CsvSource("diabetes.csv") { Label = "progression" });
        Assert.Equal("features: [B, 10], label: [B, 1]", diabetes.Schema.ToString());
        Assert.Equal(442, diabetes["train"].Rows);
        Assert.Equal(151, diabetes["train"]["label"][0, 0]);
        Assert.False(diabetes.Schema.Find("label")!.Feeds(DType.I64));
    }

    [Fact]
    public void Columns_are_chosen_and_categories_become_units()
    {
        using var folder = new Folder();
        folder.Write("d.csv", "name,size,color,n\nann,1.5,red,3\nbob,2,blue,3\ncid,-1e1,red,1\n");
        DataSplit all = Read(folder, new CsvSource("d.csv"));
        Assert.Equal([1.5, 3, 2, 3, -10, 1], all["features"].ToArray<double>());
        all = Read(folder, new CsvSource("d.csv") { Categorical = ["color"], Label = "n" });
        Assert.Equal([1.5, 0, 1, 2, 1, 0, -10, 0, 1], all["features"].ToArray<double>());
        Assert.Equal([3, 3, 1], all["label"].ToArray<long>());
        all = Read(folder, new CsvSource("d.csv") { Features = ["color", "size"], Categorical = ["color", "n"], Label = "n" });
        Assert.Equal([0, 1, 1.5, 1, 0, 2, 0, 1, -10], all["features"].ToArray<double>());
        Assert.Equal([1, 1, 0], all["label"].ToArray<long>());
    }

    [Theory]
    [InlineData("0\n1\n2\n", "int[B]")]
    [InlineData("0\n1\n-1\n", "[B, 1]")]
    [InlineData("0\n1\n2.0\n", "[B, 1]")]
    [InlineData("0\n1\n3000000000\n", "[B, 1]")]
    [InlineData("x\ny\nx\n", "int[B]")]
    public void The_label_is_what_its_cells_are(string cells, string type)
    {
        using var folder = new Folder();
        folder.Write("d.csv", "x,y\n" + string.Concat(cells.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static c => $"1,{c}\n")));
        DataSchema schema = new DataReader(folder.Path).ReadSchema(new DataDescription("d", new CsvSource("d.csv") { Label = "y" }));
        Assert.EndsWith("label: " + type, schema.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Quotes_line_breaks_blanks_separators_and_byte_order_marks_are_read()
    {
        using var folder = new Folder();
        foreach (string text in (string[])
            [
                "a,y\n1,u\n2,v\n", "a,y\r\n1,u\r\n2,v", "\uFEFFa,y\n\n1,u\n\n2,v\n\n", " a , y \n 1 , u \n\"2\",\"v\"\n", "a;y\n1;u\n2;v\n", "a\ty\n1\tu\n2\tv\n",
            ])
        {
            folder.Write("d.csv", text);
            DataSplit all = Read(folder, new CsvSource("d.csv") { Label = "y" });
            Assert.Equal([1, 2], all["features"].ToArray<double>());
            Assert.Equal([0, 1], all["label"].ToArray<long>());
        }

        folder.Write("d.csv", "a,y\n1,\"u, \"\"v\"\"\nw\"\n");
        Assert.Equal(["u, \"v\"\nw"], new DataReader(folder.Path).ReadSchema(new DataDescription("d", new CsvSource("d.csv") { Label = "y" })).Columns[1].ClassNames);
    }

    public static TheoryData<string, CsvSource, string> Malformed()
    {
        var plain = new CsvSource("d.csv");
        CsvSource labelled = plain with { Label = "y" };
        return new()
        {
            { "", plain, "d.csv: the file is empty" },
            { "\n\n", plain, "d.csv: the file is empty" },
            { "a,b\n", plain, "no rows" },
            { "a,,b\n1,2,3\n", plain, "d.csv:1: column 2 has no name" },
            { "a,b,a\n1,2,3\n", plain, "d.csv:1: two columns are called 'a'" },
            { "a,b\n1,2\n3\n", plain, "d.csv:3: 1 fields, and the header has 2" },
            { "a,b\n\n1,2\n\"x\ny\",2\n1,2,3\n", plain, "d.csv:6: 3 fields" },
            { "a,b\n1,2\n3,x\n", plain, "d.csv:3: column 'b': 'x' is not a number" },
            { "a,b\n1,2\n3,\n", plain, "d.csv:3: column 'b': the cell is empty" },
            { "a,b\n1,\n3,4\n", plain, "d.csv:2: column 'b': the cell is empty" },
            { "a,b\n1,x\n3,4\n", plain, "d.csv:3: column 'b': '4' is a number among texts" },
            { "a,b\n1,2\n3,nan\n", plain, "d.csv:3: column 'b': 'nan' is not a finite number" },
            { "a,b\n1,2\n3,-Infinity\n", plain, "'-Infinity' is not a finite number" },
            { "a,b\n1,2\n3,1e999\n", plain, "'1e999' is not a finite number" },
            { "a,b\n1,2\n3,\"1,5\"\n", plain, "'1,5' is not a number" },
            { "a,b\n1,\"2\n", plain, "d.csv:2: malformed quotes" },
            { "a,b\n1,2\n\"1\"2,3\n", plain, "d.csv:3: malformed quotes" },
            { "a,b\nx,y\n", plain, "no column is left" },
            { "a,b\n1,2\n", plain with { Features = ["a", "bb"] }, "there is no column 'bb'. Did you mean 'b'?" },
            { "a,b\n1,x\n", plain with { Features = ["a", "b"] }, "the feature 'b' holds text" },
            { "a,b\n1,x\n", plain with { Features = ["a", "a"] }, "a column stands twice" },
            { "a,b\n1,x\n", plain with { Features = ["a"], Categorical = ["b"] }, "'b' is not among the features" },
            { "a,b\n1,x\n", plain with { Categorical = ["c"] }, "there is no column 'c'" },
            { "a,b\n1,x\n1,\n", plain with { Categorical = ["b"] }, "d.csv:3: column 'b': the cell is empty" },
            { "a,species\n1,x\n", plain with { Label = "spcies" }, "there is no column 'spcies'. Did you mean 'species'?" },
            { "a,y\n1,x\n", labelled with { Features = ["a", "y"] }, "'y' is both" },
            { "a,y\n1,u\n1,\n", labelled, "d.csv:3: column 'y': the cell is empty" },
            { "a,y\n1,u\n1,3\n", labelled, "d.csv:3: column 'y': '3' is a number among texts" },
        };
    }

    [Theory]
    [MemberData(nameof(Malformed))]
    public void A_malformed_file_is_refused_with_place_reason_and_fix(string text, CsvSource source, string message)
    {
        using var folder = new Folder();
        folder.Write("d.csv", text);
        var e = Assert.Throws<DataFormatException>(() => new DataReader(folder.Path).ReadSchema(new DataDescription("d", source)));
        Assert.Contains(message, e.Message, StringComparison.Ordinal);
        Assert.NotNull(e.Fix);
    }

    [Fact]
    public void Text_that_is_not_UTF8_is_refused()
    {
        using var folder = new Folder();
        folder.Write("d.csv", [.. "a,y\n1,u\n2,"u8, 0xFC, .. "\n"u8]);
        var e = Assert.Throws<DataFormatException>(() => Read(folder, new CsvSource("d.csv") { Label = "y" }));
        Assert.Contains("d.csv:3: the text is not UTF-8", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_file_gets_a_suggestion()
    {
        using var folder = new Folder();
        folder.Write("iris.csv", "");
        Assert.Contains("Did you mean 'iris.csv'?", Assert.Throws<DataFormatException>(() => Read(folder, new CsvSource("irs.csv"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_larger_than_memory_trains_to_the_same_bits()
    {
        using var folder = new Folder();
        string[] kinds = ["red", "green", "blue"];
        folder.Write("d.csv", "a,kind,note,y\n" + string.Concat(Enumerable.Range(0, 500).Select(i => FormattableString.Invariant($"{Math.Sin(i):R},{kinds[i % 3]},text {i},{(i % 5 < 2 ? "no" : "yes")}\n"))));
        var data = new DataDescription("d", new CsvSource("d.csv") { Label = "y", Categorical = ["kind"] }) { Split = [SplitPart.OfFraction("train", 0.8), SplitPart.OfFraction("validation", 0.2)], Normalize = [] };
        DataSet memory = new DataReader(folder.Path).Read(data), disk = new DataReader(folder.Path) { MemoryLimit = 100 }.Read(data);
        Assert.Equal((false, true), (memory["train"].IsSlow, disk.Cast(DType.F32)["train"].IsSlow));
        Assert.Equal(memory.Schema, disk.Schema);
        Assert.True(memory.Statistics.BitEquals(disk.Statistics));
        foreach (string column in memory["train"].Columns)
        {
            Assert.True(memory["train"][column].BitEquals(disk["train"][column]));
        }

        Model model = Model.Build("M", m => m.Loss(Losses.CrossEntropy(m.Input("features", "B", 4).Dense(2), m.Target("label", DType.I64, "B"))));
        var recipe = new TrainingRecipe { Optimizer = new Adam(0.01), Epochs = 3 };
        Assert.True(Trainer.Fit(model, recipe, memory).Weights.BitEquals(Trainer.Fit(model, recipe, disk).Weights));
    }

    private static DataSplit Read(Folder folder, CsvSource source) =>
        new DataReader(folder.Path).Read(new DataDescription("d", source) { Shuffle = false })["train"];

    private static DataSet Read(CsvSource source) =>
        new DataReader(RepoRoot.Combine("examples", "data")).Read(new DataDescription("d", source) { Shuffle = false });
}
