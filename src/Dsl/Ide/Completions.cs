using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl.Ide;

/// <summary>
/// What could be written at a place. Where that is, the tokens before it tell, so that it works on a line that does not parse; what names mean
/// there, the binder does, on the statement as far as it is written.
/// </summary>
internal sealed class Completions
{
    private static readonly string[] StaticTypes = ["int", "float", "bool", "string", "init", "layer", "schedule"];
    private static readonly string[] Parts = ["train", "validation", "test"];
    private static readonly string[] Common = ["let", "require"];

    private readonly IdeFile file;
    private readonly SyntaxTree tree;
    private readonly Statements statements;
    private readonly TextSpan replaced;
    private readonly List<Completion> found = [];
    private readonly HashSet<string> labels = new(StringComparer.Ordinal);
    private readonly int at;
    private readonly int first;
    private readonly bool isStart;
    private readonly BlockKind block;
    private readonly Lazy<Binding> binding;
    private readonly Lazy<TolerantTree> tolerant;

    private Completions(IdeFile file, int position)
    {
        this.file = file;
        tree = file.Tree;
        statements = new Statements(tree);
        replaced = file.NameAround(position);
        at = Before(replaced.Start);
        first = at < 0 ? 0 : statements.First(at);
        isStart = at < 0 || statements.Kind(at) is TokenKind.NewLine or TokenKind.LeftBrace || EndsBefore();
        if (isStart)
            first = at + 1;
        block = statements.Block(Enclosing());
        tolerant = new(() => TolerantTree.Of(tree, replaced));
        binding = new(() => file.Bind(tolerant.Value.Tree));
    }

    public static ImmutableArray<Completion> At(IdeFile file, int position)
    {
        var completions = new Completions(file, position);
        if (!completions.IsInText(position))
            completions.Find();
        return [.. completions.found];
    }

    // ---- Where -------------------------------------------------------------------------------------------------------

    /// <summary>The last token that ends at or before a position; −1 if there is none.</summary>
    private int Before(int position)
    {
        var token = statements.At(position);
        while (token >= 0 && (tree.Tokens[token].End > position || tree.Tokens[token].Start >= position))
            token--;
        return token;
    }

    /// <summary>Whether the statement before ends on a line above: a newline before a closing brace is no token.</summary>
    private bool EndsBefore() => tree.Source.LineAt(tree.Tokens[at].End) < tree.Source.LineAt(replaced.Start) && !statements.Kind(at).ContinuesAfter() && Bracket() < 0;

    private int Enclosing() => at < 0 ? -1 : statements.Kind(at) == TokenKind.LeftBrace ? at : statements.Brace(at);

    /// <summary>Whether a position is in a comment or string, or in a number.</summary>
    private bool IsInText(int position)
    {
        var token = statements.At(position);
        for (var i = Math.Max(0, token - 1); i <= Math.Min(token + 1, tree.Tokens.Length - 1); i++)
        {
            var t = tree.Tokens[i];
            if (t.Kind == TokenKind.String && t.Start < position && position < t.End + (StringLiteral.IsTerminated(tree.Source.Text[t.Start..t.End]) ? 0 : 1))
                return true;
            if (t.Kind == TokenKind.Number && t.Start < position && position <= t.End)
                return true;
            if (position < t.FullStart || position > t.FullEnd)
                continue;
            foreach (var trivia in Lexer.Trivia(tree.Source, t.FullStart, t.Start).Concat(Lexer.Trivia(tree.Source, t.End, t.FullEnd)))
            {
                if (trivia.Kind is TriviaKind.Comment or TriviaKind.Documentation or TriviaKind.Foreign && trivia.Span.Start < position && position <= trivia.Span.End)
                    return true;
            }
        }

        return false;
    }

    private string Word => statements.Text(Math.Min(first, tree.Tokens.Length - 1));

    private TokenKind Previous => at < 0 ? TokenKind.NewLine : statements.Kind(at);

    private string PreviousText => at < 0 ? "" : statements.Text(at);

    /// <summary>The innermost bracket that is open here, within the statement; −1 if none.</summary>
    private int Bracket()
    {
        for (var i = at; i >= first; i--)
        {
            var token = tree.Tokens[i];
            if (token.Kind.IsClosing() && token.Partner >= first)
                i = token.Partner;
            else if (token.Kind is TokenKind.LeftParen or TokenKind.LeftBracket)
                return i;
            else if (token.Kind == TokenKind.LeftBrace)
                return -1;
        }

        return -1;
    }

    private void Find()
    {
        if (Previous == TokenKind.Dot)
        {
            AfterPoint();
            return;
        }

        if (isStart)
        {
            StatementStart();
            return;
        }

        var bracket = Bracket();
        var isTop = block == BlockKind.File;
        if (isTop && Word == "import")
        {
            Import(bracket);
            return;
        }

        if (isTop && Word == "train" && bracket < 0 && (at == first || Previous == TokenKind.Equal))
        {
            Symbols(s => s.Kind == SymbolKind.Model);
            return;
        }

        if (isTop && Word == "train" && bracket < 0)
        {
            if (PreviousText == "on")
                Symbols(s => s.Kind == SymbolKind.Data);
            else
                Add("on", IdeKind.Keyword);
            return;
        }

        if (isTop && Word == "data" && bracket < 0)
        {
            if (Previous == TokenKind.Equal)
                Entries(e => e.Kind == CatalogKind.Source);
            return;
        }

        if (IsType(bracket))
        {
            Types(bracket);
            return;
        }

        if (Declares(bracket))
            return;
        if (block == BlockKind.Data && bracket < 0)
        {
            DataLine();
            return;
        }

        if (block == BlockKind.Augment)
            return;
        if (block == BlockKind.Train && bracket < 0 && TrainOptions.Find(Word) is { } option)
        {
            OptionLine(option);
            return;
        }

        if (Signatures.Around(tree, statements, replaced.Start) is { } call && bracket == call.Open)
        {
            InCall(call);
            return;
        }

        if (Word == "param" && bracket < 0 && Previous == TokenKind.Comma)
        {
            Words(["frozen", "no_decay", "lr_scale"], IdeKind.Option);
            return;
        }

        Values(ParameterKind.Any);
    }

    // ---- Statements --------------------------------------------------------------------------------------------------

    private void StatementStart()
    {
        switch (block)
        {
            case BlockKind.File:
                Words([.. Keywords.Declarations, "let"], IdeKind.Keyword);
                if (at < 0)
                    Add("dnn 1", IdeKind.Keyword, "", HoverText.Words["dnn"]);
                break;
            case BlockKind.Layer:
                Words(["let", "return", "param", "buffer", "update", "require"], IdeKind.Keyword);
                break;
            case BlockKind.Model:
                Words(["input", "target", "let", "output", "loss", "metric", "param", "buffer", "update", "require"], IdeKind.Keyword);
                break;
            case BlockKind.Test:
                Words(["let", "assert", "assert_shape", "assert_error", "assert_gradients", "require"], IdeKind.Keyword);
                break;
            case BlockKind.Lambda:
                Words([.. Common, "return"], IdeKind.Keyword);
                break;
            case BlockKind.Data:
                Words([.. DataOptions.Known], IdeKind.Option);
                break;
            case BlockKind.Train:
                foreach (var row in TrainOptions.All)
                    Add(row.Name, IdeKind.Option, row.Signature, row.Meaning);
                break;
            case BlockKind.For:
                Values(ParameterKind.Layer);
                Add("let", IdeKind.Keyword, "", HoverText.Words["let"]);
                break;
        }
    }

    private void Words(IEnumerable<string> words, IdeKind kind)
    {
        foreach (var word in words)
            Add(word, kind, "", HoverText.Words.GetValueOrDefault(word) ?? "");
    }

    private void Import(int bracket)
    {
        if (bracket < 0)
        {
            if (at == first)
            {
                foreach (var name in StandardLibrary.Names)
                    Add(name, IdeKind.Module);
            }

            return;
        }

        foreach (var (syntax, module) in binding.Value.Root.Imports)
        {
            if (tolerant.Value.Back(syntax.Span).Start != tree.Tokens[first].Start)
                continue;
            foreach (var symbol in module.Exports.Values)
                Add(symbol);
        }
    }

    /// <summary>Whether a name is being made up here, which nothing can be offered for but the columns of data.</summary>
    private bool Declares(int bracket)
    {
        if (bracket >= 0)
            return block is BlockKind.File && Word is "layer" or "model" && Previous is TokenKind.LeftParen or TokenKind.Comma;
        if (at != first)
            return PreviousText == "as" || (block == BlockKind.File && Word is "layer" or "model");
        switch (Word)
        {
            case "input" or "target":
                Columns(ModelName());
                return true;
            case "update":
                Symbols(s => s.Kind == SymbolKind.Buffer);
                return true;
            case "let" or "param" or "buffer" or "hyper" or "layer" or "model" or "data" or "test" or "output" or "metric":
                return true;
            default:
                return false;
        }
    }

    // ---- Types -------------------------------------------------------------------------------------------------------

    /// <summary>Whether a type stands here: after a colon of a declaration or an arrow, perhaps in its brackets.</summary>
    private bool IsType(int bracket)
    {
        if (Previous == TokenKind.Arrow)
            return true;
        if (Previous == TokenKind.Colon)
            return !(bracket >= 0 && statements.Kind(bracket) == TokenKind.LeftBracket) || IsTypeBracket(bracket);
        return bracket >= 0 && IsTypeBracket(bracket) && Previous is TokenKind.LeftParen or TokenKind.LeftBracket or TokenKind.Comma or TokenKind.Star or TokenKind.Slash or TokenKind.Plus or TokenKind.Minus;
    }

    private bool IsTypeBracket(int bracket)
    {
        var before = bracket - 1;
        if (before > 0 && statements.Kind(bracket) == TokenKind.LeftBracket && statements.Kind(before) == TokenKind.Name && Catalog.ElementTypes.ContainsKey(statements.Text(before)))
            before--;
        return before >= first && statements.Kind(before) is TokenKind.Colon or TokenKind.Arrow && statements.Kind(bracket) is TokenKind.LeftBracket or TokenKind.LeftParen;
    }

    private void Types(int bracket)
    {
        if (bracket >= 0 && statements.Kind(bracket) == TokenKind.LeftBracket && IsTypeBracket(bracket))
        {
            Symbols(s => s.Kind is SymbolKind.Dimension or SymbolKind.Hyper or SymbolKind.FileLet);
            Add("...", IdeKind.Dimension, "", "Any leading dimensions, the same wherever they stand in one signature.");
            return;
        }

        if (!(block is BlockKind.Layer or BlockKind.Model) || Word == "let")
            Words(StaticTypes, IdeKind.Type);
        foreach (var element in Catalog.ElementTypes.Keys.Order(StringComparer.Ordinal))
            Add(element, IdeKind.Type, "", "An element type: " + element + "[B, T]");
    }

    // ---- Data and training -------------------------------------------------------------------------------------------

    private string? ModelName()
    {
        var brace = Enclosing();
        return brace < 0 ? null : statements.Text(statements.First(brace) + 1);
    }

    private void Columns(string? model = null, string? data = null)
    {
        var known = file.ColumnsOf(model, data);
        foreach (var column in known)
            Add(column.Name, IdeKind.Column, column.ToString());
        if (known.IsEmpty)
        {
            // What the source's documentation says, where the file does not compile.
            foreach (var source in tree.Root.Declarations.OfType<DataSyntax>().Where(d => data is null || d.Name.Text == data).Select(d => d.Source.Bare).OfType<CallSyntax>())
            {
                foreach (var part in Catalog.Find(source.Callee.Span.Text) is { Kind: CatalogKind.Source } entry ? entry.Shapes.Split([", ", "; "], StringSplitOptions.None) : [])
                {
                    if (part.IndexOf(": ", StringComparison.Ordinal) is > 0 and var colon && part[..colon].All(c => char.IsLetterOrDigit(c) || c == '_'))
                        Add(part[..colon], IdeKind.Column, part[(colon + 2)..]);
                }
            }
        }
    }

    private void DataLine()
    {
        var name = statements.Text(statements.First(Enclosing()) + 1);
        switch (Word)
        {
            case "split" when Previous != TokenKind.Equal:
                Words(Parts, IdeKind.Word);
                break;
            case "split":
                Entries(e => e.Kind == CatalogKind.Source);
                break;
            case "normalize" or "one_hot":
            case "rename" when Previous == TokenKind.Equal:
                Columns(null, name);
                break;
            case "shuffle":
                Words(["true", "false"], IdeKind.Word);
                break;
        }
    }

    private void OptionLine(OptionRow option)
    {
        var parameter = Previous == TokenKind.Equal && at > first ? option.Parameters.FirstOrDefault(p => p.Name == statements.Text(at - 1)) : at == first ? option.Parameters.FirstOrDefault() : null;
        if (option.Name == "optimizer" && at == first)
        {
            Entries(e => e.Kind == CatalogKind.Optimizer);
            return;
        }

        if (option.Name == "early_stop" && Previous == TokenKind.Equal && statements.Text(at - 1) == "on")
        {
            foreach (var part in Parts)
                Add(part + ".loss", IdeKind.Metric, "", "What is watched on this part.");
            return;
        }

        if (at == first || Previous == TokenKind.Comma)
        {
            foreach (var row in option.Parameters.Length > 1 ? option.Parameters : [])
                Add(row.Name, IdeKind.Argument, row.Default is null ? "" : $"= {row.Default}", "", row.Name + " = ");
        }

        if (parameter is not null)
            Value(parameter);
    }

    // ---- Calls -------------------------------------------------------------------------------------------------------

    private void InCall(Signatures.Call call)
    {
        var application = new Applications(Visible, tolerant.Value.Tree).Of(call);
        if (application is null && call.IsApplication)
        {
            Values(ParameterKind.Any);
            return;
        }

        var parameters = application?.Parameters ?? Parameters(call.Callee);
        if (Previous == TokenKind.Equal && call.Name is { } name)
        {
            if (parameters.FirstOrDefault(p => p.Name == name) is { } chosen)
                Value(chosen);
            else
                Values(ParameterKind.Any);
            return;
        }

        if (Previous is not (TokenKind.LeftParen or TokenKind.Comma))
        {
            Values(ParameterKind.Any);
            return;
        }

        if (call.Callee == "assert_gradients" && call.Index == 0)
        {
            Symbols(s => s.Kind == SymbolKind.Model);
            return;
        }

        foreach (var parameter in parameters.Where((p, i) => !p.IsVariadic && i >= (call.Given.IsEmpty ? call.Index : 0) && !call.Given.Contains(p.Name)))
            Add(parameter.Name, IdeKind.Argument, parameter.Default is null ? "" : $"= {parameter.Default}", "", parameter.Name + " = ");
        if (!call.Given.IsEmpty)
            return;
        if (call.Index < parameters.Length)
            Value(parameters[call.Index]);
        else
            Values(ParameterKind.Any);
    }

    private ImmutableArray<CatalogParameter> Parameters(string callee)
    {
        if (Visible.FirstOrDefault(s => s.Name == callee) is { } symbol)
        {
            var list = symbol.Declaration switch { LayerSyntax layer => layer.Hypers ?? layer.Tensors, ModelSyntax model => model.Hypers, _ => null };
            return Parameters(list);
        }

        return Catalog.Find(callee)?.Parameters ?? TrainOptions.Find(callee)?.Parameters ?? [];
    }

    /// <summary>A list of a layer or model as parameters of the catalog are.</summary>
    internal static ImmutableArray<CatalogParameter> Parameters(ParameterListSyntax? list) =>
        [.. (list?.Parameters ?? []).Select(p => new CatalogParameter(p.Name.Text, KindOf(p.Type), [], p.Default?.Span.Text, false))];

    private static ParameterKind KindOf(TypeSyntax? type) => type is NamedTypeSyntax { Name.Text: var name } ? name switch
    {
        "int" => ParameterKind.Int,
        "float" => ParameterKind.Float,
        "bool" => ParameterKind.Bool,
        "init" => ParameterKind.Init,
        "layer" => ParameterKind.Layer,
        "schedule" => ParameterKind.Schedule,
        _ => ParameterKind.Any,
    }
        : type is TensorTypeSyntax ? ParameterKind.Tensor : ParameterKind.Any;

    private void Value(CatalogParameter parameter)
    {
        Words(parameter.Words, IdeKind.Word);
        switch (parameter.Kind)
        {
            case ParameterKind.Word:
                break;
            case ParameterKind.Bool:
                Words(["true", "false"], IdeKind.Word);
                Symbols(s => s.Kind is SymbolKind.Hyper or SymbolKind.FileLet or SymbolKind.Let);
                break;
            case ParameterKind.DType:
                Words(Catalog.ElementTypes.Keys.Order(StringComparer.Ordinal), IdeKind.Type);
                break;
            case ParameterKind.Init:
                Symbols(s => s.Kind is SymbolKind.Hyper or SymbolKind.FileLet);
                Entries(e => e.Kind == CatalogKind.Initializer || e.Name is "zeros" or "ones");
                break;
            case ParameterKind.Schedule:
                Symbols(s => s.Kind is SymbolKind.Hyper or SymbolKind.FileLet);
                Entries(e => e.Kind == CatalogKind.Schedule || e.Name == "constant");
                break;
            default:
                Values(parameter.Kind);
                break;
        }
    }

    // ---- Values ------------------------------------------------------------------------------------------------------

    private IReadOnlyList<Symbol> Visible => binding.Value.Visible ?? [.. binding.Value.File.Values];

    private void AfterPoint()
    {
        var target = at > 0 && statements.Kind(at - 1) == TokenKind.Name ? statements.Text(at - 1) : null;
        var isKnown = target is not null && Visible.Any(s => s.Name == target);
        if (target == "prim" && !isKnown)
        {
            foreach (var primitive in Graph.Primitives.All)
                Add(primitive.Name, IdeKind.Function);
            return;
        }

        if (target is not null && !isKnown && Catalog.All.Any(e => e.Name.StartsWith(target + ".", StringComparison.Ordinal)))
        {
            foreach (var entry in Catalog.All.Where(e => e.Name.StartsWith(target + ".", StringComparison.Ordinal)))
                Add(entry.Name[(target.Length + 1)..], SemanticTokens.KindOf(entry), entry.Signature, HoverText.Text(entry));
            return;
        }

        if (block == BlockKind.Train && target is not null && Parts.Contains(target))
        {
            Metrics();
            return;
        }

        if (target is not null && !isKnown && binding.Value.Root.Imports.Values.FirstOrDefault(m => m.Alias == target) is { } module)
        {
            foreach (var symbol in module.Exports.Values.Where(s => s.Declaration is HyperSyntax))
                Add(symbol);
            return;
        }

        if (first < tree.Tokens.Length && Word == "import")
        {
            foreach (var name in StandardLibrary.Names)
                Add(name[(name.IndexOf('.') + 1)..], IdeKind.Module);
            return;
        }

        var field = tolerant.Value.Tree.Root.DescendantsAndSelf().OfType<FieldSyntax>().FirstOrDefault(f => f.Name.Text == Binder.Probe);
        foreach (var (name, detail) in new Members(binding.Value, tolerant.Value.Tree).Of(field?.Target))
            Add(name, IdeKind.Member, detail);
    }

    /// <summary>What is logged of a part of the data.</summary>
    private void Metrics()
    {
        Add("loss", IdeKind.Loss, "", "The sum of the losses.");
        var train = statements.First(Enclosing());
        var model = tree.Root.Declarations.OfType<ModelSyntax>().FirstOrDefault(m => Enumerable.Range(train, 4).Any(i => i < tree.Tokens.Length && statements.Text(i) == m.Name.Text));
        foreach (var statement in model?.Body.Statements ?? [])
        {
            if (statement is MetricSyntax metric)
                Add(metric.Name.Text, IdeKind.Metric);
            else if (statement is LossSyntax { Name: { } name })
                Add(name.Text, IdeKind.Loss);
        }
    }

    /// <summary>Names for an expression: those of the file first, then what the language has for a place of this kind.</summary>
    private void Values(ParameterKind kind)
    {
        var isPiped = Previous == TokenKind.Pipe;
        var isLayer = isPiped || kind == ParameterKind.Layer;
        Symbols(s => s.Kind is not (SymbolKind.Model or SymbolKind.Data) && (!isLayer || s.Nature != Nature.Other));
        if (isPiped)
        {
            Entries(e => e.IsConstructor || e.IsLayerByName || (e.Kind is CatalogKind.Function or CatalogKind.Loss && !e.Parameters.IsEmpty && e.Parameters[0].IsTensor));
            Add("for", IdeKind.Keyword, "", "x |> for i in 0..n { layer }");
            return;
        }

        if (isLayer)
        {
            Entries(e => e.IsConstructor || e.IsLayerByName);
            return;
        }

        if (kind is ParameterKind.Int or ParameterKind.Float or ParameterKind.Steps or ParameterKind.String or ParameterKind.Size or ParameterKind.Extent)
        {
            Entries(e => e is { Kind: CatalogKind.Constant } && !e.Name.Contains('.') && e.Name != "auto");
            return;
        }

        Entries(e => e.Kind is CatalogKind.Function or CatalogKind.Loss or CatalogKind.Derivative or CatalogKind.Layer or CatalogKind.Combinator or CatalogKind.Constant);
        if (Word is "param" or "buffer" or "hyper")
            Entries(e => e.Kind == CatalogKind.Initializer);
        if (block is BlockKind.Layer or BlockKind.Model or BlockKind.Lambda or BlockKind.For)
            Add("training", IdeKind.Word, "bool", "Whether the graph of training is built: one definition, two graphs.");
        Words(["if", "for", "not", "true", "false"], IdeKind.Keyword);
        Add("random", IdeKind.Module, "", "Random numbers with keys: random.normal(shape)");
        Add("prim", IdeKind.Module, "", "The primitives: prim.add(x, y)");
    }

    private void Symbols(Func<Symbol, bool> isOffered)
    {
        foreach (var symbol in Visible.Where(s => s.Name != Binder.Probe && isOffered(s)))
            Add(symbol);
    }

    private void Entries(Func<CatalogEntry, bool> isOffered)
    {
        foreach (var entry in Catalog.All.Where(e => !e.Name.Contains('.') && isOffered(e)))
        {
            // An instance is made by a call; where nothing must be said, the call is complete.
            var insert = entry.IsConstructor && entry.Parameters.All(p => !p.IsRequired) ? entry.Name + "()" : entry.Name;
            Add(entry.Name, SemanticTokens.KindOf(entry), $"({entry.Signature})", HoverText.Text(entry), insert);
        }
    }

    private void Add(Symbol symbol) => Add(symbol.Name, SemanticTokens.KindOf(symbol), HoverText.Code(symbol), (symbol.Declaration as StatementSyntax)?.Documentation ?? "");

    private void Add(string label, IdeKind kind, string detail = "", string text = "", string? insert = null)
    {
        if (labels.Add(label))
            found.Add(new Completion(label, kind, detail, text, replaced, insert ?? label));
    }
}
