using System.Globalization;
using System.Text;
using System.Text.Unicode;
using CsvHelper;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Reads a <see cref="CsvSource"/>. The separator is a comma, or what the first lines say: semicolon, tab or bar.</summary>
internal static class Csv
{
    private const string FeaturesName = "features", LabelName = "label";

    private static readonly CsvReaderOptions Options = new()
    {
        HasHeader = false,
        TrimWhitespace = true,
        TrackLineNumbers = true,
        MalformedData = CsvMalformedDataHandling.Throw,
        MaxRecordSize = 1 << 26,
    };

    /// <param name="path">The file.</param>
    /// <param name="source">Which columns to take.</param>
    /// <param name="classes">The label's classes where another file of the same data has fixed them; else they are found.</param>
    /// <param name="memory">The most bytes of rows that are held in memory; more go to a temporary file.</param>
    public static SourceRows Read(string path, CsvSource source, DataColumn? classes = null, long memory = long.MaxValue) => Read(path, source, classes, named: false, memory).Rows;

    /// <summary>As for a source, with a first column of names. Without features, rows have unit vectors of their own.</summary>
    public static (SourceRows Rows, string[] Names) ReadNodes(string path, CsvSource source, DataColumn? classes) => Read(path, source, classes, named: true, long.MaxValue);

    /// <summary>The first two cells of each line after the header.</summary>
    public static List<(int Line, string First, string Second)> ReadPairs(string path) => Files.Read(path, stream =>
    {
        using CsvReader reader = CsvReader.Create(stream, Options, leaveOpen: true);
        var pairs = new List<(int, string, string)>();
        while (reader.Read())
        {
            string where = $"{path}:{reader.LineNumber}";
            if (reader.FieldCount < 2)
            {
                throw new DataFormatException(where, "an edge takes two cells: source and target", "Complete the line");
            }

            pairs.Add(((int)reader.LineNumber, Text(reader.GetSpan(0), where), Text(reader.GetSpan(1), where)));
        }

        return pairs.Count > 1 ? pairs[1..] : throw new DataFormatException(path, "there are no edges after the header", "Check that it is the right file");
    });

    private static (SourceRows Rows, string[] Names) Read(string path, CsvSource source, DataColumn? classes, bool named, long memory) => Files.Read(path, stream =>
    {
        using CsvReader reader = CsvReader.Create(stream, Options, leaveOpen: true);
        try
        {
            Column[] columns = ReadHeader(path, reader, source, named);
            var store = new RowStore(columns.Length, memory);
            var row = new double[columns.Length];
            int rows = 0;
            while (reader.Read())
            {
                if (reader.FieldCount != columns.Length)
                {
                    throw new DataFormatException(
                        $"{path}:{reader.LineNumber}", $"{reader.FieldCount} fields, and the header has {columns.Length}", "Complete the line, or put quotes around fields that hold a separator");
                }

                long line = reader.LineNumber;
                for (int i = 0; i < columns.Length; i++)
                {
                    row[i] = columns[i].Add(reader.GetSpan(i), path, line);
                }

                store.Append(row);
                rows++;
            }

            if (rows == 0)
            {
                throw new DataFormatException(path, "there are no rows after the header", "Check that it is the right file");
            }

            store.Complete();
            string[] names = named ? [.. Enumerable.Range(0, rows).Select(i => columns[0].Names[(int)store.Row(i, ref row)[0]])] : [];
            return (Assemble(path, source, columns, named ? 1 : 0, store, classes), names);
        }
        catch (CsvFormatException e)
        {
            throw new DataFormatException($"{path}:{e.LineNumber}", $"malformed quotes: {e.Message.TrimEnd('.')}", "Double the quotes inside a quoted field, and close it", e);
        }
    });

    private static Column[] ReadHeader(string path, CsvReader reader, CsvSource source, bool named)
    {
        if (!reader.Read())
        {
            throw new DataFormatException(path, "the file is empty", "Its first line names the columns");
        }

        string where = $"{path}:{reader.LineNumber}";
        var names = new string[reader.FieldCount];
        for (int i = 0; i < names.Length; i++)
        {
            names[i] = Text(reader.GetSpan(i), where);
            if (names[i].Length == 0)
            {
                throw new DataFormatException(where, $"column {i + 1} has no name", "Name it, or write the file without it (pandas: index=False)");
            }
        }

        if (names.GroupBy(static n => n).FirstOrDefault(static g => g.Count() > 1) is { } twice)
        {
            throw new DataFormatException(where, $"two columns are called '{twice.Key}'", "Rename one");
        }

        void Check(string name)
        {
            if (!names.Contains(name))
            {
                throw new DataFormatException(where, $"there is no column '{name}'", Suggestion.Sentence(name, names));
            }
        }

        ValueList<string> features = source.Features ?? [];
        foreach (string name in features.Concat(source.Categorical))
        {
            Check(name);
        }

        if (source.Label is { } label)
        {
            Check(label);
            if (features.Contains(label))
            {
                throw new DataFormatException(path, $"'{label}' is both the label and a feature", "Take it out of the features");
            }
        }

        if (features.Distinct().Count() < features.Count)
        {
            throw new DataFormatException(path, "a column stands twice among the features", "List it once");
        }

        if (source.Features is not null && source.Categorical.FirstOrDefault(c => c != source.Label && !features.Contains(c)) is { } unused)
        {
            throw new DataFormatException(path, $"the categorical column '{unused}' is not among the features", "Add it there");
        }

        return [.. names.Select((n, i) => (Name: n, IsName: named && i == 0)).Select(n => new Column(
            n.Name,
            used: n.IsName || n.Name == source.Label || source.Features is null || features.Contains(n.Name) || source.Categorical.Contains(n.Name),
            categorical: n.IsName || source.Categorical.Contains(n.Name),
            required: n.IsName || n.Name == source.Label || source.Categorical.Contains(n.Name)))];
    }

    /// <param name="path">The file.</param>
    /// <param name="source">What is asked for.</param>
    /// <param name="columns">All columns.</param>
    /// <param name="named">The number of columns at the beginning that name rows; with them, rows may lack features.</param>
    /// <param name="store">The cells.</param>
    /// <param name="classes">The label's classes, where they are fixed.</param>
    private static SourceRows Assemble(string path, CsvSource source, Column[] columns, int named, RowStore store, DataColumn? classes)
    {
        foreach (Column column in columns)
        {
            if (column.Odd is { } odd)
            {
                throw new DataFormatException(
                    $"{path}:{odd.Line}",
                    column.IsNumeric
                        ? $"column '{column.Name}': {(odd.Text.Length == 0 ? "the cell is empty" : $"'{odd.Text}' is not a number")}"
                        : $"column '{column.Name}': '{odd.Text}' is a number among texts",
                    "Correct the cell, or list the column as categorical");
            }
        }

        int[] features = source.Features is { } wanted
            ? [.. wanted.Select(n => Array.FindIndex(columns, c => c.Name == n))]
            : [.. Enumerable.Range(named, columns.Length - named).Where(i => columns[i].Name != source.Label && (columns[i].IsNumeric || columns[i].Categorical))];
        if (features.Length == 0 && named == 0)
        {
            throw new DataFormatException(path, "no column is left for the features", "Name columns of numbers as features, or others as categorical");
        }

        if (features.FirstOrDefault(i => !columns[i].IsNumeric && !columns[i].Categorical, -1) is >= 0 and var text)
        {
            throw new DataFormatException(path, $"the feature '{columns[text].Name}' holds text, not numbers", "List it as categorical, or take it out of the features");
        }

        (int Column, int[]? Ranks)[] parts = [.. features.Select(i => (i, columns[i].Categorical ? columns[i].Ranks() : null))];
        int width = parts.Sum(static p => p.Ranks?.Length ?? 1);
        if (!store.IsSlow && (long)store.Count * width > Array.MaxLength)
        {
            throw new DataFormatException(path, $"{store.Count} rows of {width} features are too many", "Take fewer columns; are all of the categorical ones categories?");
        }

        var schema = new List<DataColumn> { new(FeaturesName, DType.Float, [features.Length == 0 ? store.Count : width]) };
        var values = new List<ColumnRows> { features.Length == 0 ? new OneHotRows(new TensorRows(Tensor.Create([.. Enumerable.Range(0, store.Count).Select(static i => (long)i)])), [store.Count]) : new StoredFeatures(store, parts, width) };
        if (source.Label is { } label)
        {
            int at = Array.FindIndex(columns, c => c.Name == label);
            (DataColumn column, ColumnRows rows) = Label(path, columns[at], at, store, classes);
            schema.Add(column with { IsTarget = true });
            values.Add(rows);
        }

        return new SourceRows(new DataSchema(schema.ToValueList(), store.Count), [.. values.Select(v => v.IsSlow ? v : new TensorRows(v.ToTensor()))]);
    }

    private static (DataColumn Column, ColumnRows Values) Label(string path, Column label, int at, RowStore store, DataColumn? classes)
    {
        if (!label.IsNumeric)
        {
            int[] ranks = label.Ranks();
            string[] names = [.. label.Names.Order(StringComparer.Ordinal)];
            if (classes is { ClassNames.Count: > 0 })
            {
                string[] known = [.. classes.ClassNames];
                ranks = [.. label.Names.Select(name => Array.IndexOf(known, name) is var k && k >= 0 ? k
                    : throw new DataFormatException(path, $"column '{label.Name}': the class '{name}' is not one of the other part's", Suggestion.Sentence(name, known)))];
                names = known;
            }

            return (new DataColumn(LabelName, DType.I64, []) { Classes = names.Length, ClassNames = names.ToValueList() }, new StoredColumns(store, at, ranks, DType.I64, []));
        }

        // Beyond 2^31 a whole number is a measurement, not the index of a class.
        if (!label.AllWhole || label.Max >= int.MaxValue)
        {
            return (new DataColumn(LabelName, DType.Float, [1]), new StoredColumns(store, at, null, DType.F64, [1]));
        }

        int count = (int)label.Max + 1;
        if (classes?.Classes is { } limit && count > limit)
        {
            throw new DataFormatException(path, $"column '{label.Name}': the class {count - 1} is beyond the other part's, which has {limit}", "Correct the label");
        }

        return (new DataColumn(LabelName, DType.I64, []) { Classes = classes?.Classes ?? count }, new StoredColumns(store, at, null, DType.I64, []));
    }

    private static string Text(ReadOnlySpan<byte> utf8, string where) => Utf8.IsValid(utf8)
        ? Encoding.UTF8.GetString(utf8)
        : throw new DataFormatException(where, "the text is not UTF-8", "Save the file as UTF-8");

    /// <summary>What the cells of one column are: numbers, or codes of texts. The first cell says which; the first that disagrees is kept for the error.</summary>
    private sealed class Column(string name, bool used, bool categorical, bool required)
    {
        private readonly Dictionary<string, int> _codeOf = new(StringComparer.Ordinal);
        private bool? _numeric = categorical ? false : null;
        private (long Line, string Text)? _odd;
        private long? _empty;

        public string Name => name;

        public bool Categorical => categorical;

        public bool IsNumeric => _numeric == true;

        /// <summary>Whether the column is required and all cells are written as whole numbers from 0, without a point.</summary>
        public bool AllWhole { get; private set; } = true;

        /// <summary>The largest number.</summary>
        public double Max { get; private set; } = double.NegativeInfinity;

        /// <summary>The first cell that does not go with the others.</summary>
        public (long Line, string Text)? Odd => IsNumeric && _empty < (_odd?.Line ?? long.MaxValue) ? (_empty.Value, "") : _odd;

        /// <summary>The texts in the order in which they came first; the index is the code.</summary>
        public List<string> Names { get; } = [];

        /// <summary>The place of each code in the ordinal order of the texts.</summary>
        public int[] Ranks()
        {
            int[] order = [.. Enumerable.Range(0, Names.Count).OrderBy(i => Names[i], StringComparer.Ordinal)];
            var ranks = new int[order.Length];
            for (int i = 0; i < order.Length; i++)
            {
                ranks[order[i]] = i;
            }

            return ranks;
        }

        /// <summary>The number or code of a cell; not a number where nobody asks for it.</summary>
        public double Add(ReadOnlySpan<byte> cell, string path, long line)
        {
            if (!used || _odd is not null)
            {
                return double.NaN;
            }

            if (cell.IsEmpty)
            {
                // In a column of texts that nobody asked for, it does not matter.
                _empty ??= required
                    ? throw new DataFormatException($"{path}:{line}", $"column '{name}': the cell is empty", "Fill it in, or leave the row out")
                    : line;
                return double.NaN;
            }

            if (categorical)
            {
                return Code(cell, path, line);
            }

            bool number = double.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out double value);
            if (number && !double.IsFinite(value))
            {
                throw new DataFormatException($"{path}:{line}", $"column '{name}': '{Text(cell, $"{path}:{line}")}' is not a finite number", "Correct the cell, or leave the row out");
            }

            _numeric ??= number;
            if (number != _numeric)
            {
                _odd = (line, Text(cell, $"{path}:{line}"));
                return double.NaN;
            }

            if (number)
            {
                // Of interest for labels alone.
                AllWhole = AllWhole && required && long.TryParse(cell, NumberStyles.None, CultureInfo.InvariantCulture, out _);
                Max = Math.Max(Max, value);
                return value;
            }

            return required ? Code(cell, path, line) : double.NaN;
        }

        private int Code(ReadOnlySpan<byte> cell, string path, long line)
        {
            string text = Text(cell, $"{path}:{line}");
            if (!_codeOf.TryGetValue(text, out int code))
            {
                code = Names.Count;
                _codeOf.Add(text, code);
                Names.Add(text);
            }

            return code;
        }
    }
}
