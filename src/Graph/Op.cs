using System.Numerics;

namespace Dnn.Graph;

/// <summary>What <c>dnn explain prim.name</c> says of an operation.</summary>
/// <param name="Equation">The value.</param>
/// <param name="Gradient">The cotangents of the arguments, given the cotangent ȳ of the result.</param>
/// <param name="Note">Conventions, sources.</param>
public sealed record OpDoc(string Equation, string Gradient, string Note = "");

/// <summary>An attribute of an operation: an int, double, bool, string, <see cref="DType"/>, <see cref="Shape"/>, or <see cref="ValueList{T}"/> of ints.</summary>
public readonly record struct OpAttribute(string Name, object Value);

/// <summary>
/// An operation: what a node does. It says by itself which shapes it takes, what its derivative is, what its
/// value is, and how it is explained; a member that is missing does not compile.
/// </summary>
public abstract record Op
{
    /// <summary>The name in source text, after <c>prim.</c></summary>
    public abstract string Name { get; }

    public abstract OpDoc Doc { get; }

    /// <summary>What distinguishes operations of the same name.</summary>
    public virtual IReadOnlyList<OpAttribute> Attributes => [];

    /// <summary>Whether no gradient passes: the result is constant wherever it is differentiable.</summary>
    public virtual bool IsGradientFree => false;

    /// <summary>The type of the result.</summary>
    /// <exception cref="ShapeException">The arguments do not fit.</exception>
    public abstract TensorType Infer(ReadOnlySpan<TensorType> args);

    /// <summary>
    /// The vector-Jacobian product as a graph: for every argument the cotangent that <paramref name="cotangent"/>, the
    /// cotangent of <paramref name="node"/>, sends to it, or null where there is none.
    /// </summary>
    public abstract Expr?[] Vjp(Expr node, Expr cotangent);

    /// <summary>
    /// This operation for many at once: some arguments have a new first axis, and the value has it too; each place of it holds what the operation
    /// makes of the arguments there.
    /// </summary>
    public abstract Expr Batched(BatchedArgs args);

    /// <summary>The value by plain loops: the oracle for everything that is fast.</summary>
    public abstract RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
        where T : INumberBase<T>
        where TField : IField<T>;

    /// <summary>The attributes as <c>name = value</c>.</summary>
    public sealed override string ToString() => Attributes.Count == 0 ? Name : $"{Name}({string.Join(", ", Attributes.Select(a => $"{a.Name} = {Printer.Text(a.Value)}"))})";

    protected ShapeException Misfit(string reason) => new($"{Name}: {reason}");

    protected void RequireArgs(ReadOnlySpan<TensorType> args, int count)
    {
        if (args.Length != count)
            throw Misfit($"takes {count} arguments, not {args.Length}");
    }

    protected TensorType RequireFloat(TensorType type) => type.DType.IsFloat() ? type : throw Misfit($"takes a float tensor, not {type}");

    /// <summary>Two shapes that must be the same.</summary>
    protected void RequireSame(Shape a, Shape b)
    {
        if (a.Equals(b))
            return;
        if (a.Rank != b.Rank)
            throw new ShapeException($"{Name}: {a} and {b} have different numbers of axes", a, b);
        for (var i = 0; i < a.Rank; i++)
        {
            if (Dim.AreEqual(a[i], b[i]) == Answer.Refuted)
                throw new ShapeException($"{Name}: {a} and {b} differ in axis {i}: {a[i]} is not {b[i]}", a, b, i);
        }
    }
}

/// <summary>What evaluation needs beside values: the sizes of named dimensions.</summary>
public sealed record RefContext(IReadOnlyDictionary<string, long> Sizes)
{
    public int[] Evaluate(Shape shape) => shape.Evaluate(Sizes);
}
