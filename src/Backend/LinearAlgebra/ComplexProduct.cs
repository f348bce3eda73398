using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using MathNet.Numerics.Providers.LinearAlgebra;

namespace Dnn.Backend;

/// <summary>Products of complex matrices as real ones, on the memory of MathNet's: columns one after the other, of each number its real part and then its imaginary part.</summary>
/// <remarks>
/// Such a matrix is a real one of twice as many rows. So op(a)·Re op(b) and op(a)·Im op(b) are real products of the memory as it is, and what remains is an
/// addition an element: op(a)·op(b) = op(a)·Re op(b) + i·(op(a)·Im op(b)). Only a transposed a is copied first.
/// </remarks>
/// <typeparam name="T">The type of a part: float or double.</typeparam>
internal static unsafe class ComplexProduct<T>
    where T : unmanaged, INumber<T>
{
    // Columns whose two products are computed before they are added: enough for the real product, few enough to be near still.
    private const int BlockColumns = 256;

    // Up to so many multiplications calls cost more than what they compute.
    private const int MaxSmall = 8;

    // Transpositions go in squares of so many rows, each a line or two of the cache.
    private const int Square = 8;

    /// <summary>
    /// Computes c = alpha·op(a)·op(b) + beta·c for op(a) of m×k and op(b) of k×n elements. c may be a or b. alpha = 0 reads neither a nor b, beta = 0 does not read c,
    /// and factors of 1 multiply nothing.
    /// </summary>
    public static void Multiply(
        Transpose transposeA, Transpose transposeB, int m, int n, int k, (T Real, T Imaginary) alpha, T* a, T* b, (T Real, T Imaginary) beta, T* c,
        delegate*<in MatrixProductArgs<T>, WorkerPool?, void> gemm, WorkerPool? pool)
    {
        nint height = 2 * (nint)m;
        if (alpha == default || k == 0)
        {
            if (beta == default)
                NativeMemory.Clear(c, (nuint)(n * height * sizeof(T)));
            else
                Combine(n * height, beta, c, default, c);
            return;
        }

        var (isPlainA, isPlainB) = (transposeA == Transpose.DontTranspose, transposeB == Transpose.DontTranspose);
        var (signA, signB) = (Sign(transposeA), Sign(transposeB));
        var isPlain = alpha == (T.One, T.Zero) && beta == default;
        var block = a == c || b == c ? n : Math.Min(n, BlockColumns);
        var products = (T*)Scratch.GetOuter((nuint)((2 * block * height + Vector<T>.Count + (isPlainA ? 0 : k * Math.Max(height, 4))) * sizeof(T)));
        if ((long)m * n * k <= MaxSmall || (n == 1 && !isPlainA))
        {
            if (n == 1 && !isPlainA)
                RowsTimesVector(m, k, a, signA, b, signB, products, products + 2 * height);
            else
                Small(m, n, k, a, isPlainA, signA, b, isPlainB, signB, products);
            Combine(n * height, alpha, products, beta, c);
            return;
        }

        if (!isPlainA)
        {
            var copy = products + 2 * block * height + Vector<T>.Count;
            if (sizeof(T) == sizeof(float))
                TransposeTo((double*)copy, m, k, (double*)a);
            else
                TransposeTo((Vector128<T>*)copy, m, k, (Vector128<T>*)a);
            a = copy;
        }

        for (var j = 0; j < n; j += block, c += block * height)
        {
            // Row-major, as our products are: the rows of op(b)ᵀ, real and imaginary parts in turn, times op(a)ᵀ.
            var columns = Math.Min(block, n - j);
            var isSplit = isPlainB && n > 1;
            gemm(
                new MatrixProductArgs<T>(isSplit ? columns : 2 * columns, 2 * m, k, b + (isPlainB ? 2 * (nint)k : 2) * j, a, products)
                {
                    ARow = isSplit ? 2 * (nint)k : 1,
                    ACol = isPlainB ? 2 : 2 * (nint)n,
                    CRow = isSplit ? 2 * height : height,
                    Inner = isSplit ? 2 : 1,
                    AInner = 1,
                    CInner = height,
                },
                pool);
            Add(columns, height, products, signA, signB, isPlain ? c : products, isPlain ? height : 2 * height);
            for (var column = 0; column < columns && !isPlain; column++)
                Combine(height, alpha, products + 2 * column * height, beta, c + column * height);
        }
    }

    private static T Sign(Transpose transpose) => transpose == Transpose.ConjugateTranspose ? -T.One : T.One;

    /// <summary>Sums over the contiguous columns of a transposed a, which are real ones of twice the length: as many numbers twice, with b's parts in two orders.</summary>
    private static void RowsTimesVector(nint m, nint k, T* a, T signA, T* b, T signB, T* result, T* factors)
    {
        T* real = factors, imaginary = factors + 2 * k;
        for (nint p = 0; p < 2 * k; p += 2)
        {
            (real[p], real[p + 1]) = (b[p], -signA * signB * b[p + 1]);
            (imaginary[p], imaginary[p + 1]) = (signB * b[p + 1], signA * b[p]);
        }

        for (nint i = 0; i < m; i++, a += 2 * k)
            (result[2 * i], result[2 * i + 1]) = (DotProduct<T>.Of(2 * k, a, real), DotProduct<T>.Of(2 * k, a, imaginary));
    }

    private static void Small(int m, int n, int k, T* a, bool isPlainA, T signA, T* b, bool isPlainB, T signB, T* result)
    {
        for (nint j = 0; j < n; j++)
        {
            for (nint i = 0; i < m; i++, result += 2)
            {
                (result[0], result[1]) = (T.Zero, T.Zero);
                for (nint p = 0; p < k; p++)
                {
                    T* x = a + 2 * (isPlainA ? p * m + i : i * k + p), y = b + 2 * (isPlainB ? j * k + p : p * n + j);
                    var (real, imaginary) = Times((x[0], signA * x[1]), y[0], signB * y[1]);
                    (result[0], result[1]) = (result[0] + real, result[1] + imaginary);
                }
            }
        }
    }

    /// <summary>
    /// Adds rows x and y, in turn in memory, to x + i·y, where x = a·Re b and y = a·Im b. What is conjugated comes in here: b turns the sign of y, a that of the imaginary
    /// parts of x and y.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add(nint rows, nint count, T* products, T signA, T signB, T* result, nint step)
    {
        // Even elements are real parts, whose partners lie one behind them in y; those of imaginary parts lie one before.
        var isReal = sizeof(T) == sizeof(int) ? IsEven<int>().As<int, T>() : IsEven<long>().As<long, T>();
        var factorX = Vector.ConditionalSelect(isReal, Vector<T>.One, Vector.Create(signA));
        var factorY = Vector.ConditionalSelect(isReal, Vector.Create(-signA * signB), Vector.Create(signB));
        for (; rows > 0; rows--, products += 2 * count, result += step)
        {
            T* x = products, y = products + count;
            nint i = 0;
            for (; i <= count - Vector<T>.Count; i += Vector<T>.Count)
            {
                var partners = Vector.ConditionalSelect(isReal, Vector.Load(y + i + 1), Vector.Load(y + i - 1));
                Vector.Store(Vector.Load(x + i) * factorX + partners * factorY, result + i);
            }

            for (; i < count; i += 2)
                (result[i], result[i + 1]) = (x[i] - signA * signB * y[i + 1], signA * x[i + 1] + signB * y[i]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<TInteger> IsEven<TInteger>()
        where TInteger : unmanaged, INumber<TInteger> => Vector.Equals(Vector<TInteger>.Indices & Vector<TInteger>.One, default);

    // c = alpha·x + beta·c
    private static void Combine(nint count, (T Real, T Imaginary) alpha, T* x, (T Real, T Imaginary) beta, T* c)
    {
        for (nint i = 0; i < count; i += 2)
        {
            var (real, imaginary) = Times(alpha, x[i], x[i + 1]);
            var (u, v) = beta == default ? default : Times(beta, c[i], c[i + 1]);
            (c[i], c[i + 1]) = (real + u, imaginary + v);
        }
    }

    private static (T Real, T Imaginary) Times((T Real, T Imaginary) factor, T real, T imaginary) => factor == (T.One, T.Zero)
        ? (real, imaginary)
        : (factor.Real * real - factor.Imaginary * imaginary, factor.Real * imaginary + factor.Imaginary * real);

    // result[i, j] = values[j, i], rows and columns of numbers P.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TransposeTo<P>(P* result, nint m, nint k, P* values)
        where P : unmanaged
    {
        for (nint i0 = 0; i0 < m; i0 += Square)
        {
            var iEnd = Math.Min(m, i0 + Square);
            for (nint j0 = 0; j0 < k; j0 += Square)
            {
                var jEnd = Math.Min(k, j0 + Square);
                for (var j = j0; j < jEnd; j++)
                {
                    for (var i = i0; i < iEnd; i++)
                        result[j * m + i] = values[i * k + j];
                }
            }
        }
    }
}
