using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>The layers. Each call makes a new instance; <c>Layers.Dense(64)</c> applied twice shares its parameters.</summary>
public static partial class Layers
{
    /// <summary>y = x · weight + bias over the last axis; weight is [in, units], bias [units].</summary>
    /// <param name="units">The size of the last axis of the result.</param>
    /// <param name="bias">Whether a bias is added.</param>
    /// <param name="init">What the weight starts from; He or Xavier by what follows, if null.</param>
    /// <param name="biasInit">What the bias starts from; 0 if null.</param>
    public static Layer Dense(int units, bool bias = true, Initializer? init = null, Initializer? biasInit = null)
    {
        RequirePositive("dense", "units", units);
        return new Layer("dense", (context, x) =>
        {
            if (x.Rank < 1)
                throw new ShapeException($"dense takes a tensor with at least one axis, not a scalar", x.Shape);
            var y = x.MatMul(context.Parameter("weight", new Shape(x.Shape[^1], units), init ?? Initializers.Auto));
            return bias ? y + context.Parameter("bias", new Shape(units), biasInit ?? Initializers.Zeros) : y;
        }).Written(LayerNotation.Of("dense", init is null or AutoInitializer, ("units", units, LayerNotation.Required), ("bias", bias, true), ("init", init is AutoInitializer ? null : init, null), ("bias_init", biasInit, null)));
    }

    /// <summary>Rows of a table by whole numbers: y[…, :] = weight[x[…], :]; weight is [vocab, dim] (Mikolov et al. 2013).</summary>
    public static Layer Embedding(int vocab, int dim, Initializer? init = null)
    {
        RequirePositive("embedding", "vocab", vocab);
        RequirePositive("embedding", "dim", dim);
        return new Layer("embedding", (context, x) => x.DType == DType.I64
            ? Weight(context).Take(x)
            : throw new ShapeException($"embedding takes whole numbers, not {x.Type}; declare the input as int{x.Shape}", x.Shape))
        {
            Views = [("attend", (context, x) => x.MatMul(Weight(context).Transpose()))],
        }.Written(LayerNotation.Of("embedding", false, ("vocab", vocab, LayerNotation.Required), ("dim", dim, LayerNotation.Required), ("init", init, null)));

        Expr Weight(LayerContext context) => context.Parameter("weight", new Shape(vocab, dim), init ?? Initializers.Normal(1), new ParameterOptions(NoDecay: true));
    }

    /// <summary>
    /// y = x · weightᵀ with the table of an embedding: a score for each of its rows, sharing the parameter (Press and Wolf 2017, Using the Output
    /// Embedding to Improve Language Models).
    /// </summary>
    /// <exception cref="GraphException">The layer is no embedding.</exception>
    public static Layer Attend(Layer embedding) => embedding.View("attend") ?? throw new GraphException($"{embedding.Kind} is no embedding, so there is nothing to attend to");

    /// <summary>(x − mean) / √(variance + eps) · weight + bias over the last axis (Ba et al. 2016).</summary>
    public static Layer LayerNorm(double eps = 1e-5, Initializer? init = null) => new Layer("layer_norm", (context, x) => Affine(context, Normal(x, -1, eps), init)).Written(LayerNotation.Of("layer_norm", false, ("eps", eps, 1e-5), ("init", init, null)));

    /// <summary>x / √(mean x² + eps) · weight over the last axis (Zhang and Sennrich 2019).</summary>
    public static Layer RmsNorm(double eps = 1e-5, Initializer? init = null) => new Layer("rms_norm", (context, x) =>
        x * (x.Square().Mean(-1, keep: true) + eps).Rsqrt() * context.Parameter("weight", new Shape(x.Shape[^1]), init ?? Initializers.Ones)).Written(LayerNotation.Of("rms_norm", false, ("eps", eps, 1e-5), ("init", init, null)));

    /// <summary>
    /// (x − mean) / √(variance + eps) · weight + bias for each channel of the last axis, over all others: in training the batch's, in
    /// evaluation the running mean and (unbiased) variance, new = momentum · old + (1 − momentum) · batch (Ioffe and Szegedy 2015).
    /// </summary>
    public static Layer BatchNorm(double momentum = 0.9, double eps = 1e-5, Initializer? init = null) => new Layer("batch_norm", (context, x) =>
    {
        if (x.Rank < 2)
            throw new ShapeException($"batch_norm takes a batch of vectors or images, not {x.Shape}", x.Shape);
        var channels = new Shape(x.Shape[^1]);
        var axes = Enumerable.Range(0, x.Rank - 1).ToArray();
        var mean = x.Mean(axes);
        var centred = x - mean;
        var variance = centred.Square().Mean(axes);
        var runningMean = context.Buffer("mean", channels, Initializers.Zeros);
        var runningVariance = context.Buffer("var", channels, Initializers.Ones);
        var count = x.Count(axes.ToValueList());
        var unbiased = variance * (count / (count - 1).Max(1));
        context.Update("mean", (momentum * runningMean) + ((1 - momentum) * mean));
        context.Update("var", (momentum * runningVariance) + ((1 - momentum) * unbiased));
        var inTraining = centred * (variance + eps).Rsqrt();
        var inEvaluation = (x - runningMean) * (runningVariance + eps).Rsqrt();
        return Affine(context, Expr.Phase(inTraining, inEvaluation), init);
    }).Written(LayerNotation.Of("batch_norm", false, ("momentum", momentum, 0.9), ("eps", eps, 1e-5), ("init", init, null)));

    /// <summary>
    /// (x − mean) / √(variance + eps) · weight + bias, mean and variance of each row over all positions and the channels of one group; the channels
    /// are the last axis (Wu and He 2018).
    /// </summary>
    public static Layer GroupNorm(int groups, double eps = 1e-5, Initializer? init = null)
    {
        RequirePositive("group_norm", "groups", groups);
        return new Layer("group_norm", (context, x) =>
        {
            if (x.Rank < 2)
                throw new ShapeException($"group_norm takes a batch of vectors or images, not {x.Shape}", x.Shape);
            var channels = x.Shape[^1];
            if (!Dim.TryDivide(channels, groups, out var size))
                throw new ShapeException($"group_norm: the {channels} channels of {x.Shape} do not divide into {groups} groups", x.Shape, axis: x.Rank - 1);
            var grouped = x.Reshape(new Shape([.. x.Shape.Dims[..^1], groups, size]));
            var axes = Enumerable.Range(1, x.Rank).Where(i => i != x.Rank - 1).ToArray();
            return Affine(context, Normal(grouped, axes, eps).Reshape(x.Shape), init);
        }).Written(LayerNotation.Of("group_norm", false, ("groups", groups, LayerNotation.Required), ("eps", eps, 1e-5), ("init", init, null)));
    }

    /// <summary>
    /// (x − mean) / √(variance + eps) · weight + bias, mean and variance of each row and channel over all positions; the channels are the last axis
    /// (Ulyanov et al. 2016).
    /// </summary>
    public static Layer InstanceNorm(double eps = 1e-5, Initializer? init = null) => new Layer("instance_norm", (context, x) => x.Rank < 3
        ? throw new ShapeException($"instance_norm takes a batch of sequences or images, not {x.Shape}: there is nothing to take a mean over; layer_norm normalizes vectors", x.Shape)
        : Affine(context, Normal(x, [.. Enumerable.Range(1, x.Rank - 2)], eps), init)).Written(LayerNotation.Of("instance_norm", false, ("eps", eps, 1e-5), ("init", init, null)));

    /// <summary>x + weight[position], a vector learned for each position of the axis before the last; weight is [max_len, D] (Gehring et al. 2017).</summary>
    public static Layer PositionalEmbedding(int maxLength, Initializer? init = null)
    {
        RequirePositive("positional_embedding", "max_len", maxLength);
        return new Layer("positional_embedding", (context, x) =>
        {
            var length = Length("positional_embedding", x);
            if (length.IsKnown && length.Value > maxLength)
                throw new ShapeException($"positional_embedding: {x.Shape} has {length} positions, and max_len is {maxLength}", x.Shape, axis: x.Rank - 2);
            var weight = context.Parameter("weight", new Shape(maxLength, x.Shape[^1]), init ?? Initializers.Normal(0.02), new ParameterOptions(NoDecay: true));

            // Taking by numbers checks a length that only a run knows.
            return x + (length.IsKnown && context.Position is null ? weight.SliceAxis(0, 0, length) : weight.Take(context.Positions(length)));
        }).Written(LayerNotation.Of("positional_embedding", false, ("max_len", maxLength, LayerNotation.Required), ("init", init, null)));
    }

    /// <summary>
    /// x + p, p[t, 2i] = sin(t / 10000^(2i/D)) and p[t, 2i + 1] = cos(t / 10000^(2i/D)) for position t of the axis before the last (Vaswani et al. 2017).
    /// </summary>
    public static Layer SinusoidalPositions() => new Layer("sinusoidal_positions", (context, x) =>
    {
        var length = Length("sinusoidal_positions", x);
        var size = x.Shape[^1];
        if (!size.IsKnown || size.Value % 2 != 0)
            throw new ShapeException($"sinusoidal_positions pairs the channels, and the last axis of {x.Shape} is {(size.IsKnown ? "odd" : "not known")}", x.Shape, axis: x.Rank - 1);
        var half = (int)(size.Value / 2);
        var frequencies = Expr.Vector([.. Enumerable.Range(0, half).Select(i => Math.Pow(10000, -(double)i / half))]);
        var angles = context.Positions(length).Cast(DType.Float).ExpandDims(1) * frequencies;
        return x + Expr.Stack(2, angles.Sin(), angles.Cos()).Reshape(new Shape(length, size));
    }).Written(LayerNotation.Of("sinusoidal_positions", false));

    /// <summary>In training, zero with probability <paramref name="rate"/>, the rest scaled by 1 / (1 − rate); in evaluation x (Srivastava et al. 2014).</summary>
    public static Layer Dropout(double rate)
    {
        RequireRate("dropout", "rate", rate);
        return new Layer("dropout", (context, x) => Dropped(context, x, rate)).Written(LayerNotation.Of("dropout", false, ("rate", rate, LayerNotation.Required)));
    }

    /// <summary>x for x &gt; 0, slope · x elsewhere, with a slope learned for each channel of the last axis (He et al. 2015).</summary>
    public static Layer Prelu(double init = 0.25) => new Layer("prelu", (context, x) =>
        Expr.Where(x.GreaterThan(0), x, context.Parameter("slope", new Shape(x.Shape[^1]), Initializers.Constant(init), new ParameterOptions(NoDecay: true)) * x)).Written(LayerNotation.Of("prelu", false, ("init", init, 0.25)));

    /// <summary>x + f(x) (He et al. 2016).</summary>
    /// <param name="f">The branch; its result has the shape of x.</param>
    /// <param name="zero">Starts the branch at zero by a learned scale, so that the block begins as the identity (Bachlechner et al. 2020).</param>
    public static Layer Residual(Layer f, bool zero = false) => Residual(f.Apply, zero);

    /// <inheritdoc cref="Residual(Layer, bool)"/>
    public static Layer Residual(Func<Expr, Expr> f, bool zero = false) => new("residual", (context, x) =>
    {
        var branch = f(x);
        if (!branch.Shape.Equals(x.Shape))
            throw new ShapeException($"residual: the branch turns {x.Shape} into {branch.Shape}, and only the same shape can be added", x.Shape, branch.Shape);
        return x + (zero ? branch * context.Parameter("scale", Shape.Scalar, Initializers.Zeros) : branch);
    });

    /// <summary>One layer after the other.</summary>
    public static Layer Sequential(params ReadOnlySpan<Layer> layers)
    {
        var all = ImmutableArray.Create(layers);
        return new("sequential", (_, inputs) => all.Aggregate(inputs, (x, layer) => layer.ApplyAll(x)));
    }

    /// <summary>So many layers in series, each made afresh: <c>Layers.Repeat(4, i =&gt; Layers.Dense(64))</c>.</summary>
    /// <param name="count">How many.</param>
    /// <param name="make">Makes the layer of a number, from 0; return one instance each time to share its parameters.</param>
    public static Layer Repeat(int count, Func<int, Layer> make)
    {
        ArgumentNullException.ThrowIfNull(make);
        Ranges.Count("repeat", "n", count, least: 0);
        return Sequential([.. Enumerable.Range(0, count).Select(make)]);
    }

    /// <summary>A function of expressions as a layer: <c>Layers.Function("gelu", x =&gt; x.Gelu())</c>.</summary>
    public static Layer Function(string kind, Func<Expr, Expr> function) => new(kind, (_, x) => function(x));

    public static Expr Apply(this Expr x, Layer layer) => layer.Apply(x);

    public static Expr Dense(this Expr x, int units, bool bias = true, Initializer? init = null, Initializer? biasInit = null) => Dense(units, bias, init, biasInit).Apply(x);

    public static Expr Embedding(this Expr x, int vocab, int dim, Initializer? init = null) => Embedding(vocab, dim, init).Apply(x);

    public static Expr LayerNorm(this Expr x, double eps = 1e-5, Initializer? init = null) => LayerNorm(eps, init).Apply(x);

    public static Expr RmsNorm(this Expr x, double eps = 1e-5, Initializer? init = null) => RmsNorm(eps, init).Apply(x);

    public static Expr BatchNorm(this Expr x, double momentum = 0.9, double eps = 1e-5, Initializer? init = null) => BatchNorm(momentum, eps, init).Apply(x);

    public static Expr GroupNorm(this Expr x, int groups, double eps = 1e-5, Initializer? init = null) => GroupNorm(groups, eps, init).Apply(x);

    public static Expr InstanceNorm(this Expr x, double eps = 1e-5, Initializer? init = null) => InstanceNorm(eps, init).Apply(x);

    public static Expr PositionalEmbedding(this Expr x, int maxLength, Initializer? init = null) => PositionalEmbedding(maxLength, init).Apply(x);

    public static Expr SinusoidalPositions(this Expr x) => SinusoidalPositions().Apply(x);

    public static Expr Dropout(this Expr x, double rate) => Dropout(rate).Apply(x);

    public static Expr Prelu(this Expr x) => Prelu().Apply(x);

    public static Expr Residual(this Expr x, Layer f, bool zero = false) => Residual(f, zero).Apply(x);

    internal static void RequirePositive(string layer, string what, int value)
    {
        if (value < 1)
            throw new RangeException(what, $"{layer}: {what} must be at least 1, not {value}");
    }

    /// <summary>The size of the axis before the last.</summary>
    private static Dim Length(string layer, Expr x) => x.Rank < 2
        ? throw new ShapeException($"{layer} takes sequences [..., T, D], not {x.Shape}", x.Shape)
        : x.Shape[^2];

    /// <summary>(x − mean) / √(variance + eps) over some axes.</summary>
    private static Expr Normal(Expr x, Axes axes, double eps)
    {
        var centred = x - x.Mean(axes, keep: true);
        return centred * (centred.Square().Mean(axes, keep: true) + eps).Rsqrt();
    }

    private static Expr Affine(LayerContext context, Expr x, Initializer? init)
    {
        var shape = new Shape(x.Shape[^1]);
        return (x * context.Parameter("weight", shape, init ?? Initializers.Ones)) + context.Parameter("bias", shape, Initializers.Zeros);
    }
}
