using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>A layer's own gradient: <c>gradient (x, y, dy) { return dy * (y > 0) }</c>.</summary>
internal sealed partial class Elaborator
{
    private Expr WithRule(LayerSyntax layer, GradientSyntax gradient, ImmutableArray<Expr> inputs, ImmutableArray<Expr> results, Context c, Env hypers)
    {
        if (builder.ParametersUnder(c.Frame.Path).FirstOrDefault() is { } own)
            throw Error(DiagnosticCodes.InvalidRule, layer.Name.Span, $"`{layer.Name.Text}` has the parameter `{own.Path}`, which its gradient says nothing of").And(gradient.Span, "the gradient").Note("a layer with a gradient of its own has no parameters: give what it needs as an input");
        if (results is not [var value] || !value.DType.IsFloat())
            throw Error(DiagnosticCodes.InvalidRule, layer.Name.Span, "a layer with a gradient of its own gives one float tensor").And(gradient.Span, "the gradient");
        ReturnSyntax? returned = null;
        try
        {
            return Expr.CustomGradient(inputs, value, (xs, y, dy) =>
            {
                var before = builder.Parameters.Count;
                var env = new Env(hypers);
                var names = binding.RuleNames[gradient];
                for (var i = 0; i < names.Length; i++)
                    env.Set(names[i], new TensorValue(i < xs.Length ? xs[i] : i == xs.Length ? y : dy));
                CopySizes(layer, c, env);
                var rule = c.With(env);
                foreach (var statement in gradient.Body.Statements)
                {
                    if (statement is not ReturnSyntax result)
                    {
                        Statement(statement, rule);
                        continue;
                    }

                    returned = result;
                    var parts = Eval(result.Value, rule) is var given && given is TupleValue tuple ? tuple.Items : [given];
                    if (parts.Length != xs.Length)
                        throw Error(DiagnosticCodes.InvalidRule, result.Value.Span, $"a gradient gives one value for each input: {xs.Length}, not {parts.Length}").And(layer.Name.Span, "declared here");
                    var cotangents = parts.Select((p, i) => xs[i].DType.IsFloat() ? Tensor(p, result.Value) : null).ToArray();
                    CheckClosed(cotangents, [.. xs, y, dy], result.Value);
                    if (builder.Parameters.Count > before)
                        throw Error(DiagnosticCodes.InvalidRule, result.Value.Span, $"a gradient has no parameters, and this one makes `{builder.Parameters[before].Path}`");
                    return cotangents;
                }

                throw new DiagnosticException(null);
            });
        }
        catch (GraphException e)
        {
            throw Explain(e, returned?.Value ?? new NameSyntax(layer.Name), []);
        }
    }

    /// <summary>A value with a rule as printed graphs have it: the value, the inputs, and the rule over inputs, result and cotangent.</summary>
    private TensorValue CustomGradient(CallSyntax call, List<(ExprSyntax Syntax, Value Value)> operands, LayerValue rule, ExprSyntax body, Context c)
    {
        if (operands.Count < 2)
            throw Error(DiagnosticCodes.MissingArgument, call.Callee.Span, "`prim.custom_gradient` takes a value, its inputs, and a rule: (x, y, dy) => dx");
        var args = operands.ConvertAll(o => (o.Syntax, Value: Tensor(o.Value, o.Syntax)));
        return Build(call, args, () => Expr.CustomGradient([.. args.Skip(1).Select(a => a.Value)], args[0].Value, (xs, y, dy) =>
        {
            var made = Apply(rule, [.. xs.Append(y).Append(dy).Select(v => new Given(new TensorValue(v), body))], body, c);
            return [.. Leaves(made).Select(v => Tensor(v, body))];
        }));
    }

    /// <summary>The sizes that the layer's tensors bound.</summary>
    private void CopySizes(LayerSyntax layer, Context c, Env env)
    {
        foreach (var name in layer.Tensors.Parameters.Select(p => p.Type).OfType<TensorTypeSyntax>().SelectMany(t => t.Dimensions).SelectMany(NamesIn))
        {
            if (binding.Uses.TryGetValue(name, out var symbol) && symbol.Kind == SymbolKind.Dimension && c.Env.Find(symbol) is { } size)
                env.Set(symbol, size);
        }
    }

    /// <summary>A rule is made of what it is given: it is used where nothing else is known.</summary>
    private void CheckClosed(IEnumerable<Expr?> cotangents, HashSet<Expr> given, ExprSyntax at)
    {
        foreach (var node in Expr.PostOrder(cotangents.OfType<Expr>()))
        {
            if (node.Op is Phase)
                throw Error(DiagnosticCodes.InvalidRule, at.Span, "a gradient is the same in training and evaluation: `training`, and layers that depend on it, have no place here");
            if (node.Op is Variable && !given.Contains(node))
                throw Error(DiagnosticCodes.InvalidRule, at.Span, $"a gradient is made of the inputs, the result and its cotangent alone, and this uses `{((Variable)node.Op).Symbol.Name}`");
        }
    }
}
