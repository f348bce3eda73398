using System.Globalization;
using System.Text;

namespace Dnn.Dsl;

/// <summary>The stage <c>bound</c> as text: every name in order of place, with what it means.</summary>
internal static class BoundPrinter
{
    public static string Print(SyntaxTree tree, Binding binding)
    {
        var lines = new List<(int Start, string Text)>();
        void Add(TextSpan span, string text)
        {
            if (span.Source == tree.Source)
                lines.Add((span.Start, text));
        }

        foreach (var (name, symbol) in binding.Uses)
            Add(name.Span, $"{name.Name.Text} → {symbol}{Instance(name)}, declared {Place(symbol.Span)}");
        foreach (var (node, entry) in binding.Entries)
            Add(node.Span, $"{node.Span.Text} → {entry.Kind.ToString().ToLowerInvariant()} {entry}");
        foreach (var (node, primitive) in binding.Primitives)
            Add(node.Span, $"{node.Span.Text} → primitive {primitive.Name}");
        foreach (var (name, word) in binding.Words)
            Add(name.Span, $"{name.Name.Text} → word {word}");
        foreach (var symbol in binding.Declared.Values.Concat(binding.File.Values).Distinct())
            Add(symbol.Span, $"{symbol.Name} := {symbol}");
        foreach (var (node, segment) in binding.Segments)
        {
            if (node is not NameSyntax)
                Add(node.Span, $"{First(node)} → instance {(segment.Length == 0 ? "of the body around it" : segment)}");
        }

        var text = new StringBuilder();
        foreach (var (start, line) in lines.OrderBy(l => l.Start).ThenBy(l => l.Text, StringComparer.Ordinal))
        {
            var (row, column) = tree.Source.Locate(start);
            text.Append(CultureInfo.InvariantCulture, $"{row}:{column} {line}\n");
        }

        return text.ToString();

        string Instance(NameSyntax name) => binding.Segments.TryGetValue(name, out var segment) && segment.Length > 0 ? $" as instance {segment}" : "";
    }

    private static string Place(TextSpan span)
    {
        var (line, column) = span.Source.Locate(span.Start);
        return $"{line}:{column}";
    }

    private static string First(SyntaxNode node)
    {
        var text = node.Span.Text.Split('\n')[0];
        return text.Length <= 40 ? text : text[..40] + "…";
    }
}
