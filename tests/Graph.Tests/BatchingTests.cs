using System.Collections.Immutable;
using Dnn.Checking;
using Xunit;

namespace Dnn.Graph.Tests;

/// <summary>vmap, Jacobians and Hessians.</summary>
public class BatchingTests
{
    private static readonly Dictionary<string, long> None = [];

    /// <summary>Each place of a batched graph holds what the graph gives there; every operation takes part.</summary>
    [Fact]
    public void A_batch_of_a_random_graph_is_the_graph_many_times()
    {
        var batched = new HashSet<Type>();
        for (var seed = 0ul; seed < 400; seed++)
        {
            var sample = new GraphRecipe(GraphKind.Any, [.. Enumerable.Range(0, 14).Select(i => Enumerable.Range(0, 12).Select(k => (int)Philox.Bits24(seed, (12 * i) + k)).ToImmutableArray())]).Sample;
            var variables = Expr.PostOrder(sample.PhasedRoots).Where(n => n.Op is Variable).ToArray();
            var chosen = variables.Where((_, i) => i == 0 || Philox.Bits24(seed, 1000 + i) % 2 == 0).ToArray();
            var (mapped, point, points) = (new Dictionary<Expr, Expr>(), new Dictionary<Expr, RefValue<double>>(), new[] { new Dictionary<Expr, RefValue<double>>(), new Dictionary<Expr, RefValue<double>>() });
            foreach (var variable in variables)
            {
                var value = sample.Point[variable];
                point[variable] = points[0][variable] = points[1][variable] = value;
                if (!chosen.Contains(variable))
                    continue;

                // So near that the same branches are taken, so far that an exchange is seen.
                var other = RefValue<double>.Of(value.Dims, [.. value.Reals!.Select((x, i) => variable.DType == DType.F32 ? x : x * (1 + (1e-6 * (1 + (i % 3)))))]);
                var wide = Expr.Variable("wide", variable.Shape.Insert(0, 2), variable.DType);
                (mapped[variable], points[1][variable], point[wide]) = (wide, other, RefValue<double>.Of([2, .. value.Dims], [.. value.Reals!, .. other.Reals!]));
            }

            foreach (var node in Dependent(sample.PhasedRoots, mapped))
                batched.Add(node.Op.GetType());
            var roots = Phases.Resolve(Batching.Apply(sample.PhasedRoots, mapped, 2), sample.Training);
            var actual = Reference.Evaluate(roots, point, sample.Sizes);
            for (var place = 0; place < 2; place++)
            {
                var expected = Reference.Evaluate(sample.Roots, points[place], sample.Sizes);
                for (var r = 0; r < roots.Length; r++)
                    Close(expected[r], actual[r], place, $"seed {seed}, root {r}, place {place}: {sample.Roots[r]}");
            }
        }

        // Operations that share a rule need it once; indices and keys have a test of their own.
        var rare = new[] { typeof(RngFold), typeof(RngBits), typeof(CustomGradient) };
        static Type Rule(Type op) => op.GetMethod(nameof(Op.Batched))!.DeclaringType!;
        Assert.Empty(RecipeTests.AllOps.Where(t => !t.IsSubclassOf(typeof(Leaf)) && !rare.Contains(t)).Select(Rule).Except(batched.Select(Rule)).Select(t => t.Name));
    }

    [Fact]
    public void Indices_starts_and_keys_may_be_mapped_over()
    {
        var (x, u, table) = (Variable("x", 3, 4), Variable("u", 3, 2), Variable("table", 5));
        var n = Expr.Variable("n", new Shape(3), DType.I64);
        var point = new Dictionary<Expr, RefValue<double>>
        {
            [x] = Numbers(3, 4),
            [u] = Numbers(3, 2),
            [table] = Numbers(5),
            [n] = RefValue<double>.Of([3], [2L, 0, 1]),
        };
        Func<Expr, Expr>[] functions =
        [
            i => table.Take(i), i => table.DynamicSlice(i, 2), i => Expr.Make(new ScatterAdd(0, 0, 5), i.ExpandDims(0), table.SliceAxis(0, 0, 1)),
            i => table.DynamicUpdateSlice(u.SliceAxis(0, 0, 1).Squeeze(0), i), i => x.DynamicUpdateSlice(u, i, 1), i => Rng.Uniform(Rng.Fold(i, 7), new Shape(2)),
            i => x.DynamicSlice(i, 2, 1) * Expr.Scalar(3), i => Expr.Iota(new Shape(4), 0).DynamicUpdateSlice(Expr.Iota(new Shape(2), 0) + 9, i),
        ];
        foreach (var f in functions)
        {
            var actual = Reference.Evaluate([Expr.Vmap(f, n)], point)[0];
            for (var place = 0; place < 3; place++)
                Close(Reference.Evaluate([f(n.SliceAxis(0, place, place + 1).Squeeze(0))], point)[0], actual, place, $"function {Array.IndexOf(functions, f)}, place {place}");
        }

        point[n] = RefValue<double>.Of([3], [2L, 4, 1]);
        Assert.Throws<IndexException>(() => Reference.Evaluate([Expr.Vmap(functions[3], n)], point));
        var open = Expr.Variable("open", new Shape("N"), DType.I64);
        Assert.Contains("rng_fold cannot be mapped over an axis of size N", Assert.Throws<GraphException>(() => Expr.Vmap(functions[5], open)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Mapping_and_differentiating_nest_in_any_order()
    {
        // Gradients one example at a time: they sum to the gradient of the sum.
        var (w, x) = (Variable("w", 4), Expr.Variable("x", new Shape("B", 4)));
        Expr Loss(Expr row) => ((row * w).Sum().Tanh() - 1).Square() + (row.CumProd() * w).Sum();
        var each = Expr.Vmap(row => Loss(row).Grad(w), x);
        var total = Expr.Vmap(Loss, x).Sum();
        var point = new Dictionary<Expr, RefValue<double>> { [w] = Numbers(4), [x] = Numbers(3, 4) };
        Same(total.Grad(w), each.Sum(0), point);

        // Through a rule of one's own, twice, along another axis, and over several tensors.
        Expr Twice(Expr a) => Expr.CustomGradient([a], a.Sin(), (xs, _, dy) => [dy * xs[0].Cos()]);
        var second = Expr.Vmap(column => Expr.Vmap(e => Twice(e).Grad(e).Grad(e), column), x, axis: 1);
        Same((-x.Sin()).Transpose(), second, point);
        var pairs = Expr.Vmap(s => [s[0] * s[1].Sum()], [x, x])[0];
        Same(x * x.Sum(1, keep: true), pairs, point);
        Assert.Contains("a scalar has none", Assert.Throws<ShapeException>(() => Expr.Vmap(e => e, Expr.Scalar(1))).Message, StringComparison.Ordinal);
        Assert.Contains("different sizes", Assert.Throws<ShapeException>(() => Expr.Vmap(s => [s[0]], [Variable("a", 2), Variable("b", 3)])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Jacobians_and_hessians_of_formulas()
    {
        var (a, x) = (Variable("a", 3, 2), Variable("x", 2));
        var point = new Dictionary<Expr, RefValue<double>> { [a] = Numbers(3, 2), [x] = Numbers(2) };
        var y = a.MatMul(x);
        Same(a, y.Jacobian(x), point);
        Assert.Equal(new Shape(3, 3, 2), y.Jacobian(a).Shape);
        Same(y.Tanh().Jacobian(x), (1 - y.Tanh().Square()).ExpandDims(1) * a, point);

        // f = xᵀMx: the Hessian is M + Mᵀ; of a linear function it is 0; the Jacobian of the gradient of tanh is nested once more.
        var m = a.Transpose().MatMul(a) + Expr.Vector(0, 1);
        Same(m + m.Transpose(), x.MatMul(m.MatMul(x)).Hessian(x), point);
        Same(Expr.Full(new Shape(2, 2), 0), y.Sum().Hessian(x), point);
        Same(y.Tanh().Sum().Hessian(x), y.Tanh().Sum().Grad(x).Jacobian(x), point);
        Assert.Equal(new Shape(2, 2, 2), y.Tanh().Sum().Hessian(x).Jacobian(x).Shape);
        Assert.Throws<GraphException>(() => y.Jacobian(Variable("z", 2)));

        // Sizes may be named.
        var v = Expr.Variable("v", new Shape("N"));
        Same(Tensors.Eye("N") * (2 * v), v.Square().Jacobian(v), new Dictionary<Expr, RefValue<double>> { [v] = Numbers(4) });
    }

    private static IEnumerable<Expr> Dependent(IReadOnlyList<Expr> roots, Dictionary<Expr, Expr> mapped)
    {
        var reached = new HashSet<Expr>(mapped.Keys);
        return Expr.PostOrder(roots).Where(n => n.Args.Any(reached.Contains) && reached.Add(n)).ToList();
    }

    private static Expr Variable(string name, params int[] dims) => Expr.Variable(name, new Shape([.. dims.Select(d => Dim.Of(d))]));

    private static RefValue<double> Numbers(params int[] dims) => RefValue<double>.Of(dims, [.. Enumerable.Range(0, (int)Strides.Count(dims)).Select(i => Math.Sin(1 + (2.3 * i)))]);

    private static void Same(Expr expected, Expr actual, Dictionary<Expr, RefValue<double>> point)
    {
        var values = Reference.Evaluate([expected, actual], point, None);
        GraphSamples.Close(values[0], values[1], 1, 1e-12);
    }

    private static void Close(RefValue<double> expected, RefValue<double> actual, int place, string what)
    {
        Assert.Equal(expected.Dims, actual.Dims[1..]);
        for (var i = 0; i < expected.Length; i++)
        {
            var at = (place * expected.Length) + i;
            if (expected.Reals is null)
                Assert.True(expected.Integers![i] == actual.Integers![at], what);
            else
                Assert.True(expected.Reals[i].Equals(actual.Reals![at]) || Math.Abs(expected.Reals[i] - actual.Reals[at]) <= 1e-9 * Math.Max(1, Math.Abs(expected.Reals[i])), $"{what}: {actual.Reals[at]}, should be {expected.Reals[i]}");
        }
    }
}
