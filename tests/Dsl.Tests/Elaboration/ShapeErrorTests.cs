using System.Runtime.CompilerServices;
using Dnn.Testing;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>
/// Shape errors deep in nested layers, held as texts: both shapes, where each size came from, the axis, the chain of applications, what would fix it. Each file of ShapeErrors has
/// one mistake.
/// </summary>
public class ShapeErrorTests
{
    /// <summary>What others import.</summary>
    private const string Library = "blocks";

    private sealed class Folder(string path) : ISourceReader
    {
        public string? Read(string name) => File.Exists(Path.Combine(path, name)) ? SourceText.Read(Path.Combine(path, name)).Text : null;
    }

    public static TheoryData<string> Files() => new(Directory.GetFiles(Sources(), "*.dnn").Select(f => Path.GetFileNameWithoutExtension(f)).Where(f => f != Library).Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Files))]
    public void Reads_as_a_good_teacher_wrote_it(string name)
    {
        var folder = new Folder(Sources());
        var result = Compiler.Compile(new SourceText(folder.Read(name + ".dnn")!, name + ".dnn"), new CompileOptions { Sources = folder });
        Golden.Verify(new DiagnosticFormatter().Format(result.Diagnostics), name);
    }

    private static string Sources([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(RepoRoot.Source(here))!, "ShapeErrors");
}
