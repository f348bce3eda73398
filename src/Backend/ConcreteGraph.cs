using System.Runtime.InteropServices;
using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>One number of any element type: <see cref="Real"/> counts for floats, <see cref="Whole"/> for the others.</summary>
internal readonly record struct Number(double Real, long Whole);

/// <summary>
/// A graph at concrete sizes, as arrays over node numbers in post-order. Nodes that change nothing (stop_gradient, casts to the same type,
/// reshapes to the same sizes) are one with their argument; numbers that depend on no variable are folded.
/// Every assumption that shape inference left open is checked here.
/// </summary>
internal sealed class ConcreteGraph
{
    private readonly Dictionary<Expr, int> ids = [];
    private readonly List<Expr> nodes = [];
    private readonly List<OpKind> kinds = [];
    private readonly List<DType> types = [];
    private readonly List<int[]> dims = [];
    private readonly List<int> argStart = [0];
    private readonly List<int> args = [];
    private readonly Dictionary<int, Number> numbers = [];
    private readonly Dictionary<int, int> sumOf = [];
    private readonly Dictionary<int, int> deviationsOf = [];
    private readonly Dictionary<Shape, int[]> dimsOf = [];
    private readonly Dictionary<int[], int[]> interned = new(SequenceComparer<int>.Instance);
    private readonly IReadOnlyDictionary<string, long> sizes;
    private readonly RefContext context;
    private readonly DType floatType;
    private readonly bool findsMoments;

    /// <param name="findsMoments">Whether Σ (x − mean x)² becomes a function of x beside Σ x: see <see cref="SumOf"/>.</param>
    /// <exception cref="ShapeException">Sizes do not fit, or one is missing.</exception>
    /// <exception cref="GraphException">A phase is open, or there is no kernel for an operation.</exception>
    public ConcreteGraph(IReadOnlyList<Expr> roots, IReadOnlyDictionary<string, long> sizes, DType floatType, bool findsMoments)
    {
        (this.sizes, this.floatType, this.findsMoments) = (sizes, floatType, findsMoments);
        context = new RefContext(sizes);
        // The last root first: the gradients of the last layers are there before those of the first, and what they use is free by then.
        foreach (var node in Expr.PostOrder(roots.Reverse()))
            ids[node] = Add(node);
        if (deviationsOf.Count > 0)
            DropUnused(roots);
        (ConsumerStart, Consumers) = FindConsumers();
    }

    public int Count => nodes.Count;

    /// <summary>For every node the start of its part of <see cref="Consumers"/>.</summary>
    public int[] ConsumerStart { get; }

    public int[] Consumers { get; }

    /// <summary>The number of an expression's value.</summary>
    public int this[Expr node] => ids[node];

    public bool TryFind(Expr node, out int id) => ids.TryGetValue(node, out id);

    public Expr Node(int id) => nodes[id];

    public OpKind Kind(int id) => kinds[id];

    /// <summary>The element type: never the open one.</summary>
    public DType Type(int id) => types[id];

    /// <summary>The sizes; equal sizes are the same array.</summary>
    public int[] Dims(int id) => dims[id];

    public ReadOnlySpan<int> Args(int id) => CollectionsMarshal.AsSpan(args)[argStart[id]..argStart[id + 1]];

    public ReadOnlySpan<int> ConsumersOf(int id) => Consumers.AsSpan(ConsumerStart[id]..ConsumerStart[id + 1]);

    /// <summary>Whether every element is the same number, known now.</summary>
    public bool IsNumber(int id, out Number number) => numbers.TryGetValue(id, out number);

    /// <summary>For a reduction that gives Σ (x − mean x)² of its argument x the node of Σ x over the same axes, to be computed with it; −1 for others.</summary>
    public int SumOf(int deviations) => sumOf.GetValueOrDefault(deviations, -1);

    /// <summary>The reverse of <see cref="SumOf"/>.</summary>
    public int DeviationsOf(int sum) => deviationsOf.GetValueOrDefault(sum, -1);

    public int[] Evaluate(Shape shape)
    {
        if (!dimsOf.TryGetValue(shape, out var result))
            dimsOf[shape] = result = Intern(shape.Evaluate(sizes));
        return result;
    }

    public long Evaluate(Dim dim) => dim.Evaluate(sizes);

    public int[] Intern(int[] sizes)
    {
        if (interned.TryGetValue(sizes, out var known))
            return known;
        var count = 1L;
        foreach (var size in sizes)
            count = size == 0 ? 0 : count > long.MaxValue / 16 / size ? throw new ShapeException($"a tensor of the sizes {Text(sizes)} has more than 2^59 elements") : count * size;
        return interned[sizes] = sizes;
    }

    public DType Concrete(DType type) => type == DType.Float ? floatType : type;

    private static string Text(int[] dims) => $"[{string.Join(", ", dims)}]";

    private int Add(Expr node)
    {
        var op = node.Op;
        var kind = Lowering.KindOf(op);
        if (kind == OpKind.Phase)
            throw new GraphException("phase: choose training or evaluation with Phases.Resolve before a plan is made");
        var type = Concrete(node.DType);
        var own = Evaluate(node.Shape);
        Span<int> arguments = node.Args.Length <= 8 ? stackalloc int[node.Args.Length] : new int[node.Args.Length];
        for (var i = 0; i < arguments.Length; i++)
            arguments[i] = ids[node.Args[i]];
        Check(node, own, arguments);

        if (kind == OpKind.Reduction && ((Reduction)op).Axes.All(a => dims[ids[node.Args[0]]][a] == 1))
            kind = OpKind.View;
        if (kind == OpKind.Identity || (arguments.Length == 1 && IsSame(op, kind, type, own, arguments[0])))
            return arguments[0];
        var id = nodes.Count;
        if (kind == OpKind.Number || (kind is OpKind.Elementwise or OpKind.View && AllNumbers(arguments)))
        {
            numbers[id] = kind == OpKind.View ? numbers[arguments[0]] : Fold(node, arguments, type);
            kind = OpKind.Number;
            arguments = [];
        }

        if (findsMoments && kind == OpKind.Reduction && op is Sum && SumBehind(arguments[0], ((Sum)op).Axes) is >= 0 and var sum && deviationsOf.TryAdd(sum, id))
            (sumOf[id], arguments[0]) = (sum, Args(sum)[0]);
        nodes.Add(node);
        kinds.Add(kind);
        types.Add(type);
        dims.Add(own);
        foreach (var argument in arguments)
            args.Add(argument);
        argStart.Add(args.Count);
        return id;
    }

    /// <summary>
    /// The node of Σ x over some axes, where a node is the square of x − (Σ x) / n stretched along them, n their size; else −1. Rows that are short are left: they
    /// are in the cache when they are read again.
    /// </summary>
    private int SumBehind(int square, ValueList<int> axes)
    {
        const int fewest = 32, shortest = 4096;
        if (nodes[square].Op is not Mul || kinds[square] != OpKind.Elementwise || Args(square)[0] != Args(square)[1])
            return -1;
        var centred = Args(square)[0];
        if (nodes[centred].Op is not Graph.Add || kinds[centred] != OpKind.Elementwise)
            return -1;
        var sizes = dims[centred];
        var n = axes.Aggregate(1L, (count, a) => count * sizes[a]);
        if (n < (axes.Contains(Array.FindLastIndex(sizes, size => size != 1)) ? shortest : fewest) || Strides.Count(sizes) == 0)
            return -1;
        var (one, other) = (Args(centred)[0], Args(centred)[1]);
        return MeanBehind(other, one) is >= 0 and var sum ? sum : MeanBehind(one, other);

        int MeanBehind(int mean, int x)
        {
            int[] kept = [.. Enumerable.Range(0, sizes.Length).Where(a => !axes.Contains(a))];
            var narrow = Intern([.. kept.Select(a => sizes[a])]);
            var flat = Intern([.. sizes.Select((size, a) => axes.Contains(a) ? 1 : size)]);
            for (var factor = 1.0; ;)
            {
                var (op, kind) = (nodes[mean].Op, kinds[mean]);
                if (op is Sum sum && kind == OpKind.Reduction)
                    return sum.Axes.Equals(axes) && Args(mean)[0] == x && (factor == -1.0 / n || (types[x] == DType.F32 && factor == -(float)(1.0 / n))) ? mean : -1;
                if (op is Broadcast broadcast && kind == OpKind.View && ReferenceEquals(dims[mean], sizes))
                {
                    if (!broadcast.Axes.SequenceEqual(ReferenceEquals(dims[Args(mean)[0]], narrow) ? kept : Enumerable.Range(0, sizes.Length)))
                        return -1;
                }
                else if (op is Neg && kind == OpKind.Elementwise)
                {
                    factor = -factor;
                }
                else if (op is Mul or Div && kind == OpKind.Elementwise && IsNumber(Args(mean)[1], out var number))
                {
                    factor = op is Mul ? factor * number.Real : factor / number.Real;
                }
                else if (op is not Reshape || kind != OpKind.View)
                {
                    return -1;
                }

                mean = Args(mean)[0];
                if (!ReferenceEquals(dims[mean], sizes) && !ReferenceEquals(dims[mean], narrow) && !ReferenceEquals(dims[mean], flat))
                    return -1;
            }
        }
    }

    /// <summary>Marks what nothing needs any more.</summary>
    private void DropUnused(IEnumerable<Expr> roots)
    {
        var isUsed = new bool[Count];
        foreach (var root in roots)
            isUsed[ids[root]] = true;
        for (var id = Count - 1; id >= 0; id--)
        {
            if (!isUsed[id])
            {
                kinds[id] = OpKind.Unused;
                continue;
            }

            foreach (var arg in Args(id))
                isUsed[arg] = true;
            if (SumOf(id) is >= 0 and var sum)
                isUsed[sum] = true;
        }
    }

    /// <summary>Whether the value has the argument's elements in the argument's order and sizes.</summary>
    private bool IsSame(Op op, OpKind kind, DType type, int[] own, int argument)
    {
        if (type != types[argument] || !ReferenceEquals(own, dims[argument]))
            return false;
        return op switch
        {
            Cast or Concat or Slice or Broadcast or Reshape => true,
            Transpose t => IsIncreasing(t.Permutation.Where(a => own[a] != 1)),
            Reverse r => r.Axes.All(a => own[a] <= 1),
            _ => kind == OpKind.View,
        };
    }

    private static bool IsIncreasing(IEnumerable<int> axes)
    {
        var last = -1;
        foreach (var axis in axes)
        {
            if (axis < last)
                return false;
            last = axis;
        }

        return true;
    }

    private bool AllNumbers(ReadOnlySpan<int> arguments)
    {
        foreach (var argument in arguments)
        {
            if (kinds[argument] != OpKind.Number)
                return false;
        }

        return arguments.Length > 0;
    }

    private Number Fold(Expr node, ReadOnlySpan<int> arguments, DType type)
    {
        var values = new RefValue<double>[arguments.Length];
        for (var i = 0; i < values.Length; i++)
        {
            var number = numbers[arguments[i]];
            values[i] = types[arguments[i]].IsFloat() ? RefValue<double>.Of([], [number.Real]) : RefValue<double>.Of([], [number.Whole]);
        }

        var value = node.Op.Evaluate<double, RealField>(node, values, context);
        var real = value.Reals is { } r ? r[0] : 0;
        return new Number(type == DType.F32 ? (float)real : real, value.Integers is { } w ? w[0] : 0);
    }

    /// <summary>What shape inference took to hold for all sizes, at these.</summary>
    private void Check(Expr node, int[] own, ReadOnlySpan<int> arguments)
    {
        switch (node.Op)
        {
            case Broadcast broadcast:
                for (var i = 0; i < broadcast.Axes.Count; i++)
                    Require(node, 0, i, dims[arguments[0]][i], own[broadcast.Axes[i]]);
                break;
            case Reshape:
                if (Strides.Count(dims[arguments[0]]) != Strides.Count(own))
                    throw Misfit(node, $"{At(node.Args[0].Shape)} has {Strides.Count(dims[arguments[0]])} elements, {At(node.Shape)} has {Strides.Count(own)}");
                break;
            case Slice slice:
                for (var i = 0; i < own.Length; i++)
                {
                    var (start, limit, size) = (Evaluate(slice.Starts[i]), Evaluate(slice.Limits[i]), dims[arguments[0]][i]);
                    if (start < 0 || limit < start || limit > size)
                        throw Misfit(node, $"{start} to {limit} is not within axis {i} of {At(node.Args[0].Shape)}");
                }

                break;
            case DotGeneral dot:
                foreach (var (left, right) in dot.LeftBatch.Concat(dot.LeftContract).Zip(dot.RightBatch.Concat(dot.RightContract)))
                {
                    if (dims[arguments[0]][left] != dims[arguments[1]][right])
                        throw Differ(node, 0, 1, left, right);
                }

                break;
            case ConvGeneral:
                var (x, kernel) = (dims[arguments[0]], dims[arguments[1]]);
                var exact = node.Op.Infer([Exact(node.Args[0], x), Exact(node.Args[1], kernel)]).Shape;
                if (!ReferenceEquals(Evaluate(exact), own))
                    throw Misfit(node, $"the result is {exact} where {At(node.Shape)} was expected");
                break;
            case Concat concat:
                for (var i = 1; i < arguments.Length; i++)
                {
                    for (var a = 0; a < own.Length; a++)
                    {
                        if (a != concat.Axis && dims[arguments[i]][a] != dims[arguments[0]][a])
                            throw Differ(node, 0, i, a, a);
                    }
                }

                break;
            case Gather gather:
                for (var a = 0; a < gather.Batch; a++)
                {
                    if (dims[arguments[0]][a] != dims[arguments[1]][a])
                        throw Differ(node, 0, 1, a, a);
                }

                break;
            case DynamicSlice slice:
                if (own[slice.Axis] > dims[arguments[0]][slice.Axis])
                    throw Misfit(node, $"{own[slice.Axis]} elements are not within axis {slice.Axis} of {At(node.Args[0].Shape)}");
                break;
            case DynamicUpdateSlice update:
                for (var a = 0; a < own.Length; a++)
                {
                    if (a == update.Axis ? dims[arguments[1]][a] > own[a] : dims[arguments[1]][a] != own[a])
                        throw Differ(node, 0, 1, a, a);
                }

                break;
            case ScatterAdd scatter:
                for (var a = 0; a < dims[arguments[0]].Length; a++)
                {
                    var at = a < scatter.Batch ? a : a - scatter.Batch + scatter.Axis;
                    if (dims[arguments[0]][a] != dims[arguments[1]][at])
                        throw Differ(node, 0, 1, a, at);
                }

                break;
            case Scan scan:
                var length = Evaluate(scan.Body.Length);
                for (var i = 0; i < scan.Body.Sequences; i++)
                    Require(node, scan.Body.States + i, 0, dims[arguments[scan.Body.States + i]][0], (int)length);
                break;
            case Unary or Binary or Compare or Logic or Select or LinearRecurrence:
                for (var i = 1; i < arguments.Length; i++)
                {
                    if (ReferenceEquals(dims[arguments[i]], dims[arguments[0]]))
                        continue;
                    for (var a = 0; a < own.Length; a++)
                    {
                        if (dims[arguments[i]][a] != dims[arguments[0]][a])
                            throw Differ(node, 0, i, a, a);
                    }
                }

                break;
        }
    }

    /// <summary>A shape, and what it is at these sizes.</summary>
    private string At(Shape shape) => shape.IsKnown ? shape.ToString() : $"{shape} = {Text(Evaluate(shape))}";

    private static TensorType Exact(Expr node, int[] sizes) => new(node.DType, new Shape([.. sizes.Select(size => Dim.Of(size))]));

    private void Require(Expr node, int argument, int axis, int size, int expected)
    {
        if (size != expected)
            throw Misfit(node, $"axis {axis} of {At(node.Args[argument].Shape)} is {size} where {At(node.Shape)} needs {expected}");
    }

    private ShapeException Differ(Expr node, int left, int right, int leftAxis, int rightAxis)
    {
        var (x, y) = (node.Args[left].Shape, node.Args[right].Shape);
        return Misfit(node, $"{At(x)} and {At(y)} do not fit: axis {leftAxis} of the one has size {Evaluate(x)[leftAxis]}, axis {rightAxis} of the other {Evaluate(y)[rightAxis]}");
    }

    private static ShapeException Misfit(Expr node, string reason) =>
        new($"{node.Op.Name}: {reason}", node.Args[0].Shape, node.Args[^1].Shape) { Node = node };

    private (int[] Start, int[] List) FindConsumers()
    {
        var start = new int[Count + 1];
        for (var i = 0; i < Count; i++)
        {
            foreach (var arg in UsedArgs(i))
                start[arg + 1]++;
        }

        for (var i = 0; i < Count; i++)
            start[i + 1] += start[i];
        var list = new int[args.Count];
        var fill = start.AsSpan(0, Count).ToArray();
        for (var i = 0; i < Count; i++)
        {
            foreach (var arg in UsedArgs(i))
                list[fill[arg]++] = i;
        }

        return (start, list);

        ReadOnlySpan<int> UsedArgs(int id) => kinds[id] == OpKind.Unused ? [] : Args(id);
    }
}
