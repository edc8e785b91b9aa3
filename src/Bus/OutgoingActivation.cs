using Frusta.Contracts.Entities;
using Frusta.Contracts.Messages;

namespace Frusta.Bus;

/// <summary>An activation that a controller hands to the bus: the message, which travels, and its companions, which stay in this process.</summary>
/// <param name="Message">What the invoker gets, in this process or in another.</param>
/// <param name="Reply">Told of the activation's end; null where nobody asks for it.</param>
/// <param name="Action">
/// The action as the controller resolved it, so that an invoker in this process need not read it; good for the message's
/// <see cref="ActivationMessage.ActionRevision"/> only. Null where it is not at hand.
/// </param>
/// <param name="Retries">How often the activation may start again when a process dies after its start: the action's annotation <c>retries</c>, 0 where it has none.</param>
public readonly record struct OutgoingActivation(ActivationMessage Message, IActivationReply? Reply = null, ExecutableAction? Action = null, int Retries = 0);

/// <summary>Hears how an activation ended.</summary>
public interface IActivationReply
{
    /// <summary>Called once, after the record is in the journal. The record is the callee's to read only during the call, unless it retains its buffer.</summary>
    void Complete(FinishedActivation finished);

    /// <summary>Called instead, once, when the activation has ended and the journal did not take its record: nobody may be told its id.</summary>
    void Refuse();
}
