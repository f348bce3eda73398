using System.Globalization;
using System.Text;

namespace Dnn.Zoo;

/// <summary>What a training came to.</summary>
public sealed record Result(string Name, Bar Bar, double Figure, long Steps, long Parameters, long Seed, double Seconds)
{
    public bool Reached => Bar.IsReached(Figure);

    /// <summary>The row of the table.</summary>
    public string Row => string.Create(CultureInfo.InvariantCulture,
        $"| {Name} | {Bar.What} | {Figure:0.####} | {Bar.Text} | {(Reached ? "yes" : "no")} | {Steps:N0} | {Parameters:N0} | {Seed} | {Seconds:0.0} |");
}

/// <summary>The table of results, of which each training renews its own row.</summary>
public sealed class Results
{
    private const string Head = """
        # Results of the zoo

        Written by `dotnet run -c Release --project examples/zoo [-- NAME …]`, which trains each file as its `train` block says. The figure is that of the best weights, which
        `dnn train` keeps; the same seed gives the same figure at any number of threads. A bar is what its file says it is held against:
        guessing, a linear map, counting, a fit of a normal distribution. Seconds are wall time, compiling and evaluation included, on the machine that wrote the row.

        | network | what | figure | bar | reached | steps | parameters | seed | seconds |
        | --- | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |

        """;

    private readonly string path;
    private readonly Dictionary<string, string> rows = new(StringComparer.Ordinal);

    private Results(string path) => this.path = path;

    /// <summary>The table as it is; empty if there is none yet.</summary>
    public static Results Read(string folder)
    {
        var results = new Results(Path.Combine(folder, "RESULTS.md"));
        var lines = File.Exists(results.path) ? File.ReadAllLines(results.path) : [];
        foreach (var line in lines.SkipWhile(l => !l.StartsWith("| ---", StringComparison.Ordinal)).Skip(1).Where(l => l.StartsWith("| ", StringComparison.Ordinal)))
            results.rows[line.Split('|')[1].Trim()] = line;
        return results;
    }

    public void Put(Result result) => rows[result.Name] = result.Row;

    /// <summary>Writes the rows of what is in the zoo, in its order.</summary>
    public void Write(IEnumerable<Exhibit> all)
    {
        var text = new StringBuilder(Head);
        foreach (var exhibit in all)
        {
            if (rows.TryGetValue(exhibit.Name, out var row))
                text.Append(row).Append('\n');
        }

        File.WriteAllText(path, text.ToString());
    }
}
