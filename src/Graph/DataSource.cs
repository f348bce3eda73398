namespace Dnn.Graph;

/// <summary>
/// Data, a weights file or a description of data that cannot be used. The message is for the person who wrote it:
/// <c>iris.csv:12: column 'age': 'abc' is not a number. Correct the cell.</c>
/// </summary>
public sealed class DataFormatException : Exception
{
    /// <param name="where">The file, or the declaration, that is at fault, with the place in it where there is one.</param>
    /// <param name="reason">What is wrong, without a full stop.</param>
    /// <param name="fix">What to do about it, as a sentence, without the full stop.</param>
    /// <param name="inner">What the system said, if it did.</param>
    public DataFormatException(string where, string reason, string? fix = null, Exception? inner = null)
        : base(fix is null ? $"{where}: {reason}" : $"{where}: {reason}. {fix}{(fix.EndsWith('?') ? "" : ".")}", inner)
    {
        Where = where;
        Reason = reason;
        Fix = fix;
    }

    /// <summary>The file (<c>w.npy</c>), the place in it (<c>iris.csv:12</c>), or the description (<c>data moons</c>).</summary>
    public string Where { get; }

    public string Reason { get; }

    public string? Fix { get; }
}

/// <summary>
/// Where data comes from: a description, which a backend samples or reads. A source has columns; rows of all columns belong together, and
/// columns meet a model's inputs and targets by name.
/// </summary>
public abstract record DataSource
{
    private protected DataSource()
    {
    }

    /// <summary>The name in the language: <c>csv</c>, <c>two_moons</c>.</summary>
    public abstract string Name { get; }

    /// <summary>Whether the order of the rows means something, so that the parts of a split are runs of rows: texts.</summary>
    public virtual bool IsSequence => false;
}

/// <summary>Data made from a seed, the same on every machine: the columns follow from the arguments.</summary>
public abstract record GeneratedSource : DataSource
{
    private protected GeneratedSource()
    {
    }

    /// <exception cref="DataFormatException">An argument is out of its range.</exception>
    public abstract DataSchema Schema();

    private protected void Require(bool holds, string argument, object value, string range)
    {
        if (!holds)
        {
            throw new DataFormatException(Name, FormattableString.Invariant($"{argument} = {value} is out of range"), $"Give {argument} {range}");
        }
    }
}

/// <summary>
/// A CSV file (RFC 4180, comma, UTF-8) with a header line. Gives the column <c>features</c>: [F], and <c>label</c> if there is one:
/// text becomes the index of a class (classes in ordinal order), non-negative whole numbers stay the integers that they are, and other
/// numbers are a float column of shape [1].
/// </summary>
/// <param name="Path">Relative paths start at the folder of the file that names it.</param>
public sealed record CsvSource(string Path) : DataSource
{
    public override string Name => "csv";

    /// <summary>The columns that make up the features, in this order; null for all columns of numbers but the label, and the categorical ones.</summary>
    public ValueList<string>? Features { get; init; }

    /// <summary>The column to predict; null for none.</summary>
    public string? Label { get; init; }

    /// <summary>
    /// Columns whose cells name categories, numbers or not: each becomes one feature of 0 or 1 a category (in ordinal order) in its place;
    /// a label becomes the index of a class.
    /// </summary>
    public ValueList<string> Categorical { get; init; }
}

/// <summary>
/// Points in the plane, made from a seed: the same on every machine. Columns <c>x</c>: [2], and <c>y</c>: the class, as float of shape
/// [1] where there are two, else an integer. The rows are in random order.
/// </summary>
/// <param name="Samples">The number of rows; the classes share them evenly, the first taking the remainder.</param>
/// <param name="Noise">The standard deviation of the normal noise that is added to both coordinates.</param>
/// <param name="Seed">Picks the noise and the order.</param>
public abstract record MadeSource(int Samples, double Noise, long Seed) : GeneratedSource
{
    private const int MaxSamples = 100_000_000;

    /// <summary>The number of values of y.</summary>
    public virtual int ClassCount => 2;

    public override DataSchema Schema()
    {
        Require(Samples is >= 1 and <= MaxSamples, "samples", Samples, $"from 1 to {MaxSamples}");
        Require(double.IsFinite(Noise) && Noise >= 0, "noise", Noise, "a finite number from 0");
        Require(ClassCount is >= 2 and <= MaxSamples, "classes", ClassCount, "at least 2");
        Check();
        DataColumn y = ClassCount == 2 ? new("y", DType.Float, [1]) : new("y", DType.I64, []);
        return new DataSchema([new DataColumn("x", DType.Float, [2]), y with { IsTarget = true, Classes = ClassCount }], Samples);
    }

    private protected virtual void Check()
    {
    }
}

/// <summary>
/// Two interleaved half circles: (cos t, sin t) and (1 − cos t, ½ − sin t), t evenly from 0 to π; y is 0 and 1. As scikit-learn's
/// <c>make_moons</c>.
/// </summary>
public sealed record TwoMoonsSource(int Samples = 1000, double Noise = 0.1, long Seed = 0) : MadeSource(Samples, Noise, Seed)
{
    public override string Name => "two_moons";
}

/// <summary>Two circles about the origin, of radius 1 (y = 0) and <paramref name="Factor"/> (y = 1). As scikit-learn's <c>make_circles</c>.</summary>
/// <param name="Factor">The radius of the inner circle, between 0 and 1.</param>
public sealed record CirclesSource(int Samples = 1000, double Noise = 0.05, long Seed = 0, double Factor = 0.5) : MadeSource(Samples, Noise, Seed)
{
    public override string Name => "circles";

    private protected override void Check() => Require(Factor is >= 0 and < 1, "factor", Factor, "from 0 to below 1");
}

/// <summary>
/// Arms of a spiral about the origin: arm k is r·(cos φ, sin φ) with φ = 2π(turns·r + k / classes), r evenly from 0 to 1; y is k.
/// </summary>
/// <param name="Classes">The number of arms.</param>
/// <param name="Turns">How often an arm goes round.</param>
public sealed record SpiralsSource(int Samples = 1000, double Noise = 0.02, long Seed = 0, int Classes = 2, double Turns = 1) : MadeSource(Samples, Noise, Seed)
{
    public override string Name => "spirals";

    public override int ClassCount => Classes;

    private protected override void Check() => Require(double.IsFinite(Turns), "turns", Turns, "a finite number");
}

/// <summary>Normal clouds with centers evenly on the circle of radius 5 about the origin, the first at (5, 0); y is the cloud's number.</summary>
/// <param name="Noise">The standard deviation of a cloud.</param>
/// <param name="Classes">The number of clouds.</param>
public sealed record BlobsSource(int Samples = 1000, double Noise = 1, long Seed = 0, int Classes = 3) : MadeSource(Samples, Noise, Seed)
{
    public override string Name => "blobs";

    public override int ClassCount => Classes;
}

/// <summary>The corners of the unit square in turn, (0, 0), (1, 1), (0, 1), (1, 0); y is whether the coordinates differ.</summary>
public sealed record XorSource(int Samples = 1000, double Noise = 0.1, long Seed = 0) : MadeSource(Samples, Noise, Seed)
{
    public override string Name => "xor";
}

/// <summary>What one column gives for each row.</summary>
/// <param name="Name">By which inputs and targets find it.</param>
/// <param name="DType">Float columns are of the open type: they feed a run of either precision.</param>
/// <param name="RowShape">Without the dimension of the rows; empty for one number a row.</param>
public sealed record DataColumn(string Name, DType DType, ValueList<int> RowShape)
{
    /// <summary>Whether it is what is to be predicted.</summary>
    public bool IsTarget { get; init; }

    /// <summary>The number of classes where every value is a class, 0 … Classes − 1.</summary>
    public int? Classes { get; init; }

    /// <summary>What the classes are called, where the data has names for them.</summary>
    public ValueList<string> ClassNames { get; init; }

    /// <summary>Whether the column is fed whole at each step: then <see cref="RowShape"/> is the shape of all of it.</summary>
    public bool IsWhole { get; init; }

    /// <summary>
    /// Whether the column can feed an input of the type: integers and bools feed floats; floats feed integers only where they are
    /// classes, since those are whole.
    /// </summary>
    public bool Feeds(DType wanted) => wanted.IsFloat() || (wanted == DType.I64 ? DType == DType.I64 || (Classes is not null && RowShapes.Count == 2) : DType == wanted);

    /// <summary>The row shapes that an input may have to take it: its own, and for one number a row both [] and [1].</summary>
    public ValueList<ValueList<int>> RowShapes => !IsWhole && (RowShape.Count == 0 || RowShape == [1]) ? [[], [1]] : [RowShape];

    /// <summary>Whether the column can feed an input of this type and row shape.</summary>
    public bool Feeds(DType wanted, ReadOnlySpan<int> rowShape)
    {
        foreach (ValueList<int> shape in RowShapes)
        {
            if (shape.AsSpan().SequenceEqual(rowShape))
            {
                return Feeds(wanted);
            }
        }

        return false;
    }

    /// <summary>As a model declares it: <c>x: [B, 2]</c>, <c>label: int[B]</c>.</summary>
    public override string ToString() =>
        $"{Name}: {(DType == DType.Float ? "" : DType == DType.I64 ? "int" : DType.Text())}[{string.Join(", ", (IEnumerable<object>)(IsWhole ? [.. RowShape] : ["B", .. RowShape]))}]";
}

/// <summary>The columns of a source, and its number of rows where that is known.</summary>
public sealed record DataSchema(ValueList<DataColumn> Columns, int? Rows)
{
    /// <summary>Whether all of it is fed at each step, as a graph is: a split then says which of its nodes a part is about, by a column of its own.</summary>
    public bool IsWhole { get; init; }

    /// <summary>The column of the name, or null.</summary>
    public DataColumn? Find(string name) => Columns.FirstOrDefault(c => c.Name == name);

    public override string ToString() => string.Join(", ", Columns);
}

/// <summary>
/// Reads what a description promises, so that a model is checked against its data before anything runs. Implemented where files are read.
/// </summary>
public interface IDataReader
{
    /// <summary>The columns that training will see, after the lines of the block.</summary>
    /// <exception cref="DataFormatException">The data cannot be used, or the block does not fit it.</exception>
    DataSchema ReadSchema(DataDescription data);
}

/// <summary>
/// A part of a data set: a fraction of the source's rows, a number of them, or all rows of another source with the same columns.
/// Exactly one of the three is set.
/// </summary>
public sealed record SplitPart
{
    private SplitPart(string name) => Name = name;

    /// <summary><c>train</c>, <c>validation</c>, <c>test</c>, or any other.</summary>
    public string Name { get; }

    public double? Fraction { get; private init; }

    public int? Count { get; private init; }

    public DataSource? Source { get; private init; }

    public static SplitPart OfFraction(string name, double fraction) => new(name) { Fraction = fraction };

    public static SplitPart OfCount(string name, int count) => new(name) { Count = count };

    public static SplitPart OfSource(string name, DataSource source) => new(name) { Source = source };
}

/// <summary>A line <c>rename new = old</c>.</summary>
public sealed record ColumnRename(string New, string Old);

/// <summary>What the block does to one column of the source.</summary>
/// <param name="Source">The column as the source has it.</param>
/// <param name="Result">The column as training sees it.</param>
/// <param name="Normalize">Whether its mean over the training part is subtracted, and it is divided by the standard deviation.</param>
/// <param name="OneHot">Whether class k becomes the k-th unit vector.</param>
public sealed record ColumnPlan(DataColumn Source, DataColumn Result, bool Normalize, bool OneHot);

/// <summary>
/// A <c>data</c> declaration: a source and what its block says. The order of the lines does not matter: rows are split; columns are
/// normalized by statistics of the part <c>train</c>, or made one-hot; last they are renamed. Lines may use a column's old or new name.
/// </summary>
public sealed record DataDescription(string Name, DataSource Source)
{
    /// <summary>The part that is trained on.</summary>
    public const string Train = "train";

    /// <summary>The parts; empty for one part <c>train</c> of all rows. Rows that no part asks for are left out.</summary>
    public ValueList<SplitPart> Split { get; init; }

    /// <summary>Whether the rows go to the parts in random order; else in theirs, one part after another.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>Picks the random order of the split. It is not the run's seed, so that runs compare on the same parts.</summary>
    public long SplitSeed { get; init; }

    /// <summary>The columns to normalize; null for none, empty for every float column that is not the target.</summary>
    public ValueList<string>? Normalize { get; init; }

    /// <summary>The columns to make one-hot; null for none, empty for every column of classes.</summary>
    public ValueList<string>? OneHot { get; init; }

    public ValueList<ColumnRename> Rename { get; init; }

    /// <summary>What happens to rows of the training part each time they are trained on, in this order; after all other lines.</summary>
    public ValueList<Augmentation> Augment { get; init; }

    /// <summary>What happens to each column of the source, in its order.</summary>
    /// <exception cref="DataFormatException">A line names a column that is not there, or asks for what the column cannot give.</exception>
    public ValueList<ColumnPlan> Plan(DataSchema source)
    {
        ArgumentNullException.ThrowIfNull(source);
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (ColumnRename rename in Rename)
        {
            if (source.Find(rename.Old) is null)
            {
                throw Unknown(source, "rename", rename.Old);
            }

            if (!names.TryAdd(rename.Old, rename.New))
            {
                throw Fail($"rename gives '{rename.Old}' two names", "Keep one of the lines");
            }
        }

        string NameOf(DataColumn column) => names.GetValueOrDefault(column.Name, column.Name);

        if (source.Columns.GroupBy(NameOf).FirstOrDefault(static g => g.Count() > 1) is { } twice)
        {
            throw Fail($"two columns are called '{twice.Key}' after rename", "Rename the other, too");
        }

        HashSet<DataColumn> Named(string line, ValueList<string>? wanted, Func<DataColumn, bool> fits) => wanted switch
        {
            null => [],
            { Count: 0 } => [.. source.Columns.Where(fits)],
            { } listed => [.. listed.Select(n => source.Columns.FirstOrDefault(c => NameOf(c) == n) ?? source.Find(n) ?? throw Unknown(source, line, n))],
        };

        HashSet<DataColumn> normalized = Named("normalize", Normalize, static c => c.DType.IsFloat() && !c.IsTarget);
        HashSet<DataColumn> oneHot = Named("one_hot", OneHot, static c => c.Classes is not null);
        var plans = new List<ColumnPlan>();
        foreach (DataColumn column in source.Columns)
        {
            (bool normalize, bool hot) = (normalized.Contains(column), oneHot.Contains(column));
            if (hot && column.Classes is null)
            {
                throw Fail($"one_hot: the column '{column.Name}' does not hold classes", "Take the line out, or list the column as categorical");
            }

            if (normalize && (!column.DType.IsFloat() || column.Classes is not null))
            {
                throw Fail($"normalize: the column '{column.Name}' holds {(column.Classes is null ? "integers" : "classes")}, not measurements", "Take it out of the line");
            }

            DataColumn result = column with { Name = NameOf(column) };
            ValueList<int> outer = column.RowShapes.Count == 2 ? [] : column.RowShape;
            plans.Add(new(column, hot ? result with { DType = DType.Float, RowShape = [.. outer, column.Classes!.Value] } : result, normalize, hot));
        }

        foreach (Augmentation augmentation in Augment)
        {
            if (!plans.Any(p => augmentation.AppliesTo(p.Result)))
            {
                throw Fail($"augment: `{augmentation.Name}` is for {augmentation.Of}, and there are {string.Join(", ", plans.Select(static p => p.Result))}", "Take the line out");
            }
        }

        return plans.ToValueList();
    }

    /// <summary>
    /// The numbers of rows of the parts that are made of <paramref name="rows"/> rows, in the order of <see cref="Split"/>. Fractions are
    /// of all rows and rounded by largest remainder, so that fractions that add up to 1 leave no row over.
    /// </summary>
    /// <exception cref="DataFormatException">The parts do not fit the rows, or one would have none; no part is called train.</exception>
    public ValueList<(string Name, int Rows)> PartSizes(int rows)
    {
        SplitPart[] parts = [.. Split.Where(static p => p.Source is null)];
        if (Split.GroupBy(static p => p.Name).FirstOrDefault(static g => g.Count() > 1) is { } twice)
        {
            throw Fail($"split has two parts '{twice.Key}'", "Give each a name of its own");
        }

        if (parts.Length == 0 && !Split.Any(static p => p.Name == Train))
        {
            parts = [SplitPart.OfFraction(Train, 1)];
        }

        if (!parts.Concat(Split).Any(static p => p.Name == Train))
        {
            throw Fail($"split has no part '{Train}'", $"Name the part to train on: split {Train} = 80%, validation = 20%");
        }

        foreach (SplitPart part in parts)
        {
            if (part.Fraction is { } fraction && !(fraction is > 0 and <= 1))
            {
                throw Fail(FormattableString.Invariant($"split {part.Name} = {fraction} is no part of the rows"), "Give a fraction above 0 up to 1, such as 80%, or a count");
            }

            if (part.Count is < 1)
            {
                throw Fail($"split {part.Name} = {part.Count} has no rows", "Give a count from 1");
            }
        }

        double sum = parts.Sum(static p => p.Fraction ?? 0);
        // Sums of fractions such as 0.7 + 0.2 + 0.1 are off by rounding.
        const double Slack = 1e-9;
        if (sum > 1 + Slack)
        {
            throw Fail(FormattableString.Invariant($"split: the fractions add up to {sum * 100:0.####}%"), "Make them at most 100% in all");
        }

        var sizes = new int[parts.Length];
        for (int i = 0; i < parts.Length; i++)
        {
            sizes[i] = parts[i].Count ?? (int)Math.Floor(rows * parts[i].Fraction!.Value + Slack);
        }

        int shared = (int)Math.Round(rows * sum) - parts.Select((p, i) => p.Fraction is null ? 0 : sizes[i]).Sum();
        foreach (int i in Enumerable.Range(0, parts.Length).Where(i => parts[i].Fraction is not null)
            .OrderByDescending(i => rows * parts[i].Fraction!.Value - sizes[i]).Take(shared))
        {
            sizes[i]++;
        }

        if (sizes.Sum(static s => (long)s) > rows)
        {
            throw Fail($"split asks for {sizes.Sum(static s => (long)s)} rows, and there are {rows}", "Make the parts smaller");
        }

        if (Array.IndexOf(sizes, 0) is var empty && empty >= 0)
        {
            throw Fail($"split: the part '{parts[empty].Name}' would have none of the {rows} rows", "Make it larger");
        }

        return parts.Select((p, i) => (p.Name, sizes[i])).ToValueList();
    }

    private DataFormatException Fail(string reason, string fix) => new($"data {Name}", reason, fix);

    private DataFormatException Unknown(DataSchema source, string line, string name) =>
        Fail($"{line}: {Source.Name} has no column '{name}'", $"It has {string.Join(", ", source.Columns.Select(static c => $"'{c.Name}'"))}");
}
