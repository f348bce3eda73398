using Dnn.Backend;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>A command line that parses and still cannot be meant: exit 2.</summary>
internal sealed class UsageException(string message) : Exception(message);

/// <summary>The file has errors: exit 1.</summary>
/// <param name="message">What is wrong; null where it was reported already.</param>
internal sealed class FileErrorsException(string? message = null) : Exception(message)
{
    public bool IsReported { get; } = message is null;
}

/// <summary>Turns what went wrong into a message and an exit code. Nobody sees a stack trace.</summary>
internal static class Faults
{
    public static int Report(Exception fault, Terminal terminal)
    {
        switch (fault)
        {
            case FileErrorsException errors:
                if (!errors.IsReported)
                    Error(terminal, errors.Message);
                return 1;
            case UsageException:
                Error(terminal, fault.Message);
                return Cli.Usage;
            case OperationCanceledException:
                Error(terminal, "interrupted");
                return 130;
            case NonFiniteException { Origin.Location: { } location }:
                Error(terminal, fault.Message);
                Excerpt(terminal, location);
                return 3;
            case ShapeException { Location: { } place }:
                Error(terminal, fault.Message);
                Excerpt(terminal, place);
                return 3;
            case DataFormatException or GraphException or IOException or UnauthorizedAccessException:
                Error(terminal, fault.Message);
                return 3;
            case OutOfMemoryException or InsufficientExecutionStackException:
                Error(terminal, "there is not enough memory for this: a smaller batch or a smaller model needs less");
                return 3;
            default:
                Error(terminal, $"{fault.Message} ({fault.GetType().Name}). This is a fault of dnn itself: please report it with the file and the command line");
                return 3;
        }
    }

    public static void Error(Terminal terminal, string message) =>
        terminal.Error.WriteLine($"{(terminal.ErrorColors ? "\e[31merror\e[0m" : "error")}: {message}");

    /// <summary>The line of the source that something came from.</summary>
    private static void Excerpt(Terminal terminal, SourceLocation at)
    {
        string[] lines;
        try
        {
            lines = File.ReadAllLines(at.File);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return;
        }

        if (at.Line > lines.Length)
            return;
        var line = lines[at.Line - 1];
        var start = Math.Min(at.Column - 1, line.Length);
        var carets = new string('^', Math.Clamp(at.Length, 1, Math.Max(1, line.Length - start)));
        var number = at.Line.ToString(System.Globalization.CultureInfo.InvariantCulture);
        var margin = new string(' ', number.Length + 1);
        terminal.Error.WriteLine($"{margin[1..]}--> {at}\n{margin} |\n {number} | {line}\n{margin} | {new string(' ', start)}{carets}");
    }
}
