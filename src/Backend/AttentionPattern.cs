using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>A tensor of attention beside the scores: the node, and which of its axes walks along which label of the scores.</summary>
/// <param name="Node">The node.</param>
/// <param name="Axes">For each label the axis of the node and the factor of its stride; axis −1 where the node does not have the label.</param>
/// <param name="Feature">The axis of the node that is no label.</param>
internal sealed record AttentionFactor(int Node, (int Axis, long Factor)[] Axes, int Feature);

/// <summary>A product with the scores or the weights: the other operand, and what comes out.</summary>
internal sealed record AttentionProduct(int Dot, AttentionFactor Other, AttentionFactor Result);

/// <summary>Weights that are dropped: 0 where a random number u of [0, 1) is below the rate, and scaled elsewhere.</summary>
/// <param name="Key">The key of the random numbers.</param>
/// <param name="Rate">The rate.</param>
/// <param name="Scale">What the weights that are kept are multiplied by.</param>
/// <param name="Numbers">The random numbers, an element a query and key.</param>
/// <param name="Keep">The node that says which weights are kept.</param>
internal sealed record AttentionDropout(int Key, double Rate, double Scale, AttentionFactor Numbers, int Keep);

/// <summary>
/// softmax(q · kᵀ) · v, as the nodes of a graph: scores, where a mask is true; their exponentials over the row's sum, some of them dropped; a product with the values. And its
/// derivative. All values with an element a query and key are within: one kernel computes them a few rows at a time. Labels are the axes of
/// the scores.
/// </summary>
internal sealed class AttentionPattern
{
    private readonly ConcreteGraph graph;
    private readonly HashSet<int> inside = [];
    private readonly List<int> outputs = [];
    private int[][] labels = [];
    private int scored = -1;

    private AttentionPattern(ConcreteGraph graph) => this.graph = graph;

    /// <summary>The sizes of the labels.</summary>
    public long[] Sizes { get; private set; } = [];

    /// <summary>The label of queries.</summary>
    public int Query { get; private set; }

    /// <summary>The label of keys.</summary>
    public int Key { get; private set; }

    public AttentionFactor Queries { get; private set; } = null!;

    public AttentionFactor Keys { get; private set; } = null!;

    /// <summary>Which keys a query sees, with the axes of the scores; null for all.</summary>
    public AttentionFactor? Mask { get; private set; }

    /// <summary>Whether a row whose largest score is infinite is as it is, and one that sums to 0 gives zeros: the softmax of what a mask leaves.</summary>
    public bool IsGuarded { get; private set; }

    /// <summary>The dropping of weights, or null.</summary>
    public AttentionDropout? Dropout { get; private set; }

    /// <summary>weights · values; null where only the derivative wants the weights.</summary>
    public AttentionProduct? Mixed { get; private set; }

    /// <summary>The derivative, or null: of the weights (from the cotangent and the values), the values, the queries and the keys.</summary>
    public (AttentionFactor Cotangent, AttentionFactor Values, AttentionProduct ToValues, AttentionProduct ToQueries, AttentionProduct ToKeys)? Derivative { get; private set; }

    /// <summary>The node at whose place the derivative is computed.</summary>
    public int DerivativeAt { get; private set; } = int.MaxValue;

    /// <summary>Nodes that no other kernel computes.</summary>
    public IEnumerable<int> Nodes => inside.Concat(outputs);

    /// <summary>The attention around an exponential, or null.</summary>
    public static AttentionPattern? TryMatch(ConcreteGraph graph, int exp, Func<int, bool> isRoot)
    {
        const int fewestRows = 8;
        if (graph.Node(exp).Op is not Exp || graph.Dims(exp) is not { Length: >= 2 } dims || dims[^1] < fewestRows || dims[^2] < fewestRows)
            return null;
        var pattern = new AttentionPattern(graph);
        return pattern.MatchWeights(exp) && pattern.inside.Concat(pattern.outputs).All(id => pattern.outputs.Contains(id) || (!isRoot(id) && pattern.IsClosed(id))) ? pattern : null;
    }

    private bool IsClosed(int id)
    {
        foreach (var consumer in graph.ConsumersOf(id))
        {
            if (!inside.Contains(consumer) && !outputs.Contains(consumer))
                return false;
        }

        return true;
    }

    private bool MatchWeights(int exp)
    {
        // exp(x − max): the maximum of a row, or 0 where it is infinite.
        if (!Is<Add>(graph.Args(exp)[0], out var shifted) || !SplitAdd(shifted, out var x, out var negative))
            return false;
        var moves = new Stack<int>();
        for (; IsMove(negative); negative = graph.Args(negative)[0])
            moves.Push(negative);
        if (!Is<Neg>(negative, out var neg))
            return false;
        Within(exp, shifted, neg);
        var max = graph.Args(neg)[0];
        if (Is<Select>(max, out var guard))
        {
            var (test, finite, zero) = (graph.Args(guard)[0], graph.Args(guard)[1], graph.Args(guard)[2]);
            if (!IsNumber(zero, 0) || graph.Node(test).Op is not Compare { Kind: Comparison.Lt } || !Is<Abs>(graph.Args(test)[0], out var abs) || graph.Args(abs)[0] != finite || !IsNumber(graph.Args(test)[1], double.PositiveInfinity))
                return false;
            Within(guard, test, abs);
            (IsGuarded, max) = (true, finite);
        }

        if (graph.Node(max).Op is not ReduceMax || !IsRow(max))
            return false;
        Within(max);

        // The scores, −∞ where the mask is false.
        var mask = -1;
        scored = x;
        if (Is<Select>(x, out var masked) && IsNumber(graph.Args(x)[2], double.NegativeInfinity))
        {
            Within(masked);
            (mask, scored) = (graph.Args(x)[0], graph.Args(x)[1]);
        }

        if (Down(scored) is not { } dot || !LabelScores(dot, scored) || !TryFactors(dot) || !IsOfRows(max, moves, x, dot))
            return false;
        if (mask >= 0)
            Mask = new AttentionFactor(mask, Spread(labels), -1);

        // The sum of a row, or 1 where it is 0; the quotient.
        var sum = Only(exp, id => graph.Node(id).Op is Sum && IsRow(id));
        if (sum < 0)
            return false;
        Within(sum);
        var (total, isZero) = (sum, -1);
        if (IsGuarded)
        {
            isZero = Only(sum, id => graph.Node(id).Op is Compare { Kind: Comparison.Eq } && graph.Args(id)[0] == sum && IsNumber(graph.Args(id)[1], 0));
            total = Only(sum, id => Is<Select>(id, out _) && graph.Args(id)[0] == isZero && IsNumber(graph.Args(id)[1], 1) && graph.Args(id)[2] == sum);
            if (isZero < 0 || total < 0)
                return false;
            Within(isZero, total);
        }

        var divisor = Only(total, id => IsRowBroadcast(id));
        if (divisor < 0)
            return false;
        Within(divisor);
        var weights = Only(divisor, id => Is<Div>(id, out _) && graph.Args(id)[0] == exp && graph.Args(id)[1] == divisor);
        if (weights < 0)
            return false;
        Within(weights);
        var quotient = Only(divisor, id => id != weights && Is<Div>(id, out _) && graph.Args(id)[1] == divisor);
        var products = new List<AttentionProduct>();
        if (!Products(Dropped(weights), labels, products))
            return false;
        Mixed = products.Find(p => p.Result.Axes[Key].Axis < 0 && Has(p.Result, label => label != Key));
        if (Mixed is not null)
        {
            products.Remove(Mixed);
            outputs.Add(Mixed.Dot);
        }

        return quotient < 0 ? Mixed is not null && products.Count == 0 : products.Count == 1 && MatchDerivative(exp, weights, mask, isZero, quotient, products[0]);
    }

    /// <summary>What the values are multiplied with: the weights, or what dropping leaves of them.</summary>
    private int Dropped(int weights)
    {
        var scaled = Only(weights, id => Is<Mul>(id, out _) && graph.IsNumber(Other(id, weights), out _));
        var dropped = scaled < 0 ? -1 : Only(scaled, id => Is<Select>(id, out _) && graph.Args(id)[1] == scaled && IsNumber(graph.Args(id)[2], 0));
        if (dropped < 0)
            return weights;
        var keep = graph.Args(dropped)[0];
        if (graph.Node(keep).Op is not Compare { Kind: Comparison.Ge } || !graph.IsNumber(graph.Args(keep)[1], out var rate) || !Is<Mul>(graph.Args(keep)[0], out var uniform))
            return weights;
        var number = graph.Args(uniform)[0];
        if (!IsNumber(graph.Args(uniform)[1], Rng.Unit) || !Is<Cast>(number, out _) || graph.Kind(graph.Args(number)[0]) != OpKind.RngBits)
            return weights;
        var bits = graph.Args(number)[0];
        Within(scaled, dropped, keep, uniform, number, bits);
        graph.IsNumber(Other(scaled, weights), out var scale);
        Dropout = new AttentionDropout(graph.Args(bits)[0], rate.Real, scale.Real, new AttentionFactor(bits, Spread(labels), -1), keep);
        return dropped;
    }

    /// <summary>The other operand.</summary>
    private int Other(int id, int operand) => graph.Args(id)[graph.Args(id)[0] == operand ? 1 : 0];

    /// <summary>With w the weights before any is dropped, e the exponentials and l their sum: g = w̄ / l, (g − Σ g · w) · e, 0 where the mask is false.</summary>
    private bool MatchDerivative(int exp, int weights, int mask, int isZero, int quotient, AttentionProduct toValues)
    {
        Within(quotient);
        var weightsBar = graph.Args(quotient)[0];
        if (Dropout is { } dropout)
        {
            if (!Is<Mul>(weightsBar, out var scaled))
                return false;
            var kept = graph.Args(scaled)[IsNumber(graph.Args(scaled)[0], dropout.Scale) ? 1 : 0];
            if (!IsNumber(Other(scaled, kept), dropout.Scale) || !Is<Select>(kept, out _) || graph.Args(kept)[0] != dropout.Keep || !IsNumber(graph.Args(kept)[2], 0))
                return false;
            Within(scaled, kept);
            weightsBar = graph.Args(kept)[1];
        }

        if (Down(weightsBar) is not { } dot || Up(weightsBar) is not { } axes)
            return false;
        Within(dot);
        var op = (DotGeneral)graph.Node(dot).Op;

        // Of the operands of w̄, the values are the one without queries.
        var (left, right) = (Factor(dot, axes, isLeft: true), Factor(dot, axes, isLeft: false));
        if (left is null || right is null)
            return false;
        var (cotangent, values) = left.Axes[Query].Axis >= 0 ? (left, right) : (right, left);
        if (op.LeftContract.Count != 1 || cotangent.Axes[Query].Axis < 0 || values.Axes[Query].Axis >= 0)
            return false;
        var product = Only(quotient, id => Is<Mul>(id, out _) && graph.Args(id).Contains(weights));
        var sum = product < 0 ? -1 : Only(product, id => graph.Node(id).Op is Sum && IsRow(id));
        var negative = sum < 0 ? -1 : Only(sum, id => Is<Neg>(id, out _));
        if (negative < 0)
            return false;
        Within(product, sum, negative);
        if (isZero >= 0)
        {
            var inner = negative;
            negative = Only(inner, id => Is<Select>(id, out _) && graph.Args(id)[0] == isZero && IsNumber(graph.Args(id)[1], 0) && graph.Args(id)[2] == inner);
            if (negative < 0)
                return false;
            Within(negative);
        }

        var broadcast = Only(negative, IsRowBroadcast);
        var centred = broadcast < 0 ? -1 : Only(broadcast, id => Is<Add>(id, out _) && graph.Args(id).Contains(quotient));
        var scoresBar = centred < 0 ? -1 : Only(centred, id => Is<Mul>(id, out _) && graph.Args(id).Contains(exp));
        if (scoresBar < 0)
            return false;
        Within(broadcast, centred, scoresBar);
        if (mask >= 0)
        {
            var inner = scoresBar;
            scoresBar = Only(inner, id => Is<Select>(id, out _) && graph.Args(id)[0] == mask && graph.Args(id)[1] == inner && IsNumber(graph.Args(id)[2], 0));
            if (scoresBar < 0)
                return false;
            Within(scoresBar);
        }

        var products = new List<AttentionProduct>();
        if (!Products(scoresBar, labels, products) || products.Count != 2)
            return false;
        var toQueries = products.Find(p => p.Result.Axes[Key].Axis < 0);
        var toKeys = products.Find(p => p.Result.Axes[Query].Axis < 0);
        if (toQueries is null || toKeys is null || !Has(toQueries.Result, label => label != Key) || toKeys.Result.Axes[Key].Axis < 0 || toValues.Result.Axes[Query].Axis >= 0 || toValues.Result.Axes[Key].Axis < 0)
            return false;

        // What keys share, values share.
        for (var label = 0; label < Sizes.Length; label++)
        {
            if (toKeys.Result.Axes[label].Axis < 0 != toValues.Result.Axes[label].Axis < 0)
                return false;
        }

        Derivative = (cotangent, values, toValues, toQueries, toKeys);
        outputs.AddRange([toValues.Dot, toQueries.Dot, toKeys.Dot]);
        DerivativeAt = Math.Min(toValues.Dot, Math.Min(toQueries.Dot, toKeys.Dot));
        int[] inputs = [.. Dropout is { } drops ? [drops.Key] : Array.Empty<int>(), Queries.Node, Keys.Node, cotangent.Node, values.Node, toValues.Other.Node, toQueries.Other.Node, toKeys.Other.Node];
        return inputs.All(IsReady);
    }

    /// <summary>Whether what a value shows is there before the derivative: a variable, or computed earlier.</summary>
    private bool IsReady(int id)
    {
        while (graph.Kind(id) == OpKind.View)
            id = graph.Args(id)[0];
        return id < DerivativeAt || graph.Kind(id) == OpKind.Variable;
    }

    private void Within(params ReadOnlySpan<int> ids)
    {
        foreach (var id in ids)
            inside.Add(id);
    }

    private bool Is<TOp>(int id, out int same)
        where TOp : Op
    {
        same = id;
        return graph.Kind(id) == OpKind.Elementwise && graph.Node(id).Op is TOp;
    }

    private bool IsNumber(int id, double value) => graph.IsNumber(id, out var number) && number.Real == value;

    /// <summary>Whether a reduction is over the last axis.</summary>
    private bool IsRow(int id) => graph.Kind(id) == OpKind.Reduction && ((Reduction)graph.Node(id).Op).Axes is { Count: 1 } axes && axes[0] == graph.Dims(graph.Args(id)[0]).Length - 1;

    /// <summary>Whether a node repeats a value along a new last axis.</summary>
    private bool IsRowBroadcast(int id) => graph.Kind(id) == OpKind.View && graph.Node(id).Op is Broadcast broadcast && broadcast.Axes.Count == graph.Dims(id).Length - 1
        && graph.Dims(graph.Args(id)[0]).Length == broadcast.Axes.Count && broadcast.Axes.Select((axis, i) => axis == i).All(same => same);

    /// <summary>x + (a value a row), in either order.</summary>
    private bool SplitAdd(int add, out int x, out int row)
    {
        for (var i = 0; i < 2; i++)
        {
            (x, row) = (graph.Args(add)[1 - i], graph.Args(add)[i]);
            if (!IsRowBroadcast(row))
                continue;
            Within(row);
            row = graph.Args(row)[0];
            return true;
        }

        (x, row) = (-1, -1);
        return false;
    }

    /// <summary>The only use of a value of which the condition holds, or −1.</summary>
    private int Only(int id, Func<int, bool> condition)
    {
        var found = -1;
        foreach (var consumer in graph.ConsumersOf(id))
        {
            if (consumer == found || !condition(consumer))
                continue;
            if (found >= 0)
                return -1;
            found = consumer;
        }

        return found;
    }

    /// <summary>The product that a value shows in other axes, or null.</summary>
    private int? Down(int id)
    {
        for (; IsMove(id); id = graph.Args(id)[0])
            Within(id);
        if (graph.Kind(id) != OpKind.Dot)
            return null;
        Within(id);
        return id;
    }

    /// <summary>Whether a node has the elements of its argument under other axes.</summary>
    private bool IsMove(int id) => graph.Kind(id) == OpKind.View && graph.Node(id).Op is Transpose or Reshape;

    /// <summary>Whether a maximum over the last axis, moved, is that of the rows of the scores: it may have been taken before they got their axes, if no mask came between.</summary>
    private bool IsOfRows(int max, Stack<int> moves, int x, int dot)
    {
        var argument = graph.Args(max)[0];
        if (argument == x)
            return moves.Count == 0;
        if (x != scored || Label(dot, argument) is not { } axes || !axes[^1].SequenceEqual(labels[^1]))
            return false;
        axes = axes[..^1];
        foreach (var move in moves)
        {
            Within(move);
            if (Follow(move, axes) is not { } next)
                return false;
            axes = next;
        }

        return axes.Length == labels.Length - 1 && axes.Zip(labels).All(pair => pair.First.SequenceEqual(pair.Second));
    }

    /// <summary>The axes of the first product are the labels: which of them the axes of the scores show.</summary>
    private bool LabelScores(int dot, int shown)
    {
        Sizes = Array.ConvertAll(graph.Dims(dot), size => (long)size);
        if (Label(dot, shown) is not { } axes || axes[^1].Length != 1 || axes[^2].Length == 0)
            return false;
        labels = axes;
        (Key, Query) = (axes[^1][0], axes[^2][^1]);
        return true;
    }

    /// <summary>Which labels the axes of a value show that has the elements of the first product; null for other values.</summary>
    private int[][]? Label(int dot, int shown)
    {
        var path = new Stack<int>();
        for (; IsMove(shown); shown = graph.Args(shown)[0])
            path.Push(shown);
        if (shown != dot)
            return null;
        var axes = Sizes.Select((size, a) => size == 1 ? Array.Empty<int>() : [a]).ToArray();
        while (path.TryPop(out var view))
        {
            if (Follow(view, axes) is not { } next)
                return null;
            axes = next;
        }

        return axes;
    }

    /// <summary>The labels of the axes of a view, from those of its argument: the order of elements stays in a reshape.</summary>
    private int[][]? Follow(int view, int[][] axes) => graph.Node(view).Op is Transpose transpose
        ? [.. transpose.Permutation.Select(a => axes[a])]
        : Regroup(axes, graph.Dims(view));

    private int[][]? Regroup(int[][] axes, int[] dims)
    {
        var flat = axes.SelectMany(a => a).ToArray();
        var (result, at) = (new int[dims.Length][], 0);
        for (var a = 0; a < dims.Length; a++)
        {
            var (start, size) = (at, 1L);
            while (size < dims[a] && at < flat.Length)
                size *= Sizes[flat[at++]];
            if (size != dims[a])
                return null;
            result[a] = flat[start..at];
        }

        return at == flat.Length ? result : null;
    }

    /// <summary>The labels of the axes of the product that a value with the axes of the scores shows.</summary>
    private int[][]? Up(int shown)
    {
        var axes = labels;
        for (; graph.Kind(shown) == OpKind.View; shown = graph.Args(shown)[0])
        {
            var argument = graph.Args(shown)[0];
            if (graph.Node(shown).Op is Transpose transpose)
            {
                var before = new int[axes.Length][];
                for (var a = 0; a < axes.Length; a++)
                    before[transpose.Permutation[a]] = axes[a];
                axes = before;
            }
            else if (Regroup(axes, graph.Dims(argument)) is { } before)
            {
                axes = before;
            }
            else
            {
                return null;
            }
        }

        return axes;
    }

    private bool TryFactors(int dot)
    {
        var axes = graph.Dims(dot).Select((size, a) => size == 1 ? Array.Empty<int>() : [a]).ToArray();
        var (left, right) = (Factor(dot, axes, isLeft: true), Factor(dot, axes, isLeft: false));
        if (left is null || right is null)
            return false;
        (Queries, Keys) = left.Axes[Query].Axis >= 0 ? (left, right) : (right, left);
        return Queries.Axes[Query].Axis >= 0 && Queries.Axes[Key].Axis < 0 && Keys.Axes[Key].Axis >= 0 && Keys.Axes[Query].Axis < 0;
    }

    /// <summary>An operand of a product whose result has labels.</summary>
    private AttentionFactor? Factor(int dot, int[][] result, bool isLeft)
    {
        var op = (DotGeneral)graph.Node(dot).Op;
        var node = graph.Args(dot)[isLeft ? 0 : 1];
        var (batch, contract) = isLeft ? (op.LeftBatch, op.LeftContract) : (op.RightBatch, op.RightContract);
        if (contract.Count != 1)
            return null;
        var other = DotGeneral.Free(graph.Dims(graph.Args(dot)[0]).Length, op.LeftBatch, op.LeftContract).Length;
        var axes = new int[graph.Dims(node).Length][];
        Array.Fill(axes, []);
        for (var i = 0; i < batch.Count; i++)
            axes[batch[i]] = result[i];
        var at = batch.Count + (isLeft ? 0 : other);
        foreach (var free in DotGeneral.Free(axes.Length, batch, contract))
            axes[free] = result[at++];
        return new AttentionFactor(node, Spread(axes), contract[0]);
    }

    /// <summary>For each label the axis that has it.</summary>
    private (int Axis, long Factor)[] Spread(int[][] axes)
    {
        var result = new (int Axis, long Factor)[Sizes.Length];
        Array.Fill(result, (-1, 0));
        for (var a = 0; a < axes.Length; a++)
        {
            var factor = 1L;
            for (var i = axes[a].Length - 1; i >= 0; i--)
            {
                result[axes[a][i]] = (a, factor);
                factor *= Sizes[axes[a][i]];
            }
        }

        return result;
    }

    /// <summary>Whether a result has just the labels of which the condition holds.</summary>
    private bool Has(AttentionFactor result, Func<int, bool> condition) => Enumerable.Range(0, Sizes.Length).All(label => Sizes[label] == 1 || result.Axes[label].Axis >= 0 == condition(label));

    /// <summary>The products of a value, whatever the order of its axes that they see; false where that order cannot be told.</summary>
    private bool Products(int id, int[][] axes, List<AttentionProduct> found)
    {
        var left = new Stack<(int Id, int[][] Axes)>([(id, axes)]);
        while (left.TryPop(out var shown))
        {
            foreach (var consumer in graph.ConsumersOf(shown.Id))
            {
                if (IsMove(consumer))
                {
                    if (Follow(consumer, shown.Axes) is not { } next)
                        return false;
                    Within(consumer);
                    left.Push((consumer, next));
                }
                else if (graph.Kind(consumer) == OpKind.Dot)
                {
                    if (Product(consumer, shown.Id, shown.Axes) is not { } product)
                        return false;
                    found.Add(product);
                }
            }
        }

        return true;
    }

    private AttentionProduct? Product(int dot, int id, int[][] axes)
    {
        var args = graph.Args(dot);
        if (args[0] == args[1])
            return null;
        var op = (DotGeneral)graph.Node(dot).Op;
        var isLeft = args[0] == id;
        var node = args[isLeft ? 1 : 0];
        var (batch, contract) = isLeft ? (op.LeftBatch, op.LeftContract) : (op.RightBatch, op.RightContract);
        var (otherBatch, otherContract) = isLeft ? (op.RightBatch, op.RightContract) : (op.LeftBatch, op.LeftContract);
        var (free, otherFree) = (DotGeneral.Free(axes.Length, batch, contract), DotGeneral.Free(graph.Dims(node).Length, otherBatch, otherContract));
        if (otherFree.Length != 1)
            return null;
        var other = new int[graph.Dims(node).Length][];
        var result = new int[graph.Dims(dot).Length][];
        Array.Fill(other, []);
        Array.Fill(result, []);
        for (var i = 0; i < batch.Count; i++)
            other[otherBatch[i]] = result[i] = axes[batch[i]];
        for (var i = 0; i < contract.Count; i++)
            other[otherContract[i]] = axes[contract[i]];
        var at = batch.Count + (isLeft ? 0 : 1);
        foreach (var a in free)
            result[at++] = axes[a];
        return new AttentionProduct(dot, new AttentionFactor(node, Spread(other), otherFree[0]), new AttentionFactor(dot, Spread(result), isLeft ? result.Length - 1 : batch.Count));
    }
}
