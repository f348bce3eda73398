using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>What an instruction of a fused kernel computes. T stands for the float types.</summary>
internal enum ElementwiseCode
{
    /// <summary>The element of input A.</summary>
    Load,

    /// <summary>The value whose bits are <see cref="FusedInstruction.Bits"/> (floats: those of the double).</summary>
    Constant,

    /// <summary>I64: the coordinate along axis A.</summary>
    Iota,

    /// <summary>I64: <see cref="Philox.Bits24"/> of the key in value A (a scalar) at the row-major index of the element.</summary>
    RngBits,

    /// <summary>A converted to the type of the instruction: towards zero and saturating from T to I64 (NaN: 0), ≠ 0 to Bool.</summary>
    Cast,

    // Values of T.
    Exp, Log, Log1p, Expm1, Tanh, Logistic, Erf, Sin, Cos, Sqrt, Rsqrt, Relu, Div, Pow,

    // Values of T or I64.
    Neg, Abs, Sign, Floor, Round, Add, Sub, Mul, Max, Min,

    // Values of one type (Lt, Le, Gt, Ge not of Bool) to Bool.
    Eq, Ne, Lt, Le, Gt, Ge,

    // Bool.
    And, Or, Not,

    /// <summary>B where A (Bool) is true, else C.</summary>
    Select,
}

/// <summary>How the values of a reduction are combined. Max and Min give NaN where one value is NaN.</summary>
internal enum ReduceCode
{
    Sum,
    Max,
    Min,

    /// <summary>Not at all: the output has every element, although the kernel reduces others.</summary>
    None,

    /// <summary>Σ (x − mean x)² of floats, after all other outputs.</summary>
    Deviations,
}

/// <summary>Which axes of the iteration space a kernel reduces.</summary>
internal enum FusedReduction
{
    /// <summary>None: every output has all elements of the space.</summary>
    None,

    /// <summary>The innermost axes: a result for every row.</summary>
    Rows,

    /// <summary>The outermost axes: a result for every column.</summary>
    Columns,
}

/// <summary>One value of a fused kernel, computed from earlier ones (or input, or axis) A, B and C.</summary>
internal readonly record struct FusedInstruction(ElementwiseCode Code, DType Type, int A = -1, int B = -1, int C = -1, long Bits = 0);

/// <summary>An input: a view over the iteration space with a stride, in elements, per axis; 0 repeats the element.</summary>
internal readonly record struct FusedInput(DType Type, ImmutableArray<long> Strides);

/// <summary>
/// An output, of the type of its value. <paramref name="Reduce"/> counts in reducing kernels alone. An output that is not reduced may have
/// strides, in elements, per axis, 1 along the innermost; else outputs are contiguous.
/// </summary>
internal readonly record struct FusedOutput(int Value, ReduceCode Reduce = ReduceCode.Sum, ImmutableArray<long> Strides = default);

/// <summary>
/// An elementwise expression over a concrete iteration space, in SSA order, with outputs over the whole space or reduced
/// along its innermost or outermost axes. Equal specs are equal by structure.
/// </summary>
internal sealed class FusedKernelSpec : IEquatable<FusedKernelSpec>
{
    public const int MaxInputs = 64;
    public const int MaxOutputs = 24;

    private readonly string _key;

    /// <exception cref="ArgumentException">The parts do not fit together.</exception>
    public FusedKernelSpec(
        ImmutableArray<long> dims,
        ImmutableArray<FusedInput> inputs,
        ImmutableArray<FusedInstruction> instructions,
        ImmutableArray<FusedOutput> outputs,
        FusedReduction reduction = FusedReduction.None,
        int reducedAxes = 0)
    {
        Dims = dims;
        Inputs = inputs;
        Instructions = instructions;
        Outputs = outputs;
        Reduction = reduction;
        ReducedAxes = reducedAxes;
        Validate();
        _key = Describe();
    }

    /// <summary>Sizes of the axes of the iteration space, outermost first.</summary>
    public ImmutableArray<long> Dims { get; }

    public ImmutableArray<FusedInput> Inputs { get; }

    public ImmutableArray<FusedInstruction> Instructions { get; }

    public ImmutableArray<FusedOutput> Outputs { get; }

    public FusedReduction Reduction { get; }

    /// <summary>The number of axes reduced: the last ones of rows, the first ones of columns.</summary>
    public int ReducedAxes { get; }

    /// <summary>Number of elements of the iteration space.</summary>
    public long Size => Product(0, Dims.Length);

    /// <summary>Number of elements of each output.</summary>
    public long OutputSize => Reduction switch
    {
        FusedReduction.Rows => Product(0, Dims.Length - ReducedAxes),
        FusedReduction.Columns => Product(ReducedAxes, Dims.Length),
        _ => Size,
    };

    /// <summary>Whether an output has every element of the space.</summary>
    public bool IsWhole(int output) => Reduction == FusedReduction.None || Outputs[output].Reduce == ReduceCode.None;

    /// <summary>How many outputs, the last ones, are sums of squared deviations.</summary>
    public int DeviationCount => Outputs.Count(o => o.Reduce == ReduceCode.Deviations);

    private ImmutableArray<FusedOutput> Deviations => Outputs[^DeviationCount..];

    public DType OutputType(int output) => Instructions[Outputs[output].Value].Type;

    /// <summary>The sums of the values whose squared deviations are summed.</summary>
    public FusedKernelSpec Sums() => new(Dims, Inputs, Instructions, [.. Deviations.Select(d => new FusedOutput(d.Value))], Reduction, ReducedAxes);

    /// <summary>
    /// Instead of each output that is a sum of squared deviations of a value x, an input more, m, which is the same for all that is reduced, and two outputs: Σ (x − m) and
    /// Σ (x − m)².
    /// </summary>
    public FusedKernelSpec Shifted()
    {
        var inputs = Inputs.ToBuilder();
        var instructions = Instructions.ToBuilder();
        var outputs = Outputs[..^DeviationCount].ToBuilder();
        var strides = new long[Dims.Length];
        long step = 1;
        for (int a = Dims.Length - 1; Reduction == FusedReduction.Columns && a >= ReducedAxes; a--)
        {
            strides[a] = step;
            step *= Dims[a];
        }
        foreach (FusedOutput output in Deviations)
        {
            DType type = Instructions[output.Value].Type;
            inputs.Add(new FusedInput(type, [.. strides]));
            int at = instructions.Count;
            instructions.Add(new FusedInstruction(ElementwiseCode.Load, type, inputs.Count - 1));
            instructions.Add(new FusedInstruction(ElementwiseCode.Sub, type, output.Value, at));
            instructions.Add(new FusedInstruction(ElementwiseCode.Mul, type, at + 1, at + 1));
            outputs.Add(new FusedOutput(at + 1));
            outputs.Add(new FusedOutput(at + 2));
        }
        return new(Dims, inputs.ToImmutable(), instructions.ToImmutable(), outputs.ToImmutable(), Reduction, ReducedAxes);
    }

    public bool Equals(FusedKernelSpec? other) => other is not null && _key == other._key;

    public override bool Equals(object? obj) => Equals(obj as FusedKernelSpec);

    public override int GetHashCode() => _key.GetHashCode();

    /// <summary>The spec as text: sizes, inputs with strides, one instruction a line, outputs.</summary>
    public override string ToString() => _key;

    internal static int SizeOf(DType type) => type switch
    {
        DType.F32 => 4,
        DType.Bool => 1,
        _ => 8,
    };

    private long Product(int from, int to)
    {
        long n = 1;
        for (int i = from; i < to; i++)
            n = checked(n * Dims[i]);
        return n;
    }

    private string Describe()
    {
        var text = new StringBuilder();
        CultureInfo c = CultureInfo.InvariantCulture;
        text.Append(c, $"space [{string.Join(",", Dims)}] {Reduction} {ReducedAxes}\n");
        foreach (FusedInput input in Inputs)
            text.Append(c, $"input {input.Type.Text()} [{string.Join(",", input.Strides)}]\n");
        foreach (FusedOutput output in Outputs)
            if (!output.Strides.IsDefault)
                text.Append(c, $"to [{string.Join(",", output.Strides)}]\n");
        DescribeProgram(text);
        return text.ToString();
    }

    /// <summary>Writes instructions and outputs: what generated code depends on beside the layout.</summary>
    internal void DescribeProgram(StringBuilder text)
    {
        CultureInfo c = CultureInfo.InvariantCulture;
        for (int i = 0; i < Instructions.Length; i++)
        {
            FusedInstruction x = Instructions[i];
            text.Append(c, $"%{i} {x.Type.Text()} {x.Code} {x.A} {x.B} {x.C} {x.Bits:x}\n");
        }
        foreach (FusedOutput output in Outputs)
            text.Append(c, $"output %{output.Value} {(Reduction == FusedReduction.None ? ReduceCode.None : output.Reduce)}\n");
    }

    private void Validate()
    {
        Require(Dims.All(d => d >= 0), "a size is negative");
        Require(Inputs.Length <= MaxInputs, $"more than {MaxInputs} inputs");
        Require(Outputs.Length is > 0 and <= MaxOutputs, $"the number of outputs is not 1 to {MaxOutputs}");
        Require(ReducedAxes >= 0 && ReducedAxes <= Dims.Length, "more axes are reduced than there are");
        foreach (FusedInput input in Inputs)
        {
            Require(IsConcrete(input.Type), "an input has no concrete type");
            Require(input.Strides.Length == Dims.Length, "an input has not one stride per axis");
        }
        for (int i = 0; i < Instructions.Length; i++)
        {
            string? problem = Problem(i);
            Require(problem is null, $"instruction {i} ({Instructions[i].Code}): {problem}");
        }
        for (int o = 0; o < Outputs.Length; o++)
        {
            FusedOutput output = Outputs[o];
            Require(output.Value >= 0 && output.Value < Instructions.Length, "an output names no instruction");
            Require(
                Reduction == FusedReduction.None || output.Reduce == ReduceCode.None || Instructions[output.Value].Type != DType.Bool,
                "a bool is reduced; cast it to i64");
            Require(output.Strides.IsDefault || output.Strides.Length == Dims.Length, "an output has not one stride per axis");
            Require(
                output.Reduce != ReduceCode.Deviations || (Reduction != FusedReduction.None && OutputType(o).IsFloat() && o >= Outputs.Length - DeviationCount),
                "deviations are those of floats that are reduced, and come last");
        }
    }

    private string? Problem(int index)
    {
        FusedInstruction x = Instructions[index];
        if (!IsConcrete(x.Type))
            return "the type is not concrete";
        DType? Operand(int i) => i >= 0 && i < index ? Instructions[i].Type : null;
        DType? a = Operand(x.A), b = Operand(x.B), c = Operand(x.C);
        switch (x.Code)
        {
            case ElementwiseCode.Load:
                return x.A >= 0 && x.A < Inputs.Length && Inputs[x.A].Type == x.Type ? null : "no input of that type";
            case ElementwiseCode.Constant:
                return null;
            case ElementwiseCode.Iota:
                return x.Type == DType.I64 && x.A >= 0 && x.A < Dims.Length ? null : "an axis of the space and i64 are needed";
            case ElementwiseCode.RngBits:
                if (x.Type != DType.I64 || a != DType.I64)
                    return "key and result are i64";
                FusedInstruction key = Instructions[x.A];
                bool scalar = key.Code == ElementwiseCode.Constant
                    || (key.Code == ElementwiseCode.Load && Inputs[key.A].Strides.Zip(Dims).All(p => p.First == 0 || p.Second == 1));
                return scalar ? null : "the key is not a scalar input or constant";
            case ElementwiseCode.Cast:
                return a is null ? "operand A is missing" : null;
            case ElementwiseCode.Select:
                return a == DType.Bool && b == x.Type && c == x.Type ? null : "bool and two values of the result's type are needed";
            case ElementwiseCode.And or ElementwiseCode.Or:
                return a == DType.Bool && b == DType.Bool && x.Type == DType.Bool ? null : "operands and result are bool";
            case ElementwiseCode.Not:
                return a == DType.Bool && x.Type == DType.Bool ? null : "operand and result are bool";
            case >= ElementwiseCode.Eq and <= ElementwiseCode.Ge:
                bool ordered = x.Code is ElementwiseCode.Eq or ElementwiseCode.Ne || a != DType.Bool;
                return a is not null && a == b && x.Type == DType.Bool && ordered ? null : "two comparable values and a bool result are needed";
        }
        bool binary = x.Code is ElementwiseCode.Div or ElementwiseCode.Pow or (>= ElementwiseCode.Add and <= ElementwiseCode.Min);
        if (a != x.Type || (binary && b != x.Type))
            return "operands are missing or not of the result's type";
        bool integers = x.Code >= ElementwiseCode.Neg;
        return x.Type.IsFloat() || (integers && x.Type == DType.I64) ? null : $"not defined for {x.Type.Text()}";
    }

    private static bool IsConcrete(DType type) => type is DType.F32 or DType.F64 or DType.I64 or DType.Bool;

    private static void Require(bool condition, string problem)
    {
        if (!condition)
            throw new ArgumentException($"Not a kernel: {problem}.");
    }
}

/// <summary>Builds a <see cref="FusedKernelSpec"/>; every method that adds a value gives its number.</summary>
internal sealed class FusedKernelBuilder(ImmutableArray<long> dims)
{
    private readonly ImmutableArray<FusedInput>.Builder _inputs = ImmutableArray.CreateBuilder<FusedInput>();
    private readonly ImmutableArray<FusedInstruction>.Builder _instructions = ImmutableArray.CreateBuilder<FusedInstruction>();
    private readonly ImmutableArray<FusedOutput>.Builder _outputs = ImmutableArray.CreateBuilder<FusedOutput>();

    /// <summary>Number of values so far.</summary>
    public int Count => _instructions.Count;

    public int InputCount => _inputs.Count;

    /// <summary>Adds an input and the value that loads it.</summary>
    public int Input(DType type, ImmutableArray<long> strides)
    {
        _inputs.Add(new FusedInput(type, strides));
        return Add(new FusedInstruction(ElementwiseCode.Load, type, _inputs.Count - 1));
    }

    /// <summary>Adds an input that is contiguous over the space.</summary>
    public int Input(DType type)
    {
        var strides = new long[dims.Length];
        long n = 1;
        for (int i = dims.Length - 1; i >= 0; i--)
        {
            strides[i] = n;
            n *= dims[i];
        }
        return Input(type, [.. strides]);
    }

    public int Constant(DType type, double value) => Add(new FusedInstruction(ElementwiseCode.Constant, type, Bits: type switch
    {
        DType.F32 or DType.F64 => BitConverter.DoubleToInt64Bits(value),
        DType.Bool => value != 0 ? 1 : 0,
        _ => (long)value,
    }));

    public int Constant(long value) => Add(new FusedInstruction(ElementwiseCode.Constant, DType.I64, Bits: value));

    public int Iota(int axis) => Add(new FusedInstruction(ElementwiseCode.Iota, DType.I64, axis));

    public int RngBits(int key) => Add(new FusedInstruction(ElementwiseCode.RngBits, DType.I64, key));

    public int Cast(DType type, int a) => Add(new FusedInstruction(ElementwiseCode.Cast, type, a));

    public int Select(int condition, int a, int b)
        => Add(new FusedInstruction(ElementwiseCode.Select, _instructions[a].Type, condition, a, b));

    /// <summary>Adds an elementwise operation of one or two operands.</summary>
    public int Apply(ElementwiseCode code, int a, int b = -1)
    {
        bool compares = code is >= ElementwiseCode.Eq and <= ElementwiseCode.Ge;
        return Add(new FusedInstruction(code, compares ? DType.Bool : _instructions[a].Type, a, b));
    }

    public int Add(FusedInstruction instruction)
    {
        _instructions.Add(instruction);
        return _instructions.Count - 1;
    }

    public void Output(int value, ReduceCode reduce = ReduceCode.Sum, ImmutableArray<long> strides = default) => _outputs.Add(new FusedOutput(value, reduce, strides));

    public DType TypeOf(int value) => _instructions[value].Type;

    /// <exception cref="ArgumentException">The parts do not fit together.</exception>
    public FusedKernelSpec Build(FusedReduction reduction = FusedReduction.None, int reducedAxes = 0)
        => new(dims, _inputs.ToImmutable(), _instructions.ToImmutable(), _outputs.ToImmutable(), reduction, reducedAxes);
}
