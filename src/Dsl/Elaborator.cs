using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>An error of the file, on its way to who reports it; without a diagnostic, a consequence of one that was reported.</summary>
internal sealed class DiagnosticException(Diagnostic? diagnostic) : Exception(diagnostic?.Message)
{
    public Diagnostic? Diagnostic { get; set; } = diagnostic;

    public DiagnosticException Note(string text) => new(Diagnostic?.WithNote(text));

    public DiagnosticException And(TextSpan span, string text) => new(Diagnostic?.With(span, text));
}

/// <summary>
/// Evaluates declarations into a <see cref="Graph.Model"/>: static values are computed, tensors become nodes, layers become instances with paths.
/// One elaborator builds one model, test or description.
/// </summary>
internal sealed partial class Elaborator
{
    /// <summary>The most turns of loops and applications of layers in one model.</summary>
    private const long MaxWork = 4_000_000;

    /// <summary>What constructing or applying a layer of the file counts, against a turn of a loop.</summary>
    private const int WorkOfLayer = 10;

    /// <summary>The bodies of layers and lambdas that are being applied inside of each other at present.</summary>
    private int nesting;

    private readonly Binding binding;
    private readonly Overrides overrides;
    private Action<Diagnostic> report;
    private readonly ModelBuilder builder;
    private readonly Context fileContext;
    private readonly Dictionary<Symbol, Value?> fileValues = [];
    private readonly Dictionary<SyntaxNode, SourceLocation> locations = [];
    private readonly Dictionary<string, SourceText> sources = [];
    private readonly Dictionary<Expr, Label> declared = [];
    private readonly Dictionary<string, InstanceValue> instances = new(StringComparer.Ordinal);
    private readonly HashSet<string> evaluationOnly = [];
    private readonly Dictionary<string, string> settings = [];
    private long work;
    private bool hasFailed;

    public Elaborator(Binding binding, Overrides overrides, Action<Diagnostic> report, string name, bool decoding = false)
    {
        this.binding = binding;
        this.overrides = overrides;
        this.report = report;
        builder = new ModelBuilder(name) { Decoding = decoding };
        fileContext = new Context(new Env(null), new Frame(""), Place.Root, null);
    }

    /// <summary>The context in which nothing but the top level is known.</summary>
    public Context FileContext => fileContext;

    public ModelBuilder Builder => builder;

    /// <summary>The values of the hyperparameters of file and model that were evaluated, as text, by the names that <c>--set</c> knows.</summary>
    public IReadOnlyDictionary<string, string> Settings => settings;

    // ---- Models ------------------------------------------------------------------------------------------------------

    /// <summary>Builds a model; null if it has errors, which are reported.</summary>
    /// <param name="model">The declaration.</param>
    /// <param name="arguments">Those of the train block.</param>
    public Model? Model(ModelSyntax model, ImmutableArray<ArgumentSyntax> arguments)
    {
        var failed = false;
        using var entered = builder.Enter();
        var hypers = new Env(null);
        var context = new Context(hypers, new Frame(""), Place.Root, null);
        if (!Try(() => Hypers(model.Name.Text, model.Hypers, arguments, fileContext, context, model.Name.Span, overridable: true)))
            return null;
        context = context.With(new Env(hypers) { SizeNames = new SizeNames() });
        foreach (var statement in model.Body.Statements)
        {
            if (Try(() => Statement(statement, context)))
                continue;
            failed = true;
            foreach (var symbol in Introduced(statement))
                context.Env.Set(symbol, ErrorValue.Instance);
        }

        if (failed)
            return null;
        var result = default(Model);
        Try(() => result = Complete(model));
        return result;
    }

    private Model Complete(ModelSyntax model)
    {
        try
        {
            var result = builder.Complete();
            CheckTargets(model, result);
            CheckEvaluation(model, result);
            return result;
        }
        catch (GraphException e)
        {
            throw Error(DiagnosticCodes.InvalidGraph, model.Name.Span, e.Message);
        }
    }

    /// <summary>Targets are absent at inference.</summary>
    private void CheckTargets(ModelSyntax syntax, Model model)
    {
        var targets = model.Targets.Select(t => t.Value).ToHashSet();
        if (targets.Count == 0 || model.Outputs.IsEmpty)
            return;
        var values = Phases.Resolve([.. model.Outputs.Select(o => o.Value)], training: false);
        if (!Expr.PostOrder(values).Any(targets.Contains))
            return;
        for (var i = 0; i < values.Length; i++)
        {
            if (Expr.PostOrder([values[i]]).FirstOrDefault(targets.Contains) is not { } target)
                continue;
            var output = syntax.Body.Statements.OfType<OutputSyntax>().First(o => o.Name.Text == model.Outputs[i].Name);
            var name = model.Targets.First(t => t.Value == target).Name;
            throw new DiagnosticException(DiagnosticCodes.OutputNeedsTarget.At(output.Name.Span, $"the output `{output.Name.Text}` depends on the target `{name}`, which is absent at inference")
                .With(declared[target].Span, $"`{name}` is declared here").WithNote("make it a metric, or declare it as an input"));
        }
    }

    /// <summary>Evaluation may not create parameters that training lacks.</summary>
    private void CheckEvaluation(ModelSyntax syntax, Model model)
    {
        if (evaluationOnly.Count == 0)
            return;
        var roots = model.Losses.Concat(model.Outputs).Concat(model.Metrics).Select(n => n.Value).ToArray();
        var trained = Expr.PostOrder(Phases.Resolve(roots, training: true)).ToHashSet();
        foreach (var parameter in model.Parameters.Where(p => evaluationOnly.Contains(p.Path) && !trained.Contains(p.Variable)))
        {
            throw new DiagnosticException(DiagnosticCodes.EvaluationOnly.At(SpanOf(parameter.Location) ?? syntax.Name.Span, $"the parameter `{parameter.Path}` exists in evaluation only, so nothing ever trains it")
                .WithNote("construct the layer before the `if`, and apply it in both branches"));
        }
    }

    /// <summary>Runs something that may fail, and reports it if it does.</summary>
    public bool Try(Action action)
    {
        try
        {
            action();
            return true;
        }
        catch (DiagnosticException e)
        {
            // What was to be applied has no parameters now, which is no error of its own.
            hasFailed = true;
            if (e.Diagnostic is not null)
                report(e.Diagnostic);
            return false;
        }
    }

    // ---- Hyperparameters ---------------------------------------------------------------------------------------------

    /// <summary>Gives values to hyperparameters: an override, an argument, the default, each seeing those before it.</summary>
    private void Hypers(string what, ParameterListSyntax? list, ImmutableArray<ArgumentSyntax> arguments, Context caller, Context own, TextSpan site, bool overridable)
    {
        var parameters = list?.Parameters ?? [];
        Slot[] slots = [.. parameters.Select(p => new Slot(p.Name.Text, p.Default is null && !(overridable && overrides.Has(p.Name.Text))))];
        var places = ArgumentMatcher.Match($"`{what}`", list is null ? $"{what}()" : Binder.Signature(what, list), slots, arguments, 0, site, d => throw new DiagnosticException(d));
        for (var i = 0; i < parameters.Length; i++)
        {
            var parameter = parameters[i];
            var at = Array.IndexOf(places, i);
            var (syntax, context) = at >= 0 ? (arguments[at].Value, caller) : (parameter.Default, own);
            var overridden = overridable ? overrides.Take(parameter.Name.Text, parameter.Type) : null;
            if (overridden is not null)
                (syntax, context) = (overridden, fileContext);
            var symbol = binding.Declared[parameter];
            var value = symbol.Kind == SymbolKind.Recipe
                ? new RecipeValue(syntax!, context)
                : ConvertStatic(Eval(syntax!, context), parameter.Type!, syntax!, parameter.Name);
            own.Env.Set(symbol, value);
            if (overridable)
                settings[parameter.Name.Text] = SettingText(value, syntax!);
        }
    }

    /// <summary>A value as <c>--set</c> takes it; of what is no plain value, the source without line breaks.</summary>
    private static string SettingText(Value value, ExprSyntax syntax) => value switch
    {
        IntValue i => i.Number.ToString(System.Globalization.CultureInfo.InvariantCulture),
        FloatValue f => Printer.Number(f.Number),
        BoolValue { IsPhase: false } b => b.InTraining ? "true" : "false",
        StringValue s => s.Text,
        CountValue c => c.Describe(),
        ListValue l => $"[{string.Join(", ", l.Items.Select(i => SettingText(i, syntax)))}]",
        TupleValue t => $"({string.Join(", ", t.Items.Select(i => SettingText(i, syntax)))})",
        _ => string.Join(' ', syntax.Span.Text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)),
    };

    private Value FileValue(Symbol symbol)
    {
        if (fileValues.TryGetValue(symbol, out var known))
            return known ?? throw Error(DiagnosticCodes.Circular, symbol.Span, $"{symbol.Describe()} is defined by itself");
        fileValues[symbol] = null;
        try
        {
            return Define(symbol);
        }
        finally
        {
            // After an error, other uses keep silent.
            fileValues[symbol] ??= ErrorValue.Instance;
        }
    }

    private Value Define(Symbol symbol)
    {
        Value value;
        if (symbol.Declaration is HyperSyntax hyper)
        {
            var syntax = overrides.Take(binding.Hypers[hyper], hyper.Type) ?? hyper.Value;
            value = symbol.Kind == SymbolKind.Recipe ? new RecipeValue(syntax, fileContext) : ConvertStatic(Eval(syntax, fileContext), hyper.Type, syntax, hyper.Name);
            if (hyper.Range is { } range)
                CheckRange(hyper, value, syntax, range);
            settings[binding.Hypers[hyper]] = SettingText(value, syntax);
            return (fileValues[symbol] = value)!;
        }

        var let = (LetSyntax)symbol.Declaration!;
        value = Eval(let.Value, fileContext);
        if (let.Type is not null)
            value = ConvertStatic(value, let.Type, let.Value, null);
        Bind(let.Pattern, value, let.Value, (s, v) => fileValues[s] = v);
        return fileValues[symbol]!;
    }

    private void CheckRange(HyperSyntax hyper, Value value, ExprSyntax syntax, RangeSyntax range)
    {
        var (low, high) = (Number(range.Start, fileContext), Number(range.End, fileContext));
        if (NumberOf(value) is { } number && (number < low || number > high))
        {
            throw new DiagnosticException(DiagnosticCodes.OutOfRange.At(syntax.Span, $"`{hyper.Name.Text}` = {Printer.Number(number)} is out of its range {Printer.Number(low)}..{Printer.Number(high)}")
                .With(range.Span, "both ends are included"));
        }
    }

    /// <summary>Evaluates everything at the top level, so that what is wrong with it is reported whether it is used or not.</summary>
    public void TopLevel(UnitSyntax unit)
    {
        using var entered = builder.Enter();
        foreach (var declaration in unit.Declarations)
        {
            switch (declaration)
            {
                case HyperSyntax hyper:
                    Try(() => FileValue(binding.Declared[hyper]));
                    break;
                case LetSyntax let:
                    foreach (var name in NamesOf(let.Pattern))
                        Try(() => FileValue(binding.Declared[name]));
                    break;
            }
        }
    }

    // ---- Statements --------------------------------------------------------------------------------------------------

    private void Statement(StatementSyntax statement, Context c)
    {
        switch (statement)
        {
            case LetSyntax let:
                Let(let, c);
                break;
            case ParamSyntax param:
                Param(param, c);
                break;
            case BufferSyntax buffer:
                Buffer(buffer, c);
                break;
            case UpdateSyntax update:
                Update(update, c);
                break;
            case RequireSyntax require:
                Require(require, c);
                break;
            case InputSyntax input:
                c.Env.Set(binding.Declared[input], new TensorValue(Feed(input, input.Name, input.Type, c, isTarget: false)));
                break;
            case TargetSyntax target:
                c.Env.Set(binding.Declared[target], new TensorValue(Feed(target, target.Name, target.Type, c, isTarget: true)));
                break;
            case OutputSyntax output:
                var value = Tensor(Eval(output.Value, c), output.Value);
                Within(output, output.Value, () => builder.Output(output.Name.Text, value), value);
                c.Env.Set(binding.Declared[output], new TensorValue(value));
                break;
            case LossSyntax loss:
                var scalar = Tensor(Eval(loss.Value, c), loss.Value);
                Within(loss, loss.Value, () => builder.Loss(Scalar("loss", scalar, loss.Value), loss.Name?.Text), scalar);
                break;
            case MetricSyntax metric:
                var measured = Tensor(Eval(metric.Value, c), metric.Value);
                Within(metric, metric.Value, () => builder.Metric(metric.Name.Text, Scalar("metric", measured, metric.Value)), measured);
                break;
        }
    }

    private void Within(StatementSyntax statement, ExprSyntax value, Action action, Expr operand)
    {
        builder.Location = LocationOf(statement);
        try
        {
            action();
        }
        catch (GraphException e)
        {
            throw Explain(e, value, [(value, operand)]);
        }
    }

    private static Expr Scalar(string what, Expr value, ExprSyntax site) => value.Shape.IsScalar
        ? value.DType.IsFloat() ? value : value.Cast(DType.Float)
        : throw Error(DiagnosticCodes.NotScalar, site.Span, $"a {what} is one number, and this has the shape {value.Shape}").Note("take its mean or sum");

    /// <summary>The names that a statement gives a value.</summary>
    private IEnumerable<Symbol> Introduced(StatementSyntax statement)
    {
        if (statement is LetSyntax let)
            return NamesOf(let.Pattern).Select(n => binding.Declared[n]);
        return statement is not UpdateSyntax && binding.Declared.TryGetValue(statement, out var symbol) ? [symbol] : [];
    }

    private void Let(LetSyntax let, Context c)
    {
        var value = Eval(let.Value, c);
        if (let.Path is not null && value is not LayerValue)
            throw Error(DiagnosticCodes.TypeMismatch, let.Path.Span, $"a path names a layer that is constructed, and this is {value.Describe()}").And(let.Value.Span, "the value");
        if (let.Type is not null)
            value = Ascribe(value, let.Type, let.Value, c);
        Bind(let.Pattern, value, let.Value, (symbol, bound) =>
        {
            c.Env.Set(symbol, bound);
            if (bound is TensorValue { Expr.Args.IsEmpty: false } tensor)
                builder.Name(tensor.Expr, symbol.Name);
        });
    }

    private static IEnumerable<NamePatternSyntax> NamesOf(PatternSyntax pattern) => pattern switch
    {
        NamePatternSyntax name => [name],
        TuplePatternSyntax tuple => tuple.Items.SelectMany(NamesOf),
        _ => [],
    };

    private void Bind(PatternSyntax pattern, Value value, ExprSyntax site, Action<Symbol, Value> set)
    {
        switch (pattern)
        {
            case NamePatternSyntax name:
                var symbol = binding.Declared[name];
                binding.Observed?.TryAdd(symbol, value.Describe());
                set(symbol, symbol.IsDifferentiated ? Differentiable(symbol, value) : value);
                break;
            case TuplePatternSyntax tuple:
                ImmutableArray<Value> items = value switch
                {
                    TupleValue t => t.Items,
                    ListValue l => l.Items,
                    _ => throw Error(DiagnosticCodes.PatternMismatch, tuple.Span, $"this takes {tuple.Items.Length} values apart, and there is {value.Describe()}").And(site.Span, "the value"),
                };
                if (items.Length != tuple.Items.Length)
                    throw Error(DiagnosticCodes.PatternMismatch, tuple.Span, $"this takes {tuple.Items.Length} values apart, and there are {items.Length}").And(site.Span, "the value");
                for (var i = 0; i < items.Length; i++)
                    Bind(tuple.Items[i], items[i], site, set);
                break;
        }
    }

    /// <summary>A number that something is differentiated with respect to is a node of its own, apart from equal numbers elsewhere.</summary>
    private static Value Differentiable(Symbol symbol, Value value) =>
        value is IntValue or FloatValue || (value is ListValue list && NumbersOf(list) is not null)
            ? new TensorValue(Expr.Make(new Graph.Barrier(new Graph.Symbol(symbol.Name)), Constant(value, DType.Float)!))
            : value;

    private void Param(ParamSyntax param, Context c)
    {
        var type = (param.Type as TensorTypeSyntax) ?? throw Error(DiagnosticCodes.TypeMismatch, param.Type.Span, "a parameter is a tensor: param w: [3, 4] = …");
        if (ElementType(type) != DType.Float)
            throw Error(DiagnosticCodes.TypeMismatch, type.Span, "parameters are of the run's float type; write the sizes alone");
        var shape = DeclaredShape(type, c);
        var initializer = Initializer(Eval(param.Value, c), param.Value);
        var options = new ParameterOptions();
        foreach (var (word, factor) in param.Options)
        {
            options = word.Text switch
            {
                "frozen" => options with { Frozen = true },
                "no_decay" => options with { NoDecay = true },
                _ => options with { LearningRateScale = Number(factor!, c) },
            };
        }

        var path = param.Path?.Value ?? param.Name.Text;
        builder.Location = LocationOf(param);
        try
        {
            var variable = c.Layer?.Parameter(path, shape, initializer, options) ?? builder.Parameter(path, shape, initializer, options);
            declared.TryAdd(variable, new Label(param.Type.Span, $"`{param.Name.Text}` is declared {type.Span.Text}"));
            NameAxes(type, variable, c);
            c.Env.Set(binding.Declared[param], new TensorValue(variable));
        }
        catch (GraphException e)
        {
            throw Explain(e, param.Value, [], param.Type.Span);
        }
    }

    private void Buffer(BufferSyntax buffer, Context c)
    {
        var type = (buffer.Type as TensorTypeSyntax) ?? throw Error(DiagnosticCodes.TypeMismatch, buffer.Type.Span, "a buffer is a tensor: buffer m: [3] = zeros()");
        var value = new BufferValue(buffer.Path?.Value ?? buffer.Name.Text, DeclaredShape(type, c), ElementType(type), Initializer(Eval(buffer.Value, c), buffer.Value));
        builder.Location = LocationOf(buffer);
        try
        {
            var variable = Read(value, c);
            declared.TryAdd(variable, new Label(buffer.Type.Span, $"`{buffer.Name.Text}` is declared {type.Span.Text}"));
            NameAxes(type, variable, c);
        }
        catch (GraphException e)
        {
            throw Explain(e, buffer.Value, [], buffer.Type.Span);
        }

        c.Env.Set(binding.Declared[buffer], value);
    }

    private Expr Read(BufferValue buffer, Context c) => c.Layer is { } layer
        ? layer.Buffer(buffer.Name, buffer.Shape, buffer.Initializer, buffer.DType)
        : builder.Buffer(buffer.Name, buffer.Shape, buffer.Initializer, buffer.DType);

    private void Update(UpdateSyntax update, Context c)
    {
        var next = Tensor(Eval(update.Value, c), update.Value);
        var buffer = (c.Env.Find(binding.Declared[update]) as BufferValue) ?? throw new DiagnosticException(null);
        Within(update, update.Value, () =>
        {
            if (c.Layer is { } layer)
                layer.Update(buffer.Name, next);
            else
                builder.Update(buffer.Name, next);
        }, next);
    }

    private void Require(RequireSyntax require, Context c)
    {
        var condition = Eval(require.Condition, c);
        if (condition is not BoolValue { IsPhase: false } holds)
            throw NotStatic(condition, require.Condition, "`require` checks while the model is put together, and");
        if (holds.InTraining)
            return;
        var message = require.Message is null ? $"this does not hold: {require.Condition.Span.Text}" : Text(Eval(require.Message, c), require.Message);
        var diagnostic = DiagnosticCodes.RequireFailed.At(require.Condition.Span, message);
        if (require.Condition.Bare is BinarySyntax { Rest: [var rest] } comparison)
        {
            foreach (var side in new[] { comparison.First, rest.Operand }.Where(s => s.Bare is not NumberSyntax))
            {
                if (NumberOf(Eval(side, c)) is { } number)
                    diagnostic = diagnostic.WithNote($"{side.Span.Text} = {Printer.Number(number)}");
            }
        }

        throw new DiagnosticException(diagnostic);
    }

    private Expr Feed(StatementSyntax statement, Identifier name, TypeSyntax syntax, Context c, bool isTarget)
    {
        var type = (TensorTypeSyntax)syntax;
        if (type.Dimensions.FirstOrDefault(d => d is EllipsisSyntax) is { } dots)
            throw Error(DiagnosticCodes.TypeMismatch, dots.Span, "what data feed has a fixed number of axes; `...` is for layers");
        foreach (var dimension in type.Dimensions)
        {
            if (dimension.Bare is NameSyntax size && binding.Uses[size] is { Kind: SymbolKind.Dimension } symbol && c.Env.Find(symbol) is null)
                c.Env.Set(symbol, builder.Decoding ? new IntValue(1) : new DimValue(Dim.Named(symbol.Name)));
        }

        var shape = DeclaredShape(type, c);
        if (builder.Decoding)
            shape = new Shape([.. shape.Dims.Select(_ => Dim.One)]);
        builder.Location = LocationOf(statement);
        var variable = isTarget ? builder.Target(name.Text, ElementType(type), [.. shape.Dims]) : builder.Input(name.Text, ElementType(type), [.. shape.Dims]);
        declared[variable] = new Label(type.Span, $"`{name.Text}` is declared {type.Span.Text}");
        NameAxes(type, variable, c);
        return variable;
    }

    // ---- Places and errors -------------------------------------------------------------------------------------------

    private SourceLocation LocationOf(SyntaxNode node)
    {
        if (locations.TryGetValue(node, out var location))
            return location;
        return locations[node] = LocationOf(node.Span);
    }

    private SourceLocation LocationOf(TextSpan span)
    {
        sources.TryAdd(span.Source.Path, span.Source);
        var (line, column) = span.Source.Locate(span.Start);
        return new SourceLocation(span.Source.Path, span.Start, span.Length, line, column);
    }

    private TextSpan? SpanOf(SourceLocation? location) =>
        location is not null && sources.TryGetValue(location.File, out var source) ? new TextSpan(source, location.Start, location.Length) : null;

    /// <summary>One turn of a loop or application of a layer.</summary>
    private void Spend(long amount, TextSpan site)
    {
        if (amount > MaxWork - work)
            throw Error(DiagnosticCodes.TooLarge, site, $"this makes more than {MaxWork:N0} turns of loops and applications of layers".Replace(',', ' '));
        work += amount;
    }

    private static void EnsureStack(TextSpan site)
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw Endless(site);
    }

    private static DiagnosticException Endless(TextSpan site) =>
        Error(DiagnosticCodes.EndlessApplication, site, "layers are applied inside of each other too deeply here; does one apply itself?");

    internal static DiagnosticException Error(DiagnosticDescriptor code, TextSpan span, string message) => new(code.At(span, message));

    private static DiagnosticException NotStatic(Value value, ExprSyntax site, string why)
    {
        if (value is ErrorValue)
            return new DiagnosticException(null);
        var problem = Error(DiagnosticCodes.NotStatic, site.Span, $"{why} this is {value.Describe()}");
        return value is TensorValue ? problem.Note("`where(c, a, b)` chooses by element, while the model runs") : problem;
    }
}
