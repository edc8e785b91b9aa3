using Frusta.Contracts.Limits;
using Microsoft.Extensions.Time.Testing;

namespace Frusta.Contracts.Tests.Limits;

public sealed class SeldomLineTests
{
    [Fact]
    public void A_line_is_written_once_in_ten_seconds_and_says_how_many_it_stands_for()
    {
        var clock = new FakeTimeProvider();
        var line = new SeldomLine(clock);

        Assert.True(line.IsDue(out var first));
        Assert.All(Enumerable.Range(0, 6), _ => Assert.False(line.IsDue(out _)));
        clock.Advance(TimeSpan.FromSeconds(10));
        Assert.True(line.IsDue(out var second));

        Assert.Equal((1, 7), (first, second));
    }
}
