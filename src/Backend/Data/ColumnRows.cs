using System.Collections.Immutable;
using System.Numerics;
using System.Runtime.InteropServices;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>
/// One column of a data set: rows of numbers, given on demand, so that a column may be larger than memory and what is computed from another
/// (chosen rows, standardized ones, windows over a text) needs none of its own. One thread at a time may use it.
/// </summary>
/// <param name="type">What <see cref="ToTensor()"/> makes: f32, f64, i64 or bool.</param>
/// <param name="count">The number of rows.</param>
/// <param name="shape">The shape of a row; empty for one number.</param>
internal abstract class ColumnRows(DType type, int count, ImmutableArray<int> shape)
{
    private const int ChunkRows = 256, ChunkNumbers = 1 << 20;

    public DType DType { get; } = type;

    public int Count { get; } = count;

    public ImmutableArray<int> Shape { get; } = shape;

    /// <summary>The number of elements of a row.</summary>
    public int Width { get; } = checked((int)Tensor.Count(shape.AsSpan()));

    /// <summary>Whether a row comes from the disk, so that it pays to fetch it ahead.</summary>
    public virtual bool IsSlow => false;

    /// <summary>Copies rows one after another, converted to the type of the destination as <see cref="Tensor.Cast"/> does. Allocates nothing after the first call.</summary>
    /// <param name="rows">Which rows, in which order; any may come several times.</param>
    /// <param name="to">The memory of a dense tensor [rows.Length, …] of the type.</param>
    /// <param name="type">f32, f64, i64 or bool.</param>
    public abstract void Fill(ReadOnlySpan<int> rows, Span<byte> to, DType type);

    public Tensor ToTensor() => ToTensor(DType);

    /// <summary>All rows, in memory.</summary>
    public virtual Tensor ToTensor(DType type)
    {
        Tensor result = Tensor.Zeros(type, [Count, .. Shape]);
        switch (type)
        {
            case DType.F32: All(result.Storage<float>(), type); break;
            case DType.F64: All(result.Storage<double>(), type); break;
            case DType.I64: All(result.Storage<long>(), type); break;
            default: All(result.Storage<bool>(), type); break;
        }

        return result;
    }

    /// <summary>Goes through all rows as f64, some at a time.</summary>
    public void Visit(Action<ReadOnlyMemory<double>> visit)
    {
        int chunk = Math.Clamp(ChunkNumbers / Math.Max(1, Width), 1, ChunkRows);
        var rows = new int[chunk];
        var values = new double[chunk * Width];
        for (int at = 0; at < Count; at += chunk)
        {
            int n = Math.Min(chunk, Count - at);
            for (int i = 0; i < n; i++)
            {
                rows[i] = at + i;
            }

            Fill(rows.AsSpan(0, n), MemoryMarshal.AsBytes(values.AsSpan(0, n * Width)), DType.F64);
            for (int i = 0; i < n; i++)
            {
                visit(values.AsMemory(i * Width, Width));
            }
        }
    }

    /// <summary>These rows, in this order.</summary>
    public ColumnRows Select(int[] rows) => new SelectedRows(this, rows);

    /// <summary>The row of the source that a row comes from, through all selections.</summary>
    public virtual int SourceRow(int row) => row;

    /// <summary>Converts numbers to the type of the destination.</summary>
    protected static void Convert<TFrom>(ReadOnlySpan<TFrom> from, Span<byte> to, DType type) where TFrom : unmanaged, INumber<TFrom>
    {
        switch (type)
        {
            case DType.F32: Convert(from, MemoryMarshal.Cast<byte, float>(to)); break;
            case DType.F64: Convert(from, MemoryMarshal.Cast<byte, double>(to)); break;
            case DType.I64: Convert(from, MemoryMarshal.Cast<byte, long>(to)); break;
            case DType.Bool:
                for (int i = 0; i < from.Length; i++)
                {
                    to[i] = TFrom.IsZero(from[i]) ? (byte)0 : (byte)1;
                }

                break;
            default: throw new ArgumentException("the open float type has no memory: name f32 or f64", nameof(type));
        }
    }

    protected static int SizeOf(DType type) => type switch
    {
        DType.F32 => sizeof(float),
        DType.Bool => sizeof(bool),
        _ => sizeof(double),
    };

    private static void Convert<TFrom, TTo>(ReadOnlySpan<TFrom> from, Span<TTo> to)
        where TFrom : unmanaged, INumber<TFrom>
        where TTo : unmanaged, INumber<TTo>
    {
        if (typeof(TFrom) == typeof(TTo))
        {
            MemoryMarshal.Cast<TFrom, TTo>(from).CopyTo(to);
            return;
        }

        for (int i = 0; i < from.Length; i++)
        {
            to[i] = TTo.CreateSaturating(from[i]);
        }
    }

    private void All<T>(T[] storage, DType type) where T : unmanaged
    {
        int chunk = Math.Clamp(ChunkNumbers / Math.Max(1, Width), 1, ChunkRows);
        var rows = new int[chunk];
        for (int at = 0; at < Count; at += chunk)
        {
            int n = Math.Min(chunk, Count - at);
            for (int i = 0; i < n; i++)
            {
                rows[i] = at + i;
            }

            Fill(rows.AsSpan(0, n), MemoryMarshal.AsBytes(storage.AsSpan(at * Width, n * Width)), type);
        }
    }

    private sealed class SelectedRows(ColumnRows inner, int[] order) : ColumnRows(inner.DType, order.Length, inner.Shape)
    {
        private int[] scratch = [];

        public override bool IsSlow => inner.IsSlow;

        public override int SourceRow(int row) => inner.SourceRow(order[row]);

        public override void Fill(ReadOnlySpan<int> rows, Span<byte> to, DType type)
        {
            if (scratch.Length < rows.Length)
            {
                scratch = new int[rows.Length];
            }

            for (int i = 0; i < rows.Length; i++)
            {
                scratch[i] = order[rows[i]];
            }

            inner.Fill(scratch.AsSpan(0, rows.Length), to, type);
        }
    }
}

/// <summary>Rows in memory.</summary>
internal sealed class TensorRows(Tensor values) : ColumnRows(values.DType, values.Shape[0], values.Shape[1..])
{
    public override void Fill(ReadOnlySpan<int> rows, Span<byte> to, DType type)
    {
        switch (DType)
        {
            case DType.F32: Fill(values.AsSpan<float>(), rows, to, type); break;
            case DType.F64: Fill(values.AsSpan<double>(), rows, to, type); break;
            case DType.I64: Fill(values.AsSpan<long>(), rows, to, type); break;
            default: Fill(MemoryMarshal.AsBytes(values.AsSpan<bool>()), rows, to, type); break;
        }
    }

    public override Tensor ToTensor(DType type) => values.Cast(type);

    private void Fill<T>(ReadOnlySpan<T> from, ReadOnlySpan<int> rows, Span<byte> to, DType type) where T : unmanaged, INumber<T>
    {
        int bytes = Width * SizeOf(type);
        for (int i = 0; i < rows.Length; i++)
        {
            Convert(from.Slice(rows[i] * Width, Width), to.Slice(i * bytes, bytes), type);
        }
    }
}

/// <summary>Rows of bytes, such as the pixels of images, that stand for byte / 255; or for themselves where they are codes.</summary>
/// <param name="store">The bytes.</param>
/// <param name="start">The first byte of the first row.</param>
/// <param name="count">The number of rows.</param>
/// <param name="shape">The shape of a row.</param>
/// <param name="areCodes">Whether bytes are whole numbers.</param>
internal sealed class ByteRows(ByteStore store, long start, int count, ImmutableArray<int> shape, bool areCodes = false) : ColumnRows(areCodes ? DType.I64 : DType.F32, count, shape)
{
    private byte[] scratch = [];

    public override bool IsSlow => store.IsSlow;

    private static readonly double[] _parts = [.. Enumerable.Range(0, 256).Select(static b => b / 255.0)];
    private static readonly float[] _floats = [.. _parts.Select(static p => (float)p)];

    public override void Fill(ReadOnlySpan<int> rows, Span<byte> to, DType type)
    {
        if (scratch.Length < Width)
        {
            scratch = new byte[Width];
        }

        int bytes = Width * SizeOf(type);
        for (int i = 0; i < rows.Length; i++)
        {
            ReadOnlySpan<byte> row = store.Read(start + ((long)rows[i] * Width), scratch);
            Span<byte> target = to.Slice(i * bytes, bytes);
            if (areCodes)
            {
                Convert(row, target, type);
            }
            else if (type == DType.F32)
            {
                Look(_floats, row, MemoryMarshal.Cast<byte, float>(target));
            }
            else if (type == DType.F64)
            {
                Look(_parts, row, MemoryMarshal.Cast<byte, double>(target));
            }
            else
            {
                throw new ArgumentException($"parts of 255 are no {type.Text()}", nameof(type));
            }
        }
    }

    private static void Look<T>(T[] table, ReadOnlySpan<byte> row, Span<T> to)
    {
        for (int j = 0; j < row.Length; j++)
        {
            to[j] = table[row[j]];
        }
    }
}

/// <summary>(x − mean) / std by feature.</summary>
internal sealed class StandardizedRows(ColumnRows inner, Tensor mean, Tensor std) : ColumnRows(DType.F64, inner.Count, inner.Shape)
{
    private double[] scratch = [];

    public override bool IsSlow => inner.IsSlow;

    public override int SourceRow(int row) => inner.SourceRow(row);

    public override void Fill(ReadOnlySpan<int> rows, Span<byte> to, DType type)
    {
        if (scratch.Length < Width)
        {
            scratch = new double[Width];
        }

        Span<double> values = scratch.AsSpan(0, Width);
        ReadOnlySpan<double> m = mean.AsSpan<double>(), s = std.AsSpan<double>();
        int bytes = Width * SizeOf(type);
        for (int i = 0; i < rows.Length; i++)
        {
            inner.Fill(rows.Slice(i, 1), MemoryMarshal.AsBytes(values), DType.F64);
            for (int j = 0; j < values.Length; j++)
            {
                values[j] = (values[j] - m[j]) / s[j];
            }

            Convert<double>(values, to.Slice(i * bytes, bytes), type);
        }
    }
}

/// <summary>Class k as the k-th unit vector.</summary>
internal sealed class OneHotRows(ColumnRows inner, ImmutableArray<int> shape) : ColumnRows(DType.F64, inner.Count, shape)
{
    private long[] codes = [];
    private double[] scratch = [];

    public override bool IsSlow => inner.IsSlow;

    public override int SourceRow(int row) => inner.SourceRow(row);

    public override void Fill(ReadOnlySpan<int> rows, Span<byte> to, DType type)
    {
        if (scratch.Length < Width)
        {
            (codes, scratch) = (new long[inner.Width], new double[Width]);
        }

        int bytes = Width * SizeOf(type), classes = Shape[^1];
        for (int i = 0; i < rows.Length; i++)
        {
            inner.Fill(rows.Slice(i, 1), MemoryMarshal.AsBytes(codes.AsSpan()), DType.I64);
            Array.Clear(scratch);
            for (int j = 0; j < codes.Length; j++)
            {
                scratch[j * classes + (int)codes[j]] = 1;
            }

            Convert<double>(scratch, to.Slice(i * bytes, bytes), type);
        }
    }
}

/// <summary>Rows of an array as files hold it, converted when they are asked for.</summary>
/// <param name="store">The bytes.</param>
/// <param name="start">The first byte of the first row.</param>
/// <param name="stored">The type of the elements.</param>
/// <param name="bigEndian">Whether an element's first byte is its highest.</param>
/// <param name="count">The number of rows.</param>
/// <param name="shape">The shape of a row.</param>
internal sealed class StoredRows(ByteStore store, long start, StoredType stored, bool bigEndian, int count, ImmutableArray<int> shape) : ColumnRows(stored.DType(), count, shape)
{
    private byte[] scratch = [];

    public override bool IsSlow => store.IsSlow;

    public override void Fill(ReadOnlySpan<int> rows, Span<byte> to, DType type)
    {
        int size = stored.Size();
        if (scratch.Length < Width * size)
        {
            scratch = new byte[Width * size];
        }

        int bytes = Width * SizeOf(type);
        for (int i = 0; i < rows.Length; i++)
        {
            ReadOnlySpan<byte> row = store.Read(start + ((long)rows[i] * Width * size), scratch);
            if (bigEndian == BitConverter.IsLittleEndian && size > 1)
            {
                row.CopyTo(scratch);
                Stored.Swap(scratch, size);
                row = scratch;
            }

            Fill(row, to.Slice(i * bytes, bytes), type);
        }
    }

    private void Fill(ReadOnlySpan<byte> row, Span<byte> to, DType type)
    {
        switch (stored)
        {
            case StoredType.I8: Convert(MemoryMarshal.Cast<byte, sbyte>(row), to, type); break;
            case StoredType.U8: Convert(row, to, type); break;
            case StoredType.I16: Convert(MemoryMarshal.Cast<byte, short>(row), to, type); break;
            case StoredType.U16: Convert(MemoryMarshal.Cast<byte, ushort>(row), to, type); break;
            case StoredType.I32: Convert(MemoryMarshal.Cast<byte, int>(row), to, type); break;
            case StoredType.U32: Convert(MemoryMarshal.Cast<byte, uint>(row), to, type); break;
            case StoredType.I64: Convert(MemoryMarshal.Cast<byte, long>(row), to, type); break;
            case StoredType.U64: Convert(MemoryMarshal.Cast<byte, ulong>(row), to, type); break;
            case StoredType.F16: Convert(MemoryMarshal.Cast<byte, Half>(row), to, type); break;
            case StoredType.F32: Convert(MemoryMarshal.Cast<byte, float>(row), to, type); break;
            case StoredType.F64: Convert(MemoryMarshal.Cast<byte, double>(row), to, type); break;
            default:
                // A byte that is not 0 is 1; a BF16 is the upper half of a float.
                int size = stored.Size(), wide = SizeOf(type);
                for (int i = 0; i * size < row.Length; i++)
                {
                    float value = stored == StoredType.Bool ? (row[i] == 0 ? 0 : 1) : BitConverter.UInt32BitsToSingle((uint)MemoryMarshal.Read<ushort>(row[(i * size)..]) << 16);
                    Convert<float>([value], to.Slice(i * wide, wide), type);
                }

                break;
        }
    }
}
