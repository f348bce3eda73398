using Xunit;

namespace Dnn.Cli.Tests;

/// <summary>Text from language models: through caches where there is attention, from the whole text otherwise.</summary>
public class SampleTests : Workspace
{
    private string Model(string body, string tokens = "int[B, T]")
    {
        Write("text.txt", string.Concat(Enumerable.Repeat("abcd", 60)));
        return Write("lm.dnn", $$"""
            model Lm {
              input  tokens: {{tokens}}
              target next: {{tokens}}
              let logits = tokens |> {{body}} |> dense(4)
              output p = softmax(logits)
              loss   cross_entropy(logits, next)
            }
            data letters = text("text.txt", context = 8, tokens = "chars") {
              split train = 100%
            }
            train Lm() on letters {
              optimizer adam(lr = 0.02)
              batch     8
              epochs    20
              seed      3
            }
            """);
    }

    private (string File, string Weights) Trained(string body, string tokens = "int[B, T]")
    {
        var file = Model(body, tokens);
        Fine("train", file, "--out", At("run"), "--quiet");
        return (file, At("run", "best.safetensors"));
    }

    [Fact]
    public void Sample_continues_a_text_through_the_cache()
    {
        var (file, weights) = Trained("embedding(4, 8) |> positional_embedding(8) |> transformer_block(2, causal = true, cache = 8) |> layer_norm()");
        Assert.Equal("abcdabcd\n", Fine("sample", file, "--weights", weights, "--prompt", "ab", "--tokens", "6", "--temperature", "0").Output);
        var ends = Fine("sample", file, "--weights", weights, "--prompt", "abc", "--temperature", "0");
        Assert.Equal("abcdabcd\n", ends.Output);
        Assert.Contains("the model holds 8 tokens, so the text ends after 5 more", ends.Error);
        string[] bold = ["sample", file, "--weights", weights, "--prompt", "a", "--tokens", "7", "--temperature", "20", "--json"];
        var once = Fine([.. bold, "--seed", "1"]);
        Assert.Equal(once.Output, Fine([.. bold, "--seed", "1"]).Output);
        Assert.NotEqual(once.Output, Fine([.. bold, "--seed", "2"]).Output);
        Assert.Equal(8, once.Json.GetProperty("text").GetString()!.Length);
        Assert.Contains("'x' at place 2", Fails(3, ["sample", file, "--weights", weights, "--prompt", "ax"]).Error);
        Assert.Contains("the prompt has 9 tokens", Fails(2, ["sample", file, "--weights", weights, "--prompt", "abcdabcda"]).Error);
    }

    [Fact]
    public void Sample_carries_the_state_of_a_recurrence()
    {
        var (file, weights) = Trained("embedding(4, 8) |> lstm(12)");
        Assert.Equal("abcdabcdabcdabcdabcd\n", Fine("sample", file, "--weights", weights, "--prompt", "ab", "--tokens", "18", "--temperature", "0").Output);
    }

    [Fact]
    public void Sample_goes_over_the_whole_text_where_nothing_is_carried()
    {
        var (file, weights) = Trained("embedding(4, 8) |> conv1d(8, 2, padding = ((1, 0),)) |> relu", "int[B, 8]");
        Assert.Equal("bcdabcd\n", Fine("sample", file, "--weights", weights, "--prompt", "b", "--tokens", "6", "--temperature", "0").Output);
    }

    [Fact]
    public void Sample_says_what_is_no_language_model()
    {
        var (file, weights) = Trained("embedding(4, 8) |> transformer_block(2, causal = true)");
        Assert.Contains("cache = 256", Fails(1, ["sample", file, "--weights", weights, "--prompt", "a"]).Error);
        Fine("init", WriteSmall(), "-o", At("w.safetensors"));
        Assert.Contains("no language model", Fails(1, ["sample", At("small.dnn"), "--weights", At("w.safetensors")]).Error);
        Assert.Contains("--temperature takes a number from 0", Fails(2, ["sample", file, "--weights", weights, "--temperature", "-1"]).Error);
    }
}
