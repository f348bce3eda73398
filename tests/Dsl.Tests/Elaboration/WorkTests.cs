using System.Text;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>
/// Twice the text takes twice the work, in every stage and for every way in which a text can be long. What is counted is memory that is allocated, the same in each run, as a measure of
/// steps; where a stage could look at things without allocating, <see cref="Long_texts_end"/> is so long that a square of it would not.
/// </summary>
public class WorkTests
{
    /// <summary>Twice the work, and some room for tables that grow in leaps.</summary>
    private const double MostForTwice = 2.3;

    private const int Size = 1000;

    /// <summary>Texts that grow with n.</summary>
    private static readonly Dictionary<string, Func<int, string>> Growing = new()
    {
        ["comments"] = n => Repeat(n, i => $"// the comment number {i}, with some words\n") + "let a = 1\n",
        ["blanks"] = n => "let a = " + new string(' ', 20 * n) + "1" + new string('\n', 20 * n),
        ["declarations"] = n => Repeat(n, i => $"/// Layer {i}.\nlayer f{i}(units: int = 4, drop: float = 0.1)(x: [B, D]) -> [B, D] {{\n  let h = x |> dense(units) |> relu\n  return x + (h |> dense(D) |> dropout(drop))\n}}\n"),
        ["constants"] = n => Repeat(n, i => $"let c{i} = {(i == 0 ? "1" : $"c{i - 1} % 7 + {i}")}\n"),
        ["statements"] = n => Model(Repeat(n, i => $"  let h{i} = {(i == 0 ? "x" : $"h{i - 1}")} * 0.5 + x\n") + $"  output y = h{n - 1}\n"),
        ["shadowing"] = n => Model("  let h = x\n" + Repeat(n, _ => "  let h = tanh(h)\n") + "  output y = h\n"),
        ["stages"] = n => Model("  output y = x\n" + Repeat(n, i => i % 3 == 0 ? "    |> dense(4)\n" : i % 3 == 1 ? "    |> relu\n" : "    |> layer_norm()\n")),
        ["operators"] = n => Model($"  output y = x{Repeat(n, i => $" + {i} * x")}\n"),
        ["a list"] = n => $"let a = [{Repeat(n, i => $"{i}, ")}0]\nlet b = len(a)\n",
        ["a long line"] = n => $"let a = {Repeat(n, i => $"{i} + ")}0\n",
        ["instances"] = n => Model($"  output y = x |> repeat({n}, dense(4) |> tanh |> layer_norm())\n"),
        ["loops"] = n => Model($"  output y = x |> for i in 0..{n} {{ residual(dense(4, init = zeros()) |> relu) }}\n"),
        ["applications"] = n => "layer f(x: [B, D]) -> [B, D] { return tanh(x) * x }\n" + Model($"  let g = f\n  output y = x |> repeat({n}, g)\n"),
        ["named sizes"] = n => "layer f(a: [B, S], b: [B, T]) -> [B, S] { return a + tanh(b) }\n" + Model($"  output y = x |> repeat({n}, h => f(h, x))\n"),
        ["parameters"] = n => Model(Repeat(n, i => $"  param w{i}: [4] = {i}\n  loss sum(w{i} * x) as l{i}\n")),
        ["inputs"] = n => $"model M {{\n{Repeat(n, i => $"  input x{i}: [B, T{i}]\n  output y{i} = mean(x{i})\n")}}}\n",
        ["arguments"] = n => Model($"  output y = concat([{Repeat(n, _ => "x, ")}x], axis = 1)\n"),
        ["tests"] = n => Repeat(n, i => $"test \"number {i}\" {{\n  let a = [{i}, 2.0]\n  assert sum(a) == {i} + 2\n}}\n"),
        ["unknown names"] = n => Model(Repeat(n, i => $"  let h{i} = unknown{i}(x)\n") + "  output y = x\n"),
        ["one unknown name"] = n => Model(Repeat(n, i => $"  let h{i} = unknown(x)\n") + "  output y = x\n"),
        ["broken statements"] = n => Model(Repeat(n, i => $"  let h{i} = (x + \n  let g{i} = 3 3\n") + "  output y = x\n"),
        ["broken declarations"] = n => Repeat(n, i => $"layer f{i}(x: [B] {{\n  return x +\n}}\n"),
        ["open brackets"] = n => Repeat(n, i => $"let a{i} = ((\n"),
        ["bad characters"] = n => "let a = " + Repeat(n, _ => "$ ") + "1\n",
        ["strings without an end"] = n => Repeat(n, i => $"let s{i} = \"open\n"),
        ["warnings"] = n => Model(Repeat(n, i => $"  param w{i}: [4] = 0\n") + "  output y = x\n"),
    };

    private static readonly string[] Stages = ["parse", "bind", "elaborate", "lint", "format", "show"];

    public static TheoryData<string> Names() => new(Growing.Keys);

    [Theory]
    [MemberData(nameof(Names))]
    public void Twice_the_text_is_twice_the_work_in_every_stage(string name)
    {
        // What is made once, such as tables of the catalog, is made before.
        Work(Growing[name](Size));
        var (once, twice) = (Work(Growing[name](Size)), Work(Growing[name](2 * Size)));
        foreach (var stage in Stages)
        {
            // Too little to grow.
            if (twice[stage] < 200_000)
                continue;
            Assert.True(twice[stage] <= MostForTwice * once[stage], $"{name}, {stage}: {once[stage]:N0} bytes, then {twice[stage]:N0}: {(double)twice[stage] / once[stage]:F2} times");
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Long_texts_end(string name) => Assert.True(Work(Growing[name](8 * Size)).Count == Stages.Length);

    /// <summary>What each stage allocates.</summary>
    private static Dictionary<string, long> Work(string text)
    {
        var work = new Dictionary<string, long>();
        var last = GC.GetAllocatedBytesForCurrentThread();
        var source = new SourceText(text);
        var result = Compiler.Compile(source, new CompileOptions { OnPhase = Note });
        var found = Linter.Check(result);
        Note("lint");
        Formatter.Format(result.Syntax);
        Note("format");
        new DiagnosticFormatter().Format(found);
        Note("show");
        return work;

        void Note(string stage)
        {
            var now = GC.GetAllocatedBytesForCurrentThread();
            work[stage] = now - last;
            last = GC.GetAllocatedBytesForCurrentThread();
        }
    }

    private static string Model(string statements) => $"model M {{\n  input x: [B, 4]\n{statements}}}\n";

    private static string Repeat(int n, Func<int, string> part)
    {
        var text = new StringBuilder();
        for (var i = 0; i < n; i++)
            text.Append(part(i));
        return text.ToString();
    }
}
