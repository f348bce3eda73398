using Dnn.Graph;

namespace Dnn.Zoo;

/// <summary>The network of <c>textbook.dnn</c> in C#, line by line.</summary>
public static class Textbook
{
    public static Model Build(int hidden = 128, double drop = 0.2) => Model.Build("Textbook", m =>
    {
        var features = m.Input("features", "B", 64);
        var label = m.Target("label", DType.I64, "B");

        var logits = (features / 16).Dense(hidden).Relu().BatchNorm().Dropout(drop).Dense(10);

        m.Output("probabilities", logits.Softmax());
        m.Loss(Losses.CrossEntropy(logits, label));
        m.Metric("accuracy", logits.ArgMax().EqualTo(label).Mean());
    });
}
