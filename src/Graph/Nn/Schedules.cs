namespace Dnn.Graph;

/// <summary>The learning rate as a function of the number of steps taken: a description that becomes an expression.</summary>
public abstract record Schedule
{
    /// <exception cref="RangeException">A number of the schedule is out of range.</exception>
    protected Schedule() => Check();

    public static implicit operator Schedule(double rate) => new ConstantSchedule(rate);

    /// <summary>The rate at a step.</summary>
    /// <param name="step">The number of steps taken, a float scalar from 0.</param>
    /// <param name="total">The number of steps of the run, for schedules that have no total of their own.</param>
    public abstract Expr At(Expr step, double total);

    /// <summary>Refuses numbers out of range: a rate below 0 would climb.</summary>
    private protected virtual void Check()
    {
    }

    /// <summary>1 − t for t from 0 to 1, as a factor.</summary>
    private protected static Expr Falling(Expr t) => 1 - t.Max(0).Min(1);

    /// <summary>½(1 + cos πt) for t from 0 to 1, as a factor.</summary>
    private protected static Expr HalfCosine(Expr t) => 0.5 * (1 + (Math.PI * t.Max(0).Min(1)).Cos());
}

public sealed record ConstantSchedule(double Rate) : Schedule
{
    private protected override void Check() => Ranges.Require(Rate is >= 0 and < double.PositiveInfinity, "an optimizer", "lr", Rate, "at least 0 and finite");

    public override Expr At(Expr step, double total) => Expr.Scalar(Rate);
}

/// <summary>From peak to floor by half a cosine (Loshchilov and Hutter 2017).</summary>
public sealed record CosineSchedule(double Peak, double? Total = null, double Floor = 0) : Schedule
{
    private protected override void Check()
    {
        Ranges.NotNegative("cosine", "peak", Peak);
        Ranges.Positive("cosine", "total", Total);
        Ranges.NotNegative("cosine", "floor", Floor);
    }

    public override Expr At(Expr step, double total) => Floor + ((Peak - Floor) * HalfCosine(step / (Total ?? total)));
}

/// <summary>rate · factor^⌊step / every⌋</summary>
public sealed record StepSchedule(double Rate, double Every, double Factor = 0.1) : Schedule
{
    private protected override void Check()
    {
        Ranges.NotNegative("step", "rate", Rate);
        Ranges.Positive("step", "every", Every);
        Ranges.NotNegative("step", "factor", Factor);
    }

    public override Expr At(Expr step, double total) => Rate * Expr.Pow(Factor, (step / Every).Floor());
}

/// <summary>Linear from 0 to peak over the warm-up, reached at its last step, then down to floor.</summary>
public abstract record WarmupSchedule(double Peak, double Warmup, double? Total, double Floor) : Schedule
{
    private protected abstract string Name { get; }

    /// <summary>What is left of the way down, from 1 to 0, as a part t of it is over.</summary>
    private protected abstract Expr Left(Expr t);

    private protected override void Check()
    {
        Ranges.NotNegative(Name, "peak", Peak);
        Ranges.NotNegative(Name, "warmup", Warmup);
        Ranges.Positive(Name, "total", Total);
        Ranges.NotNegative(Name, "floor", Floor);
    }

    public override Expr At(Expr step, double total)
    {
        var end = Total ?? total;
        var rising = Peak * (step + 1) / Math.Max(1, Warmup);
        var falling = Floor + ((Peak - Floor) * Left((step - Warmup) / Math.Max(1, end - Warmup)));
        return Expr.Where(step.LessThan(Warmup), rising, falling);
    }
}

/// <summary>Linear from 0 to peak over the warm-up, reached at its last step, then half a cosine to floor.</summary>
public sealed record WarmupCosineSchedule(double Peak, double Warmup, double? Total = null, double Floor = 0) : WarmupSchedule(Peak, Warmup, Total, Floor)
{
    private protected override string Name => "warmup_cosine";

    private protected override Expr Left(Expr t) => HalfCosine(t);
}

/// <summary>rate · factor^(step / every)</summary>
public sealed record ExponentialSchedule(double Rate, double Every, double Factor = 0.1) : Schedule
{
    private protected override void Check()
    {
        Ranges.NotNegative("exponential", "rate", Rate);
        Ranges.Positive("exponential", "every", Every);
        Ranges.NotNegative("exponential", "factor", Factor);
    }

    public override Expr At(Expr step, double total) => Rate * Expr.Pow(Factor, step / Every);
}

/// <summary>From peak to floor by a straight line.</summary>
public sealed record LinearSchedule(double Peak, double? Total = null, double Floor = 0) : Schedule
{
    private protected override void Check()
    {
        Ranges.NotNegative("linear", "peak", Peak);
        Ranges.Positive("linear", "total", Total);
        Ranges.NotNegative("linear", "floor", Floor);
    }

    public override Expr At(Expr step, double total) => Floor + ((Peak - Floor) * Falling(step / (Total ?? total)));
}

/// <summary>Linear from 0 to peak over the warm-up, reached at its last step, then a straight line to floor (Devlin et al. 2019).</summary>
public sealed record WarmupLinearSchedule(double Peak, double Warmup, double? Total = null, double Floor = 0) : WarmupSchedule(Peak, Warmup, Total, Floor)
{
    private protected override string Name => "warmup_linear";

    private protected override Expr Left(Expr t) => Falling(t);
}

/// <summary>peak · min(n / warmup, √(warmup / n)) at step n, from 1 (Vaswani et al. 2017).</summary>
public sealed record InverseSqrtSchedule(double Peak, double Warmup) : Schedule
{
    private protected override void Check()
    {
        Ranges.NotNegative("inverse_sqrt", "peak", Peak);
        Ranges.NotNegative("inverse_sqrt", "warmup", Warmup);
    }

    public override Expr At(Expr step, double total)
    {
        var warmup = Math.Max(1, Warmup);
        return Peak * ((step + 1) / warmup).Min((warmup / (step + 1)).Sqrt());
    }
}

/// <summary>
/// Half a cosine from peak / div to peak over the first part of the run, then another to peak / (div · final_div) at its last step (Smith and
/// Topin 2018).
/// </summary>
/// <param name="Peak">The largest rate.</param>
/// <param name="Total">The number of steps; the run's, if null.</param>
/// <param name="Rise">The part of the steps, in 0 … 1, that rises.</param>
/// <param name="Div">How many times smaller the first rate is.</param>
/// <param name="FinalDiv">How many times smaller than the first the last rate is.</param>
public sealed record OneCycleSchedule(double Peak, double? Total = null, double Rise = 0.3, double Div = 25, double FinalDiv = 1e4) : Schedule
{
    private protected override void Check()
    {
        Ranges.NotNegative("one_cycle", "peak", Peak);
        Ranges.Positive("one_cycle", "total", Total);
        Ranges.Require(Rise is >= 0 and <= 1, "one_cycle", "rise", Rise, "between 0 and 1");
        Ranges.Positive("one_cycle", "div", Div);
        Ranges.Positive("one_cycle", "final_div", FinalDiv);
    }

    public override Expr At(Expr step, double total)
    {
        var steps = Total ?? total;
        var top = Math.Max(0, (Rise * steps) - 1);
        var (first, last) = (Peak / Div, Peak / Div / FinalDiv);
        var rising = Peak + ((first - Peak) * HalfCosine(step / Math.Max(1, top)));
        var falling = last + ((Peak - last) * HalfCosine((step - top) / Math.Max(1, steps - 1 - top)));
        return Expr.Where(step.LessThan(top), rising, falling);
    }
}

/// <summary>The first rate before the first boundary, the next one from there to the second, and so on.</summary>
public sealed record PiecewiseSchedule : Schedule
{
    /// <param name="boundaries">Numbers of steps, increasing.</param>
    /// <param name="rates">One more than there are boundaries.</param>
    /// <exception cref="GraphException">The boundaries do not increase, or there are not as many rates as pieces.</exception>
    public PiecewiseSchedule(ValueList<double> boundaries, ValueList<double> rates)
    {
        if (rates.Count != boundaries.Count + 1)
            throw new GraphException($"piecewise: {boundaries.Count} boundaries make {boundaries.Count + 1} pieces, and there are {rates.Count} rates");
        if (boundaries.Zip(boundaries.Skip(1)).Any(p => !(p.First < p.Second)))
            throw new GraphException($"piecewise: the boundaries [{string.Join(", ", boundaries.Select(Printer.Number))}] must increase");
        foreach (var rate in rates)
            Ranges.NotNegative("piecewise", "rates", rate);
        (Boundaries, Rates) = (boundaries, rates);
    }

    public ValueList<double> Boundaries { get; }

    public ValueList<double> Rates { get; }

    public override Expr At(Expr step, double total)
    {
        var rate = Expr.Scalar(Rates[^1]);
        for (var i = Boundaries.Count - 1; i >= 0; i--)
            rate = Expr.Where(step.LessThan(Boundaries[i]), Rates[i], rate);
        return rate;
    }
}

/// <summary>One schedule up to a step, then another, which counts from there. A schedule that ends with the run ends with its part of it.</summary>
public sealed record ThenSchedule : Schedule
{
    /// <param name="first">Before <paramref name="at"/>.</param>
    /// <param name="next">From there on.</param>
    /// <param name="at">A number of steps.</param>
    /// <exception cref="RangeException">The number is negative or not finite.</exception>
    public ThenSchedule(Schedule first, Schedule next, double at)
    {
        Ranges.NotNegative("then", "at", at);
        (First, Next, Start) = (first, next, at);
    }

    public Schedule First { get; }

    public Schedule Next { get; }

    public double Start { get; }

    public override Expr At(Expr step, double total) => Expr.Where(step.LessThan(Start), First.At(step, Start), Next.At(step - Start, Math.Max(1, total - Start)));
}
