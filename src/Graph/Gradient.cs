namespace Dnn.Graph;

/// <summary>
/// Reverse accumulation as a transformation of graphs: the derivative of an expression is an expression, so that it closes under
/// itself (Griewank and Walther, Evaluating Derivatives, 2008). What does not depend on the variable gets no derivative rather
/// than one of zeros; cotangents that meet are summed in a balanced tree.
/// </summary>
public static class Gradient
{
    /// <summary>The gradient of a scalar with respect to one node.</summary>
    /// <exception cref="GraphException">y is no float scalar, or does not depend on x through differentiable operations.</exception>
    public static Expr Of(Expr y, Expr x) => Of(y, [x])[0] ?? throw new GraphException(Disconnection(y, x));

    /// <summary>
    /// The gradients of a scalar with respect to some nodes; null where it does not depend on them. Each node is cut: it is
    /// treated as a variable, whatever it was computed from.
    /// </summary>
    public static Expr?[] Of(Expr y, IReadOnlyList<Expr> wrt, IDerivationListener? listener = null)
    {
        if (!y.Shape.IsScalar || !y.DType.IsFloat())
            throw new GraphException($"only a float scalar has a gradient, and this is {y.Type}; take a sum or a mean first, or a vjp with a cotangent");
        return Vjp([y], [Expr.Scalar(1, y.DType)], wrt, listener);
    }

    /// <summary>Σᵢ cotangentᵢ · ∂yᵢ/∂x for every x: the vector-Jacobian product.</summary>
    public static Expr?[] Vjp(IReadOnlyList<Expr> ys, IReadOnlyList<Expr> cotangents, IReadOnlyList<Expr> wrt, IDerivationListener? listener = null)
    {
        var targets = new HashSet<Expr>(wrt);
        var order = Expr.PostOrder(ys, targets.Contains);
        var active = new HashSet<Expr>();
        foreach (var node in order)
        {
            if (targets.Contains(node) ? node.DType.IsFloat() : !node.Op.IsGradientFree && node.Args.Any(active.Contains))
                active.Add(node);
        }

        var incoming = new Dictionary<Expr, List<Expr>>();
        for (var i = 0; i < ys.Count; i++)
        {
            if (active.Contains(ys[i]))
                Accumulate(incoming, ys[i], cotangents[i]);
        }

        var loops = Loop.Find(order, targets);
        var result = new Dictionary<Expr, Expr>();
        for (var i = order.Count - 1; i >= 0; i--)
        {
            var node = order[i];
            var loop = loops.GetValueOrDefault(node);
            if (incoming.Remove(node, out var parts))
            {
                var cotangent = BalancedSum(parts);
                listener?.Differentiated(cotangent, node, isWhole: true);
                if (targets.Contains(node))
                {
                    result[node] = cotangent;
                    continue;
                }

                (loop ??= new Loop(node)).Add(node, cotangent);
            }

            // What one loop gives is differentiated together, where all of it has its cotangent: at the first node.
            if (loop is not { Nodes.Count: > 0 } || loop.First != node)
                continue;
            var sent = node.Op is Scan
                ? ScanGradient.Vjp(loop.Nodes, loop.Cotangents, [.. node.Args.Select(active.Contains)])
                : node.Op.Vjp(node, loop.Cotangents[0]);
            for (var k = 0; k < sent.Length; k++)
            {
                if (sent[k] is not { } part || !active.Contains(node.Args[k]))
                    continue;
                listener?.Differentiated(part, node, isWhole: false);
                Accumulate(incoming, node.Args[k], part);
            }
        }

        return [.. wrt.Select(x => result.GetValueOrDefault(x))];
    }

    /// <summary>
    /// ∂y/∂x · v, forward mode from two reverse passes: uᵀJ is linear in u, and its derivative with respect to u, applied to v, is Jv.
    /// </summary>
    /// <returns>Null where y does not depend on x.</returns>
    public static Expr? Jvp(Expr y, Expr x, Expr v)
    {
        var u = Expr.Variable("u", y.Shape, y.DType);
        var pulled = Vjp([y], [u], [x])[0];

        // Linear in u, so free of it, but for barriers that wait for it.
        return pulled is null ? null : Vjp([pulled], [v], [u])[0]?.Substitute(u, y.ZerosLike());
    }

    /// <summary>The Hessian of a scalar times v: forward over reverse, never the matrix.</summary>
    public static Expr? Hvp(Expr y, Expr x, Expr v) => Of(y, [x])[0] is { } gradient ? Jvp(gradient, x, v) : null;

    /// <summary>
    /// Σⱼ ∂²y/∂xᵢ∂xⱼ · vⱼ for every i: the gradient of the gradient's product with the vectors. Zero where the gradient does not depend on xᵢ, null where y does not.
    /// </summary>
    public static Expr?[] Hvp(Expr y, IReadOnlyList<Expr> xs, IReadOnlyList<Expr> vs)
    {
        if (xs.Count == 1)
            return [Hvp(y, xs[0], vs[0])];
        var gradients = Of(y, xs);
        var products = gradients.Zip(vs).Where(t => t.First is not null).Select(t => (t.First! * t.Second).Sum()).ToList();
        if (products.Count == 0)
            return gradients;
        var second = Of(BalancedSum(products), xs);
        return [.. gradients.Select((gradient, i) => gradient is null ? null : second[i] ?? xs[i].ZerosLike())];
    }

    /// <summary>∂yᵢ/∂xⱼ for all i and j, [...y, ...x]: the vector-Jacobian product mapped over a basis of cotangents.</summary>
    /// <returns>Null where y does not depend on x.</returns>
    public static Expr? Jacobian(Expr y, Expr x, IDerivationListener? listener = null)
    {
        if (!y.DType.IsFloat())
            throw new GraphException($"only floats have derivatives, and this is {y.Type}");
        var u = Expr.Variable("u", y.Shape, y.DType);
        if (Vjp([y], [u], [x], listener)[0] is not { } pulled)
            return null;
        var count = y.Shape.ElementCount;
        var basis = Tensors.Eye(count).Cast(y.DType).Reshape(new Shape([count, .. y.Shape.Dims]));
        var rows = Batching.Apply([pulled], new Dictionary<Expr, Expr> { [u] = basis }, count, listener)[0];
        return rows.Reshape(new Shape([.. y.Shape.Dims, .. x.Shape.Dims]));
    }

    /// <summary>∂²y/∂xᵢ∂xⱼ of a scalar, [...x, ...x]: the Jacobian of its gradient.</summary>
    /// <returns>Null where y does not depend on x; zeros where its gradient does not.</returns>
    public static Expr? Hessian(Expr y, Expr x, IDerivationListener? listener = null) => Of(y, [x], listener)[0] is { } gradient
        ? Jacobian(gradient, x, listener) ?? Expr.Full(new Shape([.. x.Shape.Dims, .. x.Shape.Dims]), 0, x.DType)
        : null;

    /// <summary>Why y has no gradient with respect to x: not reachable, or cut on the way, and where.</summary>
    public static string Disconnection(Expr y, Expr x) => Barriers(y, x) is { } cut
        ? cut.Count == 0
            ? $"{y.Type} does not depend on {Printer.Line(x)}"
            : $"the path from {Printer.Line(x)} stops at {string.Join(", ", cut.Take(3).Select(c => $"`{c.Op.Name}`"))}, through which no gradient passes"
        : "";

    /// <summary>The nodes between x and y through which no gradient passes.</summary>
    public static List<Expr> Barriers(Expr y, Expr x)
    {
        var reached = new HashSet<Expr> { x };
        var cuts = new List<Expr>();
        foreach (var node in Expr.PostOrder([y], n => n == x))
        {
            if (!node.Args.Any(reached.Contains))
                continue;
            if (node.Op.IsGradientFree)
                cuts.Add(node);
            else
                reached.Add(node);
        }

        return cuts;
    }

    /// <summary>Nodes that are differentiated together: those of one <see cref="Scan"/>, or one alone.</summary>
    private sealed class Loop(Expr first)
    {
        /// <summary>The first in post-order: nothing that the others depend on comes after it.</summary>
        public Expr First { get; } = first;

        public List<Expr> Nodes { get; } = new(1);

        public List<Expr> Cotangents { get; } = new(1);

        /// <summary>The loops of all scans.</summary>
        public static Dictionary<Expr, Loop> Find(List<Expr> order, HashSet<Expr> targets)
        {
            var loops = new Dictionary<Expr, Loop>();
            Dictionary<(ScanBody, ValueList<Expr>), Loop>? known = null;
            foreach (var node in order)
            {
                if (node.Op is not Scan scan || targets.Contains(node))
                    continue;
                var key = (scan.Body, ValueList.Create(node.Args.AsSpan()));
                known ??= [];
                if (!known.TryGetValue(key, out var loop))
                    known[key] = loop = new Loop(node);
                loops[node] = loop;
            }

            return loops;
        }

        public void Add(Expr node, Expr cotangent)
        {
            Nodes.Add(node);
            Cotangents.Add(cotangent);
        }
    }

    private static void Accumulate(Dictionary<Expr, List<Expr>> incoming, Expr node, Expr part)
    {
        if (!incoming.TryGetValue(node, out var parts))
            incoming[node] = parts = new List<Expr>(1);
        parts.Add(part);
    }

    private static Expr BalancedSum(List<Expr> parts)
    {
        var terms = parts;
        while (terms.Count > 1)
        {
            var next = new List<Expr>((terms.Count + 1) / 2);
            for (var i = 0; i < terms.Count; i += 2)
                next.Add(i + 1 < terms.Count ? terms[i] + terms[i + 1] : terms[i]);
            terms = next;
        }

        return terms[0];
    }
}

/// <summary>Hears of every expression that a pass made, and from which node.</summary>
public interface IDerivationListener
{
    /// <summary>A pass puts one node in the place of another.</summary>
    void Derived(Expr result, Expr origin);

    /// <summary>Differentiation makes the cotangent of a node, or what the node sends to one of its arguments.</summary>
    void Differentiated(Expr result, Expr of, bool isWhole) => Derived(result, of);
}
