using Dnn.Backend;
using Dnn.Dsl;
using Dnn.Graph;
using Xunit;

namespace Dnn.Cli.Tests;

/// <summary>What a signature asks of sizes that only data tell is checked when they come, and said with the place and both values.</summary>
public class SizeCheckTests : Workspace
{
    private const string Source = """
        layer same(a: [B, L], b: [B, L]) { return mean(a) + mean(b) }
        layer lead(a: [..., 4], b: [..., 4]) { return mean(a) + mean(b) }
        layer triple(a: [B, 3*D]) { return mean(a[:, :D]) }
        layer head(n: int)(a: [B, D, 1]) -> [B, D/n, n] { return reshape(a, [B, -1, n]) }

        model Twice {
          input a: [B, T]
          input b: [B, S]
          output p = same(a, b)
        }
        model Leading {
          input a: [B, T, 4]
          input b: [B, S, 4]
          output p = lead(a, b)
        }
        model Triple {
          input a: [B, T]
          output p = triple(a)
        }
        model Quotient {
          input a: [B, T]
          output p = a[:, :, None] |> head(3)
        }
        model Ascribed {
          input a: [B, T]
          let h: [B, 5] = a
          output p = mean(a)
        }
        model Operator {
          input a: [B, T]
          input b: [B, S]
          output p = tanh(a) * b
        }
        model Number {
          input a: [B, T]
          output p = a + [1.0, 2.0, 3.0]
        }
        model Product {
          input a: [B, T]
          input b: [S, 2]
          output p = a @ b
        }
        """;

    private static readonly Dictionary<string, Model> Models = Compiler.Compile(new SourceText(Source, "sizes.dnn")).Models.ToDictionary(m => m.ModelName, m => m.Model!);

    [Theory]
    [InlineData("Twice", "2,4", "2,5", "axis 1 of `b` has the size S = 5, and [B, L] of `same` asks for T = 4, at sizes.dnn:9:14")]
    [InlineData("Twice", "2,4", "3,4", "the input 'b' has the shape [B, S], where B = 2, but its value is [3, 4]")]
    [InlineData("Leading", "2,3,4", "2,6,4", "axis 1 of `b` has the size S = 6, and `...` in [..., 4] of `lead` asks for T = 3, at sizes.dnn:14:14")]
    [InlineData("Triple", "2,4", null, "axis 1 of `a` has the size T = 4, and [B, 3*D] of `triple` asks for 3*floor_div(T, 3) = 3, at sizes.dnn:18:14")]
    [InlineData("Quotient", "2,4", null, "axis 1 of the result has the size 3*floor_div(T, 3) = 3, and [B, D/n, n] of the result asks for T = 4, at sizes.dnn:4:58")]
    [InlineData("Ascribed", "2,4", null, "axis 1 of this has the size T = 4, and [B, 5] asks for 5, at sizes.dnn:26:19")]
    [InlineData("Operator", "2,4", "2,5", "broadcast: axis 1 of [B, S] = [2, 5] is 5 where [B, T] = [2, 4] needs 4, at sizes.dnn:32:14")]
    [InlineData("Number", "2,4", null, "broadcast: axis 0 of [3] is 3 where [B, T] = [2, 4] needs 4, at sizes.dnn:36:14")]
    [InlineData("Product", "2,4", "3,2", "dot_general: [B, T] = [2, 4] and [S, 2] = [3, 2] do not fit: axis 1 of the one has size 4, axis 0 of the other 3, at sizes.dnn:41:14")]
    public void A_size_that_turns_out_different_is_an_error_with_the_place_and_both_values(string name, string a, string? b, string message)
    {
        var model = Models[name];
        var inputs = new[] { ("a", Zeros(a)), ("b", b is null ? null! : Zeros(b)) }.Where(i => i.Item2 is not null).ToArray();
        var error = Assert.Throws<ShapeException>(() => new Predictor(model, Initialization.Sample(model, 0)).Predict(inputs));
        Assert.Equal(message, error.Message);
    }

    [Theory]
    [InlineData("Twice", "2,4", "2,4")]
    [InlineData("Leading", "2,3,4", "2,3,4")]
    [InlineData("Triple", "2,6", null)]
    [InlineData("Quotient", "2,6", null)]
    [InlineData("Ascribed", "2,5", null)]
    [InlineData("Operator", "2,5", "2,5")]
    [InlineData("Number", "2,3", null)]
    [InlineData("Product", "2,4", "4,2")]
    public void Sizes_that_fit_are_fine(string name, string a, string? b)
    {
        var model = Models[name];
        Assert.NotEmpty(new Predictor(model, Initialization.Sample(model, 0)).Predict(b is null ? [("a", Zeros(a))] : [("a", Zeros(a)), ("b", Zeros(b))]));
    }

    [Fact]
    public void The_command_shows_the_line()
    {
        var file = Write("sizes.dnn", Source);
        Npy.Write(At("a.npy"), Zeros("2,4"));
        Npy.Write(At("b.npy"), Zeros("2,5"));
        var outcome = Fails(3, ["run", file, "--model", "Twice", "--input", "a=" + At("a.npy"), "b=" + At("b.npy"), "--out", At("out"), "--quiet"], "axis 1 of `b` has the size S = 5, and [B, L] of `same` asks for T = 4");
        Assert.EndsWith("  |\n 9 |   output p = same(a, b)\n   |              ^^^^^^^^^^\n", outcome.Error.ReplaceLineEndings("\n"));
        Assert.False(Directory.Exists(At("out")));
    }

    [Fact]
    public void Data_that_do_not_fit_a_signature_are_refused_before_training()
    {
        Write("rows.jsonl", string.Concat(Enumerable.Repeat("{\"a\": [1.5, 2, 3], \"b\": [1.5, 2]}\n", 8)));
        var file = Write("train.dnn", """
            layer same(a: [B, L], b: [B, L]) { return mean(a) + mean(b) }
            model M {
              input a: [B, T]
              target b: [B, S]
              param w: [] = 0.5
              // dnn: allow DNN0325 to be seen when data come
              loss w * same(a, b)
            }
            data rows = jsonl("rows.jsonl")
            train M() on rows {
              optimizer sgd(0.1)
              batch 4
              epochs 1
            }
            """);
        var outcome = Fails(3, ["train", file, "--out", At("run")], "axis 1 of `b` has the size S = 2, and [B, L] of `same` asks for T = 3", "train.dnn:7:12");
        Assert.DoesNotContain("DNN0325", outcome.Error);
    }

    private static Tensor Zeros(string shape)
    {
        int[] dims = [.. shape.Split(',').Select(int.Parse)];
        return Tensor.Create(new float[dims.Aggregate(1, (x, y) => x * y)], dims);
    }
}
