using Dnn.Testing;
using Xunit;

namespace Dnn.Cli.Tests;

/// <summary>The examples of the language's reference as a reader runs them.</summary>
public class DocumentTests : Workspace
{
    [Fact]
    public void The_reference_of_the_command_names_every_stage()
    {
        var help = Fine("dump", "--help").Output;
        var stages = help[help.IndexOf("--stage ", StringComparison.Ordinal)..].Split(' ', 3)[1].Split('|');
        var section = File.ReadAllText(RepoRoot.Combine("docs", "cli.md")).Split("## Stages\n")[1].Split("\n## ")[0];
        Assert.Contains("source", stages);
        Assert.All(stages, s => Assert.Contains($"`{s}`", section));
    }

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
