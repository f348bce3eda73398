using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>
/// A tensor product as matrix products: axes that walk together are merged, one group each becomes rows, columns and
/// sum, and the others are batches. Where the result runs along an axis of A, C = A·B is computed as Cᵀ = Bᵀ·Aᵀ.
/// </summary>
internal sealed record ProductPlan(int M, int N, int K, ProductAxis Rows, ProductAxis Columns, ProductAxis Inner, ProductAxis[] Batches, bool Swapped)
{
    public long Flops => 2 * Batches.Aggregate((long)M * N * K, (product, axis) => product * axis.Size);

    /// <summary>Whether a result with these axes can be written at all: its innermost axis is one of rows or columns.</summary>
    public static bool CanWrite(IEnumerable<ProductAxis> rows, IEnumerable<ProductAxis> columns) => rows.Concat(columns).Any(a => a.Size != 1 && a.C == 1);

    /// <summary>The plan, or null where no order of the contracted axes walks both operands with one stride.</summary>
    /// <param name="batch">Axes of both operands and the result.</param>
    /// <param name="rows">Axes of A and the result.</param>
    /// <param name="columns">Axes of B and the result.</param>
    /// <param name="sums">Axes of A and B.</param>
    public static ProductPlan? TryMake(IEnumerable<ProductAxis> batch, IEnumerable<ProductAxis> rows, IEnumerable<ProductAxis> columns, IReadOnlyList<ProductAxis> sums)
    {
        var inner = Sums(sums);
        if (inner is null)
            return null;
        var batches = Merge(batch, a => a.C);
        var m = Merge(rows, a => a.C);
        var n = Merge(columns, a => a.C);
        var swapped = n.Count > 0 && n[^1].C != 1 && m.Count > 0 && m[^1].C == 1;
        if (swapped)
        {
            (m, n) = (n.ConvertAll(Turn), m.ConvertAll(Turn));
            batches = batches.ConvertAll(Turn);
            inner = Turn(inner);
        }

        var column = Take(n, n.Count - 1);
        var row = Take(m, m.FindIndex(a => a.Size == m.Max(b => b.Size)));
        batches.AddRange(m);
        batches.AddRange(n);
        batches.Sort((x, y) => y.C.CompareTo(x.C));
        return new ProductPlan((int)row.Size, (int)column.Size, (int)inner.Size, row, column, inner, [.. batches], swapped);
    }

    private static ProductAxis Turn(ProductAxis axis) => axis with { A = axis.B, B = axis.A };

    private static ProductAxis Take(List<ProductAxis> axes, int at)
    {
        if (axes.Count == 0)
            return new ProductAxis(1, 0, 0, 0);
        var axis = axes[at];
        axes.RemoveAt(at);
        return axis;
    }

    private static ProductAxis? Sums(IReadOnlyList<ProductAxis> sums)
    {
        if (sums.Any(a => a.Size == 0))
            return new ProductAxis(0, 0, 0, 0);
        foreach (var order in new Func<ProductAxis, long>[] { a => a.A, a => a.B })
        {
            var merged = Merge(sums, order);
            if (merged.Count <= 1)
                return Take(merged, 0);
        }

        return null;
    }

    private static List<ProductAxis> Merge(IEnumerable<ProductAxis> axes, Func<ProductAxis, long> order)
    {
        var result = new List<ProductAxis>();
        foreach (var axis in axes.Where(a => a.Size != 1).OrderByDescending(order))
        {
            if (result.Count > 0 && result[^1] is var last && last.Size * axis.Size <= int.MaxValue && last.A == axis.A * axis.Size && last.B == axis.B * axis.Size && last.C == axis.C * axis.Size)
                result[^1] = axis with { Size = axis.Size * last.Size };
            else
                result.Add(axis);
        }

        return result;
    }
}

/// <summary>A tensor product.</summary>
/// <param name="isPacked">Whether the operand that is B was packed by a <see cref="PackOperandInstruction"/>.</param>
internal sealed class ProductInstruction(int node, DType type, ProductPlan plan, Operand left, Operand right, Operand target, bool isPacked = false)
    : Instruction(node, plan.Swapped ? [right, left, target] : [left, right, target], 2)
{
    public override string Name => plan.Batches.Length == 0
        ? $"matmul {plan.M} x {plan.N} x {plan.K}"
        : $"matmul {Sizes(plan.Batches.Select(b => b.Size))} of {plan.M} x {plan.N} x {plan.K}";

    public override long Flops => plan.Flops;

    public override bool IsMovable => true;

    /// <summary>The product, if it is that of one row with a packed matrix.</summary>
    public ProductPlan? Row => isPacked && plan.M == 1 ? plan : null;

    public override unsafe Step Bind(void** pointers, Engine engine) => isPacked && plan.M == 1 && plan.Flops < Gemm.MinParallelWork
        ? BindRow(pointers, new Pieces(1, plan.N, 0, plan.N))
        : type == DType.F32 ? new SingleStep((float**)pointers, plan, isPacked, engine.MatrixProduct)
        : new DoubleStep((double**)pointers, plan, isPacked, engine.MatrixProduct);

    /// <summary>The product for some of its columns; pieces begin at panels.</summary>
    public unsafe Step BindRow(void** pointers, Pieces columns) => type == DType.F32
        ? new RowStep<float>((float**)pointers, plan, columns)
        : new RowStep<double>((double**)pointers, plan, columns);

    private static unsafe MatrixProductArgs<T> Args<T>(ProductPlan plan, bool isPacked, T* a, T* b, T* c)
        where T : unmanaged
    {
        var inner = plan.Batches.Length > 0 ? plan.Batches[^1] : new ProductAxis(1, 0, 0, 0);
        var outer = plan.Batches.Length > 1 ? plan.Batches[^2] : new ProductAxis(1, 0, 0, 0);
        return new MatrixProductArgs<T>(plan.M, plan.N, plan.K, a, b, c)
        {
            ARow = (nint)plan.Rows.A,
            ACol = (nint)plan.Inner.A,
            BRow = (nint)plan.Inner.B,
            BCol = (nint)plan.Columns.B,
            IsPacked = isPacked,
            CRow = plan.M == 1 ? plan.N : (nint)plan.Rows.C,
            Batch = (int)outer.Size,
            ABatch = (nint)outer.A,
            BBatch = (nint)outer.B,
            CBatch = (nint)outer.C,
            Inner = (int)inner.Size,
            AInner = (nint)inner.A,
            BInner = (nint)inner.B,
            CInner = (nint)inner.C,
        };
    }

    /// <summary>Calls with the offsets of all batches but the innermost two.</summary>
    private abstract class ProductStep(ProductPlan plan, int size, bool isPacked, IMatrixProduct product) : Step
    {
        // What a thread stores up to here stays in the second-level cache until the kernel that follows reads it.
        private const long MaxBytesKept = 512 * 1024;

        // A kernel is not called for less than this many rows, and threads share rows rather than columns only if that many are to be shared.
        private const int MinRows = 64;
        private const int MinRowsShared = 2048;

        protected IMatrixProduct Product { get; private set; } = product;

        public sealed override bool TryContinue(Epilogue epilogue)
        {
            var count = plan.Batches.Aggregate((long)plan.M * plan.N, (product, axis) => product * axis.Size);
            if (Product is not ManagedMatrixProduct managed || isPacked || plan.M < MinRows || plan.Rows.C != plan.N || count != epilogue.Size || !epilogue.Divides(plan.N)
                || count * size <= MaxBytesKept * managed.Threads || (managed.Threads > 1 && count / plan.N < MinRowsShared * managed.Threads))
            {
                return false;
            }

            Product = managed.Then(epilogue);
            return true;
        }

        public sealed override void Run()
        {
            var loops = Math.Max(0, plan.Batches.Length - 2);
            var count = 1L;
            for (var i = 0; i < loops; i++)
                count *= plan.Batches[i].Size;
            for (var index = 0L; index < count; index++)
            {
                var (a, b, c, rest) = (0L, 0L, 0L, index);
                for (var i = loops - 1; i >= 0; i--)
                {
                    var axis = plan.Batches[i];
                    (rest, var at) = Math.DivRem(rest, axis.Size);
                    (a, b, c) = (a + (at * axis.A), b + (at * axis.B), c + (at * axis.C));
                }

                Multiply(a, b, c);
            }
        }

        protected abstract void Multiply(long a, long b, long c);
    }

    /// <summary>A row times a packed matrix: what a recurrence does at every step.</summary>
    private sealed unsafe class RowStep<T>(T** pointers, ProductPlan plan, Pieces columns) : Step
        where T : unmanaged
    {
        private readonly IProducts<T> products = Products.Of<T>();
        private readonly nint stride = (nint)plan.Inner.A;
        private bool backwards;

        public override void Run()
        {
            for (var i = 0; i < columns.Count; i++)
            {
                var first = columns.Start(backwards ? columns.Count - 1 - i : i);
                products.MultiplyRow((int)columns.Length, plan.K, pointers[0], stride, pointers[1] + (first * plan.K), pointers[2] + first, accumulate: false, backwards);
            }

            backwards = !backwards;
        }
    }

    private sealed unsafe class SingleStep(float** pointers, ProductPlan plan, bool isPacked, IMatrixProduct product) : ProductStep(plan, sizeof(float), isPacked, product)
    {
        private readonly MatrixProductArgs<float> args = Args(plan, isPacked, pointers[0], pointers[1], pointers[2]);

        protected override void Multiply(long a, long b, long c) =>
            Product.Multiply(args with { A = pointers[0] + a, B = pointers[1] + b, C = pointers[2] + c });
    }

    private sealed unsafe class DoubleStep(double** pointers, ProductPlan plan, bool isPacked, IMatrixProduct product) : ProductStep(plan, sizeof(double), isPacked, product)
    {
        private readonly MatrixProductArgs<double> args = Args(plan, isPacked, pointers[0], pointers[1], pointers[2]);

        protected override void Multiply(long a, long b, long c) =>
            Product.Multiply(args with { A = pointers[0] + a, B = pointers[1] + b, C = pointers[2] + c });
    }
}

/// <summary>Packs the matrix that every step of a loop multiplies by.</summary>
internal sealed class PackOperandInstruction(DType type, ProductPlan plan, Operand source, Operand target) : Instruction(-1, [source, target], 1)
{
    public override string Name => $"pack {plan.K} x {plan.N}";

    public override bool IsMovable => true;

    public override unsafe Step Bind(void** pointers, Engine engine) => type == DType.F32 ? new PackStep<float>((float**)pointers, plan) : new PackStep<double>((double**)pointers, plan);

    public static long Elements(DType type, ProductPlan plan) =>
        type == DType.F32 ? PackedOperand.Elements<float>(plan.M, plan.N, plan.K) : PackedOperand.Elements<double>(plan.M, plan.N, plan.K);

    private sealed unsafe class PackStep<T>(T** pointers, ProductPlan plan) : Step
        where T : unmanaged
    {
        public override void Run() => PackedOperand.Pack(plan.M, plan.N, plan.K, pointers[0], (nint)plan.Inner.B, (nint)plan.Columns.B, pointers[1]);
    }
}
