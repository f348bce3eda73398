using System.Runtime.CompilerServices;
using Dnn.Graph;
using Dnn.Testing;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>
/// Each code has a file in Diagnostics/ with marked sources, divided by a line <c>// ----</c>: every one raises the code at its marks, and nothing else.
/// </summary>
public class DiagnosticTests
{
    private const string Divider = "\n// ----\n";

    public static TheoryData<string> SyntaxCodes() =>
        new(DiagnosticCodes.All.Select(c => c.Code).Where(c => string.CompareOrdinal(c, "DNN0100") < 0));

    [Fact]
    public void Every_code_is_unique_documented_and_has_a_fixture()
    {
        Assert.Equal(DiagnosticCodes.All.Length, DiagnosticCodes.All.Select(c => c.Code).Distinct().Count());
        foreach (var code in DiagnosticCodes.All)
        {
            Assert.Matches("^DNN[0-9]{4}$", code.Code);
            Assert.True(code.Title.Length > 5 && code.Explanation.Length > 30 && code.Bad.Length > 0 && code.Good.Length > 0, code.Code);
            Assert.True(File.Exists(Fixture(code.Code)), $"{code.Code} has no fixture");
        }
    }

    [Theory]
    [MemberData(nameof(SyntaxCodes))]
    public void Marked_sources_raise_the_code_at_their_marks(string code)
    {
        foreach (string text in File.ReadAllText(Fixture(code)).TrimEnd('\n').Split(Divider))
        {
            var marked = MarkedSource.Parse(text);
            var found = Parser.Parse(marked.Source).Diagnostics;
            string shown = new DiagnosticFormatter().Format(found);
            Assert.True(found.All(d => d.Code == code), $"{text}\n\n{shown}");
            Assert.True(found.Select(d => d.Span).SequenceEqual(marked.Spans), $"{text}\n\nbut found\n\n{MarkedSource.Show(marked.Source, found.Select(d => d.Span))}\n\n{shown}");
        }
    }

    [Theory]
    [MemberData(nameof(SyntaxCodes))]
    public void Examples_do_what_the_table_says(string code)
    {
        var row = DiagnosticCodes.Find(code)!;
        Assert.Equal([code], Compile.Diagnostics(new(row.Bad)).Select(d => d.Code));
        Assert.Empty(Compile.Diagnostics(new(row.Good)));
    }

    [Theory]
    [MemberData(nameof(SyntaxCodes))]
    public void Fixes_repair_what_they_are_for(string code)
    {
        foreach (string text in File.ReadAllText(Fixture(code)).TrimEnd('\n').Split(Divider))
        {
            var source = MarkedSource.Parse(text).Source;
            var found = Parser.Parse(source).Diagnostics;
            foreach (var fix in found.Select(d => d.Fix).OfType<Fix>())
            {
                string repaired = source.Text[..fix.Span.Start] + fix.Replacement + source.Text[fix.Span.End..];
                int left = Parser.Parse(new(repaired)).Diagnostics.Length;
                // The one tab that is reported gives way to the next.
                Assert.True(left < found.Length || code == "DNN0012", $"{source.Text}\n=> {repaired}");
            }
        }
    }

    [Theory]
    [InlineData("let a =\n", "expected an expression after '=', found the end of the file")]
    [InlineData("let a = f(1 2)", "expected ',' or ')' after '1', found '2'")]
    [InlineData("layer f(x: [B]", "expected ',' or ')' to close the '('")]
    [InlineData("let a = 1 2", "expected the end of the line after '1', found '2'")]
    [InlineData("modle M {\n}", "no declaration starts with 'modle'")]
    public void Messages_say_what_was_expected(string text, string message) =>
        Assert.Equal(message, Assert.Single(Parser.Parse(new(text)).Diagnostics).Message);

    [Fact]
    public void Errors_in_different_lines_are_all_reported_and_the_rest_is_understood()
    {
        var tree = Parser.Parse(new("let = 1\nlet a = 2\nmodel M {\n  loss\n  output = 3\n  input x: [B]\n}\nlet b = (\nlet c = 3\n"));
        Assert.Equal([1, 4, 5, 8], tree.Diagnostics.Select(d => d.Span.Source.Locate(d.Span.Start).Line));
        Assert.Equal("(let a 2)\n(model M\n  (input x [B]))\n(let c 3)\n", SyntaxPrinter.Print(tree.Root));
    }

    [Fact]
    public void The_formatter_shows_places_notes_and_fixes()
    {
        var (source, spans) = MarkedSource.Parse("let a = 1\nlet b\t= [|foo|]([|bar|])\nlet c = 2\nlet d = [|3|]\n", "m.dnn");
        var other = MarkedSource.Parse("layer foo([|x|]: [B]) {}", "other.dnn");
        var diagnostic = DiagnosticCodes.UnexpectedToken.At(spans[0], "no\u001b[31m").With(spans[1], "here").With(spans[2], "and here")
            .With(other.Span, "there").WithTrace(spans[2], "block").WithNote("because").WithFix("write 'baz'", spans[0], "baz");
        Assert.Equal(
            "error[DNN0020]: no·[31m\n --> m.dnn:2:9\n   |\n 2 | let b  = foo(bar)\n   |              --- here\n   |          ^^^\n"
            + "..\n 4 | let d = 3\n   |         - and here\n"
            + " ::: other.dnn:1:11\n   |\n 1 | layer foo(x: [B]) {}\n   |           - there\n"
            + "  in block at m.dnn:4:9\n  note: because\n  fix: write 'baz'\n     + let b  = baz(bar)\n",
            new DiagnosticFormatter().Format(diagnostic));
        Assert.Contains("\e[31m", new DiagnosticFormatter(colors: true).Format(diagnostic), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("modle", "model")]
    [InlineData("LAYER", "layer")]
    [InlineData("tset", "test")]
    [InlineData("xyz", null)]
    [InlineData("data", null)]
    public void The_nearest_name_is_suggested(string name, string? expected) =>
        Assert.Equal(expected, Suggestion.Closest(name, Keywords.Declarations));

    private static string Fixture(string code, [CallerFilePath] string here = "") =>
        Path.Combine(Path.GetDirectoryName(here)!, "..", string.CompareOrdinal(code, "DNN1000") < 0 ? "Diagnostics" : "Lint", code + ".dnn");
}
