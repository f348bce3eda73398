using System.Runtime.CompilerServices;
using System.Text;
using Dnn.Graph;
using Dnn.Testing;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>
/// Each rule has a file beside this one with sources divided by a line <c>// ----</c>: a rule fires at the marks, and where nothing is marked it must not. Nothing else is
/// found in any of them.
/// </summary>
public class LintTests
{
    private const string Divider = "\n// ----\n";

    public static TheoryData<string> Codes() => [.. LintRows.Select(r => r.Code)];

    public static string[] Cases(string code) => File.ReadAllText(Fixture(code)).TrimEnd('\n').Split(Divider);

    private static IEnumerable<DiagnosticDescriptor> LintRows => DiagnosticCodes.All.Where(r => string.CompareOrdinal(r.Code, "DNN1000") >= 0);

    [Fact]
    public void The_rules_are_those_of_the_language() =>
        Assert.Equal(Enumerable.Range(1001, 15).Select(i => $"DNN{i}"), LintRows.Select(r => r.Code));

    [Theory]
    [MemberData(nameof(Codes))]
    public void A_rule_fires_at_the_marks_and_nowhere_else(string code)
    {
        var cases = Cases(code);
        Assert.True(cases.Count(c => c.Contains("[|", StringComparison.Ordinal)) >= 2 && cases.Count(c => !c.Contains("[|", StringComparison.Ordinal)) >= 2, $"{code} needs two cases of each kind");
        foreach (var text in cases)
        {
            var marked = MarkedSource.Parse(text);
            var found = Check(marked.Source);
            var shown = new DiagnosticFormatter().Format(found);
            Assert.True(found.All(d => d.Code == code), $"{text}\n\n{shown}");
            Assert.True(found.Select(d => d.Span).SequenceEqual(marked.Spans), $"{text}\n\nbut found\n\n{MarkedSource.Show(marked.Source, found.Select(d => d.Span))}\n\n{shown}");
        }
    }

    [Theory]
    [MemberData(nameof(Codes))]
    public void Examples_do_what_the_table_says(string code)
    {
        var row = DiagnosticCodes.Find(code)!;
        var found = Check(new SourceText(row.Bad));
        Assert.True(found is [{ } only] && only.Code == code, $"{row.Bad}\n\n{new DiagnosticFormatter().Format(found)}");
        found = Check(new SourceText(row.Good));
        Assert.True(found.Count == 0, $"{row.Good}\n\n{new DiagnosticFormatter().Format(found)}");
    }

    [Theory]
    [MemberData(nameof(Codes))]
    public void A_comment_with_a_reason_silences_a_rule(string code)
    {
        var row = DiagnosticCodes.Find(code)!;
        var place = Check(new SourceText(row.Bad)).First(d => d.Code == code).Span;
        var line = place.Source.Line(place.Source.LineAt(place.Start)).Start;
        var found = Check(new SourceText(row.Bad.Insert(line, $"// dnn: allow {code} on purpose\n")));
        Assert.DoesNotContain(found, d => d.Code == code && d.Span.Text == place.Text);
        Assert.DoesNotContain(found, d => string.CompareOrdinal(d.Code, "DNN1000") < 0);
    }

    [Theory]
    [MemberData(nameof(Codes))]
    public void A_finding_carries_a_number_and_a_model_needs_no_text(string code)
    {
        var row = DiagnosticCodes.Find(code)!;
        var result = Compile.Fine(row.Bad);
        var chosen = result.Models[0];
        var findings = Linter.Run(chosen.Model!, new LintOptions { Recipe = chosen.Recipe, Schema = chosen.Schema });
        Assert.All(findings, f => Assert.False(double.IsNaN(f.Number), f.ToString()));

        // What a model that was composed in C# has: layers without places in a text.
        var provenance = new Provenance();
        var open = new Stack<Scope>();
        foreach (var scope in chosen.Model!.Scopes.Append(null))
        {
            while (open.TryPeek(out var top) && scope?.Parent != top)
            {
                foreach (var output in open.Pop().Outputs)
                    provenance.Record(output, null, top);
            }

            if (scope is null)
                continue;
            foreach (var x in scope.Inputs.Where(x => provenance.Find(x) is null))
                provenance.Record(x, null, scope.Parent);
            open.Push(scope);
        }

        var eager = Linter.Run(chosen.Model! with { Provenance = provenance }, new LintOptions { Recipe = chosen.Recipe, Schema = chosen.Schema });
        Assert.Contains(eager, f => f.Code == code);
    }

    [Fact]
    public void The_document_of_the_rules_is_up_to_date()
    {
        var text = new StringBuilder("""
            # Lint

            `dnn lint FILE…` reads the graph of each model, its layers and initializers, and finds what will train badly before anything runs; `dnn check` says it, too, and
            `Linter.Run(model)` for models from C# and F#. Each finding carries the number behind it. Sizes of activations and gradients are predictions: mean-field theory at
            initialization, for N(0, 1) inputs, which `dnn diagnose FILE` holds against what it measures.

            A warning is silenced by a comment on the line above, with a reason: `// dnn: allow DNN1001 a factorization on purpose`. `dnn fix FILE…` (or `dnn lint --fix`) applies
            the fixes that keep the meaning, and no others: a second run changes nothing. `dnn lint --strict` ends with 1 where there are warnings.
            The derivative that `dnn grad` prints is no architecture, and gets no findings.

            This text is made from the rules themselves, in `src/Dsl/Lint`; the tests keep it true.

            """.ReplaceLineEndings("\n"));
        foreach (var row in LintRows)
        {
            text.Append($"\n## {row.Code}: {row.Title}\n\n{(row.Severity == Severity.Note ? "A note. " : "")}{row.Explanation}\n");
            text.Append($"\n```dnn\n// {row.Code}\n{row.Bad}\n```\n\n```dnn\n// fine\n{row.Good}\n```\n");
        }

        var path = RepoRoot.Combine("docs", "lint.md");
        if (Environment.GetEnvironmentVariable("DNN_UPDATE_GOLDEN") == "1")
            File.WriteAllText(path, text.ToString());
        Assert.Equal(text.ToString(), File.ReadAllText(path));
    }

    [Fact]
    public void The_beginners_network_gets_exactly_two_findings()
    {
        var found = Check(new SourceText("""
            model Beginner {
              input  x: [B, 20]
              target y: int[B]
              let p = x |> dense(64) |> relu |> dropout(0.5) |> batch_norm() |> dense(10) |> softmax
              output p = p
              loss cross_entropy(p, y)
            }
            """));
        Assert.Equal(["DNN1007", "DNN1005"], found.Select(d => d.Code));
    }

    /// <summary>What a finding proposes, and whether `--fix` may do it: only what keeps the function.</summary>
    [Theory]
    [InlineData(true, "loss bce(sigmoid(x |> dense(1)), v)", "loss bce_with_logits(x |> dense(1), v)")]
    [InlineData(true, "loss nll(log(softmax(x |> dense(3))), y)", "loss cross_entropy(x |> dense(3), y)")]
    [InlineData(true, "loss cross_entropy(log_softmax(x |> dense(3)), y, smoothing = 0.1)", "loss cross_entropy(x |> dense(3), y, smoothing = 0.1)")]
    [InlineData(false, "loss cross_entropy(softmax(x |> dense(3)), y)", "loss cross_entropy(x |> dense(3), y)")]
    [InlineData(true, "output o = x |> dense(4) |> batch_norm() |> relu |> dense(1)", "output o = x |> dense(4, bias = false) |> batch_norm() |> relu |> dense(1)")]
    [InlineData(true, "let idle = dense(3)\n  output o = x |> dense(1)", "output o = x |> dense(1)")]
    [InlineData(null, "let idle = dense(3)\n  let other = frozen(idle)\n  output o = x |> dense(1)", "")]
    [InlineData(false, "output o = x |> residual(dense(8) |> relu |> dense(8)) |> relu", "output o = x |> residual(dense(8) |> relu |> dense(8), zero = true) |> relu")]
    [InlineData(false, "output o = x |> dense(64, init = normal(2)) |> relu |> dense(1)", "output o = x |> dense(64, init = auto) |> relu |> dense(1)")]
    [InlineData(false, "output o = t |> embedding(5, 8) |> attention(2) |> relu", "output o = t |> embedding(5, 8) |> attention(2, rope = true) |> relu")]
    public void What_a_finding_proposes_silences_it(bool? isSafe, string body, string expected)
    {
        string Text(string statements) => $"model M {{\n  input x: [B, 8]\n  input t: int[B, T]\n  target y: int[B]\n  target v: [B, 1]\n  output x = x + 0 * sum(t)\n  {statements}\n}}\n";
        var source = new SourceText(Text(body));
        var fix = Assert.Single(Check(source)).Fix;
        Assert.Equal(isSafe, fix?.IsSafe);
        if (fix is null)
            return;
        var repaired = source.Text[..fix.Span.Start] + fix.Replacement + source.Text[fix.Span.End..];
        Assert.Equal(Text(expected), repaired);
        Assert.Empty(Check(new SourceText(repaired)));
        Assert.Equal(isSafe == true ? repaired : source.Text, Fixer.Apply(source).Text);
    }

    [Fact]
    public void A_line_of_a_train_block_that_is_wrong_can_be_taken_out()
    {
        var source = new SourceText(DiagnosticCodes.Find("DNN1015")!.Bad.Replace("  loss 1e-4 * l2(params())\n", "", StringComparison.Ordinal)
            + "\ndata d = two_moons()\ntrain M() on d {\n  optimizer adamw(0.01, weight_decay = 0.1)\n  weight_decay_on all\n}\n");
        var fix = Assert.Single(Check(source)).Fix!;
        Assert.Equal(("  weight_decay_on all\n", "", false), (fix.Span.Text, fix.Replacement, fix.IsSafe));
    }

    [Fact]
    public void A_model_in_CSharp_is_linted_too()
    {
        var model = Model.Build("Beginner", m =>
        {
            var x = m.Input("x", "B", 20);
            var y = m.Target("y", DType.I64, "B");
            var p = x.Dense(64).Relu().Dropout(0.5).BatchNorm().Dense(10).Softmax();
            m.Output("p", p);
            m.Loss(Losses.CrossEntropy(p, y));
        });
        Assert.Equal(["DNN1005", "DNN1007"], Linter.Run(model).Select(f => f.Code).Order());
    }

    [Fact]
    public void Examples_of_the_repository_are_clean()
    {
        foreach (var file in Directory.GetFiles(RepoRoot.Combine("examples"), "*.dnn", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            var result = Compiler.Compile(file);
            if (result.HasErrors)
                continue;
            var found = Linter.Check(result);
            Assert.True(found.All(d => d.Severity == Severity.Note), $"{file}\n{new DiagnosticFormatter().Format(found)}");
        }
    }

    [Fact]
    public void Standard_networks_are_clean()
    {
        var found = Check(new SourceText("""
            import std.resnet (resnet, stem)
            model ResNet18 {
              input x: [B, 64, 64, 3]
              target y: int[B]
              loss cross_entropy(x |> stem() |> resnet() |> dense(10), y)
            }
            model ResNet50 {
              input x: [B, 64, 64, 3]
              target y: int[B]
              loss cross_entropy(x |> stem() |> resnet([3, 4, 6, 3], bottlenecks = true) |> dense(10), y)
            }
            model Encoder {
              input t: int[B, 32]
              target y: int[B]
              let h = t |> embedding(100, 64) |> positional_embedding(32) |> for i in 0..6 { transformer_block(4, dropout = 0.1) } |> layer_norm()
              let logits = h[:, 0] |> dense(10)
              output p = softmax(logits)
              loss cross_entropy(logits, y)
            }
            model Decoder {
              input t: int[B, 32]
              target next: int[B, 32]
              let h = t |> embedding(100, 64) |> for i in 0..8 { transformer_block(4, causal = true, rope = true, norm = rms_norm()) } |> rms_norm()
              loss cross_entropy(h |> dense(100), next)
            }
            model FirstTransformer {
              input x: [B, 32, 64]
              output y = x |> sinusoidal_positions() |> for i in 0..6 {
                residual(attention(4)) |> layer_norm() |> residual(dense(256) |> relu |> dense(64)) |> layer_norm()
              } |> dense(10)
            }
            """));
        Assert.True(found.Count == 0, new DiagnosticFormatter().Format(found));
    }

    [Fact]
    public void Only_allowances_above_the_line_count()
    {
        const string Text = "model M {\n  input x: [B, 8]\n  output y = x\n    |> dense(32)\n    // dnn: allow DNN1001 two comments may stand above\n    // a line\n    |> dense(4)\n}\n";
        Assert.Empty(Check(new SourceText(Text)));
        Assert.Single(Check(new SourceText(Text.Replace("    // a line\n", "\n", StringComparison.Ordinal))));
        Assert.Single(Check(new SourceText(Text.Replace("DNN1001", "DNN1002", StringComparison.Ordinal))));
    }

    private static IReadOnlyList<Diagnostic> Check(SourceText source) => Linter.Check(Compiler.Compile(source));

    private static string Fixture(string code, [CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, code + ".dnn");
}
