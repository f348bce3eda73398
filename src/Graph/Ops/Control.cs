namespace Dnn.Graph;

/// <summary>An operation whose value is its first argument.</summary>
public abstract record Identity : Op
{
    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 1);
        return args[0];
    }

    public sealed override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context) => args[0];

    public override Expr Batched(BatchedArgs args) => Expr.Make(this, args.All);
}

public sealed record StopGradient : Identity
{
    public override string Name => "stop_gradient";

    public override OpDoc Doc => new("y = x", "none");

    public override bool IsGradientFree => true;

    public override Expr?[] Vjp(Expr node, Expr cotangent) => [null];
}

/// <summary>
/// A copy with an identity of its own, so that interning does not merge what is to be computed again. A second argument is something to wait for:
/// what uses the copy is computed after it.
/// </summary>
public sealed record Barrier(Symbol Symbol) : Identity
{
    public override string Name => "barrier";

    public override OpDoc Doc => new("y = x, computed apart from other copies, after the second argument if there is one", "x̄ = ȳ", "What `checkpoint` computes again hangs on one.");

    public override TensorType Infer(ReadOnlySpan<TensorType> args) => args.Length is 1 or 2 ? args[0] : throw Misfit($"takes a value and perhaps another to wait for, not {args.Length}");

    public override Expr?[] Vjp(Expr node, Expr cotangent) => node.Args.Length == 1 ? [cotangent] : [cotangent, null];
}

/// <summary>
/// Rows that a figure needs all of: in a batch, the batch's; when a split is evaluated, all batches' one after the other, so that what is computed of them is
/// that of the split. The first axis is that of rows.
/// </summary>
public sealed record Pooled : Identity
{
    public override string Name => "pooled";

    public override OpDoc Doc => new("y = x; in the evaluation of a split, x of all its rows", "x̄ = ȳ", "Metrics that are no mean over rows hang on it.");

    public override Expr?[] Vjp(Expr node, Expr cotangent) => [cotangent];
}

/// <summary>One value in training, another in evaluation. <see cref="Phases"/> resolves it before a plan is made.</summary>
public sealed record Phase : Op
{
    public override string Name => "phase";

    public override OpDoc Doc => new("y = x in training, x′ in evaluation", "ȳ to the one that is taken");

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 2);
        if (args[0].DType != args[1].DType)
            throw Misfit($"both values must be of one element type, not {args[0]} and {args[1]}");
        RequireSame(args[0].Shape, args[1].Shape);
        return args[0];
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent)
    {
        var zero = cotangent.ZerosLike();
        return [Expr.Make(this, cotangent, zero), Expr.Make(this, zero, cotangent)];
    }

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context) =>
        throw new GraphException("phase: choose training or evaluation with Phases.Resolve before evaluating");

    public override Expr Batched(BatchedArgs args) => Expr.Make(this, args.All);
}

/// <summary>Chooses between the two values of every <see cref="Phase"/> node.</summary>
public static class Phases
{
    public static System.Collections.Immutable.ImmutableArray<Expr> Resolve(IReadOnlyList<Expr> roots, bool training, IDerivationListener? listener = null)
    {
        // The branch that is not taken is not visited: what only training needs costs evaluation nothing.
        var taken = training ? 0 : 1;
        var resolved = new Dictionary<Expr, Expr>();
        var pending = new Stack<(Expr Node, bool ArgsDone)>(roots.Reverse().Select(r => (r, false)));
        while (pending.TryPop(out var top))
        {
            var (node, argsDone) = top;
            if (resolved.ContainsKey(node))
                continue;
            var isPhase = node.Op is Phase;
            if (argsDone)
            {
                resolved[node] = isPhase ? resolved[node.Args[taken]] : node.WithArgs(resolved);
                if (node.Op is Scan scan && scan.Transform(body => Resolve(body, training, listener)) is var inPhase && inPhase != scan)
                    resolved[node] = Expr.Make(inPhase, resolved[node].Args.AsSpan());
                if (node.Op is CustomGradient custom && custom.Transform(rule => Resolve(rule, training, listener)) is var ruled && ruled != custom)
                    resolved[node] = Expr.Make(ruled, resolved[node].Args.AsSpan());
                if (resolved[node] != node)
                    listener?.Derived(resolved[node], node);
                continue;
            }

            pending.Push((node, true));
            if (isPhase)
            {
                pending.Push((node.Args[taken], false));
            }
            else
            {
                foreach (var arg in node.Args)
                    pending.Push((arg, false));
            }
        }

        return [.. roots.Select(r => resolved[r])];
    }
}
