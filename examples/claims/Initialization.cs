using System.Collections.Immutable;
using Dnn.Backend;
using Dnn.Graph;

namespace Dnn.Claims;

/// <summary>What a network does before its first step.</summary>
internal static class Initialization
{
    public static ImmutableArray<Claim> Claims { get; } =
    [
        new("variance", "Over 50 ReLU layers, He initialization keeps the second moment, Xavier halves it a layer, N(0, 1) multiplies it by half the width.", "He et al. 2015", Variance),
    ];

    private static IEnumerable<Line> Variance(Effort effort)
    {
        var width = effort == Effort.Full ? 512 : 128;
        const int depth = 50;
        foreach (var (name, init, factor) in new[]
        {
            ("He", Initializers.HeNormal, 1.0),
            ("Xavier", Initializers.XavierNormal, 0.5),
            ("N(0, 1)", Initializers.Normal(1), width / 2.0),
        })
        {
            var model = Model.Build("Deep", m =>
            {
                var h = m.Input("x", "B", width);
                for (var i = 0; i < depth; i++)
                {
                    h = h.Dense(width, bias: false, init: init).Relu();
                    m.Output($"h{i + 1}", h);
                }
            });

            // In doubles, for N(0, 1) leaves what a float can hold.
            var x = Lab.Normal("x", 5, 64, width);
            var y = new Predictor(model, Lab.Start(model, 3), Lab.Double).Predict(("x", x));
            double Moment(int layer) => y[$"h{layer}"].ToArray<double>().Average(v => v * v);
            // The first layer alone sees inputs of both signs; from then on the factor is that of a layer.
            var measured = Math.Pow(Moment(depth) / Moment(1), 1.0 / (depth - 1));
            yield return new Line($"{name}: factor on the second moment a layer, over {depth} layers", Line.Text(factor), Line.Text(measured), Math.Abs(measured / factor - 1) < 0.1);
            yield return Line.Show($"{name}: mean square after layer {depth}", Moment(depth));
        }
    }
}
