using Dnn.Backend;
using Dnn.Graph;
using Xunit;

namespace Dnn.Cli.Tests;

public class CommandTests : Workspace
{
    /// <summary>Some terminals say that they have no columns, and some have few.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(500)]
    public void A_terminal_of_any_width_gets_its_tables(int width)
    {
        var file = WriteSmall();
        foreach (var args in new string[][] { ["summary", file], ["diagnose", file], ["gradcheck", file, "--samples", "1"], ["explain", "dense"], ["train", file, "--epochs", "1", "--out", At("run")] })
        {
            using StringWriter output = new(), error = new();
            Assert.Equal(0, Cli.Run(args, new Terminal(output, error, () => default) { Width = width, OutputColors = true, ErrorColors = true, IsInteractive = true }));
            Assert.NotEmpty(output.ToString());
        }
    }

    [Fact]
    public void Check_accepts_the_examples()
    {
        string[] files = [.. Directory.GetFiles(Example("."), "*.dnn").Where(f => Path.GetFileName(f) != ExampleTests.Fashion || ExampleTests.HasFashion).Order()];
        var outcome = Fine(["check", "--json", .. files]);
        Assert.Equal(files.Length, outcome.Lines.Length);
        Assert.Equal("", outcome.Error);
    }

    [Fact]
    public void Check_reports_every_file_with_places()
    {
        var good = WriteSmall();
        var bad = WriteSmall("bad.dnn", ("tanh |> dropout", "tanhh |> dropout"));
        var outcome = Dnn("check", "--json", bad, good);
        Assert.Equal(1, outcome.Code);
        var lines = outcome.Lines.Select(l => System.Text.Json.JsonDocument.Parse(l).RootElement).ToArray();
        Assert.Equal([bad, good], lines.Select(l => l.GetProperty("file").GetString()!));
        Assert.Equal(0, lines[1].GetProperty("errors").GetArrayLength());
        var error = lines[0].GetProperty("errors")[0];
        Assert.StartsWith("DNN", error.GetProperty("code").GetString());
        Assert.Contains("tanhh", error.GetProperty("message").GetString());
        Assert.Equal((7, 37, 7, 42), (Int("line"), Int("column"), Int("endLine"), Int("endColumn")));
        Assert.Equal("tanh", error.GetProperty("fix").GetProperty("replacement").GetString());
        Assert.Equal(0, error.GetProperty("related").GetArrayLength());
        Assert.Equal(System.Text.Json.JsonValueKind.Array, lines[0].GetProperty("warnings").ValueKind);

        int Int(string name) => error.GetProperty(name).GetInt32();
    }

    [Fact]
    public void Check_for_people_shows_the_line()
    {
        var outcome = Fails(1, ["check", WriteSmall("bad.dnn", ("tanh |> dropout", "tanhh |> dropout"))], "tanhh |> dropout(drop)", "^^^^^", "did you mean 'tanh'?");
        Assert.Contains("1 error", outcome.Output);
    }

    [Fact]
    public void Test_runs_blocks_and_counts()
    {
        Assert.Equal("1 passed, 0 failed", Fine("test", WriteSmall()).Lines[^1]);
        var broken = WriteSmall("broken.dnn", ("sigmoid(0.0), 0.5", "sigmoid(0.0), 0.75"));
        var outcome = Dnn("test", WriteSmall(), broken);
        Assert.Equal((1, "1 passed, 1 failed"), (outcome.Code, outcome.Lines[^1]));
        Assert.Contains("0.75", outcome.Error);
        var json = Dnn("test", broken, "--json").Json;
        Assert.Equal((0, 1), (json.GetProperty("passed").GetInt32(), json.GetProperty("failed").GetInt32()));
        Assert.Equal("half", json.GetProperty("tests")[0].GetProperty("test").GetString());
    }

    [Fact]
    public void Init_draws_by_seed_and_says_what_of()
    {
        var file = WriteSmall();
        Fine("init", file, "-o", At("a.safetensors"), "--seed", "3");
        Fine("init", file, "-o", At("b.safetensors"), "--seed", "3", "--quiet");
        Fine("init", file, "-o", At("c.safetensors"), "--seed", "4");
        Assert.Equal(File.ReadAllBytes(At("a.safetensors")), File.ReadAllBytes(At("b.safetensors")));
        Assert.NotEqual(File.ReadAllBytes(At("a.safetensors")), File.ReadAllBytes(At("c.safetensors")));
        var weights = Weights.Load(At("a.safetensors"));
        Assert.Equal(["dense_0.bias", "dense_0.weight", "dense_1.bias", "dense_1.weight"], weights.Paths);
        Assert.Equal(("Small", "5"), (weights.Metadata["model"], weights.Metadata["hyper.hidden"]));
        Fine("init", file, "-o", At("d.safetensors"), "--dtype", "f64", "--set", "hidden=6");
        Assert.Equal("f64[2, 6]", Weights.Load(At("d.safetensors"))["dense_0.weight"].TypeText);
        Assert.Equal(4, Fine("init", file, "-o", At("e.safetensors"), "--json").Json.GetProperty("tensors").GetInt32());
    }

    [Fact]
    public void Eval_measures_a_split()
    {
        var file = WriteSmall();
        Fine("init", file, "-o", At("w.safetensors"));
        var json = Fine("eval", file, "--weights", At("w.safetensors"), "--json").Json;
        Assert.Equal(("validation", 30), (json.GetProperty("split").GetString(), json.GetProperty("rows").GetInt32()));
        Assert.True(json.GetProperty("loss").GetDouble() > 0);
        Assert.InRange(json.GetProperty("accuracy").GetDouble(), 0, 1);
        Assert.StartsWith("train (90 rows): loss ", Fine("eval", file, "--weights", At("w.safetensors"), "--split", "train", "--data", "moons").Output);
        Fails(2, ["eval", file, "--weights", At("w.safetensors"), "--split", "tset"], "it has train, validation");
        Fails(2, ["eval", file, "--weights", At("w.safetensors"), "--data", "mons"], "did you mean 'moons'?");
    }

    [Fact]
    public void Run_writes_outputs_and_gradients()
    {
        var file = WriteSmall();
        Npy.Write(At("x.npy"), Tensor.Create(new long[,] { { 1, 2 }, { -1, 0 }, { 3, -2 } }));
        Npy.Write(At("y.npy"), Tensor.Create(new float[,] { { 1 }, { 0 }, { 1 } }));
        Fine("init", file, "-o", At("w.safetensors"));
        var outcome = Fine("run", file, "--weights", At("w.safetensors"), "--input", "x=" + At("x.npy"), "y=" + At("y.npy"), "--grad", "loss", "--out", At("r"), "--dtype", "f64", "--json");
        Assert.Equal(4, outcome.Json.GetProperty("gradients").GetInt32());
        Assert.Equal("f64[3, 1]", Npy.Read(At("r", "p.npy")).TypeText);
        Assert.Equal("bool[3, 1]", Npy.Read(At("r", "rounded.npy")).TypeText);
        Assert.Equal("f64[]", Npy.Read(At("r", "loss.npy")).TypeText);
        Assert.Equal(["dense_0.bias", "dense_0.weight", "dense_1.bias", "dense_1.weight"], Weights.Load(At("r", "gradients.safetensors")).Paths);

        // Without weights: the initial ones of the seed. One output alone.
        Fine("run", file, "--input", "x=" + At("x.npy"), "--out", At("s"), "--seed", "42", "--outputs", "p");
        Assert.Equal(["p.npy"], Directory.GetFiles(At("s")).Select(Path.GetFileName));
        Assert.True(Math.Abs(Npy.Read(At("s", "p.npy"))[0, 0] - Npy.Read(At("r", "p.npy"))[0, 0]) < 1e-6);

        // The training graph drops out by the seed.
        Fine("run", file, "--input", "x=" + At("x.npy"), "--out", At("t"), "--training", "--set", "drop=0.9", "--seed", "1");
        Fine("run", file, "--input", "x=" + At("x.npy"), "--out", At("u"), "--training", "--set", "drop=0.9", "--seed", "1");
        Assert.True(Npy.Read(At("t", "p.npy")).BitEquals(Npy.Read(At("u", "p.npy"))));
    }

    [Fact]
    public void Run_explains_what_is_missing()
    {
        var file = WriteSmall();
        Npy.Write(At("x.npy"), Tensor.Create(new float[,] { { 1, 2, 3 } }));
        Fails(2, ["run", file, "--out", At("r")], "the input 'x' has no value: give it with --input x=FILE.npy");
        Fails(2, ["run", file, "--out", At("r"), "--input", "z=" + At("x.npy")], "'z' is no input or target of Small");
        Fails(2, ["run", file, "--out", At("r"), "--input", "x"], "--input takes NAME=FILE.npy, not 'x'");
        Fails(2, ["run", file, "--out", At("r"), "--outputs", "q", "--input", "x=" + At("x.npy")], "'q' is no output of Small");
        Fails(3, ["run", file, "--out", At("r"), "--input", "x=" + At("x.npy")], "x");
        Fails(3, ["run", file, "--out", At("r"), "--input", "x=" + At("no.npy")], "no.npy: there is no such file");
        Npy.Write(At("x.npy"), Tensor.Create(new float[,] { { 1, 2 } }));
        Fails(2, ["run", file, "--out", At("r"), "--grad", "loss", "--input", "x=" + At("x.npy")], "the target 'y' has no value");
        Fails(2, ["run", file, "--out", At("r"), "--grad", "los", "--input", "x=" + At("x.npy")], "did you mean 'loss'?");
    }

    [Fact]
    public void Grad_checks_and_runs_to_the_numbers_of_run()
    {
        var file = WriteSmall();
        Npy.Write(At("x.npy"), Tensor.Create(new double[,] { { 1, 2 }, { -1, 0.5 }, { 3, -2 } }));
        Npy.Write(At("y.npy"), Tensor.Create(new double[,] { { 1 }, { 0 }, { 1 } }));
        Fine("init", file, "-o", At("w.safetensors"), "--dtype", "f64");
        Fine("grad", file, "-o", At("g.dnn"));
        Fine("check", At("g.dnn"));
        string[] inputs = ["--weights", At("w.safetensors"), "--input", "x=" + At("x.npy"), "y=" + At("y.npy"), "--dtype", "f64"];
        Fine(["run", file, .. inputs, "--grad", "loss", "--out", At("r")]);
        Fine(["run", At("g.dnn"), .. inputs, "--out", At("s")]);
        var gradients = Weights.Load(At("r", "gradients.safetensors"));
        foreach (var (path, expected) in gradients)
        {
            var actual = Npy.Read(At("s", $"grad_{ModelPrinter.Identifier(path)}.npy"));
            Assert.Equal(expected.TypeText, actual.TypeText);
            Assert.All(expected.ToArray<double>().Zip(actual.ToArray<double>()), p => Assert.Equal(p.First, p.Second, 1e-14));
        }

        Assert.Contains("grad_x", Fine("grad", file, "--wrt", "x,dense_0").Output);
        Assert.Equal(["grad_dense_1_bias"], Fine("grad", file, "--wrt", "dense_1.bias", "--json").Json.GetProperty("outputs").EnumerateArray().Select(o => o.GetString()));
        Fails(2, ["grad", file, "--wrt", "dense_2"], "has no parameter, layer or input 'dense_2'");
        Fails(2, ["grad", file, "--of", "p"], "no scalar 'p'");
    }

    [Fact]
    public void Summary_counts_parameters_and_operations()
    {
        var file = WriteSmall();
        var text = Fine("summary", file).Output;
        Assert.Contains("dense_0", text);
        Assert.Contains("21 trainable parameters, 0 frozen", text);
        var json = Fine("summary", file, "--json", "--set", "hidden=10").Json;
        Assert.Equal(41, json.GetProperty("trainable").GetInt32());
        Assert.Contains("tensors as planned: ", text);
        Assert.Contains(" for a training step at batch 16, ", text);
        Assert.Equal(16, json.GetProperty("training_batch").GetInt32());
        Assert.True(json.GetProperty("training_bytes").GetInt64() > json.GetProperty("inference_bytes").GetInt64());
        var first = json.GetProperty("layers")[0];
        Assert.Equal(("dense_0", "dense", "[B, 10]", 30, 50), (first.GetProperty("path").GetString(), first.GetProperty("kind").GetString(),
            first.GetProperty("output").GetString(), first.GetProperty("parameters").GetInt32(), first.GetProperty("flops_per_row").GetInt32()));
        Assert.Equal(40, first.GetProperty("activation_bytes_per_row").GetInt32());
    }

    [Theory]
    [InlineData("tokens", "Small")]
    [InlineData("syntax", "(model")]
    [InlineData("bound", "dense")]
    [InlineData("graph", "dot_general(x, dense_0.weight")]
    [InlineData("gradient", "dense_0.weight = ")]
    [InlineData("optimized", "next dense_0.weight = ")]
    [InlineData("plan", "plan f32 B=16")]
    public void Dump_shows_every_stage(string stage, string contains)
    {
        var file = WriteSmall();
        Assert.Contains(contains, Fine("dump", file, "--stage", stage).Output);
        Assert.Equal(stage, Fine("dump", file, "--stage", stage, "--json").Json.GetProperty("stage").GetString());
    }

    [Theory]
    [InlineData("tokens", "Name")]
    [InlineData("syntax", "(model Small")]
    public void Dump_of_a_broken_file_shows_what_there_is_and_fails(string stage, string contains)
    {
        var outcome = Dnn("dump", WriteSmall("broken.dnn", ("sigmoid(0.0), 0.5", "sigmoid(0.0, 0.5")), "--stage", stage);
        Assert.Equal(1, outcome.Code);
        Assert.Contains(contains, outcome.Output);
        Assert.Contains("error[DNN", outcome.Error);
    }

    [Fact]
    public void Gradcheck_passes_at_both_orders()
    {
        var file = WriteSmall();
        Assert.EndsWith("precision)\n", Fine("gradcheck", file, "--samples", "2").Output);
        var json = Fine("gradcheck", file, "--order", "2", "--json").Json;
        Assert.True(json.GetProperty("checks").GetInt32() > 20);
        Assert.Equal(0, json.GetProperty("wrong").GetArrayLength());
    }

    [Fact]
    public void Explain_knows_codes_names_and_options()
    {
        Assert.Contains("over the last axis", Fine("explain", "layer_norm").Output);
        Assert.Contains("Right:", Fine("explain", "DNN0023").Output);
        Assert.Contains("file that cannot be read", Fine("explain", "DNN0000").Output);
        Assert.Contains("train block", Fine("explain", "early_stop", "--json").Json.GetProperty("text").GetString());
        Fails(2, ["explain", "layer_nrm"], "did you mean 'layer_norm'?");
    }

    [Fact]
    public void Calc_evaluates_tabulates_and_plots()
    {
        Assert.Equal("1000.6931471805599", Fine("calc", "logsumexp([1000, 1000])").Output.Trim());
        Assert.Equal("[11.]", Fine("calc", "[1, 2] @ [[3], [4]]").Output.Trim());
        var outcome = Fine("calc", "x ** 2", "--x", "-4..4", "--grad", "--plot", At("f.svg"), "--json");
        var first = System.Text.Json.JsonDocument.Parse(outcome.Lines[0]).RootElement;
        Assert.Equal((-4, 16, -8), (first.GetProperty("x").GetDouble(), first.GetProperty("value").GetDouble(), first.GetProperty("derivative").GetDouble()));
        Assert.Equal(17, outcome.Lines.Length);
        Assert.StartsWith("<svg", File.ReadAllText(At("f.svg")));
        Fails(2, ["calc", "x + 1"], "give its range");
        Fails(2, ["calc", "x", "--x", "4..-4"], "--x takes a range");
        Fails(1, ["calc", "sigmod(1)"], "did you mean 'sigmoid'?", "calc:1:1", " 1 | sigmod(1)");
        Fails(3, ["calc", "x", "--x", "0..1", "--plot", At("none", "f.svg")], "the folder does not exist");
        Fails(2, ["calc", " "], "calc takes an expression");
        Fails(1, ["calc", "1 +"], "expected an expression after '+', found the end of the expression", " 1 | 1 +");
        Fails(1, ["calc", "x @ x", "--x", "0..1"], " 1 | x @ x", "this is []");
        Fails(1, ["calc", "1\nlet b = 2"], "expected the end of the expression after '1'");
        Assert.Equal("1024", Fine("calc", "2 ** 10").Output.Trim());
        Assert.Equal("-3.5", Fine("calc", "-3.5").Output.Trim());
    }

    [Theory]
    [InlineData("train")]
    [InlineData("infer")]
    public void Bench_measures(string mode)
    {
        var json = Fine("bench", WriteSmall(), "--mode", mode, "--batch", "8", "--steps", "20", "--threads", "1", "--json").Json;
        string[] members = ["case", "mode", "threads", "batch", "ms_median", "ms_min", "gflops", "compile_ms", "allocated_bytes_per_step"];
        Assert.Equal(members, json.EnumerateObject().Select(m => m.Name));
        Assert.Equal(("small", mode, 8), (json.GetProperty("case").GetString(), json.GetProperty("mode").GetString(), json.GetProperty("batch").GetInt32()));
        Assert.True(json.GetProperty("ms_median").GetDouble() > 0);
    }
}
