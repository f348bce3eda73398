module Dnn.FSharp.Tests.LibraryTests

open System
open Xunit
open Dnn.Backend
open Dnn.FSharp
open Dnn.Dsl
open Dnn.Graph

let private network () =
    Model.build "Net" (fun m ->
        let x = m.Input("x", dim "B", size 3)
        let y = m.Target("y", dim "B", size 1)
        let shared = Layer.Of.dense 4 |> Layer.named "fc"
        let h = x |> Layer.apply shared |> Expr.relu |> Layer.residual (Layer.Of.chain [ Layer.Of.dense 4; Layer.Of.func "tanh" tanh ])
        let p = h |> Layer.layerNorm |> Layer.dense 1
        m.Output("p", p)
        m.Loss(p |> Loss.mse y))

[<Fact>]
let ``a model expression composes what the function does`` () =
    let expression =
        model "Net" {
            let! x = input "x" [ dim "B"; size 3 ]
            let! y = target "y" [ dim "B"; size 1 ]
            let shared = Layer.Of.dense 4 |> Layer.named "fc"
            let h = x |> Layer.apply shared |> Expr.relu |> Layer.residual (Layer.Of.chain [ Layer.Of.dense 4; Layer.Of.func "tanh" tanh ])
            let p = h |> Layer.layerNorm |> Layer.dense 1
            output "p" p
            loss (p |> Loss.mse y)
        }

    Assert.Equal(network().ToSource(), expression.ToSource())

[<Fact>]
let ``every statement of a model has its word`` () =
    let net =
        model "All" {
            let! x = input "x" [ dim "B"; size 2 ]
            let! kind = inputOf DType.I64 "kind" [ dim "B" ]
            let! y = target "y" [ dim "B"; size 2 ]
            let! label = targetOf DType.I64 "label" [ dim "B" ]
            let! scale = param "scale" [ size 2 ] Initializers.Ones
            let! seen = buffer "seen" [ size 2 ] Initializers.Zeros
            update "seen" (0.9 * seen + 0.1 * (x |> Expr.meanOver 0))

            for name, factor in [ "once", 1.0; "twice", 2.0 ] do
                output name (factor * x * scale)

            loss (x * scale |> Loss.mse y)
            lossAs "classes" (x |> Layer.dense 3 |> Loss.crossEntropy label)
            metric "same" (kind |> Expr.equalTo label |> Expr.mean)
        }

    Assert.Equal<string>([ "x"; "kind" ], [ for i in net.Inputs -> i.Name ])
    Assert.Equal<string>([ "y"; "label" ], [ for t in net.Targets -> t.Name ])
    Assert.Equal<string>([ "once"; "twice" ], [ for o in net.Outputs -> o.Name ])
    Assert.Equal<string>([ "loss_0"; "classes" ], [ for l in net.Losses -> l.Name ])
    Assert.Equal<string>([ "same" ], [ for m in net.Metrics -> m.Name ])
    Assert.Equal<string>([ "scale"; "dense_0.weight"; "dense_0.bias" ], [ for p in net.Parameters -> p.Path ])
    Assert.NotNull(net.Buffers[0].Next)

    let empty = model "Empty" { () }
    Assert.Empty(empty.Outputs)

[<Fact>]
let ``F#'s own functions and operators build nodes`` () =
    let x = Expr.variable "x" [ size 2 ]
    Assert.Same((2.0 * x + 1.0).Exp(), exp (2.0 * x + 1.0))
    Assert.Same(x.Sqrt(), sqrt x)
    Assert.Same(x.Tanh(), tanh x)
    Assert.Same(x.Abs(), abs x)
    Assert.Same(x.Log(), log x)
    Assert.Same(Expr.Pow(x, 2.0), x ** 2.0)
    Assert.Same(-x, (~-) x)

[<Fact>]
let ``equality compares nodes and builds none`` () =
    let x = Expr.variable "x" [ size 2 ]
    Assert.True((x + 1.0 = x + 1.0))
    Assert.False((x = Expr.variable "x" [ size 2 ]))

[<Fact>]
let ``a sum of a list of expressions starts at zero`` () =
    let x = Expr.variable "x" []
    let total = List.sum [ x; x; x ]
    let value = Evaluator.Evaluate([| total |], readOnlyDict [ x, Tensor.Scalar 2.0 ], PlanOptions(Float = DType.F64))
    Assert.Equal(6.0, value[0].ToScalar())

[<Fact>]
let ``a gradient is an expression, or says why there is none`` () =
    let x = Expr.variable "x" [ size 3 ]
    let y = x * x |> Expr.sum

    match y |> Expr.tryGrad x with
    | Ok g -> Assert.Equal<int>(1, g.Rank)
    | Error e -> failwith e

    match x |> Expr.stopGradient |> Expr.sum |> Expr.tryGrad x with
    | Ok _ -> failwith "no gradient passes"
    | Error e -> Assert.Contains("stop_gradient", e)

[<Fact>]
let ``patterns take graphs apart`` () =
    let x = Expr.variable "x" []

    match x + 2.0 with
    | Node("add", [ a; Number n ]) ->
        Assert.Same(x, a)
        Assert.Equal(2.0, n)
    | other -> failwith $"{other}"

[<Fact>]
let ``layers share parameters by instance and name them by path`` () =
    let paths = [ for p in (network ()).Parameters -> p.Path ]

    Assert.Equal<string list>(
        [ "fc.weight"; "fc.bias"; "residual_0.sequential_0.dense_0.weight"; "residual_0.sequential_0.dense_0.bias"
          "layer_norm_0.weight"; "layer_norm_0.bias"; "dense_0.weight"; "dense_0.bias" ],
        paths)

[<Fact>]
let ``a model prints as source that parses to a model that predicts the same`` () =
    let model = network ()

    match model |> Model.toSource |> Model.parse with
    | Error diagnostics -> failwith (Model.explain diagnostics)
    | Ok parsed ->
        let weights = Initialization.Sample(model, 5L)
        let inputs = [ "x", Tensor.Create([| 1.0; -2.0; 0.5; 3.0; 0.0; -1.0 |], 2, 3) ]
        let value m = ((m |> Model.predict weights inputs)["p"])
        Assert.True((value model).BitEquals(value parsed))

[<Fact>]
let ``what is wrong with a text comes as a value`` () =
    match Model.parse "model M() { input x: [B, 2]\n output y = x |> dens(3) }" with
    | Ok _ -> failwith "dens is no layer"
    | Error diagnostics ->
        Assert.Single(diagnostics |> List.filter _.IsError) |> ignore
        Assert.Contains("dense", Model.explain diagnostics)

[<Fact>]
let ``a model trains from F#`` () =
    let source = TwoMoonsSource(200, 0.1, 1L)
    let data = DataReader(".").Read(DataDescription("moons", source))

    let model =
        Model.build "Moons" (fun m ->
            let x = m.Input("x", dim "B", size 2)
            let y = m.Target("y", dim "B", size 1)
            m.Loss(x |> Layer.dense 8 |> Expr.relu |> Layer.dense 1 |> Loss.bceWithLogits y))

    let recipe = TrainingRecipe(Optimizer = Adam 0.02, Epochs = 10)
    let log = (model |> Model.fit recipe data).Log
    Assert.True(log[log.Count - 1].Loss < 0.5 * log[0].Loss)

[<Fact>]
let ``attention and graph layers take what they look at before the tensor`` () =
    let model =
        Model.build "M" (fun m ->
            let x = m.Input("x", dim "B", dim "T", size 4)
            let edges = m.Input("edges", DType.I64, dim "E", size 2)
            let mask = Expr.variable "mask" [ dim "T"; dim "T" ]
            let h = x |> Layer.causalTransformerBlock 2 |> Layer.maskedAttention 2 (mask.GreaterThan 0.0) |> Layer.attentionTo 2 x
            let rows = h.Reshape(Shape(dim "N", size 4))
            m.Output("y", rows |> Layer.graphConv 3 edges |> Layer.graphAttention 2 2 edges |> Layer.messagePassing (Layer.Of.dense 5) edges))

    Assert.Equal("[N, 5]", model.Outputs[0].Value.Shape.ToString())
    Assert.Contains("transformer_block_0.attn.wq.weight", [ for p in model.Parameters -> p.Path ])

[<Fact>]
let ``functions of the library take their tensor last`` () =
    let x = Expr.variable "x" [ size 2; size 4 ]
    Assert.Same(x.Elu(), Expr.elu x)
    Assert.Same(x.Swiglu(), x |> Expr.swiglu)
    Assert.Same(x.Roll(1, 0), x |> Expr.roll 1 0)
    Assert.Same(x.Split(2, 1)[1], (x |> Expr.split 2 1)[1])
    Assert.Equal("[3, 6]", (x |> Expr.pad [ size 0, size 1; size 1, size 1 ]).Shape.ToString())
    Assert.Equal("[2, 2, 2]", (x |> Expr.rearrange "a (h e) -> h a e" [ "h", size 2 ]).Shape.ToString())
    Assert.Same(x.Mean(Axes.op_Implicit 1), x |> Expr.reduce "a b -> a" PatternReduction.Mean [])
    Assert.Equal("[2, 2]", (Expr.einsum "ij,kj" [ x; x ]).Shape.ToString())
    Assert.Same(Losses.Huber(x, x + 1.0, 0.5), x |> Loss.huber 0.5 (x + 1.0))
    Assert.Same(Losses.L2(ReadOnlySpan [| x; x + 1.0 |]), Loss.l2 [ x; x + 1.0 ])

[<Fact>]
let ``maps, matrices of derivatives and rules of one's own`` () =
    let x = Expr.variable "x" [ size 2 ]
    let xs = Expr.variable "xs" [ size 3; size 2 ]
    let w = Expr.variable "w" [ size 2 ]
    let values (y: Expr) =
        let at = readOnlyDict [ x, Tensor.Create([| 1.0; 2.0 |]); w, Tensor.Create([| 3.0; 4.0 |]); xs, Tensor.Create([| 1.0; 2.0; 3.0; 4.0; 5.0; 6.0 |], 3, 2) ]
        let value = Evaluator.Evaluate([| y |], at, PlanOptions(Float = DType.F64))
        value[0].ToArray<float>() |> List.ofArray
    Assert.Equal<float list>([ 2.0; 0.0; 0.0; 4.0 ], x * x |> Expr.jacobian x |> values)
    Assert.Equal<float list>([ 0.0; 1.0; 1.0; 0.0 ], x |> Expr.prod |> Expr.hessian x |> values)
    Assert.Equal<float list>([ 1.0; 2.0; 3.0; 4.0; 5.0; 6.0 ], xs |> Expr.vmap 0 (fun row -> row * w |> Expr.sum |> Expr.grad w) |> values)
    let largest, places = xs |> Expr.topK (size 1)
    Assert.Equal<float list>([ 2.0; 4.0; 6.0 ], values largest)
    Assert.Equal(DType.I64, places.DType)
    let through = x |> Expr.customGradient (x.Round()) (fun _ _ dy -> dy)
    Assert.Equal<float list>([ 1.0; 1.0 ], through |> Expr.sum |> Expr.grad x |> values)
    let labels = (xs |> Expr.cumsum 1).GreaterThan(Expr.Scalar 3.0)
    Assert.Equal<float list>([ 0.5 ], xs |> Metric.accuracy labels |> values)

[<Fact>]
let ``recurrences have states, and layers on them tensors by name`` () =
    let x = Expr.variable "x" [ size 3 ]
    let last, sums = x |> Expr.scan 0 (Expr.Scalar 0.0) (fun s x -> s + x, s * x)
    let values = Evaluator.Evaluate([| last; sums |], readOnlyDict [ x, Tensor.Create([| 1.0; 2.0; 3.0 |], 3) ], PlanOptions(Float = DType.F64))
    Assert.Equal(6.0, values[0].ToScalar())
    Assert.Equal<float>([| 0.0; 2.0; 9.0 |], values[1].ToArray<float>())

    let model =
        Model.build "Encoder" (fun m ->
            let x = m.Input("x", dim "B", dim "T", size 3)
            let n = m.Input("n", DType.I64, dim "B")
            let y = Layer.Of.lstm 4 |> Layer.applyAll [ "lengths", n ] [ x ] |> List.exactlyOne
            m.Output("y", y |> Layer.gru 2))

    Assert.Equal(7, model.Parameters.Length)

/// What goes by another name in F#, and why.
let private otherwise =
    Map
        [ "parallel", "branches" // the word is reserved
          "silu", "swish"
          "cosine_similarity_loss", "cosineSimilarity"
          "floor_div", "FloorDiv" // of sizes: Dim.FloorDiv
          "ceil_div", "CeilDiv"
          "len", "Rank"
          "close", "LessOrEqual" // of tests, which have assertions of their own
          "params", "ParametersUnder"
          "jvp", "Jvp"
          "vjp", "Vjp"
          "hvp", "Hvp" ]

/// Records and values of .NET are F#'s as they are.
let private asTheyAre = set [ CatalogKind.Optimizer; CatalogKind.Schedule; CatalogKind.Source; CatalogKind.Initializer; CatalogKind.Constant ]

[<Fact>]
let ``every name of the catalog is there in F#`` () =
    let names = set [ for t in System.Reflection.Assembly.Load("Dnn.FSharp").GetTypes() do for m in t.GetMethods() -> m.Name ]
    let camel (name: string) =
        let parts = name.Replace("random.", "").Split '_'
        String.Join("", parts |> Array.mapi (fun i p -> if i = 0 then p else string (Char.ToUpperInvariant p[0]) + p[1..]))
    let dotnet = set [ for t in typeof<Expr>.Assembly.GetExportedTypes() do for m in t.GetMembers() -> m.Name ]
    let missing =
        [ for e in Catalog.All do
              let name = otherwise |> Map.tryFind e.Name |> Option.defaultValue (camel e.Name)
              if not (asTheyAre.Contains e.Kind) && not ((if Char.IsUpper name[0] then dotnet else names).Contains name) then $"{e.Kind} {e.Name}" ]
    Assert.Empty missing

[<Fact>]
let ``random tensors, ranges and repeated layers`` () =
    let noise = Random.normal (Random.key "noise") [ size 200 ]
    let choice = Random.bernoulli 0.5 (Random.key "choice") [ size 200 ]
    let model =
        Model.build "Noise" (fun m ->
            let x = m.Input("x", dim "B", size 2)
            m.Output("noise", noise |> Expr.clamp (Expr.Scalar -1.0) (Expr.Scalar 1.0))
            m.Output("share", choice |> Expr.mean)
            m.Output("y", x |> Layer.repeat 3 (fun i -> Layer.Of.dense (i + 1)) |> Expr.maxOver 1))
    Assert.Equal(6, model.Parameters.Length)
    let result = model |> Model.predict (Initialization.Sample(model, 1L)) [ "x", Tensor.Zeros(DType.F32, 4, 2) ]
    Assert.All(result["noise"].ToArray<float32>(), fun v -> Assert.InRange(v, -1.0f, 1.0f))
    Assert.InRange(result["share"].ToScalar(), 0.35, 0.65)
    Assert.Equal<int seq>([ 4 ], result["y"].Shape)
    Assert.Equal("`betas` of adam is at least 0 and below 1, not 1", Assert.Throws<RangeException>(fun () -> Adam(0.1, 1.0) |> ignore).Message)
