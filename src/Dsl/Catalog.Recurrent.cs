using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>The recurrent layers.</summary>
public static partial class Catalog
{
    private static IEnumerable<CatalogEntry> Recurrent() =>
    [
        Recurrent("rnn", "h ← tanh(x · kernel + h · recurrent + bias)", "", "state [B, units]; kernel [D, units], recurrent [units, units], bias [units]",
            "The plain recurrence (Elman 1990): short memory, since its gradients shrink or grow by a factor a step. Prefer lstm or gru.", (_, u, s, t, r, b, l) => Graph.Layers.Rnn(u, s, t, r, b, l)),
        Recurrent("lstm", "i, f, g, o = x · kernel + h · recurrent + bias; c ← σ(f) · c + σ(i) · tanh(g); h ← σ(o) · tanh(c)", ", the state is (h, c)",
            "state (h, c), each [B, units]; kernel [D, 4 · units], recurrent [units, 4 · units], bias [4 · units]",
            "Remembers over hundreds of steps (Hochreiter and Schmidhuber 1997; forget gate Gers et al. 2000). The forget gates' biases start at `forget_bias`: of a memory kept over n steps, log n (Tallec and Ollivier 2018).",
            (a, u, s, t, r, b, l) => Graph.Layers.Lstm(u, s, t, r, b, l, a.Float("forget_bias")), ", forget_bias: float = 1"),
        Recurrent("gru", "r, z, n = x · kernel + bias and h · recurrent + recurrent_bias: r, z ← σ(sum), n ← tanh(xn + r · hn); h ← (1 − z) · n + z · h", "",
            "state [B, units]; kernel [D, 3 · units], recurrent [units, 3 · units], bias, recurrent_bias [3 · units]",
            "Three quarters of an lstm's work for about its memory (Cho et al. 2014); the reset gate after the product, as in cuDNN.", (_, u, s, t, r, b, l) => Graph.Layers.Gru(u, s, t, r, b, l)),
        Row(CatalogKind.Function, "scan", "x: any, init: any, step: any, axis: int = 1, reverse: bool = false", "s₀ = init, (sₜ₊₁, yₜ) = step(sₜ, xₜ); the value is (s_T, y)",
            "x a tensor or tuple of tensors with the steps along axis; yₜ stacked along the same axis, or the last one if it has fewer",
            "A recurrence of one's own: scan(x, zeros([B, 8]), (s, xt) => (s2, yt)). Its length may be a name. States may be tuples; parameters inside are shared by all steps, "
            + "random draws differ from step to step. With reverse the steps go from the end to the start, and outputs keep their places.", _ => null),
    ];

    private static CatalogEntry Recurrent(string name, string equation, string state, string shapes, string use, Func<Args, int, bool, bool, bool, bool, int, Layer> make, string more = "") => Layer(
        name,
        "units: int, return_sequences: bool = true, return_state: bool = false, reverse: bool = false, bidirectional: bool = false, layers: int = 1" + more,
        equation,
        "[B, T, D] → [B, T, units], or [B, units] without return_sequences; twice the units with bidirectional; lengths int[B]; " + shapes,
        use + $" `return_state = true` gives the last state after the output{state}; with several layers or directions it is [layers · directions, B, units]. "
            + "Past its length a row keeps its state and gives 0; in reverse it starts from its own end.",
        a => make(a, a.Int("units"), a.Bool("return_sequences"), a.Bool("return_state"), a.Bool("reverse"), a.Bool("bidirectional"), a.Int("layers")),
        "x, state: tensors = none, lengths: integers = none");
}
