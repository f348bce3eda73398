using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>
/// A value that is made again when a gradient passes, so that what lies between inputs and value is not kept until then (Chen et al. 2016, Training
/// Deep Nets with Sublinear Memory Cost). The first argument is the value, the others are all that it is made of. <paramref name="Symbol"/> is the identity of the second
/// making, which interning would merge with the first.
/// </summary>
public sealed record Checkpoint(Symbol Symbol) : Op
{
    public override string Name => "checkpoint";

    public override OpDoc Doc => new("y = the first argument", "x̄ = Σ ȳ · ∂y/∂x, from values that are computed again after ȳ", "None passes into the first argument itself.");

    /// <summary>Computes something from inputs such that its gradient computes it again.</summary>
    /// <param name="inputs">What it is computed from; what it uses beside them is kept.</param>
    /// <param name="compute">Computes it from the inputs it is given, which stand for those.</param>
    public static ImmutableArray<Expr> Apply(ImmutableArray<Expr> inputs, Func<ImmutableArray<Expr>, ImmutableArray<Expr>> compute)
    {
        var symbol = new Symbol("checkpoint");

        // Behind barriers, so that rewriting cannot lead around them.
        ImmutableArray<Expr> entries = [.. inputs.Select(x => Expr.Make(new Barrier(symbol), x))];
        var open = compute(entries);
        var results = open;
        var (captured, keys) = Outside(results, entries);
        var barriers = captured.Where(c => c.Op is not Variable).ToDictionary(c => c, c => Expr.Make(new Barrier(symbol), c));
        results = Expr.Substitute(results, barriers);
        Expr[] all = [.. entries.Distinct(), .. captured.Select(c => barriers.GetValueOrDefault(c, c)), .. keys];
        ImmutableArray<Expr> made = [.. results.Select(y => y.DType.IsFloat() ? Expr.Make(new Checkpoint(symbol), [y, .. all]) : y)];
        ModelBuilder.Current?.Keep(inputs, entries, open, made);
        return made;
    }

    /// <summary>
    /// What is used beside the inputs: values that do not depend on them, and the keys of random numbers. Random numbers themselves are made again.
    /// </summary>
    private static (List<Expr> Captured, List<Expr> Keys) Outside(ImmutableArray<Expr> results, ImmutableArray<Expr> entries)
    {
        var isEntry = entries.ToHashSet();
        var inside = new HashSet<Expr>();
        var constant = new HashSet<Expr>();
        var seen = new HashSet<Expr>();
        var captured = new List<Expr>();
        var keys = new List<Expr>();
        foreach (var node in Expr.PostOrder(results, isEntry.Contains))
        {
            if (isEntry.Contains(node) || node.Args.Any(inside.Contains))
            {
                inside.Add(node);
                foreach (var used in isEntry.Contains(node) ? [] : node.Args)
                {
                    // A view costs nothing to make again.
                    var arg = used;
                    while (Scans.IsView(arg) && !inside.Contains(arg))
                        arg = arg.Args[0];
                    if (!inside.Contains(arg) && !constant.Contains(arg) && seen.Add(arg))
                        captured.Add(arg);
                }
            }
            else if (node.Op is Variable ? node == RandomState.Seed || node == RandomState.Step : node.Args.All(constant.Contains))
            {
                constant.Add(node);
                if (node.Op is RngBits && seen.Add(node.Args[0]))
                    keys.Add(node.Args[0]);
            }
        }

        return (captured, keys);
    }

    public override TensorType Infer(ReadOnlySpan<TensorType> args) => args.Length > 0 ? args[0] : throw Misfit("takes a value and what it is made of");

    public override Expr?[] Vjp(Expr node, Expr cotangent)
    {
        var copies = new Dictionary<Expr, Expr>();
        var sent = new Expr?[node.Args.Length];
        var order = new List<(int Place, Expr Copy)>();
        for (var i = 1; i < sent.Length; i++)
        {
            if (copies.TryAdd(node.Args[i], Expr.Make(new Barrier(Symbol), node.Args[i], cotangent)))
                order.Add((i, copies[node.Args[i]]));
        }

        var again = Expr.Substitute([node.Args[0]], copies)[0];
        var gradients = Gradient.Vjp([again], [cotangent], [.. order.Select(o => o.Copy)]);
        for (var i = 0; i < order.Count; i++)
            sent[order[i].Place] = gradients[i];
        return sent;
    }

    // Its arguments as they are: what the value is made of must be found in it again.
    public override Expr Batched(BatchedArgs args) => Expr.Make(this, [args.Full(0), .. args.Values.AsSpan()[1..]]);

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context) => args[0];
}
