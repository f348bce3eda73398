using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>A place in source text; line and column count from 1.</summary>
public sealed record SourceLocation(string File, int Start, int Length, int Line, int Column)
{
    public override string ToString() => $"{File}:{Line}:{Column}";
}

/// <summary>A trainable tensor.</summary>
/// <param name="Path">Its path, such as <c>blocks[3].attn.wq.weight</c>.</param>
/// <param name="Variable">The node that stands for it.</param>
/// <param name="Initializer">What it starts from.</param>
/// <param name="Options">How it trains.</param>
/// <param name="Location">Where it was declared.</param>
public sealed record Parameter(string Path, Expr Variable, Initializer Initializer, ParameterOptions Options, SourceLocation? Location = null)
{
    public Shape Shape => Variable.Shape;

    /// <summary>Whether what follows its layer decided what it starts from.</summary>
    public bool IsAuto { get; init; }
}

/// <summary>How a parameter trains.</summary>
/// <param name="Frozen">It keeps its value and gets no gradient.</param>
/// <param name="NoDecay">Weight decay leaves it alone. By default only tensors of two and more axes decay.</param>
/// <param name="LearningRateScale">A factor on the learning rate.</param>
public sealed record ParameterOptions(bool Frozen = false, bool NoDecay = false, double LearningRateScale = 1)
{
    public static ParameterOptions Default { get; } = new();
}

/// <summary>State that is saved but not trained, such as a running mean.</summary>
/// <param name="Path">Its path.</param>
/// <param name="Variable">The node that stands for its value.</param>
/// <param name="Initializer">What it starts from.</param>
/// <param name="Next">Its value after a training step; null where nothing updates it.</param>
public sealed record ModelBuffer(string Path, Expr Variable, Initializer Initializer, Expr? Next = null);

/// <summary>One application of a layer, or a function worth a name: part of the tree that a model carries beside its graph.</summary>
public sealed class Scope(string path, string kind, Scope? parent, ImmutableArray<Expr> inputs, SourceLocation? location)
{
    /// <summary>The path of the instance, such as <c>encoder.attn</c>; for a function, that of the layer around it.</summary>
    public string Path { get; } = path;

    /// <summary>The kind of layer or the function, such as <c>dense</c>.</summary>
    public string Kind { get; } = kind;

    /// <summary>The application that this one happened in; null at the top.</summary>
    public Scope? Parent { get; } = parent;

    /// <summary>What it was applied to.</summary>
    public ImmutableArray<Expr> Inputs { get; } = inputs;

    /// <summary>What it was given by name.</summary>
    public ImmutableArray<Named> Named { get; init; } = [];

    /// <summary>The layer; null for a function.</summary>
    public Layer? Layer { get; init; }

    /// <summary>How it used the parameters, beyond how the application around it did; innermost first.</summary>
    public ImmutableArray<ParameterUse> Uses { get; init; } = [];

    /// <summary>What came out.</summary>
    public ImmutableArray<Expr> Outputs { get; internal set; } = [];

    public SourceLocation? Location { get; } = location;

    /// <summary>The values of buffers that earlier applications had given a next value.</summary>
    internal HashSet<Expr>? StateRead { get; private set; }

    /// <summary>The next values of the buffers that it updated, by path.</summary>
    internal Dictionary<string, Expr>? StateWritten { get; private set; }

    internal void Reads(string buffer, Expr value)
    {
        if (StateWritten?.ContainsKey(buffer) != true)
            (StateRead ??= []).Add(value);
    }

    internal void Updates(string buffer, Expr next) => (StateWritten ??= new(StringComparer.Ordinal))[buffer] = next;
}

/// <summary>A layer that was given a place in a model, and was applied to nothing.</summary>
public sealed record IdleLayer(string Path, string Kind, SourceLocation? Location);

/// <summary>
/// A network: named inputs, targets, parameters and buffers, and the graphs of outputs, losses and metrics over them. Nodes know
/// nothing of names; the model does.
/// </summary>
public sealed record Model
{
    public required string Name { get; init; }

    /// <summary>What is fed.</summary>
    public required ImmutableArray<Named> Inputs { get; init; }

    /// <summary>What is fed in training and evaluation, and absent at inference.</summary>
    public required ImmutableArray<Named> Targets { get; init; }

    public required ImmutableArray<Parameter> Parameters { get; init; }

    public required ImmutableArray<ModelBuffer> Buffers { get; init; }

    public required ImmutableArray<Named> Outputs { get; init; }

    public required ImmutableArray<Named> Losses { get; init; }

    public required ImmutableArray<Named> Metrics { get; init; }

    /// <summary>Every application of a layer or named function, in order.</summary>
    public ImmutableArray<Scope> Scopes { get; init; } = [];

    /// <summary>What signatures ask of sizes that are known only when data come.</summary>
    public ImmutableArray<SizeCheck> Checks { get; init; } = [];

    /// <summary>Layers that have a place and were never applied.</summary>
    public ImmutableArray<IdleLayer> Idle { get; init; } = [];

    /// <summary>The functions that the graph has inside of other nodes, as they were composed; those in functions before these.</summary>
    public ImmutableArray<OpenBody> Bodies { get; init; } = [];

    /// <summary>Where nodes came from.</summary>
    public Provenance Provenance { get; init; } = new();

    /// <summary>The sum of the losses.</summary>
    /// <exception cref="GraphException">The model has no loss.</exception>
    public Expr TotalLoss => Losses.IsEmpty
        ? throw new GraphException($"the model {Name} has no loss")
        : Losses.Skip(1).Aggregate(Losses[0].Value, (sum, loss) => sum + loss.Value);

    /// <summary>The parameters that training changes.</summary>
    public IEnumerable<Parameter> Trainable => Parameters.Where(p => !p.Options.Frozen);

    /// <summary>The number of trainable and frozen numbers.</summary>
    public long ParameterCount => Parameters.Sum(p => p.Shape.ElementCount.Value);

    /// <summary>Names for the variables: inputs by name, parameters and buffers by path.</summary>
    public IReadOnlyDictionary<Expr, string> VariableNames
    {
        get
        {
            var names = new Dictionary<Expr, string> { [RandomState.Seed] = "seed", [RandomState.Step] = "step" };
            foreach (var (name, value) in Inputs.Concat(Targets))
                names[value] = name;
            foreach (var parameter in Parameters)
                names[parameter.Variable] = parameter.Path;
            foreach (var buffer in Buffers)
                names[buffer.Variable] = buffer.Path;
            return names;
        }
    }

    /// <summary>Composes a model: layers that are applied inside the function put their parameters into it.</summary>
    /// <exception cref="GraphException">The composition does not fit; the message says where.</exception>
    public static Model Build(string name, Action<ModelBuilder> compose)
    {
        var builder = new ModelBuilder(name);
        using (builder.Enter())
            compose(builder);
        return builder.Complete();
    }
}

/// <summary>A function that the graph has inside of other nodes: the step of a recurrence, or what a checkpoint computes again.</summary>
/// <param name="Scope">The application that it belongs to, if any.</param>
/// <param name="Inputs">What it was applied to: of a step, the states before the first one, and the sequences.</param>
/// <param name="Given">What stands for these in it; in a step, its number may follow.</param>
/// <param name="Results">What it makes of them, over these and the nodes around it.</param>
/// <param name="Made">What the graph has as the results.</param>
/// <param name="Walk">How the recurrence walks, if it is one.</param>
public sealed record OpenBody(Scope? Scope, ImmutableArray<Expr> Inputs, ImmutableArray<Expr> Given, ImmutableArray<Expr> Results, ImmutableArray<Expr> Made, Scans.Walk? Walk = null);

/// <summary>The seed and the step that all random numbers of a graph are functions of.</summary>
public static class RandomState
{
    public static Expr Seed { get; } = Expr.Variable("seed", Shape.Scalar, DType.I64);

    /// <summary>The number of optimizer steps taken; 0 in evaluation.</summary>
    public static Expr Step { get; } = Expr.Variable("step", Shape.Scalar, DType.I64);

    /// <summary>The key of one draw: a function of seed, step, the place that draws, and the steps of the recurrences around it.</summary>
    public static Expr Key(string place)
    {
        var key = Expr.Make(new RngFold(), Expr.Make(new RngFold(), Seed, Step), Expr.Make(new RngFold(), Expr.Scalar(Bits(place, 32), DType.I64), Expr.Scalar(Bits(place, 0), DType.I64)));
        return Scans.Open.Aggregate(key, (k, index) => Expr.Make(new RngFold(), k, index));
    }

    // A literal is a double: 64 bits of hash go in two halves.
    private static double Bits(string place, int shift) => (uint)(StableHash.Of64(place) >> shift);
}

/// <summary>From which places and layers nodes came; followed through differentiation and rewriting.</summary>
public sealed class Provenance : IDerivationListener
{
    private readonly Dictionary<Expr, Origin> origins = [];

    /// <summary>A place and a layer; either may be missing. More than one leads to a node that several places built.</summary>
    public sealed record Origin(SourceLocation? Location, Scope? Scope, Origin? Other = null)
    {
        /// <summary>Whether the node was derived from what was built there: a derivative, or a rewritten form.</summary>
        public bool IsDerived { get; init; }
    }

    public Origin? Find(Expr node) => origins.GetValueOrDefault(node);

    private readonly Dictionary<Expr, ImmutableArray<(string Name, Scope? Scope)>> names = [];
    private readonly Dictionary<Expr, FunctionCall> calls = [];

    /// <summary>Gives a node the name that it has in an application, or at the top; the first one of each stays.</summary>
    public void Name(Expr node, string name, Scope? scope)
    {
        var known = NamesOf(node);
        if (known.All(n => n.Scope != scope))
            names[node] = known.Add((name, scope));
    }

    /// <summary>The names of a node, and the applications that it has them in.</summary>
    public ImmutableArray<(string Name, Scope? Scope)> NamesOf(Expr node) => names.GetValueOrDefault(node, []);

    /// <summary>Notes the call whose value a node is; of calls in calls, the outermost.</summary>
    public void Note(Expr node, FunctionCall call) => calls[node] = call;

    /// <summary>The call whose value a node is.</summary>
    public FunctionCall? CallOf(Expr node) => calls.GetValueOrDefault(node);

    /// <summary>Gives an origin to a node, and to what it was made of, down to nodes that have one.</summary>
    public void Record(Expr root, SourceLocation? location, Scope? scope)
    {
        var origin = new Origin(location, scope);
        if (origins.TryGetValue(root, out var known))
        {
            if (known.Other is null && (known.Location != location || known.Scope != scope))
                origins[root] = known with { Other = origin };
            return;
        }

        Spread(root, origin);
    }

    private readonly Dictionary<Expr, Scope> results = [];
    private readonly Dictionary<Expr, Expr> cotangents = [];

    /// <summary>The outermost application whose result a node is.</summary>
    public Scope? ResultOf(Expr node) => results.GetValueOrDefault(node);

    /// <summary>The node whose cotangent a node is.</summary>
    public Expr? CotangentOf(Expr node) => cotangents.GetValueOrDefault(node);

    /// <summary>Notes that a node is a result of an application; of one in another, the outer.</summary>
    internal void Result(Expr node, Scope scope) => results[node] = scope;

    public void Derived(Expr result, Expr origin)
    {
        Spring(result, origin);

        // What stands in the place of another has its name.
        if (result.Args.IsEmpty)
            return;
        if (names.TryGetValue(origin, out var known))
            names.TryAdd(result, known);
        if (results.TryGetValue(origin, out var scope))
            results.TryAdd(result, scope);
        if (cotangents.TryGetValue(origin, out var of))
            cotangents.TryAdd(result, of);
    }

    public void Differentiated(Expr result, Expr of, bool isWhole)
    {
        Spring(result, of);
        if (isWhole && !result.Args.IsEmpty)
            cotangents.TryAdd(result, of);
    }

    private void Spring(Expr result, Expr origin)
    {
        if (!origins.ContainsKey(result) && origins.TryGetValue(origin, out var known))
            Spread(result, known.IsDerived ? known : known with { IsDerived = true });
    }

    private void Spread(Expr root, Origin origin)
    {
        var pending = new Stack<Expr>([root]);
        while (pending.TryPop(out var node))
        {
            if (!origins.TryAdd(node, origin))
                continue;
            foreach (var arg in node.Args)
            {
                if (!origins.ContainsKey(arg))
                    pending.Push(arg);
            }
        }
    }
}
