using System.Runtime.CompilerServices;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Moves elements from one strided arrangement to another.</summary>
/// <remarks>
/// Axes are put in the order of the target's strides and merged. What remains is a walk over rows: copies of runs, or, where
/// source and target run along different axes, a transposition in square tiles.
/// </remarks>
internal sealed class CopyInstruction : Instruction
{
    private readonly int size;
    private readonly int[] shape;
    private readonly Axis[] axes;

    /// <param name="size">Bytes of an element.</param>
    /// <param name="dims">Sizes of the axes.</param>
    /// <param name="from">Strides of the source, in elements.</param>
    /// <param name="to">Strides of the target, in elements.</param>
    public CopyInstruction(int node, int size, int[] dims, long[] from, long[] to, Operand source, Operand target)
        : base(node, [source, target], 1)
    {
        (this.size, shape) = (size, dims);
        axes = Merge(dims, from, to);
    }

    private readonly record struct Axis(long Count, long From, long To);

    public override string Name => $"copy {Sizes(shape)}";

    public override bool IsMovable => true;

    /// <summary>The elements that are copied.</summary>
    public long Count => Strides.Count(shape);

    /// <summary>Whether they lie side by side, before and after.</summary>
    public bool IsStretch => axes is [(_, 1, 1)];

    /// <summary>The copy of some elements of a stretch.</summary>
    public unsafe Step BindStretch(void** pointers, Pieces elements) => new StretchStep((byte**)pointers, size, elements);

    public override unsafe Step Bind(void** pointers, Engine engine) => new CopyStep((byte**)pointers, size, axes, engine.Pool);

    private sealed unsafe class StretchStep(byte** pointers, int size, Pieces elements) : Step
    {
        public override void Run() => elements.Copy(pointers[0], pointers[1], size);
    }

    private static Axis[] Merge(int[] dims, long[] from, long[] to)
    {
        var result = new List<Axis>();
        foreach (var a in Enumerable.Range(0, dims.Length).Where(a => dims[a] != 1).OrderByDescending(a => Math.Abs(to[a])))
        {
            if (result.Count > 0 && result[^1].From == from[a] * dims[a] && result[^1].To == to[a] * dims[a])
                result[^1] = new Axis(result[^1].Count * dims[a], from[a], to[a]);
            else
                result.Add(new Axis(dims[a], from[a], to[a]));
        }

        if (result.Count == 0)
            result.Add(new Axis(1, 1, 1));

        // The axis along which the source runs goes next to the innermost one.
        var run = result.FindIndex(a => a.From == 1);
        if (run >= 0 && run < result.Count - 2)
        {
            result.Insert(result.Count - 1, result[run]);
            result.RemoveAt(run);
        }

        return [.. result];
    }

    private sealed unsafe class CopyStep : RangeStep
    {
        private const long Tile = 16;

        private readonly byte** pointers;
        private readonly int size;
        private readonly Axis[] outer;
        private readonly Axis row;
        private readonly Axis inner;

        public CopyStep(byte** pointers, int size, Axis[] axes, WorkerPool pool)
            : base(pool, Rows(axes), 1, axes.Aggregate(0.5 * size / 4, (product, axis) => product * axis.Count))
        {
            this.pointers = pointers;
            this.size = size;
            inner = Bytes(axes[^1], size);
            row = axes.Length > 1 ? Bytes(axes[^2], size) : new Axis(1, 0, 0);
            outer = axes.Length > 2 ? [.. axes[..^2].Select(a => Bytes(a, size))] : [];
        }

        protected override void Run(long start, long end)
        {
            // Rows of the last axis but one, in stretches that do not leave it.
            while (start < end)
            {
                var block = start / row.Count;
                var first = start - (block * row.Count);
                var count = Math.Min(row.Count - first, end - start);
                var from = pointers[0] + (first * row.From);
                var to = pointers[1] + (first * row.To);
                var rest = block;
                for (var a = outer.Length - 1; a >= 0; a--)
                {
                    var above = rest / outer[a].Count;
                    var at = rest - (above * outer[a].Count);
                    from += at * outer[a].From;
                    to += at * outer[a].To;
                    rest = above;
                }

                Plane(from, to, count);
                start += count;
            }
        }

        private static long Rows(Axis[] axes)
        {
            var rows = 1L;
            for (var a = 0; a < axes.Length - 1; a++)
                rows *= axes[a].Count;
            return axes[^1].Count == 0 ? 0 : rows;
        }

        private static Axis Bytes(Axis axis, int size) => new(axis.Count, axis.From * size, axis.To * size);

        private void Plane(byte* from, byte* to, long rows)
        {
            if (inner.From == size && inner.To == size)
            {
                for (var i = 0L; i < rows; i++)
                    Buffer.MemoryCopy(from + (i * row.From), to + (i * row.To), inner.Count * size, inner.Count * size);
                return;
            }

            switch (size)
            {
                case 1:
                    Tiles<byte>(from, to, rows);
                    break;
                case 4:
                    Tiles<int>(from, to, rows);
                    break;
                default:
                    Tiles<long>(from, to, rows);
                    break;
            }
        }

        private void Tiles<T>(byte* from, byte* to, long rows)
            where T : unmanaged
        {
            if (inner.From == 0)
            {
                Repeat<T>(from, to, rows);
                return;
            }

            var tile = row.From == size ? Tile : rows;
            var across = row.From == size ? Tile : inner.Count;
            for (var i0 = 0L; i0 < rows; i0 += tile)
            {
                for (var j0 = 0L; j0 < inner.Count; j0 += across)
                {
                    var iEnd = Math.Min(i0 + tile, rows);
                    var jEnd = Math.Min(j0 + across, inner.Count);
                    for (var i = i0; i < iEnd; i++)
                        Line<T>(from + (i * row.From), to + (i * row.To), j0, jEnd);
                }
            }
        }

        /// <summary>Rows of one element again and again.</summary>
        private void Repeat<T>(byte* from, byte* to, long rows)
            where T : unmanaged
        {
            var (count, step) = (inner.Count, inner.To);
            for (var i = 0L; i < rows; i++, from += row.From, to += row.To)
            {
                var value = *(T*)from;
                for (var j = 0L; j < count; j++)
                    *(T*)(to + (j * step)) = value;
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private void Line<T>(byte* from, byte* to, long start, long end)
            where T : unmanaged
        {
            var (a, b) = (inner.From, inner.To);
            for (var j = start; j < end; j++)
                *(T*)(to + (j * b)) = *(T*)(from + (j * a));
        }
    }
}

/// <summary>Zeros.</summary>
internal sealed class ClearInstruction(Operand target, long bytes) : Instruction(-1, [target], 0)
{
    public override string Name => $"clear {bytes} B";

    public override unsafe Step Bind(void** pointers, Engine engine) => new ClearStep((byte*)pointers[0], bytes, engine.Pool);

    private sealed unsafe class ClearStep(byte* target, long bytes, WorkerPool pool) : RangeStep(pool, bytes, 4096, bytes * 0.05)
    {
        protected override void Run(long start, long end) => System.Runtime.InteropServices.NativeMemory.Clear(target + start, (nuint)(end - start));
    }
}

/// <summary>Zeros around what a tensor stores.</summary>
/// <param name="size">Bytes of an element.</param>
/// <param name="dims">Sizes without the zeros.</param>
/// <param name="low">Zeros before, along each axis.</param>
/// <param name="high">Zeros behind.</param>
/// <param name="target">The tensor with its zeros, row-major.</param>
internal sealed class BorderInstruction(int size, int[] dims, int[] low, int[] high, Operand target) : Instruction(-1, [target], 0)
{
    public override string Name => $"border of {Sizes(dims)}";

    public override unsafe Step Bind(void** pointers, Engine engine) => new BorderStep((byte*)pointers[0], size, dims, low, high, engine.Pool);

    /// <summary>A unit is a line: the axes from the last one with zeros on.</summary>
    private sealed unsafe class BorderStep : RangeStep
    {
        private readonly byte* target;
        private readonly (long Size, long Low, long High)[] outer;
        private readonly long line;
        private readonly long before;
        private readonly long behind;

        public BorderStep(byte* target, int size, int[] dims, int[] low, int[] high, WorkerPool pool)
            : base(pool, Lines(dims, low, high), 16, Lines(dims, low, high) * 10.0)
        {
            var last = Last(low, high);
            var inner = size * Strides.Count(dims.AsSpan(last + 1));
            this.target = target;
            outer = [.. Enumerable.Range(0, last).Select(a => ((long)dims[a], (long)low[a], (long)high[a]))];
            (line, before, behind) = (inner * (dims[last] + low[last] + high[last]), inner * low[last], inner * high[last]);
        }

        protected override void Run(long start, long end)
        {
            for (var index = start; index < end; index++)
            {
                var (rest, isInside) = (index, true);
                for (var a = outer.Length - 1; a >= 0; a--)
                {
                    var (size, low, high) = outer[a];
                    (rest, var at) = Math.DivRem(rest, size + low + high);
                    isInside &= at >= low && at < low + size;
                }

                var p = target + (index * line);
                if (!isInside)
                {
                    new Span<byte>(p, checked((int)line)).Clear();
                    continue;
                }

                new Span<byte>(p, (int)before).Clear();
                new Span<byte>(p + line - behind, (int)behind).Clear();
            }
        }

        private static int Last(int[] low, int[] high) => Math.Max(Array.FindLastIndex(low, n => n > 0), Array.FindLastIndex(high, n => n > 0));

        private static long Lines(int[] dims, int[] low, int[] high)
        {
            var lines = 1L;
            for (var a = 0; a < Last(low, high); a++)
                lines *= dims[a] + low[a] + high[a];
            return lines;
        }
    }
}
