namespace Dnn.Backend;

/// <summary>
/// The rows of each batch of an epoch. The order is a pure function of seed and epoch, so that training resumes at any batch without
/// replaying those before. The last batch is smaller where the size does not divide the rows: no row is left out. Allocates once.
/// </summary>
public sealed class Batches
{
    private readonly int[] _order;
    private readonly long _seed;
    private readonly bool _shuffle;

    /// <param name="rows">How many there are.</param>
    /// <param name="size">The number of rows of a batch; a size beyond the rows makes one batch of all.</param>
    /// <param name="seed">Picks the orders.</param>
    /// <param name="shuffle">Whether an epoch has an order of its own; else the rows come in theirs.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are no rows, or the size is not positive.</exception>
    public Batches(int rows, int size, long seed, bool shuffle = true)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(rows);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(size);
        _order = new int[rows];
        for (int i = 0; i < rows; i++)
        {
            _order[i] = i;
        }

        Size = Math.Min(size, rows);
        _seed = seed;
        _shuffle = shuffle;
        Start(0);
    }

    /// <summary>The number of rows of every batch but the last.</summary>
    public int Size { get; }

    /// <summary>The number of batches in an epoch.</summary>
    public int Count => (int)(((long)_order.Length + Size - 1) / Size);

    /// <summary>Turns to an epoch, 0 being the first.</summary>
    public void Start(long epoch)
    {
        if (_shuffle)
        {
            DataRandom.Permute(RandomUse.Epoch, _seed, epoch, _order);
        }
    }

    /// <summary>The rows of a batch of the epoch that was turned to last.</summary>
    public ReadOnlySpan<int> this[int batch]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfNegative(batch);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(batch, Count);
            int start = batch * Size;
            return _order.AsSpan(start, Math.Min(Size, _order.Length - start));
        }
    }
}
