using System.CommandLine;
using System.Globalization;
using Dnn.Backend;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>Loss and metrics of weights on a part of the data.</summary>
internal sealed class EvalCommand : CliCommand
{
    private readonly Argument<string> file = Common.File();
    private readonly Option<string?> weights = Common.Weights();
    private readonly Option<string?> data = new("--data") { Description = "Which data of the file; that of the train block unless given.", HelpName = "NAME" };
    private readonly Option<string?> split = new("--split") { Description = "Which part; validation unless given.", HelpName = "NAME" };
    private readonly Option<DType?> dtype = Common.Float();
    private readonly Option<int?> threads = Common.Threads();

    public EvalCommand()
        : base("eval", "Shows the loss and the metrics of trained weights.", "dnn eval examples/digits.dnn --weights runs/digits/best.safetensors")
    {
        weights.Required = true;
        Arguments.Add(file);
        foreach (var option in new Option[] { weights, data, split, dtype, threads })
            Options.Add(option);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var source = ModelFile.Load(invocation.Get(file)!, invocation, withData: true);
        var trained = WeightsFile.Load(invocation.Get(weights)!, source);
        var rows = source.Reader.Read(source.Data(invocation.Get(data)), trained);
        var name = invocation.Get(split) ?? "validation";
        if (rows.TryGet(name) is not { } part)
            throw new UsageException($"the data has no part '{name}'; it has {string.Join(", ", rows.Splits.Select(s => s.Name))}: name one with --split");
        var values = Trainer.Evaluate(source.Model, trained, rows, name, Common.Plan(invocation.Get(dtype), invocation.Get(threads)));
        if (invocation.Json)
        {
            invocation.Output.WriteLine(JsonText.Object(json =>
            {
                json.WriteString("split", name);
                json.WriteNumber("rows", part.Rows);
                foreach (var (key, value) in values)
                    json.WriteReal(key, value);
            }));
        }
        else
        {
            invocation.Output.WriteLine(FormattableString.Invariant($"{name} ({part.Rows:N0} rows): {string.Join(", ", values.Select(v => $"{v.Key} {v.Value.ToString("0.0000##", CultureInfo.InvariantCulture)}"))}"));
        }

        return 0;
    }
}
