namespace Dnn.Dsl;

/// <summary>
/// Names instances by where they are constructed: by `let`, else by kind and textual position among the unnamed of that kind in the body,
/// branches that are not taken included. A loop, a named composition and a layer that is an argument are bodies of their own.
/// </summary>
internal sealed class Namer(Binding binding, Action<Diagnostic> report)
{
    /// <summary>The segments taken in one body.</summary>
    private sealed class Body
    {
        private readonly Dictionary<string, int> kinds = new(StringComparer.Ordinal);

        /// <summary>The names of parameters and buffers.</summary>
        public HashSet<string> Declared { get; } = new(StringComparer.Ordinal);

        public Dictionary<string, TextSpan> Taken { get; } = new(StringComparer.Ordinal);

        /// <summary>A name that the other branch of an <c>if</c> has taken already.</summary>
        public string? Shared { get; set; }

        public bool IsEmpty => Taken.Count == 0;

        public string Next(string kind)
        {
            var index = kinds.GetValueOrDefault(kind);
            kinds[kind] = index + 1;
            return $"{kind}_{index}";
        }
    }

    public void Declaration(StatementSyntax declaration)
    {
        switch (declaration)
        {
            case LetSyntax let:
                Static(let.Value);
                break;
            case HyperSyntax hyper:
                Recipe(hyper.Value);
                break;
            case LayerSyntax layer:
                Defaults(layer.Hypers);
                Statements(layer.Body, new Body());
                if (layer.Gradient is not null)
                    Statements(layer.Gradient.Body, new Body());
                break;
            case ModelSyntax model:
                Defaults(model.Hypers);
                Statements(model.Body, new Body());
                break;
            case TrainSyntax train:
                foreach (var argument in train.Model.Arguments)
                    Visit(argument.Value, new Body(), "");
                break;
            case TestSyntax test:
                Statements(test.Body, new Body());
                break;
        }
    }

    /// <summary>A layer that becomes the value of a hyperparameter: it is named where it is used.</summary>
    public void Recipe(ExprSyntax value) => Visit(value, new Body(), "");

    private void Static(ExprSyntax value)
    {
        var body = new Body();
        Visit(value, body, null);
        if (!body.IsEmpty)
        {
            report(DiagnosticCodes.ConstructedOutside.At(body.Taken.Values.First(), "a layer that is constructed at the top level belongs to no model")
                .WithNote("construct it in a `layer` or `model`, or make it a recipe: hyper name: layer = …"));
        }
    }

    private void Defaults(ParameterListSyntax? list)
    {
        foreach (var parameter in list?.Parameters ?? [])
        {
            if (parameter.Default is not null)
                Recipe(parameter.Default);
        }
    }

    private void Statements(BlockSyntax block, Body body)
    {
        foreach (var statement in block.Statements)
        {
            switch (statement)
            {
                case LetSyntax let:
                    Let(let, body);
                    break;
                case ParamSyntax param:
                    TakeDeclared(body, param.Path, param.Name);
                    break;
                case BufferSyntax buffer:
                    TakeDeclared(body, buffer.Path, buffer.Name);
                    break;
                case UpdateSyntax update:
                    Visit(update.Value, body, null);
                    break;
                case RequireSyntax require:
                    Visit(require.Condition, body, null);
                    break;
                case AssertSyntax assert:
                    Visit(assert.Condition, body, null);
                    break;
                case AssertCallSyntax check:
                    foreach (var argument in check.Call.Arguments)
                        Visit(argument.Value, body, null);
                    break;
                case AssertErrorSyntax error:
                    binding.Segments[error] = Take(body, body.Next("error"), error.Span);
                    Statements(error.Body, new Body());
                    break;
                case ReturnSyntax @return:
                    Visit(@return.Value, body, null);
                    break;
                case OutputSyntax output:
                    Visit(output.Value, body, null);
                    break;
                case LossSyntax loss:
                    Visit(loss.Value, body, null);
                    break;
                case MetricSyntax metric:
                    Visit(metric.Value, body, null);
                    break;
            }
        }
    }

    private void Let(LetSyntax let, Body body)
    {
        if (let.Path is null)
            Bound(let.Pattern, let.Value, body);
        else
            Visit(let.Value, body, let.Path.Value);
    }

    private void Bound(PatternSyntax pattern, ExprSyntax value, Body body)
    {
        if (pattern is TuplePatternSyntax parts && value.Bare is TupleSyntax items && parts.Items.Length == items.Items.Length)
        {
            for (var i = 0; i < parts.Items.Length; i++)
                Bound(parts.Items[i], items.Items[i], body);
        }
        else
        {
            Visit(value, body, pattern is NamePatternSyntax name ? name.Name.Text : null);
        }
    }

    /// <param name="given">The name from a <c>let</c>; empty where the body is this one layer; null for kind and index.</param>
    private void Visit(ExprSyntax? expression, Body body, string? given)
    {
        switch (expression?.Bare)
        {
            case NameSyntax name:
                if (binding.Uses.TryGetValue(name, out var symbol) && IsConstructed(symbol))
                    Construct(name, symbol.Name, body, given);
                break;
            case CallSyntax call:
                Call(call, body, given);
                break;
            case PipeSyntax pipe:
                var own = Binder.NatureOf(binding, pipe.First) == Nature.Layer ? Inner(pipe, body, given) : body;
                Visit(pipe.First, own, null);
                foreach (var stage in pipe.Stages)
                    Visit(stage, own, null);
                Close(pipe, own, body);
                break;
            case IfSyntax @if:
                Visit(@if.Condition, body, null);
                Visit(@if.Then, body, given);
                var before = body.Shared;
                body.Shared = given;
                Visit(@if.Else, body, given);
                body.Shared = before;
                break;
            case LambdaSyntax lambda:
                var inside = Inner(lambda, body, given);
                Visit(lambda.Value, inside, null);
                if (lambda.Block is not null)
                    Statements(lambda.Block, inside);
                Close(lambda, inside, body);
                break;
            case ForSyntax @for:
                Visit((@for.Source as RangeSyntax)?.End ?? @for.Source, body, null);
                binding.Segments[@for] = Take(body, given ?? body.Next("for"), @for.Span);
                var turn = new Body();
                foreach (var let in @for.Lets)
                    Let(let, turn);
                Visit(@for.Body, turn, "");
                break;
            case ComprehensionSyntax comprehension:
                var element = new Body();
                Visit(comprehension.Element, element, "");
                if (!element.IsEmpty)
                    binding.Segments[comprehension] = Take(body, given ?? body.Next("for"), comprehension.Span);
                break;
            case TupleSyntax tuple:
                Items(tuple.Items, body, given);
                break;
            case ListSyntax list:
                Items(list.Items, body, given);
                break;
            case UnarySyntax unary:
                Visit(unary.Operand, body, null);
                break;
            case BinarySyntax binary:
                Visit(binary.First, body, null);
                foreach (var rest in binary.Rest)
                    Visit(rest.Operand, body, null);
                break;
            case IndexSyntax index:
                Visit(index.Target, body, null);
                break;
            case FieldSyntax field when binding.Qualified.TryGetValue(field, out var imported):
                if (IsConstructed(imported))
                    Construct(field, imported.Name, body, given);
                break;
            case FieldSyntax field:
                Visit(field.Target, body, null);
                break;
        }
    }

    private void Items(System.Collections.Immutable.ImmutableArray<ExprSyntax> items, Body body, string? given)
    {
        for (var i = 0; i < items.Length; i++)
            Visit(items[i], body, given is null ? null : $"{given}[{i}]");
    }

    private void Call(CallSyntax call, Body body, string? given)
    {
        var callee = call.Callee.Bare;
        var entry = binding.Entries.GetValueOrDefault(callee);
        var layer = callee is NameSyntax name && binding.Uses.TryGetValue(name, out var symbol) && symbol.Kind == SymbolKind.Layer ? symbol.Declaration as LayerSyntax : null;
        if (entry?.Name is "chain" or "parallel")
        {
            var own = Inner(call, body, given);
            foreach (var argument in call.Arguments)
                Visit(argument.Value, own, null);
            Close(call, own, body);
            return;
        }

        // What only wraps a layer adds nothing to its path, so that parameters keep theirs when it is put around them.
        if (entry?.Name is "frozen" or "no_decay" or "lr_scale" or "checkpoint")
        {
            foreach (var argument in call.Arguments)
                Visit(argument.Value, body, argument == call.Arguments[0] ? given : null);
            return;
        }

        if (entry is { IsConstructor: true })
        {
            Construct(call, entry.Name, body, given);
            var single = entry.Name == "repeat" || entry.Parameters.Any(p => p.Kind == ParameterKind.Recipe);
            foreach (var argument in call.Arguments)
            {
                var inner = entry.Kind == CatalogKind.Combinator || entry.Parameters.Any(p => p.Kind is ParameterKind.Layer or ParameterKind.Recipe) ? new Body() : body;
                Visit(argument.Value, inner, single ? "" : null);
            }

            return;
        }

        if (layer is { Hypers: not null })
        {
            Construct(call, layer.Name.Text, body, given);
            foreach (var argument in call.Arguments)
                Visit(argument.Value, new Body(), "");
            return;
        }

        // What is called is a name of one list, or gives a layer itself: then the result has no name of its own.
        Visit(callee, body, null);
        foreach (var argument in call.Arguments)
            Visit(argument.Value, body, null);
    }

    /// <summary>Whether an occurrence of the bare name makes an instance.</summary>
    private static bool IsConstructed(Symbol symbol) =>
        symbol.Kind == SymbolKind.Recipe || symbol is { Kind: SymbolKind.Layer, Declaration: LayerSyntax { Hypers: null } };

    private void Construct(SyntaxNode node, string kind, Body body, string? given) =>
        binding.Segments[node] = Take(body, given ?? body.Next(kind), node.Span);

    private Body Inner(SyntaxNode node, Body body, string? given)
    {
        if (string.IsNullOrEmpty(given))
            return body;
        binding.Segments[node] = given;
        return new Body();
    }

    /// <summary>A named body takes its name only if something is constructed in it.</summary>
    private void Close(SyntaxNode node, Body inner, Body outer)
    {
        if (inner != outer && !inner.IsEmpty)
            Take(outer, binding.Segments[node], node.Span);
    }

    /// <summary>A parameter or buffer; two of one name are the binder's to report.</summary>
    private void TakeDeclared(Body body, StringSyntax? path, Identifier name)
    {
        if (body.Declared.Add(name.Text) || path is not null)
            Take(body, path?.Value ?? name.Text, name.Span);
    }

    private string Take(Body body, string segment, TextSpan span)
    {
        if (segment == body.Shared && body.Taken.ContainsKey(segment))
            return segment;
        if (!body.Taken.TryAdd(segment, span))
        {
            report(DiagnosticCodes.DuplicateInstance.At(span, $"two instances are named `{segment}` in this body, and their parameters would have one path")
                .With(body.Taken[segment], "the other one").WithNote("give one of them another name"));
        }

        return segment;
    }
}
