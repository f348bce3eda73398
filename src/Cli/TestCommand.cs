using System.CommandLine;
using Dnn.Dsl;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>Runs the <c>test</c> blocks of files.</summary>
internal sealed class TestCommand : CliCommand
{
    private readonly Argument<string[]> files = Common.Files();

    public TestCommand()
        : base("test", "Runs the test blocks of files.", "dnn test examples/two_moons.dnn")
    {
        Arguments.Add(files);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var outcomes = new List<(string File, string Title, string? Reason)>();
        var broken = 0;
        foreach (var path in invocation.Get(files)!)
        {
            var (result, diagnostics) = ModelFile.Compile(path, ModelFile.Options(invocation));
            if (result is null || result.HasErrors)
            {
                invocation.Terminal.Show(diagnostics);
                broken++;
                continue;
            }

            foreach (var test in TestRunner.Run(result, Gradients))
            {
                outcomes.Add((path, test.Title, test.Passed ? null : string.Join("; ", test.Diagnostics.Select(d => d.Message))));
                if (!test.Passed)
                    invocation.Terminal.Show(test.Diagnostics);
                if (!invocation.Json && !invocation.Quiet)
                    invocation.Output.WriteLine($"{(test.Passed ? "passed" : "FAILED")}  {test.Title}");
            }
        }

        var failed = outcomes.Count(o => o.Reason is not null);
        if (invocation.Json)
            invocation.Output.WriteLine(Json(outcomes, failed));
        else
            invocation.Output.WriteLine($"{outcomes.Count - failed} passed, {failed + broken} failed");
        return failed + broken > 0 ? 1 : 0;
    }

    private static IReadOnlyList<string> Gradients(Model model, int order) =>
        [.. ModelGradients.Check(model, order).Findings.Select(f => $"{f}{ModelGradients.Place(model, f)}")];

    private static string Json(List<(string File, string Title, string? Reason)> outcomes, int failed) => JsonText.Object(json =>
    {
        json.WriteNumber("passed", outcomes.Count - failed);
        json.WriteNumber("failed", failed);
        json.WriteStartArray("tests");
        foreach (var (file, title, reason) in outcomes)
        {
            json.WriteStartObject();
            json.WriteString("file", file);
            json.WriteString("test", title);
            json.WriteBoolean("passed", reason is null);
            if (reason is not null)
                json.WriteString("message", reason);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });
}
