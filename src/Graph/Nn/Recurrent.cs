using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>Recurrences over an axis of sequences.</summary>
public static class Recurrences
{
    /// <summary>s ← step(s, xₜ) along an axis: the last state, and what the steps give, stacked along the same axis.</summary>
    /// <param name="xs">The sequence; its length may be symbolic.</param>
    /// <param name="init">The state before the first step; its shape stays.</param>
    /// <param name="step">The next state and the output of a step, from the state and an element of the sequence.</param>
    /// <param name="axis">The axis of the steps.</param>
    /// <param name="reverse">Whether the steps go from the last element to the first.</param>
    /// <exception cref="ShapeException">The state would change its shape or element type.</exception>
    public static (Expr Last, Expr Outputs) Scan(this Expr xs, Expr init, Func<Expr, Expr, (Expr Next, Expr Output)> step, int axis = 1, bool reverse = false)
    {
        var result = Scans.Run([init], [xs], (states, elements) => step(states[0], elements[0]) is var (next, output) ? new Scans.Step([next], [output]) : default, axis, reverse);
        return (result.Next[0], result.Outputs[0]);
    }
}

/// <summary>Layers with a state that goes along the sequence.</summary>
public static partial class Layers
{
    private const string State = "state";
    private const string Lengths = "lengths";

    /// <summary>One step of a cell: the next states, the first of which is the output.</summary>
    /// <param name="states">The states, each [B, units].</param>
    /// <param name="projected">What the input and the first bias give: [B, gates · units].</param>
    private delegate ImmutableArray<Expr> Cell(ImmutableArray<Expr> states, Expr projected, Expr recurrent, Expr? recurrentBias);

    /// <summary>h ← tanh(x · kernel + h · recurrent + bias) (Elman 1990).</summary>
    /// <inheritdoc cref="Lstm(int, bool, bool, bool, bool, int, double)"/>
    public static Layer Rnn(int units, bool returnSequences = true, bool returnState = false, bool reverse = false, bool bidirectional = false, int layers = 1) => Recurrent(
        "rnn", units, 1, 1, false, (states, z, recurrent, _) => [(states[0].MatMul(recurrent) + z).Tanh()], returnSequences, returnState, reverse, bidirectional, layers);

    /// <summary>
    /// z = x · kernel + h · recurrent + bias in the order i, f, g, o; c ← σ(f) · c + σ(i) · tanh(g); h ← σ(o) · tanh(c) (Hochreiter and Schmidhuber 1997,
    /// with the forget gate of Gers et al. 2000).
    /// </summary>
    /// <param name="units">The size of a state.</param>
    /// <param name="returnSequences">Whether the output of every step is returned, or the last one only.</param>
    /// <param name="returnState">Whether the last states are returned after it: [B, units], or [layers · directions, B, units] where there are several.</param>
    /// <param name="reverse">Whether the steps go from the end of the sequence to its start; outputs keep their places.</param>
    /// <param name="bidirectional">Whether a second set of parameters goes the other way, its outputs after those of the first along the last axis.</param>
    /// <param name="layers">How many stand on each other, each on the outputs of the one below.</param>
    /// <param name="forgetBias">
    /// What the biases of the forget gates start from: at 1 the cell keeps σ(1) ≈ 0.73 of itself a step (Gers et al. 2000, Jozefowicz et al. 2015); for memories of n steps log n
    /// keeps about 1/e over all of them (Tallec and Ollivier 2018).
    /// </param>
    /// <remarks>
    /// Applied to x [B, T, D]; by name <c>state</c>, the states before the first step in the shapes that are returned, zero unless given, and <c>lengths</c>
    /// [B]: past its length a row keeps its state and gives 0, and in reverse it starts from its own end.
    /// Parameters: kernel [D, gates · units], recurrent [units, gates · units], bias [gates · units]; with several, under <c>layers[i]</c>, and the reverse direction
    /// under <c>backward</c>.
    /// </remarks>
    public static Layer Lstm(
        int units, bool returnSequences = true, bool returnState = false, bool reverse = false, bool bidirectional = false, int layers = 1, double forgetBias = 1) => Recurrent(
        "lstm",
        units,
        4,
        2,
        false,
        (states, z, recurrent, _) =>
        {
            // Gates are taken before they are added, so that a step is one product and one pass.
            var h = states[0].MatMul(recurrent);
            Expr Sum(int gate) => Gate(z, gate, units) + Gate(h, gate, units);
            var cell = (Sum(1).Sigmoid() * states[1]) + (Sum(0).Sigmoid() * Sum(2).Tanh());
            return [cell.Tanh() * Sum(3).Sigmoid(), cell];
        },
        returnSequences,
        returnState,
        reverse,
        bidirectional,
        layers,
        [0, double.IsFinite(forgetBias) ? forgetBias : throw new GraphException($"lstm: forget_bias must be a finite number, not {Printer.Number(forgetBias)}"), 0, 0]);

    /// <summary>
    /// r, z = σ(x · kernel + bias + h · recurrent + recurrent_bias); n = tanh((x · kernel + bias) + r · (h · recurrent + recurrent_bias)); h ← (1 − z) · n + z · h, gates in the
    /// order r, z, n (Cho et al. 2014, the reset gate applied after the product as in cuDNN).
    /// </summary>
    /// <inheritdoc cref="Lstm(int, bool, bool, bool, bool, int, double)"/>
    public static Layer Gru(int units, bool returnSequences = true, bool returnState = false, bool reverse = false, bool bidirectional = false, int layers = 1) => Recurrent(
        "gru",
        units,
        3,
        1,
        true,
        (states, x, recurrent, bias) =>
        {
            var h = states[0].MatMul(recurrent) + bias!;
            var reset = (Gate(x, 0, units) + Gate(h, 0, units)).Sigmoid();
            var update = (Gate(x, 1, units) + Gate(h, 1, units)).Sigmoid();
            var candidate = (Gate(x, 2, units) + (reset * Gate(h, 2, units))).Tanh();
            return [candidate + (update * (states[0] - candidate))];
        },
        returnSequences,
        returnState,
        reverse,
        bidirectional,
        layers);

    public static Expr Rnn(this Expr x, int units, bool returnSequences = true, bool reverse = false, bool bidirectional = false, int layers = 1) =>
        Rnn(units, returnSequences, false, reverse, bidirectional, layers).Apply(x);

    public static Expr Lstm(this Expr x, int units, bool returnSequences = true, bool reverse = false, bool bidirectional = false, int layers = 1, double forgetBias = 1) =>
        Lstm(units, returnSequences, false, reverse, bidirectional, layers, forgetBias).Apply(x);

    public static Expr Gru(this Expr x, int units, bool returnSequences = true, bool reverse = false, bool bidirectional = false, int layers = 1) =>
        Gru(units, returnSequences, false, reverse, bidirectional, layers).Apply(x);

    private static Expr Gate(Expr z, int gate, int units) => z.SliceAxis(-1, gate * units, (gate + 1) * units);

    private static Layer Recurrent(
        string kind, int units, int gates, int states, bool recurrentBias, Cell cell, bool returnSequences, bool returnState, bool reverse, bool bidirectional, int layers, double[]? gateBias = null)
    {
        RequirePositive(kind, "units", units);
        RequirePositive(kind, "layers", layers);
        if (reverse && bidirectional)
            throw new GraphException($"{kind}: bidirectional goes both ways already; leave out reverse");
        var directions = bidirectional ? 2 : 1;
        return new Layer(kind, Body, null, State, Lengths);

        ImmutableArray<Expr> Body(LayerContext context, ImmutableArray<Expr> inputs)
        {
            if (inputs is not [var x] || x.Rank != 3)
                throw new ShapeException($"{kind} takes sequences [B, T, D], not {string.Join(" and ", inputs.Select(i => i.Type))}", inputs[0].Shape);
            context.RequireSome(x);
            var given = context.Several(State);
            if (!given.IsEmpty && given.Length != states)
                throw new GraphException($"{kind}: the state is {(states == 1 ? "one tensor" : $"{states} tensors (h, c)")}, not {given.Length}");
            var lengths = context.Optional(Lengths);
            if (lengths is not null && (lengths.Rank != 1 || Dim.AreEqual(lengths.Shape[0], x.Shape[0]) == Answer.Refuted))
                throw new ShapeException($"{kind}: lengths are one whole number a row, [{x.Shape[0]}], not {lengths.Type}", lengths.Shape);
            var state = new Shape(x.Shape[0], units);
            var several = layers * directions > 1;
            foreach (var s in given)
            {
                var expected = several ? state.Insert(0, layers * directions) : state;
                if (s.Rank != expected.Rank || expected.Dims.Zip(s.Shape.Dims).Any(d => Dim.AreEqual(d.First, d.Second) == Answer.Refuted))
                    throw new ShapeException($"{kind}: a state has the shape {expected}, not {s.Shape}", s.Shape, expected);
            }

            // Steps are the first axis inside.
            var sequence = x.SwapAxes(0, 1);
            var lasts = new List<ImmutableArray<Expr>>();
            for (var layer = 0; layer < layers; layer++)
            {
                var outputs = new Expr[directions];
                for (var direction = 0; direction < directions; direction++)
                {
                    var index = (layer * directions) + direction;
                    var prefix = (layers > 1 ? $"layers[{layer}]." : "") + (direction == 1 ? "backward." : "");
                    // Token by token, a state is what the token before has left; what goes backwards would have to know those that follow.
                    var carries = context.Position is not null && given.IsEmpty && !reverse && direction == 0;
                    ImmutableArray<string> names = [.. Enumerable.Range(0, states).Select(k => $"{prefix}state_{k}")];
                    ImmutableArray<Expr> init = carries ? [.. names.Select(n => context.Carried(n, state))]
                        : given.IsEmpty ? [.. Enumerable.Repeat(Expr.Full(state, 0, x.DType), states)]
                        : [.. given.Select(s => several ? s.SliceAxis(0, index, index + 1).Reshape(state) : s)];
                    var (last, ys) = Direction(context, prefix, sequence, init, lengths, reverse || direction == 1);
                    for (var k = 0; carries && k < states; k++)
                        context.Carry(names[k], last[k]);
                    lasts.Add(last);
                    outputs[direction] = ys;
                }

                sequence = Expr.Concat(-1, outputs);
            }

            var y = returnSequences ? sequence.SwapAxes(0, 1) : Expr.Concat(-1, [.. lasts.TakeLast(directions).Select(l => l[0])]);
            return returnState ? [y, .. Enumerable.Range(0, states).Select(k => several ? Expr.Stack(0, [.. lasts.Select(l => l[k])]) : lasts[0][k])] : [y];
        }

        (ImmutableArray<Expr> Last, Expr Outputs) Direction(LayerContext context, string prefix, Expr sequence, ImmutableArray<Expr> init, Expr? lengths, bool backwards)
        {
            var width = gates * units;
            var kernel = context.Parameter(prefix + "kernel", new Shape(sequence.Shape[^1], width), Initializers.XavierUniform);
            var recurrent = context.Parameter(prefix + "recurrent", new Shape(units, width), Initializers.Orthogonal());
            var bias = context.Parameter(prefix + "bias", new Shape(width), gateBias is null || gateBias.All(b => b == 0)
                ? Initializers.Zeros
                : new ListInitializer([width], [.. gateBias.SelectMany(b => Enumerable.Repeat(b, units))]));
            var second = recurrentBias ? context.Parameter(prefix + "recurrent_bias", new Shape(width), Initializers.Zeros) : null;

            // The part of the input in all steps is one product.
            var projected = sequence.MatMul(kernel) + bias;
            ImmutableArray<Expr> walked = [projected];
            if (lengths is not null)
                walked = [projected, Expr.Iota(new Shape(sequence.Shape[0], sequence.Shape[1]), 0).LessThan(lengths)];
            var result = Scans.Run(init, walked, Step, axis: 0, backwards);
            return (result.Next, result.Outputs[0]);

            Scans.Step Step(ImmutableArray<Expr> s, ImmutableArray<Expr> e)
            {
                var next = cell(s, e[0], recurrent, second);
                if (e is not [_, var alive])
                    return new Scans.Step(next, [next[0]]);
                var taken = alive.ExpandDims(-1);
                return new Scans.Step([.. next.Zip(s, (after, before) => Expr.Where(taken, after, before))], [Expr.Where(taken, next[0], 0)]);
            }
        }
    }
}
