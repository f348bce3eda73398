using System.Collections.Immutable;
using Dnn.Graph;

namespace Dnn.Dsl;

/// <summary>One rule of the linter, in a file of its own: its documentation, and what it finds in a model.</summary>
internal abstract class LintRule(DiagnosticDescriptor descriptor)
{
    public DiagnosticDescriptor Descriptor { get; } = descriptor;

    public abstract IEnumerable<Finding> Find(LintContext context);

    /// <summary>A finding about a node.</summary>
    protected Finding At(LintContext context, Expr node, string message, double number) =>
        new(Descriptor, message) { Number = number, Location = context.Location(node), Path = context.Path(node) };

    /// <summary>A finding about an application of a layer or function.</summary>
    protected Finding At(Scope scope, string message, double number) =>
        new(Descriptor, message) { Number = number, Location = scope.Location, Path = scope.Path };

    protected static DiagnosticDescriptor Row(string code, string title, string explanation, string bad, string good, Severity severity = Severity.Warning) =>
        new(code, severity, title, explanation, bad, good);
}

/// <summary>All rules, in order of their codes.</summary>
internal static class LintRules
{
    public static ImmutableArray<LintRule> All { get; } =
    [
        new LinearInSeries(), new ActivationDrift(), new BareResidual(), new NonzeroResidual(), new DoubleSoftmax(), new BiasBeforeNorm(), new DropoutBeforeNorm(),
        new UnsuitedInitializer(), new GradientFactor(), new NotFinite(), new Unused(), new BatchNormStatistics(), new LossForData(), new NoPositions(), new DecayOfNorms(),
    ];
}
