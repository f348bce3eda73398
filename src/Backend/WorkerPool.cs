using System.Diagnostics;
using System.Runtime.ExceptionServices;

namespace Dnn.Backend;

/// <summary>
/// Runs the parts of one job on a fixed number of threads: the caller and <c>Threads − 1</c> workers.
/// </summary>
/// <remarks>
/// Thread <c>t</c> of <c>n</c> owns the parts <c>[t·parts/n, (t+1)·parts/n)</c>, so a repeated job finds its data in the same
/// cache; the caller takes over the share of a worker that has not begun yet, so a busy machine delays a job but never stalls
/// it. Parts must not depend on who runs them: then results do not depend on the number of threads.
/// Workers start at the first job, spin for a moment between jobs, then sleep; with more threads than processors they
/// do not spin. A job begun while another is under way (from inside a part, or on another thread) runs on its caller alone.
/// </remarks>
public sealed unsafe class WorkerPool : IDisposable
{
    private const int SpinMicroseconds = 150;

    private readonly Worker[] _workers;
    private readonly SemaphoreSlim _wakeCaller = new(0);
    private readonly long _spinTicks;
    private bool _started;
    private bool _disposed;
    private int _busy;
    private int _callerSleeps;

    // The job: written by the caller before it publishes the next epoch, read by whoever has claimed a share of that epoch.
    private long _epoch;
    private int _parts;
    private Action<int>? _action;
    private delegate*<void*, int, void> _body;
    private void* _state;

    /// <summary>Makes a pool; <paramref name="threads"/> counts the caller.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="threads"/> is less than 1.</exception>
    public WorkerPool(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        Threads = threads;
        _spinTicks = threads <= Environment.ProcessorCount ? Stopwatch.Frequency * SpinMicroseconds / 1_000_000 : 0;
        _workers = new Worker[threads - 1];
    }

    /// <summary>The number of threads that work on a job, the caller included.</summary>
    public int Threads { get; }

    /// <summary>Calls <paramref name="body"/>(<paramref name="state"/>, part) once for each part in <c>[0, parts)</c> and returns when all are done.</summary>
    /// <remarks>Allocates nothing. An exception stops its thread's share; the one of the lowest share is rethrown after all threads have stopped.</remarks>
    public void Run(int parts, delegate*<void*, int, void> body, void* state)
    {
        if (!TryEnter(parts))
        {
            for (var part = 0; part < parts; part++)
                body(state, part);
            return;
        }

        _body = body;
        _state = state;
        RunJob(parts);
    }

    /// <summary>Calls <paramref name="body"/>(part) once for each part in <c>[0, parts)</c> and returns when all are done.</summary>
    /// <remarks>Allocates nothing by itself: keep the delegate. Exceptions as in the other overload.</remarks>
    public void Run(int parts, Action<int> body)
    {
        if (!TryEnter(parts))
        {
            for (var part = 0; part < parts; part++)
                body(part);
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
        _parts = parts;
        var epoch = Publish();

        var error = RunShare(0);
        for (var i = 0; i < _workers.Length; i++)
        {
            var worker = _workers[i];
            if (Interlocked.CompareExchange(ref worker.Claimed, epoch, epoch - 1) == epoch - 1)
            {
                worker.Error = RunShare(i + 1);
                Volatile.Write(ref worker.Done, epoch);
            }
        }

        foreach (var worker in _workers)
        {
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
            var thread = new Thread(() => Work(share)) { IsBackground = true, Name = $"Dnn worker {share}" };
            _workers[i] = new Worker(thread) { Claimed = _epoch, Done = _epoch };
        }

        _started = true;
        foreach (var worker in _workers)
            worker.Thread.Start();
    }

    private void Work(int share)
    {
        var worker = _workers[share - 1];
        var seen = worker.Done;
        while (true)
        {
            seen = AwaitEpochAfter(seen, worker);
            if (Volatile.Read(ref _disposed))
                return;
            // Losing the claim means that the caller has taken the share, and perhaps published another job since.
            if (Interlocked.CompareExchange(ref worker.Claimed, seen, seen - 1) != seen - 1)
                continue;
            worker.Error = RunShare(share);
            Volatile.Write(ref worker.Done, seen);
            Interlocked.MemoryBarrier();
            WakeIfAsleep(ref _callerSleeps, _wakeCaller);
        }
    }

    private Exception? RunShare(int share)
    {
        var part = (int)((long)_parts * share / Threads);
        var end = (int)((long)_parts * (share + 1) / Threads);
        try
        {
            if (_action is { } action)
            {
                for (; part < end; part++)
                    action(part);
            }
            else
            {
                for (; part < end; part++)
                    _body(_state, part);
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
        public long Claimed;
        public long Done;
        public int Sleeps;
    }
}
