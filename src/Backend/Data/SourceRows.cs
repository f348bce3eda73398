using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>What a source gives before its block is applied: the schema, and for each column its rows.</summary>
internal sealed record SourceRows(DataSchema Schema, ColumnRows[] Values)
{
    public SourceRows(DataSchema schema, Tensor[] values)
        : this(schema, [.. values.Select(static v => new TensorRows(v))])
    {
    }

    /// <summary>What weights that are trained on the data say of it, by key.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();
}

/// <summary>What several readers ask.</summary>
internal static class Columns
{
    private static readonly string[] _targets = ["y", "label", "labels", "target", "targets", "next"];

    /// <summary>Whether a column is to be predicted, by its name, where nothing else says so.</summary>
    public static bool IsTarget(string name) => Array.IndexOf(_targets, name) >= 0;

    /// <summary>The column of rows; whole numbers from 0 are classes.</summary>
    public static DataColumn Of(string name, ColumnRows values)
    {
        var column = new DataColumn(name, values.DType.IsFloat() ? DType.Float : values.DType, values.Shape.ToValueList()) { IsTarget = IsTarget(name) };
        if (values.DType != DType.I64)
        {
            return column;
        }

        (double least, double most) = (0, -1);
        values.Visit(row =>
        {
            foreach (double value in row.Span)
            {
                (least, most) = (Math.Min(least, value), Math.Max(most, value));
            }
        });

        return least >= 0 && most is >= 0 and < int.MaxValue ? column with { Classes = (int)most + 1 } : column;
    }
}
