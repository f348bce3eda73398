namespace Dnn.FSharp
