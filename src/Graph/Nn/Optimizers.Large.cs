namespace Dnn.Graph;

/// <summary>
/// Adam whose second moment of a matrix is kept as the sums of its rows and columns: with s = g² + ε₁, r ← βr + (1 − β) Σ_columns s, c ← βc + (1 − β) Σ_rows s, β = 1 − t^(−power),
/// v = r cᵀ / Σ r; u = g / √v, divided by max(1, rms(u) / clip); w ← w − α · u with α = max(ε₂, rms(w)) · min(lr, 1/√t) (Shazeer and Stern 2018).
/// </summary>
/// <param name="LearningRate">The largest relative step.</param>
/// <param name="Epsilon1">ε₁, added to squares.</param>
/// <param name="Epsilon2">ε₂, the least length that a parameter counts as having.</param>
/// <param name="Clip">The largest root mean square of an update.</param>
/// <param name="Power">How fast β approaches 1.</param>
/// <param name="Beta1">The momentum of updates; 0 keeps none.</param>
/// <param name="Decay">λ in w ← w − α · λ · w.</param>
/// <param name="IsRelative">Whether the rate is at most 1/√t.</param>
/// <param name="IsScaled">Whether the rate is multiplied by the parameter's root mean square.</param>
public sealed record Adafactor(
    Schedule LearningRate,
    double Epsilon1 = 1e-30,
    double Epsilon2 = 1e-3,
    double Clip = 1,
    double Power = 0.8,
    double Beta1 = 0,
    double Decay = 0,
    bool IsRelative = true,
    bool IsScaled = true) : Optimizer(LearningRate)
{
    public override double WeightDecay => Decay;

    internal override void Check()
    {
        Ranges.NotNegative("adafactor", "eps", Epsilon1);
        Ranges.NotNegative("adafactor", "eps", Epsilon2);
        Ranges.Positive("adafactor", "clip", Clip);
        Ranges.Positive("adafactor", "power", Power);
        Ranges.Share("adafactor", "beta1", Beta1);
        Ranges.NotNegative("adafactor", "weight_decay", Decay);
    }

    public override Expr Step(OptimizerContext context)
    {
        var (w, g, t) = (context.Value, context.Gradient, context.Step);
        var keep = 1 - Expr.Pow(t, -Power);
        Expr Averaged(string name, Shape shape, Expr next) => context.State(name, shape, old => (keep * old) + ((1 - keep) * next));

        // The least normal f32 is 1e-38: ε₁ is not lost.
        var square = g.Square() + Epsilon1;
        Expr v;
        if (w.Rank >= 2)
        {
            var rows = Averaged("r", w.Shape.RemoveAt(w.Rank - 1), square.Sum(-1));
            var columns = Averaged("c", w.Shape.RemoveAt(w.Rank - 2), square.Sum(-2));
            v = (rows / rows.Sum(-1, keep: true)).ExpandDims(-1) * columns.ExpandDims(-2);
        }
        else
        {
            v = Averaged("s", w.Shape, square);
        }

        var update = g * v.Rsqrt();
        update /= Rms(update).Max(Clip) / Clip;
        if (Beta1 > 0)
            update = context.State("m", m => (Beta1 * m) + ((1 - Beta1) * update));
        var rate = IsRelative ? context.Rate.Min(t.Rsqrt()) : context.Rate;
        if (IsScaled)
            rate *= Rms(w).Max(Epsilon2);
        var decayed = context.Decays && Decay != 0 ? w * (1 - (rate * Decay)) : w;
        return decayed - (rate * update);
    }

    private static Expr Rms(Expr x) => x.Square().Mean().Sqrt();
}

/// <summary>
/// Limited-memory BFGS: the direction is −H g with H from the last changes of parameters and gradient (Nocedal 1980), the length found by a line search for the
/// weak Wolfe conditions that starts at the rate (in the first step, the rate / max(1, |g|)). It is a loop around the gradient of the whole
/// data, which the trainer runs; an epoch is one step, and the size of batches has no meaning.
/// </summary>
/// <param name="LearningRate">The length that is tried first.</param>
/// <param name="History">How many changes are remembered.</param>
/// <param name="Tolerance">Training ends when no element of the gradient is larger.</param>
/// <param name="Trials">The largest number of lengths that a step tries.</param>
public sealed record Lbfgs(Schedule LearningRate, int History = 10, double Tolerance = 1e-7, int Trials = 30) : Optimizer(LearningRate)
{
    internal override void Check()
    {
        Ranges.Count("lbfgs", "history", History);
        Ranges.NotNegative("lbfgs", "tolerance", Tolerance);
        Ranges.Count("lbfgs", "trials", Trials);
    }

    public override Expr Step(OptimizerContext context) => throw new GraphException("lbfgs is a loop around the gradient and no step of the graph: the trainer runs it");
}
