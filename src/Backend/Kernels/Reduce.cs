using System.Numerics;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>The first position of the largest element along the middle axis of [outer, size, inner]; a NaN counts as largest.</summary>
internal sealed class ArgMaxInstruction(int node, DType type, long outer, long size, long inner, Operand source, Operand target)
    : Instruction(node, [source, target], 1)
{
    public override string Name => $"argmax [{outer}, {size}, {inner}]";

    public override unsafe Step Bind(void** pointers, Engine engine) => type == DType.F32
        ? new ArgMaxStep<float>((float*)pointers[0], (long*)pointers[1], outer, size, inner, engine.Pool)
        : new ArgMaxStep<double>((double*)pointers[0], (long*)pointers[1], outer, size, inner, engine.Pool);

    private sealed unsafe class ArgMaxStep<T>(T* source, long* target, long outer, long size, long inner, WorkerPool pool)
        : RangeStep(pool, outer * inner, 8, outer * size * inner)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        protected override void Run(long start, long end)
        {
            for (var i = start; i < end; i++)
            {
                var p = source + (i / inner * inner * size) + (i % inner);
                var (best, at) = (*p, 0L);
                for (var k = 1L; k < size && !T.IsNaN(best); k++)
                {
                    var candidate = p[k * inner];
                    if (candidate > best || T.IsNaN(candidate))
                        (best, at) = (candidate, k);
                }

                target[i] = at;
            }
        }
    }
}
