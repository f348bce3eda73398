namespace Dnn.Backend;

/// <summary>Finds what somebody probably meant to write.</summary>
internal static class Nearest
{
    /// <summary>
    /// The candidate with the least edit distance (Levenshtein, case aside), the first of equals; null when none is within a third of
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

    private static int Distance(string a, string b)
    {
        var row = new int[b.Length + 1];
        for (int j = 0; j < row.Length; j++)
        {
            row[j] = j;
        }

        for (int i = 0; i < a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i + 1;
            for (int j = 0; j < b.Length; j++)
            {
                int change = diagonal + (a[i] == b[j] ? 0 : 1);
                diagonal = row[j + 1];
                row[j + 1] = Math.Min(change, Math.Min(diagonal, row[j]) + 1);
            }
        }

        return row[^1];
    }
}
