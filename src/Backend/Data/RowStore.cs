using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Rows of numbers, all of one width, that are written once from the first to the last and then read in any order, by any thread.</summary>
/// <param name="width">Numbers in a row.</param>
/// <param name="memory">The most bytes that are held in memory; more go to a temporary file.</param>
internal sealed class RowStore(int width, long memory)
{
    private readonly ByteStoreBuilder builder = new(memory);
    private ByteStore? bytes;

    public int Count { get; private set; }

    /// <summary>Whether rows come from the disk.</summary>
    public bool IsSlow => bytes!.IsSlow;

    public void Append(ReadOnlySpan<double> row)
    {
        builder.Append(MemoryMarshal.AsBytes(row));
        Count++;
    }

    /// <summary>Ends writing.</summary>
    public void Complete() => bytes = builder.Complete();

    /// <param name="index">Which row.</param>
    /// <param name="scratch">Memory for it, which is made where there is none.</param>
    public ReadOnlySpan<double> Row(int index, ref double[] scratch)
    {
        if (scratch.Length != width)
        {
            scratch = new double[width];
        }

        return MemoryMarshal.Cast<byte, double>(bytes!.Read((long)index * width * sizeof(double), MemoryMarshal.AsBytes(scratch.AsSpan())));
    }
}

/// <summary>Columns of a store side by side; one of codes becomes one of 0 and 1 for each category.</summary>
/// <param name="store">The rows.</param>
/// <param name="parts">The columns, and for one of codes the place of each category.</param>
/// <param name="width">Numbers in a row.</param>
internal sealed class StoredFeatures(RowStore store, (int Column, int[]? Ranks)[] parts, int width) : ColumnRows(DType.F64, store.Count, [width])
{
    private double[] scratch = [], stored = [];

    public override bool IsSlow => store.IsSlow;

    public override void Fill(ReadOnlySpan<int> rows, Span<byte> to, DType type)
    {
        if (scratch.Length < Width)
        {
            scratch = new double[Width];
        }

        int bytes = Width * SizeOf(type);
        for (int i = 0; i < rows.Length; i++)
        {
            ReadOnlySpan<double> row = store.Row(rows[i], ref stored);
            int at = 0;
            foreach ((int column, int[]? ranks) in parts)
            {
                if (ranks is null)
                {
                    scratch[at++] = row[column];
                    continue;
                }

                Array.Clear(scratch, at, ranks.Length);
                scratch[at + ranks[(int)row[column]]] = 1;
                at += ranks.Length;
            }

            Convert<double>(scratch.AsSpan(0, Width), to.Slice(i * bytes, bytes), type);
        }
    }
}

/// <summary>Columns of a store that are one column here: measurements, whole numbers, truths, or codes with the class of each.</summary>
/// <param name="store">The rows.</param>
/// <param name="column">The first one.</param>
/// <param name="classes">The class of each code; null for numbers.</param>
/// <param name="type">What the numbers are.</param>
/// <param name="shape">The shape of a row.</param>
internal sealed class StoredColumns(RowStore store, int column, int[]? classes, DType type, ImmutableArray<int> shape) : ColumnRows(type, store.Count, shape)
{
    private double[] scratch = [], stored = [];

    public override bool IsSlow => store.IsSlow;

    public override void Fill(ReadOnlySpan<int> rows, Span<byte> to, DType type)
    {
        if (scratch.Length < Width)
        {
            scratch = new double[Width];
        }

        int bytes = Width * SizeOf(type);
        for (int i = 0; i < rows.Length; i++)
        {
            ReadOnlySpan<double> row = store.Row(rows[i], ref stored).Slice(column, Width);
            for (int j = 0; j < row.Length; j++)
            {
                scratch[j] = classes is null ? row[j] : classes[(int)row[j]];
            }

            Convert<double>(scratch.AsSpan(0, Width), to.Slice(i * bytes, bytes), type);
        }
    }
}
