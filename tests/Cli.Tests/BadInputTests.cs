using System.Text;
using Dnn.Backend;
using Dnn.Graph;
using Xunit;

namespace Dnn.Cli.Tests;

/// <summary>Whatever is given: a message with place, reason and fix, the right exit code, and nothing lost.</summary>
public class BadInputTests : Workspace
{
    private const string Table = """
        dnn 1

        model Line {
          input  features: [B, 1]
          target label: [B, 1]
          loss mse(features |> dense(1), label)
        }

        data table = csv("table.csv", features = ["a"], label = "b") { split train = 50%, validation = 50% }

        train Line() on table {
          optimizer sgd(lr = 0.1)
          epochs    2
        }
        """;

    [Theory]
    [InlineData("check")]
    [InlineData("train")]
    [InlineData("summary")]
    [InlineData("test")]
    public void A_file_that_is_not_there(string command)
    {
        WriteSmall();
        Fails(1, [command, At("smal.dnn")], "DNN0000", "there is no such file", "did you mean", "small.dnn");
        Fails(1, [command, At(".")], "this is a folder, not a file");
        Fails(1, [command, ""], "there is no such file");
    }

    [Fact]
    public void Bytes_that_are_no_text()
    {
        File.WriteAllBytes(At("bytes.dnn"), [.. Enumerable.Range(0, 4096).Select(i => (byte)(i * 37))]);
        Fails(1, ["check", At("bytes.dnn")], "error[DNN");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(50)]
    [InlineData(51)]
    [InlineData(120)]
    public void Of_many_errors_people_see_the_first_and_how_many_there_are(int errors)
    {
        var lines = Enumerable.Range(0, errors).Select(i => $"  output y{i} = nosuch{i}\n");
        var file = Write("many.dnn", $"model M {{\n  input x: [B, 2]\n{string.Concat(lines)}}}\n");
        var more = errors switch { 51 => "... and 1 more error;", 120 => "... and 70 more errors;", _ => null };
        foreach (var command in new[] { "check", "lint", "test", "summary", "train" })
        {
            var outcome = Dnn(command, file);
            Assert.Equal(1, outcome.Code);
            Assert.Equal(Math.Min(errors, 50), outcome.Error.Split("error[DNN0100]").Length - 1);
            Assert.Equal(more is not null, outcome.Error.Contains("more error", StringComparison.Ordinal));
            Assert.Contains(more ?? "", outcome.Error);
        }

        Assert.Equal($"{file}: {errors} error{(errors == 1 ? "" : "s")}\n", Dnn("check", file).Output);
        Assert.Equal(errors, Dnn("check", "--json", file).Json.GetProperty("errors").GetArrayLength());
        Assert.Equal(errors, Dnn("check", "--sarif", file).Json.GetProperty("runs")[0].GetProperty("results").GetArrayLength());
    }

    [Theory]
    [InlineData("dense(hidden)", "dens(hidden)", "did you mean 'dense'?")]
    [InlineData("dense(hidden)", "dense(hidden, 2, 3, 4, 5, 6)", "dense")]
    [InlineData("dense(hidden)", "dense()", "units")]
    [InlineData("bce_with_logits(logit, y)", "bce_with_logits(logit, x)", "[B, 2]")]
    [InlineData("on moons", "on mons", "did you mean 'moons'?")]
    [InlineData("target y: [B, 1]", "target z: [B, 1]", "y")]
    public void A_mistake_in_the_text(string old, string replacement, string says) => Fails(1, ["train", WriteSmall("bad.dnn", (old, replacement)), "--out", At("run")], "error[DNN", "bad.dnn:", says);

    [Fact]
    public void A_shape_mismatch_deep_inside()
    {
        var file = Write("deep.dnn", """
            dnn 1

            layer inner(units: int)(x: [B, D]) -> [B, D] {
              let w = dense(units)
              return x + w(x)
            }

            layer outer()(x: [B, D]) -> [B, D] {
              let block = inner(7)
              return block(x)
            }

            model Deep {
              input x: [B, 5]
              output y = x |> dense(4) |> outer()
            }
            """);
        Fails(1, ["check", file], "deep.dnn:5:", "[B, 4]", "[B, 7]", "in ", "outer");
    }

    [Fact]
    public void Labels_out_of_range()
    {
        const string text = "model M {\n  input features: [B, 2]\n  target label: int[B]\n  let z = features |> dense(2)\n  output p = z\n  loss cross_entropy(z, label)\n}\ndata d = csv(\"d.csv\", label = \"label\")\ntrain M() on d {\n  optimizer sgd(0.1)\n}\n";
        Write("d.csv", "a,b,label\n1,2,0\n3,4,1\n5,6,2\n");
        Fails(1, ["check", Write("labels.dnn", text)], "`label` is 0 … 2 in `d`, and the model has room for 2 (0 … 1)");
        Write("d.csv", "a,b,label\n1,2,0\n3,x,1\n");
        Fails(1, ["check", At("labels.dnn")], "d.csv:3: column 'b': 'x' is not a number");
    }

    [Fact]
    public void Inputs_out_of_range()
    {
        Npy.Write(At("t.npy"), Tensor.Create([0L, 1, 7, 1], 2, 2));
        Npy.Write(At("none.npy"), Tensor.Zeros(DType.F32, 2, 0, 3));
        Npy.Write(At("rows.npy"), Tensor.Zeros(DType.F32, 0, 4, 3));
        var words = Write("words.dnn", "model M {\n  input x: int[B, T]\n  output y = x |> embedding(4, 3)\n}\n");
        var sequences = Write("sequences.dnn", "model M {\n  input x: [B, T, 3]\n  output y = x |> lstm(4, return_sequences = false) |> dense(1)\n}\n");
        Fails(3, ["run", words, "--input", $"x={At("t.npy")}", "--out", At("out")], "input 'x': row 2, place 1: 7 is out of range: the model has room for 4 (0 … 3)");
        Fails(3, ["run", sequences, "--input", $"x={At("none.npy")}", "--out", At("out")], "the sequence has the size T = 0, and lstm_0 asks for at least 1");
        Fine("run", sequences, "--input", $"x={At("rows.npy")}", "--out", At("out"));
        Assert.Equal("f32[0, 1]", Npy.Read(At("out", "y.npy")).TypeText);
    }

    [Theory]
    [InlineData("a,c\n1,2\n3,4\n", "'b'")]
    [InlineData("a,b\n1,2\nx,4\n5,6\n7,8\n", "table.csv:3")]
    [InlineData("a,b\n1,2\n3,4,5\n", "table.csv:3")]
    [InlineData("", "empty")]
    [InlineData("a,b\n", "table.csv")]
    public void A_table_that_cannot_be_used(string csv, string says)
    {
        Write("table.csv", csv);
        Fails(1, ["train", Write("table.dnn", Table), "--out", At("run")], "table.csv", says);
        Assert.False(Directory.Exists(At("run")));
    }

    [Fact]
    public void A_table_that_is_not_there() => Fails(1, ["check", Write("table.dnn", Table)], "table.csv: there is no such file");

    [Fact]
    public void A_model_is_looked_at_without_its_data() => Fine("summary", Write("table.dnn", Table));

    [Fact]
    public void Weights_of_another_model()
    {
        var file = WriteSmall();
        Fine("init", file, "-o", At("w.safetensors"));
        Fails(3, ["eval", file, "--weights", At("w.safetensors"), "--set", "hidden=6"], "w.safetensors", "hidden is 5 there and 6 here", "--set hidden=5");
        var other = WriteSmall("other.dnn", ("model Small", "model Other"), ("train Small", "train Other"), ("dense(1)\n", "layer_norm() |> dense(1)\n"));
        Fails(3, ["eval", other, "--weights", At("w.safetensors")], "saved from Small", "'layer_norm_0.weight'", "missing");
        Fails(3, ["eval", file, "--weights", At("no.safetensors")], "no.safetensors: there is no such file");
    }

    [Fact]
    public void Weights_that_are_damaged()
    {
        var file = WriteSmall();
        Fine("init", file, "-o", At("w.safetensors"));
        var bytes = File.ReadAllBytes(At("w.safetensors"));
        File.WriteAllBytes(At("cut.safetensors"), bytes[..^10]);
        Fails(3, ["eval", file, "--weights", At("cut.safetensors")], "truncated");
        File.WriteAllBytes(At("lie.safetensors"), [.. BitConverter.GetBytes(1L << 60), .. bytes[8..]]);
        Fails(3, ["eval", file, "--weights", At("lie.safetensors")], "claim a header");
        File.WriteAllBytes(At("empty.safetensors"), []);
        Fails(3, ["eval", file, "--weights", At("empty.safetensors")], "too few");
        var text = Encoding.Latin1.GetString(bytes).Replace("\"shape\":[2,5]", "\"shape\":[9,9]", StringComparison.Ordinal);
        File.WriteAllBytes(At("shape.safetensors"), Encoding.Latin1.GetBytes(text));
        Fails(3, ["eval", file, "--weights", At("shape.safetensors")], "dense_0.weight");
    }

    [Fact]
    public void A_folder_that_cannot_be_written_to()
    {
        var file = WriteSmall();
        Write("taken", "a file");
        Fails(3, ["train", file, "--out", At("taken", "run")], "cannot be written to", "--out");
        Fails(3, ["init", file, "-o", At("nowhere", "w.safetensors")], "the folder does not exist");
        Fails(3, ["run", file, "--out", At("taken"), "--input", "x=" + Vector()], "taken");
        Fails(3, ["grad", file, "-o", At("nowhere", "g.dnn")], "nowhere");

        string Vector()
        {
            Backend.Npy.Write(At("x.npy"), Backend.Tensor.Create(new float[,] { { 1, 2 } }));
            return At("x.npy");
        }
    }

    [Fact]
    public void Overrides_that_do_not_fit()
    {
        var file = WriteSmall();
        Fails(2, ["summary", file, "--set", "hidden"], "--set takes NAME=VALUE");
        Fails(1, ["summary", file, "--set", "hiden=3"], "did you mean 'hidden'?");
        Fails(1, ["summary", file, "--set", "hidden=many"], "--set hidden");
        Fails(1, ["summary", file, "--model", "Smal"], "Small");
    }

    [Fact]
    public void A_model_that_nothing_trains()
    {
        var file = Write("plain.dnn", "model Plain {\n  input x: [B, 2]\n  output y = x |> dense(1)\n}\n");
        Fails(1, ["train", file, "--out", At("run")], "nothing trains Plain", "train Plain on");
        Fails(1, ["summary", Write("none.dnn", "let a = 1\n")], "no model");
        Fails(3, ["run", file, "--grad", "loss", "--input", "x=" + Matrix(), "--out", At("r")], "has no loss");

        string Matrix()
        {
            Backend.Npy.Write(At("x.npy"), Backend.Tensor.Create(new float[,] { { 1, 2 } }));
            return At("x.npy");
        }
    }
}
