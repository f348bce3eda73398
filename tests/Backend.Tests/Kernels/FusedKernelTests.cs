using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Dnn.Graph;

using Xunit;
using Random = System.Random;

namespace Dnn.Backend.Tests;

public unsafe class FusedKernelTests
{
    private static readonly ElementwiseCode[] Transcendental =
    [
        ElementwiseCode.Exp, ElementwiseCode.Log, ElementwiseCode.Log1p, ElementwiseCode.Expm1, ElementwiseCode.Tanh,
        ElementwiseCode.Logistic, ElementwiseCode.Erf, ElementwiseCode.Sin, ElementwiseCode.Cos, ElementwiseCode.Pow,
    ];

    private static readonly DType[] Types = [DType.F32, DType.F64, DType.I64, DType.Bool];

    private static readonly double[] Specials =
    [
        0.0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 1.5, -2.5, double.NaN, double.PositiveInfinity, double.NegativeInfinity,
        1e-42, -1e-42, 1e-310, -1e-310, 1.17549435e-38, 3.4028235e38, -3.4028235e38, 1e300, -1e300, 88.8, -104.5, 710, -746,
        1e6, 9.2e18, -9.3e18, 16777217, 3, -3, 1e-8, Math.PI,
    ];

    [Theory]
    [InlineData(nameof(FusedReduction.None))]
    [InlineData(nameof(FusedReduction.Rows))]
    [InlineData(nameof(FusedReduction.Columns))]
    public void RandomKernelsComputeWhatTheirInstructionsSay(string reductionName)
    {
        FusedReduction reduction = Enum.Parse<FusedReduction>(reductionName);
        for (int seed = 0; seed < 80; seed++)
        {
            using var data = new Data(RandomSpec(new Random(seed), reduction), seed);
            data.Run(FusedMode.Interpreted, 0);
            byte[][] interpreted = data.Outputs();
            data.CheckAgainstReference();
            data.Run(FusedMode.Compiled, 0);
            AssertSame(data, interpreted, $"compiled, seed {seed}");
            data.Run(FusedMode.Compiled, seed + 1);
            AssertSame(data, interpreted, $"compiled in pieces, seed {seed}");
            data.Run(FusedMode.Interpreted, seed + 2);
            AssertSame(data, interpreted, $"interpreted in pieces, seed {seed}");
        }
    }

    public static TheoryData<string, DType> Operations()
    {
        var rows = new TheoryData<string, DType>();
        foreach (ElementwiseCode code in Enum.GetValues<ElementwiseCode>())
            if (code is not (ElementwiseCode.Load or ElementwiseCode.Constant or ElementwiseCode.Iota or ElementwiseCode.RngBits))
                foreach (DType type in Types)
                    if (Accepts(code, type))
                        rows.Add(code.ToString(), type);
        return rows;
    }

    /// <summary>Every operation on every pair of special values, and every cast.</summary>
    [Theory]
    [MemberData(nameof(Operations))]
    public void SpecialValues(string codeName, DType type)
    {
        ElementwiseCode code = Enum.Parse<ElementwiseCode>(codeName);
        int n = Specials.Length;
        var builder = new FusedKernelBuilder([n, n]);
        int a = builder.Input(type, [1, 0]), b = builder.Input(type, [0, 1]);
        foreach (DType target in code == ElementwiseCode.Cast ? Types : [type])
        {
            builder.Output(code switch
            {
                ElementwiseCode.Cast => builder.Cast(target, a),
                ElementwiseCode.Select => builder.Select(builder.Apply(ElementwiseCode.Ne, a, b), a, b),
                _ when IsBinary(code) => builder.Apply(code, a, b),
                _ => builder.Apply(code, a),
            });
        }
        using var data = new Data(builder.Build(), 0, i => Specials[i % n]);
        foreach (FusedMode mode in new[] { FusedMode.Compiled, FusedMode.Interpreted })
        {
            data.Run(mode, 0);
            data.CheckAgainstReference();
        }
    }

    [Fact]
    public void LongReductionsAreSplitAndKeepTheirBits()
    {
        foreach ((long[] dims, FusedReduction reduction, int axes) in new[]
        {
            (new long[] { 2, 20001 }, FusedReduction.Rows, 1),
            ([20021], FusedReduction.Columns, 1),
            ([1031, 37], FusedReduction.Columns, 1),
            ([23, 31, 97], FusedReduction.Columns, 2),
            ([20, 5003], FusedReduction.Columns, 1),
            ([5011, 3], FusedReduction.Columns, 1),
        })
        {
            var builder = new FusedKernelBuilder([.. dims]);
            int x = builder.Input(DType.F32);
            foreach (ReduceCode code in Enum.GetValues<ReduceCode>())
            {
                builder.Output(x, code);
                builder.Output(builder.Cast(DType.F64, x), code);
                if (code != ReduceCode.Deviations)
                    builder.Output(builder.Cast(DType.I64, x), code);
            }
            using var data = new Data(builder.Build(reduction, axes), 1, i => 100 * Math.Sin(i));
            data.Run(FusedMode.Compiled, 0);
            data.CheckAgainstReference();
            byte[][] whole = data.Outputs();
            Assert.True(data.Kernel.Units > 1 && data.Kernel.ScratchBytes > 0);
            data.Run(FusedMode.Compiled, 5);
            AssertSame(data, whole, "in pieces");
            data.Run(FusedMode.Interpreted, 6);
            AssertSame(data, whole, "interpreted");
        }
    }

    [Theory]
    [InlineData(nameof(FusedReduction.Rows), nameof(ReduceCode.Sum), 0f)]
    [InlineData(nameof(FusedReduction.Columns), nameof(ReduceCode.Sum), 0f)]
    [InlineData(nameof(FusedReduction.Rows), nameof(ReduceCode.Max), float.NegativeInfinity)]
    [InlineData(nameof(FusedReduction.Columns), nameof(ReduceCode.Min), float.PositiveInfinity)]
    public void NothingReducedIsTheIdentity(string reductionName, string codeName, float expected)
    {
        FusedReduction reduction = Enum.Parse<FusedReduction>(reductionName);
        ReduceCode code = Enum.Parse<ReduceCode>(codeName);
        var builder = new FusedKernelBuilder(reduction == FusedReduction.Rows ? [3, 0] : [0, 3]);
        builder.Output(builder.Input(DType.F32), code);
        using var data = new Data(builder.Build(reduction, 1), 0);
        data.Run(FusedMode.Compiled, 0);
        Assert.Equal([expected, expected, expected], MemoryMarshal.Cast<byte, float>(data.Outputs()[0]).ToArray());
    }

    [Fact]
    public void AnOutputMayReplaceAnInput()
    {
        const int n = 1000;
        var builder = new FusedKernelBuilder([n]);
        int p = builder.Input(DType.F32), g = builder.Input(DType.F32);
        builder.Output(builder.Apply(ElementwiseCode.Sub, p, g));
        builder.Output(builder.Apply(ElementwiseCode.Mul, p, g));
        void** pointers = stackalloc void*[4];
        foreach (FusedMode mode in new[] { FusedMode.Compiled, FusedMode.Interpreted })
        {
            float[] a = [.. Enumerable.Range(0, n).Select(i => (float)i)], b = [.. Enumerable.Range(0, n).Select(i => 2f * i + 1)];
            fixed (float* pa = a, pb = b)
            {
                pointers[0] = pointers[2] = pa;
                pointers[1] = pointers[3] = pb;
                FusedKernel.Compile(builder.Build(), mode).Run(pointers, null);
            }
            for (int i = 0; i < n; i++)
                Assert.Equal(((float)(-i - 1), (float)i * (2f * i + 1)), (a[i], b[i]));
        }
    }

    [Fact]
    public void NothingIsAllocated()
    {
        foreach (FusedReduction reduction in Enum.GetValues<FusedReduction>())
            foreach (FusedMode mode in new[] { FusedMode.Compiled, FusedMode.Interpreted })
            {
                using var data = new Data(RandomSpec(new Random(3), reduction), 3);
                for (int i = 0; i < 3; i++)
                    data.KernelOf(mode).Run(data.Pointers, data.Scratch);
                long before = GC.GetAllocatedBytesForCurrentThread();
                for (int i = 0; i < 10; i++)
                    data.KernelOf(mode).Run(data.Pointers, data.Scratch);
                Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
            }
    }

    [Fact]
    public void KernelsAreSharedByStructure()
    {
        FusedKernelSpec first = RandomSpec(new Random(9), FusedReduction.None), second = RandomSpec(new Random(9), FusedReduction.None);
        Assert.NotSame(first, second);
        Assert.Equal(first, second);
        Assert.Same(FusedKernel.Compile(first), FusedKernel.Compile(second));
        Assert.NotEqual(first, RandomSpec(new Random(10), FusedReduction.None));
    }

    [Fact]
    public void WrongSpecsAreRefused()
    {
        static FusedKernelSpec Build(Action<FusedKernelBuilder> fill, FusedReduction reduction = FusedReduction.None, int axes = 0)
        {
            var builder = new FusedKernelBuilder([4]);
            fill(builder);
            return builder.Build(reduction, axes);
        }
        Assert.Throws<ArgumentException>(() => Build(b => b.Input(DType.F32)));
        Assert.Throws<ArgumentException>(() => Build(b => b.Output(b.Apply(ElementwiseCode.Exp, b.Input(DType.I64)))));
        Assert.Throws<ArgumentException>(() => Build(b => b.Output(b.Apply(ElementwiseCode.Add, b.Input(DType.F32), b.Input(DType.F64)))));
        Assert.Throws<ArgumentException>(() => Build(b => b.Output(b.Input(DType.F32, [1, 1]))));
        Assert.Throws<ArgumentException>(() => Build(b => b.Output(b.RngBits(b.Input(DType.I64)))));
        Assert.Throws<ArgumentException>(() => Build(b => b.Output(b.Input(DType.Bool)), FusedReduction.Rows, 1));
        Assert.Throws<ArgumentException>(() => Build(b => b.Output(b.Input(DType.Float))));
        Assert.Throws<ArgumentException>(() => Build(b => b.Output(7)));
    }

    private static bool IsBinary(ElementwiseCode code) => code is ElementwiseCode.Div or ElementwiseCode.Pow
        or (>= ElementwiseCode.Add and <= ElementwiseCode.Min) or (>= ElementwiseCode.Eq and <= ElementwiseCode.Ge)
        or ElementwiseCode.And or ElementwiseCode.Or;

    private static bool Accepts(ElementwiseCode code, DType type) => code switch
    {
        ElementwiseCode.Cast or ElementwiseCode.Select or ElementwiseCode.Eq or ElementwiseCode.Ne => true,
        ElementwiseCode.And or ElementwiseCode.Or or ElementwiseCode.Not => type == DType.Bool,
        >= ElementwiseCode.Neg => type != DType.Bool,
        _ => type.IsFloat(),
    };

    private static void AssertSame(Data data, byte[][] expected, string what)
    {
        byte[][] actual = data.Outputs();
        for (int o = 0; o < expected.Length; o++)
            for (long i = 0; i < data.Count(o); i++)
            {
                DType type = data.Spec.OutputType(o);
                Value a = Value.Read(actual[o], type, i), e = Value.Read(expected[o], type, i);
                Assert.True(a.SameAs(e), $"{what}: output {o}[{i}] is {a}, not {e}\n{data.Spec}");
            }
    }

    private static FusedKernelSpec RandomSpec(Random random, FusedReduction reduction)
    {
        int rank = random.Next(reduction == FusedReduction.None ? 0 : 1, 5);
        var dims = new long[rank];
        for (int a = 0; a < rank; a++)
            dims[a] = random.Next(12) switch { 0 => 1, 1 => random.Next(3), < 7 => random.Next(2, 7), _ => random.Next(10, rank < 3 ? 90 : 20) };
        var builder = new FusedKernelBuilder([.. dims]);
        int inputs = random.Next(1, 5);
        for (int i = 0; i < inputs; i++)
        {
            DType type = i == 0 ? DType.F32 : Types[random.Next(4)];
            if (random.Next(2) == 0)
            {
                builder.Input(type);
                continue;
            }
            // A view of an array whose axes are in another order, some of them missing, spread or backwards.
            int[] order = [.. Enumerable.Range(0, rank)];
            random.Shuffle(order);
            var strides = new long[rank];
            long step = random.Next(3) == 0 ? 2 : 1;
            foreach (int a in order)
                if (random.Next(3) != 0)
                {
                    strides[a] = random.Next(5) == 0 ? -step : step;
                    step *= Math.Max(1, dims[a]);
                }
            builder.Input(type, [.. strides]);
        }
        int key = builder.Input(DType.I64, [.. new long[rank]]);
        int count = random.Next(1, 25);
        for (int i = 0; i < count; i++)
            AddInstruction(builder, random, rank, key);
        int outputs = random.Next(1, 4);
        for (int o = 0; o < outputs; o++)
        {
            int value = random.Next(Math.Max(0, builder.Count - 5), builder.Count);
            if (reduction != FusedReduction.None && builder.TypeOf(value) == DType.Bool)
                value = builder.Cast(DType.I64, value);
            builder.Output(value, (ReduceCode)random.Next(4));
        }
        int x = random.Next(builder.Count);
        if (reduction != FusedReduction.None && builder.TypeOf(x).IsFloat())
            builder.Output(x, ReduceCode.Deviations);
        return builder.Build(reduction, reduction == FusedReduction.None ? 0 : random.Next(0, rank + 1));
    }

    private static void AddInstruction(FusedKernelBuilder builder, Random random, int rank, int key)
    {
        ElementwiseCode[] codes = Enum.GetValues<ElementwiseCode>();
        while (true)
        {
            int Pick(DType? type)
            {
                int start = random.Next(builder.Count);
                for (int k = 0; k < builder.Count; k++)
                    if (type is null || builder.TypeOf((start + k) % builder.Count) == type)
                        return (start + k) % builder.Count;
                return -1;
            }
            ElementwiseCode code = codes[random.Next(codes.Length)];
            int a = Pick(null);
            DType type = builder.TypeOf(a);
            switch (code)
            {
                case ElementwiseCode.Load:
                    continue;
                case ElementwiseCode.Constant:
                    builder.Constant(Types[random.Next(4)], random.Next(-20, 20) / 4.0);
                    return;
                case ElementwiseCode.Iota:
                    if (rank == 0)
                        continue;
                    builder.Iota(random.Next(rank));
                    return;
                case ElementwiseCode.RngBits:
                    builder.RngBits(key);
                    return;
                case ElementwiseCode.Cast:
                    builder.Cast(Types[random.Next(4)], a);
                    return;
                case ElementwiseCode.Select:
                    int condition = Pick(DType.Bool);
                    if (condition < 0)
                        continue;
                    builder.Select(condition, a, Pick(type));
                    return;
                default:
                    if (!Accepts(code, type))
                        continue;
                    builder.Apply(code, a, IsBinary(code) ? Pick(type) : -1);
                    return;
            }
        }
    }

    /// <summary>A value of one of the types; floats are held as doubles.</summary>
    private readonly record struct Value(DType Type, double Number, long Whole)
    {
        public static Value Of(DType type, double x) => new(type, type == DType.F32 ? (float)x : x, 0);

        public static Value Of(long x) => new(DType.I64, 0, x);

        public static Value Of(bool x) => new(DType.Bool, 0, x ? 1 : 0);

        public static Value Read(byte[] bytes, DType type, long i) => type switch
        {
            DType.F32 => Of(type, BitConverter.ToSingle(bytes, (int)i * 4)),
            DType.F64 => Of(type, BitConverter.ToDouble(bytes, (int)i * 8)),
            DType.I64 => Of(BitConverter.ToInt64(bytes, (int)i * 8)),
            _ => new(DType.Bool, 0, bytes[i]),
        };

        /// <summary>The same bits, all NaNs alike.</summary>
        public bool SameAs(Value other) => Type == other.Type && Whole == other.Whole
            && ((double.IsNaN(Number) && double.IsNaN(other.Number))
                || BitConverter.DoubleToInt64Bits(Number) == BitConverter.DoubleToInt64Bits(other.Number));
    }

    /// <summary>Memory for a spec, filled at random, and the evaluation element by element.</summary>
    private sealed class Data : IDisposable
    {
        private const int Guard = 64;
        private readonly byte[][] _inputs;
        private readonly long[] _origins;
        private readonly List<nint> _native = [];

        public Data(FusedKernelSpec spec, int seed, Func<int, double>? fill = null)
        {
            Spec = spec;
            var random = new Random(seed);
            int inputs = spec.Inputs.Length;
            _inputs = new byte[inputs][];
            _origins = new long[inputs];
            Pointers = (void**)Allocate((inputs + spec.Outputs.Length) * sizeof(void*));
            for (int i = 0; i < inputs; i++)
            {
                long low = 0, high = 0;
                for (int a = 0; a < spec.Dims.Length; a++)
                {
                    long reach = spec.Inputs[i].Strides[a] * Math.Max(0, spec.Dims[a] - 1);
                    low += Math.Min(0, reach);
                    high += Math.Max(0, reach);
                }
                int size = FusedKernelSpec.SizeOf(spec.Inputs[i].Type), n = (int)(high - low + 1);
                _origins[i] = -low;
                _inputs[i] = new byte[n * size];
                for (int k = 0; k < n; k++)
                {
                    double x = fill is not null ? fill(k)
                        : random.Next(4) == 0 ? Specials[random.Next(Specials.Length)]
                        : random.Next(-3, 4) + random.NextDouble();
                    byte[] bytes = spec.Inputs[i].Type switch
                    {
                        DType.F32 => BitConverter.GetBytes((float)x),
                        DType.F64 => BitConverter.GetBytes(x),
                        DType.I64 => BitConverter.GetBytes((long)x),
                        _ => [x > 0 ? (byte)1 : (byte)0],
                    };
                    bytes.CopyTo(_inputs[i], k * size);
                }
                byte* memory = Allocate(_inputs[i].Length);
                _inputs[i].CopyTo(new Span<byte>(memory, _inputs[i].Length));
                Pointers[i] = memory + _origins[i] * size;
            }
            for (int o = 0; o < spec.Outputs.Length; o++)
                Pointers[inputs + o] = Allocate((int)Count(o) * FusedKernelSpec.SizeOf(spec.OutputType(o)) + Guard);
            Scratch = Allocate((int)Math.Max(FusedKernel.Compile(spec, FusedMode.Interpreted).ScratchBytes, 1));
        }

        public FusedKernelSpec Spec { get; }

        public void** Pointers { get; }

        public void* Scratch { get; }

        public FusedKernel Kernel => KernelOf(FusedMode.Compiled);

        public FusedKernel KernelOf(FusedMode mode) => FusedKernel.Compile(Spec, mode);

        /// <summary>Elements of an output.</summary>
        public long Count(int output) => Spec.IsWhole(output) ? Spec.Size : Spec.OutputSize;

        public void Dispose()
        {
            foreach (nint memory in _native)
                NativeMemory.Free((void*)memory);
        }

        /// <summary>Runs all units: at once, or in random pieces and order.</summary>
        public void Run(FusedMode mode, int seed)
        {
            for (int o = 0; o < Spec.Outputs.Length; o++)
                OutputBytes(o).Fill(0xA5);
            FusedKernel kernel = KernelOf(mode);
            if (seed == 0)
                kernel.Invoke(Pointers, Scratch, 0, kernel.Units);
            else
            {
                var random = new Random(seed);
                var cuts = new SortedSet<long> { 0, kernel.Units };
                for (int i = 0; i < 6; i++)
                    cuts.Add(random.NextInt64(kernel.Units + 1));
                (long, long)[] pieces = [.. cuts.Zip(cuts.Skip(1))];
                random.Shuffle(pieces);
                foreach ((long start, long end) in pieces)
                    kernel.Invoke(Pointers, Scratch, start, end);
            }
            kernel.Finish(Pointers, Scratch);
            for (int o = 0; o < Spec.Outputs.Length; o++)
                Assert.True(OutputBytes(o)[^Guard..].IndexOfAnyExcept((byte)0xA5) < 0, "written behind the end of an output");
        }

        public byte[][] Outputs() => [.. Enumerable.Range(0, Spec.Outputs.Length).Select(o => OutputBytes(o)[..^Guard].ToArray())];

        public void CheckAgainstReference()
        {
            byte[][] outputs = Outputs();
            var reduced = new List<Value>[Spec.Outputs.Length, Spec.OutputSize];
            long rows = Spec.OutputSize == 0 ? 0 : Spec.Size / Spec.OutputSize;
            var coordinates = new long[Spec.Dims.Length];
            for (long i = 0; i < Spec.Size; i++)
            {
                long rest = i;
                for (int a = coordinates.Length - 1; a >= 0; a--)
                {
                    coordinates[a] = rest % Spec.Dims[a];
                    rest /= Spec.Dims[a];
                }
                Value[] values = Evaluate(i, coordinates);
                for (int o = 0; o < Spec.Outputs.Length; o++)
                {
                    Value expected = values[Spec.Outputs[o].Value];
                    if (Spec.IsWhole(o))
                    {
                        Value actual = Value.Read(outputs[o], Spec.OutputType(o), i);
                        Assert.True(actual.SameAs(expected), $"output {o}[{i}] is {actual}, not {expected}\n{Spec}");
                        continue;
                    }
                    long place = Spec.Reduction == FusedReduction.Rows ? i / rows : i % Spec.OutputSize;
                    (reduced[o, place] ??= []).Add(expected);
                }
            }
            if (Spec.Reduction != FusedReduction.None)
                for (int o = 0; o < Spec.Outputs.Length; o++)
                    for (long i = 0; i < Spec.OutputSize && !Spec.IsWhole(o); i++)
                        CheckReduction(Value.Read(outputs[o], Spec.OutputType(o), i), reduced[o, i] ?? [], Spec.Outputs[o].Reduce);
        }

        private void CheckReduction(Value actual, List<Value> values, ReduceCode code)
        {
            if (values.Count == 0)
                return;
            if (actual.Type == DType.I64)
            {
                long expected = code switch
                {
                    ReduceCode.Sum => values.Aggregate(0L, (s, v) => unchecked(s + v.Whole)),
                    ReduceCode.Max => values.Max(v => v.Whole),
                    _ => values.Min(v => v.Whole),
                };
                Assert.True(expected == actual.Whole, $"{code}: {actual.Whole}, not {expected}\n{Spec}");
                return;
            }
            IEnumerable<double> numbers = values.Select(v => v.Number);
            if (code == ReduceCode.Deviations)
            {
                double mean = numbers.Average(), deviations = numbers.Sum(x => (x - mean) * (x - mean)), largest = numbers.Max(Math.Abs);
                double error = actual.Type == DType.F32 ? 1e-5 : 1e-13, n = values.Count;
                if (numbers.Any(x => !double.IsFinite(x)))
                    Assert.True(double.IsNaN(actual.Number), $"deviations: {actual.Number}, not NaN\n{Spec}");
                else if (largest < (actual.Type == DType.F32 ? 1e15 : 1e150))
                {
                    // The values themselves have an error.
                    double bound = error * (deviations + 2 * largest * Math.Sqrt(deviations * n) + n * error * largest * largest) + 1e-45;
                    Assert.True(actual.Number >= 0 && Math.Abs(deviations - actual.Number) <= bound, $"deviations: {actual.Number}, not {deviations}\n{Spec}");
                }
                return;
            }
            if (code != ReduceCode.Sum)
            {
                double extreme = numbers.Aggregate(code == ReduceCode.Max ? Math.Max : Math.Min);
                Assert.True(extreme.Equals(actual.Number), $"{code}: {actual.Number}, not {extreme}\n{Spec}");
                return;
            }
            double sum = numbers.Sum(), size = numbers.Where(double.IsFinite).Sum(Math.Abs);
            bool single = actual.Type == DType.F32;
            if (size > (single ? 1e37 : 1e307))
                return;
            if (!double.IsFinite(sum))
                Assert.True(sum.Equals(actual.Number), $"sum: {actual.Number}, not {sum}\n{Spec}");
            else
                Assert.True(Math.Abs(sum - actual.Number) <= (single ? 1e-5 : 1e-13) * size + 1e-45, $"sum: {actual.Number}, not {sum}\n{Spec}");
        }

        private Value[] Evaluate(long index, long[] coordinates)
        {
            var values = new Value[Spec.Instructions.Length];
            for (int i = 0; i < values.Length; i++)
            {
                FusedInstruction x = Spec.Instructions[i];
                values[i] = x.Code switch
                {
                    ElementwiseCode.Load => Value.Read(
                        _inputs[x.A], x.Type, _origins[x.A] + Spec.Inputs[x.A].Strides.Zip(coordinates).Sum(p => p.First * p.Second)),
                    ElementwiseCode.Constant => x.Type switch
                    {
                        DType.I64 => Value.Of(x.Bits),
                        DType.Bool => Value.Of(x.Bits != 0),
                        _ => Value.Of(x.Type, BitConverter.Int64BitsToDouble(x.Bits)),
                    },
                    ElementwiseCode.Iota => Value.Of(coordinates[x.A]),
                    ElementwiseCode.RngBits => Value.Of(Philox.Bits24((ulong)values[x.A].Whole, index)),
                    ElementwiseCode.Cast => Cast(values[x.A], x.Type),
                    ElementwiseCode.Select => values[x.A].Whole != 0 ? values[x.B] : values[x.C],
                    _ => Apply(x.Code, values[x.A], x.B < 0 ? default : values[x.B], (int)(index % 8)),
                };
            }
            return values;
        }

        private static Value Cast(Value a, DType to) => (a.Type, to) switch
        {
            (DType.F32 or DType.F64, DType.I64) => Value.Of(double.IsNaN(a.Number) ? 0 : (long)a.Number),
            (DType.F32 or DType.F64, DType.Bool) => Value.Of(a.Number != 0),
            (DType.F32 or DType.F64, _) => Value.Of(to, a.Number),
            (DType.I64, DType.F32) => Value.Of(to, (float)a.Whole),
            (_, DType.F32 or DType.F64) => Value.Of(to, a.Whole),
            (_, DType.Bool) => Value.Of(a.Whole != 0),
            _ => Value.Of(a.Whole),
        };

        private static Value Apply(ElementwiseCode code, Value a, Value b, int lane) => a.Type switch
        {
            DType.Bool => Value.Of(code switch
            {
                ElementwiseCode.And => a.Whole != 0 && b.Whole != 0,
                ElementwiseCode.Or => a.Whole != 0 || b.Whole != 0,
                ElementwiseCode.Not => a.Whole == 0,
                ElementwiseCode.Eq => a.Whole == b.Whole,
                _ => a.Whole != b.Whole,
            }),
            DType.I64 => code switch
            {
                >= ElementwiseCode.Eq and <= ElementwiseCode.Ge => Compare(code, a.Whole, b.Whole),
                _ => Value.Of(unchecked(code switch
                {
                    ElementwiseCode.Neg => -a.Whole,
                    ElementwiseCode.Abs => a.Whole < 0 ? -a.Whole : a.Whole,
                    ElementwiseCode.Sign => Math.Sign(a.Whole),
                    ElementwiseCode.Add => a.Whole + b.Whole,
                    ElementwiseCode.Sub => a.Whole - b.Whole,
                    ElementwiseCode.Mul => a.Whole * b.Whole,
                    ElementwiseCode.Max => Math.Max(a.Whole, b.Whole),
                    ElementwiseCode.Min => Math.Min(a.Whole, b.Whole),
                    _ => a.Whole,
                })),
            },
            _ when code is >= ElementwiseCode.Eq and <= ElementwiseCode.Ge => Compare(code, a.Number, b.Number),
            _ when Transcendental.Contains(code) => Vector(code, a, b, lane),
            // Double arithmetic rounded to float is float arithmetic (Figueroa 1995).
            _ => Value.Of(a.Type, code switch
            {
                ElementwiseCode.Neg => -a.Number,
                ElementwiseCode.Abs => Math.Abs(a.Number),
                ElementwiseCode.Sign => a.Number > 0 ? 1 : a.Number < 0 ? -1 : a.Number,
                ElementwiseCode.Floor => Math.Floor(a.Number),
                ElementwiseCode.Round => Math.Round(a.Number, MidpointRounding.ToEven),
                ElementwiseCode.Relu => a.Number <= 0 ? 0.0 : a.Number,
                ElementwiseCode.Sqrt => Math.Sqrt(a.Number),
                ElementwiseCode.Rsqrt => a.Type == DType.F32 ? 1f / MathF.Sqrt((float)a.Number) : 1 / Math.Sqrt(a.Number),
                ElementwiseCode.Add => a.Number + b.Number,
                ElementwiseCode.Sub => a.Number - b.Number,
                ElementwiseCode.Mul => a.Number * b.Number,
                ElementwiseCode.Div => a.Number / b.Number,
                ElementwiseCode.Max => Math.Max(a.Number, b.Number),
                ElementwiseCode.Min => Math.Min(a.Number, b.Number),
                _ => throw new ArgumentOutOfRangeException(nameof(code), code, null),
            }),
        };

        private static Value Compare<T>(ElementwiseCode code, T a, T b)
            where T : System.Numerics.INumber<T> => Value.Of(code switch
            {
                ElementwiseCode.Eq => a == b,
                ElementwiseCode.Ne => a != b,
                ElementwiseCode.Lt => a < b,
                ElementwiseCode.Le => a <= b,
                ElementwiseCode.Gt => a > b,
                _ => a >= b,
            });

        /// <summary>The vector function with the value in one lane and others beside it: lanes do not see one another.</summary>
        private static Value Vector(ElementwiseCode code, Value a, Value b, int lane)
        {
            if (a.Type == DType.F32)
            {
                Vector512<float> x = Vector512.Create(0.5f).WithElement(2 * lane, (float)a.Number), y = Vector512.Create((float)b.Number);
                return Value.Of(a.Type, (code switch
                {
                    ElementwiseCode.Exp => VectorMath.Exp(x),
                    ElementwiseCode.Log => VectorMath.Log(x),
                    ElementwiseCode.Log1p => VectorMath.Log1p(x),
                    ElementwiseCode.Expm1 => VectorMath.Expm1(x),
                    ElementwiseCode.Tanh => VectorMath.Tanh(x),
                    ElementwiseCode.Logistic => VectorMath.Logistic(x),
                    ElementwiseCode.Erf => VectorMath.Erf(x),
                    ElementwiseCode.Sin => VectorMath.Sin(x),
                    ElementwiseCode.Cos => VectorMath.Cos(x),
                    _ => VectorMath.Pow(x, y),
                })[2 * lane]);
            }
            Vector512<double> u = Vector512.Create(0.5).WithElement(lane, a.Number), v = Vector512.Create(b.Number);
            return Value.Of(a.Type, (code switch
            {
                ElementwiseCode.Exp => VectorMath.Exp(u),
                ElementwiseCode.Log => VectorMath.Log(u),
                ElementwiseCode.Log1p => VectorMath.Log1p(u),
                ElementwiseCode.Expm1 => VectorMath.Expm1(u),
                ElementwiseCode.Tanh => VectorMath.Tanh(u),
                ElementwiseCode.Logistic => VectorMath.Logistic(u),
                ElementwiseCode.Erf => VectorMath.Erf(u),
                ElementwiseCode.Sin => VectorMath.Sin(u),
                ElementwiseCode.Cos => VectorMath.Cos(u),
                _ => VectorMath.Pow(u, v),
            })[lane]);
        }

        private Span<byte> OutputBytes(int o) => new(
            Pointers[Spec.Inputs.Length + o], (int)Count(o) * FusedKernelSpec.SizeOf(Spec.OutputType(o)) + Guard);

        private byte* Allocate(int bytes)
        {
            void* memory = NativeMemory.Alloc((nuint)Math.Max(1, bytes));
            _native.Add((nint)memory);
            return (byte*)memory;
        }
    }
}
