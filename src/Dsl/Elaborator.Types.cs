using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Conversions between values, types and sizes.</summary>
internal sealed partial class Elaborator
{
    // ---- Static values -----------------------------------------------------------------------------------------------

    /// <summary>A value as a static type takes it.</summary>
    public Value ConvertStatic(Value value, TypeSyntax type, ExprSyntax site, Identifier? name)
    {
        switch (type, value)
        {
            case (_, ErrorValue):
                throw new DiagnosticException(null);
            case (NamedTypeSyntax { Name.Text: "int" }, DimValue or IntValue):
                return value;
            case (NamedTypeSyntax { Name.Text: "int" }, not BoolValue) when NumberOf(value) is { } number:
                return new IntValue(Whole(number, site, name?.Text));
            case (NamedTypeSyntax { Name.Text: "float" }, not BoolValue) when NumberOf(value) is { } number:
                return new FloatValue(number);
            case (NamedTypeSyntax { Name.Text: "bool" }, BoolValue):
            case (NamedTypeSyntax { Name.Text: "string" }, StringValue):
            case (NamedTypeSyntax { Name.Text: "layer" }, LayerValue):
                return value;
            case (NamedTypeSyntax { Name.Text: "init" }, _) when InitializerOf(value) is { } initializer:
                return new InitializerValue(initializer);
            case (NamedTypeSyntax { Name.Text: "schedule" }, _) when ScheduleOf(value, site) is { } schedule:
                return new ScheduleValue(schedule);
            case (ListTypeSyntax list, ListValue items):
                return new ListValue([.. items.Items.Select(i => ConvertStatic(i, list.Element, site, name))]);
            case (TupleTypeSyntax tuple, TupleValue items) when tuple.Items.Length == items.Items.Length:
                return new TupleValue([.. items.Items.Select((i, k) => ConvertStatic(i, tuple.Items[k], site, name))]);
            default:
                throw Error(DiagnosticCodes.TypeMismatch, site.Span, $"{(name is { } n ? $"`{n.Text}` is of type" : "this is to be of type")} {type.Span.Text}, and this is {value.Describe()}").And(type.Span, "the type");
        }
    }

    /// <summary>The number that a static value is, bools counting as 0 and 1.</summary>
    private static double? NumberOf(Value value) => value switch
    {
        IntValue i => i.Number,
        FloatValue f => f.Number,
        BoolValue { IsPhase: false } b => b.InTraining ? 1 : 0,
        _ => null,
    };

    private static long Whole(double number, ExprSyntax site, string? what)
    {
        if (double.IsInteger(number) && Math.Abs(number) < long.MaxValue)
            return (long)number;
        if (double.IsInteger(number))
            throw Error(DiagnosticCodes.TooLarge, site.Span, $"{(what is null ? "this" : $"`{what}`")} = {Printer.Number(number)} is beyond 2⁶³ − 1");
        throw Error(DiagnosticCodes.NotWhole, site.Span, $"{(what is null ? "this" : $"`{what}`")} is a whole number, and {Printer.Number(number)} is none").Note("`floor_div(a, b)`, `ceil_div(a, b)` and `round(x)` give whole numbers");
    }

    private double Number(ExprSyntax syntax, Context c)
    {
        var value = Eval(syntax, c);
        return NumberOf(value) ?? throw NotStatic(value, syntax, "a number is needed, and");
    }

    private static string Text(Value value, ExprSyntax site) =>
        value is StringValue text ? text.Text : throw Error(DiagnosticCodes.TypeMismatch, site.Span, $"a string is needed, and this is {value.Describe()}");

    private static Initializer? InitializerOf(Value value) => value switch
    {
        InitializerValue i => i.Initializer,
        WordValue { Word: "auto" } => Initializers.Auto,
        ListValue list when Table(list, DType.Float) is { } table => new ListInitializer(table.Dims, table.Values),
        _ => NumberOf(value) is { } number ? Initializers.Constant(number) : null,
    };

    private static Initializer Initializer(Value value, ExprSyntax site) => value is ErrorValue
        ? throw new DiagnosticException(null)
        : InitializerOf(value) ?? throw Error(DiagnosticCodes.TypeMismatch, site.Span, $"an initializer, a number or a list of numbers is needed, and this is {value.Describe()}");

    private static Schedule? ScheduleOf(Value value, ExprSyntax site)
    {
        try
        {
            return value switch
            {
                ScheduleValue s => s.Schedule,
                InitializerValue { Initializer: ConstantInitializer c } => new ConstantSchedule(c.Value),
                _ => NumberOf(value) is { } rate ? new ConstantSchedule(rate) : null,
            };
        }
        catch (RangeException e)
        {
            throw Error(DiagnosticCodes.OutOfRange, site.Span, e.Message);
        }
    }

    // ---- Tensors -----------------------------------------------------------------------------------------------------

    /// <summary>A value as a tensor: numbers and rectangular lists of them are constants.</summary>
    private static Expr Tensor(Value value, ExprSyntax site, DType type = DType.Float) => value switch
    {
        TensorValue t => t.Expr,
        ErrorValue => throw new DiagnosticException(null),
        _ => Constant(value, type) ?? throw NotATensor(value, site),
    };

    private static DiagnosticException NotATensor(Value value, ExprSyntax site)
    {
        var problem = Error(DiagnosticCodes.TypeMismatch, site.Span, $"a tensor is needed, and this is {value.Describe()}");
        return value switch
        {
            ListValue => problem.Note("a list of numbers must be rectangular to stand for a tensor; `stack([a, b])` makes one of tensors"),
            TupleValue => problem.Note("take it apart first: let (a, b) = …"),
            LayerValue => problem.Note("apply it: x |> f"),
            CountValue => problem.Note("a unit belongs to counts of steps and epochs only"),
            _ => problem,
        };
    }

    /// <summary>Numbers, sizes and lists as nodes; null for what is none.</summary>
    private static Expr? Constant(Value value, DType type)
    {
        switch (value)
        {
            case BoolValue { IsPhase: true } phase:
                return Expr.Make(new Phase(), Expr.Scalar(phase.InTraining ? 1 : 0, DType.Bool), Expr.Scalar(phase.InEvaluation ? 1 : 0, DType.Bool));
            case BoolValue b:
                return Expr.Scalar(b.InTraining ? 1 : 0, DType.Bool);
            case IntValue i:
                return Expr.Scalar(i.Number, type);
            case FloatValue f:
                return Expr.Scalar(f.Number, type == DType.I64 && !double.IsInteger(f.Number) ? DType.Float : type);
            case DimValue d:
                return Expr.Size(d.Size);
            case ListValue list:
                return Table(list, type) is { } table ? Expr.Make(table) : null;
            default:
                return null;
        }
    }

    private static Table? Table(ListValue list, DType type)
    {
        if (NumbersOf(list) is not { } numbers)
            return null;
        var isBool = AllBool(list);
        var fits = type != DType.I64 || numbers.Values.All(double.IsInteger);
        return new Table(isBool ? DType.Bool : fits ? type : DType.Float, numbers.Dims, numbers.Values);
    }

    private static bool AllBool(Value value) => value is ListValue list ? list.Items.Length > 0 && list.Items.All(AllBool) : value is BoolValue;

    /// <summary>The numbers of a rectangular nested list, row-major; null for any other value.</summary>
    private static (ValueList<int> Dims, ValueList<double> Values)? NumbersOf(ListValue list)
    {
        var dims = new List<int>();
        for (Value level = list; level is ListValue { Items: var items };)
        {
            dims.Add(items.Length);
            if (items.IsEmpty)
                break;
            level = items[0];
        }

        var values = new List<double>();
        return Collect(list, 0) ? (dims.ToValueList(), values.ToValueList()) : null;

        bool Collect(Value value, int depth)
        {
            if (depth == dims.Count)
            {
                if (NumberOf(value) is not { } number)
                    return false;
                values.Add(number);
                return true;
            }

            return value is ListValue { Items: var items } && items.Length == dims[depth] && items.All(i => Collect(i, depth + 1));
        }
    }

    // ---- Declared types ----------------------------------------------------------------------------------------------

    private static DType ElementType(TensorTypeSyntax type) => type.Element is { } element ? Catalog.ElementTypes[element.Text] : DType.Float;

    /// <summary>A shape all of whose sizes are known here.</summary>
    private Shape DeclaredShape(TensorTypeSyntax type, Context c) => new([.. type.Dimensions.Select(d => Size(d, c))]);

    /// <summary>A size in a type: sums, products and exact quotients of numbers and names.</summary>
    private Dim Size(ExprSyntax syntax, Context c)
    {
        var size = Size(syntax, c, null);
        if (size.IsKnown && size.Value < 0)
            throw Error(DiagnosticCodes.OutOfRange, syntax.Span, $"a size is not negative, and this is {size}");
        return size;
    }

    /// <summary>Marks names that stand for themselves.</summary>
    private const char Free = '$';

    /// <param name="free">Collects names without a value, which stand for themselves with a `$` in front; null where there may be none.</param>
    private Dim Size(ExprSyntax syntax, Context c, Dictionary<string, Symbol>? free)
    {
        EnsureStack(syntax.Span);
        switch (syntax.Bare)
        {
            case NameSyntax name when binding.Uses.TryGetValue(name, out var symbol) && symbol.Kind == SymbolKind.Dimension:
                var value = c.Env.Find(symbol);
                if (value is not null)
                    return SizeOf(value, syntax);
                if (free is null)
                    throw Error(DiagnosticCodes.UnboundSize, name.Span, $"the size `{symbol.Name}` has no value here").And(symbol.Span, "it is bound by a tensor of this type");
                free[$"{Free}{symbol.Name}"] = symbol;
                return Dim.Named($"{Free}{symbol.Name}");
            case UnarySyntax { Operator: UnaryOperator.Negate } unary:
                return -Size(unary.Operand, c, free);
            case BinarySyntax binary:
                var left = Size(binary.First, c, free);
                foreach (var rest in binary.Rest)
                    left = Combine(rest, left, Size(rest.Operand, c, free), syntax, c);
                return left;
            case CallSyntax { Arguments: [var dividend, var divisor] } call when binding.Entries.TryGetValue(call.Callee.Bare, out var entry) && entry.Name is "floor_div" or "ceil_div":
                return Quotient(entry, Size(dividend.Value, c, free), Size(divisor.Value, c, free), call);
            case EllipsisSyntax dots:
                throw Error(DiagnosticCodes.TypeMismatch, dots.Span, "`...` has no place here: all sizes must be given");
            default:
                return SizeOf(Eval(syntax, c), syntax);
        }
    }

    private Dim Combine(OperandSyntax rest, Dim left, Dim right, ExprSyntax site, Context c)
    {
        try
        {
            return rest.Operator switch
            {
                BinaryOperator.Add => left + right,
                BinaryOperator.Subtract => left - right,
                BinaryOperator.Multiply => left * right,
                BinaryOperator.Divide => Quotient(left, right, site, c),
                BinaryOperator.Modulo => left - (right * Dim.FloorDiv(left, right)),
                _ => throw Error(DiagnosticCodes.TypeMismatch, rest.OperatorSpan, "a size is made by + - * / % of numbers and names"),
            };
        }
        catch (ShapeException e)
        {
            throw Error(DiagnosticCodes.OutOfRange, site.Span, e.Message);
        }
    }

    private Dim Quotient(Dim left, Dim right, ExprSyntax site, Context c)
    {
        if (right.Equals(Dim.Zero))
            throw Error(DiagnosticCodes.DivisionByZero, site.Span, "a size is divided by 0");
        if (Dim.TryDivide(left, right, out var exact))
            return exact;
        if (left.IsKnown && right.IsKnown)
        {
            var problem = Error(DiagnosticCodes.NotDivisible, site.Span, $"{left} is not divisible by {right}");
            foreach (var label in OriginsOf(site, c))
                problem = problem.And(label.Span, label.Text);
            throw problem.Note($"{site.Span.Text} must be a whole number; `floor_div` and `ceil_div` round");
        }

        var quotient = Dim.FloorDiv(left, right);
        if (!left.Names.Concat(right.Names).Any(n => n.StartsWith(Free)))
            builder.Require(new SizeCheck(left, right * quotient, $"what `{site.Span.Text}` divides", "an exact quotient", LocationOf(site)));
        return quotient;
    }

    private static Dim SizeOf(Value value, ExprSyntax site) => value switch
    {
        ErrorValue => throw new DiagnosticException(null),
        DimValue d => d.Size,
        _ => NumberOf(value) is { } number ? Dim.Of(Whole(number, site, null)) : throw NotStatic(value, site, "a size is needed, and"),
    };

    // ---- Unification -------------------------------------------------------------------------------------------------

    /// <summary>What <c>...</c> stands for in one signature.</summary>
    private sealed class Leading
    {
        public Shape? Shape { get; set; }

        public TextSpan Span { get; set; }

        /// <summary>The tensor that has them.</summary>
        public Expr? Tensor { get; set; }

        /// <summary>How many axes stand before them.</summary>
        public int Start { get; set; }
    }

    /// <summary>Who gives the tensors that are matched with a type: an application, whose names for sizes are the caller's, or the body that declares it.</summary>
    private readonly record struct Giver(ExprSyntax Site, SizeNames? Names, string Of = "");

    /// <summary>Matches declared tensor types with actual tensors, binding the names that are free.</summary>
    private void Unify(IReadOnlyList<(TensorTypeSyntax Type, Expr Actual, string Name)> tensors, Context c, Leading leading, Giver giver)
    {
        var site = giver.Site.Span;
        var bound = new Dictionary<Symbol, AxisOf>();
        var open = new List<(ExprSyntax Declared, Dim Actual, TensorTypeSyntax Type, Expr Tensor, string Name, int Axis)>();
        foreach (var (type, actual, name) in tensors)
        {
            CheckElement(type, actual, name, site);
            var dots = type.Dimensions.ToList().FindIndex(d => d is EllipsisSyntax);
            var named = type.Dimensions.Length - (dots >= 0 ? 1 : 0);
            if (dots < 0 ? actual.Rank != named : actual.Rank < named)
                throw Misfit(type, actual, name, site, $"{name} has {Axes(actual.Rank)}, and {type.Span.Text} has {(dots < 0 ? "" : "at least ")}{named}");
            var skipped = actual.Rank - named;
            if (dots >= 0)
                UnifyLeading(new Shape(actual.Shape.Dims.AsSpan().Slice(dots, skipped)), dots, type, actual, name, leading, giver);
            for (var i = 0; i < type.Dimensions.Length; i++)
            {
                var axis = dots < 0 || i < dots ? i : i + skipped - 1;
                if (i != dots)
                    open.Add((type.Dimensions[i], actual.Shape[axis], type, actual, name, axis));
            }
        }

        // What has two unknown names waits until another size has bound one of them.
        while (open.Count > 0)
        {
            var before = open.Count;
            open.RemoveAll(item =>
            {
                var symbol = item.Declared.Bare is NameSyntax use ? binding.Uses.GetValueOrDefault(use) : null;
                var isBound = symbol is not null && c.Env.Find(symbol) is not null;
                switch (Solve(item.Declared, item.Actual, c, out var asked))
                {
                    case Answer.Unknown:
                        return false;
                    case Answer.Refuted:
                        throw MisfitAt(item.Declared, item.Actual, item.Type, item.Tensor, item.Name, item.Axis, c, site);
                }

                if (asked is var (declared, given))
                    builder.Require(new SizeCheck(given, declared, $"axis {item.Axis} of {item.Name}", $"{item.Type.Span.Text}{giver.Of}", LocationOf(giver.Site)));
                if (symbol is not null)
                    Meet(symbol, isBound, new AxisOf(item.Tensor, item.Axis), bound, c, giver);
                return true;
            });
            if (open.Count == before)
                throw Error(DiagnosticCodes.UnboundSize, open[0].Declared.Span, $"the names in `{open[0].Declared.Span.Text}` do not follow from the sizes that are given");
        }
    }

    private static string Axes(int rank) => rank == 1 ? "1 axis" : $"{rank} axes";

    private void UnifyLeading(Shape found, int start, TensorTypeSyntax type, Expr actual, string name, Leading leading, Giver giver)
    {
        if (leading.Shape is not { } expected)
        {
            (leading.Shape, leading.Span, leading.Tensor, leading.Start) = (found, type.Span, actual, start);
            return;
        }

        var site = giver.Site.Span;

        var fits = expected.Rank == found.Rank && Enumerable.Range(0, found.Rank).All(i => !Sizes.Differ(expected[i], found[i]));
        if (!fits)
            throw Misfit(type, actual, name, site, $"`...` is {expected} elsewhere in this signature, and here it would be {found}").And(leading.Span, $"`...` is {expected} here");
        for (var i = 0; i < found.Rank; i++)
        {
            if (Dim.AreEqual(expected[i], found[i]) == Answer.Unknown)
                builder.Require(new SizeCheck(found[i], expected[i], $"axis {start + i} of {name}", $"`...` in {type.Span.Text}{giver.Of}", LocationOf(giver.Site)));
            Meet(new AxisOf(leading.Tensor!, leading.Start + i), new AxisOf(actual, start + i), giver);
        }
    }

    /// <summary>Proved: fits; refuted: does not; unknown: names are missing.</summary>
    /// <param name="asked">Two sizes that must be equal for it to fit, where that is open.</param>
    private Answer Solve(ExprSyntax declaredSize, Dim actual, Context c, out (Dim Declared, Dim Given)? asked)
    {
        asked = null;
        var free = new Dictionary<string, Symbol>();
        if (declaredSize.Bare is BinarySyntax { Rest: [.., { Operator: BinaryOperator.Divide } last] } quotient)
        {
            // D / H = actual asks for D = actual · H, as soon as H is known.
            var divisor = Size(last.Operand, c, free);
            if (free.Count > 0)
                return Answer.Unknown;
            var rest = quotient.Rest.RemoveAt(quotient.Rest.Length - 1);
            return Solve(rest.IsEmpty ? quotient.First : new BinarySyntax(quotient.Span, quotient.First, rest), actual * divisor, c, out asked);
        }

        var size = Size(declaredSize, c, free);
        if (free.Count == 0)
        {
            if (Dim.AreEqual(size, actual) == Answer.Unknown)
                asked = (size, actual);
            return Sizes.Differ(size, actual) ? Answer.Refuted : Answer.Proved;
        }

        if (free.Count > 1)
            return Answer.Unknown;
        var (key, symbol) = free.First();
        if (size.SolveFor(key, actual, rounded: true) is not { } solution || solution is { IsKnown: true, Value: < 0 })
            return Answer.Refuted;
        var value = size.Substitute(n => n == key ? solution : null);
        if (!value.Equals(actual))
            asked = (value, actual);
        c.Env.Set(symbol, DimValue.Of(solution));
        return Answer.Proved;
    }

    private static void CheckElement(TensorTypeSyntax type, Expr actual, string name, TextSpan site)
    {
        var wanted = ElementType(type);
        if (wanted == actual.DType || (wanted == DType.Float && actual.DType.IsFloat()))
            return;
        throw Error(DiagnosticCodes.ElementType, site, $"{name} holds {actual.DType.Text()}, and {wanted.Text()} is needed").And(type.Span, $"declared {type.Span.Text}")
            .Note($"`cast(x, {wanted.Text()})` converts");
    }

    private DiagnosticException MisfitAt(ExprSyntax size, Dim actual, TensorTypeSyntax type, Expr tensor, string name, int axis, Context c, TextSpan site)
    {
        var free = new Dictionary<string, Symbol>();
        var expected = Size(size, c, free);
        var known = size.Bare is NumberSyntax ? expected.ToString() : free.Count > 0 ? $"`{size.Span.Text}`" : $"`{size.Span.Text}` = {expected}";
        var problem = Misfit(type, tensor, name, site, $"axis {axis} of {name} has size {actual}, and {known} is declared");
        foreach (var label in OriginsOf(size, c))
            problem = problem.And(label.Span, label.Text);
        if (OriginOf(tensor, axis) is not { } origin)
            return problem;
        problem = problem.And(origin.Label.Span, origin.Label.Text);
        var isInScope = origin.Maker is { } maker && size.Bare is NameSyntax && maker.Path.LastIndexOf('.') is var dot && (dot < 0 ? "" : maker.Path[..dot]) == c.Frame.Path;
        return Remedy(origin.Maker, isInScope ? size.Span.Text : expected.IsKnown ? expected.ToString() : null) is { } remedy ? problem.Note(remedy) : problem;
    }

    /// <summary>Where the names of a declared size got their values.</summary>
    private IEnumerable<Label> OriginsOf(ExprSyntax size, Context c)
    {
        foreach (var name in NamesIn(size))
        {
            if (binding.Uses.TryGetValue(name, out var symbol) && (c.Env.Find(symbol) ?? fileValues.GetValueOrDefault(symbol)) is { } value && symbol.Span != name.Span)
                yield return new Label(symbol.Span, $"`{symbol.Name}` is {(value is DimValue d ? d.Size.ToString() : NumberOf(value) is { } n ? Printer.Number(n) : value.Describe())} here");
        }
    }

    private static IEnumerable<NameSyntax> NamesIn(ExprSyntax syntax) => syntax.Bare switch
    {
        NameSyntax name => [name],
        BinarySyntax binary => binary.Rest.Select(r => r.Operand).Prepend(binary.First).SelectMany(NamesIn),
        UnarySyntax unary => NamesIn(unary.Operand),
        CallSyntax call => call.Arguments.SelectMany(a => NamesIn(a.Value)),
        _ => [],
    };

    private static DiagnosticException Misfit(TensorTypeSyntax type, Expr actual, string name, TextSpan site, string why) =>
        Error(DiagnosticCodes.DeclaredShape, site, $"{name} has the shape {actual.Shape}, which is not {type.Span.Text}: {why}").And(type.Span, "declared here");

    /// <summary>A value under a written type: <c>let h: [B, T] = …</c>.</summary>
    private Value Ascribe(Value value, TypeSyntax type, ExprSyntax site, Context c)
    {
        switch (type)
        {
            case TensorTypeSyntax tensor:
                var actual = Tensor(value, site, ElementType(tensor));
                Unify([(tensor, actual, "this")], c, new Leading(), new Giver(site, c.Env.SizeNames));
                return value is TensorValue ? value : new TensorValue(actual);
            case TupleTypeSyntax tuple when value is TupleValue items && items.Items.Length == tuple.Items.Length:
                return new TupleValue([.. items.Items.Select((item, i) => Ascribe(item, tuple.Items[i], site, c))]);
            default:
                return ConvertStatic(value, type, site, null);
        }
    }
}
