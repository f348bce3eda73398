using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>Attention and what Transformers are built of.</summary>
public static partial class Layers
{
    /// <summary>
    /// softmax(q · kᵀ / √e) · v by heads of size e = D / heads, between the projections <c>wq wk wv wo</c> (Vaswani et al. 2017): [B, T, D] → [B, T, D]; of two tensors,
    /// the first asks ([B, T, D]) and the second is asked ([B, S, C]). The tensor <c>mask</c>, bool [T, S], [B, S], [B, T, S] or [B, heads, T, S], is true where a position takes
    /// part; a query that nothing takes part for gets zeros before <c>wo</c>.
    /// </summary>
    /// <param name="heads">The number of heads; it divides D.</param>
    /// <param name="causal">Whether position t sees positions up to t alone.</param>
    /// <param name="kvHeads">Heads of keys and values, each shared by heads / kvHeads of the queries (Ainslie et al. 2023); <paramref name="heads"/> if null.</param>
    /// <param name="dropout">The probability of dropping a weight in training.</param>
    /// <param name="cache">The most positions that decoding token by token keeps; see <see cref="ModelBuilder.Decoding"/>.</param>
    /// <param name="bias">Whether the projections have biases.</param>
    /// <param name="rope">Whether queries and keys are rotated by their positions, as by <see cref="Rope"/>.</param>
    public static Layer Attention(int heads, bool causal = false, int? kvHeads = null, double dropout = 0, int? cache = null, bool bias = true, bool rope = false)
    {
        RequirePositive("attention", "heads", heads);
        var groups = kvHeads ?? heads;
        RequirePositive("attention", "kv_heads", groups);
        if (heads % groups != 0)
            throw new RangeException("kv_heads", $"attention: {groups} heads of keys and values do not divide the {heads} heads; take {Divisors(heads)}");
        RequireRate("attention", "dropout", dropout);
        if (cache is { } room)
        {
            RequirePositive("attention", "cache", room);
            if (!causal)
                throw new GraphException("attention: the cache holds the keys of earlier positions, so it goes with causal = true");
        }

        return new("attention", (context, inputs) =>
        {
            var (x, source) = inputs is [var only] ? (only, only) : inputs is [var asks, var asked] ? (asks, asked) : throw new GraphException($"attention takes x, or (q, kv), not {inputs.Length} tensors");
            foreach (var input in inputs)
            {
                if (input.Rank != 3)
                    throw new ShapeException($"attention takes sequences [B, T, D], not {input.Shape}", input.Shape);
            }

            context.RequireSome(x);
            context.RequireSome(source);
            var (batch, queries, channels) = (x.Shape[0], x.Shape[1], x.Shape[2]);
            if (Dim.AreEqual(batch, source.Shape[0]) == Answer.Refuted)
                throw new ShapeException($"attention: {x.Shape} and {source.Shape} have different batch sizes", x.Shape, source.Shape, 0);
            if (!channels.IsKnown || channels.Value % heads != 0)
                throw new ShapeException($"attention: the {channels} channels of {x.Shape} do not divide into {heads} heads{(channels.IsKnown ? $"; take {Divisors(channels.Value)}" : "")}", x.Shape, axis: 2);
            var size = (int)(channels.Value / heads);
            var q = Heads("wq", x, heads) * (1 / Math.Sqrt(size));
            var (k, v) = (Heads("wk", source, groups), Heads("wv", source, groups));
            if (rope)
                (q, k) = (Rotated(context, q, 1, 10000), Rotated(context, k, 1, 10000));
            var first = context.Position;
            if (first is not null && causal)
            {
                var kept = cache ?? throw new GraphException("attention: decoding token by token needs a cache; give it the most positions, as in cache = 256");
                (k, v) = (Kept(context, "keys", k, kept, first), Kept(context, "values", v, kept, first));
            }

            var keys = k.Shape[1];
            var scores = groups == heads
                ? Patterns.Einsum("bqhe,bkhe->bhqk", q, k)
                : Patterns.Einsum("bqgre,bkge->bgrqk", q.Reshape(new Shape(batch, queries, groups, heads / groups, size)), k).Reshape(new Shape(batch, heads, queries, keys));
            var past = causal ? Expr.Iota(new Shape(queries, keys), 1).LessOrEqual(Expr.Iota(new Shape(queries, keys), 0) + (first ?? Expr.Scalar(0, DType.I64))) : null;
            Expr weights;
            if (context.Optional("mask") is { } mask)
            {
                var open = Mask(mask, batch, queries, keys);
                weights = MaskedSoftmax(scores, past is null ? open.BroadcastTo(scores.Shape) : open.And(past).BroadcastTo(scores.Shape));
            }
            else
            {
                weights = (past is null ? scores : Expr.Where(past, scores, double.NegativeInfinity)).Softmax();
            }

            weights = Dropped(context, weights, dropout);
            var mixed = groups == heads
                ? Patterns.Einsum("bhqk,bkhe->bqhe", weights, v)
                : Patterns.Einsum("bgrqk,bkge->bqgre", weights.Reshape(new Shape(batch, groups, heads / groups, queries, keys)), v);
            return [context.Part("wo", () => Dense((int)channels.Value, bias)).Apply(mixed.Reshape(x.Shape))];

            Expr Heads(string name, Expr input, int count) =>
                context.Part(name, () => Dense(count * size, bias)).Apply(input).Reshape(new Shape(input.Shape[0], input.Shape[1], count, size));
        }, null, "mask");
    }

    /// <summary>
    /// x with each pair of channels (2i, 2i + 1) turned by the angle t · base^(−2i/D) at position t of the axis before the last, so that products of two
    /// depend on their distance (Su et al. 2021): [..., T, D] → [..., T, D].
    /// </summary>
    /// <param name="frequencyBase">What the angles of the channels are powers of.</param>
    public static Layer Rope(double frequencyBase = 10000)
    {
        if (!(frequencyBase > 1))
            throw new GraphException($"rope: base must be above 1, not {Printer.Number(frequencyBase)}");
        return new("rope", (context, x) =>
        {
            Length("rope", x);
            return Rotated(context, x, x.Rank - 2, frequencyBase);
        });
    }

    /// <summary>
    /// The pre-norm block: h = x + attention(norm(x)); y = h + down(activation(up(norm(h)))), up to mlp · D channels (Vaswani et al. 2017; Xiong et al. 2020):
    /// [B, T, D] → [B, T, D]. It takes <c>mask</c> as <see cref="Attention"/> does.
    /// </summary>
    /// <param name="heads">The number of heads of the part <c>attn</c>.</param>
    /// <param name="mlp">How many times wider the hidden layer is.</param>
    /// <param name="causal">Whether position t sees positions up to t alone.</param>
    /// <param name="norm">Makes the norms; layer norms if null.</param>
    /// <param name="activation">Between <c>up</c> and <c>down</c>; GELU if null.</param>
    /// <param name="dropout">Drops attention weights and what both branches give, in training.</param>
    /// <param name="kvHeads">See <see cref="Attention"/>.</param>
    /// <param name="cache">See <see cref="Attention"/>.</param>
    /// <param name="bias">Whether projections and the two layers have biases.</param>
    /// <param name="rope">See <see cref="Attention"/>.</param>
    public static Layer TransformerBlock(
        int heads, double mlp = 4, bool causal = false, Func<Layer>? norm = null, Func<Expr, Expr>? activation = null, double dropout = 0, int? kvHeads = null, int? cache = null, bool bias = true, bool rope = false)
    {
        Func<LayerContext, string, Expr, Expr>? own = norm is null ? null : (context, name, x) => context.Part(name, norm).Apply(x);
        return TransformerBlock(heads, mlp, causal, own, activation is null ? null : (_, _, x) => activation(x), dropout, kvHeads, cache, bias, rope);
    }

    /// <summary>The block whose parts are applied under their names, <c>norm_0</c>, <c>norm_1</c> and <c>activation_0</c>.</summary>
    public static Layer TransformerBlock(
        int heads, double mlp, bool causal, Func<LayerContext, string, Expr, Expr>? norm, Func<LayerContext, string, Expr, Expr>? activation, double dropout, int? kvHeads, int? cache, bool bias, bool rope)
    {
        norm ??= (context, name, x) => context.Part(name, () => LayerNorm()).Apply(x);
        activation ??= (_, _, x) => x.Gelu();
        // Made once to refuse what cannot be; each instance of the block has its own.
        Layer Attend() => Attention(heads, causal, kvHeads, dropout, cache, bias, rope);
        Attend();
        if (!(mlp > 0))
            throw new GraphException($"transformer_block: mlp is how many times wider the hidden layer is, and must be above 0, not {Printer.Number(mlp)}");
        return new("transformer_block", (context, inputs) =>
        {
            if (inputs is not [var x])
                throw new GraphException($"transformer_block takes one tensor, not {inputs.Length}");
            if (x.Rank != 3 || !x.Shape[2].IsKnown)
                throw new ShapeException($"transformer_block takes sequences [B, T, D] with D known, not {x.Shape}", x.Shape);
            var (channels, hidden) = ((int)x.Shape[2].Value, mlp * x.Shape[2].Value);
            if (hidden != Math.Floor(hidden) || hidden > int.MaxValue)
                throw new ShapeException($"transformer_block: mlp = {Printer.Number(mlp)} times the {channels} channels of {x.Shape} is no whole number", x.Shape, axis: 2);
            ImmutableArray<Named> mask = context.Optional("mask") is { } m ? [new Named("mask", m)] : [];
            var h = x + Dropped(context, context.Part("attn", Attend).ApplyAll([norm(context, "norm_0", x)], mask)[0], dropout);
            var inner = context.Part("up", () => Dense((int)hidden, bias)).Apply(norm(context, "norm_1", h));
            inner = context.Part("down", () => Dense(channels, bias)).Apply(activation(context, "activation_0", inner));
            return [h + Dropped(context, inner, dropout)];
        }, null, "mask");
    }

    /// <summary>softmax over the last axis of what takes part; zeros, with zero gradients, where nothing does.</summary>
    internal static Expr MaskedSoftmax(Expr scores, Expr open) => ModelBuilder.Function("softmax", scores, scores =>
    {
        var shown = Expr.Where(open, scores, double.NegativeInfinity);
        var e = (shown - shown.FiniteMax(-1)).Exp();
        var total = e.Sum(-1, keep: true);
        return e / Expr.Where(total.EqualTo(0), 1, total);
    });

    /// <summary>The mask in a shape that broadcasts to [B, heads, T, S].</summary>
    private static Expr Mask(Expr mask, Dim batch, Dim queries, Dim keys)
    {
        if (mask.DType != DType.Bool)
            throw new ShapeException($"attention: the mask must be bool, true where a position takes part, not {mask.Type}; compare it, as in mask > 0", mask.Shape);
        var rows = mask.Rank == 2 && Dim.AreEqual(mask.Shape[0], queries) != Answer.Proved && Dim.AreEqual(mask.Shape[0], batch) == Answer.Proved;
        var wide = rows ? mask.Reshape(new Shape(mask.Shape[0], 1, 1, mask.Shape[1])) : mask.Rank == 3 ? mask.ExpandDims(1) : mask;
        Dim[] full = [batch, Dim.One, queries, keys];
        var fits = mask.Rank is > 0 and <= 4 && Enumerable.Range(1, wide.Rank).All(i => i == 3 || wide.Shape[^i].Equals(Dim.One) || Dim.AreEqual(wide.Shape[^i], full[^i]) != Answer.Refuted);
        return fits ? wide : throw new ShapeException($"attention: with B = {batch}, T = {queries} queries and S = {keys} keys, the mask is [T, S], [B, S], [B, T, S] or [B, heads, T, S], not {mask.Shape}", mask.Shape);
    }

    /// <summary>The buffer of a fixed number of positions with these written at the present one.</summary>
    private static Expr Kept(LayerContext context, string name, Expr now, int room, Expr position)
    {
        var kept = context.Carried(name, now.Shape.With(1, room)).DynamicUpdateSlice(now, position, axis: 1);
        context.Carry(name, kept);
        return kept;
    }

    private static Expr Rotated(LayerContext context, Expr x, int time, double frequencyBase)
    {
        var size = x.Shape[^1];
        if (!size.IsKnown || size.Value % 2 != 0)
            throw new ShapeException($"rope pairs the channels, and the last axis of {x.Shape} is {(size.IsKnown ? "odd" : "not known")}", x.Shape, axis: x.Rank - 1);
        var half = (int)(size.Value / 2);
        var frequencies = Expr.Vector([.. Enumerable.Range(0, half).Select(i => Math.Pow(frequencyBase, -(double)i / half))]);
        var angles = context.Positions(x.Shape[time]).Cast(DType.Float).ExpandDims(1) * frequencies;
        angles = angles.Reshape(new Shape([x.Shape[time], .. Enumerable.Repeat(Dim.One, x.Rank - 2 - time), half]));
        var pairs = x.Reshape(new Shape([.. x.Shape.Dims[..^1], half, 2]));
        var (a, b) = (pairs.SliceAxis(-1, 0, 1).Squeeze(-1), pairs.SliceAxis(-1, 1, 2).Squeeze(-1));
        var (cos, sin) = (angles.Cos(), angles.Sin());
        return Expr.Stack(x.Rank, (a * cos) - (b * sin), (a * sin) + (b * cos)).Reshape(x.Shape);
    }

    private static Expr Dropped(LayerContext context, Expr x, double rate) => rate == 0
        ? x
        : Expr.Phase(Expr.Where(Rng.Uniform(context.RandomKey(), x.Shape).GreaterOrEqual(rate), x * (1 / (1 - rate)), 0), x);

    /// <summary>The first numbers that divide one, for messages.</summary>
    private static string Divisors(long number)
    {
        var all = Enumerable.Range(1, (int)Math.Min(number, 1 << 12)).Where(d => number % d == 0).Take(8).ToArray();
        return all.Length == 1 ? $"{all[0]}" : $"{string.Join(", ", all[..^1])} or {all[^1]}";
    }

    private static void RequireRate(string layer, string what, double rate)
    {
        if (!(rate >= 0 && rate < 1))
            throw new RangeException(what, $"{layer}: the {what} is the probability of dropping, at least 0 and below 1, not {Printer.Number(rate)}");
    }
}

/// <summary>Attention as methods of <see cref="Expr"/>.</summary>
public static class Attentions
{
    /// <inheritdoc cref="Layers.Attention"/>
    public static Expr Attention(this Expr x, int heads, bool causal = false, int? kvHeads = null, double dropout = 0, int? cache = null, bool bias = true, bool rope = false, Expr? mask = null) =>
        Layers.Attention(heads, causal, kvHeads, dropout, cache, bias, rope).ApplyAll([x], Given(mask))[0];

    /// <summary>x asks, <paramref name="source"/> is asked: cross-attention.</summary>
    /// <inheritdoc cref="Layers.Attention"/>
    public static Expr AttentionTo(this Expr x, Expr source, int heads, int? kvHeads = null, double dropout = 0, bool bias = true, Expr? mask = null) =>
        Layers.Attention(heads, false, kvHeads, dropout, null, bias).ApplyAll([x, source], Given(mask))[0];

    /// <inheritdoc cref="Layers.Rope"/>
    public static Expr Rope(this Expr x, double frequencyBase = 10000) => Layers.Rope(frequencyBase).Apply(x);

    /// <inheritdoc cref="Layers.TransformerBlock(int, double, bool, Func{Layer}, Func{Expr, Expr}, double, int?, int?, bool, bool)"/>
    public static Expr TransformerBlock(
        this Expr x, int heads, double mlp = 4, bool causal = false, Func<Layer>? norm = null, Func<Expr, Expr>? activation = null, double dropout = 0, int? kvHeads = null, int? cache = null, bool bias = true, bool rope = false, Expr? mask = null) =>
        Layers.TransformerBlock(heads, mlp, causal, norm, activation, dropout, kvHeads, cache, bias, rope).ApplyAll([x], Given(mask))[0];

    private static ImmutableArray<Named> Given(Expr? mask) => mask is null ? [] : [new Named("mask", mask)];
}
