using System.Globalization;
using System.Text;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Store.Activations;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Store.Tests.Activations;

public sealed class ActivationStoreTests : IAsyncDisposable
{
    private const long Epoch = 1_765_432_000_000;

    private readonly TemporaryFolder _folder = new();
    private readonly List<ActivationStore> _opened = [];

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        foreach (var store in _opened)
        {
            await store.DisposeAsync();
        }

        _folder.Dispose();
    }

    [Fact]
    public async Task A_record_is_read_back_byte_for_byte_at_once_and_from_the_index()
    {
        var store = Open(_folder);
        var finished = Finished(1);
        var json = finished.Record.Span.ToArray();

        Assert.True(store.Append(finished));
        Assert.Equal(json, await store.GetAsync("acme", finished.Id, Cancelled));
        Assert.Equal(json, Assert.Single(await store.ListAsync(new ActivationQuery("acme"), Cancelled)));

        store = await ReopenAsync(store);
        Assert.Equal(json, await store.GetAsync("acme", finished.Id, Cancelled));
        Assert.Equal(json, Assert.Single(await store.ListAsync(new ActivationQuery("acme"), Cancelled)));
    }

    [Fact]
    public async Task A_record_belongs_to_one_namespace()
    {
        var store = Open(_folder);
        var finished = Finished(1);
        store.Append(finished);

        Assert.Null(await store.GetAsync("zoe", finished.Id, Cancelled));
        Assert.Empty(await store.ListAsync(new ActivationQuery("zoe"), Cancelled));
        store = await ReopenAsync(store);
        Assert.Null(await store.GetAsync("zoe", finished.Id, Cancelled));
        Assert.Equal(0, await store.CountAsync(new ActivationQuery("zoe"), Cancelled));
    }

    [Fact]
    public async Task A_second_record_of_one_id_is_refused()
    {
        var store = Open(_folder);
        var first = Finished(1);
        Assert.True(store.Append(first));
        Assert.False(store.Append(Finished(2, id: first.Id)));

        Assert.Equal(1, await store.CountAsync(new ActivationQuery("acme"), Cancelled));
        Assert.Equal(first.Record.Span.ToArray(), await store.GetAsync("acme", first.Id, Cancelled));
    }

    [Fact]
    public async Task A_record_that_is_not_kept_is_known_but_not_shown()
    {
        var store = Open(_folder);
        var finished = Finished(1, kept: false);
        Assert.True(store.Append(finished));

        for (var round = 0; round < 2; round++)
        {
            Assert.True(await store.ContainsAsync(finished.Id, Cancelled));
            Assert.Null(await store.GetAsync("acme", finished.Id, Cancelled));
            Assert.Equal(0, await store.CountAsync(new ActivationQuery("acme"), Cancelled));
            store = await ReopenAsync(store);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_was_appended_is_there_after_a_kill(bool indexed)
    {
        var store = Open(_folder);
        var appended = Append(store, 500);
        if (indexed)
        {
            store = await ReopenAsync(store);
            appended.AddRange(Append(store, 20, first: 501));
        }

        using var left = _folder.CopyAsIfKilled();
        var reopened = Open(left);

        Assert.Equal(appended.Count, await reopened.CountAsync(new ActivationQuery("acme"), Cancelled));
        foreach (var finished in appended)
        {
            Assert.True(await reopened.ContainsAsync(finished.Id, Cancelled));
            Assert.Equal(finished.Record.Span.ToArray(), await reopened.GetAsync("acme", finished.Id, Cancelled));
        }

        await CloseAsync(reopened);
    }

    [Fact]
    public async Task A_torn_tail_is_cut_and_the_rest_is_there()
    {
        var store = Open(_folder);
        var appended = Append(store, 50);
        using var left = _folder.CopyAsIfKilled();
        foreach (var index in Directory.GetFiles(left.Path, "*.index*", SearchOption.AllDirectories))
        {
            File.Delete(index);
        }

        var segment = Directory.GetFiles(left.File("log"), "*.seg").Single();
        var bytes = await File.ReadAllBytesAsync(segment, Cancelled);
        var last = bytes.AsSpan().LastIndexOf("}"u8);
        bytes[last - 3] ^= 0x5a;
        await File.WriteAllBytesAsync(segment, bytes, Cancelled);

        var reopened = Open(left);

        Assert.Equal(49, await reopened.CountAsync(new ActivationQuery("acme"), Cancelled));
        Assert.Null(await reopened.GetAsync("acme", appended[^1].Id, Cancelled));
        Assert.True(reopened.Append(Finished(1000)));
        Assert.Equal(50, await reopened.CountAsync(new ActivationQuery("acme"), Cancelled));
        await CloseAsync(reopened);
    }

    [Theory]
    [InlineData("gone")]
    [InlineData("spoiled")]
    public async Task Indexes_that_are_missing_or_damaged_are_built_anew(string how)
    {
        var store = Open(_folder, Small());
        var appended = Append(store, 2000);
        await CloseAsync(store);
        var indexes = Directory.GetFiles(_folder.File("index"), "*.index");
        Assert.True(indexes.Length >= 3, $"The test needs several slices, but there are {indexes.Length}.");
        foreach (var index in (string[])[indexes[0], indexes[^2], indexes[^1]])
        {
            if (string.Equals(how, "gone", StringComparison.Ordinal))
            {
                File.Delete(index);
            }
            else
            {
                await File.WriteAllBytesAsync(index, new byte[8192], Cancelled);
            }
        }

        store = Open(_folder, Small());

        Assert.Equal(2000, await store.CountAsync(new ActivationQuery("acme"), Cancelled));
        await AssertListedAsync(store, new ActivationQuery("acme", Skip: 990, Limit: 20), appended);
        foreach (var finished in appended.Where((_, i) => i % 50 == 0))
        {
            Assert.Equal(finished.Record.Span.ToArray(), await store.GetAsync("acme", finished.Id, Cancelled));
        }
    }

    [Fact]
    public async Task An_index_that_turns_out_damaged_while_it_is_read_is_built_anew()
    {
        const int SoundBytes = 8 * 4096;
        var store = Open(_folder, Small());
        Append(store, 2000);
        await CloseAsync(store);
        var index = Directory.GetFiles(_folder.File("index"), "*.index").Order(StringComparer.Ordinal).First();
        var bytes = await File.ReadAllBytesAsync(index, Cancelled);
        Assert.True(bytes.Length > SoundBytes, "The index has no pages but the roots.");
        bytes.AsSpan(SoundBytes).Fill(0x5a);
        await File.WriteAllBytesAsync(index, bytes, Cancelled);
        store = Open(_folder, Small());

        await Assert.ThrowsAsync<Microsoft.Data.Sqlite.SqliteException>(() => store.CountAsync(new ActivationQuery("acme"), Cancelled).AsTask());
        var count = 0L;
        while (count == 0)
        {
            try
            {
                count = await store.CountAsync(new ActivationQuery("acme"), Cancelled);
            }
            catch (Microsoft.Data.Sqlite.SqliteException)
            {
                await Task.Yield();
            }
        }

        Assert.Equal(2000, count);
    }

    [Fact]
    public async Task Ids_of_another_origin_are_found()
    {
        var store = Open(_folder);
        var id = new ActivationId(0x0b1f7c526a0e4d7c, 0x9c436f2f8f2d7a10);
        store.Append(Finished(1, id: id));
        store = await ReopenAsync(store);

        Assert.NotNull(await store.GetAsync("acme", id, Cancelled));
        Assert.True(await store.ContainsAsync(id, Cancelled));
        Assert.False(await store.ContainsAsync(new ActivationId(0x0b1f7c526a0e4d7c, 0x9c436f2f8f2d7a11), Cancelled));
    }

    [Fact]
    public async Task Lists_and_counts_equal_a_plain_model_under_random_data()
    {
        const int Seed = 20_251;
        var random = new Random(Seed);
        var store = Open(_folder, Small());
        var model = new List<FinishedActivation>();
        string[] namespaces = ["acme", "zoe", "guest"];
        string[] names = ["hello", "orders/price", "orders/hello", "größe"];
        for (var round = 0; round < 4; round++)
        {
            for (var i = 0; i < 400; i++)
            {
                var finished = Finished(
                    random.Next(0, 300), namespaces[random.Next(3)], names[random.Next(4)], padding: random.Next(0, 400),
                    id: random.Next(3) == 0 ? Other(random) : null);
                Assert.True(store.Append(finished));
                model.Add(finished);
            }

            for (var i = 0; i < 60; i++)
            {
                long? since = random.Next(2) == 0 ? null : Epoch + random.Next(0, 300);
                long? upto = random.Next(2) == 0 ? null : Epoch + random.Next(0, 300);
                var query = new ActivationQuery(
                    namespaces[random.Next(3)], random.Next(2) == 0 ? null : names[random.Next(4)], since, upto, random.Next(0, 40), random.Next(1, 60));
                await AssertListedAsync(store, query, model);
                Assert.Equal(Matching(query, model).Count(), await store.CountAsync(query, Cancelled));
            }

            store = round % 2 == 0 ? await ReopenAsync(store, Small()) : store;
        }
    }

    [Fact]
    public async Task Each_record_appears_exactly_once_while_records_are_appended_and_indexed()
    {
        const int Writers = 3;
        const int Each = 3000;
        var options = Small();
        options.IndexInterval = TimeSpan.FromMilliseconds(1);
        options.FlushInterval = TimeSpan.FromMilliseconds(1);
        var store = Open(_folder, options);
        var done = new int[Writers];
        var writers = Enumerable.Range(0, Writers).Select(writer => Task.Run(() =>
        {
            for (var i = 1; i <= Each; i++)
            {
                Assert.True(store.Append(Finished(i, "acme", $"w{writer}")));
                Volatile.Write(ref done[writer], i);
            }
        })).ToArray();

        var all = Task.WhenAll(writers);
        do
        {
            for (var writer = 0; writer < Writers; writer++)
            {
                var before = Volatile.Read(ref done[writer]);
                var listed = await store.ListAsync(new ActivationQuery("acme", $"w{writer}", Limit: int.MaxValue), Cancelled);
                var counted = await store.CountAsync(new ActivationQuery("acme", $"w{writer}"), Cancelled);
                Assert.InRange(listed.Count, before, Each);
                Assert.InRange(counted, listed.Count, Each);
                var starts = listed.Select(StartOf).ToArray();
                Assert.Equal(Enumerable.Range(0, starts.Length).Select(i => Epoch + starts.Length - i), starts);
            }
        }
        while (!all.IsCompleted);

        await all;
        Assert.Equal(Writers * Each, await store.CountAsync(new ActivationQuery("acme"), Cancelled));
        store = await ReopenAsync(store, options);
        Assert.True(Directory.GetFiles(_folder.File("index"), "*.index").Length > 1);
        Assert.Equal(Writers * Each, await store.CountAsync(new ActivationQuery("acme"), Cancelled));
    }

    [Fact]
    public async Task Retention_by_size_drops_the_oldest_slices_and_gives_the_space_back()
    {
        var options = Small();
        options.MaxBytes = 8 * options.SegmentBytes;
        options.SliceBytes = 2 * options.SegmentBytes;
        var store = Open(_folder, options);
        List<FinishedActivation> appended = [];
        for (var round = 0; round < 20; round++)
        {
            appended.AddRange(Append(store, 200, first: 1 + round * 200));
            store = await ReopenAsync(store, options);
        }

        var logBytes = Directory.GetFiles(_folder.File("log")).Sum(file => new FileInfo(file).Length);
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
        var store = Open(_folder, options, clock);
        var appended = Append(store, 2000);
        await store.DisposeAsync();
        _opened.Remove(store);
        Assert.True(Directory.GetFiles(_folder.File("index"), "*.index").Length > 2);

        clock.Advance(TimeSpan.FromDays(2));
        store = Open(_folder, options, clock);
        clock.Advance(options.IndexInterval);
        while (Directory.GetFiles(_folder.File("index"), "*.index").Length > 1)
        {
            await Task.Yield();
            Cancelled.ThrowIfCancellationRequested();
        }

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
        var store = Open(_folder, options);
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
        var store = Open(_folder, options, clock);
        var taken = Enumerable.Range(3, 1000).Select(i => _folder.File(Path.Combine("log", $"{i}.spare"))).ToList();
        await UntilAsync(() => Directory.GetFiles(_folder.File("log"), "*.spare").Length >= 2);
        taken.ForEach(path => File.WriteAllText(path, "The name is taken."));
        Assert.Throws<Journal.LogRefusedException>(() => Append(store, 20_000));
        Assert.False(store.Healthy);

        taken.ForEach(File.Delete);
        clock.Advance(TimeSpan.FromSeconds(2));
        await UntilAsync(() => store.Healthy);
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
        var store = Open(_folder, options, TimeProvider.System);
        var isRefused = false;
        for (var i = 0; i < 60_000; i++)
        {
            // Small ones, of which the log has more bytes than they have themselves.
            var finished = Finished(i, kept: false);
            await UntilAsync(() => store.Healthy);
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
        var store = Open(_folder, options);
        Append(store, 1024);

        Assert.False(store.Healthy);
        Assert.Throws<StoreOverloadedException>(() => store.Append(Finished(5000)));
        Assert.Equal(1024, await store.CountAsync(new ActivationQuery("acme"), Cancelled));
    }

    [Fact]
    public async Task A_record_with_large_logs_is_kept_whole()
    {
        var store = Open(_folder);
        var finished = Finished(1, padding: 12 << 20);
        var json = finished.Record.Span.ToArray();
        Assert.True(store.Append(finished));
        store = await ReopenAsync(store);

        Assert.Equal(json, await store.GetAsync("acme", finished.Id, Cancelled));
    }

    [Fact]
    public async Task After_a_flush_records_are_indexed_without_a_close()
    {
        var options = Small();
        options.IndexInterval = TimeSpan.FromMilliseconds(1);
        var store = Open(_folder, options);
        Append(store, 2000);
        await store.FlushAsync(Cancelled);

        while (store.Unindexed >= 512)
        {
            await Task.Yield();
            Cancelled.ThrowIfCancellationRequested();
        }

        Assert.Equal(2000, await store.CountAsync(new ActivationQuery("acme"), Cancelled));
    }

    [Fact]
    public async Task Indexing_goes_on_after_failures_of_any_kind_and_says_each_end_once()
    {
        var options = Small();
        options.SliceBytes = 16 << 20;
        options.FlushInterval = options.IndexInterval = TimeSpan.FromMilliseconds(1);
        var first = Open(_folder, options);
        Append(first, 600);
        await CloseAsync(first);
        var said = new TestLog<ActivationStore>();
        var store = ActivationStore.Open(_folder.Path, options, TimeProvider.System, said);
        _opened.Add(store);

        // The batch fails in SQLite, and the index cannot be opened again: its folder is a link to nothing,
        // so that it comes back in one step, in between which the store cannot make a new one.
        var index = Assert.Single(Directory.GetFiles(_folder.File("index"), "*.index"));
        Spoil(index, "ALTER TABLE activations RENAME TO elsewhere");
        Directory.Move(_folder.File("index"), _folder.File("away"));
        Directory.CreateSymbolicLink(_folder.File("index"), _folder.File("back"));
        var appended = Append(store, 2000, first: 1000);
        await UntilAsync(() => said.Count(4103) == 1);

        Directory.Move(_folder.File("away"), _folder.File("back"));
        Spoil(index, "ALTER TABLE elsewhere RENAME TO activations");
        await UntilAsync(() => store.Unindexed < 512);
        await UntilAsync(() => said.Count(4104) == 1);
        Assert.Equal(1, said.Count(4103));
        Assert.Equal(2600, await store.CountAsync(new ActivationQuery("acme"), Cancelled));
        Assert.Equal(appended[0].Record.Span.ToArray(), await store.GetAsync("acme", appended[0].Id, Cancelled));
        Assert.Equal([index], Directory.GetFiles(_folder.File("index"), "*.index"));
    }

    private static void Spoil(string index, string statement)
    {
        using var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={index};Pooling=False");
        connection.Open();
        Store.Sqlite.SqliteFile.Execute(connection, statement);
    }

    private static ActivationStoreOptions Small() => new() { SegmentBytes = 64 << 10, SliceBytes = 128 << 10, IndexBatch = 256 };

    private ActivationStore Open(TemporaryFolder folder, ActivationStoreOptions? options = null, TimeProvider? clock = null)
    {
        var store = ActivationStore.Open(
            folder.Path, options ?? new ActivationStoreOptions { SegmentBytes = 1 << 20 }, clock ?? new StillClock(), NullLogger<ActivationStore>.Instance);
        _opened.Add(store);
        return store;
    }

    private async Task CloseAsync(ActivationStore store)
    {
        _opened.Remove(store);
        await store.DisposeAsync();
    }

    private async Task<ActivationStore> ReopenAsync(ActivationStore store, ActivationStoreOptions? options = null)
    {
        await CloseAsync(store);
        return Open(_folder, options);
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        for (var waited = System.Diagnostics.Stopwatch.StartNew(); !condition(); await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, Cancelled))
        {
            Assert.True(waited.Elapsed < TimeSpan.FromSeconds(30), "This did not come about in 30 seconds.");
        }
    }

    private static List<FinishedActivation> Append(ActivationStore store, int count, int first = 1)
    {
        var appended = new List<FinishedActivation>(count);
        for (var i = first; i < first + count; i++)
        {
            var finished = Finished(i);
            Assert.True(store.Append(finished));
            appended.Add(finished);
        }

        return appended;
    }

    private static FinishedActivation Finished(
        int startOffset, string namespaceName = "acme", string filterName = "hello", int padding = 300, ActivationId? id = null, bool kept = true)
    {
        var made = id ?? ActivationId.New(TimeProvider.System);
        var start = Epoch + startOffset;
        var json = $$$"""{"namespace":"{{{namespaceName}}}","activationId":"{{{made}}}","start":{{{start}}},"response":{"result":{"x":"{{{new string('x', padding)}}}"}},"logs":[]}""";
        return new FinishedActivation
        {
            Id = made,
            Namespace = namespaceName,
            FilterName = filterName,
            StartMs = start,
            EndMs = start + 5,
            Status = ActivationStatus.Success,
            Record = PooledBuffer.Copy(Encoding.UTF8.GetBytes(json)),
            LogsOffset = json.Length - 3,
            Store = kept,
        };
    }

    private static ActivationId Other(Random random) =>
        new(((ulong)random.NextInt64() & ~0xf000ul) | 0x4000, 0x8000_0000_0000_0000 | ((ulong)random.NextInt64() >> 2));

    private static IEnumerable<FinishedActivation> Matching(ActivationQuery query, IEnumerable<FinishedActivation> model) => model
        .Where(each => string.Equals(each.Namespace, query.Namespace, StringComparison.Ordinal)
            && (query.FilterName is null || string.Equals(each.FilterName, query.FilterName, StringComparison.Ordinal))
            && each.StartMs >= (query.SinceMs ?? long.MinValue) && each.StartMs <= (query.UptoMs ?? long.MaxValue));

    private static async Task AssertListedAsync(ActivationStore store, ActivationQuery query, IEnumerable<FinishedActivation> model)
    {
        var expected = Matching(query, model)
            .OrderByDescending(each => each.StartMs).ThenByDescending(each => each.Id.ToString(), StringComparer.Ordinal)
            .Skip(query.Skip).Take(query.Limit).Select(each => Encoding.UTF8.GetString(each.Record.Span));
        var listed = await store.ListAsync(query, Cancelled);
        Assert.Equal(expected.ToArray(), listed.Select(Encoding.UTF8.GetString).ToArray());
    }

    private static long StartOf(byte[] record)
    {
        var from = record.AsSpan().IndexOf("\"start\":"u8) + 8;
        var length = record.AsSpan(from).IndexOf((byte)',');
        return long.Parse(Encoding.ASCII.GetString(record, from, length), CultureInfo.InvariantCulture);
    }

    /// <summary>The system's timers with a date near the records of these tests, so that retention leaves them alone.</summary>
    private sealed class StillClock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => DateTimeOffset.FromUnixTimeMilliseconds(Epoch);
    }
}
