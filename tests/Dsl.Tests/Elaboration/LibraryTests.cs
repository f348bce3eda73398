using Dnn.Graph;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>The functions and losses of the catalog as source calls them.</summary>
public class LibraryTests
{
    [Theory]
    [InlineData("close([-1, 2] |> elu, [exp(-1) - 1, 2])")]
    [InlineData("close(elu(-1, alpha = 2), 2 * (exp(-1) - 1))")]
    [InlineData("close(celu(-1, 2), 2 * (exp(-0.5) - 1))")]
    [InlineData("close(selu(1), 1.0507009873554805)")]
    [InlineData("close(mish(1), tanh(log(1 + exp(1))))")]
    [InlineData("close([softsign(-3), hard_sigmoid(1), hard_swish(1)], [-0.75, 2/3, 2/3])")]
    [InlineData("close([1, 2, 3, 4] |> glu, [sigmoid(3), 2 * sigmoid(4)])")]
    [InlineData("close([1, 2, 3, 4] |> swiglu(axis = 0), [3 * swish(1), 4 * swish(2)])")]
    [InlineData("close(tan(1), sin(1) / cos(1)) and ceil(1.2) == 2")]
    [InlineData("is_nan(nan) and not is_nan(inf) and is_finite(1) and not is_finite(inf)")]
    [InlineData("argmin([3, 1, 2]) == 1 and all(argmin([[3, 1], [0, 2]], 0, keep = true) == [[1, 0]])")]
    [InlineData("any([1, 2] > 1) and not all([1, 2] > 1) and all(any([[0, 1], [0, 0]], axis = 1) == ([1, 0] > 0))")]
    [InlineData("all(tril(ones([2, 3])) == [[1, 0, 0], [1, 1, 0]]) and all(triu([[1, 2], [3, 4]], 1) == [[0, 2], [0, 0]])")]
    [InlineData("all(eye(2) == [[1, 0], [0, 1]]) and all(eye(2, 3, k = 1) == [[0, 1, 0], [0, 0, 1]])")]
    [InlineData("all(masked_fill([1, 2, 3], [1, 2, 3] > 2, 9) == [1, 2, 9])")]
    [InlineData("all(split([1, 2, 3, 4], 2)[1] == [3, 4]) and len(split([1, 2, 3], [1, 2])) == 2")]
    [InlineData("all(slice([1, 2, 3, 4], 1) == [2, 3, 4]) and all(slice([1, 2, 3, 4], -3, -1) == [2, 3]) and all(slice([1, 2, 3], 0, 9, step = 2) == [1, 3])")]
    [InlineData("all(flip([1, 2, 3]) == [3, 2, 1]) and all(flip([[1, 2], [3, 4]], 0) == [[3, 4], [1, 2]])")]
    [InlineData("all(roll([1, 2, 3], 1) == [3, 1, 2]) and all(roll([[1, 2], [3, 4]], 1) == [[4, 1], [2, 3]]) and all(roll([[1, 2], [3, 4]], -1, axis = 1) == [[2, 1], [4, 3]])")]
    [InlineData("all(gather([[1, 2], [3, 4]], [[1], [0]]) == [[2], [3]]) and all(gather([[1, 2], [3, 4]], [[1, 0]], axis = 0) == [[3, 2]])")]
    [InlineData("all(pad([1, 2], 1) == [0, 1, 2, 0]) and all(pad([1, 2], (0, 1), 9) == [1, 2, 9]) and all(pad([[1, 2]], ((1, 0), (0, 1))) == [[0, 0, 0], [1, 2, 0]])")]
    [InlineData("all(outer([1, 2], [3, 4]) == [[3, 4], [6, 8]])")]
    [InlineData("close(bce([0.5, 0.25], [1, 0]), (log(2) - log(0.75)) / 2)")]
    [InlineData("close(huber([0.5, 3], [0, 0]), (0.125 + 2.5) / 2) and close(huber([2], [0], delta = 0.5, reduction = sum), 0.875)")]
    [InlineData("close(kl_div(log([0.5, 0.5]), [1, 0], reduction = sum), log(2))")]
    [InlineData("close(nll(log([[0.5, 0.5], [0.25, 0.75]]), [0, 1], ignore = 1), log(2))")]
    [InlineData("close(hinge([0.5, 2], [1, 1]), 0.25) and close(hinge([0.5, 2], [1, -1], weight = [1, 0]), 0.5)")]
    [InlineData("close(cosine_similarity_loss([3, 4], [4, 3]), 0.04) and close(triplet([0, 0], [3, 4], [0, 1]), 5)")]
    [InlineData("close(l1([[1, -2], [3, 4]]), 10) and close(l2([[1, -2], [[3], [4]]]), 30)")]
    [InlineData("close(ctc([[[0, 0], [0, 0]]], [[1]]), -log(0.75))")]
    [InlineData("all(cumsum([1, 2, 3]) == [1, 3, 6]) and all(cumsum([[1, 2], [3, 4]], axis = 0) == [[1, 2], [4, 6]])")]
    [InlineData("all(cumprod([2, 0, 3]) == [2, 0, 0]) and prod([2, 3, 4]) == 24 and all(prod([[1, 2], [3, 4]], axis = 0, keep = true) == [[3, 8]])")]
    [InlineData("all(sort([3, 1, 2]) == [1, 2, 3]) and all(sort([3, 1, 2], descending = true) == [3, 2, 1]) and all(argsort([3, 1, 2]) == [1, 2, 0])")]
    [InlineData("all(top_k([3, 1, 2], 2)[0] == [3, 2]) and all(top_k([3, 1, 2], 2)[1] == [0, 2])")]
    [InlineData("all(dynamic_slice([1, 2, 3, 4], 1, 2) == [2, 3]) and all(dynamic_update_slice([1, 2, 3], [9], 2) == [1, 2, 9])")]
    [InlineData("all(([[1, 2], [3, 4]] |> vmap(r => sum(r))) == [3, 7]) and all(([[1, 2], [3, 4]] |> vmap(c => sum(c), axis = 1)) == [4, 6])")]
    [InlineData("accuracy([[1, 2], [3, 1]], cast([1, 1], int)) == 0.5 and accuracy([1, -1], [1, 1]) == 0.5 and top_k_accuracy([[1, 2, 3]], [1], k = 2) == 1")]
    [InlineData("close(precision([1, 1, -1], [1, 0, 1]), 0.5) and close(recall([1, 1, -1], [1, 0, 1]), 0.5) and close(f1([[1, 2], [2, 1]], cast([1, 1], int), average = micro), 0.5)")]
    [InlineData("close(auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]), 0.75) and all(confusion_matrix([[1, 2], [2, 1]], [1, 1]) == [[0, 0], [1, 1]])")]
    [InlineData("close(perplexity([[0, 0], [0, 0]], [0, 1]), 2) and close(r2([1, 2, 3], [1, 2, 4]), 1 - 3 / 14) and all(pooled([1, 2]) == [1, 2])")]
    public void A_function_has_its_value(string condition) => Compile.Holds($"  assert {condition}");

    [Theory]
    [InlineData("let x = [1.0, 2.0] * 1\n  assert all(jacobian(x ** 2, x) == [[2, 0], [0, 4]])")]
    [InlineData("let x = [1.0, 2.0] * 1\n  assert close(hessian(x[0] ** 2 * x[1], x), [[4, 2], [2, 0]])")]
    [InlineData("let x = [1.0, 2.0] * 1\n  let (a, b) = jacobian(x, (x, x[0]), unused = zeros)\n  assert all(a == eye(2)) and all(b == [0, 0])")]
    [InlineData("let w = [1.0, 2.0] * 1\n  let each = [[1, 2], [3, 4]] |> vmap(r => grad(sum(r * w) ** 2, w))\n  assert all(each == [[10, 20], [66, 88]])")]
    [InlineData("let p = random.permutation(7)\n  assert all(sort(p) == iota(7)) and all(random.categorical([[0, 100], [100, 0]]) == [1, 0])")]
    public void Matrices_of_derivatives_maps_and_draws(string body) => Compile.Holds("  " + body);

    [Fact]
    public void A_map_shares_the_parameters_of_what_it_maps_and_refuses_running_statistics()
    {
        var model = Compile.Body("", "x |> vmap(dense(3) |> relu)");
        Assert.Equal(2, model.Parameters.Length);
        Assert.Equal(new Shape("B", 3), model.Outputs[0].Value.Shape);
        Assert.Contains("updates a buffer", Assert.Single(Compiler.Compile(new SourceText("model M {\n  input x: [B, T, 8]\n  output p = x |> vmap(batch_norm())\n}\n")).Diagnostics).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parts_are_taken_apart_by_a_pattern_and_penalties_take_parameters()
    {
        var model = Compile.Body("  let (q, k) = x |> dense(6, bias = false) |> split([2, 4], axis = -1)\n  loss 1e-4 * l2(params()) + l1(params())", "concat([k, q], 1)");
        Assert.Equal(new Shape("B", 6), model.Outputs[0].Value.Shape);
        Assert.Single(Expr.PostOrder([model.Losses[0].Value]), n => n.Op is Abs);
    }

    [Theory]
    [InlineData("group_norm(2)", "group_norm_0.weight group_norm_0.bias")]
    [InlineData("instance_norm()", "instance_norm_0.weight instance_norm_0.bias")]
    [InlineData("positional_embedding(5)", "positional_embedding_0.weight")]
    [InlineData("sinusoidal_positions()", "")]
    public void A_layer_has_its_parameters(string layer, string paths) =>
        Assert.Equal(paths, string.Join(' ', Compile.Paths(Compile.Model($"model M {{\n  input x: [B, T, 4]\n  output y = x |> {layer}\n}}\n"))));

    [Theory]
    [InlineData("split(x, 3, axis = 1)", "size 8, which 3 does not divide; give the sizes as a list")]
    [InlineData("split(x, relu, axis = 1)", "a number of equal parts, or a list of their sizes")]
    [InlineData("split(x, [1, 2], axis = 1)", "add up to 3")]
    [InlineData("pad(x, (1, 2, 3))", "2 axes, and 3 pairs")]
    [InlineData("pad(x, 0.5)", "a pair for each axis, as in ((0, 0), (1, 2))")]
    [InlineData("slice(x, 0, step = -1)", "flip reverses")]
    [InlineData("roll(x, 1, axis = 0)", "join slices with concat")]
    [InlineData("gather(x, [0])", "must have the shape")]
    [InlineData("masked_fill(x, x, 0)", "as in mask > 0")]
    [InlineData("glu(x[:, 1:])", "7 is odd")]
    public void A_mistake_is_explained(string call, string message) =>
        Assert.Contains(message, Assert.Single(Compiler.Compile(new SourceText($"model M {{\n  input x: [B, 8]\n  let y = {call}\n  output p = x\n}}\n")).Diagnostics).Message, StringComparison.Ordinal);

    public static TheoryData<string, Optimizer> Optimizers { get; } = new()
    {
        { "adagrad()", new Adagrad(0.01) },
        { "nadam(betas = (0.8, 0.9))", new Nadam(0.002, 0.8, 0.9) },
        { "lamb(0.1, weight_decay = 0)", new Lamb(0.1, Decay: 0) },
        { "lion(1e-3)", new Lion(1e-3) },
        { "adafactor(relative = false, eps = (1e-20, 0.01))", new Adafactor(0.01, 1e-20, 0.01, IsRelative: false) },
        { "lbfgs(history = 5)", new Lbfgs(1, 5) },
        { "sgd(linear(0.1) |> then(0.01, at = 20 steps))", new Sgd(new ThenSchedule(new LinearSchedule(0.1), 0.01, 20)) },
        { "sgd(exponential(0.1, every = 5 steps))", new Sgd(new ExponentialSchedule(0.1, 5)) },
        { "sgd(linear(0.1, floor = 0.01))", new Sgd(new LinearSchedule(0.1, null, 0.01)) },
        { "sgd(warmup_linear(0.1, 5, total = 50 steps))", new Sgd(new WarmupLinearSchedule(0.1, 5, 50)) },
        { "sgd(inverse_sqrt(0.1, warmup = 5 steps))", new Sgd(new InverseSqrtSchedule(0.1, 5)) },
        { "sgd(one_cycle(0.1, rise = 0.2))", new Sgd(new OneCycleSchedule(0.1, Rise: 0.2)) },
        { "sgd(piecewise([5 steps, 10], [0.1, 0.01, 1e-3]))", new Sgd(new PiecewiseSchedule([5, 10], [0.1, 0.01, 1e-3])) },
    };

    [Theory]
    [MemberData(nameof(Optimizers))]
    public void An_optimizer_is_its_description(string text, Optimizer expected) => Assert.Equal(expected, Compile.Fine(Source(text)).Recipe!.Optimizer);

    [Theory]
    [InlineData("piecewise([5], [0.1])", "there are 1 rates")]
    [InlineData("piecewise([5, 5], [1, 2, 3])", "[5, 5] must increase")]
    [InlineData("piecewise(5, [1, 2])", "a list of numbers")]
    [InlineData("piecewise([5 epochs], [1, 2])", "this list holds numbers")]
    public void A_schedule_that_does_not_fit_is_explained(string schedule, string message) =>
        Assert.Contains(message, Assert.Single(Compiler.Compile(new SourceText(Source($"sgd({schedule})"))).Diagnostics).Message, StringComparison.Ordinal);

    private static string Source(string optimizer) => $$"""
        model M {
          input x: [B, 2]
          target y: [B, 1]
          let p = dense(1)(x)
          output p = p
          loss mse(p, y)
        }
        data d = two_moons(samples = 20)
        train M() on d {
          optimizer {{optimizer}}
        }
        """;
}
