namespace Dnn.Backend;

/// <summary>Nodes that one kernel computes over one iteration space.</summary>
internal sealed class FusionGroup(int root, int[] dims, bool reduces)
{
    /// <summary>The last node in post-order; its number is the group's place in the order of execution.</summary>
    public int Root { get; } = root;

    /// <summary>The sizes of the iteration space.</summary>
    public int[] Dims { get; } = dims;

    /// <summary>Whether the root is a reduction of the others.</summary>
    public bool Reduces { get; } = reduces;

    /// <summary>The members, last first.</summary>
    public List<int> Nodes { get; } = new(1);

    /// <summary>Members that are stored, the root included.</summary>
    public int Outputs { get; set; } = 1;

    /// <summary>Values that members use and the group does not compute.</summary>
    public List<int> Open { get; } = new(2);
}

/// <summary>
/// Greedy fusion, consumers before producers, in time linear in the graph: an elementwise node joins the group of the first of
/// its uses in the order of execution where that group has the same iteration space, and is stored if anyone else uses it.
/// Groups run in the order of their roots. Every use outside a group belongs to a later one, so no cycle can arise.
/// A cheap function of one value that several groups use is computed in each: loading its argument costs what loading it would.
/// </summary>
internal sealed class Fusion
{
    private const int MaxNodes = 64;
    private const int MaxOpen = 16;
    private const int MaxOutputs = 12;
    private const int MaxRepeats = 8;

    private readonly ConcreteGraph graph;
    private readonly FusionGroup?[] groupOf;
    private readonly int[] position;
    private readonly bool[] isRoot;
    private readonly HashSet<int> repeated = [];

    public Fusion(ConcreteGraph graph, IEnumerable<int> roots, bool fuse)
    {
        this.graph = graph;
        groupOf = new FusionGroup?[graph.Count];
        position = new int[graph.Count];
        isRoot = new bool[graph.Count];
        foreach (var root in roots)
            isRoot[root] = true;
        for (var id = graph.Count - 1; id >= 0; id--)
            Place(id, fuse);
    }

    /// <summary>The group of an elementwise node or a reduction; null for others.</summary>
    public FusionGroup? GroupOf(int id) => groupOf[id];

    /// <summary>Whether the program asks for the value.</summary>
    public bool IsRoot(int id) => isRoot[id];

    /// <summary>Whether the value, of a node in a group, is used elsewhere.</summary>
    public bool IsStored(int id) => !repeated.Contains(id) && (isRoot[id] || IsUsedOutside(id, groupOf[id]!));

    private bool IsUsedOutside(int id, FusionGroup group)
    {
        foreach (var consumer in graph.ConsumersOf(id))
        {
            if (!Computes(consumer, id, group) || repeated.Contains(consumer))
                return true;
        }

        return false;
    }

    private void Place(int id, bool fuse)
    {
        var kind = graph.Kind(id);
        position[id] = id;
        switch (kind)
        {
            case OpKind.View:
                // A view does nothing itself: it is needed when its first use is.
                position[id] = int.MaxValue;
                foreach (var consumer in graph.ConsumersOf(id))
                    position[id] = Math.Min(position[id], position[consumer]);
                break;
            case OpKind.Reduction:
                Join(id, new FusionGroup(id, graph.Dims(graph.Args(id)[0]), reduces: true));
                break;
            case OpKind.Elementwise or OpKind.RngBits:
                if (fuse && TryRepeat(id))
                    break;
                var group = fuse ? FirstUse(id) : null;
                if (group is not null && Fits(id, group, out var stored))
                {
                    group.Outputs += stored ? 1 : 0;
                    Join(id, group);
                }
                else
                {
                    Join(id, new FusionGroup(id, graph.Dims(id), reduces: false));
                }

                break;
        }
    }

    private void Join(int id, FusionGroup group)
    {
        groupOf[id] = group;
        position[id] = group.Root;
        group.Nodes.Add(id);
        group.Open.Remove(id);
        foreach (var arg in graph.Args(id))
        {
            if (graph.Kind(arg) is not (OpKind.Number or OpKind.Iota) && !group.Open.Contains(arg))
                group.Open.Add(arg);
        }
    }

    /// <summary>The group that uses the value first, if it uses it element by element.</summary>
    private FusionGroup? FirstUse(int id)
    {
        var first = int.MaxValue;
        FusionGroup? group = null;
        foreach (var consumer in graph.ConsumersOf(id))
        {
            if (position[consumer] > first)
                continue;
            var user = groupOf[consumer];
            var direct = user is not null && Computes(consumer, id, user);

            // One use in another manner, at the same place, and the value has to be there before.
            group = !direct || (position[consumer] == first && group is null) ? null : user;
            first = position[consumer];
        }

        return group;
    }

    /// <summary>Whether the consumer, in the group, takes the value element by element.</summary>
    private bool Computes(int consumer, int id, FusionGroup group) =>
        ReferenceEquals(groupOf[consumer], group) && graph.Kind(consumer) != OpKind.RngBits && ReferenceEquals(group.Dims, graph.Dims(id));

    private bool Fits(int id, FusionGroup group, out bool stored)
    {
        stored = isRoot[id] || IsUsedOutside(id, group);
        if (!ReferenceEquals(group.Dims, graph.Dims(id)) || (stored && (group.Reduces || group.Outputs >= MaxOutputs)))
            return false;

        // Random numbers are numbered in row-major order, which a reduction may not walk in.
        if (group.Reduces && graph.Kind(id) == OpKind.RngBits)
            return false;
        return HasRoom(id, group);
    }

    private bool HasRoom(int id, FusionGroup group)
    {
        var open = group.Open.Count - (group.Open.Contains(id) ? 1 : 0);
        foreach (var arg in graph.Args(id))
            open += graph.Kind(arg) is OpKind.Number or OpKind.Iota || group.Open.Contains(arg) ? 0 : 1;
        return group.Nodes.Count < MaxNodes && open <= MaxOpen;
    }

    /// <summary>Puts a cheap function of one value into every group that uses it, if all users are groups.</summary>
    private bool TryRepeat(int id)
    {
        if (isRoot[id] || !IsCheap(id))
            return false;
        var groups = new List<FusionGroup>();
        foreach (var consumer in graph.ConsumersOf(id))
        {
            if (groupOf[consumer] is not { } group || !Computes(consumer, id, group) || repeated.Contains(consumer) || !HasRoom(id, group))
                return false;
            if (!groups.Contains(group))
                groups.Add(group);
            if (groups.Count > MaxRepeats)
                return false;
        }

        if (groups.Count < 2)
            return false;
        var first = groups.MinBy(g => g.Root)!;
        foreach (var group in groups)
            Join(id, group);
        (groupOf[id], position[id]) = (first, first.Root);
        repeated.Add(id);
        return true;
    }

    private bool IsCheap(int id)
    {
        if (graph.Kind(id) != OpKind.Elementwise || Lowering.CodeOf(graph.Node(id).Op)
            is not (ElementwiseCode.Neg or ElementwiseCode.Abs or ElementwiseCode.Relu or ElementwiseCode.Add or ElementwiseCode.Mul or ElementwiseCode.Max or ElementwiseCode.Min
                or ElementwiseCode.Cast or ElementwiseCode.Not or (>= ElementwiseCode.Eq and <= ElementwiseCode.Ge)))
            return false;
        var source = -1;
        foreach (var arg in graph.Args(id))
        {
            if (graph.Kind(arg) == OpKind.Number || arg == source)
                continue;
            if (source >= 0 || FusedKernelSpec.SizeOf(graph.Type(arg)) > FusedKernelSpec.SizeOf(graph.Type(id)))
                return false;
            source = arg;
        }

        return source >= 0;
    }
}
