namespace Dnn.Backend;

/// <summary>
/// A batch of matrix products <c>C = A·B</c> or <c>C += A·B</c> over raw memory: A is M×K, B is K×N, C is M×N.
/// </summary>
/// <remarks>
/// Strides count elements. A and B take any row and column stride, so transposed and sliced operands need no copy; a row
/// of C is contiguous and rows are <see cref="CRow"/> apart. Batches have two levels, <see cref="Batch"/> outside
/// <see cref="Inner"/>, each with its strides; a stride of 0 broadcasts an operand. C's matrices may not overlap each other, A or B.
/// K = 0 gives zeros, or leaves C as it is when accumulating.
/// </remarks>
public unsafe struct MatrixProductArgs<T>
    where T : unmanaged
{
    /// <summary>One product of contiguous row-major matrices; set further properties for anything else.</summary>
    public MatrixProductArgs(int m, int n, int k, T* a, T* b, T* c)
    {
        (M, N, K) = (m, n, k);
        A = a;
        (ARow, ACol) = (k, 1);
        B = b;
        (BRow, BCol) = (n, 1);
        C = c;
        CRow = n;
        (Batch, Inner) = (1, 1);
    }

    /// <summary>Rows of A and C.</summary>
    public int M { get; init; }

    /// <summary>Columns of B and C.</summary>
    public int N { get; init; }

    /// <summary>Columns of A and rows of B: the length of the sums.</summary>
    public int K { get; init; }

    /// <summary>The first element of A; element (i, k) is at <c>i·ARow + k·ACol</c>.</summary>
    public T* A { get; init; }

    public nint ARow { get; init; }

    public nint ACol { get; init; }

    /// <summary>The first element of B; element (k, j) is at <c>k·BRow + j·BCol</c>.</summary>
    public T* B { get; init; }

    public nint BRow { get; init; }

    public nint BCol { get; init; }

    /// <summary>Whether <see cref="B"/> is what <see cref="PackedOperand"/> made of it for products of <see cref="M"/> rows; its strides then mean nothing. For one matrix alone.</summary>
    internal bool IsPacked { get; init; }

    /// <summary>The first element of C; element (i, j) is at <c>i·CRow + j</c>.</summary>
    public T* C { get; init; }

    public nint CRow { get; init; }

    /// <summary>Adds to C instead of overwriting it.</summary>
    public bool Accumulate { get; init; }

    /// <summary>The size of the outer batch; 1 for a single product.</summary>
    public int Batch { get; init; }

    public nint ABatch { get; init; }

    public nint BBatch { get; init; }

    public nint CBatch { get; init; }

    /// <summary>The size of the inner batch (attention heads, groups); 1 for a single product.</summary>
    public int Inner { get; init; }

    public nint AInner { get; init; }

    public nint BInner { get; init; }

    public nint CInner { get; init; }

    internal readonly long Count => (long)Batch * Inner;

    internal readonly nint AOffset(long index) => (nint)(index / Inner * ABatch + index % Inner * AInner);

    internal readonly nint BOffset(long index) => (nint)(index / Inner * BBatch + index % Inner * BInner);

    internal readonly nint COffset(long index) => (nint)(index / Inner * CBatch + index % Inner * CInner);

    /// <exception cref="ArgumentException">A size is negative, or rows or matrices of C overlap.</exception>
    internal readonly void Verify()
    {
        if ((M | N | K | Batch | Inner) < 0)
            throw new ArgumentException($"A matrix product has a negative size: M={M}, N={N}, K={K}, Batch={Batch}, Inner={Inner}.");
        if (M > 1 && Count > 0 && Math.Abs(CRow) < N)
            throw new ArgumentException($"Rows of C overlap: they are {CRow} elements apart and {N} long.");
        if (M > 0 && N > 0 && Count > 0 && ((Batch > 1 && CBatch == 0) || (Inner > 1 && CInner == 0)))
            throw new ArgumentException("Matrices of C overlap: a batch of products needs a batch stride for C.");
    }
}

/// <summary>What the executor multiplies matrices with.</summary>
public interface IMatrixProduct
{
    /// <summary>Computes the products that <paramref name="args"/> describes.</summary>
    void Multiply(in MatrixProductArgs<float> args);

    /// <inheritdoc cref="Multiply(in MatrixProductArgs{float})"/>
    void Multiply(in MatrixProductArgs<double> args);
}

/// <summary>Multiplies with <see cref="Gemm"/>: the default.</summary>
/// <param name="pool">Shares the work out; without it the caller does all.</param>
public sealed class ManagedMatrixProduct(WorkerPool? pool = null) : IMatrixProduct
{
    /// <inheritdoc/>
    public void Multiply(in MatrixProductArgs<float> args) => Gemm.Multiply(args, pool, Gemm.Path, Epilogue);

    /// <inheritdoc/>
    public void Multiply(in MatrixProductArgs<double> args) => Gemm.Multiply(args, pool, Gemm.Path, Epilogue);

    internal int Threads => pool?.Threads ?? 1;

    private Epilogue? Epilogue { get; init; }

    /// <summary>The same that runs a kernel over rows of the result as it stores them.</summary>
    internal ManagedMatrixProduct Then(Epilogue epilogue) => new(pool) { Epilogue = epilogue };
}
