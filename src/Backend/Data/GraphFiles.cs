using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Reads a <see cref="GraphSource"/>.</summary>
internal static class GraphFiles
{
    /// <summary>The column that says which nodes a part is about.</summary>
    public const string MaskName = "mask";

    public static SourceRows Read(string nodes, string edges, GraphSource source, DataColumn? known)
    {
        (SourceRows read, string[] names) = Csv.ReadNodes(nodes, new CsvSource(source.Nodes) { Features = source.Features, Label = source.Label, Categorical = source.Categorical }, known);
        var placeOf = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int i = 0; i < names.Length; i++)
        {
            if (!placeOf.TryAdd(names[i], i))
            {
                throw new DataFormatException(nodes, $"two nodes are called '{names[i]}'", "Give each node one line");
            }
        }

        var pairs = new List<long>();
        foreach ((int line, string from, string to) in Csv.ReadPairs(edges))
        {
            int Place(string node) => placeOf.TryGetValue(node, out int place) ? place
                : throw new DataFormatException($"{edges}:{line}", $"there is no node '{node}' in {nodes}", "Add the node, or take the edge out");
            (int a, int b) = (Place(from), Place(to));
            pairs.AddRange([a, b]);
            if (!source.Directed && a != b)
            {
                pairs.AddRange([b, a]);
            }
        }

        int count = names.Length, edgeCount = pairs.Count / 2;
        var columns = read.Schema.Columns.Select(c => c with { IsWhole = true, RowShape = [count, .. c.RowShape] }).ToList();
        var values = read.Values.ToList();
        columns.Add(new DataColumn("edges", DType.I64, [edgeCount, 2]) { IsWhole = true });
        values.Add(new TensorRows(Tensor.Create([.. pairs], edgeCount, 2)));
        columns.Add(new DataColumn(MaskName, DType.Float, [count]) { IsWhole = true, IsTarget = true });
        values.Add(new TensorRows(Tensor.Create(Enumerable.Repeat(1.0, count).ToArray())));
        return new SourceRows(new DataSchema(columns.ToValueList(), count) { IsWhole = true }, [.. values]);
    }
}
