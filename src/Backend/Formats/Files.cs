using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Reads and writes whole files; what goes wrong is a <see cref="DataFormatException"/> with the file's path.</summary>
internal static class Files
{
    private const int BufferSize = 1 << 16;

    public static T Read<T>(string path, Func<Stream, T> read)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, BufferSize, FileOptions.SequentialScan);
            if (file.CanSeek)
            {
                return read(file);
            }

            // A pipe: its length is known when it has ended.
            using var memory = new MemoryStream();
            file.CopyTo(memory);
            memory.Position = 0;
            return read(memory);
        }
        catch (Exception e) when (e is UnauthorizedAccessException || (e is IOException && !(e is FileNotFoundException && File.Exists(path))))
        {
            // A file that is there and not found is an assembly that reading needs: no fault of the data.
            throw Explain(path, "read", e);
        }
    }

    /// <summary>As <see cref="Read"/>; what is gzipped is unpacked.</summary>
    public static T ReadUnpacked<T>(string path, Func<Stream, T> read) => Read(path, stream =>
    {
        bool isPacked = stream.ReadByte() == 0x1f && stream.ReadByte() == 0x8b;
        stream.Position = 0;
        if (!isPacked)
        {
            return read(stream);
        }

        try
        {
            using var unpacked = new System.IO.Compression.GZipStream(stream, System.IO.Compression.CompressionMode.Decompress, leaveOpen: true);
            return read(unpacked);
        }
        catch (InvalidDataException e)
        {
            throw new DataFormatException(path, $"the gzip file is damaged: {e.Message.TrimEnd('.')}", "Download it again", e);
        }
    });

    /// <summary>
    /// Replaces the file at once: the bytes go to a temporary file in the same folder, to the disk, and then take the name, so that a
    /// reader finds the old file or the new one, whatever happens meanwhile. A link is followed; devices are written directly.
    /// </summary>
    public static void Write(string path, Action<Stream> write)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string? temporary = null;
        try
        {
            string full = Path.GetFullPath(path);
            if (full.StartsWith("/dev/", StringComparison.Ordinal) && !full.StartsWith("/dev/shm/", StringComparison.Ordinal))
            {
                using var device = new FileStream(full, FileMode.Open, FileAccess.Write);
                write(device);
                return;
            }

            if (Directory.Exists(full))
            {
                throw new DataFormatException(path, "this is a folder", "Give the name of a file");
            }

            string target = new FileInfo(full) is { LinkTarget: not null } link ? link.ResolveLinkTarget(returnFinalTarget: true)!.FullName : full;
            string name = Path.Combine(Path.GetDirectoryName(target)!, $".{Path.GetFileName(target)}.{Path.GetRandomFileName()}.tmp");
            using (var file = new FileStream(name, FileMode.CreateNew, FileAccess.Write, FileShare.None, BufferSize))
            {
                temporary = name;
                write(file);
                file.Flush(flushToDisk: true);
            }

            File.Move(name, target, overwrite: true);
            temporary = null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Explain(path, "write", e);
        }
        finally
        {
            if (temporary is not null)
            {
                File.Delete(temporary);
            }
        }
    }

    private static DataFormatException Explain(string path, string verb, Exception e) => e switch
    {
        EndOfStreamException => new(path, "the file ends early", "Write or download it again", e),
        DirectoryNotFoundException or FileNotFoundException when DebianPackage(path) is { } package => new(path, "there is no such file", $"Install the Debian package that has it (apt install {package}), or give another path", e),
        DirectoryNotFoundException => new(path, "the folder does not exist", "Create it, or correct the path", e),
        FileNotFoundException => new(path, "there is no such file", Similar(path), e),
        UnauthorizedAccessException when Directory.Exists(path) => new(path, "this is a folder", "Give the name of a file", e),
        UnauthorizedAccessException => new(path, $"no permission to {verb} it", "Change its permissions, or give another path", e),
        _ => new(path, $"cannot {verb} it: {e.Message.TrimEnd('.')}", null, e),
    };

    /// <summary>The package that puts data where the path says, by Debian's custom of names.</summary>
    private static string? DebianPackage(string path) => path.Split('/') switch
    {
        ["", "usr", "share", "datasets", var name, _, ..] => $"dataset-{name}",
        ["", "usr", "share", "dictd", var file] => $"dict-{file.Split('.')[0]}",
        _ => null,
    };

    private static string Similar(string path)
    {
        string name = Path.GetFileName(path);
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        string? near = Suggestion.Closest(name, Directory.EnumerateFiles(folder).Take(1000).Select(Path.GetFileName).OfType<string>());
        return near is null ? "Correct the path" : $"Did you mean '{near}'?";
    }
}
