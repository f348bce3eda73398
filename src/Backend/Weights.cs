using System.Collections;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>
/// An immutable map from parameter path (<c>blocks[3].attn.wq.weight</c>) to tensor, with metadata as text. It is ordered by path, runs of
/// digits by their value (<c>blocks[2]</c> before <c>blocks[10]</c>), so that equal maps print, save and iterate alike.
/// </summary>
public sealed class Weights : IReadOnlyCollection<KeyValuePair<string, Tensor>>
{
    private readonly ImmutableSortedDictionary<string, Tensor> _tensors;

    private Weights(ImmutableSortedDictionary<string, Tensor> tensors, ImmutableSortedDictionary<string, string> metadata)
    {
        _tensors = tensors;
        Metadata = metadata;
    }

    public static Weights Empty { get; } = new(
        ImmutableSortedDictionary.Create<string, Tensor>(PathOrder.Instance), ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal));

    /// <summary>What is said about the weights, as text by key: hyperparameters, the run that they are from.</summary>
    public ImmutableSortedDictionary<string, string> Metadata { get; }

    public int Count => _tensors.Count;

    public IEnumerable<string> Paths => _tensors.Keys;

    /// <summary>The number of elements of all tensors.</summary>
    public long ElementCount => _tensors.Values.Sum(static t => t.Length);

    /// <exception cref="KeyNotFoundException">Nothing has the path; the message proposes the nearest.</exception>
    public Tensor this[string path] => _tensors.TryGetValue(path, out Tensor? tensor)
        ? tensor
        : throw new KeyNotFoundException($"no weights have the path '{path}'. {Suggestion.Sentence(path, [.. Paths])}");

    /// <exception cref="ArgumentException">A path, or a key of the metadata, occurs twice.</exception>
    public static Weights From(IEnumerable<KeyValuePair<string, Tensor>> tensors, IEnumerable<KeyValuePair<string, string>>? metadata = null)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        ImmutableSortedDictionary<string, Tensor>.Builder map = Empty._tensors.ToBuilder();
        foreach ((string path, Tensor tensor) in tensors)
        {
            // The builder's own Add takes a pair that is there already.
            if (!map.TryAdd(path, tensor))
            {
                throw new ArgumentException($"two tensors have the path '{path}'", nameof(tensors));
            }
        }

        ImmutableSortedDictionary<string, string>.Builder texts = Empty.Metadata.ToBuilder();
        foreach ((string key, string text) in metadata ?? [])
        {
            if (!texts.TryAdd(key, text))
            {
                throw new ArgumentException($"the metadata has '{key}' twice", nameof(metadata));
            }
        }

        return new Weights(map.ToImmutable(), texts.ToImmutable());
    }

    /// <summary>Reads a safetensors file.</summary>
    /// <exception cref="DataFormatException">The file is missing or damaged.</exception>
    public static Weights Load(string path) => Safetensors.Read(path);

    /// <summary>Writes a safetensors file; an existing one is replaced at once when all is on the disk.</summary>
    /// <exception cref="DataFormatException">The file cannot be written.</exception>
    public void Save(string path) => Safetensors.Write(path, this);

    /// <summary>The map with the tensor at the path, in place of the one there if there is one.</summary>
    public Weights With(string path, Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return new Weights(_tensors.SetItem(path, tensor), Metadata);
    }

    /// <summary>The map with all that the other has, which wins where both have a path or a key.</summary>
    public Weights With(Weights other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return new Weights(_tensors.SetItems(other._tensors), Metadata.SetItems(other.Metadata));
    }

    public Weights WithMetadata(string key, string value) => new(_tensors, Metadata.SetItem(key, value));

    /// <summary>The map without the path; the map itself where nothing has it.</summary>
    public Weights Without(string path) => new(_tensors.Remove(path), Metadata);

    public bool TryGet(string path, [MaybeNullWhen(false)] out Tensor tensor) => _tensors.TryGetValue(path, out tensor);

    public bool Contains(string path) => _tensors.ContainsKey(path);

    /// <summary>Whether both have the same paths, and tensors that agree to the bit; metadata aside.</summary>
    public bool BitEquals(Weights? other) => other is not null && Count == other.Count
        && _tensors.Zip(other._tensors).All(static p => p.First.Key == p.Second.Key && p.First.Value.BitEquals(p.Second.Value));

    /// <summary>
    /// What keeps these weights from filling the expected slots, in the order of the expected ones, then what is left over. The open float
    /// type is met by f32 and f64, and either by the other, since loading converts; nothing else is converted.
    /// </summary>
    public ImmutableArray<WeightsDifference> CompareTo(IEnumerable<(string Path, DType DType, ImmutableArray<int> Shape)> expected)
    {
        ArgumentNullException.ThrowIfNull(expected);
        (string Path, DType DType, ImmutableArray<int> Shape)[] slots = [.. expected];
        var wanted = slots.Select(static s => s.Path).ToHashSet(StringComparer.Ordinal);
        string[] unexpected = [.. Paths.Where(p => !wanted.Contains(p))];
        var differences = ImmutableArray.CreateBuilder<WeightsDifference>();
        int searches = 0;
        foreach ((string path, DType type, ImmutableArray<int> shape) in slots)
        {
            string slot = $"{type.Text()}[{string.Join(", ", shape)}]";
            if (!TryGet(path, out Tensor? tensor))
            {
                // The search for similar names is quadratic in the worst case: a file of another model has nothing to find.
                string? near = searches++ < 20 ? Suggestion.Closest(path, unexpected) : null;
                differences.Add(new(DifferenceKind.Missing, path, $"'{path}' ({slot}) is missing{(near is null ? "" : $"; did you mean '{near}'?")}"));
            }
            else if (!tensor.Shape.AsSpan().SequenceEqual(shape.AsSpan()))
            {
                differences.Add(new(DifferenceKind.Shape, path, $"'{path}' is {tensor.TypeText} where {slot} is expected"));
            }
            else if (tensor.DType != type && !(tensor.DType.IsFloat() && type.IsFloat()))
            {
                differences.Add(new(DifferenceKind.Type, path, $"'{path}' is {tensor.TypeText} where {slot} is expected"));
            }
        }

        foreach (string path in unexpected)
        {
            differences.Add(new(DifferenceKind.Unexpected, path, $"'{path}' ({this[path].TypeText}) is not expected"));
        }

        return differences.ToImmutable();
    }

    /// <summary>In the order of the paths.</summary>
    public IEnumerator<KeyValuePair<string, Tensor>> GetEnumerator() => _tensors.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>One line a tensor: path, type and shape.</summary>
    public override string ToString() => string.Join("\n", _tensors.Select(static t => $"{t.Key}: {t.Value.TypeText}"));

    // Ordinal, but runs of digits by value; texts that differ in leading zeros alone are ordered as texts, so that only equal ones tie.
    private sealed class PathOrder : IComparer<string>
    {
        public static readonly PathOrder Instance = new();

        public int Compare(string? x, string? y)
        {
            if (x is null || y is null)
            {
                return string.CompareOrdinal(x, y);
            }

            int i = 0, j = 0;
            while (i < x.Length && j < y.Length)
            {
                if (!char.IsAsciiDigit(x[i]) || !char.IsAsciiDigit(y[j]))
                {
                    if (x[i] != y[j])
                    {
                        return x[i].CompareTo(y[j]);
                    }

                    i++;
                    j++;
                    continue;
                }

                ReadOnlySpan<char> a = Digits(x, ref i), b = Digits(y, ref j);
                int order = a.Length != b.Length ? a.Length.CompareTo(b.Length) : a.SequenceCompareTo(b);
                if (order != 0)
                {
                    return order;
                }
            }

            int rest = (x.Length - i).CompareTo(y.Length - j);
            return rest != 0 ? rest : string.CompareOrdinal(x, y);
        }

        private static ReadOnlySpan<char> Digits(string text, ref int at)
        {
            int start = at;
            while (at < text.Length && char.IsAsciiDigit(text[at]))
            {
                at++;
            }

            return text.AsSpan(start, at - start).TrimStart('0');
        }
    }
}

/// <summary>How weights and what is expected differ at one path.</summary>
public enum DifferenceKind
{
    Missing,
    Unexpected,
    Shape,
    Type,
}

/// <summary>One difference, told in a sentence.</summary>
public sealed record WeightsDifference(DifferenceKind Kind, string Path, string Message)
{
    public override string ToString() => Message;
}
