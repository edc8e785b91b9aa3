using Frusta.Contracts.Names;
using Frusta.Journal;

namespace Frusta.Store.Activations;

/// <summary>Records that are found without an index: the latest by their ids, and all that may not be in an index yet.</summary>
/// <param name="recentIds">How many ids of the latest records are kept.</param>
internal sealed class ActivationsInMemory(int recentIds)
{
    private readonly ActivationTail _tail = new();
    private readonly RecentActivations _recent = new(recentIds);

    /// <summary>Records that may not be in an index yet.</summary>
    public int Unindexed => _tail.Count;

    /// <summary>Takes the id for an append under way; false when it is known already.</summary>
    public bool TryBegin(ActivationId id) => _recent.TryBegin(id);

    /// <summary>The append failed: the id is free again.</summary>
    public void Forget(ActivationId id) => _recent.Forget(id);

    /// <summary>The append is done: the record is found from now on.</summary>
    public void Add(in TailEntry entry)
    {
        _tail.Add(entry);
        _recent.Complete(entry);
    }

    /// <summary>All entries up to this position are in an index, where readers see them.</summary>
    public void CutUpTo(LogPosition stored) => _tail.CutUpTo(stored);

    public bool TryFind(ActivationId id, out TailEntry entry) =>
        _recent.TryFind(id, out entry) || (_tail.Count > _recent.Sure && _tail.TryFind(id, out entry));

    /// <summary>The records of a list that may not be in an index yet.</summary>
    public List<TailEntry> Collect(ActivationQuery query)
    {
        var found = new List<TailEntry>();
        _tail.Collect(query, found);
        return found;
    }
}
