using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>
/// A gradient rule as a closed graph: <paramref name="Gradients"/>, one for every input, over variables that stand for the inputs, the result
/// and its cotangent. Two rules are the same if they are made of the same nodes.
/// </summary>
public sealed record GradientRule(ValueList<Expr> Inputs, Expr Result, Expr Cotangent, ValueList<Expr> Gradients)
{
    /// <summary>Whether a node is one that stands for what the rule takes.</summary>
    public bool Takes(Expr node) => node == Result || node == Cotangent || Inputs.Contains(node);

    /// <summary>The cotangents of given inputs.</summary>
    public ImmutableArray<Expr> Apply(ReadOnlySpan<Expr> inputs, Expr result, Expr cotangent)
    {
        var replacements = new Dictionary<Expr, Expr> { [Result] = result, [Cotangent] = cotangent };
        for (var i = 0; i < inputs.Length; i++)
            replacements[Inputs[i]] = inputs[i];
        return Expr.Substitute(Gradients, replacements);
    }
}

/// <summary>
/// A value with a gradient rule of its own. The first argument is the value; no gradient passes into it. The others are the inputs, which get what
/// the rule says. The rule is made of nodes itself, so that it is differentiated like everything else.
/// </summary>
public sealed record CustomGradient(GradientRule Rule) : Op
{
    public override string Name => "custom_gradient";

    public override OpDoc Doc => new("y = the first argument", "x̄ᵢ = the rule's value for input i, at the inputs, y and ȳ", "None passes into the first argument.");

    /// <summary>The same with the rule passed through a transformation; this where nothing changes.</summary>
    public CustomGradient Transform(Func<IReadOnlyList<Expr>, ImmutableArray<Expr>> transformation)
    {
        var changed = transformation(Rule.Gradients).ToValueList();
        return changed == Rule.Gradients ? this : new CustomGradient(Rule with { Gradients = changed });
    }

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, Rule.Inputs.Count + 1);
        return args[0];
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent) => [null, .. Rule.Apply(node.Args.AsSpan()[1..], node, cotangent)];

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context) => args[0];

    public override Expr Batched(BatchedArgs args)
    {
        Expr Wide(Expr x) => Expr.Variable(((Variable)x.Op).Symbol.Name, x.Shape.Insert(0, args.Size), x.DType);
        var (result, cotangent) = (Wide(Rule.Result), Wide(Rule.Cotangent));
        var mapped = new Dictionary<Expr, Expr> { [Rule.Result] = result, [Rule.Cotangent] = cotangent };
        foreach (var input in Rule.Inputs)
            mapped[input] = Wide(input);
        var rule = new GradientRule([.. Rule.Inputs.Select(x => mapped[x])], result, cotangent, [.. Batching.Apply(Rule.Gradients, mapped, args.Size)]);
        return Expr.Make(new CustomGradient(rule), args.All);
    }
}
