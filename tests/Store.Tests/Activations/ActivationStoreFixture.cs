using System.Text;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Store.Activations;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Store.Tests.Activations;

/// <summary>A folder, the stores that a test opens in it, and records to put there.</summary>
public abstract class ActivationStoreFixture : IAsyncDisposable
{
    private protected const long Epoch = 1_765_432_000_000;

    private readonly List<ActivationStore> _opened = [];

    private protected TemporaryFolder Folder { get; } = new();

    private protected static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        foreach (var store in _opened)
        {
            await store.DisposeAsync();
        }

        Folder.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected static ActivationStoreOptions Small() => new() { SegmentBytes = 64 << 10, SliceBytes = 128 << 10, IndexBatch = 256 };

    private protected ActivationStore Open(TemporaryFolder folder, ActivationStoreOptions? options = null, TimeProvider? clock = null, ILogger<ActivationStore>? log = null)
    {
        var store = ActivationStore.Open(
            folder.Path, options ?? new ActivationStoreOptions { SegmentBytes = 1 << 20 }, clock ?? new StillClock(), log ?? NullLogger<ActivationStore>.Instance);
        _opened.Add(store);
        return store;
    }

    private protected async Task CloseAsync(ActivationStore store)
    {
        _opened.Remove(store);
        await store.DisposeAsync();
    }

    private protected async Task<ActivationStore> ReopenAsync(ActivationStore store, ActivationStoreOptions? options = null)
    {
        await CloseAsync(store);
        return Open(Folder, options);
    }

    private protected static List<FinishedActivation> Append(ActivationStore store, int count, int first = 1)
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

    private protected static FinishedActivation Finished(
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

    private protected static IEnumerable<FinishedActivation> Matching(ActivationQuery query, IEnumerable<FinishedActivation> model) => model
        .Where(each => string.Equals(each.Namespace, query.Namespace, StringComparison.Ordinal)
            && (query.FilterName is null || string.Equals(each.FilterName, query.FilterName, StringComparison.Ordinal))
            && each.StartMs >= (query.SinceMs ?? long.MinValue) && each.StartMs <= (query.UptoMs ?? long.MaxValue));

    private protected static async Task AssertListedAsync(ActivationStore store, ActivationQuery query, IEnumerable<FinishedActivation> model)
    {
        var expected = Matching(query, model)
            .OrderByDescending(each => each.StartMs).ThenByDescending(each => each.Id.ToString(), StringComparer.Ordinal)
            .Skip(query.Skip).Take(query.Limit).Select(each => Encoding.UTF8.GetString(each.Record.Span));
        var listed = await store.ListAsync(query, Cancelled);
        Assert.Equal(expected.ToArray(), listed.Select(Encoding.UTF8.GetString).ToArray());
    }

    /// <summary>The system's timers with a date near the records of these tests, so that retention leaves them alone.</summary>
    private sealed class StillClock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => DateTimeOffset.FromUnixTimeMilliseconds(Epoch);
    }
}
