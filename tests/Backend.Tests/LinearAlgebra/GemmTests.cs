using System.Numerics;
using System.Runtime.Intrinsics.X86;
using Xunit;

namespace Dnn.Backend.Tests;

public sealed class GemmTests
{
    public static TheoryData<SimdPath> Paths => new(Enum.GetValues<SimdPath>().Where(Gemm.IsSupported));

    [Theory]
    [MemberData(nameof(Paths))]
    public void RandomProductsOfSinglesAreWithinTheErrorBound(SimdPath path) =>
        ErrorBound<float>(args => Gemm.Multiply(args, null, path));

    [Theory]
    [MemberData(nameof(Paths))]
    public void RandomProductsOfDoublesAreWithinTheErrorBound(SimdPath path) =>
        ErrorBound<double>(args => Gemm.Multiply(args, null, path));

    [Theory]
    [MemberData(nameof(Paths))]
    public void BitsDependOnNeitherThreadsNorTilingForSingles(SimdPath path) =>
        EqualBits<float>(path, (args, pool) => Gemm.Multiply(args, pool, path));

    [Theory]
    [MemberData(nameof(Paths))]
    public void BitsDependOnNeitherThreadsNorTilingForDoubles(SimdPath path) =>
        EqualBits<double>(path, (args, pool) => Gemm.Multiply(args, pool, path));

    [Theory]
    [MemberData(nameof(Paths))]
    public void NanAndInfinityPropagate(SimdPath path)
    {
        var random = new Random(5);
        float[] specials = [float.NaN, float.PositiveInfinity, float.NegativeInfinity, 0, -0f, float.MaxValue, float.Epsilon];
        for (var round = 0; round < 100; round++)
        {
            var product = Product<float>.Random(random, 40);
            foreach (var data in new[] { product.A.Data, product.B.Data })
            {
                for (var i = 0; i < data.Length; i++)
                {
                    if (random.Next(6) == 0)
                        data[i] = specials[random.Next(specials.Length)];
                }
            }

            var expected = product.Fused();
            var actual = product.Run(args => Gemm.Multiply(args, null, path));
            for (var i = 0; i < expected.Length; i++)
            {
                Assert.True(
                    float.IsNaN(expected[i]) == float.IsNaN(actual[i]) && float.IsInfinity(expected[i]) == float.IsInfinity(actual[i]),
                    $"{product}: element {i} is {actual[i]}, not {expected[i]}");
            }
        }
    }

    // Sizes around every tile edge, and blocks of K, M and N beyond the first.
    [Theory]
    [MemberData(nameof(Paths))]
    public void EveryTileShapeIsExact(SimdPath path)
    {
        var random = new Random(6);
        for (var m = 1; m <= 30; m++)
        {
            for (var n = 1; n <= 70; n += m % 3 + 1)
            {
                var product = Product<float>.Random(random, m, n, random.Next(1, 20), 1, 1);
                product.CheckError(product.Run(args => Gemm.Multiply(args, null, path)));
            }
        }

        foreach (var (m, n, k) in new[] { (400, 70, 1100), (193, 4200, 9), (3, 4133, 21), (1, 5, 2000), (14, 33, 1537), (220, 130, 128) })
        {
            var product = Product<float>.Random(random, m, n, k, 1, 1);
            product.CheckError(product.Run(args => Gemm.Multiply(args, null, path)));
        }
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public void ProductsWithAPackedOperandHaveTheSameBitsForSingles(SimdPath path) =>
        EqualBitsPacked<float>(path, (args, pool) => Gemm.Multiply(args, pool, path));

    [Theory]
    [MemberData(nameof(Paths))]
    public void ProductsWithAPackedOperandHaveTheSameBitsForDoubles(SimdPath path) =>
        EqualBitsPacked<double>(path, (args, pool) => Gemm.Multiply(args, pool, path));

    [Fact]
    public unsafe void EmptySums()
    {
        float[] c = [1, 2, 3, 4];
        fixed (float* p = c)
        {
            Gemm.Multiply(new MatrixProductArgs<float>(2, 2, 0, null, null, p) { Accumulate = true });
            Assert.Equal([1, 2, 3, 4], c);
            Gemm.Multiply(new MatrixProductArgs<float>(0, 2, 2, null, null, p));
            Gemm.Multiply(new MatrixProductArgs<float>(2, 0, 2, null, null, p));
            Gemm.Multiply(new MatrixProductArgs<float>(2, 2, 2, null, null, p) { Batch = 0 });
            Assert.Equal([1, 2, 3, 4], c);
            Gemm.Multiply(new MatrixProductArgs<float>(2, 1, 0, null, null, p) { CRow = 2 });
            Assert.Equal([0, 2, 0, 4], c);
        }
    }

    [Fact]
    public unsafe void ImpossibleSizesAreRefused()
    {
        Assert.Throws<ArgumentException>(() => Gemm.Multiply(new MatrixProductArgs<float>(2, -1, 2, null, null, null)));
        Assert.Throws<ArgumentException>(() => Gemm.Multiply(new MatrixProductArgs<float>(2, 3, 2, null, null, null) { CRow = 2 }));
        Assert.Throws<ArgumentException>(() => Gemm.Multiply(new MatrixProductArgs<float>(2, 3, 2, null, null, null) { Batch = 2 }));
        Assert.Throws<ArgumentException>(() => Gemm.Multiply(new MatrixProductArgs<float>(2, 3, 2, null, null, null) { Inner = 2 }));
    }

    [Fact]
    public unsafe void SteadyStateAllocatesNothing()
    {
        using var pool = new WorkerPool(2);
        var (a, b, c) = (new float[300 * 300], new float[300 * 300], new float[300 * 300]);
        fixed (float* pa = a, pb = b, pc = c)
        {
            var args = new MatrixProductArgs<float>(300, 300, 300, pa, pb, pc) { BRow = 1, BCol = 300 };
            Gemm.Multiply(args, pool);
            Gemm.Multiply(args);
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 10; i++)
            {
                Gemm.Multiply(args, pool);
                Gemm.Multiply(args);
            }

            Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
        }
    }

    private static void ErrorBound<T>(Action<MatrixProductArgs<T>> multiply)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var random = new Random(7);
        for (var round = 0; round < 1000; round++)
        {
            var product = Product<T>.Random(random, round % 10 == 0 ? 90 : 40);
            product.CheckError(product.Run(multiply));
        }
    }

    private static void EqualBits<T>(SimdPath path, Action<MatrixProductArgs<T>, WorkerPool?> multiply)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var random = new Random(8);
        using var two = new WorkerPool(2);
        using var three = new WorkerPool(3);
        for (var round = 0; round < 40; round++)
        {
            var product = (round % 4) switch
            {
                0 => Product<T>.Random(random, random.Next(1, 8), random.Next(200, 400), random.Next(300, 600), 1, 1),
                1 => Product<T>.Random(random, random.Next(200, 240), random.Next(1, 40), random.Next(100, 540), 1, 1),
                2 => Product<T>.Random(random, 40, random.Next(30, 60), 50, 3, 5),
                _ => Product<T>.Random(random, random.Next(60, 100), random.Next(60, 100), random.Next(60, 100), 1, 1),
            };
            var alone = product.Run(args => multiply(args, null));
            Assert.Equal(alone, product.Run(args => multiply(args, two)));
            Assert.Equal(alone, product.Run(args => multiply(args, three)));
            if (path != SimdPath.Portable || Fma.IsSupported)
                Assert.Equal(product.Fused(), alone);
        }
    }

    private static unsafe void EqualBitsPacked<T>(SimdPath path, Action<MatrixProductArgs<T>, WorkerPool?> multiply)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var random = new Random(9);
        var products = Products.Of<T>(path);
        using var two = new WorkerPool(2);
        for (var round = 0; round < 200; round++)
        {
            var isLarge = round % 10 == 0;
            var m = random.Next(2) == 0 ? 1 : random.Next(2, 50);
            var (n, k) = isLarge ? (random.Next(500, 700), random.Next(500, 600)) : (random.Next(1, 300), random.Next(0, 70));
            var product = Product<T>.Random(random, m, n, k, 1, 1);
            var packed = new T[products.PackedElements(m, n, k)];
            var expected = product.Run(args => multiply(args, null));
            foreach (var pool in new[] { null, two })
            {
                Assert.Equal(expected, product.Run(args =>
                {
                    fixed (T* memory = packed)
                    {
                        products.PackOperand(m, n, k, args.B, args.BRow, args.BCol, memory);
                        multiply(args with { B = memory, IsPacked = true }, pool);
                    }
                }));
            }
        }
    }
}
