using System.CommandLine;
using System.CommandLine.Parsing;
using System.Collections.Immutable;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using Dnn.Dsl;

namespace Dnn.Cli;

/// <summary>The <c>dnn</c> command.</summary>
public static class Cli
{
    /// <summary>What a command line means that cannot be understood.</summary>
    internal const int Usage = 2;

    /// <summary>Every command, in the order in which help lists them.</summary>
    internal static ImmutableArray<CliCommand> Commands { get; } =
    [
        new TrainCommand(), new CheckCommand(), new TestCommand(), new EvalCommand(), new RunCommand(), new InitCommand(),
        new SummaryCommand(), new GradCommand(), new GradcheckCommand(), new DumpCommand(), new ExplainCommand(), new CalcCommand(), new BenchCommand(),
    ];

    /// <summary>The whole process: a terminal, colours where it shows them, Ctrl-C.</summary>
    public static int Main(string[] args)
    {
        using var output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false), 1 << 14);
        using var error = new StreamWriter(Console.OpenStandardError(), new UTF8Encoding(false), 1 << 10) { AutoFlush = true };
        using var interruption = new Interruption();
        var plain = Environment.GetEnvironmentVariable("NO_COLOR") is { Length: > 0 } || Environment.GetEnvironmentVariable("TERM") == "dumb";
        var terminal = new Terminal(output, error, interruption.Watch)
        {
            OutputColors = !plain && !Console.IsOutputRedirected,
            ErrorColors = !plain && !Console.IsErrorRedirected,
            IsInteractive = !Console.IsErrorRedirected && Environment.GetEnvironmentVariable("TERM") != "dumb",
            Width = Console.IsOutputRedirected ? null : Console.WindowWidth,
        };
        return Run(args, terminal);
    }

    /// <summary>One command, as in a pipe: no colours, no bars.</summary>
    /// <param name="args">What follows <c>dnn</c>.</param>
    /// <param name="output">Gets the results.</param>
    /// <param name="error">Gets progress and diagnostics.</param>
    /// <param name="cancellation">What Ctrl-C does in a terminal.</param>
    /// <returns>The exit code: 0 fine, 1 errors in the file or a failed check, 2 wrong command line, 3 a fault while running, 130 interrupted.</returns>
    public static int Run(IReadOnlyList<string> args, TextWriter output, TextWriter error, CancellationToken cancellation = default) =>
        Run(args, new Terminal(output, error, () => cancellation));

    private static int Run(IReadOnlyList<string> args, Terminal terminal)
    {
        try
        {
            return Dispatch(args, terminal);
        }
        catch (Exception e)
        {
            return Faults.Report(e, terminal);
        }
        finally
        {
            terminal.Output.Flush();
        }
    }

    private static int Dispatch(IReadOnlyList<string> args, Terminal terminal)
    {
        var help = new Option<bool>("--help", "-h", "-?") { Description = "Shows this.", Recursive = true };
        var version = new Option<bool>("--version") { Description = "Shows the version." };
        var root = new Command("dnn", Help.Tagline) { help, version };
        foreach (var command in Commands)
            root.Subcommands.Add(command);
        // '@' is the matrix product, not a file with more arguments; -o is no bundle.
        var parsed = root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null, EnablePosixBundling = false });
        var chosen = parsed.CommandResult.Command as CliCommand;
        if (parsed.GetValue(help))
        {
            Help.Write(terminal.Output, chosen, Commands);
            return 0;
        }

        if (parsed.GetValue(version) && chosen is null)
        {
            terminal.Output.WriteLine(typeof(Cli).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0]);
            return 0;
        }

        if (args.Count == 0)
        {
            Help.Write(terminal.Error, null, Commands);
            return Usage;
        }

        var wrong = Wrong(parsed, chosen);
        if (wrong.Count > 0)
        {
            foreach (var message in wrong)
                Faults.Error(terminal, message);
            terminal.Error.WriteLine(chosen is null ? "`dnn --help` lists the commands." : $"`dnn {chosen.Name} --help` shows how it is used.");
            return Usage;
        }

        return chosen!.Execute(new Invocation(parsed, terminal, chosen));
    }

    /// <summary>What is wrong with a command line: what nobody understands first, else what is missing.</summary>
    private static List<string> Wrong(ParseResult parsed, CliCommand? chosen)
    {
        var messages = new List<string>();
        foreach (var token in parsed.UnmatchedTokens)
        {
            var isOption = token.StartsWith('-');
            IEnumerable<string> candidates = isOption ? parsed.CommandResult.Command.Options.Select(o => o.Name).Append("--help") : chosen is null ? Commands.Select(c => c.Name) : [];
            var near = Suggestion.Closest(token.Split('=')[0], candidates);
            var what = isOption ? "unknown option" : chosen is null ? "unknown command" : "one argument too many:";
            messages.Add($"{what} '{token}'{(near is null ? "" : $"; did you mean '{near}'?")}");
        }

        if (messages.Count > 0)
            return messages;
        foreach (var argument in parsed.CommandResult.Command.Arguments)
        {
            if (argument.Arity.MinimumNumberOfValues > 0 && parsed.GetResult(argument) is not { Tokens.Count: > 0 })
                messages.Add($"`dnn {parsed.CommandResult.Command.Name}` needs {argument.HelpName}");
        }

        return messages.Count > 0 ? messages : [.. parsed.Errors.Select(e => e.Message.TrimEnd('.'))];
    }

    /// <summary>Ctrl-C and the polite end signal: the first cancels, the second ends the process as usual.</summary>
    private sealed class Interruption : IDisposable
    {
        private readonly CancellationTokenSource source = new();
        private readonly List<PosixSignalRegistration> registrations = [];

        public CancellationToken Watch()
        {
            if (registrations.Count == 0)
            {
                registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, Cancel));
                registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, Cancel));
            }

            return source.Token;
        }

        public void Dispose()
        {
            foreach (var registration in registrations)
                registration.Dispose();
            source.Dispose();
        }

        private void Cancel(PosixSignalContext context)
        {
            context.Cancel = !source.IsCancellationRequested;
            source.Cancel();
        }
    }
}
