using System.Numerics;
using MathNet.Numerics;
using MathNet.Numerics.LinearAlgebra;
using MathNet.Numerics.Providers.LinearAlgebra;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>Changes MathNet's process-wide provider, so nothing else runs meanwhile.</summary>
[CollectionDefinition("MathNet's provider", DisableParallelization = true)]
public sealed class MathNetProviderCollection;

[Collection("MathNet's provider")]
public sealed class MathNetTests
{
    [Fact]
    public void ProductsThroughAProviderMatchAndAreCounted()
    {
        var random = new Random(1);
        long calls = 0;
        var ours = new MathNetMatrixProduct(new DnnLinearAlgebraProvider());
        var managed = new MathNetMatrixProduct(ManagedLinearAlgebraProvider.Instance);
        for (var round = 0; round < 300; round++)
        {
            var single = Product<float>.Random(random, 30);
            single.CheckError(single.Run(args => managed.Multiply(args)));
            single.CheckError(single.Run(args => ours.Multiply(args)));
            var two = Product<double>.Random(random, 30);
            two.CheckError(two.Run(args => managed.Multiply(args)));
            two.CheckError(two.Run(args => ours.Multiply(args)));
            calls += single is { M: > 0, N: > 0, K: > 0 } ? single.Batch * single.Inner : 0;
            calls += two is { M: > 0, N: > 0, K: > 0 } ? two.Batch * two.Inner : 0;
        }

        Assert.Equal(calls, managed.Calls);
        Assert.Equal(calls, ours.Calls);
    }

    [Fact]
    public void ManagedProductsMatch()
    {
        var random = new Random(2);
        using var pool = new WorkerPool(2);
        IMatrixProduct product = new ManagedMatrixProduct(pool);
        var single = Product<float>.Random(random, 100, 90, 80, 2, 1);
        single.CheckError(single.Run(args => product.Multiply(args)));
        var two = Product<double>.Random(random, 100, 90, 80, 2, 1);
        two.CheckError(two.Run(args => product.Multiply(args)));
    }

    [Fact]
    public void MathNetMatricesMultiplyOnOurProvider()
    {
        var managed = Everything();
        var before = LinearAlgebraControl.Provider;
        try
        {
            LinearAlgebraControl.Provider = new DnnLinearAlgebraProvider();
            Assert.Equal(managed.Length, Everything().Length);
            foreach (var (expected, actual) in managed.Zip(Everything()))
                Assert.True((expected - actual).FrobeniusNorm() <= 1e-5 * expected.FrobeniusNorm());
        }
        finally
        {
            LinearAlgebraControl.Provider = before;
        }
    }

    [Fact]
    public void EveryUpdateMatchesTheManagedProvider()
    {
        var random = new Random(4);
        ILinearAlgebraProvider<double> ours = new DnnLinearAlgebraProvider(), managed = ManagedLinearAlgebraProvider.Instance;
        ILinearAlgebraProvider<float> oursSingle = new DnnLinearAlgebraProvider(), managedSingle = ManagedLinearAlgebraProvider.Instance;
        ILinearAlgebraProvider<Complex> oursComplex = new DnnLinearAlgebraProvider(), managedComplex = ManagedLinearAlgebraProvider.Instance;
        ILinearAlgebraProvider<Complex32> oursComplex32 = new DnnLinearAlgebraProvider(), managedComplex32 = ManagedLinearAlgebraProvider.Instance;
        Transpose[] transposes = [Transpose.DontTranspose, Transpose.Transpose, Transpose.ConjugateTranspose];
        foreach (var (ta, tb) in transposes.SelectMany(_ => transposes, (x, y) => (x, y)))
        {
            foreach (var (alpha, beta) in new[] { (1, 0), (1, 1), (2, 0), (0, 0), (0, 3), (-1, 1), (3, 2) })
            {
                int m = random.Next(1, 30), n = random.Next(1, 30), k = random.Next(1, 30);
                var (rowsA, columnsA) = ta == Transpose.DontTranspose ? (m, k) : (k, m);
                var (rowsB, columnsB) = tb == Transpose.DontTranspose ? (k, n) : (n, k);
                var (a, b, c) = (Random(m * k), Random(k * n), Random(m * n));
                var (expected, actual) = ((double[])c.Clone(), (double[])c.Clone());
                managed.MatrixMultiplyWithUpdate(ta, tb, alpha, a, rowsA, columnsA, b, rowsB, columnsB, beta, expected);
                ours.MatrixMultiplyWithUpdate(ta, tb, alpha, a, rowsA, columnsA, b, rowsB, columnsB, beta, actual);
                for (var i = 0; i < c.Length; i++)
                    Assert.Equal(expected[i], actual[i], 1e-12);

                var (a1, b1, c1) = (Array.ConvertAll(a, x => (float)x), Array.ConvertAll(b, x => (float)x), Array.ConvertAll(c, x => (float)x));
                var (expected1, actual1) = ((float[])c1.Clone(), (float[])c1.Clone());
                managedSingle.MatrixMultiplyWithUpdate(ta, tb, alpha, a1, rowsA, columnsA, b1, rowsB, columnsB, beta, expected1);
                oursSingle.MatrixMultiplyWithUpdate(ta, tb, alpha, a1, rowsA, columnsA, b1, rowsB, columnsB, beta, actual1);
                for (var i = 0; i < c.Length; i++)
                    Assert.Equal(expected1[i], actual1[i], 1e-4f);

                var (a2, b2, c2) = (Complexes(m * k), Complexes(k * n), Complexes(m * n));
                var (expected2, actual2) = ((Complex[])c2.Clone(), (Complex[])c2.Clone());
                managedComplex.MatrixMultiplyWithUpdate(ta, tb, new(alpha, 0.5), a2, rowsA, columnsA, b2, rowsB, columnsB, new(beta, -1), expected2);
                oursComplex.MatrixMultiplyWithUpdate(ta, tb, new(alpha, 0.5), a2, rowsA, columnsA, b2, rowsB, columnsB, new(beta, -1), actual2);
                Assert.All(expected2.Zip(actual2), p => Assert.True((p.First - p.Second).Magnitude < 1e-11, $"{p.First} {p.Second}"));

                var (a3, b3, c3) = (Narrow(a2), Narrow(b2), Narrow(c2));
                var (expected3, actual3) = ((Complex32[])c3.Clone(), (Complex32[])c3.Clone());
                managedComplex32.MatrixMultiplyWithUpdate(ta, tb, alpha, a3, rowsA, columnsA, b3, rowsB, columnsB, beta, expected3);
                oursComplex32.MatrixMultiplyWithUpdate(ta, tb, alpha, a3, rowsA, columnsA, b3, rowsB, columnsB, beta, actual3);
                Assert.All(expected3.Zip(actual3), p => Assert.True((p.First - p.Second).Magnitude < 1e-4, $"{p.First} {p.Second}"));
            }
        }

        Complex[] Complexes(int length) => [.. Random(length).Zip(Random(length), (x, y) => new Complex(x, y))];

        static Complex32[] Narrow(Complex[] values) => Array.ConvertAll(values, v => new Complex32((float)v.Real, (float)v.Imaginary));

        double[] Random(int length) => Enumerable.Range(0, length).Select(_ => random.NextDouble() - 0.5).ToArray();
    }

    [Fact]
    public void TheResultMayBeAnOperand()
    {
        double[] square = [1, 2, 3, 4];
        new DnnLinearAlgebraProvider().MatrixMultiplyWithUpdate(
            Transpose.DontTranspose, Transpose.DontTranspose, 1, square, 2, 2, [0, 1, 1, 0], 2, 2, 2, square);
        Assert.Equal([3 + 2, 4 + 4, 1 + 6, 2 + 8], square);
    }

    [Fact]
    public void ArraysOfTheWrongSizeAreRefused()
    {
        var provider = new DnnLinearAlgebraProvider();
        Assert.Throws<ArgumentException>(() => provider.MatrixMultiply(new double[4], 2, 2, new double[6], 3, 2, new double[4]));
        Assert.Throws<ArgumentException>(() => provider.MatrixMultiply(new double[4], 2, 2, new double[4], 2, 2, new double[5]));
    }

    // Products in every way that MathNet asks its provider for them, and a few members that go to its managed provider.
    private static Matrix<Complex>[] Everything()
    {
        var random = new Random(3);
        var (a, b) = (Matrix<double>.Build.Dense(37, 21, (_, _) => random.NextDouble()), Matrix<double>.Build.Dense(21, 45, (_, _) => random.NextDouble()));
        var (f, g) = (a.ToSingle(), b.ToSingle());
        var square = a.TransposeThisAndMultiply(a);
        Matrix<double>[] real =
        [
            a * b,
            a.TransposeThisAndMultiply(a),
            b.TransposeAndMultiply(b),
            (a * b.Column(3)).ToColumnMatrix(),
            (f.TransposeAndMultiply(f) * f * g).ToDouble() / 1e9 * 1e9,
            square.Cholesky().Factor,
            square.LU().Solve(square.Transpose()),
            square.QR().Q,
            square.Svd().W,
            square + 2 * square - square.PointwiseMultiply(square),
        ];
        var complex = a.ToComplex();
        return [.. real.Select(matrix => matrix.ToComplex()), complex * b.ToComplex(), complex.ToComplex32().ConjugateTransposeThisAndMultiply(complex.ToComplex32()).ToComplex()];
    }
}
