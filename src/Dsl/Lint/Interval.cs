using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>What values an expression can have.</summary>
/// <param name="Low">No value is below.</param>
/// <param name="High">No value is above.</param>
/// <param name="NonZero">Whether 0 is not among them.</param>
internal readonly record struct Interval(double Low, double High, bool NonZero = false)
{
    public static Interval All { get; } = new(double.NegativeInfinity, double.PositiveInfinity);

    public static Interval Of(double value) => new(value, value, value != 0);

    public bool HasZero => Low <= 0 && High >= 0 && !NonZero;

    public override string ToString() =>
        $"{(Low == double.NegativeInfinity ? "(−∞" : Low == 0 && NonZero ? "(0" : $"[{Printer.Number(Low)}")}, {(High == double.PositiveInfinity ? "∞)" : High == 0 && NonZero ? "0)" : $"{Printer.Number(High)}]")}";

    public static Interval Union(Interval a, Interval b) => new(Math.Min(a.Low, b.Low), Math.Max(a.High, b.High), !a.HasZero && !b.HasZero);

    public static Interval operator +(Interval a, Interval b)
    {
        var (low, high) = (a.Low + b.Low, a.High + b.High);
        return new(double.IsNaN(low) ? double.NegativeInfinity : low, double.IsNaN(high) ? double.PositiveInfinity : high, low > 0 || high < 0 || (low == 0 && (!a.HasZero || !b.HasZero)) || (high == 0 && (!a.HasZero || !b.HasZero)));
    }

    public static Interval operator -(Interval a) => new(-a.High, -a.Low, a.NonZero);

    public static Interval operator *(Interval a, Interval b)
    {
        double[] ends = [Times(a.Low, b.Low), Times(a.Low, b.High), Times(a.High, b.Low), Times(a.High, b.High)];
        return new(ends.Min(), ends.Max(), !a.HasZero && !b.HasZero);

        static double Times(double x, double y) => x == 0 || y == 0 ? 0 : x * y;
    }

    public Interval Square => new(HasZero || (Low < 0 && High > 0) ? 0 : Math.Min(Low * Low, High * High), Math.Max(Low * Low, High * High), !HasZero);

    public Interval Inverse => HasZero || (Low < 0 && High > 0) ? All with { NonZero = true }
        : Low >= 0 ? new(1 / High, Low == 0 ? double.PositiveInfinity : 1 / Low, true)
        : new(High == 0 ? double.NegativeInfinity : 1 / High, 1 / Low, true);

    /// <summary>What is left of it where a comparison with a number holds.</summary>
    public Interval Where(Comparison kind, double number) => kind switch
    {
        Comparison.Gt => this with { Low = Math.Max(Low, number), NonZero = NonZero || number >= 0 },
        Comparison.Ge => this with { Low = Math.Max(Low, number), NonZero = NonZero || number > 0 },
        Comparison.Lt => this with { High = Math.Min(High, number), NonZero = NonZero || number <= 0 },
        Comparison.Le => this with { High = Math.Min(High, number), NonZero = NonZero || number < 0 },
        Comparison.Eq => Of(number),
        _ => this with { NonZero = NonZero || number == 0 },
    };

    /// <summary>The comparison that holds where another does not.</summary>
    public static Comparison Opposite(Comparison kind) => kind switch
    {
        Comparison.Gt => Comparison.Le,
        Comparison.Ge => Comparison.Lt,
        Comparison.Lt => Comparison.Ge,
        Comparison.Le => Comparison.Gt,
        Comparison.Eq => Comparison.Ne,
        _ => Comparison.Eq,
    };

    /// <summary>The comparison with its sides exchanged.</summary>
    public static Comparison Mirrored(Comparison kind) => kind switch
    {
        Comparison.Gt => Comparison.Lt,
        Comparison.Ge => Comparison.Le,
        Comparison.Lt => Comparison.Gt,
        Comparison.Le => Comparison.Ge,
        _ => kind,
    };
}

/// <summary>The intervals of all nodes of a graph, arguments first (Moore 1966). What is fed and what is learned can be anything.</summary>
internal sealed class Intervals
{
    private readonly Dictionary<Expr, Interval> values = [];

    public Intervals(IEnumerable<Expr> order, IReadOnlyDictionary<Expr, Interval> known)
    {
        foreach (var node in order)
            values[node] = known.TryGetValue(node, out var given) ? given : Of(node);
    }

    public Interval this[Expr node] => values[node];

    private Interval Of(Expr node)
    {
        Interval Arg(int i) => values[node.Args[i]];
        switch (node.Op)
        {
            case Literal literal:
                return Interval.Of(literal.Number);
            case Table { Values.Count: > 0 } table:
                return new(table.Values.Min(), table.Values.Max(), table.Values.All(v => v != 0));
            case Iota:
                return new(0, double.PositiveInfinity);
            case DimensionSize:
                return new(1, double.PositiveInfinity, true);
            case Neg:
                return -Arg(0);
            case Add:
                return Difference(node) ?? Arg(0) + Arg(1);
            case Mul:
                return node.Args[0] == node.Args[1] ? Arg(0).Square : Arg(0) * Arg(1);
            case Div:
                return Arg(0) * Arg(1).Inverse;
            case Exp:
                // e^−104 is 0 in f32.
                return new(Arg(0).Low > -87 ? Math.Exp(Arg(0).Low) : 0, Math.Exp(Arg(0).High), Arg(0).Low > -87);
            case Log:
                return Arg(0).Low > 0 ? new(Math.Log(Arg(0).Low), Math.Log(Arg(0).High), Arg(0).Low > 1) : new(double.NegativeInfinity, Math.Log(Math.Max(0, Arg(0).High)));
            case Log1p:
                return new(Arg(0).Low > -1 ? Math.Log(1 + Arg(0).Low) : double.NegativeInfinity, Math.Log(1 + Math.Max(-1, Arg(0).High)), !Arg(0).HasZero && Arg(0).Low >= 0);
            case Expm1:
                return new(Math.Exp(Arg(0).Low) - 1, Math.Exp(Arg(0).High) - 1, !Arg(0).HasZero);
            case Tanh or Erf or Sin or Cos or Sign:
                return new(node.Op is not (Sin or Cos) && Arg(0).Low >= 0 ? 0 : -1, node.Op is not (Sin or Cos) && Arg(0).High <= 0 ? 0 : 1, node.Op is not (Sin or Cos) && !Arg(0).HasZero);
            case Logistic:
                // σ(x) is 0 in f32 below −104 and 1 above 17.
                return new(Arg(0).Low > -87 ? 1 / (1 + Math.Exp(-Arg(0).Low)) : 0, Arg(0).High < 17 ? 1 / (1 + Math.Exp(-Arg(0).High)) : 1, Arg(0).Low > -87);
            case Sqrt:
                return new(Math.Sqrt(Math.Max(0, Arg(0).Low)), Math.Sqrt(Math.Max(0, Arg(0).High)), !Arg(0).HasZero);
            case Rsqrt:
                return new(0, double.PositiveInfinity, true);
            case Abs:
                return Arg(0).Low >= 0 ? Arg(0) : new(Arg(0).High < 0 ? -Arg(0).High : 0, Math.Max(-Arg(0).Low, Arg(0).High), !Arg(0).HasZero);
            case Relu:
                return new(Math.Max(0, Arg(0).Low), Math.Max(0, Arg(0).High), Arg(0).Low > 0);
            case Max:
                return new(Math.Max(Arg(0).Low, Arg(1).Low), Math.Max(Arg(0).High, Arg(1).High), Arg(0).Low > 0 || Arg(1).Low > 0 || (!Arg(0).HasZero && !Arg(1).HasZero));
            case Min:
                return new(Math.Min(Arg(0).Low, Arg(1).Low), Math.Min(Arg(0).High, Arg(1).High), !Arg(0).HasZero && !Arg(1).HasZero);
            case Floor or Round:
                return new(Math.Floor(Arg(0).Low), Math.Ceiling(Arg(0).High), Arg(0).Low >= 1);
            case Pow when node.Args[1].IsSplat(out var p) && p > 0:
                return Arg(0) is { Low: >= 0 } x ? new(Math.Pow(x.Low, p), Math.Pow(x.High, p), !x.HasZero)
                    : p % 2 == 0 ? Arg(0).Square with { High = Math.Pow(Math.Max(-Arg(0).Low, Arg(0).High), p) }
                    : Interval.All;
            case Pow:
                return Arg(0).Low >= 0 ? new(0, double.PositiveInfinity, !Arg(0).HasZero) : Interval.All;
            case Compare or Logic:
                return new(0, 1);
            case Select:
                return Chosen(node);
            case Cast or Identity or Phase or Movement and not Graph.Pad:
                return node.Op is Cast && node.DType == DType.Bool ? new(0, 1) : Arg(0);
            case Pad:
                return Interval.Union(Arg(0), Interval.Of(0));
            case Concat:
                return node.Args.Select(a => values[a]).Aggregate(Interval.Union);
            case Gather:
                return Arg(0);
            case Sum:
                return Summed(node);
            case ReduceMax or ReduceMin:
                return Arg(0);
            case RngBits:
                return new(0, (1 << 24) - 1);
            case ArgMax:
                return new(0, double.PositiveInfinity);
            default:
                return Interval.All;
        }
    }

    /// <summary>x − max x is not positive.</summary>
    private static Interval? Difference(Expr node)
    {
        for (var i = 0; i < 2; i++)
        {
            if (IsMaximumOf(node.Args[1 - i], node.Args[i]))
                return new(double.NegativeInfinity, 0);
        }

        return null;
    }

    /// <summary>Whether a node is minus the maximum of another, stretched and guarded.</summary>
    private static bool IsMaximumOf(Expr shift, Expr x)
    {
        if (shift.Op is not (Neg or Broadcast or Reshape))
            return false;
        var negative = false;
        while (true)
        {
            switch (shift.Op)
            {
                case Neg:
                    negative = !negative;
                    shift = shift.Args[0];
                    break;
                case Broadcast or Reshape or StopGradient or Transpose:
                    shift = shift.Args[0];
                    break;
                case Select:
                    shift = shift.Args[1].IsSplat(out _) ? shift.Args[2] : shift.Args[1];
                    break;
                default:
                    return negative && shift.Op is ReduceMax && (shift.Args[0] == x || Unmoved(shift.Args[0]) == Unmoved(x));
            }
        }
    }

    private static Expr Unmoved(Expr node)
    {
        while (node.Op is Reshape or Broadcast or Transpose)
            node = node.Args[0];
        return node;
    }

    private Interval Summed(Expr node)
    {
        var x = values[node.Args[0]];

        // One of the terms of Σ e^(x − max x) is 1.
        if (Unmoved(node.Args[0]) is { Op: Exp } exp && Unmoved(exp.Args[0]) is { Op: Add } difference && Difference(difference) is not null)
            return new(1, double.PositiveInfinity, true);
        return new(x.Low < 0 ? double.NegativeInfinity : x.Low == 0 ? 0 : x.Low, x.High > 0 ? double.PositiveInfinity : x.High, x.NonZero && (x.Low >= 0 || x.High <= 0));
    }

    private Interval Chosen(Expr node)
    {
        var (condition, x, y) = (node.Args[0], node.Args[1], node.Args[2]);
        var (then, otherwise) = (values[x], values[y]);
        while (condition.Op is Broadcast or Reshape)
            condition = condition.Args[0];
        if (condition.Op is Compare compare)
        {
            for (var i = 0; i < 2; i++)
            {
                if (!condition.Args[1 - i].IsSplat(out var number))
                    continue;
                var kind = i == 0 ? compare.Kind : Interval.Mirrored(compare.Kind);
                if (Unmoved(condition.Args[i]) == Unmoved(x))
                    then = then.Where(kind, number);
                if (Unmoved(condition.Args[i]) == Unmoved(y))
                    otherwise = otherwise.Where(Interval.Opposite(kind), number);
            }
        }

        return Interval.Union(then, otherwise);
    }
}
