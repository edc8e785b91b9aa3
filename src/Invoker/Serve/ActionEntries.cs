using System.Collections.Concurrent;
using Frusta.Invoker.Pool;
using Frusta.Invoker.Run;

namespace Frusta.Invoker.Serve;

/// <summary>The actions that the pool knows: by key, for each call; and by document, which has an entry for each revision and each calling namespace.</summary>
internal sealed class ActionEntries
{
    private readonly ConcurrentDictionary<PoolKey, ActionEntry> _byKey = new();
    private readonly Dictionary<string, List<ActionEntry>> _byDocument = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();

    public ActionEntry this[PoolKey key] => _byKey[key];

    public ActionEntry? Find(PoolKey key) => _byKey.TryGetValue(key, out var entry) ? entry : null;

    /// <summary>The entry of the key. It is made when there is none; <c>IsNew</c> says so.</summary>
    public (ActionEntry Entry, bool IsNew) GetOrAdd(PoolKey key, Func<ActionEntry> make)
    {
        lock (_lock)
        {
            if (_byKey.TryGetValue(key, out var entry))
            {
                return (entry, false);
            }

            _byKey[key] = entry = make();
            var document = key.Action.DocumentId;
            if (!_byDocument.TryGetValue(document, out var entries))
            {
                _byDocument.Add(document, entries = []);
            }

            entries.Add(entry);
            return (entry, true);
        }
    }

    public void Remove(PoolKey key)
    {
        lock (_lock)
        {
            if (_byKey.TryRemove(key, out var entry) && _byDocument[key.Action.DocumentId] is var entries && entries.Remove(entry) && entries.Count == 0)
            {
                _byDocument.Remove(key.Action.DocumentId);
            }
        }
    }

    /// <summary>Whether there is an entry of the document.</summary>
    public bool Knows(string documentId)
    {
        lock (_lock)
        {
            return _byDocument.ContainsKey(documentId);
        }
    }

    /// <summary>All entries of the document at this moment.</summary>
    public IReadOnlyList<ActionEntry> Of(string documentId)
    {
        lock (_lock)
        {
            return _byDocument.TryGetValue(documentId, out var entries) ? [.. entries] : [];
        }
    }
}
