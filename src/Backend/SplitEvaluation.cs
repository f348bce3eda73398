using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Losses and metrics of a split: averages over rows of what batches give, and figures of all rows together.</summary>
internal sealed class SplitEvaluation
{
    private readonly Session batch;
    private readonly Session? whole;
    private readonly string[] names;
    private readonly int averages;

    public SplitEvaluation(Model model, PlanOptions options)
    {
        var (each, all) = TrainingStep.EvaluationOfSplit(model);
        batch = new Session(each.Simplify(model.Provenance), options);
        whole = all is null ? null : new Session(all.Simplify(model.Provenance), options);
        averages = each.Outputs.Length - (all?.Inputs.Length ?? 0);
        names = [TrainingStep.LossName, .. model.Losses.Length > 1 ? model.Losses.Select(l => l.Name) : [], .. model.Metrics.Select(m => m.Name)];
    }

    public IReadOnlyList<KeyValuePair<string, double>> Run(Weights weights, DataSplit split, Feeder feeder, int size)
    {
        var rows = new Batches(split.Rows, size, 0, shuffle: false);
        var columns = new List<Tensor>[batch.Program.Outputs.Length - averages];
        for (var k = 0; k < columns.Length; k++)
            columns[k] = [];
        var totals = new double[averages];
        feeder.Prepare(batch, split, rows.Size);
        Trainer.Share(weights, batch);
        for (var i = 0; i < rows.Count; i++)
        {
            feeder.Feed(batch, split, rows[i]);
            feeder.Run(batch, split, rows[i]);
            for (var k = 0; k < averages; k++)
                totals[k] += batch.ReadScalar(k) * rows[i].Length;
            for (var k = 0; k < columns.Length; k++)
                columns[k].Add(batch.GetOutput(averages + k));
        }

        var values = totals.Select((t, k) => KeyValuePair.Create(batch.Program.Outputs[k].Name, t / split.Rows)).ToDictionary();
        if (whole is not null)
            AddWhole(columns, values);
        return [.. names.Select(n => KeyValuePair.Create(n, values[n]))];
    }

    private void AddWhole(List<Tensor>[] columns, Dictionary<string, double> values)
    {
        var sizes = new Dictionary<string, long>();
        var joined = columns.Select(Join).ToArray();
        for (var k = 0; k < joined.Length; k++)
            Unifier.Bind(sizes, whole!.Program.Inputs[k].Value.Shape, joined[k].Shape.AsSpan(), whole.Program.Inputs[k].Name);
        whole!.Prepare(sizes);
        for (var k = 0; k < joined.Length; k++)
            whole.SetInput(whole.Program.Inputs[k].Name, joined[k]);
        whole.Run();
        for (var k = 0; k < whole.Program.Outputs.Length; k++)
            values[whole.Program.Outputs[k].Name] = whole.ReadScalar(k);
    }

    /// <summary>Rows one batch after the other.</summary>
    private static Tensor Join(List<Tensor> parts)
    {
        if (parts is [var only])
            return only;
        int[] shape = [parts.Sum(p => p.Shape[0]), .. parts[0].Shape.Skip(1)];
        return parts[0].DType switch
        {
            DType.F32 => Joined<float>(),
            DType.F64 => Joined<double>(),
            DType.I64 => Joined<long>(),
            _ => Joined<bool>(),
        };

        Tensor Joined<T>()
            where T : unmanaged
        {
            var all = new T[parts.Sum(p => p.Length)];
            var next = 0;
            foreach (var part in parts)
            {
                part.AsSpan<T>().CopyTo(all.AsSpan(next));
                next += (int)part.Length;
            }

            return Tensor.Create(all, shape);
        }
    }
}
