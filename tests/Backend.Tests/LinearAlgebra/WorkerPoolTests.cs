using Xunit;

namespace Dnn.Backend.Tests;

public sealed class WorkerPoolTests
{
    // More threads than processors included.
    [Fact]
    public void PartsAreSharedOutInAdvance()
    {
        using var pool = new WorkerPool(3);
        var by = new int[20];
        for (var run = 0; run < 50; run++)
        {
            pool.Run(by.Length, part =>
            {
                by[part] = Environment.CurrentManagedThreadId;
                Thread.SpinWait(100);
            });

            // One thread does all of a share, and the caller's own is the first.
            for (var share = 0; share < 3; share++)
                Assert.Single(by[(by.Length * share / 3)..(by.Length * (share + 1) / 3)].Distinct());
            Assert.Equal(Environment.CurrentManagedThreadId, by[0]);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(40)]
    public void EveryPartRunsExactlyOnce(int threads)
    {
        using var pool = new WorkerPool(threads);
        foreach (var parts in Enumerable.Range(0, 100).Concat([1000]))
        {
            var runs = new int[parts];
            pool.Run(parts, part => Interlocked.Increment(ref runs[part]));
            Assert.All(runs, count => Assert.Equal(1, count));
        }
    }

    [Fact]
    public unsafe void StateReachesEveryPart()
    {
        using var pool = new WorkerPool(3);
        var sums = stackalloc long[7];
        for (var round = 0; round < 1000; round++)
            pool.Run(7, &AddPart, sums);
        for (var part = 0; part < 7; part++)
            Assert.Equal(1000 * part, sums[part]);

        static void AddPart(void* state, int part) => ((long*)state)[part] += part;
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void TheFirstExceptionReachesTheCallerAndThePoolGoesOn(int threads)
    {
        using var pool = new WorkerPool(threads);
        for (var round = 0; round < 100; round++)
        {
            var error = Assert.Throws<InvalidOperationException>(
                () => pool.Run(10, part => throw new InvalidOperationException($"part {part}")));
            Assert.Equal("part 0", error.Message);
            error = Assert.Throws<InvalidOperationException>(
                () => pool.Run(10, part => { if (part == 9) throw new InvalidOperationException("the last"); }));
            Assert.Equal("the last", error.Message);

            var count = 0;
            pool.Run(10, _ => Interlocked.Increment(ref count));
            Assert.Equal(10, count);
        }
    }

    [Fact]
    public void AJobInsideAJobRunsOnItsCaller()
    {
        using var pool = new WorkerPool(2);
        var count = 0;
        pool.Run(4, _ =>
        {
            var thread = Environment.CurrentManagedThreadId;
            pool.Run(4, _ =>
            {
                Assert.Equal(thread, Environment.CurrentManagedThreadId);
                Interlocked.Increment(ref count);
            });
        });
        Assert.Equal(16, count);
    }

    [Fact]
    public void SeveralCallersShareAPool()
    {
        using var pool = new WorkerPool(3);
        var count = 0;
        var callers = Enumerable.Range(0, 4).Select(_ => new Thread(() =>
        {
            for (var round = 0; round < 200; round++)
                pool.Run(5, _ => Interlocked.Increment(ref count));
        })).ToArray();
        foreach (var caller in callers)
            caller.Start();
        foreach (var caller in callers)
            caller.Join();
        Assert.Equal(4 * 200 * 5, count);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(40)]
    public void SteadyStateAllocatesNothing(int threads)
    {
        using var pool = new WorkerPool(threads);
        var runs = new int[8];
        Action<int> body = part => runs[part]++;
        for (var round = 0; round < 10; round++)
            pool.Run(8, body);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var round = 0; round < 1000; round++)
            pool.Run(8, body);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
        Assert.All(runs, count => Assert.Equal(1010, count));
    }

    [Fact]
    public void ADisposedPoolRefuses()
    {
        var pool = new WorkerPool(2);
        pool.Run(2, _ => { });
        pool.Dispose();
        pool.Dispose();
        Assert.Throws<ObjectDisposedException>(() => pool.Run(2, _ => { }));
        Assert.Throws<ArgumentOutOfRangeException>(() => new WorkerPool(0));
    }
}
