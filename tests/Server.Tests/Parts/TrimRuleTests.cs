using Frusta.Server.Parts;

namespace Frusta.Server.Tests.Parts;

/// <summary>When the server gives memory back, interval by interval.</summary>
public sealed class TrimRuleTests
{
    private const long Megabyte = 1L << 20;
    private readonly TrimRule _rule = new();

    [Fact]
    public void After_a_load_memory_is_given_back_a_few_times()
    {
        Assert.Equal(0, Trims(megabytes: 100, intervals: 20));
        Assert.Equal(4, Trims(megabytes: 1, intervals: 100));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(20)]
    [InlineData(32)]
    public void Steady_light_traffic_is_no_load(int megabytes) => Assert.Equal(0, Trims(megabytes, intervals: 1000));

    [Fact]
    public void Steady_light_traffic_after_a_load_is_held_up_a_few_times_in_all()
    {
        Trims(megabytes: 500, intervals: 1);
        Assert.Equal(4, Trims(megabytes: 20, intervals: 1000));
    }

    [Fact]
    public void A_load_that_comes_back_counts_anew()
    {
        Trims(megabytes: 500, intervals: 1);
        Assert.Equal(2, Trims(megabytes: 1, intervals: 2));
        Assert.Equal(0, Trims(megabytes: 500, intervals: 1));
        Assert.Equal(4, Trims(megabytes: 1, intervals: 100));
    }

    private int Trims(int megabytes, int intervals) => Enumerable.Range(0, intervals).Count(_ => _rule.IsTimeToTrim(megabytes * Megabyte));
}
