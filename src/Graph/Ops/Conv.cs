namespace Dnn.Graph;

/// <summary>
/// Cross-correlation over one to three spatial axes: x is [batch, spatial…, in], the kernel [size…, in / groups, out], the result [batch, spatial…, out].
/// Zeros stand between the elements of x (<paramref name="LhsDilation"/> − 1 of them) and of the kernel (<paramref name="RhsDilation"/> − 1), and before
/// and after those of x; negative <paramref name="Low"/> and <paramref name="High"/> cut elements off. Its derivatives are of the same
/// kind: a transposed convolution is one with <paramref name="LhsDilation"/> (Dumoulin and Visin 2016).
/// </summary>
public sealed record ConvGeneral(ValueList<int> Stride, Shape Low, Shape High, ValueList<int> LhsDilation, ValueList<int> RhsDilation, int Groups) : Op
{
    public override string Name => "conv_general";

    public override OpDoc Doc => new(
        "y[b, o, c] = Σ_{k, i} x̃[b, stride · o + rhs_dilation · k, i] · w[k, i, c], x̃ dilated and padded",
        "x̄ = ȳ, dilated by the stride, with w reversed and in and out exchanged; w̄ = x with ȳ as the kernel, batch and channels exchanged",
        "Convolution and transposed convolution; with groups, each part of the channels by itself.");

    public override IReadOnlyList<OpAttribute> Attributes =>
        [new("stride", Stride), new("low", Low), new("high", High), new("lhs_dilation", LhsDilation), new("rhs_dilation", RhsDilation), new("groups", Groups)];

    /// <summary>The number of spatial axes.</summary>
    public int Spatial => Stride.Count;

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 2);
        var (x, w) = (RequireFloat(args[0]), RequireFloat(args[1]));
        if (x.DType != w.DType)
            throw Misfit($"takes two tensors of one element type, not {x} and {w}; cast one of them");
        if (Spatial is < 1 or > 3 || Low.Rank != Spatial || High.Rank != Spatial || LhsDilation.Count != Spatial || RhsDilation.Count != Spatial)
            throw Misfit("needs stride, low, high, lhs_dilation and rhs_dilation for each of one to three spatial axes");
        if (Groups < 1 || Stride.Concat(LhsDilation).Concat(RhsDilation).Any(n => n < 1))
            throw Misfit("stride, dilation and groups must be at least 1");
        if (x.Rank != Spatial + 2 || w.Rank != Spatial + 2)
            throw new ShapeException($"{Name}: with {Spatial} spatial axes, the input is [batch, spatial, channels] and the kernel [size, in, out], each with {Spatial + 2} axes, not {x.Shape} and {w.Shape}", x.Shape, w.Shape);
        if (Dim.AreEqual(x.Shape[^1], w.Shape[^2] * Groups) == Answer.Refuted)
            throw new ShapeException($"{Name}: a kernel {w.Shape} in {Groups} groups takes {w.Shape[^2] * Groups} channels, and {x.Shape} has {x.Shape[^1]}", x.Shape, w.Shape, x.Rank - 1);
        if (w.Shape[^1].IsKnown && w.Shape[^1].Value % Groups != 0)
            throw new ShapeException($"{Name}: {w.Shape[^1]} channels of the result do not divide into {Groups} groups", x.Shape, w.Shape);
        var dims = new Dim[x.Rank];
        (dims[0], dims[^1]) = (x.Shape[0], w.Shape[^1]);
        for (var i = 0; i < Spatial; i++)
        {
            var size = w.Shape[i];
            if (size.Equals(Dim.Zero))
                throw new ShapeException($"{Name}: axis {i} of the kernel {w.Shape} is empty", x.Shape, w.Shape);
            var room = Spread(x.Shape[i + 1], LhsDilation[i]) + Low[i] + High[i] - Spread(size, RhsDilation[i]);
            if (room.IsKnown && room.Value < 0)
                throw new ShapeException($"{Name}: the kernel is larger than the input: {Spread(size, RhsDilation[i])} on {Spread(x.Shape[i + 1], LhsDilation[i]) + Low[i] + High[i]} elements of spatial axis {i}, padding included", x.Shape, w.Shape);
            dims[i + 1] = Dim.FloorDiv(room, Stride[i]) + 1;
        }

        return new TensorType(x.DType, new Shape(dims));
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent)
    {
        var (x, w) = (node.Args[0], node.Args[1]);
        if (x.Shape.Dims.Concat(w.Shape.Dims).Concat(node.Shape.Dims).Any(d => d.Equals(Dim.Zero)))
            return [null, null];
        var spatial = Enumerable.Range(0, Spatial).ToArray();
        Dim Extent(int i) => Spread(x.Shape[i + 1], LhsDilation[i]);
        Dim Size(int i) => Spread(w.Shape[i], RhsDilation[i]);
        Dim Spaced(int i) => (Stride[i] * (node.Shape[i + 1] - 1)) + 1;

        // x̄: as many zeros in front as the kernel reaches back; behind, what makes the size that of x.
        var toInput = new ConvGeneral(
            LhsDilation,
            new Shape([.. spatial.Select(i => Size(i) - 1 - Low[i])]),
            new Shape([.. spatial.Select(i => Extent(i) - Spaced(i) + Low[i])]),
            Stride,
            RhsDilation,
            Groups);

        // w̄: the cotangent slides over x, its elements a stride apart; every group has its own part of the channels.
        var toKernel = new ConvGeneral(
            RhsDilation,
            Low,
            new Shape([.. spatial.Select(i => Size(i) + Spaced(i) - 1 - Extent(i) - Low[i])]),
            LhsDilation,
            Stride,
            Groups);
        int[] inner = [.. spatial.Select(i => i + 1)];
        var byPosition = Expr.Make(toKernel, ExchangeGroups(x, 0, Spatial + 1), cotangent.Transpose([.. inner, 0, Spatial + 1]));
        return
        [
            Expr.Make(toInput, cotangent, ExchangeGroups(w, Spatial, Spatial + 1).Reverse(spatial)),
            byPosition.Transpose([.. inner, 0, Spatial + 1]),
        ];
    }

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var (x, w) = (args[0], args[1]);
        var to = context.Evaluate(node.Shape);
        var low = Low.Dims.Select(d => d.Evaluate(context.Sizes)).ToArray();
        var (xs, ws) = (Strides.Of(x.Dims), Strides.Of(w.Dims));
        int[] sums = w.Dims[..^1];
        var (count, outs) = (Strides.Count(sums), to[^1] / Groups);
        var result = new T[Strides.Count(to)];
        for (var n = 0; n < result.Length; n++)
        {
            var at = Strides.Coordinates(n, to);
            var first = at[^1] / outs * sums[^1];
            var sum = T.Zero;
            for (var j = 0L; j < count; j++)
            {
                var k = Strides.Coordinates(j, sums);
                var (from, inside) = ((at[0] * xs[0]) + first + k[^1], true);
                for (var i = 0; i < Spatial && inside; i++)
                {
                    var place = ((long)at[i + 1] * Stride[i]) + ((long)k[i] * RhsDilation[i]) - low[i];
                    inside = place >= 0 && place % LhsDilation[i] == 0 && place / LhsDilation[i] < x.Dims[i + 1];
                    from += place / LhsDilation[i] * xs[i + 1];
                }

                if (inside)
                    sum += x.Reals![from] * w.Reals![(j * ws[^2]) + at[^1]];
            }

            result[n] = sum;
        }

        return RefValue<T>.Of(to, result);
    }

    /// <summary>The size of n elements with zeros between them; nothing stays nothing.</summary>
    private static Dim Spread(Dim size, int dilation) => dilation == 1 || size.Equals(Dim.Zero) ? size : ((size - 1) * dilation) + 1;

    /// <summary>[…, a, …, groups · b] as […, b, …, groups · a]: axes <paramref name="axis"/> and <paramref name="grouped"/>, the last, exchanged within each group.</summary>
    private Expr ExchangeGroups(Expr x, int axis, int grouped)
    {
        if (Groups == 1)
            return x.SwapAxes(axis, grouped);
        var (shape, part) = (x.Shape, Dim.FloorDiv(x.Shape[grouped], Groups));
        var split = x.Reshape(shape.With(grouped, Groups).Insert(grouped + 1, part)).SwapAxes(axis, grouped + 1);
        return split.Reshape(shape.With(axis, part).With(grouped, shape[axis] * Groups));
    }

    public override Expr Batched(BatchedArgs args)
    {
        var (x, w, n) = (args.Values[0], args.Values[1], args.Size);
        if (!args.Has[1])
        {
            // More images.
            var merged = x.Reshape(new Shape([n * x.Shape[1], .. x.Shape.Dims[2..]]));
            var results = Expr.Make(this, merged, w);
            return results.Reshape(new Shape([n, x.Shape[1], .. results.Shape.Dims[1..]]));
        }

        // More filters; with an input for each, more groups.
        var many = args.Has[0];
        if (many)
            x = MergeInto(x, x.Rank - 1, 1);
        var outer = many ? 1 : Groups;
        var y = Expr.Make(many ? this with { Groups = Groups * (int)Known(n) } : this, x, MergeInto(w, w.Rank - 1, outer));
        var part = Dim.FloorDiv(w.Shape[^1], outer);
        var last = y.Rank - 1;
        var split = y.Reshape(new Shape([.. y.Shape.Dims[..last], outer, n, part])).MoveAxis(last + 1, 0);
        return split.Reshape(new Shape([n, .. y.Shape.Dims[..last], part * outer]));

        // [n, …, outer · c] as […, outer · n · c].
        Expr MergeInto(Expr t, int axis, int outer)
        {
            var (size, rank) = (Dim.FloorDiv(t.Shape[axis], outer), t.Rank);
            var moved = t.Reshape(new Shape([.. t.Shape.Dims[..axis], outer, size])).MoveAxis(0, rank - 1);
            return moved.Reshape(new Shape([.. t.Shape.Dims[1..axis], t.Shape[axis] * n]));
        }

        long Known(Dim size) => size.IsKnown ? size.Value : throw new GraphException($"{Name}: kernels and inputs mapped together need an axis whose size is a number, not {size}");
    }
}
