using System.CommandLine;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>The graph of a model as a picture.</summary>
internal sealed class GraphCommand : CliCommand
{
    private static readonly string[] Formats = ["text", "dot", "mermaid", "svg"];

    private readonly Argument<string> file = Common.File();
    private readonly Option<string> of = new("--of") { Description = "The model (default), or its training: the way back from the losses to the gradients.", HelpName = "model|training", DefaultValueFactory = _ => "model" };
    private readonly Option<string?> format = new("--format") { Description = "text, dot (Graphviz), mermaid or svg; by the name of -o unless given, else text.", HelpName = string.Join('|', Formats) };
    private readonly Option<int?> depth = new("--depth")
    {
        Description = "How many levels of layers are shown open; as many as are readable unless given.",
        HelpName = "N",
        CustomParser = result =>
        {
            if (int.TryParse(result.Tokens[0].Value, out var levels) && levels >= 0)
                return levels;
            result.AddError($"--depth takes a whole number from 0, not '{result.Tokens[0].Value}'");
            return null;
        },
    };

    private readonly Option<string?> output = new("--output", "-o") { Description = "Writes to a file.", HelpName = "F" };

    public GraphCommand()
        : base("graph", "Draws a model: its layers, what is inside of them, and the shapes between.", "dnn graph examples/two_moons.dnn", "dnn graph examples/digits_conv.dnn -o digits.svg")
    {
        Common.OneOf(of, "model", "training");
        Common.OneOf(format, Formats);
        Arguments.Add(file);
        foreach (var option in new Option[] { of, format, depth, output })
            Options.Add(option);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var path = invocation.Get(output);
        var form = invocation.Get(format) ?? Path.GetExtension(path) switch
        {
            ".svg" => "svg",
            ".dot" or ".gv" => "dot",
            ".mmd" or ".mermaid" => "mermaid",
            null or "" or ".txt" => "text",
            var other => throw new UsageException($"no picture is written as {other}: name a file .svg, .dot, .mermaid or .txt, or give --format"),
        };
        var source = ModelFile.Load(invocation.Get(file)!, invocation);
        var model = source.Model;
        var isTraining = invocation.Get(of) == "training";
        if (isTraining && model.Losses.IsEmpty)
            throw new FileErrorsException($"{source.Path}: {model.Name} has no loss, so there is no training to draw");
        var picture = isTraining ? Picture.OfTraining(model, source.TextAt) : Picture.Of(model, source.TextAt);
        var title = isTraining ? $"{model.Name}, training" : model.Name;
        var text = form switch
        {
            "dot" => PictureText.Dot(picture, title, invocation.Get(depth)),
            "mermaid" => PictureText.Mermaid(picture, title, invocation.Get(depth)),
            "svg" => PictureSvg.Draw(picture, title, invocation.Get(depth)),
            _ => PictureText.Outline(picture),
        };
        if (path is not null)
        {
            Common.Write(path, text);
            invocation.Note($"wrote {path}");
        }

        if (invocation.Json)
        {
            invocation.Output.WriteLine(JsonText.Object(json =>
            {
                json.WriteString("format", form);
                if (path is null)
                    json.WriteString("text", text);
                else
                    json.WriteString("file", path);
            }));
        }
        else if (path is null)
        {
            invocation.Output.Write(text);
        }

        return 0;
    }
}
