using System.Text;

namespace Dnn.Dsl.Tests;

/// <summary>Random models as source: layers in layers, shared, wrapped, repeated, with parameters used elsewhere.</summary>
internal sealed class LayeredModels(Random random)
{
    private const int Width = 4;

    private readonly List<string> shared = [];
    private bool isInside;
    private bool isStep;

    /// <summary>A model with one input <c>x: [B, 4]</c>.</summary>
    public static string Text(int seed) => new LayeredModels(new Random(seed)).Model();

    private string Model()
    {
        // A block has no blocks in it.
        isInside = true;
        var inner = Pipe("h", 1);
        isInside = false;
        var text = new StringBuilder($$"""
            layer block(width: int)(x: [..., D]) {
              let h = x |> dense(width) |> {{Function()}} |> dense({{Width}})
              return x + ({{inner}} |> dense(D))
            }
            layer gate(x: [B, D], y: [B, D]) -> [B, D] {
              param scale: [D] = ones(){{(random.Next(2) == 0 ? "" : ", no_decay")}}
              return x * sigmoid(y) * scale
            }
            layer both(x: [...]) {
              return (x |> dense({{Width}}), {{Pipe("x", 1)}})
            }
            layer hard(x: [B, D]) -> [B, D] {
              return round(x) * D
            } gradient (x, y, dy) {
              return dy * D
            }
            model M {
              input x: [B, {{Width}}]
              target t: [B, {{Width}}]

            """);
        for (var i = random.Next(3); i > 0; i--)
        {
            text.Append($"  let shared_{shared.Count} = {Stage(1)}\n");
            shared.Add($"shared_{shared.Count}");
        }

        var names = new List<string> { "x" };
        for (var i = random.Next(1, 6); i > 0; i--)
        {
            var name = $"h{names.Count}";
            text.Append($"  let {name} = {Value(names)}\n");
            names.Add(name);
        }

        text.Append($"  output y = ({Value(names)}) |> dense({Width})\n  loss mse(y, t)\n");
        if (random.Next(3) == 0)
            text.Append("  loss 0.1 * l2(params()) as decay\n");
        if (random.Next(3) == 0)
            text.Append("  metric slope = norm(grad(sum(y), x, unused = zeros))\n");
        return text.Append("}\n").ToString();
    }

    private string Value(List<string> names) => random.Next(9) switch
    {
        0 => $"{Name(names)} + {Name(names)} * 0.5",
        1 => $"gate({Name(names)}, {Name(names)})",
        2 => $"{Name(names)} |> both |> ((a, b) => a - b)",
        3 => $"if training then {Name(names)} else {Name(names)} * 2",
        4 => $"{Name(names)} * random.{(random.Next(2) == 0 ? "normal" : "uniform")}([{Width}])",
        5 => $"{Name(names)} |> checkpoint(v => v * {Name(names)} + ({Pipe("v", 2)}))",
        6 => Recurrence(names),
        _ => Pipe(Name(names), 3),
    };

    /// <summary>Buffers are not updated in a step.</summary>
    private string Recurrence(List<string> names)
    {
        isStep = true;
        var text = $"mean(scan(({Name(names)})[:, None] * ones([3, 1]), {Name(names)}, (s, e) => {{\n let u = s * 0.5 + ({Pipe("e", 2)})\n return (u, ({Pipe("u", 2)}) + {Name(names)})\n }}{(random.Next(2) == 0 ? ", reverse = true" : "")})[1], axis = 1)";
        isStep = false;
        return text;
    }

    private string Name(List<string> names) => names[random.Next(names.Count)];

    private string Pipe(string x, int most) => x + string.Concat(Enumerable.Range(0, random.Next(1, most + 1)).Select(_ => $" |> {Stage(2)}"));

    private string Composition(int depth) => string.Join(" |> ", Enumerable.Range(0, random.Next(1, 4)).Select(_ => Stage(depth)));

    private string Stage(int depth) => random.Next(depth > 0 ? 18 : 9) switch
    {
        0 or 1 => $"dense({Width}{(random.Next(3) == 0 ? ", bias = false" : "")})",
        2 => Function(),
        3 => "layer_norm()",
        4 => isStep ? "group_norm(2)" : "batch_norm()",
        5 => "dropout(0.25)",
        6 => "hard",
        7 when shared.Count > 0 && !isStep => shared[random.Next(shared.Count)],
        8 => $"({Function()} |> dense({Width}))",
        9 when !isInside && !isStep => $"block({random.Next(2, 4)})",
        10 => $"residual({Composition(depth - 1)})",
        11 or 12 => $"repeat({random.Next(2, 4)}, {Composition(depth - 1)})",
        13 => $"for i in 0..{random.Next(2, 4)} {{ {Composition(depth - 1)} |> (h => h * (i + 1)) }}",
        14 => $"frozen({Composition(depth - 1)})",
        15 => $"checkpoint({Composition(depth - 1)})",
        16 => $"no_decay({Composition(depth - 1)})",
        17 => $"lr_scale(dense({Width}), 0.5)",
        _ => "rms_norm()",
    };

    private string Function() => random.Next(6) switch { 0 => "relu", 1 => "tanh", 2 => "gelu", 3 => "softplus", 4 => "softmax", _ => "sigmoid" };
}
