using System.Runtime.InteropServices;

namespace Dnn.Graph;

/// <summary>A leaf: a node without arguments.</summary>
public abstract record Leaf : Op
{
    public override bool IsGradientFree => true;

    public abstract TensorType Type { get; }

    public sealed override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        RequireArgs(args, 0);
        return Type;
    }

    public sealed override Expr?[] Vjp(Expr node, Expr cotangent) => [];

    public override Expr Batched(BatchedArgs args) => throw new InvalidOperationException($"{Name} has no arguments to be mapped over");
}

/// <summary>One number. Of float type it is a double, rounded when a plan is made; of i64 and bool it is a whole number.</summary>
public sealed record Literal(DType DType, double Number) : Leaf
{
    public override string Name => "literal";

    public override OpDoc Doc => new("a number", "none");

    public override IReadOnlyList<OpAttribute> Attributes => [new("dtype", DType), new("value", Number)];

    public override TensorType Type => new(DType, Shape.Scalar);

    // Bits decide, so that −0 is not 0 and NaN is NaN.
    public bool Equals(Literal? other) => other is not null && DType == other.DType && BitConverter.DoubleToInt64Bits(Number) == BitConverter.DoubleToInt64Bits(other.Number);

    public override int GetHashCode() => HashCode.Combine(DType, BitConverter.DoubleToInt64Bits(Number));

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context) =>
        DType.IsFloat() ? RefValue<T>.Of([], [TField.Of(DType == DType.F32 ? (float)Number : Number)]) : RefValue<T>.Of([], [(long)Number]);
}

/// <summary>A small table of numbers, row-major.</summary>
public sealed record Table(DType DType, ValueList<int> Dims, ValueList<double> Values) : Leaf
{
    public override string Name => "table";

    public override OpDoc Doc => new("a list of numbers", "none");

    public override IReadOnlyList<OpAttribute> Attributes => [new("dtype", DType), new("dims", Dims), new("values", Values)];

    public override TensorType Type => new(DType, new Shape([.. Dims.Select(d => Dim.Of(d))]));

    // Bits decide, as in a literal.
    public bool Equals(Table? other) => other is not null && DType == other.DType && Dims == other.Dims
        && MemoryMarshal.Cast<double, long>(Values.AsSpan()).SequenceEqual(MemoryMarshal.Cast<double, long>(other.Values.AsSpan()));

    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.Add(DType);
        hash.Add(Dims);
        hash.AddBytes(MemoryMarshal.AsBytes(Values.AsSpan()));
        return hash.ToHashCode();
    }

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context) =>
        DType.IsFloat() ? RefValue<T>.Of([.. Dims], [.. Values.Select(v => TField.Of(DType == DType.F32 ? (float)v : v))]) : RefValue<T>.Of([.. Dims], [.. Values.Select(v => (long)v)]);
}

/// <summary>The identity of a variable: two variables are the same only if they have the same symbol.</summary>
public sealed class Symbol(string name)
{
    /// <summary>A name for people; it identifies nothing.</summary>
    public string Name { get; } = name;

    public override string ToString() => Name;
}

/// <summary>A value that comes from outside: an input, a target, a parameter, a buffer.</summary>
public sealed record Variable(Symbol Symbol, TensorType VariableType) : Leaf
{
    public override string Name => "variable";

    public override OpDoc Doc => new("a value from outside the graph", "what is asked for");

    public override IReadOnlyList<OpAttribute> Attributes => [new("name", Symbol.Name)];

    public override bool IsGradientFree => !VariableType.DType.IsFloat();

    public override TensorType Type => VariableType;

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context) =>
        throw new GraphException($"the variable {Symbol.Name} has no value");
}

/// <summary>Coordinates along one axis.</summary>
public sealed record Iota(Shape Shape, int Axis) : Leaf
{
    public override string Name => "iota";

    public override OpDoc Doc => new("y[i₀, …] = i_axis, as i64", "none");

    public override IReadOnlyList<OpAttribute> Attributes => [new("shape", Shape), new("axis", Axis)];

    public override TensorType Type => Axis >= 0 && Axis < Shape.Rank ? new(DType.I64, Shape) : throw Misfit($"axis {Axis} does not exist in {Shape}");

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var dims = context.Evaluate(Shape);
        var result = new long[Strides.Count(dims)];
        for (var i = 0; i < result.Length; i++)
            result[i] = Strides.Coordinates(i, dims)[Axis];
        return RefValue<T>.Of(dims, result);
    }
}

/// <summary>A size as a number.</summary>
public sealed record DimensionSize(Dim Size) : Leaf
{
    public override string Name => "size";

    public override OpDoc Doc => new("y = a dimension, as i64", "none");

    public override IReadOnlyList<OpAttribute> Attributes => [new("of", new Shape(Size))];

    public override TensorType Type => new(DType.I64, Shape.Scalar);

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context) =>
        RefValue<T>.Of([], [Size.Evaluate(context.Sizes)]);
}
