using System.Globalization;

namespace Dnn.Graph;

/// <summary>What a box of a picture stands for: it is coloured by that.</summary>
public enum PictureRole
{
    Input,
    Target,
    Parameter,

    /// <summary>A layer with parameters, or with layers inside.</summary>
    Layer,
    Normalization,
    Attention,
    Activation,

    /// <summary>Dropout and the like.</summary>
    Regularization,
    Function,
    Operation,
    Output,
    Loss,
    Metric,
    Gradient,

    /// <summary>Where an edge enters or leaves the box around it.</summary>
    Entry,
    Exit,
}

/// <summary>A box, perhaps with a picture inside.</summary>
public sealed class PictureNode
{
    internal PictureNode(PictureRole role, string title, string detail = "", string tooltip = "")
    {
        Role = role;
        Title = title;
        Detail = detail;
        Tooltip = tooltip;
    }

    public PictureRole Role { get; internal set; }

    /// <summary>The kind of layer, the function, the operation or the name.</summary>
    public string Title { get; internal set; }

    /// <summary>The path of a layer, the shape of a variable, the attributes of an operation.</summary>
    public string Detail { get; internal set; }

    /// <summary>What there is to know beyond that: types and place.</summary>
    public string Tooltip { get; internal set; }

    /// <summary>The numbers in the parameters inside.</summary>
    public long Parameters { get; internal set; }

    /// <summary>What is inside; null for what has no inside.</summary>
    public Picture? Content { get; internal set; }

    /// <summary>The name of an operation.</summary>
    internal string? Operation { get; init; }

    /// <summary>The numbers among the arguments of an operation, as text.</summary>
    internal string Constants { get; init; } = "";

    /// <summary>The whole path of a layer.</summary>
    internal string Path { get; init; } = "";

    /// <summary>How many equal layers, one after the other, the box stands for.</summary>
    public int Times { get; internal init; } = 1;

    internal bool IsPort => Role is PictureRole.Entry or PictureRole.Exit;

    /// <summary>The title, with the number of layers that it stands for.</summary>
    internal string Heading => Times == 1 ? Title : $"{Title} × {Times}";

    /// <summary>The path or shape, and the number of parameters.</summary>
    internal string Second
    {
        get
        {
            var count = Parameters == 0 ? "" : Picture.Count(Parameters) + (Detail.Length > 0 ? "" : " parameters");
            return Detail.Length == 0 ? count : count.Length == 0 ? Detail : $"{Detail} · {count}";
        }
    }
}

/// <summary>A value on its way between boxes of one picture. A box that has an inside is left through one of its exits and entered through one of its entries.</summary>
/// <param name="From">Where it comes from.</param>
/// <param name="Exit">The exit inside <paramref name="From"/>; null where that has no inside.</param>
/// <param name="To">Where it goes.</param>
/// <param name="Entry">The entry inside <paramref name="To"/>; null where that has no inside.</param>
/// <param name="Label">Its type.</param>
public sealed record PictureEdge(PictureNode From, PictureNode? Exit, PictureNode To, PictureNode? Entry, string Label);

/// <summary>Boxes and edges of one level, and the levels inside: what <see cref="PictureSvg"/>, <see cref="PictureText"/> and others draw.</summary>
public sealed class Picture
{
    private readonly List<PictureNode> nodes = [];
    private readonly List<PictureEdge> edges = [];
    private readonly HashSet<(PictureNode, PictureNode?, PictureNode, PictureNode?)> known = [];

    public IReadOnlyList<PictureNode> Nodes => nodes;

    public IReadOnlyList<PictureEdge> Edges => edges;

    /// <summary>The picture of a model: outputs and losses, and metrics as one box each, as they are in training.</summary>
    /// <param name="model">The model.</param>
    /// <param name="text">The source text of a place, for the names of losses and metrics.</param>
    public static Picture Of(Model model, Func<SourceLocation, string?>? text = null) => new PictureBuilder(model, text).Forward();

    /// <summary>The picture of training: the losses, and under them the way back to the gradient of each parameter.</summary>
    /// <exception cref="GraphException">The model has no loss, or nothing that trains.</exception>
    public static Picture OfTraining(Model model, Func<SourceLocation, string?>? text = null) => new PictureBuilder(model, text).Training();

    /// <summary>The same picture with every run of equal layers, one after the other, as one box.</summary>
    public Picture Fold() => PictureFolding.Fold(this);

    /// <summary>A count in three digits: <c>535 818</c> is <c>536 K</c>.</summary>
    public static string Count(long count)
    {
        var (value, unit) = count switch { < 10_000 => (count, ""), < 1_000_000 => (count / 1e3, " K"), < 1_000_000_000 => (count / 1e6, " M"), _ => (count / 1e9, " G") };
        return unit.Length == 0 ? count.ToString("#,0", CultureInfo.InvariantCulture) : value.ToString(value < 10 ? "0.00" : value < 100 ? "0.0" : "0", CultureInfo.InvariantCulture) + unit;
    }

    /// <summary>How many boxes are readable: with all that is inside of them, and with the layers open.</summary>
    private const int MaxWhole = 40, MaxBoxes = 72, MaxPorts = 5;

    /// <summary>The boxes that are shown with what is inside.</summary>
    /// <param name="depth">How many levels; null for as many as are readable: all of a small model, else what layers are made of is hidden first, then the deepest levels.</param>
    internal HashSet<PictureNode> Opened(int? depth)
    {
        if (depth is { } given)
            return Inside(given, _ => true);
        var whole = Inside(int.MaxValue, _ => true);
        if (Boxes(whole) <= MaxWhole)
            return whole;
        for (var levels = 8; levels > 0; levels--)
        {
            var layers = Inside(levels, n => n.Content!.Nodes.Any(i => i.Content is not null && i.Role is not (PictureRole.Activation or PictureRole.Function)));
            if (Boxes(layers) <= MaxBoxes && Ports(layers) <= MaxPorts * layers.Count)
                return layers;
        }

        return [];
    }

    private HashSet<PictureNode> Inside(int depth, Func<PictureNode, bool> opens)
    {
        var open = new HashSet<PictureNode>();
        var pending = new Stack<(Picture Picture, int Depth)>([(this, depth)]);
        while (pending.TryPop(out var next))
        {
            foreach (var node in next.Picture.Nodes.Where(n => next.Depth > 0 && n.Content is not null && opens(n)))
            {
                open.Add(node);
                pending.Push((node.Content!, next.Depth - 1));
            }
        }

        return open;
    }

    /// <summary>Where edges cross the borders of open boxes: what many values leave is rather shown closed.</summary>
    private static int Ports(HashSet<PictureNode> open) => open.Sum(n => n.Content!.Nodes.Count(i => i.IsPort));

    private int Boxes(HashSet<PictureNode> open) => open.Select(n => n.Content!).Append(this).Sum(p => p.Nodes.Count(n => !n.IsPort));

    internal PictureNode Add(PictureNode node)
    {
        nodes.Add(node);
        return node;
    }

    /// <summary>Puts boxes before those that use them, and otherwise leaves them in order.</summary>
    internal void Sort()
    {
        var missing = nodes.ToDictionary(n => n, _ => 0);
        foreach (var edge in edges)
            missing[edge.To]++;
        var after = edges.ToLookup(e => e.From, e => e.To);
        var order = nodes.Select((n, i) => (n, i)).ToDictionary(p => p.n, p => p.i);
        var ready = new PriorityQueue<PictureNode, (int, int)>();
        foreach (var node in nodes.Where(n => missing[n] == 0))
            ready.Enqueue(node, Rank(node));
        var sorted = new List<PictureNode>();
        while (ready.TryDequeue(out var node, out _))
        {
            sorted.Add(node);
            foreach (var next in after[node])
            {
                if (--missing[next] == 0)
                    ready.Enqueue(next, Rank(next));
            }
        }

        // What is left stands in a cycle.
        nodes.RemoveAll(n => missing[n] == 0);
        nodes.InsertRange(0, sorted);

        (int, int) Rank(PictureNode node) => (node.Role switch { PictureRole.Input => 0, PictureRole.Target => 1, PictureRole.Metric or PictureRole.Exit => 4, PictureRole.Output or PictureRole.Loss => 3, _ => 2 }, order[node]);
    }

    internal void Connect(PictureNode from, PictureNode? exit, PictureNode to, PictureNode? entry, string label)
    {
        if (known.Add((from, exit, to, entry)))
            edges.Add(new PictureEdge(from, exit, to, entry, label));
    }
}
