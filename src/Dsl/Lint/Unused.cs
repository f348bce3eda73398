using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>What nothing depends on is computed, saved, and trained in vain.</summary>
internal sealed class Unused() : LintRule(Row("DNN1011", "parameter, input or layer that nothing depends on",
    "No output and no loss depends on it: an input that is fed for nothing, a parameter that never gets a gradient, a layer whose result was forgotten, often because a name was shadowed or the wrong one was used. "
    + "Use it, or take it out. The number is that of the parameters that are saved and never used.",
    "model M {\n  input x: [B, 8]\n  let h = x |> dense(16) |> relu\n  output y = x |> dense(1)\n}",
    "model M {\n  input x: [B, 8]\n  let h = x |> dense(16) |> relu\n  output y = h |> dense(1)\n}"))
{
    public override IEnumerable<Finding> Find(LintContext context)
    {
        var model = context.Model;
        var used = Expr.PostOrder(model.Losses.Concat(model.Outputs).Select(n => n.Value)).ToHashSet();
        if (used.Count == 0)
            yield break;

        // An input may be there for its size alone: how many rows there are.
        var sizes = used.SelectMany(n => n.Shape.Dims).SelectMany(d => d.Names).ToHashSet(StringComparer.Ordinal);
        sizes.ExceptWith(model.Inputs.Where(i => used.Contains(i.Value)).SelectMany(i => i.Value.Shape.Dims).SelectMany(d => d.Names));
        foreach (var (name, value) in model.Inputs.Where(i => !used.Contains(i.Value) && !i.Value.Shape.Dims.SelectMany(d => d.Names).Any(sizes.Contains)))
            yield return At(context, value, $"no output and no loss depends on the input `{name}`", 0);

        // A layer that is not used says it for all that is in it.
        var idle = new HashSet<Scope>();
        var covered = new HashSet<string>(StringComparer.Ordinal);
        foreach (var scope in model.Scopes)
        {
            if (scope.Parent is { } parent && idle.Contains(parent))
            {
                idle.Add(scope);
                continue;
            }

            if (scope.Outputs.IsEmpty || scope.Outputs.Any(used.Contains) || scope.Path == (scope.Parent?.Path ?? ""))
                continue;
            idle.Add(scope);
            var parameters = model.Parameters.Where(p => p.Path.StartsWith(scope.Path + ".", StringComparison.Ordinal) && !used.Contains(p.Variable)).ToArray();
            if (parameters.Length == 0)
                continue;
            covered.UnionWith(parameters.Select(p => p.Path));
            var count = parameters.Sum(p => p.Shape.ElementCount.Value);
            yield return At(scope, $"no output and no loss depends on the result of this {scope.Kind} `{scope.Path}`: {count:N0} parameters in vain", count);
        }

        // What was given to an idle layer is idle with it.
        foreach (var (path, kind, location) in model.Idle.Where(i => !model.Idle.Any(o => o != i && IsAround(o.Location, i.Location))))
            yield return new Finding(Descriptor, $"this {kind} `{path}` is applied to nothing: it has no parameters yet, and never gets any") { Number = 0, Location = location, Path = path, Edit = new RemoveLine("take the line out", IsSafe: true) };

        foreach (var parameter in model.Parameters.Where(p => !used.Contains(p.Variable) && !covered.Contains(p.Path)))
        {
            var count = parameter.Shape.ElementCount.Value;
            yield return new Finding(Descriptor, $"no output and no loss depends on the parameter `{parameter.Path}`: {count:N0} numbers in vain") { Number = count, Location = parameter.Location, Path = parameter.Path };
        }
    }

    private static bool IsAround(SourceLocation? outer, SourceLocation? inner) =>
        outer is not null && inner is not null && outer.File == inner.File && outer.Start <= inner.Start && outer.Start + outer.Length >= inner.Start + inner.Length;
}
