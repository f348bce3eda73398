using System.Collections.Immutable;
using FsCheck;
using FsCheck.Fluent;

namespace Dnn.Checking;

/// <summary>Random graphs for properties: <c>[Property(Arbitrary = [typeof(GraphArbitrary.Smooth)])]</c>.</summary>
public static class GraphArbitrary
{
    private const int RowLength = 12;
    private const int Largest = 999;

    /// <summary>Recipes that grow with the size of the test case, and shrink to fewer operations and smaller choices.</summary>
    public static Arbitrary<GraphRecipe> Recipes(GraphKind kind)
    {
        var row = Gen.Choose(0, Largest).ListOf(RowLength).Select(numbers => numbers.ToImmutableArray());
        var recipe = Gen.Sized(size => Gen.Choose(1, 3 + (size / 4)).SelectMany(row.ListOf)).Select(rows => new GraphRecipe(kind, [.. rows]));
        return Arb.From(recipe, r => r.Shrink());
    }

    /// <summary>Graphs of all operations.</summary>
    public static class Any
    {
        public static Arbitrary<GraphRecipe> Recipe() => Recipes(GraphKind.Any);
    }

    /// <summary>Graphs that are differentiable at their point.</summary>
    public static class Differentiable
    {
        public static Arbitrary<GraphRecipe> Recipe() => Recipes(GraphKind.Differentiable);
    }

    /// <summary>Graphs without kinks and jumps.</summary>
    public static class Smooth
    {
        public static Arbitrary<GraphRecipe> Recipe() => Recipes(GraphKind.Smooth);
    }
}
