using System.Text.Json;
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

    /// <summary>
    /// How much of a file is held in memory, in bytes. What is beyond stays on the disk, in the file itself or, where that has to be parsed or unpacked, in a temporary one, and
    /// comes from there when it is needed, so that a data set may be larger than memory.
    /// </summary>
    public long MemoryLimit { get; init; } = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 8;

    /// <inheritdoc/>
    public DataSchema ReadSchema(DataDescription data)
    {
        ArgumentNullException.ThrowIfNull(data);
        // The columns of generated data follow from the arguments: nothing is sampled.
        DataSchema source = data.Source is GeneratedSource generated ? generated.Schema() : Load(data.Source, null).Schema;
        data.PartSizes(source.Rows!.Value);
        foreach (SplitPart part in data.Split.Where(static p => p.Source is not null))
        {
            LoadPart(data, part, source);
        }

        return source with { Columns = data.Plan(source).Select(static p => p.Result).ToValueList() };
    }

    /// <summary>Reads the data and applies its block.</summary>
    /// <param name="data">What to read.</param>
    /// <param name="weights">
    /// Weights of an earlier run: their statistics normalize in place of the training part's own, and their classes and vocabularies number texts.
    /// </param>
    /// <exception cref="DataFormatException">The data cannot be used, or the block or the statistics do not fit it.</exception>
    public DataSet Read(DataDescription data, Weights? weights = null)
    {
        ArgumentNullException.ThrowIfNull(data);
        SourceRows source = Load(data.Source, weights is null ? null : Known(data, weights));
        ValueList<ColumnPlan> plans = data.Plan(source.Schema);
        List<(string Name, int[] Rows)> parts = Parts(data, source.Schema.Rows!.Value);
        Weights kept = source.Metadata.Aggregate(Weights.Empty, static (w, m) => w.WithMetadata(m.Key, m.Value));
        foreach (ColumnPlan plan in plans)
        {
            kept = plan.Result.ClassNames.Count == 0 ? kept : kept.WithMetadata(ClassesKey(plan.Result.Name), JsonSerializer.Serialize(plan.Result.ClassNames));
        }

        SourceRows trainSource = data.Split.FirstOrDefault(static p => p.Name == DataDescription.Train) is { Source: not null } apart ? LoadPart(data, apart, source.Schema) : source;
        int[]? trainRows = trainSource == source ? parts.First(static p => p.Name == DataDescription.Train).Rows : null;
        for (int i = 0; i < plans.Count; i++)
        {
            if (plans[i].Normalize)
            {
                kept = kept.With(Statistics(data, plans[i].Result, trainRows is null ? trainSource.Values[i] : trainSource.Values[i].Select(trainRows), weights));
            }
        }

        var splits = new List<DataSplit>();
        var own = new Queue<(string Name, int[] Rows)>(parts);
        foreach (SplitPart part in data.Split)
        {
            splits.Add(part.Source is null ? Own(own.Dequeue()) : Split(part.Name, LoadPart(data, part, source.Schema), null));
        }

        splits.AddRange(own.Select(Own));
        DataSchema schema = source.Schema with { Columns = plans.Select(static p => p.Result).ToValueList() };
        return new DataSet(schema.IsWhole ? schema : schema with { Rows = splits.Sum(static s => s.Rows) }, [.. splits], kept) { Augment = data.Augment };

        DataSplit Own((string Name, int[] Rows) part) => Split(part.Name, source, part.Rows);

        DataSplit Split(string name, SourceRows rows, int[]? chosen) => new(
            name, plans.Select((plan, i) => (plan.Result.Name, Transform(plan, Chosen(plan, rows.Values[i], chosen), kept))), rows.Schema.IsWhole);
    }

    /// <summary>The names of the classes of a column that weights were trained on; null where they say nothing of it.</summary>
    internal static ValueList<string>? ClassNames(Weights weights, string column)
    {
        try
        {
            return weights.Metadata.TryGetValue(ClassesKey(column), out string? text) && JsonSerializer.Deserialize<string[]>(text) is { } names ? names.ToValueList() : null;
        }
        catch (JsonException e)
        {
            throw new DataFormatException("weights", $"the metadata '{ClassesKey(column)}' is damaged", "Use the weights as training wrote them", e);
        }
    }

    private static string ClassesKey(string column) => $"data.{column}.classes";

    /// <summary>What weights say of the columns of a source.</summary>
    private static DataSchema? Known(DataDescription data, Weights weights)
    {
        var columns = new List<DataColumn>();
        foreach (string key in weights.Metadata.Keys.Where(static k => k.StartsWith("data.", StringComparison.Ordinal) && k.EndsWith(".classes", StringComparison.Ordinal)))
        {
            string name = key["data.".Length..^".classes".Length];
            string there = data.Rename.FirstOrDefault(r => r.New == name)?.Old ?? name;
            ValueList<string> names = ClassNames(weights, name)!.Value;
            columns.Add(new DataColumn(there, DType.I64, []) { Classes = names.Count, ClassNames = names });
        }

        return columns.Count == 0 ? null : new DataSchema(columns.ToValueList(), null);
    }

    /// <summary>The rows of a part; of what is fed whole all, and the mask says which it is about.</summary>
    private static ColumnRows Chosen(ColumnPlan plan, ColumnRows values, int[]? rows)
    {
        if (!plan.Source.IsWhole)
        {
            return rows is null ? values : values.Select(rows);
        }

        if (plan.Source.Name != GraphFiles.MaskName || rows is null)
        {
            return values;
        }

        var mask = new double[values.Count];
        foreach (int row in rows)
        {
            mask[row] = 1;
        }

        return new TensorRows(Tensor.Create(mask));
    }

    private static List<(string Name, int[] Rows)> Parts(DataDescription data, int rows)
    {
        var order = new int[rows];
        if (data.Shuffle && !data.Source.IsSequence)
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

        var parts = new List<(string, int[])>();
        int at = 0;
        foreach ((string name, int count) in data.PartSizes(rows))
        {
            parts.Add((name, order[at..(at + count)]));
            at += count;
        }

        return parts;
    }

    private static Weights Statistics(DataDescription data, DataColumn column, ColumnRows train, Weights? known)
    {
        (string meanName, string stdName) = (Normalization.MeanName(column.Name), Normalization.StdName(column.Name));
        if (known is null || !known.TryGet(meanName, out Tensor? mean) || !known.TryGet(stdName, out Tensor? std))
        {
            (mean, std) = Normalization.Fit(train);
        }
        else if (!mean.Shape.AsSpan().SequenceEqual(train.Shape.AsSpan()) || !std.Shape.AsSpan().SequenceEqual(mean.Shape.AsSpan()))
        {
            throw new DataFormatException(
                $"data {data.Name}", $"the weights hold {meanName}: {mean.TypeText} and {stdName}: {std.TypeText}, which do not fit the column {column}", "Use the weights that were trained on this data");
        }

        return Weights.Empty.With(meanName, mean).With(stdName, std);
    }

    private static ColumnRows Transform(ColumnPlan plan, ColumnRows values, Weights statistics)
    {
        if (plan.Normalize)
        {
            return new StandardizedRows(values, statistics[Normalization.MeanName(plan.Result.Name)].Cast(DType.F64), statistics[Normalization.StdName(plan.Result.Name)].Cast(DType.F64));
        }

        return plan.OneHot ? new OneHotRows(values, [.. plan.Result.IsWhole ? plan.Result.RowShape.Skip(1) : plan.Result.RowShape]) : values;
    }

    private SourceRows LoadPart(DataDescription data, SplitPart part, DataSchema main)
    {
        if (main.IsWhole)
        {
            throw new DataFormatException($"data {data.Name}", $"split {part.Name}: a graph is fed whole, and its parts are of its own nodes", "Give a fraction or a count");
        }

        SourceRows rows = Load(part.Source!, main);
        bool same = rows.Schema.Columns.Count == main.Columns.Count
            && rows.Schema.Columns.Zip(main.Columns).All(static p => p.First.Name == p.Second.Name && p.First.DType == p.Second.DType && p.First.RowShape == p.Second.RowShape);
        if (!same)
        {
            throw new DataFormatException($"data {data.Name}", $"the part '{part.Name}' has the columns {rows.Schema}, and {data.Source.Name} has {main}", "Give both sources the same columns");
        }

        (DataColumn Other, DataColumn Main) beyond = rows.Schema.Columns.Zip(main.Columns).FirstOrDefault(static p => p.First.Classes > p.Second.Classes);
        return beyond.Other is null ? rows : throw new DataFormatException(
            $"data {data.Name}", $"the part '{part.Name}' has {beyond.Other.Classes} classes in '{beyond.Other.Name}', and {data.Source.Name} has {beyond.Main.Classes}", "Correct the labels");
    }

    // Classes are fixed by the main source, or by weights; another part's are read by them.
    private SourceRows Load(DataSource source, DataSchema? known)
    {
        lock (_lock)
        {
            if (known is null && _read.TryGetValue(source, out SourceRows? before))
            {
                return before;
            }

            SourceRows rows = source switch
            {
                MadeSource made => Made.Sample(made),
                SequenceSource sequence => MadeSequences.Sample(sequence),
                CsvSource csv => Csv.Read(Full(csv.Path), csv, known?.Find("label"), MemoryLimit),
                IdxSource idx => Idx.Read(Full(idx.Images), Full(idx.Labels), MemoryLimit),
                NpzSource npz => Arrays.Read(Full(npz.Path), Npz.Open(Full(npz.Path), MemoryLimit), npz.Columns),
                SafetensorsSource tensors => Arrays.Read(Full(tensors.Path), Safetensors.Open(Full(tensors.Path), MemoryLimit), tensors.Columns),
                JsonlSource jsonl => Jsonl.Read(Full(jsonl.Path), jsonl, known, MemoryLimit),
                ImagesSource images => Images.Read(Full(images.Path), images.Pixels, known?.Find("labels"), MemoryLimit),
                TextSource text => Texts.Read(Full(text.Path), text, known?.Find("tokens"), MemoryLimit),
                GraphSource graph => GraphFiles.Read(Full(graph.Nodes), Full(graph.Edges), graph, known?.Find("label")),
                _ => throw new DataFormatException(source.Name, "nothing here reads this source"),
            };
            if (known is null)
            {
                _read[source] = rows;
            }

            return rows;
        }
    }

    private string Full(string path) => path.Length == 0 ? throw new DataFormatException("data", "the path is empty", "Give the path of a file") : Path.Combine(folder, path);
}
