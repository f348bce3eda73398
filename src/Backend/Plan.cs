using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>A tensor of a plan that is seen from outside: its name, element type and sizes.</summary>
public sealed record PlanTensor(string Name, DType Type, ImmutableArray<int> Dims)
{
    public long Count => Strides.Count(Dims.AsSpan());

    public long Bytes => Count * FusedKernelSpec.SizeOf(Type);

    public override string ToString() => $"{Name}: {Type.Text()}[{string.Join(", ", Dims)}]";
}

/// <summary>
/// A program compiled for concrete sizes: kernels in order, every value's place in memory. A plan is immutable and holds no memory;
/// <see cref="Session"/> runs it.
/// </summary>
public sealed class Plan
{
    private readonly Scheduler schedule;
    private readonly Lowered lowered;
    private readonly ConcreteGraph? graph;

    private Plan(Program program, IReadOnlyDictionary<string, long> sizes, PlanOptions options)
    {
        (Program, Options) = (program, options);
        KnownSizes = new(sizes, StringComparer.Ordinal);
        (lowered, var nodes) = Planner.Lower(program, sizes, options);
        schedule = Scheduler.Run(lowered, options.Fuse, settles: options.Fuse);
        Inputs = [.. program.Inputs.Select(i => Describe(i.Name, i.Value))];
        States = [.. program.States.Select(s => Describe(s.Name, s.Variable))];
        Outputs = [.. program.Outputs.Select(o => Describe(o.Name, o.Value))];
        graph = options.Fuse ? null : nodes;

        PlanTensor Describe(string name, Expr value) => new(name, nodes.Concrete(value.DType), [.. nodes.Evaluate(value.Shape)]);
    }

    public Program Program { get; }

    public PlanOptions Options { get; }

    /// <summary>What the named dimensions are.</summary>
    public IReadOnlyDictionary<string, long> Sizes => KnownSizes;

    public ImmutableArray<PlanTensor> Inputs { get; }

    public ImmutableArray<PlanTensor> States { get; }

    public ImmutableArray<PlanTensor> Outputs { get; }

    /// <summary>The number of instructions of a run.</summary>
    public int KernelCount => schedule.Code.Count;

    /// <summary>Bytes of intermediate values, sharing memory where lifetimes do not overlap.</summary>
    public long TemporaryBytes => schedule.TemporaryBytes;

    public long ConstantBytes => schedule.ConstantBytes;

    /// <summary>Bytes of all tensors of a session that runs this plan: inputs, states, outputs, intermediate values and constants.</summary>
    public long TensorBytes => Inputs.Concat(States).Concat(Outputs).Sum(t => t.Bytes) + TemporaryBytes + ConstantBytes;

    /// <summary>Floating-point operations of a run; an exponential counts as one.</summary>
    public long Flops => schedule.Code.Sum(i => i.Flops);

    /// <summary>Bytes that the kernels of a run read and write, each operand counted whole.</summary>
    public long BytesMoved => schedule.Code.Sum(BytesOf);

    /// <summary>The number of values that have memory of their own or share it.</summary>
    public int BufferCount => schedule.Code.SelectMany(i => i.Operands.ToArray()).Select(o => o.Value).Distinct().Count();

    /// <summary>The same, for a walk that allocates nothing.</summary>
    internal Dictionary<string, long> KnownSizes { get; }

    internal IReadOnlyList<Instruction> Code => schedule.Code;

    internal IReadOnlyList<PlanValue> Values => lowered.Values;

    internal IReadOnlyList<Constant> Constants => lowered.Constants;

    internal int GuardAt => schedule.GuardAt;

    /// <summary>The number of instructions, at the start, that run again only when a state was given a value.</summary>
    internal int SettledCount => schedule.SettledCount;

    internal IReadOnlyList<View> Guards => lowered.Guards;

    /// <summary>The value of each output.</summary>
    internal IReadOnlyList<int> OutputValues => schedule.Outputs;

    /// <summary>Variables that are read: node and value. For plans without fusion.</summary>
    internal IEnumerable<(int Node, int Value)> VariableValues =>
        Program.Inputs.Select((input, i) => (input.Value, lowered.Inputs[i]))
            .Concat(Program.States.Select((state, i) => (state.Variable, lowered.States[i])))
            .Where(v => v.Item2 >= 0 && Graph.TryFind(v.Item1, out _))
            .Select(v => (Graph[v.Item1], v.Item2));

    /// <summary>The nodes by number; a plan with fused kernels has forgotten them.</summary>
    internal ConcreteGraph Graph => graph ?? throw new InvalidOperationException("only a plan without fusion keeps its nodes");

    /// <summary>Compiles a program.</summary>
    /// <param name="program">The computation; its phases are resolved.</param>
    /// <param name="sizes">What the named dimensions are.</param>
    /// <param name="options">The float type and what runs it.</param>
    /// <exception cref="ShapeException">Sizes do not fit each other, or one is missing; the message names both sides.</exception>
    /// <exception cref="GraphException">A phase is open, or a variable is neither input nor state.</exception>
    public static Plan Compile(Program program, IReadOnlyDictionary<string, long> sizes, PlanOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(program);
        foreach (var check in program.Checks)
            check.Verify(sizes);
        try
        {
            return new(program, sizes, options ?? PlanOptions.Default);
        }
        catch (ShapeException e) when (e.Location is null && e.Node is { } node && program.Provenance?.Find(node)?.Location is { } place)
        {
            throw new ShapeException(e.Message, e.Left, e.Right, e.Axis) { Node = node, Location = place };
        }
    }

    /// <summary>The plan as text: totals, tensors, instructions in order with the memory they read and write.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        var c = CultureInfo.InvariantCulture;
        text.Append(c, $"plan {Options.Float.Text()}{string.Concat(Sizes.OrderBy(s => s.Key, StringComparer.Ordinal).Select(s => $" {s.Key}={s.Value}"))}\n");
        text.Append(c, $"kernels {KernelCount}, temporaries {TemporaryBytes} B, constants {ConstantBytes} B, {Flops} flop\n");
        foreach (var (kind, tensors) in new[] { ("input", Inputs), ("state", States), ("output", Outputs) })
        {
            foreach (var tensor in tensors)
                text.Append(c, $"{kind} {tensor}, {tensor.Bytes} B\n");
        }

        var names = new string?[Values.Count];
        var next = 0;
        for (var i = 0; i < Code.Count; i++)
        {
            if (i == GuardAt && lowered.Guards.Length > 0)
                AppendGuard(text, names, ref next);
            var instruction = Code[i];
            var outputs = instruction.Outputs.ToArray().Select(o => Name(o, names, ref next) + Type(o)).ToArray();
            var inputs = instruction.Inputs.ToArray().Select(o => Name(o, names, ref next)).ToArray();
            text.Append(c, $"{i}: {string.Join(", ", outputs)} = {instruction.Name}({string.Join(", ", inputs)})\n");
        }

        if (GuardAt == Code.Count && lowered.Guards.Length > 0)
            AppendGuard(text, names, ref next);
        return text.ToString();
    }

    internal long BytesOf(Instruction instruction)
    {
        var bytes = 0L;
        foreach (var operand in instruction.Operands)
            bytes += Values[operand.Value].Bytes;
        return bytes;
    }

    internal Place PlaceOf(int value) => new(Values[value].Region, Values[value].Index, Values[value].Offset);

    private void AppendGuard(StringBuilder text, string?[] names, ref int next)
    {
        var guards = new List<string>();
        foreach (var guard in lowered.Guards)
            guards.Add(Name(new Operand(guard.Value), names, ref next));
        text.Append(CultureInfo.InvariantCulture, $"commit if finite: {string.Join(", ", guards)}\n");
    }

    private string Name(Operand operand, string?[] names, ref int next)
    {
        var value = Values[operand.Value];
        var name = names[operand.Value] ??= value.Region switch
        {
            Region.Input => Inputs[value.Index].Name,
            Region.State => States[value.Index].Name,
            Region.Output => Outputs[value.Index].Name,
            Region.Constant => string.Create(CultureInfo.InvariantCulture, $"const@{value.Offset}"),
            _ => string.Create(CultureInfo.InvariantCulture, $"%{next++}@{value.Offset}"),
        };
        return operand.Offset == 0 ? name : string.Create(CultureInfo.InvariantCulture, $"{name}+{operand.Offset}");
    }

    private string Type(Operand operand)
    {
        var value = Values[operand.Value];
        return string.Create(CultureInfo.InvariantCulture, $": {value.Type.Text()} {value.Bytes} B");
    }
}

/// <summary>Where a value is: bytes from the start of a region's memory, for temporaries and constants; the number of an input, state or output otherwise.</summary>
internal readonly record struct Place(Region Region, int Index, long Offset);
