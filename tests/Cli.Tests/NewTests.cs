using Xunit;

namespace Dnn.Cli.Tests;

/// <summary>Templates.</summary>
public class NewTests : Workspace
{
    public static TheoryData<string> Templates() => [.. NewCommand.Names];

    [Theory]
    [MemberData(nameof(Templates))]
    public void New_makes_a_folder_that_trains_as_it_stands(string template)
    {
        Assert.Contains("dnn train", Fine("new", At(template), "--template", template).Output);
        var file = At(template, template + ".dnn");
        Assert.Equal("", Fine("check", file).Error);
        Assert.Equal("", Fine("lint", "--strict", file).Error);
        Assert.NotEmpty(Fine("summary", file).Output);
        Fine("fmt", "--check", file);
        Assert.EndsWith(", 0 failed\n", Fine("test", file).Output);
        Fine("train", file, "--steps", "2", "--out", At("run"), "--quiet");
        Assert.True(File.Exists(At("run", "best.safetensors")));
        Assert.Contains($"dnn train {template}.dnn", File.ReadAllText(At(template, "README.md")));
        Fails(1, ["new", At(template)], "exists already");
    }

    [Theory]
    [MemberData(nameof(Templates))]
    public void Every_command_of_the_readme_runs(string template)
    {
        Fine("new", At(template), "--template", template);
        var lines = File.ReadAllLines(At(template, "README.md")).Where(l => l.StartsWith("dnn ", StringComparison.Ordinal)).Select(l => l.Split('#')[0].Trim()).ToArray();
        Assert.Contains(lines, l => l.StartsWith("dnn eval", StringComparison.Ordinal));
        foreach (var line in lines)
        {
            // As in the folder itself, and with two steps of training.
            string[] args = [.. line.Replace("'The '", "The", StringComparison.Ordinal).Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(a => a.Contains('.', StringComparison.Ordinal) ? At(template, a) : a)];
            Fine(args[0] == "train" ? [.. args, "--steps", "2", "--out", At(template, "runs", template)] : args);
        }
    }

    [Fact]
    public void New_knows_its_templates() => Fails(2, ["new", At("x"), "--template", "ltsm"], "--template is mlp, cnn, lstm, gpt or gnn, not 'ltsm'; did you mean 'lstm'?");
}
