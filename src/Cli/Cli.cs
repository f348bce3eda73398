using System.Collections.Immutable;
using System.CommandLine;
using System.Reflection;
using System.Runtime;
using System.Runtime.InteropServices;
using System.Text;
using Dnn.Dsl;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>The <c>dnn</c> command.</summary>
public static class Cli
{
    /// <summary>What a command line means that cannot be understood.</summary>
    internal const int Usage = 2;

    /// <summary>Every command, in the order in which help lists them. A command belongs to one command line.</summary>
    internal static ImmutableArray<CliCommand> Commands() =>
    [
        new NewCommand(), new TrainCommand(), new CheckCommand(), new LintCommand(), new FixCommand(), new FmtCommand(), new TestCommand(), new EvalCommand(), new RunCommand(), new SampleCommand(), new InitCommand(),
        new SummaryCommand(), new GraphCommand(), new GradCommand(), new GradcheckCommand(), new DumpCommand(), new ExplainCommand(), new DiagnoseCommand(), new CalcCommand(), new BenchCommand(),
    ];

    /// <summary>The whole process: a terminal, colours where it shows them, Ctrl-C.</summary>
    public static int Main(string[] args)
    {
        CompileAhead(args);
        using var output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false), 1 << 14) { AutoFlush = !Console.IsOutputRedirected };
        using var error = new StreamWriter(Console.OpenStandardError(), new UTF8Encoding(false), 1 << 10) { AutoFlush = true };
        using var interruption = new Interruption();
        var plain = Environment.GetEnvironmentVariable("NO_COLOR") is { Length: > 0 } || Environment.GetEnvironmentVariable("TERM") == "dumb";
        using var input = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false));
        var terminal = new Terminal(output, error, interruption.Watch)
        {
            Input = input,
            OutputColors = !plain && !Console.IsOutputRedirected,
            ErrorColors = !plain && !Console.IsErrorRedirected,
            IsInteractive = !Console.IsErrorRedirected && Environment.GetEnvironmentVariable("TERM") != "dumb",
            Width = Columns(),
        };
        return Run(args, terminal);
    }

    private static int? Columns()
    {
        try
        {
            return Console.IsOutputRedirected && Console.IsErrorRedirected ? null : Console.WindowWidth;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>
    /// Has the methods that this command used last time compiled on another core while the first of them run: a profile a command, in the user's folder
    /// for caches. Where that cannot be written, starting takes longer.
    /// </summary>
    private static void CompileAhead(string[] args)
    {
        var root = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache ? cache
            : OperatingSystem.IsWindows() ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData)
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
        if (Environment.ProcessorCount == 1 || !Path.IsPathRooted(root))
            return;
        try
        {
            ProfileOptimization.SetProfileRoot(Directory.CreateDirectory(Path.Combine(root, "dnn")).FullName);
            ProfileOptimization.StartProfile(args is [var command, ..] && command.All(char.IsAsciiLetter) ? command : "dnn");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
        }
    }

    /// <summary>One command, as in a pipe: no colours, no bars.</summary>
    /// <param name="args">What follows <c>dnn</c>.</param>
    /// <param name="output">Gets the results.</param>
    /// <param name="error">Gets progress and diagnostics.</param>
    /// <param name="cancellation">What Ctrl-C does in a terminal.</param>
    /// <returns>The exit code: 0 fine, 1 errors in the file or a failed check, 2 wrong command line, 3 a fault while running, 130 interrupted.</returns>
    public static int Run(IReadOnlyList<string> args, TextWriter output, TextWriter error, CancellationToken cancellation = default) =>
        Run(args, new Terminal(output, error, () => cancellation));

    internal static int Run(IReadOnlyList<string> args, Terminal terminal)
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

    /// <summary>What is wrong with a command line; nothing if it runs or shows help.</summary>
    internal static IReadOnlyList<string> Problems(IReadOnlyList<string> args) => new Line(args).Problems();

    private static int Dispatch(IReadOnlyList<string> args, Terminal terminal)
    {
        var line = new Line(args);
        if (line.WantsHelp)
        {
            Help.Write(terminal.Output, line.Chosen, line.Commands);
            return 0;
        }

        if (line.WantsVersion)
        {
            terminal.Output.WriteLine(typeof(Cli).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0]);
            return 0;
        }

        if (args.Count == 0)
        {
            Help.Write(terminal.Error, null, line.Commands);
            return Usage;
        }

        var problems = line.Problems();
        if (problems.Count > 0)
        {
            foreach (var problem in problems)
                Faults.Error(terminal, problem);
            terminal.Error.WriteLine(line.Chosen is null ? "`dnn --help` lists the commands." : $"`dnn {line.Chosen.Name} --help` shows how it is used.");
            return Usage;
        }

        return line.Chosen!.Execute(new Invocation(line.Parsed, terminal, line.Chosen));
    }

    /// <summary>A command line, parsed.</summary>
    private sealed class Line
    {
        private readonly Option<bool> help = new("--help", "-h", "-?") { Description = "Shows this.", Recursive = true };
        private readonly Option<bool> version = new("--version") { Description = "Shows the version." };

        public Line(IReadOnlyList<string> args)
        {
            var root = new Command("dnn", Help.Tagline) { help, version };
            foreach (var command in Commands)
                root.Subcommands.Add(command);
            // '@' is the matrix product, not a file with more arguments; -o is no bundle.
            Parsed = root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null, EnablePosixBundling = false });
        }

        public ImmutableArray<CliCommand> Commands { get; } = Cli.Commands();

        public ParseResult Parsed { get; }

        public CliCommand? Chosen => Parsed.CommandResult.Command as CliCommand;

        public bool WantsHelp => Parsed.GetValue(help);

        public bool WantsVersion => Chosen is null && Parsed.GetValue(version);

        /// <summary>What nobody understands first, else what is missing.</summary>
        public List<string> Problems()
        {
            var messages = new List<string>();
            // An option that nobody knows would be taken for a file.
            var taken = Parsed.CommandResult.Tokens.Select(t => t.Value).Where(t => t.StartsWith("--", StringComparison.Ordinal));
            foreach (var token in Parsed.UnmatchedTokens.Concat(taken))
            {
                var isOption = token.StartsWith('-');
                IEnumerable<string> candidates = isOption ? Parsed.CommandResult.Command.Options.Select(o => o.Name).Append("--help") : Chosen is null ? Commands.Select(c => c.Name) : [];
                var near = Suggestion.Closest(token.Split('=')[0], candidates);
                var what = isOption ? "unknown option" : Chosen is null ? "unknown command" : "one argument too many:";
                messages.Add($"{what} '{token}'{(near is null ? "" : $"; did you mean '{near}'?")}");

                // What follows a command that nobody knows was meant for it.
                if (Chosen is null)
                    break;
            }

            if (messages.Count > 0)
                return messages;
            foreach (var argument in Parsed.CommandResult.Command.Arguments)
            {
                if (argument.Arity.MinimumNumberOfValues > 0 && Parsed.GetResult(argument) is not { Tokens.Count: > 0 })
                    messages.Add($"`dnn {Parsed.CommandResult.Command.Name}` needs {argument.HelpName}");
            }

            foreach (var option in Parsed.CommandResult.Command.Options.Where(o => o.Required && Parsed.GetResult(o) is not { IdentifierToken: not null }))
                messages.Add($"`dnn {Parsed.CommandResult.Command.Name}` needs {option.Name} {option.HelpName}");
            return messages.Count > 0 ? messages : [.. Parsed.Errors.Select(e => e.Message.TrimEnd('.'))];
        }
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
