using System.Collections.Immutable;

namespace Dnn.Dsl.Ide;

/// <summary>Renames, and proves that nothing else changes: the file is bound again, and every name must mean what it did.</summary>
internal static class Renamer
{
    public static Renaming Rename(IdeFile file, int position, string name)
    {
        if (file.Names.At(position) is not { } here)
            return Refuse("no name stands here");
        if (here.Symbol is not { } symbol)
            return Refuse($"`{here.Span.Text}` belongs to the language");
        if (symbol.Span.Source != file.Tolerant.Tree.Source)
            return Refuse($"`{symbol.Name}` is declared in {symbol.Span.Source.Path}; rename it there");
        if (!IsName(name))
            return Refuse($"`{name}` is no name: letters, digits and `_`, not a digit first, and none of {string.Join(' ', TokenKinds.Reserved.Keys.Order(StringComparer.Ordinal))}");
        if (name == symbol.Name)
            return new Renaming([], null, null);
        var edits = file.Names.Of(symbol).Select(o => new TextEdit(o.Span, name)).ToImmutableArray();
        var text = new System.Text.StringBuilder();
        var at = 0;
        foreach (var (span, replacement) in edits)
        {
            text.Append(file.Source.Text, at, span.Start - at).Append(replacement);
            at = span.End;
        }

        text.Append(file.Source.Text, at, file.Source.Length - at);
        var renamed = new IdeFile(new SourceText(text.ToString(), file.Source.Path), file.Options);
        return Difference(file, renamed, edits) is { } difference ? Refuse(difference) : new Renaming(edits, null, Note(file, symbol));
    }

    private static Renaming Refuse(string why) => new([], why, null);

    private static bool IsName(string text) =>
        Parser.Parse(new SourceText(text)).Tokens is [{ Kind: TokenKind.Name } only, { Kind: TokenKind.EndOfFile }] && only.Length == text.Length && text != "_";

    /// <summary>The first name that would mean something else; null if none.</summary>
    private static string? Difference(IdeFile before, IdeFile after, ImmutableArray<TextEdit> edits)
    {
        var (old, now) = (before.Names.All, after.Names.All);
        int[] starts = [.. edits.Select(e => e.Span.Start)];
        for (var i = 0; i < old.Length; i++)
        {
            var start = Moved(old[i].Span.Start);
            var match = i < now.Length && now[i].Span.Start == start ? now[i] : null;
            if (match is null || (old[i].Symbol is null) != (match.Symbol is null) || old[i].Entry?.Name != match.Entry?.Name || (old[i].Symbol is { } s && !IsSame(s, match.Symbol!)))
                return $"`{old[i].Span.Text}` in line {before.Source.LineAt(old[i].Span.Start) + 1} would then mean something else";
        }

        if (now.Length != old.Length)
            return $"`{now[^1].Span.Text}` would then mean something else";
        var (errors, more) = (Errors(before), Errors(after));
        return more.Count <= errors.Count ? null : more.Select(d => d.Message).Except(errors.Select(d => d.Message)).FirstOrDefault() ?? more[^1].Message;

        bool IsSame(Symbol a, Symbol b) => a.Span.Source != before.Tolerant.Tree.Source
            ? a.Span.Source.Path == b.Span.Source.Path && a.Span.Start == b.Span.Start
            : Moved(before.Tolerant.Back(a.Span).Start) == after.Tolerant.Back(b.Span).Start;

        // All edits replace one name by another.
        int Moved(int position)
        {
            var before = Array.BinarySearch(starts, position);
            return position + ((before >= 0 ? before : ~before) * (edits[0].Replacement.Length - edits[0].Span.Length));
        }
    }

    private static List<Diagnostic> Errors(IdeFile file) =>
        [.. Binder.Bind(ModuleLoader.Load(file.Tolerant.Tree, file.Options.Sources).Modules).Diagnostics.Where(d => d.IsError)];

    private static string? Note(IdeFile file, Symbol symbol)
    {
        if (symbol.Kind is SymbolKind.Parameter or SymbolKind.Buffer || (symbol.Kind == SymbolKind.Let && symbol.Nature == Nature.Layer))
            return $"paths with `{symbol.Name}` change: weights files that were written before no longer fit";
        return symbol.Kind is SymbolKind.Input or SymbolKind.Target ? $"`{symbol.Name}` meets the column of its name; rename that as well: rename new = {symbol.Name}"
            : symbol.Kind is SymbolKind.Hyper && file.Compiled.Binding.Hypers.Keys.Any(h => h.Name.Text == symbol.Name) ? $"`--set {symbol.Name}=…` becomes another setting" : null;
    }
}
