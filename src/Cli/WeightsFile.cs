using System.Globalization;
using Dnn.Backend;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>Weights files say which model they are of: name and hyperparameters, checked when they are read.</summary>
internal static class WeightsFile
{
    private const string ModelKey = "model", HyperPrefix = "hyper.";

    /// <summary>The weights with what they are of.</summary>
    public static Weights Label(this Weights weights, ModelFile file) =>
        file.Hypers.Aggregate(weights.WithMetadata(ModelKey, file.Model.Name), (w, h) => w.WithMetadata(HyperPrefix + h.Key, h.Value));

    /// <summary>Reads weights for a model.</summary>
    /// <exception cref="DataFormatException">They are damaged, or those of another model; the message lists what differs.</exception>
    public static Weights Load(string path, ModelFile file)
    {
        var weights = Weights.Load(path);
        if (!weights.Metadata.TryGetValue(ModelKey, out var name) || name == file.Model.Name)
        {
            RequireSame(path, weights, Weights.Empty.Label(file), key => key.StartsWith(HyperPrefix, StringComparison.Ordinal));
            Trainer.RequireWeights(file.Model, weights, path);
            return weights;
        }

        try
        {
            // The name alone does not matter: a gradient takes the weights of its model.
            Trainer.RequireWeights(file.Model, weights, path);
            return weights;
        }
        catch (DataFormatException e)
        {
            throw new DataFormatException(path, $"this was saved from {name}, and the model is {file.Model.Name}; {e.Reason}", e.Fix, e);
        }
    }

    /// <summary>Holds what a file says of itself against what it should say; what only one of them says does not matter.</summary>
    public static void RequireSame(string path, Weights actual, Weights expected, Func<string, bool> matters)
    {
        var differences = expected.Metadata.Where(m => matters(m.Key) && actual.Metadata.TryGetValue(m.Key, out var other) && !IsSame(other, m.Value))
            .Select(m => (m.Key, There: actual.Metadata[m.Key], Here: m.Value)).ToArray();
        if (differences.Length == 0)
            return;
        var hypers = differences.Where(d => d.Key.StartsWith(HyperPrefix, StringComparison.Ordinal)).Select(d => $"--set {d.Key[HyperPrefix.Length..]}={d.There}").ToArray();
        throw new DataFormatException(
            path,
            "this is of another run: " + string.Join("; ", differences.Select(d => $"{d.Key[(d.Key.IndexOf('.', StringComparison.Ordinal) + 1)..]} is {d.There} there and {d.Here} here")),
            hypers.Length == differences.Length ? $"Use `{string.Join(" ", hypers)}`" : "Use the file that goes with this one");
    }

    /// <summary>Numbers are the same however they are written.</summary>
    private static bool IsSame(string a, string b) => a == b
        || (double.TryParse(a, NumberStyles.Float, CultureInfo.InvariantCulture, out var x) && double.TryParse(b, NumberStyles.Float, CultureInfo.InvariantCulture, out var y) && x.Equals(y));
}
