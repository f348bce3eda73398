using System.Globalization;
using System.Text;

namespace Dnn.Dsl;

/// <summary>
/// Diagnostics for people: severity and code, message, place, the lines of the source with carets under what is meant, other places,
/// the chain of applications, notes and the fix. Long lines are clipped around the place, tabs expanded, control characters made visible.
/// </summary>
/// <param name="colors">Whether to write ANSI escape sequences (ECMA-48).</param>
public sealed class DiagnosticFormatter(bool colors = false)
{
    private const int Width = 100;
    private const string Red = "31", Yellow = "33", Blue = "34", Cyan = "36", Green = "32", Bold = "1";

    /// <summary>All of them, with a blank line between.</summary>
    public string Format(IEnumerable<Diagnostic> diagnostics)
    {
        var text = new StringBuilder();
        foreach (var diagnostic in diagnostics)
        {
            if (text.Length > 0) text.Append('\n');
            Write(text, diagnostic);
        }

        return text.ToString();
    }

    /// <summary>One diagnostic, ending with a newline.</summary>
    public string Format(Diagnostic diagnostic) => Format([diagnostic]);

    private void Write(StringBuilder text, Diagnostic diagnostic)
    {
        string color = diagnostic.Severity switch { Severity.Error => Red, Severity.Warning => Yellow, _ => Cyan };
        string severity = diagnostic.Severity switch { Severity.Error => "error", Severity.Warning => "warning", _ => "note" };
        text.Append(Paint($"{severity}[{diagnostic.Code}]", color)).Append(Paint($": {Visible(diagnostic.Message)}", Bold)).Append('\n');

        // A place in another file gets an excerpt of its own, below.
        Label[] here = [.. diagnostic.Secondary.Where(l => l.Span.Source == diagnostic.Span.Source)];
        if (!diagnostic.Span.IsNone) Excerpt(text, "-->", new(diagnostic.Span, "", color, '^'), here);
        foreach (var there in diagnostic.Secondary.Except(here).GroupBy(l => l.Span.Source))
            Excerpt(text, ":::", new(there.First().Span, there.First().Text, Blue, '-'), [.. there.Skip(1)]);
        foreach (var step in diagnostic.Trace) text.Append(Paint("  in ", Blue)).Append(Visible(step.Text)).Append(step.Span.IsNone ? "" : $" at {step.Span}").Append('\n');
        foreach (string note in diagnostic.Notes) text.Append(Paint("  note: ", Cyan)).Append(Visible(note)).Append('\n');
        if (diagnostic.Fix is { } fix)
        {
            text.Append(Paint("  fix: ", Green)).Append(Visible(fix.Title)).Append('\n');
            if (Repaired(fix) is { } line) text.Append(Paint("     + ", Green)).Append(Visible(line)).Append('\n');
        }
    }

    private void Excerpt(StringBuilder text, string arrow, Mark primary, Label[] others)
    {
        var span = primary.Span;
        var marks = others.Select(o => new Mark(o.Span, o.Text, Blue, '-')).Append(primary)
            .GroupBy(m => span.Source.LineAt(m.Span.Start)).OrderBy(g => g.Key).ToArray();
        int margin = (marks[^1].Key + 1).ToString(CultureInfo.InvariantCulture).Length + 1;
        string bar = Paint(new string(' ', margin) + " |", Blue);
        text.Append(new string(' ', margin - 1)).Append(Paint(arrow, Blue)).Append(' ').Append(span).Append('\n').Append(bar).Append('\n');
        int previous = -1;
        foreach (var line in marks)
        {
            if (previous >= 0 && line.Key > previous + 1) text.Append(Paint(new string('.', margin), Blue)).Append('\n');
            previous = line.Key;
            Line(text, span.Source.Line(line.Key), [.. line.OrderBy(m => m.Glyph == '^' ? 1 : 0)], margin, bar);
        }
    }

    private void Line(StringBuilder text, TextSpan line, Mark[] marks, int margin, string bar)
    {
        // The window of a long line is around the primary mark, or the first.
        // Nothing else is taken of it: a line may be the whole file.
        int focus = marks[^1].Span.Start - line.Start;
        int from = line.Length <= Width ? 0 : Math.Clamp(focus - Width / 3, 0, line.Length - Width);
        int to = Math.Min(line.Length, from + Width);
        string shown = line.Source.Text[(line.Start + from)..(line.Start + to)];
        string number = (line.Source.LineAt(line.Start) + 1).ToString(CultureInfo.InvariantCulture).PadLeft(margin);
        string cut = from > 0 ? "…" : "";
        text.Append(Paint(number + " |", Blue)).Append(' ').Append(cut).Append(Visible(shown)).Append(to < line.Length ? "…" : "").Append('\n');
        foreach (var mark in marks)
        {
            int start = Math.Clamp(mark.Span.Start - line.Start, from, to), end = Math.Clamp(mark.Span.End - line.Start, start, to);
            string indent = new(' ', cut.Length + Columns(shown[..(start - from)]));
            string carets = new(mark.Glyph, Math.Max(1, Columns(shown[(start - from)..(end - from)])));
            text.Append(bar).Append(' ').Append(indent).Append(Paint(mark.Text.Length > 0 ? $"{carets} {Visible(mark.Text)}" : carets, mark.Color)).Append('\n');
        }
    }

    /// <summary>The line as it would be, if the fix stays on one and the line is short.</summary>
    private static string? Repaired(Fix fix)
    {
        var source = fix.Span.Source;
        if (fix.Span.IsNone || fix.Replacement.Contains('\n', StringComparison.Ordinal)) return null;
        var line = source.Line(source.LineAt(fix.Span.Start));
        if (fix.Span.End > line.End || line.Length > Width) return null;
        return (source.Text[line.Start..fix.Span.Start] + fix.Replacement + source.Text[fix.Span.End..line.End]).Trim();
    }

    /// <summary>Text without what could move the cursor: tabs are two blanks, controls and invisible characters a sign.</summary>
    private static string Visible(string text)
    {
        if (!text.Any(c => Replacement(c) is not null)) return text;
        var visible = new StringBuilder();
        foreach (char c in text)
        {
            if (Replacement(c) is { } replacement) visible.Append(replacement);
            else visible.Append(c);
        }

        return visible.ToString();
    }

    private static string? Replacement(char c) => c == '\t' ? "  "
        : char.IsControl(c) || char.GetUnicodeCategory(c) is UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator ? "·" : null;

    /// <summary>How many columns a text takes: marks that combine take none, signs of East Asian scripts two.</summary>
    private static int Columns(string text)
    {
        int columns = 0;
        foreach (var rune in Visible(text).EnumerateRunes())
        {
            columns += Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark ? 0
                : rune.Value is (>= 0x1100 and <= 0x115F) or (>= 0x2E80 and <= 0xA4CF) or (>= 0xAC00 and <= 0xD7A3) or (>= 0xF900 and <= 0xFAFF)
                    or (>= 0xFE30 and <= 0xFE6F) or (>= 0xFF00 and <= 0xFF60) or (>= 0xFFE0 and <= 0xFFE6) or (>= 0x1F300 and <= 0x1FAFF) ? 2 : 1;
        }

        return columns;
    }

    private string Paint(string text, string style) => colors ? $"\e[{style}m{text}\e[0m" : text;

    private readonly record struct Mark(TextSpan Span, string Text, string Color, char Glyph);
}
