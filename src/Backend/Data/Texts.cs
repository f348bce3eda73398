using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>The tokens that a text is cut into: bytes, or the characters of the text that a model was trained on. Weights carry it as metadata.</summary>
public sealed class Vocabulary
{
    /// <summary>The key of the kind of tokens; <c>bytes</c> or <c>chars</c>.</summary>
    internal const string KindKey = "data.tokens";

    private readonly string[] characters;
    private readonly Dictionary<string, int> tokenOf;

    private Vocabulary(string[] characters)
    {
        this.characters = characters;
        tokenOf = characters.Select(static (c, i) => KeyValuePair.Create(c, i)).ToDictionary(StringComparer.Ordinal);
    }

    /// <summary>The 256 bytes.</summary>
    public static Vocabulary Bytes { get; } = new([]);

    /// <summary>The number of tokens.</summary>
    public int Size => IsBytes ? 256 : characters.Length;

    /// <summary>Whether tokens are bytes of UTF-8.</summary>
    public bool IsBytes => characters.Length == 0;

    /// <summary>The vocabulary of the text that weights were trained on; null where they were trained on something else.</summary>
    public static Vocabulary? From(Weights weights)
    {
        ArgumentNullException.ThrowIfNull(weights);
        return weights.Metadata.GetValueOrDefault(KindKey) switch
        {
            "bytes" => Bytes,
            "chars" when DataReader.ClassNames(weights, "tokens") is { } names => new Vocabulary([.. names]),
            _ => null,
        };
    }

    /// <summary>The tokens of a text.</summary>
    /// <exception cref="DataFormatException">A character is not in the vocabulary.</exception>
    public long[] Encode(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (IsBytes)
        {
            return [.. Encoding.UTF8.GetBytes(text).Select(static b => (long)b)];
        }

        return [.. text.EnumerateRunes().Select((c, i) => tokenOf.TryGetValue(c.ToString(), out int token)
            ? (long)token
            : throw new DataFormatException("the text", $"the character '{c}' at place {i + 1} is not among the {Size} of the text that was trained on", "Take it out"))];
    }

    /// <summary>The text of tokens; bytes that are no UTF-8 become replacement characters.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A token is not in the vocabulary.</exception>
    public string Decode(ReadOnlySpan<long> tokens)
    {
        foreach (long token in tokens)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(token);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(token, Size);
        }

        return IsBytes
            ? Encoding.UTF8.GetString([.. tokens.ToArray().Select(static t => (byte)t)])
            : string.Concat(tokens.ToArray().Select(t => characters[t]));
    }
}

/// <summary>Reads a <see cref="TextSource"/>; gzip is unpacked.</summary>
internal static class Texts
{
    private const int ChunkBytes = 1 << 16;

    /// <param name="path">The file.</param>
    /// <param name="source">How it is cut.</param>
    /// <param name="known">The tokens where another text has fixed them.</param>
    /// <param name="memory">The most bytes that are held in memory.</param>
    public static SourceRows Read(string path, TextSource source, DataColumn? known, long memory)
    {
        if (source.Context < 1)
        {
            throw new DataFormatException(source.Name, $"context = {source.Context} is out of range", "Give context from 1");
        }

        ByteStore text = ByteStore.Of(path, memory);
        (ByteStore Tokens, StoredType Type, string[] Names) found = source.Tokens == TextTokens.Bytes ? (text, StoredType.U8, []) : Characters(path, text, known, memory);
        var column = new DataColumn("tokens", DType.I64, [source.Context]) { Classes = found.Names.Length == 0 ? 256 : found.Names.Length, ClassNames = found.Names.ToValueList() };
        long length = found.Tokens.Length / found.Type.Size();
        int count = (int)Math.Min((length - 1) / source.Context, int.MaxValue);
        return count >= 1
            ? new SourceRows(new DataSchema([column, column with { Name = "next", IsTarget = true }], count), [Windows(0), Windows(1)])
            {
                Metadata = new Dictionary<string, string> { [Vocabulary.KindKey] = source.Tokens == TextTokens.Bytes ? "bytes" : "chars" },
            }
            : throw new DataFormatException(path, $"the text has {length} tokens, and a row takes context + 1 = {source.Context + 1}", "Give a smaller context, or a longer text");

        // Row i has the tokens from i · context + shift on.
        StoredRows Windows(int shift) => new(found.Tokens, shift * found.Type.Size(), found.Type, !BitConverter.IsLittleEndian, count, [source.Context]);
    }

    private static (ByteStore Tokens, StoredType Type, string[] Names) Characters(string path, ByteStore text, DataColumn? known, long memory)
    {
        string[] names = known is { ClassNames.Count: > 0 } ? [.. known.ClassNames] : [.. Runes(path, text).Distinct().Order().Select(static r => r.ToString())];
        var tokenOf = names.Select(static (c, i) => (Rune: c.EnumerateRunes().First(), i)).ToDictionary(static p => p.Rune, static p => p.i);
        StoredType type = names.Length <= 1 << 8 ? StoredType.U8 : names.Length <= 1 << 16 ? StoredType.U16 : StoredType.I32;
        var tokens = new ByteStoreBuilder(memory);
        Span<byte> word = stackalloc byte[sizeof(int)];
        int line = 1;
        foreach (Rune rune in Runes(path, text))
        {
            int token = tokenOf.TryGetValue(rune, out int code)
                ? code
                : throw new DataFormatException($"{path}:{line}", $"the character '{rune}' is not among the {names.Length} of the text that was trained on", "Take it out, or train on both");
            BinaryPrimitives.WriteInt32LittleEndian(word, token);
            tokens.Append(word[..type.Size()]);
            line += rune.Value == '\n' ? 1 : 0;
        }

        return (tokens.Complete(), type, names);
    }

    /// <summary>The characters of a text in UTF-8, without a byte order mark at its beginning.</summary>
    private static IEnumerable<Rune> Runes(string path, ByteStore text)
    {
        var chunk = new byte[ChunkBytes];
        ReadOnlyMemory<byte> bom = new byte[] { 0xef, 0xbb, 0xbf };
        long at = text.Length >= 3 && text.Read(0, chunk.AsSpan(0, 3)).SequenceEqual(bom.Span) ? 3 : 0;
        while (at < text.Length)
        {
            int length = (int)Math.Min(ChunkBytes, text.Length - at), used = 0;
            bool isLast = at + length == text.Length;
            text.Read(at, chunk.AsSpan(0, length)).CopyTo(chunk);

            // A character that the chunk cuts belongs to the next one.
            while (used < length && (isLast || length - used >= 4))
            {
                if (Rune.DecodeFromUtf8(chunk.AsSpan(used, length - used), out Rune rune, out int size) != System.Buffers.OperationStatus.Done)
                {
                    throw new DataFormatException(path, $"byte {at + used + 1} is no UTF-8", "Save the file as UTF-8, or read it with tokens = \"bytes\"");
                }

                used += size;
                yield return rune;
            }

            at += used;
        }
    }
}
