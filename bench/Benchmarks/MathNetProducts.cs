using System.Numerics;
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using Dnn.Backend;
using MathNet.Numerics;
using MathNet.Numerics.Providers.LinearAlgebra;

namespace Dnn.Benchmarks;

/// <summary>Square products of MathNet's four number types, on its managed provider (the baseline) and on ours, one thread each: the ratio says what the one line brings.</summary>
[GroupBenchmarksBy(BenchmarkLogicalGroupRule.ByCategory, BenchmarkLogicalGroupRule.ByParams)]
[CategoriesColumn]
public class MathNetProducts
{
    private readonly ILinearAlgebraProvider ours = new DnnLinearAlgebraProvider();
    private readonly ILinearAlgebraProvider managed = ManagedLinearAlgebraProvider.Instance;
    private Operands<float> single = null!;
    private Operands<double> twice = null!;
    private Operands<Complex32> complexSingle = null!;
    private Operands<Complex> complexDouble = null!;

    [Params(4, 16, 64, 512)]
    public int Size { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        // MathNet's managed provider takes all cores unless told otherwise.
        MathNet.Numerics.Control.UseSingleThread();
        var random = new Random(1);
        single = new(Size, () => random.NextSingle());
        twice = new(Size, random.NextDouble);
        complexSingle = new(Size, () => new Complex32(random.NextSingle(), random.NextSingle()));
        complexDouble = new(Size, () => new Complex(random.NextDouble(), random.NextDouble()));
    }

    [Benchmark(Baseline = true), BenchmarkCategory("float")]
    public void ManagedFloat() => single.Multiply(managed);

    [Benchmark, BenchmarkCategory("float")]
    public void OurFloat() => single.Multiply(ours);

    [Benchmark(Baseline = true), BenchmarkCategory("double")]
    public void ManagedDouble() => twice.Multiply(managed);

    [Benchmark, BenchmarkCategory("double")]
    public void OurDouble() => twice.Multiply(ours);

    [Benchmark(Baseline = true), BenchmarkCategory("complex32")]
    public void ManagedComplex32() => complexSingle.Multiply(managed);

    [Benchmark, BenchmarkCategory("complex32")]
    public void OurComplex32() => complexSingle.Multiply(ours);

    [Benchmark(Baseline = true), BenchmarkCategory("complex")]
    public void ManagedComplex() => complexDouble.Multiply(managed);

    [Benchmark, BenchmarkCategory("complex")]
    public void OurComplex() => complexDouble.Multiply(ours);

    private sealed class Operands<T>(int size, Func<T> draw)
        where T : struct
    {
        private readonly T[] x = Draw(size, draw), y = Draw(size, draw), result = new T[size * size];

        public void Multiply(ILinearAlgebraProvider provider) => ((ILinearAlgebraProvider<T>)provider).MatrixMultiply(x, size, size, y, size, size, result);

        private static T[] Draw(int size, Func<T> draw) => [.. Enumerable.Range(0, size * size).Select(_ => draw())];
    }
}
