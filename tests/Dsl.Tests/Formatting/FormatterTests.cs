using System.Text;
using System.Text.RegularExpressions;
using Dnn.Testing;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Formatting keeps tokens, comments and tree, and is done after once; the layout itself is held as examples.</summary>
public class FormatterTests
{
    private static readonly Lazy<string[]> Good = new(() =>
    [
        .. Samples.All, .. DiagnosticCodes.All.Select(c => c.Good), .. DiagnosticCodes.All.Select(c => c.Bad), .. Examples().Select(File.ReadAllText),
        .. Directory.GetFiles(RepoRoot.Combine("tests", "Dsl.Tests", "Diagnostics"), "*.dnn").Order()
            .SelectMany(f => File.ReadAllText(f).Split("\n// ----\n")).Select(text => MarkedSource.Parse(text).Source.Text),
        .. Directory.GetFiles(RepoRoot.Combine("docs"), "*.md").Append(RepoRoot.Combine("README.md")).Order()
            .SelectMany(f => Regex.Matches(File.ReadAllText(f), "```dnn\n(.*?)```", RegexOptions.Singleline)).Select(m => m.Groups[1].Value),
    ]);

    public static TheoryData<string> ExampleFiles => [.. Examples().Select(f => Path.GetRelativePath(RepoRoot.Path, f))];

    [Theory]
    [MemberData(nameof(ExampleFiles))]
    public void Examples_are_formatted(string file)
    {
        string text = File.ReadAllText(RepoRoot.Combine(file));
        Assert.Equal(text, Formatter.Format(Parser.Parse(new(text))));
    }

    [Fact]
    public void Everything_that_parses_keeps_its_tokens_and_tree()
    {
        Assert.All(Good.Value, text => Check(text));
        Assert.All(Good.Value, text => Check(text.ReplaceLineEndings("\r\n")));
    }

    [Fact]
    public void Line_ends_and_byte_order_marks_do_not_count()
    {
        foreach (string text in Good.Value)
        {
            string expected = Check(text);
            if (Parser.Parse(new(text)).Diagnostics.Any(d => d.IsError)) continue;
            Assert.Equal(expected, Check("\uFEFF" + text));
            Assert.Equal(expected, Check(text.ReplaceLineEndings("\r\n")));
            Assert.Equal(expected, Check(text.ReplaceLineEndings("\r")));
            Assert.Equal(expected, Check("\uFEFF" + text.ReplaceLineEndings("\r\n") + "\r\n\r\n"));
        }
    }

    [Fact]
    public void Mutated_texts_keep_their_tokens_or_are_left_alone()
    {
        var random = new Random(4);
        int formatted = 0;
        foreach (string sample in Good.Value)
        {
            for (int i = 0; i < 12; i++)
            {
                string mutated = Mutations.Of(sample, random);
                Check(mutated);
                if (!Parser.Parse(new(mutated)).Diagnostics.Any(d => d.IsError)) formatted++;
            }
        }

        // Enough of them are still fine for the laws to mean something.
        Assert.InRange(formatted, Good.Value.Length, 12 * Good.Value.Length);
    }

    [Fact]
    public void Random_words_keep_their_tokens_or_are_left_alone()
    {
        var random = new Random(5);
        for (int i = 0; i < 3000; i++) Check(Mutations.Words(random, 20));
    }

    [Fact]
    public void Statements_keep_one_blank_line_between_them_or_none()
    {
        var random = new Random(6);
        foreach (string sample in Good.Value)
        {
            var tree = Parser.Parse(new(sample));
            if (tree.Diagnostics.Any(d => d.IsError) || Comments(tree).Count > 0) continue;
            string spread = Rewritten(tree, (text, at) => text.Append(at > 0 && tree.Tokens[at - 1].Kind == TokenKind.NewLine && random.Next(3) == 0 ? "\n \n" : ""));
            Assert.Equal(BlankLines(spread), BlankLines(Check(spread)));
        }
    }

    /// <summary>Whether a blank line stands before each statement that is not the first of its block.</summary>
    private static List<bool> BlankLines(string text)
    {
        var tokens = Parser.Parse(new(text)).Tokens;
        var found = new List<bool>();
        for (int i = 2; i < tokens.Length; i++)
        {
            if (tokens[i - 1].Kind != TokenKind.NewLine || tokens[i - 2].Kind == TokenKind.LeftBrace || tokens[i].Kind is TokenKind.RightBrace or TokenKind.EndOfFile) continue;
            found.Add(text[tokens[i - 2].End..tokens[i].Start].ReplaceLineEndings("\n").Count(c => c == '\n') > 1);
        }

        return found;
    }

    [Fact]
    public void Layout_does_not_depend_on_blanks()
    {
        var random = new Random(1);
        foreach (string sample in Good.Value)
        {
            var tree = Parser.Parse(new(sample));
            if (tree.Diagnostics.Any(d => d.IsError)) continue;
            string expected = Formatter.Format(tree);
            bool comments = Comments(tree).Count > 0;
            for (int i = 0; i < 4; i++)
            {
                string mutated = Respaced(tree, random);
                string actual = Check(mutated);
                if (!comments) Assert.Equal(WithoutBlankLines(expected), WithoutBlankLines(actual));
            }
        }
    }

    [Fact]
    public void Comments_stay_between_their_tokens()
    {
        var random = new Random(2);
        foreach (string sample in Good.Value)
        {
            var tree = Parser.Parse(new(sample));
            if (tree.Diagnostics.Any(d => d.IsError)) continue;
            for (int i = 0; i < 4; i++) Check(Commented(tree, random));
        }
    }

    [Fact]
    public void Random_expressions()
    {
        var random = new Random(3);
        for (int i = 0; i < 400; i++)
        {
            string text = $"let a = {Expression(random, random.Next(1, 7))}\nmodel M {{\n  loss {Expression(random, 4)} as b\n  return {Expression(random, 3)}\n}}\n";
            var tree = Parser.Parse(new(text));
            Assert.True(tree.Diagnostics.IsEmpty, $"{text}\n{new DiagnosticFormatter().Format(tree.Diagnostics)}");
            Check(text);
            Check(Commented(tree, random));
        }
    }

    [Theory]
    [InlineData("canonical")]
    [InlineData("wide")]
    [InlineData("comments")]
    public void Layout(string name)
    {
        string text = name switch
        {
            "canonical" => Samples.Everything,
            "wide" => Wide,
            _ => Commentary,
        };
        Golden.Verify(Check(text), name);
    }

    [Theory]
    [InlineData("", "")]
    [InlineData("\r\n\r\n", "")]
    [InlineData("\uFEFFlet a=1", "let a = 1\n")]
    [InlineData("// only\n\n\n// this  ", "// only\n\n// this\n")]
    [InlineData("\n\n// first\n\n\nlet a=1 ;", null)]
    [InlineData("\n\n// first\n\n\nlet  a  =  1", "// first\n\nlet a = 1\n")]
    [InlineData("let a=(1", null)]
    [InlineData("let a=-x**-2+80%", "let a = -x ** -2 + 80%\n")]
    [InlineData("let a=80 %b", "let a = 80 % b\n")]
    [InlineData("let a=x [ 1 : ,: :2 ,... , a+1:-b, None ]", "let a = x[1:, ::2, ..., a + 1:-b, None]\n")]
    [InlineData("layer f(x:[B,T,3 * D,D / H+1])->([B],int[B]){return x}", "layer f(x: [B, T, 3*D, D/H + 1]) -> ([B], int[B]) {\n  return x\n}\n")]
    [InlineData("let l=for i in 0 .. n{dense ( i )}", "let l = for i in 0..n { dense(i) }\n")]
    [InlineData("let l=for i in [1,2]{\nlet a=i\ndense(a)}", "let l = for i in [1, 2] {\n  let a = i\n  dense(a)\n}\n")]
    [InlineData("model M{\n\n\n// a\n\n\nlet a=1// b\n\n\n\nlet b=2\n\n}", "model M {\n  // a\n\n  let a = 1 // b\n\n  let b = 2\n}\n")]
    [InlineData("train M() on d{\ncheckpoint (every=2 epochs)\nlr (2+2) *2\n}", "train M() on d {\n  checkpoint(every = 2 epochs)\n  lr (2 + 2) * 2\n}\n")]
    [InlineData("let a=f( // why\nx)", "let a = f( // why\n  x\n)\n")]
    [InlineData("let a_name_that_is_so_long_that_nothing_much_fits_beside_it_on_a_line_of_a_hundred_columns=one+2*(three+four)",
        "let a_name_that_is_so_long_that_nothing_much_fits_beside_it_on_a_line_of_a_hundred_columns = one +\n  2 * (three + four)\n")]
    [InlineData("let a_name_that_is_so_long_that_hardly_anything_fits_beside_it_on_a_line_of_100=one+2*(three_and_something+four_and_more)",
        "let a_name_that_is_so_long_that_hardly_anything_fits_beside_it_on_a_line_of_100 = one + 2 * (\n  three_and_something + four_and_more\n)\n")]
    public void Small_texts(string text, string? expected) => Assert.Equal(expected ?? text, Check(text));

    [Fact]
    public void No_line_is_longer_than_it_must_be()
    {
        foreach (string sample in Good.Value.Append(Wide))
        {
            var tree = Parser.Parse(new(sample));
            if (tree.Diagnostics.Any(d => d.IsError)) continue;
            Assert.All(Formatter.Format(tree).Split('\n').Where(l => !l.Contains("//") && !l.Contains('"')), l => Assert.True(l.Length <= Formatter.Width, l));
        }
    }

    [Theory]
    [InlineData("(", ")", 150)]
    [InlineData("[", "]", 150)]
    [InlineData("f(", ")", 150)]
    [InlineData("x => ", "", 150)]
    [InlineData("-", "", 150)]
    [InlineData("if true then 1 else ", "", 150)]
    [InlineData("x + (", ")", 60)]
    public void Deep_nesting(string open, string close, int depth) =>
        Check("let a = " + string.Concat(Enumerable.Repeat(open, depth)) + "1" + string.Concat(Enumerable.Repeat(close, depth)));

    [Fact]
    public void Deep_trees_of_applications()
    {
        string formatted = Formatter.Format(Parser.Parse(new(Applications(8))));
        Assert.Contains("\n", formatted.TrimEnd());
        Assert.Equal(formatted, Formatter.Format(Parser.Parse(new(formatted))));
    }

    [Fact]
    public void A_tree_too_deep_for_the_passes_is_a_diagnostic()
    {
        var tree = Parser.Parse(new(Applications(30)));
        Assert.Equal("DNN0030", Assert.Single(tree.Diagnostics).Code);
        Assert.Empty(tree.Root.Declarations);
    }

    /// <summary>Nested parentheses with 150 applications each: neither is deep, their product is.</summary>
    private static string Applications(int parentheses) =>
        "let a = " + new string('(', parentheses) + "f" + string.Concat(Enumerable.Repeat(string.Concat(Enumerable.Repeat("(1)", 150)) + ")", parentheses));

    [Theory]
    [InlineData("let a = x", " |> dense(1)", "")]
    [InlineData("let a = x", " + f(1, 2)", "")]
    [InlineData("let a = [0", ", [1, 2, g(3)]", "]")]
    [InlineData("model M {\n", "  let a = f(1, [2]) // c\n\n\n", "}")]
    [InlineData("", "// comment\n", "")]
    [InlineData("", "\n", "")]
    public void Long_texts(string first, string again, string last)
    {
        string text = first + string.Concat(Enumerable.Repeat(again, 200_000 / again.Length)) + last;
        string formatted = Formatter.Format(Parser.Parse(new(text)));
        Assert.Equal(formatted, Formatter.Format(Parser.Parse(new(formatted))));
    }

    private const string Wide = """
        let numbers = [0.5, -0.25, 1e-3, 0.0625, -0.03125, 0.015625, 7.8125e-3, 3.90625e-3, -0.001953125, 9.765625e-4, 4.8828125e-4, 2.44140625e-4]
        let logit = x |> dense(hidden, init = he_normal(), bias = false) |> relu |> layer_norm() |> dropout(drop) |> dense(1)
        let model = residual(chain(layer_norm(), dense(4 * width, init = he_normal()), gelu, dense(width, init = zeros()), dropout(rate)))
        let total = first_contribution * weight_of_the_first + second_contribution * weight_of_the_second - third_contribution
        let penalty = 10 * mean(norm(grad(sum(critic(interpolated_between_real_and_made)), interpolated_between_real_and_made), axis = -1))
        let chosen = if number_of_layers_in_the_trunk > 12 then transformer_block(heads, mlp = 4) else dense(width) |> relu |> dense(width)
        let states = scan(x, zeros([B, D]), (state, xt) => { let next = tanh(state @ recurrent + xt @ kernel)
        return (next, next) })
        let table = [[first_value_of_the_first_row, second_value_of_the_first_row], [first_value_of_the_second_row, second_value]]
        let squares = [function_of_the_index(i, another_argument) ** 2 + offset_of_the_table for i in 0..number_of_entries_in_it]
        layer encoder_block(heads: int, drop: float = 0.1, activation: layer = gelu)(x: [B, T, D], mask: bool[B, T] = none) -> [B, T, D] {
          param weight_of_the_projection: [D, 3*D] = truncated_normal(0.02) * 0.5, no_decay, lr_scale = 0.1, frozen
          require D % heads == 0 and heads > 0, "the number of heads must divide the number of features, and be positive"
          return x |> for i in 0..depth { residual(chain(layer_norm(), attention(heads, dropout = drop * i / depth), dropout(0.1))) }
        }
        train Gan(latent = 64) on moons {
          optimizer adam(lr = warmup_cosine(peak = 1e-4, warmup = 100 steps), betas = (0, 0.9)) on D minimize critic_loss every 5 steps
          start_from "pretrained.safetensors" only "encoder.*", rename "backbone." = "encoder.", rename "head." = "old_head."
        }
        """;

    private const string Commentary = """
        // A file.

        dnn 1 // version
        /// Documented.
        model M( // hypers
          hidden: int = 16, // units
          // on its own
          drop: float = 0.1
          // last
        ) { // body

          // first
          input x: [B, 2]    // aligned
          let h = x // start
            |> dense(hidden) // linear
            // between
            |> relu
          let s = a + // left
            b
          let e = f( // nothing
          )
          let l = for i in 0..n { // each
            dense(i) // one
          }

          // end

        }
        // after
        """;

    private static IEnumerable<string> Examples() => Directory.GetFiles(RepoRoot.Combine("examples"), "*.dnn", SearchOption.AllDirectories).Order(StringComparer.Ordinal);

    /// <summary>Formats and checks the laws; a text with errors must stay as it is.</summary>
    private static string Check(string text)
    {
        var tree = Parser.Parse(new(text));
        string formatted = Formatter.Format(tree);
        if (tree.Diagnostics.Any(d => d.IsError))
        {
            Assert.Equal(text, formatted);
            return formatted;
        }

        var again = Parser.Parse(new(formatted));
        Assert.True(Tokens(tree).SequenceEqual(Tokens(again)), $"{text}\n----\n{formatted}");
        Assert.Equal(SyntaxPrinter.Print(tree.Root), SyntaxPrinter.Print(again.Root));
        Assert.Equal(Comments(tree), Comments(again));
        Assert.Equal(tree.Root.Declarations.Select(d => d.Documentation), again.Root.Declarations.Select(d => d.Documentation));
        Assert.Equal(formatted, Formatter.Format(again));
        Assert.DoesNotContain('\r', formatted);
        Assert.DoesNotContain(" \n", formatted);
        Assert.DoesNotContain("\n\n\n", formatted);
        Assert.True(formatted.Length == 0 || (formatted[0] != '\n' && formatted.EndsWith('\n') && !formatted.EndsWith("\n\n")));
        return formatted;
    }

    private static IEnumerable<string> Tokens(SyntaxTree tree) => tree.Tokens.Select(t => t.Kind == TokenKind.NewLine ? "\n" : tree.Source.Text[t.Start..t.End]);

    /// <summary>Each comment with the number of tokens before it, and whether it stands on a line of its own.</summary>
    private static List<(int Before, bool OwnLine, string Text)> Comments(SyntaxTree tree)
    {
        var found = new List<(int, bool, string)>();
        int tokens = 0, end = 0;
        foreach (var token in tree.Tokens.Where(t => t.Kind != TokenKind.NewLine))
        {
            bool ownLine = tokens == 0;
            foreach (var trivia in Lexer.Trivia(tree.Source, end, token.Start))
            {
                ownLine |= trivia.Kind == TriviaKind.NewLine;
                if (trivia.Kind is TriviaKind.Comment or TriviaKind.Documentation) found.Add((tokens, ownLine, trivia.Span.Text.TrimEnd()));
            }

            tokens++;
            end = token.End;
        }

        return found;
    }

    private static string WithoutBlankLines(string text) => text.Replace("\n\n", "\n", StringComparison.Ordinal);

    private static string Expression(Random random, int depth)
    {
        if (depth == 0) return random.Next(6) switch { 0 => "1", 1 => "0.5", 2 => "80%", 3 => "\"text\"", 4 => "a_longer_name", _ => "x" };
        return random.Next(18) switch
        {
            0 => $"({Next()} {Operator()} {Next()})",
            1 => $"({Next()}+{Next()}-{Next()})",
            2 => $"({Next()} |> {Next()} |> {Next()})",
            3 => $"f({Next()}, {Next()}, name = {Next()})",
            4 => $"g({Next()})",
            5 => $"[{Next()}, [{Next()}], {Next()},]",
            6 => $"[{Next()} for (i, _) in 0..n]",
            7 => $"(if {Next()} then {Next()} else {Next()})",
            8 => $"(t => {Next()})",
            9 => $"h({Next()}, (s, t) => {{ let u = {Next()}\nreturn u }})",
            10 => $"(x |> for i in 0..n {{ {Next()} }})",
            11 => $"(x |> for i in [1, 2] {{\nlet v: [B, 3*D] = {Next()}\n{Next()} }})",
            12 => $"x[{Next()}, :, 1:{Next()}, ::2, ...]",
            13 => $"m.with(w = {Next()})({Next()}).field",
            14 => $"(-{Next()})",
            15 => $"(not {Next()})",
            16 => $"[{string.Join(',', Enumerable.Range(0, random.Next(1, 60)).Select(i => $"-{i}.5"))}]",
            _ => $"({Next()},)",
        };

        string Next() => Expression(random, random.Next(depth));

        string Operator() => random.Next(8) switch { 0 => "**", 1 => "@", 2 => "%", 3 => "==", 4 => "and", 5 => "-", 6 => "/", _ => "+" };
    }

    /// <summary>The same tokens with other blanks, and with newlines where they mean nothing.</summary>
    private static string Respaced(SyntaxTree tree, Random random) => Rewritten(tree, (text, _) =>
        text.Append(random.Next(6) switch { 0 => "  ", 1 => "\r\n \n", _ => "" }));

    /// <summary>The same tokens with comments where a newline may stand.</summary>
    private static string Commented(SyntaxTree tree, Random random) => Rewritten(tree, (text, at) =>
        text.Append(random.Next(8) switch { 0 => $" // note {at}\n", 1 => $"\n\n  /// own line {at}\n", _ => "" }));

    /// <summary>Writes the tokens, and lets something be added before those before which a newline is a blank.</summary>
    private static string Rewritten(SyntaxTree tree, Action<StringBuilder, int> add)
    {
        var text = new StringBuilder();
        var open = new Stack<TokenKind>();
        for (int i = 0; i < tree.Tokens.Length; i++)
        {
            var token = tree.Tokens[i];
            var before = i == 0 ? TokenKind.NewLine : tree.Tokens[i - 1].Kind;
            bool inside = open.TryPeek(out var bracket) && bracket != TokenKind.LeftBrace;
            text.Append(tree.Source.Text, token.FullStart, token.Start - token.FullStart);
            if (inside || before == TokenKind.NewLine || Continues(before) || Infix(token.Kind)) add(text, i);
            text.Append(tree.Source.Text, token.Start, token.FullEnd - token.Start);
            if (token.Kind.IsOpening()) open.Push(token.Kind);
            if (token.Kind.IsClosing()) open.TryPop(out _);
        }

        return text.ToString();

        static bool Infix(TokenKind kind) => kind is TokenKind.Pipe or TokenKind.Plus or TokenKind.Star or TokenKind.And or TokenKind.Then or TokenKind.Else
            or TokenKind.Arrow;

        static bool Continues(TokenKind kind) => Infix(kind) || kind.IsOpening() || kind is TokenKind.Equal or TokenKind.FatArrow or TokenKind.Comma
            or TokenKind.Colon or TokenKind.In or TokenKind.Minus;
    }
}
