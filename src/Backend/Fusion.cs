using System.Runtime.InteropServices;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Nodes that one kernel computes over one iteration space.</summary>
internal sealed class FusionGroup(int[] dims, long position) : IComparable<FusionGroup>
{
    /// <summary>The group's place in the order of execution.</summary>
    public long Position { get; set; } = position;

    /// <summary>The sizes of the iteration space.</summary>
    public int[] Dims { get; } = dims;

    /// <summary>The axes that members reduce, or null.</summary>
    public ValueList<int>? Reduced { get; init; }

    public bool Reduces => Reduced is not null;

    /// <summary>The last node in post-order.</summary>
    public int Root => Nodes[0];

    /// <summary>The members, last first.</summary>
    public List<int> Nodes { get; } = new(1);

    /// <summary>Members that are stored.</summary>
    public int Outputs { get; set; }

    /// <summary>Values that members use and the group does not compute.</summary>
    public List<int> Open { get; } = new(2);

    /// <summary>Groups in the order of execution.</summary>
    public int CompareTo(FusionGroup? other) => other is null ? 1 : (Position, Root).CompareTo((other.Position, other.Root));
}

/// <summary>
/// Greedy fusion, consumers before producers, in time linear in the graph: an elementwise node joins the group of the first of
/// its uses in the order of execution where that group has the same iteration space, and is stored if anyone else uses it.
/// Every use outside a group belongs to a later one, so no cycle can arise. Reductions over the same axes of the same space join one
/// another where that saves reading, and move forward to where what they reduce is computed.
/// Cheap functions of one value that several groups use are computed in each: loading their argument costs what loading them would.
/// </summary>
internal sealed class Fusion
{
    private const int MaxNodes = 64;
    private const int MaxOpen = 16;
    private const int MaxOutputs = 12;
    private const int MaxRepeats = 8;

    /// <summary>The compiler gives up on keeping more than these in registers: the kernel would be many times slower.</summary>
    private const int MaxCostly = 3;

    /// <summary>Nodes one after another that are computed again rather than loaded.</summary>
    private const int MaxRepeatedChain = 4;

    /// <summary>Values of up to so many elements are computed when they are used rather than where they stand.</summary>
    private const long SmallCount = 4096;

    /// <summary>A broadcast value is for nothing if its elements are used so many times each.</summary>
    private const long FreeFactor = 8;

    private readonly ConcreteGraph graph;
    private readonly FusionGroup?[] groupOf;
    private readonly long[] position;
    private readonly bool[] isRoot;
    private readonly Dictionary<int, List<FusionGroup>> repeated = [];
    private readonly Dictionary<int, int> chain = [];
    private readonly Dictionary<(int[] Dims, ValueList<int> Axes), FusionGroup> reductions = [];
    private readonly List<FusionGroup> groups = [];

    /// <param name="claimed">For each node that other kernels compute the node at whose place they do, at the latest; −1 for the others.</param>
    public Fusion(ConcreteGraph graph, IEnumerable<int> roots, bool fuse, int[] claimed)
    {
        this.graph = graph;
        groupOf = new FusionGroup?[graph.Count];
        position = new long[graph.Count];
        isRoot = new bool[graph.Count];
        foreach (var root in roots)
            isRoot[root] = true;
        for (var id = graph.Count - 1; id >= 0; id--)
        {
            if (claimed[id] >= 0)
                position[id] = Natural(Math.Min(id, claimed[id]));
            else
                Place(id, fuse);
        }
    }

    /// <summary>What is executed, in order: groups, and nodes that are in none.</summary>
    public IEnumerable<(int Node, FusionGroup? Group)> Order()
    {
        groups.Sort();
        var next = 0;
        for (var id = 0; id < graph.Count; id++)
        {
            for (; next < groups.Count && groups[next].Position <= Natural(id); next++)
                yield return (-1, groups[next]);
            if (groupOf[id] is null)
                yield return (id, null);
        }

        for (; next < groups.Count; next++)
            yield return (-1, groups[next]);
    }

    /// <summary>Whether the program asks for the value.</summary>
    public bool IsRoot(int id) => isRoot[id];

    /// <summary>Whether the value, of an elementwise node in a group, is used elsewhere.</summary>
    public bool IsStored(int id) => !repeated.ContainsKey(id) && (isRoot[id] || IsUsedOutside(id, groupOf[id]!));

    /// <summary>The order of axes in which a group walks its space: reduced axes go first or last.</summary>
    public (int[] Axes, FusedReduction Reduction, int Count) WalkOf(FusionGroup group) => group.Reduced is { } reduced ? WalkOf(group.Dims, reduced) : ([], FusedReduction.None, 0);

    private static (int[] Axes, FusedReduction Reduction, int Count) WalkOf(int[] dims, ValueList<int> reduced)
    {
        const int shortestLine = 8;
        const int largestWindow = 64;
        const int shortestRow = 32;
        var kept = Enumerable.Range(0, dims.Length).Where(a => !reduced.Contains(a)).ToArray();
        int[] rows = [.. kept, .. reduced], columns = [.. reduced, .. kept];
        bool InPlace(int[] order) => order.Where(a => dims[a] != 1).ToArray() is var walked && walked.SequenceEqual(walked.Order());

        // A window of few elements: going along the last axis, the channels, is worth more than having each sum in one piece. Likewise for rows of
        // less than a vector or two, where there are many.
        var size = reduced.Aggregate(1L, (count, a) => count * dims[a]);
        var isWindow = !reduced.Contains(dims.Length - 1) && dims[^1] >= shortestLine && size <= largestWindow;
        var isShort = size < shortestRow && kept.Length > 0 && dims[kept[^1]] >= 2 * shortestRow;
        return isShort || (!InPlace(rows) && (InPlace(columns) || isWindow)) ? (columns, FusedReduction.Columns, reduced.Count) : (rows, FusedReduction.Rows, reduced.Count);
    }

    /// <summary>Whether a reduction is over windows of few elements, with channels innermost.</summary>
    public static bool IsWindow(int[] dims, ValueList<int> reduced)
    {
        const int largest = 16;
        return reduced.Count > 0 && reduced[^1] != dims.Length - 1 && reduced[^1] != reduced.Count - 1 && reduced.Aggregate(1L, (count, a) => count * dims[a]) is > 0 and <= largest;
    }

    private static long Natural(int id) => (long)id << 20;

    private bool IsUsedOutside(int id, FusionGroup group)
    {
        foreach (var consumer in graph.ConsumersOf(id))
        {
            if (!Computes(consumer, id, group) || (repeated.TryGetValue(consumer, out var users) && users.Exists(u => u != group)))
                return true;
        }

        return false;
    }

    private void Place(int id, bool fuse)
    {
        position[id] = Natural(id);
        switch (graph.Kind(id))
        {
            case OpKind.View:
                // A view does nothing itself: it is needed when its first use is.
                position[id] = FirstConsumer(id);
                break;
            case OpKind.Reduction when graph.SumOf(id) is >= 0 and var sum:
                position[id] = Natural(sum);
                break;
            case OpKind.Reduction:
                PlaceReduction(id, fuse);
                break;
            case OpKind.Elementwise or OpKind.RngBits:
                if (fuse && TryRepeat(id))
                    break;
                var group = fuse ? FirstUse(id) ?? Reducing(id) : null;
                if (group is null || !Fits(id, group))
                {
                    group = new FusionGroup(graph.Dims(id), fuse && IsSmall(id) ? Math.Max(position[id], FirstConsumer(id) - 1) : position[id]);
                    groups.Add(group);
                }

                group.Outputs += isRoot[id] || IsUsedOutside(id, group) ? 1 : 0;
                Join(id, group);
                break;
        }
    }

    private long FirstConsumer(int id)
    {
        var first = long.MaxValue;
        foreach (var consumer in graph.ConsumersOf(id))
            first = Math.Min(first, position[consumer]);
        return isRoot[id] && first == long.MaxValue ? Natural(id) : first;
    }

    /// <summary>Whether the value and what it is made of are so small that it may wait in memory for its use.</summary>
    private bool IsSmall(int id)
    {
        if (isRoot[id] || graph.Kind(id) != OpKind.Elementwise || Strides.Count(graph.Dims(id)) > SmallCount)
            return false;
        foreach (var arg in graph.Args(id))
        {
            if (Strides.Count(graph.Dims(arg)) > SmallCount)
                return false;
        }

        return true;
    }

    /// <summary>A reduction begins a group, or joins the last one like it, if that comes before its uses and reads the same, or little; squared deviations go with their sum.</summary>
    private void PlaceReduction(int id, bool fuse)
    {
        var deviations = graph.DeviationsOf(id);
        var (needed, count) = deviations < 0 ? (FirstConsumer(id), 1) : (Math.Min(FirstConsumer(id), FirstConsumer(deviations)), 2);
        var (arg, axes) = (graph.Args(id)[0], ((Reduction)graph.Node(id).Op).Axes);
        var dims = graph.Dims(arg);
        ref var last = ref CollectionsMarshal.GetValueRefOrAddDefault(reductions, (dims, axes), out _);
        if (!fuse || last is null || last.Outputs + count > MaxOutputs || last.Position >= needed || last.Position < position[id] || !HasRoom(id, last) || !(last.Nodes.Contains(arg) || last.Open.Contains(arg) || Strides.Count(dims) <= SmallCount || SharesInput(arg, last)))
        {
            last = new FusionGroup(dims, position[id]) { Reduced = axes };
            groups.Add(last);
        }

        last.Outputs += count;
        if (deviations >= 0)
            Join(deviations, last);
        Join(id, last);
    }

    /// <summary>Whether an elementwise value that would join the group takes something large that the group reads or computes.</summary>
    private bool SharesInput(int id, FusionGroup group)
    {
        if (graph.Kind(id) != OpKind.Elementwise)
            return false;
        foreach (var arg in graph.Args(id))
        {
            if (!IsFree(arg, id) && (group.Open.Contains(arg) || group.Nodes.Contains(arg)))
                return true;
        }

        return false;
    }

    private void Join(int id, FusionGroup group)
    {
        groupOf[id] = group;
        position[id] = group.Position;
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
        var first = long.MaxValue;
        FusionGroup? group = null;
        foreach (var consumer in graph.ConsumersOf(id))
        {
            if (position[consumer] > first)
                continue;
            var user = groupOf[consumer];
            var direct = user is not null && Computes(consumer, id, user);

            // One use in another manner, at the same place, and the value has to be there before.
            if (!direct || (position[consumer] == first && group is null))
                group = null;
            else if (position[consumer] < first || user!.CompareTo(group) < 0)
                group = user;
            first = position[consumer];
        }

        return group;
    }

    /// <summary>A later reduction of the value that may as well happen where the value is computed.</summary>
    private FusionGroup? Reducing(int id)
    {
        foreach (var consumer in graph.ConsumersOf(id))
        {
            if (groupOf[consumer] is not { Reduces: true } group || !Computes(consumer, id, group) || group.Position < position[id] || !Fits(id, group))
                continue;
            var isReady = true;
            foreach (var open in group.Open)
                isReady &= open <= id;
            if (!isReady)
                continue;
            group.Position = position[id];
            foreach (var node in group.Nodes)
            {
                if (ReferenceEquals(groupOf[node], group) || group.CompareTo(groupOf[node]) < 0)
                    (groupOf[node], position[node]) = (group, group.Position);
            }

            return group;
        }

        return null;
    }

    /// <summary>Whether the consumer, in the group, takes the value element by element.</summary>
    private bool Computes(int consumer, int id, FusionGroup group) =>
        (ReferenceEquals(groupOf[consumer], group) || (repeated.TryGetValue(consumer, out var users) && users.Contains(group)))
        && graph.Kind(consumer) != OpKind.RngBits && ReferenceEquals(group.Dims, graph.Dims(id));

    private bool Fits(int id, FusionGroup group)
    {
        if (!ReferenceEquals(group.Dims, graph.Dims(id)))
            return false;
        if ((isRoot[id] || IsUsedOutside(id, group)) && (group.Outputs >= MaxOutputs || (group.Reduces && !StoresAlongside(group))))
            return false;

        // Random numbers are numbered in row-major order, which a reduction may not walk in.
        if (group.Reduces && graph.Kind(id) == OpKind.RngBits)
            return false;
        return HasRoom(id, group);
    }

    /// <summary>Whether a kernel that reduces walks along the innermost axis, so that it can store elements as well.</summary>
    private bool StoresAlongside(FusionGroup group)
    {
        if (IsWindow(group.Dims, group.Reduced!.Value))
            return false;
        var inner = WalkOf(group).Axes.LastOrDefault(a => group.Dims[a] != 1, -1);
        return inner == Array.FindLastIndex(group.Dims, size => size != 1);
    }

    /// <summary>Functions that are many instructions.</summary>
    private bool IsCostly(int id) => graph.Node(id).Op is Exp or Log or Log1p or Expm1 or Tanh or Logistic or Erf or Sin or Cos or Pow;

    private bool HasRoom(int id, FusionGroup group)
    {
        var open = group.Open.Count - (group.Open.Contains(id) ? 1 : 0);
        foreach (var arg in graph.Args(id))
            open += graph.Kind(arg) is OpKind.Number or OpKind.Iota || group.Open.Contains(arg) ? 0 : 1;
        return group.Nodes.Count < MaxNodes && open <= MaxOpen && (!IsCostly(id) || group.Nodes.Count(IsCostly) < MaxCostly);
    }

    /// <summary>Puts a cheap function of one value into every group that uses it, if all users are groups.</summary>
    private bool TryRepeat(int id)
    {
        if (isRoot[id] || !IsCheap(id))
            return false;
        var users = new List<FusionGroup>();
        var length = 1;
        foreach (var consumer in graph.ConsumersOf(id))
        {
            if (groupOf[consumer] is not { } first)
                return false;
            length = Math.Max(length, chain.GetValueOrDefault(consumer) + 1);
            if (repeated.TryGetValue(consumer, out var several))
            {
                foreach (var group in several)
                {
                    if (!TryAdd(group))
                        return false;
                }
            }
            else if (!TryAdd(first))
            {
                return false;
            }

            bool TryAdd(FusionGroup group)
            {
                if (!Computes(consumer, id, group) || !HasRoom(id, group))
                    return false;
                if (!users.Contains(group))
                    users.Add(group);
                return users.Count <= MaxRepeats;
            }
        }

        if (users.Count < 2 || length > MaxRepeatedChain)
            return false;
        var earliest = users.Min()!;
        foreach (var group in users)
            Join(id, group);
        (groupOf[id], position[id]) = (earliest, earliest.Position);
        repeated.Add(id, users);
        chain.Add(id, length);
        return true;
    }

    /// <summary>Whether computing a node again costs no more than loading its value: one argument to load, beside numbers and what is broadcast.</summary>
    private bool IsCheap(int id)
    {
        if (graph.Kind(id) != OpKind.Elementwise || Lowering.CodeOf(graph.Node(id).Op)
            is not (ElementwiseCode.Neg or ElementwiseCode.Abs or ElementwiseCode.Relu or ElementwiseCode.Add or ElementwiseCode.Mul or ElementwiseCode.Max or ElementwiseCode.Min
                or ElementwiseCode.Cast or ElementwiseCode.Not or ElementwiseCode.Select or (>= ElementwiseCode.Eq and <= ElementwiseCode.Ge)))
            return false;
        var source = -1;
        foreach (var arg in graph.Args(id))
        {
            if (arg == source || IsFree(arg, id))
                continue;
            if (source >= 0 || FusedKernelSpec.SizeOf(graph.Type(arg)) > FusedKernelSpec.SizeOf(graph.Type(id)) || (graph.Kind(arg) == OpKind.View && graph.Node(arg).Op is not Reshape))
                return false;
            source = arg;
        }

        return source >= 0;
    }

    /// <summary>Whether an argument is a number, or a small value that is broadcast to the sizes of the node.</summary>
    private bool IsFree(int arg, int id) => graph.Kind(arg) == OpKind.Number
        || (graph.Kind(arg) == OpKind.View && graph.Node(arg).Op is Broadcast && Strides.Count(graph.Dims(graph.Args(arg)[0])) <= Strides.Count(graph.Dims(id)) / FreeFactor);
}
