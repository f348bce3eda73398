using System.CommandLine;

namespace Dnn.Cli;

/// <summary>One command: its arguments and options, an example, and what it does.</summary>
internal abstract class CliCommand : Command
{
    protected CliCommand(string name, string description, params string[] examples)
        : base(name, description)
    {
        Examples = examples;
    }

    /// <summary>Command lines that work, for help.</summary>
    public IReadOnlyList<string> Examples { get; }

    /// <summary>Runs it.</summary>
    /// <returns>The exit code.</returns>
    public abstract int Execute(Invocation invocation);

    /// <summary>Adds what comes last in every command.</summary>
    protected void AddCommon()
    {
        foreach (var option in Common.All())
            Options.Add(option);
    }
}

/// <summary>A command line that was understood, and where to write.</summary>
internal sealed class Invocation(ParseResult parsed, Terminal terminal, CliCommand command)
{
    public Terminal Terminal => terminal;

    public TextWriter Output => terminal.Output;

    public string CommandName => command.Name;

    public bool Json => Get<bool>(Common.Json);

    public bool Quiet => Get<bool>(Common.Quiet);

    public string[] Sets => Get<string[]>(Common.Set) ?? [];

    public string? Model => Get<string?>(Common.Model);

    public string? Train => Get<string?>(Common.Train);

    public T? Get<T>(Option<T> option) => parsed.GetValue(option);

    public T? Get<T>(Argument<T> argument) => parsed.GetValue(argument);

    /// <summary>A line for people who watch: not part of the result.</summary>
    public void Note(string text)
    {
        if (!Quiet)
            terminal.Error.WriteLine(text);
    }

    private T? Get<T>(string name) => parsed.GetValue<T>(name);
}
