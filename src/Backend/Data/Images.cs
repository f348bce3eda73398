using Dnn.Graph;
using StbImageSharp;

namespace Dnn.Backend;

/// <summary>Reads an <see cref="ImagesSource"/>. What does not fit in memory is decoded when it is asked for.</summary>
internal static class Images
{
    private static readonly string[] _endings = [".png", ".jpg", ".jpeg", ".bmp", ".gif"];

    public static SourceRows Read(string folder, DataColumn? known)
    {
        (string[] classes, List<(string Path, int Label)> files) = Find(folder);
        if (known is { ClassNames.Count: > 0 })
        {
            string[] names = [.. known.ClassNames];
            files = [.. files.Select(f => (f.Path, Array.IndexOf(names, classes[f.Label]) is >= 0 and var k ? k
                : throw new DataFormatException(folder, $"the class '{classes[f.Label]}' is not one of the training data's", Suggestion.Sentence(classes[f.Label], names))))];
            classes = names;
        }

        (int height, int width, int channels) = Sizes(files);
        long bytes = (long)files.Count * height * width * channels;
        var rows = new ImageRows([.. files.Select(static f => f.Path)], height, width, channels);
        ColumnRows images = rows;
        if (bytes <= Math.Min(Array.MaxLength, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 8))
        {
            images = new ByteRows(rows.Decode(), files.Count, [height, width, channels]);
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

    private static (int Height, int Width, int Channels) Sizes(List<(string Path, int Label)> files)
    {
        (int Height, int Width) size = default;
        int channels = 1;
        foreach ((string path, _) in files)
        {
            ImageInfo info = Files.Read(path, ImageInfo.FromStream) ?? throw Damaged(path, null);
            if (size == default)
            {
                size = (info.Height, info.Width);
            }
            else if (size != (info.Height, info.Width))
            {
                throw new DataFormatException(path, $"it has {info.Width}×{info.Height} pixels, and {files[0].Path} has {size.Width}×{size.Height}", "Give all images one size");
            }

            channels = info.ColorComponents is ColorComponents.Grey or ColorComponents.GreyAlpha ? channels : 3;
        }

        return (size.Height, size.Width, channels);
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
                new ByteRows(Decode(rows[i]), 1, Shape).Fill([0], to.Slice(i * bytes, bytes), type);
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
                byte[] pixels = ImageResult.FromMemory(packed, channels == 1 ? ColorComponents.Grey : ColorComponents.RedGreenBlue).Data;
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
