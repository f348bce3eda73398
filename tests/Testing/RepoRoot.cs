namespace Dnn.Testing;

/// <summary>Finds files of the repository from the place of the test assembly.</summary>
public static class RepoRoot
{
    private static readonly Lazy<string> Root = new(() => Find(AppContext.BaseDirectory));

    /// <summary>The folder that holds Dsl.sln.</summary>
    /// <exception cref="DirectoryNotFoundException">The tests do not run from below it.</exception>
    public static string Path => Root.Value;

    /// <summary>Gives the path of a file or folder from its parts, seen from the root.</summary>
    public static string Combine(params string[] parts) => System.IO.Path.Combine([Path, .. parts]);

    internal static string Find(string start)
    {
        for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
            if (File.Exists(System.IO.Path.Combine(folder.FullName, "Dsl.sln"))) return folder.FullName;
        throw new DirectoryNotFoundException($"No folder from '{start}' upwards holds Dsl.sln: run the tests from a checkout.");
    }

    /// <summary>
    /// Finds a source file here from the path that the compiler wrote: the longest end of it that exists below the root.
    /// So it does not matter whether the build mapped paths (<c>/_/tests/…</c>) or took place in another folder.
    /// </summary>
    /// <exception cref="FileNotFoundException">No end of the path exists below the root.</exception>
    public static string Source(string compiledPath)
    {
        var parts = compiledPath.Split(['/', '\\'], StringSplitOptions.RemoveEmptyEntries);
        for (var skip = 0; skip < parts.Length; skip++)
        {
            var path = Combine(parts[skip..]);
            if (File.Exists(path)) return path;
        }
        throw new FileNotFoundException($"'{compiledPath}' is no file of the repository in '{Path}'.");
    }
}
