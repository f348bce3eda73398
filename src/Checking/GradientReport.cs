using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Dnn.Graph;

namespace Dnn.Checking;

/// <summary>What a derivative was held against.</summary>
public enum GradientOracle
{
    /// <summary>A value that must be finite before anything is differentiated.</summary>
    Finite,

    /// <summary>The derivative of one operation alone, against the complex step of its own value.</summary>
    Operation,

    /// <summary>Im f(x + ih·v) / h, exact to rounding.</summary>
    ComplexStep,

    /// <summary>Central differences with Richardson extrapolation.</summary>
    FiniteDifference,

    /// <summary>MathNet.Numerics' numerical Jacobian.</summary>
    NumericalJacobian,

    /// <summary>Forward mode against the complex step.</summary>
    ForwardMode,

    /// <summary>⟨Jv, u⟩ = ⟨v, Jᵀu⟩</summary>
    AdjointIdentity,

    /// <summary>The Hessian times a vector against the complex step of the gradient.</summary>
    HessianVector,

    /// <summary>⟨Hv, w⟩ = ⟨v, Hw⟩</summary>
    HessianSymmetry,
}

/// <summary>A derivative that is wrong.</summary>
/// <param name="Oracle">What found it.</param>
/// <param name="Node">The node to blame: for <see cref="GradientOracle.Operation"/> the one whose own derivative is wrong, otherwise the whole expression.</param>
/// <param name="Argument">For an operation, the argument whose derivative is wrong; else −1.</param>
/// <param name="Expected">What the oracle says, in a random direction.</param>
/// <param name="Actual">What the derivative says; NaN where it has another shape.</param>
/// <param name="Tolerance">What the two may differ by.</param>
/// <param name="Reason">In words.</param>
public sealed record GradientFinding(GradientOracle Oracle, Expr Node, int Argument, double Expected, double Actual, double Tolerance, string Reason)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Reason}: {Actual:g10}, should be {Expected:g10} ± {Tolerance:g2}, at {Printer.Line(Node)}");
}

/// <summary>The result of a gradient check.</summary>
/// <param name="Findings">What is wrong, operations first, arguments before their uses.</param>
/// <param name="Checks">How many comparisons were made.</param>
/// <param name="Skipped">How many told nothing: the oracle's own error was too large, or the point lies at a kink.</param>
public sealed record GradientReport(ImmutableArray<GradientFinding> Findings, int Checks, int Skipped)
{
    public bool Passed => Findings.IsEmpty;

    /// <summary>The first node whose own derivative is wrong.</summary>
    public Expr? Blame => Findings.FirstOrDefault(f => f.Oracle is GradientOracle.Operation or GradientOracle.Finite)?.Node;

    public override string ToString()
    {
        var text = new StringBuilder();
        foreach (var finding in Findings)
            text.Append(CultureInfo.InvariantCulture, $"{finding}\n");
        return text.Append(CultureInfo.InvariantCulture, $"{Checks} comparisons, {Findings.Length} wrong, {Skipped} without an answer\n").ToString();
    }
}
