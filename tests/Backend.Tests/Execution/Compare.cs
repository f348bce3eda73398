using Dnn.Graph;
using MathNet.Numerics.Providers.LinearAlgebra;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>The executor against the reference evaluator.</summary>
internal static class Compare
{
    /// <summary>Runs of every kind: float types, threads, matrix products.</summary>
    public static PlanOptions[] Configurations =>
    [
        new() { Float = DType.F32, Threads = 1 },
        new() { Float = DType.F32, Threads = 2 },
        new() { Float = DType.F32, Threads = 3 },
        new() { Float = DType.F64, Threads = 1 },
        new() { Float = DType.F64, Threads = 2 },
        new() { Float = DType.F64, Threads = 3 },
        new() { Float = DType.F64, Threads = 1, Fuse = false },
        new() { Float = DType.F32, Threads = 1, MatrixProduct = new MathNetMatrixProduct(LinearAlgebraControl.Provider) },
        new() { Float = DType.F64, Threads = 1, MatrixProduct = new MathNetMatrixProduct(LinearAlgebraControl.Provider) },
    ];

    /// <summary>
    /// Evaluates the roots in every configuration, against the reference. Errors are measured against <paramref name="scales"/>: bounds of the
    /// sums of absolute contributions, one a root (null takes the value itself and 1).
    /// </summary>
    public static void WithReference(
        IReadOnlyList<Expr> roots,
        IReadOnlyDictionary<Expr, double[]> values,
        IReadOnlyDictionary<string, long>? sizes = null,
        IReadOnlyList<Expr>? scales = null,
        double tolerance = 8)
    {
        sizes ??= new Dictionary<string, long>();
        var tensors = values.ToDictionary(v => v.Key, v => ToTensor(v.Key, v.Value, sizes));
        var reference = values.ToDictionary(v => v.Key, v => ToReference(v.Key, v.Value, sizes));
        var expected = Reference.Evaluate(roots, reference, sizes);
        var scale = scales is null ? expected : Reference.Evaluate(scales, reference, sizes);
        Tensor[]? single = null, whole = null;
        foreach (var options in Configurations)
        {
            var actual = Evaluator.Evaluate(roots, tensors, options, sizes);
            for (var i = 0; i < roots.Count; i++)
                Check(roots[i], actual[i], expected[i], scale[i], (options.Float == DType.F32 ? 1.2e-7 : 2.3e-16) * tolerance, options);
            if (options.MatrixProduct is not null || !options.Fuse)
                continue;

            // The same bits at any number of threads.
            ref var first = ref options.Float == DType.F32 ? ref single : ref whole;
            first ??= actual;
            for (var i = 0; i < roots.Count; i++)
                Assert.True(first[i].BitEquals(actual[i]), $"{roots[i]}: other bits with {options.Threads} threads");
        }
    }

    public static Tensor ToTensor(Expr node, double[] values, IReadOnlyDictionary<string, long> sizes)
    {
        var dims = node.Shape.Evaluate(sizes);
        return node.DType switch
        {
            DType.I64 => Tensor.Create(Array.ConvertAll(values, v => (long)v), dims),
            DType.Bool => Tensor.Create(Array.ConvertAll(values, v => v != 0), dims),
            _ => Tensor.Create(values, dims),
        };
    }

    private static RefValue<double> ToReference(Expr node, double[] values, IReadOnlyDictionary<string, long> sizes)
    {
        var dims = node.Shape.Evaluate(sizes);
        return node.DType.IsFloat() ? RefValue<double>.Of(dims, values) : RefValue<double>.Of(dims, Array.ConvertAll(values, v => (long)v));
    }

    private static void Check(Expr root, Tensor actual, RefValue<double> expected, RefValue<double> scale, double tolerance, PlanOptions options)
    {
        Assert.Equal(expected.Dims, actual.Shape.ToArray());
        var given = actual.Cast(DType.F64).AsSpan<double>();
        for (var i = 0; i < expected.Length; i++)
        {
            var (e, a) = (expected.Reals is { } r ? r[i] : expected.Integers![i], given[i]);
            var bound = tolerance * (Math.Abs(scale.Reals is { } s ? s[i] : scale.Integers![i]) + (expected.Reals is null ? 0 : 1));
            var fits = double.IsNaN(e) ? double.IsNaN(a) : double.IsInfinity(e) || double.IsInfinity(bound) ? a.Equals(e) : Math.Abs(a - e) <= bound;
            Assert.True(fits, $"{root} with {options.Float}, {options.Threads} threads, fused {options.Fuse}: element {i} is {a:R} where {e:R} is expected, within {bound:R}");
        }
    }
}
