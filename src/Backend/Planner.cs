using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Whose memory a value lives in.</summary>
internal enum Region
{
    Temporary,
    Input,
    State,
    Output,
    Constant,
}

/// <summary>Memory that instructions read and write: elements of one type, side by side.</summary>
internal sealed class PlanValue(DType type, long count)
{
    public DType Type { get; } = type;

    public long Count { get; } = count;

    public long Bytes => Count * FusedKernelSpec.SizeOf(Type);

    public Region Region { get; set; }

    /// <summary>Which input, state or output.</summary>
    public int Index { get; set; } = -1;

    /// <summary>Bytes from the start of the region's memory, for temporaries and constants.</summary>
    public long Offset { get; set; } = -1;

    /// <summary>The number of instructions that write it.</summary>
    public int Writers { get; set; }
}

/// <summary>Numbers that a plan holds: one that all elements have, or a table.</summary>
internal sealed record Constant(int Value, Number Number, ValueList<double> Table);

/// <summary>What lowering makes of a program: values, instructions in a valid order, and where the results are.</summary>
internal sealed class Lowered
{
    public List<PlanValue> Values { get; } = [];

    public List<Instruction> Code { get; } = [];

    public List<Constant> Constants { get; } = [];

    /// <summary>Values of inputs and states that are read, by place in the program; −1 for none.</summary>
    public required int[] Inputs { get; init; }

    public required int[] States { get; init; }

    public required View[] Outputs { get; init; }

    public required View[] Guards { get; init; }

    /// <summary>Next values of states; null where a state stays.</summary>
    public required View?[] Next { get; init; }
}

/// <summary>Lowers a program at concrete sizes: groups of nodes become instructions over values; views become strides.</summary>
internal sealed partial class Planner
{
    private readonly ConcreteGraph graph;
    private readonly Fusion fusion;
    private readonly bool isFused;

    /// <summary>For nodes that are within attention where their kernel stands at the latest; −1 for the others.</summary>
    private readonly int[] claimed;
    private readonly Lowered result;
    private readonly int[] valueOf;
    private readonly Dictionary<int, View> views = [];
    private readonly Dictionary<Expr, (Region Region, int Index)> variables = [];
    private readonly Dictionary<(DType, Number), int> numberValues = [];
    private readonly Dictionary<int[], long[]> rowMajor = new(ReferenceEqualityComparer.Instance);
    private readonly KernelBuilder kernel = new();
    private readonly PlanOptions options;
    private readonly IReadOnlyDictionary<string, long> sizes;

    /// <summary>Where the inputs lie, for the body of a scan.</summary>
    private readonly BodyInput[]? body;

    /// <summary>For each state, whether it stays from run to run.</summary>
    private readonly bool[] isFixed;

    private Planner(Program program, IReadOnlyDictionary<string, long> sizes, PlanOptions options, BodyInput[]? body = null)
    {
        (this.options, this.body, this.sizes) = (options, body, sizes);
        isFixed = [.. program.States.Select(s => s.Next is null)];
        for (var i = 0; i < program.Inputs.Length; i++)
            Declare(program.Inputs[i].Name, program.Inputs[i].Value, Region.Input, i);
        for (var i = 0; i < program.States.Length; i++)
            Declare(program.States[i].Name, program.States[i].Variable, Region.State, i);
        var roots = program.Roots;
        graph = new ConcreteGraph(roots, sizes, options.Float, findsMoments: options.Fuse);
        var wanted = roots.Select(r => graph[r]).ToHashSet();
        claimed = FindAttention(wanted);
        (fusion, isFused) = (new Fusion(graph, wanted, options.Fuse, claimed), options.Fuse);
        valueOf = new int[graph.Count];
        Array.Fill(valueOf, -1);
        result = new Lowered
        {
            Inputs = new int[program.Inputs.Length],
            States = new int[program.States.Length],
            Outputs = new View[program.Outputs.Length],
            Guards = new View[program.Guards.Length],
            Next = new View?[program.States.Length],
        };
        Array.Fill(result.Inputs, -1);
        Array.Fill(result.States, -1);
    }

    public static (Lowered Lowered, ConcreteGraph Graph) Lower(Program program, IReadOnlyDictionary<string, long> sizes, PlanOptions options)
    {
        var planner = new Planner(program, sizes, options);
        planner.Run(program);
        return (planner.result, planner.graph);
    }

    private void Declare(string name, Expr variable, Region region, int index)
    {
        if (variable.Op is not (Variable or BodyParameter))
            throw new GraphException($"{name}: an input or a state is a variable, not {Printer.Line(variable)}");
        if (!variables.TryAdd(variable, (region, index)))
            throw new GraphException($"{name}: the variable {Printer.Line(variable)} is an input or a state of the program already");
    }

    /// <summary>What the program promises of its guards and states.</summary>
    private void Check(Program program)
    {
        foreach (var guard in program.Guards)
        {
            if (!guard.DType.IsFloat() || !guard.Shape.IsScalar)
                throw new GraphException($"a guard is a float scalar, not {Printer.Line(guard)}");
        }

        foreach (var state in program.States)
        {
            if (state.Next is null)
                continue;
            var (old, next) = (state.Variable, state.Next);
            if (graph.Concrete(old.DType) != graph.Concrete(next.DType) || !ReferenceEquals(graph.Evaluate(old.Shape), graph.Evaluate(next.Shape)))
                throw new ShapeException($"the state {state.Name} is {old.Type}, and its next value is {next.Type}: sizes and element type must stay", old.Shape, next.Shape);
        }
    }

    private void Run(Program program)
    {
        Check(program);
        foreach (var (id, group) in fusion.Order())
        {
            if (group is not null)
                EmitGroup(group);
            else
                Emit(id);
        }

        for (var i = 0; i < program.Outputs.Length; i++)
            result.Outputs[i] = body is null ? Resolve(graph[program.Outputs[i].Value]) : BodyOutput(graph[program.Outputs[i].Value]);
        for (var i = 0; i < program.Guards.Length; i++)
            result.Guards[i] = Resolve(graph[program.Guards[i]]);
        for (var i = 0; i < program.States.Length; i++)
        {
            if (program.States[i].Next is { } next && graph[next] is var id && !(graph.Kind(id) == OpKind.Variable && graph.Node(id) == program.States[i].Variable))
                result.Next[i] = Resolve(id);
        }
    }

    private void Emit(int id)
    {
        if (claimed[id] >= 0)
        {
            if (attentions.TryGetValue(id, out var attention))
                EmitAttention(id, attention);
            return;
        }

        switch (graph.Kind(id))
        {
            case OpKind.Dot:
                EmitProduct(id);
                break;
            case OpKind.Conv:
                EmitConv(id);
                break;
            case OpKind.ArgMax:
                EmitArgMax(id);
                break;
            case OpKind.Gather:
                EmitGather(id);
                break;
            case OpKind.ScatterAdd:
                EmitScatterAdd(id);
                break;
            case OpKind.Concat:
                EmitConcat(id);
                break;
            case OpKind.Pad:
                EmitPad(id);
                break;
            case OpKind.DynamicSlice:
                EmitDynamicSlice(id);
                break;
            case OpKind.DynamicUpdateSlice:
                EmitDynamicUpdateSlice(id);
                break;
            case OpKind.Recurrence:
                EmitRecurrence(id);
                break;
            case OpKind.ArgSort:
                EmitArgSort(id);
                break;
            case OpKind.Scan:
                EmitScan(id);
                break;
            case OpKind.RngFold:
                var (key, data) = (At(Resolve(graph.Args(id)[0])), At(Resolve(graph.Args(id)[1])));
                Add(new FoldInstruction(id, key, data, new Operand(NewValue(id))));
                break;
        }
    }

    /// <summary>Where the elements of a node's value are. Views follow their arguments; what no view can say is copied.</summary>
    private View Resolve(int id)
    {
        if (valueOf[id] >= 0)
            return Whole(valueOf[id], graph.Dims(id));
        var chain = new Stack<int>();
        for (; !views.ContainsKey(id) && graph.Kind(id) == OpKind.View; id = graph.Args(id)[0])
            chain.Push(id);
        if (!views.TryGetValue(id, out var view))
            view = valueOf[id] >= 0 ? Whole(valueOf[id], graph.Dims(id)) : Leaf(id);
        while (chain.TryPop(out var next))
        {
            var (op, to) = (graph.Node(next).Op, graph.Dims(next));
            view = view.Apply(op, to, graph.Evaluate) ?? Contiguous(view).Apply(op, to, graph.Evaluate)!;
            views[next] = view;
        }

        return view;
    }

    private View Leaf(int id)
    {
        var dims = graph.Dims(id);
        switch (graph.Kind(id))
        {
            case OpKind.Number:
                graph.IsNumber(id, out var number);
                ref var value = ref CollectionsMarshal.GetValueRefOrAddDefault(numberValues, (graph.Type(id), number), out var known);
                if (!known)
                {
                    value = NewValue(graph.Type(id), 1, Region.Constant);
                    result.Constants.Add(new Constant(value, number, default));
                }

                return views[id] = new View(value, 0, dims, new long[dims.Length]);
            case OpKind.Table:
                valueOf[id] = NewValue(graph.Type(id), Strides.Count(dims), Region.Constant);
                result.Constants.Add(new Constant(valueOf[id], default, ((Table)graph.Node(id).Op).Values));
                break;
            case OpKind.Iota:
                kernel.Start(dims, []);
                kernel.Output(kernel.Add(new FusedInstruction(ElementwiseCode.Iota, DType.I64, ((Iota)graph.Node(id).Op).Axis)));
                EmitKernel(id, [new Operand(NewValue(id))], FusedReduction.None, 0);
                break;
            case OpKind.Variable:
                if (!variables.TryGetValue(graph.Node(id), out var place))
                    throw new GraphException($"the variable {Printer.Line(graph.Node(id))} is neither an input nor a state of the program");
                valueOf[id] = NewValue(graph.Type(id), Strides.Count(dims), place.Region);
                result.Values[valueOf[id]].Index = place.Index;
                (place.Region == Region.Input ? result.Inputs : result.States)[place.Index] = valueOf[id];
                if (body is not null && place.Region == Region.Input)
                    return BodyInput(id, body[place.Index]);
                break;
            default:
                throw new InvalidOperationException($"{graph.Node(id)} is used before it is computed");
        }

        return Whole(valueOf[id], dims);
    }

    private View Whole(int value, int[] dims)
    {
        if (!rowMajor.TryGetValue(dims, out var strides))
            rowMajor[dims] = strides = View.RowMajor(dims);
        return new View(value, 0, dims, strides);
    }

    /// <summary>The same elements side by side, copied if need be.</summary>
    private View Contiguous(View view) => view.IsContiguous ? view : Copied(view);

    private View Copied(View view)
    {
        var whole = Whole(NewValue(result.Values[view.Value].Type, view.Count), view.Dims);
        Copy(-1, view, whole);
        return whole;
    }

    private void Copy(int node, View from, View to)
    {
        if (from.Count > 0)
            Add(new CopyInstruction(node, FusedKernelSpec.SizeOf(result.Values[from.Value].Type), from.Dims, from.Strides, to.Strides, At(from), At(to)));
    }

    private Operand At(View view) => new(view.Value, view.Offset * FusedKernelSpec.SizeOf(result.Values[view.Value].Type));

    private int NewValue(int id) => valueOf[id] = NewValue(graph.Type(id), Strides.Count(graph.Dims(id)));

    private int NewValue(DType type, long count, Region region = Region.Temporary)
    {
        result.Values.Add(new PlanValue(type, count) { Region = region });
        return result.Values.Count - 1;
    }

    private void Add(Instruction instruction)
    {
        result.Code.Add(instruction);
        foreach (var output in instruction.Outputs)
            result.Values[output.Value].Writers++;
    }

    private void EmitGroup(FusionGroup group)
    {
        // What views copy or count comes first: the builder holds one kernel at a time.
        foreach (var open in group.Open)
        {
            if (valueOf[open] < 0)
                Resolve(open);
        }

        if (TryEmitWindows(group))
            return;
        var (axes, reduction, reducedAxes) = fusion.WalkOf(group);
        kernel.Start(group.Dims, axes);
        var outputs = new List<Operand>();
        for (var i = group.Nodes.Count - 1; i >= 0; i--)
        {
            var id = group.Nodes[i];
            if (graph.Kind(id) == OpKind.Reduction)
            {
                if (graph.SumOf(id) < 0)
                    Reduce(id, Lowering.ReduceCodeOf(graph.Node(id).Op));
                continue;
            }

            var at = Compute(id);
            kernel.Define(id, at);
            if (fusion.IsStored(id))
            {
                var target = Stored(id);
                kernel.Output(at, target);
                outputs.Add(At(target));
            }
        }

        foreach (var id in group.Nodes)
        {
            if (graph.SumOf(id) >= 0)
                Reduce(id, ReduceCode.Deviations);
        }

        EmitKernel(group.Root, outputs, reduction, reducedAxes);

        void Reduce(int id, ReduceCode code)
        {
            kernel.Output(Use(graph.Args(id)[0]), code);
            outputs.Add(new Operand(NewValue(id)));
        }
    }

    private int Compute(int id)
    {
        var args = graph.Args(id);
        var op = graph.Node(id).Op;
        if (op is RngBits)
            return kernel.Add(new FusedInstruction(ElementwiseCode.RngBits, DType.I64, UseScalar(args[0])));
        var (a, b, c) = (Use(args[0]), args.Length > 1 ? Use(args[1]) : -1, args.Length > 2 ? Use(args[2]) : -1);
        return kernel.Add(new FusedInstruction(Lowering.CodeOf(op), graph.Type(id), a, b, c));
    }

    /// <summary>The place in the kernel of a value that a member needs: computed there, constant, or loaded.</summary>
    private int Use(int id)
    {
        if (kernel.TryGet(id, out var at))
            return at;
        if (graph.IsNumber(id, out var number))
            return kernel.Define(id, kernel.Constant(graph.Type(id), number));
        if (valueOf[id] < 0 && graph.Kind(id) == OpKind.Iota)
            return kernel.Define(id, kernel.Iota(((Iota)graph.Node(id).Op).Axis));
        return kernel.Define(id, kernel.Load(Resolve(id), graph.Type(id)));
    }

    private int UseScalar(int id) => graph.IsNumber(id, out var number) ? kernel.Constant(DType.I64, number) : kernel.LoadScalar(Resolve(id), DType.I64);

    private void EmitKernel(int node, List<Operand> outputs, FusedReduction reduction, int reducedAxes)
    {
        var compiled = kernel.Finish(reduction, reducedAxes);
        var operands = new Operand[kernel.Sources.Count + outputs.Count + (compiled.ScratchBytes > 0 ? 1 : 0)];
        for (var i = 0; i < kernel.Sources.Count; i++)
            operands[i] = At(kernel.Sources[i]);
        for (var i = 0; i < outputs.Count; i++)
            operands[kernel.Sources.Count + i] = outputs[i];
        if (compiled.ScratchBytes > 0)
            operands[^1] = new Operand(NewValue(DType.I64, compiled.ScratchBytes / sizeof(long)));
        Add(new ElementwiseInstruction(node, compiled, operands, IsWhole(operands, compiled.Spec.Size)));
    }

    /// <summary>
    /// Whether a kernel may read and write whole vectors up to the end of its operands' memory. What the body of a loop reads and writes is one element of a stack: past its
    /// end comes the next one.
    /// </summary>
    private bool IsWhole(Operand[] operands, long count)
    {
        if (body is not null)
            return false;
        foreach (var operand in operands)
        {
            var size = result.Values[operand.Value].Count;
            if (operand.Offset != 0 || (size != count && size != 1))
                return false;
        }

        return true;
    }

    private void EmitProduct(int id)
    {
        var dot = (DotGeneral)graph.Node(id).Op;
        var (x, y) = (Resolve(graph.Args(id)[0]), Resolve(graph.Args(id)[1]));
        var target = Target(id);
        var (leftFree, rightFree) = (Free(x, dot.LeftBatch, dot.LeftContract), Free(y, dot.RightBatch, dot.RightContract));
        if (target.Strides != Whole(target.Value, target.Dims).Strides && !ProductPlan.CanWrite(Rows(), Columns()))
            target = Whole(target.Value, target.Dims);
        if (target.IsContiguous)
            valueOf[id] = target.Value;
        else
            views[id] = target;
        var plan = Plan();
        if (plan is null)
        {
            x = Rearranged(x, [.. dot.LeftBatch, .. leftFree, .. dot.LeftContract]);
            plan = Plan();
        }

        if (plan is null)
        {
            y = Rearranged(y, [.. dot.RightBatch, .. dot.RightContract, .. rightFree]);
            plan = Plan();
        }

        if (plan is null)
            throw Misfit(id, "the contracted axes have more than 2^31 elements");
        if (Packed(graph.Type(id), plan, plan.Swapped ? x : y) is { } packed)
            Add(new ProductInstruction(id, graph.Type(id), plan, plan.Swapped ? packed : At(x), plan.Swapped ? At(y) : packed, new Operand(target.Value), isPacked: true));
        else
            Add(new ProductInstruction(id, graph.Type(id), plan, At(x), At(y), new Operand(target.Value)));

        int[] Free(View view, ValueList<int> batch, ValueList<int> contract) => DotGeneral.Free(view.Dims.Length, batch, contract);

        IEnumerable<ProductAxis> Rows() => leftFree.Select((a, i) => new ProductAxis(x.Dims[a], x.Strides[a], 0, target.Strides[dot.LeftBatch.Count + i]));

        IEnumerable<ProductAxis> Columns() => rightFree.Select((a, i) => new ProductAxis(y.Dims[a], 0, y.Strides[a], target.Strides[dot.LeftBatch.Count + leftFree.Length + i]));

        ProductPlan? Plan()
        {
            var batch = dot.LeftBatch.Select((a, i) => new ProductAxis(x.Dims[a], x.Strides[a], y.Strides[dot.RightBatch[i]], target.Strides[i]));
            var sums = dot.LeftContract.Select((a, i) => new ProductAxis(x.Dims[a], x.Strides[a], y.Strides[dot.RightContract[i]], 0));
            return ProductPlan.TryMake(batch, Rows(), Columns(), [.. sums]);
        }
    }

    /// <summary>Memory for a product: in the order of axes that its only use, if that transposes, wants.</summary>
    private View Target(int id)
    {
        var dims = graph.Dims(id);
        var value = NewValue(graph.Type(id), Strides.Count(dims));
        var order = Enumerable.Range(0, dims.Length).ToArray();
        var last = id;
        while (!fusion.IsRoot(last) && graph.ConsumersOf(last) is [var only] && graph.Kind(only) == OpKind.View && graph.Node(only).Op is Transpose transpose)
            (last, order) = (only, [.. transpose.Permutation.Select(a => order[a])]);
        return last == id ? Whole(value, dims) : Whole(value, graph.Dims(last)).Permute(Inverse(order), dims);
    }

    private static int[] Inverse(int[] order)
    {
        var inverse = new int[order.Length];
        for (var i = 0; i < order.Length; i++)
            inverse[order[i]] = i;
        return inverse;
    }

    /// <summary>A copy with the axes side by side in another order; the view's own order of axes stays.</summary>
    private View Rearranged(View view, int[] axes) => Copied(view.Permute(axes)).Permute(Inverse(axes));

    private void EmitArgMax(int id)
    {
        var x = Contiguous(Resolve(graph.Args(id)[0]));
        var axis = ((ArgMax)graph.Node(id).Op).Axis;
        var (outer, inner) = (Strides.Count(x.Dims.AsSpan(0, axis)), Strides.Count(x.Dims.AsSpan(axis + 1)));
        if (x.Dims[axis] == 0 && outer * inner > 0)
            throw Misfit(id, $"axis {axis} of {graph.Node(id).Args[0].Shape} is empty, so no element is largest");
        Add(new ArgMaxInstruction(id, graph.Type(graph.Args(id)[0]), outer, x.Dims[axis], inner, At(x), new Operand(NewValue(id))));
    }

    private void EmitGather(int id)
    {
        var op = (Gather)graph.Node(id).Op;
        var (x, index) = (Contiguous(Resolve(graph.Args(id)[0])), Contiguous(Resolve(graph.Args(id)[1])));
        var sizes = Sizes(x.Dims, op.Batch, op.Axis, index.Dims);
        Add(new GatherInstruction(id, FusedKernelSpec.SizeOf(graph.Type(id)), sizes, At(x), At(index), new Operand(NewValue(id))));
    }

    private void EmitScatterAdd(int id)
    {
        var op = (ScatterAdd)graph.Node(id).Op;
        var (index, x) = (Contiguous(Resolve(graph.Args(id)[0])), Contiguous(Resolve(graph.Args(id)[1])));
        var sizes = Sizes(graph.Dims(id), op.Batch, op.Axis, index.Dims);
        Add(new ScatterAddInstruction(id, graph.Type(id), sizes, At(index), At(x), new Operand(NewValue(id))));
    }

    private ShapeException Misfit(int id, string reason) => new($"{graph.Node(id).Op.Name}: {reason}", graph.Node(id).Args[0].Shape);

    private static IndexSizes Sizes(ReadOnlySpan<int> table, int batch, int axis, ReadOnlySpan<int> index) => new(
        Strides.Count(table[..batch]), Strides.Count(table[batch..axis]), table[axis], Strides.Count(table[(axis + 1)..]), Strides.Count(index[batch..]));

    private void EmitConcat(int id)
    {
        var axis = ((Concat)graph.Node(id).Op).Axis;
        var args = graph.Args(id).ToArray();
        var parts = Array.ConvertAll(args, Resolve);
        var whole = Whole(NewValue(id), graph.Dims(id));
        var start = 0L;
        for (var i = 0; i < parts.Length; i++)
        {
            var part = parts[i];
            Copy(i == parts.Length - 1 ? id : -1, part, whole with { Offset = start * whole.Strides[axis], Dims = part.Dims });
            start += part.Dims[axis];
        }
    }

    private void EmitPad(int id)
    {
        var op = (Pad)graph.Node(id).Op;
        Pad(id, Resolve(graph.Args(id)[0]), [.. op.Low.Dims.Select(graph.Evaluate)], [.. op.Interior], Whole(NewValue(id), graph.Dims(id)));
    }

    /// <summary>Zeros, and the elements of a view from <paramref name="lows"/> on with <paramref name="between"/> zeros between them, where they lie inside.</summary>
    private void Pad(int id, View x, long[] lows, int[] between, View whole)
    {
        var rank = x.Dims.Length;
        var (from, to, dims, targets) = (x.Offset, 0L, new int[rank], new long[rank]);
        for (var a = 0; a < rank; a++)
        {
            // Elements first … last of the axis land inside the result, at low + i · step.
            var (low, step) = (lows[a], between[a] + 1L);
            var first = low >= 0 ? 0 : (-low + step - 1) / step;
            var last = whole.Dims[a] - 1 - low < 0 ? -1 : Math.Min(x.Dims[a] - 1, (whole.Dims[a] - 1 - low) / step);
            dims[a] = (int)Math.Max(0, last - first + 1);
            from += first * x.Strides[a];
            to += (low + (first * step)) * whole.Strides[a];
            targets[a] = step * whole.Strides[a];
        }

        var count = Strides.Count(dims);
        if (whole.Count > count)
            Add(new ClearInstruction(new Operand(whole.Value), result.Values[whole.Value].Bytes));
        if (count > 0)
            Copy(id, x with { Offset = from, Dims = dims }, new View(whole.Value, to, dims, targets));
    }
}

/// <summary>Collects a fused kernel; equal kernels are compiled once.</summary>
internal sealed class KernelBuilder
{
    private readonly Dictionary<int, int> places = [];
    private readonly List<FusedInput> inputs = [];
    private readonly List<FusedInstruction> instructions = [];
    private readonly List<FusedOutput> outputs = [];
    private readonly Dictionary<long[], ImmutableArray<long>> strides = new(SequenceComparer<long>.Instance);
    private readonly Dictionary<Key, FusedKernel> kernels = [];
    private int[] dims = [];
    private int[] axes = [];

    /// <summary>What the inputs are loaded from.</summary>
    public List<View> Sources { get; } = [];

    /// <param name="space">Sizes of the iteration space.</param>
    /// <param name="order">The order in which its axes are walked; empty for their own.</param>
    public void Start(int[] space, int[] order)
    {
        places.Clear();
        inputs.Clear();
        instructions.Clear();
        outputs.Clear();
        Sources.Clear();
        (dims, axes) = (space, order.AsSpan().SequenceEqual(Enumerable.Range(0, order.Length).ToArray()) ? [] : order);
    }

    public bool TryGet(int id, out int place) => places.TryGetValue(id, out place);

    public int Define(int id, int place) => places[id] = place;

    /// <summary>Forgets the places of values, but not the instructions.</summary>
    public void Forget() => places.Clear();

    public int Add(FusedInstruction instruction)
    {
        instructions.Add(instruction);
        return instructions.Count - 1;
    }

    public int Constant(DType type, Number number) =>
        Add(new FusedInstruction(ElementwiseCode.Constant, type, Bits: type.IsFloat() ? BitConverter.DoubleToInt64Bits(number.Real) : number.Whole));

    public int Iota(int axis) => Add(new FusedInstruction(ElementwiseCode.Iota, DType.I64, axes.Length == 0 ? axis : Array.IndexOf(axes, axis)));

    public int Load(View view, DType type) => Load(view, type, Intern(InOrder(view)));

    public int LoadScalar(View view, DType type) => Load(view, type, Intern(new long[dims.Length]));

    public void Output(int place, ReduceCode code) => outputs.Add(new FusedOutput(place, code));

    /// <summary>An output that has every element, where <paramref name="view"/> says; in row-major order if null.</summary>
    public void Output(int place, View? view = null) =>
        outputs.Add(new FusedOutput(place, ReduceCode.None, view is null || (axes.Length == 0 && view.IsContiguous) ? default : Intern(InOrder(view))));

    public FusedKernel Finish(FusedReduction reduction, int reducedAxes)
    {
        var space = Intern(axes.Length == 0 ? Array.ConvertAll(dims, d => (long)d) : Array.ConvertAll(axes, a => (long)dims[a]));
        var key = new Key(space, [.. inputs], [.. instructions], [.. outputs], reduction, reducedAxes);
        if (!kernels.TryGetValue(key, out var kernel))
            kernels[key] = kernel = FusedKernel.Compile(new FusedKernelSpec(space, key.Inputs, key.Instructions, key.Outputs, reduction, reducedAxes));
        return kernel;
    }

    private long[] InOrder(View view) => axes.Length == 0 ? view.Strides : Array.ConvertAll(axes, a => view.Strides[a]);

    private int Load(View view, DType type, ImmutableArray<long> steps)
    {
        for (var i = 0; i < inputs.Count; i++)
        {
            if (Sources[i].Value == view.Value && Sources[i].Offset == view.Offset && inputs[i].Strides == steps)
                return instructions.FindIndex(x => x.Code == ElementwiseCode.Load && x.A == i);
        }

        inputs.Add(new FusedInput(type, steps));
        Sources.Add(view);
        return Add(new FusedInstruction(ElementwiseCode.Load, type, inputs.Count - 1));
    }

    private ImmutableArray<long> Intern(long[] list)
    {
        if (!strides.TryGetValue(list, out var known))
            strides[list] = known = [.. list];
        return known;
    }

    /// <summary>A kernel's parts; lists of strides are interned, so that they compare by reference.</summary>
    private sealed class Key(
        ImmutableArray<long> space,
        ImmutableArray<FusedInput> inputs,
        ImmutableArray<FusedInstruction> instructions,
        ImmutableArray<FusedOutput> outputs,
        FusedReduction reduction,
        int reducedAxes) : IEquatable<Key>
    {
        private readonly int hash = Hash(space, inputs, instructions, outputs, reduction, reducedAxes);

        public ImmutableArray<FusedInput> Inputs => inputs;

        public ImmutableArray<FusedInstruction> Instructions => instructions;

        public ImmutableArray<FusedOutput> Outputs => outputs;

        private ImmutableArray<long> Space => space;

        private FusedReduction Reduction => reduction;

        private int ReducedAxes => reducedAxes;

        public bool Equals(Key? other) => other is not null && hash == other.hash && space == other.Space && reduction == other.Reduction && reducedAxes == other.ReducedAxes
            && inputs.AsSpan().SequenceEqual(other.Inputs.AsSpan()) && instructions.AsSpan().SequenceEqual(other.Instructions.AsSpan())
            && outputs.AsSpan().SequenceEqual(other.Outputs.AsSpan());

        public override bool Equals(object? obj) => Equals(obj as Key);

        public override int GetHashCode() => hash;

        private static int Hash(
            ImmutableArray<long> space,
            ImmutableArray<FusedInput> inputs,
            ImmutableArray<FusedInstruction> instructions,
            ImmutableArray<FusedOutput> outputs,
            FusedReduction reduction,
            int reducedAxes)
        {
            var code = new HashCode();
            code.Add(space);
            code.Add((int)reduction);
            code.Add(reducedAxes);
            foreach (var input in inputs)
            {
                code.Add((int)input.Type);
                code.Add(input.Strides);
            }

            foreach (var x in instructions)
            {
                code.Add(((int)x.Code << 8) | (int)x.Type);
                code.Add(x.A);
                code.Add(x.B);
                code.Add(x.C);
                code.Add(x.Bits);
            }

            foreach (var output in outputs)
            {
                code.Add(output.Value);
                code.Add((int)output.Reduce);
                code.Add(output.Strides);
            }

            return code.ToHashCode();
        }
    }
}
