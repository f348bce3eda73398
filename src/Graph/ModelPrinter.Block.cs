using System.Globalization;
using System.Text;

namespace Dnn.Graph;

/// <summary>The body of a model or of a layer that is declared, as lines.</summary>
public static partial class ModelPrinter
{
    private const int InlineLimit = 60;
    private const int LineLimit = 100;
    private const int MaxStages = 12;

    /// <summary>How tightly a piece of text binds.</summary>
    private enum Level
    {
        Lambda,
        Pipe,
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

    /// <param name="Text">The text.</param>
    /// <param name="Level">How tightly it binds.</param>
    /// <param name="Stages">The number of pipes in it.</param>
    /// <param name="HasLayers">Whether a layer is applied in it, so that its place among other lines counts.</param>
    private readonly record struct Piece(string Text, Level Level, int Stages = 0, bool HasLayers = false)
    {
        public string At(Level level) => Level < level ? $"({Text})" : Text;

        /// <summary>Before a pipe: what is piped already goes on, and other operators stand in parentheses.</summary>
        public string AsPiped() => Level == Level.Pipe ? Text : At(Level.Unary);
    }

    private sealed partial class Block
    {
        private readonly Writer writer;
        private readonly Application? owner;
        private readonly KeptLayers kept;
        private readonly Dictionary<Expr, Application> applications;
        private readonly Dictionary<string, List<Application>> byPath = new(StringComparer.Ordinal);
        private readonly StringBuilder text = new();
        private readonly HashSet<string> used = [];
        private readonly Dictionary<string, int> suffixes = new(StringComparer.Ordinal);
        private readonly Dictionary<string, string> instances = new(StringComparer.Ordinal);
        private readonly Dictionary<string, int> kinds = new(StringComparer.Ordinal);
        private readonly HashSet<string> needsName = new(StringComparer.Ordinal);
        private readonly HashSet<string> constructed = new(StringComparer.Ordinal);
        private readonly Dictionary<Expr, Expr[]> operands = [];
        private readonly HashSet<string> sizes = new(StringComparer.Ordinal);
        private readonly List<Expr> roots = [];
        private readonly List<(string Name, Expr Value)> fed = [];
        private readonly List<Parameter> parameters = [];
        private readonly List<(ModelBuffer Buffer, Expr? Next)> buffers = [];
        private GradientRule? rule;
        private Symbol? checkpoint;
        private List<Expr> order = [];
        private List<Expr> results = [];
        private Dictionary<Expr, Piece> pieces = [];
        private Dictionary<Expr, int> uses = [];
        private List<Expr>? added;
        private int counter;
        private int indent = 2;

        public Block(Writer writer, Application? owner)
        {
            this.writer = writer;
            this.owner = owner;
            kept = writer.Kept;
            applications = owner?.Inside ?? kept.Outermost;
            foreach (var application in applications.Values.Distinct())
            {
                if (!byPath.TryGetValue(application.Path, out var all))
                    byPath[application.Path] = all = [];
                all.Add(application);
            }
        }

        private Model Model => writer.Model;

        private IEnumerable<Named> Inputs => owner is null ? Model.Inputs.Concat(Model.Targets) : owner.Scope.Inputs.Select((x, i) => new Named(InputName(i), x)).Concat(owner.Scope.Named);

        private string InputName(int index)
        {
            var names = owner!.Instance.InputNames;
            return index < names.Length ? names[index] : owner.Scope.Inputs.Length == 1 ? "x" : $"x{index}";
        }

        /// <summary>Names everything that has a name, and finds the order of lines and the layers that cannot stay.</summary>
        public void Prepare()
        {
            var under = owner is null ? (Model.Parameters, Model.Buffers) : kept.Under(owner.Path);
            parameters.AddRange(under.Item1.Where(p => kept.OwnerOf(p.Path, owner) is null));
            foreach (var buffer in under.Item2.Where(b => kept.OwnerOf(b.Path, owner) is null))
                buffers.Add((buffer, owner is null ? buffer.Next : owner.Scope.StateWritten?.GetValueOrDefault(buffer.Path)));
            used.UnionWith(Inputs.SelectMany(i => i.Value.Shape.Dims).SelectMany(d => d.Names));
            if (owner is null)
                used.UnionWith(writer.OutputNames.Values);
            pieces[RandomState.Seed] = new("random.seed", Level.Atom);
            pieces[RandomState.Step] = new("random.step", Level.Atom);
            foreach (var (name, value) in Inputs)
            {
                var word = owner is null ? Word(name) : Fresh(Identifier(name));
                used.Add(word);
                fed.Add((word, value));
                pieces.TryAdd(value, new(word, Level.Atom));
            }

            foreach (var (path, variable) in parameters.Select(p => (p.Path, p.Variable)).Concat(buffers.Select(b => (b.Buffer.Path, b.Buffer.Variable))))
            {
                var piece = pieces[variable] = new(Fresh(Identifier(Relative(path))), Level.Atom);
                if (owner?.IsFrozen == true)
                    pieces[variable.StopGradient()] = piece;
            }

            foreach (var (buffer, _) in buffers)
            {
                // What an earlier application left is what the buffer holds when this one starts.
                foreach (var read in owner?.Scope.StateRead?.Where(r => r.Args[1] == buffer.Variable) ?? [])
                    pieces[read] = pieces[buffer.Variable];
            }

            foreach (var path in byPath.Keys)
                instances[path] = Fresh(Identifier(Relative(path)));
            // What is computed again is the body: the application says that it is.
            if (owner?.Uses.Any(u => u.Checkpoint) == true)
                checkpoint = owner.Scope.Outputs.Select(y => y.Op).OfType<Checkpoint>().FirstOrDefault()?.Symbol;
            results = owner is null ? [] : [.. owner.Scope.Outputs.Select(y => y.Op is Checkpoint made && made.Symbol == checkpoint ? y.Args[0] : y)];
            if (owner is not null && results is [{ Op: CustomGradient custom } ruled] && parameters.Count == 0 && buffers.Count == 0 && ruled.Args[1..].Select(Entered).SequenceEqual(fed.Select(f => f.Value))
                && Expr.PostOrder(custom.Rule.Gradients).All(n => n.Op is not (Variable or Phase) || custom.Rule.Takes(n)))
            {
                rule = custom.Rule;
                roots.Add(ruled.Args[0]);
            }

            roots.AddRange(rule is not null ? [] : owner is null ? Model.Outputs.Concat(Model.Losses).Concat(Model.Metrics).Select(n => n.Value) : results);
            roots.AddRange(buffers.Select(b => b.Next is null ? null : Stored(b.Next)).OfType<Expr>());
            order = Order(roots, null);
            foreach (var node in order.Concat(regions.Values.Distinct().SelectMany(r => r.Order)))
            {
                var isRelu = Initializers.ReluFamily.Contains(applications.TryGetValue(node, out var application) ? application.Scope.Kind : CallOf(node)?.Name ?? node.Op.Name);
                foreach (var arg in Operands(node))
                {
                    Reference(arg);
                    if (applications.ContainsKey(arg))
                        writer.Follow(arg, isRelu);
                }
            }

            foreach (var root in roots)
                Reference(root);
            writer.Used.UnionWith(used);
        }

        /// <summary>What stands behind a barrier of the checkpoint around the body, which puts it there again.</summary>
        private Expr Entered(Expr node) => node is { Op: Barrier barrier, Args: [var x] } && barrier.Symbol == checkpoint ? x : node;

        /// <summary>An update stops gradients by itself.</summary>
        private static Expr Stored(Expr next) => next.Op is StopGradient ? next.Args[0] : next;

        private string Relative(string path) => owner is not null && path.Length > owner.Path.Length && path.StartsWith(owner.Path, StringComparison.Ordinal)
            ? path[owner.Path.Length] == '.' ? path[(owner.Path.Length + 1)..] : path[owner.Path.Length..]
            : path;

        /// <summary>A parameter of a layer that is used outside of it is a field of the layer under its name.</summary>
        private void Reference(Expr node)
        {
            if (!writer.PathOf.TryGetValue(node, out var path) || pieces.ContainsKey(node) || kept.OwnerOf(path, owner) is not { } layer)
                return;
            needsName.Add(layer);

            // Parameters are fields; what a buffer holds is the layer's own.
            if (writer.Buffers.Contains(node))
                kept.Apart.Add(layer);
            for (var end = layer.Length + 1; end < path.Length; end++)
            {
                if (path[end] == '[' || (path[end] == '.' && kept.Of(layer)[0].Notation is null && kept.Of(path[..end]).Count == 0))
                    kept.Apart.Add(layer);
            }

            if (path[layer.Length] == '[')
                kept.Apart.Add(layer);
        }

        /// <summary>What is printed, operands before uses, and a layer before what uses its parameters.</summary>
        /// <param name="ends">What it is needed for.</param>
        /// <param name="region">The function that is printed; null for the body itself.</param>
        private List<Expr> Order(IEnumerable<Expr> ends, Region? region)
        {
            var result = new List<Expr>();
            var seen = new HashSet<Expr>();
            var open = new HashSet<Expr>();
            var pending = new Stack<(Expr Node, Expr[] Needs, int Next)>();
            foreach (var end in ends)
            {
                Open(end);
                while (pending.TryPop(out var top))
                {
                    if (top.Next == top.Needs.Length)
                    {
                        open.Remove(top.Node);
                        result.Add(top.Node);
                        continue;
                    }

                    pending.Push((top.Node, top.Needs, top.Next + 1));
                    Open(top.Needs[top.Next]);
                }
            }

            return result;

            void Open(Expr node)
            {
                if (pieces.ContainsKey(node) || region?.IsAround(node) == true)
                    return;
                if (writer.PathOf.TryGetValue(node, out var path) && kept.OwnerOf(path, owner) is { } layer)
                {
                    // A parameter of a layer is there from its first application on, and before the function that this is in.
                    var first = byPath[layer][0].Scope.Outputs[0];
                    if (Home(first, region) is not { } home || (home != first && open.Contains(home)))
                        return;
                    node = home;
                    if (open.Contains(node))
                        kept.Apart.Add(layer);
                }
                else if (applications.TryGetValue(node, out var application))
                {
                    node = application.Scope.Outputs[0];
                }
                else if (RegionOf(node) is { } function)
                {
                    node = function.Body.Made[0];
                }

                Place(node, region);
                if (!seen.Add(node))
                    return;
                open.Add(node);

                // Applications of one instance keep their order.
                var before = applications.TryGetValue(node, out var own) ? [own.Before] : RegionOf(node)?.Before ?? [];
                Expr[] earlier = [.. before.Where(b => b is not null && b.Owner == owner).Select(b => Home(b!.Scope.Outputs[0], region)).OfType<Expr>().Where(n => !open.Contains(n))];
                pending.Push((node, [.. earlier, .. Operands(node)], 0));
            }
        }

        /// <summary>The text after the name: parameters of a layer, and the body.</summary>
        public string Write()
        {
            if (text.Length > 0)
                return text.ToString();
            if (owner is null)
                text.Append(" {\n");
            for (var i = 0; owner is null && i < fed.Count; i++)
                Line($"{(i < Model.Inputs.Length ? "input" : "target")} {fed[i].Name}: {fed[i].Value.Type}");

            foreach (var p in parameters)
            {
                var options = (p.Options.Frozen ? ", frozen" : "") + (p.Options.NoDecay ? ", no_decay" : "") +
                    (p.Options.LearningRateScale == 1 ? "" : $", lr_scale = {Printer.Number(p.Options.LearningRateScale)}");
                Line($"param {Declared(p.Path, pieces[p.Variable].Text)}: {p.Variable.Type} = {Text(p.Initializer)}{options}");
            }

            foreach (var (b, _) in buffers)
                Line($"buffer {Declared(b.Path, pieces[b.Variable].Text)}: {b.Variable.Type} = {Text(b.Initializer)}");
            // Equal sizes that are asked for stay so.
            foreach (var (actual, asked) in owner is null ? Model.Checks.Select(c => (c.Actual, c.Asked)).Distinct() : [])
                Line($"let _: i64[{asked}] = prim.iota(shape = [{actual}], axis = 0)");
            if (owner is null)
                text.Append('\n');
            var start = text.Length;
            Lines(order, roots);
            if (owner is null && text.Length > start)
                text.Append('\n');
            foreach (var (b, next) in buffers.Where(b => b.Next is not null))
                Line($"update {pieces[b.Variable].Text} = {P(Stored(next!)).Text}");
            if (owner is null)
            {
                foreach (var (name, value) in Model.Outputs)
                    Line($"output {Word(name)} = ", P(value));
                for (var i = 0; i < Model.Losses.Length; i++)
                    Line($"loss {P(Model.Losses[i].Value).At(Level.Or)}{(Model.Losses[i].Name == $"loss_{i}" ? "" : $" as {Word(Model.Losses[i].Name)}")}");
                foreach (var (name, value) in Model.Metrics)
                    Line($"metric {Word(name)} = ", P(value));
            }
            else
            {
                var returned = rule is null ? results : [roots[0]];
                Line("return ", returned is [var only] ? P(only) : new($"({string.Join(", ", returned.Select(y => P(y).Text))})", Level.Atom));
                if (rule is not null)
                {
                    var names = Formals(rule, [.. fed.Select(f => f.Name)]);
                    text.Append(CultureInfo.InvariantCulture, $"}} gradient ({string.Join(", ", names)}) {{\n");
                    indent -= 2;
                    Inner(rule.Gradients);
                    indent += 2;
                }

                text.Insert(0, $"({string.Join(", ", Header())}) {{\n");
            }

            return text.Append("}\n").ToString();
        }

        private string Declared(string path, string name) => Relative(path) is var relative && name == relative ? name : $"{Printer.Quote(relative)} as {name}";

        /// <summary>
        /// The inputs, with their types if the body speaks of sizes, which are those that the inputs bind. A size that is no name or number gets a name that binds
        /// whatever it is.
        /// </summary>
        private IEnumerable<string> Header()
        {
            if (sizes.Count == 0)
                return fed.Select(f => f.Name);
            var bound = fed.SelectMany(f => f.Value.Shape.Dims).Where(d => !d.IsKnown && d.Equals(Dim.Named(d.Names.First()))).SelectMany(d => d.Names).ToHashSet();
            if (!sizes.IsSubsetOf(bound))
                kept.Apart.Add(owner!.Path);
            return fed.Select(f => Typed(f.Name, f.Value));

            string Typed(string name, Expr value)
            {
                var dims = value.Shape.Dims.Select(d => d.Names.All(bound.Contains) ? d.ToString() : Fresh("N"));
                return $"{name}: {(value.DType == DType.Float ? "" : value.DType.Text())}[{string.Join(", ", dims)}]";
            }
        }

        private void Line(string line) => text.Append(' ', indent).Append(line).Append('\n');

        /// <summary>A line that ends in an expression; pipes that do not fit stand one on a line.</summary>
        private void Line(string start, Piece piece)
        {
            if (piece.Level != Level.Pipe || indent + start.Length + piece.Text.Length <= LineLimit)
            {
                Line(start + piece.Text);
                return;
            }

            text.Append(' ', indent).Append(start);
            var (depth, from) = (0, 0);
            var isString = false;
            for (var i = 0; i < piece.Text.Length; i++)
            {
                var c = piece.Text[i];
                if (c == '"' && (i == 0 || piece.Text[i - 1] != '\\'))
                    isString = !isString;
                if (isString)
                    continue;
                depth += c is '(' or '[' or '{' ? 1 : c is ')' or ']' or '}' ? -1 : 0;
                if (depth == 0 && c == '|' && piece.Text[i + 1] == '>')
                {
                    text.Append(piece.Text.AsSpan(from, i - from).TrimEnd()).Append('\n').Append(' ', indent + 2);
                    from = i;
                }
            }

            text.Append(piece.Text.AsSpan(from)).Append('\n');
        }

        /// <summary>Writes nodes in their order: what is used once and short stands where it is used.</summary>
        private void Lines(List<Expr> nodes, IReadOnlyList<Expr> ends)
        {
            foreach (var arg in nodes.SelectMany(Operands).Concat(ends))
                uses[arg] = uses.GetValueOrDefault(arg) + 1;
            Dictionary<(ScanBody, ValueList<Expr>), List<Expr>>? loops = null;
            foreach (var node in nodes.Where(n => n.Op is Scan && !applications.ContainsKey(n)))
            {
                loops ??= [];
                var key = KeyOf(node);
                if (!loops.TryGetValue(key, out var group))
                    loops[key] = group = [];
                group.Add(node);
            }

            if (nodes == order)
                FindRepeats();
            for (var i = 0; i < nodes.Count; i++)
            {
                var node = nodes[i];
                if (pieces.ContainsKey(node))
                    continue;
                if (applications.TryGetValue(node, out var application) && application.Scope.Outputs.Length > 1)
                {
                    Several(application);
                    continue;
                }

                var isLoop = repeats.TryGetValue(node, out var repeat);
                if (isLoop)
                {
                    i += repeat.Length - 1;
                    application = applications.GetValueOrDefault(nodes[i]);
                }

                var region = isLoop || application is not null ? null : RegionOf(node);
                var given = region is null ? null : Write(region);
                if (region is not null && given is null)
                    continue;
                if (application is null && region is null && node.Op is Scan scan)
                {
                    Loop(scan.Body, loops![KeyOf(node)]);
                    continue;
                }

                var piece = given ?? (isLoop ? Repeat(repeat, P(Piped(node)!)) : application is null ? Render(node) : Apply(application));
                node = nodes[i];
                var isLast = i == nodes.Count - 1 && ends.Count == 1 && ends[0] == node;
                Put(node, IsInline(node, piece, i + 1 < nodes.Count ? nodes[i + 1] : null, isLast) ? piece : Let(node, application, piece));
            }
        }

        private bool IsInline(Expr node, Piece piece, Expr? next, bool isLast)
        {
            if (node.Args.IsEmpty || piece.Level == Level.Atom && IsName(piece.Text))
                return true;
            if (uses.GetValueOrDefault(node) != 1 || piece.Level == Level.Lambda || Known(node) is not null)
                return false;
            if (isLast)
                return true;
            if (next is not null && Piped(next) == node && piece.Stages < MaxStages)
                return true;
            return piece is { HasLayers: false, Level: not Level.Pipe } && (piece.Text.Length <= InlineLimit || (owner is null && writer.OutputNames.ContainsKey(node)));
        }

        private static bool IsName(string text) => text.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.') && !char.IsAsciiDigit(text[0]);

        /// <summary>Adds a piece; in a rule, whose nodes are nothing outside of it, it is noted.</summary>
        private void Put(Expr node, Piece piece)
        {
            pieces[node] = piece;
            added?.Add(node);
        }

        /// <summary>The text of a node: what was written of it, or a parameter as a field of its layer.</summary>
        private Piece P(Expr node) => pieces.TryGetValue(node, out var piece) ? piece
            : writer.PathOf[node] is var path && kept.OwnerOf(path, owner) is { } layer ? new(instances[layer] + path[layer.Length..], Level.Atom)
            : throw new InvalidOperationException($"{path} is not declared");

        private Piece Let(Expr node, Application? application, Piece piece)
        {
            var name = NameFor(node, application);
            Line($"let {name} = ", piece);
            return new(name, Level.Atom);
        }

        private string NameFor(Expr node, Application? application)
        {
            if (owner is null && writer.OutputNames.TryGetValue(node, out var output))
                return output;
            if (Known(node) is null && application is not null)
                return constructed.Contains(application.Path) ? Fresh(instances[application.Path] + "_out") : instances[application.Path];
            if (WishFor(node) is { } wish)
                return Fresh(wish);
            return Model.Provenance.CotangentOf(node) is { } of && WishFor(of) is { } primal ? Fresh("d_" + primal) : Numbered();
        }

        /// <summary>What a node would be called: as source does, or after the layer or function whose result it is.</summary>
        private string? WishFor(Expr node)
        {
            if (Known(node) is { } given)
                return given.Scope == owner?.Scope ? given.Name : Identifier(Relative(given.Scope!.Path) + "." + given.Name);
            if (writer.PathOf.TryGetValue(node, out var path))
                return Identifier(Relative(path));
            return Model.Provenance.ResultOf(node) is not { } scope ? null
                : scope.Layer is null || scope.Path.Length == 0 || scope == owner?.Scope ? scope.Kind
                : Identifier(Relative(scope.Path));
        }

        /// <summary>The name by which people know a value here: one of this body, or of one that was taken apart in it.</summary>
        private (string Name, Scope? Scope)? Known(Expr node)
        {
            (string, Scope?)? inner = null;
            foreach (var name in Model.Provenance.NamesOf(node))
            {
                if (name.Scope == owner?.Scope)
                    return name;
                var outer = name.Scope;
                while (outer is not null && outer != owner?.Scope)
                    outer = outer.Parent;
                if (outer == owner?.Scope)
                    inner ??= name;
            }

            return inner;
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
            while (writer.Taken.Contains(candidate) || !used.Add(candidate))
                candidate = $"{name}_{suffixes[name] = suffixes.GetValueOrDefault(name, writer.Taken.Contains(name) ? -1 : 0) + 1}";
            return candidate;
        }

        // ---- Layers --------------------------------------------------------------------------------------------------

        /// <summary><c>x |> dense(64)</c>, or the layer under its path, applied.</summary>
        private Piece Apply(Application application)
        {
            var made = Construct(application);
            foreach (var use in application.Uses)
            {
                made = use switch
                {
                    { Checkpoint: true } => $"checkpoint({made})",
                    { Frozen: true } => $"frozen({made})",
                    { NoDecay: true } => $"no_decay({made})",
                    { Values: { IsEmpty: false } values } => $"{made}.with({string.Join(", ", values.Select(v => $"{v.Name} = {P(v.Value).Text}"))})",
                    _ => $"lr_scale({made}, {Printer.Number(use.LearningRateScale)})",
                };
            }

            if (application.Scope.Layer!.ViewName is { } view)
                made += "." + view;
            var inputs = application.Scope.Inputs;
            if (application.Scope.Named.IsEmpty && inputs.Length == 1)
                return new($"{P(inputs[0]).AsPiped()} |> {made}", Level.Pipe, P(inputs[0]).Stages + 1, HasLayers: true);
            var named = application.Scope.Named.GroupBy(n => n.Name).Select(g => $"{g.Key} = {Tuple([.. g.Select(n => P(n.Value).Text)])}");
            return new($"{made}({string.Join(", ", inputs.Select(x => P(x).Text).Concat(named))})", Level.Atom, HasLayers: true);
        }

        /// <summary>A layer that is constructed where it is applied, or its name.</summary>
        private string Construct(Application application)
        {
            var construction = writer.Construction(application);
            var kind = application.Notation?.Name ?? construction;
            var path = application.Path;
            if (constructed.Contains(path) || byPath[path].Count > 1 || needsName.Contains(path) || Relative(path) != $"{kind}_{kinds.GetValueOrDefault(kind)}")
                return Declare(application);
            kinds[kind] = kinds.GetValueOrDefault(kind) + 1;
            return construction;
        }

        /// <summary>The name of a layer, which has it from its first application on.</summary>
        private string Declare(Application application)
        {
            var name = instances[application.Path];
            if (constructed.Add(application.Path))
                Line($"let {Declared(application.Path, name)} = {writer.Construction(application)}");
            return name;
        }

        private void Several(Application application)
        {
            var piece = Apply(application);
            var names = new List<string>();
            foreach (var output in application.Scope.Outputs)
            {
                var name = !uses.ContainsKey(output) ? "_" : NameFor(output, Known(output) is not null ? null : application);
                names.Add(names.Contains(name) ? Fresh(name) : name);
                Put(output, new(names[^1], Level.Atom));
            }

            Line($"let {Tuple(names)} = ", piece);
        }

        // ---- Loops and rules -----------------------------------------------------------------------------------------

        /// <summary>All that is asked of one loop, as one call.</summary>
        private void Loop(ScanBody body, List<Expr> nodes)
        {
            var outputs = nodes.Where(n => ((Scan)n.Op).Output is not null).ToList();
            var results = new List<string>();
            for (var i = 0; i < body.States + outputs.Count; i++)
            {
                var node = i < body.States ? nodes.Find(n => n.Op is Scan { Output: null } last && last.State == i) : outputs[i - body.States];
                results.Add(node is null ? "_" : NameFor(node, null));
                if (node is not null)
                    Put(node, new(results[^1], Level.Atom));
            }

            var arguments = nodes[0].Args.Select(a => P(a).Text).ToList();
            var (outerPieces, outerUses, outerAdded) = (pieces, uses, added);
            (pieces, uses, added) = ([], [], null);
            var names = new List<string>();
            foreach (var parameter in ((Scan)nodes[0].Op).Parameters(nodes[0]))
            {
                names.Add(Fresh(names.Count < body.States ? "state" : names.Count < body.States + body.Sequences ? "element" : "constant"));
                pieces[parameter] = new(names[^1], Level.Atom);
            }

            Mention(body.Length);
            text.Append(' ', indent).Append(CultureInfo.InvariantCulture, $"let {Tuple(results)} = prim.scan({string.Concat(arguments.Select(a => a + ", "))}{Tuple(names)} => {{\n");
            Inner([.. body.Next, .. outputs.Select(o => ((Scan)o.Op).Output!)]);
            Line($"}}, states = {body.States}, sequences = {body.Sequences}, length = [{body.Length}], reverse = {(body.Reverse ? "true" : "false")})");
            (pieces, uses, added) = (outerPieces, outerUses, outerAdded);
        }

        /// <summary>A value with a rule of its own, and the rule.</summary>
        private Piece Ruled(Expr node, CustomGradient custom)
        {
            var name = NameFor(node, null);
            var outer = added;
            added = [];
            var rule = custom.Rule;
            var names = Formals(rule, [.. rule.Inputs.Select((_, i) => Fresh(rule.Inputs.Count == 1 ? "x" : $"x{i}"))]);
            text.Append(' ', indent).Append(CultureInfo.InvariantCulture, $"let {name} = prim.custom_gradient({string.Concat(node.Args.Select(a => P(a).Text + ", "))}{Tuple(names)} => {{\n");
            Inner(rule.Gradients);
            Line("})");
            foreach (var gone in added)
                pieces.Remove(gone);
            added = outer;
            return new(name, Level.Atom);
        }

        /// <summary>Names for what a rule takes.</summary>
        private List<string> Formals(GradientRule rule, List<string> inputs)
        {
            List<string> names = [.. inputs, Fresh("y"), Fresh("dy")];
            foreach (var (name, formal) in names.Zip([.. rule.Inputs, rule.Result, rule.Cotangent]))
                Put(formal, new(name, Level.Atom));
            return names;
        }

        private void Inner(IReadOnlyList<Expr> ends)
        {
            indent += 2;
            Lines(Order(ends, null), ends);
            Line($"return {Tuple([.. ends.Select(r => P(r).Text)])}");
            indent -= 2;
        }

        private static string Tuple(List<string> items) => items.Count == 1 ? items[0] : $"({string.Join(", ", items)})";

        private void Mention(Dim size)
        {
            if (!size.IsKnown)
                sizes.UnionWith(size.Names);
        }
    }
}
