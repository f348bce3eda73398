using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Where an input of a loop's body lies: its strides, and whether it moves from step to step.</summary>
internal readonly record struct BodyInput(long[] Strides, bool Moves);

/// <summary>A matrix that a body multiplies by at every step and that the loop packs before: where it is in which input, and the product.</summary>
internal sealed record BodyPack(int Input, long Offset, ProductPlan Product);

/// <summary>Lowering of recurrences: the body becomes a plan of its own, whose operands walk along the stacked tensors.</summary>
internal sealed partial class Planner
{
    /// <summary>Loops of fewer steps do not pack what they multiply by.</summary>
    private const int MinPackedSteps = 4;

    /// <summary>The nodes of every loop, under the first of them.</summary>
    private Dictionary<int, List<int>>? loops;

    /// <summary>Inputs of the body beside those of the program.</summary>
    private readonly List<BodyPack> packs = [];

    /// <summary>Whether the loop around is long enough for packing to pay.</summary>
    private bool isPacking;

    private Dictionary<int, List<int>> FindLoops()
    {
        var result = new Dictionary<int, List<int>>();
        var known = new Dictionary<(ScanBody, ValueList<int>), List<int>>();
        for (var id = 0; id < graph.Count; id++)
        {
            if (graph.Kind(id) != OpKind.Scan)
                continue;
            var key = (((Scan)graph.Node(id).Op).Body, ValueList.Create(graph.Args(id)));
            if (!known.TryGetValue(key, out var nodes))
                known[key] = result[id] = nodes = [];
            nodes.Add(id);
        }

        return result;
    }

    private void EmitScan(int id)
    {
        loops ??= FindLoops();
        if (!loops.TryGetValue(id, out var nodes))
            return;
        var scans = nodes.ConvertAll(n => (Scan)graph.Node(n).Op);
        var recurrence = scans[0].Body;
        var parameters = scans[0].Parameters(graph.Node(id));
        var args = graph.Args(id).ToArray();
        var length = graph.Evaluate(recurrence.Length);
        var (states, used) = Needed(recurrence, parameters, scans);
        var lasts = new Dictionary<int, int>();
        foreach (var state in states)
        {
            var init = Resolve(args[state]);
            var last = Whole(lasts[state] = NewValue(graph.Type(args[state]), Strides.Count(init.Dims)), init.Dims);
            Copy(-1, init, last);
        }

        for (var i = 0; i < nodes.Count; i++)
        {
            if (scans[i].Output is null)
                valueOf[nodes[i]] = lasts[scans[i].State];
            else if (length == 0)
                NewValue(nodes[i]);
        }

        if (length == 0)
            return;
        int[] inputs = [.. Enumerable.Range(recurrence.States, parameters.Length - recurrence.States).Where(p => used.Contains(parameters[p]))];
        var sources = inputs.Select(p => Resolve(args[p])).ToArray();
        var stacked = nodes.Where((_, i) => scans[i].Output is not null).ToArray();
        var program = new Program(
            [.. inputs.Select(p => new Named($"input{p}", parameters[p]))],
            [.. states.Select(s => new ProgramState($"state{s}", parameters[s], recurrence.Next[s]))],
            [.. stacked.Select((n, i) => new Named($"output{i}", ((Scan)graph.Node(n).Op).Output!))],
            []);
        var moves = inputs.Select(p => p < recurrence.States + recurrence.Sequences).ToArray();
        var planner = new Planner(program, sizes, options, [.. sources.Select((view, i) => new BodyInput(moves[i] ? view.Strides[1..] : view.Strides, moves[i]))]) { isPacking = length >= MinPackedSteps };
        planner.Run(program);
        var schedule = Scheduler.Run(planner.result, options.Fuse, settles: false);

        // Outputs that are one value of the body are one stacked value.
        var values = planner.result.Values;
        var outputs = new Dictionary<int, int>();
        for (var i = 0; i < stacked.Length; i++)
        {
            var place = values[schedule.Outputs[i]].Index;
            if (outputs.TryGetValue(place, out var shared))
                valueOf[stacked[i]] = shared;
            else
                outputs[place] = NewValue(stacked[i]);
        }

        int[] places = [.. outputs.Keys];
        var scratch = schedule.TemporaryBytes > 0 ? NewValue(DType.I64, (schedule.TemporaryBytes + sizeof(long) - 1) / sizeof(long)) : -1;
        var kept = states.Select(s => new Operand(lasts[s])).ToArray();
        var packed = planner.packs.ConvertAll(pack =>
        {
            var at = At(sources[pack.Input]);
            return Pack(pack.Product, result.Values[at.Value].Type, at with { Offset = at.Offset + pack.Offset });
        });
        Operand[] operands = [.. kept, .. sources.Select(At), .. packed, .. kept, .. places.Select(p => new Operand(outputs[p])), .. scratch >= 0 ? [new Operand(scratch)] : Array.Empty<Operand>()];
        var steps = sources.Select((view, i) => moves[i] ? view.Strides[0] * FusedKernelSpec.SizeOf(result.Values[view.Value].Type) : 0).Concat(packed.Select(_ => 0L)).ToArray();
        var strides = places.Select(p => values[schedule.Outputs[Array.FindIndex(schedule.Outputs, o => values[o].Index == p)]].Bytes).ToArray();
        Add(new ScanInstruction([.. nodes.Select(n => (n, valueOf[n]))], planner.result, schedule, length, recurrence.Reverse, states.Length, steps, places, strides, operands));
    }

    /// <summary>
    /// The operand B of a product, packed, where it is the same at every step of the loop around, or, for a row, in every run; null elsewhere, or where others multiply than the
    /// executor's own products.
    /// </summary>
    private Operand? Packed(DType type, ProductPlan plan, View b)
    {
        var value = result.Values[b.Value];
        if (options.MatrixProduct is not (null or ManagedMatrixProduct) || plan.Batches.Length > 0 || plan.N == 1 || plan.K == 0)
            return null;
        if (body is null)
            return options.Fuse && value.Region == Region.State && isFixed[value.Index] && IsKeptPacked(type, plan) ? Pack(plan, type, At(b)) : null;
        if (!isPacking || value.Region != Region.Input || value.Index >= body.Length || body[value.Index].Moves)
            return null;
        packs.Add(new BodyPack(value.Index, b.Offset * FusedKernelSpec.SizeOf(type), plan));
        var packed = NewValue(type, PackOperandInstruction.Elements(type, plan), Region.Input);
        result.Values[packed].Index = body.Length + packs.Count - 1;
        return new Operand(packed);
    }

    /// <summary>
    /// Whether weights that do not change are kept packed: those that a row is multiplied with. They are read from start to end then, and each of two threads has its own half in its cache, where halves of rows
    /// would push one another out. Small ones are not worth it, large ones come from memory anyway.
    /// </summary>
    private static bool IsKeptPacked(DType type, ProductPlan plan) =>
        plan.M == 1 && (long)plan.K * plan.N is >= 1 << 14 and var elements && elements * FusedKernelSpec.SizeOf(type) <= OverlappedPlan.LargestPacked;

    private Operand Pack(ProductPlan plan, DType type, Operand source)
    {
        var target = new Operand(NewValue(type, PackOperandInstruction.Elements(type, plan)));
        Add(new PackOperandInstruction(type, plan, source, target));
        return target;
    }

    /// <summary>The states that anything depends on, and the parameters that are read.</summary>
    private static (int[] States, HashSet<Expr> Used) Needed(ScanBody body, IReadOnlyList<Expr> parameters, List<Scan> scans)
    {
        var states = scans.Where(s => s.Output is null).Select(s => s.State).ToHashSet();
        var count = -1;
        HashSet<Expr> used = [];
        while (states.Count > count)
        {
            count = states.Count;
            used = [.. Expr.PostOrder([.. states.Select(s => body.Next[s]), .. scans.Select(s => s.Output).OfType<Expr>()]).Where(n => n.Op is BodyParameter)];
            states.UnionWith(Enumerable.Range(0, body.States).Where(s => used.Contains(parameters[s])));
        }

        return ([.. states.Order()], used);
    }

    /// <summary>An input of a body: where it lies, or a copy if it moves and someone reads it who cannot follow.</summary>
    private View BodyInput(int id, BodyInput input)
    {
        var view = new View(valueOf[id], 0, graph.Dims(id), input.Strides);
        valueOf[id] = -1;
        if (input.Moves && !CanFollow(id))
        {
            var copy = Whole(NewValue(id), view.Dims);
            Copy(-1, view, copy);
            return copy;
        }

        return views[id] = view;
    }

    /// <summary>An output of a body: copied where what computes it cannot write to a place that moves.</summary>
    private View BodyOutput(int id)
    {
        var view = Resolve(id);
        return IsMovable(graph.Kind(id)) || graph.Kind(id) == OpKind.Variable ? view : Copied(view);
    }

    private bool CanFollow(int id)
    {
        var pending = new Stack<int>([id]);
        while (pending.TryPop(out var next))
        {
            foreach (var consumer in graph.ConsumersOf(next))
            {
                if (graph.Kind(consumer) == OpKind.View)
                    pending.Push(consumer);
                else if (!IsMovable(graph.Kind(consumer)))
                    return false;
            }
        }

        return true;
    }

    /// <summary>Operations that become instructions of which <see cref="Instruction.IsMovable"/> holds.</summary>
    private static bool IsMovable(OpKind kind) => kind is OpKind.Elementwise or OpKind.Reduction or OpKind.RngBits or OpKind.Dot or OpKind.Concat or OpKind.Scan;
}
