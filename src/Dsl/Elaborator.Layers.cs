using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Construction and application of layers.</summary>
internal sealed partial class Elaborator
{
    /// <summary>What a layer or function is applied to: piped values first, then arguments.</summary>
    private readonly record struct Given(Value Value, ExprSyntax Syntax, Identifier? Name = null);

    private Place PlaceOf(SyntaxNode node, Context c) => binding.Segments.TryGetValue(node, out var segment) ? c.Place.Child(segment) : c.Place;

    /// <summary>An instance for an expression: the same one at the same place of the same enclosing instance.</summary>
    private InstanceValue Construct(SyntaxNode node, Place place, Context c, LayerSyntax? declaration, CatalogEntry? entry, Func<Frame, Layer> make)
    {
        var path = c.PathOf(place);
        Spend(declaration is null ? 1 : WorkOfLayer, node.Span);
        var key = (node, place.Path);
        var known = c.Frame.Constructed.TryGetValue(key, out var instance);
        var frame = known ? instance.Frame : new Frame(path);
        Layer layer;
        var location = builder.Location;
        try
        {
            layer = make(frame);
            builder.Location = LocationOf(node.Span);
            if (known)
                builder.PlaceLike(layer, instance.Layer);
            else
                builder.PlaceAt(layer, path);
        }
        catch (GraphException e)
        {
            throw Error(e is ShapeException || !e.Message.StartsWith("two ", StringComparison.Ordinal) ? DiagnosticCodes.InvalidArgument : DiagnosticCodes.DuplicateInstance, node.Span, e.Message);
        }
        finally
        {
            builder.Location = location;
        }

        c.Frame.Constructed[key] = (layer, frame);
        return instances[path] = new InstanceValue(layer, path, node.Span, declaration, entry);
    }

    private InstanceValue ConstructCatalog(CallSyntax call, CatalogEntry entry, Context c)
    {
        var place = PlaceOf(call, c);
        var args = Arguments(entry, call.Arguments, [], call, c, place);
        return Construct(call, place, c, null, entry, _ =>
        {
            try
            {
                return ((Layer)entry.Make(args)!).Written(Notation(entry, args, call));
            }
            catch (RangeException e)
            {
                throw Error(DiagnosticCodes.InvalidArgument, ArgumentOf(entry, call.Arguments, e.Argument)?.Span ?? call.Span, e.Message);
            }
        });
    }

    /// <summary>The argument of a parameter, by name or place; null where it is not given.</summary>
    private static ExprSyntax? ArgumentOf(CatalogEntry entry, ImmutableArray<ArgumentSyntax> arguments, string name)
    {
        var place = Enumerable.Range(0, entry.Parameters.Length).FirstOrDefault(i => entry.Parameters[i].Name == name, -1);
        return (arguments.FirstOrDefault(a => a.Name?.Text == name) ?? arguments.Where((a, i) => i == place && a.Name is null).FirstOrDefault())?.Value;
    }

    private LayerNotation? Notation(CatalogEntry entry, Args args, CallSyntax call) => entry.Parameters.Any(p => p.IsTensor || p.IsVariadic || p.Kind is ParameterKind.Any)
        ? null
        : LayerNotation.Of(entry.Name, entry.Parameters.Any(p => p is { Kind: ParameterKind.Init, Name: "init", Default: "auto" }),
            [.. entry.Parameters.Select((p, i) => (p.Name, p.Kind is ParameterKind.Layer or ParameterKind.Recipe ? SourceOf(entry, i, call) : args.Value(i), p.IsRequired ? LayerNotation.Required : DefaultOf(p)))]);

    /// <summary>A layer among the arguments as it is written, if nothing of the file is named in it; null if it is not given, and what has no notation otherwise.</summary>
    private object? SourceOf(CatalogEntry entry, int parameter, CallSyntax call)
    {
        if (ArgumentOf(entry, call.Arguments, entry.Parameters[parameter].Name) is not { } given)
            return null;
        var text = given.Span.Text;
        var words = ImmutableArray.CreateBuilder<string>();
        foreach (var node in given.DescendantsAndSelf())
        {
            if (node is NameSyntax name)
            {
                if (binding.Uses.TryGetValue(name, out var symbol) && !IsWithin(symbol.Span, given.Span))
                    return given;
                words.Add(name.Name.Text);
            }
            else if (node is FieldSyntax field && binding.Qualified.ContainsKey(field))
            {
                return given;
            }
        }

        return text.Contains('\n') ? given : new LayerSource(text, words.ToImmutable());
    }

    /// <summary>An instance of a layer of the file.</summary>
    /// <param name="node">The call with hyperparameters, or the bare name.</param>
    private InstanceValue ConstructOwn(SyntaxNode node, LayerSyntax layer, ImmutableArray<ArgumentSyntax> arguments, Context c)
    {
        var place = PlaceOf(node, c);
        return Construct(node, place, c, layer, null, frame =>
        {
            var hypers = new Env(null);
            if (layer.Hypers is not null)
                Hypers(layer.Name.Text, layer.Hypers, arguments, c, new Context(hypers, frame, Place.Root, null), node.Span, overridable: false);
            return new Layer(layer.Name.Text, (context, inputs) => Run(layer, hypers, frame, context, inputs)) { InputNames = [.. layer.Tensors.Parameters.Select(p => p.Name.Text)] };
        });
    }

    /// <summary>Evaluates the body of a layer in one application.</summary>
    private ImmutableArray<Expr> Run(LayerSyntax layer, Env hypers, Frame frame, LayerContext application, ImmutableArray<Expr> inputs)
    {
        EnsureStack(layer.Name.Span);
        var c = new Context(new Env(hypers) { SizeNames = new SizeNames() }, frame, Place.Root, application);
        var leading = new Leading();
        var typed = new List<(TensorTypeSyntax, Expr, string)>();
        for (var i = 0; i < inputs.Length; i++)
        {
            var parameter = layer.Tensors.Parameters[i];
            if (parameter.Type is TensorTypeSyntax type)
                typed.Add((type, inputs[i], $"`{parameter.Name.Text}`"));
            c.Env.Set(binding.Declared[parameter], new TensorValue(inputs[i]));
        }

        // A size that does not fit is the caller's: it is shown where the layer is applied.
        Unify(typed, c, leading, giver!.Value with { Of = $" of `{layer.Name.Text}`" });
        foreach (var statement in layer.Body.Statements)
        {
            if (statement is ReturnSyntax result)
            {
                var results = Result(layer, Eval(result.Value, c), result.Value, c, leading);
                return layer.Gradient is null ? results : [WithRule(layer, layer.Gradient, inputs, results, c, hypers)];
            }

            Statement(statement, c);
        }

        throw new DiagnosticException(null);
    }

    private ImmutableArray<Expr> Result(LayerSyntax layer, Value value, ExprSyntax site, Context c, Leading leading)
    {
        ImmutableArray<Value> items = value is TupleValue tuple ? tuple.Items : [value];
        ImmutableArray<TypeSyntax> types = layer.Result switch
        {
            null => [],
            TupleTypeSyntax several => several.Items,
            var one => [one],
        };
        if (layer.Result is not null && types.Length != items.Length)
            throw Error(DiagnosticCodes.DeclaredShape, site.Span, $"the result is {value.Describe()}, and {layer.Result.Span.Text} is declared").And(layer.Result.Span, "declared here");
        var results = new List<Expr>();
        var typed = new List<(TensorTypeSyntax, Expr, string)>();
        for (var i = 0; i < items.Length; i++)
        {
            var type = layer.Result is null ? null : types[i] as TensorTypeSyntax ?? throw Error(DiagnosticCodes.TypeMismatch, types[i].Span, "a layer gives tensors");
            var expr = Tensor(items[i], site, type is null ? DType.Float : ElementType(type));
            results.Add(expr);
            if (type is not null)
                typed.Add((type, expr, items.Length == 1 ? "the result" : $"result {i}"));
        }

        Unify(typed, c, leading, new Giver(site, c.Env.SizeNames, " of the result"));
        return [.. results];
    }

    // ---- Application -------------------------------------------------------------------------------------------------

    private static bool IsWithin(TextSpan part, TextSpan whole) => part.Source == whole.Source && part.Start >= whole.Start && part.End <= whole.End;

    /// <summary>The application that is being elaborated: errors of its tensors belong to the caller.</summary>
    private Giver? giver;

    private Value Apply(LayerValue layer, ImmutableArray<Given> given, ExprSyntax at, Context c)
    {
        EnsureStack(at.Span);
        Spend(WorkOf(layer), at.Span);
        switch (layer)
        {
            case FunctionValue function:
                return Call(function.Entry, [], given, IsWithin(function.Site.Span, at.Span) ? function.Site : at, c);
            case InstanceValue instance:
                return Apply(instance, given, at, c);
            case LambdaValue lambda:
                return Apply(lambda, given, at);
            case PartialValue partial:
                return Call(partial.Call, partial.Context, given);
            case WrappedValue wrapped:
                return Apply(wrapped, given, at, c);
            case ViewValue view:
                return Apply(view, given, at);
            case PhaseLayerValue phase:
                return ByPhase(() => Apply(phase.Training, given, at, c), () => Apply(phase.Evaluation, given, at, c), at);
            case ComposedValue composed:
                foreach (var next in composed.Layers)
                    given = Spread(Apply(next, given, at, c), at);
                return given.Length == 1 ? given[0].Value : new TupleValue([.. given.Select(g => g.Value)]);
            case ParallelValue parallel:
                return new TupleValue([.. parallel.Layers.Select(l => Apply(l, given, at, c))]);
            default:
                throw new InvalidOperationException($"no application of {layer.Describe()}");
        }
    }

    /// <summary>A body counts once for each that it is inside of, so that a recursion that branches ends soon, and a loop of as many turns does not.</summary>
    private long WorkOf(LayerValue layer) => layer switch
    {
        InstanceValue { Declaration: not null } => WorkOfLayer * (nesting + 1L),
        LambdaValue => nesting + 1L,
        _ => 1,
    };

    private static ImmutableArray<Given> Spread(Value value, ExprSyntax syntax) =>
        value is TupleValue tuple ? [.. tuple.Items.Select(i => new Given(i, syntax))] : [new Given(value, syntax)];

    private Value Apply(LambdaValue lambda, ImmutableArray<Given> given, ExprSyntax at)
    {
        if (given.FirstOrDefault(g => g.Name is not null) is { Name: { } name })
            throw Error(DiagnosticCodes.UnknownArgument, name.Span, "the parameters of a lambda have no names for callers");
        var c = lambda.Context.With(new Env(lambda.Context.Env));
        Bind(lambda.Syntax.Pattern, given.Length == 1 ? given[0].Value : new TupleValue([.. given.Select(g => g.Value)]), at, c.Env.Set);
        nesting++;
        try
        {
            if (lambda.Syntax.Value is { } value)
                return Eval(value, c);
            foreach (var statement in lambda.Syntax.Block!.Statements)
            {
                if (statement is ReturnSyntax result)
                    return Eval(result.Value, c);
                Statement(statement, c);
            }

            throw new DiagnosticException(null);
        }
        finally
        {
            nesting--;
        }
    }

    private Value Apply(InstanceValue instance, ImmutableArray<Given> given, ExprSyntax at, Context c)
    {
        var (inputs, named) = instance.Declaration is { } declaration ? (Inputs(declaration, given, at, c), []) : Inputs(instance, given, at, c);
        if (depth == MaxDepth)
            throw Endless(at.Span);
        depth++;
        nesting++;
        var outer = giver;
        giver = new Giver(at, c.Env.SizeNames);

        // Among layers that are applied together, each has the place where it was made.
        builder.Location = IsWithin(instance.Span, at.Span) ? LocationOf(instance.Span) : LocationOf(at);
        try
        {
            var results = builder.Apply(instance.Layer, [.. inputs.Select(i => i.Value)], [.. named.Select(n => n.Input)]);
            foreach (var result in results)
                CheckSize(result, at);
            if (instance.Entry is not null)
                Meetings(results, [.. inputs, .. named.Select(n => (n.Syntax, n.Input.Value))], at, c);
            return results.Length == 1 ? new TensorValue(results[0]) : new TupleValue([.. results.Select(r => new TensorValue(r))]);
        }
        catch (GraphException e)
        {
            throw Explain(e, at, [.. inputs, .. named.Select(n => (n.Syntax, n.Input.Value))], instance: instance);
        }
        catch (DiagnosticException e) when (Passes(e, instance, at))
        {
            throw;
        }
        finally
        {
            giver = outer;
            nesting--;
            depth--;
        }
    }

    /// <summary>
    /// Adds an application to the chain of an error that passes through it. It answers false: as a filter it needs no stack of its own, however
    /// many applications there are.
    /// </summary>
    private static bool Passes(DiagnosticException e, InstanceValue instance, ExprSyntax at)
    {
        if (e.Diagnostic is { Trace.Length: < MaxTrace } diagnostic && diagnostic.Span != at.Span)
            e.Diagnostic = diagnostic.WithTrace(at.Span, $"`{(instance.Path.Length <= MaxPath ? instance.Path : "…" + instance.Path[^MaxPath..])}`");
        return false;
    }

    /// <summary>The applications that are inside of each other at present.</summary>
    private int depth;

    private const int MaxDepth = 200;

    private const int MaxTrace = 20;

    private const int MaxPath = 60;

    /// <summary>The tensors of an application of a layer of the catalog: those that it takes by position, and those by name.</summary>
    private (ImmutableArray<(ExprSyntax Syntax, Expr Value)> Inputs, ImmutableArray<(ExprSyntax Syntax, Named Input)> Named) Inputs(InstanceValue instance, ImmutableArray<Given> given, ExprSyntax at, Context c)
    {
        var entry = instance.Entry!;
        var slots = entry.InputParameters;
        var inputs = ImmutableArray.CreateBuilder<(ExprSyntax, Expr)>();
        var named = ImmutableArray.CreateBuilder<(ExprSyntax, Named)>();
        var filled = new bool[slots.Length];
        var next = 0;
        foreach (var input in given)
        {
            var slot = input.Name is { } name ? slots.IndexOf(slots.FirstOrDefault(s => s.Name == name.Text)!) : next;
            if (input.Name is { } unknown && slot < 0)
            {
                throw new DiagnosticException(DiagnosticCodes.UnknownArgument.At(unknown.Span, $"`{entry.Name}` takes no tensor `{unknown.Text}`")
                    .WithSuggestion(unknown.Text, unknown.Span, slots.Select(s => s.Name)).WithNote($"it is applied to ({entry.Inputs})"));
            }

            if (slot == slots.Length)
                throw Error(DiagnosticCodes.TooManyArguments, at.Span, $"`{entry.Name}` takes {slots.Length} tensor{(slots.Length == 1 ? "" : "s")}, and gets {given.Length}").Note($"it is applied to ({entry.Inputs})");
            if (filled[slot] && !slots[slot].IsVariadic)
                throw Error(DiagnosticCodes.DuplicateArgument, input.Name?.Span ?? input.Syntax.Span, $"`{slots[slot].Name}` is given twice");
            filled[slot] = true;
            if (input.Name is null && !slots[slot].IsVariadic)
                next++;
            var value = slots[slot].Kind == ParameterKind.Tensors && input.Value is TensorValue ? new ListValue([input.Value]) : input.Value;
            ImmutableArray<Expr> values = Convert(value, slots[slot], input.Syntax, c) is var converted && converted is ImmutableArray<Expr> several ? several : [(Expr)converted!];
            if (instance.Layer.Options.Contains(slots[slot].Name))
                named.AddRange(values.Select(v => (input.Syntax, new Named(slots[slot].Name, v))));
            else
                inputs.AddRange(values.Select(v => (input.Syntax, v)));
        }

        for (var i = 0; i < slots.Length; i++)
        {
            if (!filled[i] && slots[i].IsRequired)
                throw Error(DiagnosticCodes.MissingArgument, at.Span, $"`{entry.Name}` needs the tensor `{slots[i].Name}`").Note($"it is applied to ({entry.Inputs})");
        }

        return (inputs.ToImmutable(), named.ToImmutable());
    }

    /// <summary>The tensors of an application in the order of the declaration.</summary>
    private ImmutableArray<(ExprSyntax Syntax, Expr Value)> Inputs(LayerSyntax layer, ImmutableArray<Given> given, ExprSyntax at, Context c)
    {
        var parameters = layer.Tensors.Parameters;
        var inputs = new (ExprSyntax, Expr)?[parameters.Length];
        var next = 0;
        foreach (var input in given)
        {
            var slot = input.Name is { } name ? IndexOf(parameters, name.Text) : next++;
            if (input.Name is { } unknown && slot < 0)
                throw new DiagnosticException(DiagnosticCodes.UnknownArgument.At(unknown.Span, $"`{layer.Name.Text}` has no input `{unknown.Text}`").WithSuggestion(unknown.Text, unknown.Span, parameters.Select(p => p.Name.Text)));
            if (slot >= parameters.Length)
                throw Error(DiagnosticCodes.TooManyArguments, at.Span, $"`{layer.Name.Text}` takes {parameters.Length} tensor{(parameters.Length == 1 ? "" : "s")}, and gets {given.Length}").And(layer.Name.Span, "declared here");
            if (inputs[slot] is not null)
                throw Error(DiagnosticCodes.DuplicateArgument, input.Name?.Span ?? input.Syntax.Span, $"`{parameters[slot].Name.Text}` is given twice");
            inputs[slot] = Input(slot, input.Value, input.Syntax);
        }

        for (var i = 0; i < inputs.Length; i++)
        {
            if (inputs[i] is not null)
                continue;
            if (parameters[i].Default is not { } otherwise)
                throw Error(DiagnosticCodes.MissingArgument, at.Span, $"`{layer.Name.Text}` needs the tensor `{parameters[i].Name.Text}`").And(parameters[i].Name.Span, "declared here");
            inputs[i] = Input(i, Eval(otherwise, fileContext), otherwise);
        }

        return [.. inputs.Select(i => i!.Value)];

        (ExprSyntax, Expr) Input(int slot, Value value, ExprSyntax syntax) =>
            (syntax, Tensor(value, syntax, parameters[slot].Type is TensorTypeSyntax type ? ElementType(type) : DType.Float));
    }

    private static int IndexOf(ImmutableArray<ParameterSyntax> parameters, string name)
    {
        for (var i = 0; i < parameters.Length; i++)
        {
            if (parameters[i].Name.Text == name)
                return i;
        }

        return -1;
    }

    // ---- Nodes -------------------------------------------------------------------------------------------------------

    /// <summary>Makes a node, gives it its place in the source, and explains what does not fit.</summary>
    private TensorValue Build(ExprSyntax at, IReadOnlyList<(ExprSyntax Syntax, Expr Value)> operands, Func<Expr> make)
    {
        builder.Location = LocationOf(at);
        try
        {
            var result = make();
            builder.Record(result);
            CheckSize(result, at);
            return new TensorValue(result);
        }
        catch (GraphException e)
        {
            throw Explain(e, at, operands);
        }
    }

    private static void CheckSize(Expr expr, ExprSyntax at)
    {
        var count = 1d;
        foreach (var size in expr.Shape.Dims)
        {
            if (size is { IsKnown: true, Value: < 0 })
                throw Error(DiagnosticCodes.OutOfRange, at.Span, $"a size is not negative, and this would be {expr.Type}");
            if (size.IsKnown)
                count *= size.Value;
        }

        if (count > int.MaxValue)
            throw Error(DiagnosticCodes.TooLarge, at.Span, $"this tensor {expr.Type} has more than 2³¹ − 1 elements");
    }
}
