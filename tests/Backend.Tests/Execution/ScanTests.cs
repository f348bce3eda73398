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
}
