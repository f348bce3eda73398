using System.Collections.Immutable;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>
/// Rows of a data set that are used for one purpose: a tensor [N, …] for each column. Float columns are f64 unless
/// <see cref="DataSet.Cast"/> made them f32.
/// </summary>
public sealed class DataSplit
{
    private readonly ImmutableArray<KeyValuePair<string, Tensor>> _columns;

    /// <param name="name"><c>train</c>, <c>validation</c>, <c>test</c>, or any other.</param>
    /// <param name="columns">By name; all with the same first size.</param>
    /// <exception cref="ArgumentException">There is no column, two have one name, or the first sizes differ.</exception>
    public DataSplit(string name, params IEnumerable<(string Name, Tensor Values)> columns)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(columns);
        Name = name;
        _columns = [.. columns.Select(static c => KeyValuePair.Create(c.Name, c.Values))];
        if (_columns.IsEmpty || _columns.FirstOrDefault(static c => c.Value.Rank == 0) is { Key: not null })
        {
            throw new ArgumentException("a split takes columns, each with a first dimension of rows", nameof(columns));
        }

        Rows = _columns[0].Value.Shape[0];
        foreach ((string column, Tensor values) in _columns)
        {
            if (values.Shape[0] != Rows)
            {
                throw new ArgumentException($"column '{column}' has {values.Shape[0]} rows, and '{_columns[0].Key}' has {Rows}", nameof(columns));
            }
        }

        if (_columns.Select(static c => c.Key).Distinct().Count() < _columns.Length)
        {
            throw new ArgumentException("two columns have one name", nameof(columns));
        }
    }

    public string Name { get; }

    public int Rows { get; }

    public IEnumerable<string> Columns => _columns.Select(static c => c.Key);

    /// <exception cref="KeyNotFoundException">There is no such column; the message proposes the nearest.</exception>
    public Tensor this[string column] => this[IndexOf(column)];

    public Tensor this[int column] => _columns[column].Value;

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
        switch (type)
        {
            case DType.F32: Fill(column, rows, MemoryMarshal.Cast<byte, float>(destination)); break;
            case DType.F64: Fill(column, rows, MemoryMarshal.Cast<byte, double>(destination)); break;
            case DType.I64: Fill(column, rows, MemoryMarshal.Cast<byte, long>(destination)); break;
            case DType.Bool: Fill(column, rows, MemoryMarshal.Cast<byte, bool>(destination)); break;
            default: throw new ArgumentException("the open float type has no memory: name f32 or f64", nameof(type));
        }
    }

    /// <summary>As the other, into numbers of type T: float, double, long or bool.</summary>
    public void Fill<T>(int column, ReadOnlySpan<int> rows, Span<T> destination) where T : unmanaged
    {
        Tensor values = _columns[column].Value;
        int width = Rows == 0 ? 0 : (int)(values.Length / Rows);
        if (destination.Length != (long)rows.Length * width)
        {
            throw new ArgumentException(
                $"{rows.Length} rows of '{_columns[column].Key}' ({width} numbers each) do not fill a destination of {destination.Length}", nameof(destination));
        }

        switch (values.DType)
        {
            case DType.F32: Fill(values.AsSpan<float>(), width, rows, destination); break;
            case DType.F64: Fill(values.AsSpan<double>(), width, rows, destination); break;
            case DType.I64: Fill(values.AsSpan<long>(), width, rows, destination); break;
            default: Fill(MemoryMarshal.AsBytes(values.AsSpan<bool>()), width, rows, destination); break;
        }
    }

    private static void Fill<TFrom, T>(ReadOnlySpan<TFrom> from, int width, ReadOnlySpan<int> rows, Span<T> to)
        where TFrom : unmanaged, INumber<TFrom>
        where T : unmanaged
    {
        if (typeof(T) == typeof(TFrom) || (typeof(T) == typeof(bool) && typeof(TFrom) == typeof(byte)))
        {
            Span<TFrom> same = MemoryMarshal.Cast<T, TFrom>(to);
            for (int i = 0; i < rows.Length; i++)
            {
                from.Slice(rows[i] * width, width).CopyTo(same.Slice(i * width, width));
            }
        }
        else if (typeof(T) == typeof(float))
        {
            Convert(from, width, rows, MemoryMarshal.Cast<T, float>(to));
        }
        else if (typeof(T) == typeof(double))
        {
            Convert(from, width, rows, MemoryMarshal.Cast<T, double>(to));
        }
        else if (typeof(T) == typeof(long))
        {
            Convert(from, width, rows, MemoryMarshal.Cast<T, long>(to));
        }
        else if (typeof(T) == typeof(bool))
        {
            Span<bool> bits = MemoryMarshal.Cast<T, bool>(to);
            for (int i = 0; i < rows.Length; i++)
            {
                for (int j = 0; j < width; j++)
                {
                    bits[i * width + j] = !TFrom.IsZero(from[rows[i] * width + j]);
                }
            }
        }
        else
        {
            throw new ArgumentException($"{typeof(T).Name} is not float, double, long or bool");
        }
    }

    private static void Convert<TFrom, TTo>(ReadOnlySpan<TFrom> from, int width, ReadOnlySpan<int> rows, Span<TTo> to)
        where TFrom : unmanaged, INumber<TFrom>
        where TTo : unmanaged, INumber<TTo>
    {
        for (int i = 0; i < rows.Length; i++)
        {
            ReadOnlySpan<TFrom> row = from.Slice(rows[i] * width, width);
            Span<TTo> target = to.Slice(i * width, width);
            for (int j = 0; j < row.Length; j++)
            {
                target[j] = TTo.CreateSaturating(row[j]);
            }
        }
    }

    /// <summary>The rows as a split of their own.</summary>
    public DataSplit Take(string name, ReadOnlySpan<int> rows)
    {
        var columns = new List<(string, Tensor)>();
        for (int i = 0; i < _columns.Length; i++)
        {
            Tensor values = _columns[i].Value;
            Tensor taken = Tensor.Zeros(values.DType, [rows.Length, .. values.Shape[1..]]);
            switch (values.DType)
            {
                case DType.F32: Fill(i, rows, taken.Storage<float>().AsSpan()); break;
                case DType.F64: Fill(i, rows, taken.Storage<double>().AsSpan()); break;
                case DType.I64: Fill(i, rows, taken.Storage<long>().AsSpan()); break;
                default: Fill(i, rows, taken.Storage<bool>().AsSpan()); break;
            }

            columns.Add((_columns[i].Key, taken));
        }

        return new DataSplit(name, columns);
    }

    internal DataSplit Select(Func<string, Tensor, (string Name, Tensor Values)> change) => new(Name, _columns.Select(c => change(c.Key, c.Value)));
}

/// <summary>Data in memory: parts with the same columns. A value; nothing changes it.</summary>
public sealed class DataSet
{
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

    /// <summary>Mean and standard deviation of the normalized columns, to be saved with the weights that were trained on them.</summary>
    public Weights Statistics { get; }

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

    /// <summary>The same data with its float columns in one type, so that batches of a run of that type are copied, not converted.</summary>
    public DataSet Cast(DType floats) => new(
        Schema, [.. Splits.Select(s => s.Select((name, values) => (name, values.DType.IsFloat() ? values.Cast(floats) : values)))], Statistics);

    private static DataColumn[] ColumnsOf(DataSplit split) =>
        [.. split.Columns.Select(name => new DataColumn(name, split[name].DType.IsFloat() ? DType.Float : split[name].DType, split[name].Shape.Skip(1).ToValueList()))];
}
