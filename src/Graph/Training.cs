using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>Training, evaluation and prediction as programs.</summary>
public static partial class TrainingStep
{
    public const string OptimizerPrefix = "optimizer.";

    /// <summary>What the gradients of a loop around the gradient are called: this, then the parameter's path.</summary>
    public const string GradientPrefix = "gradient.";

    /// <summary>What a loop around the gradient remembers: the last changes of all parameters and gradients, a row each, and how many.</summary>
    public const string ParameterChanges = "optimizer.s", GradientChanges = "optimizer.y", HistoryCount = "optimizer.count";

    /// <summary>The names of outputs beside losses and metrics.</summary>
    public const string LossName = "loss";

    public const string GradientNormName = "gradient_norm";

    public const string RateName = "lr";

    /// <summary>Batches taken, which random numbers are functions of; without accumulation, the steps taken.</summary>
    public const string StepName = "step";

    /// <summary>Steps taken, where several batches make one.</summary>
    public const string UpdatesName = "updates";

    /// <summary>What is fed where several batches make one step: the part of the step's rows that are in the batch, and whether it is the last.</summary>
    public const string BatchWeightName = "accumulate.weight", BatchIsLastName = "accumulate.last";

    /// <summary>What running averages of parameters, and sums of gradients, are called: this, then the path.</summary>
    public const string AveragePrefix = "ema.", SumPrefix = "accumulate.sum.";

    public const string SeedName = "seed";

    /// <summary>
    /// One training step as one program: forward pass, losses, gradients, clipping, optimizer and schedule; state in, state out. What is
    /// not needed for that is not in it.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="recipe">How it trains.</param>
    /// <param name="totalSteps">The number of steps of the run, for schedules.</param>
    /// <param name="part">What of the step: the programs of all parts have the same states, inputs and outputs. If null, the first part of a step in which all optimizers move.</param>
    /// <exception cref="GraphException">The model has no loss, or nothing that trains.</exception>
    public static Program Build(Model model, TrainingRecipe recipe, long totalSteps, StepPart? part = null)
    {
        Check(model, recipe);
        return recipe.Optimizer is Lbfgs
            ? FullGradient(model, recipe, totalSteps)
            : new Builder(model, recipe, totalSteps, part ?? recipe.Parts([.. Enumerable.Range(0, recipe.Optimizers.Count)])[0]).Build();
    }

    /// <summary>Checks that a recipe suits a model, before anything is derived.</summary>
    /// <exception cref="GraphException">It does not; the message says why.</exception>
    public static void Check(Model model, TrainingRecipe recipe)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(recipe);
        if (recipe.Optimizers.Count == 0)
            throw new GraphException("the recipe has no optimizer");
        if (!model.Parameters.Any(recipe.Trains))
            throw new GraphException($"the model {model.Name} has no parameters to train{(recipe.Freeze.Count > 0 ? " that are not frozen" : "")}");
        if (recipe.Optimizers is [{ Optimizer: Lbfgs } alone])
        {
            if (recipe.Accumulate > 1 || recipe.Ema is not null || alone is not { On.Count: 0, Minimize: null, Every: 1 })
                throw new GraphException("lbfgs takes all rows at once for all parameters and losses; leave out accumulate, ema, on, minimize and every");
            if (recipe.ClipNorm is not null || recipe.ClipValue is not null)
                throw new GraphException("lbfgs searches along the gradient as it is; leave out clip_norm and clip_value");
            if (model.Buffers.FirstOrDefault(b => b.Next is not null) is { } buffer)
                throw new GraphException($"lbfgs tries several lengths a step, and {buffer.Path} would follow all of them; train what has running statistics by another optimizer");
        }

        foreach (var line in recipe.Optimizers)
        {
            if (line.Optimizer is Lbfgs && recipe.Optimizers.Count > 1)
                throw new GraphException("lbfgs trains all parameters at once and has no other optimizer beside it");
            var trained = Trained(model, recipe, line);
            if (trained.Length == 0)
                throw new GraphException($"the optimizer on {string.Join(", ", line.On)} has no parameters to train");
            var reached = Expr.PostOrder([line.Minimize is null ? model.TotalLoss : model.Losses[IndexOfLoss(model, line.Minimize)].Value]).ToHashSet();
            if (!trained.Any(p => reached.Contains(p.Variable)))
                throw Unreached(model, line);
        }
    }

    private static Parameter[] Trained(Model model, TrainingRecipe recipe, OptimizerLine line) =>
        [.. model.Parameters.Where(p => recipe.Trains(p) && (line.On.Count == 0 || PathPattern.MatchesAny(line.On, p.Path)))];

    /// <summary>No parameter that an optimizer moves has a gradient.</summary>
    private static GraphException Unreached(Model model, OptimizerLine line) => new(
        $"the loss {(line.Minimize is null ? "" : $"{line.Minimize} ")}of {model.Name} depends on none of {(line.On.Count == 0 ? "its parameters" : $"the parameters on {string.Join(", ", line.On)}")}");

    private static int IndexOfLoss(Model model, string name)
    {
        var index = model.Losses.ToList().FindIndex(l => l.Name == name);
        return index >= 0 ? index : throw new GraphException($"the model {model.Name} has no loss '{name}'. {Suggestion.Sentence(name, [.. model.Losses.Select(l => l.Name)])}");
    }

    /// <summary>What a loop around the gradient asks for: losses and metrics as a training step has them, then the gradient of each parameter that trains. No state changes.</summary>
    private static Program FullGradient(Model model, TrainingRecipe recipe, long totalSteps)
    {
        var trained = model.Parameters.Where(recipe.Trains).ToArray();
        var forward = Resolve(model, [model.TotalLoss, .. model.Losses.Select(l => l.Value), .. model.Metrics.Select(m => m.Value)], training: true);
        var gradients = Gradient.Of(forward[0], [.. trained.Select(p => p.Variable)], model.Provenance);
        if (gradients.All(g => g is null))
            throw Unreached(model, recipe.Optimizers[0]);
        var named = trained.Zip(gradients, (p, g) => new Named(GradientPrefix + p.Path, g ?? p.Variable.ZerosLike())).ToArray();
        var metrics = model.Metrics.Select((m, i) => m with { Value = forward[1 + model.Losses.Length + i] });
        var norm = named.Select(n => n.Value.Square().Sum()).Aggregate((a, b) => a + b).Sqrt();
        var rate = recipe.Optimizer.LearningRate.At(RandomState.Step.Cast(DType.Float), totalSteps);
        var program = Stateless(
            model,
            [.. model.Inputs, .. model.Targets],
            [new Named(LossName, forward[0]), .. LossParts(model, forward.AsSpan(1..)), .. metrics, new Named(GradientNormName, norm), new Named(RateName, rate), .. named]);
        var changes = new Shape(((Lbfgs)recipe.Optimizer).History, trained.Aggregate(Dim.Zero, (sum, p) => sum + p.Shape.ElementCount));
        ProgramState[] memory =
        [
            new(ParameterChanges, Expr.Variable(ParameterChanges, changes, DType.F64)),
            new(GradientChanges, Expr.Variable(GradientChanges, changes, DType.F64)),
            new(HistoryCount, Expr.Variable(HistoryCount, Shape.Scalar, DType.I64)),
        ];
        return program with { States = program.States.AddRange(memory), Guards = [forward[0], norm] };
    }

    /// <summary>Losses and metrics in evaluation.</summary>
    public static Program Evaluation(Model model)
    {
        var values = Resolve(model, [model.TotalLoss, .. model.Losses.Select(l => l.Value), .. model.Metrics.Select(m => m.Value)], training: false);
        var metrics = model.Metrics.Select((m, i) => m with { Value = values[1 + model.Losses.Length + i] });
        return Stateless(model, [.. model.Inputs, .. model.Targets], [new Named(LossName, values[0]), .. LossParts(model, values.AsSpan(1..)), .. metrics]);
    }

    /// <summary>
    /// The evaluation of a split in batches: <c>Batch</c> gives losses and the metrics that are averaged over rows, then the columns that other metrics need; <c>Whole</c> takes these
    /// columns of all rows as inputs and gives the other metrics. <c>Whole</c> is null where all are averages.
    /// </summary>
    public static (Program Batch, Program? Whole) EvaluationOfSplit(Model model)
    {
        var evaluation = Evaluation(model);
        var columns = new Dictionary<Expr, Expr>();
        var (averaged, pooled) = (new List<Named>(), new List<Named>());
        foreach (var output in evaluation.Outputs)
        {
            var marks = Expr.PostOrder([output.Value]).Where(n => n.Op is Pooled).ToArray();
            (marks.Length > 0 ? pooled : averaged).Add(output);
            foreach (var mark in marks)
                columns.TryAdd(mark, Expr.Variable($"column {columns.Count}", mark.Shape, mark.DType));
        }

        if (pooled.Count == 0)
            return (evaluation, null);
        var values = Expr.Substitute([.. pooled.Select(p => p.Value)], columns);
        var rest = evaluation.Inputs.Concat(evaluation.States.Select(s => new Named(s.Name, s.Variable))).Select(n => n.Value).ToHashSet();
        if (Expr.PostOrder(values).FirstOrDefault(rest.Contains) is { } other)
            throw new GraphException($"the metric {pooled.First(p => Expr.PostOrder([p.Value]).Contains(other)).Name} is one of all rows, and mixes that with {Printer.Line(other)} of a batch");
        return (
            evaluation with { Outputs = [.. averaged, .. columns.Select((c, i) => new Named($"column {i}", c.Key.Args[0]))] },
            new Program([.. columns.Values.Select((v, i) => new Named($"column {i}", v))], [], [.. pooled.Select((p, i) => p with { Value = values[i] })], []));
    }

    /// <summary>The outputs, without what only targets, losses or training need.</summary>
    /// <param name="model">The model.</param>
    /// <param name="names">Which outputs; all if empty.</param>
    /// <param name="training">Whether in the training phase.</param>
    public static Program Prediction(Model model, IReadOnlyCollection<string>? names = null, bool training = false)
    {
        var chosen = model.Outputs.Where(o => names is null || names.Count == 0 || names.Contains(o.Name)).ToArray();
        var values = Resolve(model, [.. chosen.Select(o => o.Value)], training);
        return Stateless(model, model.Inputs, [.. chosen.Select((o, i) => o with { Value = values[i] })]);
    }

    /// <summary>One value of a model built for decoding, in evaluation, and what it carries from token to token: one run a token.</summary>
    /// <param name="model">A model of a builder with <see cref="ModelBuilder.Decoding"/>.</param>
    /// <param name="value">What is computed.</param>
    public static Program Decoding(Model model, Named value)
    {
        var carried = model.Buffers.Where(b => b.Next is not null).ToArray();
        var values = Resolve(model, [value.Value, .. carried.Select(b => b.Next!)], training: false);
        var program = Stateless(model, model.Inputs, [value with { Value = values[0] }]);
        var next = carried.Select((b, i) => (b.Path, Next: values[i + 1])).ToDictionary(c => c.Path, c => c.Next);
        return program with { States = [.. program.States.Select(s => next.TryGetValue(s.Name, out var after) ? s with { Next = after } : s)] };
    }

    /// <summary>The losses and the gradient of their sum for every parameter that trains.</summary>
    public static Program Gradients(Model model, bool training = false)
    {
        var values = Resolve(model, [model.TotalLoss], training);
        var trained = model.Trainable.ToArray();
        var gradients = Gradient.Of(values[0], [.. trained.Select(p => p.Variable)], model.Provenance);
        var outputs = trained.Zip(gradients).Where(t => t.Second is not null).Select(t => new Named(t.First.Path, t.Second!));
        return Stateless(model, [.. model.Inputs, .. model.Targets], [new Named(LossName, values[0]), .. outputs]);
    }

    /// <summary>One phase, in the stable form: the derivative of a stable form is stable.</summary>
    private static ImmutableArray<Expr> Resolve(Model model, IReadOnlyList<Expr> roots, bool training) =>
        Rewriter.Stabilize.Rewrite(Phases.Resolve(roots, training, model.Provenance), model.Provenance);

    /// <summary>Any values over the states of a model, which stay as they are.</summary>
    /// <param name="model">The model.</param>
    /// <param name="inputs">What is fed.</param>
    /// <param name="outputs">What is computed.</param>
    public static Program Stateless(Model model, ImmutableArray<Named> inputs, ImmutableArray<Named> outputs) => new(
        inputs,
        [
            .. model.Parameters.Select(p => new ProgramState(p.Path, p.Variable)),
            .. model.Buffers.Select(b => new ProgramState(b.Path, b.Variable)),
            new ProgramState(StepName, RandomState.Step),
            new ProgramState(SeedName, RandomState.Seed),
        ],
        outputs,
        [])
    {
        Checks = model.Checks,
        Provenance = model.Provenance,
    };

    private static IEnumerable<Expr> Updated(Model model) => model.Buffers.Where(b => b.Next is not null).Select(b => b.Next!);

    /// <summary>The losses one by one, where there are several.</summary>
    private static IEnumerable<Named> LossParts(Model model, ReadOnlySpan<Expr> values)
    {
        var parts = new List<Named>();
        for (var i = 0; i < model.Losses.Length && model.Losses.Length > 1; i++)
            parts.Add(model.Losses[i] with { Value = values[i] });
        return parts;
    }
}
