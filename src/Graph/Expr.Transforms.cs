using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>Functions of functions: gradient rules of one's own.</summary>
public sealed partial class Expr
{
    /// <summary>
    /// The value, with a gradient rule of its own: <paramref name="rule"/> takes the inputs, the result and its cotangent, and gives one cotangent an input
    /// (null for one of whole numbers). What else the value depends on gets no gradient.
    /// </summary>
    /// <exception cref="GraphException">The rule gives another number of values than there are inputs, or one of another shape than its input.</exception>
    public static Expr CustomGradient(IReadOnlyList<Expr> inputs, Expr value, Func<ImmutableArray<Expr>, Expr, Expr, IReadOnlyList<Expr?>> rule)
    {
        ImmutableArray<Expr> formals = [.. inputs.Select((x, i) => Variable($"x{i}", x.Shape, x.DType))];
        var (result, cotangent) = (Variable("y", value.Shape, value.DType), Variable("dy", value.Shape, value.DType));
        var gradients = rule(formals, result, cotangent);
        if (gradients.Count != inputs.Count)
            throw new GraphException($"a gradient rule gives one value an input: {inputs.Count}, not {gradients.Count}");
        var fitting = new Expr[gradients.Count];
        for (var i = 0; i < fitting.Length; i++)
        {
            var gradient = gradients[i] ?? formals[i].ZerosLike();
            if (gradients[i] is not null && Enumerable.Range(0, Math.Max(gradient.Rank, formals[i].Rank)).Any(a => gradient.Rank != formals[i].Rank || Dim.AreEqual(gradient.Shape[a], formals[i].Shape[a]) == Answer.Refuted))
                throw new ShapeException($"the gradient of input {i} has the shape {gradient.Shape}, and the input {formals[i].Shape}", gradient.Shape, formals[i].Shape);
            fitting[i] = gradient.Cast(formals[i].DType);
        }

        return Make(new CustomGradient(new GradientRule(formals.ToValueList(), result, cotangent, ValueList.Create<Expr>(fitting))), [value, .. inputs]);
    }
}
