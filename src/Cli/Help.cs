using System.CommandLine;
using System.Text;

namespace Dnn.Cli;

/// <summary>What <c>--help</c> shows.</summary>
internal static class Help
{
    public const string Tagline = "dnn: deep networks as text, checked before they run.";

    private const int Width = 96;

    /// <summary>Help of a command, or of all.</summary>
    public static void Write(TextWriter writer, CliCommand? command, IReadOnlyList<CliCommand> commands)
    {
        if (command is null)
        {
            writer.WriteLine($"{Tagline}\n\nUsage: dnn COMMAND …\n\nCommands:");
            Rows(writer, commands.Select(c => (c.Name, c.Description ?? "")));
            writer.WriteLine("\n`dnn COMMAND --help` shows its options and an example. `dnn explain NAME` explains a layer, a function or the code of an error.\n\nExample:\n  dnn train examples/digits.dnn");
            return;
        }

        var arguments = string.Concat(command.Arguments.Select(a => a.Arity.MinimumNumberOfValues == 0 ? $" [{a.HelpName}]" : $" {a.HelpName}"));
        var required = string.Concat(command.Options.Where(o => o.Required).Select(o => " " + Usage(o)));
        writer.WriteLine($"{command.Description}\n\nUsage: dnn {command.Name}{arguments}{required} [options]\n\nOptions:");
        Rows(writer, command.Options.Select(o => (string.Join(", ", o.Aliases.Prepend(Usage(o))), o.Description ?? "")));
        writer.WriteLine(command.Examples.Count == 1 ? "\nExample:" : "\nExamples:");
        foreach (var example in command.Examples)
            writer.WriteLine($"  {example}");
    }

    private static string Usage(Option option) => option.HelpName is null ? option.Name : $"{option.Name} {option.HelpName}";

    private static void Rows(TextWriter writer, IEnumerable<(string Left, string Right)> rows)
    {
        var all = rows.ToArray();
        var indent = all.Max(r => r.Left.Length) + 4;
        foreach (var (left, right) in all)
        {
            var line = new StringBuilder($"  {left}".PadRight(indent));
            foreach (var word in right.Split(' '))
            {
                if (line.Length + word.Length > Width)
                {
                    writer.WriteLine(line.ToString().TrimEnd());
                    line.Clear().Append(' ', indent);
                }

                line.Append(word).Append(' ');
            }

            writer.WriteLine(line.ToString().TrimEnd());
        }
    }
}
