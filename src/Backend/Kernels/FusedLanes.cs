using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>
/// Memory access, conversions and comparisons of sixteen elements: one vector of floats, two of doubles or longs
/// (low and high), and a mask of ints (0 or −1) for bool.
/// </summary>
internal static unsafe class FusedLanes
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining | MethodImplOptions.AggressiveOptimization;

    [MethodImpl(Inline)]
    public static Vector512<float> LoadSingle(byte* p) => Vector512.Load((float*)p);

    [MethodImpl(Inline)]
    public static Vector512<double> LoadDouble(byte* p) => Vector512.Load((double*)p);

    [MethodImpl(Inline)]
    public static Vector512<long> LoadLong(byte* p) => Vector512.Load((long*)p);

    [MethodImpl(Inline)]
    public static Vector512<int> LoadInt(byte* p) => Vector512.Load((int*)p);

    [MethodImpl(Inline)]
    public static Vector512<int> LoadMask(byte* p)
    {
        if (Avx512F.IsSupported)
            return ~Vector512.Equals(Avx512F.ConvertToVector512Int32(Vector128.Load(p)), Vector512<int>.Zero);
        (Vector128<ushort> low, Vector128<ushort> high) = Vector128.Widen(Vector128.Load(p));
        (Vector128<uint> a, Vector128<uint> b) = Vector128.Widen(low);
        (Vector128<uint> c, Vector128<uint> d) = Vector128.Widen(high);
        Vector512<uint> wide = Vector512.Create(Vector256.Create(a, b), Vector256.Create(c, d));
        return ~Vector512.Equals(wide, Vector512<uint>.Zero).AsInt32();
    }

    [MethodImpl(Inline)]
    public static void StoreSingle(byte* p, Vector512<float> x) => x.Store((float*)p);

    [MethodImpl(Inline)]
    public static void StoreDouble(byte* p, Vector512<double> x) => x.Store((double*)p);

    [MethodImpl(Inline)]
    public static void StoreLong(byte* p, Vector512<long> x) => x.Store((long*)p);

    [MethodImpl(Inline)]
    public static void StoreMask(byte* p, Vector512<int> mask)
    {
        Vector512<int> bits = mask & Vector512<int>.One;
        Vector128<byte> bytes = Avx512F.IsSupported
            ? Avx512F.ConvertToVector128Byte(bits)
            : Vector128.Narrow(
                Vector128.Narrow(bits.GetLower().GetLower().AsUInt32(), bits.GetLower().GetUpper().AsUInt32()),
                Vector128.Narrow(bits.GetUpper().GetLower().AsUInt32(), bits.GetUpper().GetUpper().AsUInt32()));
        bytes.Store(p);
    }

    [MethodImpl(Inline)]
    public static Vector512<float> BroadcastSingle(byte* p) => Vector512.Create(*(float*)p);

    [MethodImpl(Inline)]
    public static Vector512<double> BroadcastDouble(byte* p) => Vector512.Create(*(double*)p);

    [MethodImpl(Inline)]
    public static Vector512<long> BroadcastLong(byte* p) => Vector512.Create(*(long*)p);

    [MethodImpl(Inline)]
    public static Vector512<int> BroadcastMask(byte* p) => Vector512.Create(*p == 0 ? 0 : -1);

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static Vector512<float> GatherSingle(byte* p, long step)
    {
        float* lanes = stackalloc float[16];
        for (int i = 0; i < 16; i++)
            lanes[i] = *(float*)(p + i * step);
        return Vector512.Load(lanes);
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static Vector512<double> GatherDouble(byte* p, long step)
    {
        double* lanes = stackalloc double[8];
        for (int i = 0; i < 8; i++)
            lanes[i] = *(double*)(p + i * step);
        return Vector512.Load(lanes);
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static Vector512<long> GatherLong(byte* p, long step) => GatherDouble(p, step).AsInt64();

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static Vector512<int> GatherMask(byte* p, long step)
    {
        byte* lanes = stackalloc byte[16];
        for (int i = 0; i < 16; i++)
            lanes[i] = p[i * step];
        return LoadMask(lanes);
    }

    /// <summary>Start and step at <paramref name="slot"/>: eight values from element i on.</summary>
    [MethodImpl(Inline)]
    public static Vector512<long> Iota(long* slot, long i)
        => Vector512.Create(slot[0] + i * slot[1]) + Vector512<long>.Indices * slot[1];

    [MethodImpl(Inline)]
    public static Vector512<int> Equal(Vector512<float> a, Vector512<float> b) => Vector512.Equals(a, b).AsInt32();

    [MethodImpl(Inline)]
    public static Vector512<int> NotEqual(Vector512<float> a, Vector512<float> b) => ~Vector512.Equals(a, b).AsInt32();

    [MethodImpl(Inline)]
    public static Vector512<int> Less(Vector512<float> a, Vector512<float> b) => Vector512.LessThan(a, b).AsInt32();

    [MethodImpl(Inline)]
    public static Vector512<int> LessOrEqual(Vector512<float> a, Vector512<float> b) => Vector512.LessThanOrEqual(a, b).AsInt32();

    [MethodImpl(Inline)]
    public static Vector512<int> Greater(Vector512<float> a, Vector512<float> b) => Vector512.GreaterThan(a, b).AsInt32();

    [MethodImpl(Inline)]
    public static Vector512<int> GreaterOrEqual(Vector512<float> a, Vector512<float> b) => Vector512.GreaterThanOrEqual(a, b).AsInt32();

    [MethodImpl(Inline)]
    public static Vector512<int> Equal<T>(Vector512<T> a, Vector512<T> b, Vector512<T> c, Vector512<T> d)
        => Vector512.Narrow(Vector512.Equals(a, b).AsInt64(), Vector512.Equals(c, d).AsInt64());

    [MethodImpl(Inline)]
    public static Vector512<int> NotEqual<T>(Vector512<T> a, Vector512<T> b, Vector512<T> c, Vector512<T> d) => ~Equal(a, b, c, d);

    [MethodImpl(Inline)]
    public static Vector512<int> Less<T>(Vector512<T> a, Vector512<T> b, Vector512<T> c, Vector512<T> d)
        => Vector512.Narrow(Vector512.LessThan(a, b).AsInt64(), Vector512.LessThan(c, d).AsInt64());

    [MethodImpl(Inline)]
    public static Vector512<int> LessOrEqual<T>(Vector512<T> a, Vector512<T> b, Vector512<T> c, Vector512<T> d)
        => Vector512.Narrow(Vector512.LessThanOrEqual(a, b).AsInt64(), Vector512.LessThanOrEqual(c, d).AsInt64());

    [MethodImpl(Inline)]
    public static Vector512<int> Greater<T>(Vector512<T> a, Vector512<T> b, Vector512<T> c, Vector512<T> d) => Less(b, a, d, c);

    [MethodImpl(Inline)]
    public static Vector512<int> GreaterOrEqual<T>(Vector512<T> a, Vector512<T> b, Vector512<T> c, Vector512<T> d) => LessOrEqual(b, a, d, c);

    [MethodImpl(Inline)]
    public static Vector512<int> MaskEqual(Vector512<int> a, Vector512<int> b) => ~(a ^ b);

    [MethodImpl(Inline)]
    public static Vector512<float> Select(Vector512<int> mask, Vector512<float> a, Vector512<float> b)
        => Vector512.ConditionalSelect(mask.AsSingle(), a, b);

    [MethodImpl(Inline)]
    public static Vector512<T> SelectLow<T>(Vector512<int> mask, Vector512<T> a, Vector512<T> b)
        => Vector512.ConditionalSelect(Vector512.WidenLower(mask).As<long, T>(), a, b);

    [MethodImpl(Inline)]
    public static Vector512<T> SelectHigh<T>(Vector512<int> mask, Vector512<T> a, Vector512<T> b)
        => Vector512.ConditionalSelect(Vector512.WidenUpper(mask).As<long, T>(), a, b);

    [MethodImpl(Inline)]
    public static Vector512<long> ToLongLow(Vector512<float> x) => Vector512.ConvertToInt64(Vector512.WidenLower(x));

    [MethodImpl(Inline)]
    public static Vector512<long> ToLongHigh(Vector512<float> x) => Vector512.ConvertToInt64(Vector512.WidenUpper(x));

    [MethodImpl(Inline)]
    public static Vector512<float> ToSingle(Vector512<long> low, Vector512<long> high)
    {
        if (Avx512DQ.IsSupported)
            return Vector512.Create(Avx512DQ.ConvertToVector256Single(low), Avx512DQ.ConvertToVector256Single(high));
        Vector512<float> y = default;
        for (int i = 0; i < 8; i++)
            y = y.WithElement(i, (float)low[i]).WithElement(i + 8, (float)high[i]);
        return y;
    }

    [MethodImpl(Inline)]
    public static Vector512<float> ToSingle(Vector512<int> mask) => mask.AsSingle() & Vector512<float>.One;

    [MethodImpl(Inline)]
    public static Vector512<double> ToDoubleLow(Vector512<int> mask) => Vector512.WidenLower(mask).AsDouble() & Vector512<double>.One;

    [MethodImpl(Inline)]
    public static Vector512<double> ToDoubleHigh(Vector512<int> mask) => Vector512.WidenUpper(mask).AsDouble() & Vector512<double>.One;

    [MethodImpl(Inline)]
    public static Vector512<long> ToLongLow(Vector512<int> mask) => Vector512.WidenLower(mask) & Vector512<long>.One;

    [MethodImpl(Inline)]
    public static Vector512<long> ToLongHigh(Vector512<int> mask) => Vector512.WidenUpper(mask) & Vector512<long>.One;

    [MethodImpl(Inline)]
    public static Vector512<int> ToMask(Vector512<float> x) => NotEqual(x, Vector512<float>.Zero);

    [MethodImpl(Inline)]
    public static Vector512<int> ToMask<T>(Vector512<T> low, Vector512<T> high)
        => NotEqual(low, Vector512<T>.Zero, high, Vector512<T>.Zero);

    [MethodImpl(Inline)]
    public static Vector512<long> Sign(Vector512<long> x)
        => Vector512.GreaterThan(Vector512<long>.Zero, x) - Vector512.GreaterThan(x, Vector512<long>.Zero);

    /// <summary>
    /// <see cref="Philox.Bits24"/> at sixteen indices from <paramref name="index"/> on: eight blocks at once, which hold them
    /// whatever the alignment.
    /// </summary>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static Vector512<int> Bits24(ulong key, long index)
    {
        Vector512<ulong> word = Vector512.Create(0xffffffffUL);
        Vector512<ulong> block = Vector512.Create((ulong)index >> 2) + Vector512<ulong>.Indices;
        Vector512<ulong> c0 = block & word, c1 = block >> 32, c2 = default, c3 = default;
        uint k0 = (uint)key, k1 = (uint)(key >> 32);
        for (int round = 0; round < Philox.Rounds; round++)
        {
            Vector512<ulong> p0 = Multiply(c0, Philox.Multiplier0);
            Vector512<ulong> p1 = Multiply(c2, Philox.Multiplier1);
            c0 = (p1 >> 32) ^ c1 ^ Vector512.Create((ulong)k0);
            c2 = (p0 >> 32) ^ c3 ^ Vector512.Create((ulong)k1);
            c1 = p1 & word;
            c3 = p0 & word;
            k0 += Philox.Weyl0;
            k1 += Philox.Weyl1;
        }
        Vector512<ulong> a = c0 | (c1 << 32), b = c2 | (c3 << 32);
        int skip = (int)(index & 3);
        Vector512<uint> words;
        if (Avx512F.IsSupported)
        {
            Vector512<ulong> low = Avx512F.PermuteVar8x64x2(a, Vector512.Create(0UL, 8, 1, 9, 2, 10, 3, 11), b);
            Vector512<ulong> high = Avx512F.PermuteVar8x64x2(a, Vector512.Create(4UL, 12, 5, 13, 6, 14, 7, 15), b);
            words = Avx512F.PermuteVar16x32x2(low.AsUInt32(), Vector512<uint>.Indices + Vector512.Create((uint)skip), high.AsUInt32());
        }
        else
        {
            ulong* stream = stackalloc ulong[16];
            for (int i = 0; i < 8; i++)
            {
                stream[2 * i] = a[i];
                stream[2 * i + 1] = b[i];
            }
            words = Vector512.Load((uint*)stream + skip);
        }
        return (words >> 8).AsInt32();
    }

    /// <summary>The products of the low halves of the lanes with <paramref name="multiplier"/>.</summary>
    [MethodImpl(Inline)]
    private static Vector512<ulong> Multiply(Vector512<ulong> x, uint multiplier)
        => Avx512F.IsSupported
            ? Avx512F.Multiply(x.AsUInt32(), Vector512.Create((ulong)multiplier).AsUInt32())
            : x * Vector512.Create((ulong)multiplier);

    private static ReadOnlySpan<int> Window =>
        [-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    /// <summary>Address of the mask whose first <paramref name="count"/> lanes, of sixteen, are set.</summary>
    [MethodImpl(Inline)]
    public static byte* FirstLanes(int count)
        => (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(Window)) + (16 - count) * sizeof(int);
}
