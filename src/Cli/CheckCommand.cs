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
        : base("check", "Checks files without running them: syntax, names, shapes, data, lint.", "dnn check examples/digits.dnn", "dnn check --sarif models/*.dnn")
    {
        Arguments.Add(files);
        Options.Add(sarif);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var options = ModelFile.Options(invocation);
        if (invocation.Get(sarif) && invocation.Json)
            throw new UsageException("--json and --sarif are two forms of the same: give one of them");
        var failed = false;
        var logged = new List<(string, ImmutableArray<Diagnostic>)>();
        foreach (var path in invocation.Get(files)!)
        {
            var found = Found(path, options);
            if (invocation.Get(sarif))
                logged.Add((path, found));
            else
                Report(invocation, path, found);
            failed |= found.Any(d => d.IsError);
        }

        if (invocation.Get(sarif))
            invocation.Output.WriteLine(SarifText.Log(logged));
        return failed ? 1 : 0;
    }

    /// <summary>All that is to be said about a file, data and lint included.</summary>
    internal static ImmutableArray<Diagnostic> Found(string path, CompileOptions options)
    {
        var (result, diagnostics) = ModelFile.Compile(path, options with { DataReader = new DataReader(ModelFile.Folder(path)) });
        return result is null ? diagnostics : Linter.Check(result);
    }

    /// <summary>Shows what is wrong with a file, and how much.</summary>
    internal static (int Errors, int Warnings) Report(Invocation invocation, string path, ImmutableArray<Diagnostic> diagnostics)
    {
        int Of(Severity severity) => diagnostics.Count(d => d.Severity == severity);
        var (errors, warnings, notes) = (Of(Severity.Error), Of(Severity.Warning), Of(Severity.Note));
        if (invocation.Json)
        {
            invocation.Output.WriteLine(Line(path, diagnostics));
            return (errors, warnings);
        }

        invocation.Terminal.Show(diagnostics.Where(d => d.IsError || !invocation.Quiet));
        if (!invocation.Quiet)
            invocation.Output.WriteLine($"{path}: {(errors == 0 ? "fine" : Terminal.Count(errors, "error"))}{(warnings == 0 ? "" : $", {Terminal.Count(warnings, "warning")}")}{(notes == 0 ? "" : $", {Terminal.Count(notes, "note")}")}");
        return (errors, warnings);
    }

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
