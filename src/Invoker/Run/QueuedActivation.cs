using Frusta.Bus;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Messages;
using Frusta.Invoker.Pool;

namespace Frusta.Invoker.Run;

/// <summary>An activation with its resolved action, from its arrival to its record.</summary>
internal sealed class QueuedActivation(IDelivery delivery, ActionEntry entry) : Waiting
{
    public IDelivery Delivery { get; } = delivery;

    public ActivationMessage Message { get; } = delivery.Message;

    public ActionEntry Entry { get; } = entry;

    public ExecutableAction Action => Entry.Action;

    public override int SizeBytes => Message.SizeBytes;
}
