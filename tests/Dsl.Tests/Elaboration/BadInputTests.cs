using Dnn.Testing;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>What is wrong with a model is said when it is checked, where it is, with what would be right.</summary>
public class BadInputTests
{
    [Theory]

    // Wrong ranks.
    [InlineData("[B, 8]", "x |> [|conv2d(4, 3)|]", "DNN0301", "conv2d takes [B, H, W, C], 4 axes with the channels last, not [B, 8]")]
    [InlineData("[B, 6, 4]", "x |> [|max_pool2d(2)|]", "DNN0301", "reshape adds the axis that is missing")]
    [InlineData("[B, 8]", "x |> [|lstm(4)|]", "DNN0301", "lstm takes sequences [B, T, D], not")]
    [InlineData("[B, 8]", "x |> [|attention(2)|]", "DNN0301", "attention takes sequences [B, T, D], not [B, 8]")]
    [InlineData("[B, 8]", "x |> [|embedding(4, 3)|]", "DNN0301", "declare the input as int[B, 8]")]
    [InlineData("[B, T, 8]", "x |> [|graph_conv(4)|]", "DNN0104", "edges")]

    // Kernels larger than the input.
    [InlineData("[B, 4, 4, 3]", "x |> [|conv2d(4, 7, padding = valid)|]", "DNN0301", "7 on 4 elements of axis 1 of [B, 4, 4, 3]; padding = \"same\" makes room")]
    [InlineData("[B, 4, 3]", "x |> [|conv1d(4, 3, dilation = 2, padding = valid)|]", "DNN0301", "padding = \"same\" makes room")]
    [InlineData("[B, 4, 4, 3]", "x |> [|max_pool2d(5)|]", "DNN0301", "5 on 4 elements")]

    [InlineData("[B, 4, 4, 3]", "x |> conv2d(4, [|0|])", "DNN0321", "kernel must be at least 1, not 0")]
    [InlineData("[B, 4, 4, 3]", "x |> conv2d(4, 3, stride = [|(1, -1)|])", "DNN0321", "stride must be at least 1, not (1, -1)")]
    [InlineData("[B, 4, 4, 3]", "x |> conv_transpose2d(4, [|(3, 3, 3)|])", "DNN0321", "3 numbers, and there are 2 spatial axes")]
    [InlineData("[B, 4, 4, 3]", "x |> max_pool2d([|0|])", "DNN0306", "window must be at least 1, not 0")]

    // Zero heads, and numbers of heads that do not divide.
    [InlineData("[B, 6, 8]", "x |> attention([|0|])", "DNN0321", "heads must be at least 1, not 0")]
    [InlineData("[B, 6, 8]", "x |> transformer_block(heads = [|0|])", "DNN0321", "heads must be at least 1, not 0")]
    [InlineData("[B, 6, 8]", "x |> [|attention(3)|]", "DNN0301", "the 8 channels of [B, 6, 8] do not divide into 3 heads; take 1, 2, 4 or 8")]
    [InlineData("[B, 6, 8]", "x |> attention(4, kv_heads = [|3|])", "DNN0321", "3 heads of keys and values do not divide the 4 heads; take 1, 2 or 4")]
    [InlineData("[B, 6, 7]", "x |> [|rope()|]", "DNN0301", "odd")]
    [InlineData("[B, 6, 7]", "x |> [|group_norm(2)|]", "DNN0301", "2")]

    // Empty sequences.
    [InlineData("[B, 0, 8]", "x |> [|lstm(4)|]", "DNN0301", "the sequence [B, 0, 8] is empty, and at least one element is needed")]
    [InlineData("[B, 0, 8]", "x |> [|attention(2)|]", "DNN0301", "the sequence [B, 0, 8] is empty")]

    // Negative rates and sizes.
    [InlineData("[B, 8]", "x |> dropout([|-0.1|])", "DNN0321", "at least 0 and below 1, not -0.1")]
    [InlineData("[B, 8]", "x |> drop_path(rate = [|1|])", "DNN0321", "at least 0 and below 1, not 1")]
    [InlineData("[B, 8]", "x |> dense([|-3|])", "DNN0321", "units must be at least 1, not -3")]
    [InlineData("[B, 8, 8]", "x |> gru(bidirectional = true, units = [|0|])", "DNN0321", "units must be at least 1, not 0")]

    // Unknown options.
    [InlineData("[B, 8]", "x |> dense(4, [|biass|] = false)", "DNN0103", "`dense` has no parameter `biass`")]
    [InlineData("[B, 8]", "x |> gelu(approximate = [|tnh|])", "DNN0117", "tanh")]
    [InlineData("[B, 8]", "x |> [|dens|](4)", "DNN0100", "there is no `dens`")]
    public void A_layer_that_does_not_fit_is_explained_where_it_is(string type, string expression, string code, string says)
    {
        var marked = MarkedSource.Parse($"model M {{\n  input x: {type}\n  output y = {expression}\n}}\n");
        var diagnostic = Assert.Single(Compile.Diagnostics(marked.Source), d => d.IsError);
        Assert.Equal((code, marked.Span), (diagnostic.Code, diagnostic.Span));
        Assert.Contains(says, diagnostic.Message + string.Concat(diagnostic.Notes), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("optimizer sgd([|-0.1|])", "DNN0306", "at least 0 and finite, not -0.1")]
    [InlineData("optimizer adam()\n  batch [|0|]", "DNN0306", "out of range")]
    [InlineData("optimizer adam()\n  [|epoch|] 3", "DNN0116", "did you mean 'epochs'?")]
    [InlineData("optimizer adam([|momentum|] = 0.9)", "DNN0103", "`adam` has no parameter `momentum`")]
    public void A_recipe_that_does_not_fit_is_explained_where_it_is(string options, string code, string says)
    {
        var marked = MarkedSource.Parse($"model M {{\n  input x: [B, 2]\n  target y: [B, 1]\n  loss mse(x |> dense(1), y)\n}}\n\ndata d = xor(samples = 8)\n\ntrain M() on d {{\n  {options}\n}}\n");
        var diagnostic = Assert.Single(Compile.Diagnostics(marked.Source), d => d.IsError);
        Assert.Equal((code, marked.Span), (diagnostic.Code, diagnostic.Span));
        Assert.Contains(says, diagnostic.Message + string.Concat(diagnostic.Notes), StringComparison.Ordinal);
    }
}
