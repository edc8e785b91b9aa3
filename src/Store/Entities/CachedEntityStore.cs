using System.Collections.Concurrent;
using System.Diagnostics;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Messages;

namespace Frusta.Store.Entities;

/// <summary>Keeps documents that were read in memory, so that a warm call reads no database.</summary>
/// <remarks>
/// A document that is being written is not kept: from before the write until after it, all calls read it from the store. So a call that reads several
/// documents of a unit sees all of them as before the write or all as after it. A document that was read while a write began is not kept either: each
/// document has a generation, which a write raises, and it is kept only if the generation is still that of the time when the read began.
/// </remarks>
/// <param name="store">The store with the documents.</param>
/// <param name="options">The bounds, in documents and in bytes.</param>
/// <param name="invalidation">Is told of each write, for other parts that keep copies of documents.</param>
public sealed class CachedEntityStore(IEntityStore store, CachedEntityOptions options, ICacheInvalidation invalidation) : IEntityStore
{
    private readonly ConcurrentDictionary<string, Slot> _slots = new(StringComparer.Ordinal);
    private readonly Held _held = new();

    public ValueTask<EntityDocument?> GetAsync(string documentId, CancellationToken cancellationToken) =>
        _slots.TryGetValue(documentId, out var slot) && slot.Document is { } document
            ? new ValueTask<EntityDocument?>(document)
            : FillAsync(documentId, cancellationToken);

    public ValueTask<string?> PutAsync(EntityDocument document, ReadOnlyMemory<byte>? code, CancellationToken cancellationToken) =>
        new(WriteAsync([document.Name.DocumentId], () => store.PutAsync(document, code, CancellationToken.None), cancellationToken));

    public ValueTask<bool> DeleteAsync(string documentId, string revision, CancellationToken cancellationToken) =>
        new(WriteAsync([documentId], () => store.DeleteAsync(documentId, revision, CancellationToken.None), cancellationToken));

    public ValueTask<bool> WriteAsync(EntityUnit unit, CancellationToken cancellationToken) =>
        new(WriteAsync([.. unit.Changes.Select(change => change.DocumentId)], () => store.WriteAsync(unit, CancellationToken.None), cancellationToken));

    public ValueTask<IReadOnlyList<ListedEntity>> ListAsync(EntityQuery query, CancellationToken cancellationToken) =>
        store.ListAsync(query, cancellationToken);

    public ValueTask<IReadOnlyList<EntityDocument>> GetSummariesAsync(IReadOnlyList<ListedEntity> page, CancellationToken cancellationToken) =>
        store.GetSummariesAsync(page, cancellationToken);

    public ValueTask<int> CountAsync(EntityQuery query, CancellationToken cancellationToken) => store.CountAsync(query, cancellationToken);

    public ValueTask<byte[]?> GetCodeAsync(string documentId, string attachment, CancellationToken cancellationToken) =>
        store.GetCodeAsync(documentId, attachment, cancellationToken);

    public ValueTask<MappedBuffer?> ReadCodeAsync(string documentId, string attachment, ByteLease lease, CancellationToken cancellationToken) =>
        store.ReadCodeAsync(documentId, attachment, lease, cancellationToken);

    /// <summary>Writes without keeping the documents until the write has ended. If the caller's token is cancelled, only its wait ends; the write goes on.</summary>
    private Task<T> WriteAsync<T>(string[] documentIds, Func<ValueTask<T>> write, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var slots = Array.ConvertAll(documentIds, BeginWrite);
        return FinishAsync().WaitAsync(cancellationToken);

        async Task<T> FinishAsync()
        {
            try
            {
                return await write();
            }
            finally
            {
                Array.ForEach(slots, static slot => slot.EndWrite());
                Array.ForEach(documentIds, invalidation.Publish);
            }
        }
    }

    private Slot BeginWrite(string documentId)
    {
        while (true)
        {
            var slot = _slots.GetOrAdd(documentId, static (_, held) => new Slot(held), _held);
            if (slot.TryBeginWrite())
            {
                return slot;
            }

            _slots.TryRemove(new KeyValuePair<string, Slot>(documentId, slot));
        }
    }

    private async ValueTask<EntityDocument?> FillAsync(string documentId, CancellationToken cancellationToken)
    {
        if (_slots.Count >= options.Documents || _held.Bytes > options.MaxBytes)
        {
            // All are dropped: to keep documents in the order of their use would cost something at each call.
            foreach (var other in _slots)
            {
                Drop(other);
            }
        }

        var slot = _slots.GetOrAdd(documentId, static (_, held) => new Slot(held), _held);
        var generation = slot.Generation;
        var document = await store.GetAsync(documentId, cancellationToken);
        if (document is null)
        {
            Drop(new KeyValuePair<string, Slot>(documentId, slot));
        }
        else
        {
            slot.Fill(document, generation);
        }

        return document;
    }

    private void Drop(KeyValuePair<string, Slot> entry)
    {
        if (entry.Value.TryDrop())
        {
            _slots.TryRemove(entry);
        }
    }

    /// <summary>Approximate bytes of all documents that are kept.</summary>
    private sealed class Held
    {
        private long _bytes;

        public long Bytes => Interlocked.Read(ref _bytes);

        public void Change(EntityDocument? from, EntityDocument? to) => Interlocked.Add(ref _bytes, (to?.SizeBytes ?? 0) - (from?.SizeBytes ?? 0));
    }

    private sealed class Slot(Held held)
    {
        private readonly Lock _gate = new();
        private volatile EntityDocument? _document;
        private long _generation;
        private int _writes;
        private bool _isDropped;

        public EntityDocument? Document => _document;

        public long Generation => Interlocked.Read(ref _generation);

        public void Fill(EntityDocument document, long generation)
        {
            lock (_gate)
            {
                if (_generation == generation && _writes == 0 && !_isDropped)
                {
                    Keep(document);
                }
            }
        }

        /// <summary>False when the slot has been dropped.</summary>
        public bool TryBeginWrite()
        {
            lock (_gate)
            {
                if (_isDropped)
                {
                    return false;
                }

                _writes++;
                _generation++;
                Keep(null);
                return true;
            }
        }

        public void EndWrite()
        {
            lock (_gate)
            {
                Debug.Assert(_writes > 0 && !_isDropped && _document is null, "A document that is being written is not kept.");
                _writes--;
                _generation++;
            }
        }

        /// <summary>Drops the slot. False while the document is being written: a new slot in its place would not know of the write.</summary>
        public bool TryDrop()
        {
            lock (_gate)
            {
                _isDropped |= _writes == 0;
                Keep(null);
                return _isDropped;
            }
        }

        private void Keep(EntityDocument? document)
        {
            held.Change(_document, document);
            _document = document;
        }
    }
}
