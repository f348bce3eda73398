// Handwritten digits from C#: compose, look, train, predict.
// dotnet run -c Release --project examples/csharp [-- EPOCHS]
using Dnn.Backend;
using Dnn.Dsl;
using Dnn.Graph;

var epochs = args.Length > 0 ? int.Parse(args[0], System.Globalization.CultureInfo.InvariantCulture) : 20;

var model = Model.Build("Digits", m =>
{
    var pixels = m.Input("features", "B", 64);
    var digit = m.Target("label", DType.I64, "B");

    var logits = (pixels / 16).Dense(128).Relu().LayerNorm().Dense(10);

    m.Output("probabilities", logits.Softmax());
    m.Loss(Losses.CrossEntropy(logits, digit));
    m.Metric("accuracy", logits.ArgMax().EqualTo(digit).Mean());
});

// A model is text, and so is its gradient.
Console.WriteLine(model.ToSource());
var weight = model.Parameters.Single(p => p.Path == "dense_0.weight");
Console.WriteLine(ModelPrinter.Differentiate(model, model.TotalLoss, [new Named(weight.Path, weight.Variable)]).ToSource());

var csv = new CsvSource("digits.csv") { Label = "digit" };
var parts = new DataDescription("digits", csv) { Split = [SplitPart.OfFraction("train", 0.8), SplitPart.OfFraction("validation", 0.2)] };
var data = new DataReader(DataFolder()).Read(parts);

var recipe = new TrainingRecipe { Optimizer = new AdamW(new CosineSchedule(0.005)), Batch = 64, Epochs = epochs, ClipNorm = 1 };
var result = Trainer.Fit(model, recipe, data);
var last = result.Log.Last(r => r.Split == "validation");
Console.WriteLine($"epoch {last.Epoch}: {string.Join(", ", last.Values.Select(v => $"{v.Key} {v.Value:0.0000}"))}");

var predictor = new Predictor(model, result.Best);
var some = data["validation"].Take("some", [0, 1, 2]);
var probabilities = predictor.Predict(("features", some["features"]))["probabilities"];
for (var row = 0; row < 3; row++)
    Console.WriteLine($"{some["label"][row]} seen as {Enumerable.Range(0, 10).MaxBy(k => probabilities[row, k])}");

// A text and a file of weights are all that another program needs.
var folder = Directory.CreateTempSubdirectory("digits").FullName;
File.WriteAllText(Path.Combine(folder, "digits.dnn"), model.ToSource());
result.Best.Save(Path.Combine(folder, "best.safetensors"));

var loaded = new Predictor(Compiler.Load(Path.Combine(folder, "digits.dnn")), Weights.Load(Path.Combine(folder, "best.safetensors")));
Console.WriteLine($"the same from files: {loaded.Predict(("features", some["features"]))["probabilities"].ToArray<float>().SequenceEqual(probabilities.ToArray<float>())}");
Directory.Delete(folder, recursive: true);

// The data lies beside the .dnn examples.
static string DataFolder()
{
    var folder = new DirectoryInfo(AppContext.BaseDirectory);
    while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Dsl.sln")))
        folder = folder.Parent;
    return Path.Combine(folder?.FullName ?? ".", "examples", "data");
}
