/// The example programs, run as their users run them.
module Dnn.FSharp.Tests.ExampleTests

open System
open System.IO
open System.Reflection
open Xunit

let private run (assembly: string) (args: string array) =
    let before = Console.Out
    use output = new StringWriter()
    Console.SetOut output

    try
        match (Assembly.Load assembly).EntryPoint with
        | null -> failwith $"{assembly} has no entry point"
        | main -> main.Invoke(null, [| box args |]) |> ignore
    finally
        Console.SetOut before

    output.ToString()

[<Theory>]
[<InlineData("Digits.CSharp")>]
[<InlineData("Digits.FSharp")>]
let ``the digits program composes, differentiates, trains and predicts`` (assembly: string) =
    let output = run assembly [| "3" |]
    Assert.Contains("model Digits {", output)
    Assert.Contains("output grad_dense_0_weight = ", output)
    Assert.Contains("epoch 3: loss 0.", output)
    Assert.Contains(" seen as ", output)

[<Fact>]
let ``a model and its weights come back from files`` () =
    Assert.Contains("the same from files: True", run "Digits.CSharp" [| "1" |])
