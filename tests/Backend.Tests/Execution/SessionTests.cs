using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>State, guards, errors: what a run promises.</summary>
public class SessionTests
{
    private static readonly Dictionary<string, long> None = [];

    [Fact]
    public void A_training_step_equals_its_reference_at_several_batch_sizes()
    {
        var (program, w, m, x, t) = Momentum();
        var session = new Session(program, new PlanOptions { Float = DType.F64, Threads = 2 });
        var state = new Dictionary<Expr, RefValue<double>> { [w] = RefValue<double>.Of([3, 2], [1.0, 2, 3, 4, 5, 6]), [m] = RefValue<double>.Zeros([3, 2], true) };
        var random = new System.Random(1);
        foreach (var batch in new[] { 7, 7, 2, 7, 1, 0, 2 })
        {
            var sizes = new Dictionary<string, long> { ["B"] = batch };
            session.Prepare(sizes);
            if (batch == 7 && session.GetState("w")[0, 0] == 0)
                session.SetState("w", Tensor.Create(state[w].Reals!, 3, 2));
            var (xs, ts) = (RefValue<double>.Of([batch, 3], [.. Enumerable.Range(0, batch * 3).Select(_ => random.NextDouble())]), RefValue<double>.Of([batch, 2], [.. Enumerable.Range(0, batch * 2).Select(_ => random.NextDouble())]));
            session.SetInput("x", Tensor.Create(xs.Reals!, batch, 3));
            ts.Reals!.CopyTo(session.InputSpan<double>("t"));
            var roots = program.Roots;
            var expected = Reference.Evaluate(roots, new Dictionary<Expr, RefValue<double>>(state) { [x] = xs, [t] = ts }, sizes);
            Assert.Equal(batch == 0 ? RunResult.NotFinite : RunResult.Committed, session.Run());
            if (batch == 0)
                continue;
            Assert.Equal(expected[0].Reals![0], session.ReadScalar(session.OutputIndex("loss")), 1e-12);
            state[w] = expected[^2];
            state[m] = expected[^1];
            foreach (var (name, variable) in new[] { ("w", w), ("m", m) })
            {
                for (var i = 0; i < 6; i++)
                    Assert.Equal(state[variable].Reals![i], session.GetState(name)[i / 2, i % 2], 1e-12);
            }
        }
    }

    [Fact]
    public void A_state_is_updated_in_place_by_one_kernel()
    {
        var (program, _, _, _, _) = Momentum();
        var plan = Plan.Compile(program, new Dictionary<string, long> { ["B"] = 4 }, new PlanOptions { Float = DType.F32, Threads = 1 });
        var text = plan.ToString();
        Assert.DoesNotContain("copy", text, StringComparison.Ordinal);
        Assert.Single(text.Split('\n'), line => line.Contains("w: f32", StringComparison.Ordinal) && line.Contains("m: f32", StringComparison.Ordinal) && line.Contains("fused", StringComparison.Ordinal));
        Assert.Equal(text, Plan.Compile(program, new Dictionary<string, long> { ["B"] = 4 }, new PlanOptions { Float = DType.F32, Threads = 1 }).ToString());
    }

    [Fact]
    public void States_that_swap_or_are_read_after_their_update_are_right()
    {
        var (a, b, c) = (Expr.Variable("a", new Shape(3)), Expr.Variable("b", new Shape(3)), Expr.Variable("c", new Shape(3, 3)));
        var program = new Program(
            [],
            [new ProgramState("a", a, b), new ProgramState("b", b, a), new ProgramState("c", c, c.Transpose() + a.Sum()), new ProgramState("d", Expr.Variable("d", new Shape(3)), a + 1), new ProgramState("e", Expr.Variable("e", new Shape(3)))],
            [new Named("a", a), new Named("sum", (a + b).Sum()), new Named("new", a + 1), new Named("same", a + 1), new Named("turned", c.Transpose())],
            []);
        var session = new Session(program, new PlanOptions { Threads = 1 });
        session.Prepare(None);
        session.SetState("a", Tensor.Create([1.0, 2, 3]));
        session.SetState("b", Tensor.Create([4.0, 5, 6]));
        session.SetState("c", Tensor.Create(new[,] { { 1.0, 2, 3 }, { 4, 5, 6 }, { 7, 8, 9 } }));
        session.SetState("e", Tensor.Create([9.0, 9, 9]));
        Assert.Equal(RunResult.Committed, session.Run());
        Assert.Equal([4f, 5, 6], session.GetState("a").ToArray<float>());
        Assert.Equal([1f, 2, 3], session.GetState("b").ToArray<float>());
        Assert.Equal([7f, 10, 13, 8, 11, 14, 9, 12, 15], session.GetState("c").ToArray<float>());
        Assert.Equal([2f, 3, 4], session.GetState("d").ToArray<float>());
        Assert.Equal([9f, 9, 9], session.GetState("e").ToArray<float>());
        Assert.Equal([1f, 2, 3], session.GetOutput("a").ToArray<float>());
        Assert.Equal(21, session.ReadScalar(1));
        Assert.Equal([2f, 3, 4], session.GetOutput("new").ToArray<float>());
        Assert.Equal([2f, 3, 4], session.GetOutput("same").ToArray<float>());
        Assert.Equal([1f, 4, 7, 2, 5, 8, 3, 6, 9], session.GetOutput("turned").ToArray<float>());
    }

    [Fact]
    public void Memory_is_reused_in_place_only_by_kernels_that_read_the_same_element()
    {
        var x = Expr.Variable("x", new Shape(20, 10));
        var turned = ((x + 1).Reverse(0) * 2).Relu().MatMul(Expr.Full(new Shape(10, 10), 1)).Transpose() * 3;
        var result = Evaluator.Evaluate([turned], new Dictionary<Expr, Tensor> { [x] = Tensor.Create([.. Enumerable.Range(0, 200).Select(i => (double)i)], 20, 10) })[0];
        for (var i = 0; i < 20; i++)
            Assert.Equal(6 * (((19 - i) * 100) + 45 + 10), result[4, i]);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Runs_allocate_nothing(int threads)
    {
        var (program, _, _, _, _) = Momentum();
        var index = Expr.Variable("index", new Shape(Dim.Named("B")), DType.I64);
        var table = Expr.Variable("table", new Shape(300, 50));
        var taken = table.Take(index);
        program = program with
        {
            Inputs = program.Inputs.Add(new Named("index", index)),
            States = program.States.Add(new ProgramState("table", table, table - (0.1 * Gradient.Of(taken.Square().Sum(), table)))),
            Outputs = program.Outputs.Add(new Named("top", Expr.Concat(0, taken, taken).Transpose().ArgMax(0))),
        };
        var session = new Session(program, new PlanOptions { Threads = threads });
        var sizes = new Dictionary<string, long> { ["B"] = 2000 };
        var sum = 0.0;
        for (var i = 0; i < 3; i++)
            sum += Step();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 10; i++)
            sum += Step();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.True(double.IsFinite(sum));

        double Step()
        {
            session.Prepare(sizes);
            session.InputSpan<float>("x").Fill(0.5f);
            session.InputSpan<long>("index").Fill(7);
            Assert.True(session.Run() == RunResult.Committed);
            return session.ReadScalar(0);
        }
    }

    [Fact]
    public void Nothing_is_committed_when_a_guard_fails_and_the_first_bad_operation_is_named()
    {
        var x = Expr.Variable("x", new Shape(3));
        var w = Expr.Variable("w", new Shape(3));
        var root = (x * w).Sqrt();
        var harmless = Expr.Where((x - 100).GreaterThan(0), (x - 100).Log(), 0);
        var loss = (root + harmless + Expr.Where(x.LessThan(0), double.NegativeInfinity, x).Exp()).Sum();
        var program = new Program([new Named("x", x)], [new ProgramState("w", w, w - (0.1 * loss.Grad(w)))], [new Named("loss", loss)], [loss]);
        foreach (var type in new[] { DType.F32, DType.F64 })
        {
            var session = new Session(program, new PlanOptions { Float = type, Threads = 1 });
            session.Prepare(None);
            session.SetState("w", Tensor.Create([1.0, 2, 3]));
            session.SetInput("x", Tensor.Create([4.0, 2, 3]));
            Assert.Equal(RunResult.Committed, session.Run());
            session.SetState("w", Tensor.Create([1.0, 2, 3]));
            session.SetInput("x", Tensor.Create([4.0, 2, -3]));
            Assert.Equal(RunResult.NotFinite, session.Run());
            Assert.Equal([1.0, 2, 3], session.GetState("w").Cast(DType.F64).ToArray<double>());
            var blame = session.Blame();
            Assert.NotNull(blame);
            Assert.Same(root, blame.Node);
            Assert.True(double.IsNaN(blame.Value));
            Assert.Equal([2], blame.Position);
            Assert.Equal("sqrt: [3] is nan at [2]", blame.ToString());

            session.SetInput("x", Tensor.Create([4.0, double.NaN, 3]));
            Assert.Equal(RunResult.NotFinite, session.Run());
            Assert.Same(x, session.Blame()!.Node);
        }
    }

    [Fact]
    public void Blame_looks_through_views_and_finds_literals_last()
    {
        var x = Expr.Variable("x", new Shape(2, 3));
        var bad = x.Log();
        var loss = (bad.Transpose().Reshape(new Shape(6)) * 2).Sum() + Expr.Scalar(double.PositiveInfinity).BroadcastTo(new Shape(2)).Sum();
        var session = new Session(new Program([new Named("x", x)], [], [], [loss]), new PlanOptions { Threads = 1 });
        session.Prepare(None);
        session.InputSpan<float>("x").Fill(-1);
        Assert.Equal(RunResult.NotFinite, session.Run());
        Assert.Same(bad, session.Blame()!.Node);
        session.InputSpan<float>("x").Fill(1);
        Assert.Equal(RunResult.NotFinite, session.Run());
        Assert.NotNull(session.Blame());
    }

    [Fact]
    public void What_unchanged_states_decide_is_computed_again_only_after_one_is_set()
    {
        var (x, w, n) = (Expr.Variable("x", new Shape("B", 3)), Expr.Variable("w", new Shape(3, 2)), Expr.Variable("n", Shape.Scalar));
        var squares = w.Square().Exp();
        var program = new Program([new Named("x", x)], [new ProgramState("w", w, null), new ProgramState("n", n, n + 1)], [new Named("y", x.MatMul(squares) * n), new Named("shown", w + 1)], []);
        var session = new Session(program);
        foreach (var batch in new[] { 2, 1 })
        {
            session.Prepare(new Dictionary<string, long> { ["B"] = batch });
            Assert.Equal(1, session.Plan.SettledCount);
            session.SetInput("x", Tensor.Create(Enumerable.Repeat(1f, batch * 3).ToArray(), batch, 3));
            foreach (var value in new[] { 0f, 1, 0.5f })
            {
                session.SetState("w", Tensor.Create(Enumerable.Repeat(value, 6).ToArray(), 3, 2));
                session.SetState("n", Tensor.Scalar(1f));
                for (var run = 1; run < 4; run++)
                {
                    session.Run();
                    Assert.Equal(3 * Math.Exp(value * value) * run, session.GetOutput(0)[0, 1], 1e-4);
                    Assert.Equal(value + 1, session.GetOutput(1)[0, 0]);
                }
            }
        }
    }

    [Theory]
    [InlineData(DType.F32, 200, 150, 1)]
    [InlineData(DType.F32, 784, 512, 3)]
    [InlineData(DType.F64, 130, 129, 2)]
    [InlineData(DType.F32, 300, 64, 2)]
    public void A_row_times_weights_that_are_kept_packed_is_that_row_of_many(DType type, int inputs, int units, int threads)
    {
        var (x, w, v) = (Expr.Variable("x", new Shape("B", inputs)), Expr.Variable("w", new Shape(inputs, units)), Expr.Variable("v", new Shape(units, inputs)));
        var program = new Program([new Named("x", x)], [new ProgramState("w", w, null), new ProgramState("v", v, null)], [new Named("y", x.MatMul(w)), new Named("z", x.MatMul(v.Transpose()))], []);
        var session = new Session(program, new PlanOptions { Float = type, Threads = threads });
        var rows = Draw(3, inputs);
        foreach (var seed in new[] { 1, 2 })
        {
            session.Prepare(new Dictionary<string, long> { ["B"] = 3 });
            Assert.DoesNotContain(session.Plan.Code, i => i is PackOperandInstruction);
            session.SetState("w", Draw(inputs, units, seed));
            session.SetState("v", Draw(units, inputs, seed));
            session.SetInput("x", rows);
            session.Run();
            Tensor[] many = [session.GetOutput(0), session.GetOutput(1)];
            session.Prepare(new Dictionary<string, long> { ["B"] = 1 });
            Assert.Equal(2, session.Plan.Code.Take(session.Plan.SettledCount).Count(i => i is PackOperandInstruction));
            for (var row = 0; row < 3; row++)
            {
                session.SetInput("x", Tensor.Create([.. Enumerable.Range(0, inputs).Select(i => rows[row, i])], 1, inputs));
                session.Run();
                for (var output = 0; output < 2; output++)
                    Assert.All(Enumerable.Range(0, units), j => Assert.Equal(many[output][row, j], session.GetOutput(output)[0, j]));
            }
        }

        static Tensor Draw(int rows, int columns, int seed = 0) => Tensor.Create([.. Enumerable.Range(0, rows * columns).Select(i => Math.Sin((i * (seed + 1)) + seed))], rows, columns);
    }

    [Fact]
    public void What_unchanged_states_decide_follows_what_other_programs_over_them_write()
    {
        var (x, w) = (Expr.Variable("x", new Shape(2)), Expr.Variable("w", new Shape(2)));
        var reading = new Session(new Program([new Named("x", x)], [new ProgramState("w", w, null)], [new Named("y", x + w.Square().Exp().Sum())], []));
        var writing = reading.Sharing(new Program([], [new ProgramState("w", w, w + 1)], [], []));
        foreach (var session in new[] { reading, writing })
            session.Prepare(None);
        Assert.Equal(1, reading.Plan.SettledCount);
        foreach (var write in new Action[] { () => { }, () => writing.Run(), () => writing.Profile(1), () => writing.Profile(2) })
        {
            write();
            reading.Run();
            var value = writing.GetState("w")[0];
            Assert.Equal(2 * Math.Exp(value * value), reading.GetOutput(0)[0], 1e-4 * Math.Exp(value * value));
        }

        Assert.Equal(4, writing.GetState("w")[0]);
    }

    [Fact]
    public void A_bad_index_commits_nothing()
    {
        var index = Expr.Variable("index", new Shape(2, 2), DType.I64);
        var table = Expr.Variable("table", new Shape(5, 3));
        var count = Expr.Variable("count", Shape.Scalar, DType.I64);
        var program = new Program([new Named("index", index)], [new ProgramState("count", count, count + 1), new ProgramState("table", table, table * 2)], [new Named("y", table.Take(index))], []);
        var session = new Session(program, new PlanOptions { Threads = 2 });
        session.Prepare(None);
        session.SetState("table", Tensor.Create(Enumerable.Repeat(1f, 15).ToArray(), 5, 3));
        session.SetInput("index", Tensor.Create(new long[,] { { 0, 4 }, { 5, 1 } }));
        var error = Assert.Throws<IndexException>(() => session.Run());
        Assert.Equal("gather: index 5 at position 2 is out of range: the axis has size 5", error.Message);
        Assert.Equal(0, session.GetState("count").ToScalar());
        Assert.Equal(1, session.GetState("table")[0, 0]);
        session.SetInput("index", Tensor.Create(new long[,] { { 0, 4 }, { 3, 1 } }));
        Assert.Equal(RunResult.Committed, session.Run());
        Assert.Equal(1, session.GetState("count").ToScalar());
        Assert.Equal(2, session.GetState("table")[0, 0]);
        session.SetInput("index", Tensor.Create(new long[,] { { 0, 4 }, { -1, 1 } }));
        Assert.Contains("index -1 at position 2", Assert.Throws<IndexException>(() => session.Run()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Wrong_sizes_are_refused_with_both_sides_named()
    {
        var (b, c) = (Dim.Named("B"), Dim.Named("C"));
        var (x, y) = (Expr.Variable("x", new Shape(b, 2)), Expr.Variable("y", new Shape(c, 2)));
        var program = new Program([new Named("x", x), new Named("y", y)], [], [new Named("z", x + y)], []);
        var sizes = new Dictionary<string, long> { ["B"] = 3, ["C"] = 4 };
        var error = Assert.Throws<ShapeException>(() => Plan.Compile(program, sizes));
        Assert.Contains("[3, 2]", error.Message, StringComparison.Ordinal);
        Assert.Contains("[4, 2]", error.Message, StringComparison.Ordinal);
        Assert.Contains("C", Assert.Throws<ShapeException>(() => Plan.Compile(program, new Dictionary<string, long> { ["B"] = 3 })).Message, StringComparison.Ordinal);
        var session = new Session(program);
        Assert.Throws<InvalidOperationException>(() => session.Run());
        session.Prepare(new Dictionary<string, long> { ["B"] = 3, ["C"] = 3 });
        error = Assert.Throws<ShapeException>(() => session.SetInput("x", Tensor.Zeros(DType.F32, 2, 3)));
        Assert.Equal("the input x: f32[3, 2] cannot take f32[2, 3]", error.Message);
        Assert.Contains("'q'", Assert.Throws<ArgumentException>(() => session.SetInput("q", Tensor.Zeros(DType.F32, 2, 3))).Message, StringComparison.Ordinal);
        Assert.Throws<InvalidOperationException>(() => session.InputSpan<double>("x").Length);
        Assert.Throws<ShapeException>(() => Plan.Compile(program with { Outputs = [new Named("s", x.SliceAxis(0, 2, 4))] }, new Dictionary<string, long> { ["B"] = 3, ["C"] = 3 }));
        Assert.Throws<ShapeException>(() => Plan.Compile(program with { Outputs = [new Named("s", x.Reshape(new Shape(3, 2)))] }, new Dictionary<string, long> { ["B"] = 4, ["C"] = 3 }));
    }

    [Fact]
    public void Open_phases_and_loose_variables_are_refused()
    {
        var x = Expr.Variable("x", new Shape(2));
        var phase = Expr.Phase(x, x * 2);
        Assert.Contains("Phases.Resolve", Assert.Throws<GraphException>(() => Evaluator.Evaluate([phase], new Dictionary<Expr, Tensor> { [x] = Tensor.Create([1.0, 2]) })).Message, StringComparison.Ordinal);
        Assert.Contains("neither", Assert.Throws<GraphException>(() => Evaluator.Evaluate([x], new Dictionary<Expr, Tensor>())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Programs_that_break_their_promises_are_refused()
    {
        var x = Expr.Variable("x", new Shape(2));
        var s = new ProgramState("s", x, x.Sum());
        string Message(Program program) => Assert.ThrowsAny<GraphException>(() => Plan.Compile(program, None)).Message;
        Assert.Equal("the state s is [2], and its next value is []: sizes and element type must stay", Message(new Program([], [s], [], [])));
        Assert.Contains("float scalar", Message(new Program([], [s with { Next = null }], [], [x])), StringComparison.Ordinal);
        Assert.Contains("already", Message(new Program([new Named("x", x)], [s], [], [])), StringComparison.Ordinal);
        Assert.Contains("is a variable", Message(new Program([new Named("x", x * 2)], [], [], [])), StringComparison.Ordinal);
        Assert.Contains("'x'", Assert.Throws<GraphException>(() => new Session(new Program([new Named("x", x), new Named("x", Expr.Variable("y", new Shape(2)))], [], [], []))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Given_nodes_are_not_computed()
    {
        var x = Expr.Variable("x", new Shape(2));
        var y = x.Exp();
        Assert.Equal([10f, 12], Evaluator.Evaluate([y * 2], new Dictionary<Expr, Tensor> { [y] = Tensor.Create([5.0, 6]) })[0].ToArray<float>());
    }

    private static (Program Program, Expr W, Expr M, Expr X, Expr T) Momentum()
    {
        var b = Dim.Named("B");
        var (x, t) = (Expr.Variable("x", new Shape(b, 3)), Expr.Variable("t", new Shape(b, 2)));
        var (w, m) = (Expr.Variable("w", new Shape(3, 2)), Expr.Variable("m", new Shape(3, 2)));
        var loss = (x.MatMul(w).Tanh() - t).Square().Mean();
        var gradient = loss.Grad(w);
        var velocity = (0.9 * m) + gradient;
        return (new Program(
            [new Named("x", x), new Named("t", t)],
            [new ProgramState("w", w, w - (0.1 * velocity)), new ProgramState("m", m, velocity)],
            [new Named("loss", loss)],
            [loss, gradient.Norm()]), w, m, x, t);
    }
}
