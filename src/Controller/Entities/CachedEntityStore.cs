using System.Collections.Concurrent;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;
using Frusta.Store.Entities;

namespace Frusta.Controller.Entities;

/// <summary>Keeps documents that were read, so that a warm call asks no database.</summary>
/// <remarks>
/// A fill is dropped when a write of the same document began or ended meanwhile: each document has a generation, which a write
/// raises before and after, and a fill is kept only under the generation that it started with.
/// </remarks>
public sealed class CachedEntityStore(IEntityStore store, CachedEntityOptions options) : IEntityStore
{
    private readonly ConcurrentDictionary<string, Slot> _slots = new(StringComparer.Ordinal);

    public ValueTask<EntityDocument?> GetAsync(string documentId, CancellationToken cancellationToken) =>
        _slots.TryGetValue(documentId, out var slot) && slot.Document is { } document
            ? new ValueTask<EntityDocument?>(document)
            : FillAsync(documentId, cancellationToken);

    public ValueTask<string?> PutAsync(EntityDocument document, ReadOnlyMemory<byte>? code, CancellationToken cancellationToken) =>
        new(WriteAsync(document.Name.DocumentId, () => store.PutAsync(document, code, CancellationToken.None), cancellationToken));

    public ValueTask<bool> DeleteAsync(string documentId, string revision, CancellationToken cancellationToken) =>
        new(WriteAsync(documentId, () => store.DeleteAsync(documentId, revision, CancellationToken.None), cancellationToken));

    public ValueTask<IReadOnlyList<ListedEntity>> ListAsync(EntityQuery query, CancellationToken cancellationToken) =>
        store.ListAsync(query, cancellationToken);

    public ValueTask<IReadOnlyList<EntityDocument>> GetSummariesAsync(IReadOnlyList<ListedEntity> page, CancellationToken cancellationToken) =>
        store.GetSummariesAsync(page, cancellationToken);

    public ValueTask<int> CountAsync(EntityQuery query, CancellationToken cancellationToken) => store.CountAsync(query, cancellationToken);

    public ValueTask<byte[]?> GetCodeAsync(string documentId, string attachment, CancellationToken cancellationToken) =>
        store.GetCodeAsync(documentId, attachment, cancellationToken);

    public ValueTask<MappedBuffer?> ReadCodeAsync(string documentId, string attachment, ByteLease lease, CancellationToken cancellationToken) =>
        store.ReadCodeAsync(documentId, attachment, lease, cancellationToken);

    /// <summary>Whoever asked may go away; the write goes on, and what was read before its end is forgotten at its end.</summary>
    private Task<T> WriteAsync<T>(string documentId, Func<ValueTask<T>> write, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Forget(documentId);
        return FinishAsync().WaitAsync(cancellationToken);

        async Task<T> FinishAsync()
        {
            try
            {
                return await write();
            }
            finally
            {
                Forget(documentId);
            }
        }
    }

    private async ValueTask<EntityDocument?> FillAsync(string documentId, CancellationToken cancellationToken)
    {
        if (_slots.Count >= options.Documents)
        {
            // An order of use would cost every call; whoever has more documents than this reads some of them again.
            _slots.Clear();
        }

        var slot = _slots.GetOrAdd(documentId, static _ => new Slot());
        var generation = slot.Generation;
        var document = await store.GetAsync(documentId, cancellationToken);
        if (document is null)
        {
            _slots.TryRemove(new KeyValuePair<string, Slot>(documentId, slot));
        }
        else
        {
            slot.Fill(document, generation);
        }

        return document;
    }

    private void Forget(string documentId)
    {
        // The slot stays, so that a fill that is under way sees its generation move.
        _slots.GetOrAdd(documentId, static _ => new Slot()).Forget();
    }

    private sealed class Slot
    {
        private readonly Lock _gate = new();
        private volatile EntityDocument? _document;
        private long _generation;

        public EntityDocument? Document => _document;

        public long Generation => Interlocked.Read(ref _generation);

        public void Fill(EntityDocument document, long generation)
        {
            lock (_gate)
            {
                if (_generation == generation)
                {
                    _document = document;
                }
            }
        }

        public void Forget()
        {
            lock (_gate)
            {
                _generation++;
                _document = null;
            }
        }
    }
}

/// <summary>The bound of the cache of documents (section <c>Controller:Cache</c>).</summary>
public sealed class CachedEntityOptions
{
    public const string Section = "Controller:Cache";

    /// <summary>Documents that are kept in memory; without their code some hundred bytes each. 1 to 10000000.</summary>
    public int Documents { get; set; } = 20_000;

    public string? Validate() => Documents is >= 1 and <= 10_000_000
        ? null
        : $"{Section}:{nameof(Documents)} must be from 1 to 10000000, but it is {Documents}.";
}
