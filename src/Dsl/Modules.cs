using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text;

namespace Dnn.Dsl;

/// <summary>Where the texts of imported files come from: the disk, or an editor that holds what is not saved yet.</summary>
public interface ISourceReader
{
    /// <summary>The text of a file, or null where there is none.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">There is no permission to read it.</exception>
    string? Read(string path);
}

/// <summary>Texts from the disk.</summary>
public sealed class DiskSources : ISourceReader
{
    public static DiskSources Instance { get; } = new();

    public string? Read(string path) => File.Exists(path) ? SourceText.Read(path).Text : null;
}

/// <summary>The shipped library: blocks that are written in the language itself.</summary>
public static class StandardLibrary
{
    private const string Prefix = "std.";
    private static readonly ConcurrentDictionary<string, SyntaxTree> _trees = new(StringComparer.Ordinal);

    /// <summary>The names that <c>import</c> takes: <c>std.resnet</c> and so on.</summary>
    public static ImmutableArray<string> Names { get; } =
        [.. typeof(StandardLibrary).Assembly.GetManifestResourceNames().Where(n => n.StartsWith(Prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    /// <summary>The tree of a file of the library, or null.</summary>
    public static SyntaxTree? Find(string name) => Names.Contains(name) ? _trees.GetOrAdd(name, n => Parser.Parse(new SourceText(Read(n), n))) : null;

    /// <summary>What a file of the library has, or what one of its layers is: <c>std.resnet</c>, <c>std.resnet.stem</c>, <c>stem</c>. Null where there is no such name.</summary>
    public static string? Explain(string name)
    {
        if (Find(name) is { } file)
            return $"{name}\nfile of the library\n\n{string.Join('\n', LayersOf(file).Select(l => $"{Signature(l)}\n  {l.Documentation?.Replace('\n', ' ')}\n"))}";
        var found = Names.SelectMany(n => LayersOf(Find(n)!).Where(l => l.Name.Text == name || $"{n}.{l.Name.Text}" == name)
            .Select(l => $"{Signature(l)}\nlayer of the library: import {n} ({l.Name.Text})\n\n{l.Documentation?.Replace('\n', ' ')}\n")).ToArray();
        return found.Length == 0 ? null : string.Join('\n', found);
    }

    /// <summary>The names of all layers of the library.</summary>
    public static IEnumerable<string> LayerNames => Names.SelectMany(n => LayersOf(Find(n)!)).Select(l => l.Name.Text).Distinct();

    private static IEnumerable<LayerSyntax> LayersOf(SyntaxTree file) => file.Root.Declarations.OfType<LayerSyntax>();

    /// <summary>A layer's name, parameters and result on one line.</summary>
    private static string Signature(LayerSyntax layer) =>
        string.Join(' ', layer.Name.Span.Source.Text[layer.Name.Span.Start..layer.Body.Span.Start].Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)).Replace("( ", "(").Replace(" )", ")").Replace(",)", ")");

    private static string Read(string name)
    {
        using var stream = typeof(StandardLibrary).Assembly.GetManifestResourceStream(name)!;
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}

/// <summary>One file of a compilation: the one that was asked for, or one that is imported.</summary>
internal sealed class Module(SyntaxTree tree, string name)
{
    public SyntaxTree Tree { get; } = tree;

    /// <summary>The path below the folder of the first file, with dots: <c>blocks.norm</c>; empty for the first file itself.</summary>
    public string Name { get; } = name;

    /// <summary>The name that expressions know it by: the last part.</summary>
    public string Alias => Name[(Name.LastIndexOf('.') + 1)..];

    /// <summary>What its imports lead to, without those that lead nowhere.</summary>
    public Dictionary<ImportSyntax, Module> Imports { get; } = [];

    /// <summary>The names of its top level, those it imports included.</summary>
    public Dictionary<string, Symbol> Names { get; } = new(StringComparer.Ordinal);

    /// <summary>The names that it declares itself, which others may import.</summary>
    public Dictionary<string, Symbol> Exports { get; } = new(StringComparer.Ordinal);
}

/// <summary>Reads and parses the files that a file imports, each once.</summary>
internal sealed class ModuleLoader
{
    private readonly ISourceReader sources;
    private readonly string folder;
    private readonly Dictionary<string, Module?> known = new(StringComparer.Ordinal);
    private readonly List<Module> order = [];
    private readonly List<Diagnostic> diagnostics = [];

    private ModuleLoader(ISourceReader sources, string folder)
    {
        this.sources = sources;
        this.folder = folder;
    }

    /// <summary>A file with all that it imports, what is imported before what imports it.</summary>
    public static (ImmutableArray<Module> Modules, ImmutableArray<Diagnostic> Diagnostics) Load(SyntaxTree root, ISourceReader sources)
    {
        var path = root.Source.Path.Replace('\\', '/');
        var loader = new ModuleLoader(sources, path[..(path.LastIndexOf('/') + 1)]);
        loader.Load(root, path[loader.folder.Length..]);
        return ([.. loader.order], [.. loader.diagnostics]);
    }

    /// <summary>A file whose imports are being followed.</summary>
    private sealed record Open(Module Module, string Key, ImmutableArray<ImportSyntax> Imports)
    {
        public int Next { get; set; }

        public ImportSyntax Current => Imports[Next - 1];
    }

    private void Load(SyntaxTree root, string key)
    {
        var first = new Module(root, "");
        known[key] = first;
        var open = new List<Open> { new(first, key, ImportsOf(root)) };
        while (open.Count > 0)
        {
            var top = open[^1];
            if (top.Next == top.Imports.Length)
            {
                open.RemoveAt(open.Count - 1);
                order.Add(top.Module);
                continue;
            }

            var import = top.Imports[top.Next++];
            if (Key(import, top.Key) is not { } target)
                continue;
            if (open.FindIndex(o => o.Key == target) is >= 0 and var start)
            {
                Circle(open, start, import);
                continue;
            }

            if (!known.TryGetValue(target, out var module))
            {
                known[target] = module = Read(import, target);
                if (module is not null)
                    open.Add(new Open(module, target, ImportsOf(module.Tree)));
            }

            if (module is not null)
                top.Module.Imports[import] = module;
        }
    }

    private static ImmutableArray<ImportSyntax> ImportsOf(SyntaxTree tree) => [.. tree.Root.Declarations.OfType<ImportSyntax>()];

    /// <summary>The path below the first file's folder, or the name of a file of the library; null where it leads outside.</summary>
    private string? Key(ImportSyntax import, string from)
    {
        if (!import.IsFile)
            return StandardLibrary.Names.Contains(import.Path) ? import.Path : Fail(Unknown(import));
        if (import.Path.Length == 0 || import.Path.Contains('\0') || import.Path.EndsWith('/'))
            return Fail(DiagnosticCodes.ImportNotFound.At(import.PathSpan, "this is no path of a file"));
        if (import.Path.Contains('\\') || import.Path[0] == '/' || import.Path.Contains(':'))
        {
            return Fail(DiagnosticCodes.ImportOutside.At(import.PathSpan, "a path is relative to the file that imports, with `/` between folders")
                .WithNote("so a folder can be moved or copied as a whole, and works on every system"));
        }

        var parts = new List<string>(from.Split('/')[..^1]);
        foreach (var part in import.Path.Split('/'))
        {
            if (part is "." or "")
                continue;
            if (part != "..")
            {
                parts.Add(part);
            }
            else if (parts.Count > 0)
            {
                parts.RemoveAt(parts.Count - 1);
            }
            else
            {
                return Fail(DiagnosticCodes.ImportOutside.At(import.PathSpan, $"this leaves the folder of the first file{(folder.Length == 0 ? "" : $", {folder}")}")
                    .WithNote("move the file below it, or run the command on a file further up"));
            }
        }

        return string.Join('/', parts);
    }

    private static Diagnostic Unknown(ImportSyntax import)
    {
        var diagnostic = DiagnosticCodes.ImportNotFound.At(import.PathSpan, $"there is no `{import.Path}` in the library");
        return (import.Path.StartsWith("std.", StringComparison.Ordinal) ? diagnostic : diagnostic.WithNote($"a file is imported by its path in quotes: import \"{import.Path.Replace('.', '/')}.dnn\" (…)"))
            .WithSuggestion(import.Path, import.PathSpan, StandardLibrary.Names).WithNote($"it has {string.Join(", ", StandardLibrary.Names)}");
    }

    private string? Fail(Diagnostic diagnostic)
    {
        diagnostics.Add(diagnostic);
        return null;
    }

    private void Circle(List<Open> open, int start, ImportSyntax last)
    {
        var chain = open.Skip(start).Select(o => o.Module.Tree.Source.Path).Append(open[start].Module.Tree.Source.Path);
        var diagnostic = DiagnosticCodes.ImportCircle.At(last.PathSpan, $"files import each other in a circle: {string.Join(" → ", chain)}");
        for (var i = start; i < open.Count - 1; i++)
            diagnostic = diagnostic.With(open[i].Current.PathSpan, "imported here");
        diagnostics.Add(diagnostic.WithNote("move what both need to a file of its own"));
    }

    private Module? Read(ImportSyntax import, string key)
    {
        if (!import.IsFile)
            return new Module(StandardLibrary.Find(key)!, key);
        var path = folder + key;
        try
        {
            if (sources.Read(path) is { } text)
            {
                var name = key.EndsWith(".dnn", StringComparison.Ordinal) ? key[..^4] : key;
                return new Module(Parser.Parse(new SourceText(text, path)), name.Replace('/', '.'));
            }

            var diagnostic = DiagnosticCodes.ImportNotFound.At(import.PathSpan, $"there is no file {path}");
            diagnostics.Add(!key.EndsWith(".dnn", StringComparison.Ordinal) && sources.Read(path + ".dnn") is not null
                ? diagnostic.WithFix("add the ending", import.PathSpan, Graph.Printer.Quote(import.Path + ".dnn"))
                : diagnostic.WithNote("paths are relative to the file that imports"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            diagnostics.Add(DiagnosticCodes.ImportNotFound.At(import.PathSpan, $"{path} cannot be read: {e.Message.TrimEnd('.')}"));
        }

        return null;
    }
}
