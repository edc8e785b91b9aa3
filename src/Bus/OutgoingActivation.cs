using Frusta.Contracts.Entities;
using Frusta.Contracts.Messages;

namespace Frusta.Bus;

/// <summary>An activation that a controller hands to the bus: its message, which may travel to another process, and further members, which stay in this one.</summary>
/// <param name="Message">The message that the invoker gets, in this process or in another.</param>
/// <param name="Reply">Is told of the activation's end; null when the sender need not know of it.</param>
/// <param name="Action">
/// The action as the controller resolved it, so that an invoker in this process need not read it. It holds for the message's
/// <see cref="ActivationMessage.ActionRevision"/> only. Null when the controller has not read it.
/// </param>
/// <param name="Retries">How often the activation may start again when a process dies after its start: the action's annotation <c>retries</c>, 0 where it has none.</param>
public readonly record struct OutgoingActivation(ActivationMessage Message, IActivationReply? Reply = null, ExecutableAction? Action = null, int Retries = 0);

/// <summary>Is told how an activation ended.</summary>
public interface IActivationReply
{
    /// <summary>Called once, after the record is in the journal. The record is the callee's to read only during the call, unless it retains its buffer.</summary>
    void Complete(FinishedActivation finished);

    /// <summary>
    /// Called once instead of <see cref="Complete"/> when the activation has ended and the journal did not take its record: its client must not be told its
    /// id.
    /// </summary>
    void Refuse();
}
