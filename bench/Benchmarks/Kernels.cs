using BenchmarkDotNet.Attributes;
using Dnn.Backend;
using Dnn.Graph;

namespace Dnn.Benchmarks;

/// <summary>A graph as the executor runs it, on made data.</summary>
internal static class Made
{
    public static Session Session(int threads, IReadOnlyList<Expr> inputs, params Expr[] outputs)
    {
        var program = new Dnn.Graph.Program([.. inputs.Select((x, i) => new Named($"x{i}", x))], [], [.. outputs.Select((y, i) => new Named($"y{i}", y))], []).Simplify();
        var session = new Session(program, new PlanOptions { Threads = threads });
        session.Prepare(new Dictionary<string, long>());
        var random = new Random(1);
        foreach (var (name, value) in program.Inputs)
        {
            var span = session.InputSpan<float>(name);
            for (var i = 0; i < span.Length; i++)
                span[i] = random.NextSingle() - 0.5f;
        }

        return session;
    }
}

/// <summary>A convolution of 3 × 3 on eight images of 32 × 32, and its two gradients.</summary>
public class Convolutions
{
    private Session forward = null!, image = null!, kernel = null!;

    /// <summary>The first layer of a network, one from its middle, and a depthwise one.</summary>
    public static IEnumerable<(int Channels, int Filters, int Groups)> Maps => [(3, 64, 1), (64, 64, 1), (64, 64, 64)];

    [ParamsSource(nameof(Maps))]
    public (int Channels, int Filters, int Groups) Map { get; set; }

    [Params(1, 2)]
    public int Threads { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        var (channels, filters, groups) = Map;
        var (x, w) = (Expr.Variable("x", new Shape(8, 32, 32, channels)), Expr.Variable("w", new Shape(3, 3, channels / groups, filters)));
        var y = Expr.Make(new ConvGeneral([1, 1], new Shape(1, 1), new Shape(1, 1), [1, 1], [1, 1], groups), x, w);
        var cotangent = Expr.Variable("c", y.Shape);
        var gradients = y.Op.Vjp(y, cotangent);
        (forward, image, kernel) = (Made.Session(Threads, [x, w], y), Made.Session(Threads, [w, cotangent], gradients[0]!), Made.Session(Threads, [x, cotangent], gradients[1]!));
    }

    [Benchmark]
    public RunResult Forward() => forward.Run();

    [Benchmark]
    public RunResult InputGradient() => image.Run();

    [Benchmark]
    public RunResult KernelGradient() => kernel.Run();
}

/// <summary>Fused kernels over half a million floats: elementwise chains, reductions at their ends, an optimizer's update.</summary>
public class FusedKernels
{
    private readonly Dictionary<string, Session> sessions = [];

    [Params(1, 2)]
    public int Threads { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        var (x, scale, shift) = (Expr.Variable("x", new Shape(1024, 512)), Expr.Variable("scale", new Shape(512)), Expr.Variable("shift", new Shape(512)));
        var (m, v, g) = (Expr.Variable("m", new Shape(1024, 512)), Expr.Variable("v", new Shape(1024, 512)), Expr.Variable("g", new Shape(1024, 512)));
        sessions[nameof(Gelu)] = Made.Session(Threads, [x, scale, shift], ((x * scale) + shift).Gelu());
        sessions[nameof(Softmax)] = Made.Session(Threads, [x], x.Softmax());
        sessions[nameof(Normalization)] = Made.Session(Threads, [x, scale, shift], ((x - x.Mean(-1, keep: true)) / (x.Var(-1, keep: true) + 1e-5).Sqrt() * scale) + shift);
        sessions[nameof(ColumnSums)] = Made.Session(Threads, [x], x.Sum(0));
        var (m1, v1) = ((0.9 * m) + (0.1 * g), (0.999 * v) + (0.001 * g.Square()));
        sessions[nameof(Adam)] = Made.Session(Threads, [x, m, v, g], x - (0.001 * m1 / (v1.Abs().Sqrt() + 1e-8)), m1, v1);
    }

    [Benchmark]
    public RunResult Gelu() => sessions[nameof(Gelu)].Run();

    [Benchmark]
    public RunResult Softmax() => sessions[nameof(Softmax)].Run();

    [Benchmark]
    public RunResult Normalization() => sessions[nameof(Normalization)].Run();

    [Benchmark]
    public RunResult ColumnSums() => sessions[nameof(ColumnSums)].Run();

    [Benchmark]
    public RunResult Adam() => sessions[nameof(Adam)].Run();
}
