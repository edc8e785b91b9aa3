using Frusta.Contracts.Buffers;

namespace Frusta.Journal.Tests;

public sealed class LogRecoveryTests : IDisposable
{
    private readonly TestFolder _folder = new();

    private SegmentedLogOptions Quiet => _folder.Options with { FlushInterval = TimeSpan.FromSeconds(10) };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_torn_tail_is_cut_at_every_byte_of_the_last_entry()
    {
        LogPosition last;
        using (var log = _folder.Open())
        {
            log.Append(1, [], "first"u8);
            log.Append(1, [], "second"u8);
            last = log.Append(1, [], "the last entry of it all"u8);
        }

        var whole = File.ReadAllBytes(_folder.Segment(1));
        var start = last.Offset - EntryFormat.HeaderBytes;
        for (var torn = start; torn < last.Offset + last.Length; torn++)
        {
            var bytes = whole.ToArray();
            bytes.AsSpan(torn, last.Offset + last.Length - torn).Clear();
            File.WriteAllBytes(_folder.Segment(1), bytes);
            using (var log = _folder.Open())
            {
                Assert.Equal(["1:first", "1:second"], TestFolder.ReadAll(log));
                log.Append(1, [], "third"u8);
            }

            using var again = _folder.Open();
            Assert.Equal(["1:first", "1:second", "1:third"], TestFolder.ReadAll(again));
        }
    }

    [Fact]
    public async Task A_bad_entry_that_was_on_disk_stops_the_start_with_words()
    {
        LogPosition first;
        using (var log = _folder.Open(Quiet))
        {
            first = log.Append(1, [], "was on disk"u8);
            await log.SyncedAsync(first, Cancellation);
            log.Append(1, [], "says so"u8);
        }

        Flip(first.Segment, first.Offset);
        var damage = Assert.Throws<LogDamagedException>(() => _folder.Open());
        Assert.Contains(_folder.Segment(1), damage.Message, StringComparison.Ordinal);
        Assert.Contains("start again", damage.Message, StringComparison.Ordinal);

        Flip(first.Segment, first.Offset);
        using var repaired = _folder.Open();
        Assert.Equal(2, TestFolder.ReadAll(repaired).Count);
    }

    [Fact]
    public void A_bad_entry_that_was_promised_to_nobody_is_cut_with_all_behind_it_for_good()
    {
        LogPosition first;
        using (var log = _folder.Open(Quiet))
        {
            log.Append(1, [], "zero"u8);
            first = log.Append(1, [], "one"u8);
            log.Append(1, [], "two"u8);
        }

        Flip(first.Segment, first.Offset);
        using (var log = _folder.Open())
        {
            Assert.Equal(["1:zero"], TestFolder.ReadAll(log));
            log.Append(1, [], "ONE"u8); // As long as the bad one: what stood behind that now stands behind this.
        }

        using var again = _folder.Open();
        Assert.Equal(["1:zero", "1:ONE"], TestFolder.ReadAll(again));
    }

    [Fact]
    public async Task A_damaged_entry_in_an_old_segment_is_found_when_it_is_read()
    {
        LogPosition first;
        using (var log = _folder.Open())
        {
            first = log.Append(1, [], "old"u8);
            Fill(log, segments: 3);
            await log.SyncedAsync(log.End, Cancellation);
            Fill(log, segments: 2);
        }

        Flip(first.Segment, first.Offset);
        using var again = _folder.Open();
        Assert.Throws<LogDamagedException>(() => TestFolder.ReadAll(again));
        using var buffer = PooledBuffer.Rent();
        Assert.Throws<LogDamagedException>(() => again.TryRead(first, buffer));
        Assert.Equal(0, buffer.Length);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void A_power_cut_after_segments_were_sealed_and_before_they_were_synced_is_cut_at_the_first_bad_entry(int segments)
    {
        LogPosition second;
        var left = Directory.CreateDirectory(Path.Combine(_folder.Path, "left")).FullName;
        using (var log = _folder.Open(Quiet))
        {
            log.Append(1, [], "zero"u8);
            second = log.Append(1, [], "one"u8);
            Fill(log, segments);
            Assert.Equal(0, log.Syncs);
            foreach (var file in Directory.GetFiles(Path.Combine(_folder.Path, "log"), "*.seg"))
            {
                File.Copy(file, Path.Combine(left, Path.GetFileName(file)));
            }
        }

        // The page with the seal reached the disk, the one before it did not.
        Flip(Path.Combine(left, Path.GetFileName(_folder.Segment(1))), second.Offset);
        using var cut = _folder.Open(Quiet with { Folder = left });
        Assert.Equal(["1:zero"], TestFolder.ReadAll(cut));
        Assert.Single(cut.ListSegments());
    }

    [Fact]
    public async Task Recycled_segments_never_bring_old_entries_back()
    {
        var options = _folder.Options with { Released = ReleasedSegments.Recycle };
        using (var log = _folder.Open(options))
        {
            log.SegmentSealed = segment => log.Release(segment);
            for (var i = 0; i < 1000; i++)
            {
                log.Append(1, [], new byte[1000]);
            }

            await log.SyncedAsync(log.End, Cancellation);
            Fill(log, segments: 1);
            log.Append(2, [], "new"u8);
            await log.SyncedAsync(log.End, Cancellation);
            Assert.Single(log.ListSegments());
            await Eventually.TrueAsync(() => log.TotalBytes <= 6L * options.SegmentBytes);
        }

        using var again = _folder.Open(options);
        var entries = TestFolder.ReadAll(again);
        Assert.Equal("2:new", entries[^1]);
        Assert.InRange(entries.Count, 1, 65);
    }

    [Fact]
    public void A_log_at_its_bound_refuses_and_goes_on_when_a_segment_is_released()
    {
        using var log = _folder.Open(Quiet with { MaxBytes = 3 * 64 * 1024 });
        var appended = 0;
        while (log.TryAppend(1, [], new byte[1000], out _))
        {
            appended++;
        }

        Assert.InRange(appended, 150, 192);
        Assert.Equal(LogState.Full, log.State);
        Assert.False(log.Accepts);
        Assert.Contains("has reached its", Assert.Throws<LogRefusedException>(() => log.Append(1, [], new byte[1000])).Message, StringComparison.Ordinal);
        Assert.Equal(appended, TestFolder.ReadAll(log).Count);
        Assert.True(log.Release(1));
        Assert.True(SpinWait.SpinUntil(() => log.TryAppend(1, [], new byte[1000], out _), TimeSpan.FromMinutes(1)));
        Assert.Equal(LogState.Open, log.State);
        Assert.True(log.Accepts);
    }

    [Fact]
    public void A_full_disk_refuses_and_never_kills_the_process()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "mounting a small disk needs root");
        var disk = Directory.CreateDirectory(Path.Combine(_folder.Path, "disk")).FullName;
        Assert.SkipUnless(Run("mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk) == 0, "this host does not let us mount");
        try
        {
            using var log = _folder.Open(Quiet with { Folder = Path.Combine(disk, "log") });
            var appended = 0;
            while (log.TryAppend(1, [], new byte[1000], out _))
            {
                appended++;
            }

            Assert.Equal(LogState.Full, log.State);
            Assert.Equal(appended, TestFolder.ReadAll(log).Count);
        }
        finally
        {
            Run("umount", disk);
        }
    }

    private static int Run(string program, params string[] arguments)
    {
        using var process = System.Diagnostics.Process.Start(program, arguments);
        process.WaitForExit();
        return process.ExitCode;
    }

    private static void Fill(SegmentedLog log, int segments)
    {
        for (var until = log.ActiveSegment + segments; log.ActiveSegment < until;)
        {
            log.Append(3, [], new byte[1000]);
        }
    }

    private void Flip(long segment, int offset) => Flip(_folder.Segment(segment), offset);

    private static void Flip(string path, int offset)
    {
        using var file = File.Open(path, FileMode.Open);
        file.Position = offset;
        var value = file.ReadByte();
        file.Position = offset;
        file.WriteByte((byte)(value ^ 0x40));
    }
}
