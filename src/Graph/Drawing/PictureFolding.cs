using System.Globalization;
using System.Text;

namespace Dnn.Graph;

/// <summary>Shows a run of equal layers, one after the other, as one box with their number.</summary>
internal sealed class PictureFolding
{
    private const int LeastRun = 3;

    private readonly Dictionary<string, int> shapes = [];
    private readonly Dictionary<PictureNode, int> shapeOf = [];

    /// <summary>The same picture, on every level with runs in place of their layers.</summary>
    public static Picture Fold(Picture picture)
    {
        var folding = new PictureFolding();
        var order = new List<Picture>();
        var pending = new Stack<Picture>([picture]);
        while (pending.TryPop(out var next))
        {
            order.Add(next);
            foreach (var node in next.Nodes.Where(n => n.Content is not null))
                pending.Push(node.Content!);
        }

        // The inside first: boxes are equal if what is inside is.
        var folded = new Dictionary<Picture, Picture>();
        for (var i = order.Count - 1; i >= 0; i--)
            folded[order[i]] = folding.FoldOne(order[i], folded);
        return folded[picture];
    }

    private Picture FoldOne(Picture picture, Dictionary<Picture, Picture> folded)
    {
        foreach (var node in picture.Nodes)
        {
            if (node.Content is { } content)
                node.Content = folded[content];
            shapeOf[node] = Shape(node);
        }

        var sources = picture.Edges.ToLookup(e => e.To, e => e.From);
        var targets = picture.Edges.ToLookup(e => e.From, e => e.To);
        var merged = new Dictionary<PictureNode, (PictureNode First, PictureNode Last, PictureNode Box)>();
        foreach (var node in picture.Nodes)
        {
            if (merged.ContainsKey(node) || node.Content is null)
                continue;
            var run = Run(node, sources, targets);
            if (run.Count < LeastRun || run.Any(merged.ContainsKey))
                continue;
            var box = new PictureNode(node.Role, node.Title, node.Detail.Length == 0 ? "" : $"{node.Detail} … {run[^1].Detail}", node.Tooltip)
            {
                Content = node.Content,
                Parameters = run.Sum(n => n.Parameters),
                Times = run.Count,
            };
            foreach (var member in run)
                merged[member] = (node, run[^1], box);
        }

        if (merged.Count == 0)
            return picture;
        var result = new Picture();
        foreach (var node in picture.Nodes)
        {
            if (!merged.TryGetValue(node, out var run))
                result.Add(node);
            else if (run.First == node)
                result.Add(run.Box);
        }

        foreach (var edge in picture.Edges)
        {
            var (from, exit, to, entry) = (edge.From, edge.Exit, edge.To, edge.Entry);
            if (merged.TryGetValue(to, out var into))
            {
                if (into.First != to)
                    continue;
                to = into.Box;
            }

            if (merged.TryGetValue(from, out var outOf))
            {
                exit = exit is null ? null : outOf.First.Content!.Nodes[IndexOf(from.Content!, exit)];
                from = outOf.Box;
            }

            result.Connect(from, exit, to, entry, edge.Label);
        }

        return result;
    }

    /// <summary>A node with those after it that are equal, fed by the one before and by what feeds all.</summary>
    private List<PictureNode> Run(PictureNode first, ILookup<PictureNode, PictureNode> sources, ILookup<PictureNode, PictureNode> targets)
    {
        var run = new List<PictureNode> { first };
        HashSet<PictureNode>? common = null;
        while (targets[run[^1]].Distinct().Take(2).ToArray() is [var next] && next != first && shapeOf[next] == shapeOf[first])
        {
            var others = sources[next].Where(s => s != run[^1]).ToHashSet();
            if (common is null ? !others.IsSubsetOf(sources[first]) : !common.SetEquals(others))
                break;
            common = others;
            run.Add(next);
        }

        return run;
    }

    /// <summary>A number for all that is drawn of a box but its path.</summary>
    private int Shape(PictureNode node)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{node.Role}|{node.Title}|{node.Parameters}|{node.Times}");
        if (node.Content is { } content)
        {
            var index = new Dictionary<PictureNode, int>();
            foreach (var inner in content.Nodes)
            {
                index[inner] = index.Count;
                text.Append(CultureInfo.InvariantCulture, $"|{(shapeOf.TryGetValue(inner, out var shape) ? shape : shapeOf[inner] = Shape(inner))}");
            }

            foreach (var edge in content.Edges)
                text.Append(CultureInfo.InvariantCulture, $"|{index[edge.From]}>{index[edge.To]} {edge.Label}");
        }

        if (!shapes.TryGetValue(text.ToString(), out var known))
            shapes[text.ToString()] = known = shapes.Count;
        return known;
    }

    private static int IndexOf(Picture picture, PictureNode node)
    {
        for (var i = 0; i < picture.Nodes.Count; i++)
        {
            if (picture.Nodes[i] == node)
                return i;
        }

        throw new ArgumentException("the node is not in the picture", nameof(node));
    }
}
