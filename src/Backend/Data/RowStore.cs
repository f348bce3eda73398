using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Rows of numbers, all of one width, that are written once from the first to the last and then read in any order, by any thread.</summary>
internal abstract class RowStore(int width)
{
    public int Width => width;

    public int Count { get; private set; }

    /// <summary>Whether rows come from the disk.</summary>
    public abstract bool IsSlow { get; }

    public void Append(ReadOnlySpan<double> row)
    {
        Write(row);
        Count++;
    }

    /// <summary>Ends writing.</summary>
    public virtual void Complete()
    {
    }

    public abstract ReadOnlySpan<double> Row(int index);

    protected abstract void Write(ReadOnlySpan<double> row);
}

/// <summary>Rows in memory.</summary>
internal sealed class MemoryRowStore(int width) : RowStore(width)
{
    private const int ChunkRows = 1024;

    private readonly List<double[]> chunks = [];

    public override bool IsSlow => false;

    public override ReadOnlySpan<double> Row(int index) => chunks[index / ChunkRows].AsSpan(index % ChunkRows * Width, Width);

    protected override void Write(ReadOnlySpan<double> row)
    {
        int at = Count % ChunkRows;
        if (at == 0)
        {
            chunks.Add(new double[ChunkRows * Width]);
        }

        row.CopyTo(chunks[^1].AsSpan(at * Width));
    }
}

/// <summary>Rows in a temporary file that is gone when the process ends; the system keeps in memory what is in use.</summary>
internal sealed unsafe class DiskRowStore : RowStore
{
    private readonly FileStream file;
    private MemoryMappedViewAccessor? view;
    private byte* start;

    /// <exception cref="DataFormatException">The folder for temporary files cannot be written to.</exception>
    public DiskRowStore(int width)
        : base(width)
    {
        string path = Path.Combine(Path.GetTempPath(), $"dnn-{Path.GetRandomFileName()}");
        file = Guarded(() => new FileStream(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 20, FileOptions.DeleteOnClose));
    }

    public override bool IsSlow => true;

    public override void Complete()
    {
        Guarded(() =>
        {
            file.Flush();
            return 0;
        });
        view = MemoryMappedFile.CreateFromFile(file, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false).CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        start += view.PointerOffset;
    }

    public override ReadOnlySpan<double> Row(int index) => new(start + ((long)index * Width * sizeof(double)), Width);

    protected override void Write(ReadOnlySpan<double> row)
    {
        try
        {
            file.Write(MemoryMarshal.AsBytes(row));
        }
        catch (IOException e)
        {
            throw Full(e);
        }
    }

    private static T Guarded<T>(Func<T> action)
    {
        try
        {
            return action();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Full(e);
        }
    }

    private static DataFormatException Full(Exception e) =>
        new(Path.GetTempPath(), $"data larger than memory are kept in a temporary file here, and it cannot be written: {e.Message.TrimEnd('.')}", "Make room, or name another folder in the variable TMPDIR", e);
}

/// <summary>Columns of a store side by side; one of codes becomes one of 0 and 1 for each category.</summary>
/// <param name="store">The rows.</param>
/// <param name="parts">The columns, and for one of codes the place of each category.</param>
/// <param name="width">Numbers in a row.</param>
internal sealed class StoredFeatures(RowStore store, (int Column, int[]? Ranks)[] parts, int width) : ColumnRows(DType.F64, store.Count, [width])
{
    private double[] scratch = [];

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
            ReadOnlySpan<double> row = store.Row(rows[i]);
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

/// <summary>One column of a store: whole numbers, or codes with the class of each, or measurements.</summary>
internal sealed class StoredLabels(RowStore store, int column, int[]? classes, bool isWhole) : ColumnRows(isWhole ? DType.I64 : DType.F64, store.Count, isWhole ? [] : [1])
{
    public override bool IsSlow => store.IsSlow;

    public override void Fill(ReadOnlySpan<int> rows, Span<byte> to, DType type)
    {
        int bytes = SizeOf(type);
        for (int i = 0; i < rows.Length; i++)
        {
            double value = store.Row(rows[i])[column];
            Convert<double>([classes is null ? value : classes[(int)value]], to.Slice(i * bytes, bytes), type);
        }
    }
}
