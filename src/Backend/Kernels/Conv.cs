using System.Runtime.CompilerServices;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>
/// A convolution as products over memory that is padded already: windows overlap, so rows of A do too, and nothing is unfolded. Weight gradients are the
/// same with A transposed. Where each channel is by itself, the channels are the columns of one product by columns.
/// </summary>
/// <param name="Product">The product of one group.</param>
/// <param name="Groups">Parts of the channels.</param>
internal sealed record ConvPlan(OverlappedPlan Product, ProductAxis Groups)
{
    public long Flops => Groups.Size * Product.Flops;

    /// <summary>Elements of the kernel in packed panels; 0 where it is not packed before.</summary>
    public long PackedCount(DType type) => Product.IsByColumn || Product.Depth == 0 || !Product.IsPackedOnce(FusedKernelSpec.SizeOf(type))
        ? 0
        : Groups.Size * Product.Depth * Products.Of(type).PaddedColumns(Product);

    public string Text => $"{Product.UnitCount} of {Product.RowBlock} x {Product.Columns} x {Product.Depth}{(Groups.Size == 1 ? "" : $", {Groups.Size} groups")}";
}

/// <summary>The kernel of a convolution in packed panels.</summary>
internal sealed class PackInstruction(DType type, ConvPlan plan, Operand kernel, Operand target) : Instruction(-1, [kernel, target], 1)
{
    public override string Name => $"pack {plan.Product.Depth} x {plan.Product.Columns}";

    public override unsafe Step Bind(void** pointers, Engine engine) => type == DType.F32
        ? new PackStep<float>((float*)pointers[0], (float*)pointers[1], plan, engine.Pool)
        : new PackStep<double>((double*)pointers[0], (double*)pointers[1], plan, engine.Pool);

    /// <summary>A unit is a panel of a group.</summary>
    private sealed unsafe class PackStep<T>(T* kernel, T* target, ConvPlan plan, WorkerPool pool)
        : RangeStep(pool, plan.Groups.Size * Products.Of<T>().Panels(plan.Product), 1, plan.Groups.Size * plan.Product.Depth * plan.Product.Columns * 0.3)
        where T : unmanaged
    {
        private readonly IProducts<T> products = Products.Of<T>();

        protected override void Run(long start, long end)
        {
            var panels = products.Panels(plan.Product);
            var size = plan.Product.Depth * products.PaddedColumns(plan.Product);
            while (start < end)
            {
                var (group, first) = Math.DivRem(start, panels);
                var last = Math.Min(panels, first + end - start);
                products.Pack(plan.Product, kernel + (group * plan.Groups.B), target + (group * size), (int)first, (int)last);
                start += last - first;
            }
        }
    }
}

/// <summary>A convolution; the kernel as it is, or packed.</summary>
internal sealed class ConvInstruction(int node, DType type, ConvPlan plan, bool isPacked, Operand input, Operand kernel, Operand target)
    : Instruction(node, [input, kernel, target], 2)
{
    public override string Name => $"conv {plan.Text}";

    public override long Flops => plan.Flops;

    public override unsafe Step Bind(void** pointers, Engine engine) => type == DType.F32
        ? new ProductStep<float>((float*)pointers[0], (float*)pointers[1], (float*)pointers[2], plan, isPacked, engine.Pool)
        : new ProductStep<double>((double*)pointers[0], (double*)pointers[1], (double*)pointers[2], plan, isPacked, engine.Pool);

    /// <summary>A unit is some rows of one group with some of its panels: all rows with the first panels, then all with the next, so that threads share panels out evenly.</summary>
    private sealed unsafe class ProductStep<T>(T* input, T* kernel, T* target, ConvPlan plan, bool isPacked, WorkerPool pool)
        : RangeStep(pool, plan.Groups.Size * plan.Product.UnitCount * Slices(plan, pool), 1, plan.Flops * 0.012)
        where T : unmanaged
    {
        private readonly IProducts<T> products = Products.Of<T>();
        private readonly long slices = Slices(plan, pool);
        private Epilogue? epilogue;

        public override bool TryContinue(Epilogue epilogue)
        {
            if (slices > 1 || plan.Groups.Size > 1 || plan.Product.Rows.C != plan.Product.Columns || !epilogue.Divides(plan.Product.Columns))
                return false;
            this.epilogue = epilogue;
            return true;
        }

        protected override void Run(long start, long end)
        {
            var product = plan.Product;
            var panels = products.Panels(product);
            var packedSize = product.Depth * products.PaddedColumns(product);
            while (start < end)
            {
                var (rest, first) = Math.DivRem(start, product.UnitCount);
                var (slice, group) = Math.DivRem(rest, plan.Groups.Size);

                // As many units at a time, as far as their results stay in the cache.
                var count = Math.Min(end - start, product.UnitCount - first);
                var last = first + OverlappedPlan.Even(count, product.UnitBlock(sizeof(T)));
                start += last - first;
                products.Run(
                    product,
                    input + (group * plan.Groups.A), kernel + (isPacked ? group * packedSize : group * plan.Groups.B), target + (group * plan.Groups.C), isPacked,
                    first, last, (int)(panels * slice / slices), (int)(panels * (slice + 1) / slices));
                while (epilogue is not null && first < last)
                {
                    // Units are next to one another, but for the axes of an odd layout.
                    var (_, from, rows) = product.UnitAt(first++);
                    var to = from + ((long)rows * product.Columns);
                    for (; first < last && product.UnitAt(first) is var (_, next, more) && next == to; first++)
                        to += (long)more * product.Columns;
                    epilogue.Run(from, to);
                }
            }
        }

        /// <summary>Parts of the columns, where rows do not fill the threads to within an eighth.</summary>
        private static long Slices(ConvPlan plan, WorkerPool pool)
        {
            var units = plan.Groups.Size * plan.Product.UnitCount;
            var isFilled = units * 8 >= OverlappedPlan.Ceiling(units, pool.Threads) * pool.Threads * 7;
            return isFilled ? 1 : Math.Max(1, Math.Min(pool.Threads, Products.Of<T>().Panels(plan.Product)));
        }
    }
}
