using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Dnn.Backend;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>How long a step takes, on made data.</summary>
internal sealed class BenchCommand : CliCommand
{
    private const int WarmUp = 10;

    private readonly Argument<string> file = Common.File();
    private readonly Option<string> mode = new("--mode") { Description = "A training step or inference.", HelpName = "train|infer", DefaultValueFactory = _ => "train" };
    private readonly Option<int?> batch = Common.Count("--batch", "B", "Rows in a batch; those of the train block, or 32, unless given.");
    private readonly Option<int?> steps = Common.Count("--steps", "N", "Steps that are timed; 100 unless given.");
    private readonly Option<bool> kernels = new("--kernels") { Description = "Also the time of every kernel, longest first." };
    private readonly Option<bool> phases = new("--phases") { Description = "Instead, how long each phase from text to plan takes, at first and when the program is warm." };
    private readonly Option<int?> threads = Common.Threads();
    private readonly Option<DType?> dtype = Common.Float();
    private readonly Option<string?> provider = Common.Provider();

    public BenchCommand()
        : base("bench", "Times training steps or inference of a model on made data.", "dnn bench examples/digits.dnn --mode train --batch 64")
    {
        Common.OneOf(mode, "train", "infer");
        Arguments.Add(file);
        foreach (var option in new Option[] { mode, batch, steps, kernels, phases, threads, dtype, provider })
            Options.Add(option);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var isTraining = invocation.Get(mode) == "train";
        var options = Common.Plan(invocation.Get(dtype), invocation.Get(threads), invocation.Get(provider));
        if (invocation.Get(phases))
        {
            ShowPhases(invocation, isTraining, options);
            return 0;
        }

        var source = ModelFile.Load(invocation.Get(file)!, invocation);
        var (model, recipe) = (source.Model, Recipe(source));
        var rows = invocation.Get(batch) ?? recipe.Batch;
        var count = invocation.Get(steps) ?? 100;

        var clock = Stopwatch.StartNew();
        var program = (isTraining ? TrainingStep.Build(model, recipe, count) : TrainingStep.Prediction(model)).Simplify(model.Provenance);
        var session = new Session(program, options);
        session.Prepare(MadeValues.Sizes(model, rows, 32));
        var compile = clock.Elapsed.TotalMilliseconds;

        Fill(session, model, source.Seed, options.Float);
        for (var i = 0; i < WarmUp; i++)
            session.Run();
        var times = new double[count];
        var before = GC.GetTotalAllocatedBytes(precise: true);
        for (var i = 0; i < count; i++)
        {
            var start = Stopwatch.GetTimestamp();
            session.Run();
            times[i] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }

        var allocated = (GC.GetTotalAllocatedBytes(precise: true) - before) / count;
        Array.Sort(times);
        var median = times[count / 2];
        var gflops = session.Plan.Flops / median / 1e6;
        invocation.Output.WriteLine(invocation.Json
            ? JsonText.Object(json =>
            {
                json.WriteString("case", Path.GetFileNameWithoutExtension(source.Path));
                json.WriteString("mode", isTraining ? "train" : "infer");
                json.WriteNumber("threads", options.Threads);
                json.WriteNumber("batch", rows);
                json.WriteNumber("ms_median", Math.Round(median, 5));
                json.WriteNumber("ms_min", Math.Round(times[0], 5));
                json.WriteNumber("gflops", Math.Round(gflops, 3));
                json.WriteNumber("compile_ms", Math.Round(compile, 1));
                json.WriteNumber("allocated_bytes_per_step", allocated);
            })
            : string.Create(CultureInfo.InvariantCulture, $"{model.Name}, {(isTraining ? "training" : "inference")}, batch {rows}, {options.Threads} threads: median {median:0.000} ms, least {times[0]:0.000} ms, {gflops:0.0} GFLOP/s, {allocated} bytes allocated a step; compiled in {compile:0} ms"));
        if (invocation.Get(kernels))
        {
            foreach (var (kernel, milliseconds, flops, bytes) in session.Profile(Math.Min(count, 20)).OrderByDescending(k => k.Milliseconds))
                invocation.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{milliseconds,10:0.0000} ms {Rate(flops, milliseconds),7:0.0} GFLOP/s {Rate(bytes, milliseconds),7:0.0} GB/s  {kernel}"));

            // In billions a second; 0 where the clock saw no time pass.
            static double Rate(double count, double milliseconds) => milliseconds > 0 ? count / milliseconds / 1e6 : 0;
        }

        return 0;
    }

    private static TrainingRecipe Recipe(ModelFile source) => source.HasTraining ? source.Training().Recipe : new TrainingRecipe { Optimizer = new Adam(0.001) };

    /// <summary>The whole way several times; the first is cold and counts from the start of the process, the least of the others is warm.</summary>
    private void ShowPhases(Invocation invocation, bool isTraining, PlanOptions options)
    {
        const int runs = 6;
        var start = DateTime.Now - Process.GetCurrentProcess().StartTime;
        var times = new List<(string Phase, double First, double Least)> { ("start", start.TotalMilliseconds, 0) };
        for (var run = 0; run < runs; run++)
        {
            var (at, clock) = (1, Stopwatch.StartNew());
            var source = ModelFile.Load(invocation.Get(file)!, invocation, onPhase: Lap);
            var (model, recipe) = (source.Model, Recipe(source));
            var program = isTraining ? TrainingStep.Build(model, recipe, 100) : TrainingStep.Prediction(model);
            Lap(isTraining ? "differentiate" : "predict");
            program = program.Simplify(model.Provenance);
            Lap("rewrite");
            var plan = Plan.Compile(program, MadeValues.Sizes(model, invocation.Get(batch) ?? recipe.Batch, 32), options);
            Lap("plan");
            var session = new Session(program, options);
            session.Prepare(plan);
            Lap("memory");

            void Lap(string phase)
            {
                var elapsed = clock.Elapsed.TotalMilliseconds;
                if (run == 0)
                    times.Add((phase, elapsed, double.PositiveInfinity));
                else
                    times[at] = times[at] with { Least = Math.Min(times[at].Least, elapsed) };
                at++;
                clock.Restart();
            }
        }

        times.Add(("all", times.Sum(t => t.First), times.Sum(t => t.Least)));
        if (invocation.Json)
        {
            invocation.Output.WriteLine(JsonText.Object(json =>
            {
                foreach (var (phase, first, least) in times)
                {
                    json.WriteNumber($"{phase}_ms", Math.Round(first, 2));
                    json.WriteNumber($"{phase}_warm_ms", Math.Round(least, 2));
                }
            }));
            return;
        }

        foreach (var (phase, first, least) in times)
            invocation.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{phase,-14}{first,9:0.0} ms at first {least,9:0.0} ms warm"));
    }

    private static void Fill(Session session, Model model, long seed, DType type)
    {
        foreach (var (name, value) in session.Program.Inputs)
            session.SetInput(name, MadeValues.Of(value, session.Plan.Sizes, name, type));
        foreach (var (path, value) in Initialization.Sample(model, seed, type))
        {
            if (session.Program.States.Any(s => s.Name == path))
                session.SetState(path, value);
        }
    }
}
