using Frusta.Server.Configuration;
using Frusta.Server.Doors;

namespace Frusta.Server.Tests.Doors;

public sealed class ConnectionBoundTests
{
    [Fact]
    public void Where_files_are_plenty_the_options_bound_holds_and_nothing_is_said()
    {
        var room = ConnectionBound.Of(10_000, openFiles: 1_000_000);

        Assert.Equal((10_000, 10_000), (room.Api, room.Sandboxes));
        Assert.Empty(room.Report);
    }

    [Fact]
    public void Where_files_are_few_half_of_what_is_left_is_the_sandboxes_and_the_start_screen_says_so()
    {
        var room = ConnectionBound.Of(10_000, openFiles: 512);

        Assert.Equal((72, 24), (room.Api, room.Sandboxes));
        Assert.StartsWith("at most 72 connections at a time instead of 10000,", Assert.Single(room.Report), StringComparison.Ordinal);
    }

    [Fact]
    public void Too_few_files_are_refused_in_words() =>
        Assert.Contains("needs at least 512", Assert.Throws<StartRefusedException>(() => ConnectionBound.Of(10, openFiles: 511)).Message, StringComparison.Ordinal);
}
