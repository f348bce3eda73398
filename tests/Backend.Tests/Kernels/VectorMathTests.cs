using System.Runtime.Intrinsics;

using Xunit;

namespace Dnn.Backend.Tests;

using D = Func<Vector512<double>, Vector512<double>>;
using F = Func<Vector512<float>, Vector512<float>>;

public class VectorMathTests
{
    /// <summary>A prime, so that the samples meet all exponents and many patterns of low bits: about a million floats.</summary>
    private const uint Stride = 4099;

    private static readonly (string Name, F Vector, Func<double, double> Exact, double Ulps)[] Single =
    [
        ("exp", VectorMath.Exp, Math.Exp, 2),
        ("log", VectorMath.Log, Math.Log, 2),
        ("log1p", VectorMath.Log1p, Log1p, 2),
        ("expm1", VectorMath.Expm1, Expm1, 2),
        ("tanh", VectorMath.Tanh, Math.Tanh, 2),
        ("logistic", VectorMath.Logistic, Logistic, 2),
        ("erf", VectorMath.Erf, x => (double)Erf((decimal)Math.Clamp(x, -5, 5)), 4),
        ("sin", VectorMath.Sin, Math.Sin, 2),
        ("cos", VectorMath.Cos, Math.Cos, 2),
        ("sqrt", VectorMath.Sqrt, Math.Sqrt, 0.5),
        ("rsqrt", VectorMath.Rsqrt, x => 1 / Math.Sqrt(x), 1.5),
    ];

    public static TheoryData<string> SingleNames() => [.. Single.Select(f => f.Name)];

    [Theory]
    [MemberData(nameof(SingleNames))]
    public void SingleIsAccurateOverTheWholeRange(string name)
    {
        var (_, vector, exact, ulps) = Single.First(f => f.Name == name);
        // The exact error function is slow: fewer samples.
        uint stride = name == "erf" ? Stride * 61 : Stride;
        double worst = 0;
        float where = 0;
        var x = new float[16];
        for (ulong bits = 0; bits <= uint.MaxValue; bits += 16UL * stride)
        {
            for (int i = 0; i < 16; i++)
                x[i] = BitConverter.UInt32BitsToSingle((uint)(bits + (ulong)i * stride));
            Vector512<float> y = vector(Vector512.Create(x));
            for (int i = 0; i < 16; i++)
            {
                if (name == "erf" && (float.IsNaN(x[i]) || Math.Abs(x[i]) < 1e-20))
                    continue;
                double error = Ulps(y[i], exact(x[i]));
                if (error > worst)
                    (worst, where) = (error, x[i]);
            }
        }
        Assert.True(worst <= ulps, $"{name}({where:R}): {worst} ulp");
    }

    /// <summary>A hash of the bits of all functions of floats at places all over their range: the same on every instruction set.</summary>
    internal static string Digest()
    {
        const ulong stride = 40_009;
        var hash = 0UL;
        var x = new float[16];
        foreach (var (_, vector, _, _) in Single)
        {
            for (ulong bits = 0; bits <= uint.MaxValue; bits += 16 * stride)
            {
                for (var i = 0; i < 16; i++)
                    x[i] = BitConverter.UInt32BitsToSingle((uint)(bits + (ulong)i * stride));
                var y = vector(Vector512.Create(x));
                for (var i = 0; i < 16; i++)
                    hash = unchecked(((hash ^ (float.IsNaN(y[i]) ? 1 : BitConverter.SingleToUInt32Bits(y[i]))) * 0x100000001B3) + 1);
            }
        }

        return $"bits {hash:x}";
    }

    [Fact]
    public void SingleIsAccurateWhereItIsSteepOrFlat()
    {
        foreach (var (name, vector, exact, ulps) in Single)
            foreach (double centre in new[] { 0, 1, -1, 0.625, 1.5707964, 3.1415927, -88, 88, -17, 20, 4, 99000 })
                for (int k = -160; k < 160; k++)
                {
                    float x = (float)(centre + k * (k % 2 == 0 ? 1e-7 : 0.01));
                    if (name == "erf" && Math.Abs(x) < 1e-20)
                        continue;
                    double error = Ulps(vector(Vector512.Create(x))[5], exact(x));
                    Assert.True(error <= ulps, $"{name}({x:R}): {error} ulp");
                }
    }

    [Fact]
    public void SinglePowIsAccurate()
    {
        var random = new Random(1);
        for (int k = 0; k < 200_000; k++)
        {
            float x = (float)Math.Exp(random.NextDouble() * (k % 2 == 0 ? 2 : 160) - (k % 2 == 0 ? 1 : 80));
            float y = (float)((random.NextDouble() - 0.5) * (k % 3 == 0 ? 2 : 80));
            if (k % 5 == 0)
                (x, y) = (-x, MathF.Round(y));
            double error = Ulps(VectorMath.Pow(Vector512.Create(x), Vector512.Create(y))[3], Math.Pow(x, y));
            Assert.True(error <= 2, $"pow({x:R}, {y:R}): {error} ulp");
        }
    }

    private static readonly (string Name, D Vector, Func<double, double> Exact)[] Double =
    [
        ("exp", VectorMath.Exp, Math.Exp),
        ("log", VectorMath.Log, Math.Log),
        ("tanh", VectorMath.Tanh, Math.Tanh),
        ("logistic", VectorMath.Logistic, Logistic),
        ("sin", VectorMath.Sin, Math.Sin),
        ("cos", VectorMath.Cos, Math.Cos),
        ("sqrt", VectorMath.Sqrt, Math.Sqrt),
        ("rsqrt", VectorMath.Rsqrt, x => 1 / Math.Sqrt(x)),
    ];

    [Fact]
    public void DoubleIsAccurateOverTheWholeRange()
    {
        var random = new Random(2);
        foreach (var (name, vector, exact) in Double)
            for (int k = 0; k < 20_000; k++)
            {
                double x = k % 2 == 0 ? BitConverter.Int64BitsToDouble(random.NextInt64()) : (random.NextDouble() - 0.5) * (k % 3 == 0 ? 1500 : 4);
                double error = Ulps64(vector(Vector512.Create(x))[k % 8], exact(x));
                Assert.True(error <= 4, $"{name}({x:R}): {error} ulp");
            }
    }

    /// <summary>Functions that Math lacks, against 28 decimal digits at dyadic fractions.</summary>
    [Fact]
    public void DoubleIsAccurateAgainstDecimals()
    {
        var random = new Random(3);
        for (int k = 0; k < 1500; k++)
        {
            long n = random.NextInt64(1L << 20) * (k % 4 == 0 ? 6 : 1) + 1;
            decimal m = (decimal)n / (1 << 20);
            double x = n / (double)(1 << 20);
            decimal e = Exp(m);
            Check("exp", VectorMath.Exp, x, e);
            Check("expm1", VectorMath.Expm1, x, e - 1);
            Check("expm1", VectorMath.Expm1, -x, 1 / e - 1);
            Check("tanh", VectorMath.Tanh, x, (e - 1 / e) / (e + 1 / e));
            Check("erf", VectorMath.Erf, x, Erf(m));
            Check("erf", VectorMath.Erf, -x, -Erf(m));
            Check("log", VectorMath.Log, x, Log(m));
            Check("log1p", VectorMath.Log1p, x, Log(1 + m));
            if (x < 0.99)
                Check("log1p", VectorMath.Log1p, -x, Log(1 - m));
        }
        static void Check(string name, D vector, double x, decimal exact)
        {
            double y = vector(Vector512.Create(x))[2];
            // In steps of the last place: decimals of y itself are exact enough only as a difference of high and low parts.
            double error = Math.Abs((double)(ExactDecimal(y) - exact)) / Ulp64((double)exact);
            Assert.True(error <= 4, $"{name}({x:R}): {error} ulp");
        }
    }

    private static readonly (string Name, double X, double Expected)[] Special =
    [
        ("exp", double.NegativeInfinity, 0.0),
        ("exp", double.PositiveInfinity, double.PositiveInfinity),
        ("exp", -0.0, 1.0),
        ("log", 0.0, double.NegativeInfinity),
        ("log", -0.0, double.NegativeInfinity),
        ("log", -1.0, double.NaN),
        ("log", double.NegativeInfinity, double.NaN),
        ("log", double.PositiveInfinity, double.PositiveInfinity),
        ("log", 1.0, 0.0),
        ("log1p", -1.0, double.NegativeInfinity),
        ("log1p", -2.0, double.NaN),
        ("log1p", -0.0, -0.0),
        ("log1p", double.PositiveInfinity, double.PositiveInfinity),
        ("expm1", -0.0, -0.0),
        ("expm1", double.NegativeInfinity, -1.0),
        ("expm1", double.PositiveInfinity, double.PositiveInfinity),
        ("tanh", -0.0, -0.0),
        ("tanh", double.NegativeInfinity, -1.0),
        ("logistic", double.NegativeInfinity, 0.0),
        ("logistic", double.PositiveInfinity, 1.0),
        ("logistic", 0.0, 0.5),
        ("erf", -0.0, -0.0),
        ("erf", double.NegativeInfinity, -1.0),
        ("erf", double.PositiveInfinity, 1.0),
        ("sin", -0.0, -0.0),
        ("sin", double.PositiveInfinity, double.NaN),
        ("cos", 0.0, 1.0),
        ("cos", double.NegativeInfinity, double.NaN),
        ("sqrt", -0.0, -0.0),
        ("sqrt", -1.0, double.NaN),
        ("rsqrt", 0.0, double.PositiveInfinity),
        ("rsqrt", double.PositiveInfinity, 0.0),
        ("relu", -0.0, 0.0),
        ("relu", -3.0, 0.0),
        ("relu", 3.0, 3.0),
        ("sign", -3.0, -1.0),
        ("sign", double.PositiveInfinity, 1.0),
        ("sign", -0.0, -0.0),
        ("floor", -1.5, -2.0),
        ("round", 2.5, 2.0),
        ("round", -3.5, -4.0),
    ];

    [Fact]
    public void SpecialValues()
    {
        foreach (var (name, x, expected) in Special)
            CheckSpecial(name, x, expected);
    }

    private static void CheckSpecial(string name, double x, double expected)
    {
        var (single, twice) = name switch
        {
            "exp" => ((F)VectorMath.Exp, (D)VectorMath.Exp),
            "log" => (VectorMath.Log, VectorMath.Log),
            "log1p" => (VectorMath.Log1p, VectorMath.Log1p),
            "expm1" => (VectorMath.Expm1, VectorMath.Expm1),
            "tanh" => (VectorMath.Tanh, VectorMath.Tanh),
            "logistic" => (VectorMath.Logistic, VectorMath.Logistic),
            "erf" => (VectorMath.Erf, VectorMath.Erf),
            "sin" => (VectorMath.Sin, VectorMath.Sin),
            "cos" => (VectorMath.Cos, VectorMath.Cos),
            "sqrt" => (VectorMath.Sqrt, VectorMath.Sqrt),
            "rsqrt" => (VectorMath.Rsqrt, VectorMath.Rsqrt),
            "relu" => (VectorMath.Relu, VectorMath.Relu),
            "sign" => (VectorMath.Sign, VectorMath.Sign),
            "floor" => (VectorMath.Floor, VectorMath.Floor),
            _ => ((F)VectorMath.Round, (D)VectorMath.Round),
        };
        Assert.Equal(BitConverter.DoubleToInt64Bits(Quiet(expected)), BitConverter.DoubleToInt64Bits(Quiet(single(Vector512.Create((float)x))[7])));
        Assert.Equal(BitConverter.DoubleToInt64Bits(Quiet(expected)), BitConverter.DoubleToInt64Bits(Quiet(twice(Vector512.Create(x))[7])));
        Assert.True(float.IsNaN(single(Vector512.Create(float.NaN))[0]));
        Assert.True(double.IsNaN(twice(Vector512.Create(double.NaN))[0]));
    }

    [Fact]
    public void PowHasTheSpecialValuesOfTheStandard()
    {
        double[] values = [0.0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, 1e30, -1e30, double.PositiveInfinity, double.NegativeInfinity, double.NaN];
        foreach (double x in values)
            foreach (double y in values)
            {
                Assert.Equal(Math.Pow(x, y), VectorMath.Pow(Vector512.Create(x), Vector512.Create(y))[1]);
                float single = (float)Math.Pow((float)x, (float)y);
                float actual = VectorMath.Pow(Vector512.Create((float)x), Vector512.Create((float)y))[1];
                Assert.True(
                    single.Equals(actual) || Math.Abs(actual - single) <= 2e-7 * Math.Abs(single), $"pow({x}, {y}) = {actual}, not {single}");
            }
    }

    private static double Quiet(double x) => double.IsNaN(x) ? double.NaN : x;

    private static double Logistic(double x) => x < 0 ? Math.Exp(x) / (1 + Math.Exp(x)) : 1 / (1 + Math.Exp(-x));

    private static double Expm1(double x) => Math.Abs(x) < 1e-5 ? x + x * x / 2 + x * x * x / 6 : Math.Exp(x) - 1;

    private static double Log1p(double x) => Math.Abs(x) < 1e-5 ? x - x * x / 2 + x * x * x / 3 : Math.Log(1 + x);

    /// <summary>Distance in units of the last place that a float has at the exact value.</summary>
    private static double Ulps(float y, double exact)
    {
        float nearest = (float)exact;
        if (y.Equals(nearest) || (float.IsNaN(y) && double.IsNaN(exact)))
            return 0;
        if (!float.IsFinite(y) || double.IsNaN(exact))
            return double.PositiveInfinity;
        double size = Math.Max(Math.Min(Math.Abs(exact), float.MaxValue), 1.1754943508222875e-38);
        return Math.Abs(y - exact) / Math.ScaleB(1, Math.ILogB(size) - 23);
    }

    private static double Ulps64(double y, double exact)
    {
        if (y.Equals(exact))
            return 0;
        return double.IsFinite(y) && double.IsFinite(exact) ? Math.Abs(y - exact) / Ulp64(exact) : double.PositiveInfinity;
    }

    private static double Ulp64(double exact) => Math.ScaleB(1, Math.ILogB(Math.Max(Math.Abs(exact), 2.2250738585072014e-308)) - 52);

    /// <summary>The decimal of a double of moderate size, from its upper and lower 26 bits.</summary>
    private static decimal ExactDecimal(double x)
    {
        int e = x == 0 ? 0 : Math.ILogB(x);
        double high = Math.ScaleB(Math.Truncate(Math.ScaleB(x, 26 - e)), e - 26), low = x - high;
        return Dyadic(high) + Dyadic(low);

        static decimal Dyadic(double part)
        {
            if (part == 0)
                return 0;
            int k = 26 - Math.ILogB(part);
            decimal value = (decimal)(long)Math.ScaleB(part, k);
            for (; k > 0; k--)
                value /= 2;
            for (; k < 0; k++)
                value *= 2;
            return value;
        }
    }

    /// <summary>eˣ for 0 ≤ x ≤ 60 by its series at x/2ⁿ ≤ ½, squared n times.</summary>
    private static decimal Exp(decimal x)
    {
        int squarings = 0;
        for (; x > 0.5m; squarings++)
            x /= 2;
        decimal term = 1, sum = 1;
        for (int n = 1; Math.Abs(term) > 1e-28m && n < 60; n++)
        {
            term *= x / n;
            sum += term;
        }
        for (; squarings > 0; squarings--)
            sum *= sum;
        return sum;
    }

    /// <summary>ln x by Newton's iteration on <see cref="Exp"/> from the double.</summary>
    private static decimal Log(decimal x)
    {
        decimal y = (decimal)Math.Log((double)x);
        for (int k = 0; k < 3; k++)
        {
            decimal e = y < 0 ? 1 / Exp(-y) : Exp(y);
            y += 2 * (x - e) / (x + e);
        }
        return y;
    }

    /// <summary>erf x = 2/√π·e^(−x²)·Σ 2ⁿx²ⁿ⁺¹/(2n + 1)!!, all terms of one sign (DLMF 7.6.2).</summary>
    private static decimal Erf(decimal x)
    {
        const decimal twoOverRootPi = 1.1283791670955125738961589031m;
        decimal square = x * x, term = x, sum = x;
        for (int n = 1; n < 400 && Math.Abs(term) > 1e-28m; n++)
        {
            term *= 2 * square / (2 * n + 1);
            sum += term;
        }
        return twoOverRootPi * sum / Exp(square);
    }
}
