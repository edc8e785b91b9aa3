using Microsoft.Extensions.Time.Testing;

namespace Frusta.Journal.Tests;

public sealed class SegmentSupplyTests : IDisposable
{
    private const int NoRoom = 2001;
    private const int RoomAgain = 2002;
    private const int NoRoomForLarge = 2005;

    private static readonly byte[] HalfOfASegment = new byte[30_000];

    private readonly TestFolder _folder = new();
    private readonly FakeTimeProvider _clock = new();
    private readonly TestLog _said = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_segment_that_could_not_be_made_is_tried_again_by_itself()
    {
        using var log = Open(_folder.Options);
        await SpendTheSpareWhileThereIsNoRoomAsync(log);
        var ready = log.ReadyBytes;

        _clock.Advance(TimeSpan.FromSeconds(2));
        await Eventually.TrueAsync(() => log.ReadyBytes > ready);
        Assert.Equal(1, _said.Count(NoRoom));
        Assert.Equal(1, _said.Count(RoomAgain));
    }

    [Fact]
    public async Task A_failure_of_long_ago_refuses_no_entry()
    {
        using var log = Open(_folder.Options);
        await SpendTheSpareWhileThereIsNoRoomAsync(log);
        log.Append(1, [], HalfOfASegment);

        _clock.Advance(TimeSpan.FromHours(2));
        Assert.True(log.TryAppend(1, [], HalfOfASegment, out _));
        Assert.Equal(LogState.Open, log.State);
    }

    [Fact]
    public async Task A_failure_is_said_once_however_often_it_is_tried_again()
    {
        using var log = Open(_folder.Options with { MaxBytes = 4 * 64 * 1024 });
        log.KeepAhead(8 * 64 * 1024);
        await Eventually.TrueAsync(() => _said.Count(NoRoom) == 1);
        for (var i = 0; i < 8; i++)
        {
            Assert.True(log.TryAppend(1, [], HalfOfASegment, out _));
        }

        Assert.False(log.TryAppend(1, [], HalfOfASegment, out _));
        _clock.Advance(TimeSpan.FromSeconds(2));
        Assert.False(log.TryAppend(1, [], HalfOfASegment, out _));
        Assert.False(log.Accepts);
        Assert.True(log.Release(1));
        await Eventually.TrueAsync(() => log.Accepts);
        Assert.True(log.TryAppend(1, [], HalfOfASegment, out _));
        Assert.Equal(1, _said.Count(NoRoom));
        Assert.Equal(0, _said.Count(RoomAgain));

        log.KeepAhead(0);
        Assert.True(log.Release(2));
        await Eventually.TrueAsync(() => _said.Count(RoomAgain) == 1);
    }

    [Fact]
    public async Task An_entry_larger_than_a_segment_that_finds_no_room_stops_no_other()
    {
        using var log = Open(_folder.Options with { MaxBytes = 5 * 64 * 1024 });
        for (var i = 0; i < 4; i++)
        {
            log.Append(1, [], HalfOfASegment);
        }

        await Eventually.TrueAsync(() => log.ReadyBytes > 64 * 1024);
        var refused = Assert.Throws<LogRefusedException>(() => log.Append(1, [], new byte[200_000]));
        Assert.Equal(LogState.Full, refused.State);
        Assert.Contains("has reached its", refused.Message, StringComparison.Ordinal);
        Assert.False(log.TryAppend(1, [], new byte[200_000], out _));
        Assert.Equal(1, _said.Count(NoRoomForLarge));
        Assert.Equal(0, _said.Count(NoRoom));

        Assert.True(log.Accepts);
        Assert.Equal(LogState.Open, log.State);
        for (var i = 0; i < 4; i++)
        {
            log.Append(1, [], HalfOfASegment);
        }
    }

    /// <summary>Leaves a log that writes into its last segment; the next one could not be made, although by now it can.</summary>
    private async Task SpendTheSpareWhileThereIsNoRoomAsync(SegmentedLog log)
    {
        await Eventually.TrueAsync(() => log.ReadyBytes > 0);
        var taken = Enumerable.Range(2, 100).Select(i => Path.Combine(_folder.Path, "log", $"{i}.spare")).ToList();
        taken.ForEach(path => File.WriteAllText(path, "The name is taken."));
        log.Append(1, [], HalfOfASegment);
        await Eventually.TrueAsync(() => _said.Count(NoRoom) == 1);
        taken.ForEach(File.Delete);
    }

    private SegmentedLog Open(SegmentedLogOptions options) => SegmentedLog.Open(options, _clock, _said);
}
