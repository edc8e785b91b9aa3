using Frusta.Bus;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;

namespace Frusta.Server.Parts;

/// <summary>A bus that an operator, or the end of the server, can close: from then on it takes no new activation (503).</summary>
internal sealed class ClosableBus(IBus bus) : IBus
{
    private volatile bool _closed;

    public void Close() => _closed = true;

    public ValueTask<SendOutcome> SendAsync(OutgoingActivation activation, bool acceptFirst, CancellationToken cancellationToken) =>
        _closed ? new(SendOutcome.Full) : bus.SendAsync(activation, acceptFirst, cancellationToken);

    public ValueTask<SendOutcome> AcceptSentAsync(ActivationId id, CancellationToken cancellationToken) =>
        bus.AcceptSentAsync(id, cancellationToken);

    public ValueTask<SendOutcome> FireAsync(FinishedActivation triggerRecord, IReadOnlyList<OutgoingActivation> activations, CancellationToken cancellationToken) =>
        _closed ? new(SendOutcome.Full) : bus.FireAsync(triggerRecord, activations, cancellationToken);
}
