using System.Collections.Immutable;
using Dnn.Graph;
using MathNet.Numerics.LinearAlgebra;
using Xunit;

namespace Dnn.Backend.Tests;

public class TensorTests
{
    private static readonly Tensor Matrix = Tensor.Create(new float[,] { { 1, 2, 3 }, { 4, 5, 6 } });

    [Fact]
    public void Elements_are_in_row_major_order()
    {
        Assert.Equal("f32[2, 3]", Matrix.TypeText);
        Assert.Equal([1f, 2, 3, 4, 5, 6], Matrix.ToArray<float>());
        Assert.Equal(6, Matrix[1, 2]);
        Assert.Equal(4, Matrix[-1, -3]);
        Assert.Equal(7, Tensor.Scalar(7L).ToScalar());
        Assert.Equal(0, Tensor.Scalar(1.0).Rank);
    }

    [Fact]
    public void Wrong_uses_are_told()
    {
        Assert.Throws<IndexOutOfRangeException>(() => Matrix[2, 0]);
        Assert.Throws<IndexOutOfRangeException>(() => Matrix[0, -4]);
        Assert.Throws<IndexOutOfRangeException>(() => Matrix[0]);
        Assert.Throws<ArgumentException>(() => Tensor.Create(new float[5], 2, 3));
        Assert.Throws<ArgumentException>(() => Tensor.Create(new int[5]));
        Assert.Throws<ArgumentException>(() => Tensor.Zeros(DType.F32, -1));
        Assert.Throws<ArgumentException>(() => Tensor.Zeros(DType.F32, int.MaxValue, int.MaxValue, 4));
        Assert.Throws<ArgumentException>(() => Tensor.Zeros(DType.Float, 1));
        Assert.Throws<ArgumentException>(() => Matrix.Cast(DType.Float));
        Assert.Throws<ArgumentException>(() => Matrix.Reshape(4));
        Assert.Throws<ArgumentException>(() => Matrix.Reshape(-1, 4));
        Assert.Throws<ArgumentException>(() => Tensor.Zeros(DType.F32, 0).Reshape(-1, 0));
        Assert.Throws<InvalidOperationException>(() => Matrix.ToScalar());
        Assert.Throws<InvalidOperationException>(() => Matrix.ToArray<double>());
        Assert.Throws<InvalidOperationException>(() => Matrix.AsMatrix<double>());
        Assert.Throws<InvalidOperationException>(() => Tensor.Scalar(1f).AsMatrix<float>());
    }

    [Fact]
    public void A_shape_with_a_zero_has_no_elements() => Assert.Equal(0, Tensor.Zeros(DType.F64, int.MaxValue, int.MaxValue, 0, int.MaxValue).Length);

    [Fact]
    public void Reshape_keeps_the_order_and_the_memory() => Samples.Check(Samples.Tensors, t =>
    {
        Tensor flat = t.Reshape(checked((int)t.Length));
        Assert.True(flat.Reshape([.. t.Shape]).BitEquals(t));
        Assert.True(t.Length == 0 || flat.Reshape(1, -1, 1).Shape[1] == t.Length);
    });

    [Fact]
    public void Casting_widens_exactly_and_narrows_as_documented()
    {
        Assert.True(Matrix.Cast(DType.F64).Cast(DType.F32).BitEquals(Matrix));
        Assert.Same(Matrix, Matrix.Cast(DType.F32));
        Assert.Equal([1, -1, 0, long.MaxValue, long.MinValue], Tensor.Create([1.9, -1.9, double.NaN, 1e300, double.NegativeInfinity]).Cast(DType.I64).ToArray<long>());
        Assert.Equal([true, false, true], Tensor.Create([0.5f, 0f, float.NaN]).Cast(DType.Bool).ToArray<bool>());
        Assert.Equal([1.0, 0.0], Tensor.Create([true, false]).Cast(DType.F64).ToArray<double>());
        Assert.Equal([float.PositiveInfinity], Tensor.Create([1e300]).Cast(DType.F32).ToArray<float>());
    }

    [Fact]
    public void Equality_is_of_bits()
    {
        Assert.True(Tensor.Scalar(double.NaN).BitEquals(Tensor.Scalar(double.NaN)));
        Assert.False(Tensor.Scalar(0.0).BitEquals(Tensor.Scalar(-0.0)));
        Assert.False(Tensor.Scalar(0L).BitEquals(Tensor.Scalar(0.0)));
        Assert.False(Matrix.BitEquals(Matrix.Reshape(3, 2)));
    }

    [Fact]
    public void A_MathNet_matrix_is_the_transpose_over_the_same_memory()
    {
        float[] data = [1, 2, 3, 4, 5, 6];
        Matrix<float> m = Tensor.Create(data, 2, 3).AsMatrix<float>();
        Assert.Equal((3, 2), (m.RowCount, m.ColumnCount));
        Assert.Equal(Matrix[1, 2], m[2, 1]);
        data[5] = 60;
        Assert.Equal(60, m[2, 1]);
        Assert.Equal((6, 1), (Tensor.Create(data).AsMatrix<float>().RowCount, Tensor.Create(data).AsMatrix<float>().ColumnCount));
    }

    // What numpy.array2string gives for the same arrays.
    public static TheoryData<Tensor, string> Texts() => new()
    {
        { Matrix, "[[1. 2. 3.]\n [4. 5. 6.]]" },
        { Tensor.Create([1.0, 2.5, -3.25]), "[ 1.    2.5  -3.25]" },
        { Tensor.Create([0.1f, 100.5f]), "[1.000e-01 1.005e+02]" },
        { Tensor.Create([0.5f, 100.5f]), "[  0.5 100.5]" },
        { Tensor.Create([1e-10, 1.0]), "[1.e-10 1.e+00]" },
        { Tensor.Create([1.5e9, 0.25]), "[1.5e+09 2.5e-01]" },
        { Tensor.Create([double.NaN, double.PositiveInfinity, 1.0]), "[nan inf  1.]" },
        { Tensor.Create([1L, -20L, 300L]), "[  1 -20 300]" },
        { Tensor.Create([true, false]), "[ true false]" },
        { Tensor.Scalar(2.5), "2.5" },
        { Tensor.Scalar(1.0 / 3), "0.3333333333333333" },
        { Tensor.Scalar(1e10), "10000000000." },
        { Tensor.Create([1.1f, 2e8f, 1234.5677f]), "[1.1000000e+00 2.0000000e+08 1.2345677e+03]" },
        { Tensor.Create([.. Enumerable.Range(0, 20).Select(static i => i / 8.0)]), "[0.    0.125 0.25  0.375 0.5   0.625 0.75  0.875 1.    1.125 1.25  1.375\n 1.5   1.625 1.75  1.875 2.    2.125 2.25  2.375]" },
        { Tensor.Create([1.0 / 3]), "[0.33333333]" },
        { Tensor.Create([-0.0]), "[-0.]" },
        { Tensor.Zeros(DType.F32, 0), "[]" },
        { Tensor.Zeros(DType.I64, 2, 1, 2), "[[[0 0]]\n\n [[0 0]]]" },
        { Tensor.Create([.. Enumerable.Range(0, 2000).Select(i => (long)i)]), "[   0    1    2 ... 1997 1998 1999]" },
    };

    [Theory]
    [MemberData(nameof(Texts))]
    public void Text_is_NumPys(Tensor tensor, string expected) => Assert.Equal(expected, tensor.ToString());

    [Fact]
    public void Long_rows_are_wrapped_and_large_tensors_abbreviated()
    {
        Assert.All(Tensor.Zeros(DType.F32, 100).ToString().Split('\n'), static line => Assert.True(line.Length <= 75));
        Assert.True(Tensor.Zeros(DType.F32, 200, 200, 200).ToString().Length < 2000);
    }

    [Fact]
    public void Any_tensor_has_a_text() => Samples.Check(Samples.Tensors, static t => Assert.NotNull(t.ToString()));

    [Fact]
    public void Weights_are_ordered_by_path_with_numbers_by_value()
    {
        string[] paths = ["a", "a[2]", "a[10]", "a[10].b", "b", "b01", "b1", "b2x", "b10"];
        Weights weights = paths.Reverse().Aggregate(Weights.Empty, static (w, p) => w.With(p, Tensor.Scalar(0f)));
        Assert.Equal(paths, weights.Paths);
        Assert.All(paths, p => Assert.True(weights.Contains(p)));
    }

    [Fact]
    public void Weights_are_a_value()
    {
        Weights one = Weights.Empty.With("w", Matrix);
        Weights two = one.With("w", Tensor.Scalar(1f)).With("v", Matrix).WithMetadata("k", "v");
        Assert.Same(Matrix, one["w"]);
        Assert.Equal(2, two.Count);
        Assert.Equal(7, two.ElementCount);
        Assert.True(one.With(two).BitEquals(two));
        Assert.True(two.Without("v").Without("none").Contains("w"));
        Assert.False(two.TryGet("none", out _));
        Assert.Throws<ArgumentException>(() => Weights.From([new("a", Matrix), new("a", Matrix)]));
    }

    [Fact]
    public void A_wrong_path_gets_a_suggestion()
    {
        Weights weights = Weights.Empty.With("encoder.weight", Matrix).With("bias", Matrix);
        Assert.Contains("Did you mean 'encoder.weight'?", Assert.Throws<KeyNotFoundException>(() => weights["encodr.weight"]).Message, StringComparison.Ordinal);
        Assert.Contains("There are bias, encoder.weight", Assert.Throws<KeyNotFoundException>(() => weights["zzz"]).Message, StringComparison.Ordinal);
        Assert.Contains("There are none", Assert.Throws<KeyNotFoundException>(() => Weights.Empty["zzz"]).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Differences_from_what_is_expected_are_listed()
    {
        Weights weights = Weights.Empty.With("fc1.wieght", Matrix).With("b", Matrix).With("n", Matrix).With("ok", Matrix);
        ImmutableArray<int> shape = [2, 3];
        Assert.Equal(
            [
                "'fc1.weight' (float[2, 3]) is missing; did you mean 'fc1.wieght'?",
                "'b' is f32[2, 3] where float[3] is expected",
                "'n' is f32[2, 3] where i64[2, 3] is expected",
                "'fc1.wieght' (f32[2, 3]) is not expected",
            ],
            weights.CompareTo([("fc1.weight", DType.Float, shape), ("b", DType.Float, [3]), ("n", DType.I64, shape), ("ok", DType.F64, shape)]).Select(static d => d.ToString()));
    }
}
