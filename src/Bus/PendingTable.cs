using Frusta.Contracts.Names;

namespace Frusta.Bus;

/// <summary>The pending activations by id, in stripes with a lock each, so that two calls seldom meet at the same lock.</summary>
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

    /// <summary>The activations whose accepted entry stands in the segment. They may change meanwhile, so the caller checks each again under its lock.</summary>
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

    // The low bits of an id are random.
    private Dictionary<ActivationId, PendingActivation> StripeOf(ActivationId id) => _stripes[(int)(id.Low & 63)];
}
