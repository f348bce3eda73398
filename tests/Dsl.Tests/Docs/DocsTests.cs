using System.Text;
using System.Text.RegularExpressions;
using Dnn.Dsl.Ide;
using Dnn.Testing;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>What the documents say of the language is what the program does.</summary>
public class DocsTests
{
    [Fact]
    public void The_catalog_is_what_explain_says()
    {
        var text = new StringBuilder("""
            # Catalog

            Every name that the language knows without a declaration: its signature with the defaults, its equation, shapes and gradient (x̄ is the cotangent of x: the
            gradient of what is differentiated with respect to it), when to use it and when not, and where it comes from. `dnn explain NAME` says the same.

            """);
        foreach (var kind in Catalog.All.GroupBy(e => e.Kind))
            text.Append($"\n- **{kind.Key}**: ").AppendJoin(", ", kind.Select(e => $"[{e.Name}](#{e.Name.Replace(".", "")})"));
        text.Append('\n');
        foreach (var kind in Catalog.All.GroupBy(e => e.Kind))
        {
            text.Append($"\n## {kind.Key}\n");
            foreach (var entry in kind)
                text.Append($"\n### {entry.Name}\n\n```text\n{entry.Explain()}```\n");
        }

        var path = RepoRoot.Combine("docs", "catalog.md");
        if (Environment.GetEnvironmentVariable("DNN_UPDATE_GOLDEN") == "1")
            File.WriteAllText(path, text.ToString());
        Assert.Equal(text.ToString(), File.ReadAllText(path));
    }

    /// <summary>What is a way to write something down rather than a method: it has no paper.</summary>
    private static readonly string[] Written = ["chain", "repeat", "time_distributed", "pooled", "then", "constant"];

    /// <summary>A name that is new says in its row, and in Catalog.Notes.cs, all that <c>dnn explain</c> has to.</summary>
    [Fact]
    public void Every_name_says_what_it_has_to()
    {
        var differentiated = new[] { CatalogKind.Layer, CatalogKind.Combinator, CatalogKind.Function, CatalogKind.Loss, CatalogKind.Metric, CatalogKind.Derivative };
        var published = new[] { CatalogKind.Layer, CatalogKind.Combinator, CatalogKind.Loss, CatalogKind.Metric, CatalogKind.Initializer, CatalogKind.Optimizer, CatalogKind.Schedule };
        var takesTensors = new[] { ParameterKind.Tensor, ParameterKind.Tensors, ParameterKind.Layer };
        Missing("equation", _ => true, e => e.Equation.Length > 0);
        Missing("shapes", _ => true, e => e.Shapes.Length > 0);
        Missing("use", _ => true, e => e.Use.Length > 0);
        Missing("when not", _ => true, e => e.WhenNot.Length > 0);
        Missing("gradient", e => differentiated.Contains(e.Kind) && e.Parameters.Any(p => takesTensors.Contains(p.Kind)), e => e.Gradient.Length > 0);
        Missing("paper", e => published.Contains(e.Kind) && !Written.Contains(e.Name), e => Regex.IsMatch(e.Use, @"\b(1[89]|20)\d\d[a-z]?\)"));
        Assert.Empty(Catalog.Noted.Except(Catalog.All.Select(e => e.Name)).Select(n => $"notes of no name: {n}"));

        static void Missing(string what, Func<CatalogEntry, bool> asked, Func<CatalogEntry, bool> has) =>
            Assert.Empty(Catalog.All.Where(e => asked(e) && !has(e)).Select(e => $"no {what}: {e.Kind} {e.Name}"));
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

    [Fact]
    public void The_editor_ready_core_is_described_whole()
    {
        var text = File.ReadAllText(RepoRoot.Combine("docs", "ide.md"));
        var members = typeof(IdeFile).GetMembers(System.Reflection.BindingFlags.Public | System.Reflection.BindingFlags.Instance | System.Reflection.BindingFlags.DeclaredOnly)
            .Where(m => m is System.Reflection.PropertyInfo or System.Reflection.MethodInfo { IsSpecialName: false }).Select(m => m.Name);
        var types = typeof(IdeFile).Assembly.GetExportedTypes().Where(t => t.Namespace == typeof(IdeFile).Namespace).Select(t => t.Name);
        Assert.All(members.Concat(types), name => Assert.Contains($"`{name}`", text.Replace("`s", "`").Replace("s:", ":")));
    }
}
