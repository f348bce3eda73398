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
            foreach (var (_, value) in operands)
            {
                if (OriginOfDifference(shape, value) is { } origin && labelled.Add(origin))
                    problem = problem.And(origin.Span, origin.Text);
            }
        }

        if (instance is not null && instance.Span != at.Span)
            problem = problem.And(instance.Span, $"`{instance.Path}` is constructed here");
        foreach (var advice in Advice(shape, operands))
            problem = problem.Note(advice);
        return problem;
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
        return problem;
    }

    /// <summary>Where the size at which two shapes differ came from, in one of the operands.</summary>
    private Label? OriginOfDifference(ShapeException e, Expr value)
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

    private static IEnumerable<string> Advice(ShapeException? e, IReadOnlyList<(ExprSyntax Syntax, Expr Value)> operands)
    {
        if (e is not null && e.Message.Contains("earlier application", StringComparison.Ordinal))
            yield return "an instance has one set of parameters, shared by all its applications; construct another one for another size";
        if (e is null || operands is not [var (xs, x), var (ys, y)])
            yield break;
        if (x.Rank >= 1 && y.Rank >= 1 && e.Message.StartsWith(Product, StringComparison.Ordinal))
        {
            var inner = y.Shape[y.Rank == 1 ? 0 : y.Rank - 2];
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

    /// <summary>Where the size of one axis came from: a declaration, or the layer that made it.</summary>
    private Label? OriginOf(Expr value, int axis)
    {
        var size = value.Shape[axis];
        for (var steps = 0; steps < 10_000; steps++)
        {
            while (value is { Op: Graph.Barrier, Args: [var entry, ..] })
                value = entry;
            if (declared.TryGetValue(value, out var label))
                return label;
            if (value.Op is Variable { Symbol.Name: var path })
            {
                var dot = path.LastIndexOf('.');
                return dot > 0 && instances.TryGetValue(path[..dot], out var instance)
                    ? new Label(instance.Span, $"`{instance.Path}` makes this size {size}")
                    : null;
            }

            var (next, at) = Previous(value, axis);
            if (next is null)
                break;
            (value, axis) = (next, at);
        }

        return SpanOf(builder.Provenance.Find(value)?.Location) is { } span ? new Label(span, $"this makes the size {size}") : null;
    }

    /// <summary>The argument whose axis became this one.</summary>
    private static (Expr? Node, int Axis) Previous(Expr value, int axis)
    {
        var args = value.Args;
        switch (value.Op)
        {
            case Broadcast broadcast:
                var source = broadcast.Axes.ToList().IndexOf(axis);
                return source >= 0 ? (args[0], source) : default;
            case DotGeneral dot:
                var left = Enumerable.Range(0, args[0].Rank).Where(i => !dot.LeftBatch.Contains(i) && !dot.LeftContract.Contains(i)).ToArray();
                var right = Enumerable.Range(0, args[1].Rank).Where(i => !dot.RightBatch.Contains(i) && !dot.RightContract.Contains(i)).ToArray();
                var batch = dot.LeftBatch.Count;
                return axis < batch ? (args[0], dot.LeftBatch[axis])
                    : axis < batch + left.Length ? (args[0], left[axis - batch])
                    : (args[1], right[axis - batch - left.Length]);
            case Sum sum:
                return (args[0], Kept(args[0].Rank, sum.Axes, axis));
            case ReduceMax max:
                return (args[0], Kept(args[0].Rank, max.Axes, axis));
            case ReduceMin min:
                return (args[0], Kept(args[0].Rank, min.Axes, axis));
            case Transpose transpose:
                return (args[0], transpose.Permutation[axis]);
            case Concat concat:
                return axis == concat.Axis ? default : (args[0], axis);
            case Reshape:
                var old = args[0].Shape;
                if (axis < old.Rank && Enumerable.Range(0, axis + 1).All(i => old[i].Equals(value.Shape[i])))
                    return (args[0], axis);
                var fromEnd = value.Rank - axis;
                return fromEnd <= old.Rank && Enumerable.Range(1, fromEnd).All(i => old[^i].Equals(value.Shape[^i])) ? (args[0], old.Rank - fromEnd) : default;
            case Slice slice:
                return args[0].Shape[axis].Equals(value.Shape[axis]) ? (args[0], axis) : default;
            default:
                // By element: an argument that was not stretched to this size.
                foreach (var arg in args)
                {
                    if (arg.Rank == value.Rank && arg.Shape[axis].Equals(value.Shape[axis]) && !(arg.Op is Broadcast b && !b.Axes.Contains(axis)))
                        return (arg, axis);
                }

                return default;
        }
    }

    private static int Kept(int rank, ValueList<int> reduced, int axis) => Enumerable.Range(0, rank).Where(i => !reduced.Contains(i)).ElementAt(axis);
}
