using System.Buffers.Binary;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Reads an <see cref="IdxSource"/>: big-endian sizes after a magic number of the element type and the number of axes.</summary>
internal static class Idx
{
    private const byte Bytes = 8;

    public static SourceRows Read(string images, string labels)
    {
        (byte[] pixels, int[] shape) = ReadBytes(images);
        (byte[] digits, int[] count) = ReadBytes(labels);
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

        var schema = new DataSchema(
            [new DataColumn("images", DType.Float, [shape[1], shape[2], 1]), new DataColumn("labels", DType.I64, []) { IsTarget = true, Classes = digits.Max() + 1 }], shape[0]);
        return new SourceRows(schema, [new ByteRows(pixels, shape[0], [shape[1], shape[2], 1]), new ByteRows(digits, shape[0], [], areCodes: true)]);
    }

    private static (byte[] Values, int[] Shape) ReadBytes(string path) => Files.ReadUnpacked(path, stream =>
    {
        Span<byte> word = stackalloc byte[4];
        stream.ReadExactly(word);
        if (word[0] != 0 || word[1] != 0 || word[3] is 0 or > 8)
        {
            throw new DataFormatException(path, "this is no IDX file", "IDX files are those of MNIST, such as train-images-idx3-ubyte.gz");
        }

        if (word[2] != Bytes)
        {
            throw new DataFormatException(path, $"its elements are of type 0x{word[2]:x2}, not bytes", "Only IDX files of unsigned bytes (idx…-ubyte) are read");
        }

        var shape = new int[word[3]];
        long length = 1;
        for (int i = 0; i < shape.Length; i++)
        {
            stream.ReadExactly(word);
            uint size = BinaryPrimitives.ReadUInt32BigEndian(word);
            length *= size;
            if (size > int.MaxValue || length > Array.MaxLength)
            {
                throw new DataFormatException(path, "its sizes are too large", "The file is damaged, or no IDX file");
            }

            shape[i] = (int)size;
        }

        // Read as it comes: a file that claims more than it holds costs no memory.
        using var values = new MemoryStream();
        var buffer = new byte[1 << 16];
        while (values.Length < length)
        {
            int n = stream.Read(buffer, 0, (int)Math.Min(buffer.Length, length - values.Length));
            if (n == 0)
            {
                throw new EndOfStreamException();
            }

            values.Write(buffer, 0, n);
        }

        return (values.ToArray(), shape);
    });
}
