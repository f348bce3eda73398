using System.Reflection;
using Dnn.Graph;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>What the catalog has, C# has under the name that C# would give it: <c>layer_norm</c> is <c>LayerNorm</c>, <c>cosine</c> a <c>CosineSchedule</c>.</summary>
public class LanguagesTests
{
    /// <summary>What goes by another name, and the type that has it.</summary>
    private static readonly Dictionary<string, (Type Type, string Member)> Otherwise = new()
    {
        ["chain"] = (typeof(Layers), nameof(Layers.Sequential)),
        ["lr_scale"] = (typeof(Layer), nameof(Layer.ScaleLearningRate)),
        ["silu"] = (typeof(Activations), nameof(Activations.Swish)),
        ["maximum"] = (typeof(Expr), nameof(Expr.Max)),
        ["minimum"] = (typeof(Expr), nameof(Expr.Min)),
        ["max"] = (typeof(Expr), nameof(Expr.ReduceMax)),
        ["min"] = (typeof(Expr), nameof(Expr.ReduceMin)),
        ["take"] = (typeof(Expr), nameof(Expr.Take)),
        ["slice"] = (typeof(Expr), nameof(Expr.SliceAxis)),
        ["cosine_similarity_loss"] = (typeof(Losses), nameof(Losses.CosineSimilarity)),
        ["random.normal"] = (typeof(Rng), nameof(Rng.Normal)),
        ["random.uniform"] = (typeof(Rng), nameof(Rng.Uniform)),
        ["random.bernoulli"] = (typeof(Rng), nameof(Rng.Bernoulli)),
        ["random.categorical"] = (typeof(Rng), nameof(Rng.Categorical)),
        ["random.permutation"] = (typeof(Rng), nameof(Rng.Permutation)),
        ["random.seed"] = (typeof(RandomState), nameof(RandomState.Seed)),
        ["random.step"] = (typeof(RandomState), nameof(RandomState.Step)),
        ["params"] = (typeof(ModelBuilder), nameof(ModelBuilder.ParametersUnder)),

        // A value and its gradient are two expressions, of which nothing is computed twice.
        ["value_and_grad"] = (typeof(Expr), nameof(Expr.Grad)),

        // What every language has.
        ["len"] = (typeof(Shape), nameof(Shape.Rank)),
        ["inf"] = (typeof(double), nameof(double.PositiveInfinity)),
        ["nan"] = (typeof(double), nameof(double.NaN)),
        ["pi"] = (typeof(Math), nameof(Math.PI)),

        // Of tests, which have assertions of their own.
        ["close"] = (typeof(Expr), nameof(Expr.LessOrEqual)),
    };

    [Fact]
    public void Every_name_is_there_in_CSharp()
    {
        var types = typeof(Expr).Assembly.GetExportedTypes();
        var members = types.SelectMany(t => t.GetMembers(BindingFlags.Public | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly)).Select(m => m.Name);
        var names = members.Concat(types.Select(t => t.Name)).ToHashSet(StringComparer.OrdinalIgnoreCase);
        Assert.Empty(Otherwise.Where(o => o.Value.Type.GetMember(o.Value.Member).Length == 0 || Catalog.Find(o.Key) is null).Select(o => o.Key));
        Assert.Empty(Catalog.All.Where(e => !Otherwise.ContainsKey(e.Name) && !names.Contains(CSharp(e))).Select(e => $"{e.Kind} {e.Name}: {CSharp(e)}"));
    }

    private static string CSharp(CatalogEntry entry) => entry.Name.Replace("_", "", StringComparison.Ordinal) + entry.Kind switch
    {
        CatalogKind.Schedule => "Schedule",
        CatalogKind.Source => "Source",
        _ => "",
    };
}
