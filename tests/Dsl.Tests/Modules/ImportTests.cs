using Dnn.Graph;
using Dnn.Testing;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Names from other files.</summary>
public class ImportTests
{
    /// <summary>Texts in memory, which counts what is read.</summary>
    private sealed class Texts(params (string Path, string Text)[] files) : ISourceReader
    {
        public List<string> Read { get; } = [];

        string? ISourceReader.Read(string path)
        {
            Read.Add(path);
            return files.FirstOrDefault(f => f.Path == path).Text;
        }
    }

    private const string Blocks = """
        hyper width: int = 8 in 1..64
        hyper norm: layer = layer_norm()
        let ratio = 2
        layer block(scale: int = ratio)(x: [..., D]) -> [..., D] {
          let up = dense(width * scale)
          return x + (x |> norm |> up |> swish |> dense(D))
        }
        layer swish(x: [...]) -> [...] { return x * sigmoid(x) }
        model Small() {
          input x: [B, 4]
          target y: [B, 1]
          loss bce_with_logits(x |> block() |> dense(1), y)
        }
        data moons = two_moons(samples = 20)
        test "not run by others" { assert false }
        """;

    private static CompileResult Compiled(string text, params (string, string)[] files) => Compiled(text, [], files);

    private static CompileResult Compiled(string text, (string Name, string Value)[] set, params (string, string)[] files) =>
        Compiler.Compile(new SourceText(text, "p/main.dnn"), new CompileOptions { Sources = new Texts(files), Overrides = set.ToDictionary(s => s.Name, s => s.Value) });

    private static Model Fine(CompileResult result)
    {
        Assert.True(result.Diagnostics.IsEmpty, new DiagnosticFormatter().Format(result.Diagnostics));
        return result.Model!;
    }

    private static string Found(CompileResult result) => string.Join('\n', result.Diagnostics.Select(d => $"{d.Span}: {d.Code} {d.Message}"));

    [Fact]
    public void Names_and_aliases_are_those_of_the_file()
    {
        var model = Fine(Compiled("""
            import "lib/blocks.dnn" (block, ratio as r, width)
            model M() {
              input x: [B, 4]
              output y = x |> block(r + 1) |> block() |> dense(blocks.width + width)
            }
            """, ("p/lib/blocks.dnn", Blocks)));
        Assert.Equal(["block_0.norm_0", "block_0.up", "block_0.dense_0", "block_1.norm_0", "block_1.up", "block_1.dense_0", "dense_0"], Compile.Weights(model));
        Assert.Equal([24, 16], model.Parameters.Where(p => p.Path.EndsWith("up.weight", StringComparison.Ordinal)).Select(p => (int)p.Shape[1].Value));
        Assert.Equal(16, model.Outputs[0].Value.Shape[1].Value);
    }

    [Fact]
    public void Models_and_data_of_another_file_are_trained_here()
    {
        var result = Compiled("""
            import "lib/blocks.dnn" (Small as Other, moons)
            train Other() on half {
              optimizer adam()
            }
            data half = two_moons(samples = 10)
            """, ("p/lib/blocks.dnn", Blocks.Replace("[B, 4]", "[B, 2]", StringComparison.Ordinal)));
        Assert.Equal("Small", Fine(result).Name);
        Assert.Equal(["half", "moons"], result.Data.Select(d => d.Name).Order());
        Assert.Empty(result.Tests);
    }

    [Fact]
    public void Hyperparameters_of_an_imported_file_are_set_under_its_name()
    {
        const string Main = "import \"lib/blocks.dnn\" (block)\nhyper width: int = 3\nmodel M() {\n  input x: [B, 4]\n  output y = x |> block() |> dense(width)\n}\n";
        var model = Fine(Compiled(Main, [("blocks.width", "10"), ("width", "7"), ("blocks.norm", "rms_norm()")], ("p/lib/blocks.dnn", Blocks)));
        Assert.Equal(20, model.Parameters.First(p => p.Path == "block_0.up.weight").Shape[1].Value);
        Assert.Equal(7, model.Outputs[0].Value.Shape[1].Value);
        Assert.DoesNotContain("block_0.norm_0.bias", Compile.Paths(model));
        var wrong = Compiled(Main, [("block.width", "10")], ("p/lib/blocks.dnn", Blocks)).Diagnostics[0];
        Assert.Equal(DiagnosticCodes.UnknownOverride.Code, wrong.Code);
        Assert.Contains("did you mean 'blocks.width'?", wrong.Notes);
        Assert.Equal("--set blocks.width:1:1: DNN0306 `width` = 100 is out of its range 1..64", Found(Compiled(Main, [("blocks.width", "100")], ("p/lib/blocks.dnn", Blocks))));
    }

    [Fact]
    public void Files_of_one_name_are_told_apart_by_their_folders()
    {
        const string Main = "import \"a/n.dnn\" (f)\nimport \"b/n.dnn\" (f as g, k)\nmodel M() {\n  input x: [B, 4]\n  output y = x |> f |> g\n}\n";
        const string File = "hyper k: int = 2\nlayer f(x: [..., D]) { return x |> dense(k) }";
        var result = Compiled(Main, [("a.n.k", "5"), ("b.n.k", "6")], ("p/a/n.dnn", File), ("p/b/n.dnn", File));
        Assert.Equal([5, 6], Fine(result).Parameters.Where(p => p.Shape.Rank == 2).Select(p => (int)p.Shape[1].Value));
        Assert.Equal(["a.n.k", "b.n.k"], result.Chosen!.Hypers.Keys);
        Assert.Equal(["f_0.dense_0", "f_1.dense_0"], Compile.Weights(result.Model!));
    }

    [Fact]
    public void Each_file_is_read_once_and_paths_are_relative_to_who_imports()
    {
        var texts = new Texts(
            ("p/a.dnn", "import \"sub/b.dnn\" (b)\nlet a = b + 1"),
            ("p/sub/b.dnn", "import \"../c.dnn\" (c)\nlet b = c + 1"),
            ("p/c.dnn", "let c = 1"));
        var result = Compiler.Compile(new SourceText("import \"a.dnn\" (a)\nimport \"./sub/../c.dnn\" (c)\nimport \"sub/b.dnn\" (b)\nmodel M() {\n  input x: [B, 4]\n  output y = x |> dense(a * 100 + b * 10 + c)\n}", "p/main.dnn"), new CompileOptions { Sources = texts });
        Assert.Equal(321, Fine(result).Outputs[0].Value.Shape[1].Value);
        Assert.Equal(["p/a.dnn", "p/sub/b.dnn", "p/c.dnn"], texts.Read);
        Assert.Equal(["p/c.dnn", "p/sub/b.dnn", "p/a.dnn", "p/main.dnn"], result.Files.Select(f => f.Source.Path));
    }

    [Fact]
    public void A_circle_is_shown_with_every_import_in_it()
    {
        var found = Assert.Single(Compiled("import \"a.dnn\" (a)\nlet x = a", ("p/a.dnn", "import \"b.dnn\" (b)\nlet a = b"), ("p/b.dnn", "import \"main.dnn\" (x)\nlet b = x")).Diagnostics);
        Assert.Equal("""
            error[DNN0125]: files import each other in a circle: p/main.dnn → p/a.dnn → p/b.dnn → p/main.dnn
             --> p/b.dnn:1:8
               |
             1 | import "main.dnn" (x)
               |        ^^^^^^^^^^
             ::: p/main.dnn:1:8
               |
             1 | import "a.dnn" (a)
               |        ------- imported here
             ::: p/a.dnn:1:8
               |
             1 | import "b.dnn" (b)
               |        ------- imported here
              note: move what both need to a file of its own

            """, new DiagnosticFormatter().Format(found), ignoreLineEndingDifferences: true);
    }

    [Theory]
    [InlineData("import \"a.dnn\" (b)", "p/main.dnn:1:17: DNN0124 p/a.dnn declares no `b`")]
    [InlineData("import \"a.dnn\" (f, g as f)", "p/main.dnn:1:25: DNN0102 `f` is declared already")]
    [InlineData("import \"a.dnn\" (f)\nlet f = 1", "p/main.dnn:2:5: DNN0102 `f` is declared already")]
    [InlineData("import \"a\" (f)", "p/main.dnn:1:8: DNN0123 there is no file p/a")]
    [InlineData("import \"a.dnn\" (f)\nlet b = a.depht", "p/main.dnn:2:11: DNN0100 p/a.dnn has no hyperparameter `depht`")]
    [InlineData("import \"a.dnn\" (f)\nlet b = a.g", "p/main.dnn:2:9: DNN0109 the layer `g` is imported by its name: import … (g)")]
    [InlineData("import \"a.dnn\" (f)\nlayer h(x: [B]) { return f(x, x) }", "p/main.dnn:2:31: DNN0105 `f` takes one argument, and this is one more")]
    [InlineData("import \"broken.dnn\" (f, later)\nlet b = later + 1", "p/broken.dnn:2:8: DNN0020 expected an expression after '=', found the end of the file")]
    public void What_is_wrong_is_said_where_it_is(string text, string expected) => Assert.Equal(
        expected,
        Found(Compiled(text, ("p/a.dnn", "hyper depth: int = 2\nlayer f(x: [B]) { return x }\nlayer g(x: [B]) { return x }"), ("p/broken.dnn", "layer f(x: [B]) { return x }\nlet b =\n"))));

    [Fact]
    public void A_misfit_inside_of_an_imported_layer_shows_both_files()
    {
        var found = Assert.Single(Compiled("import \"a.dnn\" (f)\nmodel M() {\n  input x: [B, 4]\n  output y = x |> f(3)\n}",
            ("p/a.dnn", "layer f(k: int)(x: [B, D]) {\n  return x + (x |> dense(k))\n}")).Diagnostics);
        Assert.Equal("""
            error[DNN0301]: [B, 4] and [B, 3] do not broadcast: axis 1 has sizes 4 and 3
             --> p/a.dnn:2:10
               |
             2 |   return x + (x |> dense(k))
               |          - this is [B, 4]
               |              --------------- this is [B, 3]
               |                    -------- `f_0.dense_0` makes this size 3
               |          ^^^^^^^^^^^^^^^^^^^
             ::: p/main.dnn:3:12
               |
             3 |   input x: [B, 4]
               |            ------ `x` is declared [B, 4]
              in `f_0` at p/main.dnn:4:19
              note: sizes are compared from the last axis on; they must be equal, or one of them 1 or missing
              note: `f_0.dense_0` fits with `units = 4`

            """, new DiagnosticFormatter().Format(found), ignoreLineEndingDifferences: true);
    }

    [Fact]
    public void Errors_of_an_imported_file_are_reported_once_with_its_places()
    {
        const string File = "hyper k: int = \"two\"\nlayer f(x: [B]) { return rleu(x) }";
        Assert.Equal("p/a.dnn:2:26: DNN0100 there is no `rleu` here",
            Found(Compiled("import \"b.dnn\" (f as g)\nimport \"a.dnn\" (f)", ("p/a.dnn", File), ("p/b.dnn", "import \"a.dnn\" (f as h)\nlayer f(x: [B]) { return h(x) }"))));
        Assert.Equal("p/a.dnn:1:16: DNN0300 `k` is of type int, and this is the string \"two\"", Found(Compiled("import \"a.dnn\" (f)", ("p/a.dnn", File.Replace("rleu", "relu", StringComparison.Ordinal)))));
    }

    [Fact]
    public void A_long_chain_of_imports_needs_no_stack()
    {
        const int Length = 20_000;
        var files = Enumerable.Range(0, Length).ToDictionary(i => $"p/f{i}.dnn", i => i == Length - 1 ? "let a = 1" : $"import \"f{i + 1}.dnn\" (a as b)\nlet a = 2");
        var result = Compiler.Compile(new SourceText("import \"f0.dnn\" (a)", "p/main.dnn"), new CompileOptions { Sources = new Files(files) });
        Assert.Empty(result.Diagnostics);
        Assert.Equal(Length + 1, result.Files.Length);
    }

    private sealed class Files(Dictionary<string, string> files) : ISourceReader
    {
        public string? Read(string path) => files.GetValueOrDefault(path);
    }
}
