using Dnn.Graph;
using Dnn.Testing;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>Optimizers as training steps run them, against stored paths; schedules against their formulas.</summary>
public class OptimizerTests
{
    private const int Steps = 60;
    private static readonly double[] Start = [-1.2, 1, 0.8, -0.5];

    /// <summary>Every optimizer, by its name in tests/reference/optimizers.py.</summary>
    private static readonly Dictionary<string, Optimizer> Optimizers = new()
    {
        ["sgd"] = new Sgd(1e-3),
        ["momentum"] = new Sgd(1e-4, 0.9),
        ["nesterov"] = new Sgd(1e-4, 0.9, Nesterov: true),
        ["adam"] = new Adam(0.01),
        ["adamw"] = new AdamW(0.01, 0.8, 0.95, 1e-6, 0.1),
        ["rmsprop"] = new RmsProp(0.01),
        ["rmsprop_momentum"] = new RmsProp(0.01, 0.9, 1e-6, 0.5),
        ["adagrad"] = new Adagrad(0.1),
        ["nadam"] = new Nadam(0.01),
        ["lamb"] = new Lamb(0.02),
        ["lion"] = new Lion(0.01, Decay: 0.1),
        ["adafactor"] = new Adafactor(0.01),
        ["adafactor_plain"] = new Adafactor(0.05, Clip: 0.5, Power: 0.6, Beta1: 0.9, Decay: 0.01, IsRelative: false, IsScaled: false),
        ["lbfgs"] = new Lbfgs(1, Tolerance: 0),
        ["lbfgs_short"] = new Lbfgs(0.5, History: 2, Tolerance: 0),
    };

    private static readonly Dictionary<string, (Func<Expr, Expr> Function, double[] Start, Shape Shape)> Functions = new()
    {
        ["rosenbrock"] = (Rosenbrock, [-1.2, 1], new Shape(2)),
        ["beale"] = (Beale, [1, 1], new Shape(2)),
        ["quadratic"] = (Quadratic, [1, 2, -1.5, 0.5, 2, -2], new Shape(3, 2)),
    };

    public static TheoryData<string> Paths => [.. Optimizers.Keys.SelectMany(o => Functions.Keys.Select(f => $"{o}.{f}"))];

    public static TheoryData<string> Averaging => [.. Optimizers.Where(o => o.Value is not Lbfgs).Select(o => o.Key)];

    /// <summary>The stored path is PyTorch's, or that of a loop written from the paper.</summary>
    [Theory]
    [MemberData(nameof(Paths))]
    public void A_path_is_the_stored_one(string name)
    {
        var stored = Npz.Read(RepoRoot.Combine("tests", "reference", "data", "optimizers.npz"))[name];
        var (optimizer, (function, start, shape)) = (Optimizers[name[..name.IndexOf('.')]], Functions[name[(name.IndexOf('.') + 1)..]]);
        var session = Session(optimizer, start, function, shape: shape);
        var loop = optimizer is Lbfgs lbfgs ? new LbfgsLoop(session, lbfgs) : null;
        var path = stored.ToArray<double>();
        for (var step = 0; step < stored.Shape[0]; step++)
        {
            if (loop is not null)
                Assert.False(loop.Step(() => session.ReadScalar(session.OutputIndex(TrainingStep.RateName))));
            else
                Assert.Equal(RunResult.Committed, session.Run());
            var actual = session.StateSpan<double>("w");
            for (var i = 0; i < start.Length; i++)
            {
                var expected = path[(step * start.Length) + i];
                Assert.True(Math.Abs(actual[i] - expected) <= 1e-10 * Math.Max(1, Math.Abs(expected)), $"{name}: step {step}, w[{i}] is {actual[i]}, should be {expected}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public void A_path_in_single_precision_is_the_stored_one(string name)
    {
        var stored = Npz.Read(RepoRoot.Combine("tests", "reference", "data", "optimizers.npz"))[name];
        var (optimizer, (function, start, shape)) = (Optimizers[name[..name.IndexOf('.')]], Functions[name[(name.IndexOf('.') + 1)..]]);
        var session = Session(optimizer, start, function, shape: shape, type: DType.F32);
        var loop = optimizer is Lbfgs lbfgs ? new LbfgsLoop(session, lbfgs) : null;
        var path = stored.ToArray<double>();
        var worst = 0.0;

        // A line search amplifies rounding tenfold every step or two: of f32's seven digits four are left after half of the searches.
        for (var step = 0; step < stored.Shape[0] / (loop is null ? 1 : 2); step++)
        {
            if (loop is not null)
                loop.Step(() => session.ReadScalar(session.OutputIndex(TrainingStep.RateName)));
            else
                Assert.Equal(RunResult.Committed, session.Run());
            var actual = session.StateSpan<float>("w");
            for (var i = 0; i < start.Length; i++)
            {
                var expected = path[(step * start.Length) + i];
                worst = Math.Max(worst, Math.Abs(actual[i] - expected) / Math.Max(1, Math.Abs(expected)));
            }
        }

        Assert.True(worst <= 1e-4, $"{name}: {worst}");
    }

    [Fact]
    public void Lbfgs_ends_where_the_gradient_does_as_a_trainer_runs_it()
    {
        var model = Model.Build("Function", m =>
        {
            var x = m.Input("x", "B", 1);
            m.Loss(Rosenbrock(m.Parameter("w", new Shape(2), new ListInitializer([2], [-1.2, 1]))) + (0 * x.Sum()));
        });
        var data = DataSet.Of(new DataSplit("train", ("x", Tensor.Create(new double[8], 8, 1))));
        var result = Trainer.Fit(model, new TrainingRecipe { Optimizer = new Lbfgs(1), Epochs = 100 }, data, new PlanOptions { Float = DType.F64 });
        Assert.All(result.Weights["w"].ToArray<double>(), w => Assert.Equal(1, w, 1e-6));
        Assert.InRange(result.Log.Count, 10, 60);
        Assert.Equal(TrainingEnd.EarlyStop, result.End);
        Assert.Contains("leave out clip_norm", Assert.Throws<GraphException>(() => Trainer.Fit(model, new TrainingRecipe { Optimizer = new Lbfgs(1), ClipNorm = 1 }, data)).Message, StringComparison.Ordinal);
    }

    /// <summary>As a unit dies: the averages decay, and must not get stuck among numbers that processors are slow with.</summary>
    [Theory]
    [MemberData(nameof(Averaging))]
    public void Where_no_gradient_comes_any_more_averages_end_at_zero(string name)
    {
        var session = Session(Optimizers[name], [0.03, 0.01, 0.001], w => w.Relu().Sum(), shape: new Shape(3), type: DType.F32);
        string[] states = [.. session.Program.States.Select(s => s.Name).Where(n => n.StartsWith(TrainingStep.OptimizerPrefix, StringComparison.Ordinal))];
        for (var step = 0; step < 20_000; step++)
        {
            session.Run();
            foreach (var state in states)
                Assert.DoesNotContain(session.StateSpan<float>(state).ToArray(), float.IsSubnormal);
        }

        foreach (var momentum in states.Where(s => s is "optimizer.m.w" or "optimizer.v.w"))
            Assert.All(session.StateSpan<float>(momentum).ToArray(), v => Assert.Equal(0, v));
    }

    [Fact]
    public void Every_optimizer_has_a_stored_path()
    {
        var all = typeof(Optimizer).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(Optimizer)) && !t.IsAbstract);
        Assert.Empty(all.Except(Optimizers.Values.Select(o => o.GetType())));
    }

    [Fact]
    public void Weight_decay_reaches_vectors_when_it_is_asked_to()
    {
        foreach (var optimizer in new Optimizer[] { new AdamW(0.01), new Lamb(0.01), new Lion(0.01), new Adafactor(0.01, Decay: 0.1) })
        {
            var (some, all) = (Session(optimizer, Start, Rosenbrock, decayAll: false), Session(optimizer, Start, Rosenbrock));
            some.Run();
            all.Run();
            Assert.NotEqual(some.StateSpan<double>("w").ToArray(), all.StateSpan<double>("w").ToArray());
        }
    }

    [Fact]
    public void Nothing_divides_by_zero_where_value_and_gradient_are_zero()
    {
        foreach (var optimizer in new Optimizer[] { new Adagrad(0.1), new Nadam(0.1), new Lamb(0.1), new Lion(0.1), new Adafactor(0.1) })
        {
            var session = Session(optimizer, [0, 0], w => w.Square().Sum());
            Assert.Equal(RunResult.Committed, session.Run());
            Assert.Equal([0, 0], session.StateSpan<double>("w").ToArray());
        }

        var fromZero = Session(new Lamb(0.1), [0, 0], w => (w - 1).Square().Sum());
        fromZero.Run();
        Assert.All(fromZero.StateSpan<double>("w").ToArray(), x => Assert.Equal(0.1, x, 1e-6));
    }

    public static TheoryData<Schedule, Func<double, double>> Schedules { get; } = new()
    {
        { new ConstantSchedule(0.3), _ => 0.3 },
        { new CosineSchedule(0.1), s => Half(0.1, 0, Math.Min(1, s / 100)) },
        { new CosineSchedule(0.1, 50, 0.01), s => Half(0.1, 0.01, Math.Min(1, s / 50)) },
        { new StepSchedule(0.1, 30, 0.5), s => 0.1 * Math.Pow(0.5, Math.Floor(s / 30)) },
        { new WarmupCosineSchedule(0.1, 20, Floor: 0.01), s => s < 20 ? 0.1 * (s + 1) / 20 : Half(0.1, 0.01, Math.Min(1, (s - 20) / 80)) },
        { new ThenSchedule(new LinearSchedule(0.1), new CosineSchedule(0.05), 40), s => s < 40 ? 0.1 * (1 - (s / 40)) : Half(0.05, 0, Math.Min(1, (s - 40) / 60)) },
        { new ThenSchedule(0.1, new ThenSchedule(0.01, 0.001, 10), 20), s => s < 20 ? 0.1 : s < 30 ? 0.01 : 0.001 },
        { new ExponentialSchedule(0.1, 10, 0.5), s => 0.1 * Math.Pow(0.5, s / 10) },
        { new LinearSchedule(0.1, Floor: 0.01), s => 0.1 - (0.09 * Math.Min(1, s / 100)) },
        { new LinearSchedule(0.1, 50), s => 0.1 * Math.Max(0, 1 - (s / 50)) },
        { new WarmupLinearSchedule(0.1, 20), s => s < 20 ? 0.1 * (s + 1) / 20 : 0.1 * Math.Max(0, 1 - ((s - 20) / 80)) },
        { new InverseSqrtSchedule(0.1, 16), s => s < 16 ? 0.1 * (s + 1) / 16 : 0.1 * Math.Sqrt(16 / (s + 1)) },
        { new OneCycleSchedule(0.1), s => s <= 29 ? Half(0.004, 0.1, s / 29) : Half(0.1, 4e-7, Math.Min(1, (s - 29) / 70)) },
        { new PiecewiseSchedule([10, 30], [0.1, 0.01, 0.001]), s => s < 10 ? 0.1 : s < 30 ? 0.01 : 0.001 },
        { new PiecewiseSchedule([], [0.5]), _ => 0.5 },
    };

    [Theory]
    [MemberData(nameof(Schedules))]
    public void A_schedule_is_its_formula(Schedule schedule, Func<double, double> formula)
    {
        var step = Expr.Variable("step", Shape.Scalar);
        var rate = schedule.At(step, 100);
        for (var s = 0; s < 120; s++)
            Assert.Equal(formula(s), Reference.Evaluate([rate], new Dictionary<Expr, RefValue<double>> { [step] = RefValue<double>.Of([], [(double)s]) })[0].Reals![0], 1e-15);
    }

    [Fact]
    public void Every_schedule_has_a_formula()
    {
        var all = typeof(Schedule).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(Schedule)) && !t.IsAbstract);
        Assert.Empty(all.Except(Schedules.Select(row => ((object[])row)[0].GetType())));
    }

    [Fact]
    public void Pieces_that_do_not_fit_are_explained()
    {
        Assert.Contains("`at` of then is at least 0", Assert.Throws<RangeException>(() => new ThenSchedule(1, 2, -1)).Message, StringComparison.Ordinal);
        Assert.Contains("2 boundaries make 3 pieces, and there are 1 rates", Assert.Throws<GraphException>(() => new PiecewiseSchedule([1, 2], [0.1])).Message, StringComparison.Ordinal);
        Assert.Contains("[2, 1] must increase", Assert.Throws<GraphException>(() => new PiecewiseSchedule([2, 1], [1, 2, 3])).Message, StringComparison.Ordinal);
    }

    public static TheoryData<Type, string> Numbers
    {
        get
        {
            var data = new TheoryData<Type, string>();
            foreach (var type in typeof(Optimizer).Assembly.GetTypes().Where(t => !t.IsAbstract && (t.IsSubclassOf(typeof(Optimizer)) || t.IsSubclassOf(typeof(Schedule)))))
            {
                foreach (var parameter in type.GetConstructors()[0].GetParameters().Where(p => (Nullable.GetUnderlyingType(p.ParameterType) ?? p.ParameterType) == typeof(double) || p.ParameterType == typeof(int)))
                    data.Add(type, parameter.Name!);
            }

            return data;
        }
    }

    /// <summary>A description with a number out of its range cannot be made, in any language.</summary>
    [Theory]
    [MemberData(nameof(Numbers))]
    public void Every_number_has_a_range(Type type, string name)
    {
        var constructor = type.GetConstructors()[0];
        foreach (var bad in constructor.GetParameters().Single(p => p.Name == name).ParameterType == typeof(int) ? (object[])[-1, 0] : [-1.0, double.NaN, double.PositiveInfinity])
        {
            var arguments = constructor.GetParameters().Select(p => p.Name == name ? bad : p.HasDefaultValue ? p.DefaultValue : p.ParameterType == typeof(Schedule) ? new ConstantSchedule(0.1) : p.ParameterType == typeof(double) ? 1.0 : Activator.CreateInstance(p.ParameterType));
            var thrown = Assert.IsType<RangeException>(Assert.Throws<System.Reflection.TargetInvocationException>(() => constructor.Invoke([.. arguments])).InnerException);
            Assert.Matches(@"^`\w+` of [\w ]+ is (at least|above|between) .*, not (-1|0|nan|inf)$", thrown.Message);
        }
    }

    [Fact]
    public void Training_has_ranges()
    {
        Assert.Equal("`momentum` of sgd is at least 0 and below 1, not 2", Assert.Throws<RangeException>(() => new OptimizerLine(new Sgd(0.1) with { Momentum = 2 })).Message);
        Assert.Contains("`every` of an optimizer is at least 1", Assert.Throws<RangeException>(() => new OptimizerLine(new Sgd(1)) { Every = 0 }).Message, StringComparison.Ordinal);
        foreach (Func<TrainingRecipe> make in (Func<TrainingRecipe>[])[() => new() { Batch = 0 }, () => new() { Epochs = -1 }, () => new() { Steps = -1 }, () => new() { Accumulate = 0 }, () => new() { ClipNorm = 0 }, () => new() { ClipValue = double.NaN }, () => new() { Ema = 1 }, () => new() { LogEvery = 0 }])
            Assert.Contains(" of training is ", Assert.Throws<RangeException>(make).Message, StringComparison.Ordinal);
    }

    private static double Half(double from, double to, double t) => to + ((from - to) * 0.5 * (1 + Math.Cos(Math.PI * t)));

    /// <summary>Σ 100(wᵢ₊₁ − wᵢ²)² + (1 − wᵢ)² (Rosenbrock 1960).</summary>
    private static Expr Rosenbrock(Expr w)
    {
        var n = w.Shape[0];
        var (a, b) = (w.SliceAxis(0, 0, n - 1), w.SliceAxis(0, 1, n));
        return (100 * (b - a.Square()).Square()).Sum() + (1 - a).Square().Sum();
    }

    /// <summary>Beale 1958; the minimum is at (3, ½).</summary>
    private static Expr Beale(Expr w)
    {
        var (x, y) = (w.SliceAxis(0, 0, 1), w.SliceAxis(0, 1, 2));
        return ((1.5 - x + (x * y)).Square() + (2.25 - x + (x * y * y)).Square() + (2.625 - x + (x * y * y * y)).Square()).Sum();
    }

    private static Expr Quadratic(Expr w)
    {
        var (a, c) = (Expr.Vector(1, 4, 9, 2, 0.5, 3).Reshape(w.Shape), Expr.Vector(0.3, -0.7, 1.1, 0.2, -0.4, 0.9).Reshape(w.Shape));
        return (0.5 * (a * (w - c).Square()).Sum()) + (0.25 * w.Sum().Square());
    }

    private static Session Session(Optimizer optimizer, double[] start, Func<Expr, Expr> function, bool decayAll = true, Shape? shape = null, DType type = DType.F64)
    {
        var model = Model.Build("Function", m => m.Loss(function(m.Parameter("w", shape ?? new Shape(start.Length), 0))));
        var session = new Session(TrainingStep.Build(model, new TrainingRecipe { Optimizer = optimizer, DecayAll = decayAll }, Steps).Simplify(), new PlanOptions { Float = type, Threads = 1 });
        session.Prepare(new Dictionary<string, long>());
        session.SetState("w", Tensor.Create(start, [.. (shape ?? new Shape(start.Length)).Dims.Select(d => (int)d.Value)]).Cast(type));
        return session;
    }
}
