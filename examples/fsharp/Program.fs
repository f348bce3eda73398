// Handwritten digits from F#: compose, look, train, predict.
// dotnet run -c Release --project examples/fsharp [-- EPOCHS]
open System
open System.IO
open Dnn.Backend
open Dnn.FSharp
open Dnn.Graph

let digits =
    model "Digits" {
        let! pixels = input "features" [ dim "B"; size 64 ]
        let! digit = targetOf DType.I64 "label" [ dim "B" ]

        let logits = pixels / 16.0 |> Layer.dense 128 |> Expr.relu |> Layer.layerNorm |> Layer.dense 10

        output "probabilities" (Expr.softmax logits)
        loss (logits |> Loss.crossEntropy digit)
        metric "accuracy" (logits |> Expr.argmax |> Expr.equalTo digit |> Expr.mean)
    }

// A graph is data: count its operations by name.
let rec operations seen (nodes: Expr list) =
    match nodes with
    | [] -> seen
    | Node(name, args) :: rest ->
        let count = seen |> Map.tryFind name |> Option.defaultValue 0
        operations (Map.add name (count + 1) seen) (args @ rest)

// The data lies beside the .dnn examples.
let dataFolder () =
    let rec up (folder: string) =
        match Path.GetDirectoryName folder with
        | null -> "."
        | parent -> if File.Exists(Path.Combine(folder, "Dsl.sln")) then folder else up parent

    Path.Combine(up AppContext.BaseDirectory, "examples", "data")

[<EntryPoint>]
let main args =
    let epochs = if args.Length > 0 then int args[0] else 20

    // A model is text, and so is its gradient.
    printfn $"{Model.toSource digits}"
    printfn $"{digits |> Model.gradient |> Model.toSource}"

    // F#'s own functions work on expressions.
    let x = Expr.variable "x" [ size 3 ]
    let energy = exp (-(x ** 2.0)) |> Expr.sum
    printfn "%A" (operations Map.empty [ energy |> Expr.grad x ] |> Map.toList)

    let source = CsvSource("digits.csv", Label = "digit")
    let split = [| SplitPart.OfFraction("train", 0.8); SplitPart.OfFraction("validation", 0.2) |]
    let data = DataReader(dataFolder ()).Read(DataDescription("digits", source, Split = ValueList.ToValueList split))

    let recipe = TrainingRecipe(Optimizer = AdamW(CosineSchedule 0.005), Batch = 64, Epochs = epochs, ClipNorm = 1.0)
    let result = digits |> Model.fit recipe data
    let last = result.Log |> Seq.findBack (fun r -> r.Split = "validation")
    printfn "epoch %d: %s" last.Epoch (last.Values |> Seq.map (fun v -> $"{v.Key} %.4f{v.Value}") |> String.concat ", ")

    let some = data["validation"].Take("some", ReadOnlySpan [| 0; 1; 2 |])
    let probabilities = (digits |> Model.predict result.Best [ "features", some["features"] ])["probabilities"]

    for row in 0..2 do
        let seen = [ 0..9 ] |> List.maxBy (fun k -> probabilities[row, k])
        printfn "%g seen as %d" (some["label"].[row]) seen

    0
