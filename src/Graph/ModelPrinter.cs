using System.Globalization;
using System.Text;

namespace Dnn.Graph;

/// <summary>
/// Prints models as <c>.dnn</c> source: layers of the catalog as layers under their paths, and every other operation of the graph, with operators and
/// functions where they mean exactly the same nodes, and primitives elsewhere. What is printed parses to the same graph with the same parameters.
/// </summary>
public static partial class ModelPrinter
{
    private const int InlineLimit = 60;

    /// <summary>How tightly a piece of text binds.</summary>
    private enum Level
    {
        Lambda,
        Or,
        And,
        Not,
        Compare,
        Add,
        Mul,
        Mat,
        Unary,
        Atom,
    }

    private readonly record struct Piece(string Text, Level Level)
    {
        public string At(Level level) => Level < level ? $"({Text})" : Text;
    }

    private static readonly HashSet<string> Reserved =
    [
        "if", "then", "else", "for", "in", "let", "return", "and", "or", "not", "true", "false", "training", "prim", "random", "inf", "pi", "nan",
        "exp", "log", "log1p", "expm1", "tanh", "sigmoid", "erf", "sin", "cos", "sqrt", "rsqrt", "abs", "relu", "sign", "floor", "round",
        "maximum", "minimum", "sum", "where", "stop_gradient", "floor_div",
    ];

    /// <summary>The model as source.</summary>
    /// <param name="model">The model, from wherever it comes.</param>
    /// <param name="flat">Whether layers are taken apart into operations, too.</param>
    public static string ToSource(this Model model, bool flat = false)
    {
        var kept = flat ? new KeptLayers(model, []) : KeptLayers.Find(model);
        while (true)
        {
            // What turns out not to be printable as a layer is taken apart, with all others of which that is known at the same time.
            var writer = new Writer(model, kept);
            if (writer.Write() is { } text)
                return text;
            kept = kept.Without(writer.Unfit);
        }
    }

    /// <summary>
    /// The derivative of a scalar of the model as a model of its own: the same inputs and parameters, targets as inputs, and one
    /// output <c>grad_NAME</c> for each variable.
    /// </summary>
    /// <exception cref="GraphException">The scalar does not depend on a variable that was asked for by name.</exception>
    public static Model Differentiate(Model model, Expr of, IReadOnlyList<Named> with)
    {
        var gradients = Gradient.Of(of, [.. with.Select(w => w.Value)], model.Provenance);
        var missing = with.Where((_, i) => gradients[i] is null).ToArray();
        if (missing.Length == with.Count)
            throw new GraphException(Gradient.Disconnection(of, missing[0].Value));
        return model with
        {
            Name = model.Name + "Gradient",
            Inputs = [.. model.Inputs, .. model.Targets],
            Targets = [],
            Outputs = [.. with.Zip(gradients).Where(p => p.Second is not null).Select(p => new Named("grad_" + Identifier(p.First.Name), p.Second!))],
            Losses = [],
            Metrics = [],
            Buffers = [.. model.Buffers.Select(b => b with { Next = null })],
        };
    }

    /// <summary>A path as one word: <c>blocks[3].attn.wq</c> becomes <c>blocks_3_attn_wq</c>.</summary>
    public static string Identifier(string path)
    {
        var text = new StringBuilder();
        foreach (var c in path)
        {
            if (char.IsAsciiLetterOrDigit(c) || c == '_')
                text.Append(c);
            else if (c is '.' or '[')
                text.Append('_');
        }

        return text.Length == 0 || char.IsAsciiDigit(text[0]) ? "v" + text : text.ToString();
    }

    /// <summary>An initializer as source.</summary>
    public static string Text(Initializer initializer) => initializer switch
    {
        ConstantInitializer { Value: 0 } => "zeros()",
        ConstantInitializer { Value: 1 } => "ones()",
        ConstantInitializer c => $"constant({Printer.Number(c.Value)})",
        ListInitializer list => Nested(list.Dims.AsSpan(), list.Values.AsSpan()),
        NormalInitializer n => $"normal({Printer.Number(n.Deviation)})",
        TruncatedNormalInitializer n => $"truncated_normal({Printer.Number(n.Deviation)})",
        UniformInitializer u => $"uniform({Printer.Number(u.Low)}, {Printer.Number(u.High)})",
        VarianceInitializer v => (v.Mode == Fan.Average ? "xavier" : v.Gain == 2 ? "he" : "lecun") + (v.IsUniform ? "_uniform()" : "_normal()"),
        OrthogonalInitializer o => $"orthogonal({Printer.Number(o.Gain)})",
        IdentityInitializer => "identity()",
        ScaledInitializer s => $"{Text(s.Inner)} * {Printer.Number(s.Factor)}",
        AutoInitializer => "auto",
        _ => throw new InvalidOperationException($"no notation for {initializer}"),
    };

    private static string Nested(ReadOnlySpan<int> dims, ReadOnlySpan<double> values)
    {
        if (dims.IsEmpty)
            return Printer.Number(values[0]);
        if (dims.Length == 1 && Runs(values) is { } runs && runs.Count <= values.Length / 4)
            return string.Join(" + ", runs.Select(r => $"[{Printer.Number(r.Value)} for i in 0..{r.Count}]"));
        var parts = new List<string>();
        var size = dims[0] == 0 ? 0 : values.Length / dims[0];
        for (var i = 0; i < dims[0]; i++)
            parts.Add(Nested(dims[1..], values.Slice(i * size, size)));
        return "[" + string.Join(", ", parts) + "]";
    }

    /// <summary>Equal numbers in a row, and how many.</summary>
    private static List<(double Value, int Count)> Runs(ReadOnlySpan<double> values)
    {
        var runs = new List<(double Value, int Count)>();
        foreach (var value in values)
        {
            if (runs is [.., var last] && last.Value.Equals(value))
                runs[^1] = (value, last.Count + 1);
            else
                runs.Add((value, 1));
        }

        return runs;
    }

    private sealed partial class Writer(Model model, KeptLayers kept)
    {
        private readonly StringBuilder text = new();
        private readonly HashSet<string> used = [.. Reserved];
        private readonly Dictionary<Expr, string> wanted = [];
        private readonly Dictionary<Expr, Expr[]> operands = [];
        private Dictionary<Expr, Piece> pieces = [];
        private Dictionary<Expr, int> uses = [];
        private int counter;
        private int indent = 2;

        /// <summary>The text; null if some layers must be taken apart first.</summary>
        public string? Write()
        {
            text.Append(CultureInfo.InvariantCulture, $"dnn 1\n\nmodel {model.Name} {{\n");
            var roots = new List<Expr>();
            foreach (var (_, value) in model.Inputs.Concat(model.Targets))
            {
                foreach (var name in value.Shape.Dims.SelectMany(d => d.Names))
                    used.Add(name);
            }

            pieces[RandomState.Seed] = new("random.seed", Level.Atom);
            pieces[RandomState.Step] = new("random.step", Level.Atom);
            foreach (var (name, value) in model.Inputs)
                Declare("input", name, value, "");
            foreach (var (name, value) in model.Targets)
                Declare("target", name, value, "");
            foreach (var p in model.Parameters.Where(p => kept.OwnerOf(p.Path) is null))
            {
                var options = (p.Options.Frozen ? ", frozen" : "") + (p.Options.NoDecay ? ", no_decay" : "") +
                    (p.Options.LearningRateScale == 1 ? "" : $", lr_scale = {Printer.Number(p.Options.LearningRateScale)}");
                Declare("param", p.Path, p.Variable, $" = {Text(p.Initializer)}{options}");
            }

            foreach (var b in model.Buffers.Where(b => kept.OwnerOf(b.Path) is null))
            {
                Declare("buffer", b.Path, b.Variable, $" = {Text(b.Initializer)}");
                if (b.Next is not null)
                    roots.Add(b.Next);
            }

            roots.AddRange(model.Outputs.Concat(model.Losses).Concat(model.Metrics).Select(n => n.Value));
            NameKept();
            text.Append('\n');
            if (!Body(roots))
                return null;
            text.Append('\n');
            foreach (var b in model.Buffers.Where(b => b.Next is not null && kept.OwnerOf(b.Path) is null))
                text.Append(CultureInfo.InvariantCulture, $"  update {pieces[b.Variable].Text} = {pieces[b.Next!].Text}\n");
            foreach (var (name, value) in model.Outputs)
                text.Append(CultureInfo.InvariantCulture, $"  output {name} = {pieces[value].Text}\n");
            foreach (var (name, value) in model.Losses)
                text.Append(CultureInfo.InvariantCulture, $"  loss {pieces[value].Text} as {name}\n");
            foreach (var (name, value) in model.Metrics)
                text.Append(CultureInfo.InvariantCulture, $"  metric {name} = {pieces[value].Text}\n");
            return text.Append("}\n").ToString();
        }

        private void Declare(string keyword, string path, Expr variable, string rest)
        {
            var identifier = Identifier(path);
            var name = Fresh(identifier);
            pieces[variable] = new(name, Level.Atom);
            var head = name == path ? name : $"\"{path}\" as {name}";
            text.Append(CultureInfo.InvariantCulture, $"  {keyword} {head}: {variable.Type}{rest}\n");
        }

        private bool Body(List<Expr> roots)
        {
            foreach (var scope in model.Scopes)
            {
                foreach (var output in scope.Outputs)
                    wanted.TryAdd(output, scope.Path.Length == 0 || scope.Path == scope.Parent?.Path ? scope.Kind : Identifier(scope.Path));
            }

            return Lines(roots);
        }

        private bool Lines(List<Expr> roots)
        {
            var order = Order(roots);
            CheckKept(order, roots);
            if (Unfit.Count > 0)
                return false;
            foreach (var arg in order.SelectMany(Operands).Concat(roots))
                uses[arg] = uses.GetValueOrDefault(arg) + 1;
            foreach (var node in order)
            {
                if (pieces.ContainsKey(node))
                    continue;
                if (kept.At(node) is { } layer)
                {
                    WriteKept(node, layer);
                    continue;
                }

                if (node.Op is Scan scan)
                {
                    Loop(scan.Body, [.. order.Where(n => n.Op is Scan other && other.Body.Equals(scan.Body) && n.Args.AsSpan().SequenceEqual(node.Args.AsSpan()))]);
                    continue;
                }

                var piece = Render(node);
                var inline = node.Args.IsEmpty || (uses[node] == 1 && piece.Text.Length <= InlineLimit && piece.Level != Level.Lambda && !wanted.ContainsKey(node));
                if (!inline)
                {
                    var name = wanted.TryGetValue(node, out var scope) ? Fresh(scope) : Numbered();
                    text.Append(' ', indent).Append(CultureInfo.InvariantCulture, $"let {name} = {piece.Text}\n");
                    piece = new(name, Level.Atom);
                }

                pieces[node] = piece;
            }

            return true;
        }

        /// <summary>All that is asked of one loop, as one call.</summary>
        private void Loop(ScanBody body, List<Expr> nodes)
        {
            var outputs = nodes.Where(n => ((Scan)n.Op).Output is not null).ToList();
            var results = new List<string>();
            for (var i = 0; i < body.States + outputs.Count; i++)
            {
                var node = i < body.States ? nodes.Find(n => n.Op is Scan { Output: null } last && last.State == i) : outputs[i - body.States];
                results.Add(node is null ? "_" : wanted.TryGetValue(node, out var scope) ? Fresh(scope) : Numbered());
                if (node is not null)
                    pieces[node] = new(results[^1], Level.Atom);
            }

            var arguments = nodes[0].Args.Select(a => pieces[a].Text).ToList();
            var (outer, counts) = (pieces, uses);
            (pieces, uses) = ([], []);
            var names = new List<string>();
            foreach (var parameter in ((Scan)nodes[0].Op).Parameters(nodes[0]))
            {
                names.Add(Numbered());
                pieces[parameter] = new(names[^1], Level.Atom);
            }

            text.Append(' ', indent).Append(CultureInfo.InvariantCulture, $"let {Tuple(results)} = prim.scan({string.Concat(arguments.Select(a => a + ", "))}{Tuple(names)} => {{\n");
            indent += 2;
            List<Expr> roots = [.. body.Next, .. outputs.Select(o => ((Scan)o.Op).Output!)];
            Lines(roots);
            text.Append(' ', indent).Append(CultureInfo.InvariantCulture, $"return {Tuple([.. roots.Select(r => pieces[r].Text)])}\n");
            indent -= 2;
            (pieces, uses) = (outer, counts);
            text.Append(' ', indent).Append(CultureInfo.InvariantCulture, $"}}, states = {body.States}, sequences = {body.Sequences}, length = [{body.Length}], reverse = {(body.Reverse ? "true" : "false")})\n");
        }

        private static string Tuple(List<string> items) => items.Count == 1 ? items[0] : $"({string.Join(", ", items)})";

        /// <summary>What is printed, operands before uses, and a layer before what uses its parameters.</summary>
        private List<Expr> Order(List<Expr> roots)
        {
            var order = new List<Expr>();
            var seen = new HashSet<Expr>(pieces.Keys);
            var open = new HashSet<Expr>();
            var pending = new Stack<(Expr Node, Expr[] Needs, int Next)>();
            foreach (var root in roots)
                Push(root);
            return order;

            void Push(Expr root)
            {
                Open(root);
                while (pending.TryPop(out var top))
                {
                    if (top.Next == top.Needs.Length)
                    {
                        open.Remove(top.Node);
                        order.Add(top.Node);
                        continue;
                    }

                    pending.Push((top.Node, top.Needs, top.Next + 1));
                    Open(top.Needs[top.Next]);
                }
            }

            void Open(Expr node)
            {
                // A parameter of a layer is there from its first application on.
                if (kept.FirstUseOf(node) is { } application)
                {
                    if (open.Contains(application))
                        Unfit.Add(kept.At(application)!.Path);
                    node = application;
                }

                if (!seen.Add(node))
                    return;
                open.Add(node);
                pending.Push((node, Operands(node), 0));
            }
        }

        /// <summary>
        /// The operands to print: without broadcasts and reshapes that the operator or function puts there again, where it makes the same node.
        /// </summary>
        private Expr[] Operands(Expr node)
        {
            if (operands.TryGetValue(node, out var known))
                return known;
            if (kept.At(node) is { } application)
                return operands[node] = [.. application.Scope.Inputs, .. application.Scope.Named.Select(n => n.Value)];
            var args = node.Args;
            return operands[node] = node.Op switch
            {
                Add => Bare(node, (x, y) => x + y),
                Mul => Bare(node, (x, y) => x * y),
                Div => Bare(node, (x, y) => x / y),
                Pow => Bare(node, Expr.Pow),
                Max => Bare(node, Expr.Max),
                Min => Bare(node, Expr.Min),
                Compare compare => Bare(node, (x, y) => Comparison(compare, x, y)),
                Select => [args[0], .. Bare(node, args[1], args[2], (x, y) => Expr.Where(args[0], x, y))],
                CustomGradient => [args[0]],
                Reshape when args[0].Op is Sum sum && args[0].Args[0].Sum([.. sum.Axes], keep: true) == node => [args[0].Args[0]],
                _ => [.. args],
            };
        }

        private string Numbered()
        {
            string name;
            do
                name = $"v{++counter}";
            while (!used.Add(name));
            return name;
        }

        private string Fresh(string name)
        {
            var candidate = name;
            for (var i = 1; !used.Add(candidate); i++)
                candidate = $"{name}_{i}";
            return candidate;
        }

        private Piece Render(Expr node)
        {
            var args = Operands(node);
            var plain = IsPlain(node, args);
            switch (node.Op)
            {
                case Literal { DType: DType.Float } literal when double.IsFinite(literal.Number):
                    return Number(literal);
                case CustomGradient:
                    return pieces[args[0]];
                case Neg:
                    return new("-" + At(args[0], Level.Unary), Level.Unary);
                case Logistic:
                    return Call("sigmoid", args[0]);
                case Exp or Log or Log1p or Expm1 or Tanh or Erf or Sin or Cos or Sqrt or Rsqrt or Abs or Relu or Sign or Floor or Round or StopGradient:
                    return Call(node.Op.Name, args[0]);
                case Add when plain && args[1].Op is Neg && pieces[args[1]].Text is ['-', .. var subtrahend]:
                    return new($"{At(args[0], Level.Add)} - {subtrahend}", Level.Add);
                case Add when plain && args[1].Op is Literal { Number: < 0 } negative:
                    return new($"{At(args[0], Level.Add)} - {Printer.Number(-negative.Number)}", Level.Add);
                case Add when plain:
                    return new($"{At(args[0], Level.Add)} + {At(args[1], Level.Mul)}", Level.Add);
                case Mul when plain:
                    return new($"{At(args[0], Level.Mul)} * {At(args[1], Level.Mat)}", Level.Mul);
                case Div when plain:
                    return new($"{At(args[0], Level.Mul)} / {At(args[1], Level.Mat)}", Level.Mul);
                case Pow when plain:
                    return new($"{At(args[0], Level.Atom)} ** {At(args[1], Level.Unary)}", Level.Unary);
                case Max when plain:
                    return new($"maximum({At(args[0])}, {At(args[1])})", Level.Atom);
                case Min when plain:
                    return new($"minimum({At(args[0])}, {At(args[1])})", Level.Atom);
                case Compare compare when plain:
                    return new($"{At(args[0], Level.Add)} {Symbol(compare.Kind)} {At(args[1], Level.Add)}", Level.Compare);
                case Or:
                    return new($"{At(args[0], Level.Or)} or {At(args[1], Level.And)}", Level.Or);
                case And:
                    return new($"{At(args[0], Level.And)} and {At(args[1], Level.Not)}", Level.And);
                case Not:
                    return new($"not {At(args[0], Level.Not)}", Level.Not);
                case Select when plain:
                    return new($"where({At(args[0])}, {At(args[1])}, {At(args[2])})", Level.Atom);
                case DotGeneral when args[0].Rank > 0 && args[1].Rank is 1 or 2 && Same(node, () => args[0].MatMul(args[1])):
                    return new($"{At(args[0], Level.Mat)} @ {At(args[1], Level.Unary)}", Level.Mat);
                case Sum sum:
                    return new(sum.Axes.Count == args[0].Rank ? $"sum({At(args[0])})" : $"sum({At(args[0])}, axis = {sum.Axes})", Level.Atom);
                case Reshape when node.Args[0] != args[0]:
                    return new($"sum({At(args[0])}, axis = {((Sum)node.Args[0].Op).Axes}, keep = true)", Level.Atom);
                case Phase:
                    return new($"if training then {At(args[0], Level.Compare)} else {At(args[1], Level.Compare)}", Level.Lambda);
                default:
                    var parts = args.Select(Typed).Concat(Attributes(node.Op));
                    return new($"prim.{node.Op.Name}({string.Join(", ", parts)})", Level.Atom);
            }
        }

        private Piece Call(string name, Expr x) => new($"{name}({Typed(x)})", Level.Atom);

        private static Piece Number(Literal literal) => new(Printer.Number(literal.Number), double.IsNegative(literal.Number) ? Level.Unary : Level.Atom);

        /// <summary>The text of an operand; a literal takes its type from the other one.</summary>
        private string At(Expr node, Level level = Level.Lambda) =>
            node.Op is Literal { DType: not DType.Bool } literal && double.IsFinite(literal.Number) ? Number(literal).At(level) : pieces[node].At(level);

        /// <summary>The text of an argument that nothing gives a type to.</summary>
        private string Typed(Expr node) => pieces[node].Text;

        private static Expr[] Bare(Expr node, Func<Expr, Expr, Expr> build) => Bare(node, node.Args[0], node.Args[1], build);

        private static Expr[] Bare(Expr node, Expr x, Expr y, Func<Expr, Expr, Expr> build)
        {
            foreach (var a in Sources(x))
            {
                foreach (var b in Sources(y))
                {
                    if (Same(node, () => build(a, b)))
                        return [a, b];
                }
            }

            return [x, y];
        }

        private static IEnumerable<Expr> Sources(Expr x)
        {
            if (x.Op is Broadcast)
            {
                if (x.Args[0].Op is Reshape)
                    yield return x.Args[0].Args[0];
                yield return x.Args[0];
            }

            yield return x;
        }

        /// <summary>Whether the operator on these operands makes the node, so that it may be printed as an operator.</summary>
        private static bool IsPlain(Expr node, Expr[] args) => node.Op switch
        {
            Add => Same(node, () => args[0] + args[1]),
            Mul => Same(node, () => args[0] * args[1]),
            Div => Same(node, () => args[0] / args[1]),
            Pow => Same(node, () => Expr.Pow(args[0], args[1])),
            Max => Same(node, () => Expr.Max(args[0], args[1])),
            Min => Same(node, () => Expr.Min(args[0], args[1])),
            Compare compare => Same(node, () => Comparison(compare, args[0], args[1])),
            Select => args[1].Op is not Literal { DType: DType.Bool } && args[2].Op is not Literal { DType: DType.Bool } && Same(node, () => Expr.Where(args[0], args[1], args[2])),
            _ => false,
        };

        private static bool Same(Expr node, Func<Expr> build)
        {
            try
            {
                return build() == node;
            }
            catch (ShapeException)
            {
                return false;
            }
        }

        private static Expr Comparison(Compare compare, Expr x, Expr y) => compare.Kind switch
        {
            Graph.Comparison.Eq => x.EqualTo(y),
            Graph.Comparison.Ne => x.NotEqualTo(y),
            Graph.Comparison.Lt => x.LessThan(y),
            Graph.Comparison.Le => x.LessOrEqual(y),
            Graph.Comparison.Gt => x.GreaterThan(y),
            _ => x.GreaterOrEqual(y),
        };

        private static string Symbol(Comparison kind) => kind switch
        {
            Graph.Comparison.Eq => "==",
            Graph.Comparison.Ne => "!=",
            Graph.Comparison.Lt => "<",
            Graph.Comparison.Le => "<=",
            Graph.Comparison.Gt => ">",
            _ => ">=",
        };

        private static IEnumerable<string> Attributes(Op op) =>
            op is Barrier ? [] : op.Attributes.Select(a => $"{a.Name} = {Printer.Text(a.Value)}");
    }
}
