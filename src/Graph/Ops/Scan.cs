using System.Collections.Immutable;
using System.Runtime.CompilerServices;

namespace Dnn.Graph;

/// <summary>
/// A parameter of the body of a <see cref="Scan"/>. Bodies are closed, so that its place is all that tells it from others: bodies that do the same
/// are the same.
/// </summary>
public sealed record BodyParameter(int Index, TensorType ParameterType) : Leaf
{
    public override string Name => "parameter";

    public override OpDoc Doc => new("what a scan gives its body", "what the scan sums or stacks");

    public override IReadOnlyList<OpAttribute> Attributes => [new("index", Index)];

    public override bool IsGradientFree => !ParameterType.DType.IsFloat();

    public override TensorType Type => ParameterType;

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context) =>
        throw new GraphException($"the parameter {Index} of a body has a value inside of its scan only");
}

/// <summary>
/// One step of a recurrence: from states, one element of each sequence, and constants, which are its parameters in this order, to the next states.
/// </summary>
/// <param name="Next">The next states, over the parameters.</param>
/// <param name="Sequences">The number of sequences.</param>
/// <param name="Length">The number of steps: the size of the first axis of every sequence.</param>
/// <param name="Reverse">Whether the steps go from the last element to the first.</param>
public sealed record ScanBody(ImmutableArray<Expr> Next, int Sequences, Dim Length, bool Reverse)
{
    public int States => Next.Length;

    public bool Equals(ScanBody? other) => other is not null && Sequences == other.Sequences && Reverse == other.Reverse && Length.Equals(other.Length) && Next.AsSpan().SequenceEqual(other.Next.AsSpan());

    public override int GetHashCode()
    {
        var code = new HashCode();
        code.Add(Sequences);
        code.Add(Reverse);
        code.Add(Length);
        foreach (var next in Next)
            code.Add(RuntimeHelpers.GetHashCode(next));
        return code.ToHashCode();
    }
}

/// <summary>
/// A recurrence s_{t+1} = f(s_t, x_t, c) over the first axis of sequences. A node is one thing that is asked of it: the last value of a state, or
/// what a function of state, element and constants gives at every step, stacked. Nodes of one body on the same arguments are one loop: they run as
/// one, and are differentiated as one.
/// </summary>
/// <param name="Body">The step.</param>
/// <param name="State">The state whose last value this is, where <paramref name="Output"/> is null.</param>
/// <param name="Output">What is stacked, over the parameters of the body.</param>
public sealed record Scan(ScanBody Body, int State, Expr? Output) : Op
{
    public override string Name => "scan";

    public override OpDoc Doc => new(
        "s₀ = init; sₜ₊₁ = f(sₜ, xₜ, c) for t = 0 … T − 1; the result is s_T, or the values g(sₜ, xₜ, c) stacked",
        "one scan in the other direction: s̄ₜ = f_sᵀ · s̄ₜ₊₁ + g_sᵀ · ȳₜ, and likewise for x and c, whose cotangents are summed over t",
        "Back-propagation through time (Werbos 1990) over the values of the forward steps that it uses. Products of weights are summed over all steps in one product.");

    public override IReadOnlyList<OpAttribute> Attributes =>
        [new("length", new Shape(Body.Length)), new("reverse", Body.Reverse), new("body", ScanText.Of(this))];

    public bool Equals(Scan? other) => other is not null && State == other.State && ReferenceEquals(Output, other.Output) && Body.Equals(other.Body);

    public override int GetHashCode() => HashCode.Combine(Body, State, Output is null ? 0 : RuntimeHelpers.GetHashCode(Output));

    public override TensorType Infer(ReadOnlySpan<TensorType> args)
    {
        var (states, sequences) = (Body.States, Body.Sequences);
        if (args.Length < states + sequences)
            throw Misfit($"takes {states} states and {sequences} sequences, not {args.Length} tensors");
        for (var i = 0; i < states; i++)
        {
            if (args[i].DType != Body.Next[i].DType)
                throw new ShapeException($"{Name}: a state of the type {args[i]} cannot become {Body.Next[i].Type}", args[i].Shape, Body.Next[i].Shape);
            RequireSame(args[i].Shape, Body.Next[i].Shape);
        }

        for (var i = states; i < states + sequences; i++)
        {
            if (args[i].Shape.Rank == 0)
                throw Misfit("a sequence has an axis to walk along, and this is a scalar");
            if (Dim.AreEqual(args[i].Shape[0], Body.Length) == Answer.Refuted)
                throw new ShapeException($"{Name}: a sequence of {args[i].Shape[0]} elements, and the length is {Body.Length}", args[i].Shape, axis: 0);
        }

        return Output is null ? args[State] : new TensorType(Output.DType, Output.Shape.Insert(0, Body.Length));
    }

    public override Expr?[] Vjp(Expr node, Expr cotangent) => ScanGradient.Vjp([node], [cotangent], [.. node.Args.Select(a => a.DType.IsFloat())]);

    public override Expr Batched(BatchedArgs args)
    {
        var parameters = ParametersOf([.. args.Values.Select((v, i) => args.Has[i] ? Expr.Variable("one", v.Shape.RemoveAt(0), v.DType) : v)], Body.States, Body.Sequences);

        // A state has the axis if what it starts from or becomes has it.
        var has = args.Has.ToArray();
        bool changed;
        do
        {
            var reached = new HashSet<Expr>(parameters.Where((_, i) => has[i]));
            foreach (var node in Expr.PostOrder(Body.Next))
            {
                if (node.Args.Any(reached.Contains))
                    reached.Add(node);
            }

            changed = false;
            for (var i = 0; i < Body.States; i++)
            {
                if (!has[i] && reached.Contains(Body.Next[i]))
                    has[i] = changed = true;
            }
        }
        while (changed);

        var mapped = parameters.Where((_, i) => has[i]).ToDictionary(p => p, p => Expr.Variable("many", p.Shape.Insert(0, args.Size), p.DType));
        var states = Enumerable.Range(0, Body.States).Where(i => has[i]).ToArray();
        var batched = Batching.Apply([.. states.Select(i => Body.Next[i]), .. Output is null ? Array.Empty<Expr>() : [Output]], mapped, args.Size);
        var step = Scans.Build(
            [.. args.Values.Select((v, i) => i < Body.States ? has[i] ? args.Full(i) : v : has[i] && i < Body.States + Body.Sequences ? v.SwapAxes(0, 1) : v)],
            [.. parameters.Select(p => mapped.GetValueOrDefault(p, p))],
            [.. Body.Next.Select((next, i) => has[i] ? batched[Array.IndexOf(states, i)] : next)],
            Output is null ? [] : [batched[^1]],
            Body.Sequences,
            Body.Length,
            Body.Reverse);
        return Output is not null ? step.Outputs[0].SwapAxes(0, 1) : has[State] ? step.Next[State] : new BatchedArgs([step.Next[State]], [false], args.Size).Full(0);
    }

    /// <summary>The same recurrence with the body passed through a transformation; this where nothing changes.</summary>
    public Scan Transform(Func<IReadOnlyList<Expr>, ImmutableArray<Expr>> transformation)
    {
        var roots = Output is null ? Body.Next : Body.Next.Add(Output);
        var changed = transformation(roots);
        return changed.AsSpan().SequenceEqual(roots.AsSpan()) ? this : new Scan(Body with { Next = changed[..Body.States] }, State, Output is null ? null : changed[^1]);
    }

    public override RefValue<T> Evaluate<T, TField>(Expr node, ReadOnlySpan<RefValue<T>> args, RefContext context)
    {
        var length = (int)Body.Length.Evaluate(context.Sizes);
        var (states, sequences) = (Body.States, Body.Sequences);
        var values = args.ToArray();
        for (var i = states; i < states + sequences; i++)
        {
            if (values[i].Dims[0] != length)
                throw Misfit($"sizes taken to be equal are not: a sequence has {values[i].Dims[0]} elements, and the length is {length}");
        }

        var roots = Output is null ? Body.Next : Body.Next.Add(Output);
        var parameters = Parameters(node);
        var slices = new RefValue<T>[length];
        for (var step = 0; step < length; step++)
        {
            var t = Body.Reverse ? length - 1 - step : step;
            var given = new Dictionary<Expr, RefValue<T>>();
            for (var i = 0; i < parameters.Length; i++)
                given[parameters[i]] = i >= states && i < states + sequences ? Slice(args[i], t) : values[i];
            var results = Reference.Evaluate<T, TField>(roots, given, context.Sizes);
            results.AsSpan(0, states).CopyTo(values);
            slices[t] = results[^1];
        }

        return Output is null ? values[State] : Stack(slices, [length, .. context.Evaluate(Output.Shape)], Output.DType.IsFloat());
    }

    /// <summary>The parameters of the body for the arguments of a node.</summary>
    public ImmutableArray<Expr> Parameters(Expr node) => ParametersOf(node.Args, Body.States, Body.Sequences);

    internal static ImmutableArray<Expr> ParametersOf(ImmutableArray<Expr> args, int states, int sequences) =>
        [.. args.Select((a, i) => Expr.Make(new BodyParameter(i, i >= states && i < states + sequences ? new TensorType(a.DType, a.Shape.RemoveAt(0)) : a.Type)))];

    private static RefValue<T> Slice<T>(RefValue<T> value, int t)
        where T : System.Numerics.INumberBase<T>
    {
        var dims = value.Dims[1..];
        var count = Strides.Count(dims);
        return value.Pick(dims, i => (t * count) + i);
    }

    private static RefValue<T> Stack<T>(RefValue<T>[] parts, int[] dims, bool real)
        where T : System.Numerics.INumberBase<T> => real
        ? RefValue<T>.Of(dims, [.. parts.SelectMany(p => p.Reals!)])
        : RefValue<T>.Of(dims, [.. parts.SelectMany(p => p.Integers!)]);
}

/// <summary>The body of a scan on one line.</summary>
internal static class ScanText
{
    public static string Of(Scan scan)
    {
        List<(string, Expr)> roots = [.. scan.Body.Next.Select((next, i) => ($"next {i}", next))];
        roots.Add(scan.Output is null ? ("result", scan.Body.Next[scan.State]) : ("stacked", scan.Output));
        var names = Expr.PostOrder(roots.Select(r => r.Item2)).Where(n => n.Op is BodyParameter).ToDictionary(n => n, n => $"${((BodyParameter)n.Op).Index}");
        return Printer.Definitions(roots, names).TrimEnd().Replace("\n", "; ", StringComparison.Ordinal);
    }
}

/// <summary>Puts scans together.</summary>
public static class Scans
{
    [ThreadStatic]
    private static ImmutableStack<Expr>? open;

    /// <summary>The numbers of the steps of the scans whose bodies are being composed on this thread: what makes the random draws of every step differ.</summary>
    internal static ImmutableStack<Expr> Open => open ?? [];

    /// <summary>What a step gives: the next states, and what is stacked.</summary>
    public readonly record struct Step(ImmutableArray<Expr> Next, ImmutableArray<Expr> Outputs)
    {
        /// <summary>The next states, then what is stacked.</summary>
        public ImmutableArray<Expr> All => [.. Next, .. Outputs];
    }

    /// <summary>How a recurrence walks.</summary>
    /// <param name="States">The number of states, which are the first inputs of the step.</param>
    /// <param name="Axis">The axis of the steps.</param>
    /// <param name="Reverse">Whether the steps go from the last element to the first.</param>
    /// <param name="Nodes">The results before the axis of the steps is moved to its place.</param>
    public sealed record Walk(int States, int Axis, bool Reverse, ImmutableArray<Expr> Nodes);

    /// <summary>
    /// A recurrence along an axis of sequences: what the step uses of the graph around it is a constant of the loop, and what depends on constants
    /// alone is computed once. Products of elements and constants become one product for all steps.
    /// </summary>
    /// <param name="init">The states before the first step; their shapes stay.</param>
    /// <param name="xs">The sequences, one or more; their common length may be symbolic.</param>
    /// <param name="step">A step as a function of states and elements.</param>
    /// <param name="axis">The axis of the steps.</param>
    /// <param name="reverse">Whether the steps go from the last element to the first; what is stacked keeps its place.</param>
    /// <returns>The last states, and the outputs of all steps stacked along the same axis: along a last one, where they have fewer axes than that.</returns>
    /// <exception cref="GraphException">There is no sequence, or the step gives another number of states.</exception>
    /// <exception cref="ShapeException">Sequences differ in length, or a state would change its shape or element type.</exception>
    public static Step Run(ImmutableArray<Expr> init, ImmutableArray<Expr> xs, Func<ImmutableArray<Expr>, ImmutableArray<Expr>, Step> step, int axis = 1, bool reverse = false)
    {
        if (xs.IsEmpty)
            throw new GraphException("scan: a recurrence needs a sequence to walk along");
        var length = xs[0].Shape[xs[0].Shape.Axis(axis)];
        foreach (var x in xs)
        {
            if (Dim.AreEqual(x.Shape[x.Shape.Axis(axis)], length) == Answer.Refuted)
                throw new ShapeException($"scan: the sequences have {length} and {x.Shape[x.Shape.Axis(axis)]} elements along axis {axis}", xs[0].Shape, x.Shape);
        }

        ImmutableArray<Expr> sequences = [.. xs.Select(x => x.MoveAxis(axis, 0))];
        ImmutableArray<Expr> states = [.. init.Select((s, i) => Expr.Variable($"state{i}", s.Shape, s.DType))];
        ImmutableArray<Expr> elements = [.. sequences.Select((x, i) => Expr.Variable($"element{i}", x.Shape.RemoveAt(0), x.DType))];
        var index = Expr.Variable("index", Shape.Scalar, DType.I64);
        var outer = open;
        Step made;
        try
        {
            open = Open.Push(index);
            made = step(states, elements);
        }
        finally
        {
            open = outer;
        }

        if (made.Next.Length != init.Length)
            throw new GraphException($"scan: {init.Length} states become {made.Next.Length}");
        var roots = made.All;
        for (var i = 0; i < init.Length; i++)
        {
            if (init[i].DType != roots[i].DType)
            {
                roots = roots[i].DType.IsFloat() || !init[i].DType.IsFloat()
                    ? throw new ShapeException($"scan: a state of the type {init[i].Type} cannot become {roots[i].Type}", init[i].Shape, roots[i].Shape)
                    : roots.SetItem(i, roots[i].Cast(init[i].DType));
            }
        }

        if (Expr.PostOrder(roots).Contains(index))
        {
            elements = elements.Add(index);
            sequences = sequences.Add(Expr.Iota(new Shape(length), 0));
        }

        var (given, results) = (states.AddRange(elements), roots);
        (roots, var products) = HoistProducts(roots, [.. states, index], [.. elements.Zip(sequences).Where(e => e.First != index)], length);
        elements = elements.AddRange(products.Select(p => p.Element));
        sequences = sequences.AddRange(products.Select(p => p.Sequence));
        var constants = Free(roots, [.. states, .. elements]);
        var built = Build(
            [.. init, .. sequences, .. constants],
            [.. states, .. elements, .. constants],
            roots[..init.Length],
            roots[init.Length..],
            sequences.Length,
            length,
            reverse,
            ModelBuilder.Current?.Provenance);
        var placed = built with { Outputs = [.. built.Outputs.Select(y => y.MoveAxis(0, axis < 0 ? Math.Max(0, y.Rank + axis) : Math.Min(axis, y.Rank - 1)))] };
        ModelBuilder.Current?.Keep([.. init, .. xs], given, results, placed.All, new(init.Length, axis, reverse, built.All));
        return placed;
    }

    /// <summary>What is in the place of a node came from where that did.</summary>
    private sealed class SamePlace(Provenance provenance) : IDerivationListener
    {
        public void Derived(Expr result, Expr origin)
        {
            if (provenance.Find(origin) is { } known)
                provenance.Record(result, known.Location, known.Scope);
        }
    }

    /// <summary>As <see cref="Build"/>, for a recurrence of a model whose step names its constants, as printed graphs have it.</summary>
    public static Step Closed(ImmutableArray<Expr> args, ImmutableArray<Expr> placeholders, ImmutableArray<Expr> next, ImmutableArray<Expr> outputs, int sequences, Dim length, bool reverse)
    {
        var own = next.Length + sequences;
        var constants = Enumerable.Range(own, args.Length - own).ToDictionary(i => placeholders[i], i => args[i]);
        var built = Build(args, placeholders, next, outputs, sequences, length, reverse);

        // It is printed as it came, not as what would be composed anew: the graph has it as nothing that was made of this function.
        if (ModelBuilder.Current is { } builder)
            builder.Keep(args[..own], placeholders[..own], [.. Expr.Substitute([.. next, .. outputs], constants, new SamePlace(builder.Provenance))], [], new(next.Length, 0, reverse, built.All));
        return built;
    }

    /// <summary>The nodes of a scan on <paramref name="args"/> whose body is written over <paramref name="placeholders"/>, one for each argument.</summary>
    public static Step Build(ImmutableArray<Expr> args, ImmutableArray<Expr> placeholders, ImmutableArray<Expr> next, ImmutableArray<Expr> outputs, int sequences, Dim length, bool reverse, IDerivationListener? listener = null)
    {
        var parameters = Scan.ParametersOf(args, next.Length, sequences);
        var map = new Dictionary<Expr, Expr>();
        for (var i = 0; i < args.Length; i++)
            map[placeholders[i]] = parameters[i];
        ImmutableArray<Expr> roots = [.. next, .. outputs];
        var closed = Expr.Substitute(roots, map, listener);
        var body = new ScanBody(closed[..next.Length], sequences, length, reverse);
        return new Step(
            [.. next.Select((_, i) => Expr.Make(new Scan(body, i, null), args.AsSpan()))],
            [.. closed[next.Length..].Select(output => Expr.Make(new Scan(body, 0, output), args.AsSpan()))]);
    }

    /// <summary>
    /// Takes products of what the elements alone decide with constants out of the loop, each as large as possible: one product over all steps, whose
    /// elements the loop walks along.
    /// </summary>
    private static (ImmutableArray<Expr> Roots, List<(Expr Element, Expr Sequence)> Products) HoistProducts(
        ImmutableArray<Expr> roots, ImmutableArray<Expr> changing, ImmutableArray<(Expr Element, Expr Sequence)> walked, Dim length)
    {
        var order = Expr.PostOrder(roots);
        var (fixedByElements, products) = (new HashSet<Expr>(walked.Select(w => w.Element)), new HashSet<Expr>());
        var others = new HashSet<Expr>(changing);
        foreach (var node in order)
        {
            if (node.Args.Any(others.Contains) || (node.Args.Any(fixedByElements.Contains) && !CanHoist(node)))
                others.Add(node);
            else if (node.Args.Any(fixedByElements.Contains))
                fixedByElements.Add(node);
            if (fixedByElements.Contains(node) && node.Op is DotGeneral or ConvGeneral && node.Args.Count(fixedByElements.Contains) == 1)
                products.Add(node);
        }

        // Uses by others, and by the roots, are where the loop begins.
        var taken = order.Where(n => others.Contains(n)).SelectMany(n => n.Args).Concat(roots);
        var mapped = walked.ToDictionary(w => w.Element, w => w.Sequence);
        var replaced = new Dictionary<Expr, Expr>();
        var pending = new Stack<Expr>(taken.Where(fixedByElements.Contains));
        var seen = new HashSet<Expr>();
        while (pending.TryPop(out var node))
        {
            if (!fixedByElements.Contains(node) || !seen.Add(node))
                continue;
            if (products.Contains(node))
            {
                replaced[node] = Expr.Variable($"product{replaced.Count}", node.Shape, node.DType);
                continue;
            }

            foreach (var arg in node.Args)
                pending.Push(arg);
        }

        if (replaced.Count == 0)
            return (roots, []);
        ImmutableArray<Expr> found = [.. replaced.Keys];
        var stacked = Batching.Apply(found, mapped, length, ModelBuilder.Current?.Provenance);
        return ([.. Expr.Substitute(roots, replaced)], [.. found.Select((p, i) => (replaced[p], stacked[i]))]);

        bool CanHoist(Expr node) => node.Op is Unary or Binary or DotGeneral or ConvGeneral or Reshape or Transpose or Broadcast or Slice or Concat or Sum;
    }

    /// <summary>Whether a node only shows its argument in another way.</summary>
    internal static bool IsView(Expr node) => node.Op is Broadcast or Reshape or Transpose;

    /// <summary>
    /// What the roots use that does not depend on the placeholders, each once and as large as possible; numbers, and views of anything, stay inside.
    /// </summary>
    private static ImmutableArray<Expr> Free(ImmutableArray<Expr> roots, ImmutableArray<Expr> placeholders)
    {
        var inner = new HashSet<Expr>(placeholders);
        var order = Expr.PostOrder(roots, inner.Contains);
        foreach (var node in order)
        {
            if (node.Args.Any(inner.Contains))
                inner.Add(node);
        }

        var free = ImmutableArray.CreateBuilder<Expr>();
        var seen = new HashSet<Expr>();
        var pending = new Stack<Expr>();
        foreach (var use in order.Where(inner.Contains).SelectMany(n => n.Args).Concat(roots))
        {
            pending.Push(use);
            while (pending.TryPop(out var node))
            {
                if (inner.Contains(node) || !seen.Add(node))
                    continue;
                if (IsView(node))
                    pending.Push(node.Args[0]);
                else if (node.Op is not (Leaf and not Variable and not BodyParameter))
                    free.Add(node);
            }
        }

        return free.ToImmutable();
    }
}
