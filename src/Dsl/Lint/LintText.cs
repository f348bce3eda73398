using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Findings about a model that came from text, as diagnostics with spans and fixes.</summary>
internal static class LintText
{
    public static Diagnostic Diagnose(Finding finding, CompileResult result, CompiledModel compiled)
    {
        var span = Span(finding.Location, result) ?? compiled.Declaration.Name.Span;
        if (finding.TrainOption is { } option)
        {
            var train = result.Syntax.Root.Declarations.OfType<TrainSyntax>().FirstOrDefault(t => t.Name?.Text == compiled.Name && t.Model.Callee.Span.Text == compiled.ModelName);
            span = train?.Options.FirstOrDefault(o => o.Name.Text == option)?.Span ?? train?.Model.Span ?? span;
        }

        var diagnostic = finding.Rule.At(span, finding.Message) with { Severity = finding.Severity, Notes = finding.Notes };
        foreach (var (location, text) in finding.Related)
        {
            if (Span(location, result) is { } other && other != span)
                diagnostic = diagnostic.With(other, text);
        }

        if (finding.Path.Length > 0 && finding.Path.Contains('.', StringComparison.Ordinal))
            diagnostic = diagnostic.WithNote($"in `{finding.Path}`");
        return finding.Edit is { } edit && Repair(edit, result, span) is { } fix ? diagnostic with { Fix = fix } : diagnostic;
    }

    /// <summary>A finding in a file of the library, at the application that led there; others as they are.</summary>
    public static Diagnostic OutsideOfLibrary(Diagnostic diagnostic, Finding finding, CompileResult result, CompiledModel compiled)
    {
        if (!IsOfLibrary(diagnostic.Span))
            return diagnostic;
        var application = compiled.Model!.Scopes.Where(s => s.Path.Length > 0 && (finding.Path == s.Path || finding.Path.StartsWith(s.Path + ".", StringComparison.Ordinal) || finding.Path.StartsWith(s.Path + "[", StringComparison.Ordinal)))
            .Select(s => Span(s.Location, result)).LastOrDefault(s => s is { } span && !IsOfLibrary(span));
        return application is { } call ? (diagnostic with { Span = call, Fix = null }).With(diagnostic.Span, "here in the library") : diagnostic;
    }

    private static bool IsOfLibrary(TextSpan span) => !span.IsNone && StandardLibrary.Names.Contains(span.Source.Path);

    /// <summary>A place as a span; null where it is in no file of the compilation.</summary>
    private static TextSpan? Span(SourceLocation? location, CompileResult result) =>
        location is not null && result.Files.FirstOrDefault(f => f.Source.Path == location.File) is { } file ? file.Source.Span(location.Start, location.Start + location.Length) : null;

    private static Fix? Repair(CallEdit edit, CompileResult result, TextSpan span)
    {
        if (result.Files.FirstOrDefault(f => f.Source == span.Source) is not { } tree)
            return null;
        var call = tree.Root.DescendantsAndSelf().OfType<CallSyntax>().FirstOrDefault(c => c.Span == span);
        switch (edit)
        {
            case SetArgument set:
                // The place may be that of an application; then the call that made the layer is elsewhere.
                if (call is null || call.Callee.Span.Text != set.Callee)
                    return null;
                if (call.Arguments.FirstOrDefault(a => a.Name?.Text == set.Name) is { } known)
                    return new Fix(set.Title, known.Value.Span, set.Value, set.IsSafe);
                if (call.Arguments.IsEmpty)
                    return null;
                return new Fix(set.Title, call.Arguments[^1].Span.AtEnd, $", {set.Name} = {set.Value}", set.IsSafe);
            case Unwrap unwrap:
                if (call is not { Arguments: [{ Name: null } first, ..] } || call.Callee.Span.Text != unwrap.Outer)
                    return null;
                var inner = first;
                foreach (var name in unwrap.Inner)
                {
                    if (inner.Value.Bare is not CallSyntax { Arguments: [{ Name: null } next] } wrapped || wrapped.Callee.Span.Text != name)
                        return null;
                    inner = next;
                }

                var text = $"{unwrap.NewOuter}({inner.Span.Text}{tree.Source.Text[first.Span.End..call.Span.End]}";
                return new Fix(unwrap.Title, call.Span, text, unwrap.IsSafe);
            case RemoveLine remove:
                var line = tree.Root.DescendantsAndSelf().LastOrDefault(n => (n is LetSyntax or TrainOptionSyntax) && n.Span.Start <= span.Start && n.Span.End >= span.End);
                return line is null || (line is LetSyntax let && IsUsed(let, tree)) || Whole(line.Span) is not { } whole ? null : new Fix(remove.Title, whole, "", remove.IsSafe);
            default:
                return null;
        }
    }

    /// <summary>Whether anything but a binding of one unused name is in a <c>let</c>: then it is not to be taken out.</summary>
    private static bool IsUsed(LetSyntax let, SyntaxTree tree) =>
        let.Pattern is not NamePatternSyntax { Name.Text: var name } || tree.Root.DescendantsAndSelf().Any(n => n is NameSyntax use && use.Name.Text == name);

    /// <summary>The lines that a statement has for itself, with their end; null where it shares them.</summary>
    private static TextSpan? Whole(TextSpan span)
    {
        var source = span.Source;
        var (first, last) = (source.Line(source.LineAt(span.Start)), source.Line(source.LineAt(span.End)));
        var isAlone = string.IsNullOrWhiteSpace(source.Text[first.Start..span.Start]) && string.IsNullOrWhiteSpace(source.Text[span.End..last.End]);
        return isAlone && source.LineAt(span.End) + 1 < source.LineCount ? source.Span(first.Start, source.Line(source.LineAt(span.End) + 1).Start) : null;
    }
}
