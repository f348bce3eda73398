using Dnn.Graph;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Recurrences in source: <c>scan</c> and the layers on it.</summary>
public class RecurrenceTests
{
    [Theory]
    [InlineData("let (s, ys) = scan([1, 2, 3], 0, (s, x) => (s + x, s * x), axis = 0)", "s == 6 and all(ys == [0, 2, 9])")]
    [InlineData("let (s, ys) = scan([1, 2, 3], 0, (s, x) => (s + x, s * x), axis = 0, reverse = true)", "s == 6 and all(ys == [5, 6, 0])")]
    [InlineData("let ((a, b), _) = scan(([1, 2], [3, 4]), (1, 1), ((a, b), (x, y)) => ((a * x, b + a * y), a), axis = 0)", "a == 2 and b == 8")]
    [InlineData("let ((a, b), (p, (q, r))) = [1, 2] |> scan((1, 0), ((a, b), x) => ((b, a + x), (a, (b, x))), axis = 0)", "a == 2 and b == 2 and all(p == [1, 0]) and all(q == [0, 2]) and all(r == [1, 2])")]
    [InlineData("let (s, ys) = scan([[1, 2, 3], [4, 5, 6]], zeros([2]), (s, x) => (s + x, s + x))", "all(s == [6, 15]) and all(ys == [[1, 3, 6], [4, 9, 15]])")]
    [InlineData("let (s, ys) = ([[1, 2], [3, 4]], [[1, 1], [2, 2]]) |> scan(zeros([2]), (s, (x, y)) => (s + x * y, x), axis = -1)", "all(s == [3, 14]) and all(ys == [[1, 2], [3, 4]])")]
    public void A_scan_has_its_value(string let, string condition) => Compile.Holds($"  {let}\n  assert {condition}");

    [Fact]
    public void Parameters_in_a_step_are_shared_by_all_steps_and_the_length_may_be_a_name()
    {
        var model = Compile.Model("model M {\n  input x: [B, T, 3]\n  let cell = dense(4)\n  let (h, ys) = scan(x, zeros([B, 4]), (h, xt) => {\n    let z = tanh(concat([h, xt], axis = -1) |> cell)\n    return (z, z |> dense(2) |> dropout(0.5))\n  })\n  output ys = ys\n  output h = h\n}\n");
        Assert.Equal(["cell.weight", "cell.bias"], Compile.Paths(model)[..2]);
        Assert.Equal(4, model.Parameters.Length);
        Assert.Equal(new Shape("B", "T", 2), model.Outputs[0].Value.Shape);
        Assert.Single(Expr.PostOrder(model.Outputs.Select(o => o.Value)).Select(n => n.Op).OfType<Scan>().Select(s => s.Body).Distinct());
    }

    [Theory]
    [InlineData("lstm(3)", "[0 for i in 0..3] + [1 for i in 0..3] + [0 for i in 0..6]")]
    [InlineData("lstm(1, forget_bias = -0.5)", "[0, -0.5, 0, 0]")]
    [InlineData("lstm(2, forget_bias = 0)", "zeros()")]
    public void The_forget_gates_of_an_lstm_start_open(string layer, string bias)
    {
        var model = Compile.Model($"model M {{\n  input x: [B, T, 3]\n  output y = x |> {layer}\n}}\n");
        Assert.Equal(bias, ModelPrinter.Text(model.Parameters.Single(p => p.Path == "lstm_0.bias").Initializer));
    }

    [Theory]
    [InlineData("rnn(4)", "rnn_0.kernel rnn_0.recurrent rnn_0.bias", "[B, T, 4]")]
    [InlineData("lstm(4, return_sequences = false)", "lstm_0.kernel lstm_0.recurrent lstm_0.bias", "[B, 4]")]
    [InlineData("gru(4, bidirectional = true)", "gru_0.kernel gru_0.recurrent gru_0.bias gru_0.recurrent_bias gru_0.backward.kernel gru_0.backward.recurrent gru_0.backward.bias gru_0.backward.recurrent_bias", "[B, T, 8]")]
    [InlineData("lstm(4, layers = 2, reverse = true)", "lstm_0.layers[0].kernel lstm_0.layers[0].recurrent lstm_0.layers[0].bias lstm_0.layers[1].kernel lstm_0.layers[1].recurrent lstm_0.layers[1].bias", "[B, T, 4]")]
    public void A_recurrent_layer_has_its_parameters(string layer, string paths, string shape)
    {
        var model = Compile.Model($"model M {{\n  input x: [B, T, 3]\n  output y = x |> {layer}\n}}\n");
        Assert.Equal(paths, string.Join(' ', Compile.Paths(model)));
        Assert.Equal(shape, model.Outputs[0].Value.Shape.ToString());
    }

    [Fact]
    public void States_and_lengths_go_by_name_and_state_comes_back()
    {
        var model = Compile.Model("""
            model M {
              input x: [B, T, 3]
              input n: int[B]
              let encoder = lstm(4, return_state = true)
              let (y, h, c) = encoder(x, lengths = n)
              let z = y |> lstm(4)(state = (h, c))
              let (w, last) = z |> gru(2, return_state = true, layers = 2)
              output z = z
              output last = last
              output again = w |> gru(2)(state = last[0], lengths = n)
            }
            """);
        Assert.Equal("[B, T, 4]", model.Outputs[0].Value.Shape.ToString());
        Assert.Equal("[2, B, 2]", model.Outputs[1].Value.Shape.ToString());
        Assert.Equal(["lengths"], model.Scopes.First(s => s.Kind == "lstm").Named.Select(n => n.Name));
    }

    [Theory]
    [InlineData("lstm(4)(x, length = n)", "`lstm` takes no tensor `length`")]
    [InlineData("lstm(4)(x, lengths = x)", "`lengths` takes whole numbers")]
    [InlineData("lstm(4)(x, state = x)", "(h, c)")]
    [InlineData("gru(4)(x, state = zeros([B, 3]))", "a state has the shape [B, 4]")]
    [InlineData("gru(4)(x[0])", "gru takes sequences [B, T, D]")]
    [InlineData("gru(4)(x, lengths = n[None])", "lengths are one whole number a row")]
    [InlineData("gru(0)(x)", "units must be at least 1")]
    [InlineData("gru(4, reverse = true, bidirectional = true)(x)", "leave out reverse")]
    [InlineData("scan(x, zeros([B, 3]), 3)", "the step of a scan is a function")]
    [InlineData("scan((x, n), zeros([B, 3]), (s, (a, b)) => (s, s))", "axis 1")]
    [InlineData("scan(x, zeros([B, 3]), (s, xt) => (batch_norm()(xt), s))", "cannot be updated inside of a recurrence")]
    public void A_mistake_is_explained(string call, string message)
    {
        var diagnostic = Assert.Single(Compiler.Compile(new SourceText($"model M {{\n  input x: [B, T, 3]\n  input n: int[B]\n  let y = {call}\n  output p = x\n}}\n")).Diagnostics);
        Assert.Contains(message, diagnostic.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("lstm(4)")]
    [InlineData("gru(3, bidirectional = true, layers = 2)")]
    public void A_printed_model_and_its_printed_gradient_are_the_same_graph(string layer)
    {
        var model = Compile.Model($"model M {{\n  input x: [B, T, 3]\n  input n: int[B]\n  let f = {layer}\n  output y = f(x, lengths = n)\n  loss mean(f(x, lengths = n) ** 2) as size\n}}\n");
        var gradient = ModelPrinter.Differentiate(model, model.TotalLoss, [.. model.Parameters.Select(p => new Named(p.Path, p.Variable))]);
        foreach (var m in new[] { model, gradient })
        {
            var again = Compile.Model(m.ToSource());
            Assert.Equal(Compile.Graph(m), Compile.Graph(again));
        }
    }
}
