using Frusta.Contracts.Messages;

namespace Frusta.Bus;

/// <summary>
/// The topic <c>cacheInvalidation</c> within a single process: it calls each intake at once. An intake misses news from before it came, when it keeps nothing
/// yet.
/// </summary>
public sealed class EmbeddedCacheInvalidation : ICacheInvalidation
{
    private volatile ICacheInvalidationIntake[] _intakes = [];

    /// <summary>Tells this intake of each invalidation from now on. For the start of a process only: not safe on several threads at once.</summary>
    public void Deliver(ICacheInvalidationIntake to) => _intakes = [.. _intakes, to];

    public void Publish(string documentId)
    {
        foreach (var intake in _intakes)
        {
            intake.Invalidated(documentId);
        }
    }
}
