using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>What does not fit, explained: both shapes, where each size came from, and what would repair it.</summary>
internal sealed partial class Elaborator
{
    private const string Product = "dot_general: ";

    private DiagnosticException Explain(GraphException e, ExprSyntax at, IReadOnlyList<(ExprSyntax Syntax, Expr Value)> operands, TextSpan? extra = null, InstanceValue? instance = null)
    {
        var message = e.Message.StartsWith(Product, StringComparison.Ordinal) ? string.Concat("matrix product: ", e.Message.AsSpan(Product.Length)) : e.Message;
        var problem = Error(e is ShapeException ? DiagnosticCodes.ShapeMismatch : DiagnosticCodes.InvalidGraph, at.Span, message);
        var shape = e as ShapeException;
        var remedies = new List<string>();
        var labelled = new HashSet<Label>();
        foreach (var (syntax, value) in operands)
        {
            if (syntax.Span != at.Span && labelled.Add(new Label(syntax.Span, "")))
                problem = problem.And(syntax.Span, $"this is {value.Type}");
        }

        if (extra is { } span)
            problem = problem.And(span, "declared here");
        if (shape is not null)
        {
            var isProduct = IsProduct(shape, operands);
            for (var i = 0; i < operands.Count; i++)
            {
                var value = operands[i].Value;
                if ((isProduct ? OriginOf(value, Contracted(value, i == 0)) : OriginOfDifference(shape, value)) is not { } origin)
                    continue;
                if (labelled.Add(origin.Label))
                    problem = problem.And(origin.Label.Span, origin.Label.Text);
                if (operands.Count == 2 && Remedy(origin.Maker, SizeToMeet(shape, operands[1 - i].Value, isProduct, isLeft: i == 1)) is { } remedy)
                    remedies.Add(remedy);
            }
        }

        if (instance is not null && instance.Span != at.Span && labelled.All(l => l.Span != instance.Span))
            problem = problem.And(instance.Span, $"`{instance.Path}` is constructed here");
        foreach (var advice in Advice(shape, operands))
            problem = problem.Note(advice);

        // Where both could change, it is for people to say which.
        return remedies is [var only] ? problem.Note(only) : problem;
    }

    /// <summary>What is wrong with a pattern, shown at its own characters where it stands in the text as a string.</summary>
    private static DiagnosticException Explain(PatternException e, CatalogEntry entry, Value?[] values, ExprSyntax?[] sites, ExprSyntax at, IReadOnlyList<(ExprSyntax Syntax, Expr Value)> operands)
    {
        if (e.Argument is { } argument)
        {
            var name = values.OfType<SizesValue>().SelectMany(s => s.Items).First(i => i.Name.Text == argument).Name;
            return Error(DiagnosticCodes.UnknownArgument, name.Span, $"{e.What}, and `{entry.Name}` no parameter of that name");
        }

        var site = sites[entry.Parameters.IndexOf(entry.Parameters.First(p => p.Kind == ParameterKind.String))];
        var inside = site?.Bare is StringSyntax text;
        var problem = Error(e.IsMisfit ? DiagnosticCodes.PatternMisfit : DiagnosticCodes.InvalidPattern, inside ? ((StringSyntax)site!.Bare).SpanOf(e.Start, e.Length) : site?.Span ?? at.Span, inside ? e.What : e.Message);
        foreach (var (syntax, value) in e.IsMisfit ? operands : [])
            problem = problem.And(syntax.Span, $"this is {value.Type}");
        foreach (var (name, size, syntax) in e.IsMisfit ? values.OfType<SizesValue>().SelectMany(s => s.Items) : [])
        {
            if (syntax.Bare is not NumberSyntax && NumberOf(size) is { } number)
                problem = problem.And(syntax.Span, $"`{name.Text}` is {Printer.Number(number)}");
        }

        return problem;
    }

    /// <summary>The size of the other operand that one must have; null where that does not follow.</summary>
    private static string? SizeToMeet(ShapeException e, Expr other, bool isProduct, bool isLeft)
    {
        if (isProduct)
            return other.Shape[Contracted(other, isLeft)].ToString();
        return e is { Left: { } left, Right: { } right, Axis: { } axis } && other.Rank - (Math.Max(left.Rank, right.Rank) - axis) is >= 0 and var own ? other.Shape[own].ToString() : null;
    }

    /// <summary>What would make a layer give another size.</summary>
    private static string? Remedy(InstanceValue? maker, string? size) =>
        size is not null && maker?.Entry?.Parameters is [{ Name: "units" or "filters" } width, ..] ? $"`{maker.Path}` fits with `{width.Name} = {size}`" : null;

    /// <summary>Where the size at which two shapes differ came from, in one of the operands.</summary>
    private Origin? OriginOfDifference(ShapeException e, Expr value)
    {
        if (value.Rank == 0)
            return null;
        if (e.Left is not null && e.Right is not null && e.Axis is { } axis)
        {
            var rank = Math.Max(e.Left.Rank, e.Right.Rank);
            var own = value.Rank - (rank - axis);
            return own >= 0 && own < value.Rank ? OriginOf(value, own) : null;
        }

        return OriginOf(value, value.Rank - 1);
    }

    /// <summary>The axis of an operand that a matrix product sums over.</summary>
    private static int Contracted(Expr operand, bool isLeft) => isLeft || operand.Rank == 1 ? operand.Rank - 1 : operand.Rank - 2;

    private static bool IsProduct(ShapeException e, IReadOnlyList<(ExprSyntax Syntax, Expr Value)> operands) =>
        operands is [{ Value.Rank: >= 1 }, { Value.Rank: >= 1 }] && e.Message.StartsWith(Product, StringComparison.Ordinal);

    private static IEnumerable<string> Advice(ShapeException? e, IReadOnlyList<(ExprSyntax Syntax, Expr Value)> operands)
    {
        if (e is not null && e.Message.Contains("earlier application", StringComparison.Ordinal))
            yield return "an instance has one set of parameters, shared by all its applications; construct another one for another size";
        if (e is null || operands is not [var (xs, x), var (ys, y)])
            yield break;
        if (IsProduct(e, operands))
        {
            var inner = y.Shape[Contracted(y, isLeft: false)];
            yield return $"a matrix product sums over the last axis of the left ({x.Shape[^1]}) and the {(y.Rank == 1 ? "only" : "second to last")} axis of the right ({inner}), so they must be equal";
            if (y.Rank >= 2 && Dim.AreEqual(x.Shape[^1], y.Shape[^1]) == Answer.Proved)
                yield return $"the transpose of the right fits: {(y.Rank == 2 ? $"transpose({ys.Span.Text})" : $"swapaxes({ys.Span.Text}, -1, -2)")}";
        }
        else if (x.Rank == y.Rank + 1 && x.Shape[^1].Equals(Dim.One))
        {
            yield return $"{x.Shape} has an axis of size 1 at its end, which {y.Shape} lacks: squeeze({xs.Span.Text}, -1), or {ys.Span.Text}[..., None]";
        }
        else if (y.Rank == x.Rank + 1 && y.Shape[^1].Equals(Dim.One))
        {
            yield return $"{y.Shape} has an axis of size 1 at its end, which {x.Shape} lacks: squeeze({ys.Span.Text}, -1), or {xs.Span.Text}[..., None]";
        }
        else if (x.Rank == 2 && y.Rank == 2 && Dim.AreEqual(x.Shape[0], y.Shape[1]) == Answer.Proved && Dim.AreEqual(x.Shape[1], y.Shape[0]) == Answer.Proved)
        {
            yield return $"the transpose of one fits the other: transpose({ys.Span.Text})";
        }
        else if (e.Axis is not null && e.Message.Contains("broadcast", StringComparison.Ordinal))
        {
            yield return "sizes are compared from the last axis on; they must be equal, or one of them 1 or missing";
        }
    }

    /// <summary>Where a size came from, and the layer that made it, if one did.</summary>
    private readonly record struct Origin(Label Label, InstanceValue? Maker = null);

    /// <summary>Where the size of one axis came from: a declaration, or the layer that made it.</summary>
    private Origin? OriginOf(Expr value, int axis)
    {
        var size = value.Shape[axis];
        for (var steps = 0; steps < 10_000; steps++)
        {
            while (value is { Op: Graph.Barrier, Args: [var entry, ..] })
                value = entry;
            if (declared.TryGetValue(value, out var label))
                return new Origin(label);
            if (value.Op is Variable { Symbol.Name: var path })
            {
                var dot = path.LastIndexOf('.');
                return dot > 0 && instances.TryGetValue(path[..dot], out var instance)
                    ? new Origin(new Label(instance.Span, $"`{instance.Path}` makes this size {size}"), instance)
                    : null;
            }

            var (next, at) = AxisOrigin.Previous(value, axis);
            if (next is null)
                break;
            (value, axis) = (next, at);
        }

        return SpanOf(builder.Provenance.Find(value)?.Location) is { } span ? new Origin(new Label(span, $"this makes the size {size}")) : null;
    }
}
