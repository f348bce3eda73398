using System.Collections.Immutable;
using System.Globalization;

namespace Dnn.Graph;

/// <summary>
/// Makes pictures of models: a box for every application of a layer or function, with what it computes inside. Constants, random keys and
/// broadcasting are not shown; a parameter is shown where it is used.
/// </summary>
internal sealed class PictureBuilder(Model model, Func<SourceLocation, string?>? text)
{
    private readonly Picture root = new();
    private readonly Dictionary<(Scope Scope, bool IsBackward), Page> pages = [];
    private readonly Dictionary<Expr, PictureNode> nodes = [];
    private readonly Dictionary<Expr, Page> pageOf = [];
    private readonly Dictionary<(Page, Expr), (PictureNode Node, PictureNode? Exit)> sources = [];
    private readonly Dictionary<(Page, Expr), PictureNode> variables = [];
    private readonly Dictionary<Expr, bool> constant = [];
    private readonly IReadOnlyDictionary<Expr, string> names = model.VariableNames;
    private readonly Dictionary<Expr, Parameter> parameters = model.Parameters.ToDictionary(p => p.Variable);
    private readonly HashSet<Expr> fed = [.. model.Inputs.Concat(model.Targets).Select(n => n.Value)];
    private readonly HashSet<string> seen = [];
    private HashSet<Expr> forward = [];
    private Page? top;

    /// <summary>A level of the picture.</summary>
    private sealed class Page(Picture picture, PictureNode? node, Page? parent)
    {
        public Picture Picture => picture;

        /// <summary>The box that it is inside of; null at the top.</summary>
        public PictureNode? Node => node;

        public Page? Parent => parent;

        public int Depth { get; } = parent is null ? 0 : parent.Depth + 1;
    }

    private Page Top => top ??= new Page(root, null, null);

    public Picture Forward()
    {
        Named[] named = [.. model.Outputs, .. model.Losses, .. model.Metrics];
        var values = Phases.Resolve([.. named.Select(n => n.Value)], training: true, model.Provenance);
        var ends = named.Select((n, i) => (n.Name, Value: values[i], Role: i < model.Outputs.Length ? PictureRole.Output : i < model.Outputs.Length + model.Losses.Length ? PictureRole.Loss : PictureRole.Metric)).ToArray();
        forward = [.. Expr.PostOrder(values)];
        Fold(ends);
        Draw(values);
        foreach (var (name, value, role) in ends)
        {
            if (role == PictureRole.Output || !terminals.TryGetValue(value, out var page))
                End(name, value, role);
            else
                page.Node!.Title = Title(name, role);
        }

        return Finished();
    }

    public Picture Training()
    {
        var losses = Phases.Resolve([model.TotalLoss, .. model.Losses.Select(l => l.Value)], training: true, model.Provenance);
        var trained = model.Trainable.ToArray();
        var gradients = Gradient.Of(losses[0], [.. trained.Select(p => p.Variable)], model.Provenance);
        forward = [.. Expr.PostOrder(losses)];
        Fold([.. model.Losses.Select((l, i) => (l.Name, losses[i + 1], PictureRole.Loss))]);
        FoldBack(gradients.OfType<Expr>());
        Expr[] values = [.. losses, .. gradients.OfType<Expr>()];
        Draw(values);
        for (var i = 0; i < model.Losses.Length; i++)
        {
            if (terminals.TryGetValue(losses[i + 1], out var page))
                page.Node!.Title = Title(model.Losses[i].Name, PictureRole.Loss);
            else
                End(model.Losses[i].Name, losses[i + 1], PictureRole.Loss);
        }

        foreach (var (parameter, gradient) in trained.Zip(gradients))
        {
            if (gradient is null || Value(gradient) is not { } value)
                continue;
            var home = pageOf.GetValueOrDefault(value, Top);
            var end = home.Picture.Add(new PictureNode(PictureRole.Gradient, "∂ " + parameter.Path, parameter.Shape.ToString(), $"the gradient of {parameter.Path}"));
            Connect(value, home, end);
        }

        return Finished();
    }

    // ---- What is shown -----------------------------------------------------------------------------------------------

    /// <summary>The node that is drawn for a value: broadcasting and copies are seen through; null for what depends on nothing that is fed or learned.</summary>
    private Expr? Value(Expr node)
    {
        while (node.Op is Broadcast or Barrier)
            node = node.Args[0];
        return constant[node] ? null : node;
    }

    private void Draw(IReadOnlyList<Expr> values)
    {
        var order = Expr.PostOrder(values);
        foreach (var node in order)
            constant[node] = node.Op is Graph.Variable ? !fed.Contains(node) && !names.ContainsKey(node) || node == RandomState.Seed || node == RandomState.Step : node.Args.All(a => constant[a]);
        foreach (var (name, value) in model.Inputs.Concat(model.Targets))
        {
            if (!constant.ContainsKey(value))
                continue;
            var isTarget = model.Targets.Any(t => t.Name == name);
            nodes[value] = root.Add(new PictureNode(isTarget ? PictureRole.Target : PictureRole.Input, name, value.Type.ToString(), $"{(isTarget ? "target" : "input")} {name}: {value.Type}"));
            pageOf[value] = Top;
        }

        foreach (var node in order)
        {
            if (node.Op is Graph.Variable or Broadcast or Barrier || constant[node])
                continue;
            var page = folded.TryGetValue(node, out var end) ? end : PageOf(Origin(node)?.Scope, !forward.Contains(node));
            pageOf[node] = page;
            nodes[node] = page.Picture.Add(Operation(node));
            foreach (var arg in node.Args)
            {
                if (Value(arg) is not { } value)
                    continue;
                if (forward.Contains(node))
                    Share(value, page);
                Connect(value, page, nodes[node]);
            }
        }
    }

    /// <summary>
    /// A step inside of a function that another function takes as well, such as the maximum that softmax and log_softmax subtract, is shown in both: the one does not take
    /// what the other gives.
    /// </summary>
    private void Share(Expr value, Page page)
    {
        if (!IsInner(value, out var scope) || !pages.TryGetValue((scope, false), out var own) || sources.ContainsKey((page, value)))
            return;
        for (var p = page; p is not null; p = p.Parent)
        {
            if (p == own)
                return;
        }

        foreach (var part in Expr.PostOrder([value], n => !IsInner(n, out var other) || other != scope).Where(n => IsInner(n, out var other) && other == scope && Value(n) == n && !sources.ContainsKey((page, n))))
        {
            var copy = page.Picture.Add(Operation(part));
            foreach (var arg in part.Args)
            {
                if (Value(arg) is { } from)
                    Connect(from, page, copy);
            }

            sources[(page, part)] = (copy, null);
        }
    }

    /// <summary>Whether a value is inside of a function and no result of it.</summary>
    private bool IsInner(Expr value, out Scope scope)
    {
        scope = null!;
        if (Origin(value) is not { Scope: { } found } || found.Path != (found.Parent?.Path ?? "") || model.Provenance.ResultOf(value) is not null || value.Op is Graph.Variable)
            return false;
        scope = found;
        return true;
    }

    private Provenance.Origin? Origin(Expr node) => model.Provenance.Find(node);

    private static PictureNode Operation(Expr node)
    {
        var (title, role) = node.Op.Name switch
        {
            "add" => ("+", PictureRole.Operation),
            "mul" => ("×", PictureRole.Operation),
            "div" => ("÷", PictureRole.Operation),
            "neg" => ("−", PictureRole.Operation),
            "lt" => ("<", PictureRole.Operation),
            "gt" => (">", PictureRole.Operation),
            "le" => ("≤", PictureRole.Operation),
            "ge" => ("≥", PictureRole.Operation),
            "eq" => ("=", PictureRole.Operation),
            "ne" => ("≠", PictureRole.Operation),
            "logistic" => ("sigmoid", PictureRole.Activation),
            "tanh" or "relu" => (node.Op.Name, PictureRole.Activation),
            "dot_general" => ("matmul", PictureRole.Function),
            "conv_general" => ("convolution", PictureRole.Function),
            var name => (name, PictureRole.Operation),
        };
        var attributes = string.Join(", ", node.Op.Attributes.Select(a => $"{a.Name} = {Printer.Text(a.Value)}"));
        var constants = string.Join(", ", node.Args.Select(Number).OfType<string>());
        return new PictureNode(role, constants.Length is > 0 and < 12 && node.Args.Length == 2 ? $"{title} {constants}" : title, "", $"{node.Op.Name}({attributes}): {node.Type}") { Operation = node.Op.Name, Constants = constants };
    }

    /// <summary>A literal, perhaps broadcast, as text.</summary>
    private static string? Number(Expr node)
    {
        while (node.Op is Broadcast)
            node = node.Args[0];
        return node.Op is Literal literal ? Printer.Number(Math.Round(literal.Number, 12)) : null;
    }

    // ---- Levels ------------------------------------------------------------------------------------------------------

    private Page PageOf(Scope? scope, bool isBackward)
    {
        if (scope is null)
            return Top;
        if (pages.TryGetValue((scope, isBackward), out var known))
            return known;
        var missing = new Stack<Scope>();
        for (var s = scope; s is not null && !pages.ContainsKey((s, isBackward)); s = s.Parent)
            missing.Push(s);
        var page = Top;
        while (missing.TryPop(out var next))
        {
            page = next.Parent is { } parent ? pages[(parent, isBackward)] : Top;
            var node = page.Picture.Add(Box(next, isBackward));
            page = pages[(next, isBackward)] = new Page(node.Content!, node, page);
        }

        return page;
    }

    private PictureNode Box(Scope scope, bool isBackward)
    {
        var isFunction = scope.Path == (scope.Parent?.Path ?? "");
        var count = isFunction || isBackward ? 0 : model.Parameters.Where(p => IsUnder(p.Path, scope.Path)).Sum(p => p.Shape.ElementCount.Value);
        var isShared = !isFunction && !isBackward && !seen.Add(scope.Path);
        var tooltip = new List<string> { isFunction ? scope.Kind : $"{scope.Kind} {scope.Path}{(isShared ? ", applied again with the same parameters" : "")}" };
        tooltip.Add($"{string.Join(", ", scope.Inputs.Select(i => i.Type))} → {string.Join(", ", scope.Outputs.Select(o => o.Type))}");
        if (count > 0)
            tooltip.Add($"{count.ToString("#,0", CultureInfo.InvariantCulture)} parameters");
        if (scope.Location is { } location)
            tooltip.Add(location.ToString());
        return new PictureNode(RoleOf(scope.Kind, isFunction, count), isBackward ? "∂ " + scope.Kind : scope.Kind, isFunction ? "" : Relative(scope.Path, scope.Parent?.Path ?? "") + (isShared ? " again" : ""), string.Join('\n', tooltip))
        {
            Parameters = isShared ? 0 : count,
            Content = new Picture(),
            Path = isFunction || isBackward ? "" : scope.Path,
        };
    }

    private static string Relative(string path, string parent) =>
        parent.Length > 0 && path.StartsWith(parent, StringComparison.Ordinal) ? path[parent.Length..].TrimStart('.') : path;

    private static bool IsUnder(string path, string layer) =>
        path.StartsWith(layer, StringComparison.Ordinal) && (path.Length == layer.Length || path[layer.Length] is '.' or '[');

    private static PictureRole RoleOf(string kind, bool isFunction, long parameters) => kind switch
    {
        _ when kind.EndsWith("_norm", StringComparison.Ordinal) => PictureRole.Normalization,
        "dropout" or "drop_path" => PictureRole.Regularization,
        "attention" or "rnn" or "lstm" or "gru" or "graph_attention" => PictureRole.Attention,
        "prelu" or "relu" or "leaky_relu" or "elu" or "selu" or "celu" or "gelu" or "swish" or "mish" or "softplus" or "softsign" or "hard_sigmoid" or "hard_swish" or "sigmoid"
            or "tanh" or "softmax" or "log_softmax" or "log_sigmoid" or "glu" or "swiglu" => PictureRole.Activation,
        _ => isFunction ? PictureRole.Function : PictureRole.Layer,
    };

    // ---- Edges -------------------------------------------------------------------------------------------------------

    private void Connect(Expr value, Page page, PictureNode to)
    {
        var (from, exit) = Source(page, value);
        if (from != to)
            page.Picture.Connect(from, exit, to, null, value.Type.ToString());
    }

    /// <summary>Where a value is to be had on a level: from a box of it, or through an entry.</summary>
    private (PictureNode Node, PictureNode? Exit) Source(Page page, Expr value)
    {
        if (sources.TryGetValue((page, value), out var known))
            return known;
        if (value.Op is Graph.Variable && !fed.Contains(value))
            return sources[(page, value)] = (Variable(page, value), null);
        var home = pageOf[value];
        if (home == page)
            return sources[(page, value)] = (nodes[value], null);
        var inner = home;
        while (inner.Parent is { } above && above.Depth >= page.Depth && above != page)
            inner = above;
        var label = value.Type.ToString();
        if (inner.Parent == page)
        {
            // It is inside of a box of this level.
            var (node, exit) = Source(inner, value);
            var way = inner.Picture.Add(new PictureNode(PictureRole.Exit, label));
            inner.Picture.Connect(node, exit, way, null, label);
            return sources[(page, value)] = (inner.Node!, way);
        }

        var entry = page.Picture.Add(new PictureNode(PictureRole.Entry, label));
        sources[(page, value)] = (entry, null);
        var (outer, outerExit) = Source(page.Parent!, value);
        if (outer != page.Node)
            page.Parent!.Picture.Connect(outer, outerExit, page.Node!, entry, label);
        return (entry, null);
    }

    /// <summary>A parameter or buffer, beside its use.</summary>
    private PictureNode Variable(Page page, Expr value)
    {
        var path = names[value];
        var owner = page.Node?.Path ?? "";
        var name = owner.Length > 0 && path.StartsWith(owner + ".", StringComparison.Ordinal) ? path[(owner.Length + 1)..] : path;
        var isParameter = parameters.TryGetValue(value, out var parameter);
        return page.Picture.Add(new PictureNode(PictureRole.Parameter, name, value.Shape.ToString(), $"{(isParameter ? "parameter" : "buffer")} {path}: {value.Type}")
        {
            Parameters = page.Node is null && isParameter ? parameter!.Shape.ElementCount.Value : 0,
        });
    }

    private void End(string name, Expr value, PictureRole role)
    {
        var title = Title(name, role);
        var node = root.Add(new PictureNode(role, title, value.Type.ToString(), $"{title}: {value.Type}"));
        if (Value(value) is { } drawn)
            Connect(drawn, Top, node);
    }

    /// <summary>A loss without a name of its own is numbered; where there is one only, that says nothing.</summary>
    private string Title(string name, PictureRole role) =>
        role == PictureRole.Loss && model.Losses.Length == 1 && name == "loss_0" ? "loss" : $"{role.ToString().ToLowerInvariant()} {name}";

    // ---- Losses and metrics --------------------------------------------------------------------------------------------

    private readonly Dictionary<Expr, Page> folded = [];
    private readonly Dictionary<Expr, Page> terminals = [];

    /// <summary>What is computed at the top for one loss or metric alone is the inside of its box.</summary>
    private void Fold((string Name, Expr Value, PictureRole Role)[] ends)
    {
        const int None = -1, Several = -2;
        var use = new Dictionary<Expr, int>();
        var order = Expr.PostOrder([.. ends.Select(e => e.Value)]);
        for (var i = 0; i < ends.Length; i++)
            Use(ends[i].Value, ends[i].Role == PictureRole.Output ? Several : i);
        for (var k = order.Count - 1; k >= 0; k--)
        {
            var isOwn = Origin(order[k])?.Scope is null && order[k].Op is not Graph.Variable;
            foreach (var arg in order[k].Args)
                Use(arg, isOwn ? use[order[k]] : Several);
        }

        for (var i = 0; i < ends.Length; i++)
        {
            var (name, value, role) = ends[i];
            var inside = order.Where(n => use[n] == i && n.Op is not Graph.Variable && Origin(n)?.Scope is null).ToArray();
            if (role == PictureRole.Output || inside.Length == 0 || !inside.Contains(value))
                continue;
            var source = Origin(value)?.Location is { } location ? text?.Invoke(location) : null;
            var node = new PictureNode(role, name, Short(source ?? value.Type.ToString()), $"{role.ToString().ToLowerInvariant()} {name}: {value.Type}{(source is null ? "" : "\n" + source)}") { Content = new Picture() };
            terminals[value] = new Page(node.Content, root.Add(node), Top);
            foreach (var own in inside)
                folded[own] = terminals[value];
        }

        void Use(Expr node, int by) => use[node] = use.GetValueOrDefault(node, None) is var known && (known == None || known == by) ? by : Several;
    }

    /// <summary>What comes back from the losses before it reaches a layer.</summary>
    private void FoldBack(IEnumerable<Expr> gradients)
    {
        Page? page = null;
        foreach (var node in Expr.PostOrder(gradients))
        {
            if (forward.Contains(node) || Origin(node)?.Scope is not null || node.Op is Graph.Variable || !node.Args.All(a => forward.Contains(a) || folded.ContainsKey(a)))
                continue;
            if (page is null)
            {
                var box = root.Add(new PictureNode(PictureRole.Loss, "∂ loss", "", "the derivative of the losses by what they are computed from") { Content = new Picture() });
                page = new Page(box.Content!, box, Top);
            }

            folded[node] = page;
        }
    }

    /// <summary>A statement without its keyword and line breaks.</summary>
    private static string Short(string source)
    {
        var line = string.Join(' ', source.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        foreach (var keyword in new[] { "loss ", "metric " })
            line = line.StartsWith(keyword, StringComparison.Ordinal) ? line[keyword.Length..] : line;
        return line.Length <= 44 ? line : line[..43] + "…";
    }

    // ---- Tidying -----------------------------------------------------------------------------------------------------

    /// <summary>A box with one operation inside is that operation.</summary>
    private Picture Finished()
    {
        var pending = new Stack<Picture>([root]);
        while (pending.TryPop(out var picture))
        {
            picture.Sort();
            foreach (var node in picture.Nodes)
            {
                if (node.Content is not { } content)
                    continue;
                if (content.Nodes.Count(n => n.Role is not (PictureRole.Entry or PictureRole.Exit)) <= 1 && content.Nodes.All(n => n.Content is null))
                    node.Content = null;
                else
                    pending.Push(content);
            }
        }

        return root;
    }
}
