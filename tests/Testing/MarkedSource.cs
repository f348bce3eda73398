using System.Collections.Immutable;
using System.Text;
using Dnn.Dsl;

namespace Dnn.Testing;

/// <summary>
/// A source in which places are marked: <c>let x = [|1.|]</c> is the text <c>let x = 1.</c> with one place. Marks may nest and be empty; the places
/// are in order of their start.
/// </summary>
public sealed record MarkedSource(SourceText Source, ImmutableArray<TextSpan> Spans)
{
    private const string Open = "[|", Close = "|]";

    /// <summary>The place of a source that has one.</summary>
    public TextSpan Span => Spans.Single();

    /// <exception cref="FormatException">A mark has no partner.</exception>
    public static MarkedSource Parse(string marked, string path = "test.dnn")
    {
        var text = new StringBuilder();
        var open = new Stack<int>();
        var places = new List<(int Start, int End)>();
        for (int i = 0; i < marked.Length;)
        {
            // "[|>" is a list followed by nothing; a mark never stands before ">".
            if (At(marked, i, Open) && !At(marked, i, Open + ">"))
            {
                open.Push(text.Length);
                i += Open.Length;
            }
            else if (At(marked, i, Close))
            {
                if (!open.TryPop(out int start)) throw new FormatException($"'{Close}' without '{Open}': {marked}");
                places.Add((start, text.Length));
                i += Close.Length;
            }
            else
            {
                text.Append(marked[i++]);
            }
        }

        if (open.Count > 0) throw new FormatException($"'{Open}' without '{Close}': {marked}");
        var source = new SourceText(text.ToString(), path);
        return new(source, [.. places.OrderBy(p => p.Start).ThenByDescending(p => p.End).Select(p => source.Span(p.Start, p.End))]);
    }

    /// <summary>A source with these places marked, the inverse of <see cref="Parse"/>: what a failed comparison shows.</summary>
    public static string Show(SourceText source, IEnumerable<TextSpan> spans)
    {
        var text = new StringBuilder(source.Text);
        var marks = spans.SelectMany(s => new[] { (At: s.Start, Order: 1, Text: Open), (At: s.End, Order: s.Length == 0 ? 1 : 0, Text: Close) });
        foreach (var mark in marks.OrderBy(m => m.At).ThenBy(m => m.Order).Reverse().ToArray()) text.Insert(mark.At, mark.Text);
        return text.ToString();
    }

    private static bool At(string text, int index, string mark) => string.CompareOrdinal(text, index, mark, 0, mark.Length) == 0;
}
