using System.Collections.Immutable;

namespace Dnn.Graph;

public static partial class TrainingStep
{
    /// <summary>
    /// Makes the program of a part of a step. Each optimizer line takes the gradient of its loss where the lines before have moved the parameters: by substitution, so
    /// that one graph has them all.
    /// </summary>
    private sealed class Builder
    {
        private readonly Model model;
        private readonly TrainingRecipe recipe;
        private readonly long totalSteps;
        private readonly StepPart part;
        private readonly List<ProgramState> states = [];
        private readonly Dictionary<Expr, Expr> moved = [];
        private readonly HashSet<Expr> reached = [];
        private readonly List<Expr> norms = [];
        private readonly Expr updates;
        private readonly Expr weight = Expr.Variable(BatchWeightName, Shape.Scalar);
        private readonly Expr? isLast;
        private Expr rate = Expr.Scalar(0);

        public Builder(Model model, TrainingRecipe recipe, long totalSteps, StepPart part)
        {
            (this.model, this.recipe, this.totalSteps, this.part) = (model, recipe, totalSteps, part);
            (updates, isLast) = recipe.Accumulate == 1
                ? (RandomState.Step, null)
                : (Expr.Variable(UpdatesName, Shape.Scalar, DType.I64), Expr.Variable(BatchIsLastName, Shape.Scalar, DType.Bool));
        }

        public Program Build()
        {
            var forward = Resolve(model, [model.TotalLoss, .. model.Losses.Select(l => l.Value), .. model.Metrics.Select(m => m.Value), .. Updated(model)], training: true);
            for (var i = 0; i < recipe.Optimizers.Count; i++)
            {
                var line = recipe.Optimizers[i];
                Line(i, line, forward[line.Minimize is null ? 0 : 1 + IndexOfLoss(model, line.Minimize)]);
            }

            Average();
            var at = 1 + model.Losses.Length;
            var metrics = model.Metrics.Select((m, i) => m with { Value = forward[at + i] });
            var buffers = new Queue<Expr>(forward.Skip(at + model.Metrics.Length));
            var norm = norms.Count == 0 ? Expr.Scalar(0) : norms is [var only] ? only : norms.Select(n => n.Square()).Aggregate((a, b) => a + b).Sqrt();
            return new Program(
                [.. model.Inputs, .. model.Targets, .. Fed()],
                [
                    .. model.Parameters.Select(p => new ProgramState(p.Path, p.Variable, moved.GetValueOrDefault(p.Variable))),
                    .. model.Buffers.Select(b => new ProgramState(b.Path, b.Variable, b.Next is null ? null : buffers.Dequeue() is var next && part.IsFirst ? next : null)),
                    .. states,
                    .. isLast is null ? [] : new ProgramState[] { new(UpdatesName, updates, part.IsLast ? updates + isLast.Cast(DType.I64) : null) },
                    new ProgramState(StepName, RandomState.Step, RandomState.Step + 1),
                    new ProgramState(SeedName, RandomState.Seed),
                ],
                [
                    new Named(LossName, forward[0]),
                    .. LossParts(model, forward.AsSpan(1..)),
                    .. metrics,
                    new Named(GradientNormName, norm),
                    new Named(RateName, rate),
                ],
                [forward[0], norm])
            {
                Checks = model.Checks,
                Provenance = model.Provenance,
            };
        }

        /// <summary>One optimizer: gradients, clipping, moves.</summary>
        private void Line(int number, OptimizerLine line, Expr loss)
        {
            // What does not move now has its states all the same, so that all parts of steps have the same.
            var isDue = part.Lines.Contains(number);
            var trained = Trained(model, recipe, line);
            var gradients = Gradient.Of(loss, [.. trained.Select(p => p.Variable)], model.Provenance);
            var connected = trained.Zip(gradients, (p, g) => (Parameter: p, Gradient: g)).Where(t => t.Gradient is not null).Select(t => (t.Parameter, Gradient: t.Gradient!)).ToArray();
            if (connected.Length == 0)
                throw Unreached(model, line);
            if (moved.Count > 0)
            {
                var here = Expr.Substitute([.. connected.Select(t => t.Gradient)], moved, model.Provenance);
                connected = [.. connected.Select((t, i) => (t.Parameter, here[i]))];
            }

            if (isLast is not null)
                connected = [.. connected.Select(t => (t.Parameter, Sum(number, t.Parameter, t.Gradient, isDue)))];
            if (recipe.ClipValue is { } limit)
                connected = [.. connected.Select(t => (t.Parameter, t.Gradient.Max(-limit).Min(limit)))];
            var squares = connected.Select(t => t.Gradient.Square().Sum()).ToArray();
            foreach (var (square, (parameter, _)) in squares.Zip(connected))
                model.Provenance.Derived(square, parameter.Variable);
            // From the last layer on, in the order in which gradients come, so that what each needs is free soon.
            var norm = squares.Reverse().Aggregate((a, b) => a + b).Sqrt();
            if (recipe.ClipNorm is { } largest)
            {
                // The guard rejects a norm that is not finite, so 0 · ∞ cannot arise.
                var factor = Expr.Where(norm.GreaterThan(largest), largest / norm, 1);
                connected = [.. connected.Select(t => (t.Parameter, t.Gradient * factor))];
            }

            var taken = updates.Cast(DType.Float);
            var lineRate = line.Optimizer.LearningRate.At(taken, totalSteps);
            var step = updates.Cast(DType.Float) + 1;
            var count = line.Every == 1 ? step : (step / line.Every).Floor().Max(1);
            var prefix = number == 0 ? OptimizerPrefix : $"{OptimizerPrefix}{number}.";
            var own = new List<ProgramState>();
            foreach (var (parameter, gradient) in connected)
            {
                var value = moved.GetValueOrDefault(parameter.Variable, parameter.Variable);
                var scale = parameter.Options.LearningRateScale;
                var next = line.Optimizer.Step(new OptimizerContext(parameter.Path, value, gradient, scale == 1 ? lineRate : lineRate * scale, count, recipe.Decays(parameter), prefix, own));
                reached.Add(parameter.Variable);
                if (isDue)
                    moved[parameter.Variable] = isLast is null ? next : Expr.Where(isLast, next, value);
            }

            states.AddRange(own.Select(s => !isDue ? s with { Next = null } : isLast is null ? s : s with { Next = Expr.Where(isLast, s.Next!, s.Variable) }));
            if (isDue)
                norms.Add(norm);
            if (number == 0)
                rate = lineRate;
        }

        /// <summary>The gradient of the batches of this step so far; it starts again after the last.</summary>
        private Expr Sum(int number, Parameter parameter, Expr gradient, bool isDue)
        {
            var name = $"{SumPrefix}{(number == 0 ? "" : $"{number}.")}{parameter.Path}";
            var variable = Expr.Variable(name, parameter.Shape);
            var sum = variable + (weight * gradient);
            states.Add(new ProgramState(name, variable, isDue ? Expr.Where(isLast!, 0, sum) : null));
            return sum;
        }

        private IEnumerable<Named> Fed() => isLast is null ? [] : [new Named(BatchWeightName, weight), new Named(BatchIsLastName, isLast)];

        /// <summary>Running averages of what moves.</summary>
        private void Average()
        {
            if (recipe.Ema is not { } most)
                return;
            var step = updates.Cast(DType.Float) + 1;
            var kept = ((step + 1) / (step + 10)).Min(most);
            foreach (var parameter in model.Parameters.Where(p => reached.Contains(p.Variable)))
            {
                var name = AveragePrefix + parameter.Path;
                var average = Expr.Variable(name, parameter.Shape);
                var next = (kept * average) + ((1 - kept) * moved.GetValueOrDefault(parameter.Variable, parameter.Variable));
                states.Add(new ProgramState(name, average, !part.IsLast ? null : isLast is null ? next : Expr.Where(isLast, next, average)));
            }
        }
    }
}
