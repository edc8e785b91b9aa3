using Frusta.Contracts.Entities;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;

namespace Frusta.Bus;

/// <summary>One activation from the bus taking it in to its record: its message, and where its entries stand in the log.</summary>
internal sealed class PendingActivation(PendingActivations owner, OutgoingActivation activation) : IDelivery
{
    public ActivationMessage Message { get; } = activation.Message;

    public ExecutableAction? Action { get; } = activation.Action;

    /// <summary>Is told of the activation's end; null for an activation of an earlier process.</summary>
    internal IActivationReply? Reply { get; } = activation.Reply;

    /// <summary>A copy of the message's id, since the message is released at the end.</summary>
    internal ActivationId Id { get; } = activation.Message.Id;

    internal string NamespaceUuid { get; } = activation.Message.User.NamespaceUuid;

    internal int SizeBytes { get; } = activation.Message.SizeBytes;

    /// <summary>How often it may start again after starts that a crash interrupted, as its action's annotation <c>retries</c> says, or its entry in the log.</summary>
    internal int Retries { get; } = activation.Retries;

    // The rest is guarded by the lock on this object.

    /// <summary>Segment of the accepted entry; 0 for a blocking call.</summary>
    internal long AcceptedSegment { get; set; }

    /// <summary>Segment of the started entry; 0 before.</summary>
    internal long StartedSegment { get; set; }

    internal long StartedMs { get; set; }

    /// <summary>How often it started in earlier processes.</summary>
    internal int EarlierStarts { get; init; }

    internal bool IsFinished { get; set; }

    /// <summary>True when it has ended and the journal did not take its record. It stays pending.</summary>
    internal bool IsRefused { get; set; }

    /// <summary>Notes the segment of its accepted entry.</summary>
    internal void AcceptedIn(long segment)
    {
        lock (this)
        {
            AcceptedSegment = segment;
        }
    }

    /// <summary>Retains the message once more, so that it can be read without the lock; false when the activation has ended and the message may be gone.</summary>
    internal bool TryHoldMessage()
    {
        lock (this)
        {
            if (!IsFinished)
            {
                Message.Content.Retain();
            }

            return !IsFinished;
        }
    }

    public bool CanWait()
    {
        lock (this)
        {
            return AcceptedSegment != 0 && StartedMs == 0;
        }
    }

    public bool TryStart() => owner.TryStart(this);

    public void Finished(FinishedActivation finished) => owner.Finished(this, finished);
}
