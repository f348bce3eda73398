namespace Dnn.Graph;

/// <summary>Type-checks graphs: every node must have the type that its operation gives for its arguments.</summary>
public static class Verifier
{
    /// <exception cref="GraphException">A node has another type than its operation infers.</exception>
    public static void Verify(IReadOnlyList<Expr> roots)
    {
        foreach (var node in Expr.PostOrder(roots))
        {
            var inferred = node.Op.Infer([.. node.Args.Select(a => a.Type)]);
            if (inferred != node.Type)
                throw new GraphException($"{Printer.Line(node)} has the type {node.Type}, but {node.Op.Name} gives {inferred}");
        }
    }
}
