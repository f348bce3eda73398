using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>
/// The derivative of a recurrence: the step is differentiated once, with the cotangents of everything that is asked of the loop, and runs over the steps
/// in the other direction. What it uses of the forward steps is stacked by the forward loop; cotangents of constants are summed over
/// the steps outside of the loop, products of stacked values as one product.
/// </summary>
internal sealed class ScanGradient
{
    /// <summary>Sums over steps look through so many additions and views; what lies deeper is stacked as it is.</summary>
    private const int MaxDepth = 40;

    private readonly Expr node;
    private readonly Scan scan;
    private readonly ScanBody body;
    private readonly ImmutableArray<Expr> parameters;

    /// <summary>What depends on states or elements, and what depends on cotangents.</summary>
    private readonly HashSet<Expr> varying = [];
    private readonly HashSet<Expr> backward = [];

    private ScanGradient(Expr node)
    {
        this.node = node;
        scan = (Scan)node.Op;
        body = scan.Body;
        parameters = scan.Parameters(node);
    }

    private int First => body.States;

    private int FirstConstant => body.States + body.Sequences;

    /// <summary>The cotangents of the arguments that all nodes of one loop share.</summary>
    /// <param name="nodes">Nodes of one body on the same arguments.</param>
    /// <param name="cotangents">A cotangent for each.</param>
    /// <param name="wanted">The arguments whose cotangents are of use.</param>
    public static Expr?[] Vjp(IReadOnlyList<Expr> nodes, IReadOnlyList<Expr> cotangents, bool[] wanted) => new ScanGradient(nodes[0]).Run(nodes, cotangents, wanted);

    private Expr?[] Run(IReadOnlyList<Expr> nodes, IReadOnlyList<Expr> cotangents, bool[] wanted)
    {
        var result = new Expr?[parameters.Length];
        var last = new Expr?[body.States];
        var outputs = new List<(Expr Output, Expr Stacked, Expr Element)>();
        for (var i = 0; i < nodes.Count; i++)
        {
            var asked = (Scan)nodes[i].Op;
            if (asked.Output is null)
                last[asked.State] = last[asked.State] is { } other ? other + cotangents[i] : cotangents[i];
            else
                outputs.Add((asked.Output, cotangents[i], Expr.Variable($"cotangent{outputs.Count}", asked.Output.Shape, asked.Output.DType)));
        }

        var states = ActiveStates(wanted);
        ImmutableArray<Expr> stateCotangents = [.. body.Next.Select((next, i) => Expr.Variable($"state_cotangent{i}", parameters[i].Shape, next.DType))];
        Expr[] with = [.. Enumerable.Range(0, parameters.Length).Where(i => i < First ? states[i] : wanted[i]).Select(i => parameters[i])];

        // A state has a cotangent if its last value has one, or if what is given by a step or another state with a cotangent depends on it.
        var carried = new SortedSet<int>(Enumerable.Range(0, First).Where(i => last[i] is not null && states[i]));
        var step = new Dictionary<Expr, Expr?>();
        for (var before = -1; before < carried.Count;)
        {
            before = carried.Count;
            Expr[] ys = [.. carried.Select(k => body.Next[k]), .. outputs.Select(o => o.Output)];
            Expr[] given = [.. carried.Select(k => stateCotangents[k]), .. outputs.Select(o => o.Element)];
            var parts = Gradient.Vjp(ys, given, with);
            for (var i = 0; i < with.Length; i++)
            {
                step[with[i]] = parts[i];
                if (parts[i] is not null && ((BodyParameter)with[i].Op).Index is var k && k < First)
                    carried.Add(k);
            }
        }

        int[] kept = [.. carried];
        ImmutableArray<Expr> next = [.. kept.Select(k => step.GetValueOrDefault(parameters[k]) ?? parameters[k].ZerosLike())];
        var elements = Enumerable.Range(First, body.Sequences).Where(i => step.GetValueOrDefault(parameters[i]) is not null).ToArray();
        var constants = Enumerable.Range(FirstConstant, parameters.Length - FirstConstant).Where(i => step.GetValueOrDefault(parameters[i]) is not null).ToArray();
        Classify([.. next, .. elements.Concat(constants).Select(i => step[parameters[i]]!)], [.. stateCotangents, .. outputs.Select(o => o.Element)]);

        // What is asked of the loop in reverse, beside its states.
        var leaves = new List<Expr>();
        foreach (var i in elements)
            Ask(step[parameters[i]]!, leaves);
        var sums = constants.ToDictionary(i => i, i => SumOfSteps(step[parameters[i]]!, leaves, 0));

        var reverse = Build(kept, next, [.. kept.Select(k => last[k] ?? node.Args[k].ZerosLike())], [.. stateCotangents], outputs, leaves);
        var stacked = leaves.Zip(reverse.Outputs).ToDictionary(p => p.First, p => p.Second);
        for (var i = 0; i < kept.Length; i++)
        {
            if (wanted[kept[i]])
                result[kept[i]] = reverse.Next[i];
        }

        foreach (var i in elements)
            result[i] = Stacked(step[parameters[i]]!, stacked);
        foreach (var i in constants)
            result[i] = sums[i](stacked);
        return result;
    }

    /// <summary>The states through which a cotangent can reach an argument that is wanted.</summary>
    private bool[] ActiveStates(bool[] wanted)
    {
        var active = new bool[First];
        for (var i = 0; i < First; i++)
            active[i] = wanted[i] && parameters[i].DType.IsFloat();
        bool changed;
        do
        {
            changed = false;
            var reached = new HashSet<Expr>(parameters.Where((p, i) => p.DType.IsFloat() && (i < First ? active[i] : wanted[i])));
            foreach (var inner in Expr.PostOrder(body.Next))
            {
                if (!inner.Op.IsGradientFree && inner.Args.Any(reached.Contains))
                    reached.Add(inner);
            }

            for (var i = 0; i < First; i++)
            {
                if (!active[i] && parameters[i].DType.IsFloat() && reached.Contains(body.Next[i]))
                    active[i] = changed = true;
            }
        }
        while (changed);
        return active;
    }

    private void Classify(IReadOnlyList<Expr> roots, IReadOnlyList<Expr> cotangents)
    {
        backward.UnionWith(cotangents);
        varying.UnionWith(parameters.Take(FirstConstant));
        foreach (var inner in Expr.PostOrder(roots))
        {
            if (inner.Args.Any(backward.Contains))
                backward.Add(inner);
            if (inner.Args.Any(varying.Contains))
                varying.Add(inner);
        }
    }

    /// <summary>Has the values of a node stacked by the loop in reverse, if they depend on cotangents.</summary>
    private void Ask(Expr inner, List<Expr> leaves)
    {
        if (backward.Contains(inner) && !leaves.Contains(inner))
            leaves.Add(inner);
    }

    /// <summary>The values of a node at all steps.</summary>
    private Expr Stacked(Expr inner, Dictionary<Expr, Expr> stacked) => backward.Contains(inner) ? stacked[inner] : Forward(inner);

    /// <summary>The values at all steps of what depends on the forward steps alone.</summary>
    private Expr Forward(Expr inner)
    {
        if (inner.Op is BodyParameter { Index: var index } && index >= First && index < FirstConstant)
            return node.Args[index];
        if (!varying.Contains(inner))
            return Repeated(Outer(inner));
        if (inner.Op is Transpose transpose)
            return Forward(inner.Args[0]).Transpose([0, .. transpose.Permutation.Select(a => a + 1)]);
        return Expr.Make(new Scan(body, 0, inner), node.Args.AsSpan());
    }

    private Expr Repeated(Expr outer) => outer.BroadcastTo(outer.Shape.Insert(0, body.Length), [.. Enumerable.Range(1, outer.Rank)]);

    /// <summary>What depends on constants alone, outside of the loop.</summary>
    private Expr Outer(Expr inner) => Expr.Substitute([inner], parameters.Skip(FirstConstant).Select((p, i) => (p, node.Args[FirstConstant + i])).ToDictionary(p => p.p, p => p.Item2))[0];

    /// <summary>
    /// The sum of a node's values over all steps, as a function of what the loop stacks: sums and views are taken after the sum over the steps, a product
    /// of two values that change with the steps becomes one product that also sums over the steps.
    /// </summary>
    private Func<Dictionary<Expr, Expr>, Expr> SumOfSteps(Expr inner, List<Expr> leaves, int depth)
    {
        if (!backward.Contains(inner) && !varying.Contains(inner))
            return _ => Outer(inner) * Expr.Size(body.Length).Cast(inner.DType);
        if (depth < MaxDepth)
        {
            switch (inner.Op)
            {
                case Add:
                    var (left, right) = (SumOfSteps(inner.Args[0], leaves, depth + 1), SumOfSteps(inner.Args[1], leaves, depth + 1));
                    return s => left(s) + right(s);
                case Neg or Reshape or Transpose or Broadcast or Sum or Reverse or Slice or Pad:
                    var argument = SumOfSteps(inner.Args[0], leaves, depth + 1);
                    return s => Expr.Make(inner.Op, argument(s));
                case Cast when inner.DType.IsFloat() && inner.Args[0].DType.IsFloat():
                    var narrow = SumOfSteps(inner.Args[0], leaves, depth + 1);
                    return s => narrow(s).Cast(inner.DType);
                case DotGeneral dot when IsVarying(inner.Args[0]) && IsVarying(inner.Args[1]):
                    Ask(inner.Args[0], leaves);
                    Ask(inner.Args[1], leaves);
                    var whole = new DotGeneral(Later(dot.LeftBatch), Later(dot.RightBatch), [0, .. Later(dot.LeftContract)], [0, .. Later(dot.RightContract)]);
                    return s => Expr.Make(whole, Stacked(inner.Args[0], s), Stacked(inner.Args[1], s));
                case DotGeneral when IsVarying(inner.Args[0]):
                    var x = SumOfSteps(inner.Args[0], leaves, depth + 1);
                    return s => Expr.Make(inner.Op, x(s), Outer(inner.Args[1]));
                case DotGeneral:
                    var y = SumOfSteps(inner.Args[1], leaves, depth + 1);
                    return s => Expr.Make(inner.Op, Outer(inner.Args[0]), y(s));
            }
        }

        Ask(inner, leaves);
        return s => Expr.Make(new Sum([0]), Stacked(inner, s));
    }

    private bool IsVarying(Expr inner) => backward.Contains(inner) || varying.Contains(inner);

    private static ValueList<int> Later(ValueList<int> axes) => axes.Select(a => a + 1).ToValueList();

    /// <summary>The loop in reverse: its sequences are cotangents, sequences of the forward loop, and values that the forward loop stacks.</summary>
    private Scans.Step Build(int[] kept, ImmutableArray<Expr> next, ImmutableArray<Expr> init, Expr[] stateCotangents, List<(Expr Output, Expr Stacked, Expr Element)> outputs, List<Expr> leaves)
    {
        Expr[] roots = [.. next, .. leaves];
        var replaced = new Dictionary<Expr, Expr>();
        var (sequences, constants) = (new List<(Expr Placeholder, Expr Value)>(), new List<(Expr Placeholder, Expr Value)>());
        var used = Expr.PostOrder(roots);
        var usedElements = used.ToHashSet();
        foreach (var output in outputs)
        {
            if (usedElements.Contains(output.Element))
                sequences.Add((output.Element, output.Stacked));
        }

        var sources = new Dictionary<Expr, Expr?>();
        var pending = new Stack<Expr>();
        var seen = new HashSet<Expr>();
        foreach (var use in used.Where(backward.Contains).SelectMany(n => n.Args).Concat(roots))
        {
            pending.Push(use);
            while (pending.TryPop(out var inner))
            {
                if (backward.Contains(inner) || !seen.Add(inner))
                    continue;
                if (!varying.Contains(inner))
                {
                    if (Scans.IsView(inner))
                        pending.Push(inner.Args[0]);
                    else if (inner.Op is BodyParameter || inner.Op is not Leaf)
                        Replace(inner, Outer(inner), constants);
                }
                else if (Source(inner, sources) is { } source && source != inner)
                {
                    foreach (var arg in inner.Args)
                        pending.Push(arg);
                }
                else
                {
                    Replace(inner, Forward(inner), sequences);
                }
            }
        }

        roots = [.. Expr.Substitute(roots, replaced)];
        return Scans.Build(
            [.. init, .. sequences.Select(s => s.Value), .. constants.Select(c => c.Value)],
            [.. kept.Select(k => stateCotangents[k]), .. sequences.Select(s => s.Placeholder), .. constants.Select(c => c.Placeholder)],
            [.. roots[..kept.Length]],
            [.. roots[kept.Length..]],
            sequences.Count,
            body.Length,
            !body.Reverse);

        void Replace(Expr inner, Expr outer, List<(Expr, Expr)> list)
        {
            var placeholder = Expr.Variable("residual", inner.Shape, inner.DType);
            replaced[inner] = placeholder;
            list.Add((placeholder, outer));
        }
    }

    /// <summary>
    /// The one value that changes with the steps from which views and cheap functions make this one, so that it is stacked rather than what is made of
    /// it; the node itself where there is none.
    /// </summary>
    private Expr Source(Expr inner, Dictionary<Expr, Expr?> sources)
    {
        foreach (var next in Expr.PostOrder([inner], n => sources.ContainsKey(n) || !IsCheap(n)))
        {
            if (sources.ContainsKey(next))
                continue;
            Expr? only = null;
            var several = !IsCheap(next);
            foreach (var arg in next.Args)
            {
                if (!varying.Contains(arg) || several)
                    continue;
                var from = sources.GetValueOrDefault(arg) ?? arg;
                several |= only is not null && only != from;
                only = from;
            }

            sources[next] = several ? next : only ?? next;
        }

        return sources[inner]!;
    }

    private static bool IsCheap(Expr inner) => Scans.IsView(inner) || inner.Op is Neg or Add or Mul or Abs or Relu or Max or Min or Not or Compare or Cast or Select or Slice;
}
