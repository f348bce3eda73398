using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>How a run ended.</summary>
public enum RunResult
{
    /// <summary>Outputs are there, states have their next values.</summary>
    Committed,

    /// <summary>A guard was NaN or infinite: no state has changed, and outputs that guards do not need may be old. <see cref="Session.Blame"/> tells where it came from.</summary>
    NotFinite,
}

/// <summary>Where a value that is not finite came from.</summary>
/// <param name="Node">The first operation in order that made one from finite arguments, or a variable that was fed one.</param>
/// <param name="Value">The value: NaN or an infinity.</param>
/// <param name="Position">Where it is in the node's tensor.</param>
public sealed record BlameReport(Expr Node, double Value, IReadOnlyList<int> Position)
{
    public override string ToString() => $"{Printer.Line(Node)} is {Printer.Number(Value)} at [{string.Join(", ", Position)}]";
}

/// <summary>How long one kernel of a plan takes at least.</summary>
/// <param name="Kernel">What it computes.</param>
/// <param name="Milliseconds">The least of the runs.</param>
/// <param name="Flops">Its floating-point operations.</param>
/// <param name="Bytes">The memory that it reads and writes.</param>
public sealed record KernelTime(string Kernel, double Milliseconds, long Flops, long Bytes);

/// <summary>
/// Runs a program over its own memory: states stay from run to run, inputs are written before, outputs read after. Plans for different
/// sizes, as of a last smaller batch, share the states. After the first run at some sizes, a run allocates nothing.
/// One thread at a time may use a session.
/// </summary>
public sealed unsafe class Session
{
    private static readonly ConcurrentDictionary<int, WorkerPool> Pools = new();

    private readonly Engine engine;
    private readonly Dictionary<string, int> inputIndex = [];
    private readonly Dictionary<string, int> stateIndex = [];
    private readonly Dictionary<string, int> outputIndex = [];
    private readonly StateMemory states;
    private readonly List<Execution> executions = [];
    private Execution? current;

    /// <summary>A session whose states are zero until <see cref="SetState"/>. Of outputs with the same name, the first is found by it.</summary>
    /// <exception cref="GraphException">Two inputs or two states have the same name.</exception>
    public Session(Program program, PlanOptions? options = null)
        : this(program, options, new StateMemory(program.States.Length))
    {
    }

    private Session(Program program, PlanOptions? options, StateMemory states)
    {
        (Program, Options, this.states) = (program, options ?? PlanOptions.Default, states);
        var pool = Pools.GetOrAdd(Options.Threads, threads => new WorkerPool(threads));
        engine = new Engine(pool, Options.MatrixProduct ?? new ManagedMatrixProduct(pool));
        for (var i = 0; i < program.Inputs.Length; i++)
            Add(inputIndex, program.Inputs[i].Name, i, "inputs");
        for (var i = 0; i < program.States.Length; i++)
            Add(stateIndex, program.States[i].Name, i, "states");
        for (var i = 0; i < program.Outputs.Length; i++)
            outputIndex.TryAdd(program.Outputs[i].Name, i);
    }

    /// <summary>A session of another program over the states of this one, which both see and change; inputs and outputs are its own.</summary>
    /// <exception cref="GraphException">The program has other states.</exception>
    public Session Sharing(Program program)
    {
        ArgumentNullException.ThrowIfNull(program);
        return program.States.Select(s => (s.Name, s.Variable.Type)).SequenceEqual(Program.States.Select(s => (s.Name, s.Variable.Type)))
            ? new Session(program, Options, states)
            : throw new GraphException("the programs have different states");
    }

    public Program Program { get; }

    public PlanOptions Options { get; }

    /// <summary>The plan of the current sizes.</summary>
    /// <exception cref="InvalidOperationException"><see cref="Prepare(IReadOnlyDictionary{string, long})"/> was not called.</exception>
    public Plan Plan => Current.Plan;

    private Execution Current => current ?? throw new InvalidOperationException("call Prepare with the sizes of the named dimensions first");

    /// <summary>Chooses sizes: compiles a plan for them, or takes the one that was compiled before. Every plan has inputs and outputs of its own.</summary>
    /// <exception cref="ShapeException">Sizes do not fit each other, one is missing, or a state would change its size.</exception>
    public void Prepare(IReadOnlyDictionary<string, long> sizes)
    {
        foreach (var execution in executions)
        {
            if (execution.Fits(sizes))
            {
                current = execution;
                return;
            }
        }

        Prepare(Plan.Compile(Program, sizes, Options));
    }

    /// <summary>Takes a plan that was compiled before, of the session's program and options.</summary>
    /// <exception cref="ShapeException">A state would change its size.</exception>
    public void Prepare(Plan plan)
    {
        if (plan.Program != Program)
            throw new ArgumentException("the plan is of another program", nameof(plan));
        for (var i = 0; i < plan.States.Length; i++)
        {
            var state = plan.States[i];
            if (states.Types[i] is { } known && !known.Dims.AsSpan().SequenceEqual(state.Dims.AsSpan()))
                throw new ShapeException($"the state {state} has the sizes [{string.Join(", ", known.Dims)}] already: a state cannot change its size between runs", Program.States[i].Variable.Shape);
        }

        for (var i = 0; i < plan.States.Length; i++)
        {
            states.Types[i] ??= plan.States[i];
            states.Memory[i] ??= new Memory(plan.States[i].Bytes);
        }

        var inputs = plan.Inputs.Select(t => new Memory(t.Bytes)).ToArray();
        current = new Execution(plan, inputs, states, engine);
        executions.Add(current);
    }

    /// <summary>Gives a state its value, cast to its element type.</summary>
    /// <exception cref="ShapeException">The sizes differ.</exception>
    public void SetState(string name, Tensor value)
    {
        var i = Find(stateIndex, name, "state");
        Write("state", Current.Plan.States[i], states.Memory[i]!, value);
        states.Version++;
        GC.KeepAlive(this);
    }

    /// <summary>Gives a state of one whole number its value, and allocates nothing.</summary>
    internal void SetWhole(string name, long value)
    {
        var i = Find(stateIndex, name, "state");
        Span<long>(Current.Plan.States[i], states.Memory[i]!.Pointer)[0] = value;
        states.Version++;
    }

    public Tensor GetState(string name)
    {
        var i = Find(stateIndex, name, "state");
        var value = Read(Current.Plan.States[i], states.Memory[i]!.Pointer);
        GC.KeepAlive(this);
        return value;
    }

    /// <summary>Gives an input its value, cast to its element type.</summary>
    /// <exception cref="ShapeException">The sizes differ.</exception>
    public void SetInput(string name, Tensor value)
    {
        var i = Find(inputIndex, name, "input");
        Write("input", Current.Plan.Inputs[i], Current.Inputs[i], value);
        GC.KeepAlive(this);
    }

    /// <summary>The memory of an input, row-major, to be filled before <see cref="Run"/>. It lives as long as the session.</summary>
    /// <typeparam name="T">The element type in the plan: float, double, long or bool.</typeparam>
    public Span<T> InputSpan<T>(string name)
        where T : unmanaged
    {
        var i = Find(inputIndex, name, "input");
        return Span<T>(Current.Plan.Inputs[i], Current.Inputs[i].Pointer);
    }

    /// <summary>As <see cref="InputSpan{T}"/>, of whatever type.</summary>
    internal Span<byte> InputBytes(string name)
    {
        var i = Find(inputIndex, name, "input");
        return new Span<byte>(Current.Inputs[i].Pointer, checked((int)(Current.Plan.Inputs[i].Count * FusedKernelSpec.SizeOf(Current.Plan.Inputs[i].Type))));
    }

    /// <summary>The memory of a state, row-major; <see cref="SetState"/> writes it.</summary>
    /// <inheritdoc cref="InputSpan{T}"/>
    public ReadOnlySpan<T> StateSpan<T>(string name)
        where T : unmanaged
    {
        var i = Find(stateIndex, name, "state");
        return Span<T>(Current.Plan.States[i], states.Memory[i]!.Pointer);
    }

    /// <summary>The memory of an output, row-major: valid until the next run.</summary>
    /// <inheritdoc cref="InputSpan{T}"/>
    public ReadOnlySpan<T> OutputSpan<T>(int output)
        where T : unmanaged => Span<T>(Current.Plan.Outputs[output], Current.Output(output));

    /// <summary>Runs the program once on the current inputs and states.</summary>
    /// <exception cref="IndexException">An index is out of range; no state has changed.</exception>
    public RunResult Run() => Current.Run();

    /// <summary>Runs the program a few times, whatever the guards say, with a clock around every kernel.</summary>
    public IReadOnlyList<KernelTime> Profile(int runs)
    {
        var times = Current.Profile(runs);
        var kernels = Current.Plan.Code.Select((c, i) => new KernelTime(c.Name, times[i], c.Flops, Current.Plan.BytesOf(c)));

        // What ran within a convolution or a product took no time of its own.
        return [.. kernels.Where((_, i) => !Current.IsWithinAnother(i))];
    }

    public Tensor GetOutput(int output)
    {
        var value = Read(Current.Plan.Outputs[output], Current.Output(output));
        GC.KeepAlive(this);
        return value;
    }

    public Tensor GetOutput(string name) => GetOutput(Find(outputIndex, name, "output"));

    /// <summary>The place of an output, for <see cref="ReadScalar"/>.</summary>
    public int OutputIndex(string name) => Find(outputIndex, name, "output");

    /// <summary>The only element of an output.</summary>
    public double ReadScalar(int output)
    {
        var tensor = Current.Plan.Outputs[output];
        if (tensor.Count != 1)
            throw new InvalidOperationException($"the output {tensor} has {tensor.Count} elements, not one");
        var value = Execution.Read(tensor.Type, Current.Output(output));
        GC.KeepAlive(this);
        return value;
    }

    /// <summary>
    /// Repeats the run that ended with <see cref="RunResult.NotFinite"/>, node by node, and finds the operation that the first value that is not
    /// finite came from, among those that reach a guard.
    /// </summary>
    /// <returns>Null where the replay stays finite, as may be when fusion rounds otherwise.</returns>
    public BlameReport? Blame()
    {
        var program = Program with
        {
            Outputs = [.. Program.Guards.Select((g, i) => new Named($"guard {i}", g))],
            States = [.. Program.States.Select(s => s with { Next = null })],
            Guards = [],
        };
        var plan = Plan.Compile(program, Current.Plan.Sizes, Options with { Fuse = false });
        return new Execution(plan, Current.Inputs, states, engine).Replay();
    }

    private static void Add(Dictionary<string, int> names, string name, int index, string what)
    {
        if (!names.TryAdd(name, index))
            throw new GraphException($"two {what} of the program have the name '{name}'");
    }

    private static int Find(Dictionary<string, int> names, string name, string what) => names.TryGetValue(name, out var index)
        ? index
        : throw new ArgumentException($"the program has no {what} '{name}', only {string.Join(", ", names.Keys)}");

    private static Span<T> Span<T>(PlanTensor tensor, byte* memory)
        where T : unmanaged
    {
        var type = typeof(T) == typeof(float) ? DType.F32 : typeof(T) == typeof(double) ? DType.F64 : typeof(T) == typeof(long) ? DType.I64 : DType.Bool;
        return type == tensor.Type && sizeof(T) == FusedKernelSpec.SizeOf(type)
            ? new Span<T>(memory, checked((int)tensor.Count))
            : throw new InvalidOperationException($"{tensor} is not of {typeof(T).Name}");
    }

    private static void Write(string what, PlanTensor tensor, Memory memory, Tensor value)
    {
        if (!value.Shape.AsSpan().SequenceEqual(tensor.Dims.AsSpan()))
            throw new ShapeException($"the {what} {tensor} cannot take {value.TypeText}");
        var cast = value.Cast(tensor.Type);
        switch (tensor.Type)
        {
            case DType.F32:
                cast.AsSpan<float>().CopyTo(Span<float>(tensor, memory.Pointer));
                break;
            case DType.F64:
                cast.AsSpan<double>().CopyTo(Span<double>(tensor, memory.Pointer));
                break;
            case DType.I64:
                cast.AsSpan<long>().CopyTo(Span<long>(tensor, memory.Pointer));
                break;
            default:
                cast.AsSpan<bool>().CopyTo(Span<bool>(tensor, memory.Pointer));
                break;
        }
    }

    private static Tensor Read(PlanTensor tensor, byte* memory)
    {
        int[] dims = [.. tensor.Dims];
        return tensor.Type switch
        {
            DType.F32 => Tensor.Create(Span<float>(tensor, memory).ToArray(), dims),
            DType.F64 => Tensor.Create(Span<double>(tensor, memory).ToArray(), dims),
            DType.I64 => Tensor.Create(Span<long>(tensor, memory).ToArray(), dims),
            _ => Tensor.Create(Span<bool>(tensor, memory).ToArray(), dims),
        };
    }
}
