using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>How a <c>test</c> block went.</summary>
/// <param name="Title">What it tests.</param>
/// <param name="Span">Where it stands.</param>
/// <param name="Diagnostics">What failed; empty if it passed.</param>
public sealed record TestResult(string Title, TextSpan Span, ImmutableArray<Diagnostic> Diagnostics)
{
    public bool Passed => Diagnostics.IsEmpty;
}

/// <summary>Runs the tests of a file: in f64, by the reference evaluator, in the evaluation phase, with seed 0.</summary>
public static class TestRunner
{
    private const int Shown = 8;

    /// <summary>Runs every test of a file that compiled without errors.</summary>
    /// <param name="file">The file.</param>
    /// <param name="gradients">For <c>assert_gradients</c>: what is wrong with the derivatives of a model, to the order 1 or 2; empty if nothing is.</param>
    public static ImmutableArray<TestResult> Run(CompileResult file, Func<Model, int, IReadOnlyList<string>>? gradients = null) =>
        file.HasErrors ? [] : [.. file.Binding.Tests.Select(t => Run(file.Binding, new Overrides(file.Binding, file.Options.Overrides), t, gradients))];

    private static TestResult Run(Binding binding, Overrides overrides, TestSyntax test, Func<Model, int, IReadOnlyList<string>>? gradients)
    {
        var diagnostics = new List<Diagnostic>();
        var elaborator = new Elaborator(binding, overrides, d => diagnostics.AddRange(d.IsError ? [d] : []), test.Title.Value);
        elaborator.Test(test, new TestChecks((assert, condition, c) => Assert(elaborator, assert, condition, c), gradients));
        return new TestResult(test.Title.Value, test.Title.Span, [.. diagnostics]);
    }

    /// <summary>Elaborates a test without evaluating its tensors.</summary>
    internal static void Check(Binding binding, Overrides overrides, TestSyntax test, Action<Diagnostic> report) =>
        new Elaborator(binding, overrides, report, test.Title.Value).Test(test, null);

    private static void Assert(Elaborator elaborator, AssertSyntax assert, Value condition, Context c)
    {
        var holds = condition is BoolValue { IsPhase: false } known ? known.InTraining : Evaluate(elaborator, elaborator.TensorOf(condition, assert.Condition), assert.Condition).Integers!.All(i => i != 0);
        if (holds)
            return;
        var message = assert.Message is null ? $"this does not hold: {assert.Condition.Span.Text}" : elaborator.TextOf(assert.Message, c);
        var diagnostic = DiagnosticCodes.AssertionFailed.At(assert.Condition.Span, message);
        foreach (var side in Sides(assert.Condition).Where(s => s.Bare is not NumberSyntax))
            diagnostic = diagnostic.WithNote($"{side.Span.Text} = {Show(elaborator, side, c)}");
        throw new DiagnosticException(diagnostic);
    }

    /// <summary>What a failed assertion shows the values of.</summary>
    private static IEnumerable<ExprSyntax> Sides(ExprSyntax condition) => condition.Bare switch
    {
        BinarySyntax { Rest: [var rest] } comparison => [comparison.First, rest.Operand],
        CallSyntax { Callee: NameSyntax { Name.Text: "close" } } call => call.Arguments.Where(a => a.Name is null || a.Name.Value.Text is "a" or "b").Take(2).Select(a => a.Value),
        _ => [],
    };

    private static string Show(Elaborator elaborator, ExprSyntax syntax, Context c)
    {
        var value = elaborator.Eval(syntax, c);
        if (value is not TensorValue and not ListValue)
            return value is FloatValue number ? Printer.Number(number.Number) : value is IntValue whole ? Printer.Number(whole.Number) : value.Describe();
        var result = Evaluate(elaborator, elaborator.TensorOf(value, syntax), syntax);
        var items = Enumerable.Range(0, Math.Min(result.Length, Shown)).Select(i => Printer.Number(result.Reals is { } reals ? reals[i] : result.Integers![i]));
        var text = string.Join(", ", items) + (result.Length > Shown ? ", …" : "");
        return result.Dims.Length == 0 ? text : $"[{text}]{(result.Dims.Length > 1 ? $" of shape [{string.Join(", ", result.Dims)}]" : "")}";
    }

    private static RefValue<double> Evaluate(Elaborator elaborator, Expr expr, ExprSyntax at)
    {
        try
        {
            var root = Phases.Resolve([expr], training: false)[0];
            var variables = new Dictionary<Expr, RefValue<double>>
            {
                [RandomState.Seed] = RefValue<double>.Of([], [0L]),
                [RandomState.Step] = RefValue<double>.Of([], [0L]),
            };
            foreach (var parameter in elaborator.Builder.Parameters)
            {
                if (Initial(parameter.Initializer, parameter.Shape) is { } value)
                    variables[parameter.Variable] = RefValue<double>.Of([.. parameter.Shape.Dims.Select(d => (int)d.Value)], value);
                else if (Expr.PostOrder([root]).Contains(parameter.Variable))
                    throw Elaborator.Error(DiagnosticCodes.NotStatic, at.Span, $"the initial values of `{parameter.Path}` are random, and a test computes with known ones").Note("give an initializer such as constant(0.5), identity() or a list");
            }

            // What a test sees is what a run computes: the stable form.
            return Reference.Evaluate([Rewriter.Stabilize.Rewrite(root)], variables)[0];
        }
        catch (GraphException e)
        {
            throw Elaborator.Error(DiagnosticCodes.InvalidGraph, at.Span, e.Message);
        }
    }

    /// <summary>Initial values that need no random numbers.</summary>
    private static double[]? Initial(Initializer initializer, Shape shape)
    {
        var count = (int)shape.ElementCount.Value;
        switch (initializer)
        {
            case ConstantInitializer constant:
                return [.. Enumerable.Repeat(constant.Value, count)];
            case ListInitializer list:
                return [.. list.Values];
            case IdentityInitializer:
                var (rows, columns) = ((int)shape[^2].Value, (int)shape[^1].Value);
                return [.. Enumerable.Range(0, count).Select(i => (i / columns) % rows == i % columns ? 1.0 : 0.0)];
            case ScaledInitializer scaled:
                return Initial(scaled.Inner, shape)?.Select(v => v * scaled.Factor).ToArray();
            default:
                return null;
        }
    }
}
