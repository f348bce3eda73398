using System.Collections.Immutable;
using Dnn.Backend;
using Dnn.Dsl;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>A file without errors, with the model that the command line chooses.</summary>
internal sealed class ModelFile
{
    private readonly CompileResult result;
    private readonly CompiledModel chosen;

    private ModelFile(string path, CompileResult result, CompiledModel chosen, DataReader reader)
    {
        Path = path;
        this.result = result;
        this.chosen = chosen;
        Reader = reader;
    }

    /// <summary>A file that is not there, or that nobody may read.</summary>
    public static DiagnosticDescriptor Unreadable { get; } = new(
        "DNN0000", Severity.Error, "file that cannot be read",
        "The path does not lead to a file, or there is no permission to read it. Paths are relative to the folder in which the command runs.",
        "", "");

    /// <summary>As the command line gives it.</summary>
    public string Path { get; }

    public Model Model => chosen.Model!;

    /// <summary>Reads data beside the file.</summary>
    public DataReader Reader { get; }

    /// <summary>The source text of a place; null where it is not in this file.</summary>
    public string? TextAt(SourceLocation at) => at.File == result.Syntax.Source.Path ? result.Syntax.Source.Text.Substring(at.Start, at.Length) : null;

    /// <summary>What the hyperparameters of file and model are, as text.</summary>
    public IEnumerable<KeyValuePair<string, string>> Hypers => chosen.Hypers;

    /// <summary>The seed of the train block; 0 without one.</summary>
    public long Seed => chosen.Recipe?.Seed ?? 0;

    /// <summary>The name of the train block; null where it has none, or there is no block.</summary>
    public string? TrainName => chosen.Name;

    public bool HasTraining => chosen is { Recipe: not null, Data: not null };

    /// <summary>How the model is trained.</summary>
    /// <exception cref="FileErrorsException">The file has no train block for it.</exception>
    public (TrainingRecipe Recipe, DataDescription Data) Training() => HasTraining
        ? (chosen.Recipe!, chosen.Data!)
        : throw new FileErrorsException($"{Path}: nothing trains {Model.Name}; a block like this does:\n\n  train {Model.Name} on data_name {{\n    optimizer adam(lr = 0.001)\n    epochs    10\n  }}\n");

    /// <summary>The weights to start from, with their path below the file's folder.</summary>
    public StartFrom? Beside(StartFrom? start) => start is null ? null : start with { Path = System.IO.Path.Combine(Folder(Path), start.Path) };

    /// <summary>A data declaration by name; that of the train block where there is no name.</summary>
    public DataDescription Data(string? name)
    {
        if (name is null)
            return chosen.Data ?? (result.Data is [var only] ? only : throw new FileErrorsException($"{Path}: the file has no train block that says which data {Model.Name} is for; name it with --data"));
        return result.Data.FirstOrDefault(d => d.Name == name) ?? throw new UsageException(
            $"{Path} has no data '{name}'{(Suggestion.Closest(name, result.Data.Select(d => d.Name)) is { } near ? $"; did you mean '{near}'?" : "")}");
    }

    /// <summary>Compiles a file, says what is wrong with it, and chooses the model.</summary>
    /// <param name="path">The file.</param>
    /// <param name="invocation">Chooses, overrides, and shows.</param>
    /// <param name="withData">Whether data files are checked too: a model can be looked at and run without them.</param>
    /// <param name="onPhase">Hears of each phase when it ends.</param>
    /// <param name="decoding">Whether the model is for decoding token by token.</param>
    /// <exception cref="FileErrorsException">The file has errors, which were shown.</exception>
    public static ModelFile Load(string path, Invocation invocation, bool withData = false, Action<string>? onPhase = null, bool decoding = false)
    {
        var reader = new DataReader(Folder(path));
        var (result, diagnostics) = Compile(path, Options(invocation) with { DataReader = withData ? reader : null, OnPhase = onPhase, Decoding = decoding });
        Show(invocation, diagnostics);
        if (result?.Chosen is not { Model: not null } chosen)
            throw new FileErrorsException($"{path}: the file has no model");
        return new ModelFile(path, result, chosen, reader);
    }

    /// <summary>Compiles a file, data included, and says nothing.</summary>
    /// <returns>No result where the file cannot be read.</returns>
    public static (CompileResult? Result, ImmutableArray<Diagnostic> Diagnostics) Compile(string path, CompileOptions options)
    {
        if (Read(path) is { Problem: { } problem })
            return (null, [problem]);
        var result = Compiler.Compile(path, options);
        return (result, Linter.OfCompilation(result));
    }

    /// <summary>The tree of a file, with or without errors.</summary>
    public static SyntaxTree Parse(string path, Invocation invocation)
    {
        var (source, problem) = Read(path);
        if (problem is not null)
            Show(invocation, [problem]);
        var tree = Parser.Parse(source!);
        invocation.Terminal.Show(tree.Diagnostics);
        return tree;
    }

    /// <summary>What the names of a file mean.</summary>
    public static string Bound(string path, Invocation invocation)
    {
        var (result, diagnostics) = Compile(path, Options(invocation));
        Show(invocation, diagnostics);
        return result!.BoundText;
    }

    /// <summary>Shows diagnostics.</summary>
    /// <exception cref="FileErrorsException">There are errors among them.</exception>
    public static void Show(Invocation invocation, ImmutableArray<Diagnostic> diagnostics)
    {
        invocation.Terminal.Show(diagnostics.Where(d => d.IsError || !invocation.Quiet));
        if (diagnostics.Any(d => d.IsError))
            throw new FileErrorsException();
    }

    public static CompileOptions Options(Invocation invocation)
    {
        var overrides = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var set in invocation.Sets)
        {
            if (set.Split('=', 2) is not [{ Length: > 0 } name, { Length: > 0 } value])
                throw new UsageException($"--set takes NAME=VALUE, not '{set}'");
            overrides[name.Trim()] = value.Trim();
        }

        return new CompileOptions { ModelName = invocation.Model, TrainName = invocation.Train, Overrides = overrides };
    }

    /// <summary>The folder that paths in a file are relative to.</summary>
    public static string Folder(string path) => path.Length == 0 ? "." : System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path)) ?? ".";

    /// <summary>Reads a file, or says why it cannot be read.</summary>
    internal static (SourceText? Source, Diagnostic? Problem) Read(string path)
    {
        var name = path.Length == 0 ? "(no name)" : path;
        try
        {
            return (SourceText.Read(path), null);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            var reason = Directory.Exists(path) ? "this is a folder, not a file"
                : e is FileNotFoundException or DirectoryNotFoundException or ArgumentException ? "there is no such file"
                : e is UnauthorizedAccessException ? "there is no permission to read it"
                : e.Message.TrimEnd('.');
            var problem = Unreadable.At(default, $"{name}: {reason}");
            return (null, Similar(path) is { } near ? problem.WithNote($"did you mean '{near}'?") : problem);
        }
    }

    /// <summary>A .dnn file beside a path, with a name like it.</summary>
    private static string? Similar(string path)
    {
        if (path.Length == 0 || Directory.Exists(path) || !Directory.Exists(Folder(path)))
            return null;
        var names = Directory.EnumerateFiles(Folder(path), "*.dnn").Take(1000).Select(f => System.IO.Path.GetFileName(f));
        var name = System.IO.Path.GetFileName(path);
        return Suggestion.Closest(name, names) is { } near ? System.IO.Path.Combine(System.IO.Path.GetDirectoryName(path) ?? "", near) : null;
    }
}
