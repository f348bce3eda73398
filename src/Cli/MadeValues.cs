using Dnn.Backend;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>Values of the right types and shapes for a model without data.</summary>
internal static class MadeValues
{
    /// <summary>The named dimensions of a model's inputs: the first of the first input is the batch.</summary>
    public static Dictionary<string, long> Sizes(Model model, int batch, int other)
    {
        var sizes = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var (_, value) in model.Inputs.Concat(model.Targets))
        {
            foreach (var name in value.Shape.Dims.SelectMany(d => d.Names))
                sizes.TryAdd(name, sizes.Count == 0 && !model.Inputs[0].Value.Shape.IsScalar && model.Inputs[0].Value.Shape[0].Name == name ? batch : other);
        }

        return sizes;
    }

    /// <summary>Numbers from −1 to 1; integers are 0 and 1 in turn, which every table of two or more rows has.</summary>
    public static Tensor Of(Expr variable, IReadOnlyDictionary<string, long> sizes, string name, DType type)
    {
        var dims = variable.Shape.Evaluate(sizes);
        if (variable.DType.IsFloat())
            return Initialization.Sample(new UniformInitializer(-1, 1), new TensorType(DType.Float, new Shape([.. dims.Select(d => Dim.Of(d))])), name, 0, type);
        var count = dims.Aggregate(1L, (product, d) => product * d);
        return Tensor.Create([.. Enumerable.Range(0, checked((int)count)).Select(i => i % 2L)], dims).Cast(variable.DType);
    }
}
