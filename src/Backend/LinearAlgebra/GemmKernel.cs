using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Dnn.Backend;

/// <summary>The inner loops of the matrix product.</summary>
/// <remarks>
/// One text serves every element type, instruction set and tile shape: the type parameters are structs, so each combination is
/// compiled on its own, with the row tests below decided by the compiler. Each element of C is
/// <c>fma(a[k−1], b[k−1], … fma(a[0], b[0], c))</c> in this order whatever the tiling, so neither blocking nor threads change a bit.
/// </remarks>
internal static unsafe partial class GemmKernel<T, V, S>
    where T : unmanaged
    where V : struct
    where S : struct, ISimd<T, V>
{
    // Rows of an unpacked B lie too far apart for the processor to foresee them, and so may columns of A.
    private const int PrefetchedRows = 12;

    /// <summary>
    /// Computes C (+)= A·B for a tile of sizeof(R) rows and the columns that <typeparamref name="E"/> says; <typeparamref name="M"/> says whether an element of A belongs to
    /// all of them.
    /// </summary>
    /// <param name="shape">Strides and the length of the sums.</param>
    /// <param name="a">The tile's rows of A.</param>
    /// <param name="b">The tile's columns of B, contiguous in each row.</param>
    /// <param name="c">The tile of C.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Tile<R, E, M>(TileShape* shape, T* a, T* b, T* c)
        where R : unmanaged
        where E : unmanaged
        where M : unmanaged
    {
        nint aRow = shape->ARow, aCol = shape->ACol, bRow = shape->BRow, cRow = shape->CRow;
        var tail = shape->Tail;
        var mask = typeof(E) == typeof(FullTile) ? default : S.Mask(tail);

        V l0 = default, l1 = default, l2 = default, l3 = default, l4 = default, l5 = default, l6 = default, l7 = default, l8 = default, l9 = default, l10 = default, l11 = default, l12 = default, l13 = default;
        V h0 = default, h1 = default, h2 = default, h3 = default, h4 = default, h5 = default, h6 = default, h7 = default, h8 = default, h9 = default, h10 = default, h11 = default, h12 = default, h13 = default;
        if (shape->Accumulate)
        {
            LoadRow<E>(c, mask, tail, ref l0, ref h0);
            if (sizeof(R) > 1) LoadRow<E>(c + cRow, mask, tail, ref l1, ref h1);
            if (sizeof(R) > 2) LoadRow<E>(c + 2 * cRow, mask, tail, ref l2, ref h2);
            if (sizeof(R) > 3) LoadRow<E>(c + 3 * cRow, mask, tail, ref l3, ref h3);
            if (sizeof(R) > 4) LoadRow<E>(c + 4 * cRow, mask, tail, ref l4, ref h4);
            if (sizeof(R) > 5) LoadRow<E>(c + 5 * cRow, mask, tail, ref l5, ref h5);
            if (sizeof(R) > 6) LoadRow<E>(c + 6 * cRow, mask, tail, ref l6, ref h6);
            if (sizeof(R) > 7) LoadRow<E>(c + 7 * cRow, mask, tail, ref l7, ref h7);
            if (sizeof(R) > 8) LoadRow<E>(c + 8 * cRow, mask, tail, ref l8, ref h8);
            if (sizeof(R) > 9) LoadRow<E>(c + 9 * cRow, mask, tail, ref l9, ref h9);
            if (sizeof(R) > 10) LoadRow<E>(c + 10 * cRow, mask, tail, ref l10, ref h10);
            if (sizeof(R) > 11) LoadRow<E>(c + 11 * cRow, mask, tail, ref l11, ref h11);
            if (sizeof(R) > 12) LoadRow<E>(c + 12 * cRow, mask, tail, ref l12, ref h12);
            if (sizeof(R) > 13) LoadRow<E>(c + 13 * cRow, mask, tail, ref l13, ref h13);
        }

        // Rows are reached as four bases, each plus 0, 1, 2 or 3 strides: few integer registers, no spills.
        var stride4 = 4 * aRow;
        var stride3 = 3 * aRow;
        for (var outer = shape->Outer; ;)
        {
            for (var k = shape->K; k > 0; k--)
            {
                V low = default, high = default;
                LoadRow<E>(b, mask, tail, ref low, ref high);
                PrefetchRow<E>(b + PrefetchedRows * bRow);
                b += bRow;
                AddRow<E, M>(a, low, high, mask, tail, ref l0, ref h0);
                if (sizeof(R) > 1) AddRow<E, M>(a + aRow, low, high, mask, tail, ref l1, ref h1);
                if (sizeof(R) > 2) AddRow<E, M>(a + 2 * aRow, low, high, mask, tail, ref l2, ref h2);
                if (sizeof(R) > 3) AddRow<E, M>(a + stride3, low, high, mask, tail, ref l3, ref h3);
                var a4 = a + stride4;
                if (sizeof(R) > 4) AddRow<E, M>(a4, low, high, mask, tail, ref l4, ref h4);
                if (sizeof(R) > 5) AddRow<E, M>(a4 + aRow, low, high, mask, tail, ref l5, ref h5);
                if (sizeof(R) > 6) AddRow<E, M>(a4 + 2 * aRow, low, high, mask, tail, ref l6, ref h6);
                if (sizeof(R) > 7) AddRow<E, M>(a4 + stride3, low, high, mask, tail, ref l7, ref h7);
                var a8 = a4 + stride4;
                if (sizeof(R) > 8) AddRow<E, M>(a8, low, high, mask, tail, ref l8, ref h8);
                if (sizeof(R) > 9) AddRow<E, M>(a8 + aRow, low, high, mask, tail, ref l9, ref h9);
                if (sizeof(R) > 10) AddRow<E, M>(a8 + 2 * aRow, low, high, mask, tail, ref l10, ref h10);
                if (sizeof(R) > 11) AddRow<E, M>(a8 + stride3, low, high, mask, tail, ref l11, ref h11);
                var a12 = a8 + stride4;
                if (sizeof(R) > 12) AddRow<E, M>(a12, low, high, mask, tail, ref l12, ref h12);
                if (sizeof(R) > 13) AddRow<E, M>(a12 + aRow, low, high, mask, tail, ref l13, ref h13);
                a += aCol;
            }

            if (--outer == 0)
                break;
            a += shape->ANext;
            b += shape->BNext;
        }

        StoreRow<E>(c, mask, tail, l0, h0);
        if (sizeof(R) > 1) StoreRow<E>(c + cRow, mask, tail, l1, h1);
        if (sizeof(R) > 2) StoreRow<E>(c + 2 * cRow, mask, tail, l2, h2);
        if (sizeof(R) > 3) StoreRow<E>(c + 3 * cRow, mask, tail, l3, h3);
        if (sizeof(R) > 4) StoreRow<E>(c + 4 * cRow, mask, tail, l4, h4);
        if (sizeof(R) > 5) StoreRow<E>(c + 5 * cRow, mask, tail, l5, h5);
        if (sizeof(R) > 6) StoreRow<E>(c + 6 * cRow, mask, tail, l6, h6);
        if (sizeof(R) > 7) StoreRow<E>(c + 7 * cRow, mask, tail, l7, h7);
        if (sizeof(R) > 8) StoreRow<E>(c + 8 * cRow, mask, tail, l8, h8);
        if (sizeof(R) > 9) StoreRow<E>(c + 9 * cRow, mask, tail, l9, h9);
        if (sizeof(R) > 10) StoreRow<E>(c + 10 * cRow, mask, tail, l10, h10);
        if (sizeof(R) > 11) StoreRow<E>(c + 11 * cRow, mask, tail, l11, h11);
        if (sizeof(R) > 12) StoreRow<E>(c + 12 * cRow, mask, tail, l12, h12);
        if (sizeof(R) > 13) StoreRow<E>(c + 13 * cRow, mask, tail, l13, h13);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void LoadRow<E>(T* p, V mask, int tail, ref V low, ref V high)
    {
        if (typeof(E) != typeof(NarrowTile))
        {
            low = S.Load(p);
            p += S.Width;
        }

        high = typeof(E) == typeof(FullTile) ? S.Load(p) : S.LoadFirst(p, mask, tail);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PrefetchRow<E>(T* p)
    {
        S.Prefetch(p);
        if (typeof(E) != typeof(NarrowTile) && S.Width * sizeof(T) == 64)
            S.Prefetch(p + S.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddRow<E, M>(T* a, V low, V high, V mask, int tail, ref V sumLow, ref V sumHigh)
    {
        if (typeof(M) == typeof(OwnColumn))
        {
            V xLow = default, xHigh = default;
            LoadRow<E>(a, mask, tail, ref xLow, ref xHigh);
            if (typeof(E) != typeof(NarrowTile))
                sumLow = S.MultiplyAdd(xLow, low, sumLow);
            sumHigh = S.MultiplyAdd(xHigh, high, sumHigh);
            return;
        }

        var x = S.Broadcast(a);
        if (typeof(E) != typeof(NarrowTile))
            sumLow = S.MultiplyAdd(x, low, sumLow);
        sumHigh = S.MultiplyAdd(x, high, sumHigh);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreRow<E>(T* p, V mask, int tail, V low, V high)
    {
        if (typeof(E) != typeof(NarrowTile))
        {
            S.Store(p, low);
            p += S.Width;
        }

        if (typeof(E) == typeof(FullTile))
            S.Store(p, high);
        else
            S.StoreFirst(p, mask, tail, high);
    }

    /// <summary>The <see cref="Tile"/> kernel for a number of rows and columns.</summary>
    public static delegate*<TileShape*, T*, T*, T*, void> Select<M>(int rows, int columns)
        where M : unmanaged => columns == 2 * S.Width ? Select<FullTile, M>(rows) : columns > S.Width ? Select<WideTile, M>(rows) : Select<NarrowTile, M>(rows);

    private static delegate*<TileShape*, T*, T*, T*, void> Select<E, M>(int rows)
        where E : unmanaged
        where M : unmanaged => rows switch
        {
            1 => &Tile<Rows1, E, M>,
            2 => &Tile<Rows2, E, M>,
            3 => &Tile<Rows3, E, M>,
            4 => &Tile<Rows4, E, M>,
            5 => &Tile<Rows5, E, M>,
            6 => &Tile<Rows6, E, M>,
            7 => &Tile<Rows7, E, M>,
            8 => &Tile<Rows8, E, M>,
            9 => &Tile<Rows9, E, M>,
            10 => &Tile<Rows10, E, M>,
            11 => &Tile<Rows11, E, M>,
            12 => &Tile<Rows12, E, M>,
            13 => &Tile<Rows13, E, M>,
            _ => &Tile<Rows14, E, M>,
        };

    /// <summary>
    /// Computes C (+)= A·B for a tile of sizeof(R) ≤ 6 rows and four whole vectors of columns, those of two panels of B: fewer elements of A are loaded for as many sums.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Wide<R>(TileShape* shape, T* a, T* b, T* c)
        where R : unmanaged
    {
        nint aCol = shape->ACol, bRow = shape->BRow, bPanel = shape->BPanel, cRow = shape->CRow;
        V s00 = default, s01 = default, s02 = default, s03 = default;
        V s10 = default, s11 = default, s12 = default, s13 = default;
        V s20 = default, s21 = default, s22 = default, s23 = default;
        V s30 = default, s31 = default, s32 = default, s33 = default;
        V s40 = default, s41 = default, s42 = default, s43 = default;
        V s50 = default, s51 = default, s52 = default, s53 = default;
        if (shape->Accumulate)
        {
            LoadWide(c, ref s00, ref s01, ref s02, ref s03);
            if (sizeof(R) > 1) LoadWide(c + cRow, ref s10, ref s11, ref s12, ref s13);
            if (sizeof(R) > 2) LoadWide(c + 2 * cRow, ref s20, ref s21, ref s22, ref s23);
            if (sizeof(R) > 3) LoadWide(c + 3 * cRow, ref s30, ref s31, ref s32, ref s33);
            if (sizeof(R) > 4) LoadWide(c + 4 * cRow, ref s40, ref s41, ref s42, ref s43);
            if (sizeof(R) > 5) LoadWide(c + 5 * cRow, ref s50, ref s51, ref s52, ref s53);
        }

        // Addresses scale strides by 1, 2 or 4. Where all rows of A share a line they would wait for it together: it is asked for ahead.
        var stride = shape->ARow * sizeof(T);
        nint stride3 = 3 * stride, stride5 = 5 * stride, ahead = PrefetchedRows * aCol * sizeof(T);
        for (var outer = shape->Outer; ;)
        {
            for (var k = shape->K; k > 0; k--)
            {
                V b0 = S.Load(b), b1 = S.Load(b + S.Width), b2 = S.Load(b + bPanel), b3 = S.Load(b + bPanel + S.Width);
                b += bRow;
                S.Prefetch((T*)((nint)a + ahead));
                AddWide(a, b0, b1, b2, b3, ref s00, ref s01, ref s02, ref s03);
                if (sizeof(R) > 1) AddWide((T*)((nint)a + stride), b0, b1, b2, b3, ref s10, ref s11, ref s12, ref s13);
                if (sizeof(R) > 2) AddWide((T*)((nint)a + 2 * stride), b0, b1, b2, b3, ref s20, ref s21, ref s22, ref s23);
                if (sizeof(R) > 3) AddWide((T*)((nint)a + stride3), b0, b1, b2, b3, ref s30, ref s31, ref s32, ref s33);
                if (sizeof(R) > 4) AddWide((T*)((nint)a + 4 * stride), b0, b1, b2, b3, ref s40, ref s41, ref s42, ref s43);
                if (sizeof(R) > 5) AddWide((T*)((nint)a + stride5), b0, b1, b2, b3, ref s50, ref s51, ref s52, ref s53);
                a += aCol;
            }

            if (--outer == 0)
                break;
            a += shape->ANext;
            b += shape->BNext;
        }

        StoreWide(c, s00, s01, s02, s03);
        if (sizeof(R) > 1) StoreWide(c + cRow, s10, s11, s12, s13);
        if (sizeof(R) > 2) StoreWide(c + 2 * cRow, s20, s21, s22, s23);
        if (sizeof(R) > 3) StoreWide(c + 3 * cRow, s30, s31, s32, s33);
        if (sizeof(R) > 4) StoreWide(c + 4 * cRow, s40, s41, s42, s43);
        if (sizeof(R) > 5) StoreWide(c + 5 * cRow, s50, s51, s52, s53);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void LoadWide(T* p, ref V x0, ref V x1, ref V x2, ref V x3) =>
        (x0, x1, x2, x3) = (S.Load(p), S.Load(p + S.Width), S.Load(p + 2 * S.Width), S.Load(p + 3 * S.Width));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddWide(T* a, V b0, V b1, V b2, V b3, ref V s0, ref V s1, ref V s2, ref V s3)
    {
        var x = S.Broadcast(a);
        s0 = S.MultiplyAdd(x, b0, s0);
        s1 = S.MultiplyAdd(x, b1, s1);
        s2 = S.MultiplyAdd(x, b2, s2);
        s3 = S.MultiplyAdd(x, b3, s3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreWide(T* p, V x0, V x1, V x2, V x3)
    {
        S.Store(p, x0);
        S.Store(p + S.Width, x1);
        S.Store(p + 2 * S.Width, x2);
        S.Store(p + 3 * S.Width, x3);
    }

    /// <summary>The <see cref="Wide"/> kernel for a number of rows.</summary>
    public static delegate*<TileShape*, T*, T*, T*, void> SelectWide(int rows) => rows switch
    {
        1 => &Wide<Rows1>,
        2 => &Wide<Rows2>,
        3 => &Wide<Rows3>,
        4 => &Wide<Rows4>,
        5 => &Wide<Rows5>,
        _ => &Wide<Rows6>,
    };

    /// <summary>Computes C (+)= A·B for sizeof(R) ≤ 3 rows by streaming through whole rows of B, 8 at a time.</summary>
    /// <remarks><paramref name="k"/> is a multiple of 8 and <paramref name="n"/> of the vector width.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Stream<R>(nint k, nint n, T* a, nint aRow, nint aCol, T* b, nint bRow, T* c, nint cRow, bool accumulate)
        where R : unmanaged
    {
        for (; k > 0; k -= 8)
        {
            var x00 = S.Broadcast(a);
            var x01 = S.Broadcast(a + aCol);
            var x02 = S.Broadcast(a + 2 * aCol);
            var x03 = S.Broadcast(a + 3 * aCol);
            var x04 = S.Broadcast(a + 4 * aCol);
            var x05 = S.Broadcast(a + 5 * aCol);
            var x06 = S.Broadcast(a + 6 * aCol);
            var x07 = S.Broadcast(a + 7 * aCol);
            var x10 = sizeof(R) > 1 ? S.Broadcast(a + aRow) : default;
            var x11 = sizeof(R) > 1 ? S.Broadcast(a + aRow + aCol) : default;
            var x12 = sizeof(R) > 1 ? S.Broadcast(a + aRow + 2 * aCol) : default;
            var x13 = sizeof(R) > 1 ? S.Broadcast(a + aRow + 3 * aCol) : default;
            var x14 = sizeof(R) > 1 ? S.Broadcast(a + aRow + 4 * aCol) : default;
            var x15 = sizeof(R) > 1 ? S.Broadcast(a + aRow + 5 * aCol) : default;
            var x16 = sizeof(R) > 1 ? S.Broadcast(a + aRow + 6 * aCol) : default;
            var x17 = sizeof(R) > 1 ? S.Broadcast(a + aRow + 7 * aCol) : default;
            var x20 = sizeof(R) > 2 ? S.Broadcast(a + 2 * aRow) : default;
            var x21 = sizeof(R) > 2 ? S.Broadcast(a + 2 * aRow + aCol) : default;
            var x22 = sizeof(R) > 2 ? S.Broadcast(a + 2 * aRow + 2 * aCol) : default;
            var x23 = sizeof(R) > 2 ? S.Broadcast(a + 2 * aRow + 3 * aCol) : default;
            var x24 = sizeof(R) > 2 ? S.Broadcast(a + 2 * aRow + 4 * aCol) : default;
            var x25 = sizeof(R) > 2 ? S.Broadcast(a + 2 * aRow + 5 * aCol) : default;
            var x26 = sizeof(R) > 2 ? S.Broadcast(a + 2 * aRow + 6 * aCol) : default;
            var x27 = sizeof(R) > 2 ? S.Broadcast(a + 2 * aRow + 7 * aCol) : default;

            for (nint j = 0; j < n; j += S.Width)
            {
                T* q = c + j, p = b + j;
                V s0 = default, s1 = default, s2 = default;
                if (accumulate)
                {
                    s0 = S.Load(q);
                    if (sizeof(R) > 1) s1 = S.Load(q + cRow);
                    if (sizeof(R) > 2) s2 = S.Load(q + 2 * cRow);
                }

                AddStreams<R>(S.Load(p), x00, x10, x20, ref s0, ref s1, ref s2);
                p += bRow;
                AddStreams<R>(S.Load(p), x01, x11, x21, ref s0, ref s1, ref s2);
                p += bRow;
                AddStreams<R>(S.Load(p), x02, x12, x22, ref s0, ref s1, ref s2);
                p += bRow;
                AddStreams<R>(S.Load(p), x03, x13, x23, ref s0, ref s1, ref s2);
                p += bRow;
                AddStreams<R>(S.Load(p), x04, x14, x24, ref s0, ref s1, ref s2);
                p += bRow;
                AddStreams<R>(S.Load(p), x05, x15, x25, ref s0, ref s1, ref s2);
                p += bRow;
                AddStreams<R>(S.Load(p), x06, x16, x26, ref s0, ref s1, ref s2);
                p += bRow;
                AddStreams<R>(S.Load(p), x07, x17, x27, ref s0, ref s1, ref s2);

                S.Store(q, s0);
                if (sizeof(R) > 1) S.Store(q + cRow, s1);
                if (sizeof(R) > 2) S.Store(q + 2 * cRow, s2);
            }

            accumulate = true;
            a += 8 * aCol;
            b += 8 * bRow;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddStreams<R>(V b, V x0, V x1, V x2, ref V s0, ref V s1, ref V s2)
        where R : unmanaged
    {
        s0 = S.MultiplyAdd(x0, b, s0);
        if (sizeof(R) > 1) s1 = S.MultiplyAdd(x1, b, s1);
        if (sizeof(R) > 2) s2 = S.MultiplyAdd(x2, b, s2);
    }
}

/// <summary>The strides of a tile's operands and the length of its sums, which may go over two axes. Strides count elements.</summary>
internal struct TileShape
{
    /// <summary>The length of the inner axis of the sums.</summary>
    public nint K;

    /// <summary>The length of the outer axis; at least 1.</summary>
    public nint Outer;

    public nint ARow;
    public nint ACol;

    /// <summary>From the end of an inner axis of A to the start of the next.</summary>
    public nint ANext;

    public nint BRow;
    public nint BNext;
    public nint CRow;

    /// <summary>From a panel of B to the next, where a tile takes two.</summary>
    public nint BPanel;

    /// <summary>Elements in the last vector of a row.</summary>
    public int Tail;

    /// <summary>Whether to start from C rather than from 0.</summary>
    public bool Accumulate;
}

/// <summary>A tile two whole vectors wide.</summary>
internal readonly struct FullTile;

/// <summary>A tile two vectors wide, the second of them partly used.</summary>
internal readonly struct WideTile;

/// <summary>A tile of one vector, all or partly used.</summary>
internal readonly struct NarrowTile;

/// <summary>An element of A is multiplied by a whole row of B.</summary>
internal readonly struct EveryColumn;

/// <summary>A has elements for each column, side by side, and each is multiplied by that of B.</summary>
internal readonly struct OwnColumn;

// A struct of n bytes says "n rows": the compiler sees sizeof as a constant.

[StructLayout(LayoutKind.Sequential, Size = 1)]
internal readonly struct Rows1;

[StructLayout(LayoutKind.Sequential, Size = 2)]
internal readonly struct Rows2;

[StructLayout(LayoutKind.Sequential, Size = 3)]
internal readonly struct Rows3;

[StructLayout(LayoutKind.Sequential, Size = 4)]
internal readonly struct Rows4;

[StructLayout(LayoutKind.Sequential, Size = 5)]
internal readonly struct Rows5;

[StructLayout(LayoutKind.Sequential, Size = 6)]
internal readonly struct Rows6;

[StructLayout(LayoutKind.Sequential, Size = 7)]
internal readonly struct Rows7;

[StructLayout(LayoutKind.Sequential, Size = 8)]
internal readonly struct Rows8;

[StructLayout(LayoutKind.Sequential, Size = 9)]
internal readonly struct Rows9;

[StructLayout(LayoutKind.Sequential, Size = 10)]
internal readonly struct Rows10;

[StructLayout(LayoutKind.Sequential, Size = 11)]
internal readonly struct Rows11;

[StructLayout(LayoutKind.Sequential, Size = 12)]
internal readonly struct Rows12;

[StructLayout(LayoutKind.Sequential, Size = 13)]
internal readonly struct Rows13;

[StructLayout(LayoutKind.Sequential, Size = 14)]
internal readonly struct Rows14;
