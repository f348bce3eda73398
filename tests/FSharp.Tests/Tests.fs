module Dnn.FSharp.Tests.Smoke
open Xunit
[<Fact>]
let ``one is one`` () = Assert.Equal(1, 1)
