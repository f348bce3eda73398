using System.Collections.Immutable;
using System.Text;

namespace Dnn.Dsl;

/// <summary>A text with its safe fixes applied.</summary>
/// <param name="Text">The new text.</param>
/// <param name="Applied">The fixes, in the order in which they were applied.</param>
public sealed record FixedText(string Text, ImmutableArray<Fix> Applied);

/// <summary>
/// Applies what <see cref="Fix.IsSafe"/> says is meant for sure, until nothing of that kind is left: a second run changes nothing. A fix that would make an
/// error is taken back. A text that was in canonical layout stays so.
/// </summary>
public static class Fixer
{
    /// <summary>Fixes may uncover others, but not without end.</summary>
    private const int MaxRounds = 20;

    /// <summary>The text with all safe fixes of its own.</summary>
    /// <param name="source">The text.</param>
    /// <param name="options">How it is compiled.</param>
    public static FixedText Apply(SourceText source, CompileOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        var applied = ImmutableArray.CreateBuilder<Fix>();
        var refused = new HashSet<(string, string)>();
        var isCanonical = Formatter.Format(Parser.Parse(source)) == source.Text;
        var current = source;
        var found = Found(current, options);
        for (var round = 0; round < MaxRounds; round++)
        {
            var fixes = Chosen(found, current, refused);
            if (fixes.Count == 0)
                break;
            var next = new SourceText(Replaced(current, fixes), source.Path);
            var after = Found(next, options);
            if (after.Count(d => d.IsError) > found.Count(d => d.IsError))
            {
                // One of them is to blame: each by itself.
                fixes = fixes[..1];
                next = new SourceText(Replaced(current, fixes), source.Path);
                after = Found(next, options);
                if (after.Count(d => d.IsError) > found.Count(d => d.IsError))
                {
                    refused.Add((fixes[0].Title, fixes[0].Span.Text));
                    continue;
                }
            }

            applied.AddRange(fixes);
            (current, found) = (next, after);
        }

        var tree = Parser.Parse(current);
        var text = applied.Count > 0 && isCanonical && !tree.Diagnostics.Any(d => d.IsError) ? Formatter.Format(tree) : current.Text;
        return new FixedText(text, applied.ToImmutable());
    }

    private static ImmutableArray<Diagnostic> Found(SourceText source, CompileOptions? options) => Linter.Check(Compiler.Compile(source, options));

    /// <summary>Fixes that do not touch each other, in order of place.</summary>
    private static List<Fix> Chosen(ImmutableArray<Diagnostic> found, SourceText source, HashSet<(string, string)> refused)
    {
        var chosen = new List<Fix>();
        foreach (var fix in found.Select(d => d.Fix).OfType<Fix>().Where(f => f.IsSafe && f.Span.Source == source && !refused.Contains((f.Title, f.Span.Text))).OrderBy(f => f.Span.Start).ThenBy(f => f.Span.End))
        {
            if (chosen.Count == 0 || fix.Span.Start > chosen[^1].Span.End || (fix.Span.Start == chosen[^1].Span.End && fix.Span.Length > 0 && chosen[^1].Span.Length > 0))
                chosen.Add(fix);
        }

        return chosen;
    }

    private static string Replaced(SourceText source, List<Fix> fixes)
    {
        var text = new StringBuilder();
        var at = 0;
        foreach (var fix in fixes)
        {
            text.Append(source.Text, at, fix.Span.Start - at).Append(fix.Replacement);
            at = fix.Span.End;
        }

        return text.Append(source.Text, at, source.Length - at).ToString();
    }
}
