using System.Text.Json;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Reads a <see cref="JsonlSource"/>: the first line says what each field holds.</summary>
internal static class Jsonl
{
    public static SourceRows Read(string path, JsonlSource source, DataSchema? known) => Files.ReadUnpacked(path, stream =>
    {
        using var reader = new StreamReader(stream);
        Field[]? fields = null;
        int line = 0, rows = 0;
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

                    field.Add(value, where);
                }
            }
            catch (JsonException e)
            {
                throw new DataFormatException(where, $"this line is no JSON: {e.Message.Split(". ")[0].TrimEnd('.')}", "Write a JSON object on each line", e);
            }

            rows++;
        }

        if (fields is null)
        {
            throw new DataFormatException(path, "there are no records in it", "Check that it is the right file");
        }

        (DataColumn Column, Tensor Values)[] columns = [.. fields.Select(f => f.Finish(path, rows, known?.Find(f.Name)))];
        return new SourceRows(new DataSchema(columns.Select(static c => c.Column).ToValueList(), rows), [.. columns.Select(static c => c.Values)]);
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
        private readonly List<double> numbers = [];
        private readonly List<string> texts = [];
        private readonly List<int> sizes = [];
        private JsonValueKind kind = JsonValueKind.Undefined;
        private bool isWhole = true;

        public string Name => name;

        public string Key => key;

        public void Add(JsonElement value, string where)
        {
            bool isFirst = kind == JsonValueKind.Undefined;
            Add(value, where, 0, isFirst);
        }

        public (DataColumn Column, Tensor Values) Finish(string path, int rows, DataColumn? known)
        {
            int[] shape = [rows, .. sizes];
            if (kind == JsonValueKind.String)
            {
                string[] names = known is { ClassNames.Count: > 0 } ? [.. known.ClassNames] : [.. texts.Distinct().Order(StringComparer.Ordinal)];
                Dictionary<string, int> codes = names.Select(static (n, i) => KeyValuePair.Create(n, i)).ToDictionary(StringComparer.Ordinal);
                long[] labels = [.. texts.Select(t => codes.TryGetValue(t, out int code) ? (long)code
                    : throw new DataFormatException(path, $"field '{key}': the class '{t}' is not one of the training data's", Suggestion.Sentence(t, names)))];
                return (new DataColumn(name, DType.I64, sizes.ToValueList()) { Classes = names.Length, ClassNames = names.ToValueList(), IsTarget = Columns.IsTarget(name) }, Tensor.Create(labels, shape));
            }

            Tensor values = kind == JsonValueKind.True ? Tensor.Create(numbers.Select(static v => v != 0).ToArray(), shape)
                : isWhole ? Tensor.Create(numbers.Select(static v => (long)v).ToArray(), shape)
                : Tensor.Create(numbers.ToArray(), shape);
            return (Columns.Of(name, values), values);
        }

        // Nesting is bounded by the parser's own limit.
        private void Add(JsonElement value, string where, int depth, bool isFirst)
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
                    Add(item, where, depth + 1, isFirst);
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
                texts.Add(value.GetString()!);
                return;
            }

            double number = kind == JsonValueKind.True ? (value.GetBoolean() ? 1 : 0) : value.GetDouble();
            if (!double.IsFinite(number))
            {
                throw new DataFormatException(where, $"field '{key}': {value.GetRawText()} is not a finite number", "Correct it, or leave the row out");
            }

            isWhole = isWhole && Math.Abs(number) < 1L << 53 && (kind == JsonValueKind.True || value.TryGetInt64(out _));
            numbers.Add(number);
        }
    }
}
