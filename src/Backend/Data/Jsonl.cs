using System.Runtime.InteropServices;
using System.Text.Json;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Reads a <see cref="JsonlSource"/>: the first line says what each field holds.</summary>
internal static class Jsonl
{
    /// <param name="path">The file.</param>
    /// <param name="source">Which fields to take.</param>
    /// <param name="known">What other data have fixed.</param>
    /// <param name="memory">The most bytes of rows that are held in memory.</param>
    public static SourceRows Read(string path, JsonlSource source, DataSchema? known, long memory) => Files.ReadUnpacked(path, stream =>
    {
        using var reader = new StreamReader(stream);
        Field[]? fields = null;
        RowStore? store = null;
        var row = new List<double>();
        int line = 0;
        while (reader.ReadLine() is { } text)
        {
            line++;
            if (string.IsNullOrWhiteSpace(text))
            {
                continue;
            }

            string where = $"{path}:{line}";
            try
            {
                using JsonDocument document = JsonDocument.Parse(text);
                JsonElement record = document.RootElement;
                if (record.ValueKind != JsonValueKind.Object)
                {
                    throw new DataFormatException(where, "this line is no JSON object", "Write {\"field\": value, …} on each line");
                }

                fields ??= Start(where, source, record);
                foreach (Field field in fields)
                {
                    if (!record.TryGetProperty(field.Key, out JsonElement value))
                    {
                        throw new DataFormatException(where, $"there is no field '{field.Key}'", Suggestion.Sentence(field.Key, [.. record.EnumerateObject().Select(static p => p.Name)]));
                    }

                    field.Add(value, where, row);
                }

                store ??= new RowStore(row.Count, memory);
                store.Append(CollectionsMarshal.AsSpan(row));
                row.Clear();
            }
            catch (JsonException e)
            {
                throw new DataFormatException(where, $"this line is no JSON: {e.Message.Split(". ")[0].TrimEnd('.')}", "Write a JSON object on each line", e);
            }
        }

        if (fields is null || store is null)
        {
            throw new DataFormatException(path, "there are no records in it", "Check that it is the right file");
        }

        store.Complete();
        var (columns, values, at) = (new List<DataColumn>(), new List<ColumnRows>(), 0);
        foreach (Field field in fields)
        {
            (DataColumn column, ColumnRows rows) = field.Finish(path, store, at, known?.Find(field.Name));
            columns.Add(column);
            values.Add(rows.IsSlow ? rows : new TensorRows(rows.ToTensor()));
            at += rows.Width;
        }

        return new SourceRows(new DataSchema(columns.ToValueList(), store.Count), [.. values]);
    });

    private static Field[] Start(string where, JsonlSource source, JsonElement first)
    {
        ColumnName[] columns = source.Columns.Count == 0 ? [.. first.EnumerateObject().Select(static p => new ColumnName(p.Name, p.Name))] : [.. source.Columns];
        if (columns.Length == 0)
        {
            throw new DataFormatException(where, "the first object has no fields", "Check that it is the right file");
        }

        return [.. columns.Select(static c => new Field(c.Name, c.There))];
    }

    /// <summary>The values of one field.</summary>
    private sealed class Field(string name, string key)
    {
        private readonly Dictionary<string, int> codes = new(StringComparer.Ordinal);
        private readonly List<int> sizes = [];
        private JsonValueKind kind = JsonValueKind.Undefined;
        private bool isWhole = true;

        public string Name => name;

        public string Key => key;

        /// <summary>Appends the field's numbers, or the codes of its texts, to those of the row.</summary>
        public void Add(JsonElement value, string where, List<double> row) => Add(value, where, 0, kind == JsonValueKind.Undefined, row);

        /// <param name="path">The file.</param>
        /// <param name="store">All rows.</param>
        /// <param name="at">Where the field's numbers begin in a row.</param>
        /// <param name="known">The classes where other data have fixed them.</param>
        public (DataColumn Column, ColumnRows Values) Finish(string path, RowStore store, int at, DataColumn? known)
        {
            if (kind != JsonValueKind.String)
            {
                var values = new StoredColumns(store, at, null, kind == JsonValueKind.True ? DType.Bool : isWhole ? DType.I64 : DType.F64, [.. sizes]);
                return (Columns.Of(name, values), values);
            }

            string[] names = known is { ClassNames.Count: > 0 } ? [.. known.ClassNames] : [.. codes.Keys.Order(StringComparer.Ordinal)];
            Dictionary<string, int> places = names.Select(static (n, i) => KeyValuePair.Create(n, i)).ToDictionary(StringComparer.Ordinal);
            int[] classes = [.. codes.OrderBy(static c => c.Value).Select(c => places.TryGetValue(c.Key, out int place) ? place
                : throw new DataFormatException(path, $"field '{key}': the class '{c.Key}' is not one of the training data's", Suggestion.Sentence(c.Key, names)))];
            return (
                new DataColumn(name, DType.I64, sizes.ToValueList()) { Classes = names.Length, ClassNames = names.ToValueList(), IsTarget = Columns.IsTarget(name) },
                new StoredColumns(store, at, classes, DType.I64, [.. sizes]));
        }

        // Nesting is bounded by the parser's own limit.
        private void Add(JsonElement value, string where, int depth, bool isFirst, List<double> row)
        {
            if (value.ValueKind == JsonValueKind.Array)
            {
                int length = value.GetArrayLength();
                if (isFirst && depth == sizes.Count && kind == JsonValueKind.Undefined)
                {
                    sizes.Add(length);
                }

                if (depth >= sizes.Count || length != sizes[depth])
                {
                    throw new DataFormatException(where, $"field '{key}': an array of {length} where {(depth < sizes.Count ? $"there were {sizes[depth]}" : "there was none")}", "Give all rows the same shape; pad what is shorter");
                }

                if (length == 0)
                {
                    throw new DataFormatException(where, $"field '{key}': the array is empty", "Leave the row out, or the field");
                }

                foreach (JsonElement item in value.EnumerateArray())
                {
                    Add(item, where, depth + 1, isFirst, row);
                }

                return;
            }

            JsonValueKind found = value.ValueKind == JsonValueKind.False ? JsonValueKind.True : value.ValueKind;
            if (found is not (JsonValueKind.Number or JsonValueKind.True or JsonValueKind.String))
            {
                throw new DataFormatException(where, $"field '{key}': {value.GetRawText() switch { { Length: > 30 } => "this", var raw => raw }} is no number, bool or text", "Leave the row out, or name the fields that are columns: jsonl(path, x = \"field\")");
            }

            kind = kind == JsonValueKind.Undefined ? found : kind;
            if (found != kind || depth != sizes.Count)
            {
                throw new DataFormatException(where, $"field '{key}': {value.GetRawText()} is not what the rows before have there", "Give all rows the same shape and kind");
            }

            if (kind == JsonValueKind.String)
            {
                string text = value.GetString()!;
                if (!codes.TryGetValue(text, out int code))
                {
                    codes.Add(text, code = codes.Count);
                }

                row.Add(code);
                return;
            }

            double number = kind == JsonValueKind.True ? (value.GetBoolean() ? 1 : 0) : value.GetDouble();
            if (!double.IsFinite(number))
            {
                throw new DataFormatException(where, $"field '{key}': {value.GetRawText()} is not a finite number", "Correct it, or leave the row out");
            }

            isWhole = isWhole && Math.Abs(number) < 1L << 53 && (kind == JsonValueKind.True || value.TryGetInt64(out _));
            row.Add(number);
        }
    }
}
