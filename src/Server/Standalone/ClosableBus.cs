using Frusta.Bus;
using Frusta.Contracts.Messages;

namespace Frusta.Server.Standalone;

/// <summary>The bus with a door that an operator, or the end of the server, closes: from then on nothing new is taken (503).</summary>
internal sealed class ClosableBus(IBus bus) : IBus
{
    private volatile bool _closed;

    public void Close() => _closed = true;

    public ValueTask<SendOutcome> SendAsync(ActivationMessage message, bool acceptFirst, CancellationToken cancellationToken) =>
        _closed ? new(SendOutcome.Full) : bus.SendAsync(message, acceptFirst, cancellationToken);

    public ValueTask<SendOutcome> AcceptSentAsync(ActivationMessage message, CancellationToken cancellationToken) =>
        bus.AcceptSentAsync(message, cancellationToken);

    public ValueTask<SendOutcome> FireAsync(FinishedActivation triggerRecord, IReadOnlyList<ActivationMessage> messages, CancellationToken cancellationToken) =>
        _closed ? new(SendOutcome.Full) : bus.FireAsync(triggerRecord, messages, cancellationToken);
}
