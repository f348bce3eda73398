using System.Numerics;
using System.Runtime.CompilerServices;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>
/// A convolution as matrix products over memory that is padded already. Windows overlap, so rows of A do too: a row is the next one moved by
/// stride · channels elements, and a line of the kernel with its channels is one stretch of the sum. Nothing is copied; further
/// sums accumulate. Weight gradients are the same with A transposed.
/// </summary>
/// <param name="Rows">The axis of M.</param>
/// <param name="Inner">The axis of K.</param>
/// <param name="Units">Axes of the result beside rows, columns and groups.</param>
/// <param name="Sums">Further axes that are summed over, accumulated in order.</param>
/// <param name="Groups">Parts of the channels.</param>
/// <param name="Filters">Columns: the channels of the result in a group.</param>
/// <param name="RowBlock">Rows of a unit of work.</param>
internal sealed record ConvPlan(ProductAxis Rows, ProductAxis Inner, ProductAxis[] Units, ProductAxis[] Sums, ProductAxis Groups, int Filters, int RowBlock)
{
    /// <summary>Rows of A that stay in the first-level cache beside the kernel.</summary>
    private const int LargestBlock = 112;

    /// <summary>Rows along the image are worth more than longer columns across images from here on.</summary>
    private const int EnoughRows = 12;

    /// <summary>Each channel by itself, all strides 1: vectors of channels.</summary>
    public bool IsDepthwise => Filters == 1 && Groups is { Size: > 1, A: 1, B: 1, C: 1 };

    public long Blocks => (Rows.Size + RowBlock - 1) / RowBlock;

    public long Flops => 2 * Sums.Concat(Units).Aggregate(Rows.Size * Inner.Size * Groups.Size * Filters, (product, axis) => product * axis.Size);

    public static ConvPlan Make(IEnumerable<ProductAxis> rows, IReadOnlyList<ProductAxis> sums, ProductAxis groups, int filters)
    {
        var units = Merge(rows);
        var row = units.Count == 0 ? -1 : units[^1].Size >= EnoughRows ? units.Count - 1 : units.FindIndex(a => a.Size == units.Max(b => b.Size));
        var m = Take(units, row);
        var inner = new ProductAxis(0, 0, 0, 0);
        List<ProductAxis> rest = [];
        if (sums.All(a => a.Size > 0))
        {
            rest = Merge(sums);
            inner = Take(rest, rest.FindLastIndex(a => a.Size == rest.Max(b => b.Size)));
        }

        var blocks = (m.Size + LargestBlock - 1) / LargestBlock;
        return new ConvPlan(m, inner, [.. units], [.. rest], groups, filters, (int)((m.Size + blocks - 1) / blocks));
    }

    private static ProductAxis Take(List<ProductAxis> axes, int at)
    {
        if (at < 0)
            return new ProductAxis(1, 0, 0, 0);
        var axis = axes[at];
        axes.RemoveAt(at);
        return axis;
    }

    /// <summary>Axes by falling strides in A; those that walk as one are one.</summary>
    private static List<ProductAxis> Merge(IEnumerable<ProductAxis> axes)
    {
        var result = new List<ProductAxis>();
        foreach (var axis in axes.Where(a => a.Size != 1).OrderByDescending(a => a.A))
        {
            if (result.Count > 0 && result[^1] is var last && last.Size * axis.Size <= int.MaxValue && last.A == axis.A * axis.Size && last.B == axis.B * axis.Size && last.C == axis.C * axis.Size)
                result[^1] = axis with { Size = last.Size * axis.Size };
            else
                result.Add(axis);
        }

        return result;
    }
}

/// <summary>A convolution.</summary>
internal sealed class ConvInstruction(int node, DType type, ConvPlan plan, Operand input, Operand kernel, Operand target) : Instruction(node, [input, kernel, target], 2)
{
    public override string Name =>
        $"conv {Sizes(plan.Units.Select(u => u.Size))} of {plan.Rows.Size} x {plan.Filters} x {plan.Inner.Size}, {Sizes(plan.Sums.Select(s => s.Size))} sums, {plan.Groups.Size} groups";

    public override long Flops => plan.Flops;

    public override unsafe Step Bind(void** pointers, Engine engine) => type == DType.F32
        ? new ConvStep<float>((float*)pointers[0], (float*)pointers[1], (float*)pointers[2], plan, engine.Pool)
        : new ConvStep<double>((double*)pointers[0], (double*)pointers[1], (double*)pointers[2], plan, engine.Pool);

    /// <summary>A unit is a block of rows of one group, or, depthwise, of all.</summary>
    private sealed unsafe class ConvStep<T>(T* input, T* kernel, T* target, ConvPlan plan, WorkerPool pool)
        : RangeStep(pool, Count(plan), 1, plan.Flops * (plan.IsDepthwise ? 0.1 : 0.02))
        where T : unmanaged, INumberBase<T>
    {
        private readonly long sums = plan.Sums.Aggregate(1L, (product, axis) => product * axis.Size);

        protected override void Run(long start, long end)
        {
            for (var unit = start; unit < end; unit++)
            {
                var (rest, block) = Math.DivRem(unit, plan.Blocks);
                var first = block * plan.RowBlock;
                var (a, b, c) = (first * plan.Rows.A, 0L, first * plan.Rows.C);
                if (!plan.IsDepthwise)
                {
                    (rest, var group) = Math.DivRem(rest, plan.Groups.Size);
                    (a, b, c) = (a + (group * plan.Groups.A), group * plan.Groups.B, c + (group * plan.Groups.C));
                }

                for (var i = plan.Units.Length - 1; i >= 0; i--)
                {
                    ref readonly var axis = ref plan.Units[i];
                    (rest, var at) = Math.DivRem(rest, axis.Size);
                    (a, c) = (a + (at * axis.A), c + (at * axis.C));
                }

                var rows = (int)Math.Min(plan.RowBlock, plan.Rows.Size - first);
                if (plan.IsDepthwise)
                    Channels(rows, input + a, kernel, target + c);
                else
                    Product(rows, input + a, kernel + b, target + c);
            }
        }

        private static long Count(ConvPlan plan) =>
            plan.Units.Aggregate(plan.Blocks * (plan.IsDepthwise ? 1 : plan.Groups.Size), (product, axis) => product * axis.Size);

        /// <summary>The offsets of one of the further sums.</summary>
        private (long A, long B) Locate(long index)
        {
            var (a, b) = (0L, 0L);
            for (var i = plan.Sums.Length - 1; i >= 0; i--)
            {
                ref readonly var axis = ref plan.Sums[i];
                (index, var at) = Math.DivRem(index, axis.Size);
                (a, b) = (a + (at * axis.A), b + (at * axis.B));
            }

            return (a, b);
        }

        private void Product(int rows, T* a, T* b, T* c)
        {
            for (var sum = 0L; sum < sums; sum++)
            {
                var (x, w) = Locate(sum);
                var args = new MatrixProductArgs<T>(rows, plan.Filters, (int)plan.Inner.Size, a + x, b + w, c)
                {
                    ARow = (nint)plan.Rows.A,
                    ACol = (nint)plan.Inner.A,
                    BRow = (nint)plan.Inner.B,
                    CRow = rows == 1 ? plan.Filters : (nint)plan.Rows.C,
                    Accumulate = sum > 0,
                };
                if (typeof(T) == typeof(float))
                    Gemm.Multiply(Unsafe.As<MatrixProductArgs<T>, MatrixProductArgs<float>>(ref args));
                else
                    Gemm.Multiply(Unsafe.As<MatrixProductArgs<T>, MatrixProductArgs<double>>(ref args));
            }
        }

        private void Channels(int rows, T* a, T* b, T* c)
        {
            var channels = plan.Groups.Size;
            for (var row = 0; row < rows; row++, a += plan.Rows.A, c += plan.Rows.C)
            {
                new Span<T>(c, (int)channels).Clear();
                for (var sum = 0L; sum < sums; sum++)
                {
                    var (x, w) = Locate(sum);
                    for (var k = 0L; k < plan.Inner.Size; k++)
                        MultiplyAdd(a + x + (k * plan.Inner.A), b + w + (k * plan.Inner.B), c, channels);
                }
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void MultiplyAdd(T* x, T* w, T* to, long count)
        {
            var i = 0L;
            for (; i + Vector<T>.Count <= count; i += Vector<T>.Count)
                ((Vector.Load(x + i) * Vector.Load(w + i)) + Vector.Load(to + i)).Store(to + i);
            for (; i < count; i++)
                to[i] += x[i] * w[i];
        }
    }
}
