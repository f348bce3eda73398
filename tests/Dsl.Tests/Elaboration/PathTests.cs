using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Fresh or shared, and what instances are called.</summary>
public class PathTests
{
    [Theory]
    [InlineData("let y = x |> dense(4) |> dense(2)", new[] { "dense_0", "dense_1" })]
    [InlineData("let fc1 = dense(4)\nlet y = x |> fc1 |> dense(2)", new[] { "fc1", "dense_0" })]
    [InlineData("let y = x |> layer_norm() |> dense(4) |> layer_norm()", new[] { "layer_norm_0", "dense_0", "layer_norm_1" })]
    [InlineData("let f = dense(8)\nlet y = x |> f |> f", new[] { "f" })]
    [InlineData("let mlp = dense(4) |> relu |> dense(8)\nlet y = x |> mlp |> mlp", new[] { "mlp.dense_0", "mlp.dense_1" })]
    [InlineData("let y = x |> (dense(4) |> relu |> dense(8)) |> dense(1)", new[] { "dense_0", "dense_1", "dense_2" })]
    [InlineData("let y = x |> repeat(3, dense(8))", new[] { "repeat_0[0]", "repeat_0[1]", "repeat_0[2]" })]
    [InlineData("let d = dense(8)\nlet y = x |> repeat(3, d)", new[] { "d" })]
    [InlineData("let deep = repeat(2, dense(8) |> relu)\nlet y = x |> deep", new[] { "deep[0].dense_0", "deep[1].dense_0" })]
    [InlineData("let blocks = for i in 0..2 { dense(8) }\nlet y = x |> blocks |> blocks", new[] { "blocks[0]", "blocks[1]" })]
    [InlineData("let y = x |> for i in 0..2 { dense(8) |> dense(8) }", new[] { "for_0[0].dense_0", "for_0[0].dense_1", "for_0[1].dense_0", "for_0[1].dense_1" })]
    [InlineData("let y = x |> for i in 0..2 { for j in 0..2 { dense(8) } }", new[] { "for_0[0][0]", "for_0[0][1]", "for_0[1][0]", "for_0[1][1]" })]
    [InlineData("let y = x |> for i in 0..2 {\n let k = dense(8)\n k |> k }", new[] { "for_0[0].k", "for_0[1].k" })]
    [InlineData("let y = x |> for s in [4, 8] { dense(s) }", new[] { "for_0[0]", "for_0[1]" })]
    [InlineData("let ls = [dense(8) for i in 0..2]\nlet y = x |> ls[1] |> ls[0] |> ls[1]", new[] { "ls[1]", "ls[0]" })]
    [InlineData("let (a, (b, _)) = (dense(8), (dense(8), 3))\nlet y = x |> a |> b", new[] { "a", "b" })]
    [InlineData("let f = h => h + dense(8)(h)\nlet y = x |> f |> f", new[] { "f.dense_0" })]
    [InlineData("let y = x |> (h => h |> dense(8)) |> (h => h |> dense(8))", new[] { "dense_0", "dense_1" })]
    [InlineData("let y = x |> residual(dense(4) |> relu |> dense(8))", new[] { "residual_0.dense_0", "residual_0.dense_1" })]
    [InlineData("let y = x |> chain(dense(4), relu, dense(8))", new[] { "dense_0", "dense_1" })]
    [InlineData("let (y, z) = x |> parallel(dense(4), relu |> dense(8))", new[] { "dense_0", "dense_1" })]
    [InlineData("let heads = parallel(dense(4), dense(8))\n  let (y, z) = heads(x)\n  let (a, b) = heads(x)", new[] { "heads.dense_0", "heads.dense_1" })]
    [InlineData("let y = if false then x |> dense(2) else x |> dense(3)", new[] { "dense_1" })]
    [InlineData("let act = if true then dense(8) else dense(4)\nlet y = x |> act", new[] { "act" })]
    [InlineData("let y = dense(4)(x)", new[] { "dense_0" })]
    public void Instances_are_named_by_let_else_by_kind_and_position(string statements, string[] expected) =>
        Assert.Equal(expected, Compile.Weights(Compile.Body(statements)));

    [Fact]
    public void A_layer_of_the_file_is_a_body_of_its_own()
    {
        const string Layers = """
            layer swish(x: [...]) -> [...] { return x * sigmoid(x) }
            layer block(units: int)(x: [..., D]) -> [..., D] {
              let up = dense(units)
              return x + (x |> layer_norm() |> up |> swish |> dense(D))
            }
            """;
        var model = Compile.Body("let b = block(16)\nlet y = x |> b |> b |> block(4) |> repeat(2, block(2))", declarations: Layers);
        string[] inner = ["layer_norm_0", "up", "dense_0"];
        Assert.Equal(new[] { "b", "block_0", "repeat_0[0]", "repeat_0[1]" }.SelectMany(b => inner.Select(i => $"{b}.{i}")), Compile.Weights(model));
        Assert.Equal(4, model.Scopes.Count(s => s.Kind == "block" && s.Path.Length > 0 && !s.Path.StartsWith('b')) + model.Scopes.Count(s => s.Path is "b"));
    }

    [Fact]
    public void A_hyperparameter_of_type_layer_is_made_at_each_occurrence()
    {
        const string Layers = """
            layer twice(norm: layer = layer_norm())(x: [..., D]) -> [..., D] {
              return x |> norm |> norm
            }
            """;
        Assert.Equal(["twice_0.norm_0", "twice_0.norm_1"], Compile.Weights(Compile.Body("let y = x |> twice()", declarations: Layers)));
        Assert.Equal(["twice_0.norm_0", "twice_0.norm_1"], Compile.Weights(Compile.Body("let y = x |> twice(dense(8))", declarations: Layers)));
        Assert.Equal(["twice_0.norm_0.dense_0", "twice_0.norm_0.dense_1", "twice_0.norm_1.dense_0", "twice_0.norm_1.dense_1"],
            Compile.Weights(Compile.Body("let y = x |> twice(dense(4) |> dense(8))", declarations: Layers)));
        Assert.Equal(["d"], Compile.Weights(Compile.Body("let d = dense(8)\nlet y = x |> twice(d)", declarations: Layers)));
    }

    [Fact]
    public void A_recipe_passed_on_is_made_where_it_is_used()
    {
        const string Layers = """
            layer inner(f: layer)(x: [..., D]) { return x |> f }
            layer outer(f: layer)(x: [..., D]) { return x |> inner(f) |> inner(f) }
            """;
        Assert.Equal(["outer_0.inner_0.f_0", "outer_0.inner_1.f_0"], Compile.Weights(Compile.Body("let y = x |> outer(dense(8))", declarations: Layers)));
    }

    [Fact]
    public void What_is_constructed_is_made_once_per_enclosing_instance_not_per_application()
    {
        const string Layers = "layer pre(units: int)(x: [..., D]) {\n  let d = dense(units)\n  return x |> d |> dense(D)\n}";
        Assert.Equal(["p.d", "p.dense_0"], Compile.Weights(Compile.Body("let p = pre(4)\nlet y = p(p(x))", declarations: Layers)));
        Assert.Equal(["pre_1.d", "pre_1.dense_0", "pre_0.d", "pre_0.dense_0"], Compile.Weights(Compile.Body("let y = pre(4)(pre(4)(x))", declarations: Layers)));
    }

    [Fact]
    public void A_lambda_in_a_shared_layer_sees_the_application_it_belongs_to()
    {
        const string Layers = "layer shift(x: [..., D]) {\n  let m = mean(x)\n  return x |> residual(h => h |> dense(D) |> (g => g + m))\n}";
        var model = Compile.Body("let s = shift\nlet y = x |> s\nlet z = 2 * x |> s", "y + z", Layers);
        Assert.Equal(["s.residual_0.dense_0"], Compile.Weights(model));
        var by = Compile.Body("let m = mean(x)\nlet s = dense(8)\nlet y = x + (x |> s) + m\nlet x2 = 2 * x\nlet z = x2 + (x2 |> s) + mean(x2)", "y + z");
        Assert.Equal(by.Outputs[0].Value.Type, model.Outputs[0].Value.Type);
        Assert.Equal(2, Dnn.Graph.Expr.PostOrder([model.Outputs[0].Value]).Count(e => e.Op is Dnn.Graph.Sum));
    }

    [Fact]
    public void Text_and_fluent_calls_give_the_same_paths()
    {
        var text = Compile.Body("let fc = dense(4)\nlet y = x |> dense(8) |> residual(dense(8)) |> fc |> layer_norm()");
        var fluent = Dnn.Graph.Model.Build("M", m =>
        {
            var x = m.Input("x", "B", 8);
            var y = Dnn.Graph.Layers.Dense(8).Apply(x);
            y = Dnn.Graph.Layers.Residual(Dnn.Graph.Layers.Dense(8)).Apply(y);
            y = Dnn.Graph.Layers.Dense(4).Named("fc").Apply(y);
            m.Output("out", Dnn.Graph.Layers.LayerNorm().Apply(y));
        });
        Assert.Equal(Compile.Paths(fluent), Compile.Paths(text));
        Assert.Equal(Compile.Graph(fluent), Compile.Graph(text));
    }

    [Fact]
    public void Two_draws_differ_and_a_let_is_one_draw()
    {
        Assert.NotEqual(Compile.Graph(Compile.Body("let r = random.normal([8])", "r - r")), Compile.Graph(Compile.Body("", "random.normal([8]) - random.normal([8])")));
        var model = Compile.Body("let d = dropout(0.5)\nlet y = (x |> d) + (x |> d) + (x |> dropout(0.5))");
        Assert.Equal(3, Dnn.Graph.Expr.PostOrder([model.Outputs[0].Value]).Count(e => e.Op is Dnn.Graph.RngBits));
    }
}
