using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>The element types that files have.</summary>
internal enum StoredType
{
    Bool,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F16,
    BF16,
    F32,
    F64,
}

/// <summary>Elements between files and tensors. Integers become i64, half floats f32 (exactly), a byte that is not 0 true.</summary>
internal static class Stored
{
    // A multiple of 8, read at a time so that arrays of more than 2 GiB work and conversion needs little memory.
    private const int ChunkBytes = 1 << 18;

    public static int Size(this StoredType type) => type switch
    {
        StoredType.Bool or StoredType.I8 or StoredType.U8 => 1,
        StoredType.I16 or StoredType.U16 or StoredType.F16 or StoredType.BF16 => 2,
        StoredType.I32 or StoredType.U32 or StoredType.F32 => 4,
        _ => 8,
    };

    /// <summary>What the elements become.</summary>
    public static DType DType(this StoredType type) => type switch
    {
        StoredType.Bool => Graph.DType.Bool,
        StoredType.F16 or StoredType.BF16 or StoredType.F32 => Graph.DType.F32,
        StoredType.F64 => Graph.DType.F64,
        _ => Graph.DType.I64,
    };

    /// <summary>What a tensor's type is called in files.</summary>
    public static StoredType Of(Graph.DType type) => type switch
    {
        Graph.DType.F32 => StoredType.F32,
        Graph.DType.F64 => StoredType.F64,
        Graph.DType.I64 => StoredType.I64,
        Graph.DType.Bool => StoredType.Bool,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, null),
    };

    /// <summary>Reads as many elements as the shape has; the caller has checked that the stream holds them.</summary>
    /// <exception cref="EndOfStreamException">The stream ends before.</exception>
    /// <exception cref="OverflowException">An unsigned integer is beyond the range of i64.</exception>
    public static Tensor Read(Stream stream, StoredType type, bool bigEndian, int[] shape)
    {
        int n = checked((int)Tensor.Count(shape));
        bool swap = bigEndian == BitConverter.IsLittleEndian;
        return type switch
        {
            StoredType.Bool => Tensor.Create(Convert<byte, bool>(stream, n, swap, static b => b != 0), shape),
            StoredType.I8 => Tensor.Create(Convert<sbyte, long>(stream, n, swap, static v => v), shape),
            StoredType.U8 => Tensor.Create(Convert<byte, long>(stream, n, swap, static v => v), shape),
            StoredType.I16 => Tensor.Create(Convert<short, long>(stream, n, swap, static v => v), shape),
            StoredType.U16 => Tensor.Create(Convert<ushort, long>(stream, n, swap, static v => v), shape),
            StoredType.I32 => Tensor.Create(Convert<int, long>(stream, n, swap, static v => v), shape),
            StoredType.U32 => Tensor.Create(Convert<uint, long>(stream, n, swap, static v => v), shape),
            StoredType.I64 => Tensor.Create(Copy<long>(stream, n, swap), shape),
            StoredType.U64 => Tensor.Create(Convert<ulong, long>(stream, n, swap, static v => checked((long)v)), shape),
            StoredType.F16 => Tensor.Create(Convert<Half, float>(stream, n, swap, static v => (float)v), shape),
            StoredType.BF16 => Tensor.Create(Convert<ushort, float>(stream, n, swap, static v => BitConverter.UInt32BitsToSingle((uint)v << 16)), shape),
            StoredType.F32 => Tensor.Create(Copy<float>(stream, n, swap), shape),
            _ => Tensor.Create(Copy<double>(stream, n, swap), shape),
        };
    }

    /// <summary>Writes the elements in row-major order, little-endian.</summary>
    public static void Write(Stream stream, Tensor tensor)
    {
        switch (tensor.DType)
        {
            case Graph.DType.F32: Write<float>(stream, tensor); break;
            case Graph.DType.F64: Write<double>(stream, tensor); break;
            case Graph.DType.I64: Write<long>(stream, tensor); break;
            default: Write<bool>(stream, tensor); break;
        }
    }

    private static void Write<T>(Stream stream, Tensor tensor) where T : unmanaged
    {
        ReadOnlySpan<T> rest = tensor.AsSpan<T>();
        int chunk = ChunkBytes / Unsafe.SizeOf<T>();
        byte[] swapped = BitConverter.IsLittleEndian ? [] : new byte[ChunkBytes];
        while (rest.Length > 0)
        {
            ReadOnlySpan<T> part = rest[..Math.Min(chunk, rest.Length)];
            ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(part);
            if (!BitConverter.IsLittleEndian)
            {
                bytes.CopyTo(swapped);
                Swap(swapped.AsSpan(0, bytes.Length), Unsafe.SizeOf<T>());
                bytes = swapped.AsSpan(0, bytes.Length);
            }

            stream.Write(bytes);
            rest = rest[part.Length..];
        }
    }

    private static T[] Copy<T>(Stream stream, int count, bool swap) where T : unmanaged
    {
        var result = GC.AllocateUninitializedArray<T>(count);
        int chunk = ChunkBytes / Unsafe.SizeOf<T>();
        for (int at = 0; at < count; at += chunk)
        {
            Span<byte> bytes = MemoryMarshal.AsBytes(result.AsSpan(at, Math.Min(chunk, count - at)));
            stream.ReadExactly(bytes);
            if (swap)
            {
                Swap(bytes, Unsafe.SizeOf<T>());
            }
        }

        return result;
    }

    private static TTo[] Convert<TFrom, TTo>(Stream stream, int count, bool swap, Func<TFrom, TTo> convert) where TFrom : unmanaged
    {
        var result = GC.AllocateUninitializedArray<TTo>(count);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(ChunkBytes);
        try
        {
            int chunk = ChunkBytes / Unsafe.SizeOf<TFrom>();
            for (int at = 0; at < count; at += chunk)
            {
                Span<byte> bytes = buffer.AsSpan(0, Math.Min(chunk, count - at) * Unsafe.SizeOf<TFrom>());
                stream.ReadExactly(bytes);
                if (swap)
                {
                    Swap(bytes, Unsafe.SizeOf<TFrom>());
                }

                ReadOnlySpan<TFrom> part = MemoryMarshal.Cast<byte, TFrom>(bytes);
                for (int i = 0; i < part.Length; i++)
                {
                    result[at + i] = convert(part[i]);
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return result;
    }

    /// <summary>Reverses the bytes of each element.</summary>
    public static void Swap(Span<byte> bytes, int size)
    {
        switch (size)
        {
            case 2: Reverse<ushort>(bytes, BinaryPrimitives.ReverseEndianness); break;
            case 4: Reverse<uint>(bytes, BinaryPrimitives.ReverseEndianness); break;
            case 8: Reverse<ulong>(bytes, BinaryPrimitives.ReverseEndianness); break;
        }
    }

    private delegate void Reversal<T>(ReadOnlySpan<T> from, Span<T> to);

    private static void Reverse<T>(Span<byte> bytes, Reversal<T> reverse) where T : unmanaged
    {
        Span<T> values = MemoryMarshal.Cast<byte, T>(bytes);
        reverse(values, values);
    }
}
