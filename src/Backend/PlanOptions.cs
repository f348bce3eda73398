using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>What a plan is made for, beside sizes.</summary>
public sealed record PlanOptions
{
    public static PlanOptions Default { get; } = new();

    /// <summary>What <see cref="DType.Float"/> becomes: F32 or F64.</summary>
    public DType Float
    {
        get;
        init => field = value is DType.F32 or DType.F64 ? value : throw new ArgumentException($"a run's float type is f32 or f64, not {value.Text()}");
    } = DType.F32;

    /// <summary>Threads that share large work, the caller included. They do not change a bit of the results.</summary>
    public int Threads
    {
        get;
        init => field = value >= 1 ? value : throw new ArgumentException($"at least one thread is needed, not {value}");
    } = Environment.ProcessorCount;

    /// <summary>What multiplies matrices; null takes <see cref="ManagedMatrixProduct"/> on the plan's threads.</summary>
    public IMatrixProduct? MatrixProduct { get; init; }

    /// <summary>Whether elementwise operations join kernels. A replay that looks for the first bad value does without.</summary>
    internal bool Fuse { get; init; } = true;
}
