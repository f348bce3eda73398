using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>Sizes of different names that fit only because they are the same number, or may turn out to be.</summary>
internal sealed partial class Elaborator
{
    private readonly record struct AxisOf(Expr Tensor, int Axis);

    /// <summary>Warns where axes of different names meet in what was just computed from some operands.</summary>
    private void Meetings(IEnumerable<Expr> results, IReadOnlyList<(ExprSyntax Syntax, Expr Value)> operands, ExprSyntax at, Context c)
    {
        if (c.Env.SizeNames is not { IsTrivial: false } names)
            return;
        var seen = operands.Select(o => o.Value).ToHashSet();
        var pending = new Stack<Expr>(results.Where(r => seen.Add(r)));
        while (pending.TryPop(out var node))
        {
            foreach (var (left, right) in Meetings(node))
            {
                if (names.Find(left.Tensor, left.Axis) is { } a && names.Find(right.Tensor, right.Axis) is { } b && IsAccident(a, b, names))
                    WarnOf(a, b, at, operands, names);
            }

            foreach (var arg in node.Args)
            {
                if (seen.Add(arg))
                    pending.Push(arg);
            }
        }
    }

    /// <summary>The axes that an operation asks to be equal.</summary>
    private static IEnumerable<(AxisOf Left, AxisOf Right)> Meetings(Expr node)
    {
        var args = node.Args;
        switch (node.Op)
        {
            case Graph.Binary or Compare or Logic or Select:
                return Pairs(Enumerable.Range(0, node.Rank));
            case Concat concat:
                return Pairs(Enumerable.Range(0, node.Rank).Where(a => a != concat.Axis));
            case DotGeneral dot:
                return dot.LeftBatch.Concat(dot.LeftContract).Zip(dot.RightBatch.Concat(dot.RightContract), (l, r) => (new AxisOf(args[0], l), new AxisOf(args[1], r)));
            default:
                return [];
        }

        IEnumerable<(AxisOf, AxisOf)> Pairs(IEnumerable<int> axes) =>
            axes.SelectMany(axis => args.Skip(1).Select(arg => (new AxisOf(args[0], axis), new AxisOf(arg, axis))));
    }

    /// <summary>
    /// A tensor is given where its type says a name: to an application, where it must fit the first tensor that has the name, or under a type of the body itself, where it must
    /// have the name's own size. The axis has the name from now on.
    /// </summary>
    private void Meet(Symbol symbol, bool isBound, AxisOf axis, Dictionary<Symbol, AxisOf> bound, Context c, Giver giver)
    {
        if (giver.Names != c.Env.SizeNames && !bound.TryAdd(symbol, axis))
            Meet(bound[symbol], axis, giver);
        else if (isBound && giver.Names == c.Env.SizeNames && giver.Names?.Find(axis.Tensor, axis.Axis) is { } found && c.Env.Find(symbol) is { } value
            && new NamedSize(symbol, SizeOf(value, giver.Site)) is var named && IsAccident(found, named, giver.Names))
            WarnOf(found, named, giver.Site);
        c.Env.SizeNames?.Declare(axis.Tensor, axis.Axis, symbol);
    }

    /// <summary>Two axes are given where a signature asks for one size.</summary>
    private void Meet(AxisOf left, AxisOf right, Giver giver)
    {
        if (giver.Names?.Find(left.Tensor, left.Axis) is { } a && giver.Names.Find(right.Tensor, right.Axis) is { } b && IsAccident(a, b, giver.Names))
            WarnOf(a, b, giver.Site);
    }

    /// <summary>Where a body compares two names, as in <c>if C == filters</c>, it knows of both.</summary>
    private void NoteComparison(BinaryOperator op, ExprSyntax left, ExprSyntax right, Context c)
    {
        if (op is BinaryOperator.Equal or BinaryOperator.NotEqual && left.Bare is NameSyntax a && right.Bare is NameSyntax b
            && binding.Uses.TryGetValue(a, out var one) && binding.Uses.TryGetValue(b, out var other))
            c.Env.SizeNames?.Compare(one, other);
    }

    /// <summary>Names the axes of what a statement declares.</summary>
    private void NameAxes(TensorTypeSyntax type, Expr tensor, Context c)
    {
        for (var i = 0; i < type.Dimensions.Length; i++)
        {
            if (type.Dimensions[i].Bare is NameSyntax name && binding.Uses.TryGetValue(name, out var symbol))
                c.Env.SizeNames?.Declare(tensor, i, symbol);
        }
    }

    /// <summary>Whether two names are apart, and nothing but their present values makes them fit.</summary>
    private bool IsAccident(NamedSize a, NamedSize b, SizeNames names) =>
        Meaning(a.Symbol) != Meaning(b.Symbol) && !names.AreCompared(a.Symbol, b.Symbol) && !a.Size.Equals(Dim.One) && !b.Size.Equals(Dim.One)
        && Dim.AreEqual(a.Size, b.Size) is var equal && (equal == Answer.Unknown || (equal == Answer.Proved && a.Size.IsKnown));

    /// <summary>The name that a name stands for, where its declaration says no more than that.</summary>
    private Symbol Meaning(Symbol symbol)
    {
        for (var steps = 0; steps < MaxTrace; steps++)
        {
            var value = symbol.Declaration switch
            {
                HyperSyntax hyper => hyper.Value,
                ParameterSyntax parameter => parameter.Default,
                LetSyntax let => let.Value,
                _ => null,
            };
            if (value?.Bare is not NameSyntax name || !binding.Uses.TryGetValue(name, out var other))
                break;
            symbol = other;
        }

        return symbol;
    }

    private void WarnOf(NamedSize a, NamedSize b, ExprSyntax at, IReadOnlyList<(ExprSyntax Syntax, Expr Value)> operands, SizeNames names)
    {
        var problem = Accident(a, b, at.Span);
        foreach (var (syntax, value) in operands)
        {
            var axis = Enumerable.Range(0, value.Rank).Cast<int?>().FirstOrDefault(i => names.Find(value, i!.Value) is { } named && (named.Symbol == a.Symbol || named.Symbol == b.Symbol));
            if (axis is { } i && syntax.Span != at.Span && problem.Secondary.All(l => l.Span != syntax.Span))
                problem = problem.With(syntax.Span, $"axis {i} of this {value.Shape} is `{names.Find(value, i)!.Symbol.Name}`");
        }

        report(Named(Named(problem, a), b));
    }

    private void WarnOf(NamedSize a, NamedSize b, ExprSyntax at) => report(Named(Named(Accident(a, b, at.Span), a), b));

    private static Diagnostic Named(Diagnostic problem, NamedSize size) => problem.With(size.Symbol.Span, size.Size.IsKnown ? $"`{size.Symbol.Name}` is {size.Size} here" : $"`{size.Symbol.Name}` is named here");

    private static Diagnostic Accident(NamedSize a, NamedSize b, TextSpan at) => DiagnosticCodes.AccidentalMeeting.At(at, a.Size.IsKnown && b.Size.IsKnown
            ? $"the sizes `{a.Symbol.Name}` and `{b.Symbol.Name}` meet here, and fit only because they are the same number"
            : $"the sizes `{a.Symbol.Name}` and `{b.Symbol.Name}` meet here, and nothing says that they are equal")
        .WithNote("if they are one size, give them one name: then a misfit is an error where it is made; if they are two, something else was meant here");
}
