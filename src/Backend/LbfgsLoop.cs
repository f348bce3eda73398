using Dnn.Graph;
using MathNet.Numerics.LinearAlgebra;
using MathNet.Numerics.Optimization;
using MathNet.Numerics.Optimization.LineSearch;

namespace Dnn.Backend;

/// <summary>
/// Limited-memory BFGS around a session that computes loss and gradient (Nocedal 1980), with MathNet's search for the weak Wolfe conditions. All
/// it remembers are states of the session, so that a run is captured and resumed as any other.
/// </summary>
internal sealed class LbfgsLoop
{
    /// <summary>Sufficient decrease and curvature (Nocedal and Wright 2006, 3.1).</summary>
    private const double Decrease = 1e-4, Curvature = 0.9;

    private readonly Session session;
    private readonly Lbfgs options;
    private readonly string[] paths;
    private readonly int[] outputs;
    private readonly int size;
    private Point? last;

    public LbfgsLoop(Session session, Lbfgs options)
    {
        (this.session, this.options) = (session, options);
        var program = session.Program;
        outputs = [.. Enumerable.Range(0, program.Outputs.Length).Where(i => program.Outputs[i].Name.StartsWith(TrainingStep.GradientPrefix, StringComparison.Ordinal))];
        paths = [.. outputs.Select(i => program.Outputs[i].Name[TrainingStep.GradientPrefix.Length..])];
        size = outputs.Sum(i => (int)program.Outputs[i].Value.Shape.ElementCount.Value);
    }

    /// <summary>Loss and gradient at one place; where they are not finite, so high that no search stays there.</summary>
    private sealed record Point(Vector<double> At, double Value, Vector<double> Gradient);

    /// <summary>One step from where the parameters are.</summary>
    /// <param name="visit">Called when the outputs are those of the beginning; gives the rate.</param>
    /// <returns>Whether the gradient is as good as zero; null where loss or gradient are not finite at the beginning.</returns>
    public bool? Step(Func<double> visit)
    {
        var start = Evaluate(Gather(path => session.GetState(path)));
        if (start.Value == double.MaxValue)
            return null;
        var rate = visit();
        if (start.Gradient.InfinityNorm() <= options.Tolerance)
            return true;
        var pairs = Pairs();
        var direction = Direction(start.Gradient, pairs);
        if (!(direction * start.Gradient < 0))
        {
            pairs.Clear();
            direction = -start.Gradient;
        }

        last = start;
        var first = pairs.Count > 0 ? rate : rate / Math.Max(1, start.Gradient.L2Norm());
        try
        {
            new WeakWolfeLineSearch(Decrease, Curvature, 0, options.Trials).FindConformingStep(new Objective(this, start), direction, first);
        }
        catch (OptimizationException)
        {
            // Out of trials: the last place serves if it is lower.
        }

        var found = last;
        if (found.Value < start.Value)
        {
            var (s, y) = (found.At - start.At, found.Gradient - start.Gradient);
            if (s * y > 1e-10 * (y * y))
                pairs.Add((s, y));
            Remember(pairs);
        }
        else
        {
            found = start;
        }

        Place(found.At);
        session.SetWhole(TrainingStep.StepName, session.StateSpan<long>(TrainingStep.StepName)[0] + 1);
        return false;
    }

    /// <summary>−H g by the two loops over the changes that are remembered, H₀ = sᵀy / yᵀy of the last one.</summary>
    private static Vector<double> Direction(Vector<double> gradient, List<(Vector<double> S, Vector<double> Y)> pairs)
    {
        var q = gradient.Clone();
        var factors = new double[pairs.Count];
        for (var i = pairs.Count - 1; i >= 0; i--)
        {
            factors[i] = pairs[i].S * q / (pairs[i].S * pairs[i].Y);
            q -= factors[i] * pairs[i].Y;
        }

        if (pairs.Count > 0)
            q *= pairs[^1].S * pairs[^1].Y / (pairs[^1].Y * pairs[^1].Y);
        for (var i = 0; i < pairs.Count; i++)
            q += (factors[i] - (pairs[i].Y * q / (pairs[i].S * pairs[i].Y))) * pairs[i].S;
        return -q;
    }

    private Point Evaluate(Vector<double> at)
    {
        Place(at);
        if (session.Run() == RunResult.NotFinite)
            return new Point(at, double.MaxValue, Vector<double>.Build.Dense(size));
        var next = 0;
        return new Point(at, session.ReadScalar(0), Gather(_ => session.GetOutput(outputs[next++])));
    }

    /// <summary>The tensors of all parameters as one vector.</summary>
    private Vector<double> Gather(Func<string, Tensor> tensor) =>
        Vector<double>.Build.DenseOfEnumerable(paths.SelectMany(path => tensor(path).Cast(DType.F64).ToArray<double>()));

    private void Place(Vector<double> at)
    {
        var (all, next) = (at.AsArray(), 0);
        foreach (var path in paths)
        {
            var old = session.GetState(path);
            session.SetState(path, Tensor.Create(all.AsSpan(next, (int)old.Length).ToArray(), [.. old.Shape]));
            next += (int)old.Length;
        }
    }

    private List<(Vector<double> S, Vector<double> Y)> Pairs()
    {
        var count = (int)session.GetState(TrainingStep.HistoryCount).ToArray<long>()[0];
        var (s, y) = (session.GetState(TrainingStep.ParameterChanges).ToArray<double>(), session.GetState(TrainingStep.GradientChanges).ToArray<double>());
        return [.. Enumerable.Range(0, count).Select(i => (Row(s, i), Row(y, i)))];

        Vector<double> Row(double[] all, int i) => Vector<double>.Build.Dense(all[(i * size)..((i + 1) * size)]);
    }

    private void Remember(List<(Vector<double> S, Vector<double> Y)> pairs)
    {
        if (pairs.Count > options.History)
            pairs.RemoveAt(0);
        session.SetState(TrainingStep.HistoryCount, Tensor.Scalar((long)pairs.Count));
        Write(TrainingStep.ParameterChanges, pairs.Select(p => p.S));
        Write(TrainingStep.GradientChanges, pairs.Select(p => p.Y));

        void Write(string state, IEnumerable<Vector<double>> rows)
        {
            var all = new double[options.History * size];
            foreach (var (row, i) in rows.Select((row, i) => (row, i)))
                row.AsArray().CopyTo(all, i * size);
            session.SetState(state, Tensor.Create(all, options.History, size));
        }
    }

    /// <summary>The session as MathNet's searches see a function. A search makes a new one to move and leaves its start; all tell the loop where they were last.</summary>
    private sealed class Objective(LbfgsLoop loop, Point start) : IObjectiveFunction
    {
        private Point here = start;

        public Vector<double> Point => here.At;

        public double Value => here.Value;

        public bool IsGradientSupported => true;

        public Vector<double> Gradient => here.Gradient;

        public bool IsHessianSupported => false;

        public Matrix<double> Hessian => throw new NotSupportedException("lbfgs has no Hessian");

        public void EvaluateAt(Vector<double> point) => loop.last = here = loop.Evaluate(point);

        public IObjectiveFunction Fork() => new Objective(loop, here);

        public IObjectiveFunction CreateNew() => Fork();
    }
}
