using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>Kernels that walk along one axis, at awkward sizes, in every configuration; and states that are updated in part.</summary>
public class SequenceTests
{
    private readonly System.Random random = new(23);
    private readonly Dictionary<Expr, double[]> values = [];

    [Fact]
    public void Recurrences()
    {
        foreach (int[] dims in (int[][])[[0, 3], [1, 1], [3, 5, 7], [2, 33, 70], [130, 17], [5, 0]])
        {
            var (a, b) = (Var("a", 0.4, dims), Var("b", 1, dims));
            Expr[] roots = [.. Enumerable.Range(0, dims.Length).SelectMany(axis => (Expr[])[Sequences.Recurrence(a, b, axis), Sequences.Recurrence(a, b, axis, reverse: true), b.CumSum(axis), Sequences.Recurrence(1, b, axis, true), a.CumProd(axis)])];
            Expr[] scales = [.. Enumerable.Range(0, dims.Length).SelectMany(axis => (Expr[])[b.Abs().CumSum(axis), Sequences.Recurrence(1, b.Abs(), axis, true), b.Abs().CumSum(axis), Sequences.Recurrence(1, b.Abs(), axis, true), a.Abs()])];
            Compare.WithReference(roots, values, null, scales, 64);
        }

        var n = Expr.Iota(new Shape(4, 6), 1);
        Compare.WithReference([n.CumSum(0), n.CumSum(), (n + 1).CumProd()], values);
    }

    [Fact]
    public void Orders()
    {
        foreach (int[] dims in (int[][])[[1], [0], [3, 0], [7, 2], [4, 300], [3, 50, 4]])
        {
            // Rounded: many elements are equal.
            var x = Var("x", 4, dims);
            Compare.WithReference([x.Round().ArgSort(), x.Round().ArgSort(0, true), x.Round().Cast(DType.I64).ArgSort(), x.Sort(descending: true), .. dims[^1] > 0 ? (Expr[])[x.TopK(1).Indices] : []], values);
        }

        var special = Expr.Variable("special", new Shape(8));
        values[special] = [double.NaN, 1, double.NegativeInfinity, -0.0, 0, double.PositiveInfinity, double.NaN, -1e-300];
        Compare.WithReference([special.ArgSort(), special.ArgSort(descending: true)], new Dictionary<Expr, double[]> { [special] = [double.NaN, 1, double.NegativeInfinity, -0.0, 0, double.PositiveInfinity, double.NaN, -1] });
    }

    [Fact]
    public void Stretches()
    {
        var start = Expr.Variable("start", Shape.Scalar, DType.I64);
        values[start] = [2];
        var (x, u) = (Var("x", 1, 5, 6, 7), Var("u", 1, 5, 3, 7));
        Compare.WithReference(
            [x.DynamicSlice(start, 3, 0), x.DynamicSlice(start, 4, 1), x.DynamicSlice(start, 5, 2), x.DynamicSlice(start, 0, 2), x.Transpose().DynamicSlice(start, 2, 1), x.DynamicUpdateSlice(u, start, 1), (x * 2).DynamicUpdateSlice(u, start + 1, 1), x.DynamicUpdateSlice(x.SliceAxis(0, 1, 3), start, 0)],
            values);
    }

    [Fact]
    public void A_state_is_updated_in_part_where_it_is_and_not_at_all_outside()
    {
        var (cache, row, at) = (Expr.Variable("cache", new Shape(2, 4, 3)), Expr.Variable("row", new Shape(2, 1, 3)), Expr.Variable("at", Shape.Scalar, DType.I64));
        var next = cache.DynamicUpdateSlice(row, at, 1);
        var program = new Program([new Named("row", row)], [new ProgramState("cache", cache, next), new ProgramState("at", at, at + 1)], [new Named("sum", next.Sum([0, 2]))], []);
        var text = Plan.Compile(program, new Dictionary<string, long>(), new PlanOptions { Threads = 1 }).ToString();
        Assert.DoesNotContain("copy", text, StringComparison.Ordinal);
        var session = new Session(program, new PlanOptions { Threads = 2 });
        for (var t = 1; t <= 4; t++)
        {
            session.Prepare(new Dictionary<string, long>());
            session.InputSpan<float>("row").Fill(t);
            session.Run();
            Assert.Equal(Enumerable.Range(1, 4).Select(i => i <= t ? 6f * i : 0), session.GetOutput("sum").ToArray<float>());
        }

        Assert.Contains("1 elements from 4 on do not lie within an axis of size 4", Assert.Throws<IndexException>(() => session.Run()).Message, StringComparison.Ordinal);
        Assert.Equal(Enumerable.Range(0, 24).Select(i => (i / 3 % 4) + 1f), session.GetState("cache").ToArray<float>());
    }

    private Expr Var(string name, double scale, params int[] dims)
    {
        var x = Expr.Variable(name, new Shape([.. dims.Select(d => Dim.Of(d))]));
        values[x] = [.. Enumerable.Range(0, dims.Aggregate(1, (a, b) => a * b)).Select(_ => (double)(float)(((random.NextDouble() * 6) - 3) * scale))];
        return x;
    }
}
