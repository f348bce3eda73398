using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>
/// Brings columns of data to the inputs and targets of a model, by name. The batch dimension is the first of the first input; columns whose
/// input does not start with it are fed whole.
/// </summary>
internal sealed class Feeder
{
    private readonly Model model;
    private readonly Named[] fed;
    private readonly Dim? batch;
    private readonly Dictionary<(DataSplit Split, int Rows), IReadOnlyDictionary<string, long>> sizes = [];
    private int[] whole = [];

    public Feeder(Model model)
    {
        this.model = model;
        fed = [.. model.Inputs, .. model.Targets];
        batch = model.Inputs is [var first, ..] && !first.Value.Shape.IsScalar ? first.Value.Shape[0] : null;
    }

    /// <exception cref="DataFormatException">A column is missing or has another shape.</exception>
    public void Check(DataSet data)
    {
        foreach (var (name, value) in fed)
        {
            if (data.Schema.Find(name) is not { } column)
                throw new DataFormatException($"model {model.Name}", $"the data has no column '{name}'", $"It has {string.Join(", ", data.Schema.Columns.Select(c => $"'{c.Name}'"))}; rename one, or the input");
            var row = IsBatched(value, column.IsWhole) ? value.Shape.Dims[1..] : value.Shape.Dims;
            if (row.Length == value.Rank && !column.IsWhole)
                column = column with { IsWhole = true, RowShape = [data.Splits[0].Rows, .. column.RowShape] };
            var fits = column.RowShapes.Any(shape => shape.Count == row.Length && row.Select((d, i) => Dim.AreEqual(d, shape[i]) != Answer.Refuted).All(x => x));
            if (!fits || !column.Feeds(value.DType))
                throw new DataFormatException($"model {model.Name}", $"the column {column} does not fit `{name}: {value.Type}`");
        }
    }

    /// <summary>Chooses the plan for so many rows of a split.</summary>
    public void Prepare(Session session, DataSplit split, int rows)
    {
        if (sizes.TryGetValue((split, rows), out var known))
        {
            session.Prepare(known);
            return;
        }

        // The plan's own sizes are found again by reference.
        session.Prepare(Sizes(split, rows));
        sizes[(split, rows)] = session.Plan.Sizes;
    }

    /// <summary>Chooses the plan for these rows and copies them in.</summary>
    /// <param name="session">What takes them.</param>
    /// <param name="split">Where they come from.</param>
    /// <param name="rows">Which rows.</param>
    /// <param name="augmenter">Changes them, in training.</param>
    /// <param name="epoch">Picks the changes.</param>
    public void Feed(Session session, DataSplit split, ReadOnlySpan<int> rows, Augmenter? augmenter = null, long epoch = 0)
    {
        Prepare(session, split, rows.Length);
        foreach (var (name, value) in fed)
        {
            var type = value.DType == DType.Float ? session.Options.Float : value.DType;
            Fill(split, name, value, rows, session.InputBytes(name), type, augmenter, epoch);
        }
    }

    /// <summary>Makes the memory of a batch, for a session of a float type to take later.</summary>
    public void Stage(DataSplit split, ReadOnlySpan<int> rows, DType floats, Augmenter? augmenter, long epoch, Dictionary<string, byte[]> staged)
    {
        foreach (var (name, value) in fed)
        {
            var type = value.DType == DType.Float ? floats : value.DType;
            var column = split.Values(split.IndexOf(name));
            var bytes = checked((IsBatched(value, split.IsWhole) ? rows.Length : column.Count) * column.Width * FusedKernelSpec.SizeOf(type));
            if (!staged.TryGetValue(name, out var to) || to.Length < bytes)
                staged[name] = to = new byte[bytes];
            Fill(split, name, value, rows, to.AsSpan(0, bytes), type, augmenter, epoch);
        }
    }

    /// <summary>Runs what was fed.</summary>
    /// <exception cref="DataFormatException">A whole number of the data is out of the range that the model has for it.</exception>
    public RunResult Run(Session session, DataSplit split, ReadOnlySpan<int> rows)
    {
        try
        {
            return session.Run();
        }
        catch (IndexException e)
        {
            throw Located(e, split, rows) ?? (Exception)e;
        }
    }

    /// <summary>The row and column that an index came from.</summary>
    private DataFormatException? Located(IndexException e, DataSplit split, ReadOnlySpan<int> rows)
    {
        foreach (var (name, value) in fed)
        {
            if (value.DType != DType.I64 || e.Index is not { } index)
                continue;
            var column = split.Values(split.IndexOf(name));
            var isBatched = IsBatched(value, split.IsWhole);
            var values = new long[column.Width];
            for (var i = 0; i < (isBatched ? rows.Length : column.Count); i++)
            {
                var row = isBatched ? rows[i] : i;
                column.Fill([row], System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()), DType.I64);
                var at = Array.IndexOf(values, index);
                if (at >= 0)
                {
                    var place = values.Length == 1 ? "" : $", place {at + 1}";
                    return new DataFormatException(
                        $"data, part '{split.Name}'", $"row {column.SourceRow(row) + 1}, column '{name}'{place}: {index} is out of range: the model has room for {e.Size} (0 … {e.Size - 1})",
                        "Correct the data, or make the model's axis larger", e);
                }
            }
        }

        return null;
    }

    private void Fill(DataSplit split, string name, Expr value, ReadOnlySpan<int> rows, Span<byte> to, DType type, Augmenter? augmenter, long epoch)
    {
        var column = split.IndexOf(name);
        if (!IsBatched(value, split.IsWhole))
        {
            split.Fill(column, All(split.Values(column).Count), to, type);
            return;
        }

        split.Fill(column, rows, to, type);
        augmenter?.Apply(name, rows, epoch, to, type);
    }

    /// <summary>The named dimensions, read off the columns.</summary>
    private Dictionary<string, long> Sizes(DataSplit split, int rows)
    {
        var bindings = new Dictionary<string, long>();
        foreach (var (name, value) in fed)
        {
            var column = split.Values(split.IndexOf(name));
            int[] all = [IsBatched(value, split.IsWhole) ? rows : column.Count, .. column.Shape];
            // A column of one number a row has both [B] and [B, 1].
            int[] dims = [.. Enumerable.Range(0, value.Rank).Select(i => i < all.Length ? all[i] : 1)];
            Unifier.Bind(bindings, value.Shape, dims, name);
        }

        return bindings;
    }

    private bool IsBatched(Expr value, bool isWhole) => !isWhole && batch is not null && !value.Shape.IsScalar && value.Shape[0].Equals(batch);

    private int[] All(int rows) => whole.Length == rows ? whole : whole = [.. Enumerable.Range(0, rows)];
}
