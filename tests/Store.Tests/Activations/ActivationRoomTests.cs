using Frusta.Contracts.Messages;
using Frusta.Store.Activations;

namespace Frusta.Store.Tests.Activations;

public sealed class ActivationRoomTests : ActivationStoreFixture
{
    [Fact]
    public async Task Retention_by_size_drops_the_oldest_slices_and_gives_the_space_back()
    {
        var options = Small();
        options.MaxBytes = 8 * options.SegmentBytes;
        options.SliceBytes = 2 * options.SegmentBytes;
        var store = Open(Folder, options);
        List<FinishedActivation> appended = [];
        for (var round = 0; round < 20; round++)
        {
            appended.AddRange(Append(store, 200, first: 1 + round * 200));
            store = await ReopenAsync(store, options);
        }

        var logBytes = Directory.GetFiles(Folder.Sub("log")).Sum(file => new FileInfo(file).Length);
        Assert.InRange(logBytes, 1, options.MaxBytes + 6 * options.SegmentBytes);
        Assert.Null(await store.GetAsync("acme", appended[0].Id, Cancelled));
        Assert.NotNull(await store.GetAsync("acme", appended[^1].Id, Cancelled));
        var left = await store.CountAsync(new ActivationQuery("acme"), Cancelled);
        Assert.InRange(left, 100, appended.Count - 1000);
        await AssertListedAsync(store, new ActivationQuery("acme", Limit: (int)left), appended);
    }

    [Fact]
    public async Task Retention_by_age_drops_slices_whose_newest_record_is_too_old()
    {
        var options = Small();
        options.MaxAge = TimeSpan.FromDays(1);
        var clock = new Microsoft.Extensions.Time.Testing.FakeTimeProvider(DateTimeOffset.FromUnixTimeMilliseconds(Epoch));
        var store = Open(Folder, options, clock);
        var appended = Append(store, 2000);
        await CloseAsync(store);
        Assert.True(Directory.GetFiles(Folder.Sub("index"), "*.index").Length > 2);

        clock.Advance(TimeSpan.FromDays(2));
        store = Open(Folder, options, clock);
        clock.Advance(options.IndexInterval);
        await Eventually.TrueAsync(() => Directory.GetFiles(Folder.Sub("index"), "*.index").Length <= 1);

        Assert.Null(await store.GetAsync("acme", appended[0].Id, Cancelled));
        Assert.InRange(await store.CountAsync(new ActivationQuery("acme"), Cancelled), 0, 1000);
    }

    [Fact]
    public async Task A_log_without_room_refuses_and_says_so()
    {
        var options = Small();
        options.MaxBytes = 4 * options.SegmentBytes;
        options.SliceBytes = 1L << 40;
        options.MaxRecordBytes = 64 << 10;
        var store = Open(Folder, options);
        Assert.True(store.Healthy);

        var refused = Assert.Throws<Journal.LogRefusedException>(() => Append(store, 20_000));

        Assert.Equal(Journal.LogState.Full, refused.State);
        Assert.False(store.Healthy);
        var count = await store.CountAsync(new ActivationQuery("acme"), Cancelled);
        Assert.InRange(count, 100, 19_999);
        Assert.Throws<Journal.LogRefusedException>(() => store.Append(Finished(30_000)));
    }

    [Fact]
    public async Task A_log_that_had_no_room_for_a_while_takes_records_again()
    {
        var options = Small();
        var clock = new Microsoft.Extensions.Time.Testing.FakeTimeProvider(DateTimeOffset.FromUnixTimeMilliseconds(Epoch));
        var store = Open(Folder, options, clock);
        var taken = Enumerable.Range(3, 1000).Select(i => Folder.Sub(Path.Combine("log", $"{i}.spare"))).ToList();
        await Eventually.TrueAsync(() => Directory.GetFiles(Folder.Sub("log"), "*.spare").Length >= 2);
        taken.ForEach(path => File.WriteAllText(path, "The name is taken."));
        Assert.Throws<Journal.LogRefusedException>(() => Append(store, 20_000));
        Assert.False(store.Healthy);

        taken.ForEach(File.Delete);
        clock.Advance(TimeSpan.FromSeconds(2));
        await Eventually.TrueAsync(() => store.Healthy);
        Assert.True(store.Append(Finished(30_000)));
    }

    [Fact]
    public void A_slice_that_is_larger_than_the_log_may_be_is_refused_by_name()
    {
        var options = new ActivationStoreOptions { MaxBytes = 256L << 20, SliceBytes = 256L << 20 };
        Assert.Null(new StoreOptions { Activations = options }.Validate());

        options.SliceBytes++;
        Assert.Equal(
            "Store:Activations:SliceBytes (at most MaxBytes) must be from 65536 to 268435456, but it is 268435457.",
            new StoreOptions { Activations = options }.Validate());
    }

    [Fact]
    public async Task A_slice_as_large_as_the_log_may_be_ends_before_the_log_is_full()
    {
        var options = Small();
        options.MaxBytes = 32 * options.SegmentBytes;
        options.SliceBytes = options.MaxBytes;
        options.MaxRecordBytes = 64 << 10;
        options.FlushInterval = options.IndexInterval = TimeSpan.FromMilliseconds(1);
        Assert.Null(new StoreOptions { Activations = options }.Validate());
        var store = Open(Folder, options, TimeProvider.System);
        var isRefused = false;
        for (var i = 0; i < 60_000; i++)
        {
            // Small ones, of which the log has more bytes than they have themselves.
            var finished = Finished(i, kept: false);
            await Eventually.TrueAsync(() => store.Healthy);
            try
            {
                Assert.True(store.Append(finished));
                isRefused = false;
            }
            catch (Journal.LogRefusedException) when (!isRefused)
            {
                isRefused = true;
                i--;
            }
        }
    }

    [Fact]
    public async Task Records_that_the_index_cannot_keep_up_with_are_refused_and_nothing_is_lost()
    {
        var options = Small();
        options.UnindexedRecords = 1024;
        options.IndexBatch = 100_000;
        options.IndexInterval = TimeSpan.FromMinutes(1);
        var store = Open(Folder, options);
        Append(store, 1024);

        Assert.False(store.Healthy);
        Assert.Throws<StoreOverloadedException>(() => store.Append(Finished(5000)));
        Assert.Equal(1024, await store.CountAsync(new ActivationQuery("acme"), Cancelled));
    }
}
