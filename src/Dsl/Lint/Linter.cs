using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>What the linter is told beside the model.</summary>
public sealed record LintOptions
{
    public static LintOptions Default { get; } = new();

    /// <summary>How the model trains: batch size and weight decay.</summary>
    public TrainingRecipe? Recipe { get; init; }

    /// <summary>The columns that the model trains on: classes and measurements are told apart by them.</summary>
    public DataSchema? Schema { get; init; }
}

/// <summary>
/// Finds what trains badly before it is trained. Rules read the graph of a <see cref="Model"/>, its scopes and initializers, wherever the model
/// came from; nothing runs. Each rule has a file of its own, and <c>dnn explain CODE</c> says why it is one.
/// </summary>
public static class Linter
{
    /// <summary>What the rules find in a model, in order of place: nothing in a derivative, in which nobody chose what stands there.</summary>
    public static ImmutableArray<Finding> Run(Model model, LintOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        if (ModelPrinter.IsDerivative(model))
            return [];
        var context = new LintContext(model, options ?? LintOptions.Default);
        var seen = new HashSet<(string, object?, Severity)>();
        return
        [
            .. LintRules.All.SelectMany(r => r.Find(context))
                // A layer that is applied often is one place.
                .Where(f => seen.Add((f.Code, f.Location ?? (object)(f.Path, f.Message), f.Severity)))
                .OrderBy(f => f.Location?.File, StringComparer.Ordinal).ThenBy(f => f.Location?.Start ?? -1).ThenBy(f => f.Code, StringComparer.Ordinal),
        ];
    }

    /// <summary>What is wrong with the comments of a file that speak to the linter.</summary>
    public static ImmutableArray<Diagnostic> Comments(CompileResult result) => [.. result.Files.SelectMany(f => Allowances.Of(f).Problems)];

    /// <summary>
    /// Everything that is to be said about a compiled file: its diagnostics, and, where it has no errors, what the rules find in its models. What a comment
    /// <c>// dnn: allow CODE reason</c> on the line above allows is left out.
    /// </summary>
    public static ImmutableArray<Diagnostic> Check(CompileResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        var comments = new FileComments(result);
        var found = result.Diagnostics.ToList();
        if (!result.HasErrors)
        {
            var seen = new HashSet<(string, TextSpan)>();
            foreach (var compiled in result.Models.Where(m => m.Model is not null))
            {
                foreach (var finding in Run(compiled.Model!, new LintOptions { Recipe = compiled.Recipe, Schema = compiled.Schema }))
                {
                    var inside = LintText.Diagnose(finding, result, compiled);
                    if (comments.Allow(inside) || !seen.Add((inside.Code, inside.Span)))
                        continue;

                    // What goes wrong in a layer of the library is the matter of who applies it.
                    var shown = LintText.OutsideOfLibrary(inside, finding, result, compiled);
                    if (shown == inside || seen.Add((shown.Code, shown.Span)))
                        found.Add(shown);
                }
            }
        }

        return comments.Shown(found.Concat(comments.Problems));
    }

    /// <summary>The diagnostics of a compilation alone, without what a comment allows.</summary>
    public static ImmutableArray<Diagnostic> OfCompilation(CompileResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        return new FileComments(result).Shown(result.Diagnostics);
    }

    /// <summary>What the comments of files allow; imported files come first, as in the compilation.</summary>
    private sealed class FileComments(CompileResult result)
    {
        private readonly Dictionary<SourceText, (int Index, Allowances Allowances)> files =
            result.Files.Select((f, i) => (f.Source, Index: i, Allowances: Allowances.Of(f))).ToDictionary(f => f.Source, f => (f.Index, f.Allowances));

        public IEnumerable<Diagnostic> Problems => files.Values.SelectMany(f => f.Allowances.Problems);

        public bool Allow(Diagnostic diagnostic) => !diagnostic.Span.IsNone && files.TryGetValue(diagnostic.Span.Source, out var file) && file.Allowances.Allow(diagnostic);

        /// <summary>What is not allowed, in order of place.</summary>
        public ImmutableArray<Diagnostic> Shown(IEnumerable<Diagnostic> found) =>
        [
            .. found.Where(d => !Allow(d))
                .OrderBy(d => d.Span.IsNone || !files.TryGetValue(d.Span.Source, out var file) ? -1 : file.Index).ThenBy(d => d.Span.Start).ThenBy(d => d.Code, StringComparer.Ordinal),
        ];
    }
}
