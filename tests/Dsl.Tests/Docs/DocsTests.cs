using System.Text;
using Dnn.Testing;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>What the documents say of the language is what the program does.</summary>
public class DocsTests
{
    [Fact]
    public void The_list_of_names_is_the_catalog()
    {
        var text = new StringBuilder("""
            # Names

            Every name that the language knows without a declaration. `dnn explain NAME` says when to use it and where it comes from.

            """);
        foreach (var kind in Catalog.All.GroupBy(e => e.Kind))
        {
            text.Append($"\n## {kind.Key}\n\n| name | | shapes |\n| --- | --- | --- |\n");
            foreach (var entry in kind)
                text.Append($"| `{entry.ToString().Replace("|", "\\|")}` | {Cell(entry.Equation)} | {Cell(entry.Shapes)} |\n");
        }

        text.Append("\n## Later\n\nNames of the language that this version does not have yet: ");
        text.AppendJoin(", ", Catalog.Planned.Order(StringComparer.Ordinal).Select(n => $"`{n}`"));
        text.Append(".\n");
        var path = RepoRoot.Combine("docs", "names.md");
        if (Environment.GetEnvironmentVariable("DNN_UPDATE_GOLDEN") == "1")
            File.WriteAllText(path, text.ToString());
        Assert.Equal(text.ToString(), File.ReadAllText(path));
    }

    [Theory]
    [InlineData("README.md")]
    [InlineData("docs/language.md")]
    public void Every_file_in_a_document_compiles(string document)
    {
        // The reference has files only; elsewhere a fragment may show what a command prints.
        var blocks = File.ReadAllText(RepoRoot.Combine(document)).Split("```dnn\n").Skip(1).Select(b => b[..b.IndexOf("```", StringComparison.Ordinal)])
            .Where(b => document == "docs/language.md" || b.StartsWith("dnn 1", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(blocks);
        foreach (var block in blocks)
        {
            var found = Compile.Diagnostics(new SourceText(block, document));
            Assert.True(found.Count == 0, $"{block}\n\n{new DiagnosticFormatter().Format(found)}");
        }
    }

    private static string Cell(string text) => text.Replace("|", "\\|").Replace("\n", " ");
}
