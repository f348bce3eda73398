using System.Collections.Immutable;
using Sprache;
using static Dnn.Dsl.Combinators;

namespace Dnn.Dsl;

/// <summary>Names, patterns and expressions of grammar.ebnf, what binds most tightly first.</summary>
internal static class Expressions
{
    public static readonly Parser<TokenInput> Equal = Token(TokenKind.Equal);

    private static readonly Parser<TokenInput> _name = Token(TokenKind.Name);

    public static readonly Parser<Identifier> AnyName = i =>
    {
        var token = _name(i);
        return token.WasSuccessful ? Result.Success(Name(token.Value), token.Remainder) : Failed<Identifier>(token.Remainder);
    };

    public static readonly Parser<StringSyntax> AnyString =
        Token(TokenKind.String).Select(t => new StringSyntax(t.Span, StringLiteral.Value(t.Span.Text)));

    public static Identifier Name(TokenInput token) => new(token.Span.Text, token.Span);

    public static bool IsNamed(TokenInput input) => input.Is(TokenKind.Name) && input.Next().Is(TokenKind.Equal);

    /// <summary>An expression, one level deeper than what it stands in.</summary>
    public static readonly Parser<ExprSyntax> Expression = Nested(() => _expression!);

    // ---- Patterns ----------------------------------------------------------------------------------------------------

    public static readonly Parser<PatternSyntax> Pattern = Nested(() => _pattern!);

    private static readonly Parser<PatternSyntax> _tuplePattern =
        from open in Token(TokenKind.LeftParen)
        from items in Separated(Pattern)
        from close in Close(open)
        from span in From(open)
        select items.Length == 1 ? items[0] : new TuplePatternSyntax(span, items);

    private static readonly Parser<PatternSyntax> _namePattern = Token(TokenKind.Name)
        .Select(t => t.IsWord("_") ? (PatternSyntax)new DiscardPatternSyntax(t.Span) : new NamePatternSyntax(Name(t)));

    private static readonly Parser<PatternSyntax> _pattern = Choose(i => i.Is(TokenKind.LeftParen) ? _tuplePattern : _namePattern);

    // ---- Atoms and what is applied to them ----------------------------------------------------------------------------------------------------

    private static readonly Parser<ExprSyntax> _parenthesized =
        from open in Token(TokenKind.LeftParen)
        from items in Separated(Expression)
        from comma in Token(TokenKind.Comma).Optional()
        from close in Close(open)
        from span in From(open)
        select items.Length == 1 && !comma.IsDefined ? new ParenthesizedSyntax(span, items[0]) : (ExprSyntax)new TupleSyntax(span, items);

    private static readonly Parser<ExprSyntax> _list = Choose(i => i.Next().Is(TokenKind.RightBracket) ? _emptyList! : _filledList!);

    private static readonly Parser<ExprSyntax> _emptyList =
        from open in Token(TokenKind.LeftBracket)
        from close in Close(open)
        from span in From(open)
        select new ListSyntax(span, []);

    private static readonly Parser<ExprSyntax> _filledList =
        from open in Token(TokenKind.LeftBracket)
        from items in Separated(Expression)
        from each in Choose(i => items.Length == 1 && i.Is(TokenKind.For) ? _each! : _noLoop!)
        from comma in Token(TokenKind.Comma).Optional()
        from close in Close(open)
        from span in From(open)
        select each.Pattern is null ? new ListSyntax(span, items) : (ExprSyntax)new ComprehensionSyntax(span, items[0], each.Pattern, each.Source);

    private static readonly Parser<(PatternSyntax Pattern, ExprSyntax Source)> _noLoop = i => Result.Success<(PatternSyntax, ExprSyntax)>(default, i);

    public static readonly Parser<ArgumentSyntax> Argument = i =>
    {
        var start = (TokenInput)i;
        bool named = IsNamed(start);
        var value = Expression!(named ? start.Next(2) : start);
        return value.WasSuccessful
            ? Result.Success(new ArgumentSyntax(start.State.Span(start, value.Remainder), named ? Name(start) : null, value.Value), value.Remainder)
            : Failed<ArgumentSyntax>(value.Remainder);
    };

    public static readonly Parser<ImmutableArray<ArgumentSyntax>> Arguments = Listed(TokenKind.LeftParen, Argument);

    public static readonly Parser<ExprSyntax> Ellipsis = Token(TokenKind.Ellipsis).Select(t => new EllipsisSyntax(t.Span));

    private sealed record SliceTail(ExprSyntax? Stop, ExprSyntax? Step);

    private static readonly Parser<ExprSyntax?> _bound =
        If(i => !(i.Kind is TokenKind.Colon or TokenKind.Comma or TokenKind.RightBracket), Expression);

    private static readonly Parser<SliceTail> _sliceTail =
        from colon in Token(TokenKind.Colon)
        from stop in _bound
        from colon2 in If(i => i.Is(TokenKind.Colon), Token(TokenKind.Colon))
        from step in colon2 is null ? i => Result.Success<ExprSyntax?>(null, i) : _bound
        select new SliceTail(stop, step);

    private static readonly Parser<ExprSyntax> _slice =
        from start in Here
        from first in If(i => !i.Is(TokenKind.Colon), Expression)
        from tail in If(i => i.Is(TokenKind.Colon), _sliceTail)
        from span in From(start)
        select tail is null ? first! : new SliceSyntax(span, first, tail.Stop, tail.Step);

    private static readonly Parser<ImmutableArray<ExprSyntax>> _indices =
        from open in Token(TokenKind.LeftBracket)
        from indices in Separated(Choose(i => i.Is(TokenKind.Ellipsis) ? Ellipsis : _slice))
        from close in Close(open)
        select indices;

    private static readonly Parser<ExprSyntax> _primary =
        Choose(i => IsLambda(i) ? _misplacedLambda : i.Kind switch
        {
            TokenKind.Name => _variable,
            TokenKind.Number => _number,
            TokenKind.String => AnyString,
            TokenKind.True or TokenKind.False => _truth,
            TokenKind.LeftParen => _parenthesized,
            TokenKind.LeftBracket => _list,
            TokenKind.For => _for,
            TokenKind.If => _misplacedIf,
            _ => null,
        }, "an expression");

    private static readonly Parser<ExprSyntax> _variable = i => Result.Success<ExprSyntax>(new NameSyntax(Name((TokenInput)i)), ((TokenInput)i).Next());

    private static readonly Parser<ExprSyntax> _truth = i => Result.Success(new BoolSyntax(((TokenInput)i).Span, ((TokenInput)i).Is(TokenKind.True)), i.Advance());

    private static readonly Parser<ExprSyntax> _number = i =>
    {
        var token = (TokenInput)i;
        var rest = token.Next();
        var unit = rest.IsWord("steps") || rest.IsWord("step") ? CountUnit.Steps
            : rest.IsWord("epochs") || rest.IsWord("epoch") ? CountUnit.Epochs : CountUnit.None;
        if (unit != CountUnit.None) rest = rest.Next();
        var (value, integer, percent) = NumberLiteral.Parse(token.Span.Text);
        return Result.Success(new NumberSyntax(token.State.Span(token, rest), value, integer, percent, unit), rest);
    };

    /// <summary>An <c>if</c> where an operand is due: understood, but reported.</summary>
    private static readonly Parser<ExprSyntax> _misplacedIf =
        from start in Here
        from value in Nested(() => _if!)
        select Misplaced(start, "'if'", start.Span, value);

    private static readonly Parser<ExprSyntax> _misplacedLambda =
        from start in Here
        from value in Nested(() => _lambda!)
        select Misplaced(start, "lambda", ((LambdaSyntax)value).Pattern.Span, value);

    private static ExprSyntax Misplaced(TokenInput start, string what, TextSpan place, ExprSyntax value)
    {
        start.State.Diagnostics.Add(DiagnosticCodes.NeedsParentheses.At(place, $"this {what} needs parentheses around it")
            .WithFix("put parentheses around it", value.Span, $"({value.Span.Text})"));
        return value;
    }

    /// <summary>An operand with its calls, indices and fields; as many as may nest, for each makes the tree one deeper.</summary>
    public static readonly Parser<ExprSyntax> Postfix = i => Applied(_primary(i), (TokenInput)i);

    private static readonly Parser<ExprSyntax> _then = i => Applied(Result.Success<ExprSyntax>(new NameSyntax(Name((TokenInput)i)), i.Advance()), (TokenInput)i);

    private static IResult<ExprSyntax> Applied(IResult<ExprSyntax> target, TokenInput start)
    {
        for (int count = 0; target.WasSuccessful; count++)
        {
            var value = target.Value;
            var at = (TokenInput)target.Remainder;
            if (!(at.Kind is TokenKind.LeftParen or TokenKind.LeftBracket or TokenKind.Dot)) break;
            if (count == Parser.MaxDepth)
            {
                return Failure<ExprSyntax>(at, DiagnosticCodes.TooDeep.At(at.Span, $"more than {Parser.MaxDepth} applications in a row"));
            }

            target = at.Kind switch
            {
                TokenKind.LeftParen => Made(Arguments(at), start, (span, arguments) => new CallSyntax(span, value, arguments)),
                TokenKind.LeftBracket => Made(_indices(at), start, (span, indices) => new IndexSyntax(span, value, indices)),
                _ => Made(AnyName(at.Next()), start, (span, name) => new FieldSyntax(span, value, name)),
            };
        }

        return target;
    }

    private static IResult<ExprSyntax> Made<T>(IResult<T> part, TokenInput start, Func<TextSpan, T, ExprSyntax> make) => part.WasSuccessful
        ? Result.Success(make(start.State.Span(start, part.Remainder), part.Value), part.Remainder)
        : Failed<ExprSyntax>(part.Remainder);

    /// <summary>Whether an operand, and so an expression, can start here.</summary>
    public static bool StartsOperand(TokenInput i) => i.Kind is TokenKind.Name or TokenKind.Number or TokenKind.String or TokenKind.True
        or TokenKind.False or TokenKind.LeftParen or TokenKind.LeftBracket or TokenKind.Minus or TokenKind.Not or TokenKind.For or TokenKind.If;

    // ---- Operators ---------------------------------------------------------------------------------------------------

    private static readonly Parser<ExprSyntax> _exponent = Nested(() => _negation!);

    private static readonly Parser<ExprSyntax> _power = i =>
    {
        var first = Postfix(i);
        return first.WasSuccessful && ((TokenInput)first.Remainder).Is(TokenKind.StarStar)
            ? Operand((TokenInput)i, first.Value, (TokenInput)first.Remainder, BinaryOperator.Power, _exponent)
            : first;
    };

    private static readonly Parser<ExprSyntax> _negation = Prefix(TokenKind.Minus, UnaryOperator.Negate, _power);

    private static readonly Parser<ExprSyntax> _product = Chain(_negation, (TokenKind.At, BinaryOperator.MatMul));

    private static readonly Parser<ExprSyntax> _term = Chain(_product,
        (TokenKind.Star, BinaryOperator.Multiply), (TokenKind.Slash, BinaryOperator.Divide), (TokenKind.Percent, BinaryOperator.Modulo));

    /// <summary>An expression without pipes, comparisons and logic: a dimension, or the end of a range.</summary>
    public static readonly Parser<ExprSyntax> Pipeless = Chain(_term, (TokenKind.Plus, BinaryOperator.Add), (TokenKind.Minus, BinaryOperator.Subtract));

    private static BinaryOperator? Comparison(TokenKind kind) => kind switch
    {
        TokenKind.EqualEqual or TokenKind.Equal => BinaryOperator.Equal,
        TokenKind.NotEqual => BinaryOperator.NotEqual,
        TokenKind.Less => BinaryOperator.Less,
        TokenKind.LessOrEqual => BinaryOperator.LessOrEqual,
        TokenKind.Greater => BinaryOperator.Greater,
        TokenKind.GreaterOrEqual => BinaryOperator.GreaterOrEqual,
        _ => null,
    };

    /// <summary>At most one comparison; more are reported and dropped, and <c>=</c>, which can follow no expression, is read as <c>==</c>.</summary>
    private static readonly Parser<ExprSyntax> _comparison = i =>
    {
        var result = Pipeless(i);
        TokenInput? before = null;
        while (result.WasSuccessful && (TokenInput)result.Remainder is var at && Comparison(at.Kind) is { } op)
        {
            if (at.Is(TokenKind.Equal))
            {
                at.State.Diagnostics.Add(DiagnosticCodes.AssignInExpression.At(at.Span, "'=' gives a name its value; '==' compares")
                    .WithFix("write '=='", at.Span, "=="));
            }

            if (before is null)
            {
                result = Operand((TokenInput)i, result.Value, at, op, Pipeless);
                before = at;
                continue;
            }

            var comparison = result.Value;
            string middle = ((BinarySyntax)comparison).Rest[0].Operand.Span.Text;
            var extra = Pipeless(at.Next());
            if (!extra.WasSuccessful) return extra;
            at.State.Diagnostics.Add(DiagnosticCodes.ComparisonChain.At(at.Span, "comparisons do not chain; join two with 'and'")
                .With(before.Span, "the comparison before")
                .WithFix("compare twice", at.State.Source.Span(at.Token.Start, at.Token.Start), $"and {middle} "));
            result = Result.Success(comparison, extra.Remainder);
        }

        return result;
    };

    private static readonly Parser<ExprSyntax> _not = Prefix(TokenKind.Not, UnaryOperator.Not, _comparison);

    private static readonly Parser<ExprSyntax> _and = Chain(_not, (TokenKind.And, BinaryOperator.And));

    private static readonly Parser<ExprSyntax> _or = Chain(_and, (TokenKind.Or, BinaryOperator.Or));

    /// <summary>Operands joined by operators of one level, from the left; any number at one depth.</summary>
    private static Parser<ExprSyntax> Chain(Parser<ExprSyntax> operand, params (TokenKind Kind, BinaryOperator Operator)[] operators) => i =>
    {
        var first = operand(i);
        ImmutableArray<OperandSyntax>.Builder? rest = null;
        var last = first;
        while (last.WasSuccessful && Find((TokenInput)last.Remainder, operators) is { } op)
        {
            var at = (TokenInput)last.Remainder;
            last = operand(at.Next());
            if (last.WasSuccessful) (rest ??= ImmutableArray.CreateBuilder<OperandSyntax>()).Add(new(op, at.Span, last.Value));
        }

        if (rest is null || !last.WasSuccessful) return last;
        var start = (TokenInput)i;
        return Result.Success<ExprSyntax>(new BinarySyntax(start.State.Span(start, last.Remainder), first.Value, rest.DrainToImmutable()), last.Remainder);
    };

    private static BinaryOperator? Find(TokenInput at, (TokenKind Kind, BinaryOperator Operator)[] operators)
    {
        foreach (var (kind, op) in operators) if (at.Kind == kind) return op;
        return null;
    }

    private static IResult<ExprSyntax> Operand(TokenInput start, ExprSyntax left, TokenInput at, BinaryOperator op, Parser<ExprSyntax> operand)
    {
        var right = operand(at.Next());
        return right.WasSuccessful
            ? Result.Success<ExprSyntax>(new BinarySyntax(start.State.Span(start, right.Remainder), left, [new(op, at.Span, right.Value)]), right.Remainder)
            : right;
    }

    private static Parser<ExprSyntax> Prefix(TokenKind kind, UnaryOperator op, Parser<ExprSyntax> operand)
    {
        Parser<ExprSyntax> prefixed = operand;
        var again = Nested(() => prefixed);
        prefixed = i =>
        {
            var start = (TokenInput)i;
            if (!start.Is(kind)) return operand(i);
            var value = again(start.Next());
            return value.WasSuccessful
                ? Result.Success<ExprSyntax>(new UnarySyntax(start.State.Span(start, value.Remainder), op, value.Value), value.Remainder)
                : value;
        };
        return prefixed;
    }

    private static readonly Parser<ExprSyntax> _pipe = i =>
    {
        var first = _or(i);
        ImmutableArray<ExprSyntax>.Builder? stages = null;
        var last = first;
        while (last.WasSuccessful && (TokenInput)last.Remainder is var at && at.Is(TokenKind.Pipe))
        {
            var stage = at.Next();
            last = (IsLambda(stage) ? _lambda! : stage.Is(TokenKind.Then) ? _then : _or)(stage);
            if (last.WasSuccessful) (stages ??= ImmutableArray.CreateBuilder<ExprSyntax>()).Add(last.Value);
        }

        if (stages is null || !last.WasSuccessful) return last;
        var start = (TokenInput)i;
        return Result.Success<ExprSyntax>(new PipeSyntax(start.State.Span(start, last.Remainder), first.Value, stages.DrainToImmutable()), last.Remainder);
    };

    // ---- Whole expressions -------------------------------------------------------------------------------------------

    private static readonly Parser<ExprSyntax> _expression =
        Choose(i => i.Is(TokenKind.If) ? _if! : IsLambda(i) ? _lambda! : _pipe);

    private static readonly Parser<ExprSyntax> _if =
        from keyword in Token(TokenKind.If)
        from condition in Expression
        from then in Token(TokenKind.Then)
        from yes in Expression
        from @else in Token(TokenKind.Else)
        from no in Expression
        from span in From(keyword)
        select new IfSyntax(span, condition, yes, no);

    private static readonly Parser<ExprSyntax> _lambda =
        from start in Here
        from pattern in Pattern
        from arrow in Token(TokenKind.FatArrow)
        from block in If(i => i.Is(TokenKind.LeftBrace), i => Grammar.Block(i))
        from value in If(_ => block is null, Expression)
        from span in From(start)
        select new LambdaSyntax(span, pattern, value, block);

    private static bool IsLambda(TokenInput i) => i.Kind switch
    {
        TokenKind.Name => i.Next().Is(TokenKind.FatArrow),
        TokenKind.LeftParen => i.Token.Partner >= 0 && i.State.Input(i.Token.Partner).Next().Is(TokenKind.FatArrow),
        _ => false,
    };

    /// <summary>What follows <c>in</c>: <c>a..b</c> or a list.</summary>
    private static readonly Parser<ExprSyntax> _range =
        from start in Here
        from first in Pipeless
        from last in If(i => i.Is(TokenKind.DotDot), from dots in Token(TokenKind.DotDot) from last in Pipeless select last)
        from span in From(start)
        select last is null ? first : new RangeSyntax(span, first, last);

    private static readonly Parser<(PatternSyntax Pattern, ExprSyntax Source)> _each =
        from keyword in Token(TokenKind.For)
        from pattern in Pattern
        from @in in Token(TokenKind.In)
        from source in _range
        select (pattern, source);

    private static readonly Parser<ExprSyntax> _for =
        from start in Here
        from each in _each
        from open in Here
        from body in Braces(Choose<SyntaxNode>(i => i.Is(TokenKind.Let) ? Grammar.Let : Expression))
        from span in From(start)
        select For(open, span, each.Pattern, each.Source, body);

    private static ForSyntax For(TokenInput open, TextSpan span, PatternSyntax pattern, ExprSyntax source, ImmutableArray<SyntaxNode> body)
    {
        var diagnostics = open.State.Diagnostics;
        var value = body.LastOrDefault() as ExprSyntax;
        foreach (var unused in body.OfType<ExprSyntax>())
        {
            if (unused != value) diagnostics.Add(DiagnosticCodes.UnusedValue.At(unused.Span, "this value goes nowhere; the last line is the body's value"));
        }

        if (value is null && !(diagnostics.Count > 0 && diagnostics[^1].Span.Start >= open.Token.Start))
        {
            diagnostics.Add(DiagnosticCodes.UnexpectedToken.At(span.AtEnd with { Start = span.End - 1, Length = 1 },
                "expected a layer: the last line of a 'for' is its body's value"));
        }

        return new(span, pattern, source, [.. body.OfType<LetSyntax>()], value ?? new ErrorSyntax(span));
    }
}
