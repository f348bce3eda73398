using System.Globalization;
using System.Text;

namespace Dnn.Dsl;

/// <summary>The texts of strings and their values.</summary>
public static class StringLiteral
{
    /// <summary>The value between the quotes; what is no escape stands for itself.</summary>
    public static string Value(string literal)
    {
        var value = new StringBuilder(literal.Length);
        int end = End(literal);
        for (int i = 1; i < end;) i += Unit(literal, i, value);
        return value.ToString();
    }

    /// <summary>The offset in a literal at which the value's character <paramref name="index"/> is written.</summary>
    internal static int Offset(string literal, int index)
    {
        var value = new StringBuilder();
        int i = 1, end = End(literal);
        while (value.Length < index && i < end) i += Unit(literal, i, value);
        return i;
    }

    /// <summary>The length of the escape at a backslash, 0 if it is none; appends what it means.</summary>
    internal static int Escape(string text, int at, StringBuilder? value)
    {
        if (at + 1 >= text.Length) return 0;
        char c = text[at + 1];
        int simple = "nrt0\\\"".IndexOf(c);
        if (simple >= 0)
        {
            value?.Append("\n\r\t\0\\\""[simple]);
            return 2;
        }

        if (c != 'u' || at + 2 >= text.Length || text[at + 2] != '{') return 0;
        int close = text.IndexOf('}', at, Math.Min(10, text.Length - at));
        if (close < 0 || !int.TryParse(text.AsSpan(at + 3, close - at - 3), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int code)
            || !Rune.IsValid(code)) return 0;
        value?.Append(new Rune(code).ToString());
        return close - at + 1;
    }

    private static int Unit(string literal, int i, StringBuilder value)
    {
        if (literal[i] == '\\' && Escape(literal, i, value) is > 0 and int length) return length;
        value.Append(literal[i]);
        return 1;
    }

    internal static bool IsTerminated(string literal) => End(literal) < literal.Length;

    /// <summary>Where the closing quote is; the end of a literal that lacks one.</summary>
    private static int End(string literal)
    {
        int i = 1;
        while (i < literal.Length && !Closes(literal[0], literal[i])) i += literal[i] == '\\' ? 2 : 1;
        return Math.Min(i, literal.Length);
    }

    /// <summary>Whether a character ends the string that <paramref name="quote"/> began.</summary>
    internal static bool Closes(char quote, char c) => quote switch
    {
        '"' or '\'' => c == quote,
        '‘' or '’' => c is '‘' or '’' or '\'',
        _ => c is '“' or '”' or '„' or '"',
    };
}

/// <summary>The texts of numbers and their values.</summary>
internal static class NumberLiteral
{
    /// <summary>
    /// The value of digits, point, exponent and percent sign; of a malformed text, that of the longest beginning that is a number.
    /// The integer is there for digits alone that fit 64 bits.
    /// </summary>
    public static (double Value, long? Integer, bool IsPercent) Parse(ReadOnlySpan<char> text)
    {
        bool percent = text.EndsWith("%");
        int end = 0;
        while (end < text.Length && (char.IsAsciiDigit(text[end]) || text[end] is '.' or 'e' or 'E' || (text[end] is '+' or '-' && text[end - 1] is 'e' or 'E'))) end++;
        double value = 0;
        while (end > 0 && !double.TryParse(text[..end], NumberStyles.Float, CultureInfo.InvariantCulture, out value)) end--;
        long? integer = !percent && long.TryParse(text[..end], NumberStyles.None, CultureInfo.InvariantCulture, out long exact) ? exact : null;
        return (percent ? value / 100 : value, integer, percent);
    }
}
