namespace Dnn.Graph;

public static partial class Layers
{
    /// <summary>f of every slice along an axis; the results lie along a new first axis. f sees a slice without the axis, and shares its parameters among all.</summary>
    public static Layer Vmap(Layer f, int axis = 0) => Vmap(f.Apply, axis);

    /// <inheritdoc cref="Vmap(Layer, int)"/>
    public static Layer Vmap(Func<Expr, Expr> f, int axis = 0) => new("vmap", (_, x) => Expr.Vmap(f, x, axis));

    /// <inheritdoc cref="Vmap(Layer, int)"/>
    public static Expr Vmap(this Expr x, Layer f, int axis = 0) => Vmap(f, axis).Apply(x);
}
