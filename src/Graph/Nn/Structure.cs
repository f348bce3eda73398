using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>Layers made of layers, and those that drop whole branches.</summary>
public static partial class Layers
{
    /// <summary>Several layers on the same tensors: the results of all, in order. <see cref="Layer.ApplyAll"/> takes them.</summary>
    public static Layer Parallel(params ReadOnlySpan<Layer> layers)
    {
        var all = ImmutableArray.Create(layers);
        return new("parallel", (_, inputs) => [.. all.SelectMany(layer => layer.ApplyAll(inputs))]);
    }

    /// <summary>f on each step of the axis after the batch, with the same parameters: y[b, t, …] = f(x[b, t, …]). f sees [B · T, …].</summary>
    public static Layer TimeDistributed(Layer f) => TimeDistributed(f.Apply);

    /// <inheritdoc cref="TimeDistributed(Layer)"/>
    public static Layer TimeDistributed(Func<Expr, Expr> f) => new("time_distributed", (_, x) =>
    {
        if (x.Rank < 2)
            throw new ShapeException($"time_distributed takes sequences [B, T, ...], not {x.Shape}", x.Shape);
        var steps = x.Shape[0] * x.Shape[1];
        var y = f(x.Reshape(new Shape([steps, .. x.Shape.Dims[2..]])));
        if (y.Rank < 1 || Dim.AreEqual(y.Shape[0], steps) == Answer.Refuted)
            throw new ShapeException($"time_distributed: the layer turns {steps} steps into {y.Shape}, and must give one result a step", x.Shape, y.Shape);
        return y.Reshape(new Shape([x.Shape[0], x.Shape[1], .. y.Shape.Dims[1..]]));
    });

    /// <summary>In training, whole rows become 0 with probability <paramref name="rate"/>, the rest is scaled by 1 / (1 − rate); in evaluation x (Huang et al. 2016).</summary>
    public static Layer DropPath(double rate)
    {
        RequireRate("drop_path", "rate", rate);
        return new("drop_path", (context, x) =>
        {
            if (x.Rank < 1)
                throw new ShapeException("drop_path takes a batch, not a scalar", x.Shape);
            if (rate == 0)
                return x;
            var kept = Rng.Uniform(context.RandomKey(), new Shape([x.Shape[0], .. Enumerable.Repeat(Dim.One, x.Rank - 1)])).GreaterOrEqual(rate);
            return Expr.Phase(Expr.Where(kept, x * (1 / (1 - rate)), 0), x);
        });
    }

    /// <inheritdoc cref="TimeDistributed(Layer)"/>
    public static Expr TimeDistributed(this Expr x, Layer f) => TimeDistributed(f).Apply(x);

    /// <inheritdoc cref="DropPath(double)"/>
    public static Expr DropPath(this Expr x, double rate) => DropPath(rate).Apply(x);
}
