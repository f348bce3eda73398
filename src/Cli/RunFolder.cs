using System.Text;
using System.Text.Json;
using Dnn.Backend;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>The files of a training run. Every one is replaced at once, so that whatever happens, what is there is whole.</summary>
/// <param name="path">The folder.</param>
/// <param name="bySteps">Whether curves are drawn over steps, rather than epochs.</param>
internal sealed class RunFolder(string path, bool bySteps = false)
{
    private readonly Dictionary<string, List<(double X, double Y)>> losses = [];

    public string Path => path;

    public string Metrics { get; } = System.IO.Path.Combine(path, "metrics.jsonl");

    public string Best { get; } = System.IO.Path.Combine(path, "best.safetensors");

    public string Curves { get; } = System.IO.Path.Combine(path, "curves.svg");

    public string State { get; } = System.IO.Path.Combine(path, "last", "state.safetensors");

    /// <summary>Weights that are kept while training goes on.</summary>
    public string Checkpoints { get; } = System.IO.Path.Combine(path, "checkpoints");

    public bool HasRun => File.Exists(Metrics) || File.Exists(State);

    /// <summary>Makes the folder.</summary>
    /// <exception cref="DataFormatException">It cannot be written to.</exception>
    public void Create()
    {
        try
        {
            var last = Directory.CreateDirectory(System.IO.Path.GetDirectoryName(State)!);
            foreach (var folder in new[] { path, last.FullName })
            {
                var probe = System.IO.Path.Combine(folder, $".{System.IO.Path.GetRandomFileName()}.tmp");
                File.WriteAllBytes(probe, []);
                File.Delete(probe);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DataFormatException(path, e is UnauthorizedAccessException ? "no permission to write to this folder" : $"this folder cannot be written to: {e.Message.TrimEnd('.')}", "Name another with --out", e);
        }
    }

    /// <summary>Takes away what an earlier run has left.</summary>
    public void Clear()
    {
        foreach (var file in new[] { Metrics, Best, Curves, State })
            File.Delete(file);
        foreach (var file in Kept())
            File.Delete(file);
    }

    /// <summary>Saves weights under a name, and takes away all but the last so many.</summary>
    public void Keep(string name, Weights weights, int? last)
    {
        Directory.CreateDirectory(Checkpoints);
        weights.Save(System.IO.Path.Combine(Checkpoints, name + ".safetensors"));
        foreach (var file in Kept().SkipLast(last ?? int.MaxValue))
            File.Delete(file);
    }

    // Numbers have leading zeros, and longer ones come later.
    private IEnumerable<string> Kept() => Directory.Exists(Checkpoints)
        ? Directory.GetFiles(Checkpoints, "*.safetensors").OrderBy(f => f.Length).ThenBy(f => f, StringComparer.Ordinal)
        : [];

    /// <summary>Keeps the first lines of the metrics.</summary>
    /// <exception cref="DataFormatException">They are no metrics.</exception>
    public void Truncate(int lines)
    {
        string[] kept = File.Exists(Metrics) ? [.. File.ReadLines(Metrics).Take(lines)] : [];
        losses.Clear();
        for (var i = 0; i < kept.Length; i++)
        {
            try
            {
                using var json = JsonDocument.Parse(kept[i]);
                var record = json.RootElement;
                var loss = record.GetProperty("loss");
                Remember(
                    record.GetProperty("split").GetString()!, record.GetProperty("epoch").GetInt32(), record.GetProperty("step").GetInt64(), record.TryGetProperty(LogRecord.StepKey, out _),
                    loss.ValueKind == JsonValueKind.Number ? loss.GetDouble() : double.NaN);
            }
            catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
            {
                throw new DataFormatException($"{Metrics}:{i + 1}", "this line is no record of a run", "Take it out, or start again without --resume", e);
            }
        }

        Replace(Metrics, string.Concat(kept.Select(l => l + "\n")));
    }

    public void Append(LogRecord record)
    {
        File.AppendAllText(Metrics, record.ToJson() + "\n");
        Remember(record.Split, record.Epoch, record.Step, record.IsStep, record.Loss);
    }

    /// <summary>Draws the losses.</summary>
    public void Draw(string title) => Replace(Curves, Plot.Svg(title, bySteps ? "step" : "epoch", "loss", [.. losses.Select(l => new PlotLine(l.Key, l.Value))]));

    private void Remember(string split, int epoch, long step, bool isStep, double loss)
    {
        // Where steps are drawn, the training part's epochs are in them.
        if (split == DataDescription.Train && isStep != bySteps)
            return;
        if (!losses.TryGetValue(split, out var points))
            losses[split] = points = [];
        points.Add((bySteps ? step : epoch, loss));
    }

    private static void Replace(string file, string text)
    {
        var temporary = file + ".tmp";
        File.WriteAllText(temporary, text, new UTF8Encoding(false));
        File.Move(temporary, file, overwrite: true);
    }
}
