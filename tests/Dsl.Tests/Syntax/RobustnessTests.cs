using System.Text;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Any text gives a tree, and its tokens are the text.</summary>
public class RobustnessTests
{
    [Fact]
    public void Samples_round_trip()
    {
        foreach (string sample in Samples.All) Check(sample);
    }

    [Fact]
    public void Random_bytes()
    {
        var random = new Random(1);
        for (int i = 0; i < 300; i++)
        {
            byte[] bytes = new byte[random.Next(200)];
            random.NextBytes(bytes);
            Check(Encoding.UTF8.GetString(bytes));
            Check(Encoding.Latin1.GetString(bytes));
        }
    }

    [Fact]
    public void Random_signs()
    {
        var random = new Random(2);
        for (int i = 0; i < 2000; i++) Check(string.Concat(Enumerable.Range(0, random.Next(60)).Select(_ => Mutations.Sign(random))));
    }

    [Fact]
    public void Random_words()
    {
        var random = new Random(3);
        for (int i = 0; i < 3000; i++) Check(Mutations.Words(random, 80));
    }

    [Fact]
    public void Mutated_samples()
    {
        var random = new Random(4);
        foreach (string sample in Samples.All)
        {
            for (int i = 0; i < 60; i++) Check(Mutations.Of(sample, random));
        }
    }

    [Fact]
    public void Every_beginning_of_a_sample()
    {
        for (int i = 0; i <= Samples.Everything.Length; i += 3) Check(Samples.Everything[..i]);
    }

    [Fact]
    public void One_error_does_not_hide_the_declarations_after_it()
    {
        string[] lines = Samples.TwoMoons.Split('\n');
        for (int i = 3; i < lines.Length; i++)
        {
            if (lines[i].Length == 0 || lines[i] == "}") continue;
            string broken = string.Join('\n', lines[..i].Append(lines[i] + " ) ").Concat(lines[(i + 1)..]));
            var tree = Parser.Parse(new(broken));
            Assert.True(tree.Diagnostics.Length == 1, $"{broken}\n{new DiagnosticFormatter().Format(tree.Diagnostics)}");
            Assert.InRange(tree.Root.Declarations.Length, 3, 4);
        }
    }

    [Theory]
    [InlineData('a')]
    [InlineData('$')]
    [InlineData('"')]
    [InlineData('\\')]
    [InlineData('1')]
    [InlineData('(')]
    [InlineData('}')]
    [InlineData(';')]
    [InlineData('.')]
    [InlineData('\u200B')]
    public void A_long_line_of_one_sign(char sign) => Check("let a = " + new string(sign, 200_000));

    private static void Check(string text)
    {
        var source = new SourceText(text);
        var tree = Parser.Parse(source);
        var rebuilt = new StringBuilder(text.Length);
        int end = 0;
        foreach (var token in tree.Tokens)
        {
            Assert.Equal(end, token.FullStart);
            Assert.True(token.FullStart <= token.Start && token.Start <= token.End && token.End <= token.FullEnd);
            rebuilt.Append(text, token.FullStart, token.FullEnd - token.FullStart);
            end = token.FullEnd;
        }

        Assert.Equal(text, rebuilt.ToString());
        Assert.Equal(TokenKind.EndOfFile, tree.Tokens[^1].Kind);
        for (int i = 0; i < tree.Tokens.Length; i++)
        {
            if (tree.Tokens[i].Partner >= 0) Assert.Equal(i, tree.Tokens[tree.Tokens[i].Partner].Partner);
        }

        Assert.All(tree.Diagnostics.Take(100), d => Assert.True(d.Span.Start >= 0 && d.Span.Length >= 0 && d.Span.End <= text.Length, d.ToString()));
        Assert.NotNull(new DiagnosticFormatter().Format(tree.Diagnostics.Take(20)));
        Assert.NotNull(SyntaxPrinter.Print(tree.Root));
        if (text.Length < 5000) Assert.NotNull(SyntaxPrinter.Tokens(tree));
    }
}
