using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Samples a <see cref="SequenceSource"/>: row i is a function of the seed and i alone.</summary>
internal static class MadeSequences
{
    public static SourceRows Sample(SequenceSource source)
    {
        DataSchema schema = source.Schema();
        ulong key = DataRandom.Key(RandomUse.Sequence, source.Seed);
        return new SourceRows(schema, source switch
        {
            SineWaveSource wave => Waves(wave, key),
            CopyTaskSource copy => Copies(copy, key),
            ReverseTaskSource reverse => Reversals(reverse, key),
            _ => throw new ArgumentOutOfRangeException(nameof(source), source.Name, "no way to sample it"),
        });
    }

    private static Tensor[] Waves(SineWaveSource source, ulong key)
    {
        int n = source.Samples, length = source.Length;
        double[] x = new double[n * length], y = new double[n * length];
        ulong noise = DataRandom.Key(RandomUse.Noise, source.Seed);
        for (int i = 0; i < n; i++)
        {
            (double u, double v) = DataRandom.Uniform(key, i);
            double phase = 2 * Math.PI * u, step = 2 * Math.PI / (source.Shortest + ((source.Longest - source.Shortest) * v));
            for (int t = 0, at = i * length; t < length; t++, at++)
            {
                x[at] = Math.Sin((step * t) + phase) + (source.Noise == 0 ? 0 : source.Noise * DataRandom.Normal(noise, at).Item1);
                y[at] = Math.Sin((step * (t + 1)) + phase);
            }
        }

        return [Tensor.Create(x, n, length, 1), Tensor.Create(y, n, length, 1)];
    }

    private static Tensor[] Copies(CopyTaskSource source, ulong key)
    {
        int n = source.Samples, length = source.Length, steps = source.Steps;
        long[] x = new long[n * steps], y = new long[n * steps];
        for (int i = 0; i < n; i++)
        {
            for (int t = 0; t < length; t++)
            {
                long symbol = 1 + DataRandom.Below(key, ((long)i * length) + t, source.Alphabet);
                x[(i * steps) + t] = symbol;
                y[(i * steps) + length + source.Delay + t] = symbol;
            }

            x[(i * steps) + length + source.Delay - 1] = source.Alphabet + 1;
        }

        return [Tensor.Create(x, n, steps), Tensor.Create(y, n, steps)];
    }

    private static Tensor[] Reversals(ReverseTaskSource source, ulong key)
    {
        int n = source.Samples, length = source.Length;
        long[] x = new long[n * length], previous = new long[n * length], y = new long[n * length];
        for (int i = 0; i < n; i++)
        {
            Span<long> row = x.AsSpan(i * length, length), reversed = y.AsSpan(i * length, length);
            for (int t = 0; t < length; t++)
            {
                row[t] = 1 + DataRandom.Below(key, ((long)i * length) + t, source.Alphabet);
            }

            row.CopyTo(reversed);
            reversed.Reverse();
            reversed[..^1].CopyTo(previous.AsSpan((i * length) + 1, length - 1));
        }

        return [Tensor.Create(x, n, length), Tensor.Create(previous, n, length), Tensor.Create(y, n, length)];
    }
}
