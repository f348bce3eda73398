using Dnn.Checking;
using Xunit;

namespace Dnn.Graph.Tests;

/// <summary>A gradient checker is worth what it finds: derivatives that are wrong on purpose must be found and blamed.</summary>
public class GradientCheckerTests
{
    private static readonly Op Dot = new DotGeneral([], [], [1], [0]);
    private static readonly Op Cycle = new Transpose([1, 2, 0]);

    /// <summary>An operation with another's derivative.</summary>
    private sealed record Broken(Op Inner, Func<Expr, Expr, Expr?[]> Wrong) : Op
    {
        public override string Name => Inner.Name;

        public override OpDoc Doc => Inner.Doc;

        public override TensorType Infer(ReadOnlySpan<TensorType> args) => Inner.Infer(args);

        public override Expr Batched(BatchedArgs args) => Expr.Make(this, args.All);

        public override Expr?[] Vjp(Expr node, Expr cotangent) => Wrong(node, cotangent);

        public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context) => Inner.Evaluate<T, TField>(node, args, context);
    }

    public static TheoryData<string, Op, Func<Expr, Expr, Expr?[]>> Faults { get; } = new()
    {
        { "tanh without the square", new Tanh(), (y, c) => [c * (1 - y)] },
        { "square without the factor 2", new Mul(), (y, c) => [c * y.Args[0], null] },
        { "cos with the wrong sign", new Cos(), (y, c) => [c * y.Args[0].Sin()] },
        { "exp that forgets what comes after", new Exp(), (y, _) => [y] },
        { "sigmoid without 1 − y", new Logistic(), (y, c) => [c * y] },
        { "log divided by its result", new Log(), (y, c) => [c / y] },
        { "pow with the exponent as it was", new Pow(), (y, c) => [c * y.Args[1] * y, c * y * y.Args[0].Log()] },
        { "quotient with the wrong sign", new Div(), (y, c) => [c / y.Args[1], c * y / y.Args[1]] },
        { "relu as if it were abs", new Relu(), (y, c) => [c * y.Args[0].Sign()] },
        { "maximum to the smaller", new Max(), (y, c) => [Expr.Where(y.Args[0].LessThan(y.Args[1]), c, 0), Expr.Where(y.Args[1].LessThan(y.Args[0]), c, 0)] },
        { "erf without 2/√π", new Erf(), (y, c) => [c * (-y.Args[0].Square()).Exp()] },
        { "product that sees one factor", new Mul(), (y, c) => [c * y.Args[1], null] },
        { "select with the branches swapped", new Select(), (y, c) => [null, Expr.Where(y.Args[0], 0, c), Expr.Where(y.Args[0], c, 0)] },
        { "sum as if it were a mean", new Sum([1]), (y, c) => [Stretch(c / 3, y)] },
        { "maximum without sharing of ties", new ReduceMax([1]), (y, c) => [y.Args[0].EqualTo(Stretch(y, y)).Cast(DType.Float) * Stretch(c, y)] },
        { "broadcast without the sum", new Broadcast(new Shape(2, 3, 3), [1, 2]), (_, c) => [c] },
        { "matrix product with a transpose too few", Dot, (y, c) => [c.MatMul(y.Args[1]), y.Args[0].Transpose().MatMul(c)] },
        { "transpose that is not inverted", Cycle, (_, c) => [Expr.Make(Cycle, c)] },
        { "reverse that is not reversed", new Reverse([0]), (_, c) => [c] },
        { "slice off by one", new Slice(new Shape(1, 0), new Shape(2, 3), [1, 1]), (_, c) => [Expr.Make(new Pad(new Shape(2, 0), new Shape(0, 0), [0, 0]), c)] },
        { "pad that cuts the wrong end", new Pad(new Shape(1, 0), new Shape(0, 0), [0, 0]), (_, c) => [Expr.Make(new Pad(new Shape(0, 0), new Shape(-1, 0), [0, 0]), c)] },
        { "concat with the parts exchanged", new Concat(0), (_, c) => [c.SliceAxis(0, 3, 6), c.SliceAxis(0, 0, 3)] },
        { "gather that sends to the wrong row", new Gather(0, 0), (y, c) => [Expr.Make(new ScatterAdd(0, 0, 3), 2 - y.Args[1], c), null] },
        { "scatter that takes from the wrong row", new ScatterAdd(0, 0, 3), (y, c) => [null, Expr.Make(new Gather(0, 0), c, 2 - y.Args[0])] },
    };

    [Theory]
    [MemberData(nameof(Faults))]
    public void A_wrong_derivative_is_found_and_blamed(string fault, Op op, Func<Expr, Expr, Expr?[]> wrong)
    {
        var broken = Use(new Broken(op, wrong), out var x, out var point);
        var report = GradientChecker.Check(broken, [x], point);
        Assert.False(report.Passed, fault);
        Assert.True(report.Blame?.Op is Broken, $"{fault}: {report}");
        Assert.Contains($"derivative of {op.Name}", report.ToString(), StringComparison.Ordinal);

        var right = GradientChecker.Check(Use(op, out x, out point), [x], point, new GradientCheckOptions(Order: 2));
        Assert.True(right.Passed, report.ToString());
    }

    [Fact]
    public void A_value_that_is_not_finite_is_blamed_before_any_derivative()
    {
        var x = Expr.Variable("x", new Shape(2));
        var log = (x - 1).Log();
        var report = GradientChecker.Check(log.Exp().Sum() + log.Sum(), [x], new Dictionary<Expr, RefValue<double>> { [x] = RefValue<double>.Of([2], [0.5, 2.0]) });
        Assert.Same(log, report.Blame);
    }

    [Fact]
    public void A_kink_is_no_answer_for_differences_and_the_convention_for_the_rest()
    {
        var x = Expr.Variable("x", new Shape(2));
        var report = GradientChecker.Check((x.Relu() + x.Abs()).Sum(), [x], new Dictionary<Expr, RefValue<double>> { [x] = RefValue<double>.Of([2], [0.0, 0.5]) });
        Assert.True(report.Passed, report.ToString());
        Assert.Equal(1, report.Skipped);
    }

    [Fact]
    public void Every_oracle_answers()
    {
        var x = Expr.Variable("x", new Shape(3));
        var report = GradientChecker.Check((x.Tanh() * x.Exp()).Sum(), [x], new Dictionary<Expr, RefValue<double>> { [x] = RefValue<double>.Of([3], [0.3, -0.7, 1.1]) });
        Assert.True(report.Passed, report.ToString());
        Assert.Equal(0, report.Skipped);

        // Four operations, one of them with two arguments; complex step, differences, forward mode, the adjoint identity; a Jacobian of three.
        Assert.Equal(5 + 4 + 3, report.Checks);
    }

    private static Expr Stretch(Expr reduced, Expr y) => Expr.Make(new Broadcast(y.Args[0].Shape, [0]), reduced);

    /// <summary>The operation between others, on arguments that fit it.</summary>
    private static Expr Use(Op op, out Expr x, out Dictionary<Expr, RefValue<double>> point)
    {
        var inner = op is Broken broken ? broken.Inner : op;
        x = Expr.Variable("x", new Shape(3, 3));
        point = new() { [x] = RefValue<double>.Of([3, 3], [0.3, 0.9, 1.4, -0.6, 0.45, 0.8, 1.1, -0.35, 0.7]) };
        var (a, b) = ((x * 1.1).Sin() + 1.5, (x * 0.9).Cos() + 0.7);
        var index = Expr.Make(new Table(DType.I64, [3], [0, 0, 1]));
        Expr[] args = inner switch
        {
            Select => [x.GreaterThan(0.5), a, b],
            Gather => [a, index],
            ScatterAdd => [index, a],
            Transpose => [Expr.Stack(0, a, b)],
            Broadcast or Slice or Pad or Reverse or Sum or Unary and not Relu => [a],
            Relu => [x.Sin()],
            ReduceMax => [Expr.Concat(1, a, a)],
            Mul when op is Broken => [a, a],
            _ => [a, b],
        };
        var weights = Expr.Scalar(0.3);
        var y = Expr.Make(op, args);
        for (var axis = 0; axis < y.Rank; axis++)
            weights = weights + (0.37 * (axis + 1) * Expr.Iota(y.Shape, axis).Cast(DType.Float));
        return ((y * 0.4).Tanh() * weights).Sum();
    }
}
