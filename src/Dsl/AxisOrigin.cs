using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Follows an axis of a value back through the graph.</summary>
internal static class AxisOrigin
{
    /// <summary>Whether <see cref="Previous"/> is sure of what an operation does with axes, rather than led by equal sizes.</summary>
    public static bool IsExact(Op op) => op is Unary or Binary or Compare or Logic or Select or Cast or Identity or Phase or Graph.Barrier or Checkpoint
        or Broadcast or DotGeneral or Sum or ReduceMax or ReduceMin or Transpose or Concat or Slice or Reshape;

    /// <summary>The argument whose axis became this one.</summary>
    public static (Expr? Node, int Axis) Previous(Expr value, int axis)
    {
        var args = value.Args;
        switch (value.Op)
        {
            case Broadcast broadcast:
                var source = broadcast.Axes.ToList().IndexOf(axis);
                return source >= 0 ? (args[0], source) : default;
            case DotGeneral dot:
                var left = Enumerable.Range(0, args[0].Rank).Where(i => !dot.LeftBatch.Contains(i) && !dot.LeftContract.Contains(i)).ToArray();
                var right = Enumerable.Range(0, args[1].Rank).Where(i => !dot.RightBatch.Contains(i) && !dot.RightContract.Contains(i)).ToArray();
                var batch = dot.LeftBatch.Count;
                return axis < batch ? (args[0], dot.LeftBatch[axis])
                    : axis < batch + left.Length ? (args[0], left[axis - batch])
                    : (args[1], right[axis - batch - left.Length]);
            case Sum sum:
                return (args[0], Kept(args[0].Rank, sum.Axes, axis));
            case ReduceMax max:
                return (args[0], Kept(args[0].Rank, max.Axes, axis));
            case ReduceMin min:
                return (args[0], Kept(args[0].Rank, min.Axes, axis));
            case Transpose transpose:
                return (args[0], transpose.Permutation[axis]);
            case Checkpoint:
                return (args[0], axis);
            case Concat concat:
                return axis == concat.Axis ? default : (args[0], axis);
            case Reshape:
                var old = args[0].Shape;
                if (axis < old.Rank && Enumerable.Range(0, axis + 1).All(i => old[i].Equals(value.Shape[i])))
                    return (args[0], axis);
                var fromEnd = value.Rank - axis;
                return fromEnd <= old.Rank && Enumerable.Range(1, fromEnd).All(i => old[^i].Equals(value.Shape[^i])) ? (args[0], old.Rank - fromEnd) : default;
            case Slice slice:
                return args[0].Shape[axis].Equals(value.Shape[axis]) ? (args[0], axis) : default;
            default:
                // By element: an argument that was not stretched to this size.
                foreach (var arg in args)
                {
                    if (arg.Rank == value.Rank && arg.Shape[axis].Equals(value.Shape[axis]) && !(arg.Op is Broadcast b && !b.Axes.Contains(axis)))
                        return (arg, axis);
                }

                return default;
        }
    }

    private static int Kept(int rank, ValueList<int> reduced, int axis) => Enumerable.Range(0, rank).Where(i => !reduced.Contains(i)).ElementAt(axis);
}
