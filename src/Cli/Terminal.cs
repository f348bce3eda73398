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
}
