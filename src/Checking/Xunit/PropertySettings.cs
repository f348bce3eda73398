using System.Globalization;
using System.Reflection;
using Microsoft.FSharp.Core;

namespace FsCheck.Xunit;

/// <summary>What the attributes on a method, its classes and its assembly say together; null where they say nothing.</summary>
internal sealed class PropertySettings
{
    public string? Replay { get; set; }
    public int? Parallelism { get; set; }
    public int? MaxTest { get; set; }
    public int? MaxRejected { get; set; }
    public int? StartSize { get; set; }
    public int? EndSize { get; set; }
    public bool? Verbose { get; set; }
    public bool? QuietOnSuccess { get; set; }
    public Type[] Arbitrary { get; set; } = [];

    /// <summary>Merges the attributes that apply to a method, the nearest first.</summary>
    public static PropertySettings Of(Type testClass, MethodInfo method)
    {
        var merged = new PropertySettings();
        merged.Inherit(method.GetCustomAttribute<PropertyAttribute>());
        for (var type = testClass; type is not null; type = type.DeclaringType)
            merged.Inherit(type.GetCustomAttribute<PropertiesAttribute>());
        merged.Inherit(testClass.Assembly.GetCustomAttribute<PropertiesAttribute>());
        return merged;
    }

    private void Inherit(PropertyAttribute? attribute)
    {
        if (attribute is null) return;
        var outer = attribute.Settings;
        Replay ??= outer.Replay;
        Parallelism ??= outer.Parallelism;
        MaxTest ??= outer.MaxTest;
        MaxRejected ??= outer.MaxRejected;
        StartSize ??= outer.StartSize;
        EndSize ??= outer.EndSize;
        Verbose ??= outer.Verbose;
        QuietOnSuccess ??= outer.QuietOnSuccess;
        Arbitrary = [.. Arbitrary, .. outer.Arbitrary];
    }

    /// <summary>Gives FsCheck's configuration.</summary>
    /// <param name="testName">Decides the seed where neither <see cref="Replay"/> nor <paramref name="seed"/> does.</param>
    /// <param name="seed">The value of <c>FSCHECK_SEED</c>.</param>
    /// <exception cref="PropertyFailedException">A setting has no meaning.</exception>
    public Config ToConfig(string testName, string? seed)
    {
        var config = Config.Default;
        config = config
            .WithMaxTest(MaxTest ?? config.MaxTest)
            .WithMaxRejected(MaxRejected ?? config.MaxRejected)
            .WithStartSize(StartSize ?? config.StartSize)
            .WithEndSize(EndSize ?? config.EndSize)
            .WithQuietOnSuccess(QuietOnSuccess ?? config.QuietOnSuccess)
            .WithReplay(ParseReplay(Replay) ?? new Replay(StartingSeed(testName, seed), FSharpOption<int>.None))
            .WithArbitrary(Arbitrary);
        // FsCheck would count past these for ever.
        AtLeast(1, config.MaxTest, nameof(MaxTest));
        AtLeast(1, config.MaxRejected, nameof(MaxRejected));
        AtLeast(0, config.StartSize, nameof(StartSize));
        AtLeast(config.StartSize, config.EndSize, nameof(EndSize));
        return Parallelism is { } degree ? config.WithParallelRunConfig(new ParallelRunConfig(degree)) : config;
    }

    private static void AtLeast(int least, int value, string name)
    {
        if (value < least) throw new PropertyFailedException($"{name} = {value}: it must be at least {least}.");
    }

    /// <summary>Chooses the seed: <c>random</c>, a number, or by default the FNV-1a hash of the test's full name.</summary>
    internal static Rnd StartingSeed(string testName, string? seed)
    {
        if (string.IsNullOrEmpty(seed))
        {
            var hash = 0xcbf29ce484222325UL;
            foreach (var c in testName) hash = (hash ^ c) * 0x100000001b3UL;
            return new Rnd(hash);
        }
        if (seed == "random") return new Rnd((ulong)Random.Shared.NextInt64());
        return ulong.TryParse(seed, CultureInfo.InvariantCulture, out var number)
            ? new Rnd(number)
            : throw new PropertyFailedException($"FSCHECK_SEED = \"{seed}\": it is \"random\", a number from 0 to 2^64-1, or not set.");
    }

    private static Replay? ParseReplay(string? text)
    {
        if (string.IsNullOrEmpty(text)) return null;
        var parts = text.Trim().TrimStart('(').TrimEnd(')').Split(',', StringSplitOptions.TrimEntries);
        var size = -1;
        if (parts.Length is 2 or 3
            && ulong.TryParse(parts[0], CultureInfo.InvariantCulture, out var seed)
            && ulong.TryParse(parts[1], CultureInfo.InvariantCulture, out var gamma)
            && ulong.IsOddInteger(gamma)
            && (parts.Length == 2 || (int.TryParse(parts[2], CultureInfo.InvariantCulture, out size) && size >= 0)))
            return new Replay(new Rnd(seed, gamma), size < 0 ? FSharpOption<int>.None : FSharpOption<int>.Some(size));
        throw new PropertyFailedException(
            $"Replay = \"{text}\": it is \"(seed,gamma)\" or \"(seed,gamma,size)\" with an odd gamma, as a failure prints it.");
    }
}
