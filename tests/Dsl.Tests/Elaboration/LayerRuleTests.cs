using Dnn.Graph;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>The rules of layers as values, of fresh and shared instances and of their paths: a test for each sentence of the reference.</summary>
public class LayerRuleTests
{
    private const string Two = "layer two(a: [B, D], b: [B, E]) { return a + b[:, :1] }\nlayer block(units: int, act: layer = relu)(x: [..., D]) -> [..., D] {\n  return x + (x |> dense(units) |> act |> dense(D))\n}\n";

    private static string[] Weights(string statements, string declarations = Two) => Compile.Weights(Compile.Body(statements, declarations: declarations));

    private static string Codes(string statements, string declarations = Two) => string.Join(' ',
        Compile.Diagnostics(new SourceText($"{declarations}\nmodel M {{\n  input x: [B, 8]\n{statements}\n  output out = x\n}}\n")).Select(d => d.Code));

    private static void SameGraph(string one, string other, string declarations = Two) =>
        Assert.Equal(Compile.Graph(Compile.Body(other, declarations: declarations)), Compile.Graph(Compile.Body(one, declarations: declarations)));

    // ---- Application and composition ---------------------------------------------------------------------------------

    [Theory]
    [InlineData("let d = dense(4)\n  let y = x |> d", "let d = dense(4)\n  let y = d(x)")]
    [InlineData("let y = x |> dense(4)", "let y = dense(4)(x)")]
    [InlineData("let y = x |> (h => h * 2)", "let y = x * 2")]
    [InlineData("let y = x |> emb", "let y = emb(x)", "layer emb(x: [...]) { return x * 3 }")]
    public void A_pipe_into_a_layer_value_applies_it(string pipe, string call, string declarations = Two) => SameGraph(pipe, call, declarations);

    [Theory]
    [InlineData("let y = x |> maximum(0)", "let y = maximum(x, 0)")]
    [InlineData("let y = x |> two(x)", "let y = two(x, x)")]
    [InlineData("let y = x |> softmax(axis = 0)", "let y = softmax(x, axis = 0)")]
    public void A_pipe_into_a_call_of_a_function_puts_its_left_side_first(string pipe, string call) => SameGraph(pipe, call);

    [Theory]
    [InlineData("let y = (x, 2 * x) |> two", "let y = two(x, 2 * x)")]
    [InlineData("let y = (x, 2 * x) |> ((a, b) => a - b)", "let y = x - 2 * x")]
    [InlineData("let a = attention(2)\n  let y = (x[None], x[None]) |> a", "let a = attention(2)\n  let y = a(x[None], x[None])")]
    public void A_tuple_on_the_left_gives_several_inputs(string pipe, string call) => SameGraph(pipe, call);

    [Fact]
    public void Optional_tensor_inputs_go_by_name()
    {
        Assert.Equal("", Codes("  let y = attention(2)(x[None], mask = [[true]] == [[true]])\n  let n = sum(cast(x, int), axis = 1)\n  let z = lstm(4)(x[:, None], lengths = n)"));
        Assert.Equal("DNN0103", Codes("  let y = dense(4)(x, mask = x)"));
    }

    [Theory]
    [InlineData("let mlp = dense(4) |> relu |> dense(2)\n  let y = x |> mlp", "let mlp = h => h |> dense(4) |> relu |> dense(2)\n  let y = x |> mlp")]
    [InlineData("let f = relu |> tanh\n  let g = f |> sigmoid\n  let y = g(x)", "let y = sigmoid(tanh(relu(x)))")]
    [InlineData("let y = x |> chain(relu, tanh)", "let y = x |> (relu |> tanh)")]
    public void A_pipe_between_layer_values_composes(string one, string other) => SameGraph(one, other);

    [Theory]
    [InlineData("gelu", "")]
    [InlineData("flatten", "")]
    [InlineData("leaky_relu", "")]
    [InlineData("layer_norm", "DNN0110")]
    [InlineData("dense", "DNN0110")]
    [InlineData("block", "DNN0110")]
    [InlineData("maximum", "DNN0110")]
    public void A_function_with_defaults_is_a_layer_by_its_bare_name_and_a_layer_with_a_hyper_list_needs_parentheses(string name, string codes) =>
        Assert.Equal(codes, Codes($"  let y = x |> {name}", Two.Replace("units: int", "units: int = 4", StringComparison.Ordinal)));

    [Theory]
    [InlineData("let y = (x, (x, 2)) |> ((a, (b, k)) => a + b * k)", "let y = x + x * 2")]
    [InlineData("let y = (x, x) |> ((a, _) => a)", "let y = x")]
    [InlineData("let y = x |> (h => {\n  let k = h * 2\n  return k + h\n  })", "let y = x * 2 + x")]
    public void Lambdas_take_patterns_and_may_have_a_block(string one, string other) => SameGraph(one, other);

    [Theory]
    [InlineData("let y = x |> for i in 0..3 { h => h + i }", "let y = ((x + 0) + 1) + 2")]
    [InlineData("let y = x |> for i in 2..4 { h => h * i }", "let y = (x * 2) * 3")]
    [InlineData("let y = x |> for (a, b) in [(1, 2), (3, 4)] { h => h * a + b }", "let y = (x * 1 + 2) * 3 + 4")]
    [InlineData("let y = x |> for f in [1, 0] {\n  let k = f + 1\n  let l = k * k\n  h => h * l\n  }", "let y = x * 4 * 1")]
    [InlineData("let y = x |> repeat(2, h => h * 2)", "let y = x |> for i in 0..2 { h => h * 2 }")]
    [InlineData("let f = for i in 0..0 { relu }\n  let y = x |> f", "let y = x")]
    public void A_for_is_the_composition_of_its_bodies_over_any_static_list(string one, string other) => SameGraph(one, other);

    [Theory]
    [InlineData("len([i for i in 0..4]) == 4")]
    [InlineData("[i * i for i in 0..4][3] == 9 and [1, 2, 3][-1] == 3")]
    [InlineData("len([1, 2, 3, 4][1:3]) == 2 and [1, 2, 3, 4][1:3][0] == 2")]
    [InlineData("len([1] + [2, 3]) == 3 and ([1] + [2, 3])[1] == 2")]
    [InlineData("len([[i, k] for k in [1, 2] for i in 0..3]) == 6", true)]
    public void A_list_is_static_and_indexes_slices_adds_and_has_len(string condition, bool isNoSyntax = false) =>
        Assert.Equal(isNoSyntax ? "DNN0020" : "", Codes($"  let y = x |> (if {condition} then relu else tanh)").Split(' ')[0]);

    // ---- Fresh or shared -----------------------------------------------------------------------------------------------

    [Theory]
    [InlineData("let y = dense(8)(x) + dense(8)(x)", new[] { "dense_0", "dense_1" })]
    [InlineData("let fs = [dense(8), dense(8)]\n  let y = x |> fs[0] |> fs[1]", new[] { "fs[0]", "fs[1]" })]
    [InlineData("let y = x |> block(4) |> block(4)", new[] { "block_0.dense_0", "block_0.dense_1", "block_1.dense_0", "block_1.dense_1" })]
    [InlineData("let (a, b) = x |> parallel(dense(8), dense(8))\n  let y = a + b", new[] { "dense_0", "dense_1" })]
    public void An_expression_that_constructs_a_layer_makes_a_new_instance_each_time_it_is_evaluated(string statements, string[] weights) => Assert.Equal(weights, Weights(statements));

    [Theory]
    [InlineData("let f = h => h + dense(8)(h)\n  let y = x |> f |> f |> f", new[] { "f.dense_0" })]
    [InlineData("let b = block(4)\n  let y = x |> b |> b", new[] { "b.dense_0", "b.dense_1" })]
    [InlineData("let r = residual(dense(8))\n  let y = x |> r |> r", new[] { "r.dense_0" })]
    [InlineData("let (s, ys) = scan(x[:, :, None], zeros([B, 1]), (h, t) => {\n  let n = h + dense(1)(t)\n  return (n, n)\n  })\n  let y = s", new[] { "dense_0" })]
    [InlineData("let g = for i in 0..2 { block(4) }\n  let y = x |> g |> g", new[] { "g[0].dense_0", "g[0].dense_1", "g[1].dense_0", "g[1].dense_1" })]
    public void It_does_so_once_per_enclosing_instance_not_per_application(string statements, string[] weights) => Assert.Equal(weights, Weights(statements));

    [Theory]
    [InlineData("let d = dense(8)\n  let y = x |> d |> relu |> d", new[] { "d" })]
    [InlineData("let d = dense(8)\n  let y = x |> residual(d) |> repeat(2, d) |> (h => d(h))", new[] { "d" })]
    [InlineData("let d = dense(8)\n  let e = d\n  let y = x |> d |> e", new[] { "d" })]
    [InlineData("let (a, b) = (dense(8), dense(8))\n  let y = x |> a |> b |> a", new[] { "a", "b" })]
    public void A_name_bound_by_let_is_one_instance_shared_wherever_it_is_applied(string statements, string[] weights) => Assert.Equal(weights, Weights(statements));

    [Theory]
    [InlineData("let y = x |> repeat(2, dense(8) |> relu)", 2)]
    [InlineData("let y = x |> for i in 0..3 { dense(8) }", 3)]
    [InlineData("let y = x |> repeat(2, repeat(2, dense(8)))", 4)]
    [InlineData("let y = x |> for i in 0..2 {\n  let d = dense(8)\n  d |> d\n  }", 2)]
    [InlineData("let y = x |> for i in 0..3 { if i == 0 then dense(8) else relu }", 1)]
    public void Repeat_and_for_evaluate_their_body_once_an_iteration(string statements, int instances) => Assert.Equal(instances, Weights(statements).Length);

    [Theory]
    [InlineData("let y = x |> twice(dense(8))", new[] { "twice_0.f_0", "twice_0.f_1" })]
    [InlineData("let d = dense(8)\n  let y = x |> twice(d)", new[] { "d" })]
    [InlineData("let y = x |> twice(dense(8) |> relu)", new[] { "twice_0.f_0.dense_0", "twice_0.f_1.dense_0" })]
    [InlineData("let y = x |> twice()", new[] { "twice_0.f_0", "twice_0.f_1" })]
    [InlineData("let t = twice(h => h |> dense(8))\n  let y = x |> t |> t", new[] { "t.f_0.dense_0", "t.f_1.dense_0" })]
    [InlineData("let y = x |> twice(twice(dense(8)))", new[] { "twice_0.f_0.f_0", "twice_0.f_0.f_1", "twice_0.f_1.f_0", "twice_0.f_1.f_1" })]
    public void A_hyperparameter_of_type_layer_is_a_recipe_evaluated_at_each_occurrence_of_its_name(string statements, string[] weights) =>
        Assert.Equal(weights, Weights(statements, "layer twice(f: layer = dense(8))(x: [..., D]) { return x |> f |> f }"));

    [Fact]
    public void So_repeat_of_a_construction_has_three_sets_of_parameters_and_of_a_name_one()
    {
        Assert.Equal(3, Weights("let y = x |> repeat(3, dense(8))").Length);
        Assert.Single(Weights("let d = dense(8)\n  let y = x |> repeat(3, d)"));
    }

    // ---- Paths -----------------------------------------------------------------------------------------------------------

    [Theory]
    [InlineData("let fc = dense(8)\n  let y = x |> dense(8) |> fc", new[] { "dense_0", "fc" })]
    [InlineData("let y = x |> dense(8) |> layer_norm() |> dense(8)", new[] { "dense_0", "layer_norm_0", "dense_1" })]
    [InlineData("let y = (x |> dense(8)) + (x |> dense(8))", new[] { "dense_0", "dense_1" })]
    [InlineData("let y = dense(8)(dense(8)(x))", new[] { "dense_1", "dense_0" })]
    [InlineData("let y = x |> block(4) |> dense(8) |> block(2)", new[] { "block_0.dense_0", "block_0.dense_1", "dense_0", "block_1.dense_0", "block_1.dense_1" })]
    public void A_segment_is_the_let_name_else_the_kind_and_its_textual_position_among_that_kind_in_the_body(string statements, string[] weights) => Assert.Equal(weights, Weights(statements));

    [Theory]
    [InlineData("let y = x |> (if false then dense(2) else dense(8)) |> dense(8)", new[] { "dense_1", "dense_2" })]
    [InlineData("let y = x |> (if true then dense(8) else dense(4)) |> dense(8)", new[] { "dense_0", "dense_2" })]
    public void Untaken_branches_count(string statements, string[] weights) => Assert.Equal(weights, Weights(statements));

    [Theory]
    [InlineData("let blocks = for i in 0..2 { dense(8) |> relu |> dense(8) }\n  let y = x |> blocks", new[] { "blocks[0].dense_0", "blocks[0].dense_1", "blocks[1].dense_0", "blocks[1].dense_1" })]
    [InlineData("let y = x |> for i in 0..1 { dense(8) |> relu } |> for i in 0..1 { dense(8) |> relu }", new[] { "for_0[0].dense_0", "for_1[0].dense_0" })]
    [InlineData("let y = x |> repeat(2, block(4))", new[] { "repeat_0[0].dense_0", "repeat_0[0].dense_1", "repeat_0[1].dense_0", "repeat_0[1].dense_1" })]
    [InlineData("let ls = [dense(8) for i in 0..2]\n  let y = x |> ls[0] |> ls[1]", new[] { "ls[0]", "ls[1]" })]
    public void Loops_give_name_and_index(string statements, string[] weights) => Assert.Equal(weights, Weights(statements));

    [Theory]
    [InlineData("let y = x |> for i in 0..2 { dense(8) }", new[] { "for_0[0]", "for_0[1]" })]
    [InlineData("let blocks = repeat(2, dense(8))\n  let y = x |> blocks", new[] { "blocks[0]", "blocks[1]" })]
    [InlineData("let blocks = repeat(2, frozen(dense(8)))\n  let y = x |> blocks", new[] { "blocks[0]", "blocks[1]" })]
    [InlineData("let y = x |> for i in 0..2 { if i == 0 then dense(8) else relu |> dense(8) }", new[] { "for_0[0]", "for_0[1].dense_0" })]
    [InlineData("let act = if false then dense(8) else block(4)\n  let y = x |> act", new[] { "act.dense_0", "act.dense_1" })]
    public void A_body_or_branch_of_one_layer_adds_no_segment(string statements, string[] weights) => Assert.Equal(weights, Weights(statements));

    [Theory]
    [InlineData("  let fc = dense(8)\n  let a = x |> fc\n  let fc = dense(8)\n  let b = a |> fc")]
    [InlineData("  let a = x |> dense(8)\n  let dense_0 = dense(8)\n  let b = a |> dense_0")]
    [InlineData("  let (fc, fc2) = (dense(8), 1)\n  let fc = dense(8)\n  let b = x |> fc")]
    [InlineData("  param fc: [8] = 0\n  let fc = dense(8)\n  let b = x |> fc")]
    public void Two_instances_under_one_name_in_a_body_are_an_error(string statements) => Assert.Equal("DNN0114", Codes(statements));

    [Fact]
    public void One_name_in_two_bodies_is_fine() =>
        Assert.Equal(["fc", "a.fc", "b.fc"], Weights("let fc = dense(8)\n  let a = inner\n  let b = inner\n  let y = x |> fc |> a |> b", "layer inner(x: [..., D]) {\n  let fc = dense(D)\n  return x |> fc\n}"));

    // ---- Other parameters ------------------------------------------------------------------------------------------------

    [Fact]
    public void With_applies_with_other_parameters_and_leaves_those_of_the_instance()
    {
        var model = Compile.Body("let d = dense(8)\n  let own = d(x)\n  let y = d.with(weight = d.weight * 2)(x) + own");
        Assert.Equal(["d"], Compile.Weights(model));
        Assert.Equal(Compile.Graph(Compile.Body("let d = dense(8)\n  let own = d(x)\n  let y = x @ (d.weight * 2) + d.bias + own")), Compile.Graph(model));
        Assert.Equal("DNN0115", Codes("  let d = dense(8)\n  let y = d.with(wieght = x)(x)"));
        Assert.Equal("DNN0301", Codes("  let d = dense(8)\n  let y = d.with(weight = zeros([3, 8]))(x)"));
    }

    [Theory]
    [InlineData("params(a)", "a.weight a.bias")]
    [InlineData("params(a, b)", "a.weight a.bias b.weight b.bias")]
    [InlineData("params()", "a.weight a.bias b.weight b.bias c.weight c.bias")]
    [InlineData("params(ab)", "a.weight a.bias b.weight b.bias")]
    public void Params_lists_the_parameters_of_layers_or_of_the_whole_model(string list, string paths)
    {
        var model = Compile.Body($"let a = dense(8)\n  let b = dense(8)\n  let c = dense(8)\n  let ab = a |> b\n  let y = x |> ab |> c\n  let penalty = l2({list})", "penalty");
        var used = Expr.PostOrder([model.Outputs[0].Value]).ToHashSet();
        Assert.Equal(paths.Split(' '), model.Parameters.Where(p => used.Contains(p.Variable)).Select(p => p.Path));
    }

    [Fact]
    public void Options_of_a_parameter_are_frozen_no_decay_and_lr_scale()
    {
        var model = Compile.Body("param a: [8] = 0, frozen\n  param b: [8] = 0, no_decay\n  param c: [8] = 0, lr_scale = 0.1\n  param d: [8] = 0\n  let y = x + a + b + c + d");
        Assert.Equal([new(Frozen: true), new(NoDecay: true), new(LearningRateScale: 0.1), new ParameterOptions()], model.Parameters.Select(p => p.Options));
        Assert.Equal(["b", "c", "d"], model.Trainable.Select(p => p.Path));
    }

    // ---- Random numbers --------------------------------------------------------------------------------------------------

    [Theory]
    [InlineData("let y = x |> dropout(0.5) |> dropout(0.5)", 2)]
    [InlineData("let d = dropout(0.5)\n  let y = x |> d |> d", 2)]
    [InlineData("let y = x |> repeat(3, dropout(0.5))", 3)]
    [InlineData("let r = random.uniform([8])\n  let y = x + r - r", 1)]
    [InlineData("let y = x + random.uniform([8]) + random.uniform([8])", 2)]
    [InlineData("let b = noisy\n  let y = x |> b |> b |> noisy", 3)]
    [InlineData("let y = x |> checkpoint(dropout(0.5))", 1)]
    public void Two_draws_differ_and_a_let_is_one_draw(string statements, int draws)
    {
        var model = Compile.Body(statements, declarations: "layer noisy(x: [...]) { return x + random.uniform([8]) }");
        Assert.Equal(draws, Expr.PostOrder([model.Outputs[0].Value]).Where(e => e.Op is RngBits).Select(e => e.Args[0]).Distinct().Count());
    }

    [Fact]
    public void The_key_of_a_draw_folds_seed_and_step()
    {
        var model = Compile.Body("let y = x + random.uniform([8])");
        var nodes = Expr.PostOrder([model.Outputs[0].Value]).ToHashSet();
        Assert.Contains(RandomState.Seed, nodes);
        Assert.Contains(RandomState.Step, nodes);
    }

    [Fact]
    public void Dropout_scales_what_it_keeps_and_is_off_in_evaluation()
    {
        var model = Compile.Body("let y = x |> dropout(0.75)");
        Assert.Equal(model.Inputs[0].Value, Phases.Resolve([model.Outputs[0].Value], training: false)[0]);
        var value = Reference.Evaluate([Phases.Resolve([model.Outputs[0].Value], training: true)[0]], new Dictionary<Expr, RefValue<double>>
        {
            [model.Inputs[0].Value] = RefValue<double>.Of([1000, 8], [.. Enumerable.Repeat(1.0, 8000)]),
            [RandomState.Seed] = RefValue<double>.Of([], [7L]),
            [RandomState.Step] = RefValue<double>.Of([], [0L]),
        })[0].Reals!;
        Assert.Equal([0.0, 4.0], value.Distinct().Order());
        Assert.InRange(value.Count(v => v == 0) / 8000.0, 0.73, 0.77);
    }

    // ---- Refactoring -----------------------------------------------------------------------------------------------------

    private const string Before = """
        layer body(width: int)(x: [..., D]) -> [..., D] {
          let up = dense(width)
          let down = dense(D)
          return x + (x |> layer_norm() |> up |> gelu |> down)
        }
        model M {
          input x: [B, 8]
          let stem = dense(8)
          let blocks = for i in 0..2 { body(16) }
          let head = dense(3)
          output y = x |> stem |> blocks |> head
        }
        """;

    [Theory]
    [InlineData("output y = x |> stem |> blocks |> head", "output y = head(blocks(stem(x)))")]
    [InlineData("output y = x |> stem |> blocks |> head", "let h = x |> stem |> relu |> dropout(0.1)\n  let z = h |> blocks\n  output y = z |> head |> softmax")]
    [InlineData("output y = x |> stem |> blocks |> head", "let all = stem |> blocks |> head\n  output y = x |> all")]
    [InlineData("output y = x |> stem |> blocks |> head", "output y = x |> frozen(stem) |> checkpoint(blocks) |> lr_scale(no_decay(head), 2)")]
    [InlineData("output y = x |> stem |> blocks |> head", "let f = (h, g) => g(h)\n  output y = f(f(x, stem), blocks |> head)")]
    [InlineData("let blocks = for i in 0..2 { body(16) }", "let blocks = repeat(2, body(16))")]
    [InlineData("let blocks = for i in 0..2 { body(16) }", "let blocks = [body(16) for i in 0..2]", "blocks |> head", "blocks[0] |> blocks[1] |> head")]
    [InlineData("let stem = dense(8)\n  let blocks = for i in 0..2 { body(16) }", "let blocks = for i in 0..2 { body(16) }\n\n  // The first layer.\n  let stem = dense(8)")]
    [InlineData("let stem = dense(8)", "let stem = if true then dense(8) else dense(9)")]
    [InlineData("let stem = dense(8)", "let (stem, width) = (dense(8), 16)", "body(16)", "body(width)")]
    [InlineData("let up = dense(width)\n  let down = dense(D)\n  return x + (x |> layer_norm() |> up |> gelu |> down)", "let down = dense(D)\n  let up = dense(width)\n  return x |> residual(layer_norm() |> up |> gelu |> down)", "x", "x", false)]
    [InlineData("let up = dense(width)\n  let down = dense(D)\n  return x + (x |> layer_norm() |> up |> gelu |> down)", "let up = dense(width)\n  let down = dense(D)\n  let branch = h => up(h) |> gelu |> down\n  return x + branch(x |> layer_norm())")]
    [InlineData("layer body(width: int)", "layer body(width: int, act: layer = gelu)", "up |> gelu", "up |> act")]
    [InlineData("model M {", "layer unused(x: [B]) { return x }\nmodel M {")]
    public void Paths_survive_refactoring_where_the_names_stay(string old, string @new, string old2 = "x", string new2 = "x", bool inOrder = true)
    {
        Assert.Contains(old, Before.ReplaceLineEndings("\n"), StringComparison.Ordinal);
        var after = Before.ReplaceLineEndings("\n").Replace(old, @new, StringComparison.Ordinal).Replace(old2, new2, StringComparison.Ordinal);
        var (was, now) = (Compile.Paths(Compile.Model(Before)).Order(StringComparer.Ordinal), Compile.Paths(Compile.Model(after)).Order(StringComparer.Ordinal));
        Assert.Equal(inOrder ? was : was.Select(p => p.Replace("layer_norm_0", "residual_0.layer_norm_0", StringComparison.Ordinal)), now);
    }
}
