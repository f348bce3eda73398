using FsCheck.Xunit;
using Xunit;

namespace Dnn.Graph.Tests;

/// <summary>Any graph can be laid out, cycles included: nothing overlaps, and every edge runs down from box to box.</summary>
public class LayoutProperties
{
    [Property(MaxTest = 200)]
    public void Boxes_keep_apart_and_edges_run_down(byte[] widths, (byte, byte)[] pairs)
    {
        var boxes = widths.Select((w, i) => new LayoutBox(w / 2.0, w / 2.0, 10 + (w % 30), i == 0 ? -1 : i == widths.Length - 1 && i > 2 ? 1 : 0)).ToArray();
        LayoutEdge[] edges = boxes.Length == 0 ? [] : [.. pairs.Select(p => new LayoutEdge(p.Item1 % boxes.Length, p.Item2 % 3, p.Item2 % boxes.Length, 0)).Where(e => boxes[e.To].Side >= 0 && boxes[e.From].Side <= 0).Distinct()];
        var layout = LayeredLayout.Of(boxes, edges);

        Assert.Equal(boxes.Length, layout.Places.Length);
        for (var i = 0; i < boxes.Length; i++)
        {
            var (x, y) = layout.Places[i];
            Assert.InRange(x - boxes[i].Left, -1e-6, layout.Width);
            Assert.InRange(x + boxes[i].Right, 0, layout.Width + 1e-6);
            Assert.InRange(y, -1e-6, layout.Height);
            Assert.InRange(y + boxes[i].Height, 0, layout.Height + 1e-6);
            for (var j = 0; j < i; j++)
            {
                var (u, v) = layout.Places[j];
                Assert.True(
                    x - boxes[i].Left > u + boxes[j].Right - 1e-6 || u - boxes[j].Left > x + boxes[i].Right - 1e-6 || y > v + boxes[j].Height - 1e-6 || v > y + boxes[i].Height - 1e-6,
                    $"boxes {j} and {i} overlap");
            }
        }

        Assert.All(layout.Pieces, p => Assert.True(p.Y2 >= p.Y1 - 1e-6 && (!p.IsStraight || p.X1 == p.X2)));

        foreach (var edge in edges.Where(e => e.From != e.To))
        {
            var ((fromX, fromY), (toX, toY)) = (layout.Places[edge.From], layout.Places[edge.To]);
            Assert.Contains(layout.Pieces, p => (p.Head > 0 && Near(p.X2, toX + edge.ToOffset) && Near(p.Y2, toY)) || (p.Head < 0 && Near(p.X1, toX + edge.ToOffset) && Near(p.Y1, toY + boxes[edge.To].Height)));
            Assert.Contains(layout.Pieces, p => (Near(p.X1, fromX + edge.FromOffset) && Near(p.Y1, fromY + boxes[edge.From].Height)) || (Near(p.X2, fromX + edge.FromOffset) && Near(p.Y2, fromY)));
        }

        Assert.Equal(layout.Pieces, LayeredLayout.Of(boxes, edges).Pieces);
    }

    private static bool Near(double a, double b) => Math.Abs(a - b) < 1e-6;

    [Fact]
    public void A_chain_is_a_straight_line()
    {
        var boxes = Enumerable.Range(0, 30).Select(i => new LayoutBox(20 + i, 20 + (3 * i), 20)).ToArray();
        var layout = LayeredLayout.Of(boxes, [.. Enumerable.Range(0, 29).Select(i => new LayoutEdge(i, 0, i + 1, 0))]);
        Assert.All(layout.Places, p => Assert.Equal(layout.Places[0].X, p.X, 1e-3));
    }

    [Fact]
    public void Ten_thousand_boxes_are_laid_out()
    {
        var boxes = Enumerable.Repeat(new LayoutBox(20, 20, 20), 10_000).ToArray();
        var layout = LayeredLayout.Of(boxes, [.. Enumerable.Range(1, 9_999).SelectMany(i => new[] { new LayoutEdge(i - 1, 0, i, 0), new LayoutEdge(i / 2, 0, i, 5) })]);
        Assert.Equal(10_000, layout.Places.Length);
    }
}
