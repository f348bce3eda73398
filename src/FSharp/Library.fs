namespace Dnn.FSharp

open System
open System.Collections
open System.Collections.Immutable
open Dnn.Graph
open Dnn.Backend
open Dnn.Dsl

/// Functions of expressions, data last: `x |> Expr.relu |> Expr.sum`.
[<RequireQualifiedAccess>]
module Expr =
    let relu (x: Expr) = x.Relu()
    let leakyRelu (slope: float) (x: Expr) = x.LeakyRelu slope
    let sigmoid (x: Expr) = x.Sigmoid()
    let gelu (x: Expr) = x.Gelu()
    let swish (x: Expr) = x.Swish()
    let softplus (x: Expr) = x.Softplus()
    let elu (x: Expr) = x.Elu()
    let selu (x: Expr) = x.Selu()
    let celu (alpha: float) (x: Expr) = x.Celu alpha
    let mish (x: Expr) = x.Mish()
    let softsign (x: Expr) = x.Softsign()
    let hardSigmoid (x: Expr) = x.HardSigmoid()
    let hardSwish (x: Expr) = x.HardSwish()
    let glu (x: Expr) = x.Glu()
    let swiglu (x: Expr) = x.Swiglu()
    let isNan (x: Expr) = x.IsNan()
    let isFinite (x: Expr) = x.IsFinite()
    let softmax (x: Expr) = x.Softmax()
    let logSoftmax (x: Expr) = x.LogSoftmax()
    let sum (x: Expr) = x.Sum()
    let mean (x: Expr) = x.Mean()
    /// Over one axis, which the result lacks.
    let sumOver (axis: int) (x: Expr) = x.Sum(Axes.op_Implicit axis)
    let meanOver (axis: int) (x: Expr) = x.Mean(Axes.op_Implicit axis)
    let argmax (x: Expr) = x.ArgMax()
    let argmin (x: Expr) = x.ArgMin()
    let any (x: Expr) = x.Any()
    let all (x: Expr) = x.All()
    /// The triangle where column − row ≤ k, or ≥ k: `x |> Expr.tril 0`.
    let tril (k: int) (x: Expr) = x.Tril k
    let triu (k: int) (x: Expr) = x.Triu k
    let eye (n: Dim) = Tensors.Eye n
    let maskedFill (mask: Expr) (value: Expr) (x: Expr) = x.MaskedFill(mask, value)
    /// Equal parts along an axis: `match x |> Expr.split 2 1 with [ a; b ] -> …`
    let split (parts: int) (axis: int) (x: Expr) = x.Split(parts, axis) |> List.ofArray
    let flip (axis: int) (x: Expr) = x.Flip(Axes.op_Implicit axis)
    let roll (shift: int) (axis: int) (x: Expr) = x.Roll(shift, axis)
    let gather (indices: Expr) (axis: int) (x: Expr) = x.Gather(indices, axis)
    /// A border of zeros: the elements before and after, axis by axis.
    let pad (widths: (Dim * Dim) list) (x: Expr) = x.Pad(ReadOnlySpan [| for before, after in widths -> struct (before, after) |])
    let scatterAdd (indices: Expr) (updates: Expr) (axis: int) (x: Expr) = x.ScatterAdd(indices, updates, axis)
    /// Another size of the axes between the first and the last: `x |> Expr.resize [ size 32; size 32 ] Interpolation.Bilinear`.
    let resize (sizes: Dim list) (method: Interpolation) (x: Expr) = x.Resize(Shape(List.toArray sizes), method)
    let adaptiveAvgPool2d (size: int) (x: Expr) = x.AdaptiveAvgPool2d(Extent.op_Implicit size)
    let outer (y: Expr) (x: Expr) = x.Outer y
    let equalTo (y: Expr) (x: Expr) = x.EqualTo y
    let matmul (y: Expr) (x: Expr) = x.MatMul y
    let reshape (dims: Dim list) (x: Expr) = x.Reshape(Shape(List.toArray dims))
    let private sizesOf (sizes: (string * Dim) list) = ReadOnlySpan [| for name, size in sizes -> struct (name, size) |]
    /// Axes split, reordered and joined: `x |> Expr.rearrange "b t (h e) -> b h t e" [ "h", size 8 ]`.
    let rearrange (pattern: string) (sizes: (string * Dim) list) (x: Expr) = x.Rearrange(pattern, sizesOf sizes)
    /// The reduction over the axes that the right side lacks: `x |> Expr.reduce "b h w c -> b c" PatternReduction.Mean []`.
    let reduce (pattern: string) (reduction: PatternReduction) (sizes: (string * Dim) list) (x: Expr) = x.Reduce(pattern, reduction, sizesOf sizes)
    /// The sum of products over the letters that the result lacks: `Expr.einsum "bij,bjk->bik" [ x; y ]`.
    let einsum (pattern: string) (tensors: Expr list) = Patterns.Einsum(pattern, ReadOnlySpan(List.toArray tensors))
    let exp (x: Expr) = x.Exp()
    let log (x: Expr) = x.Log()
    let log1p (x: Expr) = x.Log1p()
    let expm1 (x: Expr) = x.Expm1()
    let sqrt (x: Expr) = x.Sqrt()
    let rsqrt (x: Expr) = x.Rsqrt()
    let square (x: Expr) = x.Square()
    let pow (exponent: Expr) (x: Expr) = x.Pow exponent
    let abs (x: Expr) = x.Abs()
    let sign (x: Expr) = x.Sign()
    let sin (x: Expr) = x.Sin()
    let cos (x: Expr) = x.Cos()
    let tan (x: Expr) = x.Tan()
    let tanh (x: Expr) = x.Tanh()
    let erf (x: Expr) = x.Erf()
    let floor (x: Expr) = x.Floor()
    let ceil (x: Expr) = x.Ceil()
    let round (x: Expr) = x.Round()
    /// The larger and the smaller of two, element by element; `max` and `min` are those of all elements.
    let maximum (y: Expr) (x: Expr) = x.Max y
    let minimum (y: Expr) (x: Expr) = x.Min y
    let clamp (low: Expr) (high: Expr) (x: Expr) = x.Clamp(low, high)
    let max (x: Expr) = x.ReduceMax()
    let min (x: Expr) = x.ReduceMin()
    let maxOver (axis: int) (x: Expr) = x.ReduceMax(Axes.op_Implicit axis)
    let minOver (axis: int) (x: Expr) = x.ReduceMin(Axes.op_Implicit axis)
    let var (x: Expr) = x.Var()
    let std (x: Expr) = x.Std()
    let norm (x: Expr) = x.Norm()
    let logsumexp (x: Expr) = x.LogSumExp()
    let normOver (axis: int) (x: Expr) = x.Norm(Axes.op_Implicit axis)
    let logsumexpOver (axis: int) (x: Expr) = x.LogSumExp(Axes.op_Implicit axis)
    let where (condition: Expr) (x: Expr) (y: Expr) = Expr.Where(condition, x, y)
    let concat (axis: int) (parts: Expr list) = Expr.Concat(axis, ReadOnlySpan(List.toArray parts))
    let stack (axis: int) (parts: Expr list) = Expr.Stack(axis, ReadOnlySpan(List.toArray parts))
    let transpose (axes: int list) (x: Expr) = x.Transpose(ReadOnlySpan(List.toArray axes))
    let swapaxes (a: int) (b: int) (x: Expr) = x.SwapAxes(a, b)
    let squeeze (axis: int) (x: Expr) = x.Squeeze axis
    let expandDims (axis: int) (x: Expr) = x.ExpandDims axis
    let flatten (x: Expr) = x.Flatten()
    let broadcastTo (dims: Dim list) (x: Expr) = x.BroadcastTo(Shape(List.toArray dims))
    /// From start up to limit along an axis: `x |> Expr.slice 1 (size 0) (size 8)`.
    let slice (axis: int) (start: Dim) (limit: Dim) (x: Expr) = x.SliceAxis(axis, start, limit)
    /// The slices of an axis at whole numbers.
    let take (indices: Expr) (axis: int) (x: Expr) = x.Take(indices, axis)
    let oneHot (classes: Dim) (x: Expr) = x.OneHot classes
    let cast (dtype: DType) (x: Expr) = x.Cast dtype
    let full (dims: Dim list) (value: float) = Expr.Full(Shape(List.toArray dims), value)
    let zeros (dims: Dim list) = full dims 0.0
    let ones (dims: Dim list) = full dims 1.0
    let zerosLike (x: Expr) = x.ZerosLike()
    let onesLike (x: Expr) = x.OnesLike()
    /// 0, 1, … n − 1.
    let iota (n: Dim) = Expr.Iota(Shape(n), 0)
    let maxPool1d (window: int) (x: Expr) = x.MaxPool1d(Extent.op_Implicit window)
    let maxPool2d (window: int) (x: Expr) = x.MaxPool2d(Extent.op_Implicit window)
    let avgPool1d (window: int) (x: Expr) = x.AvgPool1d(Extent.op_Implicit window)
    let avgPool2d (window: int) (x: Expr) = x.AvgPool2d(Extent.op_Implicit window)
    let globalAvgPool (x: Expr) = x.GlobalAvgPool()
    let globalMaxPool (x: Expr) = x.GlobalMaxPool()
    let stopGradient (x: Expr) = x.StopGradient()
    /// A fresh variable of float type: `Expr.variable "x" [ dim "B"; size 64 ]`.
    let variable (name: string) (dims: Dim list) = Expr.Variable(name, Shape(List.toArray dims))
    /// The gradient of a scalar: `y |> Expr.grad x`.
    let grad (x: Expr) (y: Expr) = y.Grad x
    /// Nothing of the value is computed twice: the gradient shares its nodes.
    let valueAndGrad (x: Expr) (y: Expr) = y, y.Grad x
    let cumsum (axis: int) (x: Expr) = x.CumSum axis
    let cumprod (axis: int) (x: Expr) = x.CumProd axis
    let prod (x: Expr) = x.Prod()
    let sort (axis: int) (x: Expr) = x.Sort axis
    let argsort (axis: int) (x: Expr) = x.ArgSort axis
    /// The k largest elements of the last axis and their indices.
    let topK (k: Dim) (x: Expr) = let struct (values, indices) = x.TopK k in values, indices
    let dynamicSlice (start: Expr) (length: Dim) (axis: int) (x: Expr) = x.DynamicSlice(start, length, axis)
    let dynamicUpdateSlice (update: Expr) (start: Expr) (axis: int) (x: Expr) = x.DynamicUpdateSlice(update, start, axis)
    /// f of every slice along an axis, along a new first one: `xs |> Expr.vmap 0 (fun x -> loss x |> Expr.grad w)`.
    let vmap (axis: int) (f: Expr -> Expr) (x: Expr) = Expr.Vmap(Func<Expr, Expr> f, x, axis)
    /// A value with a gradient rule of its own: of input, result and cotangent.
    let customGradient (value: Expr) (rule: Expr -> Expr -> Expr -> Expr) (x: Expr) =
        Expr.CustomGradient([| x |], value, fun inputs y dy -> [| rule inputs[0] y dy |])
    /// All ∂yᵢ/∂xⱼ, and of a scalar all ∂²y/∂xᵢ∂xⱼ.
    let jacobian (x: Expr) (y: Expr) = y.Jacobian x
    let hessian (x: Expr) (y: Expr) = y.Hessian x
    /// A recurrence along an axis, from a state: the last state, and the outputs stacked. `xs |> Expr.scan 1 init (fun s x -> s + x, s)`
    let scan (axis: int) (init: Expr) (step: Expr -> Expr -> Expr * Expr) (xs: Expr) =
        let struct (last, outputs) = xs.Scan(init, (fun s x -> let next, y = step s x in struct (next, y)), axis)
        last, outputs
    /// The gradient, or why there is none.
    let tryGrad (x: Expr) (y: Expr) = try Ok(y.Grad x) with :? GraphException as e -> Error e.Message

/// Random tensors as functions of a key: `Random.normal (Random.key "noise") [ dim "B"; size 8 ]`.
[<RequireQualifiedAccess>]
module Random =
    /// A key of a place: it folds the run's seed and step, and differs from place to place.
    let key (place: string) = RandomState.Key place
    let normal (key: Expr) (dims: Dim list) = Rng.Normal(key, Shape(List.toArray dims))
    /// In [0, 1).
    let uniform (key: Expr) (dims: Dim list) = Rng.Uniform(key, Shape(List.toArray dims))
    let bernoulli (p: float) (key: Expr) (dims: Dim list) = Rng.Bernoulli(key, Shape(List.toArray dims), p)
    /// Classes along the last axis, each with probability softmax(logits).
    let categorical (key: Expr) (logits: Expr) = Rng.Categorical(key, logits)
    let permutation (key: Expr) (n: Dim) = Rng.Permutation(key, n)

/// Layers, data last. Each call makes a new instance: `x |> Layer.dense 64 |> Expr.relu`. Bind an instance (`let fc = Layer.Of.dense 64`) and
/// apply it twice to share its parameters.
[<RequireQualifiedAccess>]
module Layer =
    /// Layers as values.
    module Of =
        let dense units = Layers.Dense units
        let embedding vocab dim = Layers.Embedding(vocab, dim)
        let layerNorm () = Layers.LayerNorm()
        let rmsNorm () = Layers.RmsNorm()
        let batchNorm () = Layers.BatchNorm()
        let groupNorm groups = Layers.GroupNorm groups
        let instanceNorm () = Layers.InstanceNorm()
        let positionalEmbedding maxLength = Layers.PositionalEmbedding maxLength
        let sinusoidalPositions () = Layers.SinusoidalPositions()
        let dropout rate = Layers.Dropout rate
        let prelu () = Layers.Prelu()
        let rnn units = Layers.Rnn units
        let lstm units = Layers.Lstm units
        let gru units = Layers.Gru units
        let conv1d filters (kernel: int) = Layers.Conv1d(filters, Extent.op_Implicit kernel)
        let conv2d filters (kernel: int) = Layers.Conv2d(filters, Extent.op_Implicit kernel)
        let conv3d filters (kernel: int) = Layers.Conv3d(filters, Extent.op_Implicit kernel)
        let depthwiseConv2d (kernel: int) = Layers.DepthwiseConv2d(Extent.op_Implicit kernel)
        let residual (f: Layer) = Layers.Residual f
        let dropPath rate = Layers.DropPath rate
        let attention heads = Layers.Attention heads
        let causalAttention heads = Layers.Attention(heads, true)
        let rope () = Layers.Rope()
        let transformerBlock heads = Layers.TransformerBlock(heads)
        let causalTransformerBlock heads = Layers.TransformerBlock(heads, causal = true)
        let graphConv units = Layers.GraphConv units
        let graphAttention units heads = Layers.GraphAttention(units, heads)
        let messagePassing (f: Layer) = Layers.MessagePassing f
        let timeDistributed (f: Layer) = Layers.TimeDistributed f
        /// `parallel` of the language: several layers on the same tensor; `Layer.applyAll` gives their results.
        let branches (layers: Layer list) = Layers.Parallel(ReadOnlySpan(List.toArray layers))
        let convTranspose1d filters (kernel: int) (stride: int) = Layers.ConvTranspose1d(filters, Extent.op_Implicit kernel, Nullable(Extent.op_Implicit stride))
        let convTranspose2d filters (kernel: int) (stride: int) = Layers.ConvTranspose2d(filters, Extent.op_Implicit kernel, Nullable(Extent.op_Implicit stride))
        /// So many layers in series, each made afresh: `Layer.Of.repeat 4 (fun i -> Layer.Of.dense 64)`.
        let repeat count (make: int -> Layer) = Layers.Repeat(count, make)
        /// The same parameters, kept as they are in this application.
        let frozen (f: Layer) = f.Frozen()
        let noDecay (f: Layer) = f.NoDecay()
        let lrScale (factor: float) (f: Layer) = f.ScaleLearningRate factor
        /// Computed again for gradients, so that less is kept.
        let checkpoint (f: Layer) = f.Checkpoint()
        let func (kind: string) (f: Expr -> Expr) = Layers.Function(kind, f)
        let chain (layers: Layer list) = Layers.Sequential(ReadOnlySpan(List.toArray layers))

    let apply (layer: Layer) (x: Expr) = layer.Apply x
    /// Several tensors by position and others by name: `Layer.applyAll [ "lengths", n ] [ x ] lstm`.
    let applyAll (named: (string * Expr) list) (inputs: Expr list) (layer: Layer) =
        layer.ApplyAll([| for x in inputs -> x |].ToImmutableArray(), [| for name, x in named -> Named(name, x) |].ToImmutableArray()) |> List.ofSeq
    let named (name: string) (layer: Layer) = layer.Named name
    let dense units x = apply (Of.dense units) x
    let embedding vocab dim x = apply (Of.embedding vocab dim) x
    let layerNorm x = apply (Of.layerNorm ()) x
    let rmsNorm x = apply (Of.rmsNorm ()) x
    let batchNorm x = apply (Of.batchNorm ()) x
    let groupNorm groups x = apply (Of.groupNorm groups) x
    let instanceNorm x = apply (Of.instanceNorm ()) x
    let positionalEmbedding maxLength x = apply (Of.positionalEmbedding maxLength) x
    let sinusoidalPositions x = apply (Of.sinusoidalPositions ()) x
    let dropout rate x = apply (Of.dropout rate) x
    let prelu x = apply (Of.prelu ()) x
    let rnn units x = apply (Of.rnn units) x
    let lstm units x = apply (Of.lstm units) x
    let gru units x = apply (Of.gru units) x
    let conv1d filters kernel x = apply (Of.conv1d filters kernel) x
    let conv2d filters kernel x = apply (Of.conv2d filters kernel) x
    let conv3d filters kernel x = apply (Of.conv3d filters kernel) x
    let depthwiseConv2d kernel x = apply (Of.depthwiseConv2d kernel) x
    let repeat count make x = apply (Of.repeat count make) x
    let residual f x = apply (Of.residual f) x
    let dropPath rate x = apply (Of.dropPath rate) x
    let attention heads x = apply (Of.attention heads) x
    let causalAttention heads x = apply (Of.causalAttention heads) x
    /// With a mask, true where a position takes part: `x |> Layer.maskedAttention 8 mask`.
    let maskedAttention (heads: int) (mask: Expr) (x: Expr) = x.Attention(heads, mask = mask)
    /// The tensor asks, the source is asked: `q |> Layer.attentionTo 8 kv`.
    let attentionTo (heads: int) (source: Expr) (x: Expr) = x.AttentionTo(source, heads)
    let rope x = apply (Of.rope ()) x
    let transformerBlock heads x = apply (Of.transformerBlock heads) x
    let causalTransformerBlock heads x = apply (Of.causalTransformerBlock heads) x
    /// On the rows of nodes and int[E, 2] edges: `x |> Layer.graphConv 16 edges`.
    let graphConv (units: int) (edges: Expr) (x: Expr) = x.GraphConv(edges, units)
    let graphAttention (units: int) (heads: int) (edges: Expr) (x: Expr) = x.GraphAttention(edges, units, heads)
    let messagePassing (f: Layer) (edges: Expr) (x: Expr) = x.MessagePassing(edges, f)
    let timeDistributed f x = apply (Of.timeDistributed f) x
    let convTranspose1d filters kernel stride x = apply (Of.convTranspose1d filters kernel stride) x
    let convTranspose2d filters kernel stride x = apply (Of.convTranspose2d filters kernel stride) x

/// Losses, targets last but one: `logits |> Loss.crossEntropy labels`.
[<RequireQualifiedAccess>]
module Loss =
    let crossEntropy (labels: Expr) (logits: Expr) = Losses.CrossEntropy(logits, labels)
    let bceWithLogits (labels: Expr) (logits: Expr) = Losses.BceWithLogits(logits, labels)
    let mse (target: Expr) (prediction: Expr) = Losses.Mse(prediction, target)
    let mae (target: Expr) (prediction: Expr) = Losses.Mae(prediction, target)
    let bce (labels: Expr) (prediction: Expr) = Losses.Bce(prediction, labels)
    let huber (delta: float) (target: Expr) (prediction: Expr) = Losses.Huber(prediction, target, delta)
    let klDiv (p: Expr) (logQ: Expr) = Losses.KlDiv(logQ, p)
    let nll (labels: Expr) (logP: Expr) = Losses.Nll(logP, labels)
    let hinge (target: Expr) (prediction: Expr) = Losses.Hinge(prediction, target)
    let cosineSimilarity (target: Expr) (prediction: Expr) = Losses.CosineSimilarity(prediction, target)
    /// Labels int[B, S] that are not aligned with the logits [B, T, classes]; class 0 is the blank.
    let ctc (labels: Expr) (logits: Expr) = Losses.Ctc(logits, labels)
    let triplet (margin: float) (positive: Expr) (negative: Expr) (anchor: Expr) = Losses.Triplet(anchor, positive, negative, margin)
    /// The sum of the absolute values of tensors, as a penalty; `l2` of the squares.
    let l1 (tensors: Expr list) = Losses.L1(ReadOnlySpan(List.toArray tensors))
    let l2 (tensors: Expr list) = Losses.L2(ReadOnlySpan(List.toArray tensors))

/// Figures of merit, targets last but one: `logits |> Metric.accuracy labels`.
[<RequireQualifiedAccess>]
module Metric =
    let accuracy (labels: Expr) (logits: Expr) = Metrics.Accuracy(logits, labels)
    let topKAccuracy (k: int) (labels: Expr) (logits: Expr) = Metrics.TopKAccuracy(logits, labels, k)
    let precision (labels: Expr) (logits: Expr) = Metrics.Precision(logits, labels)
    let recall (labels: Expr) (logits: Expr) = Metrics.Recall(logits, labels)
    let f1 (labels: Expr) (logits: Expr) = Metrics.F1(logits, labels)
    let auc (labels: Expr) (scores: Expr) = Metrics.Auc(scores, labels)
    let confusionMatrix (labels: Expr) (logits: Expr) = Metrics.ConfusionMatrix(logits, labels)
    let perplexity (labels: Expr) (logits: Expr) = Metrics.Perplexity(logits, labels)
    let r2 (target: Expr) (prediction: Expr) = Metrics.R2(prediction, target)
    /// Rows that a figure needs all of when a split is evaluated.
    let pooled (x: Expr) = Metrics.Pooled x

/// Ways to take graphs apart.
[<AutoOpen>]
module Patterns =
    /// A node by the name of its operation and its arguments: `match y with Node ("add", [ a; b ]) -> …`
    let (|Node|) (x: Expr) = x.Op.Name, List.ofSeq x.Args

    /// A number in the graph.
    let (|Number|_|) (x: Expr) =
        match x.Op with
        | :? Literal as literal -> Some literal.Number
        | _ -> None

    /// A named size: `dim "B"`.
    let dim (name: string) = Dim.Named name

    /// A known size: `size 64`.
    let size (value: int) = Dim.Of(int64 value)

/// Models: composed, trained, used.
[<RequireQualifiedAccess>]
module Model =
    /// Composes a model: layers that are applied inside put their parameters into it.
    let build (name: string) (compose: ModelBuilder -> unit) = Model.Build(name, compose)

    let private ofResult (result: CompileResult) =
        match result.Model with
        | null -> Error(List.ofSeq result.Diagnostics)
        | _ when result.HasErrors -> Error(List.ofSeq result.Diagnostics)
        | model -> Ok model

    /// The model of a `.dnn` text, or what is wrong with it.
    let parse (text: string) = Compiler.Compile(SourceText text) |> ofResult

    /// The model of a `.dnn` file, or what is wrong with it.
    let load (path: string) = Compiler.Compile path |> ofResult

    /// Diagnostics as the command prints them.
    let explain (diagnostics: Diagnostic list) = DiagnosticFormatter().Format diagnostics

    /// The model as `.dnn` text.
    let toSource (model: Model) = model.ToSource()

    /// Trains; the result carries the weights, the best ones, and the log.
    let fit (recipe: TrainingRecipe) (data: DataSet) (model: Model) = Trainer.Fit(model, recipe, data)

    /// The outputs for some inputs: `model |> Model.predict weights [ "features", x ]`.
    let predict (weights: Weights) (inputs: (string * Tensor) list) (model: Model) =
        let given = inputs |> List.map (fun (name, value) -> struct (name, value)) |> List.toArray
        Predictor(model, weights).Predict given

    /// The gradient of the sum of the losses, for every parameter, as a model of its own.
    let gradient (model: Model) =
        ModelPrinter.Differentiate(model, model.TotalLoss, [| for p in model.Parameters -> Named(p.Path, p.Variable) |])

/// A statement of a model: what it adds to the model that is being composed, and gives.
type ModelPart<'a> = ModelBuilder -> 'a

/// The statements of `model "Name" { … }`, as those of a `.dnn` model.
[<AutoOpen>]
module ModelParts =
    /// What is fed: `let! x = input "x" [ dim "B"; size 64 ]`.
    let input (name: string) (dims: Dim list) : ModelPart<Expr> = fun m -> m.Input(name, List.toArray dims)
    let inputOf (dtype: DType) (name: string) (dims: Dim list) : ModelPart<Expr> = fun m -> m.Input(name, dtype, List.toArray dims)
    /// What is fed in training and evaluation alone.
    let target (name: string) (dims: Dim list) : ModelPart<Expr> = fun m -> m.Target(name, List.toArray dims)
    let targetOf (dtype: DType) (name: string) (dims: Dim list) : ModelPart<Expr> = fun m -> m.Target(name, dtype, List.toArray dims)
    /// A parameter of the model itself: `let! scale = param "scale" [ size 8 ] Initializers.Ones`.
    let param (path: string) (dims: Dim list) (init: Initializer) : ModelPart<Expr> = fun m -> m.Parameter(path, Shape(List.toArray dims), init)
    /// A state that is saved and not trained, and its next value in training.
    let buffer (path: string) (dims: Dim list) (init: Initializer) : ModelPart<Expr> = fun m -> m.Buffer(path, Shape(List.toArray dims), init)
    let update (path: string) (next: Expr) : ModelPart<unit> = fun m -> m.Update(path, next)
    let output (name: string) (value: Expr) : ModelPart<unit> = fun m -> m.Output(name, value)
    /// A scalar to minimize; several add up.
    let loss (value: Expr) : ModelPart<unit> = fun m -> m.Loss value
    let lossAs (name: string) (value: Expr) : ModelPart<unit> = fun m -> m.Loss(value, name)
    let metric (name: string) (value: Expr) : ModelPart<unit> = fun m -> m.Metric(name, value)

/// Composes a model from statements; layers that are applied between them put their parameters into it.
type ModelExpression(name: string) =
    member _.Bind(part: ModelPart<'a>, next: 'a -> ModelPart<'b>) : ModelPart<'b> = fun m -> next (part m) m
    member _.Yield(part: ModelPart<unit>) = part
    member _.Zero() : ModelPart<unit> = ignore
    member _.Combine(first: ModelPart<unit>, rest: ModelPart<unit>) : ModelPart<unit> = fun m -> first m; rest m
    member _.Delay(rest: unit -> ModelPart<'a>) : ModelPart<'a> = fun m -> rest () m
    member _.For(items: seq<'a>, body: 'a -> ModelPart<unit>) : ModelPart<unit> = fun m -> for item in items do body item m
    member _.Run(parts: ModelPart<unit>) = Model.Build(name, fun m -> parts m)

[<AutoOpen>]
module ModelExpressions =
    /// `model "Net" { let! x = input "x" [ dim "B"; size 8 ]` … `output "y" (x |> Layer.dense 1) }`
    let model (name: string) = ModelExpression name
