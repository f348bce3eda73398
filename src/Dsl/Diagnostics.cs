using System.Collections.Immutable;
using Dnn.Graph;

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
/// <param name="Title">What it does.</param>
/// <param name="Span">What is replaced.</param>
/// <param name="Replacement">What takes its place.</param>
/// <param name="IsSafe">Whether it means what was meant for sure, so that <c>dnn fix</c> applies it unasked; a guess is for people to judge.</param>
public sealed record Fix(string Title, TextSpan Span, string Replacement, bool IsSafe = true);

/// <summary>What is wrong, where, why, and what would repair it: plain data, independent of how it is shown.</summary>
public sealed record Diagnostic(DiagnosticDescriptor Descriptor, TextSpan Span, string Message)
{
    public string Code => Descriptor.Code;

    public Severity Severity { get; init; } = Descriptor.Severity;

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
            ? WithNote($"did you mean '{best}'?") with { Fix = new($"replace by '{best}'", span, best, IsSafe: false) }
            : this;

    public override string ToString() => $"{Span}: {Severity.ToString().ToLowerInvariant()} {Code}: {Message}";
}

/// <summary>
/// A row of the table of diagnostics, <see cref="DiagnosticCodes"/>: what <c>dnn explain</c> shows. <see cref="Bad"/> raises the code and
/// <see cref="Good"/> does not; tests hold both to it.
/// </summary>
public sealed record DiagnosticDescriptor(string Code, Severity Severity, string Title, string Explanation, string Bad, string Good)
{
    /// <summary>Whether it is about letters and syntax: then the file has no names and values to look at.</summary>
    public bool IsSyntax => string.CompareOrdinal(Code, "DNN0100") < 0;

    public Diagnostic At(TextSpan span, string message) => new(this, span, message);
}
