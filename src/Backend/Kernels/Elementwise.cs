using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>A fused kernel: elementwise operations over one space, perhaps reduced.</summary>
/// <param name="isWhole">Whether every operand starts where its value does, and has all of its elements or one.</param>
internal sealed class ElementwiseInstruction(int node, FusedKernel kernel, Operand[] operands, bool isWhole) : Instruction(node, operands, kernel.Spec.Inputs.Length)
{
    public FusedKernel Kernel => kernel;

    public override string Name
    {
        get
        {
            var spec = kernel.Spec;
            var codes = spec.Instructions.Where(i => i.Code is not (ElementwiseCode.Load or ElementwiseCode.Constant)).Select(i => i.Code.ToString().ToLowerInvariant());
            var reduction = spec.Reduction == FusedReduction.None ? "" : $" {string.Join(",", spec.Outputs.Where(o => o.Reduce != ReduceCode.None).Select(o => o.Reduce.ToString().ToLowerInvariant()))} over {spec.Reduction.ToString().ToLowerInvariant()} of {spec.ReducedAxes} axes";
            return $"fused{reduction} {Sizes(spec.Dims)} ({string.Join(" ", codes)})";
        }
    }

    public override long Flops => kernel.Spec.Size * kernel.Spec.Instructions.Count(i => i.Type.IsFloat() && i.Code is not (ElementwiseCode.Load or ElementwiseCode.Constant or ElementwiseCode.Cast))
        + (kernel.Spec.Reduction == FusedReduction.None ? 0 : kernel.Spec.Size) + (3 * kernel.Spec.DeviationCount * kernel.Spec.Size);

    public override bool AllowsInPlace(int input, int output)
    {
        var spec = kernel.Spec;
        return output < spec.Outputs.Length && spec.IsWhole(output) && spec.Outputs[output].Strides.IsDefault
            && FusedKernelSpec.SizeOf(spec.Inputs[input].Type) == FusedKernelSpec.SizeOf(spec.OutputType(output)) && IsInOrder(input);
    }

    /// <summary>The kernel as the end of what computes a value, where it takes that element by element, or row by row; null where it does not.</summary>
    /// <param name="value">The value.</param>
    /// <param name="pointers">The addresses of the operands.</param>
    public unsafe Epilogue? After(int value, void** pointers)
    {
        var spec = kernel.Spec;
        if (kernel.ScratchBytes > 0 || spec.Size == 0 || spec.Reduction == FusedReduction.Columns)
            return null;
        void* result = null;
        for (var i = 0; i < InputCount; i++)
        {
            if (Operands[i].Value != value)
                continue;
            if (!IsInOrder(i))
                return null;
            result = pointers[i];
        }

        return new Epilogue(BindKernel(pointers), result, spec.Size, spec.Reduction == FusedReduction.None ? 1 : kernel.ElementsPerUnit);
    }

    /// <summary>Whether an input has the elements of the space side by side, from the start of its value on.</summary>
    private bool IsInOrder(int input) => Operands[input].Offset == 0 && IsWalked(input);

    /// <summary>Whether an input has the elements of the space side by side.</summary>
    private bool IsWalked(int input)
    {
        var spec = kernel.Spec;
        var stride = 1L;
        for (var a = spec.Dims.Length - 1; a >= 0; a--)
        {
            if (spec.Dims[a] != 1 && spec.Inputs[input].Strides[a] != stride)
                return false;
            stride *= spec.Dims[a];
        }

        return true;
    }

    public override bool IsMovable => true;

    /// <summary>Whether every element of the results is computed from the same element of each input, or from one number.</summary>
    public bool IsByElement => kernel.Spec.Reduction == FusedReduction.None && kernel.Spec.Outputs.All(o => o.Strides.IsDefault)
        && Enumerable.Range(0, InputCount).All(i => IsOneNumber(i) || IsWalked(i));

    /// <summary>Whether an input is one number for all elements.</summary>
    public bool IsOneNumber(int input) => kernel.Spec.Inputs[input].Strides.All(s => s == 0);

    /// <summary>The kernel over memory, for any range of its elements.</summary>
    public unsafe BoundKernel BindKernel(void** pointers) => new(kernel, pointers, null, kernel.IsDirect(isWhole));

    public override unsafe Step Bind(void** pointers, Engine engine)
    {
        var scratch = kernel.ScratchBytes > 0 ? pointers[Operands.Length - 1] : null;
        return new KernelStep(kernel, pointers, scratch, kernel.IsDirect(isWhole), engine.Pool);
    }

    private sealed unsafe class KernelStep(FusedKernel kernel, void** pointers, void* scratch, bool isDirect, WorkerPool pool)
        : RangeStep(pool, kernel.Units, kernel.Spec.Reduction == FusedReduction.None ? 64 : 1, kernel.Spec.Size * (0.05 * (2 + kernel.Spec.Instructions.Length)))
    {
        private readonly BoundKernel bound = new(kernel, pointers, scratch, isDirect);

        protected override void Run(long start, long end) => bound.Run(start, end);

        protected override void Finish() => kernel.Finish(pointers, scratch);
    }
}

/// <summary>A fused kernel over memory.</summary>
/// <param name="isDirect">Whether all of it, or a part of whole vectors, runs as one loop.</param>
internal sealed unsafe class BoundKernel(FusedKernel kernel, void** pointers, void* scratch, bool isDirect)
{
    private readonly long[]? slots = isDirect ? kernel.DirectSlots() : null;

    /// <summary>Does units <paramref name="start"/> to <paramref name="end"/>.</summary>
    public void Run(long start, long end)
    {
        if (slots is not null && kernel.TakesDirectly(start, end))
            kernel.InvokeDirectly(pointers, (long*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(slots)), start, end);
        else
            kernel.Invoke(pointers, scratch, start, end);
    }
}
