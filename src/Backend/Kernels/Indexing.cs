using System.Numerics;
using System.Runtime.CompilerServices;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Sizes of a gather from [batch, before, size, after] by [batch, picks] to [batch, before, picks, after].</summary>
internal readonly record struct IndexSizes(long Batch, long Before, long Size, long After, long Picks)
{
    public override string ToString() => $"[{Batch}, {Before}, {Size}, {After}] by [{Batch}, {Picks}]";

    /// <exception cref="IndexException">An index is below 0 or not below the size.</exception>
    public unsafe void Verify(long* indices, string op)
    {
        for (var i = 0L; i < Batch * Picks; i++)
        {
            if ((ulong)indices[i] >= (ulong)Size)
                throw new IndexException($"{op}: index {indices[i]} at position {i} is out of range: the axis has size {Size}", indices[i], Size);
        }
    }
}

/// <summary>Slices of a table, chosen by indices.</summary>
internal sealed class GatherInstruction(int node, int elementSize, IndexSizes sizes, Operand source, Operand indices, Operand target)
    : Instruction(node, [source, indices, target], 2)
{
    public override string Name => $"gather {sizes}";

    public override bool MayFail => true;

    public override unsafe Step Bind(void** pointers, Engine engine) =>
        new GatherStep((byte*)pointers[0], (long*)pointers[1], (byte*)pointers[2], elementSize, sizes, engine.Pool);

    private sealed unsafe class GatherStep(byte* source, long* indices, byte* target, int elementSize, IndexSizes sizes, WorkerPool pool)
        : RangeStep(pool, sizes.Batch * sizes.Before * sizes.Picks, 1, sizes.Batch * sizes.Before * sizes.Picks * (3 + (0.1 * sizes.After * elementSize / 4)))
    {
        protected override void Run(long start, long end)
        {
            if (start == 0)
                sizes.Verify(indices, "gather");
            var bytes = sizes.After * elementSize;
            for (var row = start; row < end; row++)
            {
                var (block, pick) = Math.DivRem(row, sizes.Picks);
                var chosen = indices[(block / sizes.Before * sizes.Picks) + pick];

                // A bad index is reported by whoever has the first range; nobody follows it.
                if ((ulong)chosen >= (ulong)sizes.Size)
                    return;
                var from = source + (((block * sizes.Size) + chosen) * bytes);
                var to = target + (row * bytes);
                switch (bytes)
                {
                    case 4:
                        *(int*)to = *(int*)from;
                        break;
                    case 8:
                        *(long*)to = *(long*)from;
                        break;
                    default:
                        Buffer.MemoryCopy(from, to, bytes, bytes);
                        break;
                }
            }
        }
    }
}

/// <summary>Adds slices where indices say, each place in the order of the indices, whatever the number of threads.</summary>
internal sealed class ScatterAddInstruction(int node, DType type, IndexSizes sizes, Operand indices, Operand source, Operand target)
    : Instruction(node, [indices, source, target], 2)
{
    public override string Name => $"scatter_add {sizes}";

    public override bool MayFail => true;

    public override long Flops => sizes.Batch * sizes.Before * sizes.Picks * sizes.After;

    public override unsafe Step Bind(void** pointers, Engine engine) => type == DType.F32
        ? new ScatterStep<float>((long*)pointers[0], (float*)pointers[1], (float*)pointers[2], sizes, engine.Pool)
        : new ScatterStep<double>((long*)pointers[0], (double*)pointers[1], (double*)pointers[2], sizes, engine.Pool);

    /// <summary>A unit is a piece of the last axes of one [size, after] block.</summary>
    private sealed unsafe class ScatterStep<T>(long* indices, T* source, T* target, IndexSizes sizes, WorkerPool pool)
        : RangeStep(pool, sizes.Batch * sizes.Before * Pieces(sizes), 1, sizes.Batch * sizes.Before * (double)sizes.After * (sizes.Picks + sizes.Size) * 0.3)
        where T : unmanaged, INumber<T>
    {
        private const long Width = 64;

        protected override void Run(long start, long end)
        {
            if (start == 0)
                sizes.Verify(indices, "scatter_add");
            var pieces = Pieces(sizes);
            for (var unit = start; unit < end; unit++)
            {
                var (block, piece) = Math.DivRem(unit, pieces);
                var first = piece * Width;
                var width = Math.Min(Width, sizes.After - first);
                var to = target + (block * sizes.Size * sizes.After) + first;
                var from = source + (block * sizes.Picks * sizes.After) + first;
                var chosen = indices + (block / sizes.Before * sizes.Picks);
                for (var i = 0L; i < sizes.Size; i++)
                    new Span<T>(to + (i * sizes.After), (int)width).Clear();
                for (var k = 0L; k < sizes.Picks; k++)
                {
                    if ((ulong)chosen[k] >= (ulong)sizes.Size)
                        return;
                    AddTo(to + (chosen[k] * sizes.After), from + (k * sizes.After), width);
                }
            }
        }

        private static long Pieces(IndexSizes sizes) => (sizes.After + Width - 1) / Width;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void AddTo(T* to, T* from, long count)
        {
            var i = 0L;
            for (; i + Vector<T>.Count <= count; i += Vector<T>.Count)
                (Vector.Load(to + i) + Vector.Load(from + i)).Store(to + i);
            for (; i < count; i++)
                to[i] += from[i];
        }
    }
}
