using System.Numerics;
using MathNet.Numerics;
using MathNet.Numerics.Providers.LinearAlgebra;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>Our provider against the sums that its products are, for MathNet's four number types, computed in double precision.</summary>
public sealed class ProviderTests
{
    private static readonly Transpose[] Transposes = [Transpose.DontTranspose, Transpose.Transpose, Transpose.ConjugateTranspose];

    [Fact]
    public void EveryProductIsItsSums()
    {
        var random = new Random(5);
        for (var round = 0; round < 600; round++)
        {
            var (m, n, k) = (Size(random, 40), Size(random, 40), Size(random, 40));
            var (ta, tb) = (Transposes[random.Next(3)], Transposes[random.Next(3)]);
            CheckAll(random, ta, tb, Factor(random), m, n, k, Factor(random));
        }
    }

    [Fact]
    public void ManyColumnsAreAddedInBlocks()
    {
        var random = new Random(6);
        foreach (var (ta, tb) in Transposes.SelectMany(_ => Transposes, (x, y) => (x, y)))
            CheckAll(random, ta, tb, Factor(random), random.Next(1, 20), random.Next(250, 600), random.Next(1, 20), Factor(random));
    }

    [Fact]
    public void TheResultMayBeAnOperand()
    {
        var random = new Random(7);
        foreach (var size in (int[])[1, 2, 7, 300])
        {
            foreach (var (ta, tb) in Transposes.SelectMany(_ => Transposes, (x, y) => (x, y)))
            {
                Complex[] Draw() => [.. Enumerable.Range(0, size * size).Select(_ => Number(random))];
                Complex[] a = Draw(), b = Draw(), left = [.. a], right = [.. b];
                var (alpha, beta) = (Factor(random), Factor(random));
                Check(Multiply(ta, tb, alpha, left, b, beta, left), ta, tb, alpha, a, b, beta, a, size, size, size);
                Check(Multiply(ta, tb, alpha, a, right, beta, right), ta, tb, alpha, a, b, beta, b, size, size, size);
                Complex[] both = [.. a];
                Check(Multiply(ta, tb, alpha, both, both, beta, both), ta, tb, alpha, a, a, beta, a, size, size, size);

                Complex[] Multiply(Transpose ta, Transpose tb, Complex alpha, Complex[] a, Complex[] b, Complex beta, Complex[] c)
                {
                    new DnnLinearAlgebraProvider().MatrixMultiplyWithUpdate(ta, tb, alpha, a, size, size, b, size, size, beta, c);
                    return c;
                }
            }
        }
    }

    /// <summary>Real and imaginary parts are the sums of their terms, each of which is infinite or not a number where its factors say so, whatever their order.</summary>
    [Fact]
    public void WhatIsNotFiniteSpreadsAsInTheSums()
    {
        var random = new Random(8);
        double[] special = [double.NaN, double.PositiveInfinity, double.NegativeInfinity];
        for (var round = 0; round < 300; round++)
        {
            var (m, n, k) = (random.Next(1, 12), random.Next(1, 12), random.Next(1, 12));
            var (ta, tb) = (Transposes[random.Next(3)], Transposes[random.Next(3)]);
            CheckAll(random, ta, tb, Complex.One, m, n, k, round % 2, Spoil);
        }

        double Spoil(double value) => random.Next(30) == 0 ? special[random.Next(3)] : value;
    }

    [Fact]
    public void WhatAFactorOfZeroLeavesOutIsNotRead()
    {
        ILinearAlgebraProvider<Complex> provider = new DnnLinearAlgebraProvider();
        foreach (var size in (int[])[1, 2, 5])
        {
            Complex[] bad = [.. Enumerable.Repeat(new Complex(double.NaN, double.PositiveInfinity), size * size)], good = [.. Enumerable.Repeat(new Complex(1, 2), size * size)];
            Complex[] c = [.. good];
            provider.MatrixMultiplyWithUpdate(Transpose.Transpose, Transpose.DontTranspose, 0, bad, size, size, bad, size, size, new(0, 1), c);
            Assert.All(c, value => Assert.Equal(new(-2, 1), value));
            bad.CopyTo(c, 0);
            provider.MatrixMultiplyWithUpdate(Transpose.DontTranspose, Transpose.DontTranspose, 0, bad, size, size, bad, size, size, 0, c);
            Assert.All(c, value => Assert.Equal(Complex.Zero, value));
            bad.CopyTo(c, 0);
            provider.MatrixMultiplyWithUpdate(Transpose.DontTranspose, Transpose.DontTranspose, 1, good, size, size, good, size, size, 0, c);
            Assert.All(c, value => Assert.Equal(new(-3 * size, 4 * size), value));
        }
    }

    [Fact]
    public void ThreadsChangeNoBit()
    {
        var random = new Random(9);
        using var two = new WorkerPool(2);
        using var three = new WorkerPool(3);
        foreach (var (ta, tb) in Transposes.SelectMany(_ => Transposes, (x, y) => (x, y)))
        {
            foreach (var (m, n, k) in ((int, int, int)[])[(67, 301, 45), (200, 1, 1500), (130, 70, 90)])
            {
                Complex[] a = [.. Enumerable.Range(0, m * k).Select(_ => Number(random))], b = [.. Enumerable.Range(0, k * n).Select(_ => Number(random))];
                var expected = Run(null);
                Assert.Equal(expected, Run(two));
                Assert.Equal(expected, Run(three));

                Complex[] Run(WorkerPool? pool)
                {
                    var c = new Complex[m * n];
                    var ((rowsA, columnsA), (rowsB, columnsB)) = (Stored(ta, m, k), Stored(tb, k, n));
                    new DnnLinearAlgebraProvider(pool).MatrixMultiplyWithUpdate(ta, tb, Complex.One, a, rowsA, columnsA, b, rowsB, columnsB, Complex.Zero, c);
                    return c;
                }
            }
        }
    }

    [Fact]
    public void NothingIsAllocated()
    {
        var provider = new DnnLinearAlgebraProvider();
        var (a, b) = (new Complex32[40 * 40], new double[40 * 40]);
        foreach (var transpose in Transposes)
        {
            Run();
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 10; i++)
                Run();
            Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());

            void Run()
            {
                provider.MatrixMultiplyWithUpdate(transpose, transpose, new Complex32(2, 1), a, 40, 40, a, 40, 40, Complex32.One, a);
                provider.MatrixMultiplyWithUpdate(transpose, transpose, 2, b, 40, 40, b, 40, 40, 3, b);
            }
        }
    }

    private static int Size(Random random, int limit) => random.Next(4) == 0 ? random.Next(0, 3) : random.Next(1, limit);

    /// <summary>The size of the parts that are finite.</summary>
    private static double Size(Complex x) => (double.IsFinite(x.Real) ? Math.Abs(x.Real) : 0) + (double.IsFinite(x.Imaginary) ? Math.Abs(x.Imaginary) : 0);

    private static Complex Number(Random random) => new(random.NextDouble() - 0.5, random.NextDouble() - 0.5);

    private static Complex Factor(Random random) => random.Next(5) switch
    {
        0 => Complex.Zero,
        1 => Complex.One,
        2 => new(random.Next(-3, 4), 0),
        _ => Number(random),
    };

    private static (int Rows, int Columns) Stored(Transpose transpose, int rows, int columns) => transpose == Transpose.DontTranspose ? (rows, columns) : (columns, rows);

    private static void CheckAll(Random random, Transpose ta, Transpose tb, Complex alpha, int m, int n, int k, Complex beta, Func<double, double>? spoil = null)
    {
        spoil ??= x => x;
        Complex[] Draw(int count) => [.. Enumerable.Range(0, count).Select(_ => Number(random)).Select(x => new Complex(spoil((float)x.Real), spoil((float)x.Imaginary)))];
        Complex[] a = Draw(m * k), b = Draw(k * n), c = Draw(m * n);
        var ((rowsA, columnsA), (rowsB, columnsB)) = (Stored(ta, m, k), Stored(tb, k, n));
        Run(x => x, x => x, 1e-15);
        Run(x => new Complex32((float)x.Real, (float)x.Imaginary), x => new(x.Real, x.Imaginary), 5e-7);
        (alpha, beta, a, b, c) = (alpha.Real, beta.Real, [.. a.Select(Real)], [.. b.Select(Real)], [.. c.Select(Real)]);
        Run(x => x.Real, x => x, 1e-15);
        Run(x => (float)x.Real, x => x, 5e-7);

        static Complex Real(Complex x) => x.Real;

        void Run<T>(Func<Complex, T> narrow, Func<T, Complex> widen, double precision)
            where T : struct, IEquatable<T>, IFormattable
        {
            T[] result = [.. c.Select(narrow)];
            ((ILinearAlgebraProvider<T>)(object)new DnnLinearAlgebraProvider()).MatrixMultiplyWithUpdate(
                ta, tb, narrow(alpha), [.. a.Select(narrow)], rowsA, columnsA, [.. b.Select(narrow)], rowsB, columnsB, narrow(beta), result);
            Check([.. result.Select(widen)], ta, tb, widen(narrow(alpha)), a, b, widen(narrow(beta)), c, m, n, k, precision, typeof(T));
        }
    }

    private static void Check(
        Complex[] actual, Transpose ta, Transpose tb, Complex alpha, Complex[] a, Complex[] b, Complex beta, Complex[] c, int m, int n, int k, double precision = 1e-15, Type? type = null)
    {
        var isReal = type == typeof(double) || type == typeof(float);
        for (var j = 0; j < n; j++)
        {
            for (var i = 0; i < m; i++)
            {
                // Of complex numbers a part is infinite, or not a number, where a term of its sum is; of real ones there are no imaginary terms.
                var (real, imaginary, size) = (0.0, 0.0, 0.0);
                for (var p = 0; p < k; p++)
                {
                    var (x, y) = (Read(a, ta, i, p, m, k), Read(b, tb, p, j, k, n));
                    (real, imaginary) = isReal ? (real + x.Real * y.Real, 0) : (real + x.Real * y.Real - x.Imaginary * y.Imaginary, imaginary + x.Real * y.Imaginary + x.Imaginary * y.Real);
                    size += Size(x) * Size(y);
                }

                var at = j * m + i;
                if (alpha == Complex.Zero)
                    (real, imaginary, size) = (0, 0, 0);
                else if (alpha != Complex.One)
                    (real, imaginary) = (alpha.Real * real - alpha.Imaginary * imaginary, alpha.Real * imaginary + alpha.Imaginary * real);
                if (beta == Complex.One)
                    (real, imaginary) = (real + c[at].Real, imaginary + c[at].Imaginary);
                else if (beta != Complex.Zero)
                    (real, imaginary) = (real + beta.Real * c[at].Real - beta.Imaginary * c[at].Imaginary, imaginary + beta.Real * c[at].Imaginary + beta.Imaginary * c[at].Real);
                var bound = precision * (k + 8) * (size * Size(alpha) + (beta == Complex.Zero ? 0 : Size(beta) * Size(c[at])));
                var isClose = IsClose(real, actual[at].Real, bound) && IsClose(imaginary, actual[at].Imaginary, bound);
                Assert.True(isClose, $"{type} {ta} {tb} {m}×{n}×{k} alpha {alpha} beta {beta} at {i}, {j}: {actual[at]}, not ({real}, {imaginary})");
            }
        }
    }

    private static Complex Read(Complex[] values, Transpose transpose, int row, int column, int rows, int columns)
    {
        var value = values[transpose == Transpose.DontTranspose ? column * rows + row : row * columns + column];
        return transpose == Transpose.ConjugateTranspose ? Complex.Conjugate(value) : value;
    }

    private static bool IsClose(double expected, double actual, double bound) =>
        expected.Equals(actual) || Math.Abs(expected - actual) <= bound;
}
