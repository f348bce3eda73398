using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>One line of the log: the averages of a split after an epoch.</summary>
/// <param name="Epoch">From 1.</param>
/// <param name="Step">Optimizer steps taken so far.</param>
/// <param name="Split"><c>train</c>, <c>validation</c> or <c>test</c>.</param>
/// <param name="Values">The loss, then its parts where there are several, then the metrics: averages over rows.</param>
/// <param name="LearningRate">Of the last step.</param>
/// <param name="Seconds">Of training since it began or was resumed.</param>
public sealed record LogRecord(int Epoch, long Step, string Split, IReadOnlyList<KeyValuePair<string, double>> Values, double LearningRate, double Seconds)
{
    /// <summary>The key that is there, and true, for records of steps alone.</summary>
    public const string StepKey = "partial";

    public double Loss => Values[0].Value;

    /// <summary>Whether it is of some steps within the epoch, rather than of all of it.</summary>
    public bool IsStep { get; init; }

    /// <summary>The line of <c>metrics.jsonl</c>.</summary>
    public string ToJson()
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteNumber("epoch", Epoch);
            json.WriteNumber("step", Step);
            json.WriteString("split", Split);
            foreach (var (name, value) in Values)
            {
                // JSON has no NaN.
                if (double.IsFinite(value))
                    json.WriteNumber(name, value);
                else
                    json.WriteNull(name);
            }

            json.WriteNumber("lr", LearningRate);
            json.WriteNumber("seconds", Math.Round(Seconds, 3));
            if (IsStep)
                json.WriteBoolean(StepKey, true);
            json.WriteEndObject();
        }

        return System.Text.Encoding.UTF8.GetString(stream.ToArray());
    }
}

/// <summary>Why training ended.</summary>
public enum TrainingEnd
{
    /// <summary>All epochs or steps are done.</summary>
    Completed,

    /// <summary>The watched value has stopped improving.</summary>
    EarlyStop,

    /// <summary>It was asked to stop; the state resumes it.</summary>
    Interrupted,
}

/// <summary>What training gave.</summary>
/// <param name="Weights">After the last step.</param>
/// <param name="Best">Where the watched value was best; these are what one predicts with.</param>
/// <param name="Log">The averages of every epoch.</param>
/// <param name="End">Why it ended.</param>
public sealed record TrainingResult(Weights Weights, Weights Best, IReadOnlyList<LogRecord> Log, TrainingEnd End);

/// <summary>A loss or gradient that was not finite. No state was changed by the step that made it.</summary>
public sealed class NonFiniteException(string message, BlameReport? blame, Provenance.Origin? origin) : GraphException(message)
{
    /// <summary>The first node whose value was not finite though its arguments were; null where the replay stayed finite.</summary>
    public BlameReport? Blame { get; } = blame;

    /// <summary>The place in the source, and the layer, that it came from.</summary>
    public Provenance.Origin? Origin { get; } = origin;
}

/// <summary>
/// Runs a recipe: batches, epochs, evaluation, early stopping. It owns parameters and optimizer state while it runs; weights come out as
/// values. The same model, data and seed give the same bits at any number of threads, and so does a run that was interrupted and resumed.
/// </summary>
public sealed class Trainer
{
    private const string ProgressKey = "progress";

    /// <summary>Bits of what tells which optimizers are due.</summary>
    private const int MaxLines = 64;

    private readonly Model model;
    private readonly TrainingRecipe recipe;
    private readonly DataSet data;
    private readonly Session training;
    private readonly Dictionary<ulong, Session[]> runs = [];
    private readonly LbfgsLoop? loop;
    private readonly SplitEvaluation? evaluation;
    private readonly Feeder feeder;
    private readonly Batches batches;
    private readonly Augmenter? augmenter;
    private readonly string[] valueNames;
    private readonly double[] sums;
    private readonly double[] logged;
    private readonly Stopwatch clock = new();
    private readonly string watched;
    private readonly string watchedSplit;
    private Progress progress = new();
    private double rate;

    /// <param name="model">The model; its provenance grows by what training derives.</param>
    /// <param name="recipe">How it trains.</param>
    /// <param name="data">Columns by the names of inputs and targets; the split <c>train</c> is trained on.</param>
    /// <param name="options">Float type and threads.</param>
    /// <param name="initial">What the parameters start from; drawn from the recipe's seed where null or missing.</param>
    /// <exception cref="GraphException">The model cannot be trained.</exception>
    /// <exception cref="DataFormatException">The data does not have the columns.</exception>
    public Trainer(Model model, TrainingRecipe recipe, DataSet data, PlanOptions? options = null, Weights? initial = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(recipe);
        ArgumentNullException.ThrowIfNull(data);
        options ??= PlanOptions.Default;
        if (recipe.Precision is { } precision)
            options = options with { Float = precision };
        (this.model, this.recipe) = (model, recipe);
        this.data = data = data.Cast(options.Float);
        var train = data[DataDescription.Train];
        batches = new Batches(train.Rows, recipe.Optimizer is Lbfgs ? Math.Max(1, train.Rows) : recipe.Batch, recipe.Seed, recipe.Shuffle && recipe.Optimizer is not Lbfgs);
        TotalSteps = Math.Min(recipe.Steps ?? long.MaxValue, recipe.Epochs * (((long)batches.Count + recipe.Accumulate - 1) / recipe.Accumulate));
        var program = TrainingStep.Build(model, recipe, TotalSteps).Simplify(model.Provenance);
        training = new Session(program, options);
        if (recipe.Optimizers.Count > MaxLines)
            throw new GraphException($"a recipe has at most {MaxLines} optimizers, not {recipe.Optimizers.Count}");
        loop = recipe.Optimizer is Lbfgs lbfgs ? new LbfgsLoop(training, lbfgs) : null;
        valueNames = [.. program.Outputs.Select(o => o.Name).TakeWhile(n => n != TrainingStep.GradientNormName)];
        sums = new double[valueNames.Length];
        logged = new double[valueNames.Length];
        feeder = new Feeder(model);
        feeder.Check(data);
        var others = data.Splits.Where(s => s.Name != DataDescription.Train).ToArray();
        if (others.Length > 0)
            evaluation = new SplitEvaluation(model, options);
        (watchedSplit, watched) = Watched(recipe.EarlyStop?.On ?? (data.TryGet("validation") is null ? "train.loss" : "validation.loss"));

        augmenter = data.Augment.Count == 0 ? null : new Augmenter(data.Augment, data.Schema, recipe.Seed);
        feeder.Prepare(training, train, batches.Size);
        var weights = Initialization.Sample(model, recipe.Seed, options.Float);
        if (recipe.StartFrom is { } file)
        {
            Start = StartReport.Read(file, model);
            weights = weights.With(Start.Weights);
        }

        if (initial is not null)
            weights = weights.With(initial);
        foreach (var state in program.States)
        {
            training.SetState(state.Name, state.Name switch
            {
                TrainingStep.StepName => Tensor.Scalar(0L),
                TrainingStep.SeedName => Tensor.Scalar(recipe.Seed),
                _ when weights.TryGet(state.Name, out var value) => value,
                _ when state.Name.StartsWith(TrainingStep.AveragePrefix, StringComparison.Ordinal) => weights[state.Name[TrainingStep.AveragePrefix.Length..]],
                _ => Tensor.Zeros(state.Variable.DType == DType.Float ? options.Float : state.Variable.DType, [.. state.Variable.Shape.Dims.Select(d => (int)d.Value)]),
            });
        }

        Best = Averaged;
    }

    /// <summary>What <c>start_from</c> has loaded; null without it.</summary>
    public StartReport? Start { get; }

    /// <summary>The float type of the run.</summary>
    public DType Float => training.Options.Float;

    /// <summary>Optimizer steps taken.</summary>
    public long Step => progress.Step;

    /// <summary>Steps of the whole run.</summary>
    public long TotalSteps { get; }

    /// <summary>The epoch that is running, from 1.</summary>
    public int Epoch => progress.Epoch + 1;

    /// <summary>The average loss of the epoch so far.</summary>
    public double RunningLoss => progress.Rows == 0 ? double.NaN : sums[0] / progress.Rows;

    /// <summary>Parameters and buffers as they are, with the statistics that the data was normalized by.</summary>
    public Weights Weights => Kept(training).With(data.Statistics);

    /// <summary>As <see cref="Weights"/>, with the running averages of the parameters where the recipe has <c>ema</c>: what is evaluated.</summary>
    public Weights Averaged => recipe.Ema is null ? Weights : training.Program.States.Select(s => s.Name)
        .Where(n => n.StartsWith(TrainingStep.AveragePrefix, StringComparison.Ordinal))
        .Aggregate(Weights, (w, n) => w.With(n[TrainingStep.AveragePrefix.Length..], training.GetState(n)));

    /// <summary>Those where the watched value was best.</summary>
    public Weights Best { get; private set; }

    /// <summary>The epoch of the best value, from 1; 0 before the first.</summary>
    public int BestEpoch => progress.BestEpoch;

    public TrainingEnd End { get; private set; } = TrainingEnd.Completed;

    /// <summary>Trains a model in one call.</summary>
    public static TrainingResult Fit(Model model, TrainingRecipe recipe, DataSet data, PlanOptions? options = null, Weights? initial = null, CancellationToken cancellation = default)
    {
        var trainer = new Trainer(model, recipe, data, options, initial);
        var log = trainer.Run(cancellation: cancellation).ToList();
        return new TrainingResult(trainer.Weights, trainer.Best, log, trainer.End);
    }

    /// <summary>
    /// Trains, epoch after epoch; each gives a record a split, and where the recipe logs steps, those give records of the training part. After a
    /// step and between two records the state may be captured. When cancelled, it finishes the batch and ends.
    /// </summary>
    /// <param name="afterStep">Called after every step.</param>
    /// <exception cref="NonFiniteException">A loss or gradient is not finite. The state is that of the batch before.</exception>
    /// <exception cref="DataFormatException">A number of the data is out of the range that the model has for it; the message says where.</exception>
    public IEnumerable<LogRecord> Run(Action<Trainer>? afterStep = null, CancellationToken cancellation = default)
    {
        clock.Start();
        var before = clock.Elapsed;
        var train = data[DataDescription.Train];
        using var prefetch = train.IsSlow || augmenter is not null ? new Prefetcher(feeder, Float, train, augmenter) : null;
        while (progress.Epoch < recipe.Epochs && progress.Step < TotalSteps && !progress.Stopped)
        {
            batches.Start(progress.Epoch);
            while (progress.Batch < batches.Count && progress.Step < TotalSteps)
            {
                if (cancellation.IsCancellationRequested)
                {
                    End = TrainingEnd.Interrupted;
                    yield break;
                }

                if (!RunBatch(train, prefetch))
                    continue;
                if (recipe.LogEvery is { } every && progress.Step % every == 0)
                {
                    var record = StepRecord((clock.Elapsed - before).TotalSeconds);
                    afterStep?.Invoke(this);
                    yield return record;
                }
                else
                {
                    afterStep?.Invoke(this);
                }
            }

            var seconds = (clock.Elapsed - before).TotalSeconds;
            var records = new List<LogRecord> { Record(DataDescription.Train, Averages(sums, progress.Rows), seconds) };
            if (evaluation is not null)
            {
                var weights = Averaged;
                records.AddRange(data.Splits.Where(s => s.Name != DataDescription.Train).Select(s => Record(s.Name, evaluation.Run(weights, s, feeder, recipe.Batch), seconds)));
            }

            Judge(records);
            progress = progress with { Epoch = progress.Epoch + 1, Batch = 0, Rows = 0, LoggedRows = 0, Lines = progress.Lines + records.Count };
            Array.Clear(sums);
            Array.Clear(logged);
            foreach (var record in records)
                yield return record;
        }

        End = progress.Stopped ? TrainingEnd.EarlyStop : TrainingEnd.Completed;
    }

    /// <summary>Everything that resuming to the same bits needs.</summary>
    public Weights Capture()
    {
        var all = Backend.Weights.From(training.Program.States.Select(s => KeyValuePair.Create(s.Name, training.GetState(s.Name))));
        var saved = progress with { Sums = Texts(sums), Logged = Texts(logged), Rate = rate };
        return all.With(data.Statistics).WithMetadata(ProgressKey, JsonSerializer.Serialize(saved));
    }

    /// <summary>Goes on where <see cref="Capture"/> was called, with the best weights that were there then.</summary>
    /// <returns>How many records the captured run had given.</returns>
    /// <exception cref="DataFormatException">The state is of another model or recipe, or is no state.</exception>
    public int Restore(Weights state, Weights? best, string where)
    {
        ArgumentNullException.ThrowIfNull(state);
        if (!state.Metadata.TryGetValue(ProgressKey, out var text))
            throw new DataFormatException(where, "this holds weights but no training state", "Give the folder `last` of the run");
        Require(state, training.Program.States.Select(s => (s.Name, s.Variable)), where);
        Progress? read;
        try
        {
            read = JsonSerializer.Deserialize<Progress>(text);
        }
        catch (JsonException e)
        {
            throw new DataFormatException(where, "the training state is damaged", inner: e);
        }

        if (read is null || read.Sums.Length != sums.Length || read.Logged.Length != sums.Length)
            throw new DataFormatException(where, "the training state is that of a model with other losses or metrics");
        foreach (var (name, _, _) in training.Program.States)
            training.SetState(name, state[name]);
        progress = read;
        rate = read.Rate;
        for (var i = 0; i < sums.Length; i++)
            (sums[i], logged[i]) = (double.Parse(read.Sums[i], CultureInfo.InvariantCulture), double.Parse(read.Logged[i], CultureInfo.InvariantCulture));
        Best = best ?? Averaged;
        return read.Lines;
    }

    private static string[] Texts(double[] values) => [.. values.Select(v => v.ToString("R", CultureInfo.InvariantCulture))];

    /// <summary>The average losses and metrics of one split under some weights.</summary>
    /// <exception cref="DataFormatException">The weights or the data do not fit the model.</exception>
    public static IReadOnlyList<KeyValuePair<string, double>> Evaluate(Model model, Weights weights, DataSet data, string split, PlanOptions? options = null, int batch = 256)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(data);
        options ??= PlanOptions.Default;
        var feeder = new Feeder(model);
        data = data.Cast(options.Float);
        feeder.Check(data);
        return new SplitEvaluation(model, options).Run(weights, data[split], feeder, batch);
    }

    /// <summary>Checks weights against what a model needs.</summary>
    /// <exception cref="DataFormatException">Something is missing, or of another shape; the message lists what differs.</exception>
    public static void RequireWeights(Model model, Weights weights, string where)
    {
        ArgumentNullException.ThrowIfNull(model);
        Require(weights, [.. model.Parameters.Select(p => (p.Path, p.Variable)), .. model.Buffers.Select(b => (b.Path, b.Variable))], where);
    }

    /// <summary>Gives a prepared session the parameters and buffers of a model.</summary>
    internal static void Share(Weights weights, Session session)
    {
        foreach (var (name, _, _) in session.Program.States)
            session.SetState(name, name is TrainingStep.StepName or TrainingStep.SeedName ? Tensor.Scalar(0L) : weights[name]);
    }

    /// <summary>One batch; all batches of a step, where several optimizers go over them one after another.</summary>
    /// <returns>Whether it has ended a step.</returns>
    private bool RunBatch(DataSplit train, Prefetcher? prefetch)
    {
        var parts = Due();
        if (parts is not [var session])
            return RunStep(parts, train, prefetch);
        var rows = batches[progress.Batch];
        var isLast = Feed(session, progress.Batch, train, prefetch);
        if (loop is not null)
        {
            RunLoop(rows.Length);
        }
        else
        {
            Run(session, train, rows);
            Count(session, rows.Length);
        }

        progress.Advance(rows.Length, isLast);
        return isLast;
    }

    /// <summary>A step of several batches and optimizers: each takes the gradient of all of them where those before have moved the parameters.</summary>
    private bool RunStep(Session[] parts, DataSplit train, Prefetcher? prefetch)
    {
        var first = progress.Batch;
        var end = Math.Min(first + recipe.Accumulate, batches.Count);
        var drawn = training.StateSpan<long>(TrainingStep.StepName)[0];
        foreach (var session in parts)
        {
            // The random numbers of a batch are the same for all.
            training.SetWhole(TrainingStep.StepName, drawn);
            for (var batch = first; batch < end; batch++)
            {
                Feed(session, batch, train, prefetch);
                Run(session, train, batches[batch]);
                if (session == parts[0])
                    Count(session, batches[batch].Length);
            }
        }

        for (var batch = first; batch < end; batch++)
            progress.Advance(batches[batch].Length, batch + 1 == end);
        return true;
    }

    /// <summary>What runs in this step: one program, or one for each optimizer that is due. What nobody needs in a step is in none of its programs.</summary>
    private Session[] Due()
    {
        var step = progress.Step + 1;
        var key = 0UL;
        for (var i = 0; i < recipe.Optimizers.Count; i++)
            key |= step % recipe.Optimizers[i].Every == 0 ? 1UL << i : 0;
        if (!runs.TryGetValue(key, out var sessions))
            runs[key] = sessions = recipe.Optimizers.All(o => o.Every == 1) && (recipe.Accumulate == 1 || recipe.Optimizers.Count == 1)
                ? [training]
                : [.. recipe.Parts(recipe.Due(step)).Select(part => training.Sharing(TrainingStep.Build(model, recipe, TotalSteps, part).Simplify(model.Provenance)))];
        return sessions;
    }

    /// <summary>Brings a batch to a session, with its weight in a step of several.</summary>
    /// <returns>Whether it is the last of its step.</returns>
    private bool Feed(Session session, int batch, DataSplit train, Prefetcher? prefetch)
    {
        if (prefetch is null)
            feeder.Feed(session, train, batches[batch], augmenter, progress.Epoch);
        else
            prefetch.Feed(session, batches, progress.Epoch, batch);
        if (recipe.Accumulate == 1)
            return true;
        var first = batch / recipe.Accumulate * recipe.Accumulate;
        var end = Math.Min(first + recipe.Accumulate, batches.Count);
        var all = 0;
        for (var i = first; i < end; i++)
            all += batches[i].Length;
        var (weight, isLast) = ((double)batches[batch].Length / all, batch + 1 == end);
        if (Float == DType.F32)
            session.InputSpan<float>(TrainingStep.BatchWeightName)[0] = (float)weight;
        else
            session.InputSpan<double>(TrainingStep.BatchWeightName)[0] = weight;
        session.InputSpan<bool>(TrainingStep.BatchIsLastName)[0] = isLast;
        return isLast;
    }

    private void Run(Session session, DataSplit train, ReadOnlySpan<int> rows)
    {
        if (feeder.Run(session, train, rows) == RunResult.NotFinite)
            throw Blamed(session);
    }

    private void RunLoop(int rows)
    {
        var converged = loop!.Step(() =>
        {
            Count(training, rows);
            return rate;
        }) ?? throw Blamed(training);
        progress = progress with { Stopped = converged };
    }

    /// <summary>Takes the outputs of a run into the sums.</summary>
    private void Count(Session session, int rows)
    {
        for (var i = 0; i < sums.Length; i++)
            sums[i] += session.ReadScalar(i) * rows;
        rate = session.ReadScalar(sums.Length + 1);
    }

    private NonFiniteException Blamed(Session session)
    {
        var blame = session.Blame();
        var origin = blame is null ? null : model.Provenance.Find(blame.Node);
        var what = double.IsFinite(session.ReadScalar(0)) ? "the gradient" : "the loss";
        var where = (origin?.Scope is { Path.Length: > 0 } scope ? $" in {scope.Path}" : "") + (origin?.Location is { } at ? $" at {at}" : "");
        var made = blame is null ? "" : $"; the first value that is not finite is {Printer.Number(blame.Value)}, made by `{blame.Node.Op.Name}`{where}";
        return new NonFiniteException($"training stopped in epoch {Epoch}, step {Step + 1}: {what} is not finite{made}", blame, origin);
    }

    private static void Require(Weights weights, IEnumerable<(string Path, Expr Variable)> expected, string where)
    {
        var types = expected.Select(e => (e.Path, e.Variable.DType == DType.Float ? FloatTypeOf(weights, e.Path) : e.Variable.DType, (System.Collections.Immutable.ImmutableArray<int>)[.. e.Variable.Shape.Dims.Select(d => (int)d.Value)]));
        var differences = weights.CompareTo(types).Where(d => d.Kind != DifferenceKind.Unexpected || !d.Path.StartsWith("data.", StringComparison.Ordinal)).ToArray();
        if (differences.Length > 0)
            throw new DataFormatException(where, $"these weights are not those of the model: {string.Join("; ", differences.Take(8).Select(d => d.Message))}{(differences.Length > 8 ? $"; and {differences.Length - 8} more" : "")}");
    }

    /// <summary>Either precision serves: what is there is cast.</summary>
    private static DType FloatTypeOf(Weights weights, string path) => weights.TryGet(path, out var tensor) && tensor.DType.IsFloat() ? tensor.DType : DType.F32;

    /// <summary>The averages since the last record of a step.</summary>
    private LogRecord StepRecord(double seconds)
    {
        var rows = progress.Rows - progress.LoggedRows;
        var record = Record(DataDescription.Train, Averages([.. sums.Zip(logged, (s, l) => s - l)], rows), seconds) with { IsStep = true };
        sums.CopyTo(logged, 0);
        progress = progress with { LoggedRows = progress.Rows, Lines = progress.Lines + 1 };
        return record;
    }

    private LogRecord Record(string split, IReadOnlyList<KeyValuePair<string, double>> values, double seconds) =>
        new(progress.Epoch + 1, progress.Step, split, values, rate, seconds);

    private IReadOnlyList<KeyValuePair<string, double>> Averages(double[] totals, long rows) =>
        [.. valueNames.Select((n, i) => KeyValuePair.Create(n, totals[i] / rows))];

    /// <summary>Keeps the best weights and decides whether to stop.</summary>
    private void Judge(List<LogRecord> records)
    {
        var value = records.First(r => r.Split == watchedSplit).Values.First(v => v.Key == watched).Value;
        var stop = recipe.EarlyStop ?? new EarlyStop();
        var better = progress.BestEpoch == 0 || (stop.Maximize ? value > progress.BestValue + stop.MinDelta : value < progress.BestValue - stop.MinDelta);
        if (better)
        {
            Best = Averaged;
            progress = progress with { BestValue = value, BestEpoch = progress.Epoch + 1 };
        }
        else if (recipe.EarlyStop is not null && progress.Epoch + 1 - progress.BestEpoch >= stop.Patience)
        {
            progress = progress with { Stopped = true };
        }
    }

    private (string Split, string Value) Watched(string on)
    {
        var dot = on.IndexOf('.', StringComparison.Ordinal);
        var (split, value) = dot < 0 ? ("validation", on) : (on[..dot], on[(dot + 1)..]);
        if (data.TryGet(split) is null)
            throw new DataFormatException($"early_stop on = {on}", $"the data has no part '{split}'", $"It has {string.Join(", ", data.Splits.Select(s => s.Name))}");
        return valueNames.Contains(value)
            ? (split, value)
            : throw new DataFormatException($"early_stop on = {on}", $"there is no loss or metric '{value}'", $"There are {string.Join(", ", valueNames)}");
    }

    private Weights Kept(Session session)
    {
        var paths = model.Parameters.Select(p => p.Path).Concat(model.Buffers.Select(b => b.Path));
        return Backend.Weights.From(paths.Select(path => KeyValuePair.Create(path, session.GetState(path))));
    }

    /// <summary>How far a run has come.</summary>
    private sealed record Progress
    {
        public int Epoch { get; init; }

        public int Batch { get; set; }

        public long Step { get; set; }

        /// <summary>Rows of this epoch that the sums hold.</summary>
        public long Rows { get; set; }

        /// <summary>Those of them that records of steps have had.</summary>
        public long LoggedRows { get; init; }

        public int Lines { get; init; }

        public double BestValue { get; init; }

        public int BestEpoch { get; init; }

        public bool Stopped { get; init; }

        public double Rate { get; init; }

        public string[] Sums { get; init; } = [];

        public string[] Logged { get; init; } = [];

        public void Advance(int rows, bool endsStep)
        {
            Batch++;
            Step += endsStep ? 1 : 0;
            Rows += rows;
        }
    }
}
