using System.Text;
using System.Text.Json;
using Dnn.Backend;
using Xunit;

namespace Dnn.Cli.Tests;

public class TrainTests : Workspace
{
    [Fact]
    public void Train_writes_the_run()
    {
        var outcome = Fine("train", WriteSmall(), "--out", At("run"));
        Assert.Matches("^best epoch [1-4]: train loss .*; validation loss .*, accuracy ", outcome.Output);
        Assert.Contains("epoch 4, step 24: train loss ", outcome.Error);
        Assert.Equal(["best.safetensors", "curves.svg", "metrics.jsonl"], Directory.GetFiles(At("run")).Select(Path.GetFileName).Order());
        Assert.Equal(["state.safetensors"], Directory.GetFiles(At("run", "last")).Select(Path.GetFileName));
        var records = Records("run");
        Assert.Equal(8, records.Length);
        Assert.Equal(["epoch", "step", "split", "loss", "accuracy", "lr", "seconds"], records[0].EnumerateObject().Select(m => m.Name));
        Assert.Equal(["train", "validation"], records.Take(2).Select(r => r.GetProperty("split").GetString()));
        Assert.Contains("<polyline", File.ReadAllText(At("run", "curves.svg")));

        // What was trained is what eval measures.
        var best = records.Where(r => r.GetProperty("split").GetString() == "validation").Min(r => r.GetProperty("loss").GetDouble());
        var loss = Fine("eval", At("small.dnn"), "--weights", At("run", "best.safetensors"), "--json").Json.GetProperty("loss").GetDouble();
        Assert.Equal(best, loss, 1e-6);
    }

    [Fact]
    public void Json_gives_the_records_and_quiet_nothing()
    {
        var file = WriteSmall();
        var outcome = Fine("train", file, "--out", At("run"), "--json");
        Assert.Equal(File.ReadAllLines(At("run", "metrics.jsonl")), outcome.Lines);
        var quiet = Fine("train", file, "--out", At("run"), "--quiet");
        Assert.Equal(("", ""), (quiet.Output, quiet.Error));
    }

    [Theory]
    [InlineData("--epochs", "2", 12)]
    [InlineData("--steps", "9", 9)]
    [InlineData("--steps", "30", 30)]
    public void The_command_line_sets_the_limit(string option, string value, long steps)
    {
        Fine("train", WriteSmall(), "--out", At("run"), option, value);
        Assert.Equal(steps, Records("run")[^1].GetProperty("step").GetInt64());
    }

    [Fact]
    public void Options_reach_the_run()
    {
        var file = WriteSmall();
        Fine("train", file, "--out", At("a"), "--epochs", "1", "--seed", "1", "--dtype", "f64", "--set", "hidden=7", "--set", "train.batch=45", "--threads", "1", "--provider", "mathnet");
        Assert.Equal(2, Records("a")[^1].GetProperty("step").GetInt64());
        Assert.Equal("f64[2, 7]", Weights.Load(At("a", "best.safetensors"))["dense_0.weight"].TypeText);
        Fine("train", file, "--out", At("b"), "--epochs", "1", "--weights", At("a", "best.safetensors"), "--set", "hidden=7");
        Fails(2, ["train", file, "--out", At("b"), "--resume", "--weights", At("a", "best.safetensors")], "--resume");
    }

    [Fact]
    public void Threads_change_no_bit()
    {
        var file = WriteSmall();
        Fine("train", file, "--out", At("a"), "--threads", "1");
        Fine("train", file, "--out", At("b"), "--threads", "2");
        Assert.Equal(File.ReadAllBytes(At("a", "best.safetensors")), File.ReadAllBytes(At("b", "best.safetensors")));
        Assert.Equal(File.ReadAllBytes(At("a", "last", "state.safetensors")), File.ReadAllBytes(At("b", "last", "state.safetensors")));
    }

    [Fact]
    public void A_bar_changes_no_result()
    {
        var file = WriteSmall();
        Fine("train", file, "--out", At("a"));
        using StringWriter output = new(), error = new();
        var terminal = new Terminal(output, error, () => default) { IsInteractive = true };
        Assert.Equal(0, Cli.Run(["train", file, "--out", At("b")], terminal));
        Assert.Contains("best epoch", output.ToString());
        Same("a", "b");
    }

    [Fact]
    public void A_dry_run_writes_nothing()
    {
        var file = WriteSmall();
        Assert.Contains("ready", Fine("train", file, "--out", At("run"), "--dry-run").Output);
        Assert.False(Directory.Exists(At("run")));
        var plan = Fine("train", file, "--out", At("run"), "--dry-run", "--json").Json;
        Assert.Equal((24, 21), (plan.GetProperty("steps").GetInt32(), plan.GetProperty("parameters").GetInt32()));
    }

    [Fact]
    public void An_interrupted_run_resumes_to_the_same_bits()
    {
        var file = WriteSmall();
        Fine("train", file, "--out", At("whole"));
        var outcome = Interrupt("epoch 2,", "train", file, "--out", At("parts"));
        Assert.Equal(130, outcome.Code);
        Assert.Contains("--resume` goes on", outcome.Error);
        Assert.Equal(4, Records("parts").Length);

        // What a killed process left behind the checkpoint is taken away.
        File.AppendAllText(At("parts", "metrics.jsonl"), "{\"epoch\":3,\"step\":");
        var resumed = Fine("train", file, "--out", At("parts"), "--resume");
        Assert.Contains("resuming after step 12 of 24", resumed.Error);
        Same("whole", "parts");
    }

    [Fact]
    public void A_run_that_is_interrupted_at_once_resumes()
    {
        var file = WriteSmall();
        Assert.Equal(130, Dnn(new CancellationToken(canceled: true), "train", file, "--out", At("parts")).Code);
        Fine("train", file, "--out", At("parts"), "--resume");
        Fine("train", file, "--out", At("whole"));
        Same("whole", "parts");
    }

    [Fact]
    public void A_finished_run_resumes_to_itself_and_a_new_one_replaces_it()
    {
        var file = WriteSmall();
        Fine("train", file, "--out", At("run"));
        var before = File.ReadAllBytes(At("run", "best.safetensors"));
        Assert.Contains("best epoch", Fine("train", file, "--out", At("run"), "--resume").Output);
        Assert.Equal(before, File.ReadAllBytes(At("run", "best.safetensors")));
        Assert.Contains($"replacing the run in {At("run")}", Fine("train", file, "--out", At("run"), "--epochs", "1").Error);
        Assert.Equal(2, Records("run").Length);
    }

    [Fact]
    public void Resuming_needs_the_same_run()
    {
        var file = WriteSmall();
        Fails(3, ["train", file, "--out", At("none"), "--resume"], "there is no run to resume");
        Fine("train", file, "--out", At("run"), "--epochs", "1");
        Fails(3, ["train", file, "--out", At("run"), "--resume", "--seed", "1", "--dtype", "f64"], "seed is 42 there and 1 here", "dtype is f32 there and f64 here");
        Fails(3, ["train", file, "--out", At("run"), "--resume", "--set", "hidden=9"], "hidden is 5 there and 9 here", "--set hidden=5");
        File.Delete(At("run", "best.safetensors"));
        Fails(3, ["train", file, "--out", At("run"), "--resume"], "the best weights of the run are missing");
    }

    [Fact]
    public void Hyperparameters_are_held_against_the_values_that_weights_were_trained_with()
    {
        var file = WriteSmall();
        Fine("train", file, "--out", At("run"), "--epochs", "1", "--set", "hidden=2*3");
        Fine("eval", file, "--weights", At("run", "best.safetensors"), "--set", "hidden=6");
        Fails(3, ["eval", file, "--weights", At("run", "best.safetensors"), "--set", "hidden=7"], "hidden is 6 there and 7 here", "--set hidden=6");
    }

    [Fact]
    public void Checkpoints_and_records_of_steps_are_kept_and_a_run_goes_on_within_an_epoch()
    {
        var file = WriteSmall();
        string[] options = ["--set", "train.checkpoint=5 steps", "--set", "train.checkpoint.keep=2", "--set", "train.log=2 steps", "--set", "train.ema=0.9", "--set", "train.batch=15"];
        Fine(["train", file, "--out", At("whole"), .. options]);
        Assert.Equal(["step-000015.safetensors", "step-000020.safetensors"], Directory.GetFiles(At("whole", "checkpoints")).Select(Path.GetFileName).Order());
        var records = Records("whole");
        Assert.Equal([2, 4, 6, 6, 6], records.Take(5).Select(r => r.GetProperty("step").GetInt32()));
        Assert.Equal([true, true, true, false, false], records.Take(5).Select(r => r.TryGetProperty("partial", out _)));
        Assert.Contains(">step<", File.ReadAllText(At("whole", "curves.svg")));

        // Within the second epoch, and its averages.
        Assert.Equal(130, Interrupt("step 10:", ["train", file, "--out", At("parts"), .. options]).Code);
        Assert.Equal(10, Weights.Load(At("parts", "last", "state.safetensors"))["step"].ToScalar());
        Fine(["train", file, "--out", At("parts"), "--resume", .. options]);
        Same("whole", "parts");
        Fine(["eval", file, "--weights", At("whole", "checkpoints", "step-000020.safetensors")]);

        Fine(["train", file, "--out", At("epochs"), "--set", "train.checkpoint=2"]);
        Assert.Equal(["epoch-0002.safetensors", "epoch-0004.safetensors"], Directory.GetFiles(At("epochs", "checkpoints")).Select(Path.GetFileName).Order());
        Fine(["train", file, "--out", At("epochs"), "--epochs", "1"]);
        Assert.Empty(Directory.GetFiles(At("epochs", "checkpoints")));
    }

    [Fact]
    public void A_new_head_is_trained_on_old_features()
    {
        var old = WriteSmall();
        Fine("train", old, "--out", At("old"), "--epochs", "2");
        var file = Write("new.dnn", File.ReadAllText(old).Replace("model Small", "model New").Replace("train Small", "train New")
            .Replace("dense(1)", "dense(6) |> tanh |> dense(1)").Replace("  seed ", $"  start_from \"{At("old", "best.safetensors").Replace('\\', '/')}\" only \"dense_0.*\"\n  freeze dense_0\n  seed "));
        var outcome = Fine("train", file, "--out", At("new"), "--epochs", "1");
        Assert.Contains("2 of 6 tensors of the model loaded", outcome.Error);
        Assert.Contains("not loaded: dense_1.bias, dense_1.weight (not asked for by `only`)", outcome.Error);
        Assert.Contains("initialized as usual: dense_1.weight", outcome.Error);
        Assert.True(Weights.Load(At("new", "best.safetensors"))["dense_0.weight"].BitEquals(Weights.Load(At("old", "best.safetensors"))["dense_0.weight"]));
        Assert.Equal("dense_0.bias", Fine("train", file, "--out", At("new"), "--dry-run", "--json").Json.GetProperty("loaded")[0].GetString());

        // What is resumed needs the file no more; it is looked for beside the .dnn file.
        File.Delete(At("old", "best.safetensors"));
        Fine("train", file, "--out", At("new"), "--resume", "--epochs", "2");
        Fails(3, ["train", file, "--out", At("new")], "there is no such file");
    }

    [Fact]
    public void Precision_of_the_file_gives_way_to_the_command_line()
    {
        var file = WriteSmall();
        Fine("train", file, "--out", At("a"), "--epochs", "1", "--set", "train.precision=f64");
        Assert.Equal("f64", Weights.Load(At("a", "best.safetensors"))["dense_0.weight"].TypeText[..3]);
        Fine("train", file, "--out", At("b"), "--epochs", "1", "--set", "train.precision=f64", "--dtype", "f32");
        Assert.Equal("f32", Weights.Load(At("b", "best.safetensors"))["dense_0.weight"].TypeText[..3]);
    }

    [Fact]
    public void A_value_that_is_not_finite_stops_and_keeps_the_last_checkpoint()
    {
        // w goes from 1 down by 0.3 a step, until its logarithm is no number.
        var file = Write("nan.dnn", """
            dnn 1

            layer odd()(x: [B, D]) -> [B, D] {
              param w: [] = 1.0
              return x * 0.001 * log(w) + w
            }

            model Falls {
              input  x: [B, 2]
              target y: [B, 1]
              let part = odd()
              loss mean(part(x)) + 0 * mean(y)
            }

            data moons = two_moons(samples = 120, seed = 7) { split train = 75%, validation = 25% }

            train Falls() on moons {
              optimizer sgd(lr = 0.3)
              batch     90
              epochs    200
            }
            """);
        var outcome = Dnn("train", file, "--out", At("run"));
        Assert.Equal(3, outcome.Code);
        Assert.Contains("training stopped in epoch 5, step 5: the loss is not finite; the first value that is not finite is nan, made by `log` in part at ", outcome.Error);
        Assert.Contains("return x * 0.001 * log(w) + w", outcome.Error);
        Assert.Contains("^^^^^^", outcome.Error);
        Assert.Equal(8, Records("run").Length);
        Assert.Equal(4, Weights.Load(At("run", "last", "state.safetensors"))["step"].ToScalar());
        Assert.True(double.IsFinite(Weights.Load(At("run", "best.safetensors"))["part.w"].ToScalar()));
    }

    /// <summary>Two runs that are the same but for the time they took.</summary>
    private void Same(string a, string b)
    {
        Assert.Equal(File.ReadAllBytes(At(a, "best.safetensors")), File.ReadAllBytes(At(b, "best.safetensors")));
        Assert.Equal(File.ReadAllBytes(At(a, "last", "state.safetensors")), File.ReadAllBytes(At(b, "last", "state.safetensors")));
        Assert.Equal(Records(a).Select(Timeless), Records(b).Select(Timeless));

        static string Timeless(JsonElement record) => string.Join(",", record.EnumerateObject().Where(m => m.Name != "seconds").Select(m => m.ToString()));
    }

    private JsonElement[] Records(string run) => [.. File.ReadLines(At(run, "metrics.jsonl")).Select(l => JsonDocument.Parse(l).RootElement)];

    /// <summary>Runs a command that is interrupted when it has written some text.</summary>
    private static Outcome Interrupt(string when, params string[] args)
    {
        using var source = new CancellationTokenSource();
        using var output = new StringWriter();
        using var error = new Watch(when, source);
        return new Outcome(Cli.Run(args, output, error, source.Token), output.ToString(), error.ToString());
    }

    private sealed class Watch(string text, CancellationTokenSource source) : StringWriter
    {
        public override Encoding Encoding => Encoding.UTF8;

        public override void WriteLine(string? value)
        {
            base.WriteLine(value);
            if (value?.Contains(text, StringComparison.Ordinal) == true)
                source.Cancel();
        }
    }
}
