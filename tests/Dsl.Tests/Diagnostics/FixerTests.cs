using System.Runtime.CompilerServices;
using Dnn.Testing;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary><c>dnn fix</c>: what is safe is applied until nothing of the kind is left, and makes nothing worse.</summary>
public class FixerTests
{
    private static readonly string[] Texts =
    [
        .. DiagnosticCodes.All.Select(c => c.Bad), .. DiagnosticCodes.All.Select(c => c.Good), .. Samples.All,
        .. Fixtures().SelectMany(f => File.ReadAllText(f).TrimEnd('\n').Split("\n// ----\n")).Select(t => MarkedSource.Parse(t).Source.Text),
    ];

    [Fact]
    public void Fixing_is_a_fixed_point_and_adds_no_error()
    {
        foreach (var text in Texts)
        {
            var before = Linter.Check(Compiler.Compile(new SourceText(text)));
            var once = Fixer.Apply(new SourceText(text));
            var after = Linter.Check(Compiler.Compile(new SourceText(once.Text)));
            Assert.True(after.Count(d => d.IsError) <= before.Count(d => d.IsError), $"{text}\n=>\n{once.Text}");
            Assert.True(Fixer.Apply(new SourceText(once.Text)).Text == once.Text, $"{text}\n=>\n{once.Text}");
            Assert.All(once.Applied, fix => Assert.True(fix.IsSafe));
            if (!before.Any(d => d.Fix is { IsSafe: true }))
                Assert.Equal(text, once.Text);
        }
    }

    [Theory]
    [InlineData("let a = 2 × 3;\n", "let a = 2 * 3\n")]
    [InlineData("let a = 'x'\n", "let a = \"x\"\n")]
    [InlineData("# note\nlet a = 2 ^ 3\n", "// note\nlet a = 2 ** 3\n")]
    [InlineData("let a = 0 < 1 < 2\n", "let a = 0 < 1 and 1 < 2\n")]
    [InlineData("model M {\n\tinput x: [B]\n\toutput y = x |> layer_norm\n}\n", "model M {\n  input x: [B]\n  output y = x |> layer_norm()\n}\n")]
    public void What_is_meant_for_sure_is_repaired(string text, string expected) => Assert.Equal(expected, Fixer.Apply(new SourceText(text)).Text);

    [Theory]
    [InlineData("layer f(x: [B]) {\n  return rleu(x)\n}\n")]
    [InlineData("modle M {\n}\n")]
    [InlineData("model M {\n  input x: [B, 3]\n  output y = softmax(x, axes = 1)\n}\n")]
    public void A_guess_is_left_to_people(string text)
    {
        Assert.NotNull(Compile.Diagnostics(new SourceText(text))[0].Fix);
        Assert.Equal(text, Fixer.Apply(new SourceText(text)).Text);
    }

    private static IEnumerable<string> Fixtures([CallerFilePath] string here = "")
    {
        var folder = Path.GetDirectoryName(RepoRoot.Source(here))!;
        return Directory.GetFiles(folder, "*.dnn").Concat(Directory.GetFiles(Path.Combine(folder, "..", "Lint"), "*.dnn")).Order(StringComparer.Ordinal);
    }
}
