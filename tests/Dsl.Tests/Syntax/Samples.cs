namespace Dnn.Dsl.Tests;

/// <summary>The language's own examples, and a file that has every construct once.</summary>
public static class Samples
{
    public const string TwoMoons = """
        dnn 1

        /// Two interleaved half circles: the smallest task that needs a hidden layer.
        model TwoMoons(hidden: int = 16) {
          input  x: [B, 2]
          target y: [B, 1]

          let logit = x |> dense(hidden) |> relu |> layer_norm() |> dense(1)

          output p = sigmoid(logit)
          loss   bce_with_logits(logit, y)
          metric accuracy = mean((p > 0.5) == (y > 0.5))
        }

        data moons = two_moons(samples = 2000, noise = 0.1, seed = 7) {
          split train = 80%, validation = 20%
        }

        train TwoMoons(hidden = 32) on moons {
          optimizer  adamw(lr = warmup_cosine(peak = 0.01, warmup = 50 steps), weight_decay = 1e-4)
          batch      64
          epochs     30
          clip_norm  1.0
          early_stop on = validation.loss, patience = 5
          seed       42
        }

        test "sigmoid of one" {
          assert close(sigmoid(1.0), 0.7310585786300049)
        }
        """;

    public const string Everything = """
        import "blocks/resnet.dnn" (basic_block, stem as head,)
        import std.resnet (bottleneck)

        hyper depth: int = 4 in 1..12
        hyper act: layer = gelu
        hyper sizes: [int] = [1, 2, 3]
        hyper pair: (int, int) = (1, 2)
        let eps = 1e-5

        layer swish(x: [...]) -> [...] { return x * sigmoid(x) }

        // A block with everything that may stand in one.
        layer block(heads: int, drop: float = 0.1)(x: [B, T, D], mask: bool[B, T] = none) -> ([B, T, 3*D], [B, H, D/H]) {
          /// The weight.
          param w: [D, 3*D] = normal(0.02), frozen, lr_scale = 0.1
          param "a.path[3]" as v: [D] = zeros()
          buffer m: [D] = zeros()
          update m = 0.9 * m + 0.1 * mean(x, axis = 0)
          require D % heads == 0, "heads must divide D"
          let (a, (b, _)) = split(x, 2)
          let h: [B, T, D] = x |> for i in 0..depth {
            let rate = drop * i / depth
            residual(chain(layer_norm(), dense(D), (p, q) => {
              let c = p @ q
              return c
            }, dropout(rate)))
          }
          let y = (h, a) |> attention(heads = 8, mask = mask) |> (if training then relu else t => t ** 2) |> then(b, at = 100 steps)
          let z = x[..., -1] + x[:, ::2][0, None, 1:][0:-1:2, :]
          let s = [i ** 2 for i in 0..depth] + [] + [1,]
          return (y, z)
        } gradient (x, y, dy) {
          return dy * (y > 0)
        }

        model M {
          input image: f32[B, 28, 28, 1]
          target label: int[B]
          output logits = image |> d.with(weight = w2)
          loss cross_entropy(logits, label) as main
          loss 0.1 * l2(params())
          metric accuracy = mean(argmax(logits) == label)
        }

        data moons = csv("x.csv", label = "y") {
          split train = 80%, validation = 20%
          split test = idx("a", "b")
          normalize
          one_hot label
          augment {
            flip
            crop(4)
            noise(0.1)
          }
          rename new = old
        }

        test "all" {
          assert close(z, [1, 2]), "close"
          assert_shape(x, [2, 3])
          assert_error "DNN0301" { let y = x + [1, 2, 3] }
          assert_gradients(M(width = 2), order = 2)
        }

        train gan = M() on moons {
          optimizer adam(lr = 1e-4, betas = (0, 0.9)) on D minimize critic_loss
          optimizer adam(lr = 1e-4, betas = (0, 0.9)) on G minimize generator_loss every 5 steps
          start_from "pretrained.safetensors" only "encoder.*", rename "backbone." = "encoder."
          freeze encoder
          checkpoint(every = 2 epochs)
          early_stop on = validation.loss, patience = 5
          accumulate (2 + 2) * 2
          weight_decay_on all
          shuffle
        }
        """;

    /// <summary>The smaller snippets of language.md, each a whole file here.</summary>
    public static readonly string[] Snippets =
    [
        "let c = (a, b) => { let c = a @ b\nreturn c }",
        "let mlp = dense(64) |> relu |> dense(10)",
        "let score = xhat |> critic",
        "model M {\n  loss 10 * mean((norm(grad(sum(score), xhat), axis = -1) - 1) ** 2) as penalty\n}",
        "let y = x |> for i in 0..depth { block(heads,\n  drop = 0.1 * i / depth) }",
        "let r = scan(x, init, (state, xt) => (state2, yt), axis = 1, reverse = false)",
        "let x = d.with(weight = w2)(x)",
        "let y = rearrange(x, \"b t (h e) -> b h t e\", h = heads)",
        "let q = (q, kv) |> attention(heads = 8)",
        "data d = idx(images, labels) {\n  split test = idx(a, b)\n  augment { flip\ncrop(4)\nnoise(0.1) }\n}",
        "train T() on d {\n  optimizer sgd(0.1)\n  lr a |> then(b, at = 100 steps)\n}",
        "layer f(x: [B, T, 3*D]) -> ([B, D], [B]) {\n  return x\n}",
    ];

    public static readonly string[] All = [TwoMoons, Everything, .. Snippets];
}
