namespace Dnn.Backend;

/// <summary>Finds what somebody probably meant to write.</summary>
internal static class Nearest
{
    /// <summary>
    /// The candidate with the least edit distance (Damerau 1964, case aside), the first of equals; null when none is within a third of
    /// the name's length, so that a suggestion is rarely nonsense.
    /// </summary>
    public static string? Name(string name, IEnumerable<string> candidates)
    {
        string? best = null;
        int limit = Math.Max(1, name.Length / 3);
        string wanted = name.ToUpperInvariant();
        foreach (string candidate in candidates)
        {
            if (Math.Abs(candidate.Length - name.Length) <= limit && Distance(wanted, candidate.ToUpperInvariant()) is var d && d <= limit)
            {
                best = candidate;
                limit = d - 1;
            }
        }

        return best;
    }

    /// <summary>A sentence for an error's fix: the nearest name, else the first few there are.</summary>
    public static string Suggest(string name, IReadOnlyCollection<string> candidates)
    {
        const int Listed = 8;
        return Name(name, candidates) is { } near ? $"Did you mean '{near}'?"
            : candidates.Count == 0 ? "There are none"
            : $"There are {string.Join(", ", candidates.Take(Listed))}{(candidates.Count > Listed ? $" and {candidates.Count - Listed} more" : "")}";
    }

    // Optimal string alignment: a change, an addition, an omission and two neighbours exchanged cost one each.
    private static int Distance(string a, string b)
    {
        int[] before = [], last = [], row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 0; i < a.Length; i++)
        {
            (before, last, row) = (last, row, new int[b.Length + 1]);
            row[0] = i + 1;
            for (int j = 0; j < b.Length; j++)
            {
                int best = Math.Min(last[j] + (a[i] == b[j] ? 0 : 1), Math.Min(last[j + 1], row[j]) + 1);
                row[j + 1] = i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] ? Math.Min(best, before[j - 1] + 1) : best;
            }
        }

        return row[^1];
    }
}
