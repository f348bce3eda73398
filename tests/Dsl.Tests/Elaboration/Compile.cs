using Dnn.Graph;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Short ways from text to what tests look at.</summary>
internal static class Compile
{
    /// <summary>The result of a text that must have no errors.</summary>
    public static CompileResult Fine(string text, CompileOptions? options = null)
    {
        var result = Compiler.Compile(new SourceText(text), options);
        Assert.True(result.Diagnostics.IsEmpty, $"{text}\n\n{new DiagnosticFormatter().Format(result.Diagnostics)}");
        return result;
    }

    public static Model Model(string text, CompileOptions? options = null) => Fine(text, options).Model!;

    /// <summary>A model with one input <c>x: [B, 8]</c>, these statements, and the output of an expression.</summary>
    public static Model Body(string statements, string output = "y", string declarations = "") =>
        Model($"{declarations}\nmodel M {{\n  input x: [B, 8]\n{statements}\n  output out = {output}\n}}\n");

    /// <summary>The outputs, losses, metrics and buffers of a model as text, parameters under their paths.</summary>
    public static string Graph(Model model) => Printer.Definitions(
        [.. model.Outputs.Concat(model.Losses).Concat(model.Metrics).Select(n => (n.Name, n.Value)), .. model.Buffers.Where(b => b.Next is not null).Select(b => (b.Path, b.Next!))],
        model.VariableNames);

    /// <summary>The paths of a model's parameters.</summary>
    public static string[] Paths(Model model) => [.. model.Parameters.Select(p => p.Path)];

    /// <summary>The paths of the layers that have a weight.</summary>
    public static string[] Weights(Model model) => [.. Paths(model).Where(p => p.EndsWith(".weight", StringComparison.Ordinal)).Select(p => p[..^".weight".Length])];

    /// <summary>All that a text is told: compilation and tests.</summary>
    public static IReadOnlyList<Diagnostic> Diagnostics(SourceText source, CompileOptions? options = null, Func<Model, int, IReadOnlyList<string>>? gradients = null)
    {
        var result = Compiler.Compile(source, options);
        return [.. result.Diagnostics, .. Linter.Comments(result), .. TestRunner.Run(result, gradients).SelectMany(t => t.Diagnostics)];
    }

    /// <summary>Runs assertions in a test block.</summary>
    public static void Holds(string statements, string declarations = "")
    {
        var result = Fine($"{declarations}\ntest \"it\" {{\n{statements}\n}}\n");
        var failed = Assert.Single(TestRunner.Run(result)).Diagnostics;
        Assert.True(failed.IsEmpty, new DiagnosticFormatter().Format(failed));
    }
}
