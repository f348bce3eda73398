using System.Runtime.CompilerServices;

namespace Dnn.Backend;

/// <summary>
/// Right operands that are packed once for many products, as the weights of a recurrence are: panels of columns, each all of its rows side by side, so that
/// a product reads memory from start to end.
/// </summary>
internal static unsafe class PackedOperand
{
    /// <summary>The elements of a packed matrix of <paramref name="k"/> rows and <paramref name="n"/> columns, for products of <paramref name="m"/> rows.</summary>
    public static long Elements<T>(int m, int n, int k)
        where T : unmanaged => Products.Of<T>().PackedElements(m, n, k);

    /// <summary>Packs a matrix for products of <paramref name="m"/> rows.</summary>
    public static void Pack<T>(int m, int n, int k, T* b, nint bRow, nint bCol, T* packed)
        where T : unmanaged => Products.Of<T>().PackOperand(m, n, k, b, bRow, bCol, packed);
}

internal static unsafe partial class GemmBlock<T, V, S>
{
    /// <summary>The columns of a panel. A single row of C needs the sums of four vectors under way; for more rows the panels are those of <see cref="Multiply"/>.</summary>
    public static int PanelColumns(int m) => m == 1 ? 4 * S.Width : TileColumns;

    /// <summary>Computes C (+)= A·B for m×n elements of C and a packed B. Every element is the same sum as that of <see cref="Multiply"/>.</summary>
    /// <param name="width">The columns of a panel.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MultiplyPacked(int m, int n, int k, int width, T* a, nint aRow, nint aCol, T* b, T* c, nint cRow, bool accumulate)
    {
        if (width != TileColumns)
            MultiplyRow(n, k, a, aCol, b, c, accumulate, backwards: false);
        else if (k > 0)
            Tiles(m, n, k, a, aRow, aCol, false, b, TileColumns, true, c, cRow, accumulate);
        else if (!accumulate)
            Multiply(m, n, 0, a, aRow, aCol, b, 0, 1, c, cRow, false);
    }

    /// <summary>Computes one row of C (+)= A·B with a B that is packed for it.</summary>
    /// <param name="backwards">Whether to begin with the last panel: every other time, what was read last is still near.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void MultiplyRow(int n, int k, T* a, nint aCol, T* b, T* c, bool accumulate, bool backwards)
    {
        var width = PanelColumns(1);
        var last = (n - 1) / width * width;
        for (var i = 0; i <= last; i += width)
        {
            var j = backwards ? last - i : i;
            GemmKernel<T, V, S>.Panel(k, a, aCol, b + (nint)j * k, c + j, Math.Min(width, n - j), accumulate);
        }
    }

    /// <summary>Packs k×n elements of B for products of m rows; columns right of the last are zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PackOperand(int m, int n, int k, T* b, nint bRow, nint bCol, T* packed)
    {
        if (PanelColumns(m) == TileColumns)
        {
            PackB(k, n, b, bRow, bCol, packed);
            return;
        }

        var width = PanelColumns(m);
        for (var j = 0; j < n; j += width, b += width * bCol, packed += (nint)k * width)
        {
            if (n - j < width)
                new Span<T>(packed, checked(k * width)).Clear();
            for (var i = 0; i < Math.Min(width, n - j); i += S.Width)
                PackColumns(k, Math.Min(S.Width, n - j - i), b + i * bCol, bRow, bCol, packed + i, width);
        }
    }

    /// <summary>Packs up to a vector of columns: packed[p·step + i] = b[p·bRow + i·bCol].</summary>
    private static void PackColumns(int k, int columns, T* b, nint bRow, nint bCol, T* packed, nint step)
    {
        if (bRow == 1)
        {
            PackTransposed(k, columns, b, bCol, packed, step);
            return;
        }

        for (nint p = 0; p < k; p++)
        {
            if (bCol == 1 && columns == S.Width)
                S.Store(packed + p * step, S.Load(b + p * bRow));
            else
                for (nint i = 0; i < columns; i++)
                    packed[p * step + i] = b[p * bRow + i * bCol];
        }
    }
}

internal static unsafe partial class GemmKernel<T, V, S>
{
    /// <summary>Computes up to four vectors of one row of C (+)= A·B from a panel of four vectors a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Panel(nint k, T* a, nint aCol, T* b, T* c, int columns, bool accumulate)
    {
        V s0 = default, s1 = default, s2 = default, s3 = default;
        if (accumulate)
        {
            Fetch(c, 0, columns, ref s0);
            Fetch(c, 1, columns, ref s1);
            Fetch(c, 2, columns, ref s2);
            Fetch(c, 3, columns, ref s3);
        }

        for (; k > 1; k -= 2, a += 2 * aCol, b += 8 * S.Width)
        {
            AddPanelRow(S.Broadcast(a), b, ref s0, ref s1, ref s2, ref s3);
            AddPanelRow(S.Broadcast(a + aCol), b + 4 * S.Width, ref s0, ref s1, ref s2, ref s3);
        }

        if (k > 0)
            AddPanelRow(S.Broadcast(a), b, ref s0, ref s1, ref s2, ref s3);
        Keep(c, 0, columns, s0);
        Keep(c, 1, columns, s1);
        Keep(c, 2, columns, s2);
        Keep(c, 3, columns, s3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddPanelRow(V x, T* b, ref V s0, ref V s1, ref V s2, ref V s3)
    {
        s0 = S.MultiplyAdd(x, S.Load(b), s0);
        s1 = S.MultiplyAdd(x, S.Load(b + S.Width), s1);
        s2 = S.MultiplyAdd(x, S.Load(b + 2 * S.Width), s2);
        s3 = S.MultiplyAdd(x, S.Load(b + 3 * S.Width), s3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Fetch(T* c, int vector, int columns, ref V value)
    {
        var count = columns - vector * S.Width;
        if (count >= S.Width)
            value = S.Load(c + vector * S.Width);
        else if (count > 0)
            value = S.LoadFirst(c + vector * S.Width, S.Mask(count), count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Keep(T* c, int vector, int columns, V value)
    {
        var count = columns - vector * S.Width;
        if (count >= S.Width)
            S.Store(c + vector * S.Width, value);
        else if (count > 0)
            S.StoreFirst(c + vector * S.Width, S.Mask(count), count, value);
    }
}
