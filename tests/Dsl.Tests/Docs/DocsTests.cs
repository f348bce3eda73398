using System.Text;
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

    /// <summary>A name that is new says in Catalog.Notes.cs how gradients pass through it and when to take something else.</summary>
    [Fact]
    public void Every_name_says_what_it_has_to()
    {
        var differentiated = new[] { CatalogKind.Layer, CatalogKind.Function, CatalogKind.Loss, CatalogKind.Metric, CatalogKind.Derivative };
        var chosen = new[] { CatalogKind.Layer, CatalogKind.Loss, CatalogKind.Initializer };
        Assert.Empty(Catalog.All.Where(e => differentiated.Contains(e.Kind) && e.Gradient.Length == 0 && e.Parameters.Any(p => p.Kind is ParameterKind.Tensor or ParameterKind.Tensors or ParameterKind.Layer)).Select(e => $"no gradient: {e.Name}"));
        Assert.Empty(Catalog.All.Where(e => chosen.Contains(e.Kind) && e.Name is not "pooled" && (e.WhenNot.Length == 0)).Select(e => $"not when not: {e.Name}"));
        Assert.Empty(Catalog.All.Where(e => chosen.Contains(e.Kind) && e.Use.Length == 0).Select(e => $"no use: {e.Name}"));
        Assert.Empty(Catalog.All.Where(e => e.Kind is not (CatalogKind.Optimizer or CatalogKind.Schedule) && e.Shapes.Length == 0).Select(e => $"no shapes: {e.Name}"));
        Assert.Empty(Catalog.Noted.Except(Catalog.All.Select(e => e.Name)).Select(n => $"notes of no name: {n}"));
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
