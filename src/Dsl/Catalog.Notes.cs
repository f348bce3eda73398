using System.Collections.Frozen;

namespace Dnn.Dsl;

/// <summary>What <c>dnn explain</c> says of a name beside its equation: how gradients pass, and when to take something else.</summary>
internal sealed record CatalogNote(string Gradient, string Not);

public static partial class Catalog
{
    /// <summary>One line a name: the name, its gradient, when not to use it. <c>-</c> where a part does not apply.</summary>
    private const string NoteText =
        """
        batch_norm | through mean and variance of the batch in training: x̄ = weight / σ · (ȳ − mean ȳ − x̂ · mean(ȳ · x̂)); in evaluation x̄ = ȳ · weight / σ | batches of few rows, sequences, recurrences: layer_norm or group_norm have no batch in them
        conv1d | to x by the transposed convolution of ȳ with weight, to weight by the correlation of x with ȳ, to bias Σ ȳ | where every position looks at every other: attention; where order has no meaning
        conv2d | to x by the transposed convolution of ȳ with weight, to weight by the correlation of x with ȳ, to bias Σ ȳ | features without neighbourhood, such as table columns: dense
        conv3d | to x by the transposed convolution of ȳ with weight, to weight by the correlation of x with ȳ, to bias Σ ȳ | where memory is short: a conv2d for each slice and a conv1d between them
        conv_transpose1d | to x by the convolution of ȳ with weight, to weight by the correlation of ȳ with x, to bias Σ ȳ | where a checkerboard of uneven overlap shows: resize, then conv1d
        conv_transpose2d | to x by the convolution of ȳ with weight, to weight by the correlation of ȳ with x, to bias Σ ȳ | where a checkerboard of uneven overlap shows (Odena et al. 2016): resize, then conv2d
        depthwise_conv2d | as conv2d, each channel by itself | alone: channels never mix; follow it with conv2d(filters, 1)
        dense | x̄ = ȳ · weightᵀ, weight̄ = xᵀ · ȳ, bias̄ = Σ ȳ | two in series with nothing between are one; on large images, conv2d has fewer parameters
        dropout | ȳ where kept, scaled as y is; 0 where dropped | right before batch_norm, whose statistics then differ between training and evaluation; in small or underfitting nets
        drop_path | ȳ / (1 − rate) for the rows that are kept, 0 for the others | outside of residual branches, where nothing is left of a dropped row
        embedding | to the rows of weight that were taken, summed where one was taken twice; none to x | classes of a few values: one_hot and dense are the same
        group_norm | as layer_norm, over each group | vectors without channels: layer_norm
        instance_norm | as layer_norm, over each channel's positions | classification, where an image's contrast carries meaning
        layer_norm | x̄ = (g − mean g − x̂ · mean(g · x̂)) / σ with g = ȳ · weight; weight̄ = Σ ȳ · x̂, bias̄ = Σ ȳ | convolutional nets with large batches, where batch_norm trains faster
        positional_embedding | to the rows of weight of the positions there are; to x as it is | sequences longer than those trained on: sinusoidal_positions, rope
        prelu | x̄ = ȳ for x > 0, slope · ȳ elsewhere; slopē = Σ ȳ · x over x ≤ 0 | small data: leaky_relu has nothing to fit
        residual | x̄ = ȳ + what f sends | where f changes the shape: project x first
        rms_norm | x̄ = (g − x̂ · mean(g · x̂)) / rms with g = ȳ · weight; weight̄ = Σ ȳ · x̂ | where means carry nothing and must go: layer_norm
        sinusoidal_positions | x̄ = ȳ | short sequences of one length: positional_embedding learns them
        time_distributed | that of f | for what works on the last axis anyway, as dense and norms do
        vmap | that of f, slice by slice; what f shares gets the sum | for what broadcasts anyway: the plain function is the same and clearer; for what updates a buffer
        rnn | through time, the product of the steps' Jacobians | long sequences: the gradient vanishes or explodes; lstm, gru
        lstm | through time; along the cell it is multiplied by forget gates only | sequences that fit attention, which trains in parallel over time
        gru | through time; along the state it is multiplied by update gates only | as lstm; where counting matters, lstm is better (Weiss et al. 2018)
        attention | through softmax to queries and keys, by the weights to values | long sequences where T² is too much; data without positions given: add them first
        rope | ȳ turned back by the same angles | positions that are no sequence
        transformer_block | that of its parts, and 1 along the residual path | few data: it has no idea of order or neighbourhood but what it learns
        graph_conv | x̄ = Aᵀ ȳ weightᵀ, weight̄ = (A x)ᵀ ȳ | many layers: nodes become alike (Li et al. 2018)
        graph_attention | through the softmax over neighbours, and by its weights | large dense graphs, where weights for all edges do not fit
        message_passing | along the edges, backwards | what is no graph
        chain | that of its layers, last to first | -
        repeat | that of its layers, last to first | -
        parallel | the sum of what the branches send | -
        checkpoint | that of f, whose inside is computed again | where memory is not short: it costs a forward pass
        frozen | to the input only | -
        no_decay | that of f | -
        lr_scale | that of f | -
        scan | the same recurrence backwards over what the forward one kept | steps that do not depend on each other: vmap
        abs | x̄ = ȳ · sign x, 0 at 0 | -
        all | none | -
        any | none | -
        argmax | none | as a layer before a loss: softmax has a gradient
        argmin | none | as a layer before a loss: softmax of −x has a gradient
        argsort | none | -
        avg_pool1d | ȳ / n to every element of a window | where it matters whether something is there at all: max_pool1d
        avg_pool2d | ȳ / n to every element of a window | where it matters whether something is there at all: max_pool2d
        adaptive_avg_pool2d | ȳ / n to every element of a window | for one value a channel: global_avg_pool
        broadcast_to | x̄ = Σ ȳ over the axes that repeat | before arithmetic, which broadcasts by itself
        cast | x̄ = ȳ between floats; none from or to whole numbers and bools | -
        ceil | none | -
        ceil_div | none: sizes | -
        celu | x̄ = ȳ for x > 0, ȳ · e^(x/alpha) elsewhere | where exp is too slow: relu
        clamp | x̄ = ȳ between the bounds, 0 beyond | on logits before a loss: they stop learning beyond
        close | none | -
        concat | each gets its slice of ȳ | -
        cos | x̄ = −ȳ · sin x | -
        cumprod | x̄[j] = Π_{i<j} x[i] · Σ_{t≥j} ȳ[t] · Π_{j<i≤t} x[i]: no division, so that zeros are fine | long products: cumsum of logarithms does not under- or overflow
        cumsum | x̄[j] = Σ_{t≥j} ȳ[t] | -
        dynamic_slice | zeros with ȳ at the place | where the place is known when the model is made: x[a:b]
        dynamic_update_slice | to x, ȳ with zeros at the place; to update, the stretch of ȳ | -
        einsum | to each tensor, the einsum of ȳ with the others | plain products: @ says more
        elu | x̄ = ȳ for x > 0, ȳ · alpha · eˣ elsewhere | where exp is too slow: relu
        erf | x̄ = ȳ · 2/√π · e^(−x²) | -
        exp | x̄ = ȳ · y | before a log or a division by a sum: log_softmax and logsumexp do not overflow
        expand_dims | ȳ without the axis | -
        expm1 | x̄ = ȳ · (y + 1) | -
        eye | - | -
        flatten | ȳ in the old shape | images before dense, where global_avg_pool has far fewer parameters after it
        flip | ȳ flipped | -
        floor | none | -
        floor_div | none: sizes | -
        full | to the value, Σ ȳ | -
        gather | to the elements that were taken, summed where one was taken twice | whole slices: take
        gelu | x̄ = ȳ · (Φ(x) + x · φ(x)) | where the negative part does no good: relu is faster
        global_avg_pool | ȳ / n to every position | where position matters
        global_max_pool | to the largest, shared evenly by ties | noisy features: global_avg_pool
        glu | to a: ȳ · σ(b); to b: ȳ · a · σ(b)(1 − σ(b)) | where the width must stay: it halves the axis
        hard_sigmoid | x̄ = ȳ / 6 for −3 < x < 3, 0 elsewhere | where derivatives must be smooth: sigmoid
        hard_swish | x̄ = ȳ · (2x + 3) / 6 for −3 < x < 3, ȳ above, 0 below | where derivatives must be smooth: swish
        iota | - | -
        is_finite | none | -
        is_nan | none | -
        leaky_relu | x̄ = ȳ for x > 0, slope · ȳ elsewhere | where sparsity is wanted: relu
        len | none: a size | -
        log | x̄ = ȳ / x | of a softmax, sigmoid or 1 + x: log_softmax, bce_with_logits, log1p keep the digits
        log1p | x̄ = ȳ / (1 + x) | -
        log_softmax | x̄ = ȳ − softmax(x) · Σ ȳ | before cross_entropy, which does it: then nll
        logsumexp | x̄ = ȳ · softmax(x) | -
        masked_fill | ȳ where the mask does not hold; to the value, Σ ȳ where it does | -
        matmul | x̄ = z̄ · yᵀ, ȳ = xᵀ · z̄ | -
        max | to the largest, shared evenly by ties | a smooth maximum: logsumexp
        max_pool1d | to the largest of each window, shared evenly by ties | where the mean says more: avg_pool1d
        max_pool2d | to the largest of each window, shared evenly by ties | where positions must survive, as in segmentation: strided conv2d
        maximum | to the larger, half to each in a tie | -
        mean | x̄ = ȳ / n | -
        min | to the smallest, shared evenly by ties | -
        minimum | to the smaller, half to each in a tie | -
        mish | x̄ = ȳ · (tanh s + x · σ(x) · (1 − tanh² s)), s = log(1 + eˣ) | where it must be fast: swish is much alike
        norm | x̄ = ȳ · x / y, 0 at 0 | the penalty on weights: l2 is smooth
        one_hot | none | many classes before dense: embedding takes the row directly
        ones | - | -
        ones_like | none | -
        outer | x̄ = z̄ · y, ȳ = z̄ᵀ · x | -
        pad | ȳ without the border | before a convolution, which pads by itself
        pow | x̄ = ȳ · y · x^(y − 1); to the exponent, ȳ · x^y · log x, 0 where x is 0 | whole exponents of negative numbers that are computed: their derivative by the exponent is none
        prod | x̄ = ȳ · the product of the other factors: no division, so that zeros are fine | many factors: the sum of logarithms does not under- or overflow
        random.bernoulli | none | dropout, which scales and is off in evaluation
        random.categorical | none | where a gradient must pass: softmax of logits with Gumbel noise
        random.normal | to mean and std as x = mean + std · ε | -
        random.permutation | none | shuffling of rows between epochs, which the trainer does
        random.uniform | to lo and hi | -
        rearrange | ȳ rearranged back | -
        reduce | that of the reduction, rearranged back | -
        relu | x̄ = ȳ for x > 0, 0 elsewhere and at 0 | deep nets whose units die: leaky_relu, gelu; nets that are differentiated twice: its second derivative is 0
        reshape | ȳ in the old shape | to exchange axes: transpose
        resize | the transpose of the interpolation | what the net shall learn to enlarge: conv_transpose2d
        roll | ȳ rolled back | -
        round | none | where a gradient must pass: x + stop_gradient(round(x) − x)
        rsqrt | x̄ = −½ ȳ · y³ | -
        scatter_add | to x, ȳ; to what is added, ȳ at its place | -
        selu | x̄ = 1.0507 · ȳ for x > 0, 1.0507 · 1.6733 · ȳ · eˣ elsewhere | with norms or plain dropout, which undo what it keeps
        sigmoid | x̄ = ȳ · y(1 − y) | in hidden layers: it saturates, and its derivative is at most ¼; before a loss: bce_with_logits
        sign | none | -
        silu | x̄ = ȳ · (σ + x · σ(1 − σ)) | as swish
        sin | x̄ = ȳ · cos x | -
        slice | ȳ padded with zeros | -
        softmax | x̄ = y · (ȳ − Σ ȳ · y) | before cross_entropy, which takes logits; for labels that do not exclude each other: sigmoid
        softplus | x̄ = ȳ · σ(x) | where exact zeros are wanted: relu
        softsign | x̄ = ȳ / (1 + |x|)² | -
        sort | to where the elements came from | for the largest few: top_k
        split | the parts' cotangents, one after another | -
        sqrt | x̄ = ½ ȳ / y, infinite at 0 | of a sum of squares: norm, whose derivative at 0 is 0
        square | x̄ = 2 ȳ · x | -
        squeeze | ȳ with the axis | -
        stack | each gets its slice of ȳ | -
        std | x̄ = ȳ · (x − mean) / (n · y), 0 where y is 0 | -
        stop_gradient | none | to keep parameters: freeze
        sum | x̄ = ȳ for every element | -
        swapaxes | ȳ with the axes exchanged | -
        swiglu | as glu, with swish for the gate | where the width must stay: it halves the axis
        swish | x̄ = ȳ · (σ + βx · σ(1 − σ)), σ of βx | small fast nets: relu
        take | to the slices that were taken, summed where one was taken twice | one element an index: gather
        tan | x̄ = ȳ · (1 + y²) | -
        tanh | x̄ = ȳ · (1 − y²) | deep stacks without norms: it saturates
        top_k | values: to where they came from; indices: none | -
        transpose | ȳ with the axes back | -
        tril | ȳ in the triangle, 0 elsewhere | -
        triu | ȳ in the triangle, 0 elsewhere | -
        var | x̄ = 2 ȳ · (x − mean) / n | an unbiased estimate from few numbers: times n / (n − 1)
        where | ȳ to the one that was chosen, 0 to the other | to hide a NaN: the derivative of what is hidden is computed, and 0 · ∞ is NaN; replace the argument
        zeros | - | -
        zeros_like | none | -
        bce | x̄ = (x − y) / (x (1 − x)) / n | logits: bce_with_logits
        bce_with_logits | x̄ = (σ(x) − y) / n | classes that exclude each other: cross_entropy; after a sigmoid
        cosine_similarity_loss | x̄ = −(ŷ − (x̂ · ŷ) x̂) / (|x| n): across x only | where lengths count: mse
        cross_entropy | x̄ = (softmax(x) − y) / n | after a softmax; for labels that do not exclude each other: bce_with_logits; for measurements: mse
        ctc | x̄ = softmax(x) − the probability of each class at each time, given the labels | where times are labelled one by one: cross_entropy
        hinge | x̄ = −y / n where y · x < 1, 0 elsewhere | where probabilities are wanted: bce_with_logits
        huber | x̄ = r / n for |r| ≤ delta, delta · sign r / n beyond | errors that are normal: mse is best then
        kl_div | log_q gets −p / n | labels that are classes: cross_entropy
        l1 | w̄ = sign w, 0 at 0 | where all weights shall be small rather than few: l2
        l2 | w̄ = 2 w | with adam: the decay of adamw does what it is meant to (Loshchilov and Hutter 2019)
        mae | x̄ = sign(x − y) / n | near the end of training: its gradient does not shrink; huber does
        mse | x̄ = 2 (x − y) / n | class labels: cross_entropy; errors with outliers: huber, mae
        nll | log_p gets −1 / n at the label | logits: cross_entropy
        triplet | along the unit vectors between anchor, positive and negative, where the margin is not reached | few classes with many examples each: cross_entropy learns faster
        accuracy | none | classes of very different sizes: f1, auc; as a loss
        auc | none | where the threshold is known: precision, recall
        confusion_matrix | none | -
        f1 | none | where negatives count as well: accuracy
        perplexity | through the cross entropy | of different vocabularies: it is not comparable
        pooled | x̄ = ȳ | means over rows, which need no pooling
        precision | none | alone: calling one row positive makes it high
        r2 | x̄ = 2 (y − ŷ) / Σ(y − ȳ)² | nearly constant targets: the denominator is noise; mse
        recall | none | alone: calling all rows positive makes it 1
        top_k_accuracy | none | few classes
        grad | an expression, to be differentiated again | of several numbers: vjp, jacobian
        hessian | an expression, to be differentiated again | large x: n² numbers; hvp
        hvp | an expression, to be differentiated again | -
        jacobian | an expression, to be differentiated again | large y and x: n · m numbers; vjp, jvp
        jvp | an expression, to be differentiated again | the gradient of one number by many: grad
        params | to every one of them | -
        value_and_grad | expressions, to be differentiated again | -
        vjp | an expression, to be differentiated again | -
        constant | - | weights: equal units stay equal; biases and scales only
        he_normal | - | before tanh or sigmoid, and for the last layer: Xavier
        he_uniform | - | before tanh or sigmoid, and for the last layer: Xavier
        identity | - | widths that differ: the rest is 0
        lecun_normal | - | before relu: He, or the signal shrinks by half a layer
        normal | - | large layers at std = 1: outputs grow with √fan-in
        orthogonal | - | very wide layers: a QR factorization of each
        truncated_normal | - | where fans differ much: He, Xavier
        uniform | - | where fans differ much: He, Xavier
        xavier_normal | - | before relu: He
        xavier_uniform | - | before relu: He
        adafactor | - | where memory is not short: adamw is better known
        adagrad | - | long runs: its rates shrink to nothing; rmsprop, adam
        adam | - | with weight decay: adamw; convolutional nets that have time: sgd with momentum generalizes better (Wilson et al. 2017)
        adamw | - | convolutional nets that have time: sgd with momentum
        lamb | - | batches below some thousand rows: adamw
        lbfgs | - | large data, noise (dropout), many parameters: its steps need the whole gradient
        lion | - | small batches: signs are noisy
        nadam | - | -
        rmsprop | - | sparse gradients: it forgets them; adam
        sgd | - | badly scaled problems, Transformers: adamw
        cosine | - | where the end of the run is not known: inverse_sqrt
        exponential | - | -
        inverse_sqrt | - | where the end of the run is known: cosine reaches further down
        linear | - | the first steps of adam in deep nets: warmup_linear
        one_cycle | - | long runs
        piecewise | - | where nothing is known of the boundaries: cosine
        step | - | where nothing is known of the boundaries: cosine
        then | - | -
        warmup_cosine | - | short runs, where warm-up takes it all
        warmup_linear | - | short runs, where warm-up takes it all
        """;

    private static readonly Lazy<FrozenDictionary<string, CatalogNote>> Notes = new(() => NoteText.Split('\n').Select(line => line.Split(" | ")).ToFrozenDictionary(
        parts => parts[0],
        parts => new CatalogNote(Part(parts[1]), Part(parts[2])),
        StringComparer.Ordinal));

    /// <summary>The names that notes are there for.</summary>
    public static IEnumerable<string> Noted => Notes.Value.Keys;

    /// <summary>What is noted of a name; parts that do not apply are empty.</summary>
    internal static CatalogNote NoteOf(string name) => Notes.Value.GetValueOrDefault(name) ?? new CatalogNote("", "");

    private static string Part(string text) => text == "-" ? "" : text;
}
