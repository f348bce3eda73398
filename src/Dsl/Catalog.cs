using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>
/// Every name that the language knows without a declaration: one row a name. A new layer is a function in Graph's Nn and a row here.
/// </summary>
public static partial class Catalog
{
    /// <summary>The element types, as they stand in types and in <c>cast</c>.</summary>
    internal static readonly Dictionary<string, DType> ElementTypes = new()
    {
        ["float"] = DType.Float,
        ["f32"] = DType.F32,
        ["f64"] = DType.F64,
        ["i64"] = DType.I64,
        ["int"] = DType.I64,
        ["bool"] = DType.Bool,
    };

    /// <summary>All rows, in order of kind and name.</summary>
    public static ImmutableArray<CatalogEntry> All { get; } =
        [.. Layers().Concat(Combinators()).Concat(Functions()).Concat(PatternFunctions()).Concat(Structure()).Concat(Attention()).Concat(Sequences()).Concat(LargeOptimizers()).Concat(Figures()).Concat(Derivatives()).Concat(Descriptions()).Concat(Sources()).Concat(Recurrent()).OrderBy(e => e.Kind).ThenBy(e => e.Name, StringComparer.Ordinal)];

    private static readonly Dictionary<string, CatalogEntry> _byName = All.ToDictionary(e => e.Name, StringComparer.Ordinal);

    /// <summary>The row of a name, or null.</summary>
    public static CatalogEntry? Find(string name) => _byName.GetValueOrDefault(name);

    private static CatalogEntry Row(CatalogKind kind, string name, string signature, string equation, string shapes, string use, Func<Args, object?> make) =>
        new(kind, name, signature, equation, shapes, use, make);

    private static CatalogEntry Layer(string name, string signature, string equation, string shapes, string use, Func<Args, Layer> make, string inputs = "x") =>
        new(CatalogKind.Layer, name, signature, equation, shapes, use, make, inputs);

    private static CatalogEntry Function(string name, string signature, string equation, string shapes, string use, Func<Args, Expr> make) =>
        Row(CatalogKind.Function, name, signature, equation, shapes, use, make);

    /// <summary>A function of each element alone.</summary>
    private static CatalogEntry Elementwise(string name, string equation, string use, Func<Expr, Expr> function) =>
        Function(name, "x", equation, "[...] → [...]", use, a => function(a.Tensor("x")));

    private static CatalogEntry Reduction(string name, string equation, string use, Func<Expr, Axes, bool, Expr> function) =>
        Function(name, "x, axis: axis = all, keep: bool = false", equation, "[...] → without the axes, or with size 1 in their place with keep = true", use,
            a => function(a.Tensor("x"), a.Axis("axis"), a.Bool("keep")));

    private static IEnumerable<CatalogEntry> Layers() =>
    [
        Layer("dense", "units: int, bias: bool = true, init: init = auto, bias_init: init = zeros()", "y = x · weight + bias",
            "[..., in] → [..., units]; weight [in, units], bias [units]",
            "A linear map of the last axis; the same for all positions of the others. `auto` is He before a ReLU-family activation, Xavier otherwise.",
            a => Graph.Layers.Dense(a.Int("units"), a.Bool("bias"), a.Init("init"), a.Init("bias_init"))),
        Convolution("conv1d", "[B, T, C] → [B, T′, filters]; weight [kernel, C / groups, filters], bias [filters]",
            "Patterns along time (LeCun et al. 1998). `padding = ((k − 1, 0),)` makes it causal.",
            a => Graph.Layers.Conv1d(a.Int("filters"), a.Extent("kernel"), a.Extent("stride"), a.Padding("padding"), a.Extent("dilation"), a.Int("groups"), a.Bool("bias"))),
        Convolution("conv2d", "[B, H, W, C] → [B, H′, W′, filters]; weight [kh, kw, C / groups, filters], bias [filters]",
            "The same small pattern everywhere in an image (LeCun et al. 1998). Leave out the bias before batch_norm.",
            a => Graph.Layers.Conv2d(a.Int("filters"), a.Extent("kernel"), a.Extent("stride"), a.Padding("padding"), a.Extent("dilation"), a.Int("groups"), a.Bool("bias"))),
        Convolution("conv3d", "[B, D, H, W, C] → [B, D′, H′, W′, filters]; weight [kd, kh, kw, C / groups, filters], bias [filters]", "Volumes and videos.",
            a => Graph.Layers.Conv3d(a.Int("filters"), a.Extent("kernel"), a.Extent("stride"), a.Padding("padding"), a.Extent("dilation"), a.Int("groups"), a.Bool("bias"))),
        Layer("depthwise_conv2d", "kernel: extent, stride: extent = 1, padding: padding = same, dilation: extent = 1, multiplier: int = 1, bias: bool = true",
            "y[…, c · multiplier + m] = x[…, c] ⋆ weight[…, 0, c · multiplier + m] + bias", "[B, H, W, C] → [B, H′, W′, C · multiplier]; weight [kh, kw, 1, C · multiplier]",
            "Each channel by itself; with a 1×1 convolution after it, nearly a full one at a fraction of the cost (Chollet 2017).",
            a => Graph.Layers.DepthwiseConv2d(a.Extent("kernel"), a.Extent("stride"), a.Padding("padding"), a.Extent("dilation"), a.Int("multiplier"), a.Bool("bias"))),
        Layer("embedding", "vocab: int, dim: int, init: init = normal(1)", "y[…, :] = weight[x[…], :]", "int[...] → [..., dim]; weight [vocab, dim]",
            "Vectors for whole numbers such as words. An index outside of 0 … vocab − 1 is an error while running.",
            a => Graph.Layers.Embedding(a.Int("vocab"), a.Int("dim"), a.Init("init"))),
        Layer("layer_norm", "eps: float = 1e-5, init: init = ones()", "y = (x − mean) / √(variance + eps) · weight + bias, over the last axis", "[..., D] → [..., D]; weight, bias [D]",
            "Normalizes each position by itself, so it does not depend on the batch (Ba et al. 2016).", a => Graph.Layers.LayerNorm(a.Float("eps"), a.Init("init"))),
        Layer("rms_norm", "eps: float = 1e-5, init: init = ones()", "y = x / √(mean x² + eps) · weight, over the last axis", "[..., D] → [..., D]; weight [D]",
            "Layer norm without centring and shift: cheaper, as good in deep Transformers (Zhang and Sennrich 2019).", a => Graph.Layers.RmsNorm(a.Float("eps"), a.Init("init"))),
        Layer("batch_norm", "momentum: float = 0.9, eps: float = 1e-5, init: init = ones()", "y = (x − mean) / √(variance + eps) · weight + bias, for each channel of the last axis over all others",
            "[B, ..., C] → [B, ..., C]; weight, bias, buffers mean, var: [C]",
            "The batch's statistics in training, running ones in evaluation: new = momentum · old + (1 − momentum) · batch, the variance unbiased (Ioffe and Szegedy 2015). "
            + "Leave out the bias of the layer before it.", a => Graph.Layers.BatchNorm(a.Float("momentum"), a.Float("eps"), a.Init("init"))),
        Layer("group_norm", "groups: int, eps: float = 1e-5, init: init = ones()", "y = (x − mean) / √(variance + eps) · weight + bias, for each row over all positions and the channels of a group",
            "[B, ..., C] → [B, ..., C]; weight, bias [C]", "Batch norm's substitute where batches are small: it does not depend on the batch (Wu and He 2018).", a => Graph.Layers.GroupNorm(a.Int("groups"), a.Float("eps"), a.Init("init"))),
        Layer("instance_norm", "eps: float = 1e-5, init: init = ones()", "y = (x − mean) / √(variance + eps) · weight + bias, for each row and channel over all positions",
            "[B, ..., C] with positions between → [B, ..., C]; weight, bias [C]", "Takes contrast out of images, for style transfer (Ulyanov et al. 2016).", a => Graph.Layers.InstanceNorm(a.Float("eps"), a.Init("init"))),
        Layer("positional_embedding", "max_len: int, init: init = normal(0.02)", "y[…, t, :] = x[…, t, :] + weight[t, :]", "[..., T, D] → [..., T, D], T at most max_len; weight [max_len, D]",
            "Tells attention where a token stands, by learned vectors (Gehring et al. 2017).", a => Graph.Layers.PositionalEmbedding(a.Int("max_len"), a.Init("init"))),
        Layer("sinusoidal_positions", "", "y[…, t, 2i] = x[…, t, 2i] + sin(t / 10000^(2i/D)), y[…, t, 2i + 1] = x[…, t, 2i + 1] + cos(t / 10000^(2i/D))", "[..., T, D] → [..., T, D], D even",
            "Tells attention where a token stands, at any length and without parameters (Vaswani et al. 2017).", _ => Graph.Layers.SinusoidalPositions()),
        Layer("dropout", "rate: float", "y = x · mask / (1 − rate), mask 0 with probability rate, in training; y = x in evaluation", "[...] → [...]",
            "Keeps units from relying on each other (Srivastava et al. 2014). `rate` is the probability of dropping.", a => Graph.Layers.Dropout(a.Float("rate"))),
        Layer("prelu", "init: float = 0.25", "y = x for x > 0, slope · x elsewhere", "[..., C] → [..., C]; slope [C]",
            "A leaky ReLU that learns its slopes (He et al. 2015).", a => Graph.Layers.Prelu(a.Float("init"))),
        Layer("residual", "f: layer, zero: bool = false", "y = x + f(x), or x + scale · f(x) with scale starting at 0", "[...] → [...]; f keeps the shape; with zero, scale []",
            "Makes deep stacks trainable (He et al. 2016); `zero = true` starts the block as the identity (Bachlechner et al. 2020).",
            a => Graph.Layers.Residual(a.Function("f"), a.Bool("zero"))),
    ];

    private static CatalogEntry Convolution(string name, string shapes, string use, Func<Args, Layer> make) => Layer(
        name,
        "filters: int, kernel: extent, stride: extent = 1, padding: padding = same, dilation: extent = 1, groups: int = 1, bias: bool = true",
        "y[o, f] = bias[f] + Σ_{k, c} x[stride · o + dilation · k − low, c] · weight[k, c, f], zeros around x",
        shapes,
        use + " \"same\" gives ⌈n / stride⌉ positions, with the smaller half of the padding first.",
        make);

    private static IEnumerable<CatalogEntry> Derivatives()
    {
        static CatalogEntry Derivative(string name, string signature, string equation, string shapes, string use) =>
            Row(CatalogKind.Derivative, name, signature, equation, shapes, use, _ => null);
        return
        [
            Derivative("grad", "y, x: any, unused: error|zeros = error", "∂y/∂x", "[] by [...] → [...]",
                "x is a name, a field such as `enc.weight`, an index, or a tuple or list of those: the node named is cut and treated as a variable. Nests to any order."),
            Derivative("value_and_grad", "y, x: any, unused: error|zeros = error", "(y, ∂y/∂x)", "[] by [...] → ([], [...])", "As `grad`, with the value."),
            Derivative("vjp", "y, x: any, v, unused: error|zeros = error", "Σᵢ vᵢ · ∂yᵢ/∂x", "y and v of one shape; x: [...] → [...]", "Reverse mode: pulls a cotangent of y back to x."),
            Derivative("jvp", "y, x: any, v, unused: error|zeros = error", "∂y/∂x · v", "x and v of one shape → the shape of y", "Forward mode: the change of y when x moves along v."),
            Derivative("hvp", "y, x: any, v, unused: error|zeros = error", "∂²y/∂x² · v", "[] by [...] and v of the shape of x → [...]", "The Hessian times a vector, without the matrix."),
            Derivative("jacobian", "y, x: any, unused: error|zeros = error", "∂yᵢ/∂xⱼ for all i and j", "[Y...] by [X...] → [Y..., X...]", "The whole matrix, by `vmap` of `vjp`; for a product with a vector, `jvp` and `vjp` do without it."),
            Derivative("hessian", "y, x: any, unused: error|zeros = error", "∂²y/∂xᵢ∂xⱼ for all i and j", "[] by [X...] → [X..., X...]", "The whole matrix; for a product with a vector, `hvp` does without it."),
            Row(CatalogKind.Derivative, "params", "layers: layer...", "the parameters of the layers, or of the whole model", "a list of tensors", "For `grad(y, params(f))`, and for penalties.", _ => null),
        ];
    }

    private static IEnumerable<CatalogEntry> Descriptions()
    {
        static CatalogEntry Init(string name, string signature, string equation, string use, Func<Args, Initializer> make) =>
            Row(CatalogKind.Initializer, name, signature, equation, "any", use, make);
        static CatalogEntry Optimizer(string name, string signature, string equation, string state, string use, Func<Args, Optimizer> make) =>
            Row(CatalogKind.Optimizer, name, signature, equation, $"w and its gradient g: [...] → w; state {state}", use, make);
        static CatalogEntry Schedule(string name, string signature, string equation, string use, Func<Args, Schedule> make) =>
            Row(CatalogKind.Schedule, name, signature, equation, "the number of steps taken, from 0 → the rate", use, make);
        static CatalogEntry Constant(string name, string equation, double value) => Row(CatalogKind.Constant, name, "", equation, "static float", "", _ => value);
        const string Matrices = "at least two axes, as [..., in, out]";
        return
        [
            Init("constant", "value: float", "w = value", "Also a schedule: the same learning rate at every step.", a => Initializers.Constant(a.Float("value"))),
            Init("normal", "std: float = 1", "w ~ N(0, std²)", "Where a paper names the deviation: 0.02 in GPT-2 (Radford et al. 2019).", a => Initializers.Normal(a.Float("std"))),
            Init("truncated_normal", "std: float = 1", "w ~ N(0, std²), drawn again beyond 2·std", "A normal without outliers, as in BERT and ViT with std = 0.02 (Devlin et al. 2019).", a => Initializers.TruncatedNormal(a.Float("std"))),
            Init("uniform", "lo: float, hi: float", "w ~ U[lo, hi)", "Where a range is wanted, such as small embeddings.", a => Initializers.Uniform(a.Float("lo"), a.Float("hi"))),
            Init("xavier_uniform", "", "w ~ U(±√(6 / (fan_in + fan_out)))", "Before tanh, sigmoid or nothing (Glorot and Bengio 2010).", _ => Initializers.XavierUniform),
            Init("xavier_normal", "", "w ~ N(0, 2 / (fan_in + fan_out))", "Before tanh, sigmoid or nothing.", _ => Initializers.XavierNormal),
            Init("he_uniform", "", "w ~ U(±√(6 / fan_in))", "Before the ReLU family (He et al. 2015).", _ => Initializers.HeUniform),
            Init("he_normal", "", "w ~ N(0, 2 / fan_in)", "Before the ReLU family.", _ => Initializers.HeNormal),
            Init("lecun_normal", "", "w ~ N(0, 1 / fan_in)", "Before SELU (LeCun et al. 1998).", _ => Initializers.LecunNormal),
            Init("orthogonal", "gain: float = 1", "wᵀw = gain² · I", $"Keeps lengths over depth (Saxe et al. 2014); {Matrices}.", a => Initializers.Orthogonal(a.Float("gain"))),
            Init("identity", "", "w = I", $"Starts a map as doing nothing; {Matrices}.", _ => Initializers.Identity),
            Row(CatalogKind.Constant, "auto", "", "He before a ReLU-family activation, Xavier otherwise", "an initializer", "Resolved when the model is complete.", _ => Initializers.Auto),
            Constant("inf", "∞", double.PositiveInfinity),
            Constant("nan", "not a number", double.NaN),
            Constant("pi", "π", Math.PI),
            Row(CatalogKind.Constant, "random.seed", "", "the run's seed", "int[]", "What all keys are made of; for printed graphs.", _ => RandomState.Seed),
            Row(CatalogKind.Constant, "random.step", "", "the number of steps taken; 0 in evaluation", "int[]", "What all keys are made of; for printed graphs.", _ => RandomState.Step),

            Optimizer("sgd", "lr: schedule, momentum: float = 0, nesterov: bool = false", "v ← μv + g; w ← w − lr · v, with Nesterov w ← w − lr · (g + μv)", "v: [...] with momentum",
                "Plain, and with momentum 0.9 still the best generalizer on images (Sutskever et al. 2013).", a => new Sgd(a.Schedule("lr"), a.Float("momentum"), a.Bool("nesterov"))),
            Optimizer("adam", "lr: schedule = 0.001, betas: pair = (0.9, 0.999), eps: float = 1e-8", "m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; w ← w − lr · m̂ / (√v̂ + eps)", "m, s: [...], which the equation calls m and v",
                "Works without much tuning (Kingma and Ba 2015).", a => new Adam(a.Schedule("lr"), a.Pair("betas").First, a.Pair("betas").Second, a.Float("eps"))),
            Optimizer("adamw", "lr: schedule = 0.001, betas: pair = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.01", "Adam, and w ← w − lr · λ · w", "m, s: [...]",
                "Decoupled weight decay (Loshchilov and Hutter 2019). It reaches matrices only, unless `weight_decay_on all`.",
                a => new AdamW(a.Schedule("lr"), a.Pair("betas").First, a.Pair("betas").Second, a.Float("eps"), a.Float("weight_decay"))),
            Optimizer("rmsprop", "lr: schedule = 0.01, rho: float = 0.99, eps: float = 1e-8, momentum: float = 0", "v ← ρv + (1 − ρ)g²; w ← w − lr · g / (√v + eps)", "s: [...], which the equation calls v; v: [...] with momentum",
                "For recurrent networks and moving targets (Tieleman and Hinton 2012).", a => new RmsProp(a.Schedule("lr"), a.Float("rho"), a.Float("eps"), a.Float("momentum"))),
            Optimizer("adagrad", "lr: schedule = 0.01, eps: float = 1e-10", "s ← s + g²; w ← w − lr · g / (√s + eps)", "s: [...]", "For rare features: steps shrink where gradients were large (Duchi et al. 2011).",
                a => new Adagrad(a.Schedule("lr"), a.Float("eps"))),
            Optimizer("nadam", "lr: schedule = 0.002, betas: pair = (0.9, 0.999), eps: float = 1e-8", "Adam with β₁m / (1 − β₁^(t+1)) + (1 − β₁)g / (1 − β₁^t) in place of m̂", "m, s: [...]",
                "Adam with Nesterov's look ahead (Dozat 2016).", a => new Nadam(a.Schedule("lr"), a.Pair("betas").First, a.Pair("betas").Second, a.Float("eps"))),
            Optimizer("lamb", "lr: schedule = 0.001, betas: pair = (0.9, 0.999), eps: float = 1e-6, weight_decay: float = 0.01", "r = m̂ / (√v̂ + eps) + λw; w ← w − lr · (|w| / |r|) · r", "m, s: [...]",
                "Adam for very large batches: each parameter moves in proportion to its length (You et al. 2020). Decay reaches matrices only, unless `weight_decay_on all`.",
                a => new Lamb(a.Schedule("lr"), a.Pair("betas").First, a.Pair("betas").Second, a.Float("eps"), a.Float("weight_decay"))),
            Optimizer("lion", "lr: schedule = 0.0001, betas: pair = (0.9, 0.99), weight_decay: float = 0.01", "w ← w − lr · (sign(β₁m + (1 − β₁)g) + λw); m ← β₂m + (1 − β₂)g", "m: [...]",
                "One moment only; wants a rate 3 to 10 times below AdamW's, and a decay as much above (Chen et al. 2023). Decay reaches matrices only, unless `weight_decay_on all`.",
                a => new Lion(a.Schedule("lr"), a.Pair("betas").First, a.Pair("betas").Second, a.Float("weight_decay"))),

            Schedule("cosine", "peak: float, total: steps = none, floor: float = 0", "floor + (peak − floor) · ½(1 + cos π·step/total)", "total: the run's, unless given (Loshchilov and Hutter 2017).",
                a => new CosineSchedule(a.Float("peak"), a.OptionalFloat("total"), a.Float("floor"))),
            Schedule("step", "rate: float, every: steps, factor: float = 0.1", "rate · factor^⌊step / every⌋", "", a => new StepSchedule(a.Float("rate"), a.Float("every"), a.Float("factor"))),
            Schedule("warmup_cosine", "peak: float, warmup: steps, total: steps = none, floor: float = 0", "peak · (step + 1) / warmup, then a cosine to floor",
                "The usual choice with Adam.", a => new WarmupCosineSchedule(a.Float("peak"), a.Float("warmup"), a.OptionalFloat("total"), a.Float("floor"))),
            Schedule("exponential", "rate: float, every: steps, factor: float = 0.1", "rate · factor^(step / every)", "A `step` schedule without steps.", a => new ExponentialSchedule(a.Float("rate"), a.Float("every"), a.Float("factor"))),
            Schedule("linear", "peak: float, total: steps = none, floor: float = 0", "peak + (floor − peak) · min(1, step / total)", "total: the run's, unless given.", a => new LinearSchedule(a.Float("peak"), a.OptionalFloat("total"), a.Float("floor"))),
            Schedule("warmup_linear", "peak: float, warmup: steps, total: steps = none, floor: float = 0", "peak · (step + 1) / warmup, then a straight line to floor", "For fine-tuning Transformers (Devlin et al. 2019).",
                a => new WarmupLinearSchedule(a.Float("peak"), a.Float("warmup"), a.OptionalFloat("total"), a.Float("floor"))),
            Schedule("inverse_sqrt", "peak: float, warmup: steps", "peak · min(n / warmup, √(warmup / n)), n = step + 1", "The first Transformer's; needs no total (Vaswani et al. 2017).", a => new InverseSqrtSchedule(a.Float("peak"), a.Float("warmup"))),
            Schedule("one_cycle", "peak: float, total: steps = none, rise: float = 0.3, div: float = 25, final_div: float = 10000", "peak / div to peak over the part `rise` of the steps, then to peak / (div · final_div), each by half a cosine",
                "Large rates in the middle of a short run (Smith and Topin 2018).", a => new OneCycleSchedule(a.Float("peak"), a.OptionalFloat("total"), a.Float("rise"), a.Float("div"), a.Float("final_div"))),
            Schedule("piecewise", "boundaries: floats, rates: floats", "the rate of the piece between two boundaries that the step lies in", "One more rate than boundaries: piecewise([100 steps, 200 steps], [0.1, 0.01, 0.001]).",
                a => new PiecewiseSchedule(a.Floats("boundaries"), a.Floats("rates"))),
        ];
    }
}
