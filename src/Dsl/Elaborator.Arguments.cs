using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Calls of catalog rows and primitives, and the conversion of their arguments.</summary>
internal sealed partial class Elaborator
{
    // ---- Catalog functions -------------------------------------------------------------------------------------------

    /// <summary>Evaluates and converts the arguments of a catalog row.</summary>
    /// <param name="place">Where layers among the arguments are constructed.</param>
    private Args Arguments(CatalogEntry entry, ImmutableArray<ArgumentSyntax> arguments, ImmutableArray<Given> piped, ExprSyntax at, Context c, Place? place)
    {
        var values = Values(entry, arguments, piped, at, c, place, out var sites);
        return new Args(entry, [.. values.Select((v, i) => v is null ? DefaultOf(entry.Parameters[i]) : Convert(v, entry.Parameters[i], sites[i] ?? at, c))], () => RandomKey(c));
    }

    private Value?[] Values(CatalogEntry entry, ImmutableArray<ArgumentSyntax> arguments, ImmutableArray<Given> piped, ExprSyntax at, Context c, Place? place, out ExprSyntax?[] sites)
    {
        var parameters = entry.Parameters;
        if (piped.Length > 1 && entry.TakesTuple)
            piped = [new Given(parameters[0].Kind == ParameterKind.Tensors ? new ListValue([.. piped.Select(p => p.Value)]) : new TupleValue([.. piped.Select(p => p.Value)]), piped[0].Syntax)];
        Slot[] slots = [.. parameters.Select(p => p.Slot)];
        var into = entry.PipedInto;
        var places = ArgumentMatcher.Match($"`{entry.Name}`", entry.ToString(), slots, arguments, into < 0 ? piped.Length : 0, at.Span, d => throw new DiagnosticException(d));
        var values = new Value?[parameters.Length];
        var where = sites = new ExprSyntax?[parameters.Length];
        for (var i = 0; i < piped.Length; i++)
            Set(into < 0 ? i : into, piped[i].Value, piped[i].Syntax);
        for (var i = 0; i < arguments.Length; i++)
        {
            var own = place is null ? c : c.At(place);
            var value = parameters[places[i]].Kind == ParameterKind.Recipe ? new RecipeValue(arguments[i].Value, own) : Eval(arguments[i].Value, own);
            if (parameters[places[i]].Kind == ParameterKind.Named)
                values[places[i]] = new SizesValue([.. (values[places[i]] as SizesValue)?.Items ?? [], (arguments[i].Name!.Value, value, arguments[i].Value)]);
            else if (parameters[places[i]].Kind == ParameterKind.Columns)
                (values[places[i]], sites[places[i]]) = (new ListValue([.. (values[places[i]] as ListValue)?.Items ?? [], new TupleValue([new StringValue(arguments[i].Name!.Value.Text), value])]), arguments[i].Value);
            else
                Set(places[i], value, arguments[i].Value);
        }

        return values;

        void Set(int slot, Value value, ExprSyntax syntax)
        {
            values[slot] = parameters[slot].IsVariadic ? new ListValue([.. (values[slot] as ListValue)?.Items ?? [], value]) : value;
            where[slot] ??= syntax;
        }
    }

    private Expr RandomKey(Context c) => c.Layer?.RandomKey() ?? RandomState.Key($"{c.Frame.Path}#0#{c.Frame.Draws++}");

    private Value Call(CatalogEntry entry, ImmutableArray<ArgumentSyntax> arguments, ImmutableArray<Given> piped, ExprSyntax at, Context c)
    {
        switch (entry.Name)
        {
            case "len":
                return Length(Values(entry, arguments, piped, at, c, null, out _)[0]!, at);
            case "scan":
                return Scan(entry, Values(entry, arguments, piped, at, c, null, out var places), places, at, c);
            case "floor_div" or "ceil_div":
                var values = Values(entry, arguments, piped, at, c, null, out var parts);
                return DimValue.Of(Quotient(entry, SizeOf(values[0]!, parts[0] ?? at), SizeOf(values[1]!, parts[1] ?? at), at));
        }

        if (entry.Kind == CatalogKind.Derivative)
            return Derivative(entry, arguments, piped, at, c);
        var given = Values(entry, arguments, piped, at, c, null, out var sites);
        var operands = new List<(ExprSyntax, Expr)>();
        var converted = new object?[given.Length];
        var isStatic = entry.Kind == CatalogKind.Function && !entry.Name.StartsWith("random.", StringComparison.Ordinal);
        var tensors = 0;
        for (var i = 0; i < given.Length; i++)
        {
            var parameter = entry.Parameters[i];
            converted[i] = given[i] is null ? DefaultOf(parameter) : Convert(given[i]!, parameter, sites[i] ?? at, c);
            if (converted[i] is Expr tensor)
            {
                operands.Add((sites[i] ?? at, tensor));
                isStatic &= given[i] is IntValue or FloatValue or BoolValue { IsPhase: false };
                tensors++;
            }
            else if (converted[i] is ImmutableArray<Expr> several)
            {
                ExprSyntax[] own = parameter.IsVariadic ? [.. piped.Select(p => p.Syntax), .. arguments.Skip(i).Select(a => a.Value)] : sites[i]?.Bare is ListSyntax list ? [.. list.Items] : [];
                operands.AddRange(several.Select((e, n) => (own.Length == several.Length ? own[n] : sites[i] ?? at, e)));
                isStatic = false;
            }
        }

        builder.Location = LocationOf(at);
        var before = builder.ScopeCount;
        Expr? key = null;
        object? result;
        try
        {
            result = entry.Make(new Args(entry, converted, () => key = RandomKey(c)));
        }
        catch (PatternException e)
        {
            throw Explain(e, entry, given, sites, at, [.. operands]);
        }
        catch (RangeException e)
        {
            throw OutOfRange(e, entry, sites, at);
        }
        catch (GraphException e)
        {
            throw Explain(e, at, [.. operands]);
        }
        catch (DataFormatException e)
        {
            throw Error(DiagnosticCodes.InvalidData, at.Span, e.Message);
        }

        switch (result)
        {
            case Expr expr when isStatic && tensors > 0 && expr.Shape.IsScalar:
                return StaticValue(expr);
            case Expr expr:
                if (Notation(entry, given, converted, key) is { } notation)
                    builder.Note(expr, notation, before);
                builder.Record(expr);
                CheckSize(expr, at);
                if (entry.Broadcasts)
                    CheckRepeated(expr, operands, at);
                Meetings([expr], operands, at, c);
                return new TensorValue(expr);
            case ImmutableArray<Expr> several:
                foreach (var expr in several)
                {
                    builder.Record(expr);
                    CheckSize(expr, at);
                }

                Meetings(several, operands, at, c);

                return new ListValue([.. several.Select(e => new TensorValue(e))]);
            case Initializer initializer:
                return new InitializerValue(initializer);
            case Schedule schedule:
                return new ScheduleValue(schedule);
            case Optimizer optimizer:
                return new OptimizerValue(optimizer);
            case DataSource source:
                return new SourceValue(source);
            default:
                throw new InvalidOperationException($"{entry.Name} gave {result}");
        }
    }

    /// <summary>How the call of a function is printed; null where an argument has no notation.</summary>
    private static FunctionCall? Notation(CatalogEntry entry, Value?[] given, object?[] converted, Expr? key)
    {
        if (entry.Kind is not (CatalogKind.Function or CatalogKind.Loss or CatalogKind.Metric))
            return null;
        var arguments = ImmutableArray.CreateBuilder<FunctionArgument>();
        var isNamed = false;
        for (var i = 0; i < given.Length; i++)
        {
            var parameter = entry.Parameters[i];
            if (given[i] is null)
            {
                isNamed = true;
                continue;
            }

            var name = isNamed ? parameter.Name : null;
            switch (converted[i])
            {
                case Expr tensor:
                    arguments.Add(new FunctionArgument(name, [tensor], null));
                    break;
                case ImmutableArray<Expr> several when parameter.IsVariadic:
                    arguments.AddRange(several.Select(t => new FunctionArgument(null, [t], null)));
                    break;
                case ImmutableArray<Expr> several:
                    arguments.Add(new FunctionArgument(name, several, null, IsList: true));
                    break;
                case ImmutableArray<(string Name, Dim Size)> sizes:
                    arguments.AddRange(sizes.Select(s => new FunctionArgument(s.Name, [], s.Size.ToString()) { Sizes = [s.Size] }));
                    break;
                default:
                    if (parameter.Kind is ParameterKind.Any or ParameterKind.Layer or ParameterKind.Recipe || LayerNotation.Text(converted[i]) is not { } text)
                        return null;
                    text = parameter.Kind == ParameterKind.Axis && converted[i] is null ? "all" : text;
                    arguments.Add(new FunctionArgument(name, [], text) { Sizes = converted[i] is Shape shape ? [.. shape.Dims] : converted[i] is Dim size ? [size] : [] });
                    break;
            }
        }

        if (key is not null)
            arguments.Add(new FunctionArgument("key", [key], null));
        return arguments.Count == 0 ? null : new FunctionCall(entry.Name, arguments.ToImmutable(), entry.IsLayerByName);
    }

    /// <summary>Functions of static scalars are static.</summary>
    private static Value StaticValue(Expr expr)
    {
        var value = Reference.Evaluate([expr], new Dictionary<Expr, RefValue<double>>())[0];
        return value.Reals is { } reals ? new FloatValue(reals[0])
            : expr.DType == DType.Bool ? new BoolValue(value.Integers![0] != 0)
            : new IntValue(value.Integers![0]);
    }

    private static Value Length(Value value, ExprSyntax at) => value switch
    {
        ListValue list => new IntValue(list.Items.Length),
        TupleValue tuple => new IntValue(tuple.Items.Length),
        TensorValue { Expr.Rank: > 0 } tensor => DimValue.Of(tensor.Expr.Shape[0]),
        ErrorValue => throw new DiagnosticException(null),
        _ => throw Error(DiagnosticCodes.TypeMismatch, at.Span, $"`len` counts the items of a list, and this is {value.Describe()}"),
    };

    /// <summary><c>floor_div(a, b)</c> or <c>ceil_div(a, b)</c>.</summary>
    private static Dim Quotient(CatalogEntry entry, Dim a, Dim b, ExprSyntax at)
    {
        if (b.Equals(Dim.Zero))
            throw Error(DiagnosticCodes.DivisionByZero, at.Span, $"{a} is divided by 0");
        if (a.IsKnown && b.IsKnown)
        {
            var (quotient, rest) = Math.DivRem(a.Value, b.Value);
            var down = rest != 0 && (rest < 0) != (b.Value < 0);
            return Dim.Of(entry.Name == "floor_div" ? quotient - (down ? 1 : 0) : quotient + (rest != 0 && !down ? 1 : 0));
        }

        try
        {
            return entry.Name == "floor_div" ? Dim.FloorDiv(a, b) : Dim.CeilDiv(a, b);
        }
        catch (ShapeException e)
        {
            throw Error(DiagnosticCodes.OutOfRange, at.Span, e.Message);
        }
    }

    /// <summary>The argument that the number stands in is what is marked.</summary>
    private static DiagnosticException OutOfRange(RangeException e, CatalogEntry entry, ExprSyntax?[] sites, ExprSyntax at)
    {
        var index = Enumerable.Range(0, entry.Parameters.Length).FirstOrDefault(i => entry.Parameters[i].Name == e.Argument, -1);
        return Error(DiagnosticCodes.OutOfRange, (index < 0 ? null : sites[index])?.Span ?? at.Span, e.Message);
    }

    /// <summary>What the identities of barriers and checkpoints are called in this model.</summary>
    private readonly Dictionary<string, Graph.Symbol> symbols = new(StringComparer.Ordinal);

    /// <summary>A primitive by its own name, as printed graphs have it.</summary>
    private Value Call(Primitive primitive, CallSyntax call, ImmutableArray<Given> piped, Context c)
    {
        var given = new List<(ExprSyntax Syntax, Value Value)>(piped.Select(p => (p.Syntax, p.Value)));
        var attributes = new Dictionary<string, object>(StringComparer.Ordinal);
        foreach (var argument in call.Arguments)
        {
            var value = Eval(argument.Value, c);
            if (argument.Name is { } name)
                attributes[name.Text] = Attribute(value, argument.Value);
            else
                given.Add((argument.Value, value));
        }

        if (primitive.Name is "scan" or "custom_gradient" && given is [.., (var body, LayerValue function)])
        {
            given.RemoveAt(given.Count - 1);
            return primitive.Name == "scan" ? Scan(call, given, function, body, attributes, c) : CustomGradient(call, given, function, body, c);
        }

        var operands = given.ConvertAll(g => (g.Syntax, Value: Tensor(g.Value, g.Syntax, primitive.Numbers)));
        return Build(call, operands, () => Expr.Make(primitive.Create(new OpArguments(primitive.Name, attributes, symbols)), [.. operands.Select(o => o.Value)]));
    }

    private static object Attribute(Value value, ExprSyntax at) => value switch
    {
        IntValue i => i.Number,
        FloatValue f => f.Number,
        BoolValue { IsPhase: false } b => b.InTraining,
        StringValue s => s.Text,
        WordValue w => w.Word == "int" ? "i64" : w.Word,
        DimValue d => d.Size,
        ListValue list => list.Items.Select(i => Attribute(i, at)).ToArray(),
        ErrorValue => throw new DiagnosticException(null),
        _ => throw NotStatic(value, at, "an attribute is static, and"),
    };

    // ---- Conversions of arguments ------------------------------------------------------------------------------------

    private object? Convert(Value value, CatalogParameter parameter, ExprSyntax at, Context c)
    {
        if (value is ErrorValue)
            throw new DiagnosticException(null);
        if (value is WordValue { Word: "none" } && parameter.Default == "none")
            return null;
        switch (parameter.Kind)
        {
            case ParameterKind.Tensor:
                return Tensor(value, at);
            case ParameterKind.Integers:
                var integers = Tensor(value, at, DType.I64);
                return integers.DType == DType.I64 ? integers : throw Error(DiagnosticCodes.ElementType, at.Span, $"`{parameter.Name}` takes whole numbers, and this is {integers.Type}").Note("declare it as int[...], or convert it: cast(x, int)");
            case ParameterKind.Mask:
                var mask = Tensor(value, at);
                return mask.DType == DType.Bool ? mask : throw Error(DiagnosticCodes.ElementType, at.Span, $"`{parameter.Name}` takes truth values, and this is {mask.Type}").Note("declare it as bool[...], or compare: x > 0");
            case ParameterKind.Tensors when value is ListValue or TupleValue:
                return ItemsOf(value).Select(i => Tensor(i, at)).ToImmutableArray();
            case ParameterKind.Any:
                return value;
            case ParameterKind.Int when NumberOf(value) is { } number:
                return (int)InRange(Whole(number, at, parameter.Name), at, parameter.Name);
            case ParameterKind.Float when NumberOf(value) is { } number:
                return number;
            case ParameterKind.Bool when value is BoolValue { IsPhase: false } flag:
                return flag.InTraining;
            case ParameterKind.String when value is StringValue text:
                return text.Text;
            case ParameterKind.Strings when value is ListValue { Items: var items } && items.All(i => i is StringValue):
                return items.Select(i => ((StringValue)i).Text).ToValueList();
            case ParameterKind.Columns:
                return ((ListValue)value).Items.Select(i => ((TupleValue)i).Items is [StringValue column, StringValue there] ? new ColumnName(column.Text, there.Text)
                    : throw Error(DiagnosticCodes.TypeMismatch, at.Span, $"a column takes its name in the file, as a string, and this is {((TupleValue)i).Items[1].Describe()}")).ToValueList();
            case ParameterKind.Pair when value is TupleValue or ListValue && ItemsOf(value) is [var first, var second] && NumberOf(first) is { } x && NumberOf(second) is { } y:
                return (x, y);
            case ParameterKind.Floats when value is ListValue or TupleValue:
                return ItemsOf(value).Select(i => NumberOf(i) ?? (i is CountValue { Unit: CountUnit.Steps } count ? count.Number : throw NotStatic(i, at, "this list holds numbers, and"))).ToValueList();
            case ParameterKind.Size when value is not TensorValue:
                return SizeOf(value, at);
            case ParameterKind.Named when value is SizesValue sizes:
                return sizes.Items.Select(i => (i.Name.Text, SizeOf(i.Size, i.Syntax))).ToImmutableArray();
            case ParameterKind.Shape when value is ListValue or TupleValue:
                return new Shape([.. ItemsOf(value).Select(i => SizeOf(i, at))]);
            case ParameterKind.Shape when value is not TensorValue:
                return new Shape(SizeOf(value, at));
            case ParameterKind.Axis when value is WordValue { Word: "all" }:
                return null;
            case ParameterKind.Axis when value is ListValue or TupleValue:
                return ItemsOf(value).Select(i => NumberOf(i) is { } n ? (int)InRange(Whole(n, at, "axis"), at, "axis") : throw NotStatic(i, at, "an axis is a number, and")).ToArray();
            case ParameterKind.Axis when NumberOf(value) is { } axis:
                return new[] { (int)InRange(Whole(axis, at, "axis"), at, "axis") };
            case ParameterKind.Extent when WholeNumbers(value, at, parameter.Name) is { } sizes:
                return new Extent(sizes.ToValueList());
            case ParameterKind.Padding when value is WordValue or StringValue && WordOf(value) is "same" or "valid":
                return WordOf(value) == "same" ? Padding.Same : Padding.Valid;
            case ParameterKind.Padding when value is ListValue or TupleValue && ItemsOf(value) is { Length: > 0 } pairs && pairs.All(p => p is ListValue or TupleValue && ItemsOf(p).Length == 2):
                return pairs.Select(p => WholeNumbers(p, at, parameter.Name)).ToArray() is var known && known.All(p => p is not null)
                    ? Padding.Of([.. known.Select(p => (p![0], p[1]))])
                    : throw NotStatic(value, at, "padding is whole numbers, and");
            case ParameterKind.Padding when WholeNumbers(value, at, parameter.Name) is { } around:
                return Padding.Of([.. around.Select(n => (n, n))]);
            case ParameterKind.DType when value is WordValue or StringValue && Catalog.ElementTypes.TryGetValue(WordOf(value), out var type):
                return type;
            case ParameterKind.Steps when NumberOf(value) is { } steps:
                return steps;
            case ParameterKind.Steps when value is CountValue { Unit: CountUnit.Steps } count:
                return count.Number;
            case ParameterKind.Steps when value is CountValue:
                throw Error(DiagnosticCodes.Unit, at.Span, $"`{parameter.Name}` counts steps, not epochs").Note("an epoch has (rows of the training part) / batch steps");
            case ParameterKind.Init when InitializerOf(value) is { } initializer:
                return initializer;
            case ParameterKind.Schedule when ScheduleOf(value, at) is { } schedule:
                return schedule;
            case ParameterKind.Layer when value is LayerValue layer:
                return (Func<Expr, Expr>)(x => Inside(layer, x, at, c));
            case ParameterKind.Recipe when value is RecipeValue recipe:
                return (Func<LayerContext, string, Expr, Expr>)((_, name, x) =>
                {
                    var made = Eval(recipe.Syntax, recipe.Context.At(recipe.Context.Place.Child(name)));
                    var layer = made as LayerValue ?? throw Error(DiagnosticCodes.TypeMismatch, at.Span, $"`{parameter.Name}` takes a layer, and this is {made.Describe()}");
                    return Inside(layer, x, at, c);
                });
            case ParameterKind.Word when value is WordValue or StringValue:
                var word = WordOf(value);
                return parameter.Words.Contains(word) ? word
                    : throw new DiagnosticException(DiagnosticCodes.UnknownWord.At(at.Span, $"`{parameter.Name}` takes {string.Join(", ", parameter.Words)}, not `{word}`"));
            default:
                throw value is CountValue ? Error(DiagnosticCodes.Unit, at.Span, $"`{parameter.Name}` is no count of steps or epochs; write the number alone")
                    : Error(DiagnosticCodes.TypeMismatch, at.Span, $"`{parameter.Name}` takes {Name(parameter)}, and this is {value.Describe()}");
        }
    }

    /// <summary>Applies a layer that another one was given; what that builds afterwards has its own place again.</summary>
    private Expr Inside(LayerValue layer, Expr x, ExprSyntax at, Context c)
    {
        var location = builder.Location;
        var y = Tensor(Apply(layer, [new Given(new TensorValue(x), giver?.Site ?? at)], at, c), at);
        builder.Location = location;
        return y;
    }

    private static string Name(CatalogParameter parameter) => parameter.Kind switch
    {
        ParameterKind.Tensor => "a tensor",
        ParameterKind.Mask => "truth values",
        ParameterKind.Tensors => "a list of tensors",
        ParameterKind.Int => "a whole number",
        ParameterKind.Float => "a static number",
        ParameterKind.Bool => "true or false",
        ParameterKind.String => "a string",
        ParameterKind.Strings => "a list of strings",
        ParameterKind.Pair => "a pair of numbers",
        ParameterKind.Floats => "a list of numbers",
        ParameterKind.Size => "a size",
        ParameterKind.Shape => "a list of sizes",
        ParameterKind.Axis => "an axis, a list of axes, or all",
        ParameterKind.Extent => "a whole number, or one for each spatial axis",
        ParameterKind.Padding => "\"same\", \"valid\", a whole number, one for each spatial axis, or pairs (low, high)",
        ParameterKind.DType => "an element type: float, f32, f64, i64, int or bool",
        ParameterKind.Steps => "a number of steps",
        ParameterKind.Init => "an initializer or a number",
        ParameterKind.Schedule => "a schedule or a number",
        ParameterKind.Layer or ParameterKind.Recipe => "a layer",
        _ => $"one of {string.Join(", ", parameter.Words)}",
    };

    private static string WordOf(Value value) => value is WordValue word ? word.Word : ((StringValue)value).Text;

    private static ImmutableArray<Value> ItemsOf(Value value) => value is ListValue list ? list.Items : ((TupleValue)value).Items;

    /// <summary>One number or several of them; null for anything else.</summary>
    private static int[]? WholeNumbers(Value value, ExprSyntax at, string name)
    {
        ImmutableArray<Value> items = value is ListValue or TupleValue ? ItemsOf(value) : [value];
        return items.Length > 0 && items.All(i => NumberOf(i) is not null) ? [.. items.Select(i => (int)InRange(Whole(NumberOf(i)!.Value, at, name), at, name))] : null;
    }

    private static long InRange(long number, ExprSyntax at, string name) => number is >= int.MinValue and <= int.MaxValue
        ? number
        : throw Error(DiagnosticCodes.TooLarge, at.Span, $"`{name}` = {number} is beyond 2³¹ − 1");

    private static object? DefaultOf(CatalogParameter parameter)
    {
        if (parameter.IsVariadic)
            return parameter.Kind == ParameterKind.Tensors ? ImmutableArray<Expr>.Empty : null;
        var text = parameter.Default!;
        return parameter.Kind switch
        {
            _ when text == "none" && parameter.Kind != ParameterKind.Word => null,
            ParameterKind.Axis when text == "all" => null,
            ParameterKind.Init => text switch
            {
                "auto" => Initializers.Auto,
                "zeros()" => Initializers.Zeros,
                "ones()" => Initializers.Ones,
                "normal(1)" => Initializers.Normal(1),
                "normal(0.02)" => Initializers.Normal(0.02),
                _ => throw new InvalidOperationException($"no initializer {text}"),
            },
            ParameterKind.Extent => (Extent)int.Parse(text, System.Globalization.CultureInfo.InvariantCulture),
            ParameterKind.Padding => text == "same" ? Padding.Same : Padding.Valid,
            ParameterKind.Recipe => null,

            // The name of another parameter is left to the row.
            ParameterKind.Int => int.TryParse(text, System.Globalization.CultureInfo.InvariantCulture, out var number) ? number : null,
            ParameterKind.Float or ParameterKind.Steps => Invariant(text),
            ParameterKind.Schedule => new ConstantSchedule(Invariant(text)),
            ParameterKind.Bool => text == "true",
            ParameterKind.Pair => (Invariant(text[1..text.IndexOf(',')]), Invariant(text[(text.IndexOf(',') + 1)..^1])),
            ParameterKind.Word or ParameterKind.String => text,
            _ => throw new InvalidOperationException($"no default {text} of kind {parameter.Kind}"),
        };

        static double Invariant(string number) => double.Parse(number, System.Globalization.CultureInfo.InvariantCulture);
    }
}
