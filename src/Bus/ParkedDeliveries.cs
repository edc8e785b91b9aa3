namespace Frusta.Bus;

/// <summary>Accepted activations for which the invoker had no room. They are offered again, in order, until it takes them.</summary>
/// <remarks>The bounds of the bus bound their number. Only recovered activations and those of a fire come here: others are refused at once.</remarks>
internal sealed class ParkedDeliveries(IActivationIntake intake, TimeProvider clock)
{
    private static readonly TimeSpan OfferInterval = TimeSpan.FromMilliseconds(20);

    private readonly Lock _gate = new();
    private readonly Queue<PendingActivation> _parked = new();
    private bool _isStopped;

    internal void Deliver(PendingActivation pending)
    {
        lock (_gate)
        {
            if (_parked.Count == 0 && intake.Receive(pending) == SendOutcome.Sent)
            {
                return;
            }

            _parked.Enqueue(pending);
            if (_parked.Count == 1)
            {
                _ = OfferAsync();
            }
        }
    }

    /// <summary>Offers no more: parked activations stay in the log for the next start.</summary>
    internal void Stop()
    {
        lock (_gate)
        {
            _isStopped = true;
        }
    }

    private async Task OfferAsync()
    {
        using var timer = new PeriodicTimer(OfferInterval, clock);
        while (await timer.WaitForNextTickAsync())
        {
            lock (_gate)
            {
                while (!_isStopped && _parked.TryPeek(out var next) && intake.Receive(next) == SendOutcome.Sent)
                {
                    _parked.Dequeue();
                }

                if (_isStopped || _parked.Count == 0)
                {
                    return;
                }
            }
        }
    }
}
