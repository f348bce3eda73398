using System.Collections.Immutable;

namespace Dnn.Dsl.Ide;

/// <summary>What a layer is applied to: the tensors that may be given by name, as far as the text tells them.</summary>
internal sealed class Applications(IReadOnlyList<Symbol> visible, SyntaxTree tree)
{
    private const int MaxDepth = 10;

    private readonly Dictionary<SyntaxNode, ExprSyntax> values = tree.Root.DescendantsAndSelf().OfType<LetSyntax>().Where(l => l.Pattern is NamePatternSyntax).ToDictionary(l => (SyntaxNode)l.Pattern, l => l.Value);

    /// <summary>The tensors of a layer with its name; null where a call constructs a layer, or calls no layer.</summary>
    /// <param name="call">The call as the tokens show it.</param>
    public (string Name, string Inputs, ImmutableArray<CatalogParameter> Parameters)? Of(Signatures.Call call) => Of(call.Callee, call.IsApplication, 0);

    private (string, string, ImmutableArray<CatalogParameter>)? Of(string name, bool isApplied, int depth)
    {
        if (depth > MaxDepth)
            return null;
        if (visible.FirstOrDefault(s => s.Name == name) is not { } symbol)
            return isApplied && Catalog.Find(name) is { Kind: CatalogKind.Layer } entry ? (name, entry.Inputs, entry.InputParameters) : null;
        if (symbol.Declaration is LayerSyntax layer)
        {
            return isApplied || layer.Hypers is null
                ? (name, string.Join(", ", layer.Tensors.Parameters.Select(p => p.Span.Text)), Completions.Parameters(layer.Tensors))
                : null;
        }

        return symbol.Declaration is not null && values.TryGetValue(symbol.Declaration, out var value) ? Of(value, depth + 1) : null;
    }

    private (string, string, ImmutableArray<CatalogParameter>)? Of(ExprSyntax layer, int depth) => layer.Bare switch
    {
        // These apply what they are given to what they are applied to.
        CallSyntax { Callee: NameSyntax { Name.Text: "frozen" or "no_decay" or "lr_scale" or "checkpoint" }, Arguments: [var inner, ..] } => depth > MaxDepth ? null : Of(inner.Value, depth + 1),
        CallSyntax { Callee: NameSyntax callee } => Of(callee.Name.Text, true, depth),
        NameSyntax name => Of(name.Name.Text, true, depth),
        PipeSyntax pipe => depth > MaxDepth ? null : Of(pipe.First, depth + 1),
        _ => null,
    };
}
