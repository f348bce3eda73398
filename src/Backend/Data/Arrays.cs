using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Reads sources that are files of named arrays: <see cref="NpzSource"/> and <see cref="SafetensorsSource"/>.</summary>
internal static class Arrays
{
    public static SourceRows Read(string path, IEnumerable<KeyValuePair<string, Tensor>> arrays, ValueList<ColumnName> columns)
    {
        var there = arrays.ToDictionary(StringComparer.Ordinal);
        if (there.Count == 0)
        {
            throw new DataFormatException(path, "there are no arrays in it", "Check that it is the right file");
        }

        ColumnName[] wanted = columns.Count == 0 ? [.. there.Keys.Select(static n => new ColumnName(n, n))] : [.. columns];
        var schema = new List<DataColumn>();
        var values = new List<Tensor>();
        foreach ((string name, string key) in wanted)
        {
            if (!there.TryGetValue(key, out Tensor? tensor))
            {
                throw new DataFormatException(path, $"there is no array '{key}'", Suggestion.Sentence(key, there.Keys));
            }

            if (tensor.Rank == 0 || tensor.Shape[0] == 0)
            {
                throw new DataFormatException(path, $"the array '{key}' is {tensor.TypeText}, and a column has rows", $"Name the columns: {(path.EndsWith(".npz", StringComparison.Ordinal) ? "npz" : "safetensors")}(path, x = \"name\")");
            }

            if (values.Count > 0 && tensor.Shape[0] != values[0].Shape[0])
            {
                throw new DataFormatException(path, $"'{key}' has {tensor.Shape[0]} rows, and '{wanted[0].There}' has {values[0].Shape[0]}", "Name the columns that belong together: x = \"name\"");
            }

            schema.Add(Columns.Of(name, tensor));
            values.Add(tensor);
        }

        return new SourceRows(new DataSchema(schema.ToValueList(), values[0].Shape[0]), [.. values]);
    }
}
