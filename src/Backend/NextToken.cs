using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>A language model that is fed token by token and scores the next one.</summary>
public abstract class NextToken
{
    private const int Probes = 4;

    private NextToken(Model model, Named scores)
    {
        if (model.Inputs is not [{ Value.DType: DType.I64 }])
            throw new GraphException($"{model.Name} is no language model: that has one input, the tokens, as in tokens: int[B, T]");
        if (scores.Value.Shape[^1] is not { IsKnown: true } size)
            throw new GraphException($"the output {scores.Name} of {model.Name} scores a number of tokens that is not known");
        Vocabulary = (int)size.Value;
    }

    /// <summary>The number of tokens that are scored.</summary>
    public int Vocabulary { get; }

    /// <summary>The most tokens of a text; null where nothing limits it.</summary>
    public abstract int? Room { get; }

    /// <summary>
    /// Through caches, where a model has attention or recurrent layers, and the caches say of its first tokens what the whole text says; otherwise by the whole text, as
    /// of a model that looks at other positions in another way.
    /// </summary>
    /// <param name="model">The model as it was trained.</param>
    /// <param name="decoding">Builds it for decoding.</param>
    /// <param name="weights">Its weights.</param>
    /// <param name="options">Float type and threads.</param>
    /// <exception cref="GraphException">The model is no language model, or its attention has no cache.</exception>
    /// <exception cref="DataFormatException">The weights are those of another model.</exception>
    public static NextToken Of(Model model, Func<Model> decoding, Weights weights, PlanOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(decoding);
        if (!model.Scopes.Any(s => s.Kind is "attention" or "rnn" or "lstm" or "gru"))
            return OfWhole(model, weights, options);
        var cached = OneByOne(decoding(), weights, options);
        if (Scores(model).Value.Rank != 3)
            return cached;
        var whole = OfWhole(model, weights, options);
        var probes = Math.Min(Probes, Math.Min(whole.Room ?? Probes, cached.Room ?? Probes));
        whole.Begin(probes);
        for (var i = 0; i < probes; i++)
        {
            var (said, expected) = (cached.Feed((i + 1) % cached.Vocabulary), whole.Feed((i + 1) % cached.Vocabulary));
            if (said.Zip(expected).Any(p => Math.Abs(p.First - p.Second) > 1e-3 * Math.Max(1, Math.Abs(p.Second))))
                return whole;
        }

        cached.Begin(0);
        return cached;
    }

    /// <summary>
    /// Through caches: keys, values and the position are states of one plan, so that a token costs the same at any place and nothing is compiled or allocated anew.
    /// </summary>
    /// <param name="model">The model, built for decoding.</param>
    /// <param name="weights">The weights of the model as it was trained.</param>
    /// <param name="options">Float type and threads.</param>
    /// <exception cref="GraphException">The model is no language model.</exception>
    /// <exception cref="DataFormatException">The weights are those of another model.</exception>
    public static NextToken OneByOne(Model model, Weights weights, PlanOptions? options = null) => new Cached(model, weights, options);

    /// <summary>By the whole text at each token, for models that carry nothing from token to token.</summary>
    /// <param name="model">The model as it was trained.</param>
    /// <param name="weights">Its weights.</param>
    /// <param name="options">Float type and threads.</param>
    /// <exception cref="GraphException">The model is no language model.</exception>
    /// <exception cref="DataFormatException">The weights are those of another model.</exception>
    public static NextToken OfWhole(Model model, Weights weights, PlanOptions? options = null) => new Whole(model, weights, options);

    /// <summary>Begins a text of at most so many tokens.</summary>
    public abstract void Begin(int length);

    /// <summary>Feeds a token; gives the scores of the one after it: logits, or logarithms of probabilities.</summary>
    /// <exception cref="InvalidOperationException">The text is read as a whole, and has all the tokens that <see cref="Begin"/> was told of.</exception>
    public abstract double[] Feed(long token);

    /// <summary>Chooses a token by scores.</summary>
    /// <param name="scores">A score a token, as <see cref="Feed"/> gives.</param>
    /// <param name="temperature">What scores are divided by; 0 takes the best.</param>
    /// <param name="topK">How many of the best are considered; all if null.</param>
    /// <param name="seed">With <paramref name="index"/>, what the choice is a function of.</param>
    /// <param name="index">The place of the token.</param>
    public static int Choose(ReadOnlySpan<double> scores, double temperature, int? topK, long seed, long index)
    {
        var values = scores.ToArray();
        int[] order = [.. Enumerable.Range(0, values.Length).OrderByDescending(i => values[i])];
        if (temperature == 0)
            return order[0];
        var count = Math.Min(topK ?? order.Length, order.Length);
        var shares = order.Take(count).Select(i => Math.Exp((values[i] - values[order[0]]) / temperature)).ToArray();
        var left = shares.Sum() * Philox.Bits24((ulong)seed, index) / (1 << 24);
        for (var i = 0; i < count; i++)
        {
            left -= shares[i];
            if (left < 0)
                return order[i];
        }

        return order[count - 1];
    }

    /// <summary>The output that scores tokens, before its softmax, so that a temperature divides it.</summary>
    private static Named Scores(Model model)
    {
        ArgumentNullException.ThrowIfNull(model);
        var output = model.Outputs.FirstOrDefault(o => o.Value is { Rank: > 0, DType: not (DType.I64 or DType.Bool) })
            ?? throw new GraphException($"{model.Name} has no output that scores the next token, as [B, T, tokens]");
        return model.Scopes.LastOrDefault(s => s.Kind == "softmax" && s.Outputs.Contains(output.Value)) is { } softmax ? output with { Value = softmax.Inputs[0] } : output;
    }

    private sealed class Cached : NextToken
    {
        private readonly Model model;
        private readonly Weights weights;
        private readonly Session session;

        public Cached(Model model, Weights weights, PlanOptions? options)
            : base(model, Scores(model))
        {
            ArgumentNullException.ThrowIfNull(weights);
            var type = (options ?? new PlanOptions()).Float;
            var carried = model.Buffers.Where(b => b.Next is not null).Select(b => KeyValuePair.Create(
                b.Path, Tensor.Zeros(b.Variable.DType.IsFloat() ? type : b.Variable.DType, [.. b.Variable.Shape.Dims.Select(d => (int)d.Value)])));
            (this.model, this.weights) = (model, weights.With(Weights.From(carried)));
            Trainer.RequireWeights(model, this.weights, "weights");
            session = new Session(TrainingStep.Decoding(model, Scores(model)).Simplify(model.Provenance), options);
            session.Prepare(new Dictionary<string, long>());
            Begin(0);
        }

        public override int? Room => model.Buffers.Where(b => b.Next is not null && b.Variable.Rank == 4).Min(b => (int?)b.Variable.Shape[1].Value);

        public override void Begin(int length) => Trainer.Share(weights, session);

        public override double[] Feed(long token)
        {
            session.SetInput(model.Inputs[0].Name, Tensor.Create([token], [.. model.Inputs[0].Value.Shape.Dims.Select(_ => 1)]));
            session.Run();
            return session.GetOutput(0).Cast(DType.F64).ToArray<double>();
        }
    }

    private sealed class Whole : NextToken
    {
        private readonly Model model;
        private readonly Predictor predictor;
        private long[] text = [];
        private int count;

        public Whole(Model model, Weights weights, PlanOptions? options)
            : base(model, Scores(model))
        {
            var scores = Scores(model);
            if (scores.Value.Rank != 3 || model.Inputs[0].Value.Rank != 2)
                throw new GraphException($"{model.Name} is no language model: that scores [B, T, tokens] from int[B, T]");
            this.model = model;
            predictor = new Predictor(model, weights, TrainingStep.Prediction(model with { Outputs = [scores] }), options);
        }

        public override int? Room => model.Inputs[0].Value.Shape[1] is { IsKnown: true } length ? (int)length.Value : null;

        public override void Begin(int length) => (text, count) = (new long[Room ?? length], 0);

        public override double[] Feed(long token)
        {
            if (count == text.Length)
                throw new InvalidOperationException($"the text has its {text.Length} tokens already: Begin says how many there may be");

            // What follows is not there yet, and a causal model does not look.
            text[count++] = token;
            var scores = predictor.Predict((model.Inputs[0].Name, Tensor.Create(text, 1, text.Length))).Single().Value;
            return [.. Enumerable.Range(0, Vocabulary).Select(i => scores[0, count - 1, i])];
        }
    }
}
