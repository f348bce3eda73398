using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>
/// An instance of a layer: a function of tensors with parameters of its own. Applying one instance twice shares them; an expression that
/// constructs a layer makes a new instance each time it is evaluated.
/// </summary>
public sealed class Layer
{
    private readonly Func<LayerContext, ImmutableArray<Expr>, ImmutableArray<Expr>> body;
    private readonly ImmutableArray<(string Name, Func<LayerContext, Expr, Expr> Body)> views = [];

    /// <param name="kind">The kind, such as <c>dense</c>; with an index it names instances that have no name.</param>
    /// <param name="body">What an application computes from the tensors given by position; it asks its context for those given by name.</param>
    /// <param name="name">The name of the instance in parameter paths.</param>
    /// <param name="options">The tensors that may be given by name, such as <c>mask</c>.</param>
    public Layer(string kind, Func<LayerContext, ImmutableArray<Expr>, ImmutableArray<Expr>> body, string? name = null, params ImmutableArray<string> options)
    {
        Kind = kind;
        Name = name;
        Options = options;
        this.body = body;
    }

    public Layer(string kind, Func<LayerContext, Expr, Expr> body, string? name = null)
        : this(kind, (context, inputs) => inputs is [var x] ? [body(context, x)] : throw new GraphException($"{kind} takes one tensor, not {inputs.Length}"), name)
    {
    }

    public string Kind { get; }

    /// <summary>The name of this instance, where it has one.</summary>
    public string? Name { get; }

    /// <summary>The tensors that may be given by name.</summary>
    public ImmutableArray<string> Options { get; }

    /// <summary>How source writes it, if it can.</summary>
    public LayerNotation? Notation { get; private init; }

    /// <summary>The same layer with the notation that printed models have for it.</summary>
    public Layer Written(LayerNotation? notation) => new(Kind, body, Name, Options) { Views = Views, Notation = notation, Uses = Uses, InputNames = InputNames };

    /// <summary>A new instance of the same layer under a name: <c>Dense(128).Named("fc1")</c> has the parameter <c>fc1.weight</c>.</summary>
    public Layer Named(string name) => new(Kind, body, name, Options) { Views = Views, Notation = Notation, Uses = Uses, InputNames = InputNames };

    /// <summary>What the tensors given by position are called in printed source; x where nothing is said.</summary>
    public ImmutableArray<string> InputNames { get; init; } = [];

    /// <summary>How this view uses the parameters of its instance, innermost first.</summary>
    internal ImmutableArray<ParameterUse> Uses { get; init; } = [];

    /// <summary>The name of this view among the functions of its instance; null for the layer itself.</summary>
    internal string? ViewName { get; private init; }

    /// <summary>Other functions of the same parameters, such as <c>attend</c> of an embedding.</summary>
    internal ImmutableArray<(string Name, Func<LayerContext, Expr, Expr> Body)> Views { get => views; init => views = value; }

    /// <summary>The layer whose instance this one is another view of; itself for most.</summary>
    internal Layer Instance => instance ?? this;

    private Layer? instance;

    /// <summary>Another function of the same parameters, or null: <c>embedding.View("attend")</c>.</summary>
    public Layer? View(string name)
    {
        foreach (var view in Views)
        {
            if (view.Name == name)
                return new Layer($"{Kind}.{name}", view.Body) { instance = Instance, ViewName = name };
        }

        return null;
    }

    /// <summary>The names of other functions of the same parameters.</summary>
    public IEnumerable<string> ViewNames => Views.Select(v => v.Name);

    /// <summary>The same instance, in whose applications through this view no gradient reaches its parameters.</summary>
    public Layer Frozen() => Used(new ParameterUse { Frozen = true });

    /// <summary>The same instance, whose parameters weight decay leaves alone.</summary>
    public Layer NoDecay() => Used(new ParameterUse { NoDecay = true });

    /// <summary>The same instance, whose parameters train at a multiple of the learning rate.</summary>
    public Layer ScaleLearningRate(double factor) => Used(new ParameterUse { LearningRateScale = factor });

    /// <summary>The same instance, applied through this view with another tensor in the place of a parameter.</summary>
    public Layer With(string parameter, Expr value) => Used(new ParameterUse { Values = [new GivenParameter(this, parameter, value)] });

    /// <summary>The same instance; what an application through this view computes between input and result is computed again for gradients rather than kept.</summary>
    public Layer Checkpoint() => new(Kind, (context, inputs) => Graph.Checkpoint.Apply(inputs, x => body(context, x)), Name, Options)
    {
        instance = Instance,
        Uses = Uses.Add(new ParameterUse { Checkpoint = true }),
    };

    private Layer Used(ParameterUse use) => new(Kind, (context, inputs) =>
    {
        using var entered = ModelBuilder.Current!.Use(use);
        return body(context, inputs);
    }, Name, Options)
    { instance = Instance, Uses = Uses.Add(use) };

    /// <summary>The composition: this, then another.</summary>
    public Layer Then(Layer next) => Layers.Sequential(this, next);

    /// <summary>Applies the instance inside <see cref="Model.Build"/>.</summary>
    /// <exception cref="GraphException">No model is being built, or the tensors do not fit.</exception>
    public Expr Apply(Expr x) => ApplyAll([x]) is [var y] ? y : throw new GraphException($"{Kind} gives several tensors; take them with ApplyAll");

    /// <summary>Applies the instance to several tensors, and to others by name: <c>attention.ApplyAll([q, kv], new Named("mask", m))</c>.</summary>
    /// <param name="inputs">The tensors by position.</param>
    /// <param name="named">Those by name, each one of <see cref="Options"/>; a name that takes several tensors stands before each.</param>
    /// <exception cref="GraphException">No model is being built, the layer has no such name, or the tensors do not fit.</exception>
    public ImmutableArray<Expr> ApplyAll(ImmutableArray<Expr> inputs, params ImmutableArray<Named> named) =>
        (ModelBuilder.Current ?? throw new GraphException($"{Kind}: a layer is applied inside Model.Build, which keeps its parameters")).Apply(this, inputs, named);

    internal ImmutableArray<Expr> Run(LayerContext context, ImmutableArray<Expr> inputs) => body(context, inputs);
}

/// <summary>How source constructs a layer: <c>dense(64, bias = false)</c>.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Arguments">Those that are not the default.</param>
/// <param name="TakesInit">Whether it has an argument <c>init</c> that is <c>auto</c> unless given.</param>
public sealed record LayerNotation(string Name, ImmutableArray<(string? Name, string Text)> Arguments, bool TakesInit = false)
{
    /// <summary>The names in arguments that are layers.</summary>
    public ImmutableArray<string> Words { get; private init; } = [];

    /// <summary>The notation of a layer from its arguments and their defaults; null where one has no notation. What has no default goes by position.</summary>
    public static LayerNotation? Of(string name, bool takesInit, params ReadOnlySpan<(string Name, object? Value, object? Default)> arguments)
    {
        var texts = ImmutableArray.CreateBuilder<(string?, string)>();
        ImmutableArray<string> words = [];
        foreach (var (argument, value, @default) in arguments)
        {
            if (value is LayerSource source)
                words = words.AddRange(source.Words);
            var isRequired = ReferenceEquals(@default, Required);
            if (!isRequired && Equals(value, @default))
                continue;
            if (Text(value) is not { } text)
                return null;
            texts.Add((isRequired ? null : argument, text));
        }

        return new(name, texts.ToImmutable(), takesInit) { Words = words };
    }

    /// <summary>A static argument as source; null where it has no notation.</summary>
    public static string? Text(object? value) => value switch
    {
        null => "none",
        int whole => Printer.Number(whole),
        bool or long or double or Extent or Padding or DType or Dim or Graph.Shape or ValueList<double> => Printer.Text(value),
        int[] axes => axes is [var only] ? Printer.Number(only) : $"[{string.Join(", ", axes)}]",
        (double first, double second) => $"({Printer.Number(first)}, {Printer.Number(second)})",
        Initializer initializer => ModelPrinter.Text(initializer),
        LayerSource source => source.Text,
        string word => Printer.Text(word),
        _ => null,
    };

    /// <summary>Stands for the default of an argument that has none.</summary>
    public static object Required { get; } = new();

    /// <summary>The call, perhaps with an initializer.</summary>
    public string ToSource(Initializer? init = null) =>
        $"{Name}({string.Join(", ", Arguments.Select(a => a.Name is null ? a.Text : $"{a.Name} = {a.Text}").Concat(init is null ? [] : [$"init = {ModelPrinter.Text(init)}"]))})";
}

/// <summary>A layer in the arguments of another, as source that means the same everywhere.</summary>
/// <param name="Text">The expression.</param>
/// <param name="Words">The names of the language in it.</param>
public sealed record LayerSource(string Text, ImmutableArray<string> Words);

/// <summary>A call of a function as source writes it: <c>max_pool2d(x, 2)</c>.</summary>
/// <param name="Name">The function.</param>
/// <param name="Arguments">Those that are not the default, by position and then by name.</param>
/// <param name="IsLayer">Whether its bare name may stand after a pipe.</param>
public sealed record FunctionCall(string Name, ImmutableArray<FunctionArgument> Arguments, bool IsLayer)
{
    /// <summary>The tensors among the arguments.</summary>
    public IEnumerable<Expr> Tensors => Arguments.SelectMany(a => a.Tensors);

    /// <summary>The call of a function of tensors from its static arguments and their defaults; null where one has no notation.</summary>
    public static FunctionCall? Of(string name, ReadOnlySpan<Expr> tensors, params ReadOnlySpan<(string Name, object? Value, object? Default)> arguments)
    {
        var all = ImmutableArray.CreateBuilder<FunctionArgument>();
        foreach (var tensor in tensors)
            all.Add(new FunctionArgument(null, [tensor], null));
        if (LayerNotation.Of(name, takesInit: false, arguments) is not { } notation)
            return null;
        all.AddRange(notation.Arguments.Select(a => new FunctionArgument(a.Name, [], a.Text)));
        return new FunctionCall(name, all.ToImmutable(), IsLayer: tensors.Length == 1 && notation.Arguments.All(a => a.Name is not null));
    }
}

/// <summary>An argument of a call: a tensor, a list of them, or static text.</summary>
public sealed record FunctionArgument(string? Name, ImmutableArray<Expr> Tensors, string? Text, bool IsList = false)
{
    /// <summary>The sizes that the text names.</summary>
    public ImmutableArray<Dim> Sizes { get; init; } = [];
}

/// <summary>A tensor in the place of a parameter of an instance.</summary>
public sealed record GivenParameter(Layer Layer, string Name, Expr Value)
{
    /// <summary>Whether the layer has asked for the parameter.</summary>
    public bool IsUsed { get; internal set; }
}

/// <summary>How parameters are used while it is entered, see <see cref="ModelBuilder.Use"/>.</summary>
public sealed record ParameterUse
{
    /// <summary>No gradient reaches them.</summary>
    public bool Frozen { get; init; }

    /// <summary>Weight decay leaves them alone, everywhere.</summary>
    public bool NoDecay { get; init; }

    /// <summary>A factor on the learning rate, everywhere.</summary>
    public double LearningRateScale { get; init; } = 1;

    /// <summary>What is computed with them is computed again for gradients.</summary>
    public bool Checkpoint { get; init; }

    /// <summary>Other tensors in their place.</summary>
    public ImmutableArray<GivenParameter> Values { get; init; } = [];
}

/// <summary>What the body of a layer asks of its instance: parameters, buffers, random keys.</summary>
public sealed class LayerContext
{
    private readonly ModelBuilder builder;
    private readonly ModelBuilder.Instance instance;
    private readonly int application;
    private readonly ImmutableArray<Named> named;
    private int draws;

    internal LayerContext(ModelBuilder builder, ModelBuilder.Instance instance, int application, ImmutableArray<Named> named)
    {
        this.builder = builder;
        this.instance = instance;
        this.application = application;
        this.named = named;
    }

    /// <summary>The path of the instance.</summary>
    public string Path => instance.Path;

    /// <summary>The parameter of this instance under a name: made by the first application, shared by the others.</summary>
    /// <exception cref="ShapeException">It was made with another shape.</exception>
    public Expr Parameter(string name, Shape shape, Initializer initializer, ParameterOptions? options = null) =>
        builder.Parameter(instance, name, new TensorType(DType.Float, shape), initializer, options ?? ParameterOptions.Default);

    /// <summary>The present value of a buffer of this instance.</summary>
    public Expr Buffer(string name, Shape shape, Initializer initializer, DType type = DType.Float) => builder.Buffer(instance, name, new TensorType(type, shape), initializer);

    /// <summary>The next value of a buffer, in training. Several updates apply in order; no gradient passes.</summary>
    public void Update(string name, Expr next) => builder.Update(instance, name, next);

    /// <summary>The tensor that was given under a name, or null.</summary>
    public Expr? Optional(string name) => Several(name) switch
    {
        [] => null,
        [var only] => only,
        var several => throw new GraphException($"`{name}` is one tensor, not {several.Length}"),
    };

    /// <summary>The tensors that were given under a name; none where it was not.</summary>
    public ImmutableArray<Expr> Several(string name) => [.. named.Where(n => n.Name == name).Select(n => n.Value)];

    /// <summary>A layer inside of this one, under a name: made by the first application, shared by the others.</summary>
    public Layer Part(string name, Func<Layer> make)
    {
        if (!instance.Parts.TryGetValue(name, out var part))
            instance.Parts[name] = part = make().Named(name);
        return part;
    }

    /// <summary>The position in the sequence of the first element that is fed, while decoding; null otherwise, where it is 0.</summary>
    public Expr? Position => builder.Position;

    /// <summary>The positions of so many elements: 0, 1, …, and while decoding from the present position on.</summary>
    public Expr Positions(Dim length) => Position is { } first ? Expr.Iota(new Shape(length), 0) + first : Expr.Iota(new Shape(length), 0);

    /// <summary>Asks for at least one element of a sequence [B, T, D]: here where T is known, else when it is fed.</summary>
    internal void RequireSome(Expr sequence)
    {
        var length = sequence.Shape[1];
        if (length is { IsKnown: true, Value: 0 })
            throw new ShapeException($"{instance.Path}: the sequence {sequence.Shape} is empty, and at least one element is needed", sequence.Shape, axis: 1);
        if (!length.IsKnown)
            builder.Require(new SizeCheck(length, Dim.One, "the sequence", instance.Path, builder.Location) { IsLeast = true });
    }

    /// <summary>A value that decoding carries from token to token, one for each application of the instance; zeros at first.</summary>
    internal Expr Carried(string name, Shape shape) => builder.Buffer(instance, CarriedName(name), new TensorType(DType.Float, shape), Initializers.Zeros);

    /// <summary>What the next token gets of it.</summary>
    internal void Carry(string name, Expr next) => builder.Carry(instance, CarriedName(name), next);

    private string CarriedName(string name) => application == 0 ? name : $"{name}_{application}";

    /// <summary>A key for random numbers that no other place, application or draw has.</summary>
    public Expr RandomKey() => RandomState.Key($"{instance.Path}#{application}#{draws++}");
}

/// <summary>Collects what layers and declarations add to a model while it is composed.</summary>
public sealed class ModelBuilder
{
    [ThreadStatic]
    private static ModelBuilder? current;

    private readonly string name;
    private readonly List<Named> inputs = [];
    private readonly List<Named> targets = [];
    private readonly List<Named> outputs = [];
    private readonly List<Named> losses = [];
    private readonly List<Named> metrics = [];
    private readonly List<Parameter> parameters = [];
    private readonly Dictionary<string, int> parameterByPath = [];
    private readonly HashSet<string> places = [];
    private readonly Dictionary<string, (Expr Variable, Initializer Initializer, Expr? Next)> buffers = [];
    private readonly List<string> bufferOrder = [];
    private readonly List<Scope> scopes = [];
    private readonly List<SizeCheck> checks = [];
    private readonly HashSet<SizeCheck> seenChecks = [];
    private readonly Dictionary<Layer, Instance> instances = [];
    private readonly Stack<(Instance Instance, Scope? Scope, int Uses)> frames = new();
    private readonly Provenance provenance = new();
    private readonly Instance root = new("");

    public ModelBuilder(string name)
    {
        this.name = name;
        frames.Push((root, null, 0));
    }

    /// <summary>The model that is being composed on this thread.</summary>
    public static ModelBuilder? Current => current;

    /// <summary>
    /// Whether the model decodes token by token: its inputs have one element along the sequence, causal attention keeps keys and values of earlier ones in
    /// buffers of a fixed size, recurrences keep their states, and positions count on, so that one plan serves all tokens. Parameters are those of the model without.
    /// </summary>
    public bool Decoding { get; init; }

    /// <summary>The place in the source that what is built now comes from.</summary>
    public SourceLocation? Location { get; set; }

    public Provenance Provenance => provenance;

    /// <summary>One instance within one model: its path and what was declared under it.</summary>
    internal sealed class Instance(string path)
    {
        public string Path { get; } = path;

        public Dictionary<string, int> Kinds { get; } = [];

        public HashSet<string> Segments { get; } = [];

        public Dictionary<string, Parameter> Parameters { get; } = [];

        public Dictionary<string, Layer> Parts { get; } = [];

        /// <summary>The factors on the learning rate that uses gave to parameters.</summary>
        public Dictionary<string, double> Scales { get; } = [];

        public int Applications { get; set; }

        /// <summary>What it is while nothing has applied it; null where it was placed by its application.</summary>
        public IdleLayer? Made { get; init; }

        public bool IsIdle => Applications == 0 && Parameters.Count == 0 && Parts.Count == 0;

        public string Child(string segment) => Path.Length == 0 ? segment : $"{Path}.{segment}";
    }

    /// <summary>Makes this the model that layers applied on this thread belong to, until disposed.</summary>
    public IDisposable Enter() => new Entered(this);

    public Expr Input(string name, params Dim[] shape) => Input(name, DType.Float, shape);

    public Expr Input(string name, DType type, params Dim[] shape) => Declare(inputs, name, new TensorType(type, new Shape(shape)));

    public Expr Target(string name, params Dim[] shape) => Target(name, DType.Float, shape);

    public Expr Target(string name, DType type, params Dim[] shape) => Declare(targets, name, new TensorType(type, new Shape(shape)));

    /// <summary>What inference returns.</summary>
    public void Output(string name, Expr value) => Add(outputs, name, value);

    /// <summary>A scalar to minimize; several add up.</summary>
    public void Loss(Expr value, string? name = null)
    {
        RequireScalar("loss", value);
        RequireUnreserved(name);
        Add(losses, name ?? $"loss_{losses.Count}", value);
    }

    /// <summary>A scalar to report, averaged over rows.</summary>
    public void Metric(string name, Expr value)
    {
        RequireScalar("metric", value);
        RequireUnreserved(name);
        Add(metrics, name, value);
    }

    /// <summary>A parameter of the model itself, under a path.</summary>
    public Expr Parameter(string path, Shape shape, Initializer initializer, ParameterOptions? options = null) =>
        Parameter(frames.Peek().Instance, path, new TensorType(DType.Float, shape), initializer, options ?? ParameterOptions.Default);

    /// <summary>A buffer of the model itself: its present value.</summary>
    public Expr Buffer(string path, Shape shape, Initializer initializer, DType type = DType.Float) =>
        Buffer(frames.Peek().Instance, path, new TensorType(type, shape), initializer);

    public void Update(string path, Expr next) => Update(frames.Peek().Instance, path, next);

    /// <summary>Gives an instance its place by its whole path, whatever body is being evaluated.</summary>
    /// <exception cref="GraphException">Another instance has the same path.</exception>
    public void PlaceAt(Layer layer, string path)
    {
        if (!places.Add(path))
            throw new GraphException($"two instances are named {path}; give one another name");
        instances[layer.Instance] = new Instance(path) { Made = new IdleLayer(path, layer.Kind, Location) };
    }

    /// <summary>The layer inside of an instance under a name (<see cref="LayerContext.Part"/>); null before its first application, or where there is none.</summary>
    public Layer? PartOf(Layer layer, string name) => instances.TryGetValue(layer.Instance, out var instance) ? instance.Parts.GetValueOrDefault(name) : null;

    /// <summary>Makes a layer another view of an instance that has its place: they share parameters.</summary>
    public void PlaceLike(Layer layer, Layer instance) => instances[layer.Instance] = instances[instance.Instance];

    /// <summary>Changes how layers use their parameters until disposed.</summary>
    public IDisposable Use(ParameterUse use) => new Using(this, use);

    private readonly Stack<ParameterUse> uses = new();

    private sealed class Using : IDisposable
    {
        private readonly ModelBuilder builder;

        public Using(ModelBuilder builder, ParameterUse use)
        {
            this.builder = builder;
            builder.uses.Push(use);
        }

        public void Dispose() => builder.uses.Pop();
    }

    /// <summary>The parameters so far, in order.</summary>
    public IReadOnlyList<Parameter> Parameters => parameters;

    /// <summary>The parameter of a path, if there is one yet.</summary>
    public Parameter? FindParameter(string path) => parameterByPath.TryGetValue(path, out var index) ? parameters[index] : null;

    /// <summary>Gives a value the name that it has where it is built.</summary>
    public void Name(Expr value, string name) => provenance.Name(value, name, frames.Peek().Scope);

    /// <summary>The number of applications so far.</summary>
    public int ScopeCount => scopes.Count;

    /// <summary>Notes that a value is that of a call; of one that was there before, nothing.</summary>
    /// <param name="result">The value.</param>
    /// <param name="call">The call.</param>
    /// <param name="before">The number of applications before it.</param>
    public void Note(Expr result, FunctionCall call, int before)
    {
        var known = provenance.Find(result);
        if (known is null || scopes.IndexOf(known.Scope!, before) >= 0)
            provenance.Note(result, call);
    }

    /// <summary>Gives what was built the present <see cref="Location"/> and application as its origin.</summary>
    public void Record(Expr value) => provenance.Record(value, Location, frames.Peek().Scope);

    /// <summary>The parameters declared under a path, such as those of an instance.</summary>
    public IEnumerable<Parameter> ParametersUnder(string path) =>
        parameters.Where(p => path.Length == 0 || p.Path == path || p.Path.StartsWith(path + ".", StringComparison.Ordinal) || p.Path.StartsWith(path + "[", StringComparison.Ordinal));

    public ImmutableArray<Expr> Apply(Layer layer, ImmutableArray<Expr> arguments, params ImmutableArray<Named> named)
    {
        foreach (var (name, _) in named)
        {
            if (!layer.Options.Contains(name))
                throw new GraphException($"{layer.Kind} takes no tensor `{name}`{(layer.Options.IsEmpty ? "" : $", only {string.Join(", ", layer.Options)}")}");
        }

        if (!instances.TryGetValue(layer.Instance, out var instance))
            instances[layer.Instance] = instance = Place(layer.Instance);
        Note(arguments);
        Note([.. named.Select(n => n.Value)]);
        var scope = new Scope(instance.Path, layer.Kind, frames.Peek().Scope, arguments, Location)
        {
            Named = named,
            Layer = layer,
            Uses = [.. layer.Uses, .. uses.Take(uses.Count - frames.Peek().Uses)],
        };
        scopes.Add(scope);
        frames.Push((instance, scope, uses.Count));
        var location = Location;
        try
        {
            var results = layer.Run(new LayerContext(this, instance, instance.Applications++, named), arguments);
            Close(scope, results, location);
            return results;
        }
        finally
        {
            Location = location;
            frames.Pop();
        }
    }

    /// <summary>Marks what a function computes with its name, for summaries and lint.</summary>
    internal static Expr Function(string kind, Expr x, Func<Expr, Expr> function, FunctionCall? call = null)
    {
        if (current is not { } builder)
            return function(x);
        var parent = builder.frames.Peek();
        builder.Note([x]);
        var scope = new Scope(parent.Instance.Path, kind, parent.Scope, [x], builder.Location);
        builder.scopes.Add(scope);
        var before = builder.ScopeCount;
        var y = function(x);
        if (call is not null)
            builder.Note(y, call, before);
        builder.Close(scope, [y], builder.Location);
        return y;
    }

    /// <summary>Asks for an equality of sizes when they are known.</summary>
    public void Require(SizeCheck check)
    {
        if (seenChecks.Add(check))
            checks.Add(check);
    }

    /// <summary>A function of source: what it computes is printed as its call.</summary>
    internal static Expr Call(string kind, Expr x, Func<Expr, Expr> function, params ReadOnlySpan<(string Name, object? Value, object? Default)> arguments) =>
        Function(kind, x, function, FunctionCall.Of(kind, [x], arguments));

    /// <summary>How often buffers were given a next value.</summary>
    internal int Updates { get; private set; }

    /// <summary>Marks what a function of several tensors has computed with its name.</summary>
    internal static Expr Mark(string kind, ImmutableArray<Expr> inputs, Expr result, FunctionCall? call = null)
    {
        if (current is not { } builder)
            return result;
        if (call is not null)
            builder.Note(result, call, builder.ScopeCount);
        var parent = builder.frames.Peek();
        builder.Note(inputs);
        var scope = new Scope(parent.Instance.Path, kind, parent.Scope, inputs, builder.Location);
        builder.scopes.Add(scope);
        builder.Close(scope, [result], builder.Location);
        return result;
    }

    /// <summary>The finished model.</summary>
    /// <exception cref="GraphException">Two things have one name.</exception>
    public Model Complete()
    {
        if (Decoding)
            Carry(root, PositionName, Position! + 1);
        var model = new Model
        {
            Name = name,
            Inputs = [.. inputs],
            Targets = [.. targets],
            Parameters = [.. parameters],
            Buffers = [.. bufferOrder.Select(p => new ModelBuffer(p, buffers[p].Variable, buffers[p].Initializer, buffers[p].Next))],
            Outputs = [.. outputs],
            Losses = [.. losses],
            Metrics = [.. metrics],
            Scopes = [.. scopes],
            Checks = [.. checks],
            Idle = Idle(),
            Bodies = [.. bodies],
            Provenance = provenance,
        };
        return Initializers.ResolveAuto(model);
    }

    /// <summary>One place may make many instances, in a list or a loop: it is idle where none of them was applied.</summary>
    private ImmutableArray<IdleLayer> Idle() =>
    [
        .. instances.Values.Distinct().Where(i => i.Made is not null).GroupBy(i => i.Made!.Location ?? (object)i.Path).Where(g => g.All(i => i.IsIdle)).Select(g => g.First().Made!),
    ];

    private readonly List<OpenBody> bodies = [];

    /// <summary>Keeps a function of the application that is being composed, for <see cref="Model.Bodies"/>.</summary>
    internal void Keep(ImmutableArray<Expr> inputs, ImmutableArray<Expr> given, ImmutableArray<Expr> results, ImmutableArray<Expr> made, Scans.Walk? walk = null) =>
        bodies.Add(new(frames.Peek().Scope, inputs, given, results, made, walk));

    internal Expr Parameter(Instance instance, string name, TensorType type, Initializer initializer, ParameterOptions options)
    {
        foreach (var given in uses.SelectMany(u => u.Values))
        {
            if (given.Name != name || instances.GetValueOrDefault(given.Layer.Instance) != instance)
                continue;
            given.IsUsed = true;
            return given.Value.Rank == type.Rank && Enumerable.Range(0, type.Rank).All(i => Dim.AreEqual(given.Value.Shape[i], type.Shape[i]) != Answer.Refuted)
                ? given.Value
                : throw new ShapeException($"{instance.Child(name)} has the shape {type.Shape}, and what is given in its place {given.Value.Shape}", type.Shape, given.Value.Shape);
        }

        var variable = Declared(instance, name, type, initializer, options);
        if (uses.Count == 0)
            return variable;
        Change(instance, name);
        return uses.Any(u => u.Frozen) ? variable.StopGradient() : variable;
    }

    /// <summary>Gives a parameter the options of the uses that are entered.</summary>
    private void Change(Instance instance, string name)
    {
        var old = instance.Parameters[name];
        var scale = uses.Aggregate(1.0, (product, use) => product * use.LearningRateScale);
        var options = old.Options with { NoDecay = old.Options.NoDecay || uses.Any(u => u.NoDecay) };
        if (scale != 1 && instance.Scales.TryAdd(name, scale))
            options = options with { LearningRateScale = options.LearningRateScale * scale };
        else if (scale != 1 && instance.Scales[name] != scale)
            throw new GraphException($"the learning rate of {old.Path} is scaled by {Printer.Number(instance.Scales[name])} in one place and by {Printer.Number(scale)} in another");
        if (options == old.Options)
            return;
        var changed = old with { Options = options };
        instance.Parameters[name] = parameters[parameterByPath[old.Path]] = changed;
    }

    private Expr Declared(Instance instance, string name, TensorType type, Initializer initializer, ParameterOptions options)
    {
        if (instance.Parameters.TryGetValue(name, out var known))
        {
            return Enumerable.Range(0, Math.Max(known.Shape.Rank, type.Rank)).All(i => i < known.Shape.Rank && i < type.Rank && Dim.AreEqual(known.Shape[i], type.Shape[i]) != Answer.Refuted)
                ? known.Variable
                : throw new ShapeException($"{known.Path} has the shape {known.Shape} from an earlier application, and this one needs {type.Shape}", known.Shape, type.Shape);
        }

        if (!type.Shape.IsKnown)
            throw new ShapeException($"the parameter {instance.Child(name)} would have the shape {type.Shape}, and a parameter's sizes must be numbers", type.Shape);
        if (!instance.Segments.Add(name))
            throw new GraphException($"two things are named {instance.Child(name)}; give one another name");
        var path = instance.Child(name);
        if (parameterByPath.ContainsKey(path))
            throw new GraphException($"two parameters are named {path}; give one another name");
        var parameter = new Parameter(path, Expr.Make(new Variable(new Symbol(path), type)), initializer, options, Location);
        initializer.Check(type.Shape, path);
        instance.Parameters[name] = parameter;
        parameterByPath[path] = parameters.Count;
        parameters.Add(parameter);
        return parameter.Variable;
    }

    internal Expr Buffer(Instance instance, string name, TensorType type, Initializer initializer)
    {
        var path = instance.Child(name);
        if (!buffers.TryGetValue(path, out var buffer))
        {
            if (!type.Shape.IsKnown)
                throw new ShapeException($"the buffer {path} would have the shape {type.Shape}, and a buffer's sizes must be numbers", type.Shape);
            if (!instance.Segments.Add(name))
                throw new GraphException($"two things are named {path}; give one another name");
            buffer = (Expr.Make(new Variable(new Symbol(path), type)), initializer, null);
            buffers[path] = buffer;
            bufferOrder.Add(path);
        }

        if (buffer.Next is null)
            return buffer.Variable;
        var value = Expr.Phase(buffer.Next, buffer.Variable);
        foreach (var (_, scope, _) in frames)
            scope?.Reads(path, value);
        return value;
    }

    private const string PositionName = "decoding.position";

    internal Expr? Position => Decoding ? Buffer(root, PositionName, new TensorType(DType.I64, Shape.Scalar), Initializers.Zeros) : null;

    internal void Carry(Instance instance, string name, Expr next)
    {
        var path = instance.Child(name);
        buffers[path] = buffers[path] with { Next = next };
    }

    internal void Update(Instance instance, string name, Expr next)
    {
        // Decoding does not train: all that changes is what it carries.
        if (Decoding)
            return;
        var path = instance.Child(name);
        if (!buffers.TryGetValue(path, out var buffer))
            throw new GraphException($"there is no buffer {path} to update");
        if (!Scans.Open.IsEmpty)
            throw new GraphException($"the buffer {path} cannot be updated inside of a recurrence, where it would have a value a step; carry it as a state, or normalize without running statistics");
        Updates++;
        if (next.DType != buffer.Variable.DType)
            next = next.Cast(buffer.Variable.DType);
        next = next.BroadcastTo(buffer.Variable.Shape).StopGradient();
        buffers[path] = buffer with { Next = next };
        foreach (var (_, scope, _) in frames)
            scope?.Updates(path, next);
    }

    /// <summary>The log has columns of its own.</summary>
    private static void RequireUnreserved(string? name)
    {
        if (name is TrainingStep.LossName or TrainingStep.RateName or TrainingStep.GradientNormName or "epoch" or "step" or "split" or "seconds")
            throw new GraphException($"`{name}` is a column of the training log; give this another name");
    }

    private static void RequireScalar(string what, Expr value)
    {
        if (!value.Shape.IsScalar)
            throw new ShapeException($"a {what} must be a scalar, and this has the shape {value.Shape}; take its mean or sum", value.Shape);
    }

    /// <summary>An instance that has no place yet becomes a child of the layer whose body is being evaluated.</summary>
    /// <exception cref="GraphException">Another instance has the same path.</exception>
    private Instance Place(Layer layer)
    {
        var parent = frames.Peek().Instance;
        var segment = layer.Name;
        if (segment is null)
        {
            var index = parent.Kinds.GetValueOrDefault(layer.Kind);
            parent.Kinds[layer.Kind] = index + 1;
            segment = $"{layer.Kind}_{index}";
        }

        return parent.Segments.Add(segment)
            ? new Instance(parent.Child(segment))
            : throw new GraphException($"two instances are named {parent.Child(segment)}; give one another name");
    }

    /// <summary>What was built outside of a layer belongs to where it was built.</summary>
    private void Note(ImmutableArray<Expr> values)
    {
        foreach (var value in values)
        {
            if (provenance.Find(value) is null)
                provenance.Record(value, Location, frames.Peek().Scope);
        }
    }

    private void Close(Scope scope, ImmutableArray<Expr> results, SourceLocation? location)
    {
        scope.Outputs = results;
        foreach (var result in results)
        {
            provenance.Record(result, location, scope);
            provenance.Result(result, scope);
        }
    }

    private Expr Declare(List<Named> list, string name, TensorType type)
    {
        var variable = Expr.Make(new Variable(new Symbol(name), type));
        if (inputs.Concat(targets).Any(n => n.Name == name))
            throw new GraphException($"two inputs or targets are named {name}");
        list.Add(new Named(name, variable));
        provenance.Record(variable, Location, null);
        return variable;
    }

    private void Add(List<Named> list, string name, Expr value)
    {
        if (list.Any(n => n.Name == name))
            throw new GraphException($"{name} is there twice");
        list.Add(new Named(name, value));
        provenance.Record(value, Location, frames.Peek().Scope);
    }

    private sealed class Entered : IDisposable
    {
        private readonly ModelBuilder? before = current;

        public Entered(ModelBuilder builder) => current = builder;

        public void Dispose() => current = before;
    }
}
