using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>Gradients at many nodes of one graph at once.</summary>
public static class Probes
{
    /// <summary>The gradient of a scalar at each of some nodes, which may depend on each other; null where it does not depend on one.</summary>
    /// <remarks>
    /// <see cref="Gradient.Of(Expr, IReadOnlyList{Expr}, IDerivationListener?)"/> cuts the nodes that it is asked for. Here a variable is added to each instead, and its
    /// gradient taken at 0.
    /// </remarks>
    public static ImmutableArray<Expr?> Gradients(Expr y, IReadOnlyList<Expr> nodes)
    {
        var asked = nodes.Where(n => n.DType.IsFloat()).ToHashSet();
        var probes = new Dictionary<Expr, Expr>();
        var map = new Dictionary<Expr, Expr>();
        foreach (var node in Expr.PostOrder([y]))
        {
            var rebuilt = node.WithArgs(map);
            if (asked.Contains(node))
            {
                probes[node] = Expr.Variable("probe", node.Shape, node.DType);
                rebuilt += probes[node];
            }

            map[node] = rebuilt;
        }

        var present = probes.Keys.ToArray();
        var gradients = Gradient.Of(map[y], [.. present.Select(n => probes[n])]);
        var zeros = probes.Values.ToDictionary(p => p, p => p.ZerosLike());
        var found = present.Zip(gradients).Where(g => g.Second is not null).ToArray();
        var values = Expr.Substitute([.. found.Select(g => g.Second!)], zeros);
        var result = found.Select((g, i) => KeyValuePair.Create(g.First, values[i])).ToDictionary();
        return [.. nodes.Select(n => result.GetValueOrDefault(n))];
    }
}
