namespace Dnn.Graph;

/// <summary>A number out of the range of an argument.</summary>
/// <param name="argument">The argument's name, as the language has it.</param>
/// <param name="message">What is wrong.</param>
public sealed class RangeException(string argument, string message) : GraphException(message)
{
    /// <summary>The argument's name, as the language has it: <c>betas</c>.</summary>
    public string Argument { get; } = argument;
}

/// <summary>The ranges that numbers of descriptions have; what is outside, NaN included, is refused when the description is made.</summary>
internal static class Ranges
{
    public static void Share(string of, string argument, double value) => Require(value is >= 0 and < 1, of, argument, value, "at least 0 and below 1");

    public static void NotNegative(string of, string argument, double value) => Require(value is >= 0 and < double.PositiveInfinity, of, argument, value, "at least 0 and finite");

    public static void Positive(string of, string argument, double? value) => Require(value is null or (> 0 and < double.PositiveInfinity), of, argument, value ?? 0, "above 0 and finite");

    public static void Count(string of, string argument, long value, long least = 1) => Require(value >= least, of, argument, value, $"at least {least}");

    public static void Require(bool fits, string of, string argument, double value, string range)
    {
        if (!fits)
            throw new RangeException(argument, $"`{argument}` of {of} is {range}, not {Printer.Number(value)}");
    }
}
