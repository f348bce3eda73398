using System.CommandLine;
using Dnn.Backend;
using Dnn.Dsl;

namespace Dnn.Cli;

/// <summary>What trains badly, before it is trained; with --fix, what is safe is repaired.</summary>
internal class LintCommand : CliCommand
{
    private readonly Argument<string[]> files = Common.Files();
    private readonly Option<bool> fix = new("--fix") { Description = "Applies the fixes that keep the meaning, as `dnn fix` does." };
    private readonly Option<bool> strict = new("--strict") { Description = "Exit 1 if there are warnings." };
    private readonly bool always;

    public LintCommand()
        : this("lint", "Finds what trains badly before it is trained; `dnn explain CODE` explains each rule.", false, "dnn lint examples/digits.dnn", "dnn lint --fix models/*.dnn") =>
        Options.Insert(0, fix);

    protected LintCommand(string name, string description, bool always, params string[] examples)
        : base(name, description, examples)
    {
        this.always = always;
        Arguments.Add(files);
        Options.Add(strict);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var options = ModelFile.Options(invocation);
        var failed = false;
        foreach (var path in invocation.Get(files)!)
        {
            if (always || invocation.Get(fix))
                Fix(invocation, path, options);
            var (errors, warnings) = CheckCommand.Report(invocation, path, CheckCommand.Found(path, options));
            failed |= errors > 0 || (warnings > 0 && invocation.Get(strict));
        }

        return failed ? 1 : 0;
    }

    private static void Fix(Invocation invocation, string path, CompileOptions options)
    {
        // What cannot be read is reported afterwards.
        if (FmtCommand.Read(path).Source is not { } source)
            return;
        var result = Fixer.Apply(source, options with { DataReader = new DataReader(ModelFile.Folder(path)) });
        if (result.Text == source.Text)
            return;
        FmtCommand.Replace(path, result.Text);
        foreach (var applied in result.Applied)
            invocation.Note($"{path}: {applied.Title}");
    }
}

/// <summary>Repairs what is safe to repair.</summary>
internal sealed class FixCommand() : LintCommand("fix", "Applies the fixes that keep the meaning, and reports what is left.", true, "dnn fix examples/digits.dnn");
