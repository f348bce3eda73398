using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>A tensor of a file that was not loaded, and why.</summary>
public sealed record NotLoaded(string Path, string Reason);

/// <summary>What <c>start_from</c> takes from a file: what was loaded, what was not and why.</summary>
/// <param name="File">The file.</param>
/// <param name="Weights">The tensors that were loaded, under the model's paths, in the model's order.</param>
/// <param name="Left">Tensors of the file that were not.</param>
/// <param name="Initial">Parameters and buffers of the model that the file does not have: they start as usual.</param>
public sealed record StartReport(string File, Weights Weights, ImmutableArray<NotLoaded> Left, ImmutableArray<string> Initial)
{
    /// <summary>Reads the file.</summary>
    /// <exception cref="DataFormatException">The file cannot be read, or nothing of it fits; the message says why.</exception>
    public static StartReport Read(StartFrom start, Model model)
    {
        ArgumentNullException.ThrowIfNull(start);
        ArgumentNullException.ThrowIfNull(model);
        var slots = model.Parameters.Select(p => (p.Path, p.Variable)).Concat(model.Buffers.Select(b => (b.Path, b.Variable))).ToDictionary(s => s.Path, s => s.Variable, StringComparer.Ordinal);
        var loaded = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        var left = ImmutableArray.CreateBuilder<NotLoaded>();
        foreach (var (there, tensor) in Weights.Load(start.Path))
        {
            // Statistics of the data and the state of an optimizer are of no use to another run.
            if (there.StartsWith("data.", StringComparison.Ordinal) && !slots.ContainsKey(there))
                continue;
            var rename = start.Renames.FirstOrDefault(r => there.StartsWith(r.There, StringComparison.Ordinal));
            var path = rename is null ? there : rename.Here + there[rename.There.Length..];
            var reason = Reason(path, tensor);
            if (reason is null)
                loaded[path] = tensor;
            else
                left.Add(new NotLoaded(there, path == there ? reason : $"as {path}: {reason}"));
        }

        string? Reason(string path, Tensor tensor)
        {
            if (start.Only.Count > 0 && !PathPattern.MatchesAny(start.Only, path))
                return "not asked for by `only`";
            if (!slots.TryGetValue(path, out var slot))
                return "the model has nothing of this path";
            int[] shape = [.. slot.Shape.Dims.Select(d => (int)d.Value)];
            if (!shape.AsSpan().SequenceEqual(tensor.Shape.AsSpan()))
                return $"it is {tensor.TypeText}, and the model's is {slot.Type}";
            if (slot.DType == DType.Float ? !tensor.DType.IsFloat() : slot.DType != tensor.DType)
                return $"it is {tensor.TypeText}, and the model's is {slot.Type}";
            return loaded.ContainsKey(path) ? "another tensor was loaded there" : null;
        }

        if (loaded.Count == 0)
        {
            throw new DataFormatException(
                start.Path, $"start_from finds nothing in it that fits {model.Name}: {string.Join("; ", left.Take(4).Select(l => $"{l.Path}: {l.Reason}"))}{(left.Count > 4 ? $"; and {left.Count - 4} more" : "")}",
                "Give `only` and `rename` the paths that `dnn summary` shows");
        }

        return new StartReport(start.Path, Weights.From(loaded), left.ToImmutable(), [.. slots.Keys.Where(p => !loaded.ContainsKey(p))]);
    }

    /// <summary>Some lines for a person.</summary>
    public override string ToString()
    {
        var lines = new List<string> { $"{File}: {Weights.Count} of {Weights.Count + Initial.Length} tensors of the model loaded" };
        lines.AddRange(Left.GroupBy(l => l.Reason).Select(g => $"  not loaded: {Some([.. g.Select(l => l.Path)])} ({g.Key})"));
        if (Initial.Length > 0)
            lines.Add($"  initialized as usual: {Some(Initial)}");
        return string.Join('\n', lines);
    }

    private static string Some(IReadOnlyList<string> paths) => string.Join(", ", paths.Take(6)) + (paths.Count > 6 ? $" and {paths.Count - 6} more" : "");
}
