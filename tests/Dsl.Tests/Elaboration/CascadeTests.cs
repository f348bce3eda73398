using System.Text.RegularExpressions;
using Dnn.Dsl.Ide;
using Dnn.Testing;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>One mistake is one error: what follows from it is not said. Mistakes are planted at every token of whole files.</summary>
public partial class CascadeTests
{
    private static readonly (string Name, string Text)[] Texts =
    [
        ("two moons", Samples.TwoMoons),
        ("large", CompilerRobustnessTests.Large),
        .. new[] { "two_moons", "digits_conv", "iris", "worked", "fashion_mnist" }.Select(n => (n, File.ReadAllText(RepoRoot.Combine("examples", n + ".dnn")))),
        .. new[] { "resnet", "gpt", "bert" }.Select(n => ("std/" + n, File.ReadAllText(RepoRoot.Combine("src", "Dsl", "Std", n + ".dnn")))),
    ];

    /// <summary>What is planted, from the text and a token of it; null where it would be no mistake.</summary>
    private static readonly Dictionary<string, Func<string, Token, string?>> Mistakes = new()
    {
        ["a strange character"] = (text, at) => text.Insert(at.Start, "$ "),
        ["a semicolon"] = (text, at) => text.Insert(at.End, ";"),
        ["a bracket that closes nothing"] = (text, at) => text.Insert(at.End, " )"),
        ["a bracket that is not closed"] = (text, at) => text.Insert(at.Start, "( "),
        ["a square bracket that is not closed"] = (text, at) => text.Insert(at.Start, "[ "),
        ["a quote"] = (text, at) => text.Insert(at.Start, "\""),
        ["an operator too many"] = (text, at) => at.Start == 0 || text[at.Start - 1] == '\n' ? null : text.Insert(at.Start, "* / "),
        ["a bracket that is missing"] = (text, at) => at.Kind.IsOpening() || at.Kind.IsClosing() ? text.Remove(at.Start, at.Length) : null,
        ["a sign that is missing"] = (text, at) => at.Kind is TokenKind.Equal or TokenKind.Pipe or TokenKind.FatArrow or TokenKind.Arrow or TokenKind.EqualEqual or TokenKind.Star or TokenKind.At ? text.Remove(at.Start, at.Length) : null,
        ["a sign twice"] = (text, at) => at.Kind.IsFixed() && at.Kind is not (TokenKind.Minus or TokenKind.Not or TokenKind.Colon) ? text.Insert(at.Start, text.Substring(at.Start, at.Length) + " ") : null,
        ["a word that is missing"] = (text, at) => at.Kind.IsReserved() && at.Kind is not (TokenKind.True or TokenKind.False or TokenKind.Not) ? text.Remove(at.Start, at.Length) : null,
        // A text may have a name, and whoever takes it for a number is wrong.
        ["a number that is text"] = (text, at) => at.Kind == TokenKind.Number && !text[..at.Start].EndsWith("dnn ", StringComparison.Ordinal) && !Named().IsMatch(text[(text.LastIndexOf('\n', at.Start) + 1)..at.Start]) ? text.Remove(at.Start, at.Length).Insert(at.Start, "\"text\"") : null,
    };

    [GeneratedRegex(@"^\s*let \w+ = [\[\]\d., -]*$")]
    private static partial Regex Named();

    public static TheoryData<string, string> Cases()
    {
        var cases = new TheoryData<string, string>();
        foreach (var (name, _) in Texts)
        {
            foreach (var mistake in Mistakes.Keys)
                cases.Add(name, mistake);
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void One_planted_mistake_is_one_error(string name, string mistake)
    {
        var text = Texts.First(t => t.Name == name).Text.ReplaceLineEndings("\n");
        var wrong = new List<string>();
        var planted = 0;
        foreach (var token in Parser.Parse(new SourceText(text)).Tokens.Where(t => t.Length > 0 && t.Kind != TokenKind.NewLine))
        {
            if (Mistakes[mistake](text, token) is not { } damaged)
                continue;
            planted++;
            var source = new SourceText(damaged);
            var errors = Compiler.Compile(source).Diagnostics.Where(d => d.IsError).ToArray();
            if (errors.Length > 1)
                wrong.Add($"{source.Line(source.LineAt(token.Start)).Text}\n  {string.Join("\n  ", errors.AsEnumerable())}");
        }

        Assert.True(planted > 0 && wrong.Count == 0, $"{wrong.Count} of {planted}:\n{string.Join("\n", wrong.Take(5))}");
    }

    [Theory]
    [InlineData("two moons")]
    [InlineData("large")]
    [InlineData("two_moons")]
    [InlineData("digits_conv")]
    [InlineData("worked")]
    [InlineData("std/resnet")]
    public void A_misspelt_name_is_one_error_with_a_suggestion_wherever_it_is_used(string name)
    {
        var text = Texts.First(t => t.Name == name).Text.ReplaceLineEndings("\n");
        var uses = Uses(text);
        Assert.NotEmpty(uses);
        foreach (var use in uses)
        {
            var errors = Compiler.Compile(new SourceText(text.Insert(use.End, "x"))).Diagnostics.Where(d => d.IsError).ToArray();
            Assert.True(errors.Length <= 1, $"{use.Text}x at {use}\n  {string.Join("\n  ", errors.AsEnumerable())}");
            if (errors is [var only] && only.Code == DiagnosticCodes.UnknownName.Code && use.Length > 3)
                Assert.True(only.Notes.Any(n => n.StartsWith("did you mean", StringComparison.Ordinal)), only.ToString());
        }
    }

    private static TextSpan[] Uses(string text) =>
        [.. new IdeFile(new SourceText(text)).Tokens.Where(t => !t.IsDeclaration && t.Kind is not (IdeKind.Keyword or IdeKind.Type or IdeKind.Dimension)).Select(t => t.Span)];

    [Theory]
    [InlineData("  let h = x @ w\n  let g = h + 1\n  output y = g * h", "DNN0301")]
    [InlineData("  let fc = dense(1.5)\n  let h = x |> fc\n  output y = h @ fc.weight", "DNN0305")]
    [InlineData("  let fc = dense(3)\n  let h = zeros([2, -1]) |> fc\n  output y = h + sum(fc.weight)", "DNN0306")]
    [InlineData("  let f = nosuch(4)\n  let h = x |> f |> f\n  output y = h + f(x)", "DNN0100")]
    [InlineData("  let (a, b) = (1, 2, 3)\n  output y = x * a + b", "DNN0315")]
    [InlineData("  let h: [B, 4] = x\n  output y = h[:, 3] + h", "DNN0302")]
    [InlineData("  input x2: [B, 2\n  let h = x2 + 1\n  output y = h", "DNN0021")]
    [InlineData("  let h = x |> cas(to = float) |> sof(axis = mean)\n  output y = h", "DNN0100 DNN0100")]
    [InlineData("  output y = x * dense + 1", "DNN0110")]
    [InlineData("  output y = x |> dense(3) + relu", "DNN0309")]
    [InlineData("  output y = x |> dense(init = zeros(), 3, 4)", "DNN0107")]
    [InlineData("  output y = iota(peak = 1, warmup = 2, at = 3)", "DNN0103")]
    [InlineData("  output y = x |> dense(4, bais = false, inti = zeros())", "DNN0103 DNN0103")]
    public void What_a_wrong_value_is_used_for_is_no_second_error(string statements, string codes) => Assert.Equal(
        codes, string.Join(' ', Compile.Diagnostics(new SourceText($"model M {{\n  input x: [B, 3]\n  param w: [4, 2] = normal()\n{statements}\n}}\n")).Where(d => d.IsError).Select(d => d.Code)));

    [Theory]
    [InlineData("hyper hidden: int = -3", "DNN0321")]
    [InlineData("hyper hidden: int = 0", "DNN0321")]
    [InlineData("hyper hidden: int = 2.5", "DNN0305")]
    [InlineData("hyper hidden: int = 8 in 9..10", "DNN0306")]
    public void A_wrong_value_of_a_hyperparameter_is_one_error_however_often_it_is_used(string hyper, string code) => Assert.Equal([code], Compile.Diagnostics(new SourceText($$"""
        {{hyper}}
        model A {
          input x: [B, 3]
          output y = x |> dense(hidden) |> dense(hidden)
        }
        model B {
          input x: [B, 3]
          output y = x |> dense(hidden) |> conv1d(hidden, 3)
        }
        """)).Where(d => d.IsError).Select(d => d.Code));

    [Theory]
    [InlineData("layer concat(a: [B 3], b: [B, 3], c: [B, 3]) -> [B, 9] {")]
    [InlineData("layer concat(a: [B, 3], b: [B, 3], , c: [B, 3]) -> [B, 9] {")]
    [InlineData("layer concat(a: [B, 3], b: [B, 3], c: ) -> [B, 9] {")]
    public void What_was_meant_to_be_declared_is_not_what_the_catalog_has_under_its_name(string header) => Assert.Single(Compile.Diagnostics(new SourceText($$$"""
        {{{header}}}
          return a
        }
        model M {
          input x: [B, 3]
          output y = concat(x, x, x, x)
          output z = x |> concat(sideways = true)
        }
        """)));

    [Fact]
    public void An_error_whose_place_names_a_hyperparameter_twice_is_reported() => Assert.Equal(["DNN0321"], Compile.Diagnostics(new SourceText("""
        hyper n: int = 3
        model M {
          input x: [B, 4]
          output y = x |> dense(n - n)
        }
        """)).Where(d => d.IsError).Select(d => d.Code));

    [Fact]
    public void Mistakes_in_several_declarations_are_all_reported()
    {
        var found = Compile.Diagnostics(new SourceText("""
            layer a(x: [B]) {
              return x +
            }
            layer b(x: [B]) {
              return rleu(x)
            }
            model M {
              input x [B, 2]
              output y = x |> dens(3)
            }
            model N {
              input x: [B, 2]
              output y = x |> dens(4)
              loss sum(x) as 3
            }
            let s = "open
            """));
        Assert.Equal(["3:1 DNN0020", "5:10 DNN0100", "8:11 DNN0020", "14:18 DNN0020", "16:9 DNN0003"], found.Select(d => $"{d.Span.ToString()[("input.dnn".Length + 1)..]} {d.Code}"));
    }
}
