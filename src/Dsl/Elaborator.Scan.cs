using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Recurrences: <c>scan</c>, and <c>prim.scan</c> as printed graphs have it.</summary>
internal sealed partial class Elaborator
{
    private TupleValue Scan(CatalogEntry entry, Value?[] values, ExprSyntax?[] sites, ExprSyntax at, Context c)
    {
        var (xs, init) = (values[0]!, values[1]!);
        var step = values[2] as LayerValue ?? throw Error(DiagnosticCodes.TypeMismatch, sites[2]!.Span, $"the step of a scan is a function, and this is {values[2]!.Describe()}").Note("(state, xt) => (state2, yt)");
        ImmutableArray<Expr> sequences = [.. Leaves(xs).Select(v => Tensor(v, sites[0] ?? at))], states = [.. Leaves(init).Select(v => Tensor(v, sites[1]!))];
        var axis = values[3] is null ? 1 : (int)Convert(values[3]!, entry.Parameters[3], sites[3]!, c)!;
        var reverse = values[4] is not null && (bool)Convert(values[4]!, entry.Parameters[4], sites[4]!, c)!;
        var names = c.Env.SizeNames;
        Value? shape = null;
        ImmutableArray<Expr> stacked = [];
        return Loop(at, sites, sequences, states, () => Scans.Run(states, sequences, Step, axis, reverse), result =>
        {
            NameResults(names, result, states, sequences[0], stacked, axis);
            return new TupleValue([Rebuild(init, result.Next), Rebuild(shape!, result.Outputs)]);
        });

        Scans.Step Step(ImmutableArray<Expr> state, ImmutableArray<Expr> element)
        {
            var body = sites[2]!;
            NameGiven(names, state, states);
            NameGiven(names, element, sequences, axis);
            var made = Apply(step, [new Given(Rebuild(init, state), body), new Given(Rebuild(xs, element), body)], body, c);
            if (made is not TupleValue { Items: [var next, var output] })
                throw Error(DiagnosticCodes.ScanResult, ResultOf(body).Span, $"a step gives a pair of the next state and an output, and this is {made.Describe()}").Note("where only the state counts: (state, xt) => (state2, state2)");
            shape = output;
            ImmutableArray<Expr> becomes = [.. Leaves(next).Select(v => Tensor(v, body))];
            CheckStates(state, becomes, ResultOf(body), sites[1]!);
            stacked = [.. Leaves(output).Select(v => Tensor(v, body))];
            return new Scans.Step(becomes, stacked);
        }
    }

    /// <summary>Names the axes of what stands for tensors in a step: states keep theirs, elements lose the axis of the steps.</summary>
    private static void NameGiven(SizeNames? names, IEnumerable<Expr> given, IEnumerable<Expr> tensors, int? axis = null)
    {
        foreach (var (one, from) in given.Zip(tensors))
            names?.Follow(one, from, Enumerable.Range(0, from.Rank).Where(i => axis is null || i != from.Shape.Axis(axis.Value)));
    }

    /// <summary>Names the axes of what a loop gives: last states have those of the first, and outputs get the axis of the steps.</summary>
    private static void NameResults(SizeNames? names, Scans.Step result, IEnumerable<Expr> states, Expr? sequence, IEnumerable<Expr> stacked, int axis)
    {
        NameGiven(names, result.Next, states);
        foreach (var (one, from) in result.Outputs.Zip(stacked))
        {
            var steps = axis < 0 ? Math.Max(0, one.Rank + axis) : Math.Min(axis, one.Rank - 1);
            names?.Follow(one, from, Enumerable.Range(0, one.Rank).Select(i => i == steps ? -1 : i < steps ? i : i - 1));
            if (sequence is not null)
                names?.Follow(one, sequence, Enumerable.Range(0, one.Rank).Select(i => i == steps ? sequence.Shape.Axis(axis) : -1));
        }
    }

    /// <summary>A loop as printed: states, sequences, constants and the step over all of them; last states and stacked outputs in one tuple.</summary>
    private Value Scan(CallSyntax call, List<(ExprSyntax Syntax, Value Value)> operands, LayerValue step, ExprSyntax body, Dictionary<string, object> attributes, Context c)
    {
        var given = new OpArguments("scan", attributes);
        var (states, sequences) = (0, 0);
        var names = c.Env.SizeNames;
        ImmutableArray<Expr> args = [.. operands.Select(o => Tensor(o.Value, o.Syntax))], stacked = [];
        return Loop(call, [], args, [], Make, Value (result) =>
        {
            NameResults(names, result, args, sequences > 0 ? args[states] : null, stacked, axis: 0);
            return result.All is [var only] ? new TensorValue(only) : new TupleValue([.. result.All.Select(e => new TensorValue(e))]);
        });

        Scans.Step Make()
        {
            (states, sequences) = (given.Int("states"), given.Int("sequences"));
            if (states < 0 || sequences < 0 || states + sequences > args.Length)
                throw new GraphException($"prim.scan: {states} states and {sequences} sequences are more than {args.Length} tensors");
            ImmutableArray<Expr> parameters = [.. args.Select((a, i) => Expr.Variable("parameter", i >= states && i < states + sequences ? a.Shape.RemoveAt(0) : a.Shape, a.DType))];
            NameGiven(names, parameters[..states], args);
            NameGiven(names, parameters[states..(states + sequences)], args[states..], axis: 0);
            NameGiven(names, parameters[(states + sequences)..], args[(states + sequences)..]);
            var made = Apply(step, [.. parameters.Select(p => new Given(new TensorValue(p), body))], body, c);
            ImmutableArray<Expr> results = [.. Leaves(made).Select(v => Tensor(v, body))];
            if (results.Length < states)
                throw new GraphException($"prim.scan: the step gives {results.Length} of {states} next states");
            CheckStates(parameters[..states], results[..states], body, call);
            stacked = results[states..];
            return Scans.Closed(args, parameters, results[..states], stacked, sequences, given.Sizes("length")[0], given.Number("reverse") != 0);
        }
    }

    private T Loop<T>(ExprSyntax at, ExprSyntax?[] sites, ImmutableArray<Expr> sequences, ImmutableArray<Expr> states, Func<Scans.Step> make, Func<Scans.Step, T> result)
    {
        builder.Location = LocationOf(at);
        try
        {
            var made = make();
            builder.Location = LocationOf(at);
            foreach (var expr in made.All)
            {
                builder.Record(expr);
                CheckSize(expr, at);
            }

            return result(made);
        }
        catch (GraphException e)
        {
            throw Explain(e, at, [.. sequences.Select(x => (sites is [{ } site, ..] ? site : at, x)), .. states.Select(s => (sites is [_, { } site, ..] ? site : at, s))]);
        }
    }

    private static void CheckStates(ImmutableArray<Expr> before, ImmutableArray<Expr> after, ExprSyntax result, ExprSyntax init)
    {
        if (before.Length != after.Length)
            throw Error(DiagnosticCodes.ScanState, result.Span, $"the state has {before.Length} part{(before.Length == 1 ? "" : "s")} before a step and {after.Length} after it").And(init.Span, "it starts here");
        for (var i = 0; i < before.Length; i++)
        {
            var (from, to) = (before[i], after[i]);
            var fits = from.Rank == to.Rank && (from.DType == to.DType || from.DType.IsFloat() && !to.DType.IsFloat()) && from.Shape.Dims.Zip(to.Shape.Dims).All(d => Dim.AreEqual(d.First, d.Second) != Answer.Refuted);
            if (fits)
                continue;
            var problem = Error(DiagnosticCodes.ScanState, result.Span, $"the state {from.Type} becomes {to.Type} in a step, and it must keep its type").And(init.Span, "it starts here");
            throw from.DType == to.DType && to.Rank > from.Rank ? problem.Note($"start it with all its axes: zeros({to.Shape})") : problem;
        }
    }

    /// <summary>Where the value of a lambda is written.</summary>
    private static ExprSyntax ResultOf(ExprSyntax step) => step.Bare is LambdaSyntax lambda
        ? lambda.Value ?? lambda.Block!.Statements.OfType<ReturnSyntax>().Select(r => r.Value).FirstOrDefault() ?? step
        : step;

    /// <summary>The parts of nested tuples, in order.</summary>
    private static IEnumerable<Value> Leaves(Value value) => value is TupleValue tuple ? tuple.Items.SelectMany(Leaves) : [value];

    /// <summary>Tensors in the tuples of another value.</summary>
    private static Value Rebuild(Value like, ImmutableArray<Expr> leaves)
    {
        var next = 0;
        return Fill(like);

        Value Fill(Value value) => value is TupleValue tuple ? new TupleValue([.. tuple.Items.Select(Fill)]) : new TensorValue(leaves[next++]);
    }
}
