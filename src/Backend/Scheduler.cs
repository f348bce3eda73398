using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>
/// Orders instructions and places values in memory. What guards need and what may fail runs first; then, if the guards hold, the rest,
/// in which a state's next value may be written over its last one; copies into states end the run. What is computed from states that no run changes
/// comes before all and keeps its memory: it runs again only when such a state was given another value.
/// </summary>
internal sealed class Scheduler
{
    private readonly Lowered lowered;
    private readonly bool reuse;
    private readonly List<PlanValue> values;
    private readonly List<Instruction> prologue = [];
    private readonly List<Instruction> epilogue = [];
    private readonly int[] candidate;
    private readonly HashSet<int> settled = [];
    private Instruction[] sequence = [];

    private Scheduler(Lowered lowered, bool reuse)
    {
        (this.lowered, this.reuse, values) = (lowered, reuse, lowered.Values);
        candidate = new int[lowered.Next.Length];
        Array.Fill(candidate, -1);
    }

    /// <summary>Instructions in order; the guards are checked before the instruction <see cref="GuardAt"/>.</summary>
    public IReadOnlyList<Instruction> Code { get; private set; } = [];

    public int GuardAt { get; private set; }

    /// <summary>The number of instructions, at the start, whose results stay from run to run.</summary>
    public int SettledCount { get; private set; }

    /// <summary>The value of each output.</summary>
    public required int[] Outputs { get; init; }

    /// <summary>The value that is each state's memory; −1 where the plan neither reads nor writes it.</summary>
    public required int[] States { get; init; }

    public long TemporaryBytes { get; private set; }

    public long ConstantBytes { get; private set; }

    /// <param name="reuse">Whether a temporary may take the place of an operand of the same instruction.</param>
    /// <param name="settles">Whether results that no run changes are kept; else every instruction belongs to the run.</param>
    public static Scheduler Run(Lowered lowered, bool reuse, bool settles)
    {
        var scheduler = new Scheduler(lowered, reuse) { Outputs = new int[lowered.Outputs.Length], States = lowered.States };
        scheduler.FindNextStates();
        scheduler.StageOutputs();
        if (settles)
            scheduler.FindSettled();
        scheduler.Order();
        scheduler.WriteInPlace();
        scheduler.PlaceOutputs();
        scheduler.Code = [.. scheduler.sequence, .. scheduler.epilogue];
        if (!lowered.Next.Any(n => n is not null))
            scheduler.GuardAt = scheduler.Code.Count;
        scheduler.SettledCount = scheduler.sequence.TakeWhile(scheduler.IsSettled).Count();
        scheduler.PlaceTemporaries();
        scheduler.PlaceConstants();
        return scheduler;
    }

    private static bool IsWhole(View view, PlanValue value) => view.Offset == 0 && view.Count == value.Count && view.IsContiguous;

    private void FindNextStates()
    {
        var taken = new HashSet<int>();
        for (var i = 0; i < lowered.Next.Length; i++)
        {
            if (lowered.Next[i] is not { } next)
                continue;
            var value = values[next.Value];
            if (States[i] < 0)
                States[i] = NewValue(value.Type, next.Count, Region.State, i);
            if (value.Region == Region.Temporary && value.Writers == 1 && IsWhole(next, value) && taken.Add(next.Value))
            {
                candidate[i] = next.Value;
                continue;
            }

            // A state that becomes another state's last value: that one may be overwritten before.
            if (value.Region == Region.State)
            {
                var staged = NewValue(value.Type, next.Count, Region.Temporary, -1);
                Copy(prologue, next, staged);
                next = new View(staged, 0, next.Dims, View.RowMajor(next.Dims));
            }

            Copy(epilogue, next, States[i]);
        }
    }

    /// <summary>Outputs that show a state show its value before the run.</summary>
    private void StageOutputs()
    {
        Array.Fill(Outputs, -1);
        for (var i = 0; i < Outputs.Length; i++)
        {
            var view = lowered.Outputs[i];
            if (values[view.Value].Region != Region.State)
                continue;
            Outputs[i] = NewValue(values[view.Value].Type, view.Count, Region.Output, i);
            Copy(prologue, view, Outputs[i]);
        }
    }

    /// <summary>
    /// Finds the values that only states without a next value, constants and other such values decide. What the run shows as an output or writes into a
    /// state has memory of its own there, and stays with the run.
    /// </summary>
    private void FindSettled()
    {
        var shown = lowered.Outputs.Concat(lowered.Next.OfType<View>()).Select(v => v.Value).ToHashSet();
        foreach (var instruction in lowered.Code)
        {
            var (reads, follows) = (false, !instruction.MayFail && instruction.Outputs.Length > 0);
            foreach (var input in instruction.Inputs)
            {
                var value = values[input.Value];
                var isFixed = settled.Contains(input.Value) || (value.Region == Region.State && lowered.Next[value.Index] is null);
                (reads, follows) = (reads || isFixed, follows && (isFixed || value.Region == Region.Constant));
            }

            foreach (var output in instruction.Outputs)
                follows &= values[output.Value] is { Region: Region.Temporary, Writers: 1 } && !shown.Contains(output.Value);
            if (!reads || !follows)
                continue;
            foreach (var output in instruction.Outputs)
                settled.Add(output.Value);
        }
    }

    private bool IsSettled(Instruction instruction) => instruction.Outputs.Length > 0 && settled.Contains(instruction.Outputs[0].Value);

    private void Order()
    {
        Instruction[] code = [.. lowered.Code.Where(IsSettled), .. prologue, .. lowered.Code.Where(i => !IsSettled(i))];
        if (!lowered.Next.Any(n => n is not null))
        {
            sequence = code;
            return;
        }

        var needed = new bool[values.Count];
        var isRead = new bool[values.Count];
        foreach (var guard in lowered.Guards)
            needed[guard.Value] = isRead[guard.Value] = true;
        foreach (var view in lowered.Outputs)
            isRead[view.Value] = true;
        var early = new bool[code.Length];
        for (var i = code.Length - 1; i >= 0; i--)
        {
            early[i] = code[i].MayFail || IsSettled(code[i]);
            foreach (var output in code[i].Outputs)
                early[i] |= needed[output.Value];
            foreach (var input in code[i].Inputs)
            {
                needed[input.Value] |= early[i];
                isRead[input.Value] = true;
            }
        }

        foreach (var copy in epilogue)
            isRead[copy.Inputs[0].Value] = true;
        var isNext = new bool[values.Count];
        foreach (var next in candidate)
        {
            if (next >= 0)
                isNext[next] = true;
        }

        // What only writes states goes last, when others have read them.
        var (first, middle, last) = (new List<Instruction>(), new List<Instruction>(), new List<Instruction>());
        for (var i = 0; i < code.Length; i++)
        {
            var writes = false;
            var used = false;
            foreach (var output in code[i].Outputs)
                (writes, used) = (writes | isNext[output.Value], used | isRead[output.Value]);
            (early[i] ? first : writes && !used ? last : middle).Add(code[i]);
        }

        GuardAt = first.Count;
        sequence = [.. first, .. middle, .. last];
    }

    private void WriteInPlace()
    {
        if (candidate.Length == 0)
            return;
        var writtenAt = new int[values.Count];
        var readAt = new int[values.Count];
        for (var i = 0; i < sequence.Length; i++)
        {
            foreach (var output in sequence[i].Outputs)
                writtenAt[output.Value] = i;
            foreach (var input in sequence[i].Inputs)
                readAt[input.Value] = i;
        }

        for (var i = 0; i < candidate.Length; i++)
        {
            var next = candidate[i];
            if (next < 0)
                continue;
            var (state, at) = (States[i], writtenAt[next]);
            if (at >= GuardAt && readAt[state] <= at && TakesPlaceOf(sequence[at], state, next))
                (values[next].Region, values[next].Index) = (Region.State, i);
            else
                Copy(epilogue, lowered.Next[i]!, state);
        }
    }

    /// <summary>Whether the instruction may write an output over the memory of a value that it reads, if it does.</summary>
    private static bool TakesPlaceOf(Instruction instruction, int read, int written)
    {
        var operands = instruction.Operands;
        var output = 0;
        while (operands[instruction.InputCount + output].Value != written)
            output++;
        for (var k = 0; k < instruction.InputCount; k++)
        {
            if (operands[k].Value == read && !instruction.AllowsInPlace(k, output))
                return false;
        }

        return true;
    }

    private void PlaceOutputs()
    {
        for (var i = 0; i < Outputs.Length; i++)
        {
            if (Outputs[i] >= 0)
                continue;
            var view = lowered.Outputs[i];
            var value = values[view.Value];
            if (IsWhole(view, value) && value.Region is Region.Temporary or Region.Output && value.Writers > 0)
            {
                Outputs[i] = view.Value;
                if (value.Region == Region.Temporary)
                    (value.Region, value.Index) = (Region.Output, i);
                continue;
            }

            Outputs[i] = NewValue(value.Type, view.Count, Region.Output, i);
            Copy(epilogue, view, Outputs[i]);
        }
    }

    private void PlaceTemporaries()
    {
        var lastUse = new int[values.Count];
        for (var i = 0; i < Code.Count; i++)
        {
            foreach (var operand in Code[i].Operands)
                lastUse[operand.Value] = i;
        }

        foreach (var guard in lowered.Guards)
            lastUse[guard.Value] = Math.Max(lastUse[guard.Value], GuardAt);
        foreach (var value in settled)
            lastUse[value] = int.MaxValue;
        var arena = new Arena();
        for (var i = 0; i < Code.Count; i++)
        {
            var instruction = Code[i];
            for (var o = 0; o < instruction.Outputs.Length; o++)
            {
                var id = instruction.Outputs[o].Value;
                var value = values[id];
                if (value.Region != Region.Temporary || value.Offset >= 0)
                    continue;
                var heir = reuse ? FindHeir(instruction, o, i, lastUse) : -1;
                if (heir >= 0)
                {
                    value.Offset = values[heir].Offset;
                    lastUse[heir] = -1;
                }
                else
                {
                    value.Offset = arena.Take(value.Bytes);
                }
            }

            foreach (var operand in instruction.Operands)
            {
                var value = values[operand.Value];
                if (value.Region != Region.Temporary || lastUse[operand.Value] != i)
                    continue;
                arena.Release(value.Offset, value.Bytes);
                lastUse[operand.Value] = -1;
            }
        }

        // Empty values that nothing writes.
        foreach (var value in values)
            value.Offset = Math.Max(value.Offset, 0);
        TemporaryBytes = arena.Size;
    }

    /// <summary>An operand of the same size that is read here for the last time, element by element.</summary>
    private int FindHeir(Instruction instruction, int output, int at, int[] lastUse)
    {
        var bytes = values[instruction.Outputs[output].Value].Bytes;
        foreach (var input in instruction.Inputs)
        {
            var value = values[input.Value];
            if (value.Region == Region.Temporary && lastUse[input.Value] == at && value.Bytes == bytes && TakesPlaceOf(instruction, input.Value, instruction.Outputs[output].Value))
                return input.Value;
        }

        return -1;
    }

    private void PlaceConstants()
    {
        foreach (var constant in lowered.Constants)
        {
            values[constant.Value].Offset = ConstantBytes;
            ConstantBytes += Arena.Align(values[constant.Value].Bytes);
        }
    }

    private int NewValue(DType type, long count, Region region, int index)
    {
        values.Add(new PlanValue(type, count) { Region = region, Index = index });
        return values.Count - 1;
    }

    private void Copy(List<Instruction> code, View from, int to)
    {
        var size = FusedKernelSpec.SizeOf(values[from.Value].Type);
        values[to].Writers++;
        if (from.Count > 0)
            code.Add(new CopyInstruction(-1, size, from.Dims, from.Strides, View.RowMajor(from.Dims), new Operand(from.Value, from.Offset * size), new Operand(to)));
    }
}
