using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>What runs the assertions of a test; without, their types are checked only.</summary>
/// <param name="Assert">Checks the value of an <c>assert</c>.</param>
/// <param name="Gradients">What is wrong with the derivatives of a model, to an order.</param>
internal sealed record TestChecks(Action<AssertSyntax, Value, Context> Assert, Func<Model, int, IReadOnlyList<string>>? Gradients);

/// <summary><c>test</c> blocks.</summary>
internal sealed partial class Elaborator
{
    /// <summary>Runs the statements of a test; every assertion that fails is reported.</summary>
    public void Test(TestSyntax test, TestChecks? checks)
    {
        using var entered = builder.Enter();
        TestStatements(test.Body, new Context(new Env(null) { SizeNames = new SizeNames() }, new Frame(""), Place.Root, null), checks);
    }

    private void TestStatements(BlockSyntax block, Context c, TestChecks? checks)
    {
        foreach (var statement in block.Statements)
        {
            if (Try(() => TestStatement(statement, c, checks)))
                continue;
            foreach (var symbol in Introduced(statement))
                c.Env.Set(symbol, ErrorValue.Instance);
        }
    }

    private void TestStatement(StatementSyntax statement, Context c, TestChecks? checks)
    {
        switch (statement)
        {
            case AssertSyntax assert:
                var condition = Eval(assert.Condition, c);
                if (condition is BoolValue || Condition(condition, assert.Condition, "assert").DType == DType.Bool)
                    checks?.Assert(assert, condition, c);
                break;
            case AssertCallSyntax { Word: "assert_shape" } shape:
                AssertShape(shape, c);
                break;
            case AssertCallSyntax gradients:
                AssertGradients(gradients, c, checks);
                break;
            case AssertErrorSyntax error when checks is not null:
                AssertError(error, c, checks);
                break;
            case AssertErrorSyntax:
                break;
            default:
                Statement(statement, c);
                break;
        }
    }

    private static ExprSyntax?[] Arguments(AssertCallSyntax check)
    {
        var places = ArgumentMatcher.Match($"`{check.Word}`", Binder.AssertSignature(check.Word), Binder.AssertSlots(check.Word), check.Call.Arguments, 0, check.Call.Span, d => throw new DiagnosticException(d));
        return [.. Enumerable.Range(0, 2).Select(slot => Array.IndexOf(places, slot) is >= 0 and var at ? check.Call.Arguments[at].Value : null)];
    }

    private void AssertShape(AssertCallSyntax check, Context c)
    {
        var (x, expected) = (Arguments(check)[0]!, Arguments(check)[1]!);
        var shape = Tensor(Eval(x, c), x).Shape;
        var dims = Eval(expected, c) switch
        {
            ListValue list => list.Items.Select(item => SizeOf(item, expected)),
            ErrorValue => throw new DiagnosticException(null),
            var other => throw Error(DiagnosticCodes.TypeMismatch, expected.Span, $"a shape is a list of sizes such as [2, 3], and this is {other.Describe()}"),
        };
        var wanted = new Shape([.. dims]);
        if (!shape.Dims.SequenceEqual(wanted.Dims))
            throw Error(DiagnosticCodes.AssertionFailed, expected.Span, $"the shape is {shape}, not {wanted}").And(x.Span, $"this is {shape}");
    }

    private void AssertGradients(AssertCallSyntax check, Context c, TestChecks? checks)
    {
        var (syntax, order) = (Arguments(check)[0]!, Arguments(check)[1]);
        var degree = order is null ? 1 : (int)Whole(Number(order, c), order, null);
        if (degree is not (1 or 2))
            throw Error(DiagnosticCodes.OutOfRange, order!.Span, $"`order` is 1 for gradients, or 2 for their derivatives as well, not {degree}");
        if (Binder.ModelOf(syntax) is not var (name, arguments) || binding.Uses[name].Declaration is not ModelSyntax declaration)
            throw new DiagnosticException(null);
        var model = new Elaborator(binding, overrides, report, name.Name.Text).Model(declaration, arguments) ?? throw new DiagnosticException(null);
        if (model.Losses.IsEmpty)
            throw new DiagnosticException(DiagnosticCodes.MissingLoss.At(syntax.Span, $"`{model.Name}` has no `loss`, so there is nothing to differentiate").With(declaration.Name.Span, "declared here"));
        if (checks is null)
            return;
        if (checks.Gradients is null)
            throw Error(DiagnosticCodes.AssertionFailed, check.Call.Callee.Span, "nothing here can check gradients").Note("`dnn test` can; a program gives `TestRunner.Run` a function that does");
        var wrong = checks.Gradients(model, degree);
        if (wrong.Count > 0)
            throw wrong.Aggregate(Error(DiagnosticCodes.AssertionFailed, syntax.Span, $"the gradients of `{model.Name}` are not its derivatives"), (problem, text) => problem.Note(text));
    }

    /// <summary>Runs statements that must fail in one way.</summary>
    private void AssertError(AssertErrorSyntax error, Context c, TestChecks checks)
    {
        var errors = binding.Expected[error].Where(d => d.IsError).ToList();
        if (errors.Count == 0)
        {
            var outer = report;
            report = d =>
            {
                if (d.IsError)
                    errors.Add(d);
            };
            try
            {
                TestStatements(error.Body, new Context(new Env(c.Env), c.Frame, c.Place.Child(binding.Segments[error]), c.Layer), checks);
            }
            finally
            {
                report = outer;
            }
        }

        var code = error.Code.Value;
        if (errors.Find(d => !d.Code.Equals(code, StringComparison.OrdinalIgnoreCase)) is { } other)
            throw Error(DiagnosticCodes.AssertionFailed, error.Code.Span, $"`{code}` was expected here, and there is {other.Code}").And(other.Span, other.Message);
        if (errors.Count == 0)
            throw Error(DiagnosticCodes.AssertionFailed, error.Code.Span, $"`{code}` was expected here, and nothing is wrong");
    }

    public Expr TensorOf(Value value, ExprSyntax at) => Tensor(value, at);

    public string TextOf(ExprSyntax syntax, Context c) => Text(Eval(syntax, c), syntax);
}
