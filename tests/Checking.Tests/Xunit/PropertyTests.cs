using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;
using Xunit;
using Xunit.Abstractions;

namespace Dnn.Checking.Tests;

/// <summary>Properties as xunit itself finds and runs them; what they count is looked at when the class is disposed.</summary>
[Properties(MaxTest = 40, Arbitrary = [typeof(Sevens), typeof(Words)])]
public sealed class PropertyTests(ITestOutputHelper output) : IAsyncLifetime, IDisposable
{
    private int ready;
    private int runs;
    private int expected = 40;

    public Task InitializeAsync()
    {
        ready++;
        return Task.CompletedTask;
    }

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose() => Assert.Equal((1, expected), (ready, runs));

    [Property]
    public void Void(int x, string text)
    {
        Count();
        Assert.Equal(7, x);
        Assert.Equal("word", text);
        output.WriteLine("the output helper works");
    }

    [Property(MaxTest = 11)]
    public bool TheMethodHasTheLastWord(int x)
    {
        Count();
        expected = 11;
        return x == 7;
    }

    [Property(Arbitrary = [typeof(Eights)])]
    public bool TheNearestArbitraryWins(int x, string text)
    {
        Count();
        return x == 8 && text == "word";
    }

    [Property]
    public async Task Async(int x)
    {
        Count();
        await Task.Yield();
        Assert.Equal(7, x);
    }

    [Property]
    public async Task<bool> AsyncBool(int x)
    {
        Count();
        await Task.Yield();
        return x == 7;
    }

    [Property]
    public Property FromProperty(byte[] bytes)
    {
        Count();
        return (bytes.Reverse().Reverse().SequenceEqual(bytes)).Label("reversed twice").Classify(bytes.Length == 0, "empty");
    }

    [Property]
    public bool NoParameters()
    {
        Count();
        return true;
    }

    [Property(Parallelism = 2)]
    public bool SeveralAtATime(int x)
    {
        // The runner may have started cases beyond those it asked for.
        Count();
        expected = Volatile.Read(ref runs);
        return x == 7;
    }

    [Property(StartSize = 5, EndSize = 5)]
    public bool SizesAreKept(int[] items)
    {
        Count();
        return items.Length <= 5;
    }

    [Property(Replay = "(12345,54321,10)")]
    public bool AReplayRunsOneCase(long x)
    {
        Count();
        expected = 1;
        return x.ToString(CultureInfo.InvariantCulture).Length > 0;
    }

    private void Count() => Interlocked.Increment(ref runs);

    public static class Sevens
    {
        public static Arbitrary<int> Int() => Gen.Constant(7).ToArbitrary();
    }

    public static class Eights
    {
        public static Arbitrary<int> Int() => Gen.Constant(8).ToArbitrary();
    }

    public static class Words
    {
        public static Arbitrary<string> String() => Gen.Constant("word").ToArbitrary();

        public static Arbitrary<int> Int() => Gen.Constant(9).ToArbitrary();
    }

    [Properties(MaxTest = 5)]
    public sealed class Nested : IDisposable
    {
        private int runs;

        public void Dispose() => Assert.Equal(5, runs);

        [Property]
        public bool InheritsFromTheOuterClass(int x)
        {
            runs++;
            return x == 7;
        }
    }
}
