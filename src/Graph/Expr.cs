using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Dnn.Graph;

/// <summary>
/// A node of the expression graph: an operation applied to arguments. Nodes are immutable and interned when they are built:
/// two nodes of the same operation on the same arguments are the same object, so that common subexpressions are
/// shared and equality is reference equality.
/// </summary>
public sealed partial class Expr
{
    private readonly int hash;

    private Expr(Op op, ImmutableArray<Expr> args, TensorType type, int hash)
    {
        this.hash = hash;
        Op = op;
        Args = args;
        Type = type;
    }

    public Op Op { get; }

    public ImmutableArray<Expr> Args { get; }

    public TensorType Type { get; }

    public Shape Shape => Type.Shape;

    public DType DType => Type.DType;

    public int Rank => Type.Shape.Rank;

    /// <summary>The node of <paramref name="op"/> on <paramref name="args"/>, new or the one that is there already.</summary>
    /// <exception cref="ShapeException">The arguments do not fit the operation.</exception>
    public static Expr Make(Op op, params ReadOnlySpan<Expr> args) => Interner.Get(op, args);

    /// <summary>Every node that the roots depend on, arguments before their uses, each once. Needs no stack depth.</summary>
    /// <param name="roots">Where to start.</param>
    /// <param name="isLeaf">Nodes whose arguments are not followed.</param>
    public static List<Expr> PostOrder(IEnumerable<Expr> roots, Func<Expr, bool>? isLeaf = null)
    {
        var order = new List<Expr>();
        var seen = new HashSet<Expr>();
        var pending = new Stack<(Expr Node, int Next)>();
        foreach (var root in roots)
        {
            if (!seen.Add(root))
                continue;
            pending.Push((root, 0));
            while (pending.TryPop(out var top))
            {
                var (node, next) = top;
                if (next == node.Args.Length || (next == 0 && isLeaf?.Invoke(node) == true))
                {
                    order.Add(node);
                    continue;
                }

                pending.Push((node, next + 1));
                if (seen.Add(node.Args[next]))
                    pending.Push((node.Args[next], 0));
            }
        }

        return order;
    }

    /// <summary>The graph with some nodes replaced by others of the same type.</summary>
    /// <param name="roots">The graph.</param>
    /// <param name="replacements">What stands in place of what; the replacements stay as they are.</param>
    /// <param name="listener">Hears what was made of what.</param>
    public static ImmutableArray<Expr> Substitute(IReadOnlyList<Expr> roots, IReadOnlyDictionary<Expr, Expr> replacements, IDerivationListener? listener = null)
    {
        var map = new Dictionary<Expr, Expr>();
        foreach (var node in PostOrder(roots, replacements.ContainsKey))
        {
            map[node] = replacements.TryGetValue(node, out var replacement) ? replacement : node.WithArgs(map);
            if (map[node] != node)
                listener?.Derived(map[node], node);
        }

        return [.. roots.Select(r => map[r])];
    }

    public Expr Substitute(Expr from, Expr to) => Substitute([this], new Dictionary<Expr, Expr> { [from] = to })[0];

    /// <summary>This operation on other arguments.</summary>
    internal Expr WithArgs(Dictionary<Expr, Expr> map)
    {
        var changed = false;
        foreach (var arg in Args)
            changed |= map[arg] != arg;
        return changed ? Make(Op, [.. Args.Select(a => map[a])]) : this;
    }

    /// <summary>The hash under which the node is interned: tables of nodes ask for it all the time.</summary>
    public override int GetHashCode() => hash;

    /// <summary>One line about this node alone.</summary>
    public override string ToString() => Printer.Line(this);

    /// <summary>
    /// The table of all living nodes: a hash table of weak handles in shards, each with a lock, so that several threads may
    /// build graphs at once and what nobody holds any more is collected.
    /// </summary>
    private static class Interner
    {
        private const int ShardCount = 16;
        private static readonly Shard[] Shards = [.. Enumerable.Range(0, ShardCount).Select(_ => new Shard())];

        public static Expr Get(Op op, ReadOnlySpan<Expr> args)
        {
            var code = new HashCode();
            code.Add(op);
            foreach (var arg in args)
                code.Add(arg.hash);
            var hash = code.ToHashCode();
            return Shards[(uint)hash % ShardCount].Get(op, args, hash);
        }

        private sealed class Shard
        {
            private readonly Lock gate = new();
            private int[] buckets = new int[64];
            private Entry[] entries = new Entry[64];
            private int count;

            private struct Entry
            {
                public int Hash;
                public int Next;
                public GCHandle Node;
            }

            public Expr Get(Op op, ReadOnlySpan<Expr> args, int hash)
            {
                lock (gate)
                {
                    if (Find(op, args, hash) is { } found)
                        return found;
                }

                // The shape rule may be slow or throw: it runs outside the lock.
                var types = new TensorType[args.Length];
                for (var i = 0; i < args.Length; i++)
                    types[i] = args[i].Type;
                var node = new Expr(op, ImmutableArray.Create(args), op.Infer(types), hash);
                lock (gate)
                {
                    if (Find(op, args, hash) is { } other)
                        return other;
                    if (count == entries.Length)
                        Sweep();
                    ref var bucket = ref buckets[Bucket(hash)];
                    entries[count] = new Entry { Hash = hash, Next = bucket - 1, Node = GCHandle.Alloc(node, GCHandleType.Weak) };
                    bucket = ++count;
                    return node;
                }
            }

            // The low bits chose the shard.
            private uint Bucket(int hash) => ((uint)hash / ShardCount) % (uint)buckets.Length;

            private Expr? Find(Op op, ReadOnlySpan<Expr> args, int hash)
            {
                for (var i = buckets[Bucket(hash)] - 1; i >= 0; i = entries[i].Next)
                {
                    if (entries[i].Hash == hash && entries[i].Node.Target is Expr node && node.Args.AsSpan().SequenceEqual(args) && node.Op.Equals(op))
                        return node;
                }

                return null;
            }

            /// <summary>Drops entries whose nodes were collected; grows if most are alive.</summary>
            private void Sweep()
            {
                var alive = 0;
                for (var i = 0; i < count; i++)
                {
                    if (entries[i].Node.Target is null)
                        entries[i].Node.Free();
                    else
                        entries[alive++] = entries[i];
                }

                Array.Clear(entries, alive, count - alive);
                count = alive;
                if (alive > entries.Length / 2)
                {
                    Array.Resize(ref entries, entries.Length * 2);
                    buckets = new int[entries.Length];
                }
                else
                {
                    Array.Clear(buckets);
                }

                for (var i = 0; i < count; i++)
                {
                    ref var bucket = ref buckets[Bucket(entries[i].Hash)];
                    entries[i].Next = bucket - 1;
                    bucket = i + 1;
                }
            }
        }
    }
}
