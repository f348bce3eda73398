using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Attention in one kernel, and its derivative in another.</summary>
internal sealed partial class Planner
{
    /// <summary>Attention by the node that its kernel computes, and by the first node of its derivative.</summary>
    private readonly Dictionary<int, AttentionPattern> attentions = [];

    /// <summary>Nodes that attention computes, as <see cref="Fusion"/> takes them.</summary>
    private int[] FindAttention(HashSet<int> roots)
    {
        var claimed = new int[graph.Count];
        Array.Fill(claimed, -1);
        if (!options.Fuse || options.MatrixProduct is not null || body is not null)
            return claimed;
        for (var id = 0; id < graph.Count; id++)
        {
            if (graph.Kind(id) != OpKind.Elementwise || AttentionPattern.TryMatch(graph, id, roots.Contains) is not { } attention || attention.Nodes.Any(node => claimed[node] >= 0))
                continue;
            foreach (var node in attention.Nodes)
                claimed[node] = attention.DerivativeAt;
            if (attention.Mixed is { } mixed)
                attentions.Add(mixed.Dot, attention);
            if (attention.Derivative is not null)
                attentions.Add(attention.DerivativeAt, attention);
        }

        return claimed;
    }

    private void EmitAttention(int id, AttentionPattern pattern)
    {
        var labels = Enumerable.Range(0, pattern.Sizes.Length).Where(l => l != pattern.Query && l != pattern.Key && pattern.Sizes[l] != 1).ToArray();
        var shared = pattern.Derivative is { } d ? labels.Where(l => d.ToKeys.Result.Axes[l].Axis < 0).ToArray() : [];
        int[] units = [.. labels.Except(shared), .. shared];
        var (queries, keys) = (Resolve(pattern.Queries.Node), Resolve(pattern.Keys.Node));
        var mask = pattern.Mask is { } shown ? Resolve(shown.Node) : null;
        if (mask is not null && mask.Strides[^1] != 1)
            mask = Copied(mask);
        var mixed = pattern.Mixed is { } own && own.Dot == id ? own : null;
        var product = mixed ?? pattern.Derivative!.Value.ToValues;
        var values = mixed is null ? null : Resolve(mixed.Other.Node);
        var plan = new AttentionPlan(
            [.. units.Select(l => pattern.Sizes[l])], shared.Aggregate(1L, (product, l) => product * pattern.Sizes[l]), (int)pattern.Sizes[pattern.Query], (int)pattern.Sizes[pattern.Key],
            queries.Dims[pattern.Queries.Feature], graph.Dims(product.Dot)[product.Result.Feature], pattern.IsGuarded,
            ByQuery(pattern.Queries, queries), ByKey(pattern.Keys, keys), values is null ? null : ByKey(product.Other, values),
            mask is null ? null : Of(pattern.Mask!, mask, pattern.Query, pattern.Key),
            pattern.Dropout is { } drops ? new AttentionDrops(drops.Rate, drops.Scale, Of(drops.Numbers, Whole(Nowhere, graph.Dims(drops.Numbers.Node)), pattern.Query, pattern.Key)) : null);
        Operand[] extras = [.. mask is null ? [] : new[] { At(mask) }, .. pattern.Dropout is { } random ? new[] { At(Resolve(random.Key)) } : []];
        if (mixed is not null)
        {
            var target = Rows(mixed);
            Add(new AttentionInstruction(id, graph.Type(id), plan, ByQuery(mixed.Result, target), [At(queries), At(keys), At(values!), .. extras, At(target)]));
            return;
        }

        var bar = pattern.Derivative!.Value;
        var (cotangent, valued) = (Resolve(bar.Cotangent.Node), Resolve(bar.Values.Node));
        var (toValues, toQueries, toKeys) = (Resolve(bar.ToValues.Other.Node), Resolve(bar.ToQueries.Other.Node), Resolve(bar.ToKeys.Other.Node));
        var (valueBar, queryBar, keyBar) = (Rows(bar.ToValues), Rows(bar.ToQueries), Rows(bar.ToKeys));
        var gradient = new AttentionGradientPlan(
            plan, ByQuery(bar.Cotangent, cotangent), ByKey(bar.Values, valued), ByQuery(bar.ToValues.Other, toValues), ByKey(bar.ToQueries.Other, toQueries), ByQuery(bar.ToKeys.Other, toKeys),
            ByKey(bar.ToValues.Result, valueBar), ByQuery(bar.ToQueries.Result, queryBar), ByKey(bar.ToKeys.Result, keyBar));
        Operand[] operands = [At(queries), At(keys), At(cotangent), At(valued), At(toValues), At(toQueries), At(toKeys), .. extras, At(valueBar), At(queryBar), At(keyBar)];
        Add(new AttentionGradientInstruction([bar.ToValues.Dot, bar.ToQueries.Dot, bar.ToKeys.Dot], graph.Type(id), gradient, operands));

        AttentionStrides ByQuery(AttentionFactor factor, View view) => Of(factor, view, pattern.Query, -1);

        AttentionStrides ByKey(AttentionFactor factor, View view) => Of(factor, view, pattern.Key, -1);

        AttentionStrides Of(AttentionFactor factor, View view, int row, int column) =>
            new([.. units.Select(l => StrideOf(factor, view, l))], StrideOf(factor, view, row), column >= 0 ? StrideOf(factor, view, column) : view.Strides[factor.Feature]);
    }

    /// <summary>Stands for the memory of a tensor whose elements are numbered, but nowhere stored.</summary>
    private const int Nowhere = -1;

    private static long StrideOf(AttentionFactor factor, View view, int label) => factor.Axes[label] is { Axis: >= 0 } place ? view.Strides[place.Axis] * place.Factor : 0;

    /// <summary>Memory for a product whose feature axis is contiguous.</summary>
    private View Rows(AttentionProduct product)
    {
        var (id, feature) = (product.Dot, product.Result.Feature);
        var target = Target(id);
        if (target.Strides[feature] != 1)
        {
            int[] order = [.. Enumerable.Range(0, target.Dims.Length).Where(a => a != feature), feature];
            target = Whole(target.Value, graph.Intern([.. order.Select(a => target.Dims[a])])).Permute(Inverse(order), target.Dims);
        }

        if (target.IsContiguous)
            valueOf[id] = target.Value;
        else
            views[id] = target;
        return target;
    }
}
