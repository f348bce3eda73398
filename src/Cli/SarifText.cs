using System.Collections.Immutable;
using System.Reflection;
using System.Text;
using System.Text.Json;
using Dnn.Dsl;

namespace Dnn.Cli;

/// <summary>Diagnostics as SARIF 2.1.0 (OASIS 2020), which code scanners and editors read: one run, a rule for each code that occurs.</summary>
internal static class SarifText
{
    private const string Schema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

    /// <summary>One log for all files.</summary>
    public static string Log(IReadOnlyList<(string Path, ImmutableArray<Diagnostic> Diagnostics)> files)
    {
        var rules = files.SelectMany(f => f.Diagnostics).Select(d => d.Descriptor).Distinct().OrderBy(d => d.Code, StringComparer.Ordinal).ToArray();
        return JsonText.Object(json =>
        {
            json.WriteString("$schema", Schema);
            json.WriteString("version", "2.1.0");
            json.WriteStartArray("runs");
            json.WriteStartObject();
            json.WriteStartObject("tool");
            json.WriteStartObject("driver");
            json.WriteString("name", "dnn");
            json.WriteString("version", typeof(SarifText).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0]);
            json.WriteStartArray("rules");
            foreach (var rule in rules)
                Rule(json, rule);
            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteString("columnKind", "utf16CodeUnits");
            json.WriteStartArray("results");
            foreach (var (path, diagnostics) in files)
            {
                foreach (var diagnostic in diagnostics)
                    Result(json, path, diagnostic, Array.IndexOf(rules, diagnostic.Descriptor));
            }

            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteEndArray();
        });
    }

    private static void Rule(Utf8JsonWriter json, DiagnosticDescriptor rule)
    {
        json.WriteStartObject();
        json.WriteString("id", rule.Code);
        Text(json, "shortDescription", rule.Title);
        Text(json, "fullDescription", rule.Explanation);
        if (rule.Bad.Length > 0)
        {
            json.WriteStartObject("help");
            json.WriteString("text", $"{rule.Explanation}\n\nWrong:\n{rule.Bad}\n\nRight:\n{rule.Good}");
            json.WriteString("markdown", $"{rule.Explanation}\n\nWrong:\n\n```dnn\n{rule.Bad}\n```\n\nRight:\n\n```dnn\n{rule.Good}\n```");
            json.WriteEndObject();
        }

        json.WriteStartObject("defaultConfiguration");
        json.WriteString("level", Level(rule.Severity));
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void Result(Utf8JsonWriter json, string path, Diagnostic diagnostic, int rule)
    {
        json.WriteStartObject();
        json.WriteString("ruleId", diagnostic.Code);
        json.WriteNumber("ruleIndex", rule);
        json.WriteString("level", Level(diagnostic.Severity));
        Text(json, "message", string.Join('\n', diagnostic.Notes.Prepend(diagnostic.Message)));
        json.WriteStartArray("locations");
        json.WriteStartObject();
        Place(json, path, diagnostic.Span);
        json.WriteEndObject();
        json.WriteEndArray();
        Labels(json, "relatedLocations", path, diagnostic.Secondary);
        if (!diagnostic.Trace.IsEmpty)
        {
            // A stack: how the applications led here, innermost first.
            json.WriteStartArray("stacks");
            json.WriteStartObject();
            json.WriteStartArray("frames");
            foreach (var label in diagnostic.Trace)
            {
                json.WriteStartObject();
                json.WriteStartObject("location");
                Label(json, path, label);
                json.WriteEndObject();
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteEndArray();
        }

        if (diagnostic.Fix is { } fix)
            Fix(json, path, fix);
        json.WriteEndObject();
    }

    private static void Fix(Utf8JsonWriter json, string path, Fix fix)
    {
        json.WriteStartArray("fixes");
        json.WriteStartObject();
        Text(json, "description", fix.Title);
        json.WriteStartArray("artifactChanges");
        json.WriteStartObject();
        Artifact(json, PathOf(fix.Span, path));
        json.WriteStartArray("replacements");
        json.WriteStartObject();
        Region(json, "deletedRegion", fix.Span);
        Text(json, "insertedContent", fix.Replacement);
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndArray();
    }

    private static void Labels(Utf8JsonWriter json, string name, string path, ImmutableArray<Label> labels)
    {
        if (labels.IsEmpty)
            return;
        json.WriteStartArray(name);
        foreach (var label in labels)
        {
            json.WriteStartObject();
            Label(json, path, label);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void Label(Utf8JsonWriter json, string path, Label label)
    {
        Place(json, path, label.Span);
        Text(json, "message", label.Text);
    }

    /// <summary>What has no place is about the whole file.</summary>
    private static void Place(Utf8JsonWriter json, string path, TextSpan span)
    {
        json.WriteStartObject("physicalLocation");
        Artifact(json, PathOf(span, path));
        if (!span.IsNone)
            Region(json, "region", span);
        json.WriteEndObject();
    }

    private static string PathOf(TextSpan span, string path) => span.IsNone ? path : span.Source.Path;

    private static void Artifact(Utf8JsonWriter json, string path)
    {
        json.WriteStartObject("artifactLocation");
        json.WriteString("uri", Uri(path));
        json.WriteEndObject();
    }

    private static void Region(Utf8JsonWriter json, string name, TextSpan span)
    {
        var ((line, column), (endLine, endColumn)) = (span.Source.Locate(span.Start), span.Source.Locate(span.End));
        json.WriteStartObject(name);
        json.WriteNumber("startLine", line);
        json.WriteNumber("startColumn", column);
        json.WriteNumber("endLine", endLine);
        json.WriteNumber("endColumn", endColumn);
        json.WriteNumber("charOffset", span.Start);
        json.WriteNumber("charLength", span.Length);
        json.WriteEndObject();
    }

    /// <summary>A path as RFC 3986 has it: a relative one stays relative.</summary>
    private static string Uri(string path)
    {
        if (Path.IsPathRooted(path))
            return new Uri(path).AbsoluteUri;
        var parts = path.Replace(Path.DirectorySeparatorChar, '/').Split('/').Select(System.Uri.EscapeDataString);
        var uri = new StringBuilder().AppendJoin('/', parts).ToString();
        return uri.Length == 0 ? "." : uri;
    }

    private static void Text(Utf8JsonWriter json, string name, string text)
    {
        json.WriteStartObject(name);
        json.WriteString("text", text);
        json.WriteEndObject();
    }

    private static string Level(Severity severity) => severity.ToString().ToLowerInvariant();
}
