using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

public static partial class Catalog
{
    private static IEnumerable<CatalogEntry> Functions()
    {
        const string Weighted = ", weight = none, reduction: mean|sum|none = mean";
        static CatalogEntry Loss(string name, string signature, string equation, string shapes, string use, Func<Args, Expr> make) =>
            Row(CatalogKind.Loss, name, signature, equation, shapes, use, make);
        return
        [
            Elementwise("relu", "max(x, 0)", "relu'(0) = 0.", x => x.Relu()),
            Function("leaky_relu", "x, slope: float = 0.01", "x for x > 0, slope · x elsewhere", "[...] → [...]", "Units cannot die (Maas et al. 2013).", a => a.Tensor("x").LeakyRelu(a.Float("slope"))),
            Elementwise("sigmoid", "1 / (1 + e^(−x))", "A probability from a logit; with a loss, keep the logit and use bce_with_logits.", x => x.Sigmoid()),
            Elementwise("tanh", "tanh x", "", x => x.Tanh()),
            Function("softmax", "x, axis: int = -1", "e^xᵢ / Σ e^xⱼ along the axis", "[...] → [...]", "Shifted by the maximum, so that nothing overflows; with a loss, keep the logits and use cross_entropy.", a => a.Tensor("x").Softmax(a.Int("axis"))),
            Function("log_softmax", "x, axis: int = -1", "xᵢ − log Σ e^xⱼ along the axis", "[...] → [...]", "", a => a.Tensor("x").LogSoftmax(a.Int("axis"))),
            Function("swish", "x, beta: float = 1", "x · σ(βx)", "[...] → [...]", "Smooth, slightly better than ReLU in deep nets (Ramachandran et al. 2017).", a => a.Tensor("x").Swish(a.Float("beta"))),
            Function("silu", "x, beta: float = 1", "x · σ(βx)", "[...] → [...]", "Another name of swish.", a => a.Tensor("x").Swish(a.Float("beta"))),
            Function("gelu", "x, approximate: none|tanh = none", "x · Φ(x)", "[...] → [...]", "The activation of Transformers (Hendrycks and Gimpel 2016); `tanh` is the approximation of BERT and GPT.", a => a.Text("approximate") == "tanh" ? a.Tensor("x").GeluTanh() : a.Tensor("x").Gelu()),
            Elementwise("softplus", "log(1 + eˣ)", "A smooth ReLU; positive.", x => x.Softplus()),
            Function("elu", "x, alpha: float = 1", "x for x > 0, alpha · (eˣ − 1) elsewhere", "[...] → [...]", "Means nearer 0 than with ReLU (Clevert et al. 2016).", a => a.Tensor("x").Elu(a.Float("alpha"))),
            Elementwise("selu", "1.0507 · x for x > 0, 1.0507 · 1.6733 · (eˣ − 1) elsewhere", "Keeps mean 0 and variance 1 over depth after `lecun_normal`, without norms (Klambauer et al. 2017).", x => x.Selu()),
            Function("celu", "x, alpha: float = 1", "x for x > 0, alpha · (e^(x/alpha) − 1) elsewhere", "[...] → [...]", "An ELU whose derivative is continuous at every alpha (Barron 2017).", a => a.Tensor("x").Celu(a.Float("alpha"))),
            Elementwise("mish", "x · tanh(log(1 + eˣ))", "Much like swish (Misra 2019).", x => x.Mish()),
            Elementwise("softsign", "x / (1 + |x|)", "Saturates slower than tanh (Bergstra et al. 2009).", x => x.Softsign()),
            Elementwise("hard_sigmoid", "min(max(x/6 + ½, 0), 1)", "A sigmoid of straight lines, for small machines (Howard et al. 2019).", x => x.HardSigmoid()),
            Elementwise("hard_swish", "x · hard_sigmoid(x)", "A swish of straight lines and a parabola (Howard et al. 2019).", x => x.HardSwish()),
            Function("glu", "x, axis: int = -1", "a · σ(b), a and b the halves of x along the axis", "[..., 2·D] → [..., D]", "A gate for each channel (Dauphin et al. 2017).", a => a.Tensor("x").Glu(a.Int("axis"))),
            Function("swiglu", "x, axis: int = -1", "swish(a) · b, a and b the halves of x along the axis", "[..., 2·D] → [..., D]", "The gate of recent Transformers (Shazeer 2020).", a => a.Tensor("x").Swiglu(a.Int("axis"))),
            Elementwise("exp", "eˣ", "", x => x.Exp()),
            Elementwise("log", "log x", "−∞ at 0, NaN below.", x => x.Log()),
            Elementwise("log1p", "log(1 + x)", "Exact near 0.", x => x.Log1p()),
            Elementwise("expm1", "eˣ − 1", "Exact near 0.", x => x.Expm1()),
            Elementwise("sqrt", "√x", "The derivative at 0 is infinite.", x => x.Sqrt()),
            Elementwise("rsqrt", "1 / √x", "", x => x.Rsqrt()),
            Elementwise("abs", "|x|", "abs'(0) = 0.", x => x.Abs()),
            Elementwise("sign", "−1, 0 or 1", "No gradient passes.", x => x.Sign()),
            Elementwise("sin", "sin x", "", x => x.Sin()),
            Elementwise("cos", "cos x", "", x => x.Cos()),
            Elementwise("tan", "sin x / cos x", "", x => x.Tan()),
            Elementwise("erf", "2/√π ∫₀ˣ e^(−t²) dt", "", x => x.Erf()),
            Elementwise("square", "x²", "", x => x.Square()),
            Elementwise("floor", "⌊x⌋", "No gradient passes.", x => x.Floor()),
            Elementwise("ceil", "⌈x⌉", "No gradient passes.", x => x.Ceil()),
            Function("is_nan", "x", "x is not a number", "[...] → bool[...]", "", a => a.Tensor("x").IsNan()),
            Function("is_finite", "x", "x is neither infinite nor NaN", "[...] → bool[...]", "", a => a.Tensor("x").IsFinite()),
            Elementwise("round", "the nearest whole number, ties to even", "No gradient passes.", x => x.Round()),
            Elementwise("stop_gradient", "x, through which no gradient passes", "", x => x.StopGradient()),
            Elementwise("zeros_like", "0 in the shape and type of x", "", x => x.ZerosLike()),
            Elementwise("ones_like", "1 in the shape and type of x", "", x => x.OnesLike()),
            Function("pow", "x, y", "x^y", "shapes broadcast", "The same as x ** y.", a => Expr.Pow(a.Tensor("x"), a.Tensor("y"))),
            Function("maximum", "x, y", "max(x, y) by element", "shapes broadcast", "A tie splits the gradient evenly.", a => a.Tensor("x").Max(a.Tensor("y"))),
            Function("minimum", "x, y", "min(x, y) by element", "shapes broadcast", "A tie splits the gradient evenly.", a => a.Tensor("x").Min(a.Tensor("y"))),
            Function("clamp", "x, min = none, max = none", "min(max(x, min), max)", "shapes broadcast", "", a => a.Tensor("x").Clamp(a.OptionalTensor("min"), a.OptionalTensor("max"))),
            Function("where", "c, x, y", "x where c holds, else y", "shapes broadcast; c is bool[...]", "Both are computed. Where one would be infinite or NaN, replace its argument too.",
                a => Expr.Where(a.Tensor("c"), a.Tensor("x"), a.Tensor("y"))),

            Reduction("sum", "Σ x", "bool counts as float.", (x, axes, keep) => x.Sum(axes, keep)),
            Reduction("mean", "Σ x / n", "", (x, axes, keep) => x.Mean(axes, keep)),
            Reduction("max", "the largest x", "A tie splits the gradient evenly. Of two tensors: maximum.", (x, axes, keep) => x.ReduceMax(axes, keep)),
            Reduction("min", "the smallest x", "Of two tensors: minimum.", (x, axes, keep) => x.ReduceMin(axes, keep)),
            Reduction("var", "Σ (x − mean)² / n", "", (x, axes, keep) => x.Var(axes, keep)),
            Reduction("std", "√var", "Its derivative is 0 where it is 0.", (x, axes, keep) => x.Std(axes, keep)),
            Reduction("norm", "√Σ x²", "Its derivative at 0 is 0.", (x, axes, keep) => x.Norm(axes, keep)),
            Reduction("logsumexp", "log Σ eˣ", "Does not overflow.", (x, axes, keep) => x.LogSumExp(axes, keep)),
            Function("argmax", "x, axis: int = -1, keep: bool = false", "the first index of the largest x along the axis", "[...] → int, without the axis", "No gradient passes.",
                a => a.Bool("keep") ? a.Tensor("x").ArgMax(a.Int("axis")).ExpandDims(a.Tensor("x").Shape.Axis(a.Int("axis"))) : a.Tensor("x").ArgMax(a.Int("axis"))),
            Function("argmin", "x, axis: int = -1, keep: bool = false", "the first index of the smallest x along the axis", "[...] → int, without the axis", "No gradient passes.",
                a => a.Bool("keep") ? a.Tensor("x").ArgMin(a.Int("axis")).ExpandDims(a.Tensor("x").Shape.Axis(a.Int("axis"))) : a.Tensor("x").ArgMin(a.Int("axis"))),
            Reduction("any", "whether an x is true, or not 0", "Of none, false. Gives bool.", (x, axes, keep) => x.Any(axes, keep)),
            Reduction("all", "whether all x are true, or not 0", "Of none, true. Gives bool.", (x, axes, keep) => x.All(axes, keep)),

            Function("matmul", "x, y", "Σₖ x[…, i, k] · y[…, k, j]", "[..., I, K] with [..., K, J] → [..., I, J]", "The same as x @ y.", a => a.Tensor("x").MatMul(a.Tensor("y"))),
            Function("reshape", "x, shape: shape", "the same elements in row-major order", "[...] → shape; one size may be −1", "", a => Reshape(a.Tensor("x"), a.Shape("shape")!)),
            Function("flatten", "x, start: int = 1", "axes from start on become one", "[B, ...] → [B, product]", "", a => a.Tensor("x").Flatten(a.Int("start"))),
            Pool("max_pool1d", "the largest x", "[B, T, C] → [B, T′, C]", (x, window, stride, padding) => x.MaxPool1d(window, stride, padding)),
            Pool("max_pool2d", "the largest x", "[B, H, W, C] → [B, H′, W′, C]", (x, window, stride, padding) => x.MaxPool2d(window, stride, padding)),
            Pool("avg_pool1d", "the mean of x", "[B, T, C] → [B, T′, C]", (x, window, stride, padding) => x.AvgPool1d(window, stride, padding)),
            Pool("avg_pool2d", "the mean of x", "[B, H, W, C] → [B, H′, W′, C]", (x, window, stride, padding) => x.AvgPool2d(window, stride, padding)),
            Function("global_avg_pool", "x", "the mean over all axes between the first and the last", "[B, ..., C] → [B, C]", "Instead of flattening before the last layer (Lin et al. 2014).", a => a.Tensor("x").GlobalAvgPool()),
            Function("global_max_pool", "x", "the largest x over all axes between the first and the last", "[B, ..., C] → [B, C]", "", a => a.Tensor("x").GlobalMaxPool()),
            Function("transpose", "x, axes: axis = none", "axis i of the result is axis axes[i] of x", "all axes reversed, unless given", "",
                a => a.AxisList("axes") is { } axes ? Transpose(a.Tensor("x"), axes) : a.Tensor("x").Transpose()),
            Function("swapaxes", "x, a: int, b: int", "exchanges two axes", "[..., A, ..., B, ...] → [..., B, ..., A, ...]", "", a => a.Tensor("x").SwapAxes(a.Int("a"), a.Int("b"))),
            Function("squeeze", "x, axis: int", "x without an axis of size 1", "[..., 1, ...] → [..., ...]", "", a => a.Tensor("x").Squeeze(a.Int("axis"))),
            Function("expand_dims", "x, axis: int", "x with a new axis of size 1", "[..., ...] → [..., 1, ...]", "", a => ExpandDims(a.Tensor("x"), a.Int("axis"))),
            Function("broadcast_to", "x, shape: shape", "x repeated along axes of size 1 and missing ones", "[...] → shape", "", a => a.Tensor("x").BroadcastTo(a.Shape("shape")!)),
            Function("concat", "tensors: tensors, axis: int = 0", "tensors one after another along an axis", "sizes are equal but for the axis", "", a => Concat(a.Tensors("tensors"), a.Int("axis"))),
            Function("stack", "tensors: tensors, axis: int = 0", "tensors along a new axis", "[...] each → with an axis of their number", "",
                a => Stack(a.Tensors("tensors"), a.Int("axis"))),
            Function("take", "x, indices: integers, axis: int = 0", "the slices of x at indices along the axis", "[..., N, ...] at int[...] → the indices' shape in place of N", "An index out of range is an error while running.",
                a => a.Tensor("x").Take(a.Tensor("indices"), a.Int("axis"))),
            Function("one_hot", "x: integers, classes: size", "1 where the class is, 0 elsewhere", "int[...] → [..., classes]", "", a => a.Tensor("x").OneHot(a.Size("classes"))),
            Function("masked_fill", "x, mask, value", "value where the mask holds, x elsewhere", "[...]; mask is bool and broadcasts to x; value []", "For attention, fill with −inf before softmax.",
                a => a.Tensor("x").MaskedFill(a.Tensor("mask"), a.Tensor("value"))),
            Row(CatalogKind.Function, "split", "x, parts: any, axis: int = 0", "the parts of x along the axis", "parts: how many equal ones, or a list of their sizes → a list of tensors", "`let (q, k, v) = split(x, 3, axis = -1)`",
                a => Split(a.Tensor("x"), a.Any("parts"), a.Int("axis"))),
            Function("slice", "x, start: size, stop: size = none, axis: int = 0, step: int = 1", "every step-th element from start up to but without stop", "[..., N, ...] → [..., ⌈(stop − start)/step⌉, ...]",
                "The same as x[start:stop:step] on an axis: negative ends count from the end, ends beyond the axis are clamped.", a => Slice(a.Tensor("x"), a.Size("start"), a.OptionalSize("stop"), a.Int("axis"), a.Int("step"))),
            Function("flip", "x, axis: axis = all", "x in reverse order along the axes", "[...] → [...]", "", a => a.Tensor("x").Flip(a.Axis("axis"))),
            Function("roll", "x, shift: int, axis: int = none", "y[i] = x[(i − shift) mod n] along the axis", "[...] → [...]", "Without an axis, of the elements in row-major order.",
                a => a.OptionalInt("axis") is { } axis ? a.Tensor("x").Roll(a.Int("shift"), axis) : a.Tensor("x").Reshape(new Shape(a.Tensor("x").Shape.ElementCount)).Roll(a.Int("shift"), 0).Reshape(a.Tensor("x").Shape)),
            Function("gather", "x, indices: integers, axis: int = -1", "y[…, i, …] = x[…, indices[…, i, …], …] along the axis", "[..., N, ...] at int[..., M, ...] → [..., M, ...]",
                "One element an index, as numpy.take_along_axis; `take` takes whole slices. An index out of range is an error while running.", a => a.Tensor("x").Gather(a.Tensor("indices"), a.Int("axis"))),
            Function("pad", "x, widths: any, value: float = 0", "x with a border of the value", "[N, ...] → [before + N + after, ...]",
                "widths: a size for all borders, (before, after) for all axes, or such a pair for each axis, as numpy.pad.", a => Pad(a.Tensor("x"), a.Any("widths"), a.Float("value"))),
            Function("outer", "x, y", "xᵢ · yⱼ", "[I] with [J] → [I, J]", "", a => a.Tensor("x").Outer(a.Tensor("y"))),
            Function("tril", "x, k: int = 0", "x where column − row ≤ k, 0 elsewhere", "[..., R, C] → [..., R, C]", "The lower triangle: a causal mask is tril(ones([T, T])) > 0.", a => a.Tensor("x").Tril(a.Int("k"))),
            Function("triu", "x, k: int = 0", "x where column − row ≥ k, 0 elsewhere", "[..., R, C] → [..., R, C]", "The upper triangle.", a => a.Tensor("x").Triu(a.Int("k"))),
            Function("eye", "n: size, m: size = none, k: int = 0", "1 where column − row = k, 0 elsewhere", "→ [n, m]; [n, n] unless m is given", "", a => Tensors.Eye(a.Size("n"), a.OptionalSize("m"), a.Int("k"))),
            Row(CatalogKind.Function, "zeros", "shape: shape = none", "0", "→ shape", "Without a shape, an initializer.", a => a.Shape("shape") is { } shape ? Expr.Full(shape, 0) : Initializers.Zeros),
            Row(CatalogKind.Function, "ones", "shape: shape = none", "1", "→ shape", "Without a shape, an initializer.", a => a.Shape("shape") is { } shape ? Expr.Full(shape, 1) : Initializers.Ones),
            Function("full", "shape: shape, value", "value", "→ shape", "", a => a.Tensor("value").BroadcastTo(a.Shape("shape")!)),
            Function("iota", "n: size", "0, 1, … n − 1", "→ int[n]", "", a => Expr.Iota(new Shape(a.Size("n")), 0)),
            Function("cast", "x, to: dtype", "x in another element type; floats to int drop the fraction", "[...] → [...]", "", a => a.Tensor("x").Cast(a.DType("to"))),

            Function("random.normal", "shape: shape, mean: float = 0, std: float = 1, key: integers = none", "mean + std · N(0, 1)", "→ shape", "The key is made of seed, step and place, so that two draws differ and a `let` is one draw; one that is given (prim.rng_fold makes one of another and a number) gives the same numbers wherever it is used.",
                a => a.Float("mean") + (a.Float("std") * Rng.Normal(a.RandomKey(), a.Shape("shape")!))),
            Function("random.uniform", "shape: shape, lo: float = 0, hi: float = 1, key: integers = none", "U[lo, hi)", "→ shape", "",
                a => a.Float("lo") + ((a.Float("hi") - a.Float("lo")) * Rng.Uniform(a.RandomKey(), a.Shape("shape")!))),
            Function("random.bernoulli", "shape: shape, p: float = 0.5, key: integers = none", "true with probability p", "→ bool, shape", "", a => Rng.Bernoulli(a.RandomKey(), a.Shape("shape")!, a.Float("p"))),

            Loss("cross_entropy", "logits, labels, smoothing: float = 0, ignore: int = none" + Weighted, "−log softmax(logits)[label]", "[..., classes] with int[...] or probabilities [..., classes] → []",
                "Takes logits: no softmax before it. Labels equal to `ignore` do not count; smoothing mixes in 1 / classes (Szegedy et al. 2016).",
                a => Losses.CrossEntropy(a.Tensor("logits"), a.Tensor("labels"), a.Float("smoothing"), a.OptionalInt("ignore"), a.OptionalTensor("weight"), a.Reduction)),
            Loss("bce_with_logits", "logits, labels" + Weighted, "−y log σ(x) − (1 − y) log(1 − σ(x))", "two equal shapes → []", "Takes logits: no sigmoid before it.",
                a => Losses.BceWithLogits(a.Tensor("logits"), a.Tensor("labels"), a.OptionalTensor("weight"), a.Reduction)),
            Loss("mse", "prediction, target" + Weighted, "mean (prediction − target)²", "two equal shapes → []", "Regression.",
                a => Losses.Mse(a.Tensor("prediction"), a.Tensor("target"), a.OptionalTensor("weight"), a.Reduction)),
            Loss("mae", "prediction, target" + Weighted, "mean |prediction − target|", "two equal shapes → []", "Regression that outliers move less.",
                a => Losses.Mae(a.Tensor("prediction"), a.Tensor("target"), a.OptionalTensor("weight"), a.Reduction)),
            Loss("bce", "prediction, labels" + Weighted, "−y log p − (1 − y) log(1 − p)", "two equal shapes → []", "Takes probabilities, and log 0 counts as −87.3; of logits, bce_with_logits keeps all digits.",
                a => Losses.Bce(a.Tensor("prediction"), a.Tensor("labels"), a.OptionalTensor("weight"), a.Reduction)),
            Loss("huber", "prediction, target, delta: float = 1" + Weighted, "½r² for |r| ≤ delta, delta · (|r| − ½delta) beyond; r = prediction − target", "two equal shapes → []", "Regression: mse near the target, mae far from it (Huber 1964).",
                a => Losses.Huber(a.Tensor("prediction"), a.Tensor("target"), a.Float("delta"), a.OptionalTensor("weight"), a.Reduction)),
            Loss("kl_div", "log_q, p" + Weighted, "p · (log p − log q), 0 where p is 0", "two equal shapes → []", "Takes the logarithm of the prediction and the probabilities of the target. The mean is over all elements; the divergence itself is `sum` / rows.",
                a => Losses.KlDiv(a.Tensor("log_q"), a.Tensor("p"), a.OptionalTensor("weight"), a.Reduction)),
            Loss("nll", "log_p, labels: integers, ignore: int = none" + Weighted, "−log_p[label]", "[..., classes] with int[...] → []", "After log_softmax; cross_entropy does both. Labels equal to `ignore` do not count.",
                a => Losses.Nll(a.Tensor("log_p"), a.Tensor("labels"), a.OptionalInt("ignore"), a.OptionalTensor("weight"), a.Reduction)),
            Loss("hinge", "prediction, target" + Weighted, "max(0, 1 − target · prediction)", "two equal shapes → []", "The margin of support vector machines; the target is −1 or 1 (Cortes and Vapnik 1995).",
                a => Losses.Hinge(a.Tensor("prediction"), a.Tensor("target"), a.OptionalTensor("weight"), a.Reduction)),
            Loss("cosine_similarity_loss", "prediction, target" + Weighted, "1 − x·y / (|x| |y|) over the last axis", "[..., D] twice → []", "Compares directions; a length counts as at least 1e-8.",
                a => Losses.CosineSimilarity(a.Tensor("prediction"), a.Tensor("target"), a.OptionalTensor("weight"), a.Reduction)),
            Loss("triplet", "anchor, positive, negative, margin: float = 1" + Weighted, "max(0, |a − p| − |a − n| + margin) over the last axis", "[..., D] three times → []", "Embeddings in which what belongs together is near (Schroff et al. 2015; Balntas et al. 2016).",
                a => Losses.Triplet(a.Tensor("anchor"), a.Tensor("positive"), a.Tensor("negative"), a.Float("margin"), a.OptionalTensor("weight"), a.Reduction)),
            Loss("ctc", "logits, labels: integers, lengths: integers = none, label_lengths: integers = none, blank: int = 0" + Weighted, "−log Σ P(path) over the paths of classes and blanks that become the labels when repetitions are merged and blanks taken out",
                "[B, T, classes] with int[B, S] → []; lengths and label_lengths int[B]", "Sequences whose labels are not aligned with their frames, such as speech (Graves et al. 2006). Takes logits. The mean is over rows. Infinite where there are more labels than frames.",
                a => Losses.Ctc(a.Tensor("logits"), a.Tensor("labels"), a.OptionalTensor("lengths"), a.OptionalTensor("label_lengths"), a.Int("blank"), a.OptionalTensor("weight"), a.Reduction)),
            Loss("l1", "tensors: tensors", "Σ |w| over all tensors", "a list of tensors → []", "A penalty, such as `loss 1e-4 * l1(params())`: drives weights to 0 (Tibshirani 1996).", a => Losses.L1(a.Tensors("tensors").AsSpan())),
            Loss("l2", "tensors: tensors", "Σ w² over all tensors", "a list of tensors → []", "A penalty, such as `loss 1e-4 * l2(params())`: keeps weights small (Hoerl and Kennard 1970).", a => Losses.L2(a.Tensors("tensors").AsSpan())),

            Function("close", "a, b, tol: float = 1e-6", "|a − b| ≤ tol · (1 + |b|) for every element, or equal", "shapes broadcast → bool[]", "For `assert`.",
                a => Close(a.Tensor("a"), a.Tensor("b"), a.Float("tol"))),
            Row(CatalogKind.Function, "len", "list: any", "the number of items", "a list or tuple → static int", "Of a tensor, the size of the first axis.", _ => null),
            Row(CatalogKind.Function, "floor_div", "a: any, b: any", "⌊a / b⌋", "sizes or static ints", "Exact.", _ => null),
            Row(CatalogKind.Function, "ceil_div", "a: any, b: any", "⌈a / b⌉", "sizes or static ints", "Exact.", _ => null),
        ];
    }

    private static CatalogEntry Pool(string name, string equation, string shapes, Func<Expr, Extent, Extent?, Padding, Expr> make) => Function(
        name,
        "x, window: extent, stride: extent = none, padding: padding = valid",
        equation + " in each window",
        shapes,
        "The stride is the window, unless given. Padding never enters a maximum or the count of a mean.",
        a => make(a.Tensor("x"), a.Extent("window"), a.OptionalExtent("stride"), a.Padding("padding")));

    private static Expr Reshape(Expr x, Shape shape)
    {
        var open = Enumerable.Range(0, shape.Rank).Where(i => shape[i].Equals(Dim.Of(-1))).ToArray();
        if (open.Length == 0)
        {
            return Sizes.Differ(x.Shape.ElementCount, shape.ElementCount)
                ? throw new ShapeException($"reshape: {x.Shape} has {x.Shape.ElementCount} elements, and {shape} has {shape.ElementCount}", x.Shape, shape)
                : x.Reshape(shape);
        }

        if (open.Length > 1)
            throw new ShapeException($"reshape: one size of {shape} may be −1, not {open.Length}", x.Shape, shape);
        var others = shape.RemoveAt(open[0]).ElementCount;
        var count = x.Shape.ElementCount;
        if (others.Equals(Dim.Zero) || Dim.FloorDiv(count, others) is not { } size || Sizes.Differ(count, others * size))
            throw new ShapeException($"reshape: the {count} elements of {x.Shape} do not divide into {shape}", x.Shape, shape);
        return x.Reshape(shape.With(open[0], size));
    }

    private static Expr Transpose(Expr x, int[] axes)
    {
        if (axes.Length != x.Rank || axes.Select(x.Shape.Axis).Distinct().Count() != x.Rank)
            throw new ShapeException($"transpose: the axes [{string.Join(", ", axes)}] are no order of the {x.Rank} axes of {x.Shape}", x.Shape);
        return x.Transpose(axes);
    }

    private static Expr ExpandDims(Expr x, int axis) => axis >= -x.Rank - 1 && axis <= x.Rank
        ? x.ExpandDims(axis)
        : throw new ShapeException($"expand_dims: axis {axis} does not exist in the result, which has {x.Rank + 1} axes", x.Shape);

    private static Expr Concat(ImmutableArray<Expr> tensors, int axis)
    {
        RequireSome("concat", tensors);
        return Expr.Concat(axis, tensors.AsSpan());
    }

    private static Expr Stack(ImmutableArray<Expr> tensors, int axis)
    {
        RequireSome("stack", tensors);
        var odd = tensors.FirstOrDefault(t => t.Rank != tensors[0].Rank);
        if (odd is not null)
            throw new ShapeException($"stack: {tensors[0].Shape} and {odd.Shape} have different numbers of axes", tensors[0].Shape, odd.Shape);
        if (axis < -tensors[0].Rank - 1 || axis > tensors[0].Rank)
            throw new ShapeException($"stack: axis {axis} does not exist in the result, which has {tensors[0].Rank + 1} axes", tensors[0].Shape);
        return Expr.Stack(axis < 0 ? axis + tensors[0].Rank + 1 : axis, tensors.AsSpan());
    }

    private static void RequireSome(string name, ImmutableArray<Expr> tensors)
    {
        if (tensors.IsEmpty)
            throw new GraphException($"{name} takes at least one tensor");
    }

    private static ImmutableArray<Expr> Split(Expr x, Value? parts, int axis) => parts switch
    {
        IntValue count => [.. x.Split((int)Math.Clamp(count.Number, int.MinValue, int.MaxValue), axis)],
        ListValue list => [.. x.Split([.. list.Items.Select(i => Width("split", i))], axis)],
        TupleValue tuple => [.. x.Split([.. tuple.Items.Select(i => Width("split", i))], axis)],
        _ => throw new GraphException("split: `parts` is a number of equal parts, or a list of their sizes"),
    };

    private static Expr Slice(Expr x, Dim start, Dim? stop, int axis, int step)
    {
        var size = x.Shape[x.Shape.Axis(axis)];
        if (step < 1)
            throw new GraphException($"slice: the step must be at least 1, not {step}; flip reverses");
        var (from, to) = (Edge(start), stop is null ? size : Edge(stop));
        if (from.IsKnown && to.IsKnown && from.Value > to.Value)
            to = from;
        return x.SliceAxis(axis, from, to, step);

        Dim Edge(Dim at)
        {
            at = at is { IsKnown: true, Value: < 0 } ? size + at : at;
            return !at.IsKnown ? at : at.Value < 0 ? Dim.Zero : size.IsKnown && at.Value > size.Value ? size : at;
        }
    }

    private static Expr Pad(Expr x, Value? widths, double value)
    {
        Value[]? items = widths switch
        {
            ListValue list => [.. list.Items],
            TupleValue tuple => [.. tuple.Items],
            _ => null,
        };
        var pairs = items is null || items is [IntValue or DimValue, IntValue or DimValue]
            ? [.. Enumerable.Repeat(Pair(widths!), x.Rank)]
            : items.Select(Pair).ToArray();
        return x.Pad(pairs, value);

        static (Dim Before, Dim After) Pair(Value value) => value switch
        {
            ListValue { Items: [var first, var second] } => (Width("pad", first), Width("pad", second)),
            TupleValue { Items: [var first, var second] } => (Width("pad", first), Width("pad", second)),
            _ => (Width("pad", value), Width("pad", value)),
        };
    }

    private static Dim Width(string name, Value value) => value switch
    {
        IntValue i => Dim.Of(i.Number),
        DimValue d => d.Size,
        _ => throw new GraphException($"{name} takes sizes here, not {value.Describe()}{(name == "pad" ? "; write 1, (1, 2), or a pair for each axis, as in ((0, 0), (1, 2))" : "")}"),
    };

    private static Expr Close(Expr a, Expr b, double tolerance)
    {
        // inf − inf is NaN, and every comparison with NaN is false.
        var near = (a - b).Abs().LessOrEqual(tolerance * (1 + b.Abs())).Or(a.EqualTo(b));
        return near.Shape.IsScalar ? near : near.ReduceMin().GreaterThan(0.5);
    }
}

/// <summary>Questions about sizes.</summary>
internal static class Sizes
{
    /// <summary>Whether two sizes differ whatever the named ones are, none being 0: 2·D is not D.</summary>
    public static bool Differ(Dim a, Dim b) =>
        Dim.AreEqual(a, b) switch
        {
            Answer.Proved => false,
            Answer.Refuted => true,
            _ => Dim.AreEqual(a.Substitute(n => Dim.Named(n) + 1), b.Substitute(n => Dim.Named(n) + 1)) == Answer.Refuted,
        };
}
