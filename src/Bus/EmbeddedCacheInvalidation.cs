using Frusta.Contracts.Messages;

namespace Frusta.Bus;

/// <summary>The topic of a single process: each who hears is called at once. What is said before somebody listens is lost to it, and it has nothing yet.</summary>
public sealed class EmbeddedCacheInvalidation : ICacheInvalidation
{
    private volatile ICacheInvalidationIntake[] _intakes = [];

    /// <summary>From now on this one hears what is said. For the start of a process only.</summary>
    public void Deliver(ICacheInvalidationIntake to) => _intakes = [.. _intakes, to];

    public void Publish(string documentId)
    {
        foreach (var intake in _intakes)
        {
            intake.Invalidated(documentId);
        }
    }
}
