namespace Dnn.Graph;

/// <summary>What an optimizer sees of one parameter, and where it keeps its state.</summary>
public sealed class OptimizerContext
{
    private const double SmallestNormal = 1.1754943508222875e-38;

    private readonly string path;
    private readonly string prefix;
    private readonly List<ProgramState> states;

    /// <param name="path">The parameter's path.</param>
    /// <param name="value">Its value before the step.</param>
    /// <param name="gradient">The gradient there.</param>
    /// <param name="rate">The learning rate.</param>
    /// <param name="step">The number of the step, from 1, as a float.</param>
    /// <param name="decays">Whether weight decay applies.</param>
    /// <param name="prefix">What the names of states begin with.</param>
    /// <param name="states">Takes the states.</param>
    internal OptimizerContext(string path, Expr value, Expr gradient, Expr rate, Expr step, bool decays, string prefix, List<ProgramState> states)
    {
        this.path = path;
        this.prefix = prefix;
        this.states = states;
        Value = value;
        Gradient = gradient;
        Rate = rate;
        Step = step;
        Decays = decays;
    }

    /// <summary>The parameter before the step.</summary>
    public Expr Value { get; }

    public Expr Gradient { get; }

    /// <summary>The learning rate of this parameter at this step.</summary>
    public Expr Rate { get; }

    /// <summary>The number of this step, from 1, as a float.</summary>
    public Expr Step { get; }

    /// <summary>Whether weight decay applies to this parameter.</summary>
    public bool Decays { get; }

    /// <summary>State of the parameter's shape that starts at zero.</summary>
    /// <param name="name">Its name, such as <c>m</c>; the state is kept under <c>optimizer.m.PATH</c>.</param>
    /// <param name="next">Its next value, given its present one.</param>
    /// <returns>The next value.</returns>
    public Expr State(string name, Func<Expr, Expr> next) => State(name, Value.Shape, next);

    /// <summary>State of another shape.</summary>
    /// <remarks>
    /// What is below the smallest normal number of single precision becomes 0. Averages that decay without a gradient, as those of a dead unit, would get stuck
    /// among the numbers below that, and some processors take a hundred times longer for each operation on them.
    /// </remarks>
    public Expr State(string name, Shape shape, Func<Expr, Expr> next)
    {
        var full = $"{prefix}{name}.{path}";
        var variable = Expr.Variable(full, shape);
        var value = next(variable);
        value = Expr.Where(value.Abs().LessThan(SmallestNormal), 0, value);
        states.Add(new ProgramState(full, variable, value));
        return value;
    }
}

/// <summary>How a gradient moves a parameter: a description that becomes part of the training step's graph.</summary>
public abstract record Optimizer
{
    /// <param name="learningRate">The learning rate by steps.</param>
    /// <exception cref="RangeException">A number of the optimizer is out of range.</exception>
    protected Optimizer(Schedule learningRate)
    {
        LearningRate = learningRate ?? throw new ArgumentNullException(nameof(learningRate));

        // The properties of a positional record have their values before this.
        Check();
    }

    /// <summary>The learning rate by steps.</summary>
    public Schedule LearningRate { get; init; }

    /// <summary>Refuses numbers out of range.</summary>
    /// <exception cref="RangeException">A number is out of range.</exception>
    internal abstract void Check();

    /// <summary>λ in decoupled weight decay w ← w − lr · λ · w, where the optimizer has it.</summary>
    public virtual double WeightDecay => 0;

    /// <summary>The parameter after the step.</summary>
    public abstract Expr Step(OptimizerContext context);

    private protected static Expr Decayed(OptimizerContext context, double decay) =>
        context.Decays && decay != 0 ? context.Value * (1 - (context.Rate * decay)) : context.Value;

    /// <summary>The averages of gradients and of their squares.</summary>
    private protected static (Expr Mean, Expr Square) Moments(OptimizerContext context, double beta1, double beta2) =>
        (context.State("m", m => (beta1 * m) + ((1 - beta1) * context.Gradient)), context.State("s", s => (beta2 * s) + ((1 - beta2) * context.Gradient.Square())));

    private protected static void CheckMoments(string name, double beta1, double beta2, double epsilon)
    {
        Ranges.Share(name, "betas", beta1);
        Ranges.Share(name, "betas", beta2);
        Ranges.NotNegative(name, "eps", epsilon);
    }

    /// <summary>√(average / correction) + ε with the root taken apart, so that the correction is of a scalar.</summary>
    private protected static Expr Denominator(Expr average, double beta, Expr step, double epsilon) => (average.Sqrt() * (1 / Correction(beta, step).Sqrt())) + epsilon;

    /// <summary>1 − β^t, for averages that start at zero.</summary>
    private protected static Expr Correction(double beta, Expr step) => 1 - Expr.Pow(Expr.Scalar(beta), step);
}

/// <summary>v ← μv + g; w ← w − lr · v, or with Nesterov w ← w − lr · (g + μv) (Sutskever et al. 2013).</summary>
public sealed record Sgd(Schedule LearningRate, double Momentum = 0, bool Nesterov = false) : Optimizer(LearningRate)
{
    internal override void Check() => Ranges.Share("sgd", "momentum", Momentum);

    public override Expr Step(OptimizerContext context)
    {
        if (Momentum == 0)
            return context.Value - (context.Rate * context.Gradient);
        var velocity = context.State("v", v => (Momentum * v) + context.Gradient);
        return context.Value - (context.Rate * (Nesterov ? context.Gradient + (Momentum * velocity) : velocity));
    }
}

/// <summary>m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; w ← w − lr · m̂ / (√v̂ + ε) (Kingma and Ba 2015).</summary>
public record Adam(Schedule LearningRate, double Beta1 = 0.9, double Beta2 = 0.999, double Epsilon = 1e-8) : Optimizer(LearningRate)
{
    internal override void Check()
    {
        CheckMoments(Name, Beta1, Beta2, Epsilon);
        Ranges.NotNegative(Name, "weight_decay", WeightDecay);
    }

    private protected virtual string Name => "adam";

    public override Expr Step(OptimizerContext context)
    {
        var (m, v) = Moments(context, Beta1, Beta2);
        var rate = context.Rate / Correction(Beta1, context.Step);
        return Decayed(context, WeightDecay) - (rate * m / Denominator(v, Beta2, context.Step, Epsilon));
    }
}

/// <summary>Adam with decoupled weight decay w ← w − lr · λ · w (Loshchilov and Hutter 2019).</summary>
public sealed record AdamW(Schedule LearningRate, double Beta1 = 0.9, double Beta2 = 0.999, double Epsilon = 1e-8, double Decay = 0.01)
    : Adam(LearningRate, Beta1, Beta2, Epsilon)
{
    public override double WeightDecay => Decay;

    private protected override string Name => "adamw";
}

/// <summary>v ← ρv + (1 − ρ)g²; w ← w − lr · g / (√v + ε), with optional momentum on the quotient (Tieleman and Hinton 2012).</summary>
public sealed record RmsProp(Schedule LearningRate, double Rho = 0.99, double Epsilon = 1e-8, double Momentum = 0) : Optimizer(LearningRate)
{
    internal override void Check()
    {
        Ranges.Share("rmsprop", "rho", Rho);
        Ranges.NotNegative("rmsprop", "eps", Epsilon);
        Ranges.Share("rmsprop", "momentum", Momentum);
    }

    public override Expr Step(OptimizerContext context)
    {
        var v = context.State("s", s => (Rho * s) + ((1 - Rho) * context.Gradient.Square()));
        var scaled = context.Gradient / (v.Sqrt() + Epsilon);
        var move = Momentum == 0 ? scaled : context.State("v", b => (Momentum * b) + scaled);
        return context.Value - (context.Rate * move);
    }
}

/// <summary>s ← s + g²; w ← w − lr · g / (√s + ε) (Duchi et al. 2011).</summary>
public sealed record Adagrad(Schedule LearningRate, double Epsilon = 1e-10) : Optimizer(LearningRate)
{
    internal override void Check() => Ranges.NotNegative("adagrad", "eps", Epsilon);

    public override Expr Step(OptimizerContext context)
    {
        var s = context.State("s", s => s + context.Gradient.Square());
        return context.Value - (context.Rate * context.Gradient / (s.Sqrt() + Epsilon));
    }
}

/// <summary>
/// Adam with Nesterov's look ahead: w ← w − lr · (β₁m / (1 − β₁^(t+1)) + (1 − β₁)g / (1 − β₁^t)) / (√v̂ + ε) (Dozat 2016, with β₁ the same at
/// all steps).
/// </summary>
public sealed record Nadam(Schedule LearningRate, double Beta1 = 0.9, double Beta2 = 0.999, double Epsilon = 1e-8) : Optimizer(LearningRate)
{
    internal override void Check()
    {
        CheckMoments("nadam", Beta1, Beta2, Epsilon);
    }

    public override Expr Step(OptimizerContext context)
    {
        var (m, v) = Moments(context, Beta1, Beta2);
        var ahead = (Beta1 / Correction(Beta1, context.Step + 1) * m) + ((1 - Beta1) / Correction(Beta1, context.Step) * context.Gradient);
        return context.Value - (context.Rate * ahead / Denominator(v, Beta2, context.Step, Epsilon));
    }
}

/// <summary>
/// r = m̂ / (√v̂ + ε) + λw; w ← w − lr · (|w| / |r|) · r, the lengths of whole parameters; the factor is 1 where one of them is 0 (You et al. 2020).
/// </summary>
public sealed record Lamb(Schedule LearningRate, double Beta1 = 0.9, double Beta2 = 0.999, double Epsilon = 1e-6, double Decay = 0.01) : Optimizer(LearningRate)
{
    /// <summary>λ, which here is scaled with the rest of the step.</summary>
    public override double WeightDecay => Decay;

    internal override void Check()
    {
        CheckMoments("lamb", Beta1, Beta2, Epsilon);
        Ranges.NotNegative("lamb", "weight_decay", Decay);
    }

    public override Expr Step(OptimizerContext context)
    {
        var (m, v) = Moments(context, Beta1, Beta2);
        var r = 1 / Correction(Beta1, context.Step) * m / Denominator(v, Beta2, context.Step, Epsilon);
        if (context.Decays && Decay != 0)
            r += Decay * context.Value;
        var (length, move) = (context.Value.Norm(), r.Norm());
        var both = length.GreaterThan(0).And(move.GreaterThan(0));
        var trust = Expr.Where(both, length / Expr.Where(both, move, 1), 1);
        return context.Value - (context.Rate * trust * r);
    }
}

/// <summary>w ← w − lr · (sign(β₁m + (1 − β₁)g) + λw); m ← β₂m + (1 − β₂)g (Chen et al. 2023).</summary>
public sealed record Lion(Schedule LearningRate, double Beta1 = 0.9, double Beta2 = 0.99, double Decay = 0.01) : Optimizer(LearningRate)
{
    public override double WeightDecay => Decay;

    internal override void Check()
    {
        Ranges.Share("lion", "betas", Beta1);
        Ranges.Share("lion", "betas", Beta2);
        Ranges.NotNegative("lion", "weight_decay", Decay);
    }

    public override Expr Step(OptimizerContext context)
    {
        var move = context.Gradient;
        context.State("m", m =>
        {
            move = ((Beta1 * m) + ((1 - Beta1) * context.Gradient)).Sign();
            return (Beta2 * m) + ((1 - Beta2) * context.Gradient);
        });
        return Decayed(context, Decay) - (context.Rate * move);
    }
}
