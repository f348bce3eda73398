using System.Runtime.InteropServices;

namespace Dnn.Backend;

/// <summary>One native buffer a thread, 64-byte aligned, that grows to the largest request and lives as long as its thread.</summary>
internal sealed unsafe class Scratch
{
    [ThreadStatic]
    private static Scratch? t_current;

    private void* _memory;
    private nuint _bytes;

    ~Scratch() => NativeMemory.AlignedFree(_memory);

    /// <summary>A buffer of at least <paramref name="bytes"/> bytes, valid until this thread asks again; its content is undefined.</summary>
    public static void* Get(nuint bytes)
    {
        var scratch = t_current ??= new Scratch();
        if (scratch._bytes < bytes)
        {
            NativeMemory.AlignedFree(scratch._memory);
            scratch._memory = null;
            scratch._bytes = 0;
            scratch._memory = NativeMemory.AlignedAlloc(bytes, 64);
            scratch._bytes = bytes;
        }

        return scratch._memory;
    }
}
