using System.Runtime.CompilerServices;
using Dnn.Testing;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Damaged files: whatever the text is, there are diagnostics or a model, and never an exception.</summary>
public class CompilerRobustnessTests
{
    private static readonly string[] Numbers = ["0", "-1", "1", "2", "7", "0.5", "1e9", "2147483648", "9223372036854775807", "nan", "inf", "[1, 2]", "(1, 2)", "true", "\"a\"", "relu", "None", "x", "50%", "3 steps"];

    private const int Rounds = 40;

    public static TheoryData<string> Sources() => new(
    [
        .. Directory.GetFiles(Fixtures(), "*.dnn").Where(f => string.CompareOrdinal(Path.GetFileName(f), "DNN0100") >= 0).Select(f => Path.GetFileNameWithoutExtension(f)).Order(),
    ]);

    [Theory]
    [MemberData(nameof(Sources))]
    public void A_damaged_fixture_compiles_or_is_diagnosed(string name) =>
        Damage(MarkedSource.Parse(File.ReadAllText(Path.Combine(Fixtures(), name + ".dnn")).Replace("\n// ----\n", "\n", StringComparison.Ordinal)).Source.Text, 0, Rounds);

    [Fact]
    public void A_damaged_sample_compiles_or_is_diagnosed()
    {
        Damage(Samples.TwoMoons, 1, 500);
        Damage(Large, 2, 1500);
    }

    /// <summary>Most constructs once, without errors.</summary>
    internal const string Large = """
        hyper depth: int = 2 in 1..12
        hyper act: layer = gelu
        let eps = 1e-5
        layer swish2(x: [...]) -> [...] { return x * sigmoid(x) }
        layer block(heads: int, drop: float = 0.1, norm: layer = layer_norm(eps))(x: [..., D]) -> [..., D] {
          param w: [D, D] = normal(0.02) * 2, no_decay
          buffer m: [D] = zeros()
          update m = 0.9 * m + 0.1 * mean(reshape(x, [-1, D]), axis = 0)
          require D % heads == 0, "heads must divide D"
          let (a, b) = (x @ w, x - m)
          let h: [..., D] = a + b |> norm |> for i in 0..depth { residual(dense(D) |> act |> dropout(drop * i / depth)) }
          return if training then h else 2 * h
        }
        model M(width: int = 8) {
          input x: [B, T, width]
          target y: int[B]
          let enc = block(2) |> swish2
          let ls = [dense(width) for i in 0..2]
          let h = x |> enc |> enc |> repeat(2, h => tanh(h) + x) |> ls[0] |> ls[-1]
          let logits = h[:, -1] |> dense(3)
          output p = softmax(logits)[:, 1:3]
          loss cross_entropy(logits, y, smoothing = 0.1) as ce
          loss 1e-3 * mean(grad(sum(h ** 2), x) ** 2) as penalty
          metric acc = mean(argmax(logits) == y)
        }
        test "values" {
          let x = [1.0, 2.0]
          let (v, g) = value_and_grad(sum(x * x), x)
          assert close(g, 2 * x) and v == 5
          assert len([i for i in 0..3]) == 3
        }
        """;

    [Fact]
    public void The_large_sample_is_fine() => Assert.All(TestRunner.Run(Compile.Fine(Large)), t => Assert.True(t.Passed));

    private static void Damage(string text, int seed, int rounds)
    {
        var random = new Random(seed);
        var tokens = Parser.Parse(new SourceText(text)).Tokens.Where(t => t.Length > 0).ToArray();
        for (var round = 0; round < rounds; round++)
        {
            var damaged = text;
            var at = tokens[random.Next(tokens.Length)];
            var other = tokens[random.Next(tokens.Length)];
            var inserted = text.Substring(other.Start, other.Length);
            damaged = random.Next(5) switch
            {
                0 => text.Remove(at.Start, at.Length),
                1 => text.Remove(at.Start, at.Length).Insert(at.Start, inserted),
                2 => text.Insert(at.Start, inserted + " "),
                3 => Replaced(TokenKind.Number, Numbers[random.Next(Numbers.Length)]),
                _ => Replaced(TokenKind.Name, Catalog.All[random.Next(Catalog.All.Length)].Name),
            };

            string Replaced(TokenKind kind, string by)
            {
                var some = tokens.Where(t => t.Kind == kind).ToArray();
                var chosen = some.Length == 0 ? at : some[random.Next(some.Length)];
                return text.Remove(chosen.Start, chosen.Length).Insert(chosen.Start, by);
            }

            try
            {
                Compile.Diagnostics(new SourceText(damaged));
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                Assert.Fail($"{e}\n\n{damaged}");
            }
        }
    }

    private static string Fixtures([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "..", "Diagnostics");
}
