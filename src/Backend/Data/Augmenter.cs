using System.Numerics;
using System.Runtime.InteropServices;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>
/// Changes rows of the training part before they are trained on. What happens to a row is a function of seed, epoch and the row's place in its
/// part, so that a resumed run sees the same. All images of a row turn and move alike.
/// </summary>
internal sealed class Augmenter
{
    private readonly Augmentation[] steps;
    private readonly DataSchema schema;
    private readonly long seed;
    private byte[] scratch = [];

    public Augmenter(ValueList<Augmentation> steps, DataSchema schema, long seed)
    {
        this.steps = [.. steps];
        this.schema = schema;
        this.seed = seed;
    }

    /// <summary>Changes the rows of a batch of one column in place.</summary>
    /// <param name="name">The column.</param>
    /// <param name="rows">Which rows they are.</param>
    /// <param name="epoch">Picks the changes, with the rows.</param>
    /// <param name="batch">A dense tensor [rows.Length, …].</param>
    /// <param name="type">f32 or f64; columns of other types stay.</param>
    public void Apply(string name, ReadOnlySpan<int> rows, long epoch, Span<byte> batch, DType type)
    {
        if (type == DType.F32)
        {
            Apply(name, rows, epoch, MemoryMarshal.Cast<byte, float>(batch));
        }
        else if (type == DType.F64)
        {
            Apply(name, rows, epoch, MemoryMarshal.Cast<byte, double>(batch));
        }
    }

    private void Apply<T>(string name, ReadOnlySpan<int> rows, long epoch, Span<T> batch) where T : unmanaged, IFloatingPoint<T>
    {
        DataColumn column = schema.Find(name)!;
        for (int step = 0; step < steps.Length; step++)
        {
            if (!steps[step].AppliesTo(column))
            {
                continue;
            }

            ulong key = Philox.Fold(DataRandom.Key(RandomUse.Augmentation, seed, epoch), (ulong)step);
            int width = batch.Length / rows.Length;
            for (int i = 0; i < rows.Length; i++)
            {
                Span<T> row = batch.Slice(i * width, width);
                switch (steps[step])
                {
                    case FlipAugmentation flip when DataRandom.Below(key, rows[i], 2) == 1:
                        Flip(row, column.RowShape[0], column.RowShape[1], column.RowShape[2], flip.Vertical);
                        break;
                    case CropAugmentation crop:
                        int down = DataRandom.Below(key, 2L * rows[i], (2 * crop.Padding) + 1) - crop.Padding;
                        int right = DataRandom.Below(key, (2L * rows[i]) + 1, (2 * crop.Padding) + 1) - crop.Padding;
                        Move(row, column.RowShape[0], column.RowShape[1], column.RowShape[2], down, right);
                        break;
                    case NoiseAugmentation noise:
                        AddNoise(row, Philox.Fold(Philox.Fold(key, (ulong)StableHash.Of64(name)), (ulong)rows[i]), noise.Deviation);
                        break;
                }
            }
        }
    }

    private static void Flip<T>(Span<T> image, int height, int width, int channels, bool vertical) where T : unmanaged
    {
        int line = width * channels;
        if (vertical)
        {
            for (int top = 0, bottom = height - 1; top < bottom; top++, bottom--)
            {
                Swap(image.Slice(top * line, line), image.Slice(bottom * line, line));
            }

            return;
        }

        for (int y = 0; y < height; y++)
        {
            for (int left = 0, right = width - 1; left < right; left++, right--)
            {
                Swap(image.Slice((y * line) + (left * channels), channels), image.Slice((y * line) + (right * channels), channels));
            }
        }
    }

    private static void Swap<T>(Span<T> a, Span<T> b)
    {
        for (int i = 0; i < a.Length; i++)
        {
            (a[i], b[i]) = (b[i], a[i]);
        }
    }

    private void Move<T>(Span<T> image, int height, int width, int channels, int down, int right) where T : unmanaged
    {
        Span<byte> bytes = MemoryMarshal.AsBytes(image);
        if (scratch.Length < bytes.Length)
        {
            scratch = new byte[bytes.Length];
        }

        bytes.CopyTo(scratch);
        ReadOnlySpan<T> before = MemoryMarshal.Cast<byte, T>(scratch.AsSpan(0, bytes.Length));
        image.Clear();
        int line = width * channels, count = Math.Max(0, width - Math.Abs(right)) * channels;
        for (int y = Math.Max(0, down); y < Math.Min(height, height + down); y++)
        {
            before.Slice(((y - down) * line) + (Math.Max(0, -right) * channels), count).CopyTo(image.Slice((y * line) + (Math.Max(0, right) * channels), count));
        }
    }

    private static void AddNoise<T>(Span<T> values, ulong key, double deviation) where T : unmanaged, IFloatingPoint<T>
    {
        for (int i = 0; i < values.Length; i += 2)
        {
            (double a, double b) = DataRandom.Normal(key, i / 2);
            values[i] += T.CreateSaturating(deviation * a);
            if (i + 1 < values.Length)
            {
                values[i + 1] += T.CreateSaturating(deviation * b);
            }
        }
    }
}
