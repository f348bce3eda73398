using System.Runtime.Intrinsics;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Runs a program step by step over blocks of vectors: the same functions as the generated code, hence the same bits.</summary>
internal sealed unsafe class FusedInterpreter(FusedProgram program)
{
    /// <summary>Groups of sixteen elements in a block.</summary>
    private const int BlockGroups = 16;

    [ThreadStatic]
    private static byte[]? _memory;

    private readonly FusedStep[] _steps = [.. program.Steps];

    private readonly int _inputs = program.InputTypes.Length;

    /// <summary>Bytes in which every vector of the program has a block of its own.</summary>
    private readonly int _bytes = program.Vectors.Count * BlockGroups * FusedLaneOp.VectorBytes;

    /// <summary>See <see cref="FusedLoop"/>.</summary>
    public void Run(byte** pointers, long* slots, nint groups, nint rows)
    {
        while (true)
        {
            Run(pointers, slots, groups);
            if (--rows == 0)
                return;
            long* steps = slots + program.RowSlots;
            int views = program.InputTypes.Length + program.Results.Length;
            for (int p = 0; p < views; p++)
                pointers[p] += steps[p];
            for (int k = 0; k < program.RowCounters.Length; k++)
                slots[program.RowCounters[k]] += steps[views + k];
        }
    }

    private void Run(byte** pointers, long* slots, nint groups)
    {
        if (_memory is null || _memory.Length < _bytes)
            _memory = GC.AllocateUninitializedArray<byte>(_bytes, pinned: true);
        fixed (byte* memory = _memory)
        {
            for (nint done = 0; done < groups; done += BlockGroups)
            {
                int block = (int)Math.Min(BlockGroups, groups - done);
                foreach (FusedStep step in _steps)
                    RunStep(step, memory, pointers, slots, done * FusedKernel.Group, block);
                for (int r = 0; r < program.Results.Length; r++)
                    Finish(program.Results[r], memory, pointers[_inputs + r], done * FusedKernel.Group, block);
            }
        }
    }

    private static byte* Block(byte* memory, int vector) => memory + (nint)vector * BlockGroups * FusedLaneOp.VectorBytes;

    private void RunStep(FusedStep step, byte* memory, byte** pointers, long* slots, nint first, int count)
    {
        byte* target = Block(memory, step.Target);
        if (step.Kind == FusedStepKind.Apply)
        {
            byte** sources = stackalloc byte*[4];
            for (int k = 0; k < step.Sources.Length; k++)
                sources[k] = Block(memory, step.Sources[k]);
            step.Op!.Run(target, sources, count);
            return;
        }
        DType type = program.Vectors[step.Target];
        for (int g = 0; g < count; g++)
        {
            nint i = first + g * FusedKernel.Group;
            byte* p = target + g * FusedLaneOp.VectorBytes;
            switch (step.Kind)
            {
                case FusedStepKind.Load when step.Index >= _inputs:
                    FusedLanes.LoadInt(pointers[step.Index]).Store((int*)p);
                    break;
                case FusedStepKind.Load:
                    Load(step, type, p, pointers[step.Index], slots, i);
                    break;
                case FusedStepKind.Constant:
                    Fill(p, type, step.Bits);
                    break;
                case FusedStepKind.Iota:
                    FusedLanes.Iota(slots + step.Slot, i + step.Half * 8).Store((long*)p);
                    break;
                default:
                    ulong key = step.Index < 0 ? (ulong)step.Bits : *(ulong*)pointers[step.Index];
                    FusedLanes.Bits24(key, slots[step.Slot] + i).Store((int*)p);
                    break;
            }
        }
    }

    private void Load(FusedStep step, DType type, byte* target, byte* source, long* slots, nint i)
    {
        switch (program.Access[step.Index])
        {
            case FusedAccess.Unit:
                source += i * FusedKernelSpec.SizeOf(type) + step.Half * FusedLaneOp.VectorBytes;
                if (type == DType.Bool)
                    FusedLanes.LoadMask(source).Store((int*)target);
                else
                    FusedLanes.LoadInt(source).Store((int*)target);
                break;
            case FusedAccess.Broadcast:
                (type switch
                {
                    DType.F32 => FusedLanes.BroadcastSingle(source).AsInt32(),
                    DType.Bool => FusedLanes.BroadcastMask(source),
                    _ => FusedLanes.BroadcastLong(source).AsInt32(),
                }).Store((int*)target);
                break;
            default:
                long step64 = slots[step.Slot];
                source += (nint)((i + step.Half * 8) * step64);
                (type switch
                {
                    DType.F32 => FusedLanes.GatherSingle(source, step64).AsInt32(),
                    DType.Bool => FusedLanes.GatherMask(source, step64),
                    _ => FusedLanes.GatherLong(source, step64).AsInt32(),
                }).Store((int*)target);
                break;
        }
    }

    /// <summary>Writes a vector of a constant.</summary>
    public static void Fill(byte* target, DType type, long bits)
    {
        (type switch
        {
            DType.F32 => Vector512.Create((float)BitConverter.Int64BitsToDouble(bits)).AsInt32(),
            DType.Bool => Vector512.Create(bits == 0 ? 0 : -1),
            _ => Vector512.Create(bits).AsInt32(),
        }).Store((int*)target);
    }

    private void Finish(FusedResult result, byte* memory, byte* output, nint first, int count)
    {
        byte** sources = stackalloc byte*[2];
        for (int half = 0; half < result.Vectors.Length; half++)
        {
            byte* value = Block(memory, result.Vectors[half]);
            for (int g = 0; g < count; g++, value += FusedLaneOp.VectorBytes)
            {
                sources[1] = value;
                if (program.Reduction == FusedReduction.Rows && result.Combine is not null)
                {
                    byte* queue = output + half * FusedKernel.Accumulators * FusedLaneOp.VectorBytes;
                    sources[0] = queue;
                    result.Combine.Run(value, sources, 1);
                    for (int k = 0; k + 1 < FusedKernel.Accumulators; k++)
                        FusedLanes.LoadInt(queue + (k + 1) * FusedLaneOp.VectorBytes).Store((int*)(queue + k * FusedLaneOp.VectorBytes));
                    FusedLanes.LoadInt(value).Store((int*)(queue + (FusedKernel.Accumulators - 1) * FusedLaneOp.VectorBytes));
                    continue;
                }
                byte* target = output + (first + g * FusedKernel.Group) * FusedKernelSpec.SizeOf(result.Type) + half * FusedLaneOp.VectorBytes;
                if (result.Combine is not null)
                {
                    sources[0] = target;
                    result.Combine.Run(target, sources, 1);
                }
                else if (result.Type == DType.Bool)
                    FusedLanes.StoreMask(target, FusedLanes.LoadInt(value));
                else
                    FusedLanes.LoadInt(value).Store((int*)target);
            }
        }
    }
}
