using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>What an expression means while a model is put together.</summary>
internal abstract class Value
{
    /// <summary>What it is called in messages, with its article.</summary>
    public abstract string Describe();
}

internal sealed class IntValue(long number) : Value
{
    public long Number { get; } = number;

    public override string Describe() => $"the number {Printer.Number(Number)}";
}

internal sealed class FloatValue(double number) : Value
{
    public double Number { get; } = number;

    public override string Describe() => $"the number {Printer.Number(Number)}";
}

/// <summary>A static bool. It may have one value in training and another in evaluation; then it is <c>training</c> or made of it.</summary>
internal sealed class BoolValue(bool inTraining, bool inEvaluation) : Value
{
    public BoolValue(bool value)
        : this(value, value)
    {
    }

    public bool InTraining { get; } = inTraining;

    public bool InEvaluation { get; } = inEvaluation;

    public bool IsPhase => InTraining != InEvaluation;

    public override string Describe() => IsPhase ? "a bool that depends on `training`" : InTraining ? "`true`" : "`false`";
}

/// <summary>A number with its unit: <c>50 steps</c>.</summary>
internal sealed class CountValue(double number, CountUnit unit) : Value
{
    public double Number { get; } = number;

    public CountUnit Unit { get; } = unit;

    public override string Describe() => $"{Printer.Number(Number)} {Unit.ToString().ToLowerInvariant()}";
}

internal sealed class StringValue(string text) : Value
{
    public string Text { get; } = text;

    public override string Describe() => $"the string \"{Text}\"";
}

/// <summary>A word of an enumeration, resolved by what the parameter takes.</summary>
internal sealed class WordValue(string word) : Value
{
    public string Word { get; } = word;

    public override string Describe() => $"`{Word}`";
}

internal sealed class ListValue(ImmutableArray<Value> items) : Value
{
    public ImmutableArray<Value> Items { get; } = items;

    public override string Describe() => $"a list of {Items.Length}";
}

internal sealed class TupleValue(ImmutableArray<Value> items) : Value
{
    public ImmutableArray<Value> Items { get; } = items;

    public override string Describe() => $"a tuple of {Items.Length}";
}

/// <summary>A size that is not known until data come.</summary>
internal sealed class DimValue(Dim size) : Value
{
    public Dim Size { get; } = size;

    /// <summary>A size as a value: a number where it is known.</summary>
    public static Value Of(Dim size) => size.IsKnown ? new IntValue(size.Value) : new DimValue(size);

    public override string Describe() => $"the size {Size}";
}

internal sealed class TensorValue(Expr expr) : Value
{
    public Expr Expr { get; } = expr;

    public override string Describe() => $"a tensor {Expr.Type}";
}

internal sealed class InitializerValue(Initializer initializer) : Value
{
    public Initializer Initializer { get; } = initializer;

    public override string Describe() => "an initializer";
}

internal sealed class ScheduleValue(Schedule schedule) : Value
{
    public Schedule Schedule { get; } = schedule;

    public override string Describe() => "a schedule";
}

internal sealed class OptimizerValue(Optimizer optimizer) : Value
{
    public Optimizer Optimizer { get; } = optimizer;

    public override string Describe() => "an optimizer";
}

/// <summary>Sizes that a call gives under names of its own.</summary>
internal sealed class SizesValue(ImmutableArray<(Identifier Name, Value Size, ExprSyntax Syntax)> items) : Value
{
    public ImmutableArray<(Identifier Name, Value Size, ExprSyntax Syntax)> Items { get; } = items;

    public override string Describe() => "sizes by name";
}

internal sealed class SourceValue(DataSource source) : Value
{
    public DataSource Source { get; } = source;

    public override string Describe() => "a data source";
}

/// <summary>What could not be evaluated and was reported: whoever uses it keeps silent.</summary>
internal sealed class ErrorValue : Value
{
    public static ErrorValue Instance { get; } = new();

    public override string Describe() => "an error";
}

/// <summary>What tensors can be piped into.</summary>
internal abstract class LayerValue : Value
{
    public override string Describe() => "a layer";
}

/// <summary>A catalog function by its bare name.</summary>
internal sealed class FunctionValue(CatalogEntry entry, ExprSyntax site) : LayerValue
{
    public CatalogEntry Entry { get; } = entry;

    /// <summary>Where the name stands.</summary>
    public ExprSyntax Site { get; } = site;

    public override string Describe() => $"the function `{Entry.Name}`";
}

/// <summary>An instance: parameters of its own under a path.</summary>
internal sealed class InstanceValue(Layer layer, string path, TextSpan span, LayerSyntax? declaration = null, CatalogEntry? entry = null) : LayerValue
{
    public Layer Layer { get; } = layer;

    public string Path { get; } = path;

    /// <summary>The expression that made it.</summary>
    public TextSpan Span { get; } = span;

    /// <summary>The layer of the file that it is an instance of; null for one of the catalog.</summary>
    public LayerSyntax? Declaration { get; } = declaration;

    /// <summary>The row of the catalog; null for a layer of the file.</summary>
    public CatalogEntry? Entry { get; } = entry;

    public override string Describe() => $"the layer `{Path}`";
}

internal sealed class LambdaValue(LambdaSyntax syntax, Context context) : LayerValue
{
    public LambdaSyntax Syntax { get; } = syntax;

    public Context Context { get; } = context;

    public override string Describe() => "a lambda";
}

/// <summary>A layer whose parameters are used in another way: <c>frozen(f)</c>, <c>f.with(weight = w)</c>, <c>checkpoint(f)</c>.</summary>
internal sealed class WrappedValue(string kind, LayerValue inner, ParameterUse? use, CallSyntax syntax) : LayerValue
{
    public LayerValue Inner { get; } = inner;

    /// <summary>How parameters are used; null where f is computed again for gradients.</summary>
    public ParameterUse? Use { get; } = use;

    public CallSyntax Syntax { get; } = syntax;

    public override string Describe() => Inner.Describe() is var inner && inner.StartsWith("the layer", StringComparison.Ordinal) ? $"{inner}, {kind}" : $"a layer, {kind}";
}

/// <summary>Another function of an instance's parameters: <c>emb.attend</c>.</summary>
internal sealed class ViewValue(InstanceValue owner, Layer layer) : LayerValue
{
    public InstanceValue Owner { get; } = owner;

    public Layer Layer { get; } = layer;

    public override string Describe() => $"the layer `{Owner.Path}`";
}

/// <summary>One after the other: <c>f |> g</c>, <c>chain</c>, <c>for</c>, <c>repeat</c>.</summary>
internal sealed class ComposedValue(ImmutableArray<LayerValue> layers) : LayerValue
{
    public ImmutableArray<LayerValue> Layers { get; } = layers;

    public override string Describe() => $"a composition of {Layers.Length} layers";
}

/// <summary>Side by side on the same inputs: <c>parallel</c>.</summary>
internal sealed class ParallelValue(ImmutableArray<LayerValue> layers) : LayerValue
{
    public ImmutableArray<LayerValue> Layers { get; } = layers;
}

/// <summary>A function or layer that lacks its first input only: the stage <c>leaky_relu(0.2)</c> of a composition.</summary>
internal sealed class PartialValue(CallSyntax call, Context context) : LayerValue
{
    public CallSyntax Call { get; } = call;

    public Context Context { get; } = context;
}

/// <summary>One layer in training, another in evaluation.</summary>
internal sealed class PhaseLayerValue(LayerValue training, LayerValue evaluation) : LayerValue
{
    public LayerValue Training { get; } = training;

    public LayerValue Evaluation { get; } = evaluation;
}

/// <summary>A hyperparameter of type <c>layer</c>: evaluated at each occurrence of its name.</summary>
internal sealed class RecipeValue(ExprSyntax syntax, Context context) : Value
{
    public ExprSyntax Syntax { get; } = syntax;

    public Context Context { get; } = context;

    public override string Describe() => "a layer";
}

/// <summary>A buffer: read anew at each occurrence, since updates apply in order.</summary>
internal sealed class BufferValue(string name, Shape shape, DType type, Initializer initializer) : Value
{
    public string Name { get; } = name;

    public Shape Shape { get; } = shape;

    public DType DType { get; } = type;

    public Initializer Initializer { get; } = initializer;

    public override string Describe() => $"the buffer `{Name}`";
}

/// <summary>The values of names: a frame for each evaluation of a body, a turn of a loop or an application of a lambda.</summary>
internal sealed class Env(Env? parent)
{
    private Symbol? first;
    private Value? firstValue;
    private Dictionary<Symbol, Value>? others;

    public void Set(Symbol symbol, Value value)
    {
        if (first is null || first == symbol)
            (first, firstValue) = (symbol, value);
        else
            (others ??= [])[symbol] = value;
    }

    public Value? Find(Symbol symbol)
    {
        for (var env = this; env is not null; env = env.Parent)
        {
            if (env.first == symbol)
                return env.firstValue;
            if (env.others is not null && env.others.TryGetValue(symbol, out var value))
                return value;
        }

        return null;
    }

    /// <summary>The names of sizes in the body that this belongs to; null at the top level.</summary>
    public SizeNames? SizeNames { get; init; } = parent?.SizeNames;

    private Env? Parent { get; } = parent;
}

/// <summary>An enclosing instance while its body is evaluated, over all its applications: what was constructed in it.</summary>
internal sealed class Frame(string path)
{
    /// <summary>The path of the instance; empty for a model.</summary>
    public string Path { get; } = path;

    /// <summary>
    /// An expression constructs once per enclosing instance and turn of its loops: evaluated again in another application, it gives
    /// the same instance, with what it captures of that application.
    /// </summary>
    public Dictionary<(SyntaxNode Node, string Place), (Layer Layer, Frame Frame)> Constructed { get; } = [];

    /// <summary>Draws of random numbers outside of layers.</summary>
    public int Draws { get; set; }
}

/// <summary>Where below an enclosing instance something is constructed: names and loop indices, as text when a path is needed.</summary>
internal sealed class Place
{
    private readonly Place? parent;
    private readonly string? segment;
    private readonly long index;
    private string? path;

    private Place(Place? parent, string? segment, long index) => (this.parent, this.segment, this.index) = (parent, segment, index);

    public static Place Root { get; } = new(null, null, 0) { path = "" };

    public string Path => path ??= segment is null ? $"{parent!.Path}[{index}]" : parent!.Path.Length == 0 ? segment : $"{parent.Path}.{segment}";

    public Place Child(string segment) => segment.Length == 0 ? this : new Place(this, segment, 0);

    public Place Turn(long index) => new(this, null, index);
}

/// <summary>Where an expression is evaluated: the names it sees, and where what it constructs belongs.</summary>
internal sealed record Context(Env Env, Frame Frame, Place Place, LayerContext? Layer)
{
    public Context With(Env env) => new(env, Frame, Place, Layer);

    public Context At(Place place) => new(Env, Frame, place, Layer);

    /// <summary>The whole path of something constructed at a place of this context.</summary>
    public string PathOf(Place place) => Frame.Path.Length == 0 ? place.Path : place.Path.Length == 0 ? Frame.Path : place.Path[0] == '[' ? Frame.Path + place.Path : $"{Frame.Path}.{place.Path}";
}
