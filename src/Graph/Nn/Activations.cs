namespace Dnn.Graph;

/// <summary>The activation functions that are more than one primitive. Each is also a method of <see cref="Expr"/>.</summary>
public static class Activations
{
    private static readonly double SqrtHalf = Math.Sqrt(0.5);

    /// <summary>x for x &gt; 0, slope · x elsewhere (Maas et al. 2013).</summary>
    public static Expr LeakyRelu(this Expr x, double slope = 0.01) =>
        ModelBuilder.Function("leaky_relu", x, x => Expr.Where(x.GreaterThan(0), x, slope * x));

    /// <summary>x · σ(βx) (Ramachandran et al. 2017); SiLU at β = 1.</summary>
    public static Expr Swish(this Expr x, double beta = 1) => ModelBuilder.Function("swish", x, x => x * (beta == 1 ? x : beta * x).Sigmoid());

    /// <summary>x · Φ(x), Φ the distribution function of N(0, 1) (Hendrycks and Gimpel 2016).</summary>
    public static Expr Gelu(this Expr x) => ModelBuilder.Function("gelu", x, x => 0.5 * x * (1 + (x * SqrtHalf).Erf()));

    /// <summary>GELU through tanh: ½x(1 + tanh(√(2/π)(x + 0.044715x³))).</summary>
    public static Expr GeluTanh(this Expr x) =>
        ModelBuilder.Function("gelu", x, x => 0.5 * x * (1 + (Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x))).Tanh()));

    /// <summary>log(1 + eˣ) without overflow; smooth at 0, unlike max(x, 0) + log1p(e^(−|x|)), whose derivative there would be 0 by convention.</summary>
    public static Expr Softplus(this Expr x) => ModelBuilder.Function("softplus", x, Log1pExp);

    /// <summary>log σ(x) = −softplus(−x)</summary>
    public static Expr LogSigmoid(this Expr x) => ModelBuilder.Function("log_sigmoid", x, x => -(-x).Softplus());

    /// <summary>e^xᵢ / Σ e^xⱼ along an axis, shifted by the maximum so that nothing overflows.</summary>
    public static Expr Softmax(this Expr x, int axis = -1) => ModelBuilder.Function("softmax", x, x =>
    {
        var e = (x - x.ReduceMax(axis, keep: true).StopGradient()).Exp();
        return e / e.Sum(axis, keep: true);
    });

    /// <summary>xᵢ − log Σ e^xⱼ along an axis.</summary>
    public static Expr LogSoftmax(this Expr x, int axis = -1) => ModelBuilder.Function("log_softmax", x, x =>
    {
        var shifted = x - x.ReduceMax(axis, keep: true).StopGradient();
        return shifted - shifted.Exp().Sum(axis, keep: true).Log();
    });

    /// <summary>
    /// log(1 + eˣ), which beyond 37 is x to the last digit of a double. The branch that is not taken stays finite, so that no derivative of any
    /// order is 0 · ∞.
    /// </summary>
    internal static Expr Log1pExp(Expr x)
    {
        var small = x.LessThan(37);
        return Expr.Where(small, Expr.Where(small, x, 0).Exp().Log1p(), x);
    }
}
