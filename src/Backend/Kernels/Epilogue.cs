namespace Dnn.Backend;

/// <summary>
/// The fused kernel that follows a convolution (scale and shift of a batch norm, bias, activation, residual), for the convolution to run over rows of its
/// result as soon as it has stored them, while they are in the cache.
/// </summary>
/// <param name="elements">Elements of the result that a unit of the kernel takes.</param>
internal sealed class Epilogue(BoundKernel kernel, long elements)
{
    /// <summary>Whether rows of so many columns are whole units.</summary>
    public bool Divides(long columns) => columns % elements == 0;

    /// <summary>Elements <paramref name="start"/> to <paramref name="end"/> of the result are there.</summary>
    public void Run(long start, long end) => kernel.Run(start / elements, end / elements);
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
