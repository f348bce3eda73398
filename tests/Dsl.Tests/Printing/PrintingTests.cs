using System.Collections.Immutable;
using Dnn.Graph;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Models as source.</summary>
public class PrintingTests
{
    private const string Block = "layer block(width: int)(x: [..., D]) { return x + (x |> dense(width) |> gelu |> dropout(0.1) |> dense(D, init = zeros())) }\n";

    /// <summary>What is printed is these lines, and parses to the same model.</summary>
    private static void Prints(string expected, Model model)
    {
        Assert.Equal(expected + "\n", model.ToSource(), ignoreLineEndingDifferences: true);
        RoundTrip.Holds(model);
    }

    [Fact]
    public void Layers_stay_layers_under_their_paths() => Prints(
        """
        dnn 1

        layer block(x) {
          let dense_1 = x |> dense(32) |> gelu |> dropout(0.1) |> dense(16, init = zeros())
          return x + dense_1
        }

        model M {
          input x: [B, 8, 8, 3]
          target y: i64[B]

          let stem = conv2d(8, 3, stride = 2, padding = ((1, 0), (0, 1)), bias = false)
          let shared = dense(16)
          let h = x
            |> stem
            |> batch_norm()
            |> relu
            |> global_avg_pool
            |> dense(16)
            |> relu
            |> shared
            |> shared
            |> repeat(2, block)
            |> residual(dense(16))
          let p = h |> layer_norm(eps = 1e-06) |> dense(4)

          output p = p
          loss cross_entropy(p, y) + 0.01 * sum(shared.weight ** 2)
        }
        """,
        Compile.Model(Block + """
            model M {
              input  x: [B, 8, 8, 3]
              target y: int[B]
              let stem = conv2d(8, 3, stride = 2, padding = ((1, 0), (0, 1)), bias = false)
              let shared = dense(16)
              let h = x |> stem |> batch_norm() |> relu |> global_avg_pool |> dense(16) |> relu |> shared |> shared |> repeat(2, block(32)) |> residual(dense(16))
              output p = h |> layer_norm(eps = 1e-6) |> dense(4)
              loss cross_entropy(p, y) + 0.01 * sum(shared.weight ** 2)
            }
            """));

    [Fact]
    public void A_model_from_fluent_calls_is_printed_with_its_layers() => Prints(
        """
        dnn 1

        layer residual(x) {
          let dense_0 = x |> dense(16)
          return x + dense_0
        }

        model Net {
          input x: [B, 2]
          target t: [B, 1]

          let head = dense(1)
          let y = x
            |> dense(16)
            |> relu
            |> layer_norm()
            |> dense(16)
            |> gelu(approximate = "tanh")
            |> layer_norm()
            |> residual
            |> head

          output y = y
          loss mse(y, t)
        }
        """,
        Model.Build("Net", m =>
        {
            var x = m.Input("x", "B", 2);
            var h = x.Dense(16).Relu().LayerNorm().Dense(16).GeluTanh().LayerNorm();
            var y = Layers.Dense(1).Named("head").Apply(h.Residual(Layers.Dense(16)));
            m.Output("y", y);
            m.Loss(Losses.Mse(y, m.Target("t", "B", 1)));
        }));

    [Fact]
    public void A_layer_keeps_a_gradient_of_its_own() => Prints(
        """
        dnn 1

        layer straight_through(x) {
          return round(x)
        } gradient (x, y, dy) {
          let inside = abs(x) < 1
          return where(inside, dy, 0)
        }

        model M {
          input x: [B, 8]

          output y = x |> straight_through
        }
        """,
        Compile.Model("""
            layer straight_through(x: [...]) -> [...] { return round(x) } gradient (x, y, dy) {
              let inside = abs(x) < 1
              return where(inside, dy, 0)
            }
            model M {
              input x: [B, 8]
              output y = x |> straight_through
            }
            """));

    [Fact]
    public void Layers_may_take_layers_give_several_results_and_wrap_others() => Prints(
        """
        dnn 1

        layer halves(x) {
          let left = x |> dense(4)
          let dense_1 = x |> dense(4)
          return (left, dense_1)
        }

        model M {
          input x: [B, 8]

          let (a, b) = x |> residual(dense(8) |> batch_norm()) |> halves
          let shared = dense(4)
          let dense_1 = a
            |> frozen(shared)
            |> checkpoint(shared)
            |> lr_scale(dense(4), 0.5)
            |> no_decay(dense(4))
          let shared_out = dense_1 |> shared.with(weight = 2 * shared.weight)

          output out = shared_out + b
        }
        """,
        Compile.Model("""
            layer halves(x: [B, D]) {
              let left = x |> dense(D / 2)
              return (left, x |> dense(D / 2))
            }
            model M {
              input x: [B, 8]
              let (a, b) = x |> residual(dense(8) |> batch_norm()) |> halves
              let shared = dense(4)
              output out = (a |> frozen(shared) |> checkpoint(shared) |> lr_scale(dense(4), 0.5) |> no_decay(dense(4)) |> shared.with(weight = 2 * shared.weight)) + b
            }
            """));

    [Fact]
    public void The_step_of_a_scan_keeps_its_layers() => Prints(
        """
        dnn 1

        model M {
          input x: [B, T, 4]

          let cell = dense(8)
          let dropout_0 = dropout(0.5)
          let dense_0 = dense(3)
          let ((last, _), y) = scan((x, 2 * x), (zeros([B, 8]), zeros([B, 4])), ((state, state_1), (xt, xt_1)) => {
            let cell_out = state |> cell
            let cell_out_1 = concat([xt, xt_1], 1) |> cell
            let mixed = tanh(cell_out + cell_out_1) |> dropout_0
            let dense_0_out = mixed |> dense_0
            return ((mixed, state_1 + xt), dense_0_out)
          }, reverse = true)

          output last = last
          output y = y
        }
        """,
        Compile.Model("""
            model M {
              input x: [B, T, 4]
              let cell = dense(8)
              let ((last, _), ys) = scan((x, 2 * x), (zeros([B, 8]), zeros([B, 4])), ((h, s), (a, b)) => {
                let mixed = tanh(cell(h) + cell(concat([a, b], axis = 1))) |> dropout(0.5)
                return ((mixed, s + a), mixed |> dense(3))
              }, reverse = true)
              output last = last
              output y = ys
            }
            """));

    [Fact]
    public void What_a_checkpoint_computes_again_keeps_its_layers() => Prints(
        """
        dnn 1

        model M {
          input x: [B, 8]

          let "f.dense_0" as f_dense_0 = dense(8)
          let h = x |> checkpoint(dense(8) |> relu |> dense(8)) |> checkpoint(f_dense_0 |> tanh)
          let dense_2 = dense(8)
          let (a, b) = h |> checkpoint(h_1 => {
            let dense_2_out = (h_1 * x) |> dense_2
            return (dense_2_out, h_1 + 1)
          })

          output out = a |> checkpoint(h_2 => h_2 * b)
        }
        """,
        Compile.Model("""
            model M {
              input x: [B, 8]
              let f = dense(8) |> tanh
              let h = x |> checkpoint(dense(8) |> relu |> dense(8)) |> checkpoint(f)
              let (a, b) = h |> checkpoint(v => (dense(8)(v * x), v + 1))
              output out = a |> checkpoint(v => v * b)
            }
            """));

    [Theory]
    [InlineData("x |> checkpoint(v => dense(8)(v * dense(8)(x)))")]
    [InlineData("x |> checkpoint(dropout(0.5) |> checkpoint(dense(8) |> relu) |> checkpoint(h => h * sum(h)))")]
    [InlineData("(x, 2 * x) |> checkpoint((a, b) => a * b + dense(8)(a))")]
    [InlineData("x |> checkpoint(batch_norm() |> dense(8))")]
    [InlineData("x |> checkpoint(v => x * 2)")]
    [InlineData("x |> checkpoint(v => v) |> checkpoint(relu)")]
    [InlineData("x |> repeat(2, checkpoint(dense(8) |> relu))")]
    [InlineData("x |> checkpoint(v => scan(v[:, None], x, (s, e) => (s |> dense(8), e |> checkpoint(dense(8) |> relu)))[0])")]
    [InlineData("scan(x, 0, (s, e) => (s + sum(e), e * s))[1]")]
    [InlineData("scan(x, zeros([8]), (s, e) => (e, dropout(0.5)(s)), axis = 0)[1]")]
    [InlineData("scan(x, zeros([B]), (s, e) => (s, s + sum(random.normal([2]))), axis = -1)[1]")]
    [InlineData("scan(x[:, None], x, (s, e) => { let d = dense(8)\n return (d(s) + d(e), d(s)) })[1][:, 0]")]
    [InlineData("scan(x[:, None], x, (s, e) => (scan(s[:, None], e, (p, q) => (p |> dense(8) |> dropout(0.5), q + s))[0], s))[0]")]
    [InlineData("scan(x[:, None], x, (s, e) => (s * grad(sum(tanh(dense(8)(s))), s), e))[0]")]
    [InlineData("grad(sum(scan(x[:, None], x, (s, e) => (tanh(dense(8)(s)), s))[1] ** 2), x)")]
    [InlineData("grad(sum(x |> checkpoint(dense(8) |> tanh |> dense(8))), x)")]
    public void Functions_that_are_given_parse_to_the_same_graph(string expression) => RoundTrip.Holds(Compile.Body($"  let y = {expression}\n  loss mean(y ** 2)"));

    [Theory]
    [InlineData("  let d = dense(8)\n  let s = scan(x[:, None], x, (s, e) => (d(s) * sum(d.weight), e))[0]\n  let y = d(s) * sum(d.bias)")]
    [InlineData("  let d = dropout(0.5)\n  let y = d(x) + (d(x) |> checkpoint(d |> dense(8) |> d)) + d(x)")]
    [InlineData("  let d = dense(8)\n  let y = d.with(weight = 2 * ones([8, 8]))(x) |> checkpoint(v => d(v) * d.weight[0])")]
    [InlineData("  let scan = dense(8)\n  let y = scan(x) |> checkpoint(v => v * 2)")]
    [InlineData("  let f = dense(8) |> relu\n  let y = x |> frozen(checkpoint(f)) |> checkpoint(frozen(f)) |> lr_scale(checkpoint(dense(8) |> tanh), 0.5)")]
    public void Layers_in_functions_and_around_them_are_shared(string statements) => RoundTrip.Holds(Compile.Body(statements));

    [Fact]
    public void Random_layers_and_running_statistics_are_shared_in_their_order() => Prints(
        """
        dnn 1

        layer tower(x) {
          return x |> dense(8) |> batch_norm() |> dropout(0.25)
        }

        model M {
          input x: [B, 8]

          let tower_0 = tower
          let a = x |> tower_0
          let b = (2 * x) |> tower_0

          output out = b - a
        }
        """,
        Compile.Body("  let tower_0 = tower\n  let a = x |> tower_0\n  let b = 2 * x |> tower_0", "b - a", "layer tower(x: [...]) { return x |> dense(8) |> batch_norm() |> dropout(0.25) }"));

    [Theory]
    [InlineData("x |> dense(8) |> relu |> layer_norm() |> dense(4) |> gelu |> dense(1)")]
    [InlineData("x |> dropout(0.5) |> dense(8) |> dropout(0.25)")]
    [InlineData("x |> batch_norm() |> repeat(2, residual(dense(8) |> batch_norm(momentum = 0.8, init = zeros())))")]
    [InlineData("x |> frozen(dense(8)) |> lr_scale(dense(8), 0.5) |> no_decay(dense(8))")]
    [InlineData("x |> prelu() |> group_norm(2) |> rms_norm()")]
    [InlineData("expand_dims(x, 1) |> lstm(3) |> lstm(8, forget_bias = 2.5)")]
    [InlineData("(if training then x |> dropout(0.5) else 2 * x) |> dense(3, bias_init = constant(0.5))")]
    [InlineData("x |> checkpoint(dense(8) |> dropout(0.5) |> tanh) |> checkpoint(frozen(dense(8))) |> frozen(checkpoint(dense(8)))")]
    [InlineData("x |> for i in 0..3 { dense(8) |> (h => h * (i + 1)) }")]
    [InlineData("x |> lr_scale(residual(frozen(dense(8))), 0.5)")]
    [InlineData("(x |> parallel(dense(8), dense(8))) |> ((a, b) => a * b)")]
    [InlineData("reshape(x, [B, 4, 2]) |> lstm(3, bidirectional = true, layers = 2) |> gru(4, reverse = true) |> rnn(2)")]
    [InlineData("reshape(x, [B, 4, 2]) |> attention(2, causal = true, dropout = 0.1) |> transformer_block(1, norm = rms_norm(), activation = relu)")]
    [InlineData("reshape(x, [B, 4, 2]) |> (h => (h, h)) |> attention(1)")]
    [InlineData("reshape(x, [B, 2, 2, 2]) |> conv2d(4, (2, 1), stride = (1, 2), padding = ((0, 1), (1, 0)), dilation = 2, groups = 2) |> conv_transpose2d(3, 2, stride = 2, output_padding = 1)")]
    [InlineData("reshape(x, [B, 4, 2]) |> max_pool1d(2, stride = 1, padding = same) |> avg_pool1d(3, padding = 1)")]
    [InlineData("(x |> vmap(r => sort(r, descending = true))) + (x |> vmap(r => cumsum(r * sum(r))))")]
    [InlineData("top_k(x, 3)[0] |> dense(2)")]
    [InlineData("dynamic_slice(x, argmax(x[0]), 1, axis = 1) + dynamic_update_slice(x, 0 * x[:, :2], cast(sum(x), int), axis = 1)")]
    [InlineData("x[:, None, 1:] + x[:, :1, None]")]
    [InlineData("x * random.normal([B, 8]) + random.uniform([8], 1, 2) + cast(random.bernoulli([B, 1], 0.3), float) + cast(random.permutation(8), float)")]
    [InlineData("take(x, random.categorical(x, axis = 0))")]
    [InlineData("scan(reshape(x, [B, 4, 2]), zeros([B, 2]), (s, xt) => (s + xt * random.uniform([2]), s))[1]")]
    [InlineData("x * nan + inf * sum(x) - 5e-324 * x + x * -0.0 + 1e300")]
    [InlineData("x * [1, -0.0, nan, inf, 5e-324, -inf, 2.98023223876953125e-08, 0.1]")]
    [InlineData("where(x > 0 and not (x < 1) or is_nan(x), x % 3, x ** 2)")]
    [InlineData("cast(argmax(x) == 3, float) + cast(iota(8) * 2 > 7, float)[None, :1]")]
    public void What_is_printed_parses_to_the_same_graph_and_parameters(string expression) => RoundTrip.Holds(Compile.Body($"  let y = {expression}\n  loss mean(y ** 2)"));

    [Theory]
    [InlineData("  let d = dense(8)\n  let y = x |> d |> d |> dense(8)\n  loss sum(d.weight)")]
    [InlineData("  let d = dense(8, bias = false)\n  let w = sum(d(x))\n  let y = d.with(weight = d.weight * w)(x)")]
    [InlineData("  let d = dropout(0.5)\n  let y = d(d(x)) + d(x)")]
    [InlineData("  let d = dropout(0.5)\n  let a = d(x)\n  let b = d(2 * x)\n  let y = b * d(a)")]
    [InlineData("  let d = dropout(0.5)\n  let a = d(x)\n  let y = d(2 * x)")]
    [InlineData("  let b = batch_norm()\n  let y = b(x) + b(2 * x)")]
    [InlineData("  let b = batch_norm()\n  let h = b(x)\n  let y = b(2 * x)")]
    [InlineData("  let a = dense(8)\n  let b = dense(8)\n  let y = a(b(x)) + b(a(x))")]
    [InlineData("  let d = dense(8)\n  let y = grad(sum(x |> d |> layer_norm() |> tanh), x)")]
    [InlineData("  let s = 0.5\n  let y = x * grad(s * sum(tanh(s * x)), s)")]
    [InlineData("  let e = dense(8) |> relu |> dense(8)\n  let y = e(x) - e(2 * x)")]
    [InlineData("  let f = lr_scale(dense(8), 0.1)\n  let y = f(f(x))")]
    [InlineData("  let d = dense(8)\n  let y = frozen(d)(x) + d(x) + no_decay(d)(2 * x)")]
    [InlineData("  buffer m: [8] = ones()\n  update m = 0.9 * m + 0.1 * mean(x, 0)\n  update m = m * 2\n  let y = x * m")]
    [InlineData("  param w: [8] = [1, 2, 3, 4, 5, 6, 7, -0.5], no_decay, lr_scale = 0.1\n  param v: [8, 8] = orthogonal(2) * 0.5, frozen\n  let y = x * w @ v")]
    [InlineData("  let relu_1 = relu(x)\n  let sum_1 = sum(relu_1)\n  let v1 = x * sum_1\n  let y = relu(v1) + v1")]
    [InlineData("  let lp = log_softmax(reshape(x, [B, 4, 2]))\n  let y = ctc(lp, cast(x[:, 2:4] > 0, int), reduction = \"none\")[:, None] * x\n  loss ctc(lp, cast(x[:, :2] > 0, int), blank = 1)")]
    public void Shared_layers_and_their_parameters_elsewhere_are_printed(string statements) => RoundTrip.Holds(Compile.Body(statements));

    [Fact]
    public void Layers_in_layers_are_declared_once() => Prints(
        """
        dnn 1

        layer inner(x) {
          param scale: [8] = ones(), no_decay
          buffer seen: [] = zeros()
          let dense_0 = x |> dense(8)
          update seen = seen + 1
          return dense_0 * scale
        }

        layer outer(x) {
          let inner_1 = x |> inner |> inner
          return x + inner_1
        }

        model M {
          input x: [B, 8]

          output out = x |> outer |> outer
        }
        """,
        Compile.Body("", "x |> outer |> outer", """
            layer inner(x: [B, D]) {
              param scale: [D] = ones(), no_decay
              buffer seen: [] = zeros()
              update seen = seen + 1
              return (x |> dense(D)) * scale
            }
            layer outer(x: [...]) { return x + (x |> inner |> inner) }
            """));

    [Fact]
    public void Equal_turns_of_a_loop_are_one() => Prints(
        """
        dnn 1

        model M {
          input x: [B, 8]

          let a = x |> repeat(3, relu |> dense(8) |> tanh)
          let deep = repeat(2, dense(8))
          let "for_0[0].for_0" as for_0_0_for_0 = repeat(2, dense(8) |> relu)
          let "for_0[1].for_0" as for_0_1_for_0 = repeat(2, dense(8) |> relu)

          output out = a
            |> repeat(4, dense(8) |> relu |> dense(8))
            |> deep
            |> relu
            |> for_0_0_for_0
            |> relu
            |> for_0_1_for_0
        }
        """,
        Compile.Body("  let a = x |> repeat(3, relu |> dense(8) |> tanh)\n  let deep = repeat(2, dense(8))", "a |> repeat(4, dense(8) |> relu |> dense(8)) |> deep |> for i in 0..2 { relu |> for j in 0..2 { dense(8) |> relu } }"));

    [Fact]
    public void The_result_of_a_layer_may_differ_with_what_it_is_applied_to() => RoundTrip.Holds(Compile.Body(
        "  let f = twice\n  let y = f(x)[:, :4] * f(x[:, :4])", "y", "layer twice(x: [B, D]) { return 2 * x / D }"));

    [Fact]
    public void What_is_asked_of_open_sizes_is_still_asked()
    {
        var model = Compiler.Compile(new SourceText("model M {\n  input x: [B, K]\n  input z: [B, L]\n  let w: [B, L] = x\n  output y = w / 2\n  output h = f(z)\n}\nlayer f(x: [B, D]) -> [B, D/2] { return x[:, :floor_div(D, 2)] }\n")).Model!;
        Assert.NotEmpty(model.Checks);
        RoundTrip.Holds(model);
    }

    [Fact]
    public void A_tied_embedding_is_printed() => Prints(
        """
        dnn 1

        model M {
          input t: i64[B, T]

          let emb = embedding(10, 4)

          output y = t |> emb |> positional_embedding(16) |> sinusoidal_positions() |> emb.attend
        }
        """,
        Compile.Model("model M {\n  input t: int[B, T]\n  let emb = embedding(10, 4)\n  output y = t |> emb |> positional_embedding(16) |> sinusoidal_positions() |> emb.attend\n}\n"));

    [Fact]
    public void Names_that_mean_something_stay_out_of_the_way()
    {
        var model = Compile.Model("""
            layer relu(x: [...]) { return x * sigmoid(x) }
            layer dense(x: [B, D]) { return x |> v1(D) }
            layer v1(n: int)(x: [B, D]) {
              param sum: [D, n] = zeros()
              return x @ sum
            }
            model M {
              input  sum: [B, maximum]
              input  where: [B, 8]
              target softmax: [B]
              let cross_entropy = where |> relu |> dense
              let reshape = sigmoid(cross_entropy)
              output gelu = maximum * tanh(reshape)
              output mean = reshape + 1
              loss sum((mean(where) - softmax) ** 2) as abs
              metric exp = mean(gelu)
            }
            """.Replace("sum((mean(where) - softmax) ** 2)", "prim.sum((prim.sum(where, axes = [1]) - softmax) ** 2, axes = [0])", StringComparison.Ordinal).Replace("metric exp = mean(gelu)", "metric exp = prim.sum(gelu, axes = [0, 1])", StringComparison.Ordinal));
        RoundTrip.Holds(model);
    }

    [Fact]
    public void Names_of_fluent_models_that_are_no_words_become_some()
    {
        var model = Model.Build("Net", m =>
        {
            var x = m.Input("if", "B", 2);
            m.Output("my output", x.Dense(3));
            m.Output("let", x.Exp());
        });
        Assert.Equal(["my output", "let"], model.Outputs.Select(o => o.Name));
        Assert.Equal(["myoutput", "let_"], RoundTrip.Again(model, flat: false).Outputs.Select(o => o.Name));
    }

    [Fact]
    public void Identities_of_barriers_are_kept()
    {
        var x = Expr.Variable("x", new Shape("B", 2));
        var (one, other) = (new Graph.Symbol("barrier"), new Graph.Symbol("barrier"));
        Expr Barrier(Graph.Symbol symbol, Expr value) => Expr.Make(new Graph.Barrier(symbol), value);
        RoundTrip.Holds(Of(x, Barrier(one, x) + Barrier(one, x.Exp()) * Barrier(other, x) + Barrier(other, Barrier(one, x))));
        RoundTrip.Holds(Of(x, Gradient.Of(Checkpoint.Apply([x], xs => [(xs[0] * xs[0].Sin()).Tanh()])[0].Sum(), x)));
    }

    [Fact]
    public void Big_constants_are_printed()
    {
        var x = Expr.Variable("x", new Shape("B", 4096));
        var values = Enumerable.Range(0, 4096).Select(i => Math.ScaleB(1 + (i / 4096.0), -(i % 1070))).ToValueList();
        RoundTrip.Holds(Of(x, x * Expr.Make(new Table(DType.Float, [4096], values)) + Expr.Make(new Table(DType.I64, [64, 64], [.. Enumerable.Range(0, 4096).Select(i => (double)i)])).Sum()));
    }

    [Theory]
    [InlineData(1.0)]
    [InlineData(2.98023223876953125e-08)]
    [InlineData(double.Epsilon)]
    [InlineData(double.MaxValue)]
    [InlineData(-0.0)]
    [InlineData(1e15)]
    [InlineData(123456789012345680)]
    public void A_number_reads_back_as_the_same_double(double value) =>
        Assert.Equal(BitConverter.DoubleToInt64Bits(value), BitConverter.DoubleToInt64Bits(double.Parse(Printer.Number(value), System.Globalization.CultureInfo.InvariantCulture)));

    [Fact]
    public void Every_power_of_two_reads_back()
    {
        for (var e = -1074; e < 1024; e++)
            A_number_reads_back_as_the_same_double(Math.ScaleB(1, e));
    }

    [Fact]
    public void Printing_a_deep_chain_does_work_in_proportion_and_needs_no_stack()
    {
        long Work(int depth)
        {
            var x = Expr.Variable("x", new Shape("B"));
            var chain = Enumerable.Range(0, depth).Aggregate(x, (y, i) => i % 3 == 0 ? y.Sin() : i % 3 == 1 ? y * x : y + 0.5);
            var before = GC.GetAllocatedBytesForCurrentThread();
            var text = Of(x, chain).ToSource();
            Assert.True(text.Length > depth);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Work(100);
        var (half, whole) = (0L, 0L);
        var thread = new Thread(() => (half, whole) = (Work(50_000), Work(100_000)), maxStackSize: 256 * 1024);
        thread.Start();
        thread.Join();
        Assert.InRange(whole, half, 5 * half / 2);
    }

    [Fact]
    public void Printing_many_layers_does_work_in_proportion()
    {
        long Work(int depth)
        {
            var model = Model.Build("Deep", m =>
            {
                var h = m.Input("x", "B", 4);
                for (var i = 0; i < depth; i++)
                    h = h.Dense(4).Relu().Residual(Layers.Dense(4).Then(Layers.LayerNorm()));
                m.Output("y", h);
            });
            var before = GC.GetAllocatedBytesForCurrentThread();
            Assert.NotEmpty(model.ToSource());
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Work(10);
        var half = Work(500);
        Assert.InRange(Work(1000), half, 5 * half / 2);
    }

    [Fact]
    public void The_derivative_of_a_model_is_printed_with_the_layers_that_are_whole_in_it()
    {
        var model = Compile.Body("  let y = x |> dense(8) |> relu |> layer_norm() |> dense(1)\n  loss mean(y ** 2)");
        var resolved = model with { Losses = [new Named(model.Losses[0].Name, Phases.Resolve([model.Losses[0].Value], training: true)[0])] };
        RoundTrip.Holds(ModelPrinter.Differentiate(resolved, resolved.TotalLoss, [.. model.Parameters.Select(p => new Named(p.Path, p.Variable))]));
    }

    private static Model Of(Expr x, Expr y) => new()
    {
        Name = "M",
        Inputs = [new Named("x", x)],
        Targets = [],
        Parameters = [],
        Buffers = [],
        Outputs = [new Named("y", y)],
        Losses = [],
        Metrics = [],
    };
}
