using Dnn.Graph;

namespace Dnn.Dsl;

public static partial class Catalog
{
    /// <summary>Attention, Transformers and graph networks.</summary>
    private static IEnumerable<CatalogEntry> Attention()
    {
        const string Asked = "x: tensors..., mask: mask = none";
        const string OnGraphs = "x, edges: integers";
        const string Pairs = " Edges are pairs (from, to) of row numbers, int[E, 2]; an undirected graph lists both directions: concat([e, flip(e, 1)]).";
        return
        [
            Layer("attention", "heads: int, causal: bool = false, kv_heads: int = heads, dropout: float = 0, cache: int = none, bias: bool = true, rope: bool = false",
                "y = concat over heads of softmax(q·kᵀ / √e) · v, then wo; q, k, v = wq(x), wk(x), wv(x) in heads of e = D / heads", "[B, T, D] → [B, T, D]; (q, kv): [B, T, D] and [B, S, C]; wq.weight [D, D], wk, wv [C, kv_heads·e], wo [D, D]",
                "Each position takes from all that suit it (Vaswani et al. 2017). mask, bool [T, S], [B, S], [B, T, S] or [B, heads, T, S], is true where a position takes part; of nothing a query takes zeros. "
                + "kv_heads shares keys and values (Ainslie et al. 2023); cache = N is the room for decoding token by token; rope turns queries and keys by position.",
                a => Graph.Layers.Attention(a.Int("heads"), a.Bool("causal"), a.OptionalInt("kv_heads"), a.Float("dropout"), a.OptionalInt("cache"), a.Bool("bias"), a.Bool("rope")), Asked),
            Layer("rope", "base: float = 10000", "channels (2i, 2i + 1) at position t turned by the angle t · base^(−2i/D)", "[..., T, D] → [..., T, D], D even",
                "For queries and keys split into heads, [B, heads, T, e]: products depend on the distance of positions (Su et al. 2021).", a => Graph.Layers.Rope(a.Float("base"))),
            Layer("transformer_block", "heads: int, mlp: float = 4, causal: bool = false, norm: layer = layer_norm(), activation: layer = gelu, dropout: float = 0, kv_heads: int = heads, cache: int = none, bias: bool = true, rope: bool = false",
                "h = x + attn(norm_0(x)); y = h + down(activation(up(norm_1(h))))", "[B, T, D] → [B, T, D]; up [D, mlp·D], down [mlp·D, D]",
                "The pre-norm block of GPT (Vaswani et al. 2017; Xiong et al. 2020); end the stack with a norm. norm and activation are made anew at each place; mask is that of attention.",
                a => Graph.Layers.TransformerBlock(
                    a.Int("heads"), a.Float("mlp"), a.Bool("causal"), a.Recipe("norm"), a.Recipe("activation"), a.Float("dropout"), a.OptionalInt("kv_heads"), a.OptionalInt("cache"), a.Bool("bias"), a.Bool("rope")), "x, mask: mask = none"),
            Layer("graph_conv", "units: int, bias: bool = true", "yᵢ = Σⱼ (x·weight)ⱼ / √(dᵢ dⱼ) + bias over the edges j → i and i itself, dᵢ its number of terms", "[N, D] and int[E, 2] → [N, units]; weight [D, units], bias [units]",
                "A node takes the mean of its neighbourhood (Kipf and Welling 2017)." + Pairs, a => Graph.Layers.GraphConv(a.Int("units"), a.Bool("bias")), OnGraphs),
            Layer("graph_attention", "units: int, heads: int = 1, concat: bool = true, bias: bool = true", "yᵢ = Σⱼ αᵢⱼ zⱼ + bias, z = x·weight, αᵢⱼ = softmaxⱼ leaky_relu(source·zⱼ + target·zᵢ, 0.2) over the edges j → i and i itself",
                "[N, D] and int[E, 2] → [N, heads·units], or [N, units] without concat; weight [D, heads·units], source, target [heads, units]",
                "A node weighs its neighbours (Veličković et al. 2018); concat = false takes the mean of the heads, for a last layer." + Pairs,
                a => Graph.Layers.GraphAttention(a.Int("units"), a.Int("heads"), a.Bool("concat"), a.Bool("bias")), OnGraphs),
            Layer("message_passing", "f: layer, reduction: sum|mean = sum", "yᵢ = Σⱼ f([xᵢ, xⱼ]) over the edges j → i", "[N, D] and int[E, 2] → [N, M]; f: [E, 2·D] → [E, M]",
                "What an edge says is computed from both of its nodes, the one that is told first (Gilmer et al. 2017)." + Pairs, a => Graph.Layers.MessagePassing(a.Function("f"), a.Text("reduction") == "mean"), OnGraphs),
        ];
    }
}
