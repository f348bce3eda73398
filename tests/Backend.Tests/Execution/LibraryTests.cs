using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>The library's functions, as the executor runs them.</summary>
public class LibraryTests
{
    [Fact]
    public void Functions_have_the_values_of_the_reference()
    {
        var x = Expr.Variable("x", new Shape("B", 6));
        var at = Enumerable.Range(0, 5 * 6).Select(i => Math.Round(4 * Math.Sin(1.7 * i), 3)).ToArray();
        var mask = x.GreaterThan(0.5);
        Expr[] values =
        [
            x.Elu(), x.Selu(), x.Celu(2), x.Mish(), x.Softsign(), x.HardSigmoid(), x.HardSwish(), x.Glu(), x.Swiglu(), x.Ceil(), x.Tril(1), x.Triu(-1),
            x.MaskedFill(mask, 2), x.Flip(1), x.Roll(2, 1), x.Split(3, 1)[1], x.Pad([(1, 0), (0, 2)], 7), Tensors.Eye(3, 5, 1),
            x.Gather(Expr.Iota(new Shape("B", 2), 1), 1), mask.Any(1).Cast(DType.Float), mask.All(0).Cast(DType.Float), x.Log().IsNan().Cast(DType.Float), (1 / x.Relu()).IsFinite().Cast(DType.Float), x.ArgMin().Cast(DType.Float),
            Losses.Huber(x, 0.1 * x), Losses.Bce(x.Sigmoid() * 0.5, x.HardSigmoid()), Losses.CosineSimilarity(x, x.Flip(1)), Losses.Triplet(x, x.Flip(1), x.Roll(1, 1)), Losses.L1(x), Losses.L2(x),
        ];
        Compare.WithReference(values, new Dictionary<Expr, double[]> { [x] = at }, new Dictionary<string, long> { ["B"] = 5 }, tolerance: 40);
    }
}
