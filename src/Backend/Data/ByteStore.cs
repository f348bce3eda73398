using Dnn.Graph;
using Microsoft.Win32.SafeHandles;

namespace Dnn.Backend;

/// <summary>Bytes that are read in any order, by any thread: in memory, or where they are too many for that, in a file.</summary>
internal abstract class ByteStore
{
    public abstract long Length { get; }

    /// <summary>Whether bytes come from the disk.</summary>
    public abstract bool IsSlow { get; }

    /// <summary>As many bytes as the scratch has room for: themselves where they are in memory, else read into it.</summary>
    /// <param name="start">The first one.</param>
    /// <param name="scratch">Memory for them.</param>
    public abstract ReadOnlySpan<byte> Read(long start, Span<byte> scratch);

    /// <summary>The content of a file, of which more than the limit stays on the disk.</summary>
    /// <param name="path">The file.</param>
    /// <param name="memory">The most bytes that are held in memory.</param>
    /// <param name="unpack">Whether what is gzipped is unpacked; beyond the limit, into a temporary file.</param>
    public static ByteStore Of(string path, long memory, bool unpack = true)
    {
        ByteStore From(Stream stream) => ByteStore.From(stream, path, memory);
        return unpack ? Files.ReadUnpacked(path, From) : Files.Read(path, From);
    }

    private static ByteStore From(Stream stream, string path, long memory)
    {
        if (stream is FileStream { CanSeek: true } file && file.Length > Math.Min(memory, Array.MaxLength))
        {
            return new FileBytes(File.OpenHandle(path), path, file.Length);
        }

        var builder = new ByteStoreBuilder(memory);
        builder.Append(stream);
        return builder.Complete();
    }
}

/// <summary>Takes bytes one after another; those beyond a limit go to a temporary file that is gone when the process ends.</summary>
/// <param name="memory">The most bytes that are held in memory.</param>
internal sealed class ByteStoreBuilder(long memory)
{
    private readonly long limit = Math.Min(memory, Array.MaxLength);
    private MemoryStream held = new();
    private FileStream? file;

    /// <exception cref="DataFormatException">The folder for temporary files cannot be written to.</exception>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (file is null && held.Length + bytes.Length <= limit)
        {
            held.Write(bytes);
            return;
        }

        try
        {
            if (file is null)
            {
                held.WriteTo(file = Temporary());
                held = new MemoryStream();
            }

            file.Write(bytes);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Full(e);
        }
    }

    /// <summary>All that is left of a stream.</summary>
    public void Append(Stream stream)
    {
        var buffer = new byte[1 << 16];
        while (stream.Read(buffer) is > 0 and var n)
        {
            Append(buffer.AsSpan(0, n));
        }
    }

    public ByteStore Complete()
    {
        if (file is null)
        {
            return new MemoryBytes(held.GetBuffer(), held.Length);
        }

        try
        {
            file.Flush();
            return new FileBytes(file.SafeFileHandle, file.Name, file.Length);
        }
        catch (IOException e)
        {
            throw Full(e);
        }
    }

    private static FileStream Temporary()
    {
        string path = Path.Combine(Path.GetTempPath(), $"dnn-{Path.GetRandomFileName()}");
        var file = new FileStream(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 20, OperatingSystem.IsWindows() ? FileOptions.DeleteOnClose : FileOptions.None);
        if (!OperatingSystem.IsWindows())
        {
            // Without a name, a file ends with the last process that has it open, however that ends.
            File.Delete(path);
        }

        return file;
    }

    private static DataFormatException Full(Exception e) =>
        new(Path.GetTempPath(), $"data larger than memory are kept in a temporary file here, and it cannot be written: {e.Message.TrimEnd('.')}", "Make room, or name another folder in the variable TMPDIR", e);
}

internal sealed class MemoryBytes(byte[] bytes, long length) : ByteStore
{
    public override long Length => length;

    public override bool IsSlow => false;

    public override ReadOnlySpan<byte> Read(long start, Span<byte> scratch) => bytes.AsSpan((int)start, scratch.Length);
}

internal sealed class FileBytes(SafeFileHandle handle, string path, long length) : ByteStore
{
    public override long Length => length;

    public override bool IsSlow => true;

    public override ReadOnlySpan<byte> Read(long start, Span<byte> scratch)
    {
        try
        {
            for (int at = 0; at < scratch.Length;)
            {
                int n = RandomAccess.Read(handle, scratch[at..], start + at);
                at += n > 0 ? n : throw new DataFormatException(path, $"the file has become shorter while it was read: it ends before byte {start + scratch.Length}", "Leave the data as they are while training runs");
            }

            return scratch;
        }
        catch (IOException e)
        {
            throw new DataFormatException(path, $"cannot read it: {e.Message.TrimEnd('.')}", null, e);
        }
    }
}
