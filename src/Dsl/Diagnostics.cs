using System.Collections.Immutable;

namespace Dnn.Dsl;

public enum Severity
{
    Note,
    Warning,
    Error,
}

/// <summary>A place with something to say about it.</summary>
public readonly record struct Label(TextSpan Span, string Text);

/// <summary>A replacement that would repair the file, and what it does in words.</summary>
public sealed record Fix(string Title, TextSpan Span, string Replacement);

/// <summary>What is wrong, where, why, and what would repair it: plain data, independent of how it is shown.</summary>
public sealed record Diagnostic(DiagnosticDescriptor Descriptor, TextSpan Span, string Message)
{
    public string Code => Descriptor.Code;

    public Severity Severity => Descriptor.Severity;

    /// <summary>Other places that matter, each with text of its own.</summary>
    public ImmutableArray<Label> Secondary { get; init; } = [];

    /// <summary>The chain of applications that led here, innermost first.</summary>
    public ImmutableArray<Label> Trace { get; init; } = [];

    /// <summary>Sentences that belong to no place: causes, 'did you mean'.</summary>
    public ImmutableArray<string> Notes { get; init; } = [];

    public Fix? Fix { get; init; }

    public bool IsError => Severity == Severity.Error;

    public Diagnostic With(TextSpan span, string text) => this with { Secondary = Secondary.Add(new(span, text)) };

    public Diagnostic WithTrace(TextSpan span, string text) => this with { Trace = Trace.Add(new(span, text)) };

    public Diagnostic WithNote(string text) => this with { Notes = Notes.Add(text) };

    public Diagnostic WithFix(string title, TextSpan span, string replacement) => this with { Fix = new(title, span, replacement) };

    /// <summary>Adds 'did you mean' and its fix if a candidate is close to the name at <paramref name="span"/>; else changes nothing.</summary>
    public Diagnostic WithSuggestion(string name, TextSpan span, IEnumerable<string> candidates) =>
        Suggestion.Closest(name, candidates) is { } best
            ? WithNote($"did you mean '{best}'?") with { Fix = new($"replace by '{best}'", span, best) }
            : this;

    public override string ToString() => $"{Span}: {Severity.ToString().ToLowerInvariant()} {Code}: {Message}";
}

/// <summary>
/// A row of the table of diagnostics, <see cref="DiagnosticCodes"/>: what <c>dnn explain</c> shows. <see cref="Bad"/> raises the code and
/// <see cref="Good"/> does not; tests hold both to it.
/// </summary>
public sealed record DiagnosticDescriptor(string Code, Severity Severity, string Title, string Explanation, string Bad, string Good)
{
    public Diagnostic At(TextSpan span, string message) => new(this, span, message);
}

/// <summary>'Did you mean'.</summary>
public static class Suggestion
{
    /// <summary>
    /// The candidate nearest to a name by Damerau–Levenshtein distance (optimal string alignment; Damerau 1964) without regard to case, if
    /// it is near enough to be a slip of the keyboard: at most a third of the letters. Ties go to the first in ordinal order.
    /// </summary>
    public static string? Closest(string name, IEnumerable<string> candidates)
    {
        if (name.Length > 64) return null;
        string? best = null;
        int bestDistance = Math.Max(1, name.Length / 3);
        foreach (string candidate in candidates)
        {
            if (candidate.Length > 64 || candidate == name) continue;
            int distance = Distance(name.ToLowerInvariant(), candidate.ToLowerInvariant());
            if (distance < bestDistance || (distance == bestDistance && (best is null || string.CompareOrdinal(candidate, best) < 0)))
            {
                (best, bestDistance) = (candidate, distance);
            }
        }

        return best;
    }

    /// <summary>Insertions, deletions, replacements and exchanges of neighbours.</summary>
    private static int Distance(string a, string b)
    {
        int[,] d = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++) d[i, 0] = i;
        for (int j = 0; j <= b.Length; j++) d[0, j] = j;
        for (int i = 1; i <= a.Length; i++)
        {
            for (int j = 1; j <= b.Length; j++)
            {
                int cost = Math.Min(d[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1), Math.Min(d[i - 1, j], d[i, j - 1]) + 1);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) cost = Math.Min(cost, d[i - 2, j - 2] + 1);
                d[i, j] = cost;
            }
        }

        return d[a.Length, b.Length];
    }
}
