using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;

namespace Frusta.Bus;

/// <summary>One activation between acceptance and record: what the invoker gets, and where its entries stand in the log.</summary>
internal sealed class PendingActivation(EmbeddedBus bus, ActivationMessage message, int retries) : IDelivery
{
    public ActivationMessage Message { get; } = message;

    /// <summary>Kept apart from the message, which is given back at the end.</summary>
    internal ActivationId Id { get; } = message.Id;

    internal string NamespaceUuid { get; } = message.User.NamespaceUuid;

    internal int SizeBytes { get; } = message.SizeBytes;

    /// <summary>How often it may start again after a start that a crash interrupted: as its action wants, less those of before its acceptance was written.</summary>
    internal int Retries { get; } = retries;

    // The rest is guarded by the lock on this object.

    /// <summary>Segment of the accepted entry; 0 for a blocking call.</summary>
    internal long AcceptedSegment { get; set; }

    /// <summary>Segment of the started entry; 0 before.</summary>
    internal long StartedSegment { get; set; }

    internal long StartedMs { get; set; }

    /// <summary>How often it started in earlier processes.</summary>
    internal int EarlierStarts { get; init; }

    internal bool IsFinished { get; set; }

    /// <summary>It has ended, and the journal did not take its record. It stays pending.</summary>
    internal bool IsRefused { get; set; }

    public bool CanWait()
    {
        lock (this)
        {
            return AcceptedSegment != 0 && StartedMs == 0;
        }
    }

    public bool TryStart() => bus.TryStart(this);

    public void Finished(FinishedActivation finished) => bus.Finished(this, finished);
}
