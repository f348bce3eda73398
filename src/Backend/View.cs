using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Elements of a value in memory: element (i₀, …) of the view is element <c>Offset + Σ iₐ·Strides[a]</c> of the value.</summary>
internal sealed record View(int Value, long Offset, int[] Dims, long[] Strides)
{
    /// <summary>Whether the elements lie side by side in row-major order.</summary>
    public bool IsContiguous => Contiguous(Dims, Strides);

    public long Count => Graph.Strides.Count(Dims);

    /// <summary>The view of <paramref name="op"/>'s result, of the sizes <paramref name="to"/>, or null where strides cannot say it.</summary>
    public View? Apply(Op op, int[] to, Func<Dim, long> evaluate)
    {
        switch (op)
        {
            case Broadcast broadcast:
                var stretched = new long[to.Length];
                for (var i = 0; i < Dims.Length; i++)
                    stretched[broadcast.Axes[i]] = Strides[i];
                return new View(Value, Offset, to, stretched);
            case Transpose transpose:
                return Permute([.. transpose.Permutation], to);
            case Reverse reverse:
                var reversed = Strides.AsSpan().ToArray();
                var end = Offset;
                foreach (var axis in reverse.Axes)
                {
                    end += Math.Max(0, Dims[axis] - 1) * Strides[axis];
                    reversed[axis] = -Strides[axis];
                }

                return new View(Value, end, to, reversed);
            case Slice slice:
                var steps = new long[to.Length];
                var first = Offset;
                for (var i = 0; i < steps.Length; i++)
                {
                    first += to[i] == 0 ? 0 : evaluate(slice.Starts[i]) * Strides[i];
                    steps[i] = Strides[i] * slice.Steps[i];
                }

                return new View(Value, first, to, steps);
            default:
                return Reshape(to);
        }
    }

    public View Permute(ReadOnlySpan<int> axes, int[]? to = null)
    {
        var (dims, strides) = (new int[axes.Length], new long[axes.Length]);
        for (var i = 0; i < axes.Length; i++)
            (dims[i], strides[i]) = (Dims[axes[i]], Strides[axes[i]]);
        return new View(Value, Offset, to ?? dims, strides);
    }

    /// <summary>The row-major strides of sizes.</summary>
    public static long[] RowMajor(int[] dims) => Graph.Strides.Of(dims);

    private static bool Contiguous(int[] dims, long[] strides)
    {
        if (dims.Contains(0))
            return true;
        var expected = 1L;
        for (var i = dims.Length - 1; i >= 0; i--)
        {
            if (dims[i] != 1 && strides[i] != expected)
                return false;
            expected *= dims[i];
        }

        return true;
    }

    /// <summary>Splits and merges axes: groups of old and new axes of equal products must each walk with one stride; else null.</summary>
    public View? Reshape(int[] to)
    {
        if (IsContiguous)
            return new View(Value, Offset, to, RowMajor(to));
        var strides = new long[to.Length];
        var (old, next) = (0, 0);
        while (old < Dims.Length || next < to.Length)
        {
            var (oldStart, nextStart) = (old, next);
            long oldSize = old < Dims.Length ? Dims[old++] : 1, nextSize = next < to.Length ? to[next++] : 1;
            while (oldSize != nextSize)
            {
                if (oldSize < nextSize)
                    oldSize *= Dims[old++];
                else
                    nextSize *= to[next++];
            }

            // The old axes of the group must be one run, read from the inside.
            var (stride, known) = (0L, false);
            var run = 1L;
            for (var a = old - 1; a >= oldStart; a--)
            {
                if (Dims[a] == 1)
                    continue;
                if (!known)
                    (stride, known) = (Strides[a], true);
                else if (Strides[a] != stride * run)
                    return null;
                run *= Dims[a];
            }

            for (var a = next - 1; a >= nextStart; a--)
            {
                strides[a] = stride;
                stride *= to[a];
            }
        }

        return new View(Value, Offset, to, strides);
    }
}
