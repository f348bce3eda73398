using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Dnn.Graph;
using Barrier = Dnn.Graph.Barrier;

namespace Dnn.Checking;

/// <summary>
/// Decodes a recipe row by row. It knows the value of every node at the point, so that it can tell what is legal there: indices in range, logarithms
/// of what is positive, nothing near a kink.
/// </summary>
internal sealed class GraphDecoder
{
    /// <summary>What lies nearer to a kink is not chosen; steps of finite differences are far shorter.</summary>
    private const double Margin = 0.05;

    private const double LargestFloat = 50;
    private const long LargestInteger = 100_000;
    private const int LargestCount = 48;
    private const int LargestRank = 4;

    private static readonly ImmutableDictionary<string, long> Sizes = ImmutableDictionary<string, long>.Empty.Add("A", 2).Add("B", 3);
    private static readonly Dim[] Palette = [2, 3, "A", "B", 1];
    private static readonly double[] Exponents = [2, 3, 0.5, -1, -0.5, 1, 0, -2, 4, 1.5];

    /// <summary>One choice for each; those of the first list are smooth.</summary>
    private static readonly Func<GraphDecoder, Expr?>[] SmoothSteps =
    [
        d => d.FreshVariable(DType.Float), d => d.FreshVariable(DType.Float), d => d.FreshVariable(DType.Float),
        d => d.FreshVariable(DType.F64),
        d => Expr.Scalar((d.Next(9) - 4) * 0.5),
        d => Expr.Make(new Table(DType.Float, [3], [.. Enumerable.Range(0, 3).Select(_ => (d.Next(9) - 4) * 0.3)])),
        d => d.Unary(new Neg()), d => d.Unary(new Tanh()), d => d.Unary(new Logistic()), d => d.Unary(new Erf()), d => d.Unary(new Sin()), d => d.Unary(new Cos()),
        d => d.Unary(new Exp(), x => x < 4, x => x.Tanh()),
        d => d.Unary(new Expm1(), x => x < 4, x => x.Tanh()),
        d => d.Unary(new Log(), x => x > 0.1, x => x.Square() + 0.5),
        d => d.Unary(new Sqrt(), x => x > 0.1, x => x.Square() + 0.5),
        d => d.Unary(new Rsqrt(), x => x > 0.1, x => x.Square() + 0.5),
        d => d.Unary(new Log1p(), x => x > -0.9, x => x.Square()),
        d => d.Binary(new Add()), d => d.Binary(new Add()), d => d.Binary(new Mul()), d => d.Binary(new Mul()),
        d => d.Binary(new Div(), y => Math.Abs(y) > 0.2, y => y.Square() + 0.5),
        d => d.Power(), d => d.PowerOfTwo(),
        d => d.Select(), d => d.Select(),
        d => d.IntegerComparison(), d => d.Logic(), d => d.Pick(DType.Bool)?.Not(), d => d.IntegerArithmetic(),
        d => d.SmoothCast(),
        d => d.Reduce(axes => new Sum(axes), false), d => d.Reduce(axes => new Sum(axes), false), d => d.IntegerSum(),
        d => d.Stretch(), d => d.Stretch(), d => d.Reshape(), d => d.Reshape(), d => d.Transpose(), d => d.Transpose(), d => d.Reverse(), d => d.Slice(), d => d.Slice(), d => d.Pad(), d => d.Pad(),
        d => d.Concat(), d => d.DotGeneral(), d => d.DotGeneral(), d => d.ConvGeneral(), d => d.ConvGeneral(), d => d.Gather(), d => d.Gather(), d => d.ScatterAdd(), d => d.ScatterAdd(),
        d => d.DynamicSlice(), d => d.DynamicUpdateSlice(), d => d.DynamicUpdateSlice(), d => d.LinearRecurrence(), d => d.LinearRecurrence(), d => d.CumProd(), d => d.ArgSort(), d => d.CustomGradient(), d => d.PickFloat() is { } x ? Expr.Make(new Pooled(), x) : null,
        d => d.Scan(), d => d.Logic(), d => d.Logic(),
        d => d.NewShape(1) is var shape ? Expr.Iota(shape, d.Next(shape.Rank)) : null,
        d => Expr.Size(Palette[2 + d.Next(2)] * (1 + d.Next(2))),
        d => Expr.Make(new RngBits(d.NewShape(0)), Expr.Make(new RngFold(), d.Key(), d.Key())).Cast(DType.Float) * Math.ScaleB(1, -24),
        d => d.PickFloat() is { } x ? Expr.Make(new Barrier(new Symbol("barrier")), x) : null,
        d => d.PickFloat() is { } x ? Checkpoint.Apply([x], xs => [xs[0] * xs[0].Sin() + (d.Next(2) == 0 ? x : xs[0]).Tanh()])[0] : null,
        d => d.Phase(),
        d => d.Idiom(), d => d.Idiom(), d => d.Idiom(),
    ];

    private static readonly Func<GraphDecoder, Expr?>[] KinkedSteps =
    [
        d => d.Unary(new Abs(), x => x == 0 || Math.Abs(x) > Margin), d => d.Unary(new Relu(), x => x == 0 || Math.Abs(x) > Margin),
        d => d.Unary(new Sign(), x => Math.Abs(x) > Margin),
        d => d.Unary(new Floor(), IsClearOfIntegers), d => d.Unary(new Round(), x => IsClearOfIntegers(x + 0.5)),
        d => d.Extremum(new Max()), d => d.Extremum(new Min()),
        d => d.Reduce(axes => new ReduceMax(axes), true), d => d.Reduce(axes => new ReduceMin(axes), true),
        d => d.ArgMax(), d => d.Comparison(), d => d.KinkedCast(),
    ];

    private static readonly Func<GraphDecoder, Expr?>[] OtherSteps =
    [
        d => d.PickFloat()?.StopGradient(),
        d => d.Pick(DType.Float)?.Cast(DType.F32),
        d => d.Pick(DType.F32)?.Cast(DType.Float),
        d => d.FreshVariable(DType.F32),
        d => Expr.Scalar(0.1 * d.Next(30), DType.F32),
        d => d.PickFloat()?.Relu().StopGradient(),
    ];

    private readonly Func<GraphDecoder, Expr?>[] steps;
    private readonly ImmutableArray<ImmutableArray<int>> rows;
    private readonly List<Expr> pool = [];
    private readonly Dictionary<Expr, RefValue<double>> values = [];
    private readonly List<Expr> variables = [];
    private readonly bool training;
    private ImmutableArray<int> row = [];
    private int cursor;

    public GraphDecoder(GraphKind kind, ImmutableArray<ImmutableArray<int>> rows)
    {
        this.rows = rows;
        steps = kind switch
        {
            GraphKind.Smooth => SmoothSteps,
            GraphKind.Differentiable => [.. SmoothSteps, .. KinkedSteps],
            _ => [.. SmoothSteps, .. KinkedSteps, .. OtherSteps],
        };
        training = rows.Length % 2 == 0;
    }

    public GraphSample Decode()
    {
        Keep(FreshVariable(DType.Float));
        foreach (var next in rows)
        {
            (row, cursor) = (next, 0);
            if (steps[Next(steps.Length)](this) is { } made)
                Keep(made);
        }

        var used = Expr.PostOrder(pool).SelectMany(n => n.Args).ToHashSet();
        ImmutableArray<Expr> roots = [.. pool.Where(n => !used.Contains(n))];
        var loss = roots.Where(r => r.DType.IsFloat()).DefaultIfEmpty(pool[0]).Select(Weighted).Aggregate((sum, next) => sum + next);
        return new GraphSample(roots, loss, Phases.Resolve(roots, training), Phases.Resolve([loss], training)[0], variables.ToImmutableDictionary(v => v, v => values[v]), Sizes, training);
    }

    private static bool IsClearOfIntegers(double x) => Math.Abs(x - Math.Round(x)) > Margin;

    /// <summary>Σ w · x with weights that differ from element to element, so that no exchange of elements goes unseen.</summary>
    private static Expr Weighted(Expr x)
    {
        Expr angle = 1;
        for (var axis = 0; axis < x.Rank; axis++)
            angle = angle + ((1.7 + axis) * Expr.Iota(x.Shape, axis).Cast(DType.Float));
        return (x.Cast(DType.Float) * angle.Cos()).Sum();
    }

    private static int Count(Shape shape) => (int)shape.ElementCount.Evaluate(Sizes);

    private static int[] Concrete(Expr x) => x.Shape.Evaluate(Sizes);

    private static bool SameSizes(Expr x, Expr y) => Concrete(x).AsSpan().SequenceEqual(Concrete(y));

    private static bool Broadcasts(Expr x, Expr y)
    {
        for (var i = 1; i <= Math.Min(x.Rank, y.Rank); i++)
        {
            if (!x.Shape[^i].Equals(Dim.One) && !y.Shape[^i].Equals(Dim.One) && x.Shape[^i].Evaluate(Sizes) != y.Shape[^i].Evaluate(Sizes))
                return false;
        }

        return Enumerable.Range(1, Math.Max(x.Rank, y.Rank)).Aggregate(1L, (count, i) => count * Math.Max(Size(x, i), Size(y, i))) <= LargestCount;

        static long Size(Expr x, int fromEnd) => fromEnd <= x.Rank ? x.Shape[^fromEnd].Evaluate(Sizes) : 1;
    }

    /// <summary>The next number of the row as one of <paramref name="choices"/>; rows that are too short go on with zeros.</summary>
    private int Next(int choices) => cursor < row.Length ? (int)((uint)row[cursor++] % (uint)choices) : 0;

    /// <summary>Adds a node to choose from, if its values are fit for going on with.</summary>
    private void Keep(Expr made)
    {
        if (values.ContainsKey(made) || made.Rank > LargestRank || Count(made.Shape) > LargestCount || !IsTame(Value(made)))
            return;
        pool.Add(made);
        values[made] = Value(made);
    }

    private static bool IsTame(RefValue<double> value) => value.Reals is { } reals
        ? reals.All(x => Math.Abs(x) <= LargestFloat)
        : value.Integers!.All(n => n is >= -LargestInteger and <= LargestInteger);

    private RefValue<double> Value(Expr node) => node.Op is Phase
        ? Value(node.Args[training ? 0 : 1])
        : values.TryGetValue(node, out var value) ? value : Reference.Evaluate([node], values, Sizes)[0];

    private bool All(Expr x, Func<double, bool> holds) => Value(x).Reals!.All(holds);

    /// <summary>A node of the pool, the newest every other time, so that operations follow each other; 0 chooses it too.</summary>
    private Expr? PickWhere(Func<Expr, bool> fits)
    {
        var among = pool.Where(fits).ToList();
        return among.Count == 0 ? null : among[^(1 + (Next(2 * among.Count) is var n && n < among.Count ? n : 0))];
    }

    private Expr? Pick(DType type) => PickWhere(x => x.DType == type);

    private Expr? PickFloat(int leastRank = 0) => PickWhere(x => x.DType.IsFloat() && x.Rank >= leastRank);

    private Expr? PickAny(int leastRank) => PickWhere(x => x.Rank >= leastRank);

    private Shape NewShape(int leastRank)
    {
        var dims = new Dim[leastRank + Next(3)];
        for (var i = 0; i < dims.Length; i++)
            dims[i] = Palette[Next(Palette.Length)];
        return new Shape(dims);
    }

    private ValueList<int> SomeAxes(Expr x)
    {
        var mask = 1 + Next((1 << x.Rank) - 1);
        return Enumerable.Range(0, x.Rank).Where(a => (mask >> a & 1) != 0).ToValueList();
    }

    /// <summary>Numbers from 0.3 to 1.5 of either sign, none twice.</summary>
    private Expr FreshVariable(DType type) => FreshVariable(type, NewShape(0));

    private Expr FreshVariable(DType type, Shape shape)
    {
        var variable = Expr.Variable($"x{variables.Count}", shape, type);
        var dims = Concrete(variable);
        var seed = (ulong)(variables.Count + (97 * Next(1000)));
        var numbers = new double[Strides.Count(dims)];
        for (var i = 0; i < numbers.Length; i++)
        {
            var bits = Philox.Bits24(seed, i);
            numbers[i] = (0.3 + (1.2 * (bits >> 1) / (1 << 23))) * ((bits & 1) == 0 ? 1 : -1);
        }

        variables.Add(variable);
        values[variable] = RefValue<double>.Of(dims, type == DType.F32 ? Array.ConvertAll(numbers, x => (double)(float)x) : numbers);
        pool.Add(variable);
        return variable;
    }

    private Expr Key() => PickWhere(x => x.DType == DType.I64 && x.Rank == 0) ?? Expr.Scalar(Next(100), DType.I64);

    /// <summary>f(x) where x is in the domain of f, else f of a guarded x, if there is a guard.</summary>
    private Expr? Unary(Op op, Func<double, bool>? domain = null, Func<Expr, Expr>? guard = null)
    {
        if (PickFloat() is not { } x)
            return null;
        return domain is null || All(x, domain) ? Expr.Make(op, x) : guard is null ? null : Expr.Make(op, guard(x));
    }

    private bool PickPair([NotNullWhen(true)] out Expr? x, [NotNullWhen(true)] out Expr? y)
    {
        y = null;
        x = PickFloat();
        if (x is not { } first)
            return false;
        y = PickWhere(other => other.DType == first.DType && Broadcasts(first, other));
        return y is not null;
    }

    private Expr? Binary(Op op, Func<double, bool>? domain = null, Func<Expr, Expr>? guard = null)
    {
        if (!PickPair(out var x, out var y))
            return null;
        return Combine(op, x, domain is null || All(y, domain) ? y : guard!(y));
    }

    private static Expr Combine(Op op, Expr x, Expr y) => op switch
    {
        Add => x + y,
        Mul => x * y,
        Div => x / y,
        Pow => x.Pow(y),
        Max => x.Max(y),
        _ => x.Min(y),
    };

    private Expr? Extremum(Op op) =>
        PickPair(out var x, out var y) && All(x - y, d => d == 0 || Math.Abs(d) > Margin) ? Combine(op, x, y) : null;

    private Expr? Power() => PickPair(out var x, out var y)
        ? (All(x, v => v > 0.1) ? x : x.Square() + 0.5).Pow(All(y, v => Math.Abs(v) < 3) ? y : y.Tanh())
        : null;

    private Expr? PowerOfTwo()
    {
        if (PickFloat() is not { } x)
            return null;
        var c = Exponents[Next(Exponents.Length)];
        var legal = c == Math.Floor(c) ? All(x, v => Math.Abs(v) > 0.1) : All(x, v => v > 0.1);
        return (legal ? x : x.Square() + 0.5).Pow(Expr.Scalar(c, x.DType));
    }

    private Expr? Select()
    {
        if (!PickPair(out var x, out var y))
            return null;
        var condition = PickWhere(c => c.DType == DType.Bool && Broadcasts(c, x) && Broadcasts(c, y));
        return condition is null ? Expr.Where(Expr.Iota(x.Shape.Rank > 0 ? x.Shape : new Shape(1), 0).LessThan(1), x, y) : Expr.Where(condition, x, y);
    }

    private static Expr Compare(int kind, Expr x, Expr y) => kind switch
    {
        0 => x.LessThan(y),
        1 => x.EqualTo(y),
        2 => x.GreaterOrEqual(y),
        3 => x.NotEqualTo(y),
        4 => x.LessOrEqual(y),
        _ => x.GreaterThan(y),
    };

    private Expr? Comparison() => PickPair(out var x, out var y) && All(x - y, d => Math.Abs(d) > Margin) ? Compare(Next(6), x, y) : null;

    private Expr? IntegerComparison()
    {
        if (Pick(DType.I64) is not { } x)
            return Compare(Next(6), Expr.Iota(new Shape(3), 0), Expr.Scalar(1, DType.I64));
        var y = PickWhere(other => other.DType == DType.I64 && Broadcasts(x, other));
        return Compare(Next(6), x, Next(2) == 0 ? y! : Expr.Scalar(Next(3), DType.I64));
    }

    private Expr? Logic()
    {
        if (Pick(DType.Bool) is not { } x)
            return null;
        var y = PickWhere(other => other.DType == DType.Bool && Broadcasts(x, other))!;
        return Next(2) == 0 ? x.And(y) : x.Or(y);
    }

    private Expr? IntegerArithmetic()
    {
        if (Pick(DType.I64) is not { } x)
            return Expr.Iota(NewShape(1), 0);
        var y = PickWhere(other => other.DType == DType.I64 && Broadcasts(x, other))!;
        return Next(7) switch
        {
            0 => x + y,
            1 => x * y,
            2 => x.Max(y),
            3 => x.Min(y),
            4 => -x,
            5 => x.Abs(),
            _ => x.Sign(),
        };
    }

    private Expr? IntegerSum() => PickWhere(x => x.DType == DType.I64 && x.Rank > 0) is { } x ? Expr.Make(new Sum(SomeAxes(x)), x) : null;

    private Expr? SmoothCast() => PickWhere(x => x.DType != DType.F32) is not { } x ? null : x.DType switch
    {
        DType.Bool => x.Cast(Next(2) == 0 ? DType.Float : DType.I64),
        DType.I64 => x.Cast(Next(2) == 0 ? DType.Float : DType.Bool),
        DType.F64 => x.Cast(DType.Float),
        _ => x.Cast(DType.F64),
    };

    private Expr? KinkedCast()
    {
        if (PickFloat() is not { } x)
            return null;
        return Next(2) == 0
            ? All(x, IsClearOfIntegers) ? x.Cast(DType.I64) : null
            : All(x, v => Math.Abs(v) > Margin) ? x.Cast(DType.Bool) : null;
    }

    private Expr? Reduce(Func<ValueList<int>, Op> make, bool kinked)
    {
        if (PickFloat(1) is not { } x)
            return null;
        var op = make(SomeAxes(x));
        if (kinked && !IsClearExtremum((ExtremumReduction)op, x))
            return null;
        var reduced = Expr.Make(op, x);
        return Next(2) == 0 ? reduced : reduced.Reshape(new Shape([.. x.Shape.Dims.Select((d, a) => ((Reduction)op).Axes.Contains(a) ? Dim.One : d)]));
    }

    /// <summary>Whether whatever is not largest is smaller by the margin.</summary>
    private bool IsClearExtremum(ExtremumReduction op, Expr x)
    {
        return All(Lead(op, x), d => d == 0 || Math.Abs(d) > Margin);
    }

    private static Expr Lead(ExtremumReduction op, Expr x) => x - Expr.Make(new Broadcast(x.Shape, op.Kept(x.Shape).ToValueList()), Expr.Make(op, x));

    private Expr? ArgMax()
    {
        if (PickFloat(1) is not { } x)
            return null;
        var axis = Next(x.Rank);
        var near = Lead(new ReduceMax([axis]), x).GreaterThan(-Margin).Cast(DType.Float).Sum(axis);
        return All(near, count => count == 1) ? x.ArgMax(axis) : null;
    }

    private Expr? Stretch()
    {
        if (PickAny(0) is not { } x)
            return null;
        var shape = x.Shape;
        var axes = Enumerable.Range(0, x.Rank).ToList();
        for (var i = Next(2); i >= 0; i--)
        {
            var at = Next(shape.Rank + 1);
            shape = shape.Insert(at, Palette[Next(Palette.Length)]);
            axes = [.. axes.Select(a => a >= at ? a + 1 : a)];
        }

        return Count(shape) <= LargestCount ? Expr.Make(new Broadcast(shape, axes.ToValueList()), x) : null;
    }

    private Expr? Reshape()
    {
        if (PickAny(0) is not { } x)
            return null;
        var dims = x.Shape.Dims;
        return Next(6) switch
        {
            0 => x.ExpandDims(Next(x.Rank + 1)),
            1 => x.Reshape(new Shape(x.Shape.ElementCount)),
            2 => x.Reshape(new Shape([.. dims.Reverse()])),
            3 => x.Reshape(new Shape([.. dims.Where(d => !d.Equals(Dim.One))])),
            4 when x.Rank >= 2 => x.Reshape(new Shape([dims[0] * dims[1], .. dims[2..]])),
            5 when x.Rank >= 1 && Dim.TryDivide(dims[^1], 2, out var half) => x.Reshape(new Shape([.. dims[..^1], 2, half])),
            _ => x.ExpandDims(0),
        };
    }

    private Expr? Transpose()
    {
        if (PickAny(2) is not { } x)
            return null;
        var left = Enumerable.Range(0, x.Rank).ToList();
        var permutation = new int[x.Rank];
        for (var i = 0; i < permutation.Length; i++)
        {
            // 0 takes the last axis, so that the simplest choice does something.
            var at = left.Count - 1 - Next(left.Count);
            permutation[i] = left[at];
            left.RemoveAt(at);
        }

        return Expr.Make(new Transpose(permutation.ToValueList()), x);
    }

    private Expr? Reverse() => PickAny(1) is { } x ? Expr.Make(new Reverse(SomeAxes(x)), x) : null;

    private Expr? Slice()
    {
        if (PickAny(1) is not { } x)
            return null;
        var sizes = Concrete(x);
        var (starts, limits, by) = (new Dim[x.Rank], new Dim[x.Rank], new int[x.Rank]);
        for (var i = 0; i < x.Rank; i++)
        {
            var start = Next(sizes[i]);
            var cut = Next(sizes[i] - start);
            (starts[i], limits[i], by[i]) = (start, x.Shape[i] - cut, 1 + Next(2));
        }

        return Expr.Make(new Slice(new Shape(starts), new Shape(limits), by.ToValueList()), x);
    }

    private Expr? Pad()
    {
        if (PickAny(1) is not { } x)
            return null;
        var sizes = Concrete(x);
        var (low, high, interior) = (new Dim[x.Rank], new Dim[x.Rank], new int[x.Rank]);
        for (var i = 0; i < x.Rank; i++)
        {
            var (before, after, between) = (Next(4) - 1, Next(4) - 1, Next(3));
            if (sizes[i] + ((sizes[i] - 1) * between) + before + after < 1)
                (before, after) = (0, 0);
            (low[i], high[i], interior[i]) = (before, after, between);
        }

        var pad = new Pad(new Shape(low), new Shape(high), interior.ToValueList());
        return Count(pad.Infer([x.Type]).Shape) <= LargestCount ? Expr.Make(pad, x) : null;
    }

    private Expr? Concat()
    {
        if (PickAny(1) is not { } x)
            return null;
        var axis = Next(x.Rank);
        var y = PickWhere(other => other.DType == x.DType && other.Rank == x.Rank && Concrete(x).Zip(Concrete(other)).Select((d, a) => a == axis || d.First == d.Second).All(same => same));
        return Next(5) == 4 ? Expr.Make(new Concat(axis), x) : Next(3) == 2 ? Expr.Concat(axis, x, y!, x) : Expr.Concat(axis, x, y!);
    }

    private Expr? DotGeneral()
    {
        if (PickFloat() is not { } x || PickWhere(other => other.DType == x.DType) is not { } y)
            return null;
        var (left, right) = (Concrete(x), Concrete(y));
        var (leftBatch, rightBatch, leftContract, rightContract) = (new List<int>(), new List<int>(), new List<int>(), new List<int>());
        for (var i = 0; i < x.Rank; i++)
        {
            var role = Next(3);
            var partners = Enumerable.Range(0, y.Rank).Where(j => left[i] == right[j] && !rightBatch.Contains(j) && !rightContract.Contains(j)).ToList();
            if (role == 2 || partners.Count == 0)
                continue;
            (role == 0 ? leftContract : leftBatch).Add(i);
            (role == 0 ? rightContract : rightBatch).Add(partners[Next(partners.Count)]);
        }

        var dot = new DotGeneral(leftBatch.ToValueList(), rightBatch.ToValueList(), leftContract.ToValueList(), rightContract.ToValueList());
        return dot.Infer([x.Type, y.Type]).Shape is var shape && shape.Rank <= LargestRank && Count(shape) <= LargestCount ? Expr.Make(dot, x, y) : null;
    }

    /// <summary>A convolution with a kernel of its own, or with one of the pool that fits.</summary>
    private Expr? ConvGeneral()
    {
        if (PickFloat(1) is not { } x)
            return null;
        var spatial = Math.Max(1 + Next(2), x.Rank - 2);
        while (x.Rank < spatial + 2)
            x = x.ExpandDims(x.Rank == spatial + 1 ? 0 : x.Rank);
        var groups = Dim.TryDivide(x.Shape[^1], 2, out var part) ? 1 + Next(2) : 1;
        part = groups == 1 ? x.Shape[^1] : part;
        var kernel = Next(2) == 0 ? null : PickWhere(w => w.DType == x.DType && w.Rank == x.Rank && w.Shape[^2].Equals(part) && Concrete(w)[^1] % groups == 0);
        kernel ??= FreshVariable(x.DType, new Shape([.. Enumerable.Range(0, spatial).Select(_ => (Dim)(1 + Next(3))), part, groups * (1 + Next(2))]));
        var (sizes, extents) = (Concrete(x), Concrete(kernel));
        var (stride, low, high, left, right) = (new int[spatial], new Dim[spatial], new Dim[spatial], new int[spatial], new int[spatial]);
        for (var i = 0; i < spatial; i++)
        {
            // The numbers of a row are few: one tells stride and both dilations.
            var steps = Next(12);
            (stride[i], left[i], right[i]) = (1 + (steps % 3), steps / 3 % 2 == 0 ? 1 : 2, steps < 6 ? 1 : 2);
            var before = Next(4) - 1;
            var missing = ((extents[i] - 1) * right[i]) - ((sizes[i + 1] - 1) * left[i]) - before;
            (low[i], high[i]) = (before, Math.Max(missing, -before));
        }

        var conv = new ConvGeneral(stride.ToValueList(), new Shape(low), new Shape(high), left.ToValueList(), right.ToValueList(), groups);
        return Count(conv.Infer([x.Type, kernel.Type]).Shape) <= LargestCount ? Expr.Make(conv, x, kernel) : null;
    }

    /// <summary>Whole numbers below a size.</summary>
    private Expr Indices(int[] dims, int size) =>
        Expr.Make(new Table(DType.I64, dims.ToValueList(), [.. Enumerable.Range(0, (int)Strides.Count(dims)).Select(_ => (double)Next(size))]));

    private Expr? Gather()
    {
        if (PickAny(1) is not { } x)
            return null;
        var sizes = Concrete(x);
        var axis = Next(x.Rank);
        var batch = axis > 0 ? Next(2) : 0;
        var index = Next(2) == 0 && batch == 0
            ? PickWhere(i => i.DType == DType.I64 && i.Rank <= 2 && Value(i).Integers!.All(n => n >= 0 && n < sizes[axis]))
            : null;
        index ??= Indices([.. sizes[..batch], 2], sizes[axis]);
        var gather = new Gather(axis, batch);
        return Count(gather.Infer([x.Type, index.Type]).Shape) <= LargestCount ? Expr.Make(gather, x, index) : null;
    }

    private Expr? ScatterAdd()
    {
        if (PickFloat(1) is not { } x)
            return null;
        var sizes = Concrete(x);
        var axis = Next(x.Rank);
        var batch = axis > 0 ? Next(2) : 0;
        var size = Palette[Next(Palette.Length)];
        var index = Indices([.. sizes[..batch], sizes[axis]], (int)size.Evaluate(Sizes));
        return Expr.Make(new ScatterAdd(axis, batch, size), index, x);
    }

    private Expr? DynamicSlice()
    {
        if (PickAny(1) is not { } x)
            return null;
        var axis = Next(x.Rank);
        var size = Concrete(x)[axis];
        var length = 1 + Next(size);
        return x.DynamicSlice(Start(size - length), length, axis);
    }

    private Expr? DynamicUpdateSlice()
    {
        if (PickAny(1) is not { } x)
            return null;
        var axis = Next(x.Rank);
        var sizes = Concrete(x);
        var update = PickWhere(u => u.DType == x.DType && u.Rank == x.Rank && Concrete(u).Zip(sizes).Select((d, a) => a == axis ? d.First <= d.Second : d.First == d.Second).All(fits => fits))!;
        return x.DynamicUpdateSlice(update, Start(sizes[axis] - Concrete(update)[axis]), axis);
    }

    /// <summary>A place up to a limit: one of the pool, or a literal.</summary>
    private Expr Start(int limit)
    {
        var start = Next(2) == 0 ? PickWhere(s => s.DType == DType.I64 && s.Rank == 0 && Value(s).Integers![0] is var n && n >= 0 && n <= limit) : null;
        return start ?? Expr.Scalar(Next(limit + 1), DType.I64);
    }

    private Expr? LinearRecurrence()
    {
        var x = Next(4) == 3 ? PickWhere(n => n.DType == DType.I64 && n.Rank > 0) : PickFloat(1);
        if (x is null)
            return null;
        var factors = PickWhere(a => a.DType == x.DType && SameSizes(a, x))!;
        return Sequences.Recurrence(Next(2) == 0 ? factors : Expr.Scalar(1, x.DType), x, Next(x.Rank), Next(2) == 1);
    }

    /// <summary>A loop over the first axis with two states, one of them a whole number, and two sequences.</summary>
    private Expr? Scan()
    {
        if (PickFloat(1) is not { } x)
            return null;
        var (kind, ask, reverse) = (Next(5), Next(4), Next(2) == 1);
        var init = x.Sum(0) * 0.5;
        var weights = PickWhere(y => y.DType == x.DType && y.Shape.Equals(init.Shape)) ?? init;
        var index = Expr.Iota(new Shape(x.Shape[0]), 0);
        var result = Scans.Run([init, Expr.Scalar(0, DType.I64)], [x, index], Step, 0, reverse);
        return ask switch
        {
            0 => result.Next[0],
            1 => result.Outputs[0],
            2 => result.Outputs[1],
            _ => result.Outputs[0] + result.Next[0],
        };

        Scans.Step Step(ImmutableArray<Expr> states, ImmutableArray<Expr> elements)
        {
            var (s, count, e) = (states[0], states[1], elements[0]);
            var next = kind switch
            {
                0 => ((s * 0.5) + e).Tanh(),
                1 => (s * e.Sigmoid()) + (weights * 0.3),
                2 => Expr.Where((count * 2).LessOrEqual(elements[1]), s + e.Sin(), s * 0.5),
                3 when s.Rank > 0 => s.MatMul(Last(weights).Outer(Last(s).Sin())).Tanh() + e,
                4 when s.Rank > 0 => (s * 0.5) + e.Scan(e.Sum(0), (t, f) => ((t.Sin() + f), t * f), 0).Outputs,
                _ => (weights + (s * e)).Sin(),
            };
            return new Scans.Step([next, count + 1], [s * next, count]);
        }

        static Expr Last(Expr y) => y.Sum([.. Enumerable.Range(0, y.Rank - 1)]);
    }

    /// <summary>Some of the factors are 0.</summary>
    private Expr? CumProd()
    {
        if (PickFloat(1) is not { } x)
            return null;
        var axis = Next(x.Rank);
        var factors = Next(2) == 0 ? x : Expr.Where(Expr.Iota(x.Shape, axis).EqualTo(Next(2)), x - x.StopGradient(), x);
        return Next(2) == 0 ? factors.CumProd(axis) : factors.Prod(axis);
    }

    /// <summary>Orders of whole numbers, ties among them, or of distinct floats.</summary>
    private Expr? ArgSort()
    {
        if (Next(2) == 0)
            return Pick(DType.I64) is { Rank: > 0 } n ? n.ArgSort(Next(n.Rank), Next(2) == 1) : null;
        if (PickFloat(1) is not { } x)
            return null;
        var (axis, descending) = (Next(x.Rank), Next(2) == 1);
        var (sorted, size) = (x.Sort(axis, descending), x.Shape[axis]);
        return All(sorted.SliceAxis(axis, 0, size - 1) - sorted.SliceAxis(axis, 1, size), d => Math.Abs(d) > Margin) ? sorted : null;
    }

    /// <summary>A rule that says what is true, so that finite differences agree.</summary>
    private Expr? CustomGradient() => PickFloat() is not { } x ? null : Next(2) == 0
        ? Expr.CustomGradient([x], x.Tanh(), (_, y, dy) => [dy * (1 - (y * y))])
        : PickWhere(y => y.DType == x.DType && SameSizes(x, y)) is var other ? Expr.CustomGradient([x, other!], x * other!.Sin(), (xs, _, dy) => [dy * xs[1].Sin(), dy * xs[0] * xs[1].Cos()]) : null;

    private Expr? Phase() => PickFloat() is { } x ? Expr.Phase(x, PickWhere(y => y.DType == x.DType && SameSizes(x, y))!) : null;

    private static Expr Unpadded(Expr x)
    {
        var (low, interior) = (x.Shape.Dims.Select((_, a) => Dim.Of(a)).ToArray(), Enumerable.Range(0, x.Rank).Select(a => a % 2).ToValueList());
        var padded = Expr.Make(new Pad(new Shape(low), new Shape(low), interior), x);
        var limits = padded.Shape.Dims.Zip(low).Select(d => d.First - d.Second).ToArray();
        return Expr.Make(new Slice(new Shape(low), new Shape(limits), interior.Select(n => n + 1).ToValueList()), padded);
    }

    private static Expr Sliced(Expr x, int axis)
    {
        var size = 2 * x.Shape[axis];
        return Expr.Concat(axis, x, x).SliceAxis(axis, 1, size).SliceAxis(axis, 0, size - 1, 2);
    }

    /// <summary>What people write, and rewrite rules look for.</summary>
    private Expr? Idiom()
    {
        if (PickFloat(1) is not { } x)
            return null;
        var axis = Next(x.Rank);
        if (!All(x, v => Math.Abs(v) < 3))
            x = x.Tanh();
        return Next(24) switch
        {
            0 => x.Exp().Sum(axis).Log(),
            1 => (x.Exp() / x.Exp().Sum(axis, keep: true)).Log(),
            2 => x.Sigmoid().Log(),
            3 => (1 - x.Sigmoid()).Log(),
            4 => (1 + x.Exp()).Log(),
            5 => x.Exp() - 1,
            6 => x.Softmax(axis),
            7 => x.LogSumExp(axis),
            8 => x - x.Mean(axis, keep: true),
            9 => (x.Var(axis) + 0.1).Sqrt(),
            10 => x.SwapAxes(0, -1).SwapAxes(0, -1),
            11 => x.Exp().Mean(axis).Log(),
            12 => 1 / (1 + (-x).Exp()),
            13 => 1 - x.Exp(),
            14 => x.Exp() / x.Exp().Sum(axis, keep: true),
            15 => (x.Exp() * (x.Square() + 1)).Log(),
            16 => Unpadded(x),
            17 => Expr.Where(x.GreaterThan(10).Not().Not().Not(), x, -x),
            18 => -(1 - x) * -x,
            21 => Sliced(x, axis),
            22 => Expr.Where(x.GreaterThan(10).Not().Not(), -x, x),
            23 when x.Shape[axis] is { IsKnown: true, Value: > 1 } size => x.SliceAxis(axis, 0, 1).Sin().Sum() + x.SliceAxis(axis, 1, size).Sum(axis),
            19 => Expr.Make(new Reverse([axis]), Expr.Make(new Reverse(Enumerable.Range(0, x.Rank).ToValueList()), x)),
            20 when x.Rank >= 2 => Expr.Make(new DotGeneral([], [], [x.Rank - 1], [x.Rank - 2]), x.SwapAxes(-1, -2), x),
            _ => 2 * x / 4 * 3,
        };
    }
}
