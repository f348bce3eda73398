using Dnn.Checking;
using Xunit;

namespace Dnn.Graph.Tests;

/// <summary>Attention, Transformers and graph networks: both derivatives, what masks guarantee, mistakes. Values are held to references elsewhere.</summary>
public class AttentionTests
{
    public static TheoryData<string, Func<Expr, Expr>> Made { get; } = new()
    {
        { "causal", x => x.Attention(2, causal: true) },
        { "shared heads", x => x.Attention(4, kvHeads: 2, bias: false) },
        { "rotated", x => x.Attention(2, causal: true, rope: true) },
        { "to another", x => x.AttentionTo(x.SliceAxis(1, 0, 2).SliceAxis(2, 0, 3), 2) },
        { "masked, a row of it all", x => x.Attention(2, mask: Open(x, (q, _) => q.GreaterThan(0))) },
        { "rope", x => x.Rope() },
        { "block", x => x.TransformerBlock(2, mlp: 1, norm: () => Layers.RmsNorm()) },
        { "graph_conv", x => Rows(x).GraphConv(Edges, 3) },
        { "graph_attention", x => Rows(x).GraphAttention(Edges, 2, 2) },
        { "message_passing", x => Rows(x).MessagePassing(Edges, Layers.Dense(2), mean: true) },
    };

    private static Expr Edges => Expr.Vector(0, 1, 1, 0, 2, 1, 1, 2, 0, 2, 2, 2).Reshape(new Shape(6, 2)).Cast(DType.I64);

    [Theory]
    [MemberData(nameof(Made))]
    public void Both_derivatives_are_right(string name, Func<Expr, Expr> make)
    {
        var (y, model) = Applied(make, new Shape(1, 3, 4));
        Expr[] variables = [model.Inputs[0].Value, .. model.Parameters.Select(p => p.Variable)];
        var report = GradientChecker.Check(y, variables, Point(variables), new GradientCheckOptions(Order: 2));
        Assert.True(report.Passed, $"{name}: {report}");
    }

    /// <summary>No position sees a later one, and where nothing takes part there is neither a value nor a gradient that is not a number.</summary>
    [Fact]
    public void A_mask_hides_all_of_what_it_hides()
    {
        var (y, model) = Applied(x => x.Attention(2, causal: true), new Shape(1, 3, 4));
        var x = model.Inputs[0].Value;
        Expr[] variables = [x, .. model.Parameters.Select(p => p.Variable)];
        var slope = y.SliceAxis(1, 0, 2).Sum().Grad(x);
        Assert.Equal([0, 0, 0, 0], Reference.Evaluate([slope], Point(variables))[0].Reals![8..]);

        (y, model) = Applied(x => x.Attention(2, mask: Open(x, (q, _) => q.GreaterThan(0)), bias: false), new Shape(1, 3, 4));
        x = model.Inputs[0].Value;
        variables = [x, .. model.Parameters.Select(p => p.Variable)];
        var point = Point(variables);
        Assert.Equal([0, 0, 0, 0], Reference.Evaluate([y], point)[0].Reals![..4]);
        var first = Gradient.Of(y.Square().Sum(), [.. variables]);
        var second = Gradient.Of(first.Aggregate(Expr.Zero, (sum, g) => sum + g!.Square().Sum()), [.. variables]);
        Assert.All(Reference.Evaluate([.. first.Concat(second).Select(g => g!)], point), v => Assert.All(v.Reals!, g => Assert.True(double.IsFinite(g))));
    }

    /// <summary>A mask of two axes is one of pairs, or one of rows where its first size is that of the batch.</summary>
    [Fact]
    public void Masks_of_any_rank_say_the_same()
    {
        var masks = new Func<Expr, Expr>[]
        {
            _ => Expr.Iota(new Shape("B", "T"), 1).LessThan(2),
            _ => Expr.Iota(new Shape("T", "T"), 1).LessThan(2),
            _ => Expr.Iota(new Shape("B", "T", "T"), 2).LessThan(2),
            _ => Expr.Iota(new Shape("B", 2, "T", "T"), 3).LessThan(2),
            _ => Expr.Iota(new Shape("T"), 0).LessThan(2),
        };
        var values = masks.Select(mask =>
        {
            var (y, model) = Applied(x => x.Attention(2, mask: mask(x)), new Shape("B", "T", 4));
            Expr[] variables = [model.Inputs[0].Value, .. model.Parameters.Select(p => p.Variable)];
            return Reference.Evaluate([y], Point(variables, ("B", 3), ("T", 4)))[0].Reals!;
        }).ToArray();
        Assert.All(values, v => Assert.All(v.Zip(values[0]), p => Assert.Equal(p.Second, p.First, 1e-14)));
    }

    [Fact]
    public void Softmax_of_segments_is_that_of_each_alone_whatever_the_scores()
    {
        var segments = Expr.Vector(0, 2, 0, 2, 2, 0, 3).Cast(DType.I64);
        foreach (var scale in new[] { 1.0, 30, 1000, 1e5 })
        {
            double[] at = [.. Enumerable.Range(0, 7).Select(i => scale * Math.Sin((2.1 * i) + 1))];
            double[] owner = [0, 2, 0, 2, 2, 0, 3];
            var x = Expr.Variable("x", new Shape(7));
            var found = Reference.Evaluate([Layers.SegmentSoftmax(x, segments, 5)], new Dictionary<Expr, RefValue<double>> { [x] = RefValue<double>.Of([7], at) })[0].Reals!;
            for (var i = 0; i < 7; i++)
            {
                var peers = at.Where((_, j) => owner[j] == owner[i]).ToArray();
                Assert.Equal(Math.Exp(at[i] - peers.Max()) / peers.Sum(p => Math.Exp(p - peers.Max())), found[i], 1e-12);
            }
        }
    }

    [Fact]
    public void A_part_is_one_instance_however_often_the_layer_is_applied()
    {
        var block = Layers.TransformerBlock(2).Named("b");
        var model = Model.Build("M", m => m.Output("y", block.Apply(block.Apply(m.Input("x", "B", "T", 4)))));
        Assert.Equal(["b.norm_0.weight", "b.norm_0.bias", "b.attn.wq.weight"], model.Parameters.Take(3).Select(p => p.Path));
        Assert.Equal(16, model.Parameters.Length);
    }

    public static TheoryData<string, Func<Expr, Expr>> Mistakes { get; } = new()
    {
        { "heads must be at least 1, not 0", x => x.Attention(0) },
        { "the 4 channels of [1, 3, 4] do not divide into 3 heads", x => x.Attention(3) },
        { "3 heads of keys and values do not divide the 4 heads", x => x.Attention(4, kvHeads: 3) },
        { "dropout is the probability", x => x.Attention(2, dropout: 1) },
        { "it goes with causal = true", x => x.Attention(2, cache: 8) },
        { "takes sequences [B, T, D], not [3, 4]", x => Rows(x).Attention(2) },
        { "different batch sizes", x => x.AttentionTo(Expr.Concat(0, x, x), 2) },
        { "the mask must be bool", x => x.Attention(2, mask: Expr.Vector(1, 0, 1)) },
        { "with B = 1, T = 3 queries and S = 3 keys, the mask is [T, S]", x => x.Attention(2, mask: Expr.Vector(1, 0).GreaterThan(0)) },
        { "times the 4 channels of [1, 3, 4] is no whole number", x => x.TransformerBlock(2, mlp: 0.3) },
        { "is odd", x => x.SliceAxis(2, 0, 3).Rope() },
        { "base must be above 1", x => x.Rope(0) },
        { "takes (x, edges), not 1 tensor", x => Layers.GraphConv(2).Apply(Rows(x)) },
        { "a row a node, [N, D]", x => x.GraphConv(Edges, 2) },
        { "transpose(edges) turns [2, E] around", x => Rows(x).GraphConv(Edges.Transpose(), 2) },
        { "units must be at least 1", x => Rows(x).GraphAttention(Edges, 0) },
        { "must give a row an edge", x => Rows(x).MessagePassing(Edges, Layers.Function("sum", m => m.Sum())) },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void A_mistake_is_explained(string message, Func<Expr, Expr> make) =>
        Assert.Contains(message, Assert.ThrowsAny<GraphException>(() => Applied(make, new Shape(1, 3, 4))).Message, StringComparison.Ordinal);

    [Fact]
    public void A_node_that_is_not_there_is_an_error_while_running()
    {
        var (y, model) = Applied(x => Rows(x).GraphConv(Edges + 1, 2), new Shape(1, 3, 4));
        Expr[] variables = [model.Inputs[0].Value, .. model.Parameters.Select(p => p.Variable)];
        Assert.Contains("index 3", Assert.Throws<IndexException>(() => Reference.Evaluate([y], Point(variables))).Message, StringComparison.Ordinal);
    }

    private static Expr Rows(Expr x) => x.Reshape(new Shape(3, 4));

    private static Expr Open(Expr x, Func<Expr, Expr, Expr> test)
    {
        var pairs = new Shape(x.Shape[1], x.Shape[1]);
        return test(Expr.Iota(pairs, 0), Expr.Iota(pairs, 1));
    }

    private static (Expr Value, Model Model) Applied(Func<Expr, Expr> make, Shape shape)
    {
        var model = Model.Build("M", m => m.Output("y", make(m.Input("x", [.. shape.Dims]))));
        return (model.Outputs[0].Value, model);
    }

    private static Dictionary<Expr, RefValue<double>> Point(Expr[] variables, params (string Name, long Size)[] sizes)
    {
        var known = sizes.ToDictionary(s => s.Name, s => s.Size);
        return variables.Select((v, n) => (v, n, Dims: v.Shape.Evaluate(known))).ToDictionary(
            t => t.v, t => RefValue<double>.Of(t.Dims, [.. Enumerable.Range(0, t.Dims.Aggregate(1, (a, b) => a * b)).Select(i => Math.Sin((1.7 * i) + t.n))]));
    }
}
