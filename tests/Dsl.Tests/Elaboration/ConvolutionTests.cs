using Dnn.Graph;
using Xunit;

namespace Dnn.Dsl.Tests;

public class ConvolutionTests
{
    private static Model Of(string body, string shape = "[B, 9, 8, 4]") => Compile.Model($"model M {{\n  input x: {shape}\n  output y = x |> {body}\n}}\n");

    [Theory]
    [InlineData("conv2d(8, 3)", "[B, 9, 8, 8]")]
    [InlineData("conv2d(8, (3, 2), stride = (2, 3), padding = \"valid\")", "[B, 4, 3, 8]")]
    [InlineData("conv2d(8, 3, stride = 2, padding = same, bias = false)", "[B, 5, 4, 8]")]
    [InlineData("conv2d(8, [3, 3], padding = 1, dilation = 2, groups = 2)", "[B, 7, 6, 8]")]
    [InlineData("conv2d(8, 3, padding = (0, 1))", "[B, 7, 8, 8]")]
    [InlineData("conv2d(8, 3, padding = ((2, 0), (1, 3)))", "[B, 9, 10, 8]")]
    [InlineData("depthwise_conv2d(3, multiplier = 2)", "[B, 9, 8, 8]")]
    [InlineData("max_pool2d(2)", "[B, 4, 4, 4]")]
    [InlineData("max_pool2d(3, stride = 2, padding = \"same\")", "[B, 5, 4, 4]")]
    [InlineData("avg_pool2d((3, 2), stride = 1)", "[B, 7, 7, 4]")]
    [InlineData("global_avg_pool", "[B, 4]")]
    [InlineData("global_max_pool", "[B, 4]")]
    [InlineData("conv_transpose2d(5, 3, stride = 2, output_padding = 1)", "[B, 19, 17, 5]")]
    [InlineData("conv_transpose2d(5, (3, 2), stride = (2, 1), padding = valid, bias = false)", "[B, 19, 9, 5]")]
    [InlineData("time_distributed(conv_transpose1d(2, 3, 2))", "[B, 9, 16, 2]")]
    [InlineData("resize((18, 5), bilinear)", "[B, 18, 5, 4]")]
    [InlineData("resize(3)", "[B, 3, 3, 4]")]
    [InlineData("adaptive_avg_pool2d((2, 1))", "[B, 2, 1, 4]")]
    [InlineData("drop_path(0.1) |> scatter_add([0, 2], 1, axis = 1)", "[B, 9, 8, 4]")]
    [InlineData("reshape([B, 72, 4]) |> conv1d(5, 3, padding = [(2, 0)]) |> max_pool1d(2) |> avg_pool1d(3, padding = 1)", "[B, 12, 5]")]
    [InlineData("reshape([B, 9, 4, 2, 4]) |> conv3d(2, (3, 1, 2), stride = (1, 2, 1))", "[B, 9, 2, 2, 2]")]
    public void Shapes(string layer, string shape) => Assert.Equal(shape, Of(layer).Outputs[0].Value.Shape.ToString());

    [Fact]
    public void Few_parameters_serve_a_whole_image() =>
        Assert.Equal(1728, Of("conv2d(64, 3, bias = false)", "[B, 32, 32, 3]").Parameters.Sum(p => p.Variable.Shape.ElementCount.Value));

    [Theory]
    [InlineData("conv2d(8, 9, padding = valid)", "larger than the input")]
    [InlineData("conv2d(8, 3, groups = 3)", "do not divide")]
    [InlineData("conv1d(8, 3)", "conv1d takes [B, T, C]")]
    [InlineData("conv2d(8, 3, padding = \"full\")", "`padding` takes \"same\", \"valid\"")]
    [InlineData("conv2d(8, \"3\")", "`kernel` takes a whole number, or one for each spatial axis")]
    [InlineData("conv2d(8, (3, 3, 3))", "there are 2 spatial axes")]
    [InlineData("max_pool2d(0)", "window must be at least 1")]
    [InlineData("avg_pool2d(2, padding = 2)", "nothing but padding")]
    [InlineData("conv_transpose2d(8, 3, output_padding = 1)", "output_padding must be below the stride")]
    [InlineData("resize(0)", "a size must be at least 1")]
    [InlineData("scatter_add(x, 1)", "takes whole numbers")]
    [InlineData("drop_path(-0.5)", "the rate is the probability of dropping")]
    public void Wrong_arguments_are_explained(string layer, string message)
    {
        var diagnostics = Compiler.Compile(new SourceText($"model M {{\n  input x: [B, 9, 8, 4]\n  output y = x |> {layer}\n}}\n")).Diagnostics;
        Assert.Contains(diagnostics, d => d.Message.Contains(message, StringComparison.Ordinal));
    }

    [Fact]
    public void A_printed_convolution_compiles_to_the_same_graph()
    {
        var model = Of("conv2d(4, 3, stride = 2, groups = 2) |> relu |> max_pool2d(2, stride = 1) |> flatten", "[B, 9, 8, 4]");
        var loss = model.Outputs[0].Value.Square().Sum();
        var printed = ModelPrinter.Differentiate(model, loss, [.. model.Parameters.Select(p => new Named(p.Path, p.Variable)), new Named("x", model.Inputs[0].Value)]).ToSource();
        Assert.Contains("prim.conv_general", printed, StringComparison.Ordinal);
        var again = Compile.Model(printed).ToSource();
        Assert.Contains("prim.conv_general", again, StringComparison.Ordinal);
        Assert.Equal(again, Compile.Model(again).ToSource());
    }
}
