using Dnn.Graph;

namespace Dnn.Dsl;

public static partial class Catalog
{
    /// <summary>Functions that take a pattern.</summary>
    private static IEnumerable<CatalogEntry> PatternFunctions() =>
    [
        Function("rearrange", "x, pattern: string, sizes: named...", "the elements of x with axes split, reordered and joined", "\"b t (h e) -> b h t e\": [B, T, H·E] → [B, H, T, E]",
            "Parentheses are one axis that is the product of those inside, `1` an axis of size 1, `...` all axes without a name; sizes that do not follow are given by name: h = heads (Rogozhnikov 2022).",
            a => a.Tensor("x").Rearrange(a.Text("pattern"), a.Sizes("sizes").AsSpan())),
        Function("reduce", "x, pattern: string, reduction: mean|sum|max|min|prod, sizes: named...", "x reduced over the axes that the right side lacks", "\"b h w c -> b c\": [B, H, W, C] → [B, C]",
            "The pattern is that of `rearrange`: \"b (h p) (w q) c -> b h w c\" with p = 2, q = 2 pools.",
            a => a.Tensor("x").Reduce(a.Text("pattern"), Enum.Parse<PatternReduction>(a.Text("reduction"), ignoreCase: true), a.Sizes("sizes").AsSpan())),
        Function("einsum", "pattern: string, tensors: tensors...", "Σ over the letters that the result lacks of the products of the tensors", "\"bij,bjk->bik\": [B, I, J] with [B, J, K] → [B, I, K]",
            "As numpy.einsum: a letter is an axis, a letter twice in one term takes the diagonal, `...` broadcasts. What is piped in is the first tensor: x |> einsum(\"ij,jk->ik\", y).",
            a => Patterns.Einsum(a.Text("pattern"), a.Tensors("tensors").AsSpan())),
    ];
}
