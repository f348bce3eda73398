using System.Collections.Immutable;

namespace Dnn.Dsl.Ide;

/// <summary>
/// The tree of a file that is being written. The parser leaves out a statement that it does not understand; here it is cut where the error is and
/// closed, so that what was written of it has a meaning too. Spans of the tree are mapped back to the text as it is.
/// </summary>
internal sealed class TolerantTree
{
    /// <summary>Stands where a name or value is missing; where the cursor is, <see cref="Binder.Probe"/> does.</summary>
    private const string Missing = "__missing";

    private const int MaxStatement = 20_000, MaxRepairs = 200, Rounds = 4;

    private static readonly string[] Endings = ["", $" {Missing}", $" = {Missing}", $": [] = {Missing}", "()", "() {}", " {}"];

    private readonly SourceText original;
    private readonly List<TextMap> maps = [];

    private TolerantTree(SourceText original, SyntaxTree tree)
    {
        this.original = original;
        Tree = tree;
    }

    public SyntaxTree Tree { get; private set; }

    /// <param name="tree">The tree of the text as it is.</param>
    /// <param name="cursor">Where a name is being written; null for nowhere.</param>
    public static TolerantTree Of(SyntaxTree tree, TextSpan? cursor = null)
    {
        var tolerant = new TolerantTree(tree.Source, tree);
        if (cursor is { } place)
        {
            // A blank after it keeps it apart from what follows.
            var edit = new Edit(place.Start, place.Length, Binder.Probe + (place.End < tree.Source.Length && char.IsLetterOrDigit(tree.Source.Text[place.End]) ? " " : ""));
            tolerant.Apply([edit]);
        }

        for (var round = 0; round < Rounds && tolerant.Tree.Diagnostics.Any(d => d.IsError); round++)
        {
            var edits = tolerant.Repairs();
            if (edits.Count == 0)
                break;
            tolerant.Apply(edits);
        }

        return tolerant;
    }

    /// <summary>The place in the original text of a place in the tree's text.</summary>
    public int Back(int position)
    {
        for (var i = maps.Count - 1; i >= 0; i--)
            position = maps[i].Back(position);
        return Math.Min(position, original.Length);
    }

    /// <summary>Where something stands in the original text; a place of another file stays what it is.</summary>
    public TextSpan Back(TextSpan span) => span.IsNone || span.Source != Tree.Source ? span : original.Span(Back(span.Start), Math.Max(Back(span.Start), Back(span.End)));

    /// <summary>Whether something stands in the original text as it does here.</summary>
    public bool IsOriginal(TextSpan span) => Back(span).Length == span.Length && string.CompareOrdinal(span.Source.Text, span.Start, original.Text, Back(span.Start), span.Length) == 0;

    private readonly record struct Edit(int Start, int Length, string Replacement);

    /// <summary>Positions after some edits, in terms of those before.</summary>
    private sealed class TextMap(IReadOnlyList<Edit> edits)
    {
        private readonly int[] starts = Starts(edits);

        public int Back(int position)
        {
            var at = Array.BinarySearch(starts, position);
            at = at >= 0 ? at : ~at - 1;
            if (at < 0)
                return position;
            var (start, length, replacement) = edits[at];
            var offset = position - starts[at];
            return offset < replacement.Length ? start + Math.Min(offset, length) : start + length + offset - replacement.Length;
        }

        private static int[] Starts(IReadOnlyList<Edit> edits)
        {
            var starts = new int[edits.Count];
            var shift = 0;
            for (var i = 0; i < starts.Length; i++)
            {
                starts[i] = edits[i].Start + shift;
                shift += edits[i].Replacement.Length - edits[i].Length;
            }

            return starts;
        }
    }

    private void Apply(IReadOnlyList<Edit> edits)
    {
        var text = new System.Text.StringBuilder();
        var at = 0;
        foreach (var (start, length, replacement) in edits)
        {
            text.Append(Tree.Source.Text, at, start - at).Append(replacement);
            at = start + length;
        }

        text.Append(Tree.Source.Text, at, Tree.Source.Length - at);
        maps.Add(new TextMap(edits));
        Tree = Parser.Parse(new SourceText(text.ToString(), original.Path));
    }

    // ---- Repairs -----------------------------------------------------------------------------------------------------

    /// <summary>An ending for each statement with an error, where one is found.</summary>
    private List<Edit> Repairs()
    {
        if (Braces() is { Count: > 0 } braces)
            return braces;
        var statements = new Statements(Tree);
        var edits = new List<Edit>();
        foreach (var diagnostic in Tree.Diagnostics.Where(d => d.IsError).Take(MaxRepairs))
        {
            var (first, end) = statements.Around(diagnostic.Span.Start);
            var start = Tree.Tokens[first].Start;
            var stop = end < Tree.Tokens.Length ? Tree.Tokens[Math.Max(first, end - 1)].End : Tree.Source.Length;
            if (end <= first || stop - start > MaxStatement || (edits.Count > 0 && start < edits[^1].Start + edits[^1].Length))
                continue;
            if (Repair(start, stop, diagnostic.Span.Start, statements, first, end) is { } edit)
                edits.Add(edit);
        }

        return edits;
    }

    /// <summary>Closes blocks that are open: before the next declaration, or at the end.</summary>
    private List<Edit> Braces()
    {
        var tokens = Tree.Tokens;
        var missing = new SortedDictionary<int, int>();
        var next = tokens.Length - 1;
        for (var i = tokens.Length - 2; i >= 0; i--)
        {
            if (tokens[i].Kind == TokenKind.LeftBrace && tokens[i].Partner < 0)
                missing[tokens[next].Start] = missing.GetValueOrDefault(tokens[next].Start) + 1;
            if (i > 0 && tokens[i - 1].Kind == TokenKind.NewLine && tokens[i].Kind == TokenKind.Name && tokens[i + 1].Kind is TokenKind.Name or TokenKind.String
                && Keywords.Declarations.Contains(Tree.Source.Text.Substring(tokens[i].Start, tokens[i].Length)))
            {
                next = i;
            }
        }

        return [.. missing.Select(m => new Edit(m.Key, 0, "\n" + string.Concat(Enumerable.Repeat("}\n", m.Value))))];
    }

    private Edit? Repair(int start, int stop, int error, Statements statements, int first, int end)
    {
        var text = Tree.Source.Text;
        var probe = text.IndexOf(Binder.Probe, start, stop - start, StringComparison.Ordinal);
        var cuts = new List<int>();
        if (error > start)
            cuts.Add(Math.Min(error, stop));
        if (probe >= 0)
            cuts.Add(probe + Binder.Probe.Length);
        cuts.Add(stop);
        var hasBlock = end < Tree.Tokens.Length && Tree.Tokens[end].Kind == TokenKind.LeftBrace;
        foreach (var cut in cuts.Where(c => probe < 0 || c > probe).Distinct())
        {
            var kept = text[start..cut].TrimEnd();
            var closing = Closing(kept);
            foreach (var ending in Endings)
            {
                // What is missing is a value inside of the brackets, or something after them.
                foreach (var repaired in ending is "" ? [kept + closing] : closing.Length == 0 ? [kept + ending] : new[] { kept + ending + closing, kept + closing + ending })
                {
                    if (statements.Parses(first, hasBlock ? repaired + " {}" : repaired))
                        return new Edit(start + kept.Length, stop - start - kept.Length, repaired[kept.Length..]);
                }
            }
        }

        return null;
    }

    /// <summary>What closes the brackets that are open at the end of a text.</summary>
    private static string Closing(string text)
    {
        var (tokens, _) = Lexer.Lex(new SourceText(text));
        return string.Concat(tokens.Where(t => t.Kind.IsOpening() && t.Partner < 0).Reverse().Select(t => t.Kind.Closing().Text()));
    }
}
