using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>What random numbers are for: the same seed gives each use numbers of its own.</summary>
internal enum RandomUse
{
    // Far from the small numbers that models fold into keys, so that data shares none with initializers and dropout.
    Noise = 0x64617400,
    Order,
    Split,
    Epoch,
    Initialization,
    Sequence,
    Augmentation,
}

/// <summary>Numbers for data: each a pure function of a key and a counter, by <see cref="Philox"/>.</summary>
internal static class DataRandom
{
    private const double UnitStep = 1.0 / (1L << 53);

    public static ulong Key(RandomUse use, long seed, long number = 0) => Philox.Fold(Philox.Fold((ulong)seed, (ulong)use), (ulong)number);

    /// <summary>Two independent standard normal numbers (Box and Muller 1958).</summary>
    public static (double, double) Normal(ulong key, long counter)
    {
        (ulong a, ulong b) = Bits(key, counter);
        // u in (0, 1], so that the logarithm is finite.
        double u = ((a >> 11) + 1) * UnitStep, v = (b >> 11) * UnitStep;
        double radius = Math.Sqrt(-2 * Math.Log(u));
        (double sin, double cos) = Math.SinCos(2 * Math.PI * v);
        return (radius * cos, radius * sin);
    }

    /// <summary>Two independent numbers in [0, 1).</summary>
    public static (double, double) Uniform(ulong key, long counter)
    {
        (ulong a, ulong b) = Bits(key, counter);
        return ((a >> 11) * UnitStep, (b >> 11) * UnitStep);
    }

    /// <summary>
    /// A number below <paramref name="bound"/>: the high half of 64 random bits times the bound (Lemire 2019), whose bias of bound / 2⁶⁴ is
    /// beyond measuring.
    /// </summary>
    public static int Below(ulong key, long counter, int bound) => (int)Math.BigMul(Bits(key, counter).A, (ulong)bound, out _);

    /// <summary>
    /// Fills with 0 … n − 1 in an order that is a pure function of use, seed and number (of the epoch, say). Every order is as likely as
    /// any other (Fisher and Yates 1938, in Durstenfeld's form).
    /// </summary>
    public static void Permute(RandomUse use, long seed, long number, Span<int> destination)
    {
        ulong key = Key(use, seed, number);
        for (int i = 0; i < destination.Length; i++)
        {
            int j = Below(key, i, i + 1);
            destination[i] = destination[j];
            destination[j] = i;
        }
    }

    private static (ulong A, ulong B) Bits(ulong key, long counter)
    {
        (uint w0, uint w1, uint w2, uint w3) = Philox.Block(key, (uint)counter, (uint)(counter >> 32), 0, 0);
        return (w0 | ((ulong)w1 << 32), w2 | ((ulong)w3 << 32));
    }
}
