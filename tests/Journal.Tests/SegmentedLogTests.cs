using Frusta.Contracts.Buffers;

namespace Frusta.Journal.Tests;

public sealed class SegmentedLogTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Entries_are_read_in_the_order_of_their_appends_and_by_position()
    {
        using var log = _folder.Open();
        var first = log.Append(1, "he"u8, "ad"u8);
        var second = log.Append(2, [], "body"u8);

        Assert.Equal(["1:head", "2:body"], TestFolder.ReadAll(log));
        Assert.Equal(["2:body"], TestFolder.ReadAll(log, first));
        Assert.Empty(TestFolder.ReadAll(log, log.End));
        using var buffer = PooledBuffer.Rent();
        Assert.True(log.TryRead(second, buffer));
        Assert.Equal("body"u8, buffer.Span);
    }

    [Fact]
    public void What_was_appended_is_there_after_the_next_start()
    {
        var expected = Enumerable.Range(0, 5000).Select(i => $"7:entry {i} {new string('x', i % 100)}").ToList();
        using (var log = _folder.Open())
        {
            foreach (var line in expected)
            {
                log.Append(7, [], System.Text.Encoding.UTF8.GetBytes(line[2..]));
            }
        }

        using var again = _folder.Open();
        Assert.Equal(expected, TestFolder.ReadAll(again));
        again.Append(7, [], "more"u8);
        Assert.Equal([.. expected, "7:more"], TestFolder.ReadAll(again));
        Assert.True(again.ListSegments().Count > 3);
    }

    [Fact]
    public void An_entry_larger_than_a_segment_gets_a_segment_of_its_own()
    {
        var large = new byte[200_000];
        Random.Shared.NextBytes(large);
        LogPosition position;
        using (var log = _folder.Open())
        {
            log.Append(1, [], "before"u8);
            position = log.Append(2, large.AsSpan(0, 10), large.AsSpan(10));
            log.Append(1, [], "after"u8);
        }

        using var again = _folder.Open();
        using var buffer = PooledBuffer.Rent();
        Assert.True(again.TryRead(position, buffer));
        Assert.Equal(large, buffer.Span);
        Assert.Equal(3, TestFolder.ReadAll(again).Count);
        Assert.Throws<ArgumentException>(() => again.Append(1, [], new byte[_folder.Options.MaxEntryBytes + 1]));
    }

    [Fact]
    public void A_second_process_cannot_open_the_folder()
    {
        using var log = _folder.Open();
        Assert.Throws<IOException>(() => _folder.Open());
    }

    [Fact]
    public void Only_the_owner_may_read_the_files()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Skip("no file modes there");
            return;
        }

        using var log = _folder.Open();
        log.Append(1, [], "secret"u8);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_folder.Segment(1)));
        Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute,
            File.GetUnixFileMode(_folder.Options.Folder));
    }

    [Fact]
    public void An_append_allocates_nothing()
    {
        using var log = _folder.Open(_folder.Options with { SegmentBytes = 16 * 1024 * 1024 });
        var body = new byte[1000];
        for (var i = 0; i < 100; i++)
        {
            log.Append(1, body, body);
        }

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            log.Append(1, body, body);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public async Task Waiters_share_syncs()
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var log = _folder.Open(_folder.Options with { SegmentBytes = 16 * 1024 * 1024 });
        await Task.WhenAll(Enumerable.Range(0, 64).Select(producer => Task.Run(
            async () =>
            {
                for (var i = 0; i < 50; i++)
                {
                    var position = log.Append(1, [], "entry"u8);
                    await log.SyncedAsync(position, cancellation);
                    Assert.False(log.Synced.Offset < position.Offset + position.Length && log.Synced.Segment == position.Segment);
                }
            },
            cancellation)));

        Assert.InRange(log.Syncs, 1, 64 * 50 / 2);
        Assert.Equal(3200, TestFolder.ReadAll(log).Count);
    }

    [Fact]
    public async Task An_append_that_nobody_waits_for_is_synced_within_the_flush_interval()
    {
        var clock = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        using var log = SegmentedLog.Open(_folder.Options, clock, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        log.Append(1, [], "entry"u8);
        clock.Advance(TimeSpan.FromMilliseconds(99));
        Assert.Equal(0, log.Syncs);
        clock.Advance(TimeSpan.FromMilliseconds(1));
        await Eventually.TrueAsync(() => log.Synced == log.End);
    }

    [Fact]
    public async Task A_sealed_segment_is_announced_once_and_can_be_released()
    {
        var released = new List<long>();
        using var log = _folder.Open();
        log.SegmentSealed = released.Add;
        for (var i = 0; i < 300; i++)
        {
            log.Append(1, [], new byte[1000]);
        }

        await log.SyncedAsync(log.End, TestContext.Current.CancellationToken);
        Assert.Equal([1L, 2, 3, 4], released);
        Assert.True(log.Release(2));
        Assert.False(log.Release(2));
        Assert.False(log.Release(log.ActiveSegment));
        await Eventually.TrueAsync(() => !File.Exists(_folder.Segment(2)));
        Assert.Equal([1L, 3, 4, 5], log.ListSegments().Select(segment => segment.Number));
    }

    [Fact]
    public async Task Readers_see_whole_entries_while_appends_go_on()
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var log = _folder.Open();
        var writer = Task.Run(
            () =>
            {
                for (var i = 0; i < 20_000; i++)
                {
                    log.Append(1, [], BitConverter.GetBytes(i));
                }
            },
            cancellation);
        var seen = 0;
        var last = default(LogPosition);
        while (seen < 20_000)
        {
            using var reader = log.ReadAfter(last);
            foreach (var entry in reader)
            {
                Assert.Equal(seen++, BitConverter.ToInt32(entry.Payload));
                last = entry.Position;
            }
        }

        await writer;
    }
}
