using System.Text;

namespace Dnn.Graph;

/// <summary>
/// Prints models as <c>.dnn</c> source: layers as layers under their paths, calls of functions as calls, values under the names that they were given, and
/// every other operation of the graph with operators and functions where they mean exactly the same nodes, and primitives elsewhere. What is printed parses to
/// the same graph with the same parameters.
/// </summary>
public static partial class ModelPrinter
{
    /// <summary>How often what turned out not to be printable as a layer is taken apart before all layers are.</summary>
    private const int MaxRounds = 8;

    /// <summary>The model as source.</summary>
    /// <param name="model">The model, from wherever it comes.</param>
    /// <param name="flat">Whether layers and functions are taken apart into operations, too.</param>
    public static string ToSource(this Model model, bool flat = false)
    {
        var apart = new Apart();
        for (var round = 0; !flat && round < MaxRounds; round++)
        {
            var writer = new Writer(model, KeptLayers.Find(model, apart), isFlat: false);
            if (writer.Write() is { } text)
                return text;
        }

        return new Writer(model, KeptLayers.None, flat).Write()!;
    }

    /// <summary>
    /// The derivative of a scalar of the model as a model of its own: the same inputs and parameters, targets as inputs, and one
    /// output <c>grad_NAME</c> for each variable.
    /// </summary>
    /// <exception cref="GraphException">The scalar does not depend on a variable that was asked for by name.</exception>
    public static Model Differentiate(Model model, Expr of, IReadOnlyList<Named> with)
    {
        var gradients = Gradient.Of(of, [.. with.Select(w => w.Value)], model.Provenance);
        var missing = with.Where((_, i) => gradients[i] is null).ToArray();
        if (missing.Length == with.Count)
            throw new GraphException(Gradient.Disconnection(of, missing[0].Value));
        return model with
        {
            Name = model.Name + "Gradient",
            Inputs = [.. model.Inputs, .. model.Targets],
            Targets = [],
            Outputs = [.. with.Zip(gradients).Where(p => p.Second is not null).Select(p => new Named(GradientName(p.First.Name), p.Second!))],
            Losses = [],
            Metrics = [],
            Buffers = [.. model.Buffers.Select(b => b with { Next = null })],
        };
    }

    /// <summary>Whether a model is such a derivative: what it gives is gradients of its own inputs and parameters, by name and type, and nothing else.</summary>
    public static bool IsDerivative(Model model)
    {
        var gradients = model.Inputs.Concat(model.Parameters.Select(p => new Named(p.Path, p.Variable))).Select(v => (GradientName(v.Name), v.Value.Type)).ToHashSet();
        return model is { Outputs.IsEmpty: false, Losses.IsEmpty: true, Metrics.IsEmpty: true } && model.Outputs.All(o => gradients.Contains((o.Name, o.Value.Type)));
    }

    private static string GradientName(string path) => "grad_" + Identifier(path);

    /// <summary>A path as one word: <c>blocks[3].attn.wq</c> becomes <c>blocks_3_attn_wq</c>.</summary>
    public static string Identifier(string path)
    {
        var text = new StringBuilder();
        foreach (var c in path)
        {
            if (char.IsAsciiLetterOrDigit(c) || c == '_')
                text.Append(c);
            else if (c is '.' or '[')
                text.Append('_');
        }

        return text.Length == 0 || char.IsAsciiDigit(text[0]) ? "v" + text : text.ToString();
    }

    /// <summary>An initializer as source.</summary>
    public static string Text(Initializer initializer) => initializer switch
    {
        ConstantInitializer { Value: 0 } => "zeros()",
        ConstantInitializer { Value: 1 } => "ones()",
        ConstantInitializer c => $"constant({Printer.Number(c.Value)})",
        ListInitializer list => Nested(list.Dims.AsSpan(), list.Values.AsSpan()),
        NormalInitializer n => $"normal({Printer.Number(n.Deviation)})",
        TruncatedNormalInitializer n => $"truncated_normal({Printer.Number(n.Deviation)})",
        UniformInitializer u => $"uniform({Printer.Number(u.Low)}, {Printer.Number(u.High)})",
        VarianceInitializer v => (v.Mode == Fan.Average ? "xavier" : v.Gain == 2 ? "he" : "lecun") + (v.IsUniform ? "_uniform()" : "_normal()"),
        OrthogonalInitializer o => $"orthogonal({Printer.Number(o.Gain)})",
        IdentityInitializer => "identity()",
        ScaledInitializer s => $"{Text(s.Inner)} * {Printer.Number(s.Factor)}",
        AutoInitializer => "auto",
        _ => throw new InvalidOperationException($"no notation for {initializer}"),
    };

    private static string Nested(ReadOnlySpan<int> dims, ReadOnlySpan<double> values)
    {
        if (dims.IsEmpty)
            return Printer.Number(values[0]);
        if (dims.Length == 1 && Runs(values) is { } runs && runs.Count <= values.Length / 4)
            return string.Join(" + ", runs.Select(r => $"[{Printer.Number(r.Value)} for i in 0..{r.Count}]"));
        var parts = new List<string>();
        var size = dims[0] == 0 ? 0 : values.Length / dims[0];
        for (var i = 0; i < dims[0]; i++)
            parts.Add(Nested(dims[1..], values.Slice(i * size, size)));
        return "[" + string.Join(", ", parts) + "]";
    }

    /// <summary>Equal numbers in a row, and how many.</summary>
    private static List<(double Value, int Count)> Runs(ReadOnlySpan<double> values)
    {
        var runs = new List<(double Value, int Count)>();
        foreach (var value in values)
        {
            if (runs is [.., var last] && last.Value.Equals(value))
                runs[^1] = (value, last.Count + 1);
            else
                runs.Add((value, 1));
        }

        return runs;
    }
}
