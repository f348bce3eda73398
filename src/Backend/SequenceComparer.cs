namespace Dnn.Backend;

/// <summary>Arrays are equal where their elements are.</summary>
internal sealed class SequenceComparer<T> : IEqualityComparer<T[]>
    where T : IEquatable<T>
{
    public static readonly SequenceComparer<T> Instance = new();

    public bool Equals(T[]? x, T[]? y) => x.AsSpan().SequenceEqual(y);

    public int GetHashCode(T[] items)
    {
        var hash = new HashCode();
        foreach (var item in items)
            hash.Add(item);
        return hash.ToHashCode();
    }
}
