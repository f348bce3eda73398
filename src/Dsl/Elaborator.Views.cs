using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Layers that use the parameters of other layers in another way.</summary>
internal sealed partial class Elaborator
{
    /// <summary><c>frozen(f)</c>, <c>no_decay(f)</c>, <c>lr_scale(f, s)</c>, <c>checkpoint(f)</c></summary>
    private WrappedValue Wrap(CallSyntax call, CatalogEntry entry, Context c)
    {
        var body = Argument(call, entry, 0);
        var inner = Layer(Eval(body, c), body);
        switch (entry.Name)
        {
            case "frozen":
                return new WrappedValue("frozen", inner, new ParameterUse { Frozen = true }, call);
            case "no_decay":
                return new WrappedValue("without decay", inner, new ParameterUse { NoDecay = true }, call);
            case "lr_scale":
                var factor = Argument(call, entry, 1);
                var scale = Number(factor, c);
                return double.IsFinite(scale) && scale >= 0
                    ? new WrappedValue("with a learning rate of its own", inner, new ParameterUse { LearningRateScale = scale }, call)
                    : throw Error(DiagnosticCodes.OutOfRange, factor.Span, $"a factor on the learning rate is at least 0, and this is {Printer.Number(scale)}").Note("frozen(f) keeps parameters as they are");
            default:
                return new WrappedValue("computed again for gradients", inner, null, call);
        }
    }

    /// <summary><c>f.with(weight = w)</c></summary>
    private WrappedValue With(CallSyntax call, FieldSyntax field, Context c)
    {
        var target = Layer(Eval(field.Target, c), field.Target);
        var owner = target;
        while (owner is WrappedValue wrapped)
            owner = wrapped.Inner;
        if (owner is not InstanceValue instance)
            throw Error(DiagnosticCodes.UnknownField, field.Name.Span, $"`with` replaces parameters of one layer that has some, and this is {target.Describe()}").And(field.Target.Span, "this");
        return new WrappedValue("with other parameters", target, new ParameterUse
        {
            Values = [.. call.Arguments.Select(a => new GivenParameter(instance.Layer, a.Name!.Value.Text, Tensor(Eval(a.Value, c), a.Value)))],
        }, call);
    }

    private Value Apply(WrappedValue wrapped, ImmutableArray<Given> given, ExprSyntax at, Context c)
    {
        if (wrapped.Use is not { } use)
            return wrapped.Inner is InstanceValue one ? Apply(new InstanceValue(one.Layer.Checkpoint(), one.Path, one.Span, one.Declaration, one.Entry), given, at, c) : Checkpointed(wrapped, given, at, c);
        Value result;
        using (builder.Use(use))
            result = Apply(wrapped.Inner, given, at, c);
        for (var i = 0; i < use.Values.Length; i++)
        {
            if (use.Values[i].IsUsed)
                continue;
            var (name, owner) = (wrapped.Syntax.Arguments[i].Name!.Value, OwnerOf(wrapped));
            var prefix = owner.Path + ".";
            var known = builder.ParametersUnder(owner.Path).Select(p => p.Path[prefix.Length..]).Where(p => !p.Contains('.') && !p.Contains('[')).ToArray();
            throw new DiagnosticException(DiagnosticCodes.UnknownField.At(name.Span, $"`{owner.Path}` has no parameter `{name.Text}` of its own")
                .WithSuggestion(name.Text, name.Span, known).WithNote(known.Length > 0 ? $"it has {string.Join(", ", known)}" : "it has none"));
        }

        return result;
    }

    private static InstanceValue OwnerOf(WrappedValue wrapped)
    {
        LayerValue owner = wrapped;
        while (owner is WrappedValue next)
            owner = next.Inner;
        return (InstanceValue)owner;
    }

    private Value Checkpointed(WrappedValue wrapped, ImmutableArray<Given> given, ExprSyntax at, Context c)
    {
        var inputs = given.Select(g => Tensor(g.Value, g.Syntax)).ToImmutableArray();
        var isTuple = false;
        var results = Checkpoint.Apply(inputs, entries =>
        {
            var value = Apply(wrapped.Inner, [.. given.Select((g, i) => g with { Value = new TensorValue(entries[i]) })], at, c);
            isTuple = value is TupleValue;
            return isTuple ? [.. ((TupleValue)value).Items.Select(i => Tensor(i, at))] : [Tensor(value, at)];
        });
        builder.Location = LocationOf(at);
        foreach (var result in results)
            builder.Record(result);
        return isTuple ? new TupleValue([.. results.Select(r => new TensorValue(r))]) : new TensorValue(results[0]);
    }

    private Value Apply(ViewValue view, ImmutableArray<Given> given, ExprSyntax at)
    {
        if (given is not [{ Name: null } only])
            throw Error(DiagnosticCodes.TooManyArguments, at.Span, $"`{view.Layer.Kind}` takes one tensor");
        var input = Tensor(only.Value, only.Syntax);
        return Build(at, [(only.Syntax, input)], () => builder.Apply(view.Layer, [input])[0]);
    }
}
