using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>The value of each form of expression.</summary>
internal sealed partial class Elaborator
{
    public Value Eval(ExprSyntax expression, Context c)
    {
        EnsureStack(expression.Span);
        switch (expression.Bare)
        {
            case NumberSyntax { Unit: not CountUnit.None } count:
                return new CountValue(count.Value, count.Unit);
            case NumberSyntax { Integer: { } integer }:
                return new IntValue(integer);
            case NumberSyntax number:
                return new FloatValue(number.Value);
            case StringSyntax text:
                return new StringValue(text.Value);
            case BoolSyntax truth:
                return new BoolValue(truth.Value);
            case NameSyntax name:
                return Name(name, c);
            case TupleSyntax tuple:
                return new TupleValue(Items(tuple.Items, c));
            case ListSyntax list:
                return new ListValue(Items(list.Items, c));
            case ComprehensionSyntax comprehension:
                return Comprehension(comprehension, c);
            case UnarySyntax unary:
                return Unary(unary, c);
            case BinarySyntax binary:
                return Binary(binary, c);
            case PipeSyntax pipe:
                return Pipe(pipe, c);
            case IfSyntax @if:
                return If(@if, c);
            case LambdaSyntax lambda:
                return new LambdaValue(lambda, c.At(PlaceOf(lambda, c)));
            case ForSyntax @for:
                return For(@for, c);
            case CallSyntax call:
                return Call(call, c, null);
            case IndexSyntax index:
                return Index(index, c);
            case FieldSyntax field:
                return Field(field, c);
            case SliceSyntax or EllipsisSyntax:
                throw Error(DiagnosticCodes.TypeMismatch, expression.Span, "this has a meaning inside of an index only");
            default:
                throw new DiagnosticException(null);
        }
    }

    private ImmutableArray<Value> Items(ImmutableArray<ExprSyntax> items, Context c) => [.. items.Select(i => Eval(i, c))];

    private Value Name(NameSyntax name, Context c)
    {
        if (binding.Words.TryGetValue(name, out var word))
            return word == "training" ? new BoolValue(true, false) : new WordValue(word);
        if (binding.Uses.TryGetValue(name, out var symbol))
            return Known(Value(symbol, name, c));
        return binding.Entries.TryGetValue(name, out var entry) ? EntryValue(entry, name, c) : throw new DiagnosticException(null);
    }

    private static Value Known(Value value) => value is ErrorValue ? throw new DiagnosticException(null) : value;

    private Value Value(Symbol symbol, ExprSyntax name, Context c)
    {
        switch (symbol.Kind)
        {
            case SymbolKind.Layer:
                return ConstructOwn(name, (LayerSyntax)symbol.Declaration!, [], c);
            case SymbolKind.Recipe:
                var recipe = (RecipeValue)(symbol.Declaration is HyperSyntax ? FileValue(symbol) : c.Env.Find(symbol)!);
                Spend(1, name.Span);
                var made = Eval(recipe.Syntax, new Context(recipe.Context.Env, c.Frame, PlaceOf(name, c), c.Layer));
                return made is LayerValue ? made : throw Error(DiagnosticCodes.TypeMismatch, recipe.Syntax.Span, $"`{symbol.Name}` is a layer, and this is {made.Describe()}").And(symbol.Span, "declared here");
            case SymbolKind.FileLet:
            case SymbolKind.Hyper when symbol.Declaration is HyperSyntax:
                return FileValue(symbol);
            case SymbolKind.Dimension when c.Env.Find(symbol) is null:
                throw Error(DiagnosticCodes.UnboundSize, name.Span, $"the size `{symbol.Name}` has no value here").And(symbol.Span, "it is bound by a tensor of this type");
            default:
                return c.Env.Find(symbol) switch
                {
                    BufferValue buffer => new TensorValue(Read(buffer, c)),
                    { } value => value,
                    null => throw new DiagnosticException(null),
                };
        }
    }

    private Value EntryValue(CatalogEntry entry, ExprSyntax site, Context c) => entry.Kind != CatalogKind.Constant
        ? new FunctionValue(entry, site)
        : entry.Make(new Args(entry, [], () => RandomKey(c))) switch
        {
            double number => new FloatValue(number),
            Initializer initializer => new InitializerValue(initializer),
            Expr expr => new TensorValue(expr),
            var other => throw new InvalidOperationException($"{entry.Name} gave {other}"),
        };

    // ---- Operators ---------------------------------------------------------------------------------------------------

    private Value Unary(UnarySyntax unary, Context c)
    {
        var value = Eval(unary.Operand, c);
        RejectLayer(value, unary.Operand, unary.Operator.Text());
        switch (unary.Operator, value)
        {
            case (UnaryOperator.Not, BoolValue b):
                return new BoolValue(!b.InTraining, !b.InEvaluation);
            case (UnaryOperator.Not, _):
                var condition = Condition(value, unary.Operand, "not");
                return Build(unary, [(unary.Operand, condition)], condition.Not);
            case (_, IntValue i) when i.Number != long.MinValue:
                return new IntValue(-i.Number);
            case (_, DimValue d):
                return DimValue.Of(-d.Size);
            case (_, IntValue or FloatValue or BoolValue { IsPhase: false }):
                return new FloatValue(-NumberOf(value)!.Value);
            default:
                var operand = Tensor(value, unary.Operand);
                return Build(unary, [(unary.Operand, operand)], () => -operand);
        }
    }

    private static Expr Condition(Value value, ExprSyntax at, string @operator)
    {
        var expr = Tensor(value, at);
        return expr.DType == DType.Bool ? expr : throw Error(DiagnosticCodes.ElementType, at.Span, $"`{@operator}` joins truth values, and this is {value.Describe()}").Note("compare it first: x > 0");
    }

    private static void RejectLayer(Value value, ExprSyntax at, string @operator)
    {
        if (value is LayerValue)
            throw new DiagnosticException(Binder.LayerArithmetic(at, @operator));
    }

    private Value Binary(BinarySyntax binary, Context c)
    {
        var left = Eval(binary.First, c);
        ExprSyntax leftSyntax = binary.First;
        for (var i = 0; i < binary.Rest.Length; i++)
        {
            var (@operator, _, operand) = binary.Rest[i];
            var right = Eval(operand, c);
            RejectLayer(left, leftSyntax, @operator.Text());
            RejectLayer(right, operand, @operator.Text());
            ExprSyntax at = i == binary.Rest.Length - 1 ? binary : new PrefixSyntax(binary.First.Span.To(operand.Span));
            NoteComparison(@operator, leftSyntax, operand, c);
            left = Static(@operator, left, right, at) ?? Dynamic(@operator, left, leftSyntax, right, operand, at, c);
            leftSyntax = at;
        }

        return left;
    }

    /// <summary>The beginning of a chain of operators, where its value comes from.</summary>
    private sealed class PrefixSyntax(TextSpan span) : ExprSyntax(span);

    /// <summary>An operator on static values; null if one is a tensor.</summary>
    private static Value? Static(BinaryOperator op, Value left, Value right, ExprSyntax at)
    {
        switch (left, right)
        {
            case (StringValue a, StringValue b) when op is BinaryOperator.Equal or BinaryOperator.NotEqual:
                return new BoolValue((a.Text == b.Text) == (op == BinaryOperator.Equal));
            case (StringValue a, StringValue b) when op == BinaryOperator.Add:
                return new StringValue(a.Text + b.Text);
            case (BoolValue a, BoolValue b) when op is BinaryOperator.And:
                return new BoolValue(a.InTraining && b.InTraining, a.InEvaluation && b.InEvaluation);
            case (BoolValue a, BoolValue b) when op is BinaryOperator.Or:
                return new BoolValue(a.InTraining || b.InTraining, a.InEvaluation || b.InEvaluation);
            case (BoolValue a, BoolValue b) when op is BinaryOperator.Equal or BinaryOperator.NotEqual:
                var same = op == BinaryOperator.Equal;
                return new BoolValue((a.InTraining == b.InTraining) == same, (a.InEvaluation == b.InEvaluation) == same);
            case (InitializerValue i, _) when op is BinaryOperator.Multiply or BinaryOperator.Divide && NumberOf(right) is { } factor && factor != 0:
                return new InitializerValue(i.Initializer.Times(op == BinaryOperator.Multiply ? factor : 1 / factor));
            case (_, InitializerValue i) when op is BinaryOperator.Multiply && NumberOf(left) is { } factor:
                return new InitializerValue(i.Initializer.Times(factor));
            case (ListValue a, ListValue b) when op == BinaryOperator.Add:
                return new ListValue([.. a.Items, .. b.Items]);
            case (IntValue a, IntValue b):
                return Integers(op, a.Number, b.Number, at);
            case (DimValue or IntValue, DimValue or IntValue):
                return SizeOperator(op, left, right, at);
            default:
                return NumberOf(left) is { } x && NumberOf(right) is { } y ? Floats(op, x, y, at) : null;
        }
    }

    private static Value? Integers(BinaryOperator op, long a, long b, ExprSyntax at)
    {
        try
        {
            switch (op)
            {
                case BinaryOperator.Add:
                    return new IntValue(checked(a + b));
                case BinaryOperator.Subtract:
                    return new IntValue(checked(a - b));
                case BinaryOperator.Multiply:
                    return new IntValue(checked(a * b));
                case BinaryOperator.Modulo:
                    if (b == 0)
                        throw Error(DiagnosticCodes.DivisionByZero, at.Span, $"{a} is divided by 0");
                    return new IntValue(b == -1 ? 0 : ((a % b) + b) % b);
                case BinaryOperator.Power when b >= 0:
                    return new IntValue(Power(a, b));
                default:
                    return Floats(op, a, b, at);
            }
        }
        catch (OverflowException)
        {
            throw Error(DiagnosticCodes.TooLarge, at.Span, "this whole number is beyond 2⁶³ − 1").Note("with a float it may be larger: 2.0 ** 100");
        }
    }

    private static long Power(long a, long b)
    {
        if (a is 0 or 1)
            return b == 0 ? 1 : a;
        if (a == -1)
            return b % 2 == 0 ? 1 : -1;
        var result = 1L;
        for (var i = 0L; i < b; i++)
            result = checked(result * a);
        return result;
    }

    private static Value? Floats(BinaryOperator op, double a, double b, ExprSyntax at) => op switch
    {
        BinaryOperator.Add => new FloatValue(a + b),
        BinaryOperator.Subtract => new FloatValue(a - b),
        BinaryOperator.Multiply => new FloatValue(a * b),
        BinaryOperator.Divide => b == 0 ? throw Error(DiagnosticCodes.DivisionByZero, at.Span, $"{Printer.Number(a)} is divided by 0") : new FloatValue(a / b),
        BinaryOperator.Modulo => b == 0 ? throw Error(DiagnosticCodes.DivisionByZero, at.Span, $"{Printer.Number(a)} is divided by 0") : new FloatValue(a - (b * Math.Floor(a / b))),
        BinaryOperator.Power => new FloatValue(Math.Pow(a, b)),
        BinaryOperator.Equal => new BoolValue(a == b),
        BinaryOperator.NotEqual => new BoolValue(a != b),
        BinaryOperator.Less => new BoolValue(a < b),
        BinaryOperator.LessOrEqual => new BoolValue(a <= b),
        BinaryOperator.Greater => new BoolValue(a > b),
        BinaryOperator.GreaterOrEqual => new BoolValue(a >= b),
        _ => null,
    };

    /// <summary>Sizes that are not known yet: polynomials where the result is one, else computed while the model runs.</summary>
    private static Value? SizeOperator(BinaryOperator op, Value left, Value right, ExprSyntax at)
    {
        var (a, b) = (SizeOf(left, at), SizeOf(right, at));
        try
        {
            switch (op)
            {
                case BinaryOperator.Add:
                    return DimValue.Of(a + b);
                case BinaryOperator.Subtract:
                    return DimValue.Of(a - b);
                case BinaryOperator.Multiply:
                    return DimValue.Of(a * b);
                case BinaryOperator.Modulo:
                    return DimValue.Of(a - (b * Dim.FloorDiv(a, b)));
                case BinaryOperator.Divide:
                    return Dim.TryDivide(a, b, out var quotient) ? DimValue.Of(quotient) : null;
                case BinaryOperator.Equal or BinaryOperator.NotEqual:
                    var equal = Dim.AreEqual(a, b);
                    return equal == Answer.Unknown ? null : new BoolValue((equal == Answer.Proved) == (op == BinaryOperator.Equal));
                default:
                    return null;
            }
        }
        catch (ShapeException e)
        {
            throw Error(DiagnosticCodes.OutOfRange, at.Span, e.Message);
        }
    }

    private TensorValue Dynamic(BinaryOperator op, Value left, ExprSyntax leftSyntax, Value right, ExprSyntax rightSyntax, ExprSyntax at, Context c)
    {
        if (op is BinaryOperator.And or BinaryOperator.Or)
        {
            var (p, q) = (Condition(left, leftSyntax, op.Text()), Condition(right, rightSyntax, op.Text()));
            return Build(at, [(leftSyntax, p), (rightSyntax, q)], () => op == BinaryOperator.And ? p.And(q) : p.Or(q));
        }

        var (x, y) = (Tensor(left, leftSyntax), Tensor(right, rightSyntax));
        if (op == BinaryOperator.Modulo && (x.DType, y.DType) is (DType.I64, _) or (_, DType.I64))
            (x, y) = (Tensor(left, leftSyntax, DType.I64), Tensor(right, rightSyntax, DType.I64));
        var result = Build(at, [(leftSyntax, x), (rightSyntax, y)], () => op switch
        {
            BinaryOperator.Add => x + y,
            BinaryOperator.Subtract => x - y,
            BinaryOperator.Multiply => x * y,
            BinaryOperator.Divide => x / y,
            BinaryOperator.Modulo => Modulo(x, y),
            BinaryOperator.MatMul => x.MatMul(y),
            BinaryOperator.Power => Expr.Pow(x, y),
            BinaryOperator.Equal => x.EqualTo(y),
            BinaryOperator.NotEqual => x.NotEqualTo(y),
            BinaryOperator.Less => x.LessThan(y),
            BinaryOperator.LessOrEqual => x.LessOrEqual(y),
            BinaryOperator.Greater => x.GreaterThan(y),
            BinaryOperator.GreaterOrEqual => x.GreaterOrEqual(y),
            _ => throw new InvalidOperationException($"no operator {op}"),
        });
        if (op != BinaryOperator.MatMul)
            CheckRepeated(result.Expr, [(leftSyntax, x), (rightSyntax, y)], at);
        Meetings([result.Expr], [(leftSyntax, x), (rightSyntax, y)], at, c);
        return result;
    }

    /// <summary>x − y·⌊x / y⌋, which has the sign of y.</summary>
    private static Expr Modulo(Expr x, Expr y)
    {
        var whole = x.DType == DType.I64 && y.DType == DType.I64;
        var quotient = (x / y).Floor();
        return x - (y * (whole ? quotient.Cast(DType.I64) : quotient));
    }

    /// <summary>[B, 1] with [B] would give [B, B].</summary>
    private static void CheckRepeated(Expr result, IReadOnlyList<(ExprSyntax Syntax, Expr Value)> operands, ExprSyntax at)
    {
        (ExprSyntax Syntax, Expr Value)[] shaped = [.. operands.Where(o => o.Value.Rank > 0)];
        if (shaped.All(o => o.Value.Rank == result.Rank))
            return;
        for (var i = 1; i < result.Rank; i++)
        {
            var size = result.Shape[i];
            if (size.IsKnown || !result.Shape.Dims.Take(i).Contains(size) || shaped.Any(o => Repeats(o.Value.Shape, size)))
                continue;
            var problem = Error(DiagnosticCodes.RepeatedSize, at.Span, $"{string.Join(" with ", shaped.Select(o => o.Value.Shape))} gives {result.Shape}: every {size} with every {size}");
            foreach (var (syntax, value) in shaped)
                problem = problem.And(syntax.Span, $"this is {value.Shape}");
            var column = shaped.FirstOrDefault(o => o.Value.Rank == result.Rank && o.Value.Shape[^1].Equals(Dim.One));
            var row = shaped.First(o => o.Value.Rank < result.Rank);
            throw problem.Note(column.Syntax is null
                ? "if elements are to be paired, give both the same axes: squeeze(x, -1) or x[:, None]"
                : $"if elements are to be paired, give both the same axes: squeeze({column.Syntax.Span.Text}, -1), or {row.Syntax.Span.Text}[:, None]");
        }
    }

    private static bool Repeats(Shape shape, Dim size) => shape.Dims.Count(d => d.Equals(size)) > 1;

    // ---- Pipes and calls ---------------------------------------------------------------------------------------------

    private Value Pipe(PipeSyntax pipe, Context c)
    {
        var inner = c.At(PlaceOf(pipe, c));
        var value = Eval(pipe.First, inner);
        var composition = value is LayerValue first ? new List<LayerValue> { first } : null;
        c = composition is null ? c : inner;
        ExprSyntax before = pipe.First;
        foreach (var stage in pipe.Stages)
        {
            var call = stage.Bare as CallSyntax;
            var isCall = call is not null && !Constructs(call);
            if (composition is not null)
                composition.Add(isCall ? new PartialValue(call!, c) : Layer(Eval(stage, c), stage));
            else
                value = isCall ? Call(call!, c, Spread(value, before)) : Apply(Layer(Eval(stage, c), stage), Spread(value, before), stage, c);
            before = stage;
        }

        return composition is null ? value : Compose(composition);
    }

    private static LayerValue Layer(Value value, ExprSyntax at) => value switch
    {
        LayerValue layer => layer,
        ErrorValue => throw new DiagnosticException(null),
        _ => throw Error(DiagnosticCodes.NotCallable, at.Span, $"`|>` applies a layer or function, and this is {value.Describe()}"),
    };

    private static LayerValue Compose(IReadOnlyList<LayerValue> layers) => layers.Count == 1
        ? layers[0]
        : new ComposedValue([.. layers.SelectMany(l => l is ComposedValue composed ? composed.Layers : [l])]);

    /// <summary>Whether a call makes an instance, rather than applying something.</summary>
    private bool Constructs(CallSyntax call)
    {
        if (Binder.IsWith(call))
            return true;
        var callee = call.Callee.Bare;
        return binding.Entries.TryGetValue(callee, out var entry)
            ? entry.IsConstructor
            : callee is NameSyntax name && binding.Uses.TryGetValue(name, out var symbol) && symbol is { Kind: SymbolKind.Layer, Declaration: LayerSyntax { Hypers: not null } };
    }

    private Value Call(CallSyntax call, Context c, ImmutableArray<Given>? piped)
    {
        var callee = call.Callee.Bare;
        if (binding.Entries.TryGetValue(callee, out var entry))
        {
            return entry.Kind switch
            {
                CatalogKind.Layer => ConstructCatalog(call, entry, c),
                CatalogKind.Combinator => entry.Name switch
                {
                    "repeat" => Repeat(call, entry, c),
                    "chain" => Chain(call, c),
                    "parallel" => Parallel(call, c),
                    _ => Wrap(call, entry, c),
                },
                _ => Call(entry, call.Arguments, piped ?? [], call, c),
            };
        }

        if (binding.Primitives.TryGetValue(callee, out var primitive))
            return Call(primitive, call, piped ?? [], c);
        if (Binder.IsWith(call))
            return With(call, (FieldSyntax)callee, c);
        if (callee is NameSyntax name && binding.Uses.TryGetValue(name, out var symbol) && symbol is { Kind: SymbolKind.Layer, Declaration: LayerSyntax { Hypers: not null } layer })
            return ConstructOwn(call, layer, call.Arguments, c);
        var value = Eval(call.Callee, c);
        if (value is not LayerValue applied)
            throw Error(DiagnosticCodes.NotCallable, call.Callee.Span, $"this is {value.Describe()}, which is no layer and no function");
        ImmutableArray<Given> arguments = [.. piped ?? [], .. call.Arguments.Select(a => new Given(Eval(a.Value, c), a.Value, a.Name))];
        if (applied is FunctionValue function)
            return Call(function.Entry, call.Arguments, piped ?? [], call, c);
        return Apply(applied, arguments, call, c);
    }

    private Value Call(CallSyntax call, Context c, ImmutableArray<Given> piped) => Call(call, c, (ImmutableArray<Given>?)piped);

    // ---- Choice and repetition ---------------------------------------------------------------------------------------

    private Value If(IfSyntax @if, Context c)
    {
        var condition = Eval(@if.Condition, c);
        if (condition is not BoolValue truth)
            throw NotStatic(condition, @if.Condition, "`if` chooses while the model is put together, and");
        if (!truth.IsPhase)
            return Eval(truth.InTraining ? @if.Then : @if.Else, c);
        var (training, evaluation) = truth.InTraining ? (@if.Then, @if.Else) : (@if.Else, @if.Then);
        return ByPhase(() => Eval(training, c), () => Eval(evaluation, c), @if);
    }

    /// <summary>One value in training and another in evaluation.</summary>
    private Value ByPhase(Func<Value> training, Func<Value> evaluation, ExprSyntax at)
    {
        var inTraining = training();
        var before = builder.Parameters.Count;
        var inEvaluation = evaluation();
        for (var i = before; i < builder.Parameters.Count; i++)
            evaluationOnly.Add(builder.Parameters[i].Path);
        return ByPhase(inTraining, inEvaluation, at);
    }

    private Value ByPhase(Value training, Value evaluation, ExprSyntax at)
    {
        switch (training, evaluation)
        {
            case (LayerValue x, LayerValue y):
                return new PhaseLayerValue(x, y);
            case (TupleValue x, TupleValue y) when x.Items.Length == y.Items.Length:
                return new TupleValue([.. x.Items.Zip(y.Items, (a, b) => ByPhase(a, b, at))]);
            case (BoolValue x, BoolValue y):
                return new BoolValue(x.InTraining, y.InEvaluation);
            default:
                var (a, b) = (Tensor(training, at), Tensor(evaluation, at));
                return Build(at, [(at, a), (at, b)], () => a.DType == DType.Bool && b.DType == DType.Bool ? Expr.Make(new Phase(), a, b) : Expr.Phase(a, b));
        }
    }

    /// <summary>The values that a loop runs over.</summary>
    private IEnumerable<Value> Turns(ExprSyntax source, Context c)
    {
        if (source is RangeSyntax range)
        {
            var (start, end) = (Turn(range.Start, c), Turn(range.End, c));
            if (end > start)
                Spend(end - start, range.Span);
            for (var i = start; i < end; i++)
                yield return new IntValue(i);
            yield break;
        }

        var items = Eval(source, c) switch
        {
            ListValue list => list.Items,
            TupleValue tuple => tuple.Items,
            var other => throw NotStatic(other, source, "`for` runs over a range `0..n` or a static list, and"),
        };
        Spend(items.Length, source.Span);
        foreach (var item in items)
            yield return item;
    }

    private long Turn(ExprSyntax syntax, Context c)
    {
        var value = Eval(syntax, c);
        return value is DimValue size
            ? throw Error(DiagnosticCodes.NotStatic, syntax.Span, $"the ends of a range are known while the model is put together, and the size {size.Size} is not")
            : NumberOf(value) is { } number ? Whole(number, syntax, null) : throw NotStatic(value, syntax, "the ends of a range are whole numbers, and");
    }

    private LayerValue For(ForSyntax @for, Context c)
    {
        var place = PlaceOf(@for, c);
        var layers = new List<LayerValue>();
        foreach (var item in Turns(@for.Source, c))
        {
            var turn = new Context(new Env(c.Env), c.Frame, place.Turn(layers.Count), c.Layer);
            Bind(@for.Pattern, item, @for.Source, turn.Env.Set);
            foreach (var let in @for.Lets)
                Let(let, turn);
            layers.Add(Layer(Eval(@for.Body, turn), @for.Body));
        }

        return new ComposedValue([.. layers]);
    }

    private LayerValue Repeat(CallSyntax call, CatalogEntry entry, Context c)
    {
        var count = Argument(call, entry, 0);
        var body = Argument(call, entry, 1);
        var n = Turn(count, c);
        if (n < 0)
            throw Error(DiagnosticCodes.OutOfRange, count.Span, $"`n` is not negative, and this is {n}");
        Spend(n, count.Span);
        var place = PlaceOf(call, c);
        var layers = ImmutableArray.CreateBuilder<LayerValue>((int)n);
        for (var i = 0L; i < n; i++)
            layers.Add(Layer(Eval(body, c.At(place.Turn(i))), body));
        return new ComposedValue(layers.MoveToImmutable());
    }

    private static ExprSyntax Argument(CallSyntax call, CatalogEntry entry, int slot)
    {
        Slot[] slots = [.. entry.Parameters.Select(p => new Slot(p.Name, p.IsRequired))];
        var places = ArgumentMatcher.Match($"`{entry.Name}`", entry.ToString(), slots, call.Arguments, 0, call.Span, d => throw new DiagnosticException(d));
        return call.Arguments[Array.IndexOf(places, slot)].Value;
    }

    private LayerValue Chain(CallSyntax call, Context c)
    {
        c = c.At(PlaceOf(call, c));
        return Compose([.. call.Arguments.Select(a => Layer(Eval(a.Value, c), a.Value))]);
    }

    private ParallelValue Parallel(CallSyntax call, Context c)
    {
        c = c.At(PlaceOf(call, c));
        return new([.. call.Arguments.Select(a => Layer(Eval(a.Value, c), a.Value))]);
    }

    private ListValue Comprehension(ComprehensionSyntax comprehension, Context c)
    {
        var place = PlaceOf(comprehension, c);
        var items = ImmutableArray.CreateBuilder<Value>();
        foreach (var item in Turns(comprehension.Source, c))
        {
            var turn = new Context(new Env(c.Env), c.Frame, place.Turn(items.Count), c.Layer);
            Bind(comprehension.Pattern, item, comprehension.Source, turn.Env.Set);
            items.Add(Eval(comprehension.Element, turn));
        }

        return new ListValue(items.ToImmutable());
    }

    // ---- Fields ------------------------------------------------------------------------------------------------------

    private Value Field(FieldSyntax field, Context c)
    {
        if (binding.Entries.TryGetValue(field, out var entry))
            return EntryValue(entry, field, c);
        if (binding.Qualified.TryGetValue(field, out var symbol))
            return Known(Value(symbol, field, c));
        if (binding.Primitives.TryGetValue(field, out var primitive))
            throw Error(DiagnosticCodes.NotCallable, field.Span, $"`prim.{primitive.Name}` needs its arguments");
        var target = Eval(field.Target, c);
        while (target is WrappedValue wrapped)
            target = wrapped.Inner;
        if (target is not InstanceValue instance)
            throw Error(DiagnosticCodes.UnknownField, field.Name.Span, $"{target.Describe()} has no fields; those of a layer are its parameters and the layers in it");
        var path = $"{instance.Path}.{field.Name.Text}";
        if (builder.FindParameter(path) is { } parameter)
            return new TensorValue(parameter.Variable);
        if (instances.TryGetValue(path, out var inner))
            return inner;
        if (builder.PartOf(instance.Layer, field.Name.Text) is { } part)
            return instances[path] = new InstanceValue(part, path, instance.Span, null, Catalog.Find(part.Kind));
        if (instance.Layer.View(field.Name.Text) is { } view)
            return new ViewValue(instance, view);
        var prefix = instance.Path + ".";
        var known = builder.ParametersUnder(instance.Path).Select(p => p.Path).Concat(instances.Keys.Where(k => k.StartsWith(prefix, StringComparison.Ordinal)))
            .Where(p => p.Length > prefix.Length).Select(p => p[prefix.Length..].Split('.', '[')[0]).Distinct().Order(StringComparer.Ordinal).ToArray();
        if (known.Length == 0 && hasFailed)
            throw new DiagnosticException(null);
        var diagnostic = DiagnosticCodes.UnknownField.At(field.Name.Span, $"`{instance.Path}` has no `{field.Name.Text}`").With(instance.Span, "constructed here");
        throw new DiagnosticException(known.Length > 0
            ? diagnostic.WithSuggestion(field.Name.Text, field.Name.Span, known).WithNote($"it has {string.Join(", ", known)}")
            : diagnostic.WithNote("a layer has its parameters from its first application on"));
    }
}
