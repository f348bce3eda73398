using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Dnn.Backend;

/// <summary>The instruction sets that <see cref="Gemm"/> has kernels for.</summary>
public enum SimdPath
{
    /// <summary><see cref="Vector{T}"/>: every processor.</summary>
    Portable,

    /// <summary>x86 with AVX2 and FMA.</summary>
    Avx2,

    /// <summary>x86 with AVX-512.</summary>
    Avx512,
}

/// <summary>General matrix product on vector units: C = A·B and C += A·B for float and double.</summary>
/// <remarks>
/// Each element of C is summed in order of k with one rounding for each product and sum (where the hardware has fused
/// multiply-add), starting from 0 or from C. So the result has the same bits at any number of threads, and for any strides.
/// NaN and infinity propagate as in that sum. Steady state allocates nothing.
/// </remarks>
public static unsafe class Gemm
{
    // Below this many multiply-adds (a few microseconds) handing work over costs more than it saves.
    internal const long MinParallelWork = 1 << 18;

    /// <summary>The best instruction set of this machine, chosen once.</summary>
    public static SimdPath Path { get; } = BestPath();

    /// <summary>Computes the products that <paramref name="args"/> describes.</summary>
    /// <param name="args">Sizes, memory and strides.</param>
    /// <param name="pool">Shares the work out; without it the caller does all.</param>
    /// <exception cref="ArgumentException">A size is negative, or rows or matrices of C overlap.</exception>
    public static void Multiply(in MatrixProductArgs<float> args, WorkerPool? pool = null) => Multiply(args, pool, Path);

    internal static void Multiply(in MatrixProductArgs<float> args, WorkerPool? pool, SimdPath path, Epilogue? epilogue = null)
    {
        switch (path)
        {
            case SimdPath.Avx512:
                GemmDriver<float, Vector512<float>, Avx512Single>.Multiply(args, pool, epilogue);
                break;
            case SimdPath.Avx2:
                GemmDriver<float, Vector256<float>, Avx2Single>.Multiply(args, pool, epilogue);
                break;
            default:
                GemmDriver<float, Vector<float>, Portable<float>>.Multiply(args, pool, epilogue);
                break;
        }
    }

    /// <inheritdoc cref="Multiply(in MatrixProductArgs{float}, WorkerPool?)"/>
    public static void Multiply(in MatrixProductArgs<double> args, WorkerPool? pool = null) => Multiply(args, pool, Path);

    internal static void Multiply(in MatrixProductArgs<double> args, WorkerPool? pool, SimdPath path, Epilogue? epilogue = null)
    {
        switch (path)
        {
            case SimdPath.Avx512:
                GemmDriver<double, Vector512<double>, Avx512Double>.Multiply(args, pool, epilogue);
                break;
            case SimdPath.Avx2:
                GemmDriver<double, Vector256<double>, Avx2Double>.Multiply(args, pool, epilogue);
                break;
            default:
                GemmDriver<double, Vector<double>, Portable<double>>.Multiply(args, pool, epilogue);
                break;
        }
    }

    internal static bool IsSupported(SimdPath path) => path switch
    {
        SimdPath.Avx512 => Avx512F.IsSupported && Vector512.IsHardwareAccelerated,
        SimdPath.Avx2 => Avx2.IsSupported && Fma.IsSupported,
        _ => true,
    };

    private static SimdPath BestPath() =>
        IsSupported(SimdPath.Avx512) ? SimdPath.Avx512 : IsSupported(SimdPath.Avx2) ? SimdPath.Avx2 : SimdPath.Portable;

    /// <summary>Cuts the work into parts, one grid of blocks of C for each matrix of the batch.</summary>
    private static class GemmDriver<T, V, S>
        where T : unmanaged
        where V : struct
        where S : struct, ISimd<T, V>
    {
        private struct Job
        {
            public MatrixProductArgs<T> Args;
            public Epilogue? Epilogue;
            public int Parts;
            public int GridRows;

            /// <summary>Columns of the grid; neighbours that one thread takes at a time are one product.</summary>
            public int GridColumns;
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public static void Multiply(in MatrixProductArgs<T> args, WorkerPool? pool, Epilogue? epilogue)
        {
            args.Verify();
            if (args.M == 0 || args.N == 0)
                return;
            if (pool is { Threads: > 1 } && (double)args.M * args.N * args.K * args.Count >= MinParallelWork)
            {
                var job = new Job { Args = args, Epilogue = epilogue };
                Split(ref job, pool.Threads);

                // The job stays on this thread's stack, where its reference is known, until all parts are done.
                pool.Run(job.Parts, &RunParts, Unsafe.AsPointer(ref job));
                return;
            }

            for (nint batch = 0; batch < args.Batch; batch++)
            {
                T* a = args.A + batch * args.ABatch, b = args.B + batch * args.BBatch, c = args.C + batch * args.CBatch;
                for (nint inner = 0; inner < args.Inner; inner++, a += args.AInner, b += args.BInner, c += args.CInner)
                    Block(args, args.M, args.N, a, b, c, epilogue);
            }
        }

        // The coarsest grid over one matrix whose blocks, over the whole batch, fill the threads to within an eighth; then, where narrow ranges of columns cost
        // no more, its columns are cut at every tile, so that threads can take over from one another.
        private static void Split(ref Job job, int threads)
        {
            var batch = job.Args.Count;
            if (job.Epilogue is not null)
            {
                (job.GridRows, job.GridColumns) = (GemmBlock<T, V, S>.RowBlocks(job.Args.M), 1);
                job.Parts = (int)Math.Min(batch * job.GridRows, WorkerPool.PartsPerThread * threads);
                return;
            }

            for (var blocks = 1; ; blocks++)
            {
                var total = batch * blocks;
                var rounds = (total + threads - 1) / threads;
                if (rounds * threads * 8 <= total * 9 || blocks == threads)
                {
                    ShapeGrid(ref job, blocks);
                    ref readonly var args = ref job.Args;
                    if (args.IsPacked || GemmBlock<T, V, S>.TakesNarrow(args.M / job.GridRows, args.N / job.GridColumns, args.K, args.ARow, args.ACol))
                        job.GridColumns = Tiles(args);
                    job.Parts = (int)Math.Min(batch * job.GridRows * job.GridColumns, WorkerPool.PartsPerThread * threads);
                    return;
                }
            }
        }

        // Of the grids with at most this many blocks, the one whose largest block costs least. Columns are cut at whole tiles.
        private static void ShapeGrid(ref Job job, int blocks)
        {
            var best = double.PositiveInfinity;
            var tiles = Tiles(job.Args);
            for (var columns = 1; columns <= Math.Min(blocks, tiles); columns++)
            {
                var rows = Math.Min(blocks / columns, job.Args.M);
                double height = (job.Args.M + rows - 1) / rows, width = (tiles + columns - 1) / columns;
                // In units of one row by one tile: reading and packing a tile's columns of B costs about 8, reading a row of A 1/4.
                var cost = (height + 8) * width + height / 4;
                if (cost <= best)
                    (best, job.GridRows, job.GridColumns) = (cost, rows, columns);
            }
        }

        /// <summary>Columns that stay together.</summary>
        private static int TileWidth(in MatrixProductArgs<T> args) => args.IsPacked ? GemmBlock<T, V, S>.PanelColumns(args.M) : 2 * S.Width;

        private static int Tiles(in MatrixProductArgs<T> args) => (args.N + TileWidth(args) - 1) / TileWidth(args);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Block(in MatrixProductArgs<T> args, int rows, int columns, T* a, T* b, T* c, Epilogue? epilogue)
        {
            if (args.IsPacked)
                GemmBlock<T, V, S>.MultiplyPacked(rows, columns, args.K, GemmBlock<T, V, S>.PanelColumns(args.M), a, args.ARow, args.ACol, b, c, args.CRow, args.Accumulate);
            else
                GemmBlock<T, V, S>.Multiply(rows, columns, args.K, a, args.ARow, args.ACol, b, args.BRow, args.BCol, c, args.CRow, args.Accumulate, epilogue);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void RunParts(void* state, int part, int endPart)
        {
            ref var job = ref Unsafe.AsRef<Job>(state);
            ref readonly var args = ref job.Args;
            var grid = job.GridRows * job.GridColumns;
            var total = args.Count * grid;
            var end = total * endPart / job.Parts;
            for (var block = total * part / job.Parts; block < end;)
            {
                var (matrix, cell) = Math.DivRem(block, grid);
                var (row, column) = Math.DivRem((int)cell, job.GridColumns);
                var endColumn = (int)Math.Min(job.GridColumns, column + end - block);
                var endRow = job.GridColumns > 1 ? row + 1 : (int)Math.Min(job.GridRows, row + end - block);
                block += job.GridColumns > 1 ? endColumn - column : endRow - row;
                var i = (int)((long)args.M * row / job.GridRows);
                var rows = (int)((long)args.M * endRow / job.GridRows) - i;
                var (tiles, width) = (Tiles(args), TileWidth(args));
                var j = (int)((long)tiles * column / job.GridColumns) * width;
                var columns = Math.Min((int)((long)tiles * endColumn / job.GridColumns) * width, args.N) - j;
                Block(
                    args, rows, columns,
                    args.A + args.AOffset(matrix) + i * args.ARow,
                    args.B + args.BOffset(matrix) + j * (args.IsPacked ? args.K : args.BCol),
                    args.C + args.COffset(matrix) + i * args.CRow + j,
                    job.Epilogue);
            }
        }
    }
}
