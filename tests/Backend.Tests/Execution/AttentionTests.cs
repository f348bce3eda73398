using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>Attention in one kernel and its derivative in another, against the reference: they stand in for the graph's own operations.</summary>
public class AttentionTests
{
    private const long DropKey = 0x123456789abcde;

    private Dictionary<Expr, double[]> values = [];
    private Random random = new(3);

    public enum Kind
    {
        Open,
        Causal,
        Window,
        Padded,
        Scattered,
    }

    public static TheoryData<string, int[], Kind, bool> Cases
    {
        get
        {
            // batch, queries, keys, groups, heads a group, size, size of values
            var cases = new TheoryData<string, int[], Kind, bool>();
            foreach (var kind in Enum.GetValues<Kind>())
            {
                foreach (var guarded in new[] { false, true })
                {
                    cases.Add("heads", [2, 17, 17, 3, 1, 5, 5], kind, guarded);
                    cases.Add("several blocks", [1, 61, 75, 2, 1, 16, 9], kind, guarded);
                    cases.Add("groups of heads", [2, 30, 33, 2, 3, 7, 4], kind, guarded);
                    cases.Add("one head", [3, 9, 40, 1, 1, 1, 3], kind, guarded);
                    cases.Add("one of all", [1, 8, 8, 1, 1, 2, 1], kind, guarded);
                }
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Attention_and_its_derivative_equal_the_reference(string name, int[] sizes, Kind kind, bool guarded)
    {
        Assert.NotEmpty(name);
        var graph = Make(sizes, kind, guarded);
        Assert.Equal(2, Kernels(graph.Roots));
        Compare.WithReference(graph.Roots, values, scales: graph.Scales, tolerance: 64);

        // The result alone.
        Assert.Equal(1, Kernels(graph.Roots[..1]));
        Compare.WithReference(graph.Roots[..1], values, scales: graph.Scales[..1], tolerance: 64);
    }

    [Fact]
    public void Attention_of_any_shape_equals_the_reference()
    {
        for (var seed = 0; seed < 40; seed++)
        {
            (random, values) = (new(seed), []);
            int[] sizes = [random.Next(1, 4), random.Next(8, 70), random.Next(8, 70), random.Next(1, 4), random.Next(1, 3), random.Next(1, 40), random.Next(1, 40)];
            var graph = Make(sizes, (Kind)random.Next(5), random.Next(2) == 0);
            Assert.Equal(2, Kernels(graph.Roots));
            Compare.WithReference(graph.Roots, values, scales: graph.Scales, tolerance: 64);
        }
    }

    [Fact]
    public void Dropped_weights_are_those_of_the_reference()
    {
        for (var seed = 0; seed < 60; seed++)
        {
            (random, values) = (new(seed), []);
            var rate = new[] { 0.1, 0.5, 0.9, random.NextDouble() }[seed % 4];
            var groups = random.Next(1, 4);
            int[] sizes = [random.Next(1, 4), random.Next(8, 70), random.Next(8, 70), groups, random.Next(1, 4), random.Next(1, 40), random.Next(1, 40)];
            var graph = Make(sizes, (Kind)random.Next(5), random.Next(2) == 0, rate);
            Assert.Equal(2, Kernels(graph.Roots));
            Compare.WithReference(graph.Roots, values, scales: graph.Scales, tolerance: 64);
            Assert.Equal(1, Kernels(graph.Roots[..1]));
            Compare.WithReference(graph.Roots[..1], values, scales: graph.Scales[..1], tolerance: 64);
        }
    }

    /// <summary>A weight of 1 / keys a query, so that what comes out says which weights were dropped.</summary>
    [Theory]
    [InlineData(0.1)]
    [InlineData(0.5)]
    [InlineData(0.9)]
    public void Random_numbers_are_those_of_their_places(double rate)
    {
        const int queries = 37, keys = 41;
        var graph = Make([2, queries, keys, 2, 2, 3, keys], Kind.Open, false, rate);
        Array.Clear(values[graph.Operands[0]]);
        var v = values[graph.Operands[2]];
        Array.Clear(v);
        for (var i = 0; i < v.Length; i += keys)
            v[i + (i / (2 * keys) % keys)] = keys;
        var data = graph.Operands.ToDictionary(x => x, x => Tensor.Create(values[x], [.. x.Shape.Dims.Select(d => (int)d.Value)]));
        var y = Evaluator.Evaluate(graph.Roots[..1], data, new PlanOptions { Float = DType.F64, Threads = 2 })[0].AsSpan<double>();
        for (var i = 0; i < y.Length; i++)
        {
            // y is [batch, queries, groups, heads, keys], the numbers [batch, groups, heads, queries, keys].
            var (key, head, query, batch) = (i % keys, i / keys % 4, i / keys / 4 % queries, i / keys / 4 / queries);
            var isKept = Philox.Bits24(DropKey, ((((long)batch * 4) + head) * queries + query) * keys + key) >= rate * (1 << 24);
            Assert.Equal(isKept ? 1 / (1 - rate) : 0, y[i], 1e-12);
        }
    }

    /// <summary>Rules move the maximum of a row before the axes of the scores, or not, as heads share keys and rows have a mask.</summary>
    [Theory]
    [InlineData(1, false, 0)]
    [InlineData(1, true, 0)]
    [InlineData(1, false, 0.1)]
    [InlineData(2, false, 0)]
    [InlineData(4, true, 0.1)]
    public void A_layer_of_attention_is_two_kernels_of_a_training_step(int groups, bool causal, double dropout)
    {
        var model = Model.Build("M", m =>
        {
            var x = m.Input("x", "B", 16, 24);
            m.Loss(x.Attention(4, causal: causal, kvHeads: groups, dropout: dropout).Square().Mean());
        });
        var plan = Plan.Compile(TrainingStep.Gradients(model, training: true).Simplify(model.Provenance), new Dictionary<string, long> { ["B"] = 2 }, new PlanOptions { Threads = 1 });
        Assert.Equal(2, plan.Code.Count(instruction => instruction.Name.StartsWith("attention", StringComparison.Ordinal)));
    }

    [Fact]
    public void Threads_change_no_bit_of_what_is_dropped()
    {
        var graph = Make([1, 75, 61, 1, 2, 16, 9], Kind.Causal, false, 0.3);
        var data = graph.Operands.ToDictionary(x => x, x => Tensor.Create(values[x], [.. x.Shape.Dims.Select(d => (int)d.Value)]));
        foreach (var type in new[] { DType.F32, DType.F64 })
        {
            var expected = Run(1);
            Assert.Equal(expected, Run(2));
            Assert.Equal(expected, Run(3));

            byte[] Run(int threads) => [.. Evaluator.Evaluate(graph.Roots, data, new PlanOptions { Float = type, Threads = threads }).SelectMany(t => type == DType.F32
                ? System.Runtime.InteropServices.MemoryMarshal.AsBytes(t.AsSpan<float>()).ToArray()
                : System.Runtime.InteropServices.MemoryMarshal.AsBytes(t.AsSpan<double>()).ToArray())];
        }
    }

    [Theory]
    [InlineData(2)]
    [InlineData(1)]
    public void A_step_with_dropout_stores_nothing_with_an_element_a_query_and_key(int groups)
    {
        const int batch = 3, heads = 2, length = 64;
        var model = Model.Build("Drops", m => m.Loss(m.Input("x", batch, length, 4).TransformerBlock(heads, mlp: 1, causal: true, dropout: 0.1, kvHeads: groups).Square().Mean()));
        var plan = Plan.Compile(TrainingStep.Gradients(model, training: true).Simplify(model.Provenance), new Dictionary<string, long>(), new PlanOptions { Threads = 1 });
        Assert.Equal(2, plan.Code.Count(instruction => instruction.Name.StartsWith("attention", StringComparison.Ordinal)));
        Assert.All(plan.Values, value => Assert.True(value.Bytes < batch * heads * length * length, $"{value.Bytes} bytes"));
    }

    [Theory]
    [InlineData(0, double.NaN)]
    [InlineData(0, double.PositiveInfinity)]
    [InlineData(1, double.NaN)]
    [InlineData(1, double.NegativeInfinity)]
    [InlineData(2, double.NaN)]
    [InlineData(2, double.PositiveInfinity)]
    [InlineData(3, double.NaN)]
    [InlineData(3, double.NegativeInfinity)]
    public void What_is_not_finite_spreads_as_in_the_reference(int operand, double value)
    {
        foreach (var kind in Enum.GetValues<Kind>())
        {
            foreach (var guarded in new[] { false, true })
            {
                (random, values) = (new(operand), []);
                var graph = Make([2, 40, 40, 1, 2, 3, 2], kind, guarded);
                var poisoned = values[graph.Operands[operand]];
                poisoned[poisoned.Length - 3] = value;
                Compare.WithReference(graph.Roots, values, tolerance: 4096);
            }
        }
    }

    [Theory]
    [InlineData(0, 9)]
    [InlineData(9, 0)]
    [InlineData(1, 9)]
    [InlineData(9, 1)]
    [InlineData(7, 30)]
    public void Few_queries_or_keys_stay_as_they_are(int queries, int keys)
    {
        var graph = Make([2, queries, keys, 2, 1, 3, 3], Kind.Open, true);
        Assert.Equal(0, Kernels(graph.Roots));
        Compare.WithReference(graph.Roots, values, scales: graph.Scales, tolerance: 64);
    }

    [Fact]
    public void Weights_that_something_else_wants_are_computed()
    {
        var graph = Make([2, 12, 12, 2, 1, 3, 3], Kind.Causal, false);
        Assert.Equal(0, Kernels([graph.Weights, graph.Roots[0]]));
        Compare.WithReference([graph.Weights, graph.Roots[0]], values, tolerance: 64);
    }

    [Fact]
    public void A_maximum_that_a_mask_hides_is_no_part_of_attention()
    {
        // Where hidden scores are far above the others, what is left of a row would be 0 / 0, as its operations say.
        var (q, k, v) = (Expr.Variable("q", new Shape(12, 3)), Expr.Variable("k", new Shape(12, 3)), Expr.Variable("v", new Shape(12, 3)));
        foreach (var operand in new[] { q, k, v })
            values[operand] = [.. Enumerable.Range(0, 36).Select(i => Math.Sin(i))];
        var square = new Shape(12, 12);
        var scores = q.MatMul(k.Transpose());
        var shown = Expr.Where(Expr.Iota(square, 0).GreaterOrEqual(Expr.Iota(square, 1)), scores, double.NegativeInfinity);
        var e = (shown - scores.ReduceMax(-1, keep: true)).Exp();
        var y = (e / e.Sum(-1, keep: true)).MatMul(v);
        Assert.Equal(0, Kernels([y]));
        Compare.WithReference([y], values, tolerance: 64);
    }

    [Theory]
    [InlineData(4, true, false)]
    [InlineData(2, true, true)]
    [InlineData(1, false, true)]
    [InlineData(4, false, false)]
    public void The_layer_is_one_kernel_and_so_is_its_derivative(int groups, bool causal, bool isMasked)
    {
        var (x, mask, y) = (Expr.Scalar(0), Expr.Scalar(0), Expr.Scalar(0));
        var model = Model.Build("Attends", m =>
        {
            (x, mask) = (m.Input("x", 2, 24, 12), m.Input("mask", 2, 24));
            y = x.Attention(4, causal, groups, mask: isMasked ? mask.GreaterThan(0) : null);
            m.Output("y", y);
        });
        Expr[] wanted = [x, .. model.Parameters.Select(p => p.Variable)];
        foreach (var variable in wanted.Append(mask))
            values[variable] = Numbers([.. variable.Shape.Dims.Select(d => (int)d.Value)]);
        Expr[] roots = [.. Rewriter.Default.Rewrite([y, .. Gradient.Of((y * y).Sum(), wanted).Select(g => g!)])];
        Assert.Equal(2, Kernels(roots));
        Compare.WithReference(roots, values, tolerance: 4096);
    }

    [Theory]
    [InlineData(SimdPath.Portable)]
    [InlineData(SimdPath.Avx2)]
    [InlineData(SimdPath.Avx512)]
    public unsafe void Every_instruction_set_gives_the_same(SimdPath path)
    {
        if (!Gemm.IsSupported(path))
            return;
        const int queries = 37, keys = 53, size = 19;
        var rows = new AttentionStrides([], size, 1);
        var plan = new AttentionPlan([], 1, queries, keys, size, size, false, rows, rows, rows, null);
        var gradient = new AttentionGradientPlan(plan, rows, rows, rows, rows, rows, rows, rows, rows);
        double[] q = Numbers([queries, size]), k = Numbers([keys, size]), v = Numbers([keys, size]), bar = Numbers([queries, size]);
        double[] y = new double[queries * size], qBar = new double[queries * size], kBar = new double[keys * size], vBar = new double[keys * size];
        fixed (double* qs = q, ks = k, vs = v, bars = bar, ys = y, qBars = qBar, kBars = kBar, vBars = vBar)
        {
            var attention = AttentionBlocks.Of<double>(path);
            attention.Forward(plan, rows, 0, 1, 1, qs, ks, vs, null, null, ys);
            attention.Backward(gradient, 0, 1, new AttentionOperands<double>
            {
                Query = qs,
                Key = ks,
                Cotangent = bars,
                Values = vs,
                ToValues = bars,
                ToQueries = ks,
                ToKeys = qs,
                ValueBar = vBars,
                QueryBar = qBars,
                KeyBar = kBars,
            });
        }

        var graph = Make([1, queries, keys, 1, 1, size, size], Kind.Open, false);
        var operands = graph.Operands.Zip([q, k, v, bar]).ToDictionary(p => p.First, p => Tensor.Create(p.Second, [.. p.First.Shape.Dims.Select(d => (int)d.Value)]));
        var expected = Evaluator.Evaluate(graph.Roots, operands, new PlanOptions { Float = DType.F64, Threads = 1, Fuse = false });
        foreach (var (given, wanted) in new[] { y, qBar, kBar, vBar }.Zip(expected))
        {
            for (var i = 0; i < given.Length; i++)
                Assert.Equal(wanted.AsSpan<double>()[i], given[i], 1e-12);
        }
    }

    private static int Kernels(IReadOnlyList<Expr> roots)
    {
        var program = new Program([], [.. Expr.PostOrder(roots).Where(node => node.Op is Variable).Select((node, i) => new ProgramState($"{i}", node))], [.. roots.Select((root, i) => new Named($"{i}", root))], []);
        return Plan.Compile(program, new Dictionary<string, long>(), new PlanOptions { Threads = 1 }).Code.Count(instruction => instruction.Name.StartsWith("attention", StringComparison.Ordinal));
    }

    /// <summary>The result and the cotangents of queries, keys and values, with bounds of the sums of absolute contributions.</summary>
    private (Expr[] Roots, Expr[] Scales, Expr Weights, Expr[] Operands) Make(int[] sizes, Kind kind, bool guarded, double dropout = 0)
    {
        var (batch, queries, keys, groups, heads, size, valueSize) = (sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6]);
        // As the layer writes it: with an axis of heads within groups only where there are several.
        var isGrouped = heads > 1;
        int[] head = isGrouped ? [groups, heads] : [groups];
        var (h, g) = isGrouped ? ("gr", "g") : ("g", "g");
        var q = Var("q", [batch, queries, .. head, size]);
        var (k, v) = (Var("k", batch, keys, groups, size), Var("v", batch, keys, groups, valueSize));
        var bar = Var("bar", [batch, queries, .. head, valueSize]);
        var shape = new Shape(batch, groups * heads, queries, keys);
        var open = Mask(kind, batch, queries, keys)?.BroadcastTo(shape);
        var scores = Patterns.Einsum($"bq{h}e,bk{g}e->b{h}qk", q, k).Reshape(shape);
        var shown = open is null ? scores : Expr.Where(open, scores, double.NegativeInfinity);
        var max = shown.ReduceMax(-1, keep: true).StopGradient();
        var e = (shown - (guarded ? Expr.Where(max.Abs().LessThan(double.PositiveInfinity), max, 0) : max)).Exp();
        var total = e.Sum(-1, keep: true);
        var byHead = new Shape([batch, .. head.Select(size => Dim.Of(size)), queries, keys]);
        var softmax = e / (guarded ? Expr.Where(total.EqualTo(0), 1, total) : total);
        var keep = dropout == 0 ? null : Rng.Uniform(Expr.Scalar(DropKey, DType.I64), shape).GreaterOrEqual(dropout);
        var weights = softmax.Reshape(byHead);
        var dropped = keep is null ? weights : Expr.Where(keep, softmax * (1 / (1 - dropout)), 0).Reshape(byHead);
        var y = Patterns.Einsum($"b{h}qk,bk{g}e->bq{h}e", dropped, v);
        var roots = Rewriter.Default.Rewrite([y, .. Gradient.Vjp([y], [bar], [q, k, v]).Select(x => x!)]);

        var weightsBar = Patterns.Einsum($"bq{h}e,bk{g}e->b{h}qk", bar.Abs(), v.Abs());
        weightsBar = keep is null ? weightsBar : Expr.Where(keep.Reshape(byHead), weightsBar * (1 / (1 - dropout)), 0);
        var scoresBar = weights * (weightsBar + (weights * weightsBar).Sum(-1, keep: true));
        scoresBar = open is null ? scoresBar : Expr.Where(open.Reshape(scoresBar.Shape), scoresBar, 0);
        Expr[] scales =
        [
            Patterns.Einsum($"b{h}qk,bk{g}e->bq{h}e", dropped, v.Abs()),
            Patterns.Einsum($"b{h}qk,bk{g}e->bq{h}e", scoresBar, k.Abs()),
            Patterns.Einsum($"b{h}qk,bq{h}e->bk{g}e", scoresBar, q.Abs()),
            Patterns.Einsum($"b{h}qk,bq{h}e->bk{g}e", dropped, bar.Abs()),
        ];
        return ([.. roots], scales, weights, [q, k, v, bar]);
    }

    private Expr? Mask(Kind kind, int batch, int queries, int keys)
    {
        var (at, of) = (Expr.Iota(new Shape(queries, keys), 1), Expr.Iota(new Shape(queries, keys), 0));
        return kind switch
        {
            Kind.Causal => at.LessOrEqual(of),
            Kind.Window => at.LessOrEqual(of + 3).And((at + 5).GreaterOrEqual(of)),
            Kind.Padded => Expr.Iota(new Shape(batch, 1, 1, keys), 3).LessThan((Expr.Iota(new Shape(batch, 1, 1, keys), 0) * 5) + 4),
            Kind.Scattered => Var("mask", batch, 1, queries, keys).GreaterThan(0.3).And(Expr.Iota(new Shape(batch, 1, queries, keys), 2).GreaterOrEqual(3)),
            _ => null,
        };
    }

    private Expr Var(string name, params int[] dims)
    {
        var variable = Expr.Variable(name, new Shape([.. dims.Select(d => Dim.Of(d))]));
        values[variable] = Numbers(dims);
        return variable;
    }

    private double[] Numbers(IReadOnlyList<int> dims) => [.. Enumerable.Range(0, dims.Aggregate(1, (a, b) => a * b)).Select(_ => (double)(float)((2 * random.NextDouble()) - 1))];
}
