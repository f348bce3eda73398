using System.Runtime.CompilerServices;
using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

public class LoweringTests
{
    public static TheoryData<Type> Operations => [.. typeof(Op).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(Op)) && !t.IsAbstract)];

    [Theory]
    [MemberData(nameof(Operations))]
    public void Every_primitive_has_a_lowering(Type type)
    {
        var op = (Op)RuntimeHelpers.GetUninitializedObject(type);
        Assert.True(Enum.IsDefined(Lowering.KindOf(op)));
    }

    [Fact]
    public void Blocks_never_overlap_and_freed_memory_is_used_again()
    {
        var random = new System.Random(5);
        var arena = new Arena();
        var live = new List<(long Start, long Bytes)>();
        var largest = 0L;
        for (var i = 0; i < 2000; i++)
        {
            if (live.Count > 0 && random.Next(2) == 0)
            {
                var at = random.Next(live.Count);
                arena.Release(live[at].Start, live[at].Bytes);
                live.RemoveAt(at);
                continue;
            }

            var bytes = random.Next(1, 1000);
            var start = arena.Take(bytes);
            Assert.Equal(0, start % Arena.Alignment);
            Assert.DoesNotContain(live, b => start < b.Start + b.Bytes && b.Start < start + bytes);
            live.Add((start, bytes));
            largest = Math.Max(largest, live.Sum(b => Arena.Align(b.Bytes)));
        }

        Assert.True(arena.Size <= 2 * largest);
        foreach (var (start, bytes) in live)
            arena.Release(start, bytes);
        Assert.Equal(0, arena.Take(arena.Size));
    }

    [Fact]
    public void What_several_groups_at_one_place_compute_again_is_ready_for_the_first_of_them()
    {
        // Both groups wait for the concatenation. The negation is computed in each, the cosine before the one that runs first.
        var x = Expr.Variable("x", Shape.Scalar);
        var shared = -Expr.Cos(x);
        var (first, second) = (Expr.Exp(shared), Expr.Sin(shared));
        Expr[] parts = [first, second, Expr.Tanh(first)];
        var all = Expr.Concat(0, [.. parts.Select(part => part.Reshape(new Shape([Dim.Of(1)])))]);
        Compare.WithReference([all], new Dictionary<Expr, double[]> { [x] = [0.5] });
    }
}
