using System.Text.RegularExpressions;
using Dnn.Testing;
using FsCheck.Xunit;
using Xunit;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace Dnn.Checking.Tests;

public class PropertyFailureTests
{
    [Theory]
    [InlineData(nameof(Subject.Small))]
    [InlineData(nameof(Subject.Short))]
    [InlineData(nameof(Subject.Throws))]
    [InlineData(nameof(Subject.Labelled))]
    [InlineData(nameof(Subject.Inner))]
    [InlineData(nameof(Subject.AsyncFalse))]
    [InlineData(nameof(Subject.AsyncThrows))]
    [InlineData(nameof(Subject.Constant))]
    [InlineData(nameof(Subject.Printed))]
    [InlineData(nameof(Subject.Rejected))]
    [InlineData(nameof(Subject.Generic))]
    [InlineData(nameof(Subject.ByReference))]
    [InlineData(nameof(Subject.NoGenerator))]
    [InlineData(nameof(Subject.GeneratorThrows))]
    [InlineData(nameof(Subject.ShrinkerThrows))]
    [InlineData(nameof(Subject.NoTests))]
    [InlineData(nameof(Subject.SizesTurned))]
    [InlineData(nameof(Subject.EvenGamma))]
    public async Task TheReport(string method)
    {
        var report = await Harness.RunSubject(method);
        Assert.False(report.Passed);
        Golden.Verify(report.Text, method);
    }

    [Theory]
    [InlineData(nameof(Subject.Small), "\n  x = 20\n")]
    [InlineData(nameof(Subject.AsyncFalse), "\n  x = 20\n")]
    [InlineData(nameof(Subject.AsyncThrows), "\n  x = 21\n")]
    [InlineData(nameof(Subject.Throws), "\n  x = 6\n")]
    [InlineData(nameof(Subject.Short), "\n  items = [0, 0, 0]\n  flag = false\n")]
    [InlineData(nameof(Subject.Printed), "\n  chain =\n    h1 = h0\n    h2 = h1\n    h3 = h2\n")]
    public async Task ShrinksToTheLeast(string method, string shrunk) =>
        Assert.Contains("Shrunk:" + shrunk, (await Harness.RunSubject(method)).Text);

    [Theory]
    [InlineData(nameof(Subject.Small))]
    [InlineData(nameof(Subject.Short))]
    [InlineData(nameof(Subject.Throws))]
    [InlineData(nameof(Subject.Labelled))]
    [InlineData(nameof(Subject.Inner))]
    [InlineData(nameof(Subject.AsyncFalse))]
    [InlineData(nameof(Subject.AsyncThrows))]
    [InlineData(nameof(Subject.Printed))]
    [InlineData(nameof(Subject.GeneratorThrows))]
    [InlineData(nameof(Subject.ShrinkerThrows))]
    [InlineData(nameof(Subject.Parallel))]
    public async Task TheReplayFindsTheSameFailure(string method)
    {
        var first = (await Harness.RunSubject(method)).Text;
        var replay = Regex.Match(first, """\[Property\(Replay = "(.*)"\)\]""").Groups[1].Value;
        var info = typeof(Subject).GetMethod(method)!;
        var settings = PropertySettings.Of(typeof(Subject), info);
        settings.Replay = replay;

        var run = new PropertyRun(settings, typeof(PropertyFailureTests), info, null, _ => { }, CancellationToken.None);
        var second = Assert.Throws<PropertyFailedException>(run.Check).Message;

        Assert.Equal(WithoutCounts(first), WithoutCounts(second));

        static string WithoutCounts(string text) => Regex.Replace(text, "after [0-9]+ tests?", "after some tests");
    }

    [Fact]
    public async Task SeveralAtATimeGiveTheSameReportEveryTime() =>
        Assert.Equal((await Harness.RunSubject(nameof(Subject.Parallel))).Text, (await Harness.RunSubject(nameof(Subject.Parallel))).Text);

    [Fact]
    public async Task TheStackTraceShowsTheTestAlone()
    {
        foreach (var method in (string[])[nameof(Subject.Throws), nameof(Subject.AsyncThrows), nameof(Subject.Short)])
        {
            var trace = (await Harness.RunSubject(method)).StackTrace;
            var line = Assert.Single(trace.Split('\n'), frame => !frame.Contains("Xunit.Assert"));
            Assert.Contains("Subject." + method, line);
        }
        Assert.Equal("", (await Harness.RunSubject(nameof(Subject.Small))).StackTrace);
    }

    [Fact]
    public async Task AnEndlessTestIsGivenUp()
    {
        var report = await Harness.RunSubject(nameof(Subject.Endless));
        Subject.Gate.Set();
        Assert.Matches("Test 1 was still running after 100 ms.\nReproduce: .Property.Replay = \"", report.Text);
    }

    [Fact]
    public async Task OutputTellsWhatRan()
    {
        var verbose = await Harness.RunSubject(nameof(Subject.Verbose));
        Assert.True(verbose.Passed);
        Assert.Matches("^(Test [123]:\n  x = -?[0-9]+\n){3}Ok, passed 3 tests.\n$", verbose.Output);
        Assert.Equal("", (await Harness.RunSubject(nameof(Subject.Quiet))).Output);
        Assert.Contains("100% \"all\"", (await Harness.RunSubject(nameof(Subject.Classified))).Output);
    }

    [Fact]
    public async Task FactNamesWork()
    {
        var testCase = Harness.Discover(typeof(Subject), nameof(Subject.Passed_Over));
        Assert.Equal("a name of its own", testCase.DisplayName);
        var copy = SerializationHelper.Deserialize<PropertyTestCase>(SerializationHelper.Serialize(testCase));
        Assert.Equal((testCase.UniqueID, testCase.DisplayName), (copy.UniqueID, copy.DisplayName));
        var report = await Harness.RunSubject(nameof(Subject.Passed_Over));
        Assert.Equal("a reason", Assert.Single(report.Messages.OfType<ITestSkipped>()).Reason);
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("-1")]
    [InlineData("1.5")]
    public void ASeedThatIsNoneIsRefused(string seed) =>
        Assert.Contains($"FSCHECK_SEED = \"{seed}\"", Assert.Throws<PropertyFailedException>(() => PropertySettings.StartingSeed("a.b", seed)).Message);

    [Fact]
    public void SeedsComeFromTheNameOrTheVariable()
    {
        Assert.Equal(Seed("a.b", null), Seed("a.b", ""));
        Assert.NotEqual(Seed("a.b", null), Seed("a.c", null));
        Assert.Equal(7UL, Seed("a.b", "7"));
        Assert.NotEqual(Seed("a.b", "random"), Seed("a.b", "random"));

        static ulong Seed(string name, string? variable) => PropertySettings.StartingSeed(name, variable).Seed;
    }

    [Theory]
    [InlineData("1")]
    [InlineData("1,2")]
    [InlineData("(1,3,-4)")]
    [InlineData("(1,3,4,5)")]
    [InlineData("(a,3,4)")]
    public void AReplayThatIsNoneIsRefused(string replay) =>
        Assert.Contains(
            $"Replay = \"{replay}\"",
            Assert.Throws<PropertyFailedException>(() => new PropertySettings { Replay = replay }.ToConfig("a.b", null)).Message);

    [Theory]
    [InlineData("1,3")]
    [InlineData("(1,3)")]
    [InlineData(" ( 1, 3 ) ")]
    public void AReplayMayLeaveOutItsSize(string text)
    {
        var replay = new PropertySettings { Replay = text }.ToConfig("a.b", null).Replay.Value;
        Assert.Equal((1UL, 3UL), (replay.Rnd.Seed, replay.Rnd.Gamma));
        Assert.Null(replay.Size);
    }
}
