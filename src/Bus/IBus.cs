using Frusta.Contracts.Entities;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;

namespace Frusta.Bus;

/// <summary>The way from controllers to invokers. What it has accepted is delivered, whatever process dies when.</summary>
public interface IBus
{
    /// <summary>
    /// Sends one activation. With <paramref name="acceptFirst"/> (a 202) it is on disk before this completes; without (a
    /// blocking call) nothing is promised until its record is written. On any outcome but <see cref="SendOutcome.Sent"/>
    /// the message was not taken and still belongs to the caller; on that one it belongs to the bus.
    /// </summary>
    ValueTask<SendOutcome> SendAsync(OutgoingActivation activation, bool acceptFirst, CancellationToken cancellationToken);

    /// <summary>
    /// Makes a blocking call, already sent, durable because its client's wait ended and the client gets a 202. Completes when it is on disk.
    /// On any outcome but <see cref="SendOutcome.Sent"/> nobody may be told the id, although the activation may run.
    /// </summary>
    ValueTask<SendOutcome> AcceptSentAsync(ActivationId id, CancellationToken cancellationToken);

    /// <summary>
    /// Fires a trigger: its record and its rules' activations become durable as one entry, all or nothing, before this completes. On any outcome but
    /// <see cref="SendOutcome.Sent"/> record and messages still belong to the caller.
    /// </summary>
    ValueTask<SendOutcome> FireAsync(FinishedActivation triggerRecord, IReadOnlyList<OutgoingActivation> activations, CancellationToken cancellationToken);
}

/// <summary>What became of a message.</summary>
public enum SendOutcome
{
    Sent,

    /// <summary>A bound of the whole platform is reached, or the disk refused: 503 with Retry-After.</summary>
    Full,

    /// <summary>The bound of this namespace is reached: 429.</summary>
    NamespaceFull,

    /// <summary>Larger than the bus carries: 413.</summary>
    TooLarge,
}

/// <summary>One activation at the invoker: the message, and the promises that go with it.</summary>
public interface IDelivery
{
    ActivationMessage Message { get; }

    /// <summary>The action as a controller in this process resolved it, for the message's revision; null when the invoker has to read it.</summary>
    ExecutableAction? Action { get; }

    /// <summary>
    /// Called before the first byte goes to a sandbox: from here on it is never run again after a crash, unless the action asks for it.
    /// False when that could not be written down: then it must not run, and gets a record that says so.
    /// </summary>
    bool TryStart();

    /// <summary>
    /// True when it is on disk and has not started, so that it runs after the next start of this process if nothing more is done with it now. For the
    /// end of a process only.
    /// </summary>
    bool CanWait();

    /// <summary>
    /// Writes the record to the journal, then tells who waits. Called exactly once, as the last thing; it takes over the
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
    /// uses the place once, in either way.
    /// </summary>
    SendOutcome Reserve(IDelivery delivery, out IReservedPlace? place);
}

/// <summary>A place in the invoker for a delivery that is not on disk yet.</summary>
public interface IReservedPlace
{
    /// <summary>The delivery is on disk: it is taken, and cannot be refused any more. Never waits.</summary>
    void Enter();

    /// <summary>The delivery does not come.</summary>
    void GiveBack();
}
