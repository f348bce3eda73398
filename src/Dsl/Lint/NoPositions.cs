using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Attention treats its keys as a set.</summary>
internal sealed class NoPositions() : LintRule(Row("DNN1014", "attention over a sequence without position information",
    "Attention is a weighted mean over positions, and permuting the input permutes the output: without positions \"dog bites man\" is \"man bites dog\" (Vaswani et al. 2017, section 3.5). Add positional_embedding, sinusoidal_positions or rope, or let a "
    + "convolution or recurrence go before. A causal mask tells how many tokens came before, and no more. For sets, where order has no meaning, allow the code. The number is that of the axes along which order is lost.",
    "model M {\n  input x: [B, 16, 8]\n  param wq: [8, 8] = xavier_uniform()\n  param wk: [8, 8] = xavier_uniform()\n  let scores = (x @ wq) @ transpose(x @ wk, [0, 2, 1]) / 3\n  output y = softmax(scores) @ x |> dense(8)\n}",
    "model M {\n  input x: [B, 16, 8]\n  param wq: [8, 8] = xavier_uniform()\n  param wk: [8, 8] = xavier_uniform()\n  let h = x |> positional_embedding(16)\n  let scores = (h @ wq) @ transpose(h @ wk, [0, 2, 1]) / 3\n  output y = softmax(scores) @ h |> dense(8)\n}"))
{
    private static readonly HashSet<string> Positional = ["positional_embedding", "sinusoidal_positions", "rope", "conv1d", "conv2d", "conv3d", "rnn", "lstm", "gru", "scan"];

    public override IEnumerable<Finding> Find(LintContext context)
    {
        // A node is placed if something that it was computed from tells positions apart.
        var placed = new HashSet<Expr>();
        foreach (var node in context.Order)
        {
            if (context.ResultOf(node) is { } scope && Positional.Contains(scope.Kind) && IsAlongPositions(scope))
                placed.Add(node);
            else if (context.IsData(node) && node.DType.IsFloat() && (node.Args.Any(placed.Contains) || AddsPositions(context, node)))
                placed.Add(node);
        }

        foreach (var scope in context.Model.Scopes.Where(s => s is { Kind: "attention", Outputs: [var y] } && context.IsReachable(y) && !placed.Contains(y)))
            yield return About(At(Block(scope), "", 1), Block(scope).Kind);
        foreach (var node in context.Order)
        {
            // softmax(q kᵀ) v
            if (node.Op is DotGeneral && node.Args.All(context.IsData) && !placed.Contains(node) && !context.IsDerived(node) && !context.IsOfCatalog(node) && node.Args.Any(a => IsSoftmaxOfProduct(context, a)))
                yield return About(At(context, node, "", 1));
        }
    }

    private static Finding About(Finding finding, string kind = "") => finding with
    {
        Edit = kind.Length == 0 ? null : new SetArgument("turn queries and keys by their positions", kind, "rope", "true", IsSafe: false),
        Message = "this attention knows nothing of the order of its sequence: permuting the positions permutes the result along 1 axis and changes nothing else",
        Notes = ["put positional_embedding(max_len), sinusoidal_positions() or rope() before it"],
    };

    /// <summary>The block that an attention is part of, which is what the file names.</summary>
    private static Scope Block(Scope scope) => scope.Parent is { Kind: "transformer_block" } block ? block : scope;

    /// <summary>A window of one position tells nothing of its neighbours.</summary>
    private static bool IsAlongPositions(Scope scope) => !scope.Kind.StartsWith("conv", StringComparison.Ordinal)
        || scope is not { Inputs: [var x], Outputs: [var y] }
        || Expr.PostOrder(scope.Outputs, n => n == x).Any(n => n.Op is ConvGeneral conv && n.Args[1].Shape.Dims[..^2].Any(k => !k.Equals(Dim.One)) && !Tiles(conv, n.Args[1].Shape))
        || y == x;

    /// <summary>Patches side by side say what is in each, and not where it is.</summary>
    private static bool Tiles(ConvGeneral conv, Shape kernel) => Enumerable.Range(0, conv.Spatial).All(i => kernel[i].Equals(Dim.Of(conv.Stride[i])));

    /// <summary>Whether a node mixes data with something of its own for each position: a parameter, or the number of the position.</summary>
    private static bool AddsPositions(LintContext context, Expr node)
    {
        if (node.Op is not (Add or Mul or Concat) || node.Rank < 2)
            return false;
        foreach (var arg in node.Args.Where(a => !context.IsData(a)))
        {
            var source = arg;
            var axes = Enumerable.Range(0, node.Rank).ToArray();
            while (source.Op is Broadcast broadcast)
            {
                axes = [.. broadcast.Axes.Select(a => axes[a])];
                source = source.Args[0];
            }

            // Some axis before the last, of more than one position.
            var varies = Enumerable.Range(0, source.Rank).Any(i => axes[i] < node.Rank - 1 && !source.Shape[i].Equals(Dim.One));
            if (varies && source.Op is not Literal && !IsRandom(source))
                return true;
        }

        return false;
    }

    private static bool IsRandom(Expr node) => Expr.PostOrder([node]).Any(n => n.Op is RngBits);

    private static bool IsSoftmaxOfProduct(LintContext context, Expr node)
    {
        while (true)
        {
            if (context.ResultOf(node) is { Kind: "softmax", Inputs: [var logits] })
            {
                while (logits.Op is not DotGeneral)
                {
                    if (logits.Op is Select && context.IsData(logits.Args[1]) != context.IsData(logits.Args[2]))
                        logits = logits.Args[context.IsData(logits.Args[1]) ? 1 : 2];
                    else if (context.Plain(logits) is { } before)
                        logits = before;
                    else
                        return false;
                }

                return logits.Args.All(context.IsData);
            }

            if (context.Plain(node) is not { } inner)
                return false;
            node = inner;
        }
    }
}
