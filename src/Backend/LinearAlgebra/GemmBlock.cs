using System.Runtime.CompilerServices;

namespace Dnn.Backend;

/// <summary>One thread's matrix product: blocking for the caches, packing, and the choice of kernels.</summary>
/// <remarks>
/// The blocking follows K. Goto and R. van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34 (3), 2008, with
/// packing only where it pays.
/// </remarks>
internal static unsafe partial class GemmBlock<T, V, S>
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
    private const int CollidingStride = 2048;

    // The first-level cache of processors of today: sets of 64-byte lines repeat every 4 KiB, eight lines each.
    private const int CachePeriod = 4096;
    private const int CacheWays = 8;

    // An unpacked B of so many bytes stays in the first-level cache, so that tiles of four vectors need not ask for it ahead.
    private const int MaxBytesWide = 48 * 1024;

    // Packing B pays for the lines that its rows would push out once this many tiles read them.
    private const int MinTilesPacked = 4;

    // Rows that lie pages apart come from memory one by one unless they are asked for so many ahead.
    private const int PrefetchedRows = 16;

    public static int TileColumns
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => 2 * S.Width;
    }


    private static int BlockN
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (S.Width * sizeof(T) < 64 ? 2 : 4) * 1024 / sizeof(T) / TileColumns * TileColumns;
    }

    private static int BlockM
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => 12 * S.MaxRows;
    }

    /// <summary>How many blocks of rows m rows make.</summary>
    public static int RowBlocks(int m) => (m + BlockM - 1) / BlockM;

    /// <summary>Computes C (+)= A·B for m×n elements of C.</summary>
    /// <param name="epilogue">Runs over rows of C once these are complete: contiguous ones, all of their columns.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(
        int m, int n, int k, T* a, nint aRow, nint aCol, T* b, nint bRow, nint bCol, T* c, nint cRow, bool accumulate, Epilogue? epilogue = null)
    {
        if (k == 0)
        {
            for (nint i = 0; !accumulate && i < m; i++)
                new Span<T>(c + i * cRow, n).Clear();
            epilogue?.Run(c, (nint)m * n);
            return;
        }

        if (n == 1)
            bCol = 1;
        if (bCol == 1 && m <= MaxStreamedRows)
        {
            Stream(m, n, k, a, aRow, aCol, b, bRow, c, cRow, accumulate);
            epilogue?.Run(c, (nint)m * n);
            return;
        }

        var blocksK = (k + MaxBlockK - 1) / MaxBlockK;
        var blockK = blocksK == 1 ? k : (k + blocksK - 1) / blocksK;
        var blocksM = RowBlocks(m);
        var blockM = blocksM == 1 ? m : (m + blocksM - 1) / blocksM;
        var packB = bCol != 1 || (m > MaxRowsUnpacked && (long)k * n * sizeof(T) > MaxBytesUnpacked)
            || (m >= MinTilesPacked * S.MaxRows && n > TileColumns && Collides(blockK, bRow));
        var packA = PacksA(m, n, blockK, aRow, aCol);
        if (!packA && !packB && blocksK == 1 && blocksM == 1 && n <= BlockN)
        {
            Tiles(m, n, k, a, aRow, aCol, false, b, bRow, false, c, cRow, accumulate);
            epilogue?.Run(c, (nint)m * n);
            return;
        }

        // With one block of rows, panels of B are packed just before they are used.
        var blockN = Math.Min(blocksM == 1 && !packA ? 4 * TileColumns : BlockN, (n + TileColumns - 1) / TileColumns * TileColumns);

        T* packedA = null, packedB = null;
        if (packA || packB)
        {
            var elementsB = packB ? (nint)blockK * blockN : 0;
            var elementsA = packA ? PackedElements(blockK, blockM) : 0;
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
                        PackA(depth, rows, blockA, aRow, aCol, packedA);
                    Tiles(
                        rows, columns, depth,
                        packA ? packedA : blockA, aRow, aCol, packA,
                        packB ? packedB : blockB, bRow, packB,
                        c + i * cRow + j, cRow, accumulate || p > 0);
                    if (n <= blockN && p + depth == k)
                        epilogue?.Run(c + i * cRow, (nint)rows * n);
                }
            }
        }

        if (n > blockN)
            epilogue?.Run(c, (nint)m * n);
    }

    /// <summary>Computes C = A·B where <see cref="PackB"/> has packed B, or a range of its panels.</summary>
    public static void MultiplyPacked(int m, int n, int k, T* a, nint aRow, nint aCol, T* packed, T* c, nint cRow) =>
        Tiles(m, n, k, a, aRow, aCol, false, packed, 0, true, c, cRow, false);

    /// <summary>Whether a product may be cut into narrow ranges of columns at no cost: not if each packs A again, or streams through short rows of B.</summary>
    public static bool TakesNarrow(int m, int n, int k, nint aRow, nint aCol) => m > MaxStreamedRows && !PacksA(m, n, Math.Min(k, MaxBlockK), aRow, aCol);

    // Whether rows or columns of A would push one another out of the cache.
    private static bool PacksA(int m, int n, int k, nint aRow, nint aCol) =>
        m > 1 && n > 2 * TileColumns && (aCol == 1 ? aRow * sizeof(T) % CollidingStride == 0 : n >= 4 * TileColumns && aRow == 1 && Collides(k, aCol));

    // Covers a block of C with tiles: panels of B outside, so that one stays in the first-level cache, rows of A inside.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tiles(int m, int n, int k, T* a, nint aRow, nint aCol, bool packedA, T* b, nint bRow, bool packedB, T* c, nint cRow, bool accumulate)
    {
        // m rows in strips of equal height, the first few one higher.
        var most = packedA ? StripRows : S.MaxRows;
        var strips = (m + most - 1) / most;
        var (height, higher) = strips == 1 ? (m, 0) : Math.DivRem(m, strips);
        var panelStep = packedB ? (nint)k * TileColumns : TileColumns;
        nint stripStep = 0;
        if (packedA)
        {
            stripStep = (nint)k * StripRows;
            aRow = 1;
            aCol = StripRows;
        }

        if (packedB)
            bRow = TileColumns;

        var shape = new TileShape { K = k, Outer = 1, ARow = aRow, ACol = aCol, BRow = bRow, CRow = cRow, Accumulate = accumulate };
        delegate*<TileShape*, T*, T*, T*, void> tile = null, tall = null;
        var j = 0;
        if (S.WideRows > 0 && (packedB || (long)k * bRow * sizeof(T) <= MaxBytesWide))
        {
            shape.BPanel = panelStep;
            for (; n - j >= 2 * TileColumns; j += 2 * TileColumns, b += 2 * panelStep)
            {
                if (!packedA)
                {
                    WideTiles(&shape, m, a, b, c + j, packedB);
                    continue;
                }

                T* stripA = a, stripC = c + j;
                for (var strip = 0; strip < strips; strip++, stripA += stripStep)
                {
                    var rows = strip < higher ? height + 1 : height;
                    WideTiles(&shape, rows, stripA, b, stripC, packedB);
                    stripC += rows * cRow;
                }
            }
        }

        for (var first = j; j < n; j += TileColumns, b += panelStep)
        {
            var columns = Math.Min(TileColumns, n - j);
            shape.Tail = columns > S.Width ? columns - S.Width : columns;
            if (j == first || columns < TileColumns)
            {
                tile = GemmKernel<T, V, S>.Select<EveryColumn>(height, columns);
                tall = higher == 0 ? tile : GemmKernel<T, V, S>.Select<EveryColumn>(height + 1, columns);
            }

            T* stripA = a, stripC = c + j;
            for (var strip = 0; strip < strips; strip++)
            {
                var rows = strip < higher ? height + 1 : height;
                if (packedB)
                    Prefetch(strip + 1 < strips ? stripC + rows * cRow : c + Math.Min(j + TileColumns, n - 1), height, cRow);
                (strip < higher ? tall : tile)(&shape, stripA, b, stripC);
                stripA += packedA ? stripStep : rows * aRow;
                stripC += rows * cRow;
            }
        }
    }

    /// <summary>Covers m rows of two panels of C with tiles of four vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void WideTiles(TileShape* shape, int m, T* a, T* b, T* c, bool prefetch)
    {
        var strips = (m + S.WideRows - 1) / S.WideRows;
        var (height, higher) = Math.DivRem(m, strips);
        for (var strip = 0; strip < strips; strip++)
        {
            var rows = strip < higher ? height + 1 : height;
            var next = c + rows * shape->CRow;
            if (prefetch)
            {
                Prefetch(next, height, shape->CRow);
                Prefetch(next + TileColumns, height, shape->CRow);
            }

            GemmKernel<T, V, S>.SelectWide(rows)(shape, a, b, c);
            a += rows * shape->ARow;
            c = next;
        }
    }

    // Asks for the tile of C that comes next: its rows lie far apart, and its sums begin with them.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prefetch(T* c, int rows, nint cRow)
    {
        for (; rows > 0; rows--, c += cRow)
        {
            S.Prefetch(c);
            S.Prefetch(c + S.Width);
        }
    }

    // Whether that many lines at that stride push one another out of the first-level cache.
    private static bool Collides(int lines, nint stride)
    {
        var bytes = (long)Math.Abs(stride) * sizeof(T);
        var step = Math.Max(64, bytes & -bytes);
        return lines > CacheWays * Math.Max(1, CachePeriod / step) / 2;
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
    public static void PackB(int k, int n, T* b, nint bRow, nint bCol, T* packed)
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
                    S.Prefetch(b + (p + PrefetchedRows) * bRow);
                    S.Prefetch(b + (p + PrefetchedRows) * bRow + S.Width);
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

    // Strips of rows as Tiles cuts them, each k columns of StripRows elements: columns of whole cache lines would take a fourth longer to multiply on Intel's cores.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackA(int k, int m, T* a, nint aRow, nint aCol, T* packed)
    {
        var strips = (m + StripRows - 1) / StripRows;
        var (height, higher) = Math.DivRem(m, strips);
        for (var strip = 0; strip < strips; strip++)
        {
            var rows = strip < higher ? height + 1 : height;
            // What a whole vector stores past the strip's height is overwritten by the vectors before it, and by what follows.
            for (var i = (rows - 1) / S.Width * S.Width; i >= 0; i -= S.Width)
            {
                var count = Math.Min(S.Width, rows - i);
                if (aCol == 1)
                {
                    PackTransposed(k, count, a + i * aRow, aRow, packed + i, StripRows);
                    continue;
                }

                var mask = S.Mask(count);
                for (nint p = 0; p < k; p++)
                {
                    S.Prefetch(a + i + (p + PrefetchedRows) * aCol);
                    S.Store(packed + i + p * StripRows, S.LoadFirst(a + i + p * aCol, mask, count));
                }
            }

            a += rows * aRow;
            packed += (nint)k * StripRows;
        }
    }

    // Rows of a strip of packed A: those of a tile, or of two wide ones.
    private static int StripRows
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => S.WideRows > 0 ? 2 * S.WideRows : S.MaxRows;
    }

    private static nint PackedElements(int k, int m) => (nint)k * ((m + StripRows - 1) / StripRows * StripRows) + S.Width;

    // packed[p·step + i] = source[i·stride + p] for i < rows ≤ Width, p < k; the rest of each vector is undefined.
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackTransposed(int k, int rows, T* source, nint stride, T* packed, nint step)
    {
        // log2(Width) perfect shuffles transpose a square of Width vectors; they are taken two at a time.
        var memory = stackalloc byte[(S.Width + 1) * S.Width * sizeof(T)];
        var square = (T*)((nint)(memory + S.Width * sizeof(T) - 1) & -(nint)(S.Width * sizeof(T)));
        for (; k >= S.Width; k -= S.Width, source += S.Width, packed += S.Width * step)
        {
            switch (S.Width)
            {
                case 2:
                    Shuffle(source, stride, rows, packed, step);
                    break;
                case 4:
                    ShuffleTwice(source, stride, rows, packed, step);
                    break;
                case 8:
                    ShuffleTwice(source, stride, rows, square, S.Width);
                    Shuffle(square, S.Width, S.Width, packed, step);
                    break;
                default:
                    ShuffleTwice(source, stride, rows, square, S.Width);
                    ShuffleTwice(square, S.Width, S.Width, packed, step);
                    break;
            }
        }

        for (nint i = 0; i < rows; i++)
        {
            for (nint p = 0; p < k; p++)
                packed[p * step + i] = source[i * stride + p];
        }
    }

    // Zips vector i with vector i + Width/2; the last of `rows` vectors stands for those that are missing.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Shuffle(T* from, nint fromStep, nint rows, T* to, nint toStep)
    {
        for (nint i = 0; i < S.Width / 2; i++, to += 2 * toStep)
        {
            var (low, high) = S.Zip(LoadRow(from, fromStep, i, rows), LoadRow(from, fromStep, i + S.Width / 2, rows));
            S.Store(to, low);
            S.Store(to + toStep, high);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ShuffleTwice(T* from, nint fromStep, nint rows, T* to, nint toStep)
    {
        for (nint i = 0; i < S.Width / 4; i++, to += 4 * toStep)
        {
            var (a, b) = S.Zip(LoadRow(from, fromStep, i, rows), LoadRow(from, fromStep, i + S.Width / 2, rows));
            var (c, d) = S.Zip(LoadRow(from, fromStep, i + S.Width / 4, rows), LoadRow(from, fromStep, i + 3 * S.Width / 4, rows));
            var (first, second) = S.Zip(a, c);
            var (third, fourth) = S.Zip(b, d);
            S.Store(to, first);
            S.Store(to + toStep, second);
            S.Store(to + 2 * toStep, third);
            S.Store(to + 3 * toStep, fourth);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V LoadRow(T* p, nint step, nint row, nint rows) => S.Load(p + Math.Min(row, rows - 1) * step);
}
