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
    /// <param name="path">The file.</param>
    /// <param name="source">How it is cut.</param>
    /// <param name="known">The tokens where another text has fixed them.</param>
    public static SourceRows Read(string path, TextSource source, DataColumn? known)
    {
        if (source.Context < 1)
        {
            throw new DataFormatException(source.Name, $"context = {source.Context} is out of range", "Give context from 1");
        }

        byte[] bytes = Files.ReadUnpacked(path, static stream =>
        {
            using var memory = new MemoryStream();
            stream.CopyTo(memory);
            return memory.ToArray();
        });
        DataColumn column;
        int length;
        Func<int, int, ColumnRows> windows;
        if (source.Tokens == TextTokens.Bytes)
        {
            length = bytes.Length;
            column = new DataColumn("tokens", DType.I64, [source.Context]) { Classes = 256 };
            windows = (rows, shift) => new WindowRows<byte>(bytes, rows, source.Context, shift);
        }
        else
        {
            (int[] tokens, string[] names) = Characters(path, bytes, known);
            length = tokens.Length;
            column = new DataColumn("tokens", DType.I64, [source.Context]) { Classes = names.Length, ClassNames = names.ToValueList() };
            windows = (rows, shift) => new WindowRows<int>(tokens, rows, source.Context, shift);
        }

        int count = (length - 1) / source.Context;
        return count >= 1
            ? new SourceRows(new DataSchema([column, column with { Name = "next", IsTarget = true }], count), [windows(count, 0), windows(count, 1)])
            {
                Metadata = new Dictionary<string, string> { [Vocabulary.KindKey] = source.Tokens == TextTokens.Bytes ? "bytes" : "chars" },
            }
            : throw new DataFormatException(path, $"the text has {length} tokens, and a row takes context + 1 = {source.Context + 1}", "Give a smaller context, or a longer text");
    }

    private static (int[] Tokens, string[] Names) Characters(string path, byte[] bytes, DataColumn? known)
    {
        ReadOnlySpan<byte> rest = bytes;
        if (rest.StartsWith((ReadOnlySpan<byte>)[0xef, 0xbb, 0xbf]))
        {
            rest = rest[3..];
        }

        var runes = new List<Rune>(rest.Length);
        while (rest.Length > 0)
        {
            if (Rune.DecodeFromUtf8(rest, out Rune rune, out int used) != System.Buffers.OperationStatus.Done)
            {
                throw new DataFormatException(path, $"byte {bytes.Length - rest.Length + 1} is no UTF-8", "Save the file as UTF-8, or read it with tokens = \"bytes\"");
            }

            runes.Add(rune);
            rest = rest[used..];
        }

        string[] names = known is { ClassNames.Count: > 0 } ? [.. known.ClassNames] : [.. runes.Distinct().Order().Select(static r => r.ToString())];
        var tokenOf = names.Select(static (c, i) => (Rune: c.EnumerateRunes().First(), i)).ToDictionary(static p => p.Rune, static p => p.i);
        var tokens = new int[runes.Count];
        int line = 1;
        for (int i = 0; i < tokens.Length; i++)
        {
            tokens[i] = tokenOf.TryGetValue(runes[i], out int token)
                ? token
                : throw new DataFormatException($"{path}:{line}", $"the character '{runes[i]}' is not among the {names.Length} of the text that was trained on", "Take it out, or train on both");
            line += runes[i].Value == '\n' ? 1 : 0;
        }

        return (tokens, names);
    }
}
