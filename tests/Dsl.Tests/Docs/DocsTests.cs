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
        // Derivatives are checked where commands are: `dnn test` runs these files, too. The reference has files only; elsewhere a fragment may show what a command prints.
        var blocks = Blocks(document).Where(b => document == Reference || b.StartsWith("dnn 1", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(blocks);
        var files = new NamedBlocks(blocks);
        foreach (var block in blocks)
        {
            var found = Compile.Diagnostics(new SourceText(block, document), new CompileOptions { Sources = files }, (_, _) => []);
            Assert.True(found.Count == 0, $"{block}\n\n{new DiagnosticFormatter().Format(found)}");
        }
    }

    /// <summary>A block whose first line is a comment with a path is that file for the others.</summary>
    private sealed class NamedBlocks(IReadOnlyList<string> blocks) : ISourceReader
    {
        public string? Read(string path) => blocks.FirstOrDefault(b => b.StartsWith($"// {path["docs/".Length..]}\n", StringComparison.Ordinal));
    }

    private const string Reference = "docs/language.md";

    private static IEnumerable<string> Blocks(string document) => File.ReadAllText(RepoRoot.Combine(document)).Split("```dnn\n").Skip(1).Select(b => b[..b.IndexOf("```", StringComparison.Ordinal)]);

    /// <summary>The reference shows everything that the grammar has: every node, operator, token and word.</summary>
    [Fact]
    public void Every_construct_has_an_example_in_the_reference()
    {
        var sources = Blocks(Reference).Select(b => new SourceText(b)).ToArray();
        var nodes = sources.SelectMany(b => Parser.Parse(b).Root.DescendantsAndSelf()).ToArray();
        var tokens = sources.SelectMany(b => Lexer.Lex(b).Tokens).ToArray();
        var missing = new List<string>();

        void Closed<T>(string what, IEnumerable<T> all, IEnumerable<T> shown) => missing.AddRange(all.Except(shown).Select(m => $"{what} {m}"));

        Closed("node", typeof(SyntaxNode).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(SyntaxNode)) && t is { IsAbstract: false, IsNested: false } && t != typeof(ErrorSyntax)), nodes.Select(n => n.GetType()));
        Closed("token", Enum.GetValues<TokenKind>().Where(k => k is not TokenKind.Bad), tokens.Select(t => t.Kind));
        Closed("operator", Enum.GetValues<BinaryOperator>(), nodes.OfType<BinarySyntax>().SelectMany(b => b.Rest).Select(o => o.Operator));
        Closed("operator", Enum.GetValues<UnaryOperator>(), nodes.OfType<UnarySyntax>().Select(u => u.Operator));
        Closed("unit", Enum.GetValues<CountUnit>(), nodes.OfType<NumberSyntax>().Select(n => n.Unit));
        Closed("percent", [true, false], nodes.OfType<NumberSyntax>().Select(n => n.IsPercent));
        Closed("train option", TrainOptions.All.Select(o => o.Name), nodes.OfType<TrainOptionSyntax>().Select(o => o.Name.Text));
        Closed("data option", DataOptions.Known, nodes.OfType<DataOptionSyntax>().Select(o => o.Name.Text));
        Closed("augmentation", DataOptions.Augmentations.Select(a => a.Name), nodes.OfType<DataOptionSyntax>().SelectMany(o => o.Steps).SelectMany(x => x.DescendantsAndSelf()).OfType<NameSyntax>().Select(n => n.Name.Text));
        Closed("option of a param", ["frozen", "no_decay", "lr_scale"], nodes.OfType<ParamSyntax>().SelectMany(x => x.Options).Select(o => o.Name.Text));
        Closed("type", ["int", "float", "bool", "string", "init", "layer", "schedule"], nodes.OfType<NamedTypeSyntax>().Select(t => t.Name.Text));
        Closed("element type", ["f32", "f64", "i64", "int", "bool"], nodes.OfType<TensorTypeSyntax>().Select(t => t.Element?.Text ?? ""));
        Closed("assertion", ["assert_shape", "assert_gradients"], nodes.OfType<AssertCallSyntax>().Select(a => a.Call.Callee.Span.Text));
        var names = nodes.OfType<NameSyntax>().Select(n => n.Name.Text).Concat(nodes.OfType<FieldSyntax>().Select(f => f.Span.Text)).ToArray();
        Closed("name", Catalog.All.Where(e => e.Kind is CatalogKind.Derivative or CatalogKind.Combinator).Select(e => e.Name).Concat(["scan", "params", "close", "vmap", "random.normal", "random.uniform", "random.bernoulli", "random.categorical", "random.permutation"]), names);
        Assert.True(missing.Count == 0, string.Join('\n', missing));
    }

    [Fact]
    public void The_reference_has_the_grammar_every_name_and_every_diagnostic()
    {
        var path = RepoRoot.Combine(Reference);
        var old = File.ReadAllText(path).ReplaceLineEndings("\n");
        var rows = string.Concat(DiagnosticCodes.All.Select(d => $"| {d.Code} | {d.Severity.ToString().ToLowerInvariant()} | {d.Title.Replace("|", "\\|")} |\n"));
        var names = string.Concat(Catalog.All.GroupBy(e => e.Kind).Select(k => $"- **{k.Key}**: {string.Join(", ", k.Select(e => $"[{e.Name}](catalog.md#{e.Name.Replace(".", "")})"))}\n"));
        var text = Between(old, "<!-- names -->\n", "\n<!-- end -->", $"\n{names}");
        text = Between(text, "<!-- diagnostics -->\n", "\n<!-- end -->", $"\n| code | | means |\n| --- | --- | --- |\n{rows}");
        text = Between(text, "```ebnf\n", "```\n", File.ReadAllText(RepoRoot.Combine("docs", "grammar.ebnf")).ReplaceLineEndings("\n"));
        if (Environment.GetEnvironmentVariable("DNN_UPDATE_GOLDEN") == "1")
            File.WriteAllText(path, text);
        Assert.Equal(text, old);

        static string Between(string text, string start, string end, string value)
        {
            var from = text.IndexOf(start, StringComparison.Ordinal) + start.Length;
            return text[..from] + value + text[text.IndexOf(end, from, StringComparison.Ordinal)..];
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
