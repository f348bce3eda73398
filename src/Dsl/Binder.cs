using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>
/// Resolves every name of a file, in layers that nobody uses too, and checks what needs no values: argument names and counts,
/// which statement stands where, kinds of names, names given twice.
/// </summary>
internal sealed partial class Binder
{
    private readonly List<Diagnostic> diagnostics = [];
    private readonly Module module;
    private readonly Dictionary<string, Symbol> file;
    private readonly HashSet<string> perhapsDeclared;
    private readonly HashSet<string> unknown = [];
    private readonly Binding binding;
    private Scope? scope;
    private bool inTraining;

    private Binder(Binding binding, Module module, HashSet<string> perhapsDeclared)
    {
        this.binding = binding;
        this.module = module;
        this.perhapsDeclared = perhapsDeclared;
        file = module.Names;
    }

    /// <summary>The names of one block, in the blocks around it; a later declaration shadows.</summary>
    private sealed class Scope(Scope? parent)
    {
        public Scope? Parent { get; } = parent;

        public Dictionary<string, Symbol> Names { get; } = new(StringComparer.Ordinal);

        public Symbol? Find(string name)
        {
            for (var scope = this; scope is not null; scope = scope.Parent)
            {
                if (scope.Names.TryGetValue(name, out var symbol))
                    return symbol;
            }

            return null;
        }
    }

    private enum Body
    {
        Layer,
        Model,
        Test,
        Lambda,
        Gradient,
    }

    /// <summary>Binds a file and all that it imports.</summary>
    public static (Binding Binding, ImmutableArray<Diagnostic> Diagnostics) Bind(ImmutableArray<Module> modules)
    {
        var binding = new Binding { Modules = modules };
        var diagnostics = ImmutableArray.CreateBuilder<Diagnostic>();
        foreach (var module in modules)
        {
            var broken = BrokenParts.Of(module.Tree);
            var binder = new Binder(binding, module, broken.Names);
            binder.missing.AddRange(broken.Declared);
            binder.File(module.Tree.Root);
            diagnostics.AddRange(binder.Unexpected().Where(d => !broken.Hides(d)));
        }

        return (binding, diagnostics.ToImmutable());
    }

    /// <summary>Binds an expression that does not stand in the file, such as the value of <c>--set</c>, with the names of the top level.</summary>
    /// <exception cref="DiagnosticException">A name is not known.</exception>
    public static void Bind(Binding binding, ExprSyntax expression)
    {
        var binder = new Binder(binding, binding.Root, []);
        binder.Expression(expression);
        new Namer(binding, binder.Report).Recipe(expression);
        if (binder.diagnostics.Count > 0)
            throw new DiagnosticException(binder.diagnostics[0]);
    }

    /// <summary>A name that stands for the cursor of an editor: what is known there is remembered.</summary>
    public const string Probe = "__cursor__";

    private void See()
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        binding.Visible = [];
        for (var from = scope; from is not null; from = from.Parent)
            binding.Visible.AddRange(from.Names.Values.Reverse().Where(s => seen.Add(s.Name)));
        binding.Visible.AddRange(file.Where(n => seen.Add(n.Key)).Select(n => n.Value));
    }

    private void Report(Diagnostic diagnostic) => diagnostics.Add(diagnostic);

    // ---- Declarations ------------------------------------------------------------------------------------------------

    private void File(UnitSyntax unit)
    {
        foreach (var declaration in unit.Declarations)
            Declare(declaration);
        foreach (var name in missing)
            file.TryAdd(name.Text, new Symbol(name.Text, SymbolKind.Let, name.Span) { Nature = Nature.Unknown });
        foreach (var declaration in unit.Declarations)
        {
            unknown.Clear();
            scope = null;
            inTraining = false;
            switch (declaration)
            {
                case LetSyntax let:
                    Expression(let.Value);
                    if (let.Type is not null)
                        Type(let.Type, null);
                    foreach (var name in Names(let.Pattern))
                        binding.Declared[name].Nature = NatureOf(let.Value);
                    break;
                case HyperSyntax hyper:
                    Hyper(hyper);
                    break;
                case LayerSyntax layer:
                    Layer(layer);
                    break;
                case ModelSyntax model:
                    Model(model);
                    break;
                case DataSyntax data:
                    Data(data);
                    break;
                case TrainSyntax train:
                    Train(train);
                    break;
                case TestSyntax test:
                    scope = new Scope(null);
                    inTraining = false;
                    Statements(test.Body, Body.Test);
                    break;
            }
        }

        foreach (var declaration in unit.Declarations)
            new Namer(binding, Report).Declaration(declaration);
    }

    private void Declare(StatementSyntax declaration)
    {
        switch (declaration)
        {
            case ImportSyntax import:
                Import(import);
                break;
            case LetSyntax let:
                foreach (var name in Names(let.Pattern))
                    AddToFile(name, name.Name, SymbolKind.FileLet, let);
                break;
            case HyperSyntax hyper:
                AddToFile(hyper, hyper.Name, IsLayerType(hyper.Type) ? SymbolKind.Recipe : SymbolKind.Hyper, hyper);
                binding.Hypers.Add(hyper, SettingName(hyper));
                break;
            case LayerSyntax layer:
                AddToFile(layer, layer.Name, SymbolKind.Layer, layer);
                break;
            case ModelSyntax model:
                AddToFile(model, model.Name, SymbolKind.Model, model);
                if (IsRoot)
                    binding.Models.Add(model);
                break;
            case DataSyntax data:
                AddToFile(data, data.Name, SymbolKind.Data, data);
                if (IsRoot)
                    binding.Data.Add(data);
                break;
            case TrainSyntax train when IsRoot:
                var key = train.Name?.Text ?? "";
                if (binding.Trains.FirstOrDefault(t => (t.Name?.Text ?? "") == key) is { } other)
                {
                    Report(DiagnosticCodes.DuplicateName.At(train.Name?.Span ?? train.Model.Span, key.Length == 0 ? "two `train` blocks have no name; write `train name = …`" : $"two `train` blocks are named `{key}`")
                        .With(other.Name?.Span ?? other.Model.Span, "the other one"));
                }

                binding.Trains.Add(train);
                break;
            case TestSyntax test when IsRoot:
                binding.Tests.Add(test);
                break;
        }
    }

    /// <summary>Whether this is the file that was asked for: models, data, training and tests of others take part by import only.</summary>
    private bool IsRoot => module == binding.Root;

    private void AddToFile(SyntaxNode node, Identifier name, SymbolKind kind, SyntaxNode declaration)
    {
        var symbol = new Symbol(name.Text, kind, name.Span, declaration) { Nature = kind is SymbolKind.Layer or SymbolKind.Recipe ? Nature.Layer : Nature.Unknown };
        binding.Declared[node] = symbol;
        module.Exports.TryAdd(name.Text, symbol);
        if (!file.TryAdd(name.Text, symbol))
            Twice(name, file[name.Text]);
    }

    private void Twice(Identifier name, Symbol other) =>
        Report(DiagnosticCodes.DuplicateName.At(name.Span, $"`{name.Text}` is declared already").With(other.Span, $"{other.Describe()} is declared here"));

    private void Hyper(HyperSyntax hyper)
    {
        Type(hyper.Type, null);
        Expression(hyper.Value);
        if (hyper.Range is { } range)
        {
            Expression(range.Start);
            Expression(range.End);
        }
    }

    /// <summary>The hyperparameters of a layer or model; each sees those before it.</summary>
    private void Hypers(ParameterListSyntax? list)
    {
        foreach (var parameter in list?.Parameters ?? [])
        {
            if (parameter.Type is null or TensorTypeSyntax)
                Report(DiagnosticCodes.TypeMismatch.At(parameter.Type?.Span ?? parameter.Name.Span, $"the hyperparameter `{parameter.Name.Text}` needs a static type: int, float, bool, string, init, schedule, layer, or a list or tuple of those"));
            if (parameter.Default is not null)
                Expression(parameter.Default);
            var isLayer = parameter.Type is not null && IsLayerType(parameter.Type);
            DeclareOnce(parameter, parameter.Name, isLayer ? SymbolKind.Recipe : SymbolKind.Hyper, parameter).Nature = isLayer ? Nature.Layer : Nature.Other;
        }
    }

    private static bool IsLayerType(TypeSyntax type) => type is NamedTypeSyntax { Name.Text: "layer" };

    private void Layer(LayerSyntax layer)
    {
        scope = new Scope(null);
        inTraining = true;
        Hypers(layer.Hypers);
        var own = scope;
        scope = new Scope(own);
        foreach (var tensor in layer.Tensors.Parameters)
        {
            if (tensor.Default is not null)
                Expression(tensor.Default);
            if (tensor.Type is NamedTypeSyntax or ListTypeSyntax)
                Report(DiagnosticCodes.TypeMismatch.At(tensor.Type.Span, $"`{tensor.Name.Text}` stands in the list of tensors and needs a tensor type such as [B, D]")
                    .WithNote("hyperparameters stand in a list of their own before it: layer name(hyper…)(tensors…)"));
            DeclareOnce(tensor, tensor.Name, SymbolKind.Tensor, tensor).Nature = Nature.Other;
        }

        // Only the layer's own hyperparameters constrain sizes; any other name binds.
        foreach (var tensor in layer.Tensors.Parameters)
        {
            if (tensor.Type is not null)
                Type(tensor.Type, own);
        }

        if (layer.Result is not null)
            Type(layer.Result, own);
        var sizes = scope.Names.Values.Where(s => s.Kind == SymbolKind.Dimension).ToArray();
        Statements(layer.Body, Body.Layer);
        if (layer.Gradient is { } gradient)
            Rule(layer, gradient, own, sizes);
    }

    /// <summary>A layer's own gradient sees its hyperparameters and sizes, the inputs, the result and its cotangent under names of its own.</summary>
    private void Rule(LayerSyntax layer, GradientSyntax gradient, Scope own, IEnumerable<Symbol> sizes)
    {
        var tensors = layer.Tensors.Parameters;
        if (gradient.Names.Length != tensors.Length + 2)
        {
            var names = string.Join(", ", tensors.Select(t => t.Name.Text).Concat(["y", "dy"]));
            Report(DiagnosticCodes.InvalidRule.At(gradient.Names.IsEmpty ? gradient.Span : gradient.Names[0].Span.To(gradient.Names[^1].Span), $"a gradient takes the {(tensors.Length == 1 ? "input" : $"{tensors.Length} inputs")}, the result and its cotangent: gradient ({names}) {{ … }}"));
        }

        scope = new Scope(own);
        foreach (var size in sizes)
            scope.Names.TryAdd(size.Name, size);
        scope = new Scope(scope);
        var symbols = ImmutableArray.CreateBuilder<Symbol>();
        foreach (var name in gradient.Names)
        {
            var symbol = new Symbol(name.Text, SymbolKind.Tensor, name.Span) { Nature = Nature.Other };
            symbols.Add(symbol);
            if (name.Text != "_" && !scope.Names.TryAdd(name.Text, symbol))
                Twice(name, scope.Names[name.Text]);
        }

        binding.RuleNames[gradient] = symbols.ToImmutable();
        var before = inTraining;
        inTraining = false;
        Statements(gradient.Body, Body.Gradient);
        inTraining = before;
    }

    private void Model(ModelSyntax model)
    {
        scope = new Scope(null);
        inTraining = true;
        Hypers(model.Hypers);
        scope = new Scope(scope);
        Statements(model.Body, Body.Model);
    }

    private Symbol DeclareOnce(SyntaxNode node, Identifier name, SymbolKind kind, SyntaxNode declaration)
    {
        if (scope!.Names.TryGetValue(name.Text, out var other))
            Twice(name, other);
        return DeclareLocal(node, name, kind, declaration);
    }

    private Symbol DeclareLocal(SyntaxNode node, Identifier name, SymbolKind kind, SyntaxNode? declaration = null)
    {
        var symbol = new Symbol(name.Text, kind, name.Span, declaration);
        binding.Declared[node] = symbol;
        scope!.Names[name.Text] = symbol;
        return symbol;
    }

    private static IEnumerable<NamePatternSyntax> Names(PatternSyntax pattern)
    {
        var pending = new Stack<PatternSyntax>([pattern]);
        while (pending.TryPop(out var next))
        {
            if (next is NamePatternSyntax name)
                yield return name;
            foreach (var item in (next as TuplePatternSyntax)?.Items.Reverse() ?? [])
                pending.Push(item);
        }
    }

    private void Pattern(PatternSyntax pattern, SymbolKind kind, Nature nature)
    {
        var seen = new HashSet<string>();
        foreach (var name in Names(pattern))
        {
            if (!seen.Add(name.Name.Text))
                Report(DiagnosticCodes.DuplicateName.At(name.Span, $"`{name.Name.Text}` stands twice in one pattern"));
            DeclareLocal(name, name.Name, kind, pattern).Nature = pattern is NamePatternSyntax ? nature : Nature.Unknown;
        }
    }

    // ---- Statements --------------------------------------------------------------------------------------------------

    private void Statements(BlockSyntax block, Body body)
    {
        ReturnSyntax? returned = null;
        foreach (var statement in block.Statements)
        {
            if (returned is not null)
            {
                Report(DiagnosticCodes.AfterReturn.At(statement.Span, "nothing comes after `return`").With(returned.Span, "returned here"));
                break;
            }

            if (!Allows(body, statement))
            {
                Report(DiagnosticCodes.StatementNotHere.At(Keyword(statement), $"`{Keyword(statement).Text}` has no place in {Article(body)}").WithNote(Where(statement)));
                if (statement is ReturnSyntax)
                    continue;
            }

            Statement(statement);
            returned = statement as ReturnSyntax;
        }

        if (returned is null && body is Body.Layer or Body.Lambda or Body.Gradient && !block.Span.IsNone && perhapsDeclared.Count == 0)
            Report(DiagnosticCodes.MissingReturn.At(new TextSpan(block.Span.Source, block.Span.End - 1, 1), body == Body.Layer ? "this layer returns nothing; end it with `return expr`" : body == Body.Gradient ? "this gradient returns nothing; end it with `return expr`, one value for each input" : "this lambda returns nothing; end it with `return expr`"));
    }

    private static bool Allows(Body body, StatementSyntax statement) => statement switch
    {
        LetSyntax => true,
        RequireSyntax => true,
        ReturnSyntax => body is Body.Layer or Body.Lambda or Body.Gradient,
        AssertSyntax or AssertCallSyntax or AssertErrorSyntax => body == Body.Test,
        ParamSyntax or BufferSyntax or UpdateSyntax => body is Body.Layer or Body.Model,
        InputSyntax or TargetSyntax or OutputSyntax or LossSyntax or MetricSyntax => body == Body.Model,
        _ => false,
    };

    private static string Where(StatementSyntax statement) => statement switch
    {
        ReturnSyntax => "a model says what it gives by `output name = expr`",
        AssertSyntax or AssertCallSyntax or AssertErrorSyntax => "`assert` stands in a `test`; while a model is put together, `require` checks",
        ParamSyntax or BufferSyntax or UpdateSyntax => "parameters and buffers belong to a layer or model",
        _ => "it stands in a `model`",
    };

    private static string Article(Body body) => body switch
    {
        Body.Layer => "a layer",
        Body.Model => "a model",
        Body.Test => "a test",
        Body.Gradient => "a gradient",
        _ => "a lambda",
    };

    private static TextSpan Keyword(StatementSyntax statement)
    {
        var text = statement.Span.Source.Text;
        var end = statement.Span.Start;
        while (end < statement.Span.End && (char.IsAsciiLetter(text[end]) || text[end] == '_'))
            end++;
        return statement.Span.Source.Span(statement.Span.Start, end);
    }

    private void Statement(StatementSyntax statement)
    {
        switch (statement)
        {
            case LetSyntax let:
                Expression(let.Value);
                if (let.Type is not null)
                    Type(let.Type, scope);
                Pattern(let.Pattern, SymbolKind.Let, NatureOf(let.Value));
                break;
            case ParamSyntax param:
                Type(param.Type, scope);
                Expression(param.Value);
                ParamOptions(param);
                Unshadowed(param.Name);
                DeclareLocal(param, param.Name, SymbolKind.Parameter, param).Nature = Nature.Other;
                break;
            case BufferSyntax buffer:
                Type(buffer.Type, scope);
                Expression(buffer.Value);
                Unshadowed(buffer.Name);
                DeclareLocal(buffer, buffer.Name, SymbolKind.Buffer, buffer).Nature = Nature.Other;
                break;
            case UpdateSyntax update:
                Expression(update.Value);
                if (update.Name.Text == Probe)
                    See();
                var symbol = scope?.Find(update.Name.Text);
                if (symbol is { Kind: SymbolKind.Buffer })
                    binding.Declared[update] = symbol;
                else if (symbol is null)
                    Unknown(update.Name, scope);
                else
                    Report(DiagnosticCodes.NotABuffer.At(update.Name.Span, $"only a buffer can be updated, and {symbol.Describe()} is none").With(symbol.Span, "declared here"));
                break;
            case RequireSyntax require:
                Expression(require.Condition);
                Expression(require.Message);
                break;
            case AssertSyntax assert:
                Expression(assert.Condition);
                Expression(assert.Message);
                break;
            case AssertCallSyntax check:
                AssertCall(check);
                break;
            case AssertErrorSyntax error:
                AssertError(error);
                break;
            case ReturnSyntax @return:
                Expression(@return.Value);
                break;
            case InputSyntax input:
                Type(input.Type, scope);
                Fed(input, input.Name, input.Type, SymbolKind.Input);
                break;
            case TargetSyntax target:
                Type(target.Type, scope);
                Fed(target, target.Name, target.Type, SymbolKind.Target);
                break;
            case OutputSyntax output:
                Expression(output.Value);
                DeclareLocal(output, output.Name, SymbolKind.Output, output).Nature = Nature.Other;
                break;
            case LossSyntax loss:
                Expression(loss.Value);
                break;
            case MetricSyntax metric:
                Expression(metric.Value);
                break;
        }
    }

    /// <summary>Parameters and buffers have paths: one name stands for one of them in a body.</summary>
    private void Unshadowed(Identifier name)
    {
        if (scope!.Names.TryGetValue(name.Text, out var other) && other.Kind is SymbolKind.Parameter or SymbolKind.Buffer or SymbolKind.Input or SymbolKind.Target)
            Twice(name, other);
    }

    private void Fed(StatementSyntax statement, Identifier name, TypeSyntax type, SymbolKind kind)
    {
        if (type is not TensorTypeSyntax)
            Report(DiagnosticCodes.TypeMismatch.At(type.Span, $"`{name.Text}` is fed by data and needs a tensor type such as [B, 2] or int[B]"));
        Unshadowed(name);
        DeclareLocal(statement, name, kind, statement).Nature = Nature.Other;
    }

    private static readonly ImmutableArray<string> ParameterWords = ["frozen", "no_decay", "lr_scale"];

    private void ParamOptions(ParamSyntax param)
    {
        var seen = new HashSet<string>();
        foreach (var (name, value) in param.Options)
        {
            if (!ParameterWords.Contains(name.Text))
                Report(DiagnosticCodes.UnknownOption.At(name.Span, $"a parameter has no option `{name.Text}`").WithSuggestion(name.Text, name.Span, ParameterWords).WithNote("known: frozen, no_decay, lr_scale = factor"));
            else if (!seen.Add(name.Text))
                Report(DiagnosticCodes.DuplicateArgument.At(name.Span, $"`{name.Text}` is given twice"));
            else if ((name.Text == "lr_scale") != value is not null)
                Report(DiagnosticCodes.UnknownOption.At(name.Span, name.Text == "lr_scale" ? "`lr_scale` needs a value: lr_scale = 0.1" : $"`{name.Text}` takes no value"));
            if (value is not null)
                Expression(value);
        }
    }

    // ---- Types -------------------------------------------------------------------------------------------------------

    /// <summary>Names in sizes that nothing in <paramref name="known"/> declares become sizes of the present scope.</summary>
    private void Type(TypeSyntax type, Scope? known)
    {
        switch (type)
        {
            case TupleTypeSyntax tuple:
                foreach (var item in tuple.Items)
                    Type(item, known);
                break;
            case ListTypeSyntax list:
                Type(list.Element, known);
                break;
            case TensorTypeSyntax tensor when scope is null:
                Report(DiagnosticCodes.TypeMismatch.At(tensor.Span, "the top level has static values only: int, float, bool, string, init, layer, schedule, and lists or tuples of those"));
                break;
            case TensorTypeSyntax tensor:
                foreach (var dimension in tensor.Dimensions)
                    Dimension(dimension, known);
                if (tensor.Dimensions.Count(d => d is EllipsisSyntax) > 1)
                    Report(DiagnosticCodes.TypeMismatch.At(tensor.Span, "`...` stands at most once in a shape"));
                break;
        }
    }

    private void Dimension(ExprSyntax dimension, Scope? known)
    {
        switch (dimension.Bare)
        {
            case NameSyntax { Name.Text: Probe }:
                See();
                break;
            case NameSyntax name:
                // In a tensor list the sizes that were bound before it are known too.
                var symbol = known?.Find(name.Name.Text) ?? (scope!.Find(name.Name.Text) is { Kind: SymbolKind.Dimension } size ? size : null);
                symbol ??= ReferenceEquals(known, scope) ? file.GetValueOrDefault(name.Name.Text) is { Kind: SymbolKind.Hyper or SymbolKind.FileLet } constant ? constant : null : null;
                if (symbol is null)
                {
                    symbol = new Symbol(name.Name.Text, SymbolKind.Dimension, name.Span) { Nature = Nature.Other };
                    scope!.Names[name.Name.Text] = symbol;
                }
                else if (symbol.Kind is not (SymbolKind.Dimension or SymbolKind.Hyper or SymbolKind.FileLet or SymbolKind.Let or SymbolKind.Variable))
                {
                    Report(DiagnosticCodes.WrongKind.At(name.Span, $"{symbol.Describe()} is no size").With(symbol.Span, "declared here"));
                }

                binding.Uses[name] = symbol;
                break;
            case BinarySyntax binary:
                Dimension(binary.First, known);
                foreach (var rest in binary.Rest)
                    Dimension(rest.Operand, known);
                break;
            case UnarySyntax unary:
                Dimension(unary.Operand, known);
                break;
            case CallSyntax { Callee: NameSyntax { Name.Text: "floor_div" or "ceil_div" } callee } call when Resolve(callee) is null:
                var entry = binding.Entries[callee] = Catalog.Find(callee.Name.Text)!;
                ArgumentMatcher.Match($"`{entry.Name}`", entry.ToString(), [.. entry.Parameters.Select(p => new Slot(p.Name, p.IsRequired))], call.Arguments, 0, callee.Span, Report);
                foreach (var argument in call.Arguments)
                    Dimension(argument.Value, known);
                break;
            case EllipsisSyntax or NumberSyntax:
                break;
            default:
                Expression(dimension);
                break;
        }
    }

    // ---- Layers or not -----------------------------------------------------------------------------------------------

    private Nature NatureOf(ExprSyntax expression) => NatureOf(binding, expression);

    /// <summary>Whether an expression gives a layer, as far as names tell.</summary>
    internal static Nature NatureOf(Binding binding, ExprSyntax expression)
    {
        while (true)
        {
            switch (expression.Bare)
            {
                case NameSyntax name:
                    return binding.Uses.TryGetValue(name, out var symbol) ? symbol.Nature
                        : binding.Entries.TryGetValue(name, out var entry) ? entry.IsLayerByName || entry.IsConstructor ? Nature.Layer : Nature.Other
                        : Nature.Unknown;
                case CallSyntax call:
                    return NatureOfCall(binding, call.Callee.Bare);
                case PipeSyntax pipe:
                    expression = pipe.First;
                    if (NatureOf(binding, expression) == Nature.Layer)
                        return Nature.Layer;
                    return Nature.Unknown;
                case LambdaSyntax or ForSyntax:
                    return Nature.Layer;
                case IfSyntax @if:
                    expression = @if.Then;
                    continue;
                case NumberSyntax or StringSyntax or BoolSyntax or BinarySyntax or UnarySyntax or TupleSyntax or ListSyntax or ComprehensionSyntax:
                    return Nature.Other;
                default:
                    return Nature.Unknown;
            }
        }
    }

    private static Nature NatureOfCall(Binding binding, ExprSyntax callee)
    {
        if (callee is FieldSyntax { Name.Text: "with" })
            return Nature.Layer;
        if (callee is NameSyntax name && binding.Uses.TryGetValue(name, out var symbol))
            return symbol is { Kind: SymbolKind.Layer, Declaration: LayerSyntax { Hypers: not null } } ? Nature.Layer : Nature.Unknown;
        return binding.Entries.TryGetValue(callee, out var entry) ? entry.IsConstructor ? Nature.Layer : Nature.Other : Nature.Unknown;
    }
}
