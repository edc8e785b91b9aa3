using Frusta.Contracts.Messages;

namespace Frusta.Bus;

/// <summary>The way from controllers to invokers. What it has accepted is delivered, whatever process dies when.</summary>
public interface IBus
{
    /// <summary>
    /// Sends one activation. With <paramref name="acceptFirst"/> (a 202) it is on disk before this completes; without (a
    /// blocking call) nothing is promised until its record is written. On any outcome but <see cref="SendOutcome.Sent"/>
    /// the message was not taken and still belongs to the caller; on that one it belongs to the bus.
    /// </summary>
    ValueTask<SendOutcome> SendAsync(ActivationMessage message, bool acceptFirst, CancellationToken cancellationToken);

    /// <summary>
    /// Makes a blocking call, already sent, durable because its client's wait ended and it gets a 202. Completes when it is on disk.
    /// The message is one that this caller sent and retained the content of.
    /// </summary>
    ValueTask<SendOutcome> AcceptSentAsync(ActivationMessage message, CancellationToken cancellationToken);

    /// <summary>Fires a trigger: its record and its rules' activations become durable as one entry, all or nothing, before this completes.</summary>
    ValueTask<SendOutcome> FireAsync(FinishedActivation triggerRecord, IReadOnlyList<ActivationMessage> messages, CancellationToken cancellationToken);
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
}
