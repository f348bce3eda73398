using System.CommandLine;
using Dnn.Backend;
using Dnn.Dsl;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>Outputs, and gradients, of a model for inputs in files.</summary>
internal sealed class RunCommand : CliCommand
{
    private readonly Argument<string> file = Common.File();
    private readonly Option<string?> weights = Common.Weights();
    private readonly Option<string[]> inputs = new("--input") { Description = "An input, or a target, and its .npy file; may be repeated. Columns that the data block normalizes are expected normalized.", HelpName = "NAME=X.npy", AllowMultipleArgumentsPerToken = true };
    private readonly Option<string?> output = Common.Folder("The folder for NAME.npy of each output.");
    private readonly Option<string?> outputs = new("--outputs") { Description = "Which outputs; all unless given.", HelpName = "A,B" };
    private readonly Option<string?> grad = new("--grad") { Description = "Writes loss.npy, too, and gradients.safetensors for every parameter that trains: of `loss`, the sum of the losses, or of one loss by name.", HelpName = "NAME" };
    private readonly Option<bool> training = new("--training") { Description = "Runs the training graph: batch statistics, dropout by --seed." };
    private readonly Option<DType?> dtype = Common.Float();
    private readonly Option<long?> seed = Common.Seed("Initial parameters, where there are no weights, and dropout; the file's unless given.");
    private readonly Option<int?> threads = Common.Threads();
    private readonly Option<string?> provider = Common.Provider();

    public RunCommand()
        : base("run", "Computes the outputs of a model for inputs in .npy files.",
            "dnn run examples/digits.dnn --weights runs/digits/best.safetensors --input features=x.npy --out results",
            "dnn run examples/digits.dnn --input features=x.npy label=y.npy --grad loss --dtype f64 --out results")
    {
        output.Required = true;
        Arguments.Add(file);
        foreach (var option in new Option[] { weights, inputs, output, outputs, grad, training, dtype, seed, threads, provider })
            Options.Add(option);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var source = ModelFile.Load(invocation.Get(file)!, invocation);
        var model = source.Model;
        var options = Common.Plan(invocation.Get(dtype), invocation.Get(threads), invocation.Get(provider));
        var random = invocation.Get(seed) ?? source.Seed;
        var values = invocation.Get(weights) is { } path ? WeightsFile.Load(path, source) : Initialization.Sample(model, random, options.Float);
        var fed = Inputs(model, invocation.Get(inputs) ?? []);
        var wanted = Common.Names(invocation.Get(outputs));
        foreach (var name in wanted)
            Require(name, model.Outputs.Select(o => o.Name), $"output of {model.Name}");
        var isTraining = invocation.Get(training);
        var results = new List<(string Name, Tensor Value)>();
        var gradients = default(Weights);
        if (model.Outputs.Length > 0)
        {
            var outcome = Predict(TrainingStep.Prediction(model, wanted, isTraining));
            results.AddRange(outcome.Select(o => (o.Key, o.Value)));
        }

        if (invocation.Get(grad) is { } of)
        {
            var program = TrainingStep.Gradients(Differentiated(model, of), isTraining);
            var outcome = Predict(program);
            results.Add((TrainingStep.LossName, outcome[TrainingStep.LossName]));
            // What the loss does not depend on has the gradient zero.
            gradients = Weights.From(model.Trainable.Select(p => KeyValuePair.Create(
                p.Path, outcome.TryGetValue(p.Path, out var gradient) ? gradient : Tensor.Zeros(options.Float, [.. p.Shape.Dims.Select(d => (int)d.Value)]))));
        }

        Write(invocation, results, gradients);
        return 0;

        IReadOnlyDictionary<string, Tensor> Predict(Program program)
        {
            foreach (var (name, _) in program.Inputs)
            {
                if (!fed.Any(f => f.Name == name))
                    throw new UsageException($"the {(model.Targets.Any(t => t.Name == name) ? "target" : "input")} '{name}' has no value: give it with --input {name}=FILE.npy");
            }

            return new Predictor(model, values, program, options) { Seed = random }.Predict(fed);
        }
    }

    /// <summary>The model with the loss of a name as its only one.</summary>
    private static Model Differentiated(Model model, string of)
    {
        if (of == TrainingStep.LossName)
            return model;
        Require(of, model.Losses.Select(l => l.Name).Prepend(TrainingStep.LossName), $"loss of {model.Name}");
        return model with { Losses = [model.Losses.First(l => l.Name == of)] };
    }

    private static (string Name, Tensor Value)[] Inputs(Model model, string[] pairs)
    {
        var result = new List<(string, Tensor)>();
        foreach (var pair in pairs)
        {
            if (pair.Split('=', 2) is not [{ Length: > 0 } name, { Length: > 0 } path])
                throw new UsageException($"--input takes NAME=FILE.npy, not '{pair}'");
            Require(name, model.Inputs.Concat(model.Targets).Select(i => i.Name), $"input or target of {model.Name}");
            if (result.Any(r => r.Item1 == name))
                throw new UsageException($"the input '{name}' is given twice");
            result.Add((name, Npy.Read(path)));
        }

        return [.. result];
    }

    private static void Require(string name, IEnumerable<string> names, string what)
    {
        var all = names.ToArray();
        if (!all.Contains(name))
            throw new UsageException($"'{name}' is no {what}{(Suggestion.Closest(name, all) is { } near ? $"; did you mean '{near}'?" : all.Length == 0 ? "" : $": there are {string.Join(", ", all)}")}");
    }

    private void Write(Invocation invocation, List<(string Name, Tensor Value)> results, Weights? gradients)
    {
        var folder = invocation.Get(output)!;
        Directory.CreateDirectory(folder);
        foreach (var (name, value) in results)
            Npy.Write(Path.Combine(folder, name + ".npy"), value);
        gradients?.Save(Path.Combine(folder, "gradients.safetensors"));
        if (invocation.Json)
        {
            invocation.Output.WriteLine(JsonText.Object(json =>
            {
                json.WriteString("out", folder);
                json.WriteStartObject("tensors");
                foreach (var (name, value) in results)
                    json.WriteString(name, value.TypeText);
                json.WriteEndObject();
                json.WriteNumber("gradients", gradients?.Count ?? 0);
            }));
        }
        else if (!invocation.Quiet)
        {
            foreach (var (name, value) in results)
                invocation.Output.WriteLine($"{Path.Combine(folder, name + ".npy")}: {value.TypeText}");
            if (gradients is not null)
                invocation.Output.WriteLine($"{Path.Combine(folder, "gradients.safetensors")}: {gradients.Count} tensors");
        }
    }
}
