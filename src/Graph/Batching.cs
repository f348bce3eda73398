using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>What an operation is given when it is batched: its arguments, some of which have a new first axis.</summary>
/// <param name="Values">The arguments; at least one has the axis.</param>
/// <param name="Has">Which of them have it.</param>
/// <param name="Size">The size of the axis.</param>
public readonly record struct BatchedArgs(ImmutableArray<Expr> Values, ImmutableArray<bool> Has, Dim Size)
{
    /// <summary>All arguments with the axis: those that lack it repeat along it.</summary>
    public Expr[] All
    {
        get
        {
            var all = new Expr[Values.Length];
            for (var i = 0; i < all.Length; i++)
                all[i] = Full(i);
            return all;
        }
    }

    /// <summary>An argument with the axis.</summary>
    public Expr Full(int i) => Has[i] ? Values[i] : Values[i].BroadcastTo(Values[i].Shape.Insert(0, Size), [.. Enumerable.Range(1, Values[i].Rank)]);

    /// <summary>The operation once for every place of the axis, stacked: for what takes only scalars.</summary>
    /// <exception cref="GraphException">The size of the axis is not known.</exception>
    public Expr OneByOne(Op op)
    {
        if (!Size.IsKnown)
            throw new GraphException($"{op.Name} cannot be mapped over an axis of size {Size}: only over one whose size is a number");
        if (Size.Value == 0)
            throw new GraphException($"{op.Name} cannot be mapped over an empty axis");
        var parts = new Expr[Size.Value];
        for (var n = 0; n < parts.Length; n++)
        {
            var args = new Expr[Values.Length];
            for (var i = 0; i < args.Length; i++)
                args[i] = Has[i] ? Values[i].SliceAxis(0, n, n + 1).Squeeze(0) : Values[i];
            parts[n] = Expr.Make(op, args);
        }

        return Expr.Stack(0, parts);
    }
}

/// <summary>
/// Many at once as a transformation of graphs: a graph of one element becomes the graph of a batch of them, along a new first axis. What does
/// not depend on the mapped variables is computed once. Every operation says itself how it is batched, so that
/// derivatives of what is mapped, and what is mapped of derivatives, need no more.
/// </summary>
public static class Batching
{
    /// <summary>The roots with a new first axis, where the variables in <paramref name="mapped"/> are replaced by values that have it.</summary>
    /// <exception cref="GraphException">An operation takes only scalars, and the size of the axis is not known.</exception>
    public static ImmutableArray<Expr> Apply(IReadOnlyList<Expr> roots, IReadOnlyDictionary<Expr, Expr> mapped, Dim size, IDerivationListener? listener = null)
    {
        var batched = new Dictionary<Expr, Expr>(mapped);
        foreach (var node in Expr.PostOrder(roots, mapped.ContainsKey))
        {
            if (batched.ContainsKey(node) || !node.Args.Any(batched.ContainsKey))
                continue;
            var args = new BatchedArgs([.. node.Args.Select(a => batched.GetValueOrDefault(a, a))], [.. node.Args.Select(batched.ContainsKey)], size);
            batched[node] = node.Op.Batched(args);
            listener?.Derived(batched[node], node);
        }

        return [.. roots.Select(r => batched.TryGetValue(r, out var value) ? value : new BatchedArgs([r], [false], size).Full(0))];
    }
}
