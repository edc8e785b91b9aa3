using System.Diagnostics;
using Frusta.Contracts.Names;

namespace Frusta.Store.Activations;

/// <summary>The ids of the latest records, to refuse a second record of one id, and the position of each, for clients that ask soon after the end.</summary>
/// <remarks>Two generations of a fixed size: when the younger one is full, the older one is forgotten and the younger one takes its place. So no id has to be removed on its own.</remarks>
internal sealed class RecentActivations(int capacity)
{
    private readonly Lock _gate = new();
    private readonly int _generation = capacity / 2;
    private Dictionary<ActivationId, TailEntry> _younger = new(capacity / 2);
    private Dictionary<ActivationId, TailEntry> _older = new(capacity / 2);

    /// <summary>The number of latest records that are known for certain.</summary>
    public int Sure => _generation;

    /// <summary>Takes the id for an append under way; false when it is known already.</summary>
    public bool TryBegin(ActivationId id)
    {
        lock (_gate)
        {
            if (_older.ContainsKey(id) || !_younger.TryAdd(id, default))
            {
                return false;
            }

            Debug.Assert(_younger.Count <= Math.Max(_generation, 1), "A generation is as large as it may become, and no larger.");
            if (_younger.Count >= _generation)
            {
                (_older, _younger) = (_younger, _older);
                _younger.Clear();
            }

            return true;
        }
    }

    /// <summary>The append is done: the record can be read.</summary>
    public void Complete(in TailEntry entry)
    {
        lock (_gate)
        {
            if (_older.ContainsKey(entry.Id))
            {
                _older[entry.Id] = entry;
            }
            else
            {
                _younger[entry.Id] = entry;
            }
        }
    }

    /// <summary>The append failed: the id is free again.</summary>
    public void Forget(ActivationId id)
    {
        lock (_gate)
        {
            _younger.Remove(id);
            _older.Remove(id);
        }
    }

    /// <summary>True for a record whose append is done.</summary>
    public bool TryFind(ActivationId id, out TailEntry entry)
    {
        lock (_gate)
        {
            return (_younger.TryGetValue(id, out entry) || _older.TryGetValue(id, out entry)) && entry.Namespace is not null;
        }
    }
}
