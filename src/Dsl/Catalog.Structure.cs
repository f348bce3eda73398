using Dnn.Graph;

namespace Dnn.Dsl;

public static partial class Catalog
{
    /// <summary>Layers made of layers, and what changes the resolution.</summary>
    private static IEnumerable<CatalogEntry> Structure() =>
    [
        Row(CatalogKind.Combinator, "parallel", "layers: layer...", "(f(x), g(x), …)", "what each takes → a tuple of what each gives", "Several branches on the same tensors: `let (a, b) = x |> parallel(dense(8), dense(4))`.", _ => null),
        Layer("time_distributed", "f: layer", "y[b, t, …] = f(x[b, t, …])", "[B, T, ...] → [B, T, ...]; f sees [B·T, ...]", "One layer for every step, such as a convolution for each image of a video; dense and norms do so by themselves.",
            a => Graph.Layers.TimeDistributed(a.Function("f"))),
        Layer("drop_path", "rate: float", "y = x · mask[b] / (1 − rate), mask 0 with probability rate, in training; y = x in evaluation", "[B, ...] → [B, ...]",
            "At the end of a residual branch: skips the block for some rows (stochastic depth, Huang et al. 2016).", a => Graph.Layers.DropPath(a.Float("rate"))),
        Transposed("conv_transpose1d", "[B, T, C] → [B, T′, filters]; weight [kernel, filters, C], bias [filters]",
            a => Graph.Layers.ConvTranspose1d(a.Int("filters"), a.Extent("kernel"), a.Extent("stride"), a.Padding("padding"), a.Extent("output_padding"), a.Bool("bias"))),
        Transposed("conv_transpose2d", "[B, H, W, C] → [B, H′, W′, filters]; weight [kh, kw, filters, C], bias [filters]",
            a => Graph.Layers.ConvTranspose2d(a.Int("filters"), a.Extent("kernel"), a.Extent("stride"), a.Padding("padding"), a.Extent("output_padding"), a.Bool("bias"))),
        Function("resize", "x, size: shape, method: nearest|bilinear = nearest", "x at the points (i + ½) · old / new − ½ of each axis between the first and the last", "[B, H, W, C] → [B, size, C]; one size for all axes, or one each",
            "Half-pixel centres, as `align_corners = false` elsewhere; nearest is `nearest-exact` of PyTorch. Larger by a whole number, nearest repeats.",
            a => a.Tensor("x").Resize(a.Shape("size")!, Enum.Parse<Interpolation>(a.Text("method"), ignoreCase: true))),
        Function("adaptive_avg_pool2d", "x, size: extent", "the mean of x over ⌊i·n/size⌋ … ⌈(i + 1)·n/size⌉ − 1 of each axis", "[B, H, W, C] → [B, size, size, C]", "A fixed size from images of any size (He et al. 2014); size = 1 is the mean over all.",
            a => a.Tensor("x").AdaptiveAvgPool2d(a.Extent("size"))),
        Function("scatter_add", "x, indices: integers, updates, axis: int = 0", "x, and += updates[i] at indices[i] along the axis", "[..., N, ...] with the indices' shape in place of N → [..., N, ...]",
            "The adjoint of `take`, as numpy.add.at; sums what nodes of a graph are sent. An index out of range is an error while running.",
            a => a.Tensor("x").ScatterAdd(a.Tensor("indices"), a.Tensor("updates"), a.Int("axis"))),
    ];

    private static CatalogEntry Transposed(string name, string shapes, Func<Args, Layer> make) => Layer(
        name,
        "filters: int, kernel: extent, stride: extent = 1, padding: padding = same, output_padding: extent = 0, bias: bool = true",
        "y[stride · i + k − low, f] += x[i, c] · weight[k, f, c], then + bias[f]",
        shapes,
        "Enlarges by the stride (Zeiler et al. 2010). \"same\" gives n · stride positions, \"valid\" (n − 1) · stride + kernel; padding in numbers is cut off the result, and "
        + "output_padding adds at the end. A kernel that the stride divides avoids checkerboards.",
        make);
}
