using System.Globalization;

namespace Dnn.Backend;

/// <summary>A place in a value's memory, in bytes from its start.</summary>
internal readonly record struct Operand(int Value, long Offset = 0);

/// <summary>What runs instructions: threads, and what multiplies matrices.</summary>
internal sealed record Engine(WorkerPool Pool, IMatrixProduct MatrixProduct);

/// <summary>One kernel of a plan, over values; it reads operands up to <see cref="InputCount"/> and writes the others.</summary>
internal abstract class Instruction(int node, Operand[] operands, int inputCount)
{
    /// <summary>The graph node whose value is complete after this instruction, or −1.</summary>
    public int Node { get; } = node;

    public int InputCount { get; } = inputCount;

    public ReadOnlySpan<Operand> Operands => operands;

    public ReadOnlySpan<Operand> Inputs => operands.AsSpan(0, InputCount);

    public ReadOnlySpan<Operand> Outputs => operands.AsSpan(InputCount);

    /// <summary>The nodes whose values are complete after this instruction, and where those are.</summary>
    public virtual IEnumerable<(int Node, int Value)> Computes => Node >= 0 && Outputs is [var output, ..] ? [(Node, output.Value)] : [];

    /// <summary>What the plan's listing calls it.</summary>
    public abstract string Name { get; }

    /// <summary>Arithmetic operations on floats.</summary>
    public virtual long Flops => 0;

    /// <summary>Whether wrong input makes it fail: then it runs before anything is committed.</summary>
    public virtual bool MayFail => false;

    /// <summary>Whether a bound instruction reads the addresses of its operands at every run, so that a loop may move them.</summary>
    public virtual bool IsMovable => false;

    /// <summary>Whether an output may take the memory of this input: only the same element is read before it is written.</summary>
    public virtual bool AllowsInPlace(int input, int output) => false;

    /// <summary>The instruction over memory.</summary>
    /// <param name="pointers">The addresses of the operands. They stay, but for instructions of which <see cref="IsMovable"/> holds.</param>
    public abstract unsafe Step Bind(void** pointers, Engine engine);

    protected static string Sizes<T>(IEnumerable<T> sizes) => string.Create(CultureInfo.InvariantCulture, $"[{string.Join(", ", sizes)}]");
}

/// <summary>An instruction over memory. Running allocates nothing.</summary>
internal abstract class Step
{
    public abstract void Run();

    /// <summary>Has the step run a kernel over its result as it stores that; false where it does not store what the kernel takes, or nothing would be gained.</summary>
    public virtual bool TryContinue(Epilogue epilogue) => false;
}

/// <summary>A step whose work splits into ranges that any thread may take; no bit of the result depends on the ranges.</summary>
internal abstract class RangeStep : Step
{
    private readonly WorkerPool pool;
    private readonly long units;
    private readonly long grain;
    private readonly Action<int, int>? run;
    private readonly int parts;

    /// <param name="units">The number of pieces.</param>
    /// <param name="grain">Ranges begin at multiples of it.</param>
    /// <param name="nanoseconds">About how long one thread takes for everything.</param>
    protected RangeStep(WorkerPool pool, long units, long grain, double nanoseconds)
    {
        // A part this short costs little more than to take it.
        const double worthSharing = 8000, shortest = 1000;
        (this.pool, this.units, this.grain) = (pool, units, grain);
        var most = Math.Clamp(nanoseconds / shortest, pool.Threads, WorkerPool.PartsPerThread * pool.Threads);
        parts = nanoseconds < worthSharing || pool.Threads == 1 ? 1 : (int)Math.Clamp(units / grain, 1, most);
        run = parts > 1 ? RunParts : null;
    }

    public sealed override void Run()
    {
        if (run is null)
            Run(0, units);
        else
            pool.Run(parts, run);
        Finish();
    }

    protected abstract void Run(long start, long end);

    protected virtual void Finish()
    {
    }

    private void RunParts(int start, int end) => Run(Bound(start), Bound(end));

    private long Bound(int index) => index == parts ? units : units / grain * index / parts * grain;
}
