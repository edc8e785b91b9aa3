using Frusta.Contracts.Entities;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;

namespace Frusta.Bus;

/// <summary>The way from controllers to invokers. An activation that it has accepted ends with a record, even if a process dies on the way.</summary>
public interface IBus
{
    /// <summary>
    /// Sends one activation. With <paramref name="acceptFirst"/> (a 202) it is on disk before this completes; without (a
    /// blocking call) nothing is promised until its record is written. On <see cref="SendOutcome.Sent"/> the message belongs to the bus; on any
    /// other outcome it was not taken and still belongs to the caller.
    /// </summary>
    ValueTask<SendOutcome> SendAsync(OutgoingActivation activation, bool acceptFirst, CancellationToken cancellationToken);

    /// <summary>
    /// Makes a blocking call durable that was sent before: its client's wait is over, and it is to get a 202. Completes when the activation is on disk.
    /// On any outcome but <see cref="SendOutcome.Sent"/> the client must not be told the id, although the activation may run.
    /// </summary>
    ValueTask<SendOutcome> AcceptSentAsync(ActivationId id, CancellationToken cancellationToken);

    /// <summary>
    /// Fires a trigger: its record and its rules' activations become durable as one entry, all or nothing, before this completes. On any outcome but
    /// <see cref="SendOutcome.Sent"/> record and messages still belong to the caller.
    /// </summary>
    ValueTask<SendOutcome> FireAsync(FinishedActivation triggerRecord, IReadOnlyList<OutgoingActivation> activations, CancellationToken cancellationToken);
}

/// <summary>Whether a message was taken, or which bound refused it.</summary>
public enum SendOutcome
{
    Sent,

    /// <summary>A bound of the whole server is reached, or the disk takes nothing more: 503 with Retry-After.</summary>
    Full,

    /// <summary>The bound of this namespace is reached: 429.</summary>
    NamespaceFull,

    /// <summary>Larger than the bus carries: 413.</summary>
    TooLarge,
}

/// <summary>One activation on its way through the invoker: its message, and what the invoker has to report of it.</summary>
public interface IDelivery
{
    ActivationMessage Message { get; }

    /// <summary>The action as a controller in this process resolved it, for the message's revision; null when the invoker has to read it.</summary>
    ExecutableAction? Action { get; }

    /// <summary>
    /// Called before the first byte goes to a sandbox: from here on the activation does not run again after a crash, unless its action asks for that.
    /// False when the start could not be written down: then it must not run, and the invoker gives it a record that says so.
    /// </summary>
    bool TryStart();

    /// <summary>
    /// True when the activation is on disk and has not started: if the invoker drops it now, it runs after the next start. For the end of a process only.
    /// </summary>
    bool CanWait();

    /// <summary>
    /// Writes the record to the journal, then tells the client that waits. Called exactly once, as the last call; it takes over the
    /// record and releases the message.
    /// </summary>
    void Finished(FinishedActivation finished);
}

/// <summary>The invoker's side: takes deliveries into the queues of its pool.</summary>
public interface IActivationIntake
{
    /// <summary>Takes the delivery, or refuses it at once because a bound is reached. Never waits.</summary>
    SendOutcome Receive(IDelivery delivery);

    /// <summary>
    /// Keeps a place for a delivery that is about to be written to the disk, or refuses it at once because a bound is reached. Never waits. The caller
    /// either enters the place or gives it back, once.
    /// </summary>
    SendOutcome Reserve(IDelivery delivery, out IReservedPlace? place);
}

/// <summary>A place in the invoker for a delivery that is not on disk yet.</summary>
public interface IReservedPlace
{
    /// <summary>The delivery is on disk: the invoker takes it, and cannot refuse it any more. Never waits.</summary>
    void Enter();

    /// <summary>The delivery does not come: its place is free.</summary>
    void GiveBack();
}
