using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>One application of a layer or function.</summary>
/// <param name="Path">The path of the instance; empty for a function.</param>
/// <param name="Kind">The layer or function.</param>
/// <param name="Depth">How many applications it is inside.</param>
/// <param name="Output">The shape of what comes out.</param>
/// <param name="Parameters">The numbers in its parameters.</param>
/// <param name="IsShared">Whether an earlier application has the same parameters.</param>
/// <param name="Flops">Floating-point operations for one row of the batch.</param>
/// <param name="ActivationBytes">Bytes of the output for one row of the batch, in f32.</param>
internal sealed record SummaryRow(string Path, string Kind, int Depth, string Output, long Parameters, bool IsShared, Dim Flops, Dim ActivationBytes)
{
    /// <summary>How far the input reaches that one element is computed from, by spatial axis; null where no convolution or pool is in the way.</summary>
    public int[]? ReceptiveField { get; init; }
}

/// <summary>What a model is made of and costs, in the evaluation phase. A multiply-add counts as two operations, an exponential as one.</summary>
internal sealed record ModelSummary(ImmutableArray<SummaryRow> Rows, long Trainable, long Frozen, long Buffers, Dim Flops)
{
    public static ModelSummary Of(Model model)
    {
        var batch = model.Inputs is [var first, ..] && !first.Value.Shape.IsScalar ? first.Value.Shape[0].Name : null;
        Dim PerRow(Dim size) => size.Substitute(name => name == batch ? Dim.One : null);

        var rows = ImmutableArray.CreateBuilder<SummaryRow>();
        var applied = new HashSet<string>(StringComparer.Ordinal);
        var depths = new Dictionary<Scope, int>();
        var fields = ReceptiveFields.Of(model);
        foreach (var scope in model.Scopes)
        {
            depths[scope] = scope.Parent is null ? 0 : depths[scope.Parent] + 1;
            // What a function is made of is its own business.
            if (scope.Outputs.IsEmpty || (scope.Parent is { } parent && IsFunction(parent)))
                continue;
            var parameters = IsFunction(scope) ? 0 : model.Parameters.Where(p => IsUnder(p.Path, scope.Path)).Sum(p => p.Shape.ElementCount.Value);
            var elements = scope.Outputs.Aggregate(Dim.Zero, (sum, o) => sum + o.Shape.ElementCount);
            rows.Add(new SummaryRow(
                IsFunction(scope) ? "" : scope.Path, scope.Kind, depths[scope], string.Join(", ", scope.Outputs.Select(o => o.Type)), parameters,
                !IsFunction(scope) && !applied.Add(scope.Path) && parameters > 0, PerRow(Flop(scope.Outputs, scope.Inputs)), PerRow(elements) * 4)
            {
                ReceptiveField = fields.GetValueOrDefault(scope.Outputs[0]),
            });
        }

        foreach (var parameter in model.Parameters.Where(p => !applied.Any(path => IsUnder(p.Path, path))))
            rows.Add(new SummaryRow(parameter.Path, "param", 0, parameter.Variable.Type.ToString(), parameter.Shape.ElementCount.Value, false, Dim.Zero, Dim.Zero));
        var roots = model.Outputs.Concat(model.Losses).Select(n => n.Value);
        return new ModelSummary(
            rows.ToImmutable(),
            model.Trainable.Sum(p => p.Shape.ElementCount.Value),
            model.Parameters.Where(p => p.Options.Frozen).Sum(p => p.Shape.ElementCount.Value),
            model.Buffers.Sum(b => b.Variable.Shape.ElementCount.Value),
            PerRow(Flop(roots, [])));
    }

    /// <summary>A function has no instance: its path is that of the layer around it.</summary>
    private static bool IsFunction(Scope scope) => scope.Path == (scope.Parent?.Path ?? "");

    private static bool IsUnder(string path, string layer) =>
        path.StartsWith(layer, StringComparison.Ordinal) && (path.Length == layer.Length || path[layer.Length] is '.' or '[');

    /// <summary>The operations between some nodes and what they are computed from.</summary>
    private static Dim Flop(IEnumerable<Expr> roots, IEnumerable<Expr> cut)
    {
        var seen = new HashSet<Expr>(cut);
        var pending = new Stack<Expr>(roots);
        var total = Dim.Zero;
        while (pending.TryPop(out var node))
        {
            if (!seen.Add(node))
                continue;
            total += Flop(node);
            if (node.Op is Phase)
            {
                // Training first, evaluation second.
                pending.Push(node.Args[1]);
                continue;
            }

            foreach (var arg in node.Args)
                pending.Push(arg);
        }

        return total;
    }

    private static Dim Flop(Expr node) => node.Op switch
    {
        DotGeneral dot => dot.LeftContract.Aggregate(2 * node.Shape.ElementCount, (product, axis) => product * node.Args[0].Shape[axis]),
        ConvGeneral => node.Args[1].Shape.Dims[..^1].Aggregate(2 * node.Shape.ElementCount, (product, size) => product * size),
        Reduction or ArgMax => node.Args[0].Shape.ElementCount,
        Unary or Binary or Compare or Logic or Select or ScatterAdd => node.Shape.ElementCount,
        _ => Dim.Zero,
    };
}
