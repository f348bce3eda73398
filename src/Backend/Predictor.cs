using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>A model with weights, ready to predict. One thread at a time may use it; plans are kept for each batch size.</summary>
public sealed class Predictor
{
    private readonly Model model;
    private readonly Weights weights;
    private readonly Session session;

    /// <summary>Whether the states are those of the weights, and stay so.</summary>
    private bool isLoaded;

    /// <param name="model">The model.</param>
    /// <param name="weights">Its parameters and buffers.</param>
    /// <param name="options">Float type and threads.</param>
    /// <param name="outputs">Which outputs; all if null.</param>
    /// <exception cref="DataFormatException">The weights are those of another model.</exception>
    public Predictor(Model model, Weights weights, PlanOptions? options = null, IReadOnlyCollection<string>? outputs = null)
        : this(model, weights, TrainingStep.Prediction(model, outputs), options)
    {
    }

    /// <summary>Runs any program over the states of a model, such as <see cref="TrainingStep.Gradients"/>.</summary>
    public Predictor(Model model, Weights weights, Program program, PlanOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(weights);
        ArgumentNullException.ThrowIfNull(program);
        Trainer.RequireWeights(model, weights, "weights");
        (this.model, this.weights) = (model, weights);
        session = new Session(program.Simplify(model.Provenance), options);
    }

    /// <summary>The seed of dropout and other draws, for programs of the training phase.</summary>
    public long Seed { get; init; }

    /// <summary>All outputs for some inputs.</summary>
    /// <exception cref="ShapeException">An input has another shape.</exception>
    /// <exception cref="GraphException">An input is missing or unknown.</exception>
    /// <exception cref="DataFormatException">A whole number of an input is out of the range that the model has for it; the message says where.</exception>
    public IReadOnlyDictionary<string, Tensor> Predict(params (string Name, Tensor Value)[] inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        var sizes = new Dictionary<string, long>();
        foreach (var (name, value) in inputs)
        {
            var declared = model.Inputs.Concat(model.Targets).FirstOrDefault(i => i.Name == name)?.Value
                ?? throw new GraphException($"the model {model.Name} has no input '{name}', only {string.Join(", ", model.Inputs.Select(i => $"'{i.Name}'"))}");
            Unifier.Bind(sizes, declared.Shape, value.Shape.AsSpan(), $"the input '{name}'");
        }

        session.Prepare(sizes);
        foreach (var (name, _, _) in isLoaded ? [] : session.Program.States)
            session.SetState(name, name == TrainingStep.StepName ? Tensor.Scalar(0L) : name == TrainingStep.SeedName ? Tensor.Scalar(Seed) : weights[name]);
        isLoaded = session.Program.States.All(s => s.Next is null);
        foreach (var (name, _) in session.Program.Inputs)
        {
            var given = inputs.FirstOrDefault(i => i.Name == name).Value ?? throw new GraphException($"the input '{name}' has no value");
            session.SetInput(name, given);
        }

        try
        {
            session.Run();
        }
        catch (IndexException e)
        {
            throw Located(e, inputs) ?? (Exception)e;
        }

        return session.Program.Outputs.Select((o, i) => KeyValuePair.Create(o.Name, session.GetOutput(i))).ToDictionary();
    }

    /// <summary>The input, row and place that an index came from.</summary>
    private static DataFormatException? Located(IndexException e, (string Name, Tensor Value)[] inputs)
    {
        foreach (var (name, value) in inputs)
        {
            var at = value.DType == DType.I64 && e.Index is { } index && value.Rank > 0 ? value.AsSpan<long>().IndexOf(index) : -1;
            if (at < 0)
                continue;
            var width = Math.Max(1, value.Length / Math.Max(1, value.Shape[0]));
            var place = width == 1 ? "" : $", place {(at % width) + 1}";
            return new DataFormatException($"input '{name}'", $"row {(at / width) + 1}{place}: {e.Index} is out of range: the model has room for {e.Size} (0 … {e.Size - 1})", "Correct the input, or make the model's axis larger", e);
        }

        return null;
    }
}
