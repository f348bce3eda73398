using System.Collections.Immutable;

namespace Dnn.Dsl.Ide;

/// <summary>Tokens with their meaning: from the names that are bound, and from where the others stand.</summary>
internal static class SemanticTokens
{
    public static ImmutableArray<SemanticToken> Of(IdeFile file)
    {
        var tree = file.Tree;
        var names = file.Names.All.ToDictionary(o => o.Span.Start);
        var roles = Roles(file.Tolerant);
        var statements = new Statements(tree);
        var found = new List<SemanticToken>();
        for (var i = 0; i < tree.Tokens.Length; i++)
        {
            var token = tree.Tokens[i];
            foreach (var trivia in Lexer.Trivia(tree.Source, i == 0 ? 0 : tree.Tokens[i - 1].End, token.Start))
            {
                if (trivia.Kind is TriviaKind.Comment or TriviaKind.Documentation)
                    found.Add(new SemanticToken(trivia.Span, trivia.Kind == TriviaKind.Comment ? IdeKind.Comment : IdeKind.Documentation, false));
            }

            if (token.Length == 0)
                continue;
            var span = tree.Source.Span(token.Start, token.End);
            switch (token.Kind)
            {
                case TokenKind.Number:
                    found.Add(new SemanticToken(span, IdeKind.Number, false));
                    break;
                case TokenKind.String:
                    found.Add(new SemanticToken(span, IdeKind.String, false));
                    break;
                case TokenKind.Name:
                    if (names.TryGetValue(token.Start, out var name))
                        found.Add(new SemanticToken(span, KindOf(name), name.IsDeclaration));
                    else if (roles.TryGetValue(token.Start, out var role))
                        found.Add(new SemanticToken(span, role, false));
                    else if (span.Text is "on" or "as" or "minimize" or "every" or "only" or "rename" or "gradient" or "steps" or "step" or "epochs" or "epoch")
                        found.Add(new SemanticToken(span, IdeKind.Keyword, false));
                    else if (span.Text is "train" or "validation" or "test" && i + 1 < tree.Tokens.Length && tree.Tokens[i + 1].Kind == TokenKind.Dot)
                        found.Add(new SemanticToken(span, IdeKind.Word, false));
                    else if (statements.First(i) == i && (HoverText.Words.ContainsKey(span.Text) || TrainOptions.Find(span.Text) is not null))
                        found.Add(new SemanticToken(span, IdeKind.Keyword, false));
                    break;
                default:
                    if (token.Kind.IsReserved())
                        found.Add(new SemanticToken(span, IdeKind.Keyword, false));
                    else if (IsOperator(token.Kind))
                        found.Add(new SemanticToken(span, IdeKind.Operator, false));
                    break;
            }
        }

        return [.. found];
    }

    private static bool IsOperator(TokenKind kind) => kind is TokenKind.Equal or TokenKind.EqualEqual or TokenKind.NotEqual or TokenKind.Less or TokenKind.LessOrEqual or TokenKind.Greater
        or TokenKind.GreaterOrEqual or TokenKind.Arrow or TokenKind.FatArrow or TokenKind.Pipe or TokenKind.Plus or TokenKind.Minus or TokenKind.Star or TokenKind.StarStar or TokenKind.Slash
        or TokenKind.Percent or TokenKind.At or TokenKind.DotDot or TokenKind.Ellipsis;

    private static IdeKind KindOf(Occurrence name) => name.Symbol is { } symbol ? KindOf(symbol) : name.Entry is { } entry ? KindOf(entry) : IdeKind.Word;

    internal static IdeKind KindOf(Symbol symbol) => symbol.Kind switch
    {
        SymbolKind.Layer or SymbolKind.Recipe => IdeKind.Layer,
        SymbolKind.Model => IdeKind.Model,
        SymbolKind.Data => IdeKind.Data,
        SymbolKind.Hyper => IdeKind.Hyper,
        SymbolKind.FileLet => IdeKind.Constant,
        SymbolKind.Tensor => IdeKind.Tensor,
        SymbolKind.Dimension => IdeKind.Dimension,
        SymbolKind.Parameter => IdeKind.Parameter,
        SymbolKind.Buffer => IdeKind.Buffer,
        SymbolKind.Input => IdeKind.Input,
        SymbolKind.Target => IdeKind.Target,
        SymbolKind.Output => IdeKind.Output,
        _ => symbol.Nature == Nature.Layer ? IdeKind.Layer : IdeKind.Variable,
    };

    internal static IdeKind KindOf(CatalogEntry entry) => entry.Kind switch
    {
        CatalogKind.Layer or CatalogKind.Combinator => IdeKind.Layer,
        CatalogKind.Loss => IdeKind.Loss,
        CatalogKind.Initializer => IdeKind.Initializer,
        CatalogKind.Optimizer => IdeKind.Optimizer,
        CatalogKind.Schedule => IdeKind.Schedule,
        CatalogKind.Source => IdeKind.Source,
        CatalogKind.Constant => IdeKind.Constant,
        _ => IdeKind.Function,
    };

    /// <summary>What names are that stand for no value: of arguments, options, columns, types, losses.</summary>
    private static Dictionary<int, IdeKind> Roles(TolerantTree tolerant)
    {
        var roles = new Dictionary<int, IdeKind>();
        foreach (var node in tolerant.Tree.Root.DescendantsAndSelf())
        {
            switch (node)
            {
                case ArgumentSyntax { Name: { } name }: Add(name, IdeKind.Argument); break;
                case FieldSyntax n: Add(n.Name, IdeKind.Member); break;
                case NamedTypeSyntax n: Add(n.Name, IdeKind.Type); break;
                case TensorTypeSyntax { Element: { } element }: Add(element, IdeKind.Type); break;
                case MetricSyntax n: Add(n.Name, IdeKind.Metric); break;
                case LossSyntax { Name: { } name }: Add(name, IdeKind.Loss); break;
                case TrainSyntax { Name: { } name }: Add(name, IdeKind.Train); break;
                case TrainOptionSyntax n: Add(n.Name, IdeKind.Option); break;
                case DataOptionSyntax n:
                    Add(n.Name, IdeKind.Option);
                    foreach (var argument in n.Arguments)
                    {
                        if (argument.Name is { } name)
                            Add(name, n.Name.Text == "rename" ? IdeKind.Column : IdeKind.Argument);
                        if (argument.Value.Bare is NameSyntax column && n.Name.Text is "normalize" or "one_hot" or "rename")
                            Add(column.Name, IdeKind.Column);
                    }

                    break;
                case ParamSyntax n:
                    foreach (var option in n.Options)
                        Add(option.Name, IdeKind.Option);
                    break;
            }
        }

        return roles;

        void Add(Identifier name, IdeKind kind) => roles.TryAdd(tolerant.Back(name.Span).Start, kind);
    }
}
