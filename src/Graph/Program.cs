using System.Collections.Immutable;

namespace Dnn.Graph;

/// <summary>A value under a name.</summary>
public sealed record Named(string Name, Expr Value);

/// <summary>A variable that a run keeps: a parameter, a buffer, an optimizer's moment, the step counter.</summary>
/// <param name="Name">Its path.</param>
/// <param name="Variable">Its value before the run.</param>
/// <param name="Next">Its value after the run; null where it stays.</param>
public sealed record ProgramState(string Name, Expr Variable, Expr? Next = null);

/// <summary>
/// One computation, complete: what is fed, what is kept from run to run, what comes out. A training step is one
/// of these: state in, state out.
/// </summary>
/// <param name="Inputs">Variables that are fed at every run.</param>
/// <param name="States">Variables that are kept.</param>
/// <param name="Outputs">What is computed.</param>
/// <param name="Guards">Float scalars that must be finite, or no state changes.</param>
public sealed record Program(
    ImmutableArray<Named> Inputs,
    ImmutableArray<ProgramState> States,
    ImmutableArray<Named> Outputs,
    ImmutableArray<Expr> Guards)
{
    /// <summary>What must hold of the sizes; checked when a plan is made.</summary>
    public ImmutableArray<SizeCheck> Checks { get; init; } = [];

    /// <summary>Where nodes came from, for messages.</summary>
    public Provenance? Provenance { get; init; }

    /// <summary>Everything that is computed: outputs, guards, next states.</summary>
    public ImmutableArray<Expr> Roots => [.. Outputs.Select(o => o.Value), .. Guards, .. States.Where(s => s.Next is not null).Select(s => s.Next!)];

    /// <summary>The program in normal form: <see cref="Rewriter.Default"/> applied to everything.</summary>
    public Program Simplify(IDerivationListener? listener = null) => Transform(roots => Rewriter.Default.Rewrite(roots, listener));

    /// <summary>The program with every root passed through a transformation of graphs.</summary>
    public Program Transform(Func<IReadOnlyList<Expr>, ImmutableArray<Expr>> transformation)
    {
        var roots = new Queue<Expr>(transformation(Roots));
        return this with
        {
            Outputs = [.. Outputs.Select(o => o with { Value = roots.Dequeue() })],
            Guards = [.. Guards.Select(_ => roots.Dequeue())],
            States = [.. States.Select(s => s.Next is null ? s : s with { Next = roots.Dequeue() })],
        };
    }
}
