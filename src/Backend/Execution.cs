using System.Diagnostics;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>The memory of states, which several sessions may share.</summary>
internal sealed class StateMemory(int count)
{
    public Memory?[] Memory { get; } = new Memory?[count];

    public PlanTensor?[] Types { get; } = new PlanTensor?[count];

    /// <summary>Another one whenever a state was written.</summary>
    public long Version { get; set; }
}

/// <summary>A plan over memory: steps with the addresses of their operands.</summary>
internal sealed unsafe class Execution
{
    private readonly Memory temporaries;
    private readonly Memory constants;
    private readonly Memory pointers;
    private readonly Memory[] outputs;
    private readonly StateMemory states;
    private readonly Step[] steps;
    private readonly (DType Type, nint Address)[] guards;
    private readonly int guardAt;
    private readonly bool writesStates;

    /// <summary>The version of the states for which what they alone decide was computed.</summary>
    private long settledAt = -1;

    public Execution(Plan plan, Memory[] inputs, StateMemory states, Engine engine)
    {
        (Plan, Inputs, this.states, guardAt) = (plan, inputs, states, plan.GuardAt);
        temporaries = new Memory(plan.TemporaryBytes);
        constants = new Memory(plan.ConstantBytes);
        outputs = [.. plan.Outputs.Select(t => new Memory(t.Bytes))];
        foreach (var constant in plan.Constants)
            Fill(constant, plan.Values[constant.Value], Address(constant.Value));
        pointers = new Memory(plan.Code.Sum(i => (long)i.Operands.Length) * sizeof(void*));
        var next = (void**)pointers.Pointer;
        steps = new Step[plan.Code.Count];
        var places = new int[steps.Length];
        for (var i = 0; i < steps.Length; i++)
        {
            places[i] = (int)(next - (void**)pointers.Pointer);
            var operands = plan.Code[i].Operands;
            for (var k = 0; k < operands.Length; k++)
                next[k] = Address(operands[k].Value) + operands[k].Offset;
            steps[i] = plan.Code[i].Bind(next, engine);
            next += operands.Length;
        }

        for (var i = 0; plan.Options.Fuse && i < steps.Length; i++)
            Continue(i, places);

        guards = [.. plan.Guards.Select(g => (plan.Values[g.Value].Type, (nint)(Address(g.Value) + (g.Offset * FusedKernelSpec.SizeOf(plan.Values[g.Value].Type)))))];
        writesStates = plan.Program.States.Any(s => s.Next is not null);
    }

    public Plan Plan { get; }

    public Memory[] Inputs { get; }

    public static double Read(DType type, byte* address) => type switch
    {
        DType.F32 => *(float*)address,
        DType.F64 => *(double*)address,
        DType.I64 => *(long*)address,
        _ => *address,
    };

    public byte* Output(int output) => Address(Plan.OutputValues[output]);

    /// <summary>Whether the plan's sizes are these, as far as it has them.</summary>
    public bool Fits(IReadOnlyDictionary<string, long> sizes)
    {
        if (ReferenceEquals(sizes, Plan.Sizes))
            return true;
        foreach (var (name, size) in Plan.KnownSizes)
        {
            if (!sizes.TryGetValue(name, out var other) || other != size)
                return false;
        }

        return sizes.Count == Plan.Sizes.Count;
    }

    public RunResult Run()
    {
        var all = steps;
        for (var i = settledAt == states.Version ? Plan.SettledCount : 0; i < guardAt; i++)
            all[i].Run();
        settledAt = states.Version;
        foreach (var (type, address) in guards)
        {
            if (!double.IsFinite(Read(type, (byte*)address)))
                return RunResult.NotFinite;
        }

        for (var i = guardAt; i < all.Length; i++)
            all[i].Run();
        Commit();
        GC.KeepAlive(this);
        return RunResult.Committed;
    }

    /// <summary>Notes that a run is over. What it writes decides nothing that it keeps; other programs over the same states may keep what that decides.</summary>
    private void Commit() => settledAt = writesStates ? ++states.Version : states.Version;

    /// <summary>Whether an instruction runs as a part of one before it.</summary>
    public bool IsWithinAnother(int instruction) => steps[instruction] is SequenceStep { IsEmpty: true };

    /// <summary>Runs a few times with a clock around every step: the least time of each, in milliseconds.</summary>
    public double[] Profile(int runs)
    {
        var least = new double[steps.Length];
        Array.Fill(least, double.PositiveInfinity);
        for (var run = 0; run < runs; run++)
        {
            for (var i = 0; i < steps.Length; i++)
            {
                var start = Stopwatch.GetTimestamp();
                steps[i].Run();
                least[i] = Math.Min(least[i], Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }

            Commit();
        }

        GC.KeepAlive(this);
        return least;
    }

    /// <summary>
    /// Runs a plan of one node an instruction and looks at every value right after it is computed. Nodes whose value is not finite and
    /// that reach an output through such nodes are suspects; the first of them that has only finite arguments is the one.
    /// </summary>
    public BlameReport? Replay()
    {
        var graph = Plan.Graph;
        var found = new BlameReport?[graph.Count];
        for (var id = 0; id < graph.Count; id++)
        {
            if (graph.IsNumber(id, out var number) && graph.Type(id).IsFloat() && !double.IsFinite(number.Real))
                found[id] = new BlameReport(graph.Node(id), number.Real, new int[graph.Dims(id).Length]);
        }

        foreach (var value in Plan.VariableValues)
            Look(value.Node, value.Value, found);
        for (var i = 0; i < steps.Length; i++)
        {
            steps[i].Run();
            foreach (var (node, value) in Plan.Code[i].Computes)
                Look(node, value, found);
        }

        // A view is as its argument is.
        var suspect = new bool[graph.Count];
        foreach (var guard in Plan.Program.Outputs)
            suspect[graph[guard.Value]] = true;
        BlameReport? first = null;
        BlameReport? literal = null;
        for (var id = graph.Count - 1; id >= 0; id--)
        {
            if (!suspect[id] || (graph.Kind(id) != OpKind.View && found[id] is null))
                continue;
            var isFirst = true;
            foreach (var arg in graph.Args(id))
            {
                suspect[arg] = true;
                isFirst &= graph.Kind(arg) != OpKind.View ? found[arg] is null or { Node.Op: Literal } : !IsBad(arg, found);
            }

            if (isFirst && found[id] is { } report)
                (first, literal) = report.Node.Op is Literal ? (first, report) : (report, literal);
        }

        return first ?? literal;
    }

    /// <summary>Whether a view shows a value that has something in it that is not finite.</summary>
    private bool IsBad(int id, BlameReport?[] found)
    {
        while (Plan.Graph.Kind(id) == OpKind.View)
            id = Plan.Graph.Args(id)[0];
        return found[id] is not null and not { Node.Op: Literal };
    }

    private void Look(int node, int value, BlameReport?[] found)
    {
        var type = Plan.Values[value].Type;
        if (!type.IsFloat())
            return;
        var address = Address(value);
        var dims = Plan.Graph.Dims(node);
        for (var i = 0L; i < Plan.Values[value].Count; i++)
        {
            var x = Read(type, address + (i * FusedKernelSpec.SizeOf(type)));
            if (double.IsFinite(x))
                continue;
            found[node] = new BlameReport(Plan.Graph.Node(node), x, Strides.Coordinates(i, dims));
            return;
        }
    }

    /// <summary>
    /// Has a convolution or a matrix product run the kernel that follows it over what it stores, where that writes nothing that the product still reads. Zeros
    /// around what the kernel stores, which stand between the two, come first then.
    /// </summary>
    private void Continue(int product, int[] places)
    {
        var code = Plan.Code;
        if (code[product] is not (ConvInstruction or ProductInstruction))
            return;
        var next = product + 1;
        while (next < code.Count && code[next] is BorderInstruction)
            next++;
        if (next == code.Count || (product < guardAt && next >= guardAt) || (product < Plan.SettledCount && next >= Plan.SettledCount) || code[next] is not ElementwiseInstruction kernel)
            return;
        var result = code[product].Outputs[0].Value;
        if (!kernel.Inputs.Contains(new Operand(result)))
            return;
        foreach (var written in kernel.Outputs)
        {
            foreach (var read in code[product].Inputs)
            {
                if (Overlap(written.Value, read.Value))
                    return;
            }
        }

        if (kernel.After(result, (void**)pointers.Pointer + places[next]) is not { } epilogue || !steps[product].TryContinue(epilogue))
            return;
        steps[product] = new SequenceStep([.. steps[(product + 1)..next], steps[product]]);
        Array.Fill(steps, new SequenceStep(), product + 1, next - product);
    }

    private bool Overlap(int first, int second)
    {
        byte* a = Address(first), b = Address(second);
        return a < b + Plan.Values[second].Bytes && b < a + Plan.Values[first].Bytes;
    }

    private byte* Address(int value)
    {
        var place = Plan.PlaceOf(value);
        return place.Region switch
        {
            Region.Input => Inputs[place.Index].Pointer,
            Region.State => states.Memory[place.Index]!.Pointer,
            Region.Output => outputs[place.Index].Pointer,
            Region.Constant => constants.Pointer + place.Offset,
            _ => temporaries.Pointer + place.Offset,
        };
    }

    /// <summary>Writes the numbers that a plan holds.</summary>
    public static void Fill(Constant constant, PlanValue value, byte* target)
    {
        var size = FusedKernelSpec.SizeOf(value.Type);
        for (var i = 0; i < value.Count; i++)
        {
            var number = constant.Table.Count > 0 ? new Number(constant.Table[i], (long)constant.Table[i]) : constant.Number;
            var address = target + ((long)i * size);
            switch (value.Type)
            {
                case DType.F32:
                    *(float*)address = (float)number.Real;
                    break;
                case DType.F64:
                    *(double*)address = number.Real;
                    break;
                case DType.I64:
                    *(long*)address = number.Whole;
                    break;
                default:
                    *address = number.Whole != 0 ? (byte)1 : (byte)0;
                    break;
            }
        }
    }
}
