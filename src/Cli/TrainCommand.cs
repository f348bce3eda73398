using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Dnn.Backend;
using Dnn.Graph;
using Spectre.Console;

namespace Dnn.Cli;

/// <summary>Runs the file's <c>train</c> block.</summary>
internal sealed class TrainCommand : CliCommand
{
    private static readonly TimeSpan ViewEvery = TimeSpan.FromMilliseconds(50), SaveEvery = TimeSpan.FromSeconds(1);

    private readonly Argument<string> file = Common.File();
    private readonly Option<int?> epochs = Common.Count("--epochs", "N", "Passes over the data, in place of the file's limit.");
    private readonly Option<int?> steps = Common.Count("--steps", "N", "Optimizer steps, in place of the file's limit.");
    private readonly Option<string?> output = Common.Folder("The folder of the run; runs/<file> unless given.");
    private readonly Option<bool> resume = new("--resume") { Description = "Goes on where the run in the folder stopped, to the same bits." };
    private readonly Option<long?> seed = Common.Seed("What all random numbers are functions of, in place of the file's.");
    private readonly Option<int?> threads = Common.Threads();
    private readonly Option<DType?> dtype = Common.Float();
    private readonly Option<string?> weights = new("--weights") { Description = "Parameters to start from.", HelpName = "W" };
    private readonly Option<bool> dryRun = new("--dry-run") { Description = "Prepares everything, tells what would happen, and stops." };
    private readonly Option<string?> provider = Common.Provider();

    public TrainCommand()
        : base("train", "Trains the model of a file by its train block.", "dnn train examples/digits.dnn", "dnn train examples/digits.dnn --epochs 5 --set hidden=64 --out runs/small")
    {
        Arguments.Add(file);
        foreach (var option in new Option[] { epochs, steps, output, resume, seed, threads, dtype, weights, dryRun, provider })
            Options.Add(option);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var source = ModelFile.Load(invocation.Get(file)!, invocation, withData: true);
        if (invocation.Get(resume) && invocation.Get(weights) is not null)
            throw new UsageException("--resume goes on from the state of the run, so --weights has no part in it: leave one of them out");
        var (recipe, description) = source.Training();
        recipe = Limit(recipe with { Seed = invocation.Get(seed) ?? recipe.Seed, Precision = invocation.Get(dtype) ?? recipe.Precision }, invocation.Get(epochs), invocation.Get(steps));
        // What a run goes on from, or is told to start from, takes the place of the file's.
        recipe = recipe with { StartFrom = invocation.Get(resume) || invocation.Get(weights) is not null ? null : source.Beside(recipe.StartFrom) };
        var folder = new RunFolder(invocation.Get(output) ?? Path.Combine("runs", Path.GetFileNameWithoutExtension(source.Path)), recipe.LogEvery is not null);
        var options = Common.Plan(null, invocation.Get(threads), invocation.Get(provider));
        var data = source.Reader.Read(description);
        var initial = invocation.Get(weights) is { } path ? WeightsFile.Load(path, source) : null;
        var trainer = new Trainer(source.Model, recipe, data, options, initial);
        invocation.Note(Describe(source.TrainName, source.Model, recipe, data, trainer, options));
        if (trainer.Start is { } start)
            invocation.Note(start.ToString());
        if (invocation.Get(dryRun))
        {
            if (invocation.Json)
                invocation.Output.WriteLine(Plan(source.Model, recipe, data, trainer, folder));
            else if (!invocation.Quiet)
                invocation.Output.WriteLine($"ready: a run would write to {folder.Path}");
            return 0;
        }

        var labels = Labels(recipe, trainer).Label(source);
        folder.Create();
        if (invocation.Get(resume))
            Resume(trainer, folder, labels, source, invocation);
        else
            Begin(folder, invocation);
        return new Run(source, trainer, recipe.Checkpoint, data.Splits.Length, folder, labels, invocation).Execute();
    }

    /// <summary>A limit of the command line takes the place of both of the file's.</summary>
    private static TrainingRecipe Limit(TrainingRecipe recipe, int? epochs, int? steps) => epochs is null && steps is null
        ? recipe
        : recipe with { Epochs = epochs ?? int.MaxValue, Steps = steps };

    private static string Describe(string? name, Model model, TrainingRecipe recipe, DataSet data, Trainer trainer, PlanOptions options) => string.Create(
        CultureInfo.InvariantCulture,
        $"{(name is null ? "" : $"{name}, ")}{model.Name}: {model.ParameterCount:N0} parameters; {string.Join(", ", data.Splits.Select(s => $"{s.Name} {s.Rows:N0} rows"))}; {trainer.TotalSteps:N0} step{(trainer.TotalSteps == 1 ? "" : "s")} of {(recipe.Optimizer is Lbfgs ? data["train"].Rows : Math.Min((long)recipe.Batch * recipe.Accumulate, data["train"].Rows))} rows; {trainer.Float.Text()}, {options.Threads} thread{(options.Threads == 1 ? "" : "s")}");

    private static string Plan(Model model, TrainingRecipe recipe, DataSet data, Trainer trainer, RunFolder folder) => JsonText.Object(json =>
    {
        json.WriteString("model", model.Name);
        json.WriteNumber("parameters", model.ParameterCount);
        json.WriteNumber("steps", trainer.TotalSteps);
        json.WriteNumber("batch", recipe.Batch);
        if (trainer.Start is { } start)
            json.WriteStrings("loaded", start.Weights.Paths);
        json.WriteStartObject("rows");
        foreach (var split in data.Splits)
            json.WriteNumber(split.Name, split.Rows);
        json.WriteEndObject();
        json.WriteString("out", folder.Path);
    });

    /// <summary>What a run that is resumed has to agree on.</summary>
    private static Weights Labels(TrainingRecipe recipe, Trainer trainer) => new (string Name, object? Value)[]
    {
        ("batch", recipe.Batch), ("seed", recipe.Seed), ("shuffle", recipe.Shuffle), ("dtype", trainer.Float.Text()), ("clip_norm", recipe.ClipNorm),
        ("clip_value", recipe.ClipValue), ("decay_all", recipe.DecayAll), ("decay_on", recipe.DecayOn), ("accumulate", recipe.Accumulate), ("ema", recipe.Ema), ("freeze", recipe.Freeze),
        ("optimizer", recipe.Optimizers), ("early_stop", recipe.EarlyStop), ("log", recipe.LogEvery),
    }.Aggregate(Weights.Empty, (w, l) => w.WithMetadata("train." + l.Name, string.Create(CultureInfo.InvariantCulture, $"{l.Value ?? "none"}")));

    private static void Begin(RunFolder folder, Invocation invocation)
    {
        if (folder.HasRun)
            invocation.Note($"replacing the run in {folder.Path} (--resume would go on with it)");
        folder.Clear();
    }

    private static void Resume(Trainer trainer, RunFolder folder, Weights labels, ModelFile source, Invocation invocation)
    {
        if (!File.Exists(folder.State))
            throw new DataFormatException(folder.Path, "there is no run to resume in this folder", "Start one without --resume");
        var state = Weights.Load(folder.State);
        WeightsFile.RequireSame(folder.State, state, labels, _ => true);
        var best = File.Exists(folder.Best) ? WeightsFile.Load(folder.Best, source) : null;
        var lines = trainer.Restore(state, best, folder.State);
        if (trainer.BestEpoch > 0 && best is null)
            throw new DataFormatException(folder.Best, "the best weights of the run are missing", "Start again without --resume");
        folder.Truncate(lines);
        invocation.Note($"resuming after step {trainer.Step} of {trainer.TotalSteps}");
    }

    /// <summary>One run: steps, records, checkpoints, and what is shown of them.</summary>
    private sealed class Run(ModelFile source, Trainer trainer, CheckpointPlan? checkpoints, int splits, RunFolder folder, Weights labels, Invocation invocation)
    {
        private readonly Stopwatch sinceView = new(), sinceSave = Stopwatch.StartNew();
        private LogRecord[] best = [];
        private Weights? unsaved;
        private int savedBest;

        public int Execute()
        {
            savedBest = trainer.BestEpoch;
            var cancellation = invocation.Terminal.Cancellation;
            try
            {
                if (invocation.Terminal.IsInteractive && !invocation.Quiet && !invocation.Json)
                    WithBar(cancellation);
                else
                    Train(null, records => invocation.Note(Line(records)), cancellation);
            }
            finally
            {
                // After a fault, what was good before it; nothing is lost.
                Save();
            }

            if (trainer.End == TrainingEnd.Interrupted)
            {
                var again = folder.Path == Path.Combine("runs", Path.GetFileNameWithoutExtension(source.Path)) ? "" : $" --out {folder.Path}";
                invocation.Note($"interrupted in epoch {trainer.Epoch} after step {trainer.Step}; `dnn train {source.Path}{again} --resume` goes on");
                return 130;
            }

            Finish();
            return 0;
        }

        private void Train(Action<Trainer>? afterStep, Action<IReadOnlyList<LogRecord>> show, CancellationToken cancellation)
        {
            var epoch = new List<LogRecord>();
            foreach (var record in trainer.Run(AfterStep, cancellation))
            {
                folder.Append(record);
                if (invocation.Json)
                {
                    invocation.Output.WriteLine(record.ToJson());
                    invocation.Output.Flush();
                }

                if (record.IsStep)
                {
                    show([record]);
                    continue;
                }

                epoch.Add(record);
                if (epoch.Count < splits)
                    continue;
                if (trainer.BestEpoch == record.Epoch)
                    best = [.. epoch];
                unsaved = trainer.Capture();
                show(epoch);
                epoch.Clear();
                var isDue = checkpoints is { InSteps: false } && record.Epoch % checkpoints.Every == 0;
                if (isDue)
                    folder.Keep(FormattableString.Invariant($"epoch-{record.Epoch:D4}"), trainer.Averaged.Label(source), checkpoints!.Keep);
                if (isDue || sinceSave.Elapsed > SaveEvery)
                    Save();
            }

            void AfterStep(Trainer t)
            {
                afterStep?.Invoke(t);
                if (checkpoints is not { InSteps: true } || t.Step % checkpoints.Every != 0)
                    return;
                folder.Keep(FormattableString.Invariant($"step-{t.Step:D6}"), t.Averaged.Label(source), checkpoints.Keep);
                unsaved = t.Capture();
                Save();
            }

            if (trainer.End == TrainingEnd.Interrupted)
                unsaved = trainer.Capture();
        }

        private void Save()
        {
            if (unsaved is null)
                return;
            if (trainer.BestEpoch > savedBest)
            {
                trainer.Best.Label(source).Save(folder.Best);
                savedBest = trainer.BestEpoch;
            }

            unsaved.With(labels).Save(folder.State);
            folder.Draw($"{source.Model.Name}: loss");
            unsaved = null;
            sinceSave.Restart();
        }

        private void WithBar(CancellationToken cancellation)
        {
            var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(invocation.Terminal.Error) });
            console.Profile.Width = invocation.Terminal.Width ?? 80;
            console.Progress().AutoClear(true)
                .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
                .Start(context =>
                {
                    var last = "";
                    var task = context.AddTask($"epoch {trainer.Epoch}", maxValue: trainer.TotalSteps);
                    task.Value = trainer.Step;
                    sinceView.Start();
                    Train(
                        t =>
                        {
                            if (sinceView.Elapsed < ViewEvery)
                                return;
                            sinceView.Restart();
                            task.Value = t.Step;
                            task.Description = string.Create(CultureInfo.InvariantCulture, $"epoch {t.Epoch}  step {t.Step}  loss {t.RunningLoss:0.0000}{last}");
                        },
                        records => last = "  " + Markup.Escape(Values(records[^1])),
                        cancellation);
                });
        }

        private void Finish()
        {
            if (invocation.Json || invocation.Quiet)
                return;
            var ended = trainer.End == TrainingEnd.EarlyStop ? $"stopped early after epoch {trainer.Epoch - 1}; " : "";
            var values = best.Length > 0 ? ": " + string.Join("; ", best.Select(Values)) : "";
            invocation.Output.WriteLine($"{ended}best epoch {trainer.BestEpoch}{values}");
            invocation.Output.WriteLine($"in {folder.Path}: best.safetensors, last/, metrics.jsonl, curves.svg");
        }

        private static string Line(IReadOnlyList<LogRecord> records) =>
            string.Create(CultureInfo.InvariantCulture, $"{(records[0].IsStep ? "  " : "")}epoch {records[0].Epoch}, step {records[0].Step}: {string.Join("; ", records.Select(Values))}; {records[0].Seconds:0.0} s");

        private static string Values(LogRecord record) => $"{record.Split} {string.Join(", ", record.Values.Select(v => $"{v.Key} {v.Value.ToString("0.0000", CultureInfo.InvariantCulture)}"))}";
    }
}
