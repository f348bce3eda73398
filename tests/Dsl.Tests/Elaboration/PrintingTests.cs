using Dnn.Graph;
using Dnn.Testing;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Models as source.</summary>
public class PrintingTests
{
    private static void RoundTrip(Model model)
    {
        foreach (var flat in new[] { false, true })
        {
            var source = model.ToSource(flat);
            var result = Compiler.Compile(new SourceText(source));
            Assert.True(!result.HasErrors, $"{source}\n{new DiagnosticFormatter().Format(result.Diagnostics)}");
            var again = result.Model!;
            Assert.Equal(Compile.Graph(model), Compile.Graph(again));
            Assert.Equal(Described(model), Described(again));
        }
    }

    private static IEnumerable<string> Described(Model model) => model.Parameters.Select(p => $"{p.Path}: {p.Shape} = {p.Initializer} {p.Options}")
        .Concat(model.Buffers.Select(b => $"{b.Path}: {b.Variable.Type} = {b.Initializer}")).Order(StringComparer.Ordinal);

    [Fact]
    public void Layers_stay_layers_under_their_paths()
    {
        var model = Compile.Model("""
            layer block(width: int)(x: [..., D]) { return x + (x |> dense(width) |> gelu |> dropout(0.1) |> dense(D, init = zeros())) }
            model M {
              input  x: [B, 8, 8, 3]
              target y: int[B]
              let stem = conv2d(8, 3, stride = 2, padding = ((1, 0), (0, 1)), bias = false)
              let shared = dense(16)
              let h = x |> stem |> batch_norm() |> relu |> global_avg_pool |> dense(16) |> relu |> shared |> shared |> repeat(2, block(32)) |> residual(dense(16))
              output p = h |> layer_norm(eps = 1e-6) |> dense(4)
              loss cross_entropy(p, y) + 0.01 * sum(shared.weight ** 2)
            }
            """);
        Assert.Equal("""
            dnn 1

            model M {
              input x: [B, 8, 8, 3]
              target y: i64[B]

              let stem = conv2d(8, 3, stride = 2, padding = ((1, 0), (0, 1)), bias = false)
              let stem_out = x |> stem
              let batch_norm_0 = stem_out |> batch_norm()
            """, string.Join('\n', model.ToSource().Split('\n')[..9]), ignoreLineEndingDifferences: true);
        Assert.Contains("let \"repeat_0[1].dense_0\" as repeat_0_1_dense_0 = dense(32, init = he_normal())", model.ToSource(), StringComparison.Ordinal);
        RoundTrip(model);
    }

    [Theory]
    [InlineData("x |> dense(8) |> relu |> layer_norm() |> dense(4) |> gelu |> dense(1)")]
    [InlineData("x |> dropout(0.5) |> dense(8) |> dropout(0.25)")]
    [InlineData("x |> batch_norm() |> repeat(2, residual(dense(8) |> batch_norm(momentum = 0.8, init = zeros())))")]
    [InlineData("x |> frozen(dense(8)) |> lr_scale(dense(8), 0.5) |> no_decay(dense(8))")]
    [InlineData("x |> prelu() |> group_norm(2) |> rms_norm()")]
    [InlineData("expand_dims(x, 1) |> lstm(3) |> lstm(8, forget_bias = 2.5)")]
    [InlineData("(if training then x |> dropout(0.5) else 2 * x) |> dense(3, bias_init = constant(0.5))")]
    public void What_is_printed_parses_to_the_same_graph_and_parameters(string expression) => RoundTrip(Compile.Body($"  let y = {expression}\n  loss mean(y ** 2)"));

    [Theory]
    [InlineData("  let d = dense(8)\n  let y = x |> d |> d |> dense(8)\n  loss sum(d.weight)")]
    [InlineData("  let d = dense(8, bias = false)\n  let w = sum(d(x))\n  let y = d.with(weight = d.weight * w)(x)")]
    [InlineData("  let d = dropout(0.5)\n  let y = d(d(x)) + d(x)")]
    [InlineData("  let b = batch_norm()\n  let y = b(x) + b(2 * x)")]
    [InlineData("  let a = dense(8)\n  let b = dense(8)\n  let y = a(b(x)) + b(a(x))")]
    [InlineData("  let d = dense(8)\n  let y = grad(sum(x |> d |> layer_norm() |> tanh), x)")]
    public void Shared_layers_and_their_parameters_elsewhere_are_printed(string statements) => RoundTrip(Compile.Body(statements));

    [Fact]
    public void A_tied_embedding_is_printed() =>
        RoundTrip(Compile.Model("model M {\n  input t: int[B, T]\n  let emb = embedding(10, 4)\n  output y = t |> emb |> positional_embedding(16) |> sinusoidal_positions() |> emb.attend\n}\n"));

    [Fact]
    public void A_model_from_fluent_calls_is_printed_with_its_layers()
    {
        var model = Model.Build("Net", m =>
        {
            var x = m.Input("x", "B", 2);
            var h = x.Dense(16).Relu().LayerNorm();
            m.Output("y", Layers.Dense(1).Named("head").Apply(h.Residual(Layers.Dense(16))));
        });
        Assert.Contains("  let dense_0 = x |> dense(16)\n  let relu_1 = relu(dense_0)\n  let layer_norm_0 = relu_1 |> layer_norm()\n  let \"residual_0.dense_0\" as residual_0_dense_0 = dense(16)\n", model.ToSource(), StringComparison.Ordinal);
        Assert.Contains("  let head = dense(1)\n", model.ToSource(), StringComparison.Ordinal);
        RoundTrip(model);
    }

    [Fact]
    public void Every_example_is_printed()
    {
        foreach (var path in Directory.EnumerateFiles(RepoRoot.Combine("examples"), "*.dnn"))
        {
            foreach (var compiled in Compiler.Compile(path).Models.Where(m => m.Model is not null))
                RoundTrip(compiled.Model!);
        }
    }

    [Fact]
    public void The_derivative_of_a_model_is_printed_with_the_layers_that_are_whole_in_it()
    {
        var model = Compile.Body("  let y = x |> dense(8) |> relu |> layer_norm() |> dense(1)\n  loss mean(y ** 2)");
        var resolved = model with { Losses = [new Named(model.Losses[0].Name, Phases.Resolve([model.Losses[0].Value], training: true)[0])] };
        RoundTrip(ModelPrinter.Differentiate(resolved, resolved.TotalLoss, [.. model.Parameters.Select(p => new Named(p.Path, p.Variable))]));
    }
}
