using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary><c>grad(y, x)</c> and its relatives.</summary>
internal sealed partial class Elaborator
{
    private Value Derivative(CatalogEntry entry, ImmutableArray<ArgumentSyntax> arguments, ImmutableArray<Given> piped, ExprSyntax at, Context c)
    {
        if (entry.Name == "params")
            return Parameters(arguments, piped, at, c);
        var values = Values(entry, arguments, piped, at, c, null, out var sites);
        var of = Tensor(values[0]!, sites[0] ?? at);
        var with = values[1]!;
        var nodes = new List<Expr>();
        Flatten(with, sites[1]!, nodes);
        var hasVector = entry.Name is "vjp" or "jvp" or "hvp";
        var zeros = values[^1] is { } unused && (string)Convert(unused, entry.Parameters[^1], sites[^1]!, c)! == "zeros";
        builder.Location = LocationOf(at);
        try
        {
            Expr?[] results;
            Shape[]? zeroShapes = null;
            switch (entry.Name)
            {
                case "grad" or "value_and_grad":
                    CheckScalar(of, sites[0] ?? at, entry.Name);
                    results = Gradient.Of(of, nodes, builder.Provenance);
                    break;
                case "jacobian":
                    results = [.. nodes.Select(x => Gradient.Jacobian(of, x, builder.Provenance))];
                    zeroShapes = [.. nodes.Select(x => new Shape([.. of.Shape.Dims, .. x.Shape.Dims]))];
                    break;
                case "hessian":
                    CheckScalar(of, sites[0] ?? at, entry.Name);
                    results = [.. nodes.Select(x => Gradient.Hessian(of, x, builder.Provenance))];
                    zeroShapes = [.. nodes.Select(x => new Shape([.. x.Shape.Dims, .. x.Shape.Dims]))];
                    break;
                case "vjp":
                    var cotangent = Fitting(Tensor(values[2]!, sites[2] ?? at), of.Type, sites[2] ?? at);
                    results = Gradient.Vjp([of], [cotangent], nodes, builder.Provenance);
                    break;
                default:
                    var vectors = new List<Expr>();
                    if (values[2] is TupleValue or ListValue && with is TupleValue or ListValue)
                        Flatten(values[2]!, sites[2] ?? at, vectors);
                    else
                        vectors.Add(Tensor(values[2]!, sites[2] ?? at));
                    if (vectors.Count != nodes.Count)
                        throw Error(DiagnosticCodes.PatternMismatch, sites[2]!.Span, $"there are {nodes.Count} variables, and {vectors.Count} vectors");
                    for (var i = 0; i < nodes.Count; i++)
                        vectors[i] = Fitting(vectors[i], nodes[i].Type, sites[2] ?? at);
                    if (entry.Name == "jvp")
                        return Pushed(of, nodes, vectors, zeros, at, sites[1]!);
                    CheckScalar(of, sites[0] ?? at, entry.Name);
                    results = Gradient.Hvp(of, nodes, vectors);
                    break;
            }

            for (var i = 0; i < results.Length; i++)
            {
                if (results[i] is null && !zeros)
                    throw Disconnected(of, nodes[i], hasVector, at, sites[1]!);
                results[i] ??= zeroShapes is null ? nodes[i].ZerosLike() : Expr.Full(zeroShapes[i], 0, nodes[i].DType);
                builder.Record(results[i]!);
            }

            var next = 0;
            var gradients = Rebuild(with, results, ref next);
            return entry.Name == "value_and_grad" ? new TupleValue([new TensorValue(of), gradients]) : gradients;
        }
        catch (GraphException e)
        {
            throw Explain(e, at, [(sites[0] ?? at, of)]);
        }
    }

    private TensorValue Pushed(Expr of, List<Expr> nodes, List<Expr> vectors, bool zeros, ExprSyntax at, ExprSyntax withSyntax)
    {
        Expr? sum = null;
        for (var i = 0; i < nodes.Count; i++)
        {
            var part = Gradient.Jvp(of, nodes[i], vectors[i]);
            if (part is null && !zeros)
                throw Disconnected(of, nodes[i], true, at, withSyntax);
            if (part is not null)
                sum = sum is null ? part : sum + part;
        }

        var result = sum ?? of.ZerosLike();
        builder.Record(result);
        return new TensorValue(result);
    }

    private static Expr Fitting(Expr vector, TensorType type, ExprSyntax at)
    {
        try
        {
            return vector.Cast(type.DType).BroadcastTo(type.Shape);
        }
        catch (ShapeException)
        {
            throw Error(DiagnosticCodes.ShapeMismatch, at.Span, $"this vector has the shape {vector.Shape}, and {type.Shape} is needed");
        }
    }

    private static void CheckScalar(Expr of, ExprSyntax at, string name)
    {
        if (!of.Shape.IsScalar || !of.DType.IsFloat())
            throw Error(DiagnosticCodes.NotScalar, at.Span, $"`{name}` differentiates one float number, and this is {of.Type}").Note("take its sum or mean, or use `vjp` with a cotangent");
    }

    private static void Flatten(Value value, ExprSyntax at, List<Expr> nodes)
    {
        switch (value)
        {
            case TensorValue tensor:
                nodes.Add(tensor.Expr);
                break;
            case TupleValue or ListValue when value is not ListValue list || NumbersOf(list) is null || list.Items.IsEmpty:
                foreach (var item in ItemsOf(value))
                    Flatten(item, at, nodes);
                break;
            case ErrorValue:
                throw new DiagnosticException(null);
            case LayerValue:
                throw Error(DiagnosticCodes.GradientTarget, at.Span, $"{value.Describe()} is no tensor").Note("with respect to its parameters: grad(y, params(f)), or one of them: f.weight");
            default:
                throw Error(DiagnosticCodes.GradientTarget, at.Span, $"this is {value.Describe()}, known while the model is put together: nothing depends on it any more").Note("a number is differentiated when it is bound by a `let` in the same body");
        }
    }

    private static Value Rebuild(Value structure, Expr?[] results, ref int next)
    {
        if (structure is TensorValue)
            return new TensorValue(results[next++]!);
        var items = ImmutableArray.CreateBuilder<Value>();
        foreach (var item in ItemsOf(structure))
            items.Add(Rebuild(item, results, ref next));
        return structure is ListValue ? new ListValue(items.ToImmutable()) : new TupleValue(items.ToImmutable());
    }

    private DiagnosticException Disconnected(Expr of, Expr node, bool hasVector, ExprSyntax at, ExprSyntax with)
    {
        var problem = Error(DiagnosticCodes.NoGradientPath, with.Span, node.DType.IsFloat()
            ? $"`{with.Span.Text}` has no influence that could be differentiated: {Gradient.Disconnection(of, node)}"
            : $"`{with.Span.Text}` holds {node.DType.Text()}, and only floats can be differentiated with respect to");
        foreach (var barrier in Gradient.Barriers(of, node).Take(3))
        {
            if (SpanOf(builder.Provenance.Find(barrier)?.Location) is { } span)
                problem = problem.And(span, $"the path stops here, at `{barrier.Op.Name}`");
        }

        return problem.Note("with `unused = zeros` the result is zeros where there is no path");
    }

    /// <summary>The parameters of some layers, or of the whole model so far.</summary>
    private Value Parameters(ImmutableArray<ArgumentSyntax> arguments, ImmutableArray<Given> piped, ExprSyntax at, Context c)
    {
        var layers = piped.Select(p => p.Value).Concat(arguments.Select(a => Eval(a.Value, c))).ToArray();
        var found = new List<Expr>();
        if (layers.Length == 0)
            found.AddRange(builder.Parameters.Select(p => p.Variable));
        foreach (var layer in layers)
            Parameters(layer, at, found);
        if (found.Count == 0)
            throw Error(DiagnosticCodes.UnknownField, at.Span, "there are no parameters here").Note("a layer has its parameters from its first application on");
        return new ListValue([.. found.Distinct().Select(e => new TensorValue(e))]);
    }

    private void Parameters(Value layer, ExprSyntax at, List<Expr> found)
    {
        switch (layer)
        {
            case InstanceValue instance:
                found.AddRange(builder.ParametersUnder(instance.Path).Select(p => p.Variable));
                break;
            case WrappedValue wrapped:
                Parameters(wrapped.Inner, at, found);
                break;
            case ViewValue view:
                Parameters(view.Owner, at, found);
                break;
            case ComposedValue composed:
                foreach (var part in composed.Layers)
                    Parameters(part, at, found);
                break;
            case LayerValue:
                break;
            default:
                throw Error(DiagnosticCodes.TypeMismatch, at.Span, $"`params` takes layers, and this is {layer.Describe()}");
        }
    }
}
