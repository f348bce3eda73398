using Dnn.Graph;

namespace Dnn.Backend;

/// <summary>What a source gives before its block is applied: the columns, and for each a tensor [N, …].</summary>
internal sealed record SourceRows(DataSchema Schema, Tensor[] Values);
