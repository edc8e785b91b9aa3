using Frusta.Store.Activations;

namespace Frusta.Store.Tests.Activations;

public sealed class ActivationRecoveryTests : ActivationStoreFixture
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_was_appended_is_there_after_a_kill(bool indexed)
    {
        var store = Open(Folder);
        var appended = Append(store, 500);
        if (indexed)
        {
            store = await ReopenAsync(store);
            appended.AddRange(Append(store, 20, first: 501));
        }

        using var left = Folder.CopyAsIfKilled();
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
        var store = Open(Folder);
        var appended = Append(store, 50);
        using var left = Folder.CopyAsIfKilled();
        foreach (var index in Directory.GetFiles(left.Path, "*.index*", SearchOption.AllDirectories))
        {
            File.Delete(index);
        }

        var segment = Directory.GetFiles(left.Sub("log"), "*.seg").Single();
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
        var store = Open(Folder, Small());
        var appended = Append(store, 2000);
        await CloseAsync(store);
        var indexes = Directory.GetFiles(Folder.Sub("index"), "*.index");
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

        store = Open(Folder, Small());

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
        var store = Open(Folder, Small());
        Append(store, 2000);
        await CloseAsync(store);
        var index = Directory.GetFiles(Folder.Sub("index"), "*.index").Order(StringComparer.Ordinal).First();
        var bytes = await File.ReadAllBytesAsync(index, Cancelled);
        Assert.True(bytes.Length > SoundBytes, "The index has no pages but the roots.");
        bytes.AsSpan(SoundBytes).Fill(0x5a);
        await File.WriteAllBytesAsync(index, bytes, Cancelled);
        store = Open(Folder, Small());

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
    public async Task Indexing_goes_on_after_failures_of_any_kind_and_says_each_end_once()
    {
        var options = Small();
        options.SliceBytes = 16 << 20;
        options.FlushInterval = options.IndexInterval = TimeSpan.FromMilliseconds(1);
        var first = Open(Folder, options);
        Append(first, 600);
        await CloseAsync(first);
        var said = new TestLog<ActivationStore>();
        var store = Open(Folder, options, TimeProvider.System, said);

        // The batch fails in SQLite, and the index cannot be opened again: its folder is a link to nothing,
        // so that it comes back in one step, in between which the store cannot make a new one.
        var index = Assert.Single(Directory.GetFiles(Folder.Sub("index"), "*.index"));
        Spoil(index, "ALTER TABLE activations RENAME TO elsewhere");
        Directory.Move(Folder.Sub("index"), Folder.Sub("away"));
        Directory.CreateSymbolicLink(Folder.Sub("index"), Folder.Sub("back"));
        var appended = Append(store, 2000, first: 1000);
        await Eventually.TrueAsync(() => said.Count(4103) == 1);

        Directory.Move(Folder.Sub("away"), Folder.Sub("back"));
        Spoil(index, "ALTER TABLE elsewhere RENAME TO activations");
        await Eventually.TrueAsync(() => store.Unindexed < 512);
        await Eventually.TrueAsync(() => said.Count(4104) == 1);
        Assert.Equal(1, said.Count(4103));
        Assert.Equal(2600, await store.CountAsync(new ActivationQuery("acme"), Cancelled));
        Assert.Equal(appended[0].Record.Span.ToArray(), await store.GetAsync("acme", appended[0].Id, Cancelled));
        Assert.Equal([index], Directory.GetFiles(Folder.Sub("index"), "*.index"));
    }

    private static void Spoil(string index, string statement)
    {
        using var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={index};Pooling=False");
        connection.Open();
        Store.Sqlite.SqliteFile.Execute(connection, statement);
    }
}
