using System.Runtime.CompilerServices;

namespace Dnn.Backend;

/// <summary>One thread's matrix product: blocking for the caches, packing, and the choice of kernels.</summary>
/// <remarks>
/// The blocking follows K. Goto and R. van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34 (3), 2008, with
/// packing only where it pays.
/// </remarks>
internal static unsafe class GemmBlock<T, V, S>
    where T : unmanaged
    where V : struct
    where S : struct, ISimd<T, V>
{
    private const int MaxBlockK = 512;
    private const int MaxStreamedRows = 3;

    // Up to here the rows of A that share a packed panel of B are too few to pay for packing it.
    private const int MaxRowsUnpacked = 192;
    private const int MaxBytesUnpacked = 24 * 1024;

    // A row stride that is a multiple of this maps a tile's rows of A onto few cache sets.
    private const int CollidingStride = 512;

    private static int TileColumns => 2 * S.Width;

    private static int BlockN => 16 * 1024 / sizeof(T) / TileColumns * TileColumns;

    private static int BlockM => 12 * S.MaxRows;

    /// <summary>Computes C (+)= A·B for m×n elements of C.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(int m, int n, int k, T* a, nint aRow, nint aCol, T* b, nint bRow, nint bCol, T* c, nint cRow, bool accumulate)
    {
        if (k == 0)
        {
            for (nint i = 0; !accumulate && i < m; i++)
                new Span<T>(c + i * cRow, n).Clear();
            return;
        }

        if (n == 1)
            bCol = 1;
        if (bCol == 1 && m <= MaxStreamedRows)
        {
            Stream(m, n, k, a, aRow, aCol, b, bRow, c, cRow, accumulate);
            return;
        }

        var packB = bCol != 1 || (m > MaxRowsUnpacked && (long)k * n * sizeof(T) > MaxBytesUnpacked);
        var packA = m > 1 && n > 2 * TileColumns && aCol == 1 && aRow * sizeof(T) % CollidingStride == 0;
        var blocksK = (k + MaxBlockK - 1) / MaxBlockK;
        var blockK = (k + blocksK - 1) / blocksK;
        var blockN = Math.Min(BlockN, (n + TileColumns - 1) / TileColumns * TileColumns);
        var blocksM = (m + BlockM - 1) / BlockM;
        var blockM = (m + blocksM - 1) / blocksM;

        T* packedA = null, packedB = null;
        if (packA || packB)
        {
            var elementsB = packB ? (nint)blockK * blockN : 0;
            var elementsA = packA ? (nint)blockK * PackedRows(blockM) : 0;
            packedB = (T*)Scratch.Get((nuint)((elementsA + elementsB) * sizeof(T)));
            packedA = packedB + elementsB;
        }

        for (var j = 0; j < n; j += blockN)
        {
            var columns = Math.Min(blockN, n - j);
            for (var p = 0; p < k; p += blockK)
            {
                var depth = Math.Min(blockK, k - p);
                var blockB = b + p * bRow + j * bCol;
                if (packB)
                    PackB(depth, columns, blockB, bRow, bCol, packedB);
                for (var i = 0; i < m; i += blockM)
                {
                    var rows = Math.Min(blockM, m - i);
                    var blockA = a + i * aRow + p * aCol;
                    if (packA)
                        PackA(depth, rows, blockA, aRow, packedA);
                    Tiles(
                        rows, columns, depth,
                        packA ? packedA : blockA, aRow, aCol, packA,
                        packB ? packedB : blockB, bRow, packB,
                        c + i * cRow + j, cRow, accumulate || p > 0);
                }
            }
        }
    }

    // Covers a block of C with tiles: panels of B outside, so that one stays in the first-level cache, rows of A inside.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tiles(int m, int n, int k, T* a, nint aRow, nint aCol, bool packedA, T* b, nint bRow, bool packedB, T* c, nint cRow, bool accumulate)
    {
        // m rows in strips of equal height, the first few one higher.
        var strips = (m + S.MaxRows - 1) / S.MaxRows;
        var (height, higher) = Math.DivRem(m, strips);
        var panelStep = packedB ? (nint)k * TileColumns : TileColumns;
        nint stripStep = 0;
        if (packedA)
        {
            stripStep = (nint)k * PackedHeight;
            aRow = 1;
            aCol = PackedHeight;
        }

        if (packedB)
            bRow = TileColumns;

        delegate*<nint, T*, nint, nint, T*, nint, T*, nint, int, bool, void> tile = null, tall = null;
        for (var j = 0; j < n; j += TileColumns, b += panelStep)
        {
            var columns = Math.Min(TileColumns, n - j);
            var tail = columns > S.Width ? columns - S.Width : columns;
            if (j == 0 || columns < TileColumns)
            {
                tile = GemmKernel<T, V, S>.Select(height, columns);
                tall = higher == 0 ? tile : GemmKernel<T, V, S>.Select(height + 1, columns);
            }

            T* stripA = a, stripC = c + j;
            for (var strip = 0; strip < strips; strip++)
            {
                var rows = strip < higher ? height + 1 : height;
                (strip < higher ? tall : tile)(k, stripA, aRow, aCol, b, bRow, stripC, cRow, tail, accumulate);
                stripA += packedA ? stripStep : rows * aRow;
                stripC += rows * cRow;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Stream(int m, int n, int k, T* a, nint aRow, nint aCol, T* b, nint bRow, T* c, nint cRow, bool accumulate)
    {
        var depth = k / 8 * 8;
        for (var j = 0; depth > 0 && j < n; j += BlockN)
        {
            nint columns = Math.Min(BlockN, n - j) / S.Width * S.Width;
            if (columns == 0)
                break;
            if (m == 1)
                GemmKernel<T, V, S>.Stream<Rows1>(depth, columns, a, aRow, aCol, b + j, bRow, c + j, cRow, accumulate);
            else if (m == 2)
                GemmKernel<T, V, S>.Stream<Rows2>(depth, columns, a, aRow, aCol, b + j, bRow, c + j, cRow, accumulate);
            else
                GemmKernel<T, V, S>.Stream<Rows3>(depth, columns, a, aRow, aCol, b + j, bRow, c + j, cRow, accumulate);
        }

        var whole = depth > 0 ? n / S.Width * S.Width : 0;
        if (whole > 0 && depth < k)
            Tiles(m, whole, k - depth, a + depth * aCol, aRow, aCol, false, b + depth * bRow, bRow, false, c, cRow, true);
        if (whole < n)
            Tiles(m, n - whole, k, a, aRow, aCol, false, b + whole, bRow, false, c + whole, cRow, accumulate);
    }

    // Panels of TileColumns columns, each k rows of contiguous elements; what lies right of the last column is undefined.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackB(int k, int n, T* b, nint bRow, nint bCol, T* packed)
    {
        for (var j = 0; j < n; j += TileColumns, b += TileColumns * bCol, packed += (nint)k * TileColumns)
        {
            var columns = Math.Min(TileColumns, n - j);
            if (bRow == 1)
            {
                PackTransposed(k, Math.Min(columns, S.Width), b, bCol, packed, TileColumns);
                if (columns > S.Width)
                    PackTransposed(k, columns - S.Width, b + S.Width * bCol, bCol, packed + S.Width, TileColumns);
            }
            else if (bCol == 1 && columns == TileColumns)
            {
                for (nint p = 0; p < k; p++)
                {
                    S.Store(packed + p * TileColumns, S.Load(b + p * bRow));
                    S.Store(packed + p * TileColumns + S.Width, S.Load(b + p * bRow + S.Width));
                }
            }
            else
            {
                for (nint p = 0; p < k; p++)
                {
                    for (nint column = 0; column < columns; column++)
                        packed[p * TileColumns + column] = b[p * bRow + column * bCol];
                }
            }
        }
    }

    // Strips of rows as Tiles cuts them, each k columns of PackedHeight elements.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackA(int k, int m, T* a, nint aRow, T* packed)
    {
        var strips = (m + S.MaxRows - 1) / S.MaxRows;
        var (height, higher) = Math.DivRem(m, strips);
        for (var strip = 0; strip < strips; strip++)
        {
            var rows = strip < higher ? height + 1 : height;
            for (var i = 0; i < rows; i += S.Width)
                PackTransposed(k, Math.Min(S.Width, rows - i), a + i * aRow, aRow, packed + i, PackedHeight);
            a += rows * aRow;
            packed += (nint)k * PackedHeight;
        }
    }

    private static int PackedHeight => (S.MaxRows + S.Width - 1) / S.Width * S.Width;

    private static nint PackedRows(int m) => (nint)((m + S.MaxRows - 1) / S.MaxRows) * PackedHeight;

    // packed[p·step + i] = source[i·stride + p] for i < rows ≤ Width, p < k; the rest of each vector becomes 0.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackTransposed(int k, int rows, T* source, nint stride, T* packed, int step)
    {
        // log2(Width) perfect shuffles transpose a square of vectors; each pass zips vector i with vector i + Width/2.
        var half = S.Width / 2;
        var square = stackalloc T[2 * S.Width * S.Width];
        for (; k > 0; k -= S.Width, source += S.Width, packed += (nint)S.Width * step)
        {
            var depth = Math.Min(k, S.Width);
            if (depth < S.Width)
            {
                for (nint p = 0; p < depth; p++)
                {
                    S.Store(packed + p * step, default);
                    for (nint i = 0; i < rows; i++)
                        packed[p * step + i] = source[i * stride + p];
                }

                return;
            }

            T* from = square, to = square + S.Width * S.Width;
            for (nint i = 0; i < half; i++)
            {
                var (low, high) = S.Zip(
                    i < rows ? S.Load(source + i * stride) : default,
                    i + half < rows ? S.Load(source + (i + half) * stride) : default);
                S.Store(from + 2 * i * S.Width, low);
                S.Store(from + (2 * i + 1) * S.Width, high);
            }

            for (var pass = 4; pass < S.Width; pass *= 2)
            {
                for (nint i = 0; i < half; i++)
                {
                    var (low, high) = S.Zip(S.Load(from + i * S.Width), S.Load(from + (i + half) * S.Width));
                    S.Store(to + 2 * i * S.Width, low);
                    S.Store(to + (2 * i + 1) * S.Width, high);
                }

                var swap = from;
                from = to;
                to = swap;
            }

            if (S.Width == 2)
            {
                S.Store(packed, S.Load(from));
                S.Store(packed + step, S.Load(from + 2));
                continue;
            }

            for (nint i = 0; i < half; i++)
            {
                var (low, high) = S.Zip(S.Load(from + i * S.Width), S.Load(from + (i + half) * S.Width));
                S.Store(packed + 2 * i * step, low);
                S.Store(packed + (2 * i + 1) * step, high);
            }
        }
    }
}
