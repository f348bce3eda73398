using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>
/// A loop: the instructions of a body run once a step, in place on the states; operands that walk along stacked tensors move by a stride a step.
/// </summary>
internal sealed class ScanInstruction : Instruction
{
    private readonly (int Node, int Value)[] computes;
    private readonly Lowered body;
    private readonly Scheduler schedule;
    private readonly long length;
    private readonly bool reverse;
    private readonly int states;
    private readonly long[] inputSteps;
    private readonly int[] outputs;
    private readonly long[] outputSteps;

    /// <param name="computes">The nodes that are complete after the loop, and their values.</param>
    /// <param name="body">The body.</param>
    /// <param name="schedule">Its instructions in order.</param>
    /// <param name="length">The number of steps.</param>
    /// <param name="reverse">Whether the loop goes from the last element to the first.</param>
    /// <param name="states">The number of states.</param>
    /// <param name="inputSteps">For each input of the body, the bytes by which it moves a step.</param>
    /// <param name="outputs">The outputs of the body that are stacked.</param>
    /// <param name="outputSteps">For each of them, the bytes by which it moves a step.</param>
    /// <param name="operands">States and inputs; then states again, stacked outputs, and memory for the body's temporaries, if it has any.</param>
    public ScanInstruction((int Node, int Value)[] computes, Lowered body, Scheduler schedule, long length, bool reverse, int states, long[] inputSteps, int[] outputs, long[] outputSteps, Operand[] operands)
        : base(-1, operands, states + inputSteps.Length)
    {
        (this.computes, this.body, this.schedule) = (computes, body, schedule);
        (this.length, this.reverse, this.states) = (length, reverse, states);
        (this.inputSteps, this.outputs, this.outputSteps) = (inputSteps, outputs, outputSteps);
    }

    public override IEnumerable<(int Node, int Value)> Computes => computes;

    public override string Name => $"scan {length}{(reverse ? " reverse" : "")} {{ {string.Join("; ", schedule.Code.Select(i => i.Name))} }}";

    public override long Flops => length * schedule.Code.Sum(i => i.Flops);

    public override bool MayFail => schedule.Code.Any(i => i.MayFail);

    public override bool IsMovable => true;

    /// <summary>How two threads may share the body, or null.</summary>
    public LockstepCut? Cut => LockstepCut.TryMake(body.Values, schedule.Code);

    public override unsafe Step Bind(void** pointers, Engine engine)
    {
        var constants = new Memory(schedule.ConstantBytes);
        foreach (var constant in body.Constants)
            Execution.Fill(constant, body.Values[constant.Value], constants.Pointer + body.Values[constant.Value].Offset);
        var whole = BindBody(pointers, constants, null, (i, operands) => schedule.Code[i].Bind((void**)operands, engine));
        if (engine.Pool is not { Threads: > 1, Spins: true } || Cut is not { } cut)
            return whole;
        var meeting = new Meeting();
        var exchanges = cut.Exchanges.ConvertAll(e => new Exchange(e, e.Value.Region == Region.State ? pointers + e.Value.Index : null));
        var members = new LockstepMember[2];
        for (var m = 0; m < members.Length; m++)
        {
            var member = members[m] = new LockstepMember(cut, m, meeting, exchanges);
            member.Body = BindBody(pointers, constants, m == 0 ? null : new Memory(schedule.TemporaryBytes), (i, operands) => member.Bind(i, schedule.Code[i], (void**)operands));
        }

        return new LockstepStep(engine.Pool, whole, members, meeting, exchanges);
    }

    /// <summary>The body over memory.</summary>
    /// <param name="temporaries">Memory for the body's temporaries instead of the plan's.</param>
    /// <param name="bind">Makes the step of an instruction with the addresses of its operands.</param>
    private unsafe BodyStep BindBody(void** pointers, Memory constants, Memory? temporaries, Func<int, nint, Step> bind)
    {
        var code = schedule.Code;
        var table = new Memory(code.Sum(i => (long)i.Operands.Length) * sizeof(void*));
        var slots = new List<Slot>();
        var next = (void**)table.Pointer;
        var steps = new Step[code.Count];
        for (var i = 0; i < steps.Length; i++)
        {
            var operands = code[i].Operands;
            for (var k = 0; k < operands.Length; k++)
            {
                var value = body.Values[operands[k].Value];
                var (operand, offset, step) = Place(value);
                if (step != 0 && !code[i].IsMovable)
                    throw new InvalidOperationException($"{code[i].Name} cannot follow an operand that moves");
                var own = value.Region == Region.Constant ? constants : value.Region == Region.Temporary ? temporaries : null;
                if (own is null)
                    slots.Add(new Slot((nint)(next + k), operand, offset + operands[k].Offset, reverse ? -step : step, reverse ? (length - 1) * step : 0));
                next[k] = (own is null ? (byte*)pointers[operand] : own.Pointer) + offset + operands[k].Offset;
            }

            steps[i] = bind(i, (nint)next);
            next += operands.Length;
        }

        return new BodyStep(pointers, steps, [.. slots.OrderByDescending(s => s.Step != 0)], slots.Count(s => s.Step != 0), length, [constants, table, .. temporaries is null ? Array.Empty<Memory>() : [temporaries]]);
    }

    /// <summary>The operand in whose memory a value of the body lies (−1: the constants), how far from its start, and by how much it moves a step.</summary>
    private (int Operand, long Offset, long Step) Place(PlanValue value) => value.Region switch
    {
        Region.State => (value.Index, 0, 0),
        Region.Input => (states + value.Index, 0, inputSteps[value.Index]),
        Region.Output => Array.IndexOf(outputs, value.Index) is var at ? (InputCount + states + at, 0, outputSteps[at]) : default,
        Region.Constant => (-1, value.Offset, 0),
        _ => (Operands.Length - 1, value.Offset, 0),
    };
}

/// <summary>An address of the body's instructions: an operand of the loop plus an offset, where it starts, and by how much it moves a step.</summary>
internal readonly record struct Slot(nint Target, int Operand, long Offset, long Step, long Start);

/// <summary>The steps of a body, again and again.</summary>
/// <param name="slots">Those that move come first.</param>
/// <param name="memory">What must live as long.</param>
internal sealed unsafe class BodyStep(void** pointers, Step[] steps, Slot[] slots, int moving, long length, Memory[] memory) : Step
{
    public override void Run()
    {
        Rewind();
        Loop();
    }

    /// <summary>Has all addresses begin where the operands are now.</summary>
    public void Rewind()
    {
        foreach (ref readonly var slot in slots.AsSpan())
            *(byte**)slot.Target = (byte*)pointers[slot.Operand] + slot.Offset + slot.Start;
    }

    public void Loop()
    {
        var moves = slots.AsSpan(0, moving);
        for (var t = 0L; t < length; t++)
        {
            foreach (var step in steps)
                step.Run();
            foreach (ref readonly var slot in moves)
                *(byte**)slot.Target += slot.Step;
        }

        GC.KeepAlive(memory);
    }
}
