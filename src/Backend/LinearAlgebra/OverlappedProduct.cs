using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>An axis of a tensor product: its size and its strides in the two operands and the result; 0 where it does not occur.</summary>
internal sealed record ProductAxis(long Size, long A, long B, long C);

/// <summary>
/// C[u, m, n] = Σ over s, o, k of A[u, m, s, o, k] · B[s, o, k, n], where strides place every index: rows of A may overlap, as the windows of a convolution
/// do. The columns of C and B are contiguous.
/// </summary>
/// <param name="Rows">The axis of m.</param>
/// <param name="Inner">The axis of k.</param>
/// <param name="Outer">The axis of o.</param>
/// <param name="Units">Further axes of the result (u).</param>
/// <param name="Sums">Further axes that are summed over (s), in order.</param>
/// <param name="Columns">The number of n.</param>
internal sealed record OverlappedPlan(ProductAxis Rows, ProductAxis Inner, ProductAxis Outer, ProductAxis[] Units, ProductAxis[] Sums, int Columns)
{
    /// <summary>The most rows of a unit: they stay in the first-level cache beside a panel of B.</summary>
    private const int LargestBlock = 112;

    /// <summary>The longest sum at a time; tiles of four vectors read B from the second-level cache anyway.</summary>
    private static readonly int DepthAtATime = Processor.LoadsBoundTiles ? 576 : 384;

    /// <summary>A packed B of up to so many bytes is packed once for all; else in pieces, where they are used.</summary>
    public const long LargestPacked = 4 << 20;

    /// <summary>Bytes of C that stay in the second-level cache.</summary>
    private const long BlockBytes = 128 << 10;

    /// <summary>The most units of a block.</summary>
    public const int MostUnits = 64;

    /// <summary>Rows of a unit of work.</summary>
    public int RowBlock { get; } = (int)Even(Rows.Size, LargestBlock);

    public long RowBlocks => Ceiling(Rows.Size, RowBlock);

    /// <summary>
    /// Whether every column has its own part of A: C[u, m, n] = Σ A[u, m, s, o, k, n] · B[s, o, k, n], contiguous in n. B stays as it is then, with the strides of its axes.
    /// </summary>
    public bool IsByColumn { get; init; }

    /// <summary>The part of the inner axis that is summed at a time, and, where that is all of it, of the outer axis.</summary>
    public int InnerBlock { get; } = (int)Even(Inner.Size, 2 * DepthAtATime);

    public int OuterBlock { get; } = Inner.Size == 0 || Inner.Size > DepthAtATime ? 1 : (int)Even(Outer.Size, DepthAtATime / Inner.Size);

    public long SumCount { get; } = Product(Sums);

    /// <summary>Pieces of the sum.</summary>
    public long SumBlocks => SumCount * Ceiling(Outer.Size, OuterBlock) * Ceiling(Inner.Size, InnerBlock);

    public long Depth => SumCount * Outer.Size * Inner.Size;

    public long UnitCount => Product(Units) * RowBlocks;

    public long Flops => 2 * Product(Units) * Rows.Size * Depth * Columns;

    /// <summary>Units whose part of C stays in the cache while the sum goes on.</summary>
    public long UnitBlock(long elementSize) =>
        Math.Clamp((IsPackedOnce(elementSize) ? BlockBytes : 3 * BlockBytes / 2) / Math.Max(1, RowBlock * Columns * elementSize), 1, MostUnits);

    public bool IsPackedOnce(long elementSize) => Depth * Columns * elementSize <= LargestPacked;

    /// <summary>The plan for axes of the result and of the sum; those that walk as one are merged.</summary>
    public static OverlappedPlan Make(IEnumerable<ProductAxis> rows, IReadOnlyList<ProductAxis> sums, int columns)
    {
        const int enoughRows = 12;
        var units = Merge(rows);

        // Rows along the image are worth more than longer columns across images from some length on.
        var row = units.Count == 0 ? -1 : units[^1].Size >= enoughRows ? units.Count - 1 : units.FindIndex(a => a.Size == units.Max(b => b.Size));
        var m = Take(units, row);
        var (inner, outer) = (new ProductAxis(0, 0, 0, 0), new ProductAxis(1, 0, 0, 0));
        List<ProductAxis> rest = [];
        if (sums.All(a => a.Size > 0))
        {
            rest = Merge(sums);
            inner = Take(rest, rest.Count - 1);
            outer = Take(rest, rest.Count - 1);
        }

        return new OverlappedPlan(m, inner, outer, [.. units], [.. rest], columns);
    }

    /// <summary>The offsets in A and C of a unit of work, and its rows.</summary>
    public (long A, long C, int Rows) UnitAt(long index)
    {
        var (unit, block) = Math.DivRem(index, RowBlocks);
        var first = block * RowBlock;
        var (a, _, c) = Locate(Units, unit);
        return (a + (first * Rows.A), c + (first * Rows.C), (int)Math.Min(RowBlock, Rows.Size - first));
    }

    /// <summary>The offsets in A, B and C of one index of axes.</summary>
    public static (long A, long B, long C) Locate(ProductAxis[] axes, long index)
    {
        var (a, b, c) = (0L, 0L, 0L);
        for (var i = axes.Length - 1; i >= 0; i--)
        {
            ref readonly var axis = ref axes[i];
            (index, var at) = Math.DivRem(index, axis.Size);
            (a, b, c) = (a + (at * axis.A), b + (at * axis.B), c + (at * axis.C));
        }

        return (a, b, c);
    }

    public static long Ceiling(long a, long b) => b == 0 ? 0 : (a + b - 1) / b;

    /// <summary>The largest part, where a size is cut into equal parts of at most so many.</summary>
    public static long Even(long size, long most) => size == 0 ? 0 : Ceiling(size, Ceiling(size, Math.Max(1, most)));

    private static long Product(ProductAxis[] axes) => axes.Aggregate(1L, (product, axis) => product * axis.Size);

    private static ProductAxis Take(List<ProductAxis> axes, int at)
    {
        if (at < 0)
            return new ProductAxis(1, 0, 0, 0);
        var axis = axes[at];
        axes.RemoveAt(at);
        return axis;
    }

    /// <summary>Axes by falling strides in A; those that walk as one are one.</summary>
    private static List<ProductAxis> Merge(IEnumerable<ProductAxis> axes)
    {
        var result = new List<ProductAxis>();
        foreach (var axis in axes.Where(a => a.Size != 1).OrderByDescending(a => a.A))
        {
            if (result.Count > 0 && result[^1] is var last && last.Size * axis.Size <= int.MaxValue && last.A == axis.A * axis.Size && last.B == axis.B * axis.Size && last.C == axis.C * axis.Size)
                result[^1] = axis with { Size = last.Size * axis.Size };
            else
                result.Add(axis);
        }

        return result;
    }
}

/// <summary>
/// Runs an <see cref="OverlappedPlan"/> on one instruction set: B in packed panels, a block of C in the cache while the sum goes on, the tiles of
/// <see cref="GemmKernel{T, V, S}"/>. Elements of C are summed in one order, whatever the blocks.
/// </summary>
internal static unsafe class OverlappedProduct<T, V, S>
    where T : unmanaged
    where V : struct
    where S : struct, ISimd<T, V>
{
    private static int TileColumns
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => GemmBlock<T, V, S>.TileColumns;
    }

    public static int Panels(OverlappedPlan plan) => (plan.Columns + TileColumns - 1) / TileColumns;

    /// <summary>Packs panels of B: for each piece of the sum one after another.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Pack(OverlappedPlan plan, T* b, T* packed, int firstPanel, int endPanel)
    {
        for (var block = 0L; block < plan.SumBlocks; block++)
        {
            var piece = Piece.Of(plan, block);
            PackPiece(plan, b + piece.B, packed + (((piece.Start * Panels(plan)) + (firstPanel * piece.Depth)) * TileColumns), piece, firstPanel, endPanel);
        }
    }

    /// <summary>Computes units <paramref name="start"/> to <paramref name="end"/>, at most 64, of some panels of C.</summary>
    /// <param name="packed">B packed before, or null.</param>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(OverlappedPlan plan, T* a, T* b, T* c, T* packed, long start, long end, int firstPanel, int endPanel)
    {
        var count = (int)(end - start);
        var offsetA = stackalloc long[OverlappedPlan.MostUnits];
        var offsetC = stackalloc long[OverlappedPlan.MostUnits];
        var rows = stackalloc int[OverlappedPlan.MostUnits];
        for (var i = 0; i < count; i++)
        {
            (offsetA[i], offsetC[i], rows[i]) = plan.UnitAt(start + i);
        }

        if (plan.Depth == 0)
        {
            var (from, to) = (firstPanel * TileColumns, Math.Min(endPanel * TileColumns, plan.Columns));
            for (var i = 0; i < count; i++)
            {
                for (var row = 0; row < rows[i]; row++)
                    new Span<T>(c + offsetC[i] + (row * plan.Rows.C) + from, to - from).Clear();
            }

            return;
        }

        var own = packed == null && !plan.IsByColumn ? (T*)Scratch.Get((nuint)((long)plan.InnerBlock * plan.OuterBlock * (endPanel - firstPanel) * TileColumns * sizeof(T))) : null;
        var shape = new TileShape { ARow = (nint)plan.Rows.A, ACol = (nint)plan.Inner.A, BRow = TileColumns, CRow = (nint)plan.Rows.C };
        for (var block = 0L; block < plan.SumBlocks; block++)
        {
            var piece = Piece.Of(plan, block);
            shape.K = (nint)piece.Inner;
            shape.Outer = (nint)piece.Outer;
            shape.ANext = (nint)(plan.Outer.A - (piece.Inner * plan.Inner.A));
            shape.Accumulate = block > 0;
            if (plan.IsByColumn)
            {
                shape.BRow = (nint)plan.Inner.B;
                shape.BNext = (nint)(plan.Outer.B - (piece.Inner * plan.Inner.B));
                for (var panel = firstPanel; panel < endPanel; panel++)
                    Units<OwnColumn>(&shape, panel, plan.Columns, count, rows, a + piece.A + (panel * TileColumns), offsetA, b + piece.B + (panel * TileColumns), c, offsetC);
                continue;
            }

            var panels = own;
            if (packed == null)
                PackPiece(plan, b + piece.B, own, piece, firstPanel, endPanel);
            else
                panels = packed + (piece.Start * Panels(plan) * TileColumns) + ((long)firstPanel * piece.Depth * TileColumns);
            shape.BPanel = (nint)piece.Depth * TileColumns;
            for (var panel = firstPanel; panel < endPanel;)
            {
                var isWide = S.WideRows > 0 && panel + 1 < endPanel && (panel + 2) * TileColumns <= plan.Columns;
                if (isWide)
                    WideUnits(&shape, count, rows, a + piece.A, offsetA, panels, c + (panel * TileColumns), offsetC);
                else
                    Units<EveryColumn>(&shape, panel, plan.Columns, count, rows, a + piece.A, offsetA, panels, c, offsetC);
                panel += isWide ? 2 : 1;
                panels += isWide ? 2 * shape.BPanel : shape.BPanel;
            }
        }
    }

    /// <summary>Two whole panels of the result for some units.</summary>
    private static void WideUnits(TileShape* shape, int count, int* rows, T* a, long* offsetA, T* b, T* c, long* offsetC)
    {
        for (var i = 0; i < count; i++)
            GemmBlock<T, V, S>.WideTiles(shape, rows[i], a + offsetA[i], b, c + offsetC[i], false);
    }

    /// <summary>A panel of the result, of <paramref name="columns"/> columns in all, for some units.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Units<M>(TileShape* shape, int panel, int columns, int count, int* rows, T* a, long* offsetA, T* b, T* c, long* offsetC)
        where M : unmanaged
    {
        columns = Math.Min(TileColumns, columns - (panel * TileColumns));
        shape->Tail = columns > S.Width ? columns - S.Width : columns;
        for (var i = 0; i < count; i++)
            Strips<M>(shape, rows[i], columns, a + offsetA[i], b, c + offsetC[i] + (panel * TileColumns));
    }

    /// <summary>Rows in strips of equal height, the first few one higher.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Strips<M>(TileShape* shape, int rows, int columns, T* a, T* b, T* c)
        where M : unmanaged
    {
        var strips = (rows + S.MaxRows - 1) / S.MaxRows;
        var (height, higher) = Math.DivRem(rows, strips);
        var tile = GemmKernel<T, V, S>.Select<M>(height, columns);
        var tall = higher == 0 ? tile : GemmKernel<T, V, S>.Select<M>(height + 1, columns);
        for (var strip = 0; strip < strips; strip++)
        {
            var taken = strip < higher ? height + 1 : height;
            (strip < higher ? tall : tile)(shape, a, b, c);
            a += taken * shape->ARow;
            c += taken * shape->CRow;
        }
    }

    private static void PackPiece(OverlappedPlan plan, T* b, T* packed, Piece piece, int firstPanel, int endPanel)
    {
        for (var panel = firstPanel; panel < endPanel; panel++)
        {
            var target = packed + ((long)(panel - firstPanel) * piece.Depth * TileColumns);
            var columns = Math.Min(TileColumns, plan.Columns - (panel * TileColumns));
            for (var outer = 0; outer < piece.Outer; outer++, target += piece.Inner * TileColumns)
                GemmBlock<T, V, S>.PackB((int)piece.Inner, columns, b + (panel * TileColumns) + (outer * plan.Outer.B), (nint)plan.Inner.B, 1, target);
        }
    }

    /// <summary>A piece of the sum: its lengths, where it starts in A and B, and how much of the sum lies before it.</summary>
    private readonly record struct Piece(long Inner, long Outer, long A, long B, long Start)
    {
        public long Depth => Inner * Outer;

        public static Piece Of(OverlappedPlan plan, long block)
        {
            var innerBlocks = OverlappedPlan.Ceiling(plan.Inner.Size, plan.InnerBlock);
            var outerBlocks = OverlappedPlan.Ceiling(plan.Outer.Size, plan.OuterBlock);
            var (rest, i) = Math.DivRem(block, innerBlocks);
            (rest, var o) = Math.DivRem(rest, outerBlocks);
            var (a, b, _) = OverlappedPlan.Locate(plan.Sums, rest);
            var (firstInner, firstOuter) = (i * plan.InnerBlock, o * plan.OuterBlock);
            var (inner, outer) = (Math.Min(plan.InnerBlock, plan.Inner.Size - firstInner), Math.Min(plan.OuterBlock, plan.Outer.Size - firstOuter));
            var start = (((rest * plan.Outer.Size) + firstOuter) * plan.Inner.Size) + (outer * firstInner);
            return new Piece(inner, outer, a + (firstInner * plan.Inner.A) + (firstOuter * plan.Outer.A), b + (firstInner * plan.Inner.B) + (firstOuter * plan.Outer.B), start);
        }
    }
}

/// <summary><see cref="OverlappedProduct{T, V, S}"/> for one element type on one instruction set.</summary>
internal unsafe interface IProducts<T> : IProducts
    where T : unmanaged
{
    /// <inheritdoc cref="OverlappedProduct{T, V, S}.Pack"/>
    void Pack(OverlappedPlan plan, T* b, T* packed, int firstPanel, int endPanel);

    /// <inheritdoc cref="GemmBlock{T, V, S}.PackOperand"/>
    void PackOperand(int m, int n, int k, T* b, nint bRow, nint bCol, T* packed);

    /// <inheritdoc cref="GemmBlock{T, V, S}.MultiplyRow"/>
    void MultiplyRow(int n, int k, T* a, nint aCol, T* b, T* c, bool accumulate, bool backwards);

    /// <inheritdoc cref="OverlappedProduct{T, V, S}.Run"/>
    void Run(OverlappedPlan plan, T* a, T* b, T* c, bool isPacked, long start, long end, int firstPanel, int endPanel);
}

/// <summary>How columns are cut into panels.</summary>
internal interface IProducts
{
    int Panels(OverlappedPlan plan);

    /// <summary>Columns of all panels.</summary>
    long PaddedColumns(OverlappedPlan plan);

    /// <inheritdoc cref="GemmBlock{T, V, S}.PanelColumns"/>
    int PanelColumns(int m);

    /// <inheritdoc cref="PackedOperand.Elements{T}"/>
    long PackedElements(int m, int n, int k);
}

/// <summary>The products of an instruction set.</summary>
internal static unsafe class Products
{
    public static IProducts Of(DType type, SimdPath? path = null) => type == DType.F32 ? Of<float>(path) : Of<double>(path);

    public static IProducts<T> Of<T>(SimdPath? path = null)
        where T : unmanaged => (IProducts<T>)((path ?? Gemm.Path, typeof(T) == typeof(float)) switch
        {
            (SimdPath.Avx512, true) => Products<float, Vector512<float>, Avx512Single>.Instance,
            (SimdPath.Avx512, _) => Products<double, Vector512<double>, Avx512Double>.Instance,
            (SimdPath.Avx2, true) => Products<float, Vector256<float>, Avx2Single>.Instance,
            (SimdPath.Avx2, _) => Products<double, Vector256<double>, Avx2Double>.Instance,
            (_, true) => (object)Products<float, Vector<float>, Portable<float>>.Instance,
            _ => Products<double, Vector<double>, Portable<double>>.Instance,
        });
}

/// <inheritdoc cref="IProducts{T}"/>
internal sealed unsafe class Products<T, V, S> : IProducts<T>
    where T : unmanaged
    where V : struct
    where S : struct, ISimd<T, V>
{
    public static readonly Products<T, V, S> Instance = new();

    public int Panels(OverlappedPlan plan) => OverlappedProduct<T, V, S>.Panels(plan);

    public long PaddedColumns(OverlappedPlan plan) => (long)Panels(plan) * GemmBlock<T, V, S>.TileColumns;

    public void Pack(OverlappedPlan plan, T* b, T* packed, int firstPanel, int endPanel) => OverlappedProduct<T, V, S>.Pack(plan, b, packed, firstPanel, endPanel);

    public int PanelColumns(int m) => GemmBlock<T, V, S>.PanelColumns(m);

    public long PackedElements(int m, int n, int k)
    {
        var width = PanelColumns(m);
        return (long)k * ((n + width - 1) / width * width);
    }

    public void PackOperand(int m, int n, int k, T* b, nint bRow, nint bCol, T* packed) => GemmBlock<T, V, S>.PackOperand(m, n, k, b, bRow, bCol, packed);

    public void MultiplyRow(int n, int k, T* a, nint aCol, T* b, T* c, bool accumulate, bool backwards) => GemmBlock<T, V, S>.MultiplyRow(n, k, a, aCol, b, c, accumulate, backwards);

    public void Run(OverlappedPlan plan, T* a, T* b, T* c, bool isPacked, long start, long end, int firstPanel, int endPanel) =>
        OverlappedProduct<T, V, S>.Run(plan, a, isPacked ? null : b, c, isPacked ? b : null, start, end, firstPanel, endPanel);
}
