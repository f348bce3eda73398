using System.Collections.Immutable;
using Dnn.Backend;
using Dnn.Dsl;
using Dnn.Graph;

namespace Dnn.Claims;

/// <summary>The failure that each rule of the linter predicts, measured on a net that it finds something in and on the repaired one.</summary>
internal static class LintFailures
{
    public static ImmutableArray<Claim> Claims { get; } =
    [
        new("lint-rules", "What each of the other rules warns of does happen, in the size that its number says, and does not in the repaired net.", "the rules' own papers, see docs/lint.md", Rules),
    ];

    private static IEnumerable<Line> Rules(Effort effort)
    {
        var steps = effort == Effort.Full ? 600 : 200;
        foreach (var seed in Lab.Seeds(effort))
        {
            foreach (var line in (IEnumerable<Line>[])[Series(seed, steps), Residuals(seed), Dropouts(seed), Initializers(seed), Infinite(seed, steps), Unused(seed, steps), Alone(seed), Losses(seed, steps), Positions(seed, steps), Decay(seed)])
                foreach (var each in line)
                    yield return each;
        }
    }

    /// <summary>A model of source; the rule finds something in the one, and nothing in the other.</summary>
    private static IEnumerable<Line> Found(string code, int seed, CompileResult bad, CompileResult good)
    {
        yield return Line.Between($"{code} (seed {seed}): findings", 1, double.PositiveInfinity, Count(bad));
        yield return Line.Equal("… on the repaired net", 0, Count(good));
        int Count(CompileResult result) => Linter.Check(result).Count(d => d.Code == code);
    }

    private static CompileResult Source(string body, string more = "")
    {
        var result = Compiler.Compile(new SourceText($"model M {{\n{body}\n}}\n{more}"));
        return !result.HasErrors ? result : throw new InvalidOperationException(new DiagnosticFormatter().Format(result.Diagnostics));
    }

    private static double Number(string code, CompileResult result) => Linter.Run(result.Model!).First(f => f.Code == code).Number;

    private static double MeanSquare(Tensor tensor) => Lab.Numbers(tensor).Average(v => v * v);

    private static double Variance(Tensor tensor) => MeanSquare(tensor) - Math.Pow(Lab.Numbers(tensor).Average(), 2);

    /// <summary>Points of the plane and whether their coordinates have one sign.</summary>
    private static DataSet Quadrants(int seed)
    {
        var x = Lab.Normal("x", seed, 400, 2);
        var values = Lab.Numbers(x);
        return Lab.Data(("x", x), ("y", Tensor.Create([.. Enumerable.Range(0, 400).Select(i => values[2 * i] * values[(2 * i) + 1] > 0 ? 1.0 : 0)], 400, 1)));
    }

    private static IEnumerable<Line> Series(int seed, int steps)
    {
        CompileResult Net(string between) => Source($"  input x: [B, 2]\n  target y: [B, 1]\n  let z = x |> dense(32) {between} |> dense(1)\n  output p = z\n  loss bce_with_logits(z, y)\n  metric accuracy = accuracy(z, y)");
        var (bad, good) = (Net(""), Net("|> relu"));
        foreach (var line in Found("DNN1001", seed, bad, good))
            yield return line;
        var data = Quadrants(seed);
        double Accuracy(CompileResult net) => Lab.Fit(net.Model!, data, new Adam(0.01), steps, 100, seed).On(data, "train", "accuracy");
        yield return Line.Between("… two maps are one line, which gets a half of the quadrants right: accuracy", 0.4, 0.65, Accuracy(bad));
        yield return Line.Between("… repaired", 0.9, 1, Accuracy(good));
    }

    private static IEnumerable<Line> Residuals(int seed)
    {
        const int blocks = 12;
        CompileResult Net(string branch) => Source($"  input x: [B, 64]\n  output y = x |> for i in 0..{blocks} {{ residual({branch}) }}");
        var (bare, normed, zero) = (Net("dense(64) |> relu |> dense(64)"), Net("layer_norm() |> dense(64) |> relu |> dense(64)"), Net("layer_norm() |> dense(64) |> relu |> dense(64, init = zeros())"));
        double Growth(CompileResult net) => MeanSquare(Lab.Predict(net.Model!, Lab.Start(net.Model!, seed), ("x", Lab.Normal("x", seed, 64, 64)))["y"]);
        foreach (var line in Found("DNN1003", seed, bare, normed))
            yield return line;
        var predicted = Math.Pow(Number("DNN1003", bare), blocks);
        yield return Line.Between($"… growth over {blocks} blocks without a norm, the prediction to the power of {blocks} within a factor 4", predicted / 4, predicted * 4, Growth(bare));
        foreach (var line in Found("DNN1004", seed, normed, zero))
            yield return line;
        predicted = Number("DNN1004", normed);
        yield return Line.Between("… with a norm, the prediction within a factor 2", predicted / 2, predicted * 2, Growth(normed));
        yield return Line.Between("… that start at zero: no growth", 0.9, 1.1, Growth(zero));
    }

    private static IEnumerable<Line> Dropouts(int seed)
    {
        CompileResult Net(string order) => Source($"  input x: [B, 64]\n  output y = x |> dense(64) |> relu |> {order} |> dense(1)");
        foreach (var line in Found("DNN1007", seed, Net("dropout(0.5) |> batch_norm()"), Net("batch_norm() |> dropout(0.5)")))
            yield return line;
        var before = Source("  input x: [B, 64]\n  output h = x |> dense(64) |> relu |> dropout(0.5)").Model!;
        var (start, x) = (Lab.Start(before, seed), Lab.Normal("x", seed, 400, 64));
        var predicted = Number("DNN1007", Net("dropout(0.5) |> batch_norm()"));
        yield return Line.Equal("… variance that the norm learns over that which it meets, within 10 %", predicted, Variance(Lab.Train(before, start, ("x", x))["h"]) / Variance(Lab.Predict(before, start, ("x", x))["h"]), 0.1);
    }

    private static IEnumerable<Line> Initializers(int seed)
    {
        CompileResult Net(string init) => Source($"  input x: [B, 64]\n  output y = x |> dense(64, init = {init}) |> relu");
        var (bad, good) = (Net("normal(1)"), Net("he_normal()"));
        foreach (var line in Found("DNN1008", seed, bad, good))
            yield return line;
        double Growth(CompileResult net) => MeanSquare(Lab.Predict(net.Model!, Lab.Start(net.Model!, seed), ("x", Lab.Normal("x", seed, 400, 64)))["y"]);
        yield return Line.Equal("… factor on the mean square, within 15 %", Number("DNN1008", bad), Growth(bad), 0.15);
        yield return Line.Equal("… repaired: 1, within 15 %", 1, Growth(good), 0.15);
    }

    private static IEnumerable<Line> Infinite(int seed, int steps)
    {
        CompileResult Net(string size) => Source($"  input x: [B, 2]\n  target y: [B, 1]\n  let h = x |> dense(8) |> relu |> dense(1)\n  output p = h\n  loss mean({size})");
        var (bad, good) = (Net("where(h > 0, sqrt(h), 0 * h) * y"), Net("where(h > 0, sqrt(where(h > 0, h, 1)), 0 * h) * y"));
        foreach (var line in Found("DNN1010", seed, bad, good))
            yield return line;
        double Finite(CompileResult net) => Lab.Fit(net.Model!, Quadrants(seed), new Sgd(0.01), Math.Min(steps, 50), 100, seed).Finite ? 1 : 0;
        yield return Line.Equal("… the loss is finite, and the run is not: finite runs", 0, Finite(bad));
        yield return Line.Equal("… repaired", 1, Finite(good));
    }

    private static IEnumerable<Line> Unused(int seed, int steps)
    {
        CompileResult Net(string use) => Source($"  input x: [B, 2]\n  target y: [B, 1]\n  let h = x |> dense(16) |> relu\n  let z = {use} |> dense(1)\n  output p = z\n  loss bce_with_logits(z, y)");
        var (bad, good) = (Net("x"), Net("h"));
        foreach (var line in Found("DNN1011", seed, bad, good))
            yield return line;
        double Moved(CompileResult net) => Lab.Largest(Lab.Fit(net.Model!, Quadrants(seed), new Adam(0.01), Math.Min(steps, 50), 100, seed).Weights["dense_0.weight"], Initialization(net.Model!, seed)["dense_0.weight"]);
        yield return Line.Equal($"… of {Number("DNN1011", bad)} numbers, the largest change in training", 0, Moved(bad));
        yield return Line.Between("… repaired", 0.01, double.PositiveInfinity, Moved(good));
    }

    private static IEnumerable<Line> Alone(int seed)
    {
        CompileResult Net(string norm) => Source($"  input x: [1, 8]\n  output y = x |> dense(4, bias = false) |> {norm} |> relu |> dense(1)");
        var (bad, good) = (Net("batch_norm()"), Net("layer_norm()"));
        foreach (var line in Found("DNN1012", seed, bad, good))
            yield return line;
        double Differs(CompileResult net)
        {
            var start = Lab.Start(net.Model!, seed);
            return Lab.Largest(Lab.Train(net.Model!, start, ("x", Lab.Normal("a", seed, 1, 8)))["y"], Lab.Train(net.Model!, start, ("x", Lab.Normal("b", seed, 1, 8)))["y"]);
        }

        yield return Line.Equal("… with a batch of one, what two inputs make differs by", 0, Differs(bad));
        yield return Line.Between("… repaired", 1e-3, double.PositiveInfinity, Differs(good));
    }

    private static IEnumerable<Line> Losses(int seed, int steps)
    {
        const string net = "  input x: [B, 64]\n  target y: int[B]\n  let h = x |> dense(32) |> relu\n";
        var bad = Source(net + "  let z = squeeze(h |> dense(1), -1)\n  output p = z\n  loss mse(z, y)\n  metric accuracy = mean(round(z) == y)");
        var good = Source(net + "  let z = h |> dense(10)\n  output p = z\n  loss cross_entropy(z, y)\n  metric accuracy = accuracy(z, y)");
        foreach (var line in Found("DNN1013", seed, bad, good))
            yield return line;
        var data = Lab.Digits(800, 400, seed);
        double Accuracy(CompileResult model) => Lab.Fit(model.Model!, data, new Adam(0.003), steps, 64, seed).On(data, "test", "accuracy");
        var (numbers, classes) = (Accuracy(bad), Accuracy(good));
        yield return Line.Between("… accuracy on test by classes", 0.85, 1, classes);
        yield return Line.Between("… by numbers, trained as long: at least a tenth less", 0, classes - 0.1, numbers);
    }

    /// <summary>Whether the first of five numbers is larger than the last.</summary>
    private static IEnumerable<Line> Positions(int seed, int steps)
    {
        CompileResult Net(string positions) => Source($"  input x: [B, 5, 1]\n  target y: [B, 1]\n  let h = x |> dense(16) {positions} |> attention(2)\n  let z = mean(tanh(h), axis = 1) |> dense(16) |> relu |> dense(1)\n  output p = z\n  loss bce_with_logits(z, y)\n  metric accuracy = accuracy(z, y)");
        var (bad, good) = (Net(""), Net("|> positional_embedding(5, init = normal(1))"));
        foreach (var line in Found("DNN1014", seed, bad, good))
            yield return line;
        var x = Lab.Normal("x", seed, 600, 5, 1);
        var values = Lab.Numbers(x);
        var data = Lab.Data(("x", x), ("y", Tensor.Create([.. Enumerable.Range(0, 600).Select(i => values[5 * i] > values[(5 * i) + 4] ? 1.0 : 0)], 600, 1)));
        double Difference(CompileResult net)
        {
            var start = Lab.Start(net.Model!, seed);
            var turned = Tensor.Create([.. Enumerable.Range(0, values.Length).Select(i => values[(i / 5 * 5) + 4 - (i % 5)])], 600, 5, 1);
            return Lab.Largest(Lab.Predict(net.Model!, start, ("x", x))["p"], Lab.Predict(net.Model!, start, ("x", turned))["p"]);
        }

        yield return Line.Between("… a sequence and its reverse differ by", 0, 1e-12, Difference(bad));
        yield return Line.Between("… repaired", 1e-3, double.PositiveInfinity, Difference(good));
        double Accuracy(CompileResult net) => Lab.Fit(net.Model!, data, new Adam(0.01), 2 * steps, 100, seed).On(data, "train", "accuracy");
        yield return Line.Between("… which of two comes first, as far as five numbers can be told apart: accuracy by heart", 0.4, 0.8, Accuracy(bad));
        yield return Line.Between("… repaired", 0.9, 1, Accuracy(good));
    }

    private static IEnumerable<Line> Decay(int seed)
    {
        const int steps = 100;
        const double rate = 0.01, decay = 0.5;
        var model = Source("  input x: [B, 4]\n  target y: [B, 2]\n  let h = x |> layer_norm()\n  output p = h\n  loss mse(h[:, :2], y)").Model!;
        var data = Lab.Data(("x", Lab.Normal("x", seed, 200, 4)), ("y", Lab.Normal("y", seed, 200, 2)));
        TrainingRecipe Recipe(bool all) => new() { Optimizer = new AdamW(rate, Decay: decay), Batch = 50, Epochs = steps, Steps = steps, Seed = seed, DecayAll = all };
        double Count(bool all) => Linter.Run(model, new LintOptions { Recipe = Recipe(all) }).Count(f => f.Code == "DNN1015");
        double Scale(bool all) => Lab.Numbers(Trainer.Fit(model, Recipe(all), data, Lab.Single).Weights["layer_norm_0.weight"])[3];
        yield return Line.Between($"DNN1015 (seed {seed}): findings", 1, double.PositiveInfinity, Count(true));
        yield return Line.Equal("… where decay reaches matrices alone", 0, Count(false));
        yield return Line.Equal($"… what {steps} steps leave of the scale of a norm that no gradient reaches, (1 − lr · λ)^{steps}", Math.Pow(1 - (rate * decay), steps), Scale(true), 1e-4);
        yield return Line.Equal("… repaired", 1, Scale(false));
    }

    private static Weights Initialization(Model model, int seed) => Dnn.Backend.Initialization.Sample(model, seed);
}
