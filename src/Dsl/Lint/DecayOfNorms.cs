using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Decay is a prior for weights that multiply; scales, shifts and rows of a table are not such weights.</summary>
internal sealed class DecayOfNorms() : LintRule(Row("DNN1015", "weight decay of norms, biases or embeddings",
    "Weight decay keeps the maps of a network small. The scale of a norm should be near 1, not 0; a bias has no part in overfitting; rows of an embedding that a batch does not meet would shrink without a reason (Goodfellow et al. 2016, section 7.1; He et al. 2019, Bag of tricks). "
    + "By default only tensors of two and more axes decay, and embeddings do not: leave out `weight_decay_on all`, and give penalties the layers that they are meant for: l2(params(fc1)). The number is that of the numbers that would decay.",
    "model M {\n  input x: [B, 2]\n  target y: [B, 1]\n  let logit = x |> dense(8) |> layer_norm() |> relu |> dense(1)\n  loss bce_with_logits(logit, y)\n  loss 1e-4 * l2(params())\n}",
    "model M {\n  input x: [B, 2]\n  target y: [B, 1]\n  let fc = dense(8)\n  let logit = x |> fc |> layer_norm() |> relu |> dense(1)\n  loss bce_with_logits(logit, y)\n  loss 1e-4 * l2([fc.weight])\n}"))
{
    public override IEnumerable<Finding> Find(LintContext context)
    {
        var model = context.Model;
        if (context.Options.Recipe is { DecayAll: true, Optimizer.WeightDecay: > 0 and var decay })
        {
            var reached = model.Trainable.Where(p => p.Shape.Rank < 2 && !p.Options.NoDecay).ToArray();
            if (reached.Length > 0)
            {
                var numbers = reached.Sum(p => p.Shape.ElementCount.Value);
                yield return new Finding(Descriptor, $"weight_decay_on all lets {reached.Length} norms and biases decay by {Printer.Number(decay)}, {numbers:N0} numbers: {Names(reached)}")
                {
                    Number = numbers,
                    TrainOption = "weight_decay_on",
                    Notes = ["leave the line out: matrices decay all the same"],
                    Edit = new RemoveLine("let matrices decay alone", IsSafe: false),
                };
            }
        }

        var embeddings = model.Scopes.Where(s => s.Kind is "embedding" or "positional_embedding").Select(s => s.Path + ".weight").ToHashSet(StringComparer.Ordinal);
        foreach (var penalty in model.Scopes.Where(s => s.Kind is "l2" && s.Outputs is [var y] && context.IsReachable(y)))
        {
            var reached = penalty.Inputs.Select(context.Parameter).OfType<Parameter>().Where(p => p.Shape.Rank < 2 || embeddings.Contains(p.Path)).ToArray();
            if (reached.Length == 0)
                continue;
            var numbers = reached.Sum(p => p.Shape.ElementCount.Value);
            yield return At(penalty, $"this {penalty.Kind} penalty reaches {reached.Length} norms, biases and embeddings, {numbers:N0} numbers: {Names(reached)}", numbers) with
            {
                Notes = ["name what it is for, such as l2([fc1.weight]), or let the optimizer decay matrices: adamw(weight_decay = 1e-4)"],
            };
        }
    }

    private static string Names(IReadOnlyList<Parameter> parameters) =>
        string.Join(", ", parameters.Take(3).Select(p => p.Path)) + (parameters.Count > 3 ? ", …" : "");
}
