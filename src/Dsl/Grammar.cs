using System.Collections.Immutable;
using Sprache;
using static Dnn.Dsl.Combinators;
using static Dnn.Dsl.Expressions;

namespace Dnn.Dsl;

/// <summary>
/// The grammar of grammar.ebnf in Sprache over tokens, in the same order. A choice is made by looking at the next tokens, never by
/// trying, so that nothing is parsed twice. (Static fields initialize in the order of the text; what is used before its definition stands
/// in a lambda.)
/// </summary>
internal static class Grammar
{
    private static readonly HashSet<string> _staticTypes = ["int", "float", "bool", "string", "init", "layer", "schedule"];

    private static readonly HashSet<string> _elementTypes = ["f32", "f64", "i64", "bool", "int", "float"];

    private static Identifier? OrNull(this IOption<Identifier> option) => option.IsDefined ? option.Get() : null;

    // ---- Types -------------------------------------------------------------------------------------------------------

    private static readonly Parser<TypeSyntax> _type = Nested(() => _typeHere!);

    private static readonly Parser<ExprSyntax> _dimension =
        Choose(i => i.Is(TokenKind.Ellipsis) ? Ellipsis : StartsOperand(i) ? Pipeless : null, "a dimension");

    private static readonly Parser<TypeSyntax> _tensorType =
        from start in Here
        from element in Token(TokenKind.Name).Optional()
        from dimensions in Listed(TokenKind.LeftBracket, _dimension)
        from span in From(start)
        select Checked(new TensorTypeSyntax(span, element.IsDefined ? Name(start) : null, dimensions), start, element.IsDefined, _elementTypes);

    private static readonly Parser<TypeSyntax> _listType =
        from open in Token(TokenKind.LeftBracket)
        from element in _type
        from close in Close(open)
        from span in From(open)
        select new ListTypeSyntax(span, element);

    private static readonly Parser<TypeSyntax> _tupleType =
        from open in Here
        from items in Listed(TokenKind.LeftParen, _type)
        from span in From(open)
        select items.Length == 1 ? items[0] : new TupleTypeSyntax(span, items);

    private static readonly Parser<TypeSyntax> _namedType =
        from name in Token(TokenKind.Name)
        select Checked(new NamedTypeSyntax(Name(name)), name, true, _staticTypes);

    private static readonly Parser<TypeSyntax> _typeHere = Choose(
        i => i.Kind switch
        {
            TokenKind.Name => i.Next().Is(TokenKind.LeftBracket) ? _tensorType : _namedType,
            TokenKind.LeftBracket => IsStaticType(i.Next()) ? _listType : _tensorType,
            TokenKind.LeftParen => _tupleType,
            _ => null,
        },
        "a type");

    private static readonly Parser<TypeSyntax> _typed = from colon in Token(TokenKind.Colon) from type in _type select type;

    /// <summary>Whether what stands in a bracket is a type rather than a dimension.</summary>
    private static bool IsStaticType(TokenInput i) => i.Kind switch
    {
        TokenKind.LeftBracket => true,
        TokenKind.LeftParen => IsStaticType(i.Next()) || (i.Next().Is(TokenKind.Name) && _staticTypes.Contains(i.Next().Span.Text)),
        TokenKind.Name => i.Next().Is(TokenKind.RightBracket) && _staticTypes.Contains(i.Span.Text),
        _ => false,
    };

    private static TypeSyntax Checked(TypeSyntax type, TokenInput name, bool named, HashSet<string> known)
    {
        string text = name.Span.Text;
        if (named && !known.Contains(text))
        {
            var diagnostic = DiagnosticCodes.UnknownType.At(name.Span, $"there is no type '{name.Span.Shown}'").WithSuggestion(text, name.Span, known.Order());
            if (diagnostic.Fix is null) diagnostic = diagnostic.WithNote("known here: " + string.Join(", ", known.Order()));
            name.State.Diagnostics.Add(diagnostic);
        }

        return type;
    }

    // ---- Declarations ------------------------------------------------------------------------------------------------

    private static readonly Parser<ImportedName> _importedName =
        from name in AnyName
        from alias in (from @as in Word("as") from alias in AnyName select alias).Optional()
        select new ImportedName(name, alias.OrNull());

    private static readonly Parser<StatementSyntax> _import =
        from keyword in Word("import")
        from path in Choose(i => i.Is(TokenKind.String) ? _filePath : i.Is(TokenKind.Name) ? _modulePath : null, "a path")
        from names in Here.Then(open => Listed(TokenKind.LeftParen, _importedName))
        from span in From(keyword)
        select new ImportSyntax(span, path.Text, path.IsFile, path.Span, names);

    private static readonly Parser<(string Text, bool IsFile, TextSpan Span)> _filePath = AnyString.Select(s => (s.Value, true, s.Span));

    private static readonly Parser<(string Text, bool IsFile, TextSpan Span)> _modulePath =
        from start in Here
        from first in AnyName
        from rest in (from dot in Token(TokenKind.Dot) from part in AnyName select part.Text).Many()
        from span in From(start)
        select (string.Join('.', rest.Prepend(first.Text)), false, span);

    private static readonly Parser<RangeSyntax> _bounds =
        from @in in Token(TokenKind.In)
        from start in Here
        from low in Pipeless
        from dots in Token(TokenKind.DotDot)
        from high in Pipeless
        from span in From(start)
        select new RangeSyntax(span, low, high);

    private static readonly Parser<StatementSyntax> _hyper =
        from keyword in Word("hyper")
        from name in AnyName
        from type in _typed
        from equal in Equal
        from value in Expression
        from range in If(i => i.Is(TokenKind.In), _bounds)
        from span in From(keyword)
        select new HyperSyntax(span, name, type, value, range);

    private static readonly Parser<ExprSyntax> _initial = from equal in Equal from value in Expression select value;

    private static readonly Parser<ParameterSyntax> _parameter =
        from start in Here
        from name in AnyName
        from type in If(i => i.Is(TokenKind.Colon), _typed)
        from value in If(i => i.Is(TokenKind.Equal), _initial)
        from span in From(start)
        select new ParameterSyntax(span, name, type, value);

    private static readonly Parser<ParameterListSyntax> _parameters =
        from open in Here
        from parameters in Listed(TokenKind.LeftParen, _parameter)
        from span in From(open)
        select new ParameterListSyntax(span, parameters);

    private static readonly Parser<ParameterListSyntax?> _moreParameters = If(i => i.Is(TokenKind.LeftParen), _parameters);

    private static readonly Parser<GradientSyntax> _gradient =
        from keyword in Word("gradient")
        from open in Token(TokenKind.LeftParen)
        from names in Separated(AnyName)
        from close in Close(open)
        from body in Block
        from span in From(keyword)
        select new GradientSyntax(span, names, body);

    private static readonly Parser<StatementSyntax> _layer =
        from keyword in Word("layer")
        from name in AnyName
        from first in _parameters
        from second in _moreParameters
        from result in If(i => i.Is(TokenKind.Arrow), from arrow in Token(TokenKind.Arrow) from type in _type select type)
        from body in Block
        from gradient in If(i => i.IsWord("gradient"), _gradient)
        from span in From(keyword)
        select new LayerSyntax(span, name, second is null ? null : first, second ?? first, result, body, gradient);

    private static readonly Parser<StatementSyntax> _model =
        from keyword in Word("model")
        from name in AnyName
        from hypers in _moreParameters
        from body in Block
        from span in From(keyword)
        select new ModelSyntax(span, name, hypers, body);

    private static readonly Parser<StatementSyntax> _test =
        from keyword in Word("test")
        from title in AnyString
        from body in Block
        from span in From(keyword)
        select new TestSyntax(span, title, body);

    // ---- Data --------------------------------------------------------------------------------------------------------

    private static readonly Parser<ExprSyntax> _step = Choose(i => i.Is(TokenKind.Name) ? Postfix : null, "a transformation");

    private static readonly Parser<DataOptionSyntax> _dataOption =
        from start in Here
        from name in AnyName
        from option in Choose(i => i.Is(TokenKind.LeftBrace) ? _steps! : i.EndsStatement ? _nothing! : _bareArguments!)
        from span in From(start)
        select new DataOptionSyntax(span, name, option.Arguments, option.Steps);

    private static readonly Parser<(ImmutableArray<ArgumentSyntax> Arguments, ImmutableArray<ExprSyntax> Steps)> _steps =
        Braces(_step).Select(steps => (ImmutableArray<ArgumentSyntax>.Empty, steps));

    private static readonly Parser<(ImmutableArray<ArgumentSyntax> Arguments, ImmutableArray<ExprSyntax> Steps)> _bareArguments =
        from arguments in Separated(Argument)
        select (arguments, ImmutableArray<ExprSyntax>.Empty);

    private static readonly Parser<(ImmutableArray<ArgumentSyntax> Arguments, ImmutableArray<ExprSyntax> Steps)> _nothing =
        from here in Here
        select (ImmutableArray<ArgumentSyntax>.Empty, ImmutableArray<ExprSyntax>.Empty);

    private static readonly Parser<StatementSyntax> _data =
        from keyword in Word("data")
        from name in AnyName
        from equal in Equal
        from source in Expression
        from options in Choose(i => i.Is(TokenKind.LeftBrace) ? Braces(_dataOption) : Nothing<DataOptionSyntax>())
        from span in From(keyword)
        select new DataSyntax(span, name, source, options);

    private static Parser<ImmutableArray<T>> Nothing<T>() => i => Result.Success(ImmutableArray<T>.Empty, i);

    // ---- Training ----------------------------------------------------------------------------------------------------

    /// <summary>What follows the arguments of a training option.</summary>
    private sealed record Tail
    {
        public ImmutableArray<ArgumentSyntax> Named { get; init; } = [];

        public ExprSyntax? On { get; init; }

        public Identifier? Minimize { get; init; }

        public ExprSyntax? Every { get; init; }

        public ImmutableArray<StringSyntax> Only { get; init; } = [];

        public ImmutableArray<RenameSyntax> Renames { get; init; } = [];
    }

    private static bool StartsTail(TokenInput i) => i.IsWord("on") || i.IsWord("minimize") || i.IsWord("every") || i.IsWord("only") || i.IsWord("rename");

    private static readonly Parser<Func<Tail, Tail>> _on =
        from word in Word("on")
        from value in Expression
        select (Func<Tail, Tail>)(tail => tail with { On = Once(word, tail.On is null, value) });

    private static readonly Parser<Func<Tail, Tail>> _minimize =
        from word in Word("minimize")
        from value in AnyName
        select (Func<Tail, Tail>)(tail => tail with { Minimize = Once(word, tail.Minimize is null, value) });

    private static readonly Parser<Func<Tail, Tail>> _every =
        from word in Word("every")
        from value in Expression
        select (Func<Tail, Tail>)(tail => tail with { Every = Once(word, tail.Every is null, value) });

    private static readonly Parser<Func<Tail, Tail>> _only =
        from word in Word("only")
        from first in AnyString
        from rest in (from comma in Token(TokenKind.Comma) from next in AnyString select next).Many()
        select (Func<Tail, Tail>)(tail => tail with { Only = [.. tail.Only, first, .. rest] });

    private static readonly Parser<Func<Tail, Tail>> _rename =
        from word in Word("rename")
        from old in AnyString
        from equal in Equal
        from @new in AnyString
        from span in From(word)
        select (Func<Tail, Tail>)(tail => tail with { Renames = tail.Renames.Add(new(span, old, @new)) });

    private static readonly Parser<Func<Tail, Tail>> _further =
        from argument in Argument
        select (Func<Tail, Tail>)(tail => tail with { Named = tail.Named.Add(argument) });

    private static readonly Parser<Func<Tail, Tail>> _tailPart =
        from comma in Token(TokenKind.Comma).Optional()
        from part in Choose(
            i => i.IsWord("on") && !IsNamed(i) ? _on
                : i.IsWord("minimize") ? _minimize
                : i.IsWord("every") && !IsNamed(i) ? _every
                : i.IsWord("only") ? _only
                : i.IsWord("rename") ? _rename
                : comma.IsDefined && IsNamed(i) ? _further : null,
            comma.IsDefined ? "'name = value', 'only' or 'rename'" : "the end of the line")
        select part;

    private static readonly Parser<TrainOptionSyntax> _trainOption =
        from start in Here
        from name in AnyName
        from arguments in Choose(
            i => IsArgumentList(i) ? Arguments
                : IsNamed(i) || !(i.EndsStatement || StartsTail(i)) ? Argument.Select(a => ImmutableArray.Create(a)) : Nothing<ArgumentSyntax>())
        from tails in _tailPart.Many()
        from span in From(start)
        select Option(span, name, arguments, tails.Aggregate(new Tail(), (tail, part) => part(tail)));

    /// <summary>Whether parentheses hold all arguments, rather than begin an expression.</summary>
    private static bool IsArgumentList(TokenInput i) => i.Is(TokenKind.LeftParen) && i.Token.Partner >= 0
        && i.State.Input(i.Token.Partner + 1) is var next && (next.EndsStatement || next.Is(TokenKind.Comma) || StartsTail(next));

    private static TrainOptionSyntax Option(TextSpan span, Identifier name, ImmutableArray<ArgumentSyntax> arguments, Tail tail) =>
        new(span, name, arguments.AddRange(tail.Named), tail.On, tail.Minimize, tail.Every, tail.Only, tail.Renames);

    private static T Once<T>(TokenInput word, bool first, T value)
    {
        if (!first) word.State.Diagnostics.Add(DiagnosticCodes.UnexpectedToken.At(word.Span, $"'{word.Span.Text}' is given twice"));
        return value;
    }

    private static readonly Parser<StatementSyntax> _train =
        from keyword in Word("train")
        from name in If(IsNamed, from name in Token(TokenKind.Name) from equal in Equal select name)
        from start in Here
        from model in AnyName
        from arguments in Arguments
        from span in From(start)
        from @on in Word("on")
        from data in AnyName
        from options in Braces(_trainOption)
        from whole in From(keyword)
        select new TrainSyntax(whole, name is null ? null : Name(name), new CallSyntax(span, new NameSyntax(model), arguments), data, options);

    // ---- Statements --------------------------------------------------------------------------------------------------

    private static readonly Parser<StringSyntax> _paramPath = from path in AnyString from @as in Word("as") select path;

    public static readonly Parser<LetSyntax> Let =
        from keyword in Token(TokenKind.Let)
        from path in If(i => i.Is(TokenKind.String), _paramPath)
        from pattern in Pattern
        from type in If(i => i.Is(TokenKind.Colon), _typed)
        from equal in Equal
        from value in Expression
        from span in From(keyword)
        select new LetSyntax(span, path, pattern, type, value);

    private static readonly Parser<ParamOptionSyntax> _paramOption =
        from comma in Token(TokenKind.Comma)
        from name in AnyName
        from value in If(i => i.Is(TokenKind.Equal), _initial)
        select new ParamOptionSyntax(name, value);

    private static readonly Parser<StatementSyntax> _param =
        from keyword in Word("param")
        from path in If(i => i.Is(TokenKind.String), _paramPath)
        from name in AnyName
        from type in _typed
        from value in _initial
        from options in _paramOption.Many()
        from span in From(keyword)
        select new ParamSyntax(span, name, path, type, value, [.. options]);

    private static readonly Parser<StatementSyntax> _buffer =
        from keyword in Word("buffer")
        from path in If(i => i.Is(TokenKind.String), _paramPath)
        from name in AnyName
        from type in _typed
        from value in _initial
        from span in From(keyword)
        select new BufferSyntax(span, name, path, type, value);

    private static readonly Parser<StatementSyntax> _return =
        from keyword in Token(TokenKind.Return)
        from value in Expression
        from span in From(keyword)
        select new ReturnSyntax(span, value);

    private static readonly Parser<StatementSyntax> _loss =
        from keyword in Word("loss")
        from value in Expression
        from name in (from @as in Word("as") from name in AnyName select name).Optional()
        from span in From(keyword)
        select new LossSyntax(span, value, name.OrNull());

    /// <summary><c>word expr [, expr]</c>.</summary>
    private static Parser<StatementSyntax> Claim(string word, Func<TextSpan, ExprSyntax, ExprSyntax?, StatementSyntax> make) =>
        from keyword in Word(word)
        from condition in Expression
        from message in If(i => i.Is(TokenKind.Comma), from comma in Token(TokenKind.Comma) from message in Expression select message)
        from span in From(keyword)
        select make(span, condition, message);

    /// <summary><c>word name: type</c>.</summary>
    private static Parser<StatementSyntax> Fed(string word, Func<TextSpan, Identifier, TypeSyntax, StatementSyntax> make) =>
        from keyword in Word(word)
        from name in AnyName
        from type in _typed
        from span in From(keyword)
        select make(span, name, type);

    /// <summary><c>word name = expr</c>.</summary>
    private static Parser<StatementSyntax> Named(string word, Func<TextSpan, Identifier, ExprSyntax, StatementSyntax> make) =>
        from keyword in Word(word)
        from name in AnyName
        from value in _initial
        from span in From(keyword)
        select make(span, name, value);

    /// <summary><c>word(args)</c>.</summary>
    private static Parser<StatementSyntax> AssertCall(string word) =>
        from keyword in Word(word)
        from arguments in Arguments
        from span in From(keyword)
        select new AssertCallSyntax(span, new CallSyntax(span, new NameSyntax(Name(keyword)), arguments));

    private static readonly Parser<StatementSyntax> _assertError =
        from keyword in Word("assert_error")
        from code in AnyString
        from body in Block
        from span in From(keyword)
        select new AssertErrorSyntax(span, code, body);

    private static readonly Dictionary<string, Parser<StatementSyntax>> _declarations = new()
    {
        ["import"] = _import,
        ["hyper"] = _hyper,
        ["layer"] = _layer,
        ["model"] = _model,
        ["data"] = _data,
        ["train"] = _train,
        ["test"] = _test,
    };

    private static readonly Dictionary<string, Parser<StatementSyntax>> _statements = new()
    {
        ["param"] = _param,
        ["buffer"] = _buffer,
        ["update"] = Named("update", (span, name, value) => new UpdateSyntax(span, name, value)),
        ["require"] = Claim("require", (span, condition, message) => new RequireSyntax(span, condition, message)),
        ["assert"] = Claim("assert", (span, condition, message) => new AssertSyntax(span, condition, message)),
        ["assert_shape"] = AssertCall("assert_shape"),
        ["assert_error"] = _assertError,
        ["assert_gradients"] = AssertCall("assert_gradients"),
        ["input"] = Fed("input", (span, name, type) => new InputSyntax(span, name, type)),
        ["target"] = Fed("target", (span, name, type) => new TargetSyntax(span, name, type)),
        ["output"] = Named("output", (span, name, value) => new OutputSyntax(span, name, value)),
        ["metric"] = Named("metric", (span, name, value) => new MetricSyntax(span, name, value)),
        ["loss"] = _loss,
    };

    private static readonly Parser<StatementSyntax> _statement = Choose(
        i => i.Kind switch
        {
            TokenKind.Let => Let,
            TokenKind.Return => _return,
            _ => _statements.GetValueOrDefault(WordAt(i)) ?? (j => NoKeyword((TokenInput)j, inBlock: true)),
        });

    private static readonly Parser<StatementSyntax> _declaration = Choose(
        i => i.Is(TokenKind.Let) ? Let : _declarations.GetValueOrDefault(WordAt(i)) ?? (j => NoKeyword((TokenInput)j, inBlock: false)));

    /// <summary>Blocks stand in blocks, as in <c>assert_error</c>.</summary>
    public static readonly Parser<BlockSyntax> Block = Nested(() => _blockHere!);

    private static readonly Parser<BlockSyntax> _blockHere =
        from open in Here
        from statements in Braces(_statement)
        from span in From(open)
        select new BlockSyntax(span, statements);

    /// <summary>All declarations of a file. Never fails.</summary>
    public static readonly Parser<ImmutableArray<StatementSyntax>> File = Items(_declaration);

    public static bool StartsDeclaration(TokenInput i) =>
        _declarations.ContainsKey(WordAt(i)) && i.Next().Kind is TokenKind.Name or TokenKind.String;

    private static string WordAt(TokenInput i) => i.Is(TokenKind.Name) && i.Token.Length <= 16 ? i.Span.Text : "";

    /// <summary>Says what is wrong with a line that starts with no keyword.</summary>
    private static IResult<StatementSyntax> NoKeyword(TokenInput i, bool inBlock)
    {
        string word = i.Is(TokenKind.Name) ? i.Span.Shown : "";
        var next = i.Next();
        if (i.Kind is TokenKind.If or TokenKind.For)
        {
            return Failure<StatementSyntax>(i, DiagnosticCodes.StatementIfFor.At(i.Span, i.Is(TokenKind.If)
                ? "there is no 'if' statement; write 'let y = if c then a else b'"
                : "there is no 'for' statement; write 'x |> for i in 0..n { layer }', or 'scan' for a recurrence"));
        }

        if (inBlock ? StartsDeclaration(i) : _statements.ContainsKey(word) || i.Is(TokenKind.Return))
        {
            return Failure<StatementSyntax>(i, DiagnosticCodes.WrongLevel.At(i.Span, inBlock
                ? $"'{word}' stands at the top level of a file, not in a block"
                : $"'{i.Span.Text}' stands in a block, not at the top level of a file"));
        }

        if (word == "dnn" && next.Is(TokenKind.Number))
        {
            return Failure<StatementSyntax>(i, DiagnosticCodes.LanguageVersion.At(i.Span, "the language version stands on the first line"));
        }

        if (IsNamed(i))
        {
            return Failure<StatementSyntax>(i, DiagnosticCodes.UnknownStatement.At(i.Span, $"a name gets its value by 'let {word} = …'")
                .WithFix("write 'let'", i.State.Source.Span(i.Token.Start, i.Token.Start), "let "));
        }

        if (i.Is(TokenKind.Name) && next.Kind is TokenKind.Name or TokenKind.String)
        {
            var known = inBlock ? Keywords.Statements.Add("let").Add("return") : Keywords.Declarations.Add("let");
            return Failure<StatementSyntax>(i, DiagnosticCodes.UnknownStatement.At(i.Span, inBlock
                ? $"no statement starts with '{word}'"
                : $"no declaration starts with '{word}'").WithSuggestion(word, i.Span, known));
        }

        if (!StartsOperand(i) || i.Is(TokenKind.Let)) return Expected<StatementSyntax>(i, inBlock ? "a statement" : "a declaration");
        var value = Expression(i);
        var rest = (TokenInput)value.Remainder;
        if (!value.WasSuccessful || !rest.EndsStatement) return Expected<StatementSyntax>(value.WasSuccessful ? rest : i, TokenKind.NewLine.Text());
        i.State.Restart();
        var unused = DiagnosticCodes.UnusedValue.At(value.Value.Span, inBlock
            ? "this value goes nowhere; bind it with 'let', or 'return' it"
            : "this value goes nowhere; bind it with 'let'");
        while (rest.Is(TokenKind.NewLine)) rest = rest.Next();
        if (inBlock && rest.Is(TokenKind.RightBrace))
        {
            unused = unused.WithFix("return it", i.State.Source.Span(i.Token.Start, i.Token.Start), "return ");
        }

        return Failure<StatementSyntax>(i, unused);
    }
}
