using Xunit;

namespace Dnn.Backend.Tests;

public sealed class WorkerPoolTests
{
    /// <summary>More threads than processors included.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(40)]
    public void OthersTakeWhatASlowThreadHasLeft(int threads)
    {
        using var pool = new WorkerPool(threads);
        for (var run = 0; run < 50; run++)
        {
            // The range with part 0 ends when all the others have.
            const int parts = 1000;
            var done = 0;
            pool.Run(parts, (start, end) =>
            {
                while (start == 0 && end + Volatile.Read(ref done) < parts)
                    Thread.Yield();
                Interlocked.Add(ref done, end - start);
            });
            Assert.Equal(parts, done);
        }
    }

    [Fact]
    public void AShareIsTakenInHalves()
    {
        using var pool = new WorkerPool(2);
        var ranges = new List<(int Start, int End)>();
        pool.Run(32, (start, end) =>
        {
            lock (ranges)
                ranges.Add((start, end));
        });
        Assert.All(ranges, r => Assert.InRange(r.End - r.Start, 1, 8));
        Assert.Equal(Enumerable.Range(0, 32), ranges.SelectMany(r => Enumerable.Range(r.Start, r.End - r.Start)).Order());
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
            pool.Run(parts, (start, end) =>
            {
                for (var part = start; part < end; part++)
                    Interlocked.Increment(ref runs[part]);
            });
            Assert.All(runs, count => Assert.Equal(1, count));
        }
    }

    [Fact]
    public unsafe void StateReachesEveryPart()
    {
        using var pool = new WorkerPool(3);
        var sums = stackalloc long[7];
        for (var round = 0; round < 1000; round++)
            pool.Run(7, &AddParts, sums);
        for (var part = 0; part < 7; part++)
            Assert.Equal(1000 * part, sums[part]);

        static void AddParts(void* state, int start, int end)
        {
            for (var part = start; part < end; part++)
                ((long*)state)[part] += part;
        }
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
                () => pool.Run(10, (start, _) => throw new InvalidOperationException($"part {start}")));
            Assert.Equal("part 0", error.Message);
            error = Assert.Throws<InvalidOperationException>(
                () => pool.Run(10, (_, end) => { if (end == 10) throw new InvalidOperationException("the last"); }));
            Assert.Equal("the last", error.Message);

            var count = 0;
            pool.Run(10, (start, end) => Interlocked.Add(ref count, end - start));
            Assert.Equal(10, count);
        }
    }

    [Fact]
    public void AJobInsideAJobRunsOnItsCaller()
    {
        using var pool = new WorkerPool(2);
        var count = 0;
        pool.Run(4, (start, end) =>
        {
            var thread = Environment.CurrentManagedThreadId;
            pool.Run(4, (innerStart, innerEnd) =>
            {
                Assert.Equal(thread, Environment.CurrentManagedThreadId);
                Interlocked.Add(ref count, (end - start) * (innerEnd - innerStart));
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
                pool.Run(5, (start, end) => Interlocked.Add(ref count, end - start));
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
        Action<int, int> body = (start, end) =>
        {
            for (var part = start; part < end; part++)
                runs[part]++;
        };
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
        pool.Run(2, (_, _) => { });
        pool.Dispose();
        pool.Dispose();
        Assert.Throws<ObjectDisposedException>(() => pool.Run(2, (_, _) => { }));
        Assert.Throws<ArgumentOutOfRangeException>(() => new WorkerPool(0));
    }
}
