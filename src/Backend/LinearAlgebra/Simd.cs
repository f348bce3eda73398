using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Dnn.Backend;

/// <summary>The vector operations that <see cref="GemmKernel{T, V, S}"/> is written in: one struct for each instruction set and element type.</summary>
internal unsafe interface ISimd<T, V>
    where T : unmanaged
    where V : struct
{
    /// <summary>Elements in a vector; a power of two.</summary>
    static abstract int Width { get; }

    /// <summary>The most rows of C whose two vectors each, with two of B and one of A, fit the registers.</summary>
    static abstract int MaxRows { get; }

    /// <summary>The most rows of C whose four vectors each fit the registers, with four of B and one of A; 0 where tiles of two vectors are as fast or that fits no rows.</summary>
    static abstract int WideRows { get; }

    static abstract V Load(T* p);

    static abstract void Store(T* p, V value);

    /// <summary>Asks for a cache line that will be read soon; the address need not be valid.</summary>
    static abstract void Prefetch(T* p);

    static abstract V Broadcast(T* p);

    /// <summary>x·y + z, rounded once where the hardware can.</summary>
    static abstract V MultiplyAdd(V x, V y, V z);

    /// <summary>The mask that selects the first <paramref name="count"/> elements, 0 &lt; count ≤ Width.</summary>
    static abstract V Mask(int count);

    /// <summary>Loads the first <paramref name="count"/> elements, and touches no others; the rest are 0.</summary>
    static abstract V LoadFirst(T* p, V mask, int count);

    /// <summary>Stores the first <paramref name="count"/> elements, and touches no others.</summary>
    static abstract void StoreFirst(T* p, V mask, int count, V value);

    /// <summary>The first 2·Width elements of x₀ y₀ x₁ y₁ …</summary>
    static abstract (V Low, V High) Zip(V x, V y);
}

internal readonly unsafe struct Avx512Single : ISimd<float, Vector512<float>>
{
    public static int Width => 16;

    public static int MaxRows => 14;

    public static int WideRows => Processor.LoadsBoundTiles ? 6 : 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* p) => Vector512.Load(p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float* p, Vector512<float> value) => value.Store(p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(float* p) => Sse.Prefetch0(p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Broadcast(float* p) => Vector512.Create(*p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> x, Vector512<float> y, Vector512<float> z) => Avx512F.FusedMultiplyAdd(x, y, z);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Mask(int count) => Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(count)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadFirst(float* p, Vector512<float> mask, int count) => Avx512F.MaskLoad(p, mask, Vector512<float>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreFirst(float* p, Vector512<float> mask, int count, Vector512<float> value) => Avx512F.MaskStore(p, mask, value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> Low, Vector512<float> High) Zip(Vector512<float> x, Vector512<float> y) => (
        Avx512F.PermuteVar16x32x2(x, Vector512.Create(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23), y),
        Avx512F.PermuteVar16x32x2(x, Vector512.Create(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31), y));
}

internal readonly unsafe struct Avx512Double : ISimd<double, Vector512<double>>
{
    public static int Width => 8;

    public static int MaxRows => 14;

    public static int WideRows => Processor.LoadsBoundTiles ? 6 : 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Load(double* p) => Vector512.Load(p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(double* p, Vector512<double> value) => value.Store(p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(double* p) => Sse.Prefetch0(p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Broadcast(double* p) => Vector512.Create(*p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> MultiplyAdd(Vector512<double> x, Vector512<double> y, Vector512<double> z) => Avx512F.FusedMultiplyAdd(x, y, z);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Mask(int count) => Vector512.LessThan(Vector512<long>.Indices, Vector512.Create((long)count)).AsDouble();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> LoadFirst(double* p, Vector512<double> mask, int count) => Avx512F.MaskLoad(p, mask, Vector512<double>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreFirst(double* p, Vector512<double> mask, int count, Vector512<double> value) => Avx512F.MaskStore(p, mask, value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<double> Low, Vector512<double> High) Zip(Vector512<double> x, Vector512<double> y) => (
        Avx512F.PermuteVar8x64x2(x, Vector512.Create(0L, 8, 1, 9, 2, 10, 3, 11), y),
        Avx512F.PermuteVar8x64x2(x, Vector512.Create(4L, 12, 5, 13, 6, 14, 7, 15), y));
}

internal readonly unsafe struct Avx2Single : ISimd<float, Vector256<float>>
{
    public static int Width => 8;

    public static int MaxRows => 6;

    public static int WideRows => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(float* p) => Vector256.Load(p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float* p, Vector256<float> value) => value.Store(p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(float* p) => Sse.Prefetch0(p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Broadcast(float* p) => Vector256.Create(*p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> x, Vector256<float> y, Vector256<float> z) => Fma.MultiplyAdd(x, y, z);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Mask(int count) => Vector256.LessThan(Vector256<int>.Indices, Vector256.Create(count)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LoadFirst(float* p, Vector256<float> mask, int count) => Avx.MaskLoad(p, mask);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreFirst(float* p, Vector256<float> mask, int count, Vector256<float> value) => Avx.MaskStore(p, mask, value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<float> Low, Vector256<float> High) Zip(Vector256<float> x, Vector256<float> y)
    {
        var (low, high) = (Avx.UnpackLow(x, y), Avx.UnpackHigh(x, y));
        return (Avx.Permute2x128(low, high, 0x20), Avx.Permute2x128(low, high, 0x31));
    }
}

internal readonly unsafe struct Avx2Double : ISimd<double, Vector256<double>>
{
    public static int Width => 4;

    public static int MaxRows => 6;

    public static int WideRows => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Load(double* p) => Vector256.Load(p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(double* p, Vector256<double> value) => value.Store(p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(double* p) => Sse.Prefetch0(p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Broadcast(double* p) => Vector256.Create(*p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> MultiplyAdd(Vector256<double> x, Vector256<double> y, Vector256<double> z) => Fma.MultiplyAdd(x, y, z);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Mask(int count) => Vector256.LessThan(Vector256<long>.Indices, Vector256.Create((long)count)).AsDouble();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> LoadFirst(double* p, Vector256<double> mask, int count) => Avx.MaskLoad(p, mask);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreFirst(double* p, Vector256<double> mask, int count, Vector256<double> value) => Avx.MaskStore(p, mask, value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<double> Low, Vector256<double> High) Zip(Vector256<double> x, Vector256<double> y)
    {
        var (low, high) = (Avx.UnpackLow(x, y), Avx.UnpackHigh(x, y));
        return (Avx.Permute2x128(low, high, 0x20), Avx.Permute2x128(low, high, 0x31));
    }
}

/// <summary>Any processor, through <see cref="Vector{T}"/>.</summary>
internal readonly unsafe struct Portable<T> : ISimd<T, Vector<T>>
    where T : unmanaged, INumber<T>
{
    public static int Width => Vector<T>.Count;

    public static int MaxRows => 6;

    public static int WideRows => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<T> Load(T* p) => Vector.Load(p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(T* p, Vector<T> value) => value.Store(p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(T* p)
    {
        if (Sse.IsSupported)
            Sse.Prefetch0(p);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<T> Broadcast(T* p) => Vector.Create(*p);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<T> MultiplyAdd(Vector<T> x, Vector<T> y, Vector<T> z) => typeof(T) == typeof(float)
        ? Vector.MultiplyAddEstimate(x.As<T, float>(), y.As<T, float>(), z.As<T, float>()).As<float, T>()
        : Vector.MultiplyAddEstimate(x.As<T, double>(), y.As<T, double>(), z.As<T, double>()).As<double, T>();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<T> Mask(int count) => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<T> LoadFirst(T* p, Vector<T> mask, int count)
    {
        Vector<T> value = default;
        for (var i = 0; i < count; i++)
            ((T*)&value)[i] = p[i];
        return value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreFirst(T* p, Vector<T> mask, int count, Vector<T> value)
    {
        for (var i = 0; i < count; i++)
            p[i] = ((T*)&value)[i];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector<T> Low, Vector<T> High) Zip(Vector<T> x, Vector<T> y)
    {
        Vector<T> low = default, high = default;
        for (var i = 0; i < Width / 2; i++)
        {
            (((T*)&low)[2 * i], ((T*)&low)[2 * i + 1]) = (x[i], y[i]);
            (((T*)&high)[2 * i], ((T*)&high)[2 * i + 1]) = (x[i + Width / 2], y[i + Width / 2]);
        }

        return (low, high);
    }
}

/// <summary>What kernels are chosen by, of the processor.</summary>
internal static class Processor
{
    /// <summary>The <see cref="AppContext"/> switch that decides instead.</summary>
    public const string WideTilesSwitch = "Dnn.WideTiles";

    /// <summary>
    /// Whether the loads of a tile hold up its sums, as on Intel's cores: with four loads for seven sums Ice Lake stays a tenth below its peak, with five for twelve it
    /// reaches it. Zen 4 and 5 reach it with the former, whose panels of B fit the first-level cache.
    /// </summary>
    public static bool LoadsBoundTiles { get; } = Avx512F.IsSupported && (AppContext.TryGetSwitch(WideTilesSwitch, out var isOn) ? isOn : X86Base.CpuId(0, 0) is (_, 0x756e6547, _, _));
}
