using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>What a recipe can say beside optimizer and batch.</summary>
public class RecipeTests
{
    private static readonly PlanOptions Double = new() { Float = DType.F64, Threads = 1 };

    private static readonly DataSet Moons = new DataReader(".").Read(new DataDescription("moons", new TwoMoonsSource(100, 0.1, 7)));

    private static readonly TrainingRecipe Plain = new() { Optimizer = new AdamW(0.02, Decay: 0.01), Batch = 24, Epochs = 3, ClipNorm = 0.5, Seed = 5 };

    [Fact]
    public void Optimizers_run_in_order_each_seeing_what_the_one_before_left()
    {
        var model = Model.Build("Game", m =>
        {
            m.Input("x", "B", 2);
            Expr a = m.Parameter("a", new Shape(), Initializers.Constant(0.5)), b = m.Parameter("b", new Shape(), Initializers.Constant(-1));
            m.Loss((a - 3).Square() * b.Square(), "first");
            m.Loss(((a * b) - 2).Square(), "second");
        });
        var recipe = new TrainingRecipe
        {
            Optimizers = [new OptimizerLine(new Sgd(0.1)) { On = ["a"], Minimize = "first" }, new OptimizerLine(new Sgd(0.05, 0.5)) { On = ["b"], Minimize = "second", Every = 3 }],
            Batch = 100,
            Epochs = 7,
        };
        var result = Trainer.Fit(model, recipe, Moons, Double);
        double a = 0.5, b = -1, v = 0;
        for (var step = 1; step <= 7; step++)
        {
            a -= 0.1 * 2 * (a - 3) * b * b;
            if (step % 3 != 0)
                continue;
            v = (0.5 * v) + (2 * ((a * b) - 2) * a);
            b -= 0.05 * v;
        }

        Assert.Equal(a, result.Weights["a"].ToScalar(), 12);
        Assert.Equal(b, result.Weights["b"].ToScalar(), 12);
    }

    [Fact]
    public void An_optimizer_every_few_steps_counts_its_own_steps()
    {
        // Adam's first step is lr · sign(g) whenever it comes.
        var model = Model.Build("M", m => m.Loss((m.Parameter("w", new Shape(), Initializers.Constant(1)) - 5).Square() + (0 * m.Input("x", "B", 2).Mean())));
        var recipe = new TrainingRecipe { Optimizers = [new OptimizerLine(new Adam(0.25)) { Every = 4 }], Batch = 100, Epochs = 4 };
        var steps = new List<double>();
        foreach (var _ in new Trainer(model, recipe, Moons, Double).Run(t => steps.Add(t.Weights["w"].ToScalar())))
        {
        }

        Assert.Equal([1, 1, 1], steps[..3]);
        Assert.Equal(1.25, steps[3], 6);
    }

    [Theory]
    [InlineData(24, 3)]
    [InlineData(100, 10)]
    [InlineData(30, 30)]
    [InlineData(26, 2)]
    public void Accumulated_batches_make_the_step_of_one_large_batch(int batch, int parts)
    {
        var large = Trainer.Fit(Network(), Plain with { Batch = batch }, Moons, Double);
        var small = Trainer.Fit(Network(), Plain with { Batch = batch / parts, Accumulate = parts }, Moons, Double);
        Assert.Equal(large.Log.Select(r => r.Step), small.Log.Select(r => r.Step));
        Assert.Equal(large.Log[^1].Loss, small.Log[^1].Loss, 10);
        foreach (var (path, value) in large.Weights.Where(w => w.Key != "seen"))
            Assert.All(value.ToArray<double>().Zip(small.Weights[path].ToArray<double>()), p => Assert.Equal(p.First, p.Second, 10));
    }

    /// <summary>Each of several optimizers takes the gradient of all batches where those before have moved the parameters, as with one large batch.</summary>
    [Theory]
    [InlineData(24, 3, 1)]
    [InlineData(30, 6, 2)]
    [InlineData(50, 50, 3)]
    public void Accumulated_batches_make_the_step_of_one_large_batch_for_several_optimizers(int batch, int parts, int every)
    {
        var recipe = Plain with
        {
            Ema = 0.9,
            Optimizers = [new OptimizerLine(new AdamW(0.05)) { On = ["dense_0"] }, new OptimizerLine(new Sgd(0.5, 0.9)) { On = ["head", "norm"], Every = every }, new OptimizerLine(new Adam(0.01)) { Every = every }],
        };
        var large = new Trainer(Network(), recipe with { Batch = batch }, Moons, Double);
        var small = new Trainer(Network(), recipe with { Batch = batch / parts, Accumulate = parts }, Moons, Double);
        var (first, second) = (large.Run().ToList(), small.Run().ToList());
        Assert.Equal(first.Select(r => (r.Step, r.LearningRate)), second.Select(r => (r.Step, r.LearningRate)));
        Assert.Equal(first[^1].Loss, second[^1].Loss, 9);
        foreach (var (one, other) in new[] { (large.Weights, small.Weights), (large.Averaged, small.Averaged) })
        {
            foreach (var (path, value) in one.Where(w => w.Key != "seen"))
                Assert.All(value.ToArray<double>().Zip(other[path].ToArray<double>()), p => Assert.Equal(p.First, p.Second, 9));
        }

        Assert.Equal(3 * ((100 + (batch / parts) - 1) / (batch / parts)), small.Weights["seen"].ToScalar());
    }

    [Fact]
    public void All_optimizers_of_a_step_see_the_same_random_numbers()
    {
        var model = Model.Build("M", m =>
        {
            var x = m.Input("x", "B", 2);
            var draw = Rng.Normal(RandomState.Key("draw"), new Shape(x.Shape[0])).Mean();
            m.Loss(draw * (m.Parameter("a", new Shape(), Initializers.Zeros) + m.Parameter("b", new Shape(), Initializers.Zeros)) + (0 * x.Mean()));
        });
        var recipe = Plain with { ClipNorm = null, Batch = 10, Accumulate = 4, Optimizers = [new OptimizerLine(new Sgd(1)) { On = ["a"] }, new OptimizerLine(new Sgd(1)) { On = ["b"] }] };
        var weights = Trainer.Fit(model, recipe, Moons, Double).Weights;
        Assert.NotEqual(0, weights["a"].ToScalar());
        Assert.Equal(weights["a"].ToScalar(), weights["b"].ToScalar());
    }

    [Fact]
    public void A_step_computes_nothing_of_an_optimizer_that_is_not_due()
    {
        var model = Network();
        var recipe = Plain with { ClipNorm = null, Optimizers = [new OptimizerLine(new Adam(0.1)) { On = ["dense_0"], Every = 2 }, new OptimizerLine(new Adam(0.1)) { On = ["head"], Every = 3 }] };
        var flops = new[] { new StepPart([]), new StepPart([1]), new StepPart([0]), new StepPart([0, 1]) }
            .Select(part => Plan.Compile(TrainingStep.Build(model, recipe, 10, part).Simplify(), new Dictionary<string, long> { ["B"] = 16 }, Double).Flops).ToArray();
        Assert.Equal(flops.Order(), flops);
        Assert.Equal(4, flops.Distinct().Count());
        var forward = Plan.Compile(TrainingStep.Evaluation(model).Simplify(), new Dictionary<string, long> { ["B"] = 16 }, Double).Flops;
        Assert.InRange(flops[0], forward, forward + 50);
        Assert.Equal(["0,1", "", "0", "1", "0"], new[] { 6L, 1, 2, 3, 4 }.Select(step => string.Join(",", recipe.Due(step))));
    }

    [Fact]
    public void The_average_of_the_parameters_is_what_it_says_and_is_evaluated()
    {
        var recipe = Plain with { Ema = 0.6 };
        var trainer = new Trainer(Network(), recipe, Split(), Double);
        var expected = trainer.Weights["dense_0.weight"].ToArray<double>();
        Assert.True(trainer.Averaged.BitEquals(trainer.Weights));
        var records = trainer.Run(t =>
        {
            var d = Math.Min(0.6, (1.0 + t.Step) / (10 + t.Step));
            expected = [.. expected.Zip(t.Weights["dense_0.weight"].ToArray<double>(), (e, w) => (d * e) + ((1 - d) * w))];
        }).ToList();
        Assert.All(expected.Zip(trainer.Averaged["dense_0.weight"].ToArray<double>()), p => Assert.Equal(p.First, p.Second, 12));
        Assert.False(trainer.Averaged.BitEquals(trainer.Weights));
        Assert.Equal(Trainer.Evaluate(Network(), trainer.Averaged, Split(), "validation", Double)[0].Value, records[^1].Loss, 12);
        if (trainer.BestEpoch == 3)
            Assert.True(trainer.Best.BitEquals(trainer.Averaged));
        Assert.Equal(9, trainer.Averaged["seen"].ToScalar());
    }

    [Fact]
    public void What_is_frozen_stays_and_decay_reaches_what_it_is_told()
    {
        var recipe = Plain with { Freeze = ["dense_0", "*.bias"], Optimizer = new AdamW(0.1, Decay: 5), DecayOn = ["head"], Epochs = 1 };
        var before = Initialization.Sample(Network(), 5, DType.F64);
        var after = Trainer.Fit(Network(), recipe, Moons, Double).Weights;
        foreach (var path in new[] { "dense_0.weight", "dense_0.bias", "norm.bias", "head.bias" })
            Assert.True(before[path].BitEquals(after[path]), path);
        Assert.False(before["norm.weight"].BitEquals(after["norm.weight"]));
        // With a rate of 0.1 and a decay of 5, a step halves what decays.
        Assert.True(Norm(after["head.weight"]) < 0.5 * Norm(before["head.weight"]));
        Assert.True(Norm(after["norm.weight"]) > 0.5 * Norm(before["norm.weight"]));
        Assert.Contains("that are not frozen", Assert.Throws<GraphException>(() => Trainer.Fit(Network(), Plain with { Freeze = ["*"] }, Moons)).Message);

        static double Norm(Tensor t) => Math.Sqrt(t.ToArray<double>().Sum(v => v * v));
    }

    [Fact]
    public void Training_starts_from_what_fits_of_a_file()
    {
        using var folder = new Folder();
        var old = Weights.Empty.With("backbone.weight", Tensor.Create(new double[32], 2, 16)).With("backbone.bias", Tensor.Create(new float[16])).With("head.weight", Tensor.Create(new double[48], 16, 3))
            .With("dense_9.weight", Tensor.Create(new double[1])).With("seen", Tensor.Scalar(1L)).With("data.x.mean", Tensor.Create(new double[2]));
        old.Save(folder["w"]);
        var start = new StartFrom(folder["w"]) { Renames = [new("backbone.", "dense_0.")] };
        var trainer = new Trainer(Network(), Plain with { StartFrom = start }, Moons);
        var report = trainer.Start!;
        Assert.Equal(["dense_0.bias", "dense_0.weight"], report.Weights.Paths);
        Assert.All(trainer.Weights["dense_0.weight"].ToArray<float>(), w => Assert.Equal(0, w));
        Assert.Equal(
            ["dense_9.weight: the model has nothing of this path", "head.weight: it is f64[16, 3], and the model's is [16, 1]", "seen: it is i64[], and the model's is []"],
            report.Left.Select(l => $"{l.Path}: {l.Reason}"));
        Assert.Contains("norm.weight", report.Initial);
        Assert.StartsWith($"{folder["w"]}: 2 of 7 tensors of the model loaded\n  not loaded: dense_9.weight (the model has", report.ToString(), StringComparison.Ordinal);

        var only = StartReport.Read(start with { Only = ["*.bias"] }, Network());
        Assert.Equal(["dense_0.bias"], only.Weights.Paths);
        Assert.Contains(new NotLoaded("backbone.weight", "as dense_0.weight: not asked for by `only`"), only.Left);
        Assert.Contains("finds nothing in it that fits Moons: backbone.bias: the model has nothing of this path", Assert.Throws<DataFormatException>(() => StartReport.Read(new StartFrom(folder["w"]), Network())).Message);
        Assert.Contains("no such file", Assert.Throws<DataFormatException>(() => StartReport.Read(new StartFrom(folder["none"]), Network())).Message);
    }

    [Theory]
    [InlineData("encoder", "encoder.fc.weight", true)]
    [InlineData("encoder", "encoder[3].weight", true)]
    [InlineData("encoder", "encoder", true)]
    [InlineData("encoder", "encoder2.weight", false)]
    [InlineData("encoder.fc.weight", "encoder.fc.weight", true)]
    [InlineData("encoder.", "encoder.fc", true)]
    [InlineData("*.bias", "a.b[2].bias", true)]
    [InlineData("*.bias", "a.bias.c", false)]
    [InlineData("blocks[*].fc.*", "blocks[10].fc.weight", true)]
    public void A_pattern_means_paths(string pattern, string path, bool matches) => Assert.Equal(matches, PathPattern.Matches(pattern, path));

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(13)]
    [InlineData(20)]
    public void A_run_with_every_option_resumes_within_an_epoch_to_the_same_bits(int stopAfter)
    {
        using var folder = new Folder();
        Initialization.Sample(Network(), 77).Save(folder["w"]);
        var data = Split();
        data = new DataSet(data.Schema, data.Splits, data.Statistics) { Augment = [new NoiseAugmentation(0.1)] };
        foreach (var recipe in new[]
        {
            Plain with { Batch = 8, Accumulate = 3, Ema = 0.9, LogEvery = 2, Freeze = ["dense_0.bias"], StartFrom = new StartFrom(folder["w"]), ClipValue = 0.1, Precision = DType.F64 },
            Plain with { Batch = 8, Ema = 0.9, LogEvery = 3, Optimizers = [new OptimizerLine(new Adam(0.01)) { On = ["dense_0"] }, new OptimizerLine(new Sgd(0.01, 0.9)) { On = ["head"], Every = 2 }] },
        })
        {
            var whole = new Trainer(Network(), recipe, data);
            var expected = whole.Run().ToList();

            // Interrupted when some batches were read, wherever that is within a step or an epoch.
            using var stop = new CancellationTokenSource();
            var watched = data.Splits.Select(s => s.Select((name, values) => (name, name == "x" && s.Name == "train" ? new SlowRows(values) { After = (stopAfter, stop.Cancel) } : values)));
            var first = new Trainer(Network(), recipe, new DataSet(data.Schema, [.. watched]) { Augment = data.Augment });
            var log = first.Run(cancellation: stop.Token).ToList();
            Assert.Equal(TrainingEnd.Interrupted, first.End);

            var second = new Trainer(Network(), recipe with { StartFrom = null }, data);
            Assert.Equal(log.Count, second.Restore(first.Capture(), first.Best, "last"));
            log.AddRange(second.Run());
            Assert.Equal(expected.Select(Line), log.Select(Line));
            Assert.True(whole.Weights.BitEquals(second.Weights));
            Assert.True(whole.Averaged.BitEquals(second.Averaged));
            Assert.True(whole.Best.BitEquals(second.Best));
        }
    }

    [Fact]
    public void Steps_are_logged_with_the_averages_since_the_last()
    {
        var records = new Trainer(Network(), Plain with { Batch = 25, Epochs = 1, LogEvery = 2, Optimizer = new Sgd(0) }, Moons, Double).Run().ToList();
        Assert.Equal([(2, true), (4, true), (4, false)], records.Select(r => ((int)r.Step, r.IsStep)));
        Assert.Equal(records[2].Loss, (records[0].Loss + records[1].Loss) / 2, 12);
        Assert.EndsWith(",\"partial\":true}", records[0].ToJson(), StringComparison.Ordinal);
    }

    [Fact]
    public void Rows_from_the_disk_are_fetched_ahead_and_change_no_bit()
    {
        var slow = new DataSplit("train", Moons["train"].Columns.Select((name, i) => (name, (ColumnRows)new SlowRows(Moons["train"].Values(i)))), isWhole: false);
        var data = new DataSet(Moons.Schema, [slow]);
        var fast = Trainer.Fit(Network(), Plain, Moons, Double);
        Assert.True(fast.Weights.BitEquals(Trainer.Fit(Network(), Plain, data, Double).Weights));

        var broken = new DataSet(Moons.Schema, [new DataSplit("train", Moons["train"].Columns.Select((name, i) => (name, (ColumnRows)new SlowRows(Moons["train"].Values(i), 70))), isWhole: false)]);
        Assert.Contains("row 70 is gone", Assert.Throws<DataFormatException>(() => Trainer.Fit(Network(), Plain, broken, Double)).Message);
    }

    [Fact]
    public void A_label_out_of_range_is_named_with_its_row_and_column()
    {
        var model = Model.Build("M", m => m.Loss(Losses.CrossEntropy(m.Input("x", "B", 2).Dense(3), m.Target("label", DType.I64, "B"))));
        var labels = new long[100];
        labels[41] = 3;
        var bad = new DataSplit("train", ("x", Moons["train"]["x"]), ("label", Tensor.Create(labels)));
        var message = Assert.Throws<DataFormatException>(() => Trainer.Fit(model, Plain, DataSet.Of(bad))).Message;
        Assert.Equal("data, part 'train': row 42, column 'label': 3 is out of range: the model has room for 3 (0 … 2). Correct the data, or make the model's axis larger.", message);
        Assert.Contains("row 42, column 'label'", Assert.Throws<DataFormatException>(() => Trainer.Evaluate(model, Initialization.Sample(model, 1), DataSet.Of(bad), "train")).Message);
    }

    [Fact]
    public void What_cannot_be_trained_says_why()
    {
        Line("no optimizer", new TrainingRecipe());
        Line("has no parameters to train", Plain with { Optimizers = [new OptimizerLine(new Sgd(1)) { On = ["heads"] }] });
        Line("has no loss 'los'. There ", Plain with { Optimizers = [new OptimizerLine(new Sgd(1)) { Minimize = "los" }] });
        Line("no other optimizer beside it", Plain with { Optimizers = [new OptimizerLine(new Sgd(1)), new OptimizerLine(new Lbfgs(1))] });

        var two = Model.Build("Two", m =>
        {
            m.Loss(m.Parameter("a", new Shape(), Initializers.Zeros).Square(), "first");
            m.Loss((m.Parameter("b", new Shape(), Initializers.Zeros) - m.Input("x", "B", 2).Mean()).Square(), "second");
        });
        var apart = Plain with { Optimizers = [new OptimizerLine(new Sgd(1)) { On = ["b"], Minimize = "first" }] };
        Assert.Contains("the loss first of Two depends on none of the parameters on b", Assert.Throws<GraphException>(() => TrainingStep.Check(two, apart)).Message);

        static void Line(string message, TrainingRecipe recipe) => Assert.Contains(message, Assert.Throws<GraphException>(() => TrainingStep.Build(Network(), recipe, 10)).Message);
    }

    private static DataSet Split() => new DataReader(".").Read(new DataDescription("moons", new TwoMoonsSource(100, 0.1, 7)) { Split = [SplitPart.OfFraction("train", 0.7), SplitPart.OfFraction("validation", 0.3)] });

    private static Model Network() => Model.Build("Moons", m =>
    {
        var seen = m.Buffer("seen", new Shape(), Initializers.Zeros);
        m.Update("seen", seen + 1);
        var logit = m.Input("x", "B", 2).Dense(16).Tanh().Apply(Layers.LayerNorm().Named("norm")).Apply(Layers.Dense(1).Named("head"));
        m.Output("p", logit.Sigmoid());
        m.Loss(Losses.BceWithLogits(logit, m.Target("y", "B", 1)));
    });

    private static string Line(LogRecord record) => (record with { Seconds = 0 }).ToJson();

    private sealed class SlowRows(ColumnRows inner, int gone = -1) : ColumnRows(inner.DType, inner.Count, inner.Shape)
    {
        private int fills;

        public (int Count, Action Do) After { get; init; }

        public override bool IsSlow => true;

        public override void Fill(ReadOnlySpan<int> rows, Span<byte> to, DType type)
        {
            if (++fills == After.Count)
                After.Do();
            if (rows.Contains(gone))
                throw new DataFormatException("disk", $"row {gone} is gone");
            inner.Fill(rows, to, type);
        }
    }
}
