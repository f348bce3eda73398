using Xunit;

namespace Dnn.Graph.Tests;

public class RewriterTests
{
    private static readonly Expr X = Expr.Variable("x", new Shape("B", 3));
    private static readonly Expr Y = Expr.Variable("y", new Shape("B", 3));
    private static readonly Expr M = Expr.Variable("m", new Shape(3, 4));
    private static readonly Expr S = Expr.Variable("s", Shape.Scalar);

    public static TheoryData<string, Expr, Expr> Forms { get; } = new()
    {
        { "add_zero", X + 0, X },
        { "mul_one", 1 * X, X },
        { "div_one", X / 1, X },
        { "mul_minus_one", X * -1, -X },
        { "neg_of_neg", -(-X), X },
        { "fold", X * (Expr.Scalar(2).Exp() + 1), X * (Math.Exp(2) + 1) },
        { "scale", 2 * X * 3 / 4, X * 1.5 },
        { "scale through neg", -(2 * X), X * -2 },
        { "difference", -(X - Y), Y - X },
        { "product", -X * -Y, X * Y },
        { "square", X.Pow(2), X * X },
        { "rsqrt", X.Pow(-0.5), X.Rsqrt() },
        { "cast", X.GreaterThan(0).Cast(DType.F32).Cast(DType.Bool), X.GreaterThan(0) },
        { "select equal", Expr.Where(X.GreaterThan(0), Y, Y), Y },
        { "select known", Expr.Where(Expr.Scalar(2).GreaterThan(1), X, Y), X },
        { "select nested", Expr.Where(X.GreaterThan(0), Expr.Where(X.GreaterThan(0), X, Y), Y), Expr.Where(X.GreaterThan(0), X, Y) },
        { "transpose", X.Transpose().Transpose(), X },
        { "reshape", M.Reshape(new Shape(2, 6)).Reshape(new Shape(12)).Reshape(new Shape(3, 4)), M },
        { "keep and squeeze", X.Sum(1, keep: true).Squeeze(1), X.Sum(1) },
        { "broadcast", S.BroadcastTo(new Shape(3)).BroadcastTo(new Shape("B", 3)), S.BroadcastTo(new Shape("B", 3)) },
        { "sum of broadcast", M.Sum(0).BroadcastTo(new Shape(5, 4)).Sum(0), M.Sum(0) * 5 },
        { "slice of pad", Expr.Make(new Slice(new Shape(1, 0), new Shape(4, 7), [1, 2]), Expr.Make(new Pad(new Shape(1, 0), new Shape(0, 2), [0, 1]), M)), M },
        { "reverse", M.Reverse([0, 1]).Reverse(1), M.Reverse(0) },
        { "sum of sum", M.Sum(1).Sum(0), M.Sum() },
        { "dot of transpose", X.MatMul(M).Transpose().Transpose(), X.MatMul(M) },
        { "dot of transposes", M.Transpose().MatMul(X.Transpose()).Transpose(), X.MatMul(M) },
        { "concat", Expr.Make(new Concat(0), M), M },
        { "log exp", X.Exp().Log(), X },
        { "log1p", (1 + X).Log(), X.Log1p() },
        { "expm1", X.Exp() - 1, X.Expm1() },
        { "minus expm1", 1 - X.Exp(), -X.Expm1() },
        { "logistic", 1 / (1 + (-X).Exp()), X.Sigmoid() },
        { "logsumexp", X.Exp().Sum(1).Log(), X.LogSumExp(1) },
    };

    [Theory]
    [MemberData(nameof(Forms))]
    public void Normal_form(string rule, Expr before, Expr after) =>
        Assert.True(Rewriter.Default.Rewrite(before) == Rewriter.Default.Rewrite(after), $"{rule}:\n{Text(Rewriter.Default.Rewrite(before))}is not\n{Text(Rewriter.Default.Rewrite(after))}");

    [Fact]
    public void Log_sum_exp_does_not_overflow()
    {
        var x = Expr.Variable("x", new Shape(2));
        foreach (var rewriter in (Rewriter[])[Rewriter.Default, Rewriter.Stabilize])
        {
            Assert.Equal(1000.6931471805599, Value(rewriter.Rewrite(x.Exp().Sum().Log()), x, 1000, 1000));
            Assert.Equal(1000, Value(rewriter.Rewrite(x.Exp().Mean().Log()), x, 1000, 1000), 1e-12);
            Assert.Equal(double.NegativeInfinity, Value(rewriter.Rewrite(x.Exp().Sum().Log()), x, double.NegativeInfinity, double.NegativeInfinity));
            Assert.Equal(double.PositiveInfinity, Value(rewriter.Rewrite(x.Exp().Sum().Log()), x, double.PositiveInfinity, 0));
            Assert.Equal(0.5, Value(rewriter.Rewrite((x.Exp() / x.Exp().Sum(0, keep: true)).ReduceMax()), x, 1000, 1000));
            Assert.Equal(-Math.Log(2), Value(rewriter.Rewrite((x.Exp() / x.Exp().Sum(0, keep: true)).Log().ReduceMax()), x, -1e5, -1e5), 1e-12);
        }
    }

    [Theory]
    [InlineData(-1000)]
    [InlineData(-40)]
    [InlineData(-1)]
    [InlineData(0)]
    [InlineData(1e-9)]
    [InlineData(30)]
    [InlineData(40)]
    [InlineData(1000)]
    public void Log_of_sigmoid_and_softplus_keep_their_digits_to_second_order(double at)
    {
        var x = Expr.Variable("x", Shape.Scalar);
        var (sigma, complement) = (1 / (1 + Math.Exp(-at)), 1 / (1 + Math.Exp(at)));
        foreach (var (y, value, slope) in ((Expr, double, double)[])[
            (x.Sigmoid().Log(), -Softplus(-at), complement), ((1 - x.Sigmoid()).Log(), -Softplus(at), -sigma), ((1 + x.Exp()).Log(), Softplus(at), sigma)])
        {
            var stable = Rewriter.Stabilize.Rewrite(y);
            var first = stable.Grad(x);
            Near(value, Value(stable, x, at));
            Near(slope, Value(Rewriter.Default.Rewrite(first), x, at));
            if (Math.Abs(at) < 37)
                Assert.Equal(sigma * complement, Math.Abs(Value(Rewriter.Default.Rewrite(first.Grad(x)), x, at)), 1e-15);
        }
    }

    [Fact]
    public void Softplus_and_the_loss_made_of_it_have_their_slope_at_zero()
    {
        var x = Expr.Variable("x", Shape.Scalar);
        Assert.Equal(0.5, Value(x.Softplus().Grad(x), x, 0));
        Assert.Equal(0.25, Value(x.Softplus().Grad(x).Grad(x), x, 0));
        Assert.Equal(-0.5, Value(Losses.BceWithLogits(x, 1).Grad(x), x, 0));
        Assert.Equal(0.5, Value(x.LogSigmoid().Grad(x), x, 0));
    }

    [Fact]
    public void Rules_that_never_end_are_named()
    {
        var there = new RewriteRule("there", "x + y → x · y", x => x.Op is Add ? Expr.Make(new Mul(), [.. x.Args]) : null);
        var back = new RewriteRule("back", "x · y → x + y", x => x.Op is Mul ? Expr.Make(new Add(), [.. x.Args]) : null);
        var grow = new RewriteRule("grow", "x → x + 1", x => x.Op is Sin ? Expr.Make(new Sin(), x.Args[0] + 1) : null);
        Assert.Contains("there (", Assert.Throws<GraphException>(() => new Rewriter(there, back).Rewrite(X + Y)).Message, StringComparison.Ordinal);
        Assert.Contains("grow (", Assert.Throws<GraphException>(() => new Rewriter(grow).Rewrite(X.Sin())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_rule_that_changes_the_type_is_named()
    {
        var wrong = new RewriteRule("wrong", "", x => x.Op is Exp ? x.Sum() : null);
        Assert.Contains("wrong", Assert.Throws<GraphException>(() => new Rewriter(wrong).Rewrite(X.Exp())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_check_of_sizes_is_not_rewritten_away()
    {
        var (a, b) = (Expr.Variable("a", new Shape("A")), Expr.Variable("b", new Shape("B")));
        Assert.Equal(Answer.Proved, Dim.AreEqual("A", Rewriter.Default.Rewrite(a.ZerosLike() + b).Shape[0]));
    }

    [Fact]
    public void Every_rule_is_listed_once_with_a_doc()
    {
        var rules = Rewriter.Default.Rules.Concat(Rewriter.Stabilize.Rules).Distinct().ToList();
        Assert.Equal(rules.Count, rules.Select(r => r.Name).Distinct().Count());
        Assert.All(rules, r => Assert.True(r.Doc.Length > 0, r.Name));
    }

    [Fact]
    public void Provenance_follows()
    {
        var heard = new Listener();
        var result = Rewriter.Default.Rewrite([(X + 0).Exp()], heard)[0];
        Assert.Equal([(X, X + 0), (X.Exp(), (X + 0).Exp())], heard.Events);
        Assert.Same(X.Exp(), result);
    }

    private static double Softplus(double x) => Math.Max(x, 0) + RealField.Log1p(Math.Exp(-Math.Abs(x)));

    private static void Near(double expected, double actual) =>
        Assert.True(Math.Abs(actual - expected) <= 1e-13 * Math.Abs(expected) + 1e-300, $"{actual} is not {expected}");

    private static double Value(Expr y, Expr x, params double[] at) =>
        Reference.Evaluate([y], new Dictionary<Expr, RefValue<double>> { [x] = RefValue<double>.Of([.. x.Shape.Dims.Select(d => (int)d.Value)], at) })[0].Reals![0];

    private static string Text(Expr x) => Printer.Definitions([("y", x)]);

    private sealed class Listener : IDerivationListener
    {
        public List<(Expr, Expr)> Events { get; } = [];

        public void Derived(Expr result, Expr origin) => Events.Add((result, origin));
    }
}
