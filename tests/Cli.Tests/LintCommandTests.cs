using System.Text.Json;
using Dnn.Dsl;
using Dnn.Testing;
using Xunit;

namespace Dnn.Cli.Tests;

/// <summary><c>dnn lint</c>, <c>dnn fix</c> and what <c>dnn check</c> says of lint.</summary>
public class LintCommandTests : Workspace
{
    private const string Fixable = """
        /// Two things that are safe to repair, and one that is not.
        model Net {
          input x: [B, 8]
          target y: [B, 1]
          target k: int[B]

          // a comment that stays
          let h = x |> dense(16) |> batch_norm() |> relu

          loss bce(sigmoid(h |> dense(1)), y)
          loss cross_entropy(softmax(h |> dense(3)), k)
        }

        """;

    [Fact]
    public void Lint_finds_what_trains_badly_and_check_says_it_too()
    {
        var file = Write("net.dnn", Fixable);
        var outcome = Fine("lint", file);
        Assert.Contains("net.dnn: fine, 3 warnings", outcome.Output);
        Assert.Contains("warning[DNN1006]: the bias added here is subtracted again by the batch norm behind it: 16 parameters that do nothing", outcome.Error);
        Assert.Contains("fix: leave the bias out", outcome.Error);
        Assert.Equal(1, Dnn("lint", "--strict", file).Code);
        Assert.Equal(Fixable, File.ReadAllText(file));

        var warnings = Fine("check", "--json", file).Json.GetProperty("warnings").EnumerateArray().ToArray();
        Assert.Equal(["DNN1006", "DNN1005", "DNN1005"], warnings.Select(w => w.GetProperty("code").GetString()));
        var fix = warnings[0].GetProperty("fix");
        Assert.Equal((8, ", bias = false"), (fix.GetProperty("line").GetInt32(), fix.GetProperty("replacement").GetString()));
        Assert.Equal(JsonValueKind.Array, warnings[0].GetProperty("related").ValueKind);
    }

    public static TheoryData<string> Examples => [.. Directory.GetFiles(RepoRoot.Combine("examples"), "*.dnn", SearchOption.AllDirectories)
        .Select(f => Path.GetRelativePath(RepoRoot.Combine("examples"), f)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Examples))]
    public void The_rules_of_architecture_are_not_for_the_derivative_that_grad_prints(string file)
    {
        var gradient = At("gradient.dnn");
        Fine("grad", Example(file), "-o", gradient);
        Assert.Equal(("", $"{gradient}: fine\n"), (Fine("lint", gradient).Error, Fine("lint", gradient).Output));
    }

    [Theory]
    [InlineData("output grad_w = h", 0)]
    [InlineData("output grad_v = h", 1)]
    [InlineData("output grad_w = h\n  output y = x @ w @ w", 1)]
    [InlineData("output grad_w = h\n  loss mean(h)", 1)]
    [InlineData("output grad_w = sum(h)", 1)]
    public void A_derivative_gives_gradients_of_its_own_variables_and_nothing_else(string ends, int warnings)
    {
        var file = Write("net.dnn", $$$"""
            model Net {
              input x: [8, 8]
              param w: [8, 8] = normal()
              param v: [8, 4] = normal()
              let h = x @ w @ w + 0 * sum(v)
              {{{ends}}}
            }

            """);
        Assert.Equal(warnings, Linter.Check(Compiler.Compile(file)).Count(d => d.Code == "DNN1001"));
    }

    [Fact]
    public void Lint_with_fix_repairs_what_is_safe_and_nothing_twice()
    {
        var file = Write("net.dnn", Fixable);
        var outcome = Fine("lint", "--fix", file);
        Assert.Contains("leave the bias out", outcome.Error);
        var text = File.ReadAllText(file);
        Assert.Equal(
            Fixable.Replace("dense(16) |> batch_norm", "dense(16, bias = false) |> batch_norm", StringComparison.Ordinal)
                .Replace("bce(sigmoid(h |> dense(1)), y)", "bce_with_logits(h |> dense(1), y)", StringComparison.Ordinal),
            text);
        Fine("fix", file);
        Assert.Equal(text, File.ReadAllText(file));
        Fine("fmt", "--check", file);
    }

    [Fact]
    public void Fix_keeps_the_loss_to_the_last_digit()
    {
        var before = Write("before.dnn", "model Net {\n  input x: [B, 8]\n  target y: [B, 1]\n  let logit = x |> dense(1)\n  loss bce(sigmoid(logit), y)\n}\n");
        var after = Write("after.dnn", File.ReadAllText(before));
        Fine("fix", after);
        Assert.NotEqual(File.ReadAllText(before), File.ReadAllText(after));
        SaveMatrix(At("x.npy"), 4, 8);
        SaveMatrix(At("y.npy"), 4, 1);
        double[] losses = [.. new[] { before, after }.Select(file =>
        {
            Fine("run", file, "--input", $"x={At("x.npy")}", $"y={At("y.npy")}", "--grad", "loss", "--dtype", "f64", "--out", At("out"));
            return Backend.Npy.Read(At("out", "loss.npy")).ToScalar();
        })];
        Assert.Equal(losses[0], losses[1], 1e-12);
    }

    [Fact]
    public void Fix_repairs_letters_and_leaves_guesses_to_people()
    {
        var file = Write("a.dnn", "let a = 2 ^ 3;\nlet b = aa + 1\n");
        Fails(1, ["fix", file], "did you mean 'a'?");
        Assert.Equal("let a = 2 ** 3\nlet b = aa + 1\n", File.ReadAllText(file));
    }

    [Fact]
    public void Diagnose_holds_predictions_against_measurements()
    {
        var file = Write("deep.dnn", "model Deep {\n  input x: [B, 64]\n  output y = x |> for i in 0..4 { dense(96) |> tanh } |> dense(96)\n}\n");
        var json = Fine("diagnose", file, "--json", "--batch", "64").Json;
        var layers = json.GetProperty("layers").EnumerateArray().ToArray();
        Assert.Equal(9, layers.Length);
        foreach (var layer in layers)
        {
            Assert.InRange(layer.GetProperty("rms").GetDouble() / layer.GetProperty("predicted_rms").GetDouble(), 0.8, 1.25);
            Assert.InRange(layer.GetProperty("gradient_factor").GetDouble() / layer.GetProperty("predicted_gradient_factor").GetDouble(), 0.7, 1.4);
        }

        Assert.All(layers.Where(l => l.GetProperty("kind").GetString() == "tanh"), l => Assert.InRange(l.GetProperty("saturated").GetDouble(), 0, 0.2));
        Assert.Equal(64, json.GetProperty("singular_values").GetArrayLength());
        Assert.Contains("From end to end", Fine("diagnose", file).Output);
    }

    [Fact]
    public void Diagnose_knows_the_singular_values_of_a_matrix()
    {
        // Two inputs scaled by 3 and 0.5.
        var file = Write("matrix.dnn", "model Matrix {\n  input x: [B, 2]\n  param w: [2, 2] = [[3, 0], [0, 0.5]]\n  output y = tanh(x @ w |> dense(2, init = identity()))\n}\n");
        var dense = Fine("diagnose", file, "--json").Json.GetProperty("layers").EnumerateArray().First(l => l.GetProperty("kind").GetString() == "dense");
        Assert.Equal([1.0, 1.0], dense.GetProperty("singular_values").EnumerateArray().Select(v => Math.Round(v.GetDouble(), 10)));
    }

    [Fact]
    public void Diagnose_uses_the_data_of_the_train_block_and_weights()
    {
        var file = WriteSmall();
        Fine("init", file, "-o", At("w.safetensors"));
        var json = Fine("diagnose", file, "--weights", At("w.safetensors"), "--json").Json;
        Assert.Equal("data", json.GetProperty("inputs").GetString());
        Assert.True(json.GetProperty("layers").EnumerateArray().First().GetProperty("gradient_norm").GetDouble() > 0);
    }

    [Fact]
    public void Summary_has_receptive_fields_of_convolutions()
    {
        var file = Write("conv.dnn", "model C {\n  input x: [B, 32, 32, 3]\n  output y = x |> conv2d(4, 3) |> relu |> max_pool2d(2) |> conv2d(4, 3, stride = 2) |> relu |> conv2d(4, 3, dilation = 2) |> flatten |> dense(2)\n}\n");
        var fields = Fine("summary", file, "--json").Json.GetProperty("layers").EnumerateArray()
            .Select(l => l.TryGetProperty("receptive_field", out var f) ? f[0].GetInt32() : 0);
        Assert.Equal([3, 3, 4, 8, 8, 24, 0], fields);
        Assert.Contains("24 × 24", Fine("summary", file).Output);
    }

    [Fact]
    public void Fix_says_what_it_cannot_read() => Fails(1, ["fix", At("nothing.dnn")], "there is no such file");

    private static void SaveMatrix(string path, int rows, int columns) => Backend.Npy.Write(
        path, Backend.Tensor.Create([.. Enumerable.Range(0, rows * columns).Select(i => Math.Abs(Math.Sin(i)))], rows, columns));
}
