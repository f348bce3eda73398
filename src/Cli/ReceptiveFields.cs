using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>
/// How far the elements reach from which one element of a convolution or pool is computed, along each spatial axis of the input: a window of k on elements that are j apart
/// adds (k − 1) · j, and a stride multiplies j (Araujo et al. 2019). Padding counts as if it were data.
/// </summary>
internal static class ReceptiveFields
{
    /// <summary>The receptive field of every node that a convolution or pool is in the way of, by spatial axis.</summary>
    public static Dictionary<Expr, int[]> Of(Model model)
    {
        var pools = model.Scopes.Where(s => s.Kind.Contains("_pool", StringComparison.Ordinal) && s is { Inputs: [_], Outputs: [_] }).ToLookup(s => s.Outputs[0]);
        var reach = new Dictionary<Expr, (int[] Field, int[] Jump)>();
        foreach (var node in Expr.PostOrder(model.Outputs.Concat(model.Losses).Select(n => n.Value)))
        {
            if (node.Op is ConvGeneral conv)
            {
                int[] sizes = [.. Enumerable.Range(0, conv.Spatial).Select(i => ((int)node.Args[1].Shape[i].Value - 1) * conv.RhsDilation[i])];
                reach[node] = Extended(reach, node.Args[0], sizes, [.. conv.Stride], [.. conv.LhsDilation]);
            }
            else if (pools[node].FirstOrDefault() is { } pool)
            {
                if (Window(pool) is { } window)
                    reach[node] = Extended(reach, pool.Inputs[0], [.. window.Select(w => w.Size - 1)], [.. window.Select(w => w.Stride)], [.. window.Select(_ => 1)]);
            }
            else if (node.Rank >= 3 && node.Args.Where(a => a.Rank == node.Rank && reach.ContainsKey(a)).ToArray() is { Length: > 0 } args)
            {
                // Paths that meet: the farthest reach.
                reach[node] = args.Select(a => reach[a]).Aggregate((a, b) => a.Field.Length != b.Field.Length ? a : ([.. a.Field.Zip(b.Field, Math.Max)], [.. a.Jump.Zip(b.Jump, Math.Max)]));
            }
        }

        return reach.ToDictionary(r => r.Key, r => r.Value.Field);
    }

    private static (int[] Field, int[] Jump) Extended(Dictionary<Expr, (int[] Field, int[] Jump)> reach, Expr x, int[] extents, int[] strides, int[] spread)
    {
        var (field, jump) = reach.TryGetValue(x, out var known) && known.Field.Length == extents.Length ? known : ([.. extents.Select(_ => 1)], [.. extents.Select(_ => 1)]);
        return (
            [.. field.Select((f, i) => f + (extents[i] / spread[i] * jump[i]))],
            [.. jump.Select((j, i) => Math.Max(1, j * strides[i] / spread[i]))]);
    }

    /// <summary>Window and stride of a pool: windows side by side are axes of their own, others are slices.</summary>
    private static (int Size, int Stride)[]? Window(Scope pool)
    {
        var x = pool.Inputs[0];
        var nodes = Expr.PostOrder(pool.Outputs, n => n == x);
        var axes = x.Rank - 2;
        if (nodes.FirstOrDefault(n => n.Op is Reshape && n.Rank == x.Rank + axes) is { } tiles)
            return [.. Enumerable.Range(0, axes).Select(i => ((int)tiles.Shape[(2 * i) + 2].Value, (int)tiles.Shape[(2 * i) + 2].Value))];
        var slices = nodes.Select(n => n.Op).OfType<Slice>().Where(s => s.Starts.Rank == x.Rank).ToArray();
        if (slices.Length == 0 || slices.Any(s => !s.Starts.IsKnown))
            return null;
        return [.. Enumerable.Range(1, axes).Select(a => ((int)slices.Max(s => s.Starts[a].Value) + 1, slices.Max(s => s.Steps[a])))];
    }
}
