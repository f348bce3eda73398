namespace Dnn.Graph;

/// <summary>The learning rate as a function of the number of steps taken: a description that becomes an expression.</summary>
public abstract record Schedule
{
    public static implicit operator Schedule(double rate) => new ConstantSchedule(rate);

    /// <summary>The rate at a step.</summary>
    /// <param name="step">The number of steps taken, a float scalar from 0.</param>
    /// <param name="total">The number of steps of the run, for schedules that have no total of their own.</param>
    public abstract Expr At(Expr step, double total);

    /// <summary>½(1 + cos πt) for t from 0 to 1, as a factor.</summary>
    private protected static Expr HalfCosine(Expr t) => 0.5 * (1 + (Math.PI * t.Max(0).Min(1)).Cos());
}

public sealed record ConstantSchedule(double Rate) : Schedule
{
    public override Expr At(Expr step, double total) => Expr.Scalar(Rate);
}

/// <summary>From peak to floor by half a cosine (Loshchilov and Hutter 2017).</summary>
public sealed record CosineSchedule(double Peak, double? Total = null, double Floor = 0) : Schedule
{
    public override Expr At(Expr step, double total) => Floor + ((Peak - Floor) * HalfCosine(step / (Total ?? total)));
}

/// <summary>rate · factor^⌊step / every⌋</summary>
public sealed record StepSchedule(double Rate, double Every, double Factor = 0.1) : Schedule
{
    public override Expr At(Expr step, double total) => Rate * Expr.Pow(Factor, (step / Every).Floor());
}

/// <summary>Linear from 0 to peak over the warm-up, reached at its last step, then half a cosine to floor.</summary>
public sealed record WarmupCosineSchedule(double Peak, double Warmup, double? Total = null, double Floor = 0) : Schedule
{
    public override Expr At(Expr step, double total)
    {
        var end = Total ?? total;
        var rising = Peak * (step + 1) / Math.Max(1, Warmup);
        var falling = Floor + ((Peak - Floor) * HalfCosine((step - Warmup) / Math.Max(1, end - Warmup)));
        return Expr.Where(step.LessThan(Warmup), rising, falling);
    }
}
