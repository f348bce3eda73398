using Dnn.Graph;
using Dnn.Testing;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Sizes and types, sentence by sentence of the section Types of the reference.</summary>
public class SizeTests
{
    /// <summary>The shape of an expression of <c>x: [B, T, 6]</c>, <c>n: int[B, T]</c>, <c>p: bool[B, T]</c>.</summary>
    private static string TypeOf(string expression, string declarations = "") =>
        Compile.Model($"{declarations}\nmodel M {{\n  input x: [B, T, 6]\n  input n: int[B, T]\n  input p: bool[B, T]\n  output out = {expression}\n}}\n").Outputs[0].Value.Type.ToString();

    /// <summary>The codes that a text is told, errors and warnings.</summary>
    private static string Codes(string statements, string declarations = "") =>
        string.Join(' ', Compile.Diagnostics(new SourceText($"{declarations}\nmodel M {{\n  input x: [B, T, 6]\n  input n: int[B, T]\n  input p: bool[B, T]\n{statements}\n  output out = x\n}}\n")).Select(d => d.Code));

    [Theory]
    [InlineData("[B, T, 6]", "")]
    [InlineData("[B, T, C]", "")]
    [InlineData("[B, T, 3*C]", "")]
    [InlineData("[B, T, C*3]", "")]
    [InlineData("[B, T, C + 2]", "")]
    [InlineData("[B, T, 8 - C]", "")]
    [InlineData("[B, T, 2*C - 4]", "")]
    [InlineData("[B, T, C/2]", "")]
    [InlineData("[B, T, 4*C]", "DNN0302")]
    [InlineData("[B, T, 7 + C]", "DNN0302")]
    [InlineData("[B, T, 5]", "DNN0302")]
    [InlineData("[B, T]", "DNN0302")]
    public void A_dimension_is_a_number_a_name_or_arithmetic(string type, string codes) => Assert.Equal(codes, Codes($"  let h: {type} = x"));

    [Theory]
    [InlineData(3, "")]
    [InlineData(4, "DNN0319")]
    public void A_quotient_asks_that_it_is_whole_and_says_so_if_not(int heads, string codes) =>
        Assert.Equal(codes, Codes($"  let y = x |> heads({heads})", "layer heads(n: int)(x: [B, T, D]) -> [B, T, n, D/n] { return x[:, :, None, :floor_div(D, n)] + zeros([n, 1]) }"));

    [Theory]
    [InlineData("same(x, 2 * x)", "")]
    [InlineData("same(x[0], x[1])", "")]
    [InlineData("same(x, x[0])", "DNN0302")]
    [InlineData("same(x, x[:, :, :5])", "DNN0302")]
    [InlineData("same(x, concat([x, x], axis = 1))", "DNN0302")]
    [InlineData("lose(x)", "DNN0302")]
    public void Dots_are_any_leading_dimensions_the_same_ones_wherever_they_stand_in_one_signature(string call, string codes) =>
        Assert.Equal(codes, Codes($"  let y = {call}", "layer same(a: [..., D], b: [..., D]) -> [..., D] { return a }\nlayer lose(a: [..., D]) -> [..., D] { return a[0] }"));

    [Fact]
    public void Dots_of_two_signatures_are_apart() =>
        Assert.Equal("[B, T, 3]", TypeOf("x |> a |> b", "layer a(x: [..., D]) -> [..., 3] { return x[..., :3] }\nlayer b(x: [B, ...]) -> [B, ...] { return x }"));

    [Theory]
    [InlineData("x |> f(6)", "")]
    [InlineData("x |> f(5)", "DNN0302")]
    public void A_name_of_the_own_hyper_list_constrains(string call, string codes) => Assert.Equal(codes, Codes($"  let y = {call}", "layer f(D: int)(x: [B, T, D]) { return x }"));

    [Fact]
    public void Any_other_name_binds_at_each_application()
    {
        const string Layer = "layer width(x: [..., D]) { return x * D }";
        Assert.Equal(Compile.Graph(Compile.Body("", "sum(x * 8) + sum(x[:, :3] * 3)")), Compile.Graph(Compile.Body("let w = width", "sum(w(x)) + sum(w(x[:, :3]))", Layer)));
    }

    [Fact]
    public void Unification_waits_for_sizes_that_other_axes_bind() =>
        Assert.Equal("[12]", TypeOf("f(x[0], x[0, 0])", "layer f(a: [T, D*E], b: [D]) -> [2*D*E] { return concat([b, b]) }"));

    [Theory]
    [InlineData("  let h: [B, T, C] = x\n  let y = zeros([C]) + x", "")]
    [InlineData("  let h: [B, T, C] = x\n  let y: [C, C] = zeros([6, 6])", "")]
    [InlineData("  let h: [B, T, C] = x\n  let y: [C] = zeros([5])", "DNN0302")]
    [InlineData("  let y = zeros([C])", "DNN0100")]
    public void New_names_of_an_ascription_bind(string statements, string codes) => Assert.Equal(codes, Codes(statements));

    [Fact]
    public void New_names_of_a_result_type_are_inferred() =>
        Assert.Equal("[B, T - 1, 6]", TypeOf("f(x)", "layer f(x: [B, T, D]) -> [B, Less, D] { return x[:, 1:] }"));

    [Fact]
    public void Names_of_dimensions_are_int_values_in_the_body_possibly_symbolic()
    {
        const string Layer = "layer f(x: [B, T, D]) {\n  let known = D % 4 == 2 and floor_div(D, 2) == 3 and len([i for i in 0..D]) == 6\n  require known\n  return x * D / T\n}";
        Assert.Equal(Compile.Graph(Compile.Model("model M {\n  input x: [B, T, 6]\n  output y = x * 6 / prim.size(of = [T])\n}")),
            Compile.Graph(Compile.Model(Layer + "\nmodel M {\n  input x: [B, T, 6]\n  output y = f(x)\n}")));
        Assert.Equal("DNN0304", Codes("  let y = x |> for i in 0..T { relu }"));
    }

    [Theory]
    [InlineData("[B, T, 6]", "x", Answer.Proved)]
    [InlineData("[B, T + T, 6]", "concat([x, x], axis = 1)", Answer.Proved)]
    [InlineData("[B, 2*T, 6]", "concat([x, x], axis = 1)", Answer.Proved)]
    [InlineData("[B, ceil_div(T, 2), 6]", "x[:, ::2]", Answer.Proved)]
    [InlineData("[B*T, 6]", "reshape(x, [-1, 6])", Answer.Proved)]
    [InlineData("[B, T + 1, 6]", "x", Answer.Refuted)]
    [InlineData("[B, T, 7]", "x", Answer.Refuted)]
    [InlineData("[T, B, 6]", "x", Answer.Unknown)]
    [InlineData("[B, 5, 6]", "x", Answer.Unknown)]
    public void Checking_proves_refutes_or_leaves_a_check_for_run_time(string type, string value, Answer answer)
    {
        var result = Compiler.Compile(new SourceText($"model M {{\n  input x: [B, T, 6]\n  let h: {type} = {value}\n  output y = h\n}}\n"));
        Assert.Equal(answer == Answer.Refuted, result.HasErrors);
        Assert.Equal(answer == Answer.Unknown, result.Model is { Checks.IsEmpty: false });
    }

    [Theory]
    [InlineData("x + x[0]", "[B, T, 6]")]
    [InlineData("x + x[:, :, :1]", "[B, T, 6]")]
    [InlineData("x[:, :1] + x[:1]", "[B, T, 6]")]
    [InlineData("x * [1, 2, 3, 4, 5, 6]", "[B, T, 6]")]
    [InlineData("x + 1", "[B, T, 6]")]
    public void Broadcasting_is_trailing_aligned_with_1_and_missing_axes_stretching(string expression, string type)
    {
        Assert.Equal(type, TypeOf(expression));
        Assert.Equal("DNN0301", Codes("  let y = x + [1, 2, 3]"));
    }

    [Fact]
    public void Nothing_that_is_shipped_lets_sizes_of_different_names_meet()
    {
        var files = Directory.GetFiles(RepoRoot.Combine("examples"), "*.dnn", SearchOption.AllDirectories)
            .Concat(Directory.GetFiles(RepoRoot.Combine("src", "Dsl", "Std"), "*.dnn")).Concat(Directory.GetFiles(RepoRoot.Combine("src", "Cli", "Templates"), "*.dnn")).ToArray();
        Assert.True(files.Length > 20);
        foreach (var file in files)
            Assert.DoesNotContain(Compiler.Compile(file).Diagnostics, d => d.Descriptor == DiagnosticCodes.AccidentalMeeting);
    }

    [Theory]
    [InlineData("mse(x[..., :1], x[..., 0])")]
    [InlineData("mse(x, x[..., :1])")]
    [InlineData("mae(x, 0.0 * x[0])")]
    [InlineData("bce_with_logits(x[..., :1], x[..., 0])")]
    [InlineData("huber(x, 1.0)")]
    public void Losses_never_broadcast_prediction_against_target(string loss) => Assert.Equal("DNN0301", Codes($"  loss {loss}"));

    [Theory]
    [InlineData("n + 1", "i64[B, T]")]
    [InlineData("1 + n", "i64[B, T]")]
    [InlineData("n + 1.5", "[B, T]")]
    [InlineData("x + 1", "[B, T, 6]")]
    public void Literals_take_the_other_operands_type_and_a_float_literal_lifts_i64(string expression, string type) => Assert.Equal(type, TypeOf(expression));

    [Theory]
    [InlineData("p + p", "[B, T]")]
    [InlineData("2 * p", "[B, T]")]
    [InlineData("sum(p)", "[]")]
    [InlineData("mean(p)", "[]")]
    [InlineData("n * x[..., 0]", "[B, T]")]
    [InlineData("n / n", "[B, T]")]
    [InlineData("n / 2", "[B, T]")]
    [InlineData("mean(n)", "[]")]
    [InlineData("n * n - n", "i64[B, T]")]
    [InlineData("sum(n)", "i64[]")]
    [InlineData("n % 2", "i64[B, T]")]
    public void Bools_count_as_floats_and_whole_numbers_stay_whole_but_under_division_and_mean(string expression, string type) => Assert.Equal(type, TypeOf(expression));

    [Fact]
    public void And_or_not_work_by_element_on_bools()
    {
        Assert.Equal("bool[B, T]", TypeOf("p and not p or n > 3"));
        Compile.Holds("  assert all(([1, 0, 1] == 1 and [1, 1, 0] == 1) == [true, false, false])\n  assert all((not ([1, 0] == 1)) == [false, true])");
        Assert.Equal("DNN0303", Codes("  let y = n and p"));
    }

    [Theory]
    [InlineData("relu([[1, -2], [3, 4]])", "[2, 2]")]
    [InlineData("sum([true, false])", "[]")]
    [InlineData("x * 2", "[B, T, 6]")]
    [InlineData("where(true, x, 0)", "[B, T, 6]")]
    public void Static_numbers_bools_and_rectangular_lists_are_accepted_where_tensors_are(string expression, string type)
    {
        Assert.Equal(type, TypeOf(expression));
        Assert.Equal("DNN0300", Codes("  let y = relu([[1, 2], [3]])"));
    }

    [Theory]
    [InlineData("sqrt(16) == 4")]
    [InlineData("7 / 2 == 3.5")]
    [InlineData("floor_div(7, 2) == 3 and ceil_div(7, 2) == 4 and 7 % 2 == 1 and -7 % 2 == 1")]
    [InlineData("floor_div(-7, 2) == -4 and ceil_div(-7, 2) == -3")]
    [InlineData("maximum(2, 3) == 3 and exp(0) == 1")]
    public void Functions_and_operators_of_static_scalars_are_static(string condition) =>
        Assert.Equal("", Codes($"  let y = x |> (if {condition} then relu else tanh)"));

    [Theory]
    [InlineData("6 / 2", "")]
    [InlineData("sqrt(9)", "")]
    [InlineData("7 / 2", "DNN0305")]
    [InlineData("0.5", "DNN0305")]
    public void Where_an_int_is_expected_a_whole_value_is_accepted_and_a_fraction_is_an_error(string value, string codes) => Assert.Equal(codes, Codes($"  let y = x |> dense({value})"));

    [Theory]
    [InlineData("[B, 2]", "[B, 2]")]
    [InlineData("f32[B, 2]", "f32[B, 2]")]
    [InlineData("f64[B]", "f64[B]")]
    [InlineData("i64[B]", "i64[B]")]
    [InlineData("int[B, T]", "i64[B, T]")]
    [InlineData("bool[B]", "bool[B]")]
    [InlineData("float[B]", "[B]")]
    [InlineData("[]", "[]")]
    public void A_tensor_is_of_the_runs_float_type_or_of_an_element_type(string type, string expected) =>
        Assert.Equal(expected, Compile.Model($"model M {{\n  input x: {type}\n  output y = x\n}}").Outputs[0].Value.Type.ToString());

    [Theory]
    [InlineData("reshape(x, [B, T, 2, -1])", "[B, T, 2, 3]")]
    [InlineData("reshape(x, [-1, 4])", "[B*T + floor_div(B*T, 2), 4]")]
    public void A_reshape_finds_the_size_that_is_left(string expression, string type) => Assert.Equal(type, TypeOf(expression));

    [Fact]
    public void A_reshape_that_cannot_be_is_an_error() => Assert.Equal("DNN0301", Codes("  let y = reshape(x, [B, T, 4, -1])"));

    [Fact]
    public void Results_may_be_tuples()
    {
        const string Layer = "layer f(x: [B, T, D]) -> ([B, D], [B]) { return (x[:, 0], x[:, 0, 0]) }";
        Assert.Equal("[B]", TypeOf("(x |> f |> ((a, b) => b))", Layer));
        Assert.Equal("DNN0302", Codes("  let (a, b) = f(x)", Layer.Replace("x[:, 0, 0]", "x[:, 0]", StringComparison.Ordinal)));
        Assert.Equal("DNN0302", Codes("  let a = f(x)", Layer.Replace("(x[:, 0], x[:, 0, 0])", "x[:, 0]", StringComparison.Ordinal)));
    }

    [Fact]
    public void Static_types_are_those_of_the_reference()
    {
        const string Hypers = "layer f(a: int = 2 / 1, b: float = 1, c: bool = true, d: string = \"x\", e: init = zeros(), g: layer = relu, h: schedule = cosine(0.1), i: [int] = [1, 2], j: (int, float) = (1, 0.5))(x: [...]) { return x |> g }";
        Assert.Equal("", Codes("  let y = x |> f()", Hypers));
        foreach (var argument in new[] { "a = 1.5", "b = \"x\"", "c = 1", "d = 1", "e = \"x\"", "g = 3", "h = \"x\"", "i = 1", "i = [1.5]", "j = (1, 2, 3)", "j = (0.5, 1)" })
            Assert.True(Codes($"  let y = x |> f({argument})", Hypers) is "DNN0300" or "DNN0305", argument);
    }
}
