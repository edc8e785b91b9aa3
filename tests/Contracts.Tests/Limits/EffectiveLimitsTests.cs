using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;

namespace Frusta.Contracts.Tests.Limits;

public sealed class EffectiveLimitsTests
{
    private static readonly LimitsOptions System = new();

    [Theory]
    [InlineData(null, null, 128, 512)]
    [InlineData(200, 300, 200, 300)]
    [InlineData(64, 1024, 128, 512)]
    [InlineData(null, 64, 128, 64)]
    [InlineData(1024, null, 1024, 512)]
    public void A_namespace_narrows_the_range_of_the_system_and_never_widens_it(int? ownLeast, int? ownMost, int least, int most)
    {
        var memory = EffectiveLimits.Of(new NamespaceLimits { MinActionMemory = ownLeast, MaxActionMemory = ownMost }, System).Memory;
        Assert.Equal((least, most), (memory.Least, memory.Most));
    }

    /// <summary>Else an action could be created that never runs.</summary>
    [Theory]
    [InlineData(64)]
    [InlineData(128)]
    [InlineData(256)]
    [InlineData(2048)]
    public void A_limit_that_a_put_passes_a_run_passes_too(int ownMost)
    {
        var limits = EffectiveLimits.Of(new NamespaceLimits { MaxActionMemory = ownMost }, System);
        foreach (var memoryMb in (int[])[64, 128, 256, 512, 1024])
        {
            Assert.Equal(limits.Memory.Refusal(memoryMb), limits.Refusal(new ActionLimits { MemoryMb = memoryMb }));
        }
    }

    [Fact]
    public void The_first_refusal_of_a_run_is_that_of_the_timeout()
    {
        var limits = EffectiveLimits.Of(NamespaceLimits.None, System);
        Assert.Equal("requirement failed: duration 1 milliseconds below allowed threshold of 100 milliseconds", limits.Refusal(new ActionLimits { TimeoutMs = 1, MemoryMb = 1 }));
        Assert.Equal("requirement failed: memory size 513 MB exceeds allowed threshold of 512 MB", limits.Refusal(new ActionLimits { MemoryMb = 513, Concurrency = 2, LogsMb = 11 }));
        Assert.Equal("requirement failed: concurrency 2 exceeds allowed threshold of 1", limits.Refusal(new ActionLimits { Concurrency = 2, LogsMb = 11 }));
        Assert.Equal("requirement failed: log size 11 MB exceeds allowed threshold of 10 MB", limits.Refusal(new ActionLimits { LogsMb = 11 }));
        Assert.Null(limits.Memory.Refusal(null));
    }
}
