using System.Text;

namespace Dnn.Dsl.Tests;

/// <summary>Texts that are nearly source.</summary>
internal static class Mutations
{
    private const string Alphabet = "ab_1.5e%\"'\\/#(){}[],:=<>-+*|@!&;^?$ \n\r\t\uFEFF\u00A0\u200B×“”−é\uD83D\uDE00\uD800\0";

    private static readonly string[] AllWords =
    [
        "let", "a", "=", "1", "(", ")", "[", "]", "{", "}", "\n", ",", "|>", "=>", "if", "then", "else", "for", "in", "..", "...", "layer", "model",
        "data", "train", "on", "test", "\"s\"", "param", ":", "->", "return", "loss", "as", "gradient", "-", "not", "==", "**", "80%", "steps", ".",
        "rename", "only", "minimize", "augment", "import", "hyper", "dnn", ";", "$", "\"", "<",
    ];

    public static char Sign(Random random) => Alphabet[random.Next(Alphabet.Length)];

    /// <summary>Words of the language in any order.</summary>
    public static string Words(Random random, int most) => string.Join(' ', Enumerable.Range(0, random.Next(most)).Select(_ => AllWords[random.Next(AllWords.Length)]));

    /// <summary>A text with a few pieces removed, inserted, moved or cut off.</summary>
    public static string Of(string sample, Random random)
    {
        var text = new StringBuilder(sample);
        for (int edits = random.Next(1, 6); edits > 0 && text.Length > 0; edits--)
        {
            int at = random.Next(text.Length), length = Math.Min(random.Next(1, 30), text.Length - at);
            switch (random.Next(4))
            {
                case 0: text.Remove(at, length); break;
                case 1: text.Insert(at, Sign(random)); break;
                case 2: text.Insert(random.Next(text.Length), text.ToString(at, length)); break;
                default: text.Length = at; break;
            }
        }

        return text.ToString();
    }
}
