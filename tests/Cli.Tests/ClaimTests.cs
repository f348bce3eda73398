using Dnn.Claims;
using Dnn.Testing;
using Xunit;

namespace Dnn.Cli.Tests;

/// <summary>What the claims say is what they measure.</summary>
public class ClaimTests
{
    public static TheoryData<string> Names => [.. Claims.Claims.All.Select(c => c.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_claim_holds(string name)
    {
        var claim = Claims.Claims.All.Single(c => c.Name == name);
        Assert.NotEmpty(claim.Says);
        Assert.NotEmpty(claim.Source);
        var lines = claim.Run(Effort.Quick).ToArray();
        Assert.NotEmpty(lines);
        Assert.All(lines, line => Assert.True(line.Holds != false, line.ToString()));
    }

    [Fact]
    public void The_readme_lists_the_claims() =>
        Assert.Contains(Claims.Claims.ToMarkdown(), File.ReadAllText(RepoRoot.Combine("examples", "claims", "README.md")).ReplaceLineEndings("\n"));
}
