using Frusta.Bus;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Messages;
using Frusta.Invoker.Pool;

namespace Frusta.Invoker.Run;

/// <summary>An activation with its resolved action, from its arrival to its record.</summary>
/// <param name="delivery">The activation.</param>
/// <param name="entry">Its action.</param>
/// <param name="looks">How often the action was looked up again because it had changed.</param>
internal sealed class QueuedActivation(IDelivery delivery, ActionEntry entry, int looks) : Waiting
{
    public IDelivery Delivery { get; } = delivery;

    public ActivationMessage Message { get; } = delivery.Message;

    public ActionEntry Entry { get; } = entry;

    public int Looks { get; } = looks;

    public ExecutableAction Action => Entry.Action;

    public override int SizeBytes => Message.SizeBytes;
}
