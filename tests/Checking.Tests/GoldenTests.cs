using System.Text;
using Dnn.Testing;
using FsCheck.Xunit;
using Xunit;
using Xunit.Sdk;

namespace Dnn.Checking.Tests;

public sealed class GoldenTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("golden").FullName;

    private string Verified => Path.Combine(folder, "T.M.verified.txt");

    private string Received => Path.Combine(folder, "T.M.received.txt");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void FilesLieBesideTheTest() => Golden.Verify("a golden text\nof two lines");

    [Fact]
    public void ATextWithoutGoldenFileFails()
    {
        var failure = Assert.Throws<XunitException>(() => Golden.VerifyFile("a\nb", Verified, update: false));
        Assert.Contains($"There is no golden file '{Verified}'.\n@@ line 1 @@\n+a\n+b\n", failure.Message);
        Assert.Contains("DNN_UPDATE_GOLDEN=1", failure.Message);
        Assert.Equal("a\nb\n", File.ReadAllText(Received));
        Assert.False(File.Exists(Verified));
    }

    [Fact]
    public void ADifferenceFailsUntilItIsAccepted()
    {
        File.WriteAllText(Verified, "a\nb\nc\n");
        var failure = Assert.Throws<XunitException>(() => Golden.VerifyFile("a\nx\nc\n", Verified, update: false));
        Assert.Contains("@@ line 1 @@\n a\n-b\n+x\n c\n", failure.Message);
        Assert.Equal("a\nx\nc\n", File.ReadAllText(Received));

        Golden.VerifyFile("a\nx\nc\n", Verified, update: true);
        Assert.Equal("a\nx\nc\n", File.ReadAllText(Verified));
        Assert.False(File.Exists(Received));
        Golden.VerifyFile("a\nx\nc\n", Verified, update: false);
    }

    [Theory]
    [InlineData("a\r\nb\r\n")]
    [InlineData("a\nb")]
    [InlineData("a\rb\n")]
    public void LineEndingsAndTheLastOneAreAlike(string text)
    {
        File.WriteAllText(Verified, "a\r\nb\r\n", new UTF8Encoding(encoderShouldEmitUTF8Identifier: true));
        Golden.VerifyFile(text, Verified, update: false);
    }

    [Theory]
    [InlineData("a\nb\n\n")]
    [InlineData("a \nb\n")]
    [InlineData("")]
    public void OtherSpaceIsNot(string text)
    {
        File.WriteAllText(Verified, "a\nb\n");
        Assert.Throws<XunitException>(() => Golden.VerifyFile(text, Verified, update: false));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a/b")]
    [InlineData("a b")]
    public void ANameThatIsNoFileNameIsRefused(string name) => Assert.Throws<ArgumentException>(() => Golden.Verify("", name));

    [Theory]
    [InlineData("/_/tests/Checking.Tests/GoldenTests.cs")]
    [InlineData("C:\\build\\tests\\Checking.Tests\\GoldenTests.cs")]
    [InlineData("tests/Checking.Tests/GoldenTests.cs")]
    public void SourcesAreFoundFromMappedPaths(string path) =>
        Assert.Equal(RepoRoot.Combine("tests", "Checking.Tests", "GoldenTests.cs"), RepoRoot.Source(path));

    [Fact]
    public void AForeignSourceIsRefused()
    {
        Assert.Throws<FileNotFoundException>(() => RepoRoot.Source("/_/elsewhere/Nothing.cs"));
        Assert.Throws<DirectoryNotFoundException>(() => RepoRoot.Find(folder));
    }

    [Property(MaxTest = 1000)]
    public void ADiffTurnsOneTextIntoTheOther(byte[] first, byte[] second)
    {
        var (before, after) = (Lines(first), Lines(second));
        var diff = LineDiff.Of(Join(before), Join(after));
        Assert.Equal(before.SequenceEqual(after), diff.Length == 0);
        Assert.Equal(before, Undo(diff, after));

        static string[] Lines(byte[] bytes) => [.. bytes.Select(b => (b % 4).ToString())];
        static string Join(string[] lines) => string.Concat(lines.Select(line => line + "\n"));
    }

    [Fact]
    public void ADiffIsShort()
    {
        var before = Enumerable.Range(0, 1000).Select(i => $"line {i}").ToList();
        var after = before.Where(line => line != "line 100").Select(line => line == "line 900" ? "new" : line).ToList();
        Assert.Equal(
            "@@ line 98 @@\n line 97\n line 98\n line 99\n-line 100\n line 101\n line 102\n line 103\n"
            + "@@ line 897 @@\n line 897\n line 898\n line 899\n-line 900\n+new\n line 901\n line 902\n line 903\n",
            LineDiff.Of(string.Join('\n', before), string.Join('\n', after)));
    }

    [Fact]
    public void LongTextsWithoutACommonLineAreCutOff()
    {
        var before = string.Join('\n', Enumerable.Range(0, 200_000));
        var after = string.Join('\n', Enumerable.Range(200_000, 200_000));
        var diff = LineDiff.Of(before, after);
        Assert.EndsWith("… more differences", diff);
        Assert.InRange(diff.Split('\n').Length, 200, 210);
    }

    // Puts the '-' lines back for the '+' lines, and holds the others to the text.
    private static List<string> Undo(string diff, string[] after)
    {
        var result = new List<string>();
        var position = 0;
        foreach (var line in diff.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith("@@", StringComparison.Ordinal))
            {
                var start = int.Parse(line.Split(' ')[2]) - 1;
                result.AddRange(after[position..start]);
                position = start;
            }
            else if (line[0] == '-') result.Add(line[1..]);
            else
            {
                Assert.Equal(after[position++], line[1..]);
                if (line[0] == ' ') result.Add(line[1..]);
            }
        }
        result.AddRange(after[position..]);
        return result;
    }
}
