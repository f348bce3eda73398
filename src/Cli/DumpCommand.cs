using System.CommandLine;
using Dnn.Backend;
using Dnn.Dsl;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>Any stage of the compiler as text.</summary>
internal sealed class DumpCommand : CliCommand
{
    private static readonly string[] Stages = ["tokens", "syntax", "bound", "source", "flat", "graph", "gradient", "optimized", "plan"];

    private readonly Argument<string> file = Common.File();
    private readonly Option<string> stage = new("--stage")
    {
        Description = "tokens, syntax and bound names of the text; the model as source of its own, with its layers or flat; its graph; gradient of its loss; the optimized training step; its plan.",
        HelpName = string.Join('|', Stages),
        Required = true,
    };

    public DumpCommand()
        : base("dump", "Shows a stage of the way from text to machine.", "dnn dump examples/two_moons.dnn --stage optimized")
    {
        Common.OneOf(stage, Stages);
        Arguments.Add(file);
        Options.Add(stage);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var path = invocation.Get(file)!;
        var tree = invocation.Get(stage) is "tokens" or "syntax" ? ModelFile.Parse(path, invocation) : null;
        var text = invocation.Get(stage) switch
        {
            "tokens" => SyntaxPrinter.Tokens(tree!),
            "syntax" => SyntaxPrinter.Print(tree!.Root),
            "bound" => ModelFile.Bound(path, invocation),
            var later => Later(ModelFile.Load(path, invocation), later!),
        };
        invocation.Output.Write(invocation.Json
            ? JsonText.Object(json =>
            {
                json.WriteString("stage", invocation.Get(stage));
                json.WriteString("text", text);
            }) + "\n"
            : text);
        // A file with errors has tokens and a tree as well, but is not fine.
        return tree?.Diagnostics.Any(d => d.IsError) == true ? 1 : 0;
    }

    private static string Later(ModelFile file, string stage)
    {
        var model = file.Model;
        if (stage is "source" or "flat")
            return Formatter.Format(model, flat: stage == "flat");
        var names = model.VariableNames;
        if (stage == "graph")
            return Printer.Definitions([.. model.Outputs.Concat(model.Losses).Concat(model.Metrics).Select(n => (n.Name, n.Value))], names);
        if (stage == "gradient")
            return Text(TrainingStep.Gradients(model), names);
        var program = file.HasTraining ? Step(file) : TrainingStep.Prediction(model).Simplify(model.Provenance);
        if (stage == "optimized")
            return Text(program, names);
        return Plan.Compile(program, MadeValues.Sizes(model, file.HasTraining ? file.Training().Recipe.Batch : 32, 32)).ToString();
    }

    /// <summary>The training step as if it were one of many.</summary>
    private static Program Step(ModelFile file) => TrainingStep.Build(file.Model, file.Training().Recipe, 1000).Simplify(file.Model.Provenance);

    private static string Text(Program program, IReadOnlyDictionary<Expr, string> names)
    {
        var all = new Dictionary<Expr, string>(names);
        foreach (var state in program.States)
            all[state.Variable] = state.Name;
        return Printer.Definitions(
            [.. program.Outputs.Select(o => (o.Name, o.Value)), .. program.States.Where(s => s.Next is not null).Select(s => ("next " + s.Name, s.Next!))], all);
    }
}
