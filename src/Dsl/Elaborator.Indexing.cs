using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary><c>x[0, 1:, ..., None]</c></summary>
internal sealed partial class Elaborator
{
    private Value Index(IndexSyntax index, Context c)
    {
        var target = Eval(index.Target, c);
        ImmutableArray<Value> items = target switch
        {
            ListValue list => list.Items,
            TupleValue tuple => tuple.Items,
            ComposedValue composed => [.. composed.Layers],
            _ => default,
        };
        if (items.IsDefault)
            return IndexTensor(Tensor(target, index.Target), index, c);
        if (index.Indices is [SliceSyntax slice])
        {
            var chosen = Steps(Bound(slice.Start, c), Bound(slice.Stop, c), slice.Step is null ? 1 : Turn(slice.Step, c), items.Length, slice).Select(i => items[(int)i]).ToImmutableArray();
            return target switch
            {
                TupleValue => new TupleValue(chosen),
                ListValue => new ListValue(chosen),
                _ => new ComposedValue([.. chosen.Cast<LayerValue>()]),
            };
        }

        if (index.Indices is not [var only] || only is EllipsisSyntax || IsNewAxis(only) || Eval(only, c) is not { } value || value is TensorValue or ListValue)
            return IndexTensor(Tensor(target, index.Target), index, c);
        var at = NumberOf(value) is { } number ? Whole(number, only, null) : throw NotStatic(value, only, "an index of a list is a whole number, and");
        var position = at < 0 ? at + items.Length : at;
        return position >= 0 && position < items.Length
            ? items[(int)position]
            : throw Error(DiagnosticCodes.IndexOutOfRange, only.Span, $"index {at} is out of range: there are {items.Length} items").And(index.Target.Span, "of this");
    }

    private long? Bound(ExprSyntax? syntax, Context c) => syntax is null ? null : Turn(syntax, c);

    /// <summary>The positions that a slice takes, as in Python.</summary>
    private static IEnumerable<long> Steps(long? start, long? stop, long step, long size, SliceSyntax slice)
    {
        if (step == 0)
            throw Error(DiagnosticCodes.OutOfRange, slice.Span, "the step of a slice is not 0");
        long Clamp(long i, long low, long high) => Math.Clamp(i < 0 ? i + size : i, low, high);
        if (step > 0)
        {
            for (long i = Clamp(start ?? 0, 0, size), end = Clamp(stop ?? size, 0, size); i < end; i += step)
                yield return i;
        }
        else
        {
            for (long i = start is { } s ? Clamp(s, -1, size - 1) : size - 1, end = stop is { } e ? Clamp(e, -1, size - 1) : -1; i > end; i += step)
                yield return i;
        }
    }

    private Value IndexTensor(Expr x, IndexSyntax index, Context c)
    {
        var used = index.Indices.Count(i => i is not EllipsisSyntax && !IsNewAxis(i));
        if (index.Indices.Count(i => i is EllipsisSyntax) > 1)
            throw Error(DiagnosticCodes.TypeMismatch, index.Span, "`...` stands at most once in an index");
        if (used > x.Rank)
            throw Error(DiagnosticCodes.IndexOutOfRange, index.Span, $"{used} indices for {x.Shape}, which has {Axes(x.Rank)}").And(index.Target.Span, $"this is {x.Shape}");
        var result = x;
        var axis = 0;
        Expr? taken = null;
        foreach (var item in index.Indices)
        {
            if (item is EllipsisSyntax)
            {
                axis += x.Rank - used;
                continue;
            }

            if (IsNewAxis(item))
            {
                var at = axis++;
                result = Build(index, [(index.Target, result)], () => result.ExpandDims(at)).Expr;
                continue;
            }

            if (item is SliceSyntax slice)
            {
                result = Slice(result, axis++, slice, index, c);
                continue;
            }

            var value = Eval(item, c);
            if (value is TensorValue or ListValue)
            {
                var indices = Tensor(value, item, DType.I64);
                if (indices.DType == DType.Bool)
                    throw Error(DiagnosticCodes.ElementType, item.Span, "a bool tensor is no index: how many elements it takes is not known").Note("`where(c, x, 0)` keeps the shape");
                if (indices.DType != DType.I64)
                    throw Error(DiagnosticCodes.ElementType, item.Span, $"an index holds whole numbers, and this is {value.Describe()}").Note("cast(x, int) drops the fraction");
                if (taken is not null)
                    throw Error(DiagnosticCodes.TypeMismatch, item.Span, "one index of an expression may be a tensor");
                taken = indices;
                var (source, along) = (result, axis);
                result = Build(index, [(index.Target, source), (item, indices)], () => source.Take(indices, along)).Expr;
                axis += indices.Rank;
                continue;
            }

            result = Pick(result, axis, value, item, index);
        }

        return new TensorValue(result);
    }

    private bool IsNewAxis(ExprSyntax index) => index.Bare is NameSyntax name && binding.Words.TryGetValue(name, out var word) && word == "None";

    private Expr Pick(Expr x, int axis, Value value, ExprSyntax item, IndexSyntax index)
    {
        var at = SizeOf(value, item);
        var size = x.Shape[axis];
        var outside = at.IsKnown && (size.IsKnown ? at.Value >= size.Value || at.Value < -size.Value : false);
        if (outside)
        {
            var problem = Error(DiagnosticCodes.IndexOutOfRange, item.Span, $"index {at} is out of range: axis {axis} of {x.Shape} has size {size}");
            throw OriginOf(x, axis) is { } origin ? problem.And(origin.Label.Span, origin.Label.Text) : problem;
        }

        var position = at is { IsKnown: true, Value: < 0 } ? size + at : at;
        return Build(index, [(index.Target, x)], () => x.SliceAxis(axis, position, position + 1).Squeeze(axis)).Expr;
    }

    private Expr Slice(Expr x, int axis, SliceSyntax slice, IndexSyntax index, Context c)
    {
        var size = x.Shape[axis];
        var step = slice.Step is null ? 1 : Turn(slice.Step, c);
        if (step == 0 || Math.Abs(step) > int.MaxValue)
            throw Error(DiagnosticCodes.OutOfRange, slice.Span, $"the step of a slice is not {step}");
        if (step < 0)
        {
            if (slice.Start is not null || slice.Stop is not null)
                throw Error(DiagnosticCodes.TypeMismatch, slice.Span, "with a negative step a slice takes the whole axis: x[::-1]");
            return Build(index, [(index.Target, x)], () =>
            {
                var reversed = x.Reverse(axis);
                return step == -1 ? reversed : reversed.SliceAxis(axis, 0, size, (int)-step);
            }).Expr;
        }

        var start = Edge(slice.Start, size, Dim.Zero, c);
        var stop = Edge(slice.Stop, size, size, c);
        if (start.IsKnown && stop.IsKnown && start.Value > stop.Value)
            stop = start;
        return Build(index, [(index.Target, x)], () => x.SliceAxis(axis, start, stop, (int)step)).Expr;
    }

    /// <summary>An end of a slice; those that are known are clamped.</summary>
    private Dim Edge(ExprSyntax? syntax, Dim size, Dim otherwise, Context c)
    {
        if (syntax is null)
            return otherwise;
        var at = SizeOf(Eval(syntax, c), syntax);
        if (at is { IsKnown: true, Value: < 0 })
            at = size + at;
        if (!at.IsKnown)
            return at;
        return at.Value < 0 ? Dim.Zero : size.IsKnown && at.Value > size.Value ? size : at;
    }
}
