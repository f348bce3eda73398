using Dnn.Graph;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Prints models and reads them again.</summary>
internal static class RoundTrip
{
    /// <summary>Both forms of a model parse to the same graph under the same paths.</summary>
    public static void Holds(Model model)
    {
        foreach (var flat in new[] { false, true })
            GraphMatch.Same(model, Again(model, flat));
    }

    /// <summary>The model that what is printed parses to.</summary>
    public static Model Again(Model model, bool flat)
    {
        var source = model.ToSource(flat);
        var result = Compiler.Compile(new SourceText(source));
        Assert.True(!result.HasErrors, $"{source}\n{new DiagnosticFormatter().Format(result.Diagnostics)}");
        return result.Model!;
    }
}
