using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;
using Xunit;

namespace Dnn.Graph.Tests;

/// <summary>A polynomial over A, B, C with floor_div atoms, decoded from numbers, so that it shrinks with them.</summary>
public sealed record RandomDim(Dim Value, int[] Program)
{
    public static readonly string[] Names = ["A", "B", "C"];

    public static Arbitrary<RandomDim> Arbitrary() => Arb.From(
        Gen.Choose(0, 99).ListOf().Select(list => Of([.. list.Take(8)])),
        dim => ArbMap.Default.ArbFor<int[]>().Shrinker(dim.Program).Where(p => p.All(n => n >= 0)).Select(Of));

    public static RandomDim Of(int[] program)
    {
        var stack = new Stack<Dim>([Dim.Named("A")]);
        foreach (var n in program)
        {
            var (choice, operand) = (n / 10, n % 10);
            Dim top = stack.Pop();
            Dim other = operand < 3 ? Names[operand] : Dim.Of(operand - 4);
            stack.Push(choice switch
            {
                0 or 1 => top + other,
                2 => top - other,
                3 or 4 => top * other,
                5 => Dim.FloorDiv(top, operand < 3 ? Names[operand] : Dim.Of(operand - 2)),
                6 => Dim.CeilDiv(top, 2 + operand),
                7 => top + Dim.FloorDiv(top, 2),
                _ => top * 2 - other,
            });
        }

        return new RandomDim(stack.Pop(), program);
    }

    public override string ToString() => Value.ToString();
}

/// <summary>Sizes of at least 1, as divisors are.</summary>
public sealed record Binding(int A, int B, int C)
{
    public IReadOnlyDictionary<string, long> Sizes => new Dictionary<string, long> { ["A"] = A, ["B"] = B, ["C"] = C };

    public static Arbitrary<Binding> Arbitrary() => Gen.Choose(1, 12).Three().Select(t => new Binding(t.Item1, t.Item2, t.Item3)).ToArbitrary();
}

[Properties(Arbitrary = [typeof(RandomDim), typeof(Binding)], MaxTest = 300)]
public class DimProperties
{
    [Property]
    public void Equal_polynomials_are_equal_values(RandomDim a, RandomDim b, RandomDim c)
    {
        var (x, y, z) = (a.Value, b.Value, c.Value);
        Same(x + y, y + x);
        Same(x + y + z, x + (y + z));
        Same(x * y, y * x);
        Same(x * y * z, x * (y * z));
        Same(x * (y + z), (x * y) + (x * z));
        Same(x - x, Dim.Zero);
        Same(x * Dim.One, x);
        Same(-(x - y), y - x);
    }

    [Property]
    public void Evaluation_agrees_with_arithmetic(RandomDim a, RandomDim b, Binding at)
    {
        var (x, y) = (a.Value.Evaluate(at.Sizes), b.Value.Evaluate(at.Sizes));
        Assert.Equal(x + y, (a.Value + b.Value).Evaluate(at.Sizes));
        Assert.Equal(x - y, (a.Value - b.Value).Evaluate(at.Sizes));
        Assert.Equal(x * y, (a.Value * b.Value).Evaluate(at.Sizes));
        foreach (var d in (int[])[1, 2, 3, 7])
        {
            Assert.Equal((long)Math.Floor((double)x / d), Dim.FloorDiv(a.Value, d).Evaluate(at.Sizes));
            Assert.Equal((long)Math.Ceiling((double)x / d), Dim.CeilDiv(a.Value, d).Evaluate(at.Sizes));
        }

        Assert.Equal((long)Math.Floor((double)x / at.B), Dim.FloorDiv(a.Value, "B").Evaluate(at.Sizes));
        Assert.Equal(Dim.FloorDiv(a.Value, 6), Dim.FloorDiv(a.Value * "B", (Dim)"B" * 6));
        Assert.Equal(Dim.FloorDiv(a.Value, 6), Dim.FloorDiv(a.Value * 5, 30));
    }

    [Property]
    public void Substitution_agrees_with_evaluation(RandomDim a, RandomDim b, Binding at)
    {
        // What replaces a name must be a size: its square plus one.
        var replacement = (b.Value * b.Value) + 1;
        var sizes = new Dictionary<string, long>(at.Sizes) { ["A"] = replacement.Evaluate(at.Sizes) };
        Assert.Equal(a.Value.Evaluate(sizes), a.Value.Substitute(name => name == "A" ? replacement : null).Evaluate(at.Sizes));
        Assert.Equal(a.Value, a.Value.Substitute(_ => null));
    }

    [Property]
    public void Equality_is_sound(RandomDim a, RandomDim b, Binding at)
    {
        foreach (var (x, y) in ((Dim, Dim)[])[(a.Value, b.Value), (a.Value, a.Value + 1), (a.Value + 1, Dim.Zero), (a.Value, 3)])
        {
            var equal = x.Evaluate(at.Sizes) == y.Evaluate(at.Sizes);
            Assert.Equal(Dim.AreEqual(x, y), Dim.AreEqual(y, x));
            Assert.True(Dim.AreEqual(x, y) switch { Answer.Proved => equal, Answer.Refuted => !equal, _ => true }, $"{x} and {y} are {Dim.AreEqual(x, y)}");
        }

        Assert.Equal(Answer.Refuted, Dim.AreEqual(a.Value, a.Value + 1));
    }

    [Property]
    public void Exact_quotients_multiply_back(RandomDim a, RandomDim b)
    {
        if (Dim.TryDivide(a.Value, b.Value, out var quotient))
            Same(a.Value, quotient * b.Value);
        if (!b.Value.Equals(Dim.Zero) && b.Value.Name is not null)
            Assert.True(Dim.TryDivide(a.Value * b.Value, b.Value, out _));
    }

    [Property]
    public void Solutions_solve(RandomDim a, Binding at)
    {
        if (a.Value.SolveFor("A", 24) is { } solution)
            Assert.Equal(24, a.Value.Substitute(name => name == "A" ? solution : null).Evaluate(at.Sizes));
    }

    [Property]
    public void Broadcasting_agrees_with_that_of_numbers(int[] left, int[] right, Binding at)
    {
        Dim[] palette = [1, "A", "B", 1, "A"];
        var (a, b) = (Pick(left), Pick(right));
        Assert.Equal(a, Shape.Broadcast(a, a));
        Assert.Equal(a, Shape.Broadcast(a, Shape.Scalar));
        var (x, y) = (a.Evaluate(at.Sizes), b.Evaluate(at.Sizes));

        // 1 stretches where it is written; a named size that happens to be 1 does not.
        if (at.A == at.B || at.A == 1 || at.B == 1 || Known(x, y) is not { } expected)
            return;
        Assert.Equal(expected, Shape.Broadcast(a, b).Evaluate(at.Sizes));
        Assert.Equal(expected, Shape.Broadcast(b, a).Evaluate(at.Sizes));

        Shape Pick(int[] numbers) => new([.. numbers.Take(4).Select(n => palette[(int)((uint)n % palette.Length)])]);
    }

    [Property]
    public void Broadcasting_is_associative(byte[] a, byte[] b, byte[] c)
    {
        var (x, y, z) = (Of(a), Of(b), Of(c));
        Assert.Equal(Try(() => Shape.Broadcast(Shape.Broadcast(x, y), z)), Try(() => Shape.Broadcast(x, Shape.Broadcast(y, z))));

        static Shape Of(byte[] numbers) => new([.. numbers.Take(3).Select(n => Dim.Of(1 + (n % 3)))]);

        static Shape? Try(Func<Shape> make)
        {
            try
            {
                return make();
            }
            catch (ShapeException)
            {
                return null;
            }
        }
    }

    [Fact]
    public void A_quotient_that_may_be_negative_refutes_nothing() =>
        Assert.Equal(Answer.Unknown, Dim.AreEqual(Dim.FloorDiv((Dim)"B" - 5, 2) + 1, Dim.Zero));

    private static int[]? Known(int[] x, int[] y)
    {
        var result = new int[Math.Max(x.Length, y.Length)];
        for (var i = 1; i <= result.Length; i++)
        {
            var (a, b) = (i <= x.Length ? x[^i] : 1, i <= y.Length ? y[^i] : 1);
            if (a != b && a != 1 && b != 1)
                return null;
            result[^i] = Math.Max(a, b);
        }

        return result;
    }

    private static void Same(Dim a, Dim b)
    {
        Assert.Equal(a, b);
        Assert.Equal(a.ToString(), b.ToString());
        Assert.Equal(a.GetHashCode(), b.GetHashCode());
        Assert.Equal(Answer.Proved, Dim.AreEqual(a, b));
    }
}
