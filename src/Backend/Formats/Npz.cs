using System.IO.Compression;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Named arrays in an <c>.npz</c> file: a zip archive of <c>.npy</c> files, as <c>numpy.savez</c> and <c>savez_compressed</c> write.</summary>
public static class Npz
{
    private const string Extension = ".npy";

    // Deflate shrinks at most 1032 times, so an entry that claims more lies.
    private const long MostExpansion = 1032;

    /// <summary>Reads all arrays of a file; the names are those of the entries without <c>.npy</c>.</summary>
    /// <exception cref="DataFormatException">The file is missing or damaged, or one of its arrays is.</exception>
    public static IReadOnlyDictionary<string, Tensor> Read(string path) => Read(path, Npy.Read);

    /// <summary>The arrays of a file, of which more than the limit stays on the disk.</summary>
    internal static IEnumerable<StoredArray> Open(string path, long memory) =>
        Read(path, (content, where, length) => StoredArray.From(content, where, length, memory)).Select(static a => a.Value with { Name = a.Key });

    private static Dictionary<string, T> Read<T>(string path, Func<Stream, string, long, T> read) => Files.Read(path, stream =>
    {
        var arrays = new Dictionary<string, T>(StringComparer.Ordinal);
        string where = path;
        try
        {
            using var archive = new ZipArchive(stream, ZipArchiveMode.Read, leaveOpen: true);
            foreach (ZipArchiveEntry entry in archive.Entries)
            {
                where = $"{path}:{entry.FullName}";
                if (!entry.FullName.EndsWith(Extension, StringComparison.Ordinal))
                {
                    throw new DataFormatException(where, "this entry is no .npy array", "Write the file with numpy.savez");
                }

                if (entry.Length > entry.CompressedLength * MostExpansion + MostExpansion)
                {
                    throw new DataFormatException(where, $"the entry claims {entry.Length} bytes from {entry.CompressedLength}", "Write the file again");
                }

                using Stream content = entry.Open();
                if (!arrays.TryAdd(entry.FullName[..^Extension.Length], read(content, where, entry.Length)))
                {
                    throw new DataFormatException(where, "two entries have this name", "Write the file again");
                }
            }

            return arrays;
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or NotSupportedException)
        {
            throw new DataFormatException(where, $"not a readable zip archive: {e.Message.TrimEnd('.')}", "Write the file again with numpy.savez", e);
        }
    });

    /// <summary>Writes the arrays uncompressed, in their order; the same arrays give the same bytes.</summary>
    /// <exception cref="DataFormatException">The file cannot be written, or two arrays have one name.</exception>
    public static void Write(string path, IEnumerable<KeyValuePair<string, Tensor>> arrays)
    {
        ArgumentNullException.ThrowIfNull(arrays);
        Files.Write(path, stream =>
        {
            var names = new HashSet<string>(StringComparer.Ordinal);
            using var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true);
            foreach ((string name, Tensor tensor) in arrays)
            {
                if (!names.Add(name))
                {
                    throw new DataFormatException(path, $"two arrays are called '{name}'", "Give each a name of its own");
                }

                ZipArchiveEntry entry = archive.CreateEntry(name + Extension, CompressionLevel.NoCompression);
                entry.LastWriteTime = new DateTimeOffset(1980, 1, 1, 0, 0, 0, TimeSpan.Zero);
                using Stream content = entry.Open();
                Npy.Write(content, tensor);
            }
        });
    }
}
