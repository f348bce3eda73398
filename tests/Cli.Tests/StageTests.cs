using Dnn.Testing;
using Xunit;

namespace Dnn.Cli.Tests;

/// <summary>Every stage from text to machine, held as text. <c>DNN_UPDATE_GOLDEN=1</c> accepts what comes.</summary>
public class StageTests : Workspace
{
    [Theory]
    [InlineData("tokens")]
    [InlineData("syntax")]
    [InlineData("bound")]
    [InlineData("source")]
    [InlineData("flat")]
    [InlineData("graph")]
    [InlineData("gradient")]
    [InlineData("optimized")]
    [InlineData("plan")]
    public void A_stage_is_what_it_was(string stage) => Golden.Verify(Fine("dump", Example("two_moons.dnn"), "--stage", stage).Output, stage);

    [Fact]
    public void The_printed_gradient_is_what_it_was() => Golden.Verify(Fine("grad", Example("two_moons.dnn")).Output);

    [Fact]
    public void The_summary_is_what_it_was() => Golden.Verify(Fine("summary", Example("digits.dnn")).Output);
}
