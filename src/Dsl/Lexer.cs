using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace Dnn.Dsl;

/// <summary>
/// Text to tokens. Never fails: what cannot be read becomes a token of kind <see cref="TokenKind.Bad"/> or, where the meaning is plain,
/// the token that was meant, with a diagnostic. The full texts of the tokens in order are the file.
/// </summary>
public sealed class Lexer
{
    /// <summary>Signs that look like, or elsewhere mean, a token of ours.</summary>
    private static readonly (string Signs, TokenKind Kind)[] _lookAlikes =
    [
        ("×·⋅∗∙", TokenKind.Star), ("÷∕⁄", TokenKind.Slash), ("−–—‒‐‑", TokenKind.Minus), ("≤⩽", TokenKind.LessOrEqual),
        ("≥⩾", TokenKind.GreaterOrEqual), ("≠", TokenKind.NotEqual), ("→", TokenKind.Arrow), ("⇒", TokenKind.FatArrow),
        ("…", TokenKind.Ellipsis), ("‥", TokenKind.DotDot), ("≡", TokenKind.EqualEqual), ("∧", TokenKind.And), ("∨", TokenKind.Or),
        ("¬", TokenKind.Not), ("（", TokenKind.LeftParen), ("）", TokenKind.RightParen), ("［", TokenKind.LeftBracket),
        ("］", TokenKind.RightBracket), ("｛", TokenKind.LeftBrace), ("｝", TokenKind.RightBrace), ("，、", TokenKind.Comma),
        ("：", TokenKind.Colon), ("．", TokenKind.Dot), ("＝", TokenKind.Equal), ("＜", TokenKind.Less), ("＞", TokenKind.Greater),
        ("＋", TokenKind.Plus), ("－", TokenKind.Minus), ("＊", TokenKind.Star), ("／", TokenKind.Slash), ("％", TokenKind.Percent),
        ("＠", TokenKind.At),
    ];

    /// <summary>Letters that look like ASCII ones, pairwise.</summary>
    private const string Confusable = "аaеeоoрpсcуyхxіiјjѕsАAВBЕEКKМMНHОOРPСCТTХXοoνvαaΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧX";

    private readonly SourceText _source;
    private readonly string _text;
    private readonly List<Diagnostic> _diagnostics = [];
    private int _at;
    private bool _tabSeen;

    private Lexer(SourceText source)
    {
        _source = source;
        _text = source.Text;
    }

    public static (ImmutableArray<Token> Tokens, ImmutableArray<Diagnostic> Diagnostics) Lex(SourceText source)
    {
        var lexer = new Lexer(source);
        var tokens = Layout.Apply(source, lexer.Scan(), lexer._diagnostics);
        return (tokens, [.. lexer._diagnostics]);
    }

    /// <summary>The trivia between two positions, which were the bounds of some.</summary>
    public static ImmutableArray<Trivia> Trivia(SourceText source, int start, int end)
    {
        var lexer = new Lexer(source) { _at = start };
        var trivia = ImmutableArray.CreateBuilder<Trivia>();
        while (lexer._at < end && lexer.NextTrivia() is { } kind)
        {
            trivia.Add(new(kind, source.Span(start, lexer._at)));
            start = lexer._at;
        }

        return trivia.DrainToImmutable();
    }

    /// <summary>Tokens without layout: each with the first newline before it.</summary>
    private List<RawToken> Scan()
    {
        var tokens = new List<RawToken>();
        while (true)
        {
            int lineBreak = -1, start = _at;
            while (NextTrivia() is { } kind)
            {
                if (kind == TriviaKind.NewLine && lineBreak < 0) lineBreak = start;
                start = _at;
            }

            var token = NextToken();
            tokens.Add(new(token, start, _at, lineBreak));
            if (token == TokenKind.EndOfFile) return tokens;
        }
    }

    private char Peek(int offset = 0) => _at + offset < _text.Length ? _text[_at + offset] : '\0';

    private bool Ahead(string text) => string.CompareOrdinal(_text, _at, text, 0, text.Length) == 0;

    private void Report(DiagnosticDescriptor code, int start, int end, string message, string? fix = null, string? replacement = null)
    {
        var span = _source.Span(start, end);
        var diagnostic = code.At(span, message);
        if (fix is not null) diagnostic = diagnostic.WithFix(fix, span, replacement!);
        _diagnostics.Add(diagnostic);
    }

    // ---- Trivia ------------------------------------------------------------------------------------------------------

    private TriviaKind? NextTrivia()
    {
        if (_at >= _text.Length) return null;
        char c = _text[_at];
        if (c is '\n' or '\r')
        {
            _at += Ahead("\r\n") ? 2 : 1;
            return TriviaKind.NewLine;
        }

        if (c is '/' && Ahead("//"))
        {
            var kind = Ahead("///") ? TriviaKind.Documentation : TriviaKind.Comment;
            SkipLine();
            return kind;
        }

        if (c is '#')
        {
            int start = _at;
            SkipLine();
            Report(DiagnosticCodes.ForeignComment, start, start + 1, "a comment starts with '//'", "write '//'", "//");
            return TriviaKind.Foreign;
        }

        if (c is '/' && Ahead("/*"))
        {
            int start = _at, end = _text.IndexOf("*/", _at + 2, StringComparison.Ordinal);
            _at = end < 0 ? _text.Length : end + 2;
            Report(DiagnosticCodes.ForeignComment, start, start + 2, end < 0
                ? "this comment never ends; a comment starts with '//' and goes to the end of the line"
                : "a comment starts with '//' and goes to the end of the line");
            return TriviaKind.Foreign;
        }

        int blank = _at;
        while (_at < _text.Length && IsBlank(_text[_at], _at)) _at++;
        return _at > blank ? TriviaKind.Blank : null;
    }

    private bool IsBlank(char c, int at)
    {
        if (c is ' ' or '\f' or '\v' || (c == '\uFEFF' && at == 0)) return true;
        if (c == '\t')
        {
            if (!_tabSeen) Report(DiagnosticCodes.Tab, at, at + 1, "tab character; use spaces", "write spaces", "  ");
            return _tabSeen = true;
        }

        if (c < 0x80) return false;
        var category = char.GetUnicodeCategory(c);
        if (category is UnicodeCategory.SpaceSeparator or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator || c == '\u0085')
        {
            Report(DiagnosticCodes.LookAlike, at, at + 1, $"this blank is U+{(int)c:X4}, not a space", "write a space", " ");
            return true;
        }

        if (category == UnicodeCategory.Format)
        {
            Report(DiagnosticCodes.LookAlike, at, at + 1, $"there is an invisible character here, U+{(int)c:X4}", "remove it", "");
            return true;
        }

        return false;
    }

    private void SkipLine()
    {
        int end = _text.AsSpan(_at).IndexOfAny('\n', '\r');
        _at = end < 0 ? _text.Length : _at + end;
    }

    // ---- Tokens ------------------------------------------------------------------------------------------------------

    private TokenKind NextToken()
    {
        if (_at >= _text.Length) return TokenKind.EndOfFile;
        char c = _text[_at];
        if (char.IsAsciiDigit(c) || (c == '.' && char.IsAsciiDigit(Peek(1)) && !AfterOperand())) return Number();
        if (c is '"' or '\'' or '“' or '”' or '„' or '‘' or '’') return String(c);
        if (WordLength(_at) is > 0 and int length) return Word(length);

        var (kind, size) = Mark(c);
        int start = _at;
        _at += size;
        if (kind is not null) return kind.Value;

        switch (c)
        {
            case '^':
                Report(DiagnosticCodes.ForeignOperator, start, _at, "a power is written '**'", "write '**'", "**");
                return TokenKind.StarStar;
            case '&' or '|':
                if (Peek() == c) _at++;
                string word = c == '&' ? "and" : "or";
                Report(DiagnosticCodes.ForeignOperator, start, _at, $"the operator is the word '{word}'", $"write '{word}'", word);
                return c == '&' ? TokenKind.And : TokenKind.Or;
            case '!':
                Report(DiagnosticCodes.ForeignOperator, start, _at, "the operator is the word 'not'", "write 'not'", "not ");
                return TokenKind.Not;
            case ';':
                return TokenKind.NewLine;
        }

        if (Meant(c) is { } meant)
        {
            string text = meant.Text();
            Report(DiagnosticCodes.LookAlike, start, _at, $"'{c}' (U+{(int)c:X4}) is not '{text}'", $"write '{text}'", text);
            return meant;
        }

        while (_at < _text.Length && IsUnknown()) _at++;
        string shown = _text[start.._at];
        Report(DiagnosticCodes.UnknownCharacter, start, _at, shown.Length > 20 || shown.Any(x => char.IsControl(x) || char.IsSurrogate(x) || x == '\uFFFD')
            ? $"{(shown.Length == 1 ? "this character means" : "these characters mean")} nothing here"
            : $"'{shown}' means nothing here");
        return TokenKind.Bad;
    }

    private (TokenKind? Kind, int Length) Mark(char c) => c switch
    {
        '.' => Ahead("...") ? (TokenKind.Ellipsis, 3) : Ahead("..") ? (TokenKind.DotDot, 2) : (TokenKind.Dot, 1),
        '=' => Peek(1) switch { '=' => (TokenKind.EqualEqual, 2), '>' => (TokenKind.FatArrow, 2), _ => (TokenKind.Equal, 1) },
        '!' when Peek(1) == '=' => (TokenKind.NotEqual, 2),
        '<' => Peek(1) == '=' ? (TokenKind.LessOrEqual, 2) : (TokenKind.Less, 1),
        '>' => Peek(1) == '=' ? (TokenKind.GreaterOrEqual, 2) : (TokenKind.Greater, 1),
        '-' => Peek(1) == '>' ? (TokenKind.Arrow, 2) : (TokenKind.Minus, 1),
        '*' => Peek(1) == '*' ? (TokenKind.StarStar, 2) : (TokenKind.Star, 1),
        '|' when Peek(1) == '>' => (TokenKind.Pipe, 2),
        '(' or ')' or '[' or ']' or '{' or '}' or ',' or ':' or '+' or '/' or '%' or '@' => ((TokenKind)c, 1),
        _ => (null, 1),
    };

    /// <summary>The token that a sign looks like.</summary>
    private static TokenKind? Meant(char c)
    {
        foreach (var (signs, kind) in _lookAlikes)
        {
            if (signs.Contains(c))
                return kind;
        }

        return null;
    }

    /// <summary>Whether nothing that we know starts here.</summary>
    private bool IsUnknown()
    {
        char c = _text[_at];
        return c is not ('\n' or '\r' or '\t' or ' ' or '#' or '"' or '\'' or '^' or '&' or '|' or '!' or ';' or '“' or '”' or '„' or '‘' or '’')
            && !char.IsAsciiDigit(c) && Mark(c).Kind is null && Meant(c) is null && !char.IsWhiteSpace(c)
            && char.GetUnicodeCategory(c) != UnicodeCategory.Format && WordLength(_at) == 0;
    }

    private bool AfterOperand() => _at > 0 && (_text[_at - 1] is ')' or ']' or '_' || char.IsLetterOrDigit(_text[_at - 1]));

    /// <summary>The length of the word at a position: letters of any script, digits, <c>_</c> (UAX #31 without medial characters).</summary>
    private int WordLength(int at)
    {
        int start = at;
        while (at < _text.Length)
        {
            char c = _text[at];
            if (c < 0x80 ? char.IsAsciiLetter(c) || c == '_' || (at > start && char.IsAsciiDigit(c)) : IsWordPart(at, at == start))
            {
                at += char.IsHighSurrogate(c) ? 2 : 1;
            }
            else
            {
                break;
            }
        }

        return at - start;
    }

    private bool IsWordPart(int at, bool first) => Rune.TryGetRuneAt(_text, at, out var rune) && Rune.GetUnicodeCategory(rune) switch
    {
        UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
            or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter or UnicodeCategory.LetterNumber => true,
        UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.DecimalDigitNumber => !first,
        _ => false,
    };

    private TokenKind Word(int length)
    {
        int start = _at;
        _at += length;
        string word = _text[start.._at];
        if (TokenKinds.Reserved.TryGetValue(word, out var reserved)) return reserved;
        if (word.Any(char.IsAsciiLetter) && word.Any(c => c >= 0x80 && AsciiLike(c) != c))
        {
            string plain = string.Concat(word.Select(AsciiLike));
            char odd = word.First(c => AsciiLike(c) != c);
            Report(DiagnosticCodes.LookAlike, start, _at, $"'{_source.Span(start, _at).Shown}' has a letter U+{(int)odd:X4} that looks like '{AsciiLike(odd)}'",
                $"write '{plain}'", plain);
        }

        return TokenKind.Name;
    }

    private static char AsciiLike(char c)
    {
        if (c is > '\uFF00' and < '\uFF5F') return (char)(c - 0xFEE0);
        int i = c < 0x80 ? -1 : Confusable.IndexOf(c);
        return i >= 0 ? Confusable[i + 1] : c;
    }

    private TokenKind String(char quote)
    {
        int start = _at++;
        while (_at < _text.Length && _text[_at] is not ('\n' or '\r'))
        {
            char c = _text[_at];
            if (StringLiteral.Closes(quote, c))
            {
                _at++;
                if (quote != '"')
                {
                    var code = quote == '\'' ? DiagnosticCodes.SingleQuotes : DiagnosticCodes.LookAlike;
                    Report(code, start, _at, "a string stands in double quotes '\"'", "write straight double quotes",
                        Graph.Printer.Quote(StringLiteral.Value(_text[start.._at])));
                }

                return TokenKind.String;
            }

            int size = 1;
            if (c == '\\')
            {
                size = StringLiteral.Escape(_text, _at, null);
                if (size == 0)
                {
                    bool more = _at + 1 < _text.Length && _text[_at + 1] is not ('\n' or '\r');
                    size = more ? 2 : 1;
                    Report(DiagnosticCodes.BadEscape, _at, _at + size, $"'{_text.Substring(_at, size)}' is no escape; a backslash is written '\\\\'",
                        "write two backslashes", "\\\\" + (more ? _text[_at + 1] : ""));
                }
            }

            _at += size;
        }

        if (quote is '"' or '“' or '”' or '„')
        {
            Report(DiagnosticCodes.UnterminatedString, start, _at, "this string does not end on its line");
        }
        else
        {
            Report(DiagnosticCodes.SingleQuotes, start, start + 1, "a string stands in double quotes '\"'");
        }

        return TokenKind.String;
    }

    private TokenKind Number()
    {
        int start = _at;
        SkipDigits();
        bool bare = false;
        if (Peek() == '.' && Peek(1) != '.')
        {
            if (char.IsAsciiDigit(Peek(1)))
            {
                bare = _at == start;
                _at++;
                SkipDigits();
            }
            else if (WordLength(_at + 1) == 0 || (Peek(1) is 'e' or 'E' && char.IsAsciiDigit(Peek(2))))
            {
                bare = true;
                _at++;
            }
        }

        if (Peek() is 'e' or 'E')
        {
            int sign = Peek(1) is '+' or '-' ? 1 : 0;
            if (char.IsAsciiDigit(Peek(1 + sign)))
            {
                _at += 1 + sign;
                SkipDigits();
            }
        }

        if (Malformed(start)) return TokenKind.Number;
        string text = _text[start.._at];
        if (bare)
        {
            string whole = text[0] == '.' ? "0" + text : text.Replace(".", ".0", StringComparison.Ordinal);
            Report(DiagnosticCodes.BarePoint, start, _at, "a decimal point needs digits on both sides", "add a zero", whole);
            return TokenKind.Number;
        }

        var (value, integer, _) = NumberLiteral.Parse(text);
        if (!double.IsFinite(value) || (integer is null && text.All(char.IsAsciiDigit)))
        {
            Report(DiagnosticCodes.NumberOutOfRange, start, _at, text.All(char.IsAsciiDigit)
                ? "this whole number is too large; the largest is 9223372036854775807"
                : "this number is too large for a float; infinity is written 'inf'");
        }

        return TokenKind.Number;
    }

    private bool Malformed(int start)
    {
        int end = _at;
        if (Peek() == '.' && char.IsAsciiDigit(Peek(1)))
        {
            while (char.IsAsciiDigit(Peek()) || (Peek() == '.' && char.IsAsciiDigit(Peek(1)))) _at++;
            Report(DiagnosticCodes.MalformedNumber, start, _at, "a number has one decimal point");
            return true;
        }

        int length = 0;
        while (true)
        {
            int more = char.IsAsciiDigit(Peek(length)) ? 1 : WordLength(_at + length);
            if (more == 0) break;
            length += more;
        }

        if (length == 0) return false;
        string number = _text[start..end], suffix = _text.Substring(end, length);
        if (suffix is "step" or "steps" or "epoch" or "epochs")
        {
            Report(DiagnosticCodes.MalformedNumber, start, end + length, $"write '{number} {suffix}' with a blank", "insert a blank", $"{number} {suffix}");
            return true;
        }

        _at += length;
        if (suffix.All(c => c == '_' || char.IsAsciiDigit(c)))
        {
            string plain = number + suffix.Replace("_", "", StringComparison.Ordinal);
            Report(DiagnosticCodes.MalformedNumber, start, _at, "digits are not grouped", "write them together", plain);
        }
        else if (suffix is "e" or "E")
        {
            if (Peek() is '+' or '-') _at++;
            Report(DiagnosticCodes.MalformedNumber, start, _at, "this exponent has no digits");
        }
        else if (number == "0" && suffix[0] is 'x' or 'X' or 'b' or 'B' or 'o' or 'O')
        {
            Report(DiagnosticCodes.MalformedNumber, start, _at, "numbers are decimal");
        }
        else if (suffix is "f" or "F" or "d" or "L")
        {
            Report(DiagnosticCodes.MalformedNumber, start, _at, "a number has no suffix", "remove it", number);
        }
        else
        {
            Report(DiagnosticCodes.MalformedNumber, start, _at, $"this number runs into a word; a product is written '{number} * {_source.Span(end, _at).Shown}'",
                "write the product", $"{number} * {suffix}");
        }

        return true;
    }

    private void SkipDigits()
    {
        while (char.IsAsciiDigit(Peek())) _at++;
    }
}

/// <summary>A token before layout; <paramref name="LineBreak"/> is where the first newline before it is, or -1.</summary>
internal readonly record struct RawToken(TokenKind Kind, int Start, int End, int LineBreak);

/// <summary>
/// Decides which newlines count, joins numbers with their percent signs and pairs brackets, as the end of grammar.ebnf says. A line that
/// can only start a statement closes the <c>(</c> and <c>[</c> that are still open, so that one that was forgotten does not swallow the file.
/// </summary>
internal static class Layout
{
    public static ImmutableArray<Token> Apply(SourceText source, List<RawToken> raw, List<Diagnostic> diagnostics)
    {
        var tokens = new List<Token>(raw.Count + raw.Count / 4);
        var open = new Brackets(tokens);
        int full = 0;
        for (int i = 0; i < raw.Count; i++)
        {
            var (kind, start, end, lineBreak) = raw[i];
            bool starts = lineBreak >= 0 && StartsStatement(source, raw, i);
            if (starts) open.DropToBrace();
            if (tokens.Count > 0)
            {
                full = lineBreak >= 0 ? lineBreak : start;
                tokens[^1] = tokens[^1] with { FullEnd = full };
                var last = tokens[^1].Kind;
                if (lineBreak >= 0 && open.NewLinesCount && last != TokenKind.NewLine
                    && (starts ? last != TokenKind.LeftBrace : !last.ContinuesAfter() && !ContinuesLine(source, raw[i])))
                {
                    full += source.Text.AsSpan(lineBreak).StartsWith("\r\n") ? 2 : 1;
                    tokens.Add(new(TokenKind.NewLine, lineBreak, lineBreak, full, full));
                }
            }

            if (kind == TokenKind.Number && raw[i + 1] is { Kind: TokenKind.Percent } percent && percent.Start == end
                && !IsOperand(source, raw[i + 2], open.NewLinesCount))
            {
                end = percent.End;
                i++;
            }

            if (kind == TokenKind.NewLine)
            {
                var span = source.Span(start, end);
                bool more = raw[i + 1] is { LineBreak: < 0, Kind: not (TokenKind.EndOfFile or TokenKind.RightBrace) };
                diagnostics.Add(open.NewLinesCount
                    ? DiagnosticCodes.Semicolon.At(span, "a statement ends with its line, without ';'")
                        .WithFix(more ? "start a new line" : "remove it", span, more ? "\n" : "")
                    : DiagnosticCodes.Semicolon.At(span, "arguments are told apart by ','").WithFix("write ','", span, ","));
                if (!open.NewLinesCount) kind = TokenKind.Comma;
            }

            tokens.Add(new(kind, full, start, end, source.Length));
            if (kind.IsOpening()) open.Open();
            if (kind.IsClosing()) open.Close();
        }

        return [.. tokens];
    }

    private static bool ContinuesLine(SourceText source, RawToken next) => next.Kind == TokenKind.EndOfFile || next.Kind.ContinuesBefore()
        || (next.Kind == TokenKind.Name && Text(source, next) is "as" or "gradient");

    private static bool StartsStatement(SourceText source, List<RawToken> raw, int i) => raw[i].Kind switch
    {
        TokenKind.Let or TokenKind.Return => true,
        TokenKind.Name => raw[i + 1] is { LineBreak: < 0, Kind: TokenKind.Name or TokenKind.String } next && Keywords.IsAny(Text(source, raw[i]))
            && Text(source, next) is not "as",
        _ => false,
    };

    private static bool IsOperand(SourceText source, RawToken next, bool newLinesCount) => !(next.LineBreak >= 0 && newLinesCount)
        && next.Kind switch
        {
            TokenKind.Name => Text(source, next) is not "as",
            TokenKind.Number or TokenKind.String or TokenKind.True or TokenKind.False or TokenKind.LeftParen or TokenKind.LeftBracket => true,
            _ => false,
        };

    private static ReadOnlySpan<char> Text(SourceText source, RawToken token) => source.Text.AsSpan(token.Start, token.End - token.Start);
}

/// <summary>
/// The brackets that are open. A closing one pairs with the latest of its kind, and what was open inside stays unpaired; <c>)</c> and
/// <c>]</c> do not reach over a brace. Constant time a bracket, amortized.
/// </summary>
internal sealed class Brackets(List<Token> tokens)
{
    private readonly Stack<int> _open = [];
    private readonly Stack<(int Parens, int Squares)> _outer = [];
    private int _parens, _squares;

    public bool NewLinesCount => _parens == 0 && _squares == 0;

    /// <summary>Opens the last token.</summary>
    public void Open()
    {
        _open.Push(tokens.Count - 1);
        switch (tokens[^1].Kind)
        {
            case TokenKind.LeftParen: _parens++; break;
            case TokenKind.LeftBracket: _squares++; break;
            default:
                _outer.Push((_parens, _squares));
                (_parens, _squares) = (0, 0);
                break;
        }
    }

    /// <summary>Closes with the last token, if there is something to close.</summary>
    public void Close()
    {
        var kind = tokens[^1].Kind;
        int candidates = kind == TokenKind.RightParen ? _parens : kind == TokenKind.RightBracket ? _squares : _outer.Count;
        if (candidates == 0) return;
        int opening;
        do opening = Pop();
        while (tokens[opening].Kind.Closing() != kind);
        tokens[opening] = tokens[opening] with { Partner = tokens.Count - 1 };
        tokens[^1] = tokens[^1] with { Partner = opening };
    }

    /// <summary>Gives up on what is open since the last brace.</summary>
    public void DropToBrace()
    {
        while (!NewLinesCount) Pop();
    }

    private int Pop()
    {
        int opening = _open.Pop();
        switch (tokens[opening].Kind)
        {
            case TokenKind.LeftParen: _parens--; break;
            case TokenKind.LeftBracket: _squares--; break;
            default: (_parens, _squares) = _outer.Pop(); break;
        }

        return opening;
    }
}
