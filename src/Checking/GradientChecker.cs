using System.Collections.Immutable;
using System.Numerics;
using Dnn.Graph;
using MathNet.Numerics.Differentiation;

namespace Dnn.Checking;

/// <summary>How thorough a gradient check is.</summary>
/// <param name="Order">1 for gradients, 2 for their derivatives too.</param>
/// <param name="Seed">Chooses the directions.</param>
/// <param name="Sizes">What the named dimensions are, where values do not tell.</param>
public sealed record GradientCheckOptions(int Order = 1, ulong Seed = 1, IReadOnlyDictionary<string, long>? Sizes = null);

/// <summary>
/// Holds derivatives against oracles that know nothing of them: the complex step (Squire and Trapp 1998), finite differences, and MathNet's
/// numerical Jacobian, all on the reference evaluator. First the derivative of each operation is checked alone, so that what is wrong
/// is named; then the derivative of the whole.
/// </summary>
/// <remarks>
/// A derivative is a sum over paths, and its terms may cancel: the tolerance is relative to Σ |āᵢ·ȧᵢ| over all elements of all nodes, adjoint times tangent, the
/// size of what is summed. For the exact oracles it is 10⁻⁹ of that. Finite differences are allowed what they differ by among themselves when the step is halved.
/// The argument of <c>stop_gradient</c> is a constant by definition, so all oracles hold it at its value.
/// </remarks>
public sealed class GradientChecker
{
    private const double ComplexStepSize = 1e-20;
    private const double ExactTolerance = 1e-9;

    /// <summary>
    /// The weight of terms that cancel inside a derivative: in 1 − tanh² x they are of size 1 and the result may be of any size. Times the tolerance it is 10⁻¹⁴.
    /// </summary>
    private const double InnerTerms = 1e-5;
    private const double DifferenceTolerance = 1e-7;

    /// <summary>An answer that is less certain than this, relative to the terms, is none.</summary>
    private const double LeastCertainty = 1e-3;

    /// <summary>Elements beyond which no full Jacobian is made, and inputs beyond which not each gets a direction of its own.</summary>
    private const int FewElements = 12;
    private const int FewInputs = 4;

    /// <summary>∛ε, where the errors of truncation and rounding of a central difference meet.</summary>
    private static readonly double DifferenceStep = Math.Cbrt(Math.ScaleB(1, -52));

    private readonly GradientCheckOptions options;
    private readonly ImmutableArray<GradientFinding>.Builder findings = ImmutableArray.CreateBuilder<GradientFinding>();
    private int checks;
    private int skipped;
    private long drawn;

    private GradientChecker(GradientCheckOptions options) => this.options = options;

    /// <summary>Checks the derivatives of an expression with respect to some variables.</summary>
    /// <param name="y">A float tensor.</param>
    /// <param name="inputs">Float variables.</param>
    /// <param name="point">The values of all variables.</param>
    /// <exception cref="GraphException">A variable has no value, or an index is out of range.</exception>
    public static GradientReport Check(Expr y, IReadOnlyList<Expr> inputs, IReadOnlyDictionary<Expr, RefValue<double>> point, GradientCheckOptions? options = null)
    {
        var checker = new GradientChecker(options ?? new GradientCheckOptions());
        if (checker.First(y, inputs, point) is { } frozen && checker.options.Order > 1)
            checker.Second(y, inputs, point, frozen);
        return new GradientReport(checker.findings.ToImmutable(), checker.checks, checker.skipped);
    }

    /// <summary>Whether the operation has points where it has no derivative.</summary>
    private static bool IsKinked(Op op) => op is Abs or Relu or Sign or Floor or Round or Extremum or ExtremumReduction or ArgMax or Compare or Cast;

    private static bool IsFinite(RefValue<double> value) => value.Reals?.All(double.IsFinite) != false;

    private static double Dot(double[] x, double[] y) => x.Zip(y).Sum(p => p.First * p.Second);

    private static double AbsoluteDot(double[] x, double[] y) => x.Zip(y).Select(p => Math.Abs(p.First * p.Second)).Where(double.IsFinite).Sum();

    private static double Largest(double[] numbers) => numbers.Select(Math.Abs).Where(double.IsFinite).Prepend(0).Max();

    private static RefValue<Complex> Lift(RefValue<double> value, double[]? tangent = null) => value.Reals is { } reals
        ? RefValue<Complex>.Of(value.Dims, [.. reals.Select((x, i) => new Complex(x, tangent is null ? 0 : ComplexStepSize * tangent[i]))])
        : RefValue<Complex>.Of(value.Dims, value.Integers!);

    private static double[] Tangent(RefValue<Complex> value) => [.. value.Reals!.Select(x => x.Imaginary / ComplexStepSize)];

    private static RefValue<double> Reals(int[] dims, double[] numbers) => RefValue<double>.Of(dims, numbers);

    /// <summary>Numbers in ±1, none of them small.</summary>
    private double[] Draw(int count)
    {
        var result = new double[count];
        for (var i = 0; i < count; i++)
        {
            var bits = Philox.Bits24(options.Seed, drawn++);
            result[i] = (0.25 + (0.75 * (bits >> 1) / (1 << 23))) * ((bits & 1) == 0 ? 1 : -1);
        }

        return result;
    }

    private bool Expect(GradientOracle oracle, Expr node, int argument, double expected, double actual, double tolerance, string reason)
    {
        checks++;
        var close = Math.Abs(actual - expected) <= tolerance;
        if (!close)
            findings.Add(new GradientFinding(oracle, node, argument, expected, actual, tolerance, reason));
        return close;
    }

    /// <summary>The values of constants and of what stop_gradient holds; null where something is wrong with the operations by themselves.</summary>
    private Dictionary<Expr, RefValue<double>>? First(Expr y, IReadOnlyList<Expr> inputs, IReadOnlyDictionary<Expr, RefValue<double>> point)
    {
        var nodes = Expr.PostOrder([y]);
        var values = new Dictionary<Expr, RefValue<double>>();
        foreach (var (node, value) in nodes.Zip(Reference.Evaluate(nodes, point, options.Sizes)))
            values[node] = value;
        if (!IsFinite(values[y]))
        {
            var broken = nodes.First(n => !IsFinite(values[n]) && !n.Args.IsEmpty);
            Expect(GradientOracle.Finite, broken, -1, 0, values[broken].Reals!.First(x => !double.IsFinite(x)), 0, "the value is not finite");
            return null;
        }

        var sizes = new RefContext(BoundSizes(point));
        var wrong = findings.Count;
        foreach (var node in nodes)
            CheckOperation(node, values, sizes);
        if (findings.Count > wrong)
            return null;

        var frozen = nodes.Where(n => n.Op is StopGradient).ToDictionary(n => n, n => values[n]);
        CheckWhole(new Subject([.. inputs.Where(values.ContainsKey)], y, nodes, values, point, frozen, sizes));
        return findings.Count > wrong ? null : frozen;
    }

    private Dictionary<string, long> BoundSizes(IReadOnlyDictionary<Expr, RefValue<double>> point)
    {
        var sizes = new Dictionary<string, long>(options.Sizes ?? ImmutableDictionary<string, long>.Empty);
        foreach (var (variable, value) in point)
            Unifier.Bind(sizes, variable.Shape, value.Dims, Printer.Line(variable));
        return sizes;
    }

    /// <summary>Holds the cotangents that an operation sends to its arguments against the complex step of its value, argument by argument.</summary>
    private void CheckOperation(Expr node, Dictionary<Expr, RefValue<double>> values, RefContext sizes)
    {
        // A rule of one's own need not be the derivative of its node; the whole graph tells whether it is that of the value.
        if (!node.DType.IsFloat() || node.Op is StopGradient or CustomGradient or Checkpoint || !node.Args.Any(a => a.DType.IsFloat()))
            return;
        if (!IsFinite(values[node]) || !node.Args.All(a => IsFinite(values[a])))
        {
            skipped++;
            return;
        }

        var cotangent = Draw(values[node].Length);
        var sent = Pull(node, Reals(values[node].Dims, cotangent), values, sizes);
        var args = node.Args.Select(a => Lift(values[a])).ToArray();
        for (var k = 0; k < args.Length; k++)
        {
            if (!node.Args[k].DType.IsFloat())
                continue;
            var direction = Draw(args[k].Length);
            var resting = args[k];
            args[k] = Lift(values[node.Args[k]], direction);
            var tangent = Tangent(node.Op.Evaluate<Complex, ComplexField>(node, args, sizes));
            args[k] = resting;
            var reason = node.Args.Length == 1 ? $"derivative of {node.Op.Name}" : $"derivative of {node.Op.Name} by argument {k}";
            var expected = Dot(cotangent, tangent);
            if (!double.IsFinite(expected))
            {
                // No derivative there, as of x^y by y where x is negative.
                skipped++;
                continue;
            }

            if (sent[k] is { } part && !part.Dims.AsSpan().SequenceEqual(args[k].Dims))
            {
                Expect(GradientOracle.Operation, node, k, expected, double.NaN, 0, $"{reason} has the shape [{string.Join(", ", part.Dims)}] and not [{string.Join(", ", args[k].Dims)}]");
                continue;
            }

            var numbers = sent[k]?.Reals ?? new double[direction.Length];
            var terms = AbsoluteDot(cotangent, tangent) + AbsoluteDot(numbers, direction) + (InnerTerms * cotangent.Sum(Math.Abs));
            Expect(GradientOracle.Operation, node, k, expected, Dot(numbers, direction), ExactTolerance * terms, reason);
        }
    }

    /// <summary>The values of the cotangents that a node sends to its arguments.</summary>
    private static RefValue<double>?[] Pull(Expr node, RefValue<double> cotangent, Dictionary<Expr, RefValue<double>> values, RefContext sizes)
    {
        var incoming = Expr.Variable("cotangent", node.Shape, node.DType);
        var sent = node.Op.IsGradientFree ? new Expr?[node.Args.Length] : node.Op.Vjp(node, incoming);
        var known = new Dictionary<Expr, RefValue<double>> { [incoming] = cotangent, [node] = values[node] };
        foreach (var arg in node.Args)
            known[arg] = values[arg];
        var parts = sent.OfType<Expr>().ToArray();
        var results = new Queue<RefValue<double>>(Reference.Evaluate(parts, known, sizes.Sizes));
        return [.. sent.Select(part => part is null ? null : results.Dequeue())];
    }

    /// <summary>An expression with what is known of it at the point.</summary>
    private sealed record Subject(
        ImmutableArray<Expr> Inputs,
        Expr Y,
        List<Expr> Nodes,
        Dictionary<Expr, RefValue<double>> Values,
        IReadOnlyDictionary<Expr, RefValue<double>> Point,
        Dictionary<Expr, RefValue<double>> Frozen,
        RefContext Sizes)
    {
        /// <summary>Derivatives of all nodes along a direction, by the complex step.</summary>
        public Dictionary<Expr, double[]> Tangents(IReadOnlyDictionary<Expr, double[]> direction)
        {
            var variables = Point.Concat(Frozen).ToDictionary(p => p.Key, p => Lift(p.Value, direction.GetValueOrDefault(p.Key)));
            var result = new Dictionary<Expr, double[]>();
            foreach (var (node, value) in Nodes.Zip(Reference.Evaluate<Complex, ComplexField>(Nodes, variables, Sizes.Sizes)))
            {
                if (node.DType.IsFloat())
                    result[node] = Tangent(value);
            }

            return result;
        }

        /// <summary>What every node's elements weigh in ⟨u, y⟩, by the operations' own derivatives, one node after the other.</summary>
        public Dictionary<Expr, double[]> Adjoints(double[] u)
        {
            var adjoints = new Dictionary<Expr, double[]> { [Y] = u };
            for (var i = Nodes.Count - 1; i >= 0; i--)
            {
                var node = Nodes[i];
                if (!adjoints.TryGetValue(node, out var adjoint) || node.Args.IsEmpty)
                    continue;
                var sent = Pull(node, Reals(Values[node].Dims, adjoint), Values, Sizes);
                for (var k = 0; k < sent.Length; k++)
                {
                    if (sent[k]?.Reals is { } part && node.Args[k].DType.IsFloat())
                        adjoints[node.Args[k]] = adjoints.TryGetValue(node.Args[k], out var sum) ? [.. sum.Zip(part).Select(p => p.First + p.Second)] : part;
                }
            }

            return adjoints;
        }

        public double[] Evaluate(Expr expression, IEnumerable<KeyValuePair<Expr, RefValue<double>>> more) =>
            Reference.Evaluate([expression], Point.Concat(Frozen).Concat(more).ToDictionary(p => p.Key, p => p.Value), Sizes.Sizes)[0].Reals!;

        /// <summary>⟨u, y⟩ at a point moved along a direction.</summary>
        public double Along(double step, IReadOnlyDictionary<Expr, double[]> direction, double[] u)
        {
            var moved = direction.Select(d => KeyValuePair.Create(d.Key, Reals(Point[d.Key].Dims, [.. Point[d.Key].Reals!.Zip(d.Value).Select(p => p.First + (step * p.Second))])));
            var variables = Point.Concat(Frozen).ToDictionary(p => p.Key, p => p.Value);
            foreach (var (variable, value) in moved)
                variables[variable] = value;
            return Dot(u, Reference.Evaluate([Y], variables, Sizes.Sizes)[0].Reals!);
        }
    }

    private void CheckWhole(Subject subject)
    {
        var (y, inputs) = (subject.Y, subject.Inputs);
        var u = Draw(subject.Values[y].Length);
        var directions = inputs.ToDictionary(x => x, x => Draw(subject.Values[x].Length));
        var cotangent = Expr.Variable("u", y.Shape, y.DType);
        KeyValuePair<Expr, RefValue<double>> given = new(cotangent, Reals(subject.Values[y].Dims, u));
        var pulled = Gradient.Vjp([y], [cotangent], inputs);
        Verifier.Verify([.. pulled.OfType<Expr>()]);
        var gradients = inputs.Select((x, k) => pulled[k] is { } g ? subject.Evaluate(g, [given]) : new double[directions[x].Length]).ToArray();

        var adjoints = subject.Adjoints(u);
        var tangents = subject.Tangents(directions);
        var terms = Terms(adjoints, tangents);
        var actual = inputs.Select((x, k) => Dot(gradients[k], directions[x])).Sum();
        if (!Expect(GradientOracle.ComplexStep, y, -1, Dot(u, tangents[y]), actual, ExactTolerance * terms, "gradient"))
            return;
        var rounding = Math.ScaleB(1, -52) * subject.Nodes.Where(adjoints.ContainsKey).Sum(n => AbsoluteDot(adjoints[n], subject.Values[n].Reals!));
        CheckDifferences(subject, directions, u, actual, terms, rounding);
        CheckJacobian(subject, u, gradients, rounding);
        foreach (var x in inputs.Take(FewInputs))
            CheckForward(subject, x, u, directions[x], gradients[inputs.IndexOf(x)], adjoints);
    }

    /// <summary>Σ |ā·ȧ|, and a little for what cancels inside an operation's derivative.</summary>
    private static double Terms(Dictionary<Expr, double[]> adjoints, Dictionary<Expr, double[]> tangents)
    {
        var sum = 0.0;
        foreach (var (node, adjoint) in adjoints)
        {
            if (tangents.TryGetValue(node, out var tangent))
                sum += AbsoluteDot(adjoint, tangent) + (InnerTerms * adjoint.Sum(Math.Abs) * node.Args.Select(a => tangents.TryGetValue(a, out var t) ? Largest(t) : 0).Prepend(0).Max());
        }

        return sum;
    }

    private void CheckDifferences(Subject subject, IReadOnlyDictionary<Expr, double[]> direction, double[] u, double actual, double terms, double rounding)
    {
        var middle = subject.Along(0, direction, u);
        var (wide, wideBend) = Central(DifferenceStep);
        var (narrow, bend) = Central(DifferenceStep / 2);

        // The one-sided slopes of a smooth function come together as the step shrinks; at a kink they do not.
        var noise = 8 * rounding / DifferenceStep;
        var kink = bend > (0.75 * wideBend) + noise;
        var tolerance = (DifferenceTolerance * terms) + (8 * Math.Abs(wide - narrow)) + noise;
        if (kink || !(tolerance <= LeastCertainty * terms))
            skipped++;
        else
            Expect(GradientOracle.FiniteDifference, subject.Y, -1, ((4 * narrow) - wide) / 3, actual, tolerance, "gradient");

        (double Slope, double Bend) Central(double h)
        {
            var (before, after) = (subject.Along(-h, direction, u), subject.Along(h, direction, u));
            return ((after - before) / (2 * h), Math.Abs(after - middle - (middle - before)) / h);
        }
    }

    private void CheckJacobian(Subject subject, double[] u, double[][] gradients, double rounding)
    {
        var inputs = subject.Inputs;
        var at = inputs.SelectMany(x => subject.Point[x].Reals!).ToArray();
        if (at.Length == 0 || at.Length > FewElements || subject.Nodes.Any(n => IsKinked(n.Op)))
            return;
        var coarse = new NumericalJacobian(5, 2).Evaluate(Value, at);
        var fine = new NumericalJacobian(7, 3).Evaluate(Value, at);
        var gradient = gradients.SelectMany(g => g).ToArray();
        var terms = gradient.Sum(Math.Abs);
        for (var i = 0; i < at.Length; i++)
        {
            // MathNet's steps are 2⁻¹⁰ times the size of x.
            var tolerance = (DifferenceTolerance * terms) + (8 * Math.Abs(coarse[i] - fine[i])) + (rounding * 8 * 1024);
            if (!(tolerance <= LeastCertainty * terms))
                skipped++;
            else
                Expect(GradientOracle.NumericalJacobian, subject.Y, -1, fine[i], gradient[i], tolerance, $"gradient by element {i} of the inputs");
        }

        double Value(double[] x)
        {
            var offset = 0;
            var direction = new Dictionary<Expr, double[]>();
            foreach (var input in inputs)
            {
                var rest = subject.Point[input].Reals!;
                direction[input] = [.. rest.Select((r, i) => x[offset + i] - r)];
                offset += rest.Length;
            }

            return subject.Along(1, direction, u);
        }
    }

    private void CheckForward(Subject subject, Expr x, double[] u, double[] v, double[] gradient, Dictionary<Expr, double[]> adjoints)
    {
        var direction = Expr.Variable("v", x.Shape, x.DType);
        KeyValuePair<Expr, RefValue<double>> given = new(direction, Reals(subject.Point[x].Dims, v));
        var pushed = Gradient.Jvp(subject.Y, x, direction) is { } jvp ? subject.Evaluate(jvp, [given]) : new double[u.Length];
        var tangents = subject.Tangents(new Dictionary<Expr, double[]> { [x] = v });
        var tolerance = ExactTolerance * Terms(adjoints, tangents);
        Expect(GradientOracle.ForwardMode, subject.Y, -1, Dot(u, tangents[subject.Y]), Dot(u, pushed), tolerance, $"forward derivative by {Printer.Line(x)}");
        Expect(GradientOracle.AdjointIdentity, subject.Y, -1, Dot(gradient, v), Dot(u, pushed), tolerance, $"⟨Jv, u⟩ = ⟨v, Jᵀu⟩ for {Printer.Line(x)}");
    }

    /// <summary>Checks the derivative of ⟨∇⟨u, y⟩, w⟩ as any other, then Hessian-vector products against it and against each other.</summary>
    private void Second(Expr y, IReadOnlyList<Expr> inputs, IReadOnlyDictionary<Expr, RefValue<double>> point, Dictionary<Expr, RefValue<double>> frozen)
    {
        var values = Reference.Evaluate([y], point, options.Sizes)[0];
        var u = Expr.Variable("u", y.Shape, y.DType);
        var scalar = (y * u).Sum();
        var more = point.ToDictionary(p => p.Key, p => p.Value);
        more[u] = Reals(values.Dims, Draw(values.Length));
        foreach (var x in inputs.Take(FewInputs))
        {
            if (Gradient.Of(scalar, [x])[0] is not { } gradient)
                continue;
            var (v, w) = (Expr.Variable("v", x.Shape, x.DType), Expr.Variable("w", x.Shape, x.DType));
            more[v] = Reals(point[x].Dims, Draw(point[x].Length));
            more[w] = Reals(point[x].Dims, Draw(point[x].Length));
            var along = (gradient * w).Sum();
            if (First(along, inputs, more) is null)
                return;
            CheckHessian(scalar, along, x, v, w, more, frozen);
        }
    }

    private void CheckHessian(Expr scalar, Expr along, Expr x, Expr v, Expr w, IReadOnlyDictionary<Expr, RefValue<double>> point, Dictionary<Expr, RefValue<double>> frozen)
    {
        var nodes = Expr.PostOrder([along]);
        var values = nodes.Zip(Reference.Evaluate(nodes, point, options.Sizes)).ToDictionary(p => p.First, p => p.Second);
        var subject = new Subject([x], along, nodes, values, point, frozen, new RefContext(BoundSizes(point)));
        var tangents = subject.Tangents(new Dictionary<Expr, double[]> { [x] = point[v].Reals! });
        var tolerance = ExactTolerance * Terms(subject.Adjoints([1]), tangents);
        var hv = Product(v, w);
        Expect(GradientOracle.HessianVector, scalar, -1, tangents[along][0], hv, tolerance, $"Hessian times v by {Printer.Line(x)}");
        Expect(GradientOracle.HessianSymmetry, scalar, -1, Product(w, v), hv, 2 * tolerance, $"⟨Hv, w⟩ = ⟨v, Hw⟩ by {Printer.Line(x)}");

        double Product(Expr a, Expr b) => Gradient.Hvp(scalar, x, a) is { } product ? Dot(subject.Evaluate(product, []), point[b].Reals!) : 0;
    }
}
