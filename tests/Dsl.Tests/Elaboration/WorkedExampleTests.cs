using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Test blocks, on examples whose values are known.</summary>
public class WorkedExampleTests
{
    [Fact]
    public void A_network_by_hand() => Compile.Holds("""
        let x = [1, -2]
        let z = [[1, 1], [-1, 2], [0, -1]] @ x + [0, 1, -1]
        let h = relu(z)
        let logit = [2, -1, 1] @ h + 0
        assert close(z, [-1, -4, 1])
        assert close(h, [0, 0, 1])
        assert logit == 1
        assert close(sigmoid(logit), 0.7310585786300049, 1e-12)
        """);

    [Fact]
    public void The_derivative_of_a_product_along_depth() => Compile.Holds("""
        let h0 = 1.0
        let hl = h0 |> repeat(10, h => 0.9 * h)
        assert close(grad(hl, h0), 0.9 ** 10, 1e-12)
        assert close(grad(hl, h0), 0.3487, 1e-4)
        """);

    [Fact]
    public void Log_sum_exp_does_not_overflow() => Compile.Holds("assert close(logsumexp([1000, 1000]), 1000.6931471805599, 1e-12)");

    [Fact]
    public void Derivatives_nest_to_any_order() => Compile.Holds("""
        let x = 0.5
        let d1 = grad(tanh(x), x)
        let d2 = grad(d1, x)
        let d3 = grad(d2, x)
        let t = tanh(0.5)
        assert close(d1, 1 - t ** 2, 1e-12)
        assert close(d2, -2 * t * (1 - t ** 2), 1e-12)
        assert close(d3, (1 - t ** 2) * (6 * t ** 2 - 2), 1e-12)
        """);

    [Fact]
    public void Forward_and_reverse_products_and_Hessians() => Compile.Holds("""
        let x = [1.0, 2.0, 3.0]
        let v = [1.0, 0.0, 2.0]
        let y = x ** 3
        assert close(jvp(y, x, v), [3, 0, 54])
        assert close(vjp(y, x, v), [3, 0, 54])
        assert close(hvp(sum(y), x, v), [6, 0, 36])
        let (value, gradient) = value_and_grad(sum(y), x)
        assert close(value, 36)
        assert close(gradient, [3, 12, 27])
        let (gx, gv) = grad(sum(x * v), (x, v))
        assert close(gx, v) and close(gv, x)
        assert close(grad(sum(v), x, unused = zeros), [0, 0, 0])
        """);

    [Fact]
    public void Equal_numbers_elsewhere_are_not_differentiated() => Compile.Holds("""
        let x = 0.5
        assert close(grad(0.5 * x * x, x), 0.5)
        """);

    [Fact]
    public void Factorization_saves_parameters()
    {
        Assert.Equal(10_000, Compile.Model("model M {\n  input x: [B, 100]\n  output y = x |> dense(100, bias = false)\n}").ParameterCount);
        Assert.Equal(400, Compile.Model("model M {\n  input x: [B, 100]\n  output y = x |> dense(2, bias = false) |> dense(100, bias = false)\n}").ParameterCount);
        Assert.Equal(307_200, Compile.Model("model M {\n  input x: [B, 32, 32, 3]\n  output y = x |> flatten |> dense(100, bias = false)\n}").ParameterCount);
    }

    [Fact]
    public void Layers_with_known_initial_values_run_in_tests() => Compile.Holds("""
        let x = [[1.0, -2.0]]
        assert close(x |> dense(2, init = identity(), bias_init = 3), [[4, 1]])
        assert close(x |> dropout(0.5), x)
        assert close(double(x), [[2, -4]])
        """, "layer double(x: [...]) -> [...] {\n  param two: [] = 2\n  return two * x\n}");

    [Theory]
    [InlineData("assert 1 + 1 == 3", "1 + 1 = 2")]
    [InlineData("let x = [1.0, 2.0]\nassert close(2 * x, x)", "2 * x = [2, 4]")]
    [InlineData("let x = [1.0, 2.0]\nassert sum(x) > 4", "sum(x) = 3")]
    [InlineData("let x = 3\nassert x == 4, \"x is four\"", "x = 3")]
    public void A_failed_assertion_shows_its_sides(string statements, string note)
    {
        var result = Compile.Fine($"test \"it\" {{\n{statements}\n}}\ntest \"other\" {{\n  assert true\n}}");
        var results = TestRunner.Run(result);
        Assert.Equal([false, true], results.Select(r => r.Passed));
        Assert.Contains(note, Assert.Single(results[0].Diagnostics).Notes);
    }

    [Fact]
    public void All_assertions_of_a_test_are_checked()
    {
        var result = Compile.Fine("test \"it\" {\n  assert 1 == 2\n  assert 2 == 2\n  assert 3 == 2\n}");
        Assert.Equal(2, TestRunner.Run(result)[0].Diagnostics.Length);
    }
}
