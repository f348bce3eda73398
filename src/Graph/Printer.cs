using System.Globalization;
using System.Text;

namespace Dnn.Graph;

/// <summary>Graphs as text for people.</summary>
public static class Printer
{
    /// <summary>One node: its operation, attributes and type.</summary>
    public static string Line(Expr node) => node.Op switch
    {
        Literal literal => Number(literal.Number),
        Variable variable => $"{variable.Symbol.Name}: {node.Type}",
        _ => $"{node.Op}: {node.Type}",
    };

    /// <summary>A list of definitions, one a line, arguments before uses; variables under the names given.</summary>
    public static string Definitions(IReadOnlyList<(string Name, Expr Value)> roots, IReadOnlyDictionary<Expr, string>? names = null)
    {
        var text = new StringBuilder();
        var labels = new Dictionary<Expr, string>();
        foreach (var node in Expr.PostOrder(roots.Select(r => r.Value)))
        {
            if (node.Op is Literal literal)
            {
                labels[node] = Number(literal.Number);
                continue;
            }

            if (node.Op is Variable variable)
            {
                labels[node] = names?.GetValueOrDefault(node) ?? variable.Symbol.Name;
                continue;
            }

            labels[node] = $"%{labels.Count}";
            var attributes = node.Op.Attributes.Select(a => $"{a.Name} = {Text(a.Value)}");
            text.Append(CultureInfo.InvariantCulture, $"{labels[node]} = {node.Op.Name}({string.Join(", ", node.Args.Select(a => labels[a]).Concat(attributes))}): {node.Type}\n");
        }

        foreach (var (name, value) in roots)
            text.Append(CultureInfo.InvariantCulture, $"{name} = {labels[value]}\n");
        return text.ToString();
    }

    /// <summary>An attribute's value as source.</summary>
    public static string Text(object value) => value switch
    {
        string s => Quote(s),
        bool b => b ? "true" : "false",
        double d => Number(d),
        DType t => t.Text(),
        ValueList<double> d => "[" + string.Join(", ", d.Select(Number)) + "]",
        IFormattable f => f.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString() ?? "",
    };

    /// <summary>A string as source.</summary>
    public static string Quote(string value)
    {
        var text = new StringBuilder("\"", value.Length + 2);
        foreach (var c in value)
        {
            text.Append(c switch
            {
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\0' => "\\0",
                '"' => "\\\"",
                '\\' => "\\\\",
                _ when char.IsControl(c) => $"\\u{{{(int)c:x}}}",
                _ => c.ToString(),
            });
        }

        return text.Append('"').ToString();
    }

    /// <summary>The shortest text that reads back as the same double.</summary>
    public static string Number(double value)
    {
        if (double.IsNaN(value))
            return "nan";
        if (double.IsInfinity(value))
            return value > 0 ? "inf" : "-inf";
        if (value == 0 && double.IsNegative(value))
            return "-0.0";
        if (value == Math.Floor(value) && Math.Abs(value) < 1e15)
            return value.ToString("0", CultureInfo.InvariantCulture);

        // At some powers of two the shortest form of the runtime reads back as the double below.
        var text = value.ToString("R", CultureInfo.InvariantCulture);
        if (double.Parse(text, CultureInfo.InvariantCulture) != value)
            text = value.ToString("G17", CultureInfo.InvariantCulture);
        return text.Replace("E", "e", StringComparison.Ordinal);
    }
}
