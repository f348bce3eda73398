using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>How the elements of an input follow one another along the innermost axis.</summary>
internal enum FusedAccess
{
    Unit,
    Broadcast,
    Strided,
}

/// <summary>What a step of a lowered program does.</summary>
internal enum FusedStepKind
{
    Load,
    Constant,
    Iota,
    Words,
    Apply,
}

/// <summary>
/// One vector computed. <paramref name="Index"/> is an input (Load; Words: the key, or −1 for <paramref name="Bits"/>);
/// <paramref name="Slot"/> the first of its run-time numbers; <paramref name="Half"/> 0 or 1 of a value of two vectors.
/// </summary>
internal sealed record FusedStep(
    FusedStepKind Kind,
    int Target,
    int Half,
    FusedLaneOp? Op = null,
    ImmutableArray<int> Sources = default,
    int Index = -1,
    int Slot = -1,
    long Bits = 0);

/// <summary>An output of a lowered program: its vectors and how they are combined; null where every element is stored.</summary>
internal sealed record FusedResult(DType Type, ImmutableArray<int> Vectors, FusedLaneOp? Combine);

/// <summary>
/// A kernel lowered to vectors of 64 bytes: sixteen elements are one vector of F32 or Bool (a mask), two of F64 or I64.
/// It depends on the instructions and on how inputs run along the innermost axis, not on sizes.
/// The loop made from it is called with the addresses of inputs, outputs (accumulators for rows) and lane mask, and with
/// numbers: a byte step for every strided input, start and step for every iota, the first index for random words, and how far rows are apart.
/// </summary>
internal sealed class FusedProgram
{
    private readonly List<FusedStep> _steps = [];
    private readonly List<DType> _vectors = [];

    public FusedProgram(FusedKernelSpec spec, ImmutableArray<FusedAccess> access)
    {
        InputTypes = [.. spec.Inputs.Select(i => i.Type)];
        Access = access;
        Reduction = spec.Reduction;

        StepSlots = new int[access.Length];
        for (int i = 0; i < access.Length; i++)
            StepSlots[i] = access[i] == FusedAccess.Strided ? SlotCount++ : -1;
        IotaSlots = new int[spec.Instructions.Length];
        for (int i = 0; i < spec.Instructions.Length; i++)
        {
            IotaSlots[i] = -1;
            if (spec.Instructions[i].Code == ElementwiseCode.Iota)
            {
                IotaSlots[i] = SlotCount;
                SlotCount += 2;
            }
        }
        if (spec.Instructions.Any(i => i.Code == ElementwiseCode.RngBits))
            WordSlot = SlotCount++;

        RowCounters = [.. IotaSlots.Where(slot => slot >= 0), .. WordSlot >= 0 ? [WordSlot] : Array.Empty<int>()];
        RowSlots = SlotCount;
        SlotCount += spec.Inputs.Length + spec.Outputs.Length + RowCounters.Length;

        Lower(spec);
        Results = Trim([.. Results]);
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{Reduction} {string.Join(",", access)} {string.Join(",", InputTypes)}\n");
        spec.DescribeProgram(text);
        Key = text.ToString();
    }

    /// <summary>What two programs with the same code share.</summary>
    public string Key { get; }

    public ImmutableArray<DType> InputTypes { get; }

    public ImmutableArray<FusedAccess> Access { get; }

    public FusedReduction Reduction { get; }

    public IReadOnlyList<FusedStep> Steps => _steps;

    /// <summary>The element type of every vector; Bool is a mask of ints.</summary>
    public IReadOnlyList<DType> Vectors => _vectors;

    public ImmutableArray<FusedResult> Results { get; private set; } = [];

    /// <summary>Number of run-time numbers.</summary>
    public int SlotCount { get; }

    /// <summary>For every input the slot of its byte step, or −1.</summary>
    public int[] StepSlots { get; }

    /// <summary>For every instruction the slot of the start of its iota, or −1.</summary>
    public int[] IotaSlots { get; }

    /// <summary>The slot of the first index of random words, or −1.</summary>
    public int WordSlot { get; } = -1;

    /// <summary>
    /// The first of the slots that say how far a row is from the next: of inputs and outputs in bytes, then of <see cref="RowCounters"/>.
    /// </summary>
    public int RowSlots { get; }

    /// <summary>Slots that count elements: the starts of iotas, and the first index of random words.</summary>
    public int[] RowCounters { get; }

    /// <summary>Vectors of sixteen elements of a type.</summary>
    public static int VectorsOf(DType type) => type is DType.F64 or DType.I64 ? 2 : 1;

    /// <summary>What leaves a reduction as it is, as bits of the type.</summary>
    public static long Identity(ReduceCode code, DType type) => (code, type) switch
    {
        (ReduceCode.Sum, _) => 0,
        (ReduceCode.Max, DType.I64) => long.MinValue,
        (ReduceCode.Min, DType.I64) => long.MaxValue,
        (ReduceCode.Max, _) => BitConverter.DoubleToInt64Bits(double.NegativeInfinity),
        _ => BitConverter.DoubleToInt64Bits(double.PositiveInfinity),
    };

    private static ElementwiseCode Code(ReduceCode code) => code switch
    {
        ReduceCode.Sum => ElementwiseCode.Add,
        ReduceCode.Max => ElementwiseCode.Max,
        _ => ElementwiseCode.Min,
    };

    private int NewVector(DType type)
    {
        _vectors.Add(type);
        return _vectors.Count - 1;
    }

    private ImmutableArray<int> Each(DType type, Func<int, FusedStep> step)
    {
        var result = ImmutableArray.CreateBuilder<int>();
        for (int half = 0; half < VectorsOf(type); half++)
        {
            int target = NewVector(type);
            _steps.Add(step(half) with { Target = target, Half = half });
            result.Add(target);
        }
        return result.ToImmutable();
    }

    private ImmutableArray<int> Apply(DType type, Func<int, FusedLaneOp> op, Func<int, ImmutableArray<int>> sources)
        => Each(type, half => new FusedStep(FusedStepKind.Apply, 0, 0, op(half), sources(half)));

    private void Lower(FusedKernelSpec spec)
    {
        ImmutableArray<FusedInstruction> code = spec.Instructions;
        var values = new ImmutableArray<int>[code.Length];
        var words = new int[code.Length];
        for (int i = 0; i < code.Length; i++)
        {
            FusedInstruction x = code[i];
            ImmutableArray<int> A() => values[x.A];
            ImmutableArray<int> B() => values[x.B];
            ImmutableArray<int> C() => values[x.C];
            switch (x.Code)
            {
                case ElementwiseCode.Load:
                    values[i] = Each(x.Type, _ => new FusedStep(FusedStepKind.Load, 0, 0, Index: x.A, Slot: StepSlots[x.A]));
                    break;
                case ElementwiseCode.Constant:
                    values[i] = Each(x.Type, _ => new FusedStep(FusedStepKind.Constant, 0, 0, Bits: x.Bits));
                    break;
                case ElementwiseCode.Iota:
                    values[i] = Each(x.Type, _ => new FusedStep(FusedStepKind.Iota, 0, 0, Slot: IotaSlots[i]));
                    break;
                case ElementwiseCode.RngBits:
                    FusedInstruction key = code[x.A];
                    words[i] = NewVector(DType.Bool);
                    _steps.Add(new FusedStep(
                        FusedStepKind.Words, words[i], 0, Index: key.Code == ElementwiseCode.Load ? key.A : -1, Slot: WordSlot, Bits: key.Bits));
                    values[i] = Apply(DType.I64, FusedLaneOp.WordsToLong, _ => [words[i]]);
                    break;
                case ElementwiseCode.Cast:
                    DType from = code[x.A].Type;
                    if (from == x.Type)
                        values[i] = A();
                    else if (code[x.A].Code == ElementwiseCode.RngBits && x.Type == DType.F32)
                        values[i] = Apply(x.Type, _ => FusedLaneOp.WordsToSingle(), _ => [words[x.A]]);
                    else
                        values[i] = Apply(
                            x.Type,
                            half => FusedLaneOp.Cast(from, x.Type, half),
                            half => FusedLaneOp.CastsByHalf(from, x.Type) ? [A()[half]] : A());
                    break;
                case ElementwiseCode.Select:
                    values[i] = Apply(x.Type, half => FusedLaneOp.Select(x.Type, half), half => [A()[0], B()[half], C()[half]]);
                    break;
                case >= ElementwiseCode.Eq and <= ElementwiseCode.Ge:
                    DType compared = code[x.A].Type;
                    values[i] = Apply(
                        DType.Bool,
                        _ => FusedLaneOp.Comparison(x.Code, compared),
                        _ => [.. Enumerable.Range(0, VectorsOf(compared)).SelectMany(half => new[] { A()[half], B()[half] })]);
                    break;
                case ElementwiseCode.Floor or ElementwiseCode.Round when x.Type == DType.I64:
                    values[i] = A();
                    break;
                default:
                    FusedLaneOp op = FusedLaneOp.Lanewise(x.Code, x.Type)
                        ?? throw new ArgumentException($"Not a kernel: {x.Code} is not defined for {x.Type.Text()}.");
                    values[i] = Apply(x.Type, _ => op, half => x.B < 0 ? [A()[half]] : [A()[half], B()[half]]);
                    break;
            }
        }

        var results = ImmutableArray.CreateBuilder<FusedResult>();
        foreach (FusedOutput output in spec.Outputs)
        {
            DType type = code[output.Value].Type;
            ImmutableArray<int> vectors = values[output.Value];
            bool isReduced = Reduction != FusedReduction.None && output.Reduce != ReduceCode.None;
            if (isReduced && Reduction == FusedReduction.Rows)
            {
                // Lanes behind the end of a row count for nothing.
                int mask = NewVector(DType.Bool);
                _steps.Add(new FusedStep(FusedStepKind.Load, mask, 0, Index: spec.Inputs.Length + spec.Outputs.Length));
                ImmutableArray<int> identity = Each(
                    type, _ => new FusedStep(FusedStepKind.Constant, 0, 0, Bits: Identity(output.Reduce, type)));
                ImmutableArray<int> value = vectors;
                vectors = Apply(type, half => FusedLaneOp.Select(type, half), half => [mask, value[half], identity[half]]);
            }
            FusedLaneOp? combine = !isReduced ? null : FusedLaneOp.Lanewise(Code(output.Reduce), type);
            results.Add(new FusedResult(type, vectors, combine));
        }
        Results = results.ToImmutable();
    }

    /// <summary>Drops the steps that no result needs and numbers the vectors anew.</summary>
    private ImmutableArray<FusedResult> Trim(ImmutableArray<FusedResult> results)
    {
        var needed = new bool[_vectors.Count];
        foreach (FusedResult result in results)
            foreach (int v in result.Vectors)
                needed[v] = true;
        for (int i = _steps.Count - 1; i >= 0; i--)
            if (needed[_steps[i].Target] && !_steps[i].Sources.IsDefault)
                foreach (int v in _steps[i].Sources)
                    needed[v] = true;
        var number = new int[_vectors.Count];
        int count = 0;
        for (int v = 0; v < needed.Length; v++)
        {
            number[v] = count;
            if (needed[v])
                _vectors[count++] = _vectors[v];
        }
        _vectors.RemoveRange(count, _vectors.Count - count);
        _steps.RemoveAll(s => !needed[s.Target]);
        for (int i = 0; i < _steps.Count; i++)
        {
            FusedStep s = _steps[i];
            _steps[i] = s with
            {
                Target = number[s.Target],
                Sources = s.Sources.IsDefault ? s.Sources : [.. s.Sources.Select(v => number[v])],
            };
        }
        return [.. results.Select(r => r with { Vectors = [.. r.Vectors.Select(v => number[v])] })];
    }
}
