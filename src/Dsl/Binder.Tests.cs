namespace Dnn.Dsl;

/// <summary>The assertions of <c>test</c> blocks.</summary>
internal sealed partial class Binder
{
    /// <summary>How the assertions that look like calls are called.</summary>
    internal static Slot[] AssertSlots(string word) => word == "assert_shape"
        ? [new Slot("x", true), new Slot("shape", true)]
        : [new Slot("model", true), new Slot("order", false)];

    internal static string AssertSignature(string word) => word == "assert_shape" ? "assert_shape(x, shape: [int])" : "assert_gradients(model, order: int = 1)";

    private void AssertCall(AssertCallSyntax check)
    {
        var arguments = check.Call.Arguments;
        var places = ArgumentMatcher.Match($"`{check.Word}`", AssertSignature(check.Word), AssertSlots(check.Word), arguments, 0, check.Call.Callee.Span, Report);
        for (var i = 0; i < arguments.Length; i++)
        {
            if (check.Word == "assert_shape" || places[i] != 0)
                Expression(arguments[i].Value);
            else if (ModelOf(arguments[i].Value) is var (name, given))
                ModelCall(name, given);
            else
                Report(DiagnosticCodes.WrongKind.At(arguments[i].Value.Span, "gradients are checked of a model of this file: assert_gradients(Model)"));
        }
    }

    /// <summary><c>Model</c> or <c>Model(width = 2)</c>.</summary>
    internal static (NameSyntax Name, System.Collections.Immutable.ImmutableArray<ArgumentSyntax> Arguments)? ModelOf(ExprSyntax model) => model.Bare switch
    {
        NameSyntax name => (name, []),
        CallSyntax { Callee: NameSyntax name } call => (name, call.Arguments),
        _ => null,
    };

    private void AssertError(AssertErrorSyntax error)
    {
        binding.Expected[error] = [];
        if (error.Code.Value.Length == 0 || DiagnosticCodes.Find(error.Code.Value) is not { IsSyntax: false } code)
        {
            var diagnostic = DiagnosticCodes.UnknownName.At(error.Code.Span, DiagnosticCodes.Find(error.Code.Value) is { IsSyntax: true }
                ? $"`{error.Code.Value}` is about the text itself: a file that has it has no tests to run"
                : $"there is no diagnostic `{error.Code.Value}`");
            Report(diagnostic.WithSuggestion(error.Code.Value, error.Code.SpanOf(0, error.Code.Value.Length), DiagnosticCodes.All.Where(c => !c.IsSyntax).Select(c => c.Code)));
        }

        var before = unknown.ToArray();
        Nested(() => Statements(error.Body, Body.Test));
        unknown.Clear();
        unknown.UnionWith(before);
    }

    /// <summary>What is wrong but for what tests expect to be wrong, which goes to <see cref="Binding.Expected"/>.</summary>
    private List<Diagnostic> Unexpected()
    {
        if (binding.Expected.Count == 0)
            return diagnostics;
        var blocks = binding.Expected.Keys.OrderBy(e => e.Body.Span.Start).ToArray();
        var starts = Array.ConvertAll(blocks, b => b.Body.Span.Start);
        var rest = new List<Diagnostic>();
        foreach (var diagnostic in diagnostics)
        {
            var at = Array.BinarySearch(starts, diagnostic.Span.Start);
            at = at >= 0 ? at : ~at - 1;
            while (at >= 0 && blocks[at].Body.Span.End < diagnostic.Span.End)
                at = Outer(at);
            if (at >= 0)
                binding.Expected[blocks[at]].Add(diagnostic);
            else
                rest.Add(diagnostic);
        }

        return rest;

        // Blocks nest; but for those around it, one before another ends before it.
        int Outer(int inner)
        {
            var outer = inner - 1;
            while (outer >= 0 && blocks[outer].Body.Span.End < blocks[inner].Body.Span.Start)
                outer--;
            return outer;
        }
    }
}
