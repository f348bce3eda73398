using System.Collections.Immutable;
using System.Runtime.CompilerServices;

namespace Dnn.Graph;

/// <summary>The axes that a reduction runs over: all (the default), one, or several; negative ones count from the end.</summary>
[CollectionBuilder(typeof(Axes), nameof(Create))]
public readonly struct Axes : IEnumerable<int>
{
    private readonly ImmutableArray<int> list;

    private Axes(ImmutableArray<int> list) => this.list = list;

    public static Axes All => default;

    public static Axes Create(ReadOnlySpan<int> axes) => new(ImmutableArray.Create(axes));

    public static implicit operator Axes(int axis) => new([axis]);

    public static implicit operator Axes(int[] axes) => new([.. axes]);

    /// <summary>The axes of a shape, in order.</summary>
    public ValueList<int> Of(Shape shape) => list.IsDefault
        ? Enumerable.Range(0, shape.Rank).ToValueList()
        : list.Select(shape.Axis).Distinct().Order().ToValueList();

    public IEnumerator<int> GetEnumerator() => ((IEnumerable<int>)(list.IsDefault ? [] : list)).GetEnumerator();

    System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();
}

/// <summary>The functions of expressions: arithmetic with broadcasting and type promotion, and everything that is one or few primitives.</summary>
public sealed partial class Expr
{
    /// <summary>The number 0; F# sums start with it.</summary>
    public static Expr Zero { get; } = Scalar(0);

    public static Expr One { get; } = Scalar(1);

    public static implicit operator Expr(double value) => Scalar(value);

    public static Expr operator -(Expr x) => x.Op is Literal { DType: not DType.Bool } literal ? Scalar(-literal.Number, literal.DType) : Make(new Neg(), Arithmetic(x));

    public static Expr operator +(Expr x, Expr y) => Apply(new Add(), x, y);

    public static Expr operator +(Expr x, double y) => x + Scalar(y);

    public static Expr operator +(double x, Expr y) => Scalar(x) + y;

    public static Expr operator -(Expr x, Expr y) => x + -y;

    public static Expr operator -(Expr x, double y) => x + Scalar(-y);

    public static Expr operator -(double x, Expr y) => Scalar(x) + -y;

    public static Expr operator *(Expr x, Expr y) => Apply(new Mul(), x, y);

    public static Expr operator *(Expr x, double y) => x * Scalar(y);

    public static Expr operator *(double x, Expr y) => Scalar(x) * y;

    public static Expr operator /(Expr x, Expr y) => Apply(new Div(), Real(x), Real(y));

    public static Expr operator /(Expr x, double y) => Real(x) / Scalar(y);

    public static Expr operator /(double x, Expr y) => Scalar(x) / Real(y);

    /// <summary>One number; it takes the element type of what it meets.</summary>
    public static Expr Scalar(double value, DType type = DType.Float) => Make(new Literal(type, value));

    /// <summary>A vector of given numbers.</summary>
    public static Expr Vector(params ReadOnlySpan<double> values) => Make(new Table(DType.Float, [values.Length], ValueList.Create(values)));

    /// <summary>A fresh variable: a value that is given when the graph is evaluated.</summary>
    public static Expr Variable(string name, Shape shape, DType type = DType.Float) => Make(new Variable(new Symbol(name), new TensorType(type, shape)));

    public static Expr Iota(Shape shape, int axis) => Make(new Iota(shape, shape.Axis(axis)));

    public static Expr Size(Dim dim) => dim.IsKnown ? Scalar(dim.Value, DType.I64) : Make(new DimensionSize(dim));

    public static Expr Full(Shape shape, double value, DType type = DType.Float) => Scalar(value, type).BroadcastTo(shape);

    public static Expr Exp(Expr x) => Make(new Exp(), Real(x));

    public static Expr Log(Expr x) => Make(new Log(), Real(x));

    public static Expr Sqrt(Expr x) => Make(new Sqrt(), Real(x));

    public static Expr Tanh(Expr x) => Make(new Tanh(), Real(x));

    public static Expr Sin(Expr x) => Make(new Sin(), Real(x));

    public static Expr Cos(Expr x) => Make(new Cos(), Real(x));

    public static Expr Floor(Expr x) => Make(new Floor(), Real(x));

    public static Expr Round(Expr x) => Make(new Round(), Real(x));

    public static Expr Abs(Expr x) => Make(new Abs(), Arithmetic(x));

    public static Expr Pow(Expr x, Expr y) => Apply(new Pow(), Real(x), Real(y));

    public static Expr Pow(Expr x, double y) => Pow(x, Scalar(y));

    public static Expr Max(Expr x, Expr y) => Apply(new Max(), x, y);

    public static Expr Min(Expr x, Expr y) => Apply(new Min(), x, y);

    /// <summary>x where the condition holds, else y.</summary>
    public static Expr Where(Expr condition, Expr x, Expr y)
    {
        if (x.DType != DType.Bool || y.DType != DType.Bool)
            Promote(ref x, ref y);
        var shape = Shape.Broadcast(condition.Shape, Shape.Broadcast(x.Shape, y.Shape));
        return Make(new Select(), condition.StretchTo(shape), x.StretchTo(shape), y.StretchTo(shape));
    }

    public static Expr Concat(int axis, params ReadOnlySpan<Expr> parts) => parts.Length == 1 ? parts[0] : Make(new Concat(parts[0].Shape.Axis(axis)), parts);

    /// <summary>Tensors of one shape along a new axis.</summary>
    public static Expr Stack(int axis, params ReadOnlySpan<Expr> parts)
    {
        var expanded = new Expr[parts.Length];
        for (var i = 0; i < parts.Length; i++)
            expanded[i] = parts[i].ExpandDims(axis);
        return Concat(axis, expanded);
    }

    /// <summary>x in training, y in evaluation.</summary>
    public static Expr Phase(Expr training, Expr evaluation)
    {
        Promote(ref training, ref evaluation);
        var shape = Shape.Broadcast(training.Shape, evaluation.Shape);
        return Make(new Phase(), training.StretchTo(shape), evaluation.StretchTo(shape));
    }

    public Expr Exp() => Exp(this);

    public Expr Log() => Log(this);

    public Expr Log1p() => Make(new Log1p(), Real(this));

    public Expr Expm1() => Make(new Expm1(), Real(this));

    public Expr Tanh() => Tanh(this);

    public Expr Sigmoid() => Make(new Logistic(), Real(this));

    public Expr Erf() => Make(new Erf(), Real(this));

    public Expr Sin() => Sin(this);

    public Expr Cos() => Cos(this);

    public Expr Sqrt() => Sqrt(this);

    public Expr Rsqrt() => Make(new Rsqrt(), Real(this));

    public Expr Pow(Expr exponent) => Pow(this, exponent);

    public Expr Square() => this * this;

    public Expr Abs() => Abs(this);

    public Expr Sign() => Make(new Sign(), Arithmetic(this));

    public Expr Floor() => Floor(this);

    public Expr Round() => Round(this);

    public Expr Relu() => ModelBuilder.Call("relu", this, x => Make(new Relu(), Real(x)));

    public Expr Max(Expr other) => Max(this, other);

    public Expr Min(Expr other) => Min(this, other);

    public Expr EqualTo(Expr other) => Apply(new Compare(Comparison.Eq), this, other);

    public Expr NotEqualTo(Expr other) => Apply(new Compare(Comparison.Ne), this, other);

    public Expr LessThan(Expr other) => Apply(new Compare(Comparison.Lt), this, other);

    public Expr LessOrEqual(Expr other) => Apply(new Compare(Comparison.Le), this, other);

    public Expr GreaterThan(Expr other) => Apply(new Compare(Comparison.Gt), this, other);

    public Expr GreaterOrEqual(Expr other) => Apply(new Compare(Comparison.Ge), this, other);

    public Expr And(Expr other) => Combine(new And(), other);

    public Expr Or(Expr other) => Combine(new Or(), other);

    public Expr Not() => Make(new Not(), this);

    public Expr Cast(DType type) => type == DType ? this : Op is Literal literal && type != DType.Bool && !(literal.DType.IsFloat() && type == DType.I64)
        ? Scalar(literal.DType == DType.F32 ? (float)literal.Number : literal.Number, type)
        : Make(new Cast(type), this);

    public Expr StopGradient() => Op is StopGradient ? this : Make(new StopGradient(), this);

    public Expr ZerosLike() => Full(Shape, 0, DType);

    public Expr OnesLike() => Full(Shape, 1, DType);

    /// <summary>Σ x; bool counts as float.</summary>
    public Expr Sum(Axes axes = default, bool keep = false) => Keep(Arithmetic(this).ReduceSum(axes.Of(Shape)), axes, keep);

    /// <summary>Σ x / n, a float; the mean of nothing is NaN.</summary>
    public Expr Mean(Axes axes = default, bool keep = false) => Real(this).Sum(axes, keep) / Count(axes.Of(Shape));

    /// <summary>Σ (x − mean)² / n</summary>
    public Expr Var(Axes axes = default, bool keep = false) => (this - Mean(axes, keep: true)).Square().Mean(axes, keep);

    public Expr Std(Axes axes = default, bool keep = false) => Guarded(Var(axes, keep), v => v.Sqrt());

    /// <summary>√Σx², whose derivative at 0 is 0.</summary>
    public Expr Norm(Axes axes = default, bool keep = false) => Guarded(Square().Sum(axes, keep), s => s.Sqrt());

    /// <summary>The largest element over the axes.</summary>
    public Expr ReduceMax(Axes axes = default, bool keep = false) => Keep(Make(new ReduceMax(axes.Of(Shape)), Real(this)), axes, keep);

    /// <summary>The smallest element over the axes.</summary>
    public Expr ReduceMin(Axes axes = default, bool keep = false) => Keep(Make(new ReduceMin(axes.Of(Shape)), Real(this)), axes, keep);

    /// <summary>log Σ eˣ without overflow: the maximum is taken out first.</summary>
    public Expr LogSumExp(Axes axes = default, bool keep = false)
    {
        var shift = FiniteMax(axes);
        var result = (this - shift).Exp().Sum(axes, keep: true).Log() + shift;
        return keep ? result : result.Reshape(Make(new Sum(axes.Of(Shape)), this).Shape);
    }

    public Expr ArgMax(int axis = -1) => Make(new ArgMax(Shape.Axis(axis)), Real(this));

    /// <summary>Matrix product over the last two axes, the others broadcast; vectors as in NumPy.</summary>
    public Expr MatMul(Expr other)
    {
        var (x, y) = (Real(this), Real(other));
        Promote(ref x, ref y);
        if (x.Rank == 0 || y.Rank == 0)
            throw new ShapeException($"matmul takes tensors with axes, not {x.Shape} and {y.Shape}", x.Shape, y.Shape);
        if (y.Rank <= 2)
            return Make(new DotGeneral([], [], [x.Rank - 1], [Math.Max(0, y.Rank - 2)]), x, y);
        if (x.Rank == 1)
            return x.ExpandDims(0).MatMul(y).Squeeze(-2);
        var batch = Shape.Broadcast(new Shape([.. x.Shape.Dims[..^2]]), new Shape([.. y.Shape.Dims[..^2]]));
        x = x.StretchTo(new Shape([.. batch.Dims, .. x.Shape.Dims[^2..]]));
        y = y.StretchTo(new Shape([.. batch.Dims, .. y.Shape.Dims[^2..]]));
        var axes = Enumerable.Range(0, batch.Rank).ToValueList();
        return Make(new DotGeneral(axes, axes, [batch.Rank + 1], [batch.Rank]), x, y);
    }

    /// <summary>The same elements in row-major order under another shape.</summary>
    public Expr Reshape(Shape shape) => shape.Equals(Shape) ? this : Make(new Reshape(shape), this);

    /// <summary>Axis i of the result is axis permutation[i] of this; no permutation reverses all axes.</summary>
    public Expr Transpose(params ReadOnlySpan<int> permutation)
    {
        var axes = new int[Rank];
        for (var i = 0; i < Rank; i++)
            axes[i] = permutation.IsEmpty ? Rank - 1 - i : i < permutation.Length ? Shape.Axis(permutation[i]) : throw new ShapeException($"transpose needs {Rank} axes");
        return axes.AsSpan().SequenceEqual(Enumerable.Range(0, Rank).ToArray()) ? this : Make(new Transpose(ValueList.Create<int>(axes)), this);
    }

    public Expr SwapAxes(int a, int b)
    {
        var axes = Enumerable.Range(0, Rank).ToArray();
        (axes[Shape.Axis(a)], axes[Shape.Axis(b)]) = (Shape.Axis(b), Shape.Axis(a));
        return Transpose(axes);
    }

    /// <summary>One axis elsewhere, the others in their order.</summary>
    public Expr MoveAxis(int from, int to)
    {
        var axes = Enumerable.Range(0, Rank).ToList();
        (from, to) = (Shape.Axis(from), Shape.Axis(to));
        axes.RemoveAt(from);
        axes.Insert(to, from);
        return Transpose([.. axes]);
    }

    /// <summary>A new axis of size 1.</summary>
    public Expr ExpandDims(int axis) => Reshape(Shape.Insert(axis < 0 ? axis + Rank + 1 : axis, Dim.One));

    /// <summary>Without an axis of size 1.</summary>
    public Expr Squeeze(int axis)
    {
        var at = Shape.Axis(axis);
        return Dim.AreEqual(Shape[at], Dim.One) == Answer.Refuted ? throw new ShapeException($"squeeze: axis {axis} of {Shape} has size {Shape[at]}, not 1", Shape) : Reshape(Shape.RemoveAt(at));
    }

    public Expr Reverse(Axes axes) => Make(new Reverse(axes.Of(Shape)), this);

    /// <summary>From start up to but without limit, along one axis.</summary>
    public Expr SliceAxis(int axis, Dim start, Dim limit, int step = 1)
    {
        axis = Shape.Axis(axis);
        var starts = Enumerable.Repeat(Dim.Zero, Rank).ToArray();
        var limits = Shape.Dims.ToArray();
        var steps = Enumerable.Repeat(1, Rank).ToArray();
        (starts[axis], limits[axis], steps[axis]) = (start, limit, step);
        return Slice(starts, limits, steps);
    }

    /// <summary>Takes along an axis by whole numbers.</summary>
    public Expr Take(Expr indices, int axis = 0) => Make(new Gather(Shape.Axis(axis), 0), this, indices);

    /// <summary>1 where the class is, 0 elsewhere, along a new last axis.</summary>
    public Expr OneHot(Dim classes)
    {
        var shape = new Shape([.. Shape.Dims, classes]);
        return BroadcastTo(shape, [.. Enumerable.Range(0, Rank)]).EqualTo(Iota(shape, Rank)).Cast(DType.Float);
    }

    /// <summary>Stretched to a shape by the rules of broadcasting.</summary>
    public Expr BroadcastTo(Shape shape) => Shape.Broadcast(Shape, shape).Equals(shape)
        ? StretchTo(shape)
        : throw new ShapeException($"{Shape} does not broadcast to {shape}", Shape, shape);

    /// <summary>The gradient of this scalar with respect to another node.</summary>
    /// <exception cref="GraphException">This is no scalar, or does not depend on it.</exception>
    public Expr Grad(Expr with) => Gradient.Of(this, with);

    /// <summary>The maximum, axes kept, as a constant that may be subtracted: 0 where it is infinite, as x − max would be ∞ − ∞.</summary>
    internal Expr FiniteMax(Axes axes)
    {
        var max = ReduceMax(axes, keep: true).StopGradient();
        return Where(max.Abs().LessThan(double.PositiveInfinity), max, 0);
    }

    internal Expr ReduceSum(ValueList<int> axes) => axes.Count == 0 ? this : Make(new Sum(axes), this);

    internal Expr BroadcastTo(Shape shape, ReadOnlySpan<int> axes) =>
        shape.Equals(Shape) ? this : Make(new Broadcast(shape, ValueList.Create(axes)), this);

    internal Expr Slice(ReadOnlySpan<Dim> starts, ReadOnlySpan<Dim> limits, ReadOnlySpan<int> steps)
    {
        var from = new Shape(starts);
        var to = new Shape(limits);
        var whole = to.Equals(Shape) && from.Dims.All(d => d.Equals(Dim.Zero)) && !steps.ContainsAnyExcept(1);
        return whole ? this : Make(new Slice(from, to, ValueList.Create(steps)), this);
    }

    /// <summary>The element counts of some axes, as a number of this type.</summary>
    internal Expr Count(ValueList<int> axes)
    {
        var count = axes.Aggregate(Dim.One, (product, axis) => product * Shape[axis]);
        return Size(count).Cast(DType.IsFloat() ? DType : DType.Float);
    }

    private static Expr Guarded(Expr x, Func<Expr, Expr> function)
    {
        // f′(0) may be infinite and 0 · ∞ is NaN: inside, 0 is replaced by 1.
        var zero = x.EqualTo(0);
        return Where(zero, 0, function(Where(zero, 1, x)));
    }

    private static Expr Apply(Op op, Expr x, Expr y)
    {
        Promote(ref x, ref y);
        var shape = Shape.Broadcast(x.Shape, y.Shape);
        return Make(op, x.StretchTo(shape), y.StretchTo(shape));
    }

    private Expr Combine(Op op, Expr other)
    {
        var shape = Shape.Broadcast(Shape, other.Shape);
        return Make(op, StretchTo(shape), other.StretchTo(shape));
    }

    /// <summary>Bool counts as float.</summary>
    private static Expr Arithmetic(Expr x) => x.DType == DType.Bool ? x.Cast(DType.Float) : x;

    /// <summary>Bool and i64 as float.</summary>
    private static Expr Real(Expr x) => x.DType.IsFloat() ? x : x.Cast(DType.Float);

    /// <summary>
    /// Brings two operands to one element type: bool counts as float, a literal takes the type of the other (one with a
    /// fraction lifts i64; of two float literals the one whose type is open does), i64 with float gives float.
    /// </summary>
    private static void Promote(ref Expr x, ref Expr y)
    {
        (x, y) = (Arithmetic(x), Arithmetic(y));
        if (x.DType == y.DType)
            return;
        if (x.Op is Literal left && (y.DType.IsFloat() || double.IsInteger(left.Number)) && !(x.DType.IsFloat() && y is { Op: Literal, DType: DType.Float }))
            x = Scalar(left.Number, y.DType);
        else if (y.Op is Literal right && (x.DType.IsFloat() || double.IsInteger(right.Number)))
            y = Scalar(right.Number, x.DType);
        else if (x.DType == DType.I64)
            x = x.Cast(y.DType);
        else if (y.DType == DType.I64)
            y = y.Cast(x.DType);
        else
            throw new ShapeException($"{x.Type} and {y.Type} have different float types; cast one of them", x.Shape, y.Shape);
    }

    private Expr Keep(Expr reduced, Axes axes, bool keep)
    {
        if (!keep)
            return reduced;
        var over = axes.Of(Shape);
        return reduced.Reshape(new Shape([.. Shape.Dims.Select((d, i) => over.Contains(i) ? Dim.One : d)]));
    }

    /// <summary>Trailing-aligned broadcasting as nodes: axes of size 1 are taken out, then repeated.</summary>
    private Expr StretchTo(Shape shape)
    {
        if (Shape.Equals(shape))
            return this;
        var offset = shape.Rank - Rank;
        var kept = Enumerable.Range(0, Rank).Where(i => !Shape[i].Equals(Dim.One) || shape[i + offset].Equals(Dim.One)).ToArray();
        var source = kept.Length == Rank ? this : Reshape(new Shape([.. kept.Select(i => Shape[i])]));
        return source.BroadcastTo(shape, [.. kept.Select(i => i + offset)]);
    }
}
