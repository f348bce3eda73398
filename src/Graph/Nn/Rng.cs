namespace Dnn.Graph;

/// <summary>Random tensors as functions of a key.</summary>
public static class Rng
{
    /// <summary>The step from one uniform number to the next: 2⁻²⁴.</summary>
    public const double Unit = 1.0 / (1 << 24);

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

    /// <summary>Classes along an axis, each with probability softmax(logits): the largest of logits with Gumbel noise (Maddison et al. 2014).</summary>
    public static Expr Categorical(Expr key, Expr logits, int axis = -1)
    {
        // Inside (0, 1), so that both logarithms are finite.
        var u = (Bits(key, logits.Shape).Cast(DType.Float) + 0.5) * Unit;
        return (logits - (-u.Log()).Log()).StopGradient().ArgMax(axis);
    }

    /// <summary>0 … n − 1 in an order of which all are equally likely.</summary>
    public static Expr Permutation(Expr key, Dim n)
    {
        // 48 bits: that two are equal, and keep their order, is as good as impossible.
        var shape = new Shape(n);
        return ((Bits(Fold(key, 0), shape) * (1 << 24)) + Bits(Fold(key, 1), shape)).ArgSort();
    }

    /// <summary>A key made of a key and a number.</summary>
    public static Expr Fold(Expr key, double data) => Expr.Make(new RngFold(), key, Expr.Scalar(data, DType.I64));

    private static Expr Bits(Expr key, Shape shape) => Expr.Make(new RngBits(shape), key);
}
