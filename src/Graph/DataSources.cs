namespace Dnn.Graph;

/// <summary>Sequences made from a seed, all of one length; columns <c>x</c> and <c>y</c>.</summary>
/// <param name="Samples">The number of rows.</param>
/// <param name="Length">Steps, or symbols.</param>
/// <param name="Seed">Picks everything random.</param>
public abstract record SequenceSource(int Samples, int Length, long Seed) : GeneratedSource
{
    /// <summary>The steps of a row.</summary>
    public virtual int Steps => Length;

    public override DataSchema Schema()
    {
        Require(Samples >= 1, "samples", Samples, "from 1");
        Require(Length >= 1, "length", Length, "from 1");
        Check();
        Require((long)Samples * Steps <= Array.MaxLength / 2, "samples", Samples, $"of {Steps} steps that make at most {Array.MaxLength / 2} in all");
        return new DataSchema(Columns(), Samples);
    }

    private protected abstract ValueList<DataColumn> Columns();

    private protected virtual void Check()
    {
    }

    private protected DataColumn Symbols(string name, int classes) => new(name, DType.I64, [Steps]) { Classes = classes, IsTarget = name == "y" };
}

/// <summary>
/// Sine waves of random phase and period: x[t] = sin(2π t / period + phase) + noise, and y[t] = sin(2π (t + 1) / period + phase), the value one step
/// later. Both [length, 1].
/// </summary>
/// <param name="Noise">The standard deviation of the normal noise on x.</param>
/// <param name="Shortest">The shortest period, in steps.</param>
/// <param name="Longest">The longest period; periods are uniform between them.</param>
public sealed record SineWaveSource(int Samples = 1000, int Length = 50, double Noise = 0, long Seed = 0, double Shortest = 10, double Longest = 40) : SequenceSource(Samples, Length, Seed)
{
    public override string Name => "sine_wave";

    private protected override ValueList<DataColumn> Columns() => [new("x", DType.Float, [Length, 1]), new DataColumn("y", DType.Float, [Length, 1]) { IsTarget = true }];

    private protected override void Check()
    {
        Require(double.IsFinite(Noise) && Noise >= 0, "noise", Noise, "a finite number from 0");
        Require(Shortest > 0 && Shortest <= Longest && double.IsFinite(Longest), "period", $"({Shortest}, {Longest})", "two finite numbers above 0, the smaller first");
    }
}

/// <summary>
/// The copy task (Hochreiter and Schmidhuber 1997): x is <c>length</c> random symbols from 1 … symbols, then blanks (0) for <c>delay</c> steps of
/// which the last is the marker (symbols + 1), then blanks; y is blank until after the marker, and there the symbols again. Both
/// int[2 · length + delay].
/// </summary>
/// <param name="Alphabet">The number of symbols.</param>
/// <param name="Delay">Steps between the last symbol and the first to repeat.</param>
public sealed record CopyTaskSource(int Samples = 1000, int Length = 10, int Delay = 20, int Alphabet = 8, long Seed = 0) : SequenceSource(Samples, Length, Seed)
{
    public override string Name => "copy_task";

    public override int Steps => (2 * Length) + Delay;

    private protected override ValueList<DataColumn> Columns() => [Symbols("x", Alphabet + 2), Symbols("y", Alphabet + 1)];

    private protected override void Check()
    {
        Require(Length <= 1 << 20, "length", Length, $"up to {1 << 20}");
        Require(Delay is >= 1 and <= 1 << 28, "delay", Delay, $"from 1 to {1 << 28}");
        Require(Alphabet is >= 1 and <= 1 << 20, "symbols", Alphabet, $"from 1 to {1 << 20}");
    }
}

/// <summary>
/// Sequences to reverse: x is <c>length</c> random symbols from 1 … symbols, y the same from the last to the first, and <c>previous</c> is y one step
/// later, after a 0 that says where it starts: what a decoder is given. All int[length].
/// </summary>
/// <param name="Alphabet">The number of symbols.</param>
public sealed record ReverseTaskSource(int Samples = 1000, int Length = 10, int Alphabet = 8, long Seed = 0) : SequenceSource(Samples, Length, Seed)
{
    public override string Name => "reverse_task";

    private protected override ValueList<DataColumn> Columns() => [Symbols("x", Alphabet + 1), Symbols("previous", Alphabet + 1), Symbols("y", Alphabet + 1)];

    private protected override void Check() => Require(Alphabet is >= 1 and <= 1 << 20, "symbols", Alphabet, $"from 1 to {1 << 20}");
}

/// <summary>
/// Images and labels in the IDX files of MNIST and its likes (LeCun et al. 1998), gzipped or not: <c>images</c>: [H, W, 1] in 0 … 1, <c>labels</c>:
/// int.
/// </summary>
public sealed record IdxSource(string Images, string Labels) : DataSource
{
    public override string Name => "idx";
}

/// <summary>A column of a file of arrays or records, under a name of its own.</summary>
public sealed record ColumnName(string Name, string There);

/// <summary>Arrays in a NumPy <c>.npz</c> file, all with the same first size: each is a column.</summary>
/// <param name="Columns">The columns by the names of the arrays; all, under their own names, if empty.</param>
public sealed record NpzSource(string Path, ValueList<ColumnName> Columns = default) : DataSource
{
    public override string Name => "npz";
}

/// <summary>Tensors in a safetensors file, all with the same first size: each is a column.</summary>
/// <param name="Columns">The columns by the names of the tensors; all, under their own names, if empty.</param>
public sealed record SafetensorsSource(string Path, ValueList<ColumnName> Columns = default) : DataSource
{
    public override string Name => "safetensors";
}

/// <summary>
/// A file with a JSON object a line. A field of numbers is a column (of integers, where all are whole), of arrays of numbers one of their shape, of
/// bools one of bools, of texts one of classes, in ordinal order.
/// </summary>
/// <param name="Columns">The columns by the names of the fields; all, under their own names, if empty.</param>
public sealed record JsonlSource(string Path, ValueList<ColumnName> Columns = default) : DataSource
{
    public override string Name => "jsonl";
}

/// <summary>
/// PNG, JPEG, BMP and GIF images in a folder for each class: <c>images</c>: [H, W, C] in 0 … 1, C being 1 where all are gray and 3 elsewhere, and
/// <c>labels</c>: int, classes in ordinal order of the folders' names.
/// </summary>
/// <param name="Path">The folder.</param>
/// <param name="Size">Height and width, to which images of other sizes are brought; null where all have one size.</param>
/// <exception cref="GraphException">The size is no height and width from 1.</exception>
public sealed record ImagesSource(string Path, Extent? Size = null) : DataSource
{
    /// <summary>The size, if it is given.</summary>
    public (int Height, int Width)? Pixels { get; } = Size?.Over(2, "images", "size") is [var height, var width] ? (height, width) : null;

    public override string Name => "images";
}

/// <summary>What a text is cut into.</summary>
public enum TextTokens
{
    /// <summary>The bytes of its UTF-8 form: 256 tokens.</summary>
    Bytes,

    /// <summary>Characters (Unicode scalar values): as many tokens as the text has different ones, in order of their number.</summary>
    Chars,
}

/// <summary>
/// A text as windows of tokens, one after another: <c>tokens</c>: int[context], and <c>next</c>: int[context], the same one token later. Each token but
/// the first is once what is to be predicted.
/// </summary>
public sealed record TextSource(string Path, int Context = 128, TextTokens Tokens = TextTokens.Bytes) : DataSource
{
    public override string Name => "text";

    public override bool IsSequence => true;
}

/// <summary>
/// One graph in two CSV files, fed whole: <c>features</c>: [N, F], <c>label</c>: int[N], <c>edges</c>: int[E, 2] with the places of source and target, and
/// <c>mask</c>: [N], 1 for the nodes of the part and 0 for the others.
/// </summary>
/// <param name="Nodes">A line a node: first its name, then columns.</param>
/// <param name="Edges">A line an edge: the names of two nodes, source and target.</param>
public sealed record GraphSource(string Nodes, string Edges) : DataSource
{
    public override string Name => "graph";

    /// <summary>The columns of nodes that make up the features; null for all of numbers but the label. Without any, a node's features are its own unit vector.</summary>
    public ValueList<string>? Features { get; init; }

    /// <summary>The column of nodes to predict; null for none.</summary>
    public string? Label { get; init; }

    /// <summary>Columns of nodes whose cells name categories.</summary>
    public ValueList<string> Categorical { get; init; }

    /// <summary>Whether an edge leads one way; else it is there in both directions.</summary>
    public bool Directed { get; init; }
}

/// <summary>What happens to a row of the training part each time it is trained on; a description. The random numbers are functions of seed, epoch and row.</summary>
public abstract record Augmentation
{
    private protected Augmentation()
    {
    }

    /// <summary>The name in the language.</summary>
    public abstract string Name { get; }

    /// <summary>What it is for, in a message.</summary>
    public abstract string Of { get; }

    /// <summary>Whether it changes the column.</summary>
    public virtual bool AppliesTo(DataColumn column) => column is { IsTarget: false, IsWhole: false, Classes: null, RowShape.Count: 3 } && column.DType.IsFloat();
}

/// <summary>Turns an image [H, W, C] left to right, or top to bottom, with probability ½.</summary>
public sealed record FlipAugmentation(bool Vertical = false) : Augmentation
{
    public override string Name => "flip";

    public override string Of => "images [H, W, C]";
}

/// <summary>Moves an image [H, W, C] by up to <paramref name="Padding"/> positions along each side; what comes in is 0.</summary>
public sealed record CropAugmentation(int Padding) : Augmentation
{
    public override string Name => "crop";

    public override string Of => "images [H, W, C]";
}

/// <summary>Adds normal noise to each number of the float columns that are not the target.</summary>
public sealed record NoiseAugmentation(double Deviation) : Augmentation
{
    public override string Name => "noise";

    public override string Of => "columns of measurements";

    public override bool AppliesTo(DataColumn column) => column is { IsTarget: false, IsWhole: false, Classes: null } && column.DType.IsFloat();
}
