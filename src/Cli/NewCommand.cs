using System.CommandLine;
using System.Reflection;

namespace Dnn.Cli;

/// <summary>A folder with a model file that trains as it stands.</summary>
internal sealed class NewCommand : CliCommand
{
    /// <summary>A template: what it is, the name of its model, and the data files beside the model file.</summary>
    private sealed record Template(string Name, string About, string[] Data);

    private static readonly Template[] Templates =
    [
        new("mlp", "a small network on a task in the plane", []),
        new("cnn", "convolutions on handwritten digits", ["digits.csv"]),
        new("lstm", "a recurrent network that continues waves", []),
        new("gpt", "a language model of bytes", ["text.txt"]),
        new("gnn", "a graph network on a karate club", ["nodes.csv", "edges.csv"]),
    ];

    internal static IEnumerable<string> Names => Templates.Select(t => t.Name);

    private readonly Argument<string> folder = new("DIR") { HelpName = "DIR", Description = "The folder to make." };
    private readonly Option<string> template = new("--template")
    {
        Description = "What it begins with: " + string.Join(", ", Templates.Select(t => $"{t.Name} ({t.About})")) + ".",
        HelpName = string.Join('|', Names),
        DefaultValueFactory = _ => "mlp",
    };

    public NewCommand()
        : base("new", "Makes a folder with a model file that trains as it stands.", "dnn new digits --template cnn")
    {
        Common.OneOf(template, [.. Names]);
        Arguments.Add(folder);
        Options.Add(template);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var path = invocation.Get(folder)!;
        var chosen = Templates.Single(t => t.Name == invocation.Get(template));
        if (File.Exists(path) || (Directory.Exists(path) && Directory.EnumerateFileSystemEntries(path).Any()))
            throw new FileErrorsException($"{path} exists already and is not empty; choose another name");
        Directory.CreateDirectory(path);
        var model = chosen.Name + ".dnn";
        string[] files = [model, .. chosen.Data, "README.md"];
        Copy(model, Path.Combine(path, model));
        foreach (var data in chosen.Data)
            Copy($"{chosen.Name}.{data}", Path.Combine(path, data));
        File.WriteAllText(Path.Combine(path, "README.md"), Readme(chosen, Path.GetFileName(Path.GetFullPath(path))));
        if (invocation.Json)
            invocation.Output.WriteLine(JsonText.Object(json =>
            {
                json.WriteString("folder", path);
                json.WriteString("template", chosen.Name);
                json.WriteStrings("files", files);
            }));
        else if (!invocation.Quiet)
            invocation.Output.WriteLine($"{path}: {string.Join(", ", files)}\n\n  dnn train {Path.Combine(path, model)}");
        return 0;
    }

    private static void Copy(string resource, string path)
    {
        using var source = Assembly.GetExecutingAssembly().GetManifestResourceStream("template." + resource) ?? throw new InvalidOperationException($"no template {resource}");
        using var target = File.Create(path);
        source.CopyTo(target);
    }

    private static string Readme(Template template, string name)
    {
        var model = template.Name + ".dnn";
        var sample = template.Name == "gpt" ? $"\ndnn sample {model} --weights runs/gpt/best.safetensors --prompt 'The '" : "";
        return $"""
            # {name}

            `{model}` is {template.About}: the model, its data, how it trains, and tests.

            ```sh
            dnn check {model}                 # what is wrong, before anything runs
            dnn summary {model}               # layers, shapes, parameters
            dnn graph {model} -o {template.Name}.svg    # a picture
            dnn train {model}                 # writes runs/{template.Name}: weights, metrics.jsonl, curves.svg
            dnn eval {model} --weights runs/{template.Name}/best.safetensors{sample}
            dnn explain dense                 # any name of the language
            ```

            Hyperparameters are set on the command line: `dnn train {model} --set train.epochs=5`.

            """;
    }
}
