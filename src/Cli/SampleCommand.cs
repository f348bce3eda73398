using System.CommandLine;
using System.Globalization;
using Dnn.Backend;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>Text from a language model, token by token.</summary>
internal sealed class SampleCommand : CliCommand
{
    private const int DefaultTokens = 200;

    private readonly Argument<string> file = Common.File();
    private readonly Option<string?> weights = Common.Weights();
    private readonly Option<string?> prompt = new("--prompt") { Description = "What the text begins with; a line break unless given.", HelpName = "TEXT" };
    private readonly Option<int?> tokens = Common.Count("--tokens", "N", $"How many tokens are added; {DefaultTokens} unless given.", 1_000_000);
    private readonly Option<double?> temperature = Temperature();
    private readonly Option<int?> topK = Common.Count("--top-k", "K", "Chooses among the K best tokens only.");
    private readonly Option<long?> seed = Common.Seed("What the choices are a function of; 0 unless given.");
    private readonly Option<DType?> dtype = Common.Float();
    private readonly Option<int?> threads = Common.Threads();

    public SampleCommand()
        : base("sample", "Writes text with a language model.", "dnn sample gpt.dnn --weights runs/gpt/best.safetensors --prompt 'The ' --tokens 300 --temperature 0.8")
    {
        weights.Required = true;
        Arguments.Add(file);
        foreach (var option in new Option[] { weights, prompt, tokens, temperature, topK, seed, dtype, threads })
            Options.Add(option);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var path = invocation.Get(file)!;
        var source = ModelFile.Load(path, invocation);
        var trained = WeightsFile.Load(invocation.Get(weights)!, source);
        var options = Common.Plan(invocation.Get(dtype), invocation.Get(threads));
        var scorer = Scorer(path, source.Model, trained, options, invocation);
        var vocabulary = Vocabulary.From(trained) ?? Vocabulary.Bytes;
        if (vocabulary.Size != scorer.Vocabulary)
            throw new FileErrorsException($"{path}: {source.Model.Name} scores {scorer.Vocabulary} tokens, and the weights do not say which: train it on a text(…), of bytes or characters");
        var text = vocabulary.Encode(invocation.Get(prompt) ?? "\n").ToList();
        if (text.Count == 0)
            throw new UsageException("--prompt needs at least one character");
        var (begun, wanted) = (text.Count, invocation.Get(tokens) ?? DefaultTokens);
        if (scorer.Room is { } room && begun + wanted > room)
        {
            if (begun >= room)
                throw new UsageException($"the prompt has {begun} tokens, and the model holds {room}");
            wanted = room - begun;
            invocation.Note($"the model holds {room} tokens, so the text ends after {wanted} more");
        }

        scorer.Begin(begun + wanted);
        double[] scores = [];
        var cancellation = invocation.Terminal.Cancellation;
        for (var i = 0; i < begun + wanted; i++)
        {
            if (i >= begun)
                text.Add(NextToken.Choose(scores, invocation.Get(temperature) ?? 1, invocation.Get(topK), invocation.Get(seed) ?? 0, i));
            if (i + 1 < begun + wanted)
                scores = scorer.Feed(text[i]);
            cancellation.ThrowIfCancellationRequested();
        }

        var written = vocabulary.Decode(text.ToArray());
        if (invocation.Json)
        {
            invocation.Output.WriteLine(JsonText.Object(json =>
            {
                json.WriteString("text", written);
                json.WriteNumber("prompt_tokens", begun);
                json.WriteNumber("tokens", wanted);
            }));
        }
        else
        {
            invocation.Output.WriteLine(written);
        }

        return 0;
    }

    private static NextToken Scorer(string path, Model model, Weights weights, PlanOptions options, Invocation invocation)
    {
        try
        {
            return NextToken.Of(model, () => ModelFile.Load(path, invocation, decoding: true).Model, weights, options);
        }
        catch (GraphException e)
        {
            throw new FileErrorsException($"{path}: {e.Message}");
        }
    }

    private static Option<double?> Temperature() => new("--temperature")
    {
        Description = "What scores are divided by: below 1 surer, above 1 bolder, 0 always the best; 1 unless given.",
        HelpName = "T",
        CustomParser = result =>
        {
            if (double.TryParse(result.Tokens[0].Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value >= 0 && double.IsFinite(value))
                return value;
            result.AddError($"--temperature takes a number from 0, not '{result.Tokens[0].Value}'");
            return null;
        },
    };
}
