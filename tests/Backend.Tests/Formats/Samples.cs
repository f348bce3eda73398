using System.Runtime.InteropServices;
using Dnn.Graph;
using FsCheck;
using FsCheck.Fluent;

namespace Dnn.Backend.Tests;

/// <summary>A folder that is gone after the test, and random tensors.</summary>
internal sealed class Folder : IDisposable
{
    public Folder() => Directory.CreateDirectory(Path);

    public string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), "dnn-" + System.IO.Path.GetRandomFileName());

    public string this[string name] => System.IO.Path.Combine(Path, name);

    public string Write(string name, ReadOnlySpan<byte> bytes)
    {
        File.WriteAllBytes(this[name], bytes.ToArray());
        return this[name];
    }

    public string Write(string name, string text)
    {
        File.WriteAllText(this[name], text);
        return this[name];
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}

internal static class Samples
{
    private static readonly Gen<byte[]> Bytes = Gen.Choose(0, 255).Select(static i => (byte)i).ArrayOf(8 * 6 * 6 * 6);

    /// <summary>Tensors of every type, with 0 to 3 dimensions of 0 to 5, of random bits: NaN, infinities and -0 among them.</summary>
    public static readonly Gen<Tensor> Tensors =
        from type in Gen.Elements(DType.F32, DType.F64, DType.I64, DType.Bool)
        from rank in Gen.Choose(0, 3)
        from shape in Gen.Choose(0, 5).ArrayOf(rank)
        from bytes in Bytes
        select FromBits(type, shape, bytes);

    public static readonly Gen<Weights> Weights =
        from count in Gen.Choose(0, 6)
        from tensors in Tensors.ArrayOf(count)
        from names in Gen.Elements("w", "a.b[2].c", "a.b[10].c", "größe", "\"quoted\"\\", "x y", "𝕏").ArrayOf(count)
        from notes in Gen.Elements("", "lr=0.1", "\"<>&ü").ArrayOf(2)
        select names.Zip(tensors).Aggregate(
            Backend.Weights.Empty.WithMetadata("note", notes[0]).WithMetadata("other", notes[1]), static (w, t) => w.With(t.First, t.Second));

    public static void Check<T>(Gen<T> values, Action<T> law) =>
        Prop.ForAll(values.ToArbitrary(), law).QuickCheckThrowOnFailure();

    private static Tensor FromBits(DType type, int[] shape, byte[] bytes)
    {
        int n = shape.Aggregate(1, static (a, b) => a * b);
        return type switch
        {
            DType.F32 => Tensor.Create(MemoryMarshal.Cast<byte, float>(bytes)[..n].ToArray(), shape),
            DType.F64 => Tensor.Create(MemoryMarshal.Cast<byte, double>(bytes)[..n].ToArray(), shape),
            DType.I64 => Tensor.Create(MemoryMarshal.Cast<byte, long>(bytes)[..n].ToArray(), shape),
            _ => Tensor.Create(bytes.Take(n).Select(static b => b % 2 == 0).ToArray(), shape),
        };
    }
}
