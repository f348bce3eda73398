namespace Dnn.Dsl.Ide;

/// <summary>What a brace encloses.</summary>
internal enum BlockKind
{
    File,
    Layer,
    Model,
    Test,
    Data,
    Train,
    Augment,
    Lambda,

    /// <summary>The body of a <c>for</c>: definitions, then an expression.</summary>
    For,
}

/// <summary>The statements of a file as its tokens show them, whether they parse or not.</summary>
internal sealed class Statements
{
    private readonly SyntaxTree tree;
    private readonly int[] enclosing;

    public Statements(SyntaxTree tree)
    {
        this.tree = tree;
        enclosing = new int[tree.Tokens.Length];
        var open = new Stack<int>();
        for (var i = 0; i < enclosing.Length; i++)
        {
            if (tree.Tokens[i].Kind == TokenKind.RightBrace && open.Count > 0)
                open.Pop();
            enclosing[i] = open.TryPeek(out var brace) ? brace : -1;
            if (tree.Tokens[i].Kind == TokenKind.LeftBrace)
                open.Push(i);
        }
    }

    /// <summary>The last token that starts before a position, and the first if there is none.</summary>
    public int At(int position)
    {
        int low = 0, high = tree.Tokens.Length - 1;
        while (low < high)
        {
            var middle = (low + high + 1) / 2;
            if (tree.Tokens[middle].Start <= position)
                low = middle;
            else
                high = middle - 1;
        }

        return low;
    }

    /// <summary>The brace around a token; −1 at the top level.</summary>
    public int Brace(int token) => enclosing[token];

    /// <summary>The tokens of the statement at a position: the first, and the first after it.</summary>
    public (int First, int End) Around(int position)
    {
        var at = At(position);
        if (Kind(at) is TokenKind.NewLine or TokenKind.EndOfFile && at > 0 && Kind(at - 1) != TokenKind.NewLine)
            at--;
        var first = First(at);
        var end = Math.Max(first, at);
        var word = Text(first);
        var isHeader = Keywords.Declarations.Contains(word) || word is "assert_error" or "gradient";
        while (!(Kind(end) is TokenKind.NewLine or TokenKind.EndOfFile or TokenKind.RightBrace))
        {
            if (Kind(end) == TokenKind.LeftBrace)
            {
                if (isHeader || tree.Tokens[end].Partner < 0)
                    break;
                end = tree.Tokens[end].Partner;
            }

            end++;
        }

        return (first, end);
    }

    /// <summary>The first token of the statement that a token is in.</summary>
    public int First(int at)
    {
        var first = at;
        while (first > 0)
        {
            var before = Kind(first - 1);
            if (before is TokenKind.NewLine or TokenKind.LeftBrace)
                break;
            first = before == TokenKind.RightBrace && tree.Tokens[first - 1].Partner is >= 0 and var partner ? partner : first - 1;
        }

        while (Kind(first) == TokenKind.NewLine && first < at)
            first++;
        return first;
    }

    /// <summary>What a brace opens.</summary>
    public BlockKind Block(int brace)
    {
        if (brace < 0)
            return BlockKind.File;
        if (brace > 0 && Kind(brace - 1) == TokenKind.FatArrow)
            return BlockKind.Lambda;
        var first = First(brace);
        for (var i = first; i < brace; i++)
        {
            if (Kind(i) == TokenKind.For && Text(first) is not ("layer" or "model"))
                return BlockKind.For;
        }

        return Text(first) switch
        {
            "layer" or "gradient" => BlockKind.Layer,
            "model" => BlockKind.Model,
            "test" or "assert_error" => BlockKind.Test,
            "data" => BlockKind.Data,
            "train" => BlockKind.Train,
            "augment" => BlockKind.Augment,
            _ => BlockKind.For,
        };
    }

    /// <summary>Whether a text could stand in place of the statement that starts with a token.</summary>
    public bool Parses(int first, string statement)
    {
        var (before, after) = Block(Brace(first)) switch
        {
            BlockKind.File => ("", ""),
            BlockKind.Data => ("data d = s() {\n", "\n}"),
            BlockKind.Train => ("train M() on d {\n", "\n}"),
            BlockKind.Augment => ("data d = s() {\naugment {\n", "\n}\n}"),
            BlockKind.For when Kind(first) == TokenKind.Let => ("let y = for i in 0..1 {\n", "\nrelu }"),
            BlockKind.For => ("let y = for i in 0..1 {\n", "\n}"),
            _ => ("model M {\n", "\n}"),
        };
        return Parser.Parse(new SourceText(before + statement + after)).Diagnostics.All(d => !d.IsError);
    }

    public TokenKind Kind(int token) => tree.Tokens[token].Kind;

    public string Text(int token) => tree.Source.Text.Substring(tree.Tokens[token].Start, tree.Tokens[token].Length);
}
