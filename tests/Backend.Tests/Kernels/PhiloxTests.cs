using Dnn.Graph;

using Xunit;

namespace Dnn.Backend.Tests;

public class PhiloxTests
{
    /// <summary>The known answers that Random123 publishes (kat_vectors, philox4x32 with 10 rounds).</summary>
    [Theory]
    [InlineData(0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u)]
    [InlineData(0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu, 0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu)]
    [InlineData(0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u, 0xa4093822u, 0x299f31d0u, 0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u)]
    public void KnownAnswers(uint c0, uint c1, uint c2, uint c3, uint k0, uint k1, uint w0, uint w1, uint w2, uint w3)
        => Assert.Equal((w0, w1, w2, w3), Philox.Block(k0 | ((ulong)k1 << 32), c0, c1, c2, c3));

    [Fact]
    public void Bits24TakesTheWordsOfABlockInOrder()
    {
        ulong key = 0x0123456789abcdef;
        for (long block = 0; block < 4; block++)
        {
            var (w0, w1, w2, w3) = Philox.Block(key, (uint)block, 0, 0, 0);
            uint[] words = [w0, w1, w2, w3];
            for (int i = 0; i < 4; i++)
                Assert.Equal(words[i] >> 8, Philox.Bits24(key, 4 * block + i));
        }
        Assert.Equal(Philox.Block(key, 0, 1, 0, 0).W1 >> 8, Philox.Bits24(key, (1L << 34) + 1));
    }

    [Fact]
    public void Bits24IsUniform()
    {
        const int n = 1 << 16;
        var bins = new int[16];
        for (int i = 0; i < n; i++)
            bins[Philox.Bits24(7, i) >> 20]++;
        double chi = bins.Sum(b => Math.Pow(b - n / 16.0, 2) / (n / 16.0));
        Assert.InRange(chi, 3.0, 40.0);
    }

    [Fact]
    public void FoldSeparatesKeysAndLeavesTheStreamAlone()
    {
        var keys = new HashSet<ulong>();
        for (ulong key = 0; key < 64; key++)
            for (ulong data = 0; data < 64; data++)
                Assert.True(keys.Add(Philox.Fold(key, data)));
        var (w0, w1, _, _) = Philox.Block(5, 9, 0, 0, 0);
        Assert.NotEqual(w0 | ((ulong)w1 << 32), Philox.Fold(5, 9));
    }
}
