using System.Text;

namespace Dnn.Testing;

/// <summary>Shows two texts' difference by lines, with three lines around each change.</summary>
/// <remarks>
/// E. W. Myers, "An O(ND) Difference Algorithm and Its Variations", 1986, on what is left between the common ends.
/// Past <see cref="MaxEdits"/> edits it shows that part as one change, so that the cost stays linear.
/// </remarks>
public static class LineDiff
{
    private const int MaxEdits = 500;
    private const int MaxLines = 200;
    private const int Context = 3;

    /// <summary>Gives lines marked ' ', '-' (only in <paramref name="before"/>) and '+' (only in <paramref name="after"/>), or "" for equal texts.</summary>
    public static string Of(string before, string after)
    {
        var (a, b) = (Lines(before), Lines(after));
        var start = 0;
        while (start < a.Length && start < b.Length && a[start] == b[start]) start++;
        var end = 0;
        while (end < a.Length - start && end < b.Length - start && a[^(end + 1)] == b[^(end + 1)]) end++;

        var script = new List<(char Mark, int Line)>();
        for (var i = 0; i < start; i++) script.Add((' ', i));
        script.AddRange(Middle(a.AsSpan(start..^end), b.AsSpan(start..^end)).Select(edit => (edit.Mark, edit.Line + start)));
        for (var i = a.Length - end; i < a.Length; i++) script.Add((' ', i));
        return Show(script, a, b);
    }

    private static string[] Lines(string text) =>
        text.Length == 0 ? [] : (text[^1] == '\n' ? text[..^1] : text).Split('\n');

    // '-' and ' ' carry the line of a, '+' the line of b.
    private static List<(char Mark, int Line)> Middle(ReadOnlySpan<string> a, ReadOnlySpan<string> b)
    {
        var script = new List<(char, int)>();
        var limit = Math.Min(a.Length + b.Length, MaxEdits);
        // reached[k + limit + 1] is how far into a the best path on diagonal k = x - y has come.
        var reached = new int[2 * limit + 3];
        var history = new List<int[]>();
        for (var edits = 0; edits <= limit; edits++)
        {
            history.Add(reached[(limit + 1 - edits)..(limit + 2 + edits)]);
            for (var k = -edits; k <= edits; k += 2)
            {
                var down = k == -edits || (k != edits && reached[k + limit] < reached[k + limit + 2]);
                var x = down ? reached[k + limit + 2] : reached[k + limit] + 1;
                while (x < a.Length && x - k < b.Length && a[x] == b[x - k]) x++;
                reached[k + limit + 1] = x;
                if (x >= a.Length && x - k >= b.Length) return Backtrack(history, a.Length, b.Length);
            }
        }
        for (var i = 0; i < a.Length; i++) script.Add(('-', i));
        for (var i = 0; i < b.Length; i++) script.Add(('+', i));
        return script;
    }

    private static List<(char, int)> Backtrack(List<int[]> history, int x, int y)
    {
        var script = new List<(char, int)>();
        for (var edits = history.Count - 1; edits > 0; edits--)
        {
            // history[edits] holds diagonals -edits … edits as they were after edits - 1 edits.
            var (reached, k) = (history[edits], x - y);
            var down = k == -edits || (k != edits && reached[k - 1 + edits] < reached[k + 1 + edits]);
            var fromX = reached[(down ? k + 1 : k - 1) + edits];
            var fromY = fromX - (down ? k + 1 : k - 1);
            var (nextX, nextY) = down ? (fromX, fromY + 1) : (fromX + 1, fromY);
            while (x > nextX && y > nextY) (x, y) = Same(x, y);
            script.Add(down ? ('+', fromY) : ('-', fromX));
            (x, y) = (fromX, fromY);
        }
        while (x > 0) (x, y) = Same(x, y);
        script.Reverse();
        return script;

        (int, int) Same(int x, int y)
        {
            script.Add((' ', x - 1));
            return (x - 1, y - 1);
        }
    }

    private static string Show(List<(char Mark, int Line)> script, string[] a, string[] b)
    {
        var near = new bool[script.Count];
        var until = -1;
        for (var i = 0; i < script.Count; i++)
        {
            if (script[i].Mark != ' ') until = i + Context;
            near[i] = i <= until;
        }
        until = script.Count;
        for (var i = script.Count - 1; i >= 0; i--)
        {
            if (script[i].Mark != ' ') until = i - Context;
            near[i] |= i >= until;
        }

        var text = new StringBuilder();
        var (shown, skipped, lineOfB) = (0, true, 0);
        for (var i = 0; i < script.Count; i++)
        {
            var (mark, line) = script[i];
            if (near[i])
            {
                if (shown == MaxLines) return text.Append("… more differences").ToString();
                if (skipped) text.Append($"@@ line {lineOfB + 1} @@\n");
                text.Append(mark).Append(mark == '+' ? b[line] : a[line]).Append('\n');
                shown++;
            }
            skipped = !near[i];
            if (mark != '-') lineOfB++;
        }
        return text.ToString();
    }
}
