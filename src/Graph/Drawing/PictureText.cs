using System.Globalization;
using System.Text;

namespace Dnn.Graph;

/// <summary>Pictures as text: an outline for people, and the languages of Graphviz and Mermaid.</summary>
public static class PictureText
{
    /// <summary>A line a box, what is inside below it and indented; every box with what goes in and what comes out.</summary>
    public static string Outline(Picture picture)
    {
        var text = new StringBuilder();
        Walk(picture, _ => true, Line, null);
        return text.ToString();

        void Line(PictureNode node, Names names, int level, Picture around)
        {
            if (node.IsPort)
                return;
            var from = around.Edges.Where(e => e.To == node).Select(e => names.Of(e.From, e.Exit)).Distinct().ToArray();
            var types = around.Edges.Where(e => e.From == node).Select(e => e.Label).Distinct().ToArray();
            var isNamed = node.Role is PictureRole.Input or PictureRole.Target or PictureRole.Parameter;
            var call = isNamed ? node.Role.ToString().ToLowerInvariant() : $"{node.Operation ?? node.Title}({string.Join(", ", node.Constants.Length == 0 ? from : [.. from, node.Constants])})";
            var shown = isNamed ? node.Detail : string.Join(", ", types);
            if (node.Role is PictureRole.Output or PictureRole.Loss or PictureRole.Metric or PictureRole.Gradient)
                (call, shown) = (string.Join(", ", from), node.Detail);
            var name = node.Role is PictureRole.Output or PictureRole.Loss or PictureRole.Metric or PictureRole.Gradient ? node.Title : names.Of(node);
            var line = $"{new string(' ', 2 * level)}{name} = {call}{(shown.Length == 0 ? "" : ": " + shown)}";
            text.Append(node.Parameters == 0 ? line : string.Create(CultureInfo.InvariantCulture, $"{line,-72}  {node.Parameters:#,0} parameters")).Append('\n');
        }
    }

    /// <summary>A Graphviz digraph: <c>dot -Tsvg</c>.</summary>
    public static string Dot(Picture picture, string title, int? depth = null)
    {
        var text = new StringBuilder($"digraph {Quote(title)} {{\n  rankdir = TB;\n  label = {Quote(title)};\n  labelloc = t;\n  fontname = \"Helvetica\";\n");
        text.Append("  node [shape = box, style = \"rounded,filled\", fillcolor = white, fontname = \"Helvetica\", fontsize = 11];\n  edge [fontname = \"Helvetica\", fontsize = 9, color = \"#64748b\"];\n");
        picture = picture.Fold();
        var open = picture.Opened(depth);
        var edges = new StringBuilder();
        Walk(picture, open.Contains, (node, names, level, _) =>
        {
            var indent = new string(' ', 2 + (2 * level));
            if (node.IsPort)
                text.Append($"{indent}{names.Id(node)} [shape = point, width = 0.04, label = \"\"];\n");
            else if (open.Contains(node))
                text.Append($"{indent}subgraph cluster_{names.Id(node)} {{\n{indent}  label = {Quote(Label(node, " "))};\n{indent}  style = rounded;\n{indent}  color = \"{Color(node.Role)}\";\n");
            else
                text.Append($"{indent}{names.Id(node)} [label = {Quote(Label(node, "\n"))}, tooltip = {Quote(node.Tooltip)}, color = \"{Color(node.Role)}\"];\n");
        }, (node, level) => text.Append(' ', 2 + (2 * level)).Append("}\n"), (from, to, edge, names) =>
            edges.Append($"  {names.Id(from)} -> {names.Id(to)} [label = {Quote(to.IsPort && !from.IsPort || !to.IsPort && !from.IsPort ? edge.Label : "")}{(to.IsPort ? ", arrowhead = none" : "")}];\n"));
        return text.Append(edges).Append("}\n").ToString();
    }

    /// <summary>A Mermaid flowchart, which Markdown viewers draw.</summary>
    public static string Mermaid(Picture picture, string title, int? depth = null)
    {
        var text = new StringBuilder($"---\ntitle: {title}\n---\nflowchart TB\n");
        picture = picture.Fold();
        var open = picture.Opened(depth);
        var edges = new StringBuilder();
        Walk(picture, open.Contains, (node, names, level, _) =>
        {
            var indent = new string(' ', 2 + (2 * level));
            if (node.IsPort)
                text.Append($"{indent}{names.Id(node)}(( ))\n");
            else if (open.Contains(node))
                text.Append($"{indent}subgraph {names.Id(node)}[\"{Plain(Label(node, " "))}\"]\n");
            else
                text.Append($"{indent}{names.Id(node)}{(node.Role is PictureRole.Input or PictureRole.Target or PictureRole.Output ? $"([\"{Plain(Label(node, "<br/>"))}\"])" : $"(\"{Plain(Label(node, "<br/>"))}\")")}\n");
        }, (node, level) => text.Append(' ', 2 + (2 * level)).Append("end\n"), (from, to, edge, names) =>
            edges.Append($"  {names.Id(from)} {(to.IsPort ? "---" : "-->")}{(from.IsPort ? "" : $"|\"{Plain(edge.Label)}\"|")} {names.Id(to)}\n"));
        return text.Append(edges).ToString();
    }

    /// <summary>Names and numbers of boxes, in order.</summary>
    private sealed class Names
    {
        private readonly Dictionary<PictureNode, string> names = [];
        private readonly Dictionary<PictureNode, int> ids = [];
        private readonly Dictionary<string, int> taken = [];
        private readonly HashSet<string> given = [];

        public string Id(PictureNode node)
        {
            if (!ids.TryGetValue(node, out var id))
                ids[node] = id = ids.Count;
            return string.Create(CultureInfo.InvariantCulture, $"n{id}");
        }

        /// <summary>An entry is known by the name of what comes in.</summary>
        public void Alias(PictureNode entry, PictureNode from, PictureNode? exit) => names[entry] = Of(from, exit);

        /// <summary>What leaves a box through one of several exits is known by its name inside.</summary>
        public string Of(PictureNode node, PictureNode? exit = null)
        {
            while (exit is not null && node.Content is { } content && content.Nodes.Count(n => n.Role == PictureRole.Exit) > 1 && content.Edges.FirstOrDefault(e => e.To == exit) is { } inner)
                (node, exit) = (inner.From, inner.Exit);
            if (names.TryGetValue(node, out var name))
                return name;
            name = node.Path.Length > 0 ? node.Path : node.Role is PictureRole.Input or PictureRole.Target or PictureRole.Parameter or PictureRole.Loss or PictureRole.Output or PictureRole.Metric ? node.Title : "";
            if (name.Length == 0 || (!given.Add(name) && node.Role != PictureRole.Parameter))
            {
                var word = node.Operation ?? node.Title.Split(' ')[^1];
                var index = taken.GetValueOrDefault(word);
                taken[word] = index + 1;
                name = $"%{word}{index}";
            }

            return names[node] = name;
        }
    }

    private static void Walk(Picture picture, Func<PictureNode, bool> open, Action<PictureNode, Names, int, Picture> visit, Action<PictureNode, int>? close, Action<PictureNode, PictureNode, PictureEdge, Names>? join = null)
    {
        var names = new Names();
        var pending = new Stack<(PictureNode? Node, Picture Around, int Level, bool IsEnd)>();
        Enter(picture, 0);
        while (pending.TryPop(out var next))
        {
            if (next.IsEnd)
            {
                close?.Invoke(next.Node!, next.Level);
                continue;
            }

            visit(next.Node!, names, next.Level, next.Around);
            if (next.Node!.Content is not { } content || !open(next.Node))
                continue;
            pending.Push((next.Node, next.Around, next.Level, true));
            Enter(content, next.Level + 1);
        }

        void Enter(Picture inside, int level)
        {
            for (var i = inside.Nodes.Count - 1; i >= 0; i--)
                pending.Push((inside.Nodes[i], inside, level, false));
            foreach (var edge in inside.Edges)
            {
                if (edge.Entry is { } way)
                    names.Alias(way, edge.From, edge.Exit);
            }

            foreach (var edge in inside.Edges)
                join?.Invoke(edge.Exit is { } exit && open(edge.From) ? exit : edge.From, edge.Entry is { } entry && open(edge.To) ? entry : edge.To, edge, names);
        }
    }

    private static string Label(PictureNode node, string between) => node.Second.Length == 0 ? node.Heading : node.Heading + between + node.Second;

    private static string Quote(string text) => $"\"{text.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("\n", "\\n")}\"";

    /// <summary>Mermaid has no escapes but entities.</summary>
    private static string Plain(string text) => text.Replace("\"", "#quot;");

    private static string Color(PictureRole role) => role switch
    {
        PictureRole.Layer or PictureRole.Parameter => "#3b82f6",
        PictureRole.Normalization => "#14b8a6",
        PictureRole.Attention => "#8b5cf6",
        PictureRole.Activation => "#f59e0b",
        PictureRole.Output => "#22c55e",
        PictureRole.Loss => "#f43f5e",
        PictureRole.Metric => "#d946ef",
        PictureRole.Gradient => "#f97316",
        _ => "#64748b",
    };
}
