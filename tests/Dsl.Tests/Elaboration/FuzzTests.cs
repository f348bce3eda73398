using System.Text;
using Dnn.Testing;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Any bytes go through everything, from the lexer to checks, lint, fixes and layout: there are diagnostics, and never an exception, a hang or a text that is lost.</summary>
public class FuzzTests
{
    private static readonly string[] Texts =
    [
        Samples.TwoMoons, Samples.Everything, CompilerRobustnessTests.Large,
        .. Directory.GetFiles(RepoRoot.Combine("examples"), "*.dnn").Concat(Directory.GetFiles(RepoRoot.Combine("src", "Dsl", "Std"), "*.dnn")).Order(StringComparer.Ordinal)
            .Select(f => File.ReadAllText(f).ReplaceLineEndings("\n")),
    ];

    /// <summary>Letters and signs that programs are not used to: of other widths and directions, invisible, combining, halves of pairs.</summary>
    private const string Exotic = "é\u0301\u00A0\u200B\u200D\u202E\u2028\u2029\u0085\uFEFF（）［］，：＝＋→⇒≤≥≠×÷−–—“”‘’…·λаΑß\u0130ﬁ\u3000\uD83D\uDE00\uD800\uDC00\0\u0007\u001B\u007F\uFFFF𝒜１２३";

    [Fact]
    public void Random_bytes()
    {
        var random = new Random(11);
        for (var i = 0; i < 400; i++)
        {
            var bytes = new byte[random.Next(400)];
            random.NextBytes(bytes);
            Whole(Encoding.UTF8.GetString(bytes));
            Whole(Encoding.Latin1.GetString(bytes));
        }
    }

    [Fact]
    public void Bytes_of_a_file_are_read_whatever_they_are()
    {
        var random = new Random(12);
        var path = Path.GetTempFileName();
        try
        {
            foreach (var text in Texts)
            {
                var bytes = Encoding.UTF8.GetBytes(text);
                for (var k = 0; k < 20; k++)
                    bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                File.WriteAllBytes(path, bytes);
                Whole(SourceText.Read(path).Text);
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Mutated_examples()
    {
        var random = new Random(13);
        foreach (var text in Texts)
        {
            for (var i = 0; i < 12; i++)
            {
                var mutated = new StringBuilder(text);
                for (var edits = random.Next(1, 5); edits > 0 && mutated.Length > 0; edits--)
                {
                    var at = random.Next(mutated.Length);
                    var length = Math.Min(random.Next(1, 40), mutated.Length - at);
                    switch (random.Next(5))
                    {
                        case 0: mutated.Remove(at, length); break;
                        case 1: mutated.Insert(at, Exotic[random.Next(Exotic.Length)]); break;
                        case 2: mutated.Insert(random.Next(mutated.Length), mutated.ToString(at, length)); break;
                        case 3: mutated.Insert(at, "([{}])\"|>=,.:"[random.Next(13)]); break;
                        default: mutated.Length = at; break;
                    }
                }

                Whole(mutated.ToString());
            }
        }
    }

    [Theory]
    [InlineData("(", ")")]
    [InlineData("[", "]")]
    [InlineData("-", "")]
    [InlineData("not ", "")]
    [InlineData("f(", ")")]
    [InlineData("x[", "]")]
    [InlineData("a => ", "")]
    [InlineData("a => { return ", " }")]
    [InlineData("if true then ", " else 1")]
    [InlineData("x |> (", ")")]
    [InlineData("for i in 0..1 { ", " }")]
    [InlineData("2 ** ", "")]
    [InlineData("[1 for i in ", "]")]
    [InlineData("residual(", ")")]
    public void Deep_nesting(string open, string close)
    {
        foreach (var depth in new[] { 50, 150, 199, 200, 201, 1000, 50_000 })
        {
            var nested = $"{string.Concat(Enumerable.Repeat(open, depth))}relu{string.Concat(Enumerable.Repeat(close, depth))}";
            Whole($"model M {{\n  input x: [B, 4]\n  let f = {nested}\n  output y = x\n}}\n");
            Whole($"let a = {nested}");
            Whole($"let a = {string.Concat(Enumerable.Repeat(open, depth))}");
        }
    }

    [Theory]
    [InlineData("input x: ", "[", "B", "]")]
    [InlineData("layer f(a: ", "(", "int", ")")]
    [InlineData("let ", "(", "a", ")")]
    [InlineData("test \"t\" ", "{ assert_error \"DNN0001\" ", "{ }", " }")]
    public void Deep_nesting_of_types_patterns_and_blocks(string start, string open, string inner, string close)
    {
        foreach (var depth in new[] { 100, 300, 20_000 })
            Whole($"{start}{string.Concat(Enumerable.Repeat(open, depth))}{inner}{string.Concat(Enumerable.Repeat(close, depth))}");
    }

    [Theory]
    [InlineData("// ", "x", "")]
    [InlineData("let a = \"", "x", "\"")]
    [InlineData("let a = \"", "x", "")]
    [InlineData("let a = ", "(", "")]
    [InlineData("let a = ", "7", "")]
    [InlineData("let a = ", "$", "")]
    [InlineData("let ", "a", " = 1")]
    [InlineData("let a = 1", " ", "")]
    [InlineData("", "}", "")]
    [InlineData("", "\uD800", "")]
    public void One_line_of_ten_megabytes(string start, string unit, string end)
    {
        var text = new StringBuilder(start, 10_000_100);
        text.Insert(text.Length, unit, 10_000_000 / unit.Length).Append(end);
        Whole(text.ToString());
    }

    [Theory]
    [InlineData("1 + ", "1")]
    [InlineData("[1, ", "1")]
    [InlineData("b * ", "b")]
    [InlineData("f(x) |> ", "relu")]
    [InlineData("a.", "b")]
    public void One_long_line_of_tokens(string unit, string last) => Whole("let a = " + string.Concat(Enumerable.Repeat(unit, 500_000 / unit.Length)) + last);

    [Fact]
    public void Everything_that_can_lack_its_end()
    {
        foreach (var text in Texts.Take(3))
        {
            for (var end = 0; end < text.Length; end += 37)
                Whole(text[..end]);
            foreach (var open in new[] { "\"", "(", "[", "{", "/*", "//", "///", "'", "`", "\\", "if ", "for ", "x => ", "|> ", "let ", "layer f(", "model M {", "input x: [", "-> ", "= ", ", ", "gradient (" })
            {
                Whole(text + open);
                Whole(open + text);
                Whole(text.Replace("\n", open + "\n", StringComparison.Ordinal));
            }
        }
    }

    [Fact]
    public void Exotic_letters_everywhere()
    {
        foreach (var text in Texts.Take(3))
        {
            for (var i = 0; i < Exotic.Length; i++)
            {
                var sign = char.IsHighSurrogate(Exotic[i]) && i + 1 < Exotic.Length && char.IsLowSurrogate(Exotic[i + 1]) ? Exotic.Substring(i, 2) : Exotic[i].ToString();
                for (var at = i; at < text.Length; at += 211)
                    Whole(text.Insert(at, sign));
            }
        }

        var random = new Random(14);
        for (var i = 0; i < 300; i++)
            Whole(string.Concat(Enumerable.Range(0, random.Next(80)).Select(_ => Exotic[random.Next(Exotic.Length)])));
    }

    [Theory]
    [InlineData("\r\n")]
    [InlineData("\r")]
    [InlineData("\n\r")]
    [InlineData("\u0085")]
    [InlineData("\u2028")]
    public void Other_line_ends(string lineEnd)
    {
        foreach (var text in Texts)
            Whole(text.Replace("\n", lineEnd, StringComparison.Ordinal));
    }

    [Fact]
    public void CRLF_and_a_mark_of_the_byte_order_change_nothing()
    {
        foreach (var text in Texts.Concat(DiagnosticCodes.All.Select(c => c.Bad)))
        {
            var plain = Compiler.Compile(new SourceText(text));
            foreach (var other in new[] { text.Replace("\n", "\r\n", StringComparison.Ordinal), "\uFEFF" + text, "\uFEFF" + text.Replace("\n", "\r\n", StringComparison.Ordinal) })
            {
                var result = Compiler.Compile(new SourceText(other));
                Assert.Equal(SyntaxPrinter.Print(plain.Syntax.Root), SyntaxPrinter.Print(result.Syntax.Root));
                Assert.Equal(plain.Diagnostics.Select(d => (d.Code, d.Span.Source.Locate(d.Span.Start).Line)), result.Diagnostics.Select(d => (d.Code, d.Span.Source.Locate(d.Span.Start).Line)));
                Whole(other);
            }
        }
    }

    /// <summary>Everything that is done with a text.</summary>
    private static void Whole(string text)
    {
        try
        {
            var source = new SourceText(text);
            var result = Compiler.Compile(source);
            var tree = result.Syntax;
            Assert.Equal(text.Length, tree.Tokens[^1].FullEnd);
            var found = Linter.Check(result);
            Assert.All(found.Take(50), d => Assert.True(d.Span.IsNone || (d.Span.Start >= 0 && d.Span.End <= d.Span.Source.Length), d.ToString()));
            Assert.NotNull(new DiagnosticFormatter().Format(found.Take(50)));
            var formatted = Formatter.Format(tree);

            // A text that cannot be understood is left as it is.
            if (tree.Diagnostics.Any(d => d.IsError))
                Assert.Equal(text, formatted);
            else if (text.Length < 100_000)
                Assert.Equal(formatted, Formatter.Format(Parser.Parse(new SourceText(formatted))));
            if (text.Length < 2000)
                Assert.NotNull(Fixer.Apply(source).Text);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            Assert.Fail($"{e}\n\n{(text.Length > 3000 ? text[..3000] + " …" : text)}");
        }
    }
}
