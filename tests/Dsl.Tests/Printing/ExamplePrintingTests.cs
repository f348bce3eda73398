using Dnn.Graph;
using Dnn.Testing;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Every model that the repository has as source is printed and read again: examples, templates, the shipped library, lint fixtures.</summary>
public class ExamplePrintingTests
{
    public static TheoryData<string> Files => [.. new[] { "examples", "src/Cli/Templates" }
        .SelectMany(f => Directory.EnumerateFiles(RepoRoot.Combine(f), "*.dnn", SearchOption.AllDirectories)).Order(StringComparer.Ordinal).Select(f => Path.GetRelativePath(RepoRoot.Path, f))];

    public static TheoryData<string, string, string, string> Library => StandardLibraryTests.Samples();

    public static TheoryData<string> Fixtures => LintTests.Codes();

    private static IEnumerable<Model> Models(string file)
    {
        var result = Compiler.Compile(RepoRoot.Combine(file));
        Assert.False(result.HasErrors, file);
        return result.Models.Select(m => m.Model).OfType<Model>();
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void An_example_is_the_same_when_it_is_read_again(string file) => Assert.All(Models(file), Check);

    [Theory]
    [MemberData(nameof(Files))]
    public void The_gradients_of_an_example_are_the_same_when_they_are_read_again(string file)
    {
        foreach (var model in Models(file).Where(m => !m.Losses.IsEmpty && m.Trainable.Any()))
        {
            foreach (var training in new[] { true, false })
            {
                var loss = Phases.Resolve([model.TotalLoss], training)[0];
                Named[] variables = [.. model.Trainable.Select(p => new Named(p.Path, p.Variable))];
                if (Gradient.Of(loss, [.. variables.Select(v => v.Value)]).All(g => g is null))
                    continue;
                RoundTrip.Holds(ModelPrinter.Differentiate(model, loss, variables));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Library))]
    public void A_block_of_the_library_is_the_same_when_it_is_read_again(string name, string input, string expression, string shape)
    {
        Assert.NotEmpty(shape);
        Check(StandardLibraryTests.Model(name, input, expression));
    }

    [Theory]
    [MemberData(nameof(Fixtures))]
    public void What_lint_finds_it_finds_in_what_is_printed(string code)
    {
        foreach (var text in LintTests.Cases(code))
        {
            foreach (var model in Compiler.Compile(MarkedSource.Parse(text).Source).Models.Select(m => m.Model).OfType<Model>())
                Check(model);
        }
    }

    /// <summary>The same graph under the same paths, and lint finds the same in what keeps its layers; what is applied to nothing is not printed.</summary>
    private static void Check(Model model)
    {
        RoundTrip.Holds(model);
        foreach (var line in new[] { false, true }.SelectMany(flat => Formatter.Format(model, flat).Split('\n')).Where(l => !l.Contains('"')))
            Assert.True(line.Length <= Formatter.Width, line);
        var again = RoundTrip.Again(model, flat: false);
        Assert.True(Found(model with { Idle = [] }).SequenceEqual(Found(again)), $"{string.Join('\n', Linter.Run(model))}\n\n{string.Join('\n', Linter.Run(again))}\n\n{model.ToSource()}");
    }

    /// <summary>Findings at one place of the source are one, and a loop that is printed turn by turn has several places.</summary>
    private static IEnumerable<string> Found(Model model) => Linter.Run(model).Select(f => $"{f.Code} {f.Severity}").Distinct().Order(StringComparer.Ordinal);
}
