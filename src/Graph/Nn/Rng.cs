namespace Dnn.Graph;

/// <summary>Random tensors as functions of a key.</summary>
public static class Rng
{
    private const double Unit = 1.0 / (1 << 24);

    /// <summary>Uniform in [0, 1), in steps of 2⁻²⁴.</summary>
    public static Expr Uniform(Expr key, Shape shape) => Bits(key, shape).Cast(DType.Float) * Unit;

    /// <summary>Standard normal, by Box and Muller (1958).</summary>
    public static Expr Normal(Expr key, Shape shape)
    {
        // (0, 1], so that the logarithm is finite.
        var u = (Bits(Fold(key, 0), shape).Cast(DType.Float) + 1) * Unit;
        return (-2 * u.Log()).Sqrt() * (2 * Math.PI * Uniform(Fold(key, 1), shape)).Cos();
    }

    /// <summary>True with probability p.</summary>
    public static Expr Bernoulli(Expr key, Shape shape, double p = 0.5) => Uniform(key, shape).LessThan(p);

    /// <summary>A key made of a key and a number.</summary>
    public static Expr Fold(Expr key, double data) => Expr.Make(new RngFold(), key, Expr.Scalar(data, DType.I64));

    private static Expr Bits(Expr key, Shape shape) => Expr.Make(new RngBits(shape), key);
}
