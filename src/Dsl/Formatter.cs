using System.Text;

namespace Dnn.Dsl;

/// <summary>
/// The canonical layout of a file: a statement a line, two blanks a level, lines of <see cref="Width"/> columns where what stands on them can
/// be broken. Only blanks and newlines change: the tokens and the comments stay as and where they are, so that the tree is the same, and a
/// formatted file is formatted already.
/// </summary>
/// <remarks>
/// The tokens are laid out in one pass over groups, which are either flat or broken at all of their lines, as in P. Wadler, "A prettier
/// printer", 2003; whether a group fits is seen by looking at most a line ahead (D. Oppen, "Prettyprinting", 1980), so time is linear.
/// </remarks>
public static class Formatter
{
    /// <summary>The columns that a line should not exceed.</summary>
    public const int Width = 100;

    private const int Indent = 2;

    /// <summary>How far the last argument of a call, or the right side of an operator, may start into its construct and still stay on the line.</summary>
    private const int MaxHead = 50;

    /// <summary>A model as source in the canonical layout.</summary>
    /// <param name="model">The model, from wherever it comes.</param>
    /// <param name="flat">Whether layers and functions are taken apart into operations.</param>
    public static string Format(Graph.Model model, bool flat = false) => Format(Parser.Parse(new SourceText(Graph.ModelPrinter.ToSource(model, flat))));

    /// <summary>The text in canonical layout. A tree with errors gives its text as it is.</summary>
    public static string Format(SyntaxTree tree) =>
        tree.Diagnostics.Any(d => d.IsError) ? tree.Source.Text : new Writer(new Plan(tree)).Write();

    /// <summary>What may stand before a token.</summary>
    private enum Gap : byte
    {
        None,
        Space,

        /// <summary>A newline if the group is broken, else nothing.</summary>
        SoftLine,

        /// <summary>A newline if the group is broken, else a blank.</summary>
        Line,

        /// <summary>A newline if the group is broken and the next item does not fit, else a blank.</summary>
        Fill,

        /// <summary>The next statement of a block.</summary>
        Statement,
    }

    /// <summary>A comment between two tokens.</summary>
    private readonly record struct Comment(TextSpan Span, bool OnOwnLine, bool AfterBlankLine);

    /// <summary>The tokens that count, with what stands between them and the groups that they form.</summary>
    private sealed class Plan
    {
        private readonly SourceText _source;
        private readonly List<Token> _tokens;
        private readonly int[] _partners;
        private readonly int[] _flatEnds;

        public Plan(SyntaxTree tree)
        {
            _source = tree.Source;
            _tokens = new(tree.Tokens.Length);
            int[] places = new int[tree.Tokens.Length];
            for (int i = 0; i < places.Length; i++)
            {
                places[i] = _tokens.Count;
                if (!(tree.Tokens[i].Kind is TokenKind.NewLine or TokenKind.EndOfFile)) _tokens.Add(tree.Tokens[i]);
            }

            int count = _tokens.Count;
            _partners = [.. _tokens.Select(t => t.Partner < 0 ? -1 : places[t.Partner])];
            Gaps = new Gap[count + 1];
            Comments = new Comment[count + 1][];
            BlankLines = new bool[count + 1];
            Opens = new int[count + 1];
            Closes = new int[count];
            IndentsBefore = new int[count + 1];
            IndentsAfter = new int[count];
            NestsIfBroken = new int[count + 1];
            EndsIfBroken = new int[count];
            IndentsInside = new bool[count];
            _flatEnds = new int[count];

            for (int i = 0; i <= count; i++) Between(i);
            for (int i = 0; i < places.Length; i++)
            {
                if (tree.Tokens[i].Kind == TokenKind.NewLine && places[i] < count) Gaps[places[i]] = Gap.Statement;
            }

            Spaces(tree.Root);
            int end = 0;
            for (int i = 0; i < count; i++)
            {
                end += (i > 0 && Gaps[i] != Gap.None ? 1 : 0) + _tokens[i].Length;
                _flatEnds[i] = end;
            }

            Groups(tree.Root);
            for (int i = 1; i + 1 < count; i++)
            {
                // A newline here would start a statement.
                if (Gaps[i] is Gap.Line or Gap.SoftLine && Kind(i) == TokenKind.Name && Kind(i + 1) is TokenKind.Name or TokenKind.String
                    && Keywords.IsAny(Text(i)))
                {
                    Gaps[i] = Gaps[i] == Gap.Line ? Gap.Space : Gap.None;
                }
            }
        }

        public int Count => _tokens.Count;

        /// <summary>What stands before a token.</summary>
        public Gap[] Gaps { get; }

        /// <summary>The comments before a token; null where there are none.</summary>
        public Comment[]?[] Comments { get; }

        /// <summary>Whether a blank line stands right before a token.</summary>
        public bool[] BlankLines { get; }

        /// <summary>How many groups start with a token.</summary>
        public int[] Opens { get; }

        /// <summary>How many groups end with a token.</summary>
        public int[] Closes { get; }

        /// <summary>How many levels of indentation start before a token.</summary>
        public int[] IndentsBefore { get; }

        /// <summary>How many levels of indentation end after a token.</summary>
        public int[] IndentsAfter { get; }

        /// <summary>How many levels of indentation start before a token, if its group is broken.</summary>
        public int[] NestsIfBroken { get; }

        /// <summary>How many of those end after a token.</summary>
        public int[] EndsIfBroken { get; }

        /// <summary>Whether what is between a bracket and its partner is indented.</summary>
        public bool[] IndentsInside { get; }

        public TokenKind Kind(int i) => i < _tokens.Count ? _tokens[i].Kind : TokenKind.EndOfFile;

        public int Length(int i) => _tokens[i].Length;

        public int Partner(int i) => _partners[i];

        public ReadOnlySpan<char> Text(int i) => _source.Text.AsSpan(_tokens[i].Start, _tokens[i].Length);

        /// <summary>Reads the comments and blank lines before a token.</summary>
        private void Between(int i)
        {
            int start = i == 0 ? 0 : _tokens[i - 1].End, end = i == Count ? _source.Length : _tokens[i].Start;
            if (!_source.Text.AsSpan(start, end - start).ContainsAny("/\n\r")) return;
            List<Comment>? comments = null;
            bool ownLine = i == 0;
            int lines = ownLine ? 1 : 0;
            foreach (var trivia in Lexer.Trivia(_source, start, end))
            {
                if (trivia.Kind == TriviaKind.NewLine)
                {
                    ownLine = true;
                    lines++;
                }
                else if (trivia.Kind is TriviaKind.Comment or TriviaKind.Documentation)
                {
                    (comments ??= []).Add(new(trivia.Span, ownLine, lines > 1));
                    lines = 0;
                }
            }

            BlankLines[i] = lines > 1;
            Comments[i] = comments?.ToArray();
        }

        // ---- Blanks --------------------------------------------------------------------------------------------------

        /// <summary>Finds the blanks between tokens of a line, and the lines of blocks.</summary>
        private void Spaces(UnitSyntax root)
        {
            bool[] tightBefore = new bool[Count + 1], tightAfter = new bool[Count + 1], inline = new bool[Count];
            foreach (var node in root.DescendantsAndSelf())
            {
                switch (node)
                {
                    case CallSyntax n: tightBefore[Last(n.Callee) + 1] = true; break;
                    case IndexSyntax n:
                        int open = Last(n.Target) + 1;
                        tightBefore[open] = true;
                        foreach (var slice in n.Indices.OfType<SliceSyntax>()) Colons(slice, tightAfter);
                        break;
                    case UnarySyntax { Operator: UnaryOperator.Negate } n: tightAfter[First(n)] = true; break;
                    case TensorTypeSyntax n:
                        if (n.Element is not null) tightBefore[First(n) + 1] = true;
                        Dimensions(n, tightBefore, tightAfter);
                        break;
                    case ParameterListSyntax n: tightBefore[First(n)] = true; break;
                    case TrainOptionSyntax n:
                        int list = First(n) + 1;
                        if (Kind(list) == TokenKind.LeftParen && (n.Arguments.IsEmpty || n.Arguments[0].Span.Start > _tokens[list].Start)) tightBefore[list] = true;
                        break;
                    case DataOptionSyntax { Steps.Length: > 0 } n: inline[First(n) + 1] = true; break;
                    case LambdaSyntax { Block: { } block }: inline[First(block)] = true; break;
                    case ForSyntax n: inline[First(n.Lets.Length > 0 ? n.Lets[0] : n.Body) - 1] = true; break;
                }
            }

            for (int i = 0; i < Count; i++)
            {
                if (Kind(i) == TokenKind.LeftBrace && _partners[i] > i + 1)
                {
                    var gap = inline[i] ? Gap.Line : Gap.Statement;
                    Gaps[i + 1] = gap;
                    Gaps[_partners[i]] = gap;
                }
            }

            for (int i = 1; i < Count; i++)
            {
                if (Gaps[i] == Gap.None) Gaps[i] = !tightBefore[i] && !tightAfter[i - 1] && IsSpaced(Kind(i - 1), Kind(i)) ? Gap.Space : Gap.None;
            }
        }

        private static bool IsSpaced(TokenKind left, TokenKind right) => (left, right) switch
        {
            (TokenKind.Number, TokenKind.Dot) => true,
            (TokenKind.Dot or TokenKind.DotDot or TokenKind.LeftParen or TokenKind.LeftBracket, _) => false,
            (TokenKind.Comma, TokenKind.Colon) => true,
            (_, TokenKind.Comma or TokenKind.Colon or TokenKind.Dot or TokenKind.DotDot or TokenKind.RightParen or TokenKind.RightBracket) => false,
            (TokenKind.LeftBrace, TokenKind.RightBrace) => false,
            _ => true,
        };

        /// <summary>The colons of a slice have no blanks around them.</summary>
        private void Colons(SliceSyntax slice, bool[] tightAfter)
        {
            int end = Last(slice);
            for (int i = First(slice); i <= end; i++)
            {
                if (_partners[i] > i) i = _partners[i];
                else if (Kind(i) == TokenKind.Colon) tightAfter[i] = true;
            }
        }

        /// <summary>Products in dimensions have no blanks: <c>[B, 3*D + 1]</c>.</summary>
        private void Dimensions(TensorTypeSyntax type, bool[] tightBefore, bool[] tightAfter)
        {
            int end = Last(type);
            for (int i = First(type); i <= end; i++)
            {
                if (Kind(i) is TokenKind.Star or TokenKind.Slash or TokenKind.StarStar) tightBefore[i] = tightAfter[i] = true;
            }
        }

        // ---- Groups --------------------------------------------------------------------------------------------------

        /// <summary>Finds what is broken together.</summary>
        private void Groups(UnitSyntax root)
        {
            var lists = new HashSet<int>();
            var rigid = new HashSet<int>();
            foreach (var node in root.DescendantsAndSelf())
            {
                switch (node)
                {
                    case PipeSyntax n: Pipe(n); break;
                    case BinarySyntax n: Binary(n); break;
                    case IfSyntax n:
                        Group(First(n), Last(n));
                        Nest(First(n.Then) - 1, Last(n));
                        Gaps[First(n.Then) - 1] = Gap.Line;
                        Gaps[First(n.Else) - 1] = Gap.Line;
                        break;
                    case ComprehensionSyntax n: Gaps[Last(n.Element) + 1] = Gap.Line; break;
                    case TensorTypeSyntax or IndexSyntax: rigid.Add(_partners[Last(node)]); break;
                    case TupleTypeSyntax: rigid.Add(First(node)); break;
                    case ParamSyntax or RequireSyntax or AssertSyntax or TrainOptionSyntax or DataOptionSyntax: lists.Add(First(node)); break;
                }
            }

            for (int i = 0; i < Count; i++)
            {
                if (_partners[i] > i) Bracket(i, _partners[i], rigid.Contains(i));
                if (lists.Contains(i)) BareList(i);
            }
        }

        private void Group(int first, int last)
        {
            Opens[first]++;
            Closes[last]++;
        }

        private void Nest(int first, int last)
        {
            IndentsBefore[first]++;
            IndentsAfter[last]++;
        }

        /// <summary>A stage a line, but for a loop or block that is the only one.</summary>
        private void Pipe(PipeSyntax pipe)
        {
            if (pipe.Stages is [ForSyntax or LambdaSyntax { Block: not null }]) return;
            Group(First(pipe), Last(pipe));
            Nest(Last(pipe.First) + 1, Last(pipe));
            Gaps[Last(pipe.First) + 1] = Gap.Line;
            foreach (var stage in pipe.Stages)
            {
                int next = Last(stage) + 1;
                if (Kind(next) == TokenKind.Pipe && next < Last(pipe)) Gaps[next] = Gap.Line;
            }
        }

        /// <summary>An operand a line, but for a bracket that starts soon enough. The operators are at the ends: '-' cannot start a line.</summary>
        private void Binary(BinarySyntax binary)
        {
            int first = First(binary), last = Last(binary);
            if (Gaps[First(binary.Rest[0])] == Gap.None) return;
            if (binary.Rest.Length == 1 && _partners[last] > first && Head(first, _partners[last]) <= MaxHead && !HasComments(first, _partners[last]))
            {
                // What is before the bracket may still begin too far to the right.
                int operand = First(binary.Rest[0]) + 1;
                if (operand >= _partners[last]) return;
                Group(first, _partners[last] - 1);
                Gaps[operand] = Gap.Line;
                NestsIfBroken[operand]++;
                EndsIfBroken[last]++;
                return;
            }

            Group(first, last);
            Nest(First(binary.Rest[0]) + 1, last);
            foreach (var rest in binary.Rest) Gaps[First(rest) + 1] = Gap.Line;
        }

        /// <summary>What is in brackets: an item a line, but for one with brackets of its own, or a last one with braces; numbers fill lines. Types and indices stay whole.</summary>
        private void Bracket(int open, int close, bool rigid)
        {
            bool braces = Kind(open) == TokenKind.LeftBrace;
            bool hugs = !braces && Hugs(open, close);
            IndentsInside[open] = !hugs;
            if (hugs || rigid || close == open + 1) return;
            if (braces)
            {
                if (Gaps[open + 1] == Gap.Line) Group(open, close);
                return;
            }

            Group(open, close);
            Gaps[open + 1] = Gap.SoftLine;
            Gaps[close] = Gap.SoftLine;
            var gap = IsNumbers(open, close) ? Gap.Fill : Gap.Line;
            for (int i = open + 1; i < close; i++)
            {
                if (_partners[i] > i) i = _partners[i];
                else if (Kind(i) == TokenKind.Comma && i + 1 < close) Gaps[i + 1] = gap;
            }
        }

        private bool IsNumbers(int open, int close)
        {
            for (int i = open + 1; i < close; i++)
            {
                if (!(Kind(i) is TokenKind.Number or TokenKind.Minus or TokenKind.Comma)) return false;
            }

            return true;
        }

        private bool Hugs(int open, int close)
        {
            int inner = close > open + 1 ? _partners[close - 1] : -1;
            if (inner <= open || HasComments(open, inner) || Comments[close] is not null) return false;
            bool braces = Kind(inner) == TokenKind.LeftBrace;
            if (braces && Head(open, inner) > MaxHead) return false;
            for (int i = open + 1; i < inner; i++)
            {
                if (!braces && !(Kind(i) is TokenKind.Name or TokenKind.Dot)) return false;
                if (Gaps[i] == Gap.Line) return false;
                if (_partners[i] > i) i = _partners[i];
            }

            return true;
        }

        /// <summary>The commas of a statement.</summary>
        private void BareList(int first)
        {
            int last = first, comma = -1;
            for (int i = first; i < Count && (i == first || Gaps[i] != Gap.Statement); i++)
            {
                if (Kind(i) == TokenKind.RightBrace) break;
                if (Kind(i) == TokenKind.Comma)
                {
                    Gaps[i + 1] = Gap.Line;
                    comma = i;
                }

                if (_partners[i] > i) i = _partners[i];
                last = i;
            }

            if (comma < 0) return;
            Group(first, last);
            Nest(first + 1, last);
        }

        /// <summary>The columns from one token up to another, all on one line.</summary>
        private int Head(int first, int end) => _flatEnds[end] - _flatEnds[first] + Length(first);

        private bool HasComments(int first, int end)
        {
            if (Head(first, end) > Width) return true;
            for (int i = first + 1; i <= end; i++)
            {
                if (Comments[i] is not null) return true;
            }

            return false;
        }

        // ---- Places --------------------------------------------------------------------------------------------------

        private int First(SyntaxNode node) => At(node.Span.Start);

        private int First(OperandSyntax operand) => At(operand.OperatorSpan.Start);

        private int Last(SyntaxNode node) => At(node.Span.End - 1);

        /// <summary>The token at a position.</summary>
        private int At(int position)
        {
            int low = 0, high = Count - 1;
            while (low < high)
            {
                int middle = (low + high + 1) / 2;
                if (_tokens[middle].Start <= position) low = middle;
                else high = middle - 1;
            }

            return low;
        }
    }

    /// <summary>Lays the tokens out.</summary>
    private sealed class Writer(Plan plan)
    {
        private readonly StringBuilder _text = new();
        private readonly Stack<bool> _broken = [];
        private readonly Stack<int> _nested = [];
        private int _indent;
        private int _column;

        public string Write()
        {
            for (int i = 0; i < plan.Count; i++)
            {
                bool newLine = Comments(i);
                if (i == 0)
                {
                    if (newLine) NewLine(plan.BlankLines[i]);
                }
                else
                {
                    _indent += plan.IndentsBefore[i];
                    for (int nest = plan.NestsIfBroken[i]; nest > 0; nest--)
                    {
                        _nested.Push(_broken.Peek() ? 1 : 0);
                        _indent += _nested.Peek();
                    }

                    if (plan.Kind(i).IsClosing() && plan.IndentsInside[plan.Partner(i)]) _indent--;
                    Separate(i, newLine);
                }

                for (int group = plan.Opens[i]; group > 0; group--) _broken.Push((_broken.Count == 0 || _broken.Peek()) && !Fits(i, group));
                Append(plan.Text(i));
                for (int group = plan.Closes[i]; group > 0; group--) _broken.Pop();
                _indent -= plan.IndentsAfter[i];
                for (int nest = plan.EndsIfBroken[i]; nest > 0; nest--) _indent -= _nested.Pop();
                if (plan.Kind(i).IsOpening() && plan.IndentsInside[i]) _indent++;
            }

            Comments(plan.Count);
            if (_text.Length > 0) _text.Append('\n');
            return _text.ToString();
        }

        /// <summary>Writes the comments before a token. Whether there were any, so that a newline must follow.</summary>
        private bool Comments(int i)
        {
            if (plan.Comments[i] is not { } comments) return false;
            int deeper = i > 0 && i < plan.Count ? plan.IndentsBefore[i] : 0;
            _indent += deeper;
            bool first = i == 0 || plan.Kind(i - 1) == TokenKind.LeftBrace;
            bool between = first || plan.Gaps[i] == Gap.Statement || i == plan.Count;
            foreach (var comment in comments)
            {
                if (comment.OnOwnLine)
                {
                    if (_text.Length > 0) NewLine(comment.AfterBlankLine && between && !first);
                    first = false;
                }
                else
                {
                    Append(" ");
                }

                Append(comment.Span.Text.AsSpan().TrimEnd());
            }

            _indent -= deeper;
            return true;
        }

        private void Separate(int i, bool newLine)
        {
            var gap = plan.Gaps[i];
            if (gap == Gap.Statement)
            {
                bool atEdge = plan.Kind(i) == TokenKind.RightBrace || (plan.Kind(i - 1) == TokenKind.LeftBrace && !(plan.Comments[i]?[^1].OnOwnLine ?? false));
                NewLine(plan.BlankLines[i] && !atEdge);
            }
            else if (newLine || (gap is Gap.Line or Gap.SoftLine && (_broken.Count == 0 || _broken.Peek())))
            {
                NewLine(false);
            }
            else if (gap == Gap.Fill && (_broken.Count == 0 || _broken.Peek()) && !NextFits(i))
            {
                NewLine(false);
            }
            else if (gap is Gap.Space or Gap.Line or Gap.Fill)
            {
                Append(" ");
            }
        }

        /// <summary>Whether a group that starts here, with what must stand on the line after it, fits on the line without a break.</summary>
        private bool Fits(int start, int depth)
        {
            int column = Math.Max(_column, _indent * Indent);
            for (int i = start; ; i++)
            {
                column += plan.Length(i);
                if (column > Width) return false;
                depth -= plan.Closes[i];
                if (i + 1 == plan.Count) return true;
                var gap = plan.Gaps[i + 1];
                bool breaks = gap == Gap.Statement || plan.Comments[i + 1] is not null;
                if (depth > 0 && breaks) return false;
                if (depth <= 0 && (breaks || gap is Gap.Line or Gap.SoftLine or Gap.Fill)) return true;
                if (gap is Gap.Space or Gap.Line or Gap.Fill) column++;
                if (depth > 0) depth += plan.Opens[i + 1];
            }
        }

        /// <summary>Whether the number that starts here fits on the line after a blank.</summary>
        private bool NextFits(int i)
        {
            int column = _column + 1;
            do
            {
                column += plan.Length(i++) + (plan.Gaps[i] == Gap.Space ? 1 : 0);
            }
            while (column <= Width && plan.Gaps[i] is Gap.None or Gap.Space);
            return column <= Width;
        }

        private void NewLine(bool blank)
        {
            _text.Append(blank ? "\n\n" : "\n");
            _column = 0;
        }

        private void Append(ReadOnlySpan<char> text)
        {
            if (_column == 0)
            {
                _column = _indent * Indent;
                _text.Append(' ', _column);
            }

            _text.Append(text);
            _column += text.Length;
        }
    }
}
