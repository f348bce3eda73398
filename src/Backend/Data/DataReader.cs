using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>
/// Samples and reads what <see cref="DataDescription"/>s describe. Holds on to the files that it has read, so that checking and training
/// read them once: make a new one to see a file that has changed.
/// </summary>
/// <param name="folder">Where relative paths start: the folder of the file that has the description.</param>
public sealed class DataReader(string folder) : IDataReader
{
    private readonly Dictionary<DataSource, SourceRows> _read = [];
    private readonly Lock _lock = new();

    /// <inheritdoc/>
    public DataSchema ReadSchema(DataDescription data)
    {
        ArgumentNullException.ThrowIfNull(data);
        // A made source's columns follow from its arguments: nothing is sampled.
        DataSchema source = data.Source is MadeSource made ? made.Schema() : Load(data.Source, null).Schema;
        data.PartSizes(source.Rows!.Value);
        foreach (SplitPart part in data.Split.Where(static p => p.Source is not null))
        {
            LoadPart(data, part, source);
        }

        return new DataSchema(data.Plan(source).Select(static p => p.Result).ToValueList(), source.Rows);
    }

    /// <summary>Reads the data and applies its block.</summary>
    /// <param name="data">What to read.</param>
    /// <param name="statistics">Weights with the statistics of an earlier run, which then normalize in place of the training part's own.</param>
    /// <exception cref="DataFormatException">The data cannot be used, or the block or the statistics do not fit it.</exception>
    public DataSet Read(DataDescription data, Weights? statistics = null)
    {
        ArgumentNullException.ThrowIfNull(data);
        SourceRows source = Load(data.Source, null);
        ValueList<ColumnPlan> plans = data.Plan(source.Schema);
        var own = new Queue<DataSplit>(SplitRows(data, source));
        var splits = new List<DataSplit>();
        foreach (SplitPart part in data.Split)
        {
            splits.Add(part.Source is null ? own.Dequeue() : ToSplit(part.Name, LoadPart(data, part, source.Schema)));
        }

        splits.AddRange(own);
        DataSplit train = splits.First(static s => s.Name == DataDescription.Train);
        Weights used = Weights.Empty;
        for (int i = 0; i < plans.Count; i++)
        {
            if (plans[i].Normalize)
            {
                used = used.With(Statistics(data, plans[i].Result, train[i], statistics));
            }
        }

        var results = splits.Select(split => new DataSplit(split.Name, plans.Select((plan, i) => (plan.Result.Name, Transform(plan, split[i], used)))));
        return new DataSet(new DataSchema(plans.Select(static p => p.Result).ToValueList(), splits.Sum(static s => s.Rows)), [.. results], used);
    }

    private static List<DataSplit> SplitRows(DataDescription data, SourceRows source)
    {
        DataSplit all = ToSplit(data.Name, source);
        var order = new int[all.Rows];
        if (data.Shuffle)
        {
            DataRandom.Permute(RandomUse.Split, data.SplitSeed, 0, order);
        }
        else
        {
            for (int i = 0; i < order.Length; i++)
            {
                order[i] = i;
            }
        }

        var parts = new List<DataSplit>();
        int at = 0;
        foreach ((string name, int rows) in data.PartSizes(all.Rows))
        {
            parts.Add(all.Take(name, order.AsSpan(at, rows)));
            at += rows;
        }

        return parts;
    }

    private static DataSplit ToSplit(string name, SourceRows source) => new(name, source.Schema.Columns.Select((c, i) => (c.Name, source.Values[i])));

    private static Weights Statistics(DataDescription data, DataColumn column, Tensor train, Weights? known)
    {
        (string meanName, string stdName) = (Normalization.MeanName(column.Name), Normalization.StdName(column.Name));
        if (known is null || !known.TryGet(meanName, out Tensor? mean) || !known.TryGet(stdName, out Tensor? std))
        {
            (mean, std) = Normalization.Fit(train);
        }
        else if (!mean.Shape.AsSpan().SequenceEqual(train.Shape.AsSpan(1..)) || !std.Shape.AsSpan().SequenceEqual(mean.Shape.AsSpan()))
        {
            throw new DataFormatException(
                $"data {data.Name}", $"the weights hold {meanName}: {mean.TypeText} and {stdName}: {std.TypeText}, which do not fit the column {column}", "Use the weights that were trained on this data");
        }

        return Weights.Empty.With(meanName, mean).With(stdName, std);
    }

    private static Tensor Transform(ColumnPlan plan, Tensor values, Weights statistics)
    {
        if (plan.Normalize)
        {
            return Normalization.Apply(values, statistics[Normalization.MeanName(plan.Result.Name)], statistics[Normalization.StdName(plan.Result.Name)]);
        }

        if (!plan.OneHot)
        {
            return values;
        }

        int rows = values.Shape[0], classes = plan.Source.Classes!.Value;
        if ((long)rows * classes > Array.MaxLength)
        {
            throw new DataFormatException($"one_hot {plan.Source.Name}", $"{rows} rows of {classes} classes are too many", "Feed the classes as integers");
        }

        Tensor result = Tensor.Zeros(DType.F64, rows, classes);
        double[] hot = result.Storage<double>();
        for (int i = 0; i < rows; i++)
        {
            hot[i * classes + (int)values.At(i)] = 1;
        }

        return result;
    }

    private SourceRows LoadPart(DataDescription data, SplitPart part, DataSchema main)
    {
        SourceRows rows = Load(part.Source!, main.Columns.FirstOrDefault(static c => c.IsTarget));
        bool same = rows.Schema.Columns.Count == main.Columns.Count
            && rows.Schema.Columns.Zip(main.Columns).All(static p => p.First.Name == p.Second.Name && p.First.DType == p.Second.DType && p.First.RowShape == p.Second.RowShape);
        return same ? rows : throw new DataFormatException(
            $"data {data.Name}", $"the part '{part.Name}' has the columns {rows.Schema}, and {data.Source.Name} has {main}", "Give both sources the same columns");
    }

    // Classes are fixed by the main source; another part's labels are read by them.
    private SourceRows Load(DataSource source, DataColumn? classes)
    {
        lock (_lock)
        {
            if (classes is null && _read.TryGetValue(source, out SourceRows? known))
            {
                return known;
            }

            SourceRows rows = source switch
            {
                MadeSource made => Made.Sample(made),
                CsvSource csv => Csv.Read(Path.Combine(folder, csv.Path), csv, classes),
                _ => throw new DataFormatException(source.Name, "nothing here reads this source"),
            };
            if (classes is null)
            {
                _read[source] = rows;
            }

            return rows;
        }
    }
}
