using System.Numerics;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>Random products over managed arrays, and what the result must be.</summary>
internal sealed unsafe class Product<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private static readonly T Untouched = T.CreateChecked(12345.5);

    public required int M, N, K, Batch, Inner;
    public required bool Accumulate;
    public required Operand A, B;
    public required int CRow, CInner, CBatch;

    public T[] C = [];

    public static Product<T> Random(Random random, int limit)
    {
        int Size() => random.Next(8) switch
        {
            0 => random.Next(0, 4),
            1 or 2 => random.Next(1, 20),
            3 => 16 * random.Next(1, 5),
            _ => random.Next(1, limit),
        };
        return Random(random, Size(), Size(), Size(), random.Next(4) == 0 ? random.Next(0, 4) : 1, random.Next(4) == 0 ? random.Next(0, 4) : 1);
    }

    public static Product<T> Random(Random random, int m, int n, int k, int batch, int inner)
    {
        var row = n + random.Next(3);
        var plane = m * row + random.Next(3);
        var product = new Product<T>
        {
            M = m,
            N = n,
            K = k,
            Batch = batch,
            Inner = inner,
            Accumulate = random.Next(2) == 0,
            A = Operand.Random(random, m, k, batch, inner),
            B = Operand.Random(random, k, n, batch, inner),
            CRow = row,
            CInner = plane,
            CBatch = plane * inner + random.Next(3),
        };
        product.C = new T[product.CBatch * batch + 1];
        Array.Fill(product.C, Untouched);
        foreach (var (b, i) in product.Matrices())
        {
            for (var r = 0; r < m; r++)
            {
                for (var c = 0; c < n; c++)
                    product.C[product.At(b, i, r, c)] = T.CreateChecked(random.NextDouble() - 0.5);
            }
        }

        return product;
    }

    public override string ToString() =>
        $"{M}×{N}×{K}, batch {Batch}×{Inner}, accumulate {Accumulate}, A strides {A}, B strides {B}, C row {CRow}";

    /// <summary>C after the product, as <paramref name="multiply"/> computes it; <see cref="C"/> stays as it is.</summary>
    public T[] Run(Action<MatrixProductArgs<T>> multiply)
    {
        var result = (T[])C.Clone();
        fixed (T* a = A.Data, b = B.Data, c = result)
        {
            multiply(new MatrixProductArgs<T>(M, N, K, a + A.Origin, b + B.Origin, c)
            {
                ARow = A.Row,
                ACol = A.Column,
                ABatch = A.Batch,
                AInner = A.Inner,
                BRow = B.Row,
                BCol = B.Column,
                BBatch = B.Batch,
                BInner = B.Inner,
                CRow = CRow,
                CBatch = CBatch,
                CInner = CInner,
                Batch = Batch,
                Inner = Inner,
                Accumulate = Accumulate,
            });
        }

        return result;
    }

    /// <summary>C summed in order of k with fused multiply-adds.</summary>
    public T[] Fused()
    {
        var result = (T[])C.Clone();
        foreach (var (b, i) in Matrices())
        {
            for (var r = 0; r < M; r++)
            {
                for (var c = 0; c < N; c++)
                {
                    ref var sum = ref result[At(b, i, r, c)];
                    if (!Accumulate)
                        sum = T.Zero;
                    for (var k = 0; k < K; k++)
                        sum = T.FusedMultiplyAdd(A[b, i, r, k], B[b, i, k, c], sum);
                }
            }
        }

        return result;
    }

    /// <summary>Holds when every element is within 2·(K+1)·ε·Σ|a||b| of the exact sum, and nothing outside C was written.</summary>
    public void CheckError(T[] result)
    {
        var expected = Array.ConvertAll(C, double.CreateChecked);
        var error = new double[C.Length];
        var epsilon = double.CreateChecked(T.BitIncrement(T.One) - T.One);
        foreach (var (b, i) in Matrices())
        {
            for (var r = 0; r < M; r++)
            {
                for (var c = 0; c < N; c++)
                {
                    var at = At(b, i, r, c);
                    double sum = Accumulate ? expected[at] : 0, size = Math.Abs(sum);
                    for (var k = 0; k < K; k++)
                    {
                        var term = double.CreateChecked(A[b, i, r, k]) * double.CreateChecked(B[b, i, k, c]);
                        sum += term;
                        size += Math.Abs(term);
                    }

                    expected[at] = sum;
                    error[at] = 2 * (K + 1) * epsilon * size;
                }
            }
        }

        for (var at = 0; at < expected.Length; at++)
        {
            var difference = Math.Abs(double.CreateChecked(result[at]) - expected[at]);
            Assert.True(difference <= error[at], $"{this}: element {at} is {result[at]}, not {expected[at]}");
        }
    }

    private IEnumerable<(int Batch, int Inner)> Matrices() =>
        from b in Enumerable.Range(0, Batch)
        from i in Enumerable.Range(0, Inner)
        select (b, i);

    private int At(int batch, int inner, int row, int column) => batch * CBatch + inner * CInner + row * CRow + column;

    /// <summary>An array seen as a batch of matrices through strides.</summary>
    internal sealed record Operand(T[] Data, int Origin, int Row, int Column, int Batch, int Inner)
    {
        public T this[int batch, int inner, int row, int column] => Data[Origin + batch * Batch + inner * Inner + row * Row + column * Column];

        public override string ToString() => $"({Row}, {Column}; {Batch}, {Inner})";

        public static Operand Random(Random random, int rows, int columns, int batch, int inner)
        {
            var pad = random.Next(2) * random.Next(5);
            var (row, column) = random.Next(8) switch
            {
                0 or 1 or 2 => (columns + pad, 1),
                3 or 4 => (1, rows + pad),
                5 => (2 * columns + pad, 2),
                6 => (-(columns + pad), 1),
                _ => random.Next(2) == 0 ? (0, 1) : (1, 0),
            };
            var plane = rows * Math.Abs(row) + columns * Math.Abs(column);
            var (innerStride, batchStride) = (random.Next(3) == 0 ? 0 : plane, random.Next(3) == 0 ? 0 : plane * inner);
            var origin = row < 0 ? -row * Math.Max(rows - 1, 0) : 0;
            var data = new T[origin + plane * Math.Max(batch * inner, 1) + 1];
            for (var i = 0; i < data.Length; i++)
                data[i] = T.CreateChecked(random.NextDouble() * 2 - 1);
            return new Operand(data, origin, row, column, batchStride, innerStride);
        }
    }
}
