namespace Frusta.Sandboxes.Tests;

public sealed class SandboxesOptionsTests
{
    [Fact]
    public void The_defaults_hold() => Assert.Null(new SandboxesOptions().Validate());

    [Theory]
    [InlineData(10_000, 3)]
    [InlineData(40, 2)]
    [InlineData(15, 0)]
    public void Users_that_are_few_are_left_to_sandboxes_with_a_program(int users, int kept) =>
        Assert.Equal(kept, new SandboxesOptions { UserIds = users }.VacantKept);

    [Fact]
    public void A_broken_rule_is_named_with_key_and_value()
    {
        var options = new SandboxesOptions { ConcurrentStarts = 0 };
        Assert.Equal("Sandboxes:ConcurrentStarts must be from 1 to 256, but it is 0.", options.Validate());
        options = new SandboxesOptions();
        options.Network.Subnet = "10.0.0.0/30";
        Assert.Contains("Sandboxes:Network:Subnet", options.Validate(), StringComparison.Ordinal);
        options = new SandboxesOptions();
        options.Network.Deny.Add("nonsense");
        Assert.Contains("nonsense", options.Validate(), StringComparison.Ordinal);
    }
}
