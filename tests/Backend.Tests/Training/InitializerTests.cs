using System.Reflection;
using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>What initializers draw has the mean and variance that they promise.</summary>
public class InitializerTests
{
    private static readonly Shape Matrix = new(200, 300);
    private static readonly Shape Kernel = new(3, 3, 40, 160);

    /// <summary>Mean, variance, and the fourth central moment in units of the variance squared: 3 of a normal, 9/5 of a uniform distribution.</summary>
    public static TheoryData<Initializer, Shape, double, double, double> Distributions { get; } = new()
    {
        { Initializers.Normal(0.3), Matrix, 0, 0.09, 3 },
        { Initializers.Uniform(-1, 3), Matrix, 1, 16.0 / 12, 1.8 },
        { Initializers.TruncatedNormal(0.5), Matrix, 0, 0.25 * Truncated.Second, Truncated.Fourth / (Truncated.Second * Truncated.Second) },
        { Initializers.XavierUniform, Matrix, 0, 2.0 / 500, 1.8 },
        { Initializers.XavierNormal, Matrix, 0, 2.0 / 500, 3 },
        { Initializers.HeUniform, Matrix, 0, 2.0 / 200, 1.8 },
        { Initializers.HeNormal, Matrix, 0, 2.0 / 200, 3 },
        { Initializers.LecunNormal, Matrix, 0, 1.0 / 200, 3 },
        { Initializers.HeNormal.Times(0.5), Matrix, 0, 0.5 / 200, 3 },

        // A kernel's window counts in both fans.
        { Initializers.XavierUniform, Kernel, 0, 2.0 / (9 * 200), 1.8 },
        { Initializers.HeNormal, Kernel, 0, 2.0 / (9 * 40), 3 },
        { Initializers.LecunNormal, Kernel, 0, 1.0 / (9 * 40), 3 },
        { Initializers.HeNormal, new Shape(60000), 0, 2.0 / 60000, 3 },
        { Initializers.HeUniform, Kernel, 0, 2.0 / (9 * 40), 1.8 },
        { Initializers.XavierNormal, Kernel, 0, 2.0 / (9 * 200), 3 },
    };

    /// <summary>Where each initializer of the library is held to what it promises; a new one needs a line here.</summary>
    private static readonly Dictionary<string, string> Tested = new()
    {
        [nameof(Initializers.Normal)] = nameof(Mean_and_variance_are_those_promised),
        [nameof(Initializers.Uniform)] = nameof(Mean_and_variance_are_those_promised),
        [nameof(Initializers.TruncatedNormal)] = nameof(Mean_and_variance_are_those_promised),
        [nameof(Initializers.XavierUniform)] = nameof(Mean_and_variance_are_those_promised),
        [nameof(Initializers.XavierNormal)] = nameof(Mean_and_variance_are_those_promised),
        [nameof(Initializers.HeUniform)] = nameof(Mean_and_variance_are_those_promised),
        [nameof(Initializers.HeNormal)] = nameof(Mean_and_variance_are_those_promised),
        [nameof(Initializers.LecunNormal)] = nameof(Mean_and_variance_are_those_promised),
        [nameof(Initializers.Orthogonal)] = nameof(Orthogonal_maps_keep_lengths),
        [nameof(Initializers.Identity)] = nameof(What_is_not_drawn_is_what_it_says),
        [nameof(Initializers.Constant)] = nameof(What_is_not_drawn_is_what_it_says),
        [nameof(Initializers.Zeros)] = nameof(What_is_not_drawn_is_what_it_says),
        [nameof(Initializers.Ones)] = nameof(What_is_not_drawn_is_what_it_says),
        [nameof(Initializers.Auto)] = nameof(Auto_is_he_before_the_relu_family_and_xavier_otherwise),
    };

    [Fact]
    public void Every_initializer_is_tested()
    {
        var all = typeof(Initializers).GetMembers(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly).Where(m => m is PropertyInfo or MethodInfo { IsSpecialName: false }).Select(m => m.Name);
        Assert.Equal(all.Order(StringComparer.Ordinal), Tested.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void What_is_not_drawn_is_what_it_says()
    {
        Assert.Equal([0, 0, 0], Draw(Initializers.Zeros, 3));
        Assert.Equal([1, 1, 1], Draw(Initializers.Ones, 3));
        Assert.Equal([-2.5, -2.5], Draw(Initializers.Constant(-2.5), 2));
        Assert.Equal([1, 2, 3, 4], Draw(new ListInitializer([2, 2], [1, 2, 3, 4]), 2, 2));
        Assert.Equal([1, 0, 0, 0, 1, 0], Draw(Initializers.Identity, 2, 3));
        Assert.Equal([1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0], Draw(Initializers.Identity, 2, 3, 2));
        Assert.Equal([0, -3, 0, 0], Draw(new ListInitializer([4], [0, 1, 0, 0]).Times(-3), 4));
        static double[] Draw(Initializer initializer, params int[] dims) =>
            Initialization.Sample(initializer, new TensorType(DType.Float, new Shape([.. dims.Select(d => Dim.Of(d))])), "w", 1, DType.F64).ToArray<double>();
    }

    /// <summary>What a sum takes in and what a number reaches, for the kernels as the layers store them.</summary>
    [Theory]
    [InlineData("dense", 12, 7, 12, 7)]
    [InlineData("conv1d", 3 * 12, 3 * 7, 3, 12, 7)]
    [InlineData("conv2d", 15 * 12, 15 * 7, 3, 5, 12, 7)]
    [InlineData("conv2d of 4 groups", 9 * 3, 9 * 8, 3, 3, 3, 8)]
    [InlineData("conv3d", 8 * 12, 8 * 7, 2, 2, 2, 12, 7)]
    [InlineData("depthwise", 9, 9 * 24, 3, 3, 1, 24)]
    [InlineData("transposed, stored [kh, kw, out, in] and counted so, as PyTorch and Keras do", 16 * 7, 16 * 12, 4, 4, 7, 12)]
    [InlineData("vector", 5, 5, 5)]
    [InlineData("scalar", 1, 1)]
    public void Fans_count_the_window(string kernel, double into, double from, params int[] dims)
    {
        var shape = new Shape([.. dims.Select(d => Dim.Of(d))]);
        Assert.True(Initializer.Fan(shape) == (into, from), kernel);
        Assert.Equal(Math.Sqrt(2 / into), Initializers.HeNormal.StandardDeviation(shape)!.Value, 1e-15);
        Assert.Equal(Math.Sqrt(2 / (into + from)), Initializers.XavierUniform.StandardDeviation(shape)!.Value, 1e-15);
    }

    /// <summary>Moments of a standard normal within ±2.</summary>
    private static (double Second, double Fourth) Truncated
    {
        get
        {
            var (density, mass) = (Math.Exp(-2) / Math.Sqrt(2 * Math.PI), MathNet.Numerics.SpecialFunctions.Erf(Math.Sqrt(2)));
            var second = 1 - (4 * density / mass);
            return (second, (3 * second) - (16 * density / mass));
        }
    }

    [Theory]
    [MemberData(nameof(Distributions))]
    public void Mean_and_variance_are_those_promised(Initializer initializer, Shape shape, double mean, double variance, double fourth)
    {
        var values = Initialization.Sample(initializer, new TensorType(DType.Float, shape), "w", 1, DType.F64).ToArray<double>();
        var n = values.Length;
        var deviation = Math.Sqrt(variance);
        Assert.InRange(values.Average() - mean, -4 * deviation / Math.Sqrt(n), 4 * deviation / Math.Sqrt(n));

        // The variance of a sample's variance is (μ₄ − σ⁴) / n.
        var spread = variance * Math.Sqrt((fourth - 1) / n);
        Assert.InRange(values.Average(v => (v - mean) * (v - mean)) - variance, -4 * spread, 4 * spread);
        Assert.Equal(deviation, initializer.StandardDeviation(shape)!.Value, 1e-12);

        // Another path or seed draws other numbers, and the same ones the same.
        Assert.Equal(values, Initialization.Sample(initializer, new TensorType(DType.Float, shape), "w", 1, DType.F64).ToArray<double>());
        Assert.NotEqual(values, Initialization.Sample(initializer, new TensorType(DType.Float, shape), "v", 1, DType.F64).ToArray<double>());
        Assert.NotEqual(values, Initialization.Sample(initializer, new TensorType(DType.Float, shape), "w", 2, DType.F64).ToArray<double>());
    }

    [Theory]
    [InlineData(6, 4)]
    [InlineData(4, 6)]
    [InlineData(5, 5)]
    public void Orthogonal_maps_keep_lengths(int rows, int columns)
    {
        foreach (var window in (int[][])[[], [2, 3]])
        {
            Shape shape = new([.. window.Select(w => Dim.Of(w)), rows, columns]);
            var tall = rows * window.Aggregate(1, (a, b) => a * b);
            var q = Initialization.Sample(Initializers.Orthogonal(3), new TensorType(DType.Float, shape), "w", 5, DType.F64).ToArray<double>();
            var m = MathNet.Numerics.LinearAlgebra.Matrix<double>.Build.Dense(columns, tall, q);
            var product = tall >= columns ? m * m.Transpose() : m.Transpose() * m;
            Assert.True((product - (9 * MathNet.Numerics.LinearAlgebra.Matrix<double>.Build.DenseIdentity(product.RowCount))).InfinityNorm() < 1e-12);
        }
    }

    [Fact]
    public void Auto_is_he_before_the_relu_family_and_xavier_otherwise()
    {
        var model = Model.Build("M", m =>
        {
            var x = m.Input("x", "B", 8);
            var h = Layers.Dense(8).Named("to_relu").Apply(x).Relu();
            h = Layers.Dense(8).Named("to_gelu").Apply(h).Gelu();
            h = Layers.Dense(8).Named("to_tanh").Apply(h);
            h = Layers.Dense(8).Named("to_norm").Apply(h.Tanh());
            m.Output("y", Layers.Dense(2).Named("last").Apply(Layers.LayerNorm().Apply(h)));
        });
        foreach (var (name, expected) in new[] { ("to_relu", Initializers.HeNormal), ("to_gelu", Initializers.HeNormal), ("to_tanh", Initializers.XavierUniform), ("to_norm", Initializers.XavierUniform), ("last", Initializers.XavierUniform) })
            Assert.Equal(expected, model.Parameters.Single(p => p.Path == name + ".weight").Initializer);
    }

    [Fact]
    public void A_residual_block_with_zero_starts_as_the_identity_and_leaves_it()
    {
        var model = Model.Build("M", m =>
        {
            var x = m.Input("x", "B", 3);
            var y = x.Residual(Layers.Dense(3), zero: true);
            m.Output("y", y);
            m.Loss((y - 1).Square().Mean());
        });
        var weights = Initialization.Sample(model, 1);
        var input = Tensor.Create([1f, 2, 3, -4, 5, 6], 2, 3);
        Assert.Equal(input.ToArray<float>(), new Predictor(model, weights).Predict(("x", input))["y"].ToArray<float>());
        var data = DataSet.Of(new DataSplit("train", ("x", input)));
        var trained = Trainer.Fit(model, new TrainingRecipe { Optimizer = new Sgd(0.1), Epochs = 2 }, data).Weights;
        Assert.NotEqual(0f, trained["residual_0.scale"].ToArray<float>()[0]);
    }
}
