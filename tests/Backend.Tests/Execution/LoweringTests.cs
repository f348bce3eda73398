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
}
