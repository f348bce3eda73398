using Dnn.Graph;
using StbImageSharp;

namespace Dnn.Backend;

/// <summary>Reads an <see cref="ImagesSource"/>. What does not fit in memory is decoded when it is asked for.</summary>
internal static class Images
{
    private static readonly string[] _endings = [".png", ".jpg", ".jpeg", ".bmp", ".gif"];

    /// <param name="folder">The folder of folders.</param>
    /// <param name="size">Height and width; null for those that all have.</param>
    /// <param name="known">The classes where other data have fixed them.</param>
    /// <param name="memory">The most bytes of pixels that are held in memory.</param>
    public static SourceRows Read(string folder, (int Height, int Width)? size, DataColumn? known, long memory)
    {
        (string[] classes, List<(string Path, int Label)> files) = Find(folder);
        if (known is { ClassNames.Count: > 0 })
        {
            string[] names = [.. known.ClassNames];
            files = [.. files.Select(f => (f.Path, Array.IndexOf(names, classes[f.Label]) is >= 0 and var k ? k
                : throw new DataFormatException(folder, $"the class '{classes[f.Label]}' is not one of the training data's", Suggestion.Sentence(classes[f.Label], names))))];
            classes = names;
        }

        (int height, int width, int channels) = Sizes(files, size);
        long bytes = (long)files.Count * height * width * channels;
        var rows = new ImageRows([.. files.Select(static f => f.Path)], height, width, channels);
        ColumnRows images = rows;
        if (bytes <= Math.Min(Array.MaxLength, memory))
        {
            images = new ByteRows(new MemoryBytes(rows.Decode(), bytes), 0, files.Count, [height, width, channels]);
        }

        var schema = new DataSchema(
            [
                new DataColumn("images", DType.Float, [height, width, channels]),
                new DataColumn("labels", DType.I64, []) { IsTarget = true, Classes = classes.Length, ClassNames = classes.ToValueList() },
            ],
            files.Count);
        return new SourceRows(schema, [images, new TensorRows(Tensor.Create([.. files.Select(static f => (long)f.Label)]))]);
    }

    private static (string[] Classes, List<(string Path, int Label)> Files) Find(string folder)
    {
        try
        {
            string[] folders = [.. Directory.GetDirectories(folder).Order(StringComparer.Ordinal)];
            if (folders.Length == 0)
            {
                throw new DataFormatException(folder, "there is no folder in it", "Put the images of each class into a folder of its own, called like the class");
            }

            var files = new List<(string, int)>();
            for (int i = 0; i < folders.Length; i++)
            {
                int before = files.Count;
                files.AddRange(Directory.GetFiles(folders[i]).Where(static f => _endings.Contains(Path.GetExtension(f).ToLowerInvariant())).Order(StringComparer.Ordinal).Select(f => (f, i)));
                if (files.Count == before)
                {
                    throw new DataFormatException(folders[i], $"there is no image in it ({string.Join(", ", _endings)})", "Put some there, or remove the folder");
                }
            }

            return ([.. folders.Select(static f => Path.GetFileName(f))], files);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DataFormatException(folder, File.Exists(folder) ? "this is a file" : e is UnauthorizedAccessException ? "no permission to read this folder" : "there is no such folder", "Give the folder that holds a folder for each class", e);
        }
    }

    private static (int Height, int Width, int Channels) Sizes(List<(string Path, int Label)> files, (int Height, int Width)? wanted)
    {
        (int Height, int Width) size = wanted ?? default;
        int channels = 1;
        foreach ((string path, _) in files)
        {
            ImageInfo info = Files.Read(path, ImageInfo.FromStream) ?? throw Damaged(path, null);
            if (size == default)
            {
                size = (info.Height, info.Width);
            }
            else if (wanted is null && size != (info.Height, info.Width))
            {
                throw new DataFormatException(path, $"it has {info.Width}×{info.Height} pixels, and {files[0].Path} has {size.Width}×{size.Height}", $"Bring all to one size: images(path, size = ({size.Height}, {size.Width}))");
            }

            channels = info.ColorComponents is ColorComponents.Grey or ColorComponents.GreyAlpha ? channels : 3;
        }

        return (size.Height, size.Width, channels);
    }

    /// <summary>
    /// [outer, from, inner] as [outer, to, inner]: each place takes from those around its centre by a triangle that is as wide as what becomes one place, at least one to each
    /// side.
    /// </summary>
    private static byte[] Resized(byte[] pixels, int outer, int from, int to, int inner)
    {
        if (from == to)
        {
            return pixels;
        }

        var result = new byte[outer * to * inner];
        double scale = (double)from / to, reach = Math.Max(1, scale);
        for (int i = 0; i < to; i++)
        {
            double centre = (i + 0.5) * scale;
            int first = Math.Max(0, (int)Math.Floor(centre - reach)), last = Math.Min(from - 1, (int)Math.Ceiling(centre + reach) - 1);
            double[] weights = [.. Enumerable.Range(first, last - first + 1).Select(j => Math.Max(0, 1 - (Math.Abs(j + 0.5 - centre) / reach)))];
            double total = weights.Sum();
            for (int o = 0; o < outer; o++)
            {
                for (int k = 0; k < inner; k++)
                {
                    double sum = 0;
                    for (int j = first; j <= last; j++)
                    {
                        sum += weights[j - first] * pixels[(((o * from) + j) * inner) + k];
                    }

                    result[(((o * to) + i) * inner) + k] = (byte)Math.Round(sum / total);
                }
            }
        }

        return result;
    }

    private static DataFormatException Damaged(string path, Exception? e) =>
        new(path, "this image cannot be decoded", "Save it again as PNG, or take it out", e);

    /// <summary>Images on the disk.</summary>
    private sealed class ImageRows(string[] paths, int height, int width, int channels) : ColumnRows(DType.F32, paths.Length, [height, width, channels])
    {
        public override bool IsSlow => true;

        public override void Fill(ReadOnlySpan<int> rows, Span<byte> to, DType type)
        {
            int bytes = Width * SizeOf(type);
            for (int i = 0; i < rows.Length; i++)
            {
                new ByteRows(new MemoryBytes(Decode(rows[i]), Width), 0, 1, Shape).Fill([0], to.Slice(i * bytes, bytes), type);
            }
        }

        /// <summary>All pixels.</summary>
        public byte[] Decode()
        {
            var pixels = new byte[Count * Width];
            for (int i = 0; i < Count; i++)
            {
                Decode(i).CopyTo(pixels.AsSpan(i * Width, Width));
            }

            return pixels;
        }

        private byte[] Decode(int row)
        {
            byte[] packed = Files.Read(paths[row], static stream =>
            {
                var bytes = new byte[stream.Length];
                stream.ReadExactly(bytes);
                return bytes;
            });
            try
            {
                ImageResult image = ImageResult.FromMemory(packed, channels == 1 ? ColorComponents.Grey : ColorComponents.RedGreenBlue);
                byte[] pixels = Resized(Resized(image.Data, 1, image.Height, height, image.Width * channels), height, image.Width, width, channels);
                return pixels.Length == Width ? pixels : throw Damaged(paths[row], null);
            }
            catch (Exception e) when (e is not (DataFormatException or OutOfMemoryException))
            {
                // The decoder says what it does not like in exceptions of several types.
                throw Damaged(paths[row], e);
            }
        }
    }
}
