namespace Dnn.Dsl;

/// <summary>What <c>dnn explain</c> says of a name beside its row: how gradients pass, when to take something else, and more about its use.</summary>
internal sealed record CatalogNote(string Gradient, string Not, string Use);

public static partial class Catalog
{
    /// <summary>One line a name: the name, its gradient, when not to use it, and what follows its use. <c>-</c> where a part does not apply.</summary>
    private const string NoteText =
        """
        batch_norm | through mean and variance of the batch in training: x̄ = weight / σ · (ȳ − mean ȳ − x̂ · mean(ȳ · x̂)); in evaluation x̄ = ȳ · weight / σ | batches of few rows, sequences, recurrences: layer_norm or group_norm have no batch in them
        conv1d | to x by the transposed convolution of ȳ with weight, to weight by the correlation of x with ȳ, to bias Σ ȳ | where every position looks at every other: attention; where order has no meaning
        conv2d | to x by the transposed convolution of ȳ with weight, to weight by the correlation of x with ȳ, to bias Σ ȳ | features without neighbourhood, such as table columns: dense
        conv3d | to x by the transposed convolution of ȳ with weight, to weight by the correlation of x with ȳ, to bias Σ ȳ | where memory is short: a conv2d for each slice and a conv1d between them | (Ji et al. 2013).
        conv_transpose1d | to x by the convolution of ȳ with weight, to weight by the correlation of ȳ with x, to bias Σ ȳ | where a checkerboard of uneven overlap shows: resize, then conv1d
        conv_transpose2d | to x by the convolution of ȳ with weight, to weight by the correlation of ȳ with x, to bias Σ ȳ | where a checkerboard of uneven overlap shows (Odena et al. 2016): resize, then conv2d
        depthwise_conv2d | as conv2d, each channel by itself | alone: channels never mix; follow it with conv2d(filters, 1)
        dense | x̄ = ȳ · weightᵀ, weight̄ = xᵀ · ȳ, bias̄ = Σ ȳ | two in series with nothing between are one; on large images, conv2d has fewer parameters | The perceptron's map (Rosenblatt 1958).
        dropout | ȳ where kept, scaled as y is; 0 where dropped | right before batch_norm, whose statistics then differ between training and evaluation; in small or underfitting nets
        drop_path | ȳ / (1 − rate) for the rows that are kept, 0 for the others | outside of residual branches, where nothing is left of a dropped row
        embedding | to the rows of weight that were taken, summed where one was taken twice; none to x | classes of a few values: one_hot and dense are the same | Learned with the rest, as in the first neural language model (Bengio et al. 2003).
        group_norm | as layer_norm, over each group | vectors without channels: layer_norm
        instance_norm | as layer_norm, over each channel's positions | classification, where an image's contrast carries meaning
        layer_norm | x̄ = (g − mean g − x̂ · mean(g · x̂)) / σ with g = ȳ · weight; weight̄ = Σ ȳ · x̂, bias̄ = Σ ȳ | convolutional nets with large batches, where batch_norm trains faster
        positional_embedding | to the rows of weight of the positions there are; to x as it is | sequences longer than those trained on: sinusoidal_positions, rope
        prelu | x̄ = ȳ for x > 0, slope · ȳ elsewhere; slopē = Σ ȳ · x over x ≤ 0 | small data: leaky_relu has nothing to fit
        residual | x̄ = ȳ + what f sends | where f changes the shape: project x first
        rms_norm | x̄ = (g − x̂ · mean(g · x̂)) / rms with g = ȳ · weight; weight̄ = Σ ȳ · x̂ | where means carry nothing and must go: layer_norm
        sinusoidal_positions | x̄ = ȳ | short sequences of one length: positional_embedding learns them
        time_distributed | that of f | for what works on the last axis anyway, as dense and norms do
        vmap | that of f, slice by slice; what f shares gets the sum | for what broadcasts anyway: the plain function is the same and clearer; for what updates a buffer | The transformation of JAX (Frostig et al. 2018).
        rnn | through time, the product of the steps' Jacobians | long sequences: the gradient vanishes or explodes; lstm, gru
        lstm | through time; along the cell it is multiplied by forget gates only | sequences that fit attention, which trains in parallel over time
        gru | through time; along the state it is multiplied by update gates only | as lstm; where counting matters, lstm is better (Weiss et al. 2018)
        attention | through softmax to queries and keys, by the weights to values | long sequences where T² is too much; data without positions given: add them first
        rope | ȳ turned back by the same angles | positions that are no sequence
        transformer_block | that of its parts, and 1 along the residual path | few data: it has no idea of order or neighbourhood but what it learns
        graph_conv | x̄ = Aᵀ ȳ weightᵀ, weight̄ = (A x)ᵀ ȳ | many layers: nodes become alike (Li et al. 2018)
        graph_attention | through the softmax over neighbours, and by its weights | large dense graphs, where weights for all edges do not fit
        message_passing | along the edges, backwards | what is no graph
        chain | that of its layers, last to first | where a `|>` reads better
        repeat | that of its layers, last to first | layers that differ by their place: `for i in 0..n { … }`
        parallel | the sum of what the branches send | two branches that are added: residual, or `f(x) + g(x)` | (Szegedy et al. 2015).
        checkpoint | that of f, whose inside is computed again | where memory is not short: it costs a forward pass
        frozen | to the input only | parts that shall stay as they are in the whole run: `freeze` in the train block | Features learned elsewhere carry over (Yosinski et al. 2014).
        no_decay | that of f | several paths at once: `weight_decay_on` in the train block | Decay of weights is a prior that they are small (Krogh and Hertz 1992).
        lr_scale | that of f | all parameters alike: the optimizer's `lr` | (Howard and Ruder 2018).
        scan | the same recurrence backwards over what the forward one kept | steps that do not depend on each other: vmap
        abs | x̄ = ȳ · sign x, 0 at 0 | as a loss near its end: huber is smooth at 0
        all | none | of numbers that shall be close rather than equal: close
        any | none | where it matters how many there are: sum
        argmax | none | as a layer before a loss: softmax has a gradient
        argmin | none | as a layer before a loss: softmax of −x has a gradient
        argsort | none | the sorted numbers themselves: sort
        avg_pool1d | ȳ / n to every element of a window | where it matters whether something is there at all: max_pool1d
        avg_pool2d | ȳ / n to every element of a window | where it matters whether something is there at all: max_pool2d
        adaptive_avg_pool2d | ȳ / n to every element of a window | for one value a channel: global_avg_pool
        broadcast_to | x̄ = Σ ȳ over the axes that repeat | before arithmetic, which broadcasts by itself | Where a whole shape is asked for, as by concat.
        cast | x̄ = ȳ between floats; none from or to whole numbers and bools | a question such as x > 0 in arithmetic, where bool counts as a number by itself | To whole numbers for `take` and `one_hot`, to float after counting.
        ceil | none | sizes: ceil_div is exact
        ceil_div | none: sizes | tensors: ceil(a / b)
        celu | x̄ = ȳ for x > 0, ȳ · e^(x/alpha) elsewhere | where exp is too slow: relu
        clamp | x̄ = ȳ between the bounds, 0 beyond | on logits before a loss: they stop learning beyond | Keeps numbers within bounds.
        close | none | whole numbers and bools: == is exact
        concat | each gets its slice of ȳ | tensors that are added in the next layer anyway: one dense each, and + | Skip connections that keep both (Huang et al. 2017).
        cos | x̄ = −ȳ · sin x | turning pairs of channels by positions: rope | Periodic features.
        cumprod | x̄[j] = Π_{i<j} x[i] · Σ_{t≥j} ȳ[t] · Π_{j<i≤t} x[i]: no division, so that zeros are fine | long products: cumsum of logarithms does not under- or overflow
        cumsum | x̄[j] = Σ_{t≥j} ȳ[t] | the total alone: sum; means of windows: avg_pool1d
        dynamic_slice | zeros with ȳ at the place | where the place is known when the model is made: x[a:b]
        dynamic_update_slice | to x, ȳ with zeros at the place; to update, the stretch of ȳ | places known when the model is made: concat; single rows: scatter_add
        einsum | to each tensor, the einsum of ȳ with the others | plain products: @ says more
        elu | x̄ = ȳ for x > 0, ȳ · alpha · eˣ elsewhere | where exp is too slow: relu
        erf | x̄ = ȳ · 2/√π · e^(−x²) | an activation: gelu has it inside | The distribution function of a normal, but for scale.
        exp | x̄ = ȳ · y | before a log or a division by a sum: log_softmax and logsumexp do not overflow | Rates and variances that must be above 0.
        expand_dims | ȳ without the axis | several axes at once: reshape, or x[:, None] | Makes room for broadcasting.
        expm1 | x̄ = ȳ · (y + 1) | large x, where exp − 1 is the same | Keeps the digits of eˣ − 1 near 0.
        eye | - | a map that does nothing: the layer can be left out | Masks of diagonals; one-hot rows of 0 … n − 1.
        flatten | ȳ in the old shape | images before dense, where global_avg_pool has far fewer parameters after it | From maps to a vector, before dense.
        flip | ȳ flipped | a recurrence in reverse: rnn(…, reverse = true) | Pictures seen in a mirror.
        floor | none | sizes: floor_div is exact
        floor_div | none: sizes | tensors: floor(a / b)
        full | to the value, Σ ȳ | a number in arithmetic, which broadcasts by itself | Where a shape is asked for.
        gather | to the elements that were taken, summed where one was taken twice | whole slices: take
        gelu | x̄ = ȳ · (Φ(x) + x · φ(x)) | where the negative part does no good: relu is faster
        global_avg_pool | ȳ / n to every position | where position matters
        global_max_pool | to the largest, shared evenly by ties | noisy features: global_avg_pool | Whether a pattern is anywhere.
        glu | to a: ȳ · σ(b); to b: ȳ · a · σ(b)(1 − σ(b)) | where the width must stay: it halves the axis
        hard_sigmoid | x̄ = ȳ / 6 for −3 < x < 3, 0 elsewhere | where derivatives must be smooth: sigmoid
        hard_swish | x̄ = ȳ · (2x + 3) / 6 for −3 < x < 3, ȳ above, 0 below | where derivatives must be smooth: swish
        iota | - | positions for attention: positional_embedding, rope | Positions and classes as numbers.
        is_finite | none | to let training go on: a step whose loss is not finite is not taken, and says where it came from | In `test` blocks and metrics.
        is_nan | none | to let training go on: a step whose loss is not finite is not taken, and says where it came from | In `test` blocks and metrics.
        leaky_relu | x̄ = ȳ for x > 0, slope · ȳ elsewhere | where sparsity is wanted: relu
        len | none: a size | a size of a tensor that its type names already
        log | x̄ = ȳ / x | of a softmax, sigmoid or 1 + x: log_softmax, bce_with_logits, log1p keep the digits
        log1p | x̄ = ȳ / (1 + x) | large x, where log is the same
        log_softmax | x̄ = ȳ − softmax(x) · Σ ȳ | before cross_entropy, which does it: then nll | Logarithms of probabilities, without overflow.
        logsumexp | x̄ = ȳ · softmax(x) | the losses: cross_entropy has it inside
        masked_fill | ȳ where the mask does not hold; to the value, Σ ȳ where it does | attention, which takes mask = itself
        matmul | x̄ = z̄ · yᵀ, ȳ = xᵀ · z̄ | a learned map: dense has the parameter
        max | to the largest, shared evenly by ties | a smooth maximum: logsumexp
        max_pool1d | to the largest of each window, shared evenly by ties | where the mean says more: avg_pool1d
        max_pool2d | to the largest of each window, shared evenly by ties | where positions must survive, as in segmentation: strided conv2d
        maximum | to the larger, half to each in a tie | against 0: relu; bounds on both sides: clamp
        mean | x̄ = ȳ / n | few extreme values that shall not count: a median by sort | All, or over axes.
        min | to the smallest, shared evenly by ties | the place: argmin; a smooth one: −logsumexp(−x)
        minimum | to the smaller, half to each in a tie | bounds on both sides: clamp
        mish | x̄ = ȳ · (tanh s + x · σ(x) · (1 − tanh² s)), s = log(1 + eˣ) | where it must be fast: swish is much alike
        norm | x̄ = ȳ · x / y, 0 at 0 | the penalty on weights: l2 is smooth
        one_hot | none | many classes before dense: embedding takes the row directly | Classes as vectors.
        ones | - | a number in arithmetic, which broadcasts by itself
        ones_like | none | a number in arithmetic, which broadcasts by itself | Cotangents for vjp.
        outer | x̄ = z̄ · y, ȳ = z̄ᵀ · x | batches: einsum("bi,bj->bij", x, y) | Tables of pairs.
        pad | ȳ without the border | before a convolution, which pads by itself
        pow | x̄ = ȳ · y · x^(y − 1); to the exponent, ȳ · x^y · log x, 0 where x is 0 | whole exponents of negative numbers that are computed: their derivative by the exponent is none
        prod | x̄ = ȳ · the product of the other factors: no division, so that zeros are fine | many factors: the sum of logarithms does not under- or overflow
        random.bernoulli | none | dropout, which scales and is off in evaluation | A mask of one's own.
        random.categorical | none | where a gradient must pass: softmax of logits with Gumbel noise
        random.normal | to mean and std as x = mean + std · ε | noise that only training shall have: dropout, or `if training` | (Box and Muller 1958), on Philox (Salmon et al. 2011).
        random.permutation | none | shuffling of rows between epochs, which the trainer does
        random.uniform | to lo and hi | whole numbers: random.categorical, random.permutation | On Philox (Salmon et al. 2011).
        rearrange | ȳ rearranged back | exchanging two axes: swapaxes
        reduce | that of the reduction, rearranged back | whole axes by number: sum, mean, max
        relu | x̄ = ȳ for x > 0, 0 elsewhere and at 0 | deep nets whose units die: leaky_relu, gelu; nets that are differentiated twice: its second derivative is 0
        reshape | ȳ in the old shape | to exchange axes: transpose | The same elements, row by row, in another shape; one size may be −1.
        resize | the transpose of the interpolation | what the net shall learn to enlarge: conv_transpose2d
        roll | ȳ rolled back | what must not come back at the other end: pad and slice
        round | none | where a gradient must pass: x + stop_gradient(round(x) − x)
        rsqrt | x̄ = −½ ȳ · y³ | vectors of length 1: x / maximum(norm(x), eps) has no infinity at 0 | Norms: x · rsqrt(mean x² + eps).
        scatter_add | to x, ȳ; to what is added, ȳ at its place | sums over classes of a fixed number: one_hot and a matrix product
        selu | x̄ = 1.0507 · ȳ for x > 0, 1.0507 · 1.6733 · ȳ · eˣ elsewhere | with norms or plain dropout, which undo what it keeps
        sigmoid | x̄ = ȳ · y(1 − y) | in hidden layers: it saturates, and its derivative is at most ¼; before a loss: bce_with_logits
        sign | none | where a gradient must pass: tanh(k · x), or x + stop_gradient(sign(x) − x)
        silu | x̄ = ȳ · (σ + x · σ(1 − σ)) | as swish
        sin | x̄ = ȳ · cos x | turning pairs of channels by positions: rope | Periodic features.
        slice | ȳ padded with zeros | known places: x[:, 1:] reads better
        softmax | x̄ = y · (ȳ − Σ ȳ · y) | before cross_entropy, which takes logits; for labels that do not exclude each other: sigmoid
        softplus | x̄ = ȳ · σ(x) | where exact zeros are wanted: relu
        softsign | x̄ = ȳ / (1 + |x|)² | where saturation must be fast: tanh
        sort | to where the elements came from | for the largest few: top_k
        split | the parts' cotangents, one after another | the one part that is needed: x[:, :n]
        sqrt | x̄ = ½ ȳ / y, infinite at 0 | of a sum of squares: norm, whose derivative at 0 is 0
        square | x̄ = 2 ȳ · x | the length of a vector: norm | Losses and penalties.
        squeeze | ȳ with the axis | an axis of another size than 1: it is an error, and index [0] takes one | Drops what a layer left over, such as the one channel of `dense(1)`.
        stack | each gets its slice of ȳ | along an axis that is there already: concat | Several results as one tensor.
        std | x̄ = ȳ · (x − mean) / (n · y), 0 where y is 0 | as a divisor: √(var + eps) is finite at 0, as in the norms
        stop_gradient | none | to keep parameters: freeze | Targets that shall not follow: teachers, running averages, the maximum in a softmax.
        sum | x̄ = ȳ for every element | means, whose size does not depend on how many there are
        swapaxes | ȳ with the axes exchanged | several axes at once: transpose, rearrange | Keys for a product with queries.
        swiglu | as glu, with swish for the gate | where the width must stay: it halves the axis
        swish | x̄ = ȳ · (σ + βx · σ(1 − σ)), σ of βx | small fast nets: relu
        take | to the slices that were taken, summed where one was taken twice | one element an index: gather
        tan | x̄ = ȳ · (1 + y²) | angles: sin and cos stay finite, and together say the quadrant | Slopes of angles; infinite at π/2.
        tanh | x̄ = ȳ · (1 − y²) | deep stacks without norms: it saturates | A squashing function with mean 0 (LeCun et al. 1998); states of recurrences.
        top_k | values: to where they came from; indices: none | the best one: argmax and max
        transpose | ȳ with the axes back | the last two of many axes: swapaxes(x, −1, −2) | Without axes, all in reverse.
        tril | ȳ in the triangle, 0 elsewhere | attention: causal = true
        triu | ȳ in the triangle, 0 elsewhere | attention: causal = true
        var | x̄ = 2 ȳ · (x − mean) / n | an unbiased estimate from few numbers: times n / (n − 1) | Divides by n.
        where | ȳ to the one that was chosen, 0 to the other | to hide a NaN: the derivative of what is hidden is computed, and 0 · ∞ is NaN; replace the argument
        zeros | - | a number in arithmetic, which broadcasts by itself
        zeros_like | none | a number in arithmetic, which broadcasts by itself | Where a branch has nothing to give.
        bce | x̄ = (x − y) / (x (1 − x)) / n | logits: bce_with_logits | Classes that are there or not, from probabilities (Cox 1958).
        bce_with_logits | x̄ = (σ(x) − y) / n | classes that exclude each other: cross_entropy; after a sigmoid | Classes that are there or not: logistic regression's loss (Cox 1958).
        cosine_similarity_loss | x̄ = −(ŷ − (x̂ · ŷ) x̂) / (|x| n): across x only | where lengths count: mse | (Salton et al. 1975).
        cross_entropy | x̄ = (softmax(x) − y) / n | after a softmax; for labels that do not exclude each other: bce_with_logits; for measurements: mse
        ctc | x̄ = softmax(x) − the probability of each class at each time, given the labels | where times are labelled one by one: cross_entropy
        hinge | x̄ = −y / n where y · x < 1, 0 elsewhere | where probabilities are wanted: bce_with_logits
        huber | x̄ = r / n for |r| ≤ delta, delta · sign r / n beyond | errors that are normal: mse is best then
        kl_div | log_q gets −p / n | labels that are classes: cross_entropy | (Kullback and Leibler 1951).
        l1 | w̄ = sign w, 0 at 0 | where all weights shall be small rather than few: l2
        l2 | w̄ = 2 w | with adam: the decay of adamw does what it is meant to (Loshchilov and Hutter 2019)
        mae | x̄ = sign(x − y) / n | near the end of training: its gradient does not shrink; huber does | Its best constant is the median (Edgeworth 1887).
        mse | x̄ = 2 (x − y) / n | class labels: cross_entropy; errors with outliers: huber, mae | Least squares (Legendre 1805): its best constant is the mean.
        nll | log_p gets −1 / n at the label | logits: cross_entropy | Maximum likelihood (Fisher 1922).
        triplet | along the unit vectors between anchor, positive and negative, where the margin is not reached | few classes with many examples each: cross_entropy learns faster
        accuracy | none | classes of very different sizes: f1, auc; as a loss | What is said of it alone misleads where classes differ in size (Provost et al. 1998).
        auc | none | where the threshold is known: precision, recall
        confusion_matrix | none | one figure to choose a model by: f1, accuracy | (Townsend 1971).
        f1 | none | where negatives count as well: accuracy
        perplexity | through the cross entropy | of different vocabularies: it is not comparable | (Jelinek et al. 1977).
        pooled | x̄ = ȳ | means over rows, which need no pooling
        precision | none | alone: calling one row positive makes it high | (Kent et al. 1955).
        r2 | x̄ = 2 (y − ŷ) / Σ(y − ȳ)² | nearly constant targets: the denominator is noise; mse | (Wright 1921).
        recall | none | alone: calling all rows positive makes it 1 | (Kent et al. 1955).
        top_k_accuracy | none | few classes | The usual second figure of ImageNet (Russakovsky et al. 2015).
        grad | an expression, to be differentiated again | of several numbers: vjp, jacobian
        hessian | an expression, to be differentiated again | large x: n² numbers; hvp
        hvp | an expression, to be differentiated again | few parameters, where the hessian itself can be looked at | (Pearlmutter 1994).
        jacobian | an expression, to be differentiated again | large y and x: n · m numbers; vjp, jvp
        jvp | an expression, to be differentiated again | the gradient of one number by many: grad
        params | to every one of them | single ones: their paths, as in `d.weight`
        value_and_grad | expressions, to be differentiated again | the gradient alone: grad
        vjp | an expression, to be differentiated again | the gradient of one number: grad
        constant | - | weights: equal units stay equal; biases and scales only
        he_normal | - | before tanh or sigmoid, and for the last layer: Xavier | (He et al. 2015).
        he_uniform | - | before tanh or sigmoid, and for the last layer: Xavier
        identity | - | widths that differ: the rest is 0 | Recurrent matrices that keep their state at first (Le et al. 2015).
        lecun_normal | - | before relu: He, or the signal shrinks by half a layer
        normal | - | large layers at std = 1: outputs grow with √fan-in
        orthogonal | - | very wide layers: a QR factorization of each
        truncated_normal | - | where fans differ much: He, Xavier
        uniform | - | where fans differ much: He, Xavier | (LeCun et al. 1998).
        xavier_normal | - | before relu: He | (Glorot and Bengio 2010).
        xavier_uniform | - | before relu: He
        adafactor | - | where memory is not short: adamw is better known
        adagrad | - | long runs: its rates shrink to nothing; rmsprop, adam
        adam | - | with weight decay: adamw; convolutional nets that have time: sgd with momentum generalizes better (Wilson et al. 2017)
        adamw | - | convolutional nets that have time: sgd with momentum
        lamb | - | batches below some thousand rows: adamw
        lbfgs | - | large data, noise (dropout), many parameters: its steps need the whole gradient
        lion | - | small batches: signs are noisy
        nadam | - | noisy gradients of small batches, which the look ahead follows: adam
        rmsprop | - | sparse gradients: it forgets them; adam
        sgd | - | badly scaled problems, Transformers: adamw
        cosine | - | where the end of the run is not known: inverse_sqrt
        exponential | - | where the end of the run is known: cosine, linear | (Senior et al. 2013).
        inverse_sqrt | - | where the end of the run is known: cosine reaches further down
        linear | - | the first steps of adam in deep nets: warmup_linear | The best simple rule for a run of known length (Li et al. 2020).
        one_cycle | - | long runs
        piecewise | - | where nothing is known of the boundaries: cosine | (He et al. 2016).
        step | - | where nothing is known of the boundaries: cosine | Divided by ten where the error stays (He et al. 2016): the rule of the first deep ResNets.
        then | - | what warmup_cosine and warmup_linear are already
        warmup_cosine | - | short runs, where warm-up takes it all | (Goyal et al. 2017; Loshchilov and Hutter 2017).
        warmup_linear | - | short runs, where warm-up takes it all
        nan | - | x == nan, which never holds: is_nan | What is missing in data.
        inf | - | a large number, which it is not: ∞ − ∞ is no number | Scores of what must not be chosen: masked_fill(x, m, −inf).
        pi | - | periods that should be learned: a param | The ratio of a circle's circumference to its diameter, in float64.
        auto | - | where a paper says another
        random.seed | - | models: draws take their keys themselves
        random.step | - | schedules, which have their own step
        blobs | - | to compare networks: a linear map separates them | Classes with a known best border.
        circles | - | to compare networks: a square of the radius separates them | Classes that no line separates.
        copy_task | - | what attention is for: it copies at once
        csv | - | arrays that are read often: npz, safetensors need no parsing
        graph | - | nodes without edges: csv | The smallest that is in use is a karate club (Zachary 1977).
        idx | - | one's own pictures: images takes a folder of files | The format of MNIST (LeCun et al. 1998).
        images | - | thousands of equal small pictures: idx, npz are read faster
        jsonl | - | tables of numbers: csv
        npz | - | arrays in Fortran order that are larger than memory: they are turned there
        reverse_task | - | what a recurrent network is for: copy_task asks for a memory over time
        safetensors | - | weights to start from: `start_from` in the train block
        sine_wave | - | long memories: the last few values say all; copy_task
        spirals | - | to compare optimizers: its loss is dominated by a few points near the centre | Classes that only a curved border separates (Lang and Witbrock 1988).
        text | - | a document a row: jsonl
        two_moons | - | to compare methods: nearly all of them solve it
        xor | - | to compare methods: nearly all with a hidden layer solve it (Minsky and Papert 1969)
        """;

    private static readonly Lazy<Dictionary<string, CatalogNote>> Notes = new(() => NoteText.Split('\n').Select(line => line.Split(" | ")).ToDictionary(
        parts => parts[0],
        parts => new CatalogNote(Part(parts[1]), Part(parts[2]), parts is [_, _, _, var use] ? use : ""),
        StringComparer.Ordinal));

    /// <summary>The names that notes are there for.</summary>
    public static IEnumerable<string> Noted => Notes.Value.Keys;

    /// <summary>What is noted of a name; parts that do not apply are empty.</summary>
    internal static CatalogNote NoteOf(string name) => Notes.Value.GetValueOrDefault(name) ?? new CatalogNote("", "", "");

    private static string Part(string text) => text == "-" ? "" : text;
}
