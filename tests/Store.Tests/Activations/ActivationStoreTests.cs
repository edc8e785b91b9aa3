using System.Globalization;
using System.Text;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Store.Activations;

namespace Frusta.Store.Tests.Activations;

public sealed class ActivationStoreTests : ActivationStoreFixture
{
    [Fact]
    public async Task A_record_is_read_back_byte_for_byte_at_once_and_from_the_index()
    {
        var store = Open(Folder);
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
        var store = Open(Folder);
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
        var store = Open(Folder);
        var first = Finished(1);
        Assert.True(store.Append(first));
        Assert.False(store.Append(Finished(2, id: first.Id)));

        Assert.Equal(1, await store.CountAsync(new ActivationQuery("acme"), Cancelled));
        Assert.Equal(first.Record.Span.ToArray(), await store.GetAsync("acme", first.Id, Cancelled));
    }

    [Fact]
    public async Task A_record_that_is_not_kept_is_known_but_not_shown()
    {
        var store = Open(Folder);
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

    [Fact]
    public async Task Ids_of_another_origin_are_found()
    {
        var store = Open(Folder);
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
        var store = Open(Folder, Small());
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
        var store = Open(Folder, options);
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
        Assert.True(Directory.GetFiles(Folder.Sub("index"), "*.index").Length > 1);
        Assert.Equal(Writers * Each, await store.CountAsync(new ActivationQuery("acme"), Cancelled));
    }

    [Fact]
    public async Task A_record_with_large_logs_is_kept_whole()
    {
        var store = Open(Folder);
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
        var store = Open(Folder, options);
        Append(store, 2000);
        await store.FlushAsync(Cancelled);

        await Eventually.TrueAsync(() => store.Unindexed < 512);

        Assert.Equal(2000, await store.CountAsync(new ActivationQuery("acme"), Cancelled));
    }

    private static ActivationId Other(Random random) =>
        new(((ulong)random.NextInt64() & ~0xf000ul) | 0x4000, 0x8000_0000_0000_0000 | ((ulong)random.NextInt64() >> 2));

    private static long StartOf(byte[] record)
    {
        var from = record.AsSpan().IndexOf("\"start\":"u8) + 8;
        var length = record.AsSpan(from).IndexOf((byte)',');
        return long.Parse(Encoding.ASCII.GetString(record, from, length), CultureInfo.InvariantCulture);
    }
}
