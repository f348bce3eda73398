using System.Runtime.InteropServices;

namespace Dnn.Backend;

/// <summary>Two native buffers a thread, 64-byte aligned, that grow to the largest request and live as long as their thread.</summary>
internal sealed unsafe class Scratch
{
    [ThreadStatic]
    private static Scratch? t_current;

    [ThreadStatic]
    private static Scratch? t_outer;

    private void* _memory;
    private nuint _bytes;

    ~Scratch() => NativeMemory.AlignedFree(_memory);

    /// <summary>A buffer of at least <paramref name="bytes"/> bytes, valid until this thread asks again; its content is undefined.</summary>
    public static void* Get(nuint bytes) => (t_current ??= new Scratch()).Grown(bytes);

    /// <summary>The other buffer, for what computes products on the way, which take the first.</summary>
    public static void* GetOuter(nuint bytes) => (t_outer ??= new Scratch()).Grown(bytes);

    private void* Grown(nuint bytes)
    {
        if (_bytes < bytes)
        {
            NativeMemory.AlignedFree(_memory);
            _memory = null;
            _bytes = 0;
            _memory = NativeMemory.AlignedAlloc(bytes, 64);
            _bytes = bytes;
        }

        return _memory;
    }
}
