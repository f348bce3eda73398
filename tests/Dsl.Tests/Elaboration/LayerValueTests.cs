using Dnn.Graph;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Layers that are made of layers, and other uses of their parameters.</summary>
public class LayerValueTests
{
    private static Expr?[] Gradients(Model model) => Gradient.Of(Phases.Resolve([model.TotalLoss], training: true)[0], [.. model.Parameters.Select(p => p.Variable)]);

    private static Parameter Of(Model model, string path) => model.Parameters.Single(p => p.Path == path);

    [Theory]
    [InlineData("x |> frozen(dense(8))", new[] { "dense_0" })]
    [InlineData("x |> no_decay(dense(4) |> relu |> dense(8)) |> dense(8)", new[] { "dense_0", "dense_1", "dense_2" })]
    [InlineData("x |> repeat(2, checkpoint(dense(8) |> relu))", new[] { "repeat_0[0].dense_0", "repeat_0[1].dense_0" })]
    [InlineData("x |> checkpoint(residual(lr_scale(dense(8), 0.1)))", new[] { "residual_0.dense_0" })]
    [InlineData("x |> for i in 0..2 { frozen(dense(8)) }", new[] { "for_0[0]", "for_0[1]" })]
    public void What_wraps_a_layer_adds_nothing_to_its_path(string expression, string[] paths)
    {
        Assert.Equal(paths, Compile.Weights(Compile.Body($"  let y = {expression}")));
        Assert.Equal(paths.Select(p => p.Replace("dense_0", "f.dense_0", StringComparison.Ordinal)).Where(_ => paths is ["dense_0"]),
            Compile.Weights(Compile.Body($"  let f = chain({expression[5..]})\n  let y = x |> f")).Where(_ => paths is ["dense_0"]));
    }

    [Fact]
    public void A_let_names_what_is_wrapped() =>
        Assert.Equal(["f", "g.dense_0"], Compile.Weights(Compile.Body("  let f = frozen(dense(8))\n  let g = no_decay(dense(8) |> relu)\n  let y = x |> f |> g")));

    [Fact]
    public void Frozen_blocks_gradients_in_that_application_alone()
    {
        var model = Compile.Body("  let d = dense(8)\n  loss sum(x |> frozen(d)) as a", "x |> d");
        Assert.Equal([null, null], Gradients(model));
        Assert.False(Of(model, "d.weight").Options.Frozen);
        var both = Compile.Body("  let d = dense(8, bias = false)\n  loss sum(x |> frozen(d) |> d) as a", "x");
        var plain = Compile.Body("  let d = dense(8, bias = false)\n  let k = stop_gradient(x |> d)\n  loss sum(k |> d) as a", "x");
        Assert.Equal(Printer.Definitions([("g", Gradients(plain)[0]!)]).Split('\n').Length, Printer.Definitions([("g", Gradients(both)[0]!)]).Split('\n').Length);
        Compile.Holds("  let d = dense(2, init = identity())\n  let x = [[1.0, 2.0]]\n  let y = sum((x |> frozen(d)) * [[3.0, 4.0]])\n  assert all(grad(y, x) == [[3, 4]])");
    }

    [Fact]
    public void Options_of_a_use_are_those_of_the_parameter_everywhere()
    {
        var model = Compile.Body("  let d = dense(8)\n  let y = x |> d |> lr_scale(no_decay(d), 0.5) |> lr_scale(lr_scale(dense(8), 0.5), 0.5)");
        Assert.Equal(new ParameterOptions(NoDecay: true, LearningRateScale: 0.5), Of(model, "d.weight").Options);
        Assert.Equal(new ParameterOptions(LearningRateScale: 0.25), Of(model, "dense_0.bias").Options);
        var two = Compiler.Compile(new SourceText("model M {\n  input x: [B, 8]\n  let d = dense(8)\n  output y = x |> lr_scale(d, 0.5) |> lr_scale(d, 0.1)\n}"));
        Assert.Contains("the learning rate of d.weight is scaled by 0.5 in one place and by 0.1 in another", two.Diagnostics[0].Message, StringComparison.Ordinal);
    }

    [Fact]
    public void With_applies_with_other_parameters()
    {
        Compile.Holds("""
              let d = dense(2, init = zeros(), bias_init = constant(1))
              let x = [[1.0, 2.0]]
              let w = [[1.0, 0.0], [0.0, 3.0]]
              assert all(d(x) == [[1, 1]])
              assert all(d.with(weight = w)(x) == [[2, 7]])
              assert all((x |> d.with(weight = w, bias = [0, 0])) == [[1, 6]])
              assert all((x |> (d.with(weight = w) |> relu)) == [[2, 7]])
              let y = sum(d.with(weight = w)(x))
              assert all(grad(y, w) == [[1, 1], [2, 2]])
            """);
        var step = Compile.Body("  let d = dense(1)\n  let loss0 = mean(d(x) ** 2)\n  let w2 = d.weight - 0.1 * grad(loss0, d.weight)\n  loss mean(d.with(weight = w2)(x) ** 2)", "x");
        Assert.Equal(["d.weight", "d.bias"], Compile.Paths(step));
        Assert.All(Gradients(step), Assert.NotNull);
    }

    [Fact]
    public void A_hypernetwork_makes_no_parameters_that_are_given() =>
        Assert.Equal(["d.bias", "dense_0.bias", "dense_0.weight"], Compile.Paths(Compile.Body(
            "  let d = dense(3)\n  let y = d.with(weight = reshape(mean(x, axis = 0) |> dense(24), [8, 3]))(x)")).OrderBy(p => p, StringComparer.Ordinal));

    [Fact]
    public void An_embedding_attends_with_its_own_table()
    {
        var model = Compile.Model("model M {\n  input t: int[B, T]\n  let emb = embedding(10, 4)\n  output logits = t |> emb |> emb.attend\n  output again = emb.attend(emb(t))\n}\n");
        Assert.Equal(["emb.weight"], Compile.Paths(model));
        Assert.Equal("[B, T, 10]", model.Outputs[0].Value.Shape.ToString());
        Assert.Equal(model.Outputs[0].Value, model.Outputs[1].Value);
        var fluent = Model.Build("M", m =>
        {
            var emb = Layers.Embedding(10, 4).Named("emb");
            var logits = Layers.Attend(emb).Apply(emb.Apply(m.Input("t", DType.I64, "B", "T")));
            m.Output("logits", logits);
            m.Output("again", logits);
        });
        Assert.Equal(Compile.Graph(model), Compile.Graph(fluent));
    }

    [Fact]
    public void A_checkpoint_has_the_value_and_the_gradient_of_what_it_wraps()
    {
        const string Body = "layer block(x: [..., D]) {\n  param w: [D, D] = constant(0.3)\n  return tanh(x @ w) * x\n}";
        Compile.Holds("""
              let x = [[0.5, -0.2], [0.1, 0.4]]
              let f = block
              let (a, b) = (sum(x |> f |> f), sum(x |> checkpoint(f) |> checkpoint(f |> checkpoint(h => h + 0))))
              assert a == b
              assert all(abs(grad(a, x) - grad(b, x)) < 1e-12)
              assert all(abs(grad(a, f.w) - grad(b, f.w)) < 1e-12)
              let (p, q) = (sum(grad(a, x) ** 2), sum(grad(b, x) ** 2))
              assert all(abs(grad(p, x) - grad(q, x)) < 1e-12)
            """, Body);
    }

    [Fact]
    public void A_checkpoint_draws_the_same_random_numbers_again()
    {
        var model = Compile.Body("  let y = x |> checkpoint(dropout(0.5) |> dense(8) |> dropout(0.5))\n  loss sum(y ** 2)");
        var gradients = Gradients(model);
        Assert.All(gradients, Assert.NotNull);
        var draws = Expr.PostOrder([gradients[0]!]).Where(n => n.Op is RngBits).ToList();
        Assert.Equal(4, draws.Count);
        Assert.Equal(2, draws.Select(d => d.Args[0].Op is Dnn.Graph.Barrier ? d.Args[0].Args[0] : d.Args[0]).Distinct().Count());
    }

    [Fact]
    public void A_gradient_of_ones_own_is_used_and_differentiated()
    {
        const string Layers = """
            /// Passes gradients straight through the step (Bengio et al. 2013).
            layer binary(x: [...]) -> [...] { return cast(x > 0, float) } gradient (x, _, dy) { return dy }
            layer scaled(s: float)(a: [..., D], b: [D]) {
              return s * a * b
            } gradient (a, b, y, dy) {
              let both = s * dy
              return (both * b / D, sum(both * a, axis = 0) * D)
            }
            layer cube(x: [...]) { return x ** 3 } gradient (x, y, dy) { return 3 * y / x * dy }
            """;
        Compile.Holds("""
              let x = [-1.0, 2.0]
              assert all(binary(x) == [0, 1])
              assert all(grad(sum(3 * binary(x)), x) == [3, 3])
              let (a, b) = ([[1.0, 2.0]], [3.0, 4.0])
              let y = sum((a, b) |> scaled(2.0))
              assert y == 22
              assert all(grad(y, a) == [[3, 4]])
              assert all(grad(y, b) == [4, 8])
              let g = grad(sum(cube(x)), x)
              assert all(close(g, [3, 12]))
              assert all(close(grad(sum(g), x), [-6, 12]))
            """, Layers);
    }

    [Fact]
    public void Layers_compose_and_are_passed_on()
    {
        const string Layers = "layer twice(f: layer)(x: [...]) { return x |> f |> f }";
        var model = Compile.Body("""
              let mlp = dense(16) |> relu |> dense(8)
              let act = h => {
                let (a, b) = (h, tanh(h))
                return a * b
              }
              let swap = (a, b) => (b, a)
              let first = (a, (b, _)) => a - b
              let (u, v) = (x, mlp(x)) |> swap
              let y = (u, (v, 1)) |> first |> mlp |> act |> twice(residual(mlp |> act)) |> (if len([1, 2]) == 2 then mlp else act)
            """, declarations: Layers);
        Assert.Equal(["mlp.dense_0", "mlp.dense_1"], Compile.Weights(model));
    }
}
