using System.Collections;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using Dnn.Checking;

namespace FsCheck.Xunit;

/// <summary>Words a generated value, where C# has a literal for it as that literal: no digit of a number is lost.</summary>
internal static class ArgumentText
{
    private const int MaxLength = 10_000;
    private const int MaxDepth = 16;

    public static string Of(object? value)
    {
        var text = new StringBuilder();
        try
        {
            Append(text, value, 0);
        }
        catch (Exception thrown)
        {
            // The report of a failure must not fail.
            text.Append($"<{value!.GetType()} has no text: {thrown.GetType()}: {thrown.Message}>");
        }
        return text.ToString();
    }

    private static void Append(StringBuilder text, object? value, int depth)
    {
        switch (value)
        {
            case null:
                text.Append("null");
                break;
            case ICounterexample counterexample:
                text.Append(counterexample.ToText());
                break;
            case string characters:
                Quote(text, characters, '"');
                break;
            case char character:
                Quote(text, character.ToString(), '\'');
                break;
            case bool truth:
                text.Append(truth ? "true" : "false");
                break;
            case float number:
                text.Append(float.IsFinite(number) ? number.ToString(CultureInfo.InvariantCulture) + "f" : "float." + Name(number));
                break;
            case double number:
                text.Append(double.IsFinite(number) ? number.ToString(CultureInfo.InvariantCulture) : "double." + Name(number));
                break;
            case IFormattable formattable:
                text.Append(formattable.ToString(null, CultureInfo.InvariantCulture));
                break;
            case ITuple tuple when depth < MaxDepth:
                List(text, Enumerable.Range(0, tuple.Length).Select(i => tuple[i]), '(', ')', depth);
                break;
            case IEnumerable items when depth < MaxDepth && !HasOwnText(items):
                List(text, items, '[', ']', depth);
                break;
            default:
                text.Append(value);
                break;
        }
    }

    private static void List(StringBuilder text, IEnumerable items, char open, char close, int depth)
    {
        text.Append(open);
        var first = true;
        foreach (var item in items)
        {
            if (!first) text.Append(", ");
            first = false;
            if (text.Length > MaxLength)
            {
                text.Append('…');
                break;
            }
            Append(text, item, depth + 1);
        }
        text.Append(close);
    }

    private static string Name(double number) =>
        double.IsNaN(number) ? "NaN" : number > 0 ? "PositiveInfinity" : "NegativeInfinity";

    // The text of the platform's collections is their type's name, or only their head.
    private static bool HasOwnText(object value) =>
        value.GetType().GetMethod(nameof(ToString), Type.EmptyTypes)?.DeclaringType?.Namespace is var space
        && space != "System" && space?.StartsWith("System.", StringComparison.Ordinal) != true
        && space?.StartsWith("Microsoft.FSharp.", StringComparison.Ordinal) != true;

    private static void Quote(StringBuilder text, string characters, char quote)
    {
        text.Append(quote);
        foreach (var c in characters)
            _ = c switch
            {
                '\n' => text.Append("\\n"),
                '\r' => text.Append("\\r"),
                '\t' => text.Append("\\t"),
                '\\' => text.Append("\\\\"),
                _ when c == quote => text.Append('\\').Append(c),
                _ when char.IsControl(c) || char.IsSurrogate(c) => text.Append($"\\u{(int)c:x4}"),
                _ => text.Append(c),
            };
        text.Append(quote);
    }
}
