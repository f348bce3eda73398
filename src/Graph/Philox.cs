namespace Dnn.Graph;

/// <summary>
/// Philox4x32-10, a counter-based generator: a block of four 32-bit words is a pure function of a 64-bit key and a
/// 128-bit counter. Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3 (SC 2011).
/// </summary>
public static class Philox
{
    /// <summary>First multiplier of a round.</summary>
    public const uint Multiplier0 = 0xD2511F53;

    /// <summary>Second multiplier of a round.</summary>
    public const uint Multiplier1 = 0xCD9E8D57;

    /// <summary>What the low half of the key grows by from round to round (the golden ratio).</summary>
    public const uint Weyl0 = 0x9E3779B9;

    /// <summary>What the high half of the key grows by from round to round (√3 − 1).</summary>
    public const uint Weyl1 = 0xBB67AE85;

    /// <summary>Rounds in a block.</summary>
    public const int Rounds = 10;

    /// <summary>Third counter word of <see cref="Fold"/>; streams have 0 there, so that keys and numbers never share a block.</summary>
    private const uint FoldDomain = 1;

    /// <summary>The block of <paramref name="key"/> (low word first) at a counter of four words, low word first.</summary>
    public static (uint W0, uint W1, uint W2, uint W3) Block(ulong key, uint c0, uint c1, uint c2, uint c3)
    {
        uint k0 = (uint)key, k1 = (uint)(key >> 32);
        for (int round = 0; round < Rounds; round++)
        {
            ulong p0 = (ulong)Multiplier0 * c0;
            ulong p1 = (ulong)Multiplier1 * c2;
            c0 = (uint)(p1 >> 32) ^ c1 ^ k0;
            c2 = (uint)(p0 >> 32) ^ c3 ^ k1;
            c1 = (uint)p1;
            c3 = (uint)p0;
            k0 += Weyl0;
            k1 += Weyl1;
        }
        return (c0, c1, c2, c3);
    }

    /// <summary>
    /// Element <paramref name="index"/> of the stream of <paramref name="key"/>: the upper 24 bits of word
    /// <c>index &amp; 3</c> of the block with counter <c>index &gt;&gt; 2</c>; uniform on 0 … 2²⁴ − 1.
    /// </summary>
    public static uint Bits24(ulong key, long index)
    {
        ulong block = (ulong)index >> 2;
        var (w0, w1, w2, w3) = Block(key, (uint)block, (uint)(block >> 32), 0, 0);
        uint word = (index & 3) switch { 0 => w0, 1 => w1, 2 => w2, _ => w3 };
        return word >> 8;
    }

    /// <summary>
    /// A new key from a key and data: the first two words (low first) of the block of <paramref name="key"/> at the
    /// counter (data low, data high, 1, 0), which no stream visits.
    /// </summary>
    public static ulong Fold(ulong key, ulong data)
    {
        var (w0, w1, _, _) = Block(key, (uint)data, (uint)(data >> 32), FoldDomain, 0);
        return w0 | ((ulong)w1 << 32);
    }
}
