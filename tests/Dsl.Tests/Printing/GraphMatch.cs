using Dnn.Graph;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Whether two graphs are the same but for the identities of their variables and barriers.</summary>
internal sealed class GraphMatch
{
    private readonly Dictionary<Graph.Symbol, Graph.Symbol> symbols = [];
    private readonly HashSet<Graph.Symbol> taken = [];

    /// <summary>Two models with the same variables under the same names and paths, and the same graphs over them.</summary>
    public static void Same(Model expected, Model actual)
    {
        var match = new GraphMatch();
        Assert.Equal(expected.Name, actual.Name);
        match.Variables("input", expected.Inputs, actual.Inputs);
        match.Variables("target", expected.Targets, actual.Targets);
        match.Variables("parameter", Sorted(expected.Parameters.Select(p => new Named(p.Path, p.Variable))), Sorted(actual.Parameters.Select(p => new Named(p.Path, p.Variable))));
        match.Variables("buffer", Sorted(expected.Buffers.Select(b => new Named(b.Path, b.Variable))), Sorted(actual.Buffers.Select(b => new Named(b.Path, b.Variable))));
        Assert.Equal(Described(expected), Described(actual));
        Assert.Equal(Checks(expected), Checks(actual));
        match.symbols[Of(RandomState.Seed)] = Of(RandomState.Seed);
        match.symbols[Of(RandomState.Step)] = Of(RandomState.Step);
        Named[] left = [.. Roots(expected)], right = [.. Roots(actual)];
        Assert.Equal(left.Select(r => r.Name), right.Select(r => r.Name));
        for (var i = 0; i < left.Length; i++)
            Assert.True(match.Graphs([left[i].Value], [right[i].Value]) is not { } difference, $"{left[i].Name}: {match.Graphs([left[i].Value], [right[i].Value])}");
    }

    public static IEnumerable<string> Described(Model model) => model.Parameters.Select(p => $"{p.Path}: {p.Shape} = {p.Initializer} {p.Options}")
        .Concat(model.Buffers.Select(b => $"{b.Path}: {b.Variable.Type} = {b.Initializer}")).Order(StringComparer.Ordinal);

    private static IEnumerable<string> Checks(Model model) => model.Checks.Select(c => $"{c.Actual} = {c.Asked}").Distinct().Order(StringComparer.Ordinal);

    private static IEnumerable<Named> Roots(Model model) =>
        [.. model.Outputs, .. model.Losses, .. model.Metrics, .. Sorted(model.Buffers.Where(b => b.Next is not null).Select(b => new Named(b.Path, b.Next!)))];

    private static Named[] Sorted(IEnumerable<Named> named) => [.. named.OrderBy(n => n.Name, StringComparer.Ordinal)];

    private static Graph.Symbol Of(Expr variable) => ((Variable)variable.Op).Symbol;

    private void Variables(string what, IReadOnlyList<Named> expected, IReadOnlyList<Named> actual)
    {
        Assert.Equal(expected.Select(n => $"{what} {n.Name}: {n.Value.Type}"), actual.Select(n => $"{what} {n.Name}: {n.Value.Type}"));
        for (var i = 0; i < expected.Count; i++)
            Assert.True(Pair(Of(expected[i].Value), Of(actual[i].Value)));
    }

    private bool Pair(Graph.Symbol left, Graph.Symbol right) => symbols.TryGetValue(left, out var known) ? known == right : taken.Add(right) && symbols.TryAdd(left, right);

    /// <summary>The first difference; null if there is none. The order of nodes follows from the graph.</summary>
    private string? Graphs(IReadOnlyList<Expr> left, IReadOnlyList<Expr> right)
    {
        var (xs, ys) = (Expr.PostOrder(left), Expr.PostOrder(right));
        var places = new Dictionary<Expr, int>();
        for (var i = 0; i < Math.Min(xs.Count, ys.Count); i++)
        {
            var (x, y) = (xs[i], ys[i]);
            places[x] = i;
            places[y] = i;
            if (!x.Type.Equals(y.Type) || x.Args.Length != y.Args.Length || !Ops(x.Op, y.Op))
                return $"{x} with {x.Args.Length} arguments became {y} with {y.Args.Length}";
            for (var k = 0; k < x.Args.Length; k++)
            {
                if (ys[places[x.Args[k]]] != y.Args[k])
                    return $"argument {k} of {x} became {y.Args[k]}";
            }
        }

        return xs.Count == ys.Count ? null : $"{xs.Count} nodes became {ys.Count}";
    }

    private bool Ops(Op left, Op right) => (left, right) switch
    {
        (Variable x, Variable y) => symbols.GetValueOrDefault(x.Symbol) == y.Symbol,
        (Graph.Barrier x, Graph.Barrier y) => Pair(x.Symbol, y.Symbol),
        (Checkpoint x, Checkpoint y) => Pair(x.Symbol, y.Symbol),
        (CustomGradient x, CustomGradient y) => Rules(x.Rule, y.Rule),
        (Scan x, Scan y) => x.State == y.State && x.Body.Sequences == y.Body.Sequences && x.Body.Length.Equals(y.Body.Length) && x.Body.Reverse == y.Body.Reverse
            && Graphs(Body(x), Body(y)) is null,
        _ => left.Equals(right),
    };

    /// <summary>Rules are the same whatever stands for their inputs: nodes that share one may each have their own.</summary>
    private bool Rules(GradientRule left, GradientRule right)
    {
        foreach (var (x, y) in Formals(left).Zip(Formals(right)))
        {
            if (!x.Type.Equals(y.Type))
                return false;
            symbols[Of(x)] = Of(y);
        }

        return Graphs(left.Gradients, right.Gradients) is null;
    }

    private static IEnumerable<Expr> Formals(GradientRule rule) => [.. rule.Inputs, rule.Result, rule.Cotangent];

    private static Expr[] Body(Scan scan) => scan.Output is null ? [.. scan.Body.Next] : [.. scan.Body.Next, scan.Output];
}
