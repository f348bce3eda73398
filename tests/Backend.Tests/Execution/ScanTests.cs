using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>Loops in the executor.</summary>
public class ScanTests
{
    private static readonly Expr X = Expr.Variable("x", new Shape("B", "T", 3));
    private static readonly Expr W = Expr.Variable("w", new Shape(3, 3));
    private static readonly Expr N = Expr.Variable("n", new Shape("B"), DType.I64);

    private static Expr[] Roots(bool reverse)
    {
        var (last, ys) = X.Scan(Expr.Full(new Shape("B", 3), 0.5), (s, x) => ((s.MatMul(W) + x).Tanh(), s * x), reverse: reverse);
        var table = W.Scan(Expr.Scalar(0), (s, w) => (s + w.Take(N).Sum(), Expr.Concat(0, w, w.Take(N))), 0, reverse);
        var loss = last.Sum() + (ys * ys).Sum() + table.Last + table.Outputs.Sin().Sum();
        return [last, ys, table.Last, table.Outputs, .. Gradient.Of(loss, [X, W]).OfType<Expr>()];
    }

    [Theory]
    [InlineData(4, 2)]
    [InlineData(1, 3)]
    [InlineData(0, 2)]
    [InlineData(33, 5)]
    public void A_loop_has_the_values_of_the_reference(int length, int batch)
    {
        var sizes = new Dictionary<string, long> { ["B"] = batch, ["T"] = length };
        var values = new Dictionary<Expr, double[]>
        {
            [X] = [.. Enumerable.Range(0, length * batch * 3).Select(i => Math.Sin(i))],
            [W] = [.. Enumerable.Range(0, 9).Select(i => 0.4 * Math.Cos(i))],
            [N] = [.. Enumerable.Range(0, batch).Select(i => i % 3.0)],
        };
        foreach (var reverse in new[] { false, true })
        {
            Compare.WithReference(Roots(reverse), values, sizes, tolerance: 200);
            Compare.WithReference(Rewriter.Default.Rewrite(Roots(reverse)), values, sizes, tolerance: 200);
        }
    }

    [Fact]
    public void A_plan_does_not_grow_with_the_length_and_a_run_allocates_nothing()
    {
        var roots = Rewriter.Default.Rewrite(Roots(false));
        var program = new Program([new("x", X), new("w", W), new("n", N)], [], [.. roots.Select((r, i) => new Named($"y{i}", r))], []);
        var kernels = new List<int>();
        foreach (var length in new[] { 4, 4096 })
        {
            var session = new Session(program);
            session.Prepare(new Dictionary<string, long> { ["B"] = 2, ["T"] = length });
            kernels.Add(session.Plan.KernelCount);
            session.Run();
            var before = GC.GetAllocatedBytesForCurrentThread();
            session.Run();
            Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(kernels[0], kernels[1]);
    }

    [Fact]
    public void A_new_length_is_a_new_plan_of_the_same_model()
    {
        var applied = 0;
        var model = Model.Build("M", m =>
        {
            var h = m.Input("x", "B", "T", 3).Lstm(4).Apply(Layers.Function("counted", x =>
            {
                applied++;
                return x.Tanh();
            }));
            m.Output("y", h.Dense(2));
        });
        var predictor = new Predictor(model, Initialization.Sample(model, 1));
        foreach (var length in new[] { 3, 50, 4096, 3 })
            Assert.Equal([2, length, 2], predictor.Predict(("x", Tensor.Zeros(DType.F32, 2, length, 3)))["y"].Shape.AsSpan().ToArray());
        Assert.Equal(1, applied);
    }

    [Fact]
    public void An_index_out_of_range_in_a_loop_is_an_error()
    {
        var values = new Dictionary<Expr, Tensor> { [W] = Tensor.Create(new double[9], 3, 3), [N] = Tensor.Create(new long[] { 5 }, 1) };
        Assert.Throws<IndexException>(() => Evaluator.Evaluate([W.Scan(Expr.Scalar(0), (s, w) => (s + w.Take(N).Sum(), s), 0).Last], values));
    }

    [Fact]
    public void Blame_finds_the_loop()
    {
        var last = X.Scan(Expr.Full(new Shape("B", 3), 0.5), (s, x) => ((s * x).Log(), s)).Last;
        var session = new Session(new Program([new("x", X)], [], [], [last.Sum().Exp()]));
        session.Prepare(new Dictionary<string, long> { ["B"] = 1, ["T"] = 2 });
        session.SetInput("x", Tensor.Create([1.0, 1, 1, 1, 1, 1], 1, 2, 3));
        Assert.Equal(RunResult.NotFinite, session.Run());
        Assert.IsType<Scan>(session.Blame()!.Node.Op);
    }

    [Theory]
    [InlineData("rnn", 256)]
    [InlineData("lstm", 128)]
    [InlineData("lstm", 192)]
    [InlineData("gru", 192)]
    [InlineData("steps", 128)]
    public void Two_threads_in_lockstep_change_no_bit(string cell, int units)
    {
        var model = Model.Build("M", m => m.Output("y", Cells[cell](m.Input("x", "B", "T", 5), units)));
        var weights = Initialization.Sample(model, 1);
        foreach (var type in new[] { DType.F32, DType.F64 })
        {
            var plan = Plan.Compile(TrainingStep.Prediction(model), new Dictionary<string, long> { ["B"] = 1, ["T"] = 7 }, new PlanOptions { Float = type });
            Assert.All(plan.Code.OfType<ScanInstruction>(), scan => Assert.NotNull(scan.Cut));
            var predictors = new[] { 1, 2, 3 }.Select(threads => new Predictor(model, weights, new PlanOptions { Float = type, Threads = threads })).ToArray();
            var plain = new Predictor(model, weights, new PlanOptions { Float = type, Threads = 1, Fuse = false });
            foreach (var length in new[] { 1, 4, 7, 64, 300 })
            {
                var x = Tensor.Create([.. Enumerable.Range(0, length * 5).Select(i => Math.Sin(i))], 1, length, 5);
                var expected = predictors[0].Predict(("x", x))["y"];
                var values = plain.Predict(("x", x))["y"];
                Assert.All(Enumerable.Range(0, (int)values.Length), i => Assert.Equal(values.At(i), expected.At(i), type == DType.F32 ? 1e-4 : 1e-12));

                // Whether the other thread comes in time is chance: many runs have both.
                for (var run = 0; run < 10; run++)
                    Assert.All(predictors, p => Assert.True(expected.BitEquals(p.Predict(("x", x))["y"])));
            }
        }
    }

    [Theory]
    [InlineData("lstm", 1, 64)]
    [InlineData("lstm", 1, 100)]
    [InlineData("gru", 2, 128)]
    [InlineData("rnn", 1, 128)]
    public void A_body_that_two_threads_cannot_share_or_that_is_small_is_not_cut(string cell, int batch, int units)
    {
        var model = Model.Build("M", m => m.Output("y", Cells[cell](m.Input("x", "B", "T", 5), units)));
        var plan = Plan.Compile(TrainingStep.Prediction(model), new Dictionary<string, long> { ["B"] = batch, ["T"] = 7 });
        Assert.All(plan.Code.OfType<ScanInstruction>(), scan => Assert.Null(scan.Cut));
    }

    private static readonly Dictionary<string, Func<Expr, int, Expr>> Cells = new()
    {
        ["rnn"] = (x, units) => x.Rnn(units, returnSequences: false),
        ["lstm"] = (x, units) => x.Lstm(units, bidirectional: true),
        ["gru"] = (x, units) => x.Gru(units, reverse: true),
        ["steps"] = Steps,
    };

    /// <summary>Two products one after the other, a state that becomes another's last value, and outputs that no product reads.</summary>
    private static Expr Steps(Expr x, int units)
    {
        var (v, w) = (Matrix(2), Matrix(3));
        var zero = Expr.Full(new Shape("B", units), 0.1);
        var steps = Scans.Run([zero, zero], [x.MatMul(Expr.Full(new Shape(5, units), 0.3))], (s, z) =>
        {
            var middle = (s[0].MatMul(v) + z[0]).Tanh();
            var next = (middle.MatMul(w) * s[1]) + z[0].Cos();
            return new([next, s[0]], [middle - next]);
        });
        return Expr.Concat(-1, steps.Outputs[0], (steps.Next[0] + steps.Next[1]).Reshape(new Shape("B", 1, units)) * steps.Outputs[0]);

        Expr Matrix(int seed) => (Expr.Iota(new Shape(units, units), 0) + (seed * Expr.Iota(new Shape(units, units), 1))).Cast(DType.Float).Sin() * (1.0 / units);
    }
}
