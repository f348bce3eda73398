using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>Optimizers as training steps run them, against the loops of their papers.</summary>
public class OptimizerTests
{
    private const int Steps = 60;
    private static readonly double[] Start = [-1.2, 1, 0.8, -0.5];

    /// <summary>One parameter's whole path: from its values, in place, by a function that gives the gradient.</summary>
    public delegate void Loop(double[] w, Func<double[], double[]> gradient, Action visit);

    public static TheoryData<Optimizer, Loop> Optimizers { get; } = new()
    {
        { new Sgd(1e-3), (w, gradient, visit) => Run(w, gradient, visit, (_, g, i) => w[i] -= 1e-3 * g[i]) },
        { new Sgd(1e-4, 0.9), (w, gradient, visit) =>
        {
            var v = new double[w.Length];
            Run(w, gradient, visit, (_, g, i) =>
            {
                v[i] = (0.9 * v[i]) + g[i];
                w[i] -= 1e-4 * v[i];
            });
        } },
        { new Sgd(1e-4, 0.9, Nesterov: true), (w, gradient, visit) =>
        {
            var v = new double[w.Length];
            Run(w, gradient, visit, (_, g, i) =>
            {
                v[i] = (0.9 * v[i]) + g[i];
                w[i] -= 1e-4 * (g[i] + (0.9 * v[i]));
            });
        } },
        { new Adam(0.01), (w, gradient, visit) => RunAdam(w, gradient, visit, (m, v, _, t) => 0.01 * (m / (1 - Math.Pow(0.9, t))) / (Math.Sqrt(v / (1 - Math.Pow(0.999, t))) + 1e-8)) },
        { new AdamW(0.01, 0.8, 0.95, 1e-6, 0.1), (w, gradient, visit) =>
        {
            var (m, v) = (new double[w.Length], new double[w.Length]);
            Run(w, gradient, visit, (t, g, i) =>
            {
                w[i] -= 0.01 * 0.1 * w[i];
                m[i] = (0.8 * m[i]) + (0.2 * g[i]);
                v[i] = (0.95 * v[i]) + (0.05 * g[i] * g[i]);
                w[i] -= 0.01 * (m[i] / (1 - Math.Pow(0.8, t))) / (Math.Sqrt(v[i] / (1 - Math.Pow(0.95, t))) + 1e-6);
            });
        } },
        { new RmsProp(0.01), (w, gradient, visit) =>
        {
            var v = new double[w.Length];
            Run(w, gradient, visit, (_, g, i) =>
            {
                v[i] = (0.99 * v[i]) + (0.01 * g[i] * g[i]);
                w[i] -= 0.01 * g[i] / (Math.Sqrt(v[i]) + 1e-8);
            });
        } },
        { new RmsProp(0.01, 0.9, 1e-6, 0.5), (w, gradient, visit) =>
        {
            var (v, b) = (new double[w.Length], new double[w.Length]);
            Run(w, gradient, visit, (_, g, i) =>
            {
                v[i] = (0.9 * v[i]) + (0.1 * g[i] * g[i]);
                b[i] = (0.5 * b[i]) + (g[i] / (Math.Sqrt(v[i]) + 1e-6));
                w[i] -= 0.01 * b[i];
            });
        } },
        { new Adagrad(0.1), (w, gradient, visit) =>
        {
            var s = new double[w.Length];
            Run(w, gradient, visit, (_, g, i) =>
            {
                s[i] += g[i] * g[i];
                w[i] -= 0.1 * g[i] / (Math.Sqrt(s[i]) + 1e-10);
            });
        } },
        { new Nadam(0.01), (w, gradient, visit) => RunAdam(w, gradient, visit, (m, v, g, t) =>
            0.01 * ((0.9 * m / (1 - Math.Pow(0.9, t + 1))) + (0.1 * g / (1 - Math.Pow(0.9, t)))) / (Math.Sqrt(v / (1 - Math.Pow(0.999, t))) + 1e-8)) },
        { new Lamb(0.02), (w, gradient, visit) =>
        {
            var (m, v, r) = (new double[w.Length], new double[w.Length], new double[w.Length]);
            for (var t = 1; t <= Steps; t++)
            {
                var g = gradient(w);
                for (var i = 0; i < w.Length; i++)
                {
                    m[i] = (0.9 * m[i]) + ((1 - 0.9) * g[i]);
                    v[i] = (0.999 * v[i]) + ((1 - 0.999) * g[i] * g[i]);
                    r[i] = (m[i] / (1 - Math.Pow(0.9, t)) / (Math.Sqrt(v[i] / (1 - Math.Pow(0.999, t))) + 1e-6)) + (0.01 * w[i]);
                }

                var trust = Math.Sqrt(w.Sum(x => x * x)) / Math.Sqrt(r.Sum(x => x * x));
                for (var i = 0; i < w.Length; i++)
                    w[i] -= 0.02 * trust * r[i];
                visit();
            }
        } },
        { new Lion(0.01, Decay: 0.1), (w, gradient, visit) =>
        {
            var m = new double[w.Length];
            Run(w, gradient, visit, (_, g, i) =>
            {
                var move = Math.Sign((0.9 * m[i]) + ((1 - 0.9) * g[i])) + (0.1 * w[i]);
                m[i] = (0.99 * m[i]) + ((1 - 0.99) * g[i]);
                w[i] -= 0.01 * move;
            });
        } },
    };

    [Theory]
    [MemberData(nameof(Optimizers))]
    public void A_path_over_rosenbrock_is_that_of_the_paper(Optimizer optimizer, Loop loop)
    {
        var session = Session(optimizer, Start, Rosenbrock);
        var w = (double[])Start.Clone();
        var step = 0;
        loop(w, RosenbrockGradient, () =>
        {
            Assert.Equal(RunResult.Committed, session.Run());
            step++;
            var actual = session.StateSpan<double>("w");
            for (var i = 0; i < w.Length; i++)
                Assert.True(Math.Abs(actual[i] - w[i]) <= 1e-10 * Math.Max(1, Math.Abs(w[i])), $"{optimizer}: step {step}, w[{i}] is {actual[i]}, should be {w[i]}");
        });
        Assert.Equal(Steps, step);
    }

    [Fact]
    public void Weight_decay_reaches_vectors_when_it_is_asked_to()
    {
        foreach (var optimizer in new Optimizer[] { new AdamW(0.01), new Lamb(0.01), new Lion(0.01) })
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
        foreach (var optimizer in new Optimizer[] { new Adagrad(0.1), new Nadam(0.1), new Lamb(0.1), new Lion(0.1) })
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
    public void Pieces_that_do_not_fit_are_explained()
    {
        Assert.Contains("2 boundaries make 3 pieces, and there are 1 rates", Assert.Throws<GraphException>(() => new PiecewiseSchedule([1, 2], [0.1])).Message, StringComparison.Ordinal);
        Assert.Contains("[2, 1] must increase", Assert.Throws<GraphException>(() => new PiecewiseSchedule([2, 1], [1, 2, 3])).Message, StringComparison.Ordinal);
    }

    private static double Half(double from, double to, double t) => to + ((from - to) * 0.5 * (1 + Math.Cos(Math.PI * t)));

    /// <summary>Σ 100(wᵢ₊₁ − wᵢ²)² + (1 − wᵢ)² (Rosenbrock 1960).</summary>
    private static Expr Rosenbrock(Expr w)
    {
        var n = w.Shape[0];
        var (a, b) = (w.SliceAxis(0, 0, n - 1), w.SliceAxis(0, 1, n));
        return (100 * (b - a.Square()).Square()).Sum() + (1 - a).Square().Sum();
    }

    private static double[] RosenbrockGradient(double[] w)
    {
        var g = new double[w.Length];
        for (var i = 0; i + 1 < w.Length; i++)
        {
            g[i] += (-400 * w[i] * (w[i + 1] - (w[i] * w[i]))) - (2 * (1 - w[i]));
            g[i + 1] += 200 * (w[i + 1] - (w[i] * w[i]));
        }

        return g;
    }

    private static void Run(double[] w, Func<double[], double[]> gradient, Action visit, Action<int, double[], int> update)
    {
        for (var t = 1; t <= Steps; t++)
        {
            var g = gradient(w);
            for (var i = 0; i < w.Length; i++)
                update(t, g, i);
            visit();
        }
    }

    private static void RunAdam(double[] w, Func<double[], double[]> gradient, Action visit, Func<double, double, double, int, double> move)
    {
        var (m, v) = (new double[w.Length], new double[w.Length]);
        Run(w, gradient, visit, (t, g, i) =>
        {
            m[i] = (0.9 * m[i]) + ((1 - 0.9) * g[i]);
            v[i] = (0.999 * v[i]) + ((1 - 0.999) * g[i] * g[i]);
            w[i] -= move(m[i], v[i], g[i], t);
        });
    }

    private static Session Session(Optimizer optimizer, double[] start, Func<Expr, Expr> function, bool decayAll = true)
    {
        var model = Model.Build("Function", m => m.Loss(function(m.Parameter("w", new Shape(start.Length), 0))));
        var session = new Session(TrainingStep.Build(model, new TrainingRecipe { Optimizer = optimizer, DecayAll = decayAll }, Steps).Simplify(), new PlanOptions { Float = DType.F64, Threads = 1 });
        session.Prepare(new Dictionary<string, long>());
        session.SetState("w", Tensor.Create(start, start.Length));
        return session;
    }
}
