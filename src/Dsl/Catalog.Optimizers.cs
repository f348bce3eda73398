using Dnn.Graph;

namespace Dnn.Dsl;

public static partial class Catalog
{
    /// <summary>Optimizers with a memory other than one moment an element, and schedules of schedules.</summary>
    private static IEnumerable<CatalogEntry> LargeOptimizers() =>
    [
        Row(CatalogKind.Optimizer, "adafactor",
            "lr: schedule = 0.01, eps: pair = (1e-30, 0.001), clip: float = 1, power: float = 0.8, beta1: float = 0, weight_decay: float = 0, relative: bool = true, scale_parameter: bool = true",
            "v = r cᵀ / Σr from the averages r, c of g² over columns and rows, β = 1 − t^(−power); u = g / √v, divided by max(1, rms(u) / clip); w ← w − max(eps₂, rms(w)) · min(lr, 1/√t) · u",
            "w and its gradient g: [...] → w; state r: [..., n], c: [..., m] of a matrix [..., n, m], s: [...] of others; m: [...] with beta1",
            "Adam with the memory of two vectors a matrix, for models that fill the machine (Shazeer and Stern 2018). `relative = false` leaves out 1/√t, `scale_parameter = false` the length of w.",
            a => new Adafactor(a.Schedule("lr"), a.Pair("eps").First, a.Pair("eps").Second, a.Float("clip"), a.Float("power"), a.Float("beta1"), a.Float("weight_decay"), a.Bool("relative"), a.Bool("scale_parameter"))),
        Row(CatalogKind.Optimizer, "lbfgs", "lr: schedule = 1, history: int = 10, tolerance: float = 1e-7, trials: int = 30",
            "w ← w − α · H g, H from the last changes of w and g, α by a line search for the weak Wolfe conditions from lr on",
            "all parameters and gradients as one vector; state: the last `history` changes of both",
            "The whole data at each step, so `batch` has no meaning and an epoch is one step; no dropout-like noise helps it, running statistics and clipping are refused. Few parameters, smooth losses, high accuracy (Nocedal 1980). Ends when no element of the gradient exceeds the tolerance.",
            a => new Lbfgs(a.Schedule("lr"), a.Int("history"), a.Float("tolerance"), a.Int("trials"))),
        Row(CatalogKind.Schedule, "then", "first: schedule, next: schedule, at: steps", "first before the step `at`; from there on next, which counts from 0", "the number of steps taken, from 0 → the rate",
            "`linear(0.1) |> then(cosine(0.05), at = 100 steps)`. A schedule that ends with the run ends with its part of it.", a => new ThenSchedule(a.Schedule("first"), a.Schedule("next"), a.Float("at"))),
    ];
}
