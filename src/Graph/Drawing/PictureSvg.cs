using System.Globalization;
using System.Security;
using System.Text;

namespace Dnn.Graph;

/// <summary>
/// Draws pictures as SVG, for light and dark ground. A box that is not shown open is a link: what is inside appears over the others
/// (<c>:target</c> of CSS, no script), with a link back. The text is a function of the picture alone.
/// </summary>
public sealed class PictureSvg
{
    private const double Margin = 28, Pad = 18, Header = 36, Top = 76, RowHeight = 22;
    /// <summary>How small a card may become to fit on the picture.</summary>
    private const double LeastScale = 0.6;

    private const double TitleSize = 13, DetailSize = 11, LabelSize = 10;

    /// <summary>How many boxes open behind a link.</summary>
    private const int MaxCards = 400;

    private readonly StringBuilder svg = new();
    private readonly Dictionary<PictureNode, Level> levels = [];
    private readonly Dictionary<PictureNode, string> cards = [];
    private readonly HashSet<PictureNode> open;
    private readonly string title;
    private readonly string prefix;

    private PictureSvg(Picture picture, string title, int? depth)
    {
        this.title = title;
        prefix = $"d{StableHash.Of64(title) & 0xFFFF:x}";
        open = picture.Opened(depth);
    }

    /// <summary>A picture with the sizes of its boxes and their places.</summary>
    private sealed record Level(Picture Picture, LayeredLayout Layout, (double Width, double Height)[] Sizes, Dictionary<PictureNode, int> Index);

    /// <summary>A picture that appears over the others.</summary>
    private sealed record Card(PictureNode Node, string Id, string Back, Level Level, double Width, double Height, double X, double Y);

    /// <summary>An SVG document.</summary>
    /// <param name="picture">What is drawn.</param>
    /// <param name="title">The heading.</param>
    /// <param name="depth">How many levels are shown open; null for as many as are readable.</param>
    public static string Draw(Picture picture, string title, int? depth = null)
    {
        var folded = picture.Fold();
        return new PictureSvg(folded, title, depth).Document(folded);
    }

    // ---- Kinds of boxes ----------------------------------------------------------------------------------------------

    private static bool IsPill(PictureNode node) => node.Role is PictureRole.Parameter or PictureRole.Gradient;

    /// <summary>Operators are small circles.</summary>
    private static bool IsSign(PictureNode node) => node.Role == PictureRole.Operation && node.Title.Length == 1;

    // ---- Layout ------------------------------------------------------------------------------------------------------

    /// <summary>Lays out a picture after all that is open inside of it.</summary>
    private Level Lay(Picture picture, bool isCard)
    {
        var order = new List<(PictureNode? Node, Picture Picture)>();
        var pending = new Stack<(PictureNode? Node, Picture Picture)>([(null, picture)]);
        while (pending.TryPop(out var next))
        {
            order.Add(next);
            foreach (var node in next.Picture.Nodes.Where(n => !isCard && open.Contains(n)))
                pending.Push((node, node.Content!));
        }

        for (var i = order.Count - 1; i > 0; i--)
            levels[order[i].Node!] = LayOne(order[i].Picture, isCard);
        return LayOne(picture, isCard);
    }

    private Level LayOne(Picture picture, bool isCard)
    {
        var index = new Dictionary<PictureNode, int>();
        foreach (var node in picture.Nodes)
            index[node] = index.Count;
        var sizes = picture.Nodes.Select(n => Size(n, isCard)).ToArray();
        var right = Array.ConvertAll(sizes, s => s.Width / 2);
        foreach (var edge in picture.Edges.Where(e => HasLabel(e.From)))
        {
            var from = index[edge.From];
            right[from] = Math.Max(right[from], Offset(edge.From, edge.Exit, isCard) + Measure(edge.Label, LabelSize) - 10);
        }

        var boxes = picture.Nodes.Select((n, i) => new LayoutBox(sizes[i].Width / 2, right[i], sizes[i].Height, n.Role switch { PictureRole.Entry => -1, PictureRole.Exit => 1, _ => 0 }));
        var edges = picture.Edges.Select(e => new LayoutEdge(index[e.From], Offset(e.From, e.Exit, isCard), index[e.To], Offset(e.To, e.Entry, isCard), !e.To.IsPort && !IsOpen(e.To, isCard)));
        return new Level(picture, LayeredLayout.Of([.. boxes], [.. edges.Distinct()]), sizes, index);
    }

    private bool IsOpen(PictureNode node, bool isCard) => !isCard && open.Contains(node);

    /// <summary>Where an edge meets a box, from its centre: at the exit or entry of what is shown inside.</summary>
    private double Offset(PictureNode node, PictureNode? port, bool isCard)
    {
        if (port is null || !IsOpen(node, isCard))
            return 0;
        var inside = levels[node];
        return inside.Layout.Places[inside.Index[port]].X - (inside.Layout.Width / 2);
    }

    private (double Width, double Height) Size(PictureNode node, bool isCard)
    {
        if (node.IsPort)
            return default;
        if (IsOpen(node, isCard))
            return Frame(node, levels[node]);
        if (IsSign(node))
            return (24, 24);
        if (IsPill(node))
            return (Math.Max(44, Measure(node.Title, DetailSize) + Measure(node.Detail, LabelSize) + 32), 22);
        var second = node.Second;
        var width = Math.Max(Measure(node.Heading, TitleSize) * 1.06, Measure(second, DetailSize)) + (node.Content is null ? 30 : 40);
        return (Math.Max(second.Length == 0 ? 60 : 88, Math.Ceiling(width)), second.Length == 0 ? 28 : 42);
    }

    private static (double Width, double Height) Frame(PictureNode node, Level inside) =>
        (Math.Max(inside.Layout.Width + (2 * Pad), Measure(node.Heading, TitleSize) + Measure(node.Second, DetailSize) + 48), inside.Layout.Height + Header + Pad);

    /// <summary>The width of a text in a usual sans-serif.</summary>
    private static double Measure(string text, double size)
    {
        var em = 0.0;
        foreach (var c in text)
        {
            em += c switch
            {
                'i' or 'l' or 'j' or '.' or ',' or ':' or '\'' or '|' or '!' => 0.28,
                'f' or 't' or 'r' or '[' or ']' or '(' or ')' or ' ' or '-' or '·' => 0.36,
                'm' or 'w' or 'M' or 'W' or '→' => 0.87,
                >= 'A' and <= 'Z' => 0.68,
                _ => 0.58,
            };
        }

        return em * size;
    }

    // ---- Document ----------------------------------------------------------------------------------------------------

    private string Document(Picture picture)
    {
        var main = Lay(picture, isCard: false);
        var roles = new SortedSet<PictureRole>();
        Number(picture, roles);
        var rows = LegendRows(roles, Math.Max(main.Layout.Width, 480));
        var width = new[] { main.Layout.Width, rows.Max(r => r.Sum(LegendWidth)), Measure(title, 19), 300 }.Max() + (2 * Margin);
        var height = Top + main.Layout.Height + Margin + (rows.Count * RowHeight) + 14;
        var shown = Cards(picture, main, (width - main.Layout.Width) / 2);
        width = Math.Ceiling(shown.Select(c => (c.Width * LeastScale) + (2 * Margin)).Append(width).Max());
        height = Math.Ceiling(shown.Select(c => (c.Height * LeastScale) + (2 * Margin)).Append(height).Max());

        Write($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"Inter, system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif\">\n");
        Write($"<title>{Escape(title)}</title>\n<style>\n{Style}</style>\n<rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\n");
        var total = picture.Nodes.Sum(n => n.Parameters);
        Write($"<text class=\"title\" x=\"{Margin}\" y=\"38\">{Escape(title)}</text>\n<text class=\"detail\" x=\"{Margin}\" y=\"57\">{(total == 0 ? "" : total.ToString("#,0", CultureInfo.InvariantCulture) + " parameters")}{(cards.Count == 0 ? "" : total == 0 ? "boxes with dots open" : " · boxes with dots open")}</text>\n");
        Draw(main, (width - main.Layout.Width) / 2, Top, isCard: false);
        var y = height - ((rows.Count - 1) * RowHeight) - 16;
        foreach (var row in rows)
        {
            var x = Margin;
            foreach (var role in row)
            {
                Write($"<rect class=\"box {Class(role)}\" x=\"{x:0.#}\" y=\"{y - 10:0.#}\" width=\"16\" height=\"12\" rx=\"4\"/><text class=\"detail\" x=\"{x + 22:0.#}\" y=\"{y:0.#}\">{Name(role)}</text>\n");
                x += LegendWidth(role);
            }

            y += RowHeight;
        }

        foreach (var card in shown)
            Draw(card, width, height);
        return svg.Append("</svg>\n").ToString();
    }

    /// <summary>Gives what is not open a card, and collects what the legend explains.</summary>
    private void Number(Picture picture, SortedSet<PictureRole> roles)
    {
        var pending = new Queue<(Picture Picture, bool IsShown)>([(picture, true)]);
        while (pending.TryDequeue(out var next))
        {
            foreach (var node in next.Picture.Nodes)
            {
                if (next.IsShown && !node.IsPort)
                    roles.Add(node.Role);
                if (node.Content is null)
                    continue;
                if (!open.Contains(node) && cards.Count < MaxCards)
                    cards[node] = $"{prefix}-{cards.Count + 1}";
                pending.Enqueue((node.Content, next.IsShown && open.Contains(node)));
            }
        }
    }

    /// <summary>Lays out the cards: each near its box, or where the card with its box is.</summary>
    private List<Card> Cards(Picture picture, Level main, double left)
    {
        var shown = new List<Card>();
        var pending = new Queue<(Picture Picture, Level? Level, double X, double Y, string Back)>([(picture, main, left, Top, "")]);
        while (pending.TryDequeue(out var next))
        {
            foreach (var node in next.Picture.Nodes.Where(n => n.Content is not null))
            {
                var (x, y) = next.Level is { } level ? (next.X + level.Layout.Places[level.Index[node]].X, next.Y + level.Layout.Places[level.Index[node]].Y) : (next.X, next.Y);
                if (next.Level is not null && open.Contains(node))
                {
                    pending.Enqueue((node.Content!, levels[node], x - (levels[node].Layout.Width / 2), y + Header, next.Back));
                }
                else if (cards.TryGetValue(node, out var id))
                {
                    var inside = LayOne(node.Content!, isCard: true);
                    var (width, height) = Frame(node, inside);
                    shown.Add(new Card(node, id, next.Back, inside, width + 40, height + 12, x, y));
                    pending.Enqueue((node.Content!, null, x, y, id));
                }
            }
        }

        return shown;
    }

    // ---- Drawing -----------------------------------------------------------------------------------------------------

    private void Draw(Card card, double width, double height)
    {
        var scale = Math.Min(1, Math.Min((width - (2 * Margin)) / card.Width, (height - (2 * Margin)) / card.Height));
        var left = Math.Clamp(card.X - (scale * card.Width / 2), Margin, Math.Max(Margin, width - (scale * card.Width) - Margin));
        var top = Math.Clamp(card.Y - 12, Margin, Math.Max(Margin, height - (scale * card.Height) - Margin));
        const double x = 0, y = 0;
        Write($"<g class=\"card\" id=\"{card.Id}\"><a href=\"#{card.Back}\"><rect class=\"veil\" width=\"{width}\" height=\"{height}\"/></a>\n<g transform=\"translate({left:0.#} {top:0.#}) scale({scale:0.###})\">\n");
        Write($"<rect class=\"sheet\" x=\"{x:0.#}\" y=\"{y:0.#}\" width=\"{card.Width:0.#}\" height=\"{card.Height:0.#}\" rx=\"14\"/><rect class=\"frame {Class(card.Node.Role)}\" x=\"{x:0.#}\" y=\"{y:0.#}\" width=\"{card.Width:0.#}\" height=\"{card.Height:0.#}\" rx=\"14\"/>\n");
        Heading(card.Node, x, y);
        Write($"<a href=\"#{card.Back}\"><text class=\"close\" x=\"{x + card.Width - 18:0.#}\" y=\"{y + 22:0.#}\" text-anchor=\"middle\">×</text></a>\n");
        Draw(card.Level, x + ((card.Width - card.Level.Layout.Width) / 2), y + Header, isCard: true);
        Write($"</g></g>\n");
    }

    /// <summary>Draws a level, and those open inside of it after it.</summary>
    private void Draw(Level whole, double left, double top, bool isCard)
    {
        var pending = new Queue<(Level Level, double X, double Y)>([(whole, left, top)]);
        while (pending.TryDequeue(out var next))
        {
            var (level, x, y) = next;
            var (places, nodes) = (level.Layout.Places, level.Picture.Nodes);
            var isInside = level != whole || isCard;
            for (var i = 0; i < nodes.Count; i++)
            {
                if (IsOpen(nodes[i], isCard))
                    Open(nodes[i], x + places[i].X, y + places[i].Y, level.Sizes[i]);
            }

            Edges(level, x, y, isInside);
            for (var i = 0; i < nodes.Count; i++)
            {
                if (IsOpen(nodes[i], isCard))
                    pending.Enqueue((levels[nodes[i]], x + places[i].X - (levels[nodes[i]].Layout.Width / 2), y + places[i].Y + Header));
                else if (!nodes[i].IsPort)
                    Node(nodes[i], x + places[i].X, y + places[i].Y, level.Sizes[i]);
            }

            Labels(level, x, y, isCard, level != whole);
        }
    }

    private void Open(PictureNode node, double x, double y, (double Width, double Height) size)
    {
        for (var i = node.Times == 1 ? 0 : 2; i > 0; i--)
            Write($"<rect class=\"frame {Class(node.Role)}\" x=\"{x - (size.Width / 2) + (4 * i):0.#}\" y=\"{y - (4 * i):0.#}\" width=\"{size.Width:0.#}\" height=\"{size.Height:0.#}\" rx=\"14\"/>");
        Write($"<g><title>{Escape(node.Tooltip)}</title><rect class=\"frame {Class(node.Role)}\" x=\"{x - (size.Width / 2):0.#}\" y=\"{y:0.#}\" width=\"{size.Width:0.#}\" height=\"{size.Height:0.#}\" rx=\"14\"/></g>\n");
        Heading(node, x - (size.Width / 2), y);
    }

    private void Heading(PictureNode node, double x, double y) =>
        Write($"<text class=\"name halo\" x=\"{x + 14:0.#}\" y=\"{y + 21:0.#}\">{Escape(node.Heading)}<tspan class=\"detail\" dx=\"7\">{Escape(node.Second)}</tspan></text>\n");

    private void Edges(Level level, double x, double y, bool isInside)
    {
        var (lines, heads) = (new StringBuilder(), new StringBuilder());
        var c = CultureInfo.InvariantCulture;
        foreach (var piece in level.Layout.Pieces)
        {
            var (x1, y1, x2, y2) = (x + piece.X1, y + piece.Y1, x + piece.X2, y + piece.Y2);
            var (from, to) = (y1 + (piece.Head < 0 ? 5 : 0), y2 - (piece.Head > 0 ? 5 : 0));
            if (piece.IsStraight || Math.Abs(x1 - x2) < 0.5)
                lines.Append(c, $"M{x1:0.#} {from:0.#}L{x2:0.#} {to:0.#}");
            else
                lines.Append(c, $"M{x1:0.#} {from:0.#}C{x1:0.#} {(y1 + y2) / 2:0.#} {x2:0.#} {(y1 + y2) / 2:0.#} {x2:0.#} {to:0.#}");
            if (piece.Head > 0)
                heads.Append(c, $"M{x2 - 3.6:0.#} {y2 - 7:0.#}L{x2:0.#} {y2 - 0.5:0.#}L{x2 + 3.6:0.#} {y2 - 7:0.#}z");
            else if (piece.Head < 0)
                heads.Append(c, $"M{x1 - 3.6:0.#} {y1 + 7:0.#}L{x1:0.#} {y1 + 0.5:0.#}L{x1 + 3.6:0.#} {y1 + 7:0.#}z");
        }

        // From the border of the box around it to the entries, and from the exits on.
        for (var i = 0; isInside && i < level.Picture.Nodes.Count; i++)
        {
            var (at, role) = (level.Layout.Places[i], level.Picture.Nodes[i].Role);
            if (role == PictureRole.Entry)
                lines.Append(c, $"M{x + at.X:0.#} {y - Header:0.#}V{y + at.Y:0.#}");
            else if (role == PictureRole.Exit)
                lines.Append(c, $"M{x + at.X:0.#} {y + at.Y:0.#}V{y + level.Layout.Height + Pad:0.#}");
        }

        if (lines.Length > 0)
            Write($"<path class=\"edge\" d=\"{lines}\"/>");
        if (heads.Length > 0)
            Write($"<path class=\"head\" d=\"{heads}\"/>\n");
    }

    /// <summary>Inputs and parameters say their shape themselves.</summary>
    private static bool HasLabel(PictureNode from) => !from.IsPort && !IsPill(from) && from.Role is not (PictureRole.Input or PictureRole.Target);

    /// <param name="isFramed">Whether what leaves the level has its label outside.</param>
    private void Labels(Level level, double x, double y, bool isCard, bool isFramed)
    {
        foreach (var edges in level.Picture.Edges.Where(e => HasLabel(e.From)).GroupBy(e => (e.From, Offset(e.From, e.Exit, isCard))))
        {
            var (from, offset) = edges.Key;
            if (isFramed && edges.All(e => e.To.IsPort))
                continue;
            var i = level.Index[from];
            var (at, size) = (level.Layout.Places[i], level.Sizes[i]);

            // On the side to which fewer edges turn.
            var turn = edges.Sum(e => Math.Sign(Math.Round(level.Layout.Places[level.Index[e.To]].X + Offset(e.To, e.Entry, isCard) - at.X - offset)));
            Write($"<text class=\"label\" x=\"{x + at.X + offset + (turn > 0 ? -6 : 6):0.#}\" y=\"{y + at.Y + size.Height + 14:0.#}\"{(turn > 0 ? " text-anchor=\"end\"" : "")}>{Escape(edges.First().Label)}</text>\n");
        }
    }

    private void Node(PictureNode node, double x, double y, (double Width, double Height) size)
    {
        var (left, middle) = (x - (size.Width / 2), y + (size.Height / 2));
        var link = cards.TryGetValue(node, out var card);
        Write($"<g class=\"node\">{(link ? $"<a href=\"#{card}\">" : "")}<title>{Escape(node.Tooltip)}</title>");
        if (IsSign(node))
        {
            Write($"<circle class=\"box {Class(node.Role)}\" cx=\"{x:0.#}\" cy=\"{middle:0.#}\" r=\"11.5\"/><text class=\"sign\" x=\"{x:0.#}\" y=\"{middle + 5:0.#}\" text-anchor=\"middle\">{Escape(node.Title)}</text>");
        }
        else if (IsPill(node))
        {
            Box(11);
            Write($"<text class=\"pill\" x=\"{x:0.#}\" y=\"{middle + 4:0.#}\" text-anchor=\"middle\">{Escape(node.Title)}<tspan class=\"label\" dx=\"6\">{Escape(node.Detail)}</tspan></text>");
        }
        else
        {
            var second = node.Second;
            for (var i = node.Times == 1 ? 0 : 2; i > 0; i--)
                Write($"<rect class=\"box stack {Class(node.Role)}\" x=\"{left + (3.5 * i):0.#}\" y=\"{y - (3.5 * i):0.#}\" width=\"{size.Width:0.#}\" height=\"{size.Height:0.#}\" rx=\"10\"/>");
            Box(node.Role is PictureRole.Input or PictureRole.Target or PictureRole.Output ? size.Height / 2 : node.Role is PictureRole.Operation or PictureRole.Function ? 7 : 10);
            Write($"<text class=\"name\" x=\"{x:0.#}\" y=\"{middle + (second.Length == 0 ? 4.5 : -2.5):0.#}\" text-anchor=\"middle\">{Escape(node.Heading)}</text>");
            if (second.Length > 0)
                Write($"<text class=\"detail\" x=\"{x:0.#}\" y=\"{middle + 13:0.#}\" text-anchor=\"middle\">{Escape(second)}</text>");
            if (link)
            {
                for (var i = 0; i < 3; i++)
                    Write($"<circle class=\"dot\" cx=\"{left + size.Width - 8:0.#}\" cy=\"{middle - 4 + (4 * i):0.#}\" r=\"1.2\"/>");
            }
        }

        Write($"{(link ? "</a>" : "")}</g>\n");

        void Box(double radius) =>
            Write($"<rect class=\"box {Class(node.Role)}\" x=\"{left:0.#}\" y=\"{y:0.#}\" width=\"{size.Width:0.#}\" height=\"{size.Height:0.#}\" rx=\"{radius:0.#}\"/>");
    }

    // ---- Legend and style --------------------------------------------------------------------------------------------

    private static List<List<PictureRole>> LegendRows(IEnumerable<PictureRole> roles, double width)
    {
        var rows = new List<List<PictureRole>> { new() };
        foreach (var role in roles.Where(r => r != PictureRole.Operation))
        {
            if (rows[^1].Sum(LegendWidth) + LegendWidth(role) > width && rows[^1].Count > 0)
                rows.Add([]);
            rows[^1].Add(role);
        }

        return rows;
    }

    private static double LegendWidth(PictureRole role) => Measure(Name(role), DetailSize) + 42;

    private static string Class(PictureRole role) => role.ToString().ToLowerInvariant();

    private static string Name(PictureRole role) => role == PictureRole.Attention ? "attention, recurrence" : Class(role);

    private const string Style = """
        .ground{fill:#fff}
        .title{font-size:19px;font-weight:650;fill:#0f172a}
        .name{font-size:13px;font-weight:600;fill:#0f172a}
        .sign{font-size:15px;font-weight:500;fill:#334155}
        .pill{font-size:11px;fill:#0f172a}
        .detail{font-size:11px;font-weight:400;fill:#64748b}
        .label{font-size:10px;fill:#64748b;paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}
        .pill .label{stroke:none}
        .halo{paint-order:stroke;stroke:#fff;stroke-opacity:.8;stroke-width:4px;stroke-linejoin:round}
        .halo .detail{stroke:none}
        .close{font-size:18px;fill:#64748b}
        .edge{fill:none;stroke:#94a3b8;stroke-width:1.4}
        .head{fill:#94a3b8}
        .dot{fill:#64748b}
        .box{fill-opacity:.15;stroke-width:1.4}
        .stack{fill-opacity:.08}
        .frame{fill-opacity:.045;stroke-width:1.2;stroke-opacity:.55}
        .layer{fill:#3b82f6;stroke:#3b82f6}
        .normalization{fill:#14b8a6;stroke:#14b8a6}
        .attention{fill:#8b5cf6;stroke:#8b5cf6}
        .activation{fill:#f59e0b;stroke:#f59e0b}
        .regularization{fill:#94a3b8;stroke:#94a3b8;stroke-dasharray:4 3}
        .function{fill:#0ea5e9;fill-opacity:.08;stroke:#7dd3fc}
        .frame.function{fill-opacity:.045}
        .operation{fill:#94a3b8;fill-opacity:.1;stroke:#94a3b8}
        .input,.target{fill:#64748b;stroke:#64748b}
        .target{stroke-dasharray:4 3}
        .parameter{fill:#3b82f6;fill-opacity:.05;stroke:#93c5fd}
        .output{fill:#22c55e;stroke:#22c55e}
        .loss{fill:#f43f5e;stroke:#f43f5e}
        .metric{fill:#d946ef;stroke:#d946ef}
        .gradient{fill:#f97316;fill-opacity:.1;stroke:#fb923c}
        .node a:hover .box{fill-opacity:.32}
        .card{display:none}
        .card:target{display:inline}
        .veil{fill:#0f172a;fill-opacity:.35}
        .sheet{fill:#fff}
        @media (prefers-color-scheme:dark){
        .ground,.sheet{fill:#0f172a}
        .title,.name,.pill{fill:#f1f5f9}
        .sign{fill:#cbd5e1}
        .detail,.close{fill:#94a3b8}
        .label{fill:#94a3b8;stroke:#0f172a}
        .halo{stroke:#0f172a}
        .edge{stroke:#64748b}
        .head{fill:#64748b}
        .veil{fill:#000;fill-opacity:.6}
        .box{fill-opacity:.22}
        }

        """;

    private static string Escape(string text) => SecurityElement.Escape(text);

    private void Write(FormattableString text) => svg.Append(text.ToString(CultureInfo.InvariantCulture));
}
