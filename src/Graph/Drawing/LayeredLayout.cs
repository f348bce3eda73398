namespace Dnn.Graph;

/// <summary>A box to be placed.</summary>
/// <param name="Left">Room to the left of the centre.</param>
/// <param name="Right">Room to the right of the centre: more than the box where a text stands beside its edges.</param>
/// <param name="Height">Its height.</param>
/// <param name="Side">−1 for what belongs to the top, where no edge leads to; 1 for the bottom, where none comes from; 0 for anywhere.</param>
internal readonly record struct LayoutBox(double Left, double Right, double Height, int Side = 0);

/// <summary>An edge from the lower side of one box to the upper side of another; the offsets are from the centres.</summary>
/// <param name="HasHead">Whether it ends in an arrow head.</param>
internal readonly record struct LayoutEdge(int From, double FromOffset, int To, double ToOffset, bool HasHead = true);

/// <summary>A piece of an edge, from above to below.</summary>
/// <param name="IsStraight">Whether it runs straight beside a layer, rather than between two.</param>
/// <param name="Head">1 for an arrow head at the lower end, −1 at the upper one (the edge runs against the flow), else 0.</param>
internal readonly record struct LayoutPiece(double X1, double Y1, double X2, double Y2, bool IsStraight, int Head);

/// <summary>
/// Places a graph in layers from top to bottom, as in K. Sugiyama, S. Tagawa, M. Toda, "Methods for visual understanding of hierarchical
/// system structures", 1981: cycles are cut, layers are longest paths, long edges from one place share a line, the order in layers comes from
/// barycentres, and positions are least squares under that order, by pooling adjacent violators (M. Ayer et al., 1955).
/// </summary>
internal sealed class LayeredLayout
{
    private const double Gap = 28, LineGap = 14, LayerGap = 36, EdgeGap = 18;
    private const double Straightness = 6;
    private const int OrderSweeps = 12, MaxSweeps = 400, MinSweeps = 24, SweptNodes = 60_000, MaxLinePoints = 100_000;

    private readonly Node[] boxes;
    private readonly List<Link> links = [];
    private List<Node>[] layers = [];

    private LayeredLayout(IReadOnlyList<LayoutBox> sizes) => boxes = [.. sizes.Select(s => new Node(s, true))];

    /// <summary>A box, or a point where a long edge passes a layer.</summary>
    private sealed class Node(LayoutBox size, bool isBox)
    {
        public LayoutBox Size => size;

        public bool IsBox => isBox;

        public int Layer { get; set; }

        public int Order { get; set; }

        public double X { get; set; }

        public double Key { get; set; }

        public List<Link> Up { get; } = [];

        public List<Link> Down { get; } = [];

        /// <summary>The points of the same line; null for a box.</summary>
        public Line? Line { get; init; }
    }

    /// <summary>A long edge, which wants to be straight.</summary>
    private sealed class Line
    {
        public List<Node> Points { get; } = [];

        public double Middle { get; set; }
    }

    /// <summary>What joins neighbouring layers.</summary>
    private sealed record Link(Node Upper, double UpperOffset, Node Lower, double LowerOffset, int Head);

    /// <summary>An edge along the flow.</summary>
    private readonly record struct Arc(int Upper, double UpperOffset, int Lower, double LowerOffset, bool IsReversed, bool HasHead);

    public double Width { get; private set; }

    public double Height { get; private set; }

    /// <summary>The centre and the upper side of each box.</summary>
    public (double X, double Y)[] Places { get; private set; } = [];

    public IReadOnlyList<LayoutPiece> Pieces { get; private set; } = [];

    public static LayeredLayout Of(IReadOnlyList<LayoutBox> boxes, IReadOnlyList<LayoutEdge> edges)
    {
        var layout = new LayeredLayout(boxes);
        var arcs = layout.Cut(edges);
        layout.Rank(arcs);
        layout.Connect(arcs);
        layout.OrderLayers();
        layout.PlaceLayers();
        layout.Finish();
        return layout;
    }

    // ---- Layers ------------------------------------------------------------------------------------------------------

    /// <summary>The edges along the flow: a search in depth turns round those that close a cycle.</summary>
    private List<Arc> Cut(IReadOnlyList<LayoutEdge> edges)
    {
        var leaving = edges.Where(e => e.From != e.To).ToLookup(e => e.From);
        var arcs = new List<Arc>();
        var state = new byte[boxes.Length];
        var stack = new Stack<(int Node, IEnumerator<LayoutEdge> Edges)>();
        for (var root = 0; root < boxes.Length; root++)
        {
            Enter(root);
            while (stack.TryPeek(out var top))
            {
                if (!top.Edges.MoveNext())
                {
                    state[stack.Pop().Node] = 2;
                    continue;
                }

                var (from, fromOffset, to, toOffset, head) = top.Edges.Current;
                arcs.Add(state[to] == 1 ? new Arc(to, toOffset, from, fromOffset, true, head) : new Arc(from, fromOffset, to, toOffset, false, head));
                Enter(to);
            }
        }

        return arcs;

        void Enter(int node)
        {
            if (state[node] != 0)
                return;
            state[node] = 1;
            stack.Push((node, leaving[node].GetEnumerator()));
        }
    }

    /// <summary>Longest paths from the top; what nothing leads to stands right above its first use.</summary>
    private void Rank(List<Arc> arcs)
    {
        var down = arcs.ToLookup(a => a.Upper);
        var missing = new int[boxes.Length];
        foreach (var arc in arcs)
            missing[arc.Lower]++;
        var isSource = Array.ConvertAll(missing, m => m == 0);
        var hasTop = boxes.Any(b => b.Size.Side < 0);
        var ready = new Queue<int>(Enumerable.Range(0, boxes.Length).Where(i => isSource[i]));
        var sorted = new List<int>();
        foreach (var node in boxes)
            node.Layer = hasTop && node.Size.Side >= 0 ? 1 : 0;
        while (ready.TryDequeue(out var i))
        {
            sorted.Add(i);
            foreach (var arc in down[i])
            {
                boxes[arc.Lower].Layer = Math.Max(boxes[arc.Lower].Layer, boxes[i].Layer + 1);
                if (--missing[arc.Lower] == 0)
                    ready.Enqueue(arc.Lower);
            }
        }

        foreach (var i in sorted)
        {
            if (isSource[i] && boxes[i].Size.Side == 0 && down[i].Any())
                boxes[i].Layer = down[i].Min(a => boxes[a.Lower].Layer) - 1;
        }

        if (boxes.Any(b => b.Size.Side > 0))
        {
            var last = boxes.Where(b => b.Size.Side <= 0).Select(b => b.Layer + 1).Concat(boxes.Select(b => b.Layer)).Max();
            foreach (var node in boxes.Where(b => b.Size.Side > 0))
                node.Layer = last;
        }
    }

    /// <summary>Fills the layers, and leads edges past those between their ends.</summary>
    private void Connect(List<Arc> arcs)
    {
        layers = [.. Enumerable.Range(0, boxes.Select(b => b.Layer + 1).DefaultIfEmpty(0).Max()).Select(_ => new List<Node>())];
        foreach (var node in boxes)
            layers[node.Layer].Add(node);
        var points = new Dictionary<(int Box, double Offset, bool IsReversed, int Layer), Node>();
        var lines = new Dictionary<(int Box, double Offset, bool IsReversed), Line>();
        foreach (var arc in arcs)
        {
            var (at, offset) = (boxes[arc.Upper], arc.UpperOffset);
            var target = boxes[arc.Lower];
            for (var layer = at.Layer + 1; layer < target.Layer && points.Count < MaxLinePoints; layer++)
            {
                var key = (arc.Upper, arc.UpperOffset, arc.IsReversed, layer);
                if (!points.TryGetValue(key, out var point))
                {
                    if (!lines.TryGetValue((arc.Upper, arc.UpperOffset, arc.IsReversed), out var line))
                        lines[(arc.Upper, arc.UpperOffset, arc.IsReversed)] = line = new Line();
                    points[key] = point = new Node(default, false) { Layer = layer, Line = line };
                    line.Points.Add(point);
                    layers[layer].Add(point);
                    Join(new Link(at, offset, point, 0, arc.IsReversed && arc.HasHead && at.IsBox ? -1 : 0));
                }

                (at, offset) = (point, 0);
            }

            Join(new Link(at, offset, target, arc.LowerOffset, !arc.HasHead ? 0 : !arc.IsReversed ? 1 : at.IsBox ? -1 : 0));
        }

        void Join(Link link)
        {
            links.Add(link);
            link.Upper.Down.Add(link);
            link.Lower.Up.Add(link);
        }
    }

    // ---- Order -------------------------------------------------------------------------------------------------------

    private void OrderLayers()
    {
        foreach (var layer in layers)
            Number(layer);
        var (best, fewest) = (Snapshot(), long.MaxValue);
        for (var sweep = 0; sweep < OrderSweeps && fewest > 0; sweep++)
        {
            var isDown = sweep % 2 == 0;
            foreach (var layer in isDown ? layers.Skip(1) : layers.Reverse().Skip(1))
            {
                foreach (var node in layer)
                {
                    var near = isDown ? node.Up : node.Down;
                    node.Key = near.Count == 0 ? node.Order : near.Average(l => isDown ? l.Upper.Order + (Math.Tanh(l.UpperOffset / 500) / 2) : l.Lower.Order + (Math.Tanh(l.LowerOffset / 500) / 2));
                }

                // Enumerable's sort is stable: ties keep their order.
                var sorted = layer.OrderBy(n => n.Key).ToList();
                layer.Clear();
                layer.AddRange(sorted);
                Number(layer);
            }

            var crossings = Crossings();
            if (crossings < fewest)
                (best, fewest) = (Snapshot(), crossings);
        }

        layers = best;
        foreach (var layer in layers)
            Number(layer);
    }

    private static void Number(List<Node> layer)
    {
        for (var i = 0; i < layer.Count; i++)
            layer[i].Order = i;
    }

    private List<Node>[] Snapshot() => [.. layers.Select(l => l.ToList())];

    /// <summary>How often links cross: inversions, counted by a tree of sums (P. Fenwick, 1994).</summary>
    private long Crossings()
    {
        var total = 0L;
        for (var i = 0; i + 1 < layers.Length; i++)
        {
            var sums = new int[layers[i + 1].Count + 1];
            var seen = 0;
            foreach (var link in layers[i].SelectMany(n => n.Down.Where(l => l.Lower.Layer == i + 1).OrderBy(l => l.UpperOffset).ThenBy(l => l.Lower.Order)))
            {
                var before = 0;
                for (var k = link.Lower.Order + 1; k > 0; k -= k & -k)
                    before += sums[k];
                total += seen++ - before;
                for (var k = link.Lower.Order + 1; k < sums.Length; k += k & -k)
                    sums[k]++;
            }
        }

        return total;
    }

    // ---- Positions ---------------------------------------------------------------------------------------------------

    private void PlaceLayers()
    {
        foreach (var layer in layers)
        {
            for (var i = 1; i < layer.Count; i++)
                layer[i].X = layer[i - 1].X + Apart(layer[i - 1], layer[i]);
            var middle = layer.Count == 0 ? 0 : (layer[0].X + layer[^1].X) / 2;
            foreach (var node in layer)
                node.X -= middle;
        }

        // Small pictures settle wholly; the work for large ones stays in proportion to their size.
        var sweeps = Math.Clamp(SweptNodes / Math.Max(1, layers.Sum(l => l.Count)), MinSweeps, MaxSweeps);
        for (var sweep = 0; sweep < sweeps; sweep++)
        {
            foreach (var line in layers.SelectMany(l => l).Select(n => n.Line).OfType<Line>())
                line.Middle = double.NaN;

            // One side after the other, at last both at once.
            var both = sweep >= sweeps / 4;
            var (up, down) = (both || sweep % 2 == 0, both || sweep % 2 == 1);
            foreach (var layer in sweep % 2 == 0 ? layers : layers.Reverse())
                Settle(layer, up, down);
        }
    }

    private static double Apart(Node left, Node right) => left.Size.Right + right.Size.Left + (left.IsBox && right.IsBox ? Gap : LineGap);

    /// <summary>Moves a layer to where its edges want it, as nearly as the order and the gaps allow.</summary>
    private static void Settle(List<Node> layer, bool up, bool down)
    {
        var blocks = new Stack<(double Sum, double Weight, int Count)>();
        var offsets = new double[layer.Count];
        for (var i = 0; i < layer.Count; i++)
        {
            offsets[i] = i == 0 ? 0 : offsets[i - 1] + Apart(layer[i - 1], layer[i]);
            var (sum, weight) = (0.0, 0.0);
            foreach (var link in up ? layer[i].Up : [])
                (sum, weight) = (sum + link.Upper.X + link.UpperOffset - link.LowerOffset, weight + 1);
            foreach (var link in down ? layer[i].Down : [])
                (sum, weight) = (sum + link.Lower.X + link.LowerOffset - link.UpperOffset, weight + 1);
            if (layer[i].Line is { } line)
            {
                if (double.IsNaN(line.Middle))
                    line.Middle = line.Points.Average(p => p.X);
                (sum, weight) = (sum + (Straightness * line.Middle), weight + Straightness);
            }

            if (weight == 0)
                (sum, weight) = (layer[i].X * 0.05, 0.05);
            var block = (Sum: sum - (offsets[i] * weight), Weight: weight, Count: 1);
            while (blocks.TryPeek(out var before) && before.Sum / before.Weight > block.Sum / block.Weight)
            {
                blocks.Pop();
                block = (before.Sum + block.Sum, before.Weight + block.Weight, before.Count + block.Count);
            }

            blocks.Push(block);
        }

        var at = layer.Count;
        while (blocks.TryPop(out var block))
        {
            for (var k = 0; k < block.Count; k++)
            {
                at--;
                layer[at].X = (block.Sum / block.Weight) + offsets[at];
            }
        }
    }

    private void Finish()
    {
        var all = layers.SelectMany(l => l).ToArray();
        var left = all.Select(n => n.X - n.Size.Left).DefaultIfEmpty(0).Min();
        foreach (var node in all)
            node.X -= left;
        Width = all.Select(n => n.X + n.Size.Right).DefaultIfEmpty(0).Max();
        var (tops, bottoms) = (new double[layers.Length], new double[layers.Length]);
        var y = 0.0;
        for (var i = 0; i < layers.Length; i++)
        {
            tops[i] = y;
            bottoms[i] = y += layers[i].Select(n => n.Size.Height).DefaultIfEmpty(0).Max();
            var slant = layers[i].SelectMany(n => n.Down).Select(l => Math.Abs(l.Upper.X + l.UpperOffset - l.Lower.X - l.LowerOffset)).DefaultIfEmpty(0).Max();
            if (i + 1 < layers.Length)
                y += (IsEdge(i, -1) || IsEdge(i + 1, 1) ? EdgeGap : LayerGap) + Math.Min(40, slant * 0.07);
        }

        Height = y;

        // What stands at the edge of the picture needs no room for texts.
        bool IsEdge(int layer, int side) => layers[layer].All(n => !n.IsBox || n.Size.Side == side);
        double Top(Node n) => n.IsBox ? Middle(n) - (n.Size.Height / 2) : tops[n.Layer];
        double Bottom(Node n) => n.IsBox ? Middle(n) + (n.Size.Height / 2) : bottoms[n.Layer];
        double Middle(Node n) => n.Size.Side switch { < 0 => tops[n.Layer] + (n.Size.Height / 2), > 0 => bottoms[n.Layer] - (n.Size.Height / 2), _ => (tops[n.Layer] + bottoms[n.Layer]) / 2 };
        Places = [.. boxes.Select(b => (b.X, Top(b)))];

        var pieces = new List<LayoutPiece>();
        var drawn = new HashSet<LayoutPiece>();
        foreach (var link in links)
        {
            var (x1, x2) = (link.Upper.X + link.UpperOffset, link.Lower.X + link.LowerOffset);
            var (start, end) = (bottoms[link.Upper.Layer], tops[link.Lower.Layer]);
            var (above, below) = (link.Upper.IsBox && Bottom(link.Upper) < start, link.Lower.IsBox && Top(link.Lower) > end);
            if (above)
                Draw(new LayoutPiece(x1, Bottom(link.Upper), x1, start, true, link.Head < 0 ? -1 : 0));
            Draw(new LayoutPiece(x1, start, x2, end, false, link.Head > 0 && !below ? 1 : link.Head < 0 && !above ? -1 : 0));
            if (below)
                Draw(new LayoutPiece(x2, end, x2, Top(link.Lower), true, link.Head > 0 ? 1 : 0));
            if (!link.Upper.IsBox)
                Draw(new LayoutPiece(x1, tops[link.Upper.Layer], x1, start, true, 0));
        }

        Pieces = pieces;

        void Draw(LayoutPiece piece)
        {
            if (drawn.Add(piece))
                pieces.Add(piece);
        }
    }
}
