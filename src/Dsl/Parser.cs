using System.Collections.Immutable;
using System.Globalization;
using Sprache;

namespace Dnn.Dsl;

/// <summary>Text to tree.</summary>
public static class Parser
{
    /// <summary>How deep brackets, lambdas and prefix operators nest before <see cref="DiagnosticCodes.TooDeep"/>.</summary>
    public const int MaxDepth = 200;

    /// <summary>
    /// How deep a tree may be: brackets and applications each stay below <see cref="MaxDepth"/>, but not their product. Passes over the tree may
    /// recurse this far.
    /// </summary>
    private const int MaxTreeDepth = 1500;

    /// <summary>Parses a file. Never throws: what is wrong is among the diagnostics of the tree, in order of place.</summary>
    public static SyntaxTree Parse(SourceText source)
    {
        var (tokens, lexical) = Lexer.Lex(source);
        var state = new ParseState(source, tokens);
        var input = Version(state.Input(0), out int? version);
        var declarations = Grammar.File(input).Value.RemoveAll(d => IsTooDeep(d, state));
        return new(source, new(source.Span(0, source.Length), version, declarations), tokens, Sorted(lexical, state));
    }

    /// <summary>Parses one expression that is the whole text; null if there is none, which is then among the diagnostics.</summary>
    public static (ExprSyntax? Expression, IReadOnlyList<Diagnostic> Diagnostics) ParseExpression(SourceText source)
    {
        var (tokens, lexical) = Lexer.Lex(source);
        var state = new ParseState(source, tokens);
        var whole = from value in Expressions.Expression
                    from end in Combinators.Token(TokenKind.EndOfFile)
                    select value;
        var result = whole(state.Input(0));
        if (!result.WasSuccessful) state.Report();
        return (result.WasSuccessful && !IsTooDeep(result.Value, state) ? result.Value : null, Sorted(lexical, state));
    }

    /// <summary>Whether passes over the tree could run out of stack; says so.</summary>
    private static bool IsTooDeep(SyntaxNode tree, ParseState state)
    {
        if (tree.DeeperThan(MaxTreeDepth) is not { } deep) return false;
        state.Diagnostics.Add(DiagnosticCodes.TooDeep.At(deep.Span, "this is nested too deeply; give a part of it a name with `let`"));
        return true;
    }

    private static TokenInput Version(TokenInput first, out int? version)
    {
        version = null;
        var number = first.Next();
        if (!first.IsWord("dnn") || !number.Is(TokenKind.Number)) return first;
        string text = number.Span.Text;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value)) version = value;
        if (version != 1)
        {
            first.State.Diagnostics.Add(DiagnosticCodes.LanguageVersion.At(number.Span, $"this program knows version 1 of the language, not {text}"));
        }

        var rest = number.Next();
        if (!rest.Is(TokenKind.NewLine) && !rest.AtEnd)
        {
            first.State.Expect(rest.Index, new(TokenKind.NewLine.Text()));
            first.State.Report();
            while (!rest.EndsStatement) rest = rest.Next();
        }

        return rest;
    }

    private static ImmutableArray<Diagnostic> Sorted(IReadOnlyCollection<Diagnostic> lexical, ParseState state) =>
        [.. lexical.Concat(BrokenParts.Causes(state.Source, state.Tokens, lexical, state.Diagnostics)).OrderBy(d => d.Span.Start)];
}
