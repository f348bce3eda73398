using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>A rewrite of one node: another expression of the same type and value, or null where it does not apply.</summary>
/// <param name="Name">Names the rule in reports.</param>
/// <param name="Doc">The equation, and where the two sides differ in floating point.</param>
/// <param name="Apply">A function of the node alone, so that a node that no rule applies to stays as it is.</param>
public sealed record RewriteRule(string Name, string Doc, Func<Expr, Expr?> Apply)
{
    public override string ToString() => $"{Name}: {Doc}";
}

/// <summary>
/// Brings graphs to a normal form: rules apply, arguments first and in the order of the list, until none does. As rules see the node
/// alone, every node has one normal form, found once; a second run changes nothing.
/// </summary>
public sealed class Rewriter(params ImmutableArray<RewriteRule> rules)
{
    /// <summary>Applications a node of the original graph may need on average; far above what terminating rules take.</summary>
    private const int StepsPerNode = 100;

    /// <summary>
    /// What keeps logarithms and exponentials finite. Run it before differentiating as well: the derivative of a stable form is stable.
    /// </summary>
    public static Rewriter Stabilize { get; } = new([.. StabilityRules.All, AlgebraRules.FoldConstants, LayoutRules.ReshapeOfReshape, LayoutRules.ElementwiseOfMovement, RecurrenceRules.StableBody]);

    /// <summary>Everything that makes graphs shorter or stable.</summary>
    public static Rewriter Default { get; } = new([.. AlgebraRules.All, .. LayoutRules.All, .. SumRules.All, .. StabilityRules.All.Where(r => r != StabilityRules.LogisticComplement), RecurrenceRules.Body]);

    public ImmutableArray<RewriteRule> Rules { get; } = rules;

    public Expr Rewrite(Expr root) => Rewrite([root])[0];

    /// <summary>The normal forms of some expressions, in time linear in the number of nodes.</summary>
    /// <param name="listener">Hears of every node that took the place of another.</param>
    /// <exception cref="GraphException">The rules do not come to an end, or one of them changed a type.</exception>
    public ImmutableArray<Expr> Rewrite(IReadOnlyList<Expr> roots, IDerivationListener? listener = null)
    {
        var run = new Run(Rules, listener);
        return [.. roots.Select(run.Normalize)];
    }

    /// <summary>
    /// What a node waits for on the stack: that its arguments are normal, or that what took its place is.
    /// </summary>
    private readonly record struct Waiting(Expr Node, Expr? Replacement);

    private sealed class Run(ImmutableArray<RewriteRule> rules, IDerivationListener? listener)
    {
        private readonly Dictionary<Expr, Expr> normal = [];
        private readonly HashSet<Expr> open = [];
        private readonly Stack<Waiting> pending = [];
        private readonly int[] counts = new int[rules.Length];
        private long steps;
        private long limit = StepsPerNode;

        public Expr Normalize(Expr root)
        {
            limit += StepsPerNode * (long)Expr.PostOrder([root], normal.ContainsKey).Count;
            pending.Push(new Waiting(root, null));
            while (pending.TryPop(out var top))
            {
                var (node, replacement) = top;
                if (replacement is not null)
                    Close(node, normal[replacement]);
                else if (!normal.ContainsKey(node))
                    Visit(node);
            }

            return normal[root];
        }

        private void Visit(Expr node)
        {
            open.Add(node);
            if (PushArguments(node))
                return;
            var rebuilt = node.WithArgs(normal);
            if (rebuilt != node)
            {
                // Its arguments are normal, so it is visited with no further argument to wait for.
                listener?.Derived(rebuilt, node);
                Await(node, rebuilt);
            }
            else if (Apply(node) is { } next)
            {
                listener?.Derived(next, node);
                Await(node, next);
            }
            else
            {
                Close(node, node);
            }
        }

        private bool PushArguments(Expr node)
        {
            var waits = false;
            for (var i = node.Args.Length - 1; i >= 0; i--)
            {
                if (normal.ContainsKey(node.Args[i]))
                    continue;
                if (!waits)
                    pending.Push(new Waiting(node, null));
                waits = true;
                pending.Push(new Waiting(node.Args[i], null));
            }

            return waits;
        }

        private void Await(Expr node, Expr replacement)
        {
            if (open.Contains(replacement) && !normal.ContainsKey(replacement))
                throw Loop();
            pending.Push(new Waiting(node, replacement));
            pending.Push(new Waiting(replacement, null));
        }

        private void Close(Expr node, Expr form)
        {
            open.Remove(node);
            normal[node] = form;
        }

        private Expr? Apply(Expr node)
        {
            for (var i = 0; i < rules.Length; i++)
            {
                if (rules[i].Apply(node) is not { } next || next == node || !Keeps(rules[i], node, next))
                    continue;
                counts[i]++;
                return ++steps <= limit ? next : throw Loop();
            }

            return null;
        }

        /// <summary>
        /// Whether the type stays. Where it would change from one named size to another that is equal only by a check at run time, the rule
        /// does not apply: the node is that check.
        /// </summary>
        private static bool Keeps(RewriteRule rule, Expr node, Expr next)
        {
            if (next.Type == node.Type)
                return true;
            var fits = next.DType == node.DType && next.Rank == node.Rank
                && next.Shape.Dims.Zip(node.Shape.Dims).All(d => Dim.AreEqual(d.First, d.Second) != Answer.Refuted);
            return fits ? false : throw new GraphException($"the rewrite rule {rule.Name} turns {Printer.Line(node)} into {Printer.Line(next)}");
        }

        private GraphException Loop()
        {
            var busiest = rules.Select((rule, i) => (rule.Name, Count: counts[i])).Where(r => r.Count > 0).OrderByDescending(r => r.Count).Take(3);
            return new GraphException($"rewriting does not come to an end after {steps} steps; the rules that applied most are {string.Join(", ", busiest.Select(r => $"{r.Name} ({r.Count} times)"))}");
        }
    }
}
