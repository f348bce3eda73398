using Xunit;

namespace Dnn.Cli.Tests;

/// <summary>Templates.</summary>
public class NewTests : Workspace
{
    [Theory]
    [InlineData("mlp")]
    [InlineData("cnn")]
    [InlineData("lstm")]
    [InlineData("gpt")]
    [InlineData("gnn")]
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

    [Fact]
    public void New_knows_its_templates() => Fails(2, ["new", At("x"), "--template", "ltsm"], "--template is mlp, cnn, lstm, gpt or gnn, not 'ltsm'; did you mean 'lstm'?");
}
