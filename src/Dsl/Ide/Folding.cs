using System.Collections.Immutable;

namespace Dnn.Dsl.Ide;

/// <summary>What spans several lines and can be hidden: blocks and brackets, runs of comment lines, runs of imports.</summary>
internal static class Folding
{
    public static ImmutableArray<Fold> Of(SyntaxTree tree)
    {
        var source = tree.Source;
        var folds = new List<Fold>();
        for (var i = 0; i < tree.Tokens.Length; i++)
        {
            var token = tree.Tokens[i];
            if (token.Kind.IsOpening() && token.Partner > i && source.LineAt(token.Start) < source.LineAt(tree.Tokens[token.Partner].Start))
                folds.Add(new Fold(source.Span(token.Start, tree.Tokens[token.Partner].End), token.Kind == TokenKind.LeftBrace ? FoldKind.Block : FoldKind.Brackets));
            Comments(source, i == 0 ? 0 : tree.Tokens[i - 1].End, token.Start, folds);
        }

        Imports(tree, folds);
        return [.. folds.OrderBy(f => f.Span.Start).ThenByDescending(f => f.Span.Length)];
    }

    private static void Comments(SourceText source, int start, int end, List<Fold> folds)
    {
        if (end - start < 4)
            return;
        TextSpan? first = null, last = null;
        foreach (var comment in Lexer.Trivia(source, start, end).Where(t => t.Kind is TriviaKind.Comment or TriviaKind.Documentation))
        {
            if (last is { } before && source.LineAt(comment.Span.Start) == source.LineAt(before.Start) + 1)
            {
                last = comment.Span;
                continue;
            }

            Close();
            (first, last) = (comment.Span, comment.Span);
        }

        Close();

        void Close()
        {
            if (first is { } from && last is { } to && from.Start < to.Start)
                folds.Add(new Fold(from.To(to), FoldKind.Comment));
        }
    }

    private static void Imports(SyntaxTree tree, List<Fold> folds)
    {
        var declarations = tree.Root.Declarations;
        for (var i = 0; i < declarations.Length; i++)
        {
            var first = i;
            while (i < declarations.Length && declarations[i] is ImportSyntax)
                i++;
            if (i - first > 1)
                folds.Add(new Fold(declarations[first].Span.To(declarations[i - 1].Span), FoldKind.Imports));
        }
    }
}
