using System.Collections.Immutable;
using Dnn.Checking;
using Xunit;
using Xunit.Abstractions;

namespace Dnn.Graph.Tests;

public class RecipeTests(ITestOutputHelper output)
{
    public static IEnumerable<Type> AllOps => typeof(Op).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(Op)) && !t.IsAbstract);

    [Fact]
    public void Random_graphs_have_every_operation()
    {
        var counts = new Dictionary<Type, int>();
        var rules = Rewriter.Default.Rules.Concat(Rewriter.Stabilize.Rules).Distinct().ToDictionary(r => r.Name, _ => 0);
        Rewriter[] counting = [Counting(Rewriter.Default), Counting(Rewriter.Stabilize)];
        for (var seed = 0ul; seed < 1000; seed++)
        {
            var recipe = Recipe(GraphKind.Any, seed);
            Expr[] roots = [.. recipe.Sample.PhasedRoots, .. Gradient.Of(recipe.Sample.Loss, recipe.Sample.Inputs).OfType<Expr>()];
            var nodes = Expr.PostOrder(recipe.Sample.PhasedRoots);
            foreach (var node in nodes.Concat(Expr.PostOrder(nodes.Select(n => n.Op).OfType<Scan>().SelectMany(s => s.Body.Next))))
                counts[node.Op.GetType()] = counts.GetValueOrDefault(node.Op.GetType()) + 1;

            foreach (var rewriter in counting)
                rewriter.Rewrite(roots);
        }

        output.WriteLine(string.Join(", ", counts.OrderBy(c => c.Value).Select(c => $"{c.Key.Name} {c.Value}")));
        output.WriteLine(string.Join(", ", rules.OrderBy(c => c.Value).Select(c => $"{c.Key} {c.Value}")));
        Assert.Empty(AllOps.Except(counts.Keys).Select(t => t.Name));
        Assert.Empty(rules.Where(r => r.Value == 0).Select(r => r.Key));

        Rewriter Counting(Rewriter rewriter) => new([.. rewriter.Rules.Select(r => r with
        {
            Apply = x =>
            {
                var result = r.Apply(x);
                if (result is not null)
                    rules[r.Name]++;
                return result;
            },
        })]);
    }

    [Fact]
    public void The_oracles_answer_for_most_random_graphs()
    {
        var (checks, skipped, inputs, differences) = (0, 0, 0, 0);
        for (var seed = 0ul; seed < 100; seed++)
        {
            var sample = Recipe(GraphKind.Differentiable, seed).Sample;
            var report = GradientChecker.Check(sample.Loss, sample.Inputs, sample.Point, new GradientCheckOptions(Sizes: sample.Sizes));
            Assert.True(report.Passed, report.ToString());
            (checks, skipped, inputs) = (checks + report.Checks, skipped + report.Skipped, inputs + sample.Inputs.Length);
            differences += report.Skipped == 0 ? 1 : 0;
        }

        output.WriteLine($"{checks} comparisons, {skipped} skipped, {differences} of 100 graphs without any skipped, {inputs} inputs");
        Assert.True(checks > 5000 && inputs > 150 && differences > 50);
    }

    private static GraphRecipe Recipe(GraphKind kind, ulong seed) =>
        new(kind, [.. Enumerable.Range(0, 18).Select(i => Enumerable.Range(0, 12).Select(k => (int)Philox.Bits24(seed, (12 * i) + k)).ToImmutableArray())]);
}
