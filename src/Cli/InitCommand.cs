using System.CommandLine;
using Dnn.Backend;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>Writes the initial parameters and buffers of a model.</summary>
internal sealed class InitCommand : CliCommand
{
    private readonly Argument<string> file = Common.File();
    private readonly Option<string> output = new("-o", "--output") { Description = "The safetensors file to write.", HelpName = "W", Required = true };
    private readonly Option<long?> seed = Common.Seed("What the numbers are a function of; the file's unless given.");
    private readonly Option<DType?> dtype = Common.Float();

    public InitCommand()
        : base("init", "Writes the initial parameters and buffers of a model.", "dnn init examples/digits.dnn -o start.safetensors --seed 1")
    {
        Arguments.Add(file);
        Options.Add(output);
        Options.Add(seed);
        Options.Add(dtype);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var source = ModelFile.Load(invocation.Get(file)!, invocation);
        var path = invocation.Get(output)!;
        var weights = Initialization.Sample(source.Model, invocation.Get(seed) ?? source.Seed, invocation.Get(dtype) ?? DType.F32);
        weights.Label(source).Save(path);
        if (invocation.Json)
        {
            invocation.Output.WriteLine(JsonText.Object(json =>
            {
                json.WriteString("file", path);
                json.WriteNumber("tensors", weights.Count);
                json.WriteNumber("elements", weights.ElementCount);
            }));
        }
        else if (!invocation.Quiet)
        {
            invocation.Output.WriteLine(FormattableString.Invariant($"{path}: {weights.Count} tensors, {weights.ElementCount:N0} numbers"));
        }

        return 0;
    }
}
