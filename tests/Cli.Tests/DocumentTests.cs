using Dnn.Testing;
using Xunit;

namespace Dnn.Cli.Tests;

/// <summary>The examples of the language's reference as a reader runs them.</summary>
public class DocumentTests : Workspace
{
    [Fact]
    public void The_tests_of_every_example_of_the_reference_pass()
    {
        var blocks = File.ReadAllText(RepoRoot.Combine("docs", "language.md")).Split("```dnn\n").Skip(1).Select(b => b[..b.IndexOf("```", StringComparison.Ordinal)]).ToArray();
        Directory.CreateDirectory(At("lib"));
        var files = blocks.Select((b, i) => Write(b.StartsWith("// lib/", StringComparison.Ordinal) ? b[3..b.IndexOf('\n', StringComparison.Ordinal)] : $"{i}.dnn", b)).ToArray();
        foreach (var file in files)
            Assert.EndsWith(", 0 failed\n", Fine("test", file).Output);

        Assert.Contains(files, f => Fine("test", f).Output.EndsWith("9 passed, 0 failed\n", StringComparison.Ordinal));
    }
}
