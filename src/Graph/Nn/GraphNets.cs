namespace Dnn.Graph;

/// <summary>
/// Layers on graphs: x is [N, D], a row a node, and edges are pairs (from, to) of row numbers, int[E, 2]. An edge carries what stands at its first node to its second; an
/// undirected graph lists both directions. A number that is no row is an <see cref="IndexException"/> while running.
/// </summary>
public static partial class Layers
{
    /// <summary>
    /// yᵢ = Σⱼ (x·weight)ⱼ / √(dᵢ dⱼ) + bias over the edges j → i and i itself, dᵢ the number of terms of i (Kipf and Welling 2017): [N, D] → [N, units]; weight is [D, units].
    /// </summary>
    /// <param name="units">The size of the last axis of the result.</param>
    /// <param name="bias">Whether a bias is added.</param>
    public static Layer GraphConv(int units, bool bias = true)
    {
        RequirePositive("graph_conv", "units", units);
        return new("graph_conv", (context, inputs) =>
        {
            var (x, from, to) = Edges("graph_conv", inputs);
            var h = x.MatMul(context.Parameter("weight", new Shape(x.Shape[1], units), Initializers.Auto));
            var ones = Expr.Full(new Shape(x.Shape[0], 1), 1);
            var scale = ones.ScatterAdd(to, 1).Rsqrt();
            var sent = h * scale;
            var y = sent.ScatterAdd(to, sent.Take(from)) * scale;
            return [bias ? y + context.Parameter("bias", new Shape(units), Initializers.Zeros) : y];
        });
    }

    /// <summary>
    /// yᵢ = Σⱼ αᵢⱼ zⱼ + bias by heads over the edges j → i and i itself, z = x·weight, αᵢⱼ = softmaxⱼ leaky_relu(source·zⱼ + target·zᵢ) with slope 0.2 (Veličković et al. 2018):
    /// [N, D] → [N, heads · units]; weight is [D, heads · units], source and target are [heads, units].
    /// </summary>
    /// <param name="units">The channels of each head.</param>
    /// <param name="heads">The number of heads.</param>
    /// <param name="concat">Whether heads stand side by side; otherwise the result is their mean, [N, units], for a last layer.</param>
    /// <param name="bias">Whether a bias is added.</param>
    public static Layer GraphAttention(int units, int heads = 1, bool concat = true, bool bias = true)
    {
        RequirePositive("graph_attention", "units", units);
        RequirePositive("graph_attention", "heads", heads);
        return new("graph_attention", (context, inputs) =>
        {
            var (x, from, to) = Edges("graph_attention", inputs);
            var nodes = x.Shape[0];
            var z = x.MatMul(context.Parameter("weight", new Shape(x.Shape[1], heads * units), Initializers.Auto)).Reshape(new Shape(nodes, heads, units));
            var source = (z * context.Parameter("source", new Shape(heads, units), Initializers.XavierUniform)).Sum(-1);
            var target = (z * context.Parameter("target", new Shape(heads, units), Initializers.XavierUniform)).Sum(-1);

            // Every node is its own neighbour.
            var self = Expr.Iota(new Shape(nodes), 0);
            (from, to) = (Expr.Concat(0, from, self), Expr.Concat(0, to, self));
            var weights = SegmentSoftmax((source.Take(from) + target.Take(to)).LeakyRelu(0.2), to, nodes);
            var y = Expr.Full(z.Shape, 0).ScatterAdd(to, weights.ExpandDims(2) * z.Take(from));
            y = concat ? y.Reshape(new Shape(nodes, heads * units)) : y.Mean(1);
            return [bias ? y + context.Parameter("bias", new Shape(y.Shape[1]), Initializers.Zeros) : y];
        });
    }

    /// <summary>yᵢ = Σⱼ f([xᵢ, xⱼ]) over the edges j → i (Gilmer et al. 2017): [N, D] → [N, M] for f: [E, 2·D] → [E, M].</summary>
    /// <param name="f">What an edge says, from both of its nodes side by side, the one that is told first.</param>
    /// <param name="mean">Whether a node takes the mean of what it is told rather than the sum; the mean of nothing is 0.</param>
    public static Layer MessagePassing(Layer f, bool mean = false) => MessagePassing(f.Apply, mean);

    /// <inheritdoc cref="MessagePassing(Layer, bool)"/>
    public static Layer MessagePassing(Func<Expr, Expr> f, bool mean = false) => new("message_passing", (_, inputs) =>
    {
        var (x, from, to) = Edges("message_passing", inputs);
        var told = f(Expr.Concat(1, x.Take(to), x.Take(from)));
        if (told.Rank != 2 || Dim.AreEqual(told.Shape[0], from.Shape[0]) == Answer.Refuted)
            throw new ShapeException($"message_passing: the layer turns [{from.Shape[0]}, {x.Shape[1] * 2}] into {told.Shape}, and must give a row an edge", x.Shape, told.Shape);
        var y = Expr.Full(new Shape(x.Shape[0], told.Shape[1]), 0).ScatterAdd(to, told);
        return [mean ? y / Expr.Full(new Shape(x.Shape[0], 1), 0).ScatterAdd(to, 1).Max(1) : y];
    });

    /// <summary>e^xᵢ / Σ e^xⱼ over the rows j of the same segment: x is [E, ...], segments are int[E] below a count.</summary>
    public static Expr SegmentSoftmax(Expr x, Expr segments, Dim count)
    {
        // Any constant may be taken out of a segment, and there is no maximum by segment: mean + √Σ(x − mean)² is an upper bound of it, and the logarithm of the sum of
        // exponentials, at a temperature at which none is lost, one that is nearer by log n / 32; twice, it neither overflows nor loses all terms.
        var constant = x.StopGradient();
        var size = Total(constant.OnesLike()).Max(1);
        var mean = Total(constant) / size;
        // Rows that are alike have no gap, where a root has no derivative.
        var gap = (Total((constant - mean.Take(segments)).Square()) + 1e-12).Sqrt();
        var bound = mean + gap;
        for (var i = 0; i < 2; i++)
        {
            var temperature = (gap / 32).Max(1);
            bound += temperature * Total(((constant - bound.Take(segments)) / temperature.Take(segments)).Exp()).Max(1e-30).Log();
            gap = temperature * size.Log();
        }

        var e = (x - bound.Take(segments).StopGradient()).Exp();
        return e / Total(e).Take(segments);

        Expr Total(Expr of) => Expr.Full(new Shape([count, .. x.Shape.Dims[1..]]), 0).ScatterAdd(segments, of);
    }

    /// <summary>The rows of nodes and both ends of the edges.</summary>
    private static (Expr X, Expr From, Expr To) Edges(string layer, IReadOnlyList<Expr> inputs)
    {
        if (inputs is not [var x, var edges])
            throw new GraphException($"{layer} takes (x, edges), not {inputs.Count} {(inputs.Count == 1 ? "tensor" : "tensors")}");
        if (x.Rank != 2)
            throw new ShapeException($"{layer} takes a row a node, [N, D], not {x.Shape}", x.Shape);
        if (edges.DType != DType.I64 || edges.Rank != 2 || Dim.AreEqual(edges.Shape[1], 2) == Answer.Refuted)
        {
            var hint = edges.Rank == 2 && edges.Shape[0].Equals(Dim.Of(2)) ? "; transpose(edges) turns [2, E] around" : "";
            throw new ShapeException($"{layer}: edges are pairs of row numbers, int[E, 2], not {edges.Type}{hint}", x.Shape, edges.Shape);
        }

        return (x, edges.SliceAxis(1, 0, 1).Squeeze(1), edges.SliceAxis(1, 1, 2).Squeeze(1));
    }

    /// <inheritdoc cref="GraphConv(int, bool)"/>
    public static Expr GraphConv(this Expr x, Expr edges, int units, bool bias = true) => GraphConv(units, bias).ApplyAll([x, edges])[0];

    /// <inheritdoc cref="GraphAttention(int, int, bool, bool)"/>
    public static Expr GraphAttention(this Expr x, Expr edges, int units, int heads = 1, bool concat = true, bool bias = true) => GraphAttention(units, heads, concat, bias).ApplyAll([x, edges])[0];

    /// <inheritdoc cref="MessagePassing(Layer, bool)"/>
    public static Expr MessagePassing(this Expr x, Expr edges, Layer f, bool mean = false) => MessagePassing(f, mean).ApplyAll([x, edges])[0];
}
