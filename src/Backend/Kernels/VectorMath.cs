using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Dnn.Backend;

/// <summary>
/// Elementary functions of sixteen floats or eight doubles at a time. A lane's result depends on that lane alone, and every
/// operation is rounded as IEEE 754 says (products are fused explicitly), so that the bits do not depend on the instruction
/// set; only where <see cref="Math"/> is called (sin, cos and pow in double, sin and cos of large floats) on the C library.
/// Largest errors: 2 ulp in float (erf 4), 4 ulp in double. Special values are those of C's functions of the same name.
/// Polynomials are minimax fits (Remez exchange, relative error) made for this file.
/// </summary>
internal static partial class VectorMath
{
    /// <summary>Inlined where the compiler's budget allows, and where not, optimized from the first call on.</summary>
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining | MethodImplOptions.AggressiveOptimization;

    private const float Ln2High = 0.6931472f;
    private const float Ln2Low = -1.9046542e-9f;
    private const float Log2E = 1.442695f;

    /// <summary>From here on the three-part reduction by π/2 is left to the scalar functions.</summary>
    private const float TrigLimit = 1e5f;

    /// <summary>a·b + c, rounded once.</summary>
    [MethodImpl(Inline)]
    private static Vector512<float> Fma(Vector512<float> a, Vector512<float> b, Vector512<float> c)
        => Vector512.FusedMultiplyAdd(a, b, c);

    [MethodImpl(Inline)]
    private static Vector512<float> V(float value) => Vector512.Create(value);

    /// <summary>x·2ᵏ for whole |k| ≤ 250, rounded once where it is subnormal.</summary>
    [MethodImpl(Inline)]
    private static Vector512<float> Scale(Vector512<float> x, Vector512<float> k)
    {
        if (Avx512F.IsSupported)
            return Avx512F.Scale(x, k);
        Vector512<int> whole = Vector512.ConvertToInt32Native(k);
        Vector512<int> half = whole >> 1;
        return x * ((half + Vector512.Create(127)) << 23).AsSingle() * ((whole - half + Vector512.Create(127)) << 23).AsSingle();
    }

    /// <summary>eˣ.</summary>
    [MethodImpl(Inline)]
    public static Vector512<float> Exp(Vector512<float> x)
    {
        // The second operand of MinNative and MaxNative is the one that survives a NaN.
        x = Vector512.MinNative(V(89f), Vector512.MaxNative(V(-104f), x));
        Vector512<float> k = Vector512.Round(x * V(Log2E));
        Vector512<float> r = Fma(k, V(-Ln2Low), Fma(k, V(-Ln2High), x));
        Vector512<float> q = V(0.00138149003f);
        q = Fma(q, r, V(0.00836891215f));
        q = Fma(q, r, V(0.0416683964f));
        q = Fma(q, r, V(0.166665196f));
        q = Fma(q, r, V(0.49999994f));
        return Scale(Fma(q, r * r, r) + V(1f), k);
    }

    /// <summary>eˣ − 1 for −18 ≤ x ≤ 89, by 2·(2ᵏ⁻¹·(eʳ − 1) + (2ᵏ⁻¹ − ½)), which overflows no sooner than the result.</summary>
    [MethodImpl(Inline)]
    private static Vector512<float> Expm1Bounded(Vector512<float> x)
    {
        Vector512<float> k = Vector512.Round(x * V(Log2E));
        Vector512<float> r = Fma(k, V(-Ln2Low), Fma(k, V(-Ln2High), x));
        Vector512<float> q = V(0.000198467358f);
        q = Fma(q, r, V(0.00139409129f));
        q = Fma(q, r, V(0.00833338872f));
        q = Fma(q, r, V(0.0416663587f));
        q = Fma(q, r, V(0.166666657f));
        q = Fma(q, r, V(0.5f));
        Vector512<float> e = Fma(q, r * r, r);
        Vector512<float> h = ((Vector512.ConvertToInt32Native(k) + Vector512.Create(126)) << 23).AsSingle();
        Vector512<float> y = Fma(h, e, h - V(0.5f));
        return y + y;
    }

    /// <summary>eˣ − 1.</summary>
    [MethodImpl(Inline)]
    public static Vector512<float> Expm1(Vector512<float> x)
    {
        Vector512<float> y = Expm1Bounded(Vector512.MinNative(V(89f), Vector512.MaxNative(V(-18f), x)));
        return Vector512.ConditionalSelect(Vector512.LessThan(Vector512.Abs(x), V(1e-10f)), x, y);
    }

    /// <summary>ln x.</summary>
    [MethodImpl(Inline)]
    public static Vector512<float> Log(Vector512<float> x)
    {
        Vector512<float> tiny = Vector512.LessThan(x, V(1.17549435e-38f));
        Vector512<float> normal = Vector512.ConditionalSelect(tiny, x * V(8388608f), x);
        Vector512<float> shift = Vector512.ConditionalSelect(tiny, V(-23f), V(0f));
        return LogSpecial(x, LogPositive(normal, shift, V(0f)));
    }

    /// <summary>ln(1 + x).</summary>
    [MethodImpl(Inline)]
    public static Vector512<float> Log1p(Vector512<float> x)
    {
        Vector512<float> u = V(1f) + x;
        Vector512<float> lost = x - (u - V(1f));
        Vector512<float> y = LogSpecial(u, LogPositive(u, V(0f), lost / u));
        return Vector512.ConditionalSelect(Vector512.Equals(x, V(0f)), x, y);
    }

    /// <summary>ln x + shift·ln 2 + small for a positive, normal, finite x.</summary>
    [MethodImpl(Inline)]
    private static Vector512<float> LogPositive(Vector512<float> x, Vector512<float> shift, Vector512<float> small)
    {
        // x = 2ᵏ·m with m in [√½, √2)
        Vector512<int> bits = x.AsInt32();
        Vector512<int> exponent = (bits - Vector512.Create(0x3f3504f3)) >> 23;
        Vector512<float> f = (bits - (exponent << 23)).AsSingle() - V(1f);
        Vector512<float> k = Vector512.ConvertToSingle(exponent) + shift;
        Vector512<float> p = V(-0.0763466731f);
        p = Fma(p, f, V(0.127617761f));
        p = Fma(p, f, V(-0.131602079f));
        p = Fma(p, f, V(0.14201732f));
        p = Fma(p, f, V(-0.166233525f));
        p = Fma(p, f, V(0.200012282f));
        p = Fma(p, f, V(-0.250008225f));
        p = Fma(p, f, V(0.333333313f));
        Vector512<float> square = f * f;
        Vector512<float> y = Fma(square * f, p, square * V(-0.5f));
        y += Fma(k, V(Ln2Low), small);
        return Fma(k, V(Ln2High), f + y);
    }

    /// <summary>y, but −∞ where x = 0, NaN where x &lt; 0 or NaN, +∞ where x = +∞.</summary>
    [MethodImpl(Inline)]
    private static Vector512<float> LogSpecial(Vector512<float> x, Vector512<float> y)
    {
        y = Vector512.ConditionalSelect(Vector512.LessThan(x, V(float.PositiveInfinity)), y, x);
        y = Vector512.ConditionalSelect(Vector512.LessThan(x, V(0f)), V(float.NaN), y);
        return Vector512.ConditionalSelect(Vector512.Equals(x, V(0f)), V(float.NegativeInfinity), y);
    }

    /// <summary>tanh x: an odd polynomial up to 0.625, from there 1 − 2/(e²ˣ + 1).</summary>
    [MethodImpl(Inline)]
    public static Vector512<float> Tanh(Vector512<float> x)
    {
        Vector512<float> a = Vector512.Abs(x);
        Vector512<float> z = a * a;
        Vector512<float> p = V(-0.00570498127f);
        p = Fma(p, z, V(0.0206390824f));
        p = Fma(p, z, V(-0.0537397154f));
        p = Fma(p, z, V(0.133314416f));
        p = Fma(p, z, V(-0.333332807f));
        p = Fma(p, z * a, a);
        Vector512<float> y = V(1f) - V(2f) / (Exp(a + a) + V(1f));
        y = Vector512.ConditionalSelect(Vector512.LessThan(a, V(0.625f)), p, y);
        return Vector512.CopySign(y, x);
    }

    /// <summary>1/(1 + e⁻ˣ): with e = e^(−|x|), e/(1 + e) where x is negative, and one correction of the quotient.</summary>
    [MethodImpl(Inline)]
    public static Vector512<float> Logistic(Vector512<float> x)
    {
        Vector512<float> e = Exp(-Vector512.Abs(x));
        Vector512<float> n = Vector512.ConditionalSelect(Vector512.LessThan(x, V(0f)), e, V(1f));
        Vector512<float> q = n / (V(1f) + e);
        // 1/(1 + e) is q or 1 − q; NaN passes through q.
        Vector512<float> inverse = Vector512.MaxNative(V(1f) - q, q);
        return Fma(Fma(-q, e, n - q), inverse, q);
    }

    /// <summary>erf x: an odd polynomial up to 1, from there 1 − exp(ln erfc x).</summary>
    [MethodImpl(Inline)]
    public static Vector512<float> Erf(Vector512<float> x)
    {
        Vector512<float> a = Vector512.MinNative(V(4f), Vector512.Abs(x));
        Vector512<float> z = a * a;
        Vector512<float> p = V(7.85386728e-05f);
        p = Fma(p, z, V(-0.000801019545f));
        p = Fma(p, z, V(0.00518832775f));
        p = Fma(p, z, V(-0.0268538129f));
        p = Fma(p, z, V(0.112835854f));
        p = Fma(p, z, V(-0.37612626f));
        p = Fma(p, z, V(1.12837911f));
        Vector512<float> q = V(0.000186376259f);
        q = Fma(q, a, V(-0.00294763059f));
        q = Fma(q, a, V(0.0218379572f));
        q = Fma(q, a, V(-0.103106543f));
        q = Fma(q, a, V(-0.638145089f));
        q = Fma(q, a, V(-1.12708902f));
        q = Fma(q, a, V(-0.000341554289f));
        Vector512<float> y = Vector512.ConditionalSelect(Vector512.GreaterThan(a, V(1f)), V(1f) - Exp(q), a * p);
        return Vector512.CopySign(y, x);
    }

    /// <summary>sin x.</summary>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static Vector512<float> Sin(Vector512<float> x)
    {
        Vector512<float> y = Trig(x, 0);
        y = Vector512.ConditionalSelect(Vector512.Equals(x, V(0f)), x, y);
        return Vector512.GreaterThanAny(Vector512.Abs(x), V(TrigLimit)) ? TrigFar(x, y, 0) : y;
    }

    /// <summary>cos x.</summary>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static Vector512<float> Cos(Vector512<float> x)
    {
        Vector512<float> y = Trig(x, 1);
        return Vector512.GreaterThanAny(Vector512.Abs(x), V(TrigLimit)) ? TrigFar(x, y, 1) : y;
    }

    /// <summary>sin(x + quarter·π/2) by Cody and Waite's reduction, |x| ≤ <see cref="TrigLimit"/>.</summary>
    [MethodImpl(Inline)]
    private static Vector512<float> Trig(Vector512<float> x, int quarter)
    {
        Vector512<float> k = Vector512.Round(x * V(0.63661975f));
        Vector512<float> r = Fma(k, V(-1.57079637f), x);
        r = Fma(k, V(4.37113883e-08f), r);
        r = Fma(k, V(1.71512451e-15f), r);
        Vector512<int> n = Vector512.ConvertToInt32Native(k) + Vector512.Create(quarter);
        Vector512<float> z = r * r;
        Vector512<float> s = V(2.71802583e-06f);
        s = Fma(s, z, V(-0.000198393027f));
        s = Fma(s, z, V(0.00833332911f));
        s = Fma(s, z, V(-0.166666672f));
        s = Fma(s, z * r, r);
        Vector512<float> c = V(2.44322091e-05f);
        c = Fma(c, z, V(-0.00138873083f));
        c = Fma(c, z, V(0.0416666456f));
        c = Fma(c, z * z, Fma(z, V(-0.5f), V(1f)));
        Vector512<float> odd = Vector512.Equals(n & Vector512.Create(1), Vector512.Create(1)).AsSingle();
        Vector512<float> y = Vector512.ConditionalSelect(odd, c, s);
        return y ^ ((n & Vector512.Create(2)) << 30).AsSingle();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Vector512<float> TrigFar(Vector512<float> x, Vector512<float> y, int quarter)
    {
        for (int i = 0; i < Vector512<float>.Count; i++)
        {
            float a = x[i];
            if (MathF.Abs(a) > TrigLimit)
                y = y.WithElement(i, (float)(quarter == 0 ? Math.Sin(a) : Math.Cos(a)));
        }
        return y;
    }

    /// <summary>√x.</summary>
    [MethodImpl(Inline)]
    public static Vector512<float> Sqrt(Vector512<float> x) => Vector512.Sqrt(x);

    /// <summary>1/√x.</summary>
    [MethodImpl(Inline)]
    public static Vector512<float> Rsqrt(Vector512<float> x) => V(1f) / Vector512.Sqrt(x);

    /// <summary>xʸ as y·ln |x| in double precision, with the special values of IEEE 754's pow.</summary>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static Vector512<float> Pow(Vector512<float> x, Vector512<float> y)
    {
        Vector512<float> a = Vector512.Abs(x);
        Vector512<double> low = Exp(Vector512.WidenLower(y) * Log(Vector512.WidenLower(a)));
        Vector512<double> high = Exp(Vector512.WidenUpper(y) * Log(Vector512.WidenUpper(a)));
        Vector512<float> p = Vector512.Narrow(low, high);

        Vector512<float> half = y * V(0.5f);
        Vector512<float> whole = Vector512.Equals(Vector512.Floor(y), y);
        Vector512<float> odd = Vector512.AndNot(whole, Vector512.Equals(Vector512.Floor(half), half));
        p ^= odd & x & V(-0f);
        Vector512<float> undefined = Vector512.AndNot(
            Vector512.LessThan(x, V(0f)) & Vector512.GreaterThan(x, V(float.NegativeInfinity)), whole);
        p = Vector512.ConditionalSelect(undefined, V(float.NaN), p);
        Vector512<float> infinite = Vector512.Equals(Vector512.Abs(y), V(float.PositiveInfinity));
        Vector512<float> one = Vector512.Equals(y, V(0f)) | Vector512.Equals(x, V(1f)) | (Vector512.Equals(a, V(1f)) & infinite);
        return Vector512.ConditionalSelect(one, V(1f), p);
    }

    /// <summary>x where x &gt; 0 or NaN, else +0.</summary>
    [MethodImpl(Inline)]
    public static Vector512<float> Relu(Vector512<float> x)
        => Vector512.ConditionalSelect(Vector512.LessThanOrEqual(x, V(0f)), V(0f), x);

    /// <summary>1, −1, or x itself where it is ±0 or NaN.</summary>
    [MethodImpl(Inline)]
    public static Vector512<float> Sign(Vector512<float> x)
    {
        Vector512<float> y = Vector512.ConditionalSelect(Vector512.GreaterThan(x, V(0f)), V(1f), x);
        return Vector512.ConditionalSelect(Vector512.LessThan(x, V(0f)), V(-1f), y);
    }

    /// <summary>⌊x⌋.</summary>
    [MethodImpl(Inline)]
    public static Vector512<float> Floor(Vector512<float> x) => Vector512.Floor(x);

    /// <summary>x to the nearest whole number, ties to even.</summary>
    [MethodImpl(Inline)]
    public static Vector512<float> Round(Vector512<float> x) => Vector512.Round(x);
}
