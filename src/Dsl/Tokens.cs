using System.Collections.Immutable;

namespace Dnn.Dsl;

/// <summary>
/// The kinds of token. Each is a character, so that the grammar reads a text of kinds: a mark of one character is itself, a longer
/// one a sign that resembles it, a reserved word a capital letter.
/// </summary>
public enum TokenKind : ushort
{
    EndOfFile = 0,
    NewLine = '\n',
    Bad = '?',
    Name = 'a',
    Number = '0',
    String = '"',
    LeftParen = '(',
    RightParen = ')',
    LeftBracket = '[',
    RightBracket = ']',
    LeftBrace = '{',
    RightBrace = '}',
    Comma = ',',
    Colon = ':',
    Dot = '.',
    DotDot = '‥',
    Ellipsis = '…',
    Equal = '=',
    EqualEqual = '≡',
    NotEqual = '≠',
    Less = '<',
    LessOrEqual = '≤',
    Greater = '>',
    GreaterOrEqual = '≥',
    Arrow = '→',
    FatArrow = '⇒',
    Pipe = '▷',
    Plus = '+',
    Minus = '-',
    Star = '*',
    StarStar = '^',
    Slash = '/',
    Percent = '%',
    At = '@',
    If = 'I',
    Then = 'T',
    Else = 'E',
    For = 'F',
    In = 'N',
    Let = 'L',
    Return = 'R',
    Or = 'O',
    And = 'A',
    Not = '!',
    True = '1',
    False = '2',
}

/// <summary>
/// A token with the blanks, comments and uncounted newlines around it: <c>Text[FullStart..FullEnd]</c> of all tokens in order is the
/// file. Trailing trivia ends with the line; what comes before the next token is the leading trivia of that. A bracket knows the index
/// of its partner; that is -1 if there is none.
/// </summary>
public readonly record struct Token(TokenKind Kind, int FullStart, int Start, int End, int FullEnd, int Partner = -1)
{
    public int Length => End - Start;
}

/// <summary>What stands between tokens.</summary>
public enum TriviaKind
{
    Blank,
    NewLine,
    Comment,
    Documentation,

    /// <summary>A comment of another language, reported and skipped.</summary>
    Foreign,
}

/// <summary>A piece of trivia.</summary>
public readonly record struct Trivia(TriviaKind Kind, TextSpan Span);

/// <summary>The reserved words, how kinds are called in messages, and which of them continue a line.</summary>
public static class TokenKinds
{
    public static readonly IReadOnlyDictionary<string, TokenKind> Reserved = new Dictionary<string, TokenKind>
    {
        ["if"] = TokenKind.If,
        ["then"] = TokenKind.Then,
        ["else"] = TokenKind.Else,
        ["for"] = TokenKind.For,
        ["in"] = TokenKind.In,
        ["let"] = TokenKind.Let,
        ["return"] = TokenKind.Return,
        ["or"] = TokenKind.Or,
        ["and"] = TokenKind.And,
        ["not"] = TokenKind.Not,
        ["true"] = TokenKind.True,
        ["false"] = TokenKind.False,
    };

    /// <summary>The only text of a mark or reserved word; of other kinds, what they are called.</summary>
    public static string Text(this TokenKind kind) => kind switch
    {
        TokenKind.EndOfFile => "the end of the file",
        TokenKind.NewLine => "the end of the line",
        TokenKind.Name => "a name",
        TokenKind.Number => "a number",
        TokenKind.String => "a string",
        TokenKind.Bad => "an unknown character",
        TokenKind.DotDot => "..",
        TokenKind.Ellipsis => "...",
        TokenKind.EqualEqual => "==",
        TokenKind.NotEqual => "!=",
        TokenKind.LessOrEqual => "<=",
        TokenKind.GreaterOrEqual => ">=",
        TokenKind.Arrow => "->",
        TokenKind.FatArrow => "=>",
        TokenKind.Pipe => "|>",
        TokenKind.StarStar => "**",
        _ when kind.IsReserved() => Reserved.First(word => word.Value == kind).Key,
        _ => ((char)kind).ToString(),
    };

    /// <summary>Whether a kind has one text only.</summary>
    public static bool IsFixed(this TokenKind kind) => kind is not (TokenKind.EndOfFile or TokenKind.NewLine or TokenKind.Name
        or TokenKind.Number or TokenKind.String or TokenKind.Bad);

    public static bool IsReserved(this TokenKind kind) => kind is TokenKind.If or TokenKind.Then or TokenKind.Else or TokenKind.For
        or TokenKind.In or TokenKind.Let or TokenKind.Return or TokenKind.Or or TokenKind.And or TokenKind.Not or TokenKind.True
        or TokenKind.False;

    public static bool IsOpening(this TokenKind kind) => kind is TokenKind.LeftParen or TokenKind.LeftBracket or TokenKind.LeftBrace;

    public static bool IsClosing(this TokenKind kind) => kind is TokenKind.RightParen or TokenKind.RightBracket or TokenKind.RightBrace;

    /// <summary>The kind that closes an opening bracket.</summary>
    public static TokenKind Closing(this TokenKind kind) => kind switch
    {
        TokenKind.LeftParen => TokenKind.RightParen,
        TokenKind.LeftBracket => TokenKind.RightBracket,
        _ => TokenKind.RightBrace,
    };

    /// <summary>Whether an operand can end with this token.</summary>
    public static bool EndsOperand(this TokenKind kind) => kind is TokenKind.Name or TokenKind.Number or TokenKind.String
        or TokenKind.True or TokenKind.False or TokenKind.RightParen or TokenKind.RightBracket or TokenKind.RightBrace;

    /// <summary>A newline after these is a blank.</summary>
    internal static bool ContinuesAfter(this TokenKind kind) => IsInfix(kind) || IsOpening(kind) || kind is TokenKind.Minus
        or TokenKind.Equal or TokenKind.FatArrow or TokenKind.Arrow or TokenKind.Colon or TokenKind.Comma or TokenKind.Then
        or TokenKind.Else or TokenKind.In or TokenKind.Not;

    /// <summary>A newline before these is a blank.</summary>
    internal static bool ContinuesBefore(this TokenKind kind) => IsInfix(kind) || kind is TokenKind.Then or TokenKind.Else
        or TokenKind.Arrow or TokenKind.RightParen or TokenKind.RightBracket or TokenKind.RightBrace;

    private static bool IsInfix(TokenKind kind) => kind is TokenKind.Pipe or TokenKind.Or or TokenKind.And or TokenKind.EqualEqual
        or TokenKind.NotEqual or TokenKind.Less or TokenKind.LessOrEqual or TokenKind.Greater or TokenKind.GreaterOrEqual
        or TokenKind.Plus or TokenKind.Star or TokenKind.Slash or TokenKind.Percent or TokenKind.At or TokenKind.StarStar;
}

/// <summary>The words that mean something at the start of a line only.</summary>
public static class Keywords
{
    public static readonly ImmutableArray<string> Declarations = ["import", "hyper", "layer", "model", "data", "train", "test"];

    public static readonly ImmutableArray<string> Statements =
        ["param", "buffer", "update", "require", "assert", "assert_shape", "assert_error", "assert_gradients", "input", "target", "output", "metric", "loss"];

    internal static bool IsAny(ReadOnlySpan<char> word)
    {
        foreach (string keyword in Declarations) if (word.SequenceEqual(keyword)) return true;
        foreach (string keyword in Statements) if (word.SequenceEqual(keyword)) return true;
        return false;
    }
}

/// <summary>A parsed file: source, tree, tokens and what was wrong with them. Made by <see cref="Parser"/>.</summary>
public sealed record SyntaxTree(SourceText Source, UnitSyntax Root, ImmutableArray<Token> Tokens, ImmutableArray<Diagnostic> Diagnostics);
