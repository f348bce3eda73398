namespace Dnn.Graph.Tests;

public class Smoke
{
    [Xunit.Fact]
    public void One() => Xunit.Assert.Equal(1, 1);
}
