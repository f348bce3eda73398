using System.Numerics;
using MathNet.Numerics.Providers.LinearAlgebra;

namespace Dnn.Backend;

/// <summary>Multiplies through a MathNet linear-algebra provider: the managed one, or a native MKL or OpenBLAS that the user has installed.</summary>
/// <remarks>
/// MathNet's matrices are column-major arrays of exactly their size, and ours are row-major memory with strides. A row-major C
/// is a column-major Cᵀ, so the provider is asked for <c>Cᵀ = Bᵀ·Aᵀ</c> over copies of the operands, which are kept while sizes repeat.
/// An instance serves one caller at a time.
/// </remarks>
/// <param name="provider">The provider; the process-wide <see cref="LinearAlgebraControl.Provider"/> is neither read nor set.</param>
public sealed unsafe class MathNetMatrixProduct(ILinearAlgebraProvider provider) : IMatrixProduct
{
    private readonly Buffers<float> _single = new();
    private readonly Buffers<double> _double = new();

    /// <summary>How many products the provider has computed, each matrix of a batch counting one.</summary>
    public long Calls { get; private set; }

    /// <inheritdoc/>
    public void Multiply(in MatrixProductArgs<float> args) => Multiply(args, provider, _single);

    /// <inheritdoc/>
    public void Multiply(in MatrixProductArgs<double> args) => Multiply(args, provider, _double);

    private void Multiply<T>(in MatrixProductArgs<T> args, ILinearAlgebraProvider<T> provider, Buffers<T> buffers)
        where T : unmanaged, IFormattable, IEquatable<T>, INumber<T>
    {
        args.Verify();
        if (args.M == 0 || args.N == 0)
            return;
        for (long matrix = 0; matrix < args.Count; matrix++)
        {
            var c = args.C + args.COffset(matrix);
            if (args.K > 0)
            {
                Gather(args.A + args.AOffset(matrix), args.M, args.K, args.ARow, args.ACol, ref buffers.A);
                Gather(args.B + args.BOffset(matrix), args.K, args.N, args.BRow, args.BCol, ref buffers.B);
                Resize(ref buffers.C, args.M, args.N);
                provider.MatrixMultiply(buffers.B, args.N, args.K, buffers.A, args.K, args.M, buffers.C);
                Calls++;
            }

            for (var i = 0; i < args.M; i++)
            {
                var row = new Span<T>(c + i * args.CRow, args.N);
                if (args.K == 0)
                {
                    if (!args.Accumulate)
                        row.Clear();
                    continue;
                }

                var product = buffers.C.AsSpan(i * args.N, args.N);
                if (!args.Accumulate)
                {
                    product.CopyTo(row);
                    continue;
                }

                for (var j = 0; j < row.Length; j++)
                    row[j] += product[j];
            }
        }
    }

    private static void Gather<T>(T* source, int rows, int columns, nint rowStride, nint columnStride, ref T[] target)
        where T : unmanaged
    {
        Resize(ref target, rows, columns);
        for (var i = 0; i < rows; i++)
        {
            var row = target.AsSpan(i * columns, columns);
            if (columnStride == 1)
            {
                new ReadOnlySpan<T>(source + i * rowStride, columns).CopyTo(row);
                continue;
            }

            for (var j = 0; j < row.Length; j++)
                row[j] = source[i * rowStride + j * columnStride];
        }
    }

    private static void Resize<T>(ref T[] array, int rows, int columns)
    {
        var length = checked(rows * columns);
        if (array.Length != length)
            array = new T[length];
    }

    private sealed class Buffers<T>
    {
        public T[] A = [];
        public T[] B = [];
        public T[] C = [];
    }
}
