using System.Collections.Immutable;
using System.Text.RegularExpressions;

namespace Dnn.Dsl.Ide;

/// <summary>A parameter, buffer or layer inside of a layer.</summary>
internal readonly record struct Member(string Name, string Detail);

/// <summary>What follows a point: the members of a layer, as far as the text tells them.</summary>
internal sealed partial class Members(Binding binding, SyntaxTree tree)
{
    private readonly Dictionary<SyntaxNode, ExprSyntax> values = tree.Root.DescendantsAndSelf().OfType<LetSyntax>().Where(l => l.Pattern is NamePatternSyntax).ToDictionary(l => (SyntaxNode)l.Pattern, l => l.Value);

    public ImmutableArray<Member> Of(ExprSyntax? layer)
    {
        for (var depth = 0; depth < 10 && layer is not null; depth++)
        {
            switch (layer.Bare)
            {
                case NameSyntax name when binding.Uses.TryGetValue(name, out var symbol) && symbol.Declaration is LayerSyntax own:
                    return Of(own);
                case NameSyntax name when binding.Uses.TryGetValue(name, out var symbol) && symbol.Declaration is not null && values.TryGetValue(symbol.Declaration, out var value):
                    layer = value;
                    continue;
                case CallSyntax { Callee: NameSyntax callee } when binding.Uses.TryGetValue(callee, out var symbol) && symbol.Declaration is LayerSyntax own:
                    return Of(own);
                case CallSyntax call when binding.Entries.TryGetValue(call.Callee.Bare, out var entry) && entry.IsConstructor && entry.Kind == CatalogKind.Layer:
                    return Of(entry);
                case PipeSyntax or CallSyntax or ForSyntax or LambdaSyntax:
                    return [.. Inside(layer.Bare, layer.Bare).Distinct()];
                default:
                    return [];
            }
        }

        return [];
    }

    private ImmutableArray<Member> Of(LayerSyntax layer) =>
    [
        .. layer.Body.Statements.OfType<ParamSyntax>().Select(p => new Member(p.Name.Text, p.Type.Span.Text)),
        .. layer.Body.Statements.OfType<BufferSyntax>().Select(b => new Member(b.Name.Text, b.Type.Span.Text)),
        .. Inside(layer.Body, layer.Body).Distinct(),
    ];

    /// <summary>What is constructed in a body, not in the bodies inside of it.</summary>
    private IEnumerable<Member> Inside(SyntaxNode body, SyntaxNode root)
    {
        var end = -1;
        foreach (var node in body.DescendantsAndSelf().OrderBy(n => n.Span.Start).ThenByDescending(n => n.Span.Length))
        {
            if (node == root || node.Span.Start < end || !binding.Segments.TryGetValue(node, out var segment) || segment.Length == 0)
                continue;
            end = node.Span.End;
            yield return new Member(segment, node is CallSyntax call ? call.Callee.Span.Text : node is ForSyntax ? "for" : "layer");
        }
    }

    /// <summary>The parameters that the catalog's documentation of shapes lists: <c>weight [in, units], buffers mean, var: [C]</c>.</summary>
    private static ImmutableArray<Member> Of(CatalogEntry entry)
    {
        var semicolon = entry.Shapes.IndexOf(';');
        if (semicolon < 0)
            return [];
        var members = ImmutableArray.CreateBuilder<Member>();
        foreach (Match match in Listed().Matches(entry.Shapes[semicolon..].Replace("buffers ", "", StringComparison.Ordinal)))
        {
            foreach (var name in match.Groups[1].Value.Split(", "))
                members.Add(new Member(name, match.Groups[2].Value));
        }

        return members.ToImmutable();
    }

    [GeneratedRegex(@"((?:[a-z_]+, )*[a-z_]+):? (\[[^\]]*\])")]
    private static partial Regex Listed();
}
