using System.Collections;
using FsCheck.Xunit;
using Xunit;

namespace Dnn.Checking.Tests;

public class ArgumentTextTests
{
    [Fact]
    public void WordsAsLiterals()
    {
        Assert.Equal("null", ArgumentText.Of(null));
        Assert.Equal("true", ArgumentText.Of(true));
        Assert.Equal("-3", ArgumentText.Of(-3));
        Assert.Equal("0.30000000000000004", ArgumentText.Of(0.1 + 0.2));
        Assert.Equal("-0", ArgumentText.Of(-0.0));
        Assert.Equal("0.1f", ArgumentText.Of(0.1f));
        Assert.Equal("double.NaN", ArgumentText.Of(double.NaN));
        Assert.Equal("float.NegativeInfinity", ArgumentText.Of(float.NegativeInfinity));
        Assert.Equal("\"a\\n\\\"b\\\"\\u0000\\ud800'\"", ArgumentText.Of("a\n\"b\"\0\ud800'"));
        Assert.Equal("'\\''", ArgumentText.Of('\''));
        Assert.Equal("Monday", ArgumentText.Of(DayOfWeek.Monday));
        Assert.Equal("(1, \"a\")", ArgumentText.Of((1, "a")));
        Assert.Equal("[[1, 2], []]", ArgumentText.Of(new List<int[]> { new[] { 1, 2 }, Array.Empty<int>() }));
        Assert.Equal("Point { X = 1 }", ArgumentText.Of(new Point(1)));
        Assert.Equal("two lines\nof text", ArgumentText.Of(new Picture()));
        Assert.Equal("[two lines\nof text]", ArgumentText.Of(new[] { new Picture() }));
    }

    [Fact]
    public void AFailingTextIsNoFailure() =>
        Assert.Equal(
            "[<Dnn.Checking.Tests.ArgumentTextTests+Mute[] has no text: System.InvalidOperationException: mute>", ArgumentText.Of(new[] { new Mute() }));

    [Fact]
    public void EndlessAndBottomlessValuesEnd()
    {
        Assert.InRange(ArgumentText.Of(Endless()).Length, 10_000, 10_100);
        Assert.InRange(ArgumentText.Of(new Bottomless()).Length, 1, 1000);

        static IEnumerable<int> Endless()
        {
            while (true) yield return 1;
        }
    }

    private sealed record Point(int X);

    private sealed class Picture : ICounterexample
    {
        public string ToText() => "two lines\nof text";
    }

    private sealed class Mute
    {
        public override string ToString() => throw new InvalidOperationException("mute");
    }

    private sealed class Bottomless : IEnumerable
    {
        public IEnumerator GetEnumerator()
        {
            yield return this;
        }
    }
}
