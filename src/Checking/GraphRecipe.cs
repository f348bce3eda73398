using System.Collections.Immutable;
using System.Text;
using Dnn.Graph;

namespace Dnn.Checking;

/// <summary>Which operations random graphs have.</summary>
public enum GraphKind
{
    /// <summary>All of them, with f32 rounding, and stop_gradient anywhere.</summary>
    Any,

    /// <summary>Those whose value is a differentiable function near the point: kinks and ties are kept at a distance.</summary>
    Differentiable,

    /// <summary>Those that are smooth, for derivatives of derivatives.</summary>
    Smooth,
}

/// <summary>A graph, the point it is looked at, and the sizes of its named dimensions there.</summary>
/// <param name="PhasedRoots">The roots with phases open.</param>
/// <param name="PhasedLoss">The loss with phases open.</param>
/// <param name="Roots">What nothing else uses: floats, i64 and bool.</param>
/// <param name="Loss">A float scalar that depends on every float root, each element with a weight of its own.</param>
/// <param name="Point">The values of the variables.</param>
/// <param name="Training">How phases were resolved.</param>
public sealed record GraphSample(
    ImmutableArray<Expr> PhasedRoots,
    Expr PhasedLoss,
    ImmutableArray<Expr> Roots,
    Expr Loss,
    ImmutableDictionary<Expr, RefValue<double>> Point,
    ImmutableDictionary<string, long> Sizes,
    bool Training)
{
    /// <summary>The float variables that the loss depends on, in a fixed order.</summary>
    public ImmutableArray<Expr> Inputs => [.. Expr.PostOrder([Loss]).Where(n => n.Op is Variable && n.DType.IsFloat())];
}

/// <summary>
/// A random graph as rows of small whole numbers. Every recipe means a graph: each row is decoded into one operation, with each number
/// reduced to a choice that is legal there, and a row without one adds nothing. So shrinking is shrinking of lists and
/// numbers, and whatever comes out is well typed.
/// </summary>
public sealed class GraphRecipe(GraphKind kind, ImmutableArray<ImmutableArray<int>> rows) : ICounterexample
{
    private readonly Lazy<GraphSample> sample = new(() => new GraphDecoder(kind, rows).Decode());

    public GraphKind Kind { get; } = kind;

    public ImmutableArray<ImmutableArray<int>> Rows { get; } = rows;

    /// <summary>The graph that the recipe means; phases are resolved.</summary>
    public GraphSample Sample => sample.Value;

    /// <summary>Recipes with fewer rows, then with smaller numbers.</summary>
    public IEnumerable<GraphRecipe> Shrink()
    {
        for (var length = Rows.Length; length > 0; length /= 2)
        {
            for (var start = 0; start + length <= Rows.Length; start += length)
                yield return new GraphRecipe(Kind, Rows.RemoveRange(start, length));
        }

        for (var i = 0; i < Rows.Length; i++)
        {
            var row = Rows[i];
            for (var k = 0; k < row.Length; k++)
            {
                foreach (var smaller in new[] { 0, row[k] / 2, row[k] - 1 }.Where(n => n >= 0 && n < row[k]).Distinct())
                    yield return new GraphRecipe(Kind, Rows.SetItem(i, row.SetItem(k, smaller)));
            }
        }
    }

    /// <summary>The recipe, the graph as definitions, and the values of its variables.</summary>
    public string ToText()
    {
        var text = new StringBuilder();
        text.Append($"GraphRecipe({Kind}, [{string.Join(", ", Rows.Select(r => $"[{string.Join(", ", r)}]"))}])\n");
        var names = Sample.Point.Keys.ToDictionary(v => v, v => ((Variable)v.Op).Symbol.Name);
        text.Append(Printer.Definitions([.. Sample.Roots.Select((r, i) => ($"root{i}", r)), ("loss", Sample.Loss)], names));
        foreach (var (variable, value) in Sample.Point.OrderBy(p => names[p.Key], StringComparer.Ordinal))
            text.Append($"{names[variable]}: {variable.Type} = [{string.Join(", ", value.Reals!.Select(Printer.Number))}]\n");
        return text.Append($"where {string.Join(", ", Sample.Sizes.OrderBy(s => s.Key, StringComparer.Ordinal).Select(s => $"{s.Key} = {s.Value}"))}\n").ToString();
    }

    public override string ToString() => ToText();
}
