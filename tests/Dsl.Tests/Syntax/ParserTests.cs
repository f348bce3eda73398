using Xunit;

namespace Dnn.Dsl.Tests;

public class ParserTests
{
    [Fact]
    public void Samples_parse_without_a_word()
    {
        foreach (string sample in Samples.All)
        {
            foreach (string text in new[] { sample, sample.Replace("\n", "\r\n", StringComparison.Ordinal), "\uFEFF" + sample, sample + "\n\n" })
            {
                var tree = Parser.Parse(new(text));
                Assert.True(tree.Diagnostics.IsEmpty, new DiagnosticFormatter().Format(tree.Diagnostics));
            }
        }
    }

    [Theory]
    // One row a step of the ladder, loosest first, and the associativity of each.
    [InlineData("x => y => x |> f", "(=> x (=> y (|> x f)))")]
    [InlineData("if a then b else c |> f", "(if a b (|> c f))")]
    [InlineData("if a then if b then 1 else 2 else 3", "(if a (if b 1 2) 3)")]
    [InlineData("x |> f |> g", "(|> x f g)")]
    [InlineData("a or b |> f", "(|> (or a b) f)")]
    [InlineData("a and b or c and d", "(or (and a b) (and c d))")]
    [InlineData("a or b or c", "(or (or a b) c)")]
    [InlineData("not a and b", "(and (not a) b)")]
    [InlineData("not not a == b", "(not (not (== a b)))")]
    [InlineData("a + 1 < b * 2", "(< (+ a 1) (* b 2))")]
    [InlineData("a - b + c", "(+ (- a b) c)")]
    [InlineData("a + b * c", "(+ a (* b c))")]
    [InlineData("a * b / c % d", "(% (/ (* a b) c) d)")]
    [InlineData("a * b @ c", "(* a (@ b c))")]
    [InlineData("a @ b @ c", "(@ (@ a b) c)")]
    [InlineData("-a @ -b", "(@ (- a) (- b))")]
    [InlineData("--a", "(- (- a))")]
    [InlineData("-a ** 2", "(- (** a 2))")]
    [InlineData("2 ** -1", "(** 2 (- 1))")]
    [InlineData("2 ** 3 ** 2", "(** 2 (** 3 2))")]
    [InlineData("2 ** -x ** 2", "(** 2 (- (** x 2)))")]
    [InlineData("-x.y[0](1) ** 2", "(- (** (call (index (. x y) 0) 1) 2))")]
    [InlineData("a - -b", "(- a (- b))")]
    [InlineData("(a + b) * c", "(* (paren (+ a b)) c)")]
    // Pipes, lambdas, loops.
    [InlineData("x |> y => y |> f", "(|> x (=> y (|> y f)))")]
    [InlineData("x |> for i in 0..n { f(i) } |> g", "(|> x (for i (.. 0 n) (call f i)) g)")]
    [InlineData("for i in [1, 2] { f }", "(for i [1 2] f)")]
    [InlineData("for (a, _) in xs { let b = a\n f(b) }", "(for (a _) xs (let b a) (call f b))")]
    [InlineData("x |> then(b, at = 100 steps)", "(|> x (call then b at=(steps 100)))")]
    [InlineData("(a, (b, _)) => a", "(=> (a (b _)) a)")]
    [InlineData("((a)) => a", "(=> a a)")]
    [InlineData("f(x => x + 1, y)", "(call f (=> x (+ x 1)) y)")]
    [InlineData("1..2 |> f", null)]
    // Atoms.
    [InlineData("(a,)", "(tuple a)")]
    [InlineData("(a, b,)", "(tuple a b)")]
    [InlineData("[]", "[]")]
    [InlineData("[1, [2],]", "[1 [2]]")]
    [InlineData("[i * 2 for i in 0..n]", "(each (* i 2) i (.. 0 n))")]
    [InlineData("f(a, b = c == d,)", "(call f a b=(== c d))")]
    [InlineData("x[...]", "(index x ...)")]
    [InlineData("x[0, 1:, :2, ::3, 1:2:3, :, None]", "(index x 0 (slice 1 _ _) (slice _ 2 _) (slice _ _ 3) (slice 1 2 3) (slice _ _ _) None)")]
    [InlineData("loss + input * data - test.model", "(- (+ loss (* input data)) (. test model))")]
    // Numbers: percent signs and units.
    [InlineData("f(80%, 20%)", "(call f 80% 20%)")]
    [InlineData("80%", "80%")]
    [InlineData("80%3", "(% 80 3)")]
    [InlineData("80 % 3", "(% 80 3)")]
    [InlineData("80% x", "(% 80 x)")]
    [InlineData("80% (x)", "(% 80 (paren x))")]
    [InlineData("80% * x", "(* 80% x)")]
    [InlineData("(80%\n)", "(paren 80%)")]
    [InlineData("if a then 80% else 20%", "(if a 80% 20%)")]
    [InlineData("50 steps + 1 epoch", "(+ (steps 50) (epochs 1))")]
    [InlineData("steps + epochs", "(+ steps epochs)")]
    [InlineData("0..3", null)]
    [InlineData("1e-3 + 1.5E+3 + 1.0", "(+ (+ 0.001 1500.0) 1.0)")]
    [InlineData("\"a\\n\\\"\\u{1F600}\"", "\"a\\n\\\"😀\"")]
    public void Expressions_group_as_the_reference_says(string text, string? expected)
    {
        var (expression, diagnostics) = Parser.ParseExpression(new(text));
        Assert.Equal(expected, diagnostics.Count == 0 ? SyntaxPrinter.Print(expression!) : null);
    }

    [Theory]
    // A newline ends a statement …
    [InlineData("let a = b\nlet c = d", "(let a b)\n(let c d)\n")]
    [InlineData("let a = b // c\n\n\n// d\nlet c = d", "(let a b)\n(let c d)\n")]
    [InlineData("let a = 80%\nlet c = d", "(let a 80%)\n(let c d)\n")]
    // … except in parentheses and square brackets …
    [InlineData("let a = (b\n- c\n)", "(let a (paren (- b c)))\n")]
    [InlineData("let a = [\nb\n,\n- c]", "(let a [b (- c)])\n")]
    [InlineData("let a = f\n(b)", null)]
    // … in which braces restore it …
    [InlineData("let a = f((b) => {\nlet c = b\nreturn c\n})", "(let a (call f (=> b\n  (let c b)\n  (return c))))\n")]
    [InlineData("let a = (for i in 0..2 { let b = i\nb })", "(let a (paren (for i (.. 0 2) (let b i) b)))\n")]
    // … after what needs more …
    [InlineData("let a =\nb", "(let a b)\n")]
    [InlineData("let a = b =>\nc", "(let a (=> b c))\n")]
    [InlineData("let a:\nint\n= b", null)]
    [InlineData("let a:\nint = b", "(let a : int b)\n")]
    [InlineData("layer f(x: [B]) ->\n[B] {\n}", "(layer f ((x [B])) -> [B])\n")]
    [InlineData("let a = b |>\nc", "(let a (|> b c))\n")]
    [InlineData("let a = if b then\nc else\nd", "(let a (if b c d))\n")]
    [InlineData("let a = for i in\n0..2 { b }", "(let a (for i (.. 0 2) b))\n")]
    [InlineData("let a = b and\nc or\nnot\nd", "(let a (or (and b c) (not d)))\n")]
    [InlineData("let a = b +\nc -\nd *\ne /\nf %\ng @\nh **\ni", "(let a (- (+ b c) (% (/ (* d e) f) (@ g (** h i)))))\n")]
    [InlineData("let a = b ==\nc", "(let a (== b c))\n")]
    [InlineData("train M() on d { early_stop on = a,\npatience = 5 }", "(train (call M) on d\n  (early_stop on=a patience=5))\n")]
    // … and before what continues.
    [InlineData("let a = b\n|> c\n// d\n|> e", "(let a (|> b c e))\n")]
    [InlineData("let a = b\n+ c\n* d\n/ e\n% f\n@ g\n** h", "(let a (+ b (% (/ (* c d) e) (@ f (** g h)))))\n")]
    [InlineData("let a = b\n<= c", "(let a (<= b c))\n")]
    [InlineData("let a = b\n- c", null)]
    [InlineData("let a = if b\nthen c\nelse d", "(let a (if b c d))\n")]
    [InlineData("let a = b\nor c\nand d", "(let a (or b (and c d)))\n")]
    [InlineData("layer f(x: [B])\n-> [B] {\n}", "(layer f ((x [B])) -> [B])\n")]
    [InlineData("model M {\nloss a\nas b\n}", "(model M\n  (loss a as b))\n")]
    [InlineData("layer f(x: [B]) {\n}\ngradient (a, b) {\n}", "(layer f ((x [B])) (gradient (a b)))\n")]
    [InlineData("import std.a (data as d,\nmodel as m)", "(import std.a data:d model:m)\n")]
    public void Newlines_count_as_the_reference_says(string text, string? expected)
    {
        foreach (string ending in new[] { "\n", "\r\n", "\r" })
        {
            var tree = Parser.Parse(new(text.Replace("\n", ending, StringComparison.Ordinal)));
            Assert.Equal(expected, tree.Diagnostics.IsEmpty ? SyntaxPrinter.Print(tree.Root) : null);
        }
    }

    [Theory]
    [InlineData("int", "int")]
    [InlineData("[int]", "(list int)")]
    [InlineData("[[float]]", "(list (list float))")]
    [InlineData("[(int, string)]", "(list (tuple int string))")]
    [InlineData("(layer, init)", "(tuple layer init)")]
    [InlineData("[]", "[]")]
    [InlineData("[..., T, 3 * (D - 1)]", "[... T (* 3 (paren (- D 1)))]")]
    [InlineData("[(B + 1) * 2]", "[(* (paren (+ B 1)) 2)]")]
    [InlineData("i64[B]", "i64[B]")]
    [InlineData("([B, D], bool[B])", "(tuple [B D] bool[B])")]
    public void Types_are_told_apart(string type, string expected)
    {
        var tree = Parser.Parse(new($"let a: {type} = b"));
        Assert.Empty(tree.Diagnostics);
        Assert.Equal(expected, SyntaxPrinter.Print(Assert.IsType<LetSyntax>(Assert.Single(tree.Root.Declarations)).Type!));
    }

    [Fact]
    public void Every_construct_has_its_node() => Assert.Equal(
        """
        (import "blocks/resnet.dnn" basic_block stem:head)
        (import std.resnet bottleneck)
        (hyper depth int 4 (.. 1 12))
        (hyper act layer gelu)
        (hyper sizes (list int) [1 2 3])
        (hyper pair (tuple int int) (tuple 1 2))
        (let eps 1E-05)
        (layer swish ((x [...])) -> [...]
          (return (* x (call sigmoid x))))
        (layer block ((heads int) (drop float = 0.1)) ((x [B T D]) (mask bool[B T] = none)) -> (tuple [B T (* 3 D)] [B H (/ D H)])
          (param w [D (* 3 D)] (call normal 0.02) frozen lr_scale=0.1)
          (param v "a.path[3]" [D] (call zeros))
          (buffer m [D] (call zeros))
          (update m (+ (* 0.9 m) (* 0.1 (call mean x axis=0))))
          (require (== (% D heads) 0) "heads must divide D")
          (let (a (b _)) (call split x 2))
          (let h : [B T D] (|> x (for i (.. 0 depth) (let rate (/ (* drop i) depth)) (call residual (call chain (call layer_norm) (call dense D) (=> (p q)
            (let c (@ p q))
            (return c)) (call dropout rate))))))
          (let y (|> (tuple h a) (call attention heads=8 mask=mask) (paren (if training relu (=> t (** t 2)))) (call then b at=(steps 100))))
          (let z (+ (index x ... (- 1)) (index (index (index x (slice _ _ _) (slice _ _ 2)) 0 None (slice 1 _ _)) (slice 0 (- 1) 2) (slice _ _ _))))
          (let s (+ (+ (each (** i 2) i (.. 0 depth)) []) [1]))
          (return (tuple y z)) (gradient (x y dy)
          (return (* dy (paren (> y 0))))))
        (model M
          (input image f32[B 28 28 1])
          (target label int[B])
          (output logits (|> image (call (. d with) weight=w2)))
          (loss (call cross_entropy logits label) as main)
          (loss (* 0.1 (call l2 (call params))))
          (metric accuracy (call mean (== (call argmax logits) label))))
        (data moons (call csv "x.csv" label="y")
          (split train=80% validation=20%)
          (split test=(call idx "a" "b"))
          (normalize)
          (one_hot label)
          (augment flip (call crop 4) (call noise 0.1))
          (rename new=old))
        (test "all"
          (assert (call close z [1 2]) "close")
          (assert (call assert_shape x [2 3]))
          (assert_error "DNN0301"
            (let y (+ x [1 2 3])))
          (assert (call assert_gradients (call M width=2) order=2)))
        (train gan (call M) on moons
          (optimizer (call adam lr=0.0001 betas=(tuple 0 0.9)) on D minimize critic_loss)
          (optimizer (call adam lr=0.0001 betas=(tuple 0 0.9)) on G minimize generator_loss every (steps 5))
          (start_from "pretrained.safetensors" only "encoder.*" (rename "backbone." "encoder."))
          (freeze encoder)
          (checkpoint every=(epochs 2))
          (early_stop on=(. validation loss) patience=5)
          (accumulate (* (paren (+ 2 2)) 2))
          (weight_decay_on all)
          (shuffle))

        """,
        SyntaxPrinter.Print(Parser.Parse(new(Samples.Everything)).Root));

    [Fact]
    public void Nodes_know_their_text_and_documentation()
    {
        var source = new SourceText("\uFEFF/// One\r\n///  two\r\nlet a = b + f(c)  // rest\n\n/// not this\n\nlet d = \"x\\ty z\"");
        var tree = Parser.Parse(source);
        var a = (LetSyntax)tree.Root.Declarations[0];
        Assert.Equal("let a = b + f(c)", a.Span.Text);
        Assert.Equal("f(c)", ((BinarySyntax)a.Value).Rest[0].Operand.Span.Text);
        Assert.Equal("+", ((BinarySyntax)a.Value).Rest[0].OperatorSpan.Text);
        Assert.Equal("One\ntwo", a.Documentation);
        Assert.Null(tree.Root.Declarations[1].Documentation);
        var text = (StringSyntax)((LetSyntax)tree.Root.Declarations[1]).Value;
        Assert.Equal("y z", text.SpanOf(2, 3).Text);
        Assert.Equal("\\t", text.SpanOf(1, 1).Text);
    }

    [Fact]
    public void Nodes_lie_within_their_parents()
    {
        foreach (string sample in Samples.All)
        {
            var tree = Parser.Parse(new(sample));
            Assert.All(tree.Root.Declarations, d => Assert.InRange(d.Span.End, d.Span.Start + 1, sample.Length));
            Assert.All(tree.Root.Declarations.Zip(tree.Root.Declarations.Skip(1)), p => Assert.True(p.First.Span.End <= p.Second.Span.Start));
        }
    }

    [Theory]
    [InlineData("(", "1", ")")]
    [InlineData("[", "1", "]")]
    [InlineData("(", "", "")]
    [InlineData("[", "", "")]
    [InlineData("{", "", "")]
    [InlineData("-", "1", "")]
    [InlineData("not ", "a", "")]
    [InlineData("a => ", "a", "")]
    [InlineData("a => { return ", "a", " }")]
    [InlineData("a => {", "", "")]
    [InlineData("for i in 0..2 { ", "a", " }")]
    [InlineData("if a then ", "b", "")]
    [InlineData("if a then b else ", "c", "")]
    [InlineData("x |> if a then b else ", "c", "")]
    [InlineData("f(a, b = ", "c", ")")]
    [InlineData("x[1, ", "0", "]")]
    [InlineData("2 ** ", "2", "")]
    [InlineData("(a, ", "b", ") => c")]
    [InlineData("", "f", "(1)")]
    [InlineData("", "f", ".a[0]")]
    public void Deep_nesting_is_a_diagnostic(string open, string middle, string close)
    {
        string text = "let a = " + Repeat(open, 20_000) + middle + Repeat(close, 20_000) + "\nlet b = 1";
        var found = Parser.Parse(new(text)).Diagnostics;
        Assert.Contains(found, d => d.Code == "DNN0030" || d.Code == "DNN0020");
        Assert.InRange(found.Length, 1, 3);
        Assert.NotEmpty(new DiagnosticFormatter().Format(found));
    }

    [Theory]
    [InlineData("(")]
    [InlineData("[")]
    public void Deep_types_and_patterns_are_a_diagnostic(string open)
    {
        Assert.Contains(Parser.Parse(new($"let a: {Repeat(open, 20_000)}")).Diagnostics, d => d.Code == "DNN0030");
        Assert.NotEmpty(Parser.Parse(new($"let {Repeat(open, 20_000)} = 1")).Diagnostics);
    }

    [Fact]
    public void What_may_nest_fits_the_smallest_stack()
    {
        const int levels = Parser.MaxDepth / 2 - 5;
        string text = Repeat("if (", levels) + "1" + Repeat(") then [f(2)] else x[3]", levels);
        Exception? thrown = null;
        var thread = new Thread(
            () => thrown = Record.Exception(() => Assert.NotEmpty(SyntaxPrinter.Print(Parser.ParseExpression(new(text)).Expression!))),
            1024 * 1024);
        thread.Start();
        thread.Join();
        Assert.Null(thrown);
    }

    [Fact]
    public void Long_flat_sequences_are_flat()
    {
        Assert.Equal(100_000, Parser.Parse(new(Repeat("let a = 1\n", 100_000))).Root.Declarations.Length);
        Assert.Equal(100_000, ((BinarySyntax)Value("1" + Repeat(" + 1", 100_000))).Rest.Length);
        Assert.Equal(10_000, ((PipeSyntax)Value("x" + Repeat("\n|> dense(3)", 10_000))).Stages.Length);
        Assert.Equal(100_000, ((ListSyntax)Value("[" + Repeat("1,", 100_000) + "]")).Items.Length);
        Assert.Equal(600_000, SyntaxPrinter.Print(Value("1" + Repeat(" - 1", 100_000))).Length - 1);

        static ExprSyntax Value(string text)
        {
            var (value, diagnostics) = Parser.ParseExpression(new(text));
            Assert.Empty(diagnostics);
            return value!;
        }
    }

    private static string Repeat(string text, int count) => string.Concat(Enumerable.Repeat(text, count));
}
