using System.Numerics;

namespace Dnn.Graph;

/// <summary>A value of the reference evaluator: numbers of type <typeparamref name="T"/> for float tensors, integers for the others.</summary>
public sealed class RefValue<T>
    where T : INumberBase<T>
{
    private RefValue(int[] dims, T[]? reals, long[]? integers)
    {
        Dims = dims;
        Reals = reals;
        Integers = integers;
    }

    public int[] Dims { get; }

    /// <summary>The elements in row-major order, for a float tensor.</summary>
    public T[]? Reals { get; }

    /// <summary>The elements in row-major order, for i64 and bool (0 or 1).</summary>
    public long[]? Integers { get; }

    public int Length => Reals?.Length ?? Integers!.Length;

    public static RefValue<T> Of(int[] dims, T[] reals) => new(dims, reals, null);

    public static RefValue<T> Of(int[] dims, long[] integers) => new(dims, null, integers);

    public static RefValue<T> Zeros(int[] dims, bool real) =>
        real ? Of(dims, new T[Strides.Count(dims)]) : Of(dims, new long[Strides.Count(dims)]);

    /// <summary>The element at each of <paramref name="source"/>; −1 stands for zero.</summary>
    public RefValue<T> Pick(int[] dims, Func<long, long> source)
    {
        var result = Zeros(dims, Reals is not null);
        for (var i = 0; i < result.Length; i++)
        {
            var from = source(i);
            if (from < 0)
                continue;
            if (Reals is not null)
                result.Reals![i] = Reals[from];
            else
                result.Integers![i] = Integers![from];
        }

        return result;
    }
}

/// <summary>Row-major index arithmetic.</summary>
public static class Strides
{
    public static long Count(ReadOnlySpan<int> dims)
    {
        var count = 1L;
        foreach (var dim in dims)
            count *= dim;
        return count;
    }

    public static long[] Of(ReadOnlySpan<int> dims)
    {
        var strides = new long[dims.Length];
        var stride = 1L;
        for (var i = dims.Length - 1; i >= 0; i--)
        {
            strides[i] = stride;
            stride *= dims[i];
        }

        return strides;
    }

    /// <summary>The coordinates of a row-major index.</summary>
    public static int[] Coordinates(long index, ReadOnlySpan<int> dims)
    {
        var at = new int[dims.Length];
        for (var i = dims.Length - 1; i >= 0; i--)
        {
            at[i] = (int)(index % dims[i]);
            index /= dims[i];
        }

        return at;
    }
}

/// <summary>
/// The evaluator that everything fast is held against: plain loops, one node after the other, over double or Complex numbers
/// (for complex-step derivatives).
/// </summary>
public static class Reference
{
    /// <summary>The values of <paramref name="roots"/>, given those of variables.</summary>
    /// <param name="sizes">What the named dimensions are; those that are missing are read off the values of variables.</param>
    /// <exception cref="GraphException">A variable has no value or one of another shape.</exception>
    public static RefValue<T>[] Evaluate<T, TField>(IReadOnlyList<Expr> roots, IReadOnlyDictionary<Expr, RefValue<T>> variables, IReadOnlyDictionary<string, long>? sizes = null)
        where T : INumberBase<T>
        where TField : IField<T>
    {
        var bindings = new Dictionary<string, long>(sizes ?? new Dictionary<string, long>());
        int known;
        do
        {
            // A size that one variable leaves open, another may tell.
            known = bindings.Count;
            foreach (var (variable, value) in variables)
                Unifier.Bind(bindings, variable.Shape, value.Dims, Printer.Line(variable));
        }
        while (bindings.Count > known);

        var context = new RefContext(bindings);
        var values = new Dictionary<Expr, RefValue<T>>();
        var args = new List<RefValue<T>>();
        foreach (var node in Expr.PostOrder(roots, variables.ContainsKey))
        {
            if (variables.TryGetValue(node, out var given))
            {
                values[node] = given;
                continue;
            }

            args.Clear();
            foreach (var arg in node.Args)
                args.Add(values[arg]);
            // Sizes that were taken to be equal: the shape rule says where they are not.
            if (node.Args.Any(a => !a.Shape.IsKnown))
                node.Op.Infer([.. node.Args.Select((a, i) => new TensorType(a.DType, new Shape([.. args[i].Dims.Select(d => Dim.Of(d))])))]);
            var value = node.Op.Evaluate<T, TField>(node, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(args), context);
            if (!value.Dims.AsSpan().SequenceEqual(context.Evaluate(node.Shape)))
                throw new ShapeException($"{node.Op.Name}: sizes taken to be equal are not: the value is [{string.Join(", ", value.Dims)}] where {node.Shape} was expected");
            values[node] = value;
        }

        return [.. roots.Select(r => values[r])];
    }

    /// <summary>The values over doubles.</summary>
    public static RefValue<double>[] Evaluate(IReadOnlyList<Expr> roots, IReadOnlyDictionary<Expr, RefValue<double>> variables, IReadOnlyDictionary<string, long>? sizes = null) =>
        Evaluate<double, RealField>(roots, variables, sizes);
}
