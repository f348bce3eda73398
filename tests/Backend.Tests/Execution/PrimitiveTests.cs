using Dnn.Graph;
using MathNet.Numerics.Providers.LinearAlgebra;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>Every primitive at awkward sizes equals the reference evaluator.</summary>
public class PrimitiveTests
{
    private static readonly int[] Sizes = [0, 1, 3, 17, 64, 100];

    private readonly System.Random random = new(17);
    private readonly Dictionary<Expr, double[]> values = [];

    public static TheoryData<string> Unaries => [.. UnaryOps.Keys];

    public static TheoryData<string> Binaries => [.. BinaryOps.Keys];

    private static Dictionary<string, Func<Expr, Expr>> UnaryOps => new()
    {
        ["neg"] = x => -x,
        ["exp"] = Expr.Exp,
        ["log"] = x => x.Abs().Log(),
        ["log1p"] = x => x.Abs().Log1p(),
        ["expm1"] = x => x.Expm1(),
        ["tanh"] = Expr.Tanh,
        ["logistic"] = x => x.Sigmoid(),
        ["erf"] = x => x.Erf(),
        ["sin"] = Expr.Sin,
        ["cos"] = Expr.Cos,
        ["sqrt"] = x => x.Abs().Sqrt(),
        ["rsqrt"] = x => (x.Abs() + 0.25).Rsqrt(),
        ["abs"] = x => x.Abs(),
        ["relu"] = x => x.Relu(),
        ["sign"] = x => x.Sign(),
        ["floor"] = Expr.Floor,
        ["round"] = Expr.Round,
        ["cast"] = x => x.Cast(DType.I64),
        ["cast_bool"] = x => x.Round().Cast(DType.Bool).Cast(DType.Float) * x,
        ["stop_gradient"] = x => x.StopGradient(),
        ["barrier"] = x => Expr.Make(new Graph.Barrier(new Symbol("b")), x) * 2,
    };

    private static Dictionary<string, Func<Expr, Expr, Expr>> BinaryOps => new()
    {
        ["add"] = (x, y) => x + y,
        ["mul"] = (x, y) => x * y,
        ["div"] = (x, y) => x / (y.Abs() + 0.5),
        ["pow"] = (x, y) => x.Abs().Pow(y),
        ["max"] = Expr.Max,
        ["min"] = Expr.Min,
        ["eq"] = (x, y) => x.Round().EqualTo(y.Round()),
        ["ne"] = (x, y) => x.Round().NotEqualTo(y.Round()),
        ["lt"] = (x, y) => x.LessThan(y),
        ["le"] = (x, y) => x.Round().LessOrEqual(y.Round()),
        ["gt"] = (x, y) => x.GreaterThan(y),
        ["ge"] = (x, y) => x.Round().GreaterOrEqual(y.Round()),
        ["and"] = (x, y) => x.LessThan(0).And(y.LessThan(0)),
        ["or"] = (x, y) => x.LessThan(0).Or(y.LessThan(0)).Not(),
        ["select"] = (x, y) => Expr.Where(x.LessThan(y), x, y * 2),
    };

    [Theory]
    [MemberData(nameof(Unaries))]
    public void Unary_operations(string name)
    {
        foreach (var n in Sizes)
        {
            var x = Var("x", n, 3);
            Check(UnaryOps[name](x));
        }
    }

    [Theory]
    [MemberData(nameof(Binaries))]
    public void Binary_operations(string name)
    {
        foreach (var n in Sizes)
        {
            var (x, y, z) = (Var("x", n, 5), Var("y", n, 5), Var("z", 5));
            Check(BinaryOps[name](x, y), BinaryOps[name](x, z), BinaryOps[name](z.Sum(), x));
        }
    }

    [Fact]
    public void Integers()
    {
        var (x, y) = (Var("x", DType.I64, 7, 3), Var("y", DType.I64, 7, 3));
        Check(x + y, x * y, -x, x.Abs(), x.Sign(), x.Max(y), x.Min(y), x.LessThan(y), x.Sum(), x.Sum(0), x.Sum(1), x.Cast(DType.Float) * 0.5, x.Cast(DType.Bool));
    }

    [Fact]
    public void Special_values_propagate()
    {
        var x = Expr.Variable("x", new Shape(6));
        var y = Expr.Variable("y", new Shape(6));
        values[x] = [double.NaN, double.PositiveInfinity, double.NegativeInfinity, 0, -0.0, 1];
        values[y] = [1, double.NaN, double.PositiveInfinity, double.NegativeInfinity, 0, double.NaN];
        Check(
            x + y, x * y, x / y, x.Max(y), x.Min(y), x.Exp(), x.Log(), x.Tanh(), x.Sigmoid(), x.Sqrt(), x.Abs(), x.Relu(), x.Sign(), x.Floor(), x.LessThan(y), x.NotEqualTo(y),
            x.EqualTo(y), x.Expm1(), x.Log1p(), x.Erf(), x.Rsqrt(), x.ReduceMax(), x.ReduceMin(), x.Sum(), x.ArgMax(), x.Round(), x.Sin(), x.Cos(), x.Pow(2));
    }

    [Fact]
    public void Reductions_over_all_choices_of_axes()
    {
        foreach (var n in Sizes)
        {
            var x = Var("x", n, 4, 17);
            foreach (int[] axes in new int[][] { [0], [1], [2], [0, 1], [1, 2], [0, 2], [0, 1, 2] })
            {
                Check([x.Sum(axes), (x * x).Sum(axes), x.ReduceMax(axes), x.ReduceMin(axes), x.Mean(axes)], [x.Abs().Sum(axes), (x * x).Sum(axes), x.ReduceMax(axes), x.ReduceMin(axes), x.Abs().Mean(axes)]);
                Check([x.Transpose(2, 0, 1).Exp().Sum(axes)], [x.Transpose(2, 0, 1).Exp().Sum(axes)]);
            }
        }
    }

    [Fact]
    public void Long_reductions()
    {
        var x = Var("x", 3, 20011);
        Check([x.Sum(), x.Sum(0), x.Sum(1), x.ReduceMax(1)], [x.Abs().Sum(), x.Abs().Sum(0), x.Abs().Sum(1), x.ReduceMax(1)]);
    }

    [Fact]
    public void Layout_operations()
    {
        foreach (var n in Sizes)
        {
            var x = Var("x", n, 3, 5);
            var t = x.Transpose(2, 0, 1);
            Check(
                t, t * 2, x.Transpose(1, 0, 2), t.Reshape(new Shape(5, n * 3)), t.Reshape(new Shape(5 * n, 3)) + 1, x.Reshape(new Shape(n * 15)),
                x.Reverse(0), x.Reverse([1, 2]) + x, x.Reverse([0, 2]).Reshape(new Shape(n * 15)), x.SliceAxis(1, 1, 3), x.SliceAxis(2, 0, 5, 2) * 2, x.SliceAxis(0, n / 2, n),
                x.SliceAxis(2, 1, 4).Reshape(new Shape(n * 9)), x.Sum(1).BroadcastTo(new Shape(2, n, 5)), x.Sum([0, 1]).BroadcastTo(new Shape(n, 5)).Transpose(),
                Expr.Concat(0, x, x), Expr.Concat(1, x, x.SliceAxis(1, 0, 1), x), Expr.Concat(2, x.Reverse(2), x), Expr.Concat(0, t, t.Exp()));
        }
    }

    [Fact]
    public void Padding()
    {
        foreach (var n in new[] { 0, 1, 3, 17 })
        {
            var x = Var("x", n, 4);
            foreach (var (low, high, interior) in new[] { (1, 2, 0), (0, 0, 2), (-1, 3, 1), (2, -1, 1), (-1, -1, 0), (3, -2, 2) })
            {
                var size = Math.Max(0, n + (Math.Max(0, n - 1) * interior));
                if (size + low + high < 0)
                    continue;
                Check(
                    Expr.Make(new Pad(new Shape(low, 0), new Shape(high, 1), [interior, 0]), x),
                    Expr.Make(new Pad(new Shape(0, low), new Shape(0, high), [0, interior]), x.Transpose(1, 0)));
            }
        }
    }

    [Fact]
    public void Products()
    {
        foreach (var (m, n, k) in new[] { (1, 1, 1), (3, 5, 7), (17, 64, 33), (0, 3, 4), (3, 0, 4), (3, 4, 0), (64, 100, 64), (1, 100, 17), (100, 1, 17), (70, 90, 80) })
        {
            var (x, y) = (Var("x", m, k), Var("y", k, n));
            var (xt, yt) = (Var("xt", k, m), Var("yt", n, k));
            CheckProducts((a, b) => a.MatMul(b), x, y);
            CheckProducts((a, b) => a.Transpose().MatMul(b), xt, y);
            CheckProducts((a, b) => a.MatMul(b.Transpose()), x, yt);
            CheckProducts((a, b) => a.Transpose().MatMul(b.Transpose()), xt, yt);
            CheckProducts((a, b) => a.Reverse(0).MatMul(b.Reverse([0, 1])), x, y);
        }
    }

    [Fact]
    public void Every_product_goes_through_the_chosen_provider()
    {
        var product = new MathNetMatrixProduct(LinearAlgebraControl.Provider);
        var (x, y) = (Var("x", 6, 4, 5), Var("y", 6, 5, 3));
        var tensors = values.ToDictionary(v => v.Key, v => Compare.ToTensor(v.Key, v.Value, new Dictionary<string, long>()));
        Evaluator.Evaluate([x.MatMul(y), x.Reshape(new Shape(24, 5)).MatMul(Expr.Full(new Shape(5, 2), 1))], tensors, new PlanOptions { MatrixProduct = product });
        Assert.Equal(6 + 1, product.Calls);
    }

    [Fact]
    public void General_products()
    {
        var (x, y) = (Var("x", 2, 3, 4, 5), Var("y", 3, 5, 2, 4));
        CheckProducts((a, b) => Dot(a, b, [], [], [0, 2], [2, 3]), x, y);
        CheckProducts((a, b) => Dot(a, b, [], [], [3, 2], [1, 3]), x, y);
        CheckProducts((a, b) => Dot(a, b, [0, 1], [2, 0], [3], [1]), x, y);
        CheckProducts((a, b) => Dot(a, b, [1, 0], [0, 2], [2, 3], [3, 1]), x, y);
        CheckProducts((a, b) => Dot(a, b, [1, 0, 2], [0, 2, 3], [3], [1]), x, y);
        CheckProducts((a, b) => Dot(a, b, [3], [1], [], []), x, y);
        CheckProducts((a, b) => Dot(a, b, [], [], [], []), Var("u", 3), Var("v", 4));
        CheckProducts((a, b) => Dot(a, b, [0], [0], [], []), Var("u", 3), Var("v", 3));
        CheckProducts((a, b) => Dot(a.Transpose(2, 0, 3, 1), b, [], [], [1, 3], [2, 0]), x, y);
        CheckProducts((a, b) => Dot(a.SliceAxis(3, 1, 4, 2), b.SliceAxis(1, 0, 5, 3), [], [], [3, 0], [1, 2]), x, y);
        CheckProducts((a, b) => a.MatMul(b), Var("q", 2, 3, 7, 5), Var("k", 5, 6));
        CheckProducts((a, b) => a.MatMul(b.BroadcastTo(new Shape(2, 3, 5, 6))), Var("q", 2, 3, 7, 5), Var("k", 5, 6));
        CheckProducts((a, b) => a.Transpose(0, 2, 1, 3).MatMul(b.Transpose(0, 2, 3, 1)), Var("q", 2, 7, 3, 5), Var("k", 2, 6, 3, 5));
    }

    [Fact]
    public void Products_are_written_in_the_order_that_a_transposition_wants()
    {
        var (q, v) = (Var("q", 2, 3, 7, 5), Var("v", 2, 3, 5, 4));
        foreach (int[] order in new int[][] { [0, 2, 1, 3], [0, 1, 3, 2], [3, 0, 1, 2], [2, 3, 0, 1], [1, 0, 2, 3], [3, 2, 1, 0] })
        {
            CheckProducts((a, b) => a.MatMul(b).Transpose(order), q, v);
            CheckProducts((a, b) => a.MatMul(b).Transpose(order).Reshape(new Shape(2 * 3 * 7 * 4)) + 1, q, v);
        }

        CheckProducts((a, b) => a.MatMul(b).Transpose(0, 1, 3, 2).Transpose(0, 3, 1, 2).Reshape(new Shape(14, 12)), q, v);
        CheckProducts((a, b) => a.MatMul(b).Transpose(0, 1, 3, 2).Transpose(1, 0, 2, 3) + a.Sum(), q, v);
        var attention = q.MatMul(v).Transpose(0, 1, 3, 2).Transpose(0, 3, 1, 2).Reshape(new Shape(14, 12)).MatMul(Var("w", 12, 6));
        var program = new Program([.. values.Keys.Select((k, i) => new Named($"{i}", k))], [], [new Named("y", attention)], []);
        Assert.Equal(2, Plan.Compile(program, new Dictionary<string, long>()).KernelCount);
    }

    [Fact]
    public void Indexing()
    {
        foreach (var n in new[] { 1, 3, 17 })
        {
            var table = Var("table", 4, n, 3);
            var index = Expr.Variable("index", new Shape(2, 5), DType.I64);
            values[index] = [.. Enumerable.Range(0, 10).Select(_ => (double)random.Next(4))];
            var batched = Expr.Variable("batched", new Shape(4, 6), DType.I64);
            values[batched] = [.. Enumerable.Range(0, 24).Select(_ => (double)random.Next(n))];
            var (a, b, c) = (table.Take(index), Expr.Make(new Gather(1, 1), table, batched), Expr.Make(new Gather(1, 0), table.Transpose(1, 0, 2), index));
            Check(a, b, c);
            var (u, v) = (Var("u", 2, 5, n, 3), Var("v", 4, 6, 3));
            var sums = new[] { Expr.Make(new ScatterAdd(0, 0, 4), index, u), Expr.Make(new ScatterAdd(1, 1, n), batched, v) };
            var bounds = new[] { Expr.Make(new ScatterAdd(0, 0, 4), index, u.Abs()), Expr.Make(new ScatterAdd(1, 1, n), batched, v.Abs()) };
            Check(sums, bounds);
        }
    }

    [Fact]
    public void Scattering_much_has_the_same_bits_at_any_number_of_threads()
    {
        var index = Expr.Variable("index", new Shape(500), DType.I64);
        values[index] = [.. Enumerable.Range(0, 500).Select(_ => (double)random.Next(50))];
        var u = Var("u", 500, 200);
        Check([Expr.Make(new ScatterAdd(0, 0, 50), index, u)], [Expr.Make(new ScatterAdd(0, 0, 50), index, u.Abs())]);
    }

    [Fact]
    public void Positions_of_maxima()
    {
        foreach (var n in new[] { 1, 3, 17, 100 })
        {
            var x = Var("x", 5, n, 3);
            Check(x.Round().ArgMax(1), x.Round().Transpose(0, 2, 1).ArgMax(2), x.ArgMax(0));
        }
    }

    [Fact]
    public void Leaves()
    {
        var key = Expr.Variable("key", Shape.Scalar, DType.I64);
        values[key] = [12345678901];
        var fold = Expr.Make(new RngFold(), key, Expr.Scalar(7, DType.I64));
        var bits = Expr.Make(new RngBits(new Shape(5, 33)), fold);
        var b = Var("x", 4).Sum();
        Check(
            Expr.Scalar(3.5), Expr.Vector(1, 2, 3), Expr.Vector(1, 2, 3) * b, Expr.Iota(new Shape(3, 4), 1), Expr.Iota(new Shape(3, 4), 0).Transpose(), Expr.Iota(new Shape(100), 0).Cast(DType.Float) * b,
            Expr.Full(new Shape(2, 3), 7), fold, bits, bits.Cast(DType.Float) * Math.Pow(2, -24), Expr.Make(new RngBits(new Shape(7)), key), Expr.Make(new RngBits(new Shape(7)), Expr.Scalar(5, DType.I64)),
            bits.Cast(DType.Float).Sum(0), Expr.Iota(new Shape(3, 4), 1).Sum(0), Expr.Full(new Shape(2, 3), 7).Sum(1), Expr.Vector(1, 2).Reverse(0).MatMul(Expr.Full(new Shape(2, 3), 2)));
    }

    [Fact]
    public void Named_sizes()
    {
        var n = Dim.Named("N");
        var x = Expr.Variable("x", new Shape(n, 3));
        values[x] = Draw(15);
        WithSizes([x.Mean(0), x.Mean(), Expr.Size(n), Expr.Iota(new Shape(n, n), 0), x.Transpose().MatMul(x) / Expr.Size(n)], 5, 64);
    }

    [Fact]
    public void Explicit_float_types()
    {
        var x = Var("x", DType.F64, 9);
        var y = Var("y", DType.F32, 9);
        Compare.WithReference([x.Exp(), x.Sum(), y * 2], values, tolerance: 1e9);
        var actual = Evaluator.Evaluate([x.Exp(), y * 2, x.Cast(DType.F32)], values.ToDictionary(v => v.Key, v => Compare.ToTensor(v.Key, v.Value, new Dictionary<string, long>())));
        Assert.Equal([DType.F64, DType.F32, DType.F32], actual.Select(a => a.DType));
    }

    private static Expr Dot(Expr x, Expr y, int[] leftBatch, int[] rightBatch, int[] leftContract, int[] rightContract) =>
        Expr.Make(new DotGeneral(leftBatch.ToValueList(), rightBatch.ToValueList(), leftContract.ToValueList(), rightContract.ToValueList()), x, y);

    private Expr Var(string name, params int[] dims) => Var(name, DType.Float, dims);

    private Expr Var(string name, DType type, params int[] dims)
    {
        var x = Expr.Variable(name, new Shape([.. dims.Select(d => Dim.Of(d))]), type);
        values[x] = type.IsFloat() ? Draw(dims.Aggregate(1, (a, b) => a * b)) : [.. Draw(dims.Aggregate(1, (a, b) => a * b)).Select(v => Math.Round(v * 3))];
        return x;
    }

    /// <summary>Numbers that float32 has exactly.</summary>
    private double[] Draw(int count) => [.. Enumerable.Range(0, count).Select(_ => (double)(float)((random.NextDouble() * 6) - 3))];

    private void CheckProducts(Func<Expr, Expr, Expr> product, Expr x, Expr y) => Check([product(x, y)], [product(x.Abs(), y.Abs())]);

    private void Check(params Expr[] roots) => Check(roots, null);

    private void Check(Expr[] roots, Expr[]? scales) => Compare.WithReference(roots, values, null, scales, scales is null ? 8 : 128);

    private void WithSizes(Expr[] roots, long n, double tolerance) => Compare.WithReference(roots, values, new Dictionary<string, long> { ["N"] = n }, null, tolerance);
}
