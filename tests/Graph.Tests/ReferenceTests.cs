using System.Numerics;
using Xunit;

namespace Dnn.Graph.Tests;

public class ReferenceTests
{
    /// <summary>Computed with 80 digits from the Maclaurin series.</summary>
    [Theory]
    [InlineData(1, 1, 1.3161512816979476449, 0.19045346923783468628)]
    [InlineData(0.5, 0.25, 0.54868936055376218415, 0.22199095428837334808)]
    [InlineData(2, 1, 1.0036063427256517509, -0.011259006028815025076)]
    [InlineData(2.9, 0.5, 1.0000519919588088244, 0.0000044996574098282790051)]
    [InlineData(3.1, 0.5, 1.0000147257911159630, -0.0000015560433453954793712)]
    [InlineData(4, 1, 1.0000000150962952500, 3.7940329690890710501e-8)]
    [InlineData(0.1, 0, 0.11246291601828489220, 0)]
    [InlineData(0.5, 0, 0.52049987781304653768, 0)]
    [InlineData(1, 0, 0.84270079294971486934, 0)]
    [InlineData(2, 0, 0.99532226501895273416, 0)]
    [InlineData(2.99, 0, 0.99997647439691935977, 0)]
    [InlineData(3.01, 0, 0.99997926103636286739, 0)]
    [InlineData(5, 0, 0.99999999999846254021, 0)]
    [InlineData(1e-10, 0, 1.1283791670955125739e-10, 0)]
    public void Erf(double re, double im, double expectedRe, double expectedIm)
    {
        var z = new Complex(re, im);
        var expected = new Complex(expectedRe, expectedIm);
        Assert.InRange(Complex.Abs(ComplexField.Erf(z) - expected), 0, 4e-15 * Complex.Abs(expected));
        Assert.Equal(-ComplexField.Erf(z), ComplexField.Erf(-z));
        if (im == 0)
            Assert.InRange(Math.Abs(RealField.Erf(re) - expectedRe), 0, 2e-15 * expectedRe);
    }

    [Fact]
    public void The_largest_of_infinities_is_infinite()
    {
        foreach (var infinity in (double[])[double.PositiveInfinity, double.NegativeInfinity])
        {
            var x = Expr.Vector(infinity, infinity);
            Assert.Equal(infinity, Value(x.ReduceMax()));
            Assert.Equal(infinity, Value(x.ReduceMin()));
            Assert.Equal(infinity, Value(x.LogSumExp()));
        }
    }

    [Fact]
    public void Ties_of_large_numbers_do_not_overflow() => Assert.Equal(1.5e308, Value(Expr.Max(Expr.Scalar(1.5e308), Expr.Scalar(1.5e308))));

    [Fact]
    public void A_cast_to_f32_keeps_what_is_special()
    {
        Assert.Equal(double.NegativeInfinity, Value(Expr.Vector(double.NegativeInfinity).Cast(DType.F32).Sum()));
        Assert.Equal(double.NegativeInfinity, Value((1 / Expr.Vector(-0.0).Cast(DType.F32).Cast(DType.Float)).Sum()));
        Assert.Equal((float)0.1, Value(Expr.Scalar(0.1, DType.F32).Cast(DType.F64)));
    }

    [Fact]
    public void The_sign_of_zero_tells_tables_and_literals_apart()
    {
        Assert.NotSame(Expr.Vector(0.0), Expr.Vector(-0.0));
        Assert.NotSame(Expr.Scalar(0.0), Expr.Scalar(-0.0));
        Assert.Same(Expr.Vector(double.NaN, 1), Expr.Vector(double.NaN, 1));
    }

    [Fact]
    public void An_open_literal_takes_the_type_of_a_typed_one()
    {
        Assert.Equal(DType.F64, (Expr.Scalar(2, DType.F64) - 1).DType);
        Assert.Equal(DType.F32, (1 / Expr.Scalar(2, DType.F32)).DType);
    }

    [Fact]
    public void Sizes_taken_to_be_equal_are_checked()
    {
        var (x, y) = (Expr.Variable("x", new Shape("A", 2)), Expr.Variable("y", new Shape("B", 2)));
        var point = new Dictionary<Expr, RefValue<double>> { [x] = RefValue<double>.Of([2, 2], new double[4]), [y] = RefValue<double>.Of([3, 2], new double[6]) };
        foreach (var mixed in (Expr[])[Expr.Concat(1, x, y), x + y, Expr.Where(x.LessThan(0), y, y), x.LessThan(y), x.Transpose().MatMul(y)])
            Assert.Contains("2", Assert.ThrowsAny<GraphException>(() => Reference.Evaluate([mixed], point)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_named_size_is_checked_whatever_the_order()
    {
        var product = Expr.Variable("product", new Shape((Dim)"A" * "B"));
        var (a, b) = (Expr.Variable("a", new Shape("A")), Expr.Variable("b", new Shape("B")));
        var point = new Dictionary<Expr, RefValue<double>> { [product] = RefValue<double>.Of([7], new double[7]) };
        (point[a], point[b]) = (RefValue<double>.Of([2], new double[2]), RefValue<double>.Of([3], new double[3]));
        Assert.Throws<ShapeException>(() => Reference.Evaluate([product], point));
    }

    private static double Value(Expr x) => Reference.Evaluate([x], new Dictionary<Expr, RefValue<double>>())[0].Reals![0];
}
