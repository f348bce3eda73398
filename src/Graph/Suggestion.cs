namespace Dnn.Graph;

/// <summary>'Did you mean'.</summary>
public static class Suggestion
{
    /// <summary>
    /// The candidate nearest to a name by Damerau–Levenshtein distance (optimal string alignment; Damerau 1964) without regard to case, if
    /// it is near enough to be a slip of the keyboard: at most a third of the letters. Ties go to the first in ordinal order.
    /// </summary>
    public static string? Closest(string name, IEnumerable<string> candidates)
    {
        if (name.Length > 64) return null;
        string? best = null;
        // A name of one letter is near to every other: only its case can be a slip.
        int bestDistance = name.Length == 1 ? 0 : Math.Max(1, name.Length / 3);
        foreach (string candidate in candidates)
        {
            if (candidate.Length > 64 || candidate == name) continue;
            int distance = Distance(name.ToLowerInvariant(), candidate.ToLowerInvariant());
            if (distance < bestDistance || (distance == bestDistance && (best is null || string.CompareOrdinal(candidate, best) < 0)))
            {
                (best, bestDistance) = (candidate, distance);
            }
        }

        return best;
    }

    /// <summary>A sentence for an error: the nearest name, else the first few there are.</summary>
    public static string Sentence(string name, IReadOnlyCollection<string> candidates)
    {
        const int listed = 8;
        return Closest(name, candidates) is { } near ? $"Did you mean '{near}'?"
            : candidates.Count == 0 ? "There are none"
            : $"There are {string.Join(", ", candidates.Take(listed))}{(candidates.Count > listed ? $" and {candidates.Count - listed} more" : "")}";
    }

    /// <summary>Insertions, deletions, replacements and exchanges of neighbours.</summary>
    private static int Distance(string a, string b)
    {
        int[,] d = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++) d[i, 0] = i;
        for (int j = 0; j <= b.Length; j++) d[0, j] = j;
        for (int i = 1; i <= a.Length; i++)
        {
            for (int j = 1; j <= b.Length; j++)
            {
                int cost = Math.Min(d[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1), Math.Min(d[i - 1, j], d[i, j - 1]) + 1);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) cost = Math.Min(cost, d[i - 2, j - 2] + 1);
                d[i, j] = cost;
            }
        }

        return d[a.Length, b.Length];
    }
}
