using System.Text.RegularExpressions;
using Xunit;

namespace Dnn.Cli.Tests;

/// <summary>The set of commands is closed: each has help, an example that parses, and a test.</summary>
public class HelpTests : Workspace
{
    public static TheoryData<string> Names => [.. Cli.Commands().Select(c => c.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_command_has_help_with_an_example_that_parses(string name)
    {
        var help = Fine(name, "--help").Output;
        Assert.Contains($"Usage: dnn {name}", help);
        Assert.Contains("--set NAME=VALUE", help);
        Assert.All(help.Split('\n'), line => Assert.True(line.Length <= 110, line));
        var command = Cli.Commands().Single(c => c.Name == name);
        Assert.NotEmpty(command.Examples);
        Assert.All(command.Options, o => Assert.False(string.IsNullOrEmpty(o.Description), o.Name));
        foreach (var example in command.Examples)
        {
            Assert.Contains(example, help);
            var words = Regex.Matches(example.Split(" && ")[0], @"'[^']*'|\S+").Skip(1).Select(w => w.Value.Trim('\''));
            Assert.Empty(Cli.Problems([.. words]));
        }
    }

    [Fact]
    public void Every_command_has_a_test()
    {
        var tested = typeof(Workspace).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(Workspace))).SelectMany(t => t.GetMethods()).Select(m => m.Name.Split('_')[0].ToLowerInvariant()).ToHashSet();
        Assert.All(Cli.Commands(), c => Assert.Contains(c.Name, tested));
    }

    [Fact]
    public void Help_lists_all_commands()
    {
        var help = Fine("--help").Output;
        Assert.All(Cli.Commands(), c => Assert.Contains($"\n  {c.Name} ", help));
    }

    [Fact]
    public void Version_is_shown() => Assert.Matches(@"^\d+\.\d+\.\d+\s*$", Fine("--version").Output);

    [Theory]
    [InlineData(new string[0], "Usage: dnn COMMAND")]
    [InlineData(new[] { "trian", "a.dnn" }, "unknown command 'trian'; did you mean 'train'?")]
    [InlineData(new[] { "train" }, "`dnn train` needs FILE")]
    [InlineData(new[] { "train", "a.dnn", "--epoch", "3" }, "unknown option '--epoch'; did you mean '--epochs'?")]
    [InlineData(new[] { "train", "--epoch" }, "unknown option '--epoch'; did you mean '--epochs'?")]
    [InlineData(new[] { "train", "a.dnn", "--epochs", "many" }, "--epochs takes a whole number from 1, not 'many'")]
    [InlineData(new[] { "train", "a.dnn", "--epochs", "0" }, "--epochs takes a whole number from 1, not '0'")]
    [InlineData(new[] { "train", "a.dnn", "--epochs" }, "--epochs")]
    [InlineData(new[] { "train", "a.dnn", "b.dnn" }, "one argument too many: 'b.dnn'")]
    [InlineData(new[] { "train", "a.dnn", "--dtype", "f16" }, "--dtype is f32 or f64, not 'f16'")]
    [InlineData(new[] { "train", "a.dnn", "--provider", "mkl" }, "--provider is managed or mathnet, not 'mkl'")]
    [InlineData(new[] { "train", "a.dnn", "--threads", "100000" }, "--threads takes a whole number from 1 to 256")]
    [InlineData(new[] { "train", "a.dnn", "--out", "" }, "--out takes the name of a folder")]
    [InlineData(new[] { "eval", "a.dnn" }, "--weights")]
    [InlineData(new[] { "dump", "a.dnn", "--stage", "grap" }, "--stage is tokens, syntax, bound, source, flat, graph, gradient, optimized or plan, not 'grap'; did you mean 'graph'?")]
    [InlineData(new[] { "dump", "a.dnn" }, "`dnn dump` needs --stage tokens|syntax|bound|source|flat|graph|gradient|optimized|plan")]
    [InlineData(new[] { "graph", "a.dnn", "-o", "a.png" }, "no picture is written as .png")]
    [InlineData(new[] { "gradcheck", "a.dnn", "--order", "3" }, "--order is 1 or 2, not '3'")]
    public void A_wrong_command_line_is_explained(string[] args, string says) => Fails(2, args, says);
}
