using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>
/// One array in a <c>.npy</c> file, NumPy's format (NEP 1; header versions 1 to 3). Reads bool, integers, and floats of 16, 32 and 64
/// bits in either byte order, row-major or Fortran: integers become i64, half floats f32. Writes f32, f64, i64 and bool, little-endian.
/// </summary>
public static class Npy
{
    private const int MaxHeader = 1 << 20;

    private static ReadOnlySpan<byte> Magic => [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y'];

    /// <summary>Reads a file that holds one array and nothing after it.</summary>
    /// <exception cref="DataFormatException">The file is missing, damaged, or of a type that has no counterpart.</exception>
    public static Tensor Read(string path) => Files.Read(path, stream => Read(stream, path, stream.Length));

    /// <summary>Writes the tensor; an existing file is replaced at once when all is on the disk.</summary>
    /// <exception cref="DataFormatException">The file cannot be written.</exception>
    public static void Write(string path, Tensor tensor) => Files.Write(path, stream => Write(stream, tensor));

    internal static void Write(Stream stream, Tensor tensor)
    {
        string descr = tensor.DType switch
        {
            DType.F32 => "<f4",
            DType.F64 => "<f8",
            DType.I64 => "<i8",
            _ => "|b1",
        };
        string shape = tensor.Rank == 1 ? $"({tensor.Shape[0]},)" : $"({string.Join(", ", tensor.Shape)})";
        string header = $"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}";
        // Magic, version and length take 10 bytes; with blanks and a newline the data starts at a multiple of 64.
        header = header.PadRight((10 + header.Length + 1 + 63) / 64 * 64 - 11) + "\n";
        stream.Write([.. Magic, 1, 0]);
        Span<byte> length = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16LittleEndian(length, (ushort)header.Length);
        stream.Write(length);
        stream.Write(Encoding.ASCII.GetBytes(header));
        Stored.Write(stream, tensor);
    }

    /// <param name="stream">At its start.</param>
    /// <param name="where">What to call it in errors.</param>
    /// <param name="length">The number of bytes that the stream has.</param>
    internal static Tensor Read(Stream stream, string where, long length)
    {
        return ReadData(stream, where, ReadHeader(stream, where, length));
    }

    internal static Tensor ReadData(Stream stream, string where, NpyHeader header)
    {
        try
        {
            return header.Fortran && header.Shape.Length > 1
                ? RowMajor(Stored.Read(stream, header.Type, header.BigEndian, [.. header.Shape.Reverse()]))
                : Stored.Read(stream, header.Type, header.BigEndian, header.Shape);
        }
        catch (OverflowException e)
        {
            throw new DataFormatException(where, "an unsigned 64-bit integer is beyond 2^63 - 1, the largest i64", "Save it with .astype('int64')", e);
        }
    }

    /// <summary>Reads up to the data, which the length has room for exactly.</summary>
    internal static NpyHeader ReadHeader(Stream stream, string where, long length)
    {
        Span<byte> start = stackalloc byte[12];
        if (length < 10)
        {
            throw new DataFormatException(where, $"{length} bytes are too few for an .npy file", "Save it again with numpy.save");
        }

        stream.ReadExactly(start[..10]);
        if (!start[..6].SequenceEqual(Magic))
        {
            throw new DataFormatException(where, "not an .npy file: it does not start with \\x93NUMPY", "Save the array with numpy.save");
        }

        int version = start[6], prefix = version == 1 ? 10 : 12;
        if (version is < 1 or > 3)
        {
            throw new DataFormatException(where, $"version {version}.{start[7]} of the .npy format is unknown", "Save it with a version from 1 to 3");
        }

        uint headerLength = BinaryPrimitives.ReadUInt16LittleEndian(start[8..]);
        if (version > 1)
        {
            if (length < 12)
            {
                throw Truncated(where, "the header", 12, length);
            }

            stream.ReadExactly(start[10..]);
            headerLength = BinaryPrimitives.ReadUInt32LittleEndian(start[8..]);
        }

        if (headerLength > length - prefix)
        {
            throw Truncated(where, "the header", prefix + headerLength, length);
        }

        if (headerLength > MaxHeader)
        {
            throw new DataFormatException(where, $"the header claims {headerLength} bytes, more than {MaxHeader}", "Save it again with numpy.save");
        }

        var bytes = new byte[headerLength];
        stream.ReadExactly(bytes);
        NpyHeader header = NpyHeader.Parse((version == 3 ? Encoding.UTF8 : Encoding.Latin1).GetString(bytes), where);

        long count;
        try
        {
            count = Tensor.Count(header.Shape);
        }
        catch (ArgumentException e)
        {
            throw new DataFormatException(where, $"shape ({string.Join(", ", header.Shape)}): {e.Message.Split(" (Parameter")[0]}", null, e);
        }

        long expected = prefix + headerLength + count * header.Type.Size();
        if (length < expected)
        {
            throw Truncated(where, $"the data of shape ({string.Join(", ", header.Shape)})", expected, length);
        }

        if (length > expected)
        {
            throw new DataFormatException(
                where, $"{length - expected} bytes follow the array of shape ({string.Join(", ", header.Shape)})", "Save one array a file, or several with numpy.savez");
        }

        return header;
    }

    // Fortran order is the row-major order of the transpose: transposes back.
    private static Tensor RowMajor(Tensor transposed) => transposed.DType switch
    {
        DType.F32 => Transpose<float>(transposed),
        DType.F64 => Transpose<double>(transposed),
        DType.I64 => Transpose<long>(transposed),
        _ => Transpose<bool>(transposed),
    };

    private static Tensor Transpose<T>(Tensor tensor) where T : unmanaged
    {
        ReadOnlySpan<T> from = tensor.AsSpan<T>();
        var to = new T[from.Length];
        int rank = tensor.Rank;
        int[] shape = [.. tensor.Shape.Reverse()];
        var stride = new int[rank];
        var index = new int[rank];
        for (int d = 0, s = 1; d < rank; s *= shape[d++])
        {
            stride[d] = s;
        }

        for (int i = 0, at = 0; i < to.Length; i++)
        {
            to[i] = from[at];
            for (int d = rank - 1; d >= 0; d--)
            {
                at += stride[d];
                if (++index[d] < shape[d])
                {
                    break;
                }

                at -= stride[d] * shape[d];
                index[d] = 0;
            }
        }

        return Tensor.Create(to, shape);
    }

    private static DataFormatException Truncated(string where, string what, long expected, long length) => new(
        where, $"the file is truncated: {what} would end at byte {expected}, the file has {length}", "Write or download it again");
}

/// <summary>The header of an <c>.npy</c> file: a Python dictionary with the keys descr, fortran_order and shape.</summary>
internal readonly record struct NpyHeader(StoredType Type, bool BigEndian, bool Fortran, int[] Shape)
{
    public static NpyHeader Parse(string text, string where)
    {
        var reader = new Reader(text, where);
        string? descr = null;
        bool? fortran = null;
        int[]? shape = null;
        reader.Take('{');
        while (!reader.TryTake('}'))
        {
            string key = reader.String();
            reader.Take(':');
            switch (key)
            {
                case "descr" when descr is null:
                    if (reader.Peek() is '[' or '(')
                    {
                        throw new DataFormatException(where, "the array is structured: its elements have fields", "Save one field as an array of its own");
                    }

                    descr = reader.String();
                    break;
                case "fortran_order" when fortran is null:
                    fortran = reader.Bool();
                    break;
                case "shape" when shape is null:
                    shape = reader.Tuple();
                    break;
                default:
                    throw reader.Fail($"the key '{key}' is unknown or stands there twice");
            }

            if (!reader.TryTake(','))
            {
                reader.Take('}');
                break;
            }
        }

        reader.End();
        if (descr is null || fortran is null || shape is null)
        {
            throw reader.Fail($"'{(descr is null ? "descr" : fortran is null ? "fortran_order" : "shape")}' is missing");
        }

        return new NpyHeader(Element(descr, where, out bool bigEndian), bigEndian, fortran.Value, shape);
    }

    private static StoredType Element(string descr, string where, out bool bigEndian)
    {
        char order = descr.Length > 0 && descr[0] is '<' or '>' or '|' or '=' ? descr[0] : '=';
        bigEndian = order == '>' || (order != '<' && !BitConverter.IsLittleEndian);
        string name = descr.TrimStart('<', '>', '|', '=');
        return name switch
        {
            "b1" or "?" => StoredType.Bool,
            "i1" => StoredType.I8,
            "u1" => StoredType.U8,
            "i2" => StoredType.I16,
            "u2" => StoredType.U16,
            "i4" => StoredType.I32,
            "u4" => StoredType.U32,
            "i8" => StoredType.I64,
            "u8" => StoredType.U64,
            "f2" => StoredType.F16,
            "f4" => StoredType.F32,
            "f8" => StoredType.F64,
            _ => throw new DataFormatException(where, $"elements of type '{descr}' are not read here", name.StartsWith('c')
                ? "Save real and imaginary part apart" : name.StartsWith('O') ? "It holds Python objects: save numbers" : "Save it with .astype('float32') or .astype('int64')"),
        };
    }

    private ref struct Reader(string text, string where)
    {
        private int _at;

        public readonly DataFormatException Fail(string reason) => new(where, $"the .npy header is malformed at its byte {_at}: {reason}", "Save it again with numpy.save");

        public char Peek()
        {
            while (_at < text.Length && text[_at] is ' ' or '\t' or '\n' or '\r')
            {
                _at++;
            }

            return _at < text.Length ? text[_at] : '\0';
        }

        public bool TryTake(char c)
        {
            if (Peek() != c || _at == text.Length)
            {
                return false;
            }

            _at++;
            return true;
        }

        public void Take(char c)
        {
            if (!TryTake(c))
            {
                throw Fail($"'{c}' is expected");
            }
        }

        public string String()
        {
            char quote = Peek();
            int end = quote is '\'' or '"' ? text.IndexOf(quote, _at + 1) : -1;
            if (end < 0)
            {
                throw Fail("a string is expected");
            }

            string value = text[(_at + 1)..end];
            _at = end + 1;
            return value;
        }

        public bool Bool()
        {
            Peek();
            foreach (string word in (ReadOnlySpan<string>)["True", "False"])
            {
                if (string.CompareOrdinal(text, _at, word, 0, word.Length) == 0)
                {
                    _at += word.Length;
                    return word == "True";
                }
            }

            throw Fail("True or False is expected");
        }

        public int[] Tuple()
        {
            var sizes = new List<int>();
            Take('(');
            while (!TryTake(')'))
            {
                Peek();
                int start = _at;
                while (_at < text.Length && char.IsAsciiDigit(text[_at]))
                {
                    _at++;
                }

                if (!int.TryParse(text.AsSpan(start, _at - start), NumberStyles.None, CultureInfo.InvariantCulture, out int size))
                {
                    throw Fail($"a size from 0 to {int.MaxValue} is expected");
                }

                sizes.Add(size);
                // Python 2 wrote long integers as 3L.
                TryTake('L');
                if (!TryTake(','))
                {
                    Take(')');
                    break;
                }
            }

            return [.. sizes];
        }

        public void End()
        {
            if (Peek() != '\0' || _at < text.Length)
            {
                throw Fail("something follows the closing brace");
            }
        }
    }
}
