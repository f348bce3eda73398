using Xunit;

namespace Dnn.Dsl.Tests;

public class LexerTests
{
    [Fact]
    public void Trivia_belongs_to_the_token_before_until_the_line_ends()
    {
        var tree = Parser.Parse(new("/// doc\nlet a = 80% // one\n\n  // two\n|> f(1..2) # three\nb"));
        Assert.Equal(
            """
            2:1	Word	"let"	before "/// doc" "\n"	after " "
            2:5	Name	"a"	after " "
            2:7	Mark	"="	after " "
            2:9	Number	"80%"	after " " "// one"
            5:1	Mark	"|>"	before "\n" "\n" "  " "// two" "\n"	after " "
            5:4	Name	"f"
            5:5	Mark	"("
            5:6	Number	"1"
            5:7	Mark	".."
            5:9	Number	"2"
            5:10	Mark	")"	after " " "# three"
            5:19	NewLine	"\n"
            6:1	Name	"b"
            6:2	EndOfFile	""

            """,
            SyntaxPrinter.Tokens(tree));
    }

    [Fact]
    public void Every_kind_is_a_different_character_and_fixed_ones_read_back()
    {
        var kinds = Enum.GetValues<TokenKind>();
        Assert.Equal(kinds.Length, kinds.Select(k => (ushort)k).Distinct().Count());
        foreach (var kind in kinds.Where(TokenKinds.IsFixed)) Assert.Equal(kind, Lexer.Lex(new(kind.Text())).Tokens[0].Kind);
    }

    [Theory]
    [InlineData("a....b", "a ... . b")]
    [InlineData("a...b", "a ... b")]
    [InlineData("0..n", "0 .. n")]
    [InlineData("1.0..2", "1.0 .. 2")]
    [InlineData("a**-b", "a ** - b")]
    [InlineData("a=>b==c=d", "a => b == c = d")]
    [InlineData("a->b-c", "a -> b - c")]
    [InlineData("x|>f", "x |> f")]
    [InlineData("größe_2+σ", "größe_2 + σ")]
    public void The_longest_mark_wins(string text, string expected)
    {
        var source = new SourceText(text);
        var (tokens, diagnostics) = Lexer.Lex(source);
        Assert.Empty(diagnostics);
        Assert.Equal(expected, string.Join(' ', tokens.SkipLast(1).Select(t => source.Span(t.Start, t.End).Text)));
    }

    [Fact]
    public void Lines_are_found_in_any_convention()
    {
        var source = new SourceText("a\r\nb\rc\n\nd");
        Assert.Equal(5, source.LineCount);
        Assert.Equal(["a", "b", "c", "", "d"], Enumerable.Range(0, 5).Select(l => source.Line(l).Text));
        Assert.Equal((2, 1), source.Locate(3));
        Assert.Equal((5, 2), source.Locate(source.Length));
    }

    [Theory]
    [InlineData("\"\\u{1F600}\\n\\\\\\\"\"", "😀\n\\\"")]
    [InlineData("\"\\0\\r\\t\"", "\0\r\t")]
    public void Strings_have_values(string literal, string value)
    {
        Assert.Equal(value, StringLiteral.Value(literal));
        Assert.Equal(value, StringLiteral.Value(Graph.Printer.Quote(value)));
    }

    [Fact]
    public void Keywords_of_the_table_are_those_of_the_grammar()
    {
        foreach (string word in Keywords.Declarations.Concat(Keywords.Statements))
        {
            foreach (string text in new[] { $"{word} ?", $"test \"t\" {{\n{word} ?\n}}" })
            {
                Assert.DoesNotContain(Parser.Parse(new(text.Replace("?", "in", StringComparison.Ordinal))).Diagnostics, d => d.Code == "DNN0028");
            }
        }
    }
}
