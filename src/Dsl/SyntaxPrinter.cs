using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace Dnn.Dsl;

/// <summary>
/// Tokens and trees as text, for <c>dnn dump</c> and tests. A tree is symbolic expressions with one line a statement. Recursion is bounded
/// by the depth of the tree, which the parser bounds; chains are written in a loop.
/// </summary>
public static class SyntaxPrinter
{
    /// <summary>A line a token: place, kind, text, and the trivia around it where there is any.</summary>
    public static string Tokens(SyntaxTree tree)
    {
        var text = new StringBuilder();
        foreach (var token in tree.Tokens)
        {
            var (line, column) = tree.Source.Locate(token.Start);
            string kind = token.Kind.IsFixed() ? token.Kind.IsReserved() ? "Word" : "Mark" : token.Kind.ToString();
            text.Append(CultureInfo.InvariantCulture, $"{line}:{column}\t{kind}\t{Graph.Printer.Quote(tree.Source.Span(token.Start, token.End).Text)}");
            AppendTrivia(text, tree.Source, "before", token.FullStart, token.Start);
            AppendTrivia(text, tree.Source, "after", token.End, token.FullEnd);
            text.Append('\n');
        }

        return text.ToString();
    }

    /// <summary>A node and what is below it.</summary>
    public static string Print(SyntaxNode node)
    {
        var printer = new Printer();
        printer.Node(node);
        return printer.ToString();
    }

    private static void AppendTrivia(StringBuilder text, SourceText source, string where, int start, int end)
    {
        if (start == end) return;
        text.Append('\t').Append(where);
        foreach (var trivia in Lexer.Trivia(source, start, end)) text.Append(' ').Append(Graph.Printer.Quote(trivia.Span.Text));
    }

    private sealed class Printer
    {
        private readonly StringBuilder _text = new();
        private int _indent;

        public override string ToString() => _text.ToString();

        public void Node(SyntaxNode node)
        {
            switch (node)
            {
                case UnitSyntax n: Unit(n); break;
                case ImportSyntax n:
                    Form("import", n.IsFile ? Graph.Printer.Quote(n.Path) : n.Path,
                        n.Names.Select(i => i.Alias is { } alias ? $"{i.Name}:{alias}" : i.Name.Text).ToArray());
                    break;
                case HyperSyntax n: Form("hyper", n.Name, n.Type, n.Value, n.Range); break;
                case LayerSyntax n: Form("layer", n.Name, n.Hypers, n.Tensors, n.Result is null ? null : "->", n.Result, n.Body, n.Gradient); break;
                case GradientSyntax n: Form("gradient", $"({string.Join(' ', n.Names)})", n.Body); break;
                case ParameterListSyntax n: Sequence("(", n.Parameters, ")"); break;
                case ParameterSyntax n: Parameter(n); break;
                case ModelSyntax n: Form("model", n.Name, n.Hypers, n.Body); break;
                case DataSyntax n:
                    Form("data", n.Name, n.Source, n.Options);
                    break;
                case DataOptionSyntax n: Form(n.Name.Text, n.Arguments, n.Steps); break;
                case TrainSyntax n:
                    Form("train", n.Name, n.Model, "on", n.Data, n.Options);
                    break;
                case TrainOptionSyntax n:
                    Form(n.Name.Text, n.Arguments, n.On is null ? null : "on", n.On, n.Minimize is null ? null : "minimize", n.Minimize,
                        n.Every is null ? null : "every", n.Every, n.Only.IsEmpty ? null : "only", n.Only, n.Renames);
                    break;
                case RenameSyntax n: Form("rename", n.Old, n.New); break;
                case TestSyntax n: Form("test", n.Title, n.Body); break;
                case BlockSyntax n: Lines(n.Statements); break;
                case LetSyntax n: Form("let", n.Path, n.Pattern, n.Type is null ? null : ":", n.Type, n.Value); break;
                case ParamSyntax n:
                    Form("param", n.Name, n.Path, n.Type, n.Value, n.Options.Select(o => o.Value is null ? o.Name.Text : $"{o.Name}={Print(o.Value)}").ToArray());
                    break;
                case BufferSyntax n: Form("buffer", n.Name, n.Path, n.Type, n.Value); break;
                case UpdateSyntax n: Form("update", n.Name, n.Value); break;
                case RequireSyntax n: Form("require", n.Condition, n.Message); break;
                case AssertSyntax n: Form("assert", n.Condition, n.Message); break;
                case AssertCallSyntax n: Form("assert", n.Call); break;
                case AssertErrorSyntax n: Form("assert_error", n.Code, n.Body); break;
                case ReturnSyntax n: Form("return", n.Value); break;
                case InputSyntax n: Form("input", n.Name, n.Type); break;
                case TargetSyntax n: Form("target", n.Name, n.Type); break;
                case OutputSyntax n: Form("output", n.Name, n.Value); break;
                case MetricSyntax n: Form("metric", n.Name, n.Value); break;
                case LossSyntax n: Form("loss", n.Value, n.Name is null ? null : "as", n.Name); break;

                case NamePatternSyntax n: Append(n.Name.Text); break;
                case DiscardPatternSyntax: Append("_"); break;
                case TuplePatternSyntax n: Sequence("(", n.Items, ")"); break;
                case NamedTypeSyntax n: Append(n.Name.Text); break;
                case TensorTypeSyntax n: Sequence($"{n.Element}[", n.Dimensions, "]"); break;
                case TupleTypeSyntax n: Form("tuple", n.Items); break;
                case ListTypeSyntax n: Form("list", n.Element); break;

                case NumberSyntax n: Number(n); break;
                case StringSyntax n: Append(Graph.Printer.Quote(n.Value)); break;
                case BoolSyntax n: Append(n.Value ? "true" : "false"); break;
                case NameSyntax n: Append(n.Name.Text); break;
                case ParenthesizedSyntax n: Form("paren", n.Inner); break;
                case TupleSyntax n: Form("tuple", n.Items); break;
                case ListSyntax n: Sequence("[", n.Items, "]"); break;
                case ComprehensionSyntax n: Form("each", n.Element, n.Pattern, n.Source); break;
                case RangeSyntax n: Form("..", n.Start, n.End); break;
                case UnarySyntax n: Form(n.Operator.Text(), n.Operand); break;
                case BinarySyntax n: Binary(n); break;
                case PipeSyntax n: Form("|>", n.First, n.Stages); break;
                case IfSyntax n: Form("if", n.Condition, n.Then, n.Else); break;
                case LambdaSyntax n: Form("=>", n.Pattern, n.Value, n.Block); break;
                case ForSyntax n:
                    Form("for", n.Pattern, n.Source, n.Lets, n.Body);
                    break;
                case CallSyntax n: Form("call", n.Callee, n.Arguments); break;
                case ArgumentSyntax n: Argument(n); break;
                case IndexSyntax n: Form("index", n.Target, n.Indices); break;
                case SliceSyntax n: Form("slice", n.Start ?? (object)"_", n.Stop ?? (object)"_", n.Step ?? (object)"_"); break;
                case EllipsisSyntax: Append("..."); break;
                case FieldSyntax n: Form(".", n.Target, n.Name); break;
                case ErrorSyntax: Append("error"); break;
                default: throw new ArgumentOutOfRangeException(nameof(node), node.GetType().Name, null);
            }
        }

        private void Append(string text) => _text.Append(text);

        /// <summary><c>(head part part …)</c>; absent parts are left out, statements and options go on lines of their own.</summary>
        private void Form(string head, params object?[] parts)
        {
            Append("(" + head);
            foreach (object? part in parts) Part(part);
            Append(")");
        }

        private void Part(object? part)
        {
            switch (part)
            {
                case null: break;
                case string s: Append(" " + s); break;
                case string[] all: foreach (string s in all) Append(" " + s); break;
                case Identifier name: Append(" " + name.Text); break;
                case ImmutableArray<DataOptionSyntax> lines: Lines(lines); break;
                case ImmutableArray<TrainOptionSyntax> lines: Lines(lines); break;
                case ImmutableArray<ExprSyntax> nodes: Spaced(nodes); break;
                case ImmutableArray<ArgumentSyntax> nodes: Spaced(nodes); break;
                case ImmutableArray<TypeSyntax> nodes: Spaced(nodes); break;
                case ImmutableArray<LetSyntax> nodes: Spaced(nodes); break;
                case ImmutableArray<StringSyntax> nodes: Spaced(nodes); break;
                case ImmutableArray<RenameSyntax> nodes: Spaced(nodes); break;
                case BlockSyntax block: Node(block); break;
                case SyntaxNode node:
                    Append(" ");
                    Node(node);
                    break;
                default: throw new ArgumentOutOfRangeException(nameof(part), part.GetType().Name, null);
            }
        }

        private void Spaced<T>(ImmutableArray<T> nodes) where T : SyntaxNode
        {
            foreach (var node in nodes) Part(node);
        }

        private void Lines<T>(ImmutableArray<T> nodes) where T : SyntaxNode
        {
            _indent += 2;
            foreach (var node in nodes)
            {
                _text.Append('\n').Append(' ', _indent);
                Node(node);
            }

            _indent -= 2;
        }

        private void Sequence<T>(string open, ImmutableArray<T> nodes, string close) where T : SyntaxNode
        {
            Append(open);
            for (int i = 0; i < nodes.Length; i++)
            {
                if (i > 0) Append(" ");
                Node(nodes[i]);
            }

            Append(close);
        }

        private void Unit(UnitSyntax unit)
        {
            if (unit.Version is { } version) _text.Append(CultureInfo.InvariantCulture, $"(dnn {version})\n");
            foreach (var declaration in unit.Declarations)
            {
                Node(declaration);
                Append("\n");
            }
        }

        private void Parameter(ParameterSyntax parameter)
        {
            Append("(" + parameter.Name.Text);
            Part(parameter.Type);
            Part(parameter.Default is null ? null : "=");
            Part(parameter.Default);
            Append(")");
        }

        private void Argument(ArgumentSyntax argument)
        {
            if (argument.Name is { } name) Append(name.Text + "=");
            Node(argument.Value);
        }

        private void Number(NumberSyntax number)
        {
            string value = number.Integer is { } integer
                ? integer.ToString(CultureInfo.InvariantCulture)
                : number.IsPercent ? number.Span.Text[..(number.Span.Text.IndexOf('%') + 1)] : Real(number.Value);
            if (number.Unit == CountUnit.None) Append(value);
            else Form(number.Unit == CountUnit.Steps ? "steps" : "epochs", value);
        }

        private static string Real(double value)
        {
            string text = value.ToString("R", CultureInfo.InvariantCulture);
            return text.All(char.IsAsciiDigit) ? text + ".0" : text;
        }

        private void Binary(BinarySyntax binary)
        {
            for (int i = binary.Rest.Length - 1; i >= 0; i--) Append($"({binary.Rest[i].Operator.Text()} ");
            Node(binary.First);
            foreach (var rest in binary.Rest)
            {
                Part(rest.Operand);
                Append(")");
            }
        }
    }
}
