using Dnn.Checking;
using Xunit;
using static Dnn.Graph.Tests.Numerics;

namespace Dnn.Graph.Tests;

/// <summary>Patterns move, reduce and multiply what they say: held to plain loops over index tuples.</summary>
public class PatternTests
{
    private static readonly Dictionary<char, int> Size = new() { ['i'] = 2, ['j'] = 3, ['k'] = 4, ['b'] = 2 };

    [Theory]
    [InlineData("ij,jk->ik")]
    [InlineData("ij,jk")]
    [InlineData("bij,bjk->bik")]
    [InlineData("bij,bkj->kbi")]
    [InlineData("i,j->ji")]
    [InlineData("ij,ij->ij")]
    [InlineData("ij->")]
    [InlineData("ji->i")]
    [InlineData("ii->i")]
    [InlineData("ii")]
    [InlineData("iij,j->ji")]
    [InlineData("ij,jk,k->i")]
    [InlineData("ij,ik,il -> jkl")]
    [InlineData("i,,j->ij")]
    public void Einsum_sums_products_over_the_letters_that_the_result_lacks(string pattern)
    {
        var sides = pattern.Replace(" ", "", StringComparison.Ordinal).Split("->");
        var terms = sides[0].Split(',');
        var letters = string.Concat(terms).Distinct().ToArray();
        var output = sides.Length == 2 ? sides[1] : string.Concat(string.Concat(terms).GroupBy(c => c).Where(g => g.Count() == 1).Select(g => g.Key).Order());
        var tensors = terms.Select((t, n) => Expr.Variable($"x{n}", new Shape([.. t.Select(c => (Dim)Of(c))]))).ToArray();
        var point = tensors.Select((t, n) => (t, Numbers(t.Shape, n))).ToArray();
        var expected = new double[output.Aggregate(1, (p, c) => p * Of(c))];
        var counts = letters.Select(Of).ToArray();
        for (var flat = 0; flat < counts.Aggregate(1, (p, c) => p * c); flat++)
        {
            var at = letters.Zip(Strides.Coordinates(flat, counts)).ToDictionary(p => p.First, p => (int)p.Second);
            expected[Position(output)] += terms.Select((t, n) => point[n].Item2[Position(t)]).Aggregate(1.0, (p, v) => p * v);

            int Position(string axes) => axes.Aggregate(0, (p, c) => (p * Of(c)) + at[c]);
        }

        var y = Patterns.Einsum(pattern, tensors);
        Assert.Equal(new Shape([.. output.Select(c => (Dim)Of(c))]), y.Shape);
        Near(expected, Value(y, point));
        Differentiable(y, point);

        static int Of(char c) => Size.GetValueOrDefault(c, 2);
    }

    [Theory]
    [InlineData("...ij,...jk->...ik", "[5, 2, 3]", "[3, 4]", "[5, 2, 4]")]
    [InlineData("...ij,...jk->...ik", "[5, 1, 2, 3]", "[6, 3, 4]", "[5, 6, 2, 4]")]
    [InlineData("i...,i...", "[2, 3]", "[2, 1]", "[3]")]
    [InlineData("b...d, d -> b...", "[2, 3, 3, 4]", "[4]", "[2, 3, 3]")]
    [InlineData("...d, d -> d", "[2, 3, 4]", "[4]", "[4]")]
    public void An_ellipsis_broadcasts(string pattern, string left, string right, string result)
    {
        var (x, y) = (Of("x", left), Of("y", right));
        var z = Patterns.Einsum(pattern, x, y);
        Assert.Equal(result, z.Shape.ToString());
        Differentiable(z, (x, Numbers(x.Shape, 1)), (y, Numbers(y.Shape, 2)));
        if (pattern == "...ij,...jk->...ik")
            Near(Value(x.MatMul(y), (x, Numbers(x.Shape, 1)), (y, Numbers(y.Shape, 2))), Value(z, (x, Numbers(x.Shape, 1)), (y, Numbers(y.Shape, 2))));
    }

    [Theory]
    [InlineData("a b c -> c a b", "[3, 1, 2]")]
    [InlineData("a b c -> a (b c)", "[1, 6]")]
    [InlineData("a b c -> (c b) a", "[6, 1]")]
    [InlineData("a b (c d) -> d (a b) c", "[3, 2, 1]")]
    [InlineData("(x a) (b) c -> x 1 a b () c", "[1, 1, 1, 2, 1, 3]")]
    [InlineData("... c -> c ...", "[3, 1, 2]")]
    [InlineData("a ... -> (... a)", "[6]")]
    [InlineData("1 b c -> b c", "[2, 3]")]
    [InlineData("a_1 (b1 b2) c->a_1 b2 b1 c", "[1, 1, 2, 3]")]
    public void Rearranging_moves_elements_and_back_again(string pattern, string shape)
    {
        var x = Of("x", "[1, 2, 3]");
        (string, Dim)[] sizes = [.. new (string, Dim)[] { ("d", 3), ("x", 1), ("b1", 2) }.Where(s => pattern.Split("->")[0].Contains(s.Item1, StringComparison.Ordinal))];
        var y = x.Rearrange(pattern, sizes);
        Assert.Equal(shape, y.Shape.ToString());
        Differentiable(y.Square(), (x, Numbers(x.Shape, 0)));
        if (pattern.Contains("...", StringComparison.Ordinal))
            return;
        var sides = pattern.Split("->");
        (string Name, Dim Size)[] own = [("a", 1), ("b", 2), ("c", pattern.Contains('d', StringComparison.Ordinal) ? 1 : 3)];
        var back = y.Rearrange($"{sides[1]} -> {sides[0]}", [.. own.Where(s => sides[1].Split(' ', '(', ')').Contains(s.Name))]);
        Assert.Equal(Numbers(x.Shape, 0), Value(back, (x, Numbers(x.Shape, 0))));
    }

    [Fact]
    public void Heads_are_split_as_by_hand_whatever_the_batch_is()
    {
        var x = Expr.Variable("x", new Shape("B", "T", 12));
        Assert.Same(x.Reshape(new Shape("B", "T", 3, 4)).Transpose(0, 2, 1, 3), x.Rearrange("b t (h e) -> b h t e", ("h", 3)));
        Assert.Same(x, x.Rearrange("b t d -> b t d"));
        Assert.Equal("[B, T, floor_div(D, 3), 3]", Expr.Variable("x", new Shape("B", "T", "D")).Rearrange("b t (e h) -> b t e h", ("h", 3)).Shape.ToString());
        Assert.Equal("[B, T, 3]", Expr.Variable("x", new Shape("B", 3 * (Dim)"T")).Rearrange("b (t h) -> b t h", ("h", 3)).Shape.ToString());
    }

    [Fact]
    public void Reducing_is_the_reduction_over_the_missing_axes()
    {
        var x = Expr.Variable("x", new Shape("B", 4, 6, 3));
        Assert.Same(x.Mean([1, 2]), x.Reduce("b h w c -> b c", PatternReduction.Mean));
        Assert.Same(x.Prod([1, 2]), x.Reduce("b h w c -> b c", PatternReduction.Prod));
        Assert.Same(x.ReduceMax([1, 2]).Transpose(1, 0), x.Reduce("b ... c -> c b", PatternReduction.Max));
        Assert.Same(x.Sum(), x.Reduce("b h w c ->", PatternReduction.Sum));
        Assert.Equal("[B, 2, 3, 3]", x.Reduce("b (h p) (w q) c -> b h w c", PatternReduction.Min, ("p", 2), ("q", 2)).Shape.ToString());
        Assert.Same(x.MaxPool2d(2), x.Reduce("b (h p) (w q) c -> b h w c", PatternReduction.Max, ("p", 2), ("q", 2)));
    }

    /// <summary>Brackets mark the characters that are meant.</summary>
    [Theory]
    [InlineData("b t d[]", "the arrow `->` is missing")]
    [InlineData("b t d -> b t d[->] b", "one arrow")]
    [InlineData("b t [(]d -> b t d", "is not closed")]
    [InlineData("b t d[)] -> b t d", "closes nothing")]
    [InlineData("b t (x [(]y)) -> b t x y", "do not nest")]
    [InlineData("b t [2] -> b t", "n = 2")]
    [InlineData("b t [2d] -> b t", "a name starts with a letter")]
    [InlineData("b t d[,] -> b t", "means nothing here")]
    [InlineData("b t [t] -> b t", "stands twice on this side")]
    [InlineData("b t ([...]) -> b t", "name the parts")]
    [InlineData("b t d -> b t [e]", "stands on the right only")]
    [InlineData("b [t] d -> b d", "`reduce` takes the mean")]
    [InlineData("[b t] -> t b", "has 2 axes, and the tensor [B, T, 12] has 3")]
    [InlineData("[a b c d ...] -> a b c d ...", "at least 4 axes")]
    [InlineData("b t [(h e)] -> b t h e", "how 12 splits into h · e is not known; give one of the sizes, as in h = 8")]
    [InlineData("b t [(s e)] -> b t s e", "5 does not divide 12")]
    [InlineData("b t [s] -> b t s", "this is 5, and axis 2 of [B, T, 12] has size 12")]
    [InlineData("b t [1] -> b t", "this is 1, and axis 2")]
    public void A_pattern_that_cannot_be_is_explained(string marked, string message)
    {
        (string, Dim)[] sizes = marked.Contains('s', StringComparison.Ordinal) ? [("s", 5)] : [];
        Explained(marked, message, p => Expr.Variable("x", new Shape("B", "T", 12)).Rearrange(p, sizes));
    }

    [Theory]
    [InlineData("ij[;]jk", "means nothing here")]
    [InlineData("ij,j[1]->i", "means nothing here")]
    [InlineData("[ij]->i", "1 term, and einsum gets 2 tensors")]
    [InlineData("ij,[jkl]->i", "this term has 3 axes, and its tensor [4, 5] has 2")]
    [InlineData("ij,[j]k->ik", "`j` is 3 in [2, 3] and 4 in [4, 5]")]
    [InlineData("ij,kl->i[m]", "in no term")]
    [InlineData("ij,kl->i[i]", "twice in the result")]
    [InlineData("...i[...],jk->i", "twice in this term")]
    public void A_product_that_cannot_be_is_explained(string marked, string message) =>
        Explained(marked, message, p => Patterns.Einsum(p, Of("x", "[2, 3]"), Of("y", "[4, 5]")));

    private static void Explained(string marked, string message, Func<string, Expr> make)
    {
        var start = marked.IndexOf('[', StringComparison.Ordinal);
        var pattern = marked.Remove(start, 1);
        var end = pattern.IndexOf(']', StringComparison.Ordinal);
        var e = Assert.Throws<PatternException>(() => make(pattern.Remove(end, 1)));
        Assert.Contains(message, e.Message, StringComparison.Ordinal);
        Assert.Equal((start, end - start), (e.Start, e.Length));
    }

    private static Expr Of(string name, string shape) => Expr.Variable(name, new Shape([.. shape.Trim('[', ']').Split(", ").Select(s => Dim.Of(int.Parse(s)))]));

    private static double[] Numbers(Shape shape, int seed) => [.. Enumerable.Range(0, (int)shape.ElementCount.Value).Select(i => Math.Sin((1.7 * i) + seed) + 0.1)];
}
