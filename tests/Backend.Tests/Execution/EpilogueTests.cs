using System.Numerics;
using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>Kernels that run within the product before them: the bits are those of a pass of their own.</summary>
public class EpilogueTests
{
    private readonly Random random = new(23);

    public static TheoryData<SimdPath> Paths => new(Enum.GetValues<SimdPath>().Where(Gemm.IsSupported));

    [Theory]
    [MemberData(nameof(Paths))]
    public void Products_of_singles_run_what_follows(SimdPath path) => RunWhatFollows<float>(DType.F32, (args, pool, epilogue) => Gemm.Multiply(args, pool, path, epilogue));

    [Theory]
    [MemberData(nameof(Paths))]
    public void Products_of_doubles_run_what_follows(SimdPath path) => RunWhatFollows<double>(DType.F64, (args, pool, epilogue) => Gemm.Multiply(args, pool, path, epilogue));

    [Theory]
    [InlineData(DType.F32, 1)]
    [InlineData(DType.F32, 2)]
    [InlineData(DType.F32, 3)]
    [InlineData(DType.F64, 1)]
    [InlineData(DType.F64, 3)]
    public void Plans_have_the_bits_of_a_pass_of_its_own(DType type, int threads)
    {
        var taken = 0;
        for (var round = 0; round < 12; round++)
        {
            // One matrix, or several one after another; sums over none, one and several blocks; rows enough for all threads, or not.
            int[] batch = random.Next(3) == 0 ? [random.Next(1, 4)] : [];
            int[] rows = [.. batch, (random.Next(4) == 0 ? 130 : 2050 * threads) + random.Next(200)];
            var (columns, sum) = (random.Next(4) == 0 ? random.Next(1, 20) : random.Next(70, 200), random.Next(6) switch { 0 => random.Next(2), 1 => random.Next(513, 700), _ => random.Next(2, 70) });
            var (a, b) = (Var([.. rows, sum]), random.Next(2) == 0 ? Var([.. batch, sum, columns]) : Var([.. batch, columns, sum]).SwapAxes(-1, -2));
            if (random.Next(3) == 0)
                a = Var([.. batch, sum, rows[^1]]).SwapAxes(-1, -2);
            var (product, bias, residual) = (a.MatMul(b), Var([columns]), Var([.. rows, columns]));
            var last = random.Next(4) switch
            {
                0 => (product + bias).Relu(),
                1 => (product * 0.125) + residual,
                2 => ((product + bias).Tanh() + residual).Sum(-1),
                _ => (product * bias).Softmax(-1),
            };
            taken += Compare(type, threads, last);
        }

        Assert.InRange(taken, 3, 24);
    }

    [Fact]
    public void What_a_product_still_reads_stays()
    {
        // Every product is needed after what follows it, which so has no place but the memory of what that product reads: all of it for every row.
        var h = Var([4096, 70]).Exp();
        var before = Var([4096, 70]);
        for (var layer = 0; layer < 3; layer++)
        {
            var product = Var([4096, 1]).BroadcastTo(new Shape(4096, 4096)).MatMul(h);
            (h, before) = ((product * 0.01).Tanh() + before.Reverse(0), product);
        }

        Assert.Equal(1, Compare(DType.F32, 2, h));
    }

    [Theory]
    [InlineData(1, 700, 200, true)]
    [InlineData(1, 640, 200, false)]
    [InlineData(1, 1, 200_000, false)]
    [InlineData(2, 4096, 70, true)]
    [InlineData(2, 4095, 70, false)]
    [InlineData(2, 4096, 40, false)]
    public void A_product_is_continued_where_its_result_outgrows_the_cache_and_rows_fill_the_threads(int threads, int rows, int columns, bool expected)
    {
        var y = (Var([rows, 8]).MatMul(Var([8, columns])) + Var([columns])).Relu();
        Assert.Equal(expected ? 1 : 0, Compare(DType.F32, threads, y));

        // Sums over columns are no rows.
        Assert.Equal(0, Compare(DType.F32, threads, (Var([rows, 8]).MatMul(Var([8, columns])) + Var([columns])).Sum(0)));
    }

    private static Expr Var(int[] dims) => Expr.Variable("x", new Shape([.. dims.Select(d => Dim.Of(d))]));

    private static IEnumerable<Expr> Leaves(Expr node) => node.Op is Variable ? [node] : node.Args.SelectMany(Leaves);

    /// <summary>Compares the bits with those of a product that takes no kernel; how many kernels ran within another.</summary>
    private int Compare(DType type, int threads, Expr root)
    {
        var leaves = Leaves(root).Distinct().ToArray();
        var program = new Program([.. leaves.Select((x, i) => new Named($"{i}", x))], [], [new Named("y", root)], []);
        var (session, plain) = (Session(null), Session(new PlainProduct()));
        for (var i = 0; i < leaves.Length; i++)
        {
            var dims = leaves[i].Shape.Evaluate(new Dictionary<string, long>());
            var values = Tensor.Create(Array.ConvertAll(new double[dims.Aggregate(1L, (x, y) => x * y)], _ => random.NextDouble() - 0.5), dims);
            session.SetInput($"{i}", values);
            plain.SetInput($"{i}", values);
        }

        for (var run = 0; run < 2; run++)
        {
            session.Run();
            plain.Run();
            Assert.True(plain.GetOutput(0).BitEquals(session.GetOutput(0)), $"{root}: other bits with {type} and {threads} threads");
        }

        return plain.Profile(1).Count - session.Profile(1).Count;

        Session Session(IMatrixProduct? product)
        {
            var result = new Session(program, new PlanOptions { Float = type, Threads = threads, MatrixProduct = product });
            result.Prepare(new Dictionary<string, long>());
            return result;
        }
    }

    private static unsafe void RunWhatFollows<T>(DType type, Action<MatrixProductArgs<T>, WorkerPool?, Epilogue?> multiply)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        var random = new Random(24);
        using var two = new WorkerPool(2);
        using var three = new WorkerPool(3);
        for (var round = 0; round < 60; round++)
        {
            var product = (round % 6) switch
            {
                0 => Product<T>.Random(random, random.Next(1, 8), random.Next(200, 400), random.Next(300, 600), 1, 1),
                1 => Product<T>.Random(random, random.Next(400, 640), random.Next(1, 40), random.Next(500, 1100), 1, 1),
                2 => Product<T>.Random(random, random.Next(170, 400), random.Next(600, 1300), random.Next(1, 20), 1, 1),
                3 => Product<T>.Random(random, 40, random.Next(30, 60), 50, 3, 5),
                4 => Product<T>.Random(random, random.Next(300, 600), random.Next(60, 100), random.Next(60, 100), 1, 2),
                _ => Product<T>.Random(random, 40),
            };
            var (m, n, count) = (product.M, product.N, product.Batch * product.Inner);
            (product.CRow, product.CInner, product.CBatch) = (n, m * n, product.Inner * m * n);
            var kernel = Kernel(type, (long)count * m, n, random.Next(3) == 0);
            var (isInPlace, isReduced) = (random.Next(2) == 0, kernel.Spec.Reduction != FusedReduction.None);
            var (bias, residual) = (Values(n), Values(count * m * n));
            var (expected, expectedC) = Run(null, isOwn: true);
            foreach (var pool in new[] { null, two, three })
            {
                var (actual, actualC) = Run(pool, isOwn: false);
                Assert.True(expected.AsSpan().SequenceEqual(actual), $"{product}: another result");
                Assert.Equal(expectedC, actualC);
            }

            (T[] Result, T[] C) Run(WorkerPool? pool, bool isOwn)
            {
                var result = new T[(count * m * n) + 1];
                var c = product.Run(args =>
                {
                    fixed (T* b = bias, r = residual, y = result)
                    {
                        void** pointers = stackalloc void*[4] { args.C, b, r, isInPlace && !isReduced ? args.C : y };
                        var bound = new BoundKernel(kernel, pointers, null, kernel.IsDirect(false));
                        multiply(args, pool, isOwn || kernel.Spec.Size == 0 ? null : new Epilogue(bound, args.C, kernel.Spec.Size, isReduced ? kernel.ElementsPerUnit : 1));
                        if (isOwn)
                            bound.Run(0, kernel.Units);
                    }
                });
                return (result, c);
            }

            T[] Values(int size) => [.. Enumerable.Range(0, size + 1).Select(_ => T.CreateChecked(random.NextDouble() - 0.5))];
        }
    }

    /// <summary>max(x + bias, 0)·0.5 + residual, or its sums over rows.</summary>
    private static FusedKernel Kernel(DType type, long rows, long columns, bool isReduced)
    {
        var builder = new FusedKernelBuilder([rows, columns]);
        var (x, bias, residual) = (builder.Input(type), builder.Input(type, [0, 1]), builder.Input(type));
        var shifted = builder.Apply(ElementwiseCode.Relu, builder.Apply(ElementwiseCode.Add, x, bias));
        builder.Output(builder.Apply(ElementwiseCode.Add, builder.Apply(ElementwiseCode.Mul, shifted, builder.Constant(type, 0.5)), residual));
        return FusedKernel.Compile(isReduced ? builder.Build(FusedReduction.Rows, 1) : builder.Build());
    }

    /// <summary>Our products, through an interface that takes no kernels.</summary>
    private sealed class PlainProduct : IMatrixProduct
    {
        public void Multiply(in MatrixProductArgs<float> args) => Gemm.Multiply(args);

        public void Multiply(in MatrixProductArgs<double> args) => Gemm.Multiply(args);
    }
}
