using System.Buffers.Binary;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Reads an <see cref="IdxSource"/>: big-endian sizes after a magic number of the element type and the number of axes.</summary>
internal static class Idx
{
    private const byte Bytes = 8;

    /// <param name="images">The file of images.</param>
    /// <param name="labels">The file of labels.</param>
    /// <param name="memory">The most bytes of a file that are held in memory.</param>
    public static SourceRows Read(string images, string labels, long memory)
    {
        (ByteStore pixels, long first, int[] shape) = Open(images, memory);
        (ByteStore digits, long second, int[] count) = Open(labels, memory);
        if (shape.Length != 3)
        {
            throw new DataFormatException(images, $"it has {shape.Length} axes, and images have 3: number, height, width", "Give the file of images first, then that of labels");
        }

        if (count.Length != 1)
        {
            throw new DataFormatException(labels, $"it has {count.Length} axes, and labels have one", "Give the file of images first, then that of labels");
        }

        if (shape[0] != count[0])
        {
            throw new DataFormatException(labels, $"it has {count[0]} labels, and {images} has {shape[0]} images", "Give the two files of one part");
        }

        if (shape[0] == 0 || shape[1] == 0 || shape[2] == 0)
        {
            throw new DataFormatException(images, "there are no images in it", "Check that it is the right file");
        }

        var codes = new ByteRows(digits, second, shape[0], [], areCodes: true);
        var schema = new DataSchema([new DataColumn("images", DType.Float, [shape[1], shape[2], 1]), Columns.Of("labels", codes)], shape[0]);
        return new SourceRows(schema, [new ByteRows(pixels, first, shape[0], [shape[1], shape[2], 1]), codes]);
    }

    private static (ByteStore Values, long Start, int[] Shape) Open(string path, long memory)
    {
        ByteStore store = ByteStore.Of(path, memory);
        var word = new byte[4];
        ReadOnlySpan<byte> start = Word(0);
        if (start[0] != 0 || start[1] != 0 || start[3] is 0 or > 8)
        {
            throw new DataFormatException(path, "this is no IDX file", "IDX files are those of MNIST, such as train-images-idx3-ubyte.gz");
        }

        if (start[2] != Bytes)
        {
            throw new DataFormatException(path, $"its elements are of type 0x{start[2]:x2}, not bytes", "Only IDX files of unsigned bytes (idx…-ubyte) are read");
        }

        var shape = new int[start[3]];
        long length = 1;
        for (int i = 0; i < shape.Length; i++)
        {
            uint size = BinaryPrimitives.ReadUInt32BigEndian(Word(i + 1));
            if (size > int.MaxValue || (length *= size) > long.MaxValue >> 33)
            {
                throw new DataFormatException(path, "its sizes are too large", "The file is damaged, or no IDX file");
            }

            shape[i] = (int)size;
        }

        long first = 4 * (shape.Length + 1);
        return store.Length >= first + length ? (store, first, shape) : throw Short();

        ReadOnlySpan<byte> Word(int index) => store.Length >= 4 * (index + 1) ? store.Read(4 * index, word) : throw Short();

        DataFormatException Short() => new(path, "the file ends early", "Write or download it again");
    }
}
