using System.Globalization;
using System.Text;
using Dnn.Dsl.Ide;
using Dnn.Testing;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>What an editor asks, at a place marked <c>$0</c>; <c>[|…|]</c> marks what is expected.</summary>
public class IdeTests
{
    private const string Blocks = """
        hyper act: layer = gelu
        let eps = 1e-5

        /// A residual block.
        layer block(width: int, drop: float = 0.1)(x: [B, D]) -> [B, D] {
          param scale: [D] = ones()
          let fc = dense(width)
          return x + (x |> fc |> act |> dense(D) |> dropout(drop)) * scale
        }

        model Net(hidden: int = 16) {
          input x: [B, 2]
          target y: [B, 1]
          let first = dense(hidden)
          let h = x |> first |> block(8)
          let logit = h |> dense(1)
          output p = sigmoid(logit)
          loss bce_with_logits(logit, y) as main
          metric accuracy = mean((p > 0.5) == (y > 0.5))
        }

        data moons = two_moons(samples = 200) {
          split train = 80%, validation = 20%
        }

        train Net(hidden = 32) on moons {
          optimizer adam(lr = 0.01)
          early_stop on = validation.loss, patience = 5
        }

        """;

    private static (IdeFile File, int Position, MarkedSource Marked) Open(string marked)
    {
        var at = marked.IndexOf("$0", StringComparison.Ordinal);
        var source = MarkedSource.Parse(marked.Replace("$0", "", StringComparison.Ordinal));
        // The marks before the cursor are no text.
        var before = at < 0 ? "" : marked[..at].Replace("[|", "", StringComparison.Ordinal).Replace("|]", "", StringComparison.Ordinal);
        return (new IdeFile(source.Source), before.Length, source);
    }

    /// <summary>A place in <see cref="Blocks"/>: the text of which <c>$0</c> is left out stands in it once.</summary>
    private static (IdeFile File, int Position) In(string context)
    {
        var plain = context.Replace("$0", "", StringComparison.Ordinal);
        var at = Blocks.IndexOf(plain, StringComparison.Ordinal);
        Assert.True(at >= 0 && Blocks.IndexOf(plain, at + 1, StringComparison.Ordinal) < 0, context);
        return (new IdeFile(new SourceText(Blocks)), at + context.IndexOf("$0", StringComparison.Ordinal));
    }

    // ---- Completion --------------------------------------------------------------------------------------------------

    [Theory]
    [InlineData("$0", "model layer data train test import hyper let", "param")]
    [InlineData("mod$0", "model layer", "input")]
    [InlineData("layer f(x: [B]) {\n  $0\n}", "let param buffer update require return", "input loss model")]
    [InlineData("layer f(x: [B]) {\n  let a = 1\n  re$0", "return require", "model")]
    [InlineData("model M {\n  $0\n}", "input target output loss metric let param", "return assert")]
    [InlineData("test \"a\" {\n  $0\n}", "assert assert_shape assert_error assert_gradients let", "input")]
    [InlineData("data d = $0", "two_moons csv circles", "relu dense")]
    [InlineData("data d = two_moons() {\n  $0\n}", "split normalize one_hot rename shuffle", "optimizer")]
    [InlineData("data d = two_moons() {\n  split $0\n}", "train validation test", "x")]
    [InlineData("data d = two_moons() {\n  normalize $0\n}", "x y", "train")]
    [InlineData("model Net {\n  input $0\n}\ndata d = two_moons()", "x y", "input")]
    [InlineData("model Net {\n  loss 1\n}\ntrain $0", "Net", "dense")]
    [InlineData("model Net {\n  loss 1\n}\ndata d = xor()\ntrain Net() on $0", "d", "Net")]
    [InlineData("train Net() on d {\n  $0\n}", "optimizer batch epochs early_stop seed", "split")]
    [InlineData("train Net() on d {\n  optimizer $0\n}", "adam sgd adamw lamb", "dense x")]
    [InlineData("train Net() on d {\n  optimizer adam($0)\n}", "lr betas eps", "units")]
    [InlineData("train Net() on d {\n  optimizer adam(lr = $0)\n}", "warmup_cosine step cosine", "adam")]
    [InlineData("train Net() on d {\n  weight_decay_on $0\n}", "matrices all", "adam")]
    [InlineData("train Net() on d {\n  early_stop $0\n}", "on patience", "adam")]
    [InlineData("train Net() on d {\n  early_stop on = $0\n}", "validation.loss train.loss", "adam")]
    [InlineData("train Net() on d {\n  shuffle $0\n}", "true false", "adam")]
    [InlineData("model M {\n  input x: [B, 2]\n  let a = x |> $0\n}", "dense layer_norm relu softmax for", "M adam csv")]
    [InlineData("model M {\n  input x: [B, 2]\n  let h = 1\n  let a = $0\n}", "x h sigmoid mean grad if training random", "M adam csv")]
    [InlineData("model M {\n  input x: [B, 2]\n  let a = x |> dense($0\n}", "units bias init bias_init", "rate")]
    [InlineData("model M {\n  input x: [B, 2]\n  let a = x |> dense(8, $0)\n}", "bias init bias_init", "units rate")]
    [InlineData("model M {\n  input x: [B, 2]\n  let a = x |> dense(8, bias = $0)\n}", "true false", "units he_normal")]
    [InlineData("model M {\n  input x: [B, 2]\n  let a = x |> dense(8, init = $0)\n}", "auto he_normal xavier_uniform zeros", "relu")]
    [InlineData("model M {\n  input x: [B, 8, 8, 1]\n  let a = x |> conv2d(8, 3, padding = $0)\n}", "same valid", "he_normal")]
    [InlineData("model M {\n  input x: [B, 2]\n  let a = cross_entropy(x, x, reduction = $0)\n}", "mean sum none", "dense")]
    [InlineData("model M {\n  input x: [B, 2]\n  let a = x |> residual($0)\n}", "dense relu layer_norm f zero", "adam")]
    [InlineData("let a = random.$0", "normal uniform bernoulli", "dense")]
    [InlineData("let a = prim.$0", "add mul dot_general", "dense")]
    [InlineData("layer f(x: [B]) {\n  let w: $0\n}", "f32 i64 bool", "dense x")]
    [InlineData("hyper n: $0", "int float bool string layer schedule init", "dense")]
    [InlineData("layer f(n: int)(x: [B, T, $0]) -> [B] {\n}", "B T n ...", "dense")]
    [InlineData("layer f(x: [B, T]) -> [B, $0] {\n  return x\n}", "B T ...", "dense")]
    [InlineData("layer f(x: [B]) {\n  param w: [3] = zeros(), $0\n}", "frozen no_decay lr_scale", "dense")]
    [InlineData("layer f(x: [B]) {\n  param w: [3] = $0\n}", "zeros normal he_normal", "adam")]
    [InlineData("layer f(x: [B]) {\n  buffer m: [3] = zeros()\n  update $0\n}", "m", "x")]
    [InlineData("import $0", "std.resnet", "dense")]
    [InlineData("import std.$0", "resnet", "dense")]
    [InlineData("import std.resnet ($0)", "basic_block", "dense")]
    [InlineData("layer deep(n: int, norm: layer = relu)(x: [B]) {\n  return x\n}\nmodel M {\n  input x: [B, 2]\n  let a = x |> deep($0)\n}", "n norm", "units")]
    [InlineData("model M {\n  input x: [B, 2]\n  let f = a => {\n    let inner = a\n    $0\n  }\n}", "let return", "input")]
    [InlineData("model M {\n  input x: [B, 2]\n  let f = x |> for i in 0..3 { $0 }\n}", "dense let", "input")]
    [InlineData("model M {\n  input x: [B, 2]\n  let f = (a, b) => a + $0\n}", "a b x", "M")]
    [InlineData("model M {\n  input x: [B, T, 2]\n  let a = lstm(8)(x, $0)\n}", "state lengths x", "units layers")]
    [InlineData("model M {\n  input x: [B, T, 2]\n  let cell = gru(4)\n  let a = cell(x, lengths = 3, $0", "state", "units lengths")]
    [InlineData("model M {\n  input x: [B, T, 2]\n  let attn = attention(2)\n  let a = frozen(attn)\n  let b = a(x, $0", "mask", "heads causal")]
    [InlineData("model M {\n  input x: [B, T, 2]\n  let a = attention(2)(x, mask = $0", "x ones", "heads mask")]
    [InlineData("layer two(n: int)(a: [B, D], b: [B, D]) {\n  return a + b\n}\nmodel M {\n  input x: [B, 2]\n  let a = two(3)(x, $0", "b x", "n a.weight")]
    [InlineData("layer two(n: int)(a: [B, D], b: [B, D]) {\n  return a + b\n}\nmodel M {\n  input x: [B, 2]\n  let f = two(3) |> relu\n  let y = f(x, $0", "b x", "n")]
    [InlineData("layer own(a: [B, D], mask: bool[B] = true) {\n  return a\n}\nmodel M {\n  input x: [B, 2]\n  let y = own(x, $0", "mask x", "units")]
    [InlineData("model M {\n  input x: [B, 2]\n  let y = (x => x)(1)(x, $0", "x relu", "units")]
    public void Completion_knows_its_place(string text, string offered, string not)
    {
        var (file, position, _) = Open(text);
        var labels = file.CompletionsAt(position).Select(c => c.Label).ToArray();
        Assert.Equal(labels.Length, labels.Distinct().Count());
        Assert.All(offered.Split(' '), o => Assert.True(labels.Contains(o), $"{text}\nhas no {o} in {string.Join(' ', labels)}"));
        Assert.All(not.Split(' '), o => Assert.False(labels.Contains(o), $"{text}\noffers {o}"));
    }

    [Theory]
    [InlineData("let na$0me = 1")]
    [InlineData("layer $0")]
    [InlineData("let a = 1 // rel$0")]
    [InlineData("let a = \"rel$0\"")]
    [InlineData("let a = 12$0")]
    public void Nothing_is_offered_where_a_name_is_made_up_or_none_can_stand(string text)
    {
        var (file, position, _) = Open(text);
        Assert.Empty(file.CompletionsAt(position));
    }

    [Fact]
    public void Members_of_layers_are_offered()
    {
        Assert.Equal(["weight", "bias"], Labels("model M {\n  input x: [B, 2]\n  let fc = dense(3)\n  let a = x |> fc\n  output w = fc.$0\n}"));
        Assert.Equal(["weight", "bias", "mean", "var"], Labels("model M {\n  input x: [B, 2]\n  let bn = batch_norm()\n  output w = bn.$0\n}"));
        Assert.Equal(["w", "m", "fc", "dense_0"], Labels("layer l(n: int)(x: [B, D]) {\n  param w: [D] = zeros()\n  buffer m: [D] = zeros()\n  let fc = dense(n)\n  return x |> fc |> dense(D)\n}\nmodel M {\n  input x: [B, 2]\n  let l0 = l(2)\n  output w = l0.$0"));
        Assert.Equal(["dense_0", "dense_1"], Labels("model M {\n  let mlp = dense(3) |> relu |> dense(4)\n  output w = mlp.$0\n}"));
        Assert.Equal(["loss", "accuracy", "main"], Labels(Blocks.Replace("validation.loss", "validation.$0", StringComparison.Ordinal)).Order(StringComparer.Ordinal).OrderBy(l => l == "loss" ? 0 : 1));

        static string[] Labels(string text)
        {
            var (file, position, _) = Open(text);
            return [.. file.CompletionsAt(position).Select(c => c.Label)];
        }
    }

    [Fact]
    public void What_is_offered_replaces_the_name_around_the_cursor()
    {
        var (file, position, marked) = Open("model M {\n  input x: [B, 2]\n  let a = x |> [|lay$0er|]\n}");
        var norm = file.CompletionsAt(position).Single(c => c.Label == "layer_norm");
        Assert.Equal((marked.Span, "layer_norm()", IdeKind.Layer), (norm.Replaced, norm.Insert, norm.Kind));
        Assert.Contains("Ba et al. 2016", norm.Text);
        Assert.Equal("dense", file.CompletionsAt(position).Single(c => c.Label == "dense").Insert);
    }

    [Fact]
    public void Names_of_the_file_come_before_those_of_the_language_the_nearest_first()
    {
        var (file, position, _) = Open("let far = 1\nmodel M {\n  input x: [B, 2]\n  let near = 2\n  let a = $0\n}");
        Assert.Equal(["near", "x", "B", "far"], file.CompletionsAt(position).Take(4).Select(c => c.Label));
    }

    // ---- Hover, definition, references, rename -----------------------------------------------------------------------

    [Theory]
    [InlineData("|> bl$0ock(8)", "layer block(width: int, drop: float = 0.1)(x: [B, D]) -> [B, D]", "A residual block.")]
    [InlineData("let logit = $0h |>", "let h", "A tensor [B, 32].")]
    [InlineData("dropout(dr$0op)", "drop: float = 0.1", "Hyperparameter")]
    [InlineData("|> dro$0pout(", "dropout(rate: float)", "Srivastava")]
    [InlineData("bce_with_log$0its", "bce_with_logits(logits, labels", "Takes logits")]
    [InlineData("early_st$0op", "early_stop on: paths = none", "Ends training")]
    [InlineData("tar$0get y", "target", "What data feed in training")]
    [InlineData("on moo$0ns", "data moons = two_moons(samples = 200)", "Data set")]
    [InlineData("Net(hid$0den = 32", "hidden: int = 16", "Hyperparameter")]
    public void Hover_says_what_a_name_means(string context, string code, string text)
    {
        var (file, position) = In(context);
        var hover = file.HoverAt(position);
        Assert.NotNull(hover);
        Assert.StartsWith(code, hover.Code);
        Assert.Contains(text, hover.Text);
    }

    [Theory]
    [InlineData("layer block([|wi$0dth|]: int)(x: [B, D]) {\n  return x |> dense([|width|])\n}\nmodel M {\n  input x: [B, 2]\n  output y = x |> block([|width|] = 3)\n}")]
    [InlineData("model M {\n  input [|x|]: [B, 2]\n  let a = [|x|] + 1\n  let b = a * [|$0x|]\n  let f = x => x + 1\n}")]
    [InlineData("layer f(x: [[|B|], T]) -> [[|$0B|]] {\n  let y: [[|B|]] = mean(x, axis = 1)\n  return y * [|B|]\n}")]
    [InlineData("let a = 1\nmodel [|M|] {\n  let a = 2\n  output y = a\n}\ndata d = xor()\ntrain [|M$0|]() on d {\n}\ntest \"g\" {\n  assert_gradients([|M|])\n}")]
    [InlineData("data [|d|] = xor()\nmodel M {\n}\ntrain M() on [|d$0|] {\n}")]
    [InlineData("layer f(x: [B]) {\n  buffer [|m|]: [3] = zeros()\n  update [|m|] = [|m$0|] + 1\n  return x\n}")]
    [InlineData("hyper [|n|]: int = 3\nmodel M(w: int = [|n|]) {\n  let l = [dense([|n$0|]) for i in 0..[|n|]]\n}")]
    // Statements that do not parse.
    [InlineData("model M {\n  input [|x|]: [B, 2]\n  let a = [|x$0|] |> dense(\n  let b = [|x|] +\n}")]
    [InlineData("layer f(x: [B], [|k$0|]: [B]) -> [B] {\n  let a = [|k|] + (x\n  return [|k|]\n}")]
    [InlineData("model M {\n  let [|fc$0|] = dense(3) |> relu |\n  output y = [|fc|](")]
    [InlineData("layer f([|n|]: int)(x: [B {\n  return x |> dense([|n$0|])\n}")]
    public void References_are_all_places_of_a_name(string text)
    {
        var (file, position, marked) = Open(text);
        var found = file.ReferencesAt(position).Select(r => r.Span).ToArray();
        Assert.True(found.SequenceEqual(marked.Spans), $"{text}\n\nbut found\n\n{MarkedSource.Show(marked.Source, found)}");
        Assert.Equal(marked.Spans[0], file.DefinitionAt(position));
        Assert.Equal(marked.Spans[0], Assert.Single(file.ReferencesAt(position), r => r.IsDeclaration).Span);
        foreach (var span in marked.Spans)
            Assert.Equal(found, file.ReferencesAt(span.Start).Select(r => r.Span));
    }

    [Fact]
    public void Imported_names_lead_to_their_file()
    {
        var (file, position, _) = Open("import std.resnet (basic_block)\nmodel M {\n  input x: [B, 8, 8, 4]\n  output y = x |> basic$0_block(4)\n}");
        var definition = file.DefinitionAt(position);
        Assert.Equal(("std.resnet", "basic_block"), (definition!.Value.Source.Path, definition.Value.Text));
        Assert.Contains("std.resnet", file.RenameAt(position, "block").Refusal);
        Assert.Equal(2, file.ReferencesAt(position).Length);
    }

    [Fact]
    public void Renaming_changes_every_place()
    {
        var (file, position) = In("|> bl$0ock(8)");
        var renaming = file.RenameAt(position, "unit");
        Assert.Null(renaming.Refusal);
        Assert.Equal(2, renaming.Edits.Length);
        var (file2, position2) = In("let first = den$0se");
        Assert.Contains("belongs to the language", file2.RenameAt(position2, "tense").Refusal);
        var (file3, position3) = In("let fir$0st");
        Assert.Contains("weights files", file3.RenameAt(position3, "start").Note);
        var (file4, position4) = In("input $0x: [B, 2]");
        Assert.Contains("rename new = x", file4.RenameAt(position4, "points").Note);
    }

    [Theory]
    [InlineData("model M {\n  input x: [B, 2]\n  let $0a = x\n  output y = a + x\n}", "x", "mean something else")]
    [InlineData("let $0a = 1\nmodel M {\n  input b: [B, 2]\n  output y = b + a\n}", "b", "mean something else")]
    [InlineData("model M {\n  input x: [B, 2]\n  let $0a = x\n  output y = relu(a)\n}", "relu", "mean something else")]
    [InlineData("let $0a = 1\nlet b = 2", "b", "declared already")]
    [InlineData("let $0a = 1", "let", "is no name")]
    [InlineData("let $0a = 1", "2a", "is no name")]
    [InlineData("let $0a = 1", "a b", "is no name")]
    [InlineData("let a = $01", "b", "no name stands here")]
    public void Renaming_is_refused_where_something_else_would_change(string text, string name, string why)
    {
        var (file, position, _) = Open(text);
        var renaming = file.RenameAt(position, name);
        Assert.Empty(renaming.Edits);
        Assert.Contains(why, renaming.Refusal);
    }

    // ---- The whole file ----------------------------------------------------------------------------------------------

    [Fact]
    public void Diagnostics_are_those_of_the_compiler()
    {
        Assert.Empty(new IdeFile(new SourceText(Blocks)).Diagnostics);
        Assert.Equal(["DNN0100"], new IdeFile(new SourceText(Blocks.Replace("|> fc", "|> fd"))).Diagnostics.Select(d => d.Code));
    }

    [Fact]
    public void The_outline()
    {
        var text = new StringBuilder();
        foreach (var item in new IdeFile(new SourceText(Blocks)).Outline)
        {
            text.Append(CultureInfo.InvariantCulture, $"{item.Kind} {item.Name} {item.Detail}\n");
            foreach (var child in item.Children)
                text.Append(CultureInfo.InvariantCulture, $"  {child.Kind} {child.Name} {child.Detail}\n");
        }

        Golden.Verify(text.ToString());
    }

    [Fact]
    public void The_tokens()
    {
        var text = new StringBuilder();
        foreach (var line in new IdeFile(new SourceText(Blocks)).Tokens.GroupBy(t => t.Span.Source.LineAt(t.Span.Start)))
            text.AppendJoin(' ', line.Select(t => $"{t.Span.Text}:{t.Kind}{(t.IsDeclaration ? "*" : "")}")).Append('\n');
        Golden.Verify(text.ToString());
    }

    [Fact]
    public void Folds()
    {
        var marked = MarkedSource.Parse("""
            [|import std.resnet (basic_block)
            import std.resnet (basic_block as other)|]
            [|// One.
            // Two.|]

            // Three.
            model M [|{
              let a = f[|(
                1,
                2
              )|]
              let b = [1, 2]
            }|]
            """);
        Assert.Equal(marked.Spans, new IdeFile(marked.Source).Folds.Select(f => f.Span));
        Assert.Equal([FoldKind.Imports, FoldKind.Comment, FoldKind.Block, FoldKind.Brackets], new IdeFile(marked.Source).Folds.Select(f => f.Kind));
    }

    [Theory]
    [InlineData("let a = x |> dense($0", "dense(units: int, bias: bool = true, init: init = auto, bias_init: init = zeros())", "units: int")]
    [InlineData("let a = x |> dense(3, $0)", "dense(", "bias: bool = true")]
    [InlineData("let a = x |> dense(3, bias_init = zer$0os())", "dense(", "bias_init: init = zeros()")]
    [InlineData("let a = x |> dense(max([1, 2], $0), bias = false)", "max(", "axis: axis = all")]
    [InlineData("let a = f(g(1), (2, 3), [4, $05])", null, null)]
    [InlineData("let a = dense(3) + $01", null, null)]
    [InlineData("layer f(n: int, m: int = 2)(x: [B]) {\n  return x\n}\nmodel M {\n  let a = f(1, $0\n}", "f(n: int, m: int = 2)", "m: int = 2")]
    [InlineData("let a = random.normal([1, 2], $0)", "random.normal(", "mean: float = 0")]
    [InlineData("train M() on d {\n  optimizer adam(lr = 1, $0)\n}", "adam(", "betas: pair = (0.9, 0.999)")]
    [InlineData("model M {\n  input x: [B, T, 2]\n  let a = lstm(8)(x, $0)\n}", "lstm(x, ", "state: tensors = none")]
    [InlineData("model M {\n  input x: [B, T, 2]\n  let cell = gru(8)\n  let a = cell(x, lengths = $0)\n}", "gru(x, ", "lengths: integers = none")]
    [InlineData("layer two(n: int)(a: [B, D], b: [B, D]) {\n  return a + b\n}\nmodel M {\n  let y = two(3)(1, $0", "two(a: [B, D], b: [B, D])", "b: [B, D]")]
    public void The_signature_of_a_call(string text, string? label, string? active)
    {
        var (file, position, _) = Open(text);
        var signature = file.SignatureAt(position);
        if (label is null)
        {
            Assert.Null(signature);
            return;
        }

        Assert.StartsWith(label, signature!.Label);
        Assert.Equal(active, signature.Parameters[signature.Active].Label);
        Assert.All(signature.Parameters, p => Assert.Equal(p.Label, signature.Label.Substring(p.Start, p.Label.Length)));
    }

    /// <summary>Whatever is typed so far: nothing throws, spans lie in the text, tokens do not overlap, definitions are among references.</summary>
    [Fact]
    public void Every_beginning_and_many_damaged_files_are_answered()
    {
        var random = new Random(5);
        for (var i = 0; i < Blocks.Length; i += 7)
            Check(Blocks[..i], i);
        foreach (var sample in new[] { Blocks, Samples.Everything })
        {
            for (var round = 0; round < 60; round++)
            {
                var at = random.Next(sample.Length);
                var damaged = random.Next(3) switch
                {
                    0 => sample.Remove(at, Math.Min(random.Next(1, 20), sample.Length - at)),
                    1 => sample.Insert(at, "([{)]}|>=,.\"\n"[random.Next(13)].ToString()),
                    _ => sample.Insert(at, sample.Substring(random.Next(sample.Length / 2), 15)),
                };
                Check(damaged, Math.Min(at, damaged.Length));
            }
        }

        static void Check(string text, int position)
        {
            try
            {
                var file = new IdeFile(new SourceText(text));
                Assert.All(file.CompletionsAt(position), c => Assert.True(c.Replaced.Start <= position && position <= c.Replaced.End && c.Label.Length > 0));
                file.HoverAt(position);
                file.SignatureAt(position);
                var references = file.ReferencesAt(position);
                if (references.Length > 0)
                    Assert.Contains(references, r => r.IsDeclaration || file.DefinitionAt(position)!.Value.Source != file.Source);
                var end = 0;
                foreach (var token in file.Tokens)
                {
                    Assert.True(token.Span.Start >= end && token.Span.End <= text.Length);
                    end = token.Span.End;
                }

                Assert.All(file.Folds, f => Assert.True(f.Span.End <= text.Length));
                Assert.All(file.Outline, o => Assert.True(o.Span.End <= text.Length));
            }
            catch (Exception e) when (e is not Xunit.Sdk.XunitException)
            {
                Assert.Fail($"{e}\n\n{text}");
            }
        }
    }

    [Fact]
    public void A_renamed_name_means_the_same_everywhere()
    {
        var file = new IdeFile(new SourceText(Blocks));
        foreach (var token in file.Tokens.Where(t => t.IsDeclaration))
        {
            var renaming = file.RenameAt(token.Span.Start, "fresh_name");
            Assert.True(renaming.Refusal is null, $"{token.Span.Text}: {renaming.Refusal}");
            var text = new StringBuilder(Blocks);
            foreach (var (span, replacement) in renaming.Edits.Reverse())
                text.Remove(span.Start, span.Length).Insert(span.Start, replacement);
            var renamed = new IdeFile(new SourceText(text.ToString()));
            Assert.Equal(file.Tokens.Select(t => t.Kind), renamed.Tokens.Select(t => t.Kind));
        }
    }
}
