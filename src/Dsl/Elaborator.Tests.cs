using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary><c>test</c> blocks.</summary>
internal sealed partial class Elaborator
{
    /// <summary>Runs the statements of a test; every assertion that fails is reported.</summary>
    /// <param name="test">The block.</param>
    /// <param name="assert">Checks the value of an assertion; null to check types only.</param>
    public void Test(TestSyntax test, Action<AssertSyntax, Value, Context>? assert)
    {
        using var entered = builder.Enter();
        var c = new Context(new Env(null), new Frame(""), Place.Root, null);
        foreach (var statement in test.Body.Statements)
        {
            var done = Try(() =>
            {
                if (statement is not AssertSyntax assertion)
                {
                    Statement(statement, c);
                    return;
                }

                var condition = Eval(assertion.Condition, c);
                if (condition is not BoolValue && Condition(condition, assertion.Condition, "assert").DType != DType.Bool)
                    return;
                assert?.Invoke(assertion, condition, c);
            });
            if (done)
                continue;
            foreach (var symbol in Introduced(statement))
                c.Env.Set(symbol, ErrorValue.Instance);
        }
    }

    public Expr TensorOf(Value value, ExprSyntax at) => Tensor(value, at);

    public string TextOf(ExprSyntax syntax, Context c) => Text(Eval(syntax, c), syntax);
}
