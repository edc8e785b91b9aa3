using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;

namespace Frusta.Contracts.Tests.Limits;

public sealed class LimitsOptionsTests
{
    [Fact]
    public void A_new_action_has_the_defaults_of_OpenWhisk_within_the_bounds_of_this_server()
    {
        Assert.Equal(new ActionLimits(60_000, 256, 10), new LimitsOptions().OfNewAction());
        var low = new LimitsOptions { MaxActionTimeoutMs = 5000, MaxActionMemoryMb = 128, MaxActionLogsMb = 1 };
        Assert.Equal(new ActionLimits(5000, 128, 1), low.OfNewAction());
        Assert.Equal(300, new LimitsOptions { MinActionMemoryMb = 300 }.OfNewAction().MemoryMb);
    }
}
