using System.Collections.Immutable;
using System.CommandLine;
using System.Text.Unicode;
using Dnn.Dsl;

namespace Dnn.Cli;

/// <summary>Brings files into canonical layout.</summary>
internal sealed class FmtCommand : CliCommand
{
    private const string StandardInput = "-";

    private readonly Argument<string[]> files = Common.Files();
    private readonly Option<bool> check = new("--check") { Description = "Changes nothing; exit 1 if a file is not in canonical layout." };

    public FmtCommand()
        : base("fmt", "Brings files into canonical layout; '-' is standard input, to standard output.", "dnn fmt examples/digits.dnn", "dnn fmt --check models/*.dnn", "dnn fmt -")
    {
        Arguments.Add(files);
        Options.Add(check);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var failed = false;
        foreach (var path in invocation.Get(files)!)
            failed |= !Format(path, invocation);
        return failed ? 1 : 0;
    }

    private bool Format(string path, Invocation invocation)
    {
        var (source, problem) = path == StandardInput ? (new SourceText(invocation.Terminal.Input.ReadToEnd(), "<input>"), null) : Read(path);
        var (text, errors) = source is null ? ("", [problem!]) : Format(source);
        var changed = errors.IsEmpty && text != source!.Text;
        var checks = invocation.Get(check);
        invocation.Terminal.Show(errors);
        if (changed && !checks && path != StandardInput)
            Replace(path, text);
        if (invocation.Json)
            invocation.Output.WriteLine(Line(path, changed, errors, path == StandardInput && !checks ? text : null));
        else if (path == StandardInput && !checks)
            invocation.Output.Write(errors.IsEmpty ? text : source!.Text);
        else if (changed && !invocation.Quiet)
            invocation.Output.WriteLine(checks ? $"{path}: not in canonical layout; `dnn fmt` writes it" : $"{path}: formatted");
        return errors.IsEmpty && !(changed && checks);
    }

    /// <summary>Reads a file; bytes that are no text could not be written again as they were.</summary>
    internal static (SourceText? Source, Diagnostic? Problem) Read(string path)
    {
        var (source, problem) = ModelFile.Read(path);
        return source is null || !source.Text.Contains('\uFFFD') || Utf8.IsValid(File.ReadAllBytes(path))
            ? (source, problem)
            : (null, ModelFile.Unreadable.At(default, $"{path}: this is not UTF-8 text; save it as UTF-8 first"));
    }

    /// <summary>Replaces a file when the new one is whole. A link stays one, and the permissions stay.</summary>
    internal static void Replace(string path, string text)
    {
        var target = File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? Path.GetFullPath(path);
        var temporary = Path.Combine(Path.GetDirectoryName(target)!, $".{Path.GetFileName(target)}.{Path.GetRandomFileName()}.tmp");
        try
        {
            File.WriteAllText(temporary, text);
            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(temporary, File.GetUnixFileMode(target));
            File.Move(temporary, target, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    private static (string Text, ImmutableArray<Diagnostic> Errors) Format(SourceText source)
    {
        var tree = Parser.Parse(source);
        return (Formatter.Format(tree), [.. tree.Diagnostics.Where(d => d.IsError)]);
    }

    private static string Line(string path, bool changed, ImmutableArray<Diagnostic> errors, string? text) => JsonText.Object(json =>
    {
        json.WriteString("file", path);
        json.WriteBoolean("changed", changed);
        json.WriteStartArray("errors");
        foreach (var error in errors)
            CheckCommand.Write(json, error, path);
        json.WriteEndArray();
        if (text is not null && errors.IsEmpty)
            json.WriteString("text", text);
    });
}
