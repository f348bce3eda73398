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

    public override unsafe Step Bind(void** pointers, Engine engine)
    {
        var code = schedule.Code;
        var constants = new Memory(schedule.ConstantBytes);
        foreach (var constant in body.Constants)
            Execution.Fill(constant, body.Values[constant.Value], constants.Pointer + body.Values[constant.Value].Offset);
        var table = new Memory(code.Sum(i => (long)i.Operands.Length) * sizeof(void*));
        var slots = new List<Slot>();
        var next = (void**)table.Pointer;
        var steps = new Step[code.Count];
        for (var i = 0; i < steps.Length; i++)
        {
            var operands = code[i].Operands;
            for (var k = 0; k < operands.Length; k++)
            {
                var (operand, offset, step) = Place(body.Values[operands[k].Value]);
                if (step != 0 && !code[i].IsMovable)
                    throw new InvalidOperationException($"{code[i].Name} cannot follow an operand that moves");
                if (operand >= 0)
                    slots.Add(new Slot((nint)(next + k), operand, offset + operands[k].Offset, reverse ? -step : step, reverse ? (length - 1) * step : 0));
                next[k] = (operand >= 0 ? (byte*)pointers[operand] : constants.Pointer) + offset + operands[k].Offset;
            }

            steps[i] = code[i].Bind(next, engine);
            next += operands.Length;
        }

        return new ScanStep(pointers, steps, [.. slots.OrderByDescending(s => s.Step != 0)], slots.Count(s => s.Step != 0), length, constants, table);
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

    /// <summary>An address of the body's instructions: an operand of the loop plus an offset, where it starts, and by how much it moves a step.</summary>
    private readonly record struct Slot(nint Target, int Operand, long Offset, long Step, long Start);

    /// <param name="slots">Those that move come first.</param>
    private sealed unsafe class ScanStep(void** pointers, Step[] steps, Slot[] slots, int moving, long length, Memory constants, Memory table) : Step
    {
        public override void Run()
        {
            foreach (ref readonly var slot in slots.AsSpan())
                *(byte**)slot.Target = (byte*)pointers[slot.Operand] + slot.Offset + slot.Start;
            var moves = slots.AsSpan(0, moving);
            for (var t = 0L; t < length; t++)
            {
                foreach (var step in steps)
                    step.Run();
                foreach (ref readonly var slot in moves)
                    *(byte**)slot.Target += slot.Step;
            }

            GC.KeepAlive(constants);
            GC.KeepAlive(table);
        }
    }
}
