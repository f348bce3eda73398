using System.Text.Json;
using Dnn.Backend;
using Dnn.Testing;
using Xunit;

namespace Dnn.Cli.Tests;

/// <summary>What a command wrote and returned.</summary>
public sealed record Outcome(int Code, string Output, string Error)
{
    public string[] Lines => Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    public JsonElement Json => JsonDocument.Parse(Output).RootElement;
}

/// <summary>A folder of its own for each test, in which commands run in process.</summary>
public abstract class Workspace : IDisposable
{
    /// <summary>Learns y = x₀ > x₁ in a moment.</summary>
    protected const string Small = """
        dnn 1

        model Small(hidden: int = 4, drop: float = 0.1) {
          input  x: [B, 2]
          target y: [B, 1]

          let logit = x |> dense(hidden) |> tanh |> dropout(drop) |> dense(1)

          output p = sigmoid(logit)
          output rounded = p > 0.5
          loss   bce_with_logits(logit, y)
          metric accuracy = mean((p > 0.5) == (y > 0.5))
        }

        data moons = two_moons(samples = 120, noise = 0.1, seed = 7) {
          split train = 75%, validation = 25%
        }

        train Small(hidden = 5) on moons {
          optimizer adam(lr = cosine(peak = 0.02))
          batch     16
          epochs    4
          seed      42
        }

        test "half" {
          assert close(sigmoid(0.0), 0.5)
        }

        """;

    private readonly string folder = Directory.CreateTempSubdirectory("dnn-cli-").FullName;

    protected string Example(string name) => RepoRoot.Combine("examples", name);

    protected string At(params string[] parts) => Path.Combine([folder, .. parts]);

    protected string Write(string name, string text)
    {
        File.WriteAllText(At(name), text);
        return At(name);
    }

    /// <summary>Writes the small model, perhaps with other text in some places.</summary>
    protected string WriteSmall(string name = "small.dnn", params (string Old, string New)[] changes)
    {
        var text = Small;
        foreach (var (old, replacement) in changes)
        {
            Assert.Contains(old, text);
            text = text.Replace(old, replacement, StringComparison.Ordinal);
        }

        return Write(name, text);
    }

    protected static Outcome Dnn(params string[] args) => Dnn(CancellationToken.None, args);

    protected static Outcome Dnn(CancellationToken cancellation, params string[] args)
    {
        using StringWriter output = new(), error = new();
        var code = Cli.Run(args, output, error, cancellation);
        var result = new Outcome(code, output.ToString(), error.ToString());
        Assert.DoesNotContain("   at ", result.Error);
        Assert.DoesNotContain("Exception", result.Error);
        return result;
    }

    /// <summary>Runs a command that must succeed.</summary>
    protected static Outcome Fine(params string[] args)
    {
        var outcome = Dnn(args);
        Assert.True(outcome.Code == 0, $"exit {outcome.Code}: {outcome.Output}{outcome.Error}");
        return outcome;
    }

    /// <summary>Runs a command that must fail with a code and say all of some things.</summary>
    protected static Outcome Fails(int code, string[] args, params string[] says)
    {
        var outcome = Dnn(args);
        Assert.True(outcome.Code == code, $"exit {outcome.Code}, not {code}: {outcome.Output}{outcome.Error}");
        foreach (var text in says)
            Assert.Contains(text, outcome.Error);
        return outcome;
    }

    protected static void SaveVector(string path, params double[] values) => Npy.Write(path, Tensor.Create(values));

    public void Dispose()
    {
        Directory.Delete(folder, recursive: true);
        GC.SuppressFinalize(this);
    }
}
