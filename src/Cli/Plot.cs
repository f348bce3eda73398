using System.Globalization;
using System.Text;

namespace Dnn.Cli;

/// <summary>A line of a plot.</summary>
internal sealed record PlotLine(string Name, IReadOnlyList<(double X, double Y)> Points);

/// <summary>Writes small plots as SVG, legible on light and dark ground.</summary>
internal static class Plot
{
    private const int Width = 720, Height = 400, Left = 64, Right = 24, Top = 40, Bottom = 48;

    private static readonly string[] Colors = ["#3b82f6", "#f59e0b", "#10b981", "#ef4444", "#8b5cf6"];

    /// <summary>Lines over a common axis. The vertical axis is logarithmic where all values are positive and span more than a factor 50.</summary>
    public static string Svg(string title, string xLabel, string yLabel, IReadOnlyList<PlotLine> lines, bool mayBeLogarithmic = true)
    {
        var points = lines.SelectMany(l => l.Points).Where(p => double.IsFinite(p.X) && double.IsFinite(p.Y)).ToArray();
        var (xLow, xHigh) = Range(points.Select(p => p.X));
        var (yLow, yHigh) = Range(points.Select(p => p.Y));
        var logarithmic = mayBeLogarithmic && points.Length > 0 && points.Min(p => p.Y) is > 0 and var least && points.Max(p => p.Y) / least > 50;
        if (logarithmic)
            (yLow, yHigh) = (Math.Floor(Math.Log10(points.Min(p => p.Y))), Math.Ceiling(Math.Log10(points.Max(p => p.Y))));
        double X(double x) => Left + ((x - xLow) / (xHigh - xLow) * (Width - Left - Right));
        double Y(double y) => Height - Bottom - (((logarithmic ? Math.Log10(y) : y) - yLow) / (yHigh - yLow) * (Height - Top - Bottom));

        var svg = new StringBuilder();
        var c = CultureInfo.InvariantCulture;
        svg.Append(c, $$"""
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{Width}} {{Height}}" font-family="system-ui, sans-serif" font-size="12">
            <style>
              text {fill: #374151} .grid {stroke: #9ca3af; stroke-opacity: 0.35} .ground {fill: #ffffff}
              @media (prefers-color-scheme: dark) { text {fill: #d1d5db} .ground {fill: #111827} }
            </style>
            <rect class="ground" width="{{Width}}" height="{{Height}}"/>
            <text x="{{Left}}" y="24" font-size="15" font-weight="600">{{Escape(title)}}</text>

            """);
        foreach (var tick in Ticks(xLow, xHigh))
        {
            svg.Append(c, $"<line class=\"grid\" x1=\"{X(tick):0.##}\" y1=\"{Top}\" x2=\"{X(tick):0.##}\" y2=\"{Height - Bottom}\"/>");
            svg.Append(c, $"<text x=\"{X(tick):0.##}\" y=\"{Height - Bottom + 18}\" text-anchor=\"middle\">{tick:0.######}</text>\n");
        }

        foreach (var tick in logarithmic ? Enumerable.Range((int)yLow, (int)(yHigh - yLow) + 1).Select(p => Math.Pow(10, p)) : Ticks(yLow, yHigh))
        {
            svg.Append(c, $"<line class=\"grid\" x1=\"{Left}\" y1=\"{Y(tick):0.##}\" x2=\"{Width - Right}\" y2=\"{Y(tick):0.##}\"/>");
            svg.Append(c, $"<text x=\"{Left - 8}\" y=\"{Y(tick) + 4:0.##}\" text-anchor=\"end\">{tick:G4}</text>\n");
        }

        svg.Append(c, $"<text x=\"{(Left + Width - Right) / 2}\" y=\"{Height - 10}\" text-anchor=\"middle\">{Escape(xLabel)}</text>");
        svg.Append(c, $"<text transform=\"translate(16 {(Top + Height - Bottom) / 2}) rotate(-90)\" text-anchor=\"middle\">{Escape(yLabel)}</text>\n");
        for (var i = 0; i < lines.Count; i++)
        {
            foreach (var part in Runs(lines[i].Points))
            {
                var path = string.Join(' ', part.Select(p => string.Create(c, $"{X(p.X):0.##},{Y(p.Y):0.##}")));
                svg.Append(part.Count == 1
                    ? string.Create(c, $"<circle cx=\"{X(part[0].X):0.##}\" cy=\"{Y(part[0].Y):0.##}\" r=\"3\" fill=\"{Color(i)}\"/>\n")
                    : $"<polyline points=\"{path}\" fill=\"none\" stroke=\"{Color(i)}\" stroke-width=\"2\" stroke-linejoin=\"round\"/>\n");
            }
        }

        var legend = Width - Right;
        for (var i = lines.Count - 1; i >= 0; i--)
        {
            legend -= 30 + (7 * lines[i].Name.Length);
            svg.Append(c, $"<rect x=\"{legend}\" y=\"17\" width=\"12\" height=\"4\" rx=\"2\" fill=\"{Color(i)}\"/><text x=\"{legend + 17}\" y=\"23\">{Escape(lines[i].Name)}</text>\n");
        }

        return svg.Append("</svg>\n").ToString();
    }

    private static string Color(int line) => Colors[line % Colors.Length];

    /// <summary>The least and the greatest, a little apart where they are equal.</summary>
    private static (double Low, double High) Range(IEnumerable<double> values)
    {
        var (low, high) = (double.PositiveInfinity, double.NegativeInfinity);
        foreach (var value in values)
            (low, high) = (Math.Min(low, value), Math.Max(high, value));
        if (low > high)
            return (0, 1);
        return low < high ? (low, high) : (low - 0.5, high + 0.5);
    }

    /// <summary>Round numbers within the range: multiples of 1, 2 or 5 times a power of ten.</summary>
    private static IEnumerable<double> Ticks(double low, double high)
    {
        var raw = (high - low) / 6;
        var power = Math.Pow(10, Math.Floor(Math.Log10(raw)));
        var step = power * (raw / power) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 };
        for (var i = Math.Ceiling(low / step); i * step <= high + (step * 1e-9); i++)
            yield return (i * step) + 0.0;
    }

    /// <summary>The stretches of a line between values that cannot be drawn.</summary>
    private static IEnumerable<List<(double X, double Y)>> Runs(IReadOnlyList<(double X, double Y)> points)
    {
        var run = new List<(double, double)>();
        foreach (var point in points)
        {
            if (double.IsFinite(point.Y))
            {
                run.Add(point);
            }
            else if (run.Count > 0)
            {
                yield return run;
                run = [];
            }
        }

        if (run.Count > 0)
            yield return run;
    }

    private static string Escape(string text) => System.Security.SecurityElement.Escape(text);
}
