using Frusta.Bus;
using Frusta.Invoker.Run;

namespace Frusta.Invoker.Intake;

/// <summary>A place that is kept for an activation while it is written to the disk.</summary>
/// <param name="receive">Where it enters.</param>
/// <param name="delivery">The activation.</param>
/// <param name="activation">The activation with its queue; null when no queue is known: its action has to be read, or it gets a record instead of a run.</param>
internal sealed class ReservedPlace(ReceiveActivations receive, IDelivery delivery, QueuedActivation? activation) : IReservedPlace
{
    public void Enter()
    {
        if (activation is null)
        {
            receive.Take(delivery);
        }
        else
        {
            receive.Take(activation);
        }
    }

    public void GiveBack() => activation?.Entry.Slots.GiveBack(activation);
}
