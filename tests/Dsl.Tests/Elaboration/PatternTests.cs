using Dnn.Graph;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Patterns as source calls them: sizes by name, pipes, places inside of strings.</summary>
public class PatternTests
{
    [Theory]
    [InlineData("all(rearrange([[1, 2, 3, 4]], \"b (h e) -> h b e\", h = 2) == [[[1, 2]], [[3, 4]]])")]
    [InlineData("all(([[1, 2], [3, 4]] |> rearrange(\"a b -> (b a)\")) == [1, 3, 2, 4])")]
    [InlineData("all(reduce([[1, 2], [3, 4]], \"a b -> a\", \"max\") == [2, 4]) and reduce([1, 2], \"a ->\", sum) == 3")]
    [InlineData("all(reduce([1, 2, 3, 4], \"(a p) -> a\", mean, p = 2) == [1.5, 3.5]) and all(reduce([[1, 2], [3, 0]], \"a b -> b\", min) == [1, 0]) and all(reduce([[2, 3], [4, 0]], \"a b -> a\", prod) == [6, 0])")]
    [InlineData("all(einsum(\"ij,jk->ik\", [[1, 2]], [[3], [4]]) == [[11]]) and einsum(\"ii\", [[1, 2], [3, 4]]) == 5")]
    [InlineData("([1, 2] |> einsum(\"i,i->\", [3, 4])) == 11 and all((([1, 2], [3, 4]) |> einsum(\"i,j->ji\")) == [[3, 6], [4, 8]])")]
    public void A_pattern_does_what_it_says(string condition) => Compile.Holds($"  assert {condition}");

    [Fact]
    public void Sizes_may_be_hyperparameters_named_sizes_and_arithmetic()
    {
        const string Declarations = "layer split(heads: int)(x: [B, T, D]) -> [B, heads, T, D/heads] {\n  return x |> rearrange(\"b t (h e) -> b h t e\", e = D/heads, h = heads)\n}\n";
        Assert.Equal("[B, 2, 4, 1]", Compile.Body("  let y = x[:, :, None] |> rearrange(\"b (t d) u -> b t (d u)\", t = 4) |> split(2)", declarations: Declarations).Outputs[0].Value.Shape.ToString());
    }

    [Theory]
    [InlineData("x |> rearrange(\"b d -> d\" , b = 2)", "DNN0360")]
    [InlineData("x |> rearrange(\"b (h e) -> b h e\", heads = 2)", "DNN0103")]
    [InlineData("x |> rearrange(\"b (h e) -> b h e\", h = 2, h = 2)", "DNN0106")]
    [InlineData("x |> rearrange(\"b (h e) -> b h e\", 2)", "DNN0105")]
    [InlineData("x |> rearrange(\"b (h e) -> b h e\", h = \"2\")", "DNN0304")]
    [InlineData("x |> reduce(\"b d -> b\", median)", "DNN0117")]
    [InlineData("einsum(x, x)", "DNN0300")]
    [InlineData("einsum(\"bd\")", "DNN0360")]
    public void A_mistake_has_its_code(string call, string code)
    {
        var diagnostic = Assert.Single(Compiler.Compile(new SourceText($"model M {{\n  input x: [B, 8]\n  let y = {call}\n  output p = x\n}}\n")).Diagnostics);
        Assert.True(diagnostic.Code == code, diagnostic.ToString());
    }

    [Fact]
    public void The_place_is_inside_of_the_string_past_escapes()
    {
        var source = new SourceText("model M {\n  input x: [B, 8]\n  output y = rearrange(x, \"b\\t(h e) -> b h e\", h = 3)\n}\n");
        var diagnostic = Assert.Single(Compiler.Compile(source).Diagnostics);
        Assert.Equal("(h e)", diagnostic.Span.Text);
        Assert.Contains("this is [B, 8]", diagnostic.Secondary[0].Text, StringComparison.Ordinal);
        source = new SourceText("model M {\n  input x: [B, 8]\n  let z = x[0]\n  output y = einsum(\"bd,dk->bk\", x, z)\n}\n");
        diagnostic = Assert.Single(Compiler.Compile(source).Diagnostics);
        Assert.Equal(("dk", "x z"), (diagnostic.Span.Text, string.Join(' ', diagnostic.Secondary.Select(l => l.Span.Text))));
    }
}
