// Trains the networks of the zoo and writes down what came out.
// dotnet run -c Release --project examples/zoo               trains all, in order, and writes RESULTS.md
// dotnet run -c Release --project examples/zoo -- NAME …     trains some, and renews their rows; a name is that of a file, perhaps with that of a train block: karate karate.conv
using System.Globalization;
using Dnn.Zoo;

var all = Exhibit.All(Exhibit.Folder());
var chosen = args.Length == 0 ? all : [.. all.Where(e => args.Contains(e.File) || args.Contains(e.Name))];
if (args.FirstOrDefault(name => all.All(e => e.File != name && e.Name != name)) is { } unknown)
{
    Console.Error.WriteLine($"there is no `{unknown}` in the zoo; there are {string.Join(", ", all.Select(e => e.Name))}");
    return 2;
}

var results = Results.Read(Exhibit.Folder());
var missed = 0;
foreach (var exhibit in chosen)
{
    Console.Write($"{exhibit.Name}: ");
    if (exhibit.Problem() is { } problem)
    {
        Console.WriteLine(problem);
        missed++;
        continue;
    }

    var result = exhibit.Train();
    results.Put(result);
    results.Write(all);
    missed += result.Reached ? 0 : 1;
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{result.Bar.What} {result.Figure:0.####} ({result.Bar.Text} {(result.Reached ? "reached" : "missed")}), {result.Steps:N0} steps, {result.Seconds:0.0} s"));
}

return missed == 0 ? 0 : 1;
