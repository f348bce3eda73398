using System.Numerics;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>h[t] = a[t] · h[t − 1] + b[t] along the middle axis of [outer, size, inner]; a may be one number.</summary>
internal sealed class RecurrenceInstruction(int node, DType type, bool reverse, bool single, long outer, long size, long inner, Operand a, Operand b, Operand target)
    : Instruction(node, [a, b, target], 2)
{
    public override string Name => $"linear_recurrence {Sizes([outer, size, inner])}";

    public override long Flops => type.IsFloat() ? 2 * outer * size * inner : 0;

    public override bool AllowsInPlace(int input, int output) => input == 1 || !single;

    public override unsafe Step Bind(void** pointers, Engine engine) => type switch
    {
        DType.F32 => new RecurrenceStep<float>((float*)pointers[0], (float*)pointers[1], (float*)pointers[2], reverse, single, outer, size, inner, engine.Pool),
        DType.F64 => new RecurrenceStep<double>((double*)pointers[0], (double*)pointers[1], (double*)pointers[2], reverse, single, outer, size, inner, engine.Pool),
        _ => new RecurrenceStep<long>((long*)pointers[0], (long*)pointers[1], (long*)pointers[2], reverse, single, outer, size, inner, engine.Pool),
    };

    /// <summary>A unit is a piece of the inner axes, over all times.</summary>
    private sealed unsafe class RecurrenceStep<T>(T* a, T* b, T* target, bool reverse, bool single, long outer, long size, long inner, WorkerPool pool)
        : RangeStep(pool, outer * Pieces(inner), 1, outer * (double)size * inner * (inner == 1 ? 2 : 0.3))
        where T : unmanaged, INumber<T>
    {
        private const long Width = 64;

        protected override void Run(long start, long end)
        {
            if (size == 0)
                return;
            var pieces = Pieces(inner);
            for (var unit = start; unit < end; unit++)
            {
                var (block, piece) = Math.DivRem(unit, pieces);
                var first = (block * size * inner) + (piece * Width) + (reverse ? (size - 1) * inner : 0);
                Piece(first, Math.Min(Width, inner - (piece * Width)));
            }
        }

        private static long Pieces(long inner) => (inner + Width - 1) / Width;

        private void Piece(long at, long width)
        {
            var step = reverse ? -inner : inner;
            for (var i = 0L; i < width; i++)
                target[at + i] = b[at + i];
            if (width == 1)
            {
                var h = target[at];
                for (var t = 1L; t < size; t++)
                {
                    at += step;
                    target[at] = h = (h * a[single ? 0 : at]) + b[at];
                }

                return;
            }

            for (var t = 1L; t < size; t++)
            {
                at += step;
                var last = target + at - step;
                var i = 0L;
                for (; i + Vector<T>.Count <= width; i += Vector<T>.Count)
                {
                    var factor = single ? new Vector<T>(*a) : Vector.Load(a + at + i);
                    ((Vector.Load(last + i) * factor) + Vector.Load(b + at + i)).Store(target + at + i);
                }

                for (; i < width; i++)
                    target[at + i] = (last[i] * a[single ? 0 : at + i]) + b[at + i];
            }
        }
    }
}
