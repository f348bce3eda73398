using System.Collections.Immutable;
using System.Text;

namespace Dnn.Claims;

/// <summary>All claims, in the order in which one would teach them.</summary>
public static class Claims
{
    public static ImmutableArray<Claim> All { get; } =
    [
        .. Algebra.Claims,
        .. Expressivity.Claims,
        .. Initialization.Claims,
        .. Depth.Claims,
        .. Normalization.Claims,
        .. Optimization.Claims,
        .. Generalization.Claims,
        .. Equivariance.Claims,
        .. Representation.Claims,
        .. Linting.Claims,
        .. LintFailures.Claims,
    ];

    /// <summary>The list as README.md has it.</summary>
    public static string ToMarkdown()
    {
        var text = new StringBuilder("| command | what is taught | by |\n| --- | --- | --- |\n");
        foreach (var claim in All)
            text.Append($"| `dotnet run -c Release --project examples/claims -- {claim.Name}` | {claim.Says} | {claim.Source} |\n");
        return text.ToString();
    }
}
