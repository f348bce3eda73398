using System.Globalization;

namespace Dnn.Graph;

/// <summary>
/// An equality of sizes that a signature asks for and that neither holds nor fails for all sizes: it is checked when the sizes are known,
/// before anything runs.
/// </summary>
/// <param name="Actual">The size of a tensor.</param>
/// <param name="Asked">What it is to be.</param>
/// <param name="What">The axis that has the size, in words.</param>
/// <param name="Asker">What asks for it, in words.</param>
/// <param name="Location">Where.</param>
public sealed record SizeCheck(Dim Actual, Dim Asked, string What, string Asker, SourceLocation? Location = null)
{
    /// <summary>Whether more than is asked for does as well.</summary>
    public bool IsLeast { get; init; }

    /// <summary>Compares the two at some sizes; what has a name without a size is not looked at.</summary>
    /// <exception cref="ShapeException">They differ; the message names both and the place.</exception>
    public void Verify(IReadOnlyDictionary<string, long> sizes)
    {
        if (!Actual.Names.All(sizes.ContainsKey) || !Asked.Names.All(sizes.ContainsKey))
            return;
        var (actual, asked) = (Actual.Evaluate(sizes), Asked.Evaluate(sizes));
        if (IsLeast ? actual < asked : actual != asked)
            throw new ShapeException($"{What} has the size {Text(Actual, actual)}, and {Asker} asks for {(IsLeast ? "at least " : "")}{Text(Asked, asked)}") { Location = Location };
    }

    private static string Text(Dim size, long value) => size.IsKnown ? value.ToString(CultureInfo.InvariantCulture) : string.Create(CultureInfo.InvariantCulture, $"{size} = {value}");
}
