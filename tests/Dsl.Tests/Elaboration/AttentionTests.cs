using Dnn.Graph;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Attention, Transformer blocks and graph networks as source writes them: paths, inputs by name, recipes, mistakes.</summary>
public class AttentionTests
{
    private static Model Of(string statements, string declarations = "") =>
        Compile.Model($"{declarations}model M {{\n  input x: [B, T, 6]\n  input s: [B, S, 4]\n  input m: int[B, T]\n  input e: int[E, 2]\n{statements}\n}}\n");

    [Theory]
    [InlineData("let attn = attention(2)\n  output y = attn(x, mask = m > 0)", "attn.wk attn.wo attn.wq attn.wv")]
    [InlineData("output y = (x, s) |> attention(heads = 3)", "attention_0.wk attention_0.wo attention_0.wq attention_0.wv")]
    [InlineData("let b = transformer_block(2, norm = rms_norm())\n  output y = x |> b |> b", "b.attn.wk b.attn.wo b.attn.wq b.attn.wv b.down b.norm_0 b.norm_1 b.up")]
    [InlineData("output y = x |> repeat(1, transformer_block(2, activation = prelu(), bias = false))", "repeat_0[0].activation_0 repeat_0[0].attn.wk repeat_0[0].attn.wo repeat_0[0].attn.wq repeat_0[0].attn.wv repeat_0[0].down repeat_0[0].norm_0 repeat_0[0].norm_1 repeat_0[0].up")]
    [InlineData("let g = message_passing(dense(3) |> relu |> dense(2))\n  output y = (x[0], e) |> g", "g.dense_0 g.dense_1")]
    [InlineData("let g = graph_attention(3, 2)\n  output y = g(x[0], edges = e)", "g")]
    public void Parts_have_paths(string statements, string paths) =>
        Assert.Equal(paths, string.Join(' ', Compile.Paths(Of(statements)).Select(p => p[..p.LastIndexOf('.')]).Distinct().Order(StringComparer.Ordinal)));

    [Fact]
    public void A_norm_that_is_a_hyperparameter_is_made_anew_at_each_place()
    {
        const string Stack = "layer stack(depth: int, norm: layer = layer_norm())(x: [B, T, D]) -> [B, T, D] {\n  return x |> repeat(depth, transformer_block(2, norm = norm)) |> norm\n}\n";
        var model = Of("let s2 = stack(2, norm = rms_norm())\n  output y = s2(x)", Stack);
        Assert.Equal(5, model.Parameters.Count(p => p.Path.Contains("norm", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("attention(0)", "heads must be at least 1")]
    [InlineData("attention(4)", "6 channels of [B, T, 6] do not divide into 4 heads")]
    [InlineData("attention(2)(x, mask = m)", "`mask` takes truth values")]
    [InlineData("attention(2)(x, masks = m > 0)", "takes no tensor `masks`")]
    [InlineData("attention(2, cache = 4)", "causal = true")]
    [InlineData("transformer_block(2, norm = 3)", "`norm` takes a layer")]
    [InlineData("transformer_block(2, dropout = 2)", "the probability of dropping")]
    [InlineData("graph_conv(3)(x[0], e[:, 0])", "int[E, 2]")]
    [InlineData("graph_conv(3)", "needs the tensor `edges`")]
    [InlineData("rope(base = 1)", "base must be above 1")]
    public void A_mistake_is_explained(string call, string message)
    {
        var text = $"model M {{\n  input x: [B, T, 6]\n  input m: int[B, T]\n  input e: int[E, 2]\n  let y = {(call.EndsWith(')') && call.Contains(")(", StringComparison.Ordinal) ? call : $"x |> {call}")}\n  output p = x\n}}\n";
        Assert.Contains(message, Assert.Single(Compiler.Compile(new SourceText(text)).Diagnostics).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parts_are_fields()
    {
        var model = Of("let b = transformer_block(2)\n  let y = b(x)\n  output g = grad(sum(y), b.attn.wq.weight)\n  output z = b.attn.wo(x)\n  loss l2(params(b.up))");
        Assert.Equal(["[6, 6]", "[B, T, 6]"], model.Outputs.Select(o => o.Value.Shape.ToString()));
        Assert.Equal(16, model.Parameters.Length);
    }

    /// <summary>A gradient through masks, rotations, segments and uneven cells prints as source that compiles to the same graph.</summary>
    [Fact]
    public void A_printed_gradient_compiles_again()
    {
        var model = Of("let h = x |> transformer_block(2, causal = true, kv_heads = 1, bias = false)\n  let g = (h[0], e) |> graph_attention(2)\n  let u = h[:, :, None] |> adaptive_avg_pool2d((4, 1))\n  let a = h |> attention(1, rope = true)\n"
            + "  loss mean(g) + mean(u) + mean(where(not (h > 0 and h < 1 or a > 0), h, 0)) + mean(attention(2, causal = true)(h, mask = m > 0))");
        var printed = ModelPrinter.Differentiate(model, model.TotalLoss, [.. model.Parameters.Select(p => new Named(p.Path, p.Variable))]).ToSource();
        Assert.Contains(" and ", printed, StringComparison.Ordinal);
        var again = Compile.Model(printed).ToSource();
        Assert.Equal(again, Compile.Model(again).ToSource());
    }

    /// <summary>The graph for decoding has the parameters of the one for training.</summary>
    [Fact]
    public void Decoding_is_another_graph_of_the_same_file()
    {
        const string Text = "model M(d: int = 8) {\n  input tokens: int[B, T]\n  target next: int[B, T]\n  let logits = tokens |> embedding(5, d) |> positional_embedding(9) |> transformer_block(2, causal = true, cache = 9) |> dense(5)\n  output p = logits\n  loss cross_entropy(logits, next)\n}\n";
        var (whole, decoding) = (Compile.Model(Text), Compile.Model(Text, new CompileOptions { Decoding = true }));
        Assert.Equal(Compile.Paths(whole), Compile.Paths(decoding));
        Assert.Empty(whole.Buffers);
        Assert.Equal(["decoding.position []", "transformer_block_0.attn.keys [1, 9, 2, 4]", "transformer_block_0.attn.values [1, 9, 2, 4]"], decoding.Buffers.Select(b => $"{b.Path} {b.Variable.Shape}").Order(StringComparer.Ordinal));
    }
}
