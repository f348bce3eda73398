using System.Globalization;

namespace Dnn.Graph;

/// <summary>The attributes of an operation as given in source: numbers, lists, sizes, names.</summary>
public sealed class OpArguments(string op, IReadOnlyDictionary<string, object> values, Dictionary<string, Symbol>? symbols = null)
{
    /// <summary>The identity of what is given the same <c>id</c>; a new one where none is given.</summary>
    public Symbol Symbol()
    {
        if (!values.ContainsKey("id"))
            return new Symbol(op);
        if (Get("id") is not string id)
            throw Wrong("id", "a string", Get("id"));
        symbols ??= [];
        if (!symbols.TryGetValue(id, out var symbol))
            symbols[id] = symbol = new Symbol(id);
        return symbol;
    }

    public int Int(string name) => (int)Number(name);

    public int Int(string name, int otherwise) => values.ContainsKey(name) ? Int(name) : otherwise;

    public double Number(string name) => Get(name) switch
    {
        double d => d,
        int i => i,
        long l => l,
        Dim { IsKnown: true } dim => dim.Value,
        bool b => b ? 1 : 0,
        var other => throw Wrong(name, "a number", other),
    };

    public ValueList<int> Ints(string name) => List(name).Select(i => i switch
    {
        int n => n,
        long n => (int)n,
        Dim { IsKnown: true } d => (int)d.Value,
        double n when n == Math.Floor(n) => (int)n,
        _ => throw Wrong(name, "a list of whole numbers", i),
    }).ToValueList();

    public ValueList<double> Numbers(string name) => List(name).Select(i => i switch
    {
        int n => n,
        long n => n,
        double n => n,
        Dim { IsKnown: true } d => d.Value,
        bool b => b ? 1 : 0,
        _ => throw Wrong(name, "a list of numbers", i),
    }).ToValueList();

    /// <summary>A list of sizes, which may be named.</summary>
    public Shape Sizes(string name) => Get(name) is Shape shape ? shape : new([.. List(name).Select(i => i switch
    {
        Dim d => d,
        int n => Dim.Of(n),
        long n => Dim.Of(n),
        double n when n == Math.Floor(n) => Dim.Of((long)n),
        _ => throw Wrong(name, "a list of sizes", i),
    })]);

    public DType DType(string name) => Get(name) switch
    {
        DType t => t,
        string text => Enum.GetValues<DType>().Where(t => t.Text() == text).Cast<DType?>().FirstOrDefault() ?? throw Wrong(name, "one of float f32 f64 i64 bool", text),
        var other => throw Wrong(name, "an element type", other),
    };

    private IEnumerable<object> List(string name) => Get(name) switch
    {
        Shape shape => shape.Dims,
        string or double => throw Wrong(name, "a list", Get(name)),
        System.Collections.IEnumerable list => list.Cast<object>(),
        var other => throw Wrong(name, "a list", other),
    };

    private object Get(string name) => values.TryGetValue(name, out var value) ? value : throw new GraphException($"prim.{op} needs `{name}`");

    private GraphException Wrong(string name, string expected, object actual) =>
        new($"prim.{op}: `{name}` must be {expected}, not {Convert.ToString(actual, CultureInfo.InvariantCulture)}");
}

/// <summary>A primitive as source calls it: <c>prim.sum(x, axes = [0])</c>.</summary>
/// <param name="Name">The name after <c>prim.</c></param>
/// <param name="Arity">The number of tensors; −1 for any.</param>
/// <param name="Attributes">The names of its attributes.</param>
/// <param name="Create">Makes the operation.</param>
public sealed record Primitive(string Name, int Arity, ValueList<string> Attributes, Func<OpArguments, Op> Create)
{
    /// <summary>What plain numbers among the tensors are.</summary>
    public DType Numbers { get; init; }
}

/// <summary>The closed set of operations, by the names that source and printer use.</summary>
public static class Primitives
{
    /// <summary>All of them; a variable is a name in source.</summary>
    public static IReadOnlyList<Primitive> All { get; } =
    [
        .. new Op[]
        {
            new Neg(), new Exp(), new Log(), new Log1p(), new Expm1(), new Tanh(), new Logistic(), new Erf(), new Sin(), new Cos(), new Sqrt(), new Rsqrt(),
            new Abs(), new Relu(), new Sign(), new Floor(), new Round(), new Not(), new StopGradient(), new Pooled(),
        }.Select(op => new Primitive(op.Name, 1, [], _ => op)),
        .. new Op[] { new Add(), new Mul(), new Div(), new Pow(), new Max(), new Min(), new And(), new Or(), new Phase() }
            .Select(op => new Primitive(op.Name, 2, [], _ => op)),
        .. Enum.GetValues<Comparison>().Select(kind => new Compare(kind)).Select(op => new Primitive(op.Name, 2, [], _ => op)),
        new("select", 3, [], _ => new Select()),
        new("cast", 1, ["to"], a => new Cast(a.DType("to"))),
        new("barrier", -1, ["id"], a => new Barrier(a.Symbol())),
        new("checkpoint", -1, ["id"], a => new Checkpoint(a.Symbol())),
        new("literal", 0, ["dtype", "value"], a => new Literal(a.DType("dtype"), a.Number("value"))),
        new("table", 0, ["dtype", "dims", "values"], a => new Table(a.DType("dtype"), a.Ints("dims"), a.Numbers("values"))),
        new("iota", 0, ["shape", "axis"], a => new Iota(a.Sizes("shape"), a.Int("axis"))),
        new("size", 0, ["of"], a => new DimensionSize(a.Sizes("of")[0])),
        new("sum", 1, ["axes"], a => new Sum(a.Ints("axes"))),
        new("reduce_max", 1, ["axes"], a => new ReduceMax(a.Ints("axes"))),
        new("reduce_min", 1, ["axes"], a => new ReduceMin(a.Ints("axes"))),
        new("argmax", 1, ["axis"], a => new ArgMax(a.Int("axis"))),
        new("dot_general", 2, ["left_batch", "right_batch", "left_contract", "right_contract"],
            a => new DotGeneral(a.Ints("left_batch"), a.Ints("right_batch"), a.Ints("left_contract"), a.Ints("right_contract"))),
        new("conv_general", 2, ["stride", "low", "high", "lhs_dilation", "rhs_dilation", "groups"],
            a => new ConvGeneral(a.Ints("stride"), a.Sizes("low"), a.Sizes("high"), a.Ints("lhs_dilation"), a.Ints("rhs_dilation"), a.Int("groups"))),
        new("broadcast", 1, ["shape", "axes"], a => new Broadcast(a.Sizes("shape"), a.Ints("axes"))),
        new("reshape", 1, ["shape"], a => new Reshape(a.Sizes("shape"))),
        new("transpose", 1, ["permutation"], a => new Transpose(a.Ints("permutation"))),
        new("reverse", 1, ["axes"], a => new Reverse(a.Ints("axes"))),
        new("slice", 1, ["starts", "limits", "steps"], a => new Slice(a.Sizes("starts"), a.Sizes("limits"), a.Ints("steps"))),
        new("pad", 1, ["low", "high", "interior"], a => new Pad(a.Sizes("low"), a.Sizes("high"), a.Ints("interior"))),
        new("concat", -1, ["axis"], a => new Concat(a.Int("axis"))),
        new("gather", 2, ["axis", "batch"], a => new Gather(a.Int("axis"), a.Int("batch", 0))),
        new("scatter_add", 2, ["axis", "batch", "size"], a => new ScatterAdd(a.Int("axis"), a.Int("batch", 0), a.Sizes("size")[0])),
        new("dynamic_slice", 2, ["axis", "length"], a => new DynamicSlice(a.Int("axis"), a.Sizes("length")[0])),
        new("dynamic_update_slice", 3, ["axis"], a => new DynamicUpdateSlice(a.Int("axis"))),
        new("linear_recurrence", 2, ["axis", "reverse"], a => new LinearRecurrence(a.Int("axis"), a.Int("reverse", 0) != 0)),
        new("argsort", 1, ["descending"], a => new ArgSort(a.Int("descending", 0) != 0)),
        new("custom_gradient", -1, [], _ => throw new GraphException("prim.custom_gradient: the last argument is its rule, (x, y, dy) => dx")),
        new("scan", -1, ["states", "sequences", "length", "reverse"], _ => throw new GraphException("prim.scan: the last argument is its step, (s, x, c) => (next, output)")),
        new("rng_fold", 2, [], _ => new RngFold()) { Numbers = DType.I64 },
        new("rng_bits", 1, ["shape"], a => new RngBits(a.Sizes("shape"))),
    ];

    private static readonly Dictionary<string, Primitive> ByName = All.ToDictionary(p => p.Name, StringComparer.Ordinal);

    public static bool TryFind(string name, out Primitive primitive) => ByName.TryGetValue(name, out primitive!);
}
