using System.CommandLine;
using Dnn.Dsl;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>What a code, a layer or a function means.</summary>
internal sealed class ExplainCommand : CliCommand
{
    private readonly Argument<string> subject = new("NAME") { HelpName = "CODE|NAME", Description = "The code of an error, or a name of the language." };

    public ExplainCommand()
        : base("explain", "Explains the code of an error, a layer, a function, an option or a file of the library.", "dnn explain layer_norm", "dnn explain DNN0023", "dnn explain std.resnet")
    {
        Arguments.Add(subject);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var name = invocation.Get(subject)!;
        var text = Text(name);
        if (text is null)
        {
            var near = Suggestion.Closest(name, DiagnosticCodes.All.Select(d => d.Code).Concat(Catalog.All.Select(e => e.Name)).Concat(TrainOptions.All.Select(o => o.Name)).Concat(StandardLibrary.Names).Concat(StandardLibrary.LayerNames));
            throw new UsageException($"nothing is called '{name}'{(near is null ? "" : $"; did you mean '{near}'?")}");
        }

        invocation.Output.Write(invocation.Json
            ? JsonText.Object(json =>
            {
                json.WriteString("name", name);
                json.WriteString("text", text);
            }) + "\n"
            : text);
        return 0;
    }

    private static string? Text(string name)
    {
        var code = DiagnosticCodes.Find(name) ?? (name == ModelFile.Unreadable.Code ? ModelFile.Unreadable : null);
        if (code is not null)
        {
            var examples = code.Bad.Length == 0 ? "" : $"\nWrong:\n{Indent(code.Bad)}\nRight:\n{Indent(code.Good)}";
            return $"{code.Code}: {code.Title} ({code.Severity.ToString().ToLowerInvariant()})\n\n{Wrap(code.Explanation)}\n{examples}";
        }

        if (Catalog.Find(name) is { } entry)
            return entry.Explain();
        if (TrainOptions.Find(name) is { } option)
            return $"{option.Name}({option.Signature})\nline of a train block\n\n{option.Meaning}\n";
        return StandardLibrary.Explain(name);
    }

    private static string Indent(string source)
    {
        var lines = source.Split('\n').Select(l => l.Length > 80 ? l[..80] + "…" : l);
        return string.Concat(lines.Select(l => $"  {l}\n"));
    }

    private static string Wrap(string text)
    {
        var lines = new List<string> { "" };
        foreach (var word in text.Split(' '))
        {
            if (lines[^1].Length + word.Length >= 96)
                lines.Add("");
            lines[^1] += (lines[^1].Length == 0 ? "" : " ") + word;
        }

        return string.Join('\n', lines);
    }
}
