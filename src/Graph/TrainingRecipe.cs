using System.Text.RegularExpressions;

namespace Dnn.Graph;

/// <summary>When training stops before its last epoch.</summary>
/// <param name="On">What is watched: a loss or metric of a split, such as <c>validation.loss</c>.</param>
/// <param name="Patience">Epochs without improvement that are waited.</param>
/// <param name="MinDelta">What counts as improvement.</param>
/// <param name="Maximize">Whether larger is better.</param>
public sealed record EarlyStop(string On = "validation.loss", int Patience = 5, double MinDelta = 0, bool Maximize = false);

/// <summary>
/// Parts of a model by their paths: <c>encoder</c> is everything below it, <c>encoder.fc.weight</c> one parameter, and in <c>"*.weight"</c> a star stands for any
/// text.
/// </summary>
public static class PathPattern
{
    /// <summary>Whether a parameter is among those that a pattern means.</summary>
    public static bool Matches(string pattern, string path) => pattern.Contains('*', StringComparison.Ordinal)
        ? Regex.IsMatch(path, "^" + Regex.Escape(pattern).Replace("\\*", ".*", StringComparison.Ordinal) + "$", RegexOptions.CultureInvariant | RegexOptions.NonBacktracking)
        : path.StartsWith(pattern, StringComparison.Ordinal) && (path.Length == pattern.Length || pattern.EndsWith('.') || path[pattern.Length] is '.' or '[');

    /// <summary>Whether one of several patterns means it.</summary>
    public static bool MatchesAny(ValueList<string> patterns, string path) => patterns.Any(p => Matches(p, path));
}

/// <summary>One optimizer and what it is for. Those of a recipe run in order on each batch, each seeing what the one before left.</summary>
public sealed record OptimizerLine
{
    /// <param name="optimizer">The optimizer.</param>
    /// <exception cref="RangeException">A number of the optimizer was set out of its range.</exception>
    public OptimizerLine(Optimizer optimizer)
    {
        ArgumentNullException.ThrowIfNull(optimizer);
        optimizer.Check();
        Optimizer = optimizer;
    }

    /// <summary>How the parameters move.</summary>
    public Optimizer Optimizer { get; }

    /// <summary>The parameters that it moves, by <see cref="PathPattern"/>s; all, if empty.</summary>
    public ValueList<string> On { get; init; }

    /// <summary>The loss that it minimizes; the sum of all, if null.</summary>
    public string? Minimize { get; init; }

    /// <summary>It moves them at every so manieth step: with 5, after the fifth, the tenth….</summary>
    public int Every
    {
        get;
        init
        {
            Ranges.Count("an optimizer", "every", value);
            field = value;
        }
    } = 1;
}

/// <summary>What one run does of a step: where several batches make one and several optimizers move in it, each of these has runs of its own over the same batches.</summary>
/// <param name="Lines">The optimizers whose turn it is, by their numbers.</param>
/// <param name="IsFirst">Whether running statistics follow the batch.</param>
/// <param name="IsLast">Whether the step is counted, and averages of parameters follow.</param>
public sealed record StepPart(ValueList<int> Lines, bool IsFirst = true, bool IsLast = true);

/// <summary>Weights to start from: those of a file that fit; what it lacks is initialized as usual.</summary>
/// <param name="Path">A safetensors file.</param>
public sealed record StartFrom(string Path)
{
    /// <summary>What to take, by <see cref="PathPattern"/>s of the model's paths; all, if empty.</summary>
    public ValueList<string> Only { get; init; }

    /// <summary>Beginnings of paths in the file, and what the model has in their place; the first that fits applies.</summary>
    public ValueList<PathRename> Renames { get; init; }
}

/// <summary>The beginning of a path in a file, and in a model.</summary>
public sealed record PathRename(string There, string Here);

/// <summary>Weights that are kept while training goes on.</summary>
/// <param name="Every">After every so many epochs, or steps.</param>
/// <param name="InSteps">Whether steps are counted.</param>
/// <param name="Keep">The last so many are kept; all, if null.</param>
public sealed record CheckpointPlan(long Every, bool InSteps = false, int? Keep = null);

/// <summary>How a model is trained: a description; the trainer in the backend runs it.</summary>
public sealed record TrainingRecipe
{
    /// <summary>The optimizers in order.</summary>
    public ValueList<OptimizerLine> Optimizers { get; init; }

    /// <summary>The first optimizer; given, the only one, for all parameters and the sum of the losses.</summary>
    public Optimizer Optimizer
    {
        get => Optimizers.Count > 0 ? Optimizers[0].Optimizer : throw new GraphException("the recipe has no optimizer");
        init => Optimizers = [new OptimizerLine(value)];
    }

    /// <summary>Rows in a batch.</summary>
    public int Batch
    {
        get;
        init
        {
            Ranges.Count("training", "batch", value);
            field = value;
        }
    } = 32;

    /// <summary>Batches whose gradients make one step, as if they were one batch: averages weigh them by their rows.</summary>
    public int Accumulate
    {
        get;
        init
        {
            Ranges.Count("training", "accumulate", value);
            field = value;
        }
    } = 1;

    public int Epochs
    {
        get;
        init
        {
            Ranges.Count("training", "epochs", value, least: 0);
            field = value;
        }
    } = 10;

    /// <summary>Steps after which training ends, whatever the epoch; null for no limit.</summary>
    public long? Steps
    {
        get;
        init
        {
            Ranges.Count("training", "steps", value ?? 0, least: 0);
            field = value;
        }
    }

    /// <summary>The largest norm that all gradients of an optimizer together may have (Pascanu et al. 2013).</summary>
    public double? ClipNorm
    {
        get;
        init
        {
            Ranges.Positive("training", "clip_norm", value);
            field = value;
        }
    }

    /// <summary>The largest absolute value of an element of a gradient.</summary>
    public double? ClipValue
    {
        get;
        init
        {
            Ranges.Positive("training", "clip_value", value);
            field = value;
        }
    }

    public EarlyStop? EarlyStop { get; init; }

    /// <summary>
    /// d in the running average e ← d·e + (1 − d)·w of the parameters after each step, which evaluation and the best weights then use (Polyak and Juditsky
    /// 1992); early on d is at most (1 + n) / (10 + n) at step n. Null for none.
    /// </summary>
    public double? Ema
    {
        get;
        init
        {
            Ranges.Require(value is null or (> 0 and < 1), "training", "ema", value ?? 0, "between 0 and 1");
            field = value;
        }
    }

    /// <summary>What all random numbers are functions of: initial parameters, shuffling, dropout.</summary>
    public long Seed { get; init; }

    public bool Shuffle { get; init; } = true;

    /// <summary>The float type, F32 or F64; null for that of the plan's options.</summary>
    public DType? Precision { get; init; }

    /// <summary>Whether weight decay reaches every parameter, rather than only tensors of two and more axes.</summary>
    public bool DecayAll { get; init; }

    /// <summary>The parameters that weight decay reaches, by <see cref="PathPattern"/>s; empty for the rule of <see cref="DecayAll"/>.</summary>
    public ValueList<string> DecayOn { get; init; }

    /// <summary>Parameters that keep their values, by <see cref="PathPattern"/>s.</summary>
    public ValueList<string> Freeze { get; init; }

    public StartFrom? StartFrom { get; init; }

    /// <summary>The training part's averages are logged after every so many steps, too; null for epochs alone.</summary>
    public long? LogEvery
    {
        get;
        init
        {
            Ranges.Count("training", "log", value ?? 1);
            field = value;
        }
    }

    /// <summary>What is to be kept of a run in its folder. Who owns the folder keeps it: <c>dnn train</c>, or one's own program after each step.</summary>
    public CheckpointPlan? Checkpoint { get; init; }

    /// <summary>The optimizers that move in a step.</summary>
    /// <param name="step">The number of the step, from 1.</param>
    public ValueList<int> Due(long step) => [.. Enumerable.Range(0, Optimizers.Count).Where(i => step % Optimizers[i].Every == 0)];

    /// <summary>
    /// The runs of a step in which some optimizers move: one for all, or, where several batches make the step, one for each, as the gradient of a later one is taken where
    /// the earlier ones have moved the parameters.
    /// </summary>
    public IReadOnlyList<StepPart> Parts(ValueList<int> due) => Accumulate == 1 || due.Count <= 1
        ? [new StepPart(due)]
        : [.. due.Select((line, i) => new StepPart([line], i == 0, i == due.Count - 1))];

    /// <summary>Whether a parameter moves at all.</summary>
    public bool Trains(Parameter parameter)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        return !parameter.Options.Frozen && !PathPattern.MatchesAny(Freeze, parameter.Path)
            && Optimizers.Any(line => line.On.Count == 0 || PathPattern.MatchesAny(line.On, parameter.Path));
    }

    /// <summary>Whether weight decay reaches a parameter.</summary>
    public bool Decays(Parameter parameter)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        return !parameter.Options.NoDecay && (DecayOn.Count > 0 ? PathPattern.MatchesAny(DecayOn, parameter.Path) : DecayAll || parameter.Shape.Rank >= 2);
    }
}
