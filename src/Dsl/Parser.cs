namespace Dnn.Dsl;

/// <summary>Text to tree.</summary>
public static class Parser
{
    /// <summary>How deep brackets, lambdas and prefix operators nest before <see cref="DiagnosticCodes.TooDeep"/>.</summary>
    public const int MaxDepth = 200;

    /// <summary>Parses a file. Never throws: what is wrong is among the diagnostics of the tree.</summary>
    public static SyntaxTree Parse(SourceText source) =>
        new(source, new UnitSyntax(source.Span(0, source.Length), null, []), [], []);
}
