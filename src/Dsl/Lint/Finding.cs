using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Another place that a finding speaks of.</summary>
public readonly record struct RelatedPlace(SourceLocation? Location, string Text);

/// <summary>What a lint rule found in a model: plain data, with or without a source text behind the model.</summary>
/// <param name="Rule">The row of the rule.</param>
/// <param name="Message">What is wrong, with the number behind it.</param>
public sealed record Finding(DiagnosticDescriptor Rule, string Message)
{
    public string Code => Rule.Code;

    public Severity Severity { get; init; } = Rule.Severity;

    /// <summary>The number behind the finding, such as a predicted drift; what it counts is in the message.</summary>
    public required double Number { get; init; }

    /// <summary>Where; null for models that were not built from text.</summary>
    public SourceLocation? Location { get; init; }

    /// <summary>The path of the layer; empty for the model itself.</summary>
    public string Path { get; init; } = "";

    public ImmutableArray<RelatedPlace> Related { get; init; } = [];

    public ImmutableArray<string> Notes { get; init; } = [];

    /// <summary>A change of the call at the place that would repair it.</summary>
    internal CallEdit? Edit { get; init; }

    /// <summary>The line of the train block that it is about, instead of a place in the model.</summary>
    internal string? TrainOption { get; init; }

    public override string ToString() => $"{(Location is null ? Path : Location.ToString())}: {Severity.ToString().ToLowerInvariant()} {Code}: {Message}";
}

/// <summary>A change of a call in source.</summary>
/// <param name="Title">What it does, in words.</param>
/// <param name="IsSafe">Whether the function that is computed stays the same.</param>
internal abstract record CallEdit(string Title, bool IsSafe);

/// <summary>Gives an argument of the call of a layer a value.</summary>
internal sealed record SetArgument(string Title, string Callee, string Name, string Value, bool IsSafe) : CallEdit(Title, IsSafe);

/// <summary>
/// Takes calls from around the first argument of a call of <paramref name="Outer"/>, which gets another name: <c>bce(sigmoid(x), y)</c> → <c>bce_with_logits(x, y)</c>,
/// <c>nll(log(softmax(x)), y)</c> → <c>cross_entropy(x, y)</c>.
/// </summary>
internal sealed record Unwrap(string Title, string Outer, ImmutableArray<string> Inner, string NewOuter, bool IsSafe) : CallEdit(Title, IsSafe);

/// <summary>Takes out the line at the place: a <c>let</c> whose name nothing uses, or an option of a train block.</summary>
internal sealed record RemoveLine(string Title, bool IsSafe) : CallEdit(Title, IsSafe);
