using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>What a parameter starts from: a description; the backend draws the numbers.</summary>
public abstract record Initializer
{
    public static implicit operator Initializer(double value) => new ConstantInitializer(value);

    /// <summary>This, with every number multiplied.</summary>
    public Initializer Times(double factor) => new ScaledInitializer(this, factor);

    /// <summary>Whether every number will be 0.</summary>
    public virtual bool IsZero => false;

    /// <summary>The standard deviation of the numbers, where they are drawn; null otherwise.</summary>
    public virtual double? StandardDeviation(Shape shape) => null;

    /// <exception cref="ShapeException">The shape has no such initialization.</exception>
    public virtual void Check(Shape shape, string path)
    {
    }

    /// <summary>
    /// How many numbers each output sums over, and each input reaches: the last two axes, times the window's size for the axes
    /// before them (kernels are [kh, kw, in, out]). A vector's fan-in and fan-out are its size. A transposed kernel [kh, kw, out, in] counts by its axes as well, as in
    /// Keras and PyTorch.
    /// </summary>
    public static (double In, double Out) Fan(Shape shape)
    {
        var sizes = shape.Dims.Select(d => (double)d.Value).ToArray();
        if (sizes.Length == 0)
            return (1, 1);
        if (sizes.Length == 1)
            return (sizes[0], sizes[0]);
        var window = sizes[..^2].Aggregate(1.0, (a, b) => a * b);
        return (sizes[^2] * window, sizes[^1] * window);
    }
}

public sealed record ConstantInitializer(double Value) : Initializer
{
    public override bool IsZero => Value == 0;
}

/// <summary>Given numbers, row-major.</summary>
public sealed record ListInitializer(ValueList<int> Dims, ValueList<double> Values) : Initializer
{
    public override bool IsZero => Values.All(v => v == 0);

    public override void Check(Shape shape, string path)
    {
        if (!shape.Equals(new Shape([.. Dims.Select(d => Dim.Of(d))])))
            throw new ShapeException($"{path} has the shape {shape}, and its initial values have the shape {Dims}", shape);
    }
}

/// <summary>N(0, deviation²)</summary>
public sealed record NormalInitializer(double Deviation) : Initializer
{
    public override double? StandardDeviation(Shape shape) => Deviation;
}

/// <summary>N(0, deviation²) with draws beyond two deviations drawn again.</summary>
public sealed record TruncatedNormalInitializer(double Deviation) : Initializer
{
    public override double? StandardDeviation(Shape shape) => Deviation * 0.8796256610342398;
}

/// <summary>Uniform in [low, high).</summary>
public sealed record UniformInitializer(double Low, double High) : Initializer
{
    public override double? StandardDeviation(Shape shape) => (High - Low) / Math.Sqrt(12);
}

public enum Fan
{
    /// <summary>1 / fan-in: LeCun et al. 1998 at gain 1, He et al. 2015 at gain 2.</summary>
    In,

    /// <summary>2 / (fan-in + fan-out): Glorot and Bengio 2010.</summary>
    Average,
}

/// <summary>Variance gain / fan, normal or uniform.</summary>
public sealed record VarianceInitializer(double Gain, Fan Mode, bool IsUniform) : Initializer
{
    public override double? StandardDeviation(Shape shape)
    {
        var (fanIn, fanOut) = Fan(shape);
        return Math.Sqrt(Gain / Math.Max(1, Mode == Graph.Fan.In ? fanIn : (fanIn + fanOut) / 2));
    }
}

/// <summary>Rows or columns orthonormal, times gain (Saxe et al. 2014).</summary>
public sealed record OrthogonalInitializer(double Gain) : Initializer
{
    public override void Check(Shape shape, string path) => RequireMatrix(shape, path, "orthogonal");

    internal static void RequireMatrix(Shape shape, string path, string name)
    {
        if (shape.Rank < 2)
            throw new ShapeException($"{path} has the shape {shape}, and {name} needs at least two axes", shape);
    }
}

/// <summary>1 on the diagonal of the last two axes, 0 elsewhere.</summary>
public sealed record IdentityInitializer : Initializer
{
    public override void Check(Shape shape, string path) => OrthogonalInitializer.RequireMatrix(shape, path, "identity");
}

public sealed record ScaledInitializer(Initializer Inner, double Factor) : Initializer
{
    public override bool IsZero => Factor == 0 || Inner.IsZero;

    public override double? StandardDeviation(Shape shape) => Inner.StandardDeviation(shape) * Math.Abs(Factor);

    public override void Check(Shape shape, string path) => Inner.Check(shape, path);
}

/// <summary>He before a ReLU-family activation, Xavier otherwise; resolved when the model is complete.</summary>
public sealed record AutoInitializer : Initializer;

/// <summary>The initializers by name.</summary>
public static class Initializers
{
    internal static readonly HashSet<string> ReluFamily = ["relu", "leaky_relu", "prelu", "elu", "selu", "celu", "gelu", "swish", "silu", "mish", "softplus", "hard_swish"];

    public static Initializer Zeros { get; } = new ConstantInitializer(0);

    public static Initializer Ones { get; } = new ConstantInitializer(1);

    /// <summary>He before a ReLU-family activation, Xavier otherwise.</summary>
    public static Initializer Auto { get; } = new AutoInitializer();

    /// <summary>Uniform with variance 2 / (fan-in + fan-out) (Glorot and Bengio 2010).</summary>
    public static Initializer XavierUniform { get; } = new VarianceInitializer(1, Fan.Average, true);

    /// <summary>Normal with variance 2 / (fan-in + fan-out).</summary>
    public static Initializer XavierNormal { get; } = new VarianceInitializer(1, Fan.Average, false);

    /// <summary>Uniform with variance 2 / fan-in (He et al. 2015).</summary>
    public static Initializer HeUniform { get; } = new VarianceInitializer(2, Fan.In, true);

    /// <summary>Normal with variance 2 / fan-in.</summary>
    public static Initializer HeNormal { get; } = new VarianceInitializer(2, Fan.In, false);

    /// <summary>Normal with variance 1 / fan-in (LeCun et al. 1998).</summary>
    public static Initializer LecunNormal { get; } = new VarianceInitializer(1, Fan.In, false);

    public static Initializer Identity { get; } = new IdentityInitializer();

    public static Initializer Constant(double value) => new ConstantInitializer(value);

    public static Initializer Normal(double std = 1) => new NormalInitializer(std);

    public static Initializer TruncatedNormal(double std = 1) => new TruncatedNormalInitializer(std);

    public static Initializer Uniform(double low, double high) => new UniformInitializer(low, high);

    public static Initializer Orthogonal(double gain = 1) => new OrthogonalInitializer(gain);

    /// <summary>Replaces every <see cref="AutoInitializer"/> by what the scopes around its use say.</summary>
    internal static Model ResolveAuto(Model model)
    {
        if (!model.Parameters.Any(p => IsAuto(p.Initializer)))
            return model;
        var activation = new Dictionary<Expr, string>();
        foreach (var scope in model.Scopes)
        {
            foreach (var input in scope.Inputs)
                activation.TryAdd(input, scope.Kind);
        }

        // The parameter's own layer says where its result goes.
        var heForLayer = new Dictionary<string, bool>();
        foreach (var scope in model.Scopes)
        {
            var he = scope.Outputs.Any(o => activation.TryGetValue(o, out var kind) && ReluFamily.Contains(kind));
            heForLayer.TryAdd(scope.Path, false);
            heForLayer[scope.Path] |= he;
        }

        return model with { Parameters = [.. model.Parameters.Select(p => p with { Initializer = Resolve(p.Initializer, p), IsAuto = IsAuto(p.Initializer) })] };

        Initializer Resolve(Initializer initializer, Parameter parameter) => initializer switch
        {
            AutoInitializer => heForLayer.GetValueOrDefault(parameter.Path[..Math.Max(0, parameter.Path.LastIndexOf('.'))]) ? HeNormal : XavierUniform,
            ScaledInitializer scaled => scaled with { Inner = Resolve(scaled.Inner, parameter) },
            _ => initializer,
        };
    }

    private static bool IsAuto(Initializer initializer) => initializer is AutoInitializer || (initializer is ScaledInitializer scaled && IsAuto(scaled.Inner));
}
