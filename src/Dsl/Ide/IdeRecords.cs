using System.Collections.Immutable;

namespace Dnn.Dsl.Ide;

/// <summary>What something is that has a name, for icons and colours.</summary>
public enum IdeKind
{
    Keyword,
    Module,
    Layer,
    Model,
    Data,
    Train,
    Test,
    Function,
    Loss,
    Initializer,
    Optimizer,
    Schedule,
    Source,

    /// <summary>A constant of the language or of the file.</summary>
    Constant,
    Hyper,
    Variable,
    Tensor,
    Dimension,
    Parameter,
    Buffer,
    Input,
    Target,
    Output,
    Metric,
    Type,

    /// <summary>The name of an argument.</summary>
    Argument,

    /// <summary>A line of a data or train block.</summary>
    Option,

    /// <summary>A word of an enumeration.</summary>
    Word,
    Column,

    /// <summary>A parameter or layer inside of a layer.</summary>
    Member,
    Operator,
    Number,
    String,
    Comment,
    Documentation,
}

/// <summary>What is known about a name.</summary>
/// <param name="Span">The name.</param>
/// <param name="Code">How it is declared, as source.</param>
/// <param name="Text">What it means: documentation, shapes, values. Markdown; may be empty.</param>
public sealed record Hover(TextSpan Span, string Code, string Text);

/// <summary>What could be written at a place.</summary>
/// <param name="Label">What is offered.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Detail">Its signature or type; may be empty.</param>
/// <param name="Text">What it means; may be empty.</param>
/// <param name="Replaced">What it replaces: the part of a name before the cursor, and after it.</param>
/// <param name="Insert">What is put there.</param>
public sealed record Completion(string Label, IdeKind Kind, string Detail, string Text, TextSpan Replaced, string Insert);

/// <summary>A place where a name stands.</summary>
public readonly record struct Reference(TextSpan Span, bool IsDeclaration);

/// <summary>A replacement of text.</summary>
public readonly record struct TextEdit(TextSpan Span, string Replacement);

/// <summary>The edits that rename something, or why it cannot have that name.</summary>
/// <param name="Edits">In order of place; empty if refused.</param>
/// <param name="Refusal">Why not; null if it can.</param>
/// <param name="Note">What else changes by it; null if nothing.</param>
public sealed record Renaming(ImmutableArray<TextEdit> Edits, string? Refusal, string? Note);

/// <summary>A declaration or statement worth a line in an outline.</summary>
public sealed record OutlineItem(string Name, string Detail, IdeKind Kind, TextSpan Span, TextSpan NameSpan, ImmutableArray<OutlineItem> Children);

/// <summary>A token with its meaning.</summary>
public readonly record struct SemanticToken(TextSpan Span, IdeKind Kind, bool IsDeclaration);

/// <summary>Lines that can be hidden.</summary>
public enum FoldKind
{
    Block,
    Brackets,
    Comment,
    Imports,
}

/// <summary>What can be folded: from the end of its first line to the end of its last.</summary>
public readonly record struct Fold(TextSpan Span, FoldKind Kind);

/// <summary>A parameter of a signature.</summary>
/// <param name="Label">As it stands in the signature.</param>
/// <param name="Start">Where it stands there.</param>
public readonly record struct SignatureParameter(string Label, int Start);

/// <summary>How what is being called is called.</summary>
/// <param name="Label">The whole signature.</param>
/// <param name="Parameters">Its parameters.</param>
/// <param name="Active">The one that the cursor is at; −1 for none.</param>
/// <param name="Text">What it means; may be empty.</param>
public sealed record Signature(string Label, ImmutableArray<SignatureParameter> Parameters, int Active, string Text);
