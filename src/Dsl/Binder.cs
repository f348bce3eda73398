using System.Collections.Frozen;
using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>
/// Resolves every name of a file, in layers that nobody uses too, and checks what needs no values: argument names and counts,
/// which statement stands where, kinds of names, names given twice.
/// </summary>
internal sealed class Binder
{
    private readonly List<Diagnostic> diagnostics = [];
    private readonly Dictionary<string, Symbol> file;
    private readonly FrozenSet<string> perhapsDeclared;
    private readonly HashSet<string> unknown = [];
    private readonly Binding binding;
    private Scope? scope;
    private bool inTraining;

    private Binder(Binding binding, FrozenSet<string> perhapsDeclared)
    {
        this.binding = binding;
        this.perhapsDeclared = perhapsDeclared;
        file = binding.File;
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
    }

    /// <summary>Binds a file.</summary>
    public static (Binding Binding, ImmutableArray<Diagnostic> Diagnostics) Bind(SyntaxTree tree)
    {
        // A name on a line that did not parse may have been declared there: its uses are no errors of their own.
        var lines = tree.Diagnostics.Where(d => d.IsError && !d.Span.IsNone).Select(d => tree.Source.LineAt(d.Span.Start)).ToHashSet();
        var perhaps = lines.Count == 0
            ? FrozenSet<string>.Empty
            : tree.Tokens.Where(t => t.Kind == TokenKind.Name && lines.Contains(tree.Source.LineAt(t.Start)))
                .Select(t => tree.Source.Text.Substring(t.Start, t.Length)).ToFrozenSet();
        var binder = new Binder(new Binding(), perhaps);
        binder.File(tree.Root);
        return (binder.binding, [.. binder.diagnostics.OrderBy(d => d.Span.Start)]);
    }

    /// <summary>Binds an expression that does not stand in the file, such as the value of <c>--set</c>, with the names of the top level.</summary>
    /// <exception cref="DiagnosticException">A name is not known.</exception>
    public static void Bind(Binding binding, ExprSyntax expression)
    {
        var binder = new Binder(binding, FrozenSet<string>.Empty);
        binder.Expression(expression);
        new Namer(binding, binder.Report).Recipe(expression);
        if (binder.diagnostics.Count > 0)
            throw new DiagnosticException(binder.diagnostics[0]);
    }

    private void Report(Diagnostic diagnostic) => diagnostics.Add(diagnostic);

    // ---- Declarations ------------------------------------------------------------------------------------------------

    private void File(UnitSyntax unit)
    {
        foreach (var declaration in unit.Declarations)
            Declare(declaration);
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
                Report(DiagnosticCodes.NotYet.At(import.Span, "`import` is part of the language, but this version does not have it yet"));
                foreach (var name in import.Names)
                    file.TryAdd(name.Local.Text, new Symbol(name.Local.Text, SymbolKind.Let, name.Local.Span) { Nature = Nature.Unknown });
                break;
            case LetSyntax let:
                foreach (var name in Names(let.Pattern))
                    AddToFile(name, name.Name, SymbolKind.FileLet, let);
                break;
            case HyperSyntax hyper:
                AddToFile(hyper, hyper.Name, IsLayerType(hyper.Type) ? SymbolKind.Recipe : SymbolKind.Hyper, hyper);
                binding.Hypers.Add(hyper);
                break;
            case LayerSyntax layer:
                AddToFile(layer, layer.Name, SymbolKind.Layer, layer);
                break;
            case ModelSyntax model:
                AddToFile(model, model.Name, SymbolKind.Model, model);
                binding.Models.Add(model);
                break;
            case DataSyntax data:
                AddToFile(data, data.Name, SymbolKind.Data, data);
                binding.Data.Add(data);
                break;
            case TrainSyntax train:
                var key = train.Name?.Text ?? "";
                if (binding.Trains.FirstOrDefault(t => (t.Name?.Text ?? "") == key) is { } other)
                {
                    Report(DiagnosticCodes.DuplicateName.At(train.Name?.Span ?? train.Model.Span, key.Length == 0 ? "two `train` blocks have no name; write `train name = …`" : $"two `train` blocks are named `{key}`")
                        .With(other.Name?.Span ?? other.Model.Span, "the other one"));
                }

                binding.Trains.Add(train);
                break;
            case TestSyntax test:
                binding.Tests.Add(test);
                break;
        }
    }

    private void AddToFile(SyntaxNode node, Identifier name, SymbolKind kind, SyntaxNode declaration)
    {
        var symbol = new Symbol(name.Text, kind, name.Span, declaration) { Nature = kind is SymbolKind.Layer or SymbolKind.Recipe ? Nature.Layer : Nature.Unknown };
        binding.Declared[node] = symbol;
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
        if (layer.Gradient is { } gradient)
            Report(DiagnosticCodes.NotYet.At(gradient.Names.IsEmpty ? gradient.Span : gradient.Names[0].Span, "a layer's own `gradient` is part of the language, but this version does not have it yet"));
        Statements(layer.Body, Body.Layer);
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

        if (returned is null && body is Body.Layer or Body.Lambda && !block.Span.IsNone && perhapsDeclared.Count == 0)
            Report(DiagnosticCodes.MissingReturn.At(new TextSpan(block.Span.Source, block.Span.End - 1, 1), body == Body.Layer ? "this layer returns nothing; end it with `return expr`" : "this lambda returns nothing; end it with `return expr`"));
    }

    private static bool Allows(Body body, StatementSyntax statement) => statement switch
    {
        LetSyntax => true,
        RequireSyntax => true,
        ReturnSyntax => body is Body.Layer or Body.Lambda,
        AssertSyntax => body == Body.Test,
        ParamSyntax or BufferSyntax or UpdateSyntax => body is Body.Layer or Body.Model,
        InputSyntax or TargetSyntax or OutputSyntax or LossSyntax or MetricSyntax => body == Body.Model,
        _ => false,
    };

    private static string Where(StatementSyntax statement) => statement switch
    {
        ReturnSyntax => "a model says what it gives by `output name = expr`",
        AssertSyntax => "`assert` stands in a `test`; while a model is put together, `require` checks",
        ParamSyntax or BufferSyntax or UpdateSyntax => "parameters and buffers belong to a layer or model",
        _ => "it stands in a `model`",
    };

    private static string Article(Body body) => body switch
    {
        Body.Layer => "a layer",
        Body.Model => "a model",
        Body.Test => "a test",
        _ => "a lambda",
    };

    private static TextSpan Keyword(StatementSyntax statement)
    {
        var text = statement.Span.Source.Text;
        var end = statement.Span.Start;
        while (end < statement.Span.End && char.IsAsciiLetter(text[end]))
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
            case CallSyntax { Callee: NameSyntax callee } call:
                Name(callee);
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

    // ---- Expressions -------------------------------------------------------------------------------------------------

    private void Expression(ExprSyntax? expression)
    {
        switch (expression?.Bare)
        {
            case NameSyntax name:
                Name(name);
                break;
            case TupleSyntax tuple:
                foreach (var item in tuple.Items)
                    Expression(item);
                break;
            case ListSyntax list:
                foreach (var item in list.Items)
                    Expression(item);
                break;
            case ComprehensionSyntax comprehension:
                Source(comprehension.Source);
                Nested(() =>
                {
                    Pattern(comprehension.Pattern, SymbolKind.Variable, Nature.Unknown);
                    Expression(comprehension.Element);
                });
                break;
            case UnarySyntax unary:
                Expression(unary.Operand);
                Operand(unary.Operand, unary.Operator.Text());
                break;
            case BinarySyntax binary:
                Expression(binary.First);
                Operand(binary.First, binary.Rest[0].Operator.Text());
                foreach (var rest in binary.Rest)
                {
                    Expression(rest.Operand);
                    Operand(rest.Operand, rest.Operator.Text());
                }

                break;
            case PipeSyntax pipe:
                Expression(pipe.First);
                var piped = pipe.First.Bare is TupleSyntax several ? several.Items.Length : 1;
                foreach (var stage in pipe.Stages)
                {
                    Stage(stage, piped);
                    piped = 1;
                }

                break;
            case IfSyntax @if:
                Expression(@if.Condition);
                Expression(@if.Then);
                Expression(@if.Else);
                break;
            case LambdaSyntax lambda:
                Nested(() =>
                {
                    Pattern(lambda.Pattern, SymbolKind.Variable, Nature.Unknown);
                    Expression(lambda.Value);
                    if (lambda.Block is not null)
                        Statements(lambda.Block, Body.Lambda);
                });
                break;
            case ForSyntax @for:
                Source(@for.Source);
                Nested(() =>
                {
                    Pattern(@for.Pattern, SymbolKind.Variable, Nature.Unknown);
                    foreach (var let in @for.Lets)
                        Statement(let);
                    Expression(@for.Body);
                });
                break;
            case CallSyntax call:
                Call(call, null);
                break;
            case IndexSyntax index:
                Expression(index.Target);
                foreach (var item in index.Indices)
                    Index(item);
                break;
            case FieldSyntax field:
                Field(field);
                break;
        }
    }

    private void Nested(Action bind)
    {
        var outer = scope;
        scope = new Scope(outer);
        bind();
        scope = outer;
    }

    private void Source(ExprSyntax source)
    {
        if (source is RangeSyntax range)
        {
            Expression(range.Start);
            Expression(range.End);
        }
        else
        {
            Expression(source);
        }
    }

    private void Index(ExprSyntax index)
    {
        switch (index)
        {
            case SliceSyntax slice:
                Expression(slice.Start);
                Expression(slice.Stop);
                Expression(slice.Step);
                break;
            case EllipsisSyntax:
                break;
            case NameSyntax { Name.Text: "None" } name when scope?.Find("None") is null:
                binding.Words[name] = "None";
                break;
            default:
                Expression(index);
                break;
        }
    }

    /// <summary>An operator is for numbers and tensors: what was meant for a layer is its application.</summary>
    private void Operand(ExprSyntax operand, string @operator)
    {
        if (NatureOf(operand) == Nature.Layer)
            Report(LayerArithmetic(operand, @operator));
    }

    internal static Diagnostic LayerArithmetic(ExprSyntax operand, string @operator) =>
        DiagnosticCodes.LayerArithmetic.At(operand.Span, $"`{@operator}` is for tensors and numbers, and this is a layer, not applied to anything")
            .WithNote($"`|>` binds more loosely than `{@operator}`: put parentheses around the application, as in (x |> {Short(operand)}) {@operator} y");

    private static string Short(ExprSyntax e) => e.Span.Text is { Length: <= 30 } text ? text : "f";

    private void Name(NameSyntax name)
    {
        if (name.Name.Text == "_")
        {
            Report(DiagnosticCodes.UnknownName.At(name.Span, "`_` takes a value that is not used; it has none itself"));
            return;
        }

        if (Resolve(name) is { } symbol)
        {
            binding.Uses[name] = symbol;
            if (symbol.Kind is SymbolKind.Model or SymbolKind.Data)
                Report(DiagnosticCodes.WrongKind.At(name.Span, $"{symbol.Describe()} is no value").With(symbol.Span, "declared here"));
            if (symbol is { Kind: SymbolKind.Layer, Declaration: LayerSyntax { Hypers: not null } layer })
                Report(NeedsParentheses(name, $"`{symbol.Name}` has hyperparameters, so an instance is made by a call", Required(layer.Hypers)));
        }
        else if (Catalog.Find(name.Name.Text) is { } entry && !entry.Name.Contains('.'))
        {
            binding.Entries[name] = entry;
            if (entry.IsConstructor)
            {
                var required = string.Join(", ", entry.Parameters.Where(p => p.IsRequired).Select(p => p.Name));
                Report(NeedsParentheses(name, $"an instance of `{entry.Name}` is made by a call", required));
            }
            else if (entry.Kind is not CatalogKind.Constant && !entry.IsLayerByName)
            {
                Report(DiagnosticCodes.LayerNeedsParentheses.At(name.Span, $"`{entry.Name}` needs its arguments: {entry}"));
            }
        }
        else if (name.Name.Text == "training" && inTraining)
        {
            binding.Words[name] = "training";
        }
        else
        {
            Unknown(name.Name, scope);
        }
    }

    private static Diagnostic NeedsParentheses(NameSyntax name, string why, string required)
    {
        var diagnostic = DiagnosticCodes.LayerNeedsParentheses.At(name.Span, $"{why}: `{name.Name.Text}({required})`");
        return required.Length > 0 ? diagnostic : diagnostic.WithFix("add `()`", name.Span.AtEnd, "()");
    }

    private static string Required(ParameterListSyntax hypers) => string.Join(", ", hypers.Parameters.Where(p => p.Default is null).Select(p => p.Name.Text));

    private Symbol? Resolve(NameSyntax name) => scope?.Find(name.Name.Text) ?? file.GetValueOrDefault(name.Name.Text);

    private void Unknown(Identifier name, Scope? from)
    {
        if (perhapsDeclared.Contains(name.Text) || !unknown.Add(name.Text))
            return;
        if (Catalog.Planned.Contains(name.Text))
        {
            Report(NotYet(name.Text, name.Span));
            return;
        }

        var diagnostic = DiagnosticCodes.UnknownName.At(name.Span, $"there is no `{name.Text}` here");
        if (name.Text is "training")
            diagnostic = diagnostic.WithNote("`training` is known inside of layers and models");
        else if (name.Text is "None" or "none" or "null")
            diagnostic = diagnostic.WithNote("`none` is a word of some arguments, and `None` makes an axis in an index: x[:, None]");
        else if (name.Text is "random" or "prim")
            diagnostic = diagnostic.WithNote($"`{name.Text}` is a family of functions: {(name.Text == "random" ? "random.normal(shape)" : "prim.add(x, y)")}");
        Report(diagnostic.WithSuggestion(name.Text, name.Span, Known(from)));
    }

    internal static Diagnostic NotYet(string name, TextSpan span)
    {
        var diagnostic = DiagnosticCodes.NotYet.At(span, $"`{name}` is part of the language, but this version does not have it yet");
        return Catalog.Find(name.TrimEnd('1', '2', '3', 'd')) is { } near && near.Name != name ? diagnostic.WithNote($"it has `{near.Name}`") : diagnostic;
    }

    private IEnumerable<string> Known(Scope? from)
    {
        for (; from is not null; from = from.Parent)
        {
            foreach (var name in from.Names.Keys)
                yield return name;
        }

        foreach (var symbol in file.Values.Where(s => s.Kind is not (SymbolKind.Model or SymbolKind.Data)))
            yield return symbol.Name;
        foreach (var entry in Catalog.All.Where(e => e.Kind is not (CatalogKind.Optimizer or CatalogKind.Source) && !e.Name.Contains('.')))
            yield return entry.Name;
    }

    private void Field(FieldSyntax field)
    {
        if (field.Target.Bare is NameSyntax { Name.Text: "random" or "prim" } family && Resolve(family) is null)
        {
            var name = $"{family.Name.Text}.{field.Name.Text}";
            if (family.Name.Text == "prim" && Graph.Primitives.TryFind(field.Name.Text, out var primitive))
                binding.Primitives[field] = primitive;
            else if (Catalog.Find(name) is { } entry)
                binding.Entries[field] = entry;
            else if (Catalog.Planned.Contains(name))
                Report(NotYet(name, field.Span));
            else
                Report(DiagnosticCodes.UnknownName.At(field.Name.Span, $"there is no `{name}`").WithSuggestion(field.Name.Text, field.Name.Span, Family(family.Name.Text)));
            return;
        }

        Expression(field.Target);
    }

    private static IEnumerable<string> Family(string family) => family == "prim"
        ? Graph.Primitives.All.Select(p => p.Name)
        : Catalog.All.Where(e => e.Name.StartsWith(family + ".", StringComparison.Ordinal)).Select(e => e.Name[(family.Length + 1)..]);

    // ---- Calls -------------------------------------------------------------------------------------------------------

    private void Stage(ExprSyntax stage, int piped)
    {
        if (stage.Bare is CallSyntax call)
            Call(call, piped);
        else
            Expression(stage);
    }

    /// <param name="piped">The number of values that a pipe puts before the arguments; null outside of pipes.</param>
    private void Call(CallSyntax call, int? piped)
    {
        switch (call.Callee.Bare)
        {
            case NameSyntax name when Resolve(name) is { } symbol:
                binding.Uses[name] = symbol;
                CallOf(call, name, symbol, piped);
                return;
            case NameSyntax { Name.Text: "then" } then when piped is not null:
                Report(DiagnosticCodes.NotYet.At(then.Span, "`then` of schedules is part of the language, but this version does not have it yet"));
                Values(call);
                return;
            case NameSyntax name when Catalog.Find(name.Name.Text) is { } entry && !entry.Name.Contains('.'):
                binding.Entries[name] = entry;
                CallOf(call, entry, piped);
                return;
            case NameSyntax name:
                Name(name);
                Values(call);
                return;
            case FieldSyntax { Target: NameSyntax { Name.Text: "random" or "prim" } family } field when Resolve(family) is null:
                Field(field);
                if (binding.Entries.TryGetValue(field, out var drawn))
                    CallOf(call, drawn, piped);
                else if (binding.Primitives.TryGetValue(field, out var primitive))
                    CallOf(call, primitive, piped);
                else
                    Values(call);
                return;
            case FieldSyntax { Name.Text: "with" or "attend" } field:
                Report(NotYet($".{field.Name.Text}", field.Name.Span));
                Expression(field.Target);
                Values(call);
                return;
            default:
                Expression(call.Callee);
                Values(call);
                return;
        }
    }

    private void Values(CallSyntax call)
    {
        foreach (var argument in call.Arguments)
            Expression(argument.Value);
    }

    private void CallOf(CallSyntax call, NameSyntax name, Symbol symbol, int? piped)
    {
        switch (symbol.Kind)
        {
            case SymbolKind.Layer:
                var layer = (LayerSyntax)symbol.Declaration!;
                var list = layer.Hypers ?? layer.Tensors;
                var makes = layer.Hypers is not null;
                Slot[] slots = [.. list.Parameters.Select(p => new Slot(p.Name.Text, p.Default is null))];
                ArgumentMatcher.Match($"`{symbol.Name}`", Signature(symbol.Name, list), slots, call.Arguments, makes ? 0 : piped ?? 0, piped is null || makes ? name.Span : null, Report, symbol.Span);
                break;
            case SymbolKind.Model or SymbolKind.Data:
                Report(DiagnosticCodes.WrongKind.At(name.Span, $"{symbol.Describe()} is not called like a function").With(symbol.Span, "declared here"));
                break;
            case SymbolKind.Hyper or SymbolKind.Dimension or SymbolKind.Tensor or SymbolKind.Input or SymbolKind.Target or SymbolKind.Output or SymbolKind.Parameter or SymbolKind.Buffer:
                Report(DiagnosticCodes.NotCallable.At(name.Span, $"{symbol.Describe()} is no layer and no function").With(symbol.Span, "declared here"));
                break;
        }

        Values(call);
    }

    internal static string Signature(string name, ParameterListSyntax list) => $"{name}({string.Join(", ", list.Parameters.Select(p => p.Span.Text))})";

    private void CallOf(CallSyntax call, CatalogEntry entry, int? piped)
    {
        if (entry.Kind == CatalogKind.Constant)
        {
            Report(DiagnosticCodes.NotCallable.At(call.Callee.Span, $"`{entry.Name}` is a constant; write it without parentheses"));
            Values(call);
            return;
        }

        Slot[] slots = [.. entry.Parameters.Select(p => new Slot(p.Name, p.IsRequired, p.IsVariadic))];
        var before = entry.IsConstructor ? 0 : piped ?? 0;
        var wholeTuple = before > 1 && !entry.Parameters.IsEmpty && entry.Parameters[0].Kind == ParameterKind.Tensors;
        var places = ArgumentMatcher.Match($"`{entry.Name}`", entry.ToString(), slots, call.Arguments, wholeTuple ? 1 : before, piped is null || entry.IsConstructor ? call.Callee.Span : null, Report);
        for (var i = 0; i < call.Arguments.Length; i++)
        {
            var argument = call.Arguments[i];
            if (places[i] < 0)
            {
                if (argument.Value.Bare is not NameSyntax)
                    Expression(argument.Value);
                continue;
            }

            Argument(argument.Value, entry.Parameters[places[i]]);
        }

        if (entry.Kind == CatalogKind.Derivative && entry.Name != "params")
        {
            for (var i = 0; i < call.Arguments.Length; i++)
            {
                if (places[i] == 1)
                    DifferentiationTarget(call.Arguments[i].Value);
            }
        }
    }

    private void Argument(ExprSyntax value, CatalogParameter parameter)
    {
        if (value.Bare is not NameSyntax word)
        {
            if (parameter.Kind == ParameterKind.Strings && value.Bare is ListSyntax { Items: var items } && items.Any(i => i.Bare is NameSyntax))
                Report(DiagnosticCodes.TypeMismatch.At(value.Span, $"`{parameter.Name}` takes strings: [\"a\", \"b\"]"));
            Expression(value);
            return;
        }

        if (parameter.TakesWord(word.Name.Text))
        {
            binding.Words[word] = word.Name.Text;
        }
        else if (parameter.Kind is ParameterKind.Word or ParameterKind.DType && Resolve(word) is null)
        {
            var words = parameter.Kind == ParameterKind.DType ? [.. Catalog.ElementTypes.Keys.Order(StringComparer.Ordinal)] : parameter.Words;
            Report(DiagnosticCodes.UnknownWord.At(word.Span, $"`{parameter.Name}` takes {string.Join(", ", words)}, not `{word.Name.Text}`").WithSuggestion(word.Name.Text, word.Span, words));
        }
        else
        {
            Name(word);
        }
    }

    private void CallOf(CallSyntax call, Primitive primitive, int? piped)
    {
        var seen = new HashSet<string>();
        var tensors = piped ?? 0;
        foreach (var argument in call.Arguments)
        {
            if (argument.Name is not { } name)
            {
                if (seen.Count > 0)
                    Report(DiagnosticCodes.PositionalAfterNamed.At(argument.Span, "an argument without a name comes after one with a name"));
                tensors++;
                Expression(argument.Value);
                continue;
            }

            if (!primitive.Attributes.Contains(name.Text))
                Report(DiagnosticCodes.UnknownArgument.At(name.Span, $"`prim.{primitive.Name}` has no attribute `{name.Text}`").WithSuggestion(name.Text, name.Span, primitive.Attributes));
            else if (!seen.Add(name.Text))
                Report(DiagnosticCodes.DuplicateArgument.At(name.Span, $"`{name.Text}` is given twice"));
            if (argument.Value.Bare is NameSyntax word && Catalog.ElementTypes.ContainsKey(word.Name.Text))
                binding.Words[word] = word.Name.Text;
            else
                Expression(argument.Value);
        }

        if (primitive.Arity >= 0 && tensors != primitive.Arity)
            Report((tensors < primitive.Arity ? DiagnosticCodes.MissingArgument : DiagnosticCodes.TooManyArguments).At(call.Callee.Span, $"`prim.{primitive.Name}` takes {primitive.Arity} tensor{(primitive.Arity == 1 ? "" : "s")}, not {tensors}"));
    }

    private void DifferentiationTarget(ExprSyntax target)
    {
        switch (target.Bare)
        {
            case TupleSyntax tuple:
                foreach (var item in tuple.Items)
                    DifferentiationTarget(item);
                break;
            case ListSyntax list:
                foreach (var item in list.Items)
                    DifferentiationTarget(item);
                break;
            case NameSyntax name:
                if (binding.Uses.TryGetValue(name, out var symbol))
                    symbol.IsDifferentiated = true;
                break;
            case FieldSyntax or IndexSyntax:
            case CallSyntax { Callee: NameSyntax { Name.Text: "params" } }:
                break;
            default:
                Report(DiagnosticCodes.GradientTarget.At(target.Span, "a derivative is taken with respect to a name, a field such as `enc.weight`, an index, or a tuple or list of those")
                    .WithNote("bind the expression with `let` first, and use the name both here and in what is differentiated"));
                break;
        }
    }

    // ---- Data and training -------------------------------------------------------------------------------------------

    private void Data(DataSyntax data)
    {
        if (data.Source.Bare is CallSyntax { Callee: NameSyntax name } call && Resolve(name) is null && (Catalog.Find(name.Name.Text)?.Kind == CatalogKind.Source || Catalog.Planned.Contains(name.Name.Text)))
        {
            Call(call, null);
        }
        else
        {
            var diagnostic = DiagnosticCodes.WrongKind.At(data.Source.Span, "data come from a source, such as csv(\"file.csv\") or two_moons()");
            if (data.Source.Bare is CallSyntax { Callee: NameSyntax callee })
                diagnostic = diagnostic.WithSuggestion(callee.Name.Text, callee.Span, Catalog.All.Where(e => e.Kind == CatalogKind.Source).Select(e => e.Name));
            Report(diagnostic);
        }

        var seen = new Dictionary<string, TextSpan>();
        foreach (var option in data.Options)
        {
            var text = option.Name.Text;
            if (DataOptions.Planned.Contains(text))
                Report(NotYetOption("data", text, option.Name.Span, DataOptions.Known));
            else if (!DataOptions.Known.Contains(text))
                Report(DiagnosticCodes.UnknownOption.At(option.Name.Span, $"a data block has no line `{text}`").WithSuggestion(text, option.Name.Span, DataOptions.Known).WithNote($"known: {string.Join(", ", DataOptions.Known)}"));
            else if (text != "rename" && !seen.TryAdd(text, option.Name.Span))
                Report(DiagnosticCodes.DuplicateArgument.At(option.Name.Span, $"`{text}` stands twice").With(seen[text], "here, too"));
            if (text is "split" or "shuffle")
            {
                foreach (var argument in option.Arguments)
                    Expression(argument.Value);
            }
        }
    }

    private static Diagnostic NotYetOption(string block, string name, TextSpan span, IEnumerable<string> known) =>
        DiagnosticCodes.NotYet.At(span, $"`{name}` is part of the language, but this version does not have it yet").WithNote($"a {block} block has: {string.Join(", ", known)}");

    private void Train(TrainSyntax train)
    {
        var name = (NameSyntax)train.Model.Callee;
        if (file.GetValueOrDefault(name.Name.Text) is { Kind: SymbolKind.Model } model)
        {
            binding.Uses[name] = model;
            var hypers = ((ModelSyntax)model.Declaration!).Hypers?.Parameters ?? [];
            Slot[] slots = [.. hypers.Select(p => new Slot(p.Name.Text, p.Default is null))];
            ArgumentMatcher.Match($"`{model.Name}`", $"{model.Name}({string.Join(", ", hypers.Select(p => p.Span.Text))})", slots, train.Model.Arguments, 0, name.Span, Report, model.Span);
        }
        else if (!perhapsDeclared.Contains(name.Name.Text))
        {
            Report(DiagnosticCodes.UnknownName.At(name.Span, $"there is no model `{name.Name.Text}`").WithSuggestion(name.Name.Text, name.Span, binding.Models.Select(m => m.Name.Text)));
        }

        Values(train.Model);
        if (file.GetValueOrDefault(train.Data.Text) is not { Kind: SymbolKind.Data } && !perhapsDeclared.Contains(train.Data.Text))
            Report(DiagnosticCodes.UnknownName.At(train.Data.Span, $"there is no data `{train.Data.Text}`").WithSuggestion(train.Data.Text, train.Data.Span, binding.Data.Select(d => d.Name.Text)));
        var seen = new Dictionary<string, TextSpan>();
        foreach (var option in train.Options)
            TrainOption(option, seen);
    }

    private void TrainOption(TrainOptionSyntax option, Dictionary<string, TextSpan> seen)
    {
        var text = option.Name.Text;
        if (TrainOptions.Planned.Contains(text))
        {
            Report(NotYetOption("train", text, option.Name.Span, TrainOptions.All.Select(o => o.Name)));
            return;
        }

        if (TrainOptions.Find(text) is not { } row)
        {
            Report(DiagnosticCodes.UnknownOption.At(option.Name.Span, $"a train block has no option `{text}`")
                .WithSuggestion(text, option.Name.Span, TrainOptions.All.Select(o => o.Name)).WithNote($"known: {string.Join(", ", TrainOptions.All.Select(o => o.Name))}"));
            return;
        }

        if (option.On is not null || option.Minimize is not null || option.Every is not null)
            Report(DiagnosticCodes.NotYet.At(option.Span, "`on`, `minimize` and `every` are part of the language, but this version trains all parameters on the sum of the losses"));
        if (!seen.TryAdd(text, option.Name.Span))
        {
            Report(text == "optimizer"
                ? DiagnosticCodes.NotYet.At(option.Name.Span, "several optimizers are part of the language, but this version has one a train block").With(seen[text], "the other one")
                : DiagnosticCodes.DuplicateArgument.At(option.Name.Span, $"`{text}` stands twice").With(seen[text], "here, too"));
        }

        Slot[] slots = [.. row.Parameters.Select(p => new Slot(p.Name, p.IsRequired))];
        var places = ArgumentMatcher.Match($"`{text}`", $"{text} {row.Signature}", slots, option.Arguments, 0, option.Name.Span, Report);
        for (var i = 0; i < option.Arguments.Length; i++)
        {
            if (places[i] >= 0 && !(text == "early_stop" && row.Parameters[places[i]].Name == "on"))
                Argument(option.Arguments[i].Value, row.Parameters[places[i]]);
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
        if (callee is NameSyntax name && binding.Uses.TryGetValue(name, out var symbol))
            return symbol is { Kind: SymbolKind.Layer, Declaration: LayerSyntax { Hypers: not null } } ? Nature.Layer : Nature.Unknown;
        return binding.Entries.TryGetValue(callee, out var entry) ? entry.IsConstructor ? Nature.Layer : Nature.Other : Nature.Unknown;
    }
}
