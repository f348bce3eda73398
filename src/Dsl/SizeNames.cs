using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>An axis whose size a type gives a name to: <c>T</c> of <c>x: [B, T]</c>.</summary>
/// <param name="Symbol">The name.</param>
/// <param name="Size">What it is here.</param>
internal sealed record NamedSize(Symbol Symbol, Dim Size);

/// <summary>The names that the types of one body give to axes of its tensors, followed through what is computed from them.</summary>
internal sealed class SizeNames
{
    /// <summary>Null where an axis is known to have no name.</summary>
    private readonly Dictionary<(Expr Tensor, int Axis), NamedSize?> names = [];

    /// <summary>Whether too few axes have names for two of them to meet.</summary>
    public bool IsTrivial { get; private set; } = true;

    private readonly HashSet<(Symbol, Symbol)> compared = [];
    private Symbol? first;

    /// <summary>Names an axis, unless it has a name already.</summary>
    public void Declare(Expr tensor, int axis, Symbol symbol)
    {
        if (names.GetValueOrDefault((tensor, axis)) is null)
            names[(tensor, axis)] = new NamedSize(symbol, tensor.Shape[axis]);
        first ??= symbol;
        IsTrivial &= first == symbol;
    }

    /// <summary>Names axes as those of another tensor: what a loop gives its body, and what the body gives the loop.</summary>
    /// <param name="axes">The axis of the other tensor for each axis, or −1.</param>
    public void Follow(Expr tensor, Expr source, IEnumerable<int> axes)
    {
        foreach (var (axis, from) in axes.Index())
        {
            if (from >= 0 && Find(source, from) is { } named)
                Declare(tensor, axis, named.Symbol);
        }
    }

    /// <summary>Notes that the body compares two names.</summary>
    public void Compare(Symbol a, Symbol b) => compared.Add((a, b));

    public bool AreCompared(Symbol a, Symbol b) => compared.Contains((a, b)) || compared.Contains((b, a));

    /// <summary>The name of the size that an axis has: its own, or that of the axis it came from.</summary>
    public NamedSize? Find(Expr tensor, int axis)
    {
        var path = new List<(Expr, int)>();
        NamedSize? found;
        while (!names.TryGetValue((tensor, axis), out found))
        {
            path.Add((tensor, axis));
            // A number may have become another size by a reshape: heads · 1 of heads.
            var isLost = !AxisOrigin.IsExact(tensor.Op) || (tensor.Op is Reshape && tensor.Shape[axis].IsKnown);
            if (isLost || AxisOrigin.Previous(tensor, axis) is not ({ } before, var at))
                break;
            (tensor, axis) = (before, at);
        }

        // Each axis is looked at once, however deep the graph.
        foreach (var step in path)
            names[step] = found;
        return found;
    }
}
