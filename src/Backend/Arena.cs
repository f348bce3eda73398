namespace Dnn.Backend;

/// <summary>Places blocks in one stretch of memory: best fit among free blocks, neighbours merged, in logarithmic time.</summary>
internal sealed class Arena
{
    public const long Alignment = 64;

    private readonly SortedSet<(long Size, long Start)> free = [];
    private readonly Dictionary<long, long> sizeAtStart = [];
    private readonly Dictionary<long, long> sizeAtEnd = [];

    /// <summary>The bytes used so far at most.</summary>
    public long Size { get; private set; }

    public static long Align(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;

    public long Take(long bytes)
    {
        var size = Align(bytes);
        if (size == 0)
            return 0;

        // No block is empty, so that a size of 0 means that none is large enough; the set would walk all of them to count those that are.
        var best = free.GetViewBetween((size, 0), (long.MaxValue, 0)).Min;
        if (best.Size > 0)
        {
            Remove(best.Start, best.Size);
            if (best.Size > size)
                Insert(best.Start + size, best.Size - size);
            return best.Start;
        }

        // The last free block grows if it ends where memory ends.
        var start = Size;
        if (sizeAtEnd.TryGetValue(Size, out var last))
        {
            start = Size - last;
            Remove(start, last);
        }

        Size = start + size;
        return start;
    }

    public void Release(long start, long bytes)
    {
        var size = Align(bytes);
        if (size == 0)
            return;
        if (sizeAtEnd.TryGetValue(start, out var before))
        {
            Remove(start - before, before);
            (start, size) = (start - before, size + before);
        }

        if (sizeAtStart.TryGetValue(start + size, out var after))
        {
            Remove(start + size, after);
            size += after;
        }

        Insert(start, size);
    }

    private void Insert(long start, long size)
    {
        free.Add((size, start));
        sizeAtStart[start] = size;
        sizeAtEnd[start + size] = size;
    }

    private void Remove(long start, long size)
    {
        free.Remove((size, start));
        sizeAtStart.Remove(start);
        sizeAtEnd.Remove(start + size);
    }
}
