using System.Numerics;

namespace Dnn.Graph;

/// <summary>The elementary functions that the reference evaluator needs of a number type, beside + − · ÷.</summary>
public interface IField<T>
    where T : INumberBase<T>
{
    /// <summary>The part that decisions (comparison, max, sign) are made on.</summary>
    static abstract double Real(T x);

    static abstract T Of(double x);

    static abstract T Exp(T x);

    static abstract T Log(T x);

    static abstract T Log1p(T x);

    static abstract T Expm1(T x);

    static abstract T Sin(T x);

    static abstract T Cos(T x);

    static abstract T Tanh(T x);

    static abstract T Erf(T x);

    static abstract T Sqrt(T x);

    static abstract T Pow(T x, T y);
}

/// <summary>Doubles.</summary>
public readonly struct RealField : IField<double>
{
    public static double Real(double x) => x;

    public static double Of(double x) => x;

    public static double Exp(double x) => Math.Exp(x);

    public static double Log(double x) => Math.Log(x);

    /// <summary>log(1 + x) without cancellation: Kahan's x · log(u) / (u − 1) with u = 1 + x rounded (Goldberg 1991, theorem 4).</summary>
    public static double Log1p(double x)
    {
        var u = 1 + x;
        return u == 1 || double.IsPositiveInfinity(x) ? x : Math.Log(u) * (x / (u - 1));
    }

    /// <summary>exp(x) − 1 without cancellation: Kahan's (u − 1) · x / log(u) with u = exp(x) rounded.</summary>
    public static double Expm1(double x)
    {
        var u = Math.Exp(x);
        if (u == 1)
            return x;
        var less = u - 1;
        return less == -1 || double.IsPositiveInfinity(u) ? less : less * (x / Math.Log(u));
    }

    public static double Sin(double x) => Math.Sin(x);

    public static double Cos(double x) => Math.Cos(x);

    public static double Tanh(double x) => Math.Tanh(x);

    public static double Erf(double x) => double.IsNaN(x) ? x : ComplexField.Erf(x).Real;

    public static double Sqrt(double x) => Math.Sqrt(x);

    public static double Pow(double x, double y) => Math.Pow(x, y);
}

/// <summary>Complex numbers near the real axis: f(x + ih) carries h·f′(x) in its imaginary part (Squire and Trapp 1998).</summary>
public readonly struct ComplexField : IField<Complex>
{
    private const int ErfTerms = 40;

    public static double Real(Complex x) => x.Real;

    public static Complex Of(double x) => x;

    public static Complex Exp(Complex x) => Complex.Exp(x);

    public static Complex Log(Complex x) => x.Imaginary == 0 ? new(Math.Log(x.Real), 0) : Complex.Log(x);

    public static Complex Log1p(Complex x)
    {
        // |1 + x|² − 1 = 2a + a² + b² keeps the small part.
        var (a, b) = (x.Real, x.Imaginary);
        return Math.Abs(a) > 0.5 ? Log(1 + x) : new(0.5 * RealField.Log1p((2 * a) + (a * a) + (b * b)), Math.Atan2(b, 1 + a));
    }

    public static Complex Expm1(Complex x)
    {
        // e^(a+ib) − 1 = expm1(a)·cos b − 2 sin²(b/2) + i e^a sin b
        var half = Math.Sin(x.Imaginary / 2);
        return new((RealField.Expm1(x.Real) * Math.Cos(x.Imaginary)) - (2 * half * half), Math.Exp(x.Real) * Math.Sin(x.Imaginary));
    }

    public static Complex Sin(Complex x) => Complex.Sin(x);

    public static Complex Cos(Complex x) => Complex.Cos(x);

    public static Complex Tanh(Complex x)
    {
        // Away from the origin by e^(−2|x|), which neither overflows nor cancels.
        if (Math.Abs(x.Real) > 20)
        {
            var small = Complex.Exp(-2 * Math.Sign(x.Real) * x);
            return Math.Sign(x.Real) * (1 - (2 * small / (1 + small)));
        }

        var e = Expm1(2 * x);
        return e / (e + 2);
    }

    /// <summary>
    /// erf z = 2/√π · e^(−z²) Σ 2ⁿ z^(2n+1) / (2n+1)!! (Abramowitz and Stegun 7.1.6) near the origin, else 1 − erfc z with the
    /// continued fraction of Laplace (7.1.14).
    /// </summary>
    public static Complex Erf(Complex z)
    {
        if (double.IsInfinity(z.Real))
            return Math.Sign(z.Real);
        if (z.Real < 0)
            return -Erf(-z);
        if (z.Real < 3)
        {
            var term = z;
            var sum = z;
            for (var n = 1; n < 4 * ErfTerms && Complex.Abs(term) > 1e-18 * Complex.Abs(sum); n++)
            {
                term *= 2 * z * z / ((2 * n) + 1);
                sum += term;
            }

            return 2 / Math.Sqrt(Math.PI) * Complex.Exp(-z * z) * sum;
        }

        var fraction = z;
        for (var n = 2 * ErfTerms; n >= 1; n--)
            fraction = z + (n / 2.0 / fraction);
        return 1 - (Complex.Exp(-z * z) / Math.Sqrt(Math.PI) / fraction);
    }

    public static Complex Sqrt(Complex x) => x.Imaginary == 0 ? new(Math.Sqrt(x.Real), 0) : Complex.Sqrt(x);

    public static Complex Pow(Complex x, Complex y)
    {
        if (y.Imaginary == 0 && Math.Floor(y.Real) == y.Real && Math.Abs(y.Real) <= 64)
            return WholePower(x, (int)y.Real);
        if (x.Imaginary == 0 && y.Imaginary == 0)
            return new(Math.Pow(x.Real, y.Real), 0);
        return x == 0 ? 0 : Complex.Exp(y * Log(x));
    }

    private static Complex WholePower(Complex x, int n)
    {
        var result = Complex.One;
        for (var i = 0; i < Math.Abs(n); i++)
            result *= x;
        return n < 0 ? 1 / result : result;
    }
}
