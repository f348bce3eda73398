using System.Numerics;
using MathNet.Numerics;
using MathNet.Numerics.LinearAlgebra.Factorization;
using MathNet.Numerics.Providers.LinearAlgebra;

namespace Dnn.Backend;

/// <summary>Our matrix product for any MathNet program: <c>LinearAlgebraControl.Provider = new DnnLinearAlgebraProvider();</c></summary>
/// <remarks>
/// Products of matrices of all four number types run on <see cref="Gemm"/>, those of complex numbers as four products of their real and imaginary parts;
/// everything else is MathNet's managed provider. Safe to use from several threads.
/// </remarks>
/// <param name="pool">Shares the products out; without it each runs on its caller.</param>
public sealed unsafe class DnnLinearAlgebraProvider(WorkerPool? pool = null)
    : ILinearAlgebraProvider, IManaged<float>, IManaged<double>, IManaged<Complex>, IManaged<Complex32>
{
    /// <inheritdoc/>
    public bool IsAvailable() => true;

    /// <inheritdoc/>
    public void InitializeVerify()
    {
    }

    /// <inheritdoc/>
    public void FreeResources()
    {
    }

    /// <inheritdoc/>
    public override string ToString() => $"Dnn ({Gemm.Path})";

    /// <inheritdoc/>
    public void MatrixMultiply(float[] x, int rowsX, int columnsX, float[] y, int rowsY, int columnsY, float[] result) =>
        Multiply(Transpose.DontTranspose, Transpose.DontTranspose, 1, x, rowsX, columnsX, y, rowsY, columnsY, 0, result, &Gemm.Multiply);

    /// <inheritdoc/>
    public void MatrixMultiply(double[] x, int rowsX, int columnsX, double[] y, int rowsY, int columnsY, double[] result) =>
        Multiply(Transpose.DontTranspose, Transpose.DontTranspose, 1, x, rowsX, columnsX, y, rowsY, columnsY, 0, result, &Gemm.Multiply);

    /// <inheritdoc/>
    public void MatrixMultiplyWithUpdate(Transpose transposeA, Transpose transposeB, float alpha, float[] a, int rowsA, int columnsA, float[] b, int rowsB, int columnsB, float beta, float[] c) =>
        Multiply(transposeA, transposeB, alpha, a, rowsA, columnsA, b, rowsB, columnsB, beta, c, &Gemm.Multiply);

    /// <inheritdoc/>
    public void MatrixMultiplyWithUpdate(Transpose transposeA, Transpose transposeB, double alpha, double[] a, int rowsA, int columnsA, double[] b, int rowsB, int columnsB, double beta, double[] c) =>
        Multiply(transposeA, transposeB, alpha, a, rowsA, columnsA, b, rowsB, columnsB, beta, c, &Gemm.Multiply);

    /// <inheritdoc/>
    public void MatrixMultiply(Complex[] x, int rowsX, int columnsX, Complex[] y, int rowsY, int columnsY, Complex[] result) =>
        MatrixMultiplyWithUpdate(Transpose.DontTranspose, Transpose.DontTranspose, Complex.One, x, rowsX, columnsX, y, rowsY, columnsY, Complex.Zero, result);

    /// <inheritdoc/>
    public void MatrixMultiply(Complex32[] x, int rowsX, int columnsX, Complex32[] y, int rowsY, int columnsY, Complex32[] result) =>
        MatrixMultiplyWithUpdate(Transpose.DontTranspose, Transpose.DontTranspose, Complex32.One, x, rowsX, columnsX, y, rowsY, columnsY, Complex32.Zero, result);

    /// <inheritdoc/>
    public void MatrixMultiplyWithUpdate(Transpose transposeA, Transpose transposeB, Complex alpha, Complex[] a, int rowsA, int columnsA, Complex[] b, int rowsB, int columnsB, Complex beta, Complex[] c) =>
        Multiply<double, Complex>(transposeA, transposeB, (alpha.Real, alpha.Imaginary), a, rowsA, columnsA, b, rowsB, columnsB, (beta.Real, beta.Imaginary), c, &Gemm.Multiply);

    /// <inheritdoc/>
    public void MatrixMultiplyWithUpdate(Transpose transposeA, Transpose transposeB, Complex32 alpha, Complex32[] a, int rowsA, int columnsA, Complex32[] b, int rowsB, int columnsB, Complex32 beta, Complex32[] c) =>
        Multiply<float, Complex32>(transposeA, transposeB, (alpha.Real, alpha.Imaginary), a, rowsA, columnsA, b, rowsB, columnsB, (beta.Real, beta.Imaginary), c, &Gemm.Multiply);

    private static (int M, int N, int K) Sizes<T>(Transpose transposeA, Transpose transposeB, T[] a, int rowsA, int columnsA, T[] b, int rowsB, int columnsB, T[] c)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        ArgumentNullException.ThrowIfNull(c);
        var (m, k) = transposeA == Transpose.DontTranspose ? (rowsA, columnsA) : (columnsA, rowsA);
        var (inner, n) = transposeB == Transpose.DontTranspose ? (rowsB, columnsB) : (columnsB, rowsB);
        if (k != inner)
            throw new ArgumentException($"op(A) has {k} columns and op(B) has {inner} rows.");
        if ((long)m * k != a.Length || (long)k * n != b.Length || (long)m * n != c.Length)
            throw new ArgumentException($"Arrays of {a.Length}, {b.Length} and {c.Length} elements cannot hold {m}×{k}, {k}×{n} and {m}×{n} matrices.");
        return (m, n, k);
    }

    private void Multiply<T, TComplex>(
        Transpose transposeA, Transpose transposeB, (T, T) alpha, TComplex[] a, int rowsA, int columnsA, TComplex[] b, int rowsB, int columnsB, (T, T) beta, TComplex[] c,
        delegate*<in MatrixProductArgs<T>, WorkerPool?, void> gemm)
        where T : unmanaged, INumber<T>
        where TComplex : unmanaged
    {
        var (m, n, k) = Sizes(transposeA, transposeB, a, rowsA, columnsA, b, rowsB, columnsB, c);
        fixed (TComplex* pa = a, pb = b, pc = c)
            ComplexProduct<T>.Multiply(transposeA, transposeB, m, n, k, alpha, (T*)pa, (T*)pb, beta, (T*)pc, gemm, pool);
    }

    // c = alpha·op(a)·op(b) + beta·c, column-major: the row-major product cᵀ = op(b)ᵀ·op(a)ᵀ. beta = 0 does not read c, alpha = 0 neither a nor b.
    private void Multiply<T>(
        Transpose transposeA, Transpose transposeB, T alpha, T[] a, int rowsA, int columnsA, T[] b, int rowsB, int columnsB, T beta, T[] c,
        delegate*<in MatrixProductArgs<T>, WorkerPool?, void> gemm)
        where T : unmanaged, INumber<T>
    {
        var (m, n, k) = Sizes(transposeA, transposeB, a, rowsA, columnsA, b, rowsB, columnsB, c);
        var (plainA, plainB) = (transposeA == Transpose.DontTranspose, transposeB == Transpose.DontTranspose);
        var isVector = n == 1 && !plainA;
        var isDirect = alpha == T.One && (T.IsZero(beta) || (beta == T.One && !isVector)) && !ReferenceEquals(a, c) && !ReferenceEquals(b, c);
        fixed (T* pa = a, pb = b, pc = c)
        {
            var product = isDirect ? pc : (T*)Scratch.GetOuter((nuint)c.Length * (nuint)sizeof(T));
            if (T.IsZero(alpha))
            {
                new Span<T>(product, c.Length).Clear();
            }
            else if (isVector)
            {
                for (nint i = 0; i < m; i++)
                    product[i] = DotProduct<T>.Of(k, pa + i * k, pb);
            }
            else
            {
                gemm(
                    new MatrixProductArgs<T>(n, m, k, pb, pa, product)
                    {
                        ARow = plainB ? k : 1,
                        ACol = plainB ? 1 : n,
                        BRow = plainA ? m : 1,
                        BCol = plainA ? 1 : k,
                        Accumulate = isDirect && !T.IsZero(beta),
                    },
                    pool);
            }

            for (var i = 0; !isDirect && i < c.Length; i++)
                c[i] = T.IsZero(beta) ? alpha * product[i] : alpha * product[i] + beta * c[i];
        }
    }
}

/// <summary>Every member of a MathNet provider for one number type, as MathNet's managed provider has it.</summary>
internal interface IManaged<T> : ILinearAlgebraProvider<T>
    where T : struct
{
    private static ILinearAlgebraProvider<T> Managed => (ILinearAlgebraProvider<T>)(object)ManagedLinearAlgebraProvider.Instance;

    void ILinearAlgebraProvider<T>.AddVectorToScaledVector(T[] y, T alpha, T[] x, T[] result) =>
        Managed.AddVectorToScaledVector(y, alpha, x, result);

    void ILinearAlgebraProvider<T>.ScaleArray(T alpha, T[] x, T[] result) =>
        Managed.ScaleArray(alpha, x, result);

    void ILinearAlgebraProvider<T>.ConjugateArray(T[] x, T[] result) =>
        Managed.ConjugateArray(x, result);

    T ILinearAlgebraProvider<T>.DotProduct(T[] x, T[] y) =>
        Managed.DotProduct(x, y);

    void ILinearAlgebraProvider<T>.AddArrays(T[] x, T[] y, T[] result) =>
        Managed.AddArrays(x, y, result);

    void ILinearAlgebraProvider<T>.SubtractArrays(T[] x, T[] y, T[] result) =>
        Managed.SubtractArrays(x, y, result);

    void ILinearAlgebraProvider<T>.PointWiseMultiplyArrays(T[] x, T[] y, T[] result) =>
        Managed.PointWiseMultiplyArrays(x, y, result);

    void ILinearAlgebraProvider<T>.PointWiseDivideArrays(T[] x, T[] y, T[] result) =>
        Managed.PointWiseDivideArrays(x, y, result);

    void ILinearAlgebraProvider<T>.PointWisePowerArrays(T[] x, T[] y, T[] result) =>
        Managed.PointWisePowerArrays(x, y, result);

    double ILinearAlgebraProvider<T>.MatrixNorm(Norm norm, int rows, int columns, T[] matrix) =>
        Managed.MatrixNorm(norm, rows, columns, matrix);

    void ILinearAlgebraProvider<T>.MatrixMultiply(T[] x, int rowsX, int columnsX, T[] y, int rowsY, int columnsY, T[] result) =>
        Managed.MatrixMultiply(x, rowsX, columnsX, y, rowsY, columnsY, result);

    void ILinearAlgebraProvider<T>.MatrixMultiplyWithUpdate(Transpose transposeA, Transpose transposeB, T alpha, T[] a, int rowsA, int columnsA, T[] b, int rowsB, int columnsB, T beta, T[] c) =>
        Managed.MatrixMultiplyWithUpdate(transposeA, transposeB, alpha, a, rowsA, columnsA, b, rowsB, columnsB, beta, c);

    void ILinearAlgebraProvider<T>.LUFactor(T[] data, int order, int[] ipiv) =>
        Managed.LUFactor(data, order, ipiv);

    void ILinearAlgebraProvider<T>.LUInverse(T[] a, int order) =>
        Managed.LUInverse(a, order);

    void ILinearAlgebraProvider<T>.LUInverseFactored(T[] a, int order, int[] ipiv) =>
        Managed.LUInverseFactored(a, order, ipiv);

    void ILinearAlgebraProvider<T>.LUSolve(int columnsOfB, T[] a, int order, T[] b) =>
        Managed.LUSolve(columnsOfB, a, order, b);

    void ILinearAlgebraProvider<T>.LUSolveFactored(int columnsOfB, T[] a, int order, int[] ipiv, T[] b) =>
        Managed.LUSolveFactored(columnsOfB, a, order, ipiv, b);

    void ILinearAlgebraProvider<T>.CholeskyFactor(T[] a, int order) =>
        Managed.CholeskyFactor(a, order);

    void ILinearAlgebraProvider<T>.CholeskySolve(T[] a, int orderA, T[] b, int columnsB) =>
        Managed.CholeskySolve(a, orderA, b, columnsB);

    void ILinearAlgebraProvider<T>.CholeskySolveFactored(T[] a, int orderA, T[] b, int columnsB) =>
        Managed.CholeskySolveFactored(a, orderA, b, columnsB);

    void ILinearAlgebraProvider<T>.QRFactor(T[] a, int rowsA, int columnsA, T[] q, T[] tau) =>
        Managed.QRFactor(a, rowsA, columnsA, q, tau);

    void ILinearAlgebraProvider<T>.ThinQRFactor(T[] a, int rowsA, int columnsA, T[] r, T[] tau) =>
        Managed.ThinQRFactor(a, rowsA, columnsA, r, tau);

    void ILinearAlgebraProvider<T>.QRSolve(T[] a, int rows, int columns, T[] b, int columnsB, T[] x, QRMethod method) =>
        Managed.QRSolve(a, rows, columns, b, columnsB, x, method);

    void ILinearAlgebraProvider<T>.QRSolveFactored(T[] q, T[] r, int rowsA, int columnsA, T[] tau, T[] b, int columnsB, T[] x, QRMethod method) =>
        Managed.QRSolveFactored(q, r, rowsA, columnsA, tau, b, columnsB, x, method);

    void ILinearAlgebraProvider<T>.SingularValueDecomposition(bool computeVectors, T[] a, int rowsA, int columnsA, T[] s, T[] u, T[] vt) =>
        Managed.SingularValueDecomposition(computeVectors, a, rowsA, columnsA, s, u, vt);

    void ILinearAlgebraProvider<T>.SvdSolve(T[] a, int rowsA, int columnsA, T[] b, int columnsB, T[] x) =>
        Managed.SvdSolve(a, rowsA, columnsA, b, columnsB, x);

    void ILinearAlgebraProvider<T>.SvdSolveFactored(int rowsA, int columnsA, T[] s, T[] u, T[] vt, T[] b, int columnsB, T[] x) =>
        Managed.SvdSolveFactored(rowsA, columnsA, s, u, vt, b, columnsB, x);

    void ILinearAlgebraProvider<T>.EigenDecomp(bool isSymmetric, int order, T[] matrix, T[] matrixEv, Complex[] vectorEv, T[] matrixD) =>
        Managed.EigenDecomp(isSymmetric, order, matrix, matrixEv, vectorEv, matrixD);
}
