using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Dnn.Backend;

/// <summary>
/// Runs the parts of one job on a fixed number of threads: the caller and <c>Threads − 1</c> workers.
/// </summary>
/// <remarks>
/// Thread <c>t</c> of <c>n</c> owns the parts <c>[t·parts/n, (t+1)·parts/n)</c>, so a repeated job finds its data in the same
/// cache. It takes half of what is left of them at a time, and then halves of what others have left: so a slower thread, or one that
/// has not begun, delays a job by little. Parts must not depend on who runs them: then results do not depend on the number of threads.
/// Workers start at the first job, spin for a moment between jobs, then sleep; with more threads than processors they
/// do not spin. A job begun while another is under way (from inside a part, or on another thread) runs on its caller alone.
/// </remarks>
public sealed unsafe class WorkerPool : IDisposable
{
    /// <summary>As many parts a thread as are worth making: threads take what is left from one another, which evens out what they do.</summary>
    internal const int PartsPerThread = 16;

    private const int SpinMicroseconds = 150;

    private readonly Worker[] _workers;
    private readonly Share[] _shares;
    private readonly SemaphoreSlim _wakeCaller = new(0);
    private readonly long _spinTicks;
    private bool _started;
    private bool _disposed;
    private int _busy;
    private int _callerSleeps;

    // The job: written by the caller before it publishes the next epoch, read by whoever has joined that epoch.
    private long _epoch;
    private Action<int, int>? _action;
    private delegate*<void*, int, int, void> _body;
    private void* _state;

    /// <summary>Makes a pool; <paramref name="threads"/> counts the caller.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="threads"/> is less than 1.</exception>
    public WorkerPool(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        Threads = threads;
        _spinTicks = threads <= Environment.ProcessorCount ? Stopwatch.Frequency * SpinMicroseconds / 1_000_000 : 0;
        _workers = new Worker[threads - 1];
        _shares = new Share[threads];
    }

    /// <summary>The number of threads that work on a job, the caller included.</summary>
    public int Threads { get; }

    /// <summary>Whether there is a processor for every thread, so that one may wait for another without sleeping.</summary>
    internal bool Spins => _spinTicks > 0;

    /// <summary>Calls <paramref name="body"/>(<paramref name="state"/>, start, end) for ranges that cover <c>[0, parts)</c> once, and returns when all are done.</summary>
    /// <remarks>Allocates nothing. An exception stops its thread; the one of the lowest share is rethrown after all threads have stopped.</remarks>
    public void Run(int parts, delegate*<void*, int, int, void> body, void* state)
    {
        if (!TryEnter(parts))
        {
            if (parts > 0)
                body(state, 0, parts);
            return;
        }

        _body = body;
        _state = state;
        RunJob(parts);
    }

    /// <summary>Calls <paramref name="body"/>(start, end) for ranges that cover <c>[0, parts)</c> once, and returns when all are done.</summary>
    /// <remarks>Allocates nothing by itself: keep the delegate. Exceptions as in the other overload.</remarks>
    public void Run(int parts, Action<int, int> body)
    {
        if (!TryEnter(parts))
        {
            if (parts > 0)
                body(0, parts);
            return;
        }

        _action = body;
        RunJob(parts);
    }

    /// <summary>Stops the workers. A job must not be under way.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        if (!_started)
            return;
        Publish();
        foreach (var worker in _workers)
            worker.Thread.Join();
    }

    // True when the job is to be shared out; the caller then holds the pool until RunJob lets it go.
    private bool TryEnter(int parts)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return parts > 1 && Threads > 1 && Interlocked.CompareExchange(ref _busy, 1, 0) == 0;
    }

    private void RunJob(int parts)
    {
        if (!_started)
            Start();
        for (var share = 0; share < Threads; share++)
            _shares[share].Left = Share.Range((int)((long)parts * share / Threads), (int)((long)parts * (share + 1) / Threads));
        var epoch = Publish();

        var error = Work(0);
        foreach (var worker in _workers)
        {
            // Nothing is left: a worker that has not joined yet shall not.
            if (Interlocked.CompareExchange(ref worker.Joined, epoch, epoch - 1) == epoch - 1)
                continue;
            AwaitDone(worker, epoch);
            error ??= worker.Error;
            worker.Error = null;
        }

        _action = null;
        _body = null;
        _state = null;
        Volatile.Write(ref _busy, 0);
        if (error is not null)
            ExceptionDispatchInfo.Throw(error);
    }

    private long Publish()
    {
        var epoch = Interlocked.Increment(ref _epoch);
        foreach (var worker in _workers)
            WakeIfAsleep(ref worker.Sleeps, worker.Wake);
        return epoch;
    }

    private void Start()
    {
        for (var i = 0; i < _workers.Length; i++)
        {
            var share = i + 1;
            var thread = new Thread(() => Await(share)) { IsBackground = true, Name = $"Dnn worker {share}" };
            _workers[i] = new Worker(thread) { Joined = _epoch, Done = _epoch };
        }

        _started = true;
        foreach (var worker in _workers)
            worker.Thread.Start();
    }

    private void Await(int share)
    {
        var worker = _workers[share - 1];
        var seen = worker.Done;
        while (true)
        {
            seen = AwaitEpochAfter(seen, worker);
            if (Volatile.Read(ref _disposed))
                return;
            // The caller has done the job without this worker, and perhaps published another since.
            if (Interlocked.CompareExchange(ref worker.Joined, seen, seen - 1) != seen - 1)
                continue;
            worker.Error = Work(share);
            Volatile.Write(ref worker.Done, seen);
            Interlocked.MemoryBarrier();
            WakeIfAsleep(ref _callerSleeps, _wakeCaller);
        }
    }

    // Runs ranges until none are left: of a thread's own share from the front, of the shares after it from the back.
    private Exception? Work(int own)
    {
        try
        {
            for (var i = 0; i < Threads; i++)
            {
                var share = own + i < Threads ? own + i : own + i - Threads;
                while (_shares[share].TryTake(front: i == 0, out var start, out var end))
                {
                    if (_action is { } action)
                        action(start, end);
                    else
                        _body(_state, start, end);
                }
            }

            return null;
        }
        catch (Exception e)
        {
            return e;
        }
    }

    private long AwaitEpochAfter(long seen, Worker worker)
    {
        var start = Stopwatch.GetTimestamp();
        while (true)
        {
            var epoch = Volatile.Read(ref _epoch);
            if (epoch != seen)
                return epoch;
            if (StillSpinning(start))
                continue;
            Interlocked.Exchange(ref worker.Sleeps, 1);
            if (Volatile.Read(ref _epoch) == seen || Interlocked.CompareExchange(ref worker.Sleeps, 0, 1) == 0)
                worker.Wake.Wait();
        }
    }

    private void AwaitDone(Worker worker, long epoch)
    {
        var start = Stopwatch.GetTimestamp();
        while (Volatile.Read(ref worker.Done) != epoch)
        {
            if (StillSpinning(start))
                continue;
            Interlocked.Exchange(ref _callerSleeps, 1);
            if (Volatile.Read(ref worker.Done) != epoch || Interlocked.CompareExchange(ref _callerSleeps, 0, 1) == 0)
                _wakeCaller.Wait();
        }
    }

    private bool StillSpinning(long start)
    {
        if (_spinTicks == 0 || Stopwatch.GetTimestamp() - start > _spinTicks)
            return false;
        Thread.SpinWait(4);
        return true;
    }

    // Whoever turns the flag from 1 to 0 decides: the waker releases the semaphore, or the sleeper stays awake.
    private static void WakeIfAsleep(ref int sleeps, SemaphoreSlim wake)
    {
        if (Volatile.Read(ref sleeps) == 1 && Interlocked.CompareExchange(ref sleeps, 0, 1) == 1)
            wake.Release();
    }

    private sealed class Worker(Thread thread)
    {
        public readonly Thread Thread = thread;
        public readonly SemaphoreSlim Wake = new(0);
        public Exception? Error;
        public long Joined;
        public long Done;
        public int Sleeps;
    }

    /// <summary>What is left of a thread's parts, on a cache line of its own.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 128)]
    private struct Share
    {
        /// <summary>The first part in the upper half, the end in the lower.</summary>
        [FieldOffset(0)]
        public long Left;

        public static long Range(int start, int end) => ((long)start << 32) | (uint)end;

        /// <summary>Takes half of what is left.</summary>
        public bool TryTake(bool front, out int start, out int end)
        {
            while (true)
            {
                var left = Volatile.Read(ref Left);
                (start, end) = ((int)(left >> 32), (int)left);
                if (start >= end)
                    return false;
                var middle = front ? end - ((end - start) / 2) : start + ((end - start) / 2);
                if (Interlocked.CompareExchange(ref Left, front ? Range(middle, end) : Range(start, middle), left) != left)
                    continue;
                (start, end) = front ? (start, middle) : (middle, end);
                return true;
            }
        }
    }
}
