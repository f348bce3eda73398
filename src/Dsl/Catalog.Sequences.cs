using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

public static partial class Catalog
{
    /// <summary>What walks along one axis, maps over one, or draws an order.</summary>
    private static IEnumerable<CatalogEntry> Sequences() =>
    [
        Function("cumsum", "x, axis: int = -1", "y[t] = Σ x[i] over i ≤ t along the axis", "[...] → [...]", "Bool counts as float.", a => a.Tensor("x").CumSum(a.Int("axis"))),
        Function("cumprod", "x, axis: int = -1", "y[t] = Π x[i] over i ≤ t along the axis", "[...] → [...]", "The derivative is right where factors are 0, too.", a => a.Tensor("x").CumProd(a.Int("axis"))),
        Reduction("prod", "Π x", "Of nothing, 1. The derivative is right where factors are 0, too.", (x, axes, keep) => x.Prod(axes, keep)),
        Function("sort", "x, axis: int = -1, descending: bool = false", "x in order along the axis", "[...] → [...]", "Stable; a NaN counts as largest. Gradients go where the elements came from.",
            a => a.Tensor("x").Sort(a.Int("axis"), a.Bool("descending"))),
        Function("argsort", "x, axis: int = -1, descending: bool = false", "the indices that sort x along the axis", "[...] → int[...]", "Stable; a NaN counts as largest. No gradient passes.",
            a => a.Tensor("x").ArgSort(a.Int("axis"), a.Bool("descending"))),
        Row(CatalogKind.Function, "top_k", "x, k: size, axis: int = -1", "the k largest elements along the axis, largest first, and their indices", "[..., N, ...] → ([..., k, ...], int[..., k, ...])",
            "`let (values, indices) = top_k(x, 3)`. Equal elements keep their order; a NaN counts as largest.",
            a => a.Tensor("x").TopK(a.Size("k"), a.Int("axis")) is var (values, indices) ? (ImmutableArray<Expr>)[values, indices] : []),
        Function("dynamic_slice", "x, start: integers, length: size, axis: int = 0", "length elements along the axis from a computed place on", "[..., N, ...] at int[] → [..., length, ...]",
            "A stretch that does not lie within the axis is an error while running.", a => a.Tensor("x").DynamicSlice(a.Tensor("start"), a.Size("length"), a.Int("axis"))),
        Function("dynamic_update_slice", "x, update, start: integers, axis: int = 0", "x with the stretch from a computed place on replaced", "[..., N, ...] with [..., M, ...] at int[] → [..., N, ...]",
            "For caches: a buffer that is updated this way is written in place.", a => a.Tensor("x").DynamicUpdateSlice(a.Tensor("update"), a.Tensor("start"), a.Int("axis"))),
        Layer("vmap", "f: layer, axis: int = 0", "y[i] = f(x[…, i, …])", "[..., N, ...] → [N, ...f of a slice]",
            "Maps over an axis a function that knows nothing of it, such as the gradient of one example's loss. f sees a slice without the axis; parameters and random numbers are shared by all.",
            a => Graph.Layers.Vmap(a.Function("f"), a.Int("axis"))),
        Function("random.categorical", "logits, axis: int = -1, key: integers = none", "a class with probability softmax(logits)", "[..., classes] → int[...]", "The maximum of logits with Gumbel noise (Maddison et al. 2014). No gradient passes.",
            a => Rng.Categorical(a.RandomKey(), a.Tensor("logits"), a.Int("axis"))),
        Function("random.permutation", "n: size, key: integers = none", "0, 1, … n − 1 in random order", "→ int[n]", "All orders are equally likely. `x |> take(random.permutation(n))` shuffles.", a => Rng.Permutation(a.RandomKey(), a.Size("n"))),
    ];
}
