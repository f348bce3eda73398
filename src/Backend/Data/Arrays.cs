using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>An array as a file holds it.</summary>
internal sealed record StoredArray(string Name, StoredType Type, bool BigEndian, int[] Shape, ByteStore Store, long Start)
{
    /// <summary>Takes an array in NumPy's format from a stream. One in Fortran order is turned, for which it must fit in memory.</summary>
    public static StoredArray From(Stream stream, string where, long length, long memory)
    {
        var builder = new ByteStoreBuilder(memory);
        NpyHeader header = Npy.ReadHeader(stream, where, length);
        if (header.Fortran && header.Shape.Length > 1)
        {
            using var turned = new MemoryStream();
            Tensor tensor = Npy.ReadData(stream, where, header);
            Stored.Write(turned, tensor);
            builder.Append(turned.GetBuffer().AsSpan(0, (int)turned.Length));
            return new StoredArray("", Stored.Of(tensor.DType), !BitConverter.IsLittleEndian, header.Shape, builder.Complete(), 0);
        }

        builder.Append(stream);
        return new StoredArray("", header.Type, header.BigEndian, header.Shape, builder.Complete(), 0);
    }

    public string TypeText => $"{Type.DType().Text()}[{string.Join(", ", Shape)}]";

    public ColumnRows Rows => new StoredRows(Store, Start, Type, BigEndian, Shape[0], [.. Shape[1..]]);
}

/// <summary>Reads sources that are files of named arrays: <see cref="NpzSource"/> and <see cref="SafetensorsSource"/>.</summary>
internal static class Arrays
{
    public static SourceRows Read(string path, IEnumerable<StoredArray> arrays, ValueList<ColumnName> columns)
    {
        var there = arrays.ToDictionary(static a => a.Name, StringComparer.Ordinal);
        if (there.Count == 0)
        {
            throw new DataFormatException(path, "there are no arrays in it", "Check that it is the right file");
        }

        ColumnName[] wanted = columns.Count == 0 ? [.. there.Keys.Select(static n => new ColumnName(n, n))] : [.. columns];
        var schema = new List<DataColumn>();
        var values = new List<ColumnRows>();
        foreach ((string name, string key) in wanted)
        {
            if (!there.TryGetValue(key, out StoredArray? array))
            {
                throw new DataFormatException(path, $"there is no array '{key}'", Suggestion.Sentence(key, there.Keys));
            }

            if (array.Shape.Length == 0 || array.Shape.Contains(0))
            {
                throw new DataFormatException(path, $"the array '{key}' is {array.TypeText}, and a column has rows", $"Name the columns: {(path.EndsWith(".npz", StringComparison.Ordinal) ? "npz" : "safetensors")}(path, x = \"name\")");
            }

            if (values.Count > 0 && array.Shape[0] != values[0].Count)
            {
                throw new DataFormatException(path, $"'{key}' has {array.Shape[0]} rows, and '{wanted[0].There}' has {values[0].Count}", "Name the columns that belong together: x = \"name\"");
            }

            ColumnRows rows = array.Rows;
            schema.Add(Columns.Of(name, rows));
            values.Add(rows);
        }

        return new SourceRows(new DataSchema(schema.ToValueList(), values[0].Count), [.. values]);
    }
}
