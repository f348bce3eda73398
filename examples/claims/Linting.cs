using System.Collections.Immutable;
using Dnn.Backend;
using Dnn.Dsl;
using Dnn.Graph;

namespace Dnn.Claims;

/// <summary>What the linter says before a run against what the run does.</summary>
internal static class Linting
{
    public static ImmutableArray<Claim> Claims { get; } =
    [
        new("lint", "What trains badly can be told from the graph: each rule predicts a failure that is then measured, and is quiet on the repaired net.", "the rules' own papers, see docs/lint.md", Lint),
    ];

    private static IEnumerable<Line> Lint(Effort effort)
    {
        const int width = 64, depth = 20;
        Model Chain(Func<Expr, Expr> layer) => Lab.Classifier(x =>
        {
            for (var i = 0; i < depth; i++)
                x = layer(x);
            return x.Dense(10);
        });

        var xavier = Chain(x => x.Dense(width, init: Initializers.XavierNormal).Relu());
        var he = Chain(x => x.Dense(width, init: Initializers.HeNormal).Relu());
        var sigmoid = Chain(x => x.Dense(width).Sigmoid());
        var softmax = Lab.Classifier(x => x.Dense(width).Relu().Dense(10).Softmax());
        var logits = Lab.Classifier(x => x.Dense(width).Relu().Dense(10));
        var bias = Lab.Classifier(x => x.Dense(width).BatchNorm().Relu().Dense(10));
        var none = Lab.Classifier(x => x.Dense(width, bias: false).BatchNorm().Relu().Dense(10));
        foreach (var (code, what, bad, good) in new[]
        {
            ("DNN1002", "20 ReLU layers with Xavier's size", xavier, he),
            ("DNN1009", "20 sigmoid layers", sigmoid, he),
            ("DNN1005", "softmax before cross entropy", softmax, logits),
            ("DNN1006", "a bias before batch norm", bias, none),
        })
        {
            yield return Line.Between($"{code}: findings on {what}", 1, double.PositiveInfinity, Linter.Run(bad).Count(f => f.Code == code));
            yield return Line.Equal("… on the repaired net", 0, Linter.Run(good).Count(f => f.Code == code));
        }

        double Number(string code, Model model) => Linter.Run(model).FirstOrDefault(f => f.Code == code)?.Number ?? double.NaN;
        foreach (var seed in Lab.Seeds(effort))
        {
            var data = Lab.Digits(512, 64, seed);
            double Trained(Model model) => Lab.Fit(model, data, new Adam(0.003), effort == Effort.Full ? 1000 : 150, 64, seed).On(data, "train");

            // The rule speaks of N(0, 1) inputs, and so the size of the logits is measured on those.
            var drift = Number("DNN1002", xavier);
            yield return Line.Between($"DNN1002 (seed {seed}): predicted drift; shrinking by √½ a layer, 20 layers are 724 to 1,024", 500, 2000, drift);
            double Size(Model model) => Lab.Norm(Lab.Predict(model, Lab.Start(model, seed), ("x", Lab.Normal("x", seed, 64, 64)))["logits"]);
            yield return Line.Between("… measured: how much smaller than the repaired net's the answers are, the prediction within a factor 4", drift / 4, drift * 4, Size(he) / Size(xavier));

            var least = Math.Log(1 + (9 / Math.E));
            yield return Line.Equal("DNN1005: predicted least loss, log(1 + 9/e)", least, Number("DNN1005", softmax), 1e-3);
            yield return Line.Between("… measured: the loss after training, never below", least, double.PositiveInfinity, Trained(softmax));
            yield return Line.Between("… of the repaired net", 0, least / 2, Trained(logits));

            var gradients = Lab.Gradients(bias, Lab.Start(bias, seed), ("x", data["train"]["x"]), ("y", data["train"]["y"]));
            yield return Line.Between("DNN1006: the gradient of the bias is 0; measured", 0, 1e-12, Lab.Norm(gradients["dense_0.bias"]));
            yield return Line.Between("… that of the norm's shift is not", 1e-4, double.PositiveInfinity, Lab.Norm(gradients["batch_norm_0.bias"]));

            gradients = Lab.Gradients(sigmoid, Lab.Start(sigmoid, seed), ("x", data["train"]["x"]), ("y", data["train"]["y"]));
            yield return Line.Show("DNN1009: predicted gradient factor", Number("DNN1009", sigmoid));
            yield return Line.Between("… measured, first weights against last: below a millionth", 0, 1e-6, Lab.Norm(gradients["dense_0.weight"]) / Lab.Norm(gradients[$"dense_{depth}.weight"]));
        }
    }
}
