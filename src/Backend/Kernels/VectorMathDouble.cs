using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Dnn.Backend;

/// <content>Double precision. Not inlined: kernels in double serve checks, and stay small to compile.</content>
internal static partial class VectorMath
{
    private const MethodImplOptions OutOfLine = MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization;

    private const double DoubleLn2High = 0.6931471805599453;
    private const double DoubleLn2Low = 2.3190468138462996e-17;
    private const double DoubleLog2E = 1.4426950408889634;

    /// <summary>a·b + c, rounded once.</summary>
    [MethodImpl(Inline)]
    private static Vector512<double> Fma(Vector512<double> a, Vector512<double> b, Vector512<double> c)
        => Vector512.FusedMultiplyAdd(a, b, c);

    [MethodImpl(Inline)]
    private static Vector512<double> V(double value) => Vector512.Create(value);

    /// <summary>eʳ − 1 for |r| ≤ ½·ln 2, by its series.</summary>
    [MethodImpl(Inline)]
    private static Vector512<double> Expm1Reduced(Vector512<double> r)
    {
        Vector512<double> q = V(1.6059043836821613e-10);
        q = Fma(q, r, V(2.08767569878681e-09));
        q = Fma(q, r, V(2.505210838544172e-08));
        q = Fma(q, r, V(2.755731922398589e-07));
        q = Fma(q, r, V(2.7557319223985893e-06));
        q = Fma(q, r, V(2.48015873015873e-05));
        q = Fma(q, r, V(0.0001984126984126984));
        q = Fma(q, r, V(0.001388888888888889));
        q = Fma(q, r, V(0.008333333333333333));
        q = Fma(q, r, V(0.041666666666666664));
        q = Fma(q, r, V(0.16666666666666666));
        q = Fma(q, r, V(0.5));
        return Fma(q, r * r, r);
    }

    /// <summary>eˣ.</summary>
    [MethodImpl(OutOfLine)]
    public static Vector512<double> Exp(Vector512<double> x)
    {
        x = Vector512.MinNative(V(710.0), Vector512.MaxNative(V(-746.0), x));
        Vector512<double> k = Vector512.Round(x * V(DoubleLog2E));
        Vector512<double> r = Fma(k, V(-DoubleLn2Low), Fma(k, V(-DoubleLn2High), x));
        Vector512<double> e = Expm1Reduced(r) + V(1.0);
        if (Avx512F.IsSupported)
            return Avx512F.Scale(e, k);
        Vector512<long> whole = Vector512.ConvertToInt64Native(k);
        Vector512<long> half = whole >> 1;
        return e * ((half + Vector512.Create(1023L)) << 52).AsDouble() * ((whole - half + Vector512.Create(1023L)) << 52).AsDouble();
    }

    /// <summary>eˣ − 1 for −40 ≤ x ≤ 710, by 2·(2ᵏ⁻¹·(eʳ − 1) + (2ᵏ⁻¹ − ½)).</summary>
    [MethodImpl(Inline)]
    private static Vector512<double> Expm1Bounded(Vector512<double> x)
    {
        Vector512<double> k = Vector512.Round(x * V(DoubleLog2E));
        Vector512<double> r = Fma(k, V(-DoubleLn2Low), Fma(k, V(-DoubleLn2High), x));
        Vector512<double> h = ((Vector512.ConvertToInt64Native(k) + Vector512.Create(1022L)) << 52).AsDouble();
        Vector512<double> y = Fma(h, Expm1Reduced(r), h - V(0.5));
        return y + y;
    }

    /// <summary>eˣ − 1.</summary>
    [MethodImpl(OutOfLine)]
    public static Vector512<double> Expm1(Vector512<double> x)
    {
        Vector512<double> y = Expm1Bounded(Vector512.MinNative(V(710.0), Vector512.MaxNative(V(-40.0), x)));
        return Vector512.ConditionalSelect(Vector512.LessThan(Vector512.Abs(x), V(1e-20)), x, y);
    }

    /// <summary>ln x.</summary>
    [MethodImpl(OutOfLine)]
    public static Vector512<double> Log(Vector512<double> x)
    {
        Vector512<double> tiny = Vector512.LessThan(x, V(2.2250738585072014e-308));
        Vector512<double> normal = Vector512.ConditionalSelect(tiny, x * V(4503599627370496.0), x);
        Vector512<double> shift = Vector512.ConditionalSelect(tiny, V(-52.0), V(0.0));
        return LogSpecial(x, LogPositive(normal, shift, V(0.0)));
    }

    /// <summary>ln(1 + x).</summary>
    [MethodImpl(OutOfLine)]
    public static Vector512<double> Log1p(Vector512<double> x)
    {
        Vector512<double> u = V(1.0) + x;
        Vector512<double> lost = x - (u - V(1.0));
        Vector512<double> y = LogSpecial(u, LogPositive(u, V(0.0), lost / u));
        return Vector512.ConditionalSelect(Vector512.Equals(x, V(0.0)), x, y);
    }

    /// <summary>
    /// ln x + shift·ln 2 + small for a positive, normal, finite x = 2ᵏ·(1 + f): with s = f/(2 + f), z = s²,
    /// R = z·(2/3 + 2z/5 + …), ln(1 + f) = 2·artanh s = f − (f²/2 − s·(f²/2 + R)).
    /// </summary>
    [MethodImpl(Inline)]
    private static Vector512<double> LogPositive(Vector512<double> x, Vector512<double> shift, Vector512<double> small)
    {
        Vector512<long> bits = x.AsInt64();
        Vector512<long> exponent = (bits - Vector512.Create(0x3fe6a09e667f3bcdL)) >> 52;
        Vector512<double> f = (bits - (exponent << 52)).AsDouble() - V(1.0);
        Vector512<double> k = Vector512.ConvertToDouble(exponent) + shift;
        Vector512<double> s = f / (f + V(2.0));
        Vector512<double> z = s * s;
        Vector512<double> p = V(0.08695652173913043);
        p = Fma(p, z, V(0.09523809523809523));
        p = Fma(p, z, V(0.10526315789473684));
        p = Fma(p, z, V(0.11764705882352941));
        p = Fma(p, z, V(0.13333333333333333));
        p = Fma(p, z, V(0.15384615384615385));
        p = Fma(p, z, V(0.18181818181818182));
        p = Fma(p, z, V(0.2222222222222222));
        p = Fma(p, z, V(0.2857142857142857));
        p = Fma(p, z, V(0.4));
        p = Fma(p, z, V(0.6666666666666666));
        Vector512<double> h = f * f * V(0.5);
        Vector512<double> y = Fma(s, Fma(p, z, h), Fma(k, V(DoubleLn2Low), small));
        return Fma(k, V(DoubleLn2High), f - (h - y));
    }

    /// <summary>y, but −∞ where x = 0, NaN where x &lt; 0 or NaN, +∞ where x = +∞.</summary>
    [MethodImpl(Inline)]
    private static Vector512<double> LogSpecial(Vector512<double> x, Vector512<double> y)
    {
        y = Vector512.ConditionalSelect(Vector512.LessThan(x, V(double.PositiveInfinity)), y, x);
        y = Vector512.ConditionalSelect(Vector512.LessThan(x, V(0.0)), V(double.NaN), y);
        return Vector512.ConditionalSelect(Vector512.Equals(x, V(0.0)), V(double.NegativeInfinity), y);
    }

    /// <summary>tanh x = (e²ˣ − 1)/(e²ˣ + 1).</summary>
    [MethodImpl(OutOfLine)]
    public static Vector512<double> Tanh(Vector512<double> x)
    {
        Vector512<double> a = Vector512.MinNative(V(22.0), Vector512.Abs(x));
        Vector512<double> e = Expm1Bounded(a + a);
        return Vector512.CopySign(e / (e + V(2.0)), x);
    }

    /// <summary>1/(1 + e⁻ˣ).</summary>
    [MethodImpl(OutOfLine)]
    public static Vector512<double> Logistic(Vector512<double> x)
    {
        Vector512<double> e = Exp(-Vector512.Abs(x));
        return Vector512.ConditionalSelect(Vector512.LessThan(x, V(0.0)), e, V(1.0)) / (V(1.0) + e);
    }

    /// <summary>erf x: its series up to 1, from there 1 − exp(ln erfc x).</summary>
    [MethodImpl(OutOfLine)]
    public static Vector512<double> Erf(Vector512<double> x)
    {
        Vector512<double> a = Vector512.MinNative(V(6.0), Vector512.Abs(x));
        Vector512<double> z = a * a;
        Vector512<double> p = V(1.131218725924631e-20);
        p = Fma(p, z, V(-2.3784598852774293e-19));
        p = Fma(p, z, V(4.763348040515068e-18));
        p = Fma(p, z, V(-9.063970842808673e-17));
        p = Fma(p, z, V(1.6342614095367152e-15));
        p = Fma(p, z, V(-2.7835162072109215e-14));
        p = Fma(p, z, V(4.4632242632864775e-13));
        p = Fma(p, z, V(-6.7113668551641105e-12));
        p = Fma(p, z, V(9.422759064650411e-11));
        p = Fma(p, z, V(-1.2290555301717928e-09));
        p = Fma(p, z, V(1.4807192815879218e-08));
        p = Fma(p, z, V(-1.6365844691234924e-07));
        p = Fma(p, z, V(1.6462114365889248e-06));
        p = Fma(p, z, V(-1.492565035840625e-05));
        p = Fma(p, z, V(0.00012055332981789664));
        p = Fma(p, z, V(-0.0008548327023450853));
        p = Fma(p, z, V(0.005223977625442188));
        p = Fma(p, z, V(-0.026866170645131252));
        p = Fma(p, z, V(0.11283791670955126));
        p = Fma(p, z, V(-0.37612638903183754));
        p = Fma(p, z, V(1.1283791670955126));
        Vector512<double> q = V(1.0496577689967584e-12);
        q = Fma(q, a, V(-4.796176622094249e-11));
        q = Fma(q, a, V(1.0257250130962727e-09));
        q = Fma(q, a, V(-1.3626958472917465e-08));
        q = Fma(q, a, V(1.257067987480811e-07));
        q = Fma(q, a, V(-8.505842876122366e-07));
        q = Fma(q, a, V(4.3270863510951055e-06));
        q = Fma(q, a, V(-1.651410409666959e-05));
        q = Fma(q, a, V(4.50378906704841e-05));
        q = Fma(q, a, V(-7.036792142770981e-05));
        q = Fma(q, a, V(-4.481994988688892e-05));
        q = Fma(q, a, V(0.0006411688566148557));
        q = Fma(q, a, V(-0.0017689960137997648));
        q = Fma(q, a, V(0.0002804841973856021));
        q = Fma(q, a, V(0.01907815895223939));
        q = Fma(q, a, V(-0.10274725418958584));
        q = Fma(q, a, V(-0.6366284881833177));
        q = Fma(q, a, V(-1.128377329424907));
        q = Fma(q, a, V(-1.7960385353958807e-07));
        Vector512<double> y = Vector512.ConditionalSelect(Vector512.GreaterThan(a, V(1.0)), V(1.0) - Exp(q), a * p);
        return Vector512.CopySign(y, x);
    }

    /// <summary>sin x, by the scalar function.</summary>
    public static Vector512<double> Sin(Vector512<double> x)
    {
        for (int i = 0; i < Vector512<double>.Count; i++)
            x = x.WithElement(i, Math.Sin(x[i]));
        return x;
    }

    /// <summary>cos x, by the scalar function.</summary>
    public static Vector512<double> Cos(Vector512<double> x)
    {
        for (int i = 0; i < Vector512<double>.Count; i++)
            x = x.WithElement(i, Math.Cos(x[i]));
        return x;
    }

    /// <summary>xʸ, by the scalar function.</summary>
    public static Vector512<double> Pow(Vector512<double> x, Vector512<double> y)
    {
        for (int i = 0; i < Vector512<double>.Count; i++)
            x = x.WithElement(i, Math.Pow(x[i], y[i]));
        return x;
    }

    /// <summary>√x.</summary>
    [MethodImpl(Inline)]
    public static Vector512<double> Sqrt(Vector512<double> x) => Vector512.Sqrt(x);

    /// <summary>1/√x.</summary>
    [MethodImpl(Inline)]
    public static Vector512<double> Rsqrt(Vector512<double> x) => V(1.0) / Vector512.Sqrt(x);

    /// <summary>x where x &gt; 0 or NaN, else +0.</summary>
    [MethodImpl(Inline)]
    public static Vector512<double> Relu(Vector512<double> x)
        => Vector512.ConditionalSelect(Vector512.LessThanOrEqual(x, V(0.0)), V(0.0), x);

    /// <summary>1, −1, or x itself where it is ±0 or NaN.</summary>
    [MethodImpl(Inline)]
    public static Vector512<double> Sign(Vector512<double> x)
    {
        Vector512<double> y = Vector512.ConditionalSelect(Vector512.GreaterThan(x, V(0.0)), V(1.0), x);
        return Vector512.ConditionalSelect(Vector512.LessThan(x, V(0.0)), V(-1.0), y);
    }

    /// <summary>⌊x⌋.</summary>
    [MethodImpl(Inline)]
    public static Vector512<double> Floor(Vector512<double> x) => Vector512.Floor(x);

    /// <summary>x to the nearest whole number, ties to even.</summary>
    [MethodImpl(Inline)]
    public static Vector512<double> Round(Vector512<double> x) => Vector512.Round(x);
}
