using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>How a kernel runs.</summary>
internal enum FusedMode
{
    /// <summary>Generated code where the runtime compiles dynamic code and the switch <see cref="FusedKernel.InterpretSwitch"/> is off.</summary>
    Auto,
    Compiled,
    Interpreted,
}

/// <summary>
/// A compiled <see cref="FusedKernelSpec"/>. The work is <see cref="Units"/> units; <see cref="Invoke"/> does any range of
/// them, on any thread, in any order, and then <see cref="Finish"/> combines what reductions left in the scratch memory.
/// No bit of the result depends on the ranges. Nothing is allocated.
/// An output may be the memory of an input that has the output's type and is contiguous over the space, in kernels without reduction.
/// Pointers are those of the inputs, then those of the outputs; an input's points to its element at coordinate 0.
/// </summary>
internal sealed unsafe class FusedKernel
{
    /// <summary>Elements of a step of the generated loop.</summary>
    public const int Group = 16;

    /// <summary>Partial results that a row reduction keeps, in turn, for each of the <see cref="Group"/> lanes.</summary>
    public const int Accumulators = 4;

    /// <summary>The <see cref="AppContext"/> switch that makes <see cref="FusedMode.Auto"/> interpret.</summary>
    public const string InterpretSwitch = "Dnn.InterpretKernels";

    /// <summary>Longest stretch of a row that is one unit; partial results of its stretches are added as a tree.</summary>
    private const long RowChunk = 16384;

    /// <summary>Widest tile of columns, so that its partial results stay in the first-level cache.</summary>
    private const long ColumnTile = 2048;

    /// <summary>Elements that a unit of a column reduction has at least, if there are as many, within <see cref="MaxBlockRows"/>.</summary>
    private const long ColumnUnit = 32768;

    private const long MaxBlockRows = 256;

    /// <summary>Bytes between planes of partial results: addresses a multiple of 4096 apart would wait for one another.</summary>
    private const long PlaneGap = 320;

    private const int KernelLimit = 4096;

    private static readonly ConcurrentDictionary<(FusedKernelSpec Spec, bool Compiled), FusedKernel> Cache = new();

    private readonly FusedProgram _program;
    private readonly FusedLoop _loop;
    private readonly int _inputs;
    private readonly int _outputs;

    /// <summary>Merged axes, at least one, outermost first.</summary>
    private readonly long[] _dims;

    /// <summary>Steps along every axis of every view: inputs and outputs in bytes, then iotas in units.</summary>
    private readonly long[] _strides;

    /// <summary>Views: inputs, outputs, iotas.</summary>
    private readonly int _views;

    /// <summary>The slot of the start of each iota.</summary>
    private readonly int[] _iotaSlots;

    /// <summary>Rows: for every output the accumulating vectors, and what they begin with.</summary>
    private readonly int[] _rowVectors;

    private readonly Vector512<long>[] _rowIdentities;

    /// <summary>Rows: elements of a row. Columns: rows of the space.</summary>
    private readonly long _reduced;

    /// <summary>Stretches of a row, or blocks of rows.</summary>
    private readonly long _chunks;

    private readonly long _blockRows;
    private readonly long _tiles;

    /// <summary>Bytes of an element for each result of each stretch or block.</summary>
    private readonly long _plane;

    /// <summary>Whether units leave partial results in the scratch memory.</summary>
    private readonly bool _isPartial;

    /// <summary>How the outputs of the program are combined.</summary>
    private readonly ReduceCode[] _codes;

    /// <summary>Outputs of the spec that no deviations are.</summary>
    private readonly int _plain;

    /// <summary>Outputs of the spec that are sums of squared deviations.</summary>
    private readonly int _deviations;

    /// <summary>The kernel that sums the first elements of a unit, around whose mean deviations are summed; or null.</summary>
    private readonly FusedKernel? _first;

    /// <summary>Whether the kernel is such a one.</summary>
    private readonly bool _isFirst;

    private FusedKernel(FusedKernelSpec spec, bool compiled, bool isFirst = false)
    {
        if (spec.Reduction == FusedReduction.Columns && spec.OutputSize == 1)
            spec = new FusedKernelSpec(spec.Dims, spec.Inputs, spec.Instructions, spec.Outputs, FusedReduction.Rows, spec.Dims.Length);
        Spec = spec;
        OutputSize = spec.OutputSize;
        _isFirst = isFirst;
        _deviations = spec.DeviationCount;
        _plain = spec.Outputs.Length - _deviations;
        if (_deviations > 0)
        {
            _first = new FusedKernel(spec.Sums(), compiled, isFirst: true);
            spec = spec.Shifted();
        }
        _inputs = spec.Inputs.Length;
        _outputs = spec.Outputs.Length;
        _codes = [.. spec.Outputs.Select(o => o.Reduce)];
        (_dims, long[][] views) = Merge(spec);
        _views = views.Length;
        _strides = [.. views.SelectMany(v => v)];

        var access = ImmutableArray.CreateBuilder<FusedAccess>();
        for (int i = 0; i < _inputs; i++)
        {
            long step = views[i][^1];
            access.Add(step == 0 ? FusedAccess.Broadcast
                : step == FusedKernelSpec.SizeOf(spec.Inputs[i].Type) ? FusedAccess.Unit
                : FusedAccess.Strided);
        }
        _program = new FusedProgram(spec, access.ToImmutable());
        _iotaSlots = [.. _program.IotaSlots.Where(s => s >= 0)];
        _loop = compiled ? FusedCode.Compile(_program) : new FusedInterpreter(_program).Run;

        _rowVectors = [.. _program.Results.Select(r => r.Combine is null ? 0 : FusedProgram.VectorsOf(r.Type) * Accumulators)];
        _rowIdentities = new Vector512<long>[_outputs];
        fixed (Vector512<long>* identities = _rowIdentities)
            for (int o = 0; o < _outputs; o++)
            {
                if (_program.Results[o].Combine is null)
                    continue;
                DType type = _program.Results[o].Type;
                FusedInterpreter.Fill((byte*)(identities + o), type, FusedProgram.Identity(spec.Outputs[o].Reduce, type));
            }

        switch (spec.Reduction)
        {
            case FusedReduction.None:
                Units = OutputSize;
                break;
            case FusedReduction.Rows:
                _reduced = OutputSize == 0 ? 0 : spec.Size / OutputSize;
                _chunks = Math.Max(1, Ceiling(_reduced, RowChunk));
                Units = OutputSize * _chunks;
                break;
            default:
                _reduced = OutputSize == 0 ? 0 : spec.Size / OutputSize;
                _tiles = Ceiling(OutputSize, ColumnTile);
                _blockRows = Math.Clamp(Ceiling(ColumnUnit, Math.Clamp(OutputSize, 1, ColumnTile)), 1, MaxBlockRows);
                _chunks = Math.Max(1, Ceiling(_reduced, _blockRows));
                Units = _chunks * _tiles;
                break;
        }
        _isPartial = _chunks > 1 && !isFirst;
        int planes = (_isPartial ? _plain : 0) + 3 * _deviations;
        _plane = checked(_chunks * OutputSize * sizeof(long) + (planes > 1 ? PlaneGap : 0));
        ScratchBytes = checked(planes * _plane + (_deviations > 0 ? _chunks * sizeof(double) : 0));
    }

    /// <summary>What the kernel computes; a reduction of columns to one element has become one of rows.</summary>
    public FusedKernelSpec Spec { get; }

    /// <summary>Number of elements of each output.</summary>
    public long OutputSize { get; }

    /// <summary>Number of independent pieces of work: elements where nothing is reduced, stretches of rows, or tiles of columns.</summary>
    public long Units { get; }

    /// <summary>Elements of the space that a unit stands for, at most: what a caller weighs to split the work.</summary>
    public long ElementsPerUnit => Units == 0 ? 0 : Ceiling(Spec.Size, Units);

    /// <summary>Bytes of memory that the invocations and <see cref="Finish"/> share; 0 for none.</summary>
    public long ScratchBytes { get; }

    /// <summary>The kernel of a spec, from the cache if it was compiled before.</summary>
    public static FusedKernel Compile(FusedKernelSpec spec, FusedMode mode = FusedMode.Auto)
    {
        bool compiled = mode == FusedMode.Compiled
            || (mode == FusedMode.Auto && RuntimeFeature.IsDynamicCodeCompiled
                && !(AppContext.TryGetSwitch(InterpretSwitch, out bool interpret) && interpret));
        if (Cache.TryGetValue((spec, compiled), out FusedKernel? kernel))
            return kernel;
        if (Cache.Count >= KernelLimit)
            Cache.Clear();
        return Cache.GetOrAdd((spec, compiled), new FusedKernel(spec, compiled));
    }

    /// <summary>Does units <paramref name="start"/> to <paramref name="end"/> (exclusive).</summary>
    public void Invoke(void** pointers, void* scratch, long start, long end)
    {
        if (start >= end)
            return;
        if (Spec.Reduction == FusedReduction.None)
        {
            Walk((byte**)pointers, (byte**)pointers + _inputs, start, end);
            return;
        }
        for (long unit = start; unit < end; unit++)
        {
            if (_first is null)
                ReduceUnit((byte**)pointers, (byte*)scratch, unit);
            else
                ReduceWithDeviations((byte**)pointers, (byte*)scratch, unit);
        }
    }

    /// <summary>Combines partial results: called once, after all units are done; does nothing where <see cref="ScratchBytes"/> is 0.</summary>
    public void Finish(void** pointers, void* scratch)
    {
        for (int d = 0; d < _deviations; d++)
        {
            void* output = pointers[Spec.Inputs.Length + _plain + d];
            if (Spec.OutputType(_plain + d) == DType.F32)
                MergeDeviations((byte*)scratch, d, (float*)output);
            else
                MergeDeviations((byte*)scratch, d, (double*)output);
        }
        for (int o = 0; _isPartial && o < _plain; o++)
        {
            if (_program.Results[o].Combine is null)
                continue;
            byte* partial = (byte*)scratch + o * _plane;
            byte* output = (byte*)pointers[Spec.Inputs.Length + o];
            ReduceCode code = _codes[o];
            switch (_program.Results[o].Type)
            {
                case DType.F32:
                    CombinePartials((float*)partial, (float*)output, code);
                    break;
                case DType.F64:
                    CombinePartials((double*)partial, (double*)output, code);
                    break;
                default:
                    CombinePartials((long*)partial, (long*)output, code);
                    break;
            }
        }
    }

    /// <summary>Whether <see cref="InvokeDirectly"/> can run the kernel: one row, or rows of whole groups, and nothing that counts elements.</summary>
    /// <param name="isWhole">Whether the operands' memory may be read and written up to a multiple of 64 bytes.</param>
    public bool IsDirect(bool isWhole) => Spec.Reduction == FusedReduction.None && Spec.Size > 0 && _iotaSlots.Length == 0 && _program.WordSlot < 0
        && (_dims.Length == 1 ? _dims[0] % Group == 0 || (isWhole && IsPadded) : _dims.Length == 2 && _dims[1] % Group == 0);

    /// <summary>Whether the last group of elements may reach beyond the end: all views are contiguous or one number, of at most four bytes an element.</summary>
    private bool IsPadded => _program.Access.All(a => a != FusedAccess.Strided) && _program.InputTypes.All(IsNarrow) && _program.Results.All(r => IsNarrow(r.Type));

    private static bool IsNarrow(DType type) => type is DType.F32 or DType.Bool;

    /// <summary>The numbers that <see cref="InvokeDirectly"/> needs beside the addresses.</summary>
    public long[] DirectSlots()
    {
        var slots = GC.AllocateArray<long>(_program.SlotCount + 1, pinned: true);
        int rank = _dims.Length;
        for (int i = 0; i < _inputs; i++)
            if (_program.StepSlots[i] >= 0)
                slots[_program.StepSlots[i]] = _strides[i * rank + rank - 1];
        for (int v = 0; rank > 1 && v < _views; v++)
            slots[_program.RowSlots + v] = _strides[v * rank + rank - 2];
        return slots;
    }

    /// <summary>Whether <see cref="InvokeDirectly"/> can do these units of a kernel of which <see cref="IsDirect"/> holds: all, or whole groups of one row.</summary>
    public bool TakesDirectly(long start, long end) => end - start == Units || (_dims.Length == 1 && end > start && (end - start) % Group == 0);

    /// <summary>
    /// Does units <paramref name="start"/> to <paramref name="end"/> at once. After the last of them, what lies between an operand's end and the next multiple of 64 bytes may
    /// be undefined afterwards.
    /// </summary>
    [SkipLocalsInit]
    public void InvokeDirectly(void** pointers, long* slots, long start, long end)
    {
        int count = _inputs + _outputs;
        byte** addresses = stackalloc byte*[count + 1];
        for (int i = 0; i < count; i++)
            addresses[i] = (byte*)pointers[i] + (_dims.Length == 1 ? start * _strides[i] : 0);
        addresses[count] = FusedLanes.FirstLanes(Group);
        _loop(addresses, slots, (nint)Ceiling(_dims.Length == 1 ? end - start : _dims[^1], Group), _dims.Length == 1 ? 1 : (nint)_dims[0]);
    }

    /// <summary>All units on this thread.</summary>
    public void Run(void** pointers, void* scratch)
    {
        Invoke(pointers, scratch, 0, Units);
        Finish(pointers, scratch);
    }

    private static long Ceiling(long a, long b) => (a + b - 1) / b;

    /// <summary>Drops axes of size 1 and merges neighbours that every view walks as one.</summary>
    private static (long[] Dims, long[][] Views) Merge(FusedKernelSpec spec)
    {
        var views = new List<long[]>();
        foreach (FusedInput input in spec.Inputs)
            views.Add([.. input.Strides.Select(s => s * FusedKernelSpec.SizeOf(input.Type))]);
        for (int o = 0; o < spec.Outputs.Length; o++)
        {
            // Rows are written by the unit, not by the loop; columns stay where they are from row to row.
            var strides = new long[spec.Dims.Length];
            long step = FusedKernelSpec.SizeOf(spec.OutputType(o));
            if (spec.IsWhole(o) && !spec.Outputs[o].Strides.IsDefault)
            {
                views.Add([.. spec.Outputs[o].Strides.Select(s => s * step)]);
                continue;
            }
            for (int a = spec.Dims.Length - 1; a >= 0; a--)
            {
                bool walks = spec.IsWhole(o)
                    || (spec.Reduction == FusedReduction.Columns && a >= spec.ReducedAxes);
                strides[a] = walks ? step : 0;
                step *= spec.Dims[a];
            }
            views.Add(strides);
        }
        foreach (FusedInstruction x in spec.Instructions)
            if (x.Code == ElementwiseCode.Iota)
                views.Add([.. Enumerable.Range(0, spec.Dims.Length).Select(a => a == x.A ? 1L : 0L)]);

        var dims = new List<long>();
        var kept = views.ConvertAll(_ => new List<long>());
        for (int a = 0; a < spec.Dims.Length; a++)
        {
            long size = spec.Dims[a];
            if (size == 1)
                continue;
            bool merges = dims.Count > 0;
            for (int v = 0; merges && v < views.Count; v++)
                merges = kept[v][^1] == views[v][a] * size;
            if (merges)
                dims[^1] *= size;
            else
                dims.Add(size);
            for (int v = 0; v < views.Count; v++)
                if (merges)
                    kept[v][^1] = views[v][a];
                else
                    kept[v].Add(views[v][a]);
        }
        if (dims.Count == 0)
        {
            dims.Add(1);
            foreach (List<long> v in kept)
                v.Add(0);
        }
        return ([.. dims], [.. kept.Select(v => v.ToArray())]);
    }

    /// <summary>Runs the loop over elements start to end of the space in row-major order; outputs begin at their element <paramref name="start"/>'s row.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Walk(byte** inputs, byte** outputs, long start, long end)
    {
        int rank = _dims.Length, views = _views, slotCount = _program.SlotCount;
        byte** pointers = stackalloc byte*[_inputs + _outputs + 1];
        long* slots = stackalloc long[slotCount + 1];
        long* coordinates = stackalloc long[rank];
        long* offsets = stackalloc long[views];
        fixed (long* dims = _dims, strides = _strides)
        {
            for (int v = 0; v < views; v++)
                offsets[v] = 0;
            long rest = start;
            for (int a = rank - 1; a >= 0; a--)
            {
                long above = rest / dims[a];
                coordinates[a] = rest - above * dims[a];
                rest = above;
                for (int v = 0; v < views; v++)
                    offsets[v] += coordinates[a] * strides[v * rank + a];
            }
            for (int i = 0; i < _inputs; i++)
                if (_program.StepSlots[i] >= 0)
                    slots[_program.StepSlots[i]] = strides[i * rank + rank - 1];
            int iotas = _inputs + _outputs;
            for (int k = 0; k < _iotaSlots.Length; k++)
                slots[_iotaSlots[k] + 1] = strides[(iotas + k) * rank + rank - 1];

            if (rank > 1)
            {
                for (int v = 0; v < views; v++)
                    slots[_program.RowSlots + v] = strides[v * rank + rank - 2];
                if (_program.WordSlot >= 0)
                    slots[_program.RowSlots + views] = dims[rank - 1];
            }

            long position = start;
            while (true)
            {
                long count = Math.Min(dims[rank - 1] - coordinates[rank - 1], end - position);
                for (int v = 0; v < _inputs; v++)
                    pointers[v] = inputs[v] + offsets[v];
                for (int o = 0; o < _outputs; o++)
                    pointers[_inputs + o] = outputs[o] + offsets[_inputs + o];
                for (int k = 0; k < _iotaSlots.Length; k++)
                    slots[_iotaSlots[k]] = offsets[iotas + k];
                if (_program.WordSlot >= 0)
                    slots[_program.WordSlot] = position;

                long groups = count / Group;
                int tail = (int)(count - groups * Group);
                // Whole rows go at once, up to the end of the axis that counts them.
                long rows = rank == 1 || tail > 0 || count < dims[rank - 1]
                    ? 1
                    : Math.Min(dims[rank - 2] - coordinates[rank - 2], (end - position) / count);
                if (groups > 0)
                {
                    pointers[iotas] = FusedLanes.FirstLanes(Group);
                    _loop(pointers, slots, (nint)groups, (nint)rows);
                }
                if (tail > 0)
                    RunTail(pointers, slots, groups * Group, tail);

                position += count * rows;
                if (position >= end)
                    return;
                // The innermost axis is at its end, or the rows are: carry.
                int axis = rows == 1 ? rank - 1 : rank - 2;
                long steps = rows == 1 ? count : rows;
                while (true)
                {
                    coordinates[axis] += steps;
                    for (int v = 0; v < views; v++)
                        offsets[v] += steps * strides[v * rank + axis];
                    if (coordinates[axis] < dims[axis])
                        break;
                    coordinates[axis] = 0;
                    for (int v = 0; v < views; v++)
                        offsets[v] -= dims[axis] * strides[v * rank + axis];
                    axis--;
                    steps = 1;
                }
            }
        }
    }

    /// <summary>Runs the loop once over the last elements of a row, through copies that have room for a whole group.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private void RunTail(byte** pointers, long* slots, long done, int count)
    {
        const int stageBytes = Group * sizeof(long);
        int total = _inputs + _outputs;
        byte* stages = stackalloc byte[total * stageBytes];
        byte** staged = stackalloc byte*[total + 1];
        long* shifted = stackalloc long[_program.SlotCount + 1];
        for (int s = 0; s < _program.SlotCount; s++)
            shifted[s] = slots[s];
        for (int i = 0; i < _inputs; i++)
        {
            byte* stage = stages + i * stageBytes;
            int size = FusedKernelSpec.SizeOf(_program.InputTypes[i]);
            switch (_program.Access[i])
            {
                case FusedAccess.Broadcast:
                    staged[i] = pointers[i];
                    continue;
                case FusedAccess.Unit:
                    CopyIn(stage, pointers[i] + done * size, count * size);
                    break;
                default:
                    int slot = _program.StepSlots[i];
                    byte* source = pointers[i] + done * slots[slot];
                    for (int k = 0; k < count; k++)
                        Unsafe.CopyBlockUnaligned(stage + k * size, source + k * slots[slot], (uint)size);
                    shifted[slot] = size;
                    break;
            }
            staged[i] = stage;
        }
        foreach (int slot in _iotaSlots)
            shifted[slot] += done * slots[slot + 1];
        if (_program.WordSlot >= 0)
            shifted[_program.WordSlot] += done;

        for (int o = 0; o < _outputs; o++)
        {
            byte* stage = stages + (_inputs + o) * stageBytes;
            int size = FusedKernelSpec.SizeOf(_program.Results[o].Type);
            if (_program.Reduction == FusedReduction.Columns && _program.Results[o].Combine is not null)
                CopyIn(stage, pointers[_inputs + o] + done * size, count * size);
            staged[_inputs + o] = IsAccumulated(o) ? pointers[_inputs + o] : stage;
        }
        staged[total] = FusedLanes.FirstLanes(count);
        _loop(staged, shifted, 1, 1);
        for (int o = 0; o < _outputs; o++)
        {
            if (IsAccumulated(o))
                continue;
            int size = FusedKernelSpec.SizeOf(_program.Results[o].Type);
            CopyOut(pointers[_inputs + o] + done * size, staged[_inputs + o], count * size);
        }
    }

    /// <summary>Whether the loop keeps an output in vectors of partial results.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool IsAccumulated(int output) => _rowVectors[output] > 0 && _program.Reduction == FusedReduction.Rows;

    /// <summary>Copies up to 128 bytes to a place with room for as many.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void CopyIn(byte* stage, byte* source, int bytes)
    {
        if (!Avx512BW.IsSupported)
        {
            Unsafe.CopyBlockUnaligned(stage, source, (uint)bytes);
            return;
        }
        Avx512BW.MaskLoad(source, FirstBytes(bytes), Vector512<byte>.Zero).Store(stage);
        if (bytes > 64)
            Avx512BW.MaskLoad(source + 64, FirstBytes(bytes - 64), Vector512<byte>.Zero).Store(stage + 64);
    }

    /// <summary>Copies up to 128 bytes, and no more, from a place with room for as many.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void CopyOut(byte* target, byte* stage, int bytes)
    {
        if (!Avx512BW.IsSupported)
        {
            Unsafe.CopyBlockUnaligned(target, stage, (uint)bytes);
            return;
        }
        Avx512BW.MaskStore(target, FirstBytes(bytes), Vector512.Load(stage));
        if (bytes > 64)
            Avx512BW.MaskStore(target + 64, FirstBytes(bytes - 64), Vector512.Load(stage + 64));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<byte> FirstBytes(int count)
        => Vector512.LessThan(Vector512<byte>.Indices, Vector512.Create((byte)Math.Min(count, 64)));

    private void ReduceUnit(byte** pointers, byte* scratch, long unit)
    {
        if (Spec.Reduction == FusedReduction.Rows)
            ReduceRow(pointers, scratch, unit);
        else
            ReduceColumns(pointers, scratch, unit);
    }

    /// <summary>How many of the elements that a unit reduces are taken.</summary>
    private long Taken(long count) => _isFirst ? Ceiling(count, 4) : count;

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void ReduceRow(byte** pointers, byte* scratch, long unit)
    {
        long row = unit / _chunks, chunk = unit - row * _chunks;
        long start = row * _reduced + chunk * RowChunk;
        long end = start + Taken(Math.Min(_reduced - chunk * RowChunk, RowChunk));
        const int outputBytes = 2 * Accumulators * FusedLaneOp.VectorBytes;
        byte* memory = stackalloc byte[_outputs * outputBytes];
        byte** accumulators = stackalloc byte*[_outputs];
        for (int o = 0; o < _outputs; o++)
        {
            accumulators[o] = _rowVectors[o] > 0 ? memory + o * outputBytes : (byte*)pointers[_inputs + o];
            for (int k = 0; k < _rowVectors[o]; k++)
                _rowIdentities[o].Store((long*)accumulators[o] + k * Vector512<long>.Count);
        }
        if (start < end)
            Walk(pointers, accumulators, start, end);
        for (int o = 0; o < _outputs; o++)
        {
            if (_rowVectors[o] == 0)
                continue;
            byte* target = _isPartial && o < _plain
                ? scratch + o * _plane
                : (byte*)pointers[_inputs + o];
            ReduceCode code = _codes[o];
            switch (_program.Results[o].Type)
            {
                case DType.F32:
                    ((float*)target)[unit] = Across<float>(accumulators[o], code);
                    break;
                case DType.F64:
                    ((double*)target)[unit] = AcrossHalves<double>(accumulators[o], code);
                    break;
                default:
                    ((long*)target)[unit] = AcrossHalves<long>(accumulators[o], code);
                    break;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static T AcrossHalves<T>(byte* accumulators, ReduceCode code)
        where T : unmanaged, INumber<T>
    {
        var v = (Vector512<T>*)accumulators;
        for (int k = 0; k < Accumulators; k++)
            v[k] = Combine(v[k], v[k + Accumulators], code);
        return Across<T>(accumulators, code);
    }

    /// <summary>Combines four vectors, and then halves with halves.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static T Across<T>(byte* accumulators, ReduceCode code)
        where T : unmanaged, INumber<T>
    {
        var v = (Vector512<T>*)accumulators;
        Vector512<T> sum = Combine(Combine(v[0], v[2], code), Combine(v[1], v[3], code), code);
        Vector256<T> half = code switch
        {
            ReduceCode.Sum => sum.GetLower() + sum.GetUpper(),
            ReduceCode.Max => Vector256.Max(sum.GetLower(), sum.GetUpper()),
            _ => Vector256.Min(sum.GetLower(), sum.GetUpper()),
        };
        Vector128<T> last = Combine(half.GetLower(), half.GetUpper(), code);
        return Vector128<T>.Count == 4
            ? Combine(Combine(last[0], last[2], code), Combine(last[1], last[3], code), code)
            : Combine(last[0], last[1], code);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<T> Combine<T>(Vector512<T> a, Vector512<T> b, ReduceCode code) => code switch
    {
        ReduceCode.Sum => a + b,
        ReduceCode.Max => Vector512.Max(a, b),
        _ => Vector512.Min(a, b),
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<T> Combine<T>(Vector128<T> a, Vector128<T> b, ReduceCode code) => code switch
    {
        ReduceCode.Sum => a + b,
        ReduceCode.Max => Vector128.Max(a, b),
        _ => Vector128.Min(a, b),
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Combine<T>(T a, T b, ReduceCode code)
        where T : INumber<T> => code switch
        {
            ReduceCode.Sum => a + b,
            ReduceCode.Max => T.Max(a, b),
            _ => T.Min(a, b),
        };

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void ReduceColumns(byte** pointers, byte* scratch, long unit)
    {
        long block = unit / _tiles, tile = unit - block * _tiles;
        long first = tile * ColumnTile, width = Math.Min(ColumnTile, OutputSize - first);
        byte** targets = stackalloc byte*[_outputs];
        for (int o = 0; o < _outputs; o++)
        {
            if (_program.Results[o].Combine is null)
            {
                targets[o] = (byte*)pointers[_inputs + o];
                continue;
            }
            DType type = _program.Results[o].Type;
            int size = FusedKernelSpec.SizeOf(type);
            targets[o] = _isPartial && o < _plain
                ? scratch + o * _plane + block * OutputSize * size
                : (byte*)pointers[_inputs + o];
            long identity = FusedProgram.Identity(_codes[o], type);
            switch (type)
            {
                case DType.F32:
                    new Span<float>((float*)targets[o] + first, (int)width).Fill((float)BitConverter.Int64BitsToDouble(identity));
                    break;
                default:
                    new Span<long>((long*)targets[o] + first, (int)width).Fill(identity);
                    break;
            }
        }
        long row = block * _blockRows, rows = row + Taken(Math.Min(_reduced - row, _blockRows));
        if (_tiles == 1 && row < rows)
            Walk(pointers, targets, row * OutputSize, rows * OutputSize);
        else
            for (; row < rows; row++)
                Walk(pointers, targets, row * OutputSize + first, row * OutputSize + first + width);
    }

    /// <summary>
    /// A unit with sums of squared deviations. With m the mean of its first quarter, which is in the cache then, Σ (x − m) and Σ (x − m)² give its mean and deviations
    /// in one walk: m is so near the mean that the difference loses two bits at most (the shifted data of Chan, Golub and LeVeque 1983).
    /// </summary>
    [SkipLocalsInit]
    private void ReduceWithDeviations(byte** pointers, byte* scratch, long unit)
    {
        bool isRow = Spec.Reduction == FusedReduction.Rows;
        (long outer, long inner) = Math.DivRem(unit, isRow ? _chunks : _tiles);
        (long chunk, long first) = isRow ? (inner, outer) : (outer, inner * ColumnTile);
        int width = isRow ? 1 : (int)Math.Min(ColumnTile, OutputSize - first);
        long count = CountOf(chunk), taken = Math.Max(1, _first!.Taken(count));

        // Results go to the unit's place in the planes: the kernels count from the unit, or from column 0.
        long place = chunk * OutputSize + first, from = place - (isRow ? unit : first);
        int inputs = Spec.Inputs.Length;
        byte** addresses = stackalloc byte*[_inputs + _outputs], means = stackalloc byte*[inputs + _deviations];
        for (int i = 0; i < inputs; i++)
            addresses[i] = means[i] = pointers[i];
        for (int o = 0; o < _plain; o++)
            addresses[_inputs + o] = pointers[inputs + o];
        for (int d = 0; d < _deviations; d++)
        {
            int size = FusedKernelSpec.SizeOf(Spec.OutputType(_plain + d));
            means[inputs + d] = Plane(scratch, 3 * d) + from * size;
            addresses[inputs + d] = Plane(scratch, 3 * d) + (isRow ? place : from) * size;
            addresses[_inputs + _plain + 2 * d] = Plane(scratch, 3 * d + 1) + from * size;
            addresses[_inputs + _plain + 2 * d + 1] = Plane(scratch, 3 * d + 2) + from * size;
        }
        _first.ReduceUnit(means, null, unit);
        for (int d = 0; d < _deviations; d++)
        {
            if (Spec.OutputType(_plain + d) == DType.F32)
                Scale((float*)Plane(scratch, 3 * d) + place, 1f / taken, width);
            else
                Scale((double*)Plane(scratch, 3 * d) + place, 1d / taken, width);
        }
        ReduceUnit(addresses, scratch, unit);
        for (int d = 0; d < _deviations; d++)
        {
            if (Spec.OutputType(_plain + d) == DType.F32)
                Centre((float*)Plane(scratch, 3 * d + 1) + place, (float*)Plane(scratch, 3 * d + 2) + place, 1f / Math.Max(1, count), width);
            else
                Centre((double*)Plane(scratch, 3 * d + 1) + place, (double*)Plane(scratch, 3 * d + 2) + place, 1d / Math.Max(1, count), width);
        }
    }

    /// <summary>The elements that each result of a stretch or block stands for.</summary>
    private long CountOf(long chunk)
    {
        long most = Spec.Reduction == FusedReduction.Rows ? RowChunk : _blockRows;
        return Math.Min(most, _reduced - chunk * most);
    }

    /// <summary>The planes of deviations, three of each: what is near the mean, the distance of the mean from it, and the sum of squares.</summary>
    private byte* Plane(byte* scratch, int plane) => scratch + ((_isPartial ? _plain : 0) + plane) * _plane;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Scale<T>(T* values, T factor, int n)
        where T : unmanaged, INumber<T>
    {
        int i = 0;
        for (; i + Vector512<T>.Count <= n; i += Vector512<T>.Count)
            (Vector512.Load(values + i) * factor).Store(values + i);
        for (; i < n; i++)
            values[i] *= factor;
    }

    /// <summary>Sums of distances become their means, and squares those around the mean: not below 0, but NaN stays.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Centre<T>(T* distances, T* squares, T factor, int n)
        where T : unmanaged, INumber<T>
    {
        int i = 0;
        for (; i + Vector512<T>.Count <= n; i += Vector512<T>.Count)
        {
            Vector512<T> sum = Vector512.Load(distances + i), mean = sum * factor;
            mean.Store(distances + i);
            Vector512.Max(Vector512.Load(squares + i) - sum * mean, Vector512<T>.Zero).Store(squares + i);
        }
        for (; i < n; i++)
        {
            T sum = distances[i], mean = sum * factor;
            (distances[i], squares[i]) = (mean, T.Max(squares[i] - sum * mean, T.Zero));
        }
    }

    /// <summary>
    /// Merges the deviations of blocks, the second half onto the first until one is left: with d the distance of two means, S = S₁ + S₂ + d² n₁ n₂ / (n₁ + n₂)
    /// (Chan, Golub and LeVeque 1983).
    /// </summary>
    private void MergeDeviations<T>(byte* scratch, int deviations, T* output)
        where T : unmanaged, INumber<T>
    {
        T* nears = (T*)Plane(scratch, 3 * deviations), distances = (T*)Plane(scratch, 3 * deviations + 1), squares = (T*)Plane(scratch, 3 * deviations + 2);
        double* counts = (double*)(scratch + ScratchBytes) - _chunks;
        for (long i = 0; i < _chunks; i++)
            counts[i] = CountOf(i);
        for (long n = _chunks; n > 1; n = Ceiling(n, 2))
        {
            long half = Ceiling(n, 2);
            for (long i = 0; i < n - half; i++)
            {
                double part = counts[i + half] / (counts[i] + counts[i + half]);
                long one = i * OutputSize, other = (i + half) * OutputSize;
                Merge(nears + one, nears + other, distances + one, distances + other, squares + one, squares + other, T.CreateTruncating(part), T.CreateTruncating(counts[i] * part));
                counts[i] += counts[i + half];
            }
        }
        new Span<T>(squares, checked((int)OutputSize)).CopyTo(new Span<T>(output, (int)OutputSize));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Merge<T>(T* near, T* otherNear, T* distance, T* otherDistance, T* square, T* otherSquare, T part, T weight)
        where T : unmanaged, INumber<T>
    {
        long i = 0;
        for (; i + Vector512<T>.Count <= OutputSize; i += Vector512<T>.Count)
        {
            Vector512<T> own = Vector512.Load(distance + i);
            Vector512<T> d = Vector512.Load(otherNear + i) - Vector512.Load(near + i) + (Vector512.Load(otherDistance + i) - own);
            (own + d * part).Store(distance + i);
            (Vector512.Load(square + i) + Vector512.Load(otherSquare + i) + d * d * weight).Store(square + i);
        }
        for (; i < OutputSize; i++)
        {
            T d = otherNear[i] - near[i] + (otherDistance[i] - distance[i]);
            distance[i] += d * part;
            square[i] = square[i] + otherSquare[i] + d * d * weight;
        }
    }

    /// <summary>Combines the partial results of each element: those of a row lie side by side, those of a column a whole output apart.</summary>
    private void CombinePartials<T>(T* partial, T* output, ReduceCode code)
        where T : unmanaged, INumber<T>
    {
        if (Spec.Reduction == FusedReduction.Rows)
        {
            for (long i = 0; i < OutputSize; i++)
                output[i] = Tree(partial + i * _chunks, _chunks, code);
            return;
        }
        // The second half of the blocks onto the first, until one is left.
        for (long n = _chunks; n > 1; n = Ceiling(n, 2))
        {
            long half = Ceiling(n, 2);
            Fold(partial, partial + half * OutputSize, (n - half) * OutputSize, code);
        }
        new Span<byte>(partial, checked((int)(OutputSize * sizeof(T)))).CopyTo(new Span<byte>(output, checked((int)(OutputSize * sizeof(T)))));
    }

    /// <summary>Combines n partial results in place: the second half onto the first, until one is left.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static T Tree<T>(T* values, long n, ReduceCode code)
        where T : unmanaged, INumber<T>
    {
        while (n > 1)
        {
            long half = Ceiling(n, 2);
            Fold(values, values + half, n - half, code);
            n = half;
        }
        return values[0];
    }

    /// <summary>target[i] = target[i] ∘ source[i]; the vectors of it give the bits of the elements one by one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Fold<T>(T* target, T* source, long n, ReduceCode code)
        where T : unmanaged, INumber<T>
    {
        long i = 0;
        int lanes = Vector128<T>.Count;
        for (; i + lanes <= n; i += lanes)
            Vector128.Store(Combine(Vector128.Load(target + i), Vector128.Load(source + i), code), target + i);
        for (; i < n; i++)
            target[i] = Combine(target[i], source[i], code);
    }
}
