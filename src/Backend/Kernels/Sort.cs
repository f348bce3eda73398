using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>The stable order of the elements of rows.</summary>
internal sealed class ArgSortInstruction(int node, DType type, bool descending, long rows, int size, Operand source, Operand target, Operand scratch)
    : Instruction(node, [source, target, scratch], 1)
{
    public override string Name => $"argsort {Sizes([rows, size])}";

    public override unsafe Step Bind(void** pointers, Engine engine) =>
        new SortStep(type, descending, pointers[0], (long*)pointers[1], (ulong*)pointers[2], rows, size, engine.Pool);

    private sealed unsafe class SortStep(DType type, bool descending, void* source, long* target, ulong* scratch, long rows, int size, WorkerPool pool)
        : RangeStep(pool, rows, 1, rows * (double)size * Math.Log2(size + 2) * 3)
    {
        private const ulong Top = 1UL << 63;

        protected override void Run(long start, long end)
        {
            for (var row = start; row < end; row++)
            {
                var keys = new Span<ulong>(scratch + (row * size), size);
                var places = new Span<long>(target + (row * size), size);
                for (var i = 0; i < size; i++)
                    (keys[i], places[i]) = (Key((row * size) + i), i);
                keys.Sort(places);

                // Sorting is not stable: equal keys stand side by side, and their places are put in order.
                for (var i = 0; i < size;)
                {
                    var first = i++;
                    while (i < size && keys[i] == keys[first])
                        i++;
                    if (i - first > 1)
                        places[first..i].Sort();
                }
            }
        }

        /// <summary>Whole numbers in the order of the elements: −0 as 0, NaN above all.</summary>
        private ulong Key(long at)
        {
            var key = type switch
            {
                DType.F32 => Key((double)((float*)source)[at]),
                DType.F64 => Key(((double*)source)[at]),
                _ => (ulong)((long*)source)[at] ^ Top,
            };
            return descending ? ~key : key;
        }

        private static ulong Key(double x)
        {
            if (double.IsNaN(x))
                return ulong.MaxValue;
            var bits = BitConverter.DoubleToUInt64Bits(x + 0.0);
            return (bits & Top) != 0 ? ~bits : bits | Top;
        }
    }
}
