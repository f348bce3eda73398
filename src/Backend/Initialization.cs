using Dnn.Graph;
using MathNet.Numerics.LinearAlgebra;

namespace Dnn.Backend;

/// <summary>Draws what <see cref="Initializer"/>s describe. The numbers of a parameter are a function of seed and path alone.</summary>
public static class Initialization
{
    /// <summary>The initial values of all parameters and buffers of a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="seed">What the numbers are a function of.</param>
    /// <param name="floatType">F32 or F64; both come from the same draws.</param>
    public static Weights Sample(Model model, long seed, DType floatType = DType.F32)
    {
        ArgumentNullException.ThrowIfNull(model);
        IEnumerable<(string Path, Expr Variable, Initializer Initializer)> all =
            [.. model.Parameters.Select(p => (p.Path, p.Variable, p.Initializer)), .. model.Buffers.Select(b => (b.Path, b.Variable, b.Initializer))];
        return Weights.From(all.Select(p => KeyValuePair.Create(p.Path, Sample(p.Initializer, p.Variable.Type, p.Path, seed, floatType))));
    }

    /// <summary>One tensor.</summary>
    public static Tensor Sample(Initializer initializer, TensorType type, string path, long seed, DType floatType = DType.F32)
    {
        ArgumentNullException.ThrowIfNull(initializer);
        ArgumentNullException.ThrowIfNull(type);
        var values = Draw(initializer, type.Shape, DataRandom.Key(RandomUse.Initialization, seed, StableHash.Of64(path)));
        int[] dims = [.. type.Shape.Dims.Select(d => (int)d.Value)];
        return Tensor.Create(values, dims).Cast(type.DType == DType.Float ? floatType : type.DType);
    }

    private static double[] Draw(Initializer initializer, Shape shape, ulong key)
    {
        var values = new double[shape.ElementCount.Value];
        switch (initializer)
        {
            case ConstantInitializer constant:
                Array.Fill(values, constant.Value);
                break;
            case ListInitializer list:
                list.Values.AsSpan().CopyTo(values);
                break;
            case NormalInitializer normal:
                Fill(values, i => normal.Deviation * Normal(key, i));
                break;
            case TruncatedNormalInitializer truncated:
                Fill(values, i => truncated.Deviation * TruncatedNormal(key, i));
                break;
            case UniformInitializer uniform:
                Fill(values, i => uniform.Low + ((uniform.High - uniform.Low) * Uniform(key, i)));
                break;
            case VarianceInitializer { IsUniform: true } variance:
                var limit = Math.Sqrt(3) * variance.StandardDeviation(shape)!.Value;
                Fill(values, i => limit * ((2 * Uniform(key, i)) - 1));
                break;
            case VarianceInitializer variance:
                var deviation = variance.StandardDeviation(shape)!.Value;
                Fill(values, i => deviation * Normal(key, i));
                break;
            case OrthogonalInitializer orthogonal:
                return Orthogonal(shape, orthogonal.Gain, key);
            case IdentityInitializer:
                var (rows, columns) = ((int)shape[^2].Value, (int)shape[^1].Value);
                for (var i = 0; i < values.Length; i++)
                    values[i] = i / columns % rows == i % columns ? 1 : 0;
                break;
            case ScaledInitializer scaled:
                return [.. Draw(scaled.Inner, shape, key).Select(v => v * scaled.Factor)];
            default:
                throw new InvalidOperationException($"{initializer.GetType().Name} cannot be drawn");
        }

        return values;
    }

    private static void Fill(double[] values, Func<long, double> draw)
    {
        for (var i = 0; i < values.Length; i++)
            values[i] = draw(i);
    }

    private static double Uniform(ulong key, long index) => Philox.Bits24(key, index) / (double)(1 << 24);

    private static double Normal(ulong key, long index) => DataRandom.Normal(key, index).Item1;

    /// <summary>Draws again until within two deviations; the draws of one element are a stream of their own.</summary>
    private static double TruncatedNormal(ulong key, long index)
    {
        var stream = Philox.Fold(key, (ulong)index);
        for (var attempt = 0L; ; attempt++)
        {
            var draw = Normal(stream, attempt);
            if (Math.Abs(draw) <= 2)
                return draw;
        }
    }

    /// <summary>Q of a normal matrix, with the signs that make it uniformly distributed (Mezzadri 2007); leading axes count as rows.</summary>
    private static double[] Orthogonal(Shape shape, double gain, ulong key)
    {
        var columns = (int)shape[^1].Value;
        var rows = (int)(shape.ElementCount.Value / Math.Max(1, columns));
        var (tall, wide) = (Math.Max(rows, columns), Math.Min(rows, columns));
        if (wide == 0)
            return [];
        var qr = Matrix<double>.Build.Dense(tall, wide, (i, j) => Normal(key, ((long)i * wide) + j)).QR(MathNet.Numerics.LinearAlgebra.Factorization.QRMethod.Thin);
        var q = qr.Q * Matrix<double>.Build.DiagonalOfDiagonalVector(qr.R.Diagonal().Map(d => d < 0 ? -gain : gain));
        return (rows >= columns ? q : q.Transpose()).ToRowMajorArray();
    }
}
