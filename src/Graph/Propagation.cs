using System.Numerics;

namespace Dnn.Graph;

/// <summary>Moments of the elements of a tensor at initialization, over data and initial parameters.</summary>
/// <param name="Mean">E[x]</param>
/// <param name="Square">E[x²]</param>
/// <param name="Shared">E[x x′] for the same channel of two rows or positions: what all inputs have in common.</param>
public readonly record struct Moments(double Mean, double Square, double Shared)
{
    /// <summary>N(0, 1), independent from row to row.</summary>
    public static Moments Standard { get; } = new(0, 1, 0);

    public double Variance => Math.Max(0, Square - (Mean * Mean));

    /// <summary>√E[x²]</summary>
    public double Rms => Math.Sqrt(Square);

    /// <summary>The sum with an independent tensor.</summary>
    public static Moments operator +(Moments x, Moments y)
    {
        var both = 2 * x.Mean * y.Mean;
        return new(x.Mean + y.Mean, x.Square + y.Square + both, x.Shared + y.Shared + both);
    }

    /// <summary>The product with an independent tensor.</summary>
    public static Moments operator *(Moments x, Moments y) => new(x.Mean * y.Mean, x.Square * y.Square, x.Shared * y.Shared);

    public Moments Times(double factor) => new(Mean * factor, Square * factor * factor, Shared * factor * factor);
}

/// <summary>
/// Predicts the size of activations and gradients of a model before training, from the initializers alone, by the mean-field theory of wide
/// networks: a sum of many terms with random weights is normal, an activation is integrated over that normal distribution, and weights meet gradients
/// as if independent of them (Poole et al. 2016; Schoenholz et al. 2017; Yang and Schoenholz 2017 for residual paths). Inputs are N(0, 1) unless said otherwise.
/// What few inputs or channels add is followed to first order for activations: the mean square of a row is itself random (Hanin and Nica 2020). Gradients of nets that are deep
/// for their width are beyond it.
/// </summary>
public sealed class Propagation
{
    /// <summary>What a named dimension counts as, where nobody says.</summary>
    public const long DefaultSize = 64;

    /// <summary>Larger graphs get no prediction.</summary>
    private const int MaxNodes = 200_000;

    private static readonly Moments One = new(1, 1, 1);

    private readonly Model model;
    private readonly Func<string, long> size;
    private readonly Dictionary<Expr, Parameter> parameters;
    private readonly Dictionary<Expr, State> states = [];
    private readonly Dictionary<Expr, double> gradients = [];
    private readonly Dictionary<Expr, List<(Expr Target, double Factor)>> edges = [];
    private readonly Dictionary<Expr, Scope> scopes = [];
    private readonly IReadOnlyDictionary<Expr, Moments> inputs;

    private Propagation(Model model, Func<string, long>? size, IReadOnlyDictionary<Expr, Moments>? inputs)
    {
        this.model = model;
        this.size = size ?? (_ => DefaultSize);
        this.inputs = inputs ?? new Dictionary<Expr, Moments>();
        parameters = model.Parameters.ToDictionary(p => p.Variable);
    }

    /// <summary>The prediction for the training phase of a model.</summary>
    /// <param name="model">The model; its parameters are as their initializers say.</param>
    /// <param name="size">What named dimensions are; <see cref="DefaultSize"/> if null.</param>
    /// <param name="inputs">Moments of inputs that are not N(0, 1).</param>
    public static Propagation Of(Model model, Func<string, long>? size = null, IReadOnlyDictionary<Expr, Moments>? inputs = null)
    {
        var result = new Propagation(model, size, inputs);
        var order = Expr.PostOrder(model.Losses.Concat(model.Outputs).Select(n => n.Value));
        if (order.Count <= MaxNodes)
            result.Run(order);
        return result;
    }

    /// <summary>What a function of one tensor makes of given moments, and the mean square of its slope; null where there is no prediction.</summary>
    /// <param name="model">The model that the nodes are of.</param>
    /// <param name="y">The result.</param>
    /// <param name="x">What the result is a function of.</param>
    /// <param name="moments">The moments of x.</param>
    public static (Moments Moments, double Slope)? Through(Model model, Expr y, Expr x, Moments moments)
    {
        var result = new Propagation(model with { Scopes = [] }, null, new Dictionary<Expr, Moments> { [x] = moments });
        result.Run(Expr.PostOrder([y], node => node == x));
        return result.states.TryGetValue(y, out var state) ? (state.Moments, state.Source == x ? state.Slope : 1) : null;
    }

    /// <summary>The moments of a node; null where there is no prediction.</summary>
    public Moments? Find(Expr node) => states.TryGetValue(node, out var state) ? state.Moments : null;

    /// <summary>
    /// The mean square of the gradient at a node, where that at the results of the last linear maps is 1; null where there is no prediction.
    /// </summary>
    public double? Gradient(Expr node)
    {
        if (gradients.TryGetValue(node, out var square))
            return square;

        // A gradient goes to the source at once; on the way it is as much smaller as the way there is steep.
        return states.TryGetValue(node, out var state) && state.Slope > 0 && gradients.TryGetValue(state.Source, out var atSource) ? atSource / state.Slope : null;
    }

    /// <summary>Whether a node multiplies data by parameters: a matrix product or a convolution.</summary>
    /// <param name="node">The node.</param>
    /// <param name="isData">Whether a node depends on what is fed.</param>
    /// <param name="data">Which argument the data are.</param>
    public static bool IsLinearMap(Expr node, Func<Expr, bool> isData, out int data)
    {
        data = 0;
        if (node.Op is not (DotGeneral or ConvGeneral))
            return false;
        data = isData(node.Args[0]) ? 0 : 1;
        return isData(node.Args[data]) && !isData(node.Args[1 - data]);
    }

    /// <summary>The distribution of a node: a constant, a function of the normal distribution of another node, or moments alone.</summary>
    private sealed class State(Expr source, Moments moments)
    {
        /// <summary>The node whose normal distribution this is a function of; itself, if of none.</summary>
        public Expr Source { get; } = source;

        public Moments Moments { get; } = moments;

        /// <summary>E[(dx / d source)²]</summary>
        public double Slope { get; init; } = 1;

        /// <summary>The same number everywhere.</summary>
        public double? Constant { get; init; }

        /// <summary>Var(q) / E[q]² of the mean square q of one row, which differs from row to row where few numbers are summed, and from draw to draw of the weights.</summary>
        public double Spread { get; init; }

        /// <summary>E[x⁴] / q²: 3 of a normal distribution.</summary>
        public double Kurtosis { get; init; } = 3;

        /// <summary>The spread of sums of so many terms, with random weights.</summary>
        public double SpreadOf(double terms) => Spread + ((Kurtosis - 1) / Math.Max(1, terms));

        /// <summary>The function at the points of <see cref="Normal"/>, its derivative in the imaginary part; null where it is not needed any more.</summary>
        public Complex[]? Values { get; set; }
    }

    private void Run(List<Expr> order)
    {
        foreach (var scope in model.Scopes)
        {
            if (scope is { Outputs: [var output], Inputs: [_, ..] } && ByKind.Contains(scope.Kind))
                scopes.TryAdd(output, scope);
        }

        var uses = new Dictionary<Expr, int>(order.Count);
        foreach (var node in order)
        {
            foreach (var arg in node.Args)
                uses[arg] = uses.GetValueOrDefault(arg) + 1;
        }

        var fed = model.Inputs.Concat(model.Targets).Select(n => n.Value).ToHashSet();
        var data = new HashSet<Expr>();
        foreach (var node in order)
        {
            if (fed.Contains(node) || node.Args.Any(data.Contains))
                data.Add(node);
            if (this.inputs.TryGetValue(node, out var given))
                states[node] = new State(node, given);
            else if ((scopes.TryGetValue(node, out var scope) ? OfScope(node, scope) : OfNode(node)) is { } state)
                states[node] = state;
            foreach (var arg in node.Args)
            {
                // The points are many: they are kept as long as somebody will ask.
                if (--uses[arg] == 0 && states.TryGetValue(arg, out var done))
                    done.Values = null;
            }
        }

        Backward(order, data);
    }

    private void Backward(List<Expr> order, HashSet<Expr> data)
    {
        var before = new HashSet<Expr>();
        for (var i = order.Count - 1; i >= 0; i--)
        {
            var node = order[i];
            var isMap = IsLinearMap(node, data.Contains, out _);
            if (isMap && !before.Contains(node))
                gradients[node] = 1;
            if (isMap || before.Contains(node))
                before.UnionWith(node.Args);
            if (!gradients.TryGetValue(node, out var gradient) || !edges.TryGetValue(node, out var sent))
                continue;
            foreach (var (target, factor) in sent)
                gradients[target] = gradients.GetValueOrDefault(target) + (gradient * factor);
        }
    }

    private void Send(Expr node, Expr target, double factor)
    {
        if (!edges.TryGetValue(node, out var sent))
            edges[node] = sent = [];
        sent.Add((target, factor));
    }

    /// <summary>A state of its own, whose gradient goes to one argument.</summary>
    private State New(Expr node, Moments moments, Expr argument, double factor)
    {
        Send(node, argument, factor);
        return new State(node, moments) { Spread = Of(argument)?.Spread ?? 0 };
    }

    private State? Of(Expr node) => states.GetValueOrDefault(node);

    private double Size(Dim dim) => dim.IsKnown ? dim.Value : Math.Max(1, dim.Substitute(name => Dim.Of(size(name))) is { IsKnown: true } known ? known.Value : DefaultSize);

    private double Count(Shape shape) => shape.Dims.Aggregate(1.0, (n, d) => n * Size(d));

    // ---- Layers that are known by name -----------------------------------------------------------------------------------

    private static readonly HashSet<string> ByKind = ["layer_norm", "rms_norm", "batch_norm", "group_norm", "instance_norm", "dropout", "softmax"];

    private State? OfScope(Expr node, Scope scope)
    {
        var x = scope.Inputs[0];
        if (Of(x) is not { Moments: var m } || node == x)
            return OfNode(node);
        var square = m.Mean * m.Mean;
        switch (scope.Kind)
        {
            case "layer_norm":
                return Normalized(square);
            case "rms_norm":
                return Normalized(0);
            case "batch_norm":
                return Normalized(m.Shared);
            case "instance_norm":
                // What positions share is gone.
                return Normalized(m.Shared);
            case "group_norm":
                // The mean over a group of channels keeps what single channels have for themselves.
                var channels = Size(x.Shape[^1]);
                return Normalized(square + (Math.Max(0, m.Shared - square) / Math.Sqrt(channels)));
            case "dropout":
                var kept = Kept(node);
                Send(node, x, 1 / kept);
                return new State(node, m with { Square = m.Square / kept }) { Spread = Of(x)!.Spread, Kurtosis = Of(x)!.Kurtosis / kept };
            default:
                // Of logits with the variance v, the largest of n probabilities carry E[p²] = e^v / n² (moments of the log-normal).
                var n = Size(x.Shape[^1]);
                var p = Math.Min(1, Math.Exp(Math.Min(50, m.Square - Math.Min(m.Square, square))) / n) / n;
                var rest = 1 - Math.Min(1, n * p);
                return New(node, new Moments(1 / n, p, Math.Min(p, 1 / (n * n))), x, p * rest * rest);
        }

        State Normalized(double removed)
        {
            var rest = Math.Max(1e-5, m.Square - removed);
            var normal = new Moments(scope.Kind == "rms_norm" ? m.Mean / Math.Sqrt(rest) : 0, Math.Min(1, (m.Square - removed) / rest), Math.Max(0, (m.Shared - removed) / rest));
            var (weight, bias) = (Initial(scope.Path + ".weight") ?? One, Initial(scope.Path + ".bias") ?? default);

            // Rows are divided by sizes of their own, small ones by more.
            var byRow = scope.Kind is "layer_norm" or "rms_norm";
            Send(node, x, weight.Square / rest * (byRow ? Inverse(Of(x)!.Spread, 1e-5 / rest) : 1));
            return new State(node, (normal * weight) + bias) { Spread = byRow ? 0 : Of(x)!.Spread };
        }
    }

    /// <summary>E[1 / (q + ε)] for q of mean 1 and a given variance, as of a mean of squares: a gamma distribution.</summary>
    private static double Inverse(double variance, double epsilon)
    {
        if (variance < 1e-3)
            return 1 / (1 + epsilon);
        var (total, sum) = (0.0, 0.0);
        for (var log = -40.0; log < 6; log += 0.05)
        {
            var q = Math.Exp(log);
            var weight = Math.Exp((1 + log - q) / variance);
            (total, sum) = (total + weight, sum + (weight / (q + epsilon)));
        }

        return sum / total;
    }

    private Moments? Initial(string path) => model.Parameters.FirstOrDefault(p => p.Path == path) is { } parameter ? OfParameter(parameter).Moments : null;

    /// <summary>The part that a dropout keeps: it scales by the inverse.</summary>
    private static double Kept(Expr dropout)
    {
        var training = dropout.Op is Phase ? dropout.Args[0] : dropout;
        return training.Op is Select && training.Args[1].Is<Mul>(out _, out var factor) && factor.IsSplat(out var scale) && scale >= 1 ? 1 / scale : 1;
    }

    // ---- Operations ------------------------------------------------------------------------------------------------------

    private State? OfNode(Expr node)
    {
        switch (node.Op)
        {
            case Variable when parameters.TryGetValue(node, out var parameter):
                return OfParameter(parameter);
            case Variable when model.Buffers.FirstOrDefault(b => b.Variable == node) is { } buffer:
                return OfParameter(new Parameter(buffer.Path, buffer.Variable, buffer.Initializer, ParameterOptions.Default));
            case Variable:
                return new State(node, Moments.Standard);
            case Literal literal:
                return Constant(node, literal.Number);
            case DimensionSize dimension:
                return Constant(node, Size(dimension.Size));
            case Table table:
                return Fixed(node, table.Values.Average(), table.Values.Average(v => v * v));
            case Iota iota:
                var n = Size(iota.Shape[iota.Axis]);
                return Fixed(node, (n - 1) / 2, (n - 1) * ((2 * n) - 1) / 6);
            case Phase or Identity:
                return Same(node, node.Args[0]);
            case Movement or Cast when node.Op is Reshape or Transpose or Reverse or Cast:
                return Same(node, node.Args[0]);
            case Broadcast:
                return Of(node.Args[0]) is { } x ? x.Constant is { } c ? Constant(node, c) : New(node, x.Moments, node.Args[0], Count(node.Shape) / Count(node.Args[0].Shape)) : null;
            case Slice:
                return Of(node.Args[0]) is { } sliced ? New(node, sliced.Moments, node.Args[0], Count(node.Shape) / Count(node.Args[0].Shape)) : null;
            case Pad:
                var part = Count(node.Args[0].Shape) / Math.Max(1, Count(node.Shape));
                return Of(node.Args[0]) is { Moments: var inner }
                    ? New(node, new Moments(inner.Mean * part, inner.Square * part, inner.Shared * part), node.Args[0], 1)
                    : null;
            case Concat:
                return Joined(node);
            case Gather:
                return Of(node.Args[0]) is { Moments: var row } ? New(node, row with { Shared = row.Mean * row.Mean }, node.Args[0], 1) : null;
            case Sum sum:
                return Summed(node, sum);
            case ReduceMax or ReduceMin:
                return Largest(node, node.Op is ReduceMin);
            case DotGeneral dot:
                return Product(node, dot.LeftContract.Aggregate(1.0, (k, axis) => k * Size(node.Args[0].Shape[axis])), dot.LeftContract, dot.RightContract);
            case ConvGeneral conv:
                return Convolution(node, conv);
            case Unary or Binary or Select or Compare or Logic:
                return Elementwise(node);
            default:
                return null;
        }
    }

    private static State Constant(Expr node, double value) => new(node, new Moments(value, value * value, value * value)) { Constant = value };

    /// <summary>Numbers that no data change.</summary>
    private static State Fixed(Expr node, double mean, double square) => new(node, new Moments(mean, square, square));

    private static State OfParameter(Parameter parameter)
    {
        var (mean, square) = OfInitializer(parameter.Initializer, parameter.Shape);
        return square <= mean * mean ? Constant(parameter.Variable, mean) : Fixed(parameter.Variable, mean, square);
    }

    /// <summary>E[w] and E[w²].</summary>
    public static (double Mean, double Square) OfInitializer(Initializer initializer, Shape shape)
    {
        switch (initializer)
        {
            case ConstantInitializer constant:
                return (constant.Value, constant.Value * constant.Value);
            case ListInitializer { Values.Count: > 0 } list:
                return (list.Values.Average(), list.Values.Average(v => v * v));
            case UniformInitializer uniform:
                var mean = (uniform.Low + uniform.High) / 2;
                var deviation = uniform.StandardDeviation(shape)!.Value;
                return (mean, (mean * mean) + (deviation * deviation));
            case ScaledInitializer scaled:
                var (innerMean, innerSquare) = OfInitializer(scaled.Inner, shape);
                return (innerMean * scaled.Factor, innerSquare * scaled.Factor * scaled.Factor);
            case OrthogonalInitializer orthogonal:
                var columns = shape[^1].Value;
                return (0, orthogonal.Gain * orthogonal.Gain / Math.Max(1, Math.Max(columns, shape.ElementCount.Value / Math.Max(1, columns))));
            case IdentityInitializer:
                return (0, 1.0 / Math.Max(1, shape[^2].Value));
            default:
                var std = initializer.StandardDeviation(shape) ?? 0;
                return (0, std * std);
        }
    }

    private State? Same(Expr node, Expr argument)
    {
        if (Of(argument) is not { } state)
            return null;
        Send(node, argument, 1);
        return new State(state.Source, state.Moments) { Slope = state.Slope, Constant = state.Constant, Values = state.Values, Spread = state.Spread, Kurtosis = state.Kurtosis };
    }

    private State? Joined(Expr node)
    {
        var (total, mixed) = (0.0, default(Moments));
        foreach (var arg in node.Args)
        {
            if (Of(arg) is not { Moments: var m })
                return null;
            var n = Count(arg.Shape);
            mixed = new(mixed.Mean + (n * m.Mean), mixed.Square + (n * m.Square), mixed.Shared + (n * m.Shared));
            total += n;
            Send(node, arg, 1);
        }

        return new State(node, new Moments(mixed.Mean / total, mixed.Square / total, mixed.Shared / total));
    }

    private State? Summed(Expr node, Sum sum)
    {
        var x = node.Args[0];
        if (Of(x) is not { } state)
            return null;
        var (channels, positions) = (1.0, 1.0);
        foreach (var axis in sum.Axes)
        {
            if (axis == x.Rank - 1)
                channels *= Size(x.Shape[axis]);
            else
                positions *= Size(x.Shape[axis]);
        }

        if (state.Constant is { } c)
            return Constant(node, c * channels * positions);
        var m = state.Moments;
        var pairs = channels * (channels - 1) * m.Mean * m.Mean;
        var over = new Moments(channels * m.Mean, (channels * m.Square) + pairs, (channels * m.Shared) + pairs);
        return New(node, new Moments(positions * over.Mean, (positions * over.Square) + (positions * (positions - 1) * over.Shared), positions * positions * over.Shared), x, 1);
    }

    /// <summary>The largest of n draws that are independent but for what rows share: P(max ≤ v) = P(x ≤ v)ⁿ.</summary>
    private State? Largest(Expr node, bool smallest)
    {
        var x = node.Args[0];
        if (Of(x) is not { } state || Points(state) is not { } values)
            return null;
        var n = Count(x.Shape) / Math.Max(1, Count(node.Shape));
        var moments = Normal.OfLargest(values, n, smallest, out var slope);
        Send(node, state.Source, slope / n);
        return new State(node, moments) { Spread = state.Spread };
    }

    /// <summary>Σ of products: each term by independence, pairs of terms by what they share along the axes that are summed over.</summary>
    private State? Product(Expr node, double n, IEnumerable<int> leftAxes, IEnumerable<int> rightAxes)
    {
        if (Of(node.Args[0]) is not { } left || Of(node.Args[1]) is not { } right)
            return null;
        var (l, r) = (left.Moments, right.Moments);
        if (IsBiased(node.Args[0], l, n) || IsBiased(node.Args[1], r, n))
            return null;
        var pairs = n * (n - 1) * Pair(node.Args[0], l, leftAxes) * Pair(node.Args[1], r, rightAxes);

        // Each element of an argument is in as many results as the other has free elements.
        Send(node, node.Args[0], r.Square * n * Count(node.Shape) / Count(node.Args[0].Shape));
        Send(node, node.Args[1], l.Square * n * Count(node.Shape) / Count(node.Args[1].Shape));
        return new State(node, new Moments(n * l.Mean * r.Mean, (n * l.Square * r.Square) + pairs, (n * l.Shared * r.Shared) + pairs))
        {
            Spread = parameters.ContainsKey(node.Args[1]) ? left.SpreadOf(n) : parameters.ContainsKey(node.Args[0]) ? right.SpreadOf(n) : 0,
        };
    }

    /// <summary>Whether the mean of weights matters beside their deviation: their sums have a part that all channels share, which is not followed.</summary>
    private bool IsBiased(Expr weight, Moments m, double n) => parameters.ContainsKey(weight) && n * m.Mean * m.Mean > 0.1 * m.Square && n > 1;

    /// <summary>E[x x′] of two elements along the axes that are summed over; parameters and channels have nothing but their mean in common.</summary>
    private double Pair(Expr x, Moments m, IEnumerable<int> axes)
    {
        for (; x.Op is Transpose transpose; x = x.Args[0])
            axes = [.. axes.Select(a => transpose.Permutation[a])];
        return parameters.ContainsKey(x) || axes.Contains(x.Rank - 1) ? m.Mean * m.Mean : m.Shared;
    }

    private State? Convolution(Expr node, ConvGeneral conv)
    {
        var (x, w) = (node.Args[0], node.Args[1]);
        if (Of(x) is not { Moments: var m } data || Of(w) is not { Moments: var k })
            return null;

        // Padding takes part in no product.
        var taps = 1.0;
        for (var i = 0; i < conv.Spatial; i++)
            taps *= Taps(i);
        var outputs = Count(node.Shape) / Size(node.Shape[0]) / Size(node.Shape[^1]);
        var n = taps / outputs * Size(w.Shape[^2]);
        if (IsBiased(w, k, n))
            return null;
        var pairs = n * (n - 1) * k.Mean * k.Mean;
        Send(node, x, k.Square * taps * Size(w.Shape[^1]) / conv.Groups / (Count(x.Shape) / Size(x.Shape[0]) / Size(x.Shape[^1])));
        return new State(node, new Moments(n * m.Mean * k.Mean, (n * m.Square * k.Square) + (pairs * m.Mean * m.Mean), (n * m.Shared * k.Square) + (pairs * m.Mean * m.Mean))) { Spread = data.SpreadOf(n) };

        double Taps(int axis)
        {
            var (length, low, results, kernel) = (Size(x.Shape[axis + 1]), (long)Size(conv.Low[axis]), (long)Size(node.Shape[axis + 1]), (long)Size(w.Shape[axis]));
            var extent = ((long)(length - 1) * conv.LhsDilation[axis]) + 1;
            var count = 0.0;
            for (var o = 0L; o < results; o++)
            {
                for (var t = 0L; t < kernel; t++)
                {
                    var at = (o * conv.Stride[axis]) + (t * conv.RhsDilation[axis]) - low;
                    count += at >= 0 && at < extent && at % conv.LhsDilation[axis] == 0 ? 1 : 0;
                }
            }

            return count;
        }
    }

    /// <summary>A function of one distribution is integrated; two are taken to be independent.</summary>
    private State? Elementwise(Expr node)
    {
        var args = new State[node.Args.Length];
        for (var i = 0; i < args.Length; i++)
        {
            // A condition that no prediction is for may go either way.
            if (Of(node.Args[i]) is { } known)
                args[i] = known;
            else
                return node.Op is Select && i == 0 ? Chosen(node) : null;
        }

        var varying = args.Where(a => a.Constant is null).Select(a => a.Source).Distinct().ToArray();
        if (varying.Length > 1)
            return Independent(node, args);
        if (varying.Length == 1 && args.Any(a => a.Constant is null && Points(a) is null))
            return null;
        var count = varying.Length == 0 ? 1 : Normal.Count;
        var points = new RefValue<Complex>[args.Length];
        for (var i = 0; i < args.Length; i++)
        {
            var values = args[i].Constant is { } c ? Repeated(c, count) : Points(args[i])!;
            points[i] = node.Args[i].DType.IsFloat()
                ? RefValue<Complex>.Of([count], values)
                : RefValue<Complex>.Of([count], Array.ConvertAll(values, v => (long)v.Real));
        }

        var result = node.Op.Evaluate<Complex, ComplexField>(node, points, new RefContext(new Dictionary<string, long>()));
        var numbers = result.Reals ?? Array.ConvertAll(result.Integers!, v => (Complex)v);
        if (varying.Length == 0)
            return Constant(node, numbers[0].Real);
        var moments = Normal.Moments(numbers, out var slope, out var spread, out var kurtosis);
        if (!double.IsFinite(moments.Square))
            return null;
        Send(node, varying[0], slope);
        return new State(varying[0], moments) { Slope = slope, Values = numbers, Spread = spread, Kurtosis = kurtosis };
    }

    private static Complex[] Repeated(double value, int count)
    {
        var values = new Complex[count];
        Array.Fill(values, value);
        return values;
    }

    private State? Chosen(Expr node)
    {
        var (x, y) = (Of(node.Args[1]), Of(node.Args[2]));
        if (x is null || y is null)
            return null;

        // A mask before a softmax.
        if (y.Constant is { } b && (double.IsInfinity(b) || Math.Abs(b) > 1e8))
            return Same(node, node.Args[1]);
        if (x.Constant is { } a && (double.IsInfinity(a) || Math.Abs(a) > 1e8))
            return Same(node, node.Args[2]);
        Send(node, node.Args[1], 0.5);
        Send(node, node.Args[2], 0.5);
        var (p, q) = (x.Moments, y.Moments);
        return new State(node, new Moments((p.Mean + q.Mean) / 2, (p.Square + q.Square) / 2, (p.Shared + q.Shared) / 2));
    }

    private State? Independent(Expr node, State[] args)
    {
        switch (node.Op)
        {
            case Add:
                Send(node, node.Args[0], 1);
                Send(node, node.Args[1], 1);
                // Rows that are large in one term are large in the other.
                var (a, b) = (args[0].Moments.Square, args[1].Moments.Square);
                var deviation = ((a * Math.Sqrt(args[0].Spread)) + (b * Math.Sqrt(args[1].Spread))) / Math.Max(double.Epsilon, a + b);
                return new State(node, args[0].Moments + args[1].Moments) { Spread = deviation * deviation };
            case Mul:
                Send(node, node.Args[0], args[1].Moments.Square);
                Send(node, node.Args[1], args[0].Moments.Square);
                return new State(node, args[0].Moments * args[1].Moments);
            case Div when args[1].Moments.Square > 0:
                // A divisor varies little, as norms and counts do.
                var inverse = args[1].Moments.Times(1 / args[1].Moments.Square);
                Send(node, node.Args[0], inverse.Square);
                return new State(node, args[0].Moments * inverse);
            case Select:
                return Chosen(node);
            default:
                return null;
        }
    }

    /// <summary>The function that a state is, at the points of the normal distribution; of a source, the points themselves.</summary>
    private static Complex[]? Points(State state) => state.Constant is not null ? null : state.Values ??= state.Slope == 1 ? Normal.Points(state.Moments, state.Spread) : null;

    /// <summary>Points of the normal distribution: on lines of several variances for moments and slopes, and on a plane of what rows share by what each has alone.</summary>
    private static class Normal
    {
        private const int Line = 81, Common = 13, Own = 31;

        /// <summary>Gauss–Hermite quadrature for the logarithm of a row's variance.</summary>
        private static readonly (double At, double Weight)[] Variances = [(0.0, 2.0 / 3), (-Math.Sqrt(3), 1.0 / 6), (Math.Sqrt(3), 1.0 / 6)];

        /// <summary>Where the planes begin.</summary>
        private static readonly int Lines = Line * Variances.Length;

        /// <summary>Complex-step derivatives: f(x + ih) carries h·f′(x).</summary>
        private const double Step = 1e-30;

        // Dense at the origin, where activations bend; wide variances see the bend, too.
        private static readonly (double At, double Weight)[] OnLine = Rule(Line, t => 0.02 * Math.Sinh(t), t => 0.02 * Math.Cosh(t), 6.4);
        private static readonly (double At, double Weight)[] OfCommon = Rule(Common, t => t, _ => 1, 4.2);
        private static readonly (double At, double Weight)[] OfOwn = Rule(Own, t => t, _ => 1, 5.4);

        public static readonly int Count = Lines + (Common * Own);

        /// <summary>The trapezoidal rule under the normal density, which converges as Gauss–Hermite quadrature does.</summary>
        private static (double At, double Weight)[] Rule(int count, Func<double, double> at, Func<double, double> speed, double end)
        {
            var points = new (double At, double Weight)[count];
            for (var i = 0; i < count; i++)
            {
                var t = end * ((2.0 * i / (count - 1)) - 1);
                points[i] = (at(t), speed(t) * Math.Exp(-at(t) * at(t) / 2));
            }

            var total = points.Sum(p => p.Weight);
            return [.. points.Select(p => (p.At, p.Weight / total))];
        }

        public static Complex[] Points(Moments m, double spread)
        {
            var points = new Complex[Count];
            var deviation = Math.Sqrt(m.Variance);
            var width = Math.Sqrt(Math.Log(1 + spread));
            for (var k = 0; k < Variances.Length; k++)
            {
                // A log-normal variance of the given mean.
                var own = deviation * Math.Exp(((width * Variances[k].At) - (width * width / 2)) / 2);
                for (var i = 0; i < Line; i++)
                    points[(k * Line) + i] = new(m.Mean + (own * OnLine[i].At), Step);
            }

            var common = Math.Sqrt(Math.Clamp(m.Shared - (m.Mean * m.Mean), 0, m.Variance));
            var alone = Math.Sqrt(Math.Max(0, m.Variance - (common * common)));
            for (var i = 0; i < Common; i++)
            {
                for (var j = 0; j < Own; j++)
                    points[Lines + (i * Own) + j] = m.Mean + (common * OfCommon[i].At) + (alone * OfOwn[j].At);
            }

            return points;
        }

        public static Moments Moments(Complex[] values, out double slope, out double spread, out double kurtosis)
        {
            var (mean, square, squares, fourth, shared) = (0.0, 0.0, 0.0, 0.0, 0.0);
            slope = 0;
            for (var k = 0; k < Variances.Length; k++)
            {
                var (part, own) = (Variances[k].Weight, 0.0);
                for (var i = 0; i < Line; i++)
                {
                    var value = values[(k * Line) + i];
                    var (x, weight) = (value.Real, OnLine[i].Weight);
                    mean += part * weight * x;
                    own += weight * x * x;
                    fourth += part * weight * x * x * x * x;
                    var d = value.Imaginary / Step;
                    slope += part * weight * d * d;
                }

                square += part * own;
                squares += part * own * own;
            }

            (spread, kurtosis) = square > 0 ? (Math.Max(0, (squares / (square * square)) - 1), fourth / squares) : (0, 1);
            for (var i = 0; i < Common; i++)
            {
                var row = 0.0;
                for (var j = 0; j < Own; j++)
                    row += OfOwn[j].Weight * values[Lines + (i * Own) + j].Real;
                shared += OfCommon[i].Weight * row * row;
            }

            return new(mean, square, Math.Min(shared, square));
        }

        /// <summary>The moments of the largest of n; <paramref name="slope"/> is the mean squared derivative there.</summary>
        public static Moments OfLargest(Complex[] values, double n, bool smallest, out double slope)
        {
            var sign = smallest ? -1 : 1;
            var (mean, square, shared) = (0.0, 0.0, 0.0);
            slope = 0;
            for (var k = 0; k < Variances.Length; k++)
            {
                foreach (var (value, weight) in Order(values.AsSpan(k * Line, Line), OnLine))
                {
                    var part = Variances[k].Weight * weight;
                    mean += part * value.Real;
                    square += part * value.Real * value.Real;
                    var d = value.Imaginary / Step;
                    slope += part * d * d;
                }
            }

            for (var i = 0; i < Common; i++)
            {
                var row = 0.0;
                foreach (var (value, weight) in Order(values.AsSpan(Lines + (i * Own), Own), OfOwn))
                    row += weight * value.Real;
                shared += OfCommon[i].Weight * row * row;
            }

            return new(mean, square, Math.Min(shared, square));

            List<(Complex Value, double Weight)> Order(ReadOnlySpan<Complex> points, (double At, double Weight)[] rule)
            {
                var sorted = new List<(Complex Value, double Weight)>(rule.Length);
                for (var i = 0; i < rule.Length; i++)
                    sorted.Add((points[i], rule[i].Weight));
                sorted.Sort((a, b) => sign * a.Value.Real.CompareTo(b.Value.Real));
                var below = 0.0;
                for (var i = 0; i < sorted.Count; i++)
                {
                    var to = Math.Min(1, below + sorted[i].Weight);
                    sorted[i] = (sorted[i].Value, Math.Pow(to, n) - Math.Pow(below, n));
                    below = to;
                }

                return sorted;
            }
        }
    }
}
