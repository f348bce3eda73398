using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

public class TrainerTests
{
    private static readonly DataSet Moons = new DataReader(".").Read(new DataDescription("moons", new TwoMoonsSource(300, 0.1, 7))
    {
        Split = [SplitPart.OfFraction("train", 0.8), SplitPart.OfFraction("validation", 0.2)],
    });

    private static readonly TrainingRecipe Recipe = new()
    {
        Optimizer = new AdamW(new WarmupCosineSchedule(0.02, 10), Decay: 1e-3),
        Batch = 32,
        Epochs = 6,
        ClipNorm = 1,
        Seed = 11,
    };

    [Fact]
    public void The_same_seed_gives_the_same_bits_at_any_number_of_threads()
    {
        var one = Trainer.Fit(Network(), Recipe, Moons, new PlanOptions { Threads = 1 });
        foreach (var threads in new[] { 1, 2, 3 })
        {
            var other = Trainer.Fit(Network(), Recipe, Moons, new PlanOptions { Threads = threads });
            Assert.True(one.Weights.BitEquals(other.Weights));
            Assert.Equal(one.Log.Select(r => r.Loss), other.Log.Select(r => r.Loss));
        }
    }

    [Fact]
    public void Another_seed_gives_other_weights() =>
        Assert.False(Trainer.Fit(Network(), Recipe with { Epochs = 1 }, Moons).Weights.BitEquals(Trainer.Fit(Network(), Recipe with { Epochs = 1, Seed = 12 }, Moons).Weights));

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(8)]
    [InlineData(17)]
    [InlineData(47)]
    public void A_run_that_was_interrupted_and_resumed_equals_one_that_was_not(int stopAfter)
    {
        var whole = new Trainer(Network(), Recipe, Moons);
        var expected = whole.Run().ToList();

        var first = new Trainer(Network(), Recipe, Moons);
        using var stop = new CancellationTokenSource();
        if (stopAfter == 0)
            stop.Cancel();
        var log = first.Run(t => Stop(t.Step == stopAfter), stop.Token).ToList();
        var interrupted = first.End == TrainingEnd.Interrupted;
        Assert.Equal(stopAfter < whole.TotalSteps, interrupted);

        var second = new Trainer(Network(), Recipe, Moons);
        Assert.Equal(log.Count, second.Restore(first.Capture(), first.Best, "last"));
        log.AddRange(second.Run());

        Assert.Equal(expected.Select(Line), log.Select(Line));
        Assert.True(whole.Weights.BitEquals(second.Weights));
        Assert.True(whole.Best.BitEquals(second.Best));
        Assert.Equal(whole.BestEpoch, second.BestEpoch);

        void Stop(bool now)
        {
            if (now)
                stop.Cancel();
        }
    }

    [Fact]
    public void Training_learns_in_both_float_types_and_through_both_matrix_products()
    {
        foreach (var options in new PlanOptions[]
        {
            new(),
            new() { Float = DType.F64 },
            new() { MatrixProduct = new MathNetMatrixProduct(new MathNet.Numerics.Providers.LinearAlgebra.ManagedLinearAlgebraProvider()) },
        })
        {
            var result = Trainer.Fit(Network(), Recipe with { Epochs = 25 }, Moons, options);
            Assert.True(Value(result.Log[^1], "accuracy") > 0.95, $"{options.Float}: {result.Log[^1].ToJson()}");
        }
    }

    [Fact]
    public void The_best_weights_are_those_of_the_best_validation_loss()
    {
        var trainer = new Trainer(Network(), Recipe, Moons);
        var best = trainer.Run().Where(r => r.Split == "validation").MinBy(r => r.Loss)!;
        Assert.Equal(best.Epoch, trainer.BestEpoch);
        var evaluated = Trainer.Evaluate(Network(), trainer.Best, Moons, "validation");
        Assert.Equal(best.Loss, evaluated[0].Value, 6);
    }

    [Fact]
    public void Early_stopping_waits_for_its_patience_and_keeps_the_best()
    {
        // A rate of zero never improves: epoch 1 is best, and two more are waited for.
        var trainer = new Trainer(Network(), Recipe with { Optimizer = new Sgd(0), EarlyStop = new EarlyStop(Patience: 2) }, Moons);
        Assert.Equal(3, trainer.Run().Max(r => r.Epoch));
        Assert.Equal(TrainingEnd.EarlyStop, trainer.End);
        Assert.Equal(1, trainer.BestEpoch);
    }

    [Fact]
    public void What_is_watched_must_exist()
    {
        var recipe = Recipe with { EarlyStop = new EarlyStop("validation.acuracy") };
        var error = Assert.Throws<DataFormatException>(() => new Trainer(Network(), recipe, Moons));
        Assert.Contains("'acuracy'", error.Message);
        Assert.Contains("accuracy", error.Message);
    }

    [Fact]
    public void A_number_of_steps_ends_training_within_an_epoch()
    {
        var trainer = new Trainer(Network(), Recipe with { Steps = 10 }, Moons);
        Assert.Equal(10, trainer.Run().Last().Step);
    }

    [Fact]
    public void A_loss_that_is_not_finite_stops_with_the_operation_that_made_it_and_keeps_the_state()
    {
        var model = Model.Build("Broken", m =>
        {
            var x = m.Input("x", "B", 2);
            var y = m.Target("y", "B", 1);
            var h = x.Apply(Layers.Dense(1).Named("fc"));
            // Falls to zero and below as training pulls h down.
            m.Loss((h.Square().Sum() - 1e-2).Log() + Losses.Mse(h, y) * 0);
        });
        var trainer = new Trainer(model, Recipe with { Optimizer = new Sgd(1e-4), Epochs = 1000, ClipNorm = null }, Moons);
        Weights? before = null;
        var error = Assert.Throws<NonFiniteException>(() => trainer.Run(t => before = t.Weights).Count());
        Assert.Equal("log", error.Blame?.Node.Op.Name);
        Assert.Contains("the loss is not finite", error.Message);
        Assert.True(before is null || before.BitEquals(trainer.Weights));
    }

    [Fact]
    public void Data_without_a_column_says_which_there_are()
    {
        var model = Model.Build("Other", m => m.Loss(m.Input("pixels", "B", 2).Dense(1).Square().Mean()));
        var error = Assert.Throws<DataFormatException>(() => new Trainer(model, Recipe, Moons));
        Assert.Contains("'pixels'", error.Message);
        Assert.Contains("'x'", error.Message);
    }

    [Fact]
    public void Weights_of_another_model_are_refused_with_what_differs()
    {
        var other = Model.Build("Other", m => m.Output("y", m.Input("x", "B", 2).Apply(Layers.Dense(7).Named("fc"))));
        var error = Assert.Throws<DataFormatException>(() => new Predictor(Network(), Initialization.Sample(other, 1)));
        Assert.Contains("dense_0.weight", error.Message);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_predictor_answers_from_its_weights_however_often_it_is_asked(bool writes)
    {
        var model = Network();
        var weights = Initialization.Sample(model, 3);
        var program = TrainingStep.Prediction(model);
        if (writes)
            program = program with { States = [.. program.States.Select(s => s.Variable.DType.IsFloat() ? s with { Next = s.Variable + 1 } : s)] };
        var predictor = new Predictor(model, weights, program);
        foreach (var rows in new[] { 2, 3, 2, 1 })
        {
            var x = Tensor.Create(Enumerable.Range(0, 2 * rows).Select(i => (float)Math.Sin(i + rows)).ToArray(), rows, 2);
            Assert.Equal(new Predictor(model, weights).Predict(("x", x))["p"].ToArray<float>(), predictor.Predict(("x", x))["p"].ToArray<float>());
        }
    }

    [Fact]
    public void A_predictor_computes_what_the_reference_does()
    {
        var model = Network();
        var weights = Initialization.Sample(model, 3, DType.F64);
        var x = Tensor.Create([0.5, -1, 2, 0.25], 2, 2);
        var predicted = new Predictor(model, weights, new PlanOptions { Float = DType.F64 }).Predict(("x", x))["p"];
        var program = TrainingStep.Prediction(model);
        var variables = program.States.Where(s => weights.Contains(s.Name)).ToDictionary(s => s.Variable, s => Value(weights[s.Name]));
        variables[model.Inputs[0].Value] = Value(x);
        var expected = Reference.Evaluate([program.Outputs[0].Value], variables)[0];
        for (var i = 0; i < 2; i++)
            Assert.Equal(expected.Reals![i], predicted[i, 0], 12);
    }

    [Fact]
    public void A_step_allocates_nothing()
    {
        var trainer = new Trainer(Network(), Recipe with { Epochs = 20, Batch = 24 }, Moons, new PlanOptions { Threads = 1 });
        var allocated = new List<long>();
        foreach (var _ in trainer.Run(_ => allocated.Add(GC.GetAllocatedBytesForCurrentThread())))
        {
        }

        // 240 rows in batches of 24: these steps are within the last epoch. What the list itself allocates while growing is not the step's.
        var growth = Enumerable.Range(192, 8).Select(i => allocated[i] - allocated[i - 1]).Min();
        Assert.Equal(0, growth);
    }

    [Fact]
    public void The_average_of_an_epoch_weighs_batches_by_their_rows()
    {
        // 240 rows in batches of 100, 100 and 40; nothing changes, so the averages are those of the whole part.
        var model = Model.Build("Plain", m => m.Loss(Losses.BceWithLogits(m.Input("x", "B", 2).Dense(8).Relu().Dense(1), m.Target("y", "B", 1))));
        var trainer = new Trainer(model, Recipe with { Optimizer = new Sgd(0), Batch = 100, Epochs = 1 }, Moons);
        var record = trainer.Run().First();
        var whole = Trainer.Evaluate(model, trainer.Weights, Moons, "train", batch: 240);
        Assert.Equal(whole[0].Value, record.Loss, 5);
    }

    [Fact]
    public void The_log_is_one_json_object_a_line()
    {
        var record = new LogRecord(3, 21, "validation", [KeyValuePair.Create("loss", 0.25), KeyValuePair.Create("accuracy", double.NaN)], 0.001, 1.23456);
        Assert.Equal("""{"epoch":3,"step":21,"split":"validation","loss":0.25,"accuracy":null,"lr":0.001,"seconds":1.235}""", record.ToJson());
    }

    private static Model Network() => Model.Build("Moons", m =>
    {
        var x = m.Input("x", "B", 2);
        var y = m.Target("y", "B", 1);
        var logit = x.Dense(16).Relu().BatchNorm(momentum: 0).Dropout(0.1).Dense(16).Relu().LayerNorm().Dense(1);
        m.Output("p", logit.Sigmoid());
        m.Loss(Losses.BceWithLogits(logit, y));
        m.Metric("accuracy", logit.GreaterThan(0).EqualTo(y.GreaterThan(0.5)).Mean());
    });

    private static double Value(LogRecord record, string name) => record.Values.First(v => v.Key == name).Value;

    private static RefValue<double> Value(Tensor tensor) => RefValue<double>.Of([.. tensor.Shape], tensor.ToArray<double>());

    private static string Line(LogRecord record) => (record with { Seconds = 0 }).ToJson();
}
