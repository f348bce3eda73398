using System.Runtime.InteropServices;

namespace Dnn.Backend;

/// <summary>Native memory, 64-byte aligned, a multiple of 64 bytes and zeroed, that lives as long as this object.</summary>
internal sealed unsafe class Memory
{
    private const nuint HugePage = 2 << 20;

    [ThreadStatic]
    private static long taken;

    private readonly void* block;

    public Memory(long bytes)
    {
        var size = (nuint)Math.Max(Arena.Align(bytes), Arena.Alignment);
        var isLarge = size >= 2 * HugePage;
        var alignment = isLarge ? HugePage : (nuint)Arena.Alignment;
        try
        {
            // The system hands out large blocks as zeros that cost nothing until they are touched.
            block = NativeMemory.AllocZeroed(size + alignment);
        }
        catch (OutOfMemoryException)
        {
            GC.SuppressFinalize(this);
            throw new OutOfMemoryException($"there is no room for {bytes} bytes of tensors: smaller sizes, or a smaller batch, need less");
        }

        Pointer = (byte*)(((nuint)block + alignment - 1) / alignment * alignment);
        if (isLarge && OperatingSystem.IsLinux())
            AskForHugePages(Pointer, size);
        Bytes = bytes;
        taken += (long)size;
        GC.AddMemoryPressure((long)size);
    }

    ~Memory()
    {
        NativeMemory.Free(block);
        GC.RemoveMemoryPressure(Math.Max(Bytes, Arena.Alignment));
    }

    /// <summary>The bytes that this thread has taken so far.</summary>
    public static long Taken => taken;

    public byte* Pointer { get; }

    public long Bytes { get; }

    /// <summary>
    /// Asks the system for pages of 2 MiB: a matrix read down its columns touches a page a row, more than a processor remembers the places of. The
    /// answer does not matter.
    /// </summary>
    private static void AskForHugePages(byte* start, nuint size)
    {
        const int hugePages = 14;
        try
        {
            _ = Advise(start, size, hugePages);
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            // A system without that call has small pages.
        }
    }

    [DllImport("libc", EntryPoint = "madvise")]
    private static extern int Advise(void* start, nuint length, int advice);
}
