using System.Collections.Concurrent;
using System.Collections.Immutable;
using Sprache;

namespace Dnn.Dsl;

/// <summary>What the grammar is written with, besides Sprache's own combinators: a terminal, lists, nesting, and recovery.</summary>
internal static class Combinators
{
    private static readonly ConcurrentDictionary<TokenKind, Parser<TokenInput>> _tokens = [];

    private static readonly ConcurrentDictionary<string, Parser<TokenInput>> _words = [];

    private static readonly ConcurrentDictionary<TokenKind, string> _quoted = [];

    /// <summary>The one terminal: a token that satisfies a condition; if it does not, the state learns what was expected.</summary>
    private static Parser<TokenInput> Terminal(Func<TokenInput, bool> accepts, string expected) => i =>
    {
        var input = (TokenInput)i;
        return accepts(input) ? Result.Success(input, input.Next()) : Expected<TokenInput>(input, expected);
    };

    public static Parser<TokenInput> Token(TokenKind kind) => _tokens.GetOrAdd(kind, static kind =>
        Terminal(input => input.Kind == kind, kind.IsFixed() ? $"'{kind.Text()}'" : kind.Text()));

    /// <summary>A word that is a keyword here only.</summary>
    public static Parser<TokenInput> Word(string word) => _words.GetOrAdd(word, static word => Terminal(input => input.IsWord(word), $"'{word}'"));

    /// <summary>The bracket that closes another.</summary>
    public static Parser<TokenInput> Close(TokenInput opening) => i =>
    {
        var input = (TokenInput)i;
        var kind = opening.Kind.Closing();
        return input.Kind == kind ? Result.Success(input, input.Next()) : Expected<TokenInput>(input, $"'{kind.Text()}'", opening.Index);
    };

    public static IResult<T> Expected<T>(TokenInput input, string expected, int opening = -1)
    {
        input.State.Expect(input.Index, new(expected, opening));
        return Result.Failure<T>(input, "", []);
    }

    public static IResult<T> Failure<T>(TokenInput input, Diagnostic diagnostic)
    {
        input.State.Fail(input.Index, diagnostic);
        return Result.Failure<T>(input, "", []);
    }

    /// <summary>The span from a token to what was consumed last; consumes nothing itself.</summary>
    public static Parser<TextSpan> From(TokenInput first) => i => Result.Success(first.State.Span(first, i), i);

    /// <summary>The position; consumes nothing.</summary>
    public static readonly Parser<TokenInput> Here = i => Result.Success((TokenInput)i, i);

    /// <summary>Chooses by what stands here, so that no alternative is tried in vain.</summary>
    public static Parser<T> Choose<T>(Func<TokenInput, Parser<T>?> choose, string expected) => i =>
        choose((TokenInput)i) is { } parser ? parser(i) : Expected<T>((TokenInput)i, expected);

    /// <summary>Chooses where there is always something to choose.</summary>
    public static Parser<T> Choose<T>(Func<TokenInput, Parser<T>> choose) => i => choose((TokenInput)i)(i);

    /// <summary>A parser if a look ahead says so, else nothing.</summary>
    public static Parser<T?> If<T>(Func<TokenInput, bool> condition, Parser<T> parser) where T : class => i =>
        condition((TokenInput)i) ? parser(i) : Result.Success<T?>(null, i);

    /// <summary>A reference to a parser that is defined later, one level deeper; too deep is a failure with a diagnostic.</summary>
    public static Parser<T> Nested<T>(Func<Parser<T>> parser)
    {
        Parser<T>? known = null;
        return i =>
        {
            var input = (TokenInput)i;
            if (!input.State.TryEnter())
            {
                return Failure<T>(input, DiagnosticCodes.TooDeep.At(input.Span, $"this is nested more than {Parser.MaxDepth} deep"));
            }

            var result = (known ??= parser())(i);
            input.State.Leave();
            return result;
        };
    }

    /// <summary><c>item { "," item }</c>.</summary>
    /// <remarks>Lists and their items are where most tokens stand: they are written as loops.</remarks>
    public static Parser<ImmutableArray<T>> Separated<T>(Parser<T> item) => i =>
    {
        var result = item(i);
        if (!result.WasSuccessful) return Failed<ImmutableArray<T>>(result.Remainder);
        var items = ImmutableArray.CreateBuilder<T>(1);
        while (true)
        {
            items.Add(result.Value);
            var rest = (TokenInput)result.Remainder;
            if (!Meets(rest, TokenKind.Comma)) return Result.Success(items.DrainToImmutable(), rest);
            result = item(rest.Next());

            // The comma may be the last one, which belongs to whom the list belongs to.
            if (!result.WasSuccessful) return Result.Success(items.DrainToImmutable(), rest);
        }
    };

    /// <summary><c>open [ item { "," item } [","] ] close</c>.</summary>
    public static Parser<ImmutableArray<T>> Listed<T>(TokenKind open, Parser<T> item)
    {
        var items = Separated(item);
        return i =>
        {
            var opening = (TokenInput)i;
            if (!Meets(opening, open)) return Failed<ImmutableArray<T>>(opening);
            var values = items(opening.Next());
            var at = values.WasSuccessful ? (TokenInput)values.Remainder : opening.Next();
            if (values.WasSuccessful && Meets(at, TokenKind.Comma)) at = at.Next();
            return at.Is(open.Closing())
                ? Result.Success(values.WasSuccessful ? values.Value : [], at.Next())
                : Expected<ImmutableArray<T>>(at, $"'{open.Closing().Text()}'", opening.Index);
        };
    }

    /// <summary>Whether a token is of a kind; if it is not, the state learns what was expected.</summary>
    private static bool Meets(TokenInput input, TokenKind kind)
    {
        if (input.Kind == kind) return true;
        input.State.Expect(input.Index, new(_quoted.GetOrAdd(kind, static k => k.IsFixed() ? $"'{k.Text()}'" : k.Text())));
        return false;
    }

    /// <summary>A failure whose reason the state knows.</summary>
    public static IResult<T> Failed<T>(IInput at) => Result.Failure<T>(at, "", []);

    /// <summary>
    /// <c>"{" { item NL } "}"</c>. An item that fails is reported and passed over, so that this fails for want of a brace only.
    /// </summary>
    public static Parser<ImmutableArray<T>> Braces<T>(Parser<T> item) =>
        from opening in Token(TokenKind.LeftBrace)
        from items in Items(item, opening)
        from closing in Close(opening)
        select items;

    /// <summary>Items, each on a line of its own, to the closing brace or the end of the file. Never fails.</summary>
    public static Parser<ImmutableArray<T>> Items<T>(Parser<T> item, TokenInput? opening = null) => i =>
    {
        var input = (TokenInput)i;
        var state = input.State;
        var items = ImmutableArray.CreateBuilder<T>();
        while (true)
        {
            while (input.Is(TokenKind.NewLine)) input = input.Next();
            if (input.AtEnd || (opening is not null && (input.Is(TokenKind.RightBrace) || LeavesBlock(input, opening)))) break;
            state.Restart();
            var result = item(input);
            if (result.WasSuccessful)
            {
                items.Add(result.Value);
                var rest = (TokenInput)result.Remainder;
                if (rest.EndsStatement && (opening is not null || !rest.Is(TokenKind.RightBrace)))
                {
                    input = rest;
                    continue;
                }

                state.Expect(rest.Index, new(TokenKind.NewLine.Text()));
            }

            state.Report();
            input = Recover(input, opening);
        }

        state.Restart();
        return Result.Success(items.DrainToImmutable(), input);
    };

    /// <summary>Whether a declaration starts in a block that is never closed: the brace is missing, not the declaration misplaced.</summary>
    private static bool LeavesBlock(TokenInput input, TokenInput opening) =>
        opening.State.Tokens[opening.Index].Partner < 0 && Grammar.StartsDeclaration(input);

    /// <summary>The first line after an item that looks like the start of another, or the end of the block.</summary>
    private static TokenInput Recover(TokenInput start, TokenInput? opening)
    {
        var tokens = start.State.Tokens;
        int i = start.Index;
        while (tokens[i].Kind != TokenKind.EndOfFile)
        {
            var token = tokens[i];
            if (token.Kind.IsOpening() && token.Partner > i)
            {
                i = token.Partner + 1;
                continue;
            }

            if (token.Kind == TokenKind.RightBrace && opening is not null && token.Partner >= 0 && i > start.Index) break;
            i++;
            if (token.Kind == TokenKind.NewLine && (tokens[i].Kind is TokenKind.Name or TokenKind.RightBrace || tokens[i].Kind.IsReserved())) break;
        }

        return start.State.Input(i);
    }
}
