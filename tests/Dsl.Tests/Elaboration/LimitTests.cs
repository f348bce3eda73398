using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Sizes that overflow and loops without end are refused at once, each by one error.</summary>
public class LimitTests
{
    /// <summary>The bytes that may be allocated until something is refused.</summary>
    private const long Most = 1_000_000_000;

    private const string Layers = """
        layer self(x: [B, D]) { return self(x) + 1 }
        layer ping(x: [B, D]) { return pong(x) }
        layer pong(x: [B, D]) { return ping(x) }
        layer down(n: int)(x: [B, D]) { return if n == 0 then x else down(n - 1)(x) }
        layer wider(n: int)(x: [B, D]) { return x |> dense(n) |> wider(n + 1) }
        layer twice(f: layer)(x: [B, D]) { return x |> f |> f }
        layer tree(n: int)(x: [B, D]) { return if n == 0 then x + 1 else tree(n - 1)(x) + tree(n - 1)(x) }
        let fibonacci = n => if n < 2 then n else fibonacci(n - 1) + fibonacci(n - 2)
        let count = n => if n < 1 then 0 else count(n - 1) + 1
        """;

    [Theory]
    [InlineData("x |> self", "DNN0313")]
    [InlineData("x |> ping", "DNN0313")]
    [InlineData("x |> down(-1)", "DNN0313")]
    [InlineData("x |> down(1000)", "DNN0313")]
    [InlineData("x |> wider(1)", "DNN0313")]
    [InlineData("x |> tree(60)", "DNN0312")]
    [InlineData("x * fibonacci(60)", "DNN0312")]
    [InlineData("x |> repeat(1000000000, relu)", "DNN0312")]
    [InlineData("x |> for i in 0..100000000 { relu }", "DNN0312")]
    [InlineData("x |> repeat(100000, repeat(100000, relu))", "DNN0312")]
    [InlineData("x * len([i for i in 0..20000000])", "DNN0312")]
    [InlineData("x * len([len([j for j in 0..i]) for i in 0..1000000])", "DNN0312")]
    [InlineData("zeros([100000, 100000])", "DNN0312")]
    [InlineData("broadcast_to(sum(x), [65536, 65536])", "DNN0312")]
    [InlineData("zeros([4294967296, 4294967296, 4294967296])", "DNN0312")]
    [InlineData("x |> dense(9223372036854775807)", "DNN0312")]
    [InlineData("x |> dense(3000000000)", "DNN0312")]
    [InlineData("x * 2 ** 64", "DNN0312")]
    [InlineData("x * (9223372036854775807 + 1)", "DNN0312")]
    [InlineData("zeros([9223372036854775807 * 2])", "DNN0312")]
    [InlineData("x |> twice(twice(twice(twice(twice(twice(twice(twice(twice(twice(twice(twice(twice(twice(twice(twice(twice(twice(twice(twice(twice(twice(twice(twice(twice(relu)))))))))))))))))))))))))", "DNN0312")]
    public void A_size_or_loop_without_end_is_refused(string expression, string code)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        var found = Compile.Diagnostics(new SourceText($"{Layers}\nmodel M {{\n  input x: [B, 4]\n  output y = {expression}\n}}\n"));
        var spent = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(found.Count == 1 && found[0].Code == code, new DiagnosticFormatter().Format(found.Take(3)));
        Assert.True(spent <= Most, $"{spent / 1_000_000} MB are allocated before it is refused");
    }

    [Theory]
    [InlineData("x |> down(150)")]
    [InlineData("x |> tree(9)")]
    [InlineData("x * fibonacci(20)")]
    [InlineData("x * count(400)")]
    [InlineData("x |> repeat(10000, tanh)")]
    [InlineData("x * len([i for i in 0..100000])")]
    [InlineData("x * 2 ** 62")]
    public void What_ends_is_fine(string expression) => Assert.DoesNotContain(Compile.Diagnostics(new SourceText($"{Layers}\nmodel M {{\n  input x: [B, 4]\n  output y = {expression}\n}}\n")), d => d.IsError);
}
