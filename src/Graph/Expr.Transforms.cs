using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>Functions of functions: gradient rules of one's own, many slices at once, matrices of derivatives.</summary>
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

    /// <summary>
    /// f of every slice of x along an axis: the results lie along a new first axis. f sees one slice, without the axis; parameters that it uses are the same for
    /// all slices, and so are its random numbers. It nests with itself and with derivatives in any order.
    /// </summary>
    /// <exception cref="ShapeException">x has no such axis.</exception>
    public static Expr Vmap(Func<Expr, Expr> f, Expr x, int axis = 0) => Vmap(slices => [f(slices[0])], [x], axis)[0];

    /// <summary>As for one tensor: slices of all of them go together.</summary>
    /// <exception cref="ShapeException">A tensor has no such axis, or the sizes differ.</exception>
    public static ImmutableArray<Expr> Vmap(Func<ImmutableArray<Expr>, IReadOnlyList<Expr>> f, IReadOnlyList<Expr> xs, int axis = 0)
    {
        if (xs.Count == 0)
            throw new GraphException("vmap maps over at least one tensor");
        var (slices, mapped) = (ImmutableArray.CreateBuilder<Expr>(xs.Count), new Dictionary<Expr, Expr>());
        foreach (var x in xs)
        {
            if (x.Rank == 0)
                throw new ShapeException("vmap maps over an axis, and a scalar has none", x.Shape);
            var at = x.Shape.Axis(axis);
            if (Dim.AreEqual(x.Shape[at], xs[0].Shape[xs[0].Shape.Axis(axis)]) == Answer.Refuted)
                throw new ShapeException($"vmap: the mapped axes of {xs[0].Shape} and {x.Shape} have different sizes", xs[0].Shape, x.Shape, at);
            var slice = Variable("slice", x.Shape.RemoveAt(at), x.DType);
            slices.Add(slice);
            mapped[slice] = x.MoveAxis(at, 0);
        }

        var updates = ModelBuilder.Current?.Updates;
        var results = f(slices.ToImmutable());
        if (ModelBuilder.Current?.Updates != updates)
            throw new GraphException("vmap: what is mapped updates a buffer, as batch_norm does, and there is one buffer for all slices; normalize before or after");
        return Batching.Apply(results, mapped, xs[0].Shape[xs[0].Shape.Axis(axis)], ModelBuilder.Current?.Provenance);
    }

    /// <summary>∂yᵢ/∂xⱼ for all i and j: [...y, ...x].</summary>
    /// <exception cref="GraphException">y does not depend on x.</exception>
    public Expr Jacobian(Expr with) => Gradient.Jacobian(this, with) ?? throw new GraphException(Gradient.Disconnection(this, with));

    /// <summary>∂²y/∂xᵢ∂xⱼ of a scalar for all i and j: [...x, ...x].</summary>
    /// <exception cref="GraphException">This is no scalar, or does not depend on x.</exception>
    public Expr Hessian(Expr with) => Gradient.Hessian(this, with) ?? throw new GraphException(Gradient.Disconnection(this, with));
}
