using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Samples a <see cref="MadeSource"/>. Noise and order are pure functions of the seed (<see cref="DataRandom"/>).</summary>
internal static class Made
{
    public static SourceRows Sample(MadeSource source)
    {
        DataSchema schema = source.Schema();
        int n = source.Samples, classes = source.ClassCount;
        var order = new int[n];
        DataRandom.Permute(RandomUse.Order, source.Seed, 0, order);
        ulong noise = DataRandom.Key(RandomUse.Noise, source.Seed);
        var x = new double[2 * n];
        var y = new long[n];
        for (int i = 0, label = 0, first = 0, size = Size(0); i < n; i++)
        {
            while (i - first == size)
            {
                first += size;
                size = Size(++label);
            }

            // xor goes through its corners in turn; elsewhere the classes come one after another.
            (double px, double py, int k) = source is XorSource ? Corner(i) : Point(source, label, i - first, size);
            (double dx, double dy) = DataRandom.Normal(noise, i);
            x[2 * order[i]] = px + source.Noise * dx;
            x[2 * order[i] + 1] = py + source.Noise * dy;
            y[order[i]] = k;
        }

        Tensor labels = Tensor.Create(y);
        return new SourceRows(schema, [Tensor.Create(x, n, 2), classes == 2 ? labels.Cast(DType.F64).Reshape(n, 1) : labels]);

        int Size(int label) => n / classes + (label < n % classes ? 1 : 0);
    }

    private static (double X, double Y, int Label) Corner(int i) => (i % 4) switch
    {
        0 => (0, 0, 0),
        1 => (1, 1, 0),
        2 => (0, 1, 1),
        _ => (1, 0, 1),
    };

    // Point i of the class's n.
    private static (double X, double Y, int Label) Point(MadeSource source, int label, int i, int n)
    {
        double along = n == 1 ? 0 : i / (n - 1.0);
        switch (source)
        {
            case TwoMoonsSource:
                (double sin, double cos) = Math.SinCos(Math.PI * along);
                return label == 0 ? (cos, sin, 0) : (1 - cos, 0.5 - sin, 1);
            case CirclesSource circles:
                (sin, cos) = Math.SinCos(2 * Math.PI * i / n);
                return label == 0 ? (cos, sin, 0) : (circles.Factor * cos, circles.Factor * sin, 1);
            case SpiralsSource spirals:
                (sin, cos) = Math.SinCos(2 * Math.PI * (spirals.Turns * along + (double)label / spirals.Classes));
                return (along * cos, along * sin, label);
            case BlobsSource blobs:
                (sin, cos) = Math.SinCos(2 * Math.PI * label / blobs.Classes);
                return (5 * cos, 5 * sin, label);
            default:
                throw new ArgumentOutOfRangeException(nameof(source), source.Name, "no way to sample it");
        }
    }
}
