using System.Collections.Immutable;
using Xunit;

namespace Dnn.Graph.Tests;

/// <summary>A scan is the loop written out: in value, and in derivatives of every order.</summary>
public class ScanTests
{
    private const int Steps = 3;

    private static readonly Expr X = Expr.Variable("x", new Shape("T", "B", 2));
    private static readonly Expr S = Expr.Variable("s", new Shape("B", 2));
    private static readonly Expr W = Expr.Variable("w", new Shape(2, 2));
    private static readonly Expr V = Expr.Variable("v", new Shape(2));
    private static readonly Expr[] All = [X, S, W, V];

    private static readonly Dictionary<Expr, RefValue<double>> Point = All.Select((v, k) => (v, k)).ToDictionary(p => p.v, p => Values(p.v, p.k));

    private static RefValue<double> Values(Expr x, int seed)
    {
        var dims = x.Shape.Evaluate(new Dictionary<string, long> { ["T"] = Steps, ["B"] = 2 });
        return RefValue<double>.Of(dims, [.. Enumerable.Range(0, (int)Strides.Count(dims)).Select(i => Math.Sin(1 + (3.7 * seed) + (1.3 * i)))]);
    }

    public static TheoryData<string, Func<Expr, Expr, (Expr, Expr)>> Cells { get; } = new()
    {
        { "tanh", (s, x) => ((s.MatMul(W) + x + V).Tanh(), x) },
        { "gates", (s, x) => { var z = s.MatMul(W) + x; var f = z.Sigmoid(); var next = (f * s) + ((1 - f) * (z * V).Tanh()); return (next, next * V); } },
        { "map", (s, x) => (s, (x * V).Sin()) },
        { "last", (s, x) => (x * V, s.Square()) },
        { "product", (s, x) => (s * x, s.MatMul(W * W).Sum(1)) },
        { "masked", (s, x) => (Expr.Where(x.Sum(1, keep: true).GreaterThan(0.3), s.Relu() + x, s), s.Abs()) },
        { "nothing", (s, x) => (s, s) },
        { "weights that change", (s, x) => (s.MatMul(W + (V * x.Sum())).Tanh(), s) },
        { "input products", (s, x) => ((s.MatMul(W) + x.MatMul(W) + V).Tanh(), (x * V).MatMul(W).Relu().MatMul(W * W) + x.MatMul(W).Sum(1, keep: true)) },
        { "weights outside", (s, x) => (s.MatMul(W * W * V.Sum()).Tanh() + S, s + x) },
    };

    private static Expr Loss(Expr last, Expr ys) => ((last + 0.3) * last * 2).Sum() + (ys.Sin() * ys).Sum();

    private static Expr Looped(Func<Expr, Expr, (Expr, Expr)> cell, bool reverse) => X.Scan(S, cell, 0, reverse) is var (last, ys) ? Loss(last, ys) : S;

    private static Expr Unrolled(Func<Expr, Expr, (Expr, Expr)> cell, bool reverse)
    {
        var (state, outputs) = (S, new Expr[Steps]);
        for (var i = 0; i < Steps; i++)
        {
            var t = reverse ? Steps - 1 - i : i;
            (state, outputs[t]) = cell(state, X.SliceAxis(0, t, t + 1).Reshape(new Shape("B", 2)));
        }

        return Loss(state, Expr.Stack(0, outputs));
    }

    [Theory]
    [MemberData(nameof(Cells))]
    public void It_is_the_loop_written_out(string name, Func<Expr, Expr, (Expr, Expr)> cell)
    {
        Assert.NotEmpty(name);
        foreach (var reverse in new[] { false, true })
        {
            var (looped, unrolled) = (Looped(cell, reverse), Unrolled(cell, reverse));
            Equal([unrolled], [looped]);
            var (first, expected) = (Gradient.Of(looped, All), Gradient.Of(unrolled, All));
            Equal(expected, first);

            // The gradient of a weighted sum of the gradients, and the same of that.
            Equal(Gradient.Of(Weighted(expected), All), Gradient.Of(Weighted(first), All));
            var rewritten = Rewriter.Default.Rewrite(Gradient.Of(Weighted(first), All).OfType<Expr>().ToArray());
            Verifier.Verify(rewritten);
            Equal(Gradient.Of(Weighted(expected), All).OfType<Expr>().ToArray(), rewritten);
        }
    }

    private static Expr Weighted(Expr?[] gradients) => gradients.OfType<Expr>().Select((g, i) => (g * g * (i + 1)).Sum() + g.Sum()).Aggregate((a, b) => a + b);

    private static void Equal(IReadOnlyList<Expr?> expected, IReadOnlyList<Expr?> actual)
    {
        Assert.Equal(expected.Count, actual.Count);
        for (var i = 0; i < expected.Count; i++)
        {
            if (expected[i] is null || actual[i] is null)
            {
                Assert.True(actual[i] is null, $"{i}: {actual[i]}");
                continue;
            }

            var values = Reference.Evaluate([expected[i]!, actual[i]!], Point, new Dictionary<string, long> { ["T"] = Steps });
            Assert.Equal(values[0].Dims, values[1].Dims);
            for (var k = 0; k < values[0].Length; k++)
                Assert.True(Math.Abs(values[0].Reals![k] - values[1].Reals![k]) <= 1e-11 * (1 + Math.Abs(values[0].Reals![k])), $"{i}[{k}]: {values[0].Reals![k]} and {values[1].Reals![k]}");
        }
    }

    [Fact]
    public void Products_that_the_elements_alone_decide_are_one_product_outside()
    {
        var (last, ys) = X.Scan(S, (s, x) => (((s.MatMul(W) + (x * V).MatMul(W)).Tanh(), x.MatMul(W).Relu().MatMul(W * W) + s)), 0);
        foreach (var scan in Expr.PostOrder([last, ys]).Select(n => n.Op).OfType<Scan>())
        {
            var product = Assert.Single(Expr.PostOrder(scan.Body.Next), n => n.Op is DotGeneral);
            Assert.Equal(0, Assert.IsType<BodyParameter>(product.Args[0].Op).Index);
            Assert.True(scan.Output is null || !Expr.PostOrder([scan.Output]).Any(n => n.Op is DotGeneral));
        }
    }

    [Fact]
    public void A_model_has_every_function_inside_of_nodes_once_and_those_in_functions_first()
    {
        var model = Model.Build("M", m =>
        {
            var x = m.Input("x", "B", 5, 4);
            var (_, outer) = x.Scan(Expr.Full(new Shape("B", 4), 0), (state, element) =>
            {
                var (inner, _) = element.Scan(Expr.Full(new Shape("B"), 0), (sum, number) => ((sum + number).Tanh(), number));
                return ((state * element) + inner.ExpandDims(1), state);
            });
            m.Output("y", Checkpoint.Apply([outer.Rnn(3)], h => [h[0].Exp().Sin()])[0]);
        });

        Assert.Equal([null, null, "rnn", null], model.Bodies.Select(b => b.Scope?.Kind));
        Assert.Equal([1, 1, 0, null], model.Bodies.Select(b => b.Walk?.Axis));
        var graph = Expr.PostOrder(model.Outputs.Select(o => o.Value)).ToHashSet();
        foreach (var body in model.Bodies)
        {
            Assert.Equal(body.Inputs.Length, body.Given.Length);
            Assert.Equal(body.Made.Select(made => made.Type), body.Results.Select((result, i) => i < body.Walk?.States || body.Walk is null ? result.Type : body.Made[i].Type));
            Assert.All(body.Given, given => Assert.DoesNotContain(given, body.Walk is null ? [] : graph));
            Assert.Equal(body != model.Bodies[0], body.Made.Any(graph.Contains));
        }
    }
}
