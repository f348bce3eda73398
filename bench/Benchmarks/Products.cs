using System.Runtime.InteropServices;
using BenchmarkDotNet.Attributes;
using Dnn.Backend;

namespace Dnn.Benchmarks;

/// <summary>Matrix products of floats and doubles: squares, few rows, and the shapes of layers.</summary>
public unsafe class Products
{
    private readonly Dictionary<int, WorkerPool> pools = [];
    private float* single;
    private double* twice;

    public static IEnumerable<(int M, int N, int K)> Shapes => [(16, 16, 16), (64, 64, 64), (256, 256, 256), (1024, 1024, 1024), (1, 512, 512), (8, 512, 512), (32, 768, 3072), (128, 512, 784)];

    [ParamsSource(nameof(Shapes))]
    public (int M, int N, int K) Shape { get; set; }

    [Params(1, 2)]
    public int Threads { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        var (m, n, k) = Shape;
        var count = (m * k) + (k * n) + (m * n);
        single = (float*)NativeMemory.AlignedAlloc((nuint)count * sizeof(float), 64);
        twice = (double*)NativeMemory.AlignedAlloc((nuint)count * sizeof(double), 64);
        var random = new Random(1);
        for (var i = 0; i < count; i++)
            single[i] = (float)(twice[i] = random.NextDouble() - 0.5);
        pools.TryAdd(Threads, new WorkerPool(Threads));
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        NativeMemory.AlignedFree(single);
        NativeMemory.AlignedFree(twice);
    }

    [Benchmark]
    public void Float() => Gemm.Multiply(Args(single), pools[Threads]);

    [Benchmark]
    public void Double() => Gemm.Multiply(Args(twice), pools[Threads]);

    private MatrixProductArgs<T> Args<T>(T* memory)
        where T : unmanaged
    {
        var (m, n, k) = Shape;
        return new(m, n, k, memory, memory + (m * k), memory + (m * k) + (k * n));
    }
}
