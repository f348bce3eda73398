using System.CommandLine;
using Dnn.Dsl;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>The derivative of a model as a model: source that checks and runs.</summary>
internal sealed class GradCommand : CliCommand
{
    private readonly Argument<string> file = Common.File();
    private readonly Option<string?> of = new("--of") { Description = "What to differentiate: `loss`, the sum of the losses, unless given; or a loss, metric or scalar output by name.", HelpName = "NAME" };
    private readonly Option<string?> wrt = new("--wrt") { Description = "With respect to what: paths of parameters or layers, names of inputs; all parameters unless given.", HelpName = "A,B" };
    private readonly Option<string?> output = new("-o", "--output") { Description = "The file to write; standard output unless given.", HelpName = "OUT.dnn" };

    public GradCommand()
        : base("grad", "Prints the derivative of a model as .dnn source.", "dnn grad examples/iris.dnn --wrt dense_0.weight", "dnn grad examples/iris.dnn -o gradient.dnn && dnn check gradient.dnn")
    {
        Arguments.Add(file);
        Options.Add(of);
        Options.Add(wrt);
        Options.Add(output);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var source = ModelFile.Load(invocation.Get(file)!, invocation);
        var model = source.Model;
        var scalar = Scalar(model, invocation.Get(of) ?? TrainingStep.LossName);
        var variables = Variables(model, Common.Names(invocation.Get(wrt)));
        // In the stable form and without what only training does, as `dnn run --grad` computes it.
        var resolved = Rewriter.Stabilize.Rewrite(Phases.Resolve([scalar], training: false, model.Provenance), model.Provenance)[0];
        var gradient = ModelPrinter.Differentiate(model, resolved, variables);
        var simple = Rewriter.Default.Rewrite([.. gradient.Outputs.Select(o => o.Value)], model.Provenance);
        var text = Formatter.Format(gradient with { Outputs = [.. gradient.Outputs.Select((o, i) => o with { Value = simple[i] })] });
        if (invocation.Get(output) is { } path)
        {
            Common.Write(path, text);
            if (!invocation.Quiet && !invocation.Json)
                invocation.Output.WriteLine($"{path}: {gradient.Outputs.Length} gradients");
        }

        if (invocation.Json)
        {
            invocation.Output.WriteLine(JsonText.Object(json =>
            {
                json.WriteString("source", text);
                json.WriteStrings("outputs", gradient.Outputs.Select(o => o.Name));
            }));
        }
        else if (invocation.Get(output) is null)
        {
            invocation.Output.Write(text);
        }

        return 0;
    }

    private static Expr Scalar(Model model, string name)
    {
        if (name == TrainingStep.LossName && !model.Losses.IsEmpty)
            return model.TotalLoss;
        Named[] candidates = [.. model.Losses, .. model.Metrics, .. model.Outputs.Where(o => o.Value.Shape.IsScalar && o.Value.DType.IsFloat())];
        if (candidates.Any(c => c.Name == name))
            return candidates.First(c => c.Name == name).Value;
        throw new UsageException($"{model.Name} has no scalar '{name}'{(Suggestion.Closest(name, candidates.Select(c => c.Name)) is { } near ? $"; did you mean '{near}'?" : "")}; --of takes {(candidates.Length == 0 ? "a loss, and it has none" : string.Join(", ", candidates.Select(c => c.Name)))}");
    }

    private static List<Named> Variables(Model model, string[] names)
    {
        if (names.Length == 0)
            return [.. model.Trainable.Select(p => new Named(p.Path, p.Variable))];
        var result = new List<Named>();
        foreach (var name in names)
        {
            Named[] found =
            [
                .. model.Inputs.Concat(model.Targets).Where(i => i.Name == name),
                .. model.Parameters.Where(p => p.Path == name || p.Path.StartsWith(name + ".", StringComparison.Ordinal) || p.Path.StartsWith(name + "[", StringComparison.Ordinal)).Select(p => new Named(p.Path, p.Variable)),
            ];
            if (found.Length == 0)
            {
                var near = Suggestion.Closest(name, model.Parameters.Select(p => p.Path).Concat(model.Inputs.Select(i => i.Name)));
                throw new UsageException($"{model.Name} has no parameter, layer or input '{name}'{(near is null ? "" : $"; did you mean '{near}'?")}");
            }

            result.AddRange(found);
        }

        return result;
    }
}
