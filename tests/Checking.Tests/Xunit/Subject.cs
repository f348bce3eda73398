using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;
using Xunit;

namespace Dnn.Checking.Tests;

/// <summary>Properties that do not hold or cannot run. xunit finds no tests in an abstract class; <see cref="Harness"/> runs them.</summary>
[Properties(Replay = "(1,11400714819323198485)")]
public abstract class Subject
{
    public static ManualResetEventSlim Gate { get; } = new();

    [Property]
    public static bool Small(int x) => x < 20;

    [Property]
    public static void Short(int[] items, bool flag) => Assert.True(items.Length < 3 || flag, "three or more");

    [Property]
    public static void Throws(int x)
    {
        if (x > 5) throw new InvalidOperationException("bad luck", new FormatException("below"));
    }

    [Property]
    public static Property Labelled(int x) => (x < 10).Label("below ten").And((x > -1000).Label("not tiny"));

    [Property]
    public static Property Inner(int x) => Prop.ForAll<int>(y => x + y < 30);

    [Property]
    public static async Task<bool> AsyncFalse(int x)
    {
        await Task.Yield();
        return x < 20;
    }

    [Property]
    public static async Task AsyncThrows(int x)
    {
        await Task.Yield();
        Assert.InRange(x, -1000, 20);
    }

    [Property]
    public static bool Constant() => false;

    [Property(Arbitrary = [typeof(Chain)])]
    public static bool Printed(Chain chain) => chain.Length < 3;

    [Property(MaxRejected = 20)]
    public static Property Rejected(int x) => (x > 0).When(x > 5);

    [Property]
    public static bool Generic<T>(T x) => x is not null;

    [Property]
    public static bool ByReference(ref int x) => x == 0;

    [Property]
    public static bool NoGenerator(ICounterexample x) => x is null;

    [Property(Arbitrary = [typeof(BadGenerator)])]
    public static bool GeneratorThrows(Chain chain) => chain.Length >= 0;

    [Property(Arbitrary = [typeof(BadShrinker)])]
    public static bool ShrinkerThrows(Chain chain) => chain.Length < 3;

    [Property(MaxTest = 0)]
    public static bool NoTests(int x) => true;

    [Property(StartSize = 10, EndSize = 5)]
    public static bool SizesTurned(int x) => true;

    [Property(Replay = "(1,2,3)")]
    public static bool EvenGamma(int x) => true;

    [Property(Timeout = 100)]
    public static void Endless(int x)
    {
        Gate.Wait();
    }

    [Property(MaxTest = 3, Verbose = true)]
    public static bool Verbose(int x) => true;

    [Property(QuietOnSuccess = true)]
    public static bool Quiet(int x) => true;

    [Property]
    public static Property Classified(int x) => true.Collect("all");

    [Property(Parallelism = 2)]
    public static bool Parallel(int x) => x < 20;

    [Property(DisplayName = "a name of its own", Skip = "a reason")]
    public static bool Passed_Over(int x) => true;

    /// <summary>A stand-in for a random graph: its text has one line a link.</summary>
    public sealed class Chain(int length) : ICounterexample
    {
        public int Length { get; } = length;

        public string ToText() => string.Join('\n', Enumerable.Range(0, Length).Select(i => $"h{i + 1} = h{i}"));

        public static Arbitrary<Chain> Arbitrary() =>
            Arb.From(Gen.Choose(0, 9).Select(n => new Chain(n)), chain => Enumerable.Range(0, chain.Length).Select(n => new Chain(n)));
    }

    public static class BadGenerator
    {
        public static Arbitrary<Chain> Arbitrary() =>
            Gen.Choose(0, 9).Select(n => n < 9 ? new Chain(n) : throw new InvalidOperationException("no nine")).ToArbitrary();
    }

    public static class BadShrinker
    {
        public static Arbitrary<Chain> Arbitrary() =>
            Arb.From(Gen.Choose(0, 9).Select(n => new Chain(n)), _ => throw new InvalidOperationException("no smaller one"));
    }
}
