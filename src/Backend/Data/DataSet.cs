using System.Collections.Immutable;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>
/// Rows of a data set that are used for one purpose: for each column a tensor [N, …], in memory or fetched as rows are asked for. A data set
/// that is fed whole, such as a graph, has one row.
/// </summary>
public sealed class DataSplit
{
    private readonly ImmutableArray<KeyValuePair<string, ColumnRows>> _columns;

    /// <param name="name"><c>train</c>, <c>validation</c>, <c>test</c>, or any other.</param>
    /// <param name="columns">By name; all with the same first size.</param>
    /// <exception cref="ArgumentException">There is no column, two have one name, or the first sizes differ.</exception>
    public DataSplit(string name, params IEnumerable<(string Name, Tensor Values)> columns)
        : this(name, columns.Select(static c => (c.Name, c.Values.Rank > 0 ? (ColumnRows)new TensorRows(c.Values) : throw new ArgumentException("a split takes columns, each with a first dimension of rows", nameof(columns)))), isWhole: false)
    {
    }

    internal DataSplit(string name, IEnumerable<(string Name, ColumnRows Values)> columns, bool isWhole)
    {
        ArgumentNullException.ThrowIfNull(name);
        Name = name;
        IsWhole = isWhole;
        _columns = [.. columns.Select(static c => KeyValuePair.Create(c.Name, c.Values))];
        if (_columns.IsEmpty)
        {
            throw new ArgumentException("a split takes columns, each with a first dimension of rows", nameof(columns));
        }

        Rows = isWhole ? 1 : _columns[0].Value.Count;
        foreach ((string column, ColumnRows values) in _columns)
        {
            if (!isWhole && values.Count != Rows)
            {
                throw new ArgumentException($"column '{column}' has {values.Count} rows, and '{_columns[0].Key}' has {Rows}", nameof(columns));
            }
        }

        if (_columns.Select(static c => c.Key).Distinct().Count() < _columns.Length)
        {
            throw new ArgumentException("two columns have one name", nameof(columns));
        }
    }

    public string Name { get; }

    public int Rows { get; }

    /// <summary>Whether all columns are fed whole at each step.</summary>
    public bool IsWhole { get; }

    public IEnumerable<string> Columns => _columns.Select(static c => c.Key);

    /// <summary>Whether rows of some column come from the disk.</summary>
    internal bool IsSlow => _columns.Any(static c => c.Value.IsSlow);

    /// <summary>All rows of a column as a tensor; computed at each call where it is not in memory.</summary>
    /// <exception cref="KeyNotFoundException">There is no such column; the message proposes the nearest.</exception>
    public Tensor this[string column] => this[IndexOf(column)];

    public Tensor this[int column] => _columns[column].Value.ToTensor();

    /// <summary>The number of a column, for <see cref="Fill(int, ReadOnlySpan{int}, Span{byte}, DType)"/>.</summary>
    /// <exception cref="KeyNotFoundException">There is no such column; the message proposes the nearest.</exception>
    public int IndexOf(string column)
    {
        for (int i = 0; i < _columns.Length; i++)
        {
            if (_columns[i].Key == column)
            {
                return i;
            }
        }

        throw new KeyNotFoundException($"{Name} has no column '{column}'. {Suggestion.Sentence(column, [.. Columns])}");
    }

    /// <summary>
    /// Copies rows of a column one after another, converted to the type of the destination (as <see cref="Tensor.Cast"/>). Allocates
    /// nothing.
    /// </summary>
    /// <param name="column">See <see cref="IndexOf"/>.</param>
    /// <param name="rows">Which rows, in which order; any may come several times.</param>
    /// <param name="destination">The memory of a dense tensor [rows.Length, …] of the type.</param>
    /// <param name="type">f32, f64, i64 or bool.</param>
    /// <exception cref="ArgumentException">The destination has another size.</exception>
    public void Fill(int column, ReadOnlySpan<int> rows, Span<byte> destination, DType type)
    {
        (string name, ColumnRows values) = _columns[column];
        int size = type is DType.F32 ? sizeof(float) : type is DType.Bool ? sizeof(bool) : sizeof(double);
        if (destination.Length != (long)rows.Length * values.Width * size)
        {
            throw new ArgumentException($"{rows.Length} rows of '{name}' ({values.Width} numbers each) do not fill a destination of {destination.Length / size}", nameof(destination));
        }

        values.Fill(rows, destination, type);
    }

    /// <summary>As the other, into numbers of type T: float, double, long or bool.</summary>
    public void Fill<T>(int column, ReadOnlySpan<int> rows, Span<T> destination) where T : unmanaged =>
        Fill(column, rows, MemoryMarshal.AsBytes(destination), Tensor.TypeOf<T>());

    /// <summary>The rows as a split of their own.</summary>
    public DataSplit Take(string name, ReadOnlySpan<int> rows)
    {
        int[] chosen = rows.ToArray();
        return new DataSplit(name, _columns.Select(c => (c.Key, c.Value.Select(chosen))), isWhole: false);
    }

    /// <summary>A column, without fetching it.</summary>
    internal ColumnRows Values(int column) => _columns[column].Value;

    internal DataSplit Select(Func<string, ColumnRows, (string Name, ColumnRows Values)> change) => new(Name, _columns.Select(c => change(c.Key, c.Value)), IsWhole);
}

/// <summary>Parts with the same columns. A value; nothing changes it.</summary>
public sealed class DataSet
{
    // Of all memory, what a data set may take without being asked.
    private const int MemoryShare = 3;

    /// <param name="schema">The columns that every part has.</param>
    /// <param name="splits">The parts, each with a name of its own.</param>
    /// <param name="statistics">What was subtracted and divided by, as <c>data.COLUMN.mean</c> and <c>data.COLUMN.std</c>.</param>
    /// <exception cref="ArgumentException">There is no part, or two have one name.</exception>
    public DataSet(DataSchema schema, ImmutableArray<DataSplit> splits, Weights? statistics = null)
    {
        ArgumentNullException.ThrowIfNull(schema);
        if (splits.IsDefaultOrEmpty || splits.Select(static s => s.Name).Distinct().Count() < splits.Length)
        {
            throw new ArgumentException("a data set takes parts, each with a name of its own", nameof(splits));
        }

        Schema = schema;
        Splits = splits;
        Statistics = statistics ?? Weights.Empty;
    }

    /// <summary>The columns as models see them; the rows are those of all parts.</summary>
    public DataSchema Schema { get; }

    public ImmutableArray<DataSplit> Splits { get; }

    /// <summary>
    /// Mean and standard deviation of the normalized columns, to be saved with the weights that were trained on them; and as metadata, the names
    /// of classes and the vocabulary of texts.
    /// </summary>
    public Weights Statistics { get; }

    /// <summary>What happens to rows of the training part each time they are trained on.</summary>
    public ValueList<Augmentation> Augment { get; init; }

    /// <exception cref="KeyNotFoundException">There is no such part; the message proposes the nearest.</exception>
    public DataSplit this[string split] => TryGet(split)
        ?? throw new KeyNotFoundException($"the data has no part '{split}'. {Suggestion.Sentence(split, [.. Splits.Select(static s => s.Name)])}");

    public DataSplit? TryGet(string split) => Splits.FirstOrDefault(s => s.Name == split);

    /// <summary>A data set of tensors that are there already; the schema is read off the first part.</summary>
    /// <exception cref="ArgumentException">A part has other columns, or columns of other types or row shapes.</exception>
    public static DataSet Of(params DataSplit[] splits)
    {
        ArgumentNullException.ThrowIfNull(splits);
        DataColumn[] columns = splits.Length == 0 ? [] : ColumnsOf(splits[0]);
        foreach (DataSplit split in splits)
        {
            if (!ColumnsOf(split).SequenceEqual(columns))
            {
                throw new ArgumentException(
                    $"the part {split.Name} has the columns {string.Join(", ", (object[])ColumnsOf(split))}, and {splits[0].Name} has {string.Join(", ", (object[])columns)}", nameof(splits));
            }
        }

        return new DataSet(new DataSchema(columns.ToValueList(), splits.Sum(static s => s.Rows)), [.. splits]);
    }

    /// <summary>
    /// The same data, ready for a run of a float type: in memory and in that type, so that batches are copied, not computed. Columns that are
    /// too large for that stay as they are; the batches are the same to the bit.
    /// </summary>
    public DataSet Cast(DType floats)
    {
        long budget = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / MemoryShare;
        var splits = ImmutableArray.CreateBuilder<DataSplit>();
        foreach (DataSplit split in Splits)
        {
            splits.Add(split.Select((name, values) =>
            {
                DType type = values.DType.IsFloat() ? floats : values.DType;
                long bytes = (long)values.Count * values.Width * (type == DType.F32 ? sizeof(float) : sizeof(double));
                bool fits = !values.IsSlow && bytes <= budget && (long)values.Count * values.Width <= Array.MaxLength;
                budget -= fits ? bytes : 0;
                return (name, fits ? new TensorRows(values.ToTensor(type)) : values);
            }));
        }

        return new DataSet(Schema, splits.ToImmutable(), Statistics) { Augment = Augment };
    }

    private static DataColumn[] ColumnsOf(DataSplit split) =>
        [.. split.Columns.Select((name, i) => new DataColumn(name, split.Values(i).DType.IsFloat() ? DType.Float : split.Values(i).DType, split.Values(i).Shape.ToValueList()))];
}
