using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>Values of expressions in one call, by the same plans that training runs.</summary>
public static class Evaluator
{
    /// <summary>The values of <paramref name="roots"/>, given those of variables.</summary>
    /// <param name="roots">What is computed; phases are resolved.</param>
    /// <param name="variables">Values of variables, or of other nodes, which are then not computed.</param>
    /// <param name="options">The float type and what runs it.</param>
    /// <param name="sizes">What the named dimensions are; those that are missing are read off the values of variables.</param>
    /// <exception cref="ShapeException">Sizes do not fit each other.</exception>
    /// <exception cref="IndexException">An index is out of range.</exception>
    /// <exception cref="GraphException">A variable has no value.</exception>
    public static Tensor[] Evaluate(
        IReadOnlyList<Expr> roots, IReadOnlyDictionary<Expr, Tensor> variables, PlanOptions? options = null, IReadOnlyDictionary<string, long>? sizes = null)
    {
        var bindings = new Dictionary<string, long>(sizes ?? ImmutableDictionary<string, long>.Empty);
        var given = variables.ToArray();
        var leaves = new Expr[given.Length];
        var replacements = new Dictionary<Expr, Expr>();
        for (var i = 0; i < given.Length; i++)
        {
            var (node, value) = given[i];
            Unifier.Bind(bindings, node.Shape, value.Shape.AsSpan(), Printer.Line(node));
            leaves[i] = node.Op is Variable ? node : Expr.Variable($"value {i}", node.Shape, node.DType);
            if (leaves[i] != node)
                replacements[node] = leaves[i];
        }

        IReadOnlyList<Expr> outputs = replacements.Count == 0 ? roots : Expr.Substitute(roots, replacements);
        var program = new Program(
            [.. leaves.Select((leaf, i) => new Named($"{i}", leaf))], [], [.. outputs.Select((root, i) => new Named($"{i}", root))], []);
        var session = new Session(program, options);
        session.Prepare(bindings);
        for (var i = 0; i < given.Length; i++)
            session.SetInput($"{i}", given[i].Value);
        session.Run();
        return [.. outputs.Select((_, i) => session.GetOutput(i))];
    }
}
