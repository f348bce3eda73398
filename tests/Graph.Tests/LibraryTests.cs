using Dnn.Checking;
using Xunit;
using static Dnn.Graph.Tests.Numerics;

namespace Dnn.Graph.Tests;

/// <summary>Activations, functions and losses: their values against plain formulas, their derivatives against the oracles.</summary>
public class LibraryTests
{
    private static readonly double[] Points = [-30, -3.5, -2.5, -1.25, -0.3, -1e-9, 1e-9, 0.3, 1.25, 2.5, 3.5, 30];

    public static TheoryData<string, Func<Expr, Expr>, Func<double, double>> Elementwise { get; } = new()
    {
        { "elu", x => x.Elu(), x => x > 0 ? x : Expm1(x) },
        { "elu(0.5)", x => x.Elu(0.5), x => x > 0 ? x : 0.5 * Expm1(x) },
        { "selu", x => x.Selu(), x => 1.0507009873554804934 * (x > 0 ? x : 1.6732632423543772848 * Expm1(x)) },
        { "celu(2)", x => x.Celu(2), x => x > 0 ? x : 2 * Expm1(x / 2) },
        { "mish", x => x.Mish(), x => x * Math.Tanh(x > 20 ? x : Math.Exp(x) < 1e-5 ? Math.Exp(x) - (Math.Exp(2 * x) / 2) : Math.Log(1 + Math.Exp(x))) },
        { "softsign", x => x.Softsign(), x => x / (1 + Math.Abs(x)) },
        { "hard_sigmoid", x => x.HardSigmoid(), x => Math.Clamp((x + 3) / 6, 0, 1) },
        { "hard_swish", x => x.HardSwish(), x => x * Math.Clamp((x + 3) / 6, 0, 1) },
        { "tan", x => x.Tan(), Math.Tan },
    };

    [Theory]
    [MemberData(nameof(Elementwise))]
    public void A_function_of_each_element_has_its_value_and_both_derivatives(string name, Func<Expr, Expr> function, Func<double, double> formula)
    {
        var x = Expr.Variable("x", new Shape(Points.Length));
        var y = function(x);
        Near(Points.Select(formula), Value(y, (x, Points)), 1e-14);
        Differentiable(name, y, (x, Points));
    }

    /// <summary>Where two pieces meet, the derivative is that of the left piece, or of both where they agree.</summary>
    [Fact]
    public void Derivatives_at_zero_and_far_out()
    {
        Assert.Equal([1, 1], Slopes(x => x.Elu(), 0, 1000));
        Assert.Equal([0, 1], Slopes(x => x.Elu(), -1000, 1e300));
        Assert.Equal([1, 0], Slopes(x => x.Celu(3), 0, -1e6));
        Assert.Equal([0.6, 0, 1], Slopes(x => x.Mish(), 0, -1000, 1000));
        Assert.Equal([1, 0], Slopes(x => x.Softsign(), 0, 1e300));
        Assert.Equal([0.5, 0, 1], Slopes(x => x.HardSwish(), 0, -1000, 1000));
        Assert.Equal([0.0, 1, -1, 1, -1], Slopes(x => Losses.Huber(x, Expr.Vector(0.0, 0, 0, 0, 0), reduction: LossReduction.Sum), 0, 1, -1, 1e300, -1e300));
        Assert.Equal([0.0, -1], Slopes(x => Losses.Hinge(x, Expr.Vector(1.0, 1), reduction: LossReduction.Sum), 1, 0));
        Assert.Equal([0.0, 1, -1], Slopes(x => Losses.L1(x), 0, 2, -2));

        static double[] Slopes(Func<Expr, Expr> function, params double[] at)
        {
            var x = Expr.Variable("x", new Shape(at.Length));
            return Value(function(x).Sum().Grad(x), (x, at));
        }
    }

    [Fact]
    public void Gates_halve_an_axis()
    {
        var x = Expr.Variable("x", new Shape(2, 4));
        double[] at = [1, -2, 0.5, 3, -1, 4, 2, -0.25];
        Near([1 * Sigmoid(0.5), -2 * Sigmoid(3), -1 * Sigmoid(2), 4 * Sigmoid(-0.25)], Value(x.Glu(), (x, at)), 1e-15);
        Near([Swish(1) * 0.5, Swish(-2) * 3, Swish(-1) * 2, Swish(4) * -0.25], Value(x.Swiglu(), (x, at)), 1e-15);
        Near([1 * Sigmoid(-1), -2 * Sigmoid(4), 0.5 * Sigmoid(2), 3 * Sigmoid(-0.25)], Value(x.Glu(0), (x, at)), 1e-15);
        Differentiable("glu", x.Glu(), (x, at));
        Differentiable("swiglu", x.Swiglu(), (x, at));
        var named = Expr.Variable("h", new Shape("B", 2 * (Dim)"D"));
        Assert.Equal(new Shape("B", "D"), named.Glu().Shape);
        Assert.Contains("3 is odd", Assert.Throws<ShapeException>(() => Expr.Variable("h", new Shape(3)).Glu()).Message, StringComparison.Ordinal);
        Assert.Contains("2*D", Assert.Throws<ShapeException>(() => Expr.Variable("h", new Shape("D")).Swiglu()).Message, StringComparison.Ordinal);

        static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));
        static double Swish(double x) => x * Sigmoid(x);
    }

    [Fact]
    public void Tests_of_elements_know_what_is_special()
    {
        var x = Expr.Vector(double.NaN, double.PositiveInfinity, double.NegativeInfinity, 0, -1.5);
        Assert.Equal([1, 0, 0, 0, 0], Integers(x.IsNan()));
        Assert.Equal([0, 0, 0, 1, 1], Integers(x.IsFinite()));
        Assert.Equal([-1, 2, -0.0, 3], Value(Expr.Vector(-1.5, 1.5, -0.5, 3).Ceil()));
        Assert.Equal([1], Integers(Expr.Vector(2, -1, 5, -1).ArgMin()));
        Assert.Equal([0], Integers(x.ArgMin()));
        Assert.Equal([2], Integers(Expr.Vector(0, double.PositiveInfinity, double.NegativeInfinity, -1.5).ArgMin()));
        Assert.Equal([1], Integers(x.Any()));
        Assert.Equal([0], Integers(x.All()));
        Assert.Equal([0], Integers(Expr.Full(new Shape(0), 1).Any()));
        Assert.Equal([1], Integers(Expr.Full(new Shape(0), 1).All()));
        Assert.Equal([1, 0], Integers(Matrix(2, 2, 0, 1, 0, 0).GreaterThan(0).Any(1)));
        Assert.Equal(new Shape(1, 2), Matrix(2, 2, 0, 1, 0, 0).All(0, keep: true).Shape);
    }

    [Fact]
    public void Triangles_and_the_unit_matrix()
    {
        for (var k = -4; k <= 4; k++)
        {
            var x = Expr.Variable("x", new Shape(3, 4));
            var at = Enumerable.Range(1, 12).Select(i => (double)i).ToArray();
            Assert.Equal(at.Select((v, i) => (i % 4) - (i / 4) <= k ? v : 0), Value(x.Tril(k), (x, at)));
            Assert.Equal(at.Select((v, i) => (i % 4) - (i / 4) >= k ? v : 0), Value(x.Triu(k), (x, at)));
            Assert.Equal(at.Select((_, i) => (i % 4) - (i / 4) == k ? 1.0 : 0), Value(Tensors.Eye(3, 4, k)));
            Differentiable("tril", x.Tril(k) * x, (x, at));
        }

        Assert.Equal(DType.I64, Expr.Iota(new Shape(2, 2), 1).Tril().DType);
        Assert.Equal([1, 0, 1, 1], Integers(Expr.Full(new Shape(2, 2), 1, DType.Bool).Tril()));
        Assert.Equal(new Shape("B", "T", "T"), Expr.Variable("x", new Shape("B", "T", "T")).Triu().Shape);
        Assert.Contains("matrices", Assert.Throws<ShapeException>(() => Expr.Vector(1, 2).Tril()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_moves_elements_moves_gradients_back()
    {
        var x = Expr.Variable("x", new Shape(2, 3));
        double[] at = [1, 2, 3, 4, 5, 6];
        Same([3, 2, 1, 6, 5, 4], x.Flip(1));
        Same([6, 5, 4, 3, 2, 1], x.Flip());
        foreach (var (shift, expected) in new[] { (1, (double[])[3, 1, 2, 6, 4, 5]), (-1, [2, 3, 1, 5, 6, 4]), (4, [3, 1, 2, 6, 4, 5]), (-300, at), (int.MinValue, [3, 1, 2, 6, 4, 5]) })
            Same(expected, x.Roll(shift, 1));
        Same([4, 5, 6, 1, 2, 3], x.Roll(1, 0));
        Same([1, 4], x.Split(3, 1)[0]);
        Same([2, 3, 5, 6], x.Split([1, 2], 1)[1]);
        Same([9, 2, 9, 9, 5, 9], x.MaskedFill(Expr.Vector(1, 0, 1).GreaterThan(0), 9));
        Same([9, 1, 2, 3, 9, 4, 5, 6, 9, 9, 9, 9], x.Pad([(0, 1), (1, 0)], 9));
        Same([0, 1, 2, 3, 0, 4, 5, 6], x.Pad([(0, 0), (1, 0)]));
        Same([3, 1, 4, 6], x.Gather(Matrix(2, 2, 2, 0, 0, 2).Cast(DType.I64)));
        Same([4, 2, 6], x.Gather(Matrix(1, 3, 1, 0, 1).Cast(DType.I64), 0));
        Same([1, 2, 2, 4], x.SliceAxis(0, 0, 1).Reshape(new Shape(3)).SliceAxis(0, 0, 2).Outer(Expr.Vector(1, 2)));

        void Same(double[] expected, Expr y)
        {
            Assert.Equal(expected, Value(y, (x, at)));
            Differentiable(y.Op.Name, y * y, (x, at));
        }
    }

    public static TheoryData<string, Func<Expr>> Mistakes { get; } = new()
    {
        { "compare it, as in mask > 0", () => Expr.Vector(1, 2).MaskedFill(Expr.Vector(1, 0), 0) },
        { "must be a scalar", () => Expr.Vector(1, 2).MaskedFill(Expr.Vector(1, 0).GreaterThan(0), Expr.Vector(1, 2)) },
        { "[3] and [2] do not broadcast", () => Expr.Vector(1, 2).MaskedFill(Expr.Vector(1, 0, 2).GreaterThan(0), 0) },
        { "size 3, which 2 does not divide; give the sizes as a list", () => Expr.Vector(1, 2, 3).Split(2)[0] },
        { "name it 2*D", () => Expr.Variable("x", new Shape("D")).Split(2)[0] },
        { "[1, 1] add up to 2, and axis 0 of [3] has size 3", () => Expr.Vector(1, 2, 3).Split([1, 1])[0] },
        { "5 mod T is not known", () => Expr.Variable("x", new Shape("T")).Roll(5, 0) },
        { "must be whole numbers", () => Expr.Vector(1, 2).Gather(Expr.Vector(1, 0)) },
        { "must have the shape [2, 3], but for axis 1", () => Matrix(2, 3, 1, 2, 3, 4, 5, 6).Gather(Expr.Iota(new Shape(3, 3), 0)) },
        { "2 axes, and 1 pairs", () => Matrix(1, 1, 1).Pad([(1, 1)]) },
        { "must not be negative; slice to cut", () => Expr.Vector(1, 2).Pad([(-1, 0)]) },
        { "outer takes two vectors, not [1, 1] and [2]", () => Matrix(1, 1, 1).Outer(Expr.Vector(1, 2)) },
        { "alpha, which must not be 0", () => Expr.Vector(1).Celu(0) },
        { "bce: the labels must have the shape [2], not [1]", () => Losses.Bce(Expr.Vector(0.5, 0.5), Expr.Vector(1)) },
        { "must be positive, not 0", () => Losses.Huber(Expr.Vector(1), Expr.Vector(1), 0) },
        { "labels must be whole numbers", () => Losses.Nll(Matrix(1, 2, 0, 0), Expr.Vector(1)) },
        { "lack the axis of the 2 classes", () => Losses.Nll(Matrix(1, 2, 0, 0), Expr.Iota(new Shape(1, 2), 0)) },
        { "2 * target - 1", () => Losses.Hinge(Expr.Vector(1), Expr.Vector(1).GreaterThan(0)) },
        { "a scalar has none", () => Losses.Triplet(1, 1, 1) },
        { "takes at least one tensor", () => Losses.L2() },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void A_mistake_is_explained(string message, Func<Expr> make) =>
        Assert.Contains(message, Assert.ThrowsAny<GraphException>(make).Message, StringComparison.Ordinal);

    private static readonly double[] P = [0.2, 0.7, 0.5, 0.9];
    private static readonly double[] Y = [1, 0, 0.25, 1];
    private static readonly double[] W = [1, 2, 0, 0.5];

    public static TheoryData<string, Func<Expr, Expr, Expr?, LossReduction, Expr>, Func<int, double>> ElementLosses { get; } = new()
    {
        { "bce", (p, y, w, r) => Losses.Bce(p, y, w, r), i => -(Y[i] * Math.Log(P[i])) - ((1 - Y[i]) * Math.Log(1 - P[i])) },
        { "huber", (p, y, w, r) => Losses.Huber(p, y, 0.5, w, r), i => Math.Abs(P[i] - Y[i]) <= 0.5 ? 0.5 * Math.Pow(P[i] - Y[i], 2) : 0.5 * (Math.Abs(P[i] - Y[i]) - 0.25) },
        { "kl_div", (p, y, w, r) => Losses.KlDiv(p, y, w, r), i => Y[i] == 0 ? 0 : Y[i] * (Math.Log(Y[i]) - P[i]) },
        { "hinge", (p, y, w, r) => Losses.Hinge(p, (2 * y) - 1, w, r), i => Math.Max(0, 1 - (((2 * Y[i]) - 1) * P[i])) },
    };

    [Theory]
    [MemberData(nameof(ElementLosses))]
    public void A_loss_of_each_element_reduces_and_weighs(string name, Func<Expr, Expr, Expr?, LossReduction, Expr> loss, Func<int, double> formula)
    {
        var (p, y, w) = (Expr.Variable("p", new Shape(4)), Expr.Variable("y", new Shape(4)), Expr.Variable("w", new Shape(4)));
        (Expr, double[])[] at = [(p, P), (y, Y), (w, W)];
        var each = Enumerable.Range(0, 4).Select(formula).ToArray();
        Near(each, Value(loss(p, y, null, LossReduction.None), at), 1e-15);
        Near([each.Average()], Value(loss(p, y, null, LossReduction.Mean), at), 1e-15);
        Near([each.Sum()], Value(loss(p, y, null, LossReduction.Sum), at), 1e-15);
        Near(each.Zip(W, (e, f) => e * f), Value(loss(p, y, w, LossReduction.None), at), 1e-15);
        Near([each.Zip(W, (e, f) => e * f).Sum() / W.Sum()], Value(loss(p, y, w, LossReduction.Mean), at), 1e-15);
        Differentiable(name, loss(p, y, w, LossReduction.Mean), (p, P), (y, [0.9, 0.1, 0.25, 0.8]), (w, W));
    }

    [Fact]
    public void Losses_stay_finite_at_the_ends()
    {
        var p = Expr.Variable("p", new Shape(4));
        var bce = Losses.Bce(p, Expr.Vector(0, 1, 1, 0), reduction: LossReduction.None);
        var far = 126 * Math.Log(2);
        Near([0, 0, far, far], Value(bce, (p, [0, 1, 0, 1])), 1e-15);
        Assert.All(Value(bce.Sum().Grad(p), (p, [0, 1, 0, 1])), g => Assert.True(double.IsFinite(g)));
        Assert.True(double.IsNaN(Value(bce, (p, [0, 1, 1.5, 0]))[2]));
        var logits = Expr.Variable("z", new Shape(2));
        Assert.Equal([1000, 1000], Value(Losses.Bce(logits.Sigmoid(), Expr.Vector(0.0, 1), reduction: LossReduction.None), (logits, [1000, -1000])));
        var q = Expr.Variable("q", new Shape(2));
        var kl = Losses.KlDiv(q, Expr.Vector(0.0, 1), reduction: LossReduction.Sum);
        Assert.Equal([0], Value(kl, (q, [double.NegativeInfinity, 0])));
        Assert.Equal([0, -1], Value(kl.Grad(q), (q, [double.NegativeInfinity, 0])));
        var same = Losses.Triplet(p, p, p + 1, reduction: LossReduction.Sum) + Losses.CosineSimilarity(p, p, reduction: LossReduction.Sum);
        Assert.All(Value(same.Grad(p), (p, [0, 0, 0, 0])), g => Assert.True(double.IsFinite(g)));
    }

    [Fact]
    public void Losses_of_rows()
    {
        var (a, b, c) = (Expr.Variable("a", new Shape(2, 3)), Expr.Variable("b", new Shape(2, 3)), Expr.Variable("c", new Shape(2, 3)));
        double[][] rows = [[1, 2, -1, 0.5, 0.25, 3], [0, 1, 1, -2, 1, 1], [2, 2, 0, 0.5, 1, 2]];
        (Expr, double[])[] at = [(a, rows[0]), (b, rows[1]), (c, rows[2])];
        double[] weights = [1, 3];
        double[] cosine = [.. new[] { 0, 3 }.Select(r => 1 - (Dot(0, 1, r) / Math.Sqrt(Dot(0, 0, r) * Dot(1, 1, r))))];
        Near(cosine, Value(Losses.CosineSimilarity(a, b, reduction: LossReduction.None), at), 1e-15);
        Near([((cosine[0] * 1) + (cosine[1] * 3)) / 4], Value(Losses.CosineSimilarity(a, b, Expr.Vector(weights)), at), 1e-15);
        Differentiable("cosine_similarity_loss", Losses.CosineSimilarity(a, b), at);

        double[] triplet = [.. new[] { 0, 3 }.Select(r => Math.Max(0, Distance(0, 1, r) - Distance(0, 2, r) + 0.5))];
        Near(triplet, Value(Losses.Triplet(a, b, c, 0.5, reduction: LossReduction.None), at), 1e-15);
        Near([triplet.Average()], Value(Losses.Triplet(a, b, c, 0.5), at), 1e-15);
        Differentiable("triplet", Losses.Triplet(a, b, c, 0.5), at);

        var labels = Matrix(1, 2, 2, 7).Reshape(new Shape(2)).Cast(DType.I64);
        Near([1], Value(Losses.Nll(a, labels, ignore: 7), at), 1e-15);
        Near([1, 0], Value(Losses.Nll(a, labels, ignore: 7, reduction: LossReduction.None), at), 1e-15);
        var cross = Losses.CrossEntropy(a, labels, ignore: 7, weight: Expr.Vector(weights));
        Near(Value(cross, at), Value(Losses.Nll(a.LogSoftmax(), labels, ignore: 7, weight: Expr.Vector(weights)), at), 1e-15);
        Differentiable("nll", Losses.Nll(a.LogSoftmax(), labels, ignore: 7), at);

        Near([rows[0].Sum(Math.Abs) + rows[1].Sum(Math.Abs)], Value(Losses.L1(a, b), at), 1e-15);
        Near([Dot(0, 0, 0) + Dot(0, 0, 3) + Dot(1, 1, 0) + Dot(1, 1, 3)], Value(Losses.L2(a, b), at), 1e-15);
        Differentiable("l2", Losses.L2(a, b), at);

        double Dot(int x, int y, int from) => Enumerable.Range(from, 3).Sum(i => rows[x][i] * rows[y][i]);
        double Distance(int x, int y, int from) => Math.Sqrt(Enumerable.Range(from, 3).Sum(i => Math.Pow(rows[x][i] - rows[y][i], 2)));
    }

    [Fact]
    public void Norms_have_mean_zero_and_variance_one_over_what_they_name()
    {
        double[] at = [.. Enumerable.Range(0, 2 * 3 * 4).Select(i => Math.Sin(3.7 * i) + (0.1 * i))];
        Check(Layers.GroupNorm(2), (i, j) => i / 12 == j / 12 && i % 4 / 2 == j % 4 / 2);
        Check(Layers.GroupNorm(1), (i, j) => i / 12 == j / 12);
        Check(Layers.InstanceNorm(), (i, j) => i / 12 == j / 12 && i % 4 == j % 4);
        Check(Layers.LayerNorm(), (i, j) => i / 4 == j / 4);

        void Check(Layer layer, Func<int, int, bool> together)
        {
            var (y, model) = Applied(layer, new Shape(2, 3, 4));
            Assert.Equal(["weight [4]", "bias [4]"], model.Parameters.Select(p => $"{p.Path[(p.Path.IndexOf('.') + 1)..]} {p.Shape}"));
            (Expr, double[])[] point = [(model.Inputs[0].Value, at), (model.Parameters[0].Variable, [2, 2, 2, 2]), (model.Parameters[1].Variable, [1, 1, 1, 1])];
            Near(at.Select((x, i) =>
            {
                var peers = at.Where((_, j) => together(i, j)).ToArray();
                return (2 * (x - peers.Average()) / Math.Sqrt(peers.Average(p => Math.Pow(p - peers.Average(), 2)) + 1e-5)) + 1;
            }), Value(y, point), 1e-12);
            Differentiable(layer.Kind, (y * Expr.Iota(new Shape(2, 3, 4), 2).Cast(DType.Float)).Sum(), point);
        }
    }

    [Fact]
    public void Positions_are_added_to_sequences()
    {
        var (y, model) = Applied(Layers.SinusoidalPositions(), new Shape("B", "T", 4));
        var x = model.Inputs[0].Value;
        var value = Reference.Evaluate([y], new Dictionary<Expr, RefValue<double>> { [x] = RefValue<double>.Zeros([2, 3, 4], true) })[0].Reals!;
        for (var i = 0; i < value.Length; i++)
        {
            var angle = i % 12 / 4 / Math.Pow(10000, i % 4 / 2 * 2 / 4.0);
            Assert.Equal(i % 2 == 0 ? Math.Sin(angle) : Math.Cos(angle), value[i], 1e-15);
        }

        foreach (var length in (Dim[])["T", 3])
        {
            (y, model) = Applied(Layers.PositionalEmbedding(3), new Shape(1, length, 2));
            double[] weight = [1, 2, 3, 4, 5, 6];
            var point = new Dictionary<Expr, RefValue<double>> { [model.Inputs[0].Value] = RefValue<double>.Of([1, 3, 2], [10.0, 20, 30, 40, 50, 60]), [model.Parameters[0].Variable] = RefValue<double>.Of([3, 2], weight) };
            Assert.Equal([11, 22, 33, 44, 55, 66], Reference.Evaluate([y], point)[0].Reals!);
            if (!length.IsKnown)
                Assert.Throws<IndexException>(() => Reference.Evaluate([y], new Dictionary<Expr, RefValue<double>>(point) { [model.Inputs[0].Value] = RefValue<double>.Zeros([1, 4, 2], true) }));
        }

        foreach (var (layer, shape, message) in new (Layer, Shape, string)[]
        {
            (Layers.PositionalEmbedding(3), new Shape(1, 4, 2), "4 positions, and max_len is 3"),
            (Layers.SinusoidalPositions(), new Shape(1, 4, 3), "is odd"),
            (Layers.SinusoidalPositions(), new Shape(4), "takes sequences"),
            (Layers.GroupNorm(3), new Shape(1, 4), "4 channels of [1, 4] do not divide into 3 groups"),
            (Layers.InstanceNorm(), new Shape(1, 4), "layer_norm normalizes vectors"),
        })
        {
            Assert.Contains(message, Assert.Throws<ShapeException>(() => Applied(layer, shape)).Message, StringComparison.Ordinal);
        }
    }

    private static (Expr Value, Model Model) Applied(Layer layer, Shape shape)
    {
        var model = Model.Build("M", m => m.Output("y", layer.Apply(m.Input("x", [.. shape.Dims]))));
        return (model.Outputs[0].Value, model);
    }

    /// <summary>Σ xᵏ/k! near 0, where eˣ − 1 cancels.</summary>
    private static double Expm1(double x) => Math.Abs(x) < 1e-5 ? x + (x * x / 2) + (x * x * x / 6) : Math.Exp(x) - 1;

    private static Expr Matrix(int rows, int columns, params double[] values) => Expr.Vector(values).Reshape(new Shape(rows, columns));

    private static void Near(IEnumerable<double> expected, double[] actual, double tolerance)
    {
        Assert.Equal(expected.Count(), actual.Length);
        foreach (var (e, a) in expected.Zip(actual))
            Assert.InRange(Math.Abs(a - e), 0, tolerance * Math.Max(Math.Abs(e), 1e-3));
    }

    private static void Differentiable(string name, Expr y, params (Expr Variable, double[] Numbers)[] at)
    {
        var used = Expr.PostOrder([y]).ToHashSet();
        var known = at.Where(v => used.Contains(v.Variable)).ToArray();
        var report = GradientChecker.Check(y, [.. known.Select(v => v.Variable)], Point(known), new GradientCheckOptions(Order: 2));
        Assert.True(report.Passed, $"{name}: {report}");
    }
}
