using Dnn.Dsl;

namespace Dnn.Cli;

/// <summary>Where a command writes: results to one writer, progress and diagnostics to the other.</summary>
internal sealed class Terminal(TextWriter output, TextWriter error, Func<CancellationToken> cancellation)
{
    public TextWriter Output { get; } = output;

    public TextWriter Error { get; } = error;

    /// <summary>What is read where a file is called '-'.</summary>
    public TextReader Input { get; init; } = TextReader.Null;

    /// <summary>Whether results may have colours.</summary>
    public bool OutputColors { get; init; }

    /// <summary>Whether diagnostics may have colours.</summary>
    public bool ErrorColors { get; init; }

    /// <summary>Whether somebody watches the progress.</summary>
    public bool IsInteractive { get; init; }

    /// <summary>The columns of a line; null where nothing limits them, or where the terminal does not know, which some say by 0.</summary>
    public int? Width { get; init => field = value > 0 ? value : null; }

    /// <summary>
    /// Is cancelled by Ctrl-C. Whoever asks for it promises to end soon after: without, Ctrl-C ends the process at once.
    /// </summary>
    public CancellationToken Cancellation => cancellation();

    /// <summary>Shows diagnostics of a file to people, who read no more than the first errors of many.</summary>
    public void Show(IEnumerable<Diagnostic> diagnostics)
    {
        const int most = 50;
        var errors = 0;
        Diagnostic[] shown = [.. diagnostics.Where(d => !d.IsError || ++errors <= most)];
        if (shown.Length > 0)
            Error.WriteLine(new DiagnosticFormatter(ErrorColors).Format(shown));
        if (errors > most)
            Error.WriteLine($"... and {Count(errors - most, "more error")}; `dnn check --json` lists all\n");
    }

    /// <summary>So many of something, in words: <c>1 error</c>, <c>2 errors</c>.</summary>
    public static string Count(int count, string what) => count == 1 ? $"1 {what}" : $"{count} {what}s";
}
