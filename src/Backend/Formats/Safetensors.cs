using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>
/// The safetensors format: 8 bytes little-endian with the length of a JSON header that names type, shape and place of each tensor, then the
/// data without gaps (github.com/huggingface/safetensors, README, 'Format'). Reads BOOL, I8 to I64, U8 to U64, F16, BF16, F32 and F64:
/// integers become i64, half floats f32. A file is checked whole before anything of the size that it claims is allocated.
/// </summary>
public static class Safetensors
{
    // As in the reference implementation.
    private const long MaxHeader = 100_000_000;
    private const string MetadataKey = "__metadata__";
    private const string Again = "Write or download it again";

    private sealed record Entry(string Name, StoredType Type, int[] Shape, long Begin, long End);

    /// <summary>Reads all tensors and the metadata of a file.</summary>
    /// <exception cref="DataFormatException">The file is missing or damaged, or has a type that has no counterpart.</exception>
    public static Weights Read(string path) => Files.Read(path, stream =>
    {
        (List<Entry> entries, List<KeyValuePair<string, string>> metadata) = ReadHeader(path, stream);
        var tensors = new List<KeyValuePair<string, Tensor>>(entries.Count);
        foreach (Entry entry in entries)
        {
            try
            {
                tensors.Add(new(entry.Name, Stored.Read(stream, entry.Type, bigEndian: false, entry.Shape)));
            }
            catch (OverflowException e)
            {
                throw new DataFormatException(path, $"tensor '{entry.Name}' has a U64 beyond 2^63 - 1, the largest i64", "Store it as I64", e);
            }
        }

        return Weights.From(tensors, metadata);
    });

    /// <summary>The tensors of a file, of which more than the limit stays on the disk.</summary>
    internal static IEnumerable<StoredArray> Open(string path, long memory)
    {
        (List<Entry> entries, long start) = Files.Read(path, stream => (ReadHeader(path, stream).Entries, stream.Position));
        ByteStore store = ByteStore.Of(path, memory, unpack: false);
        return entries.Select(e => new StoredArray(e.Name, e.Type, false, e.Shape, store, start + e.Begin));
    }

    /// <summary>Reads up to the data, which the file is checked to have.</summary>
    private static (List<Entry> Entries, List<KeyValuePair<string, string>> Metadata) ReadHeader(string path, Stream stream)
    {
        long length = stream.Length;
        if (length < 8)
        {
            throw new DataFormatException(path, $"{length} bytes are too few for a safetensors file", Again);
        }

        Span<byte> prefix = stackalloc byte[8];
        stream.ReadExactly(prefix);
        ulong headerLength = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (headerLength > (ulong)(length - 8))
        {
            throw new DataFormatException(path, $"the first 8 bytes claim a header of {headerLength} bytes, and {length - 8} follow: truncated, or not a safetensors file", Again);
        }

        if (headerLength > MaxHeader)
        {
            throw new DataFormatException(path, $"the header of {headerLength} bytes is longer than the format allows, {MaxHeader}", Again);
        }

        var header = new byte[headerLength];
        stream.ReadExactly(header);
        var metadata = new List<KeyValuePair<string, string>>();
        List<Entry> entries = ParseHeader(path, header, metadata);
        CheckLayout(path, entries, length - 8 - (long)headerLength);
        return (entries, metadata);
    }

    /// <summary>
    /// Writes the tensors and metadata; an existing file is replaced at once when all is on the disk. The same weights give the same bytes.
    /// </summary>
    /// <exception cref="DataFormatException">The file cannot be written, or a tensor is called <c>__metadata__</c>.</exception>
    public static void Write(string path, Weights weights)
    {
        ArgumentNullException.ThrowIfNull(weights);
        // Wide elements first, so that each tensor is aligned to its own element size.
        KeyValuePair<string, Tensor>[] ordered = [.. weights.OrderByDescending(static w => Stored.Of(w.Value.DType).Size())];
        var header = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(header))
        {
            json.WriteStartObject();
            if (weights.Metadata.Count > 0)
            {
                json.WriteStartObject(MetadataKey);
                foreach ((string key, string value) in weights.Metadata)
                {
                    json.WriteString(key, value);
                }

                json.WriteEndObject();
            }

            long at = 0;
            foreach ((string name, Tensor tensor) in ordered)
            {
                if (name == MetadataKey)
                {
                    throw new DataFormatException(path, $"'{MetadataKey}' is no name for a tensor: the format reserves it", "Rename the parameter");
                }

                StoredType type = Stored.Of(tensor.DType);
                json.WriteStartObject(name);
                json.WriteString("dtype", type is StoredType.Bool ? "BOOL" : type.ToString());
                json.WriteStartArray("shape");
                foreach (int size in tensor.Shape)
                {
                    json.WriteNumberValue(size);
                }

                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(at);
                at += tensor.Length * type.Size();
                json.WriteNumberValue(at);
                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        Files.Write(path, stream =>
        {
            Span<byte> prefix = stackalloc byte[8];
            int padding = -header.WrittenCount & 7;
            BinaryPrimitives.WriteInt64LittleEndian(prefix, header.WrittenCount + padding);
            stream.Write(prefix);
            stream.Write(header.WrittenSpan);
            stream.Write("       "u8[..padding]);
            foreach ((_, Tensor tensor) in ordered)
            {
                Stored.Write(stream, tensor);
            }
        });
    }

    private static List<Entry> ParseHeader(string path, byte[] header, List<KeyValuePair<string, string>> metadata)
    {
        var entries = new List<Entry>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        try
        {
            using JsonDocument document = JsonDocument.Parse(header, new JsonDocumentOptions { MaxDepth = 16 });
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                throw new DataFormatException(path, "the header is not a JSON object", Again);
            }

            foreach (JsonProperty property in document.RootElement.EnumerateObject())
            {
                if (!names.Add(property.Name))
                {
                    throw new DataFormatException(path, $"the header names '{property.Name}' twice", Again);
                }

                if (property.Name != MetadataKey)
                {
                    entries.Add(ParseEntry(path, property.Name, property.Value));
                    continue;
                }

                if (property.Value.ValueKind != JsonValueKind.Object)
                {
                    throw new DataFormatException(path, $"{MetadataKey} is not a JSON object", Again);
                }

                var keys = new HashSet<string>(StringComparer.Ordinal);
                foreach (JsonProperty item in property.Value.EnumerateObject())
                {
                    if (item.Value.ValueKind != JsonValueKind.String || !keys.Add(item.Name))
                    {
                        throw new DataFormatException(path, $"{MetadataKey} '{item.Name}' is not a text, or stands there twice", Again);
                    }

                    metadata.Add(new(item.Name, item.Value.GetString()!));
                }
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: a string that is not UTF-8, or an escaped half of a surrogate pair.
            throw new DataFormatException(path, $"the header is not JSON: {e.Message.TrimEnd('.')}", "Check that it is a safetensors file", e);
        }

        return entries;
    }

    private static Entry ParseEntry(string path, string name, JsonElement value)
    {
        DataFormatException Fail(string reason) => new(path, $"tensor '{name}': {reason}", Again);

        if (value.ValueKind != JsonValueKind.Object)
        {
            throw Fail("its entry is not a JSON object");
        }

        string? dtype = null;
        long[]? shape = null, offsets = null;
        foreach (JsonProperty property in value.EnumerateObject())
        {
            switch (property.Name)
            {
                case "dtype" when dtype is null && property.Value.ValueKind == JsonValueKind.String:
                    dtype = property.Value.GetString();
                    break;
                case "shape" when shape is null && Numbers(property.Value) is { } sizes:
                    shape = sizes;
                    break;
                case "data_offsets" when offsets is null && Numbers(property.Value) is { Length: 2 } ends:
                    offsets = ends;
                    break;
                default:
                    throw Fail($"'{property.Name}' is unknown, twice there, or not as the format wants it");
            }
        }

        if (dtype is null || shape is null || offsets is null)
        {
            throw Fail($"'{(dtype is null ? "dtype" : shape is null ? "shape" : "data_offsets")}' is missing");
        }

        StoredType type = dtype switch
        {
            "BOOL" => StoredType.Bool,
            "I8" => StoredType.I8,
            "U8" => StoredType.U8,
            "I16" => StoredType.I16,
            "U16" => StoredType.U16,
            "I32" => StoredType.I32,
            "U32" => StoredType.U32,
            "I64" => StoredType.I64,
            "U64" => StoredType.U64,
            "F16" => StoredType.F16,
            "BF16" => StoredType.BF16,
            "F32" => StoredType.F32,
            "F64" => StoredType.F64,
            _ => throw new DataFormatException(path, $"tensor '{name}': elements of type {dtype} are not read here", "Convert it to F32"),
        };
        long count;
        try
        {
            count = Tensor.Count(Array.ConvertAll(shape, static size => checked((int)size)));
        }
        catch (Exception e) when (e is ArgumentException or OverflowException)
        {
            throw Fail($"the shape [{string.Join(", ", shape.Take(Tensor.MaxRank))}] is too large");
        }

        (long begin, long end) = (offsets[0], offsets[1]);
        if (end < begin || end - begin != count * type.Size())
        {
            throw Fail($"data_offsets [{begin}, {end}] do not hold {dtype} of shape [{string.Join(", ", shape)}], which takes {count * type.Size()} bytes");
        }

        return new Entry(name, type, Array.ConvertAll(shape, static size => (int)size), begin, end);
    }

    // Whole numbers from 0, or null.
    private static long[]? Numbers(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Array)
        {
            return null;
        }

        var numbers = new List<long>();
        foreach (JsonElement item in value.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt64(out long number) || number < 0)
            {
                return null;
            }

            numbers.Add(number);
        }

        return [.. numbers];
    }

    // Sorts by place. The data must be covered exactly: nothing overlaps, nothing is left over.
    private static void CheckLayout(string path, List<Entry> entries, long dataLength)
    {
        entries.Sort(static (a, b) => (a.Begin, a.End).CompareTo((b.Begin, b.End)));
        long at = 0;
        foreach (Entry entry in entries)
        {
            if (entry.End > dataLength)
            {
                throw new DataFormatException(path, $"the file is truncated: tensor '{entry.Name}' would end at byte {entry.End} of the data, which has {dataLength}", Again);
            }

            if (entry.Begin != at)
            {
                throw new DataFormatException(
                    path, $"tensor '{entry.Name}' starts at byte {entry.Begin} of the data and {(entry.Begin < at ? "overlaps" : "leaves a gap after")} the one before, which ends at {at}", Again);
            }

            at = entry.End;
        }

        if (at != dataLength)
        {
            throw new DataFormatException(path, $"{dataLength - at} bytes follow the last tensor", Again);
        }
    }
}
