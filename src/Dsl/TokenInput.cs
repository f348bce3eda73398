using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Sprache;

namespace Dnn.Dsl;

/// <summary>A position among the tokens, as Sprache reads it: <see cref="Current"/> is the kind. Bad tokens are passed over.</summary>
internal sealed class TokenInput(ParseState state, int index) : IInput
{
    public ParseState State { get; } = state;

    public int Index { get; } = index;

    public Token Token => State.Tokens[Index];

    public TokenKind Kind => State.Tokens[Index].Kind;

    public TextSpan Span => State.SpanOf(Index);

    /// <summary>The position <paramref name="count"/> tokens on.</summary>
    public TokenInput Next(int count = 1)
    {
        var input = this;
        for (; count > 0; count--) input = input.State.Input(input.Index + 1);
        return input;
    }

    public bool Is(TokenKind kind) => Kind == kind;

    public bool IsWord(string word) => Kind == TokenKind.Name && State.Source.Text.AsSpan(Token.Start, Token.Length).SequenceEqual(word);

    /// <summary>Whether a statement may end before this token.</summary>
    public bool EndsStatement => Kind is TokenKind.NewLine or TokenKind.EndOfFile or TokenKind.RightBrace;

    public char Current => (char)Kind;

    public bool AtEnd => Kind == TokenKind.EndOfFile;

    public int Position => Token.Start;

    public int Line => State.Source.Locate(Token.Start).Line;

    public int Column => State.Source.Locate(Token.Start).Column;

    public string Source => State.Source.Text;

    public IDictionary<object, object> Memos => State.Memos;

    public IInput Advance() => Next();

    public bool Equals(IInput? other) => ReferenceEquals(this, other);

    public override bool Equals(object? obj) => ReferenceEquals(this, obj);

    public override int GetHashCode() => Index;
}

/// <summary>What could have stood at the furthest failure; for a closing bracket also where it was opened.</summary>
internal readonly record struct Expectation(string Text, int Opening = -1);

/// <summary>
/// What all positions of one parse share: the tokens, the diagnostics so far, the depth of nesting, and the furthest failure with its
/// expectations, from which messages are made. (Sprache's results lose the expectations of what succeeded before.)
/// </summary>
internal sealed class ParseState(SourceText source, ImmutableArray<Token> tokens)
{
    private readonly TokenInput?[] _inputs = new TokenInput?[tokens.Length];
    private readonly List<Expectation> _expected = [];
    private int _furthest = -1;
    private Diagnostic? _special;
    private int _depth;
    private int _unclosedAt = -1;

    public SourceText Source { get; } = source;

    public ImmutableArray<Token> Tokens { get; } = tokens;

    public List<Diagnostic> Diagnostics { get; } = [];

    public Dictionary<object, object> Memos { get; } = [];

    /// <summary>The input at the first token from an index on that is not bad.</summary>
    public TokenInput Input(int index)
    {
        if (index >= Tokens.Length) index = Tokens.Length - 1;
        if (_inputs[index] is { } known) return known;
        int good = index;
        while (Tokens[good].Kind == TokenKind.Bad) good++;
        return _inputs[index] = _inputs[good] ??= new(this, good);
    }

    public TextSpan SpanOf(int index) => Source.Span(Tokens[index].Start, Tokens[index].End);

    /// <summary>From the start of a token to the end of the last one before another position.</summary>
    public TextSpan Span(TokenInput first, IInput rest)
    {
        int last = Previous(((TokenInput)rest).Index);
        return Source.Span(first.Token.Start, Math.Max(Tokens[last].End, first.Token.Start));
    }

    private int Previous(int index)
    {
        do index--;
        while (index > 0 && Tokens[index].Kind == TokenKind.Bad);
        return Math.Max(index, 0);
    }

    /// <summary>Enters a level of nesting, if there is room for one more.</summary>
    public bool TryEnter()
    {
        if (_depth >= Parser.MaxDepth || !RuntimeHelpers.TryEnsureSufficientExecutionStack()) return false;
        _depth++;
        return true;
    }

    public void Leave() => _depth--;

    // ---- Failures ----------------------------------------------------------------------------------------------------

    public void Expect(int index, Expectation expectation)
    {
        if (!Reaches(index) || _special is not null) return;
        if (!_expected.Contains(expectation)) _expected.Add(expectation);
    }

    /// <summary>A failure that has a message of its own.</summary>
    public void Fail(int index, Diagnostic diagnostic)
    {
        if (Reaches(index)) _special ??= diagnostic;
    }

    /// <summary>Forgets failures: what was tried before has been dealt with.</summary>
    public void Restart()
    {
        _furthest = -1;
        _special = null;
        _expected.Clear();
    }

    private bool Reaches(int index)
    {
        if (index < _furthest) return false;
        if (index > _furthest) Restart();
        _furthest = index;
        return true;
    }

    /// <summary>Turns the furthest failure into a diagnostic and forgets it.</summary>
    public void Report()
    {
        if (_furthest >= 0 && Describe() is { } diagnostic) Diagnostics.Add(diagnostic);
        Restart();
    }

    private Diagnostic? Describe()
    {
        if (_special is not null) return _special;
        // A character that means nothing, or a string that swallowed the line, was reported already.
        if (_furthest > 0 && (Tokens[_furthest - 1].Kind == TokenKind.Bad || IsUnterminated(_furthest - 1))) return null;
        var found = Tokens[_furthest];
        int before = Previous(_furthest);
        var span = SpanOf(_furthest);
        bool atEnd = found.Kind is TokenKind.EndOfFile or TokenKind.NewLine;
        if (atEnd && before != _furthest) span = SpanOf(before).AtEnd;

        if (found.Kind.IsClosing() && found.Partner < 0)
        {
            return DiagnosticCodes.Unopened.At(span, $"this '{found.Kind.Text()}' closes nothing");
        }

        int opening = _expected.Select(e => e.Opening).DefaultIfEmpty(-1).Max();
        string wanted = Join(_expected.Select(e => e.Text).Distinct());
        if (opening >= 0 && Tokens[opening].Partner < 0)
        {
            string open = Tokens[opening].Kind.Text(), close = Tokens[opening].Kind.Closing().Text();
            if (open == "{")
            {
                // Where several braces are open at one place, one of them says enough.
                if (_unclosedAt == _furthest) return null;
                _unclosedAt = _furthest;
                return DiagnosticCodes.Unclosed.At(SpanOf(opening), "this '{' is not closed").With(span, "expected '}' here");
            }

            return DiagnosticCodes.Unclosed.At(span, $"expected {wanted} to close the '{open}'").With(SpanOf(opening), $"'{open}' opened here");
        }

        if (found.Kind.IsReserved() && _expected.Exists(e => e.Text == TokenKind.Name.Text()))
        {
            return DiagnosticCodes.ReservedWord.At(span, $"'{span.Text}' is a reserved word and cannot be a name");
        }

        string after = before == _furthest || Tokens[before].Kind is TokenKind.NewLine ? "" : $" after '{SpanOf(before).Shown}'";
        string instead = found.Kind.IsFixed() || found.Kind is TokenKind.Name or TokenKind.Number or TokenKind.String
            ? $"'{span.Shown}'"
            : found.Kind.Text();
        var diagnostic = DiagnosticCodes.UnexpectedToken.At(span, $"expected {wanted}{after}, found {instead}");
        return opening >= 0 ? diagnostic.With(SpanOf(opening), $"'{Tokens[opening].Kind.Text()}' opened here") : diagnostic;
    }

    private bool IsUnterminated(int index) =>
        Tokens[index].Kind == TokenKind.String && !StringLiteral.IsTerminated(SpanOf(index).Text);

    private static string Join(IEnumerable<string> texts)
    {
        string[] all = [.. texts];
        return all.Length < 2 ? string.Concat(all) : string.Join(", ", all[..^1]) + " or " + all[^1];
    }
}
