namespace Dnn.Claims;

/// <summary>How much a claim computes: all of it, or what is enough to see it, for a test.</summary>
public enum Effort
{
    Full,
    Quick,
}

/// <summary>One line of a claim's table.</summary>
/// <param name="What">The case.</param>
/// <param name="Predicted">What the claim says.</param>
/// <param name="Measured">What came out.</param>
/// <param name="Holds">Whether they agree; null where the line only shows a number.</param>
public sealed record Line(string What, string Predicted, string Measured, bool? Holds = null)
{
    /// <summary>A number against its prediction.</summary>
    /// <param name="what">The case.</param>
    /// <param name="predicted">What the claim says.</param>
    /// <param name="measured">What came out.</param>
    /// <param name="tolerance">The relative difference that counts as agreement.</param>
    public static Line Equal(string what, double predicted, double measured, double tolerance = 1e-9) =>
        new(what, Text(predicted), Text(measured), Math.Abs(measured - predicted) <= tolerance * Math.Max(1e-300, Math.Max(1, Math.Abs(predicted))));

    /// <summary>A number that is to lie between two bounds.</summary>
    public static Line Between(string what, double low, double high, double measured) =>
        new(what, double.IsInfinity(high) ? $"≥ {Text(low)}" : double.IsInfinity(low) ? $"≤ {Text(high)}" : $"{Text(low)} … {Text(high)}", Text(measured), measured >= low && measured <= high);

    /// <summary>A number to look at.</summary>
    public static Line Show(string what, double measured) => new(what, "", Text(measured));

    public static string Text(double value) => value.ToString(Math.Abs(value) is >= 1e-3 and < 1e7 or 0 ? "0.######" : "0.###e+0", System.Globalization.CultureInfo.InvariantCulture);
}

/// <summary>A sentence that is taught about deep networks, as something to run.</summary>
/// <param name="Name">What the command takes.</param>
/// <param name="Says">The sentence.</param>
/// <param name="Source">Where it comes from.</param>
/// <param name="Run">Computes the table.</param>
public sealed record Claim(string Name, string Says, string Source, Func<Effort, IEnumerable<Line>> Run);
