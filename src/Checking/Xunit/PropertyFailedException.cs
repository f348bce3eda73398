namespace FsCheck.Xunit;

/// <summary>Reports a property that does not hold or could not be run. The stack trace is that of the cause, without FsCheck's own frames.</summary>
public sealed class PropertyFailedException : Exception
{
    private static readonly string[] Noise =
    [
        "at FsCheck.", "at <StartupCode$", "at Microsoft.FSharp.", "at System.Reflection.", "at System.RuntimeMethodHandle.",
        "at InvokeStub_", "at System.Lazy`1.", "--- End of stack trace from previous location",
    ];

    private readonly string stackTrace = "";

    internal PropertyFailedException(string message) : base(message)
    {
    }

    internal PropertyFailedException(string message, Exception cause) : base(message)
    {
        var lines = (cause.StackTrace ?? "").Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        stackTrace = string.Join('\n', lines
            .Where(line => !Noise.Any(noise => line.StartsWith(noise, StringComparison.Ordinal)))
            .Select(line => "   " + line));
    }

    /// <inheritdoc/>
    public override string StackTrace => stackTrace;
}
