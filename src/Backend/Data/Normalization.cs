using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>
/// Standardizes a column by feature: (x − mean) / std, with the statistics of the training part. std is √(Σ(x − mean)² / n); a feature that
/// is constant there keeps its scale (std 1).
/// </summary>
public static class Normalization
{
    /// <summary>The name under which a column's mean is kept.</summary>
    public static string MeanName(string column) => $"data.{column}.mean";

    /// <summary>The name under which a column's standard deviation is kept.</summary>
    public static string StdName(string column) => $"data.{column}.std";

    /// <summary>Mean and standard deviation over the rows of a float tensor [N, …], each f64 of shape […]; N is at least 1.</summary>
    public static (Tensor Mean, Tensor Std) Fit(Tensor rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        return Fit(new TensorRows(rows));
    }

    internal static (Tensor Mean, Tensor Std) Fit(ColumnRows rows)
    {
        int n = rows.Count, width = rows.Width;
        int[] shape = [.. rows.Shape];
        var first = new double[width];
        var mean = new double[width];
        var std = new double[width];
        var constant = new bool[width];
        Array.Fill(constant, true);
        int seen = 0;
        rows.Visit(memory =>
        {
            ReadOnlySpan<double> row = memory.Span;
            if (seen++ == 0)
            {
                row.CopyTo(first);
            }

            for (int j = 0; j < width; j++)
            {
                mean[j] += row[j];
                constant[j] &= row[j] == first[j];
            }
        });

        for (int j = 0; j < width; j++)
        {
            // Exactly the value, where the sum has rounded.
            mean[j] = constant[j] ? first[j] : mean[j] / n;
        }

        rows.Visit(memory =>
        {
            ReadOnlySpan<double> row = memory.Span;
            for (int j = 0; j < width; j++)
            {
                std[j] += (row[j] - mean[j]) * (row[j] - mean[j]);
            }
        });

        for (int j = 0; j < width; j++)
        {
            // The squares of a feature that is not constant vanish where it is below 1e-162.
            std[j] = std[j] > 0 ? Math.Sqrt(std[j] / n) : 1;
        }

        return (Tensor.Create(mean, shape), Tensor.Create(std, shape));
    }

    /// <summary>Applies (x − mean) / std to every row, in f64.</summary>
    /// <exception cref="ArgumentException">Mean and std are not of the rows' shape.</exception>
    public static Tensor Apply(Tensor rows, Tensor mean, Tensor std)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentNullException.ThrowIfNull(mean);
        ArgumentNullException.ThrowIfNull(std);
        if (!rows.Shape.AsSpan(1..).SequenceEqual(mean.Shape.AsSpan()) || !mean.Shape.AsSpan().SequenceEqual(std.Shape.AsSpan()))
        {
            throw new ArgumentException($"mean {mean.TypeText} and std {std.TypeText} are not of the rows of {rows.TypeText}");
        }

        return new StandardizedRows(new TensorRows(rows), mean.Cast(DType.F64), std.Cast(DType.F64)).ToTensor();
    }
}
