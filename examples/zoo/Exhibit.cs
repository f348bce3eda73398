using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Dnn.Backend;
using Dnn.Dsl;
using Dnn.Graph;

namespace Dnn.Zoo;

/// <summary>What a network is to reach, as a line of its file says: <c>// Bar: validation.accuracy &gt;= 0.97</c>, with the name of the train block before it where there are several.</summary>
/// <param name="Train">The train block; null for the only one.</param>
/// <param name="Split">The part of the data.</param>
/// <param name="Value">The loss or metric.</param>
/// <param name="AtLeast">Whether more is better.</param>
/// <param name="Limit">The number.</param>
public sealed partial record Bar(string? Train, string Split, string Value, bool AtLeast, double Limit)
{
    public string What => $"{Split}.{Value}";

    public string Text => string.Create(CultureInfo.InvariantCulture, $"{(AtLeast ? "≥" : "≤")} {Limit}");

    public bool IsReached(double figure) => AtLeast ? figure >= Limit : figure <= Limit;

    /// <summary>The bars of a file, in order.</summary>
    public static IEnumerable<Bar> Of(string text) => Lines().Matches(text).Select(m => new Bar(
        m.Groups["train"] is { Success: true } train ? train.Value : null,
        m.Groups["split"].Value,
        m.Groups["value"].Value,
        m.Groups["sign"].Value == ">=",
        double.Parse(m.Groups["limit"].Value, CultureInfo.InvariantCulture)));

    [GeneratedRegex(@"^// Bar: (?:(?<train>\w+): )?(?<split>\w+)\.(?<value>\w+) (?<sign>>=|<=) (?<limit>[-+.\de]+)$", RegexOptions.Multiline)]
    private static partial Regex Lines();
}

/// <summary>A train block of a file of the zoo, with its bar.</summary>
/// <param name="Path">The file.</param>
/// <param name="Bar">What it is to reach.</param>
public sealed record Exhibit(string Path, Bar Bar)
{
    /// <summary>The name of the file.</summary>
    public string File => System.IO.Path.GetFileNameWithoutExtension(Path);

    /// <summary>What the command calls it.</summary>
    public string Name => Bar.Train is { } train ? $"{File}.{train}" : File;

    private string FolderOfFile => System.IO.Path.GetDirectoryName(Path)!;

    /// <summary>The folder of the zoo, wherever the program runs.</summary>
    public static string Folder()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !System.IO.File.Exists(System.IO.Path.Combine(folder.FullName, "Dsl.sln")))
            folder = folder.Parent;
        return System.IO.Path.Combine(folder?.FullName ?? ".", "examples", "zoo");
    }

    /// <summary>Every bar of every file: those of the zoo's folder, and beside it the one on the larger data set.</summary>
    public static IReadOnlyList<Exhibit> All(string folder)
    {
        var beside = System.IO.Path.GetFullPath(System.IO.Path.Combine(folder, "..", "fashion_mnist.dnn"));
        return [.. Directory.GetFiles(folder, "*.dnn").Order(StringComparer.Ordinal).Append(beside).Where(System.IO.File.Exists)
            .SelectMany(path => Bar.Of(System.IO.File.ReadAllText(path)).Select(bar => new Exhibit(path, bar)))];
    }

    /// <summary>Compiles the file for its train block.</summary>
    /// <param name="overrides">Hyperparameters, as <c>--set</c> takes them.</param>
    public CompileResult Compile(IReadOnlyDictionary<string, string>? overrides = null)
    {
        var options = new CompileOptions { DataReader = new DataReader(FolderOfFile), TrainName = Bar.Train };
        return Compiler.Compile(Path, overrides is null ? options : options with { Overrides = overrides });
    }

    /// <summary>What is wrong with the file, or with the machine that lacks its data; null where it can be trained.</summary>
    public string? Problem()
    {
        var result = Compile();
        return result.Diagnostics.FirstOrDefault(d => d.IsError) is { } error ? error.Message
            : result.Chosen is { Model: not null, Recipe: not null, Data: not null } ? null : "there is no such train block";
    }

    /// <summary>Reads the data of a compiled train block.</summary>
    public DataSet Read(CompiledModel compiled) => new DataReader(FolderOfFile).Read(compiled.Data!);

    /// <summary>Trains as the file says, saves the best weights as <c>runs/NAME/best.safetensors</c>, and gives what they reach.</summary>
    public Result Train()
    {
        var clock = Stopwatch.StartNew();
        var compiled = Compile().Chosen!;
        var recipe = compiled.Recipe!;
        if (recipe.StartFrom is { } start)
            recipe = recipe with { StartFrom = start with { Path = System.IO.Path.Combine(FolderOfFile, start.Path) } };
        var trainer = new Trainer(compiled.Model!, recipe, Read(compiled));
        LogRecord? best = null;
        foreach (var record in trainer.Run())
        {
            if (record.Split == Bar.Split && record.Epoch == trainer.BestEpoch)
                best = record;
        }

        var runs = Directory.CreateDirectory(System.IO.Path.Combine(Folder(), "..", "..", "runs", Name)).FullName;
        trainer.Best.Save(System.IO.Path.Combine(runs, "best.safetensors"));
        var figure = best!.Values.First(v => v.Key == Bar.Value).Value;
        return new Result(Name, Bar, figure, trainer.Step, compiled.Model!.ParameterCount, recipe.Seed, clock.Elapsed.TotalSeconds);
    }
}
