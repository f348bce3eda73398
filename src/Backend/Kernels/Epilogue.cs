namespace Dnn.Backend;

/// <summary>
/// The fused kernel that follows a convolution or a matrix product (scale and shift of a batch norm, bias, activation, residual), for that to run over rows of
/// its result as soon as it has stored them, while they are in the cache.
/// </summary>
/// <param name="result">The address of the result.</param>
/// <param name="size">Elements that the kernel takes.</param>
/// <param name="elements">Elements of the result that a unit of the kernel takes.</param>
internal sealed unsafe class Epilogue(BoundKernel kernel, void* result, long size, long elements)
{
    public long Size => size;

    /// <summary>Whether rows of so many columns are whole units.</summary>
    public bool Divides(long columns) => columns % elements == 0;

    /// <summary>Elements <paramref name="start"/> to <paramref name="end"/> of the result are there.</summary>
    public void Run(long start, long end) => kernel.Run(start / elements, end / elements);

    /// <summary>Some rows of the result are there.</summary>
    public void Run<T>(T* rows, long count)
        where T : unmanaged => Run(rows - (T*)result, rows - (T*)result + count);
}

/// <summary>Steps one after another, as one.</summary>
internal sealed class SequenceStep(params Step[] steps) : Step
{
    public bool IsEmpty => steps.Length == 0;

    public override void Run()
    {
        foreach (var step in steps)
            step.Run();
    }
}
