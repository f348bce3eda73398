namespace Dnn.Dsl;

/// <summary>The values of <c>--set name=value</c>: expressions with the names of the file's top level.</summary>
internal sealed class Overrides(Binding binding, IReadOnlyDictionary<string, string> values)
{
    private const string Train = "train.";

    /// <summary>Null where it is no expression, which was said.</summary>
    private readonly Dictionary<string, ExprSyntax?> parsed = new(StringComparer.Ordinal);

    public bool Has(string name) => values.ContainsKey(name);

    /// <summary>The value for a hyperparameter of a type, if there is one. What has been taken is known.</summary>
    /// <exception cref="DiagnosticException">It is no expression.</exception>
    /// <param name="name">What <c>--set</c> calls it.</param>
    /// <param name="type">Its type; null where any will do.</param>
    /// <param name="isPath">Whether it is a path, whose names are none of the file.</param>
    /// <param name="words">Words that may stand bare.</param>
    /// <param name="isText">Whether it is a string, which needs no quotes.</param>
    public ExprSyntax? Take(string name, TypeSyntax? type, bool isPath = false, IReadOnlyCollection<string>? words = null, bool isText = false)
    {
        if (!values.TryGetValue(name, out var text))
            return null;
        if (parsed.TryGetValue(name, out var known))
            return known ?? throw new DiagnosticException(null);
        parsed[name] = null;
        var source = new SourceText(text, $"--set {name}");
        if ((isText || type is NamedTypeSyntax { Name.Text: "string" }) && !text.StartsWith('"'))
            return parsed[name] = new StringSyntax(source.Span(0, text.Length), text);
        var (expression, diagnostics) = Parser.ParseExpression(source);
        if (diagnostics.FirstOrDefault(d => d.IsError) is { } error)
            throw new DiagnosticException(error);
        if (expression!.Bare is NameSyntax word && !isPath && words is { Count: > 0 } && !binding.File.ContainsKey(word.Name.Text))
        {
            if (!words.Contains(word.Name.Text))
                throw new DiagnosticException(DiagnosticCodes.UnknownWord.At(word.Span, $"`{name}` takes {string.Join(" or ", words)}, not `{word.Name.Text}`").WithSuggestion(word.Name.Text, word.Span, words));
            binding.Words[word] = word.Name.Text;
        }
        else if (!isPath)
        {
            Binder.Bind(binding, expression!);
        }

        return parsed[name] = expression!;
    }

    /// <summary>Reports names that nothing has.</summary>
    public void ReportUnknown(IReadOnlyCollection<string> known, Action<Diagnostic> report)
    {
        foreach (var (name, text) in values.Where(v => !known.Contains(v.Key)).OrderBy(v => v.Key, StringComparer.Ordinal))
        {
            // Options of the train block are apart from hyperparameters, and compared without the word before them.
            var isTrain = name.StartsWith(Train, StringComparison.Ordinal);
            var span = new SourceText($"{name}={text}", "--set").Span(isTrain ? Train.Length : 0, name.Length);
            string[] names = [.. known.Where(n => n.StartsWith(Train, StringComparison.Ordinal) == isTrain).Select(n => isTrain ? n[Train.Length..] : n).Order(StringComparer.Ordinal)];
            var problem = DiagnosticCodes.UnknownOverride.At(span, isTrain ? $"train blocks have no option `{span.Text}`" : $"there is no hyperparameter `{name}`").WithSuggestion(span.Text, span, names);
            report(problem.Fix is not null ? problem
                : names.Length > 0 ? problem.WithNote($"known: {string.Join(", ", names)}")
                : problem.WithNote(isTrain ? "this file has no train block" : known.Count > 0 ? "this file has none; options of its train block begin with `train.`" : "this file has none"));
        }
    }
}
