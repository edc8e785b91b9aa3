using Frusta.Contracts.Entities;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Store.Entities;

namespace Frusta.Store.Tests.Entities;

public sealed class CachedEntityStoreTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_was_read_during_a_write_whose_client_went_away_is_forgotten_when_the_write_is_done()
    {
        var store = new SlowStore();
        var cache = new CachedEntityStore(store, new CachedEntityOptions(), new Keeper());
        using var client = new CancellationTokenSource();
        var put = cache.PutAsync(Document("2-b"), null, client.Token).AsTask();
        await client.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => put);
        Assert.Equal("1-a", (await cache.GetAsync("guest/hello", Cancellation))!.Revision);

        store.Write();

        await Eventually.TrueAsync(async () => (await cache.GetAsync("guest/hello", Cancellation))!.Revision is "2-b");
    }

    [Fact]
    public async Task Whoever_keeps_something_of_a_document_is_told_of_a_write_and_reads_then_what_was_written()
    {
        var store = new SlowStore();
        var keeper = new Keeper();
        var cache = new CachedEntityStore(store, new CachedEntityOptions(), keeper);
        keeper.Cache = cache;
        Assert.Equal("1-a", (await cache.GetAsync("guest/hello", Cancellation))!.Revision);

        store.Write();
        await cache.PutAsync(Document("2-b"), null, Cancellation);

        Assert.Equal(("guest/hello", "2-b"), await keeper.Heard.Task.WaitAsync(TimeSpan.FromMinutes(1), Cancellation));
    }

    [Fact]
    public async Task Documents_above_the_bound_in_bytes_are_read_again()
    {
        var store = new SlowStore(new byte[600_000]);
        var cache = new CachedEntityStore(store, new CachedEntityOptions { MaxBytes = 1 << 20 }, new Keeper());
        Assert.Equal(1, await ReadsAsync("guest/a", "guest/a"));
        Assert.Equal(1, await ReadsAsync("guest/b", "guest/a"));
        Assert.Equal(3, await ReadsAsync("guest/c", "guest/a", "guest/b"));
        Assert.Equal(1, await ReadsAsync("guest/a", "guest/b")); // what is dropped counts no more

        async Task<int> ReadsAsync(params string[] documentIds)
        {
            var before = store.Reads;
            foreach (var documentId in documentIds)
            {
                await cache.GetAsync(documentId, Cancellation);
            }

            return store.Reads - before;
        }
    }

    [Fact]
    public async Task A_read_that_a_whole_write_overtook_is_not_kept()
    {
        var store = new SlowStore();
        var cache = new CachedEntityStore(store, new CachedEntityOptions(), new Keeper());
        store.ReadGate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var overtaken = cache.GetAsync("guest/hello", Cancellation).AsTask();

        store.Write();
        await cache.PutAsync(Document("2-b"), null, Cancellation);
        store.ReadGate.SetResult();
        Assert.Equal("1-a", (await overtaken)!.Revision); // as it was when the read began

        Assert.Equal("2-b", (await cache.GetAsync("guest/hello", Cancellation))!.Revision);
    }

    /// <summary>Keeps something of documents, and reads again those that it hears of.</summary>
    private sealed class Keeper : ICacheInvalidation
    {
        public CachedEntityStore? Cache { get; set; }

        public TaskCompletionSource<(string Document, string Revision)> Heard { get; } = new();

        public void Publish(string documentId) => _ = ReadAsync(documentId);

        private async Task ReadAsync(string documentId)
        {
            if (Cache is not null)
            {
                Heard.TrySetResult((documentId, (await Cache.GetAsync(documentId, Cancellation))!.Revision));
            }
        }
    }

    private static TriggerDocument Document(string revision) => new()
    {
        Name = new FullyQualifiedName("guest", null, "hello"),
        Version = "0.0.1",
        Revision = revision,
        UpdatedMs = 1,
    };

    /// <summary>Writes only when it is told to, and takes no token for a reason to stop.</summary>
    private sealed class SlowStore(byte[]? parameter = null) : RefusingEntityStore
    {
        private readonly TaskCompletionSource _written = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private EntityDocument _document = parameter is null ? Document("1-a") : Document("1-a") with { Parameters = [new KeyValue("large", parameter)] };

        public int Reads { get; private set; }

        /// <summary>What holds reads up after they have found the document; null for nothing.</summary>
        public TaskCompletionSource? ReadGate { get; set; }

        public void Write() => _written.SetResult();

        public override async ValueTask<EntityDocument?> GetAsync(string documentId, CancellationToken cancellationToken)
        {
            Reads++;
            var found = _document;
            await (ReadGate?.Task ?? Task.CompletedTask);
            return found;
        }

        public override async ValueTask<string?> PutAsync(EntityDocument document, ReadOnlyMemory<byte>? code, CancellationToken cancellationToken)
        {
            var write = WriteAsync(document);
            await write.WaitAsync(cancellationToken);
            return document.Revision;
        }

        private async Task WriteAsync(EntityDocument document)
        {
            await _written.Task;
            _document = document;
        }
    }
}
