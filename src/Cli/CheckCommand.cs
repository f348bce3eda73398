using System.Collections.Immutable;
using System.CommandLine;
using System.Text.Json;
using Dnn.Backend;
using Dnn.Dsl;

namespace Dnn.Cli;

/// <summary>Everything that is wrong with some files, at once.</summary>
internal sealed class CheckCommand : CliCommand
{
    private readonly Argument<string[]> files = Common.Files();
    private readonly Option<bool> sarif = new("--sarif") { Description = "Writes one SARIF 2.1.0 log, for code scanners and editors." };

    public CheckCommand()
        : base("check", "Checks files without running them: syntax, names, shapes, data.", "dnn check examples/digits.dnn", "dnn check --sarif models/*.dnn")
    {
        Arguments.Add(files);
        Options.Add(sarif);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var options = ModelFile.Options(invocation);
        var formatter = new DiagnosticFormatter(invocation.Terminal.ErrorColors);
        var failed = 0;
        var paths = invocation.Get(files)!;
        if (invocation.Get(sarif) && invocation.Json)
            throw new UsageException("--json and --sarif are two forms of the same: give one of them");
        var logged = new List<(string, ImmutableArray<Diagnostic>)>();
        foreach (var path in paths)
        {
            var (_, diagnostics) = ModelFile.Compile(path, options with { DataReader = new DataReader(ModelFile.Folder(path)) });
            var (errors, others) = (diagnostics.Count(d => d.IsError), diagnostics.Count(d => !d.IsError));
            failed += errors > 0 ? 1 : 0;
            if (invocation.Json)
            {
                invocation.Output.WriteLine(Line(path, diagnostics));
                continue;
            }

            if (invocation.Get(sarif))
            {
                logged.Add((path, diagnostics));
                continue;
            }

            var shown = diagnostics.Where(d => d.IsError || !invocation.Quiet).ToArray();
            if (shown.Length > 0)
                invocation.Terminal.Error.WriteLine(formatter.Format(shown));
            if (!invocation.Quiet)
                invocation.Output.WriteLine($"{path}: {(errors == 0 ? "fine" : Count(errors, "error"))}{(others == 0 ? "" : $", {Count(others, "warning")}")}");
        }

        if (invocation.Get(sarif))
            invocation.Output.WriteLine(SarifText.Log(logged));
        return failed > 0 ? 1 : 0;
    }

    private static string Count(int count, string what) => count == 1 ? $"1 {what}" : $"{count} {what}s";

    private static string Line(string path, ImmutableArray<Diagnostic> diagnostics) => JsonText.Object(json =>
    {
        json.WriteString("file", path);
        foreach (var (name, chosen) in new[] { ("errors", diagnostics.Where(d => d.IsError)), ("warnings", diagnostics.Where(d => !d.IsError)) })
        {
            json.WriteStartArray(name);
            foreach (var diagnostic in chosen)
                Write(json, diagnostic, path);
            json.WriteEndArray();
        }
    });

    internal static void Write(Utf8JsonWriter json, Diagnostic diagnostic, string path)
    {
        json.WriteStartObject();
        json.WriteString("code", diagnostic.Code);
        json.WriteString("severity", diagnostic.Severity.ToString().ToLowerInvariant());
        json.WriteString("message", diagnostic.Message);
        Place(json, diagnostic.Span, path);
        json.WriteStartArray("related");
        foreach (var label in diagnostic.Secondary.Concat(diagnostic.Trace))
        {
            json.WriteStartObject();
            json.WriteString("message", label.Text);
            Place(json, label.Span, path);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStrings("notes", diagnostic.Notes);
        if (diagnostic.Fix is { } fix)
        {
            json.WriteStartObject("fix");
            json.WriteString("title", fix.Title);
            Place(json, fix.Span, path);
            json.WriteString("replacement", fix.Replacement);
            json.WriteEndObject();
        }
        else
        {
            json.WriteNull("fix");
        }

        json.WriteEndObject();
    }

    /// <summary>Lines and columns from 1; the end is behind the last character. What has no place stands at the start of the file.</summary>
    private static void Place(Utf8JsonWriter json, TextSpan span, string path)
    {
        var (start, end) = span.IsNone ? ((1, 1), (1, 1)) : (span.Source.Locate(span.Start), span.Source.Locate(span.End));
        if (!span.IsNone && span.Source.Path != path)
            json.WriteString("file", span.Source.Path);
        json.WriteNumber("line", start.Item1);
        json.WriteNumber("column", start.Item2);
        json.WriteNumber("endLine", end.Item1);
        json.WriteNumber("endColumn", end.Item2);
    }
}
