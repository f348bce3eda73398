using System.Runtime.CompilerServices;
using Dnn.Testing;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>The codes from DNN0100 on, as <see cref="DiagnosticTests"/> for syntax: a line <c>--set name=value</c> in a comment is obeyed.</summary>
public class CompilerDiagnosticTests
{
    private const string Divider = "\n// ----\n";

    /// <summary>Its place is the command line, not the file.</summary>
    private const string OnCommandLine = "DNN0121";

    public static TheoryData<string> Codes() =>
        new(DiagnosticCodes.All.Select(c => c.Code).Where(c => string.CompareOrdinal(c, "DNN0100") >= 0 && string.CompareOrdinal(c, "DNN1000") < 0));

    [Theory]
    [MemberData(nameof(Codes))]
    public void Marked_sources_raise_the_code_at_their_marks(string code)
    {
        foreach (var text in File.ReadAllText(Fixture(code)).TrimEnd('\n').Split(Divider))
        {
            var marked = MarkedSource.Parse(text);
            var found = Compile.Diagnostics(marked.Source, Options(text));
            var shown = new DiagnosticFormatter().Format(found);
            Assert.True(found.Count > 0 && found.All(d => d.Code == code), $"{text}\n\n{shown}");
            if (code == OnCommandLine)
                continue;
            Assert.True(found.Select(d => d.Span).SequenceEqual(marked.Spans), $"{text}\n\nbut found\n\n{MarkedSource.Show(marked.Source, found.Select(d => d.Span))}\n\n{shown}");
        }
    }

    [Theory]
    [MemberData(nameof(Codes))]
    public void Examples_do_what_the_table_says(string code)
    {
        var row = DiagnosticCodes.Find(code)!;
        Assert.Equal([code], Compile.Diagnostics(new(row.Bad), Options(row.Bad)).Select(d => d.Code));
        Assert.Empty(Compile.Diagnostics(new(row.Good), Options(row.Good)));
    }

    [Theory]
    [MemberData(nameof(Codes))]
    public void Fixes_repair_what_they_are_for(string code)
    {
        foreach (var text in File.ReadAllText(Fixture(code)).TrimEnd('\n').Split(Divider))
        {
            var source = MarkedSource.Parse(text).Source;
            var found = Compile.Diagnostics(source, Options(text));
            foreach (var fix in found.Select(d => d.Fix).OfType<Fix>().Where(f => f.Span.Source == source))
            {
                var repaired = source.Text[..fix.Span.Start] + fix.Replacement + source.Text[fix.Span.End..];
                Assert.True(Compile.Diagnostics(new(repaired), Options(text)).Count < found.Count, $"{source.Text}\n=> {repaired}");
            }
        }
    }

    [Fact]
    public void Several_errors_are_reported_in_one_run_and_none_twice()
    {
        var found = Compile.Diagnostics(new("""
            layer unused(x: [B]) {
              return rleu(x) + wieght
            }
            model M {
              input x: [B, 2]
              let h = x |> dens(4)
              let y = h |> relu |> dense()
              output p = y + h
              loss sofmax(y, axes = 1)
            }
            """));
        Assert.Equal([(2, "rleu"), (2, "wieght"), (6, "dens"), (7, "dense"), (9, "sofmax")], found.Select(d => (d.Span.Source.Locate(d.Span.Start).Line, d.Span.Text)));
    }

    [Fact]
    public void An_error_in_a_value_is_reported_once_however_often_its_name_is_used()
    {
        var found = Compile.Diagnostics(new("""
            model M {
              input x: [B, 3]
              param w: [4, 2] = normal()
              let h = x @ w
              let g = h + 1
              output y = g * h
              output z = x[:, 7]
            }
            """));
        Assert.Equal([DiagnosticCodes.ShapeMismatch.Code, DiagnosticCodes.IndexOutOfRange.Code], found.Select(d => d.Code));
    }

    [Fact]
    public void A_name_of_a_line_that_does_not_parse_is_no_second_error()
    {
        var found = Compile.Diagnostics(new("let width = 3 +\nlet a = width * 2\n"));
        Assert.Single(found);
    }

    [Fact]
    public void A_misfit_deep_inside_shows_both_shapes_their_origins_and_the_chain()
    {
        var found = Assert.Single(Compile.Diagnostics(new("""
            layer gate(units: int)(x: [B, D]) {
              let g = x |> dense(units) |> sigmoid
              return x * g
            }
            layer block(width: int)(x: [B, D]) {
              return x |> layer_norm() |> gate(width)
            }
            model M {
              input x: [B, 8]
              output y = x |> block(8) |> block(6)
            }
            """, "m.dnn")));
        Assert.Equal("""
            error[DNN0301]: [B, 8] and [B, 6] do not broadcast: axis 1 has sizes 8 and 6
             --> m.dnn:3:10
               |
             2 |   let g = x |> dense(units) |> sigmoid
               |                ------------ `block_1.gate_0.dense_0` makes this size 6
             3 |   return x * g
               |          - this is [B, 8]
               |              - this is [B, 6]
               |          ^^^^^
            ..
             9 |   input x: [B, 8]
               |            ------ `x` is declared [B, 8]
              in `block_1.gate_0` at m.dnn:6:31
              in `block_1` at m.dnn:10:31
              note: sizes are compared from the last axis on; they must be equal, or one of them 1 or missing
              note: `block_1.gate_0.dense_0` fits with `units = 8`

            """, new DiagnosticFormatter().Format(found), ignoreLineEndingDifferences: true);
    }

    private static CompileOptions? Options(string text)
    {
        var at = text.IndexOf("--set ", StringComparison.Ordinal);
        if (at < 0)
            return null;
        var setting = text[(at + "--set ".Length)..].Split('\n')[0].Split('=');
        return new CompileOptions { Overrides = new Dictionary<string, string> { [setting[0]] = setting[1] } };
    }

    private static string Fixture(string code, [CallerFilePath] string here = "") =>
        Path.Combine(Path.GetDirectoryName(here)!, "..", "Diagnostics", code + ".dnn");
}
