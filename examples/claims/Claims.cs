using System.Collections.Immutable;

namespace Dnn.Claims;

/// <summary>All claims, in the order in which one would teach them.</summary>
public static class Claims
{
    public static ImmutableArray<Claim> All { get; } =
    [
        .. Algebra.Claims,
        .. Initialization.Claims,
    ];
}
