using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>What a name of the catalog is.</summary>
public enum CatalogKind
{
    Layer,
    Combinator,
    Function,
    Loss,
    Metric,
    Derivative,
    Initializer,
    Optimizer,
    Schedule,
    Source,
    Constant,
}

/// <summary>What a parameter of a catalog row takes.</summary>
public enum ParameterKind
{
    /// <summary>A tensor, or numbers and lists that stand for one.</summary>
    Tensor,

    /// <summary>A tensor of whole numbers.</summary>
    Integers,

    /// <summary>A tensor of truth values.</summary>
    Mask,

    /// <summary>A list of tensors.</summary>
    Tensors,
    Any,
    Int,
    Float,
    Bool,
    String,

    /// <summary>A list of strings.</summary>
    Strings,

    /// <summary>Two floats.</summary>
    Pair,

    /// <summary>A list of floats, or of counts of steps.</summary>
    Floats,

    /// <summary>A size, perhaps a named one.</summary>
    Size,

    /// <summary>A list of sizes.</summary>
    Shape,

    /// <summary><c>all</c>, an axis or a list of axes.</summary>
    Axis,

    /// <summary>A number for all spatial axes, or one for each.</summary>
    Extent,

    /// <summary>Padding of spatial axes.</summary>
    Padding,

    /// <summary>An element type.</summary>
    DType,

    /// <summary>A count, with the unit steps or none.</summary>
    Steps,
    Init,
    Schedule,
    Layer,

    /// <summary>A layer that is made anew at each place where it is used: one with a default.</summary>
    Recipe,

    /// <summary>A word of an enumeration.</summary>
    Word,

    /// <summary>All arguments with names that no other parameter has: columns, and what they are called in a file.</summary>
    Columns,

    /// <summary>Sizes under names that the caller chooses.</summary>
    Named,

    /// <summary>Parts of the model by their paths, or what is measured: <c>encoder.fc</c>, <c>validation.loss</c>. Their names are none of the file's.</summary>
    Paths,
}

/// <summary>One parameter of a row: read from the signature's text.</summary>
/// <param name="Name">Its name; with <paramref name="IsVariadic"/>, of all further positional arguments.</param>
/// <param name="Kind">What it takes.</param>
/// <param name="Words">The words of its enumeration.</param>
/// <param name="Default">The text of its default; null where it must be given.</param>
/// <param name="IsVariadic">Whether it takes the rest of the positional arguments.</param>
public sealed record CatalogParameter(string Name, ParameterKind Kind, ImmutableArray<string> Words, string? Default, bool IsVariadic)
{
    public bool IsRequired => Default is null && !IsVariadic;

    internal Slot Slot => new(Name, IsRequired, IsVariadic, Kind is ParameterKind.Columns or ParameterKind.Named);

    internal bool IsTensor => Kind is ParameterKind.Tensor or ParameterKind.Integers or ParameterKind.Mask or ParameterKind.Tensors;

    /// <summary>Words that may stand bare in an argument.</summary>
    internal bool TakesWord(string word) => Words.Contains(word) || (Kind == ParameterKind.DType && Catalog.ElementTypes.ContainsKey(word));
}

/// <summary>
/// One name of the language: what it is, how it is called, what it means. <see cref="Catalog"/> holds the rows; binder, elaborator,
/// <c>dnn explain</c> and completion read them.
/// </summary>
public sealed class CatalogEntry
{
    private readonly string use;

    internal CatalogEntry(CatalogKind kind, string name, string signature, string equation, string shapes, string use, Func<Args, object?> make, string inputs = "x")
    {
        Kind = kind;
        Name = name;
        Signature = signature;
        Equation = equation;
        Shapes = shapes;
        this.use = use;
        Make = make;
        Parameters = ParseSignature(signature);
        Inputs = inputs;
        InputParameters = ParseSignature(inputs);
    }

    public CatalogKind Kind { get; }

    public string Name { get; }

    /// <summary>The parameters as text: <c>units: int, bias: bool = true</c>; without a type, a tensor.</summary>
    public string Signature { get; }

    public ImmutableArray<CatalogParameter> Parameters { get; }

    /// <summary>
    /// The tensors that an instance is applied to, as text: <c>x, mask: mask = none</c>. Those that the layer lists among its options are handed over
    /// by name, the others by position.
    /// </summary>
    public string Inputs { get; }

    public ImmutableArray<CatalogParameter> InputParameters { get; }

    /// <summary>The exact equation.</summary>
    public string Equation { get; }

    /// <summary>The shapes of inputs, result and parameters.</summary>
    public string Shapes { get; }

    /// <summary>When to use it, and what to know.</summary>
    public string Use => Joined(use, Catalog.NoteOf(Name).Use);

    /// <summary>How gradients pass: the cotangents of the arguments, given that of the result, ȳ. Empty where nothing is differentiated.</summary>
    public string Gradient => Catalog.NoteOf(Name).Gradient;

    /// <summary>When to take something else. Empty where nothing is better.</summary>
    public string WhenNot => Catalog.NoteOf(Name).Not;

    /// <summary>Makes what the name means: an <see cref="Expr"/>, a <see cref="Graph.Layer"/>, a description. Null where the elaborator itself does.</summary>
    internal Func<Args, object?> Make { get; }

    /// <summary>Whether its tensors broadcast, as those of an operator do.</summary>
    internal bool Broadcasts => Shapes.StartsWith("shapes broadcast", StringComparison.Ordinal);

    /// <summary>Whether each evaluation of a call makes an instance.</summary>
    internal bool IsConstructor => Kind is CatalogKind.Layer or CatalogKind.Combinator;

    /// <summary>Whether several piped values are one argument.</summary>
    internal bool TakesTuple => !Parameters.IsEmpty && (Parameters[0].Kind == ParameterKind.Tensors || Name == "scan");

    /// <summary>Whether the bare name is a layer value: the first parameter is a tensor and the others have defaults.</summary>
    public bool IsLayerByName => Kind is CatalogKind.Function or CatalogKind.Loss && !Parameters.IsEmpty && Parameters[0].IsTensor && Parameters.Skip(1).All(p => !p.IsRequired);

    /// <summary>The parameter that piped values go to, past a pattern that comes first: <c>x |> einsum("ij,jk", y)</c>; −1 if they are the first arguments.</summary>
    internal int PipedInto => Parameters is [{ Kind: ParameterKind.String }, { Kind: ParameterKind.Tensors, IsVariadic: true }] ? 1 : -1;

    /// <summary>The text of <c>dnn explain NAME</c>.</summary>
    public string Explain()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{this}\n{Kind.ToString().ToLowerInvariant()}\n\n  {Equation}\n");
        if (Shapes.Length > 0)
            text.Append(CultureInfo.InvariantCulture, $"\nShapes: {Shapes}\n");
        if (Gradient.Length > 0)
            text.Append(CultureInfo.InvariantCulture, $"\nGradient: {Gradient}\n");
        if (Use.Length > 0)
            text.Append(CultureInfo.InvariantCulture, $"\n{Use}\n");
        if (WhenNot.Length > 0)
            text.Append(CultureInfo.InvariantCulture, $"\nRather not: {WhenNot}\n");
        return text.ToString();
    }

    /// <summary>A source in parentheses belongs to the first sentence.</summary>
    private static string Joined(string use, string more)
    {
        var end = use.IndexOf(". ", StringComparison.Ordinal) is >= 0 and var dot ? dot : use.Length - 1;
        return more.StartsWith('(') && end > 0 ? $"{use[..end]} {more}{use[(end + 1)..]}" : string.Join(' ', new[] { use, more }.Where(t => t.Length > 0));
    }

    public override string ToString() => Kind == CatalogKind.Layer && Inputs != "x" ? $"{Name}({Signature})({Inputs})" : $"{Name}({Signature})";

    internal static ImmutableArray<CatalogParameter> ParseSignature(string signature)
    {
        var parameters = ImmutableArray.CreateBuilder<CatalogParameter>();
        foreach (var part in SplitOutsideParentheses(signature))
        {
            var equal = part.IndexOf(" = ", StringComparison.Ordinal);
            var head = equal < 0 ? part : part[..equal];
            var colon = head.IndexOf(": ", StringComparison.Ordinal);
            var type = colon < 0 ? "tensor" : head[(colon + 2)..];
            var name = colon < 0 ? head : head[..colon];
            var variadic = type.EndsWith("...", StringComparison.Ordinal);
            type = variadic ? type[..^3] : type;
            ImmutableArray<string> words = type.Contains('|') ? [.. type.Split('|')] : [];
            var kind = words.IsEmpty ? Enum.Parse<ParameterKind>(type, ignoreCase: true) : ParameterKind.Word;
            if (kind == ParameterKind.Axis)
                words = ["all"];
            else if (kind == ParameterKind.Padding)
                words = ["same", "valid"];
            else if (kind == ParameterKind.Init)
                words = ["auto"];
            else if (kind == ParameterKind.Paths)
                words = ["matrices", "all"];
            var @default = equal < 0 ? null : part[(equal + 3)..];
            if (kind == ParameterKind.Layer && @default is not null)
                kind = ParameterKind.Recipe;
            if (@default == "none" && !words.Contains("none"))
                words = words.Add("none");
            parameters.Add(new CatalogParameter(name, kind, words, @default, variadic));
        }

        return parameters.ToImmutable();
    }

    private static IEnumerable<string> SplitOutsideParentheses(string text)
    {
        var (depth, start) = (0, 0);
        for (var i = 0; i <= text.Length; i++)
        {
            if (i == text.Length || (text[i] == ',' && depth == 0))
            {
                if (i > start)
                    yield return text[start..i].Trim();
                start = i + 1;
            }
            else if (text[i] is '(' or '[')
            {
                depth++;
            }
            else if (text[i] is ')' or ']')
            {
                depth--;
            }
        }
    }
}

/// <summary>The arguments of a call, by parameter, in the types that their kinds say.</summary>
internal sealed class Args(CatalogEntry entry, object?[] values, Func<Expr> randomKey)
{
    /// <summary>The value of the parameter at a position.</summary>
    public object? Value(int position) => values[position];

    public Expr Tensor(string name) => (Expr)Get(name)!;

    public Expr? OptionalTensor(string name) => (Expr?)Get(name);

    public ImmutableArray<Expr> Tensors(string name) => (ImmutableArray<Expr>)Get(name)!;

    public int Int(string name) => (int)Get(name)!;

    public int? OptionalInt(string name) => (int?)Get(name);

    public double Float(string name) => (double)Get(name)!;

    public double? OptionalFloat(string name) => (double?)Get(name);

    public bool Bool(string name) => (bool)Get(name)!;

    public string Text(string name) => (string)Get(name)!;

    public string? OptionalText(string name) => (string?)Get(name);

    public ValueList<string>? Strings(string name) => (ValueList<string>?)Get(name);

    public ValueList<ColumnName> Columns(string name) => (ValueList<ColumnName>?)Get(name) ?? default;

    public (double First, double Second) Pair(string name) => ((double, double))Get(name)!;

    public ValueList<double> Floats(string name) => (ValueList<double>)Get(name)!;

    public Dim Size(string name) => (Dim)Get(name)!;

    public ImmutableArray<(string Name, Dim Size)> Sizes(string name) => (ImmutableArray<(string, Dim)>?)Get(name) ?? [];

    public Dim? OptionalSize(string name) => (Dim?)Get(name);

    /// <summary>What was given, as it is.</summary>
    public Value? Any(string name) => (Value?)Get(name);

    public Shape? Shape(string name) => (Shape?)Get(name);

    public Extent Extent(string name) => (Extent)Get(name)!;

    public Extent? OptionalExtent(string name) => (Extent?)Get(name);

    public Padding Padding(string name) => (Padding)Get(name)!;

    public Axes Axis(string name) => Get(name) is int[] axes ? axes : Axes.All;

    public int[]? AxisList(string name) => (int[]?)Get(name);

    public DType DType(string name) => (DType)Get(name)!;

    public Initializer? Init(string name) => (Initializer?)Get(name);

    public Schedule Schedule(string name) => (Schedule)Get(name)!;

    public Func<Expr, Expr> Function(string name) => (Func<Expr, Expr>)Get(name)!;

    /// <summary>Applies a layer that is made anew under each name; null for the default.</summary>
    public Func<LayerContext, string, Expr, Expr>? Recipe(string name) => (Func<LayerContext, string, Expr, Expr>?)Get(name);

    /// <summary>The key that was given, or that of the place.</summary>
    public Expr RandomKey() => OptionalTensor("key") ?? randomKey();

    public LossReduction Reduction => Text("reduction") switch
    {
        "sum" => LossReduction.Sum,
        "none" => LossReduction.None,
        _ => LossReduction.Mean,
    };

    private object? Get(string name)
    {
        for (var i = 0; i < values.Length; i++)
        {
            if (entry.Parameters[i].Name == name)
                return values[i];
        }

        throw new InvalidOperationException($"{entry.Name} has no parameter {name}");
    }
}
