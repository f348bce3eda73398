using Dnn.Graph;
using Dnn.Testing;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>Connectionist temporal classification against PyTorch's stored values.</summary>
public class CtcTests
{
    [Theory]
    [InlineData("plain")]
    [InlineData("lengths")]
    [InlineData("blank")]
    public void Losses_and_gradients_are_the_stored_ones(string name)
    {
        var stored = Npz.Read(RepoRoot.Combine("tests", "reference", "data", "ctc.npz"));
        Tensor Of(string part) => stored[$"{name}.{part}"];
        var logits = Variable("x", Of("logits"));
        var (labels, lengths, labelLengths) = (Variable("y", Of("labels")), Variable("n", Of("lengths")), Variable("m", Of("label_lengths")));
        var losses = Losses.Ctc(logits, labels, lengths, labelLengths, (int)Of("blank").ToArray<long>()[0], reduction: LossReduction.None);
        var at = new Dictionary<Expr, Tensor> { [logits] = Of("logits"), [labels] = Of("labels"), [lengths] = Of("lengths"), [labelLengths] = Of("label_lengths") };
        foreach (var (type, tolerance) in new[] { (DType.F64, 1e-10), (DType.F32, 1e-4) })
        {
            var values = Evaluator.Evaluate([losses, losses.Sum().Grad(logits)], at, new PlanOptions { Float = type });
            Near(Of("losses"), values[0], tolerance);
            Near(Of("gradient"), values[1], tolerance);
        }
    }

    [Fact]
    public void More_labels_than_frames_are_impossible_and_what_does_not_fit_is_explained()
    {
        var (x, y) = (Expr.Variable("x", new Shape(1, 2, 4)), Expr.Variable("y", new Shape(1, 3), DType.I64));
        var at = new Dictionary<Expr, Tensor> { [x] = Tensor.Zeros(DType.F64, 1, 2, 4), [y] = Tensor.Create([1L, 2, 3], 1, 3) };
        Assert.Equal(double.PositiveInfinity, Evaluator.Evaluate([Losses.Ctc(x, y)], at, new PlanOptions { Float = DType.F64 })[0].ToScalar());
        Assert.Contains("not -1", Assert.Throws<ShapeException>(() => Losses.Ctc(x, y, blank: -1)).Message, StringComparison.Ordinal);
        Assert.Contains("whole-number labels [B, S]", Assert.Throws<ShapeException>(() => Losses.Ctc(x, x)).Message, StringComparison.Ordinal);
        Assert.Contains("a number for each row", Assert.Throws<ShapeException>(() => Losses.Ctc(x, y, Expr.Variable("n", new Shape(2), DType.I64))).Message, StringComparison.Ordinal);
    }

    private static Expr Variable(string name, Tensor value) => Expr.Variable(name, new Shape([.. value.Shape.Select(d => Dim.Of(d))]), value.DType == DType.I64 ? DType.I64 : DType.Float);

    private static void Near(Tensor expected, Tensor actual, double tolerance)
    {
        var (e, a) = (expected.ToArray<double>(), actual.Cast(DType.F64).ToArray<double>());
        Assert.Equal(e.Length, a.Length);
        for (var i = 0; i < e.Length; i++)
            Assert.InRange(Math.Abs(a[i] - e[i]), 0, tolerance * Math.Max(1, Math.Abs(e[i])));
    }
}
