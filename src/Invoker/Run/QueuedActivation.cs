using Frusta.Bus;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Messages;
using Frusta.Invoker.Pool;

namespace Frusta.Invoker.Run;

/// <summary>An activation with its resolved action, from its arrival to its record.</summary>
/// <param name="delivery">The activation.</param>
/// <param name="entry">Its action.</param>
/// <param name="isResolvedAgain">True when the action was looked up a second time, because it had changed.</param>
internal sealed class QueuedActivation(IDelivery delivery, ActionEntry entry, bool isResolvedAgain) : Waiting
{
    public IDelivery Delivery { get; } = delivery;

    public ActivationMessage Message { get; } = delivery.Message;

    public ActionEntry Entry { get; } = entry;

    public bool IsResolvedAgain { get; } = isResolvedAgain;

    public ExecutableAction Action => Entry.Action;

    public override int SizeBytes => Message.SizeBytes;
}
