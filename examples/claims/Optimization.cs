using System.Collections.Immutable;
using Dnn.Backend;
using Dnn.Graph;
using MathNet.Numerics;

namespace Dnn.Claims;

/// <summary>What steps do on a landscape.</summary>
internal static class Optimization
{
    public static ImmutableArray<Claim> Claims { get; } =
    [
        new("landscapes", "Descent contracts on a convex bowl, lingers at saddles and plateaus, and ends in the minimum that its start lies over; momentum and Adam get further.", "Polyak 1964; Dauphin et al. 2014; Kingma & Ba 2015", _ => Landscapes()),
        new("clipping", "Clipping the gradient's norm cures explosion.", "Pascanu et al. 2013", Clipping),
        new("activations", "Activation functions differ by at most 5 % on one task.", "Ramachandran et al. 2017", ActivationFunctions),
        new("learning-rates", "The rate has a best value in the middle: below it little is learned, above it training diverges.", "Bengio 2012", LearningRates),
    ];

    private static IEnumerable<Line> Landscapes()
    {
        // ½(x² + 10y²): with rate 1/10, x shrinks by 0.9 a step, and y is 0 after one.
        var bowl = new Landscape((x, y) => 0.5 * (x.Square() + (10 * y.Square())), new Sgd(0.1));
        foreach (var (x, y) in new[] { (1.0, 1.0), (-3.0, 2.0), (5.0, -0.5) })
        {
            var end = bowl.Walk(x, y, 100)[^1];
            yield return Line.Equal($"convex, condition 10, gradient descent from ({x}, {y}): x after 100 steps, 0.9^100 of it", x * Math.Pow(0.9, 100), end.X);
            yield return Line.Equal("… y", 0, end.Y);
        }

        foreach (var (name, optimizer) in new (string, Optimizer)[] { ("momentum 0.5", new Sgd(0.1, 0.5)), ("Adam", new Adam(0.1)) })
        {
            foreach (var (x, y) in new[] { (1.0, 1.0), (-3.0, 2.0), (5.0, -0.5) })
                yield return Line.Between($"… {name} from ({x}, {y}): distance after 500 steps", 0, 1e-3, Length(new Landscape((a, b) => 0.5 * (a.Square() + (10 * b.Square())), optimizer).Walk(x, y, 500)[^1]));
        }

        // ½(x² − y²) + ¼y⁴: a saddle at 0, minima at y = ±1. Beside it, y grows by 1.1 a step as long as it is small.
        var saddle = new Landscape((x, y) => (0.5 * (x.Square() - y.Square())) + (0.25 * y.Square().Square()), new Sgd(0.1));
        var still = saddle.Walk(1, 0, 500)[^1];
        yield return Line.Equal("saddle, from (1, 0), on its ridge: |y| after 500 steps", 0, Math.Abs(still.Y));
        foreach (var y in new[] { 1e-2, -1e-4, 1e-8 })
        {
            var path = saddle.Walk(1, y, 500);
            var expected = Math.Log(0.5 / Math.Abs(y)) / Math.Log(1.1);
            yield return Line.Between($"… from (1, {Line.Text(y)}): steps to |y| = ½, log(½/|y₀|) / log 1.1 and up to 5 more", Math.Floor(expected), Math.Ceiling(expected) + 5, path.FindIndex(p => Math.Abs(p.Y) >= 0.5));
            yield return Line.Equal("… y in the end", Math.Sign(y), path[^1].Y, 1e-6);
        }

        // 1 − exp(−½(x² + y²)): far out, the gradient is r·exp(−½r²).
        static Expr Crater(Expr x, Expr y) => 1 - (-0.5 * (x.Square() + y.Square())).Exp();
        foreach (var (name, optimizer) in new (string, Optimizer)[] { ("gradient descent", new Sgd(0.1)), ("momentum 0.9", new Sgd(0.1, 0.9)), ("RMSProp", new RmsProp(0.05)), ("Adam", new Adam(0.05)) })
        {
            var land = new Landscape(Crater, optimizer);
            yield return Line.Between($"plateau, {name} from (1, 0): distance after 500 steps", 0, 0.1, Length(land.Walk(1, 0, 500)[^1]));
            var far = Length(land.Walk(0, -5, 500)[^1]);
            // Five hundred steps, ten times as long by momentum, of at most 0.1 · 5 · exp(−12.5).
            var most = 500 * 0.1 * 10 * 5 * Math.Exp(-12.5);
            yield return optimizer is Sgd ? Line.Between("… from (0, −5): stays, gone by less than steps · rate · gradient", 5 - (1.2 * most), 5, far) : Line.Between("… from (0, −5): arrives, for its steps do not depend on the gradient's size", 0, 0.1, far);
        }

        // (x² − 1)² + 0.2x: two minima and a barrier between.
        static Expr Wells(Expr x, Expr y) => (x.Square() - 1).Square() + (0.2 * x) + y.Square();
        double Root(double low, double high) => FindRoots.OfFunction(x => (4 * x * ((x * x) - 1)) + 0.2, low, high, 1e-12);
        var (deep, top, other) = (Root(-2, -0.5), Root(-0.5, 0.5), Root(0.5, 2));
        var wells = new Landscape(Wells, new Sgd(0.02));
        foreach (var x in new[] { -2, -0.3, top - 0.05, top + 0.05, 0.6, 2 })
            yield return Line.Equal($"two wells, gradient descent from x = {Line.Text(x)}: the well on its side of {Line.Text(top)}", x < top ? deep : other, wells.Walk(x, 0.5, 1000)[^1].X, 1e-6);
        var heavy = new Landscape(Wells, new Sgd(0.02, 0.9));
        var ends = new[] { 1.6, 1.7, 1.8, 1.9, 2 }.Select(x => heavy.Walk(x, 0.5, 3000)[^1].X).ToArray();
        yield return Line.Between("… momentum 0.9 from 1.6 … 2: the largest distance to one of the wells", 0, 1e-6, ends.Max(x => Math.Min(Math.Abs(x - deep), Math.Abs(x - other))));
        yield return Line.Show("… starts of the five that went over the barrier", ends.Count(x => x < top));
    }

    private static double Length((double X, double Y) p) => Math.Sqrt((p.X * p.X) + (p.Y * p.Y));

    /// <summary>A function of two numbers and the program of one step on it.</summary>
    private sealed class Landscape
    {
        private readonly Session session;

        public Landscape(Func<Expr, Expr, Expr> f, Optimizer optimizer)
        {
            var model = Model.Build("Landscape", m =>
            {
                var w = m.Parameter("w", new Shape(2), Initializers.Zeros);
                m.Loss(f(w.SliceAxis(0, 0, 1).Sum(), w.SliceAxis(0, 1, 2).Sum()));
            });
            session = new Session(TrainingStep.Build(model, new TrainingRecipe { Optimizer = optimizer }, 1).Simplify(), Lab.Double);
            session.Prepare(new Dictionary<string, long>());
        }

        /// <summary>The places after each step, the start first.</summary>
        public List<(double X, double Y)> Walk(double x, double y, int steps)
        {
            foreach (var state in session.Plan.States)
                session.SetState(state.Name, Tensor.Zeros(state.Type, [.. state.Dims]));
            session.SetState("w", Tensor.Create([x, y]));
            var path = new List<(double, double)> { (x, y) };
            for (var i = 0; i < steps && session.Run() == RunResult.Committed; i++)
                path.Add((session.StateSpan<double>("w")[0], session.StateSpan<double>("w")[1]));
            return path;
        }
    }

    private static IEnumerable<Line> Clipping(Effort effort)
    {
        const double rate = 0.01;
        foreach (var seed in Lab.Seeds(effort))
        {
            var data = Lab.Digits(512, 64, seed);
            // One and a half times He's size: over 16 layers, activations and gradients grow by 1.5^16 = 657.
            var init = Initializers.Normal(1.5 * Math.Sqrt(2.0 / 32));
            var model = Lab.Classifier(x =>
            {
                for (var i = 0; i < 16; i++)
                    x = x.Dense(32, init: init).Relu();
                return x.Dense(10);
            });
            var start = Lab.Start(model, seed);
            var norm = Math.Sqrt(Lab.Gradients(model, start, ("x", data["train"]["x"]), ("y", data["train"]["y"])).Where(g => g.Key != TrainingStep.LossName).Sum(g => Math.Pow(Lab.Norm(g.Value), 2)));
            var first = new Fitted(model, start, [], true).On(data, "train");
            var steps = effort == Effort.Full ? 1000 : 200;
            yield return Line.Between($"norm of the gradient at the start (seed {seed})", 100, double.PositiveInfinity, norm);
            yield return Line.Show("loss at the start (chance is log 10 = 2.303)", first);
            var wild = Lab.Fit(model, data, new Sgd(rate), steps, 64, seed).On(data, "train");
            yield return new Line($"after {steps} steps without: no better than chance, log 10, or not finite", $"≥ {Line.Text(0.99 * Math.Log(10))}", Line.Text(wild), !(wild < 0.99 * Math.Log(10)));
            var once = Lab.Fit(model, data, new Sgd(rate), 1, 64, seed, clip: 1).Weights;
            var moved = Math.Sqrt(start.Sum(w => Math.Pow(Lab.Norm(once[w.Key]), 2) + Math.Pow(Lab.Norm(w.Value), 2) - (2 * Lab.Numbers(once[w.Key]).Zip(Lab.Numbers(w.Value), (a, b) => a * b).Sum())));
            yield return Line.Between("length of the first step with clipping at 1: the rate", rate * 0.9, rate * 1.1, moved);
            yield return Line.Between($"loss after {steps} steps with clipping: below a tenth of that at the start", 0, first / 10, Lab.Fit(model, data, new Sgd(rate), steps, 64, seed, clip: 1).On(data, "train"));
        }
    }

    private static IEnumerable<Line> ActivationFunctions(Effort effort)
    {
        var accuracies = new List<double>();
        var steps = effort == Effort.Full ? 1500 : 250;
        foreach (var (name, f) in new (string, Func<Expr, Expr>)[]
        {
            ("relu", x => x.Relu()), ("leaky_relu", x => x.LeakyRelu()), ("elu", x => x.Elu()), ("selu", x => x.Selu()), ("gelu", x => x.Gelu()),
            ("swish", x => x.Swish()), ("mish", x => x.Mish()), ("softplus", x => x.Softplus()), ("tanh", x => x.Tanh()), ("sigmoid", x => x.Sigmoid()),
        })
        {
            accuracies.Add(Lab.Median(Lab.Seeds(effort).Select(seed =>
                Lab.Fit(Lab.Classifier(x => f(f(x.Dense(64)).Dense(64)).Dense(10)), Lab.Digits(1000, 500, seed), new Adam(0.003), steps, 64, seed).On(Lab.Digits(1000, 500, seed), "test", "accuracy"))));
            yield return Line.Show($"{name}: accuracy on 500 digits for test", accuracies[^1]);
        }

        // Sigmoid comes last: behind two of them, a sixteenth of the gradient is left at most.
        yield return Line.Between("best less worst, without sigmoid", 0, 0.05, accuracies[..^1].Max() - accuracies[..^1].Min());
        yield return effort == Effort.Full
            ? Line.Between($"with it, after {steps} steps", 0, 0.05, accuracies.Max() - accuracies.Min())
            : Line.Show($"with it, after {steps} steps: not so yet where it is the slowest", accuracies.Max() - accuracies.Min());
    }

    private static IEnumerable<Line> LearningRates(Effort effort)
    {
        double[] rates = effort == Effort.Full ? [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100] : [1e-5, 0.1, 100];
        var losses = rates.Select(rate => Lab.Median(Lab.Seeds(effort).Select(seed =>
        {
            var data = Lab.Digits(512, 64, seed);
            return Lab.Fit(Lab.Classifier(x => x.Dense(32).Relu().Dense(32).Relu().Dense(10)), data, new Sgd(rate), 300, 64, seed).On(data, "train");
        }))).ToArray();
        var chance = Math.Log(10);
        for (var i = 0; i < rates.Length; i++)
        {
            var what = $"gradient descent, rate {Line.Text(rates[i])}: training loss after 300 steps";
            yield return i == 0 ? Line.Between($"{what}: little learned", 0.8 * chance, 1.5 * chance, losses[i])
                : i == rates.Length - 1 ? new Line($"{what}: diverged", $"≥ {Line.Text(0.95 * chance)}", Line.Text(losses[i]), !(losses[i] < 0.95 * chance))
                : Line.Show(what, losses[i]);
        }

        yield return Line.Between("the best of the rates between", 0, chance / 4, losses[1..^1].Min());
    }
}
