using System.Collections.Immutable;

namespace Dnn.Dsl;

/// <summary>
/// Which declarations of a text have errors of letters and syntax, and what is worth saying about them: one mistake, one error. What follows from one that was reported is left out,
/// and names are not looked up in a declaration that was understood in part only.
/// </summary>
internal sealed class BrokenParts
{
    private readonly SourceText source;

    /// <summary>Where declarations begin.</summary>
    private readonly Positions starts = [];

    /// <summary>What follows the name of each declaration: with an error up to there, nobody knows what is declared.</summary>
    private readonly List<int> names = [];

    /// <summary>What each declaration gives a meaning to; no name where it is none of one's own.</summary>
    private readonly List<Token?> declared = [];

    /// <summary>Where lines end that are none within brackets.</summary>
    private readonly Positions lines = [];

    /// <summary>Where the blocks of declarations begin and end, by turns.</summary>
    private readonly Positions blocks = [];

    private readonly HashSet<int> broken = [];
    private readonly bool isNameless;

    private BrokenParts(SourceText source, ImmutableArray<Token> tokens, ImmutableArray<Diagnostic> errors)
    {
        this.source = source;
        Divide(tokens);
        foreach (var error in errors.Where(d => d.IsError))
        {
            var part = starts.IndexOf(error.Span.Start);
            broken.Add(part);

            // Of the quotes of a line, any may be the one too many.
            var from = error.Descriptor == DiagnosticCodes.UnterminatedString ? source.Text.IndexOf('"', source.Line(source.LineAt(error.Span.Start)).Start) : error.Span.Start;
            isNameless |= part >= 0 && from <= names[part];
        }

        Names = broken.Count == 0
            ? []
            : tokens.Where(t => t.Kind == TokenKind.Name && broken.Contains(starts.IndexOf(t.Start))).Select(t => source.Text.Substring(t.Start, t.Length)).ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>Names in what did not parse: they may be declared there, and their uses elsewhere are no errors of their own.</summary>
    public HashSet<string> Names { get; } = [];

    /// <summary>What is declared there, nobody knows as what: it may have the name of something in the catalog.</summary>
    public IEnumerable<Identifier> Declared =>
        broken.Where(part => part >= 0).Select(part => declared[part]).OfType<Token>().Select(t => new Identifier(source.Text[t.Start..t.End], source.Span(t.Start, t.End)));

    public static BrokenParts Of(SyntaxTree tree) =>
        new(tree.Source, tree.Diagnostics.Any(d => d.IsError) ? tree.Tokens : [], tree.Diagnostics);

    /// <summary>Whether an error about names and what they mean follows from one of syntax.</summary>
    public bool Hides(Diagnostic diagnostic) => broken.Count > 0 && !diagnostic.Span.IsNone && diagnostic.Span.Source == source
        && (broken.Contains(starts.IndexOf(diagnostic.Span.Start)) || (isNameless && diagnostic.Descriptor == DiagnosticCodes.UnknownName));

    /// <summary>Those errors of the parser that are no consequence of another one, or of the lexer's.</summary>
    public static IEnumerable<Diagnostic> Causes(SourceText source, ImmutableArray<Token> tokens, IReadOnlyCollection<Diagnostic> lexical, IReadOnlyCollection<Diagnostic> syntax)
    {
        if (syntax.Count + lexical.Count < 2 || syntax.Count == 0)
            return syntax;
        var parts = new BrokenParts(source, tokens, []);
        var torn = lexical.Where(d => d.IsError).Select(d => parts.lines.IndexOf(d.Span.Start)).ToHashSet();

        // A line goes on after a semicolon that was taken for its end, and a string without an end takes the brackets of its line with it.
        torn.UnionWith(lexical.Where(d => d.Descriptor == DiagnosticCodes.Semicolon).Select(d => parts.lines.IndexOf(d.Span.Start) + 1).ToArray());

        // What stands behind the comma at the end of a line, or swallows it, cuts a list in two.
        torn.UnionWith(lexical.Concat(syntax).Where(parts.CutsList).Select(d => parts.lines.IndexOf(d.Span.Start) + 1).ToArray());
        var swallowed = lexical.Where(d => d.Descriptor == DiagnosticCodes.UnterminatedString && d.Span.Text.AsSpan().ContainsAny("(){}[]")).Select(d => parts.starts.IndexOf(d.Span.Start)).ToHashSet();
        return syntax
            .Where(d => !torn.Contains(parts.LineOf(d)) && !swallowed.Contains(parts.starts.IndexOf(d.Span.Start)))
            .GroupBy(parts.LineOf).SelectMany(line => line.All(IsPassing) ? line.AsEnumerable() : [line.MinBy(Rank)!])
            .GroupBy(d => parts.starts.IndexOf(Anchor(d).Start)).SelectMany(part => part.Any(parts.IsTorn) ? part.OrderBy(d => d.Descriptor == DiagnosticCodes.TooDeep ? 0 : 1).ThenBy(d => Anchor(d).Start).Take(1) : part);
    }

    /// <summary>Whether the line was understood all the same: then there may be others in it.</summary>
    private static bool IsPassing(Diagnostic diagnostic) => diagnostic.Descriptor == DiagnosticCodes.ComparisonChain || diagnostic.Descriptor == DiagnosticCodes.UnknownType;

    /// <summary>What says most about a line comes first.</summary>
    private static int Rank(Diagnostic diagnostic) => diagnostic.Descriptor == DiagnosticCodes.TooDeep ? 0 : IsBracket(diagnostic) ? 1 : 2;

    private static bool IsBracket(Diagnostic diagnostic) => diagnostic.Descriptor == DiagnosticCodes.Unclosed || diagnostic.Descriptor == DiagnosticCodes.Unopened;

    /// <summary>Where the mistake is rather than where it showed: the bracket that is open.</summary>
    private static TextSpan Anchor(Diagnostic diagnostic) =>
        diagnostic.Descriptor == DiagnosticCodes.Unclosed && diagnostic.Span.Text != "{" && diagnostic.Secondary is [var opening, ..] ? opening.Span : diagnostic.Span;

    private bool CutsList(Diagnostic diagnostic) => (diagnostic.Descriptor == DiagnosticCodes.UnterminatedString || diagnostic.Descriptor == DiagnosticCodes.Unopened)
        && source.Line(source.LineAt(diagnostic.Span.Start)).Text.TrimEnd([' ', ')', ']', '}', '"']).EndsWith(',');

    private int LineOf(Diagnostic diagnostic) => lines.IndexOf(Anchor(diagnostic).Start);

    /// <summary>Whether an error says that a block does not begin or end where it should: at a brace, or outside of all braces on another line than its declaration.</summary>
    private bool IsTorn(Diagnostic diagnostic)
    {
        var at = diagnostic.Span.Start;
        return (diagnostic.Span.Text is "{" or "}" && IsBracket(diagnostic))
            || (blocks.IndexOf(at) % 2 != 0 && starts.IndexOf(at) is >= 0 and var part && lines.IndexOf(starts[part]) != LineOf(diagnostic));
    }

    /// <summary>
    /// Finds where declarations begin: lines outside of all braces that start with a keyword, or in the first column. In a block that is never closed, those are the first column's
    /// keywords.
    /// </summary>
    private void Divide(ImmutableArray<Token> tokens)
    {
        var until = -1;
        var isOpen = false;
        for (var i = 0; i < tokens.Length; i++)
        {
            var token = tokens[i];
            if (token.Kind == TokenKind.NewLine)
                lines.Add(token.End);
            if (i <= until)
                continue;
            if ((i == 0 || tokens[i - 1].Kind == TokenKind.NewLine) && Begins(token, isOpen))
            {
                starts.Add(token.Start);
                names.Add(tokens[Math.Min(i + 2, tokens.Length - 1)].Start);
                declared.Add(source.Text[token.Start..token.End] is "layer" or "hyper" or "let" && i + 1 < tokens.Length && tokens[i + 1].Kind == TokenKind.Name ? tokens[i + 1] : null);
            }

            if (token.Kind != TokenKind.LeftBrace)
                continue;
            isOpen |= token.Partner < 0;
            if (token.Partner < 0)
                continue;
            until = token.Partner;
            blocks.Add(token.Start);
            blocks.Add(tokens[until].Start + 1);
        }
    }

    private bool Begins(Token token, bool isOpen)
    {
        var isFirst = token.Start == 0 || source.Text[token.Start - 1] == '\n';
        var isKeyword = token.Kind == TokenKind.Name && Keywords.Declarations.Contains(source.Text.Substring(token.Start, token.Length));
        return isKeyword ? isFirst || !isOpen : isFirst && !isOpen && !token.Kind.IsClosing();
    }

    /// <summary>Positions in order, and which of them is the last one that is not after another position.</summary>
    private sealed class Positions : List<int>
    {
        /// <returns>−1 before the first.</returns>
        public new int IndexOf(int position)
        {
            var at = BinarySearch(position);
            return at >= 0 ? at : ~at - 1;
        }
    }
}
