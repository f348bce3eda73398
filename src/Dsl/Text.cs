using System.Collections.Immutable;
using System.Text;

namespace Dnn.Dsl;

/// <summary>
/// A text and the path it is known by. Lines end at <c>\n</c>, <c>\r\n</c> or <c>\r</c>; a byte order mark counts as a blank.
/// </summary>
public sealed class SourceText
{
    private readonly Lazy<ImmutableArray<int>> _lineStarts;

    public SourceText(string text, string path = "input.dnn")
    {
        Text = text;
        Path = path;
        _lineStarts = new(FindLineStarts);
    }

    /// <summary>The name that diagnostics show.</summary>
    public string Path { get; }

    public string Text { get; }

    public int Length => Text.Length;

    public int LineCount => _lineStarts.Value.Length;

    /// <summary>Reads a file as UTF-8; bytes that are not UTF-8 become U+FFFD, which the lexer reports.</summary>
    public static SourceText Read(string path) => new(Encoding.UTF8.GetString(File.ReadAllBytes(path)), path);

    /// <summary>The zero-based line that holds a position.</summary>
    public int LineAt(int position)
    {
        int found = _lineStarts.Value.BinarySearch(position);
        return found >= 0 ? found : ~found - 1;
    }

    /// <summary>The line and column of a position, both from 1; columns count UTF-16 units.</summary>
    public (int Line, int Column) Locate(int position)
    {
        int line = LineAt(position);
        return (line + 1, position - _lineStarts.Value[line] + 1);
    }

    /// <summary>The span of a zero-based line without its line end.</summary>
    public TextSpan Line(int line)
    {
        int start = _lineStarts.Value[line];
        int end = line + 1 < LineCount ? _lineStarts.Value[line + 1] : Length;
        while (end > start && Text[end - 1] is '\r' or '\n') end--;
        return Span(start, end);
    }

    /// <summary>The span from <paramref name="start"/> up to and without <paramref name="end"/>.</summary>
    public TextSpan Span(int start, int end) => new(this, start, end - start);

    /// <summary>The <c>///</c> lines right above the line on which a position is the first thing, without their slashes; else null.</summary>
    public string? DocumentationAbove(int position)
    {
        int line = LineAt(position);
        if (!string.IsNullOrWhiteSpace(Text[_lineStarts.Value[line]..position].TrimStart('\uFEFF'))) return null;
        int first = line;
        while (first > 0 && IsDocumentation(first - 1)) first--;
        if (first == line) return null;
        return string.Join('\n', Enumerable.Range(first, line - first).Select(l => Line(l).Text.TrimStart('\uFEFF', ' ', '\t')[3..].Trim()));
    }

    private bool IsDocumentation(int line) => Line(line).Text.TrimStart('\uFEFF', ' ', '\t').StartsWith("///", StringComparison.Ordinal);

    private ImmutableArray<int> FindLineStarts()
    {
        var starts = ImmutableArray.CreateBuilder<int>();
        starts.Add(0);
        for (int i = 0; i < Text.Length; i++)
        {
            if (Text[i] == '\n' || (Text[i] == '\r' && !(i + 1 < Text.Length && Text[i + 1] == '\n'))) starts.Add(i + 1);
        }

        return starts.DrainToImmutable();
    }
}

/// <summary>A stretch of a source. The default value is no place at all.</summary>
public readonly record struct TextSpan(SourceText Source, int Start, int Length)
{
    public int End => Start + Length;

    public bool IsNone => Source is null;

    /// <summary>The text that is spanned.</summary>
    public string Text => IsNone ? "" : Source.Text.Substring(Start, Length);

    /// <summary>The text for a message: cut after 40 characters.</summary>
    public string Shown => Length <= 40 ? Text : string.Concat(Source.Text.AsSpan(Start, 39), "…");

    /// <summary>The smallest span over this one and a later one of the same source.</summary>
    public TextSpan To(TextSpan last) => new(Source, Start, last.End - Start);

    /// <summary>The empty span at the end of this one.</summary>
    public TextSpan AtEnd => new(Source, End, 0);

    /// <summary><c>path:line:column</c> of the first character.</summary>
    public override string ToString()
    {
        if (IsNone) return "";
        var (line, column) = Source.Locate(Start);
        return $"{Source.Path}:{line}:{column}";
    }
}
