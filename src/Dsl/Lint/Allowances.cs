using System.Collections.Immutable;
using System.Text.RegularExpressions;

namespace Dnn.Dsl;

/// <summary>The comments <c>// dnn: allow CODE reason</c> of a file: each silences a code on the line below it, and says why.</summary>
internal sealed partial class Allowances
{
    private readonly HashSet<(int Line, string Code)> allowed = [];
    private readonly HashSet<int> comments = [];

    /// <summary>What is wrong with the comments themselves.</summary>
    public ImmutableArray<Diagnostic> Problems { get; private set; } = [];

    public static Allowances Of(SyntaxTree tree)
    {
        var result = new Allowances();
        var problems = ImmutableArray.CreateBuilder<Diagnostic>();
        foreach (var token in tree.Tokens)
        {
            foreach (var trivia in Lexer.Trivia(tree.Source, token.FullStart, token.Start).Concat(Lexer.Trivia(tree.Source, token.End, token.FullEnd)))
            {
                if (trivia.Kind == TriviaKind.Comment)
                    result.Read(trivia.Span, problems);
            }
        }

        result.Problems = problems.ToImmutable();
        return result;
    }

    /// <summary>Whether the comments above the line of a diagnostic allow it. Errors cannot be allowed.</summary>
    public bool Allow(Diagnostic diagnostic)
    {
        if (diagnostic.IsError || diagnostic.Span.IsNone || allowed.Count == 0)
            return false;
        for (var line = diagnostic.Span.Source.LineAt(diagnostic.Span.Start) - 1; comments.Contains(line); line--)
        {
            if (allowed.Contains((line, diagnostic.Code)))
                return true;
        }

        return false;
    }

    private void Read(TextSpan comment, ImmutableArray<Diagnostic>.Builder problems)
    {
        var line = comment.Source.LineAt(comment.Start);
        if (string.IsNullOrWhiteSpace(comment.Source.Text[comment.Source.Line(line).Start..comment.Start]))
            comments.Add(line);
        if (Directive().Match(comment.Text) is not { Success: true } match)
            return;
        var (code, reason) = (match.Groups["code"], match.Groups["reason"].Value.Trim());
        var span = code.Length > 0 ? comment.Source.Span(comment.Start + code.Index, comment.Start + code.Index + code.Length) : comment;
        var row = DiagnosticCodes.Find(code.Value);
        if (match.Groups["verb"].Value != "allow" || row is null || row.Severity == Severity.Error)
        {
            var message = match.Groups["verb"].Value != "allow" ? $"a comment for dnn is `// dnn: allow CODE reason`, not `{match.Groups["verb"].Value}`"
                : code.Length == 0 ? "the comment names no code"
                : row is null ? $"there is no diagnostic {code.Value}"
                : $"{code.Value} is an error, and only warnings and notes can be allowed";
            var problem = DiagnosticCodes.UnknownAllowance.At(span, message);
            problems.Add(row is null ? problem.WithSuggestion(code.Value, span, DiagnosticCodes.All.Where(r => r.Severity != Severity.Error).Select(r => r.Code)) : problem);
            return;
        }

        if (reason.Length == 0)
            problems.Add(DiagnosticCodes.AllowanceWithoutReason.At(comment, $"this allows {row.Code} and does not say why").WithNote($"write `// dnn: allow {row.Code} because …`"));
        allowed.Add((line, row.Code));
    }

    [GeneratedRegex(@"^//\s*dnn:\s*(?<verb>\w*)\s*(?<code>[\w-]*)(?<reason>.*)$")]
    private static partial Regex Directive();
}
