using System.Runtime.ExceptionServices;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>
/// Makes the next batch on a thread of its own while a step runs: for rows that come from the disk, are decoded or changed. What is fed
/// is what would be fed without it.
/// </summary>
internal sealed class Prefetcher : IDisposable
{
    private readonly Feeder feeder;
    private readonly DType floats;
    private readonly DataSplit split;
    private readonly Augmenter? augmenter;
    private readonly SemaphoreSlim wanted = new(0), ready = new(0);
    private readonly Thread thread;
    private readonly Dictionary<string, byte[]> staged = [];
    private int[] rows = [];
    private (long Epoch, int Batch, int Count)? next;
    private ExceptionDispatchInfo? failure;
    private volatile bool isOver;

    public Prefetcher(Feeder feeder, DType floats, DataSplit split, Augmenter? augmenter)
    {
        (this.feeder, this.floats, this.split, this.augmenter) = (feeder, floats, split, augmenter);
        thread = new Thread(Work) { IsBackground = true, Name = "prefetch" };
        thread.Start();
    }

    /// <summary>Feeds a batch, and begins with the one after it.</summary>
    public void Feed(Session session, Batches batches, long epoch, int batch)
    {
        var chosen = batches[batch];
        if (next is { } waiting)
        {
            ready.Wait();
            next = null;
            if (waiting.Epoch == epoch && waiting.Batch == batch)
            {
                failure?.Throw();
                feeder.Prepare(session, split, chosen.Length);
                foreach ((string name, byte[] values) in staged)
                {
                    Span<byte> to = session.InputBytes(name);
                    values.AsSpan(0, to.Length).CopyTo(to);
                }

                Begin(batches, epoch, batch + 1);
                return;
            }
        }

        feeder.Feed(session, split, chosen, augmenter, epoch);
        Begin(batches, epoch, batch + 1);
    }

    public void Dispose()
    {
        isOver = true;
        wanted.Release();
        thread.Join();
        wanted.Dispose();
        ready.Dispose();
    }

    // The order of the next epoch is not known yet.
    private void Begin(Batches batches, long epoch, int batch)
    {
        if (batch >= batches.Count)
        {
            return;
        }

        ReadOnlySpan<int> chosen = batches[batch];
        if (rows.Length < chosen.Length)
        {
            rows = new int[chosen.Length];
        }

        chosen.CopyTo(rows);
        (failure, next) = (null, (epoch, batch, chosen.Length));
        wanted.Release();
    }

    private void Work()
    {
        while (true)
        {
            wanted.Wait();
            if (isOver)
            {
                return;
            }

            try
            {
                feeder.Stage(split, rows.AsSpan(0, next!.Value.Count), floats, augmenter, next.Value.Epoch, staged);
            }
            catch (Exception e)
            {
                // Thrown where the batch is asked for.
                failure = ExceptionDispatchInfo.Capture(e);
            }

            ready.Release();
        }
    }
}
