using Frusta.Contracts.Names;

namespace Frusta.Bus;

/// <summary>The pending activations by id, in stripes, so that no two calls usually meet at a lock.</summary>
internal sealed class PendingTable
{
    private readonly Dictionary<ActivationId, PendingActivation>[] _stripes = new Dictionary<ActivationId, PendingActivation>[64];

    internal PendingTable()
    {
        for (var i = 0; i < _stripes.Length; i++)
        {
            _stripes[i] = [];
        }
    }

    /// <summary>False when the id is pending already.</summary>
    internal bool TryAdd(PendingActivation pending)
    {
        var stripe = StripeOf(pending.Id);
        lock (stripe)
        {
            return stripe.TryAdd(pending.Id, pending);
        }
    }

    internal void Remove(ActivationId id)
    {
        var stripe = StripeOf(id);
        lock (stripe)
        {
            stripe.Remove(id);
        }
    }

    internal PendingActivation? Find(ActivationId id)
    {
        var stripe = StripeOf(id);
        lock (stripe)
        {
            return stripe.GetValueOrDefault(id);
        }
    }

    /// <summary>Those whose accepted entry stands in the segment, as far as can be said while they change.</summary>
    internal List<PendingActivation> AcceptedIn(long segment)
    {
        var found = new List<PendingActivation>();
        foreach (var stripe in _stripes)
        {
            lock (stripe)
            {
                found.AddRange(stripe.Values.Where(pending => pending.AcceptedSegment == segment));
            }
        }

        return found;
    }

    // The low end of an id is random.
    private Dictionary<ActivationId, PendingActivation> StripeOf(ActivationId id) => _stripes[(int)(id.Low & 63)];
}
