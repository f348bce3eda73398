namespace Dnn.Graph;

/// <summary>The activation functions that are more than one primitive. Each is also a method of <see cref="Expr"/>.</summary>
public static class Activations
{
    private const double SeluAlpha = 1.6732632423543772;
    private const double SeluScale = 1.0507009873554805;
    private static readonly double SqrtHalf = Math.Sqrt(0.5);

    /// <summary>x for x &gt; 0, slope · x elsewhere (Maas et al. 2013).</summary>
    public static Expr LeakyRelu(this Expr x, double slope = 0.01) =>
        ModelBuilder.Call("leaky_relu", x, x => Expr.Where(x.GreaterThan(0), x, slope * x), ("slope", slope, 0.01));

    /// <summary>x · σ(βx) (Ramachandran et al. 2017); SiLU at β = 1.</summary>
    public static Expr Swish(this Expr x, double beta = 1) => ModelBuilder.Call("swish", x, x => x * (beta == 1 ? x : beta * x).Sigmoid(), ("beta", beta, 1.0));

    /// <summary>x · Φ(x), Φ the distribution function of N(0, 1) (Hendrycks and Gimpel 2016).</summary>
    public static Expr Gelu(this Expr x) => ModelBuilder.Call("gelu", x, x => 0.5 * x * (1 + (x * SqrtHalf).Erf()));

    /// <summary>GELU through tanh: ½x(1 + tanh(√(2/π)(x + 0.044715x³))).</summary>
    public static Expr GeluTanh(this Expr x) =>
        ModelBuilder.Call("gelu", x, x => 0.5 * x * (1 + (Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x))).Tanh()), ("approximate", "tanh", "none"));

    /// <summary>log(1 + eˣ) without overflow; smooth at 0, unlike max(x, 0) + log1p(e^(−|x|)), whose derivative there would be 0 by convention.</summary>
    public static Expr Softplus(this Expr x) => ModelBuilder.Call("softplus", x, Log1pExp);

    /// <summary>log σ(x) = −softplus(−x)</summary>
    public static Expr LogSigmoid(this Expr x) => ModelBuilder.Function("log_sigmoid", x, x => -(-x).Softplus());

    /// <summary>e^xᵢ / Σ e^xⱼ along an axis, shifted by the maximum so that nothing overflows.</summary>
    public static Expr Softmax(this Expr x, int axis = -1) => ModelBuilder.Call("softmax", x, x =>
    {
        var e = (x - x.ReduceMax(axis, keep: true).StopGradient()).Exp();
        return e / e.Sum(axis, keep: true);
    }, ("axis", axis, -1));

    /// <summary>xᵢ − log Σ e^xⱼ along an axis.</summary>
    public static Expr LogSoftmax(this Expr x, int axis = -1) => ModelBuilder.Call("log_softmax", x, x =>
    {
        var shifted = x - x.ReduceMax(axis, keep: true).StopGradient();
        return shifted - shifted.Exp().Sum(axis, keep: true).Log();
    }, ("axis", axis, -1));

    /// <summary>x for x &gt; 0, α(eˣ − 1) elsewhere (Clevert et al. 2016).</summary>
    public static Expr Elu(this Expr x, double alpha = 1) => ModelBuilder.Call("elu", x, x => ElseExpm1(x, 1, alpha, 1), ("alpha", alpha, 1.0));

    /// <summary>λx for x &gt; 0, λα(eˣ − 1) elsewhere, with the λ and α that keep mean 0 and variance 1 over depth (Klambauer et al. 2017).</summary>
    public static Expr Selu(this Expr x) => ModelBuilder.Call("selu", x, x => ElseExpm1(x, SeluScale, SeluScale * SeluAlpha, 1));

    /// <summary>x for x &gt; 0, α(e^(x/α) − 1) elsewhere: an ELU whose derivative is continuous at every α (Barron 2017).</summary>
    /// <exception cref="GraphException">α is 0.</exception>
    public static Expr Celu(this Expr x, double alpha = 1) => alpha == 0
        ? throw new GraphException("celu divides by alpha, which must not be 0; with alpha near 0 it is relu")
        : ModelBuilder.Call("celu", x, x => ElseExpm1(x, 1, alpha, 1 / alpha), ("alpha", alpha, 1.0));

    /// <summary>x · tanh(log(1 + eˣ)) (Misra 2019).</summary>
    public static Expr Mish(this Expr x) => ModelBuilder.Call("mish", x, x => x * Log1pExp(x).Tanh());

    /// <summary>x / (1 + |x|) (Bergstra et al. 2009).</summary>
    public static Expr Softsign(this Expr x) => ModelBuilder.Call("softsign", x, x => x / (1 + x.Abs()));

    /// <summary>min(max(x/6 + ½, 0), 1): a sigmoid of three straight lines (Howard et al. 2019).</summary>
    public static Expr HardSigmoid(this Expr x) => ModelBuilder.Call("hard_sigmoid", x, HardSigmoidOf);

    /// <summary>x · hard_sigmoid(x) (Howard et al. 2019).</summary>
    public static Expr HardSwish(this Expr x) => ModelBuilder.Call("hard_swish", x, x => x * HardSigmoidOf(x));

    /// <summary>a · σ(b), a and b the halves of x along an axis (Dauphin et al. 2017).</summary>
    /// <exception cref="ShapeException">The axis has no two halves.</exception>
    public static Expr Glu(this Expr x, int axis = -1) => ModelBuilder.Call("glu", x, x =>
    {
        var (a, b) = Halves("glu", x, axis);
        return a * b.Sigmoid();
    }, ("axis", axis, -1));

    /// <summary>swish(a) · b, a and b the halves of x along an axis (Shazeer 2020).</summary>
    /// <exception cref="ShapeException">The axis has no two halves.</exception>
    public static Expr Swiglu(this Expr x, int axis = -1) => ModelBuilder.Call("swiglu", x, x =>
    {
        var (a, b) = Halves("swiglu", x, axis);
        return a * a.Sigmoid() * b;
    }, ("axis", axis, -1));

    /// <summary>
    /// log(1 + eˣ), which beyond 37 is x to the last digit of a double. The branch that is not taken stays finite, so that no derivative of any
    /// order is 0 · ∞.
    /// </summary>
    internal static Expr Log1pExp(Expr x)
    {
        var small = x.LessThan(37);
        return Expr.Where(small, Expr.Where(small, x, 0).Exp().Log1p(), x);
    }

    /// <summary>slope · x for x &gt; 0, factor · (e^(rate · x) − 1) elsewhere; the branch that is not taken stays finite.</summary>
    private static Expr ElseExpm1(Expr x, double slope, double factor, double rate)
    {
        var positive = x.GreaterThan(0);
        var below = Expr.Where(positive, 0, x);
        return Expr.Where(positive, slope == 1 ? x : slope * x, factor * (rate == 1 ? below : rate * below).Expm1());
    }

    private static Expr HardSigmoidOf(Expr x) => ((x / 6) + 0.5).Max(0).Min(1);

    private static (Expr First, Expr Second) Halves(string name, Expr x, int axis)
    {
        if (x.Rank == 0)
            throw new ShapeException($"{name} halves an axis, and a scalar has none", x.Shape);
        var size = x.Shape[x.Shape.Axis(axis)];
        return Dim.TryDivide(size, 2, out var half)
            ? (x.SliceAxis(axis, 0, half), x.SliceAxis(axis, half, size))
            : throw new ShapeException($"{name} halves axis {axis} of {x.Shape}, and {(size.IsKnown ? $"{size} is odd" : $"nothing says that {size} is even; name it 2*{size}")}", x.Shape, axis: x.Shape.Axis(axis));
    }
}
