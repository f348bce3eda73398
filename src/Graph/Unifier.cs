namespace Dnn.Graph;

/// <summary>Finds what named dimensions are by matching declared shapes against given ones.</summary>
public static class Unifier
{
    /// <summary>Reads the named sizes of <paramref name="shape"/> off a concrete value, checking those that are known already.</summary>
    /// <exception cref="ShapeException">The value does not fit the shape.</exception>
    public static void Bind(Dictionary<string, long> sizes, Shape shape, ReadOnlySpan<int> dims, string what)
    {
        if (shape.Rank != dims.Length)
            throw new ShapeException($"{what} has the shape {shape}, but its value has {dims.Length} axes: {Text(dims)}", shape);
        for (var i = 0; i < dims.Length; i++)
        {
            var known = shape[i].Substitute(n => sizes.TryGetValue(n, out var size) ? Dim.Of(size) : null);
            if (!known.IsKnown && known.Names.ToArray() is [var name] && known.SolveFor(name, dims[i]) is { IsKnown: true, Value: >= 0 } solution)
                sizes[name] = solution.Value;
            else if (known.IsKnown && known.Value != dims[i])
                throw new ShapeException($"{what} has the shape {shape}{(shape[i].IsKnown ? "" : $", where {shape[i]} = {known}")}, but its value is {Text(dims)}", shape, null, i);
        }
    }

    /// <summary>
    /// Matches a declared shape against an actual one, binding names that are free in <paramref name="bindings"/> (null values) and checking
    /// the others. Returns the axis that does not fit, or −1.
    /// </summary>
    public static int Match(Shape declared, Shape actual, IDictionary<string, Dim?> bindings)
    {
        for (var i = 0; i < declared.Rank; i++)
        {
            var known = declared[i].Substitute(n => bindings.TryGetValue(n, out var size) ? size : null);
            var free = known.Names.Where(n => bindings.TryGetValue(n, out var size) && size is null).ToArray();
            if (free is [var name] && known.SolveFor(name, actual[i]) is { } solution)
                bindings[name] = solution;
            else if (Dim.AreEqual(known, actual[i]) == Answer.Refuted)
                return i;
        }

        return -1;
    }

    private static string Text(ReadOnlySpan<int> dims) => "[" + string.Join(", ", dims.ToArray()) + "]";
}
