// What is taught about deep networks, measured.
// dotnet run -c Release --project examples/claims             lists the claims
// dotnet run -c Release --project examples/claims -- NAME …   runs some; `all` runs all
// dotnet run -c Release --project examples/claims -- --markdown   the list of README.md
using Dnn.Claims;
using Spectre.Console;

// Colours and escape codes are for a terminal alone, and only where it is not asked to do without.
var colors = !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("NO_COLOR") is not { Length: > 0 } && Environment.GetEnvironmentVariable("TERM") != "dumb";
using var output = new StreamWriter(Console.OpenStandardOutput(), new System.Text.UTF8Encoding(false)) { AutoFlush = true };
var console = AnsiConsole.Create(new AnsiConsoleSettings
{
    Out = new AnsiConsoleOutput(output),
    Ansi = colors ? AnsiSupport.Yes : AnsiSupport.No,
    ColorSystem = colors ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
});
console.Profile.Capabilities.Unicode = true;
console.Profile.Width = Console.IsOutputRedirected || Console.WindowWidth < 40 ? 200 : Console.WindowWidth;

if (args is ["--markdown"])
{
    output.Write(Claims.ToMarkdown());
    return 0;
}

if (args.Length == 0)
{
    var list = new Table().Border(TableBorder.Simple).AddColumns("claim", "says", "source");
    foreach (var claim in Claims.All)
        list.AddRow(Markup.Escape(claim.Name), Markup.Escape(claim.Says), Markup.Escape(claim.Source));
    console.Write(list);
    return 0;
}

var chosen = args is ["all"] ? Claims.All : [.. args.SelectMany(name => Claims.All.Where(c => c.Name == name))];
if (args is not ["all"] && args.FirstOrDefault(name => Claims.All.All(c => c.Name != name)) is { } unknown)
{
    Console.Error.WriteLine($"there is no claim `{unknown}`; without a name, the command lists them");
    return 2;
}

var failed = 0;
foreach (var claim in chosen)
{
    console.MarkupLineInterpolated($"[bold]{claim.Name}[/]: {claim.Says} ({claim.Source})");
    var table = new Table().Border(TableBorder.Simple).AddColumns("", "predicted", "measured", "");
    foreach (var line in claim.Run(Effort.Full))
    {
        failed += line.Holds == false ? 1 : 0;
        table.AddRow(Markup.Escape(line.What), Markup.Escape(line.Predicted), Markup.Escape(line.Measured), line.Holds switch { true => "[green]holds[/]", false => "[red]fails[/]", _ => "" });
    }

    console.Write(table);
}

return failed == 0 ? 0 : 1;
