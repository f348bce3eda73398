using System.Runtime.InteropServices;

namespace Dnn.Backend;

/// <summary>Native memory, 64-byte aligned, a multiple of 64 bytes and zeroed, that lives as long as this object.</summary>
internal sealed unsafe class Memory
{
    public Memory(long bytes)
    {
        var size = (nuint)Math.Max(Arena.Align(bytes), Arena.Alignment);
        try
        {
            Pointer = (byte*)NativeMemory.AlignedAlloc(size, (nuint)Arena.Alignment);
        }
        catch (OutOfMemoryException)
        {
            GC.SuppressFinalize(this);
            throw new OutOfMemoryException($"there is no room for {bytes} bytes of tensors: smaller sizes, or a smaller batch, need less");
        }

        NativeMemory.Clear(Pointer, size);
        Bytes = bytes;
        GC.AddMemoryPressure((long)size);
    }

    ~Memory()
    {
        NativeMemory.AlignedFree(Pointer);
        GC.RemoveMemoryPressure(Math.Max(Bytes, Arena.Alignment));
    }

    public byte* Pointer { get; }

    public long Bytes { get; }
}
