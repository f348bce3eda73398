using Xunit;

namespace Dnn.Graph.Tests;

/// <summary>Tensors that a layer takes by name, and several at once.</summary>
public class LayerInputTests
{
    private static Layer Weighted() =>
        new("weighted", (context, inputs) => [(inputs[0] + inputs[^1]) * (context.Optional("weight") ?? Expr.Scalar(1)), .. context.Several("state")], null, "weight", "state");

    [Fact]
    public void Tensors_are_given_by_position_and_by_name()
    {
        var model = Model.Build("m", b =>
        {
            var (x, w) = (b.Input("x", "B", 2), b.Input("w", "B", 2));
            var layer = Weighted().Named("sum");
            var results = layer.ApplyAll([x, w], new Named("weight", w), new Named("state", x), new Named("state", w));
            Assert.Equal<Expr>([(x + w) * w, x, w], results.ToArray());
            b.Output("y", layer.Apply(x));
            Assert.Equal("`weight` is one tensor, not 2", Assert.Throws<GraphException>(() => layer.ApplyAll([x], new Named("weight", x), new Named("weight", w))).Message);
            Assert.Equal("weighted takes no tensor `mask`, only weight, state", Assert.Throws<GraphException>(() => layer.ApplyAll([x], new Named("mask", x))).Message);
        });
        Assert.Equal(["weight", "state", "state"], model.Scopes[0].Named.Select(n => n.Name));
        Assert.Equal(2, model.Scopes[0].Inputs.Length);
    }
}
