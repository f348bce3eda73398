namespace Dnn.Dsl;

/// <summary>The values of <c>--set name=value</c>: expressions with the names of the file's top level.</summary>
internal sealed class Overrides(Binding binding, IReadOnlyDictionary<string, string> values)
{
    private readonly Dictionary<string, ExprSyntax> parsed = new(StringComparer.Ordinal);

    public bool Has(string name) => values.ContainsKey(name);

    /// <summary>The value for a hyperparameter of a type, if there is one. What has been taken is known.</summary>
    /// <exception cref="DiagnosticException">It is no expression.</exception>
    /// <param name="name">What <c>--set</c> calls it.</param>
    /// <param name="type">Its type; null where any will do.</param>
    /// <param name="isPath">Whether it is a path, whose names are none of the file.</param>
    /// <param name="words">Words that may stand bare.</param>
    public ExprSyntax? Take(string name, TypeSyntax? type, bool isPath = false, IReadOnlyCollection<string>? words = null)
    {
        if (!values.TryGetValue(name, out var text))
            return null;
        if (parsed.TryGetValue(name, out var known))
            return known;
        var source = new SourceText(text, $"--set {name}");
        if (type is NamedTypeSyntax { Name.Text: "string" } && !text.StartsWith('"'))
            return parsed[name] = new StringSyntax(source.Span(0, text.Length), text);
        var (expression, diagnostics) = Parser.ParseExpression(source);
        if (diagnostics.FirstOrDefault(d => d.IsError) is { } error)
            throw new DiagnosticException(error);
        if (expression!.Bare is NameSyntax word && words?.Contains(word.Name.Text) == true)
            binding.Words[word] = word.Name.Text;
        else if (!isPath)
            Binder.Bind(binding, expression!);
        return parsed[name] = expression!;
    }

    /// <summary>Reports names that nothing has.</summary>
    public void ReportUnknown(IReadOnlyCollection<string> known, Action<Diagnostic> report)
    {
        foreach (var (name, text) in values.Where(v => !known.Contains(v.Key)).OrderBy(v => v.Key, StringComparer.Ordinal))
        {
            var span = new SourceText($"{name}={text}", "--set").Span(0, name.Length);
            report(DiagnosticCodes.UnknownOverride.At(span, $"there is no hyperparameter `{name}`").WithSuggestion(name, span, known)
                .WithNote(known.Count == 0 ? "this file has none" : $"known: {string.Join(", ", known.Order(StringComparer.Ordinal))}"));
        }
    }
}
