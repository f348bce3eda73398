using Dnn.Backend;
using Dnn.Graph;

namespace Dnn.Claims;

/// <summary>What experiments share: numbers, data, a training run and what is measured of it. One thread: the networks are small.</summary>
internal static class Lab
{
    private static readonly Lazy<DataSet> AllDigits = new(() => new DataReader(Folder()).Read(new DataDescription("digits", new CsvSource("digits.csv") { Label = "digit" })));

    public static PlanOptions Single { get; } = new() { Threads = 1 };

    public static PlanOptions Double { get; } = new() { Float = DType.F64, Threads = 1 };

    /// <summary>Standard normal numbers, the same for the same name and seed.</summary>
    public static Tensor Normal(string name, long seed, params int[] shape) => Draw(Initializers.Normal(1), name, seed, shape);

    /// <summary>Numbers between two bounds.</summary>
    public static Tensor Uniform(string name, long seed, double low, double high, params int[] shape) => Draw(Initializers.Uniform(low, high), name, seed, shape);

    /// <summary>Classes at random.</summary>
    public static Tensor Classes(string name, long seed, int classes, params int[] shape) =>
        Tensor.Create([.. Uniform(name, seed, 0, classes, shape).ToArray<double>().Select(v => Math.Min((long)v, classes - 1))], shape);

    /// <summary>The 8×8 digits in 0 … 1: the first rows of a random order to train on, the next to test.</summary>
    public static DataSet Digits(int train, int test, long seed)
    {
        var all = AllDigits.Value[DataDescription.Train];
        var order = Uniform("order", seed, 0, 1, all.Rows).ToArray<double>().Select((v, i) => (v, i)).Order().Select(p => p.i).ToArray();
        DataSplit Part(string name, int[] rows)
        {
            var part = all.Take(name, rows);
            return new DataSplit(name, ("x", Tensor.Create([.. Numbers(part["features"]).Select(v => v / 16)], rows.Length, 64)), ("y", part["label"]));
        }

        return DataSet.Of(Part("train", order[..train]), Part("test", order[train..(train + test)]));
    }

    /// <summary>A data set of one part.</summary>
    public static DataSet Data(params (string Name, Tensor Values)[] columns) => DataSet.Of(new DataSplit("train", columns));

    /// <summary>A classifier of the digits: logits from pixels, cross entropy, accuracy.</summary>
    public static Model Classifier(Func<Expr, Expr> logits) => Model.Build("Classifier", m =>
    {
        var label = m.Target("y", DType.I64, "B");
        var answer = logits(m.Input("x", "B", 64));
        m.Output("logits", answer);
        m.Loss(Losses.CrossEntropy(answer, label));
        m.Metric("accuracy", Metrics.Accuracy(answer, label));
    });

    /// <summary>Trains for a number of steps on the part <c>train</c>; a run that leaves the finite numbers ends there.</summary>
    public static Fitted Fit(Model model, DataSet data, Optimizer optimizer, int steps, int batch, long seed = 0, double? clip = null, Weights? initial = null)
    {
        var recipe = new TrainingRecipe { Optimizer = optimizer, Batch = batch, Epochs = steps, Steps = steps, Seed = seed, ClipNorm = clip };
        var trainer = new Trainer(model, recipe, DataSet.Of(data["train"]), Single, initial);
        try
        {
            var losses = trainer.Run().Select(r => r.Loss).ToArray();
            return new Fitted(model, trainer.Weights, losses, losses.All(double.IsFinite));
        }
        catch (NonFiniteException)
        {
            return new Fitted(model, trainer.Weights, [], false);
        }
    }

    /// <summary>The losses of a model on rows that are given, and its gradients by path, in the training phase.</summary>
    public static IReadOnlyDictionary<string, Tensor> Gradients(Model model, Weights weights, params (string, Tensor)[] inputs) =>
        new Predictor(model, weights, TrainingStep.Gradients(model, training: true), Double).Predict(inputs);

    /// <summary>The outputs in the training phase, where batch norm takes the statistics of the batch.</summary>
    public static IReadOnlyDictionary<string, Tensor> Train(Model model, Weights weights, params (string, Tensor)[] inputs) =>
        new Predictor(model, weights, TrainingStep.Prediction(model, training: true), Double).Predict(inputs);

    /// <summary>The outputs in evaluation.</summary>
    public static IReadOnlyDictionary<string, Tensor> Predict(Model model, Weights weights, params (string, Tensor)[] inputs) => new Predictor(model, weights, Double).Predict(inputs);

    public static Weights Start(Model model, long seed) => Dnn.Backend.Initialization.Sample(model, seed, DType.F64);

    public static double[] Numbers(Tensor tensor) => tensor.Cast(DType.F64).ToArray<double>();

    public static double Norm(Tensor tensor) => Math.Sqrt(Numbers(tensor).Sum(v => v * v));

    public static double Largest(Tensor a, Tensor b) => Numbers(a).Zip(Numbers(b), (x, y) => Math.Abs(x - y)).Max();

    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    /// <summary>The seeds of an experiment: a claim about training is one about several runs.</summary>
    public static IEnumerable<int> Seeds(Effort effort, int full = 3) => Enumerable.Range(1, effort == Effort.Full ? full : 1);

    private static Tensor Draw(Initializer initializer, string name, long seed, int[] shape) =>
        Dnn.Backend.Initialization.Sample(initializer, new TensorType(DType.Float, new Shape([.. shape.Select(n => Dim.Of(n))])), name, seed, DType.F64);

    // The data lies beside the .dnn examples.
    private static string Folder()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Dsl.sln")))
            folder = folder.Parent;
        return Path.Combine(folder?.FullName ?? ".", "examples", "data");
    }
}

/// <summary>A trained model.</summary>
/// <param name="Model">The model.</param>
/// <param name="Weights">After the last step.</param>
/// <param name="Losses">The average of each epoch.</param>
/// <param name="Finite">Whether all losses and gradients were finite.</param>
internal sealed record Fitted(Model Model, Weights Weights, double[] Losses, bool Finite)
{
    /// <summary>The loss, or a metric, of a part of some data, in evaluation; infinite where training was not finite.</summary>
    public double On(DataSet data, string part, string what = "loss") =>
        !Finite ? double.PositiveInfinity : Trainer.Evaluate(Model, Weights, data, part, Lab.Single).Single(v => v.Key == what).Value;
}
