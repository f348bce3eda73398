using System.Collections.Immutable;
using Dnn.Backend;
using Dnn.Graph;

namespace Dnn.Claims;

/// <summary>What follows from the equations alone: exact, in double precision.</summary>
internal static class Algebra
{
    private static PlanOptions Double => Lab.Double;

    public static ImmutableArray<Claim> Claims { get; } =
    [
        new("linear", "Two linear layers in series are one: W = W₁W₂, b = b₁W₂ + b₂.", "matrix algebra", _ => TwoLinearLayers()),
        new("bias-free", "A network without biases answers σ(0) = 0.5 for an all-zero input, whatever its weights.", "matrix algebra", _ => BiasFree()),
        new("powers", "A gradient through L linear steps of gain a is a^L: 0.9^L vanishes, 1.1^L explodes.", "Hochreiter 1991; Bengio et al. 1994", _ => Powers()),
        new("jacobians", "The Jacobian of a chain is the product of its layers' Jacobians; a residual block's is I + ∂F/∂h.", "chain rule; He et al. 2016", _ => Jacobians()),
        new("logits", "Cross entropy from logits of 1000 is finite by log-sum-exp; by way of softmax it is not.", "Blanchard et al. 2021", _ => Logits()),
        new("parameters", "A dense layer on a 32×32×3 image has 178 times the parameters of a 3×3 convolution with 64 filters.", "counting", _ => Parameters()),
        new("factorized", "A 100×100 map through a bottleneck of 2 has 400 parameters instead of 10,000, and rank 2.", "counting", _ => Factorized()),
    ];

    private static Tensor Normal(string name, params int[] shape) => Lab.Normal(name, 1, shape);

    private static IEnumerable<Line> TwoLinearLayers()
    {
        var model = Model.Build("Two", m => m.Output("y", m.Input("x", "B", 5).Dense(7, biasInit: Initializers.Normal(1)).Dense(3, biasInit: Initializers.Normal(1))));
        var weights = Dnn.Backend.Initialization.Sample(model, 1, DType.F64);
        var x = Normal("x", 20, 5);
        var y = new Predictor(model, weights, Double).Predict(("x", x))["y"];

        Expr W(string path) => model.Parameters.Single(p => p.Path == path).Variable;
        var values = model.Parameters.ToDictionary(p => p.Variable, p => weights[p.Path]);
        var input = Expr.Variable("x", new Shape(20, 5));
        values[input] = x;
        var product = W("dense_0.weight").MatMul(W("dense_1.weight"));
        var one = Evaluator.Evaluate([input.MatMul(product) + (W("dense_0.bias").MatMul(W("dense_1.weight")) + W("dense_1.bias"))], values, Double)[0];
        yield return Line.Between("largest difference over 20 inputs", 0, 1e-12, Lab.Largest(y, one));
        yield return Line.Equal("parameters, two layers", 5 * 7 + 7 + 7 * 3 + 3, model.ParameterCount);
        yield return Line.Show("parameters, one layer", 5 * 3 + 3);
    }

    private static IEnumerable<Line> BiasFree()
    {
        foreach (var depth in new[] { 1, 3, 10 })
        {
            var model = Model.Build("BiasFree", m =>
            {
                var h = m.Input("x", "B", 8);
                for (var i = 0; i < depth; i++)
                    h = h.Dense(16, bias: false).Relu();
                m.Output("p", h.Dense(1, bias: false).Sigmoid());
            });
            var p = new Predictor(model, Dnn.Backend.Initialization.Sample(model, depth, DType.F64), Double).Predict(("x", Tensor.Zeros(DType.F64, 1, 8)))["p"];
            yield return Line.Equal($"answer for x = 0, {depth} hidden layers", 0.5, p.ToScalar());
        }
    }

    private static IEnumerable<Line> Powers()
    {
        foreach (var gain in new[] { 0.9, 1.0, 1.1 })
        {
            foreach (var depth in new[] { 10, 50, 200 })
            {
                var x = Expr.Variable("x", Shape.Scalar);
                var h = x;
                for (var i = 0; i < depth; i++)
                    h *= gain;
                var slope = Evaluator.Evaluate([h.Grad(x)], new Dictionary<Expr, Tensor> { [x] = Tensor.Scalar(1.0) }, Double)[0].ToScalar();
                var predicted = Math.Pow(gain, depth);
                yield return new Line($"gain {gain}, {depth} steps", Line.Text(predicted), Line.Text(slope), Math.Abs(slope / predicted - 1) < 1e-12);
            }
        }
    }

    private static IEnumerable<Line> Jacobians()
    {
        const int n = 6;
        var x = Expr.Variable("x", new Shape(n));
        var hidden = new List<Expr> { x };
        var values = new Dictionary<Expr, Tensor> { [x] = Normal("x", n) };
        for (var layer = 0; layer < 4; layer++)
        {
            var w = Expr.Variable($"w{layer}", new Shape(n, n));
            values[w] = Normal($"w{layer}", n, n);
            hidden.Add((hidden[^1].MatMul(w) * 0.5).Tanh());
        }

        var factors = hidden.Skip(1).Zip(hidden, (y, from) => y.Jacobian(from)).ToArray();
        var product = factors.Skip(1).Aggregate(factors[0], (done, next) => next.MatMul(done));
        var results = Evaluator.Evaluate([product, hidden[^1].Jacobian(x)], values, Double);
        yield return Line.Between("product of four layers' Jacobians − end-to-end Jacobian, largest element", 0, 1e-12, Lab.Largest(results[0], results[1]));

        var block = hidden[0] + hidden[1];
        results = Evaluator.Evaluate([Tensors.Eye(n) + hidden[1].Jacobian(x), block.Jacobian(x)], values, Double);
        yield return Line.Between("I + ∂F/∂h − Jacobian of h + F(h), largest element", 0, 1e-12, Lab.Largest(results[0], results[1]));
    }

    private static IEnumerable<Line> Logits()
    {
        var logits = Expr.Variable("logits", new Shape(1, 3));
        var label = Expr.Variable("label", new Shape(1), DType.I64);
        var values = new Dictionary<Expr, Tensor> { [logits] = Tensor.Create(new double[,] { { 1000, 1000, -1000 } }), [label] = Tensor.Create(new long[] { 0 }) };
        var loss = Losses.CrossEntropy(logits, label);
        // What a program computes that knows no better: exponentials first.
        var naive = -(logits.Exp() / logits.Exp().Sum()).Log().SliceAxis(1, 0, 1).Sum();
        yield return Line.Equal("cross entropy of [1000, 1000, −1000], class 0: log 2", Math.Log(2), Evaluator.Evaluate([loss], values, Double)[0].ToScalar());
        yield return Line.Equal("its gradient for class 0: p − 1", -0.5, Evaluator.Evaluate([loss.Grad(logits)], values, Double)[0][0, 0]);
        var bad = Evaluator.Evaluate([naive], values, Double)[0].ToScalar();
        yield return new Line("−log(exp x / Σ exp x)", "not a number", Line.Text(bad), double.IsNaN(bad));
    }

    private static IEnumerable<Line> Parameters()
    {
        var dense = Model.Build("Dense", m => m.Output("y", m.Input("x", "B", 32, 32, 3).Reshape(new Shape("B", 3072)).Dense(100, bias: false)));
        var convolution = Model.Build("Convolution", m => m.Output("y", m.Input("x", "B", 32, 32, 3).Conv2d(64, 3, bias: false)));
        yield return Line.Equal("dense(100) on 3,072 numbers", 307_200, dense.ParameterCount);
        yield return Line.Equal("conv2d(64, 3) on 3 channels", 1_728, convolution.ParameterCount);
        yield return Line.Equal("ratio", 178, Math.Round((double)dense.ParameterCount / convolution.ParameterCount));
    }

    private static IEnumerable<Line> Factorized()
    {
        var full = Model.Build("Full", m => m.Output("y", m.Input("x", "B", 100).Dense(100, bias: false)));
        var narrow = Model.Build("Narrow", m => m.Output("y", m.Input("x", "B", 100).Dense(2, bias: false).Dense(100, bias: false)));
        yield return Line.Equal("100 → 100", 10_000, full.ParameterCount);
        yield return Line.Equal("100 → 2 → 100", 400, narrow.ParameterCount);
        var weights = Dnn.Backend.Initialization.Sample(narrow, 1, DType.F64);
        var product = weights["dense_0.weight"].AsMatrix<double>() * weights["dense_1.weight"].AsMatrix<double>();
        yield return Line.Equal("rank of the product", 2, product.Rank());
    }
}
