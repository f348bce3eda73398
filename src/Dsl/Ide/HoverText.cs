using System.Globalization;
using System.Text;
using Dnn.Graph;

namespace Dnn.Dsl.Ide;

/// <summary>What is known about the name at a position.</summary>
internal static class HoverText
{
    public static Hover? At(IdeFile file, int position)
    {
        if (file.Names.At(position) is { } here)
        {
            if (here.Symbol is { } symbol)
                return new Hover(here.Span, Code(symbol), Text(file, symbol));
            if (here.Entry is { } entry)
                return new Hover(here.Span, entry.ToString(), Text(entry));
            return new Hover(here.Span, here.Word!, here.Word == "training" ? "Whether the graph of training is built: one definition, two graphs." : "A word of an enumeration.");
        }

        var name = file.NameAround(position);
        if (name.Length == 0)
            return null;
        var statements = new Statements(file.Tree);
        var at = statements.At(name.Start);
        if (file.Tree.Tokens[at].Start != name.Start || file.Tree.Tokens[at].Kind != TokenKind.Name)
            return null;
        var isFirst = statements.First(at) == at;
        if (isFirst && statements.Block(statements.Brace(at)) == BlockKind.Train && TrainOptions.Find(name.Text) is { } option)
            return new Hover(name, $"{option.Name} {option.Signature}", option.Meaning);
        if (isFirst && Words.TryGetValue(name.Text, out var meaning))
            return new Hover(name, name.Text, meaning);
        return null;
    }

    /// <summary>The keywords of statements, in a line each.</summary>
    internal static readonly IReadOnlyDictionary<string, string> Words = new Dictionary<string, string>
    {
        ["dnn"] = "The version of the language, on the first line.",
        ["import"] = "Takes names from another file, or from the shipped library.",
        ["hyper"] = "A hyperparameter of the file, which `--set name=value` sets.",
        ["let"] = "Gives a value a name. A layer that is bound is one instance, shared wherever it is applied.",
        ["layer"] = "A reusable block: hyperparameters, then tensors.",
        ["model"] = "Inputs, outputs, losses and metrics.",
        ["data"] = "A data set from a source.",
        ["train"] = "How a model is trained on data.",
        ["test"] = "Assertions that `dnn test` runs.",
        ["param"] = "A trainable tensor.",
        ["buffer"] = "State that is saved but not trained.",
        ["update"] = "A buffer's next value, in training.",
        ["require"] = "A condition that is checked while the model is put together.",
        ["return"] = "The value of a layer or lambda.",
        ["input"] = "What data feed.",
        ["target"] = "What data feed in training and evaluation.",
        ["output"] = "What inference returns.",
        ["loss"] = "A scalar to minimize; several add up.",
        ["metric"] = "A scalar to report.",
        ["assert"] = "A condition that a test checks.",
        ["assert_shape"] = "Checks the shape of a tensor.",
        ["assert_error"] = "Checks that statements raise a code.",
        ["assert_gradients"] = "Checks the derivatives of a model.",
        ["split"] = "Which rows are for training, validation and test.",
        ["normalize"] = "Shifts and scales columns by the mean and deviation of the training part.",
        ["one_hot"] = "Turns a column of classes into zeros and a one.",
        ["shuffle"] = "Whether rows come in a random order.",
        ["rename"] = "Gives a column another name.",
        ["augment"] = "Random changes of training rows.",
    };

    /// <summary>How a symbol is declared.</summary>
    internal static string Code(Symbol symbol) => symbol.Declaration switch
    {
        LayerSyntax layer => Head(layer.Span, layer.Body.Span),
        ModelSyntax model => Head(model.Span, model.Body.Span),
        DataSyntax data => $"data {data.Name} = {data.Source.Span.Text}",
        ParameterSyntax parameter => parameter.Span.Text,
        PatternSyntax or null => symbol.Kind == SymbolKind.Dimension ? $"[{symbol.Name}]" : $"let {symbol.Name}",
        var statement => Line(statement.Span),
    };

    private static string Head(TextSpan whole, TextSpan body) => whole.Source.Span(whole.Start, body.Start).Text.TrimEnd();

    private static string Line(TextSpan span)
    {
        var text = span.Text;
        var end = text.AsSpan().IndexOfAny('\r', '\n');
        return end < 0 ? text : text[..end] + " …";
    }

    private static string Text(IdeFile file, Symbol symbol)
    {
        var parts = new List<string> { Kind(symbol) };
        if (file.Compiled.Binding.Observed is { } observed && Same(file, symbol) is { } seen && observed.TryGetValue(seen, out var value))
            parts.Add(char.ToUpperInvariant(value[0]) + value[1..] + ".");
        if (symbol.Declaration is StatementSyntax { Documentation: { } documentation })
            parts.Add(documentation);
        return string.Join("\n\n", parts);
    }

    /// <summary>The symbol of the compilation, whose tree is another one where the file is incomplete.</summary>
    private static Symbol? Same(IdeFile file, Symbol symbol)
    {
        var span = file.Tolerant.Back(symbol.Span);
        return file.Compiled.Binding.Observed!.Keys.FirstOrDefault(s => s.Name == symbol.Name && s.Span == span);
    }

    private static string Kind(Symbol symbol) => symbol.Kind switch
    {
        SymbolKind.Hyper or SymbolKind.Recipe => "Hyperparameter",
        SymbolKind.FileLet => "Constant of the file",
        SymbolKind.Let => symbol.Nature == Nature.Layer ? "One layer, shared wherever it is applied" : "Name of a value",
        SymbolKind.Variable => "Variable of a loop or lambda",
        SymbolKind.Dimension => "Size",
        SymbolKind.Parameter => "Trainable parameter",
        SymbolKind.Data => "Data set",
        var kind => kind.ToString(),
    };

    internal static string Text(CatalogEntry entry)
    {
        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"{entry.Kind}: {entry.Equation}");
        if (entry.Shapes.Length > 0)
            text.Append(CultureInfo.InvariantCulture, $"\n\nShapes: {entry.Shapes}");
        if (entry.Use.Length > 0)
            text.Append(CultureInfo.InvariantCulture, $"\n\n{entry.Use}");
        return text.ToString();
    }
}
