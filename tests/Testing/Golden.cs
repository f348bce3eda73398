using System.Runtime.CompilerServices;
using Xunit.Sdk;

namespace Dnn.Testing;

/// <summary>
/// Holds a text to a file beside the test: <c>&lt;TestFile&gt;.&lt;Method&gt;[.name].verified.txt</c>, the naming of Verify.
/// A text that differs is written beside it as <c>.received.txt</c>. <c>DNN_UPDATE_GOLDEN=1</c> accepts what comes.
/// </summary>
public static class Golden
{
    private const string Verified = ".verified.txt";

    /// <summary>Passes when <paramref name="actual"/> equals the golden file but for line endings and a missing last one.</summary>
    /// <param name="name">Tells apart several texts of one test, or the rows of a theory.</param>
    /// <exception cref="XunitException">The texts differ, or there is no golden file.</exception>
    public static void Verify(
        string actual, string? name = null, [CallerFilePath] string testFile = "", [CallerMemberName] string method = "")
    {
        if (name is not null && (name.Length == 0 || name.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_' or '.'))))
            throw new ArgumentException($"'{name}' becomes part of a file's name: use letters, digits, '-', '_' and '.'.", nameof(name));
        var source = RepoRoot.Source(testFile);
        var file = $"{Path.GetFileNameWithoutExtension(source)}.{method}{(name is null ? "" : "." + name)}{Verified}";
        VerifyFile(actual, Path.Combine(Path.GetDirectoryName(source)!, file), Environment.GetEnvironmentVariable("DNN_UPDATE_GOLDEN") == "1");
    }

    /// <summary>Does the same with a golden file of any place; its name ends in <c>.verified.txt</c>.</summary>
    public static void VerifyFile(string actual, string verifiedFile, bool update)
    {
        if (!verifiedFile.EndsWith(Verified, StringComparison.Ordinal))
            throw new ArgumentException($"'{verifiedFile}' does not end in {Verified}.", nameof(verifiedFile));
        var receivedFile = verifiedFile[..^Verified.Length] + ".received.txt";
        var received = Normalize(actual);
        var verified = File.Exists(verifiedFile) ? Normalize(File.ReadAllText(verifiedFile)) : null;
        if (received != verified && !update)
        {
            File.WriteAllText(receivedFile, received);
            throw new XunitException(
                (verified is null
                    ? $"There is no golden file '{verifiedFile}'.\n{LineDiff.Of("", received)}"
                    : $"The text differs from '{verifiedFile}' (- verified, + received):\n{LineDiff.Of(verified, received)}")
                + $"\nReceived: '{receivedFile}'. To accept it, run the test with DNN_UPDATE_GOLDEN=1.");
        }
        if (received != verified) File.WriteAllText(verifiedFile, received);
        File.Delete(receivedFile);
    }

    private static string Normalize(string text)
    {
        text = text.ReplaceLineEndings("\n");
        return text.Length == 0 || text[^1] == '\n' ? text : text + "\n";
    }
}
