using Dnn.Graph;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>What expressions mean: two texts that must give the same graph, or a value.</summary>
public class SemanticsTests
{
    private const string Layers = """
        layer swish2(x: [...]) -> [...] { return x * sigmoid(x) }
        layer scale(by: float = 2.0)(x: [...]) -> [...] { return by * x }
        layer add(x: [..., D], y: [..., D]) -> [..., D] { return x + y }
        layer both(x: [..., D]) -> ([..., D], [..., D]) { return (x, 2 * x) }
        """;

    [Theory]
    // To a layer value a pipe applies; to a function call it puts its left side first.
    [InlineData("x |> relu", "relu(x)")]
    [InlineData("x |> leaky_relu(0.2)", "leaky_relu(x, 0.2)")]
    [InlineData("x |> leaky_relu(slope = 0.2) |> tanh", "tanh(leaky_relu(x, 0.2))")]
    [InlineData("x |> scale()", "2 * x")]
    [InlineData("x |> scale(3.0)", "scale(3.0)(x)")]
    [InlineData("x |> swish2", "swish2(x)")]
    [InlineData("x |> add(2 * x)", "x + 2 * x")]
    [InlineData("x |> add(y = 2 * x)", "add(x, 2 * x)")]
    [InlineData("(x, 2 * x) |> add", "x + 2 * x")]
    [InlineData("x |> both() |> add", "x + 2 * x")]
    [InlineData("x |> both |> add", "x + 2 * x")]
    [InlineData("[x, x] |> concat(axis = 1)", "concat([x, x], 1)")]
    [InlineData("(x, x) |> concat(axis = 1)", "concat([x, x], 1)")]
    [InlineData("x |> sum(axis = -1)", "sum(x, -1)")]
    [InlineData("x |> where(x > 0, x, 0)", "where(x, x > 0, x, 0)", false)]
    [InlineData("x |> (h => h * h)", "x * x")]
    [InlineData("x |> h => h * h |> relu", "relu(x * x)")]
    // Composition.
    [InlineData("x |> (relu |> tanh)", "tanh(relu(x))")]
    [InlineData("x |> (relu |> leaky_relu(0.2) |> tanh)", "tanh(leaky_relu(relu(x), 0.2))")]
    [InlineData("x |> repeat(3, tanh)", "tanh(tanh(tanh(x)))")]
    [InlineData("x |> repeat(0, tanh)", "x")]
    [InlineData("x |> for i in 0..3 { h => h * (i + 1) }", "x * 1 * 2 * 3")]
    [InlineData("x |> for i in 2..2 { tanh }", "x")]
    [InlineData("x |> chain(relu, tanh)", "tanh(relu(x))")]
    [InlineData("x |> (if true then relu else tanh)", "relu(x)")]
    [InlineData("x |> residual(tanh)", "x + tanh(x)")]
    // Precedence.
    [InlineData("-x ** 2", "-(x ** 2)")]
    [InlineData("2 ** -x", "2 ** (-x)")]
    [InlineData("x + x * x @ [1, 2, 3, 4, 5, 6, 7, 8][:, None]", "x + (x * (x @ ([1, 2, 3, 4, 5, 6, 7, 8][:, None])))")]
    [InlineData("x - 1 - 2", "(x - 1) - 2")]
    [InlineData("x > 0 and x < 1 or not x == 2", "((x > 0) and (x < 1)) or (not (x == 2))")]
    [InlineData("1 + x |> relu", "relu(1 + x)")]
    // Numbers, units and types.
    [InlineData("x * 80%", "x * 0.8")]
    [InlineData("x + 1", "1.0 + x", false)]
    [InlineData("x * (2 + 3)", "x * 5")]
    [InlineData("x * sqrt(4)", "x * 2")]
    [InlineData("x * (7 / 2)", "x * 3.5")]
    [InlineData("x * floor_div(7, 2)", "x * 3")]
    [InlineData("x * (-7 % 3)", "x * 2")]
    [InlineData("x + [1, 2, 3, 4, 5, 6, 7, 8]", "x + ([1, 2, 3] + [4, 5] + [6, 7, 8])")]
    [InlineData("x * len([1, 2, 3])", "x * 3")]
    [InlineData("x * [i * i for i in 0..4][3]", "x * 9")]
    [InlineData("x * [1, 2, 3][1:][0]", "x * 2")]
    [InlineData("x[0]", "x[0, :]")]
    [InlineData("x[:, -1]", "x[:, 7]")]
    [InlineData("x[:, 1:100]", "x[:, 1:]")]
    [InlineData("x[..., 2:4]", "x[:, 2:4]")]
    [InlineData("x[:, None]", "expand_dims(x, 1)")]
    [InlineData("x[:, ::-1]", "prim.reverse(x, axes = [1])")]
    [InlineData("x[:, [2, 0]]", "take(x, [2, 0], axis = 1)")]
    [InlineData("if 1 < 2 then x else 2 * x", "x")]
    [InlineData("sum(x, axis = [0, 1])", "sum(x)")]
    [InlineData("max(x, axis = 1, keep = true)", "max(x, -1, true)")]
    [InlineData("reshape(x, [B, 2, -1])", "reshape(x, [B, 2, 4])")]
    [InlineData("x |> flatten", "x")]
    [InlineData("gelu(x, approximate = none)", "gelu(x)")]
    [InlineData("x / B", "x / prim.size(of = [B])")]
    [InlineData("cast(x, int)", "cast(x, i64)")]
    public void Two_ways_to_write_one_graph(string one, string other, bool same = true)
    {
        if (same)
            Assert.Equal(Graph(other), Graph(one));
        else
            Assert.NotEqual(Try(other), Try(one));

        static string Graph(string expression) => Compile.Graph(Compile.Body("", expression, Layers));
        static string Try(string expression) =>
            Compiler.Compile(new SourceText($"{Layers}\nmodel M {{\n  input x: [B, 8]\n  output out = {expression}\n}}\n")) is { HasErrors: false } fine ? Compile.Graph(fine.Model!) : $"error in {expression}";
    }

    [Theory]
    [InlineData("if training then x else 2 * x", true, "x")]
    [InlineData("if training then x else 2 * x", false, "2 * x")]
    [InlineData("if not training then x else 2 * x", false, "x")]
    [InlineData("x |> (if training then relu else tanh)", true, "relu(x)")]
    [InlineData("x |> (if training and true then relu else tanh)", false, "tanh(x)")]
    [InlineData("x * (if training then 2 else 3)", false, "x * 3")]
    public void Training_is_a_phase(string expression, bool training, string expected)
    {
        var model = Compile.Body("", expression);
        var resolved = model with { Outputs = [new Named("out", Phases.Resolve([model.Outputs[0].Value], training)[0])] };
        Assert.Equal(Compile.Graph(Compile.Body("", expected)), Compile.Graph(resolved));
    }

    [Fact]
    public void Sizes_bind_by_unification_and_are_values()
    {
        const string Heads = """
            layer heads(n: int)(x: [B, T, D]) -> [B, T, n, D/n] {
              require D % n == 0, "n must divide D"
              let h: [B, T, E] = x |> dense(2 * D)
              return reshape(x, [B, T, n, floor_div(E, 2 * n)]) / sqrt(D / n)
            }
            """;
        var model = Compile.Model(Heads + "\nmodel M {\n  input x: [B, T, 8]\n  output y = x |> heads(4)\n}");
        Assert.Equal("[B, T, 4, 2]", model.Outputs[0].Value.Shape.ToString());
        Assert.Equal("[8, 16]", Assert.Single(model.Parameters, p => p.Shape.Rank == 2).Shape.ToString());
    }

    [Fact]
    public void A_size_of_the_caller_does_not_mix_with_one_of_the_same_name()
    {
        const string Swap = "layer swap(x: [A, B]) -> [B, A] { return transpose(x) }";
        var model = Compile.Model(Swap + "\nmodel M {\n  input x: [B, A]\n  let y: [A, B] = x |> swap\n  output z: = y\n}".Replace("z: =", "z =", StringComparison.Ordinal));
        Assert.Equal("[A, B]", model.Outputs[0].Value.Shape.ToString());
    }

    [Fact]
    public void Buffers_are_read_as_the_last_update_left_them()
    {
        const string Running = """
            layer running(x: [B, D]) -> [B, D] {
              buffer m: [D] = zeros()
              update m = 0.5 * m
              update m = m + mean(x, axis = 0)
              return x - m
            }
            """;
        var model = Compile.Model(Running + "\nmodel M {\n  input x: [B, 3]\n  let r = running\n  output y = x |> r\n}");
        var buffer = Assert.Single(model.Buffers);
        Assert.Equal("r.m", buffer.Path);
        var next = Phases.Resolve([buffer.Next!], training: true)[0];
        var x = RefValue<double>.Of([2, 3], [1.0, 2, 3, 5, 6, 7]);
        var values = new Dictionary<Expr, RefValue<double>> { [model.Inputs[0].Value] = x, [buffer.Variable] = RefValue<double>.Of([3], [2.0, 4, 6]) };
        Assert.Equal([4, 6, 8], Reference.Evaluate([next], values)[0].Reals!);
    }

    [Fact]
    public void Parameters_take_options_and_lists()
    {
        var model = Compile.Body("param w: [2, 2] = [[1, 2], [3, 4]], no_decay, lr_scale = 0.1\nparam v: [8] = normal(0.5) * 2, frozen\nparam \"a.path[3]\" as u: [] = 0.5", "x * v * u + sum(w)");
        Assert.Equal(["w", "v", "a.path[3]"], Compile.Paths(model));
        Assert.Equal(new ParameterOptions(NoDecay: true, LearningRateScale: 0.1), model.Parameters[0].Options);
        Assert.True(model.Parameters[1].Options.Frozen);
        Assert.Equal(new ScaledInitializer(Initializers.Normal(0.5), 2), model.Parameters[1].Initializer);
        Assert.Equal([1, 2, 3, 4], ((ListInitializer)model.Parameters[0].Initializer).Values);
    }

    [Fact]
    public void Auto_is_He_before_a_Relu_and_Xavier_elsewhere()
    {
        var model = Compile.Body("let y = x |> dense(4) |> relu |> dense(4) |> tanh |> dense(4)");
        Assert.Equal([Initializers.HeNormal, Initializers.XavierUniform, Initializers.XavierUniform], model.Parameters.Where(p => p.Shape.Rank == 2).Select(p => p.Initializer));
    }

    [Fact]
    public void The_top_level_has_hyperparameters_constants_and_lambdas_in_any_order()
    {
        var model = Compile.Body("let y = x |> dense(width) |> act", declarations: "let width = 2 * half\nhyper half: int = 8 in 1..16\nlet act = h => h |> relu |> tanh");
        Assert.Equal("[B, 16]", model.Outputs[0].Value.Shape.ToString());
    }

    [Fact]
    public void Shadowing_and_lambda_blocks()
    {
        Assert.Equal(Compile.Graph(Compile.Body("", "(x + 1) * 2 + (x + 1)")),
            Compile.Graph(Compile.Body("let h = x + 1\nlet f = (a, b) => {\n  let h = a * 2\n  return h + b\n}", "f(h, h)")));
    }

    [Fact]
    public void Derivatives_are_expressions()
    {
        var model = Compile.Body("""
              let enc = dense(4)
              let h = x |> enc
              let score = sum(tanh(h))
              let (gx, gw) = grad(score, (x, enc.weight))
              let all = grad(score, params(enc))
              let (v, gh) = value_and_grad(score, h)
            """, "gx");
        Assert.Equal("[B, 8]", model.Outputs[0].Value.Shape.ToString());
        var penalty = Compile.Model("""
            model Critic {
              input xhat: [B, 2]
              let critic = dense(8) |> tanh |> dense(1)
              let score = xhat |> critic
              loss 10 * mean((norm(grad(sum(score), xhat), axis = -1) - 1) ** 2) as penalty
            }
            """);
        Assert.Equal("penalty", Assert.Single(penalty.Losses).Name);
        Assert.NotNull(Gradient.Of(penalty.TotalLoss, [penalty.Parameters[0].Variable])[0]);
    }

    [Theory]
    [InlineData("let y = x |> dense(4) |> relu |> layer_norm() |> dropout(0.5) |> dense(2)")]
    [InlineData("let y = x |> batch_norm() |> prelu() |> gelu |> softmax")]
    [InlineData("let y = x[:, None, 1:3] |> flatten |> log_softmax |> logsumexp(axis = -1)")]
    [InlineData("let y = take(x, argmax(x, axis = 0)) + std(x) + one_hot(argmax(x), 8)")]
    [InlineData("let y = if training then where(x > 0, x, 2) else maximum(x, 0.5) ** 3")]
    [InlineData("let y = grad(sum(sin(x) * exp(-x)), x)")]
    public void What_the_printer_writes_compiles_to_the_same_graph(string statements)
    {
        var model = Compile.Body(statements);
        Assert.Equal(Compile.Graph(model), Compile.Graph(Compile.Model(model.ToSource())));
    }

    [Fact]
    public void A_printed_gradient_compiles_to_the_same_graph()
    {
        var model = Compile.Model(Samples.TwoMoons);
        var gradient = ModelPrinter.Differentiate(model, model.TotalLoss, [.. model.Parameters.Select(p => new Named(p.Path, p.Variable))]);
        Assert.Equal(Compile.Graph(gradient), Compile.Graph(Compile.Model(gradient.ToSource())));
    }

    [Fact]
    public void Nodes_know_their_place_in_the_source()
    {
        var model = Compile.Body("let h = x |> dense(4)\nlet y = tanh(h) * 2");
        var origin = model.Provenance.Find(model.Outputs[0].Value)!.Location!;
        Assert.Equal((5, 9, "tanh(h) * 2".Length), (origin.Line, origin.Column, origin.Length));
        Assert.All(Expr.PostOrder([model.Outputs[0].Value]).Where(e => e.Args.Length > 0), e => Assert.NotNull(model.Provenance.Find(e)?.Location));
    }

    [Fact]
    public void Long_chains_need_neither_stack_nor_more_than_linear_time()
    {
        var terms = string.Join(" + ", Enumerable.Repeat("x", 20_000));
        Compile.Body("", terms);
        Compile.Body("let y = x" + string.Concat(Enumerable.Repeat(" |> tanh", 20_000)));
        var lets = string.Join('\n', Enumerable.Range(1, 20_000).Select(i => $"let v{i} = v{i - 1} + 1"));
        Compile.Body("let v0 = x\n" + lets, "v20000");
        var model = Compile.Body("let y = x |> repeat(100000, h => tanh(h) + x)");
        Assert.Equal(200_001, Expr.PostOrder([model.Outputs[0].Value]).Count);
    }
}
