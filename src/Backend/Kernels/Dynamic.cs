using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>A stretch of an axis: x is [outer, size, inner], the stretch [outer, length, inner].</summary>
internal readonly record struct StretchSizes(long Outer, long Size, long Length, long Inner)
{
    public override string ToString() => $"[{Outer}, {Length} of {Size}, {Inner}]";

    /// <exception cref="IndexException">The stretch from <paramref name="start"/> on does not lie within the axis.</exception>
    public void Verify(long start, string op)
    {
        if (start < 0 || start > Size - Length)
            throw new IndexException(DynamicStretch.OutOfRange(op, start, Length, Size));
    }
}

/// <summary>A stretch from a place that is computed.</summary>
internal sealed class DynamicSliceInstruction(int node, int elementSize, StretchSizes sizes, Operand source, Operand start, Operand target)
    : Instruction(node, [source, start, target], 2)
{
    public override string Name => $"dynamic_slice {sizes}";

    public override bool MayFail => true;

    public override unsafe Step Bind(void** pointers, Engine engine) =>
        new SliceStep((byte*)pointers[0], (long*)pointers[1], (byte*)pointers[2], elementSize, sizes, engine.Pool);

    private sealed unsafe class SliceStep(byte* source, long* start, byte* target, int elementSize, StretchSizes sizes, WorkerPool pool)
        : RangeStep(pool, sizes.Outer, 1, sizes.Outer * (5 + (0.1 * sizes.Length * sizes.Inner * elementSize / 4)))
    {
        protected override void Run(long first, long end)
        {
            // Every range looks, so that none reads outside.
            sizes.Verify(*start, "dynamic_slice");
            var (row, bytes) = (sizes.Inner * elementSize, sizes.Length * sizes.Inner * elementSize);
            for (var i = first; i < end; i++)
                Buffer.MemoryCopy(source + (((i * sizes.Size) + *start) * row), target + (i * bytes), bytes, bytes);
        }
    }
}

/// <summary>Whether a stretch lies within its axis: looked at before anything is committed, so that the write itself may go into a state.</summary>
internal sealed class StretchCheckInstruction(StretchSizes sizes, Operand start) : Instruction(-1, [start], 1)
{
    public override string Name => $"check {sizes}";

    public override bool MayFail => true;

    public override unsafe Step Bind(void** pointers, Engine engine) => new CheckStep((long*)pointers[0], sizes);

    private sealed unsafe class CheckStep(long* start, StretchSizes sizes) : Step
    {
        public override void Run() => sizes.Verify(*start, "dynamic_update_slice");
    }
}

/// <summary>A tensor with a stretch replaced; over the memory of the tensor, only the stretch is written.</summary>
internal sealed class DynamicUpdateSliceInstruction(int node, int elementSize, StretchSizes sizes, Operand source, Operand update, Operand start, Operand target)
    : Instruction(node, [source, update, start, target], 3)
{
    public override string Name => $"dynamic_update_slice {sizes}";

    public override bool AllowsInPlace(int input, int output) => input == 0;

    public override unsafe Step Bind(void** pointers, Engine engine) =>
        new UpdateStep((byte*)pointers[0], (byte*)pointers[1], (long*)pointers[2], (byte*)pointers[3], elementSize, sizes, engine.Pool);

    private sealed unsafe class UpdateStep(byte* source, byte* update, long* start, byte* target, int elementSize, StretchSizes sizes, WorkerPool pool)
        : RangeStep(pool, sizes.Outer, 1, sizes.Outer * (5 + (0.1 * (source == target ? sizes.Length : sizes.Size) * sizes.Inner * elementSize / 4)))
    {
        protected override void Run(long first, long end)
        {
            var row = sizes.Inner * elementSize;
            var (whole, stretch) = (sizes.Size * row, sizes.Length * row);
            for (var i = first; i < end; i++)
            {
                if (source != target)
                    Buffer.MemoryCopy(source + (i * whole), target + (i * whole), whole, whole);
                Buffer.MemoryCopy(update + (i * stretch), target + (i * whole) + (*start * row), stretch, stretch);
            }
        }
    }
}
